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
static void write_clients(const struct server *s, struct text *t)
{
    const struct conns *conns = &s->clients.conns;
    const struct stat_row ways[] = {{"http", conns->kind[CONN_KIND_HTTP]},
                                    {"longpoll", conns->kind[CONN_KIND_WAIT]},
                                    {"ndjson", conns->kind[CONN_KIND_LINES]},
                                    {"sse", conns->kind[CONN_KIND_EVENTS]},
                                    {"websocket", conns->kind[CONN_KIND_SOCKET]}};
    uint64_t streams = (uint64_t)conns->kind[CONN_KIND_LINES] + conns->kind[CONN_KIND_EVENTS] +
                       conns->kind[CONN_KIND_SOCKET];
    stat_gauge_by(t, "sse_connections", "Connections there are; http: between requests, or in one.",
                  "way", ways, sizeof ways / sizeof ways[0]);
    stat_gauge(t, "sse_connections_limit", "The most there may be: --max-connections.",
               s->config.opt.max_connections);
    stat_gauge(t, "sse_subscriptions",
               "Connections subscribed to a topic, or to a set of them as one URL names it.",
               topic_subscriber_count(&s->topics));
    stat_gauge(t, "sse_subscribers_lagging",
               "Streams whose socket was full when the last sweep looked at them.",
               s->lag.subscribers < streams ? s->lag.subscribers : streams);
    stat_gauge(t, "sse_lag_bytes",
               "Lag of the slowest one, in bytes of the ring; at sse_ring_size_bytes it is "
               "overtaken.",
               streams > 0 ? s->lag.bytes : 0);
}

void serve_metrics(struct server *s, struct conn *c)
{
    struct text t = text_in(s->ex.page, sizeof s->ex.page);
    char number[32];
    version(number, sizeof number);
    stat_gauge_by(&t, "sse_build_info", "The program.", "version", &(struct stat_row){number, 1},
                  1);
    stat_gauge_us(&t, "sse_start_time_seconds", "When it started, since 1970.", s->started * 1000);
    stat_write(&t, &s->stat);
    write_clients(s, &t);
    stat_gauge(&t, "sse_topics", "Topics there are.",
               topic_count(&s->topics) - (s->ready.topic != 0));
    stat_gauge(&t, "sse_topic_sets", "Sets of topics that somebody is subscribed to.",
               topic_set_count(&s->topics));
    stat_gauge(&t, "sse_topic_sets_bytes", "Bytes that these take.", topics_sets_used(&s->topics));
    stat_gauge(&t, "sse_topic_sets_limit_bytes",
               "The most they may: --max-sets, or what --max-topics leaves room for.",
               topics_sets_most(&s->topics));
    stat_gauge(&t, "sse_messages", "Messages in the ring.", ring_count(&s->ring));
    stat_gauge(&t, "sse_ring_bytes", "Bytes of the ring in use.",
               ring_head(&s->ring) - ring_tail(&s->ring));
    stat_gauge(&t, "sse_ring_size_bytes", "Bytes of the ring: --ring.", s->ring.size);
    stat_gauge(&t, "sse_buffer_bytes", "Bytes of requests and answers in transit.",
               pool_used(&s->clients.conns.buffers));
    stat_gauge(&t, "sse_buffer_limit_bytes", "The most there may be: --max-buffers.",
               s->config.opt.max_buffers);
    stat_gauge_us(&t, "sse_turn_seconds_max", "The longest turn of the loop so far.",
                  s->turn_max_us);
    assert(!t.full);
    s->ex.ask.log_way = "own";
    serve_answer_page(s, c, "text/plain; version=0.0.4; charset=utf-8", t.n);
}
