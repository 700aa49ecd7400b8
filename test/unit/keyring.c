/*
 * keyring.c - keys as files have them: Wycheproof's tokens and sets, RFC 7515's and RFC 8037's
 * examples, keys and signatures of the openssl command, and what is refused.
 */
#include "lib/auth/auth.h"

#include "lib/auth/der.h"
#include "lib/auth/pem.h"
#include "test/kit/ecdsa.h"
#include "test/kit/spare.h"
#include "test/kit/vectors.h"

static struct auth_keys keys;
static char line[256];

static bool load(const char *file, size_t n)
{
    struct text why = text_in(line, sizeof(line) - 1);
    char *p = on_heap((struct span){file, n});
    bool good = auth_keys_read(&keys, (struct span){p, n}, &why);
    line[why.n] = '\0';
    free(p);
    return good;
}

/* Returns true if a key has signed it and its payload is base64url, as auth_check() wants next. */
static bool is_signed(struct span token)
{
    char room[AUTH_TOKEN_MAX];
    struct span rest = token;
    span_cut(&rest, '.');
    return auth_signer(&keys, token, room) != NULL &&
           base64url_read(room, span_cut(&rest, '.')) >= 0;
}

/* ---- Wycheproof ---- */

/* Where the verdict is another one here, and why. */
static const struct {
    const char *table;
    uint64_t first, last;
    const char *why;
} differs[] = {
    {"jwk", 1, 1, "secrets and public keys may be in one set: the key has its algorithm"},
    {"jwk", 4, 4, "keys of one name are tried in turn, so that one can be changed for the next"},
    {"jwk", 14, 15, "HS384 and HS512 are not taken"},
    {"jws", 264, 271, "RS384 and RS512 are not taken"},
    {"jws", 272, 346, "PS256, PS384 and PS512 are not taken"},
    {"jws", 347, 347, "ES512 is not taken"},
    {"jws", 350, 351, "PS384 and ES512 are not taken"},
    {"jws", 367, 367, "the file has lost the padding that it is about: it is test 357"},
    {"jws", 370, 370, "likewise"},
    {"jws", 372, 373, "base64url has no other characters in it"},
};

static bool is_other(const char *table, uint64_t id)
{
    for (size_t i = 0; i < COUNT(differs); i++)
        if (strcmp(differs[i].table, table) == 0 && id >= differs[i].first && id <= differs[i].last)
            return true;
    return false;
}

static const char *const tables[] = {"jws", "jwk"};

START_TEST(wycheproof)
{
    struct vectors v;
    unsigned good = 0;
    vectors_open(&v, tables[_i]);
    while (vectors_next(&v)) {
        const struct vector *t = &v.now;
        bool got = load(t->key.p, t->key.n) && is_signed(t->message);
        good += got;
        if (!is_other(tables[_i], t->id))
            ck_assert_msg(got == t->good, "%s %" PRIu64 ": %s", tables[_i], t->id, line);
    }
    ck_assert_uint_gt(good, 0);
}
END_TEST

/* ---- examples ---- */

/* RFC 7515 appendix A.2 and A.3, RFC 8037 appendix A.4: the key, the token. */
static const char *const examples[][2] = {
    {"{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-"
     "Vaw-"
     "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LO"
     "L-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9"
     "kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\","
     "\"e\":\"AQAB\"}",
     "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
     "bS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm"
     "4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6"
     "xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
     "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":"
     "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
     "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
     "bS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxf"
     "KTUJqPP3-Kg6NU1Q"},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg"
     "3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

START_TEST(example)
{
    for (unsigned i = 0; i < COUNT(examples); i++) {
        ck_assert_msg(load(examples[i][0], strlen(examples[i][0])), "%s", line);
        ck_assert_uint_eq(keys.n, 1);
        for (unsigned j = 0; j < COUNT(examples); j++)
            ck_assert_msg(is_signed(span_of(examples[j][1])) == (i == j), "%u %u", i, j);
    }
}
END_TEST

/* ---- the openssl command ---- */

static char dir[] = "/tmp/sse-keyring.XXXXXX";

/* Runs a command in the directory. */
static void sh(const char *command)
{
    char whole[1024];
    snprintf(whole, sizeof(whole), "cd %s && { %s; } >/dev/null 2>&1", dir, command);
    ck_assert_msg(system(whole) == 0, "%s", whole);
}

static size_t slurp(const char *name, char *out, size_t cap)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(out, 1, cap, f);
    fclose(f);
    return n;
}

