/*
 * pub.c - `sse pub`: publishes a text, all of stdin, or each of its lines as it comes.
 *
 * Lines become NDJSON objects in one chunked request, which stays open until stdin ends; the server
 * publishes each complete line at once. An answer before the end is a refusal, and ends the
 * command.
 */
#include "lib/cli/pub.h"

#include "lib/clean.h"
#include "lib/cli/client.h"
#include "lib/cli/help.h"
#include "lib/host/process.h"
#include "lib/json.h"
#include "lib/url.h"
#include "lib/utf8.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define KEY_MAX   230u /* with the number of a line behind it a key has 255 at most */
#define READ_SIZE 16384u
#define OUT_SIZE  (6 * READ_SIZE + (64u << 10)) /* what was read, as JSON, and what stands around */

struct pub {
    const char *text; /* the URL */
    struct url url;
    const char *data, *event, *key, *token;
    bool binary, last, verbose;

    int fd;
    bool connected, lines; /* stdin is read by lines */
    bool broken;           /* the server reads no more: wait for its answer */
    uint64_t since;        /* ms: when bytes last moved */
    bool end;              /* all is in `out` */
    bool bad;              /* line `number` is not UTF-8: nothing is sent from there on */
    bool inside;           /* a line has begun */
    uint64_t number;       /* of the line that comes, from 1 on */
    size_t carry_n;        /* bytes of an incomplete character */
    char carry[4];
    struct client_answer answer;
    struct text out;
    size_t sent; /* of it */
    char out_bytes[OUT_SIZE];
};

static int wrong(const char *what, const char *why)
{
    client_say("pub", what, " ", why, " (sse pub --help tells more)", NULL);
    return EX_USAGE;
}

static int gone(const struct pub *p, const char *why)
{
    client_say("pub", p->text, ": ", why, NULL);
    return EX_UNAVAILABLE;
}

/* ---- what is sent ---------------------------------------------------------------------------- */

/* Begins a chunk, whose size is written when it is known. */
#define CHUNK_HEAD 8u /* six digits, CR, LF */

static size_t chunk_begin(struct pub *p)
{
    text_str(&p->out, "000000\r\n");
    return p->out.n;
}

static void chunk_end(struct pub *p, size_t from)
{
    size_t n = p->out.n - from;
    if (n == 0) {
        p->out.n -= CHUNK_HEAD; /* an empty chunk would end the body */
        return;
    }
    for (unsigned i = 0; i < 6; i++)
        p->out.p[from - 3 - i] = text_digit((unsigned)(n >> 4 * i));
    text_str(&p->out, "\r\n");
}

static void line_begin(struct pub *p)
{
    p->inside = true;
    text_str(&p->out, "{");
    if (p->event != NULL) {
        text_str(&p->out, "\"event\":");
        json_string(&p->out, span_of(p->event));
        text_str(&p->out, ",");
    }
    if (p->key != NULL) {
        char bytes[300];
        struct text key = text_in(bytes, sizeof bytes);
        text_str(&key, p->key);
        text_str(&key, "-");
        text_u64(&key, p->number);
        text_str(&p->out, "\"key\":");
        json_string(&p->out, text_span(&key));
        text_str(&p->out, ",");
    }
    text_str(&p->out, "\"data\":\"");
}

/* Appends a part of a line; an incomplete character at its end is carried over. Returns false if it
 * is not UTF-8. */
static bool line_part(struct pub *p, struct span s)
{
    while (p->carry_n > 0 && s.n > 0) {
        p->carry[p->carry_n++] = s.p[0];
        s = span_from(s, 1);
        if (utf8_valid((struct span){p->carry, p->carry_n}) == p->carry_n) {
            text_add(&p->out, (struct span){p->carry, p->carry_n});
            p->carry_n = 0;
        } else if (p->carry_n == sizeof p->carry) {
            return false;
        }
    }
    size_t good = utf8_valid(s);
    client_json(&p->out, (struct span){s.p, good});
    struct span rest = span_from(s, good);
    struct utf8 u = {0};
    if (rest.n > 3 || utf8_feed(&u, rest) < rest.n)
        return false;
    if (rest.n > 0) {
        memcpy(p->carry, rest.p, rest.n);
        p->carry_n = rest.n;
    }
    return true;
}

