/*
 * auth.c - keys, tokens and signed URLs: the vectors of RFC 7515 and of another program, and
 * what must be refused.
 */
#include "test/kit/auth_kit.h"

#include "lib/auth/object.h"
#include "lib/name.h"
#include "test/kit/kit.h"

#define NOW 1790000000u

static struct auth_keys keys;
static struct kit_token token;
static char room[AUTH_TOKEN_MAX];
static struct auth_claims claims;
static char why_bytes[256];
static struct text why;

/* Checks a token, in memory of just its size. */
static enum auth_result check_span(struct span s, uint64_t now)
{
    char *p = on_heap(s), *exact = malloc(AUTH_TOKEN_MAX);
    why = text_in(why_bytes, sizeof(why_bytes));
    memset(room, 0, sizeof(room));
    enum auth_result r = auth_check(&keys, NULL, (struct span){p, s.n}, now, exact, &claims, &why);
    ck_assert(!why.full);
    if (r == AUTH_GOOD) {
        ck_assert_uint_eq(why.n, 0);
    } else {
        ck_assert_msg(kit_is_fit(text_span(&why)), "%.*s", (int)why.n, why.p);
        ck_assert(claims.publish.n == 0 && claims.subscribe.n == 0 && claims.expires_s == 0);
    }
    /* What they point to outlives the token, being in room: here in a copy of it. */
    memcpy(room, exact, AUTH_TOKEN_MAX);
    if (claims.publish.n > 0)
        claims.publish.p = room + (claims.publish.p - exact);
    if (claims.subscribe.n > 0)
        claims.subscribe.p = room + (claims.subscribe.p - exact);
    free(p);
    free(exact);
    return r;
}

static enum auth_result check_now(void)
{
    return check_span(kit_span(&token), NOW);
}

/* What is wrong, NUL-ended. */
static const char *said(void)
{
    static char text[sizeof(why_bytes) + 1];
    snprintf(text, sizeof(text), "%.*s", (int)why.n, why.p);
    return text;
}

static void make(const char *header, const char *text)
{
    kit_make(&token, span_of(header), span_of(text), SPAN(KIT_KEY));
}

static void one_key(void)
{
    kit_keys(&keys, (struct span){NULL, 0}, SPAN(KIT_KEY));
}

#define HEADER "{\"alg\":\"HS256\"}"

/* ---- tokens of others ---- */

