/*
 * e2e.h - end-to-end tests: the real binary in a process of its own, spoken to over raw sockets.
 *
 *     struct e2e_server s;
 *     e2e_start(&s, "--heartbeat", "200ms", NULL);
 *     struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
 *     const char *id = e2e_publish(&s, "/news", "hello");
 *     e2e_expect(c, "data: hello\nid: %s\n\n", id);
 *     e2e_stop(&s);
 *
 * Every wait has a deadline (E2E_WAIT_MS), which comes late: a busy machine may be slow, and what
 * is there sooner is seen at once. It is longer than two minutes: a kernel asks ever more rarely,
 * up to that, whether a client that has stopped reading has room again. Time limits of the
 * server's that could strike a slow test are an hour, unless the test sets them (e2e_start()).
 * Every failure is a failed Check assertion that shows what came instead and what the server wrote
 * to stderr. A server gets SIGKILL from the kernel when the test that started it dies, so none is
 * left behind. The binary is $SSE_BIN, by default the one with sanitizers; what they find is on
 * stderr, and a server that wrote there has failed its test.
 *
 * Connections belong to the harness, which keeps them until e2e_close() or the end of the test.
 */
#ifndef SSE_TEST_KIT_E2E_H
#define SSE_TEST_KIT_E2E_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define E2E_WAIT_MS   150000
#define E2E_BINDS_MAX 8

struct e2e_server {
    pid_t pid;
    int out, err; /* its stdout, a pipe; its stderr, a file in memory */
    unsigned addresses;
    char address[E2E_BINDS_MAX][256]; /* as it printed them: "http://127.0.0.1:43211" */
    int port;                         /* of the first; -1: not of the http kind */
    char admin[256];                  /* the first of --admin, likewise; "": there is none */
};

struct e2e_conn {
    struct e2e_conn *next;
    int fd;
    char *buf; /* what came and is not consumed yet: buf[0..n), with a NUL behind */
    size_t n, cap;
    bool eof;
};

struct e2e_response {
    int status;
    char head[8192];       /* with its status line, NUL-ended */
    char body[256 * 1024]; /* NUL-ended */
    size_t size;           /* of the body */
};

/* A block of an event stream. */
struct e2e_block {
    char event[300], id[64], data[4096];
    size_t size; /* of data; lines are joined with "\n" */
    long retry;  /* -1: none */
    bool has_id, has_data;
};

/* ---- the server ---- */

/* Starts the server with these flags (the last argument is NULL) and waits until it has printed an
 * address for each --bind. Before them stand `--port 0 --log warn --drain 0` and an hour for
 * --heartbeat and for the timeouts of requests, idle connections and writes. */
void e2e_start(struct e2e_server *s, ...) __attribute__((sentinel));

/* The same with the flags in an array, and the limit of descriptors (0: as it is). */
void e2e_start_with(struct e2e_server *s, const char *const flags[], unsigned descriptors);

/* Runs the binary with these flags and nothing else until it exits; returns its exit status. What
 * it wrote comes to out and err, each NUL-ended, of E2E_OUTPUT bytes. */
#define E2E_OUTPUT 16384
int e2e_run(const char *const flags[], char *out, char *err);

/* SIGTERM; it must exit with 0 within E2E_WAIT_MS, having written nothing to stderr. */
void e2e_stop(struct e2e_server *s);

/* The same, with `sign`, and with stderr holding `log` (and no sanitizer's report). */
void e2e_stop_log(struct e2e_server *s, int sign, const char *log);

/* SIGKILL, as a crash or the kernel would end it. */
void e2e_kill(struct e2e_server *s);

/* What it has written to stderr so far, in a static buffer. */
const char *e2e_stderr(const struct e2e_server *s);

/* What /proc/PID/status says of the server's memory in `field`, in bytes. */
long e2e_memory(const struct e2e_server *s, const char *field);

/* Returns true if the memory it takes is its own: that of a server with sanitizers is not
 * measured. */
bool e2e_measures(void);

/* Waits until it sleeps: until it has taken hardly a turn for a while. A server that is busy
 * without a reason never does, and fails the test. */
void e2e_rests(const struct e2e_server *s);

/* Connects until there is room for a connection, and returns it. */
struct e2e_conn *e2e_room(const struct e2e_server *s);

/* Prints what every server running wrote to stderr, then fails the test. */
void e2e_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* ---- connections ---- */

