/*
 * cdp.c - tabs of a headless Chromium, driven by its DevTools protocol over a pipe.
 */
#include "test/kit/cdp.h"

#include "lib/hash.h"
#include "test/kit/chromium.h"
#include "test/kit/e2e.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MS 120000 /* of a browser, on a busy machine */
#define TABS_MAX  16

static struct chromium chromium;

static struct {
    char *buf; /* what has come and is not taken yet, ... */
    size_t n, cap;
    char *message; /* ... and the message that was taken last */
    long id;       /* of the last command */
} pipe_;

static struct tab *tabs[TABS_MAX];

void cdp_start(void)
{
    chromium_start(&chromium, "about:blank", true);
}

void cdp_stop(void)
{
    chromium_stop(&chromium);
}

const char *cdp_directory(void)
{
    return chromium.directory;
}

/* ---- JSON ---- */

bool cdp_at(const struct json_value *of, const char *path, struct json_value *v)
{
    struct json_value at = *of;
    struct span rest = span_of(path);
    while (rest.n > 0) {
        struct span wanted = span_cut(&rest, '.'), name;
        struct json_value next;
        size_t pos = 0;
        bool found = false;
        if (at.kind != JSON_OBJECT)
            return false;
        while (!found && json_next(&at, &pos, &name, &next))
            found = span_eq(name, wanted);
        if (!found)
            return false;
        at = next;
    }
    *v = at;
    return true;
}

const char *cdp_text(const struct json_value *v)
{
    static char texts[8][1024];
    static unsigned turn;
    char *text = texts[turn++ % 8];
    ck_assert_int_eq(v->kind, JSON_STRING);
    ck_assert_uint_lt(v->raw.n, sizeof(texts[0]));
    text[json_unescape(v->raw, text)] = '\0';
    return text;
}

/* ---- the pipe ---- */

static void pipe_write(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(chromium.to, p, n);
        if (w <= 0)
            e2e_fail("chromium has ended; it wrote: %s", chromium_stderr(&chromium));
        p += w;
        n -= (size_t)w;
    }
}

/* The next message, read as JSON. False: none came until the deadline. One that a test before this
 * one has had the beginning of is passed over. */
static bool pipe_message(struct json_value *v, int64_t deadline)
{
    for (;;) {
        char *end = pipe_.n > 0 ? memchr(pipe_.buf, '\0', pipe_.n) : NULL;
        if (end != NULL) {
            size_t n = (size_t)(end - pipe_.buf), wrong;
            free(pipe_.message);
            pipe_.message = malloc(n + 1);
            ck_assert_ptr_nonnull(pipe_.message);
            memcpy(pipe_.message, pipe_.buf, n + 1);
            pipe_.n -= n + 1;
            memmove(pipe_.buf, end + 1, pipe_.n);
            if (json_read((struct span){pipe_.message, n}, v, &wrong))
                return true;
            continue;
        }
        struct pollfd p = {chromium.from, POLLIN, 0};
        int64_t left = deadline - e2e_now_ms();
        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            return false;
        if (pipe_.cap - pipe_.n < 65536) {
            pipe_.cap = pipe_.cap * 2 + 131072;
            pipe_.buf = realloc(pipe_.buf, pipe_.cap);
            ck_assert_ptr_nonnull(pipe_.buf);
        }
        ssize_t got = read(chromium.from, pipe_.buf + pipe_.n, pipe_.cap - pipe_.n);
        if (got <= 0)
            e2e_fail("chromium has ended; it wrote: %s", chromium_stderr(&chromium));
        pipe_.n += (size_t)got;
    }
}

/* ---- what tabs report ---- */

static void note(char *record, size_t *n, size_t cap, struct span line)
{
    if (line.n + 2 > cap - *n)
        e2e_fail("a tab reports more than the test provides for: %.200s", line.p);
    memcpy(record + *n, line.p, line.n);
    *n += line.n;
    record[(*n)++] = '\n';
    record[*n] = '\0';
}

static void take_event(const struct json_value *message, const struct json_value *method)
{
    struct json_value session, params, v;
    struct tab *t = NULL;
    if (!cdp_at(message, "sessionId", &session) || !cdp_at(message, "params", &params))
        return;
    for (int i = 0; i < TABS_MAX && t == NULL; i++)
        if (tabs[i] != NULL && span_eq(session.raw, span_of(tabs[i]->session)))
            t = tabs[i];
    if (t == NULL)
        return;
    struct span name = method->raw;
    bool error = cdp_at(&params, "entry.level", &v) || cdp_at(&params, "type", &v);
    error = error && (span_eq(v.raw, SPAN("error")) || span_eq(v.raw, SPAN("warning")) ||
                      span_eq(v.raw, SPAN("assert")));
    if ((span_eq(name, SPAN("Network.requestWillBeSent")) && cdp_at(&params, "request.url", &v)) ||
        (span_eq(name, SPAN("Network.webSocketCreated")) && cdp_at(&params, "url", &v)))
        note(t->asked, &t->nasked, sizeof(t->asked), v.raw);
    else if (span_eq(name, SPAN("Runtime.exceptionThrown")) ||
             (error && (span_eq(name, SPAN("Runtime.consoleAPICalled")) ||
                        span_eq(name, SPAN("Log.entryAdded")))))
        note(t->wrong, &t->nwrong, sizeof(t->wrong),
             params.raw.n < 900 ? params.raw : (struct span){params.raw.p, 900});
}

