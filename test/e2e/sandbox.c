/*
 * sandbox.c - what a server can't do any more after its start, and that it still can do all it has
 * to. White box for the first: sandbox.c and calls.c are included as they are without sanitizers,
 * and a child of the test enters the sandbox.
 */
#include <sys/syscall.h>
#include <unistd.h>

/* Before a call that does not come back the sanitizer makes one that is not in the table. */
static void leave(int code)
{
    (void)syscall(SYS_exit_group, code);
}
#define _exit(code) leave(code) // NOLINT(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

#define CALLS_SANITIZED 0
#include "lib/host/calls.c"
#include "lib/host/keeper.h"
#include "lib/host/sandbox.c"
#include "test/kit/life.h"
#include "test/kit/socket.h"

#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ptrace.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct e2e_server s;
static struct e2e_response r;

static bool root;
static int abi; /* of the kernel's Landlock */

static void setup(void)
{
    struct landlock l;
    program_make();
    ck_assert_int_eq(chmod(program.dir, 0755), 0);
    root = geteuid() == 0;
    const gid_t other = 4;
    ck_assert(!root || setgroups(1, &other) == 0); /* one to leave */
    ck_assert_int_eq(landlock_begin(&l, false), 0);
    abi = l.abi;
    landlock_drop(&l);
}

/* ---- inside it: a child
 * -------------------------------------------------------------------------- */

static struct server inner;
static struct tables tables;
static struct calls_held held;

/* What stdio would do with more calls than are allowed. */
static void tell(const char *text)
{
    if (write(2, text, strlen(text)) == -1)
        leave(98);
}

static void say_nothing(enum opt_log level, const char *msg, ...)
{
    (void)level;
    (void)msg;
}

/* Enters the sandbox, with a key in the test's directory. */
static int enter(void)
{
    char bytes[256];
    struct text why = text_in(bytes, sizeof bytes - 1);
    char *argv[] = {program.sse, NULL};
    struct user user;
    inner.log.say = say_nothing;
    inner.config.opt.log = OPT_LOG_ERROR;
    inner.config.opt.key_files = (struct opt_list){1, {span_of(in_dir("key"))}};
    if (user_find(NULL, &user, &why) != 0)
        return 1;
    sandbox_watch();
    int code = sandbox_enter(&inner, &tables, &user, argv, &held, &why);
    bytes[why.n] = '\0';
    if (code != 0)
        tell(bytes);
    return code;
}

/* What a child of the test does there, and what it said. */
static struct {
    int status; /* of waitpid() */
    char said[1024];
} child;

/* Has a child enter and call `act`, whose result is its exit code. */
static void inside(int (*act)(void))
{
    int err = memfd_create("stderr", MFD_CLOEXEC);
    pid_t pid = fork();
    ck_assert_int_ne(pid, -1);
    if (pid == 0) {
        if (dup2(err, 2) == -1 || enter() != 0)
            _exit(99);
        _exit(act());
    }
    ck_assert_int_eq(waitpid(pid, &child.status, 0), pid);
    ssize_t n = pread(err, child.said, sizeof child.said - 1, 0);
    child.said[n > 0 ? n : 0] = '\0';
    close(err);
}

/* It ended with this code. */
static void ended(int line, int code)
{
    ck_assert_msg(WIFEXITED(child.status) && WEXITSTATUS(child.status) == code,
                  "line %d: wait status %#x: %s", line, (unsigned)child.status, child.said);
}

static int nothing(void)
{
    return 0;
}

static int calls_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) == -1;
}

static int calls_connect(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    return connect(0, (struct sockaddr *)&un, sizeof un);
}

static int calls_ptrace(void)
{
    return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int calls_fork(void)
{
    return (int)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL, 0);
}

static int calls_mmap(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == NULL;
}

static int calls_mprotect(void)
{
    return mprotect((void *)(uintptr_t)((uintptr_t)&inner & ~(uintptr_t)4095), 4096, PROT_EXEC);
}

static int calls_kill(void)
{
    return kill(getppid(), SIGTERM);
}

