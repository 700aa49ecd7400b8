/*
 * answers.c - reads answers to polls and takes their bodies apart; see answers.h.
 */
#include "test/kit/answers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON, decoded in place ---- */

static void want(char **p, const char *text)
{
    if (strncmp(*p, text, strlen(text)) != 0)
        e2e_fail("wanted %s in JSON, came: %.200s", text, *p);
    *p += strlen(text);
}

static unsigned hex4(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef", *at = strchr(digits, p[i] | 0x20);
        if (p[i] == '\0' || at == NULL)
            e2e_fail("not four hex digits: %.6s", p);
        v = v << 4 | (unsigned)(at - digits);
    }
    return v;
}

/* Appends a code point as UTF-8. */
static char *put_utf8(char *to, unsigned v)
{
    if (v < 0x80) {
        *to++ = (char)v;
        return to;
    }
    if (v < 0x800) {
        *to++ = (char)(0xc0 | v >> 6);
    } else {
        if (v < 0x10000) {
            *to++ = (char)(0xe0 | v >> 12);
        } else {
            *to++ = (char)(0xf0 | v >> 18);
            *to++ = (char)(0x80 | (v >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (v >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (v & 0x3f));
    return to;
}

/* Decodes the escape at *p, behind its backslash. */
static char *escape(char **p, char *to)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char c = *(*p)++;
    const char *at = strchr(names, c);
    if (c != '\0' && at != NULL) {
        *to = values[at - names];
        return to + 1;
    }
    if (c != 'u')
        e2e_fail("not an escape: \\%c", c);
    unsigned v = hex4(*p);
    *p += 4;
    if (v >= 0xd800 && v < 0xdc00 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        v = 0x10000 + ((v - 0xd800) << 10) + (hex4(*p + 2) - 0xdc00);
        *p += 6;
    }
    if ((v >= 0xd800 && v < 0xe000) || v > 0x10ffff)
        e2e_fail("a lone surrogate");
    return put_utf8(to, v);
}

/* The string at *p, decoded to its own place and NUL-ended. */
static char *string(char **p, size_t *size)
{
    want(p, "\"");
    char *start = *p, *to = *p;
    while (**p != '"') {
        if ((unsigned char)**p < ' ')
            e2e_fail("a control byte, or the end, in a string: %.100s", start);
        if (**p != '\\') {
            *to++ = *(*p)++;
            continue;
        }
        ++*p;
        to = escape(p, to);
    }
    ++*p;
    *to = '\0';
    if (size != NULL)
        *size = (size_t)(to - start);
    return start;
}

static const char *string_or_null(char **p)
{
    if (**p == '"')
        return string(p, NULL);
    want(p, "null");
    return NULL;
}

/* Decodes base64 (RFC 4648 section 4, padded) in place; returns its size. */
static size_t base64(char *text, size_t n)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *to = text;
    if (n % 4 != 0)
        e2e_fail("base64 of %zu characters", n);
    for (size_t i = 0; i < n; i += 4) {
        unsigned v = 0, pad = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *at = memchr(alphabet, text[i + k], 64);
            pad += text[i + k] == '=';
            if ((at == NULL) != (pad > 0) || (pad > 0 && i + 4 < n) || pad > 2)
                e2e_fail("not base64: %.80s", text + i);
            v = v << 6 | (at != NULL ? (unsigned)(at - alphabet) : 0);
        }
        for (unsigned k = 0; k < 3 - pad; k++)
            *to++ = (char)(v >> (16 - 8 * k));
    }
    *to = '\0';
    return (size_t)(to - text);
}

/* ---- the forms ---- */

static void check_id(const char *id)
{
    size_t ms = id != NULL ? strspn(id, "0123456789") : 0;
    if (ms == 0 || id[ms] != '-' || id[ms + 1] == '\0' ||
        id[ms + 1 + strspn(id + ms + 1, "0123456789")] != '\0')
        e2e_fail("not an id: %s", id != NULL ? id : "null");
}

unsigned long long poll_n(const char *id)
{
    check_id(id);
    return strtoull(strchr(id, '-') + 1, NULL, 10);
}

static void check_time(const char *time)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    size_t i = 0;
    for (; form[i] != '\0' && time[i] != '\0'; i++)
        if (form[i] == 'd' ? time[i] < '0' || time[i] > '9' : time[i] != form[i])
            break;
    if (form[i] != '\0' || time[i] != '\0')
        e2e_fail("not a time of RFC 3339 with milliseconds in UTC: %s", time);
}

