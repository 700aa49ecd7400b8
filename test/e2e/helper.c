/*
 * helper.c - end to end: /-/sse.js, the helper for pages, in headless Chromium, straight from
 * the server and through an nginx.
 *
 * Each page is of the server's own origin, as /-/healthy is to a browser; what its subscriptions
 * are told is in its `got`, a line each.
 */
#include "test/kit/cdp.h"
#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/nginx.h"
#include "test/kit/spare.h"
#include "test/kit/tokens.h"

#include <string.h>
#include <unistd.h>

static struct e2e_server s;
static struct e2e_response r;

/* Loads the helper. What say() keeps in `got` the page shows, for one who looks at a failure. */
#define LOAD                                                                        \
    "got = []; say = x => document.body.innerText = (got.push(x), got.join('|')); " \
    "helper = null; import('/-/sse.js').then(m => helper = m)"

/* A page that has loaded the helper. */
static struct tab *page_open(const struct tab *beside, const char *origin)
{
    char url[300];
    snprintf(url, sizeof(url), "%s/-/healthy", origin);
    struct tab *t = tab_open(beside, url);
    tab_eval(t, LOAD);
    tab_wait(t, "helper");
    return t;
}

/* Subscribes; `options` are more members of an object. */
static void subscribe(struct tab *t, const char *url, const char *options)
{
    tab_eval(t,
             "end = helper.subscribe('%s', {%s onmessage: m => say(`${m.event} ${m.data}`),"
             " ongap: g => say(`gap ${g.reason}`),"
             " onerror: e => say(`error ${e && e.status}`)}); 0",
             url, options);
}

/* The page must be told just this, and has been when this comes back. */
static void expect(struct tab *t, const char *lines)
{
    tab_wait(t, "got.join('|') === '%s' || got.length > 60", lines);
    ck_assert_str_eq(tab_eval(t, "got.join('|')"), lines);
}

/* How many are subscribed to /news, as a publisher is told: of a message that is of no interest. */
static int subscribers(void)
{
    e2e_ask(&s, &r,
            "POST /news?event=nothing HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx");
    e2e_expect_status(&r, 201, NULL);
    const char *at = strstr(r.body, "\"subscribers\":");
    ck_assert_ptr_nonnull(at);
    return atoi(at + 14);
}

static void expect_subscribers(int wanted)
{
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS;
    int n;
    while ((n = subscribers()) != wanted)
        if (e2e_now_ms() > deadline)
            e2e_fail("there are %d subscribers, and are to be %d", n, wanted);
        else
            e2e_sleep_ms(20);
}

/* ---- what is told ---- */

