/*
 * fair.h - how much one client may take of room that all share.
 *
 * Half of the room is for whoever comes. Of the rest nobody gets more at a time than a part of what
 * is free, so the more is taken, the less each may take; and a reserve is left for clients that
 * want little, which the caller does not ask about.
 *
 *     0            total/2                                     total
 *     |-- anyone ----|------------ used -----|-- free --|-reserve-|     at most free / parts
 *
 * Nothing is kept of who has what. Clients who hold room for a while, as buffers, are looked at
 * again: one that has more than it would be given now has to go. So many clients together can't
 * keep what one of them could not.
 */
#ifndef SSE_LIB_FAIR_H
#define SSE_LIB_FAIR_H

#include <stdint.h>

/* The most that one client may take of `total`, of which others have `used`. `parts` of 0 or 1: all
 * that is free. */
static inline uint64_t fair_most(uint64_t total, uint64_t reserve, uint64_t used, uint32_t parts)
{
    uint64_t gone = used + (parts > 1 ? reserve : 0);
    uint64_t half = total / 2 > used ? total / 2 - used : 0;
    uint64_t part = total > gone ? (total - gone) / (parts > 1 ? parts : 1) : 0;
    return half > part ? half : part;
}

#endif
