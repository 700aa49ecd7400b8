/*
 * json.c - json.h: what is JSON and where it stops being it, strings both ways.
 */
#include "lib/json.h"

#include "test/kit/kit.h"
#include "test/kit/model_json.h"

static bool read_on_heap(struct span s, enum json_kind *kind, char *raw, size_t *raw_size,
                         size_t *at)
{
    char *p = on_heap(s);
    struct json_value v;
    bool good = json_read((struct span){p, s.n}, &v, at);
    if (good) {
        *kind = v.kind;
        *raw_size = v.raw.n;
        if (v.raw.n > 0)
            memcpy(raw, v.raw.p, v.raw.n);
    }
    free(p);
    return good;
}

/* ---- values ---- */

#define TEN(x)  x x x x x x x x x x
#define DEEP(x) TEN(x) TEN(x) TEN(x) x x /* JSON_DEPTH times */

static const struct {
    int line;
    enum json_kind kind;
    const char *text, *raw;
} good[] = {
    {__LINE__, JSON_NULL, "null", "null"},
    {__LINE__, JSON_TRUE, "true", "true"},
    {__LINE__, JSON_FALSE, " \t\r\nfalse\n\r\t ", "false"},
    {__LINE__, JSON_NUMBER, "0", "0"},
    {__LINE__, JSON_NUMBER, "-0", "-0"},
    {__LINE__, JSON_NUMBER, "-120", "-120"},
    {__LINE__, JSON_NUMBER, "0.5 ", "0.5"},
    {__LINE__, JSON_NUMBER, "10.05", "10.05"},
    {__LINE__, JSON_NUMBER, "1e5", "1e5"},
    {__LINE__, JSON_NUMBER, "-1.5E+007", "-1.5E+007"},
    {__LINE__, JSON_NUMBER, "0e-0", "0e-0"},
    {__LINE__, JSON_NUMBER, "123456789012345678901234567890", "123456789012345678901234567890"},
    {__LINE__, JSON_STRING, "\"\"", ""},
    {__LINE__, JSON_STRING, "\"plain, and longer than a word or two\"",
     "plain, and longer than a word or two"},
    {__LINE__, JSON_STRING, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\\\"\\\\\\/\\b\\f\\n\\r\\t"},
    {__LINE__, JSON_STRING, "\"\\u0000\\uABCD\\uabcd\"", "\\u0000\\uABCD\\uabcd"},
    {__LINE__, JSON_STRING, "\"\\ud83d\\uDE00\"", "\\ud83d\\uDE00"},
    {__LINE__, JSON_STRING, "\"\\uD7FF\\uE000\\uDBFF\\uDFFF\"", "\\uD7FF\\uE000\\uDBFF\\uDFFF"},
    {__LINE__, JSON_STRING, "\"\xC3\xA9\xF0\x9F\x98\x80\x7F\"", "\xC3\xA9\xF0\x9F\x98\x80\x7F"},
    {__LINE__, JSON_ARRAY, "[]", "[]"},
    {__LINE__, JSON_ARRAY, " [ ] ", "[ ]"},
    {__LINE__, JSON_ARRAY, "[1]", "[1]"},
    {__LINE__, JSON_ARRAY, "[ 1 , \"a\" , [ ] , { } , null ]", "[ 1 , \"a\" , [ ] , { } , null ]"},
    {__LINE__, JSON_OBJECT, "{}", "{}"},
    {__LINE__, JSON_OBJECT, "{\"a\":1,\"a\":[{}],\"\":{\"b\":true}}",
     "{\"a\":1,\"a\":[{}],\"\":{\"b\":true}}"},
    {__LINE__, JSON_OBJECT, "{ \"a\" : -1 , \"b\" : \"\" } ", "{ \"a\" : -1 , \"b\" : \"\" }"},
    {__LINE__, JSON_ARRAY, DEEP("[") DEEP("]"), DEEP("[") DEEP("]")},
    {__LINE__, JSON_OBJECT, DEEP("{\"a\":") "1" DEEP("}"), DEEP("{\"a\":") "1" DEEP("}")},
};

START_TEST(reads)
{
    enum json_kind kind;
    char raw[512];
    size_t raw_size, at;
    struct span s = span_of(good[_i].text), want = span_of(good[_i].raw);
    bool whole = read_on_heap(s, &kind, raw, &raw_size, &at);
    ck_assert_msg(whole && at == s.n, "line %d: wrong at %zu", good[_i].line, at);
    ck_assert_msg(kind == good[_i].kind, "line %d: kind %d", good[_i].line, (int)kind);
    ck_assert_msg(span_eq((struct span){raw, raw_size}, want), "line %d", good[_i].line);
    /* Cut anywhere it stops too early, or is a number, or has lost only white space. */
    for (size_t n = 0; n < s.n; n++) {
        (void)read_on_heap((struct span){s.p, n}, &kind, raw, &raw_size, &at);
        ck_assert_msg(at == n, "line %d: cut at %zu: wrong at %zu", good[_i].line, n, at);
    }
}
END_TEST