static int calls_open(void)
{
    return open(in_dir("made"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int calls_setuid(void)
{
    return (int)syscall(SYS_setuid, 0);
}

static int calls_rename(void)
{
    return rename(in_dir("a"), in_dir("b"));
}

static int calls_unshare(void)
{
    return (int)syscall(SYS_unshare, 0x10000000);
}

#ifdef __x86_64__
static int calls_x32(void)
{
    return (int)syscall(0x40000000 | SYS_write, 2, "x32\n", 4);
}

/* By the gate of 32-bit programs, where 20 is getpid() and here writev(). */
static int calls_i386(void)
{
    int pid = 20;
    __asm__ volatile("int $0x80" : "+a"(pid) : : "memory");
    return pid > 0;
}

/* Returns true if this kernel has that gate. Without it, a program that uses it gets SIGSEGV, in
 * the sandbox or not. */
static bool has_i386(void)
{
    int status;
    pid_t pid = fork();
    ck_assert_int_ne(pid, -1);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL); /* not a report of the sanitizer's */
        _exit(calls_i386());
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}
#endif

#define FORBIDDEN(call)                    \
    {                                      \
        __LINE__, calls_##call, SYS_##call \
    }
static const struct {
    int line;
    int (*act)(void);
    long call;
} forbidden[] = {
    FORBIDDEN(socket),
    FORBIDDEN(connect),
    FORBIDDEN(ptrace),
    FORBIDDEN(mmap),
    FORBIDDEN(mprotect),
    FORBIDDEN(setuid),
    FORBIDDEN(unshare),
    {__LINE__, calls_fork, SYS_clone},
    {__LINE__, calls_kill, -1}, /* getppid() is the first that is not there */
    {__LINE__, calls_open, -1}, /* what libc takes for it */
    {__LINE__, calls_rename, -1},
#ifdef __x86_64__
    {__LINE__, calls_x32, 0x40000000 | SYS_write},
    {__LINE__, calls_i386, 20},
#endif
};

/* It is said which call it was, and that is the end. */
START_TEST(refuses)
{
    char text[64] = "sse: system call ";
#ifdef __x86_64__
    if (forbidden[_i].act == calls_i386 && !has_i386()) {
        fprintf(stderr, "not tested: this kernel has no 32-bit calls, so that they are refused\n");
        return;
    }
#endif
    inside(nothing);
    ended(__LINE__, 0);
    ck_assert_str_eq(child.said, "");
    inside(forbidden[_i].act);
    if (forbidden[_i].call != -1)
        snprintf(text, sizeof text, "sse: system call %ld is not", forbidden[_i].call);
    ended(forbidden[_i].line, EX_SOFTWARE);
    ck_assert_msg(strstr(child.said, text) == child.said, "line %d: %s", forbidden[_i].line,
                  child.said);
    ck_assert_int_eq(access(in_dir("made"), F_OK), -1);
}
END_TEST

/* Also where libc has all signals blocked, by whatever means, or whoever started it had. */
static int is_deaf(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    return (int)syscall(SYS_setuid, 0);
}

static int is_deaf_at_once(void)
{
    uint64_t all = UINT64_MAX;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    return (int)syscall(SYS_setuid, 0);
}

static int calls_at_once(void)
{
    return (int)syscall(SYS_setuid, 0);
}

static const struct {
    int line;
    int (*act)(void);
    bool before; /* it is deaf when it enters */
} deaf[] = {
    {__LINE__, is_deaf, false},
    {__LINE__, is_deaf_at_once, false},
    {__LINE__, calls_at_once, true},
};

START_TEST(refuses_the_deaf)
{
    char text[64];
    sigset_t all, before;
    sigfillset(&all);
    snprintf(text, sizeof text, "sse: system call %d is not", SYS_setuid);
    sigprocmask(SIG_BLOCK, deaf[_i].before ? &all : NULL, &before);
    inside(deaf[_i].act);
    sigprocmask(SIG_SETMASK, &before, NULL);
    ended(deaf[_i].line, EX_SOFTWARE);
    ck_assert_msg(strstr(child.said, text) == child.said, "line %d: %s", deaf[_i].line, child.said);
}
END_TEST

static bool mask_is(const sigset_t *set, int first, int second)
{
    for (int sign = 1; sign < 32; sign++)
        if (sigismember(set, sign) != (sign == first || sign == second))
            return false;
    return true;
}

/* Masks are otherwise what they are outside. Returns which step went wrong; 0: none. */
static int changes_masks(void)
{
    sigset_t none, term, both, was;
    sigemptyset(&none);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    both = term;
    sigaddset(&both, SIGHUP);
    sigaddset(&both, SIGSYS);
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0 || sigprocmask(SIG_BLOCK, NULL, &was) != 0 ||
        !mask_is(&was, 0, 0))
        return 1;
    if (sigprocmask(SIG_BLOCK, &term, &was) != 0 || !mask_is(&was, 0, 0))
        return 2;
    if (sigprocmask(SIG_SETMASK, &both, &was) != 0 || !mask_is(&was, SIGTERM, 0))
        return 3;
    if (sigprocmask(SIG_UNBLOCK, &term, &was) != 0 || !mask_is(&was, SIGTERM, SIGHUP))
        return 4;
    if (sigprocmask(SIG_BLOCK, &term, &was) != 0 || !mask_is(&was, SIGHUP, 0))
        return 5;
    errno = 0;
    if (sigprocmask(77, &none, NULL) != -1 || errno != EINVAL)
        return 6;
    if (sigprocmask(77, NULL, &was) != 0 || !mask_is(&was, SIGTERM, SIGHUP))
        return 7;
    return 0;
}

START_TEST(masks)
{
    inside(changes_masks);
    ended(__LINE__, 0);
}
END_TEST

/* ---- files
 * --------------------------------------------------------------------------------------- */

static int first_byte(const char *path)
{
    char byte = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return errno == EACCES ? 'A' : errno == ENOENT ? 'N' : '?';
    if (read(fd, &byte, 1) != 1)
        byte = 0;
    close(fd);
    return byte;
}

/* Kinds of access, a letter each: 'A' is that it is refused. */
static int opens_files(void)
{
    char letters[32] = "";
    char *const argv[] = {NULL}, *const env[] = {NULL};
    size_t n = 0;
    letters[n++] = (char)first_byte("/etc/passwd");
    letters[n++] = (char)first_byte("/proc/self/maps");
    letters[n++] = (char)first_byte(in_dir("elsewhere/x"));
    letters[n++] = (char)first_byte(in_dir("key"));
    letters[n++] = first_byte("/dev/null") == 0 ? '0' : '!';
    letters[n++] = open("/dev/null", O_RDWR) != -1 ? 'w' : (char)(errno == EACCES ? 'A' : '?');
    letters[n++] = open(in_dir("key"), O_RDWR) != -1 ? 'w' : (char)(errno == EACCES ? 'A' : '?');
    letters[n++] = open("/", O_RDONLY | O_DIRECTORY) != -1 ? 'd' : errno == EACCES ? 'A' : '?';
    letters[n++] = unlink(in_dir("key")) == 0 ? 'u' : errno == EACCES ? 'A' : '?';
    execve(in_dir("elsewhere/program"), argv, env);
    letters[n++] = errno == EACCES ? 'A' : '?';
    execve("/bin/sh", argv, env);
    letters[n++] = errno == EACCES ? 'A' : '?';
    tell(letters);
    return 0;
}

static void text_to(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    ck_assert(fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

START_TEST(files)
{
    char elsewhere[80];
    if (abi == 0) { /* then nothing but what the calls' arguments tell is refused */
        inside(calls_open);
        ended(__LINE__, EX_SOFTWARE);
        return;
    }
    snprintf(elsewhere, sizeof elsewhere, "%s-elsewhere", program.dir);
    ck_assert_int_eq(mkdir(elsewhere, 0755), 0);
    ck_assert_int_eq(symlink(elsewhere, in_dir("elsewhere")), 0);
    text_to(in_dir("elsewhere/x"), "x");
    text_to(in_dir("elsewhere/program"), "#!/bin/true\n");
    text_to(in_dir("key"), "k");
    inside(opens_files);
    ended(__LINE__, 0);
    unlink(in_dir("elsewhere/x"));
    unlink(in_dir("elsewhere/program"));
    ck_assert_int_eq(rmdir(elsewhere), 0);
    ck_assert_str_eq(child.said, "AAAk0wAAAAA");
}
END_TEST

/* The key file, its neighbours and what is below are out of reach; the keeper opens it, also one
 * that was put in its place, and says why where it can't. */
static int keeping = KEEPER_NONE;
static int has_read[2]; /* a pipe: it has read the first */

/* The first byte of the file that the keeper opens; 'A', '-' or '?': it is refused, not there,
 * else. */
static char kept_byte(void)
{
    char byte = '?';
    int fd = keeper_ask(keeping, 0);
    if (fd == -1)
        return errno == EACCES ? 'A' : errno == ENOENT ? '-' : '?';
    if (read(fd, &byte, 1) != 1)
        byte = '0';
    close(fd);
    return byte;
}

static int keeper_opens(void)
{
    char letters[16] = "";
    size_t n = 0;
    letters[n++] = (char)first_byte(in_dir("elsewhere/key"));
    letters[n++] = (char)first_byte(in_dir("elsewhere/secret"));
    letters[n++] = (char)first_byte(in_dir("elsewhere/below/secret"));
    letters[n++] = kept_byte();
    letters[n++] = kept_byte();
    tell(letters);
    if (write(has_read[1], "", 1) != 1)
        return 1;
    for (int i = 0; i < 10000 && kept_byte() == '1'; i++)
        poll(NULL, 0, 1);
    letters[0] = kept_byte(); /* renamed over */
    letters[1] = '\0';
    tell(letters);
    return 0;
}

START_TEST(kept)
{
    char elsewhere[80], bytes[64];
    struct text why = text_in(bytes, sizeof bytes);
    struct user user;
    if (abi == 0)
        return;
    snprintf(elsewhere, sizeof elsewhere, "%s-elsewhere", program.dir);
    ck_assert_int_eq(mkdir(elsewhere, 0755), 0);
    ck_assert_int_eq(symlink(elsewhere, in_dir("elsewhere")), 0);
    ck_assert_int_eq(mkdir(in_dir("elsewhere/below"), 0755), 0);
    text_to(in_dir("elsewhere/secret"), "s");
    text_to(in_dir("elsewhere/below/secret"), "s");
    text_to(in_dir("elsewhere/key"), "1");
    text_to(in_dir("elsewhere/key.new"), "2");
    ck_assert_int_eq(user_find(NULL, &user, &why), 0);
    const struct opt_list kept_files = {1, {span_of(in_dir("elsewhere/key"))}};
    keeping = keeper_start(&kept_files, &user);
    ck_assert_int_ge(keeping, 0);
    ck_assert_int_eq(pipe2(has_read, O_CLOEXEC), 0);
    pid_t other = fork();
    if (other == 0) {
        char byte;
        _exit(read(has_read[0], &byte, 1) != 1 ||
              rename(in_dir("elsewhere/key.new"), in_dir("elsewhere/key")) != 0);
    }
    inside(keeper_opens);
    ended(__LINE__, 0);
    ck_assert_str_eq(child.said, "AAA112");
    ck_assert_int_eq(waitpid(other, &child.status, 0), other);
    ended(__LINE__, 0);
    unlink(in_dir("elsewhere/key"));
    ck_assert_int_eq(kept_byte(), '-');
    /* a link to another file is followed only to where it may be */
    ck_assert_int_eq(symlink("/etc/passwd", in_dir("elsewhere/key")), 0);
    ck_assert_int_eq(kept_byte(), 'A');
    /* it goes when the last who could ask has gone */
    int status;
    close(keeping);
    ck_assert_int_ne(wait(&status), -1);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    unlink(in_dir("elsewhere/key"));
    unlink(in_dir("elsewhere/secret"));
    unlink(in_dir("elsewhere/below/secret"));
    ck_assert_int_eq(rmdir(in_dir("elsewhere/below")), 0);
    ck_assert_int_eq(rmdir(elsewhere), 0);
}
END_TEST

/* The program is found as exec does it, through PATH if it has to be. */
START_TEST(program_is_found)
{
    char path[PATH_MAX], dirs[256];
    text_to(in_dir("tool"), "#!/bin/true\n");
    text_to(in_dir("plain"), "no program\n");
    ck_assert_int_eq(chmod(in_dir("plain"), 0644), 0);
    snprintf(dirs, sizeof dirs, "/nowhere:%s:/bin", program.dir);
    ck_assert_int_eq(setenv("PATH", dirs, 1), 0);
    ck_assert(program_find("tool", path));
    ck_assert_str_eq(path, in_dir("tool"));
    ck_assert(program_find("sh", path));
    ck_assert_str_eq(path, "/bin/sh");
    ck_assert(program_find("./any/where", path));
    ck_assert_str_eq(path, "./any/where");
    ck_assert(!program_find("plain", path));
    ck_assert(!program_find("no-such-tool", path));
    ck_assert_int_eq(unsetenv("PATH"), 0);
    ck_assert(!program_find("sh", path));
}
END_TEST

/* ---- filters pile up only where they differ
 * ------------------------------------------------------- */

static int held_goes_on(void)
{
    char line[32];
    char bytes[256];
    struct text why = text_in(bytes, sizeof bytes - 1);
    struct calls_held less;
    if (!sandbox_fits(&held, &why) || why.n != 0)
        return 2;
    uint64_t sum = held.sum;
    sandbox_go_on(&inner, &held);
    if (held.sum != sum)
        return 3;
    less = held;
    less.sum ^= 2;
    less.calls.bits[SYS_gettid / 64] &= ~((uint64_t)1 << SYS_gettid % 64);
    if (sandbox_fits(&less, &why))
        return 4;
    bytes[why.n] = '\0';
    snprintf(line, sizeof line, "system call %d,", SYS_gettid);
    if (strstr(bytes, line) == NULL)
        return 5;
    sandbox_go_on(&inner, &less);
    if (less.sum != sum || calls_missing(&less.calls) != SYS_gettid)
        return 6;
    less = (struct calls_held){.sum = 0};
    return sandbox_fits(&less, &why) ? 0 : 7;
}

START_TEST(goes_on)
{
    inside(held_goes_on);
    ended(__LINE__, 0);
}
END_TEST

/* ---- a server
 * -------------------------------------------------------------------------------------- */

/* A line of /proc/PID/status, of the process or a thread: what stands behind its name, blanks being
 * one space. */
static const char *status_at(const char *thread, const char *field)
{
    static char line[4][256];
    static unsigned turn;
    char path[96], *to = line[turn++ % 4];
    snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)s.pid, thread);
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    while (fgets(to, sizeof line[0], f) != NULL) {
        size_t n = strlen(field);
        if (strncmp(to, field, n) != 0 || to[n] != ':')
            continue;
        fclose(f);
        to[strcspn(to, "\n")] = '\0';
        for (char *c = to; *c != '\0'; c++)
            *c = *c == '\t' ? ' ' : *c;
        to += n + 1 + strspn(to + n + 1, " ");
        for (size_t end = strlen(to); end > 0 && to[end - 1] == ' ';)
            to[--end] = '\0';
        return to;
    }
    fclose(f);
    return "";
}

static const char *status_of(const char *field)
{
    char main_thread[16];
    snprintf(main_thread, sizeof main_thread, "%d", (int)s.pid);
    return status_at(main_thread, field);
}

/* No thread blocks SIGSYS, by which a refused call is heard of, for good: a thread that begins
 * blocks all for a moment. Returns how many there are. */
static unsigned none_is_deaf(void)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)s.pid);
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            uint64_t blocked = strtoull(status_at(e->d_name, "SigBlk"), NULL, 16);
            for (int i = 0; i < 60000 && (blocked >> (SIGSYS - 1) & 1) != 0; i++) {
                usleep(1000);
                blocked = strtoull(status_at(e->d_name, "SigBlk"), NULL, 16);
            }
            ck_assert_uint_eq(blocked >> (SIGSYS - 1) & 1, 0);
            ck_assert_uint_ne(blocked >> (SIGTERM - 1) & 1, 0);
            n++;
        }
    closedir(d);
    return n;
}

