/*
 * listen.h - listeners: those of --bind, and those that systemd hands over (sd_listen_fds(3)).
 */
#ifndef SSE_LIB_HOST_LISTEN_H
#define SSE_LIB_HOST_LISTEN_H

#include "lib/text.h"

/* Listens at an address as --bind has it, on `port` where it has none. A unix socket that nobody
 * listens at any more is removed first. What accept() gives takes over the listener's options:
 * unacknowledged bytes are waited for `patience_ms`, and the kernel keeps `unsent` bytes at most that
 * it has not sent. Gives the descriptor, non-blocking and close-on-exec; or minus an exit code of
 * sysexits.h, with the reason in *why. */
int listen_at(struct span address, uint16_t port, uint32_t patience_ms, int unsent,
              struct text *why);

/* How many sockets systemd has handed to this process: descriptors LISTEN_FIRST and up. */
#define LISTEN_FIRST 3
unsigned listen_given(void);

/* Makes one of these ready. Gives 0; or minus an exit code, with the reason in *why, if it does not
 * listen for streams. */
int listen_take(int fd, uint32_t patience_ms, int unsent, struct text *why);

/* Appends a listener's address: "http://127.0.0.1:8080", "unix:/run/sse". False: it has none. */
bool listen_address(int fd, struct text *t);

/* Appends the address of a client's peer, without "http://": "127.0.0.1:4711", "unix". False: it has
 * none any more. */
bool listen_peer(int fd, struct text *t);

/* May others than this host reach it? */
bool listen_open(int fd);

/* Removes the name of a unix socket that is about to be closed, unless systemd has handed it over. */
void listen_unlink(int fd);

#endif
