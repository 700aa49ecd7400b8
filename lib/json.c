/*
 * json.c - JSON out, and a small reader (RFC 8259).
 *
 * The reader is one loop: what is open is a stack of bits, each an object or an array, so that no
 * input makes it recurse. Its functions leave `at` at the first byte that cannot be right whatever
 * follows, or at the end if the text ends too early.
 */
#include "lib/json.h"

#include <assert.h>

#include "lib/utf8.h"
#include "lib/word.h"

_Static_assert(JSON_DEPTH <= 64, "the stack of open objects and arrays is the bits of a uint64_t");

/* ---- runs of plain bytes ---- */

/* Returns the end of the bytes from `i` on that need no escaping in a JSON string: at a control
 * byte, a quote, a backslash or `also`. */
static inline size_t plain_end(struct span s, size_t i, unsigned char also)
{
    for (; s.n - i >= WORD_SIZE; i += WORD_SIZE) {
        uint64_t w = word_at(s.p + i);
        if (word_has_below(w, 0x20) || word_has(w, '"') || word_has(w, '\\') || word_has(w, also))
            break;
    }
    for (; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == also)
            break;
    }
    return i;
}

/* ---- out ---- */

/* U+2028 and U+2029, which end a line in JavaScript before 2019, are E2 80 A8 and E2 80 A9. */
#define LINE_SEPARATOR_LEAD 0xE2

/* The class of each byte in a string: P plain, S escaped by a letter, L escaped in six bytes, E the
 * possible start of a line separator. */
#define P 0
#define S 2
#define L 6
#define E 7
static const uint8_t kinds[256] = {
    [0x00] = L, L, L, L, L,         L,          L,
    L,          S, S, S, L,         S,          S,
    L,          L, L, L, L,         L,          L,
    L,          L, L, L, L,         L,          L,
    L,          L, L, L, ['"'] = S, ['\\'] = S, [LINE_SEPARATOR_LEAD] = E,
};

/* Returns true if a line separator is at s.p[i], which is its first byte. */
static inline bool is_separator(struct span s, size_t i)
{
    return s.n - i >= 3 && (unsigned char)s.p[i + 1] == 0x80 &&
           ((unsigned char)s.p[i + 2] & 0xfe) == 0xa8;
}

/* Returns the size of the escape at s.p[i], of *took bytes of `s`; 1 if it needs none. */
static inline size_t escape_size(struct span s, size_t i, size_t *took)
{
    uint8_t kind = kinds[(unsigned char)s.p[i]];
    *took = 1;
    if (kind == E && is_separator(s, i)) {
        *took = 3;
        return 6;
    }
    return kind == S || kind == L ? kind : 1;
}

/* Writes the escape of the bytes at s.p[i], of `size` bytes. */
static inline void escape_write(char *to, struct span s, size_t i, size_t size)
{
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    unsigned char c = (unsigned char)s.p[i];
    to[0] = '\\';
    if (size == 2) {
        to[1] = c < 0x20 ? letters[c] : s.p[i];
    } else if (c == LINE_SEPARATOR_LEAD) {
        memcpy(to + 1, "u202", 4);
        to[5] = (unsigned char)s.p[i + 2] == 0xa8 ? '8' : '9';
    } else {
        memcpy(to + 1, "u00", 3);
        to[4] = text_digit(c >> 4u);
        to[5] = text_digit(c);
    }
}

#define RUN 16u /* plain bytes in a row, after which a longer plain run is searched for */

/* Returns the end of the plain run at `i`, if the last RUN bytes were plain; else `i`. */
static inline size_t run_end(struct span s, size_t i, size_t *run)
{
    if (*run < RUN)
        return i;
    *run = 0;
    return plain_end(s, i, LINE_SEPARATOR_LEAD);
}

bool json_plain(struct span s)
{
    return json_plain_run(s) == s.n;
}

size_t json_plain_run(struct span s)
{
    return plain_end(s, 0, LINE_SEPARATOR_LEAD);
}

size_t json_escaped_size(struct span s)
{
    size_t size = 0, run = RUN, took;
    for (size_t i = 0; i < s.n;) {
        size_t end = run_end(s, i, &run);
        size += end - i;
        if ((i = end) == s.n)
            break;
        size_t n = escape_size(s, i, &took);
        run = n == 1 ? run + 1 : 0;
        size += n;
        i += took;
    }
    return size;
}

size_t json_escaped_at(struct span s, size_t at, size_t *into)
{
    size_t i = 0, run = RUN, took;
    while (i < s.n) {
        size_t end = run_end(s, i, &run);
        if (end - i > at) {
            *into = 0;
            return i + at;
        }
        at -= end - i;
        if ((i = end) == s.n)
            break;
        size_t n = escape_size(s, i, &took);
        if (n > at)
            break;
        run = n == 1 ? run + 1 : 0;
        at -= n;
        i += took;
    }
    *into = at;
    return i;
}

