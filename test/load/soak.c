/*
 * soak.c - everything at once, for long: load_soak SERVER [SECONDS].
 *
 * Starts SERVER and for SECONDS (20) has clients of all ways come, go and be cut anywhere, by FIN
 * or RST, slow readers, publishers of all kinds, messages of all sizes, topics that come and go,
 * pests that send what no client should, and upgrades (SIGUSR2). Every message is checked as ever.
 * After a tenth of the time, 60 s at most, and at the end, all of it comes to rest, and the
 * server's memory and descriptors are looked at: it must not have grown.
 */
#include "test/kit/swarm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CLIENTS = 250,
    PESTS = 60,
    RING = 8 << 20,
    UPGRADE_MS = 120000,
    REST_MS = 120000,
};

static struct child server;
static struct swarm swarm;
static long long upgrades;
static unsigned long churned, pestered;
static bool can_upgrade;

/* ---- pests: they send what no client should, or too little, or do not read ---- */

struct pest {
    int fd; /* -1: none */
    bool reads, resets, any;
    double end; /* when it goes */
    const char *text;
    size_t n, at, fill; /* bytes of the text, sent of all; x's that follow it */
    char own[600];
};

static struct pest pests[PESTS];

#define TEXT(lit)               \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }

#define POST_TO(topic, type, length)                                                           \
    "POST /" topic " HTTP/1.1\r\nHost: x\r\nContent-Type: " type "\r\nContent-Length: " length \
    "\r\n\r\n"
#define SOCKET_TO(topic, more)                                                            \
    "GET /" topic " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"

