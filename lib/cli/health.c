/*
 * health.c - checks whether a server is ready.
 *
 * The socket blocks, and the timeout of each call is the time left.
 */
#include "lib/cli/health.h"

#include "lib/addr.h"
#include "lib/clean.h"
#include "lib/cli/help.h"
#include "lib/json.h"
#include "lib/opt.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_S     3u
#define TIMEOUT_MAX_S 3600u

struct health {
    struct sockaddr_storage address;
    socklen_t len;
    struct span path; /* of the URL */
    uint64_t seconds; /* it may take */
    int64_t until_us;
    char said[4096]; /* the answer */
    size_t n;
};

/* ---- what is said about it ------------------------------------------------------------------- */

/* Writes a line. Returns the code, or EX_IOERR if it cannot be written. */
static int say(int fd, struct text *t, int code)
{
    text_str(t, "\n");
    return write(fd, t->p, t->n) == (ssize_t)t->n ? code : EX_IOERR;
}

/* Reports an error: the texts, with `s` between them. */
static int complain(int code, const char *before, struct span s, const char *behind)
{
    char bytes[2048];
    struct text t = text_in(bytes, sizeof bytes);
    text_str(&t, "sse health: ");
    text_str(&t, before);
    text_add(&t, s);
    text_str(&t, behind);
    return say(STDERR_FILENO, &t, code);
}

/* Complains of the server. */
static int not_ready(const struct health *h, const char *what, struct span detail)
{
    char bytes[sizeof h->said + 512];
    struct text t = text_in(bytes, sizeof bytes);
    text_str(&t, "sse health: ");
    addr_write(&t, &h->address);
    text_str(&t, what);
    text_add(&t, detail);
    return say(STDERR_FILENO, &t, EX_UNAVAILABLE);
}

static int failed(const struct health *h, int err)
{
    char bytes[64];
    struct text t = text_in(bytes, sizeof bytes);
    if (err != EAGAIN && err != EINPROGRESS && err != ETIMEDOUT)
        return not_ready(h, ": ", span_of(strerror(err)));
    text_u64(&t, h->seconds);
    text_str(&t, " s");
    return not_ready(h, ": no answer within ", text_span(&t));
}

/* ---- the arguments --------------------------------------------------------------------------- */

/* Reads http://ADDR[:PORT][/PATH] or unix:PATH. */
static bool read_url(struct health *h, struct span url)
{
    uint64_t port = 80;
    if (span_begins(url, SPAN("unix:")))
        return addr_read(url, 0, &h->address, &h->len);
    struct span rest = span_from(url, SPAN("http://").n), host = span_cut(&rest, '/');
    if (rest.n > 0)
        h->path = (struct span){rest.p - 1, rest.n + 1};
    size_t colon = host.n;
    while (colon > 0 && host.p[colon - 1] >= '0' && host.p[colon - 1] <= '9')
        colon--;
    bool numbered = colon > 0 && host.p[colon - 1] == ':';
    if (numbered && (!span_u64(span_from(host, colon), &port) || port == 0 || port > UINT16_MAX))
        return false;
    if (numbered)
        host.n = colon - 1;
    if (span_same(host, SPAN("localhost")))
        host = SPAN("127.0.0.1");
    return addr_read(host, (uint16_t)port, &h->address, &h->len);
}

/* Determines the address of a server with these flags. Returns -1, or the exit code. */
static int read_options(struct health *h, int argc, char **argv)
{
    struct opt opt;
    char bytes[1024];
    struct text err = text_in(bytes, sizeof bytes);
    switch (opt_parse(&opt, argc, argv, environ, &err)) {
    case OPT_HELP:
        return help_print("health");
    case OPT_VERSION:
        return write(STDOUT_FILENO, opt_version(), strlen(opt_version())) == -1 ? EX_IOERR : EX_OK;
    case OPT_WRONG:
        return complain(EX_USAGE, "", text_span(&err), " (sse health --help tells more)");
    case OPT_EXPLAIN:
        return complain(EX_USAGE, "--explain-limits", SPAN(""), " is a flag of the server");
    case OPT_RUN:
        break;
    }
    struct span bind = opt.bind.item[0];
    if (!addr_read_port(bind, opt.port, &h->address, &h->len))
        return complain(
            EX_USAGE, "--bind ", bind,
            span_eq(bind, SPAN("localhost"))
                ? ": must be an IPv4 or IPv6 address: 127.0.0.1"
                : ": must be an IPv4 or IPv6 address, perhaps with :PORT behind, or unix:PATH "
                  "of at most 107 bytes");
    if (addr_port(&h->address) == 0)
        return complain(EX_USAGE, "--port 0", SPAN(""), ": must be the one the server has");
    return -1;
}

