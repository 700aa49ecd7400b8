/*
 * subscribe.c - Server-Sent Events: where a subscriber begins, and what it is told.
 */
#include "lib/serve/serve.h"
#include "lib/stream.h"

/* ---- where a subscriber begins --------------------------------------------------------------- */

/* Where a subscriber begins. */
struct start {
    uint64_t at;       /* offset of the first record it gets, or where it will be */
    struct cursor id;  /* what it is told to be at */
    bool unreadable;   /* it came with a cursor that is none, and keeps it until the gap is told */
    const char *gap;   /* the reason of one, NULL: none */
    struct span after; /* the cursor it came with, as text */
};

/* Starts behind the message `c`, or with a gap where that can't be. */
static void start_after(struct server *s, struct start *st, uint32_t id, struct cursor c)
{
    struct cursor newest = ring_newest(&s->ring);
    st->id = c;
    if (c.ms != newest.ms || c.n > newest.n)
        st->gap = "unknown";
    else if (ring_lost(&s->ring, &s->topics, id, c.n))
        st->gap = "expired";
    st->at = st->gap != NULL ? ring_tail(&s->ring) : ring_find(&s->ring, c.n);
}

/* The value of a query parameter, decoded into s->scratch; a null pointer where there is none; a byte
 * that nothing reads, and that is not UTF-8, for one that is wrong or too long. */
static struct span query_value(struct server *s, struct span name)
{
    ptrdiff_t n = http_query(s->req.query, name, s->scratch, sizeof s->scratch);
    if (n == -3)
        return (struct span){NULL, 0};
    return n < 0 ? SPAN("\xFF") : (struct span){s->scratch, (size_t)n};
}

/* The cursor that the request brings, as text, from the first place that has one; *tag says that it
 * is an entity tag. */
static struct span cursor_text(struct server *s, bool *tag)
{
    static const struct span spellings[] = {SPAN_INIT("last-event-id"), SPAN_INIT("last_event_id"),
                                            SPAN_INIT("lastEventId")};
    struct span text = http_field(&s->req, HTTP_LAST_EVENT_ID);
    size_t pos = 0;
    *tag = false;
    for (size_t i = 0; text.n == 0 && i < sizeof spellings / sizeof spellings[0]; i++)
        text = query_value(s, spellings[i]);
    if (text.n == 0 && http_list(&s->req, HTTP_IF_NONE_MATCH, &pos, &text))
        *tag = true;
    return text;
}

/* Finds the start that ?since= asks for. False: it is wrong. */
static bool start_since(struct server *s, struct start *st, uint32_t id, struct span text)
{
    struct since since = since_read(text, s->wall);
    switch (since.kind) {
    case SINCE_BAD:
        return false;
    case SINCE_NOW:
        return true;
    case SINCE_ID:
        st->after = text;
        start_after(s, st, id, since.id);
        return true;
    case SINCE_EARLIEST:
        st->at = ring_tail(&s->ring);
        break;
    case SINCE_TIME:
        st->at = ring_find_time(&s->ring, since.value);
        break;
    case SINCE_LAST:
        st->at = ring_last(&s->ring, &s->topics, id, since.value);
        break;
    }
    st->id = ring_before(&s->ring, st->at);
    return true;
}

/* Finds out where the request wants to begin. False: it has been refused. */
static bool start_find(struct server *s, struct conn *c, uint32_t id, struct start *st)
{
    struct cursor cursor;
    bool tag;
    *st = (struct start){.at = ring_head(&s->ring), .id = ring_newest(&s->ring)};
    struct span text = cursor_text(s, &tag);
    if (text.n > 0) {
        st->after = text;
        if (tag ? cursor_read_tag(text, &cursor) : cursor_read(text, &cursor)) {
            start_after(s, st, id, cursor);
        } else {
            st->at = ring_tail(&s->ring);
            st->gap = "unknown";
            st->unreadable = true;
        }
    } else if ((text = query_value(s, SPAN("since"))).n > 0 && !start_since(s, st, id, text)) {
        serve_refuse(s, c, 400, NULL, "since=", serve_quote(s, text),
                     ": must be an id, earliest, now, a duration as 10m, a unix time, or -N", NULL);
        return false;
    }
    return true;
}

