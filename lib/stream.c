/*
 * stream.c - the parts of an event stream that are not messages.
 */
#include "lib/stream.h"

#include <assert.h>

#include "lib/json.h"
#include "lib/utf8.h"

#define AFTER_MAX 128u

void stream_retry(struct text *t, uint64_t retry_ms)
{
    text_str(t, "retry: ");
    text_u64(t, retry_ms);
    text_str(t, "\n");
}

void stream_open(struct text *t, uint64_t retry_ms, const struct cursor *id)
{
    stream_retry(t, retry_ms);
    if (id != NULL)
        stream_checkpoint(t, *id);
    else
        text_str(t, "\n");
}

void stream_hello(struct text *t, const struct cursor *id)
{
    text_str(t, "event: hello\ndata:\n"); /* an event needs data */
    if (id != NULL)
        stream_checkpoint(t, *id);
    else
        text_str(t, "\n");
}

void stream_heartbeat(struct text *t, struct cursor id)
{
    text_str(t, "event: heartbeat\ndata: ");
    stream_id_object(t, id, false);
    text_str(t, "\n");
    stream_checkpoint(t, id);
}

void stream_id_object(struct text *t, struct cursor id, bool heartbeat)
{
    text_str(t, heartbeat ? "{\"heartbeat\":{\"id\":\"" : "{\"id\":\"");
    cursor_write(t, id);
    text_str(t, heartbeat ? "\"}}" : "\"}");
}

void stream_ended_object(struct text *t, struct span topic, struct cursor id)
{
    text_str(t, "{\"ended\":{\"topic\":");
    json_string(t, topic);
    text_str(t, ",\"id\":\"");
    cursor_write(t, id);
    text_str(t, "\"}}");
}

void stream_checkpoint(struct text *t, struct cursor id)
{
    text_str(t, "id: ");
    cursor_write(t, id);
    text_str(t, "\n\n");
}

void stream_gap_object(struct text *t, const char *reason, struct span after, struct cursor resume,
                       bool any)
{
    assert(!any || resume.n < UINT64_MAX);
    text_str(t, "{\"reason\":");
    json_string(t, span_of(reason));
    text_str(t, ",\"after\":");
    if (after.n <= AFTER_MAX && utf8_valid(after) == after.n)
        json_string(t, after);
    else
        text_str(t, "null");
    text_str(t, ",\"oldest\":");
    if (any) {
        text_str(t, "\"");
        cursor_write(t, (struct cursor){resume.ms, resume.n + 1});
        text_str(t, "\"}");
    } else {
        text_str(t, "null}");
    }
}

void stream_gap(struct text *t, const char *reason, struct span after, struct cursor resume,
                bool any)
{
    text_str(t, "event: gap\ndata: ");
    stream_gap_object(t, reason, after, resume, any);
    text_str(t, "\n");
    stream_checkpoint(t, resume); /* the id comes last, as in messages */
}
