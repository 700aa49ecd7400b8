/*
 * query.c - the parameters of a query: against a plain reading of each alone, and what is told of
 * those that mean nothing.
 */
#include "lib/serve/query.h"
#include "test/kit/kit.h"

static const struct span names[QUERY_IDS] = {
#define X(id, name, kinds) [QUERY_##id] = BYTES(name),
    QUERY_PARAMETERS(X)
#undef X
};

/* ---- the model ------------------------------------------------------------------------------- */

/* Returns true if a decoded name is one of the cursor's: without "-" and "_", in lower case. */
static bool is_cursor(const char *name, size_t n)
{
    char bare[64];
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (name[i] != '-' && name[i] != '_')
            bare[m++] = span_lower(name[i]);
    return m == 11 && memcmp(bare, "lasteventid", 11) == 0;
}

/* The parameter that a name, as sent, is of; QUERY_IDS: none. */
static unsigned id_of(struct span sent)
{
    char name[64];
    ptrdiff_t n = http_decode(sent, true, name, sizeof(name));
    for (unsigned id = 0; n >= 0 && id < QUERY_IDS; id++)
        if (span_eq(names[id], (struct span){name, (size_t)n}) ||
            (id == QUERY_LAST_EVENT_ID && is_cursor(name, (size_t)n)))
            return id;
    return QUERY_IDS;
}

/* Looks through the query for one parameter, as if there were no other. */
static void expect_like_alone(const struct query *q, struct span all, unsigned id, uint64_t seed)
{
    char got[64], want[64];
    unsigned count = 0;
    bool found = false;
    struct span value = {NULL, 0}, rest = all;
    while (rest.n > 0) {
        struct span v = span_cut(&rest, '&'), name = span_cut(&v, '=');
        if (id_of(name) != id)
            continue;
        if (!found || (id == QUERY_LAST_EVENT_ID && value.n == 0))
            value = v;
        found = true;
        count++;
    }
    ptrdiff_t n = found ? http_decode(value, true, want, sizeof(want)) : -3;
    ck_assert_msg(query_decode(q, id, got, sizeof(got)) == n &&
                      (n <= 0 || memcmp(got, want, (size_t)n) == 0),
                  "%s in %.*s, " SEED_FMT, names[id].p, (int)all.n, all.p, seed);
    ck_assert(query_has(q, id) == found && query_has_two(q, id) == (count > 1));
}

