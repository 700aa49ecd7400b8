/*
 * slow.c - end to end: readers slower than the writers, messages larger than a socket
 * takes, crowds that come and go.
 */
#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/metric.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* One who doesn't read holds up nobody, though it is never cut. */
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
        e2e_need(c, n + 6);
        e2e_until(c, id);
        e2e_until(c, "\n\n");
        e2e_consume(c, c->n);
    }
    e2e_stop(&s);
}
END_TEST

/* With connections in every state that waits for its peer the server sleeps. */
START_TEST(test_waiting_costs_nothing)
{
    static const char ask[] = "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n";
    static char data[1 << 20];
    e2e_start(&s, "--ring", "16M", "--max-message", "1M", NULL);
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
    e2e_rests(&s);
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

/* Readers with pauses, narrow sockets and a ring that turns many times: each message reaches each
 * of them whole, once and in order, or is part of a gap it is told of. */
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
    e2e_start(&s, NULL);
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
    ck_assert_msg(!e2e_measures() || grew < 4 << 20, "%ld KB more", grew / 1024);
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
    int64_t end = e2e_now_ms() + E2E_WAIT_MS;
    do {
        ck_assert_msg(e2e_now_ms() < end, "%lld connections",
                      metric_sum(r.body, "sse_connections"));
        e2e_sleep_ms(20);
        e2e_ask(&s, &r, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    } while (metric_sum(r.body, "sse_connections") != 3);
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
    ck_assert_msg(!e2e_measures() || grew < 1 << 20, "%ld KB more", grew / 1024);
    e2e_stop(&s);
}
END_TEST

/* ---- writers that drip ---- */

#define CHUNKED_LINES "Transfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n"

/* A body has the time of the request, and what --min-rate gives for its bytes; a live feed takes
 * its time between two messages. */
START_TEST(test_min_rate)
{
    static const char *const drips[] = {"Content-Length: 1000\r\n\r\n",
                                        "Transfer-Encoding: chunked\r\n\r\n3E8\r\n",
                                        CHUNKED_LINES "\r\n3E8\r\n\""};
    e2e_start(&s, "--min-rate", "1K", "--request-timeout", "2s", NULL);
    struct e2e_conn *feed = e2e_open(&s);
    e2e_send(feed, "POST /feed HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n");
    for (size_t i = 0; i < COUNT(drips); i++) {
        struct e2e_conn *c = e2e_open(&s);
        int64_t start = e2e_now_ms();
        e2e_printf(c, "POST /news HTTP/1.1\r\nHost: t\r\n%s", drips[i]);
        while (!e2e_comes(c, 50) && e2e_now_ms() - start < E2E_WAIT_MS)
            e2e_send(c, "x");
        e2e_response(c, &r);
        e2e_expect_status(&r, 408, "--min-rate");
        ck_assert_int_ge(e2e_now_ms() - start, 1900);
        e2e_close(c);
    }
    e2e_send(feed, "2\r\n2\n\r\n0\r\n\r\n");
    e2e_response(feed, &r);
    e2e_expect_status(&r, 201, NULL);
    ck_assert_ptr_nonnull(strstr(r.body, "\"count\":2"));
    e2e_stop(&s);
}
END_TEST

/* ---- turns ---- */

/* Reads and drops what comes to these connections, in a process of its own; returns its id. */
static pid_t read_all(struct e2e_conn *const c[], size_t n)
{
    enum { EVENTS = 64, AT_ONCE = 1 << 20 };
    static char bytes[AT_ONCE];
    struct epoll_event ev[EVENTS];
    pid_t pid = fork();
    ck_assert_int_ne(pid, -1);
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < n; i++) {
        ev[0] = (struct epoll_event){.events = EPOLLIN, .data.fd = c[i]->fd};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, c[i]->fd, &ev[0]) == -1)
            _exit(1);
    }
    for (;;) {
        int ready = epoll_wait(epoll, ev, EVENTS, -1);
        for (int i = 0; i < ready; i++)
            if (recv(ev[i].data.fd, bytes, sizeof(bytes), MSG_TRUNC) == 0) /* not even copied */
                _exit(0);
    }
}

