/*
 * ws.c - ws.h: a stream of frames is the same however it is cut, and what a plain reader finds
 * in it; and what is written is read back.
 *
 * Of the input the first byte is the seed of random splits, the second chooses the largest message.
 */
#include <assert.h>

#include "test/kit/model_ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t random_size(void *arg, size_t left)
{
    uint32_t *state = arg;
    *state = *state * 1664525 + 1013904223;
    size_t n = 1 + (*state >> 27);
    return n < left ? n : left;
}

/* The stream in every way. */
static void streams(struct span s, uint32_t random, uint64_t most)
{
    size_t half[2] = {s.n / 2, 0}, thirds[2] = {s.n / 3, s.n / 3};
    struct ws_log plain = ws_plain(s, most), one = ws_collect(s, most, ws_one, NULL);
    assert(ws_same(&plain, &one) && ws_same_place(&plain, &one) && plain.idles == one.idles);
    struct ws_log others[] = {
        ws_collect(s, most, ws_whole, NULL),       ws_collect(s, most, ws_cuts, half),
        ws_collect(s, most, ws_cuts, thirds),      ws_collect(s, most, random_size, &random),
        ws_collect(s, most, random_size, &random),
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert(ws_same(&plain, &others[i]) && ws_same_place(&plain, &others[i]));
        free(others[i].text.p);
    }
    free(plain.text.p);
    free(one.text.p);
}

/* What the server sends, made a client's: a mask goes in. */
static void read_back(struct span sent, const char mask[4], uint64_t most, struct span log)
{
    struct ws_bytes b = {NULL, 0, 0};
    size_t head = (unsigned char)sent.p[1] == 127 ? 10 : sent.p[1] == 126 ? 4 : 2;
    ws_put_frame(&b, (unsigned char)sent.p[0], head - 2, span_from(sent, head), mask);
    assert(b.n == sent.n + 4);
    struct ws_log got = ws_collect((struct span){b.p, b.n}, most, ws_whole, NULL);
    assert(got.result == 0 && span_eq((struct span){got.text.p, got.text.n}, log));
    free(got.text.p);
    free(b.p);
}

/* The input as a message and as the reason of a close. */
static void writes(struct span s)
{
    const char *mask = s.n >= 4 ? s.p : "mask";
    bool text = utf8_valid(s) == s.n;
    char head[WS_HEAD_MAX], close[WS_CLOSE_MAX];
    struct ws_bytes frame = {NULL, 0, 0};
    struct ws_log log = {.result = 0};
    enum ws_opcode opcode = text ? WS_TEXT : WS_BINARY;
    ws_put(&frame, (struct span){head, ws_head(head, opcode, s.n)});
    ws_put(&frame, s);
    ws_log_piece(&log, opcode, 0, s);
    read_back((struct span){frame.p, frame.n}, mask, s.n, (struct span){log.text.p, log.text.n});
    log.text.n = 0;
    if (text) {
        size_t n = ws_close(close, 4000, s);
        assert(n <= s.n + 4 && n >= (s.n < 123 ? s.n : 120) + 4);
        ws_log_piece(&log, WS_CLOSE, 4000, (struct span){s.p, n - 4});
        read_back((struct span){close, n}, mask, 0, (struct span){log.text.p, log.text.n});
    }
    free(frame.p);
    free(log.text.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t most[] = {0, 5, 125, 126, 1000, 65535, 65536, UINT64_MAX};
    if (size < 2)
        return 0;
    struct span s = {(const char *)data + 2, size - 2};
    streams(s, data[0], most[data[1] % (sizeof(most) / sizeof(most[0]))]);
    writes(s);
    return 0;
}
