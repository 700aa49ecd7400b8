/*
 * cdp.h - tabs of a headless Chromium, driven by its DevTools protocol over a pipe.
 *
 *     struct tab *t = tab_open(NULL, "http://127.0.0.1:43211/");
 *     tab_wait(t, "document.title === 'sse'");
 *     ck_assert_str_eq(tab_eval(t, "1 + %d", 1), "2");
 *     tab_close(t);
 *
 * One Chromium serves a whole test program; each test opens tabs of its own, in a profile of its
 * own (tab_open(NULL, ..)), which other tabs may share. What a tab asks for, and what goes wrong in
 * it, is noted. Every wait has a deadline, and every failure is a failed assertion.
 */
#ifndef SSE_TEST_KIT_CDP_H
#define SSE_TEST_KIT_CDP_H

#include "lib/json.h"

#include <stdbool.h>

struct tab {
    char session[64], target[64], profile[64];
    char
        wrong[65536]; /* exceptions, and what the console and the log have of errors; a line each */
    char asked[1 << 21]; /* the URLs of its requests; a line each */
    size_t nwrong, nasked;
};

/* Starts Chromium, and ends it: as fixtures around all tests. */
void cdp_start(void);
void cdp_stop(void);

/* A directory that goes when the test program has ended. */
const char *cdp_directory(void);

/* Opens a tab with this page, in the profile of another tab, or in a new one (NULL). */
struct tab *tab_open(const struct tab *beside, const char *url);
void tab_close(struct tab *t);

/* Sends a command; `params` is a JSON object, "" for none. Returns its result, good until the next
 * call. */
struct json_value tab_send(struct tab *t, const char *method, const char *params);

/* Goes to another page, and waits until it has been loaded. */
void tab_go(struct tab *t, const char *url);

/* Runs JavaScript and returns what it comes to, promises awaited, as a string; good until the next
 * call. */
const char *tab_eval(struct tab *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits until an expression is true. */
void tab_wait(struct tab *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How it is shown. */
void tab_look(struct tab *t, int width, int height, bool phone, bool dark);

/* Keeps a picture of the whole page. */
void tab_picture(struct tab *t, const char *file);

/* A key, as if it was pressed. */
void tab_key(struct tab *t, const char *key, int code);

/* What is at a path of names, "a.b.c", of an object. False: nothing. */
bool cdp_at(const struct json_value *of, const char *path, struct json_value *v);

/* A string's text, in one of 8 static buffers of 1,024 bytes in turn. */
const char *cdp_text(const struct json_value *v);

#endif
