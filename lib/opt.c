/*
 * opt.c - the command line and the environment.
 *
 * OPTIONS defines each flag in one line: the defaults, the bounds, the variables and the messages
 * come from it; lib/cli/help.txt is the text of --help. Flags are read first, then the variables of
 * flags that were not given, then the defaults of the rest, all by the same functions.
 */
#include "lib/opt.h"

#include <assert.h>

#include "lib/authority.h"
#include "lib/control.h"
#include "lib/cors.h"
#include "lib/name.h"
#include "lib/near.h"
#include "lib/net.h"
#include "lib/unit.h"

/* ---- the table ---- */

enum kind {
    NUMBER = 0, /* digits */
    COUNT = 1,  /* digits, K, M or G: of things */
    SIZE = 2,   /* the same, of bytes */
    POWER = 3,  /* a size that is a power of two */
    TIME = 4,
    AGE = 5,  /* a time, "none" or 0 */
    MOST = 6, /* a size, "none" or 0 */
    YES = 7,  /* needs no value as a flag */
    LEVEL = 8,
    SYNC = 9,
    WAYS = 10,
    PATH = 11,      /* of a file, or "none" */
    ADDRESSES = 12, /* lists: repeatable; the bounds tell how many */
    TOPICS = 13,
    ORIGINS = 14,
    NETWORKS = 15,
    HOSTS = 16,
    HELP = 17, /* ask for something else than to run */
    VERSION = 18,
    EXPLAIN = 19,
    USER = 20,  /* one, or "none" */
    WORDS = 21, /* a list of any words */
    WORD = 22,  /* any, or "none" */
    PATHS = 23, /* a list of files' paths; "none" adds nothing */
    CORES = 24, /* a number, or "auto": 0 */
};

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define SECOND 1000ull
#define HOUR   (3600 * SECOND)

/* X(kind, field, letter or ' ', name, default, least, most)
 * A(kind, letter or ' ', name) */