/* Names that are right, nearly right, and others; values likewise. */
static size_t write_query(char *out, size_t cap, uint64_t *r)
{
    static const char *const others[] = {
        "",
        "_",
        "Last_Event_ID",
        "lastEventId",
        "LASTEVENTID",
        "sinc",
        "%77ait",
        "w%61it",
        "%zz",
        "hello+",
        "wait ",
        "Since",
        "last-event-idd",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    static const char *const values[] = {
        "", "=", "=1", "=a%20b", "=%", "=a+b=c", "=1790000000000-5"};
    struct text t = text_in(out, cap);
    for (uint64_t n = random_next(r) % 6; n > 0; n--) {
        uint64_t k = random_next(r) % (2 * QUERY_IDS);
        if (k < QUERY_IDS)
            text_add(&t, names[k]);
        else
            text_str(&t, others[random_next(r) % COUNT(others)]);
        text_str(&t, values[random_next(r) % COUNT(values)]);
        text_str(&t, n > 1 || random_next(r) % 4 == 0 ? "&" : "");
    }
    ck_assert(!t.full);
    return t.n;
}

START_TEST(is_as_each_alone)
{
    uint64_t from = seed(), r = from;
    for (int i = 0; i < 20000; i++) {
        char bytes[1024];
        struct span all = {bytes, write_query(bytes, sizeof(bytes), &r)}, rest = all;
        char *exact = on_heap(all);
        struct query q;
        query_read(&q, (struct span){exact, all.n}, QUERY_READ);
        for (unsigned id = 0; id < QUERY_IDS; id++)
            expect_like_alone(&q, all, id, from);
        struct span unknown = {NULL, 0};
        while (rest.n > 0 && unknown.n == 0) {
            struct span v = span_cut(&rest, '&'), name = span_cut(&v, '=');
            if (id_of(name) == QUERY_IDS)
                unknown = name;
        }
        ck_assert_msg(span_eq(q.unknown, unknown), "%.*s, " SEED_FMT, (int)all.n, bytes, from);
        free(exact);
    }
}
END_TEST

/* ---- what is told ---------------------------------------------------------------------------- */

static const struct {
    int line;
    const char *query;
    enum query_kind kind;
    const char *told;
} tells[] = {
    {__LINE__, "", QUERY_READ, NULL},
    {__LINE__, "&&=&=x", QUERY_READ, NULL},
    {__LINE__, "since=-5&wait=3&hello&heartbeat=event&conflate&last-event-id=1-1", QUERY_READ,
     NULL},
    {__LINE__, "access_token=x&expires=1&signature=y", QUERY_READ, NULL},
    {__LINE__, "event=a&access_token=x", QUERY_PUBLISH, NULL},
    {__LINE__, "match=a&after=b&limit=1", QUERY_OWN, NULL},
    {__LINE__, "%73ince=-5", QUERY_READ, NULL},
    {__LINE__, "sinse=-5", QUERY_READ, "\"sinse\";like=\"since\""},
    {__LINE__, "wait=1&wiat=2&sinse=1", QUERY_READ, "\"wiat\";like=\"wait\""},
    {__LINE__, "last_event_i=1-1", QUERY_READ, "\"last_event_i\""},
    {__LINE__, "last-event-i=1-1", QUERY_READ, "\"last-event-i\";like=\"last-event-id\""},
    {__LINE__, "Since=1", QUERY_READ, "\"Since\";like=\"since\""},
    {__LINE__, "_=17", QUERY_READ, "\"_\""},
    {__LINE__, "utm_source=x", QUERY_READ, "\"utm_source\""},
    {__LINE__, "limit=5", QUERY_READ, "\"limit\""},
    {__LINE__, "since=5", QUERY_PUBLISH, "\"since\""},
    {__LINE__, "evnt=5", QUERY_PUBLISH, "\"evnt\";like=\"event\""},
    {__LINE__, "evnt=5", QUERY_READ, "\"evnt\""},
    {__LINE__, "a\"b\\=5", QUERY_READ, "\"a\\\"b\\\\\""},
    {__LINE__, "%0d%0aSet-Cookie:x", QUERY_READ, "\"%0d%0aSet-Cookie:x\""},
    {__LINE__, "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg", QUERY_READ,
     "\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg\""},
};

START_TEST(tells_what_means_nothing)
{
    char bytes[256];
    struct text t = text_in(bytes, sizeof(bytes));
    struct query q;
    query_read(&q, span_of(tells[_i].query), tells[_i].kind);
    struct span unknown = query_unknown(&q);
    ck_assert_msg((unknown.n > 0) == (tells[_i].told != NULL), "line %d", tells[_i].line);
    if (unknown.n == 0)
        return;
    char want[256];
    int n = snprintf(want, sizeof(want), "Unknown-Parameter: %s\r\n", tells[_i].told);
    query_tell(&t, &q);
    ck_assert_msg(span_eq(text_span(&t), (struct span){want, (size_t)n}), "line %d: %.*s",
                  tells[_i].line, (int)t.n, t.p);
}
END_TEST

START_TEST(hello_has_four_answers)
{
    static const struct {
        const char *query;
        enum hello hello;
    } all[] = {{"", HELLO_NONE},           {"hello", HELLO_TOO},
               {"hello=", HELLO_TOO},      {"hello=1", HELLO_TOO},
               {"hello=True", HELLO_TOO},  {"hello=0", HELLO_NONE},
               {"hello=only", HELLO_ONLY}, {"hello=onyl", HELLO_WRONG},
               {"hello=%", HELLO_WRONG},   {"hello=only-more", HELLO_WRONG}};
    for (size_t i = 0; i < COUNT(all); i++) {
        struct query q;
        query_read(&q, span_of(all[i].query), QUERY_READ);
        ck_assert_msg(query_hello(&q) == all[i].hello, "%s", all[i].query);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("query");
    TCase *tc = tcase_create("query");
    tcase_add_test(tc, is_as_each_alone);
    tcase_add_loop_test(tc, tells_what_means_nothing, 0, COUNT(tells));
    tcase_add_test(tc, hello_has_four_answers);
    suite_add_tcase(suite, tc);
    return run(suite);
}
