/*
 * calls.c - the table of the system calls that the server makes after its start.
 */
#include "lib/host/calls.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Constants that not every libc's headers have. */
#define EMPTY_PATH  0x1000u             /* AT_EMPTY_PATH */
#define ADD_FILTER  1u                  /* SECCOMP_SET_MODE_FILTER */
#define NAME_MEMORY 0x53564d41u         /* PR_SET_VMA */
#define THREAD      0x3d0f00u           /* CLONE_* of a thread: of glibc, */
#define THREAD_MUSL 0x7d0f00u           /* and of musl */
#define SPAWN       (0x4100u | SIGCHLD) /* CLONE_VM, CLONE_VFORK: of child.c */
#define MAKES       ((uint32_t)(O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)))

#define ALWAYS(call)                    \
    {                                   \
        SYS_##call, FILTER_ALWAYS, 0, 0 \
    }
#define IS(call, n, value_)              \
    {                                    \
        SYS_##call, FILTER_IS, n, value_ \
    }
#define LACKS(call, n, bits)              \
    {                                     \
        SYS_##call, FILTER_LACKS, n, bits \
    }
#define ABSENT(call)                    \
    {                                   \
        SYS_##call, FILTER_ABSENT, 0, 0 \
    }

/* clang-format off */
static const struct filter_rule table[] = {
    /* the loop, the most frequent calls first */
#ifdef SYS_epoll_wait
    ALWAYS(epoll_wait),
#endif
    ALWAYS(epoll_pwait),                /* epoll_wait() of musl, and of some machines */
    ALWAYS(read),                       /* clients, signals, the trial's output, the thread's
                                         * eventfd */
    ALWAYS(writev),                     /* clients; a failed assertion's message */
    ALWAYS(accept4),
    ALWAYS(close),
    ALWAYS(write),                      /* the log, the eventfd */
#ifdef SYS_poll
    ALWAYS(poll),                       /* whether stderr has room for a line of the log */
#else
    ALWAYS(ppoll),
#endif
    ALWAYS(epoll_ctl),                  /* new clients; listeners pause and resume */
    ALWAYS(shutdown),                   /* after the last answer */
    ALWAYS(recvfrom),                   /* from a client that is refused at once */
    ALWAYS(sendto),                     /* the same, and to the service manager */
    ALWAYS(clock_gettime),              /* if the vDSO cannot tell the time */
    ALWAYS(restart_syscall),            /* a wait that SIGSTOP has interrupted */

#if CALLS_SANITIZED
    /* Further calls of sanitizers and of a dynamic loader, before the narrower rules of the same
     * calls below. */
    ALWAYS(mmap), ALWAYS(mprotect), ALWAYS(mremap), ALWAYS(clone), ALWAYS(openat),
    ALWAYS(newfstatat), ALWAYS(tgkill), ALWAYS(kill), ALWAYS(prctl), ALWAYS(prlimit64),
    ALWAYS(fcntl), ALWAYS(ioctl),       /* whether stderr is a terminal */
    ALWAYS(ptrace), ALWAYS(wait4),      /* the leak check stops the process */
    ALWAYS(getdents64), ALWAYS(lseek), ALWAYS(sigaltstack), ALWAYS(personality), ALWAYS(uname),
    ALWAYS(sched_yield), ALWAYS(sched_getaffinity), ALWAYS(sysinfo), ALWAYS(getcwd),
    ALWAYS(geteuid), ALWAYS(getuid), ALWAYS(getgid), ALWAYS(getegid), ALWAYS(getppid),
    ALWAYS(statfs), ALWAYS(faccessat), ALWAYS(readlinkat), ALWAYS(process_vm_readv),
#ifdef SYS_open
    ALWAYS(open), ALWAYS(stat), ALWAYS(lstat), ALWAYS(access), ALWAYS(pipe), ALWAYS(fork),
    ALWAYS(readlink), ALWAYS(getdents),
#endif
#endif

    /* memory; nothing in it ever becomes code */
    LACKS(mmap, 2, PROT_EXEC),          /* the tables at an upgrade, a thread's stack, malloc() */
    LACKS(mprotect, 2, PROT_EXEC),      /* a thread's guard page; relocations become read-only */
    ALWAYS(munmap),
    ALWAYS(madvise),                    /* returns pages */
    ALWAYS(brk),                        /* malloc(), for pthread_create() of some libcs */
    ABSENT(mremap),                     /* realloc() in a libc: it copies then */

    /* the store, its thread, which is made anew when an upgrade is refused, and the end */
    ALWAYS(fdatasync),
    ALWAYS(msync),                      /* of its first page */
    ALWAYS(flock),                      /* releases the lock */
    ALWAYS(fstat),
#ifdef SYS_newfstatat
    IS(newfstatat, 3, EMPTY_PATH),      /* fstat() of glibc: of a descriptor, not of a path */
#endif
    ALWAYS(eventfd2),
    ABSENT(clone3),                     /* filters cannot see its flags; libc uses clone */
    IS(clone, 0, THREAD),
    IS(clone, 0, THREAD_MUSL),
    IS(clone, 0, SPAWN),
    ALWAYS(futex),
    ALWAYS(set_robust_list),
    ALWAYS(rseq),
    IS(rt_sigprocmask, 0, SIG_UNBLOCK), /* before main(), in glibc up to 2.33; else: sandbox.c */
    ABSENT(sched_getaffinity),          /* malloc() counts CPUs with it, and guesses without */
    ALWAYS(getsockname),                /* the path of a unix socket */
    ALWAYS(getpeername),                /* a client's address for the log */
#ifdef SYS_unlink
    ALWAYS(unlink),                     /* removes that path */
#endif
    ALWAYS(unlinkat),
    IS(socket, 0, AF_UNIX),             /* to the service manager */
    ALWAYS(exit),
    ALWAYS(exit_group),

    /* the spare descriptor, the keys, a child's stdin: none creates or truncates a file */
#ifdef SYS_open
    LACKS(open, 1, MAKES),
#endif
    LACKS(openat, 2, MAKES),
    IS(socketpair, 0, AF_UNIX),         /* the key file's descriptor comes over one, ... */
    ALWAYS(sendmsg),                    /* ... whose other end goes to the keeper */
    ALWAYS(recvmsg),

    /* an upgrade: the trial of the next program, */
    ALWAYS(memfd_create),
    ALWAYS(pwrite64),
    ALWAYS(pipe2),
    ALWAYS(rt_sigaction),               /* SIGSYS of the next program, signals that it ignores */
    ALWAYS(rt_sigreturn),
#ifdef SYS_dup2
    ALWAYS(dup2),
#endif
    ALWAYS(dup3),
    IS(fcntl, 1, F_GETFD),              /* descriptors pass an exec, or not */
    IS(fcntl, 1, F_SETFD),
    IS(fcntl, 1, F_DUPFD_CLOEXEC),      /* musl's pipe to the child moves out of the way */
    ALWAYS(execve),                     /* Landlock says which files */
    IS(kill, 1, SIGKILL),               /* a trial whose time is up */
    ALWAYS(wait4),                      /* the trial; as process 1, orphans */
    /* and its start, up to its own filter */
#ifdef SYS_arch_prctl
    ALWAYS(arch_prctl),                 /* thread-local storage */
#endif
    ALWAYS(set_tid_address),
    ALWAYS(uname),                      /* glibc up to 2.36 checks the kernel's version */
#ifdef SYS_readlink
    ALWAYS(readlink),                   /* glibc asks where it is: /proc/self/exe */
#endif
    ALWAYS(readlinkat),
    ALWAYS(getrandom),
    IS(prlimit64, 0, 0),                /* its own descriptors, and its stack */
    ALWAYS(pread64),                    /* what was handed over */
    ALWAYS(signalfd4),
    ALWAYS(getpid),                     /* LISTEN_PID is compared with it */
    IS(prctl, 0, PR_SET_PDEATHSIG),     /* a trial ends with the server */
    IS(prctl, 0, PR_SET_NO_NEW_PRIVS),
    IS(prctl, 0, NAME_MEMORY),          /* glibc, if GLIBC_TUNABLES ask for it */
    IS(seccomp, 0, ADD_FILTER),         /* a further filter only restricts more */

    /* abort(), so that a failed assertion ends as one */
    ALWAYS(gettid),
    IS(tgkill, 2, SIGABRT),
    IS(tkill, 1, SIGABRT),
};
/* clang-format on */

