/*
 * net.c - net.h: networks as they are given, and who is in them.
 */
#include "lib/net.h"

#include "lib/addr.h"
#include "test/kit/kit.h"

#include <sys/un.h>

/* ---- reading --------------------------------------------------------------------------------- */

#define ANY  "must be an IPv4 or IPv6 address, a network as 10.0.0.0/8, or unix"
#define MOST "must have 0 to 32 bits behind the /"
#define WIDE "must have 0 to 128 bits behind the /"
#define REST "is no network: it has bits behind those that count"

static const struct {
    int line;
    struct span text;
    const char *wrong; /* NULL: it is right */
} texts[] = {
    {__LINE__, BYTES("127.0.0.1"), NULL},
    {__LINE__, BYTES("::1"), NULL},
    {__LINE__, BYTES("[::1]"), NULL},
    {__LINE__, BYTES("unix"), NULL},
    {__LINE__, BYTES("10.0.0.0/8"), NULL},
    {__LINE__, BYTES("10.0.0.1/32"), NULL},
    {__LINE__, BYTES("0.0.0.0/0"), NULL},
    {__LINE__, BYTES("128.0.0.0/1"), NULL},
    {__LINE__, BYTES("fd00::/8"), NULL},
    {__LINE__, BYTES("[fd00::]/8"), NULL},
    {__LINE__, BYTES("::/0"), NULL},
    {__LINE__, BYTES("::1/128"), NULL},
    {__LINE__, BYTES("::ffff:10.0.0.0/104"), NULL},
    {__LINE__, BYTES(""), ANY},
    {__LINE__, BYTES("/"), ANY},
    {__LINE__, BYTES("/8"), ANY},
    {__LINE__, BYTES("localhost"), ANY},
    {__LINE__, BYTES("Unix"), ANY},
    {__LINE__, BYTES("unix/0"), ANY},
    {__LINE__, BYTES("unix:"), ANY},
    {__LINE__, BYTES("unix:/run/sse.sock"), ANY},
    {__LINE__, BYTES("10.0.0"), ANY},
    {__LINE__, BYTES("10.0.0.0.0/8"), ANY},
    {__LINE__, BYTES("010.0.0.0/8"), ANY},
    {__LINE__, BYTES("127.0.0.1:80"), ANY},
    {__LINE__, BYTES("127.0.0.1 "), ANY},
    {__LINE__, BYTES("fe80::1%eth0"), ANY},
    {__LINE__, BYTES("10.0.0.0/"), MOST},
    {__LINE__, BYTES("10.0.0.0/33"), MOST},
    {__LINE__, BYTES("10.0.0.0/-1"), MOST},
    {__LINE__, BYTES("10.0.0.0/255.0.0.0"), MOST},
    {__LINE__, BYTES("10.0.0.0/8/8"), MOST},
    {__LINE__, BYTES("10.0.0.0/99999999999999999999"), MOST},
    {__LINE__, BYTES("fd00::/129"), WIDE},
    {__LINE__, BYTES("fd00::/x"), WIDE},
    {__LINE__, BYTES("10.0.0.1/8"), REST},
    {__LINE__, BYTES("10.0.0.0/6"), REST},
    {__LINE__, BYTES("0.0.0.1/31"), REST},
    {__LINE__, BYTES("fd00::1/8"), REST},
    {__LINE__, BYTES("::1/0"), REST},
    {__LINE__, BYTES("::ffff:10.0.0.0/8"), REST},
};

START_TEST(reads)
{
    struct net net;
    char *heap = on_heap(texts[_i].text);
    const char *wrong = net_read((struct span){heap, texts[_i].text.n}, &net);
    if (texts[_i].wrong == NULL)
        ck_assert_msg(wrong == NULL, "line %d: %s", texts[_i].line, wrong);
    else
        ck_assert_msg(wrong != NULL && strcmp(wrong, texts[_i].wrong) == 0, "line %d: %s",
                      texts[_i].line, wrong);
    free(heap);
}
END_TEST

/* ---- who is in them -------------------------------------------------------------------------- */

