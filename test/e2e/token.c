/*
 * token.c - the command `sse token`, and tokens between it and PyJWT.
 */
#include "test/kit/auth_kit.h"
#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/spare.h"

#include "lib/host/keeper.h"
#include "lib/host/keys.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static char out[E2E_OUTPUT], err[E2E_OUTPUT];
static char dir[64], key_file[80];
static struct auth_keys keys;

#define FLAGS(...) ((const char *const[]){"token", __VA_ARGS__, NULL})

/* Runs `sse token` with the key file and these flags. */
#define RUN(...) e2e_run(FLAGS("--key-file", key_file, __VA_ARGS__), out, err)

/* ---- files ---- */

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_file(const char *path, mode_t mode, const char *text, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void setup(void)
{
    static const char text[] =
        "# the old one and the new one\nold " KIT_OTHER "\nnew " KIT_KEY "\n";
    snprintf(dir, sizeof(dir), "/tmp/sse-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(key_file, sizeof(key_file), "%s/keys", dir);
    write_file(key_file, 0600, text, sizeof(text) - 1);
    kit_keys(&keys, SPAN("new"), SPAN(KIT_KEY));
}

static void teardown(void)
{
    static const char *const names[] = {"keys", "other", "fifo", "token", "out"};
    for (size_t i = 0; i < COUNT(names); i++)
        unlink(path_of(names[i]));
    ck_assert_int_eq(rmdir(dir), 0);
}

/* Runs a shell's command line in the directory, with the program as $sse, whatever its path.
 * Returns its exit status, and in `out` what it writes. */
__attribute__((format(printf, 1, 2))) static int shell(const char *format, ...)
{
    char command[AUTH_TOKEN_MAX + 1024], line[sizeof(command) + 512];
    const char *built = getenv("SSE_BIN");
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(command, sizeof(command), format, ap);
    va_end(ap);
    ck_assert(n > 0 && (size_t)n < sizeof(command));
    char *path = realpath(built != NULL ? built : "build/gcc-asan/sse", NULL);
    ck_assert_ptr_nonnull(path);
    n = snprintf(line, sizeof(line),
                 "cd %s && built() { '%s' \"$@\"; } && sse=built && { %s\n} 2>&1", dir, path,
                 command);
    ck_assert(n > 0 && (size_t)n < sizeof(line));
    free(path);
    FILE *f = popen(line, "re");
    ck_assert_ptr_nonnull(f);
    size_t got = fread(out, 1, sizeof(out) - 1, f);
    out[got] = '\0';
    int status = pclose(f);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in: %s", part, text);
}

static void has_not(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) == NULL, "\"%s\" in: %s", part, text);
}

/* ---- help, and wrong flags ---- */

START_TEST(help)
{
    for (int i = 0; i < 3; i++) {
        const char *const flags[] = {"token",
                                     i == 2   ? "--kid"
                                     : i == 0 ? "--help"
                                              : "-h",
                                     i == 2 ? "x" : NULL, "--help", NULL};
        ck_assert_int_eq(e2e_run(flags, out, err), 0);
        ck_assert_str_eq(err, "");
    }
    unsigned lines = 0;
    for (const char *p = out, *end; (end = strchr(p, '\n')) != NULL; p = end + 1, lines++)
        ck_assert_msg(end - p <= 80, "wider than a screen: %.*s", (int)(end - p), p);
    ck_assert_uint_le(lines, 30);
    static const char *const flags[] = {"--key-file", "--kid",      "--publish", "--subscribe",
                                        "--url",      "--expires",  "--for",     "--check",
                                        "--private",  "--revoke",   "--sub",     "--jti",
                                        "--admin",    "--audience", "--issuer",  "--claims"};
    for (size_t i = 0; i < COUNT(flags); i++)
        has(out, flags[i]);
}
END_TEST

static const struct {
    int line;
    const char *flag[8];
    const char *says;
} usages[] = {
    {__LINE__,
     {NULL},
     "nothing to do: --publish, --subscribe, --purge, --admin, --url, --check or --revoke is "
     "needed"},
    {__LINE__, {"--key-file", "x"}, "nothing to do"},
    {__LINE__, {"--bogus"}, "--bogus: there is no such flag"},
    {__LINE__, {"-x"}, "-x: there is no such flag"},
    {__LINE__, {"--"}, "--: there is no such flag"},
    {__LINE__, {"--subs", "a"}, "--subs: there is no such flag"},
    {__LINE__, {"news"}, "news: it is no flag"},
    {__LINE__, {""}, ": it is no flag"},
    {__LINE__, {"--subscribe"}, "--subscribe: its value is missing"},
    {__LINE__, {"--check"}, "--check: its value is missing"},
    {__LINE__, {"--subscribe", ""}, "--subscribe: the value is empty"},
    {__LINE__, {"--subscribe="}, "--subscribe: the value is empty"},
    {__LINE__, {"--key-file", ""}, "--key-file: the value is empty"},
    {__LINE__, {"--kid", "a", "--kid", "b"}, "--kid b: it is given twice"},
    {__LINE__, {"--check", "a", "--check=b"}, "--check b: it is given twice"},
    {__LINE__, {"--subscribe", "a"}, "--key-file: it is needed to sign"},
    {__LINE__, {"--url", "http://h/a"}, "--key-file: it is needed to sign"},
    {__LINE__, {"--subscribe", "/a"}, "--subscribe /a: has an empty segment"},
    {__LINE__, {"--publish", "a,b*"}, "--publish a,b*: has a \"*\" that is not a whole segment"},
    {__LINE__, {"--publish", "a,"}, "--publish a,: is empty"},
    {__LINE__, {"--publish", "-/x"}, "--publish -/x: begins with \"-\""},
    {__LINE__, {"--subscribe", "\xFF"}, "is not UTF-8"},
    {__LINE__, {"--subscribe", "a", "--url", "/a"}, "--subscribe: it does not go with --url"},
    {__LINE__, {"--subscribe", "a", "--for", "publish"}, "--for: it does not go with --publish"},
    {__LINE__, {"--check", "a", "--url", "/a"}, "--url: it does not go with --check"},
    {__LINE__, {"--check", "a", "--kid", "a"}, "--kid: it does not go with --check"},
    {__LINE__, {"--check", "a", "--subscribe", "a"}, "--subscribe: it does not go with --check"},
    {__LINE__, {"--check", "a", "--expires", "1h"}, "--expires: it does not go with --check"},
};

