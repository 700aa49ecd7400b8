/*
 * swarm_put.c - the publishers of a swarm: what the messages are, requests,
 * answers.
 */
#include "test/kit/swarm.h"

#include "lib/hash.h"
#include "lib/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_ROOM  (1u << 20)
#define BODY_MOST 32 /* messages of a body: all are of the topic in its URL */
#define LINES     4  /* the filling that has line ends */

/* ---- messages ---- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t draw(const struct swarm *s, unsigned p, uint32_t seq)
{
    return mix(s->seed + ((uint64_t)p << 40) + (uint64_t)seq * 0x9E3779B97F4A7C15u);
}

void swarm_topic_name(char name[16], unsigned topic)
{
    snprintf(name, 16, "g%u/%u", topic / 8 & 7, topic & 63);
}

void swarm_path(char path[1024], uint64_t mask)
{
    size_t n = 0;
    if (mask == SWARM_ALL) {
        snprintf(path, 1024, "/**");
        return;
    }
    for (unsigned i = 0; i < SWARM_TOPICS; i++) {
        if ((mask >> i & 1) == 0)
            continue;
        bool whole = i % 8 == 0 && (mask >> i & 255) == 255;
        n += (size_t)snprintf(path + n, 1024 - n, whole ? "%cg%u/*" : "%cg%u/%u",
                              n == 0 ? '/' : ',', i / 8, i);
        i += whole ? 7 : 0;
    }
}

unsigned swarm_topic(const struct swarm *s, unsigned p, uint32_t seq)
{
    bool body = s->pub[p].feed == SWARM_BATCH || s->pub[p].feed == SWARM_FEED;
    return (unsigned)(draw(s, p, body ? ~(seq / BODY_MOST) : seq) % SWARM_TOPICS);
}

const char *swarm_event(const struct swarm *s, unsigned p, uint32_t seq)
{
    static const char *const names[] = {"", "", "", "", "", "", "tick", "un-named"};
    return names[draw(s, p, seq) >> 8 & 7];
}

bool swarm_binary(const struct swarm *s, unsigned p, uint32_t seq)
{
    return (draw(s, p, seq) >> 11 & 15) == 15;
}

size_t swarm_data(const struct swarm *s, char *to, unsigned p, uint32_t seq, uint64_t time_us)
{
    static const char *const units[] = {"x", "\"", "\\", "\xc3\xa9", [LINES] = "a line\n",
                                        "/", "y",  "z"};
    uint64_t r = draw(s, p, seq);
    unsigned check = (unsigned)mix(r ^ time_us);
    size_t n =
        (size_t)sprintf(to, "%u %u %016llu %08x ", p, seq, (unsigned long long)time_us, check);
    size_t size = (r >> 20) % 16 == 0 ? (r >> 24) % s->size_max : (r >> 24) % 200;
    const char *unit = units[r >> 16 & 7];
    size_t unit_n = strlen(unit);
    if (unit_n == 1 && size > n) {
        memset(to + n, *unit, size - n);
        return size;
    }
    for (; n < size; n += unit_n)
        memcpy(to + n, unit, unit_n);
    return n;
}

struct swarm_put *swarm_put(const struct swarm *s, unsigned p, uint32_t seq)
{
    uint32_t sent = s->pub[p].sent;
    if (seq >= sent)
        child_die(s->server, "message %u of publisher %u was never sent", seq, p);
    return sent - seq > s->history ? NULL : &s->put[p][seq & (s->history - 1)];
}

bool swarm_outrun(const struct swarm *s, const struct swarm_put *put)
{
    return s->sent_bytes - put->bytes + s->flight_most + s->ring / 8 >= s->ring;
}

void swarm_known(struct swarm *s, unsigned p, uint32_t seq, uint64_t n)
{
    struct swarm_put *put = swarm_put(s, p, seq);
    if (put == NULL)
        return;
    if (put->fate == SWARM_GONE)
        child_die(s->server, "message %u of publisher %u, id %llu, was gone and is here", seq, p,
                  (unsigned long long)n);
    if (put->n != 0 && n != 0 && put->n != n)
        child_die(s->server, "message %u of publisher %u has the ids %llu and %llu", seq, p,
                  (unsigned long long)put->n, (unsigned long long)n);
    if (n != 0)
        put->n = n;
    put->fate = SWARM_KEPT;
    s->newest = n > s->newest ? n : s->newest;
}

/* ---- requests ---- */

