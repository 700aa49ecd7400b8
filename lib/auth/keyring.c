/*
 * keyring.c - the keys of key files.
 */
#include "lib/auth/auth.h"

#include "lib/auth/der.h"
#include "lib/auth/jwk.h"
#include "lib/auth/object.h"
#include "lib/auth/pem.h"
#include "lib/hash.h"

/* Room for one more key, or NULL. */
static struct auth_key *next_key(struct auth_keys *k)
{
    if (k->n == AUTH_KEYS_MAX)
        return NULL;
    k->key[k->n] = (struct auth_key){.n = 0};
    return &k->key[k->n];
}

static const char too_many[] = "there are more than 32 keys";

/* ---- lines ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts what is in front of the first blank off the front of the line, and the blanks. */
static struct span cut_word(struct span *line)
{
    struct span word = {line->p, 0};
    while (word.n < line->n && !is_blank(line->p[word.n]))
        word.n++;
    *line = span_trim(span_from(*line, word.n));
    return word;
}

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7F)
            return true;
    return false;
}

/* Makes a line a key. Returns what is wrong with it. */
static const char *add_key(struct auth_keys *k, struct span line)
{
    struct span kid = {NULL, 0}, secret = cut_word(&line);
    if (line.n > 0) {
        kid = secret;
        secret = cut_word(&line);
    }
    if (line.n > 0)
        return "there are more than two words: it is to be a key, or a name and a key";
    struct auth_key *key = next_key(k), spare;
    const char *wrong = key_set_secret(key != NULL ? key : &spare, secret);
    if (key == NULL) {
        hash_wipe(&spare, sizeof(spare));
        return wrong != NULL ? wrong : too_many;
    }
    if (wrong == NULL)
        wrong = key_kid_wrong(kid);
    if (wrong != NULL)
        return wrong;
    key->kid_n = (uint8_t)kid.n;
    if (kid.n > 0)
        memcpy(key->kid, kid.p, kid.n);
    k->n++;
    return NULL;
}

/* The same of any line. */
static const char *add_line(struct auth_keys *k, struct span line)
{
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (has_control(line))
        return "there is a control byte";
    if (span_begins(line, SPAN("\xEF\xBB\xBF")))
        return "there is a byte order mark";
    line = span_trim(line);
    if (line.n == 0 || line.p[0] == '#')
        return NULL;
    /* What a script has fetched, such as a page with an error, is to become no secret. */
    if (line.p[0] == '<' || line.p[0] == '[' || line.p[0] == '{')
        return "it begins as a page or as JSON, and no key does";
    return add_key(k, line);
}

static const char *add_lines(struct auth_keys *k, struct span file, uint64_t *line)
{
    const char *wrong = NULL;
    for (*line = 0; file.n > 0 && wrong == NULL; ++*line)
        wrong = add_line(k, span_cut(&file, '\n'));
    return wrong;
}

/* ---- JWK Sets ---- */

/* Adds the key json[0..n). Skips one that is wrong, so that it does not stop the others (RFC 7517
 * section 5). */
static const char *add_jwk(struct auth_keys *k, char *json, size_t n)
{
    struct auth_key *key = next_key(k), spare;
    const char *why;
    enum jwk_result r = jwk_read(json, n, key != NULL ? key : &spare, &why);
    if (r == JWK_PRIVATE || (r == JWK_KEY && key == NULL))
        return r == JWK_KEY ? too_many : why;
    if (r == JWK_KEY) {
        k->n++;
    } else {
        k->skipped++;
        k->skip = why;
    }
    return NULL;
}

