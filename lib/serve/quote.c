/*
 * quote.c - foreign text and numbers as short strings, for messages.
 */
#include "lib/serve/quote.h"

#include "lib/clean.h"

const char *quote_text(char out[QUOTE_MAX], struct span text)
{
    struct text t = text_for_string(out, QUOTE_MAX);
    size_t n = text.n < t.cap ? text.n : t.cap;
    while (n < text.n && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--; /* not inside a character */
    clean_text(&t, (struct span){text.p, n}, false);
    return text_string(&t);
}

const char *quote_num(char out[QUOTE_NUM_MAX], uint64_t v)
{
    struct text t = text_for_string(out, QUOTE_NUM_MAX);
    text_u64(&t, v);
    return text_string(&t);
}

const char *quote_byte(char out[QUOTE_NUM_MAX], char byte)
{
    const unsigned b = (unsigned char)byte;
    const char bytes[] = {'b', 'y', 't', 'e', ' ', '0', 'x', text_digit(b >> 4), text_digit(b), 0};
    memcpy(out, bytes, sizeof bytes);
    return out;
}
