/*
 * page.c - the files that the binary has in itself.
 *
 * The assembler takes them in: no tool besides the compiler is needed, and no copy of them is kept
 * that could be another. The Makefile knows that this object is made of them.
 */
#include "page.h"

#include "crc.h"

/* A file between two symbols, among the constants. */
#define FILE_IN(symbol, path)                                      \
    __asm__(".pushsection .rodata\n"                               \
            ".globl " #symbol ", " #symbol "_end\n"                \
            ".hidden " #symbol ", " #symbol "_end\n" #symbol ":\n" \
            ".incbin \"" path "\"\n" #symbol "_end:\n"             \
            ".popsection\n");                                      \
    extern const char symbol[], symbol##_end[]

FILE_IN(page_html_file, "lib/page.html");
FILE_IN(page_helper_file, "lib/sse.js");

struct span page_html(void)
{
    return (struct span){page_html_file, (size_t)(page_html_file_end - page_html_file)};
}

struct span page_helper(void)
{
    return (struct span){page_helper_file, (size_t)(page_helper_file_end - page_helper_file)};
}

void page_tag(struct text *t, struct span file)
{
    uint32_t sum = crc32c(0, file);
    text_str(t, "\"");
    for (int shift = 28; shift >= 0; shift -= 4)
        text_add(t, (struct span){&"0123456789abcdef"[sum >> shift & 15], 1});
    text_str(t, "\"");
}
