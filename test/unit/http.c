/* test/unit/http.c - tests of http.h: each head and body whole, byte by byte and cut at every
 * place. */
#include "http.h"

#include <signal.h>
#include <sys/mman.h>

#include "test/kit/http_cases.h"
#include "test/kit/kit.h"

/* As ck_assert_msg(), which is slow where it holds: it notes the place in a file. */
#define CHECK(condition, ...)          \
    do {                               \
        if (!(condition))              \
            ck_abort_msg(__VA_ARGS__); \
    } while (0)

enum { ROOM = 1 << 20, PAGE = 4096 };

/* ---- bytes that end where memory ends ---- */

/* n bytes, copied to the end of a page behind which there is none. */
static char *place(const char *bytes, size_t n)
{
    static char *end;
    if (end == NULL) {
        char *p =
            mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(p, MAP_FAILED);
        end = p + ROOM;
        ck_assert_int_eq(mprotect(end, PAGE, PROT_NONE), 0);
    }
    CHECK(n <= ROOM, "%zu bytes are too many", n);
    return memcpy(end - n, bytes, n);
}

static uint64_t first, state; /* of the random numbers */

static size_t below(size_t n)
{
    return (size_t)(random_next(&state) % n);
}

/* ---- heads ---- */

static const struct http_limits wide = {4000, 8000};

static const char *const method_names[] = {
#define X(name) #name,
    HTTP_METHODS(X)
#undef X
};

static const char *const field_names[] = {
#define X(id, name) name,
    HTTP_FIELDS(X)
#undef X
};

/* A verdict, and what was read, as text: the method, path, query and host, then K keep-alive,
 * U upgrade, E expect, C chunked, 0 HTTP/1.0, * asterisk, L=length, then the fields. */
struct verdict {
    int rc;
    size_t at; /* bytes there were when it was given */
    char text[4096];
};

static void render(const struct http_request *r, char *out, size_t cap)
{
    size_t n =
        (size_t)snprintf(out, cap, "%s %.*s?%.*s @%.*s %s%s%s%s%s%s", method_names[r->method],
                         (int)r->path.n, r->path.p, (int)r->query.n,
                         r->query.n > 0 ? r->query.p : "", (int)r->host.n,
                         r->host.n > 0 ? r->host.p : "", r->keep_alive ? "K" : "",
                         r->upgrade ? "U" : "", r->expect_continue ? "E" : "",
                         r->chunked ? "C" : "", r->minor == 0 ? "0" : "", r->asterisk ? "*" : "");
    if (r->length > 0 && n < cap)
        n += (size_t)snprintf(out + n, cap - n, "L=%llu", (unsigned long long)r->length);
    for (unsigned i = 0; i < r->nfields && n < cap; i++)
        n += (size_t)snprintf(out + n, cap - n, " %s=%.*s;", field_names[r->field[i].id],
                              (int)r->field[i].value.n, r->field[i].value.p);
}

static void parse(struct verdict *v, const char *in, size_t len, size_t seen,
                  const struct http_limits *limits)
{
    struct http_request r;
    memset(&r, 0xa5, sizeof r);
    v->rc = http_parse(place(in, len), len, seen, limits, &r);
    v->at = len;
    v->text[0] = '\0';
    if (v->rc > 0)
        render(&r, v->text, sizeof v->text);
}

/* Parses prefixes that end at the given places, until there is a verdict. */
static void parse_cut(struct verdict *v, const char *in, const size_t *cut, size_t cuts,
                      const struct http_limits *limits)
{
    size_t seen = 0;
    for (size_t i = 0; i < cuts; i++) {
        parse(v, in, cut[i], seen, limits);
        if (v->rc != 0)
            return;
        seen = cut[i];
    }
}

static bool alike(const struct verdict *a, const struct verdict *b)
{
    return a->rc == b->rc && strcmp(a->text, b->text) == 0;
}

