/*
 * table.c - the rows.
 */
#include "bench/table.h"

#include "bench/kit.h"

#include <stdlib.h>
#include <string.h>

const char *const table_points[] = {"p10", "p25", "p50", "p75", "p90", "p95", "p99", "p999", "max"};

#define LOCKSTEP "lockstep %u"

/* clang-format off */
struct row table[] = {
    {"sse-100", "SSE delivery, 100 subscribers, us", ROW_DELIVERY, ON_ALL, SERVER_FLOOR, 1.05, false,
     "--clients 100", LOCKSTEP, 400, NULL, NULL, {{0}}},
    {"sse-1000", "SSE delivery, 1,000 subscribers, us", ROW_DELIVERY, ON_ALL, SERVER_FLOOR, 1.05,
     false, "--clients 1000", LOCKSTEP, 50, NULL, NULL, {{0}}},
    {"sse-10000", "SSE delivery, 10,000 subscribers, us", ROW_DELIVERY, ON_ALL, SERVER_FLOOR, 1.05,
     false, "--clients 10000", LOCKSTEP, 5, NULL, NULL, {{0}}},
    {"sse-18000", "SSE delivery, 18,000 subscribers, us", ROW_DELIVERY, ON_ALL, SERVER_FLOOR, 1.05,
     false, "--clients 18000", LOCKSTEP, 3, NULL, NULL, {{0}}},
    {"ws-100", "WebSocket delivery, 100 subscribers, us", ROW_DELIVERY, ON_ALL, SERVER_FLOOR, 1.03,
     false, "--way frames --clients 100", LOCKSTEP, 400, NULL, NULL, {{0}}},
    {"ws-1000", "WebSocket delivery, 1,000 subscribers, us", ROW_DELIVERY, ON_ALL, SERVER_FLOOR,
     1.03, false, "--way frames --clients 1000", LOCKSTEP, 50, NULL, NULL, {{0}}},
    {"ws-10000", "WebSocket delivery, 10,000 subscribers, us", ROW_DELIVERY, ON_ALL, SERVER_FLOOR,
     1.03, false, "--way frames --clients 10000", LOCKSTEP, 5, NULL, NULL, {{0}}},
    {"long-10000", "long-poll delivery, 10,000 waiting (answer and new request), us", ROW_DELIVERY,
     ON_SSE | ON_NCHAN, SERVER_NCHAN, 0.6, false, "--way long --clients 10000", LOCKSTEP, 2, NULL,
     NULL, {{0}}},
    {"publishers-16", "16 publishers at once, 1,000 subscribers: per delivery, us", ROW_DELIVERY,
     ON_ALL | ON_BATCH, SERVER_FLOOR, 0.2, false, "--publishers 16 --clients 1000", "flood %u", 96,
     NULL, NULL, {{0}}},
    {"topics-1000", "1,000 topics x 10 subscribers: per delivery, us", ROW_DELIVERY, ON_ALL,
     SERVER_FLOOR, 1.05, false, "--topics 1000 --clients 10000", LOCKSTEP, 2000, NULL, NULL, {{0}}},
    {"user-sse", "user memory per idle subscriber, SSE, bytes", ROW_USER, ON_ALL, SERVER_FLOOR, 80,
     true, NULL, NULL, 0, "sse-10000", NULL, {{0}}},
    {"user-ws", "user memory per idle subscriber, WebSocket, bytes", ROW_USER, ON_ALL, SERVER_FLOOR,
     80, true, NULL, NULL, 0, "ws-10000", NULL, {{0}}},
    {"user-long", "user memory per waiting long poll, bytes", ROW_USER, ON_SSE | ON_NCHAN,
     SERVER_NCHAN, 80, true, NULL, NULL, 0, "long-10000", NULL, {{0}}},
    {"kernel-sse", "kernel memory per idle subscriber, bytes at each end", ROW_KERNEL, ON_ALL,
     SERVER_FLOOR, 1.05, false, NULL, NULL, 0, "sse-10000", NULL, {{0}}},
    {"accept", "accept and subscribe, us", ROW_READY, ON_ALL, SERVER_FLOOR, 1.15, false,
     "--clients 5000", NULL, 0, NULL, NULL, {{0}}},
    {"replay", "5,000 clients come back and replay 100 messages: per client, us", ROW_READY, ON_ALL,
     SERVER_FLOOR, 1.5, false, "--clients 5000 --replay 100", NULL, 0, NULL, "flood 100", {{0}}},
    {"publish-16", "publish to nobody, one connection pipelined 16 deep, us", ROW_REQUEST, ON_ALL,
     SERVER_FLOOR, 0.45, false, "--depth 16", "flood %u", 40000, NULL, NULL, {{0}}},
    {"publish-each", "publish to nobody, 16 connections one at a time, us", ROW_REQUEST, ON_ALL,
     SERVER_FLOOR, 1.05, false, "--publishers 16", "flood %u", 40000, NULL, NULL, {{0}}},
    {"poll", "short poll with nothing new (nginx: a fixed 204), us", ROW_REQUEST, ON_ALL,
     SERVER_NCHAN, 0.75, false, "--publishers 16", "polls %u", 40000, NULL, NULL, {{0}}},
    {"count-64", "user-mode instructions per SSE delivery, 64 B", ROW_COUNT, ON_SSE | ON_FLOOR,
     SERVER_FLOOR, 150, true, NULL, NULL, 0, "sse-delivery-64", NULL, {{0}}},
    {"count-1024", "user-mode instructions per SSE delivery, 1,024 B", ROW_COUNT, ON_SSE | ON_FLOOR,
     SERVER_FLOOR, 150, true, NULL, NULL, 0, "sse-delivery-1024", NULL, {{0}}},
    {"resident", "resident memory, idle, without the ring, bytes", ROW_RESIDENT, ON_ALL,
     SERVER_FLOOR, 1500000, true, NULL, NULL, 0, NULL, NULL, {{0}}},
    {"latency", "latency at 50,000 deliveries a second, 1,000 subscribers, median us", ROW_LATENCY,
     ON_ALL, SERVER_FLOOR, 0, false, "--clients 1000", "rate 50 %u", 4, NULL, NULL, {{0}}},
    {"abuse", "longest wait of a publisher under abuse, ms", ROW_WAIT, ON_SSE | ON_NCHAN,
     SERVER_NCHAN, 50, true, "--clients 0", "abuse %u", 2, NULL, NULL, {{0}}},
    {"scale-topics", "publish to one of 100,000 topics, 10 subscribers on these, us", ROW_REQUEST,
     ON_SSE | ON_FLOOR, SERVER_FLOOR, 0, false, "--depth 16 --clients 10 --topics 100000",
     "flood %u", 100000, NULL, "flood 100000", {{0}}},
    {"scale-wild-first", "10 subscribers to a wildcard, each topic's first message: per delivery, us",
     ROW_DELIVERY, ON_SSE, SERVER_SSE, 0, false,
     "--depth 16 --clients 10 --topics 100000 --spread wild", "flood %u", 30000, NULL, NULL, {{0}}},
    {"scale-wild", "the same, each topic's later messages: per delivery, us", ROW_DELIVERY, ON_SSE, SERVER_SSE, 0,
     false, "--depth 16 --clients 10 --topics 30000 --spread wild", "flood %u", 30000, NULL,
     "flood 30000", {{0}}},
    {"scale-names", "one client with 1,000 topics: per delivery, us", ROW_DELIVERY, ON_SSE,
     SERVER_SSE, 0, false, "--clients 1 --topics 1000 --spread all", LOCKSTEP, 4000, NULL,
     "flood 1000", {{0}}},
};
/* clang-format on */

