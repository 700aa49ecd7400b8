/*
 * config.h - what the server was started with, and may be told anew (SIGHUP); requests change nothing of it.
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
    struct auth_keys keys; /* none: who may do what depends on where they are */
    struct nets proxies;   /* that are trusted */
    struct nets bound;     /* addresses of its listeners; who has set them up fills it, ... */
    bool admin;            /* ... and notes whether one of them is of --admin */
};

#endif
