/*
 * memory.h - the memory of the tables: mapped as large as they may grow, touched as they do.
 *
 * Memory that outlives an in-place upgrade (handover.h) is in PIECES: files in memory, mapped
 * shared. The next program maps the same files in the same order. A piece holds numbers and offsets
 * only, so it may be mapped at another address.
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
    uint32_t given; /* pieces that an earlier program handed over; 0: all are new */
    struct memory_piece {
        int fd;
        uint64_t size;
    } piece[MEMORY_PIECES];
};

/* Maps the next piece: a new one, zeroed, or the one handed over. Returns NULL with errno set on
 * failure: EINVAL if the one handed over has another size. */
void *memory_map(struct memory *m, uint64_t size);

/* Returns zeroed memory of this program alone; NULL with errno set on failure. */
void *memory_scratch(uint64_t size);

/* Returns the whole pages inside p[0..n) to the system; they read as zero afterwards. */
void memory_give_back(void *p, size_t n);

/* Makes whole pages of memory_scratch() zero again, and returns them to the system. */
void memory_drop(void *p, size_t n);

/* Closes the descriptors. */
void memory_close(struct memory *m);

#endif
