/*
 * user.h - --user: the user that the process becomes, and the rights of root that it drops.
 *
 * user_become() cannot be undone: the three user and group ids are the user's, there are no other
 * groups, and no capability is left, nor can an exec restore one.
 */
#ifndef SSE_LIB_HOST_USER_H
#define SSE_LIB_HOST_USER_H

#include "lib/text.h"

#include <sys/types.h>

struct user {
    bool given; /* --user was given */
    uid_t uid;
    gid_t gid;
};

/* Finds the user that --user names (NULL: none; u->given is false) in /etc/passwd and /etc/group,
 * and checks whether this process may become that user. Returns 0, or an exit code with the reason
 * in *why. */
int user_find(const char *name, struct user *u, struct text *why);

/* Returns true if this process is root. */
bool user_is_root(void);

/* Becomes the user, unless the process is that user already, and drops all capabilities. Returns 0,
 * or an exit code with the reason in *why. */
int user_become(const struct user *u, struct text *why);

#endif
