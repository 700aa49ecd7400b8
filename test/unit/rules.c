/*
 * rules.c - what a server wants of a token, and where it finds what the token allows; tokens that
 * are remembered.
 */
#include "test/kit/auth_kit.h"

#include "lib/auth/remember.h"
#include "test/kit/kit.h"

#define NOW    1790000000u
#define HEADER SPAN("{\"alg\":\"HS256\"}")

static const struct span audiences[] = {BYTES("me"), BYTES("https://me/")};
static const struct span issuers[] = {BYTES("https://i/"), BYTES("https://j/")};

/* Bits of what is asked: the audience, the issuer. */
enum { NONE = 0, AUD = 1, ISS = 2 };

static const struct {
    int line;
    unsigned asked;
    const char *member, *claims;
    const char *publish, *subscribe; /* scopes; or, publish being NULL, what is wrong */
} rows[] = {
    /* audience */
    {__LINE__, AUD, NULL, "{\"aud\":\"me\",\"publish\":[\"a\"]}", "a", ""},
    {__LINE__, AUD, NULL, "{\"aud\":[\"x\",\"https:\\/\\/me/\"],\"publish\":[\"a\"]}", "a", ""},
    {__LINE__, AUD, NULL, "{\"aud\":\"you\"}", NULL, "is for somebody else (aud)"},
    {__LINE__, AUD, NULL, "{\"aud\":\"m\"}", NULL, "is for somebody else (aud)"},
    {__LINE__, AUD, NULL, "{\"aud\":[]}", NULL, "is for somebody else (aud)"},
    {__LINE__, AUD, NULL, "{\"aud\":[[\"me\"]]}", NULL, "is for somebody else (aud)"},
    {__LINE__, AUD, NULL, "{\"aud\":{\"me\":\"me\"}}", NULL, "is for somebody else (aud)"},
    {__LINE__, AUD, NULL, "{\"aud\":null}", NULL, "is for somebody else (aud)"},
    {__LINE__, AUD, NULL, "{}", NULL, "names no audience (aud)"},
    {__LINE__, AUD, NULL, "{\"sub\":{\"aud\":\"me\"}}", NULL, "names no audience (aud)"},
    {__LINE__, AUD, NULL, "{\"aud\":\"me\",\"aud\":\"you\"}", NULL, "a member twice"},
    {__LINE__, NONE, NULL, "{\"aud\":\"me\"}", NULL, "is for somebody else (aud): this server has"},
    /* issuer */
    {__LINE__, ISS, NULL, "{\"iss\":\"https://j/\",\"publish\":[\"a\"]}", "a", ""},
    {__LINE__, ISS, NULL, "{\"iss\":\"https://j\"}", NULL, "is of an issuer (iss) that"},
    {__LINE__, ISS, NULL, "{\"iss\":[\"https://j/\"]}", NULL, "is of an issuer (iss) that"},
    {__LINE__, ISS, NULL, "{}", NULL, "names no issuer (iss)"},
    {__LINE__, NONE, NULL, "{\"iss\":7,\"publish\":[\"a\"]}", "a", ""},
    {__LINE__, AUD | ISS, NULL, "{\"iss\":\"https://i/\",\"aud\":\"me\"}", "", ""},
    /* the member */
    {__LINE__, NONE, "sse", "{\"sse\":{\"publish\":[\"a\",\"b/*\"],\"subscribe\":[\"**\"]}}",
     "a,b/*", "**"},
    {__LINE__, NONE, "https://x/y", "{\"https:\\/\\/x/y\":{\"publish\":[\"a\"]}}", "a", ""},
    {__LINE__, NONE, "sse", "{\"publish\":[\"a\"]}", "", ""},
    {__LINE__, NONE, NULL, "{\"sse\":{\"publish\":[\"a\"]}}", "", ""},
    {__LINE__, NONE, "sse", "{\"sse\":[\"a\"]}", NULL, "claim sse of the token is no object"},
    {__LINE__, NONE, "sse", "{\"sse\":{\"publish\":\"a\"}}", NULL,
     "publish of the token is no list"},
    {__LINE__, NONE, "sse", "{\"sse\":{\"publish\":[\"a\"],\"publish\":[]}}", NULL,
     "a member twice"},
    {__LINE__, NONE, "sse", "{\"sse\":{\"publish\":[\"a//\"]}}", NULL,
     "'a//', has an empty segment"},
    /* Mercure's */
    {__LINE__, NONE, "mercure",
     "{\"mercure\":{\"publish\":[\"*\"],\"subscribe\":[\"a\",\"*\",\"b\"]}}", "**", "a,**,b"},
    {__LINE__, NONE, "sse", "{\"sse\":{\"publish\":[\"*\"]}}", "*", ""},
    /* OAuth's */
    {__LINE__, NONE, NULL,
     "{\"scope\":\"openid publish:a/* subscribe:b email publish:c subscribe:d\"}", "a/*,c", "b,d"},
    {__LINE__, NONE, NULL, "{\"scope\":\"subscribe:\\u0061\"}", "", "a"},
    {__LINE__, NONE, NULL, "{\"scope\":\"  xpublish:a  Publish:b \"}", "", ""},
    {__LINE__, NONE, NULL, "{\"scope\":\"\"}", "", ""},
    {__LINE__, NONE, NULL, "{\"scope\":\"publish:a\",\"subscribe\":[\"b\"]}", "", "b"},
    {__LINE__, NONE, "sse", "{\"scope\":\"publish:a\"}", "a", ""},
    {__LINE__, NONE, "sse", "{\"scope\":\"publish:a\",\"sse\":{\"publish\":[]}}", "", ""},
    {__LINE__, NONE, NULL, "{\"scope\":[\"publish:a\"]}", NULL,
     "claim scope of the token is no string"},
    {__LINE__, NONE, NULL, "{\"scope\":\"publish:\"}", NULL,
     "scope of the token, in its topic number 1"},
    {__LINE__, NONE, NULL, "{\"scope\":\"publish:a subscribe:a,b\"}", NULL, "number 2, 'a,b',"},
    /* as Keycloak and Auth0 make them */
    {__LINE__, AUD | ISS, NULL,
     "{\"exp\":1790000300,\"iat\":1790000000,\"jti\":\"b2\",\"iss\":\"https://i/"
     "\",\"aud\":[\"me\",\"account\"],"
     "\"sub\":\"f:1\",\"typ\":\"Bearer\",\"azp\":\"web\",\"realm_access\":{\"roles\":[\"offline_"
     "access\"]},"
     "\"scope\":\"openid subscribe:orders/* profile\",\"email_verified\":true}",
     "", "orders/*"},
    {__LINE__, AUD | ISS, "https://me/sse",
     "{\"https://me/sse\":{\"subscribe\":[\"orders/*\"]},\"iss\":\"https://j/"
     "\",\"sub\":\"auth0|5\",\"aud\":"
     "[\"https://me/\",\"https://j/"
     "userinfo\"],\"iat\":1789999999,\"exp\":1790086399,\"azp\":\"x\",\"scope\":"
     "\"openid profile\",\"permissions\":[]}",
     "", "orders/*"},
};

