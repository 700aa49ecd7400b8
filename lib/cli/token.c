/*
 * token.c - the command `sse token`.
 *
 * Flags first, all of them; then one of the four things it does. The keys are in memory as long as
 * it takes to sign or to check.
 */
#include "lib/cli/token.h"

#include "http.h"
#include "lib/clean.h"
#include "lib/cli/client.h"
#include "lib/cli/help.h"
#include "lib/cli/pub.h"
#include "lib/host/keeper.h"
#include "lib/host/keys.h"
#include "lib/json.h"
#include "lib/name.h"
#include "lib/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define NOT_GOOD  1 /* the exit code of --check for a token that is not */
#define GIVEN_MAX 100u

/* ---- flags ---- */

enum flag {
    KEY_FILE = 0,
    KID = 1,
    PUBLISH = 2,
    SUBSCRIBE = 3,
    URL = 4,
    FOR = 5,
    EXPIRES = 6,
    CHECK = 7,
    PRIVATE = 8,
    SUB = 9,
    JTI = 10,
    ADMIN = 11,
    AUDIENCE = 12,
    ISSUER = 13,
    CLAIMS = 14,
    REVOKE = 15,
    PURGE = 16,
    FLAGS = 17,
};

static const char flag_names[FLAGS][12] = {
    "--key-file", "--kid",    "--publish", "--subscribe", "--url",   "--for",
    "--expires",  "--check",  "--private", "--sub",       "--jti",   "--admin",
    "--audience", "--issuer", "--claims",  "--revoke",    "--purge",
};

struct ask {
    const char *value[FLAGS]; /* NULL: not given */
    struct opt_list key_files;
    struct text scope[3]; /* of PUBLISH, SUBSCRIBE and PURGE */
    enum auth_class class;
    bool never;
    uint64_t now_s, expires_s;
    char scope_bytes[3][AUTH_TOKEN_MAX];
};

/* Ends the process with what is wrong, in two parts. */
_Noreturn static void fail(int code, const char *what, const char *why)
{
    client_say("token", what, why, NULL);
    exit(code);
}

/* Ends the process: what is wrong with a flag, and the value it was given (NULL: none). */
_Noreturn static void wrong(const char *flag, const char *given, const char *why)
{
    char line[512];
    struct text t = text_for_string(line, sizeof line);
    struct span value = span_of(given);
    text_str(&t, flag);
    text_str(&t, given != NULL ? " " : "");
    text_add(&t, (struct span){value.p, value.n < GIVEN_MAX ? value.n : GIVEN_MAX});
    text_str(&t, value.n > GIVEN_MAX ? "..." : "");
    text_str(&t, ": ");
    text_str(&t, why);
    fail(EX_USAGE, text_string(&t), " (sse token --help tells more)");
}

/* Adds topics to a scope. */
static void add_topics(struct ask *a, enum flag flag, const char *value)
{
    struct text *scope = &a->scope[flag - PUBLISH];
    struct span rest = span_of(value);
    do {
        struct span part = span_cut(&rest, ',');
        const char *why = topic_pattern_wrong(part);
        if (why != NULL)
            wrong(flag_names[flag], value, why);
        text_str(scope, scope->n > 0 ? "," : "");
        text_add(scope, part);
    } while (rest.p != NULL);
    if (scope->full)
        wrong(flag_names[flag], value, "there are more topics than a token of 8192 bytes can hold");
}

static void add_file(struct ask *a, struct span path)
{
    if (a->key_files.n == OPT_LIST_MAX || path.n >= OPT_PATH_MAX)
        wrong("--key-file", path.p, "there are too many, or it is longer than a path can be");
    a->key_files.item[a->key_files.n++] = path;
}

static void set_flag(struct ask *a, enum flag flag, const char *value)
{
    bool topics = flag == PUBLISH || flag == SUBSCRIBE || flag == PURGE;
    if (a->value[flag] != NULL && !topics && flag != KEY_FILE)
        wrong(flag_names[flag], value, "it is given twice");
    if (*value == '\0')
        wrong(flag_names[flag], NULL, "the value is empty");
    a->value[flag] = value;
    if (topics)
        add_topics(a, flag, value);
    if (flag == KEY_FILE && strcmp(value, "none") != 0)
        add_file(a, span_of(value));
}

