/*
 * addr.c - addr.h: addresses as text, both ways, and who is on this host.
 */
#include "lib/addr.h"

#include "test/kit/kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#define PATH_107                                                                                  \
    "/234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901" \
    "2345678901234567"

/* ---- reading and writing ---- */

static const struct {
    int line;
    struct span text;
    int family;
    const char *url; /* with port 8080 */
} right[] = {
    {__LINE__, BYTES("127.0.0.1"), AF_INET, "http://127.0.0.1:8080"},
    {__LINE__, BYTES("0.0.0.0"), AF_INET, "http://0.0.0.0:8080"},
    {__LINE__, BYTES("255.255.255.255"), AF_INET, "http://255.255.255.255:8080"},
    {__LINE__, BYTES("::1"), AF_INET6, "http://[::1]:8080"},
    {__LINE__, BYTES("[::1]"), AF_INET6, "http://[::1]:8080"},
    {__LINE__, BYTES("::"), AF_INET6, "http://[::]:8080"},
    {__LINE__, BYTES("[::]"), AF_INET6, "http://[::]:8080"},
    {__LINE__, BYTES("2001:DB8:0:0:0:0:0:1"), AF_INET6, "http://[2001:db8::1]:8080"},
    {__LINE__, BYTES("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"), AF_INET6,
     "http://[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:8080"},
    {__LINE__, BYTES("::ffff:10.0.0.1"), AF_INET6, "http://[::ffff:10.0.0.1]:8080"},
    {__LINE__, BYTES("unix:/run/sse.sock"), AF_UNIX, "unix:/run/sse.sock"},
    {__LINE__, BYTES("unix:x"), AF_UNIX, "unix:x"},
    {__LINE__, BYTES("unix:::1"), AF_UNIX, "unix:::1"},
    {__LINE__, BYTES("unix:" PATH_107), AF_UNIX, "unix:" PATH_107},
};

START_TEST(reads_and_writes)
{
    struct sockaddr_storage a;
    socklen_t len = 0;
    char bytes[256], *heap = on_heap(right[_i].text);
    struct text t = text_in(bytes, sizeof(bytes));
    memset(&a, 0xAA, sizeof(a));
    ck_assert_msg(addr_read((struct span){heap, right[_i].text.n}, 8080, &a, &len), "line %d",
                  right[_i].line);
    ck_assert_int_eq(a.ss_family, right[_i].family);
    ck_assert_uint_eq(len, right[_i].family == AF_INET    ? sizeof(struct sockaddr_in)
                           : right[_i].family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                          : sizeof(struct sockaddr_un));
    addr_write(&t, &a);
    ck_assert_msg(span_eq(text_span(&t), span_of(right[_i].url)), "line %d: %.*s", right[_i].line,
                  (int)t.n, t.p);
    if (right[_i].family == AF_UNIX)
        ck_assert_str_eq(addr_path(&a), right[_i].url + 5);
    else
        ck_assert_ptr_null(addr_path(&a));
    free(heap);
}
END_TEST

static const struct {
    int line;
    struct span text;
} wrong[] = {
    {__LINE__, BYTES("")},
    {__LINE__, BYTES(" 127.0.0.1")},
    {__LINE__, BYTES("127.0.0.1 ")},
    {__LINE__, BYTES("127.0.0.1:80")},
    {__LINE__, BYTES("[127.0.0.1]")},
    {__LINE__, BYTES("127.1")},
    {__LINE__, BYTES("256.0.0.1")},
    {__LINE__, BYTES("1.2.3.4.5")},
    {__LINE__, BYTES("localhost")},
    {__LINE__, BYTES("*")},
    {__LINE__, BYTES("[]")},
    {__LINE__, BYTES("[")},
    {__LINE__, BYTES("[::1")},
    {__LINE__, BYTES("::1]")},
    {__LINE__, BYTES("[::1]:80")},
    {__LINE__, BYTES("[[::1]]")},
    {__LINE__, BYTES(":::")},
    {__LINE__, BYTES("fe80::1%lo")},
    {__LINE__, BYTES("127.0.0.1\0")},
    {__LINE__, BYTES("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555")},
    {__LINE__, BYTES("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001")},
    {__LINE__, BYTES("unix:")},
    {__LINE__, BYTES("unix")},
    {__LINE__, BYTES("unix:" PATH_107 "8")},
    {__LINE__, BYTES("unix:/a\0b")},
    {__LINE__, BYTES("unix:\0abstract")},
    {__LINE__, BYTES("UNIX:/a")},
    {__LINE__, BYTES("http://127.0.0.1")},
};

