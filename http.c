/*
 * http.c - reads request heads and bodies, writes answer heads; the manual is http.h.
 *
 * A head is read in one pass from left to right, each byte once: lines are not searched for and
 * then parsed, they end where a byte that they cannot hold is met. The parts of the parser take the
 * place to read at and return the place after what they read, or NULL with the reason in `status`:
 * 0 if the bytes ended, else the status to answer. Every error but 400 and a limit's is reported at
 * the end of its line, so that the answer does not depend on how the bytes were cut.
 */
#include "http.h"

#include <assert.h>
#include <endian.h>
#include <limits.h>

enum {
    CHUNK_DIGITS_MAX = 16,
    CHUNK_EXT_MAX = 256, /* bytes of a chunk's extensions */
    TRAILERS_MAX = 4096, /* bytes of all trailer lines */
    TLS_HANDSHAKE = 22,  /* the first byte of a TLS connection (RFC 8446 section 5.1) */
};

/* ---- classes of bytes ---- */

enum {
    NAME = 0x01, /* of a token: a method, a field's name */
    PATH =
        0x02, /* of a path, but '%' and '.', which are checked apart; browsers send [ ] ^ | raw */
    QUERY = 0x04,   /* of a query: browsers send any visible byte but '#' */
    HOST = 0x08,    /* of a registered name or address, but '%' and ':' */
    CONTROL = 0x10, /* not allowed in a field's value: below 0x20 but the tab, and 0x7f */
    DIGIT = 0x20,
};

/* Bytes from 0x80 on have no class. */
static const uint8_t classes[256] = {
    0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x00, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
    0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
    0x00, 0x0f, 0x04, 0x01, 0x0f, 0x05, 0x0f, 0x0f, 0x0e, 0x0e, 0x0f, 0x0f, 0x0e, 0x0f, 0x0d, 0x06,
    0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x2f, 0x06, 0x0e, 0x04, 0x0e, 0x04, 0x04,
    0x06, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f,
    0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x06, 0x04, 0x06, 0x07, 0x0f,
    0x05, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f,
    0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x04, 0x07, 0x04, 0x0f, 0x10,
};

static inline bool is(char c, unsigned class)
{
    return (classes[(unsigned char)c] & class) != 0;
}