/* The calls of the keeper. */
/* clang-format off */
static const struct filter_rule keeper_table[] = {
    ALWAYS(recvmsg),                    /* a request */
#ifdef SYS_open
    LACKS(open, 1, MAKES),
#endif
    LACKS(openat, 2, MAKES),
    IS(fcntl, 1, F_SETFD),              /* musl sets close-on-exec after open, too */
    ALWAYS(sendmsg),
    ALWAYS(close),
    ALWAYS(restart_syscall),            /* a wait that SIGSTOP has interrupted */
    ALWAYS(rt_sigreturn),
    ALWAYS(write),                      /* reports a refused call */
    ALWAYS(exit_group),
};
/* clang-format on */

static uint32_t build(struct filter_insn *out, const struct filter_rule *rules, size_t n)
{
#if defined(__x86_64__) && defined(__LP64__)
    const uint32_t machine = FILTER_X86_64;
#elif defined(__aarch64__) && defined(__LP64__)
    const uint32_t machine = FILTER_AARCH64;
#else
    const uint32_t machine = 0;
#endif
    return machine != 0 ? filter_build(out, CALLS_FILTER, machine, rules, n, FILTER_TRAP) : 0;
}

uint32_t calls_filter(struct filter_insn out[CALLS_FILTER])
{
    return build(out, table, sizeof table / sizeof table[0]);
}

uint32_t calls_keeper(struct filter_insn out[CALLS_FILTER])
{
    return build(out, keeper_table, sizeof keeper_table / sizeof keeper_table[0]);
}

struct calls calls_all(void)
{
    struct calls all = {{0}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].call < CALLS_WORDS * 64 && table[i].when != FILTER_ABSENT &&
            table[i].call != SYS_rt_sigprocmask) /* its other uses need the handler of SIGSYS */
            all.bits[table[i].call / 64] |= (uint64_t)1 << table[i].call % 64;
    return all;
}

int calls_missing(const struct calls *known)
{
    struct calls all = calls_all();
    for (unsigned i = 0; i < CALLS_WORDS; i++) {
        uint64_t beyond = all.bits[i] & ~known->bits[i];
        if (beyond != 0)
            return (int)(i * 64) + __builtin_ctzll(beyond);
    }
    return -1;
}