static void gap_object(char **p, struct poll_gap *gap)
{
    want(p, "{\"reason\":");
    gap->reason = string(p, NULL);
    want(p, ",\"after\":");
    gap->after = string_or_null(p);
    want(p, ",\"oldest\":");
    gap->oldest = string_or_null(p);
    want(p, "}");
    if (strcmp(gap->reason, "expired") != 0 && strcmp(gap->reason, "unknown") != 0 &&
        strcmp(gap->reason, "lagged") != 0)
        e2e_fail("a gap for the reason %s", gap->reason);
    if (gap->oldest != NULL)
        check_id(gap->oldest);
}

static void message(char **p, struct poll_message *m)
{
    want(p, "{\"id\":");
    m->id = string(p, NULL);
    want(p, ",\"time\":");
    m->time = string(p, NULL);
    want(p, ",\"topic\":");
    m->topic = string(p, NULL);
    want(p, ",\"event\":");
    m->event = string_or_null(p);
    m->binary = strncmp(*p, ",\"base64\":", 10) == 0;
    want(p, m->binary ? ",\"base64\":" : ",\"data\":");
    char *data = string(p, &m->size);
    if (m->binary)
        m->size = base64(data, m->size);
    m->data = data;
    want(p, "}");
    check_id(m->id);
    check_time(m->time);
}

const char *poll_line(char *line, struct poll_message *m, struct poll_gap *gap)
{
    char *p = line;
    const char *id = NULL;
    memset(m, 0, sizeof(*m));
    memset(gap, 0, sizeof(*gap));
    if (strncmp(line, "{\"gap\":", 7) == 0) {
        p += 7;
        gap_object(&p, gap);
        want(&p, "}");
    } else if (strstr(line, "\"time\"") == NULL) {
        want(&p, "{\"id\":");
        id = string(&p, NULL);
        check_id(id);
        want(&p, "}");
    } else {
        message(&p, m);
    }
    if (*p != '\0')
        e2e_fail("more behind the object of a line: %.100s", p);
    return id;
}

static struct poll_message *message_new(struct poll_answer *a)
{
    if ((a->n & (a->n - 1)) == 0) {
        size_t room = a->n > 0 ? 2 * a->n : 1;
        a->m = realloc(a->m, room * sizeof(*a->m));
        ck_assert_ptr_nonnull(a->m);
    }
    return &a->m[a->n++];
}

static void parse_json(struct poll_answer *a)
{
    char *p = a->parsed;
    want(&p, "{\"id\":");
    ck_assert_str_eq(string(&p, NULL), a->id);
    want(&p, ",\"gap\":");
    if (*p == '{')
        gap_object(&p, &a->gap);
    else
        want(&p, "null");
    want(&p, ",\"messages\":[");
    while (*p != ']') {
        if (a->n > 0)
            want(&p, ",");
        message(&p, message_new(a));
    }
    want(&p, "]}\n");
    ck_assert_ptr_eq(p, a->parsed + a->size);
}

static void parse_lines(struct poll_answer *a)
{
    char *p = a->parsed;
    for (char *end; (end = strchr(p, '\n')) != NULL; p = end + 1) {
        struct poll_gap gap;
        struct poll_message m;
        *end = '\0';
        ck_assert_ptr_null(poll_line(p, &m, &gap));
        if (gap.reason != NULL) {
            ck_assert_msg(a->n == 0 && a->gap.reason == NULL, "a gap that does not come first");
            a->gap = gap;
        } else {
            *message_new(a) = m;
        }
    }
    ck_assert_ptr_eq(p, a->parsed + a->size);
}

/* ---- answers ---- */

static void read_body(struct e2e_conn *c, struct poll_answer *a, bool head)
{
    const char *length = e2e_field(&a->r, "Content-Length");
    bool none = a->r.status == 204 || a->r.status == 304;
    if (!head && none != (length == NULL)) /* HEAD does not know */
        e2e_fail("Content-Length %s: %s", none ? "where there is no body" : "is missing",
                 a->r.head);
    a->size = none || head ? 0 : (size_t)strtoull(length, NULL, 10);
    e2e_need(c, a->size);
    a->body = malloc(a->size + 1);
    a->parsed = malloc(a->size + 1);
    ck_assert(a->body != NULL && a->parsed != NULL);
    memcpy(a->body, c->buf, a->size);
    a->body[a->size] = '\0';
    memcpy(a->parsed, a->body, a->size + 1);
    e2e_consume(c, a->size);
}