size_t json_escape(struct text *t, struct span s, size_t most)
{
    size_t i = 0, n = t->n, run = RUN, took;
    size_t stop = t->cap - n < most ? t->cap : n + most;
    while (i < s.n && n < stop) {
        size_t end = run_end(s, i, &run), part = end - i;
        part = part < stop - n ? part : stop - n;
        memcpy(t->p + n, s.p + i, part);
        n += part;
        i += part;
        if (i == s.n || n == stop)
            break;
        size_t size = escape_size(s, i, &took);
        if (size > t->cap - n)
            break;
        if (size == 1)
            t->p[n] = s.p[i];
        else
            escape_write(t->p + n, s, i, size);
        run = size == 1 ? run + 1 : 0;
        n += size;
        i += took;
    }
    t->n = n;
    return i;
}

void json_string(struct text *t, struct span s)
{
    struct text copy = {t->p, t->n, t->cap, false};
    text_str(&copy, "\"");
    if (json_escape(&copy, s, SIZE_MAX) < s.n)
        copy.full = true;
    text_str(&copy, "\"");
    if (copy.full)
        t->full = true;
    else
        t->n = copy.n;
}

/* ---- in: tokens ---- */

struct reader {
    struct span s;
    size_t at;
};

/* Returns the current byte, or -1 at the end. */
static int peek(const struct reader *r)
{
    return r->at < r->s.n ? (unsigned char)r->s.p[r->at] : -1;
}

static bool take(struct reader *r, char c)
{
    if (peek(r) != c)
        return false;
    r->at++;
    return true;
}

static void skip_space(struct reader *r)
{
    for (int c = peek(r); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(r))
        r->at++;
}

static bool read_word(struct reader *r, const char *word)
{
    for (; *word != '\0'; word++)
        if (!take(r, *word))
            return false;
    return true;
}

static bool read_digits(struct reader *r)
{
    size_t from = r->at;
    for (int c = peek(r); c >= '0' && c <= '9'; c = peek(r))
        r->at++;
    return r->at > from;
}