/* clang-format off */
#define OPTIONS(X, A)                                                                              \
    X(NUMBER, port, 'p', "port", "8080", 0, 65535)                                                 \
    X(ADDRESSES, bind, 'b', "bind", "127.0.0.1", 1, OPT_LIST_MAX)                                  \
    X(ADDRESSES, admin, ' ', "admin", "none", 0, OPT_LIST_MAX)                                     \
    X(HOSTS, host, ' ', "host", "none", 0, OPT_LIST_MAX)                                           \
    X(TOPICS, topic, 't', "topic", "any", 0, OPT_LIST_MAX)                                         \
    X(POWER, ring, 'r', "ring", "64M", 64 * KIB, 256 * GIB)                                        \
    X(PATH, store, ' ', "store", "none", 0, 0)                                                     \
    X(SYNC, fsync, ' ', "fsync", "interval", 0, 0)                                                 \
    X(AGE, max_age_ms, ' ', "max-age", "none", 10, 1000000 * HOUR)                                 \
    X(SIZE, max_message, ' ', "max-message", "1M", 1, 256 * MIB)                                   \
    X(COUNT, max_connections, ' ', "max-connections", "0", 0, 1024 * MIB)                          \
    X(COUNT, max_per_address, ' ', "max-per-address", "0", 0, 1024 * MIB)                          \
    X(COUNT, max_topics, ' ', "max-topics", "1M", 1, 16 * MIB)                                     \
    X(MOST, max_memory, ' ', "max-memory", "none", MIB, 1024 * GIB)                                \
    X(COUNT, max_subscriptions, ' ', "max-subscriptions", "1000", 1, 64 * KIB)                     \
    X(SIZE, max_sets, ' ', "max-sets", "64M", 64 * KIB, 16 * GIB)                                  \
    X(COUNT, max_share, ' ', "max-share", "8", 1, 64 * KIB)                                        \
    X(SIZE, max_line, ' ', "max-line", "8K", 64, MIB)                                              \
    X(SIZE, max_head, ' ', "max-head", "16K", 256, MIB)                                            \
    X(SIZE, max_buffers, ' ', "max-buffers", "256M", MIB, 1024 * GIB)                              \
    X(SIZE, max_answer, ' ', "max-answer", "256K", 1024, 64 * MIB)                                 \
    X(TIME, max_wait_ms, ' ', "max-wait", "60s", 1000, 24 * HOUR)                                  \
    X(TIME, heartbeat_ms, ' ', "heartbeat", "15s", 10, 24 * HOUR)                                  \
    X(TIME, retry_ms, ' ', "retry", "2s", 10, 24 * HOUR)                                           \
    X(TIME, request_timeout_ms, ' ', "request-timeout", "10s", 10, 24 * HOUR)                      \
    X(SIZE, min_rate, ' ', "min-rate", "500", 0, GIB)                                              \
    X(TIME, idle_timeout_ms, ' ', "idle-timeout", "75s", 10, 24 * HOUR)                            \
    X(TIME, write_timeout_ms, ' ', "write-timeout", "30s", 10, 24 * HOUR)                          \
    X(TIME, drain_ms, ' ', "drain", "5s", 0, 24 * HOUR)                                            \
    X(PATHS, key_files, ' ', "key-file", "none", 0, OPT_LIST_MAX)                                  \
    X(AGE, key_refresh_ms, ' ', "key-refresh", "none", SECOND, 24 * HOUR)                          \
    X(WORDS, audience, ' ', "audience", "none", 0, OPT_LIST_MAX)                                   \
    X(WORDS, issuer, ' ', "issuer", "none", 0, OPT_LIST_MAX)                                       \
    X(WORD, claims, ' ', "claims", "none", 0, 0)                                                   \
    X(WAYS, anonymous, ' ', "anonymous", "subscribe", 0, 0)                                        \
    X(COUNT, max_failures, ' ', "max-failures", "60", 0, MIB)                                      \
    X(SIZE, max_scopes, ' ', "max-scopes", "16M", 64 * KIB, GIB)                                   \
    X(COUNT, max_revoked, ' ', "max-revoked", "1000", 0, OPT_REVOKED_MAX)                          \
    X(YES, log_subject, ' ', "log-subject", "no", 0, 1)                                            \
    X(NETWORKS, trust_proxy, ' ', "trust-proxy", "none", 0, NETS_MAX)                              \
    X(YES, proxy_protocol, ' ', "proxy-protocol", "no", 0, 1)                                      \
    X(ORIGINS, cors, ' ', "cors", "none", 0, OPT_LIST_MAX)                                         \
    X(CORES, workers, ' ', "workers", "1", 1, CONTROL_WORKERS)                                     \
    X(USER, user, ' ', "user", "none", 0, 0)                                                       \
    X(YES, no_sandbox, ' ', "no-sandbox", "no", 0, 1)                                              \
    X(LEVEL, log, ' ', "log", "info", 0, 0)                                                        \
    X(YES, access_log, ' ', "access-log", "no", 0, 1)                                              \
    X(YES, no_page, ' ', "no-page", "no", 0, 1)                                                    \
    A(EXPLAIN, ' ', "explain-limits")                                                              \
    A(VERSION, 'V', "version")                                                                     \
    A(HELP, 'h', "help")
/* clang-format on */

struct row {
    char name[20], def[12]; /* here, as pointers would be larger: each is relocated at the start */
    uint64_t least, most;
    uint16_t at; /* of the field in struct opt; its bytes */
    uint16_t size;
    uint8_t kind; /* enum kind */
    char letter;  /* ' ' if there is none */
};

