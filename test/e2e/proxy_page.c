/*
 * proxy_page.c - end to end: the live page and /-/sse.js in headless Chromium, through each real
 * proxy before the server.
 */
#include "test/kit/cdp.h"
#include "test/kit/e2e.h"
#include "test/kit/kit.h"
#include "test/kit/proxies.h"
#include "test/kit/spare.h"

#include <string.h>

static struct e2e_server s;
static struct proxy proxy;
static char url[300];

/* Starts both, and opens a page of the proxy's. */
static struct tab *begin(int kind, const char *path)
{
    e2e_start(&s, NULL);
    proxy_start(&proxy, kind, &s, PROXY_PATIENT);
    snprintf(url, sizeof(url), "%s%s", proxy.at.address[0], path);
    return tab_open(NULL, url);
}

/* Nothing went wrong in the page. */
static void end(struct tab *t)
{
    ck_assert_str_eq(t->wrong, "");
    tab_close(t);
    proxy_stop(&proxy);
    e2e_stop(&s);
}

/* Publishes with the page's button; all four ways then have this many messages. */
static void publish(struct tab *t, int n)
{
    tab_eval(
        t,
        "[...document.querySelectorAll('button')].find(e => e.textContent === 'Publish').click()");
    tab_wait(t,
             "document.querySelectorAll('.lane').length === 4 &&"
             " [...document.querySelectorAll('.lane .got')].every(e => e.textContent === '%d')",
             n);
}

START_TEST(the_live_page_has_all_ways)
{
    struct tab *t = begin(_i, "/");
    tab_wait(t, "document.querySelectorAll('.lane[data-state=on]').length === 4");
    publish(t, 1);
    publish(t, 2);
    ck_assert_str_eq(tab_eval(t, "[...document.querySelectorAll('.lane .missed')].map(e =>"
                                 " e.textContent).join()"),
                     "0,0,0,0");
    end(t);
}
END_TEST

/* The helper has what is published, by EventSource, from the first message on; and goes on where
 * the page was when it is loaded again. */
START_TEST(the_helper_comes_through)
{
    static const char load[] =
        "got = []; import('/-/sse.js').then(m => m.subscribe('/news', {since:"
        " 'earliest', onmessage: m => got.push(m.data)})); 0";
    struct tab *t = begin(_i, "/-/healthy");
    tab_eval(t, load);
    e2e_publish(&s, "/news", "one");
    tab_wait(t, "got.join() === 'one'");
    e2e_publish(&s, "/news", "two");
    tab_wait(t, "got.join() === 'one,two'");
    tab_go(t, "about:blank#away");
    e2e_publish(&s, "/news", "three");
    tab_go(t, url);
    tab_eval(t, load);
    tab_wait(t, "got.join() === 'three'");
    end(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proxy_page");
    TCase *c = tcase_create("page");
    tcase_add_unchecked_fixture(c, proxies_begin, proxies_end);
    tcase_add_unchecked_fixture(c, cdp_start, cdp_stop);
    if (can("command -v chromium", "all in a browser: chromium is not installed"))
        suite_add_tcase(suite, c);
    for (int i = 0; i < proxy_kinds_n; i++) {
        if (proxy_there(i)) {
            tcase_add_loop_test(c, the_live_page_has_all_ways, i, i + 1);
            tcase_add_loop_test(c, the_helper_comes_through, i, i + 1);
        }
    }
    return run(suite);
}
