/*
 * drain.c - the pace at which a stopping server sends its clients away.
 */
#include "lib/serve/drain.h"

void drain_start(struct drain *d, uint64_t now, uint32_t clients, uint32_t top, uint32_t most)
{
    uint64_t spread = (uint64_t)clients * DRAIN_EACH_MS;
    *d = (struct drain){.from = now,
                        .most = most,
                        .ms = spread < most ? (uint32_t)spread : most,
                        .next = 1,
                        .top = top};
}

uint32_t drain_to(const struct drain *d, uint64_t now)
{
    uint64_t gone = now - d->from;
    return gone >= d->ms ? d->top : (uint32_t)(d->top * gone / d->ms);
}

bool drain_waits(const struct drain *d)
{
    return d->tries < DRAIN_TRIES;
}

void drain_went(struct drain *d, bool done)
{
    d->next += done;
    d->tries = done ? 0 : d->tries + 1;
}

bool drain_over(const struct drain *d, uint64_t now, uint32_t clients)
{
    uint64_t gone = now - d->from;
    uint64_t grace = d->most < DRAIN_GRACE_MS ? d->most : DRAIN_GRACE_MS;
    if (clients == 0)
        return true;
    if (gone < d->most + grace)
        return false;
    return d->next > drain_to(d, now) || gone >= d->most + UINT64_C(2) * DRAIN_GRACE_MS;
}
