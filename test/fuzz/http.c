/*
 * http.c - http.h: a head or a body means the same however its bytes come, and what was taken
 * is as strict as promised.
 */
#include "http.h"
#include "lib/serve/query.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state; /* of the random numbers, set from the input */

static size_t below(size_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(state >> 33) % n;
}

/* Bytes on a heap block of just their size. */
static char *copy_of(const char *bytes, size_t n)
{
    char *p = calloc(1, n > 0 ? n : 1);
    assert(p != NULL);
    if (n > 0)
        memcpy(p, bytes, n);
    return p;
}

/* ---- heads ---- */

/* A request whose spans are offsets, so that two can be compared. */
struct verdict {
    int rc;
    struct http_request r;
};

static void to_offset(struct span *s, const char *buf, size_t len)
{
    if (s->p == NULL) {
        assert(s->n == 0);
        return;
    }
    size_t at = (size_t)(s->p - buf);
    assert(at <= len && s->n <= len - at);
    s->p = (const char *)1 + at;
}

static void parse(struct verdict *v, const char *bytes, size_t len, size_t seen,
                  const struct http_limits *limits)
{
    char *buf = copy_of(bytes, len);
    memset(v, 0, sizeof *v);
    struct http_request r;
    v->rc = http_parse(buf, len, seen, limits, &r);
    if (v->rc > 0) {
        assert((size_t)v->rc <= len && r.nfields <= HTTP_FIELDS_MAX);
        memcpy(&v->r, &r, offsetof(struct http_request, field));
        memcpy(v->r.field, r.field, r.nfields * sizeof r.field[0]);
        to_offset(&v->r.host, buf, len);
        to_offset(&v->r.path, buf, len);
        to_offset(&v->r.query, buf, len);
        for (unsigned i = 0; i < r.nfields; i++)
            to_offset(&v->r.field[i].value, buf, len);
    }
    free(buf);
}

static bool span_alike(struct span a, struct span b)
{
    return a.p == b.p && a.n == b.n;
}

static void assert_alike(const struct verdict *a, const struct verdict *b)
{
    const struct http_request *x = &a->r, *y = &b->r;
    assert(a->rc == b->rc);
    assert(x->method == y->method && x->minor == y->minor && x->asterisk == y->asterisk);
    assert(x->keep_alive == y->keep_alive && x->upgrade == y->upgrade);
    assert(x->expect_continue == y->expect_continue && x->chunked == y->chunked);
    assert(x->length == y->length && x->nfields == y->nfields);
    assert(span_alike(x->host, y->host) && span_alike(x->path, y->path));
    assert(span_alike(x->query, y->query));
    for (unsigned i = 0; i < x->nfields; i++)
        assert(x->field[i].id == y->field[i].id &&
               span_alike(x->field[i].value, y->field[i].value));
}

/* Parses what there is whenever `step` bytes more have come, at random where it is 0. Nothing may
 * be found out later than by parsing all of it. */
static void parse_steps(struct verdict *v, const char *buf, size_t len, size_t step,
                        const struct http_limits *limits)
{
    size_t seen = 0;
    struct verdict at_once;
    do {
        size_t more = step > 0 ? step : 1 + below(len + 1);
        size_t n = more < len - seen ? seen + more : len;
        parse(v, buf, n, seen, limits);
        parse(&at_once, buf, n, 0, limits);
        assert_alike(&at_once, v);
        seen = n;
    } while (v->rc == 0 && seen < len);
}

static void check_limits(const char *buf, size_t len, const struct http_limits *limits)
{
    struct verdict whole, parts;
    parse(&whole, buf, len, 0, limits);
    if (len <= 2000) {
        parse_steps(&parts, buf, len, 1, limits);
        assert_alike(&whole, &parts);
    }
    for (int i = 0; i < 4; i++) {
        parse_steps(&parts, buf, len, 0, limits);
        assert_alike(&whole, &parts);
    }
}

/* Lines end in CRLF alone, the first empty one ends the head, no byte is where it has no place. */
static void check_strict(const char *buf, size_t len)
{
    assert(len >= 4 && memcmp(buf + len - 4, "\r\n\r\n", 4) == 0);
    size_t line = buf[0] == '\r' ? 2 : 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)buf[i];
        assert((c == '\r') == (i + 1 < len && buf[i + 1] == '\n'));
        assert(c >= 0x20 || c == '\r' || c == '\n' || (c == '\t' && line > 2));
        assert(c != 0x7f);
        if (c != '\n' || i < 2)
            continue;
        assert((i == line + 1) == (i + 1 == len));
        line = i + 1;
        assert(line == len || (buf[line] != ' ' && buf[line] != '\t'));
    }
}

/* However one decodes and splits the path, it does not lead up. */
static void check_path(struct span path)
{
    char *out = malloc(path.n);
    assert(path.n > 0 && path.p[0] == '/' && out != NULL);
    ptrdiff_t n = http_decode(path, false, out, path.n);
    assert(n > 0 && memchr(out, '\0', (size_t)n) == NULL);
    assert(http_decode(path, false, out, (size_t)n - 1) == -2);
    assert(http_decode(path, false, out, (size_t)n) == n);
    for (struct span s = {out, (size_t)n}; s.p != NULL;) {
        struct span segment = span_cut(&s, '/');
        assert(!span_eq(segment, SPAN(".")) && !span_eq(segment, SPAN("..")));
    }
    free(out);
}