START_TEST(tells_messages)
{
    e2e_start(&s, NULL);
    struct tab *t = page_open(NULL, s.address[0]);
    subscribe(t, "/news", "events: ['named'],");
    expect_subscribers(1);
    e2e_publish(&s, "/news", "one");
    e2e_publish(&s, "/news?event=named", "two");
    e2e_publish(&s, "/news?event=unheard", "three");
    e2e_publish_as(&s, "/news", "application/octet-stream", "\0\1\2", 3);
    e2e_publish(&s, "/news", "four");
    expect(t, "message one|named two|message data:;base64,AAEC|message four");
    ck_assert_str_eq(tab_eval(t, "end(); 0"), "0");
    expect_subscribers(0);
    e2e_publish(&s, "/news", "five");
    e2e_sleep_ms(300);
    expect(t, "message one|named two|message data:;base64,AAEC|message four");
    ck_assert_str_eq(t->wrong, "");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

START_TEST(begins_where_it_is_to)
{
    e2e_start(&s, NULL);
    for (int i = 1; i <= 5; i++) {
        e2e_publish(&s, "/news", (const char[]){(char)('0' + i), '\0'});
    }
    struct tab *t = page_open(NULL, s.address[0]);
    subscribe(t, "/news", "since: '-2',");
    expect(t, "message 4|message 5");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

START_TEST(goes_on_where_the_page_was)
{
    char url[300];
    e2e_start(&s, NULL);
    struct tab *t = page_open(NULL, s.address[0]);
    subscribe(t, "/news", "");
    expect_subscribers(1);
    e2e_publish(&s, "/news", "one");
    expect(t, "message one");
    tab_go(t, "about:blank#away");
    e2e_publish(&s, "/news", "two");
    e2e_publish(&s, "/news", "three");
    snprintf(url, sizeof(url), "%s/-/healthy", s.address[0]);
    tab_go(t, url);
    tab_eval(t, LOAD);
    tab_wait(t, "helper");
    subscribe(t, "/news", "");
    expect(t, "message two|message three");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* ---- a topic's end ---- */

/* It says so, once, and asks for no more; so does one that comes after. EventSource itself stops
 * for good, told 204 when it comes back. */
START_TEST(stops_at_an_end)
{
    e2e_start(&s, "--retry", "100ms", NULL);
    struct tab *t = page_open(NULL, s.address[0]);
    tab_eval(t, "source = new EventSource('/news'); source.addEventListener('ended', e => "
                "say(`source ${e.data}`)); 0");
    tab_wait(t, "source.readyState === 1");
    subscribe(t, "/", "topics: ['news', 'other'], onended: () => say('ended'),");
    tab_eval(t, "helper.subscribe('/news', {onended: () => say('one ended')}); 0");
    expect_subscribers(3);
    e2e_publish(&s, "/news?end", "last");
    tab_wait(t, "source.readyState === 2"); /* closed, and not about to come back */
    tab_wait(t, "got.length >= 3");
    e2e_publish(&s, "/other?end", "");
    tab_wait(t, "got.includes('ended')");
    size_t asked = t->nasked;
    e2e_sleep_ms(1500);
    ck_assert_str_eq(tab_eval(t, "got.sort().join('|')"),
                     "ended|news last|one ended|source {\"topic\":\"news\"}");
    ck_assert_uint_eq(t->nasked, asked);
    tab_eval(t, "got = []; 0");
    subscribe(t, "/news", "since: 'earliest', onended: () => say('ended'),");
    expect(t, "ended"); /* this page has had it */
    tab_close(t);
    t = page_open(NULL, s.address[0]);
    subscribe(t, "/news", "since: 'earliest', onended: () => say('ended'),");
    expect(t, "message last|ended");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* Has a tab show the page of README.md's recipe. */
static void recipe(struct tab *t)
{
    static char readme[1 << 17];
    char url[300];
    FILE *f = fopen("README.md", "re");
    ck_assert_ptr_nonnull(f);
    readme[fread(readme, 1, sizeof readme - 1, f)] = '\0';
    fclose(f);
    char *html = strstr(readme, "```html\n"), *end;
    ck_assert(html != NULL && (end = strstr(html, "\n```\n")) != NULL);
    *end = '\0';
    snprintf(url, sizeof url, "%s/-/healthy#answers/7", s.address[0]);
    tab_go(t, "about:blank#away");
    tab_go(t, url);
    tab_eval(t,
             "page = new DOMParser().parseFromString(String.raw`%s`, 'text/html');"
             "document.body.replaceChildren(page.querySelector('#answer'));"
             "script = document.createElement('script'); script.type = 'module';"
             "script.text = page.querySelector('script').text; document.body.append(script); 0",
             html + strlen("```html\n"));
}

static void shows(struct tab *t, const char *text)
{
    tab_wait(t, "document.querySelector('#answer').textContent === '%s'", text);
}

/* It reloads midway, is left and comes back after the end; a second device comes late. */
START_TEST(shows_the_recipe)
{
    e2e_start(&s, NULL);
    struct tab *t = page_open(NULL, s.address[0]);
    recipe(t);
    e2e_publish(&s, "/answers/7", "The ");
    e2e_publish(&s, "/answers/7", "quick ");
    shows(t, "The quick ");
    recipe(t);
    shows(t, "The quick ");
    e2e_publish(&s, "/answers/7", "brown ");
    shows(t, "The quick brown ");
    tab_go(t, "about:blank#away");
    e2e_publish(&s, "/answers/7", "fox ");
    recipe(t);
    shows(t, "The quick brown fox ");
    e2e_publish(&s, "/answers/7?end", "");
    shows(t, "The quick brown fox  (that is all)");
    recipe(t);
    shows(t, "The quick brown fox  (that is all)");
    struct tab *second = page_open(NULL, s.address[0]);
    recipe(second);
    shows(second, "The quick brown fox  (that is all)");
    ck_assert_str_eq(t->wrong, "");
    ck_assert_str_eq(second->wrong, "");
    tab_close(second);
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* Names are those of EventSource, in whichever way the messages come. */
START_TEST(tells_of_several_topics)
{
    e2e_start(&s, NULL);
    struct tab *t = page_open(NULL, s.address[0]);
    subscribe(t, "/", "topics: ['news', 'a?b/c'], events: ['named'], since: 'earliest',");
    e2e_publish(&s, "/news", "one");
    e2e_publish(&s, "/a%3Fb/c", "two");
    e2e_publish(&s, "/a%3Fb/c?event=named", "three");
    expect(t, "news one|a?b/c two|named three");
    tab_eval(t, "end(); got = []; 0");
    subscribe(t, "/", "topics: ['orders/*'], since: 'earliest',");
    e2e_publish(&s, "/orders/1", "one");
    expect(t, "orders/1 one");
    e2e_publish(&s, "/orders/2?event=any", "two");
    e2e_publish(&s, "/orders/2/x", "no");
    e2e_publish(&s, "/orders/3", "three");
    expect(t, "orders/1 one|any two|orders/3 three");
    ck_assert_str_eq(t->wrong, "");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

START_TEST(tells_of_gaps)
{
    e2e_start(&s, NULL);
    e2e_publish(&s, "/news", "one");
    struct tab *t = page_open(NULL, s.address[0]);
    tab_eval(t, "sessionStorage[location.origin + '/news'] = '1-1'");
    subscribe(t, "/news", "");
    expect(t, "gap unknown|message one");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

START_TEST(tells_of_refusals)
{
    e2e_start(&s, "--topic", "other", NULL);
    struct tab *t = page_open(NULL, s.address[0]);
    subscribe(t, "/news", "");
    tab_wait(t, "got.length > 2");
    ck_assert_str_eq(tab_eval(t, "got[0] === 'error 404' && got[2] === 'error 404'"), "true");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

START_TEST(takes_a_token)
{
    char url[1200];
    program_make();
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--admin", "127.0.0.1:0", NULL);
    const char *token = token_good("[\"news\"]", "[\"news\"]", 600);
    struct tab *t = page_open(NULL, s.address[0]);
    snprintf(url, sizeof(url), "/?access_token=%s", token);
    subscribe(t, url, "topics: ['news'],");
    int64_t deadline = e2e_now_ms() + E2E_WAIT_MS; /* what comes before is not for it */
    while (metric(&s, "connections{way=\"ndjson\"}") +
               metric(&s, "connections{way=\"longpoll\"}") ==
           0)
        if (e2e_now_ms() > deadline)
            e2e_fail("nobody has subscribed");
        else
            e2e_sleep_ms(20);
    tab_eval(t,
             "fetch('/news', {method: 'POST', body: 'one', headers: {Authorization: 'Bearer %s'}})"
             ".then(a => a.ok)",
             token);
    expect(t, "message one");
    tab_close(t);
    e2e_stop(&s);
    program_remove();
}
END_TEST

/* What messages are called has nothing to do with what the helper itself has to tell, and none
 * comes twice, whatever names are listed. */
START_TEST(tells_of_topics_called_anything)
{
    static const char *const topics[] = {"error", "open",    "gap",       "message",
                                         "hello", "expired", "heartbeat", "constructor"};
    char want[600] = "", target[64];
    e2e_start(&s, "--heartbeat", "100ms", NULL);
    struct tab *t = page_open(NULL, s.address[0]);
    for (int wild = 0; wild < 2; wild++) {
        size_t n = 0;
        tab_eval(t, "got = []; 0");
        subscribe(t, "/",
                  wild ? "topics: ['*'], since: 'earliest',"
                       : "topics: ['error', 'open', 'gap', 'message', 'hello', 'expired', "
                         "'heartbeat', 'constructor', 'x'], events: ['error', 'error', 'x', "
                         "'open', 'message'], since: 'earliest',");
        for (size_t i = 0; i < COUNT(topics); i++) {
            snprintf(target, sizeof target, "/%s", topics[i]);
            if (!wild)
                e2e_publish(&s, target, "{\"reason\":\"forged\"}");
            n += (size_t)snprintf(want + n, sizeof want - n, "%s%s {\"reason\":\"forged\"}",
                                  n > 0 ? "|" : "", topics[i]);
        }
        if (!wild)
            e2e_publish(&s, "/x?event=error", "last");
        snprintf(want + n, sizeof want - n, "|error last");
        expect(t, want);
        e2e_sleep_ms(400);
        expect(t, want);
        tab_eval(t, "end(); sessionStorage.clear(); 0");
    }
    ck_assert_str_eq(t->wrong, "");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* A token is asked for at each connection, is kept nowhere, and a new one loses nothing. */
START_TEST(asks_for_tokens)
{
    program_make();
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--heartbeat", "200ms", NULL);
    struct tab *t = page_open(NULL, s.address[0]);
    tab_eval(t, "tokens = ['%s', '%s', '%s']; asked = 0; 0",
             token_good(NULL, "[\"news\"]", ENDS_IN(2)), token_good(NULL, "[\"news\"]", 600),
             token_good(NULL, "[\"news\"]", 601));
    tab_eval(t, "all = '%s'; 0", token_good("[\"**\"]", "[\"**\"]", 600));
    subscribe(t, "/",
              "topics: ['news'], since: 'earliest',"
              " token: async () => tokens[Math.min(2, asked++ > 0 ? asked : 0)],");
    for (int i = 1; i <= 3; i++) {
        tab_eval(t,
                 "fetch('/news', {method: 'POST', body: '%d', headers: {Authorization: 'Bearer ' + "
                 "all}})"
                 ".then(a => a.ok)",
                 i);
        tab_wait(t, "got.includes('message %d')", i);
        e2e_sleep_ms(i == 1 ? 3500
                            : 0); /* the first token ends meanwhile, and so does its stream */
    }
    ck_assert_str_eq(tab_eval(t, "got.filter(m => !m.startsWith('error')).join('|')"),
                     "message 1|message 2|message 3");
    ck_assert_str_eq(tab_eval(t, "asked > 1"), "true");
    ck_assert_str_eq(
        tab_eval(t, "/eyJ/.test(JSON.stringify({...sessionStorage, ...localStorage}))"), "false");
    ck_assert_str_eq(
        tab_eval(t, "Object.values({...sessionStorage}).every(v => /^\\d+-\\d+$/.test(v))"),
        "true");
    tab_close(t);
    e2e_stop(&s);
    program_remove();
}
END_TEST

/* What is in the storage and is no cursor counts for none. */
START_TEST(knows_a_cursor)
{
    e2e_start(&s, NULL);
    e2e_publish(&s, "/news", "one");
    static const char *const none[] = {"null", "undefined", "", "x-1"};
    for (size_t i = 0; i < COUNT(none); i++) {
        struct tab *t = page_open(NULL, s.address[0]);
        tab_eval(t, "sessionStorage[location.origin + '/news'] = '%s'", none[i]);
        subscribe(t, "/news", "since: 'earliest',");
        expect(t, "message one");
        tab_close(t);
    }
    e2e_stop(&s);
}
END_TEST

/* ---- through a proxy ---- */

/* The server at a unix socket, where it can come back, and an nginx before it. */
static struct nginx nginx;
static char socket_[128], store[128];

static void behind_nginx(bool buffers, bool stores)
{
    char bind[160], upstream[160];
    snprintf(socket_, sizeof(socket_), "%s/%d.sock", cdp_directory(), (int)getpid());
    snprintf(store, sizeof(store), "%s/%d.store", cdp_directory(), (int)getpid());
    snprintf(bind, sizeof(bind), "unix:%s", socket_);
    snprintf(upstream, sizeof(upstream), "http://unix:%s", socket_);
    e2e_start(&s, "--bind", bind, "--ring", "64K", "--retry", "50ms", stores ? "--store" : NULL,
              store, NULL);
    if (nginx.pid == 0)
        nginx_start(&nginx, cdp_directory(), upstream, buffers);
}

/* An EventSource alone hears nothing there, the helper does. */
START_TEST(gets_through_a_proxy_that_buffers)
{
    behind_nginx(true, false);
    struct tab *t = page_open(NULL, nginx.url);
    tab_eval(t, "plain = []; source = new EventSource('/news?since=earliest&hello');"
                "for (const name of ['open', 'hello', 'message'])"
                " source.addEventListener(name, () => plain.push(name))");
    tab_eval(t, "began = performance.now(); end = helper.subscribe('/news', {onmessage: m =>"
                " got.push(`${m.event} ${m.data}`, performance.now() - began)}); 0");
    expect_subscribers(2); /* its cursor is of now */
    e2e_publish(&s, "/news", "one");
    tab_wait(t, "got.length > 0");
    ck_assert_str_eq(tab_eval(t, "got[0]"), "message one");
    ck_assert_str_eq(tab_eval(t, "plain.join()"), "");
    for (int i = 0; i < 5; i++) { /* and then at once: what it asks waits for 25 s */
        tab_eval(t, "began = performance.now(); got = []");
        e2e_publish(&s, "/news", "more");
        tab_wait(t, "got.length > 0");
        ck_assert_int_lt(atoi(tab_eval(t, "Math.round(got[1])")), 20000);
    }
    tab_close(t);
    e2e_stop(&s);
    nginx_stop(&nginx);
}
END_TEST

/* After a 502 EventSource never comes back. */
START_TEST(comes_back_when_the_server_does)
{
    bool stores = _i == 0;
    behind_nginx(false, stores);
    struct tab *t = page_open(NULL, nginx.url);
    subscribe(t, "/news", "");
    expect_subscribers(1);
    e2e_publish(&s, "/news", "one");
    expect(t, "message one");
    e2e_stop(&s);
    tab_wait(t, "got.length > 1"); /* it has noticed, from an answer with 502 */
    behind_nginx(false, stores);
    e2e_publish(&s, "/news", "two");
    tab_wait(t, "got.includes('message two')");
    const char *told = tab_eval(t, "got.filter(m => !m.startsWith('error')).join('|')");
    ck_assert_str_eq(told,
                     stores ? "message one|message two" : "message one|gap unknown|message two");
    tab_close(t);
    e2e_stop(&s);
    nginx_stop(&nginx);
}
END_TEST

/* ---- tabs ---- */

START_TEST(tabs_share_a_connection)
{
    e2e_start(&s, NULL);
    struct tab *t[3] = {page_open(NULL, s.address[0])};
    subscribe(t[0], "/news", "");
    expect_subscribers(1);
    for (int i = 1; i < 3; i++) {
        t[i] = page_open(t[0], s.address[0]);
        subscribe(t[i], "/news", "");
        tab_wait(t[i], "sessionStorage.length > 0"); /* it knows where it begins */
    }
    e2e_sleep_ms(300);
    /* none for a moment, where a slow machine has it poll: never one more */
    ck_assert_int_le(subscribers(), 1);
    e2e_publish(&s, "/news", "one");
    for (int i = 0; i < 3; i++)
        expect(t[i], "message one");
    ck_assert_int_le(subscribers(), 1);
    /* a tab that comes later gets what it asks for, though it asks nobody but the first */
    struct tab *late = page_open(t[0], s.address[0]);
    subscribe(late, "/news", "since: 'earliest',");
    expect(late, "message one");
    e2e_publish(&s, "/news", "two");
    expect(late, "message one|message two");
    /* another takes over, and nothing is lost in between */
    tab_close(t[0]);
    e2e_publish(&s, "/news", "three");
    expect_subscribers(1);
    e2e_publish(&s, "/news", "four");
    for (int i = 1; i < 3; i++)
        expect(t[i], "message one|message two|message three|message four");
    expect(late, "message one|message two|message three|message four");
    ck_assert_int_le(subscribers(), 1);
    for (int i = 1; i < 3; i++)
        tab_close(t[i]);
    tab_close(late);
    e2e_stop(&s);
}
END_TEST

/* The tab that has the stream asks as well, as the words of another told it to. Its answer comes
 * late, when the stream has told more: no message comes twice by that. */
START_TEST(a_late_answer_changes_nothing)
{
    static const char tell[] =
        "new BroadcastChannel(origin + '/news').postMessage(['9-9', {id: '9-9'}]); 0";
    e2e_start(&s, NULL);
    struct tab *t = page_open(NULL, s.address[0]);
    subscribe(t, "/news", "");
    expect_subscribers(1);
    e2e_publish(&s, "/news", "one");
    expect(t, "message one");
    tab_eval(
        t,
        "answered = 0; late = new Promise(f => go = f); real = fetch;"
        "fetch = async (...a) => {let r = await real(...a); answered++; await late; return r}; 0");
    tab_eval(t, tell);
    tab_wait(t, "answered === 1");
    e2e_publish(&s, "/news", "two");
    expect(t, "message one|message two");
    tab_eval(t, "go(); 0");
    tab_eval(t, tell);
    tab_wait(t, "answered === 2");
    e2e_publish(&s, "/news", "three");
    expect(t, "message one|message two|message three");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* Where there are no locks each tab has its own. */
START_TEST(tabs_do_without_locks)
{
    e2e_start(&s, NULL);
    struct tab *a = page_open(NULL, s.address[0]), *b = page_open(a, s.address[0]);
    struct tab *both[] = {a, b};
    for (int i = 0; i < 2; i++) {
        tab_eval(both[i], "Object.defineProperty(navigator, 'locks', {value: undefined}); 0");
        subscribe(both[i], "/news", "");
    }
    expect_subscribers(2);
    e2e_publish(&s, "/news", "one");
    expect(a, "message one");
    expect(b, "message one");
    tab_close(a);
    tab_close(b);
    e2e_stop(&s);
}
END_TEST

static TCase *cases(void)
{
    TCase *tc = tcase_create("helper");
    tcase_set_timeout(tc, 120);
    tcase_add_unchecked_fixture(tc, cdp_start, cdp_stop);
    tcase_add_test(tc, tells_messages);
    tcase_add_test(tc, begins_where_it_is_to);
    tcase_add_test(tc, goes_on_where_the_page_was);
    tcase_add_test(tc, stops_at_an_end);
    tcase_add_test(tc, shows_the_recipe);
    tcase_add_test(tc, tells_of_several_topics);
    tcase_add_test(tc, tells_of_gaps);
    tcase_add_test(tc, tells_of_refusals);
    tcase_add_test(tc, takes_a_token);
    tcase_add_test(tc, tells_of_topics_called_anything);
    tcase_add_test(tc, asks_for_tokens);
    tcase_add_test(tc, knows_a_cursor);
    if (can("command -v nginx", "what goes through nginx: it is not installed")) {
        tcase_add_test(tc, gets_through_a_proxy_that_buffers);
        tcase_add_loop_test(tc, comes_back_when_the_server_does, 0, 2);
    }
    tcase_add_test(tc, tabs_share_a_connection);
    tcase_add_test(tc, a_late_answer_changes_nothing);
    tcase_add_test(tc, tabs_do_without_locks);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("helper");
    if (can("command -v chromium", "all in a browser: chromium is not installed"))
        suite_add_tcase(suite, cases());
    return run(suite);
}
