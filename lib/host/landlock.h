/*
 * landlock.h - restricts the files that the process may open, on kernels with Landlock (5.13 on).
 *
 *     landlock_begin(&l)
 *     landlock_allow(&l, "/etc/keys", LANDLOCK_READ)     and all below it; the rest is refused
 *     landlock_enter(&l)
 *
 * A rule applies to the directory that has the name now: files in it may come, go and be replaced.
 * Open descriptors are not affected. Later versions of Landlock can also refuse truncating files
 * (3), TCP connections and listeners (4), ioctl() on devices (5), signals to processes outside and
 * abstract unix sockets (6).
 */
#ifndef SSE_LIB_HOST_LANDLOCK_H
#define SSE_LIB_HOST_LANDLOCK_H

#include <stdbool.h>

enum landlock_right {
    LANDLOCK_READ = 1,
    LANDLOCK_WRITE = 2,
    LANDLOCK_EXECUTE = 4,
    LANDLOCK_REMOVE = 8, /* files, not directories */
    LANDLOCK_LIST = 16,  /* what is in a directory */
};

struct landlock {
    int abi;   /* of the kernel; 0: it has none */
    int rules; /* a descriptor; -1: closed, or abi is 0 */
};

/* Begins with nothing allowed; with `abstract`, abstract unix sockets stay allowed. Returns 0, also
 * if the kernel has no Landlock, and then the other functions do nothing; or minus an errno. */
int landlock_begin(struct landlock *l, bool abstract);

/* Allows this file, or this directory and all below it; `rights` is a sum of enum landlock_right.
 * Returns false with errno set if that fails. */
bool landlock_allow(struct landlock *l, const char *path, unsigned rights);

/* Allows the directory of a file by its name, and that of its target where symbolic links lead
 * elsewhere; where such a directory is the root directory, only the file. Returns false if neither
 * exists. */
bool landlock_allow_beside(struct landlock *l, const char *path, unsigned rights);

/* Puts the rules into force, for good, and closes the descriptor. Returns 0 or minus an errno. */
int landlock_enter(struct landlock *l);

/* Discards the rules. */
void landlock_drop(struct landlock *l);

#endif
