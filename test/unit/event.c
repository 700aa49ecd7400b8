/*
 * event.c - the rendering for Server-Sent Events: exact bytes, every place a line end may be
 * at, and random data read back as a client reads it.
 */
#include "lib/event.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/kit/kit.h"

/* Renders; the buffer has just the size that was measured. */
static struct span render(const struct event *e, bool *whole)
{
    struct event_layout layout = event_measure(e);
    char *out = malloc(layout.size);
    ck_assert_ptr_nonnull(out);
    event_write(out, e, layout);
    *whole = layout.whole;
    if (layout.whole)
        ck_assert(span_eq((struct span){out + event_data_at(event_line_size(e->name)), e->data.n},
                          e->data));
    return (struct span){out, layout.size};
}

/* ---- exact bytes ---- */

static const struct {
    int line;
    bool whole;
    struct event e;
    struct span want;
} rows[] = {
/* clang-format off */
#define ROW(named, bytes, coded, whole, want)                                                      \
    {__LINE__, whole, {.name = {"" named, sizeof(named) - 1}, .id = {"7-1", 3}, .binary = (coded), \
     .data = {"" bytes, sizeof(bytes) - 1}}, {"" want, sizeof(want) - 1}}
    /* clang-format on */
    ROW("", "hello", false, true, "data: hello\nid: 7-1\n\n"),
    ROW("update", "hello", false, true, "event: update\ndata: hello\nid: 7-1\n\n"),
    ROW("", "", false, true, "data: \nid: 7-1\n\n"),
    ROW("n", "", false, true, "event: n\ndata: \nid: 7-1\n\n"),
    ROW("", " two  spaces", false, true, "data:  two  spaces\nid: 7-1\n\n"),
    ROW("", "a\0b", false, true, "data: a\0b\nid: 7-1\n\n"),
    ROW("", "tab\tand\vmore\f", false, true, "data: tab\tand\vmore\f\nid: 7-1\n\n"),
    ROW("", "\n", false, false, "data: \ndata: \nid: 7-1\n\n"),
    ROW("", "\r", false, false, "data: \ndata: \nid: 7-1\n\n"),
    ROW("", "\r\n", false, false, "data: \ndata: \nid: 7-1\n\n"),
    ROW("", "\n\r", false, false, "data: \ndata: \ndata: \nid: 7-1\n\n"),
    ROW("", "\r\r\n\n", false, false, "data: \ndata: \ndata: \ndata: \nid: 7-1\n\n"),
    ROW("", "abc\n", false, false, "data: abc\ndata: \nid: 7-1\n\n"),
    ROW("", "\nabc", false, false, "data: \ndata: abc\nid: 7-1\n\n"),
    ROW("x", "a\nb\r\nc\rd", false, false,
        "event: x\ndata: a\ndata: b\ndata: c\ndata: d\nid: 7-1\n\n"),
    ROW("", "id: 9-9\n\nevent: gap", false, false,
        "data: id: 9-9\ndata: \ndata: event: gap\nid: 7-1\n\n"),
    ROW("", "gr\xc3\xbc\xc3\x9f dich", false, true, "data: gr\xc3\xbc\xc3\x9f dich\nid: 7-1\n\n"),
    ROW("", "", true, false, "data: data:;base64,\nid: 7-1\n\n"),
    ROW("", "\0\n\xff", true, false, "data: data:;base64,AAr/\nid: 7-1\n\n"),
    ROW("png", "a", true, false, "event: png\ndata: data:;base64,YQ==\nid: 7-1\n\n"),
#undef ROW
    {__LINE__,
     true,
     {.name = SPAN_INIT("n"),
      .id = SPAN_INIT("7-1"),
      .data = SPAN_INIT("x"),
      .ends = SPAN_INIT("a\"\n\xc3\xbc")},
     SPAN_INIT("event: n\ndata: x\nid: 7-1\n\n"
               "event: ended\ndata: {\"topic\":\"a\\\"\\n\xc3\xbc\"}\nid: 7-1\n\n")},
    {__LINE__,
     true,
     {.id = SPAN_INIT("7-1"), .bare = true, .ends = SPAN_INIT("t")},
     SPAN_INIT("event: ended\ndata: {\"topic\":\"t\"}\nid: 7-1\n\n")},
};

