/*
 * proxies.h - real proxies before the server: nginx, Caddy, HAProxy, Apache httpd, lighttpd,
 * Varnish, Squid and nghttpx.
 *
 * Their configurations are those of test/proxy/: only ports and the timeouts are replaced. Each
 * runs in the foreground, in a directory that goes when the tests have ended, and dies with the
 * test that started it.
 */
#ifndef SSE_TEST_KIT_PROXIES_H
#define SSE_TEST_KIT_PROXIES_H

#include "test/kit/e2e.h"

#include <stdbool.h>
#include <sys/types.h>

/* How long a proxy waits where that is tested, in seconds; elsewhere longer than any wait of a
 * test, so that what comes has not come because the proxy lost its patience. */
#define PROXY_IMPATIENT    "4"
#define PROXY_IMPATIENT_MS 4000
#define PROXY_PATIENT      "600"

struct proxy_kind {
    const char *name, *package, *config;
    const char *there;     /* a command of the shell that succeeds where it is installed */
    const char *argv[16];  /* ports and timeouts are replaced here as well */
    const char *behind;    /* its port, to be told by a PROXY header whom a connection is from */
    const char *told[2];   /* a word, and the one in its place for that; NULL: none */
    const char *untold[2]; /* what tells the server of clients, and what does not; NULL: always */
    bool litters;          /* it leaves files in /dev/shm where it can't end by itself */
    bool impatient;        /* it cuts what is quiet for too long */
    bool tls;              /* it speaks HTTP/2 over TLS */
    bool puts_off;         /* a stream that the server is away for is answered with one that ends */
    bool notices;          /* who leaves a long poll */
};

extern const struct proxy_kind proxy_kinds[];
extern const int proxy_kinds_n;

struct proxy {
    pid_t pid;
    bool gently;          /* it is asked to end */
    struct e2e_server at; /* its address; the process in there is nobody's */
    int tls;              /* its port for TLS */
};

/* Returns true if it is installed; else says that these tests are left out. */
bool proxy_there(int kind);

/* All that the proxies write, and the certificate for localhost that they use: as a fixture around
 * the tests. */
void proxies_begin(void);
void proxies_end(void);

/* Starts the proxy of a kind before the server, and waits until it listens; `patience` is its
 * timeouts, `told`: a PROXY header begins each connection; `words`: one that stands in its
 * configuration and the one in its place (NULL: none). */
void proxy_start(struct proxy *p, int kind, const struct e2e_server *s, const char *patience);
void proxy_start_told(struct proxy *p, int kind, const struct e2e_server *s);
void proxy_start_with(struct proxy *p, int kind, const struct e2e_server *s,
                      const char *const words[2]);

/* Starts HAProxy before the server, as one that passes on bytes; `how` it tells of clients. */
void proxy_start_balancer(struct proxy *p, const struct e2e_server *s, const char *how);

void proxy_stop(struct proxy *p);

/* Starts a program in the directory, with this stdin and stdout (-1: none). It dies with this
 * process. */
pid_t proxies_spawn(const char *const argv[], const char *package, int in, int out);

#endif
