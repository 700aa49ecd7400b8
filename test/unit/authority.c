/*
 * authority.c - the server that a request names, and which addresses that is bound to.
 */
#include "lib/authority.h"

#include "lib/addr.h"
#include "test/kit/kit.h"

/* The text where a byte too many is seen. */
static struct span exact(const char *text)
{
    return (struct span){on_heap(span_of(text)), strlen(text)};
}

static bool own(const char *authority, const struct nets *bound, const struct span *names,
                uint32_t n)
{
    struct span text = exact(authority);
    bool is = authority_own(text, bound, names, n);
    free((void *)(uintptr_t)text.p);
    return is;
}

static const struct {
    const char *authority, *host;
} hosts[] = {
    {"a", "a"},
    {"a:80", "a"},
    {"a.example.:80", "a.example"},
    {"a.", "a"},
    {".", "."},
    {"", ""},
    {":80", ""},
    {"[::1]", "::1"},
    {"[::1]:80", "::1"},
    {"192.0.2.1:", "192.0.2.1"},
};

START_TEST(finds_the_host)
{
    for (size_t i = 0; i < COUNT(hosts); i++) {
        struct span text = exact(hosts[i].authority), host = authority_host(text);
        ck_assert_msg(span_eq(host, span_of(hosts[i].host)), "%s: %.*s", hosts[i].authority,
                      (int)host.n, host.p);
        free((void *)(uintptr_t)text.p);
    }
}
END_TEST

START_TEST(names_by_flag)
{
    static const struct span names[] = {SPAN_INIT("a.example"), SPAN_INIT("192.0.2.7"),
                                        SPAN_INIT("[2001:db8::7]"), SPAN_INIT("b.example.")};
    struct nets none = {0};
    static const char *const good[] = {
        "a.example",          "A.EXAMPLE:1",       "a.example.",  "192.0.2.7:80",
        "[::ffff:192.0.2.7]", "[2001:db8:0:0::7]", "b.example",   "",
        "localhost",          "x.y.localhost.",    "127.255.0.1", "[::1]"};
    static const char *const bad[] = {"a.example.evil", "x.a.example", "a",
                                      "192.0.2.70",     "192.0.2.8",   "[2001:db8::70]",
                                      "2001",           ":80",         "localhost.x",
                                      "xlocalhost",     ".localhost",  "128.0.0.1",
                                      "[::2]",          "[::]",        "0.0.0.0"};
    for (size_t i = 0; i < COUNT(good); i++)
        ck_assert_msg(own(good[i], &none, names, COUNT(names)), "%s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(!own(bad[i], &none, names, COUNT(names)), "%s", bad[i]);
    ck_assert(!own("a.example", &none, NULL, 0));
    ck_assert(own("localhost", &none, NULL, 0));
}
END_TEST

static void bind_to(struct nets *bound, const char *address)
{
    struct sockaddr_storage a;
    socklen_t len;
    ck_assert(addr_read(span_of(address), 8080, &a, &len));
    ck_assert(nets_bound(bound, &a, len));
}

START_TEST(addresses_by_bind)
{
    struct nets bound = {0};
    bind_to(&bound, "unix:/run/s");
    ck_assert_uint_eq(bound.n, 0);
    for (int i = 0; i < 3; i++) /* once is enough */
        bind_to(&bound, "192.0.2.1");
    bind_to(&bound, "2001:db8::1");
    ck_assert_uint_eq(bound.n, 2);
    ck_assert(own("192.0.2.1", &bound, NULL, 0) && own("[2001:db8::1]:1", &bound, NULL, 0));
    ck_assert(!own("192.0.2.2", &bound, NULL, 0) && !own("[2001:db8::2]", &bound, NULL, 0));
    bind_to(&bound, "0.0.0.0");
    ck_assert(own("192.0.2.2", &bound, NULL, 0) && !own("[2001:db8::2]", &bound, NULL, 0));
    bound.n = 0;
    bind_to(&bound, "::"); /* which takes in those of IPv4, too */
    ck_assert(own("192.0.2.2", &bound, NULL, 0) && own("[2001:db8::2]", &bound, NULL, 0));
    ck_assert(!own("a.example", &bound, NULL, 0));
}
END_TEST

START_TEST(as_many_as_there_is_room_for)
{
    struct nets bound = {0};
    struct sockaddr_storage a;
    socklen_t len;
    char text[32];
    for (unsigned i = 0; i < NETS_MAX + 2; i++) {
        snprintf(text, sizeof text, "10.0.%u.%u", i / 200, i % 200);
        ck_assert(addr_read(span_of(text), 1, &a, &len));
        ck_assert(nets_bound(&bound, &a, len) == (i < NETS_MAX));
        ck_assert(own(text, &bound, NULL, 0) == (i < NETS_MAX));
    }
    bind_to(&bound, "10.0.0.1"); /* one that is there */
}
END_TEST

START_TEST(reads_ports)
{
    static const struct {
        const char *text, *url; /* NULL: it is wrong */
    } rows[] = {
        {"127.0.0.1", "http://127.0.0.1:7"},
        {"127.0.0.1:9090", "http://127.0.0.1:9090"},
        {"127.0.0.1:0", "http://127.0.0.1:0"},
        {"::1", "http://[::1]:7"},
        {"[::1]", "http://[::1]:7"},
        {"[::1]:65535", "http://[::1]:65535"},
        {"1::2:3", "http://[1::2:3]:7"},
        {"unix:/a:80", "unix:/a:80"},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:+1", NULL},
        {"127.0.0.1:1:2", NULL},
        {"localhost:80", NULL},
        {"[127.0.0.1]:80", NULL},
        {"[::1", NULL},
        {"[::1]80", NULL},
        {"[::1]:", NULL},
        {"[]:80", NULL},
        {"]:80", NULL},
        {":80", NULL},
        {"unix:", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sockaddr_storage a;
        socklen_t len;
        char bytes[128];
        struct text t = text_in(bytes, sizeof bytes);
        struct span s = exact(rows[i].text);
        bool good = addr_read_port(s, 7, &a, &len);
        free((void *)(uintptr_t)s.p);
        ck_assert_msg(good == (rows[i].url != NULL), "%s", rows[i].text);
        if (!good)
            continue;
        addr_write(&t, &a);
        ck_assert_msg(span_eq(text_span(&t), span_of(rows[i].url)), "%s: %.*s", rows[i].text,
                      (int)t.n, t.p);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("authority");
    TCase *tc = tcase_create("authority");
    tcase_add_test(tc, finds_the_host);
    tcase_add_test(tc, names_by_flag);
    tcase_add_test(tc, addresses_by_bind);
    tcase_add_test(tc, as_many_as_there_is_room_for);
    tcase_add_test(tc, reads_ports);
    suite_add_tcase(suite, tc);
    return run(suite);
}
