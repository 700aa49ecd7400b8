/*
 * live.c - end to end: the live page in headless Chromium, as somebody sees and uses it.
 *
 * Pictures of it are kept in build/page/.
 */
#include "test/kit/cdp.h"
#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/nginx.h"
#include "test/kit/spare.h"
#include "test/kit/tokens.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define WAYS 4

static const char *const ways[WAYS] = {"Short polling", "Long polling", "WebSocket",
                                       "Server-Sent Events"};

static struct e2e_server s;

/* ---- the page -------------------------------------------------------------------------------- */

/* All lanes' numbers of this name, with commas between. */
static const char *numbers(struct tab *t, const char *name)
{
    return tab_eval(t, "[...document.querySelectorAll('.lane .%s')].map(e => e.textContent).join()",
                    name);
}

static void numbers_become(struct tab *t, const char *name, const char *wanted)
{
    tab_wait(t,
             "[...document.querySelectorAll('.lane .%s')].map(e => e.textContent).join() === '%s'",
             name, wanted);
}

/* Waits until all lanes are in this state: on, off, bad. */
static void lanes_become(struct tab *t, const char *state)
{
    tab_wait(t,
             "document.querySelectorAll('.lane').length === 4 &&"
             " [...document.querySelectorAll('.lane')].every(e => e.dataset.state === '%s')",
             state);
}

static void press(struct tab *t, const char *label)
{
    tab_eval(t,
             "[...document.querySelectorAll('button')].find(e =>"
             " (e.ariaLabel || e.textContent) === '%s').click()",
             label);
}

/* Publishes with the button, and waits until the page says that it has been done. */
static void publish(struct tab *t)
{
    tab_eval(t, "document.getElementById('published').textContent = ''");
    press(t, "Publish");
    tab_wait(t, "document.getElementById('published').textContent.startsWith('Published as')");
}

/* Moves the slider of the steady stream. */
static void steady(struct tab *t, int rate)
{
    tab_eval(t,
             "document.getElementById('rate').value = %d;"
             " document.getElementById('rate').dispatchEvent(new Event('input'))",
             rate);
}

/* Nothing went wrong in the page, and it has asked nobody but the server. */
static void expect_quiet(struct tab *t, const char *origin)
{
    ck_assert_str_eq(t->wrong, "");
    ck_assert_uint_gt(t->nasked, 0);
    const char *host = strstr(origin, "://");
    for (const char *line = t->asked; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *scheme = strstr(line, "://");
        bool own = scheme != NULL && strncmp(scheme, host, strlen(host)) == 0 &&
                   scheme[strlen(host)] == '/' &&
                   (strncmp(line, "http:", 5) == 0 || strncmp(line, "ws:", 3) == 0);
        ck_assert_msg(own || strncmp(line, "data:image/svg+xml,", 19) == 0 ||
                          strncmp(line, "about:blank\n", 12) == 0,
                      "the page asked for %.200s", line);
    }
}

static struct tab *live(const char *origin)
{
    char url[300];
    snprintf(url, sizeof(url), "%s/", origin);
    struct tab *t = tab_open(NULL, url);
    lanes_become(t, "on");
    return t;
}

