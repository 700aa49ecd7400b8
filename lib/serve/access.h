/*
 * access.h - a request's rights: by place, token or signed URL.
 *
 * Without keys (--key-file) rights depend on the place: clients on this host whose requests name
 * this server in Host (lib/authority.h) may do everything, others what --anonymous allows. With
 * keys they depend on the token, wherever the client is; --anonymous allows what needs no token.
 *
 *   Authorization: Bearer T  --.
 *   ?access_token=T          --+--> auth_check() --> scopes, expiry --> struct access
 *   ?expires=E&signature=S   --+                                     |             |
 *   Cookie: access_token=T   --'  the first of these that is there   v             v
 *   (of this origin's pages, or of one that --cors names)     submit_check_topic  access_subscribe
 *
 * A subscription gets what both its URL and its scope match: a wildcard is narrowed, and a name
 * outside the scope is refused. A stream or a WebSocket keeps the time when its token expires
 * (struct pass), a WebSocket and a batch that names topics also their scopes (lib/auth/grant.h), a
 * body in parts its expiry (publish.c).
 *
 * A bad token is refused even where none is needed (RFC 6750 section 3.1), and counts against its
 * address (lib/auth/throttle.h): beyond --max-failures a minute the answer is 429. Good tokens are
 * not affected: clients that share an address with an abuser can go on.
 */
#ifndef SSE_LIB_SERVE_ACCESS_H
#define SSE_LIB_SERVE_ACCESS_H

#include "lib/serve/config.h"
#include "lib/serve/exchange.h"
#include "lib/serve/pass.h"
#include "lib/serve/server.h"
#include "lib/stat.h"

/* Determines the rights of the current request, in ex.access; `topics` is its path, for which a URL
 * may be signed. Returns false if it has refused the request. */
bool access_find(struct server *s, struct conn *c, enum auth_class class, struct span topics);

/* Returns true if access_find() has to verify a signature of a public key for the current request,
 * which is work of up to a few ms. */
bool access_takes_long(struct server *s);

/* Narrows a path's names to those to which the request may subscribe. Returns false if it has
 * refused the request. */
bool access_subscribe(struct server *s, struct conn *c, struct span *names);

/* Checks whether `a` allows publishing to a topic of that name. Returns 0; or the status, 401 or
 * 403, with the reason in *why. */
int access_publish(struct stat_counters *stat, const struct exchange *ex, const struct access *a,
                   struct span topic, struct text *why);

/* May this one purge the topic of that name, to which it may publish? Without keys clients on this
 * host may; a token says so by itself. Returns as access_publish() does. */
int access_purge(struct stat_counters *stat, const struct access *a, struct span topic,
                 struct text *why);

struct challenge {
    char line[1024];
};

/* Writes to *ch the field line WWW-Authenticate of a refusal of that status (RFC 6750 section 3).
 * Returns it; NULL if that status needs none. */
const char *access_challenge(const struct config *config, struct challenge *ch, int status,
                             const char *error, struct span detail);

/* Keeps the expiry and the scopes of the token in ex.access, for a WebSocket or a batch. Returns
 * false if the scopes have no room (--max-scopes); it has refused the request with 503 then. */
bool access_keep_expiry_and_scopes(struct server *s, struct conn *c);

/* May the request revoke tokens? Those at the address of --admin may, and those whose token has the
 * claim `admin`. False: it has been refused. */
bool access_revoke(struct server *s, struct conn *c);

/* Returns true if the page that makes the request may publish or open a WebSocket: its origin is
 * the server's own, or one that --cors names. A request without Origin is not from a page. Else it
 * refuses the request and returns false; `may_not` says what the page may not do, with a space in
 * front. */
bool access_check_origin(struct server *s, struct conn *c, const char *may_not);

/* Returns true if the request may read the server's own pages that are not public (/-/metrics,
 * /-/topics). If there are addresses of --admin: everyone at those, and nobody elsewhere. Else,
 * with keys: tokens that may subscribe to everything; without: clients on this host, and everyone
 * if everyone may subscribe. A request that needs no token must name this server in Host. Else it
 * refuses the request and returns false. */
bool access_admin(struct server *s, struct conn *c);

#endif