/* ---- commands ---- */

/* Sends a command to a tab, or to the browser (NULL). */
static struct json_value command(struct tab *t, const char *method, const char *params)
{
    /* No answer to a test before this one is taken for one of this. */
    long id = getpid() % 200000 * 10000L + pipe_.id++ % 10000;
    char head[256];
    struct json_value message, v, result;
    int n = snprintf(head, sizeof(head), "{\"id\":%ld,\"method\":\"%s\"%s%s%s,\"params\":", id,
                     method, t != NULL ? ",\"sessionId\":\"" : "", t != NULL ? t->session : "",
                     t != NULL ? "\"" : "");
    pipe_write(head, (size_t)n);
    pipe_write(params[0] != '\0' ? params : "{}", params[0] != '\0' ? strlen(params) : 2);
    pipe_write("}", 2);
    int64_t deadline = e2e_now_ms() + ANSWER_MS;
    char wanted[24];
    snprintf(wanted, sizeof(wanted), "%ld", id);
    while (pipe_message(&message, deadline)) {
        if (cdp_at(&message, "method", &v))
            take_event(&message, &v);
        else if (cdp_at(&message, "id", &v) && span_eq(v.raw, span_of(wanted))) {
            if (!cdp_at(&message, "result", &result))
                e2e_fail("%s %.500s: %.*s", method, params, (int)message.raw.n, message.raw.p);
            return result;
        }
    }
    e2e_fail("chromium does not answer to %s %.500s; it wrote: %s", method, params,
             chromium_stderr(&chromium));
}

struct json_value tab_send(struct tab *t, const char *method, const char *params)
{
    return command(t, method, params);
}

/* Copies what a command's result has at `name`. */
static void result_copy(struct json_value result, const char *name, char to[64])
{
    struct json_value v;
    ck_assert(cdp_at(&result, name, &v));
    ck_assert_uint_lt(v.raw.n, 64);
    snprintf(to, 64, "%.*s", (int)v.raw.n, v.raw.p);
}

struct tab *tab_open(const struct tab *beside, const char *url)
{
    struct tab *t = calloc(1, sizeof(*t));
    char params[512];
    int i = 0;
    ck_assert_ptr_nonnull(t);
    if (beside != NULL)
        memcpy(t->profile, beside->profile, sizeof(t->profile));
    else
        result_copy(command(NULL, "Target.createBrowserContext", "{\"disposeOnDetach\":true}"),
                    "browserContextId", t->profile);
    snprintf(params, sizeof(params),
             "{\"url\":\"about:blank\",\"browserContextId\":\"%s\",\"newWindow\":true}",
             t->profile);
    result_copy(command(NULL, "Target.createTarget", params), "targetId", t->target);
    snprintf(params, sizeof(params), "{\"targetId\":\"%s\",\"flatten\":true}", t->target);
    result_copy(command(NULL, "Target.attachToTarget", params), "sessionId", t->session);
    while (i < TABS_MAX && tabs[i] != NULL)
        i++;
    ck_assert_int_lt(i, TABS_MAX);
    tabs[i] = t;
    static const char *const domains[] = {"Runtime", "Log", "Network", "Page"};
    for (size_t k = 0; k < sizeof(domains) / sizeof(domains[0]); k++) {
        snprintf(params, sizeof(params), "%s.enable", domains[k]);
        command(t, params, "");
    }
    tab_go(t, url);
    return t;
}

void tab_close(struct tab *t)
{
    char params[128];
    snprintf(params, sizeof(params), "{\"targetId\":\"%s\"}", t->target);
    command(NULL, "Target.closeTarget", params);
    for (int i = 0; i < TABS_MAX; i++)
        if (tabs[i] == t)
            tabs[i] = NULL;
    free(t);
}

void tab_go(struct tab *t, const char *url)
{
    char params[512];
    struct json_value v;
    snprintf(params, sizeof(params), "{\"url\":\"%s\"}", url);
    struct json_value result = command(t, "Page.navigate", params);
    if (cdp_at(&result, "errorText", &v))
        e2e_fail("%s: %s", url, cdp_text(&v));
    tab_wait(t, "document.readyState === 'complete' && location.href !== 'about:blank'");
}

/* ---- JavaScript ---- */