static const struct row rows[] = {
#define X(kind, field, letter, name, def, least, most)                                        \
    {name, def,   least, most, offsetof(struct opt, field), sizeof(((struct opt *)0)->field), \
     kind, letter},
#define A(kind, letter, name) {name, "", 0, 0, 0, 0, kind, letter},
    OPTIONS(X, A)
#undef X
#undef A
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

const char *opt_version(void)
{
    return "sse 0.1.0\n";
}

/* ---- units ---- */

/* Returns true and sets *kind if the row's value has a unit; false if it is plain digits. */
static bool has_unit(const struct row *row, enum unit_kind *kind)
{
    switch ((enum kind)row->kind) {
    case COUNT:
    case SIZE:
    case POWER:
    case MOST:
        *kind = UNIT_SIZE;
        return true;
    case TIME:
    case AGE:
        *kind = UNIT_TIME;
        return true;
    default:
        return false;
    }
}

/* Reads a number within the row's bounds. */
static bool read_bounded(const struct row *row, struct span s, uint64_t *v)
{
    enum unit_kind kind;
    bool good = has_unit(row, &kind) ? unit_read(s, kind, v) : span_u64(s, v);
    return good && *v >= row->least && *v <= row->most;
}

static void write_bounded(struct text *t, const struct row *row, uint64_t v)
{
    enum unit_kind kind;
    if (has_unit(row, &kind))
        unit_write(t, v, kind);
    else
        text_u64(t, v);
}

/* ---- values ---- */

static bool is_power(uint64_t v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

/* Returns the index of `s` in the words, which have a blank between; UINT64_MAX if it is not among
 * them. */
static uint64_t word_of(struct span s, const char *words)
{
    struct span rest = span_of(words);
    for (uint64_t i = 0; rest.p != NULL; i++)
        if (span_eq(s, span_cut(&rest, ' ')))
            return i;
    return UINT64_MAX;
}

static bool read_yes(struct span s, uint64_t *v)
{
    uint64_t word = word_of(s, "0 1 no yes false true");
    *v = word & 1;
    return word != UINT64_MAX;
}

static bool read_level(struct span s, uint64_t *v)
{
    *v = word_of(s, "error warn info debug"); /* enum opt_log */
    return *v != UINT64_MAX;
}

static bool read_sync(struct span s, uint64_t *v)
{
    *v = word_of(s, "never interval always"); /* enum opt_fsync */
    return *v != UINT64_MAX;
}

/* Reads a list of what anyone may do into bits of enum opt_anonymous. Returns false if it is
 * wrong. */
static bool read_ways(struct span s, uint64_t *v)
{
    *v = 0;
    if (span_eq(s, SPAN("none")))
        return true;
    do {
        uint64_t word = word_of(span_cut(&s, ','), "subscribe publish");
        if (word == UINT64_MAX)
            return false;
        *v |= word == 0 ? OPT_ANONYMOUS_SUBSCRIBE : OPT_ANONYMOUS_PUBLISH;
    } while (s.p != NULL);
    return true;
}

/* Reads a number within the row's bounds, or "none": 0. */
static bool read_or_none(const struct row *row, struct span s, uint64_t *v)
{
    enum unit_kind kind;
    if (span_eq(s, SPAN("none")) || (has_unit(row, &kind) && unit_read(s, kind, v) && *v == 0)) {
        *v = 0;
        return true;
    }
    return read_bounded(row, s, v);
}

/* ---- setting ---- */

enum source {
    BY_NONE = 0,
    BY_FLAG = 1,
    BY_ENV = 2,
};

struct parser {
    struct opt *o;
    struct text *err;
    uint8_t by[ROWS]; /* enum source */
};

static void *field_of(const struct parser *x, const struct row *row)
{
    return (char *)x->o + row->at;
}

/* Puts a number into the row's field. */
static void store(const struct parser *x, const struct row *row, uint64_t v)
{
    uint8_t v8 = (uint8_t)v;
    uint16_t v16 = (uint16_t)v;
    uint32_t v32 = (uint32_t)v;
    switch (row->size) {
    case sizeof(v8):
        memcpy(field_of(x, row), &v8, sizeof(v8));
        break;
    case sizeof(v16):
        memcpy(field_of(x, row), &v16, sizeof(v16));
        break;
    case sizeof(v32):
        memcpy(field_of(x, row), &v32, sizeof(v32));
        break;
    default:
        assert(row->size == sizeof(v));
        memcpy(field_of(x, row), &v, sizeof(v));
    }
}

/* Returns what is wrong with a further item of a list; NULL if nothing is. */
static const char *item_wrong(const struct parser *x, const struct row *row, struct span value)
{
    const struct opt_list *list = field_of(x, row);
    if (value.n == 0)
        return "must not be empty";
    if (row->kind == ORIGINS && !cors_is_origin(value))
        return "must be *, null, or scheme://host[:port] without a path";
    struct net net;
    const char *why = row->kind == TOPICS     ? topic_pattern_wrong(value)
                      : row->kind == NETWORKS ? net_read(value, &net)
                      : row->kind == HOSTS    ? authority_name_wrong(value)
                                              : NULL;
    if (row->kind == PATHS && value.n >= OPT_PATH_MAX)
        why = "is longer than a path can be";
    if (why == NULL && list->n == OPT_LIST_MAX)
        why = "is one more than there can be";
    return why;
}

static bool is_list(const struct row *row)
{
    return (row->kind >= ADDRESSES && row->kind <= HOSTS) || row->kind == WORDS ||
           row->kind == PATHS;
}

/* Returns true if the row has no field. */
static bool is_action(const struct row *row)
{
    return row->kind == HELP || row->kind == VERSION || row->kind == EXPLAIN;
}

/* Sets a file's path or a user. The value is NUL-ended, as it is the end of an argument or a
 * variable. */
static bool set_path(const struct parser *x, const struct row *row, struct span value)
{
    const char *path = span_eq(value, SPAN("none")) ? NULL : value.p;
    assert(value.p[value.n] == '\0');
    memcpy(field_of(x, row), &path, sizeof(path));
    return value.n > 0;
}

const char *opt_path(const struct opt_list *list, uint32_t i, char out[OPT_PATH_MAX])
{
    struct span path = list->item[i];
    assert(path.n < OPT_PATH_MAX);
    memcpy(out, path.p, path.n);
    out[path.n] = '\0';
    return out;
}

/* Takes a value for a row; false if it is wrong. */
static bool set(const struct parser *x, const struct row *row, struct span value)
{
    uint64_t v = 0;
    bool good;
    if (is_list(row)) {
        struct opt_list *list = field_of(x, row);
        if (item_wrong(x, row, value) != NULL)
            return false;
        if (row->kind != PATHS || !span_eq(value, SPAN("none")))
            list->item[list->n++] = value;
        return true;
    }
    switch ((enum kind)row->kind) {
    case POWER:
        good = read_bounded(row, value, &v) && is_power(v);
        break;
    case AGE:
    case MOST:
        good = read_or_none(row, value, &v);
        break;
    case YES:
        good = read_yes(value, &v);
        break;
    case LEVEL:
        good = read_level(value, &v);
        break;
    case SYNC:
        good = read_sync(value, &v);
        break;
    case WAYS:
        good = read_ways(value, &v);
        break;
    case PATH:
    case USER:
    case WORD:
        return set_path(x, row, value);
    case CORES:
        good = span_eq(value, SPAN("auto")) || read_bounded(row, value, &v);
        break;
    default:
        good = read_bounded(row, value, &v);
        break;
    }
    if (good)
        store(x, row, v);
    return good;
}

/* ---- messages ---- */

/* Appends the flag, or the variable that stands for it. */
static void write_name(struct text *t, const struct row *row, enum source by)
{
    text_str(t, by == BY_ENV ? "SSE_" : "--");
    for (const char *c = row->name; *c != '\0'; c++) {
        char upper = *c;
        if (by == BY_ENV)
            upper = *c == '-' ? '_' : (char)(*c & ~0x20);
        text_add(t, (struct span){&upper, 1});
    }
}

/* Appends the value given, as far as it helps to find the error. */
static void write_given(struct text *t, struct span value)
{
    const size_t most = 100;
    text_add(t, (struct span){value.p, value.n < most ? value.n : most});
    if (value.n > most)
        text_str(t, "...");
}

/* Appends the flag's or variable's name, as it stands before a value. */
static void write_subject(struct text *t, const struct row *row, enum source by)
{
    write_name(t, row, by);
    text_str(t, by == BY_ENV ? "=" : " ");
}

static void write_range(struct text *t, const struct row *row, const char *what)
{
    text_str(t, what);
    write_bounded(t, row, row->least);
    text_str(t, " to ");
    write_bounded(t, row, row->most);
}

/* Appends the powers of two next to a size that must be one. */
static void write_powers(struct text *t, const struct row *row, struct span value)
{
    uint64_t v, below = row->least;
    if (!read_bounded(row, value, &v)) {
        write_range(t, row, "must be a power of two from ");
        return;
    }
    while (below * 2 < v)
        below *= 2;
    text_str(t, "must be a power of two: ");
    unit_write(t, below, UNIT_SIZE);
    text_str(t, " or ");
    unit_write(t, below * 2, UNIT_SIZE);
}

/* Appends what a value of the row must be. */
static void write_right(struct text *t, const struct row *row, struct span value)
{
    switch ((enum kind)row->kind) {
    case SIZE:
    case TIME:
        write_range(t, row, row->kind == SIZE ? "must be a size from " : "must be a time from ");
        text_str(t, ", such as ");
        text_str(t, row->def);
        break;
    case AGE:
        write_range(t, row, "must be none, or a time from ");
        text_str(t, ", such as 10m");
        break;
    case MOST:
        write_range(t, row, "must be none, or a size from ");
        text_str(t, ", such as 512M");
        break;
    case POWER:
        write_powers(t, row, value);
        break;
    case YES:
        text_str(t, "must be 1, yes or true, or 0, no or false");
        break;
    case LEVEL:
        text_str(t, "must be error, warn, info or debug");
        break;
    case SYNC:
        text_str(t, "must be never, interval or always");
        break;
    case CORES:
        write_range(t, row, "must be auto, or a number from ");
        break;
    case PATH:
        text_str(t, "must be a file, or none");
        break;
    case USER:
        text_str(t, "must be NAME or UID, perhaps with :GROUP");
        break;
    case WORD:
        text_str(t, "must be a name, or none");
        break;
    case WAYS:
        text_str(t, "must be publish, subscribe, or both with a comma between, or none");
        break;
    default:
        write_range(t, row, "must be a number from ");
        break;
    }
}

/* Reports a value that set() refused. */
static enum opt_result wrong(const struct parser *x, const struct row *row, enum source by,
                             struct span value)
{
    write_subject(x->err, row, by);
    write_given(x->err, value);
    text_str(x->err, ": ");
    if (is_list(row))
        text_str(x->err, item_wrong(x, row, value));
    else
        write_right(x->err, row, value);
    return OPT_WRONG;
}

/* Returns what a refusal says about a word that is not a flag. Some are those of other programs. */
static const char *hint_of(struct span word)
{
    return word_of(word, "publish") == 0     ? ": did you mean sse pub?"
           : word_of(word, "subscribe") == 0 ? ": did you mean sse sub?"
           : word_of(word, "serve server start run") != UINT64_MAX
               ? ": the server starts without a word, by sse [OPTION]..."
               : ": there are only flags, and the commands sub, pub, token, health";
}

static enum opt_result unexpected(const struct parser *x, struct span argument)
{
    text_str(x->err, "unexpected argument ");
    write_given(x->err, argument);
    text_str(x->err, hint_of(argument));
    return OPT_WRONG;
}

/* ---- unknown flags ---- */

/* Returns the flag that was probably meant: the nearest, or the only one that begins with the text;
 * NULL if none. */
static const struct row *nearest(struct span name)
{
    const struct row *near = NULL, *longer = NULL;
    unsigned least = 3, begun = 0;
    if (name.n < 2 || name.n > NEAR_MAX)
        return NULL;
    for (size_t i = 0; i < ROWS; i++) {
        struct span candidate = span_of(rows[i].name);
        unsigned d = near_distance(name, candidate);
        if (d < least && d <= name.n / 2) {
            least = d;
            near = &rows[i];
        }
        if (span_begins(candidate, name)) {
            longer = &rows[i];
            begun++;
        }
    }
    return near == NULL && begun == 1 ? longer : near;
}

static enum opt_result unknown(const struct parser *x, const char *dashes, struct span name)
{
    const struct row *row = nearest(name);
    text_str(x->err, "unknown flag ");
    text_str(x->err, dashes);
    write_given(x->err, name);
    if (row != NULL) {
        text_str(x->err, "; did you mean --");
        text_str(x->err, row->name);
        text_str(x->err, "?");
    }
    return OPT_WRONG;
}

/* ---- flags ---- */

static const struct row *find_name(struct span name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (span_eq(name, span_of(rows[i].name)))
            return &rows[i];
    return NULL;
}

static const struct row *find_letter(char letter)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].letter == letter && letter != ' ')
            return &rows[i];
    return NULL;
}

