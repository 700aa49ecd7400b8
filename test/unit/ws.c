/*
 * ws.c - ws.h: RFC 6455's own examples, a row for each of its rules, and random streams; all
 * of them however they are cut and masked.
 */
#include "lib/ws.h"

#include <signal.h>

#include "test/kit/kit.h"
#include "test/kit/model_ws.h"

/* ---- handshake ---- */

static const struct {
    int line;
    const char *key, *accept;
} handshakes[] = {
    {__LINE__, "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, /* section 1.3 */
    {__LINE__, "x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="},
    {__LINE__, "AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
    {__LINE__, "/////////////////////w==", "XXpj4jYzLM2yUE0C7TIgMwTQh2g="},
};

START_TEST(accepts)
{
    struct span key = span_of(handshakes[_i].key);
    char out[WS_ACCEPT_SIZE];
    ck_assert_msg(ws_key_right(key), "line %d", handshakes[_i].line);
    ws_accept(out, key);
    ck_assert_msg(span_eq((struct span){out, sizeof(out)}, span_of(handshakes[_i].accept)),
                  "line %d: %.28s", handshakes[_i].line, out);
}
END_TEST

static const struct {
    int line;
    const char *key;
} wrong_keys[] = {
    {__LINE__, ""},
    {__LINE__, "dGhlIHNhbXBsZSBub25jZQ="},
    {__LINE__, "dGhlIHNhbXBsZSBub25jZQ"},
    {__LINE__, "dGhlIHNhbXBsZSBub25jZQ==="},
    {__LINE__, "dGhlIHNhbXBsZSBub25jZQ==dGhl"},
    {__LINE__, "dGhlIHNhbXBsZSBub25jZGhlIHNhbXBsZSBub25jZGhlIHNhbXBsZSBub25j"},
    {__LINE__, "dGhlIHNhbXBsZSBub25j"},     /* 15 bytes */
    {__LINE__, "dGhlIHNhbXBsZSBub25jZQA="}, /* 17 */
    {__LINE__, "dGhlIHNhbXBsZSBub25jZQAA"}, /* 18 */
    {__LINE__, "dGhlIHNhbXBsZSBub25jZR=="}, /* bits left over */
    {__LINE__, "dGhlIHNhbXBsZSBub25j===="},
    {__LINE__, "dGhlIHNhbXBsZSBub-_jZQ=="}, /* base64url */
    {__LINE__, "dGhlIHNh bXBsZSBub25jZQ="},
    {__LINE__, " dGhlIHNhbXBsZSBub25jZQ="},
};

START_TEST(refuses_keys)
{
    struct span key = span_of(wrong_keys[_i].key);
    char *heap = on_heap(key);
    ck_assert_msg(!ws_key_right((struct span){heap, key.n}), "line %d", wrong_keys[_i].line);
    free(heap);
}
END_TEST

START_TEST(key_of_nothing)
{
    ck_assert(!ws_key_right((struct span){NULL, 0}));
}
END_TEST

/* ---- streams ---- */

/* A mask that changes nothing, so that payload stands in a row as it is. The runner puts others. */
#define K    "\0\0\0\0"
#define X25  "xxxxxxxxxxxxxxxxxxxxxxxxx"
#define X125 X25 X25 X25 X25 X25
#define ANY  1000

struct row {
    int line;
    int code;  /* 0 or the one to close with */
    size_t at; /* where wrong: how many bytes it takes to be certain */
    uint64_t most;
    struct span stream, log;
};

/* clang-format off */
static const struct row rows[] = {
    /* messages */
    {__LINE__, 0, 0, ANY, BYTES(""), BYTES("")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\x80" K), BYTES("[text|]")},
    {__LINE__, 0, 0, ANY, BYTES("\x82\x80" K), BYTES("[binary|]")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\x85" K "Hello"), BYTES("[text|Hello]")},
    {__LINE__, 0, 0, ANY, BYTES("\x82\x86" K "Hello\xFF"), BYTES("[binary|Hello\xFF]")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\x83" K "a\0b"), BYTES("[text|a\0b]")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\x81" K "a\x82\x81" K "b\x81\x80" K "\x81\x81" K "c"),
     BYTES("[text|a][binary|b][text|][text|c]")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\xfd" K X125), BYTES("[text|" X125 "]")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\xfe\x00\x7e" K X125 "y"), BYTES("[text|" X125 "y]")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\xfe\x01\xf4" K X125 X125 X125 X125),
     BYTES("[text|" X125 X125 X125 X125 "]")},
    /* fragments */
    {__LINE__, 0, 0, ANY, BYTES("\x01\x83" K "Hel\x80\x82" K "lo"), BYTES("[text|Hello]")},
    {__LINE__, 0, 0, ANY, BYTES("\x02\x81" K "\xC3\x00\x81" K "\xC3\x80\x81" K "\xC3"),
     BYTES("[binary|\xC3\xC3\xC3]")},
    {__LINE__, 0, 0, ANY, BYTES("\x01\x80" K "\x00\x80" K "\x80\x80" K), BYTES("[text|]")},
    {__LINE__, 0, 0, ANY, BYTES("\x01\x80" K "\x00\x81" K "a\x00\x80" K "\x80\x80" K),
     BYTES("[text|a]")},
    {__LINE__, 0, 0, ANY, BYTES("\x02\x81" K "a\x80\x80" K "\x01\x80" K "\x80\x81" K "b"),
     BYTES("[binary|a][text|b]")},
    {__LINE__, 0, 0, ANY, BYTES("\x01\x83" K "Hel\x80\xfe\x00\x7e" K X125 "y"),
     BYTES("[text|Hel" X125 "y]")},
    /* not finished */
    {__LINE__, 0, 0, ANY, BYTES("\x81"), BYTES("")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\xfe"), BYTES("")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\xfe\x01"), BYTES("")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\x85\0\0\0"), BYTES("")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\x85" K), BYTES("")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\x85" K "Hell"), BYTES("(text|Hell")},
    {__LINE__, 0, 0, ANY, BYTES("\x02\x83" K "Hel"), BYTES("(binary|Hel")},
    {__LINE__, 0, 0, ANY, BYTES("\x01\x83" K "Hel\x00\x80" K "\x80"), BYTES("(text|Hel")},
    {__LINE__, 0, 0, ANY, BYTES("\x81\x81" K "a\x89\x85" K "Hell"), BYTES("[text|a]")},
    /* control frames */
    {__LINE__, 0, 0, ANY, BYTES("\x89\x80" K "\x8a\x80" K), BYTES("[ping|][pong|]")},
    {__LINE__, 0, 0, ANY, BYTES("\x89\x82" K "hi\x8a\x83" K "you"), BYTES("[ping|hi][pong|you]")},
    {__LINE__, 0, 0, 0, BYTES("\x89\xfd" K X125), BYTES("[ping|" X125 "]")},
    {__LINE__, 0, 0, 0, BYTES("\x8a\x82" K "\xFF\x00"), BYTES("[pong|\xFF\x00]")},
    {__LINE__, 0, 0, ANY, BYTES("\x01\x83" K "Hel\x89\x82" K "hi\x80\x82" K "lo"),
     BYTES("[ping|hi][text|Hello]")},
    {__LINE__, 0, 0, ANY, BYTES("\x02\x80" K "\x8a\x80" K "\x89\x80" K "\x00\x81" K "a\x89\x81" K
     "1\x80\x80" K), BYTES("[pong|][ping|][ping|1][binary|a]")},
    {__LINE__, 0, 0, ANY, BYTES("\x01\x81" K "\xC3\x89\x81" K "\xFF\x80\x81" K "\xA9"),
     BYTES("[ping|\xFF][text|\xC3\xA9]")},
    /* close: nothing counts after it */
    {__LINE__, 0, 0, ANY, BYTES("\x88\x80" K), BYTES("[close 1005|]")},
    {__LINE__, 0, 0, ANY, BYTES("\x88\x82" K "\x03\xE8"), BYTES("[close 1000|]")},
    {__LINE__, 0, 0, ANY, BYTES("\x88\x85" K "\x0F\xA0gap"), BYTES("[close 4000|gap]")},
    {__LINE__, 0, 0, ANY, BYTES("\x88\x85" K "\x03\xE9\xE2\x82\xAC"),
     BYTES("[close 1001|\xE2\x82\xAC]")},
    {__LINE__, 0, 0, 0, BYTES("\x88\xFD" K "\x03\xE8" X25 X25 X25 X25 "12345678901234567890123"),
     BYTES("[close 1000|" X25 X25 X25 X25 "12345678901234567890123]")},
    {__LINE__, 0, 0, ANY, BYTES("\x01\x83" K "Hel\x88\x80" K), BYTES("[close 1005|](text|Hel")},
    {__LINE__, 0, 0, ANY, BYTES("\x88\x80" K "\xFF\xFF"), BYTES("[close 1005|]")},
    /* heads: more in every_first_byte */
    {__LINE__, 1002, 1, ANY, BYTES("\xC1\x85" K "Hello"), BYTES("")},
    {__LINE__, 1002, 1, ANY, BYTES("\xA1\x85" K "Hello"), BYTES("")},
    {__LINE__, 1002, 1, ANY, BYTES("\x91\x85" K "Hello"), BYTES("")},
    {__LINE__, 1002, 7, ANY, BYTES("\x01\x80" K "\x40\x80" K), BYTES("")},
    {__LINE__, 1002, 1, ANY, BYTES("\x83\x80" K), BYTES("")},
    {__LINE__, 1002, 1, ANY, BYTES("\x8B\x80" K), BYTES("")},
    {__LINE__, 1002, 1, ANY, BYTES("\x80\x80" K), BYTES("")},
    {__LINE__, 1002, 1, ANY, BYTES("\x00\x80" K), BYTES("")},
    {__LINE__, 1002, 8, ANY, BYTES("\x81\x81" K "a\x80\x80" K), BYTES("[text|a]")},
    {__LINE__, 1002, 7, ANY, BYTES("\x01\x80" K "\x81\x80" K), BYTES("")},
    {__LINE__, 1002, 8, ANY, BYTES("\x02\x81" K "a\x02\x81" K "b"), BYTES("")},
    {__LINE__, 1002, 1, ANY, BYTES("\x09\x80" K), BYTES("")},
    {__LINE__, 1002, 1, ANY, BYTES("\x08\x80" K), BYTES("")},
    {__LINE__, 1002, 2, ANY, BYTES("\x81\x05Hello"), BYTES("")},
    {__LINE__, 1002, 2, ANY, BYTES("\x81\x00"), BYTES("")},
    {__LINE__, 1002, 2, ANY, BYTES("\x8A\x05Hello"), BYTES("")},
    {__LINE__, 1002, 2, ANY, BYTES("\x81\x7E\x00\x7E" X125 "y"), BYTES("")},
    {__LINE__, 1002, 8, ANY, BYTES("\x89\x80" K "\x89\x00"), BYTES("[ping|]")},
    {__LINE__, 1002, 2, ANY, BYTES("\x89\xFE\x00\x7E" K X125 "y"), BYTES("")},
    {__LINE__, 1002, 2, ANY, BYTES("\x8A\xFF\0\0\0\0\0\0\0\x05" K "Hello"), BYTES("")},
    {__LINE__, 1002, 2, ANY, BYTES("\x88\xFE\x00\x02" K "\x03\xE8"), BYTES("")},
    {__LINE__, 1002, 2, ANY, BYTES("\x88\x81" K "\x03"), BYTES("")},
    /* lengths */
    {__LINE__, 1002, 4, ANY, BYTES("\x82\xFE\x00\x7D" K X125), BYTES("")},
    {__LINE__, 1002, 4, ANY, BYTES("\x82\xFE\x00\x00" K), BYTES("")},
    {__LINE__, 1002, 8, UINT64_MAX, BYTES("\x82\xFF\0\0\0\0\0\0\xFF\xFF" K), BYTES("")},
    {__LINE__, 1002, 8, ANY, BYTES("\x82\xFF\0\0\0\0\0\0\0\0" K), BYTES("")},
    {__LINE__, 1002, 3, ANY, BYTES("\x82\xFF\x80\0\0\0\0\0\0\0" K), BYTES("")},
    {__LINE__, 1002, 3, UINT64_MAX, BYTES("\x82\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF" K), BYTES("")},
    {__LINE__, 0, 0, UINT64_MAX, BYTES("\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF" K "ab"),
     BYTES("(binary|ab")},
    {__LINE__, 0, 0, 65536, BYTES("\x82\xFF\0\0\0\0\0\x01\0\0" K "ab"), BYTES("(binary|ab")},
    {__LINE__, 0, 0, 65535, BYTES("\x82\xFE\xFF\xFF" K "ab"), BYTES("(binary|ab")},
    /* too big */
    {__LINE__, 0, 0, 5, BYTES("\x81\x85" K "Hello"), BYTES("[text|Hello]")},
    {__LINE__, 1009, 2, 4, BYTES("\x81\x85" K "Hello"), BYTES("")},
    {__LINE__, 0, 0, 0, BYTES("\x81\x80" K "\x02\x80" K "\x80\x80" K), BYTES("[text|][binary|]")},
    {__LINE__, 1009, 2, 0, BYTES("\x81\x81" K "a"), BYTES("")},
    {__LINE__, 0, 0, 5, BYTES("\x81\x85" K "Hello\x81\x85" K "Hello"),
     BYTES("[text|Hello][text|Hello]")},
    {__LINE__, 0, 0, 5, BYTES("\x01\x83" K "Hel\x89\x87" K "nothing\x80\x82" K "lo\x81\x85" K
     "Hello"), BYTES("[ping|nothing][text|Hello][text|Hello]")},
    {__LINE__, 1009, 11, 5, BYTES("\x01\x83" K "Hel\x80\x83" K "lo!"), BYTES("")},
    {__LINE__, 1009, 25, 5, BYTES("\x01\x83" K "Hel\x00\x82" K "lo\x00\x80" K "\x80\x81" K "!"),
     BYTES("")},
    {__LINE__, 1009, 4, 125, BYTES("\x82\xFE\x00\x7E" K X125 "y"), BYTES("")},
    {__LINE__, 0, 0, 126, BYTES("\x82\xFE\x00\x7E" K X125 "y"), BYTES("[binary|" X125 "y]")},
    {__LINE__, 1009, 3, 255, BYTES("\x82\xFE\x01\x00" K), BYTES("")},
    {__LINE__, 1009, 8, 65535, BYTES("\x82\xFF\0\0\0\0\0\x01\0\0" K), BYTES("")},
    {__LINE__, 1009, 10, 65536, BYTES("\x82\xFF\0\0\0\0\0\x01\0\x01" K), BYTES("")},
    {__LINE__, 1009, 3, ANY, BYTES("\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF" K), BYTES("")},
    {__LINE__, 1009, 5, ANY, BYTES("\x82\xFF\0\0\x01\0\0\0\0\0" K), BYTES("")},
    {__LINE__, 1009, 17, UINT64_C(0x7FFFFFFFFFFFFFFF),
     BYTES("\x02\x81" K "a\x80\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF" K), BYTES("")},
    {__LINE__, 1002, 4, 50, BYTES("\x82\xFE\x00\x7D" K), BYTES("")}, /* not 1009 */
    {__LINE__, 1009, 4, 50, BYTES("\x82\xFE\x00\x7E" K), BYTES("")},
    {__LINE__, 1002, 2, 0, BYTES("\x82\x05Hello"), BYTES("")},
    /* codes: more in every_code */
    {__LINE__, 1002, 8, ANY, BYTES("\x88\x82" K "\x03\xE7"), BYTES("")},
    {__LINE__, 1002, 8, ANY, BYTES("\x88\x82" K "\x03\xED"), BYTES("")},
    {__LINE__, 1002, 8, ANY, BYTES("\x88\x82" K "\x13\x88"), BYTES("")},
    {__LINE__, 1007, 9, ANY, BYTES("\x88\x83" K "\x03\xE8\xFF"), BYTES("")},
    {__LINE__, 1007, 10, ANY, BYTES("\x88\x84" K "\x03\xE8\xE2\x82"), BYTES("")},
    {__LINE__, 1002, 9, ANY, BYTES("\x88\x83" K "\x03\xED\xFF"), BYTES("")},
    /* UTF-8 */
    {__LINE__, 0, 0, ANY, BYTES("\x81\x8A" K "\xCE\xBA\xE2\x82\xAC\xF0\x9F\x98\x80!"),
     BYTES("[text|\xCE\xBA\xE2\x82\xAC\xF0\x9F\x98\x80!]")},
    {__LINE__, 0, 0, ANY, BYTES("\x01\x81" K "\xF0\x00\x81" K "\x9F\x00\x80" K "\x00\x81" K
     "\x98\x80\x81" K "\x80"), BYTES("[text|\xF0\x9F\x98\x80]")},
    {__LINE__, 1007, 10, ANY, BYTES("\x81\x87" K "Hel\xFFlo!"), BYTES("")},
    {__LINE__, 1007, 8, ANY, BYTES("\x81\x83" K "\xED\xA0\x80"), BYTES("")},
    {__LINE__, 1007, 8, ANY, BYTES("\x81\x83" K "\xE0\x80\x80"), BYTES("")},
    {__LINE__, 1007, 8, ANY, BYTES("\x81\x84" K "\xF4\x90\x80\x80"), BYTES("")},
    {__LINE__, 1007, 7, ANY, BYTES("\x01\x82" K "\x80\x80"), BYTES("")},
    {__LINE__, 1007, 15, ANY, BYTES("\x01\x82" K "\xE2\x82\x80\x82" K "x\x80"), BYTES("")},
    {__LINE__, 1007, 7, ANY, BYTES("\x81\x81" K "\xC3"), BYTES("")},
    {__LINE__, 1007, 8, ANY, BYTES("\x81\x84" K "a\xF0\x9F\x98"), BYTES("")},
    {__LINE__, 1007, 13, ANY, BYTES("\x01\x81" K "\xC3\x80\x80" K), BYTES("")},
    {__LINE__, 1007, 13, ANY, BYTES("\x01\x81" K "\xE2\x80\x81" K "\x82"), BYTES("")},
    {__LINE__, 0, 0, ANY, BYTES("\x01\x81" K "\xC3\x00\x80" K), BYTES("(text|\xC3")},
    {__LINE__, 1007, 15, ANY, BYTES("\x82\x82" K "\xC3\xC3\x81\x81" K "\xA9"), /* its own */
     BYTES("[binary|\xC3\xC3]")},
};

/* Section 5.7, the masked ones; of its unmasked ones see heads. */
static const struct row examples[] = {
    {__LINE__, 0, 0, ANY, BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
     BYTES("[text|Hello]")},
    {__LINE__, 0, 0, ANY, BYTES("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
     BYTES("[pong|Hello]")},
    {__LINE__, 1002, 2, ANY, BYTES("\x81\x05\x48\x65\x6c\x6c\x6f"), BYTES("")},
    {__LINE__, 1002, 2, ANY, BYTES("\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"), BYTES("")},
    {__LINE__, 1002, 2, ANY, BYTES("\x89\x05\x48\x65\x6c\x6c\x6f"), BYTES("")},
};
/* clang-format on */

/* Puts a mask on every frame, as far as there are frames. */
static void put_mask(struct span s, char *p, const char mask[4])
{
    for (size_t at = 0; at + 2 <= s.n && (s.p[at + 1] & 0x80) != 0;) {
        uint64_t size = (unsigned char)s.p[at + 1] & 0x7F;
        size_t width = size == 126 ? 2 : size == 127 ? 8 : 0;
        at += 2;
        for (size_t i = 0; i < width && at < s.n; i++, at++)
            size = (i == 0 ? 0 : size << 8) | (unsigned char)s.p[at];
        for (size_t i = 0; i < 4 && at < s.n; i++, at++)
            p[at] = (char)(p[at] ^ mask[i]);
        for (size_t i = 0; i < size && at < s.n; i++, at++)
            p[at] = (char)(p[at] ^ mask[i % 4]);
    }
}

static void expect(const struct row *r, struct ws_log log, const char *how)
{
    int line = r->line;
    struct span text = {log.text.p, log.text.n};
    ck_assert_msg(log.result == -r->code, "line %d, %s: gives %d", line, how, log.result);
    ck_assert_msg(span_eq(text, r->log), "line %d, %s: %.*s", line, how, (int)text.n, text.p);
    if (r->code != 0)
        ck_assert_msg(log.before < r->at && r->at <= log.at, "line %d, %s: at %zu to %zu", line,
                      how, log.before + 1, log.at);
    free(log.text.p);
}

static size_t random_size(void *arg, size_t left)
{
    uint64_t *state = arg;
    size_t small = 1 + random_next(state) % 8, large = 1 + random_next(state) % left;
    size_t n = random_next(state) % 4 == 0 ? large : small;
    return n < left ? n : left;
}

/* The stream as it is, in every way. */
static void expect_all(const struct row *r, struct span s)
{
    uint64_t random = (uint64_t)r->line;
    struct ws_log one = ws_collect(s, r->most, ws_one, NULL), plain = ws_plain(s, r->most);
    ck_assert_msg(one.idles == plain.idles, "line %d: idle %zu times", r->line, one.idles);
    expect(r, one, "byte by byte");
    expect(r, plain, "plain");
    expect(r, ws_collect(s, r->most, ws_whole, NULL), "whole");
    for (size_t first = 1; first < s.n; first++) {
        expect(r, ws_collect(s, r->most, ws_cuts, (size_t[]){first, 0}), "in two");
        for (size_t next = 1; s.n < 30 && next < s.n - first; next++)
            expect(r, ws_collect(s, r->most, ws_cuts, (size_t[]){first, next}), "in three");
    }
    for (int i = 0; i < 20; i++)
        expect(r, ws_collect(s, r->most, random_size, &random), "at random");
}

START_TEST(follows_rows)
{
    const struct row *r = &rows[_i];
    static const char masks[][4] = {{0}, {1, 2, 3, 4}, {-1, -1, 0, 0x55}, {0, 0, 0, -128}};
    for (size_t i = 0; i < COUNT(masks); i++) {
        char *p = on_heap(r->stream);
        put_mask(r->stream, p, masks[i]);
        expect_all(r, (struct span){p, r->stream.n});
        free(p);
    }
}
END_TEST

START_TEST(follows_examples)
{
    expect_all(&examples[_i], examples[_i].stream);
}
END_TEST

/* ---- all of a kind ---- */

/* Each first byte there is, between messages and inside one. */
START_TEST(every_first_byte)
{
    static const unsigned outside[] = {0x01, 0x02, 0x81, 0x82, 0x88, 0x89, 0x8A};
    static const unsigned inside[] = {0x00, 0x80, 0x88, 0x89, 0x8A};
    for (unsigned i = 0; i < 512; i++) {
        unsigned first = i % 256;
        bool good = false;
        for (size_t k = 0; k < (i < 256 ? COUNT(outside) : COUNT(inside)); k++)
            good |= first == (i < 256 ? outside[k] : inside[k]);
        char buf[] = "\x01\x80" K "?";
        buf[6] = (char)first;
        struct span s = i < 256 ? (struct span){buf + 6, 1} : (struct span){buf, 7};
        struct ws_log log = ws_collect(s, ANY, ws_whole, NULL);
        ck_assert_msg(log.result == (good ? 0 : -1002), "%s %02x gives %d",
                      i < 256 ? "outside" : "inside", first, log.result);
        free(log.text.p);
    }
}
END_TEST

/* Codes that stand in a close, from RFC 6455 section 7.4 and IANA's registry. */
static bool may_be_sent(unsigned code)
{
    if (code < 1000 || code >= 5000)
        return false; /* 7.4.2: not used; not defined */
    if (code < 3000)
        return code <= 1014 && code != 1004 && code != 1005 && code != 1006;
    return true; /* 3000-3999 registered, 4000-4999 private */
}

START_TEST(every_code)
{
    for (unsigned code = 0; code < 65536; code++) {
        char buf[] = "\x88\x82" K "??", out[4];
        buf[6] = (char)(code >> 8);
        buf[7] = (char)code;
        struct ws w = {0};
        struct ws_piece p;
        size_t took;
        int result = ws_read(&w, buf, 8, 0, &took, &p);
        ck_assert_msg(result == (may_be_sent(code) ? 1 : -1002), "code %u gives %d", code, result);
        if (result < 0)
            continue;
        ck_assert_uint_eq(p.code, code);
        ck_assert(p.opcode == WS_CLOSE && p.data.n == 0 && took == 8 && ws_idle(&w));
        ck_assert_uint_eq(ws_close(out, code, SPAN("")), 4);
        ck_assert(memcmp(out, (const char[]){-120, 2, buf[6], buf[7]}, 4) == 0);
    }
}
END_TEST

/* Where the sizes of a message's frames add up to more than a number holds, and where the limit has
 * shrunk below what was announced before. */
START_TEST(size_does_not_wrap)
{
    static const struct {
        int line, result;
        uint64_t size, most;
        const char *frame;
    } sums[] = {
        {__LINE__, 1, UINT64_MAX - 2, UINT64_MAX, "\x80\x82....ab"},
        {__LINE__, -1009, UINT64_MAX - 2, UINT64_MAX, "\x80\x83....abc"},
        {__LINE__, 1, 7, 9, "\x80\x82....ab"},
        {__LINE__, -1009, 8, 9, "\x80\x82....ab"},
        {__LINE__, -1009, 10, 9, "\x80\x82....ab"},
        {__LINE__, -1009, 10, 0, "\x80\x82....ab"},
    };
    for (size_t i = 0; i < COUNT(sums); i++) {
        struct ws w = {.message = WS_BINARY, .given = true, .size = sums[i].size};
        struct ws_piece p;
        struct span s = span_of(sums[i].frame);
        char *buf = on_heap(s);
        size_t took;
        ck_assert_msg(ws_read(&w, buf, s.n, sums[i].most, &took, &p) == sums[i].result, "line %d",
                      sums[i].line);
        free(buf);
    }
}
END_TEST

/* ---- payload ---- */

/* Every length around a word or four, every phase of the mask, every place in memory. */
START_TEST(unmasks)
{
    static const char mask[4] = {0x37, -6, 0x21, 0x3d};
    for (size_t n = 1; n < 80; n++) {
        for (size_t cut = 0; cut < n; cut++) {
            size_t place = (n + cut) % 8, took;
            char *block = malloc(place + n), *buf = block + place, head[6] = {-126};
            struct ws w = {0};
            struct ws_piece p;
            head[1] = (char)(0x80 | n);
            memcpy(head + 2, mask, 4);
            ck_assert_int_eq(ws_read(&w, head, 6, n, &took, &p), 0);
            for (size_t i = 0; i < n; i++)
                buf[i] = (char)((char)(i * 7 + n) ^ mask[i % 4]);
            ck_assert(cut == 0 || ws_read(&w, buf, cut, n, &took, &p) == 1);
            ck_assert_int_eq(ws_read(&w, buf + cut, n - cut, n, &took, &p), 1);
            ck_assert(p.data.p == buf + cut && p.data.n == n - cut && p.last && ws_idle(&w));
            for (size_t i = 0; i < n; i++)
                ck_assert_msg(buf[i] == (char)(i * 7 + n), "%zu bytes, cut at %zu", n, cut);
            free(block);
        }
    }
}
END_TEST

/* A frame of 256 MiB through one buffer. */
START_TEST(large_frame)
{
    const size_t all = 256u << 20, step = _i == 0 ? 65536 : 65535 * 4;
    char *plain = malloc(step), *masked = malloc(step), *buf = malloc(step);
    char head[] = "\x82\xFF\0\0\0\0\x10\0\0\0\x01\x80\x7F\x33";
    struct ws w = {0};
    struct ws_piece p;
    size_t took;
    for (size_t i = 0; i < step; i++) {
        plain[i] = (char)(i * 31 + i / 256);
        masked[i] = (char)(plain[i] ^ head[10 + i % 4]);
    }
    ck_assert_int_eq(ws_read(&w, head, 14, all - 1, &took, &p), -1009);
    w = (struct ws){0};
    ck_assert_int_eq(ws_read(&w, head, 14, all, &took, &p), 0);
    ck_assert_uint_eq(w.size, all);
    for (size_t got = 0; got < all; got += p.data.n) {
        memcpy(buf, masked, step);
        ck_assert(!ws_idle(&w));
        ck_assert_int_eq(ws_read(&w, buf, step, all, &took, &p), 1);
        ck_assert(p.data.p == buf && p.data.n == took && p.opcode == WS_BINARY);
        ck_assert_uint_eq(took, all - got < step ? all - got : step);
        ck_assert(p.first == (got == 0) && p.last == (got + took == all));
        ck_assert(memcmp(buf, plain, took) == 0 &&
                  memcmp(buf + took, masked + took, step - took) == 0);
    }
    ck_assert(ws_idle(&w));
    free(plain);
    free(masked);
    free(buf);
}
END_TEST

/* A control frame in one read stays where it lies; one that was cut is in the struct. Either way
 * the state may be dropped after it. */
START_TEST(control_in_place)
{
    char buf[] = "\x89\x85" K "Hello";
    struct ws w = {0};
    struct ws_piece p;
    size_t took;
    ck_assert_int_eq(ws_read(&w, buf, 11, 0, &took, &p), 1);
    ck_assert(p.data.p == buf + 6 && p.data.n == 5 && took == 11 && ws_idle(&w));
    ck_assert_int_eq(ws_read(&w, buf, 8, 0, &took, &p), 0);
    ck_assert(!ws_idle(&w));
    ck_assert_int_eq(ws_read(&w, buf + 8, 3, 0, &took, &p), 1);
    ck_assert(p.data.p == w.kept && span_eq(p.data, SPAN("Hello")) && ws_idle(&w));
}
END_TEST

START_TEST(nothing_to_read)
{
    struct ws w = {0};
    struct ws_piece p;
    size_t took = 1;
    ck_assert_int_eq(ws_read(&w, NULL, 0, 0, &took, &p), 0);
    ck_assert(took == 0 && ws_idle(&w));
}
END_TEST

/* ---- random streams ---- */

static size_t random_length(uint64_t *random, bool large)
{
    static const size_t edges[] = {0, 1, 124, 125, 126, 127, 65535, 65536, 65537};
    switch (random_next(random) % 8) {
    case 0:
        return edges[random_next(random) % (large ? 9 : 6)];
    case 1:
        return random_next(random) % (large ? 100000 : 400);
    default:
        return random_next(random) % 20;
    }
}

/* Random characters, or bytes; n of them at least. */
static void random_data(struct ws_bytes *b, uint64_t *random, bool text, size_t n)
{
    static const uint32_t from[] = {0, 0x80, 0x800, 0x10000},
                          to[] = {0x80, 0x800, 0xD800, 0x110000};
    static const unsigned lead[] = {0, 0xC0, 0xE0, 0xF0};
    for (b->n = 0; b->n < n;) {
        uint64_t more = text && random_next(random) % 4 == 0 ? random_next(random) % 4 : 0;
        uint32_t span = to[more] - from[more];
        uint32_t code = from[more] + (uint32_t)(random_next(random) % span);
        if (!text)
            code = (uint32_t)(random_next(random) % 256);
        ws_put_byte(b, lead[more] | code >> 6 * more);
        for (; more > 0; more--)
            ws_put_byte(b, 0x80 | (code >> 6 * (more - 1) & 0x3F));
    }
}

struct random_stream {
    uint64_t *random;
    struct ws_bytes stream, data;
    struct ws_log log;
};

static void add_frame(struct random_stream *r, unsigned first, struct span data)
{
    char mask[4];
    for (int i = 0; i < 4; i++)
        mask[i] = (char)random_next(r->random);
    ws_put_frame(&r->stream, first, data.n < 126 ? 0 : data.n < 65536 ? 2 : 8, data, mask);
}

static void add_control(struct random_stream *r)
{
    char data[125];
    size_t n = random_next(r->random) % 3 == 0 ? 125 : random_next(r->random) % 10;
    for (size_t i = 0; i < n; i++)
        data[i] = (char)random_next(r->random);
    unsigned opcode = random_next(r->random) % 2 == 0 ? WS_PING : WS_PONG;
    add_frame(r, 0x80 | opcode, (struct span){data, n});
    ws_log_piece(&r->log, opcode, 0, (struct span){data, n});
}

/* A message, in fragments of any size, with control frames anywhere between. */
static void add_message(struct random_stream *r, bool large)
{
    unsigned opcode = random_next(r->random) % 2 == 0 ? WS_TEXT : WS_BINARY, first = opcode;
    random_data(&r->data, r->random, opcode == WS_TEXT, random_length(r->random, large));
    struct span data = {r->data.p, r->data.n};
    while (random_next(r->random) % 2 == 0) {
        size_t n = random_next(r->random) % (data.n + 1);
        add_frame(r, first, (struct span){data.p, n});
        data = span_from(data, n);
        first = WS_CONTINUATION;
        while (random_next(r->random) % 4 == 0)
            add_control(r);
    }
    add_frame(r, 0x80 | first, data);
    ws_log_piece(&r->log, opcode, 0, (struct span){r->data.p, r->data.n});
}

static struct random_stream random_stream(uint64_t *random, bool large)
{
    struct random_stream r = {.random = random};
    random_data(&r.data, random, false, 1);
    for (uint64_t n = 1 + random_next(random) % 8; n > 0; n--) {
        add_message(&r, large);
        while (random_next(random) % 4 == 0)
            add_control(&r);
    }
    if (random_next(random) % 4 == 0) {
        add_frame(&r, 0x88,
                  SPAN("\x0F\xA0"
                       "gap"));
        ws_log_piece(&r.log, WS_CLOSE, 4000, SPAN("gap"));
    }
    return r;
}

static void free_stream(struct random_stream *r)
{
    free(r->stream.p);
    free(r->data.p);
    free(r->log.text.p);
}

/* What was put in frames comes out of them. */
START_TEST(random_streams)
{
    uint64_t start = seed(), random = start;
    for (int round = 0; round < 600; round++) {
        struct random_stream r = random_stream(&random, round % 20 == 0);
        struct span s = {r.stream.p, r.stream.n};
        for (int way = 0; way < 4; way++) {
            struct ws_log log = ws_collect(s, 1 << 20, way == 0 ? ws_whole : random_size, &random);
            ck_assert_msg(ws_same(&log, &r.log), "round %d, way %d, " SEED_FMT, round, way, start);
            free(log.text.p);
        }
        free_stream(&r);
    }
}
END_TEST

/* The same with a few bytes wrong: the plain reader tells what is to come of it. */
START_TEST(random_damage)
{
    uint64_t start = seed(), random = start;
    int wrong = 0;
    for (int round = 0; round < 1500; round++) {
        struct random_stream r = random_stream(&random, false);
        struct span s = {r.stream.p, r.stream.n};
        for (uint64_t n = random_next(&random) % 4; n > 0; n--)
            r.stream.p[random_next(&random) % s.n] ^= (char)(1 << random_next(&random) % 8);
        s.n -= random_next(&random) % s.n / 4;
        uint64_t most = random_next(&random) % 2 == 0 ? 400 : UINT64_MAX;
        struct ws_log plain = ws_plain(s, most), one = ws_collect(s, most, ws_one, NULL);
        ck_assert_msg(ws_same(&one, &plain) && ws_same_place(&plain, &one) &&
                          one.idles == plain.idles,
                      "round %d, " SEED_FMT, round, start);
        for (int way = 0; way < 4; way++) {
            struct ws_log log = ws_collect(s, most, way == 0 ? ws_whole : random_size, &random);
            ck_assert_msg(ws_same(&log, &plain) && ws_same_place(&plain, &log),
                          "round %d, way %d, " SEED_FMT, round, way, start);
            free(log.text.p);
        }
        wrong += plain.result < 0;
        free(plain.text.p);
        free(one.text.p);
        free_stream(&r);
    }
    ck_assert_msg(wrong > 100 && wrong < 1400, "%d wrong, " SEED_FMT, wrong, start);
}
END_TEST

/* ---- frames out ---- */

static const struct {
    int line;
    enum ws_opcode opcode;
    uint64_t size;
    struct span head;
} heads[] = {
    /* section 5.7 */
    {__LINE__, WS_TEXT, 5, BYTES("\x81\x05")},
    {__LINE__, WS_PING, 5, BYTES("\x89\x05")},
    {__LINE__, WS_BINARY, 256, BYTES("\x82\x7E\x01\x00")},
    {__LINE__, WS_BINARY, 65536, BYTES("\x82\x7F\0\0\0\0\0\x01\0\0")},
    /* where the form changes */
    {__LINE__, WS_TEXT, 0, BYTES("\x81\x00")},
    {__LINE__, WS_TEXT, 125, BYTES("\x81\x7D")},
    {__LINE__, WS_TEXT, 126, BYTES("\x81\x7E\x00\x7E")},
    {__LINE__, WS_TEXT, 127, BYTES("\x81\x7E\x00\x7F")},
    {__LINE__, WS_TEXT, 65535, BYTES("\x81\x7E\xFF\xFF")},
    {__LINE__, WS_TEXT, 0x0123456789ABCDEF, BYTES("\x81\x7F\x01\x23\x45\x67\x89\xAB\xCD\xEF")},
    {__LINE__, WS_TEXT, INT64_MAX, BYTES("\x81\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF")},
    {__LINE__, WS_PONG, 0, BYTES("\x8A\x00")},
    {__LINE__, WS_PONG, 125, BYTES("\x8A\x7D")},
    {__LINE__, WS_CLOSE, 2, BYTES("\x88\x02")},
};

START_TEST(writes_heads)
{
    char *out = malloc(heads[_i].head.n);
    size_t n = ws_head(out, heads[_i].opcode, heads[_i].size);
    ck_assert_msg(span_eq((struct span){out, n}, heads[_i].head), "line %d", heads[_i].line);
    free(out);
}
END_TEST

#define EURO     "\xE2\x82\xAC"
#define EURO_10  EURO EURO EURO EURO EURO EURO EURO EURO EURO EURO
#define EURO_40  EURO_10 EURO_10 EURO_10 EURO_10 /* 120 bytes */
#define SMILE    "\xF0\x9F\x98\x80"
#define SMILE_10 SMILE SMILE SMILE SMILE SMILE SMILE SMILE SMILE SMILE SMILE
#define SMILE_30 SMILE_10 SMILE_10 SMILE_10 /* 120 bytes */

static const struct {
    int line;
    unsigned code;
    struct span reason, frame;
} closes[] = {
    {__LINE__, 1005, BYTES(""), BYTES("\x88\x00")},
    {__LINE__, 1000, BYTES(""), BYTES("\x88\x02\x03\xE8")},
    {__LINE__, 1001, BYTES("bye"),
     BYTES("\x88\x05\x03\xE9"
           "bye")},
    {__LINE__, 4000, BYTES("gap"), BYTES("\x88\x05\x0F\xA0gap")},
    {__LINE__, 1009, BYTES(EURO_40 "abc"), BYTES("\x88\x7D\x03\xF1" EURO_40 "abc")},
    {__LINE__, 1009, BYTES(EURO_40 "abcd"), BYTES("\x88\x7D\x03\xF1" EURO_40 "abc")},
    {__LINE__, 1009, BYTES(EURO_40 EURO), BYTES("\x88\x7D\x03\xF1" EURO_40 EURO)},
    {__LINE__, 1009, BYTES(EURO_40 EURO "a"), BYTES("\x88\x7D\x03\xF1" EURO_40 EURO)},
    {__LINE__, 1009, BYTES(EURO_40 "a" EURO), BYTES("\x88\x7B\x03\xF1" EURO_40 "a")},
    {__LINE__, 1009, BYTES(EURO_40 "ab" EURO), BYTES("\x88\x7C\x03\xF1" EURO_40 "ab")},
    {__LINE__, 1009, BYTES(EURO_40 "abc" EURO), BYTES("\x88\x7D\x03\xF1" EURO_40 "abc")},
    {__LINE__, 1009, BYTES(EURO_40 "abc\xC3\xA9"), BYTES("\x88\x7D\x03\xF1" EURO_40 "abc")},
    {__LINE__, 1009, BYTES(EURO_40 "ab\xC3\xA9"), BYTES("\x88\x7C\x03\xF1" EURO_40 "ab")},
    {__LINE__, 1009, BYTES(SMILE_30 SMILE), BYTES("\x88\x7A\x03\xF1" SMILE_30)},
    {__LINE__, 1009, BYTES(SMILE_30 SMILE SMILE_30), BYTES("\x88\x7A\x03\xF1" SMILE_30)},
};

START_TEST(writes_closes)
{
    struct span frame = closes[_i].frame;
    char *out = malloc(frame.n), *reason = on_heap(closes[_i].reason);
    size_t n = ws_close(out, closes[_i].code, (struct span){reason, closes[_i].reason.n});
    ck_assert_msg(span_eq((struct span){out, n}, frame), "line %d", closes[_i].line);
    ck_assert_uint_le(n, WS_CLOSE_MAX);
    free(out);
    free(reason);
}
END_TEST

START_TEST(close_without_reason)
{
    char out[WS_CLOSE_MAX];
    ck_assert_uint_eq(ws_close(out, 1000, (struct span){NULL, 0}), 4);
    ck_assert_uint_eq(ws_close(out, 1005, (struct span){NULL, 0}), 2);
}
END_TEST

#define CONTRACTS 11

START_TEST(breaks_a_contract)
{
    char out[WS_CLOSE_MAX];
    switch (_i) {
    case 0:
        ws_head(out, WS_PING, 126);
        break;
    case 1:
        ws_head(out, WS_CLOSE, 126);
        break;
    case 2:
        ws_head(out, WS_CONTINUATION, 1);
        break;
    case 3:
        ws_head(out, (enum ws_opcode)11, 1);
        break;
    case 4:
        ws_head(out, WS_TEXT, UINT64_C(1) << 63);
        break;
    case 5:
        ws_close(out, 999, SPAN(""));
        break;
    case 6:
        ws_close(out, 1006, SPAN(""));
        break;
    case 7:
        ws_close(out, 1005, SPAN("reason"));
        break;
    case 8:
        ws_close(out, 1000, SPAN("\xFF"));
        break;
    case 9:
        ws_close(out, 66536, SPAN("")); /* 1000 + 2^16 */
        break;
    default:
        ws_accept(out, SPAN("short"));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ws");
    TCase *c = tcase_create("handshake");
    tcase_add_loop_test(c, accepts, 0, COUNT(handshakes));
    tcase_add_loop_test(c, refuses_keys, 0, COUNT(wrong_keys));
    tcase_add_test(c, key_of_nothing);
    suite_add_tcase(s, c);
    c = tcase_create("in");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, follows_rows, 0, COUNT(rows));
    tcase_add_loop_test(c, follows_examples, 0, COUNT(examples));
    tcase_add_test(c, every_first_byte);
    tcase_add_test(c, every_code);
    tcase_add_test(c, size_does_not_wrap);
    tcase_add_test(c, unmasks);
    tcase_add_loop_test(c, large_frame, 0, 2);
    tcase_add_test(c, control_in_place);
    tcase_add_test(c, nothing_to_read);
    tcase_add_test(c, random_streams);
    tcase_add_test(c, random_damage);
    suite_add_tcase(s, c);
    c = tcase_create("out");
    tcase_add_loop_test(c, writes_heads, 0, COUNT(heads));
    tcase_add_loop_test(c, writes_closes, 0, COUNT(closes));
    tcase_add_test(c, close_without_reason);
    tcase_add_loop_test_raise_signal(c, breaks_a_contract, SIGABRT, 0, CONTRACTS);
    suite_add_tcase(s, c);
    return run(s);
}
