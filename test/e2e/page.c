/*
 * page.c - the files that the binary has in itself, end to end: what comes, with what, and that
 * the page's policy is that of the page.
 */
#include "lib/serve/page.h"
#include "test/kit/e2e.h"
#include "test/kit/kit.h"

#include <string.h>
#include <unistd.h>

static struct e2e_server s;
static struct e2e_response r;

static const struct {
    const char *target, *source, *type;
    size_t most;
    bool policy;
} files[] = {
    {"/", "build/page/page.html", "text/html; charset=utf-8", PAGE_HTML_MAX, true},
    {"/-/sse.js", "build/page/sse.js", "text/javascript; charset=utf-8", PAGE_HELPER_MAX, false},
};

/* A file of the project, NUL-ended. */
static const char *source(const char *name, size_t *n)
{
    static char text[2 * PAGE_HTML_MAX];
    FILE *f = fopen(name, "re");
    if (f == NULL)
        e2e_fail("%s is not there (the tests run in the project's root)", name);
    *n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[*n] = '\0';
    return text;
}

static void ask(const char *method, const char *target, const char *fields)
{
    struct e2e_conn *c = e2e_open(&s);
    e2e_printf(c, "%s %s HTTP/1.1\r\nHost: test\r\n%s\r\n", method, target, fields);
    if (strcmp(method, "HEAD") == 0)
        e2e_response_head(c, &r);
    else
        e2e_response(c, &r);
    e2e_close(c);
}

static void expect_field(const char *name, const char *value)
{
    const char *got = e2e_field(&r, name);
    ck_assert_msg(got != NULL && strcmp(got, value) == 0, "%s: %s", name, got);
}

static void expect_fields(size_t i)
{
    expect_field("Cache-Control", "no-cache");
    expect_field("X-Content-Type-Options", "nosniff");
    expect_field("Referrer-Policy", "no-referrer");
    expect_field("Cross-Origin-Resource-Policy", "same-origin");
    if (files[i].policy)
        expect_field("Content-Security-Policy", PAGE_POLICY);
    ck_assert((e2e_field(&r, "Content-Security-Policy") != NULL) == files[i].policy);
}

START_TEST(come_as_they_are)
{
    size_t n;
    const char *text = source(files[_i].source, &n);
    char size[16];
    e2e_start(&s, NULL);
    ask("GET", files[_i].target, "");
    e2e_expect_status(&r, 200, NULL);
    expect_fields((size_t)_i);
    expect_field("Content-Type", files[_i].type);
    ck_assert_uint_eq(r.size, n);
    ck_assert_int_eq(memcmp(r.body, text, n), 0);
    ask("HEAD", files[_i].target, "");
    e2e_expect_status(&r, 200, NULL);
    expect_fields((size_t)_i);
    snprintf(size, sizeof(size), "%zu", n);
    expect_field("Content-Length", size);
    e2e_stop(&s);
}
END_TEST

START_TEST(are_small)
{
    size_t n;
    source(files[_i].source, &n);
    ck_assert_msg(n <= files[_i].most, "%s has %zu bytes, of %zu it may have", files[_i].source, n,
                  files[_i].most);
}
END_TEST

START_TEST(are_asked_for_once)
{
    char tag[32], fields[128];
    e2e_start(&s, NULL);
    ask("GET", files[_i].target, "");
    snprintf(tag, sizeof(tag), "%s", e2e_field(&r, "ETag"));
    ck_assert_uint_eq(strlen(tag), 10);
    static const char *const same[] = {"%s", "W/%s", "\"x\", %s", "*"};
    for (size_t i = 0; i < COUNT(same); i++) {
        char list[64];
        const char *at = strstr(same[i], "%s");
        snprintf(list, sizeof(list), "%.*s%s", (int)(at != NULL ? at - same[i] : 1), same[i],
                 at != NULL ? tag : "");
        snprintf(fields, sizeof(fields), "If-None-Match: %s\r\n", list);
        ask("GET", files[_i].target, fields);
        e2e_expect_status(&r, 304, NULL);
        ck_assert_uint_eq(r.size, 0);
        expect_field("ETag", tag);
        expect_fields((size_t)_i);
    }
    tag[1] = tag[1] == '0' ? '1' : '0';
    snprintf(fields, sizeof(fields), "If-None-Match: %s\r\n", tag);
    ask("GET", files[_i].target, fields);
    e2e_expect_status(&r, 200, NULL);
    e2e_stop(&s);
}
END_TEST

/* Another origin's pages may load the helper if --cors lists it: as a module, which asks by
 * CORS. */