START_TEST(exact)
{
    bool whole;
    struct span got = render(&rows[_i].e, &whole);
    ck_assert_msg(span_eq(got, rows[_i].want), "line %d: %.*s", rows[_i].line, (int)got.n, got.p);
    ck_assert_msg(whole == rows[_i].whole, "line %d: whole", rows[_i].line);
    free((void *)(uintptr_t)got.p);
}
END_TEST

START_TEST(null_data)
{
    struct event e = {.id = SPAN("1-1")};
    bool whole;
    struct span got = render(&e, &whole);
    ck_assert(span_eq(got, SPAN("data: \nid: 1-1\n\n")));
    free((void *)(uintptr_t)got.p);
}
END_TEST

/* ---- a plain writer and a plain reader ---- */

static size_t plain_lines(char *out, struct span data)
{
    size_t n = (size_t)sprintf(out, "data: ");
    for (size_t i = 0; i < data.n; i++) {
        char c = data.p[i];
        if (c == '\r' && i + 1 < data.n && data.p[i + 1] == '\n')
            continue;
        if (c == '\r' || c == '\n')
            n += (size_t)sprintf(out + n, "\ndata: ");
        else
            out[n++] = c;
    }
    out[n++] = '\n';
    return n;
}

/* Two line ends (or one) at every two places of data of every length, with the data's end, and its
 * start, at the edge of a page behind which there is none. */
START_TEST(every_place)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(map, MAP_FAILED);
    ck_assert_int_eq(mprotect(map + page, page, PROT_READ | PROT_WRITE), 0);
    for (size_t n = 1; n <= 34; n++) {
        for (size_t k = 0; k < n * n * 8; k++) {
            struct span data = {(k & 4) != 0 ? map + page : map + 2 * page - n, n};
            char *p = map + (data.p - map), want[1024], got[1024];
            memset(p, 'x', n);
            p[k / 8 % n] = (k & 1) != 0 ? '\r' : '\n';
            p[k / 8 / n] = (k & 2) != 0 ? '\r' : '\n';
            struct event e = {.data = data, .id = SPAN("1-1")};
            struct event_layout layout = event_measure(&e);
            size_t lines = plain_lines(want, data);
            if (layout.size != lines + strlen("id: 1-1\n\n") || layout.whole)
                ck_abort_msg("n %zu, k %zu: %zu bytes", n, k, layout.size);
            event_write(got, &e, layout);
            if (memcmp(got, want, lines) != 0)
                ck_abort_msg("n %zu, k %zu", n, k);
        }
    }
    munmap(map, 3 * page);
}
END_TEST

/* What EventSource makes of a rendering (HTML standard, section 9.2.6). */
struct heard {
    char data[1 << 16], event[512], id[64];
    size_t data_n;
    unsigned events;
};

static void hear_line(struct heard *h, struct span line)
{
    if (line.n == 0) {
        h->events++;
        return;
    }
    struct span field = span_cut(&line, ':');
    if (span_begins(line, SPAN(" ")))
        line = span_from(line, 1);
    if (span_eq(field, SPAN("data"))) {
        if (line.n > 0)
            memcpy(h->data + h->data_n, line.p, line.n);
        h->data_n += line.n;
        h->data[h->data_n++] = '\n';
    } else if (span_eq(field, SPAN("event"))) {
        snprintf(h->event, sizeof(h->event), "%.*s", (int)line.n, line.p);
    } else if (span_eq(field, SPAN("id"))) {
        snprintf(h->id, sizeof(h->id), "%.*s", (int)line.n, line.p);
    } else {
        ck_abort_msg("field %.*s", (int)field.n, field.p);
    }
}

static void hear(struct heard *h, struct span s)
{
    h->data_n = h->events = 0;
    h->event[0] = h->id[0] = '\0';
    while (s.n > 0) {
        size_t n = 0;
        while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r')
            n++;
        ck_assert_uint_lt(n, s.n);
        hear_line(h, (struct span){s.p, n});
        s = span_from(s, n + (s.p[n] == '\r' && n + 1 < s.n && s.p[n + 1] == '\n' ? 2 : 1));
    }
    h->data_n -= h->data_n > 0 ? 1 : 0;
}

/* The data with each line end as LF. */
static size_t line_feeds(char *out, struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
            continue;
        out[n++] = (char)(s.p[i] == '\r' ? '\n' : s.p[i]);
    }
    return n;
}

