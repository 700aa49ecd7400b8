/*
 * guard.c - which paths are root's alone, and what is opened with whose rights. As root; for
 * others there is nothing to guard.
 */
#include "lib/host/guard.h"
#include "test/kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER  65534u
#define GROUP 65533u

static const struct user user = {.given = true, .uid = USER, .gid = GROUP};
static char dir[] = "/tmp/guard-XXXXXX";
static bool root;

static const char *in_dir(const char *name)
{
    static char paths[8][128];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void file_make(const char *name, mode_t mode)
{
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    ck_assert_msg(fd != -1, "%s: %s", name, strerror(errno));
    close(fd);
}

/* root/, of root; user/, of the user; sticky/, as /tmp; shared/, of a group that is not root's
 * alone. */
static void setup(void)
{
    static const struct {
        const char *name;
        uid_t uid;
        mode_t mode;
    } dirs[] = {{"root", 0, 0755}, {"user", USER, 0755}, {"sticky", 0, 01777}, {"shared", 0, 0775}};
    root = geteuid() == 0;
    strcpy(dir, "/tmp/guard-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    umask(022);
    ck_assert_int_eq(chmod(dir, 0755), 0);
    for (size_t i = 0; root && i < COUNT(dirs); i++) {
        ck_assert_int_eq(mkdir(in_dir(dirs[i].name), 0700), 0);
        ck_assert_int_eq(chown(in_dir(dirs[i].name), dirs[i].uid, 0), 0);
        ck_assert_int_eq(chmod(in_dir(dirs[i].name), dirs[i].mode), 0);
    }
    if (!root)
        return;
    file_make("root/file", 0644);
    file_make("user/roots", 0644);
    file_make("user/own", 0644);
    file_make("sticky/roots", 0644);
    file_make("sticky/own", 0644);
    ck_assert_int_eq(chown(in_dir("user/own"), USER, GROUP), 0);
    ck_assert_int_eq(chown(in_dir("sticky/own"), USER, GROUP), 0);
    ck_assert_int_eq(symlink(in_dir("root/file"), in_dir("root/link")), 0);
    ck_assert_int_eq(symlink("../root/file", in_dir("user/link")), 0);
    ck_assert_int_eq(symlink("../user", in_dir("root/there")), 0);
    ck_assert_int_eq(symlink("../root/./file", in_dir("sticky/link")), 0);
    ck_assert_int_eq(symlink("loop", in_dir("root/loop")), 0);
    ck_assert_int_eq(symlink("missing", in_dir("root/new")), 0);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static const struct {
    int line;
    const char *path;
    bool roots;
} rows[] = {
    {__LINE__, "root/file", true},       {__LINE__, "root/missing", true},
    {__LINE__, "root/link", true},       {__LINE__, "root/new", true},
    {__LINE__, "root//./file", true},    {__LINE__, "root/../root/file", true},
    {__LINE__, "user/own", false},       {__LINE__, "user/roots", false},
    {__LINE__, "user/missing", false},   {__LINE__, "user/link", false},
    {__LINE__, "root/there/own", false}, {__LINE__, "user/../root/file", true},
    {__LINE__, "sticky/roots", true},    {__LINE__, "sticky/own", false},
    {__LINE__, "sticky/link", true},     {__LINE__, "sticky/missing", false},
    {__LINE__, "shared/missing", false}, {__LINE__, "root/loop", false},
    {__LINE__, "none/missing", false},   {__LINE__, "root/file/below", false},
};

START_TEST(whose)
{
    if (!root)
        return;
    for (size_t i = 0; i < COUNT(rows); i++) {
        ck_assert_msg(guard_only_root(in_dir(rows[i].path)) == rows[i].roots, "line %d",
                      rows[i].line);
        ck_assert_int_eq(chdir(dir), 0);
        ck_assert_msg(guard_only_root(rows[i].path) == rows[i].roots, "line %d, relative",
                      rows[i].line);
        ck_assert_int_eq(chdir("/"), 0);
    }
    static char longest[8192];
    memset(longest, 'x', sizeof longest - 1);
    ck_assert(!guard_only_root(longest));
}
END_TEST

/* Opens or makes a file as the server does; returns the errno. */
static int opened(const char *path, const struct user *u, int flags, struct stat *st)
{
    struct guard g;
    ck_assert(guard_begin(&g, u, path));
    int fd = open(path, flags | O_CLOEXEC, 0600), err = fd == -1 ? errno : 0;
    if (fd != -1) {
        ck_assert_int_eq(fstat(fd, st), 0);
        close(fd);
    }
    guard_end(&g);
    return err;
}

START_TEST(with_whose_rights)
{
    struct stat st;
    gid_t groups[2] = {0, 4}, now[64];
    if (!root)
        return;
    ck_assert_int_eq(setgroups(2, groups), 0);
    /* what the user has no right to is not opened by a way that it could have made */
    ck_assert_int_eq(opened(in_dir("user/link"), &user, O_RDWR, &st), EACCES);
    ck_assert_int_eq(opened(in_dir("user/roots"), &user, O_RDWR, &st), EACCES);
    ck_assert_int_eq(opened(in_dir("user/own"), &user, O_RDWR, &st), 0);
    ck_assert_int_eq(opened(in_dir("shared/new"), &user, O_RDWR | O_CREAT, &st), EACCES);
    /* what is made there is the user's, elsewhere root's */
    ck_assert_int_eq(opened(in_dir("user/new"), &user, O_RDWR | O_CREAT | O_EXCL, &st), 0);
    ck_assert(st.st_uid == USER && st.st_gid == GROUP);
    ck_assert_int_eq(opened(in_dir("sticky/new"), &user, O_RDWR | O_CREAT | O_EXCL, &st), 0);
    ck_assert(st.st_uid == USER);
    ck_assert_int_eq(opened(in_dir("root/new2"), &user, O_RDWR | O_CREAT | O_EXCL, &st), 0);
    ck_assert(st.st_uid == 0);
    ck_assert_int_eq(opened(in_dir("root/link"), &user, O_RDWR, &st), 0);
    /* without --user, or with root, nothing changes */
    const struct user none = {.given = false, .uid = 0}, same = {.given = true, .uid = 0};
    ck_assert_int_eq(opened(in_dir("user/link"), &none, O_RDWR, &st), 0);
    ck_assert_int_eq(opened(in_dir("user/link"), &same, O_RDWR, &st), 0);
    /* and all is as before */
    ck_assert_int_eq(getgroups(64, now), 2);
    ck_assert(now[0] == 0 && now[1] == 4);
    ck_assert_int_eq(open("/etc/shadow", O_RDONLY | O_CLOEXEC) == -1, 0);
}
END_TEST

static bool may_give(const char *name)
{
    int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
    ck_assert_int_ne(fd, -1);
    bool may = guard_may_give(&user, fd);
    close(fd);
    return may;
}

/* Root's file is given away only if it has no other name, anyone else's never. */
START_TEST(given)
{
    if (!root)
        return;
    ck_assert(may_give("root/file"));
    ck_assert(may_give("user/own"));
    ck_assert_int_eq(link(in_dir("root/file"), in_dir("root/second")), 0);
    ck_assert(!may_give("root/file"));
    file_make("root/others", 0644);
    ck_assert_int_eq(chown(in_dir("root/others"), 1234, 0), 0);
    ck_assert(!may_give("root/others"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("guard");
    TCase *t = tcase_create("guard");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, whose);
    tcase_add_test(t, with_whose_rights);
    tcase_add_test(t, given);
    suite_add_tcase(s, t);
    return run(s);
}
