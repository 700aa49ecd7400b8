/*
 * model_batch.h - a body's messages, taken out in pieces of any size; and a second, plain reader of
 * text/event-stream to hold lib/batch against.
 *
 * What was taken out is written down as bytes: for each message a line "EVENT DATA t" or "EVENT
 * DATA b" with the sizes of event and data and then both.
 */
#ifndef SSE_TEST_KIT_MODEL_BATCH_H
#define SSE_TEST_KIT_MODEL_BATCH_H

#include <stdio.h>
#include <stdlib.h>

#include "lib/batch.h"

struct batch_log {
    char *p;
    size_t n, cap;
    enum batch_result result; /* the last one */
    uint64_t lines;
    const char *why;
};

static inline void *batch_alloc(void *old, size_t n)
{
    void *p = realloc(old, n > 0 ? n : 1);
    if (p == NULL)
        abort();
    return p;
}

static inline void log_bytes(struct batch_log *log, struct span s)
{
    if (s.n == 0)
        return;
    if (log->cap - log->n < s.n) {
        log->cap = (log->cap + s.n) * 2;
        log->p = batch_alloc(log->p, log->cap);
    }
    if (log->p != NULL)
        memcpy(log->p + log->n, s.p, s.n);
    log->n += s.n;
}

static inline void log_message(struct batch_log *log, const struct batch_message *m)
{
    char line[96];
    int n = snprintf(line, sizeof(line), "%zu %zu %c%s%s ", m->event.n, m->data.n,
                     m->binary ? 'b' : 't', m->end ? " ends" : "", m->bare ? " bare" : "");
    log_bytes(log, (struct span){line, (size_t)n});
    n = snprintf(line, sizeof(line), m->topic.p != NULL ? "topic %zu\n" : "\n", m->topic.n);
    log_bytes(log, (struct span){line, (size_t)n});
    log_bytes(log, m->topic);
    log_bytes(log, m->event);
    log_bytes(log, m->data);
}

/* ---- in pieces ---- */

/* Takes out what can be had of *buf, which is in heap memory of just its size and stays so. */
static inline void batch_drain(struct batch *b, char **buf, size_t *len, bool end,
                               struct batch_log *log)
{
    for (;;) {
        struct batch_message m;
        size_t took;
        log->result = batch_next(b, *buf, *len, end, &took, &m, &log->why);
        if (took > *len || (log->result == BATCH_MESSAGE && took == 0 && *len > 0))
            abort();
        if (log->result == BATCH_MESSAGE)
            log_message(log, &m);
        char *rest = batch_alloc(NULL, *len - took);
        if (*len > took)
            memcpy(rest, *buf + took, *len - took);
        free(*buf);
        *buf = rest;
        *len -= took;
        if (log->result != BATCH_MESSAGE)
            return;
    }
}

/* Takes all messages out of `body`, which comes in pieces of size(arg, bytes left); its end comes
 * with the last piece, or after it where `late`. free() the log's p. */
static inline struct batch_log batch_collect(enum batch_kind kind, struct span body,
                                             size_t (*size)(void *arg, size_t left), void *arg,
                                             bool late)
{
    struct batch_log log = {.result = BATCH_MORE, .why = ""};
    struct batch b = {.kind = (uint8_t)kind};
    char *buf = batch_alloc(NULL, 0);
    size_t len = 0;
    while (body.n > 0 && log.result == BATCH_MORE) {
        size_t n = size(arg, body.n);
        buf = batch_alloc(buf, len + n);
        memcpy(buf + len, body.p, n);
        len += n;
        body = span_from(body, n);
        batch_drain(&b, &buf, &len, body.n == 0 && !late, &log);
    }
    if (log.result == BATCH_MORE)
        batch_drain(&b, &buf, &len, true, &log);
    if (log.result == BATCH_MORE && len > 0)
        abort();
    log.lines = b.lines;
    free(buf);
    return log;
}

static inline size_t batch_whole(void *arg, size_t left)
{
    (void)arg;
    return left;
}

static inline size_t batch_byte(void *arg, size_t left)
{
    (void)arg;
    return left > 0;
}

/* The first piece is *arg bytes, the second is the rest. */
static inline size_t batch_cut(void *arg, size_t left)
{
    size_t *cut = arg, n = *cut > 0 && *cut < left ? *cut : left;
    *cut = 0;
    return n;
}

static inline bool batch_same(const struct batch_log *a, const struct batch_log *b)
{
    if (a->n > 0 && (a->p == NULL || b->p == NULL))
        return false;
    return span_eq((struct span){a->p, a->n}, (struct span){b->p, b->n}) &&
           a->result == b->result && a->lines == b->lines && strcmp(a->why, b->why) == 0;
}

/* ---- the plain reader ---- */

/* A line of the HTML standard's "interpreting an event stream", with `data` growing by each. */
static inline void plain_field(struct span line, struct span *event, struct batch_log *data,
                               bool *any)
{
    struct span value = line, name = span_cut(&value, ':');
    if (value.n > 0 && value.p[0] == ' ')
        value = span_from(value, 1);
    if (span_eq(name, SPAN("event")))
        *event = value;
    if (span_eq(name, SPAN("data"))) {
        log_bytes(data, value);
        log_bytes(data, SPAN("\n"));
        *any = true;
    }
}

/* The log of a text/event-stream, from the whole of it. */
static inline struct batch_log plain_read(struct span s)
{
    struct batch_log log = {.result = BATCH_MORE, .why = ""}, data = {.n = 0};
    struct span event = {NULL, 0};
    bool any = false, over = false;
    if (span_begins(s, SPAN("\xEF\xBB\xBF")))
        s = span_from(s, 3);
    while (!over) {
        size_t n = 0;
        while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n')
            n++;
        over = n == s.n;
        log.lines += !over || n > 0;
        struct span line = {s.p, n};
        if (n > 0)
            plain_field(line, &event, &data, &any);
        if (!over)
            s = span_from(s, n + 1 < s.n && s.p[n] == '\r' && s.p[n + 1] == '\n' ? n + 2 : n + 1);
        if (n > 0 && !over)
            continue;
        if (any && span_eq(event, SPAN("ended")))
            log_message(&log, &(struct batch_message){.end = true, .bare = true});
        else if (any)
            log_message(&log,
                        &(struct batch_message){.event = event, .data = {data.p, data.n - 1}});
        event = (struct span){NULL, 0};
        data.n = 0;
        any = false;
    }
    free(data.p);
    return log;
}

#endif