static const struct span scripts[] = {
    TEXT(""),
    TEXT("G"),
    TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    TEXT("GET / HTTP/1.1\r\n\r\n"),
    TEXT("GET /a HTTP/1.1\nHost: x\n\n"),
    TEXT("GET /a HTTP/1.1\r\nHost: x\r\nAccept: text/event-str"),
    TEXT("GET /a//b HTTP/1.1\r\nHost: x\r\n\r\n"),
    TEXT("GET /-/nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"),
    TEXT("GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\nGET /-/metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
    TEXT("GET /x?last-event-id=nonsense HTTP/1.1\r\nHost: x\r\n\r\n"),
    TEXT("GET /**?since=earliest HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"),
    TEXT("GET /**?since=earliest HTTP/1.1\r\nHost: x\r\n\r\n"
         "GET /**?since=earliest HTTP/1.1\r\nHost: x\r\n\r\n"
         "GET /**?since=earliest HTTP/1.1\r\nHost: x\r\n\r\n"),
    TEXT(
        "GET /**?since=earliest&conflate HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"),
    TEXT("GET /g0/*?wait=5 HTTP/1.1\r\nHost: x\r\n\r\n"),
    TEXT("BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n"),
    TEXT("HEAD /g0/1 HTTP/1.1\r\nHost: x\r\n\r\nOPTIONS /g0/1 HTTP/1.1\r\nHost: x\r\n\r\n"),
    TEXT(POST_TO("pest", "text/plain", "10") "#1"),
    TEXT(POST_TO("pest", "text/plain", "100000000") "#2"),
    TEXT(POST_TO("pest", "text/plain", "9") "#\xff\xfe bad.."),
    TEXT(POST_TO("pest", "text/plain", "3") "#ok" POST_TO("pest", "text/plain", "3") "#ok"),
    TEXT(POST_TO("pest", "application/x-ndjson",
                 "45") "\"#one\"\n{\"data\":\"#two\"}\n{\"data\":\"#three\n\n\n\n\n\n\n"),
    TEXT(POST_TO("pest", "application/x-ndjson", "4000") "\"#one\"\n{\"data\":\"#half"),
    TEXT(POST_TO("pest", "text/event-stream", "30") "data: #one\n\ndata: #two\n\ndata: "),
    TEXT(
        "POST /pest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n#five\r\nzz\r\n"),
    TEXT("POST /pest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n#"),
    TEXT("POST /pest HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
    TEXT(SOCKET_TO("pest", "")),
    TEXT(SOCKET_TO("pest", "") "\x81\x85\0\0\0\0#five"),
    TEXT(SOCKET_TO("pest", "") "\x81\x05#bare"),
    TEXT(SOCKET_TO("pest", "") "\x01\x82\0\0\0\0#a\x80\x81\0\0\0\0b\x88\x82\0\0\0\0\x03\xe8"),
    TEXT(SOCKET_TO("pest", "") "\x81\xff\0\0\0\0\0\x10\0\0\0\0\0\0#long"),
    TEXT(SOCKET_TO("**?since=earliest", "")),
    TEXT(SOCKET_TO("a,b,c/*", "Sec-WebSocket-Protocol: json\r\n") "\x81\x8b\0\0\0\0not an obj."),
};

/* A topic that nobody had: something for it, or a stream of it. */
static void pest_of_new_topic(struct pest *p)
{
    unsigned long topic = swarm_random(&swarm) % 3000;
    unsigned size = (unsigned)(swarm_random(&swarm) % 300);
    int n;
    if (swarm_random(&swarm) % 2 == 0) {
        n = snprintf(p->own, sizeof(p->own),
                     "POST /churn/%lu/%lu HTTP/1.1\r\nHost: x\r\nContent-Length: %u\r\n\r\n#",
                     topic, topic % 7, size + 1);
        p->fill = size;
    } else {
        n = snprintf(p->own, sizeof(p->own),
                     "GET /churn/%lu/*,pest/%lu/** HTTP/1.1\r\nHost: x\r\n"
                     "Accept: text/event-stream\r\n\r\n",
                     topic, topic);
    }
    p->text = p->own;
    p->n = (size_t)n;
}

static void pest_begin(struct pest *p)
{
    uint64_t r = swarm_random(&swarm);
    const struct span *script = &scripts[r % (sizeof(scripts) / sizeof(scripts[0]))];
    *p = (struct pest){.fd = swarm_connect(&swarm, (unsigned)(r >> 16 & 31), r % 3 == 0),
                       .reads = (r >> 8) % 3 != 0,
                       .resets = (r >> 9) % 2 == 0,
                       .end = child_now() + (double)((r >> 24) % 1500) / 1000,
                       .text = script->p,
                       .n = script->n};
    if ((r >> 40) % 3 == 0)
        pest_of_new_topic(p);
    else if ((r >> 44) % 16 == 0)
        p->fill = 40000; /* a line too long, or the body that was said */
    pestered++;
}

static void pest_end(struct pest *p)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (p->fd != -1 && p->resets)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    if (p->fd != -1)
        close(p->fd);
    p->fd = -1;
}

static void pest_move(struct pest *p)
{
    static char xs[4096], buf[65536];
    memset(xs, 'x', sizeof(xs));
    if (p->at < p->n + p->fill) {
        const char *from = p->at < p->n ? p->text + p->at : xs;
        size_t left = p->at < p->n ? p->n - p->at : p->n + p->fill - p->at;
        left = left < sizeof(xs) ? left : sizeof(xs);
        left = swarm_random(&swarm) % 2 == 0 ? left : 1 + swarm_random(&swarm) % left;
        ssize_t w = send(p->fd, from, left, MSG_NOSIGNAL);
        p->at += w > 0 ? (size_t)w : 0;
    }
    ssize_t got = p->reads ? recv(p->fd, buf, sizeof(buf), 0) : -1;
    if (got > 12 && !p->any &&
        (memcmp(buf, "HTTP/1.1 ", 9) != 0 || (buf[9] == '5' && memcmp(buf + 9, "50", 2) != 0)))
        child_die(&server, "a pest sent %.*s and got %.200s", (int)p->n, p->text, buf);
    p->any = p->any || got > 0;
    if (got == 0 || child_now() > p->end)
        pest_end(p);
}

static void pests_move(bool begin)
{
    for (unsigned i = 0; i < PESTS; i++) {
        if (pests[i].fd != -1)
            pest_move(&pests[i]);
        else if (begin && swarm_random(&swarm) % 8 == 0)
            pest_begin(&pests[i]);
    }
}

/* ---- clients ---- */

static uint64_t topics_of(void)
{
    uint64_t r = swarm_random(&swarm), mask = 0;
    if (r % 16 == 0)
        return SWARM_ALL;
    if (r % 16 < 4)
        return (uint64_t)255 << 8 * (r >> 8 & 7);
    for (unsigned i = r % 16 < 7 ? 5 : 1; i > 0; i--)
        mask |= (uint64_t)1 << swarm_random(&swarm) % SWARM_TOPICS;
    return mask;
}

static void renew(unsigned client)
{
    uint64_t r = swarm_random(&swarm);
    swarm_renew(&swarm, client, (enum swarm_way)(r % SWARM_WAYS), topics_of());
    swarm.client[client].slow = (r >> 8) % 8 == 0;
    swarm.client[client].split = (r >> 16) % 8 == 0;
}

/* Some are cut and come back soon, or late; some leave and others come. */
static void churn_clients(void)
{
    uint64_t r = swarm_random(&swarm);
    unsigned client = (unsigned)(r % CLIENTS);
    int ms = (r >> 16) % 4 == 0 ? 1500 : (int)((r >> 20) % 200);
    bool other = (r >> 32) % 3 == 0;
    swarm_cut(&swarm, client, (r >> 40) % 2 == 0, other ? -1 : ms);
    if (other)
        renew(client);
    churned++;
    struct swarm_publisher *pub = &swarm.pub[(r >> 48) % swarm.pubs];
    if (pub->acked == pub->sent && !pub->body && pub->out_at == pub->out_n) {
        swarm.cuts = true;
        swarm_pub_cut(&swarm, pub);
        swarm.cuts = false;
    }
}

static void churn(double seconds, bool cut)
{
    double end = child_now() + seconds;
    swarm_publish_all(&swarm, true);
    while (child_now() < end) {
        swarm_run(&swarm, 5);
        pests_move(true);
        if (cut)
            for (unsigned i = 0; i < 4; i++)
                churn_clients();
    }
    child_alive(&server);
}

static void upgrade(void)
{
    double deadline = child_now() + UPGRADE_MS / 1000.0;
    if (!can_upgrade)
        return;
    upgrades++;
    if (kill(server.pid, SIGUSR2) == -1)
        child_die(&server, "kill: %s", strerror(errno));
    do {
        swarm_run(&swarm, 10);
        pests_move(true);
        child_alive(&server);
        if (child_now() > deadline)
            child_die(&server, "upgrade %lld is not done after %d ms", upgrades, UPGRADE_MS);
    } while (child_metric(&server, "sse_upgrades_total") < upgrades);
}

/* ---- rest ---- */

struct rest {
    long memory, descriptors;
};

/* Everyone gets what is due and leaves; waits until the server has nothing left of them. */
static struct rest come_to_rest(void)
{
    double deadline = child_now() + REST_MS / 1000.0;
    struct rest r, before = {0, 0};
    for (unsigned i = 0; i < PESTS; i++)
        pest_end(&pests[i]);
    swarm_settle(&swarm, 20000);
    for (unsigned i = 0; i < CLIENTS; i++)
        swarm_cut(&swarm, i, i % 2 == 0, -1);
    swarm.cuts = true;
    for (unsigned i = 0; i < swarm.pubs; i++)
        swarm_pub_cut(&swarm, &swarm.pub[i]);
    swarm.cuts = false;
    for (;; before = r) {
        child_pause(300);
        long long connections = child_metric(&server, "sse_connections");
        long long bytes = child_metric(&server, "sse_buffer_bytes");
        child_pause(200); /* they are lingering */
        r = (struct rest){child_memory(&server, "VmRSS:"), child_descriptors(&server)};
        if (connections == 1 && bytes == 0 && r.memory == before.memory &&
            r.descriptors == before.descriptors)
            return r;
        if (child_now() > deadline)
            child_die(&server,
                      "%lld connections and %lld bytes of buffers are left at rest, "
                      "%ld descriptors, %ld KB",
                      connections, bytes, r.descriptors, r.memory / 1024);
    }
}

/* All clients at once, the ring twice around: what the server touches at the most. */
static struct rest measure(void)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        swarm_cut(&swarm, i, false, -1);
        renew(i);
    }
    uint64_t enough = swarm.sent_bytes + 3 * (uint64_t)RING;
    double rates[SWARM_PUBLISHERS] = {0}, deadline = child_now() + 30;
    for (unsigned i = 0; i < swarm.pubs; i++) {
        rates[i] = swarm.pub[i].rate;
        swarm.pub[i].rate *= 5;
    }
    churn(1, false);
    while (swarm.sent_bytes < enough && child_now() < deadline)
        churn(0.2, false);
    for (unsigned i = 0; i < swarm.pubs; i++)
        swarm.pub[i].rate = rates[i];
    struct rest r = come_to_rest();
    for (unsigned i = 0; i < CLIENTS; i++)
        renew(i);
    return r;
}