/* RFC 7515 appendix A.1, which is RFC 7519 section 3.1 as well. */
START_TEST(of_the_rfc)
{
    static const char key[] =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuT"
        "wjAzZr1Z9CAow";
    struct span text =
        SPAN("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
             ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmN"
             "vbS9pc19yb290Ijp0cnVlfQ"
             ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    keys = (struct auth_keys){.n = 1, .key = {{.n = 64}}};
    ck_assert_int_eq(base64url_read(keys.key[0].bytes, span_of(key)), 64);
    ck_assert_int_eq(check_span(text, 1300819379), AUTH_GOOD);
    ck_assert_uint_eq(claims.expires_s, 1300819380 + AUTH_LEEWAY_S);
    ck_assert(claims.publish.n == 0 && claims.subscribe.n == 0);
    ck_assert_int_eq(check_span(text, 1300819380 + 59), AUTH_GOOD);
    ck_assert_int_eq(check_span(text, 1300819380 + 60), AUTH_EXPIRED);
    ck_assert_str_eq(said(), "the token has expired: it was valid until 2011-03-22T18:43:00.000Z");
    keys.key[0].bytes[63] ^= 1;
    ck_assert_int_eq(check_span(text, 1300819379), AUTH_SIGNATURE);
    keys.key[0].bytes[63] ^= 1;
    keys.key[0].n = 63;
    ck_assert_int_eq(check_span(text, 1300819379), AUTH_SIGNATURE);
}
END_TEST

/* PyJWT 2.6: jwt.encode({"exp":1790000000,"publish":["a/STAR"],"subscribe":["**"]}, KIT_KEY,
 * algorithm="HS256", headers={"kid":"k1"}) */
START_TEST(of_another_program)
{
    struct span text = SPAN("eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0."
                            "eyJleHAiOjE3OTAwMDAwMDAsInB1Ymxpc2giOlsiYS8qIl0sInN1YnNjcmliZSI6WyIqKi"
                            "JdfQ.398SpEZm7I5OalZESEkmByehWYnwwJQ90oxEA9v3k0I");
    kit_keys(&keys, SPAN("k1"), SPAN(KIT_KEY));
    ck_assert_int_eq(check_span(text, NOW), AUTH_GOOD);
    ck_assert(span_eq(claims.publish, SPAN("a/*")) && span_eq(claims.subscribe, SPAN("**")));
    ck_assert_uint_eq(claims.expires_s, 1790000000 + AUTH_LEEWAY_S);
}
END_TEST

/* ---- what is good, what is not ---- */

static const struct {
    int line;
    const char *header, *claims;
    enum auth_result result;
    const char *says; /* in what is said of it */
} rows[] = {
    {__LINE__, HEADER, "{}", AUTH_GOOD, ""},
    {__LINE__, " { \"alg\" : \"HS256\" } ", " { } ", AUTH_GOOD, ""},
    {__LINE__, "{\"alg\":\"HS\\u003256\"}", "{}", AUTH_GOOD, ""},
    {__LINE__, "{\"typ\":\"at+jwt\",\"alg\":\"HS256\",\"x\":{\"alg\":\"none\"}}", "{}", AUTH_GOOD,
     ""},
    {__LINE__, "{\"alg\":\"HS256\",\"typ\":7}", "{\"iss\":7,\"sub\":{},\"jti\":[]}", AUTH_GOOD, ""},
    {__LINE__, "{\"alg\":\"HS256\",\"kid\":\"whatever\"}", "{}", AUTH_GOOD, ""},
    {__LINE__, "{\"alg\":\"HS256\",\"kid\":\"\"}", "{}", AUTH_GOOD, ""},
    /* algorithms */
    {__LINE__, "{\"alg\":\"none\"}", "{}", AUTH_ALGORITHM,
     "'none': only HS256, RS256, ES256 and EdDSA are taken"},
    {__LINE__, "{\"alg\":\"None\"}", "{}", AUTH_ALGORITHM, "'None'"},
    {__LINE__, "{\"alg\":\"NONE\"}", "{}", AUTH_ALGORITHM, "'NONE'"},
    {__LINE__, "{\"alg\":\"nOnE\"}", "{}", AUTH_ALGORITHM, "'nOnE'"},
    {__LINE__, "{\"alg\":\"\"}", "{}", AUTH_ALGORITHM, "''"},
    {__LINE__, "{\"alg\":\"HS384\"}", "{}", AUTH_ALGORITHM, "'HS384'"},
    {__LINE__, "{\"alg\":\"HS512\"}", "{}", AUTH_ALGORITHM, "'HS512'"},
    {__LINE__, "{\"alg\":\"RS256\"}", "{}", AUTH_SIGNATURE, "algorithm RS256, and no key"},
    {__LINE__, "{\"alg\":\"ES256\"}", "{}", AUTH_SIGNATURE, "algorithm ES256, and no key"},
    {__LINE__, "{\"alg\":\"PS256\"}", "{}", AUTH_ALGORITHM, "'PS256'"},
    {__LINE__, "{\"alg\":\"EdDSA\"}", "{}", AUTH_SIGNATURE, "algorithm EdDSA, and no key"},
    {__LINE__, "{\"alg\":\"dir\",\"enc\":\"A256GCM\"}", "{}", AUTH_ALGORITHM, "'dir'"},
    {__LINE__, "{\"alg\":\"hs256\"}", "{}", AUTH_ALGORITHM, "'hs256'"},
    {__LINE__, "{\"alg\":\"HS256 \"}", "{}", AUTH_ALGORITHM, "'HS256 '"},
    {__LINE__, "{\"alg\":\"HS256\\u0000\"}", "{}", AUTH_ALGORITHM, "'HS256?'"},
    {__LINE__, "{\"alg\":\"\\\"\\\\\\u00e9\"}", "{}", AUTH_ALGORITHM, "''/\?\?'"},
    {__LINE__, "{\"alg\":256}", "{}", AUTH_ALGORITHM, "is no string"},
    {__LINE__, "{\"alg\":null}", "{}", AUTH_ALGORITHM, "is no string"},
    {__LINE__, "{\"alg\":true}", "{}", AUTH_ALGORITHM, "is no string"},
    {__LINE__, "{\"alg\":[\"HS256\"]}", "{}", AUTH_ALGORITHM, "is no string"},
    {__LINE__, "{\"alg\":{\"HS256\":1}}", "{}", AUTH_ALGORITHM, "is no string"},
    {__LINE__, "{}", "{}", AUTH_ALGORITHM, "names no algorithm"},
    {__LINE__, "{\"Alg\":\"HS256\"}", "{}", AUTH_ALGORITHM, "names no algorithm"},
    {__LINE__, "{\"typ\":\"JWT\"}", "{}", AUTH_ALGORITHM, "names no algorithm"},
    /* headers */
    {__LINE__, "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "{}", AUTH_MALFORMED,
     "header of the token: an object that has a member twice"},
    {__LINE__, "{\"alg\":\"none\",\"alg\":\"HS256\"}", "{}", AUTH_MALFORMED, "twice"},
    {__LINE__, "{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", "{}", AUTH_MALFORMED, "twice"},
    {__LINE__, "{\"alg\":\"HS256\",\"x\":1,\"y\":2,\"x\":1}", "{}", AUTH_MALFORMED, "twice"},
    {__LINE__, "", "{}", AUTH_MALFORMED, "header of the token: not JSON"},
    {__LINE__, "HS256", "{}", AUTH_MALFORMED, "not JSON"},
    {__LINE__, "{\"alg\":\"HS256\"", "{}", AUTH_MALFORMED, "not JSON"},
    {__LINE__, "{\"alg\":\"HS256\"}}", "{}", AUTH_MALFORMED, "not JSON"},
    {__LINE__, "{\"alg\":\"HS256\",}", "{}", AUTH_MALFORMED, "not JSON"},
    {__LINE__, "{'alg':'HS256'}", "{}", AUTH_MALFORMED, "not JSON"},
    {__LINE__, "\xEF\xBB\xBF{\"alg\":\"HS256\"}", "{}", AUTH_MALFORMED, "not JSON"},
    {__LINE__, "{\"alg\":\"HS256\",\"x\":\"\xFF\"}", "{}", AUTH_MALFORMED, "not JSON"},
    {__LINE__, "[\"HS256\"]", "{}", AUTH_MALFORMED, "not a JSON object"},
    {__LINE__, "\"HS256\"", "{}", AUTH_MALFORMED, "not a JSON object"},
    {__LINE__, "null", "{}", AUTH_MALFORMED, "not a JSON object"},
    {__LINE__, "{\"alg\":\"HS256\",\"kid\":7}", "{}", AUTH_MALFORMED, "kid"},
    {__LINE__, "{\"alg\":\"HS256\",\"kid\":null}", "{}", AUTH_MALFORMED, "kid"},
    {__LINE__, "{\"alg\":\"HS256\",\"kid\":[\"a\"]}", "{}", AUTH_MALFORMED, "kid"},
    {__LINE__, "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{}", AUTH_CLAIMS, "crit"},
    {__LINE__, "{\"alg\":\"HS256\",\"crit\":[]}", "{}", AUTH_CLAIMS, "crit"},
    {__LINE__, "{\"alg\":\"HS256\",\"crit\":null}", "{}", AUTH_CLAIMS, "crit"},
    {__LINE__, "{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", "{}", AUTH_CLAIMS, "crit"},
    /* claims that can't be read */
    {__LINE__, HEADER, "", AUTH_CLAIMS, "claims of the token: not JSON"},
    {__LINE__, HEADER, "x", AUTH_CLAIMS, "not JSON"},
    {__LINE__, HEADER, "{}{}", AUTH_CLAIMS, "not JSON"},
    {__LINE__, HEADER, "{\"a\":01}", AUTH_CLAIMS, "not JSON"},
    {__LINE__, HEADER, "{\"a\":NaN}", AUTH_CLAIMS, "not JSON"},
    {__LINE__, HEADER, "{\"exp\":Infinity}", AUTH_CLAIMS, "not JSON"},
    {__LINE__, HEADER, "{\"a\":\"\xC0\xAF\"}", AUTH_CLAIMS, "not JSON"},
    {__LINE__, HEADER, "{\"a\":\"\\ud800\"}", AUTH_CLAIMS, "not JSON"},
    {__LINE__, HEADER, "[]", AUTH_CLAIMS, "not a JSON object"},
    {__LINE__, HEADER, "null", AUTH_CLAIMS, "not a JSON object"},
    {__LINE__, HEADER, "\"{}\"", AUTH_CLAIMS, "not a JSON object"},
    {__LINE__, HEADER, "7", AUTH_CLAIMS, "not a JSON object"},
    {__LINE__, HEADER, "{\"exp\":1900000000,\"exp\":1900000000}", AUTH_CLAIMS, "twice"},
    {__LINE__, HEADER, "{\"subscribe\":[],\"sub\\u0073cribe\":[\"**\"]}", AUTH_CLAIMS, "twice"},
    {__LINE__, HEADER, "{\"a\":1,\"a\":2}", AUTH_CLAIMS, "twice"},
    {__LINE__, HEADER, "{\"a\":{\"b\":1,\"b\":2},\"b\":1}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"aud\":\"x\"}", AUTH_CLAIMS, "aud"},
    {__LINE__, HEADER, "{\"aud\":[]}", AUTH_CLAIMS, "aud"},
    {__LINE__, HEADER, "{\"aud\":null}", AUTH_CLAIMS, "aud"},
    /* times */
    {__LINE__, HEADER, "{\"exp\":1790000000}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"exp\":1789999941}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"exp\":1789999940.5}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"exp\":1789999940}", AUTH_EXPIRED, "2026-09-21T14:12:20.000Z"},
    {__LINE__, HEADER, "{\"exp\":1789999939.9}", AUTH_EXPIRED, "expired"},
    {__LINE__, HEADER, "{\"exp\":17899.99941e5}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"exp\":17899.99940e5}", AUTH_EXPIRED, "expired"},
    {__LINE__, HEADER, "{\"exp\":0}", AUTH_EXPIRED, "1970-01-01T00:00:00.000Z"},
    {__LINE__, HEADER, "{\"exp\":-1}", AUTH_EXPIRED, "1970"},
    {__LINE__, HEADER, "{\"exp\":-1e999999999999999999999}", AUTH_EXPIRED, "1970"},
    {__LINE__, HEADER, "{\"exp\":-9223372036854775808}", AUTH_EXPIRED, "1970"},
    {__LINE__, HEADER, "{\"exp\":1e-999999999999999999999}", AUTH_EXPIRED, "1970"},
    {__LINE__, HEADER, "{\"exp\":1e999999999999999999999}", AUTH_CLAIMS,
     "seconds, not milliseconds"},
    {__LINE__, HEADER, "{\"exp\":18446744073709551615}", AUTH_CLAIMS, "seconds, not milliseconds"},
    {__LINE__, HEADER, "{\"exp\":18446744073709551616}", AUTH_CLAIMS, "seconds, not milliseconds"},
    {__LINE__, HEADER, "{\"exp\":18446744075499551616}", AUTH_CLAIMS, "seconds, not milliseconds"},
    {__LINE__, HEADER, "{\"exp\":253402300799}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"exp\":253402300800}", AUTH_CLAIMS,
     "exp of the token is beyond the year 9999"},
    {__LINE__, HEADER, "{\"exp\":1790000000000}", AUTH_CLAIMS, "seconds, not milliseconds"},
    {__LINE__, HEADER, "{\"exp\":9223372036854775807}", AUTH_CLAIMS, "seconds, not milliseconds"},
    {__LINE__, HEADER, "{\"exp\":\"1900000000\"}", AUTH_CLAIMS,
     "claim exp of the token is not a number"},
    {__LINE__, HEADER, "{\"exp\":null}", AUTH_CLAIMS, "exp"},
    {__LINE__, HEADER, "{\"exp\":[1900000000]}", AUTH_CLAIMS, "exp"},
    {__LINE__, HEADER, "{\"exp\":true}", AUTH_CLAIMS, "exp"},
    {__LINE__, HEADER, "{\"nbf\":1790000000}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"nbf\":1790000060}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"nbf\":1790000060.1}", AUTH_EARLY, "2026-09-21T14:14:21.000Z"},
    {__LINE__, HEADER, "{\"nbf\":1790000061}", AUTH_EARLY, "not valid yet"},
    {__LINE__, HEADER, "{\"nbf\":0}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"nbf\":-5}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"nbf\":-1e999}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"nbf\":1e999}", AUTH_CLAIMS, "nbf of the token is beyond the year 9999"},
    {__LINE__, HEADER, "{\"nbf\":18446744073709551617}", AUTH_CLAIMS, "9999"},
    {__LINE__, HEADER, "{\"nbf\":\"0\"}", AUTH_CLAIMS, "nbf"},
    {__LINE__, HEADER, "{\"nbf\":1790000061,\"exp\":1789999940}", AUTH_EXPIRED, "expired"},
    {__LINE__, HEADER, "{\"iat\":9e99}", AUTH_GOOD, ""},
    /* scopes */
    {__LINE__, HEADER, "{\"publish\":[],\"subscribe\":[]}", AUTH_GOOD, ""},
    {__LINE__, HEADER, "{\"publish\":\"a\"}", AUTH_CLAIMS,
     "claim publish of the token is no list of topics"},
    {__LINE__, HEADER, "{\"publish\":{}}", AUTH_CLAIMS, "publish"},
    {__LINE__, HEADER, "{\"publish\":{\"a\":1}}", AUTH_CLAIMS, "publish"},
    {__LINE__, HEADER, "{\"publish\":null}", AUTH_CLAIMS, "publish"},
    {__LINE__, HEADER, "{\"subscribe\":true}", AUTH_CLAIMS,
     "claim subscribe of the token is no list"},
    {__LINE__, HEADER, "{\"subscribe\":7}", AUTH_CLAIMS, "subscribe"},
    {__LINE__, HEADER, "{\"subscribe\":[7]}", AUTH_CLAIMS,
     "subscribe of the token, in its topic number 1 is no string"},
    {__LINE__, HEADER, "{\"subscribe\":[\"a\",[\"b\"]]}", AUTH_CLAIMS,
     "topic number 2 is no string"},
    {__LINE__, HEADER, "{\"subscribe\":[\"a\",null]}", AUTH_CLAIMS, "topic number 2 is no string"},
    {__LINE__, HEADER, "{\"subscribe\":[\"a\",\"a//b\"]}", AUTH_CLAIMS,
     "topic number 2, 'a//b', has an empty segment"},
    {__LINE__, HEADER, "{\"subscribe\":[\"\"]}", AUTH_CLAIMS, "topic number 1, '', is empty"},
    {__LINE__, HEADER, "{\"subscribe\":[\"/a\"]}", AUTH_CLAIMS, "'/a', has an empty segment"},
    {__LINE__, HEADER, "{\"subscribe\":[\"a,b\"]}", AUTH_CLAIMS, "'a,b', has a comma"},
    {__LINE__, HEADER, "{\"subscribe\":[\"a\\u002cb\"]}", AUTH_CLAIMS, "'a,b', has a comma"},
    {__LINE__, HEADER, "{\"subscribe\":[\"-/metrics\"]}", AUTH_CLAIMS, "begins with '-'"},
    {__LINE__, HEADER, "{\"subscribe\":[\"a*\"]}", AUTH_CLAIMS,
     "has a '*' that is not a whole segment"},
    {__LINE__, HEADER, "{\"subscribe\":[\"**/a\"]}", AUTH_CLAIMS,
     "has '**' before its last segment"},
    {__LINE__, HEADER, "{\"subscribe\":[\"a\\u0000\"]}", AUTH_CLAIMS, "'a?', has a control byte"},
    {__LINE__, HEADER, "{\"subscribe\":[\"a\\n\"]}", AUTH_CLAIMS, "control byte"},
    {__LINE__, HEADER, "{\"subscribe\":[\"\\\"\\\\\\u00e9/\"]}", AUTH_CLAIMS, "''/\?\?/'"},
    {__LINE__, HEADER, "{\"publish\":[\"**\"],\"subscribe\":[\"*,*\"]}", AUTH_CLAIMS, "subscribe"},
    {__LINE__, HEADER, "{\"exp\":1,\"subscribe\":[\"*,*\"]}", AUTH_CLAIMS, "subscribe"},
};

START_TEST(tokens)
{
    int line = rows[_i].line;
    one_key();
    make(rows[_i].header, rows[_i].claims);
    enum auth_result r = check_now();
    ck_assert_msg(r == rows[_i].result, "line %d: gives %d, %s", line, r, said());
    ck_assert_msg(strstr(said(), rows[_i].says) != NULL, "line %d: %s", line, said());
    /* Signed with another key it says the same of its header, and nothing of its claims. */
    kit_keys(&keys, (struct span){NULL, 0}, SPAN(KIT_OTHER));
    bool header = r == AUTH_MALFORMED || r == AUTH_ALGORITHM || strstr(said(), "(crit)") != NULL;
    enum auth_result other = check_now();
    ck_assert_msg(other == (header ? r : AUTH_SIGNATURE), "line %d: gives %d, %s", line, other,
                  said());
    keys.n = 0;
    ck_assert(check_now() == other);
}
END_TEST

/* The claims are what they say, decoded. */
START_TEST(scopes)
{
    one_key();
    make(HEADER,
         "{\"x\":[\"no\"],\"publish\":[\"orders/eu/*\"],\"exp\":1800000000.5,"
         "\"subscribe\" : [ \"orders/**\" , \"caf\\u00e9/\\\"\\\\\\ud83d\\ude00\",\"a\\/b\" ] }");
    ck_assert_int_eq(check_now(), AUTH_GOOD);
    ck_assert(span_eq(claims.publish, SPAN("orders/eu/*")));
    ck_assert(span_eq(claims.subscribe, SPAN("orders/**,caf\xC3\xA9/\"\\\xF0\x9F\x98\x80,a/b")));
    ck_assert_uint_eq(claims.expires_s, 1800000001 + AUTH_LEEWAY_S);
    make(HEADER, "{\"subscribe\":[\"b\",\"a\",\"b\"],\"publish\":[]}");
    ck_assert_int_eq(check_now(), AUTH_GOOD);
    ck_assert(span_eq(claims.subscribe, SPAN("b,a,b")) && claims.publish.n == 0);
    ck_assert_uint_eq(claims.expires_s, 0);
    make(HEADER, "{\"exp\":253402300799}");
    ck_assert_int_eq(check_now(), AUTH_GOOD);
    ck_assert_uint_eq(claims.expires_s, AUTH_TIME_MAX);
}
END_TEST

static const struct {
    int line;
    const char *text;
    uint64_t value;
} dates[] = {
    {__LINE__, "0", 0},
    {__LINE__, "-0", 0},
    {__LINE__, "0.0", 0},
    {__LINE__, "0e99", 0},
    {__LINE__, "-0.0e-9", 0},
    {__LINE__, "1", 1},
    {__LINE__, "1.0", 1},
    {__LINE__, "1.000000000000000000000000000000000000000000", 1},
    {__LINE__, "1.000000000000000000000000000000000000000001", 2},
    {__LINE__, "0.1", 1},
    {__LINE__, "1e-9", 1},
    {__LINE__, "1.5", 2},
    {__LINE__, "15e-1", 2},
    {__LINE__, "10e-1", 1},
    {__LINE__, "1e1", 10},
    {__LINE__, "1E+1", 10},
    {__LINE__, "0.00015e5", 15},
    {__LINE__, "0.00015e4", 2},
    {__LINE__, "0.00015e7", 1500},
    {__LINE__, "123.456e2", 12346},
    {__LINE__, "123.456e3", 123456},
    {__LINE__, "1.79e9", 1790000000},
    {__LINE__, "1790000000000e-3", 1790000000},
    {__LINE__, "253402300798", 253402300798},
    {__LINE__, "253402300798.1", 253402300799},
    {__LINE__, "253402300799", 253402300799},
    {__LINE__, "0.00000000000000000000000000000001e32", 1},
    {__LINE__, "-1", 0},
    {__LINE__, "-1790000000", 0},
    {__LINE__, "-1.5e300", 0},
    {__LINE__, "1e00000000000000000000000000000000000001", 10},
    {__LINE__, "1e-00000000000000000000000000000000000001", 1},
};

START_TEST(date)
{
    char text[128];
    struct auth_said s;
    snprintf(text, sizeof(text), "{\"exp\":%s}", dates[_i].text);
    make(HEADER, text);
    why = text_in(why_bytes, sizeof(why_bytes));
    ck_assert_int_eq(auth_read(NULL, kit_span(&token), room, &s, &why), AUTH_GOOD);
    ck_assert_msg(s.ends && s.exp_s == dates[_i].value, "line %d: %" PRIu64, dates[_i].line,
                  s.exp_s);
    ck_assert(!s.begins && s.nbf_s == 0);
}
END_TEST

/* Thousands of digits. */
START_TEST(long_dates)
{
    static char text[6000], zeros[5001];
    struct auth_said s;
    memset(zeros, '0', 5000);
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof(text),
                 i == 0   ? "{\"exp\":0.%s1e5001}"
                 : i == 1 ? "{\"exp\":1%se-5000}"
                          : "{\"exp\":0.%s1}",
                 zeros);
        make(HEADER, text);
        ck_assert_int_eq(auth_read(NULL, kit_span(&token), room, &s, &why), AUTH_GOOD);
        ck_assert_uint_eq(s.exp_s, 1);
    }
}
END_TEST