/* Makes messages of the bytes of stdin, or of its end. At a line that is not UTF-8 it stops and
 * removes that line; if its front was sent, the server refuses it. */
static void take_lines(struct pub *p, struct span s, bool end)
{
    size_t from = p->out.n;
    while (s.n > 0 || (end && p->inside)) {
        const char *lf = s.n > 0 ? memchr(s.p, '\n', s.n) : NULL;
        size_t n = lf != NULL ? (size_t)(lf - s.p) : s.n;
        if (!p->inside) {
            from = p->out.n;
            line_begin(p);
        }
        p->bad = !line_part(p, (struct span){s.p, n}) || (p->carry_n > 0 && (lf != NULL || end));
        if (p->bad) {
            p->out.n = from;
            p->end = true;
            return;
        }
        s = span_from(s, lf != NULL ? n + 1 : n);
        if (lf == NULL && !end)
            break;
        text_str(&p->out, "\"}\n");
        p->inside = false;
        p->number++;
    }
}

/* Reads stdin once into messages in `out`, which is empty. Returns 0, or an exit code. */
static int read_stdin(struct pub *p)
{
    char bytes[READ_SIZE];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    if (n == -1 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n == -1) {
        client_say("pub", "cannot read stdin: ", strerror(errno), NULL);
        return EX_NOINPUT;
    }
    size_t from = chunk_begin(p);
    struct span got = {bytes, (size_t)n};
    p->end = n == 0;
    p->since = client_now();
    if (p->lines)
        take_lines(p, got, n == 0);
    else
        text_add(&p->out, got);
    chunk_end(p, from);
    if (p->end)
        text_str(&p->out, "0\r\n\r\n");
    return p->out.full ? EX_SOFTWARE : 0;
}

/* Puts the head of the request into `out`, with TEXT if it fits. Returns 0, or an exit code. */
static int write_head(struct pub *p)
{
    char bytes[2048];
    struct text query = text_in(bytes, sizeof bytes);
    size_t n = p->data != NULL ? strlen(p->data) : 0;
    for (const char *e = p->lines ? NULL : p->event; e != NULL && *e != '\0'; e++) {
        text_str(&query, e == p->event ? "event=" : "");
        url_escape(&query, *e);
    }
    if (p->last)
        text_str(&query, query.n > 0 ? "&end" : "end");
    for (const char *k = p->lines ? NULL : p->key; k != NULL && *k != '\0'; k++) {
        text_str(&query, k > p->key ? "" : query.n > 0 ? "&key=" : "key=");
        url_escape(&query, *k);
    }
    client_request(&p->out, "POST", &p->url, text_span(&query), p->token);
    http_add(&p->out, "Content-Type",
             p->lines    ? SPAN("application/x-ndjson")
             : p->binary ? SPAN("application/octet-stream")
                         : SPAN("text/plain; charset=utf-8"));
    text_str(&p->out, "Connection: close\r\n");
    if (p->data == NULL) {
        text_str(&p->out, "Transfer-Encoding: chunked\r\n\r\n");
    } else {
        text_str(&p->out, "Content-Length: ");
        text_u64(&p->out, n);
        text_str(&p->out, "\r\n\r\n");
        text_add(&p->out, (struct span){p->data, n});
        p->end = true;
    }
    if (!p->out.full && !query.full)
        return 0;
    return wrong(p->data != NULL ? "TEXT" : p->text,
                 "is too long: send it on stdin, with --binary");
}

/* ---- what comes back ------------------------------------------------------------------------- */

static int bad_line(const struct pub *p)
{
    char number[24];
    struct text t = text_for_string(number, sizeof number);
    text_u64(&t, p->number);
    client_say("pub", "line ", text_string(&t), " is not UTF-8: those before it are published; ",
               "--binary publishes all of stdin as it is", NULL);
    return EX_DATAERR;
}

