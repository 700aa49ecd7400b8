/*
 * token.c - the command `sse token`.
 *
 * Flags first, all of them; then one of the three things it does. The keys are in memory as long as
 * it takes to sign or to check.
 */
#include "lib/cli/token.h"

#include "http.h"
#include "lib/clean.h"
#include "lib/cli/client.h"
#include "lib/cli/help.h"
#include "lib/host/keys.h"
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
    FLAGS = 8,
};

static const char flag_names[FLAGS][12] = {
    "--key-file", "--kid", "--publish", "--subscribe", "--url", "--for", "--expires", "--check",
};

struct ask {
    const char *value[FLAGS]; /* NULL: not given */
    struct text scope[2];     /* of PUBLISH and SUBSCRIBE */
    enum auth_class class;
    bool never;
    uint64_t now_s, expires_s;
    char scope_bytes[2][AUTH_TOKEN_MAX];
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

static void set_flag(struct ask *a, enum flag flag, const char *value)
{
    bool topics = flag == PUBLISH || flag == SUBSCRIBE;
    if (a->value[flag] != NULL && !topics)
        wrong(flag_names[flag], value, "it is given twice");
    if (*value == '\0')
        wrong(flag_names[flag], NULL, "the value is empty");
    a->value[flag] = value;
    if (topics)
        add_topics(a, flag, value);
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
        if (value.p != NULL)
            set_flag(a, (enum flag)flag, value.p);
        else if (i + 1 == argc)
            wrong(argv[i], NULL, "its value is missing");
        else
            set_flag(a, (enum flag)flag, argv[++i]);
    }
    return false;
}

/* Ends the process if the flags do not go together. */
static void flags_agree(const struct ask *a)
{
    const char *const *v = a->value;
    bool mint = v[PUBLISH] != NULL || v[SUBSCRIBE] != NULL;
    if (v[CHECK] != NULL) {
        for (unsigned i = 0; i < FLAGS; i++)
            if (v[i] != NULL && i != CHECK && i != KEY_FILE)
                wrong(flag_names[i], NULL, "it does not go with --check");
        return;
    }
    if (!mint && v[URL] == NULL)
        wrong("nothing to do", NULL, "--publish, --subscribe, --url or --check is needed");
    if (mint && v[URL] != NULL)
        wrong("--url", NULL, "it goes with --for, and not with --publish and --subscribe");
    if (v[FOR] != NULL && v[URL] == NULL)
        wrong("--for", NULL, "it goes with --url");
    if (v[KEY_FILE] == NULL)
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
    if (a->never && a->value[URL] != NULL)
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
    struct text why = text_for_string(line, sizeof line);
    int code = keys_read(a->value[KEY_FILE], k, &why);
    if (code != 0)
        fail(code, text_string(&why), "");
}

/* Returns the key to sign with: the last of that name, or the last. */
static const struct auth_key *key_to_sign(const struct ask *a, const struct auth_keys *k)
{
    struct span kid = span_of(a->value[KID]);
    for (unsigned i = k->n; i-- > 0;)
        if (kid.p == NULL || span_eq((struct span){k->key[i].kid, k->key[i].kid_n}, kid))
            return &k->key[i];
    wrong("--kid", kid.p, "there is no key of that name in the key file");
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

static int mint(const struct ask *a)
{
    struct auth_keys keys;
    char bytes[AUTH_TOKEN_MAX + 1];
    struct text out = text_in(bytes, sizeof bytes);
    const struct auth_claims claims = {text_span(&a->scope[0]), text_span(&a->scope[1]),
                                       a->expires_s};
    load(a, &keys);
    auth_mint(&out, key_to_sign(a, &keys), &claims);
    auth_keys_wipe(&keys);
    if (out.full)
        fail(EX_USAGE, "it would have more than 8192 bytes: name fewer topics", "");
    text_str(&out, "\n");
    return print(text_span(&out));
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
    add_line(&out, "algorithm    ", SPAN("HS256"), NULL);
    add_line(&out, "key          ", said->kid, "the token names none");
    add_line(&out, "publish      ", said->publish, "nothing");
    add_line(&out, "subscribe    ", said->subscribe, "nothing");
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
    if (checked)
        load(a, &keys);
    enum auth_result r = auth_read(token, room, &said, &why);
    if (r == AUTH_GOOD) {
        describe(&said, checked ? &keys : NULL, token, a->now_s);
        r = checked ? auth_check(&keys, token, a->now_s, room, &claims, &why)
                    : auth_said_check_times(&said, a->now_s, &why);
    }
    if (checked)
        auth_keys_wipe(&keys);
    if (r != AUTH_GOOD)
        fail(NOT_GOOD, text_string(&why), "");
    return EX_OK;
}

/* ---- the command ---- */

int token_run(int argc, char **argv)
{
    struct timespec now;
    struct ask a = {.class = AUTH_SUBSCRIBE};
    for (unsigned i = 0; i < 2; i++)
        a.scope[i] = text_in(a.scope_bytes[i], sizeof a.scope_bytes[i]);
    if (read_flags(&a, argc, argv))
        return help_print("token");
    const char *file = getenv("SSE_KEY_FILE");
    if (a.value[KEY_FILE] == NULL && file != NULL && *file != '\0')
        a.value[KEY_FILE] = file;
    if (a.value[KEY_FILE] != NULL && strcmp(a.value[KEY_FILE], "none") == 0)
        a.value[KEY_FILE] = NULL;
    if (clock_gettime(CLOCK_REALTIME, &now) == -1)
        fail(EX_OSERR, "the clock: ", strerror(errno));
    a.now_s = (uint64_t)now.tv_sec;
    flags_agree(&a);
    read_values(&a);
    return a.value[CHECK] != NULL ? check(&a) : a.value[URL] != NULL ? sign_url(&a) : mint(&a);
}
