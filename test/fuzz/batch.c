/*
 * batch.c - batch.h: the messages are the same however the body is cut, and of an event
 * stream those that a plain reader finds.
 *
 * Of the input the first byte's lowest bit is the kind of body, its others are the seed of a random
 * split.
 */
#include "lib/batch.h"

#include <assert.h>

#include "test/kit/model_batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t random_size(void *arg, size_t left)
{
    uint32_t *state = arg;
    *state = *state * 1664525 + 1013904223;
    size_t n = 1 + (*state >> 28);
    return n < left ? n : left;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span body = {(const char *)data + 1, size - 1};
    enum batch_kind kind = (data[0] & 1) != 0 ? BATCH_NDJSON : BATCH_EVENT_STREAM;
    uint32_t random = data[0];
    size_t cut = body.n / 2;
    struct batch_log whole = batch_collect(kind, body, batch_whole, NULL, false);
    struct batch_log others[] = {
        batch_collect(kind, body, batch_whole, NULL, true),
        batch_collect(kind, body, batch_byte, NULL, false),
        batch_collect(kind, body, batch_byte, NULL, true),
        batch_collect(kind, body, random_size, &random, false),
        batch_collect(kind, body, batch_cut, &cut, true),
        kind == BATCH_EVENT_STREAM ? plain_read(body)
                                   : batch_collect(kind, body, random_size, &random, true),
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert(batch_same(&whole, &others[i]));
        free(others[i].p);
    }
    free(whole.p);
    return 0;
}