START_TEST(refuses)
{
    struct sockaddr_storage a;
    socklen_t len;
    char *heap = on_heap(wrong[_i].text);
    ck_assert_msg(!addr_read((struct span){heap, wrong[_i].text.n}, 80, &a, &len), "line %d",
                  wrong[_i].line);
    free(heap);
}
END_TEST

START_TEST(writes_ports)
{
    static const struct {
        uint16_t port;
        const char *url;
    } rows[] = {{0, "http://1.2.3.4:0"},
                {80, "http://1.2.3.4:80"},
                {65535, "http://1.2.3.4:65535"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sockaddr_storage a;
        socklen_t len;
        char bytes[64];
        struct text t = text_in(bytes, sizeof(bytes));
        ck_assert(addr_read(SPAN("1.2.3.4"), rows[i].port, &a, &len));
        addr_write(&t, &a);
        ck_assert(span_eq(text_span(&t), span_of(rows[i].url)));
    }
}
END_TEST

/* As the C library does, with zeros in any places. */
START_TEST(writes_as_others_do)
{
    static const unsigned char often[] = {0, 0, 0xff, 1, 0x10, 0xa0};
    uint64_t state = seed();
    for (unsigned times = 0; times < 256 * 20; times++) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_storage a = {0};
        char bytes[128], host[INET6_ADDRSTRLEN], url[128];
        for (unsigned i = 0; i < 16; i++) {
            uint64_t r = random_next(&state);
            if ((times >> i / 2 & 1) != 0) /* of each of the eight groups, zero or not */
                v6.sin6_addr.s6_addr[i] =
                    r % 2 == 0 ? (unsigned char)(r >> 8) : often[(r >> 8) % COUNT(often)];
        }
        if (times % 3 == 0)
            memset(v6.sin6_addr.s6_addr + 10, 0xff, 2);
        struct text t = text_in(bytes, sizeof(bytes));
        memcpy(&a, &v6, sizeof(v6));
        addr_write(&t, &a);
        snprintf(url, sizeof(url), "http://[%s]:0",
                 inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host)));
        ck_assert_msg(span_eq(text_span(&t), span_of(url)), "%s: %.*s", url, (int)t.n, t.p);

        memcpy(&v4.sin_addr, v6.sin6_addr.s6_addr + 12, 4);
        t = text_in(bytes, sizeof(bytes));
        memcpy(&a, &v4, sizeof(v4));
        addr_write(&t, &a);
        snprintf(url, sizeof(url), "http://%s:0",
                 inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host)));
        ck_assert_msg(span_eq(text_span(&t), span_of(url)), "%s: %.*s", url, (int)t.n, t.p);
    }
}
END_TEST

/* ---- on this host ---- */

static const struct {
    int line;
    const char *text;
    bool local;
} peers[] = {
    {__LINE__, "127.0.0.1", true},
    {__LINE__, "127.0.0.2", true},
    {__LINE__, "127.255.255.255", true},
    {__LINE__, "126.255.255.255", false},
    {__LINE__, "128.0.0.0", false},
    {__LINE__, "0.0.0.0", false},
    {__LINE__, "1.0.0.127", false},
    {__LINE__, "10.0.0.1", false},
    {__LINE__, "192.168.1.1", false},
    {__LINE__, "::1", true},
    {__LINE__, "::", false},
    {__LINE__, "::2", false},
    {__LINE__, "::ffff:127.0.0.1", true},
    {__LINE__, "::ffff:127.9.9.9", true},
    {__LINE__, "::ffff:128.0.0.1", false},
    {__LINE__, "::ffff:0.0.0.1", false},
    {__LINE__, "::127.0.0.1", false}, /* IPv4-compatible: no such thing any more */
    {__LINE__, "64:ff9b::127.0.0.1", false},
    {__LINE__, "7f00:1::", false},
    {__LINE__, "fe80::1", false},
    {__LINE__, "unix:/run/sse.sock", true},
};

START_TEST(knows_its_host)
{
    struct sockaddr_storage a;
    socklen_t len;
    ck_assert(addr_read(span_of(peers[_i].text), 1, &a, &len));
    ck_assert_msg(addr_local(&a, len) == peers[_i].local, "line %d", peers[_i].line);
}
END_TEST