START_TEST(usage)
{
    const char *flags[10] = {"token"};
    for (size_t i = 0; usages[_i].flag[i] != NULL; i++)
        flags[i + 1] = usages[_i].flag[i];
    ck_assert_msg(e2e_run(flags, out, err) == EX_USAGE, "line %d: %s", usages[_i].line, err);
    ck_assert_str_eq(out, "");
    ck_assert_msg(strncmp(err, "sse token: ", 11) == 0, "%s", err);
    has(err, usages[_i].says);
    has(err, "(sse token --help tells more)\n");
}
END_TEST

static const char *const wrong_times[] = {"0",
                                          "0s",
                                          "999ms",
                                          "1w",
                                          "x",
                                          "-1h",
                                          "1h30m",
                                          "1 h",
                                          "1000001h",
                                          "never!",
                                          "99999999999999999999h",
                                          "1.5h"};

START_TEST(times)
{
    ck_assert_int_eq(RUN("--subscribe", "a", "--expires", wrong_times[_i]), EX_USAGE);
    has(err, "must be a time from 1s to 1000000h, such as 12h, or, of a token, never");
    has(err, wrong_times[_i]);
}
END_TEST

/* What is very long is told in part. */
START_TEST(long_values)
{
    static char text[12000];
    memset(text, 'a', sizeof(text) - 1);
    ck_assert_int_eq(RUN("--expires", text, "--subscribe", "a"), EX_USAGE);
    has(err, "aaaa...: must be a time");
    ck_assert_uint_lt(strlen(err), 400);
    for (size_t i = 200; i < sizeof(text) - 1; i += 200)
        text[i] = ',';
    ck_assert_int_eq(RUN("--subscribe", text), EX_USAGE);
    has(err, "more topics than a token of 8192 bytes can hold");
    text[7000] = '\0';
    ck_assert_int_eq(RUN("--subscribe", text), EX_USAGE);
    has(err, "it would have more than 8192 bytes: name fewer topics");
    text[5900] = '\0';
    ck_assert_int_eq(RUN("--subscribe", text), 0);
    ck_assert_uint_gt(strlen(out), 7900);
}
END_TEST

/* ---- tokens ---- */

static struct auth_claims claims;
static char room[AUTH_TOKEN_MAX];

/* What it printed must be a line, a token that is good at this time. */
static void good_token(uint64_t now)
{
    char line[256];
    struct text why = text_in(line, sizeof(line));
    ck_assert_str_eq(err, "");
    size_t n = strlen(out);
    ck_assert(n > 1 && out[n - 1] == '\n' && strchr(out, '\n') == out + n - 1);
    enum auth_result r =
        auth_check(&keys, NULL, (struct span){out, n - 1}, now, room, &claims, &why);
    ck_assert_msg(r == AUTH_GOOD, "%.*s", (int)why.n, why.p);
}

START_TEST(mints)
{
    uint64_t before = (uint64_t)time(NULL);
    ck_assert_int_eq(RUN("--publish", "a/*", "--subscribe", "**", "--expires", "2h"), 0);
    uint64_t after = (uint64_t)time(NULL);
    good_token(after);
    ck_assert(span_eq(claims.publish, SPAN("a/*")) && span_eq(claims.subscribe, SPAN("**")));
    uint64_t end = claims.expires_s - AUTH_LEEWAY_S;
    ck_assert(end >= before + 7200 && end <= after + 7200);
    /* An hour, if nothing is said; a list and several flags; names that are not ASCII. */
    before = (uint64_t)time(NULL);
    ck_assert_int_eq(RUN("--subscribe=a,b/c", "--subscribe", "caf\xC3\xA9/\"\\"), 0);
    after = (uint64_t)time(NULL);
    good_token(after);
    end = claims.expires_s - AUTH_LEEWAY_S;
    ck_assert(end >= before + 3600 && end <= after + 3600);
    ck_assert(span_eq(claims.subscribe, SPAN("a,b/c,caf\xC3\xA9/\"\\")) && claims.publish.n == 0);
    ck_assert_int_eq(RUN("--publish", "a", "--expires", "never"), 0);
    good_token(AUTH_TIME_MAX);
    ck_assert_uint_eq(claims.expires_s, 0);
}
END_TEST