START_TEST(rules)
{
    static struct kit_token token;
    static struct auth_keys keys;
    char room[AUTH_TOKEN_MAX], line[256];
    struct text why = text_in(line, sizeof(line) - 1);
    struct auth_claims claims;
    const struct auth_rules asked = {.audience = audiences,
                                     .audiences = rows[_i].asked & AUD ? COUNT(audiences) : 0,
                                     .issuer = issuers,
                                     .issuers = rows[_i].asked & ISS ? COUNT(issuers) : 0,
                                     .claims = rows[_i].member};
    kit_keys(&keys, SPAN(""), SPAN(KIT_KEY));
    kit_make(&token, HEADER, span_of(rows[_i].claims), SPAN(KIT_KEY));
    enum auth_result r = auth_check(&keys, &asked, kit_span(&token), NOW, room, &claims, &why);
    line[why.n] = '\0';
    ck_assert_msg((r == AUTH_GOOD) == (rows[_i].publish != NULL), "line %d: %s", rows[_i].line,
                  line);
    if (r != AUTH_GOOD) {
        ck_assert_msg(r == AUTH_CLAIMS && strstr(line, rows[_i].subscribe) != NULL, "line %d: %s",
                      rows[_i].line, line);
        ck_assert(claims.publish.n == 0 && claims.subscribe.n == 0 && kit_is_fit(text_span(&why)));
        return;
    }
    ck_assert_msg(span_eq(claims.publish, span_of(rows[_i].publish)), "line %d: %.*s",
                  rows[_i].line, (int)claims.publish.n, claims.publish.p);
    ck_assert_msg(span_eq(claims.subscribe, span_of(rows[_i].subscribe)), "line %d: %.*s",
                  rows[_i].line, (int)claims.subscribe.n, claims.subscribe.p);
    /* the same without its signature, which is known to be good by then */
    struct auth_claims again;
    ck_assert(auth_check_again(&asked, kit_span(&token), NOW, room, &again, &why) == AUTH_GOOD);
    ck_assert(again.publish.n == claims.publish.n && again.expires_s == claims.expires_s);
}
END_TEST

