/*
 * user.h - whose rights the process has: --user, and what root has besides.
 *
 * A root that is left by user_become() can't be come back to: the three user and group ids are the
 * user's, there are no other groups, and no capability is left, nor can an exec bring one.
 */
#ifndef SSE_LIB_HOST_USER_H
#define SSE_LIB_HOST_USER_H

#include "lib/text.h"

#include <sys/types.h>

struct user {
    bool given; /* --user was */
    uid_t uid;
    gid_t gid;
};

/* Finds who --user means (NULL: nobody; it was not given), in /etc/passwd and /etc/group, and
 * whether this process may become that one. 0, or an exit code with the reason in *why. */
int user_find(const char *name, struct user *u, struct text *why);

/* Returns true if this process is root. */
bool user_is_root(void);

/* Becomes the user, unless it is the one, without capabilities. 0, or an exit code with *why. */
int user_become(const struct user *u, struct text *why);

#endif