/* ---- what is no token ---- */

static const struct {
    int line;
    const char *text, *says;
} no_tokens[] = {
    {__LINE__, "", "is empty"},
    {__LINE__, ".", "this one 2"},
    {__LINE__, "..", "header of the token: not JSON"},
    {__LINE__, "...", "this one 4"},
    {__LINE__, "a", "this one 1"},
    {__LINE__, "eyJhbGciOiJIUzI1NiJ9", "this one 1"},
    {__LINE__, "eyJhbGciOiJIUzI1NiJ9.e30", "this one 2"},
    {__LINE__, "eyJhbGciOiJIUzI1NiJ9.e30.AAAA.AAAA", "this one 4"},
    {__LINE__, "eyJhbGciOiJIUzI1NiJ9.e30.AAAA.AAAA.AAAA", "this one 5"},
    {__LINE__, "e.e30.AAAA", "header of the token: not base64url"},
    {__LINE__, "eyJhbGciOiJIUzI1NiJ9=.e30.AAAA", "not base64url"},
    {__LINE__, "eyJhbGciOiJIUzI1NiJ9==.e30.AAAA", "not base64url"},
    {__LINE__, " eyJhbGciOiJIUzI1NiJ9.e30.AAAA", "not base64url"},
    {__LINE__, "eyJhbGciOiJIUzI1NiJ9 .e30.AAAA", "not base64url"},
    {__LINE__, "eyJhbGciOiJIUzI1N+J9.e30.AAAA", "not base64url"},
    {__LINE__, "eyJhbGciOiJIUzI1N/J9.e30.AAAA", "not base64url"},
    {__LINE__, "eyJhbGciOiJIUzI1Ni\nJ9.e30.AAAA", "not base64url"},
    {__LINE__, "{\"alg\":\"HS256\"}.{}.", "not base64url"},
};

