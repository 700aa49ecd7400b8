/*
 * access.h - who asks, and what they may.
 *
 * Without keys (--key-file) it is a matter of place: clients on this host, whose requests name this
 * server in Host (lib/authority.h), may do everything, others what --anonymous says. With keys it
 * is a matter of tokens, wherever the client is; --anonymous says what may be done without one.
 *
 *   Authorization: Bearer T  --.
 *   ?access_token=T          --+--> auth_check() --> scopes, expiry --> struct access
 *   ?expires=E&signature=S   --+                                        |             |
 *   Cookie: access_token=T   --'  the first of these that is there      v             v
 *   (of this origin's pages, or of one that --cors names)        put_check_topic  access_subscribe
 *
 * What a subscription gets is what both its URL and its scope match: a wildcard is narrowed, a name
 * that the scope does not hold is refused. A stream or a WebSocket remembers when its token ends
 * (struct pass), a WebSocket and a batch that names topics their scopes as well (lib/auth/grant.h),
 * a body that arrives its expiry (publish.c).
 *
 * A token that is there and not good is refused even where none is needed (RFC 6750 section 3.1),
 * and counts against its address (lib/auth/throttle.h): beyond --max-failures a minute the answer
 * is 429. Good ones are not held up by others' failures: who shares an address with an abuser can
 * go on.
 */
#ifndef SSE_LIB_SERVE_ACCESS_H
#define SSE_LIB_SERVE_ACCESS_H

#include "lib/serve/config.h"
#include "lib/serve/exchange.h"
#include "lib/serve/pass.h"
#include "lib/serve/server.h"
#include "lib/stat.h"

/* Finds out what the request at hand may, in ex.access; `topics` is its path, as a URL may be
 * signed for. False: it has been refused. */
bool access_find(struct server *s, struct conn *c, enum auth_class class, struct span topics);

/* Narrows a path's names to those that the request may subscribe to. False: it has been refused. */
bool access_subscribe(struct server *s, struct conn *c, struct span *names);

/* May this one publish to a topic of that name? 0; or the status, 401 or 403, and why not in
 * *why. */
int access_publish(struct stat_counters *stat, const struct exchange *ex, const struct access *a,
                   struct span topic, struct text *why);

struct challenge {
    char line[1024];
};

/* Returns the field line that goes with a refusal of that status, which it writes to *ch; NULL:
 * none. */
const char *access_challenge(const struct config *config, struct challenge *ch, int status,
                             const char *error, struct span detail);

/* Notes that and the token's scopes, for a WebSocket or a batch. False: the scopes have no room
 * (--max-scopes), and the request has been refused with 503. */
bool access_keep_expiry_and_scopes(struct server *s, struct conn *c);

/* Returns true if the page that makes the request may publish or open a WebSocket: its origin is
 * this server's own, or one that --cors names. A request without Origin is not a page's. False: it
 * has been refused; `may_not` tells of what, with a space in front. */
bool access_check_origin(struct server *s, struct conn *c, const char *may_not);

/* May the request read what is the server's own and not for all (/-/metrics, /-/topics)? Where
 * there are addresses of --admin, all who ask there may, and nobody elsewhere. Else, with keys,
 * those whose token may subscribe to everything; without, clients on this host, and all where all
 * may subscribe. A request that needs no token must name this server in Host. False: it has been
 * refused. */
bool access_admin(struct server *s, struct conn *c);

#endif
