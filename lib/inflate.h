/*
 * inflate.h - decompresses gzip (RFC 1951, RFC 1952).
 *
 * For the files embedded in the binary: small, and slower than zlib, as it decodes bit by bit. It
 * is safe on any input: it reads and writes only the memory passed to it. It needs 2 KB of stack.
 */
#ifndef SSE_LIB_INFLATE_H
#define SSE_LIB_INFLATE_H

#include "lib/text.h"

/* clang-format off */
/* Embeds a file, compressed by gzip, as constants: `const char NAME[]`, `const uint64_t NAME_size`.
 * The assembler includes it, so no other copy can differ. The Makefile knows which objects embed
 * files. */
#define FILE_IN(name, path)                                 \
    __asm__(".pushsection .rodata\n"                        \
            ".globl " name ", " name "_size\n"              \
            ".hidden " name ", " name "_size\n"             \
            ".p2align 3\n"                                  \
            name "_size: .quad " name "_end - " name "\n"   \
            name ": .incbin \"" path "\"\n"                 \
            name "_end:\n"                                  \
            ".popsection\n")
/* clang-format on */

/* Appends the contents of a gzip file of one member without optional header fields, as `gzip -n`
 * packs stdin. Returns false if it is not one, is damaged or cut short, has bytes after it, or if
 * its contents do not fit; what was appended by then stays. */
bool inflate(struct span gzip, struct text *t);

#endif