/* What is told of a query is one field line, whatever is in it. */
static void check_told(struct span query)
{
    char line[512];
    struct text t = text_in(line, sizeof line);
    struct query q;
    query_read(&q, query, QUERY_READ);
    for (unsigned id = 0; id < QUERY_IDS; id++)
        assert(query_decode(&q, (enum query_id)id, line, 16) <= 16);
    if (query_unknown(&q).n == 0)
        return;
    query_tell(&t, &q);
    assert(!t.full && t.n > 2 && memchr(line, '\0', t.n) == NULL);
    assert((const char *)memchr(line, '\r', t.n) == line + t.n - 2 && line[t.n - 1] == '\n');
    assert((const char *)memchr(line, '\n', t.n) == line + t.n - 1);
}

static void check_values(const struct http_request *r)
{
    for (unsigned i = 0; i < r->nfields; i++) {
        struct span value = r->field[i].value, item;
        assert(span_eq(value, span_trim(value)));
        for (size_t pos = 0; http_list(r, r->field[i].id, &pos, &item);)
            assert(item.n > 0 && span_eq(item, span_trim(item)));
        http_is_type(value, SPAN("text/event-stream"));
    }
    bool exact;
    assert(http_accept(r, SPAN("text"), SPAN("event-stream"), &exact) <= 1000);
    assert(http_accept(r, SPAN("application"), SPAN("json"), &exact) <= 1000);
    char out[16];
    assert(http_query(r->query, SPAN("since"), out, sizeof out) <= (ptrdiff_t)sizeof out);
    assert(http_query(r->query, SPAN(""), out, 0) <= 0);
    check_told(r->query);
    assert(!(r->chunked && r->length > 0) && r->length <= INT64_MAX);
}

static int check_head(const char *buf, size_t len, struct http_request *r)
{
    static const struct http_limits wide = {1 << 20, 1 << 20};
    struct http_limits narrow = {(uint32_t)below(len + 3), (uint32_t)below(len + 3)};
    check_limits(buf, len, &wide);
    check_limits(buf, len, &narrow);
    narrow.head = wide.head;
    check_limits(buf, len, &narrow);
    int rc = http_parse(buf, len, 0, &wide, r);
    assert(rc == 0 || rc > 0 || rc == -400 || rc == -417 || rc == -431 || rc == -501 || rc == -505);
    if (rc <= 0)
        return rc;
    check_strict(buf, (size_t)rc);
    if (r->asterisk)
        assert(r->method == HTTP_OPTIONS && r->path.n == 0);
    else
        check_path(r->path);
    check_values(r);
    return rc;
}

/* ---- bodies ---- */

struct decoded {
    int rc;
    size_t took, got;
    char *bytes;
};

static void decode(struct decoded *d, const struct http_request *r, const char *buf, size_t len,
                   bool cut, size_t step)
{
    struct http_body b;
    http_body_init(&b, r);
    *d = (struct decoded){.bytes = malloc(len + 1)};
    assert(d->bytes != NULL);
    size_t at = 0;
    do {
        size_t n = len - at, took, got;
        if (cut && n > 0) {
            size_t most = step > 0 ? step : 1 + below(n);
            n = most < n ? most : n;
        }
        char *part = copy_of(buf + at, n);
        d->rc = http_body_decode(&b, part, n, &took, &got);
        assert(got <= took && took <= n && (d->rc != 0 || took == n));
        assert(http_body_done(&b) == (d->rc == 1));
        memcpy(d->bytes + d->got, part, got);
        free(part);
        d->took += took;
        d->got += got;
        at += n;
    } while (d->rc == 0 && at < len);
}

static void check_body(const struct http_request *r, const char *buf, size_t len)
{
    struct decoded whole, parts;
    decode(&whole, r, buf, len, false, 0);
    assert(whole.rc == 0 || whole.rc == 1 || whole.rc == -400 || whole.rc == -431);
    for (int i = 0; i < 4; i++) {
        decode(&parts, r, buf, len, true, i == 0 ? 1 : 0);
        assert(parts.rc == whole.rc && parts.took == whole.took && parts.got == whole.got);
        assert(memcmp(parts.bytes, whole.bytes, whole.got) == 0);
        free(parts.bytes);
    }
    free(whole.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    state = size;
    for (size_t i = 0; i < size; i++)
        state = (state ^ data[i]) * 1099511628211u;
    static const struct http_request chunked = {.chunked = true};
    struct http_request r;
    char *buf = copy_of((const char *)data, size);
    int head = check_head(buf, size, &r);
    if (head > 0)
        check_body(&r, buf + head, size - (size_t)head);
    check_body(&chunked, buf, size);
    free(buf);
    return 0;
}
