/*
 * page.h - the files embedded in the binary: lib/serve/page.html and lib/serve/sse.js, both without
 * indentation and comments (build/page/, see the Makefile).
 *
 * They are compressed, and are unpacked at the first request, into memory that is not touched
 * before.
 *
 * The page contains its script and style. Its policy names them, and the helper, by their hashes:
 * a browser runs nothing else. After a change to one of them update PAGE_SCRIPT, PAGE_STYLE or
 * PAGE_HELPER; test/e2e/page.c prints the right value.
 *
 * sse.js may have 2 KB packed, so its comments are here:
 *
 *   poll(0)  what was missed  --> lock, if there are any: one tab has it, and opens for all
 *   open     EventSource      --> hold, if no "hello" has come within a second, or of wildcards
 *   hold     long polls, one after the other
 *   fail     whatever ends one of these: poll(0) and open again, a moment later
 *
 * id is the cursor, kept in sessionStorage (kv) under k. The tab with the lock (lead) sends each
 * message to the other tabs (bc), with the id before it: a tab at that id takes the message, a tab
 * that has the message ignores it, and a tab that lags further polls. An AbortController is passed
 * as options with a `signal`, as it has one.
 */
#ifndef SSE_LIB_SERVE_PAGE_H
#define SSE_LIB_SERVE_PAGE_H

#include "lib/text.h"

/* Base64 of SHA-256 over what stands between <script> and </script>, <style> and </style>. */
#define PAGE_SCRIPT "oQmQGFng/zt377BqKn2Q4/HYj/bXwCiIW7poe9TUZ30="
#define PAGE_STYLE  "1YHTxnITAwMNWzii62flHWT7EntqeYK6TT1cNEnV0hw="

/* The same of the whole helper, which the page loads with this as its `integrity`, so that code in
 * the page's console can import it. */
#define PAGE_HELPER "X9YIZHXfBduvWauDPXk1ch+NNS0FV50Wi+c9hRTW8Dk="

/* The policy that the browser enforces (CSP Level 3): the page runs its own script and the helper,
 * loads nothing else, and connects to this server alone. Not 'self': topics are at this origin, so
 * a publisher decides what its other addresses return. */
#define PAGE_POLICY                                                                \
    "default-src 'none'; script-src 'sha256-" PAGE_SCRIPT "' 'sha256-" PAGE_HELPER \
    "'; style-src 'sha256-" PAGE_STYLE                                             \
    "'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "  \
    "frame-ancestors 'none'"

/* Bytes: what they may cost whoever loads them. */
#define PAGE_HTML_MAX   48000
#define PAGE_HELPER_MAX 5119

/* The unpacked files; zeroed at first. It is large: place it in memory that is touched as used. */
struct page {
    size_t html_n, helper_n; /* 0: not unpacked yet */
    char html[PAGE_HTML_MAX], helper[PAGE_HELPER_MAX];
};

/* Return the live page, and the helper for other pages, unpacked into *page. */
struct span page_html(struct page *page);
struct span page_helper(struct page *page);

/* Appends the entity tag of a file, with its quotes. */
void page_tag(struct text *t, struct span file);

#endif