/* Returns the verdict on a head, having seen that it is the same however the bytes come. */
static void judge(struct verdict *whole, int line, const char *in, size_t n,
                  const struct http_limits *limits)
{
    struct verdict v = {0};
    parse(whole, in, n, 0, limits);
    char *copy = on_heap((struct span){in, n});
    struct http_request r;
    ck_assert_int_eq(http_parse(copy, n, 0, limits, &r), whole->rc);
    free(copy);
    for (size_t k = 1; k <= n; k++) { /* nothing is found out later than it could be */
        struct verdict all;
        parse(&v, in, k, k - 1, limits);
        parse(&all, in, k, 0, limits);
        CHECK(alike(&all, &v), "line %d: %zu bytes: %d '%s', one by one %d '%s'", line, k, all.rc,
              all.text, v.rc, v.text);
        if (v.rc != 0)
            break;
    }
    CHECK(n == 0 || alike(whole, &v), "line %d: whole %d '%s', one by one %d '%s' at %zu", line,
          whole->rc, whole->text, v.rc, v.text, v.at);
    size_t cut[3];
    for (size_t k = 1; k < n; k++) {
        cut[0] = k, cut[1] = n;
        parse_cut(&v, in, cut, 2, limits);
        CHECK(alike(whole, &v), "line %d: whole %d '%s', cut at %zu %d '%s'", line, whole->rc,
              whole->text, k, v.rc, v.text);
        cut[0] = below(k), cut[1] = k, cut[2] = n;
        parse_cut(&v, in, cut, 3, limits);
        CHECK(alike(whole, &v), "line %d: whole %d '%s', cut at %zu, %zu %d '%s', " SEED_FMT, line,
              whole->rc, whole->text, cut[0], k, v.rc, v.text, first);
    }
}

static const struct {
    const struct head_case *row;
    size_t n;
} tables[] = {
#define T(t)        \
    {               \
        t, COUNT(t) \
    }
    T(request_lines),
    T(targets),
    T(fields),
    T(lengths),
#undef T
};

START_TEST(test_heads)
{
    for (size_t i = 0; i < tables[_i].n; i++) {
        const struct head_case *c = &tables[_i].row[i];
        struct verdict v;
        judge(&v, c->line, c->in, c->n, &wide);
        int want = c->rc > 0 ? (int)c->n : c->rc;
        CHECK(v.rc == want, "line %d: %d, not %d", c->line, v.rc, want);
        CHECK(strcmp(v.text, c->want) == 0, "line %d: '%s'", c->line, v.text);
    }
}
END_TEST

/* Whatever the limits, the verdict is the same however the bytes come; a limit that is reached
 * gives its status, or an error that came before it. */
START_TEST(test_any_limits)
{
    for (size_t i = 0; i < tables[_i].n; i++) {
        const struct head_case *c = &tables[_i].row[i];
        for (int round = 0; round < 4; round++) {
            struct http_limits limits = {(uint32_t)below(c->n + 3), (uint32_t)below(c->n + 3)};
            struct verdict v;
            judge(&v, c->line, c->in, c->n, &limits);
            int want = c->rc > 0 ? (int)c->n : c->rc;
            CHECK(v.rc == want || v.rc == -414 || v.rc == -431 || (v.rc == -400 && want < 0),
                  "line %d: %d, limits %u %u, " SEED_FMT, c->line, v.rc, limits.line, limits.head,
                  first);
        }
    }
}
END_TEST

START_TEST(test_limits)
{
    const struct head_case *c = &limit_cases[_i].head;
    struct verdict v;
    judge(&v, c->line, c->in, c->n, &limit_cases[_i].limits);
    int want = c->rc > 0 ? (int)c->n : c->rc;
    CHECK(v.rc == want, "line %d: %d, not %d", c->line, v.rc, want);
}
END_TEST

