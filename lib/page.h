/*
 * page.h - the files that the binary has in itself: lib/page.html and lib/sse.js, as they are.
 *
 * The page's script and style stand in it, and nothing else may run in a browser that shows it: its
 * policy names them by what they hash to. Whoever changes them changes PAGE_SCRIPT or PAGE_STYLE;
 * test/check_page.c says to what.
 */
#ifndef SSE_LIB_PAGE_H
#define SSE_LIB_PAGE_H

#include "text.h"

/* Base64 of SHA-256 over what stands between <script> and </script>, <style> and </style>. */
#define PAGE_SCRIPT "4lkrI0T1hozrbL8BmXaWU5LU2bnQMCN6zqv3l8z+tpU="
#define PAGE_STYLE  "D8sgvksvb6wd5KgE5OaNmd6NQz7+iyn69a4oGfUP0cU="

/* What the browser is to hold the page to (CSP Level 3): nothing from anywhere but the page itself, and
 * nobody spoken to but this server. */
#define PAGE_POLICY                                                                          \
    "default-src 'none'; script-src 'sha256-" PAGE_SCRIPT "'; style-src 'sha256-" PAGE_STYLE \
    "'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "            \
    "frame-ancestors 'none'"

/* The live page, and the helper for others'. */
struct span page_html(void);
struct span page_helper(void);

/* Appends the entity tag of a file, with its quotes. */
void page_tag(struct text *t, struct span file);

#endif