START_TEST(peers_without_address)
{
    struct sockaddr_storage a = {.ss_family = AF_UNIX};
    ck_assert(addr_local(&a, sizeof(a.ss_family))); /* unnamed, as connect() leaves it */
    memset(&a, 0xAA, sizeof(a));
    ck_assert(addr_local(&a, 0));
    a.ss_family = AF_PACKET; /* nothing that is known */
    ck_assert(!addr_local(&a, sizeof(a)));
    memset((char *)&a + sizeof(a.ss_family), 0, sizeof(a) - sizeof(a.ss_family));
    ((struct sockaddr_in6 *)(void *)&a)->sin6_addr = in6addr_loopback;
    ck_assert(!addr_local(&a, sizeof(a)));
}
END_TEST

/* ---- keys ---- */

static const struct {
    int line;
    const char *text, *key; /* as it is written; of those that are the same client, the same */
} keys[] = {
    {__LINE__, "192.0.2.1", "192.0.2.1"},
    {__LINE__, "192.0.2.2", "192.0.2.2"},
    {__LINE__, "0.0.0.0", "0.0.0.0"},
    {__LINE__, "255.255.255.255", "255.255.255.255"},
    {__LINE__, "::ffff:192.0.2.1", "192.0.2.1"},
    {__LINE__, "127.0.0.1", "127.0.0.1"},
    {__LINE__, "::1", "::/64"},
    {__LINE__, "::192.0.2.1", "::/64"},
    {__LINE__, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
    {__LINE__, "2001:db8:1:2::", "2001:db8:1:2::/64"},
    {__LINE__, "fe80::1", "fe80::/64"},
    {__LINE__, "ffff:ffff:ffff:ffff::", "ffff:ffff:ffff:ffff::/64"},
    {__LINE__, "unix:/run/sse.sock", "unknown"},
};

START_TEST(has_keys)
{
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct sockaddr_storage a;
        socklen_t len;
        char bytes[64];
        struct text t = text_in(bytes, sizeof(bytes));
        ck_assert(addr_read(span_of(keys[i].text), 1, &a, &len));
        uint64_t key = addr_key(&a, len);
        ck_assert_msg((key == 0) == (a.ss_family == AF_UNIX), "line %d", keys[i].line);
        addr_key_write(&t, key);
        ck_assert_msg(span_eq(text_span(&t), span_of(keys[i].key)), "line %d: %.*s", keys[i].line,
                      (int)t.n, t.p);
        for (size_t j = 0; j < i; j++) {
            struct sockaddr_storage b;
            socklen_t b_len;
            ck_assert(addr_read(span_of(keys[j].text), 2, &b, &b_len));
            ck_assert_msg((addr_key(&b, b_len) == key) == (strcmp(keys[i].key, keys[j].key) == 0),
                          "lines %d and %d", keys[i].line, keys[j].line);
        }
    }
}
END_TEST

START_TEST(has_no_key_without_address)
{
    struct sockaddr_storage a;
    memset(&a, 0x11, sizeof(a));
    a.ss_family = AF_INET;
    ck_assert_uint_eq(addr_key(&a, sizeof(struct sockaddr_in) - 1), 0);
    ck_assert_uint_ne(addr_key(&a, sizeof(struct sockaddr_in)), 0);
    a.ss_family = AF_INET6;
    ck_assert_uint_eq(addr_key(&a, sizeof(struct sockaddr_in6) - 1), 0);
    ck_assert_uint_ne(addr_key(&a, sizeof(struct sockaddr_in6)), 0);
    a.ss_family = AF_PACKET;
    ck_assert_uint_eq(addr_key(&a, sizeof(a)), 0);
    ck_assert_uint_eq(addr_key(&a, 0), 0);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *s = suite_create("addr");
    TCase *t = tcase_create("addr");
    tcase_add_loop_test(t, reads_and_writes, 0, COUNT(right));
    tcase_add_loop_test(t, refuses, 0, COUNT(wrong));
    tcase_add_test(t, writes_ports);
    tcase_add_test(t, writes_as_others_do);
    tcase_add_loop_test(t, knows_its_host, 0, COUNT(peers));
    tcase_add_test(t, peers_without_address);
    tcase_add_test(t, has_keys);
    tcase_add_test(t, has_no_key_without_address);
    suite_add_tcase(s, t);
    return run(s);
}
