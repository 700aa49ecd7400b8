/*
 * keys.h - the key file, from the disk: at the start, on SIGHUP, and by `sse token`.
 *
 * What it may hold: auth.h. A file that others than its owner and group may read or write, that is
 * no regular file or larger than AUTH_FILE_MAX is refused. What was read of it is wiped. A server's
 * keys change all at once or, where something is wrong with the file, not at all.
 */
#ifndef SSE_LIB_HOST_KEYS_H
#define SSE_LIB_HOST_KEYS_H

#include "lib/auth/auth.h"
#include "lib/serve/server.h"

/* Reads the file into *k. 0, or the exit code of sysexits.h that tells what is wrong, and *why the
 * words, with the path and never with what is in the file; *k holds no key then. */
int keys_read(const char *path, struct auth_keys *k, struct text *why);

/* Reads --key-file, if there is to be one, into s->keys; `keeper` opens it (keeper.h), KEEPER_NONE:
 * this process does. 0; or an exit code, and *why says what is wrong: the keys that there were
 * stay. */
int keys_load(struct server *s, int keeper, struct text *why);

/* Reads it again, and logs what came of it. */
void keys_reload(struct server *s, int keeper);

#endif
