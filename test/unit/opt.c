/*
 * opt.c - opt.h: every flag, right and wrong, as a flag and as a variable; and that --help
 * tells the truth.
 */
#include "lib/opt.h"
#include "lib/cli/help.h"

#include "test/kit/kit.h"

/* ---- running it ---- */

#define ARGS_MAX  80
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct opt opt;
static char message[1024];
static char shown[8192];

/* Parses arguments (without the program's name) and variables, both ended by NULL. */
static enum opt_result parse(const char *const args[], const char *const env[])
{
    char *argv[ARGS_MAX + 2] = {(char[]){"sse"}}, *envp[ARGS_MAX + 1] = {NULL};
    int argc = 1;
    for (; args != NULL && args[argc - 1] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        envp[i] = (char *)(uintptr_t)env[i];
    ck_assert_int_le(argc, ARGS_MAX);
    struct text err = text_in(message, sizeof(message) - 1);
    memset(&opt, 0xA5, sizeof(opt));
    enum opt_result result = opt_parse(&opt, argc, argv, envp, &err);
    ck_assert(!err.full && (result == OPT_WRONG) == (err.n > 0));
    message[err.n] = '\0';
    return result;
}

static void show_list(struct text *t, const char *name, const struct opt_list *list)
{
    text_str(t, name);
    for (uint32_t i = 0; i < list->n; i++) {
        text_str(t, i > 0 ? "|" : "");
        text_add(t, list->item[i]);
    }
    text_str(t, " ");
}

static void show_number(struct text *t, const char *name, uint64_t v)
{
    text_str(t, name);
    text_u64(t, v);
    text_str(t, " ");
}

/* All that was parsed, in words "name=value " with a space before each. */
static const char *show(void)
{
    struct text t = text_in(shown, sizeof(shown) - 1);
    text_str(&t, " ");
    show_number(&t, "port=", opt.port);
    show_list(&t, "bind=", &opt.bind);
    show_list(&t, "admin=", &opt.admin);
    show_list(&t, "host=", &opt.host);
    show_list(&t, "topic=", &opt.topic);
    show_number(&t, "ring=", opt.ring);
    text_str(&t, "store=");
    text_str(&t, opt.store != NULL ? opt.store : "(none)");
    show_number(&t, " fsync=", opt.fsync);
    show_number(&t, "max-age=", opt.max_age_ms);
    show_number(&t, "max-message=", opt.max_message);
    show_number(&t, "max-connections=", opt.max_connections);
    show_number(&t, "max-per-address=", opt.max_per_address);
    show_number(&t, "max-topics=", opt.max_topics);
    show_number(&t, "max-memory=", opt.max_memory);
    show_number(&t, "max-subscriptions=", opt.max_subscriptions);
    show_number(&t, "max-sets=", opt.max_sets);
    show_number(&t, "max-share=", opt.max_share);
    show_number(&t, "max-line=", opt.max_line);
    show_number(&t, "max-head=", opt.max_head);
    show_number(&t, "max-buffers=", opt.max_buffers);
    show_number(&t, "max-answer=", opt.max_answer);
    show_number(&t, "max-wait=", opt.max_wait_ms);
    show_number(&t, "heartbeat=", opt.heartbeat_ms);
    show_number(&t, "retry=", opt.retry_ms);
    show_number(&t, "request-timeout=", opt.request_timeout_ms);
    show_number(&t, "idle-timeout=", opt.idle_timeout_ms);
    show_number(&t, "min-rate=", opt.min_rate);
    show_number(&t, "write-timeout=", opt.write_timeout_ms);
    show_number(&t, "drain=", opt.drain_ms);
    show_list(&t, "key-file=", &opt.key_files);
    show_number(&t, "key-refresh=", opt.key_refresh_ms);
    show_list(&t, "audience=", &opt.audience);
    show_list(&t, "issuer=", &opt.issuer);
    text_str(&t, "claims=");
    text_str(&t, opt.claims != NULL ? opt.claims : "(none)");
    show_number(&t, " anonymous=", opt.anonymous);
    show_number(&t, "max-failures=", opt.max_failures);
    show_number(&t, "max-scopes=", opt.max_scopes);
    show_number(&t, "max-revoked=", opt.max_revoked);
    show_number(&t, "log-subject=", opt.log_subject);
    show_list(&t, "trust-proxy=", &opt.trust_proxy);
    show_number(&t, "proxy-protocol=", opt.proxy_protocol);
    show_list(&t, "cors=", &opt.cors);
    show_number(&t, "workers=", opt.workers);
    text_str(&t, "user=");
    text_str(&t, opt.user != NULL ? opt.user : "(none)");
    show_number(&t, " no-sandbox=", opt.no_sandbox);
    show_number(&t, "log=", opt.log);
    show_number(&t, "access-log=", opt.access_log);
    show_number(&t, "no-page=", opt.no_page);
    ck_assert(!t.full);
    shown[t.n] = '\0';
    return shown;
}

static const char defaults[] =
    " port=8080 bind=127.0.0.1 admin= host= topic= ring=67108864 store=(none) fsync=1 max-age=0 "
    "max-message=1048576 max-connections=0 max-per-address=0 max-topics=1048576 max-memory=0 "
    "max-subscriptions=1000 max-sets=67108864 max-share=8 max-line=8192 max-head=16384 "
    "max-buffers=268435456 max-answer=262144 "
    "max-wait=60000 heartbeat=15000 retry=2000 request-timeout=10000 idle-timeout=75000 "
    "min-rate=500 write-timeout=30000 drain=5000 key-file= "
    "key-refresh=0 audience= issuer= claims=(none) anonymous=1 "
    "max-failures=60 max-scopes=16777216 max-revoked=1000 log-subject=0 trust-proxy= "
    "proxy-protocol=0 cors= workers=1 user=(none) "
    "no-sandbox=0 log=2 access-log=0 "
    "no-page=0 ";

START_TEST(has_defaults)
{
    static const char *const others[] = {"PATH=/bin",   "SSE=1",         "SSE_UNKNOWN=1",
                                         "SSE_PORTS=1", "sse_port=1",    "SSE_PORT",
                                         "SSE_HELP=1",  "SSE_VERSION=1", NULL};
    ck_assert_int_eq(parse(NULL, NULL), OPT_RUN);
    ck_assert_str_eq(show(), defaults);
    ck_assert_int_eq(parse(NULL, others), OPT_RUN);
    ck_assert_str_eq(show(), defaults);
}
END_TEST

/* ---- values ---- */

/* "SSE_FOO_BAR=value" for foo-bar. */
static void variable(char *out, size_t cap, const char *name, const char *value)
{
    int n = snprintf(out, cap, "SSE_%s=%s", name, value);
    ck_assert(n > 0 && (size_t)n < cap);
    for (char *c = out; *c != '='; c++)
        *c = *c == '-' ? '_' : (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
}

static void has(const char *word, int line, const char *how)
{
    char want[512];
    snprintf(want, sizeof(want), " %s ", word);
    ck_assert_msg(strstr(show(), want) != NULL, "line %d, %s: %s", line, how, shown);
}

static const struct {
    int line;
    const char *name, *value;
    const char *word; /* of show() */
} good[] = {
    {__LINE__, "port", "0", "port=0"},
    {__LINE__, "port", "65535", "port=65535"},
    {__LINE__, "port", "0080", "port=80"},
    {__LINE__, "bind", "::1", "bind=::1"},
    {__LINE__, "bind", "unix:/run/sse=1.sock", "bind=unix:/run/sse=1.sock"},
    {__LINE__, "topic", "a/b", "topic=a/b"},
    {__LINE__, "topic", "a/*/**", "topic=a/*/**"},
    {__LINE__, "topic", "**", "topic=**"},
    {__LINE__, "ring", "64K", "ring=65536"},
    {__LINE__, "ring", "128m", "ring=134217728"},
    {__LINE__, "ring", "256G", "ring=274877906944"},
    {__LINE__, "ring", "1048576", "ring=1048576"},
    {__LINE__, "store", "/var/lib/sse/ring", "store=/var/lib/sse/ring"},
    {__LINE__, "store", "a file=1,b", "store=a file=1,b"},
    {__LINE__, "store", "none", "store=(none)"},
    {__LINE__, "store", "None", "store=None"},
    {__LINE__, "fsync", "never", "fsync=0"},
    {__LINE__, "fsync", "interval", "fsync=1"},
    {__LINE__, "fsync", "always", "fsync=2"},
    {__LINE__, "max-age", "none", "max-age=0"},
    {__LINE__, "max-age", "0", "max-age=0"},
    {__LINE__, "max-age", "0h", "max-age=0"},
    {__LINE__, "max-age", "10ms", "max-age=10"},
    {__LINE__, "max-age", "30", "max-age=30000"},
    {__LINE__, "max-age", "24h", "max-age=86400000"},
    {__LINE__, "max-age", "7d", "max-age=604800000"},
    {__LINE__, "max-age", "1000000h", "max-age=3600000000000"},
    {__LINE__, "max-message", "1", "max-message=1"},
    {__LINE__, "max-message", "4M", "max-message=4194304"},
    {__LINE__, "max-connections", "0", "max-connections=0"},
    {__LINE__, "max-connections", "100k", "max-connections=102400"},
    {__LINE__, "max-connections", "1G", "max-connections=1073741824"},
    {__LINE__, "max-per-address", "0", "max-per-address=0"},
    {__LINE__, "max-per-address", "20", "max-per-address=20"},
    {__LINE__, "max-per-address", "1G", "max-per-address=1073741824"},
    {__LINE__, "max-topics", "1", "max-topics=1"},
    {__LINE__, "max-topics", "16M", "max-topics=16777216"},
    {__LINE__, "max-memory", "none", "max-memory=0"},
    {__LINE__, "max-memory", "0", "max-memory=0"},
    {__LINE__, "max-memory", "1M", "max-memory=1048576"},
    {__LINE__, "max-memory", "1000000000", "max-memory=1000000000"},
    {__LINE__, "max-memory", "1024g", "max-memory=1099511627776"},
    {__LINE__, "max-subscriptions", "1", "max-subscriptions=1"},
    {__LINE__, "max-subscriptions", "65536", "max-subscriptions=65536"},
    {__LINE__, "max-sets", "64K", "max-sets=65536"},
    {__LINE__, "max-sets", "16G", "max-sets=17179869184"},
    {__LINE__, "max-share", "1", "max-share=1"},
    {__LINE__, "max-share", "65536", "max-share=65536"},
    {__LINE__, "max-line", "64", "max-line=64"},
    {__LINE__, "max-line", "16K", "max-line=16384"},
    {__LINE__, "max-head", "8K", "max-head=8192"},
    {__LINE__, "max-head", "1M", "max-head=1048576"},
    {__LINE__, "max-buffers", "1M", "max-buffers=1048576"},
    {__LINE__, "max-buffers", "1024G", "max-buffers=1099511627776"},
    {__LINE__, "max-answer", "1K", "max-answer=1024"},
    {__LINE__, "max-answer", "64M", "max-answer=67108864"},
    {__LINE__, "max-wait", "1s", "max-wait=1000"},
    {__LINE__, "max-wait", "24h", "max-wait=86400000"},
    {__LINE__, "heartbeat", "10ms", "heartbeat=10"},
    {__LINE__, "heartbeat", "24h", "heartbeat=86400000"},
    {__LINE__, "heartbeat", "90", "heartbeat=90000"},
    {__LINE__, "retry", "2m", "retry=120000"},
    {__LINE__, "request-timeout", "5s", "request-timeout=5000"},
    {__LINE__, "idle-timeout", "500ms", "idle-timeout=500"},
    {__LINE__, "min-rate", "0", "min-rate=0"},
    {__LINE__, "min-rate", "64K", "min-rate=65536"},
    {__LINE__, "min-rate", "1G", "min-rate=1073741824"},
    {__LINE__, "write-timeout", "1h", "write-timeout=3600000"},
    {__LINE__, "drain", "0", "drain=0"},
    {__LINE__, "drain", "0ms", "drain=0"},
    {__LINE__, "drain", "1500ms", "drain=1500"},
    {__LINE__, "drain", "24h", "drain=86400000"},
    {__LINE__, "anonymous", "publish", "anonymous=3"}, /* without keys all may subscribe as well */
    {__LINE__, "anonymous", "subscribe", "anonymous=1"},
    {__LINE__, "anonymous", "publish,subscribe", "anonymous=3"},
    {__LINE__, "anonymous", "subscribe,publish", "anonymous=3"},
    {__LINE__, "anonymous", "none", "anonymous=0"},
    {__LINE__, "key-file", "/etc/sse/keys",
     "key-file=/etc/sse/keys key-refresh=0 audience= issuer= claims=(none) anonymous=0"},
    {__LINE__, "key-refresh", "5m", "key-refresh=300000"},
    {__LINE__, "audience", "https://a", "audience=https://a"},
    {__LINE__, "issuer", "https://i/", "issuer=https://i/"},
    {__LINE__, "claims", "https://x/y", "claims=https://x/y"},
    {__LINE__, "key-file", "none", "key-file= key-refresh=0"},
    {__LINE__, "max-revoked", "0", "max-revoked=0"},
    {__LINE__, "max-revoked", "1900", "max-revoked=1900"},
    {__LINE__, "log-subject", "yes", "log-subject=1"},
    {__LINE__, "max-failures", "0", "max-failures=0"},
    {__LINE__, "workers", "1", "workers=1"},
    {__LINE__, "workers", "64", "workers=64"},
    {__LINE__, "workers", "auto", "workers=0"},
    {__LINE__, "max-failures", "1M", "max-failures=1048576"},
    {__LINE__, "max-scopes", "64K", "max-scopes=65536"},
    {__LINE__, "max-scopes", "1G", "max-scopes=1073741824"},
    {__LINE__, "admin", "127.0.0.1:9090", "admin=127.0.0.1:9090"},
    {__LINE__, "admin", "unix:/run/admin.sock", "admin=unix:/run/admin.sock"},
    {__LINE__, "host", "events.example.com", "host=events.example.com"},
    {__LINE__, "host", "A-b_c.example.", "host=A-b_c.example."},
    {__LINE__, "host", "192.0.2.1", "host=192.0.2.1"},
    {__LINE__, "host", "[2001:db8::1]", "host=[2001:db8::1]"},
    {__LINE__, "host", "2001:db8::1", "host=2001:db8::1"},
    {__LINE__, "trust-proxy", "127.0.0.1", "trust-proxy=127.0.0.1"},
    {__LINE__, "trust-proxy", "[::1]", "trust-proxy=[::1]"},
    {__LINE__, "trust-proxy", "10.0.0.0/8", "trust-proxy=10.0.0.0/8"},
    {__LINE__, "trust-proxy", "unix", "trust-proxy=unix"},
    {__LINE__, "proxy-protocol", "1", "proxy-protocol=1"},
    {__LINE__, "proxy-protocol", "yes", "proxy-protocol=1"},
    {__LINE__, "proxy-protocol", "no", "proxy-protocol=0"},
    {__LINE__, "cors", "*", "cors=*"},
    {__LINE__, "cors", "null", "cors=null"},
    {__LINE__, "cors", "https://a.example", "cors=https://a.example"},
    {__LINE__, "cors", "http://localhost:3000", "cors=http://localhost:3000"},
    {__LINE__, "cors", "http://[::1]", "cors=http://[::1]"},
    {__LINE__, "cors", "http://[::1]:65535", "cors=http://[::1]:65535"},
    {__LINE__, "cors", "moz-extension://0a-b_c", "cors=moz-extension://0a-b_c"},
    {__LINE__, "user", "nobody", "user=nobody"},
    {__LINE__, "user", "33:www-data", "user=33:www-data"},
    {__LINE__, "user", "none", "user=(none)"},
    {__LINE__, "no-sandbox", "yes", "no-sandbox=1"},
    {__LINE__, "no-sandbox", "0", "no-sandbox=0"},
    {__LINE__, "log", "error", "log=0"},
    {__LINE__, "log", "warn", "log=1"},
    {__LINE__, "log", "info", "log=2"},
    {__LINE__, "log", "debug", "log=3"},
    {__LINE__, "access-log", "1", "access-log=1"},
    {__LINE__, "access-log", "yes", "access-log=1"},
    {__LINE__, "access-log", "true", "access-log=1"},
    {__LINE__, "access-log", "0", "access-log=0"},
    {__LINE__, "access-log", "no", "access-log=0"},
    {__LINE__, "access-log", "false", "access-log=0"},
    {__LINE__, "no-page", "yes", "no-page=1"},
};

START_TEST(takes_values)
{
    const char *name = good[_i].name, *value = good[_i].value, *word = good[_i].word;
    const char *also = strcmp(name, "fsync") == 0 ? "SSE_STORE=/s" : "A=b";
    char flag[128], both[256], env[256], bad[256];
    snprintf(flag, sizeof(flag), "--%s", name);
    snprintf(both, sizeof(both), "--%s=%s", name, value);
    variable(env, sizeof(env), name, value);
    variable(bad, sizeof(bad), name, "%");

    ck_assert_int_eq(parse(ARGS(both), ARGS(also)), OPT_RUN);
    has(word, good[_i].line, "--flag=value");
    ck_assert_int_eq(parse(NULL, ARGS(also, env)), OPT_RUN);
    has(word, good[_i].line, "variable");
    ck_assert_int_eq(parse(ARGS(both), ARGS(also, bad)), OPT_RUN);
    has(word, good[_i].line, "flag over variable");
    if (strcmp(name, "access-log") != 0 && strcmp(name, "log-subject") != 0 &&
        strcmp(name, "proxy-protocol") != 0 && strcmp(name, "no-page") != 0 &&
        strcmp(name, "no-sandbox") != 0) {
        ck_assert_int_eq(parse(ARGS(flag, value, "--"), ARGS(also)), OPT_RUN);
        has(word, good[_i].line, "--flag value");
    }
}
END_TEST

#define SIZE_OF(range, like) "must be a size from " range ", such as " like
#define TIME_OF(like)        "must be a time from 10ms to 24h, such as " like
#define WAIT_OF              "must be a time from 1s to 24h, such as 60s"
#define AGE_OF               "must be none, or a time from 10ms to 1000000h, such as 10m"
#define COMMANDS             ", and the commands sub, pub, token, health"
#define PORT_OF              "must be a number from 0 to 65535"
#define RING_OF              "must be a power of two from 64K to 256G"
#define ORIGIN_OF            "must be *, null, or scheme://host[:port] without a path"
#define HOST_OF              "must be a name, or an IPv4 or IPv6 address, without a scheme and a port"
#define NET_OF               "must be an IPv4 or IPv6 address, a network as 10.0.0.0/8, or unix"
#define WAYS_OF              "must be publish, subscribe, or both with a comma between, or none"
#define FSYNC_OF             "must be never, interval or always"
#define MEMORY_OF            "must be none, or a size from 1M to 1024G, such as 512M"
#define DRAIN_OF             "must be a time from 0ms to 24h, such as 5s"
#define YES_OF               "must be 1, yes or true, or 0, no or false"

static const struct {
    int line;
    const char *name, *value, *right;
} bad[] = {
    {__LINE__, "port", "70000", PORT_OF},
    {__LINE__, "port", "65536", PORT_OF},
    {__LINE__, "port", "-1", PORT_OF},
    {__LINE__, "port", "+1", PORT_OF},
    {__LINE__, "port", " 1", PORT_OF},
    {__LINE__, "port", "1K", PORT_OF},
    {__LINE__, "port", "http", PORT_OF},
    {__LINE__, "port", "99999999999999999999", PORT_OF},
    {__LINE__, "topic", "a//b", "has an empty segment"},
    {__LINE__, "topic", "a,b", "has a comma"},
    {__LINE__, "topic", "-/x", "begins with \"-\""},
    {__LINE__, "ring", "32K", RING_OF},
    {__LINE__, "ring", "512G", RING_OF},
    {__LINE__, "ring", "1T", RING_OF},
    {__LINE__, "ring", "x", RING_OF},
    {__LINE__, "ring", "64MB", RING_OF},
    {__LINE__, "ring", "1.5G", RING_OF},
    {__LINE__, "ring", "99999999999999999G", RING_OF},
    {__LINE__, "ring", "17179869185G", RING_OF}, /* 1G, modulo 2^64 */
    {__LINE__, "ring", "100M", "must be a power of two: 64M or 128M"},
    {__LINE__, "ring", "65537", "must be a power of two: 64K or 128K"},
    {__LINE__, "ring", "255G", "must be a power of two: 128G or 256G"},
    {__LINE__, "store", "", "must be a file, or none"},
    {__LINE__, "fsync", "sometimes", FSYNC_OF},
    {__LINE__, "fsync", "Always", FSYNC_OF},
    {__LINE__, "fsync", "never", "there is nothing to sync without --store FILE"},
    {__LINE__, "fsync", "interval", "there is nothing to sync without --store FILE"},
    {__LINE__, "fsync", "always", "there is nothing to sync without --store FILE"},
    {__LINE__, "max-age", "9ms", AGE_OF},
    {__LINE__, "max-age", "7w", AGE_OF},
    {__LINE__, "max-age", "41667d", AGE_OF},
    {__LINE__, "max-age", "1000001h", AGE_OF},
    {__LINE__, "max-age", "None", AGE_OF},
    {__LINE__, "max-message", "0", SIZE_OF("1 to 256M", "1M")},
    {__LINE__, "max-message", "257M", SIZE_OF("1 to 256M", "1M")},
    {__LINE__, "max-message", "5M", "must be at most 4M, a sixteenth of --ring"},
    {__LINE__, "max-connections", "1025M", "must be a number from 0 to 1G"},
    {__LINE__, "max-connections", "all", "must be a number from 0 to 1G"},
    {__LINE__, "max-per-address", "-1", "must be a number from 0 to 1G"},
    {__LINE__, "max-per-address", "none", "must be a number from 0 to 1G"},
    {__LINE__, "max-per-address", "1073741825", "must be a number from 0 to 1G"},
    {__LINE__, "max-topics", "0", "must be a number from 1 to 16M"},
    {__LINE__, "max-topics", "17M", "must be a number from 1 to 16M"},
    {__LINE__, "max-memory", "1023K", MEMORY_OF},
    {__LINE__, "max-memory", "1025G", MEMORY_OF},
    {__LINE__, "max-memory", "50%", MEMORY_OF},
    {__LINE__, "max-memory", "", MEMORY_OF},
    {__LINE__, "max-subscriptions", "0", "must be a number from 1 to 64K"},
    {__LINE__, "max-subscriptions", "65537", "must be a number from 1 to 64K"},
    {__LINE__, "max-sets", "63K", "must be a size from 64K to 16G, such as 64M"},
    {__LINE__, "max-share", "0", "must be a number from 1 to 64K"},
    {__LINE__, "max-line", "63", SIZE_OF("64 to 1M", "8K")},
    {__LINE__, "max-line", "1025K", SIZE_OF("64 to 1M", "8K")},
    {__LINE__, "max-line", "17K", "must be at most 16K, which is --max-head"},
    {__LINE__, "max-head", "255", SIZE_OF("256 to 1M", "16K")},
    {__LINE__, "max-head", "2M", SIZE_OF("256 to 1M", "16K")},
    {__LINE__, "max-head", "4K", "must be at least 8K, which is --max-line"},
    {__LINE__, "max-buffers", "1023K", SIZE_OF("1M to 1024G", "256M")},
    {__LINE__, "max-buffers", "", SIZE_OF("1M to 1024G", "256M")},
    {__LINE__, "max-answer", "1023", SIZE_OF("1K to 64M", "256K")},
    {__LINE__, "max-answer", "65M", SIZE_OF("1K to 64M", "256K")},
    {__LINE__, "max-wait", "999ms", WAIT_OF},
    {__LINE__, "max-wait", "0", WAIT_OF},
    {__LINE__, "max-wait", "25h", WAIT_OF},
    {__LINE__, "heartbeat", "9ms", TIME_OF("15s")},
    {__LINE__, "heartbeat", "0", TIME_OF("15s")},
    {__LINE__, "heartbeat", "25h", TIME_OF("15s")},
    {__LINE__, "heartbeat", "1.5s", TIME_OF("15s")},
    {__LINE__, "heartbeat", "15S", TIME_OF("15s")},
    {__LINE__, "heartbeat", "s", TIME_OF("15s")},
    {__LINE__, "heartbeat", "", TIME_OF("15s")},
    {__LINE__, "heartbeat", "9999999999999999999h", TIME_OF("15s")},
    {__LINE__, "retry", "1ms", TIME_OF("2s")},
    {__LINE__, "request-timeout", "none", TIME_OF("10s")},
    {__LINE__, "idle-timeout", "86401", TIME_OF("75s")},
    {__LINE__, "min-rate", "none", SIZE_OF("0 to 1G", "500")},
    {__LINE__, "min-rate", "2G", SIZE_OF("0 to 1G", "500")},
    {__LINE__, "min-rate", "5s", SIZE_OF("0 to 1G", "500")},
    {__LINE__, "write-timeout", "1 s", TIME_OF("30s")},
    {__LINE__, "drain", "never", DRAIN_OF},
    {__LINE__, "drain", "25h", DRAIN_OF},
    {__LINE__, "drain", "-1s", DRAIN_OF},
    {__LINE__, "anonymous", "all", WAYS_OF},
    {__LINE__, "anonymous", "publish,", WAYS_OF},
    {__LINE__, "anonymous", "publish, subscribe", WAYS_OF},
    {__LINE__, "anonymous", "", WAYS_OF},
    {__LINE__, "anonymous", "none,publish", WAYS_OF},
    {__LINE__, "key-file", "", "must not be empty"},
    {__LINE__, "key-refresh", "1ms", "must be none, or a time from 1s to 24h, such as 10m"},
    {__LINE__, "audience", "", "must not be empty"},
    {__LINE__, "issuer", "", "must not be empty"},
    {__LINE__, "claims", "", "must be a name, or none"},
    {__LINE__, "workers", "0", "must be auto, or a number from 1 to 64"},
    {__LINE__, "workers", "65", "must be auto, or a number from 1 to 64"},
    {__LINE__, "max-failures", "1048577", "must be a number from 0 to 1M"},
    {__LINE__, "max-revoked", "1901", "must be a number from 0 to 1900"},
    {__LINE__, "log-subject", "maybe", YES_OF},
    {__LINE__, "max-scopes", "65535", "must be a size from 64K to 1G, such as 16M"},
    {__LINE__, "host", "http://a.example", HOST_OF},
    {__LINE__, "host", "a.example:8080", HOST_OF},
    {__LINE__, "host", "[::1]:8080", HOST_OF},
    {__LINE__, "host", "unix:/run/sse.sock", HOST_OF},
    {__LINE__, "host", "*", HOST_OF},
    {__LINE__, "host", "a,b", HOST_OF},
    {__LINE__, "host", "", "must not be empty"},
    {__LINE__, "admin", "", "must not be empty"},
    {__LINE__, "trust-proxy", "localhost", NET_OF},
    {__LINE__, "trust-proxy", "unix:/run/nginx.sock", NET_OF},
    {__LINE__, "trust-proxy", "none", NET_OF},
    {__LINE__, "trust-proxy", "127.0.0.1,::1", NET_OF},
    {__LINE__, "trust-proxy", "10.0.0.0/33", "must have 0 to 32 bits behind the /"},
    {__LINE__, "trust-proxy", "10.0.0.1/8", "is no network: it has bits behind those that count"},
    {__LINE__, "trust-proxy", "", "must not be empty"},
    {__LINE__, "proxy-protocol", "v2", YES_OF},
    {__LINE__, "cors", "http://a.example/", ORIGIN_OF},
    {__LINE__, "cors", "http://a.example/x", ORIGIN_OF},
    {__LINE__, "cors", "a.example", ORIGIN_OF},
    {__LINE__, "cors", "a.example:80", ORIGIN_OF},
    {__LINE__, "cors", "http:a.example", ORIGIN_OF},
    {__LINE__, "cors", "http://", ORIGIN_OF},
    {__LINE__, "cors", "http://:80", ORIGIN_OF},
    {__LINE__, "cors", "://a.example", ORIGIN_OF},
    {__LINE__, "cors", "1http://a.example", ORIGIN_OF},
    {__LINE__, "cors", "http://a.example:", ORIGIN_OF},
    {__LINE__, "cors", "http://a.example:0", ORIGIN_OF},
    {__LINE__, "cors", "http://a.example:65536", ORIGIN_OF},
    {__LINE__, "cors", "http://a:1:2", ORIGIN_OF},
    {__LINE__, "cors", "http://u@a.example", ORIGIN_OF},
    {__LINE__, "cors", "https://*.example", ORIGIN_OF},
    {__LINE__, "cors", "http://[::1", ORIGIN_OF},
    {__LINE__, "cors", "http://[]", ORIGIN_OF},
    {__LINE__, "cors", "http://[::1]x", ORIGIN_OF},
    {__LINE__, "cors", "http://[::1]:x", ORIGIN_OF},
    {__LINE__, "user", "", "must be NAME or UID, perhaps with :GROUP"},
    {__LINE__, "no-sandbox", "maybe", YES_OF},
    {__LINE__, "log", "verbose", "must be error, warn, info or debug"},
    {__LINE__, "log", "INFO", "must be error, warn, info or debug"},
    {__LINE__, "no-page", "maybe", YES_OF},
    {__LINE__, "access-log", "maybe", YES_OF},
    {__LINE__, "access-log", "2", YES_OF},
    {__LINE__, "access-log", "", YES_OF},
    {__LINE__, "bind", "", "must not be empty"},
    {__LINE__, "topic", "", "must not be empty"},
    {__LINE__, "cors", "", "must not be empty"},
};

START_TEST(refuses_values)
{
    const char *name = bad[_i].name, *value = bad[_i].value;
    char arg[256], env[256], want[512];
    snprintf(arg, sizeof(arg), "--%s=%s", name, value);
    snprintf(want, sizeof(want), "--%s %s: %s", name, value, bad[_i].right);
    enum opt_result result = parse((const char *const[]){arg, NULL}, NULL);
    ck_assert_msg(result == OPT_WRONG, "line %d", bad[_i].line);
    ck_assert_str_eq(message, want);

    variable(env, sizeof(env), name, value);
    result = parse(NULL, (const char *const[]){env, NULL});
    if (value[0] == '\0') {
        ck_assert_msg(result == OPT_RUN, "line %d", bad[_i].line);
        ck_assert_str_eq(show(), defaults);
        return;
    }
    snprintf(want, sizeof(want), "%s: %s", env, bad[_i].right);
    ck_assert_msg(result == OPT_WRONG, "line %d", bad[_i].line);
    ck_assert_str_eq(message, want);
}
END_TEST

/* ---- arguments ---- */

START_TEST(reads_arguments)
{
    ck_assert_int_eq(parse(ARGS("-p1", "-b", "::1", "-b0.0.0.0", "-t", "a", "-ta/*", "-r1M"), NULL),
                     OPT_RUN);
    has("port=1 bind=::1|0.0.0.0 admin= host= topic=a|a/* ring=1048576", __LINE__, "letters");
    ck_assert_int_eq(parse(ARGS("--port", "1", "-p", "2", "--port=3"), NULL), OPT_RUN);
    has("port=3", __LINE__, "the last one wins");
    ck_assert_int_eq(parse(ARGS("--access-log", "--log=warn"), NULL), OPT_RUN);
    has("log=1 access-log=1", __LINE__, "without a value");
    ck_assert_int_eq(parse(ARGS("--access-log=no"), ARGS("SSE_ACCESS_LOG=1")), OPT_RUN);
    has("access-log=0", __LINE__, "back to no");
    ck_assert_int_eq(parse(ARGS("--cors", "null", "--cors=*", "--"), NULL), OPT_RUN);
    has("cors=null|*", __LINE__, "repeated");
    ck_assert_int_eq(parse(ARGS("--max-head=64K", "--max-line=64K"), NULL), OPT_RUN);
    has("max-line=65536 max-head=65536", __LINE__, "together");
    ck_assert_int_eq(parse(ARGS("--max-message=256M", "-r4G"), NULL), OPT_RUN);
    has("max-message=268435456", __LINE__, "together");
    ck_assert_int_eq(parse(ARGS("-r64K"), NULL), OPT_RUN);
    has("max-message=4096", __LINE__, "a default follows the ring");
}
END_TEST

START_TEST(reads_variables)
{
    ck_assert_int_eq(parse(NULL, ARGS("SSE_BIND= ::1  0.0.0.0 ", "SSE_TOPIC=a b/**",
                                      "SSE_CORS=null https://a.example", "SSE_PORT=1")),
                     OPT_RUN);
    has("port=1 bind=::1|0.0.0.0 admin= host= topic=a|b/**", __LINE__, "lists");
    has("cors=null|https://a.example", __LINE__, "lists");
    ck_assert_int_eq(parse(ARGS("-b", "::1"), ARGS("SSE_BIND=1.1.1.1", "SSE_PORT=1")), OPT_RUN);
    has("port=1 bind=::1", __LINE__, "a flag replaces the list");
    ck_assert_int_eq(parse(NULL, ARGS("SSE_PORT=", "SSE_BIND=", "SSE_CORS=  ", "SSE_LOG=")),
                     OPT_RUN);
    ck_assert_str_eq(show(), defaults);
    ck_assert_int_eq(parse(NULL, ARGS("SSE_PORT=1", "SSE_PORT=2")), OPT_RUN);
    has("port=1", __LINE__, "the first, as getenv() does");
    ck_assert_int_eq(parse(NULL, ARGS("SSE_TOPIC=a b//c d")), OPT_WRONG);
    ck_assert_str_eq(message, "SSE_TOPIC=b//c: has an empty segment");
    ck_assert_int_eq(parse(ARGS("-r1M"), ARGS("SSE_MAX_MESSAGE=1M")), OPT_WRONG);
    ck_assert_str_eq(message, "SSE_MAX_MESSAGE=1M: must be at most 64K, a sixteenth of --ring");
}
END_TEST

/* Which of ring, connections, topics and buffers were given, as digits. */
static int given(const char *const args[], const char *const env[])
{
    ck_assert_int_eq(parse(args, env), OPT_RUN);
    return opt.ring_given * 1000 + opt.connections_given * 100 + opt.topics_given * 10 +
           opt.buffers_given;
}

START_TEST(tells_what_was_given)
{
    ck_assert_int_eq(given(NULL, NULL), 0);
    ck_assert_int_eq(given(ARGS("-r64M"), NULL), 1000);
    ck_assert_int_eq(given(ARGS("--max-connections=1"), NULL), 100);
    ck_assert_int_eq(given(ARGS("--max-connections=0"), NULL), 0);
    ck_assert_int_eq(given(ARGS("--max-topics=1M"), NULL), 10);
    ck_assert_int_eq(given(ARGS("--max-buffers=256M"), NULL), 1);
    ck_assert_int_eq(given(ARGS("--max-memory=1G", "-p1", "--max-message=1K"), NULL), 0);
    ck_assert_int_eq(given(NULL, ARGS("SSE_RING=64M", "SSE_MAX_TOPICS=5")), 1010);
    ck_assert_int_eq(given(NULL, ARGS("SSE_MAX_CONNECTIONS=5", "SSE_MAX_BUFFERS=1M")), 101);
    ck_assert_int_eq(given(NULL, ARGS("SSE_MAX_CONNECTIONS=", "SSE_MAX_BUFFERS=", "SSE_RING=")), 0);
}
END_TEST

START_TEST(stores)
{
    static char store[] = "--store=/s";
    char *argv[] = {NULL, store, NULL}, *envp[] = {NULL};
    struct text err = text_in(message, sizeof(message));
    ck_assert_int_eq(opt_parse(&opt, 2, argv, envp, &err), OPT_RUN);
    ck_assert_ptr_eq(opt.store, store + 8);
    ck_assert_int_eq(parse(ARGS("--store", "/a", "--store=/b"), ARGS("SSE_STORE=/c")), OPT_RUN);
    has("store=/b fsync=1", __LINE__, "the last one wins");
    ck_assert_int_eq(parse(ARGS("--store=none"), ARGS("SSE_STORE=/c")), OPT_RUN);
    has("store=(none)", __LINE__, "a flag takes back a variable");
    ck_assert_int_eq(parse(ARGS("--store=none"), ARGS("SSE_STORE=/c", "SSE_FSYNC=always")),
                     OPT_WRONG);
    ck_assert_str_eq(message, "SSE_FSYNC=always: there is nothing to sync without --store FILE");
    ck_assert_int_eq(parse(ARGS("--fsync", "always"), ARGS("SSE_STORE=/c")), OPT_RUN);
    has("store=/c fsync=2", __LINE__, "flag and variable");
}
END_TEST

#define NO_WORD ": the server starts without a word, by sse [OPTION]..."

static const struct {
    int line;
    enum opt_result result;
    const char *args[4];
    const char *message;
} lines[] = {
    {__LINE__, OPT_HELP, {"--help"}, ""},
    {__LINE__, OPT_HELP, {"-h"}, ""},
    {__LINE__, OPT_HELP, {"-p", "1", "-h", "--nonsense"}, ""},
    {__LINE__, OPT_VERSION, {"--version"}, ""},
    {__LINE__, OPT_VERSION, {"-V"}, ""},
    {__LINE__, OPT_VERSION, {"-v"}, ""},
    {__LINE__, OPT_WRONG, {"publish"}, "unexpected argument publish: did you mean sse pub?"},
    {__LINE__, OPT_WRONG, {"subscribe"}, "unexpected argument subscribe: did you mean sse sub?"},
    {__LINE__, OPT_WRONG, {"serve", "-p", "1"}, "unexpected argument serve" NO_WORD},
    {__LINE__, OPT_WRONG, {"start"}, "unexpected argument start" NO_WORD},
    {__LINE__, OPT_WRONG, {"serves"}, "unexpected argument serves: there are only flags" COMMANDS},
    {__LINE__, OPT_EXPLAIN, {"--explain-limits"}, ""},
    {__LINE__, OPT_RUN, {"--"}, ""},
    {__LINE__, OPT_WRONG, {"--port"}, "--port needs a value"},
    {__LINE__, OPT_WRONG, {"-p"}, "--port needs a value"},
    {__LINE__, OPT_WRONG, {"--access-log", "--bind"}, "--bind needs a value"},
    {__LINE__, OPT_WRONG, {"-p", "--log"}, "--port --log: must be a number from 0 to 65535"},
    {__LINE__, OPT_WRONG, {"-p", ""}, "--port : must be a number from 0 to 65535"},
    {__LINE__, OPT_WRONG, {"--bind", ""}, "--bind : must not be empty"},
    {__LINE__, OPT_WRONG, {"--port", "x", "-h"}, "--port x: must be a number from 0 to 65535"},
    {__LINE__, OPT_WRONG, {"8080"}, "unexpected argument 8080: there are only flags" COMMANDS},
    {__LINE__, OPT_WRONG, {"-"}, "unexpected argument -: there are only flags" COMMANDS},
    {__LINE__, OPT_WRONG, {""}, "unexpected argument : there are only flags" COMMANDS},
    {__LINE__, OPT_WRONG, {"--", "-p"}, "unexpected argument -p: there are only flags" COMMANDS},
    {__LINE__,
     OPT_WRONG,
     {"--access-log", "yes"},
     "unexpected argument yes: there are only flags" COMMANDS},
    {__LINE__, OPT_WRONG, {"-x"}, "unknown flag -x"},
    {__LINE__, OPT_WRONG, {"- "}, "unknown flag - "},
    {__LINE__, OPT_WRONG, {"-P80"}, "unknown flag -P80"},
    {__LINE__, OPT_WRONG, {"--prot"}, "unknown flag --prot; did you mean --port?"},
    {__LINE__, OPT_WRONG, {"--lgo"}, "unknown flag --lgo; did you mean --log?"},
    {__LINE__, OPT_WRONG, {"--prot=80"}, "unknown flag --prot; did you mean --port?"},
    {__LINE__, OPT_WRONG, {"-port80"}, "--port ort80: must be a number from 0 to 65535"},
    {__LINE__, OPT_WRONG, {"--PORT"}, "unknown flag --PORT"},
    {__LINE__, OPT_WRONG, {"--max_line"}, "unknown flag --max_line; did you mean --max-line?"},
    {__LINE__,
     OPT_WRONG,
     {"--max-conn"},
     "unknown flag --max-conn; did you mean --max-connections?"},
    {__LINE__, OPT_WRONG, {"--max"}, "unknown flag --max"},
    {__LINE__, OPT_WRONG, {"--hartbeat"}, "unknown flag --hartbeat; did you mean --heartbeat?"},
    {__LINE__, OPT_WRONG, {"--accesslog"}, "unknown flag --accesslog; did you mean --access-log?"},
    {__LINE__, OPT_WRONG, {"--topics"}, "unknown flag --topics; did you mean --topic?"},
    {__LINE__, OPT_WRONG, {"--verbose"}, "unknown flag --verbose"},
    {__LINE__, OPT_WRONG, {"--x"}, "unknown flag --x"},
    {__LINE__, OPT_WRONG, {"--=1"}, "unknown flag --"},
    {__LINE__,
     OPT_WRONG,
     {"--a-name-that-is-longer-than-any-flag-there-is"},
     "unknown flag --a-name-that-is-longer-than-any-flag-there-is"},
    {__LINE__,
     OPT_WRONG,
     {"--max-line=64K", "--max-head=32K"},
     "--max-head 32K: must be at least 64K, which is --max-line"},
    {__LINE__,
     OPT_WRONG,
     {"--max-message=64K", "--ring=512K"},
     "--max-message 64K: must be at most 32K, a sixteenth of --ring"},
};

START_TEST(command_lines)
{
    const char *args[5] = {NULL};
    memcpy(args, lines[_i].args, sizeof(lines[_i].args));
    enum opt_result result = parse(args, NULL);
    ck_assert_msg(result == lines[_i].result, "line %d: %d", lines[_i].line, (int)result);
    ck_assert_str_eq(message, lines[_i].message);
}
END_TEST

START_TEST(limits_lists)
{
    const char *args[OPT_LIST_MAX + 2] = {NULL};
    for (size_t i = 0; i < OPT_LIST_MAX; i++)
        args[i] = "-ta";
    ck_assert_int_eq(parse(args, NULL), OPT_RUN);
    ck_assert_uint_eq(opt.topic.n, OPT_LIST_MAX);
    args[OPT_LIST_MAX] = "--topic=b";
    ck_assert_int_eq(parse(args, NULL), OPT_WRONG);
    ck_assert_str_eq(message, "--topic b: is one more than there can be");
}
END_TEST

START_TEST(cuts_long_values)
{
    char arg[2048];
    memset(arg, 'x', sizeof(arg) - 1);
    arg[sizeof(arg) - 1] = '\0';
    memcpy(arg, "-p", 2);
    ck_assert_int_eq(parse(ARGS(arg), NULL), OPT_WRONG);
    ck_assert_ptr_nonnull(strstr(message, "xxx...: must be a number"));
}
END_TEST

START_TEST(spans_point_at_arguments)
{
    static char bind[] = "--bind=::1", env[] = "SSE_TOPIC=a b";
    char *argv[] = {NULL, bind, NULL}, *envp[] = {env, NULL};
    struct text err = text_in(message, sizeof(message));
    ck_assert_int_eq(opt_parse(&opt, 2, argv, envp, &err), OPT_RUN);
    ck_assert_ptr_eq(opt.bind.item[0].p, bind + 7);
    ck_assert_ptr_eq(opt.topic.item[1].p, env + 12);
    ck_assert_int_eq(opt_parse(&opt, 0, argv + 2, envp, &err), OPT_RUN);
}
END_TEST

/* ---- --help ---- */

/* The name of the flag that a line of --help tells of, and its default; false if it's no such
 * line. */
static bool help_line(struct span line, struct span *name, struct span *def)
{
    if (line.n < 8 || line.p[0] != ' ' || !span_begins(span_from(line, 6), SPAN("--")))
        return false;
    line = span_from(line, 8);
    *def = line;
    *name = span_cut(&line, ' ');
    while (def->n > 0 && def->p[0] != '[')
        *def = span_from(*def, 1);
    if (def->n > 0)
        *def = (struct span){def->p + 1, def->n - 2};
    return true;
}

static bool has_row(struct span name)
{
    bool is_good = false, is_bad = false;
    for (size_t i = 0; i < COUNT(good); i++)
        is_good = is_good || span_eq(name, span_of(good[i].name));
    for (size_t i = 0; i < COUNT(bad); i++)
        is_bad = is_bad || span_eq(name, span_of(bad[i].name));
    return is_good && is_bad;
}

/* Each default that --help shows, given as a flag, changes nothing; each flag it tells of has its
 * rows above, and the other way round. */
START_TEST(help_is_true)
{
    char room[HELP_MAX];
    struct span help = help_text(room, HELP_SERVER), all = help, name, def;
    size_t flags = 0;
    while (help.n > 0) {
        struct span line = span_cut(&help, '\n');
        if (!help_line(line, &name, &def))
            continue;
        flags++;
        if (span_eq(name, SPAN("help")) || span_eq(name, SPAN("version")) ||
            span_eq(name, SPAN("explain-limits")))
            continue;
        ck_assert_msg(def.n > 0 && has_row(name), "%.*s", (int)line.n, line.p);
        char arg[128];
        snprintf(arg, sizeof(arg), "--%.*s=%.*s", (int)name.n, name.p, (int)def.n, def.p);
        bool empty = span_eq(name, SPAN("admin")) || span_eq(name, SPAN("host")) ||
                     span_eq(name, SPAN("topic")) || span_eq(name, SPAN("cors")) ||
                     span_eq(name, SPAN("trust-proxy")) || span_eq(name, SPAN("audience")) ||
                     span_eq(name, SPAN("issuer")) || span_eq(name, SPAN("key-file"));
        bool store = span_eq(name, SPAN("fsync"));
        ck_assert_int_eq(parse(empty ? NULL : ARGS(arg), store ? ARGS("SSE_STORE=/s") : NULL),
                         OPT_RUN);
        opt.store = store ? NULL : opt.store;
        ck_assert_str_eq(show(), defaults);
    }
    ck_assert_uint_eq(flags, 51);
    for (size_t i = 0; i < COUNT(good); i++) {
        char flag[64];
        snprintf(flag, sizeof(flag), "--%s ", good[i].name);
        ck_assert_msg(span_find(all, span_of(flag)) != NULL, "%s", flag);
    }
}
END_TEST

START_TEST(help_fits)
{
    char room[HELP_MAX];
    struct span help = help_text(room, HELP_SERVER);
    size_t lines_there = 0;
    ck_assert(span_begins(help, SPAN("Usage: sse ")));
    ck_assert_int_eq(help.p[help.n - 1], '\n');
    for (; help.n > 0; lines_there++) {
        struct span line = span_cut(&help, '\n');
        ck_assert_msg(line.n <= 80, "%.*s", (int)line.n, line.p);
    }
    ck_assert_uint_le(lines_there, 59);
    ck_assert_str_eq(opt_version(), "sse 0.1.0\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("opt");
    TCase *tc = tcase_create("opt");
    tcase_add_test(tc, has_defaults);
    tcase_add_loop_test(tc, takes_values, 0, (int)COUNT(good));
    tcase_add_loop_test(tc, refuses_values, 0, (int)COUNT(bad));
    tcase_add_test(tc, reads_arguments);
    tcase_add_test(tc, reads_variables);
    tcase_add_test(tc, tells_what_was_given);
    tcase_add_test(tc, stores);
    tcase_add_loop_test(tc, command_lines, 0, (int)COUNT(lines));
    tcase_add_test(tc, limits_lists);
    tcase_add_test(tc, cuts_long_values);
    tcase_add_test(tc, spans_point_at_arguments);
    tcase_add_test(tc, help_is_true);
    tcase_add_test(tc, help_fits);
    suite_add_tcase(s, tc);
    return run(s);
}
