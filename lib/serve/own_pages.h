/*
 * own_pages.h - the server's own pages: /-/metrics, /-/topics, the live page and the helper.
 */
#ifndef SSE_LIB_SERVE_OWN_PAGES_H
#define SSE_LIB_SERVE_OWN_PAGES_H

#include "lib/serve/server.h"

/* Answers GET or HEAD of /-/metrics, and of /-/topics. */
void serve_metrics(struct server *s, struct conn *c);
void serve_topics(struct server *s, struct conn *c);

/* GET or HEAD of the live page; of the helper for pages, /-/sse.js. */
void serve_live_page(struct server *s, struct conn *c);
void serve_helper(struct server *s, struct conn *c);

#endif