static const struct {
    int line;
    struct span text;
    size_t at;
} bad[] = {
    {__LINE__, BYTES(""), 0},
    {__LINE__, BYTES("  "), 2},
    {__LINE__, BYTES("nul"), 3},
    {__LINE__, BYTES("nulL"), 3},
    {__LINE__, BYTES("truE"), 3},
    {__LINE__, BYTES("nullx"), 4},
    {__LINE__, BYTES("null null"), 5},
    {__LINE__, BYTES("NaN"), 0},
    {__LINE__, BYTES("Infinity"), 0},
    {__LINE__, BYTES("-"), 1},
    {__LINE__, BYTES("-a"), 1},
    {__LINE__, BYTES("-Infinity"), 1},
    {__LINE__, BYTES("+1"), 0},
    {__LINE__, BYTES(".5"), 0},
    {__LINE__, BYTES("01"), 1},
    {__LINE__, BYTES("-01"), 2},
    {__LINE__, BYTES("1."), 2},
    {__LINE__, BYTES("1.e5"), 2},
    {__LINE__, BYTES("1e"), 2},
    {__LINE__, BYTES("1e+"), 3},
    {__LINE__, BYTES("1e+-1"), 3},
    {__LINE__, BYTES("0x10"), 1},
    {__LINE__, BYTES("1 2"), 2},
    {__LINE__, BYTES("\xEF\xBB\xBF[]"), 0}, /* a byte order mark */
    {__LINE__, BYTES("[] \0"), 3},
    {__LINE__, BYTES("[]\f"), 2},
    {__LINE__, BYTES("'a'"), 0},
    {__LINE__, BYTES("\""), 1},
    {__LINE__, BYTES("\"abc"), 4},
    {__LINE__, BYTES("\"a\nb\""), 2},
    {__LINE__, BYTES("\"a\0b\""), 2},
    {__LINE__, BYTES("\"0123456789\x1F\""), 11},
    {__LINE__, BYTES("\"\\\""), 3},
    {__LINE__, BYTES("\"\\x41\""), 2},
    {__LINE__, BYTES("\"\\a\""), 2},
    {__LINE__, BYTES("\"\\\0\""), 2},
    {__LINE__, BYTES("\"\\U0041\""), 2},
    {__LINE__, BYTES("\"\\u12G4\""), 5},
    {__LINE__, BYTES("\"\\u123\""), 6},
    {__LINE__, BYTES("\"\\uDC00\""), 4},
    {__LINE__, BYTES("\"\\udfff\""), 4},
    {__LINE__, BYTES("\"\\uD83D\""), 7},
    {__LINE__, BYTES("\"\\uD83D\\n\""), 8},
    {__LINE__, BYTES("\"\\uD83D\\u0041\""), 9},
    {__LINE__, BYTES("\"\\uD83D\\uD83D\""), 10},
    {__LINE__, BYTES("\"\\uD83D\xF0\x9F\x98\x80\""), 7},
    {__LINE__, BYTES("\"a\x80\""), 2},
    {__LINE__, BYTES("\"a\xC3\""), 3},
    {__LINE__, BYTES("\"a\xC3\\u00e9\""), 3},
    {__LINE__, BYTES("\"a\xE2\x82"), 4},
    {__LINE__, BYTES("\"\xED\xA0\x80\""), 2},
    {__LINE__, BYTES("\"\xC0\x80\""), 1},
    {__LINE__, BYTES("["), 1},
    {__LINE__, BYTES("[1"), 2},
    {__LINE__, BYTES("[1,"), 3},
    {__LINE__, BYTES("[1,]"), 3},
    {__LINE__, BYTES("[,1]"), 1},
    {__LINE__, BYTES("[1 2]"), 3},
    {__LINE__, BYTES("[1}"), 2},
    {__LINE__, BYTES("[}"), 1},
    {__LINE__, BYTES("]"), 0},
    {__LINE__, BYTES("[]]"), 2},
    {__LINE__, BYTES("[][]"), 2},
    {__LINE__, BYTES("[1:2]"), 2},
    {__LINE__, BYTES("{"), 1},
    {__LINE__, BYTES("{]"), 1},
    {__LINE__, BYTES("{1:2}"), 1},
    {__LINE__, BYTES("{a:2}"), 1},
    {__LINE__, BYTES("{\"a\"}"), 4},
    {__LINE__, BYTES("{\"a\":}"), 5},
    {__LINE__, BYTES("{\"a\" 1}"), 5},
    {__LINE__, BYTES("{\"a\":1,}"), 7},
    {__LINE__, BYTES("{,\"a\":1}"), 1},
    {__LINE__, BYTES("{\"a\":1 \"b\":2}"), 7},
    {__LINE__, BYTES("{\"a\":1]"), 6},
    {__LINE__, BYTES("{\"a\":1"), 6},
    {__LINE__, BYTES("[] // no"), 3},
    {__LINE__, BYTES("[/**/]"), 1},
    {__LINE__, BYTES(DEEP("[") "[]" DEEP("]")), JSON_DEPTH},
    {__LINE__, BYTES(DEEP("[") "{}" DEEP("]")), JSON_DEPTH},
};

