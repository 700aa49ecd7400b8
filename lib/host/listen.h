/*
 * listen.h - listeners: those of --bind and --admin, and those that systemd hands over
 * (sd_listen_fds(3)), which take the place of --bind. One that systemd calls "admin"
 * (FileDescriptorName=) is as one of --admin.
 */
#ifndef SSE_LIB_HOST_LISTEN_H
#define SSE_LIB_HOST_LISTEN_H

#include "lib/host/user.h"
#include "lib/net.h"
#include "lib/opt.h"

/* Listens at an address as `flag` has it (ADDR, ADDR:PORT, unix:PATH), on `port` where it has none.
 * A unix socket that nobody listens at any more is removed first. What accept() gives takes over
 * the listener's options: unacknowledged bytes are waited for `patience_ms`, and the kernel keeps
 * `unsent` bytes at most that it has not sent. Returns the descriptor, non-blocking and
 * close-on-exec; or minus an exit code of sysexits.h, with the reason in *why. */
int listen_at(const char *flag, struct span address, uint16_t port, uint32_t patience_ms,
              int unsent, const struct user *user, struct text *why);

/* How many sockets systemd has handed to this process: descriptors LISTEN_FIRST and up. */
#define LISTEN_FIRST 3
unsigned listen_given(void);

/* Returns true if this is one of them; if it is one that is called "admin". */
bool listen_is_given(int fd);
bool listen_is_admin(int fd);

/* Makes one of these ready. Returns 0; or minus an exit code, with the reason in *why, if it does
 * not listen for streams. */
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

/* Appends a listener's address: "http://127.0.0.1:8080", "unix:/run/sse". False: it has none. */
bool listen_address(int fd, struct text *t);

/* Appends the address of a client's peer, without "http://": "127.0.0.1:4711", "unix". False: it
 * has none any more. */
bool listen_peer(int fd, struct text *t);

/* Adds the addresses that it is reached at. False: there is no room for them. */
bool listen_bound(int fd, struct nets *bound);

/* Returns true if other hosts may reach it. */
bool listen_open(int fd);

/* Removes the name of a unix socket that is about to be closed, unless systemd has handed it
 * over. */
void listen_unlink(int fd);

#endif
