/*
 * quote.c - foreign text and numbers as short strings, for messages.
 */
#include "lib/serve/quote.h"

#include "lib/text.h"
#include "lib/utf8.h"

const char *quote_text(char out[QUOTE_MAX], struct span text)
{
    size_t most = QUOTE_MAX - 1, n = text.n < most ? text.n : most;
    while (n < text.n && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--; /* not inside a character */
    if (n > 0)
        memcpy(out, text.p, n);
    out[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)out[i] < ' ' || out[i] == 0x7f)
            out[i] = '?';
    for (size_t i = 0; (i += utf8_valid((struct span){out + i, n - i})) < n;)
        out[i] = '?';
    return out;
}

const char *quote_num(char out[QUOTE_NUM_MAX], uint64_t v)
{
    struct text t = text_in(out, QUOTE_NUM_MAX - 1);
    text_u64(&t, v);
    out[t.n] = '\0';
    return out;
}

const char *quote_byte(char out[QUOTE_NUM_MAX], char byte)
{
    const unsigned b = (unsigned char)byte;
    const char bytes[] = {'b', 'y', 't', 'e', ' ', '0', 'x', text_digit(b >> 4), text_digit(b), 0};
    memcpy(out, bytes, sizeof bytes);
    return out;
}