/* Notes that the next message is on its way. */
static void note_sent(struct swarm *s, struct swarm_publisher *pub, size_t data)
{
    uint32_t seq = pub->sent++;
    bool apart =
        swarm_binary(s, pub->number, seq) || (draw(s, pub->number, seq) >> 16 & 7) == LINES;
    uint64_t bytes = 200 + (uint64_t)data * (apart ? 3 : 1); /* its record has less */
    s->sent_bytes += bytes;
    s->flight_bytes += bytes;
    s->flight_most = s->flight_bytes > s->flight_most ? s->flight_bytes : s->flight_most;
    s->put[pub->number][seq & (s->history - 1)] = (struct swarm_put){
        .n = 0, .bytes = s->sent_bytes, .size = (uint32_t)bytes, .fate = SWARM_SENT};
}

/* What was on its way has arrived, or its connection is cut. */
static void note_landed(struct swarm *s, struct swarm_publisher *pub, bool arrived)
{
    struct swarm_put *put = swarm_put(s, pub->number, pub->acked++);
    if (put == NULL)
        child_die(s->server, "publisher %u has more on its way than is remembered", pub->number);
    s->flight_bytes -= put->size;
    if (!arrived && put->fate == SWARM_SENT)
        put->fate = SWARM_UNSURE;
}

/* Appends a message as a JSON object. */
static void object_write(struct swarm *s, const struct swarm_publisher *pub, struct text *t,
                         const char *data, size_t n)
{
    static char base64[SWARM_WORK / 4];
    char name[16];
    const char *event = swarm_event(s, pub->number, pub->sent);
    swarm_topic_name(name, swarm_topic(s, pub->number, pub->sent));
    text_str(t, "{\"topic\":\"");
    text_str(t, name);
    if (*event != '\0') {
        text_str(t, "\",\"event\":\"");
        text_str(t, event);
    }
    if (swarm_binary(s, pub->number, pub->sent)) {
        text_str(t, "\",\"base64\":\"");
        text_add(t, (struct span){base64, base64_write(base64, (struct span){data, n})});
        text_str(t, "\"}");
    } else {
        text_str(t, "\",\"data\":");
        json_string(t, (struct span){data, n});
        text_str(t, "}");
    }
}

static char data_bytes[SWARM_WORK / 8], body_bytes[SWARM_WORK];

static size_t next_data(struct swarm *s, const struct swarm_publisher *pub)
{
    return swarm_data(s, data_bytes, pub->number, pub->sent, child_now_us());
}

static void in_flight(struct swarm_publisher *pub, unsigned messages)
{
    pub->flight[(pub->first + pub->requests++) % SWARM_FLIGHT] = (uint16_t)messages;
}

static void post_write(struct swarm *s, struct swarm_publisher *pub)
{
    char head[512], name[16];
    size_t n = next_data(s, pub);
    const char *event = swarm_event(s, pub->number, pub->sent);
    swarm_topic_name(name, swarm_topic(s, pub->number, pub->sent));
    int head_n = snprintf(
        head, sizeof(head),
        "POST /%s%s%s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n", name,
        *event != '\0' ? "?event=" : "", event,
        swarm_binary(s, pub->number, pub->sent) ? "Content-Type: application/octet-stream\r\n" : "",
        n);
    memcpy(pub->out + pub->out_n, head, (size_t)head_n);
    memcpy(pub->out + pub->out_n + head_n, data_bytes, n);
    pub->out_n += (size_t)head_n + n;
    note_sent(s, pub, n);
    in_flight(pub, 1);
}

