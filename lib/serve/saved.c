/*
 * saved.c - keeps a request whose answer comes later.
 */
#include "lib/serve/saved.h"
#include "lib/serve/conn.h"
#include "lib/serve/identity.h"
#include "lib/serve/pass.h"

#include <assert.h>
#include <string.h>

struct saved saved_of(const struct config *config, struct exchange *ex)
{
    const struct context *ask = &ex->ask;
    return (struct saved){.local = serve_is_local(config, ex),
                          .foreign = ask->foreign,
                          .from = ask->from,
                          .began = ask->began,
                          .wait = ask->waits ? (uint32_t)ask->wait : 0,
                          .cors = ask->cors,
                          .method = (uint8_t)ask->method,
                          .minor = ask->minor,
                          .keep_alive = ask->keep_alive};
}

/* The connection counts for its client from now on, whoever its peer is. */
void saved_keep_socket(const struct config *config, const struct clients *clients,
                       struct exchange *ex, struct conn *c)
{
    assert(c->state == CONN_HEAD);
    c->flags = (uint16_t)((c->flags & ~CONN_LOCAL) | (serve_is_local(config, ex) ? CONN_LOCAL : 0));
    if (ex->ask.foreign)
        c->marks |= CONN_FOREIGN;
    if (clients->pass != NULL)
        clients->pass[conn_fd(&clients->conns, c)].from = ex->ask.from;
}

static inline struct saved kept_socket(const struct clients *clients, const struct conn *c)
{
    return (struct saved){.from = pass_from(clients, c),
                          .began = c->tick,
                          .method = HTTP_GET,
                          .minor = 1,
                          .local = (c->flags & CONN_LOCAL) != 0,
                          .foreign = (c->marks & CONN_FOREIGN) != 0};
}

static inline struct saved kept_wait(const struct conn *c)
{
    return (struct saved){.began = c->tick,
                          .wait = c->wait.seconds,
                          .cors = c->wait.cors,
                          .method = c->marks & CONN_BARE ? HTTP_HEAD : HTTP_GET,
                          .minor = (c->flags & CONN_OLD) == 0,
                          .keep_alive = (c->flags & CONN_KEEP) != 0};
}

static inline void resume(const struct clients *clients, struct exchange *ex, const struct conn *c,
                          const struct saved *a, struct span topic, const char *log_way)
{
    struct span none = {NULL, 0};
    if (topic.p != NULL) {
        assert(topic.n < sizeof ex->path);
        ex->path[0] = '/';
        memcpy(ex->path + 1, topic.p, topic.n);
    }
    ex->ask =
        (struct context){.method = (enum http_method)a->method,
                         .keep_alive = a->keep_alive && !clients->draining,
                         .local = a->local,
                         .foreign = a->foreign,
                         .named = true,
                         .minor = a->minor,
                         .cors = a->cors,
                         .waits = a->wait > 0,
                         .wait = a->wait,
                         .from = a->from,
                         .path = topic.p != NULL ? (struct span){ex->path, topic.n + 1} : none,
                         .conn = c,
                         .log_way = log_way,
                         .began = a->began};
}

void saved_resume(const struct clients *clients, struct exchange *ex, const struct conn *c,
                  const struct saved *a, struct span topic, const char *log_way)
{
    resume(clients, ex, c, a, topic, log_way);
}

void saved_resume_conn(const struct clients *clients, struct exchange *ex, const struct conn *c,
                       struct span topic, const char *log_way)
{
    if (c->state == CONN_SOCKET) {
        const struct saved socket = kept_socket(clients, c);
        saved_resume(clients, ex, c, &socket, topic, log_way);
        return;
    }
    assert(c->state == CONN_WAIT);
    const struct saved wait = kept_wait(c);
    resume(clients, ex, c, &wait, topic, log_way);
}