START_TEST(random_data)
{
    static struct heard heard;
    static char data[8192], want[8192];
    uint64_t first = seed(), state = first;
    for (int round = 0; round < 6000; round++) {
        size_t n = random_next(&state) % (round % 16 == 0 ? sizeof(data) : 100);
        unsigned ends = (unsigned)(random_next(&state) % 5);
        for (size_t i = 0; i < n; i++) {
            uint64_t x = random_next(&state);
            /* From none to all, any byte else. */
            bool end = ends != 0 && x % (1u << (ends * 2)) <= (ends == 4 ? 0 : ends);
            data[i] = (char)(end ? "\r\n"[x >> 32 & 1] : (char)(x >> 40));
            if (ends == 0 && (data[i] == '\n' || data[i] == '\r'))
                data[i] = '\t';
        }
        struct span s = {on_heap((struct span){data, n}), n};
        struct event e = {.name = span_of(round % 3 == 0 ? "some-event" : NULL),
                          .data = s,
                          .id = SPAN("1790000000000-12345")};
        bool whole;
        struct span got = render(&e, &whole);
        hear(&heard, got);
        size_t want_n = line_feeds(want, s);
        ck_assert_msg(span_eq((struct span){heard.data, heard.data_n}, (struct span){want, want_n}),
                      SEED_FMT " round %d", first, round);
        ck_assert_msg(heard.events == 1 && strcmp(heard.id, "1790000000000-12345") == 0 &&
                          strcmp(heard.event, round % 3 == 0 ? "some-event" : "") == 0,
                      SEED_FMT " round %d", first, round);
        bool ended = memchr(want, '\n', want_n) != NULL;
        ck_assert_msg(whole == !ended, SEED_FMT " round %d: whole", first, round);
        free((void *)(uintptr_t)s.p);
        free((void *)(uintptr_t)got.p);
    }
}
END_TEST

/* ---- names ---- */

static const struct {
    int line;
    bool fits, reserved;
    struct span name;
} names[] = {
    {__LINE__, true, false, {NULL, 0}},
    {__LINE__, true, false, {"a", 1}},
    {__LINE__, true, false, {"update", 6}},
    {__LINE__, true, false, {"an event: with more", 19}},
    {__LINE__, true, true, {"gap", 3}},
    {__LINE__, true, true, {"expired", 7}},
    {__LINE__, true, true, {"ended", 5}},
    {__LINE__, true, false, {"gaps", 4}},
    {__LINE__, true, false, {"Gap", 3}},
    {__LINE__, true, false, {"ga", 2}},
    {__LINE__, false, false, {"\n", 1}},
    {__LINE__, false, false, {"\r", 1}},
    {__LINE__, false, false, {"\0", 1}},
    {__LINE__, false, false, {"0123456789abcdef\n", 17}},
    {__LINE__, false, false, {"0123\r56789abcdef", 16}},
    {__LINE__, false, false, {"0123456789\0bcdef", 16}},
};

START_TEST(event_names)
{
    ck_assert_msg(event_name_fits(names[_i].name) == names[_i].fits, "line %d", names[_i].line);
    ck_assert_msg(event_name_reserved(names[_i].name) == names[_i].reserved, "line %d",
                  names[_i].line);
}
END_TEST

/* The asserts' words are not the test's. */
static void quiet(void)
{
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
}

START_TEST(name_with_line_end)
{
    char out[64];
    struct event e = {.name = SPAN("a\nb"), .id = SPAN("1-1")};
    event_write(out, &e, event_measure(&e));
}
END_TEST

START_TEST(wrong_layout)
{
    char out[64];
    struct event e = {.data = SPAN("a"), .id = SPAN("1-1")};
    struct event_layout layout = event_measure(&e);
    layout.size++;
    event_write(out, &e, layout);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("event");
    TCase *c = tcase_create("event");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, exact, 0, COUNT(rows));
    tcase_add_test(c, null_data);
    tcase_add_test(c, every_place);
    tcase_add_test(c, random_data);
    tcase_add_loop_test(c, event_names, 0, COUNT(names));
    suite_add_tcase(s, c);
    TCase *a = tcase_create("asserts");
    tcase_add_checked_fixture(a, quiet, NULL);
    tcase_add_test_raise_signal(a, name_with_line_end, SIGABRT);
    tcase_add_test_raise_signal(a, wrong_layout, SIGABRT);
    suite_add_tcase(s, a);
    return run(s);
}