/* Writes lines of NDJSON into body_bytes, `count` at most, as far as they fit. Returns how many. */
static unsigned lines_write(struct swarm *s, struct swarm_publisher *pub, struct text *t,
                            unsigned count)
{
    unsigned i = 0;
    for (; i < count && (i == 0 || pub->sent % BODY_MOST != 0) &&
           t->n + 2 * (size_t)s->size_max + 4096 < t->cap;
         i++) {
        size_t n = next_data(s, pub);
        object_write(s, pub, t, data_bytes, n);
        text_str(t, "\n");
        note_sent(s, pub, n);
    }
    if (t->full)
        child_die(s->server, "a batch that does not fit");
    return i;
}

static void batch_write(struct swarm *s, struct swarm_publisher *pub, unsigned count)
{
    struct text t = text_in(body_bytes, OUT_ROOM / 2);
    char name[16];
    swarm_topic_name(name, swarm_topic(s, pub->number, pub->sent));
    count = lines_write(s, pub, &t, count);
    pub->out_n += (size_t)sprintf(pub->out + pub->out_n,
                                  "POST /%s HTTP/1.1\r\nHost: localhost\r\n"
                                  "Content-Type: application/x-ndjson\r\n"
                                  "Content-Length: %zu\r\n\r\n",
                                  name, t.n);
    memcpy(pub->out + pub->out_n, t.p, t.n);
    pub->out_n += t.n;
    in_flight(pub, count);
    s->batches++;
}

static void feed_write(struct swarm *s, struct swarm_publisher *pub, unsigned count)
{
    struct text t = text_in(body_bytes, OUT_ROOM / 2);
    char name[16];
    swarm_topic_name(name, swarm_topic(s, pub->number, pub->sent));
    if (!pub->body) {
        pub->out_n += (size_t)sprintf(pub->out + pub->out_n,
                                      "POST /%s HTTP/1.1\r\nHost: localhost\r\n"
                                      "Content-Type: application/x-ndjson\r\n"
                                      "Transfer-Encoding: chunked\r\n\r\n",
                                      name);
        pub->body = true;
        pub->in_body = 0;
        pub->body_end = s->now + 50000 + swarm_random(s) % 1500000;
        s->batches++;
    }
    pub->in_body += lines_write(s, pub, &t, count);
    pub->out_n += (size_t)sprintf(pub->out + pub->out_n, "%zx\r\n", t.n);
    memcpy(pub->out + pub->out_n, t.p, t.n);
    pub->out_n += t.n;
    pub->out_n += (size_t)sprintf(pub->out + pub->out_n, "\r\n");
}

static void feed_end(struct swarm_publisher *pub)
{
    pub->out_n += (size_t)sprintf(pub->out + pub->out_n, "0\r\n\r\n");
    pub->body = false;
    in_flight(pub, pub->in_body);
}

static void socket_write(struct swarm *s, struct swarm_publisher *pub)
{
    struct text t = text_in(body_bytes, OUT_ROOM / 2);
    size_t n = next_data(s, pub);
    object_write(s, pub, &t, data_bytes, n);
    pub->out_n += swarm_frame(s, pub->out + pub->out_n, 1, t.p, t.n);
    note_sent(s, pub, n);
    in_flight(pub, 1);
}

/* Appends requests, as far as there is credit, depth and room. */
static void pub_fill(struct swarm *s, struct swarm_publisher *pub)
{
    unsigned want = pub->rate > 0 ? (unsigned)pub->credit : pub->depth;
    while (want > 0 && pub->on && pub->out_n - pub->out_at < OUT_ROOM / 2 &&
           pub->requests < SWARM_FLIGHT - 1) {
        unsigned flying = pub->sent - pub->acked;
        if (flying >= pub->depth)
            break;
        unsigned most = want < pub->depth - flying ? want : pub->depth - flying;
        uint32_t before = pub->sent;
        if (pub->feed == SWARM_POST)
            post_write(s, pub);
        else if (pub->feed == SWARM_SOCKET)
            socket_write(s, pub);
        else if (pub->feed == SWARM_BATCH)
            batch_write(s, pub, most);
        else
            feed_write(s, pub, most);
        unsigned wrote = pub->sent - before;
        want -= wrote < want ? wrote : want;
        pub->credit -= pub->rate > 0 ? wrote : 0;
        if (pub->feed == SWARM_FEED)
            break; /* a chunk a tick */
    }
}

