/*
 * stream.h - the parts of an event stream that are not messages (HTML standard, section 9.2.6).
 */
#ifndef SSE_LIB_STREAM_H
#define SSE_LIB_STREAM_H

#include "lib/cursor.h"

/* Appends the opening block: "retry: MS", and "id: CURSOR" unless it is NULL, and the empty line. A
 * block without data fires no event, but sets the reconnection time and the last event id. */
void stream_open(struct text *t, uint64_t retry_ms, const struct cursor *id);

/* Appends "retry: MS" without the empty line: a client applies it as soon as it has read the
 * line. */
void stream_retry(struct text *t, uint64_t retry_ms);

/* Appends the event "hello", with "id: CURSOR" unless it is NULL. It shows a page that the stream
 * comes through, and where it begins: a page sees no opening block, and many libraries take an id
 * only from a block that has data. */
void stream_hello(struct text *t, const struct cursor *id);

/* Appends the event "heartbeat", whose data is {"id":"CURSOR"} and whose id is the cursor: a
 * heartbeat that a page can see. */
void stream_heartbeat(struct text *t, struct cursor id);

/* Appends a checkpoint for NDJSON lines and JSON frames, {"id":"CURSOR"}; or, as a `heartbeat`,
 * {"heartbeat":{"id":"CURSOR"}}. */
void stream_id_object(struct text *t, struct cursor id, bool heartbeat);

/* Appends what tells of the end of a topic, {"ended":{"topic":"NAME","id":"ID"}}, in lines and
 * frames; `id` is that of its last record. The event is event_ended() (lib/event.h). */
void stream_ended_object(struct text *t, struct span topic, struct cursor id);

/* Appends a block that only sets the last event id: a checkpoint. */
void stream_checkpoint(struct text *t, struct cursor id);

/* Appends a gap as JSON: {"reason":"expired|unknown|lagged","after":"..","oldest":".."}. `after` is
 * the client's cursor as it came; null if it is over 128 bytes or not UTF-8. `resume` is the cursor
 * to go on from; "oldest" is the id after it, or null unless `any` message follows. */
void stream_gap_object(struct text *t, const char *reason, struct span after, struct cursor resume,
                       bool any);

/* Appends the event "gap" with that object as its data and `resume` as its id. */
void stream_gap(struct text *t, const char *reason, struct span after, struct cursor resume,
                bool any);

#endif
