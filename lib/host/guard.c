/*
 * guard.c - what root opens on behalf of --user.
 */
#include "lib/host/guard.h"

#include "lib/host/process.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define LINKS_MAX 40 /* followed, as Linux has it */

/* ---- where a path leads ---------------------------------------------------------------------- */

/* A walk along a path: what has been gone, without symbolic links, and what is still to go. */
struct walk {
    char done[PATH_MAX], todo[PATH_MAX];
    struct stat dir; /* of `done` */
    int links;
};

/* Goes to the root directory, or up. */
static bool walk_up(struct walk *w, bool all)
{
    char *slash = all ? NULL : strrchr(w->done, '/');
    *(slash != NULL ? slash : w->done) = '\0';
    return lstat(w->done[0] != '\0' ? w->done : "/", &w->dir) == 0;
}

/* Puts the text in front of what is to be gone. */
static bool walk_insert(struct walk *w, const char *text)
{
    char all[2 * PATH_MAX];
    struct text t = text_in(all, sizeof all - 1);
    text_str(&t, text);
    text_str(&t, "/");
    text_str(&t, w->todo);
    all[t.n] = '\0';
    if (t.full || t.n >= sizeof w->todo)
        return false;
    memcpy(w->todo, all, t.n + 1);
    return true;
}

/* Returns true if nobody but root can replace this entry of the directory. */
static bool is_kept(const struct stat *dir, const struct stat *entry)
{
    if (dir->st_uid != 0)
        return false;
    if ((dir->st_mode & (S_IWGRP | S_IWOTH)) == 0)
        return true;
    return entry != NULL && (dir->st_mode & S_ISVTX) != 0 && entry->st_uid == 0;
}

/* Goes one part on. False: others may change what the path leads to. */
static bool walk_step(struct walk *w, struct span part, bool last)
{
    char target[PATH_MAX];
    struct stat st;
    struct text t = text_in(w->done, sizeof w->done - 1);
    t.n = strlen(w->done);
    size_t had = t.n;
    text_str(&t, "/");
    text_add(&t, part);
    w->done[t.n] = '\0';
    if (t.full)
        return false;
    if (lstat(w->done, &st) == -1)
        return errno == ENOENT && last && is_kept(&w->dir, NULL);
    if (!is_kept(&w->dir, &st))
        return false;
    if (!S_ISLNK(st.st_mode)) {
        w->dir = st;
        return true;
    }
    ssize_t n = readlink(w->done, target, sizeof target - 1);
    w->done[had] = '\0';
    if (n <= 0 || ++w->links > LINKS_MAX)
        return false;
    target[n] = '\0';
    return walk_insert(w, target) && (target[0] != '/' || walk_up(w, true));
}

bool guard_only_root(const char *path)
{
    struct walk w = {.links = 0};
    if (strlen(path) >= sizeof w.todo || !walk_up(&w, true))
        return false;
    memcpy(w.todo, path, strlen(path) + 1);
    if (path[0] != '/') {
        char here[PATH_MAX];
        if (getcwd(here, sizeof here) == NULL || !walk_insert(&w, here))
            return false;
    }
    for (;;) {
        size_t skip = strspn(w.todo, "/"), n = strcspn(w.todo + skip, "/");
        char part[NAME_MAX + 1];
        if (n == 0)
            return true;
        if (n > NAME_MAX)
            return false;
        memcpy(part, w.todo + skip, n);
        part[n] = '\0';
        memmove(w.todo, w.todo + skip + n, strlen(w.todo + skip + n) + 1);
        bool last = w.todo[strspn(w.todo, "/")] == '\0', good = true;
        if (strcmp(part, "..") == 0)
            good = walk_up(&w, false);
        else if (strcmp(part, ".") != 0)
            good = walk_step(&w, (struct span){part, n}, last);
        if (!good)
            return false;
    }
}

/* ---- the user's rights ----------------------------------------------------------------------- */

/* setfsuid() tells of no failure but by what the id is then. */
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
