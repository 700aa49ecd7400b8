/*
 * stream.h - the parts of an event stream that are not messages (HTML standard, section 9.2.6).
 */
#ifndef SSE_LIB_STREAM_H
#define SSE_LIB_STREAM_H

#include "lib/cursor.h"

/* Appends the opening block: "retry: MS", and "id: CURSOR" unless it is NULL, and the empty line. A
 * block without data fires no event, but sets the reconnection time and the last event id. */
void stream_open(struct text *t, uint64_t retry_ms, const struct cursor *id);

/* Appends the event "hello", with "id: CURSOR" unless it is NULL. It tells a page that what is sent
 * comes through, and where its stream begins: a page sees no opening block, and many libraries take
 * an id only from a block that has data. */
void stream_hello(struct text *t, const struct cursor *id);

/* Appends the event "heartbeat", whose data is {"id":"CURSOR"} and whose id is the cursor: a sign
 * of life that a page can see. */
void stream_heartbeat(struct text *t, struct cursor id);

/* Appends what lines and frames have for a checkpoint, {"id":"CURSOR"}; or, as a `heartbeat`,
 * {"heartbeat":{"id":"CURSOR"}}. */
void stream_id_object(struct text *t, struct cursor id, bool heartbeat);

/* Appends what tells of the end of a topic, {"ended":{"topic":"NAME","id":"ID"}}, in lines and
 * frames; `id` is that of its last record. The event is event_ended() (lib/event.h). */
void stream_ended_object(struct text *t, struct span topic, struct cursor id);

/* Appends a block that just sets the last event id: a checkpoint. */
void stream_checkpoint(struct text *t, struct cursor id);

/* Appends what a gap is: {"reason":"expired|unknown|lagged","after":"..","oldest":".."}. `after` is
 * the cursor the client had, as it came; null if it is over 128 bytes or not UTF-8. `resume` is the
 * cursor to go on from: the oldest message there is for the client is the next one, if `any` is. */
void stream_gap_object(struct text *t, const char *reason, struct span after, struct cursor resume,
                       bool any);

/* Appends the event that tells of a gap, with `resume` as its id. */
void stream_gap(struct text *t, const char *reason, struct span after, struct cursor resume,
                bool any);

#endif