/* ---- the connection ---- */

static void pub_connect(struct swarm *s, struct swarm_publisher *pub)
{
    if (pub->out == NULL && (pub->out = malloc(2 * OUT_ROOM)) == NULL)
        child_die(s->server, "no memory");
    pub->out_n = pub->out_at = pub->rest_n = pub->requests = pub->first = 0;
    pub->greeted = pub->feed != SWARM_SOCKET;
    pub->body = false;
    pub->fd = swarm_connect(s, 100 + pub->number, false);
    if (pub->fd == -1)
        return;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                            .data.u64 = UINT64_MAX - pub->number};
    if (epoll_ctl(s->ep, EPOLL_CTL_ADD, pub->fd, &e) == -1)
        child_die(s->server, "epoll_ctl: %s", strerror(errno));
    s->connects++;
    if (pub->feed == SWARM_SOCKET)
        pub->out_n =
            (size_t)sprintf(pub->out,
                            "GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                            "Sec-WebSocket-Protocol: json\r\n\r\n");
}

static void pub_flush(struct swarm *s, struct swarm_publisher *pub)
{
    while (pub->fd != -1 && pub->out_at < pub->out_n) {
        size_t n = pub->out_n - pub->out_at;
        if (pub->split && n > 1)
            n = 1 + swarm_random(s) % (n - 1);
        ssize_t w = send(pub->fd, pub->out + pub->out_at, n, MSG_NOSIGNAL);
        if (w == -1 && errno == EAGAIN)
            return;
        if (w == -1) {
            swarm_pub_cut(s, pub);
            return;
        }
        pub->out_at += (size_t)w;
        if (pub->split)
            break; /* the next piece at the next tick */
    }
    if (pub->out_at > OUT_ROOM / 2 || pub->out_at == pub->out_n) {
        memmove(pub->out, pub->out + pub->out_at, pub->out_n - pub->out_at);
        pub->out_n -= pub->out_at;
        pub->out_at = 0;
    }
}

void swarm_pub_cut(struct swarm *s, struct swarm_publisher *pub)
{
    if (pub->fd == -1)
        return;
    if (!s->cuts)
        child_die(s->server, "publisher %u was cut off", pub->number);
    close(pub->fd);
    pub->fd = -1;
    s->cut++;
    while (pub->acked < pub->sent)
        note_landed(s, pub, false);
    pub->out_n = pub->out_at = pub->requests = 0;
}

void swarm_pub_tick(struct swarm *s, struct swarm_publisher *pub)
{
    if (pub->fd == -1 && pub->on && !s->paused)
        pub_connect(s, pub);
    if (pub->fd == -1)
        return;
    if (pub->out_at == pub->out_n && pub->greeted)
        pub_fill(s, pub);
    if (pub->body && (!pub->on || s->now > pub->body_end || pub->sent % BODY_MOST == 0))
        feed_end(pub);
    pub_flush(s, pub);
}

/* ---- answers ---- */

/* So many messages have been acknowledged; the last has this id. */
static void acked(struct swarm *s, struct swarm_publisher *pub, struct span id, unsigned count)
{
    uint64_t n = swarm_id(s, id);
    if (pub->requests == 0 || pub->flight[pub->first % SWARM_FLIGHT] != count)
        child_die(s->server, "publisher %u: %u messages acknowledged, %u requests in flight",
                  pub->number, count, pub->requests);
    pub->first++;
    pub->requests--;
    for (unsigned i = 0; i < count; i++) {
        swarm_known(s, pub->number, pub->acked, i == count - 1 ? n : 0);
        note_landed(s, pub, true);
    }
    s->acked += count;
}