/* The last key, the one named, the last of that name, none. */
START_TEST(key_choice)
{
    uint64_t now = (uint64_t)time(NULL);
    ck_assert_int_eq(RUN("--publish", "a", "--kid", "new"), 0);
    good_token(now);
    kit_keys(&keys, SPAN("old"), SPAN(KIT_OTHER));
    ck_assert_int_eq(RUN("--publish", "a", "--kid", "old"), 0);
    good_token(now);
    ck_assert_int_eq(RUN("--publish", "a", "--kid", "ol"), EX_USAGE);
    has(err, "--kid ol: there is no key of that name in the key file");
    static const char two[] = "a " KIT_OTHER "\na " KIT_KEY "\n" KIT_OTHER KIT_OTHER "\n";
    write_file(key_file, 0600, two, sizeof(two) - 1);
    kit_keys(&keys, SPAN("a"), SPAN(KIT_KEY));
    ck_assert_int_eq(RUN("--publish", "a", "--kid", "a"), 0);
    good_token(now);
    kit_keys(&keys, SPAN("a"), SPAN(KIT_OTHER KIT_OTHER));
    ck_assert_int_eq(RUN("--publish", "a"), 0);
    good_token(now);
    char line[256];
    struct auth_said said;
    struct text why = text_in(line, sizeof(line));
    ck_assert(auth_read(NULL, (struct span){out, strlen(out) - 1}, room, &said, &why) == AUTH_GOOD);
    ck_assert_uint_eq(said.kid.n, 0);
}
END_TEST

/* ---- telling what a token says ---- */

static const char *made(const char *header, const char *text)
{
    static struct kit_token token;
    kit_make(&token, span_of(header), span_of(text), SPAN(KIT_KEY));
    token.p[token.n] = '\0';
    return token.p;
}

#define HEADER "{\"alg\":\"HS256\",\"kid\":\"new\"}"

START_TEST(tells)
{
    const char *token = made(HEADER, "{\"exp\":4102444800,\"nbf\":1,\"publish\":[\"a/*\",\"b\"]}");
    ck_assert_int_eq(RUN("--check", token), 0);
    ck_assert_str_eq(err, "");
    has(out, "algorithm    HS256\nkey          new\npublish      a/*,b\nsubscribe    nothing\n"
             "valid from   1970-01-01T00:00:01.000Z (");
    has(out, "d ago)\nvalid until  2100-01-01T00:00:00.000Z (in ");
    has(out, "d)\nsignature    good: of key 2 of the key file, new\n");
    ck_assert_int_eq(e2e_run(FLAGS("--check", token), out, err), 0);
    ck_assert_str_eq(err, "");
    has(out, "signature    not checked, as there is no --key-file\n");
    ck_assert_int_eq(RUN("--check", made("{\"alg\":\"HS256\"}", "{\"subscribe\":[\"**\"]}")), 0);
    ck_assert_str_eq(out, "algorithm    HS256\nkey          the token names none\n"
                          "publish      nothing\nsubscribe    **\nvalid until  for ever\n"
                          "signature    good: of key 2 of the key file, new\n");
    static const char bare[] = KIT_KEY "\n";
    write_file(key_file, 0600, bare, sizeof(bare) - 1);
    ck_assert_int_eq(RUN("--check", made(HEADER, "{}")), 0);
    has(out, "signature    good: of key 1 of the key file\n");
}
END_TEST

static const struct {
    int64_t from_now;
    const char *says, * or ; /* as a second may pass */
} distances[] = {
    {30, "(in 30s)", "(in 29s)"},      {119, "(in 119s)", "(in 118s)"},
    {150, "(in 2m)", "(in 2m)"},       {7100, "(in 118m)", "(in 118m)"},
    {7500, "(in 2h)", "(in 2h)"},      {172000, "(in 47h)", "(in 47h)"},
    {172900, "(in 2d)", "(in 2d)"},    {-30, "(30s ago)", "(31s ago)"},
    {-150, "(2m ago)", "(2m ago)"},    {-7500, "(2h ago)", "(2h ago)"},
    {-200000, "(2d ago)", "(2d ago)"},
};

START_TEST(distance)
{
    char text[64];
    int64_t at = (int64_t)time(NULL) + distances[_i].from_now;
    snprintf(text, sizeof(text), "{\"exp\":%" PRId64 "}", at);
    bool good = distances[_i].from_now > -60;
    ck_assert_int_eq(RUN("--check", made(HEADER, text)), good ? 0 : 1);
    ck_assert_msg(strstr(out, distances[_i].says) != NULL || strstr(out, distances[_i].or) != NULL,
                  "%s, not %s", out, distances[_i].says);
}
END_TEST