/* Connects to its first address, or to the one numbered. */
struct e2e_conn *e2e_open(const struct e2e_server *s);
struct e2e_conn *e2e_open_at(const struct e2e_server *s, unsigned address);

/* Connects to its first address of --admin. */
struct e2e_conn *e2e_open_admin(const struct e2e_server *s);

/* Connects with a receive buffer of so many bytes, to be a slow reader with. */
struct e2e_conn *e2e_open_narrow(const struct e2e_server *s, int bytes);

void e2e_close(struct e2e_conn *c);

/* No more bytes from this side. */
void e2e_half_close(struct e2e_conn *c);

/* Sends it all, or fails. */
void e2e_send(struct e2e_conn *c, const char *text);
void e2e_send_n(struct e2e_conn *c, const void *bytes, size_t n);
void e2e_printf(struct e2e_conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends it a byte at a time, each in a packet of its own. */
void e2e_send_slowly(struct e2e_conn *c, const char *text);

/* Sends as much as the peer takes, until it has taken nothing for `ms`, or `most` bytes. Returns
 * how many. */
size_t e2e_send_some(struct e2e_conn *c, const void *bytes, size_t most, int ms);

/* Receives until so many bytes, this text, or the end are there (an error like ECONNRESET fails).
 * Nothing is consumed. */
void e2e_need(struct e2e_conn *c, size_t n);
char *e2e_until(struct e2e_conn *c, const char *text);
char *e2e_until_or_end(struct e2e_conn *c, const char *text); /* NULL: the end came first */
void e2e_until_end(struct e2e_conn *c);

/* What comes next must be just this; consumes it. */
void e2e_expect(struct e2e_conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The peer must close, with nothing more before it. */
void e2e_expect_end(struct e2e_conn *c);

/* Returns true if anything comes, or the end, within that time. */
bool e2e_comes(struct e2e_conn *c, int ms);

/* Nothing must come for so long. */
void e2e_expect_silence(struct e2e_conn *c, int ms);

/* Drops the first n bytes received. */
void e2e_consume(struct e2e_conn *c, size_t n);

/* ---- HTTP ---- */

/* Reads the next answer; `head` says that it was asked with HEAD. Checks what holds for every
 * answer of this server: a body is delimited by Content-Length, one without Content-Length runs to
 * the end of the connection and is not read here, an error is application/problem+json. */
void e2e_response(struct e2e_conn *c, struct e2e_response *r);
void e2e_response_head(struct e2e_conn *c, struct e2e_response *r);

/* A field's value of the last answer read with r, in a static buffer; NULL: not there. */
const char *e2e_field(const struct e2e_response *r, const char *name);

/* Returns true if the token is in a field that is a list. */
bool e2e_field_has(const struct e2e_response *r, const char *name, const char *token);

/* Opens, sends this text, reads the answer, closes. */
void e2e_ask(const struct e2e_server *s, struct e2e_response *r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same at its first address of --admin. */
void e2e_ask_admin(const struct e2e_server *s, struct e2e_response *r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The answer must have this status and, where it is an error, `detail` in its detail. */
void e2e_expect_status(const struct e2e_response *r, int status, const char *detail);

/* ---- publishing and subscribing ---- */

/* Publishes text over a connection of its own; returns the id, in one of 16 static buffers in
 * turn. */
const char *e2e_publish(const struct e2e_server *s, const char *target, const char *text);

/* The same with any bytes and a Content-Type (NULL: none). */
const char *e2e_publish_as(const struct e2e_server *s, const char *target, const char *type,
                           const void *bytes, size_t n);

/* Publishes over c, which stays open, and does not read the answer. */
void e2e_send_publish(struct e2e_conn *c, const char *target, const void *bytes, size_t n);

/* Subscribes, with more field lines (NULL: none), and reads the head and the opening block: retry
 * and id. */
struct e2e_conn *e2e_subscribe(const struct e2e_server *s, const char *target, const char *fields);

/* The same over c; returns the id of the opening block, in a static buffer. */
const char *e2e_subscribe_on(struct e2e_conn *c, const char *target, const char *fields);

/* Reads the next block of the stream that has an event, a retry or data, or an id; heartbeat lines
 * before it are dropped. */
void e2e_block(struct e2e_conn *c, struct e2e_block *b);

/* The next block must be a message of this event (NULL: none), data and id (NULL: any). */
void e2e_expect_message(struct e2e_conn *c, const char *event, const char *data, const char *id);

/* ---- time ---- */

int64_t e2e_now_ms(void);
void e2e_sleep_ms(int ms);

#endif
