/*
 * abuse_kinds.h - the abuses of load_fair: each is a client that costs itself little and the server
 * much, or that takes room from others.
 *
 * An abuse runs in processes of its own (bench_spawn() of abuse_bench.h), against a server that was
 * started with abuse_flags(). Each process reports 'r' when it has prepared what it needs, then
 * goes on until bench_over(). It may be refused and closed: then it comes again.
 */
#ifndef SSE_TEST_KIT_ABUSE_KINDS_H
#define SSE_TEST_KIT_ABUSE_KINDS_H

#include <stddef.h>

struct abuse_kind {
    const char *name;
    const char *what;        /* it does, for who reads the table */
    void (*run)(int number); /* `number` is another for each process */
    int processes;
};

/* Those over HTTP, and those over WebSockets; either ends with a kind whose name is NULL. */
extern const struct abuse_kind abuse_http[], abuse_sockets[];

/* Prepares a key file, of which abuse_flags() tells the server, and the tokens signed with it. */
void abuse_prepare(void);
const char *abuse_flags(void);

/* The field line with a token for everything. */
const char *abuse_fields(void);

/* Takes the key file away. */
void abuse_tidy(void);

/* ---- between their files --------------------------------------------------------------------- */

/* Tokens: one for everything; one that subscribes and may not publish; one of as many scopes as a
 * token holds. */
extern char abuse_token_all[], abuse_token_reader[], abuse_token_wide[];

/* Writes `text` over and over to out[0..cap), as often as it fits whole. Returns the bytes. */
size_t abuse_repeat(char *out, size_t cap, const char *text);

/* Sends bytes[0..n) over and over, as fast as the server takes them, on connections to which the
 * first `hello` bytes are sent just once, and reads what comes, until it is over. Calls `again`,
 * unless that is NULL, once a second. */
void abuse_pump(int number, const char *bytes, size_t n, size_t hello, void (*again)(int number));

/* Publishes a body, and waits for the answer, whatever it is. */
void abuse_put(int number, const char *target, const char *type, const char *body, size_t n);

/* The address that a process connects from (see bench_connect()). */
static inline unsigned abuse_from(int number)
{
    return 2 + (unsigned)number;
}

/* Reads and drops what has come. Returns 0 where the connection is over. */
int abuse_drop(int fd);

#endif
