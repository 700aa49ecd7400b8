/*
 * intake.c - intake.h: the messages of a body, however its bytes come; what fits; what is said
 * of a place in it.
 */
#include "lib/serve/intake.h"

#include "lib/event.h"
#include "test/kit/kit.h"

/* ---- an intake in a buffer that is just as large as it must be ---- */

static struct intake *begin(struct span topic, struct span event, unsigned kind, bool binary)
{
    struct intake *in = malloc(intake_size(topic, &(struct batch_message){.event = event}, 0));
    ck_assert_ptr_nonnull(in);
    intake_init(in, topic, &(struct batch_message){.event = event, .binary = binary},
                (uint8_t)kind);
    ck_assert_uint_eq(intake_used(in),
                      intake_size(topic, &(struct batch_message){.event = event}, 0));
    return in;
}

static struct intake *add(struct intake *in, struct span bytes)
{
    size_t used = intake_used(in);
    struct intake *larger = malloc(used + bytes.n);
    ck_assert_ptr_nonnull(larger);
    memcpy(larger, in, used);
    free(in);
    intake_add(larger, bytes);
    ck_assert_uint_eq(intake_used(larger), used + bytes.n);
    return larger;
}

/* Takes all there is, as [EVENT|DATA], or <EVENT|DATA> where binary; returns the result at the
 * end. */
static enum batch_result take(struct intake *in, bool end, struct text *log, const char **why)
{
    struct batch_message m;
    enum batch_result result;
    while ((result = intake_next(in, end, &m, why)) == BATCH_MESSAGE) {
        in->count++;
        text_str(log, m.binary ? "<" : "[");
        text_add(log, m.event);
        text_str(log, "|");
        text_add(log, m.data);
        text_str(log, m.binary ? ">" : "]");
    }
    return result;
}

/* ---- one message ---- */

START_TEST(one_message)
{
    struct batch_message m;
    const char *why = NULL;
    char where[200];
    struct text t = text_in(where, sizeof(where));
    struct intake *in = begin(SPAN("news/today"), SPAN("tick"), 0, true);
    ck_assert(span_eq(intake_topic(in), SPAN("news/today")));
    ck_assert_int_eq(intake_next(in, false, &m, &why), BATCH_MORE);
    in = add(in, SPAN("data: a\n\n"));
    ck_assert_int_eq(intake_next(in, false, &m, &why), BATCH_MORE);
    in = add(in, SPAN(""));
    in = add(in, SPAN("b\0c"));
    ck_assert(!intake_idle(in));
    ck_assert_int_eq(intake_next(in, true, &m, &why), BATCH_MESSAGE);
    ck_assert(span_eq(m.event, SPAN("tick")));
    ck_assert(span_eq(m.data, SPAN("data: a\n\nb\0c")));
    ck_assert(m.binary);
    ck_assert_int_eq(intake_next(in, true, &m, &why), BATCH_MORE);
    intake_where(in, &t);
    ck_assert_uint_eq(t.n, 0);
    ck_assert(span_eq(intake_topic(in), SPAN("news/today")));
    free(in);
}
END_TEST

START_TEST(one_empty_message)
{
    struct batch_message m;
    const char *why = NULL;
    struct intake *in = begin(SPAN("n"), SPAN(""), 0, false);
    ck_assert(!intake_idle(in)); /* a single message has its time */
    ck_assert_int_eq(intake_next(in, true, &m, &why), BATCH_MESSAGE);
    ck_assert(m.event.n == 0 && m.data.n == 0 && !m.binary);
    ck_assert_int_eq(intake_next(in, true, &m, &why), BATCH_MORE);
    free(in);
}
END_TEST

/* ---- batches ---- */

enum { STREAM = BATCH_EVENT_STREAM, NDJSON = BATCH_NDJSON };

