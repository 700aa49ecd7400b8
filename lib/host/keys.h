/*
 * keys.h - reads the key file: at the start, on SIGHUP, and for `sse token`.
 *
 * auth.h describes its content. The file is refused if others than its owner and group may read or
 * write it, if it is not a regular file, or if it is larger than AUTH_FILE_MAX. The bytes read are
 * wiped. A server's keys change all at once or, if the file is wrong, not at all.
 */
#ifndef SSE_LIB_HOST_KEYS_H
#define SSE_LIB_HOST_KEYS_H

#include "lib/auth/auth.h"
#include "lib/serve/server.h"

/* Reads the file into *k. Returns 0; or an exit code of sysexits.h with the reason in *why, which
 * names the path and never the content; then *k holds no key. */
int keys_read(const char *path, struct auth_keys *k, struct text *why);

/* Reads --key-file, if given, into s->keys. `keeper` opens it (keeper.h), or this process does if
 * that is KEEPER_NONE. Returns 0; or an exit code with the reason in *why, and the keys stay as
 * they were. */
int keys_load(struct server *s, int keeper, struct text *why);

/* Reads the key file again, and logs the result. */
void keys_reload(struct server *s, int keeper);

#endif