START_TEST(no_token)
{
    one_key();
    ck_assert_int_eq(check_span(span_of(no_tokens[_i].text), NOW), AUTH_MALFORMED);
    ck_assert_msg(strstr(said(), no_tokens[_i].says) != NULL, "line %d: %s", no_tokens[_i].line,
                  said());
}
END_TEST

/* A good token changed anywhere, in any way: cut at either end, each bit flipped, a byte added. */
START_TEST(changed)
{
    static char text[1024];
    one_key();
    make("{\"alg\":\"HS256\",\"kid\":\"k\"}", "{\"exp\":1800000000,\"subscribe\":[\"a/*\",\"b\"]}");
    ck_assert_int_eq(check_now(), AUTH_GOOD);
    size_t n = token.n;
    ck_assert_uint_lt(n, sizeof(text) - 1);
    for (size_t i = 0; i < n; i++) {
        ck_assert(check_span((struct span){token.p, i}, NOW) != AUTH_GOOD);
        ck_assert(i == 0 || check_span((struct span){token.p + i, n - i}, NOW) != AUTH_GOOD);
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(text, token.p, n);
            text[i] = (char)((unsigned char)text[i] ^ 1u << bit);
            ck_assert_msg(check_span((struct span){text, n}, NOW) != AUTH_GOOD, "%zu %u", i, bit);
        }
    }
    for (size_t i = 0; i <= n; i++) {
        static const char added[] = {'=', 'A', '.', ' ', '\n', '\0', '\r', '%'};
        for (size_t k = 0; k < sizeof(added); k++) {
            memcpy(text, token.p, i);
            text[i] = added[k];
            memcpy(text + i + 1, token.p + i, n - i);
            ck_assert_msg(check_span((struct span){text, n + 1}, NOW) != AUTH_GOOD, "%zu %zu", i,
                          k);
        }
    }
}
END_TEST

