/*
 * limits.c - the table of limits.
 */
#include "lib/host/limits.h"

/* Descriptors that are not for clients: the process's own, and those kept to refuse clients
 * (lib/host/acceptor.c). */
#define DESCRIPTORS_KEPT 304u

/* Bytes that an idle connection takes: in the kernel and in the server (bench/README.md). */
#define CONNECTION_BYTES (4096u + 80u)

/* Bytes that the server reserves and touches as needed, with default flags. */
#define RESERVED_BYTES (2u << 30)

/* Limits from here on count as none. */
#define ENDLESS (1ull << 50)

#define MAPS_NEEDED 64u
#define PIDS_NEEDED 2u /* itself, and the next program on trial */

enum kind {
    STOPS = 0, /* limits how many connections there can be */
    BURST = 1, /* how many can come at once */
    OTHER = 2, /* enough, or not */
};

static const struct row {
    const char *name, *lift;
    uint32_t per;    /* of its unit, a connection */
    uint32_t kept;   /* of its unit, not for connections */
    uint64_t needed; /* OTHER */
    uint8_t kind;
    bool bytes;
} rows[LIMITS] = {
    [LIMIT_DESCRIPTORS] = {"descriptors of a process (ulimit -Hn)",
                           "LimitNOFILE= in the systemd unit, or ulimit -Hn N as root", 1,
                           DESCRIPTORS_KEPT, 0, STOPS, false},
    [LIMIT_NR_OPEN] = {"the most that these can be set to", "sysctl -w fs.nr_open=N", 1,
                       DESCRIPTORS_KEPT, 0, STOPS, false},
    [LIMIT_FILES] = {"open files of the machine", "sysctl -w fs.file-max=N", 1, DESCRIPTORS_KEPT, 0,
                     STOPS, false},
    [LIMIT_WATCHES] = {"descriptors watched by epoll, of a user",
                       "sysctl -w fs.epoll.max_user_watches=N", 1, DESCRIPTORS_KEPT, 0, STOPS,
                       false},
    [LIMIT_CONNTRACK] = {"connections tracked by netfilter",
                         "sysctl -w net.netfilter.nf_conntrack_max=N, or a notrack rule", 1, 0, 0,
                         STOPS, false},
    [LIMIT_MEMORY] = {"memory available", "more memory", CONNECTION_BYTES, 0, 0, STOPS, true},
    [LIMIT_CGROUP] = {"memory of the control group", "MemoryMax= in the systemd unit (memory.max)",
                      CONNECTION_BYTES, 0, 0, STOPS, true},
    [LIMIT_TCP_MEMORY] = {"memory of TCP's buffers, a page each being in use",
                          "sysctl -w net.ipv4.tcp_mem='LOW PRESSURE MOST' (pages)", 4096, 0, 0,
                          STOPS, true},
    [LIMIT_COMMIT] = {"memory that may be reserved (vm.overcommit_memory=2)",
                      "sysctl -w vm.overcommit_memory=0, or --max-memory", 0, 0, RESERVED_BYTES,
                      OTHER, true},
    [LIMIT_MAPS] = {"mappings of a process", "sysctl -w vm.max_map_count=N", 0, 0, MAPS_NEEDED,
                    OTHER, false},
    [LIMIT_PIDS] = {"processes of the control group", "TasksMax= in the systemd unit (pids.max)", 0,
                    0, PIDS_NEEDED, OTHER, false},
    [LIMIT_BACKLOG] = {"waiting to be accepted", "sysctl -w net.core.somaxconn=N", 1, 0, 0, BURST,
                       false},
    [LIMIT_SYN] = {"half open", "sysctl -w net.ipv4.tcp_max_syn_backlog=N", 1, 0, 0, BURST, false},
    [LIMIT_PORTS] = {"from one client's address, such as a proxy's",
                     "sysctl -w net.ipv4.ip_local_port_range='1024 65535' there, or more addresses",
                     1, 0, 0, BURST, false},
};

