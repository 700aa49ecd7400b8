/*
 * check_serve_slow.c - end to end: readers slower than the writers, messages larger than a socket
 * takes, crowds that come and go.
 */
#include "test/e2e.h"
#include "test/kit.h"

#include <string.h>

static struct e2e_server s;
static struct e2e_response r;

/* Message n of the random tests: its number, then a filling that depends on it. */
static size_t fill(char *data, unsigned long long n, size_t size)
{
    size_t at = (size_t)sprintf(data, "%llu ", n);
    while (at < size) {
        data[at] = (char)('a' + (n + at) % 26);
        at++;
    }
    data[at] = '\0';
    return at;
}

static size_t size_of(unsigned long long n)
{
    return 30 + n * 7919 % 3000;
}

static bool is_message(const struct e2e_block *b, unsigned long long n)
{
    static char data[4096];
    return b->size == fill(data, n, size_of(n)) && memcmp(b->data, data, b->size) == 0;
}

/* ---- exact bytes through a narrow socket ---- */

START_TEST(test_every_byte_arrives)
{
    enum { MANY = 100, SIZE = 60000 };
    static char data[SIZE + 32];
    char ids[MANY][64];
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open_narrow(&s, 4096);
    e2e_subscribe_on(c, "/news", NULL);
    for (unsigned i = 0; i < MANY; i++) {
        size_t n = fill(data, i, SIZE);
        snprintf(ids[i], sizeof(ids[i]), "%s", e2e_publish_as(&s, "/news", NULL, data, n));
    }
    for (unsigned i = 0; i < MANY; i++) {
        size_t n = fill(data, i, SIZE);
        e2e_expect(c, "data: ");
        e2e_need(c, n);
        if (memcmp(c->buf, data, n) != 0)
            e2e_fail("message %u came changed", i);
        e2e_consume(c, n);
        e2e_expect(c, "\nid: %s\n\n", ids[i]);
    }
    e2e_stop(&s);
}
END_TEST

/* One who doesn't read holds up nobody. */
START_TEST(test_others_are_not_slowed)
{
    enum { MANY = 300, SIZE = 50000 };
    static char data[SIZE + 32];
    struct e2e_conn *stuck[10];
    e2e_start(&s, NULL);
    for (size_t i = 0; i < COUNT(stuck); i++) {
        stuck[i] = e2e_open_narrow(&s, 4096);
        e2e_subscribe_on(stuck[i], i % 2 ? "/news" : "/*", NULL);
    }
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    for (unsigned i = 0; i < MANY; i++) {
        size_t n = fill(data, i, SIZE);
        const char *id = e2e_publish_as(&s, "/news", NULL, data, n);
        int64_t t = e2e_now_ms();
        e2e_need(c, n + 6);
        e2e_until(c, id);
        e2e_until(c, "\n\n");
        e2e_consume(c, c->n);
        t = e2e_now_ms() - t;
        ck_assert_msg(t < 2000, "message %u came after %d ms", i, (int)t);
    }
    e2e_stop(&s);
}
END_TEST