static void has_no_power(void)
{
    static const char *const caps[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
    for (size_t i = 0; i < COUNT(caps); i++)
        ck_assert_str_eq(status_of(caps[i]), "0000000000000000");
    if (root)
        ck_assert_str_eq(status_of("CapBnd"), "0000000000000000");
}

static void is_inside(void)
{
    ck_assert_str_eq(status_of("NoNewPrivs"), "1");
    ck_assert_str_eq(status_of("Seccomp"), "2");
    has_no_power();
}

START_TEST(server_is_inside)
{
    e2e_start(&s, "--log", "debug", NULL);
    is_inside();
    ck_assert_str_eq(status_of("Seccomp_filters"), "1");
    char version[32];
    snprintf(version, sizeof version, "msg=landlock version=%d\n", abi);
    ck_assert_ptr_nonnull(strstr(e2e_stderr(&s), version));
    for (int i = 1; i <= 20; i++) /* more than Landlock has layers */
        upgrade(&s, i);
    is_inside();
    ck_assert_str_eq(status_of("Seccomp_filters"), "1");
    e2e_stop_log(&s, SIGTERM, "stopped");
}
END_TEST

START_TEST(server_without)
{
    e2e_start(&s, "--no-sandbox", NULL);
    ck_assert_str_eq(status_of("NoNewPrivs"), "0");
    ck_assert_str_eq(status_of("Seccomp"), "0");
    upgrade(&s, 1);
    ck_assert_str_eq(status_of("Seccomp"), "0");
    e2e_stop(&s);
}
END_TEST

START_TEST(root_is_told_of)
{
    e2e_start(&s, "--user", "none", NULL);
    is_inside();
    if (root)
        e2e_stop_log(&s, SIGTERM, "level=warn msg=\"runs as root; --user NAME drops that\"");
    else
        e2e_stop(&s);
}
END_TEST

/* ---- another user
 * -------------------------------------------------------------------------------- */

/* Who these tests become: nobody, or as no root, who they are. */
#define USER  65534u
#define GROUP 65533u

static const char *user_flag(void)
{
    static char text[64];
    snprintf(text, sizeof text, "%u:%u", root ? USER : geteuid(), root ? GROUP : getegid());
    return text;
}

static void is_user(void)
{
    char ids[64], groups[64];
    unsigned uid = root ? USER : geteuid(), gid = root ? GROUP : getegid();
    snprintf(ids, sizeof ids, "%u %u %u %u", uid, uid, uid, uid);
    snprintf(groups, sizeof groups, "%u %u %u %u", gid, gid, gid, gid);
    ck_assert_str_eq(status_of("Uid"), ids);
    ck_assert_str_eq(status_of("Gid"), groups);
    if (root)
        ck_assert_str_eq(status_of("Groups"), "");
    has_no_power();
}

static const struct {
    const char *user, *text;
    int code;
} wrong_users[] = {
    {"no-such-user", "--user no-such-user: there is no such user in /etc/passwd", EX_NOUSER},
    {"root:no-such-group", "there is no such group in /etc/group", EX_NOUSER},
    {"4294967294", "has no entry in /etc/passwd", EX_NOUSER},
    {":root", "must be NAME or UID", EX_NOUSER},
};

START_TEST(user_wrong)
{
    static char out[E2E_OUTPUT], err[E2E_OUTPUT];
    const char *const flags[] = {"--port", "0", "--user", wrong_users[_i].user, NULL};
    ck_assert_int_eq(e2e_run(flags, out, err), wrong_users[_i].code);
    ck_assert_msg(strstr(err, wrong_users[_i].text) != NULL, "%s", err);
    ck_assert_str_eq(out, "");
}
END_TEST

/* No root can't become another; itself it is. */
START_TEST(user_without_root)
{
    static char err[1024];
    for (int own = 0; own < 2; own++) {
        int fd = memfd_create("stderr", MFD_CLOEXEC), status;
        pid_t pid = fork();
        ck_assert_int_ne(pid, -1);
        if (pid == 0) {
            static char path[128], port[] = "--port=0", user[64];
            char *argv[] = {path, port, user, NULL};
            char *env[] = {NULL};
            unsigned uid = root ? USER : geteuid(), gid = root ? GROUP : getegid();
            snprintf(path, sizeof path, "%s", program.sse);
            snprintf(user, sizeof user, "--user=%u:%u", uid - (own == 0), gid);
            if (dup2(fd, 2) == -1 ||
                (root && (setgroups(0, NULL) == -1 || setresgid(GROUP, GROUP, GROUP) == -1 ||
                          setresuid(USER, USER, USER) == -1)))
                _exit(99);
            alarm(1); /* the one that starts is ended by it */
            execve(path, argv, env);
            _exit(98);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ssize_t n = pread(fd, err, sizeof err - 1, 0);
        err[n > 0 ? n : 0] = '\0';
        close(fd);
        if (own == 1) {
            ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM, "%#x: %s",
                          (unsigned)status, err);
            continue;
        }
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == EX_NOPERM, "%#x: %s",
                      (unsigned)status, err);
        ck_assert_ptr_nonnull(strstr(err, ": only root can become another user"));
    }
}
END_TEST

