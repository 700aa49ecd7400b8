/*
 * cors.c - cors.h: whose pages may read an answer, and what the answer says of it.
 */
#include "lib/cors.h"

#include "test/kit/kit.h"

/* ---- who ---- */

static const struct span none[1];
static const struct span any[] = {BYTES("*")};
static const struct span one[] = {BYTES("https://a.example")};
static const struct span some[] = {BYTES("https://A.example"), BYTES("null"),
                                   BYTES("http://b.example:8080")};
static const struct span mixed[] = {BYTES("*"), BYTES("https://a.example")};

#define LIST(a) a, COUNT(a)

static const struct {
    int line;
    const struct span *list;
    uint32_t n;
    struct span origin;
    uint16_t found;
} finds[] = {
    {__LINE__, none, 0, BYTES("https://a.example"), 0},
    {__LINE__, none, 0, BYTES(""), 0},
    {__LINE__, LIST(any), BYTES("https://a.example"), 1},
    {__LINE__, LIST(any), BYTES("null"), 1},
    {__LINE__, LIST(any), BYTES(""), 1}, /* says so to all */
    {__LINE__, LIST(one), BYTES(""), 0},
    {__LINE__, LIST(one), BYTES("https://a.example"), 1},
    {__LINE__, LIST(one), BYTES("HTTPS://A.EXAMPLE"), 1},
    {__LINE__, LIST(one), BYTES("http://a.example"), 0},
    {__LINE__, LIST(one), BYTES("https://a.example:8443"), 0},
    {__LINE__, LIST(one), BYTES("https://a.example/"), 0},
    {__LINE__, LIST(one), BYTES("https://a.example.evil"), 0},
    {__LINE__, LIST(one), BYTES("https://evil.a.example"), 0},
    {__LINE__, LIST(one), BYTES("https://a.exampl"), 0},
    {__LINE__, LIST(one), BYTES("https://a.example https://b.example"), 0},
    {__LINE__, LIST(one), BYTES("*"), 0},
    {__LINE__, LIST(one), BYTES("null"), 0},
    {__LINE__, LIST(some), BYTES("https://a.example"), 1},
    {__LINE__, LIST(some), BYTES("null"), 2},
    {__LINE__, LIST(some), BYTES("http://b.example:8080"), 3},
    {__LINE__, LIST(some), BYTES("http://b.example"), 0},
    {__LINE__, LIST(some), BYTES("*"), 0},
    {__LINE__, LIST(mixed), BYTES("https://a.example"), 2}, /* before "*": with credentials */
    {__LINE__, LIST(mixed), BYTES("https://c.example"), 1},
    {__LINE__, LIST(mixed), BYTES(""), 1},
};

START_TEST(finds_origins)
{
    char *origin = on_heap(finds[_i].origin);
    uint16_t found =
        cors_find(finds[_i].list, finds[_i].n, (struct span){origin, finds[_i].origin.n});
    ck_assert_msg(found == finds[_i].found, "line %d: %u", finds[_i].line, found);
    free(origin);
}
END_TEST

static const struct {
    int line;
    const char *origin, *host;
    bool same;
} sames[] = {
    {__LINE__, "http://a.example", "a.example", true},
    {__LINE__, "https://a.example", "a.example", true}, /* behind a proxy that speaks TLS */
    {__LINE__, "http://a.example:8080", "a.example:8080", true},
    {__LINE__, "http://A.example", "a.EXAMPLE", true},
    {__LINE__, "http://[::1]:8080", "[::1]:8080", true},
    {__LINE__, "http://a.example", "a.example:80", true},
    {__LINE__, "http://a.example:80", "a.example", true},
    {__LINE__, "https://a.example", "a.example:443", true},
    {__LINE__, "http://[::1]", "[::1]:80", true},
    {__LINE__, "https://a.example", "a.example:80", false},
    {__LINE__, "http://a.example", "a.example:443", false},
    {__LINE__, "http://a.example", "a.example:8080", false},
    {__LINE__, "http://a.example:8080", "a.example", false},
    {__LINE__, "http://a.example:8080", "a.example:80", false},
    {__LINE__, "http://a.example", "b.example", false},
    {__LINE__, "http://a.example", "a.example.evil", false},
    {__LINE__, "http://a.example.evil", "a.example", false},
    {__LINE__, "http://evil/a.example", "a.example", false},
    {__LINE__, "http://a.example/", "a.example", false},
    {__LINE__, "http://", "", false},
    {__LINE__, "http://:80", ":80", false},
    {__LINE__, "http://", ":80", false},
    {__LINE__, "http://a.example", "", false},
    {__LINE__, "", "", false},
    {__LINE__, "", "a.example", false},
    {__LINE__, "null", "null", false},
    {__LINE__, "null", "a.example", false},
    {__LINE__, "a.example", "a.example", false},
    {__LINE__, "ftp://a.example", "a.example", false},
    {__LINE__, "file://a.example", "a.example", false},
    {__LINE__, "http:", "a.example", false},
};

