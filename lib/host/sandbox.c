/*
 * sandbox.c - drops the rights that the process does not need after its start.
 */
#include "lib/host/sandbox.h"
#include "lib/serve/conn.h"
#include "lib/serve/quote.h"

#include "lib/addr.h"
#include "lib/host/guard.h"
#include "lib/host/landlock.h"
#include "lib/host/listen.h"
#include "lib/host/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <ucontext.h>
#include <unistd.h>

#define SET_FILTER 1ul /* SECCOMP_SET_MODE_FILTER */
#define AS_FAST \
    4ul /* SECCOMP_FILTER_FLAG_SPEC_ALLOW: the CPU may guess as before; all code here
                        * is the server's own */

/* ---- a call that is not in the table --------------------------------------------------------- */

#define BY_FILTER 1 /* SYS_SECCOMP: si_code of a call that a filter has trapped */

/* The registers with a trapped call's arguments and its result. */
#if defined(__x86_64__)
#define MACHINE   FILTER_X86_64
#define ARG_0(c)  ((uint64_t)(c)->uc_mcontext.gregs[REG_RDI])
#define ARG_1(c)  ((uint64_t)(c)->uc_mcontext.gregs[REG_RSI])
#define ARG_2(c)  ((uint64_t)(c)->uc_mcontext.gregs[REG_RDX])
#define RESULT(c) ((c)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define MACHINE   FILTER_AARCH64
#define ARG_0(c)  ((uint64_t)(c)->uc_mcontext.regs[0])
#define ARG_1(c)  ((uint64_t)(c)->uc_mcontext.regs[1])
#define ARG_2(c)  ((uint64_t)(c)->uc_mcontext.regs[2])
#define RESULT(c) ((c)->uc_mcontext.regs[0])
#endif

#ifdef MACHINE
/* Emulates the trapped rt_sigprocmask() on the mask to which the handler returns; SIGSYS is never
 * blocked. */
static void mask_change(ucontext_t *c)
{
    uint64_t was, set = 0; /* the kernel's masks have 64 bits, those of libc more */
    // NOLINTBEGIN(performance-no-int-to-ptr)
    const void *from = (const void *)(uintptr_t)ARG_1(c);
    void *to = (void *)(uintptr_t)ARG_2(c);
    // NOLINTEND(performance-no-int-to-ptr)
    int how = (int)ARG_0(c);
    memcpy(&was, &c->uc_sigmask, sizeof was);
    uint64_t mask = was;
    int error = 0;
    if (from != NULL) {
        memcpy(&set, from, sizeof set);
        if (how == SIG_BLOCK)
            mask |= set;
        else if (how == SIG_UNBLOCK)
            mask &= ~set;
        else if (how == SIG_SETMASK)
            mask = set;
        else
            error = EINVAL;
    }
    if (to != NULL)
        memcpy(to, &was, sizeof was);
    mask &= ~((uint64_t)1 << (SIGSYS - 1));
    memcpy(&c->uc_sigmask, &mask, sizeof mask);
    RESULT(c) = 0;
    RESULT(c) -= error; /* of either sign */
}
#endif

/* The handler of SIGSYS; it may run at any point. */
static void trapped(int sign, siginfo_t *info, void *context)
{
    char line[128];
    struct text t = text_in(line, sizeof line);
    (void)sign;
    (void)context;
#ifdef MACHINE
    if (info->si_code == BY_FILTER && info->si_arch == MACHINE &&
        info->si_syscall == SYS_rt_sigprocmask) {
        mask_change(context);
        return;
    }
#endif
    text_str(&t, "sse: system call ");
    text_u64(&t, (uint64_t)(unsigned)info->si_syscall);
    text_str(&t, " is not in the table of calls: the sandbox ends the process\n");
    ssize_t said = write(STDERR_FILENO, t.p, t.n);
    _exit(said == -1 ? EX_IOERR : EX_SOFTWARE);
}