void poll_read_raw(struct e2e_conn *c, struct poll_answer *a, bool head)
{
    free(a->body);
    free(a->parsed);
    free(a->parsed_gap);
    free(a->m);
    memset(a, 0, sizeof(*a));
    size_t n = (size_t)(e2e_until(c, "\r\n\r\n") + 4 - c->buf);
    ck_assert_uint_lt(n, sizeof(a->r.head));
    memcpy(a->r.head, c->buf, n);
    e2e_consume(c, n);
    if (strncmp(a->r.head, "HTTP/1.1 ", 9) != 0)
        e2e_fail("not an answer: %s", a->r.head);
    a->r.status = atoi(a->r.head + 9);
    read_body(c, a, head);
}

/* What the fields of every answer to a poll tell. */
static void check_fields(struct poll_answer *a)
{
    char tag[128];
    const char *id = e2e_field(&a->r, "Last-Event-ID"), *etag = e2e_field(&a->r, "ETag");
    const char *control = e2e_field(&a->r, "Cache-Control");
    check_id(id);
    snprintf(a->id, sizeof(a->id), "%s", id);
    snprintf(tag, sizeof(tag), "W/\"%s\"", id);
    ck_assert_msg(etag != NULL && strcmp(etag, tag) == 0, "no ETag of the cursor: %s", a->r.head);
    ck_assert_msg(strstr(a->r.head, "\r\nVary: Accept, Prefer\r\n") != NULL, "Vary: %s", a->r.head);
    ck_assert_msg(control != NULL && strcmp(control, "no-store") == 0, "%s", a->r.head);
}

static void check_order(const struct poll_answer *a)
{
    unsigned long long last = 0;
    size_t ms = strcspn(a->id, "-");
    for (size_t i = 0; i < a->n; i++) {
        unsigned long long n = poll_n(a->m[i].id);
        if (n <= last || n > poll_n(a->id) || strncmp(a->m[i].id, a->id, ms + 1) != 0)
            e2e_fail("%s behind N %llu, with the cursor %s", a->m[i].id, last, a->id);
        last = n;
    }
}

void poll_read(struct e2e_conn *c, struct poll_answer *a, bool head)
{
    poll_read_raw(c, a, head);
    if (a->r.status != 200 && a->r.status != 204 && a->r.status != 304)
        e2e_fail("a poll was answered %s%s", a->r.head, a->body);
    check_fields(a);
    const char *type = e2e_field(&a->r, "Content-Type"), *gap = e2e_field(&a->r, "Gap");
    ck_assert_msg((type != NULL) == (a->r.status == 200), "Content-Type: %s", a->r.head);
    if (a->r.status != 200 || head)
        return;
    if (strcmp(type, "application/json") == 0) {
        parse_json(a);
    } else if (strcmp(type, "application/x-ndjson") == 0) {
        parse_lines(a);
    } else {
        ck_assert_str_eq(type, "text/plain; charset=utf-8");
        if (gap != NULL) {
            char *p = a->parsed_gap = strdup(gap);
            gap_object(&p, &a->gap);
            ck_assert_str_eq(p, "");
        }
    }
    ck_assert_msg((gap != NULL) == (a->gap.reason != NULL && *type == 't'), "Gap: %s", a->r.head);
    check_order(a);
}

void poll_send(struct e2e_conn *c, const char *target, const char *fields)
{
    e2e_printf(c, "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", target, fields != NULL ? fields : "");
}

void poll_get(const struct e2e_server *s, struct poll_answer *a, const char *target,
              const char *fields)
{
    struct e2e_conn *c = e2e_open(s);
    poll_send(c, target, fields);
    poll_read(c, a, false);
    e2e_close(c);
}

void poll_expect(const struct poll_answer *a, int status, ...)
{
    va_list ap;
    size_t i = 0;
    va_start(ap, status);
    if (a->r.status != status)
        e2e_fail("the status is %d, not %d: %s%s", a->r.status, status, a->r.head, a->body);
    for (const char *data; (data = va_arg(ap, const char *)) != NULL; i++)
        if (i >= a->n || strcmp(a->m[i].data, data) != 0)
            e2e_fail("message %zu is not \"%s\": %s", i, data, a->body);
    va_end(ap);
    if (a->n != i)
        e2e_fail("%zu messages, not %zu: %s", a->n, i, a->body);
}