static const struct {
    int line;
    const char *header, *claims;
    const char *says, *shows; /* on stderr; on stdout, NULL: nothing */
} bad[] = {
    {__LINE__, HEADER, "{\"exp\":1000000000}",
     "token has expired: it was valid until 2001-09-09T01:46:40.000Z", "d ago)"},
    {__LINE__, HEADER, "{\"nbf\":4102444800}", "is not valid yet: it will be from 2100-01-01",
     "valid from   2100"},
    {__LINE__, HEADER, "{\"nbf\":253402300000,\"exp\":253402300001}", "is not valid yet",
     "9999-12-31T23:46:41.000Z (in "},
    {__LINE__, "{\"alg\":\"none\"}", "{}", "made with the algorithm 'none'", NULL},
    {__LINE__, "{\"alg\":\"RS384\"}", "{}", "made with the algorithm 'RS384'", NULL},
    {__LINE__, "{\"alg\":\"HS256\",\"crit\":[]}", "{}", "crit", NULL},
    {__LINE__, HEADER, "{\"aud\":\"x\"}", "is for somebody else (aud)", NULL},
    {__LINE__, HEADER, "{\"publish\":[\"a//b\"]}", "'a//b', has an empty segment", NULL},
    {__LINE__, HEADER, "[]", "not a JSON object", NULL},
};

/* With a key and without it says the same, and does not take it. */
START_TEST(tells_what_is_wrong)
{
    for (int key = 0; key < 2; key++) {
        const char *token = made(bad[_i].header, bad[_i].claims);
        int code = key ? RUN("--check", token) : e2e_run(FLAGS("--check", token), out, err);
        ck_assert_msg(code == 1, "line %d: %d", bad[_i].line, code);
        ck_assert_msg(strncmp(err, "sse token: ", 11) == 0, "%s", err);
        has(err, bad[_i].says);
        if (bad[_i].shows == NULL)
            ck_assert_str_eq(out, "");
        else
            has(out, bad[_i].shows);
    }
}
END_TEST

START_TEST(wrong_signature)
{
    char token[256];
    snprintf(token, sizeof(token), "%s", made(HEADER, "{\"publish\":[\"a\"]}"));
    token[strlen(token) - 5] ^= 1;
    ck_assert_int_eq(RUN("--check", token), 1);
    has(out, "publish      a\n");
    has(out, "signature    wrong: of no key in the key file\n");
    ck_assert_str_eq(
        err, "sse token: the signature of the token is not of a key that this server has\n");
    ck_assert_int_eq(e2e_run(FLAGS("--check", token), out, err), 0);
    has(out, "signature    not checked, as there is no --key-file\n");
    ck_assert_int_eq(RUN("--check", made("{\"alg\":\"HS256\",\"kid\":\"x\"}", "{}")), 1);
    has(err, "the token names the key 'x', which this server does not have");
    static const char *const none[] = {"x", "a.b", "..", "a.b.c.d.e", "eyJhbGciOiJIUzI1NiJ9.e30."};
    for (size_t i = 0; i < COUNT(none); i++) {
        ck_assert_int_eq(RUN("--check", none[i]), 1);
        ck_assert(strlen(err) > 20);
    }
}
END_TEST

/* What a token holds can't command the terminal. */
START_TEST(clean)
{
    ck_assert_int_eq(RUN("--check",
                         made("{\"alg\":\"HS256\",\"kid\":\"\\u001b[2J\\u009b\\u0000\\u00e9\\n\"}",
                              "{\"subscribe\":[\"a\\u009b2J\",\"caf\\u00e9\\u00a0\"]}")),
                     1);
    has(out, "key          ?[2J??\xC3\xA9?\n");
    has(out, "subscribe    a?2J,caf\xC3\xA9\xC2\xA0\n");
    has(err, "'?[2J");
    for (const char *p = err; *p != '\0'; p++)
        ck_assert((*p >= ' ' && *p <= '~') || *p == '\n');
}
END_TEST

/* From stdin; and the key file from the environment. */
START_TEST(from_elsewhere)
{
    const char *token = made(HEADER, "{\"subscribe\":[\"a\"]}");
    ck_assert_int_eq(shell("echo %s | $sse token --check - --key-file keys", token), 0);
    has(out, "good: of key 2");
    ck_assert_int_eq(shell("printf '%%s\\r\\n' %s | SSE_KEY_FILE=keys $sse token --check -", token),
                     0);
    has(out, "good: of key 2");
    ck_assert_int_eq(shell("SSE_KEY_FILE= $sse token --check %s", token), 0);
    has(out, "not checked");
    ck_assert_int_eq(shell("SSE_KEY_FILE=none $sse token --check %s", token), 0);
    has(out, "not checked");
    ck_assert_int_eq(shell("SSE_KEY_FILE=keys $sse token --check %s --key-file none", token), 0);
    has(out, "not checked");
    ck_assert_int_eq(shell("SSE_KEY_FILE=no $sse token --check %s", token), EX_NOINPUT);
    ck_assert_int_eq(shell("SSE_KEY_FILE=no $sse token --check %s --key-file keys", token), 0);
    ck_assert_int_eq(shell("$sse token --check - </dev/null"), 1);
    has(out, "the token is empty");
    ck_assert_int_eq(shell("head -c 100000 /dev/zero | tr '\\0' A | $sse token --check -"), 1);
    has(out, "more than 8192 bytes");
    ck_assert_int_eq(shell("$sse token --check - <&-"), EX_IOERR);
    has(out, "stdin: ");
    ck_assert_int_eq(shell("$sse token --subscribe a --key-file keys >/dev/full"), EX_IOERR);
    has(out, "stdout: No space");
}
END_TEST