/* Reads the flags; true if they ask for help. */
static bool read_flags(struct ask *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct span value = span_of(argv[i]), name = span_cut(&value, '=');
        unsigned flag = 0;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
        while (flag < FLAGS && !span_eq(name, span_of(flag_names[flag])))
            flag++;
        if (flag == FLAGS)
            wrong(argv[i], NULL, argv[i][0] == '-' ? "there is no such flag" : "it is no flag");
        if (flag == ADMIN && value.p != NULL)
            wrong(argv[i], NULL, "it has no value");
        if (flag == ADMIN)
            set_flag(a, ADMIN, "yes");
        else if (value.p != NULL)
            set_flag(a, (enum flag)flag, value.p);
        else if (i + 1 == argc)
            wrong(argv[i], NULL, "its value is missing");
        else
            set_flag(a, (enum flag)flag, argv[++i]);
    }
    return false;
}

#define BIT(flag) (1u << (flag))

/* What it can do, each with the flags that go with it; the first of these that is given says it. */
static const struct {
    enum flag flag;
    unsigned with;
} deeds[] = {
    {CHECK, BIT(CHECK) | BIT(KEY_FILE) | BIT(AUDIENCE) | BIT(ISSUER) | BIT(CLAIMS)},
    {REVOKE, BIT(REVOKE) | BIT(URL) | BIT(KEY_FILE) | BIT(KID) | BIT(PRIVATE) | BIT(EXPIRES)},
    {URL, BIT(URL) | BIT(FOR) | BIT(KEY_FILE) | BIT(KID) | BIT(EXPIRES)},
    {PUBLISH, BIT(PUBLISH) | BIT(SUBSCRIBE) | BIT(ADMIN) | BIT(KEY_FILE) | BIT(KID) | BIT(PRIVATE) |
                  BIT(EXPIRES) | BIT(SUB) | BIT(JTI)},
};

/* Which flags go with which. */
static void flags_agree(const struct ask *a)
{
    const char *const *v = a->value;
    char words[64];
    struct text why = text_for_string(words, sizeof words);
    bool mint = v[PUBLISH] != NULL || v[SUBSCRIBE] != NULL || v[PURGE] != NULL || v[ADMIN] != NULL;
    size_t deed = 0;
    while (deed < 3 && v[deeds[deed].flag] == NULL)
        deed++;
    if (deed == 3 && !mint)
        wrong("nothing to do", NULL,
              "--publish, --subscribe, --purge, --admin, --url, --check or --revoke is needed");
    text_str(&why, "it does not go with ");
    text_str(&why, flag_names[deeds[deed].flag]);
    for (unsigned i = 0; i < FLAGS; i++)
        if (v[i] != NULL && (deeds[deed].with & BIT(i)) == 0)
            wrong(flag_names[i], NULL, text_string(&why));
    if (v[REVOKE] != NULL && v[URL] == NULL)
        wrong("--revoke", NULL, "--url is needed, the server's");
    if (deed >= 2 && v[KEY_FILE] == NULL && v[PRIVATE] == NULL)
        wrong("--key-file", NULL, "it is needed to sign");
}

/* Reads the values that are words and times. */
static void read_values(struct ask *a)
{
    const char *what = a->value[FOR], *expires = a->value[EXPIRES];
    uint64_t ms = 3600000;
    if (what != NULL && strcmp(what, "publish") != 0 && strcmp(what, "subscribe") != 0)
        wrong("--for", what, "must be publish or subscribe");
    a->class = what != NULL && strcmp(what, "publish") == 0 ? AUTH_PUBLISH : AUTH_SUBSCRIBE;
    a->never = expires != NULL && strcmp(expires, "never") == 0;
    if (a->never && a->value[URL] != NULL && a->value[REVOKE] == NULL)
        wrong("--expires", expires, "a signed URL ends, so it must be a time");
    if (expires != NULL && !a->never &&
        (!unit_read(span_of(expires), UNIT_TIME, &ms) || ms < 1000 ||
         ms > 1000000ull * 3600 * 1000))
        wrong("--expires", expires,
              "must be a time from 1s to 1000000h, such as 12h, or, of a token, never");
    a->expires_s = a->never ? 0 : a->now_s + ms / 1000;
}

