/*
 * inflate.c - deflate's three kinds of blocks, and gzip's head and tail around them.
 */
#include "lib/inflate.h"

enum {
    CODE_MAX = 15,  /* bits of a code word */
    LITERALS = 288, /* symbols: bytes, the end, lengths */
    DISTANCES = 30, /* symbols */
    END = 256,      /* of a block */
    HEAD = 10,      /* bytes of gzip's */
    TAIL = 8,       /* likewise: a sum and a size */
};

struct input {
    struct span left;
    uint32_t bits; /* bits read and not used, ... */
    unsigned held; /* ... and their number */
    bool bad;      /* the input ended too early or is malformed; zeros are read from then on */
};

/* A canonical code: the number of words of each length, and their symbols in order. */
struct code {
    uint16_t count[CODE_MAX + 1], symbol[LITERALS];
};

/* Takes the next n bits, at most 16. */
static unsigned take(struct input *in, unsigned n)
{
    for (; in->held < n; in->held += 8) {
        if (in->left.n == 0) {
            in->bad = true;
            return 0;
        }
        in->bits |= (uint32_t)(unsigned char)in->left.p[0] << in->held;
        in->left = span_from(in->left, 1);
    }
    unsigned v = in->bits & ((1u << n) - 1);
    in->bits >>= n;
    in->held -= n;
    return v;
}

/* Makes the code in which symbol i has a word of length[i] bits, 0 for none. Returns false if there
 * are more words than can be. */
static bool code_make(struct code *c, const uint8_t *length, unsigned n)
{
    unsigned at[CODE_MAX + 1], room = 1, before = 0;
    memset(c->count, 0, sizeof(c->count));
    for (unsigned i = 0; i < n; i++)
        c->count[length[i]]++;
    for (unsigned bits = 1; bits <= CODE_MAX; bits++) {
        room *= 2;
        if (c->count[bits] > room)
            return false;
        room -= c->count[bits];
        at[bits] = before;
        before += c->count[bits];
    }
    for (unsigned i = 0; i < n; i++)
        if (length[i] != 0)
            c->symbol[at[length[i]]++] = (uint16_t)i;
    return true;
}

/* Reads a symbol. `rank` is the index of the bits read so far among the words of their length. */
static unsigned code_read(struct input *in, const struct code *c)
{
    unsigned rank = 0, before = 0;
    for (unsigned bits = 1; bits <= CODE_MAX; bits++) {
        rank = rank * 2 + take(in, 1);
        if (rank < c->count[bits])
            return c->symbol[before + rank];
        rank -= c->count[bits];
        before += c->count[bits];
    }
    in->bad = true; /* an unused word */
    return 0;
}

static void stored(struct input *in, struct text *t)
{
    in->bits = in->held = 0; /* the rest of a byte */
    unsigned n = take(in, 16), not_n = take(in, 16);
    if (in->bad || n != (not_n ^ 0xffff) || n > in->left.n) {
        in->bad = true;
        return;
    }
    text_add(t, (struct span){in->left.p, n});
    in->left = span_from(in->left, n);
}

/* Appends n bytes again that begin `back` bytes before the end; `back` may be less than n. */
static void again(struct input *in, struct text *t, size_t from, size_t back, size_t n)
{
    if (back > t->n - from || n > t->cap - t->n) {
        in->bad = true;
        return;
    }
    for (; n > 0; n--, t->n++)
        t->p[t->n] = t->p[t->n - back];
}

/* Decodes the symbols of a block up to its end. The text from `from` on is this file's. */
static void packed(struct input *in, struct text *t, size_t from, const struct code *literals,
                   const struct code *distances)
{
    while (!in->bad && !t->full) {
        unsigned s = code_read(in, literals);
        if (s == END)
            return;
        if (s < END) {
            char byte = (char)s;
            text_add(t, (struct span){&byte, 1});
            continue;
        }
        /* The steps of lengths double every four symbols, those of distances every two. */
        unsigned i = s - END - 1, more = i < 8 ? 0 : i / 4 - 1;
        size_t n = i < 8 ? i + 3 : i < 28 ? 3 + ((4 + i % 4) << more) + take(in, more) : 258;
        unsigned d = code_read(in, distances);
        more = d < 4 ? 0 : d / 2 - 1;
        size_t back = d < 4 ? d + 1 : 1 + ((2 + d % 2) << more) + take(in, more);
        if (i > 28 || d >= DISTANCES)
            in->bad = true;
        if (!in->bad)
            again(in, t, from, back, n);
    }
}

/* Reads the lengths of two codes, which are themselves encoded. */
static bool lengths(struct input *in, struct code *c, uint8_t *length, unsigned n, unsigned words)
{
    static const uint8_t order[] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                    11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t own[sizeof(order)] = {0};
    for (unsigned i = 0; i < words; i++)
        own[order[i]] = (uint8_t)take(in, 3);
    if (!code_make(c, own, sizeof(own)))
        return false;
    for (unsigned i = 0; i < n && !in->bad;) {
        unsigned s = code_read(in, c), times = 1;
        uint8_t v = s < 16 ? (uint8_t)s : 0;
        if (s == 16) {
            if (i == 0)
                return false;
            v = length[i - 1];
            times = 3 + take(in, 2);
        } else if (s > 16) {
            times = s == 17 ? 3 + take(in, 3) : 11 + take(in, 7);
        }
        if (times > n - i)
            return false;
        memset(length + i, v, times);
        i += times;
    }
    return !in->bad;
}

/* Decodes a block with its own code, or with the fixed one. */
static void coded(struct input *in, struct text *t, size_t from, bool own)
{
    uint8_t length[LITERALS + 32]; /* the most that five bits can count */
    struct code literals, distances;
    unsigned n = LITERALS, d = DISTANCES;
    if (own) {
        n = 257 + take(in, 5);
        d = 1 + take(in, 5);
        unsigned words = 4 + take(in, 4);
        in->bad = !lengths(in, &literals, length, n + d, words);
    } else {
        memset(length, 8, 144);
        memset(length + 144, 9, 112);
        memset(length + 256, 7, 24);
        memset(length + 280, 8, 8);
        memset(length + LITERALS, 5, DISTANCES);
    }
    if (!in->bad && code_make(&literals, length, n) && code_make(&distances, length + n, d))
        packed(in, t, from, &literals, &distances);
    else
        in->bad = true;
}

/* Returns gzip's checksum (CRC-32, RFC 1952 section 8), computed bit by bit. */
static uint32_t sum(struct span s)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < s.n; i++) {
        crc ^= (unsigned char)s.p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320 & (0 - (crc & 1)));
    }
    return ~crc;
}

static uint32_t number(struct input *in)
{
    uint32_t low = take(in, 16);
    return low | (uint32_t)take(in, 16) << 16;
}

bool inflate(struct span gzip, struct text *t)
{
    struct input in = {.left = gzip};
    size_t from = t->n;
    bool last = false;
    if (gzip.n < HEAD + TAIL || memcmp(gzip.p, "\x1f\x8b\x08\0", 4) != 0)
        return false;
    in.left = span_from(gzip, HEAD);
    while (!last && !in.bad && !t->full) {
        last = take(&in, 1) == 1;
        unsigned kind = take(&in, 2);
        if (kind == 0)
            stored(&in, t);
        else if (kind < 3)
            coded(&in, t, from, kind == 2);
        else
            in.bad = true;
    }
    if (in.bad || t->full)
        return false;
    in.bits = in.held = 0;
    struct span all = {t->p + from, t->n - from};
    return in.left.n == TAIL && number(&in) == sum(all) && number(&in) == (uint32_t)all.n;
}
