/*
 * path.c - resolves a path part by part.
 */
#include "lib/host/path.h"

#include "lib/text.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS_MAX 40 /* followed, as in Linux */

static bool failed(int err)
{
    errno = err;
    return false;
}

/* Moves to the parent directory; to the root directory if `all`. */
static bool path_up(struct path *p, bool all)
{
    char *slash = all ? NULL : strrchr(p->real, '/');
    *(slash != NULL ? slash : p->real) = '\0';
    return lstat(p->real[0] != '\0' ? p->real : "/", &p->dir) == 0;
}

/* Inserts text before what is still to be resolved. */
static bool path_insert(struct path *p, const char *text)
{
    char all[2 * PATH_MAX];
    struct text t = text_for_string(all, sizeof all);
    text_str(&t, text);
    text_str(&t, "/");
    text_str(&t, p->todo);
    if (t.full || t.n >= sizeof p->todo)
        return failed(ENAMETOOLONG);
    memcpy(p->todo, text_string(&t), t.n + 1);
    return true;
}

/* Returns true if nobody but root can replace this entry of the directory; NULL: it has no such
 * entry. */
static bool is_kept(const struct stat *dir, const struct stat *entry)
{
    if (dir->st_uid != 0)
        return false;
    if ((dir->st_mode & (S_IWGRP | S_IWOTH)) == 0)
        return true;
    return entry != NULL && (dir->st_mode & S_ISVTX) != 0 && entry->st_uid == 0;
}

/* Resolves one part, which is a name. */
static bool path_step(struct path *p, struct span part, bool last)
{
    char target[PATH_MAX];
    struct stat st;
    struct text t = text_for_string(p->real, sizeof p->real);
    t.n = strlen(p->real);
    size_t had = t.n;
    text_str(&t, "/");
    text_add(&t, part);
    if (t.full)
        return failed(ENAMETOOLONG);
    p->missing = lstat(text_string(&t), &st) == -1;
    p->only_root = p->only_root && is_kept(&p->dir, p->missing ? NULL : &st);
    if (p->missing)
        return errno == ENOENT && last;
    if (!S_ISLNK(st.st_mode)) {
        p->dir = st;
        return true;
    }
    ssize_t n = readlink(p->real, target, sizeof target - 1);
    p->real[had] = '\0';
    if (n == -1)
        return false;
    if (++p->links > LINKS_MAX)
        return failed(ELOOP);
    target[n] = '\0';
    return path_insert(p, target) && (target[0] != '/' || path_up(p, true));
}

bool path_follow(struct path *p, const char *path)
{
    size_t n = strlen(path);
    p->missing = false;
    p->only_root = true;
    p->links = 0;
    if (n >= sizeof p->todo)
        return failed(ENAMETOOLONG);
    memcpy(p->todo, path, n + 1);
    if (!path_up(p, true))
        return false;
    if (path[0] != '/') {
        char here[PATH_MAX]; /* getcwd() of one C library brings malloc() along */
        if (syscall(SYS_getcwd, here, sizeof here) == -1 || !path_insert(p, here))
            return false;
    }
    for (;;) {
        struct span todo = span_of(p->todo + strspn(p->todo, "/")), part = span_cut(&todo, '/');
        char name[NAME_MAX + 1];
        bool good = true;
        if (part.n == 0)
            return true;
        if (part.n > NAME_MAX)
            return failed(ENAMETOOLONG);
        memcpy(name, part.p, part.n);
        part.p = name;
        memmove(p->todo, todo.p == NULL ? "" : todo.p, todo.n + 1);
        bool last = p->todo[strspn(p->todo, "/")] == '\0';
        if (span_eq(part, SPAN("..")))
            good = path_up(p, false);
        else if (!span_eq(part, SPAN(".")))
            good = path_step(p, part, last);
        if (!good)
            return false;
    }
}