/* Handles a flag, with the value in the same argument (null if none) or with `next`, the argument
 * after it; *used says whether `next` was used. */
static enum opt_result do_flag(struct parser *x, const struct row *row, struct span value,
                               const char *next, bool *used)
{
    if (is_action(row))
        return row->kind == HELP ? OPT_HELP : row->kind == VERSION ? OPT_VERSION : OPT_EXPLAIN;
    if (value.p == NULL && row->kind == YES)
        value = SPAN("yes");
    if (value.p == NULL && next == NULL) {
        write_name(x->err, row, BY_FLAG);
        text_str(x->err, " needs a value");
        return OPT_WRONG;
    }
    *used = value.p == NULL;
    if (*used)
        value = span_of(next);
    x->by[row - rows] = BY_FLAG;
    return set(x, row, value) ? OPT_RUN : wrong(x, row, BY_FLAG, value);
}

static enum opt_result do_argument(struct parser *x, struct span arg, const char *next, bool *used)
{
    struct span value = {NULL, 0};
    if (span_begins(arg, SPAN("--"))) {
        value = span_from(arg, 2);
        struct span name = span_cut(&value, '=');
        const struct row *row = find_name(name);
        return row != NULL ? do_flag(x, row, value, next, used) : unknown(x, "--", name);
    }
    if (arg.n < 2 || arg.p[0] != '-')
        return unexpected(x, arg);
    const struct row *row = find_letter(arg.p[1] == 'v' ? 'V' : arg.p[1]); /* as most programs */
    if (arg.n > 2)
        value = span_from(arg, 2);
    return row != NULL ? do_flag(x, row, value, next, used) : unknown(x, "-", span_from(arg, 1));
}

