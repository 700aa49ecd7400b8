/*
 * eventsource.c - eventsource.h: the stream of events as the HTML standard reads it, whole, byte
 * by byte and split at every place; against a second reader that has it all at once.
 */
#include "lib/eventsource.h"

#include "test/kit/kit.h"
#include "test/kit/model_eventsource.h"

/* What a stream is read as: each event as "[name|data|id]", then what is left to come back with. */
static const struct {
    int line;
    struct span stream;
    const char *read;
} vectors[] = {
    {__LINE__, BYTES(""), "id= retry=0"},
    {__LINE__, BYTES("data: a\n\n"), "[|a|] id= retry=0"},
    {__LINE__, BYTES("data: a\r\n\r\n"), "[|a|] id= retry=0"},
    {__LINE__, BYTES("data: a\r\r"), "[|a|] id= retry=0"},
    {__LINE__, BYTES("data: a\n\rdata: b\r\n\n"), "[|a|] [|b|] id= retry=0"},
    {__LINE__, BYTES("data: a\r\n\ndata: b\n\r\n"), "[|a|] [|b|] id= retry=0"},
    /* the standard's own examples */
    {__LINE__, BYTES("data: YHOO\ndata: +2\ndata: 10\n\n"), "[|YHOO\n+2\n10|] id= retry=0"},
    {__LINE__,
     BYTES(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
           "data:  third event\n"),
     "[|first event|1] [|second event|] id= retry=0"},
    {__LINE__, BYTES("data\n\ndata\ndata\n\ndata:"), "[||] [|\n|] id= retry=0"},
    {__LINE__, BYTES("data:test\n\ndata: test\n\n"), "[|test|] [|test|] id= retry=0"},
    /* fields */
    {__LINE__, BYTES("event: e\ndata: a\n\ndata: b\n\n"), "[e|a|] [|b|] id= retry=0"},
    {__LINE__, BYTES("event: e\nevent: f\ndata: a\n\n"), "[f|a|] id= retry=0"},
    {__LINE__, BYTES("event: e\nevent\ndata: a\n\n"), "[|a|] id= retry=0"},
    {__LINE__, BYTES("event: e\n\ndata: a\n\n"), "[|a|] id= retry=0"},
    {__LINE__, BYTES("Data: a\nDATA: b\ndata : c\n data: d\nfoo: e\n\n"), "id= retry=0"},
    {__LINE__, BYTES("data:a:b: c\n\n"), "[|a:b: c|] id= retry=0"},
    {__LINE__, BYTES(":\n:x\ndata: a\n:\n\n"), "[|a|] id= retry=0"},
    /* ids: they count at the empty line, also of a block that is no event, and never without it */
    {__LINE__, BYTES("id: 1\n\n"), "id=1 retry=0"},
    {__LINE__, BYTES("id: 1\ndata: a\n\ndata: b\n\n"), "[|a|1] [|b|1] id=1 retry=0"},
    {__LINE__, BYTES("id: 1\n\nid: 2\ndata: a\n"), "id=1 retry=0"},
    {__LINE__, BYTES("id: 1\n\nid: 2\ndata: a"), "id=1 retry=0"},
    {__LINE__, BYTES("id: 1\n\nid:\n\n"), "id= retry=0"},
    {__LINE__, BYTES("id: 1\n\nid: 2\0\ndata: a\n\n"), "[|a|1] id=1 retry=0"},
    {__LINE__, BYTES("id: 1 \n\n"), "id=1  retry=0"},
    {__LINE__, BYTES("id:  \xC3\xA9\n\n"), "id= \xC3\xA9 retry=0"},
    /* retry */
    {__LINE__, BYTES("retry: 1500\n"), "id= retry=1500"},
    {__LINE__, BYTES("retry:1500\nretry: 20x\nretry: -1\nretry:\nretry\nretry: 1.5\n"),
     "id= retry=1500"},
    {__LINE__, BYTES("retry: 99999999999999999999\n"), "id= retry=0"},
    /* a byte order mark */
    {__LINE__,
     BYTES("\xEF\xBB\xBF"
           "data: a\n\n"),
     "[|a|] id= retry=0"},
    {__LINE__,
     BYTES("\xEF\xBB\xBF\xEF\xBB\xBF"
           "data: a\n\n"),
     "id= retry=0"},
    {__LINE__,
     BYTES("\n\xEF\xBB\xBF"
           "data: a\n\n"),
     "id= retry=0"},
    {__LINE__, BYTES("\xEF\xBB\xBF\ndata: a\n\n"), "[|a|] id= retry=0"},
    {__LINE__,
     BYTES("\xEF\xBB"
           "data: a\n\n"),
     "id= retry=0"},
    /* NULs are data */
    {__LINE__, BYTES("data: a\ndata: \n\n"), "[|a\n|] id= retry=0"},
    /* as this server writes it */
    {__LINE__,
     BYTES("retry: 1809\nid: 5-0\n\n:\ndata: two\ndata: lines\ndata: \nid: 5-1\n\n"
           "event: gap\ndata: {\"reason\":\"lagged\"}\nid: 5-9\n\n"),
     "[|two\nlines\n|5-1] [gap|{\"reason\":\"lagged\"}|5-9] id=5-9 retry=1809"},
};

/* Reads the stream in pieces of the given sizes, the last for all the rest, in memory just as large
 * as `cap`. */
