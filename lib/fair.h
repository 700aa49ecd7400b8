/*
 * fair.h - how much one client may take of room that all share.
 *
 * Anyone may take from the first half of the room. From the rest, one client may take at most
 * 1/`parts` of what is free, so the more is taken, the less each may take. A reserve is left for
 * small requests, for which the caller does not ask.
 *
 *     0            total/2                                     total
 *     |-- anyone ----|------------ used -----|-- free --|-reserve-|     at most free / parts
 *
 * Nothing records who holds what. Clients that hold room for a while, such as buffers, are checked
 * again: one that holds more than it could take now is ended. So many clients together cannot keep
 * what one of them could not.
 */
#ifndef SSE_LIB_FAIR_H
#define SSE_LIB_FAIR_H

#include <stdint.h>

/* Returns the most that one client may take of `total`, of which others have `used`, in the same
 * unit. With `parts` of 0 or 1 that is all that is free. */
static inline uint64_t fair_most(uint64_t total, uint64_t reserve, uint64_t used, uint32_t parts)
{
    uint64_t gone = used + (parts > 1 ? reserve : 0);
    uint64_t half = total / 2 > used ? total / 2 - used : 0;
    uint64_t part = total > gone ? (total - gone) / (parts > 1 ? parts : 1) : 0;
    return half > part ? half : part;
}

#endif