/* Signatures: none, cut, longer, with bits left over, of another text, of nothing. */
START_TEST(signatures)
{
    one_key();
    make(HEADER, "{}");
    size_t n = token.n;
    for (size_t cut = 0; cut <= 43; cut++)
        ck_assert_int_eq(check_span((struct span){token.p, n - cut}, NOW),
                         cut == 0 ? AUTH_GOOD : AUTH_SIGNATURE);
    ck_assert_str_eq(said(), "the signature of the token is not of a key that this server has");
    kit_add(&token, SPAN("A"));
    ck_assert_int_eq(check_now(), AUTH_SIGNATURE);
    token.n = n;
    for (unsigned i = 1; i < 4; i++) { /* the last digit holds two bits that must be zero */
        static const char digits[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        const char was = token.p[n - 1], *at = strchr(digits, was);
        token.p[n - 1] = at[i];
        ck_assert_int_eq(check_now(), AUTH_SIGNATURE);
        token.p[n - 1] = was;
    }
    ck_assert_int_eq(check_now(), AUTH_GOOD);
    struct kit_token other;
    kit_make(&other, SPAN(HEADER), SPAN("{\"publish\":[\"**\"]}"), SPAN(KIT_KEY));
    memcpy(other.p + other.n - 43, token.p + n - 43, 43);
    ck_assert_int_eq(check_span(kit_span(&other), NOW), AUTH_SIGNATURE);
    kit_make(&other, SPAN(HEADER), SPAN("{}"), SPAN(""));
    ck_assert_int_eq(check_span(kit_span(&other), NOW), AUTH_SIGNATURE);
}
END_TEST

/* The longest, and a byte more; as many members as may be, and one more; as deep, and deeper. */
START_TEST(limits)
{
    static char text[AUTH_TOKEN_MAX];
    one_key();
    for (size_t n = 6080; n < 6130; n++) {
        snprintf(text, sizeof(text), "{\"x\":\"%*s\"}", (int)n - 8, "");
        ck_assert_uint_eq(strlen(text), n);
        make(HEADER, text);
        bool fits = token.n <= AUTH_TOKEN_MAX;
        ck_assert_msg(check_now() == (fits ? AUTH_GOOD : AUTH_MALFORMED), "%zu: %s", token.n,
                      said());
        ck_assert(fits || strstr(said(), "more than 8192 bytes") != NULL);
    }
    for (int header = 0; header < 2; header++) {
        for (size_t n = 63; n <= 65; n++) {
            struct text t = text_in(text, sizeof(text) - 1);
            text_str(&t, header ? "{\"alg\":\"HS256\"" : "{\"m0\":0");
            for (size_t i = 1; i < n; i++) {
                text_str(&t, ",\"m");
                text_u64(&t, i);
                text_str(&t, "\":0");
            }
            text_str(&t, "}");
            t.p[t.n] = '\0';
            make(header ? text : HEADER, header ? "{}" : text);
            enum auth_result more = header ? AUTH_MALFORMED : AUTH_CLAIMS;
            ck_assert_int_eq(check_now(), n <= OBJECT_MEMBERS_MAX ? AUTH_GOOD : more);
            ck_assert(n <= OBJECT_MEMBERS_MAX || strstr(said(), "more than 64 members") != NULL);
        }
    }
    memset(text, 0, sizeof(text));
    memcpy(text, "{\"x\":", 5);
    memset(text + 5, '[', 4000);
    make(HEADER, text);
    ck_assert_int_eq(check_now(), AUTH_CLAIMS);
    make(text, "{}");
    ck_assert_int_eq(check_now(), AUTH_MALFORMED);
}
END_TEST

/* A list as long as a token can hold. */
START_TEST(long_scope)
{
    static char text[6000];
    struct text t = text_in(text, sizeof(text));
    one_key();
    text_str(&t, "{\"subscribe\":[\"a\"");
    for (unsigned i = 0; i < 1400; i++)
        text_str(&t, ",\"*\"");
    text_str(&t, "]}");
    kit_make(&token, SPAN(HEADER), text_span(&t), SPAN(KIT_KEY));
    ck_assert_int_eq(check_now(), AUTH_GOOD);
    ck_assert_uint_eq(claims.subscribe.n, 1 + 2 * 1400);
    struct span rest = claims.subscribe;
    ck_assert(span_eq(span_cut(&rest, ','), SPAN("a")));
    while (rest.n > 0)
        ck_assert(span_eq(span_cut(&rest, ','), SPAN("*")));
}
END_TEST

/* ---- which key ---- */

#define K1 "1111111111111111111111111111111111"
#define K2 "2222222222222222222222222222222222"
#define K3 "3333333333333333333333333333333333"
#define K4 "4444444444444444444444444444444444"

static const struct {
    int line;
    const char *kid, *key; /* kid NULL: none */
    int signer;            /* -1: none */
    const char *says;
} signers[] = {
    /* The file has "a K1", "b K2", "K3", "a K4". */
    {__LINE__, NULL, K1, 0, ""},
    {__LINE__, NULL, K2, 1, ""},
    {__LINE__, NULL, K3, 2, ""},
    {__LINE__, NULL, K4, 3, ""},
    {__LINE__, NULL, KIT_KEY, -1, "not of a key"},
    {__LINE__, "a", K1, 0, ""},
    {__LINE__, "a", K2, -1, "not of a key"}, /* the name is right, the key another's */
    {__LINE__, "a", K3, 2, ""},
    {__LINE__, "a", K4, 3, ""},
    {__LINE__, "b", K1, -1, "not of a key"},
    {__LINE__, "b", K2, 1, ""},
    {__LINE__, "b", K4, -1, "not of a key"},
    {__LINE__, "c", K1, -1, "not of a key"},
    {__LINE__, "c", K3, 2, ""},
    {__LINE__, "A", K1, -1, "not of a key"},
    {__LINE__, "aa", K1, -1, "not of a key"},
    {__LINE__, "\\u0061", K1, 0, ""},
    {__LINE__, "", K1, 0, ""},
};

START_TEST(signer)
{
    char header[128];
    why = text_in(why_bytes, sizeof(why_bytes));
    struct span file = SPAN("a " K1 "\nb " K2 "\n" K3 "\na " K4 "\n");
    ck_assert(auth_keys_read(&keys, file, &why));
    snprintf(header, sizeof(header),
             signers[_i].kid == NULL ? HEADER : "{\"alg\":\"HS256\",\"kid\":\"%s\"}",
             signers[_i].kid);
    kit_make(&token, span_of(header), SPAN("{}"), span_of(signers[_i].key));
    int want = signers[_i].signer, line = signers[_i].line;
    ck_assert_msg(check_now() == (want == -1 ? AUTH_SIGNATURE : AUTH_GOOD), "line %d", line);
    ck_assert_msg(strstr(said(), signers[_i].says) != NULL, "line %d: %s", line, said());
    const struct auth_key *key = auth_signer(&keys, kit_span(&token), room);
    ck_assert_msg(key == (want == -1 ? NULL : &keys.key[want]), "line %d", line);
}
END_TEST

/* Where all keys have names, one that is not there is told. */
START_TEST(unknown_key)
{
    kit_keys(&keys, SPAN("a"), SPAN(KIT_KEY));
    make("{\"alg\":\"HS256\",\"kid\":\"b \\u0007\\\"\"}", "{}");
    ck_assert_int_eq(check_now(), AUTH_SIGNATURE);
    ck_assert_str_eq(said(), "the token names the key 'b ?'', which this server does not have");
    ck_assert_ptr_null(auth_signer(&keys, kit_span(&token), room));
    make("{\"alg\":\"none\"}", "{}");
    ck_assert_ptr_null(auth_signer(&keys, kit_span(&token), room));
    ck_assert_ptr_null(auth_signer(&keys, SPAN("x"), room));
    static char header[5000];
    struct text t = text_in(header, sizeof(header));
    text_str(&t, "{\"alg\":\"HS256\",\"kid\":\"");
    for (int i = 0; i < 4000; i++)
        text_str(&t, "k");
    text_str(&t, "\"}");
    kit_make(&token, text_span(&t), SPAN("{}"), SPAN(KIT_KEY));
    ck_assert_int_eq(check_now(), AUTH_SIGNATURE);
    ck_assert(strstr(said(), "kkkk...', which") != NULL);
}
END_TEST

/* ---- the key file ---- */

#define A32 "abcdefghijklmnopqrstuvwxyz012345"

static const struct {
    int line;
    const char *text;
    const char *says; /* NULL: it is good */
    unsigned n;
} files[] = {
    {__LINE__, A32, NULL, 1},
    {__LINE__, A32 "\n", NULL, 1},
    {__LINE__, "\n\n  \t \n" A32 "\n\n", NULL, 1},
    {__LINE__, "# comment\n  # another\r\n#\n" A32 "\r\n", NULL, 1},
    {__LINE__, "k1 " A32, NULL, 1},
    {__LINE__, "  k1 \t " A32 "  \r\n", NULL, 1},
    {__LINE__, "k1 " A32 "\nk2 " A32 "\n" A32 "\nk1 " A32 "\n", NULL, 4},
    {__LINE__, A32 "#not-a-comment", NULL, 1},
    {__LINE__, A32 "\xC3\xA9\xFF", NULL, 1},
    {__LINE__,
     "k.1-2_3:4/5@6=7'#"
     " " A32,
     NULL, 1},
    {__LINE__, "", "there is no key", 0},
    {__LINE__, "\n\n", "there is no key", 0},
    {__LINE__, "# " A32, "there is no key", 0},
    {__LINE__, "abcdefghijklmnopqrstuvwxyz01234", "line 1: the key has fewer than 32 bytes", 0},
    {__LINE__, A32 "\n\nshort", "line 3: the key has fewer than 32", 0},
    {__LINE__, "k1 short", "line 1: the key has fewer than 32", 0},
    {__LINE__, A32 " k1", "line 1: the key has fewer than 32", 0},
    {__LINE__, "k1 " A32 " x", "line 1: there are more than two words", 0},
    {__LINE__, "k1 " A32 " # x", "line 1: there are more than two words", 0},
    {__LINE__, "a\"b " A32, "line 1: the name of the key has a byte", 0},
    {__LINE__, "a\\b " A32, "line 1: the name of the key has a byte", 0},
    {__LINE__, "\xC3\xA9 " A32, "line 1: the name of the key has a byte", 0},
    {__LINE__, A32 "\r", NULL, 1},
    {__LINE__, A32 "\rx", "line 1: there is a control byte", 0},
    {__LINE__, A32 "\r\r\n", "line 1: there is a control byte", 0},
    {__LINE__, A32 "\x01", "line 1: there is a control byte", 0},
    {__LINE__, A32 "\x7F", "line 1: there is a control byte", 0},
    {__LINE__, "# comment\x07\n" A32, "line 1: there is a control byte", 0},
    {__LINE__, "\xEF\xBB\xBF" A32, "line 1: there is a byte order mark", 0},
};

START_TEST(file)
{
    int line = files[_i].line;
    char *p = on_heap(span_of(files[_i].text));
    memset(&keys, 'x', sizeof(keys));
    why = text_in(why_bytes, sizeof(why_bytes));
    bool good = auth_keys_read(&keys, (struct span){p, strlen(files[_i].text)}, &why);
    ck_assert_msg(good == (files[_i].says == NULL), "line %d: %s", line, said());
    ck_assert_msg(keys.n == files[_i].n, "line %d: %u keys", line, keys.n);
    if (good)
        ck_assert_uint_eq(why.n, 0);
    else
        ck_assert_msg(strstr(said(), files[_i].says) != NULL, "line %d: %s", line, said());
    ck_assert(good || kit_is_wiped(&keys));
    for (unsigned i = 0; i < keys.n; i++)
        ck_assert(keys.key[i].n >= 32 && memcmp(keys.key[i].bytes, A32, 32) == 0);
    ck_assert(memcmp(why_bytes, "abcdefgh", 8) != 0 && strstr(said(), "short") == NULL);
    auth_keys_wipe(&keys);
    ck_assert(kit_is_wiped(&keys));
    free(p);
}
END_TEST

/* What is read is what stands there; and the limits. */
START_TEST(file_limits)
{
    static char text[40000];
    why = text_in(why_bytes, sizeof(why_bytes));
    ck_assert(auth_keys_read(&keys, SPAN("first " K1 "\n \n" K2 "\r\n"), &why));
    ck_assert_uint_eq(keys.n, 2);
    ck_assert(keys.key[0].n == 34 && memcmp(keys.key[0].bytes, K1, 34) == 0);
    ck_assert(keys.key[0].kid_n == 5 && memcmp(keys.key[0].kid, "first", 5) == 0);
    ck_assert(keys.key[1].n == 34 && memcmp(keys.key[1].bytes, K2, 34) == 0);
    ck_assert(keys.key[1].kid_n == 0 && keys.key[2].n == 0);
    for (unsigned n = 511; n <= 513; n++) {
        memset(text, 'k', n);
        ck_assert(auth_keys_read(&keys, (struct span){text, n}, &why) == (n <= KEY_BYTES_MAX));
        ck_assert(n > KEY_BYTES_MAX || keys.key[0].n == n);
    }
    ck_assert_str_eq(said(), "line 1: the key has more than 512 bytes");
    for (unsigned n = 63; n <= 65; n++) {
        memset(text, 'k', n);
        memcpy(text + n, " " K1, 35);
        ck_assert(auth_keys_read(&keys, (struct span){text, n + 35}, &why) == (n <= KEY_KID_MAX));
        ck_assert(n > KEY_KID_MAX || keys.key[0].kid_n == n);
    }
    for (unsigned n = 31; n <= 33; n++) {
        struct text t = text_in(text, sizeof(text));
        for (unsigned i = 0; i < n; i++)
            text_str(&t, K1 "\n");
        why.n = 0;
        ck_assert(auth_keys_read(&keys, text_span(&t), &why) == (n <= AUTH_KEYS_MAX));
        ck_assert_uint_eq(keys.n, n <= AUTH_KEYS_MAX ? n : 0);
    }
    ck_assert_str_eq(said(), "line 33: there are more than 32 keys");
}
END_TEST

/* ---- minting ---- */

static const struct auth_claims mints[] = {
    {.expires_s = 0},
    {.expires_s = NOW + 1},
    {.publish = SPAN_INIT("a/*")},
    {.subscribe = SPAN_INIT("**"), .expires_s = AUTH_TIME_MAX},
    {.publish = SPAN_INIT("a,b/c,d/**"),
     .subscribe = SPAN_INIT("caf\xC3\xA9/\"\\,\xE2\x80\xA8/*"),
     .purge = SPAN_INIT("a"),
     .expires_s = NOW + 5},
};

/* What is minted is good, and says what it was made for. */
START_TEST(mint)
{
    char bytes[1024];
    struct text t = text_in(bytes, sizeof(bytes));
    kit_keys(&keys, _i % 2 == 0 ? SPAN("key-1") : (struct span){NULL, 0}, SPAN(KIT_KEY));
    text_str(&t, "token=");
    auth_mint(&t, &keys.key[0], &mints[_i]);
    ck_assert(!t.full && span_begins(text_span(&t), SPAN("token=ey")));
    struct span made = span_from(text_span(&t), 6);
    ck_assert_msg(check_span(made, NOW) == AUTH_GOOD, "%s", said());
    ck_assert(span_eq(claims.publish, mints[_i].publish));
    ck_assert(span_eq(claims.subscribe, mints[_i].subscribe));
    uint64_t until = mints[_i].expires_s == 0               ? 0
                     : mints[_i].expires_s == AUTH_TIME_MAX ? AUTH_TIME_MAX
                                                            : mints[_i].expires_s + AUTH_LEEWAY_S;
    ck_assert_uint_eq(claims.expires_s, until);
    struct auth_said s;
    ck_assert_int_eq(auth_read(NULL, made, room, &s, &why), AUTH_GOOD);
    ck_assert(span_eq(s.kid, _i % 2 == 0 ? SPAN("key-1") : SPAN("")));
    ck_assert(s.ends == (mints[_i].expires_s > 0) && s.exp_s == mints[_i].expires_s);
    /* Of the same, the same; and all or nothing of it. */
    for (size_t cap = 0; cap <= made.n; cap++) {
        char *exact = malloc(cap + (cap == 0));
        struct text again = text_in(exact, cap);
        auth_mint(&again, &keys.key[0], &mints[_i]);
        ck_assert(again.full == (cap < made.n) && again.n == (again.full ? 0 : made.n));
        ck_assert(again.full || span_eq(text_span(&again), made));
        free(exact);
    }
}
END_TEST

/* What nobody would take is not made. */
START_TEST(mint_limit)
{
    static char scope[AUTH_TOKEN_MAX], out[2 * AUTH_TOKEN_MAX];
    bool some = false, none = false;
    one_key();
    for (size_t n = 5900; n < 6200; n++) {
        for (size_t i = 0; i < n; i++)
            scope[i] = (char)(i % 251 == 250 ? ',' : 'a');
        scope[n - 1] = 'a';
        struct auth_claims c = {.subscribe = {scope, n}};
        struct text t = text_in(out, sizeof(out));
        auth_mint(&t, &keys.key[0], &c);
        ck_assert(t.full ? t.n == 0 : check_span(text_span(&t), NOW) == AUTH_GOOD);
        ck_assert(t.full || t.n <= AUTH_TOKEN_MAX);
        some |= !t.full;
        none |= t.full;
    }
    ck_assert(some && none);
}
END_TEST

/* ---- signed URLs ---- */

/* What Python's hmac gave. */
#define URL_SUBSCRIBE "9UVVvsLi8mPYxCKO_JUV_pkVcs-UNGdkSW44LwiZaPo"
#define URL_PUBLISH   "iwrGMgV89ZwIod6OKko1ZOpu7WEYugZUHV8W-FAtJcA"

static enum auth_result url(enum auth_class class, const char *topics, const char *expires,
                            const char *signature, uint64_t now)
{
    char *p[] = {on_heap(span_of(topics)), on_heap(span_of(expires)), on_heap(span_of(signature))};
    why = text_in(why_bytes, sizeof(why_bytes));
    enum auth_result r = auth_url_check(&keys, class, (struct span){p[0], strlen(topics)},
                                        (struct span){p[1], strlen(expires)},
                                        (struct span){p[2], strlen(signature)}, now, &why);
    ck_assert(r == AUTH_GOOD ? why.n == 0 : kit_is_fit(text_span(&why)));
    for (int i = 0; i < 3; i++)
        free(p[i]);
    return r;
}

START_TEST(url_vectors)
{
    char out[64];
    one_key();
    for (int class = AUTH_SUBSCRIBE; class <= AUTH_PUBLISH; class ++) {
        const char *want = class == AUTH_PUBLISH ? URL_PUBLISH : URL_SUBSCRIBE;
        struct text t = text_in(out, AUTH_URL_SIGN);
        auth_url_sign(&t, &keys.key[0], (enum auth_class) class, SPAN("orders/7"), NOW);
        ck_assert(!t.full && span_eq(text_span(&t), span_of(want)));
        t = text_in(out, AUTH_URL_SIGN - 1);
        auth_url_sign(&t, &keys.key[0], (enum auth_class) class, SPAN("orders/7"), NOW);
        ck_assert(t.full && t.n == 0);
    }
    ck_assert_int_eq(url(AUTH_SUBSCRIBE, "orders/7", "1790000000", URL_SUBSCRIBE, 0), AUTH_GOOD);
    ck_assert_int_eq(url(AUTH_PUBLISH, "orders/7", "1790000000", URL_PUBLISH, NOW - 1), AUTH_GOOD);
    ck_assert_int_eq(url(AUTH_PUBLISH, "orders/7", "1790000000", URL_PUBLISH, NOW), AUTH_EXPIRED);
    ck_assert_str_eq(said(),
                     "the signed URL has expired: it was valid until 2026-09-21T14:13:20.000Z");
    ck_assert_int_eq(url(AUTH_PUBLISH, "orders/7", "1790000000", URL_PUBLISH, UINT64_MAX),
                     AUTH_EXPIRED);
}
END_TEST

static const struct {
    int line;
    enum auth_class class;
    const char *topics, *expires, *signature;
    enum auth_result result;
} urls[] = {
    {__LINE__, AUTH_PUBLISH, "orders/7", "1790000000", URL_SUBSCRIBE, AUTH_SIGNATURE},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "1790000000", URL_PUBLISH, AUTH_SIGNATURE},
    {__LINE__, AUTH_SUBSCRIBE, "orders/8", "1790000000", URL_SUBSCRIBE, AUTH_SIGNATURE},
    {__LINE__, AUTH_SUBSCRIBE, "orders/", "1790000000", URL_SUBSCRIBE, AUTH_SIGNATURE},
    {__LINE__, AUTH_SUBSCRIBE, "", "1790000000", URL_SUBSCRIBE, AUTH_SIGNATURE},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7,x", "1790000000", URL_SUBSCRIBE, AUTH_SIGNATURE},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "1790000001", URL_SUBSCRIBE, AUTH_SIGNATURE},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "179000000", URL_SUBSCRIBE, AUTH_SIGNATURE},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "01790000000", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "+1790000000", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", " 1790000000", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "1790000000 ", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "1790000000.0", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "179e7", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "0x6AB0", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "-1790000000", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "253402300800", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "253402300799", URL_SUBSCRIBE, AUTH_SIGNATURE},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "18446744073709551616", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "18446744075499551616", URL_SUBSCRIBE, AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "0", URL_SUBSCRIBE, AUTH_SIGNATURE},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "1790000000", "", AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "1790000000", URL_SUBSCRIBE "=", AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "1790000000", URL_SUBSCRIBE " ", AUTH_MALFORMED},
    {__LINE__, AUTH_SUBSCRIBE, "orders/7", "1790000000", "A" URL_SUBSCRIBE, AUTH_MALFORMED},
};

