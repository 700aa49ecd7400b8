/*
 * crc.h - CRC-32C (Castagnoli; RFC 3720 section 12.1), which finds damage; it proves nothing.
 */
#ifndef SSE_LIB_CRC_H
#define SSE_LIB_CRC_H

#include "lib/span.h"

/* The sum of `s` behind what gave `crc`; 0 at the beginning, or any other number to begin with. */
uint32_t crc32c(uint32_t crc, struct span s);

#endif
