/*
 * budget.h - whether all tables fit into --max-memory, and how large they may be if not.
 *
 * What is reckoned is the worst case: every byte of every table touched, which is what resident
 * memory cannot pass. It is the sum of
 *
 *   ring         the arena, its index and what is remembered of topics that are gone
 *   scratch      for messages on their way, as long as JSON can make the longest
 *   fixed        the program itself, its stack, the loop's buffers
 *   buffers      the pool of --max-buffers, a power of two, and its book-keeping
 *   entries      of the table of topics (lib/topic): a topic each, and a set for each descriptor;
 *                names, edges and members with them, and a chain in the ring
 *   descriptors  a connection each, and what else is kept by descriptor
 *
 * The limits that were given stand. Those that were not are made less until it fits: of what is
 * left above the least of all, buffers get a quarter at most, topics a quarter, connections the
 * rest as far as descriptors go; and what they can't use goes to topics, then to buffers.
 */
#ifndef SSE_LIB_HOST_BUDGET_H
#define SSE_LIB_HOST_BUDGET_H

#include "lib/text.h"

/* The least that limits which were not given are made. */
#define BUDGET_CONNECTIONS_MIN 100u
#define BUDGET_TOPICS_MIN      1000u
#define BUDGET_BUFFERS_MIN     (1u << 20) /* and room for one of the largest messages */

struct budget_limit {
    uint64_t most; /* as it was given, or its default */
    bool given;
};

struct budget_needs {
    uint64_t memory;               /* --max-memory; 0: any */
    uint64_t ring, scratch, fixed; /* bytes; of the ring all but its chains */
    uint64_t message;              /* bytes of the largest, with what is kept with it */
    uint32_t per_descriptor;       /* bytes for each descriptor, ... */
    uint32_t per_entry;            /* ... for each entry, besides what lib/topic takes for it */
    uint32_t descriptors;          /* as many as there can be, ... */
    uint32_t reserve;              /* ... so many of them for others than connections */
    bool twice;                    /* the table has room for as many topics again */
    uint8_t buffer_shift;          /* a unit of the buffers is 2^shift bytes */
    struct budget_limit connections, topics, buffers;
};

/* The limits that fit, and the bytes that each part takes at worst. */
struct budget {
    uint32_t connections, topics;
    uint64_t buffers;     /* bytes */
    uint32_t descriptors; /* as many as are to be opened: the tables go so far */
    uint32_t entries;     /* of the table of topics */
    uint64_t for_descriptors, for_entries, for_buffers;
    uint64_t total;
};

/* Units of the pool for so many bytes of buffers. */
uint32_t budget_units(uint64_t buffers, uint8_t shift);

/* Finds the limits. False: what was given, and the least of the rest, takes more than --max-memory;
 * *err holds the sum. Without --max-memory all is as it was given, for all descriptors. */
bool budget_fit(const struct budget_needs *n, struct budget *b, struct text *err);

/* Appends bytes in M, or K if less, rounded up to a tenth where it matters: "1.5M". */
void budget_write_size(struct text *t, uint64_t bytes);

/* Appends what there is room for: "8000 connections, 7000 topics, 8M of buffers; 120M at most". */
void budget_describe(struct text *t, const struct budget *b);

#endif
