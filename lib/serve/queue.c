/*
 * queue.c - lists of connections that have work left, or wait.
 */
#include "lib/serve/queue.h"
#include "lib/serve/conn.h"

const struct queue_rule queue_rule[] = {
    [QUEUE_UNSEEN] = {1000, true},
    [QUEUE_SOON] = {1000, false},
    [QUEUE_READY] = {50, false},
};

static uint16_t flag_of(enum queue q)
{
    return q == QUEUE_HELD ? CONN_HELD : CONN_READY;
}

static uint32_t *count_of(struct conns *t, enum queue q)
{
    return q == QUEUE_HELD ? &t->held_count : &t->ready_count;
}

void queue_put(struct conns *t, struct conn *c, enum queue q)
{
    struct queue_ends *l = &t->queue[q];
    uint32_t me = (uint32_t)conn_fd(t, c);
    assert(c->state >= CONN_HEAD);
    if (c->flags & (CONN_READY | CONN_HELD) || c->state == CONN_DOOMED)
        return;
    c->flags |= flag_of(q);
    c->next = 0;
    if (l->first != 0)
        t->conn[l->last].next = me;
    else
        l->first = me;
    l->last = me;
    ++*count_of(t, q);
}

static void push_doomed(struct conns *t, struct conn *c)
{
    c->next = t->doomed;
    t->doomed = (uint32_t)conn_fd(t, c);
}

struct conn *queue_take(struct conns *t, enum queue q)
{
    if (q == QUEUE_READY && t->queue[q].first == 0)
        q = t->queue[QUEUE_SOON].first != 0 ? QUEUE_SOON : QUEUE_UNSEEN;
    struct queue_ends *l = &t->queue[q];
    struct conn *c = &t->conn[l->first];
    assert(l->first != 0 && c->flags & flag_of(q));
    l->first = c->next;
    --*count_of(t, q);
    c->flags &= (uint16_t)~flag_of(q);
    if (c->state != CONN_DOOMED)
        return c;
    push_doomed(t, c);
    return NULL;
}

void queue_doom(struct conns *t, struct conn *c)
{
    conn_go(t, c, CONN_DOOMED);
    if (!(c->flags & (CONN_READY | CONN_HELD))) /* else its list moves it there */
        push_doomed(t, c);
}

struct conn *queue_take_doomed(struct conns *t)
{
    struct conn *c = &t->conn[t->doomed];
    if (t->doomed == 0)
        return NULL;
    t->doomed = c->next;
    return c;
}
