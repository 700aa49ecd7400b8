/*
 * metrics.c - /-/metrics: the counters, in the text format of Prometheus.
 *
 * Nothing is measured for a scrape: counters are written as they are, and gauges are numbers that
 * the tables keep anyway.
 */
#include "lib/serve/answer.h"
#include "lib/serve/own_pages.h"
#include "lib/serve/server.h"
#include "lib/topic/room.h"

#include <assert.h>

/* Returns the number in "sse 0.1.0", without a line end. */
static struct span version(char *out, size_t cap)
{
    struct span rest = span_of(opt_version());
    span_cut(&rest, ' ');
    struct span number = span_cut(&rest, '\n');
    struct text t = text_for_string(out, cap);
    text_add(&t, number);
    text_string(&t);
    return number;
}

/* Connections and subscribers. */
static void write_clients(const struct server *s, struct text *t, const struct gauges *g)
{
    const struct stat_row ways[] = {{"http", g->kind[CONN_KIND_HTTP]},
                                    {"longpoll", g->kind[CONN_KIND_WAIT]},
                                    {"ndjson", g->kind[CONN_KIND_LINES]},
                                    {"sse", g->kind[CONN_KIND_EVENTS]},
                                    {"websocket", g->kind[CONN_KIND_SOCKET]}};
    uint64_t streams =
        g->kind[CONN_KIND_LINES] + g->kind[CONN_KIND_EVENTS] + g->kind[CONN_KIND_SOCKET];
    stat_gauge_by(t, "sse_connections", "Connections there are; http: between requests, or in one.",
                  "way", ways, sizeof ways / sizeof ways[0]);
    stat_gauge(t, "sse_connections_limit", "The most there may be: --max-connections.",
               s->config.opt.max_connections);
    stat_gauge(t, "sse_subscriptions",
               "Connections subscribed to a topic, or to a set of them as one URL names it.",
               g->subscriptions);
    stat_gauge(t, "sse_subscribers_lagging",
               "Streams whose socket was full when the last sweep looked at them.",
               g->lagging < streams ? g->lagging : streams);
    stat_gauge(t, "sse_lag_bytes",
               "Lag of the slowest one, in bytes of the ring; at sse_ring_size_bytes it is "
               "overtaken.",
               streams > 0 ? g->lag : 0);
}

/* Appends "3", ended by a NUL. */
static const char *label(char *out, size_t cap, uint32_t n)
{
    struct text t = text_in(out, cap - 1);
    text_u64(&t, n);
    out[t.n] = '\0';
    return out;
}

/* With --workers: what each of them has. */
static void write_workers(const struct server *s, struct text *t)
{
    const struct whole *w = s->team.whole;
    const struct control *c = s->ring.shared;
    char names[CONTROL_WORKERS][4];
    struct stat_row connections[CONTROL_WORKERS], behind[CONTROL_WORKERS];
    struct control_state state;
    if (w == NULL)
        return;
    (void)control_read(c, &state);
    for (uint32_t i = 0; i < w->workers; i++) {
        uint64_t followed = atomic_load_explicit(&c->slot[i].followed, memory_order_relaxed);
        const char *name = label(names[i], sizeof names[i], i);
        connections[i] = (struct stat_row){name, atomic_load(&w->slot[i].clients)};
        behind[i] = (struct stat_row){name, followed < state.head ? state.head - followed : 0};
    }
    stat_gauge(t, "sse_workers", "Processes that serve: --workers.", w->workers);
    stat_gauge_by(t, "sse_worker_connections", "Connections of each.", "worker", connections,
                  w->workers);
    stat_gauge_by(t, "sse_worker_behind_bytes",
                  "Bytes of the ring that each has not followed yet; it does when it is to.",
                  "worker", behind, w->workers);
    stat_counter(t, "worker_restarts", "Workers that died and were started again.",
                 atomic_load(&w->restarts));
    stat_counter(t, "ring_waits", "Messages that had to wait for a worker to let go of the oldest.",
                 atomic_load(&c->waits));
    stat_counter_us(t, "ring_wait_seconds", "How long these waited.", atomic_load(&c->wait_us));
}

void serve_metrics(struct server *s, struct conn *c)
{
    struct text t = text_in(s->ex.page, sizeof s->ex.page);
    struct stat_counters stat;
    struct gauges g;
    char number[32];
    whole_count(s, &stat, &g);
    version(number, sizeof number);
    stat_gauge_by(&t, "sse_build_info", "The program.", "version", &(struct stat_row){number, 1},
                  1);
    stat_gauge_us(&t, "sse_start_time_seconds", "When it started, since 1970.", s->started * 1000);
    stat_write(&t, &stat);
    write_clients(s, &t, &g);
    stat_gauge(&t, "sse_topics", "Topics there are.",
               topic_count(&s->topics) - (s->ready.topic != 0));
    stat_gauge(&t, "sse_topic_sets", "Sets of topics that somebody is subscribed to.", g.sets);
    stat_gauge(&t, "sse_topic_sets_bytes", "Bytes that these take.", g.sets_bytes);
    stat_gauge(&t, "sse_topic_sets_limit_bytes",
               "The most they may: --max-sets, or what --max-topics leaves room for.",
               topics_sets_most(&s->topics));
    stat_gauge(&t, "sse_messages", "Messages in the ring.", ring_count(&s->ring));
    stat_gauge(&t, "sse_ring_bytes", "Bytes of the ring in use.",
               ring_head(&s->ring) - ring_tail(&s->ring));
    stat_gauge(&t, "sse_ring_size_bytes", "Bytes of the ring: --ring.", s->ring.size);
    stat_gauge(&t, "sse_buffer_bytes", "Bytes of requests and answers in transit.", g.buffers);
    stat_gauge(&t, "sse_buffer_limit_bytes", "The most there may be: --max-buffers.",
               s->config.opt.max_buffers);
    stat_gauge_us(&t, "sse_turn_seconds_max", "The longest turn of the loop so far.", g.turn_max);
    write_workers(s, &t);
    assert(!t.full);
    s->ex.ask.log_way = "own";
    serve_answer_page(s, c, "text/plain; version=0.0.4; charset=utf-8", t.n);
}
