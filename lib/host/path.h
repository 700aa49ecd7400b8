/*
 * path.h - resolves a path part by part, following symbolic links.
 *
 * One C library's realpath() is large, and none tells who can change where the path leads.
 */
#ifndef SSE_LIB_HOST_PATH_H
#define SSE_LIB_HOST_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

struct path {
    char real[PATH_MAX]; /* absolute, without symbolic links; "" is the root directory */
    bool missing;        /* its last part does not exist, the parts before do */
    bool only_root;      /* nobody but root can change where the path leads */

    /* private, while resolving */
    char todo[PATH_MAX];
    struct stat dir; /* of `real` */
    int links;
};

/* Resolves an absolute or relative path. Returns false with errno set if it leads nowhere: ENOENT
 * if a part before the last does not exist, ELOOP after 40 links, ENAMETOOLONG. */
bool path_follow(struct path *p, const char *path);

#endif
