/*
 * wire.c - requests and answers.
 */
#include "bench/wire.h"

#include "bench/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const wire_dialects[] = {"sse", "floor", "nchan"};
const char *const wire_ways[] = {"events", "frames", "long", "short"};

/* ---- requests -------------------------------------------------------------------------------- */

size_t wire_publish(char *to, enum wire_dialect dialect, unsigned topic, const struct wire_data *d,
                    size_t size)
{
    int n = sprintf(to, "POST /%sb/%u HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                    dialect == WIRE_NCHAN ? "pub/" : "", topic, size);
    int front = sprintf(to + n, "~%02u %010llu %019llu ", d->publisher,
                        (unsigned long long)d->number, (unsigned long long)d->ns);
    memset(to + n + front, 'x', size - (size_t)front);
    return (size_t)n + size;
}

size_t wire_ask(char *to, enum wire_dialect dialect, enum wire_way way, const char *names,
                const struct wire_cursor *cursor, bool earliest)
{
    static const char *const fields[] = {
        [WIRE_EVENTS] = "Accept: text/event-stream\r\n",
        [WIRE_FRAMES] = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        [WIRE_LONG] = "Prefer: wait=60\r\n",
        [WIRE_SHORT] = "",
    };
    const char *before = "", *behind = "";
    if (dialect == WIRE_NCHAN)
        before = way == WIRE_SHORT ? "short/" : earliest ? "old/" : "sub/";
    else if (earliest)
        behind = "?since=earliest";
    int n = snprintf(to, WIRE_HEAD_MAX, "GET /%s%s%s HTTP/1.1\r\nHost: localhost\r\n%s", before,
                     names, behind, dialect == WIRE_NCHAN && way == WIRE_LONG ? "" : fields[way]);
    if (cursor != NULL && cursor->id[0] != '\0' && dialect == WIRE_NCHAN)
        n += snprintf(to + n, WIRE_HEAD_MAX - (size_t)n,
                      "If-None-Match: %s\r\nIf-Modified-Since: %s\r\n", cursor->id,
                      cursor->modified);
    else if (cursor != NULL && cursor->id[0] != '\0')
        n += snprintf(to + n, WIRE_HEAD_MAX - (size_t)n, "Last-Event-ID: %s\r\n", cursor->id);
    if ((size_t)n + 2 >= WIRE_HEAD_MAX)
        die("a request of %d bytes", n);
    memcpy(to + n, "\r\n", 2);
    return (size_t)n + 2;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Returns true if a line begins with this field's name, in lower case, and a colon. */
static bool is_field(const char *line, const char *name)
{
    return strncasecmp(line, name, strlen(name)) == 0;
}

static void copy_value(char *to, size_t room, const char *line, const char *end)
{
    const char *value = memchr(line, ':', (size_t)(end - line));
    value += 1 + strspn(value + 1, " ");
    size_t n = (size_t)(end - value);
    if (n >= room)
        die("a field too long: %.*s", (int)(end - line), line);
    memcpy(to, value, n);
    to[n] = '\0';
}

bool wire_read_answer(const char *p, size_t n, struct wire_answer *a, struct wire_cursor *cursor)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    bool named = false;
    if (end == NULL)
        return false;
    if (n < 12 || memcmp(p, "HTTP/1.1 ", 9) != 0)
        die("no answer: %.*s", (int)(n < 60 ? n : 60), p);
    *a = (struct wire_answer){(unsigned)atoi(p + 9), (size_t)(end - p) + 4, 0};
    for (const char *line = p; line < end;) {
        const char *stop = memchr(line, '\r', (size_t)(end + 1 - line));
        if (is_field(line, "content-length:"))
            a->body = strtoul(line + 15, NULL, 10);
        else if (cursor != NULL && is_field(line, "last-event-id:")) {
            copy_value(cursor->id, sizeof cursor->id, line, stop);
            named = true;
        } else if (cursor != NULL && is_field(line, "etag:") && !named)
            copy_value(cursor->id, sizeof cursor->id, line, stop);
        else if (cursor != NULL && is_field(line, "last-modified:"))
            copy_value(cursor->modified, sizeof cursor->modified, line, stop);
        line = stop + 2;
    }
    return true;
}

const char *wire_read_data(const char *p, size_t n, struct wire_data *d)
{
    const char *at = memchr(p, '~', n);
    char front[WIRE_DATA_MIN + 1];
    unsigned long long number, ns;
    if (at == NULL || (size_t)(p + n - at) < WIRE_DATA_MIN - 5)
        return NULL;
    memcpy(front, at, WIRE_DATA_MIN - 5);
    front[3] = front[14] = front[34] = '\0';
    d->publisher = (unsigned)strtoul(front + 1, NULL, 10);
    number = strtoull(front + 4, NULL, 10);
    ns = strtoull(front + 15, NULL, 10);
    d->number = number;
    d->ns = ns;
    return at + WIRE_DATA_MIN - 5;
}

/* A frame without a mask. */
static size_t frame(const unsigned char *p, size_t n)
{
    size_t size;
    if (n < 4)
        return n >= 2 && p[1] < 126 && n >= 2u + p[1] ? 2u + p[1] : 0;
    if (p[1] < 126)
        size = 2u + p[1];
    else if (p[1] == 126)
        size = 4 + ((size_t)p[2] << 8 | p[3]);
    else
        die("a frame of more than 64 KB");
    return n >= size ? size : 0;
}

size_t wire_message(enum wire_way way, const char *p, size_t n)
{
    struct wire_answer a;
    if (way == WIRE_FRAMES)
        return frame((const unsigned char *)p, n);
    if (way == WIRE_EVENTS) {
        const char *end = memmem(p, n, "\n\n", 2);
        return end != NULL ? (size_t)(end + 2 - p) : 0;
    }
    return wire_read_answer(p, n, &a, NULL) && n >= a.head + a.body ? a.head + a.body : 0;
}