static const struct {
    const char *make, *sign;
    enum key_algorithm algorithm;
} kinds[] = {
    {"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key",
     "openssl dgst -sha256 -sign key -out sig text", KEY_RS256},
    {"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3000 -out key",
     "openssl dgst -sha256 -sign key -out sig text", KEY_RS256},
    {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key",
     "openssl dgst -sha256 -sign key -out sig text", KEY_ES256},
    {"openssl genpkey -algorithm ED25519 -out key",
     "openssl pkeyutl -sign -inkey key -rawin -in text -out sig", KEY_EDDSA},
};

START_TEST(openssl)
{
    char text[300], sig[1024], pem[4096];
    uint64_t state = seed();
    ck_assert_ptr_nonnull(mkdtemp(dir));
    sh(kinds[_i].make);
    sh("openssl pkey -in key -pubout -out pub");
    ck_assert_msg(load(pem, slurp("pub", pem, sizeof(pem))), "%s", line);
    ck_assert(keys.n == 1 && keys.key[0].algorithm == kinds[_i].algorithm);
    if (kinds[_i].algorithm == KEY_RS256) {
        sh("openssl rsa -pubin -in pub -RSAPublicKey_out -out pub1");
        ck_assert_msg(load(pem, slurp("pub1", pem, sizeof(pem))), "%s", line);
    }
    for (unsigned i = 0; i < 8; i++) {
        char path[128];
        size_t n = 1 + random_next(&state) % sizeof(text);
        for (size_t j = 0; j < n; j++)
            text[j] = (char)random_next(&state);
        snprintf(path, sizeof(path), "%s/text", dir);
        FILE *f = fopen(path, "we");
        ck_assert(f != NULL && fwrite(text, 1, n, f) == n && fclose(f) == 0);
        sh(kinds[_i].sign);
        size_t m = slurp("sig", sig, sizeof(sig));
        if (kinds[_i].algorithm == KEY_ES256)
            ecdsa_plain(sig, m), m = 64;
        ck_assert(key_verify(&keys.key[0], (struct span){text, n}, (struct span){sig, m}));
        text[random_next(&state) % n] ^= 1;
        ck_assert(!key_verify(&keys.key[0], (struct span){text, n}, (struct span){sig, m}));
    }
    sh("rm key pub* text sig && rmdir ../${PWD##*/}");
}
END_TEST

/* ---- what is refused, what is skipped ---- */

#define EC_X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define EC_Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC   "\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "," EC_Y
#define ED \
    "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define OCT    "\"kty\":\"oct\",\"k\":\"YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU\""
#define ED_PEM "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define BEGIN  "-----BEGIN PUBLIC KEY-----\n"
#define END    "-----END PUBLIC KEY-----\n"