/* ---- keys, results ---- */

static void load(const struct ask *a, struct auth_keys *k)
{
    char line[1024];
    struct keys_seen seen[OPT_LIST_MAX];
    struct text why = text_for_string(line, sizeof line);
    int code = keys_read(&a->key_files, KEEPER_NONE, NULL, k, seen, &why);
    if (code != 0)
        fail(code, text_string(&why), "");
}

/* The key to sign with: the last secret of that name, or the last. */
static const struct auth_key *key_to_sign(const struct ask *a, const struct auth_keys *k)
{
    struct span kid = span_of(a->value[KID]);
    for (unsigned i = k->n; i-- > 0;)
        if (k->key[i].algorithm != KEY_HS256)
            continue;
        else if (kid.p == NULL || span_eq((struct span){k->key[i].kid, k->key[i].kid_n}, kid))
            return &k->key[i];
    if (kid.p == NULL)
        wrong("--key-file", a->value[KEY_FILE], "it holds public keys alone, which sign nothing");
    wrong("--kid", kid.p, "there is no key of that name in the key file");
}

/* Reads the key of --private; --kid is its name. */
static void load_private(const struct ask *a, struct auth_key *key)
{
    char line[1024];
    struct text why = text_for_string(line, sizeof line);
    struct span kid = span_of(a->value[KID]);
    const char *kid_wrong = key_kid_wrong(kid);
    if (kid_wrong != NULL)
        wrong("--kid", kid.p, kid_wrong);
    int code = keys_private(a->value[PRIVATE], key, &why);
    if (code != 0)
        fail(code, text_string(&why), "");
    key->kid_n = (uint8_t)kid.n;
    if (kid.n > 0)
        memcpy(key->kid, kid.p, kid.n);
}

static int print(struct span s)
{
    while (s.n > 0) {
        ssize_t wrote = write(STDOUT_FILENO, s.p, s.n);
        if (wrote == -1 && errno != EINTR)
            fail(EX_IOERR, "stdout: ", strerror(errno));
        s = span_from(s, wrote > 0 ? (size_t)wrote : 0);
    }
    return EX_OK;
}

/* ---- making a token ---- */

/* Appends a token with these claims, made with the key that the flags name. */
static void add_token(const struct ask *a, const struct auth_claims *claims, struct text *out)
{
    struct auth_keys keys;
    if (a->value[PRIVATE] != NULL) {
        load_private(a, &keys.key[0]);
        auth_mint(out, &keys.key[0], claims);
    } else {
        load(a, &keys);
        auth_mint(out, key_to_sign(a, &keys), claims);
    }
    auth_keys_wipe(&keys);
    if (out->full)
        fail(EX_USAGE, "it would have more than 8192 bytes: name fewer topics", "");
}

static int mint(const struct ask *a)
{
    char bytes[AUTH_TOKEN_MAX + 1];
    struct text out = text_in(bytes, sizeof bytes);
    const struct auth_claims claims = {.publish = text_span(&a->scope[0]),
                                       .subscribe = text_span(&a->scope[1]),
                                       .purge = text_span(&a->scope[2]),
                                       .expires_s = a->expires_s,
                                       .jti = span_of(a->value[JTI]),
                                       .sub = span_of(a->value[SUB]),
                                       .iat_s = a->value[JTI] != NULL || a->value[SUB] != NULL
                                                    ? a->now_s
                                                    : 0,
                                       .admin = a->value[ADMIN] != NULL};
    add_token(a, &claims, &out);
    text_str(&out, "\n");
    return print(text_span(&out));
}

/* ---- revoking ---- */

