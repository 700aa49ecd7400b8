/*
 * passwd.h - reads /etc/passwd and /etc/group: who a name is.
 *
 *   name:password:uid:gid:...          passwd(5)
 *   name:password:gid:...              group(5)
 *
 * A static program has no name service, so these two files are all that is asked. As in libc, the
 * first entry of a name counts; a line that is none is passed over.
 */
#ifndef SSE_LIB_PASSWD_H
#define SSE_LIB_PASSWD_H

#include "lib/span.h"

/* Ids are below this one: for the system, -1 is "as it is". */
#define PASSWD_NOBODY UINT32_MAX

/* Who is meant by `who`: NAME, UID, or either with :GROUP or :GID behind? A name goes before a
 * number of the same digits; without a group, it is that of the user's entry. `users` and `groups`
 * are the two files. NULL: *uid and *gid are set; else what is wrong with it. */
const char *passwd_find(struct span who, struct span users, struct span groups, uint32_t *uid,
                        uint32_t *gid);

#endif