static const struct {
    int line;
    const char *file;
    const char *wrong; /* or NULL */
    unsigned n, skipped;
} files[] = {
    {__LINE__, "{" EC "}", NULL, 1, 0},
    {__LINE__, " \r\n\t{" EC "}\n", NULL, 1, 0},
    {__LINE__, "{\"keys\":[{" EC "},{" ED "},{" OCT "}]}", NULL, 3, 0},
    {__LINE__, "{\"other\":{\"keys\":1},\"\\u0078\":[],\"keys\":[{" EC ",\"x5c\":[\"MII\"]}]}",
     NULL, 1, 0},
    {__LINE__,
     "{\"keys\":[{" EC
     ",\"use\":\"sig\",\"alg\":\"ES256\",\"key_ops\":[\"verify\"],\"kid\":\"a\"}]}",
     NULL, 1, 0},
    {__LINE__, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\"},{" EC "}]}", NULL, 1, 1},
    {__LINE__,
     "{\"keys\":[{" EC ",\"use\":\"enc\"},{" EC ",\"key_ops\":[\"sign\"]},{" EC
     ",\"alg\":\"ES384\"},{" OCT ",\"alg\":\"HS512\"},{\"kty\":\"new\"},{},{" ED "}]}",
     NULL, 1, 6},
    /* a key that is wrong does not stop the others */
    {__LINE__, "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},7,{" ED "}]}", NULL, 1,
     2},
    {__LINE__,
     "{\"keys\":[{" EC ",\"kid\":\"a b\"},{" EC ",\"kid\":7},{" ED "," EC_Y "," EC_Y "},{" ED "}]}",
     NULL, 1, 3},
    {__LINE__, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X ",\"y\":\"AA\"}]}",
     "a coordinate of the P-256 key has not 32 bytes", 0, 0},
    {__LINE__,
     "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X
     ",\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}",
     "the P-256 key is no point of the curve", 0, 0},
    {__LINE__, "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "}", "a number of the key is missing", 0,
     0},
    {__LINE__, "{\"kty\":\"oct\",\"k\":\"YWJj\"}", "the key has fewer than 32 bytes", 0, 0},
    {__LINE__,
     "{\"keys\":[{" ED ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"},{" EC "}]}",
     "a key is private (d)", 0, 0},
    {__LINE__, "{\"keys\":[]}", "there is no key", 0, 0},
    {__LINE__, "{\"keys\":{}}", "the member keys is no list", 0, 0},
    {__LINE__, "{\"keys\":[{" EC "}],\"keys\":[{" ED "}]}", "an object that has a member twice", 0,
     0},
    {__LINE__, "{\"keys\":[{" EC "}]", "not JSON", 0, 0},
    {__LINE__, "{" EC "}{}", "not JSON", 0, 0},
    {__LINE__, "{}", "its kind (kty, crv) is not known here", 0, 0},
    {__LINE__, BEGIN ED_PEM "\n" END, NULL, 1, 0},
    {__LINE__,
     "text\r\n-----BEGIN PUBLIC KEY-----\r\nMCowBQYDK2VwAyEA\r\n11qYAYKxCrfVS/7TyWQHOg7hcvPap"
     "iMlrwIaaPcHURo=\r\n-----END PUBLIC KEY-----",
     NULL, 1, 0},
    {__LINE__, BEGIN ED_PEM "\n" END "\n# more\n" BEGIN ED_PEM "\n" END, NULL, 2, 0},
    {__LINE__, BEGIN ED_PEM "\n", "a PEM block has no end", 0, 0},
    {__LINE__, BEGIN ED_PEM "\n-----END KEY-----\n", "a PEM block is not base64 up to its own end",
     0, 0},
    {__LINE__, BEGIN "MCow*\n" END, "a PEM block is not base64 up to its own end", 0, 0},
    {__LINE__, BEGIN END, "a PEM block is not base64 up to its own end", 0, 0},
    {__LINE__, BEGIN "MCow\n" END, "it is not DER of a public key", 0, 0},
    {__LINE__, BEGIN "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURoA\n" END,
     "it is not DER of a public key", 0, 0},
    {__LINE__, BEGIN "MCowBQYDK2VuAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n" END,
     "the key is not of RSA, P-256 or Ed25519", 0, 0},
    {__LINE__, "-----BEGIN PRIVATE KEY-----\n" ED_PEM "\n-----END PRIVATE KEY-----\n",
     "a PEM block is neither PUBLIC KEY nor RSA PUBLIC KEY", 0, 0},
    {__LINE__, "-----BEGIN CERTIFICATE-----\n" ED_PEM "\n-----END CERTIFICATE-----\n",
     "a PEM block is neither PUBLIC KEY nor RSA PUBLIC KEY", 0, 0},
    /* what a script fetched instead of keys is no secret */
    {__LINE__, "<html><head><title>404</title></head></html>", "line 1: it begins as a page", 0, 0},
    {__LINE__, "[\"abcdefghijklmnopqrstuvwxyz0123456789\"]", "line 1: it begins as a page", 0, 0},
};

