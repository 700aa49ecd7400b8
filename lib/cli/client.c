/*
 * client.c - what the client commands share.
 */
#include "lib/cli/client.h"

#include "lib/addr.h"
#include "lib/clean.h"
#include "lib/json.h"
#include "lib/unit.h"
#include "lib/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define HOSTS_MAX 65536 /* bytes of /etc/hosts that are read */

/* ---- flags and messages ---------------------------------------------------------------------- */

void client_say(const char *command, ...)
{
    char line[2048];
    struct text t = text_in(line, sizeof line - 1);
    va_list ap;
    text_str(&t, "sse ");
    text_str(&t, command);
    text_str(&t, ": ");
    va_start(ap, command);
    for (const char *part; (part = va_arg(ap, const char *)) != NULL;)
        clean_text(&t, span_of(part), false);
    va_end(ap);
    line[t.n] = '\n';
    ssize_t w = write(STDERR_FILENO, line, t.n + 1);
    (void)w; /* there is nowhere to report a failure */
}

bool client_flag(int argc, char **argv, int *i, const char *name, const char **value)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0 || (argv[*i][n] != '\0' && argv[*i][n] != '='))
        return false;
    if (argv[*i][n] == '=')
        *value = argv[*i] + n + 1;
    else
        *value = *i + 1 < argc ? argv[++*i] : NULL;
    return true;
}

bool client_time(const char *s, uint64_t *ms)
{
    return unit_read(span_of(s), UNIT_TIME, ms) && *ms <= CLIENT_TIME_MAX_MS;
}

uint64_t client_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t client_jitter(uint64_t ms)
{
    uint64_t random = 0;
    if (ms > CLIENT_RETRY_MAX_MS)
        ms = CLIENT_RETRY_MAX_MS;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) == (ssize_t)sizeof random)
        ms += random % (ms / 2 + 1) - ms / 4;
    return ms < CLIENT_RETRY_MIN_MS   ? CLIENT_RETRY_MIN_MS
           : ms > CLIENT_RETRY_MAX_MS ? CLIENT_RETRY_MAX_MS
                                      : ms;
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* Adds an address. Returns false if it is not one. */
static bool add_place(struct client_places *p, struct span address, uint16_t port)
{
    if (p->n == CLIENT_PLACES || span_begins(address, SPAN("unix:")) ||
        !addr_read(address, port, &p->place[p->n].a, &p->place[p->n].len))
        return false;
    p->n++;
    return true;
}

/* Cuts the next word off a line, and the blanks before it; empty at the end. */
static struct span word(struct span *line)
{
    size_t n = 0;
    *line = span_trim(*line);
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t')
        n++;
    struct span w = {line->p, n};
    *line = span_from(*line, n);
    return w;
}

/* Adds the addresses that /etc/hosts has for a name. */
static void add_hosts(struct client_places *p, struct span name, uint16_t port)
{
    char bytes[HOSTS_MAX];
    size_t n = 0;
    ssize_t got;
    int fd = open("/etc/hosts", O_RDONLY | O_CLOEXEC);
    while (fd != -1 && n < sizeof bytes && (got = read(fd, bytes + n, sizeof bytes - n)) > 0)
        n += (size_t)got;
    if (fd != -1)
        close(fd);
    for (struct span rest = {bytes, n}; rest.n > 0;) {
        struct span line = span_cut(&rest, '\n');
        line = span_cut(&line, '#');
        struct span address = word(&line), host;
        while (address.n > 0 && (host = word(&line)).n > 0)
            if (span_same(host, name)) {
                add_place(p, address, port);
                break;
            }
    }
}

bool client_resolve(const struct url *u, struct client_places *p, struct text *why)
{
    p->n = 0;
    if (u->local) {
        char bytes[128];
        struct text t = text_in(bytes, sizeof bytes);
        text_str(&t, "unix:");
        text_add(&t, u->host);
        if (addr_read(text_span(&t), 0, &p->place[0].a, &p->place[0].len))
            p->n = 1;
    } else if (!add_place(p, u->host, u->port)) {
        add_hosts(p, u->host, u->port);
        if (p->n == 0 && span_same(u->host, SPAN("localhost"))) {
            add_place(p, SPAN("127.0.0.1"), u->port);
            add_place(p, SPAN("::1"), u->port);
        }
    }
    if (p->n > 0)
        return true;
    text_str(why, "there is no address of ");
    text_add(why, u->host);
    text_str(why, " in /etc/hosts, where alone names are looked up: give an address");
    return false;
}

