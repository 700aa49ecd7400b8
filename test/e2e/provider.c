/*
 * provider.c - tokens of an identity provider, end to end: keys that openssl made as PEM and as a
 * JWK Set, tokens that it signed, in every place where a token may be; keys that change.
 */
#include "test/kit/ecdsa.h"
#include "test/kit/socket.h"
#include "test/kit/tokens.h"

static struct e2e_server s;
static struct e2e_response r;

/* Runs a command in the test's directory; gives what it prints, in one of 8 buffers in turn. */
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
static const char *sign(unsigned kind, const char *claims)
{
    static char tokens[8][2048];
    static unsigned turn;
    char *t = tokens[turn++ % 8], header[64], sig[1024];
    snprintf(header, sizeof header, "{\"alg\":\"%s\"}", kinds[kind].alg);
    size_t n = base64url_write(t, span_of(header));
    t[n++] = '.';
    n += base64url_write(t + n, span_of(claims));
    t[n] = '\0';
    FILE *f = fopen(in_dir("text"), "we");
    ck_assert(f != NULL && fputs(t, f) >= 0 && fclose(f) == 0);
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
    tcase_add_loop_test(c, signed_by_openssl, 0, COUNT(kinds));
    tcase_add_test(c, keys_change);
    tcase_add_test(c, many_at_once);
    suite_add_tcase(suite, c);
    return run(suite);
}
