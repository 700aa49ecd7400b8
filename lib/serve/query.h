/*
 * query.h - the parameters of a request's query.
 *
 * OWNERSHIP: a value is decoded into the caller's buffer, and is valid as long as that is.
 */
#ifndef SSE_LIB_SERVE_QUERY_H
#define SSE_LIB_SERVE_QUERY_H

#include "http.h"

#define QUERY_MAX 1024u /* bytes of a value, for parameters whose right values are far shorter */

/* Returns the value of a parameter, decoded into out[0..cap); a null pointer if there is none; for
 * one that is malformed or too long, a byte that is not UTF-8, which no reader of values
 * accepts. */
struct span query_value(const struct http_request *req, struct span name, char *out, size_t cap);

/* Returns the value of a parameter whose name may be spelled in several ways, as http_query_loose()
 * finds it. */
struct span query_value_loose(const struct http_request *req, struct span bare, char *out,
                              size_t cap);

/* Returns the cursor of the request as text: from Last-Event-ID, or from the query, decoded into
 * out. The query's may be in any spelling, as an overlooked cursor would lose messages silently. */
static inline struct span query_cursor(const struct http_request *req, char out[QUERY_MAX])
{
    struct span text = http_field(req, HTTP_LAST_EVENT_ID);
    return text.n > 0 ? text : query_value_loose(req, SPAN("lasteventid"), out, QUERY_MAX);
}

/* Returns true if the request does not say where to begin: no cursor, no If-None-Match, no
 * ?since. */
bool query_starts_now(const struct http_request *req);

/* Returns true if the query has a parameter of that name. */
bool query_has(const struct http_request *req, struct span name);

#endif