/* The key file, replaced as editors do, is read again on SIGHUP and at an upgrade, where the user
 * may read it; where not, that is said at the start, and the keys stay. */
START_TEST(user_keys)
{
    static const char key[] = "a-key-of-a-test-of-more-than-32-bytes\n";
    bool readable = _i == 0;
    for (int times = 0; times < 2; times++) {
        text_to(in_dir("keys.new"), key);
        ck_assert_int_eq(chmod(in_dir("keys.new"), 0600), 0);
        if (root && readable)
            ck_assert_int_eq(chown(in_dir("keys.new"), USER, GROUP), 0);
        ck_assert_int_eq(rename(in_dir("keys.new"), in_dir("keys")), 0);
        if (times == 0)
            e2e_start(&s, "--key-file", in_dir("keys"), "--admin", "127.0.0.1:0", "--anonymous",
                      "publish,subscribe", "--user", user_flag(), NULL);
    }
    ck_assert_int_eq(kill(s.pid, SIGHUP), 0);
    if (readable || !root) {
        metric_becomes(&s, "key_loads_total", 2);
        upgrade(&s, 1);
        e2e_stop(&s);
        return;
    }
    metric_becomes(&s, "key_errors_total", 1);
    ck_assert_ptr_nonnull(strstr(e2e_stderr(&s), "cannot be read again: it is not the user's"));
    ck_assert_int_eq(kill(s.pid, SIGUSR2), 0);
    metric_becomes(&s, "upgrades_refused_total", 1);
    e2e_stop_log(&s, SIGTERM, "Permission denied");
}
END_TEST