static enum opt_result do_flags(struct parser *x, int argc, char *const argv[])
{
    enum opt_result result = OPT_RUN;
    for (int i = 1; i < argc && result == OPT_RUN; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool used = false;
        if (span_eq(span_of(argv[i]), SPAN("--")))
            return next == NULL ? OPT_RUN : unexpected(x, span_of(next));
        result = do_argument(x, span_of(argv[i]), next, &used);
        i += used;
    }
    return result;
}

/* ---- the environment ---- */

/* Returns the value of a row's variable; empty if there is none. */
static struct span variable(const struct row *row, char *const envp[])
{
    char buf[64];
    struct text name = text_in(buf, sizeof(buf));
    write_subject(&name, row, BY_ENV);
    assert(!name.full);
    for (; *envp != NULL; envp++)
        if (span_begins(span_of(*envp), text_span(&name)))
            return span_from(span_of(*envp), name.n);
    return (struct span){NULL, 0};
}

static enum opt_result do_item(struct parser *x, const struct row *row, struct span value)
{
    x->by[row - rows] = BY_ENV;
    return set(x, row, value) ? OPT_RUN : wrong(x, row, BY_ENV, value);
}

/* Reads the variables of the flags that were not given. An empty one counts as none. */
static enum opt_result do_variables(struct parser *x, char *const envp[])
{
    enum opt_result result = OPT_RUN;
    for (size_t i = 0; i < ROWS && result == OPT_RUN; i++) {
        struct span value = variable(&rows[i], envp);
        if (x->by[i] != BY_NONE || is_action(&rows[i]) || value.n == 0)
            continue;
        if (!is_list(&rows[i]))
            result = do_item(x, &rows[i], value);
        while (is_list(&rows[i]) && value.n > 0 && result == OPT_RUN) {
            struct span item = span_cut(&value, ' ');
            if (item.n > 0)
                result = do_item(x, &rows[i], item);
        }
    }
    return result;
}

