/*
 * proxy.c - proxy.h: headers of both versions, right and wrong, whole and at each of their
 * bytes, each on the heap in its exact size.
 */
#include "lib/proxy.h"

#include "lib/addr.h"
#include "lib/crc.h"
#include "test/kit/kit.h"

/* ---- by table -------------------------------------------------------------------------------- */

#define SIGN   "\r\n\r\n\0\r\nQUIT\n"
#define INET   "\xCB\0\x71\x07\xC0\0\x02\x01\x12\x67\0\x50" /* 203.0.113.7:4711 to 192.0.2.1:80 */
#define X10    "xxxxxxxxxx"
#define ZERO4  "\0\0\0\0"
#define ZERO12 ZERO4 ZERO4 ZERO4
#define LOOP6  ZERO12 "\0\0\0\1"
#define INET6  "\x20\x01\x0D\xB8" ZERO4 ZERO4 "\0\0\0\7" LOOP6 "\x12\x67\0\x50"
#define ZERO36 ZERO12 ZERO12 ZERO12
#define UNIX   "/run/client" ZERO36 ZERO36 ZERO12 ZERO12 "\0" ZERO36 ZERO36 ZERO36
_Static_assert(sizeof(UNIX) - 1 == 216, "two paths");

enum {
    MORE = 0,
    WRONG = -1,
    WHOLE = 1
}; /* WHOLE: all bytes there are, but for the row's `behind` */