/* Reports the complete answer. Returns the exit code. */
static int finish(const struct pub *p)
{
    const struct client_answer *a = &p->answer;
    char bytes[2400], id[128] = "none", count[24] = "1";
    struct text why = text_for_string(bytes, sizeof bytes);
    struct json_value v, member;
    struct span name;
    size_t at, pos = 0;
    if (p->bad && a->reply.status <= 400)
        return bad_line(p);
    if (a->reply.status < 200 || a->reply.status > 299) {
        client_reason(a, &why);
        client_say("pub", p->text, ": ", text_string(&why), NULL);
        return client_code(a->reply.status);
    }
    if (json_read((struct span){a->bytes + a->head, a->size}, &v, &at) && v.kind == JSON_OBJECT)
        while (json_next(&v, &pos, &name, &member)) {
            if (span_eq(name, SPAN("id")) && member.kind == JSON_STRING && member.raw.n < sizeof id)
                id[json_unescape(member.raw, id)] = '\0';
            if (span_eq(name, SPAN("count")) && member.raw.n < sizeof count) {
                memcpy(count, member.raw.p, member.raw.n);
                count[member.raw.n] = '\0';
            }
        }
    if (p->verbose)
        client_say("pub", count, " published, the last id is ", id, NULL);
    return p->end && p->sent == p->out.n ? EX_OK
                                         : gone(p, "the server stopped reading before the end");
}

/* Reads the answer once. Returns -1 to go on, or the exit code. */
static int receive(struct pub *p)
{
    struct client_answer *a = &p->answer;
    ssize_t n = read(p->fd, a->bytes + a->n, CLIENT_ANSWER - a->n);
    if (n == -1 && (errno == EINTR || errno == EAGAIN))
        return -1;
    if (a->n == 0)
        p->since = client_now(); /* an answer that has begun must end in time */
    a->n += n > 0 ? (size_t)n : 0;
    bool end = n <= 0;
    int head = client_answer_head(a);
    if (head < 0) {
        client_say("pub", p->text, ": its answer is no HTTP", NULL);
        return EX_PROTOCOL;
    }
    if (head > 0 && (!client_answer_body(a, end) || a->done || end || a->n == CLIENT_ANSWER))
        return finish(p);
    return end ? gone(p, n == -1 ? strerror(errno) : "the connection was closed before an answer")
               : -1;
}

