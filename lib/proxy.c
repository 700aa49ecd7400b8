/*
 * proxy.c - the PROXY protocol, versions 1 and 2.
 */
#include "lib/proxy.h"

#include "lib/addr.h"
#include "lib/crc.h"

#include <netinet/in.h>

enum {
    HEAD = 16, /* bytes of version 2 before the addresses */
    TLV_HEAD = 3,
    TLV_CRC = 0x03,
    CRC_SIZE = 4,
    INET_SIZE = 12, /* of both addresses and ports, */
    INET6_SIZE = 36,
    UNIX_SIZE = 216, /* or of both paths */
};

/* ---- version 1 ------------------------------------------------------------------------------- */

/* Cuts the word up to a space off *s, or all the rest for the `last`. Returns false if there is
 * none, or if it is the last but should not be. */
static bool word_cut(struct span *s, bool last, struct span *word)
{
    *word = span_cut(s, ' ');
    return word->n > 0 && (s->p == NULL) == last;
}

static bool port_read(struct span s)
{
    uint64_t port;
    return s.n <= 5 && span_u64(s, &port) && port <= UINT16_MAX && (s.n == 1 || s.p[0] != '0');
}

/* Reads the text between "PROXY " and the line's end. */
static bool line_read(struct span s, struct proxy *p)
{
    struct sockaddr_storage to;
    struct span kind = span_cut(&s, ' '), from, dest, port, dest_port;
    socklen_t len;
    *p = (struct proxy){.says = PROXY_UNKNOWN};
    if (span_eq(kind, SPAN("UNKNOWN")))
        return true; /* the rest is ignored */
    sa_family_t family = span_eq(kind, SPAN("TCP4")) ? AF_INET : AF_INET6;
    if (family == AF_INET6 && !span_eq(kind, SPAN("TCP6")))
        return false;
    p->says = PROXY_CLIENT;
    return word_cut(&s, false, &from) && word_cut(&s, false, &dest) && word_cut(&s, false, &port) &&
           word_cut(&s, true, &dest_port) && port_read(port) && port_read(dest_port) &&
           from.p[0] != '[' && dest.p[0] != '[' && addr_read(from, 0, &p->from, &p->len) &&
           p->from.ss_family == family && addr_read(dest, 0, &to, &len) && to.ss_family == family;
}

static int read_line(struct span s, struct proxy *p)
{
    size_t n = 0;
    while (n < s.n && n < PROXY_LINE_MAX && s.p[n] != '\r' && s.p[n] != '\n')
        n++;
    if (n > PROXY_LINE_MAX - 2 || (n < s.n && s.p[n] != '\r') ||
        (n + 1 < s.n && s.p[n + 1] != '\n'))
        return -1;
    if (n + 1 >= s.n)
        return 0;
    return line_read(span_from((struct span){s.p, n}, 6), p) ? (int)n + 2 : -1;
}

/* ---- version 2 ------------------------------------------------------------------------------- */

/* Reads the client's address after the head of version 2. Returns the bytes of both addresses; -1
 * if they are malformed. */
static int address_read(unsigned family, struct span s, struct proxy *p)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    static const uint8_t sizes[] = {0, INET_SIZE, INET6_SIZE, UNIX_SIZE};
    int size = sizes[family];
    if (s.n < (size_t)size)
        return -1;
    p->says = PROXY_CLIENT;
    if (family == 1) {
        memcpy(&v4.sin_addr, s.p, 4);
        memcpy(&p->from, &v4, sizeof v4);
        p->len = sizeof v4;
    } else if (family == 2) {
        memcpy(&v6.sin6_addr, s.p, 16);
        memcpy(&p->from, &v6, sizeof v6);
        p->len = sizeof v6;
    } else {
        p->from.ss_family = AF_UNIX;
        p->len = sizeof p->from.ss_family;
    }
    return size;
}

static unsigned u16(const char *p)
{
    return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

/* Returns true if the TLVs from all.p + at on are complete, and the checksum among them is
 * right. */
static bool tlvs_right(struct span all, size_t at)
{
    while (at < all.n) {
        size_t left = all.n - at;
        if (left < TLV_HEAD || left - TLV_HEAD < u16(all.p + at + 1))
            return false;
        unsigned type = (unsigned char)all.p[at], n = u16(all.p + at + 1);
        at += TLV_HEAD;
        if (type == TLV_CRC) {
            /* of the header, with zeros in its own place */
            const char *sum = all.p + at;
            if (n != CRC_SIZE)
                return false;
            uint32_t crc = crc32c(0, (struct span){all.p, at});
            crc = crc32c(crc, (struct span){"\0\0\0", CRC_SIZE});
            crc = crc32c(crc, span_from(all, at + CRC_SIZE));
            if (crc != ((uint32_t)u16(sum) << 16 | u16(sum + 2)))
                return false;
        }
        at += n;
    }
    return true;
}

/* Reads a complete header whose first bytes are right. */
static int read_whole(struct span all, struct proxy *p)
{
    unsigned command = (unsigned char)all.p[12] & 15, family = (unsigned char)all.p[13] >> 4;
    *p = (struct proxy){.says = command == 0 ? PROXY_ITSELF : PROXY_UNKNOWN};
    if (command == 0 || family == 0)
        return (int)all.n;
    int size = address_read(family, span_from(all, HEAD), p);
    return size >= 0 && tlvs_right(all, HEAD + (size_t)size) ? (int)all.n : -1;
}

static int read_binary(struct span s, struct proxy *p)
{
    if (s.n > 12 && (unsigned char)s.p[12] != 0x20 && (unsigned char)s.p[12] != 0x21)
        return -1; /* neither version 2, nor LOCAL or PROXY */
    if (s.n > 13 && s.p[12] == 0x21) {
        unsigned family = (unsigned char)s.p[13] >> 4, kind = (unsigned char)s.p[13] & 15;
        if (family > 3 || kind > 2 || (family == 0) != (kind == 0))
            return -1;
    }
    if (s.n < HEAD || s.n - HEAD < u16(s.p + 14))
        return 0;
    return read_whole((struct span){s.p, HEAD + u16(s.p + 14)}, p);
}

/* ---- both ------------------------------------------------------------------------------------ */

int proxy_read(const char *buf, size_t len, struct proxy *p)
{
    static const struct span text = SPAN_INIT("PROXY "), binary = {"\r\n\r\n\0\r\nQUIT\n", 12};
    struct span s = {buf, len};
    if (len == 0)
        return 0;
    struct span sign = buf[0] == text.p[0] ? text : binary;
    size_t n = len < sign.n ? len : sign.n;
    if (memcmp(buf, sign.p, n) != 0)
        return -1;
    if (n < sign.n)
        return 0;
    return sign.n == text.n ? read_line(s, p) : read_binary(s, p);
}