START_TEST(knows_itself)
{
    struct span origin = span_of(sames[_i].origin), host = span_of(sames[_i].host);
    bool tls = span_begins(origin, SPAN("https:"));
    ck_assert_msg(cors_same(origin, host, CORS_SCHEME_UNKNOWN) == sames[_i].same, "line %d",
                  sames[_i].line);
    /* where the scheme is known, it must be that one */
    ck_assert_msg(cors_same(origin, host, CORS_SCHEME_HTTP) == (sames[_i].same && !tls), "line %d",
                  sames[_i].line);
    ck_assert_msg(cors_same(origin, host, CORS_SCHEME_HTTPS) == (sames[_i].same && tls), "line %d",
                  sames[_i].line);
}
END_TEST

/* ---- what is said ---- */

#define ALLOW(o)    "Access-Control-Allow-Origin: " o "\r\n"
#define CREDENTIALS "Access-Control-Allow-Credentials: true\r\n"
#define EXPOSE                                                                             \
    "Access-Control-Expose-Headers: ETag, Ended, Gap, Last-Event-ID, Preference-Applied, " \
    "Retry-After, WWW-Authenticate\r\n"
#define VARY "Vary: Origin\r\n"

static const struct {
    int line;
    const struct span *list;
    uint32_t n;
    const char *origin, *lines;
} writes[] = {
    {__LINE__, none, 0, "https://a.example", ""},
    {__LINE__, none, 0, "", ""},
    /* one answer for all: a cache may keep it, credentials must not come */
    {__LINE__, LIST(any), "https://a.example", ALLOW("*") EXPOSE},
    {__LINE__, LIST(any), "null", ALLOW("*") EXPOSE},
    {__LINE__, LIST(any), "", ALLOW("*") EXPOSE},
    /* from here on it depends on the origin, be there one or not */
    {__LINE__, LIST(one), "https://a.example", ALLOW("https://a.example") CREDENTIALS EXPOSE VARY},
    {__LINE__, LIST(one), "https://b.example", VARY},
    {__LINE__, LIST(one), "", VARY},
    {__LINE__, LIST(some), "https://a.example", ALLOW("https://a.example") CREDENTIALS EXPOSE VARY},
    {__LINE__, LIST(some), "null", ALLOW("null") EXPOSE VARY},
    {__LINE__, LIST(some), "https://evil", VARY},
    {__LINE__, LIST(mixed), "https://a.example",
     ALLOW("https://a.example") CREDENTIALS EXPOSE VARY},
    {__LINE__, LIST(mixed), "https://c.example", ALLOW("*") EXPOSE VARY},
    {__LINE__, LIST(mixed), "", ALLOW("*") EXPOSE VARY},
};

START_TEST(says_who)
{
    char bytes[512];
    struct text t = text_in(bytes, sizeof(bytes));
    uint16_t found = cors_find(writes[_i].list, writes[_i].n, span_of(writes[_i].origin));
    cors_write(&t, writes[_i].list, writes[_i].n, found);
    ck_assert_msg(!t.full && span_eq(text_span(&t), span_of(writes[_i].lines)), "line %d: %.*s",
                  writes[_i].line, (int)t.n, t.p);
}
END_TEST

static const struct {
    int line;
    uint16_t found;
    const char *fields, *lines;
} preflights[] = {
    {__LINE__, 0, "content-type", ""},
    {__LINE__, 0, "", ""},
    {__LINE__, 1, "",
     "Access-Control-Allow-Methods: GET, POST\r\nAccess-Control-Max-Age: 86400\r\n"},
    {__LINE__, 2, "content-type,x-y",
     "Access-Control-Allow-Methods: GET, POST\r\nAccess-Control-Max-Age: 86400\r\n"
     "Access-Control-Allow-Headers: content-type,x-y\r\n"},
};

START_TEST(answers_preflights)
{
    char bytes[512];
    struct text t = text_in(bytes, sizeof(bytes));
    cors_preflight(&t, preflights[_i].found, "GET, POST", span_of(preflights[_i].fields));
    ck_assert_msg(!t.full && span_eq(text_span(&t), span_of(preflights[_i].lines)), "line %d: %.*s",
                  preflights[_i].line, (int)t.n, t.p);
}
END_TEST

START_TEST(does_not_fit)
{
    char bytes[100];
    struct text t = text_in(bytes, sizeof(bytes));
    cors_preflight(&t, 1, "GET", SPAN("x-a-field-with-a-long-name-that-has-no-room-any-more"));
    ck_assert(t.full);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cors");
    TCase *t = tcase_create("cors");
    tcase_add_loop_test(t, finds_origins, 0, COUNT(finds));
    tcase_add_loop_test(t, knows_itself, 0, COUNT(sames));
    tcase_add_loop_test(t, says_who, 0, COUNT(writes));
    tcase_add_loop_test(t, answers_preflights, 0, COUNT(preflights));
    tcase_add_test(t, does_not_fit);
    suite_add_tcase(s, t);
    return run(s);
}
