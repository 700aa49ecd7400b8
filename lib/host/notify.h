/*
 * notify.h - reports the server's state to a service manager (the protocol of sd_notify(3)).
 */
#ifndef SSE_LIB_HOST_NOTIFY_H
#define SSE_LIB_HOST_NOTIFY_H

#include <stdbool.h>

/* Sends `state`, such as "READY=1", to the datagram socket that NOTIFY_SOCKET names; does nothing
 * without that variable. Returns false with errno set on failure. */
bool notify(const char *state);

/* Returns true if stderr goes to journald (JOURNAL_STREAM, see systemd.exec(5)). */
bool notify_journal(void);

#endif
