/*
 * isolation_loop.h - the clients of isolation.h, over a scripted kernel: for a test and a fuzz
 * target.
 */
#ifndef SSE_TEST_KIT_ISOLATION_LOOP_H
#define SSE_TEST_KIT_ISOLATION_LOOP_H

#include "lib/topic/names.h"
#include "lib/topic/sets.h"
#include "test/kit/isolation.h"
#include "test/kit/loop.h"

#define ISO_RING (128u << 10)

static struct kernel_peer *iso_peer[ISO_CLIENTS];
static char iso_keys_path[64];

static void iso_dial(unsigned client)
{
    iso_peer[client] = kernel_dial(iso_pick(2) == 0);
}

static void iso_send(unsigned client, const char *bytes, size_t n)
{
    kernel_send(iso_peer[client], bytes, n);
}

static void iso_hang_up(unsigned client)
{
    kernel_rst(iso_peer[client]);
}

/* Takes what all have been sent; who was closed has left. */
static void iso_take(void)
{
    for (unsigned i = 0; i < ISO_CLIENTS; i++) {
        struct kernel_peer *p = iso_peer[i];
        if (!iso[i].open)
            continue;
        if (p->out.n > p->taken)
            iso_got(i, p->out.p + p->taken, p->out.n - p->taken);
        p->out.n = p->taken = 0; /* so that long scripts take no more memory than short ones */
        if (p->closed || p->answered) {
            kernel_rst(p);
            iso[i].open = false;
        }
    }
}

/* Mostly lets the server do all it can, with time standing still; else goes on in the middle of it,
 * or lets some time pass. */
static void iso_settle(void)
{
    switch (iso_pick(64)) {
    case 0:
        pass(300);
        break;
    case 1:
        pass(2500);
        break;
    case 2:
        turn();
        break;
    default:
        settle();
        break;
    }
    iso_take();
}

static void iso_keys_write(const char *text)
{
    FILE *f = fopen(iso_keys_path, "w");
    assert(f != NULL && fputs(text, f) >= 0);
    fclose(f);
}

static void iso_reload(const char *file)
{
    iso_keys_write(file);
    keys_reload(&S, KEEPER_NONE);
}

/* How much of the ring is looked at in one piece for a wide set. */
static unsigned iso_piece(void)
{
    static char what[ISO_REQUEST];
    const char *why;
    bool made;
    uint32_t topic = broker_open(&S.broker, SPAN("x"), &made);
    size_t n = iso_wide(0, what, sizeof what);
    unsigned records = 0;
    for (unsigned i = 0; i < 200; i++)
        submit_record(&S, topic, &(struct ring_message){.topic = SPAN("x"), .data = SPAN("x")});
    note_messages();
    uint32_t set = broker_select(&S.broker, (struct span){what, n}, S.config.opt.max_subscriptions,
                                 false, &why);
    uint64_t at = ring_tail(&S.ring), end = at, rec;
    assert(set != 0);
    broker_collect(&S.broker, set, &end, &rec, 1);
    assert(end < ring_head(&S.ring)); /* else what is wide is not wide enough any more */
    for (; at < end; at = ring_behind(ring_at(&S.ring, at), at))
        records++;
    serve_release(&S.broker, set);
    return records;
}

/* Starts the server. */
static void iso_start(unsigned limits)
{
    struct opt o = options();
    if (iso_keys_path[0] == '\0') {
        snprintf(iso_keys_path, sizeof iso_keys_path, "/tmp/isolation-XXXXXX");
        int fd = mkstemp(iso_keys_path);
        assert(fd != -1);
        close(fd);
    }
    iso_begin();
    iso_keys_write(iso_key_file(iso_all.keys));
    o.ring = limits & 1 ? ISO_RING : ISO_RING / 2;
    o.max_message = 4096;
    o.max_topics = limits & 2 ? 6 : 50;
    o.max_buffers = limits & 4 ? 256u << 10 : 1u << 20;
    o.max_age_ms = limits & 8 ? 2000 : 0;
    o.max_line = ISO_MAX_LINE;
    o.max_head = ISO_MAX_HEAD;
    o.max_subscriptions = ISO_MAX_SUBSCRIPTIONS;
    o.max_scopes = 64u << 10;
    o.key_files = (struct opt_list){1, {span_of(iso_keys_path)}};
    o.no_sandbox = true; /* in which another process would open it */
    o.anonymous = 0;
    o.log = OPT_LOG_ERROR;
    start(&o, 96);
    iso_all.looks = iso_piece();
    settle();
}

static void iso_end(void)
{
    iso_take();
    stop();
    unlink(iso_keys_path);
    iso_keys_path[0] = '\0';
}

#endif
