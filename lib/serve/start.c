/*
 * start.c - where a client begins: from its cursor, or from ?since.
 */
#include "lib/serve/start.h"
#include "lib/serve/answer.h"
#include "lib/serve/query.h"
#include "lib/serve/quote.h"

#include "lib/serve/access.h"
#include "lib/topic/sets.h"

/* ---- what it selects ------------------------------------------------------------------------- */

size_t serve_name_count(struct span names)
{
    size_t n = 1;
    for (size_t i = 0; i < names.n; i++)
        n += names.p[i] == ',';
    return n;
}

uint32_t serve_select(struct server *s, struct conn *c, struct span names,
                      void (*come_back)(struct server *s, struct conn *c))
{
    const char *why = NULL;
    char limit[QUOTE_MAX];
    uint32_t most = s->config.opt.max_subscriptions, id;
    if (!access_find(s, c, AUTH_SUBSCRIBE, names))
        return 0;
    if (serve_name_count(names) > most) {
        s->stat.limit_subscriptions++;
        serve_refuse(s, c, 400, NULL, "a path selects at most ", QUOTE_NUM(most),
                     " names and wildcards here (--max-subscriptions)", NULL);
        return 0;
    }
    struct span asked = names;
    if (!access_subscribe(s, c, &names))
        return 0;
    /* a client that asks for several topics gets their names, even if its token narrows them to
     * one */
    bool several = names.p != asked.p && (topic_is_pattern(asked) || serve_name_count(asked) > 1);
    if (!serve_check_declared(s, c, names))
        return 0;
    id = broker_select(&s->broker, names, most, several, &why);
    if (id == 0 && why != NULL) {
        serve_refuse(s, c, 400, NULL, QUOTE(names), " ", why, NULL);
    } else if (id == 0 && come_back != NULL) {
        serve_count_topic_limit(&s->config, &s->broker, &s->stat, limit);
        come_back(s, c);
    } else if (id == 0) {
        serve_refuse(s, c, 503, "Retry-After: 10\r\n",
                     serve_count_topic_limit(&s->config, &s->broker, &s->stat, limit), NULL);
    }
    return id;
}

/* ---- where it begins ------------------------------------------------------------------------- */

/* Starts after the message `c`, or with a gap if that is impossible. */
static void start_after(const struct broker *broker, struct start *st, uint32_t id, struct cursor c)
{
    struct cursor newest = ring_newest(broker->ring);
    st->id = c;
    if (c.ms != newest.ms || c.n > newest.n)
        st->gap = "unknown";
    else if (broker_lost_after(broker, id, c.n))
        st->gap = "expired";
    /* it does not get again what it had, even before a gap that is not at the tail */
    bool known = c.ms == newest.ms && c.n <= newest.n;
    st->at = known ? ring_find(broker->ring, c.n) : ring_tail(broker->ring);
}

/* Starts with a gap, as the client's cursor cannot be read. */
static void start_unreadable(const struct broker *broker, struct start *st)
{
    st->at = ring_tail(broker->ring);
    st->gap = "unknown";
    st->unreadable = true;
}

/* Reads ?heartbeat=event and ?hello=only into CONN_BEATS, which makes checkpoints events as well.
 * Returns false if one of them is wrong; it has refused the request then. */
static bool heartbeat_asked(struct server *s, struct conn *c)
{
    char bytes[QUERY_MAX];
    struct span text = query_value(&s->ex.query, QUERY_HEARTBEAT, bytes, sizeof bytes);
    bool event = span_eq(text, SPAN("event"));
    enum hello hello = query_hello(&s->ex.query);
    bool beats = event || hello == HELLO_ONLY;
    c->marks = (uint16_t)((c->marks & ~CONN_BEATS) | (beats ? CONN_BEATS : 0));
    if (text.p != NULL && !event)
        serve_refuse(s, c, 400, NULL, "heartbeat=", QUOTE(text), ": must be event", NULL);
    else if (hello == HELLO_WRONG)
        serve_refuse(s, c, 400, NULL, "hello: must be only, 1 or 0, or nothing", NULL);
    else
        return true;
    return false;
}

/* Reads ?conflate (or conflate=1) into CONN_CONFLATE. Returns false if it is wrong; it has refused
 * the request then. */
static bool conflate_asked(struct server *s, struct conn *c)
{
    char bytes[QUERY_MAX];
    struct span text;
    bool on, right = query_flag(&s->ex.query, QUERY_CONFLATE, &on, &text, bytes);
    c->flags = (uint16_t)((c->flags & ~CONN_CONFLATE) | (on ? CONN_CONFLATE : 0));
    if (right)
        return true;
    serve_refuse(s, c, 400, NULL, "conflate=", QUOTE(text), ": must be 1 or 0, or nothing", NULL);
    return false;
}

bool serve_read_options(struct server *s, struct conn *c)
{
    return conflate_asked(s, c) && heartbeat_asked(s, c);
}

/* Starts after the newest message that an entity tag of If-None-Match names; "*" names the newest
 * there is. Returns false if there is no such field. */