START_TEST(refuses)
{
    enum json_kind kind;
    char raw[512];
    size_t raw_size, at;
    bool whole = read_on_heap(bad[_i].text, &kind, raw, &raw_size, &at);
    ck_assert_msg(!whole, "line %d", bad[_i].line);
    ck_assert_msg(at == bad[_i].at, "line %d: wrong at %zu", bad[_i].line, at);
}
END_TEST

/* Texts with a byte or two changed, against the model. */
START_TEST(random_texts)
{
    static const char bytes[] = "\"\\[]{}:,0123456789.eE+-nulltruefalse u\t\n\xC3\xA9\xE2\xED\x80";
    uint64_t start = seed(), state = start;
    for (unsigned i = 0; i < 100000; i++) {
        const char *from = good[random_next(&state) % COUNT(good)].text;
        size_t n = strlen(from), at, want;
        char *p = on_heap((struct span){from, n});
        for (uint64_t k = random_next(&state) % 3; k > 0; k--)
            p[random_next(&state) % n] = bytes[random_next(&state) % (sizeof(bytes) - 1)];
        struct json_value v;
        struct span s = {p, n - random_next(&state) % 2};
        bool whole = json_read(s, &v, &at);
        ck_assert_msg(whole == model_read(s, &want) && at == want,
                      SEED_FMT ": \"%.*s\": %zu, not %zu", start, (int)s.n, s.p, at, want);
        free(p);
    }
}
END_TEST

/* ---- members ---- */

static const struct {
    int line;
    const char *text, *walk; /* name=value, each followed by a bar; a string's value in <> */
} walks[] = {
    {__LINE__, "[]", ""},
    {__LINE__, "{ }", ""},
    {__LINE__, "[1,\"a\\n\" , [2,[3]],{\"b\":[]} ,null]", "=1|=<a\\n>|=[2,[3]]|={\"b\":[]}|=null|"},
    {__LINE__, "{\"a\":1,\"\":\"\",\"b\\u0020\" : [ \"}\" , \"]\" ] , \"c\":{\"d\":true}}",
     "a=1|=<>|b\\u0020=[ \"}\" , \"]\" ]|c={\"d\":true}|"},
    {__LINE__, "\n[\n\t-1.5e3\n]\n", "=-1.5e3|"},
    {__LINE__, "{\"x\":false,\"x\":\",\"}", "x=false|x=<,>|"},
};

START_TEST(walks_members)
{
    struct json_value of, v;
    struct span name;
    char buf[256];
    struct text t = text_in(buf, sizeof(buf));
    size_t at, pos = 0;
    ck_assert(json_read(span_of(walks[_i].text), &of, &at));
    while (json_next(&of, &pos, &name, &v)) {
        text_add(&t, name);
        text_str(&t, v.kind == JSON_STRING ? "=<" : "=");
        text_add(&t, v.raw);
        text_str(&t, v.kind == JSON_STRING ? ">|" : "|");
    }
    ck_assert_msg(span_eq(text_span(&t), span_of(walks[_i].walk)), "line %d: %.*s", walks[_i].line,
                  (int)t.n, t.p);
    ck_assert(!json_next(&of, &pos, &name, &v));
}
END_TEST