/* Reads the arguments. Returns -1, or the exit code. */
static int read_arguments(struct health *h, int argc, char **argv)
{
    if (argc > 1 && span_begins(span_of(argv[1]), SPAN("--timeout"))) {
        struct span value = span_of(argv[1]), name = span_cut(&value, '=');
        if (span_eq(name, SPAN("--timeout"))) {
            int skip = value.p == NULL ? 2 : 1;
            if (skip == 2)
                value = span_of(argc > 2 ? argv[2] : NULL);
            if (!span_u64(value, &h->seconds) || h->seconds == 0 || h->seconds > TIMEOUT_MAX_S)
                return complain(EX_USAGE, "--timeout ", value, ": must be seconds from 1 to 3600");
            argc -= skip;
            argv += skip;
        }
    }
    struct span url = span_of(argc > 1 ? argv[1] : NULL);
    if (!span_begins(url, SPAN("http://")) && !span_begins(url, SPAN("unix:")))
        return read_options(h, argc, argv);
    if (argc > 2)
        return complain(EX_USAGE, "unexpected argument ", span_of(argv[2]), " behind the URL");
    if (!read_url(h, url) || !clean_all_visible(h->path))
        return complain(EX_USAGE, "", url,
                        ": must be http://ADDR[:PORT][/PATH] with an IPv4 or IPv6 address, or "
                        "unix:PATH of at most 107 bytes");
    return -1;
}

/* ---- the request ----------------------------------------------------------------------------- */

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Sets the timeout of the next call (SO_RCVTIMEO: receiving) to the time left. Returns false if
 * none is left. */
static bool limit(const struct health *h, int fd, int which)
{
    int64_t left = h->until_us - now_us();
    struct timeval t = {left / 1000000, left % 1000000};
    errno = ETIMEDOUT;
    return left > 0 && setsockopt(fd, SOL_SOCKET, which, &t, sizeof t) == 0;
}

/* Sends the request, and receives the answer as far as there is room. Returns false with errno set
 * on failure. */
static bool ask(struct health *h, int fd)
{
    char bytes[4096];
    struct text t = text_in(bytes, sizeof bytes);
    text_str(&t, "GET ");
    text_add(&t, h->path);
    text_str(&t, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    errno = EMSGSIZE;
    if (t.full || !limit(h, fd, SO_SNDTIMEO) ||
        connect(fd, (const struct sockaddr *)&h->address, h->len) == -1 ||
        send(fd, t.p, t.n, MSG_NOSIGNAL) != (ssize_t)t.n)
        return false;
    while (h->n < sizeof h->said) {
        if (!limit(h, fd, SO_RCVTIMEO))
            return false;
        ssize_t n = recv(fd, h->said + h->n, sizeof h->said - h->n, 0);
        if (n <= 0)
            return n == 0;
        h->n += (size_t)n;
    }
    return true;
}

/* Returns the detail of a refusal (problem.h), or the answer's first line. */
static struct span reason(struct health *h)
{
    struct span body = {h->said, h->n}, line = body, field, name;
    struct json_value all, member;
    size_t at = 0;
    line = span_cut(&line, '\r');
    do
        field = span_cut(&body, '\n');
    while (field.n > 1); /* the line that ends the head is only a CR */
    if (!json_read(body, &all, &at) || all.kind != JSON_OBJECT)
        return line;
    at = 0;
    while (json_next(&all, &at, &name, &member))
        if (span_eq(name, SPAN("detail")) && member.kind == JSON_STRING)
            return (struct span){h->said, json_unescape(member.raw, h->said)};
    return line;
}

int health_run(int argc, char **argv)
{
    struct health h = {.path = SPAN("/-/ready"), .seconds = TIMEOUT_S};
    int code = read_arguments(&h, argc, argv);
    if (code >= 0)
        return code;
    h.until_us = now_us() + (int64_t)h.seconds * 1000000;
    int fd = socket(h.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return failed(&h, errno);
    bool answered = ask(&h, fd);
    int err = errno;
    close(fd);
    if (!answered)
        return failed(&h, err);
    struct span said = {h.said, h.n};
    if (!span_begins(said, SPAN("HTTP/1.1 ")) && !span_begins(said, SPAN("HTTP/1.0 ")))
        return not_ready(&h, " does not answer in HTTP", SPAN(""));
    if (!span_begins(span_from(said, SPAN("HTTP/1.1 ").n), SPAN("200 ")))
        return not_ready(&h, " is not ready: ", reason(&h));
    return EX_OK;
}
