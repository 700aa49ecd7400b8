/*
 * stat.h - counters, and their text for Prometheus.
 *
 * One line of STAT_COUNTERS defines the field, the metric's name and its help. Every limit has a
 * counter. One line of STAT_HISTOGRAMS defines a histogram of times. Its buckets only grow and are
 * handed over in an upgrade, as counters are.
 */
#ifndef SSE_LIB_STAT_H
#define SSE_LIB_STAT_H

#include "lib/text.h"

/* X(field, name without "sse_" and "_total", help) */
#define STAT_COUNTERS(X)                                                                          \
    X(accepted, "connections_accepted", "Connections accepted.")                                  \
    X(requests, "requests", "Requests whose head was read.")                                      \
    X(refused, "requests_refused", "Requests answered with a status of 400 or above.")            \
    X(published, "messages_published", "Messages put into the ring.")                             \
    X(published_bytes, "messages_published_bytes", "Bytes of data in them.")                      \
    X(ended, "topics_ended", "Ends of topics put into the ring.")                                 \
    X(publish_ended, "publish_ended", "Messages refused as their topic has ended.")               \
    X(duplicates, "messages_duplicate", "Messages whose key had been published before.")          \
    X(keys_reused, "keys_reused", "Messages refused as their key was another message's.")         \
    X(purges, "purges", "Topics purged.")                                                         \
    X(purged, "messages_purged", "Messages that purging took away.")                              \
    X(delivered, "messages_delivered",                                                            \
      "Messages written whole to a stream or WebSocket, not in polls.")                           \
    X(sent_bytes, "sent_bytes", "Bytes written to sockets.")                                      \
    X(received_bytes, "received_bytes", "Bytes read from sockets.")                               \
    X(evicted, "messages_evicted", "Messages that left the ring to make room.")                   \
    X(aged, "messages_aged", "Messages that left the ring by --max-age.")                         \
    X(conflated, "messages_conflated", "Messages left out for subscribers that conflate.")        \
    X(heartbeats, "heartbeats", "Heartbeats sent.")                                               \
    X(gaps_expired, "gaps_expired", "Gaps sent to subscribers: the message had left the ring.")   \
    X(gaps_unknown, "gaps_unknown", "Gaps sent to subscribers: the cursor is not of this store.") \
    X(gaps_lagged, "gaps_lagged", "Gaps sent to subscribers: overtaken while slow.")              \
    X(overtaken, "subscribers_overtaken", "Subscribers closed, overtaken inside a message.")      \
    X(limit_connections, "limit_max_connections", "Connections shed by --max-connections.")       \
    X(limit_per_address, "limit_max_per_address", "Connections refused by --max-per-address.")    \
    X(limit_descriptors, "limit_descriptors", "Connections shed for want of a descriptor.")       \
    X(limit_topics, "limit_max_topics", "Requests refused by --max-topics.")                      \
    X(limit_subscriptions, "limit_max_subscriptions", "Requests refused by --max-subscriptions.") \
    X(limit_message, "limit_max_message", "Messages refused by --max-message.")                   \
    X(limit_line, "limit_max_line", "Requests refused by --max-line.")                            \
    X(limit_head, "limit_max_head", "Requests refused by --max-head.")                            \
    X(proxy_refused, "proxy_refused", "Connections closed that brought no PROXY header.")         \
    X(limit_buffers, "limit_max_buffers", "Requests refused by --max-buffers.")                   \
    X(limit_sets, "limit_max_sets", "Requests refused by --max-sets.")                            \
    X(limit_share, "limit_max_share", "Requests refused by --max-share.")                         \
    X(limit_failures, "limit_max_failures", "Requests refused by --max-failures.")                \
    X(limit_scopes, "limit_max_scopes", "WebSockets refused by --max-scopes.")                    \
    X(limit_rate, "limit_min_rate", "Connections ended by --min-rate.")                           \
    X(limit_unsynced, "limit_unsynced", "Messages refused as too much waits to be synced.")       \
    X(timeout_request, "timeout_request", "Connections ended by --request-timeout.")              \
    X(timeout_idle, "timeout_idle", "Connections ended by --idle-timeout.")                       \
    X(timeout_write, "timeout_write", "Connections ended by --write-timeout.")                    \
    X(timeout_pong, "timeout_pong", "WebSockets closed that did not answer a ping.")              \
    X(store_syncs, "store_syncs", "Times the store was synced.")                                  \
    X(store_errors, "store_errors", "Times the store could not be synced.")                       \
    X(tokens_refused, "tokens_refused", "Requests with a token that is not good.")                \
    X(access_denied, "access_denied", "Requests and frames that their client may not make.")      \
    X(host_refused, "host_refused", "Requests refused whose Host is not one of this server's.")   \
    X(expired, "tokens_expired", "Streams, WebSockets and bodies whose token has expired.")       \
    X(revocations, "revocations", "Revocations of tokens taken.")                                 \
    X(revoked, "tokens_revoked", "Streams, WebSockets and bodies whose token was revoked.")       \
    X(limit_revoked, "limit_max_revoked", "Revocations refused by --max-revoked.")                \
    X(key_loads, "key_loads", "Times the key file was read.")                                     \
    X(key_errors, "key_errors", "Times the key file could not be read again.")                    \
    X(upgrades, "upgrades", "Upgrades in place.")                                                 \
    X(upgrades_refused, "upgrades_refused", "Upgrades in place that could not be done.")          \
    X(drained, "connections_drained", "Connections closed by --drain.")                           \
    X(log_dropped, "log_lines_dropped", "Lines of the log dropped, as its reader lagged.")        \
    X(turns, "turns", "Turns of the loop.")