static const struct {
    int line;
    const char *net, *address;
    bool in;
} pairs[] = {
    {__LINE__, "127.0.0.1", "127.0.0.1", true},
    {__LINE__, "127.0.0.1", "127.0.0.2", false},
    {__LINE__, "127.0.0.1", "::ffff:127.0.0.1", true},
    {__LINE__, "127.0.0.1", "::127.0.0.1", false},
    {__LINE__, "127.0.0.1", "::1", false},
    {__LINE__, "::1", "::1", true},
    {__LINE__, "::1", "::2", false},
    {__LINE__, "::1", "127.0.0.1", false},
    {__LINE__, "10.0.0.0/8", "10.255.255.255", true},
    {__LINE__, "10.0.0.0/8", "10.0.0.0", true},
    {__LINE__, "10.0.0.0/8", "11.0.0.0", false},
    {__LINE__, "10.0.0.0/8", "9.255.255.255", false},
    {__LINE__, "172.16.0.0/12", "172.31.255.255", true},
    {__LINE__, "172.16.0.0/12", "172.32.0.0", false},
    {__LINE__, "172.16.0.0/12", "172.15.255.255", false},
    {__LINE__, "192.0.2.128/25", "192.0.2.127", false},
    {__LINE__, "192.0.2.128/25", "192.0.2.128", true},
    {__LINE__, "192.0.2.2/31", "192.0.2.3", true},
    {__LINE__, "192.0.2.2/31", "192.0.2.4", false},
    {__LINE__, "0.0.0.0/0", "255.1.2.3", true},
    {__LINE__, "0.0.0.0/0", "::1", false},
    {__LINE__, "0.0.0.0/0", "2001:db8::1", false},
    {__LINE__, "0.0.0.0/0", "unix:/a", false},
    {__LINE__, "::/0", "2001:db8::1", true},
    {__LINE__, "::/0", "127.0.0.1", false},
    {__LINE__, "::/0", "::ffff:127.0.0.1", false},
    {__LINE__, "::/0", "unix:/a", false},
    {__LINE__, "::ffff:10.0.0.0/104", "10.1.2.3", true},
    {__LINE__, "::ffff:10.0.0.0/104", "11.1.2.3", false},
    {__LINE__, "fd00::/8", "fd12:3456::1", true},
    {__LINE__, "fd00::/8", "fc00::1", false},
    {__LINE__, "fd00::/8", "fe00::1", false},
    {__LINE__, "2001:db8::/33", "2001:db8:7fff::1", true},
    {__LINE__, "2001:db8::/33", "2001:db8:8000::1", false},
    {__LINE__, "unix", "unix:/run/nginx.sock", true},
    {__LINE__, "unix", "127.0.0.1", false},
    {__LINE__, "unix", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
    {__LINE__, "unix", "::", false},
};

START_TEST(knows_who_is_in)
{
    struct sockaddr_storage a;
    socklen_t len;
    struct nets nets = {.n = 1};
    ck_assert_ptr_null(net_read(span_of(pairs[_i].net), &nets.net[0]));
    ck_assert(addr_read(span_of(pairs[_i].address), 80, &a, &len));
    ck_assert_msg(nets_have(&nets, &a, len) == pairs[_i].in, "line %d", pairs[_i].line);
}
END_TEST

START_TEST(looks_through_all)
{
    struct sockaddr_storage a = {.ss_family = AF_UNIX};
    socklen_t len;
    static struct nets nets;
    for (nets.n = 0; nets.n < NETS_MAX; nets.n++) {
        char text[16];
        snprintf(text, sizeof(text), "10.0.0.%u", nets.n);
        ck_assert(addr_read(span_of(text), 80, &a, &len));
        ck_assert(!nets_have(&nets, &a, len));
        ck_assert_ptr_null(net_read(span_of(text), &nets.net[nets.n]));
    }
    for (unsigned i = 0; i < NETS_MAX + 1; i++) {
        char text[16];
        snprintf(text, sizeof(text), "10.0.0.%u", i);
        ck_assert(addr_read(span_of(text), 80, &a, &len));
        ck_assert(nets_have(&nets, &a, len) == (i < NETS_MAX));
    }
    ck_assert(!nets_have(&nets, &a, 0)); /* a unix socket without a name */
    ck_assert_ptr_null(net_read(SPAN("unix"), &nets.net[NETS_MAX - 1]));
    ck_assert(nets_have(&nets, &a, 0));
    a.ss_family = AF_PACKET; /* nothing that is known */
    ck_assert(!nets_have(&nets, &a, sizeof(a)));
    a.ss_family = AF_INET;
    ck_assert(!nets_have(&nets, &a, sizeof(a.ss_family))); /* cut short */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("net");
    TCase *t = tcase_create("net");
    tcase_add_loop_test(t, reads, 0, COUNT(texts));
    tcase_add_loop_test(t, knows_who_is_in, 0, COUNT(pairs));
    tcase_add_test(t, looks_through_all);
    suite_add_tcase(s, t);
    return run(s);
}
