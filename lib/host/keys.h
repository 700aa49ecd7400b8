/*
 * keys.h - the key file, from the disk.
 *
 * What it may hold: auth.h. A file that others than its owner and group may read or write, that is no
 * regular file or larger than AUTH_FILE_MAX is refused. What was read of it is wiped.
 */
#ifndef SSE_LIB_HOST_KEYS_H
#define SSE_LIB_HOST_KEYS_H

#include "lib/auth.h"

/* Reads the file into *k. 0, or the exit code of sysexits.h that tells what is wrong, and *why the
 * words, with the path and never with what is in the file; *k holds no key then. */
int keys_read(const char *path, struct auth_keys *k, struct text *why);

#endif