START_TEST(url_refused)
{
    one_key();
    enum auth_result r =
        url(urls[_i].class, urls[_i].topics, urls[_i].expires, urls[_i].signature, NOW - 100);
    ck_assert_msg(r == urls[_i].result, "line %d: %d, %s", urls[_i].line, r, said());
}
END_TEST

/* Each bit of a signature; other keys; no key. */
START_TEST(url_signatures)
{
    char text[64];
    one_key();
    for (size_t i = 0; i < AUTH_URL_SIGN; i++)
        for (unsigned bit = 0; bit < 7; bit++) {
            snprintf(text, sizeof(text), "%s", URL_SUBSCRIBE);
            text[i] = (char)(text[i] ^ 1 << bit);
            if (text[i] != '\0')
                ck_assert_int_eq(url(AUTH_SUBSCRIBE, "orders/7", "1790000000", text, 0),
                                 AUTH_SIGNATURE);
        }
    kit_keys(&keys, SPAN("a"), SPAN(KIT_OTHER));
    ck_assert_int_eq(url(AUTH_SUBSCRIBE, "orders/7", "1790000000", URL_SUBSCRIBE, 0),
                     AUTH_SIGNATURE);
    keys.n = 2;
    keys.key[1] = keys.key[0];
    memcpy(keys.key[1].bytes, KIT_KEY, 32);
    ck_assert_int_eq(url(AUTH_SUBSCRIBE, "orders/7", "1790000000", URL_SUBSCRIBE, 0), AUTH_GOOD);
    keys.n = 0;
    ck_assert_int_eq(url(AUTH_SUBSCRIBE, "orders/7", "1790000000", URL_SUBSCRIBE, 0),
                     AUTH_SIGNATURE);
}
END_TEST