/* X(field, name without "sse_", help) */
#define STAT_HISTOGRAMS(X)                                             \
    X(turn, "turn_seconds", "Turns of the loop, without the waiting.") \
    X(delivery, "delivery_seconds",                                    \
      "From the turn that read a message to the last socket write of its fan-out.")

/* X(upper bound of a bucket in microseconds, the same in seconds as its label) */
#define STAT_BOUNDS(X) \
    X(50, "0.00005")   \
    X(100, "0.0001")   \
    X(250, "0.00025")  \
    X(500, "0.0005")   \
    X(1000, "0.001")   \
    X(2500, "0.0025")  \
    X(5000, "0.005")   \
    X(10000, "0.01")   \
    X(25000, "0.025")  \
    X(50000, "0.05")   \
    X(100000, "0.1")   \
    X(250000, "0.25")  \
    X(1000000, "1")

enum {
#define X(us, label) STAT_LE_##us,
    STAT_BOUNDS(X)
#undef X
        STAT_LE_INF, /* above all bounds */
    STAT_BUCKETS,
};

struct stat_histogram {
    uint64_t bucket[STAT_BUCKETS]; /* times above the bound before this one, up to its own */
    uint64_t sum_us;
};

/* The number of each counter. */
enum stat_counter {
#define X(field, name, help) STAT_NUMBER_##field,
    STAT_COUNTERS(X)
#undef X
        STAT_COUNT,
};

struct stat_counters {
    union {
        struct {
#define X(field, name, help) uint64_t field;
            STAT_COUNTERS(X)
#undef X
        };
        uint64_t counter[STAT_COUNT]; /* the same counters, by number */
    };
#define X(field, name, help) struct stat_histogram field;
    STAT_HISTOGRAMS(X)
#undef X
};

/* Counts a time in microseconds. */
void stat_observe(struct stat_histogram *h, uint64_t us);

/* Appends all of them in the Prometheus text format: "# HELP", "# TYPE", "sse_NAME_total V"; of a
 * histogram its buckets, sum and count. */
void stat_write(struct text *t, const struct stat_counters *s);

/* Appends one more counter in the same format; `name` excludes "sse_" and "_total"; and one of a
 * time, as stat_gauge_us() does. */
void stat_counter(struct text *t, const char *name, const char *help, uint64_t value);
void stat_counter_us(struct text *t, const char *name, const char *help, uint64_t us);

/* Appends one gauge in the same format; `name` includes "sse_" and its unit. */
void stat_gauge(struct text *t, const char *name, const char *help, uint64_t value);

/* Appends a gauge of a time in microseconds, written in seconds with six decimals. */
void stat_gauge_us(struct text *t, const char *name, const char *help, uint64_t us);

/* Appends a gauge of several values, distinguished by a label: NAME{LABEL="ROW.NAME"} ROW.VALUE for
 * each row. A row's name holds no quote, backslash or line end. */
struct stat_row {
    const char *name;
    uint64_t value;
};
void stat_gauge_by(struct text *t, const char *name, const char *help, const char *label,
                   const struct stat_row *row, unsigned rows);

/* Hand the counters over to another version of the program. stat_save() appends a line "name value"
 * for each counter, and for each bucket and sum of a histogram. stat_load() adds the values of
 * known names and skips others; returns false if some line could not be read. */
void stat_save(const struct stat_counters *s, struct text *t);
bool stat_load(struct stat_counters *s, struct span saved);

#endif
