/*
 * saved.c - what is kept of a request whose answer comes later.
 */
#include "lib/serve/saved.h"
#include "lib/serve/pass.h"

#include <assert.h>

struct saved saved_of(const struct config *config, struct exchange *ex)
{
    const struct context *ask = &ex->ask;
    return (struct saved){.local = serve_here(config, ex),
                          .foreign = ask->foreign,
                          .from = ask->from,
                          .began = ask->began,
                          .wait = ask->waits ? (uint32_t)ask->wait : 0,
                          .cors = ask->cors,
                          .method = (uint8_t)ask->method,
                          .minor = ask->minor,
                          .keep_alive = ask->keep_alive};
}

/* A poll has been let in by then: of who asks nothing is kept. */
static void keep_wait(const struct context *ask, struct conn *c)
{
    int flags = (ask->keep_alive ? CONN_KEEP : 0) | (ask->minor == 0 ? CONN_OLD : 0);
    c->flags = (uint16_t)((c->flags & ~(CONN_KEEP | CONN_OLD)) | flags);
    c->marks = (uint16_t)((c->marks & ~CONN_BARE) | (ask->method == HTTP_HEAD ? CONN_BARE : 0));
    c->wait.cors = ask->cors & CONN_WAIT_CORS;
    c->wait.seconds = ask->waits ? ask->wait & CONN_WAIT_SECONDS : 0;
}

/* The connection is its client's from now on, whoever its peer is. */
static void keep_socket(const struct config *config, const struct clients *clients,
                        struct exchange *ex, struct conn *c)
{
    c->flags = (uint16_t)((c->flags & ~CONN_LOCAL) | (serve_here(config, ex) ? CONN_LOCAL : 0));
    if (ex->ask.foreign)
        c->marks |= CONN_FOREIGN;
    if (clients->pass != NULL)
        clients->pass[conn_fd(&clients->conns, c)].from = ex->ask.from;
}

void saved_keep(const struct config *config, const struct clients *clients, struct exchange *ex,
                struct conn *c, enum conn_state state)
{
    assert(c->state == CONN_HEAD && (state == CONN_WAIT || state == CONN_SOCKET));
    if (state == CONN_WAIT)
        keep_wait(&ex->ask, c);
    else
        keep_socket(config, clients, ex, c);
}

struct saved saved_kept(const struct clients *clients, const struct conn *c)
{
    assert(c->state == CONN_WAIT || c->state == CONN_SOCKET);
    if (c->state == CONN_SOCKET)
        return (struct saved){.from = serve_from(clients, c),
                              .began = c->tick,
                              .method = HTTP_GET,
                              .minor = 1,
                              .local = (c->flags & CONN_LOCAL) != 0,
                              .foreign = (c->marks & CONN_FOREIGN) != 0};
    return (struct saved){.began = c->tick,
                          .wait = c->wait.seconds,
                          .cors = c->wait.cors,
                          .method = c->marks & CONN_BARE ? HTTP_HEAD : HTTP_GET,
                          .minor = (c->flags & CONN_OLD) == 0,
                          .keep_alive = (c->flags & CONN_KEEP) != 0};
}

void saved_resume(const struct clients *clients, struct exchange *ex, const struct conn *c,
                  const struct saved *a, struct span topic, const char *way)
{
    struct span none = {NULL, 0};
    struct text path = text_in(ex->path, sizeof ex->path);
    if (topic.p != NULL) {
        text_str(&path, "/");
        text_add(&path, topic);
    }
    ex->ask = (struct context){.method = (enum http_method)a->method,
                               .keep_alive = a->keep_alive && !clients->draining,
                               .local = a->local,
                               .foreign = a->foreign,
                               .named = true,
                               .minor = a->minor,
                               .cors = a->cors,
                               .waits = a->wait > 0,
                               .wait = a->wait,
                               .from = a->from,
                               .path = topic.p != NULL ? text_span(&path) : none,
                               .conn = c,
                               .way = way,
                               .began = a->began};
}