int main(int argc, char **argv)
{
    static const enum swarm_feed feeds[] = {SWARM_POST,   SWARM_POST, SWARM_BATCH, SWARM_FEED,
                                            SWARM_SOCKET, SWARM_POST, SWARM_FEED,  SWARM_SOCKET};
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: load_soak SERVER [SECONDS]\n");
        return 64;
    }
    const char *seed = getenv("SSE_SEED");
    double seconds = argc > 2 ? atof(argv[2]) : 20, warm = seconds / 10 < 60 ? seconds / 10 : 60;
    child_init(&server, "load_soak", argv[1], (unsigned)seconds + 140);
    child_arg(&server, "--ring");
    child_arg(&server, "8M");
    child_start(&server);
    if (!child_ready(&server, 60000))
        child_die(&server, "it did not start");
    swarm_init(&swarm, &server, seed != NULL ? strtoull(seed, NULL, 10) : child_now_us(), CLIENTS,
               1u << 16, 60000, RING);
    swarm.gaps = true;
    swarm.slow_cuts = true;
    swarm_epoch(&swarm);
    can_upgrade = child_metric(&server, "sse_upgrades_total") >= 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        renew(swarm_add(&swarm, SWARM_EVENTS, 1));
    for (unsigned i = 0; i < sizeof(feeds) / sizeof(feeds[0]); i++)
        swarm.pub[swarm_publish(&swarm, feeds[i], 16, 80)].split = i >= 5;
    for (unsigned i = 0; i < PESTS; i++)
        pests[i].fd = -1;
    double start = child_now(), last;
    churn(warm, true);
    upgrade(); /* which counts memory anew */
    struct rest from = measure();
    double half = (child_now() + start + seconds) / 2;
    while ((last = child_now()) - start < seconds) {
        double left = seconds - (last - start);
        churn(left < 1.5 ? left : 1.5, true);
        if (child_now() < half) /* what is lost behind the last one stays lost */
            upgrade();
    }
    struct rest to = measure();
    for (unsigned i = 0; i < CLIENTS; i++)
        swarm_cut(&swarm, i, false, -1);
    child_stop(&server, 60000);
    long bound = from.memory / 20 + (512 << 10);
    printf("load_soak: %.0f s, %lu cuts, %lu pests, %lld upgrades, %llu messages, %llu deliveries, "
           "%llu "
           "gaps; at rest %ld KB then %ld KB, %ld descriptors then %ld\n",
           child_now() - start, churned, pestered, upgrades, (unsigned long long)swarm.acked,
           (unsigned long long)swarm.messages, (unsigned long long)swarm.gap_count,
           from.memory / 1024, to.memory / 1024, from.descriptors, to.descriptors);
    if (to.descriptors != from.descriptors || to.memory > from.memory + bound)
        child_die(&server,
                  "it has grown: at most %ld KB more memory and no descriptor more is right",
                  bound / 1024);
    return 0;
}
