/*
 * forward.c - forward.h: who the client is, by tables; and that nobody can write in front of
 * the trusted proxy's word what changes it.
 */
#include "lib/forward.h"

#include "lib/addr.h"
#include "test/kit/kit.h"

/* ---- walking --------------------------------------------------------------------------------- */

static struct nets proxies;

static void set_up(void)
{
    static const char *const trusted[] = {"127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"};
    for (proxies.n = 0; proxies.n < COUNT(trusted); proxies.n++)
        ck_assert_ptr_null(net_read(span_of(trusted[proxies.n]), &proxies.net[proxies.n]));
}

/* Walks through lines, from the proxy 127.0.0.1, each on the heap in its exact size. Returns what
 * came of it as text: "nothing", "unknown", the client, with "local" behind it. */
static const char *walk(const char *const lines[], size_t n, bool forwarded)
{
    static char out[80];
    struct text t = text_in(out, sizeof(out) - 1);
    struct forward f;
    forward_begin(&f, true);
    while (n-- > 0 && !f.done) {
        struct span line = span_of(lines[n]);
        char *heap = on_heap(line);
        forward_walk(&f, (struct span){heap, line.n}, forwarded, &proxies);
        free(heap);
    }
    if (f.says == FORWARD_CLIENT)
        addr_key_write(&t, f.from);
    else
        text_str(&t, f.says == FORWARD_UNKNOWN ? "unknown" : "nothing");
    ck_assert(f.says == FORWARD_CLIENT || f.from == 0);
    ck_assert(f.says != FORWARD_UNKNOWN || (f.done && !f.local));
    text_str(&t, f.local && f.says != FORWARD_NOTHING ? " local" : "");
    out[t.n] = '\0';
    return out;
}

/* ---- tables ---------------------------------------------------------------------------------- */

#define LONG "1234567890123456789012345678901234567890123456789012345678901234567890"

struct row {
    int line;
    const char *value, *client;
};

