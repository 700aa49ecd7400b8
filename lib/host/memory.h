/*
 * memory.h - the memory of the tables: mapped as large as they may grow, touched as they do.
 *
 * What has to outlive an in-place upgrade (handover.h) is a PIECE: a file in memory, mapped shared.
 * The program that comes after maps the same files in the same order. Everything in a piece is
 * numbers and offsets, so it may lie elsewhere then.
 *
 *   struct memory:  piece 0 [fd, size] -> connections      in the order of memory_map()
 *                   piece 1 [fd, size] -> buffers          is all that tells one from the other
 *                   ...
 *
 * LIMITS: MEMORY_PIECES pieces. OWNERSHIP: struct memory owns the descriptors, which are closed by
 * memory_close(); mappings stay until the process ends.
 */
#ifndef SSE_LIB_HOST_MEMORY_H
#define SSE_LIB_HOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define MEMORY_PIECES 16u

struct memory {
    uint32_t n;     /* pieces mapped */
    uint32_t given; /* pieces that an earlier program has handed over; 0: all are new */
    struct memory_piece {
        int fd;
        uint64_t size;
    } piece[MEMORY_PIECES];
};

/* Maps the next piece: new and zeroed, or the one handed over. NULL: errno says why, EINVAL where
 * the one handed over has another size. */
void *memory_map(struct memory *m, uint64_t size);

/* Memory of this program alone, zeroed. NULL: errno says why. */
void *memory_scratch(uint64_t size);

/* Gives whole pages of a piece back to the system; they are zero afterwards. */
void memory_give_back(void *p, size_t n);

/* Closes the descriptors. */
void memory_close(struct memory *m);

#endif