/* Appends what is to be revoked, as the server takes it: of a token its `jti` and its `exp`. */
static void add_revocation(const struct ask *a, struct text *t)
{
    char room[AUTH_TOKEN_MAX], line[256];
    struct text why = text_for_string(line, sizeof line);
    struct auth_said said;
    const struct auth_rules rules = {.any_audience = true};
    struct span what = span_of(a->value[REVOKE]), jti = {NULL, 0}, sub = {NULL, 0};
    uint64_t until = a->value[EXPIRES] != NULL ? a->expires_s : 0;
    if (span_begins(what, SPAN("sub:"))) {
        sub = span_from(what, 4);
    } else if (span_begins(what, SPAN("jti:"))) {
        jti = span_from(what, 4);
    } else {
        enum auth_result r = auth_read(&rules, what, room, &said, &why);
        if (r != AUTH_GOOD)
            fail(NOT_GOOD, text_string(&why), "");
        jti = said.jti;
        until = said.exp_s;
    }
    if (jti.n + sub.n == 0)
        fail(NOT_GOOD,
             "--revoke: ", "the token has no jti: all of its subject's are revoked with sub:NAME");
    text_str(t, jti.n > 0 ? "{\"jti\":" : "{\"sub\":");
    json_string(t, jti.n > 0 ? jti : sub);
    if (until > 0) {
        text_str(t, ",\"exp\":");
        text_u64(t, until);
    }
    text_str(t, "}");
}

/* Publishes that at /-/revoke, which is what `sse pub` does. */
static int ask_revoke(const struct ask *a)
{
    char json[AUTH_TOKEN_MAX + 64], url[4096], token[AUTH_TOKEN_MAX + 1];
    char name[] = "pub", flag[] = "--token";
    struct text j = text_for_string(json, sizeof json), u = text_for_string(url, sizeof url),
                t = text_for_string(token, sizeof token);
    struct span base = span_of(a->value[URL]);
    const struct auth_claims claims = {.expires_s = a->now_s + 60, .admin = true};
    add_revocation(a, &j);
    while (base.n > 0 && base.p[base.n - 1] == '/')
        base.n--;
    text_add(&u, base);
    text_str(&u, "/-/revoke");
    if (a->value[KEY_FILE] != NULL || a->value[PRIVATE] != NULL) {
        add_token(a, &claims, &t);
    }
    if (u.full || j.full)
        wrong("--url", a->value[URL], "is too long");
    char *argv[] = {name, text_string(&u), text_string(&j), flag, text_string(&t), NULL};
    return pub_run(t.n > 0 ? 5 : 3, argv);
}

/* ---- signing a URL ---- */

#define URL_MAX 8192u

/* Returns the part of a URL that a client sends: from its path on. */
static struct span target_of(struct span url)
{
    static const char schemes[][9] = {"http://", "https://", "ws://", "wss://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct span scheme = span_of(schemes[i]);
        if (url.n <= scheme.n || !span_same((struct span){url.p, scheme.n}, scheme))
            continue;
        url = span_from(url, scheme.n);
        while (url.n > 0 && url.p[0] != '/' && url.p[0] != '?')
            url = span_from(url, 1);
        return url;
    }
    return url;
}

/* Returns what is wrong with the topics for a URL of this class; NULL if nothing is. */
static const char *topics_wrong(struct span topics, enum auth_class class)
{
    const char *why = NULL;
    if (topics.n == 0)
        return "it names no topic: it must be such as http://localhost:8080/news";
    if (class == AUTH_PUBLISH)
        return topic_name_wrong(topics);
    do
        why = topic_pattern_wrong(span_cut(&topics, ','));
    while (why == NULL && topics.p != NULL);
    return why;
}

/* Reads the topics that a URL selects, as the server does, into out[0..URL_MAX). */
static struct span topics_of(struct span url, enum auth_class class, char *out)
{
    const struct http_limits limits = {URL_MAX + 64, URL_MAX + 128};
    struct http_request r;
    struct span target = target_of(url);
    char head[URL_MAX + 128];
    char value[URL_MAX];
    struct text t = text_in(head, sizeof head);
    text_str(&t, "GET ");
    text_add(&t, target);
    text_str(&t, " HTTP/1.1\r\nHost: sse\r\n\r\n");
    if (url.n > URL_MAX || target.n == 0 || target.p[0] != '/' ||
        http_parse(t.p, t.n, 0, &limits, &r) != (int)t.n ||
        r.path.n + (r.path.n < target.n ? 1 + r.query.n : 0) != target.n)
        wrong("--url", url.p, "must be a URL such as http://localhost:8080/news");
    if (http_query(r.query, SPAN("expires"), value, sizeof value) != -3 ||
        http_query(r.query, SPAN("signature"), value, sizeof value) != -3)
        wrong("--url", url.p, "has a parameter expires or signature already");
    ptrdiff_t n = http_decode(r.path, false, out, URL_MAX);
    struct span topics = {out + 1, n > 0 ? (size_t)n - 1 : 0};
    const char *why = topics_wrong(topics, class);
    if (why != NULL)
        wrong("--url", url.p, why);
    return topics;
}