/* X-Forwarded-For; a | stands between lines. */
static const struct row addresses[] = {
    {__LINE__, "", "nothing"},
    {__LINE__, " , ,, ", "nothing"},
    {__LINE__, "203.0.113.7", "203.0.113.7"},
    {__LINE__, " 203.0.113.7\t", "203.0.113.7"},
    {__LINE__, "203.0.113.7, , ", "203.0.113.7"},
    {__LINE__, "203.0.113.7:4711", "203.0.113.7"},
    {__LINE__, "2001:db8::1", "2001:db8::/64"},
    {__LINE__, "[2001:db8::1]", "2001:db8::/64"},
    {__LINE__, "[2001:db8::1]:4711", "2001:db8::/64"},
    {__LINE__, "127.0.0.1", "127.0.0.1 local"},
    {__LINE__, "127.0.0.2", "127.0.0.2 local"},
    {__LINE__, "::1", "::/64 local"},
    {__LINE__, "::ffff:127.0.0.1", "127.0.0.1 local"},
    {__LINE__, "::ffff:203.0.113.7", "203.0.113.7"},
    /* who made up the front of it */
    {__LINE__, "127.0.0.1, 203.0.113.7", "203.0.113.7"},
    {__LINE__, "127.0.0.1|203.0.113.7", "203.0.113.7"},
    {__LINE__, "127.0.0.1,203.0.113.7", "203.0.113.7"},
    {__LINE__, "\"127.0.0.1, 203.0.113.7", "203.0.113.7"},
    {__LINE__, "\"127.0.0.1\\, 203.0.113.7", "203.0.113.7"},
    {__LINE__, "(, 203.0.113.7", "203.0.113.7"},
    /* trusted proxies are passed over */
    {__LINE__, "203.0.113.7, 10.1.2.3", "203.0.113.7"},
    {__LINE__, "203.0.113.7|10.1.2.3", "203.0.113.7"},
    {__LINE__, "127.0.0.1, 203.0.113.7, 10.1.2.3, 127.0.0.1", "203.0.113.7"},
    {__LINE__, "203.0.113.7, 2001:db8:1:5::1", "203.0.113.7"},
    {__LINE__, "203.0.113.7, 2001:db8:2::1", "2001:db8:2::/64"},
    {__LINE__, "203.0.113.7,,10.1.2.3,,", "203.0.113.7"},
    {__LINE__, "8.8.8.8, 203.0.113.7, 127.0.0.1", "203.0.113.7"},
    /* only such: the first of them */
    {__LINE__, "127.0.0.1, 127.0.0.1", "127.0.0.1 local"},
    {__LINE__, "127.0.0.2, 127.0.0.1", "127.0.0.2 local"},
    {__LINE__, "10.0.0.9", "10.0.0.9"},
    {__LINE__, "10.0.0.9, 127.0.0.1", "10.0.0.9"},
    {__LINE__, "10.0.0.9|127.0.0.1", "10.0.0.9"},
    /* loopback, but of another host */
    {__LINE__, "127.0.0.1, 10.0.0.9", "127.0.0.1"},
    {__LINE__, "127.0.0.2, 10.0.0.9", "127.0.0.2"},
    {__LINE__, "::1, 10.0.0.9", "::/64"},
    {__LINE__, "127.0.0.1|10.0.0.9|127.0.0.1", "127.0.0.1"},
    /* no address */
    {__LINE__, "unknown", "unknown"},
    {__LINE__, "203.0.113.7, unknown", "unknown"},
    {__LINE__, "127.0.0.1, _hidden", "unknown"},
    {__LINE__, "127.0.0.1, _hidden, 10.0.0.9", "unknown"},
    {__LINE__, "localhost", "unknown"},
    {__LINE__, "unix:", "unknown"},
    {__LINE__, "unix:/run/x.sock", "unknown"},
    {__LINE__, "unix:::1", "unknown"},
    {__LINE__, "unix::/a", "unknown"},
    {__LINE__, "127.0.0.1:", "unknown"},
    {__LINE__, "127.0.0.1:80:80", "unknown"},
    {__LINE__, "127.0.0.1:a b", "unknown"},
    {__LINE__, "127.0.0.1 127.0.0.1", "unknown"},
    {__LINE__, "127.1", "unknown"},
    {__LINE__, "127.0.0.01", "unknown"},
    {__LINE__, "0x7f000001", "unknown"},
    {__LINE__, "2130706433", "unknown"},
    {__LINE__, "[127.0.0.1]", "unknown"},
    {__LINE__, "[::1", "unknown"},
    {__LINE__, "[::1]x", "unknown"},
    {__LINE__, "[::1]:", "unknown"},
    {__LINE__, "[]", "unknown"},
    {__LINE__, "[", "unknown"},
    {__LINE__, ":", "unknown"},
    {__LINE__, "::1%lo", "unknown"},
    {__LINE__, "\"127.0.0.1\"", "unknown"},
    {__LINE__, "for=127.0.0.1", "unknown"},
    {__LINE__, LONG, "unknown"},
};

