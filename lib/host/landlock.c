/*
 * landlock.c - makes and enters a Landlock domain. The calls and their numbers are newer than the
 * headers of some libcs.
 */
#include "lib/host/landlock.h"

#include "lib/host/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    CREATE_RULESET = 444, /* on every machine */
    ADD_RULE = 445,
    RESTRICT_SELF = 446,

    ASK_ABI = 1,      /* LANDLOCK_CREATE_RULESET_VERSION */
    BENEATH_PATH = 1, /* LANDLOCK_RULE_PATH_BENEATH */
};

/* Rights of files: LANDLOCK_ACCESS_FS_* */
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_FILE = 1 << 5,
    FS_ALL_1 = (1 << 13) - 1,  /* as of version 1 of the ABI, */
    FS_ALL_2 = (1 << 14) - 1,  /* 2: moving files to other directories */
    FS_ALL_3 = (1 << 15) - 1,  /* 3: truncating files */
    FS_ALL_5 = (1 << 16) - 1,  /* 5: ioctl() on devices */
    NET_ALL_4 = 3,             /* 4: binding and connecting TCP sockets */
    SCOPE_ABSTRACT_6 = 1 << 0, /* 6: connecting to others' abstract sockets */
    SCOPE_SIGNAL_6 = 1 << 1,   /* 6: sending signals to others */
};

struct ruleset {
    uint64_t fs, net, scoped;
};

struct path_rule {
    uint64_t rights;
    int32_t fd;
} __attribute__((packed));

int landlock_begin(struct landlock *l, bool abstract)
{
    *l = (struct landlock){0, -1};
    long abi = syscall(CREATE_RULESET, NULL, 0, ASK_ABI, 0, 0, 0);
    if (abi == -1)
        return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
    struct ruleset set = {
        .fs = abi >= 5   ? FS_ALL_5
              : abi >= 3 ? FS_ALL_3
              : abi >= 2 ? FS_ALL_2
                         : FS_ALL_1,
        .net = abi >= 4 ? NET_ALL_4 : 0,
        .scoped = abi < 6    ? 0
                  : abstract ? SCOPE_SIGNAL_6
                             : SCOPE_SIGNAL_6 | SCOPE_ABSTRACT_6,
    };
    size_t size = abi >= 6   ? sizeof set
                  : abi >= 4 ? offsetof(struct ruleset, scoped)
                             : offsetof(struct ruleset, net);
    long fd = syscall(CREATE_RULESET, &set, size, 0, 0, 0, 0);
    if (fd == -1)
        return -errno;
    l->abi = (int)abi;
    l->rules = (int)fd;
    return 0;
}

bool landlock_allow(struct landlock *l, const char *path, unsigned rights)
{
    struct stat st;
    if (l->rules == -1)
        return true;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd == -1)
        return false;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rights &= ~(unsigned)(LANDLOCK_REMOVE | LANDLOCK_LIST); /* a file has no such right */
    struct path_rule rule = {
        .rights = (rights & LANDLOCK_READ ? FS_READ_FILE : 0u) |
                  (rights & LANDLOCK_WRITE ? FS_WRITE_FILE : 0u) |
                  (rights & LANDLOCK_EXECUTE ? FS_EXECUTE : 0u) |
                  (rights & LANDLOCK_REMOVE ? FS_REMOVE_FILE : 0u) |
                  (rights & LANDLOCK_LIST ? FS_READ_DIR : 0u),
        .fd = fd,
    };
    bool good = syscall(ADD_RULE, l->rules, BENEATH_PATH, &rule, 0, 0, 0) == 0;
    int err = errno;
    close(fd);
    errno = err;
    return good;
}

/* Puts the directory of `path` into dir[PATH_MAX]; if that is the root directory, `path` itself.
 * Returns false with errno set on failure. */
static bool directory_of(const char *path, char *dir)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : slash == path ? strlen(path) : (size_t)(slash - path);
    if (n >= PATH_MAX)
        return false;
    memcpy(dir, n > 0 ? path : ".", n > 0 ? n : 1);
    dir[n > 0 ? n : 1] = '\0';
    return true;
}

bool landlock_allow_beside(struct landlock *l, const char *path, unsigned rights)
{
    char dir[PATH_MAX];
    struct path p;
    if (l->rules == -1)
        return true;
    bool good = directory_of(path, dir) && landlock_allow(l, dir, rights);
    if (path_follow(&p, path) && !p.missing && directory_of(p.real, dir))
        good |= landlock_allow(l, dir, rights);
    return good;
}

void landlock_drop(struct landlock *l)
{
    if (l->rules != -1)
        close(l->rules);
    l->rules = -1;
}

int landlock_enter(struct landlock *l)
{
    if (l->rules == -1)
        return 0;
    int err = syscall(RESTRICT_SELF, l->rules, 0, 0, 0, 0, 0) == -1 ? -errno : 0;
    landlock_drop(l);
    return err;
}
