/*
 * broker_model.c - ring and broker against a plain list: random messages into random topics,
 * which come and go, in a small ring that they go round hundreds of times, with every question that
 * can be asked of it in between.
 *
 * Their sources are included, so that the bounds are small enough to be met, and that their reads
 * of records are counted.
 */
#include "lib/broker/broker.h"

#include "lib/hash.h"
#include "test/kit/kit.h"

#undef FIND_NEAR
#undef FIND_WALK
#undef FIND_MERGE
#undef FIND_MEMBERS
#undef FIND_BACK
#undef FIND_SCAN
#define FIND_NEAR    4u
#define FIND_WALK    20u
#define FIND_MERGE   125u
#define FIND_MEMBERS 130u
#define FIND_BACK    60u
#define FIND_SCAN    300u

static uint64_t reads; /* records that were looked at */

#define ring_at(r, at) (reads++, ring_at(r, at))
#include "../../lib/broker/broker.c" /* NOLINT(bugprone-suspicious-include) */
#include "../../lib/broker/chain.c"  /* NOLINT(bugprone-suspicious-include) */
#include "../../lib/broker/find.c"   /* NOLINT(bugprone-suspicious-include) */
#include "../../lib/broker/once.c"   /* NOLINT(bugprone-suspicious-include) */
#include "../../ring.c"              /* NOLINT(bugprone-suspicious-include) */
#undef ring_at

#define EPOCH  UINT64_C(1790000000000)
#define TOPICS 24
#define SETS   5
#define CHAINS 64
#define LIST   700 /* more messages than the smallest ring holds */

struct message {
    uint64_t n, at, size, time, time_max;
    unsigned topic;
    bool binary, end, bare;
    bool none;    /* purged, or no message */
    unsigned key; /* 0: none */
    struct span event, data;
    char bytes[RING_MIN / 16];
};

struct named {
    uint32_t id; /* in the table, and of its chain; 0: not there */
    bool listed; /* by a set, so that it stays */
    uint64_t lost_n, lost_at;
    uint64_t ever; /* the newest that this name ever lost */
    char name[16];
};

static const char *const sets[SETS] = {"x/1,gap", "x/*", "**", "topic/*,x/2,x/3", "none/*,topic/*"};

static struct {
    uint64_t seed, state;
    struct ring r;
    struct topics topics;
    struct topic_link links[SETS + 1];
    struct broker b;
    void *memory[5];
    uint64_t heap[CHAINS + 1];
    struct message list[LIST]; /* by n, a ring too */
    uint64_t first, n;         /* first..n are there */
    uint64_t head, tail, now, time_max, forgotten;
    struct named topic[TOPICS + 1];
    unsigned by_id[CHAINS + 1]; /* of the topics that are there */
    bool emptied[CHAINS + 1];   /* and not yet asked for */
    bool purged[CHAINS + 1];    /* some may have to be wiped */
    uint64_t purges;
    struct chain_forgotten table[CHAINS_FORGOTTEN];
    uint32_t set[SETS];
    uint64_t unknown, refused, merged, walked, over; /* answers of these kinds */
} P;

