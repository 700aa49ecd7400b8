/*
 * guard.h - opens paths as root for --user, with that user's rights where it could have changed the
 * path.
 *
 * The server is started as root and becomes another user. What it opens for writing before that, or
 * makes the user's own, must be what the administrator has named, and nothing else of root's that a
 * link leads to. So a path counts as ROOT'S if nobody but root can change where it leads: each
 * directory on it, symbolic links followed, belongs to root and is not writable for others (or is
 * sticky, as /tmp, and what is next on the path belongs to root). Such a path is opened as root.
 * Any other is opened with the rights to files that the user has: then the kernel refuses what the
 * user could not have opened itself, whatever is done to the path meanwhile, and what is made
 * belongs to the user at once.
 *
 *     guard_begin(&g, &user, path);     the user's rights to files, unless the path is root's
 *     ... open, bind, rename ...
 *     guard_end(&g);                    root's again
 */
#ifndef SSE_LIB_HOST_GUARD_H
#define SSE_LIB_HOST_GUARD_H

#include "lib/host/user.h"

struct guard {
    bool on; /* root's rights are to be taken back */
    int groups;
    gid_t group[64];
};

/* Returns true if nobody but root can change what an absolute or relative path leads to. The last
 * part may be missing. */
bool guard_only_root(const char *path);

/* Takes the user's rights to files, if this process is root, will become that user, and the path
 * (NULL: none) is not root's. Returns false with errno set and nothing changed if that fails. */
bool guard_begin(struct guard *g, const struct user *u, const char *path);

/* The same for a start. False: *why says what is wrong. */
bool guard_take(struct guard *g, const struct user *u, const char *path, struct text *why);

/* Takes root's rights back. A failure ends the process. */
void guard_end(struct guard *g);

/* Returns true if what this process opened, or made, may be given to the user: a regular file, or a
 * socket, of root's with this name alone, or the user's already. */
bool guard_may_give(const struct user *u, int fd);

#endif