/* Sends pending bytes. Returns false with errno set on failure. */
static bool send_some(struct pub *p)
{
    ssize_t w = send(p->fd, p->out.p + p->sent, p->out.n - p->sent, MSG_NOSIGNAL);
    if (w == -1 && errno != EAGAIN && errno != EINTR)
        return false;
    p->sent += w > 0 ? (size_t)w : 0;
    if (w > 0)
        p->since = client_now();
    if (p->sent == p->out.n && !p->end)
        p->sent = p->out.n = 0;
    return true;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Returns how long to wait, in ms; -1: for ever, for stdin. */
static int patience(const struct pub *p, bool pending)
{
    bool begun = p->answer.n > 0;
    if (p->connected && !pending && !p->end && !p->broken && !begun)
        return -1;
    uint64_t most = begun                        ? CLIENT_REST_MS
                    : p->connected && !p->broken ? CLIENT_ANSWER_MS
                                                 : CLIENT_CONNECT_MS;
    uint64_t gone_by = client_now() - p->since;
    return gone_by < most ? (int)(most - gone_by) : 0;
}

/* Waits for an event and handles it. Returns -1 to go on, or the exit code. */
static int turn(struct pub *p)
{
    bool pending = p->sent < p->out.n && !p->broken;
    int wait = patience(p, pending);
    struct pollfd f[] = {{p->fd, (short)(POLLIN | (pending ? POLLOUT : 0)), 0},
                         {p->connected && !pending && !p->end && !p->broken ? STDIN_FILENO : -1,
                          POLLIN, 0}};
    int n = poll(f, 2, wait);
    if (n == -1 && errno != EINTR) {
        client_say("pub", "poll: ", strerror(errno), NULL);
        return EX_OSERR;
    }
    if (n == 0 || wait == 0)
        return gone(p, pending && p->connected ? "the server does not take what is published"
                                               : "there was no answer in time");
    if (n > 0 && f[0].revents != 0 && !p->connected) {
        int err = client_connected(p->fd);
        if (err != 0)
            return -2 - err;
        p->connected = true;
        p->since = client_now();
    }
    if (f[0].revents & (POLLIN | POLLHUP | POLLERR)) {
        int code = receive(p);
        if (code >= 0)
            return code;
    }
    if (f[0].revents & POLLOUT && pending && !send_some(p)) {
        p->broken = true; /* there may be a refusal to read */
        p->since = client_now();
    }
    if (f[1].revents != 0) {
        int code = read_stdin(p);
        if (code != 0)
            return code;
    }
    return -1;
}

/* Publishes at one of the server's addresses. Returns the exit code; -2 - errno if the server is
 * unreachable there. */
static int publish(struct pub *p, const struct client_places *places, unsigned which)
{
    int code = -1;
    p->since = client_now();
    p->fd = client_connect(places, which);
    if (p->fd == -1)
        return -2 - errno;
    while (code == -1)
        code = turn(p);
    close(p->fd);
    return code;
}

/* ---- the command line ------------------------------------------------------------------------ */

/* Handles one argument. Returns 0, or an exit code. */
static int argument(struct pub *p, int argc, char **argv, int *i, bool *plain)
{
    const char *name = argv[*i], *value = "";
    if (name[0] != '-' || name[1] == '\0' || *plain) {
        if (p->text != NULL && p->data != NULL)
            return wrong(name, "is one argument too many");
        *(p->text == NULL ? &p->text : &p->data) = name;
    } else if (strcmp(name, "--") == 0) {
        *plain = true;
    } else if (strcmp(name, "--binary") == 0) {
        p->binary = true;
    } else if (strcmp(name, "--end") == 0) {
        p->last = true;
    } else if (strcmp(name, "--verbose") == 0 || strcmp(name, "-v") == 0) {
        p->verbose = true;
    } else if (client_flag(argc, argv, i, "--event", &value)) {
        p->event = value;
    } else if (client_flag(argc, argv, i, "--key", &value)) {
        p->key = value;
    } else if (client_flag(argc, argv, i, "--token", &value)) {
        p->token = value;
    } else {
        return wrong(name, "is no flag of this command");
    }
    return value == NULL ? wrong(name, "needs a value") : 0;
}

/* Reads the command line. Returns 0, or an exit code. */
static int read_line(struct pub *p, int argc, char **argv)
{
    bool plain = false;
    int code = 0;
    p->token = getenv("SSE_TOKEN");
    if (p->token != NULL && p->token[0] == '\0')
        p->token = NULL;
    for (int i = 1; i < argc && code == 0; i++)
        code = argument(p, argc, argv, &i, &plain);
    if (code != 0)
        return code;
    if (p->text == NULL)
        return wrong("a URL", "is missing");
    const char *bad = url_read(span_of(p->text), &p->url);
    if (bad != NULL)
        return wrong(p->text, bad);
    if (p->token != NULL && (p->token[0] == '\0' || !clean_all_visible(span_of(p->token))))
        return wrong("the token", "holds a blank, or a byte that is not ASCII");
    if (p->event != NULL &&
        (strlen(p->event) > 255 || utf8_valid(span_of(p->event)) < strlen(p->event)))
        return wrong("--event", "is longer than 255 bytes, or not UTF-8");
    if (p->key != NULL && (p->key[0] == '\0' || strlen(p->key) > KEY_MAX ||
                           utf8_valid(span_of(p->key)) < strlen(p->key)))
        return wrong("--key", "has 1 to 230 bytes, and is UTF-8");
    return 0;
}

int pub_run(int argc, char **argv)
{
    struct pub p = {.number = 1};
    struct client_places places;
    char bytes[256];
    struct text why = text_for_string(bytes, sizeof bytes);
    process_open_standard();
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help_print("pub");
    int code = read_line(&p, argc, argv);
    if (code != 0)
        return code;
    p.lines = p.data == NULL && !p.binary;
    p.out = text_in(p.out_bytes, sizeof p.out_bytes);
    if (!client_resolve(&p.url, &places, &why)) {
        client_say("pub", p.text, ": ", text_string(&why), NULL);
        return EX_NOHOST;
    }
    if ((code = write_head(&p)) != 0)
        return code;
    for (unsigned i = 0; i < places.n; i++)
        if ((code = publish(&p, &places, i)) > -2)
            return code;
    return gone(&p, strerror(-2 - code));
}