/* Forwarded. */
static const struct row elements[] = {
    {__LINE__, "", "nothing"},
    {__LINE__, ", ,", "nothing"},
    {__LINE__, "for=203.0.113.7", "203.0.113.7"},
    {__LINE__, "For=203.0.113.7", "203.0.113.7"},
    {__LINE__, "for=\"203.0.113.7\"", "203.0.113.7"},
    {__LINE__, "for=\"203.0.113.7:4711\"", "203.0.113.7"},
    {__LINE__, "for=203.0.113.7:4711", "203.0.113.7"}, /* not as it should be, but seen */
    {__LINE__, "for=\"203.0.113.7:_p\"", "203.0.113.7"},
    {__LINE__, "for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::/64"},
    {__LINE__, "for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::/64"},
    {__LINE__, "for=[2001:db8:cafe::17]", "2001:db8:cafe::/64"},
    {__LINE__, "for=\"2\\03.0.113.7\"", "203.0.113.7"},
    {__LINE__, "for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"},
    {__LINE__, "proto=http;by=203.0.113.43;for=192.0.2.60", "192.0.2.60"},
    {__LINE__, "proto=http ; for=192.0.2.60 ; host=\"a;b=\\\"c\"", "192.0.2.60"},
    {__LINE__, ";;for=192.0.2.60;;", "192.0.2.60"},
    {__LINE__, "for=192.0.2.60;host=\"a, for=127.0.0.1\"", "192.0.2.60"},
    {__LINE__, "for=192.0.2.60;ext=", "unknown"},
    {__LINE__, "for=127.0.0.1", "127.0.0.1 local"},
    {__LINE__, "for=\"[::1]:80\"", "::/64 local"},
    {__LINE__, "for=127.0.0.1, for=203.0.113.7", "203.0.113.7"},
    {__LINE__, "for=127.0.0.1|for=203.0.113.7", "203.0.113.7"},
    {__LINE__, "for=203.0.113.7, for=10.0.0.1;by=10.0.0.2", "203.0.113.7"},
    {__LINE__, "for=127.0.0.1, for=10.0.0.1", "127.0.0.1"},
    {__LINE__, "for=127.0.0.1, for=127.0.0.1", "127.0.0.1 local"},
    /* who left something open in front of it */
    {__LINE__, "for=127.0.0.1;x=\", for=203.0.113.7", "203.0.113.7"},
    {__LINE__, "for=127.0.0.1;x=\", for=203.0.113.7;host=\"a\"", "203.0.113.7"},
    {__LINE__, "for=127.0.0.1;x=\", for=\"[2001:db8::1]:4711\"", "2001:db8::/64"},
    {__LINE__, "for=127.0.0.1;x=\", for=203.0.113.7;host=\"\"", "203.0.113.7"},
    {__LINE__, "for=127.0.0.1;x=\\, for=\"203.0.113.7\"", "203.0.113.7"},
    {__LINE__, "for=127.0.0.1;x=\"\\, for=\"203.0.113.7\"", "203.0.113.7"},
    {__LINE__, "for=127.0.0.1;x=\"|for=\"203.0.113.7\"", "203.0.113.7"},
    {__LINE__, "\"|for=10.0.0.1", "unknown"},
    {__LINE__, "for=\"127.0.0.1, for=10.0.0.1", "unknown"},
    {__LINE__, "for=\"127.0.0.1|for=10.0.0.1", "unknown"},
    /* no address */
    {__LINE__, "for=unknown", "unknown"},
    {__LINE__, "for=_hidden", "unknown"},
    {__LINE__, "for=\"_SEVKISEK\"", "unknown"},
    {__LINE__, "for=127.0.0.1, for=_hidden", "unknown"},
    {__LINE__, "for=127.0.0.1, for=unknown, for=10.0.0.1", "unknown"},
    {__LINE__, "127.0.0.1", "unknown"},
    {__LINE__, "by=127.0.0.1", "unknown"},
    {__LINE__, "proto=https", "unknown"},
    {__LINE__, "for", "unknown"},
    {__LINE__, "for=", "unknown"},
    {__LINE__, "=127.0.0.1", "unknown"},
    {__LINE__, ";", "unknown"},
    {__LINE__, "for =127.0.0.1", "unknown"},
    {__LINE__, "for= 127.0.0.1", "unknown"},
    {__LINE__, "for=127.0.0.1 x", "unknown"},
    {__LINE__, "for=\"\"", "unknown"},
    {__LINE__, "for=\"127.0.0.1", "unknown"},
    {__LINE__, "for=127.0.0.1\"", "unknown"},
    {__LINE__, "for=\"127.0.0.1\"\"", "unknown"},
    {__LINE__, "for=\"127.0.0.1\"x", "unknown"},
    {__LINE__, "for=\"127.0.0.1\\\"", "unknown"},
    {__LINE__, "for=\"127.0.0.1\\", "unknown"},
    {__LINE__, "for=127.0.0.1;for=127.0.0.1", "unknown"},
    {__LINE__, "for=203.0.113.7;for=127.0.0.1", "unknown"},
    {__LINE__, "xfor=127.0.0.1", "unknown"},
    {__LINE__, "for=unix:", "unknown"},
    {__LINE__, "for=\"unix::1\"", "unknown"},
    {__LINE__, "for=" LONG, "unknown"},
    {__LINE__, "for=\"127.0.0.1:" LONG "\"", "unknown"},
};

