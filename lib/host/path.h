/*
 * path.h - where a path leads: each part is looked at, and symbolic links are followed.
 *
 * realpath() would do for the first half, but that of one C library is large, and says nothing of
 * who can change where the path leads.
 */
#ifndef SSE_LIB_HOST_PATH_H
#define SSE_LIB_HOST_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

struct path {
    char real[PATH_MAX]; /* absolute, without symbolic links; "" is the root directory */
    bool missing;        /* its last part does not exist, all before that does */
    bool only_root;      /* nobody but root can change where the path leads */

    /* while it is being followed */
    char todo[PATH_MAX];
    struct stat dir; /* of `real` */
    int links;
};

/* Follows an absolute or relative path. Returns false, with errno, where it leads nowhere: ENOENT
 * where a part before the last does not exist, ELOOP after 40 links, ENAMETOOLONG. */
bool path_follow(struct path *p, const char *path);

#endif
