/*
 * config.h - the configuration: set at the start, and the keys again on SIGHUP; requests do not
 * change it.
 */
#ifndef SSE_LIB_SERVE_CONFIG_H
#define SSE_LIB_SERVE_CONFIG_H

#include "http.h"
#include "lib/auth/auth.h"
#include "lib/net.h"
#include "lib/opt.h"

struct config {
    struct opt opt;
    struct http_limits limits;
    struct auth_keys keys; /* none: a client's rights depend on where it is */
    struct nets proxies;   /* --trust-proxy */
    struct nets bound;     /* addresses of the listeners; set by their owner, ... */
    bool admin;            /* ... as is this: one of them is of --admin */
};

#endif
