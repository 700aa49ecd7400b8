/*
 * vectors.h - reads the tables of test/vectors/ (test/vectors/make says what a line is).
 */
#ifndef SSE_TEST_KIT_VECTORS_H
#define SSE_TEST_KIT_VECTORS_H

#include "lib/hash.h"
#include "test/kit/kit.h"

struct vector {
    struct span key; /* bytes; of JWS, JSON */
    uint64_t exponent;
    uint64_t id;
    bool good;
    struct span message, signature; /* of JWS, the token and nothing */
};

struct vectors {
    FILE *f;
    struct vector now;
    uint64_t want, seen;
    bool json;
    char line[32768];
    char key[8192];
};

/* Opens a table; a name of test/vectors/. */
static inline void vectors_open(struct vectors *v, const char *name)
{
    char path[128];
    *v = (struct vectors){.seen = 0};
    snprintf(path, sizeof(path), "test/vectors/%s.txt", name);
    v->f = fopen(path, "re");
    ck_assert_msg(v->f != NULL, "%s", path);
}

/* Decodes bytes in their place. */
static inline struct span vectors_bytes(struct span s)
{
    if (span_eq(s, SPAN("-")))
        return SPAN("");
    char *p = (char *)(uintptr_t)s.p;
    ptrdiff_t n = base64url_read(p, s);
    ck_assert_int_ge(n, 0);
    return (struct span){p, (size_t)n};
}

/* Reads the next test; false after the last, and then there were as many as the table says. */
static inline bool vectors_next(struct vectors *v)
{
    while (fgets(v->line, sizeof(v->line), v->f) != NULL) {
        struct span line = span_of(v->line);
        ck_assert(line.n > 0 && line.p[line.n - 1] == '\n');
        line.n--;
        struct span what = span_cut(&line, ' ');
        if (span_eq(what, SPAN("count"))) {
            ck_assert(span_u64(line, &v->want));
        } else if (span_eq(what, SPAN("t"))) {
            ck_assert(span_u64(span_cut(&line, ' '), &v->now.id));
            v->now.good = span_eq(span_cut(&line, ' '), SPAN("yes"));
            v->now.message = v->json ? line : span_cut(&line, ' ');
            v->now.signature = v->json ? SPAN("") : line;
            v->seen++;
            return true;
        } else {
            v->json = span_eq(what, SPAN("jwk"));
            struct span key = v->json ? line : span_cut(&line, ' ');
            ck_assert_uint_le(key.n, sizeof(v->key));
            memcpy(v->key, key.p, key.n);
            v->now.key = (struct span){v->key, key.n};
            if (!v->json) {
                v->now.key = vectors_bytes(v->now.key);
                ck_assert(line.n == 0 || span_u64(line, &v->now.exponent));
            }
        }
    }
    fclose(v->f);
    ck_assert_msg(v->want > 0 && v->seen == v->want, "%" PRIu64 " tests of %" PRIu64, v->seen,
                  v->want);
    return false;
}

#endif
