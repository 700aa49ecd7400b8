/*
 * page.c - the embedded files that a browser loads.
 */
#include "lib/serve/page.h"

#include "lib/crc.h"
#include "lib/inflate.h"

FILE_IN("page_html_file", "build/page/page.html.gz");
FILE_IN("page_helper_file", "build/page/sse.js.gz");

extern const char page_html_file[], page_helper_file[];
extern const uint64_t page_html_file_size, page_helper_file_size;

/* Unpacks a file, unless it is unpacked already. */
static struct span open_in(char *room, size_t cap, size_t *n, struct span packed)
{
    struct text t = text_in(room, cap);
    if (*n == 0) {
        bool whole = inflate(packed, &t);
        assert(whole);
        *n = t.n;
    }
    return (struct span){room, *n};
}

struct span page_html(struct page *page)
{
    return open_in(page->html, sizeof(page->html), &page->html_n,
                   (struct span){page_html_file, page_html_file_size});
}

struct span page_helper(struct page *page)
{
    return open_in(page->helper, sizeof(page->helper), &page->helper_n,
                   (struct span){page_helper_file, page_helper_file_size});
}

void page_tag(struct text *t, struct span file)
{
    uint32_t sum = crc32c(0, file);
    text_str(t, "\"");
    text_hex(t, sum, 8);
    text_str(t, "\"");
}