/* A token is no signature of a URL and the other way around, though the key is one. */
START_TEST(apart)
{
    struct span signing = SPAN("sse-url-1\nsubscribe\n1790000000\norders/7");
    one_key();
    token.n = 0;
    kit_add(&token, signing);
    kit_sign(&token, SPAN(KIT_KEY));
    ck_assert(memcmp(token.p + signing.n + 1, URL_SUBSCRIBE, 43) == 0);
    ck_assert_int_eq(check_now(), AUTH_MALFORMED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("auth");
    TCase *c = tcase_create("tokens");
    tcase_add_test(c, of_the_rfc);
    tcase_add_test(c, of_another_program);
    tcase_add_loop_test(c, tokens, 0, COUNT(rows));
    tcase_add_test(c, scopes);
    tcase_add_loop_test(c, date, 0, COUNT(dates));
    tcase_add_test(c, long_dates);
    tcase_add_loop_test(c, no_token, 0, COUNT(no_tokens));
    tcase_add_test(c, changed);
    tcase_add_test(c, signatures);
    tcase_add_test(c, limits);
    tcase_add_test(c, long_scope);
    tcase_add_loop_test(c, signer, 0, COUNT(signers));
    tcase_add_test(c, unknown_key);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    c = tcase_create("the key file");
    tcase_add_loop_test(c, file, 0, COUNT(files));
    tcase_add_test(c, file_limits);
    suite_add_tcase(s, c);
    c = tcase_create("minting");
    tcase_add_loop_test(c, mint, 0, COUNT(mints));
    tcase_add_test(c, mint_limit);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    c = tcase_create("signed URLs");
    tcase_add_test(c, url_vectors);
    tcase_add_loop_test(c, url_refused, 0, COUNT(urls));
    tcase_add_test(c, url_signatures);
    tcase_add_test(c, apart);
    suite_add_tcase(s, c);
    return run(s);
}