START_TEST(are_for_listed_origins)
{
    e2e_start(&s, "--cors", "https://a.example", NULL);
    ask("GET", files[_i].target, "Origin: https://a.example\r\n");
    e2e_expect_status(&r, 200, NULL);
    expect_field("Access-Control-Allow-Origin", "https://a.example");
    ask("GET", files[_i].target, "Origin: https://b.example\r\n");
    ck_assert_ptr_null(e2e_field(&r, "Access-Control-Allow-Origin"));
    e2e_stop(&s);
}
END_TEST

/* What does not fit the socket is kept, and comes when it is read: in order, whatever is asked
 * behind it. */
START_TEST(come_to_slow_readers)
{
    enum { TIMES = 40 };
    size_t n;
    const char *text = source("build/page/page.html", &n);
    e2e_start(&s, NULL);
    struct e2e_conn *c = e2e_open_narrow(&s, 4096);
    for (int i = 0; i < TIMES; i++)
        e2e_send(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
                    "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_sleep_ms(50);
    for (int i = 0; i < TIMES; i++) {
        e2e_response(c, &r);
        ck_assert_uint_eq(r.size, n);
        ck_assert_int_eq(memcmp(r.body, text, n), 0);
        e2e_response(c, &r);
        ck_assert_str_eq(r.body, "ok\n");
    }
    e2e_stop(&s);
}
END_TEST

START_TEST(page_can_be_left_out)
{
    e2e_start(&s, "--no-page", NULL);
    ask("GET", "/", "");
    e2e_expect_status(&r, 404, "--no-page");
    ask("GET", "/-/sse.js", "");
    e2e_expect_status(&r, 200, NULL);
    e2e_stop(&s);
}
END_TEST

/* Base64 of SHA-256 over bytes, as openssl has it. */
static const char *digest(const char *p, size_t n)
{
    static char line[64];
    char name[] = "/tmp/sse-page-XXXXXX", command[128];
    int fd = mkstemp(name);
    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
    close(fd);
    snprintf(command, sizeof(command), "openssl dgst -sha256 -binary %s | openssl base64", name);
    FILE *f = popen(command, "re");
    ck_assert_ptr_nonnull(f);
    if (fgets(line, sizeof(line), f) == NULL)
        line[0] = '\0';
    pclose(f);
    unlink(name);
    line[strcspn(line, "\n")] = '\0';
    ck_assert_uint_eq(strlen(line), 44);
    return line;
}

/* The one element of this name, which has no attributes; what stands in it. */
static const char *element(const char *text, const char *name, size_t *n)
{
    char open[16], close[16];
    snprintf(open, sizeof(open), "<%s>", name);
    snprintf(close, sizeof(close), "</%s>", name);
    const char *from = strstr(text, open), *to = strstr(text, close);
    ck_assert(from != NULL && to != NULL);
    ck_assert_ptr_null(strstr(from + 1, open));
    *n = (size_t)(to - from) - strlen(open);
    return from + strlen(open);
}

START_TEST(policy_is_the_pages)
{
    size_t all, n;
    const char *text = source("build/page/page.html", &all);
    const char *script = element(text, "script", &n), *hash = digest(script, n);
    ck_assert_msg(strcmp(hash, PAGE_SCRIPT) == 0, "PAGE_SCRIPT in lib/serve/page.h is to be %s",
                  hash);
    const char *style = element(text, "style", &n);
    hash = digest(style, n);
    ck_assert_msg(strcmp(hash, PAGE_STYLE) == 0, "PAGE_STYLE in lib/serve/page.h is to be %s",
                  hash);
    const char *named = strstr(text, " integrity=\"sha256-" PAGE_HELPER "\"></script>");
    ck_assert_msg(named != NULL, "the page does not name the helper with PAGE_HELPER");
    text = source("build/page/sse.js", &all);
    hash = digest(text, all);
    ck_assert_msg(strcmp(hash, PAGE_HELPER) == 0, "PAGE_HELPER in lib/serve/page.h is to be %s",
                  hash);
    ck_assert_ptr_null(strstr(PAGE_POLICY, "script-src 'self'"));
    ck_assert_ptr_null(strstr(PAGE_POLICY, "unsafe"));
}
END_TEST

/* Nothing in it is from elsewhere: the one address is the name of a namespace. */
START_TEST(page_is_whole)
{
    size_t n;
    const char *text = source("build/page/page.html", &n), *at = strstr(text, "://");
    ck_assert_int_eq(strncmp(at, "://www.w3.org/2000/svg'", 23), 0);
    ck_assert_ptr_null(strstr(at + 1, "://"));
    const char *style = element(text, "style", &n);
    ck_assert_ptr_null(memmem(style, n, "url(", 4));
    ck_assert_ptr_null(memmem(style, n, "@import", 7));
    ck_assert_ptr_null(strstr(text, "style=")); /* which the policy does not let through */
}
END_TEST

START_TEST(streams_say_hello)
{
    char id[64];
    e2e_start(&s, "--retry", "10ms", NULL);
    snprintf(id, sizeof(id), "%s", e2e_publish(&s, "/news", "one"));
    for (int with = 0; with < 2; with++) {
        struct e2e_conn *c = e2e_open(&s);
        e2e_printf(
            c, "GET /news?since=-1%s HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n",
            with ? "&hello" : "");
        e2e_until(c, "data: one\n");
        /* the id stands in the block that has data, for libraries that take it from no other */
        char hello[128], open[64];
        const char *at = strstr(c->buf, "\nid: ");
        ck_assert_ptr_nonnull(at);
        ck_assert_int_eq(sscanf(at, "\nid: %63s", open), 1);
        snprintf(hello, sizeof hello, "\n\nevent: hello\ndata:\nid: %s\n\n", open);
        ck_assert((strstr(c->buf, hello) != NULL) == with);
        ck_assert((strstr(c->buf, "event: hello") != NULL) == with);
        e2e_close(c);
    }
    e2e_stop(&s);
}
END_TEST

/* An NDJSON stream says where it begins before there is any message, asked or not. */
START_TEST(lines_begin_with_their_id)
{
    char want[128];
    e2e_start(&s, NULL);
    for (int with = 0; with < 2; with++) {
        const char *id = e2e_publish(&s, "/news", "one");
        snprintf(want, sizeof(want), "\r\n\r\n{\"id\":\"%s\"}\n", id);
        struct e2e_conn *c = e2e_open(&s);
        e2e_printf(
            c, "GET /news?wait=1%s HTTP/1.1\r\nHost: test\r\nAccept: application/x-ndjson\r\n\r\n",
            with ? "&hello" : "");
        e2e_until(c, want);
        e2e_publish(&s, "/news", "two");
        e2e_until(c, "\"data\":\"two\"");
        const char *rest = strstr(c->buf, want) + strlen(want); /* it begins with the message */
        ck_assert_int_eq(strncmp(rest, "{\"id\":", 6), 0);
        ck_assert(strstr(rest, "\"time\":") < strchr(rest, '\n') || strchr(rest, '\n') == NULL);
        e2e_close(c);
    }
    e2e_stop(&s);
}
END_TEST

/* With ?hello=only each block has data, from the opening to the end: some libraries make an empty
 * message of any other. */
START_TEST(hello_is_the_opening)
{
    char id[64];
    e2e_start(&s, "--retry", "10ms", "--heartbeat", "100ms", "--drain", "0", NULL);
    struct e2e_conn *c = e2e_open(&s);
    e2e_send(c, "GET /news?hello=only HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n");
    e2e_until(c, "\n\n");
    const char *body = strstr(c->buf, "\r\n\r\n");
    ck_assert_ptr_nonnull(body);
    unsigned retry;
    int n = -1;
    ck_assert_int_eq(sscanf(body, " retry: %u event: hello data: id: %63s%n", &retry, id, &n), 2);
    ck_assert_int_gt(n, 0);
    e2e_publish(&s, "/other", "x"); /* its id gets old, and is brought up to date */
    e2e_until(c, "event: heartbeat\n");
    e2e_stop(&s);
    e2e_until_end(c);
    const char *block = strstr(c->buf, "\r\n\r\n") + 4, *end;
    unsigned blocks = 0;
    for (; (end = strstr(block, "\n\n")) != NULL; block = end + 2, blocks++)
        ck_assert_ptr_nonnull(memmem(block, (size_t)(end - block), "\ndata:", 6));
    ck_assert_uint_ge(blocks, 2);
    ck_assert_int_eq(strncmp(block, "retry: ", 7), 0); /* when to come back, and no block */
    e2e_close(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("page");
    TCase *tc = tcase_create("files");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, come_as_they_are, 0, COUNT(files));
    tcase_add_loop_test(tc, are_small, 0, COUNT(files));
    tcase_add_loop_test(tc, are_asked_for_once, 0, COUNT(files));
    tcase_add_loop_test(tc, are_for_listed_origins, 0, COUNT(files));
    tcase_add_test(tc, come_to_slow_readers);
    tcase_add_test(tc, page_can_be_left_out);
    tcase_add_test(tc, policy_is_the_pages);
    tcase_add_test(tc, page_is_whole);
    tcase_add_test(tc, streams_say_hello);
    tcase_add_test(tc, hello_is_the_opening);
    tcase_add_test(tc, lines_begin_with_their_id);
    suite_add_tcase(suite, tc);
    return run(suite);
}