START_TEST(walks_kinds)
{
    static const enum json_kind kinds[] = {JSON_NULL,   JSON_FALSE, JSON_TRUE,  JSON_NUMBER,
                                           JSON_STRING, JSON_ARRAY, JSON_OBJECT};
    struct json_value of, v;
    struct span name;
    size_t at, pos = 0, n = 0;
    ck_assert(json_read(SPAN("[null,false,true,0,\"\",[],{}]"), &of, &at));
    for (; json_next(&of, &pos, &name, &v); n++)
        ck_assert_int_eq(v.kind, kinds[n]);
    ck_assert_uint_eq(n, COUNT(kinds));
}
END_TEST

/* ---- strings ---- */

static const struct {
    int line;
    struct span plain;
    const char *json;
} strings[] = {
    {__LINE__, BYTES(""), "\"\""},
    {__LINE__, BYTES("a"), "\"a\""},
    {__LINE__, BYTES("a run of plain bytes that is long"), "\"a run of plain bytes that is long\""},
    {__LINE__, BYTES("\"\\/"), "\"\\\"\\\\/\""},
    {__LINE__, BYTES("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
    {__LINE__, BYTES("\0\x01\x0B\x0E\x1F\x7F"), "\"\\u0000\\u0001\\u000b\\u000e\\u001f\x7F\""},
    {__LINE__, BYTES("01234567\"01234567\n"), "\"01234567\\\"01234567\\n\""},
    {__LINE__, BYTES("\xE2\x80\xA8|\xE2\x80\xA9"), "\"\\u2028|\\u2029\""},
    {__LINE__, BYTES("\xE2\x80\xA7|\xE2\x80\xAF|\xE2\x82\xAC"),
     "\"\xE2\x80\xA7|\xE2\x80\xAF|\xE2\x82\xAC\""},
    {__LINE__, BYTES("\xC3\xA9\xF0\x9F\x98\x80"), "\"\xC3\xA9\xF0\x9F\x98\x80\""},
};

START_TEST(writes_strings)
{
    struct span want = span_of(strings[_i].json);
    for (size_t cap = 0; cap <= want.n + 1; cap++) {
        char *buf = malloc(cap + 1);
        ck_assert_ptr_nonnull(buf);
        struct text t = text_in(buf, cap + 1);
        text_str(&t, ">");
        json_string(&t, strings[_i].plain);
        ck_assert_msg(t.full == (cap < want.n), "line %d: in %zu", strings[_i].line, cap);
        ck_assert_msg(t.n == (t.full ? 1 : 1 + want.n), "line %d: in %zu", strings[_i].line, cap);
        ck_assert_msg(t.full || memcmp(buf + 1, want.p, want.n) == 0, "line %d", strings[_i].line);
        free(buf);
    }
}
END_TEST

START_TEST(full_stays)
{
    char buf[8];
    struct text t = text_in(buf, sizeof(buf));
    json_string(&t, SPAN("too long for it"));
    json_string(&t, SPAN("ok"));
    ck_assert(t.full && span_eq(text_span(&t), SPAN("\"ok\"")));
}
END_TEST

static const struct {
    int line;
    const char *raw;
    struct span plain;
} escapes[] = {
    {__LINE__, "", BYTES("")},
    {__LINE__, "plain", BYTES("plain")},
    {__LINE__, "\\\"\\\\\\/\\b\\f\\n\\r\\t", BYTES("\"\\/\b\f\n\r\t")},
    {__LINE__, "a\\u0000b", BYTES("a\0b")},
    {__LINE__, "\\u0041\\u007f", BYTES("A\x7F")},
    {__LINE__, "\\u0080\\u00e9\\u07FF", BYTES("\xC2\x80\xC3\xA9\xDF\xBF")},
    {__LINE__, "\\u0800\\u20ac\\uFFFF", BYTES("\xE0\xA0\x80\xE2\x82\xAC\xEF\xBF\xBF")},
    {__LINE__, "\\uD800\\uDC00", BYTES("\xF0\x90\x80\x80")},
    {__LINE__, "x\\uD83D\\uDE00y", BYTES("x\xF0\x9F\x98\x80y")},
    {__LINE__, "\\udbff\\udfff", BYTES("\xF4\x8F\xBF\xBF")},
    {__LINE__, "\\u2028", BYTES("\xE2\x80\xA8")},
    {__LINE__, "\xC3\xA9\\n\xC3\xA9", BYTES("\xC3\xA9\n\xC3\xA9")},
    {__LINE__, "\\\\u0041\\\\", BYTES("\\u0041\\")},
};

START_TEST(unescapes)
{
    struct span raw = span_of(escapes[_i].raw), want = escapes[_i].plain;
    char *in = on_heap(raw), *out = malloc(raw.n + 1);
    ck_assert_ptr_nonnull(out);
    size_t n = json_unescape((struct span){in, raw.n}, out);
    ck_assert_msg(span_eq((struct span){out, n}, want), "line %d", escapes[_i].line);
    n = json_unescape((struct span){in, raw.n}, in);
    ck_assert_msg(span_eq((struct span){in, n}, want), "line %d: in place", escapes[_i].line);
    free(in);
    free(out);
}
END_TEST

/* Every code point there is, written, read and decoded. */
START_TEST(every_character)
{
    for (unsigned high = 0; high < 0x110000; high += 64) {
        if (high >= 0xD800 && high < 0xE000)
            continue;
        char plain[64 * 4], json[64 * 6 + 2], back[64 * 6];
        size_t n = 0;
        for (unsigned code = high; code < high + 64; code++) {
            char raw[32];
            if (code < 0x10000)
                snprintf(raw, sizeof(raw), "\\u%04X", code);
            else
                snprintf(raw, sizeof(raw), "\\u%04x\\u%04X", 0xD7C0 + (code >> 10),
                         0xDC00 + (code & 0x3FF));
            n += json_unescape(span_of(raw), plain + n);
        }
        struct text t = text_in(json, sizeof(json));
        struct json_value v;
        size_t at;
        json_string(&t, (struct span){plain, n});
        ck_assert(!t.full && json_read(text_span(&t), &v, &at));
        ck_assert_uint_eq(json_unescape(v.raw, back), n);
        ck_assert_msg(memcmp(back, plain, n) == 0, "U+%04X and on", high);
        size_t size = high < 0x80 ? 1 : high < 0x800 ? 2 : high < 0x10000 ? 3 : 4;
        ck_assert_uint_eq(n, 64 * size);
    }
}
END_TEST

/* A string in parts, of any sizes and from any place on, is the same; and each byte is found in
 * it. */
START_TEST(in_parts)
{
    static const char *const some[] = {
        "\"",           "\\",           "\n",   "\x01",  "\xE2\x80\xA8",
        "\xE2\x80\xA9", "\xE2\x82\xAC", "\xE2", "plain", "and longer than a run of 16"};
    uint64_t start = seed(), random = start;
    for (unsigned round = 0; round < 3000; round++) {
        char plain[400], whole[6 * 400 + 2], part[6 * 400];
        struct text p = text_in(plain, sizeof plain), w = text_in(whole, sizeof whole);
        for (uint64_t n = random_next(&random) % 14; n > 0; n--)
            text_str(&p, some[random_next(&random) % COUNT(some)]);
        char *heap = on_heap(text_span(&p));
        struct span s = {heap, p.n};
        json_string(&w, s);
        size_t size = w.n - 2, at = 0, into;
        ck_assert_msg(json_escaped_size(s) == size, SEED_FMT, start);
        for (size_t i = 0; i < s.n;) {
            struct text t = text_in(part, sizeof part);
            size_t most = 1 + random_next(&random) % 40;
            ck_assert_uint_eq(json_escaped_at(s, at, &into), i);
            ck_assert_uint_eq(into, 0);
            i += json_escape(&t, span_from(s, i), most);
            ck_assert_msg(t.n > 0 && t.n < most + 6 && at + t.n <= size, SEED_FMT, start);
            ck_assert_msg(memcmp(part, whole + 1 + at, t.n) == 0, SEED_FMT, start);
            for (size_t k = 0; k < t.n; k++) {
                struct text one = text_in(part, sizeof part);
                size_t byte = json_escaped_at(s, at + k, &into);
                json_escape(&one, span_from(s, byte), 1);
                ck_assert_msg(into < one.n && part[into] == whole[1 + at + k], SEED_FMT, start);
            }
            at += t.n;
        }
        ck_assert_uint_eq(at, size);
        ck_assert_uint_eq(json_escaped_at(s, size, &into), s.n);
        free(heap);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json");
    TCase *tc = tcase_create("json");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, reads, 0, (int)COUNT(good));
    tcase_add_loop_test(tc, refuses, 0, (int)COUNT(bad));
    tcase_add_test(tc, random_texts);
    tcase_add_loop_test(tc, walks_members, 0, (int)COUNT(walks));
    tcase_add_test(tc, walks_kinds);
    tcase_add_loop_test(tc, writes_strings, 0, (int)COUNT(strings));
    tcase_add_test(tc, full_stays);
    tcase_add_loop_test(tc, unescapes, 0, (int)COUNT(escapes));
    tcase_add_test(tc, every_character);
    tcase_add_test(tc, in_parts);
    suite_add_tcase(s, tc);
    return run(s);
}
