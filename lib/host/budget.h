/*
 * budget.h - fits all tables into --max-memory.
 *
 * The worst case is computed: every byte of every table touched, which resident memory cannot
 * exceed. It is the sum of
 *
 *   ring         the arena, its index and what is remembered of topics that are gone
 *   scratch      for messages on their way, as long as JSON can make the longest
 *   fixed        the program itself, its stack, the loop's buffers
 *   buffers      the pool of --max-buffers, a power of two, and its book-keeping
 *   entries      of the table of topics (lib/topic): a topic each, and a set for each descriptor;
 *                names, edges and members with them, and a chain in the ring
 *   descriptors  a connection each, and what else is kept by descriptor
 *
 * Limits that were given stand. The others are reduced until all fits: of the memory left above
 * their minimums, buffers get at most a quarter, topics a quarter, and connections the rest as far
 * as descriptors go; what connections cannot use goes to topics, then to buffers.
 */
#ifndef SSE_LIB_HOST_BUDGET_H
#define SSE_LIB_HOST_BUDGET_H

#include "lib/text.h"

/* The minimums to which limits that were not given are reduced. */
#define BUDGET_CONNECTIONS_MIN 100u
#define BUDGET_TOPICS_MIN      1000u
#define BUDGET_BUFFERS_MIN     (1u << 20) /* and room for one of the largest messages */

struct budget_limit {
    uint64_t most; /* the value given, or the default */
    bool given;
};

struct budget_needs {
    uint64_t memory;               /* --max-memory; 0: any */
    uint64_t ring, scratch, fixed; /* bytes; of the ring all but its chains */
    uint64_t message;              /* bytes of the largest message, with what is stored beside it */
    uint32_t per_descriptor;       /* bytes for each descriptor, ... */
    uint32_t per_entry;            /* ... for each entry, besides what lib/topic takes for it */
    uint32_t descriptors;          /* the most there can be, ... */
    uint32_t reserve;              /* ... of which so many are not for connections */
    bool twice;                    /* the table has room for as many topics again */
    uint8_t buffer_shift;          /* a unit of the buffers is 2^shift bytes */
    struct budget_limit connections, topics, buffers;
};

/* The limits that fit, and the bytes that each part takes at worst. */
struct budget {
    uint32_t connections, topics;
    uint64_t buffers;     /* bytes */
    uint32_t descriptors; /* the most that may be opened: the size of tables by descriptor */
    uint32_t entries;     /* of the table of topics */
    uint64_t for_descriptors, for_entries, for_buffers;
    uint64_t total;
};

/* Returns the units of the pool for that many bytes of buffers. */
uint32_t budget_units(uint64_t buffers, uint8_t shift);

/* Finds the limits. Returns false if the given limits and the minimums of the others take more than
 * --max-memory; *err tells the sum. Without --max-memory all limits stay as given, for all
 * descriptors. */
bool budget_fit(const struct budget_needs *n, struct budget *b, struct text *err);

/* Appends a size in M, or in K if it is less, rounded up, with one decimal where it is small:
 * "1.5M". */
void budget_write_size(struct text *t, uint64_t bytes);

/* Appends the limits in words: "8000 connections, 7000 topics, 8M of buffers; 120M at most". */
void budget_describe(struct text *t, const struct budget *b);

#endif
