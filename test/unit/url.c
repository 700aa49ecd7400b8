/*
 * url.c - url.h and reply.h: where a client goes, and what it is answered.
 */
#include "lib/url.h"

#include "lib/reply.h"
#include "test/kit/kit.h"

/* ---- URLs ---- */

START_TEST(escapes)
{
    char buf[16];
    struct text t = text_in(buf, sizeof(buf));
    url_escape(&t, ' ');
    url_escape(&t, '\xaf');
    url_escape(&t, '\0');
    ck_assert(span_eq(text_span(&t), SPAN("%20%AF%00")));
}
END_TEST

static const struct {
    int line;
    const char *url;
    bool local;
    const char *host, *authority;
    unsigned port;
    const char *target;
} urls[] = {
    {__LINE__, "http://127.0.0.1:8080/news", false, "127.0.0.1", "127.0.0.1:8080", 8080, "/news"},
    {__LINE__, "http://h/a,b/c/**?since=-5&x", false, "h", "h", 80, "/a,b/c/**?since=-5&x"},
    {__LINE__, "localhost:8080/news", false, "localhost", "localhost:8080", 8080, "/news"},
    {__LINE__, "h/news", false, "h", "h", 80, "/news"},
    {__LINE__, "h:/news", false, "h", "h:", 80, "/news"},
    {__LINE__, "http://[::1]:8080/n", false, "::1", "[::1]:8080", 8080, "/n"},
    {__LINE__, "[::1]/n", false, "::1", "[::1]", 80, "/n"},
    {__LINE__, "http://h:65535/n%20n", false, "h", "h:65535", 65535, "/n%20n"},
    {__LINE__, "unix:/run/sse.sock:/news?a=b", true, "/run/sse.sock", "localhost", 0, "/news?a=b"},
    {__LINE__, "unix:s:/a:/b", true, "s", "localhost", 0, "/a:/b"},
};

START_TEST(reads_urls)
{
    struct url u;
    struct span s = span_of(urls[_i].url);
    char *copy = on_heap(s);
    const char *wrong = url_read((struct span){copy, s.n}, &u);
    ck_assert_msg(wrong == NULL, "line %d: %s", urls[_i].line, wrong);
    ck_assert(u.local == urls[_i].local && u.port == urls[_i].port);
    ck_assert(span_eq(u.host, span_of(urls[_i].host)));
    ck_assert(span_eq(u.authority, span_of(urls[_i].authority)));
    ck_assert(span_eq(u.target, span_of(urls[_i].target)));
    free(copy);
}
END_TEST

static const struct {
    int line;
    const char *url, *wrong;
} wrong_urls[] = {
    {__LINE__, "", "names no host"},
    {__LINE__, "/news", "names no host"},
    {__LINE__, "http://:80/n", "names no host"},
    {__LINE__, "http://h", "names no topic"},
    {__LINE__, "http://h/", "names no topic"},
    {__LINE__, "http://h/?x=y", "names no topic"},
    {__LINE__, "h", "names no topic"},
    {__LINE__, "https://h/n", "asks for TLS"},
    {__LINE__, "ftp://h/n", "is of a scheme other"},
    {__LINE__, "http://h:0/n", "has a port"},
    {__LINE__, "http://h:65536/n", "has a port"},
    {__LINE__, "http://h:x/n", "has a port"},
    {__LINE__, "http://h:1:2/n", "has a port"},
    {__LINE__, "http://a:b@h/n", "holds a user"},
    {__LINE__, "http://a@h/n", "holds a user"},
    {__LINE__, "http://[::1/n", "has a \"[\""},
    {__LINE__, "http://[::1]8/n", "has something other"},
    {__LINE__, "http://h/n n", "holds a byte"},
    {__LINE__, "http://h/n\r\nX: y", "holds a byte"},
    {__LINE__, "http://h\r\n/n", "holds a byte"},
    {__LINE__, "http://h/\xC3\xA9", "holds a byte"},
    {__LINE__, "http://h/n#x", "holds a byte"},
    {__LINE__, "unix:/run/s", "names no topic"},
    {__LINE__, "unix::/n", "has a path of a socket"},
    {__LINE__, "unix:", "has a path of a socket"},
};

START_TEST(refuses_urls)
{
    struct url u;
    const char *wrong = url_read(span_of(wrong_urls[_i].url), &u);
    ck_assert_msg(wrong != NULL &&
                      strncmp(wrong, wrong_urls[_i].wrong, strlen(wrong_urls[_i].wrong)) == 0,
                  "line %d: %s", wrong_urls[_i].line, wrong != NULL ? wrong : "right");
}
END_TEST

/* ---- answers ---- */

#define OK "HTTP/1.1 200 OK\r\n"