/* Starts a server as root that is to become the user; it must not start. What it says comes to
 * `err`. */
static void does_not_start(const char *flag, const char *value, char *err)
{
    static char out[E2E_OUTPUT];
    int code =
        e2e_run((const char *const[]){"--port", "0", "--user", user_flag(), flag, value, NULL}, out,
                err);
    ck_assert_msg(code != 0 && out[0] == '\0', "%s %s: it started", flag, value);
}

/* In a directory of the user's, no link makes root open, change or give away what is root's. */
START_TEST(user_links)
{
    static char err[E2E_OUTPUT];
    char at[128];
    struct stat st;
    if (!root)
        return;
    text_to(in_dir("roots"), "");
    ck_assert_int_eq(mkdir(in_dir("user"), 0755), 0);
    ck_assert_int_eq(symlink("../roots", in_dir("user/link")), 0);
    ck_assert_int_eq(link(in_dir("roots"), in_dir("user/hard")), 0);
    ck_assert_int_eq(symlink("..", in_dir("user/up")), 0);
    ck_assert_int_eq(lchown(in_dir("user/link"), USER, GROUP), 0);
    ck_assert_int_eq(lchown(in_dir("user/up"), USER, GROUP), 0);
    ck_assert_int_eq(chown(in_dir("user"), USER, GROUP), 0);
    static const char *const links[] = {"user/link", "user/hard", "user/up/roots"};
    for (size_t i = 0; i < COUNT(links); i++) {
        does_not_start("--store", in_dir(links[i]), err);
        ck_assert_ptr_nonnull(strstr(err, "Permission denied"));
        does_not_start("--key-file", in_dir(links[i]), err);
    }
    snprintf(at, sizeof at, "unix:%s", in_dir("user/up/socket"));
    does_not_start("--bind", at, err);
    ck_assert_ptr_nonnull(strstr(err, "Permission denied"));
    ck_assert_int_eq(stat(in_dir("roots"), &st), 0);
    ck_assert(st.st_uid == 0 && st.st_gid == 0 && st.st_size == 0);
    ck_assert_int_eq(stat(in_dir("socket"), &st), -1);
    /* what it makes there is its own */
    snprintf(at, sizeof at, "unix:%s", in_dir("user/socket"));
    e2e_start(&s, "--store", in_dir("user/ring"), "--ring", "64K", "--bind", at, "--bind",
              "127.0.0.1", "--user", user_flag(), NULL);
    ck_assert_int_eq(stat(in_dir("user/ring"), &st), 0);
    ck_assert(st.st_uid == USER && st.st_gid == GROUP);
    ck_assert_int_eq(stat(in_dir("user/socket"), &st), 0);
    ck_assert(st.st_uid == USER && S_ISSOCK(st.st_mode));
    e2e_stop(&s);
    ck_assert_int_eq(stat(in_dir("user/socket"), &st), -1);
    static const char *const made[] = {"user/link", "user/hard", "user/up", "user/ring", "roots"};
    for (size_t i = 0; i < COUNT(made); i++)
        unlink(in_dir(made[i]));
    ck_assert_int_eq(rmdir(in_dir("user")), 0);
}
END_TEST