static struct span value_of(struct span text, const char *name, char end)
{
    const char *at = memmem(text.p, text.n, name, strlen(name));
    if (at == NULL)
        return (struct span){NULL, 0};
    struct span v = span_from(text, (size_t)(at - text.p) + strlen(name));
    return span_cut(&v, end);
}

/* Takes an answer of HTTP at the front of buf; returns its size, 0 if it is not
 * all there. */
static size_t answer_http(struct swarm *s, struct swarm_publisher *pub, struct span buf)
{
    const char *end = memmem(buf.p, buf.n, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    struct span head = {buf.p, (size_t)(end + 4 - buf.p)};
    if (!pub->greeted) {
        if (!span_begins(buf, SPAN("HTTP/1.1 101 ")))
            child_die(s->server, "a publisher's WebSocket: %.*s", (int)buf.n, buf.p);
        pub->greeted = true;
        return head.n;
    }
    struct span length = value_of(head, "Content-Length: ", '\r');
    uint64_t n = 0;
    if (!span_begins(buf, SPAN("HTTP/1.1 201 ")) || !span_u64(length, &n))
        child_die(s->server, "publishing was answered: %.*s", (int)buf.n, buf.p);
    if (buf.n < head.n + n)
        return 0;
    struct span body = {buf.p + head.n, n};
    struct span count = value_of(body, "\"count\":", ',');
    uint64_t messages = 1;
    if (count.n > 0)
        span_u64(count, &messages);
    acked(s, pub, value_of(body, "\"id\":\"", '"'), (unsigned)messages);
    return head.n + n;
}

static size_t answer_frame(struct swarm *s, struct swarm_publisher *pub, struct span buf)
{
    char pong[140];
    if (buf.n < 2)
        return 0;
    size_t n = (unsigned char)buf.p[1];
    if (n > 125)
        child_die(s->server, "a publisher's WebSocket had a frame of %zu", n);
    if (buf.n < 2 + n)
        return 0;
    struct span payload = {buf.p + 2, n};
    unsigned opcode = (unsigned char)buf.p[0] & 15;
    if (opcode == 9) {
        size_t size = swarm_frame(s, pong, 10, payload.p, payload.n);
        memcpy(pub->out + pub->out_n, pong, size);
        pub->out_n += size;
    } else if (opcode == 1 && span_begins(payload, SPAN("{\"ok\":"))) {
        acked(s, pub, value_of(payload, "\"id\":\"", '"'), 1);
    } else if (opcode != 1 || !span_begins(payload, SPAN("{\"id\":"))) {
        child_die(s->server, "a publisher's WebSocket got %u %.*s", opcode, (int)n, payload.p);
    }
    return 2 + n;
}

void swarm_pub_event(struct swarm *s, struct swarm_publisher *pub, uint32_t events)
{
    static char buf[65536 + sizeof pub->rest];
    while (pub->fd != -1 && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
        memcpy(buf, pub->rest, pub->rest_n);
        ssize_t got = recv(pub->fd, buf + pub->rest_n, 65536, MSG_DONTWAIT);
        if (got == -1 && errno == EAGAIN)
            break;
        if (got <= 0) {
            swarm_pub_cut(s, pub);
            return;
        }
        struct span left = {buf, pub->rest_n + (size_t)got};
        for (size_t n = 1; n > 0 && left.n > 0; left = span_from(left, n))
            n = pub->feed == SWARM_SOCKET && pub->greeted ? answer_frame(s, pub, left)
                                                          : answer_http(s, pub, left);
        if (left.n > sizeof pub->rest)
            child_die(s->server, "publishing was answered: %.*s", (int)left.n, left.p);
        memcpy(pub->rest, left.p, left.n);
        pub->rest_n = left.n;
    }
    if (pub->fd != -1 && !pub->split && pub->greeted && pub->out_at == pub->out_n &&
        pub->rate <= 0 && pub->feed != SWARM_FEED)
        pub_fill(s, pub);
    if (!pub->split)
        pub_flush(s, pub);
}
