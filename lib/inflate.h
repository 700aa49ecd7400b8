/*
 * inflate.h - unpacks what gzip has packed (RFC 1951, RFC 1952).
 *
 * For the files that the binary has in itself: small, and slower than what zlib does, as each bit
 * of a code is looked at by itself. It takes any bytes all the same, reads and writes nothing but
 * what it was given, and needs 2 KB of stack.
 */
#ifndef SSE_LIB_INFLATE_H
#define SSE_LIB_INFLATE_H

#include "lib/text.h"

/* clang-format off */
/* Puts a file, and how many bytes it has, among the constants: `const char NAME[]`, `const uint64_t
 * NAME_size`. The assembler takes it in, as gzip has packed it: no other copy of it is kept that
 * could be another. The Makefile knows which objects are made of files. */
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

/* Appends to `t` what is in a gzip file of one member, with nothing told of it in its head, as
 * `gzip -n` packs stdin. False: it is none, it is damaged or cut short, more follows it, or there
 * is no room for what is in it; what has been appended by then stays. */
bool inflate(struct span gzip, struct text *t);

#endif
