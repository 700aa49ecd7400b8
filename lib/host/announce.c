/*
 * announce.c - reports that the server starts and ends.
 */
#include "lib/host/announce.h"
#include "lib/serve/conn.h"
#include "lib/serve/quote.h"

#include "lib/host/listen.h"
#include "lib/host/notify.h"

#include <errno.h>
#include <unistd.h>

static void tell_manager(struct server *s, const char *state)
{
    if (s->team.whole == NULL && !notify(state)) /* else the parent does */
        s->log.say(OPT_LOG_WARN, "cannot notify", "error", strerror(errno), NULL);
}

/* Warns of a listener that may be open to more than was meant. */
static void warn_open(struct server *s, int fd, bool admin, struct span address)
{
    bool proxies_only = s->config.opt.proxy_protocol && s->config.proxies.n > 0;
    if (admin) {
        if (listen_open(fd))
            s->log.say(OPT_LOG_WARN, "anyone who can reach it may read metrics and names of topics",
                       "address", QUOTE(address), "instead", "--admin 127.0.0.1:PORT", NULL);
        return;
    }
    if (proxies_only || s->config.opt.anonymous == 0 || !listen_open(fd))
        return;
    s->log.say(OPT_LOG_WARN,
               s->config.opt.anonymous == OPT_ANONYMOUS_SUBSCRIBE
                   ? "anyone who can reach it may subscribe"
               : s->config.opt.anonymous == OPT_ANONYMOUS_PUBLISH
                   ? "anyone who can reach it may publish"
                   : "anyone who can reach it may subscribe and publish",
               "address", QUOTE(address), "instead",
               s->config.keys.n > 0 ? "--anonymous none"
                                    : "--key-file, or --bind 127.0.0.1 behind a proxy",
               NULL);
}

/* Appends the addresses of the listeners, those of --admin (`admin`) or the others: to *all
 * separated by spaces, to *lines one per line. */
static void addresses(struct server *s, bool admin, struct text *all, struct text *lines)
{
    for (uint32_t fd = 1; fd <= s->clients.conns.top; fd++) {
        const struct conn *c = &s->clients.conns.conn[fd];
        char address[256];
        struct text t = text_in(address, sizeof address);
        if (!conn_is_own(c, DESCRIPTOR_LISTENER) || ((c->marks & CONN_ADMIN) != 0) != admin ||
            !listen_address((int)fd, &t))
            continue;
        text_str(all, all->n > 0 ? " " : "");
        text_add(all, text_span(&t));
        text_str(lines, admin ? "admin " : "");
        text_add(lines, text_span(&t));
        text_str(lines, "\n");
        warn_open(s, (int)fd, admin, text_span(&t));
    }
}

/* Warns if the kernel would end the server before its tables are full. */
static void warn_group(struct server *s, const struct tables *t)
{
    if (t->worst > t->group_left)
        s->log.say(OPT_LOG_WARN, "the control group has less memory than ring and tables may take",
                   "left", QUOTE_NUM(t->group_left), "at_most", QUOTE_NUM(t->worst), "instead",
                   "--max-memory SIZE, below that limit, or a smaller --ring", NULL);
}

void announce_started(struct server *s, const struct tables *tables)
{
    char bytes[2 * OPT_LIST_MAX * 256], list[OPT_LIST_MAX * 256], admins[OPT_LIST_MAX * 256];
    struct text lines = text_in(bytes, sizeof bytes), all = text_for_string(list, sizeof list);
    struct text admin = text_for_string(admins, sizeof admins);
    addresses(s, false, &all, &lines);
    addresses(s, true, &admin, &lines);
    text_str(&admin, admin.n == 0 ? "none" : "");
    struct span version = span_of(opt_version());
    s->log.say(OPT_LOG_INFO, "started", "version", QUOTE(span_cut(&version, '\n')), "address",
               text_string(&all), "admin", text_string(&admin), "ring", QUOTE_NUM(s->ring.size),
               "store", s->config.opt.store != NULL ? s->config.opt.store : "none", "room",
               tables->room, NULL);
    warn_group(s, tables);
    if (write(STDOUT_FILENO, lines.p, lines.n) == -1)
        s->log.say(OPT_LOG_WARN, "cannot write to stdout", "error", strerror(errno), NULL);
    tell_manager(s, "READY=1");
}

void announce_upgraded(struct server *s)
{
    s->log.say(OPT_LOG_INFO, "upgraded", "connections", QUOTE_NUM(s->clients.conns.clients), NULL);
    tell_manager(s, "READY=1");
}

void announce_stopping(struct server *s, const char *why)
{
    s->log.say(s->team.whole == NULL ? OPT_LOG_INFO : OPT_LOG_DEBUG, "stopping", "reason", why,
               "connections", QUOTE_NUM(s->clients.conns.clients), NULL);
    tell_manager(s, "STOPPING=1");
}

void announce_stopped(struct server *s)
{
    s->log.say(s->team.whole == NULL ? OPT_LOG_INFO : OPT_LOG_DEBUG, "stopped", "seconds",
               QUOTE_NUM((s->clock.wall - s->started) / 1000), "connections",
               QUOTE_NUM(s->stat.accepted), "published", QUOTE_NUM(s->stat.published), "delivered",
               QUOTE_NUM(s->stat.delivered), "refused", QUOTE_NUM(s->stat.refused), NULL);
}
