/*
 * out.c - what a connection is still to be written, besides records: what was kept for it, the
 * answers in s->out, and what follows them.
 */
#include "lib/serve/serve.h"

unsigned serve_out_put(const struct server *s, const struct conn *c, struct iovec *iov)
{
    struct span kept = conn_out(&s->clients.conns, c);
    unsigned n = 0;
    if (s->ex.out.n > 0)
        *(iov - ++n) = (struct iovec){s->ex.out.p, s->ex.out.n};
    if (kept.n > 0)
        *(iov - ++n) = (struct iovec){(void *)(uintptr_t)kept.p, kept.n};
    return n;
}

size_t serve_out_took(struct server *s, struct conn *c, size_t w)
{
    size_t kept = conn_out(&s->clients.conns, c).n;
    size_t part = w < kept ? w : kept;
    conn_out_took(&s->clients.conns, c, part);
    w -= part;
    part = w < s->ex.out.n ? w : s->ex.out.n;
    memmove(s->ex.out.p, s->ex.out.p + part, s->ex.out.n - part);
    s->ex.out.n -= part;
    return w - part;
}

void serve_tail_took(struct server *s, size_t w)
{
    while (s->ex.tail_pieces > 0 && w >= s->ex.tail->iov_len) {
        w -= s->ex.tail++->iov_len;
        s->ex.tail_pieces--;
    }
    if (w > 0)
        *s->ex.tail = (struct iovec){(char *)s->ex.tail->iov_base + w, s->ex.tail->iov_len - w};
}

bool serve_out_keep(struct server *s, struct conn *c)
{
    bool room = conn_out_keep(&s->clients.conns, c, text_span(&s->ex.out));
    for (; room && s->ex.tail_pieces > 0; s->ex.tail_pieces--, s->ex.tail++)
        room = conn_out_keep(&s->clients.conns, c,
                             (struct span){s->ex.tail->iov_base, s->ex.tail->iov_len});
    return room;
}
