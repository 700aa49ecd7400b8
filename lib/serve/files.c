/*
 * files.c - serves the live page, and the helper for other pages.
 */
#include "lib/serve/answer.h"
#include "lib/serve/own_pages.h"
#include "lib/serve/page.h"
#include "lib/serve/server.h"

#include <assert.h>

/* Returns true if If-None-Match names this tag (RFC 9110 section 13.1.2). */
static bool has_tag(const struct exchange *ex, struct span tag)
{
    struct span item;
    size_t pos = 0;
    while (http_list(&ex->req, HTTP_IF_NONE_MATCH, &pos, &item)) {
        if (span_begins(item, SPAN("W/")))
            item = span_from(item, 2);
        if (span_eq(item, tag) || span_eq(item, SPAN("*")))
            return true;
    }
    return false;
}

/* Answers with a file. The part that the socket takes at once is not copied. */
static void file(struct server *s, struct conn *c, struct span body, const char *type,
                 const char *policy)
{
    char bytes[1024], tag_bytes[16];
    struct text t = text_in(bytes, sizeof bytes), tag = text_in(tag_bytes, sizeof tag_bytes);
    page_tag(&tag, body);
    http_add(&t, "ETag", text_span(&tag));
    if (policy != NULL)
        http_add(&t, "Content-Security-Policy", span_of(policy));
    text_str(&t, "Cache-Control: no-cache\r\n"
                 "X-Content-Type-Options: nosniff\r\n"
                 "Referrer-Policy: no-referrer\r\n"
                 "Cross-Origin-Resource-Policy: same-origin\r\n");
    assert(!t.full && !tag.full);
    if (has_tag(&s->ex, text_span(&tag))) {
        serve_answer(s, c, 304, text_span(&t), NULL, (struct span){NULL, 0});
        return;
    }
    serve_answer_front(s, c, text_span(&t), type, (struct span){NULL, 0}, body.n);
    if (s->ex.ask.method == HTTP_HEAD)
        return;
    s->ex.poll.iov[0] = (struct iovec){(void *)(uintptr_t)body.p, body.n};
    s->ex.tail = s->ex.poll.iov;
    s->ex.tail_pieces = 1;
}

void serve_live_page(struct server *s, struct conn *c)
{
    if (s->config.opt.no_page)
        serve_refuse(s, c, 404, NULL,
                     "there is no live page here (--no-page): ", "a topic is a path as /news",
                     NULL);
    else
        file(s, c, page_html(&s->files), "text/html; charset=utf-8", PAGE_POLICY);
}

void serve_helper(struct server *s, struct conn *c)
{
    file(s, c, page_helper(&s->files), "text/javascript; charset=utf-8", NULL);
}