static bool start_tags(const struct broker *broker, const struct exchange *ex, struct start *st,
                       uint32_t id)
{
    struct span tag;
    struct cursor best = {0, 0}, c;
    uint64_t here =
        ring_newest(broker->ring).ms; /* a tag of this store counts before one of another */
    size_t pos = 0;
    bool readable = false;
    while (http_list(&ex->req, HTTP_IF_NONE_MATCH, &pos, &tag)) {
        st->tagged = true;
        if (span_eq(tag, SPAN("*")))
            return true; /* it begins at the head already */
        if (!readable)
            st->after = tag;
        if (!cursor_read_tag(tag, &c) ||
            (readable && best.ms == here && (c.ms != here || c.n < best.n)))
            continue;
        st->after = tag;
        best = c;
        readable = true;
    }
    if (readable)
        start_after(broker, st, id, best);
    else if (st->tagged)
        start_unreadable(broker, st);
    return st->tagged;
}

/* Returns the ring's clock at the wall clock's `wall_ms`, if both had always gone as they do
 * now. */
static uint64_t by_ring_clock(const struct broker *broker, const struct moment *clock,
                              uint64_t wall_ms)
{
    uint64_t told = broker->ring->clock_ms != 0 ? broker->ring->clock_ms : clock->wall;
    if (wall_ms >= clock->wall)
        return wall_ms - clock->wall < UINT64_MAX - told ? told + (wall_ms - clock->wall)
                                                         : UINT64_MAX;
    return clock->wall - wall_ms < told ? told - (clock->wall - wall_ms) : 0;
}

/* Sets the start that ?since= asks for. Returns what is wrong with it, or NULL. */
static const char *start_since(const struct broker *broker, const struct moment *clock,
                               struct start *st, uint32_t id, struct span text)
{
    struct since since = since_read(text, clock->wall);
    switch (since.kind) {
    case SINCE_BAD:
        return ": must be an id, earliest, now, a duration as 10m, a unix time, or -N";
    case SINCE_NOW:
        return NULL;
    case SINCE_ID:
        st->after = text;
        start_after(broker, st, id, since.id);
        return NULL;
    case SINCE_EARLIEST:
        st->at = ring_tail(broker->ring);
        break;
    case SINCE_TIME:
        st->at = ring_find_time(broker->ring, by_ring_clock(broker, clock, since.value));
        break;
    case SINCE_LAST:
        if (!broker_from_newest(broker, id, since.value, &st->at))
            return " goes back too far to be counted in so many topics: ask for fewer, or by time";
        break;
    }
    st->id = ring_before(broker->ring, st->at);
    return NULL;
}

/* Does what start_of_request() does, for a client that does not conflate. */
static bool start_find(struct server *s, struct conn *c, uint32_t id, bool oldest, struct start *st)
{
    struct cursor cursor;
    memset(st, 0, offsetof(struct start, bytes));
    st->at = ring_head(&s->ring);
    st->id = ring_newest(&s->ring);
    struct span text = query_cursor(&s->ex.req, &s->ex.query, st->bytes);
    if (text.n > 0) {
        st->cursor = true;
        st->tagged = http_field(&s->ex.req, HTTP_IF_NONE_MATCH).n > 0;
        st->after = text;
        if (cursor_read(text, &cursor))
            start_after(&s->broker, st, id, cursor);
        else
            start_unreadable(&s->broker, st);
        return true;
    }
    if (start_tags(&s->broker, &s->ex, st, id)) {
        st->cursor = true;
        return true;
    }
    text = query_value(&s->ex.query, QUERY_SINCE, st->bytes, sizeof st->bytes);
    if (text.n == 0 && oldest) {
        st->at = ring_tail(&s->ring);
        st->id = ring_before(&s->ring, st->at);
        return true;
    }
    const char *wrong = text.n > 0 ? start_since(&s->broker, &s->clock, st, id, text) : NULL;
    if (wrong != NULL)
        serve_refuse(s, c, 400, NULL, "since=", QUOTE(text), wrong, NULL);
    return wrong == NULL;
}

bool start_of_request(struct server *s, struct conn *c, uint32_t id, bool oldest, struct start *st)
{
    if (!start_find(s, c, id, oldest, st))
        return false;
    if (c->flags & CONN_CONFLATE && st->gap != NULL) {
        st->gap = NULL;
        st->id = ring_before(&s->ring, st->at);
    }
    return true;
}

/* ---- what it has missed ---------------------------------------------------------------------- */

void gap_skip(const struct broker *broker, struct stat_counters *stat, struct conn *c, uint32_t id,
              const char *reason, struct gap *gap)
{
    uint64_t oldest;
    if (broker_collect(broker, id, &c->place.at, &oldest, 1) > 0)
        c->place.at = oldest;
    gap->reason = reason;
    gap->any = c->place.at < ring_head(broker->ring);
    gap->resume = ring_before(broker->ring, c->place.at);
    c->place.n = gap->resume.n;
    stat->gaps_expired += reason[0] == 'e';
    stat->gaps_unknown += reason[0] == 'u';
    stat->gaps_lagged += reason[0] == 'l';
}

bool gap_if_overtaken(const struct broker *broker, struct stat_counters *stat, struct conn *c,
                      struct gap *gap)
{
    struct text t = text_in(gap->cursor, sizeof gap->cursor);
    if (c->place.at >= ring_tail(broker->ring))
        return false;
    c->place.at = ring_tail(broker->ring);
    if (c->flags & CONN_CONFLATE || !broker_lost_after(broker, c->link.topic, c->place.n))
        return false;
    ring_id_write(broker->ring, &t, c->place.n);
    gap->after = text_span(&t);
    gap_skip(broker, stat, c, c->link.topic, "lagged", gap);
    return true;
}