/* ---- a private key ---- */

/* RFC 8037 appendix A.1 has the pair. */
#define PRIVATE_PEM                                                      \
    "-----BEGIN PRIVATE KEY-----\n"                                      \
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n" \
    "-----END PRIVATE KEY-----\n"
#define PUBLIC_JWK                                \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":" \
    "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"

START_TEST(private_key)
{
    char file[96], token[1024];
    snprintf(file, sizeof(file), "%s/private", dir);
    write_file(file, 0600, PRIVATE_PEM, sizeof(PRIVATE_PEM) - 1);
    ck_assert_int_eq(chmod(key_file, 0644), 0);
    write_file(key_file, 0644, PUBLIC_JWK, sizeof(PUBLIC_JWK) - 1);
    ck_assert_int_eq(RUN("--private", file, "--kid", "new", "--subscribe", "a"), 0);
    snprintf(token, sizeof(token), "%.*s", (int)strcspn(out, "\n"), out);
    ck_assert_int_eq(RUN("--check", token), 0);
    has(out, "algorithm    EdDSA\nkey          new\n");
    has(out, "signature    good: of key 1 of the key file\n");
    ck_assert_int_eq(RUN("--subscribe", "a"), EX_USAGE);
    has(err, "it holds public keys alone, which sign nothing");
    ck_assert_int_eq(RUN("--private", file, "--url", "/a"), EX_USAGE);
    has(err, "--private: it does not go with --url");
    ck_assert_int_eq(RUN("--private", file, "--kid", "a b", "--subscribe", "a"), EX_USAGE);
    has(err, "has a byte that is not plain ASCII");
    ck_assert_int_eq(RUN("--private", key_file, "--subscribe", "a"), EX_CONFIG);
    has(err, "mode 0644 lets others read it; run chmod o=");
    ck_assert_int_eq(chmod(key_file, 0600), 0);
    ck_assert_int_eq(RUN("--private", key_file, "--subscribe", "a"), EX_CONFIG);
    has(err, "it has no PEM block PRIVATE KEY");
    ck_assert_int_eq(RUN("--private", "/none/such", "--subscribe", "a"), EX_NOINPUT);
    ck_assert_int_eq(unlink(file), 0);
}
END_TEST

/* ---- the key file ---- */

