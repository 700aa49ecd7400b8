/*
 * notify.h - tells a service manager how the server is (sd_notify(3), by its plain protocol).
 */
#ifndef SSE_LIB_HOST_NOTIFY_H
#define SSE_LIB_HOST_NOTIFY_H

#include <stdbool.h>

/* Sends `state`, as "READY=1", to the datagram socket that NOTIFY_SOCKET names; does nothing
 * without it. False: errno says why it could not. */
bool notify(const char *state);

/* Returns true if stderr goes to journald (JOURNAL_STREAM, see systemd.exec(5)). */
bool notify_journal(void);

#endif
