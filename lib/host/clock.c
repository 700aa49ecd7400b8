/*
 * clock.c - the clocks, read once a turn.
 */
#include "lib/host/clock.h"

/* Returns how long the machine was suspended since its start, at least. */
static uint64_t suspended_ms(void)
{
    uint64_t boot = clock_us(CLOCK_BOOTTIME), now = clock_us(CLOCK_MONOTONIC);
    return boot > now ? (boot - now) / 1000 : 0;
}

void clock_begin(struct clocks *k)
{
    k->suspended = suspended_ms();
}

void clock_read(struct clocks *k, struct server *s)
{
    k->now_us = clock_us(CLOCK_MONOTONIC);
    s->clock.now = k->now_us / 1000;
    s->clock.wall = clock_us(CLOCK_REALTIME) / 1000;
    s->topics.clock = (uint32_t)k->now_us;
    s->ring.clock_ms = s->clock.now + s->clock.ahead;
    if (s->clock.wall / 1000 != k->date_s) {
        struct text t = text_for_string(s->clock.date, sizeof s->clock.date);
        text_http_date(&t, s->clock.wall);
        text_string(&t);
        k->date_s = s->clock.wall / 1000;
    }
}

void clock_wake(struct clocks *k, struct server *s)
{
    uint64_t now = suspended_ms();
    if (now > k->suspended) {
        s->clock.ahead += now - k->suspended;
        k->suspended = now;
    }
}
