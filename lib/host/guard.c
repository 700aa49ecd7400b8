/*
 * guard.c - opens paths as root for --user.
 */
#include "lib/host/guard.h"

#include "lib/host/path.h"
#include "lib/host/process.h"

#include <errno.h>
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

bool guard_only_root(const char *path)
{
    struct path p;
    return path_follow(&p, path) && p.only_root;
}

/* ---- the user's rights ----------------------------------------------------------------------- */

/* Sets both ids. setfsuid() reports no error, so the ids are read back. */
static bool ids_take(uid_t uid, gid_t gid)
{
    (void)setfsgid(gid);
    (void)setfsuid(uid);
    return setfsuid((uid_t)-1) == (int)uid && setfsgid((gid_t)-1) == (int)gid;
}

bool guard_begin(struct guard *g, const struct user *u, const char *path)
{
    *g = (struct guard){.on = false};
    if (path == NULL || !u->given || u->uid == 0 || !user_is_root() || guard_only_root(path))
        return true;
    g->groups = getgroups((int)(sizeof g->group / sizeof g->group[0]), g->group);
    if (g->groups == -1 || setgroups(1, &u->gid) == -1)
        return false;
    g->on = true;
    if (ids_take(u->uid, u->gid))
        return true;
    guard_end(g);
    errno = EPERM;
    return false;
}

bool guard_take(struct guard *g, const struct user *u, const char *path, struct text *why)
{
    if (guard_begin(g, u, path))
        return true;
    text_str(why, "--user: the rights of the user cannot be taken: ");
    text_str(why, strerror(errno));
    return false;
}

void guard_end(struct guard *g)
{
    if (!g->on)
        return;
    if (!ids_take(geteuid(), getegid()) || setgroups((size_t)g->groups, g->group) == -1)
        process_fail(EX_OSERR, "--user: the rights of root cannot be taken back", NULL);
    g->on = false;
}

bool guard_may_give(const struct user *u, int fd)
{
    struct stat st;
    if (fstat(fd, &st) == -1)
        return false;
    return st.st_uid == u->uid || (st.st_uid == 0 && st.st_nlink == 1);
}
