/*
 * out.c - what a connection is still to be written, besides records: what was kept for it, the
 * answers in s->out, and what follows them.
 */
#include "lib/serve/serve.h"

unsigned serve_out_put(const struct server *s, const struct conn *c, struct iovec *iov)
{
    struct span kept = conn_out(&s->conns, c);
    unsigned n = 0;
    if (s->out.n > 0)
        *(iov - ++n) = (struct iovec){s->out.p, s->out.n};
    if (kept.n > 0)
        *(iov - ++n) = (struct iovec){(void *)(uintptr_t)kept.p, kept.n};
    return n;
}

size_t serve_out_took(struct server *s, struct conn *c, size_t w)
{
    size_t kept = conn_out(&s->conns, c).n;
    size_t part = w < kept ? w : kept;
    conn_out_took(&s->conns, c, part);
    w -= part;
    part = w < s->out.n ? w : s->out.n;
    memmove(s->out.p, s->out.p + part, s->out.n - part);
    s->out.n -= part;
    return w - part;
}

void serve_tail_took(struct server *s, size_t w)
{
    while (s->tail_pieces > 0 && w >= s->tail->iov_len) {
        w -= s->tail++->iov_len;
        s->tail_pieces--;
    }
    if (w > 0)
        *s->tail = (struct iovec){(char *)s->tail->iov_base + w, s->tail->iov_len - w};
}

bool serve_out_keep(struct server *s, struct conn *c)
{
    bool room = conn_out_keep(&s->conns, c, text_span(&s->out));
    for (; room && s->tail_pieces > 0; s->tail_pieces--, s->tail++)
        room = conn_out_keep(&s->conns, c, (struct span){s->tail->iov_base, s->tail->iov_len});
    return room;
}
