/*
 * listen.h - opens listeners: those of --bind and --admin, and those that systemd passes
 * (sd_listen_fds(3)), which replace --bind. One that systemd names "admin" (FileDescriptorName=)
 * counts as one of --admin.
 */
#ifndef SSE_LIB_HOST_LISTEN_H
#define SSE_LIB_HOST_LISTEN_H

#include "lib/host/user.h"
#include "lib/net.h"
#include "lib/opt.h"

/* Listens at `address`, the value of `flag` (ADDR, ADDR:PORT, unix:PATH), on `port` where it has
 * none. Removes a stale unix socket first. Accepted sockets inherit the listener's options: the
 * kernel waits `patience_ms` for acknowledgements, and buffers at most `unsent` unsent bytes.
 * Returns the descriptor, non-blocking and close-on-exec; or minus an exit code of sysexits.h, with
 * the reason in *why. */
int listen_at(const char *flag, struct span address, uint16_t port, uint32_t patience_ms,
              int unsent, const struct user *user, struct text *why);

/* Returns how many sockets systemd passed to this process: descriptors LISTEN_FIRST and up. */
#define LISTEN_FIRST 3
unsigned listen_given(void);

/* Return true if `fd` is one of those sockets; if systemd named it "admin". */
bool listen_is_given(int fd);
bool listen_is_admin(int fd);

/* Sets one of those sockets up as listen_at() does. Returns 0; or minus an exit code with the
 * reason in *why, if it is not a listening stream socket. */
int listen_take(int fd, uint32_t patience_ms, int unsent, struct text *why);

/* The listeners of a server: those that systemd hands over, or else those of --bind; and those of
 * --admin. */
#define LISTENERS_MAX (1000u + 2 * OPT_LIST_MAX)
struct listeners {
    unsigned n;
    int fd[LISTENERS_MAX];
    bool admin[LISTENERS_MAX];
};

/* Opens them all. Returns 0, or an exit code with the reason in *why. */
int listen_all(const struct opt *opt, int unsent, const struct user *user, struct listeners *l,
               struct text *why);

/* Appends a listener's address: "http://127.0.0.1:8080", "unix:/run/sse". Returns false if it has
 * none. */
bool listen_address(int fd, struct text *t);

/* Appends the address of a client's peer, without "http://": "127.0.0.1:4711", "unix". Returns
 * false if it is no longer known. */
bool listen_peer(int fd, struct text *t);

/* Adds the addresses at which a listener is reached. Returns false if the list is full. */
bool listen_bound(int fd, struct nets *bound);

/* Returns true if other hosts may reach a listener. */
bool listen_open(int fd);

/* Removes the path of a unix socket that is about to be closed, unless systemd passed the
 * socket. */
void listen_unlink(int fd);

#endif