/* ---- remembering ---- */

static struct remember table;

static bool has(struct span token)
{
    return remember_find(&table, token) != NULL;
}

static void add(struct span token)
{
    const struct auth_claims claims = {.publish = SPAN("a")};
    const struct bearer bearer = {.iat = 7};
    remember_add(&table, token, &claims, &bearer);
}

static struct span numbered(char out[32], unsigned i)
{
    return (struct span){out, (size_t)snprintf(out, 32, "token %u", i)};
}

START_TEST(remembers)
{
    char bytes[32];
    const unsigned most = REMEMBER_SETS * REMEMBER_WAYS, few = most / 4;
    table.seed[0] = seed();
    ck_assert(!has(SPAN("")));
    for (unsigned i = 0; i < few; i++) {
        ck_assert(!has(numbered(bytes, i)));
        add(numbered(bytes, i));
        ck_assert(has(numbered(bytes, i)));
    }
    /* one that is used stays, whatever comes */
    for (unsigned i = 0; i < 2 * most; i++) {
        ck_assert(has(SPAN("token 7")));
        add(numbered(bytes, few + i));
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < few; i++)
        kept += has(numbered(bytes, i));
    ck_assert_uint_lt(kept, few / 2);
    remember_clear(&table);
    ck_assert(!has(SPAN("token 7")) && table.seed[0] != 0);
    for (unsigned i = 0; i < 2 * most; i++)
        ck_assert(!has(numbered(bytes, i)));
}
END_TEST

/* What a token allows is remembered where it is short, for as long as it is valid. */
START_TEST(remembers_claims)
{
    char room[REMEMBER_SCOPES], scope[REMEMBER_SCOPES + 1];
    struct auth_claims got, claims = {.publish = SPAN("a/*"),
                                      .subscribe = SPAN("**"),
                                      .expires_s = 2000,
                                      .begins_s = 1000,
                                      .admin = true};
    const struct bearer bearer = {.jti = {1}, .sub = {2}, .iat = 3};
    table.seed[1] = seed();
    remember_add(&table, SPAN("short"), &claims, &bearer);
    const struct remember_entry *e = remember_find(&table, SPAN("short"));
    ck_assert_ptr_nonnull(e);
    ck_assert_mem_eq(&e->bearer, &bearer, sizeof bearer);
    ck_assert(!remember_claims(e, 999, room, &got) && !remember_claims(e, 2000, room, &got));
    ck_assert(remember_claims(e, 1000, room, &got) && remember_claims(e, 1999, room, &got));
    ck_assert(span_eq(got.publish, SPAN("a/*")) && span_eq(got.subscribe, SPAN("**")));
    ck_assert(got.expires_s == 2000 && got.begins_s == 1000 && got.admin);
    memset(scope, 'x', sizeof scope);
    for (size_t n = REMEMBER_SCOPES - 3; n <= sizeof scope - 3; n++) {
        claims = (struct auth_claims){.publish = {scope, n}, .subscribe = SPAN("abc")};
        char name = (char)('0' + n % 10);
        remember_add(&table, (struct span){&name, 1}, &claims, &bearer);
        e = remember_find(&table, (struct span){&name, 1});
        ck_assert(remember_claims(e, 5, room, &got) == (n + 3 <= REMEMBER_SCOPES));
        ck_assert(n + 3 > REMEMBER_SCOPES ||
                  (got.publish.n == n && span_eq(got.subscribe, SPAN("abc")) && !got.admin));
    }
    claims = (struct auth_claims){.expires_s = (uint64_t)UINT32_MAX + 5};
    remember_add(&table, SPAN("far"), &claims, &bearer);
    ck_assert(!remember_claims(remember_find(&table, SPAN("far")), 5, room, &got));
}
END_TEST

/* Of as many as may come back at once, few have to be verified again. */
START_TEST(holds)
{
    char bytes[32];
    unsigned kept = 0;
    table.seed[0] = seed();
    table.seed[3] = ~table.seed[0];
    for (unsigned i = 0; i < 10000; i++)
        add(numbered(bytes, i));
    for (unsigned i = 0; i < 10000; i++)
        kept += has(numbered(bytes, i));
    ck_assert_uint_ge(kept, 9900);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rules");
    TCase *c = tcase_create("rules");
    tcase_add_loop_test(c, rules, 0, COUNT(rows));
    tcase_add_test(c, remembers);
    tcase_add_test(c, remembers_claims);
    tcase_add_test(c, holds);
    suite_add_tcase(s, c);
    return run(s);
}