static int sign_url(const struct ask *a)
{
    struct auth_keys keys;
    char bytes[URL_MAX + 256], path[URL_MAX];
    struct text out = text_in(bytes, sizeof bytes);
    struct span fragment = span_of(a->value[URL]), whole = fragment;
    struct span url = span_cut(&fragment, '#');
    struct span topics = topics_of(url, a->class, path);
    bool query = memchr(url.p, '?', url.n) != NULL;
    char last = url.p[url.n - 1];
    text_add(&out, url);
    text_str(&out, !query ? "?" : last == '?' || last == '&' ? "" : "&");
    text_str(&out, "expires=");
    text_u64(&out, a->expires_s);
    text_str(&out, "&signature=");
    load(a, &keys);
    auth_url_sign(&out, key_to_sign(a, &keys), a->class, topics, a->expires_s);
    auth_keys_wipe(&keys);
    if (fragment.p != NULL)
        text_add(&out, span_from(whole, url.n));
    text_str(&out, "\n");
    if (out.full)
        wrong("--url", url.p, "is too long");
    return print(text_span(&out));
}

/* ---- telling what a token says ---- */

/* Appends the distance of a time, in the largest unit of which there are at least two. */
static void add_distance(struct text *t, uint64_t at_s, uint64_t now_s)
{
    bool past = at_s <= now_s;
    uint64_t s = past ? now_s - at_s : at_s - now_s;
    size_t i = UNIT_TIMES - 1;
    while (i > 1 && s < 2 * (unit_times[i].size / 1000))
        i--;
    text_str(t, past ? " (" : " (in ");
    text_u64(t, s / (unit_times[i].size / 1000));
    text_str(t, unit_times[i].name);
    text_str(t, past ? " ago)\n" : ")\n");
}

static void add_time(struct text *t, const char *label, uint64_t at_s, uint64_t now_s)
{
    text_str(t, label);
    text_rfc3339(t, at_s * 1000);
    add_distance(t, at_s, now_s);
}

static void add_line(struct text *t, const char *label, struct span value, const char *none)
{
    text_str(t, label);
    clean_text(t, value.n > 0 ? value : span_of(none), false);
    text_str(t, "\n");
}

/* Appends the result of checking the signature. */
static void add_signature(struct text *t, const struct auth_keys *k, struct span token)
{
    char room[AUTH_TOKEN_MAX];
    const struct auth_key *key = k != NULL ? auth_signer(k, token, room) : NULL;
    text_str(t, "signature    ");
    if (key == NULL) {
        text_str(t, k == NULL ? "not checked, as there is no --key-file\n"
                              : "wrong: of no key in the key file\n");
        return;
    }
    text_str(t, "good: of key ");
    text_u64(t, (uint64_t)(key - k->key) + 1);
    text_str(t, " of the key file");
    if (key->kid_n > 0) {
        text_str(t, ", ");
        text_add(t, (struct span){key->kid, key->kid_n});
    }
    text_str(t, "\n");
}

/* The token, from stdin if it is "-"; what a line end is there goes. */
static struct span token_of(const char *value, char buf[AUTH_TOKEN_MAX + 2])
{
    size_t n = 0;
    if (strcmp(value, "-") != 0)
        return span_of(value);
    while (n < AUTH_TOKEN_MAX + 2) {
        ssize_t got = read(STDIN_FILENO, buf + n, AUTH_TOKEN_MAX + 2 - n);
        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1)
            fail(EX_IOERR, "stdin: ", strerror(errno));
        if (got == 0)
            break;
        n += (size_t)got;
    }
    while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
        n--;
    return (struct span){buf, n};
}