/* ---- all together ---- */

/* Sets the options that were neither a flag nor a variable. */
static void do_defaults(const struct parser *x)
{
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        if (x->by[i] != BY_NONE || is_action(row) || (is_list(row) && row->least == 0))
            continue;
        bool good = set(x, row, span_of(row->def));
        assert(good);
    }
}

/* Reports a number that conflicts with another flag's. */
static enum opt_result clash(const struct parser *x, const struct row *row, uint64_t v,
                             const char *right, uint64_t bound, const char *other)
{
    write_subject(x->err, row, (enum source)x->by[row - rows]);
    write_bounded(x->err, row, v);
    text_str(x->err, right);
    write_bounded(x->err, row, bound);
    text_str(x->err, other);
    return OPT_WRONG;
}

/* Returns true if the option was given, as a flag or a variable. */
static bool is_given(const struct parser *x, const char *name)
{
    const struct row *row = find_name(span_of(name));
    assert(row != NULL);
    return x->by[row - rows] != BY_NONE;
}

/* Reports --fsync without --store. */
static enum opt_result no_store(const struct parser *x)
{
    const struct row *row = find_name(SPAN("fsync"));
    assert(row != NULL);
    write_subject(x->err, row, (enum source)x->by[row - rows]);
    text_str(x->err, x->o->fsync == OPT_FSYNC_ALWAYS     ? "always"
                     : x->o->fsync == OPT_FSYNC_INTERVAL ? "interval"
                                                         : "never");
    text_str(x->err, ": there is nothing to sync without --store FILE");
    return OPT_WRONG;
}

