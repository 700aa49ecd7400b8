/*
 * topics.c - /-/topics: lists the topics in the order of their names, a page at a time.
 *
 *     GET /-/topics?after=NAME&limit=N&match=PATTERN
 *   {"topics":[{"name":"a","subscribers":0,"messages":3,"oldest":"MS-1","newest":"MS-9"}],
 *    "next":null}
 *
 * One that has ended has "ended" as well, the id of its end.
 *
 * A page ends at its limit, or where it is full, or where enough topics have been looked at for one
 * turn: then "next" is the name to go on with as `after`, also where nothing on this page matched.
 * Who may ask sees all topics (access_admin()), but for the server's own, whose names begin with
 * "-". Names, unlike numbers of pages, stay where they are while topics come and go.
 */
#include "lib/json.h"
#include "lib/serve/answer.h"
#include "lib/serve/own_pages.h"
#include "lib/serve/quote.h"
#include "lib/serve/server.h"
#include "lib/topic/order.h"

#include <assert.h>

enum {
    LIMIT = 100, /* topics on a page, ... */
    LIMIT_MAX = 1000,
    STEPS = 65536,     /* topics, and their sets, read for a page: a few milliseconds */
    ENTRY_MAX = 2048,  /* bytes of one: a byte of a name may be six in JSON */
    MATCH_MAX = 1024u, /* bytes of a pattern */
};

struct page_query {
    struct span after, match;
    uint64_t limit;
    char after_bytes[TOPIC_NAME_MAX], match_bytes[MATCH_MAX], limit_bytes[20];
};

/* Reads one parameter; an absent one is empty. Returns false if it has refused the request. */
static bool parameter(struct server *s, struct conn *c, enum query_id id, const char *name,
                      char *out, size_t cap, struct span *value)
{
    ptrdiff_t n = query_decode(&s->ex.query, id, out, cap);
    if (n == -1)
        serve_refuse(s, c, 400, NULL, name, "= has bad percent-encoding", NULL);
    else if (n == -2)
        serve_refuse(s, c, 400, NULL, name, "= is longer than ", QUOTE_NUM(cap), " bytes", NULL);
    *value = (struct span){out, n > 0 ? (size_t)n : 0};
    return n >= 0 || n == -3;
}

static bool page_query_read(struct server *s, struct conn *c, struct page_query *q)
{
    struct span limit;
    if (!parameter(s, c, QUERY_AFTER, "after", q->after_bytes, sizeof q->after_bytes, &q->after) ||
        !parameter(s, c, QUERY_MATCH, "match", q->match_bytes, sizeof q->match_bytes, &q->match) ||
        !parameter(s, c, QUERY_LIMIT, "limit", q->limit_bytes, sizeof q->limit_bytes, &limit))
        return false;
    q->limit = LIMIT;
    if (limit.n > 0 && (!span_u64(limit, &q->limit) || q->limit < 1 || q->limit > LIMIT_MAX)) {
        serve_refuse(s, c, 400, NULL, "limit= is a number from 1 to ", QUOTE_NUM(LIMIT_MAX), NULL);
        return false;
    }
    const char *wrong = q->match.n > 0 ? topic_pattern_wrong(q->match) : NULL;
    if (wrong != NULL)
        serve_refuse(s, c, 400, NULL, "match= ", QUOTE(q->match), " ", wrong, NULL);
    return wrong == NULL;
}

/* Returns what every matching name begins with: the text before the pattern's first "*". */
static struct span beginning(struct span match)
{
    const char *star = match.n > 0 ? memchr(match.p, '*', match.n) : NULL;
    return (struct span){match.p, star != NULL ? (size_t)(star - match.p) : match.n};
}

/* Returns the first topic of a page, 0 if there is none. */
static uint32_t first_topic(const struct broker *broker, const struct page_query *q)
{
    struct span begin = beginning(q->match);
    uint32_t id = topic_at_or_after(broker->topics, q->after),
             from = topic_at_or_after(broker->topics, begin);
    if (id != 0 && q->after.n > 0 && span_eq(topic_name(broker->topics, id), q->after))
        id = topic_after(broker->topics, id);
    if (id == 0 || from == 0)
        return 0;
    struct span name = topic_name(broker->topics, id), least = topic_name(broker->topics, from);
    int order = memcmp(name.p, least.p, name.n < least.n ? name.n : least.n);
    return order < 0 || (order == 0 && name.n < least.n) ? from : id;
}

static void write_id(const struct broker *broker, struct text *t, uint64_t at)
{
    if (at == 0) {
        text_str(t, "null");
        return;
    }
    text_str(t, "\"");
    ring_id_write(broker->ring, t, ring_at(broker->ring, at)->n);
    text_str(t, "\"");
}

/* Appends one topic. Returns in how many sets it was searched for, at most. */
static uint32_t write_topic(const struct server *s, struct text *t, uint32_t id)
{
    const struct broker *broker = &s->broker;
    const struct chain *chain = chain_at(&broker->chains, id);
    uint32_t own = topic_reach(broker->topics, id), reach = own;
    if (s->team.whole != NULL)
        (void)team_interest(s, id, &reach);
    text_str(t, "{\"name\":");
    json_string(t, topic_name(broker->topics, id));
    text_str(t, ",\"subscribers\":");
    text_u64(t, reach);
    text_str(t, ",\"messages\":");
    text_u64(t, chain_messages(&broker->chains, id));
    text_str(t, ",\"oldest\":");
    write_id(broker, t, chain->first);
    text_str(t, ",\"newest\":");
    write_id(broker, t, chain->count > 0 ? chain->last : 0);
    if (chain_has_ended(&broker->chains, chain)) {
        text_str(t, ",\"ended\":\"");
        ring_id_write(broker->ring, t, chain->end_n);
        text_str(t, "\"");
    }
    text_str(t, "}");
    return own - topic_group(broker->topics, id)->subscribers;
}

void serve_topics(struct server *s, struct conn *c)
{
    struct text t = text_in(s->ex.page, sizeof s->ex.page);
    struct page_query q;
    s->ex.ask.log_way = "own";
    if (!page_query_read(s, c, &q))
        return;
    struct span begin = beginning(q.match);
    uint32_t id = first_topic(&s->broker, &q), last = 0;
    uint64_t n = 0, steps = 0;
    text_str(&t, "{\"topics\":[");
    for (; id != 0 && n < q.limit && steps < STEPS && t.cap - t.n > (size_t)2 * ENTRY_MAX;
         steps++) {
        struct span name = topic_name(&s->topics, id);
        if (!span_begins(name, begin)) {
            id = 0; /* later names do not match either */
            break;
        }
        bool shown = name.p[0] != '-';
        if (shown && (q.match.n == 0 || topic_match(q.match, name))) {
            text_str(&t, n++ > 0 ? "," : "");
            steps += write_topic(s, &t, id);
        }
        last = shown ? id : last;
        id = topic_after(&s->topics, id);
    }
    s->ex.pause = true; /* one page is enough work for a turn */
    text_str(&t, "],\"next\":");
    if (id != 0 && last != 0)
        json_string(&t, topic_name(&s->topics, last));
    else
        text_str(&t, "null");
    text_str(&t, "}\n");
    assert(!t.full);
    serve_answer_page(s, c, "application/json", t.n);
}