static const char *read_in(struct span stream, size_t first, size_t each, size_t cap, bool *large)
{
    static char out[1 << 16];
    struct text t = text_in(out, sizeof(out) - 1);
    char *memory = malloc(cap + 1);
    ck_assert_ptr_nonnull(memory);
    struct eventsource *es = malloc(sizeof(*es));
    ck_assert_ptr_nonnull(es);
    eventsource_init(es, memory, cap);
    eventsource_begin(es);
    *large = false;
    for (size_t n = first; stream.n > 0 && !*large; n = each) {
        size_t size = n < stream.n ? n : stream.n;
        char *piece = on_heap((struct span){stream.p, size});
        for (size_t at = 0, took; at < size && !*large; at += took) {
            enum eventsource_result r =
                eventsource_feed(es, (struct span){piece + at, size - at}, &took);
            *large = r == EVENTSOURCE_LARGE;
            if (r == EVENTSOURCE_EVENT)
                model_event(&t, es->event, es->data, es->id);
            else
                ck_assert(*large || at + took == size);
        }
        free(piece);
        stream = span_from(stream, size);
    }
    model_end(&t, es->id, es->retry_ms);
    free(es);
    free(memory);
    ck_assert(!t.full);
    out[t.n] = '\0';
    return out;
}

START_TEST(reads_streams)
{
    struct span stream = vectors[_i].stream;
    bool large;
    for (size_t first = 0; first <= stream.n + 1; first++) {
        const char *got = read_in(stream, first, stream.n + 1, stream.n + 1, &large);
        ck_assert_msg(!large && strcmp(got, vectors[_i].read) == 0, "line %d, split at %zu: %s",
                      vectors[_i].line, first, got);
    }
    const char *got = read_in(stream, 1, 1, stream.n + 1, &large);
    ck_assert_msg(!large && strcmp(got, vectors[_i].read) == 0, "line %d, a byte at a time: %s",
                  vectors[_i].line, got);
    char model[4096];
    model_read(stream, model, sizeof(model));
    ck_assert_msg(strcmp(model, vectors[_i].read) == 0, "line %d, the model: %s", vectors[_i].line,
                  model);
}
END_TEST

/* Any bytes are read as the model reads them, however they come. */
START_TEST(random_streams)
{
    static const char *const parts[] = {"data", ":",    " ",         "\n",           "\r",
                                        "\r\n", "id",   "event",     "retry",        "1",
                                        "a",    "\n\n", "data: x\n", "\xEF\xBB\xBF", "\xC3\xA9"};
    uint64_t start = seed(), state = start;
    for (int i = 0; i < 2000; i++) {
        char stream[512], model[4096];
        size_t n = 0;
        for (uint64_t k = random_next(&state) % 40; k > 0; k--) {
            const char *part = parts[random_next(&state) % COUNT(parts)];
            memcpy(stream + n, part, strlen(part));
            n += strlen(part);
        }
        bool large;
        struct span s = {stream, n};
        model_read(s, model, sizeof(model));
        const char *got =
            read_in(s, random_next(&state) % 8, 1 + random_next(&state) % 8, n + 1, &large);
        if (large || strcmp(got, model) != 0)
            ck_abort_msg(SEED_FMT ": %.*s: %s, not %s", start, (int)n, stream, got, model);
    }
}
END_TEST

/* What does not fit is said, and nothing is written beyond. */
START_TEST(too_large)
{
    static char stream[8192];
    bool large;
    const char *event = "data: 12345\ndata: 67890\n\n";
    for (size_t cap = 0; cap < 64; cap++) {
        const char *got = read_in(span_of(event), 1, 1, cap, &large);
        ck_assert_msg(large == (cap < 6 + 11), "%zu", cap); /* a line of data, and a line */
        ck_assert(large || strcmp(got, "[|12345\n67890|] id= retry=0") == 0);
    }
    for (size_t n = EVENTSOURCE_NAME - 1; n <= EVENTSOURCE_NAME + 1; n++)
        for (int k = 0; k < 2; k++) {
            size_t at = (size_t)snprintf(stream, sizeof(stream), k == 0 ? "id: " : "event: ");
            memset(stream + at, 'x', n);
            memcpy(stream + at + n, "\n", 2);
            read_in(span_of(stream), 100, 100, sizeof(stream), &large);
            ck_assert_int_eq(large, n > EVENTSOURCE_NAME);
        }
}
END_TEST

/* Another connection: nothing is left of a half event, but the id and the retry stay. */
START_TEST(begins_again)
{
    static char memory[256];
    static struct eventsource es;
    size_t took;
    eventsource_init(&es, memory, sizeof(memory));
    ck_assert(eventsource_set_id(&es, SPAN("7")) && span_eq(es.id, SPAN("7")));
    eventsource_begin(&es);
    struct span s = SPAN("retry: 9\nevent: e\nid: 88\ndata: half\ndata: ha");
    ck_assert_int_eq(eventsource_feed(&es, s, &took), EVENTSOURCE_MORE);
    ck_assert(took == s.n && span_eq(es.id, SPAN("7")));
    eventsource_begin(&es);
    s = SPAN("data: whole\n\n");
    ck_assert_int_eq(eventsource_feed(&es, s, &took), EVENTSOURCE_EVENT);
    ck_assert(span_eq(es.data, SPAN("whole")) && es.event.n == 0 && span_eq(es.id, SPAN("7")));
    ck_assert_uint_eq(es.retry_ms, 9);
    static char id[EVENTSOURCE_NAME + 1];
    ck_assert(eventsource_set_id(&es, (struct span){id, EVENTSOURCE_NAME}));
    ck_assert(!eventsource_set_id(&es, (struct span){id, EVENTSOURCE_NAME + 1}));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("eventsource");
    TCase *tc = tcase_create("eventsource");
    tcase_add_loop_test(tc, reads_streams, 0, (int)COUNT(vectors));
    tcase_add_test(tc, random_streams);
    tcase_add_test(tc, too_large);
    tcase_add_test(tc, begins_again);
    suite_add_tcase(s, tc);
    return run(s);
}