#define MUST(x)                                                                 \
    do {                                                                        \
        if (!(x))                                                               \
            ck_abort_msg(SEED_FMT " message %" PRIu64 ": %s", P.seed, P.n, #x); \
    } while (0)

static uint64_t pick(uint64_t below)
{
    return random_next(&P.state) % below;
}

static struct message *message(uint64_t n)
{
    return &P.list[n % LIST];
}

/* ---- topics ---- */

/* A topic's hash; few differ in their low bits. */
static uint64_t hash(uint32_t id)
{
    uint64_t h = topic_at(&P.topics, id)->hash;
    return h / 8 * CHAINS_FORGOTTEN + h % 8;
}

/* The table has made a topic. */
static void made(void *arg, uint32_t id)
{
    unsigned i = 1;
    while (i < TOPICS && !span_eq(topic_name(&P.topics, id), span_of(P.topic[i].name)))
        i++;
    (void)arg;
    MUST(span_eq(topic_name(&P.topics, id), span_of(P.topic[i].name)) && P.topic[i].id == 0 &&
         P.by_id[id] == 0);
    const struct chain_forgotten *f = &P.table[hash(id) % CHAINS_FORGOTTEN];
    P.topic[i].id = id;
    P.topic[i].lost_n = f->n;
    P.topic[i].lost_at = f->at;
    P.by_id[id] = i;
    chain_open(&P.b.chains, id, hash(id));
}

/* The table frees one. */
static void gone(void *arg, uint32_t id)
{
    struct named *t = &P.topic[P.by_id[id]];
    struct chain_forgotten *f = &P.table[hash(id) % CHAINS_FORGOTTEN];
    (void)arg;
    MUST(t->id == id);
    if (t->lost_n > f->n)
        *f = (struct chain_forgotten){t->lost_n, t->lost_at};
    P.forgotten = t->lost_n > P.forgotten ? t->lost_n : P.forgotten;
    P.by_id[id] = 0;
    t->id = 0;
    chain_close(&P.b.chains, id, hash(id));
}

static unsigned count_of(unsigned topic)
{
    unsigned count = 0;
    for (uint64_t n = P.first; n <= P.n; n++)
        count += message(n)->topic == topic ? 1 : 0;
    return count;
}

static void do_open_or_close(unsigned i)
{
    struct named *t = &P.topic[i];
    bool new = false;
    if (t->id == 0) {
        uint32_t id = topic_open(&P.topics, span_of(t->name), &new);
        MUST(id != 0 && new);
        made(NULL, id);
        topic_at(&P.topics, id)->kept = 1;
    } else if (count_of(i) == 0) {
        (void)broker_wipe(&P.b, t->id, UINT64_MAX);
        topic_at(&P.topics, t->id)->kept = 0;
        topic_release(&P.topics, t->id, gone, NULL);
        MUST((t->id != 0) == t->listed);
    }
    MUST(chains_forgotten(&P.b.chains) == P.forgotten);
}

/* ---- messages ---- */

/* The rendering, byte by byte. */
static size_t render_message(char *out, const struct message *m, bool several)
{
    const char *topic = P.topic[m->topic].name;
    char *p = out;
    bool own = strcmp(topic, "gap") == 0 || strcmp(topic, "error") == 0;
    if (m->event.n > 0)
        p += sprintf(p, "event: %.*s\n", (int)m->event.n, m->event.p);
    else if (several)
        p += sprintf(p, "event: %s%s\n", own ? "/" : "", topic);
    p += sprintf(p, "data: ");
    if (m->binary) {
        p += sprintf(p, "data:;base64,");
        p += base64_write(p, m->data);
    }
    for (size_t i = 0; i < m->data.n && !m->binary; i++) {
        char c = m->data.p[i];
        if (c == '\r' && i + 1 < m->data.n && m->data.p[i + 1] == '\n')
            continue;
        if (c == '\r' || c == '\n')
            p += sprintf(p, "\ndata: ");
        else
            *p++ = c;
    }
    p += sprintf(p, "\nid: %" PRIu64 "-%" PRIu64 "\n\n", EPOCH, m->n);
    return (size_t)(p - out);
}

/* The same with the end of its topic. */
static size_t render(char *out, const struct message *m, bool several)
{
    size_t n = m->bare ? 0 : render_message(out, m, several);
    if (!m->end)
        return n;
    return n + (size_t)sprintf(out + n,
                               "event: ended\ndata: {\"topic\":\"%s\"}\nid: %" PRIu64 "-%" PRIu64
                               "\n\n",
                               P.topic[m->topic].name, EPOCH, m->n);
}

static char rendered[RING_MIN];

static void evict(void)
{
    const struct message *m = message(P.first++);
    struct named *t = &P.topic[m->topic];
    if (m->none) {
        P.tail += m->size;
        return;
    }
    t->lost_n = t->ever = m->n;
    t->lost_at = m->at;
    P.tail += m->size;
    if (count_of(m->topic) == 0)
        P.emptied[t->id] = true;
}

static void fill(char *p, size_t n)
{
    static const char kinds[][9] = {"abcdefgh",         "aaaaaaa\n",   "\r\n\n\r\n\r\r\n",
                                    "\n\n\n\n\n\n\n\n", "\t\r\nxyzuv", "\0x\0y\0z\0\\"};
    uint64_t kind = pick(COUNT(kinds) + 1);
    for (size_t i = 0; i < n; i++) {
        uint64_t x = random_next(&P.state);
        memcpy(&p[i], kind < COUNT(kinds) ? &kinds[kind][x % 8] : (const char *)&x, 1);
    }
}

#define KEYS 50u

static void hash_key(unsigned topic, unsigned key, uint64_t out[2])
{
    char text[16];
    int n = snprintf(text, sizeof text, "k%u", key);
    once_hash(&P.b.once, span_of(P.topic[topic].name), (struct span){text, (size_t)n}, out);
}

/* Where the message of that key is; 0: there is none. */
static uint64_t at_key(unsigned topic, unsigned key)
{
    for (uint64_t n = P.first; n <= P.n; n++)
        if (message(n)->topic == topic && message(n)->key == key)
            return message(n)->at;
    return 0;
}

static void ask_key(unsigned topic, unsigned key)
{
    uint64_t hash[2];
    hash_key(topic, key, hash);
    MUST(broker_once(&P.b, hash) == at_key(topic, key));
}

/* The n of the record that ended a topic, 0: none. */
static uint64_t end_of(unsigned topic)
{
    for (uint64_t n = P.first; n <= P.n; n++)
        if (message(n)->topic == topic && message(n)->end)
            return n;
    return 0;
}

static void do_put(unsigned topic)
{
    static const char *const events[] = {"", "", "update", "e", "gapless"};
    struct message *m = message(P.n + 1);
    m->end = pick(topic <= 3 ? 100 : 12) == 0;
    m->bare = m->end && pick(2) == 0;
    size_t size = m->bare        ? 0
                  : pick(8) > 0  ? pick(120)
                  : pick(30) > 0 ? pick(1200)
                                 : sizeof(m->bytes) - pick(3);
    fill(m->bytes, size);
    P.now += pick(4);
    if (pick(300) == 0)
        P.now -= pick(1000);
    P.time_max = P.now > P.time_max ? P.now : P.time_max;
    m->n = P.n + 1;
    m->none = false;
    m->time = P.now;
    m->time_max = P.time_max;
    m->topic = topic;
    m->binary = !m->bare && pick(5) == 0;
    m->event = span_of(m->bare ? "" : events[pick(COUNT(events))]);
    m->data = (struct span){m->bytes, size};
    m->key = pick(2) > 0 ? 0 : 1 + (unsigned)pick(KEYS);
    m->key = m->key != 0 && at_key(topic, m->key) != 0 ? 0 : m->key; /* as who puts it sees to */
    struct span name = span_of(P.topic[topic].name);
    size_t sse = render(rendered, m, true);
    bool apart = m->binary || memchr(m->bytes, '\n', size) || memchr(m->bytes, '\r', size);
    m->at = P.head;
    m->size = 80 + sse + (apart ? size : 0) + name.n;
    m->size = m->key == 0 ? m->size : (m->size + 7) / 8 * 8 + 24;
    m->size = (m->size + 15) / 16 * 16;
    while (P.head + m->size - P.tail > P.r.size)
        evict();
    P.head += m->size;
    P.n++;
    MUST(P.n - P.first < LIST);
    struct ring_message in = {.topic = name,
                              .event = m->event,
                              .data = m->data,
                              .binary = m->binary,
                              .end = m->end,
                              .bare = m->bare};
    if (m->key != 0)
        hash_key(topic, m->key, in.key);
    if (pick(4) > 0) {
        MUST(broker_put(&P.b, P.topic[topic].id, &in, P.now) == m->at);
        return;
    }
    struct cursor newest = ring_newest(&P.r);
    uint64_t head = ring_head(&P.r);
    MUST(broker_hold(&P.b, P.topic[topic].id, &in, P.now) == m->at);
    MUST(ring_head(&P.r) == head && ring_newest(&P.r).n == newest.n);
    MUST(ring_given(&P.r) == P.n && ring_end(&P.r) == P.head);
    if (m->key != 0)
        ask_key(topic, m->key);
    MUST(broker_end(&P.b, P.topic[topic].id) == (m->end ? m->n : 0));
    MUST(!broker_over(&P.b, P.topic[topic].id, P.head)); /* nobody has been told yet */
    MUST(broker_show(&P.b) == P.topic[topic].id);
}

/* Of no topic from now on: the messages of this one; and the record that does that. */
static void do_purge(unsigned topic)
{
    uint32_t id = P.topic[topic].id;
    struct message *m = message(P.n + 1);
    uint32_t had = count_of(topic);
    *m = (struct message){.n = P.n + 1, .at = P.head, .time = P.now, .none = true};
    P.time_max = P.now > P.time_max ? P.now : P.time_max;
    m->time_max = P.time_max;
    int n = snprintf(rendered, sizeof rendered,
                     "event: ended\ndata: {\"topic\":\"%s\"}\nid: %" PRIu64 "-%" PRIu64 "\n\n",
                     P.topic[topic].name, EPOCH, m->n);
    m->size = (80 + (uint64_t)n + strlen(P.topic[topic].name) + 15) / 16 * 16;
    while (P.head + m->size - P.tail > P.r.size)
        evict();
    P.head += m->size;
    P.n++;
    bool hold = pick(2) == 0;
    MUST(broker_purge(&P.b, id, hold, P.now) == m->at);
    if (hold)
        MUST(broker_show(&P.b) == id);
    for (uint64_t i = P.first; i < P.n; i++)
        if (message(i)->topic == topic) {
            message(i)->topic = 0;
            message(i)->key = 0;
            message(i)->end = message(i)->bare = false;
            message(i)->none = true;
        }
    P.purged[id] = true;
    P.purges += had > 0;
    if (pick(2) == 0)
        (void)broker_wipe(&P.b, id, pick(2000));
}

static void do_expire(void)
{
    uint64_t before = P.now - pick(400), got = 0;
    unsigned most = (unsigned)pick(50);
    for (; got < most && P.first <= P.n && message(P.first)->time_max < before; got++)
        evict();
    MUST(ring_expire(&P.r, before, most) == got);
}

static void do_emptied(void)
{
    for (uint32_t id; (id = chains_take_emptied(&P.b.chains)) != 0;) {
        MUST(id <= CHAINS && P.by_id[id] != 0 && (P.emptied[id] || P.purged[id]));
        while (broker_wipe(&P.b, id, pick(4000))) {
        }
        P.purged[id] = P.b.chains.chain[id].empty_next != 0; /* it may be listed once more */
        P.emptied[id] = false;
    }
    for (uint32_t id = 1; id <= CHAINS; id++) {
        MUST(P.by_id[id] == 0 || !P.emptied[id]);
        P.emptied[id] = false;
    }
}

/* ---- questions ---- */

/* Any place: a record's, near one, or far off. */
static uint64_t any_place(void)
{
    uint64_t kind = pick(8);
    if (kind == 0 || P.first > P.n)
        return pick(P.head + 1000);
    return message(P.first + pick(P.n - P.first + 1))->at + (kind < 5 ? 0 : pick(100) - 50);
}

static uint64_t any_id(void)
{
    return P.n + 5 - pick(P.n + 5 < 800 ? P.n + 5 : 800);
}

/* Fails unless an id is written as it is, the newest too, and left out where it does not fit. */
static void ask_id(uint64_t n)
{
    char told[CURSOR_MAX], wanted[64];
    struct text t = text_in(told, sizeof told);
    int size = snprintf(wanted, sizeof wanted, "%llu-%llu", (unsigned long long)EPOCH,
                        (unsigned long long)n);
    ring_id_write(&P.r, &t, n);
    MUST(!t.full && t.n == (size_t)size && memcmp(told, wanted, t.n) == 0);
    struct text little = text_in(told, (size_t)size - 1);
    ring_id_write(&P.r, &little, n);
    MUST(little.full && little.n == 0);
}

static void ask_ring(void)
{
    uint64_t id = any_id(), ms = P.now + 20 - pick(1000);
    uint64_t by_id = P.head, by_time = by_id, by_max = by_id;
    for (uint64_t n = P.n; n >= P.first; n--) {
        const struct message *m = message(n);
        by_id = m->n > id ? m->at : by_id;
        by_time = m->time >= ms ? m->at : by_time;
        by_max = m->time_max >= ms ? m->at : by_max;
    }
    MUST(ring_find(&P.r, id) == by_id);
    MUST(ring_find_time(&P.r, ms) == by_max && by_max <= by_time);
    MUST(ring_newest(&P.r).ms == EPOCH && ring_newest(&P.r).n == P.n);
    ask_id(P.n);
    ask_id(id);
    MUST(ring_count(&P.r) == P.n + 1 - P.first);
    MUST(ring_head(&P.r) == P.head && ring_tail(&P.r) == P.tail);
}

static void ask_chain(unsigned topic)
{
    uint64_t next = 0, back = 0, oldest = 0, at = any_place(), behind = 0;
    uint32_t depth = 1 + (uint32_t)pick(40), seen = 0, id = P.topic[topic].id;
    for (uint64_t n = P.n; n >= P.first; n--) {
        const struct message *m = message(n);
        if (m->topic != topic)
            continue;
        next = m->at >= at ? m->at : next;
        behind += m->at >= at ? 1 : 0;
        if (!m->bare)
            back = ++seen == depth ? m->at : back;
        oldest = m->at;
    }
    oldest = seen > 0 ? oldest : 0;
    MUST(chain_messages(&P.b.chains, id) == seen);
    MUST(broker_end(&P.b, id) == end_of(topic));
    MUST(chain_next(&P.b.chains, id, at) == next);
    MUST(chain_count_from(&P.b.chains, id, at) == behind);
    MUST(chain_from_newest(&P.b.chains, id, depth) == (seen < depth ? oldest : back));
    MUST(chain_from_newest(&P.b.chains, id, 0) == 0 &&
         chain_from_newest(&P.b.chains, id, UINT32_MAX) == oldest);
}

/* Returns true if the name of an entry of the table matches the topic. */
static bool reaches(struct span entry, unsigned topic)
{
    while (entry.n > 0)
        if (topic_match(span_cut(&entry, ','), span_of(P.topic[topic].name)))
            return true;
    return false;
}

/* Returns true if entry `id` has more topics than may be walked. */
static bool is_large(uint32_t id, uint64_t bound)
{
    return topic_is_set(id) && members_cost(&P.b, id) > bound;
}

/* All that entry `id` reaches, from any message on, in pieces. */
static void ask_collect(uint32_t id, struct span name)
{
    uint64_t at = pick(8) == 0 ? pick(P.tail) : P.head, n = P.first, rec[64];
    if (P.first <= P.n && pick(8) > 0)
        at = message(P.first + pick(P.n - P.first + 1))->at;
    unsigned most = 1 + (unsigned)pick(COUNT(rec));
    while (n <= P.n && message(n)->at < at)
        n++;
    for (int calls = 0; at < P.head; calls++) {
        uint64_t from = at;
        reads = 0;
        unsigned got = broker_collect(&P.b, id, &at, rec, most);
        MUST(got <= most && at > from && at <= P.head && calls < LIST);
        if (is_large(id, FIND_MERGE)) {
            MUST(reads <= 2 * (FIND_NEAR + FIND_WALK + 2 * FIND_AHEAD));
            P.walked += got == 0;
        } else if (!is_large(id, FIND_WALK)) {
            MUST(got == most || at == P.head);
            P.merged++;
        }
        for (unsigned i = 0; i < got; i++, n++) {
            while (n <= P.n && (message(n)->none || !reaches(name, message(n)->topic)))
                n++;
            MUST(n <= P.n && rec[i] == message(n)->at && rec[i] < at);
        }
    }
    while (n <= P.n && (message(n)->none || !reaches(name, message(n)->topic)))
        n++;
    MUST(n == P.n + 1);
}

/* Fails unless the broker knows whether entry `id` lost a message above n. */
static void ask_lost(uint32_t id, uint64_t n, bool want)
{
    bool got = broker_lost_after(&P.b, id, n);
    uint64_t asked = 0;
    for (unsigned i = 1; i <= TOPICS; i++)
        asked += P.topic[i].id != 0 && P.topic[i].lost_n > n;
    bool soon =
        !is_large(id, FIND_MEMBERS) || asked * ask(&P.b, id) * FIND_SCAN_ASK + CHAINS <= FIND_SCAN;
    MUST(got == want || (got && !soon));
    P.unknown += got != want;
}

/* Fails unless the newest `count` messages are found, which begin at `last` or are `few`er. */
static void ask_last(uint32_t id, uint64_t count, uint64_t last, bool few)
{
    uint64_t at = 0, behind = few ? P.n + 1 - P.first : 0;
    for (uint64_t n = P.n; !few && n >= P.first && message(n)->at >= last; n--)
        behind++;
    reads = 0;
    if (broker_from_newest(&P.b, id, count, &at)) {
        MUST(at == last);
    } else {
        MUST(topic_is_set(id) && behind * ask(&P.b, id) > FIND_BACK);
        MUST(is_large(id, FIND_MEMBERS) || (count > FIND_BACK && !few));
        MUST(reads <= UINT64_C(4) * (FIND_BACK + RING_BLOCK / sizeof(struct ring_record)));
        P.refused++;
    }
    MUST(broker_from_newest(&P.b, id, 0, &at) && at == P.head);
}

/* What entry `id` lost, and its newest messages. */
static void ask_entry(uint32_t id, struct span name)
{
    uint64_t n = any_id(), lost = 0, ever = 0, count = pick(100), left = count, last = P.head;
    if (P.forgotten > 1 && pick(4) == 0)
        n = P.forgotten + 1 - pick(3);
    for (unsigned i = 1; i <= TOPICS; i++) {
        if (!reaches(name, i))
            continue;
        lost = P.topic[i].id != 0 && P.topic[i].lost_n > lost ? P.topic[i].lost_n : lost;
        ever = P.topic[i].ever > ever ? P.topic[i].ever : ever;
    }
    if (memchr(name.p, '*', name.n) != NULL && P.forgotten > lost)
        lost = P.forgotten;
    MUST(ever <= lost);
    ask_lost(id, n, lost > n);
    for (uint64_t i = P.n; i >= P.first && left > 0; i--) {
        if (!message(i)->none && reaches(name, message(i)->topic) && !message(i)->bare) {
            last = message(i)->at;
            left--;
        }
    }
    ask_last(id, count, last, left > 0);
    MUST(ring_before(&P.r, P.head).n == P.n && ring_before(&P.r, P.head).ms == EPOCH);
    if (last < P.head)
        MUST(ring_find(&P.r, ring_before(&P.r, last).n) == last);
}

/* Asks whether entry `id` gets nothing more from a place on, and which of its topics ended. */
static void ask_over(uint32_t id, struct span name)
{
    uint64_t at = pick(4) > 0 ? P.head : any_place();
    bool over = memchr(name.p, '*', name.n) == NULL;
    for (unsigned i = 1; i <= TOPICS; i++) {
        uint64_t end = P.topic[i].id != 0 ? end_of(i) : 0;
        bool past = end != 0 && message(end)->at < at; /* it is the last one */
        MUST(broker_ended_before(&P.b, span_of(P.topic[i].name), at) == (past ? end : 0));
        over = over && (past || !reaches(name, i));
    }
    MUST(broker_over(&P.b, id, at) == over);
    P.over += over;
}

static void do_ask(unsigned topic)
{
    uint32_t id = P.set[pick(SETS)];
    ask_ring();
    ask_key(topic, 1 + (unsigned)pick(KEYS));
    ask_collect(id, topic_name(&P.topics, id));
    ask_entry(id, topic_name(&P.topics, id));
    ask_over(id, topic_name(&P.topics, id));
    id = P.topic[topic].id;
    if (id != 0) {
        ask_chain(topic);
        ask_collect(id, span_of(P.topic[topic].name));
        ask_entry(id, span_of(P.topic[topic].name));
        ask_over(id, span_of(P.topic[topic].name));
    }
}

/* ---- the whole structure ---- */

static void verify_record(const struct message *m)
{
    const struct ring_record *rec = ring_at(&P.r, m->at);
    if (m->none) {
        MUST(rec->n == m->n && rec->size == m->size && broker_topic(&P.b, m->at) == 0);
        return;
    }
    uint32_t id = P.topic[m->topic].id;
    const struct chain *c = chain_at(&P.b.chains, id);
    MUST(rec->n == m->n && rec->size == m->size && broker_topic(&P.b, m->at) == id);
    MUST(rec->time_ms == m->time && ring_behind(rec, m->at) == m->at + m->size);
    MUST(span_eq(ring_data(rec), m->data) && span_eq(ring_event(rec), m->event));
    MUST(span_eq(ring_topic(rec), span_of(P.topic[m->topic].name)));
    for (int several = 0; several < 2; several++) {
        size_t n = render(rendered, m, several != 0);
        MUST(span_eq(ring_sse(rec, several != 0), (struct span){rendered, n}));
    }
    MUST(rec->links.prev < m->at && rec->links.jump <= rec->links.prev);
    if (rec->links.prev >= P.tail)
        MUST(ring_next(&P.r, ring_at(&P.r, rec->links.prev)) == m->at);
    else
        MUST(c->first == m->at && rec->links.prev <= c->lost_at);
    if (rec->links.jump >= P.tail)
        MUST(broker_topic(&P.b, rec->links.jump) == id);
    MUST(rec->links.next != 0 ? ring_at(&P.r, rec->links.next)->links.prev == m->at
                              : c->last == m->at);
    MUST(c->depth - rec->links.depth == chain_count_from(&P.b.chains, id, m->at));
}

static void verify(void)
{
    uint64_t at = P.tail, last[TOPICS + 1] = {0};
    for (uint64_t n = P.first; n <= P.n; n++) {
        const struct message *m = message(n);
        MUST(m->at == at);
        verify_record(m);
        at += m->size;
        last[m->topic] = m->at;
    }
    MUST(at == P.head);
    for (unsigned i = 1; i <= TOPICS; i++) {
        if (P.topic[i].id == 0)
            continue;
        const struct chain *c = chain_at(&P.b.chains, P.topic[i].id);
        MUST(c->count == count_of(i) && c->last == last[i]);
        MUST(c->lost_n == P.topic[i].lost_n && c->lost_at == P.topic[i].lost_at);
        uint64_t x = c->first;
        for (uint32_t k = 1; k < c->count; k++)
            x = ring_next(&P.r, ring_at(&P.r, x));
        MUST(x == c->last);
    }
    for (uint32_t id = 1; id <= CHAINS; id++)
        MUST((P.b.chains.chain[id].open != 0) == (P.by_id[id] != 0));
}

/* ---- a run ---- */

static void begin(void)
{
    uint64_t key[2] = {P.seed, 1};
    struct topics_memory size = topics_size(CHAINS);
    size_t sizes[5] = {size.table, size.edges, size.pool, size.pool_meta,
                       broker_size(RING_MIN, CHAINS)};
    P.now = EPOCH + 1000000; /* time_max stays 0 until a message has been put */
    P.time_max = 0;
    P.head = P.tail = RING_MIN;
    P.first = 1;
    for (unsigned i = 0; i < COUNT(P.memory); i++)
        MUST((P.memory[i] = calloc(1, sizes[i])) != NULL);
    topics_init(&P.topics, CHAINS, P.memory[0], P.memory[1], P.memory[2], P.memory[3], key);
    topics_links(&P.topics, P.links, sizeof(P.links[0]));
    MUST(ring_open(&P.r, RING_MIN, EPOCH) == 0);
    broker_init(&P.b, &P.r, &P.topics, P.memory[4], P.heap);
    for (unsigned i = 1; i <= TOPICS; i++)
        snprintf(P.topic[i].name, sizeof(P.topic[i].name), "%s/%u", i % 2 > 0 ? "x" : "topic", i);
    memcpy(P.topic[2].name, "x/2", sizeof("x/2"));
    memcpy(P.topic[4].name, "gap", sizeof("gap"));
    memcpy(P.topic[6].name, "error", sizeof("error"));
    for (unsigned i = 0; i < SETS; i++) {
        const char *why = NULL;
        P.set[i] = topic_select(&P.topics, span_of(sets[i]), 8, made, NULL, &why);
        MUST(P.set[i] != 0);
        topic_subscribe(&P.topics, P.set[i], i + 1);
    }
    for (unsigned i = 1; i <= TOPICS; i++)
        P.topic[i].listed = P.topic[i].id != 0;
}

START_TEST(random_operations)
{
    P.seed = seed() + (uint64_t)_i; /* so that run 0 with the seed that is told is the same */
    P.state = P.seed;
    begin();
    for (int i = 0; i < 60000; i++) {
        /* Some topics are busy, some rare. */
        unsigned topic = 1 + (unsigned)(pick(4) > 0 ? pick(3) : pick(TOPICS));
        uint64_t what = pick(100);
        if (what < 60 && P.topic[topic].id != 0 && end_of(topic) == 0)
            do_put(topic);
        else if (what < 61 && P.topic[topic].id != 0)
            do_purge(topic);
        else if (what < 80)
            do_ask(topic);
        else if (what < 96)
            do_open_or_close(topic);
        else if (what < 98)
            do_emptied();
        else if (what < 99 && pick(4) == 0)
            do_expire();
        if (i % 500 == 0)
            verify();
    }
    verify();
    MUST(P.head / P.r.size > 100);
    MUST(P.unknown > 5 && P.refused > 100 && P.merged > 1000 && P.walked > 100 && P.over > 100 &&
         P.purges > 100);
    ring_close(&P.r);
    for (unsigned i = 0; i < COUNT(P.memory); i++)
        free(P.memory[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker model");
    TCase *c = tcase_create("broker model");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, random_operations, 0, 4);
    suite_add_tcase(s, c);
    return run(s);
}
