/*
 * query.c - the parameters of a request's query.
 */
#include "lib/serve/query.h"
#include "lib/near.h"

#define NAME_MAX_TOLD 64u

static const struct {
    char name[14];
    uint8_t size;  /* of the name */
    uint8_t kinds; /* enum query_kind */
} parameters[QUERY_IDS] = {
#define X(id, name, kinds) [QUERY_##id] = {name, sizeof(name) - 1, kinds},
    QUERY_PARAMETERS(X)
#undef X
};
_Static_assert(QUERY_IDS <= 32, "each has a bit");

/* ---- reading --------------------------------------------------------------------------------- */

static struct span name_of(unsigned id)
{
    return (struct span){parameters[id].name, parameters[id].size};
}

static enum query_id find_exact(struct span name)
{
    unsigned id = 0;
    while (id < QUERY_IDS && !span_eq(name_of(id), name))
        id++;
    return (enum query_id)id;
}

/* Returns true if a name is that of the cursor but for case, "-" and "_". */
static bool is_cursor(struct span name)
{
    static const struct span bare = SPAN_INIT("lasteventid");
    size_t got = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = span_lower(name.p[i]);
        if (c == '-' || c == '_')
            continue;
        if (got == bare.n || c != bare.p[got++])
            return false;
    }
    return got == bare.n;
}

/* Returns the parameter that a name, as sent, is of; QUERY_IDS: none. */
static enum query_id find(struct span sent)
{
    char bytes[64];
    enum query_id id = find_exact(sent);
    if (id != QUERY_IDS)
        return id;
    ptrdiff_t n = http_decode(sent, true, bytes, sizeof bytes);
    if (n < 0)
        return QUERY_IDS;
    struct span name = {bytes, (size_t)n};
    return is_cursor(name) ? QUERY_LAST_EVENT_ID : find_exact(name);
}

void query_read(struct query *q, struct span query, enum query_kind kind)
{
    query_clear(q);
    q->kind = kind;
    while (query.n > 0) {
        struct span value = span_cut(&query, '&'), name = span_cut(&value, '=');
        enum query_id id = find(name);
        if (id == QUERY_IDS) {
            if (q->unknown.n == 0)
                q->unknown = name;
            continue;
        }
        if (query_has(q, id))
            q->twice |= 1u << id;
        if (query_has(q, id) && (id != QUERY_LAST_EVENT_ID || q->value[id].n > 0))
            continue;
        q->has |= 1u << id;
        q->value[id] = value;
    }
}

/* ---- values ---------------------------------------------------------------------------------- */

ptrdiff_t query_decode(const struct query *q, enum query_id id, char *out, size_t cap)
{
    return query_has(q, id) ? http_decode(q->value[id], true, out, cap) : -3;
}

struct span query_value_there(const struct query *q, enum query_id id, char *out, size_t cap)
{
    ptrdiff_t n = http_decode(q->value[id], true, out, cap);
    return n < 0 ? SPAN("\xFF") : (struct span){out, (size_t)n};
}

bool query_flag(const struct query *q, enum query_id id, bool *on, struct span *wrong,
                char out[QUERY_MAX])
{
    struct span text = query_value(q, id, out, QUERY_MAX);
    *wrong = text;
    *on = false;
    if (text.p == NULL || span_eq(text, SPAN("0")) || span_same(text, SPAN("false")))
        return true;
    *on = true;
    return text.n == 0 || span_eq(text, SPAN("1")) || span_same(text, SPAN("true"));
}

bool query_starts_now(const struct http_request *req, const struct query *q)
{
    char bytes[QUERY_MAX];
    return query_cursor(req, q, bytes).n == 0 && http_field(req, HTTP_IF_NONE_MATCH).n == 0 &&
           query_value(q, QUERY_SINCE, bytes, sizeof bytes).n == 0;
}

enum hello query_hello(const struct query *q)
{
    char bytes[8];
    struct span text = query_value(q, QUERY_HELLO, bytes, sizeof bytes);
    if (text.p == NULL || span_eq(text, SPAN("0")) || span_same(text, SPAN("false")))
        return HELLO_NONE;
    if (span_eq(text, SPAN("only")))
        return HELLO_ONLY;
    return text.n == 0 || span_eq(text, SPAN("1")) || span_same(text, SPAN("true")) ? HELLO_TOO
                                                                                    : HELLO_WRONG;
}

/* ---- what means nothing ---------------------------------------------------------------------- */

struct span query_unknown(const struct query *q)
{
    if (q->unknown.n > 0)
        return q->unknown;
    for (unsigned id = 0; q->has >> id != 0; id++)
        if (query_has(q, (enum query_id)id) && (parameters[id].kinds & q->kind) == 0)
            return name_of(id);
    return (struct span){NULL, 0};
}

/* Returns the name of this kind that is nearest to one; a null pointer: none is near. */
static struct span nearest(struct span name, enum query_kind kind)
{
    struct span best = {NULL, 0};
    unsigned least = 3;
    if (name.n < 2 || name.n > NEAR_MAX)
        return best;
    for (unsigned id = 0; id < QUERY_IDS; id++) {
        unsigned d = near_distance(name, name_of(id));
        if ((parameters[id].kinds & kind) != 0 && d < least && d <= name.n / 2) {
            least = d;
            best = name_of(id);
        }
    }
    return best;
}

void query_tell(struct text *t, const struct query *q)
{
    struct span unknown = query_unknown(q), like = nearest(unknown, q->kind);
    text_str(t, "Unknown-Parameter: \"");
    for (size_t i = 0; i < unknown.n && i < NAME_MAX_TOLD; i++) {
        if (unknown.p[i] == '"' || unknown.p[i] == '\\') /* all else in a query may stand there */
            text_str(t, "\\");
        text_add(t, span_from((struct span){unknown.p, i + 1}, i));
    }
    text_str(t, "\"");
    if (like.n > 0) {
        text_str(t, ";like=\"");
        text_add(t, like);
        text_str(t, "\"");
    }
    text_str(t, "\r\n");
}
