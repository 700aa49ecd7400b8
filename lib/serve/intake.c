/*
 * intake.c - the messages of a body, as its bytes arrive.
 */
#include "lib/serve/intake.h"

#include <assert.h>

/* The most bytes of text that a byte of data takes in a batch: a line end becomes a line of its
 * own, "data: \r\n"; an escape in JSON is at most 6 bytes. */
#define TEXT_PER_BYTE 8u

/* The same for the rest of a message: names of 255 bytes, all escaped, ids, times. */
#define TEXT_AROUND 4096u

void intake_init(struct intake *in, struct span topic, const struct batch_message *like,
                 uint8_t batch_kind)
{
    const struct span event = like->event, key = like->key;
    assert(topic.n <= UINT16_MAX && event.n <= UINT16_MAX && key.n <= UINT16_MAX);
    *in = (struct intake){.batch.kind = batch_kind,
                          .line = 1,
                          .topic_size = (uint16_t)topic.n,
                          .event_size = (uint16_t)event.n,
                          .key_size = (uint16_t)key.n,
                          .binary = like->binary,
                          .end = like->end};
    memcpy(in->bytes, topic.p, topic.n);
    if (event.n > 0)
        memcpy(in->bytes + topic.n, event.p, event.n);
    if (key.n > 0)
        memcpy(in->bytes + topic.n + event.n, key.p, key.n);
}

static struct span event_of(const struct intake *in)
{
    return (struct span){in->bytes + in->topic_size, in->event_size};
}

static char *undigested(struct intake *in)
{
    return in->bytes + in->topic_size + in->event_size + in->key_size;
}

bool intake_fits(const struct intake *in, size_t more, uint64_t most)
{
    if (in->batch.kind != 0)
        /* new bytes may hold many messages: only the incomplete one before them counts */
        return in->have <= TEXT_PER_BYTE * most + TEXT_AROUND || more == 0;
    return in->have + more <= most;
}

void intake_add(struct intake *in, struct span bytes)
{
    if (bytes.n > 0)
        memcpy(undigested(in) + in->have, bytes.p, bytes.n);
    in->have += (uint32_t)bytes.n;
}

enum batch_result intake_next(struct intake *in, bool end, struct batch_message *m,
                              const char **why)
{
    char *bytes = undigested(in);
    size_t took = 0;
    if (in->batch.kind == 0) {
        if (!end || in->given)
            return BATCH_MORE;
        in->given = 1;
        *m = (struct batch_message){.event = event_of(in),
                                    .key = {bytes - in->key_size, in->key_size},
                                    .data = {bytes, in->have},
                                    .binary = in->binary != 0,
                                    .end = in->end != 0};
        batch_end(m);
        return BATCH_MESSAGE;
    }
    enum batch_result got =
        batch_next(&in->batch, bytes + in->from, in->have - in->from, end, &took, m, why);
    in->from += (uint32_t)took;
    in->line = got == BATCH_MESSAGE ? in->batch.lines : in->batch.lines + 1;
    assert(in->from <= in->have);
    if (got == BATCH_MESSAGE && m->event.n == 0 && !m->bare)
        m->event = event_of(in);
    if (got == BATCH_MORE && in->from > 0) {
        memmove(bytes, bytes + in->from, in->have - in->from);
        in->have -= in->from;
        in->from = 0;
    }
    if (got == BATCH_MORE && end && in->end && !in->given) {
        in->given = 1;
        *m = (struct batch_message){.end = true, .bare = true};
        return BATCH_MESSAGE;
    }
    return got;
}

void intake_where(const struct intake *in, struct text *t)
{
    if (in->batch.kind == 0)
        return;
    text_str(t, "line ");
    text_u64(t, in->line);
    text_str(t, " (");
    text_u64(t, in->count);
    text_str(t, in->count == 1 ? " message before it is published): "
                               : " messages before it are published): ");
}
