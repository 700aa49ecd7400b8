/*
 * page.h - the files that the binary has in itself: lib/serve/page.html and lib/serve/sse.js, as
 * they are.
 *
 * They are packed in there, and are unpacked when somebody asks for them first, into memory that is
 * not touched before.
 *
 * The page's script and style stand in it, and nothing else may run in a browser that shows it: its
 * policy names them by what they hash to. Whoever changes them changes PAGE_SCRIPT or PAGE_STYLE;
 * test/e2e/page.c says to what.
 *
 * sse.js is served as it stands and may have 2 KB, so what there is to say of it is said here:
 *
 *   poll(0)  what was missed  --> lock, if there are any: one tab has it, and opens for all
 *   open     EventSource      --> hold, if no "hello" has come within a second, or of wildcards
 *   hold     long polls, one after the other
 *   fail     whatever ends one of these: poll(0) and open again, a moment later
 *
 * id is the cursor, kept in sessionStorage (kv) under k. Who has the lock (lead) sends each message
 * to the other tabs (bc), with the id before it: a tab that has that one takes the message, one
 * that has the message passes it over, and one that is further behind polls. An AbortController is
 * passed where options with a `signal` are wanted, as it has one.
 */
#ifndef SSE_LIB_SERVE_PAGE_H
#define SSE_LIB_SERVE_PAGE_H

#include "lib/text.h"

/* Base64 of SHA-256 over what stands between <script> and </script>, <style> and </style>. */
#define PAGE_SCRIPT "S2R/9JCkgixVciJLPe0CvoIMsRdJNqDSbG8ZCpPGIQA="
#define PAGE_STYLE  "5Sh68KLABTdQ2D+9FMQZPABPyuazvXepwqedbl9EaOs="

/* What the browser is to hold the page to (CSP Level 3): nothing from anywhere but the page itself,
 * and nobody spoken to but this server. */
#define PAGE_POLICY                                                                          \
    "default-src 'none'; script-src 'sha256-" PAGE_SCRIPT "'; style-src 'sha256-" PAGE_STYLE \
    "'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "            \
    "frame-ancestors 'none'"

/* Bytes: what they may cost whoever loads them. */
#define PAGE_HTML_MAX   40000
#define PAGE_HELPER_MAX 4095

/* What has been unpacked; begins as zeros. It is long: it is to lie where memory costs nothing
 * before it is used. */
struct page {
    size_t html_n, helper_n; /* 0: not yet */
    char html[PAGE_HTML_MAX], helper[PAGE_HELPER_MAX];
};

/* The live page, and the helper for others', in *page. */
struct span page_html(struct page *page);
struct span page_helper(struct page *page);

/* Appends the entity tag of a file, with its quotes. */
void page_tag(struct text *t, struct span file);

#endif
