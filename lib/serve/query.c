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

struct span query_cursor(const struct http_request *req, char out[QUERY_MAX])
{
    struct span text = http_field(req, HTTP_LAST_EVENT_ID);
    return text.n > 0 ? text : query_value_loose(req, SPAN("lasteventid"), out, QUERY_MAX);
}

bool query_starts_now(const struct http_request *req)
{
    char bytes[QUERY_MAX];
    return query_cursor(req, bytes).n == 0 && http_field(req, HTTP_IF_NONE_MATCH).n == 0 &&
           query_value(req, SPAN("since"), bytes, sizeof bytes).n == 0;
}
