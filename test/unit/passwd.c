/*
 * passwd.c - tests of lib/passwd: who is meant, by /etc/passwd and /etc/group.
 */
#include "lib/passwd.h"
#include "test/kit/kit.h"

static const char users[] = "# comment\n"
                            "\n"
                            "root:x:0:0:root:/root:/bin/sh\n"
                            "broken:x:none:5::/:\n"
                            "short:x:7\n"
                            "huge:x:4294967295:4294967295::/:\n"
                            "large:x:4294967294:4294967294::/:\n"
                            "www:x:33:34:web:/var/www:/bin/false\n"
                            "www:x:99:99:the second counts not:/:\n"
                            "again:x:33:77::/:\n"
                            "1000:x:5:6:a number for a name:/:\n"
                            ":x:0:0::/:\n"
                            "last:x:8:9";
static const char groups[] = "root:x:0:\n"
                             "web:x:40:www,last\n"
                             "broken:x:-1:\n"
                             "huge:x:99999999999:\n"
                             ":x:0:\n"
                             "2000:x:41:\n"
                             "end:x:42";

#define NO_USER  "there is no such user in /etc/passwd"
#define NO_GROUP "there is no such group in /etc/group"
#define NO_ENTRY "has no entry in /etc/passwd, so that its group has to be told: UID:GROUP"
#define NO_NAME  "must be NAME or UID, perhaps with :GROUP"

static const struct {
    int line;
    const char *who, *why; /* NULL: it is right */
    uint32_t uid, gid;
} rows[] = {
    {__LINE__, "root", NULL, 0, 0},
    {__LINE__, "www", NULL, 33, 34},
    {__LINE__, "last", NULL, 8, 9},
    {__LINE__, "large", NULL, 4294967294, 4294967294},
    {__LINE__, "33", NULL, 33, 34},
    {__LINE__, "0", NULL, 0, 0},
    {__LINE__, "1000", NULL, 5, 6},
    {__LINE__, "www:web", NULL, 33, 40},
    {__LINE__, "www:end", NULL, 33, 42},
    {__LINE__, "www:7", NULL, 33, 7},
    {__LINE__, "www:2000", NULL, 33, 41},
    {__LINE__, "700:800", NULL, 700, 800},
    {__LINE__, "700:web", NULL, 700, 40},
    {__LINE__, "short:web", NO_USER, 0, 0},
    {__LINE__, "broken", NO_USER, 0, 0},
    {__LINE__, "short", NO_USER, 0, 0},
    {__LINE__, "huge", NO_USER, 0, 0},
    {__LINE__, "ww", NO_USER, 0, 0},
    {__LINE__, "wwww", NO_USER, 0, 0},
    {__LINE__, "WWW", NO_USER, 0, 0},
    {__LINE__, "# comment", NO_USER, 0, 0},
    {__LINE__, "-1", NO_USER, 0, 0},
    {__LINE__, "4294967295", NO_USER, 0, 0},
    {__LINE__, "4294967295:0", NO_USER, 0, 0},
    {__LINE__, "700", NO_ENTRY, 0, 0},
    {__LINE__, "7", NO_ENTRY, 0, 0},
    {__LINE__, "www:none", NO_GROUP, 0, 0},
    {__LINE__, "www:broken", NO_GROUP, 0, 0},
    {__LINE__, "www:huge", NO_GROUP, 0, 0},
    {__LINE__, "www:4294967295", NO_GROUP, 0, 0},
    {__LINE__, "www:web:web", NO_GROUP, 0, 0},
    {__LINE__, "", NO_NAME, 0, 0},
    {__LINE__, ":", NO_NAME, 0, 0},
    {__LINE__, ":web", NO_NAME, 0, 0},
    {__LINE__, "www:", NO_NAME, 0, 0},
};

START_TEST(found)
{
    char *u = on_heap(span_of(users)), *g = on_heap(span_of(groups));
    struct span in = {u, sizeof users - 1}, of = {g, sizeof groups - 1};
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t uid = 12345, gid = 54321;
        const char *why = passwd_find(span_of(rows[i].who), in, of, &uid, &gid);
        ck_assert_msg((why == NULL) == (rows[i].why == NULL), "line %d: %s", rows[i].line,
                      why != NULL ? why : "it was found");
        if (why != NULL) {
            ck_assert_str_eq(why, rows[i].why);
            ck_assert(uid == 12345 && gid == 54321);
        } else {
            ck_assert_msg(uid == rows[i].uid && gid == rows[i].gid, "line %d: %u:%u", rows[i].line,
                          uid, gid);
        }
    }
    free(u);
    free(g);
}
END_TEST

/* Files that end anywhere: nothing is read beyond, and no wrong id is found. */
START_TEST(cut_off)
{
    for (size_t n = 0; n < sizeof users; n++) {
        char *u = on_heap((struct span){users, n});
        uint32_t uid = 0, gid = 0;
        if (passwd_find(SPAN("www"), (struct span){u, n}, SPAN(""), &uid, &gid) == NULL)
            ck_assert(uid == 33 && (gid == 34 || gid == 3));
        if (passwd_find(SPAN("8:9"), (struct span){u, n}, SPAN(""), &uid, &gid) == NULL)
            ck_assert(uid == 8 && gid == 9);
        free(u);
    }
    uint32_t uid, gid;
    ck_assert_str_eq(passwd_find(SPAN("root"), SPAN(""), SPAN(""), &uid, &gid), NO_USER);
    ck_assert_ptr_null(
        passwd_find(SPAN("1:2"), (struct span){NULL, 0}, (struct span){NULL, 0}, &uid, &gid));
    ck_assert(uid == 1 && gid == 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("passwd");
    TCase *tc = tcase_create("passwd");
    tcase_add_test(tc, found);
    tcase_add_test(tc, cut_off);
    suite_add_tcase(suite, tc);
    return run(suite);
}