/* Prints what a token says; k NULL: there are no keys to check its signature. */
static void describe(const struct auth_said *said, const struct auth_keys *k, struct span token,
                     uint64_t now_s)
{
    char words[AUTH_TOKEN_MAX + 1024];
    struct text out = text_in(words, sizeof words);
    add_line(&out, "algorithm    ", span_of(key_algorithm_name(said->algorithm)), NULL);
    add_line(&out, "key          ", said->kid, "the token names none");
    add_line(&out, "publish      ", said->publish, "nothing");
    add_line(&out, "subscribe    ", said->subscribe, "nothing");
    if (said->purge.n > 0)
        add_line(&out, "purge        ", said->purge, NULL);
    if (said->rights != NULL)
        add_line(&out, "by its claim ", span_of(said->rights), NULL);
    if (said->admin)
        text_str(&out, "revoke       any token\n");
    if (said->sub.n > 0)
        add_line(&out, "subject      ", said->sub, NULL);
    if (said->jti.n > 0)
        add_line(&out, "id           ", said->jti, NULL);
    if (said->issued)
        add_time(&out, "issued       ", said->iat_s, now_s);
    if (said->begins)
        add_time(&out, "valid from   ", said->nbf_s, now_s);
    if (said->ends)
        add_time(&out, "valid until  ", said->exp_s, now_s);
    else
        text_str(&out, "valid until  for ever\n");
    add_signature(&out, k, token);
    print(text_span(&out));
}

static int check(const struct ask *a)
{
    struct auth_keys keys;
    struct auth_said said;
    struct auth_claims claims;
    char buf[AUTH_TOKEN_MAX + 2], room[AUTH_TOKEN_MAX], line[256];
    struct text why = text_for_string(line, sizeof line);
    struct span token = token_of(a->value[CHECK], buf);
    bool checked = a->value[KEY_FILE] != NULL;
    const struct span audience = span_of(a->value[AUDIENCE]), issuer = span_of(a->value[ISSUER]);
    const struct auth_rules rules = {.audience = &audience,
                                     .audiences = audience.p != NULL,
                                     .issuer = &issuer,
                                     .issuers = issuer.p != NULL,
                                     .claims = a->value[CLAIMS]};
    if (checked)
        load(a, &keys);
    enum auth_result r = auth_read(&rules, token, room, &said, &why);
    if (r == AUTH_GOOD) {
        describe(&said, checked ? &keys : NULL, token, a->now_s);
        r = checked ? auth_check(&keys, &rules, token, a->now_s, room, &claims, &why)
                    : auth_said_check_times(&said, a->now_s, &why);
    }
    if (checked)
        auth_keys_wipe(&keys);
    if (r != AUTH_GOOD)
        fail(NOT_GOOD, text_string(&why), "");
    return EX_OK;
}

/* ---- the command ---- */

/* The key files of the variable, with blanks between, where no flag names any. */
static void read_variable(struct ask *a)
{
    struct span files = span_of(getenv("SSE_KEY_FILE"));
    while (a->value[KEY_FILE] == NULL && files.n > 0) {
        struct span path = span_cut(&files, ' ');
        if (path.n > 0 && !span_eq(path, SPAN("none")))
            add_file(a, path);
    }
    a->value[KEY_FILE] = a->key_files.n > 0 ? a->key_files.item[0].p : NULL;
}

int token_run(int argc, char **argv)
{
    struct timespec now;
    struct ask a = {.class = AUTH_SUBSCRIBE};
    for (unsigned i = 0; i < sizeof a.scope / sizeof a.scope[0]; i++)
        a.scope[i] = text_in(a.scope_bytes[i], sizeof a.scope_bytes[i]);
    if (read_flags(&a, argc, argv))
        return help_print("token");
    read_variable(&a);
    if (clock_gettime(CLOCK_REALTIME, &now) == -1)
        fail(EX_OSERR, "the clock: ", strerror(errno));
    a.now_s = (uint64_t)now.tv_sec;
    flags_agree(&a);
    read_values(&a);
    return a.value[CHECK] != NULL    ? check(&a)
           : a.value[REVOKE] != NULL ? ask_revoke(&a)
           : a.value[URL] != NULL    ? sign_url(&a)
                                     : mint(&a);
}
