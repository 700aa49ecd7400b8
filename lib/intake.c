/*
 * intake.c - the messages of a body, as its bytes arrive.
 */
#include "intake.h"

#include <assert.h>

void intake_init(struct intake *in, struct span topic, struct span event, uint8_t batch_kind,
                 bool binary)
{
    *in = (struct intake){.batch.kind = batch_kind,
                          .topic_size = (uint16_t)topic.n,
                          .event_size = (uint16_t)event.n,
                          .binary = binary};
    memcpy(in->bytes, topic.p, topic.n);
    if (event.n > 0)
        memcpy(in->bytes + topic.n, event.p, event.n);
}

static struct span event_of(const struct intake *in)
{
    return (struct span){in->bytes + in->topic_size, in->event_size};
}

static char *undigested(struct intake *in)
{
    return in->bytes + in->topic_size + in->event_size;
}

bool intake_fits(const struct intake *in, size_t more, uint64_t most)
{
    if (in->batch.kind != 0)
        /* what arrives at once may hold many messages: the rest of one counts, and what came */
        return in->have <= 6 * most + 2 * 256 + 1024 || more == 0;
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
        *m = (struct batch_message){event_of(in), {bytes, in->have}, in->binary != 0};
        return BATCH_MESSAGE;
    }
    enum batch_result got =
        batch_next(&in->batch, bytes + in->from, in->have - in->from, end, &took, m, why);
    in->from += (uint32_t)took;
    assert(in->from <= in->have);
    if (got == BATCH_MESSAGE && m->event.n == 0)
        m->event = event_of(in);
    if (got == BATCH_MORE) {
        memmove(bytes, bytes + in->from, in->have - in->from);
        in->have -= in->from;
        in->from = 0;
    }
    return got;
}

void intake_where(const struct intake *in, struct text *t)
{
    if (in->batch.kind == 0)
        return;
    text_str(t, "line ");
    text_u64(t, in->batch.lines + 1);
    text_str(t, " (");
    text_u64(t, in->count);
    text_str(t, " messages before it are published): ");
}