const size_t table_rows = sizeof table / sizeof table[0];

struct row *table_find(const char *key)
{
    for (size_t i = 0; i < table_rows; i++)
        if (strcmp(table[i].key, key) == 0)
            return &table[i];
    die("there is no row %s", key);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double table_median(const double *v, unsigned n)
{
    double sorted[TABLE_ROUNDS];
    if (n == 0)
        return 0;
    memcpy(sorted, v, n * sizeof *v);
    qsort(sorted, n, sizeof *sorted, by_size);
    return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double table_rate(const struct row *r, enum server_kind kind)
{
    const struct cell *c = &r->cell[kind];
    double rate[TABLE_ROUNDS];
    if (r->kind != ROW_DELIVERY && r->kind != ROW_REQUEST && r->kind != ROW_READY)
        return 0;
    for (unsigned i = 0; i < c->n; i++) /* CPU time in a second, by that of each */
        rate[i] = 1000000 * c->server_busy[i] / c->value[i];
    return table_median(rate, c->n);
}

double table_user(const struct cell *c)
{
    return c->user + c->kernel > 0 ? c->user / (c->user + c->kernel) : 0;
}

double table_value(const struct row *r, enum server_kind kind)
{
    return table_median(r->cell[kind].value, r->cell[kind].n);
}

double table_ratio(const struct row *r, enum server_kind to)
{
    const struct cell *ours = &r->cell[SERVER_SSE], *base = &r->cell[to];
    double ratio[TABLE_ROUNDS];
    unsigned n = 0;
    for (unsigned i = 0; i < ours->n && i < base->n; i++)
        if (base->value[i] > 0)
            ratio[n++] = ours->value[i] / base->value[i];
    return table_median(ratio, n);
}