static unsigned long long metric(const char *name)
{
    char line[64];
    snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(r.body, line);
    if (at == NULL)
        e2e_fail("no %s: %s", name, r.body);
    return strtoull(at + strlen(line), NULL, 10);
}

/* Asks for the turns of the loop so far, and the bytes read and written. */
static void ask_progress(struct e2e_conn *c, unsigned long long *turns, unsigned long long *moved)
{
    e2e_send(c, "GET /-/metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_response(c, &r);
    e2e_expect_status(&r, 200, NULL);
    *turns = metric("sse_turns_total");
    *moved = metric("sse_sent_bytes_total") + metric("sse_received_bytes_total");
}

/* However much there is to be written, and however fast it is taken, a turn moves only some of it,
 * and others are answered in between. Measured in bytes, which say on a busy machine and with
 * sanitizers what they say on an idle one. */
START_TEST(test_turns_are_bounded)
{
    enum { MANY = 3000, SIZE = 500000, MESSAGES = 2, LASTS_MS = 2500, ENOUGH = 100 << 20 };
    static struct e2e_conn *c[MANY];
    static char data[SIZE];
    unsigned long long most = 0, all = 0, asked = 0, turns, moved;
    e2e_start(&s, NULL);
    struct e2e_conn *p = e2e_open(&s), *other = e2e_open(&s);
    for (size_t i = 0; i < MANY; i++)
        c[i] = e2e_subscribe(&s, "/news", NULL);
    pid_t reader = read_all(c, MANY);
    memset(data, 'd', sizeof(data));
    ask_progress(other, &turns, &moved);
    for (int i = 0; i < MESSAGES; i++)
        e2e_send_publish(p, "/news", data, sizeof(data));
    int64_t start = e2e_now_ms(), now = start, longest = 0;
    while (all < (unsigned long long)MESSAGES * MANY * SIZE &&
           now < start + (all < ENOUGH ? E2E_WAIT_MS : LASTS_MS)) {
        int64_t before = now;
        unsigned long long t = turns, n = moved;
        ask_progress(other, &turns, &moved);
        asked++;
        all += moved - n;
        n = (moved - n) /
            (turns - t + 1); /* of the first turn and the last only a part may count */
        most = n > most ? n : most;
        now = e2e_now_ms();
        longest = now - before > longest ? now - before : longest;
    }
    printf("%llu MB moved, %llu KB a turn at most; %llu answers, %d ms at most\n", all >> 20,
           most >> 10, asked, (int)longest);
    ck_assert_msg(all >= ENOUGH, "%llu MB moved: the test is too gentle", all >> 20);
    ck_assert_msg(most >> 20 < 12, "%llu MB moved in a turn, an answer waited %d ms", most >> 20,
                  (int)longest);
    kill(reader, SIGKILL);
    waitpid(reader, NULL, 0);
    e2e_stop(&s);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max; /* for crowds: a shell's is often 1024 */
        setrlimit(RLIMIT_NOFILE, &files);
    }
    Suite *suite = suite_create("serve_slow");
    TCase *slow = tcase_create("slow readers"), *much = tcase_create("much");
    TCase *turns = tcase_create("turns"), *memory = tcase_create("memory");
    tcase_set_timeout(slow, 90);
    tcase_add_test(slow, test_every_byte_arrives);
    tcase_add_test(slow, test_others_are_not_slowed);
    tcase_add_test(slow, test_waiting_costs_nothing);
    tcase_add_test(slow, test_subscriber_that_talks);
    tcase_add_test(slow, test_lapped_readers);
    suite_add_tcase(suite, slow);
    tcase_set_timeout(much, 90);
    tcase_add_test(much, test_largest_rendering);
    tcase_add_test(much, test_mass_disconnect);
    tcase_add_test(much, test_min_rate);
    suite_add_tcase(suite, much);
    tcase_set_timeout(memory, 90);
    tcase_add_test(memory, test_large_messages_to_one_who_never_reads);
    tcase_add_test(memory, test_topics_come_and_go);
    suite_add_tcase(suite, memory);
    tcase_set_timeout(turns, 60);
    tcase_add_test(turns, test_turns_are_bounded);
    suite_add_tcase(suite, turns);
    return run(suite);
}
