/*
 * model_json.h - the grammar of JSON once more, a byte at a time, to hold lib/json against.
 *
 * An automaton with a stack, written from RFC 8259's railroad diagrams and not from the reader: it
 * says of each byte whether any text may go on with it.
 */
#ifndef SSE_TEST_KIT_MODEL_JSON_H
#define SSE_TEST_KIT_MODEL_JSON_H

#include "lib/json.h"
#include "lib/utf8.h"

enum model_state {
    MODEL_VALUE = 0, /* a value is due */
    MODEL_FIRST,     /* behind "[": a value, or "]" */
    MODEL_MEMBERS,   /* behind "{": a name, or "}" */
    MODEL_NAME,
    MODEL_COLON,
    MODEL_BEHIND, /* a value has ended */
    MODEL_STRING,
    MODEL_ESCAPE,
    MODEL_U,    /* in the digits of \u */
    MODEL_LOW,  /* a low surrogate is due: its backslash */
    MODEL_LOWU, /* its u */
    MODEL_WORD, /* in true, false, null */
    MODEL_MINUS,
    MODEL_ZERO,
    MODEL_DIGITS,
    MODEL_POINT,
    MODEL_FRACTION,
    MODEL_E,
    MODEL_SIGN,
    MODEL_EXPONENT,
};

struct model {
    enum model_state state;
    char open[JSON_DEPTH];
    unsigned depth;
    bool name, low;   /* the string is a member's name; the \u is a low surrogate */
    unsigned digits;  /* of \u */
    char hex[4];      /* in upper case */
    const char *word; /* what is left of it */
    struct utf8 utf8;
};

static inline bool model_is(const char *set, unsigned char c)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static inline bool model_to(struct model *m, enum model_state state)
{
    m->state = state;
    return true;
}

static inline bool model_open(struct model *m, char bracket)
{
    if (m->depth == JSON_DEPTH)
        return false;
    m->open[m->depth++] = bracket;
    return model_to(m, bracket == '[' ? MODEL_FIRST : MODEL_MEMBERS);
}

static inline bool model_close(struct model *m, char bracket)
{
    if (m->depth == 0 || m->open[m->depth - 1] != bracket)
        return false;
    m->depth--;
    return model_to(m, MODEL_BEHIND);
}

static inline bool model_word(struct model *m, const char *rest)
{
    m->word = rest;
    return model_to(m, MODEL_WORD);
}

/* The first byte of a value. */
static inline bool model_value(struct model *m, unsigned char c)
{
    m->name = false;
    switch (c) {
    case '[':
    case '{':
        return model_open(m, (char)c);
    case '"':
        return model_to(m, MODEL_STRING);
    case 't':
        return model_word(m, "rue");
    case 'f':
        return model_word(m, "alse");
    case 'n':
        return model_word(m, "ull");
    case '-':
        return model_to(m, MODEL_MINUS);
    case '0':
        return model_to(m, MODEL_ZERO);
    default:
        return model_is("123456789", c) && model_to(m, MODEL_DIGITS);
    }
}

static inline bool model_string(struct model *m, unsigned char c)
{
    if (!utf8_whole(&m->utf8) || c >= 0x80)
        return utf8_feed(&m->utf8, (struct span){(const char *)&c, 1}) == 1;
    if (c == '\\')
        return model_to(m, MODEL_ESCAPE);
    if (c == '"')
        return model_to(m, m->name ? MODEL_COLON : MODEL_BEHIND);
    return c >= 0x20;
}

/* A digit of \u: what has come of the four must be the front of some code that may stand here. */
static inline bool model_u(struct model *m, unsigned char c)
{
    if (!model_is("0123456789abcdefABCDEF", c))
        return false;
    m->hex[m->digits++] = (char)(c >= 'a' ? c - 32 : c);
    bool d = m->hex[0] == 'D',
         low = d && m->digits > 1 && model_is("CDEF", (unsigned char)m->hex[1]);
    if (m->low ? !d || (m->digits > 1 && !low) : low)
        return false;
    if (m->digits < 4)
        return true;
    bool high = !m->low && d && model_is("89AB", (unsigned char)m->hex[1]);
    return model_to(m, high ? MODEL_LOW : MODEL_STRING);
}

