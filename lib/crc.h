/*
 * crc.h - CRC-32C (Castagnoli; RFC 3720 section 12.1), which detects damage but not forgery.
 */
#ifndef SSE_LIB_CRC_H
#define SSE_LIB_CRC_H

#include "lib/span.h"

/* Continues a checksum: returns that of the bytes already in `crc` followed by `s`. Begin with 0,
 * or with any other number as a seed. */
uint32_t crc32c(uint32_t crc, struct span s);

#endif
