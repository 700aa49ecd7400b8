/*
 * eventsource.c - any bytes as what a server sends a client: the head of an answer, and a stream of
 * events, which is read alike in pieces of any size as a plain reader reads it that has it whole.
 *
 * The first byte says how the stream is cut, the second what memory there is.
 */
#include "lib/eventsource.h"

#include "lib/reply.h"
#include "test/kit/model_eventsource.h"

#include <assert.h>
#include <stdlib.h>

static char out[1 << 17], model[1 << 17];

/* A head is read the same whatever follows it, and never before it is complete. */
static void head(struct span s)
{
    struct reply all, part;
    int n = reply_read(s, &all);
    if (n > 0) {
        assert((size_t)n <= s.n && all.status >= 100 && all.status <= 599);
        assert(!(all.chunked && all.sized));
        assert(reply_read((struct span){s.p, (size_t)n}, &part) == n && part.status == all.status);
        assert(reply_read((struct span){s.p, (size_t)n - 1}, &part) == 0);
    }
}

static void stream(struct span s, size_t piece, size_t cap)
{
    struct text t = text_in(out, sizeof(out) - 1);
    char *memory = malloc(cap + 1);
    struct eventsource *es = malloc(sizeof(*es));
    bool large = false;
    assert(memory != NULL && es != NULL);
    eventsource_init(es, memory, cap);
    eventsource_begin(es);
    for (struct span rest = s; rest.n > 0 && !large;) {
        size_t took, n = piece < rest.n ? piece : rest.n;
        enum eventsource_result r = eventsource_feed(es, (struct span){rest.p, n}, &took);
        assert(took <= n && (r != EVENTSOURCE_MORE || took == n));
        large = r == EVENTSOURCE_LARGE;
        if (r == EVENTSOURCE_EVENT)
            model_event(&t, es->event, es->data, es->id);
        rest = span_from(rest, took);
    }
    model_end(&t, es->id, es->retry_ms);
    out[t.n] = '\0';
    free(es);
    free(memory);
    if (large || t.full)
        return;
    model_read(s, model, sizeof(model));
    assert(strcmp(out, model) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 8192)
        return 0;
    struct span s = {(const char *)data + 2, size - 2};
    head(s);
    stream(s, data[0] % 32u + 1, data[1] < 128 ? data[1] : s.n + 1);
    return 0;
}