/* Each byte, at each place that has a rule of its own. */
START_TEST(test_bytes)
{
    static const char alnum[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const struct {
        const char *before, *after, *special;
        int good, bad;
    } places[] = {
        {"G", "X / HTTP/1.1\r\n", "!#$%&'*+-.^_`|~", -501, -400},
        {"GET /a", "bc HTTP/1.1\r\nHost: h\r\n\r\n", "-._~!$&'()*+,;=:@/?%[]^|", 1, -400},
        {"GET /?a", "b HTTP/1.1\r\nHost: h\r\n\r\n", "-._~!$&'()*+,;=:@/?%|[]{}^`\"<>\\", 1, -400},
        {"GET http://h/a", "bc HTTP/1.1\r\nHost: h\r\n\r\n", "-._~!$&'()*+,;=:@/?%[]^|", 1, -400},
        {"GET http://1", "23/ HTTP/1.1\r\nHost: h\r\n\r\n", "-._~!$&'()*+,;=:/?%", 1, -400},
        {"GET / HTTP/1.1\r\nHost: 1", "23\r\n\r\n", "-._~!$&'()*+,;=:%", 1, -400},
        {"GET / HTTP/1.1\r\nHost: h\r\nA", "B: c\r\n\r\n", "!#$%&'*+-.^_`|~:", 1, -400},
    };
    for (size_t i = 0; i < COUNT(places); i++)
        for (int c = 0; c < 256; c++) {
            char in[100];
            int n = snprintf(in, sizeof in, "%s%c%s", places[i].before, c, places[i].after);
            bool good =
                c != 0 && (strchr(places[i].special, c) != NULL || strchr(alnum, c) != NULL);
            struct verdict v;
            judge(&v, __LINE__, in, (size_t)n, &wide);
            int want = good ? places[i].good : places[i].bad;
            CHECK((v.rc > 0 ? 1 : v.rc) == want, "place %zu, byte %d: %d", i, c, v.rc);
        }
    for (int at = 0; at < 20; at++) /* in a value, wherever in a group of eight */
        for (int c = 0; c < 256; c++) {
            char in[100] = GET HOST "Cookie: 01234567890123456789\r\n\r\n";
            in[33 + at] = (char)c;
            struct verdict v;
            parse(&v, in, strlen(GET HOST) + 8 + 24, 0, &wide);
            bool good = c == '\t' || (c >= 0x20 && c != 0x7f);
            CHECK(good == (v.rc > 0) && (good || v.rc == -400), "byte %d at %d: %d", c, at, v.rc);
        }
}
END_TEST

START_TEST(test_field_names)
{
    for (int id = 0; id < (int)COUNT(field_names); id++)
        for (int round = 0; round < 3; round++) {
            char in[200], name[64];
            int n = snprintf(name, sizeof name, "%s", field_names[id]);
            for (int i = 0; round > 0 && i < n; i += round)
                if (name[i] >= 'a' && name[i] <= 'z')
                    name[i] ^= 0x20;
            n = snprintf(in, sizeof in, GET HOST "%s: x\r\n\r\n", name);
            struct http_request r;
            ck_assert_int_eq(http_parse(in, (size_t)n, 0, &wide, &r), n);
            ck_assert_uint_eq(r.nfields, 1);
            ck_assert_int_eq((int)r.field[0].id, id);
            ck_assert(span_eq(http_field(&r, (enum http_field_id)id), SPAN("x")));
            in[strlen(GET HOST) + below(strlen(name))] = '_'; /* and not this one */
            ck_assert_int_eq(http_parse(in, (size_t)n, 0, &wide, &r), n);
            ck_assert_uint_eq(r.nfields, 0);
            ck_assert_ptr_null(http_field(&r, (enum http_field_id)id).p);
        }
}
END_TEST

START_TEST(test_field_count)
{
    static char in[8000];
    struct http_request r;
    for (int kept = HTTP_FIELDS_MAX - 1; kept <= HTTP_FIELDS_MAX + 1; kept++) {
        size_t n = (size_t)sprintf(in, GET HOST);
        for (int i = 0; i < kept; i++)
            n += (size_t)sprintf(in + n, "Cookie: %d\r\nDropped: x\r\n", i);
        n += (size_t)sprintf(in + n, "\r\n");
        int rc = http_parse(in, n, 0, &wide, &r);
        ck_assert_int_eq(rc, kept <= HTTP_FIELDS_MAX ? (int)n : -431);
    }
}
END_TEST

/* A head that comes a byte at a time, with what follows it. */
START_TEST(test_tail)
{
    static const char in[] = FIELDS("Accept: a\r\n") "GET /next";
    struct http_request r;
    size_t head = sizeof(FIELDS("Accept: a\r\n")) - 1;
    for (size_t n = head; n < sizeof in; n++)
        for (size_t seen = 0; seen < head; seen++)
            ck_assert_int_eq(http_parse(place(in, n), n, seen, &wide, &r), (int)head);
}
END_TEST

/* ---- bodies ---- */

/* What came of a body. */
struct decoded {
    int rc;
    size_t took, n;
    char bytes[20000];
};

static void decode(struct decoded *d, const struct http_request *r, const char *in, size_t n,
                   size_t step, size_t cut)
{
    struct http_body b;
    http_body_init(&b, r);
    *d = (struct decoded){0};
    size_t at = 0;
    do {
        size_t part = n - at, took, got;
        if (step > 0 && part > step)
            part = step;
        if (cut > at && cut < at + part)
            part = cut - at;
        char *p = place(in + at, part);
        d->rc = http_body_decode(&b, p, part, &took, &got);
        CHECK(took <= part && got <= took && d->n + got <= sizeof d->bytes,
              "%zu bytes, took %zu, got %zu", part, took, got);
        memcpy(d->bytes + d->n, p, got);
        d->n += got;
        d->took += took;
        at += part;
        CHECK(d->rc != 0 || took == part, "took %zu of %zu", took, part);
        CHECK(http_body_done(&b) == (d->rc == 1), "%d", d->rc);
    } while (d->rc == 0 && at < n);
}

static void check_body(const struct http_request *r, const struct body_case *c)
{
    static struct decoded whole, d;
    decode(&whole, r, c->in, c->n, 0, 0);
    CHECK(whole.rc == c->rc && whole.took == c->took, "line %d: %d, took %zu", c->line, whole.rc,
          whole.took);
    CHECK(whole.n == strlen(c->want) && memcmp(whole.bytes, c->want, whole.n) == 0,
          "line %d: '%.*s'", c->line, (int)whole.n, whole.bytes);
    for (size_t k = 0; k < 2 * c->n; k++) {
        decode(&d, r, c->in, c->n, k < c->n ? k + 1 : 0, k < c->n ? 0 : k - c->n);
        CHECK(d.rc == whole.rc && d.took == whole.took && d.n == whole.n &&
                  memcmp(d.bytes, whole.bytes, d.n) == 0,
              "line %d: %zu of %zu: %d, took %zu, got %zu", c->line, k, c->n, d.rc, d.took, d.n);
    }
}

START_TEST(test_chunked)
{
    static const struct http_request r = {.chunked = true};
    check_body(&r, &bodies[_i]);
}
END_TEST

START_TEST(test_length)
{
    static const struct body_case cases[] = {
        {__LINE__, 1, "hello", 5, 5, "hello"},
        {__LINE__, 1, "helloGET / ", 11, 5, "hello"},
        {__LINE__, 0, "hell", 4, 4, "hell"},
        {__LINE__, 0, "", 0, 0, ""},
    };
    struct http_request r = {.length = 5};
    for (size_t i = 0; i < COUNT(cases); i++)
        check_body(&r, &cases[i]);
    r.length = 0;
    struct body_case none = {__LINE__, 1, "GET", 3, 0, ""};
    check_body(&r, &none);
}
END_TEST

START_TEST(test_body_limits)
{
    static const struct http_request r = {.chunked = true};
    static struct decoded d;
    static char in[16000];
    for (int over = 0; over < 2; over++) {
        size_t n = 0;
        for (int chunk = 0; chunk < 3; chunk++) { /* the limit is each chunk's */
            n += (size_t)sprintf(in + n, "1;%0*d\r\nx\r\n", 255 + (over && chunk == 2), 0);
        }
        n += (size_t)sprintf(in + n, "0 ;%0*d\r\n\r\n", 254, 0);
        decode(&d, &r, in, n, 0, 0);
        ck_assert_int_eq(d.rc, over ? -400 : 1);
        n = (size_t)sprintf(in, "1%*s;\r\nx\r\n0\r\n\r\n", 255 + over, "");
        decode(&d, &r, in, n, 3, 0);
        ck_assert_int_eq(d.rc, over ? -400 : 1);
        /* trailers, in one line and in many: 4096 bytes with the line ends */
        n = (size_t)sprintf(in, "0\r\nA:%0*d\r\n\r\n", 4092 + over, 0);
        decode(&d, &r, in, n, 0, 0);
        ck_assert_int_eq(d.rc, over ? -431 : 1);
        n = (size_t)sprintf(in, "0;%0*d\r\n", 255, 0);
        for (int i = 0; i < 512; i++)
            n += (size_t)sprintf(in + n, "Ab: cd\r\n");
        n += (size_t)sprintf(in + n, over ? "A:\r\n\r\n" : "\r\n");
        decode(&d, &r, in, n, 7, 0);
        ck_assert_int_eq(d.rc, over ? -431 : 1);
    }
}
END_TEST

/* A body in chunks of any size, in pieces of any size, comes out as it went in. */
START_TEST(test_body_random)
{
    static const struct http_request r = {.chunked = true};
    static char in[40000], body[10000];
    static struct decoded d;
    for (int round = 0; round < 200; round++) {
        size_t n = 0, size = below(sizeof body), at = 0;
        for (size_t i = 0; i < size; i++)
            body[i] = (char)below(256);
        while (at < size) {
            size_t part = 1 + below(below(4) > 0 ? 20 : size - at);
            part = part < size - at ? part : size - at;
            n += (size_t)sprintf(in + n, below(2) > 0 ? "%zx\r\n" : "%04zX;e\r\n", part);
            memcpy(in + n, body + at, part);
            n += part;
            at += part;
            n += (size_t)sprintf(in + n, "\r\n");
            ck_assert_uint_lt(n, sizeof in - 100);
            if (n > 30000)
                size = at;
        }
        n += (size_t)sprintf(in + n, "0\r\n%s\r\n", below(2) > 0 ? "Trailer: x\r\n" : "");
        decode(&d, &r, in, n, 1 + below(200), 0);
        CHECK(d.rc == 1 && d.took == n && d.n == size && memcmp(d.bytes, body, size) == 0,
              "%d, %zu of %zu, %zu of %zu, " SEED_FMT, d.rc, d.took, n, d.n, size, first);
    }
}
END_TEST

START_TEST(test_pipeline)
{
    static char in[200000];
    size_t n = 0, at = 0;
    for (int i = 0; i < 1000; i++) {
        n += (size_t)sprintf(in + n, "%sPOST /%d HTTP/1.1\r\n" HOST, i % 5 == 0 ? "\r\n" : "", i);
        if (i % 3 == 0)
            n += (size_t)sprintf(in + n, "Content-Length: 6\r\n\r\n<%04d>", i);
        else if (i % 3 == 1)
            n += (size_t)sprintf(in + n,
                                 "Transfer-Encoding: chunked\r\n\r\n"
                                 "2\r\n<%c\r\n4;x\r\n%03d>\r\n0\r\n\r\n",
                                 '0' + i / 1000, i % 1000);
        else
            n += (size_t)sprintf(in + n, "\r\n");
    }
    char *p = place(in, n);
    for (int i = 0; i < 1000; i++) {
        struct http_request r;
        struct http_body b;
        char path[20], body[20] = "";
        size_t took, got;
        int head = http_parse(p + at, n - at, 0, &wide, &r);
        ck_assert_int_gt(head, 0);
        sprintf(path, "/%d", i);
        ck_assert(span_eq(r.path, span_of(path)));
        at += (size_t)head;
        http_body_init(&b, &r);
        ck_assert_int_eq(http_body_decode(&b, p + at, n - at, &took, &got), 1);
        if (i % 3 != 2)
            sprintf(body, "<%04d>", i);
        ck_assert(span_eq((struct span){p + at, got}, span_of(body)));
        at += took;
    }
    ck_assert_uint_eq(at, n);
}
END_TEST

/* ---- lists, Accept, types ---- */

/* A request with these field lines. */
static void request(struct http_request *r, const char *lines)
{
    static char in[2000];
    int n = snprintf(in, sizeof in, GET HOST "%s\r\n", lines);
    ck_assert_int_eq(http_parse(in, (size_t)n, 0, &wide, r), n);
}

START_TEST(test_list)
{
    static const struct {
        const char *lines, *want;
    } cases[] = {
        {"", ""},
        {"Prefer:\r\n", ""},
        {"Prefer: ,\r\nPrefer: , ,\t,\r\n", ""},
        {"Prefer: wait=30\r\n", "[wait=30]"},
        {"Prefer: a, b ,c,,d\r\nCookie: x\r\nPrefer: e\r\nPrefer:\r\nPrefer: ,f, \r\n",
         "[a][b][c][d][e][f]"},
        {"Prefer: a=\"b,c\", d=\"e\\\",\\\\\",f\r\n", "[a=\"b,c\"][d=\"e\\\",\\\\\"][f]"},
        {"Prefer: a=\"b,c\r\nPrefer: d,e\r\n", "[a=\"b,c][d][e]"},
        {"Prefer: \"a\\\r\nPrefer: b\r\n", "[\"a\\][b]"},
        {"Prefer: a\\,b,\"c\"\r\n", "[a\\][b][\"c\"]"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_request r;
        struct span item;
        char out[200] = "";
        request(&r, cases[i].lines);
        for (size_t pos = 0; http_list(&r, HTTP_PREFER, &pos, &item);)
            sprintf(out + strlen(out), "[%.*s]", (int)item.n, item.p);
        ck_assert_str_eq(out, cases[i].want);
    }
}
END_TEST

START_TEST(test_accept)
{
#define RFC "text/*;q=0.3, text/html;q=0.7, text/html;level=1, text/html;level=2;q=0.4, */*;q=0.5"
    static const struct {
        const char *accept, *type, *subtype;
        unsigned q;
        bool exact;
    } cases[] = {
        {NULL, "text", "html", 1000, false},
        {"text/event-stream", "text", "event-stream", 1000, true},
        {"TEXT/Event-Stream", "text", "event-stream", 1000, true},
        {"text/event-stream", "application", "json", 0, false},
        {"*/*", "application", "json", 1000, false},
        {"application/*;q=0.2", "application", "json", 200, false},
        {RFC, "text", "html", 700, true},
        {RFC, "text", "plain", 300, false},
        {RFC, "image", "jpeg", 500, false},
        {"audio/*; q=0.2, audio/basic", "audio", "basic", 1000, true},
        {"audio/*; q=0.2, audio/basic", "audio", "mp3", 200, false},
        {"*/*, text/*;q=0.5, text/plain;q=0", "text", "plain", 0, true},
        {"text/plain;q=0, text/*;q=0.5, */*", "text", "plain", 0, true},
        {"application/json;charset=utf-8;q=0.4, */*;q=0.9", "application", "json", 400, true},
        {"application/json; charset=\"a;q=0.1,\" ;q=0.4", "application", "json", 400, true},
        {"a/b;x=1;q=0.2, a/b;x=2;q=0.3, a/b;x=3;q=0.1", "a", "b", 300, true},
        {"a/b;q=0.2;x=1, a/b;y=2", "a", "b", 200, true},
        {"a/b;q=0.2\r\nAccept: a/b;q=0.6\r\nAccept: a/b;q=0.4", "a", "b", 600, true},
        {"a/b;", "a", "b", 1000, true},
        {"a/b;;q=0.1", "a", "b", 100, true},
        {"a/b ; Q=0.1", "a", "b", 100, true},
        {"a/b;q=1", "a", "b", 1000, true},
        {"a/b;q=1.000", "a", "b", 1000, true},
        {"a/b;q=1.", "a", "b", 1000, true},
        {"a/b;q=0.", "a", "b", 0, true},
        {"a/b;q=0.001", "a", "b", 1, true},
        {"a/b;q=0.999", "a", "b", 999, true},
        {"a/bb, aa/b", "a", "b", 0, false},
        /* malformed: as if they weren't there */
        {"a/b;q=1.001, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q=0.1234, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q=2, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q=-1, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q=.5, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q=0,5, */*;q=0.5", "a", "b", 0, true},
        {"a/b;q=0.5x, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q=00, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q=, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q =0.9, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q= 0.9, */*;q=0.5", "a", "b", 500, false},
        {"a/b;q=\"0.9\", */*;q=0.5", "a", "b", 500, false},
        {"a, /b, a/, a/b/c, */b, a /b, a/ b, *, */*;q=0.5", "a", "b", 500, false},
        {"*", "a", "b", 1000, false},
        {"", "a", "b", 1000, false},
        {"a/b;q=x", "a", "b", 1000, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[300] = "";
        struct http_request r;
        if (cases[i].accept != NULL)
            sprintf(line, "Accept: %s\r\n", cases[i].accept);
        request(&r, line);
        bool exact;
        unsigned q = http_accept(&r, span_of(cases[i].type), span_of(cases[i].subtype), &exact);
        CHECK(q == cases[i].q && exact == cases[i].exact, "'%s' %s/%s: %u%s", cases[i].accept,
              cases[i].type, cases[i].subtype, q, exact ? " exact" : "");
    }
}
END_TEST

START_TEST(test_is_type)
{
    struct span type = SPAN("text/event-stream");
    ck_assert(http_is_type(SPAN("text/event-stream"), type));
    ck_assert(http_is_type(SPAN("Text/EVENT-stream ; charset=utf-8"), type));
    ck_assert(http_is_type(SPAN("text/event-stream;"), type));
    ck_assert(!http_is_type(SPAN("text/event-streams"), type));
    ck_assert(!http_is_type(SPAN("text/event-strea"), type));
    ck_assert(!http_is_type(SPAN("a;text/event-stream"), type));
    ck_assert(!http_is_type((struct span){NULL, 0}, type));
}
END_TEST

/* ---- percent-encoding ---- */

static const struct {
    const char *in;
    bool plus;
    size_t cap;
    ptrdiff_t rc;
    const char *want;
} decodes[] = {
    {"", false, 0, 0, ""},          {"abc", false, 3, 3, "abc"},
    {"abc", false, 2, -2, ""},      {"a%62%C3%a9+", false, 9, 5, "ab\xc3\xa9+"},
    {"a+b%2B", true, 9, 4, "a b+"}, {"%41%42", false, 2, 2, "AB"},
    {"%41%42", false, 1, -2, ""},   {"%00", false, 1, 1, "\0"},
    {"%", false, 9, -1, ""},        {"%4", false, 9, -1, ""},
    {"a%4g", false, 9, -1, ""},     {"a%g4", false, 9, -1, ""},
    {"%%41", false, 9, -1, ""},     {"%2541", false, 9, 3, "%41"},
};

START_TEST(test_decode)
{
    char out[10];
    size_t n = strlen(decodes[_i].in);
    struct span in = {place(decodes[_i].in, n), n};
    ptrdiff_t rc = http_decode(in, decodes[_i].plus, out, decodes[_i].cap);
    CHECK(rc == decodes[_i].rc, "'%s': %td", decodes[_i].in, rc);
    if (rc > 0)
        ck_assert_mem_eq(out, decodes[_i].want, (size_t)rc);
}
END_TEST

static const struct {
    const char *query, *name;
    ptrdiff_t rc;
    const char *want;
} queries[] = {
    {"", "a", -3, ""},
    {"a", "a", 0, ""},
    {"a=", "a", 0, ""},
    {"a=1", "a", 1, "1"},
    {"b=2&a=1&a=3", "a", 1, "1"},
    {"&&a=1&", "a", 1, "1"},
    {"ab=1", "a", -3, ""},
    {"a=1", "ab", -3, ""},
    {"A=1", "a", -3, ""},
    {"=1&a=2", "a", 1, "2"},
    {"a=b=c", "a", 3, "b=c"},
    {"a=b+c%2b", "a", 4, "b c+"},
    {"last%2devent%2Did=1-2", "last-event-id", 3, "1-2"},
    {"a+b=1", "a b", 1, "1"},
    {"%61=1", "a", 1, "1"},
    {"%6=1&%=2&a%=3&a=4", "a", 1, "4"},
    {"a=%", "a", -1, ""},
    {"a=%zz&a=1", "a", -1, ""},
    {"a=12345678901", "a", -2, ""},
    {"a=1234567890", "a", 10, "1234567890"},
    {"b?a=1", "a", -3, ""},
    {"a;b=1", "b", -3, ""},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1&a=2", "a", 1, "2"},
};

START_TEST(test_query)
{
    char out[10];
    size_t n = strlen(queries[_i].query);
    struct span query = {place(queries[_i].query, n), n};
    ptrdiff_t rc = http_query(query, span_of(queries[_i].name), out, sizeof out);
    CHECK(rc == queries[_i].rc, "'%s': %td", queries[_i].query, rc);
    if (rc > 0)
        ck_assert_mem_eq(out, queries[_i].want, (size_t)rc);
}
END_TEST

/* Writes bytes percent-encoded; those that need not be, only now and then. */
static size_t encode(char *out, const char *bytes, size_t n, bool plus)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool plain = c > ' ' && c < 0x7f && strchr("%+&=#", c) == NULL;
        if (plus && c == ' ' && below(2) > 0)
            out[len++] = '+';
        else if (plain && below(4) > 0)
            out[len++] = (char)c;
        else
            len += (size_t)sprintf(out + len, below(2) > 0 ? "%%%02X" : "%%%02x", c);
    }
    return len;
}

START_TEST(test_encode_random)
{
    for (int round = 0; round < 5000; round++) {
        char name[8], value[40], in[1000], out[40];
        size_t names = 1 + below(sizeof name - 1), values = below(sizeof value), n = 0;
        for (size_t i = 0; i < names; i++)
            name[i] = (char)(1 + below(255));
        for (size_t i = 0; i < values; i++)
            value[i] = (char)below(256);
        n = encode(in, value, values, false);
        ptrdiff_t rc = http_decode((struct span){place(in, n), n}, false, out, values);
        CHECK(rc == (ptrdiff_t)values && memcmp(out, value, values) == 0, "'%.*s': %td, " SEED_FMT,
              (int)n, in, rc, first);
        n = (size_t)sprintf(in, "%s", below(2) > 0 ? "=&%zz=1&" : "");
        n += encode(in + n, name, names, true);
        in[n++] = '=';
        n += encode(in + n, value, values, true);
        n += (size_t)sprintf(in + n, "%s", below(2) > 0 ? "&" : "");
        struct span query = {place(in, n), n};
        rc = http_query(query, (struct span){name, names}, out, sizeof out);
        CHECK(rc == (ptrdiff_t)values && memcmp(out, value, values) == 0, "'%.*s': %td, " SEED_FMT,
              (int)n, in, rc, first);
    }
}
END_TEST

/* ---- answers ---- */

START_TEST(test_answer)
{
    char buf[200];
    struct text t = text_in(buf, sizeof buf);
    http_status(&t, 200);
    http_add(&t, "Content-Type", SPAN("text/event-stream"));
    http_add(&t, "Empty", (struct span){NULL, 0});
    http_status(&t, 431);
    http_status(&t, 999);
    static const char want[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nEmpty: \r\n"
                               "HTTP/1.1 431 Request Header Fields Too Large\r\n"
                               "HTTP/1.1 999 Unknown\r\n";
    ck_assert(!t.full);
    ck_assert(span_eq(text_span(&t), span_of(want)));
    t = text_in(buf, 16);
    http_status(&t, 200);
    ck_assert(t.full && t.n == 0);
}
END_TEST

START_TEST(test_reasons)
{
    static const int used[] = {100, 101, 200, 201, 204, 304, 400, 401, 403, 404, 405, 406, 408,
                               409, 413, 414, 415, 417, 426, 429, 431, 500, 501, 503, 505};
    for (size_t i = 0; i < COUNT(used); i++)
        ck_assert_str_ne(http_reason(used[i]), "Unknown");
    ck_assert_str_eq(http_reason(404), "Not Found");
    ck_assert_str_eq(http_reason(299), "Unknown");
    for (int status = 100; status < 1000; status++) {
        char buf[100], want[100];
        struct text t = text_in(buf, sizeof buf);
        http_status(&t, status);
        sprintf(want, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
        ck_assert(span_eq(text_span(&t), span_of(want)));
    }
}
END_TEST

START_TEST(test_add_refuses)
{
    char buf[100];
    struct text t = text_in(buf, sizeof buf);
    http_add(&t, "A", (struct span){_i == 0 ? "a\rb" : _i == 1 ? "a\nb" : "a\0b", 3});
}
END_TEST

int main(void)
{
    first = state = seed();
    Suite *s = suite_create("http");
    TCase *t = tcase_create("head");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_heads, 0, COUNT(tables));
    tcase_add_loop_test(t, test_any_limits, 0, COUNT(tables));
    tcase_add_loop_test(t, test_limits, 0, COUNT(limit_cases));
    tcase_add_test(t, test_bytes);
    tcase_add_test(t, test_field_names);
    tcase_add_test(t, test_field_count);
    tcase_add_test(t, test_tail);
    suite_add_tcase(s, t);
    t = tcase_create("body");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_chunked, 0, COUNT(bodies));
    tcase_add_test(t, test_length);
    tcase_add_test(t, test_body_limits);
    tcase_add_test(t, test_body_random);
    tcase_add_test(t, test_pipeline);
    suite_add_tcase(s, t);
    t = tcase_create("values");
    tcase_add_test(t, test_list);
    tcase_add_test(t, test_accept);
    tcase_add_test(t, test_is_type);
    tcase_add_loop_test(t, test_decode, 0, COUNT(decodes));
    tcase_add_loop_test(t, test_query, 0, COUNT(queries));
    tcase_add_test(t, test_encode_random);
    tcase_add_test(t, test_answer);
    tcase_add_test(t, test_reasons);
    tcase_add_loop_test_raise_signal(t, test_add_refuses, SIGABRT, 0, 3);
    suite_add_tcase(s, t);
    return run(s);
}