/* ---- what it is for -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int width, height;
    bool phone, dark;
} looks[] = {
    {"desktop-light", 1440, 900, false, false}, {"desktop-dark", 1440, 900, false, true},
    {"tablet-light", 820, 1180, true, false},   {"phone-light", 390, 844, true, false},
    {"phone-dark", 390, 844, true, true},
};

/* All ways get what is published; each is cut, and gets the rest when it goes on. */
START_TEST(all_ways_receive_and_resume)
{
    char file[64], label[64];
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    tab_look(t, looks[_i].width, looks[_i].height, looks[_i].phone, looks[_i].dark);
    for (int i = 0; i < 3; i++)
        publish(t);
    numbers_become(t, "got", "3,3,3,3");
    for (int i = 0; i < WAYS; i++) {
        snprintf(label, sizeof(label), "Cut %s", ways[i]);
        press(t, label);
    }
    lanes_become(t, "off");
    publish(t);
    publish(t);
    e2e_sleep_ms(500);
    ck_assert_str_eq(numbers(t, "got"), "3,3,3,3");
    for (int i = 0; i < WAYS; i++) {
        snprintf(label, sizeof(label), "Resume %s", ways[i]);
        press(t, label);
    }
    numbers_become(t, "got", "5,5,5,5");
    steady(t, 10);
    tab_wait(t, "+document.querySelector('.lane .got').textContent >= 25");
    tab_wait(t, "document.querySelectorAll('#tiles .tile:not([hidden])').length >= 6");
    snprintf(file, sizeof(file), "%s.png", looks[_i].name);
    tab_picture(t, file);
    steady(t, 0);
    publish(t);
    tab_wait(t, "new Set([...document.querySelectorAll('.lane .got')].map(e => e.textContent)).size"
                " === 1 && document.querySelector('.lane .got').textContent === "
                "document.getElementById('published').textContent.match(/-(\\d+);/)[1]");
    ck_assert_int_ge(atoi(numbers(t, "got")), 10);
    ck_assert_str_eq(numbers(t, "missed"), "0,0,0,0");
    /* nothing is wider than the window, nor is text cut off */
    ck_assert_str_eq(tab_eval(t, "document.documentElement.scrollWidth <= innerWidth"), "true");
    ck_assert_str_eq(
        tab_eval(t, "[...document.querySelectorAll('button, h2, h3, p, dt, dd, pre, output, "
                    ".value, .state')]"
                    ".filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display"
                    " !== 'inline').map(e => e.textContent).join()"),
        "");
    expect_quiet(t, s.address[0]);
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* What each way costs is to be seen: polling asks again, pushing does not. */
START_TEST(numbers_tell_the_ways_apart)
{
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    for (int i = 1; i <= 5; i++) {
        char all[64];
        publish(t);
        snprintf(all, sizeof(all), "%d,%d,%d,%d", i, i, i, i);
        numbers_become(t, "got", all);
    }
    int requests[WAYS];
    ck_assert_int_eq(sscanf(numbers(t, "requests"), "%d,%d,%d,%d", requests, requests + 1,
                            requests + 2, requests + 3),
                     WAYS);
    ck_assert_int_ge(requests[0], 5);
    ck_assert_int_ge(requests[1], 6); /* more where one has waited in vain, on a slow machine */
    ck_assert_int_eq(requests[2], 1);
    ck_assert_int_eq(requests[3], 1);
    ck_assert_ptr_null(strstr(numbers(t, "p50"), "-"));
    ck_assert_str_eq(tab_eval(t, "[...document.querySelectorAll('.seq')].every(e =>"
                                 " e.getContext('2d').getImageData(0, 0, e.width, e.height)"
                                 ".data.some(v => v))"),
                     "true");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

START_TEST(topics_and_wildcards_are_chosen)
{
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    tab_eval(t, "document.getElementById('topics').value = 'a, orders/*';"
                " document.getElementById('to').value = 'orders/1'");
    press(t, "Subscribe");
    publish(t); /* after it has begun, as all is in turn */
    numbers_become(t, "got", "1,1,1,1");
    e2e_publish(&s, "/a?event=named", "from elsewhere\nin two lines");
    e2e_publish(&s, "/demo", "not for it");
    e2e_publish_as(&s, "/orders/2", "application/octet-stream", "\0\1", 2);
    numbers_become(t, "got", "3,3,3,3");
    ck_assert_str_eq(numbers(t, "missed"), "0,0,0,0");
    ck_assert_str_eq(tab_eval(t, "location.hash"), "#a,%20orders/*");
    tab_wait(t, "document.getElementById('snips').textContent.includes('/a,orders/*')");
    expect_quiet(t, s.address[0]);
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* The ring has turned over while they were cut: each is told of the gap. */
START_TEST(gaps_are_shown)
{
    static char large[4000];
    memset(large, 'x', sizeof(large) - 1);
    e2e_start(&s, "--ring", "64K", NULL);
    struct tab *t = live(s.address[0]);
    publish(t);
    numbers_become(t, "got", "1,1,1,1");
    press(t, "Cut all");
    lanes_become(t, "off");
    publish(t);
    for (int i = 0; i < 30; i++)
        e2e_publish(&s, "/demo", large);
    publish(t);
    press(t, "Resume all");
    tab_wait(t, "[...document.querySelectorAll('.lane ol')].every(e =>"
                " e.textContent.includes('gap: the server kept no message'))");
    numbers_become(t, "missed", "1,1,1,1");
    expect_quiet(t, s.address[0]);
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* A refusal is shown in the server's words, and what is right again afterwards goes on. */
START_TEST(refusals_are_shown)
{
    e2e_start(&s, "--topic", "other", "--max-message", "200", NULL);
    char url[300];
    snprintf(url, sizeof(url), "%s/", s.address[0]);
    struct tab *t = tab_open(NULL, url);
    lanes_become(t, "bad");
    tab_wait(t,
             "[...document.querySelectorAll('.lane .note')].every(e => e.textContent"
             ".startsWith('404 Not Found: there is no topic demo: this server has only those that"
             " --topic names; next try in '))");
    tab_eval(t, "document.getElementById('topics').value = 'other';"
                " document.getElementById('to').value = 'other'");
    press(t, "Subscribe");
    lanes_become(t, "on");
    tab_wait(t, "[...document.querySelectorAll('.lane .note')].every(e => e.textContent === '')");
    publish(t);
    numbers_become(t, "got", "1,1,1,1");
    tab_eval(t, "document.getElementById('text').value = 'x'.repeat(300)");
    press(t, "Publish");
    tab_wait(t, "document.getElementById('published').textContent.includes('--max-message')");
    tab_eval(t, "document.getElementById('text').value = 'short'");
    publish(t);
    numbers_become(t, "got", "2,2,2,2");
    ck_assert_str_eq(numbers(t, "missed"), "0,0,0,0");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* Without a token it is told so, with one it goes on; what the token does not allow is told as
 * well. */
START_TEST(tokens_are_used)
{
    program_make();
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), NULL);
    char url[300];
    snprintf(url, sizeof(url), "%s/", s.address[0]);
    struct tab *t = tab_open(NULL, url);
    lanes_become(t, "bad");
    tab_wait(t, "[...document.querySelectorAll('.lane .note')].every(e =>"
                " /^401 Unauthorized: .*field Token/.test(e.textContent))");
    tab_eval(t, "document.getElementById('token').value = '%s'",
             token_good("[\"demo\"]", "[\"demo\"]", 600));
    press(t, "Subscribe");
    lanes_become(t, "on");
    publish(t);
    numbers_become(t, "got", "1,1,1,1");
    tab_eval(t, "document.getElementById('token').value = '%s'",
             token_good(NULL, "[\"demo\"]", 600));
    press(t, "Publish");
    tab_wait(t, "/403 Forbidden: ./.test(document.getElementById('published').textContent)");
    ck_assert_str_eq(numbers(t, "got"), "1,1,1,1");
    tab_close(t);
    e2e_stop(&s);
    program_remove();
}
END_TEST

/* ---- servers that go away -------------------------------------------------------------------- */

START_TEST(lanes_survive_a_restart)
{
    struct nginx nginx = {0};
    char bind[160], upstream[200], store[160];
    snprintf(bind, sizeof(bind), "unix:%s/live.sock", cdp_directory());
    snprintf(upstream, sizeof(upstream), "http://%s", bind);
    snprintf(store, sizeof(store), "%s/live.store", cdp_directory());
    e2e_start(&s, "--bind", bind, "--retry", "100ms", "--ring", "64K", "--store", store, NULL);
    nginx_start(&nginx, cdp_directory(), upstream, false);
    struct tab *t = live(nginx.url);
    publish(t);
    numbers_become(t, "got", "1,1,1,1");
    e2e_stop(&s);
    lanes_become(t, "bad");
    e2e_start(&s, "--bind", bind, "--retry", "100ms", "--ring", "64K", "--store", store, NULL);
    lanes_become(t, "on");
    publish(t);
    numbers_become(t, "got", "2,2,2,2");
    ck_assert_str_eq(numbers(t, "missed"), "0,0,0,0");
    tab_close(t);
    e2e_stop(&s);
    nginx_stop(&nginx);
}
END_TEST

START_TEST(lanes_do_not_notice_an_upgrade)
{
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    publish(t);
    numbers_become(t, "got", "1,1,1,1");
    kill(s.pid, SIGUSR2);
    tab_wait(t,
             "fetch('/-/metrics').then(a => a.text()).then(x => x.includes('sse_upgrades_total 1'))"
             ".then(Boolean)");
    publish(t);
    numbers_become(t, "got", "2,2,2,2");
    int requests[WAYS];
    ck_assert_int_eq(sscanf(numbers(t, "requests"), "%d,%d,%d,%d", requests, requests + 1,
                            requests + 2, requests + 3),
                     WAYS);
    ck_assert_int_eq(requests[2], 1);
    ck_assert_int_eq(requests[3], 1);
    ck_assert_str_eq(t->wrong, "");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* What the page keeps is bounded, however much comes. */
START_TEST(memory_is_bounded)
{
    static char body[4000 * 12];
    size_t n = 0;
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    tab_eval(
        t,
        "waiting.push(...Array.from({length: 5000}, () => ({to: 'demo', event: '', text: 'x'})));"
        " for (let i = 0; i < 60; i++) turn = turn.then(flush); 0");
    for (int i = 0; i < 4000; i++)
        n += (size_t)snprintf(body + n, sizeof(body) - n, "%d\n", i);
    e2e_publish_as(&s, "/demo", "application/x-ndjson", body, n);
    tab_wait(t, "lanes.every(l => l.got === 9000)");
    ck_assert_str_eq(tab_eval(t, "lanes.map(l => l.missed).join()"), "0,0,0,0");
    ck_assert_str_eq(tab_eval(t,
                              "lanes.every(l => l.marks.length <= 500 && l.spans.length <= 500 &&"
                              " l.lags.length <= 1500 && l.el.querySelectorAll('li').length <= 50)"
                              " && dots.length <= 600"),
                     "true");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* ---- for everyone ---------------------------------------------------------------------------- */

/* Controls, as assistive technology has them: each has a name, and these are among them. */
START_TEST(every_control_has_a_name)
{
    static const char *const wanted[] = {
        "button Subscribe",
        "button Cut all",
        "button Publish",
        "checkbox Publish through the WebSocket",
        "button Cut Short polling",
        "button Cut Long polling",
        "button Cut WebSocket",
        "button Cut Server-Sent Events",
        "button Copy: Publish, curl",
        "button Copy: Server-Sent Events, JavaScript",
        "textbox Topics (a,b/*,c/**)",
        "textbox Token (if required)",
        "textbox Publish to",
        "textbox Event name (optional)",
        "textbox Key (optional)",
        "button End the topic",
        "button Purge it",
        "textbox Text",
        "slider Steady stream: off",
        "slider Interval of short polling",
        "DisclosureTriangle Log of WebSocket",
        "heading The server",
        "heading Long polling",
        "image Sequence diagram of WebSocket",
        "image Delays of Server-Sent Events",
        "image Connections, the last two minutes",
    };
    static const char *const roles[] = {"button",  "textbox", "slider",   "DisclosureTriangle",
                                        "heading", "image",   "checkbox", "link",
                                        "combobox"};
    bool found[COUNT(wanted)] = {false};
    struct json_value nodes, node, v, role, name;
    struct span key;
    size_t pos = 0, controls = 0;
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    tab_wait(t, "document.querySelector('#tiles canvas')?.ariaLabel &&"
                " document.querySelector('.seq').ariaLabel");
    struct json_value tree = tab_send(t, "Accessibility.getFullAXTree", "");
    ck_assert(cdp_at(&tree, "nodes", &nodes));
    while (json_next(&nodes, &pos, &key, &node)) {
        char text[1200];
        bool counts = false;
        if (!cdp_at(&node, "ignored", &v) || v.kind == JSON_TRUE ||
            !cdp_at(&node, "role.value", &role))
            continue;
        const char *kind = cdp_text(&role);
        for (size_t i = 0; i < COUNT(roles); i++)
            counts = counts || strcmp(kind, roles[i]) == 0;
        if (!counts)
            continue;
        controls++;
        const char *named = cdp_at(&node, "name.value", &name) ? cdp_text(&name) : "";
        ck_assert_msg(named[0] != '\0', "a %s has no name: %.*s", kind, (int)node.raw.n,
                      node.raw.p);
        snprintf(text, sizeof(text), "%s %s", kind, named);
        for (size_t i = 0; i < COUNT(wanted); i++)
            found[i] = found[i] || strncmp(text, wanted[i], strlen(wanted[i])) == 0;
    }
    for (size_t i = 0; i < COUNT(wanted); i++)
        ck_assert_msg(found[i], "there is no %s", wanted[i]);
    ck_assert_uint_ge(controls, 40);
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* All of it can be reached, and used, by keys. */
START_TEST(keys_are_enough)
{
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    tab_eval(
        t,
        "reached = new Set(); document.body.addEventListener('focusin', e => reached.add(e.target))"
        "; controls = document.querySelectorAll('button, input, summary').length");
    int controls = atoi(tab_eval(t, "controls"));
    ck_assert_int_ge(controls, 25);
    for (int i = 0; i < controls; i++)
        tab_key(t, "Tab", 9);
    ck_assert_str_eq(tab_eval(t, "reached.size === controls"), "true");
    tab_eval(t, "document.getElementById('text').focus()");
    tab_key(t, "Enter", 13);
    numbers_become(t, "got", "1,1,1,1");
    tab_eval(t, "document.querySelectorAll('.cut')[3].focus()");
    tab_key(t, "Enter", 13);
    tab_wait(t, "document.querySelectorAll('.lane')[3].dataset.state === 'off'");
    tab_key(t, "Enter", 13);
    tab_wait(t, "document.querySelectorAll('.lane')[3].dataset.state === 'on'");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* Whoever asks for less motion gets diagrams that go on in steps, twice a second, not smoothly. */
START_TEST(motion_can_be_little)
{
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    for (int little = 0; little < 2; little++) {
        tab_send(t, "Emulation.setEmulatedMedia",
                 little
                     ? "{\"features\":[{\"name\":\"prefers-reduced-motion\",\"value\":\"reduce\"}]}"
                     : "{\"features\":[]}");
        int draws = atoi(tab_eval(t, "new Promise(done => { let n = 0; const lane = lanes[0];"
                                     "lane.draw = function () { n++; return"
                                     " Object.getPrototypeOf(this).draw.call(this); };"
                                     "setTimeout(() => { delete lane.draw; done(n); }, 2200); })"));
        if (little)
            ck_assert_msg(draws >= 1 && draws <= 5, "%d steps in 2.2 s", draws);
        else
            ck_assert_msg(draws >= 10, "%d steps in 2.2 s", draws);
    }
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* Contrast of text with its background (WCAG 2.2, 1.4.3), in either scheme. */
START_TEST(text_can_be_read)
{
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    for (int dark = 0; dark < 2; dark++) {
        tab_look(t, 1440, 900, false, dark);
        ck_assert_str_eq(
            tab_eval(
                t,
                "{ const rgb = c => c.match(/[\\d.]+/g).map(Number);"
                "const light = c => rgb(c).slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v "
                "/ 12.92 :"
                " ((v + 0.055) / 1.055) ** 2.4).reduce((a, v, i) => a + v * [0.2126, 0.7152, "
                "0.0722][i], 0);"
                "const behind = e => { for (; e; e = e.parentElement) { const c ="
                " getComputedStyle(e).backgroundColor; if (rgb(c).length === 3) return c; } };"
                "[...document.querySelectorAll('h1, h2, h3, p, button, label, dt, dd, output, "
                "summary,"
                " figcaption, code, pre, input[type=text], .state, .legend span')].map(e => {"
                "const a = light(getComputedStyle(e).color), b = light(behind(e));"
                "return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e]; })"
                ".filter(([ratio]) => ratio < 4.5).map(([ratio, e]) => ratio + ' ' + e.textContent)"
                ".join() }"),
            "");
    }
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* The lines to copy do what they say. */
START_TEST(lines_are_right)
{
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    tab_eval(t, "document.getElementById('text').value = \"it's $HOME `x` \\\\ \\\"q\\\"\";"
                " document.getElementById('event').value = 'a&b c';"
                " document.getElementById('event').dispatchEvent(new Event('input'))");
    char line[1024];
    snprintf(line, sizeof(line), "%s 2>/dev/null",
             tab_eval(t, "document.querySelector('#snips pre').textContent"));
    FILE *f = popen(line, "re");
    char answer[256] = "";
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_gt(fread(answer, 1, sizeof(answer) - 1, f), 0);
    pclose(f);
    ck_assert_int_eq(strncmp(answer, "{\"id\":\"", 7), 0);
    numbers_become(t, "got", "1,1,1,1");
    ck_assert_str_eq(tab_eval(t, "fetch('/demo?since=-1').then(a => a.json()).then(b =>"
                                 " b.messages[0].event + ' ' + b.messages[0].data)"),
                     "a&b c it's $HOME `x` \\ \"q\"");
    tab_eval(t, "(async () => { %s })()",
             tab_eval(t, "document.querySelectorAll('#snips pre')[1].textContent"));
    numbers_become(t, "got", "2,2,2,2");
    snprintf(line, sizeof(line), "%s 2>/dev/null",
             tab_eval(t, "document.querySelectorAll('#snips pre')[2].textContent"));
    f = popen(line, "re");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_gt(fread(answer, 1, sizeof(answer) - 1, f), 0);
    pclose(f);
    ck_assert_int_eq(strncmp(answer, "{\"id\":\"", 7), 0);
    snprintf(line, sizeof(line), "{ %s; } 2>/dev/null",
             tab_eval(t, "[...document.querySelectorAll('#snips pre')].pop().textContent"));
    f = popen(line, "re");
    ck_assert_ptr_nonnull(f);
    size_t got = fread(answer, 1, sizeof(answer) - 1, f);
    pclose(f);
    answer[got] = '\0';
    ck_assert_ptr_nonnull(strstr(answer, "\"purged\":3}"));
    press(t, "Copy: Publish, curl");
    tab_wait(
        t,
        "/^(Copied|Selected): Publish, curl/.test(document.getElementById('copied').textContent)");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* ---- what it says is so ---------------------------------------------------------------------- */

/* Published means accepted; an error goes when it no longer holds. */
START_TEST(published_is_what_was_accepted)
{
    e2e_start(&s, "--max-message", "200", NULL);
    struct tab *t = live(s.address[0]);
    publish(t);
    ck_assert_str_eq(tab_eval(t, "dots.map(d => d.to + d.ok).join()"), "demotrue");
    tab_eval(t, "document.getElementById('text').value = 'x'.repeat(300)");
    press(t, "Publish");
    tab_wait(t, "document.getElementById('published').textContent.startsWith('Not published. ')");
    ck_assert_str_eq(tab_eval(t, "dots.map(d => d.to + d.ok).join()"), "demotrue,demofalse");
    ck_assert_str_eq(tab_eval(t, "words(new TypeError('Failed to fetch'))"),
                     "The server does not answer");
    tab_eval(t, "document.getElementById('text').value = 'short'");
    publish(t);
    ck_assert_str_eq(tab_eval(t, "document.getElementById('published').classList.contains('bad')"),
                     "false");
    /* a dot is of the lanes that subscribe to its topic */
    ck_assert_str_eq(tab_eval(t, "covers('demo') && !covers('other') && !covers('demo/1')"),
                     "true");
    ck_assert_str_eq(tab_eval(t, "topics = 'a/*,b/**'; covers('a/1') && !covers('a/1/2') &&"
                                 " covers('b/1/2') && !covers('a')"),
                     "true");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* The WebSocket publishes as well: a frame, and no request. */
START_TEST(the_socket_publishes)
{
    e2e_start(&s, "--max-message", "200", NULL);
    struct tab *t = live(s.address[0]);
    tab_eval(t, "document.getElementById('via').checked = true");
    publish(t);
    numbers_become(t, "got", "1,1,1,1");
    ck_assert_str_eq(tab_eval(t, "lanes[2].requests + ' ' + lanes[2].pending.length + ' ' +"
                                 " lanes[2].el.querySelector('ol').textContent"
                                 ".includes('\u2192 frame: publish')"),
                     "1 0 true");
    tab_wait(t, "['each', 'in', 'out'].every(n => [...document.querySelectorAll('.lane .' + n)]"
                ".every(e => /^\\d/.test(e.textContent)))");
    tab_eval(t, "document.getElementById('text').value = 'x'.repeat(300)");
    press(t, "Publish");
    tab_wait(t, "document.getElementById('published').textContent.startsWith('Not published. ')");
    press(t, "Cut WebSocket");
    press(t, "Publish");
    tab_wait(t, "document.getElementById('published').textContent ==="
                " 'Not published. The WebSocket is not connected.'");
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* Fills in a field of the page. */
static void fill(struct tab *t, const char *id, const char *text)
{
    tab_eval(t, "document.getElementById('%s').value = '%s'", id, text);
}

/* Presses a button, and waits until the page says something that begins so. */
static void press_and_read(struct tab *t, const char *label, const char *said)
{
    tab_eval(t, "document.getElementById('published').textContent = ''");
    press(t, label);
    tab_wait(t, "document.getElementById('published').textContent !== ''");
    const char *text = tab_eval(t, "document.getElementById('published').textContent");
    ck_assert_msg(strncmp(text, said, strlen(said)) == 0, "%s: %s", label, text);
}

static const char *state_of(struct tab *t)
{
    return tab_eval(t, "[...document.querySelectorAll('.state')].map(e => e.textContent).join()");
}

/* A message with a key is there once; a purge is told with its number; an end is told in all lanes,
 * and what is published behind it is refused in words. */
START_TEST(a_topic_lives_and_ends)
{
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    fill(t, "key", "order-7");
    press_and_read(t, "Publish", "Published as ");
    numbers_become(t, "got", "1,1,1,1");
    press_and_read(t, "Publish", "Published before, as ");
    fill(t, "text", "other");
    press_and_read(t, "Publish", "Not published. 422 ");
    fill(t, "key", "");
    publish(t);
    numbers_become(t, "got", "2,2,2,2");
    press_and_read(t, "Purge it", "demo is purged of 2 messages");
    press_and_read(t, "Purge it", "demo is purged of 0 messages");
    press_and_read(t, "End the topic", "demo has ended");
    tab_wait(t, "[...document.querySelectorAll('.state')].every(e => e.textContent === 'ended')");
    press_and_read(t, "Publish", "Not published. 409 ");
    tab_wait(t, "document.getElementById('all').textContent === 'Resume all'");
    tab_picture(t, "ended.png");
    tab_eval(t, "document.querySelectorAll('.state').forEach(e => e.textContent = '')");
    press(t, "Subscribe"); /* and who comes late is told as well */
    tab_wait(t, "[...document.querySelectorAll('.state')].every(e => e.textContent === 'ended')");
    ck_assert_str_eq(state_of(t), "ended,ended,ended,ended");
    tab_wait(t, "[...document.querySelectorAll('.tile')].some(e =>"
                " /topics ended 1.*messages purged 2.*duplicates 1/.test(e.textContent))");
    ck_assert_str_eq(tab_eval(t, "document.querySelectorAll('.tile:not([hidden]) h3').length"),
                     "9");
    fill(t, "to", "another");
    publish(t);
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* Of a few workers each is shown, of many those that have the most and the least. */
START_TEST(workers_are_told_apart)
{
    static const struct {
        const char *workers, *shown;
    } table[] = {{"2", "worker 0 \\d+worker 1 \\d+started again 0"},
                 {"6", "most \\d+least \\d+started again 0"}};
    for (size_t i = 0; i < COUNT(table); i++) {
        char file[32];
        e2e_start(&s, "--workers", table[i].workers, NULL);
        struct tab *t = live(s.address[0]);
        tab_wait(t, "/Connections by worker%s/.test(tiles.at(-1).el.textContent)", table[i].shown);
        ck_assert_str_eq(tab_eval(t, "tiles.at(-1).el.hidden"), "false");
        snprintf(file, sizeof(file), "workers-%s.png", table[i].workers);
        tab_picture(t, file);
        tab_close(t);
        e2e_stop(&s);
    }
}
END_TEST

/* The lines to copy of the helper run in the page's own console, and nothing else from this origin
 * does: topics are at this origin. */
START_TEST(the_snippet_of_the_helper_runs)
{
    e2e_start(&s, NULL);
    struct tab *t = live(s.address[0]);
    tab_eval(t,
             "window.seen = []; window.lines = [...document.querySelectorAll('.snip pre')].at(-2)"
             ".textContent.replace('console.log(', 'window.seen.push(');"
             " window.lines.startsWith('const {subscribe} = await import(')");
    struct json_value v;
    char params[2048];
    struct text p = text_in(params, sizeof(params) - 1);
    text_str(&p, "{\"replMode\":true,\"awaitPromise\":true,\"expression\":");
    json_string(&p, span_of(tab_eval(t, "window.lines")));
    text_str(&p, "}");
    params[p.n] = '\0';
    struct json_value result = tab_send(t, "Runtime.evaluate", params);
    ck_assert(!cdp_at(&result, "exceptionDetails", &v));
    tab_wait(t, "performance.getEntriesByType('resource').some(e => e.name.includes('wait=25&'))");
    publish(t);
    tab_wait(t, "window.seen.length === 2 && window.seen[0] === 'message'");
    ck_assert_str_eq(t->wrong, "");
    tab_eval(t, "import('/demo?since=-1').then(() => 'ran', () => 'refused')");
    ck_assert_ptr_nonnull(strstr(t->wrong, "Content Security Policy"));
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* Nothing is wider than the window, no text is cut off, no part of a lane lies upon another;
 * and an error is there where it should be alone. */
static void look_at(struct tab *t, int width, bool dark, const char *state, bool wrong)
{
    char file[64];
    tab_look(t, width, 800, width < 700, dark);
    tab_eval(t, "scrollTo(0, 0); new Promise(f => setTimeout(f, 120))"); /* drawn anew by then */
    snprintf(file, sizeof(file), "look-%d-%s-%s.png", width, dark ? "dark" : "light", state);
    tab_picture(t, file);
    ck_assert_str_eq(tab_eval(t, "document.documentElement.scrollWidth <= innerWidth"), "true");
    ck_assert_str_eq(tab_eval(t, "[...document.querySelectorAll('button, h2, h3, p, dt, dd, pre,"
                                 " output, .value, .state')].filter(e => e.scrollWidth >"
                                 " e.clientWidth + 1 && getComputedStyle(e).display !== 'inline')"
                                 ".map(e => e.textContent).join()"),
                     "");
    ck_assert_str_eq(tab_eval(t, "[...document.querySelectorAll('.lane')].map(l => [...l.children]"
                                 ".map(e => e.getBoundingClientRect()).filter(b => b.height > 0))"
                                 ".some(b => b.some((x, i) => i && x.top < b[i - 1].bottom - 1))"),
                     "false");
    ck_assert_str_eq(tab_eval(t, "[...document.querySelectorAll('.bad')].some(e =>"
                                 " e.textContent !== '')"),
                     wrong ? "true" : "false");
}

static void look_around(struct tab *t, const char *state, bool wrong)
{
    static const int widths[] = {360, 390, 768, 1280, 1440, 1920};
    for (size_t i = 0; i < COUNT(widths); i++)
        for (int dark = 0; dark < 2; dark++)
            look_at(t, widths[i], dark, state, wrong);
}

/* At each width, light and dark: idle, 2 and 20 messages a second, the server gone, and back. */
START_TEST(it_looks_right)
{
    static const struct {
        const char *state;
        int rate;
    } streams[] = {{"2", 2}, {"20", 20}};
    e2e_start(&s, NULL);
    char port[8];
    snprintf(port, sizeof(port), "%s", strrchr(s.address[0], ':') + 1);
    struct tab *t = live(s.address[0]);
    look_around(t, "idle", false);
    for (size_t i = 0; i < COUNT(streams); i++) {
        steady(t, streams[i].rate);
        tab_wait(t, "+document.querySelector('.lane .got').textContent >= %d", 5 << 2 * i);
        look_around(t, streams[i].state, false);
    }
    steady(t, 0);
    e2e_stop(&s);
    lanes_become(t, "bad");
    tab_wait(t, "document.getElementById('away').textContent !== ''");
    look_around(t, "gone", true);
    e2e_start(&s, "--port", port, NULL);
    lanes_become(t, "on");
    tab_wait(t, "document.getElementById('away').textContent === ''");
    look_around(t, "back", false);
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

/* An idle lane shows its heartbeats; of many arrows every n-th; the lanes are level. */
START_TEST(it_is_legible)
{
    static const int widths[] = {360, 768, 1280, 1920};
    e2e_start(&s, "--heartbeat", "1s", NULL);
    struct tab *t = live(s.address[0]);
    ck_assert_str_eq(tab_eval(t, "[...document.querySelectorAll('.state')].slice(1)"
                                 ".map(e => e.textContent).join()"),
                     "waiting,connected,connected");
    tab_wait(t, "lanes[2].beat && lanes[3].beat");
    ck_assert_str_eq(tab_eval(t, "for (let i = 0; i < 20; i++) lanes[3].mark('got', 'x');"
                                 " const nth = lanes[3].marks.filter(m => m.nth > 1);"
                                 " nth.length > 0 && nth.some(m => m.skip)"),
                     "true");
    for (size_t i = 0; i < COUNT(widths); i++) {
        tab_look(t, widths[i], 800, widths[i] < 700, i % 2 != 0);
        tab_eval(t, "scrollTo(0, 0)");
        ck_assert_str_eq(tab_eval(t, "document.documentElement.scrollWidth <= innerWidth"), "true");
        if (widths[i] >= 1280)
            ck_assert_str_eq(tab_eval(t, "new Set([...document.querySelectorAll('.seq')].map(e =>"
                                         " e.getBoundingClientRect().top)).size"),
                             "1");
        ck_assert_str_eq(tab_eval(t, "lanes[3].el.scrollIntoView();"
                                     " { const b = document.getElementById('publish')"
                                     ".getBoundingClientRect(); b.top >= 0 && b.bottom <= 200 }"),
                         "true");
    }
    tab_close(t);
    e2e_stop(&s);
}
END_TEST

static TCase *truths(void)
{
    TCase *tc = tcase_create("truths");
    tcase_set_timeout(tc, 120);
    tcase_add_unchecked_fixture(tc, cdp_start, cdp_stop);
    tcase_add_test(tc, published_is_what_was_accepted);
    tcase_add_test(tc, the_socket_publishes);
    tcase_add_test(tc, a_topic_lives_and_ends);
    tcase_add_test(tc, workers_are_told_apart);
    tcase_add_test(tc, the_snippet_of_the_helper_runs);
    tcase_add_test(tc, it_is_legible);
    tcase_add_test(tc, it_looks_right);
    return tc;
}

static TCase *cases(void)
{
    TCase *tc = tcase_create("live");
    tcase_set_timeout(tc, 120);
    tcase_add_unchecked_fixture(tc, cdp_start, cdp_stop);
    tcase_add_loop_test(tc, all_ways_receive_and_resume, 0, COUNT(looks));
    tcase_add_test(tc, numbers_tell_the_ways_apart);
    tcase_add_test(tc, topics_and_wildcards_are_chosen);
    tcase_add_test(tc, gaps_are_shown);
    tcase_add_test(tc, refusals_are_shown);
    tcase_add_test(tc, tokens_are_used);
    if (can("command -v nginx", "what goes through nginx: it is not installed"))
        tcase_add_test(tc, lanes_survive_a_restart);
    tcase_add_test(tc, lanes_do_not_notice_an_upgrade);
    tcase_add_test(tc, memory_is_bounded);
    tcase_add_test(tc, every_control_has_a_name);
    tcase_add_test(tc, keys_are_enough);
    tcase_add_test(tc, motion_can_be_little);
    tcase_add_test(tc, text_can_be_read);
    tcase_add_test(tc, lines_are_right);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("live");
    if (can("command -v chromium", "all in a browser: chromium is not installed")) {
        suite_add_tcase(suite, cases());
        suite_add_tcase(suite, truths());
    }
    return run(suite);
}