static const struct {
    int line;
    struct span bytes;
    int result;
    const char *says; /* the client as a key, with its family; or who else */
    size_t behind;    /* bytes of something else at the end */
} rows[] = {
    /* version 1 */
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n"), WHOLE, "4 203.0.113.7", 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\nGET /"), WHOLE, "4 203.0.113.7",
     5},
    {__LINE__, BYTES("PROXY TCP4 127.0.0.1 127.0.0.1 0 65535\r\n\r\n"), WHOLE, "4 127.0.0.1", 2},
    {__LINE__, BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), WHOLE,
     "4 255.255.255.255", 0},
    {__LINE__, BYTES("PROXY TCP6 2001:db8::7 ::1 4711 80\r\n"), WHOLE, "6 2001:db8::/64", 0},
    {__LINE__, BYTES("PROXY TCP6 ::ffff:203.0.113.7 ::1 4711 80\r\n"), WHOLE, "6 203.0.113.7", 0},
    {__LINE__,
     BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     WHOLE, "6 ffff:ffff:ffff:ffff::/64", 0},
    {__LINE__, BYTES("PROXY UNKNOWN\r\n"), WHOLE, "unknown", 0},
    {__LINE__, BYTES("PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n"), WHOLE, "unknown", 15},
    {__LINE__,
     BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), /* 107 bytes */
     WHOLE, "unknown", 0},
    {__LINE__, BYTES("PROXY UNKNOWN \0\x80 any thing\r\n"), WHOLE, "unknown", 0},
    {__LINE__, BYTES(""), MORE, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 4711 80"), MORE, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r"), MORE, NULL, 0},
    {__LINE__, BYTES("PROXY UNKNOWN " X10 X10 X10 X10 X10 X10 X10 X10 X10 "x"), MORE, NULL, 0},
    {__LINE__, BYTES("PROXY UNKNOWN " X10 X10 X10 X10 X10 X10 X10 X10 X10 "xx"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY UNKNOWN " X10 X10 X10 X10 X10 X10 X10 X10 X10 "xx\r\n"), WRONG, NULL,
     0},
    {__LINE__, BYTES("PROXY UNKNOWN\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY UNKNOWN\rx"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY UNKNOWN\r\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY UNKNOWNS\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY unknown\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("proxy UNKNOWN\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES(" PROXY UNKNOWN\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY  UNKNOWN\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY\tUNKNOWN\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY \r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 4711 \r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 4711 80 \r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 4711 80 1\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4  203.0.113.7 192.0.2.1 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1  4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 65536 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 4711 65536\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 -1 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 04711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 4711 00\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 0x1 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113 192.0.2.1 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 192.0.2 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.256 192.0.2.1 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7\0 192.0.2.1 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 2001:db8::7 192.0.2.1 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 203.0.113.7 2001:db8::7 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP4 unix:/a unix:/b 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP6 203.0.113.7 192.0.2.1 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP6 [::1] ::1 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP6 ::1 [::1] 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP6 ::1%lo ::1 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY UDP4 203.0.113.7 192.0.2.1 4711 80\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("PROXY TCP 203.0.113.7 192.0.2.1 4711 80\r\n"), WRONG, NULL, 0},
    /* neither */
    {__LINE__, BYTES("GET / HTTP/1.1\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("POST / HTTP/1.1\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("\0"), WRONG, NULL, 0},
    {__LINE__, BYTES("\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("\r\n"), MORE, NULL, 0},
    {__LINE__, BYTES("\r\nGET / HTTP/1.1\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("\r\n\r\n\r\n"), WRONG, NULL, 0},
    {__LINE__, BYTES("\x16\x03\x01"), WRONG, NULL, 0}, /* TLS */
    /* version 2 */
    {__LINE__, BYTES(SIGN), MORE, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x11\0\x0C" INET), WHOLE, "4 203.0.113.7", 0},
    {__LINE__, BYTES(SIGN "\x21\x11\0\x0C" INET "GET /"), WHOLE, "4 203.0.113.7", 5},
    {__LINE__, BYTES(SIGN "\x21\x12\0\x0C" INET), WHOLE, "4 203.0.113.7", 0}, /* QUIC */
    {__LINE__, BYTES(SIGN "\x21\x21\0\x24" INET6), WHOLE, "6 2001:db8::/64", 0},
    {__LINE__, BYTES(SIGN "\x21\x22\0\x24" INET6), WHOLE, "6 2001:db8::/64", 0},
    {__LINE__, BYTES(SIGN "\x21\x21\0\x24" LOOP6 LOOP6 ZERO4), WHOLE, "6 ::/64", 0},
    {__LINE__, BYTES(SIGN "\x21\x31\0\xD8" UNIX), WHOLE, "unix", 0},
    {__LINE__, BYTES(SIGN "\x21\x32\0\xD8" UNIX), WHOLE, "unix", 0},
    {__LINE__, BYTES(SIGN "\x21\0\0\0"), WHOLE, "unknown", 0},
    {__LINE__, BYTES(SIGN "\x21\0\0\5xxxxx"), WHOLE, "unknown", 0},
    {__LINE__, BYTES(SIGN "\x20\0\0\0"), WHOLE, "itself", 0},
    {__LINE__, BYTES(SIGN "\x20\0\0\0GET"), WHOLE, "itself", 3},
    {__LINE__, BYTES(SIGN "\x20\x11\0\x0C" INET), WHOLE, "itself", 0},
    {__LINE__, BYTES(SIGN "\x20\xFF\0\3xxx"), WHOLE, "itself", 0},
    {__LINE__, BYTES(SIGN "\x21\x11\0\x0C"), MORE, NULL, 0},
    {__LINE__, BYTES(SIGN "\x20\0\xFF\xFF"), MORE, NULL, 0},
    {__LINE__, BYTES(SIGN "\x11\x11\0\x0C" INET), WRONG, NULL, 0}, /* of version 1, 3 */
    {__LINE__, BYTES(SIGN "\x31\x11\0\x0C" INET), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x22\x11\0\x0C" INET), WRONG, NULL, 0}, /* neither LOCAL nor PROXY */
    {__LINE__, BYTES(SIGN "\x2F\x11\0\x0C" INET), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x01\0\0"), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x10\0\x0C" INET), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x13\0\x0C" INET), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x41\0\x0C" INET), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x11\0\0"), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x11\0\x0B" INET), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x21\0\x0C" INET), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x31\0\x24" INET6), WRONG, NULL, 0},
    {__LINE__, BYTES("\r\n\r\n\0\r\nQUIt\n\x21\x11\0\x0C" INET), WRONG, NULL, 0},
    /* and its TLVs */
    {__LINE__, BYTES(SIGN "\x21\x11\0\x0F" INET "\4\0\0"), WHOLE, "4 203.0.113.7", 0},
    {__LINE__,
     BYTES(SIGN "\x21\x11\0\x18" INET "\4\0\6" ZERO4 "\0\0"
                "\xEA\0\0"),
     WHOLE, "4 203.0.113.7", 0},
    {__LINE__, BYTES(SIGN "\x21\x11\0\x0D" INET "\4"), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x11\0\x0E" INET "\4\0"), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x11\0\x0F" INET "\4\0\1"), WRONG, NULL, 0},
    {__LINE__,
     BYTES(SIGN "\x21\x11\0\x11" INET "\4\xFF\xFF"
                "ab"),
     WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x11\0\x13" INET "\3\0\4" ZERO4), WRONG, NULL, 0}, /* the sum */
    {__LINE__, BYTES(SIGN "\x21\x11\0\x0F" INET "\3\0\0"), WRONG, NULL, 0},
    {__LINE__, BYTES(SIGN "\x21\x11\0\x14" INET "\3\0\5" ZERO4 "\0"), WRONG, NULL, 0},
};

/* Reads it from the heap in its exact size. */
static int read_heap(struct span s, struct proxy *p)
{
    char *heap = on_heap(s);
    memset(p, 0xA5, sizeof *p);
    int n = proxy_read(heap, s.n, p);
    free(heap);
    return n;
}

/* What a header says, as text. */
static const char *said(const struct proxy *p)
{
    static char out[80];
    struct text t = text_in(out, sizeof(out) - 1);
    if (p->says == PROXY_ITSELF || p->says == PROXY_UNKNOWN) {
        text_str(&t, p->says == PROXY_ITSELF ? "itself" : "unknown");
    } else if (p->from.ss_family == AF_UNIX) {
        ck_assert(p->len == sizeof(p->from.ss_family) && addr_local(&p->from, p->len));
        text_str(&t, "unix");
    } else {
        text_str(&t, p->from.ss_family == AF_INET ? "4 " : "6 ");
        addr_key_write(&t, addr_key(&p->from, p->len));
    }
    out[t.n] = '\0';
    return out;
}

START_TEST(reads)
{
    struct span s = rows[_i].bytes;
    struct proxy p;
    int n = read_heap(s, &p), line = rows[_i].line;
    if (rows[_i].result != WHOLE) {
        ck_assert_msg(n == rows[_i].result, "line %d: %d", line, n);
    } else {
        ck_assert_msg(n == (int)(s.n - rows[_i].behind), "line %d: %d", line, n);
        ck_assert_msg(strcmp(said(&p), rows[_i].says) == 0, "line %d: %s", line, said(&p));
    }
    /* a byte more at a time: more is needed until it comes to the same */
    bool over = false;
    for (size_t len = 0; len <= s.n; len++) {
        int got = read_heap((struct span){s.p, len}, &p);
        over = over || got != 0;
        ck_assert_msg(got == (over ? n : 0), "line %d, %zu bytes: %d", line, len, got);
        ck_assert_msg(got <= 0 || len >= (size_t)got, "line %d, %zu bytes: %d", line, len, got);
        ck_assert(got <= 0 || strcmp(said(&p), rows[_i].says) == 0);
    }
}
END_TEST

/* ---- the sum --------------------------------------------------------------------------------- */

/* Puts a header together that has a sum among its TLVs, and `tail` bytes of others behind it. */
static size_t sealed(char *out, size_t tail)
{
    static const char head[] = SIGN "\x21\x11\0\0" INET "\1\0\2h2\3\0\4" ZERO4;
    size_t n = sizeof head - 1, sum = n - 4;
    memcpy(out, head, n);
    if (tail >= 3) {
        memset(out + n, 'x', tail);
        out[n] = '\x20';
        out[n + 1] = (char)((tail - 3) >> 8);
        out[n + 2] = (char)(tail - 3);
        n += tail;
    }
    out[14] = (char)((n - 16) >> 8);
    out[15] = (char)(n - 16);
    uint32_t crc = crc32c(0, (struct span){out, n});
    for (unsigned i = 0; i < 4; i++)
        out[sum + i] = (char)(crc >> (24 - 8 * i));
    return n;
}

START_TEST(looks_at_the_sum)
{
    static const size_t tails[] = {0, 3, 100};
    for (size_t i = 0; i < COUNT(tails); i++) {
        char bytes[256];
        struct proxy p;
        size_t n = sealed(bytes, tails[i]);
        ck_assert_int_eq(read_heap((struct span){bytes, n}, &p), (int)n);
        for (size_t bit = 0; bit < n * 8;
             bit++) { /* one bit less or more is never taken for right */
            bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
            int got = read_heap((struct span){bytes, n}, &p);
            bool local = bit / 8 == 12 && bytes[12] == 0x20;
            size_t type = bit / 8; /* a TLV of another type is no sum */
            ck_assert_msg(got <= 0 || local || type == n - tails[i] - 7, "bit %zu", bit);
            bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        }
    }
}
END_TEST

/* The longest there can be, and a byte short of it. */
START_TEST(reads_the_longest)
{
    static char bytes[PROXY_MAX];
    struct proxy p;
    ck_assert_uint_eq(sealed(bytes, PROXY_MAX - 16 - 12 - 12), PROXY_MAX);
    ck_assert_int_eq(read_heap((struct span){bytes, PROXY_MAX}, &p), PROXY_MAX);
    ck_assert_str_eq(said(&p), "4 203.0.113.7");
    ck_assert_int_eq(read_heap((struct span){bytes, PROXY_MAX - 1}, &p), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proxy_unit");
    TCase *t = tcase_create("proxy_unit");
    tcase_add_loop_test(t, reads, 0, COUNT(rows));
    tcase_add_test(t, looks_at_the_sum);
    tcase_add_test(t, reads_the_longest);
    suite_add_tcase(s, t);
    return run(s);
}