START_TEST(modes)
{
    static const struct {
        mode_t mode;
        bool good;
        const char *says;
    } row[] = {
        {0600, true, NULL},    {0400, true, NULL},     {0640, true, NULL},    {0660, true, NULL},
        {0644, false, "0644"}, {0604, false, "0604"},  {0602, false, "0602"}, {0601, false, "0601"},
        {0666, false, "0666"}, {04604, false, "4604"}, {0777, false, "0777"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        ck_assert_int_eq(chmod(key_file, row[i].mode), 0);
        ck_assert_int_eq(RUN("--subscribe", "a"), row[i].good ? 0 : EX_CONFIG);
        if (row[i].good)
            continue;
        ck_assert_str_eq(out, "");
        has(err, "sse token: the key file ");
        has(err, key_file);
        has(err, row[i].says);
        has(err, "run chmod o");
        ck_assert_int_eq(RUN("--check", made(HEADER, "{}")), EX_CONFIG);
        ck_assert_int_eq(RUN("--url", "/a"), EX_CONFIG);
    }
}
END_TEST

/* What is no file, or cannot be read; none of them is waited for. */
START_TEST(no_files)
{
    ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
    char in_file[128];
    snprintf(in_file, sizeof(in_file), "%s/x", key_file);
    const char *const path[] = {"/no/such/file", "/", "/dev/null", path_of("fifo"), in_file};
    static const char *const says[] = {"No such file", "no regular file", "no regular file",
                                       "no regular file", "Not a directory"};
    for (size_t i = 0; i < COUNT(path); i++) {
        ck_assert_int_eq(e2e_run(FLAGS("--key-file", path[i], "--url", "/a"), out, err),
                         EX_NOINPUT);
        has(err, path[i]);
        has(err, says[i]);
    }
}
END_TEST

/* A file that may not be read, by one who is not root. */
START_TEST(no_permission)
{
    char line[256] = "";
    struct text why = text_in(line, sizeof(line) - 1);
    struct keys_seen seen[OPT_LIST_MAX];
    const struct opt_list files = {1, {span_of(key_file)}};
    ck_assert_int_eq(chmod(key_file, 0), 0);
    ck_assert_int_eq(chmod(dir, 0755), 0);
    bool root = geteuid() == 0;
    ck_assert(!root || seteuid(65534) == 0);
    int code = keys_read(&files, KEEPER_NONE, NULL, &keys, seen, &why);
    ck_assert(!root || seteuid(0) == 0);
    ck_assert_int_eq(code, EX_NOPERM);
    has(line, "Permission denied");
    ck_assert_uint_eq(keys.n, 0);
    /* The same function says nothing when all is well. */
    ck_assert_int_eq(chmod(key_file, 0600), 0);
    why.n = 0;
    ck_assert_int_eq(keys_read(&files, KEEPER_NONE, NULL, &keys, seen, &why), 0);
    ck_assert(why.n == 0 && keys.n == 2);
}
END_TEST

/* What is wrong in it is named by its line, and never shown. */
START_TEST(contents)
{
    static char text[AUTH_FILE_MAX + 2];
    static const char *const row[][2] = {
        {"", "there is no key"},
        {"# nothing\n", "there is no key"},
        {"secret\n", "line 1: the key has fewer than 32 bytes"},
        {KIT_KEY "\nold secret\n", "line 2: the key has fewer"},
        {"a secret " KIT_KEY "\n", "line 1: there are more than two words"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        write_file(key_file, 0600, row[i][0], strlen(row[i][0]));
        ck_assert_int_eq(RUN("--subscribe", "a"), EX_CONFIG);
        has(err, key_file);
        has(err, row[i][1]);
        has_not(err, "secret");
        has_not(err, "0123");
    }
    for (size_t n = AUTH_FILE_MAX; n <= AUTH_FILE_MAX + 1; n++) {
        memset(text, '#', sizeof(text));
        memcpy(text, KIT_KEY "\n", 33);
        write_file(key_file, 0600, text, n);
        ck_assert_int_eq(RUN("--subscribe", "a"), n <= AUTH_FILE_MAX ? 0 : EX_CONFIG);
    }
    has(err, "it is larger than 64 KiB");
}
END_TEST

/* ---- signed URLs ---- */

static const struct {
    int line;
    const char *url, *what; /* NULL: no --for */
    const char *before, *behind, *topics;
} urls[] = {
    {__LINE__, "http://host/news", NULL, "http://host/news?", "", "news"},
    {__LINE__, "http://host:8080/a/b", "subscribe", "http://host:8080/a/b?", "", "a/b"},
    {__LINE__, "https://u@host/a,b/**", NULL, "https://u@host/a,b/**?", "", "a,b/**"},
    {__LINE__, "wss://[::1]:1/a", NULL, "wss://[::1]:1/a?", "", "a"},
    {__LINE__, "HTTP://host/a", NULL, "HTTP://host/a?", "", "a"},
    {__LINE__, "/a", NULL, "/a?", "", "a"},
    {__LINE__, "/a?since=-5", NULL, "/a?since=-5&", "", "a"},
    {__LINE__, "/a?since=-5&", NULL, "/a?since=-5&", "", "a"},
    {__LINE__, "/a?", NULL, "/a?", "", "a"},
    {__LINE__, "/a?x=/y?z", NULL, "/a?x=/y?z&", "", "a"},
    {__LINE__, "/a#frag?x", NULL, "/a?", "#frag?x", "a"},
    {__LINE__, "/a?x#", NULL, "/a?x&", "#", "a"},
    {__LINE__, "/caf%C3%A9%2fx%2Cy", NULL, "/caf%C3%A9%2fx%2Cy?", "", "caf\xC3\xA9/x,y"},
    {__LINE__, "/a+b", NULL, "/a+b?", "", "a+b"},
    {__LINE__, "/news", "publish", "/news?", "", "news"},
};

START_TEST(url)
{
    char line[256], want[256];
    struct text why = text_in(line, sizeof(line));
    uint64_t before = (uint64_t)time(NULL);
    const char *what = urls[_i].what;
    int code = what == NULL ? RUN("--url", urls[_i].url, "--expires", "10m")
                            : RUN("--url", urls[_i].url, "--for", what, "--expires", "10m");
    uint64_t after = (uint64_t)time(NULL);
    ck_assert_msg(code == 0, "line %d: %s", urls[_i].line, err);
    size_t n = strlen(urls[_i].before);
    ck_assert_msg(strncmp(out, urls[_i].before, n) == 0, "line %d: %s", urls[_i].line, out);
    struct span rest = {out + n, strlen(out) - n};
    ck_assert(span_begins(rest, SPAN("expires=")));
    rest = span_from(rest, 8);
    struct span expires = span_cut(&rest, '&');
    ck_assert(span_begins(rest, SPAN("signature=")) && rest.n > 53);
    struct span signature = {rest.p + 10, AUTH_URL_SIGN};
    snprintf(want, sizeof(want), "%s\n", urls[_i].behind);
    ck_assert_str_eq(rest.p + 53, want);
    uint64_t end;
    ck_assert(span_u64(expires, &end) && end >= before + 600 && end <= after + 600);
    for (int class = AUTH_SUBSCRIBE; class <= AUTH_PUBLISH; class ++) {
        enum auth_result r =
            auth_url_check(&keys, (enum auth_class) class, span_of(urls[_i].topics), expires,
                           signature, end - 1, &why);
        bool same = (class == AUTH_PUBLISH) == (what != NULL && strcmp(what, "publish") == 0);
        ck_assert_int_eq(r, same ? AUTH_GOOD : AUTH_SIGNATURE);
    }
}
END_TEST

static const struct {
    int line;
    const char *url, *what, *says;
} wrong_urls[] = {
    {__LINE__, "news", "subscribe", "must be a URL such as"},
    {__LINE__, "localhost:8080/news", "subscribe", "must be a URL such as"},
    {__LINE__, "ftp://host/news", "subscribe", "must be a URL such as"},
    {__LINE__, "http://", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host?x", "subscribe", "must be a URL such as"},
    {__LINE__, "#/a", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host/a b", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host/caf\xC3\xA9", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host/a\r\nX: y", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host/a\r\n\r\n", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host/a HTTP/1.1\r\nX: y", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host/%zz", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host/a/../b", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host/", "subscribe", "names no topic"},
    {__LINE__, "http://host/?a", "subscribe", "names no topic"},
    {__LINE__, "http://host/-/metrics", "subscribe", "begins with \"-\""},
    {__LINE__, "http://host/a//b", "subscribe", "has an empty segment"},
    {__LINE__, "http://host/a,,b", "subscribe", "is empty"},
    {__LINE__, "http://host/a%00", "subscribe", "must be a URL such as"},
    {__LINE__, "http://host/a%0A", "subscribe", "has a control byte"},
    {__LINE__, "http://host/%ff", "subscribe", "is not UTF-8"},
    {__LINE__, "http://host/a*", "subscribe", "not a whole segment"},
    {__LINE__, "http://host/a/*", "publish", "has a \"*\""},
    {__LINE__, "http://host/a,b", "publish", "has a comma"},
    {__LINE__, "/a?expires=7", "subscribe", "has a parameter expires or signature already"},
    {__LINE__, "/a?x&signature", "subscribe", "has a parameter expires or signature already"},
    {__LINE__, "/a?e%78pires=7", "subscribe", "has a parameter expires or signature already"},
    {__LINE__, "/a", "both", "--for both: must be publish or subscribe"},
};

START_TEST(wrong_url)
{
    int code = RUN("--url", wrong_urls[_i].url, "--for", wrong_urls[_i].what);
    ck_assert_msg(code == EX_USAGE, "line %d: %d %s", wrong_urls[_i].line, code, out);
    has(err, wrong_urls[_i].says);
}
END_TEST

START_TEST(url_ends)
{
    ck_assert_int_eq(RUN("--url", "/a", "--expires", "never"), EX_USAGE);
    has(err, "--expires never: a signed URL ends");
    static char text[10000];
    memset(text, 'a', sizeof(text) - 1);
    text[0] = '/';
    for (size_t i = 200; i < sizeof(text) - 1; i += 200)
        text[i] = ',';
    ck_assert_int_eq(RUN("--url", text), EX_USAGE);
    text[8192] = '\0';
    ck_assert_int_eq(RUN("--url", text), 0);
    ck_assert(strncmp(out, text, 8192) == 0 && strncmp(out + 8192, "?expires=", 9) == 0);
}
END_TEST

/* ---- another program: PyJWT ---- */

/* A token is text; before PyJWT 2 it was bytes. */
#define PYTHON                                                                  \
    "/usr/bin/python3 -c 'import jwt, json, time, sys\nkey = \"" KIT_KEY "\"\n" \
    "encode = jwt.encode\n"                                                     \
    "def text(t): return t if isinstance(t, str) else t.decode()\n"             \
    "jwt.encode = lambda *a, **k: text(encode(*a, **k))\n"

/* What PyJWT makes is taken here, what it claims is told; another algorithm is not. */
START_TEST(from_pyjwt)
{
    static const struct {
        const char *claims, *args; /* Python's */
        const char *says;          /* on stdout; on stderr if it is not good */
        int code;
    } row[] = {
        {"publish=[\"a/*\"], subscribe=[\"**\", \"caf\\u00e9\"], exp=int(time.time()) + 3600",
         "headers={\"kid\": \"new\"}",
         "publish      a/*\nsubscribe    **,caf\xC3\xA9\nvalid until  ", 0},
        {"subscribe=[\"b\"]", "",
         "subscribe    b\nvalid until  for ever\nsignature    good: of key 2", 0},
        {"exp=time.time() + 3600.5, nbf=time.time() - 5, iss=\"py\", jti=\"1\"", "",
         "valid from   ", 0},
        {"exp=time.time() - 30", "", "s ago)", 0}, /* within the leeway */
        {"exp=time.time() - 3600", "", "has expired", 1},
        {"nbf=time.time() + 3600", "", "not valid yet", 1},
        {"aud=\"else\"", "", "aud", 1},
        {"publish=\"a\"", "", "publish of the token is no list", 1},
        {"sub=\"x\"", "headers={\"kid\": \"old\"}", "not of a key", 1},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        int code = shell(PYTHON "print(jwt.encode(dict(%s), key%s%s))' >token && "
                                "$sse token --key-file keys --check - <token",
                         row[i].claims, row[i].args[0] != '\0' ? ", " : "", row[i].args);
        ck_assert_msg(code == row[i].code, "row %zu: %d %s", i, code, out);
        has(out, row[i].says);
    }
    static const char *const algorithms[] = {"\"HS384\"", "\"HS512\"", "\"none\""};
    for (size_t i = 0; i < COUNT(algorithms); i++) {
        int code = shell(PYTHON "print(jwt.encode({}, %s, algorithm=%s))' >token && "
                                "$sse token --key-file keys --check - <token",
                         i < 2 ? "key" : "None", algorithms[i]);
        ck_assert_msg(code == 1, "%s: %d %s", algorithms[i], code, out);
        has(out, "only HS256, RS256, ES256 and EdDSA are taken");
    }
}
END_TEST

/* What PyJWT signs with keys of openssl is taken, with their public parts. */
START_TEST(from_pyjwt_public)
{
    static const char *const row[][2] = {
        {"RS256", "RSA -pkeyopt rsa_keygen_bits:3072"},
        {"ES256", "EC -pkeyopt ec_paramgen_curve:P-256"},
        {"EdDSA", "ED25519"},
    };
    if (shell("/usr/bin/python3 -c 'import cryptography' 2>/dev/null") != 0)
        return; /* PyJWT has only HMAC then */
    for (size_t i = 0; i < COUNT(row); i++) {
        int code =
            shell("openssl genpkey -algorithm %s -out key 2>/dev/null && "
                  "openssl pkey -in key -pubout -out pub && chmod 644 pub && " PYTHON
                  "print(jwt.encode(dict(sub=\"x\", aud=[\"me\"], iss=\"i\", mercure=dict(publish="
                  "[\"*\"])), open(\"key\").read(), algorithm=\"%s\"))' >token && "
                  "$sse token --key-file pub --audience me --issuer i --claims mercure "
                  "--check - <token",
                  row[i][1], row[i][0]);
        ck_assert_msg(code == 0, "%s: %d %s", row[i][0], code, out);
        has(out, row[i][0]);
        has(out, "publish      **\nsubscribe    nothing\nby its claim mercure\nsubject      x\n");
        has(out, "good: of key 1 of the key file");
    }
    ck_assert_int_eq(shell("rm key pub"), 0);
}
END_TEST

/* What is made here PyJWT takes, with the key it was made with and no other. */
START_TEST(to_pyjwt)
{
    ck_assert_int_eq(shell("$sse token --key-file keys --publish 'a/*' --subscribe '**' "
                           "--subscribe 'caf\xC3\xA9,q\"\\' --expires 1h >token && " PYTHON
                           "t = open(\"token\").read().strip()\n"
                           "print(json.dumps(jwt.get_unverified_header(t), sort_keys=True))\n"
                           "c = jwt.decode(t, key, algorithms=[\"HS256\"])\n"
                           "print(3590 < c.pop(\"exp\") - time.time() < 3610)\n"
                           "print(json.dumps(c, sort_keys=True))\n"
                           "try: jwt.decode(t, key + \"x\", algorithms=[\"HS256\"])\n"
                           "except jwt.InvalidSignatureError: print(\"refused\")'"),
                     0);
    ck_assert_str_eq(out, "{\"alg\": \"HS256\", \"kid\": \"new\"}\nTrue\n"
                          "{\"publish\": [\"a/*\"], \"subscribe\": [\"**\", \"caf\\u00e9\", "
                          "\"q\\\"\\\\\"]}\nrefused\n");
    ck_assert_int_eq(
        shell("$sse token --key-file keys --kid old --publish a --expires never >token && " PYTHON
              "t = open(\"token\").read().strip()\n"
              "print(jwt.decode(t, \"" KIT_OTHER "\", algorithms=[\"HS256\"]))'"),
        0);
    ck_assert_str_eq(out, "{'publish': ['a']}\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("token");
    TCase *c = tcase_create("flags");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, help);
    tcase_add_loop_test(c, usage, 0, COUNT(usages));
    tcase_add_loop_test(c, times, 0, COUNT(wrong_times));
    tcase_add_test(c, long_values);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    c = tcase_create("tokens");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, mints);
    tcase_add_test(c, key_choice);
    tcase_add_test(c, tells);
    tcase_add_loop_test(c, distance, 0, COUNT(distances));
    tcase_add_loop_test(c, tells_what_is_wrong, 0, COUNT(bad));
    tcase_add_test(c, wrong_signature);
    tcase_add_test(c, clean);
    tcase_add_test(c, from_elsewhere);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    c = tcase_create("the key file");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, private_key);
    tcase_add_test(c, modes);
    tcase_add_test(c, no_files);
    tcase_add_test(c, no_permission);
    tcase_add_test(c, contents);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    c = tcase_create("signed URLs");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, url, 0, COUNT(urls));
    tcase_add_loop_test(c, wrong_url, 0, COUNT(wrong_urls));
    tcase_add_test(c, url_ends);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    if (can("/usr/bin/python3 -c 'import jwt'", "PyJWT: python3-jwt is not installed")) {
        c = tcase_create("PyJWT");
        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, from_pyjwt);
        tcase_add_test(c, from_pyjwt_public);
        tcase_add_test(c, to_pyjwt);
        tcase_set_timeout(c, 120);
        suite_add_tcase(s, c);
    }
    return run(s);
}