static const struct {
    int line;
    unsigned kind;
    const char *event, *body, *want;
    enum batch_result result;
    const char *where; /* said at the end, or of the message that is wrong */
} batches[] = {
    {__LINE__, STREAM, "", "", "", BATCH_MORE, "line 1 (0 messages before it are published): "},
    {__LINE__, STREAM, "", "data: a\n\n", "[|a]", BATCH_MORE,
     "line 3 (1 message before it is published): "},
    {__LINE__, STREAM, "e", "data: a\n\nevent: f\ndata: b\n\ndata: c", "[e|a][f|b][e|c]",
     BATCH_MORE, "line 7 (3 messages before it are published): "},
    {__LINE__, STREAM, "e", "event: f\n\ndata: b\n\n", "[e|b]", BATCH_MORE,
     "line 5 (1 message before it is published): "},
    {__LINE__, STREAM, "", ": x\r\n\r\nid: 7\r\ndata: a\r\ndata: b\r\n\r\n:\r\n", "[|a\nb]",
     BATCH_MORE, "line 8 (1 message before it is published): "},
    {__LINE__, NDJSON, "", "", "", BATCH_MORE, "line 1 (0 messages before it are published): "},
    {__LINE__, NDJSON, "e", "1\n{\"event\":\"f\",\"data\":\"\\u0061\"}\r\n\n[2]",
     "[e|1][f|a][e|[2]]", BATCH_MORE, "line 5 (3 messages before it are published): "},
    {__LINE__, NDJSON, "e", "{\"event\":null,\"base64\":\"AGE=\"}\n", "<e|\1a>", BATCH_MORE,
     "line 2 (1 message before it is published): "},
    {__LINE__, NDJSON, "", "1\n2\n\nx\n3\n", "[|1][|2]", BATCH_WRONG,
     "line 4 (2 messages before it are published): "},
    {__LINE__, NDJSON, "", "x", "", BATCH_WRONG, "line 1 (0 messages before it are published): "},
};

/* The body in pieces of what `pieces` gives, one after the other; 0: the rest. */
static void check_batch(size_t row, const size_t *pieces, size_t count, const char *how)
{
    char bytes[256], where_bytes[128];
    struct text log = text_in(bytes, sizeof(bytes));
    struct text where = text_in(where_bytes, sizeof(where_bytes));
    struct span body = span_of(batches[row].body);
    struct intake *in = begin(SPAN("topic"), span_of(batches[row].event), batches[row].kind, false);
    enum batch_result result = BATCH_MORE;
    const char *why = NULL;
    for (size_t i = 0; result == BATCH_MORE; i++) {
        size_t n = i < count && pieces[i] > 0 && pieces[i] < body.n ? pieces[i] : body.n;
        in = add(in, (struct span){body.p, n});
        body = span_from(body, n);
        result = take(in, body.n == 0, &log, &why);
        if (body.n == 0)
            break;
    }
    for (size_t i = 0; i < log.n; i++) /* a NUL byte of data can't stand in the table */
        log.p[i] = log.p[i] == '\0' ? '\1' : log.p[i];
    intake_where(in, &where);
    struct span got = text_span(&log), told = text_span(&where);
    ck_assert_msg(result == batches[row].result, "line %d, %s", batches[row].line, how);
    ck_assert_msg(span_eq(got, span_of(batches[row].want)), "line %d, %s: %.*s", batches[row].line,
                  how, (int)got.n, got.p);
    ck_assert_msg(span_eq(told, span_of(batches[row].where)), "line %d, %s: %.*s",
                  batches[row].line, how, (int)told.n, told.p);
    ck_assert(span_eq(intake_topic(in), SPAN("topic")));
    free(in);
}

START_TEST(batches_however_they_come)
{
    size_t row = (size_t)_i, n = strlen(batches[row].body), ones[128];
    for (size_t i = 0; i < COUNT(ones); i++)
        ones[i] = 1;
    ck_assert_uint_le(n, COUNT(ones));
    check_batch(row, &n, 1, "whole");
    check_batch(row, ones, n, "by bytes");
    for (size_t i = 1; i < n; i++) {
        char how[32];
        snprintf(how, sizeof(how), "cut at %zu", i);
        check_batch(row, &i, 1, how);
    }
}
END_TEST

