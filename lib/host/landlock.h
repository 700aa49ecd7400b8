/*
 * landlock.h - which files the process may still open, where the kernel has Landlock (5.13).
 *
 *     landlock_begin(&l)
 *     landlock_allow(&l, "/etc/keys", LANDLOCK_READ)     and below it; all else is refused
 *     landlock_enter(&l)
 *
 * A rule is of the directory that has the name as it is now: files in it may come, go and be
 * replaced. Descriptors that are open stay as they are. The kernels' versions differ in what they
 * can refuse besides: cutting files (3), TCP connections and listeners (4), devices' ioctl() (5),
 * signals to processes outside and abstract unix sockets (6).
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

/* Begins with nothing allowed, but abstract unix sockets if wanted. 0 also where the kernel has no
 * Landlock, and then the calls that follow do nothing; or minus an errno. */
int landlock_begin(struct landlock *l, bool abstract);

/* Allows this file, or directory and what is below: a sum of enum landlock_right. False: errno. */
bool landlock_allow(struct landlock *l, const char *path, unsigned rights);

/* The same of the directory that a file is in, by the name it has, and of that which it is in by
 * its real one where symbolic links lead; where that is the root directory, of the file alone.
 * False: neither is there. */
bool landlock_allow_beside(struct landlock *l, const char *path, unsigned rights);

/* Puts all that into force, for good. Returns 0 or minus an errno; closes the descriptor. */
int landlock_enter(struct landlock *l);

/* Gives it up. */
void landlock_drop(struct landlock *l);

#endif