static bool read_number(struct reader *r)
{
    (void)take(r, '-');
    if (!take(r, '0') && !read_digits(r))
        return false;
    if (take(r, '.') && !read_digits(r))
        return false;
    if (!take(r, 'e') && !take(r, 'E'))
        return true;
    if (!take(r, '+'))
        (void)take(r, '-');
    return read_digits(r);
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads the four digits of a \u escape, of a low surrogate (DC00 to DFFF) or of anything else. */
static bool read_hex4(struct reader *r, bool low, unsigned *code)
{
    unsigned u = 0;
    for (unsigned i = 0; i < 4; i++) {
        int digit = hex_digit(peek(r));
        if (digit < 0)
            return false;
        u = u << 4 | (unsigned)digit;
        if (i == 0 ? low && u != 0xD : (u >> 4 * (i - 1) >> 2 == 0xDC >> 2) != low)
            return false;
        r->at++;
    }
    *code = u;
    return true;
}

static bool is_high_surrogate(unsigned code)
{
    return code >= 0xD800 && code <= 0xDBFF;
}

/* Reads what comes after a backslash. */
static bool read_escape(struct reader *r)
{
    unsigned code;
    int c = peek(r);
    if (c == 'u') {
        r->at++;
        if (!read_hex4(r, false, &code))
            return false;
        return !is_high_surrogate(code) || (read_word(r, "\\u") && read_hex4(r, true, &code));
    }
    if (c <= 0 || strchr("\"\\/bfnrt", c) == NULL)
        return false;
    r->at++;
    return true;
}

/* Reads a string from its first quote; *raw is the text between the quotes. */
static bool read_string(struct reader *r, struct span *raw)
{
    if (!take(r, '"'))
        return false;
    size_t from = r->at;
    for (;;) {
        size_t end = plain_end(r->s, r->at, '"');
        struct utf8 u = {0, 0, 0};
        r->at += utf8_feed(&u, (struct span){r->s.p + r->at, end - r->at});
        if (r->at < end || !utf8_whole(&u))
            return false;
        *raw = (struct span){r->s.p + from, r->at - from};
        if (take(r, '"'))
            return true;
        if (!take(r, '\\') || !read_escape(r))
            return false;
    }
}

/* ---- in: values ---- */

/* Reads a value other than an object or an array. */
static bool read_scalar(struct reader *r, enum json_kind *kind, struct span *raw)
{
    size_t from = r->at;
    bool good;
    switch (peek(r)) {
    case '"':
        *kind = JSON_STRING;
        return read_string(r, raw);
    case 't':
        *kind = JSON_TRUE;
        good = read_word(r, "true");
        break;
    case 'f':
        *kind = JSON_FALSE;
        good = read_word(r, "false");
        break;
    case 'n':
        *kind = JSON_NULL;
        good = read_word(r, "null");
        break;
    default:
        *kind = JSON_NUMBER;
        good = read_number(r);
        break;
    }
    *raw = (struct span){r->s.p + from, r->at - from};
    return good;
}

/* Reads a member's name and the colon, up to its value. */
static bool read_name(struct reader *r, struct span *name)
{
    skip_space(r);
    if (!read_string(r, name))
        return false;
    skip_space(r);
    if (!take(r, ':'))
        return false;
    skip_space(r);
    return true;
}

/* The open objects and arrays: bit 0 of `objects` says whether the innermost is an object. */
struct open {
    unsigned depth;
    uint64_t objects;
};

/* Moves to the next value of the innermost open one, after its bracket (`first`) or after a value.
 * Returns false with r->at at a byte that is wrong there; *closed says that its closing bracket
 * came instead of a value. */
static bool read_between(struct reader *r, struct open *o, bool first, bool *closed)
{
    bool object = (o->objects & 1) != 0;
    struct span name;
    skip_space(r);
    *closed = take(r, object ? '}' : ']');
    if (*closed) {
        o->depth--;
        o->objects >>= 1;
        return true;
    }
    if (!first && !take(r, ','))
        return false;
    if (object)
        return read_name(r, &name);
    skip_space(r);
    return true;
}

/* Reads the value that begins at r->at, with all values inside it. */
static bool read_value(struct reader *r, struct json_value *v)
{
    struct open o = {0, 0};
    size_t from = r->at;
    int first = peek(r);
    do {
        enum json_kind kind;
        struct span raw;
        bool opens = peek(r) == '{' || peek(r) == '[', closed = !opens;
        if (opens) {
            if (o.depth == JSON_DEPTH)
                return false;
            o.depth++;
            o.objects = o.objects << 1 | (peek(r) == '{');
            r->at++;
            if (!read_between(r, &o, true, &closed))
                return false;
        } else {
            if (!read_scalar(r, &kind, &raw))
                return false;
            *v = (struct json_value){kind, raw};
        }
        while (closed && o.depth > 0)
            if (!read_between(r, &o, false, &closed))
                return false;
    } while (o.depth > 0);
    if (first == '{' || first == '[') {
        v->kind = first == '{' ? JSON_OBJECT : JSON_ARRAY;
        v->raw = (struct span){r->s.p + from, r->at - from};
    }
    return true;
}

bool json_read(struct span s, struct json_value *v, size_t *at)
{
    struct reader r = {s, 0};
    skip_space(&r);
    bool good = read_value(&r, v);
    if (good)
        skip_space(&r);
    *at = r.at;
    return good && r.at == s.n;
}

bool json_next(const struct json_value *of, size_t *pos, struct span *name, struct json_value *v)
{
    struct reader r = {of->raw, *pos};
    assert(of->kind == JSON_OBJECT || of->kind == JSON_ARRAY);
    assert(*pos < of->raw.n);
    if (*pos == 0)
        r.at = 1;
    skip_space(&r);
    if (*pos != 0)
        (void)take(&r, ',');
    skip_space(&r);
    *name = (struct span){NULL, 0};
    bool there = peek(&r) != '}' && peek(&r) != ']';
    if (there) {
        bool good = (of->kind == JSON_ARRAY || read_name(&r, name)) && read_value(&r, v);
        assert(good);
    }
    *pos = r.at;
    return there;
}

/* ---- in: escapes ---- */

/* Writes a code point in UTF-8; returns the number of bytes. */
static size_t put_utf8(char *out, unsigned code)
{
    unsigned more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned lead[] = {0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[more] | code >> 6 * more);
    for (unsigned i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (code >> 6 * (more - i) & 0x3F));
    return 1 + more;
}

/* Reads what comes after a backslash that has been read before. */
static unsigned decode_escape(struct reader *r)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    int c = peek(r);
    r->at++;
    if (c == 'u') {
        unsigned high, low;
        bool good = read_hex4(r, false, &high);
        if (good && is_high_surrogate(high)) {
            good = read_word(r, "\\u") && read_hex4(r, true, &low);
            high = good ? 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00) : 0;
        }
        assert(good);
        return high;
    }
    assert(c > 0);
    const char *at = strchr(from, c);
    return at != NULL ? (unsigned)to[at - from] : (unsigned)c;
}

size_t json_unescape(struct span raw, char *out)
{
    struct reader r = {raw, 0};
    size_t n = 0;
    while (r.at < raw.n) {
        const char *at = raw.p + r.at;
        const char *slash = memchr(at, '\\', raw.n - r.at);
        size_t run = slash != NULL ? (size_t)(slash - at) : raw.n - r.at;
        memmove(out + n, at, run);
        n += run;
        r.at += run;
        if (take(&r, '\\'))
            n += put_utf8(out + n, decode_escape(&r));
    }
    return n;
}