/* Of a message that the caller finds wrong: the line where it ends. */
START_TEST(where_a_message_is)
{
    struct batch_message m;
    const char *why = NULL;
    char bytes[128];
    static const struct {
        unsigned kind;
        const char *body, *where[3];
    } rows[] = {
        {NDJSON,
         "1\n\n2\n3",
         {"line 1 (0 messages before it are published): ",
          "line 3 (1 message before it is published): ",
          "line 4 (2 messages before it are published): "}},
        {STREAM,
         ":\n\ndata: a\n\nevent: e\ndata: b\n\ndata: c",
         {"line 4 (0 messages before it are published): ",
          "line 7 (1 message before it is published): ",
          "line 8 (2 messages before it are published): "}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct intake *in =
            add(begin(SPAN("t"), SPAN(""), rows[i].kind, false), span_of(rows[i].body));
        for (int k = 0; k < 3; k++, in->count++) {
            struct text t = text_in(bytes, sizeof(bytes));
            ck_assert_int_eq(intake_next(in, true, &m, &why), BATCH_MESSAGE);
            intake_where(in, &t);
            ck_assert_msg(span_eq(text_span(&t), span_of(rows[i].where[k])), "row %zu: %.*s", i,
                          (int)t.n, t.p);
        }
        ck_assert_int_eq(intake_next(in, true, &m, &why), BATCH_MORE);
        free(in);
    }
}
END_TEST

START_TEST(idle_between_messages)
{
    static const struct {
        int line;
        unsigned kind;
        const char *body;
        bool idle;
    } rows[] = {
        {__LINE__, STREAM, "", true},
        {__LINE__, STREAM, "data: a\n\n", true},
        {__LINE__, STREAM, "data: a\r\n\r\n", true},
        {__LINE__, STREAM, "data: a\r\r", true},
        {__LINE__, STREAM, ": comment\n", true},
        {__LINE__, STREAM, "data: a\n\nd", false},
        {__LINE__, STREAM, "data: a\n", false},
        {__LINE__, STREAM, ":", false},
        {__LINE__, NDJSON, "", true},
        {__LINE__, NDJSON, "1\n", true},
        {__LINE__, NDJSON, "1\r\n\r\n", true},
        {__LINE__, NDJSON, "1\n2", false},
        {__LINE__, 0, "", false},
        {__LINE__, 0, "a", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char bytes[64];
        struct text log = text_in(bytes, sizeof(bytes));
        const char *why = NULL;
        struct intake *in =
            add(begin(SPAN("t"), SPAN(""), rows[i].kind, false), span_of(rows[i].body));
        take(in, false, &log, &why);
        ck_assert_msg(intake_idle(in) == rows[i].idle, "line %d", rows[i].line);
        free(in);
    }
}
END_TEST

/* ---- what fits ---- */

START_TEST(one_message_fits_exactly)
{
    struct intake *in = begin(SPAN("t"), SPAN("e"), 0, false);
    ck_assert(intake_fits(in, 10, 10) && intake_fits(in, 0, 0));
    ck_assert(!intake_fits(in, 11, 10));
    in = add(in, SPAN("abcdef"));
    ck_assert(intake_fits(in, 4, 10) && intake_fits(in, 0, 10));
    ck_assert(!intake_fits(in, 5, 10));
    free(in);
}
END_TEST

/* The widest texts that a message of `most` bytes can have, `which` of them. */
static void widest(struct text *t, int which, size_t most)
{
    char *data = malloc(most), name[255];
    ck_assert_ptr_nonnull(data);
    memset(data, which == 0 ? '\n' : '\1', most);
    memset(name, 'n', sizeof(name));
    struct event e = {.name = {name, sizeof(name)},
                      .data = {data, most},
                      .id = SPAN("18446744073709551615-18446744073709551615")};
    if (which == 0) { /* as this server writes it */
        struct event_layout layout = event_measure(&e);
        ck_assert_uint_le(layout.size, t->cap);
        event_write(t->p, &e, layout);
        t->n = layout.size;
    } else if (which == 1) { /* the same with CRLF */
        for (size_t i = 0; i <= most; i++)
            text_str(t, "data: \r\n");
        text_str(t, "event: n\r\n\r\n");
    } else { /* JSON with all of it escaped */
        text_str(t, "{\"id\":\"18446744073709551615-18446744073709551615\",\"time\":"
                    "\"9999-12-31T23:59:59.999Z\",\"topic\":\"");
        for (int i = 0; i < 255; i++)
            text_str(t, "\\u006e");
        text_str(t, "\",\"event\":\"");
        for (int i = 0; i < 255; i++)
            text_str(t, "\\u006e");
        text_str(t, "\",\"data\":\"");
        for (size_t i = 0; i < most; i++)
            text_str(t, "\\u0001");
        text_str(t, "\"}\n");
    }
    ck_assert(!t->full);
    free(data);
}

/* They fit, be it that they come byte by byte. */
static void check_widest(int which, size_t most, size_t step)
{
    static const unsigned kinds[] = {STREAM, STREAM, NDJSON};
    struct text t = text_in(malloc(1 << 20), 1 << 20);
    struct intake *in =
        malloc(intake_size(SPAN("t"), &(struct batch_message){.end = false}, 1 << 20));
    struct batch_message m;
    const char *why = NULL;
    enum batch_result result = BATCH_MORE;
    ck_assert(t.p != NULL && in != NULL);
    widest(&t, which, most);
    intake_init(in, SPAN("t"), &(struct batch_message){.end = false}, (uint8_t)kinds[which]);
    for (size_t at = 0; at < t.n && result == BATCH_MORE;) {
        size_t n = t.n - at < step ? t.n - at : step;
        if (!intake_fits(in, n, most))
            ck_abort_msg("%zu bytes in steps of %zu, at %zu", most, step, at);
        intake_add(in, (struct span){t.p + at, n});
        at += n;
        result = intake_next(in, false, &m, &why);
    }
    ck_assert_int_eq(result, BATCH_MESSAGE);
    ck_assert_uint_eq(m.data.n, most);
    free(in);
    free(t.p);
}

START_TEST(widest_texts_fit)
{
    static const size_t mosts[] = {1, 100, 5000}, steps[] = {1, 1000, 1 << 20};
    for (size_t i = 0; i < COUNT(mosts) * COUNT(steps); i++)
        check_widest(_i, mosts[i / COUNT(steps)], steps[i % COUNT(steps)]);
}
END_TEST

/* What never becomes a message is refused before it takes much more than that. */
START_TEST(endless_text_does_not_fit)
{
    static const struct {
        unsigned kind;
        const char *piece;
    } rows[] = {{STREAM, "data: xxxxxxxx"}, {STREAM, "data\n"}, {STREAM, "event: e\nid: 1\n"},
                {STREAM, ":comment "},      {NDJSON, "   "},    {NDJSON, "[[["}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct intake *in =
            malloc(intake_size(SPAN("t"), &(struct batch_message){.end = false}, 1 << 20));
        struct batch_message m;
        const char *why = NULL;
        ck_assert_ptr_nonnull(in);
        intake_init(in, SPAN("t"), &(struct batch_message){.end = false}, (uint8_t)rows[i].kind);
        struct span piece = span_of(rows[i].piece);
        while (intake_fits(in, piece.n, 1000)) {
            ck_assert_uint_lt(in->have, 16 << 10);
            intake_add(in, piece);
            ck_assert_int_eq(intake_next(in, false, &m, &why), BATCH_MORE);
        }
        ck_assert(intake_fits(in, 0, 1000)); /* its end may come */
        free(in);
    }
}
END_TEST

/* Comments and lines that are no messages are dropped as they come, many messages at once fit. */
START_TEST(what_is_dropped_takes_no_room)
{
    static const struct {
        unsigned kind;
        const char *piece;
    } rows[] = {{STREAM, ": comment\n"},
                {STREAM, "\r\n"},
                {STREAM, "data: x\n\n"},
                {NDJSON, "\n"},
                {NDJSON, "12\n"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct intake *in =
            malloc(intake_size(SPAN("t"), &(struct batch_message){.end = false}, 64 << 10));
        struct batch_message m;
        const char *why = NULL;
        ck_assert_ptr_nonnull(in);
        intake_init(in, SPAN("t"), &(struct batch_message){.end = false}, (uint8_t)rows[i].kind);
        for (int turn = 0; turn < 3; turn++) {
            ck_assert(intake_fits(in, 60 << 10, 10));
            while (in->have < 60 << 10)
                intake_add(in, span_of(rows[i].piece));
            while (intake_next(in, false, &m, &why) == BATCH_MESSAGE)
                continue;
            ck_assert_uint_eq(in->have, 0);
        }
        free(in);
    }
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *s = suite_create("intake");
    TCase *t = tcase_create("intake");
    tcase_add_test(t, one_message);
    tcase_add_test(t, one_empty_message);
    tcase_add_loop_test(t, batches_however_they_come, 0, COUNT(batches));
    tcase_add_test(t, where_a_message_is);
    tcase_add_test(t, idle_between_messages);
    tcase_add_test(t, one_message_fits_exactly);
    tcase_add_loop_test(t, widest_texts_fit, 0, 3);
    tcase_add_test(t, endless_text_does_not_fit);
    tcase_add_test(t, what_is_dropped_takes_no_room);
    suite_add_tcase(s, t);
    return run(s);
}
