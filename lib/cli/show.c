/*
 * show.c - prints what `sse sub` receives.
 */
#include "lib/cli/show.h"

#include "lib/clean.h"
#include "lib/cli/client.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define PIECE 1024u /* bytes of a text that are made harmless at once */

void show_begin(struct show *s)
{
    s->terminal = isatty(STDOUT_FILENO) == 1;
    s->err = 0;
    s->n = 0;
}

void show_flush(struct show *s)
{
    size_t done = 0;
    while (done < s->n && s->err == 0) {
        ssize_t w = write(STDOUT_FILENO, s->bytes + done, s->n - done);
        if (w == -1 && errno == EAGAIN) { /* as another has left it */
            struct pollfd p = {STDOUT_FILENO, POLLOUT, 0};
            (void)poll(&p, 1, -1);
        } else if (w == -1 && errno != EINTR) {
            s->err = errno;
        }
        done += w > 0 ? (size_t)w : 0;
    }
    s->n = 0;
}

void show_text(struct show *s, struct span text)
{
    while (text.n > 0 && s->err == 0) {
        size_t n = sizeof s->bytes - s->n;
        n = n < text.n ? n : text.n;
        memcpy(s->bytes + s->n, text.p, n);
        s->n += n;
        text = span_from(text, n);
        if (s->n == sizeof s->bytes)
            show_flush(s);
    }
}

/* Appends foreign text, its control bytes shown as \u00XX or as "?". */
static void show_harmless(struct show *s, struct span text, bool json)
{
    while (text.n > 0 && s->err == 0) {
        size_t n = clean_run(text, true);
        show_text(s, (struct span){text.p, n});
        text = span_from(text, n);
        if (text.n == 0)
            return;
        n = clean_unfit(text);
        unsigned code = (unsigned char)text.p[n - 1];
        const char coded[] = {'\\', 'u', '0', '0', text_digit(code >> 4), text_digit(code)};
        if (json && (n > 1 || code < 0x80))
            show_text(s, (struct span){coded, sizeof coded});
        else
            show_text(s, json ? SPAN("\xEF\xBF\xBD") : SPAN("?"));
        text = span_from(text, n);
    }
}

void show_foreign(struct show *s, struct span text)
{
    if (s->terminal)
        show_harmless(s, text, false);
    else
        show_text(s, text);
}

void show_json(struct show *s, struct span json)
{
    if (s->terminal)
        show_harmless(s, json, true);
    else
        show_text(s, json);
}

void show_string(struct show *s, const char *before, struct span text)
{
    char bytes[6 * PIECE];
    show_text(s, span_of(before));
    while (text.n > 0) {
        size_t n = text.n < PIECE ? text.n : PIECE;
        while (n < text.n && n > PIECE - 4 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
            n--; /* between two characters */
        struct text t = text_in(bytes, sizeof bytes);
        client_json(&t, (struct span){text.p, n});
        show_json(s, text_span(&t));
        text = span_from(text, n);
    }
    show_text(s, SPAN("\""));
}