START_TEST(file)
{
    bool good = load(files[_i].file, strlen(files[_i].file));
    ck_assert_msg(good == (files[_i].wrong == NULL), "line %d: %s", files[_i].line, line);
    if (!good)
        ck_assert_msg(strstr(line, files[_i].wrong) != NULL, "line %d: %s", files[_i].line, line);
    ck_assert_msg(keys.n == files[_i].n, "line %d: %u keys", files[_i].line, keys.n);
    if (good)
        ck_assert_msg(keys.skipped == files[_i].skipped, "line %d: %u", files[_i].line,
                      keys.skipped);
}
END_TEST

/* No part of a key in DER is a key, nor is one whose structure has a bit changed. */
START_TEST(der_changed)
{
    static const char pem[] = ED_PEM;
    char der[64];
    struct auth_key key;
    ptrdiff_t n = base64_read(der, SPAN(ED_PEM));
    ck_assert(n == 44 && sizeof(pem) > 44 && der_public(&key, (struct span){der, 44}) == NULL);
    for (size_t i = 0; i < 44; i++) {
        char *part = on_heap((struct span){der, i});
        ck_assert_ptr_nonnull(der_public(&key, (struct span){part, i}));
        free(part);
        for (unsigned bit = 0; bit < 8 && i < 12; bit++) {
            der[i] ^= (char)(1 << bit);
            ck_assert_ptr_nonnull(der_public(&key, (struct span){der, 44}));
            der[i] ^= (char)(1 << bit);
        }
    }
}
END_TEST

/* The text of a public key is no secret: HS256 with it is not a signature (CVE-2015-9235). */
START_TEST(confusion)
{
    char token[512], room[AUTH_TOKEN_MAX];
    uint8_t mac[HASH_SHA256_SIZE];
    static const char *const texts[] = {BEGIN ED_PEM "\n" END, ED_PEM};
    for (unsigned i = 0; i < COUNT(texts); i++) {
        ck_assert(load(texts[0], strlen(texts[0])));
        struct text t = text_in(token, sizeof(token));
        t.n = base64url_write(token, SPAN("{\"alg\":\"HS256\"}"));
        text_str(&t, ".e30");
        struct span part = text_span(&t);
        hash_hmac(mac, span_of(texts[i]), &part, 1);
        text_str(&t, ".");
        t.n += base64url_write(token + t.n, (struct span){(const char *)mac, sizeof(mac)});
        ck_assert_ptr_null(auth_signer(&keys, text_span(&t), room));
        hash_hmac(mac, (struct span){keys.key[0].bytes, keys.key[0].n}, &part, 1);
        base64url_write(token + part.n + 1, (struct span){(const char *)mac, sizeof(mac)});
        ck_assert_ptr_null(auth_signer(&keys, text_span(&t), room));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("keyring");
    TCase *c = tcase_create("keyring");
    tcase_add_loop_test(c, wycheproof, 0, COUNT(tables));
    tcase_add_test(c, example);
    /* openssl 1.1.1 signs no text with Ed25519 */
    bool all = can("openssl pkeyutl -help 2>&1 | grep rawin",
                   "what openssl signs with Ed25519: this one does not");
    tcase_add_loop_test(c, openssl, 0, (int)COUNT(kinds) - !all);
    tcase_add_loop_test(c, file, 0, COUNT(files));
    tcase_add_test(c, der_changed);
    tcase_add_test(c, confusion);
    suite_add_tcase(s, c);
    return run(s);
}