uint64_t limits_connections(const struct limits *l, enum limit which)
{
    const struct row *row = &rows[which];
    const bool each = which == LIMIT_DESCRIPTORS || which == LIMIT_NR_OPEN;
    uint64_t left = l->value[which];
    uint64_t gone = l->used[which] + (uint64_t)row->kept * (each ? 1 : l->workers);
    if (row->kind == OTHER || left == LIMIT_NONE)
        return LIMIT_NONE;
    return left > gone ? (left - gone) / row->per * (each ? l->workers : 1) : 0;
}

/* Returns true if there is as much as workers and parent need of what is not for connections. */
static bool enough(const struct limits *l, enum limit which)
{
    const uint64_t needed = rows[which].needed, n = l->workers;
    return l->value[which] >= l->used[which] + (which == LIMIT_COMMIT          ? needed * n
                                                : which == LIMIT_PIDS && n > 1 ? n + 1
                                                                               : needed);
}

enum limit limits_first(const struct limits *l)
{
    enum limit first = LIMIT_DESCRIPTORS;
    for (unsigned i = 0; i < LIMITS; i++)
        if (rows[i].kind == STOPS &&
            limits_connections(l, (enum limit)i) < limits_connections(l, first))
            first = (enum limit)i;
    return first;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* Appends text, padded to at least `width`, on its left or right. */
static void column(struct text *t, struct span s, size_t width, bool right)
{
    if (!right)
        text_add(t, s);
    for (size_t n = s.n; n < width; n++)
        text_str(t, " ");
    if (right)
        text_add(t, s);
}

/* Appends a number, with a unit if it is in bytes; "-" or the like for none. */
static void value(struct text *t, uint64_t v, bool bytes, size_t width)
{
    static const char units[][3] = {"", " K", " M", " G"};
    char buf[32];
    struct text number = text_in(buf, sizeof buf);
    unsigned unit = 0;
    if (v >= ENDLESS) {
        column(t, v == LIMIT_NONE ? SPAN("-") : SPAN("endless"), width, true);
        return;
    }
    for (; bytes && unit < 3 && v >= 10240; unit++)
        v /= 1024;
    text_u64(&number, v);
    text_str(&number, units[unit]);
    column(t, text_span(&number), width, true);
}

/* Appends the rows of a kind; `first` is the limit that is reached first, or LIMITS. */
static void rows_write(struct text *t, const struct limits *l, enum kind kind, enum limit first)
{
    for (unsigned i = 0; i < LIMITS; i++) {
        const struct row *row = &rows[i];
        if (row->kind != kind)
            continue;
        text_str(t, i == first ? "> " : "  ");
        column(t, span_of(row->name), 49, false);
        value(t, l->value[i], row->bytes, 21);
        if (kind == OTHER)
            column(t, enough(l, (enum limit)i) ? SPAN("enough") : SPAN("TOO FEW"), 15, true);
        else
            value(t, limits_connections(l, (enum limit)i), false, 15);
        text_str(t, "\n      ");
        text_str(t, row->lift);
        text_str(t, "\n");
    }
}

void limits_write(struct text *t, const struct limits *l)
{
    enum limit first = limits_first(l);
    text_str(t,
             "How many connections sse could have on this machine, by what limits them, and what "
             "lifts that.\n\n");
    column(t, SPAN("  limit"), 51, false);
    column(t, SPAN("value"), 21, true);
    column(t, SPAN("connections"), 15, true);
    text_str(t, "\n");
    rows_write(t, l, STOPS, first);
    text_str(t, "\nConnections that come at once:\n");
    rows_write(t, l, BURST, LIMITS);
    text_str(t, "\nHaving nothing to do with their number:\n");
    rows_write(t, l, OTHER, LIMITS);
    text_str(t, "\n> stops first: ");
    text_u64(t, limits_connections(l, first));
    text_str(t, " connections, for ");
    text_str(t, rows[first].name);
    text_str(t, ".\n  To have more: ");
    text_str(t, rows[first].lift);
    text_str(t, ".\n");
}
