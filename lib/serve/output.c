/*
 * output.c - bytes that are to be written to a connection, besides records: those kept for it, the
 * answers in ex.out, and what follows them.
 */
#include "lib/serve/output.h"
#include "lib/serve/conn.h"

unsigned output_pieces(const struct clients *clients, const struct exchange *ex,
                       const struct conn *c, struct iovec *iov)
{
    struct span kept = conn_out(&clients->conns, c);
    unsigned n = 0;
    if (ex->out.n > 0)
        *(iov - ++n) = (struct iovec){ex->out.p, ex->out.n};
    if (kept.n > 0)
        *(iov - ++n) = (struct iovec){(void *)(uintptr_t)kept.p, kept.n};
    return n;
}

size_t output_took(struct clients *clients, struct exchange *ex, struct conn *c, size_t w)
{
    size_t kept = conn_out(&clients->conns, c).n;
    size_t part = w < kept ? w : kept;
    conn_out_took(&clients->conns, c, part);
    w -= part;
    part = w < ex->out.n ? w : ex->out.n;
    memmove(ex->out.p, ex->out.p + part, ex->out.n - part);
    ex->out.n -= part;
    return w - part;
}

void output_tail_took(struct exchange *ex, size_t w)
{
    while (ex->tail_pieces > 0 && w >= ex->tail->iov_len) {
        w -= ex->tail++->iov_len;
        ex->tail_pieces--;
    }
    if (w > 0)
        *ex->tail = (struct iovec){(char *)ex->tail->iov_base + w, ex->tail->iov_len - w};
}

bool output_keep(struct clients *clients, struct exchange *ex, struct conn *c)
{
    bool room = conn_out_keep(&clients->conns, c, text_span(&ex->out));
    for (; room && ex->tail_pieces > 0; ex->tail_pieces--, ex->tail++)
        room =
            conn_out_keep(&clients->conns, c, (struct span){ex->tail->iov_base, ex->tail->iov_len});
    return room;
}