/* Runs it; false: it threw, and *text says what. */
static bool evaluate(struct tab *t, const char *code, const char **text)
{
    static char bytes[65536], params[65536];
    struct text p = text_in(params, sizeof(params) - 1);
    struct json_value v;
    text_str(&p, "{\"expression\":");
    json_string(&p, span_of(code));
    text_str(&p, ",\"awaitPromise\":true,\"returnByValue\":true,\"userGesture\":true}");
    ck_assert(!p.full);
    params[p.n] = '\0';
    struct json_value result = command(t, "Runtime.evaluate", params);
    bool threw = cdp_at(&result, "exceptionDetails.exception.description", &v) ||
                 cdp_at(&result, "exceptionDetails.text", &v);
    if (!threw && !cdp_at(&result, "result.value", &v))
        v = (struct json_value){JSON_STRING, SPAN("undefined")};
    ck_assert_uint_lt(v.raw.n, sizeof(bytes));
    if (v.kind == JSON_STRING)
        bytes[json_unescape(v.raw, bytes)] = '\0';
    else
        snprintf(bytes, sizeof(bytes), "%.*s", (int)v.raw.n, v.raw.p);
    *text = bytes;
    return !threw;
}

const char *tab_eval(struct tab *t, const char *format, ...)
{
    char code[8192];
    const char *text;
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(code, sizeof(code), format, ap);
    va_end(ap);
    ck_assert_int_lt(n, (int)sizeof(code));
    if (!evaluate(t, code, &text))
        e2e_fail("%s\nthrew %s", code, text);
    return text;
}

void tab_wait(struct tab *t, const char *format, ...)
{
    char code[8192], asked[8300];
    const char *text = "";
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(code, sizeof(code), format, ap);
    va_end(ap);
    ck_assert_int_lt(n, (int)sizeof(code));
    snprintf(asked, sizeof(asked), "String(Boolean(%s))", code);
    int64_t deadline = e2e_now_ms() + 2 * E2E_WAIT_MS;
    while (e2e_now_ms() < deadline) {
        /* a page that is being left may throw */
        if (evaluate(t, asked, &text) && strcmp(text, "true") == 0)
            return;
        e2e_sleep_ms(20);
    }
    e2e_fail("not in time: %s\nwrong in the page: %s\nit shows: %.3000s", code, t->wrong,
             tab_eval(t, "document.body ? document.body.innerText : ''"));
}

/* ---- looks, pictures, keys ---- */

void tab_look(struct tab *t, int width, int height, bool phone, bool dark)
{
    char params[256];
    snprintf(params, sizeof(params),
             "{\"width\":%d,\"height\":%d,\"deviceScaleFactor\":%d,\"mobile\":%s}", width, height,
             phone ? 2 : 1, phone ? "true" : "false");
    command(t, "Emulation.setDeviceMetricsOverride", params);
    command(t, "Emulation.setScrollbarsHidden", "{\"hidden\":true}"); /* as wide as its picture */
    snprintf(params, sizeof(params),
             "{\"features\":[{\"name\":\"prefers-color-scheme\",\"value\":\"%s\"}]}",
             dark ? "dark" : "light");
    command(t, "Emulation.setEmulatedMedia", params);
}

void tab_picture(struct tab *t, const char *file)
{
    char params[256], path[256];
    struct json_value v;
    int height = atoi(tab_eval(t, "document.documentElement.scrollHeight"));
    int width = atoi(tab_eval(t, "document.documentElement.clientWidth"));
    snprintf(params, sizeof(params),
             "{\"captureBeyondViewport\":true,\"clip\":{\"x\":0,\"y\":0,\"width\":%d,"
             "\"height\":%d,\"scale\":1}}",
             width, height);
    struct json_value result = command(t, "Page.captureScreenshot", params);
    ck_assert(cdp_at(&result, "data", &v));
    char *bytes = malloc(v.raw.n);
    ck_assert_ptr_nonnull(bytes);
    ptrdiff_t n = base64_read(bytes, v.raw);
    ck_assert_int_gt(n, 8);
    ck_assert_int_eq(memcmp(bytes, "\x89PNG\r\n\x1a\n", 8), 0);
    mkdir("build", 0777);
    mkdir("build/page", 0777);
    snprintf(path, sizeof(path), "build/page/%s", file);
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, (size_t)n, f), (size_t)n);
    ck_assert_int_eq(fclose(f), 0);
    free(bytes);
}

void tab_key(struct tab *t, const char *key, int code)
{
    char params[256];
    static const char *const types[] = {"keyDown", "keyUp"};
    for (int i = 0; i < 2; i++) {
        snprintf(params, sizeof(params),
                 "{\"type\":\"%s\",\"key\":\"%s\",\"code\":\"%s\",\"windowsVirtualKeyCode\":%d%s}",
                 types[i], key, key, code, code == 13 && i == 0 ? ",\"text\":\"\\r\"" : "");
        command(t, "Input.dispatchKeyEvent", params);
    }
}
