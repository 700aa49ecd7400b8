/*
 * user.c - becomes another user, and drops capabilities.
 */
#include "lib/host/user.h"

#include "lib/passwd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#define CAPS_MAX     64u
#define CAPS_VERSION 0x20080522u /* _LINUX_CAPABILITY_VERSION_3 */

/* ---- the user ------------------------------------------------------------------------------- */

static int failed(struct text *why, int code, const char *name, const char *reason)
{
    text_str(why, "--user ");
    text_str(why, name);
    text_str(why, ": ");
    text_str(why, reason);
    return code;
}

/* Maps a whole file. Returns an empty span if it cannot be read. */
static struct span file_map(const char *path)
{
    struct span s = {NULL, 0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd == -1)
        return s;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p != MAP_FAILED)
            s = (struct span){p, (size_t)st.st_size};
    }
    close(fd);
    return s;
}

static void file_unmap(struct span s)
{
    if (s.p != NULL)
        munmap((void *)(uintptr_t)s.p, s.n);
}

bool user_is_root(void)
{
    return geteuid() == 0;
}

int user_find(const char *name, struct user *u, struct text *why)
{
    uint32_t uid, gid;
    *u = (struct user){.given = name != NULL, .uid = geteuid(), .gid = getegid()};
    if (name == NULL)
        return 0;
    struct span users = file_map("/etc/passwd"), groups = file_map("/etc/group");
    const char *wrong = passwd_find(span_of(name), users, groups, &uid, &gid);
    file_unmap(users);
    file_unmap(groups);
    if (wrong != NULL)
        return failed(why, EX_NOUSER, name, wrong);
    if (u->uid != 0 && (u->uid != uid || u->gid != gid))
        return failed(why, EX_NOPERM, name, "only root can become another user");
    u->uid = uid;
    u->gid = gid;
    return 0;
}

/* ---- becoming it ----------------------------------------------------------------------------- */

/* Drops the capabilities that an exec could restore. Without the right to do so there are none, or
 * no_new_privs suffices. */
static void bounds_drop(void)
{
    for (unsigned cap = 0; cap < CAPS_MAX; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
            return;
}

/* Drops the process's capabilities, if it has any. If an outer filter forbids changing them, it has
 * none. */
static bool caps_drop(void)
{
    struct {
        uint32_t version;
        int pid;
    } head = {CAPS_VERSION, 0};
    struct {
        uint32_t effective, permitted, inheritable;
    } cap[2] = {{0, 0, 0}, {0, 0, 0}};
    if (syscall(SYS_capget, &head, cap, 0, 0, 0, 0) == 0 &&
        (cap[0].permitted | cap[1].permitted | cap[0].inheritable | cap[1].inheritable) == 0)
        return true;
    memset(cap, 0, sizeof cap);
    return syscall(SYS_capset, &head, cap, 0, 0, 0, 0) == 0;
}

/* Returns true if this process is the user, and cannot become root again. */
static bool is_for_good(const struct user *u)
{
    uid_t r, e, s;
    gid_t rg, eg, sg;
    if (getresuid(&r, &e, &s) == -1 || getresgid(&rg, &eg, &sg) == -1)
        return false;
    if (r != u->uid || e != u->uid || s != u->uid || rg != u->gid || eg != u->gid || sg != u->gid)
        return false;
    return u->uid == 0 || (setresuid(0, 0, 0) == -1 && setresgid(0, 0, 0) == -1);
}

int user_become(const struct user *u, struct text *why)
{
    const char *doing = NULL;
    bounds_drop();
    if (geteuid() == 0 && u->given) {
        if (setgroups(0, NULL) == -1)
            doing = "other groups cannot be left: ";
        else if (setresgid(u->gid, u->gid, u->gid) == -1)
            doing = "its group cannot be taken: ";
        else if (setresuid(u->uid, u->uid, u->uid) == -1)
            doing = "it cannot be become: ";
    }
    if (doing == NULL && !caps_drop())
        doing = "capabilities cannot be given up: ";
    if (doing == NULL && u->given && !is_for_good(u)) {
        text_str(why, "--user: what was before can be come back to");
        return EX_OSERR;
    }
    if (doing == NULL)
        return 0;
    text_str(why, u->given ? "--user: " : "");
    text_str(why, doing);
    text_str(why, strerror(errno));
    return EX_OSERR;
}
