/*
 * keys.h - the key files, from the disk: at the start, on SIGHUP, and by `sse token`.
 *
 * What it may hold: auth.h. A file that others than its owner and group may write, or read if it
 * holds a secret, that is no regular file or larger than AUTH_FILE_MAX is refused. What was read
 * of it is wiped. A server's keys change all at once or, where something is wrong with one file,
 * not at all.
 */
#ifndef SSE_LIB_HOST_KEYS_H
#define SSE_LIB_HOST_KEYS_H

#include "lib/auth/auth.h"
#include "lib/host/user.h"
#include "lib/serve/server.h"

/* Reads the files into *k. `keeper` opens them (keeper.h), KEEPER_NONE: this process does, with the
 * rights of `user` as guard.h has it, unless that is NULL. Notes in `seen` what each file was.
 * Returns 0, or the exit code of sysexits.h that tells what is wrong, and *why the words, with the
 * path and never with what is in the file; *k holds no key then. */
int keys_read(const struct opt_list *files, int keeper, const struct user *user,
              struct auth_keys *k, struct keys_seen seen[OPT_LIST_MAX], struct text *why);

/* Reads a private key of Ed25519 for `sse token`, likewise. */
int keys_private(const char *path, struct auth_key *key, struct text *why);

/* Reads --key-file, if there is any, into s->config.keys, likewise. 0; or an exit code, and *why
 * says what is wrong: the keys that there were stay. */
int keys_load(struct server *s, int keeper, const struct user *user, struct text *why);

/* Logs how many keys of a set are not for here. */
void keys_skipped(struct server *s);

/* Reads them again, and logs what came of it. */
void keys_reload(struct server *s, int keeper);

/* Where there is --key-refresh: reads them again if one has changed. Call every turn. */
void keys_tick(struct server *s, int keeper);

#endif