/* Returns the value of a hexadecimal digit, or -1. */
static inline int hex(char c)
{
    if (is(c, DIGIT))
        return c - '0';
    int low = c | 0x20;
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* Returns the byte encoded by "%XX" at p, or -1 if that is not valid. */
static inline int percent(const char *p, const char *end)
{
    if (end - p < 3 || *p != '%')
        return -1;
    int high = hex(p[1]), low = hex(p[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Returns the first byte from p on that is not of the class. */
static inline const char *skip(const char *p, const char *end, unsigned class)
{
    for (; end - p >= 8; p += 8)
#ifdef __clang__ /* GCC's words are unknown to it before 12 */
#pragma unroll 8
#else
#pragma GCC unroll 8
#endif
        for (int i = 0; i < 8; i++)
            if (!is(p[i], class))
                return p + i;
    while (p < end && is(*p, class))
        p++;
    return p;
}

/* Returns the n <= 8 bytes at p as a number. */
static inline uint64_t load(const char *p, size_t n)
{
    uint64_t x = 0;
    memcpy(&x, p, n);
    return x;
}

#define BYTES(c) (UINT64_MAX / 255 * (c)) /* eight times the byte c */

/* Returns the first CONTROL byte from p on, searching eight bytes at a time. A byte below 0x20 is
 * marked in its top bit by subtracting, 0x7f by adding; a borrow can only set marks after a true
 * one, so the first mark is true. */
static inline const char *skip_value(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t x = le64toh(load(p, 8));
        uint64_t bad = (x - BYTES(0x20)) | ((x & BYTES(0x7f)) + BYTES(0x01));
        bad &= ~x & BYTES(0x80);
        if (bad == 0) {
            p += 8;
            continue;
        }
        p += __builtin_ctzll(bad) / 8;
        if (*p != '\t')
            return p;
        p++;
    }
    while (p < end && !is(*p, CONTROL))
        p++;
    return p;
}

/* Returns true if the n >= 4 bytes at p equal `lower` but for the case of letters. `lower` may hold
 * only small letters and bytes from ' ' to '?', the bytes at p no control bytes: 0x0d would pass
 * for '-'. */
static inline bool same(const char *p, const char *lower, size_t n)
{
    if (n < 8)
        return (load(p, 4) | (uint32_t)BYTES(0x20)) == load(lower, 4) &&
               (load(p + n - 4, 4) | (uint32_t)BYTES(0x20)) == load(lower + n - 4, 4);
    for (size_t i = 0; i + 8 < n; i += 8)
        if ((load(p + i, 8) | BYTES(0x20)) != load(lower + i, 8))
            return false;
    return (load(p + (n - 8), 8) | BYTES(0x20)) == load(lower + (n - 8), 8);
}

static inline bool is_word(struct span s, struct span lower)
{
    return s.n == lower.n && same(s.p, lower.p, lower.n);
}

static bool is_token(struct span s)
{
    return s.n > 0 && skip(s.p, s.p + s.n, NAME) == s.p + s.n;
}

/* ---- names ---- */

static const struct span methods[] = {
#define X(name) {#name, sizeof(#name) - 1},
    HTTP_METHODS(X)
#undef X
};

/* Fields that are only used here, numbered after those that a request keeps. */
#define USED_FIELDS(X)                        \
    X(HOST, "host")                           \
    X(CONTENT_LENGTH, "content-length")       \
    X(TRANSFER_ENCODING, "transfer-encoding") \
    X(CONNECTION, "connection")               \
    X(EXPECT, "expect")

enum {
#define X(id, name) FIELD_##id,
    HTTP_FIELDS(X) USED_FIELDS(X)
#undef X
};

static const struct {
    char p[31]; /* here: pointers would be larger, as each is relocated at the start */
    uint8_t n;
} names[] = {
#define X(id, name) {name, sizeof(name) - 1},
    HTTP_FIELDS(X) USED_FIELDS(X)
#undef X
};

/* Length and first letter tell the names apart, and so does this hash of the two: if two names
 * shared a slot, the compiler would warn of an overridden initializer. */
#define SLOT(n, first) (((n)*18 + (first)) % 64)

static const uint8_t slots[64] = {
    [SLOT(4, 'h')] = 1 + FIELD_HOST,
    [SLOT(6, 'a')] = 1 + FIELD_ACCEPT,
    [SLOT(6, 'c')] = 1 + FIELD_COOKIE,
    [SLOT(6, 'e')] = 1 + FIELD_EXPECT,
    [SLOT(6, 'o')] = 1 + FIELD_ORIGIN,
    [SLOT(6, 'p')] = 1 + FIELD_PREFER,
    [SLOT(7, 'u')] = 1 + FIELD_UPGRADE,
    [SLOT(9, 'f')] = 1 + FIELD_FORWARDED,
    [SLOT(10, 'c')] = 1 + FIELD_CONNECTION,
    [SLOT(12, 'c')] = 1 + FIELD_CONTENT_TYPE,
    [SLOT(13, 'a')] = 1 + FIELD_AUTHORIZATION,
    [SLOT(13, 'i')] = 1 + FIELD_IF_NONE_MATCH,
    [SLOT(13, 'l')] = 1 + FIELD_LAST_EVENT_ID,
    [SLOT(14, 'c')] = 1 + FIELD_CONTENT_LENGTH,
    [SLOT(15, 'x')] = 1 + FIELD_X_FORWARDED_FOR,
    [SLOT(15, 'i')] = 1 + FIELD_IDEMPOTENCY_KEY,
    [SLOT(16, 'c')] = 1 + FIELD_CONTENT_ENCODING,
    [SLOT(17, 's')] = 1 + FIELD_SEC_WEBSOCKET_KEY,
    [SLOT(17, 't')] = 1 + FIELD_TRANSFER_ENCODING,
    [SLOT(17, 'x')] = 1 + FIELD_X_FORWARDED_PROTO,
    [SLOT(21, 's')] = 1 + FIELD_SEC_WEBSOCKET_VERSION,
    [SLOT(22, 's')] = 1 + FIELD_SEC_WEBSOCKET_PROTOCOL,
    [SLOT(29, 'a')] = 1 + FIELD_ACCESS_CONTROL_REQUEST_METHOD,
    [SLOT(30, 'a')] = 1 + FIELD_ACCESS_CONTROL_REQUEST_HEADERS,
};

/* Returns the field whose name is the n > 0 token bytes at p; -1 if it is not one that matters. */
static inline int field_of(const char *p, size_t n)
{
    int id = slots[SLOT(n, (unsigned char)p[0] | 0x20u)] - 1;
    return id >= 0 && n == names[id].n && same(p, names[id].p, n) ? id : -1;
}

static int method_of(struct span name)
{
    for (size_t m = 0; m < sizeof methods / sizeof methods[0]; m++)
        if (span_eq(name, methods[m]))
            return (int)m;
    return -1;
}

/* ---- request line ---- */

/* A head being read. */
struct head {
    struct http_request *r;
    const char *end;    /* of the bytes that may be read now */
    struct span target; /* as sent, where it isn't in origin-form */
    int method;         /* -1: not known */
    char major;         /* digit of the version */
    bool odd_path;      /* it holds '%' or '.' */
    bool has_host, has_length, close, keep;
    int status; /* minus what to answer; 0: more is needed */
};

static const char *refuse(struct head *h, int status, const char *wrong)
{
    h->status = -status;
    h->r->wrong = wrong;
    return NULL;
}

/* Stops parsing at p, in the part of the head that `where` names: the bytes ended there, or the
 * byte there is wrong. Returns NULL. */
static const char *stuck(struct head *h, const char *p, const char *where)
{
    if (p == h->end)
        return refuse(h, 0, NULL);
    h->r->wrong_at = p;
    return refuse(h, 400, where);
}

static inline const char *line_end(struct head *h, const char *p, const char *where)
{
    if (h->end - p >= 2 && memcmp(p, "\r\n", 2) == 0)
        return p + 2;
    return stuck(h, p < h->end && *p == '\r' ? p + 1 : p, where);
}

/* Returns the end of the path at p; sets *odd if it holds '%' or '.'. */
static const char *skip_path(const char *p, const char *end, bool *odd)
{
    for (;; p++) {
        p = skip(p, end, PATH);
        if (p == end || (*p != '%' && *p != '.'))
            return p;
        *odd = true;
    }
}

/* Returns what is wrong with a path, or NULL: its percent-encoding must be well-formed, without
 * "%00", and no segment may be "." or "..". An encoded slash separates segments too, as some decode
 * before they split. */
static const char *path_wrong(struct span path)
{
    static const char *const dotted = "the path has . or .. as a segment";
    unsigned dots = 0; /* dots of a segment of only dots so far; 3: any other segment */
    const char *end = path.p + path.n;
    for (const char *p = path.p; p < end; p++) {
        int c = (unsigned char)*p;
        if (c == '%') {
            c = percent(p, end);
            if (c <= 0)
                return c == 0 ? "the path holds %00" : "the path has a % without two hex digits";
            p += 2;
        }
        if (c != '/') {
            dots = c == '.' && dots < 3 ? dots + 1 : 3;
            continue;
        }
        if (dots == 1 || dots == 2)
            return dotted;
        dots = 0;
    }
    return dots == 1 || dots == 2 ? dotted : NULL;
}

/* Returns true if it is uri-host [":" port] of RFC 3986; both may be empty. */
static bool host_ok(struct span host)
{
    const char *p = host.p, *end = host.p + host.n;
    if (host.n > 0 && *p == '[') {
        do
            p++;
        while (p < end && (is(*p, HOST) || *p == ':'));
        if (p == end || *p != ']' || p == host.p + 1)
            return false;
        p++;
    } else {
        p = skip(p, end, HOST);
        while (percent(p, end) >= 0)
            p = skip(p + 3, end, HOST);
    }
    if (p < end && *p == ':')
        p = skip(p + 1, end, DIGIT);
    return p == end;
}

/* Splits "http://host/path?query". Returns false if it is wrong. */
static bool absolute_form(struct head *h)
{
    struct http_request *r = h->r;
    struct span t = h->target;
    if (t.n >= 7 && same(t.p, "http://", 7))
        t = span_from(t, 7);
    else if (t.n >= 8 && same(t.p, "https://", 8))
        t = span_from(t, 8);
    else
        return false;
    r->host = (struct span){t.p, 0};
    while (r->host.n < t.n && t.p[r->host.n] != '/' && t.p[r->host.n] != '?')
        r->host.n++;
    if (r->host.n == 0 || r->host.p[0] == ':' || !host_ok(r->host))
        return false;
    t = span_from(t, r->host.n);
    r->path = span_cut(&t, '?');
    r->query = t;
    if (r->path.n == 0) /* means "/": points at the one before the host */
        r->path = (struct span){r->host.p - 1, 1};
    const char *end = r->path.p + r->path.n;
    return skip_path(r->path.p, end, &h->odd_path) == end;
}

/* Returns what is wrong with the target, or NULL. */
static const char *target_wrong(struct head *h)
{
    struct http_request *r = h->r;
    if (h->target.n == 1 && h->target.p[0] == '*') {
        r->asterisk = true;
        return r->method == HTTP_OPTIONS ? NULL : "the target * is for OPTIONS alone";
    }
    if (h->target.n > 0 && !absolute_form(h))
        return "the target is neither a path, which begins with /, nor an http:// URL";
    return h->odd_path ? path_wrong(r->path) : NULL;
}

static const char *method(struct head *h, const char *p)
{
    h->method = HTTP_GET;
    if (h->end - p >= 4 && memcmp(p, "GET ", 4) == 0) /* the common case */
        return p + 4;
    const char *start = p;
    p = skip(p, h->end, NAME);
    if (p < h->end && *p == TLS_HANDSHAKE)
        return refuse(h, 400,
                      "this is TLS, and plain HTTP is spoken here; a proxy in front has TLS");
    if (p == start || p == h->end || *p != ' ')
        return stuck(h, p, "in the method");
    h->method = method_of((struct span){start, (size_t)(p - start)});
    return p + 1;
}

static const char *target(struct head *h, const char *p)
{
    const char *start = p, *where = "in the target";
    if (p < h->end && *p == '/') {
        where = "in the path";
        p = skip_path(p, h->end, &h->odd_path);
        h->r->path = (struct span){start, (size_t)(p - start)};
        if (p < h->end && *p == '?') {
            where = "in the query";
            start = p + 1;
            p = skip(start, h->end, QUERY);
            h->r->query = (struct span){start, (size_t)(p - start)};
        }
    } else {
        p = skip(p, h->end, QUERY);
        if (p == start)
            return stuck(h, p, "in the target");
        h->target = (struct span){start, (size_t)(p - start)};
    }
    return p < h->end && *p == ' ' ? p + 1 : stuck(h, p, where);
}

/* Reads "HTTP/D.D" and the line's end. */
static const char *version(struct head *h, const char *p)
{
    static const char form[] = "HTTP/0.0\r\n";
    h->major = '1';
    h->r->minor = 1;
    if (h->end - p >= 10 && memcmp(p, "HTTP/1.1\r\n", 10) == 0)
        return p + 10;
    for (int i = 0; i < 10; i++)
        if (p + i == h->end || (form[i] == '0' ? !is(p[i], DIGIT) : p[i] != form[i]))
            return stuck(h, p + i, "where HTTP/1.1 and a line end (CRLF) should be");
    h->major = p[5];
    h->r->minor = p[7] != '0';
    return p + 10;
}

static const char *request_line(struct head *h, const char *p)
{
    p = method(h, p);
    if (p != NULL)
        p = target(h, p);
    if (p != NULL)
        p = version(h, p);
    if (p == NULL)
        return NULL;
    if (h->major != '1')
        return refuse(h, 505, NULL);
    if (h->method < 0)
        return refuse(h, 501, NULL);
    h->r->method = (enum http_method)h->method;
    const char *wrong = target_wrong(h);
    return wrong == NULL ? p : refuse(h, 400, wrong);
}

/* Does what request_line() does within the limit: a line that is too long is cut as soon as that is
 * certain, and then cannot be complete. */
static const char *limited_line(struct head *h, const char *p, uint32_t limit)
{
    const char *end = h->end;
    bool cut = (size_t)(end - p) > limit && p[limit] != '\r';
    if (cut)
        h->end = p + limit + 1;
    p = request_line(h, p);
    h->end = end;
    return p == NULL && h->status == 0 && cut ? refuse(h, 414, NULL) : p;
}

/* ---- fields ---- */

/* Accepts only a lone "chunked". Anything else is 501 if it is a list of codings with "chunked"
 * only at its end, otherwise 400. */
static int take_coding(struct head *h, struct span value)
{
    if (h->r->minor == 0 || h->has_length || h->r->chunked)
        return -400;
    if (is_word(value, SPAN("chunked"))) {
        h->r->chunked = true;
        return 0;
    }
    do {
        struct span item = span_trim(span_cut(&value, ','));
        struct span name = span_trim(span_cut(&item, ';'));
        bool last = value.p == NULL, plain = item.p == NULL;
        if (!is_token(name) || (is_word(name, SPAN("chunked")) && (!last || !plain)))
            return -400;
    } while (value.p != NULL);
    return -501;
}

static void take_connection(struct head *h, struct span value)
{
    while (value.n > 0) {
        struct span item = span_trim(span_cut(&value, ','));
        h->close |= is_word(item, SPAN("close"));
        h->keep |= is_word(item, SPAN("keep-alive"));
        h->r->upgrade |= is_word(item, SPAN("upgrade")) && h->r->minor > 0;
    }
}

/* Handles a field that matters. Returns 0, or minus a status. */
static int take(struct head *h, int id, struct span value)
{
    struct http_request *r = h->r;
    switch (id) {
    case FIELD_HOST:
        if (h->has_host || !host_ok(value))
            return -400;
        h->has_host = true;
        if (r->host.p == NULL)
            r->host = value;
        return 0;
    case FIELD_CONTENT_LENGTH:
        if (h->has_length || r->chunked)
            return -400;
        if (!span_u64(value, &r->length) || r->length > INT64_MAX)
            return -400;
        h->has_length = true;
        return 0;
    case FIELD_TRANSFER_ENCODING:
        return take_coding(h, value);
    case FIELD_CONNECTION:
        take_connection(h, value);
        return 0;
    case FIELD_EXPECT:
        r->expect_continue = r->minor > 0 && is_word(value, SPAN("100-continue"));
        return r->minor == 0 || r->expect_continue ? 0 : -417;
    default:
        if (r->nfields == HTTP_FIELDS_MAX)
            return -431;
        r->field[r->nfields++] = (struct http_field){(enum http_field_id)id, value};
        r->has |= 1u << id;
        return 0;
    }
}

/* Returns what is wrong with a field that take() refused. */
__attribute__((noinline, cold)) static const char *field_wrong(const struct head *h, int id)
{
    const struct http_request *r = h->r;
    switch (id) {
    case FIELD_HOST:
        return h->has_host ? "there are two Host fields" : "Host is not a host and a port";
    case FIELD_CONTENT_LENGTH:
        return r->chunked      ? "there are both Content-Length and Transfer-Encoding"
               : h->has_length ? "there are two Content-Length fields"
                               : "Content-Length is not a number below 2^63";
    case FIELD_TRANSFER_ENCODING:
        return h->has_length   ? "there are both Content-Length and Transfer-Encoding"
               : r->minor == 0 ? "Transfer-Encoding is not for HTTP/1.0"
               : r->chunked    ? "there are two Transfer-Encoding fields"
                               : "Transfer-Encoding is not a list of codings with chunked last";
    default:
        return NULL;
    }
}

static const char *field_line(struct head *h, const char *p)
{
    const char *name = p;
    p = skip(p, h->end, NAME);
    if (p == name || p == h->end || *p != ':')
        return stuck(h, p, p == name ? "where a field's name should be" : "in a field's name");
    const char *colon = p, *end = skip_value(p + 1, h->end);
    p = line_end(h, end, "in a field's value");
    int id = p != NULL ? field_of(name, (size_t)(colon - name)) : -1;
    if (id < 0)
        return p;
    int status = take(h, id, span_trim((struct span){colon + 1, (size_t)(end - colon - 1)}));
    return status == 0 ? p : refuse(h, -status, field_wrong(h, id));
}

/* ---- head ---- */

static const char *head(struct head *h, const char *p, uint32_t line_max)
{
    if (*p == '\r')
        p = line_end(h, p, "behind a CR");
    if (p != NULL)
        p = limited_line(h, p, line_max);
    while (p != NULL && p < h->end && *p != '\r')
        p = field_line(h, p);
    if (p != NULL)
        p = line_end(h, p, "behind a CR");
    if (p == NULL)
        return NULL;
    if (h->r->minor > 0 && !h->has_host)
        return refuse(h, 400, "there is no Host field");
    h->r->keep_alive = !h->close && (h->r->minor > 0 || h->keep);
    return p;
}

/* Returns true if the bytes from p on only continue the part of the request line they are in. */
static bool quiet_request(const char *line, const char *p, const char *end)
{
    bool odd;
    const char *space = memchr(line, ' ', (size_t)(p - line));
    if (space == NULL)
        return skip(p, end, NAME) == end && p > line;
    size_t n = (size_t)(p - space - 1);
    if (n == 0 || memchr(space + 1, ' ', n) != NULL)
        return false;
    bool path = space[1] == '/' && memchr(space + 1, '?', n) == NULL;
    return (path ? skip_path(p, end, &odd) : skip(p, end, QUERY)) == end;
}

/* Returns true if they only continue the part of a field line they are in, or hold a whole name, a
 * colon and the beginning of a value. */
static bool quiet_field(const char *line, const char *p, const char *end)
{
    if (memchr(line, ':', (size_t)(p - line)) == NULL) {
        p = skip(p, end, NAME);
        if (p == end || *p != ':' || p == line)
            return p == end;
        p++;
    }
    p = skip_value(p, end);
    return p == end || (p + 1 == end && *p == '\r');
}

/* Returns true if the bytes since `seen` need no parsing yet: they neither end a line nor reach a
 * limit, and are valid where they are. */
static bool quiet(const char *buf, size_t len, size_t seen, const struct http_limits *limits)
{
    if (seen == 0 || buf[seen - 1] == '\r' || len >= limits->head ||
        memchr(buf + seen, '\n', len - seen) != NULL)
        return false;
    size_t start = buf[0] == '\r' ? 2 : 0;
    const char *p = buf + seen, *end = buf + len;
    const char *last = memrchr(buf + start, '\n', seen - start);
    if (last != NULL)
        return quiet_field(last + 1, p, end);
    return len - start <= limits->line && quiet_request(buf + start, p, end);
}

int http_parse(const char *buf, size_t len, size_t seen, const struct http_limits *limits,
               struct http_request *r)
{
    assert(seen <= len && limits->head <= INT_MAX);
    if (len == 0 || quiet(buf, len, seen, limits))
        return 0;
    size_t n = len < limits->head ? len : limits->head;
    struct head h = {.r = r, .end = buf + n};
    memset(r, 0, offsetof(struct http_request, field));
    const char *p = n > 0 ? head(&h, buf, limits->line) : NULL;
    if (p != NULL)
        return (int)(p - buf);
    return h.status == 0 && n == limits->head ? -431 : h.status;
}

/* ---- fields that were kept ---- */

static bool has(const struct http_request *r, enum http_field_id id)
{
    return (r->has & 1u << id) != 0;
}

struct span http_field(const struct http_request *r, enum http_field_id id)
{
    for (unsigned i = 0; has(r, id) && i < r->nfields; i++)
        if (r->field[i].id == id)
            return r->field[i].value;
    return (struct span){NULL, 0};
}

/* Does what span_cut() does, ignoring a `c` within a quoted string. */
static struct span cut_unquoted(struct span *s, char c)
{
    if (s->n == 0 || memchr(s->p, '"', s->n) == NULL)
        return span_cut(s, c);
    struct span part = *s;
    bool quoted = false;
    for (size_t i = 0; i < s->n; i++) {
        if (s->p[i] == '"')
            quoted = !quoted;
        else if (quoted && s->p[i] == '\\')
            i++;
        else if (!quoted && s->p[i] == c) {
            part.n = i;
            *s = span_from(*s, i + 1);
            return part;
        }
    }
    *s = (struct span){NULL, 0};
    return part;
}

bool http_list(const struct http_request *r, enum http_field_id id, size_t *pos, struct span *item)
{
    size_t line = 0; /* the offset of this line if all were joined with commas */
    for (unsigned i = 0; has(r, id) && i < r->nfields; i++) {
        if (r->field[i].id != id)
            continue;
        struct span value = r->field[i].value;
        while (*pos <= line + value.n) {
            struct span rest = span_from(value, *pos - line);
            *item = cut_unquoted(&rest, ',');
            *pos += item->n + 1;
            *item = span_trim(*item);
            if (item->n > 0)
                return true;
        }
        line += value.n + 1;
    }
    return false;
}

/* Reads a weight, "0.5", as 0 to 1000. Returns -1 if it is malformed. */
static int quality(struct span s)
{
    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return -1;
    int q = (s.p[0] - '0') * 1000, unit = 100;
    for (size_t i = 2; i < s.n; i++, unit /= 10) {
        if (!is(s.p[i], DIGIT))
            return -1;
        q += (s.p[i] - '0') * unit;
    }
    return q <= 1000 ? q : -1;
}

enum match { NO_RANGE, NO_MATCH, ANY_TYPE, ANY_SUBTYPE, WITH_PARAMETERS, BARE };

/* Returns true if the range is exactly that type, as EventSource and most clients send it. */
static bool range_is(struct span range, struct span type, struct span subtype)
{
    return range.n == type.n + 1 + subtype.n && range.p[type.n] == '/' &&
           span_begins(range, type) && span_eq(span_from(range, type.n + 1), subtype);
}

/* Reads a media range, "type/subtype;param=value;q=0.5". Returns how well it matches a type. Text
 * after the weight is ignored. */
static enum match range_match(struct span s, struct span type, struct span subtype, int *q)
{
    struct span right = span_trim(cut_unquoted(&s, ';'));
    struct span left = span_cut(&right, '/');
    bool bare = true;
    *q = 1000;
    while (s.n > 0) {
        struct span value = span_trim(cut_unquoted(&s, ';'));
        struct span name = span_cut(&value, '=');
        if (span_same(span_trim(name), SPAN("q"))) {
            *q = name.n == 1 ? quality(value) : -1;
            break;
        }
        bare &= name.n == 0;
    }
    bool any_left = span_eq(left, SPAN("*")), any_right = span_eq(right, SPAN("*"));
    if (*q < 0 || !is_token(left) || !is_token(right) || (any_left && !any_right))
        return NO_RANGE;
    if (any_left)
        return ANY_TYPE;
    if (!span_same(left, type) || (!any_right && !span_same(right, subtype)))
        return NO_MATCH;
    return any_right ? ANY_SUBTYPE : bare ? BARE : WITH_PARAMETERS;
}

unsigned http_accept(const struct http_request *r, struct span type, struct span subtype,
                     bool *exact)
{
    enum match best = NO_RANGE;
    int best_q = 1000, q;
    size_t pos = 0;
    struct span item;
    *exact = false;
    if (!has(r, HTTP_ACCEPT))
        return 1000;
    while (http_list(r, HTTP_ACCEPT, &pos, &item)) {
        enum match match = BARE;
        q = 1000;
        if (!range_is(item, type, subtype))
            match = range_match(item, type, subtype, &q);
        if (match > best || (match == best && q > best_q)) {
            best = match;
            best_q = q;
        }
    }
    *exact = best >= WITH_PARAMETERS;
    return best == NO_MATCH ? 0 : (unsigned)best_q;
}

bool http_is_type(struct span content_type, struct span type)
{
    return span_same(span_trim(span_cut(&content_type, ';')), type);
}

/* ---- percent-encoding ---- */

ptrdiff_t http_decode(struct span s, bool plus, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int c = (unsigned char)s.p[i];
        if (c == '%') {
            c = percent(s.p + i, s.p + s.n);
            if (c < 0)
                return -1;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (n == cap)
            return -2;
        out[n++] = (char)c;
    }
    return (ptrdiff_t)n;
}

ptrdiff_t http_query(struct span query, struct span name, char *out, size_t cap)
{
    char key[64];
    assert(name.n <= sizeof key);
    while (query.n > 0) {
        struct span value = span_cut(&query, '&');
        ptrdiff_t n = http_decode(span_cut(&value, '='), true, key, sizeof key);
        if (n >= 0 && span_eq((struct span){key, (size_t)n}, name))
            return http_decode(value, true, out, cap);
    }
    return -3;
}

/* ---- body ---- */

enum body_state {
    BODY_DONE,
    BODY_LENGTH,    /* `left` bytes of a body of known length */
    BODY_SIZE,      /* chunk size */
    BODY_EXT_BLANK, /* blanks after the chunk size, which only an extension may follow */
    BODY_EXT,       /* chunk extensions */
    BODY_SIZE_LF,
    BODY_DATA, /* `left` bytes of a chunk */
    BODY_DATA_CR,
    BODY_DATA_LF,
    BODY_TRAILER, /* the beginning of a trailer line */
    BODY_TRAILER_NAME,
    BODY_TRAILER_VALUE,
    BODY_TRAILER_LF,
    BODY_LAST_LF,
};

void http_body_init(struct http_body *b, const struct http_request *r)
{
    *b = (struct http_body){.left = r->length};
    b->state = r->chunked ? BODY_SIZE : r->length > 0 ? BODY_LENGTH : BODY_DONE;
}

bool http_body_done(const struct http_body *b)
{
    return b->state == BODY_DONE;
}

static int body_go(struct http_body *b, enum body_state state)
{
    b->state = (uint8_t)state;
    return 0;
}

/* Handles a byte of a line with a chunk's size. Returns 0, or minus a status. */
static int size_byte(struct http_body *b, char c)
{
    int digit = hex(c);
    if (b->state == BODY_SIZE && digit >= 0) {
        if (b->digits == CHUNK_DIGITS_MAX || b->left > INT64_MAX >> 4)
            return -400;
        b->digits++;
        b->left = b->left << 4 | (unsigned)digit;
        return 0;
    }
    if (b->state == BODY_SIZE && b->digits == 0)
        return -400;
    if (c == '\r' && b->state != BODY_EXT_BLANK)
        return body_go(b, BODY_SIZE_LF);
    if (++b->overhead > CHUNK_EXT_MAX)
        return -400;
    if (b->state == BODY_EXT)
        return !is(c, CONTROL) ? 0 : -400;
    if (c == ';')
        return body_go(b, BODY_EXT);
    return c == ' ' || c == '\t' ? body_go(b, BODY_EXT_BLANK) : -400;
}

/* Handles a byte of the trailers. Returns 0, or minus a status. */
static int trailer_byte(struct http_body *b, char c)
{
    if (b->state == BODY_TRAILER && c == '\r')
        return body_go(b, BODY_LAST_LF);
    if (++b->overhead > TRAILERS_MAX)
        return -431;
    switch (b->state) {
    case BODY_TRAILER:
        return is(c, NAME) ? body_go(b, BODY_TRAILER_NAME) : -400;
    case BODY_TRAILER_NAME:
        if (c == ':')
            return body_go(b, BODY_TRAILER_VALUE);
        return is(c, NAME) ? 0 : -400;
    case BODY_TRAILER_VALUE:
        if (c == '\r')
            return body_go(b, BODY_TRAILER_LF);
        return !is(c, CONTROL) ? 0 : -400;
    default:
        return c == '\n' ? body_go(b, BODY_TRAILER) : -400;
    }
}

/* Handles a byte that is not of the body itself. Returns 0, or minus a status. */
static int framing_byte(struct http_body *b, char c)
{
    switch (b->state) {
    case BODY_SIZE:
    case BODY_EXT_BLANK:
    case BODY_EXT:
        return size_byte(b, c);
    case BODY_SIZE_LF:
        b->digits = 0;
        b->overhead = 0;
        return c == '\n' ? body_go(b, b->left > 0 ? BODY_DATA : BODY_TRAILER) : -400;
    case BODY_DATA_CR:
        return c == '\r' ? body_go(b, BODY_DATA_LF) : -400;
    case BODY_DATA_LF:
        return c == '\n' ? body_go(b, BODY_SIZE) : -400;
    case BODY_LAST_LF:
        return c == '\n' ? body_go(b, BODY_DONE) : -400;
    default:
        return trailer_byte(b, c);
    }
}

int http_body_decode(struct http_body *b, char *buf, size_t len, size_t *took, size_t *got)
{
    size_t in = 0, out = 0;
    int status = 0;
    while (in < len && b->state != BODY_DONE && status == 0) {
        if (b->state != BODY_LENGTH && b->state != BODY_DATA) {
            status = framing_byte(b, buf[in]);
            in += status == 0;
            continue;
        }
        size_t n = b->left < len - in ? (size_t)b->left : len - in;
        if (out != in)
            memmove(buf + out, buf + in, n);
        in += n;
        out += n;
        b->left -= n;
        if (b->left == 0)
            body_go(b, b->state == BODY_DATA ? BODY_DATA_CR : BODY_DONE);
    }
    *took = in;
    *got = out;
    return status < 0 ? status : http_body_done(b);
}

/* ---- answers ---- */

const char *http_reason(int status)
{
    switch (status) {
#define X(code, reason) \
    case code:          \
        return reason;
        HTTP_STATUSES(X)
#undef X
    default:
        return "Unknown";
    }
}

void http_status(struct text *t, int status)
{
    assert(status >= 100 && status <= 999);
    switch (status) {
#define X(code, reason)                                   \
    case code:                                            \
        text_str(t, "HTTP/1.1 " #code " " reason "\r\n"); \
        return;
        HTTP_STATUSES(X)
#undef X
    default:
        break;
    }
    char line[] = "HTTP/1.1 000 Unknown\r\n";
    for (int i = 11, left = status; i > 8; i--, left /= 10)
        line[i] = (char)('0' + left % 10);
    text_str(t, line);
}

void http_add(struct text *t, const char *name, struct span value)
{
    if (value.n > 0) {
        const char *end = value.p + value.n;
        for (const char *p = skip_value(value.p, end); p < end; p = skip_value(p + 1, end))
            assert(*p != '\r' && *p != '\n' && *p != '\0');
    }
    text_str(t, name);
    text_str(t, ": ");
    text_add(t, value);
    text_str(t, "\r\n");
}