/* Tells a subscriber of entry `id` of a gap, and moves it to the oldest message there is for it. */
static void gap_tell(struct server *s, struct conn *c, uint32_t id, const char *reason,
                     struct span after)
{
    uint64_t oldest = 0, at = ring_tail(&s->ring);
    while (at < ring_head(&s->ring) && ring_collect(&s->ring, &s->topics, id, &at, &oldest, 1) == 0)
        oldest = 0;
    c->at = oldest != 0 ? oldest : ring_head(&s->ring);
    struct cursor resume = ring_before(&s->ring, c->at);
    stream_gap(&s->out, reason, after, resume, oldest != 0);
    c->n = resume.n;
    s->stat.gaps_expired += reason[0] == 'e';
    s->stat.gaps_unknown += reason[0] == 'u';
    s->stat.gaps_lagged += reason[0] == 'l';
}

/* Appends the answer head of a stream. Its end is the close: no length, no chunks. */
static void stream_head(struct server *s)
{
    serve_answer_head(s, 200);
    text_str(&s->out, "Content-Type: text/event-stream\r\n"
                      "Cache-Control: no-store\r\n"
                      "X-Accel-Buffering: no\r\n"
                      "Connection: close\r\n"
                      "\r\n");
}

/* xorshift64: for jitter, not for secrets. */
static uint64_t random_below(struct server *s, uint64_t n)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return n > 0 ? s->random % n : 0;
}

/* What --retry says, give or take a quarter, so that those who lost their connections at once don't
 * come back at once. */
static uint64_t retry_ms(struct server *s)
{
    return s->opt.retry_ms - s->opt.retry_ms / 4 + random_below(s, s->opt.retry_ms / 2 + 1);
}

void serve_stream_away(struct server *s)
{
    struct cursor newest = ring_newest(&s->ring);
    bool tag, fresh = cursor_text(s, &tag).n == 0 && query_value(s, SPAN("since")).n == 0;
    stream_head(s);
    if (s->ask.method != HTTP_HEAD) /* one that would begin now shall miss nothing until it may */
        stream_open(&s->out, retry_ms(s), fresh ? &newest : NULL);
}

/* How many names and wildcards a path has. */
static size_t name_count(struct span names)
{
    size_t n = 1;
    for (size_t i = 0; i < names.n; i++)
        n += names.p[i] == ',';
    return n;
}

void serve_subscribe(struct server *s, struct conn *c, struct span names)
{
    const char *why = NULL;
    struct start start;
    if (name_count(names) > s->opt.max_subscriptions) {
        s->stat.limit_subscriptions++;
        serve_refuse(s, c, 400, NULL, "a path selects at most ",
                     serve_num(s, s->opt.max_subscriptions),
                     " names and wildcards here (--max-subscriptions)", NULL);
        return;
    }
    if (!serve_declared(s, c, names))
        return;
    uint32_t id =
        topic_select(&s->topics, names, s->opt.max_subscriptions, serve_topic_made, s, &why);
    if (id == 0 && why == NULL) {
        s->stat.limit_topics++;
        serve_stream_away(s);
        serve_answered_last(s, c);
        return;
    }
    if (id == 0) {
        serve_refuse(s, c, 400, NULL, serve_quote(s, names), " ", why, NULL);
        return;
    }
    if (!start_find(s, c, id, &start)) {
        serve_release(s, id);
        return;
    }
    stream_head(s);
    if (s->ask.method == HTTP_HEAD) {
        serve_release(s, id);
        serve_answered_last(s, c);
        return;
    }
    stream_open(&s->out, retry_ms(s), start.unreadable ? NULL : &start.id);
    c->at = start.at;
    c->n = start.id.n;
    c->sent = 0;
    if (start.gap != NULL)
        gap_tell(s, c, id, start.gap, start.after);
    conn_go(c, CONN_STREAM);
    topic_subscribe(&s->topics, id, (uint32_t)conn_fd(&s->conns, c));
}

/* ---- subscribers that are overtaken ---------------------------------------------------------- */

bool serve_stream_check(struct server *s, struct conn *c)
{
    if (c->at >= ring_tail(&s->ring))
        return true;
    if (c->sent > 0) {
        s->stat.overtaken++;
        return false;
    }
    c->at = ring_tail(&s->ring);
    if (ring_lost(&s->ring, &s->topics, c->link.topic, c->n)) {
        char id[CURSOR_MAX];
        struct text t = text_in(id, sizeof id);
        cursor_write(&t, (struct cursor){ring_newest(&s->ring).ms, c->n});
        gap_tell(s, c, c->link.topic, "lagged", text_span(&t));
    }
    return true;
}
