/*
 * passwd.h - reads /etc/passwd and /etc/group: the ids of a name.
 *
 *   name:password:uid:gid:...          passwd(5)
 *   name:password:gid:...              group(5)
 *
 * A static program has no name service, so only these two files are read. As in libc, the first
 * entry of a name counts, and malformed lines are skipped.
 */
#ifndef SSE_LIB_PASSWD_H
#define SSE_LIB_PASSWD_H

#include "lib/span.h"

/* Ids are below this number: to the system, -1 means "unchanged". */
#define PASSWD_NOBODY UINT32_MAX

/* Finds the ids of `who`: NAME or UID, perhaps with :GROUP or :GID after it. A name wins over a
 * number of the same digits; without a group, the user's own group is taken. `users` and `groups`
 * are the contents of the two files. Returns NULL with *uid and *gid set; else what is wrong, a
 * static text. */
const char *passwd_find(struct span who, struct span users, struct span groups, uint32_t *uid,
                        uint32_t *gid);

#endif
