/*
 * page.c - the files that the binary has in itself.
 *
 * The assembler takes them in: no tool besides the compiler is needed, and no copy of them is kept
 * that could be another. The Makefile knows that this object is made of them.
 */
#include "page.h"

#include "crc.h"

/* clang-format off */
/* Puts a file, and how many bytes it has, among the constants. */
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

FILE_IN("page_html_file", "lib/page.html");
FILE_IN("page_helper_file", "lib/sse.js");

extern const char page_html_file[], page_helper_file[];
extern const uint64_t page_html_file_size, page_helper_file_size;

struct span page_html(void)
{
    return (struct span){page_html_file, page_html_file_size};
}

struct span page_helper(void)
{
    return (struct span){page_helper_file, page_helper_file_size};
}

void page_tag(struct text *t, struct span file)
{
    uint32_t sum = crc32c(0, file);
    text_str(t, "\"");
    for (int shift = 28; shift >= 0; shift -= 4)
        text_add(t, (struct span){&"0123456789abcdef"[sum >> shift & 15], 1});
    text_str(t, "\"");
}