/* Fails for a sync that several processes cannot wait for. */
static enum opt_result no_sync(const struct parser *x)
{
    const struct row *row = find_name(SPAN("fsync"));
    assert(row != NULL);
    write_subject(x->err, row, (enum source)x->by[row - rows]);
    text_str(x->err, "always: needs --workers 1; with more, --fsync is interval or never");
    return OPT_WRONG;
}

/* Checks options that depend on each other. */
static enum opt_result check(const struct parser *x)
{
    const struct row *message = find_name(SPAN("max-message"));
    const struct row *line = find_name(SPAN("max-line")), *head = find_name(SPAN("max-head"));
    struct opt *o = x->o;
    uint64_t most = o->ring / 16;
    assert(message != NULL && line != NULL && head != NULL);
    if (o->store == NULL && is_given(x, "fsync"))
        return no_store(x);
    if (o->fsync == OPT_FSYNC_ALWAYS && o->workers != 1)
        return no_sync(x);
    if (o->max_message > most) {
        if (x->by[message - rows] != BY_NONE)
            return clash(x, message, o->max_message, ": must be at most ", most,
                         ", a sixteenth of --ring");
        o->max_message = most;
    }
    if (o->max_head >= o->max_line)
        return OPT_RUN;
    if (x->by[head - rows] != BY_NONE)
        return clash(x, head, o->max_head, ": must be at least ", o->max_line,
                     ", which is --max-line");
    return clash(x, line, o->max_line, ": must be at most ", o->max_head, ", which is --max-head");
}

enum opt_result opt_parse(struct opt *o, int argc, char *const argv[], char *const envp[],
                          struct text *err)
{
    struct parser x = {.o = o, .err = err};
    memset(o, 0, sizeof(*o));
    o->workers = 1; /* also for --explain-limits */
    enum opt_result result = do_flags(&x, argc, argv);
    if (result == OPT_RUN)
        result = do_variables(&x, envp);
    if (result != OPT_RUN)
        return result;
    do_defaults(&x);
    o->ring_given = is_given(&x, "ring");
    o->connections_given = is_given(&x, "max-connections") && o->max_connections > 0;
    o->topics_given = is_given(&x, "max-topics");
    o->buffers_given = is_given(&x, "max-buffers");
    if (o->key_files.n > 0 && !is_given(&x, "anonymous"))
        o->anonymous = 0; /* who has keys lets nobody in without a token */
    if (o->key_files.n == 0 && o->anonymous != 0)
        o->anonymous |= OPT_ANONYMOUS_SUBSCRIBE; /* publishing comes on top of what all may */
    return check(&x);
}