/* With connections in every state that waits for its peer the server sleeps. */
START_TEST(test_waiting_costs_nothing)
{
    static const char ask[] = "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n";
    static char data[1 << 20];
    e2e_start(&s, "--ring", "16M", "--max-message", "1M", "--request-timeout", "1h", NULL);
    memset(data, 'd', sizeof(data));
    for (int i = 0; i < 50; i++)
        e2e_subscribe(&s, i % 2 ? "/news" : "/*", NULL);
    struct e2e_conn *stuck = e2e_open_narrow(&s, 4096); /* its socket is full */
    e2e_subscribe_on(stuck, "/big", NULL);
    for (int i = 0; i < 20; i++)
        e2e_publish_as(&s, "/big", NULL, data, sizeof(data));
    struct e2e_conn *greedy = e2e_open_narrow(&s, 4096); /* asks and does not read */
    for (size_t i = 0; i + sizeof(ask) <= sizeof(data); i += sizeof(ask) - 1)
        memcpy(data + i, ask, sizeof(ask) - 1);
    e2e_send_some(greedy, data, sizeof(data) - sizeof(ask), 300);
    struct e2e_conn *half = e2e_open(&s), *body = e2e_open(&s), *ended = e2e_open(&s);
    e2e_send(half, "GET /ne");
    e2e_send(body, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nab");
    e2e_send(ended, "POST /news HTTP/1.1\r\nHost: test\r\nContent-Length: 999999999\r\n\r\n");
    e2e_half_close(ended); /* refused, and lingers */
    e2e_open(&s);
    e2e_sleep_ms(300);
    long before = e2e_cpu_ms(&s);
    e2e_sleep_ms(1500);
    long used = e2e_cpu_ms(&s) - before;
    ck_assert_msg(used <= 150, "%ld ms of CPU time in 1500 ms of waiting", used);
    e2e_stop(&s);
}
END_TEST

/* What a subscriber sends is nobody's business, as long as it is a subscriber. */
START_TEST(test_subscriber_that_talks)
{
    static char data[1 << 20];
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    memset(data, 'd', sizeof(data));
    e2e_send(c, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_send_n(c, data, sizeof(data));
    const char *id = e2e_publish(&s, "/news", "x");
    e2e_expect_message(c, NULL, "x", id);
    e2e_stop(&s);
}
END_TEST

/* ---- readers that are lapped ---- */

/* A client that comes back by its id, as EventSource does. */
struct reader {
    struct e2e_conn *c;
    unsigned long long last; /* the newest message it has, or has been told it missed */
    unsigned gaps, cuts, got;
};

static unsigned long long epoch;

static void reader_join(struct reader *d, const char *target, int width)
{
    char fields[128];
    snprintf(fields, sizeof(fields), "Last-Event-ID: %llu-%llu\r\n", epoch, d->last);
    d->c = e2e_open_narrow(&s, width);
    e2e_subscribe_on(d->c, target, fields);
}

/* Takes a block: the next message, or a gap that begins behind the last one it had. */
static void reader_take(struct reader *d, const struct e2e_block *b, const char *name)
{
    unsigned long long ms, n, after, oldest;
    ck_assert_msg(sscanf(b->id, "%llu-%llu", &ms, &n) == 2, "no id: %s", b->id);
    if (strcmp(b->event, "gap") == 0) {
        if (sscanf(b->data,
                   "{\"reason\":\"%*[a-z]\",\"after\":\"%*u-%llu\",\"oldest\":\"%*u-%llu\"}",
                   &after, &oldest) != 2 ||
            after != d->last || oldest <= d->last + 1 || n != oldest - 1)
            e2e_fail("after message %llu came a gap %s, id %s", d->last, b->data, b->id);
        d->last = n;
        d->gaps++;
    } else if (b->has_data) {
        if (n != d->last + 1 || !is_message(b, n) || strcmp(b->event, name) != 0)
            e2e_fail("after message %llu came %s: event %s, %.40s", d->last, b->id, b->event,
                     b->data);
        d->last = n;
        d->got++;
    } else if (n < d->last) {
        e2e_fail("after message %llu came the id %s", d->last, b->id);
    }
}

/* Reads `most` blocks, or up to message `until`; comes back where it is cut. */
static void reader_go(struct reader *d, unsigned most, unsigned long long until, const char *target,
                      int width)
{
    struct e2e_block b;
    while (d->last < until && most-- > 0) {
        if (e2e_until_or_end(d->c, "\n\n") == NULL) {
            e2e_close(d->c);
            d->cuts++;
            reader_join(d, target, width);
            continue;
        }
        e2e_block(d->c, &b);
        reader_take(d, &b, target[1] == '*' ? "news" : "");
    }
}

/* Readers with pauses, narrow sockets and a ring that turns many times: each message reaches each of
 * them whole, once and in order, or is part of a gap it is told of. */
START_TEST(test_lapped_readers)
{
    enum { READERS = 8, MANY = 6000, BURST = 20 };
    static char data[4096];
    static struct reader d[READERS];
    uint64_t start = seed(), random = start;
    printf("slow readers: " SEED_FMT "\n", start);
    e2e_start(&s, "--ring", "128K", NULL);
    struct e2e_conn *p = e2e_open(&s);
    struct e2e_conn *first = e2e_open(&s);
    ck_assert_int_eq(sscanf(e2e_subscribe_on(first, "/none", NULL), "%llu", &epoch), 1);
    for (unsigned i = 0; i < READERS; i++)
        reader_join(&d[i], i % 2 ? "/*" : "/news", i % 3 ? 4096 : 1 << 20);
    for (unsigned long long n = 1; n <= MANY;) {
        for (unsigned i = 0; i < BURST; i++, n++)
            e2e_send_publish(p, "/news", data, fill(data, n, size_of(n)));
        for (unsigned i = 0; i < BURST; i++) {
            e2e_response(p, &r);
            e2e_expect_status(&r, 201, NULL);
        }
        for (unsigned i = 1; i < READERS; i++) /* the first never reads before the end */
            if (random_next(&random) % 4 == 0)
                reader_go(&d[i], (unsigned)(random_next(&random) % 60), n - 1,
                          i % 2 ? "/*" : "/news", i % 3 ? 4096 : 1 << 20);
    }
    unsigned gaps = 0;
    for (unsigned i = 0; i < READERS; i++) {
        reader_go(&d[i], ~0u, MANY, i % 2 ? "/*" : "/news", i % 3 ? 4096 : 1 << 20);
        printf("reader %u: %u messages, %u gaps, %u cuts\n", i, d[i].got, d[i].gaps, d[i].cuts);
        gaps += d[i].gaps;
    }
    ck_assert_msg(gaps > 0, "the ring lapped nobody: the test is too gentle, " SEED_FMT, start);
    e2e_stop(&s);
}
END_TEST

/* ---- much ---- */

/* Megabyte messages at full speed and a subscriber that never reads: the server's own memory stays
 * what it is, and every message is answered. */
START_TEST(test_large_messages_to_one_who_never_reads)
{
    enum { MANY = 200, SIZE = 1 << 20 };
    static char data[SIZE];
    e2e_start(&s, "--write-timeout", "1h", NULL);
    struct e2e_conn *stuck = e2e_open_narrow(&s, 4096), *p = e2e_open(&s);
    e2e_subscribe_on(stuck, "/news", NULL);
    memset(data, 'd', sizeof(data));
    long before = 0;
    for (int i = 0; i < MANY; i++) {
        e2e_send_publish(p, "/news", data, sizeof(data));
        e2e_response(p, &r);
        e2e_expect_status(&r, 201, NULL);
        if (i == 70) /* the ring has turned once */
            before = e2e_memory(&s, "RssAnon");
    }
    long grew = e2e_memory(&s, "RssAnon") - before;
    ck_assert_msg(grew < 4 << 20, "%ld KB more", grew / 1024);
    struct e2e_conn *c = e2e_subscribe(&s, "/news?since=-1", NULL);
    e2e_need(c, SIZE + 6);
    e2e_stop(&s);
}
END_TEST

/* The largest message of all goes through in one piece, also where each byte of it takes seven. */
START_TEST(test_largest_rendering)
{
    enum { SIZE = 256 << 10 };
    static char data[SIZE];
    e2e_start(&s, "--ring", "4M", "--max-message", "256K", NULL);
    struct e2e_conn *c = e2e_subscribe(&s, "/news", NULL);
    memset(data, '\n', sizeof(data));
    for (int round = 0; round < 5; round++) {
        const char *id = e2e_publish_as(&s, "/news", NULL, data, sizeof(data));
        for (size_t i = 0; i <= SIZE; i += 4096) {
            size_t lines = i + 4096 <= SIZE ? 4096 : SIZE + 1 - i;
            e2e_need(c, lines * 7);
            for (size_t j = 0; j < lines; j++)
                if (memcmp(c->buf + j * 7, "data: \n", 7) != 0)
                    e2e_fail("line %zu is not as it should be", i + j);
            e2e_consume(c, lines * 7);
        }
        e2e_expect(c, "id: %s\n\n", id);
    }
    e2e_stop(&s);
}
END_TEST

/* A crowd that leaves at once, while messages go out to it, and comes back. */
START_TEST(test_mass_disconnect)
{
    enum { MANY = 1500 };
    static struct e2e_conn *c[MANY];
    e2e_start(&s, NULL);
    struct e2e_conn *p = e2e_open(&s), *stays = e2e_subscribe(&s, "/news", NULL);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++)
            c[i] = e2e_subscribe(&s, i % 7 ? "/news" : "/*", NULL);
        for (int m = 0; m < 20; m++)
            e2e_send_publish(p, "/news", "x", 1);
        for (size_t i = 0; i < MANY; i++)
            e2e_close(c[i]);
        for (int m = 0; m < 20; m++) {
            e2e_response(p, &r);
            e2e_expect_status(&r, 201, NULL);
            e2e_expect_message(stays, NULL, "x", NULL);
        }
    }
    for (int tries = 0; tries < 100; tries++) {
        e2e_ask(&s, &r, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
        if (strstr(r.body, "\nsse_connections 3\n") != NULL)
            break;
        e2e_sleep_ms(20);
    }
    ck_assert_msg(strstr(r.body, "\nsse_connections 3\n") != NULL, "%s", r.body);
    e2e_stop(&s);
}
END_TEST

/* Topics that come and go by the thousand leave no memory behind. */
START_TEST(test_topics_come_and_go)
{
    enum { TOPICS = 2000, ROUNDS = 6 };
    e2e_start(&s, "--ring", "256K", "--max-topics", "10000", NULL);
    struct e2e_conn *p = e2e_open(&s), *all = e2e_subscribe(&s, "/**", NULL);
    long before = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < TOPICS; i++) {
            char target[64];
            snprintf(target, sizeof(target), "/round%d/topic%d", round, i);
            e2e_send_publish(p, target, "x", 1);
            e2e_response(p, &r);
            e2e_expect_status(&r, 201, NULL);
            e2e_expect_message(all, target + 1, "x", NULL);
            if (i % 50 == 0)
                e2e_close(e2e_subscribe(&s, target, NULL));
        }
        if (round == 1)
            before = e2e_memory(&s, "RssAnon");
    }
    long grew = e2e_memory(&s, "RssAnon") - before;
    ck_assert_msg(grew < 1 << 20, "%ld KB more", grew / 1024);
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *suite = suite_create("serve_slow");
    TCase *slow = tcase_create("slow readers"), *much = tcase_create("much");
    tcase_set_timeout(slow, 90);
    tcase_add_test(slow, test_every_byte_arrives);
    tcase_add_test(slow, test_others_are_not_slowed);
    tcase_add_test(slow, test_waiting_costs_nothing);
    tcase_add_test(slow, test_subscriber_that_talks);
    tcase_add_test(slow, test_lapped_readers);
    suite_add_tcase(suite, slow);
    tcase_set_timeout(much, 90);
    tcase_add_test(much, test_large_messages_to_one_who_never_reads);
    tcase_add_test(much, test_largest_rendering);
    tcase_add_test(much, test_mass_disconnect);
    tcase_add_test(much, test_topics_come_and_go);
    suite_add_tcase(suite, much);
    return run(suite);
}