/* A port that only root may bind, as far as one is free; any for others. */
static const char *low_port(void)
{
    static char text[16] = "0";
    for (uint16_t port = 1000; root && port > 900; port--) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool free_ = bind(fd, (struct sockaddr *)&in, sizeof in) == 0;
        close(fd);
        if (free_) {
            snprintf(text, sizeof text, "%u", port);
            break;
        }
    }
    return text;
}

/* It has bound what it could not bind any more, and goes on through upgrades to its end. */
START_TEST(user_serves)
{
    e2e_start(&s, "--port", low_port(), "--user", user_flag(), NULL);
    is_inside();
    is_user();
    struct e2e_conn *sub = e2e_subscribe(&s, "/t", NULL), *ws = socket_open(&s, "/t", NULL);
    for (int i = 1; i <= 3; i++) {
        const char *id = e2e_publish(&s, "/t", "x");
        e2e_expect_message(sub, NULL, "x", id);
        socket_expect_text(ws, "x");
        upgrade(&s, i);
        is_inside();
        is_user();
    }
    e2e_stop(&s);
}
END_TEST

/* Also where the rest of the sandbox is off. */
START_TEST(user_without_sandbox)
{
    e2e_start(&s, "--user", user_flag(), "--no-sandbox", NULL);
    is_user();
    ck_assert_str_eq(status_of("Seccomp"), "0");
    upgrade(&s, 1);
    is_user();
    e2e_stop(&s);
}
END_TEST