void sandbox_watch(void)
{
    struct sigaction act = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
    sigset_t set;
    sigemptyset(&act.sa_mask);
    if (sigaction(SIGSYS, &act, NULL) == -1) /* without it, the first change of a mask would end the
                                              * process */
        process_fail(EX_OSERR, "SIGSYS cannot be caught: ", strerror(errno), NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* the parent may have blocked it */
}

/* ---- system calls ---------------------------------------------------------------------------- */

/* The kernel's struct sock_fprog. */
struct program {
    unsigned short n;
    struct filter_insn *insns;
};

int sandbox_filter(struct filter_insn *insns, uint32_t n)
{
    struct program program = {(unsigned short)n, insns};
    if (n == 0)
        return -ENOSYS;
    for (unsigned long flags = AS_FAST;; flags = 0) {
        if (syscall(SYS_seccomp, SET_FILTER, flags, &program, 0, 0, 0) == 0)
            return 0;
        if (errno != EINVAL) /* kernels before 4.17 refuse that flag */
            return -errno;
        if (flags == 0)
            return -ENOSYS; /* the kernel has no seccomp */
    }
}

/* Adds this program's filter to those in force, unless it is the same. Returns 0, or minus an
 * errno. */
static int filter_add(struct calls_held *held)
{
    struct filter_insn insns[CALLS_FILTER];
    uint32_t n = calls_filter(insns);
    uint64_t sum = filter_sum(insns, n);
    struct calls all = calls_all();
    if (held->sum == sum)
        return 0;
    int err = sandbox_filter(insns, n);
    if (err < 0)
        return err;
    for (unsigned i = 0; i < CALLS_WORDS; i++)
        held->calls.bits[i] = held->sum == 0 ? all.bits[i] : held->calls.bits[i] & all.bits[i];
    held->sum = sum;
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Finds the program as exec does, at `name` or through PATH; its path is put into out[PATH_MAX]. */
static bool program_find(const char *name, char *out)
{
    struct span dirs = span_of(getenv("PATH"));
    struct stat st;
    struct text t = text_for_string(out, PATH_MAX);
    if (strchr(name, '/') != NULL)
        text_str(&t, name);
    while (t.n == 0 && dirs.p != NULL) {
        struct span dir = span_cut(&dirs, ':');
        t = text_for_string(out, PATH_MAX);
        text_add(&t, dir.n > 0 ? dir : SPAN("."));
        text_str(&t, "/");
        text_str(&t, name);
        if (t.full || stat(text_string(&t), &st) == -1 || !S_ISREG(st.st_mode) ||
            (st.st_mode & 0111) == 0)
            t.n = 0;
    }
    text_string(&t);
    return t.n > 0 && !t.full;
}

/* Returns the path of a listener that is the server's own unix socket; else NULL. */
static const char *socket_path(int fd, struct sockaddr_storage *a)
{
    socklen_t len = sizeof *a;
    *a = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (listen_is_given(fd) || getsockname(fd, (struct sockaddr *)a, &len) == -1)
        return NULL;
    return addr_path(a);
}

/* Allows the necessary files in *l. Logs what cannot be allowed, as it will fail later. */
static void files_allow(struct landlock *l, struct server *s, char *const argv[])
{
    char path[PATH_MAX];
    struct sockaddr_storage a;
    const char *missed = NULL;
    if (!landlock_allow(l, "/dev/null", LANDLOCK_READ | LANDLOCK_WRITE))
        missed = "/dev/null";
    if (!program_find(argv[0], path) ||
        !landlock_allow_beside(l, path, LANDLOCK_READ | LANDLOCK_EXECUTE))
        missed = argv[0];
    for (uint32_t fd = 1; fd <= s->clients.conns.top; fd++) {
        const char *name = conn_is_own(&s->clients.conns.conn[fd], DESCRIPTOR_LISTENER)
                               ? socket_path((int)fd, &a)
                               : NULL;
        if (name != NULL && !landlock_allow_beside(l, name, LANDLOCK_REMOVE))
            missed = "a unix socket";
    }
#if CALLS_SANITIZED /* what a program that is not static loads, and sanitizers look at */
    static const char *const more[] = {"/lib", "/lib64", "/usr", "/etc/ld.so.cache", "/proc"};
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        (void)landlock_allow(l, more[i], LANDLOCK_READ | LANDLOCK_EXECUTE | LANDLOCK_LIST);
#endif
    if (missed != NULL)
        s->log.say(OPT_LOG_WARN, "cannot be allowed in the sandbox", "path", missed, "error",
                   strerror(errno), NULL);
}

/* Prepares *l, the files that may be opened later, while the process still may open them. Returns
 * 0, or minus an errno. */
static int files_prepare(struct landlock *l, struct server *s, char *const argv[])
{
    const char *manager = getenv("NOTIFY_SOCKET");
    int err = landlock_begin(l, manager != NULL && manager[0] == '@');
    if (err == 0)
        files_allow(l, s, argv);
    s->log.say(OPT_LOG_DEBUG, "landlock", "version", QUOTE_NUM((uint64_t)l->abi), NULL);
    return err;
}

/* ---- who owns what --------------------------------------------------------------------------- */

/* Gives a unix socket to the user, unless it is the user's already; its path must be root's then
 * (guard.h). */
static bool socket_give(const char *path, const struct user *u)
{
    struct stat st;
    if (lstat(path, &st) == 0 && st.st_uid == u->uid)
        return true;
    errno = EPERM;
    return guard_only_root(path) && lchown(path, u->uid, u->gid) == 0;
}

/* Gives the store and the unix sockets to the user, so that the next start as that user can open
 * and remove them. Logs what cannot be given. */
static void files_give(struct server *s, const struct tables *t, const struct user *u)
{
    struct sockaddr_storage a;
    errno = EPERM;
    if (t->store.h != NULL &&
        (!guard_may_give(u, t->store.fd) || fchown(t->store.fd, u->uid, u->gid) == -1))
        s->log.say(OPT_LOG_WARN, "the store cannot be given to the user", "error", strerror(errno),
                   NULL);
    for (uint32_t fd = 1; fd <= s->clients.conns.top; fd++) {
        const char *path = conn_is_own(&s->clients.conns.conn[fd], DESCRIPTOR_LISTENER)
                               ? socket_path((int)fd, &a)
                               : NULL;
        if (path != NULL && !socket_give(path, u))
            s->log.say(OPT_LOG_WARN, "a unix socket cannot be given to the user", "path", path,
                       "error", strerror(errno), NULL);
    }
}

/* What the user may not read will not be read again. */
static void files_try(struct server *s)
{
    char bytes[OPT_PATH_MAX];
    for (uint32_t i = 0; i < s->config.opt.key_files.n; i++) {
        const char *path = opt_path(&s->config.opt.key_files, i, bytes);
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd != -1)
            close(fd);
        else
            s->log.say(OPT_LOG_WARN, "cannot be read again: it is not the user's", "path", path,
                       "error", strerror(errno), NULL);
    }
}

/* ---- all together ---------------------------------------------------------------------------- */

static int failed(struct text *why, const char *doing, int err)
{
    text_str(why, "the sandbox: ");
    text_str(why, doing);
    text_str(why, ": ");
    text_str(why, strerror(err));
    text_str(why, " (--no-sandbox goes without)");
    return EX_OSERR;
}

/* Becomes the user, if the process is root. */
static int rights_drop(struct server *s, const struct tables *t, const struct user *u,
                       struct text *why)
{
    if (user_is_root() && !u->given && s->team.me == 0)
        s->log.say(OPT_LOG_WARN, "runs as root; --user NAME drops that", NULL);
    if (!u->given && s->config.opt.no_sandbox)
        return 0;
    if (user_is_root() && u->given)
        files_give(s, t, u);
    int code = user_become(u, why);
#if CALLS_SANITIZED /* the search for leaks traces its own process */
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
#endif
    return code;
}

int sandbox_enter(struct server *s, const struct tables *t, const struct user *u,
                  char *const argv[], struct calls_held *held, struct text *why)
{
    struct landlock l = {.rules = -1};
    int err = 0, code;
    *held = (struct calls_held){.sum = 0};
    if (!s->config.opt.no_sandbox && (err = files_prepare(&l, s, argv)) < 0)
        return failed(why, "Landlock", -err);
    code = rights_drop(s, t, u, why);
    if (code == 0)
        files_try(s);
    if (code != 0 || s->config.opt.no_sandbox) {
        landlock_drop(&l);
        return code;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        return failed(why, "no_new_privs", errno);
    if ((err = landlock_enter(&l)) < 0)
        return failed(why, "Landlock", -err);
    err = filter_add(held);
    if (err == -ENOSYS)
        s->log.say(OPT_LOG_WARN, "no system call is refused: this kernel has no seccomp filters",
                   NULL);
    else if (err < 0)
        return failed(why, "seccomp", -err);
    return 0;
}

bool sandbox_fits(const struct calls_held *held, struct text *why)
{
    int call = held->sum != 0 ? calls_missing(&held->calls) : -1;
    if (call == -1)
        return true;
    text_str(why, "the sandbox of the server that runs refuses system call ");
    text_u64(why, (uint64_t)call);
    text_str(why, ", which this program needs: it has to be started anew");
    return false;
}

void sandbox_go_on(struct server *s, struct calls_held *held)
{
    if (s->config.opt.no_sandbox)
        return;
    int err = filter_add(held);
    if (err < 0 && held->sum != 0) /* the inherited filter stays */
        s->log.say(OPT_LOG_WARN, "the sandbox is that of the server before", "error",
                   strerror(-err), NULL);
}
