/*
 * cors.c - which other origins' pages may use this server.
 */
#include "cors.h"

uint16_t cors_find(const struct span *list, uint32_t n, struct span origin)
{
    uint16_t any = 0;
    if (origin.n == 0)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        if (span_same(list[i], origin))
            return (uint16_t)(i + 1);
        if (span_eq(list[i], SPAN("*")))
            any = (uint16_t)(i + 1);
    }
    return any;
}

bool cors_same(struct span origin, struct span host)
{
    if (span_begins(origin, SPAN("http://")))
        return span_same(span_from(origin, 7), host);
    if (span_begins(origin, SPAN("https://")))
        return span_same(span_from(origin, 8), host);
    return false;
}

void cors_write(struct text *t, const struct span *list, uint32_t n, uint16_t found)
{
    bool all = found > 0 && span_eq(list[found - 1], SPAN("*"));
    bool fixed = n == 1 && span_eq(list[0], SPAN("*"));
    if (n == 0)
        return;
    if (found > 0) {
        text_str(t, "Access-Control-Allow-Origin: ");
        text_add(t, list[found - 1]);
        text_str(t, "\r\n");
        if (!all)
            text_str(t, "Access-Control-Allow-Credentials: true\r\n");
        text_str(t, "Access-Control-Expose-Headers: ETag, Last-Event-ID, Preference-Applied\r\n");
    }
    if (!fixed)
        text_str(t, "Vary: Origin\r\n");
}

void cors_preflight(struct text *t, uint16_t found, const char *methods, struct span fields)
{
    if (found == 0)
        return;
    text_str(t, "Access-Control-Allow-Methods: ");
    text_str(t, methods);
    text_str(t, "\r\nAccess-Control-Max-Age: 86400\r\n");
    if (fields.n > 0) {
        text_str(t, "Access-Control-Allow-Headers: ");
        text_add(t, fields);
        text_str(t, "\r\n");
    }
}
