/*
 * opt.h - the command line and the environment.
 *
 * Every flag --foo-bar is also the environment variable SSE_FOO_BAR, and a flag wins over it. The
 * variable of a repeatable flag holds several values separated by spaces; an empty variable counts
 * as unset. Times and sizes take units (lib/unit.h). Values are checked here as far as that needs
 * no system call (an address is not); an error names the flag, the value and what would be right.
 */
#ifndef SSE_LIB_OPT_H
#define SSE_LIB_OPT_H

#include "lib/text.h"

#define OPT_LIST_MAX    64
#define OPT_REVOKED_MAX 1900
#define OPT_PATH_MAX    4096

enum opt_log {
    OPT_LOG_ERROR = 0,
    OPT_LOG_WARN = 1,
    OPT_LOG_INFO = 2,
    OPT_LOG_DEBUG = 3,
    OPT_LOG_ACCESS = 4, /* of a line, not a value of --log: logged at every level */
};

enum opt_fsync {
    OPT_FSYNC_NEVER = 0,    /* the kernel writes when it likes */
    OPT_FSYNC_INTERVAL = 1, /* every second */
    OPT_FSYNC_ALWAYS = 2,   /* before anyone gets the message */
};

/* What clients may do without a token, as bits. */
enum opt_anonymous {
    OPT_ANONYMOUS_SUBSCRIBE = 1,
    OPT_ANONYMOUS_PUBLISH = 2,
};

struct opt_list {
    uint32_t n;
    struct span item[OPT_LIST_MAX]; /* point at argv, or into the environment */
};

struct opt {
    uint16_t port;
    struct opt_list bind;  /* addresses as given; never empty after opt_parse() */
    struct opt_list admin; /* likewise; may be empty */
    struct opt_list host;  /* names of this server, which authority_name_wrong() takes */
    struct opt_list topic; /* names and wildcards; empty: any */
    uint64_t ring;         /* bytes, a power of two */
    bool ring_given;       /* by flag or variable: an existing store gets this size */
    const char *store;     /* the file, NULL: none */
    enum opt_fsync fsync;
    uint64_t max_age_ms;      /* 0: none */
    uint64_t max_message;     /* bytes */
    uint32_t max_connections; /* 0: as many as descriptors allow */
    uint32_t max_per_address; /* connections from one address; 0: any number */
    uint32_t max_topics;
    uint64_t max_memory; /* bytes, ring and tables together; 0: any */
    /* by flag or variable (of connections, a number above 0): these are not reduced to fit */
    bool connections_given, topics_given, buffers_given;
    uint64_t max_sets;  /* bytes of the sets that URLs with several names or wildcards select */
    uint32_t max_share; /* one client takes at most 1/max_share of the shared room that is free */
    uint32_t max_subscriptions;  /* names and wildcards in one URL */
    uint32_t max_line, max_head; /* bytes */
    uint64_t max_buffers;        /* bytes for requests and answers in transit */
    uint64_t max_answer;         /* bytes of messages in the answer to a poll, approximate */
    uint32_t max_wait_ms;        /* the longest that a poll may wait */
    uint32_t heartbeat_ms, retry_ms;
    uint32_t request_timeout_ms, idle_timeout_ms, write_timeout_ms;
    uint32_t min_rate;           /* least bytes a second of a body, after request_timeout_ms */
    uint32_t drain_ms;           /* the time over which a stopping server closes its connections */
    struct opt_list key_files;   /* none: a client's rights depend on where it is */
    struct opt_list audience;    /* a token's `aud` must hold one of these */
    struct opt_list issuer;      /* a token's `iss` must be one of these */
    const char *claims;          /* the member of tokens that holds their rights; NULL: none */
    uint32_t key_refresh_ms;     /* how often to look whether a key file has changed; 0: never */
    uint8_t anonymous;           /* enum opt_anonymous */
    uint32_t max_failures;       /* bad tokens from an address in a minute; 0: any number */
    uint64_t max_scopes;         /* bytes for the scopes of WebSockets' tokens */
    uint32_t max_revoked;        /* revocations of tokens; 0: none can be revoked */
    bool proxy_protocol;         /* each connection begins with its header */
    struct opt_list trust_proxy; /* addresses, networks and "unix", which net_read() takes */
    struct opt_list cors;        /* origins; one may be "*" */
    uint32_t workers;            /* processes that serve; 0: one for each core */
    const char *user; /* the user to become: NAME or UID, perhaps with :GROUP; NULL: none */
    bool no_sandbox;
    enum opt_log log;
    bool access_log;
    bool log_subject; /* and refusals tell the `sub` of the token */
    bool no_page;     /* no live page at "/" */
};

/* Item i of a list of files' paths, as a string in `out`. */
const char *opt_path(const struct opt_list *list, uint32_t i, char out[OPT_PATH_MAX]);

enum opt_result {
    OPT_RUN = 0,
    OPT_HELP = 1,
    OPT_VERSION = 2,
    OPT_EXPLAIN = 3, /* --explain-limits */
    OPT_WRONG = -1,
};

/* Reads the environment (a NULL-ended array of "NAME=VALUE") and the command line into *o, on top
 * of the defaults. On OPT_WRONG *err holds the message, without the program's name and without a
 * newline. */
enum opt_result opt_parse(struct opt *o, int argc, char *const argv[], char *const envp[],
                          struct text *err);

/* Returns the text of --version, ended by a newline. */
const char *opt_version(void);

#endif