/* Cuts at each |. */
static size_t lines_of(const char *value, char *copy, const char *lines[8])
{
    size_t n = 0;
    strcpy(copy, value);
    for (char *line = copy; line != NULL && n < 8;) {
        lines[n++] = line;
        line = strchr(line, '|');
        if (line != NULL)
            *line++ = '\0';
    }
    return n;
}

static void finds(const struct row *row, bool forwarded)
{
    char copy[512];
    const char *lines[8];
    size_t n = lines_of(row->value, copy, lines);
    const char *got = walk(lines, n, forwarded);
    ck_assert_msg(strcmp(got, row->client) == 0, "line %d: %s", row->line, got);
}

START_TEST(finds_addresses)
{
    finds(&addresses[_i], false);
}
END_TEST

START_TEST(finds_elements)
{
    finds(&elements[_i], true);
}
END_TEST

/* ---- what stands in front -------------------------------------------------------------------- */

/* Whatever a client sends, what the proxy adds behind it is what counts. */
START_TEST(the_front_does_not_matter)
{
    static const char alphabet[] = ",;=\"\\ for127.0.0.1[]:_|x";
    static const char *const ends[][2] = {
        {"for=203.0.113.7", "203.0.113.7"},
        {"for=\"[2001:db8::1]:4711\";by=_x;host=\"a\\\"b\\\\\"", "2001:db8::/64"},
        {"by=\"\";for=_hidden", "unknown"},
    };
    uint64_t from = seed(), state = from;
    for (unsigned round = 0; round < 20000; round++) {
        char value[256], copy[256];
        const char *lines[8];
        size_t n = random_next(&state) % 40, end = random_next(&state) % COUNT(ends);
        for (size_t i = 0; i < n; i++) {
            value[i] = alphabet[random_next(&state) % (sizeof(alphabet) - 1)];
            value[i] = value[i] == '|' ? '"' : value[i];
        }
        snprintf(value + n, sizeof(value) - n, ", %s", ends[end][0]);
        const char *got = walk(lines, lines_of(value, copy, lines), true);
        ck_assert_msg(strcmp(got, ends[end][1]) == 0, SEED_FMT " %s: %s", from, value, got);
        snprintf(value + n, sizeof(value) - n, ", 203.0.113.7");
        got = walk(lines, lines_of(value, copy, lines), false);
        ck_assert_msg(strcmp(got, "203.0.113.7") == 0, SEED_FMT " %s: %s", from, value, got);
    }
}
END_TEST

/* A proxy elsewhere speaks of its own loopback. */
START_TEST(the_proxy_is_elsewhere)
{
    struct forward f;
    forward_begin(&f, false);
    forward_walk(&f, SPAN("127.0.0.1"), false, &proxies);
    ck_assert(f.says == FORWARD_CLIENT && !f.local);
    forward_begin(&f, false);
    forward_walk(&f, SPAN("for=127.0.0.2"), true, &proxies);
    ck_assert(f.says == FORWARD_CLIENT && !f.local && f.done);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("forward_unit");
    TCase *t = tcase_create("forward_unit");
    tcase_add_checked_fixture(t, set_up, NULL);
    tcase_add_loop_test(t, finds_addresses, 0, COUNT(addresses));
    tcase_add_loop_test(t, finds_elements, 0, COUNT(elements));
    tcase_add_test(t, the_front_does_not_matter);
    tcase_add_test(t, the_proxy_is_elsewhere);
    suite_add_tcase(s, t);
    return run(s);
}
