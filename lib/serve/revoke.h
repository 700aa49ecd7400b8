/*
 * revoke.h - POST /-/revoke: tokens are refused from now on, and what they opened is ended.
 *
 *   {"jti":"…","exp":TIME}                  one token, which is valid until TIME
 *   {"sub":"…","before":TIME,"exp":TIME}    all tokens of a subject that were issued before TIME
 *
 * Times are unix times. Without `before` it is all tokens that have been issued so far, without
 * `exp` the revocation is kept for ever. The table is lib/auth/revoke.h's; in a store where there
 * is one, which is synced before the answer with --fsync always. Connections are ended by the
 * sweep, as at their tokens' expiry.
 */
#ifndef SSE_LIB_SERVE_REVOKE_H
#define SSE_LIB_SERVE_REVOKE_H

#include "lib/serve/server.h"

/* The path without its first "/", by which publish.c knows whose body it is: no topic is named so.
 */
#define REVOKE_PATH SPAN("-/revoke")

/* Revokes what the body of a request says, and answers it. */
void serve_revoke(struct server *s, struct conn *c, struct span body);

#endif
