/*
 * query.c - the parameters of a request's query.
 */
#include "lib/serve/query.h"

static struct span value(ptrdiff_t n, const char *out)
{
    if (n == -3)
        return (struct span){NULL, 0};
    return n < 0 ? SPAN("\xFF") : (struct span){out, (size_t)n};
}

struct span query_value(const struct http_request *req, struct span name, char *out, size_t cap)
{
    if (req->query.n == 0)
        return (struct span){NULL, 0};
    return value(http_query(req->query, name, out, cap), out);
}

struct span query_value_loose(const struct http_request *req, struct span bare, char *out,
                              size_t cap)
{
    if (req->query.n == 0)
        return (struct span){NULL, 0};
    return value(http_query_loose(req->query, bare, out, cap), out);
}

bool query_has(const struct http_request *req, struct span name)
{
    char none[1];
    return req->query.n > 0 && http_query(req->query, name, none, 0) != -3;
}

bool query_flag(const struct http_request *req, struct span name, bool *on, struct span *wrong,
                char out[QUERY_MAX])
{
    struct span text = query_value(req, name, out, QUERY_MAX);
    *wrong = text;
    *on = false;
    if (text.p == NULL || span_eq(text, SPAN("0")) || span_same(text, SPAN("false")))
        return true;
    *on = true;
    return text.n == 0 || span_eq(text, SPAN("1")) || span_same(text, SPAN("true"));
}

bool query_starts_now(const struct http_request *req)
{
    char bytes[QUERY_MAX];
    return query_cursor(req, bytes).n == 0 && http_field(req, HTTP_IF_NONE_MATCH).n == 0 &&
           query_value(req, SPAN("since"), bytes, sizeof bytes).n == 0;
}
