/*
 * ended_many.c - ten thousand topics that begin, get a hundred messages and end, each with two
 * readers of which one comes back midway: all have all of it, once and in order, and nothing is
 * left of them.
 */
#include "test/kit/life.h"

enum {
    TOPICS = 10000,
    MESSAGES = 100,
    WAVE = 100, /* topics at a time */
    HALF = MESSAGES / 2,
    LEAVES = 25, /* messages after which one of the readers goes */
};

static struct e2e_server s;
static struct e2e_response r;

/* Publishes messages `from` to `to` of a topic, the last of all as its end. */
static void publish(struct e2e_conn *c, int topic, int from, int to)
{
    static char lines[MESSAGES * 64];
    size_t n = 0;
    for (int i = from; i < to; i++)
        n += (size_t)sprintf(lines + n, "{\"data\":\"%d of %d\"%s}\n", i, topic,
                             i + 1 == MESSAGES && topic % 2 == 0 ? ",\"end\":true" : "");
    if (to == MESSAGES && topic % 2 == 1)
        n += (size_t)sprintf(lines + n, "{\"end\":true}\n");
    e2e_printf(c,
               "POST /jobs/%d HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-ndjson\r\n"
               "Content-Length: %zu\r\n\r\n",
               topic, n);
    e2e_send_n(c, lines, n);
}

static void published(struct e2e_conn *c)
{
    e2e_response(c, &r);
    e2e_expect_status(&r, 201, NULL);
}

/* Reads messages `from` to `to`; returns the id of the last, in a static buffer. */
static const char *read_some(struct e2e_conn *c, int topic, int from, int to)
{
    static struct e2e_block b;
    static char id[64];
    char data[32];
    for (int i = from; i < to; i++) {
        e2e_block(c, &b);
        snprintf(data, sizeof data, "%d of %d", i, topic);
        if (strcmp(b.data, data) != 0)
            e2e_fail("wanted %s, got %s", data, b.data);
    }
    snprintf(id, sizeof id, "%s", b.id);
    return id;
}

static void read_end(struct e2e_conn *c, int topic)
{
    static struct e2e_block b;
    char data[32];
    snprintf(data, sizeof data, "{\"topic\":\"jobs/%d\"}", topic);
    e2e_block(c, &b);
    ck_assert_str_eq(b.event, "ended");
    ck_assert_str_eq(b.data, data);
    e2e_expect_end(c);
    e2e_close(c);
}

static void wave(struct e2e_conn *pub, int first)
{
    static struct e2e_conn *one[WAVE], *two[WAVE];
    char target[32], fields[96];
    for (int i = 0; i < WAVE; i++) {
        snprintf(target, sizeof target, "/jobs/%d", first + i);
        one[i] = e2e_subscribe(&s, target, NULL);
        two[i] = e2e_subscribe(&s, target, NULL);
        publish(pub, first + i, 0, HALF);
        published(pub);
    }
    for (int i = 0; i < WAVE; i++) { /* one of them goes, and comes back midway or after the end */
        const char *id = read_some(two[i], first + i, 0, LEAVES);
        e2e_close(two[i]);
        snprintf(fields, sizeof fields, "Last-Event-ID: %s\r\n", id);
        snprintf(target, sizeof target, "/jobs/%d", first + i);
        bool midway = i % 3 != 0;
        if (midway)
            two[i] = e2e_subscribe(&s, target, fields);
        publish(pub, first + i, HALF, MESSAGES);
        published(pub);
        if (!midway)
            two[i] = e2e_subscribe(&s, target, fields);
    }
    for (int i = 0; i < WAVE; i++) {
        (void)read_some(one[i], first + i, 0, MESSAGES);
        read_end(one[i], first + i);
        (void)read_some(two[i], first + i, LEAVES, MESSAGES);
        read_end(two[i], first + i);
    }
}

START_TEST(many)
{
    static char filler[500000];
    memset(filler, 'x', sizeof filler);
    e2e_start(&s, "--ring", "16M", NULL); /* each wave takes some two of these */
    struct e2e_conn *pub = e2e_open(&s);
    for (int first = 0; first < TOPICS; first += WAVE)
        wave(pub, first);
    ck_assert_int_eq(metric(&s, "topics_ended_total"), TOPICS);
    ck_assert_int_eq(metric(&s, "messages_published_total"), (long long)TOPICS * MESSAGES);
    metric_becomes(&s, "subscriptions", 0);
    for (int i = 0; i < 40; i++)
        e2e_publish_as(&s, "/filler", NULL, filler, sizeof filler);
    metric_becomes(&s, "topics", 1);
    e2e_ask(&s, &r, "GET /-/topics HTTP/1.1\r\nHost: test\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(r.body, "{\"topics\":[{\"name\":\"filler\""));
    e2e_stop(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ended many");
    TCase *c = tcase_create("ended many");
    tcase_set_timeout(c, 600);
    tcase_add_test(c, many);
    suite_add_tcase(suite, c);
    return run(suite);
}
