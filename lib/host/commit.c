/*
 * commit.c - syncs the store.
 */
#include "lib/host/commit.h"
#include "lib/serve/conn.h"

#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 1000 }; /* between two syncs of --fsync interval */

void commit_result(struct server *s, int err)
{
    if (err >= 0)
        return;
    s->stat.store_errors++;
    s->log.say(OPT_LOG_ERROR,
               "the store could not be synced: the server ends; ids jump when it starts", "error",
               strerror(-err), NULL);
}

/* Sets the store's times. */
static void time_note(struct tables *t, const struct server *s)
{
    struct timespec boot;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    t->store.time =
        (struct store_time){s->ring.clock_ms, s->clock.wall,
                            (uint64_t)boot.tv_sec * 1000 + (uint64_t)boot.tv_nsec / 1000000};
}

void commit_begin(struct tables *t, struct server *s)
{
    struct hold *h = &s->hold;
    assert(h->on && h->running == 0 && (h->more || s->ring.h->held > 0));
    h->running = h->group;
    h->group = (uint8_t)(h->group % CONN_GROUPS + 1);
    h->to = ring_end(&s->ring);
    h->more = false;
    s->stat.store_syncs++;
    time_note(t, s);
    store_sync_begin(&t->store, &s->ring);
}

int commit_tick(struct tables *t, struct server *s)
{
    if (s->clock.now - t->store_ticked < TICK_MS)
        return 0;
    t->store_ticked = s->clock.now;
    if (s->hold.more && !s->hold.on) {
        t->store.synced = STORE_NOTHING;
        s->hold.more = false;
    }
    s->stat.store_syncs += t->store.mode == OPT_FSYNC_INTERVAL && commit_unsynced(t, s);
    time_note(t, s);
    return store_tick(&t->store, &s->ring);
}

void commit_start_thread(struct acceptor *d)
{
    struct store *store = &d->t->store;
    store_start_thread(store);
    if (store->threaded && store->thread.told != -1 &&
        acceptor_add_own(d, store->thread.told, DESCRIPTOR_STORE) == NULL)
        (void)store_stop_thread(store); /* without its event, the loop syncs by itself */
}

int commit_stop_thread(struct acceptor *d)
{
    struct store *store = &d->t->store;
    struct conns *conns = &d->s->clients.conns;
    if (store->threaded && store->thread.told != -1 &&
        conn_is_own(&conns->conn[store->thread.told], DESCRIPTOR_STORE))
        conn_free_own(conns, &conns->conn[store->thread.told]);
    return store_stop_thread(store);
}

void commit_read_result(int fd)
{
    uint64_t times;
    (void)!read(fd, &times, sizeof times);
}
