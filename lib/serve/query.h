/*
 * query.h - the parameters of a request's query (application/x-www-form-urlencoded).
 *
 * A query is read once, into a table by parameter, and values are looked up there. A name that is
 * not in the table means nothing to the server, and neither does one that is of another kind of
 * request: other parameters may be added to any URL, and a cache or a page may do so. As such a
 * name is often a mistyped one, the answer names the first of them in a field, which is made as RFC
 * 9651 has it; the Warning field would have been for that, and is obsolete (RFC 9111 section 5.5):
 *
 *     GET /news?sinse=-5         Unknown-Parameter: "sinse";like="since"
 *
 * It is in the answers that are given at once, and in no answer to a poll that has waited or to a
 * body that came in parts, as nothing is kept of their queries.
 *
 * Of several values of one parameter the first counts; of last-event-id the first that is not
 * empty. That is known in any case, and with "-", "_" or nothing in it, as one that is overlooked
 * would lose messages without a word.
 *
 * OWNERSHIP: the table points into the request, and is good as long as that is. A value is decoded
 * into the caller's buffer.
 */
#ifndef SSE_LIB_SERVE_QUERY_H
#define SSE_LIB_SERVE_QUERY_H

#include "http.h"

#define QUERY_MAX 1024u /* bytes of a value, for parameters whose right values are far shorter */

/* For which requests a parameter means something. */
enum query_kind {
    QUERY_READ = 1,    /* GET or HEAD of a topic */
    QUERY_PUBLISH = 2, /* POST or PUT */
    QUERY_OWN = 4,     /* the server's own paths */
};

/* Each has its id, its name and its kinds. */
#define QUERY_PARAMETERS(X)                                                 \
    X(LAST_EVENT_ID, "last-event-id", QUERY_READ)                           \
    X(SINCE, "since", QUERY_READ)                                           \
    X(WAIT, "wait", QUERY_READ)                                             \
    X(HELLO, "hello", QUERY_READ)                                           \
    X(HEARTBEAT, "heartbeat", QUERY_READ)                                   \
    X(CONFLATE, "conflate", QUERY_READ)                                     \
    X(ACCESS_TOKEN, "access_token", QUERY_READ | QUERY_PUBLISH | QUERY_OWN) \
    X(EXPIRES, "expires", QUERY_READ | QUERY_PUBLISH | QUERY_OWN)           \
    X(SIGNATURE, "signature", QUERY_READ | QUERY_PUBLISH | QUERY_OWN)       \
    X(EVENT, "event", QUERY_PUBLISH)                                        \
    X(END, "end", QUERY_PUBLISH)                                            \
    X(KEY, "key", QUERY_PUBLISH)                                            \
    X(MATCH, "match", QUERY_OWN)                                            \
    X(AFTER, "after", QUERY_OWN)                                            \
    X(LIMIT, "limit", QUERY_OWN)

enum query_id {
#define X(id, name, kinds) QUERY_##id,
    QUERY_PARAMETERS(X)
#undef X
        QUERY_IDS
};

struct query {
    enum query_kind kind;         /* of the request that it is of */
    uint32_t has, twice;          /* a bit for each query_id that is there, that is there again */
    struct span value[QUERY_IDS]; /* as sent; only where `has` has the bit */
    struct span unknown;          /* the first name, as sent, that is in no row; empty: none */
};

/* Makes it that of no query. */
static inline void query_clear(struct query *q)
{
    q->has = q->twice = 0;
    q->unknown = (struct span){NULL, 0};
}

/* Reads a query, as sent. */
void query_read(struct query *q, struct span query, enum query_kind kind);

/* Returns true if there is such a parameter, or more than one. */
static inline bool query_has(const struct query *q, enum query_id id)
{
    return (q->has & 1u << id) != 0;
}
static inline bool query_has_two(const struct query *q, enum query_id id)
{
    return (q->twice & 1u << id) != 0;
}

/* Decodes the value of a parameter into out[0..cap). Returns the number of bytes; -1 where the
 * encoding is bad, -2 where it doesn't fit, -3 where there is no such parameter. */
ptrdiff_t query_decode(const struct query *q, enum query_id id, char *out, size_t cap);

/* Returns the value of a parameter, decoded into out[0..cap); a null pointer where there is none; a
 * byte that nothing reads, and that is not UTF-8, for one that is wrong or too long. */
struct span query_value_there(const struct query *q, enum query_id id, char *out, size_t cap);
static inline struct span query_value(const struct query *q, enum query_id id, char *out,
                                      size_t cap)
{
    return query_has(q, id) ? query_value_there(q, id, out, cap) : (struct span){NULL, 0};
}

/* Reads a parameter that is there or not: `name`, name=1 or name=true; name=0 or name=false is as
 * if it were not there. Returns false for another value, which is in *wrong. */
bool query_flag(const struct query *q, enum query_id id, bool *on, struct span *wrong,
                char out[QUERY_MAX]);

/* Returns the cursor that the request brings in a field of its own or in the query, as text, which
 * may be decoded into out. */
static inline struct span query_cursor(const struct http_request *req, const struct query *q,
                                       char out[QUERY_MAX])
{
    struct span text = http_field(req, HTTP_LAST_EVENT_ID);
    return text.n > 0 ? text : query_value(q, QUERY_LAST_EVENT_ID, out, QUERY_MAX);
}

/* Returns true if the request says nothing of where to begin. */
bool query_starts_now(const struct http_request *req, const struct query *q);

/* What ?hello asks of the opening of an SSE stream: see feed_open(). */
enum hello {
    HELLO_NONE = 0,
    HELLO_TOO = 1,
    HELLO_ONLY = 2,
    HELLO_WRONG = 3, /* its value is none that there is */
};
enum hello query_hello(const struct query *q);

/* Returns the first name that means nothing in such a request; empty: there is none. */
struct span query_unknown(const struct query *q);

/* Appends the field line that tells of that name, cut to 64 bytes, and of the parameter that was
 * probably meant. */
void query_tell(struct text *t, const struct query *q);

#endif