int client_connect(const struct client_places *p, unsigned which)
{
    int one = 1, idle = 30, patience = 60000;
    const struct sockaddr *a = (const struct sockaddr *)&p->place[which].a;
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    if (a->sa_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        /* detects a server that vanished */
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
    }
    if (connect(fd, a, p->place[which].len) == 0 || errno == EINPROGRESS)
        return fd;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

int client_connected(int fd)
{
    int err = 0;
    socklen_t len = sizeof err;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1 ? errno : err;
}

void client_request(struct text *t, const char *method, const struct url *u, struct span more,
                    const char *token)
{
    text_str(t, method);
    text_str(t, " ");
    text_add(t, u->target);
    if (more.n > 0)
        text_str(t, memchr(u->target.p, '?', u->target.n) != NULL ? "&" : "?");
    text_add(t, more);
    text_str(t, " HTTP/1.1\r\n");
    http_add(t, "Host", u->authority);
    http_add(t, "User-Agent", SPAN("sse"));
    if (token != NULL) {
        text_str(t, "Authorization: Bearer ");
        text_str(t, token);
        text_str(t, "\r\n");
    }
}

/* ---- the answer ------------------------------------------------------------------------------ */

int client_answer_head(struct client_answer *a)
{
    int n;
    while (a->head == 0 && (n = reply_read((struct span){a->bytes, a->n}, &a->reply)) != 0) {
        if (n < 0 || a->reply.status == 101)
            return -1;
        if (a->reply.status >= 200) {
            const struct http_request like = {.chunked = a->reply.chunked,
                                              .length = a->reply.sized ? a->reply.length : 0};
            a->head = (size_t)n;
            http_body_init(&a->body, &like);
        } else {
            memmove(a->bytes, a->bytes + n, a->n - (size_t)n);
            a->n -= (size_t)n;
        }
    }
    return a->head > 0 ? 1 : a->n == CLIENT_ANSWER ? -1 : 0;
}

bool client_answer_body(struct client_answer *a, bool end)
{
    char *from = a->bytes + a->head + a->size;
    size_t len = a->n - a->head - a->size, took, got;
    if (!a->reply.chunked && !a->reply.sized) {
        a->size += len;
        a->done = end;
        return true;
    }
    int result = http_body_decode(&a->body, from, len, &took, &got);
    if (result < 0)
        return false;
    a->done = result == 1;
    a->size += got;
    a->n = a->head + a->size; /* bytes after it are ignored */
    return a->done || !end;
}

void client_reason(const struct client_answer *a, struct text *t)
{
    struct json_value v, member;
    struct span name, body = {a->bytes + a->head, a->size};
    size_t at, pos = 0;
    text_u64(t, (uint64_t)a->reply.status);
    text_str(t, " ");
    text_str(t, http_reason(a->reply.status));
    if (a->reply.location.n > 0) {
        text_str(t, ": it is at ");
        text_add(t, a->reply.location);
    }
    if (!span_same(a->reply.type, SPAN("application/problem+json")) || !json_read(body, &v, &at) ||
        v.kind != JSON_OBJECT)
        return;
    while (json_next(&v, &pos, &name, &member))
        if (span_eq(name, SPAN("detail")) && member.kind == JSON_STRING && member.raw.n <= 2048) {
            char detail[2048];
            text_str(t, ": ");
            text_add(t, (struct span){detail, json_unescape(member.raw, detail)});
        }
}

int client_code(int status)
{
    return status == 401 || status == 403 ? EX_NOPERM
           : status >= 500                ? EX_UNAVAILABLE
           : status >= 400                ? EX_DATAERR
                                          : EX_PROTOCOL;
}

void client_json(struct text *t, struct span s)
{
    while (s.n > 0) {
        size_t good = utf8_valid(s), at = t->n;
        json_string(t, (struct span){s.p, good});
        if (t->n >= at + 2) { /* without its quotes */
            memmove(t->p + at, t->p + at + 1, t->n - at - 2);
            t->n -= 2;
        }
        s = span_from(s, good);
        if (s.n > 0) {
            text_str(t, "\xEF\xBF\xBD");
            s = span_from(s, 1);
        }
    }
}