/* A store that root has made is the user's, goes on through upgrades, and comes back, whoever
 * starts it; its directory need not be open to the user. */
START_TEST(user_stores)
{
    static const char *const modes[] = {"never", "interval", "always"};
    char dir[96], file[128];
    struct stat st;
    const char *mode = modes[_i];
    snprintf(dir, sizeof dir, "%s/store", program.dir);
    snprintf(file, sizeof file, "%s/ring", dir);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    e2e_start(&s, "--user", user_flag(), "--store", file, "--fsync", mode, NULL);
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_uint_eq(st.st_uid, root ? USER : geteuid());
    char first[64];
    snprintf(first, sizeof first, "%s", e2e_publish(&s, "/t", "first"));
    for (int i = 1; i <= 2; i++) {
        if (_i == 1)
            metric_becomes(&s, "store_syncs_total", i);
        upgrade(&s, i);
        ck_assert_uint_eq(none_is_deaf(), _i > 0 ? 2 : 1); /* the store's thread syncs */
        e2e_publish(&s, "/t", "more");
    }
    ck_assert_int_eq(metric(&s, "store_errors_total"), 0);
    e2e_stop(&s);
    e2e_start(&s, "--user", user_flag(), "--store", file, "--log", "info", NULL);
    ck_assert_ptr_nonnull(strstr(e2e_stderr(&s), "found=\"3 messages\"")); /* and was closed */
    e2e_ask(&s, &r, "GET /t?since=-3 HTTP/1.1\r\nHost: test\r\n\r\n");
    e2e_expect_status(&r, 200, NULL);
    ck_assert_ptr_nonnull(strstr(r.body, first));
    e2e_stop_log(&s, SIGTERM, "stopped");
    unlink(file);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

/* A unix socket is the user's; it goes where the user may remove it, and else stays and is taken
 * over by the next start. */
START_TEST(user_unix_socket)
{
    char bind[128];
    struct stat st;
    bool own = _i == 0;
    snprintf(bind, sizeof bind, "unix:%s", in_dir("socket"));
    if (own && root)
        ck_assert_int_eq(chown(program.dir, USER, GROUP), 0);
    for (int times = 0; times < 2; times++) {
        e2e_start(&s, "--user", user_flag(), "--bind", bind, "--max-wait", "5s", NULL);
        ck_assert_int_eq(stat(bind + 5, &st), 0);
        ck_assert_uint_eq(st.st_uid, root ? USER : geteuid());
        e2e_ask(&s, &r, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
        e2e_expect_status(&r, 200, NULL);
        upgrade(&s, 1);
        e2e_stop(&s);
        ck_assert_int_eq(access(bind + 5, F_OK), own || !root ? -1 : 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sandbox");
    TCase *tc = tcase_create("inside");
    tcase_add_checked_fixture(tc, setup, program_remove);
    tcase_add_loop_test(tc, refuses, 0, COUNT(forbidden));
    tcase_add_loop_test(tc, refuses_the_deaf, 0, COUNT(deaf));
    tcase_add_test(tc, masks);
    tcase_add_test(tc, files);
    tcase_add_test(tc, kept);
    tcase_add_test(tc, program_is_found);
    tcase_add_test(tc, goes_on);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    tc = tcase_create("server");
    tcase_add_checked_fixture(tc, setup, program_remove);
    tcase_add_test(tc, server_is_inside);
    tcase_add_test(tc, server_without);
    tcase_add_test(tc, root_is_told_of);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    tc = tcase_create("user");
    tcase_add_checked_fixture(tc, setup, program_remove);
    tcase_add_loop_test(tc, user_wrong, 0, COUNT(wrong_users));
    tcase_add_test(tc, user_without_root);
    tcase_add_test(tc, user_serves);
    tcase_add_loop_test(tc, user_keys, 0, 2);
    tcase_add_test(tc, user_links);
    tcase_add_test(tc, user_without_sandbox);
    tcase_add_loop_test(tc, user_stores, 0, 3);
    tcase_add_loop_test(tc, user_unix_socket, 0, 2);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    return run(suite);
}