/* The keys of a set, or the one that the object is; `room` is a copy of the file. */
static const char *add_jwks(struct auth_keys *k, char *room, struct span file)
{
    struct object set;
    struct json_value v;
    struct span none;
    size_t pos = 0;
    unsigned before = k->n;
    memcpy(room, file.p, file.n);
    const char *wrong = object_read(&set, room, file.n);
    const struct json_value *keys = object_get(&set, SPAN("keys"));
    if (wrong != NULL)
        return wrong;
    if (keys == NULL) {
        memcpy(room, file.p, file.n); /* as it was before it was decoded */
        wrong = add_jwk(k, room, file.n);
    } else if (keys->kind != JSON_ARRAY) {
        return "the member keys is no list";
    }
    while (keys != NULL && wrong == NULL && json_next(keys, &pos, &none, &v))
        wrong = add_jwk(k, room + (v.raw.p - room), v.raw.n);
    return wrong != NULL || k->n > before ? wrong : k->skipped > 0 ? k->skip : "there is no key";
}

/* ---- PEM ---- */

static const char *add_pem(struct auth_keys *k, struct span file)
{
    char room[PEM_MAX];
    struct span label, der;
    const char *wrong = pem_next(&file, &label, room, &der);
    while (wrong == NULL && label.n > 0) {
        struct auth_key *key = next_key(k);
        if (key == NULL)
            wrong = too_many;
        else if (span_eq(label, SPAN("PUBLIC KEY")))
            wrong = der_public(key, der);
        else if (span_eq(label, SPAN("RSA PUBLIC KEY")))
            wrong = der_rsa(key, der);
        else
            wrong = "a PEM block is neither PUBLIC KEY nor RSA PUBLIC KEY";
        k->n += wrong == NULL;
        if (wrong == NULL)
            wrong = pem_next(&file, &label, room, &der);
    }
    hash_wipe(room, sizeof(room)); /* somebody may have put a private key there */
    return wrong;
}

const char *auth_private_read(struct auth_key *key, struct span file)
{
    char room[PEM_MAX];
    struct span label, der, secret;
    const char *wrong = pem_next(&file, &label, room, &der);
    if (wrong == NULL && !span_eq(label, SPAN("PRIVATE KEY")))
        wrong = "it has no PEM block PRIVATE KEY";
    if (wrong == NULL)
        wrong = der_secret(der, &secret);
    if (wrong == NULL) {
        *key = (struct auth_key){.n = (uint16_t)secret.n, .algorithm = KEY_EDDSA};
        memcpy(key->bytes, secret.p, secret.n);
    }
    hash_wipe(room, sizeof(room));
    return wrong;
}

/* ---- files ---- */

static bool is_json(struct span file)
{
    size_t i = 0;
    while (i < file.n && (is_blank(file.p[i]) || file.p[i] == '\n' || file.p[i] == '\r'))
        i++;
    return i < file.n && file.p[i] == '{';
}

bool auth_keys_add(struct auth_keys *k, struct span file, struct text *why)
{
    uint64_t line = 0;
    unsigned before = k->n;
    char room[AUTH_FILE_MAX];
    const char *wrong = is_json(file)  ? add_jwks(k, room, file)
                        : pem_is(file) ? add_pem(k, file)
                                       : add_lines(k, file, &line);
    if (wrong == NULL && k->n > before)
        return true;
    if (wrong != NULL && line > 0) {
        text_str(why, "line ");
        text_u64(why, line);
        text_str(why, ": ");
    }
    text_str(why, wrong != NULL ? wrong : "there is no key");
    auth_keys_wipe(k);
    return false;
}

bool auth_keys_read(struct auth_keys *k, struct span file, struct text *why)
{
    auth_keys_wipe(k);
    return auth_keys_add(k, file, why);
}

void auth_keys_wipe(struct auth_keys *k)
{
    hash_wipe(k, sizeof(*k));
}

bool auth_keys_secret(const struct auth_keys *k, unsigned from)
{
    for (unsigned i = from; i < k->n; i++)
        if (k->key[i].algorithm == KEY_HS256)
            return true;
    return false;
}

bool auth_keys_public(const struct auth_keys *k)
{
    for (unsigned i = 0; i < k->n; i++)
        if (k->key[i].algorithm != KEY_HS256)
            return true;
    return false;
}