static inline bool model_begin_u(struct model *m, bool low)
{
    m->low = low;
    m->digits = 0;
    return model_to(m, MODEL_U);
}

/* Within a string's escapes. */
static inline bool model_escape(struct model *m, unsigned char c)
{
    switch (m->state) {
    case MODEL_ESCAPE:
        if (c == 'u')
            return model_begin_u(m, false);
        return model_is("\"\\/bfnrt", c) && model_to(m, MODEL_STRING);
    case MODEL_LOW:
        return c == '\\' && model_to(m, MODEL_LOWU);
    case MODEL_LOWU:
        return c == 'u' && model_begin_u(m, true);
    default:
        return model_u(m, c);
    }
}

/* Within a number; false also where it ends before `c`. */
static inline bool model_number(struct model *m, unsigned char c)
{
    bool digit = model_is("0123456789", c), e = model_is("eE", c);
    switch (m->state) {
    case MODEL_MINUS:
        return digit && model_to(m, c == '0' ? MODEL_ZERO : MODEL_DIGITS);
    case MODEL_ZERO:
        return (c == '.' && model_to(m, MODEL_POINT)) || (e && model_to(m, MODEL_E));
    case MODEL_DIGITS:
        return digit || (c == '.' && model_to(m, MODEL_POINT)) || (e && model_to(m, MODEL_E));
    case MODEL_POINT:
        return digit && model_to(m, MODEL_FRACTION);
    case MODEL_FRACTION:
        return digit || (e && model_to(m, MODEL_E));
    case MODEL_E:
        return (model_is("+-", c) && model_to(m, MODEL_SIGN)) ||
               (digit && model_to(m, MODEL_EXPONENT));
    default: /* MODEL_SIGN, MODEL_EXPONENT */
        return digit && model_to(m, MODEL_EXPONENT);
    }
}

/* Returns true if a number may end in this state. */
static inline bool model_number_whole(const struct model *m)
{
    return m->state == MODEL_ZERO || m->state == MODEL_DIGITS || m->state == MODEL_FRACTION ||
           m->state == MODEL_EXPONENT;
}

/* Between the tokens. */
static inline bool model_between(struct model *m, unsigned char c)
{
    if (model_is(" \t\r\n", c))
        return true;
    switch (m->state) {
    case MODEL_VALUE:
        return model_value(m, c);
    case MODEL_FIRST:
        return c == ']' ? model_close(m, '[') : model_value(m, c);
    case MODEL_MEMBERS:
    case MODEL_NAME:
        m->name = true;
        return (c == '"' && model_to(m, MODEL_STRING)) ||
               (c == '}' && m->state == MODEL_MEMBERS && model_close(m, '{'));
    case MODEL_COLON:
        return c == ':' && model_to(m, MODEL_VALUE);
    default: /* MODEL_BEHIND */
        if (c == ',' && m->depth > 0)
            return model_to(m, m->open[m->depth - 1] == '[' ? MODEL_VALUE : MODEL_NAME);
        return (c == ']' && model_close(m, '[')) || (c == '}' && model_close(m, '{'));
    }
}

/* Returns true if a text may go on with this byte. */
static inline bool model_step(struct model *m, unsigned char c)
{
    if (m->state <= MODEL_BEHIND)
        return model_between(m, c);
    if (m->state == MODEL_STRING)
        return model_string(m, c);
    if (m->state <= MODEL_LOWU)
        return model_escape(m, c);
    if (m->state == MODEL_WORD) {
        if (c != (unsigned char)*m->word)
            return false;
        return *++m->word != '\0' || model_to(m, MODEL_BEHIND);
    }
    if (model_number(m, c))
        return true;
    return model_number_whole(m) && model_to(m, MODEL_BEHIND) && model_between(m, c);
}

/* Returns what json_read() must return for `s`, and *at. */
static inline bool model_read(struct span s, size_t *at)
{
    struct model m = {.state = MODEL_VALUE};
    size_t i = 0;
    while (i < s.n && model_step(&m, (unsigned char)s.p[i]))
        i++;
    *at = i;
    bool whole = (m.state == MODEL_BEHIND || model_number_whole(&m)) && m.depth == 0;
    return i == s.n && whole;
}

#endif
