/*
 * query.h - the parameters of a request's query.
 *
 * OWNERSHIP: a value is decoded into the caller's buffer, and is good as long as that is.
 */
#ifndef SSE_LIB_SERVE_QUERY_H
#define SSE_LIB_SERVE_QUERY_H

#include "http.h"

#define QUERY_MAX 1024u /* bytes of a value, for parameters whose right values are far shorter */

/* Returns the value of a parameter, decoded into out[0..cap); a null pointer where there is none; a
 * byte that nothing reads, and that is not UTF-8, for one that is wrong or too long. */
struct span query_value(const struct http_request *req, struct span name, char *out, size_t cap);

/* Returns the same of a name in any spelling, as http_query_loose() has it. */
struct span query_value_loose(const struct http_request *req, struct span bare, char *out,
                              size_t cap);

/* Returns the cursor that the request brings in a field of its own or in the query, as text; the
 * latter by any spelling, as one that is overlooked would lose messages without a word, and decoded
 * into out. */
static inline struct span query_cursor(const struct http_request *req, char out[QUERY_MAX])
{
    struct span text = http_field(req, HTTP_LAST_EVENT_ID);
    return text.n > 0 ? text : query_value_loose(req, SPAN("lasteventid"), out, QUERY_MAX);
}

/* Returns true if the request says nothing of where to begin. */
bool query_starts_now(const struct http_request *req);

/* Reads a parameter that is there or not: `name`, name=1 or name=true, name=0 or name=false, which
 * is as if it were not there. False: it is something else, which is in out. */
bool query_flag(const struct http_request *req, struct span name, bool *on, struct span *wrong,
                char out[QUERY_MAX]);

/* Returns true if the query has a parameter of that name. */
bool query_has(const struct http_request *req, struct span name);

#endif