static const struct {
    int line;
    struct span head;
    const char *read; /* NULL: it is none */
} heads[] = {
    {__LINE__, BYTES(OK "\r\n"), "200 type= location= retry=0"},
    {__LINE__, BYTES("HTTP/1.0 404 \r\n\r\n"), "404 type= location= retry=0"},
    {__LINE__, BYTES("HTTP/1.1 404\r\n\r\n"), "404 type= location= retry=0"},
    {__LINE__, BYTES("HTTP/1.1 100 Continue\r\n\r\n"), "100 sized=0 type= location= retry=0"},
    {__LINE__, BYTES("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n"),
     "204 sized=0 type= location= retry=0"},
    {__LINE__, BYTES(OK "Content-Type: text/event-stream; charset=x\r\nX: \r\n\r\n"),
     "200 type=text/event-stream location= retry=0"},
    {__LINE__, BYTES(OK "cONTENT-lENGTH:5\r\nContent-Length: 5 \r\n\r\n"),
     "200 sized=5 type= location= retry=0"},
    {__LINE__, BYTES(OK "Transfer-Encoding: Chunked\r\n\r\n"),
     "200 chunked type= location= retry=0"},
    {__LINE__, BYTES("HTTP/1.1 503 x\r\nRetry-After: 7\r\nLocation: /y\r\n\r\n"),
     "503 type= location=/y retry=7"},
    {__LINE__, BYTES("HTTP/1.1 503 x\r\nRetry-After: Wed, 21 Oct 2015\r\n\r\n"),
     "503 type= location= retry=0"},
    {__LINE__, BYTES("HTTP/2 200 OK\r\n\r\n"), NULL},
    {__LINE__, BYTES("HTTP/1.1 20 OK\r\n\r\n"), NULL},
    {__LINE__, BYTES("HTTP/1.1 2000\r\n\r\n"), NULL},
    {__LINE__, BYTES("HTTP/1.1 099 x\r\n\r\n"), NULL},
    {__LINE__, BYTES("HTTP/1.1 600 x\r\n\r\n"), NULL},
    {__LINE__, BYTES("HTTP/1.1\r\n\r\n"), NULL},
    {__LINE__, BYTES("\r\n"), NULL},
    {__LINE__, BYTES("SSH-2.0-x\r\n"), NULL},
    {__LINE__, BYTES("HTTP/1.1 200 OK\n\n"), NULL},
    {__LINE__, BYTES(OK "X: a\rb\r\n\r\n"), NULL},
    {__LINE__, BYTES(OK "X: a\0b\r\n\r\n"), NULL},
    {__LINE__, BYTES(OK "X : a\r\n\r\n"), NULL},
    {__LINE__, BYTES(OK " folded: a\r\n\r\n"), NULL},
    {__LINE__, BYTES(OK ": a\r\n\r\n"), NULL},
    {__LINE__, BYTES(OK "nothing\r\n\r\n"), NULL},
    {__LINE__, BYTES(OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), NULL},
    {__LINE__, BYTES(OK "Content-Length: 5, 5\r\n\r\n"), NULL},
    {__LINE__, BYTES(OK "Content-Length: 9223372036854775808\r\n\r\n"), NULL},
    {__LINE__, BYTES(OK "Transfer-Encoding: gzip\r\n\r\n"), NULL},
    {__LINE__, BYTES(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), NULL},
};

START_TEST(reads_heads)
{
    struct span s = heads[_i].head;
    char got[256];
    for (size_t n = 0; n <= s.n; n++) { /* as it comes */
        struct reply r;
        char *copy = on_heap((struct span){s.p, n});
        int used = reply_read((struct span){copy, n}, &r);
        if (n < s.n)
            ck_assert_msg(used == 0 || (used < 0 && heads[_i].read == NULL), "line %d at %zu",
                          heads[_i].line, n);
        if (n == s.n && heads[_i].read == NULL)
            ck_assert_msg(used == -1, "line %d", heads[_i].line);
        if (n == s.n && heads[_i].read != NULL) {
            char sized[32] = "";
            if (r.sized)
                snprintf(sized, sizeof(sized), " sized=%llu", (unsigned long long)r.length);
            snprintf(got, sizeof(got), "%d%s%s type=%.*s location=%.*s retry=%llu", r.status,
                     r.chunked ? " chunked" : "", sized, (int)r.type.n, r.type.p, (int)r.location.n,
                     r.location.p, (unsigned long long)r.retry_after);
            ck_assert_msg(used == (int)s.n && strcmp(got, heads[_i].read) == 0, "line %d: %d %s",
                          heads[_i].line, used, got);
        }
        free(copy);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("url");
    TCase *tc = tcase_create("url"), *reply = tcase_create("reply");
    tcase_add_test(tc, escapes);
    tcase_add_loop_test(tc, reads_urls, 0, (int)COUNT(urls));
    tcase_add_loop_test(tc, refuses_urls, 0, (int)COUNT(wrong_urls));
    suite_add_tcase(s, tc);
    tcase_add_loop_test(reply, reads_heads, 0, (int)COUNT(heads));
    suite_add_tcase(s, reply);
    return run(s);
}
