/*
 * provider.c - tokens of an identity provider, end to end: keys that openssl made as PEM and as a
 * JWK Set, tokens that it signed, in every place where a token may be; keys that change.
 */
#include "test/kit/ecdsa.h"
#include "test/kit/socket.h"
#include "test/kit/spare.h"
#include "test/kit/tokens.h"

static struct e2e_server s;
static struct e2e_response r;

/* Runs a command in the test's directory; returns what it prints, in one of 8 buffers in turn. */
static const char *sh(const char *command)
{
    static char outs[8][4096];
    static unsigned turn;
    char whole[4096], *out = outs[turn++ % 8];
    snprintf(whole, sizeof whole, "cd %s && %s", in_dir(""), command);
    FILE *f = popen(whole, "re");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(out, 1, sizeof outs[0] - 1, f);
    out[n] = '\0';
    ck_assert_msg(pclose(f) == 0, "%s", whole);
    return out;
}

static const struct {
    const char *alg, *make;
} kinds[] = {
    {"RS256", "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key 2>&1"},
    {"ES256", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>&1"},
    {"EdDSA", "openssl genpkey -algorithm ED25519 -out key 2>&1"},
};

/* A token of these claims, signed by the file `key`; in one of 8 buffers in turn. */
static const char *sign_as(unsigned kind, const char *header, const char *claims)
{
    static char tokens[8][12288];
    static unsigned turn;
    char *t = tokens[turn++ % 8], sig[1024];
    size_t n = base64url_write(t, span_of(header));
    t[n++] = '.';
    n += base64url_write(t + n, span_of(claims));
    t[n] = '\0';
    FILE *f = fopen(in_dir("text"), "we");
    ck_assert_ptr_nonnull(f);
    bool written = fputs(t, f) >= 0;
    written = fclose(f) == 0 && written;
    ck_assert(written);
    sh(kind == 2 ? "openssl pkeyutl -sign -inkey key -rawin -in text -out sig"
                 : "openssl dgst -sha256 -sign key -out sig text");
    f = fopen(in_dir("sig"), "re");
    ck_assert_ptr_nonnull(f);
    size_t m = fread(sig, 1, sizeof sig, f);
    fclose(f);
    if (kind == 1)
        ecdsa_plain(sig, m), m = 64;
    t[n++] = '.';
    n += base64url_write(t + n, (struct span){sig, m});
    t[n] = '\0';
    return t;
}

static const char *sign(unsigned kind, const char *claims)
{
    char header[64];
    snprintf(header, sizeof header, "{\"alg\":\"%s\"}", kinds[kind].alg);
    return sign_as(kind, header, claims);
}

static int status_of(const char *method, const char *token)
{
    e2e_ask(&s, &r, "%s /a HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n%s", method, token,
            *method == 'P' ? "Content-Length: 1\r\n\r\nx" : "\r\n");
    return r.status;
}

static void start(const char *keys, const char *flag, const char *value)
{
    char path[512];
    snprintf(path, sizeof path, "%s", in_dir(keys));
    e2e_start(&s, "--key-file", path, "--admin", "127.0.0.1:0", "--max-failures", "0", flag, value,
              NULL);
}

/* Publishes and reads, at first and again; what is changed of it is refused. */
START_TEST(signed_by_openssl)
{
    program_make();
    sh(kinds[_i].make);
    sh("openssl pkey -in key -pubout -out pub 2>&1 && chmod 644 pub");
    start("pub", "--issuer", "https://i/");
    const char *good =
        sign((unsigned)_i, "{\"iss\":\"https://i/\",\"scope\":\"publish:a subscribe:a\"}");
    for (int i = 0; i < 3; i++) {
        ck_assert_msg(status_of("POST", good) == 201, "%s%s", r.head, r.body);
        ck_assert_int_eq(status_of("GET", good), 200);
    }
    e2e_ask(&s, &r, "GET /a?access_token=%s HTTP/1.1\r\nHost: t\r\n\r\n", good);
    ck_assert_int_eq(r.status, 200);
    char changed[4096];
    snprintf(changed, sizeof changed, "%s", good);
    char *at = strrchr(changed, '.') + 5;
    *at = *at == 'A' ? 'B' : 'A';
    ck_assert_int_eq(status_of("GET", changed), 401);
    ck_assert_ptr_nonnull(strstr(r.body, "the signature of the token is not of a key"));
    ck_assert_int_eq(status_of("GET", sign((unsigned)_i, "{\"scope\":\"subscribe:a\"}")), 401);
    ck_assert_ptr_nonnull(strstr(r.body, "names no issuer (iss)"));
    ck_assert_int_eq(status_of("GET", token_good(NULL, "[\"a\"]", 0)), 401);
    ck_assert_ptr_nonnull(strstr(r.body, "algorithm HS256, and no key of this server is for that"));
    e2e_stop(&s);
    program_remove();
}
END_TEST

/* ---- refusals -------------------------------------------------------------------------------- */

#define CLAIMS "{\"publish\":[\"a\"],\"subscribe\":[\"a\"]}"

/* The P-256 key of the file `key` as a JWK. */
static const char *jwk_of_key(const char *kid)
{
    static char jwk[512];
    const char *point =
        sh("openssl pkey -in key -pubout -outform DER | tail -c 64 | openssl base64 "
           "-A");
    char raw[128];
    ptrdiff_t n = base64_read(raw, span_of(point));
    ck_assert_int_eq(n, 64);
    char x[64], y[64];
    x[base64url_write(x, (struct span){raw, 32})] = '\0';
    y[base64url_write(y, (struct span){raw + 32, 32})] = '\0';
    snprintf(jwk, sizeof jwk,
             "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}", kid, x,
             y);
    return jwk;
}

/* Attacks on tokens, each with its words. The server has a set: a P-256 key named e1, whose private
 * part is the file `key`, and an Ed25519 key named d1. What is signed is signed by the first. */
static const struct {
    const char *header, *claims, *why; /* claims NULL: no signature */
} attacks[] = {
    {"{\"alg\":\"none\"}", NULL, "the algorithm 'none': only HS256, RS256, ES256 and EdDSA"},
    {"{\"alg\":\"nOnE\"}", NULL, "the algorithm 'nOnE': only"},
    {"{\"alg\":\"\"}", NULL, "the algorithm '': only"},
    {"{\"alg\":null}", NULL, "the algorithm of the token is no string"},
    {"{\"typ\":\"JWT\"}", NULL, "the token names no algorithm"},
    {"{\"alg\":\"ES256\"}", NULL, "the signature of the token is not of a key"},
    {"{\"alg\":\"ES384\"}", CLAIMS, "the algorithm 'ES384': only"},
    {"{\"alg\":\"PS256\"}", CLAIMS, "the algorithm 'PS256': only"},
    {"{\"alg\":\"RS256\"}", CLAIMS, "algorithm RS256, and no key of this server is for that"},
    {"{\"alg\":\"HS256\"}", CLAIMS, "algorithm HS256, and no key of this server is for that"},
    {"{\"alg\":\"HS256\",\"kid\":\"e1\"}", CLAIMS, "HS256, and the key of its name is for another"},
    {"{\"alg\":\"EdDSA\",\"kid\":\"e1\"}", CLAIMS, "EdDSA, and the key of its name is for another"},
    {"{\"alg\":\"ES256\",\"kid\":\"d1\"}", CLAIMS, "ES256, and the key of its name is for another"},
    {"{\"alg\":\"EdDSA\",\"kid\":\"d1\"}", CLAIMS, "the signature of the token is not of a key"},
    {"{\"alg\":\"ES256\",\"kid\":\"../../../dev/null\"}", CLAIMS,
     "names the key '../../../dev/null', which this server does not have"},
    {"{\"alg\":\"ES256\",\"kid\":\"e1\\u0000\"}", CLAIMS, "names the key 'e1?', which"},
    {"{\"alg\":\"ES256\",\"kid\":\"x' OR '1'='1\\n\\u001b[2J\"}", CLAIMS,
     "names the key 'x' OR '1'='1??[2J', which"},
    {"{\"alg\":\"ES256\",\"kid\":[\"e1\"]}", CLAIMS, "(kid) in the token is no string"},
    {"{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}", CLAIMS, "asks for what is not known here"},
    {"{\"alg\":\"ES256\",\"b64\":false,\"crit\":[\"b64\"]}", CLAIMS, "not known here (crit)"},
    {"{\"alg\":\"none\",\"alg\":\"ES256\"}", CLAIMS, "header of the token: an object that has a"},
    {"{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}", CLAIMS, "that has a member twice"},
    {"[\"ES256\"]", CLAIMS, "header of the token: not a JSON object"},
    {"{\"alg\":\"ES256\"}x", CLAIMS, "header of the token: not JSON"},
    {"{\"alg\":\"ES256\"}", "{\"publish\":[],\"publish\":[\"**\"]}",
     "claims of the token: an object"},
    {"{\"alg\":\"ES256\",\"cty\":\"JWT\"}", "eyJhbGciOiJub25lIn0.e30.",
     "claims of the token: not JSON"},
    {"{\"alg\":\"ES256\"}", "{\"aud\":\"other\"}", "the token is for somebody else (aud)"},
    {"{\"alg\":\"ES256\"}", "{\"exp\":1}", "the token has expired"},
};

START_TEST(attacks_fail)
{
    program_make();
    sh(kinds[1].make);
    char set[1024], t[12288], good[2048];
    snprintf(set, sizeof set,
             "{\"keys\":[%s,{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"d1\",\"x\":"
             "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
             jwk_of_key("e1"));
    e2e_start(&s, "--key-file", keys_write(set, 0644), "--max-failures", "0", NULL);
    snprintf(good, sizeof good, "%s", sign_as(1, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", CLAIMS));
    ck_assert_msg(status_of("GET", good) == 204, "%s", r.body);
    for (size_t i = 0; i < COUNT(attacks); i++) {
        const char *claims = attacks[i].claims;
        snprintf(t, sizeof t, "%s", sign_as(1, attacks[i].header, claims ? claims : CLAIMS));
        if (claims == NULL)
            strrchr(t, '.')[1] = '\0';
        ck_assert_msg(status_of("GET", t) == 401, "row %zu", i);
        ck_assert_msg(strstr(r.body, attacks[i].why) != NULL, "row %zu: %s", i, r.body);
    }
    /* the public key as a secret, in each form that it is written in */
    static const char *const forms[] = {"cat", "openssl pkey -pubin -outform DER",
                                        "openssl base64 -A"};
    for (size_t i = 0; i < COUNT(forms); i++) {
        char command[256], key[1024];
        snprintf(command, sizeof command, "openssl pkey -in key -pubout | %s >secret", forms[i]);
        sh(command);
        FILE *f = fopen(in_dir("secret"), "re");
        size_t n = fread(key, 1, sizeof key - 1, f);
        fclose(f);
        key[n] = '\0';
        ck_assert_int_eq(status_of("GET", token_of(HS256, CLAIMS, key)), 401);
        ck_assert_ptr_nonnull(strstr(r.body, "no key of this server is for that"));
    }
    /* somebody else's key, which the token brings along */
    sh("mv key mine");
    sh(kinds[1].make);
    char header[1024];
    snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"e1\",\"jwk\":%s}",
             jwk_of_key("e1"));
    ck_assert_int_eq(status_of("GET", sign_as(1, header, CLAIMS)), 401);
    ck_assert_ptr_nonnull(strstr(r.body, "is not of a key that this server has"));
    /* forms of a good token that are none */
    size_t n = strlen(good), cut = (size_t)(strrchr(good, '.') - good);
    snprintf(t, sizeof t, "%s=", good);
    ck_assert_int_eq(status_of("GET", t), 401);
    snprintf(t, sizeof t, "%.*s", (int)n - 1, good);
    ck_assert_int_eq(status_of("GET", t), 401);
    snprintf(t, sizeof t, "%.*s..AAAA.BBBB", (int)cut, good);
    ck_assert_int_eq(status_of("GET", t), 401);
    ck_assert_ptr_nonnull(strstr(r.body, "three parts with a dot between, and this one 5"));
    snprintf(t, sizeof t, "%s", good);
    memset(t + n, 'A', 8193 - n);
    t[8193] = '\0';
    ck_assert_int_eq(status_of("GET", t), 401);
    ck_assert_ptr_nonnull(strstr(r.body, "the token has more than 8192 bytes"));
    ck_assert_int_eq(status_of("GET", good), 204);
    e2e_stop(&s);
    program_remove();
}
END_TEST

/* Keys that are too small, too large, or secret where others may read them. */
START_TEST(keys_refused)
{
    static const struct {
        const char *make, *why;
    } row[] = {
        {"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 2>/dev/null |"
         "openssl pkey -pubout -out pub",
         "the RSA key has fewer than 2048 bits"},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 2>/dev/null |"
         "openssl pkey -pubout -out pub",
         "the key is not of RSA, P-256 or Ed25519"},
        {"openssl genpkey -algorithm ED25519 -out pub", "neither PUBLIC KEY nor RSA PUBLIC KEY"},
        {"printf '%064d' 1 >pub && chmod 644 pub", "mode 0644 lets others read it"},
        {"printf '{\"keys\":[{\"kty\":\"oct\",\"k\":\"%064d\"}]}' 1 >pub && chmod 644 pub",
         "it holds a secret; run chmod o="},
    };
    static char out[E2E_OUTPUT], err[E2E_OUTPUT];
    program_make();
    for (size_t i = 0; i < COUNT(row); i++) {
        sh("rm -f pub");
        sh(row[i].make);
        const char *const flags[] = {"--port", "0", "--key-file", in_dir("pub"), NULL};
        ck_assert_int_ne(e2e_run(flags, out, err), 0);
        ck_assert_msg(strstr(err, row[i].why) != NULL, "row %zu: %s", i, err);
    }
    program_remove();
}
END_TEST

/* Several files are one set of keys; one that changes has all read again. */
START_TEST(several_files)
{
    program_make();
    char secret[512], pub[512];
    snprintf(secret, sizeof secret, "%s", keys_write(TOKENS_KEYS, 0600));
    sh(kinds[2].make);
    sh("openssl pkey -in key -pubout -out pub && chmod 644 pub");
    snprintf(pub, sizeof pub, "%s", in_dir("pub"));
    e2e_start(&s, "--key-file", secret, "--key-file", pub, "--admin", "127.0.0.1:0",
              "--key-refresh", "1s", "--max-failures", "0", NULL);
    const char *token = sign(2, CLAIMS);
    ck_assert_int_eq(status_of("GET", token), 204);
    ck_assert_int_eq(status_of("GET", token_good(NULL, "[\"a\"]", 0)), 204);
    sh("mv key old");
    sh(kinds[2].make);
    sh("openssl pkey -in key -pubout -out pub.new && chmod 644 pub.new && mv pub.new pub");
    metric_becomes(&s, "key_loads_total", 2);
    ck_assert_int_eq(status_of("GET", token), 401);
    ck_assert_int_eq(status_of("GET", sign(2, CLAIMS)), 204);
    ck_assert_int_eq(status_of("GET", token_good(NULL, "[\"a\"]", 0)), 204);
    kill(s.pid, SIGHUP);
    metric_becomes(&s, "key_loads_total", 3);
    ck_assert_int_eq(status_of("GET", token_good(NULL, "[\"a\"]", 0)), 204);
    e2e_stop(&s);
    program_remove();
}
END_TEST

/* A remembered token is refused once its key is gone; a set's other keys are logged. */
START_TEST(keys_change)
{
    static const char set[] =
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
        "\"x\":\"%s\"}]}";
    char text[512];
    program_make();
    sh(kinds[2].make);
    const char *x =
        sh("openssl pkey -in key -pubout -outform DER | tail -c 32 | openssl base64 -A | "
           "tr '+/' '-_' | tr -d =");
    snprintf(text, sizeof text, set, x);
    const char *path = keys_write(text, 0644);
    e2e_start(&s, "--key-file", path, "--admin", "127.0.0.1:0", "--key-refresh", "1s", NULL);
    const char *token = sign(2, "{\"subscribe\":[\"a\"]}");
    ck_assert_int_eq(status_of("GET", token), 204);
    ck_assert_int_eq(status_of("GET", token), 204);
    ck_assert_ptr_nonnull(strstr(e2e_stderr(&s), "its kind (kty, crv) is not known here"));
    keys_write("{\"keys\":[", 0644); /* is not taken: those there are stay */
    metric_becomes(&s, "key_errors_total", 1);
    ck_assert_int_eq(status_of("GET", token), 204);
    keys_write("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
               "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
               0644);
    metric_becomes(&s, "key_loads_total", 2);
    ck_assert_int_eq(status_of("GET", token), 401);
    /* what it has logged is no fault */
    struct e2e_conn *c = e2e_open(&s);
    kill(s.pid, SIGTERM);
    e2e_until_end(c);
    program_remove();
}
END_TEST

/* Many clients at once, whose tokens are verified in turns of their own: each gets its answers, at
 * first and from memory. */
START_TEST(many_at_once)
{
    enum { TOKENS = 6, CLIENTS = 30 };
    static char tokens[TOKENS][2048];
    program_make();
    sh(kinds[0].make);
    sh("openssl pkey -in key -pubout -out pub 2>&1");
    start("pub", "--log", "error");
    for (unsigned i = 0; i < TOKENS; i++) {
        char claims[64];
        snprintf(claims, sizeof claims, "{\"jti\":\"%u\",\"publish\":[\"a\"]}", i);
        snprintf(tokens[i], sizeof tokens[i], "%s", sign(0, claims));
    }
    for (unsigned round = 0; round < 2; round++) {
        struct e2e_conn *c[CLIENTS];
        for (unsigned i = 0; i < CLIENTS; i++)
            c[i] = e2e_open(&s);
        for (unsigned i = 0; i < CLIENTS; i++)
            e2e_printf(c[i],
                       "POST /a HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
                       "Content-Length: 1\r\n\r\nxPOST /a HTTP/1.1\r\nHost: t\r\nAuthorization: "
                       "Bearer %s\r\nContent-Length: 1\r\n\r\nx",
                       tokens[i % TOKENS], tokens[(i + 1) % TOKENS]);
        for (unsigned i = 0; i < CLIENTS; i++) {
            for (int j = 0; j < 2; j++) {
                e2e_response(c[i], &r);
                ck_assert_int_eq(r.status, 201);
            }
            e2e_close(c[i]);
        }
    }
    e2e_stop(&s);
    program_remove();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("provider");
    TCase *c = tcase_create("provider");
    /* openssl 1.1.1 signs no text with Ed25519 */
    bool all = can("openssl pkeyutl -help 2>&1 | grep rawin",
                   "what openssl signs with Ed25519: this one does not");
    tcase_add_loop_test(c, signed_by_openssl, 0, (int)COUNT(kinds) - !all);
    tcase_add_test(c, attacks_fail);
    tcase_add_test(c, keys_refused);
    if (all) {
        tcase_add_test(c, several_files);
        tcase_add_test(c, keys_change);
    }
    tcase_add_test(c, many_at_once);
    suite_add_tcase(suite, c);
    return run(suite);
}
