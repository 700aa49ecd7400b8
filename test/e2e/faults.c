/*
 * faults.c - each system call the server makes fails, once, at each place it is made from;
 * and nothing leaks, spins, hangs or crashes.
 *
 * A SCENE is a server's life with clients of all kinds. Each is played once without a fault, which
 * tells the sites that it reaches; then, for each site and each errno that the call may give there,
 * the first scene that reaches it is played again with that call failing. What must hold then is in
 * faults_run.h: the server refuses to start and says why, or it serves on, with at most that client
 * lost that the call was for.
 */
#include "test/kit/faults_scenes.h"

#include <ctype.h>
#include <dirent.h>

#define JOBS_AT_ONCE 16
#define SITES_MAX    400
#define JOBS_MAX     3000
#define MANY         8 /* calls in a scene */

/* ---- the calls ------------------------------------------------------------------------------- */

enum { SHORT = FAULTS_SHORT };

/* What each may fail with. EAGAIN stands only where the call may give it whatever epoll has told:
 * what waits for an edge would wait for ever, as no edge comes. A row of a call in one function
 * comes before that of the call anywhere. */
static const struct {
    const char *name;
    int error[6];
} calls[] = {
    {"accept4", {EMFILE, ENFILE, ENOMEM, ECONNABORTED, EINTR, EAGAIN}},
    {"bind", {EADDRINUSE, EACCES}},
    {"clone", {EAGAIN, ENOMEM}},
    {"close", {EIO, EINTR}},
    {"connect", {ECONNREFUSED, EAGAIN, EACCES}},
    {"dup2", {EMFILE, EINTR}},
    {"epoll_create1", {EMFILE, ENOMEM}},
    {"epoll_ctl", {ENOMEM, ENOSPC}},
    {"epoll_wait", {EINTR}},
    {"eventfd", {EMFILE, ENOMEM}},
    {"execv", {ENOENT, ENOMEM, E2BIG}},
    {"execvp", {ENOENT, ENOMEM, E2BIG}},
    {"fallocate", {ENOSPC, EINTR, EOPNOTSUPP, EIO}},
    {"fchmod", {EPERM, EIO}},
    {"fchown", {EPERM, EIO}},
    {"fcntl", {EBADF, EINVAL}},
    {"fdatasync", {EIO, ENOSPC, EINTR}},
    {"flock", {EWOULDBLOCK, ENOLCK}},
    {"fstat", {EIO}},
    {"fork", {EAGAIN, ENOMEM}},
    {"fsync", {EIO, ENOSPC}},
    {"ftruncate", {ENOSPC, EIO}},
    {"getgroups", {EINVAL}},
    {"getpeername", {ENOTCONN}},
    {"getrandom", {EINTR, ENOSYS, SHORT}},
    {"getrlimit", {EINVAL}},
    {"getresgid", {EFAULT}},
    {"getresuid", {EFAULT}},
    {"getsockname", {ENOBUFS}},
    {"getsockopt", {ENOTSOCK}},
    {"kill", {EPERM}},
    {"lchown", {EPERM, EIO}},
    {"listen", {EADDRINUSE}},
    {"lstat", {EACCES}},
    {"madvise", {ENOMEM, EINVAL}},
    {"memfd_create", {EMFILE, ENOMEM}},
    {"mmap", {ENOMEM, EAGAIN}},
    {"munmap", {ENOMEM}},
    {"msync", {EIO, ENOSPC}},
    {"nanosleep", {EINTR}},
    {"open", {EMFILE, EACCES, EINTR}},
    {"pipe2", {EMFILE}},
    {"poll", {EINTR, ENOMEM}},
    {"prctl", {EINVAL}},
    {"pread", {EIO, SHORT}},
    {"pthread_attr_init", {ENOMEM}},
    {"pthread_create", {EAGAIN}},
    {"pwrite", {ENOSPC, EIO, EINTR, SHORT}},
    {"read", {EINTR, EIO, ECONNRESET}},
    {"readlink", {EACCES, EIO}},
    {"recv in refuse", {EAGAIN, ECONNRESET}},
    {"recv", {EINTR, EIO, ECONNRESET}},
    {"recvmsg", {EINTR, ENOMEM}},
    {"rename", {EACCES, ENOSPC}},
    {"send", {ECONNRESET, EPIPE, ENOBUFS, EINTR, SHORT}},
    {"sendmsg", {EINTR, ENOBUFS, EPIPE}},
    {"sendto", {ECONNREFUSED, EAGAIN}},
    {"setgroups", {EPERM}},
    {"setresgid", {EPERM, EAGAIN}},
    {"setresuid", {EPERM, EAGAIN}},
    {"setrlimit", {EPERM}},
    {"setsockopt", {ENOPROTOOPT}},
    {"shutdown", {ENOTCONN}},
    {"signalfd", {EMFILE, ENOMEM}},
    {"sigprocmask", {EINVAL}},
    {"socket", {EMFILE, ENOBUFS}},
    {"socketpair", {EMFILE}},
    {"stat", {EACCES, EIO}},
    {"syscall", {ENOSYS, EOPNOTSUPP, EINVAL, ENOMEM, EPERM}},
    {"unlink", {EACCES, ENOENT}},
    {"waitpid", {EINTR}},
    {"write", {EINTR, EIO, EPIPE, EAGAIN}},
    {"writev", {ECONNRESET, EPIPE, ENOBUFS, EINTR, SHORT}},
};

/* What needs no wrapper: it makes no system call, or none that can fail. */
static const char *const harmless[] = {
    "__errno_location",
    "__sched_cpucount",
    "sched_getaffinity", /* one worker where it fails */
    "setpgid",           /* ^C goes to all where it fails */
    "sigtimedwait",      /* which is called again */
    "__assert_fail",
    "_GLOBAL_OFFSET_TABLE_",
    "environ",
    "exit",
    "getenv",
    "getauxval",
    "getpid",
    "geteuid",
    "getegid",
    "_exit",
    "setfsuid",
    "setfsgid",
    "clock_gettime",
    "__sysconf",
    "signal",
    "sigaction", /* of a signal that there is */
    "sigaddset",
    "sigdelset",
    "sigemptyset",
    "sigfillset",
    "pthread_sigmask",
    "pthread_join",
    "pthread_attr_destroy",
    "pthread_attr_setstacksize",
    "strerror",
    "inet_pton",
    "bcmp",
    "isatty", /* of a command */
};

/* Sites that no scene reaches: function, call, and why. */
static const struct {
    const char *function, *call, *why;
} unreached[] = {
    {"boot_ms", "clock_gettime", "of the vDSO, which does not fail"},
    {"clock_us", "clock_gettime", "likewise"},
    {"time_note", "clock_gettime", "likewise"},
    {"__wrap_fdatasync", "poll", "of the test itself"},
    {"page_lost", "write", "which ends it: test/e2e/commit.c does"},
    {"store_sync_wait", "poll",
     "of an upgrade or an end while a sync runs: test/e2e/commit.c does"},
    {"path_step", "readlink", "of a link on the way, started as root: test/unit/guard.c does"},
    {"child_run", "execvp", "through PATH; test/unit/child.c does"},
    {"listen_at", "setsockopt", "of IPv6, which not every machine has"},
    {"process_reap", "waitpid", "of the first process alone: check_init"},
    {"program_find", "stat", "through PATH; test/e2e/sandbox.c does"},
    {"trapped", "write", "which ends it: test/e2e/sandbox.c does"},
    {"ring_set_up", "munmap",
     "of a ring that can't be mapped, which a scene without a store meets"},
    {"turned_away", "close", "of --proxy-protocol, whose clients are in test/loop/proxy.c"},
    {"has_changed", "fstat", "of --key-refresh, once a second; test/e2e/provider.c does"},
    {"has_changed", "close", "likewise"},
    {"store_attach", "munmap", "of a store that is not the ring's, which the trial has ruled out"},
};

/* ---- sites ----------------------------------------------------------------------------------- */

static char binary[512], objects[480], root[40];

static struct site {
    uint64_t at;
    char call[40], function[64], place[96]; /* place: file:line */
    const struct job *first[FAULTS_LIVES];  /* the first that reaches it then; NULL: none */
    const struct job *many[FAULTS_LIVES];   /* the last scene that reaches it MANY times, */
    unsigned count[FAULTS_LIVES];           /* and how often that is */
} sites[SITES_MAX];
static unsigned site_count;

static FILE *output_of(const char *command)
{
    FILE *f = popen(command, "re");
    ck_assert_ptr_nonnull(f);
    return f;
}

/* Fills in where the sites are, by the names of their functions also if those were inlined. */
static void sites_place(void)
{
    char command[SITES_MAX * 12 + sizeof binary + 64], line[1024];
    size_t n = (size_t)snprintf(command, sizeof command, "addr2line -a -f -i -e %s", binary);
    for (unsigned i = 0; i < site_count; i++) /* the call is before where it returns to */
        n += (size_t)snprintf(command + n, sizeof command - n, " %llx",
                              (unsigned long long)sites[i].at - 1);
    FILE *f = output_of(command);
    unsigned at = 0, placed = 0;
    for (unsigned k = 0; fgets(line, sizeof line, f) != NULL; k++) {
        line[strcspn(line, " \n")] = '\0';
        if (strncmp(line, "0x", 2) == 0) {
            ck_assert_uint_lt(at, site_count);
            at++;
            k = 0;
            continue;
        }
        /* A function, its place, and those that it is inlined in. libc's own are not the caller. */
        struct site *s = &sites[at - 1];
        if (k % 2 == 1 && (k == 1 || strcmp(s->function, s->call) == 0)) {
            snprintf(s->function, sizeof s->function, "%.63s", line);
            placed = k;
        } else if (k == placed + 1) {
            const char *lib = strstr(line, "/lib/"), *slash = strrchr(line, '/');
            snprintf(s->place, sizeof s->place, "%.95s",
                     lib != NULL     ? lib + 1
                     : slash != NULL ? slash + 1
                                     : line);
        }
    }
    pclose(f);
    ck_assert_uint_eq(at, site_count);
}

/* The name of a call that is wrapped as wrap[n]: before glibc 2.33 stat() is an __xstat(). */
static void name_call(char name[40], const char *wrap, size_t n)
{
    static const char *const inner[][2] = {{"__fxstat", "fstat"},
                                           {"__lxstat", "lstat"},
                                           {"__xstat", "stat"}};
    snprintf(name, 40, "%.*s", (int)n, wrap);
    for (size_t i = 0; i < COUNT(inner); i++)
        if (strcmp(name, inner[i][0]) == 0)
            snprintf(name, 40, "%s", inner[i][1]);
}

/* Finds all calls of __wrap_CALL in the program; a site is the place behind one. */
static void sites_find(void)
{
    char line[1024], name[40] = "";
    snprintf(line, sizeof line, "objdump -d --no-show-raw-insn %s", binary);
    FILE *f = output_of(line);
    while (fgets(line, sizeof line, f) != NULL) {
        char *end;
        uint64_t at = strtoull(line, &end, 16);
        if (*end != ':' || !isspace((unsigned char)line[0]))
            continue;
        if (name[0] != '\0') {
            ck_assert_uint_lt(site_count, SITES_MAX);
            sites[site_count].at = at;
            snprintf(sites[site_count++].call, sizeof name, "%s", name);
            name[0] = '\0';
        }
        const char *wrap = strstr(line, "<__wrap_");
        if (wrap == NULL || wrap[8 + strcspn(wrap + 8, "+>")] != '>')
            continue;
        ck_assert_msg(strstr(line, "\tjmp") == NULL, "a jump, and no call: %s", line);
        if (strstr(line, "\tcall") == NULL && strstr(line, "\tbl") == NULL)
            continue;
        name_call(name, wrap + 8, strcspn(wrap + 8, ">"));
    }
    pclose(f);
    ck_assert_uint_gt(site_count, 100);
    sites_place();
}

static struct site *site_of(uint64_t at)
{
    for (unsigned i = 0; i < site_count; i++)
        if (sites[i].at == at)
            return &sites[i];
    ck_abort_msg("a call from %#llx, where there is none", (unsigned long long)at);
}

/* Each call out of the objects that speak to the system has a wrapper, or is harmless. An object
 * whose source has been renamed may still lie there. */
START_TEST(all_are_wrapped)
{
    char line[2048];
    unsigned strangers = 0;
    snprintf(line, sizeof line,
             "here=$PWD; cd %s && { for o in sse.o ring.o lib/host/*.o; do "
             "[ ! -e \"$here/${o%%.o}.c\" ] || nm -u $o; done | sed -n 's/^ *U //p' | sort -u; "
             "{ nm --defined-only -g sse.o http.o ring.o lib/*.o lib/*/*.o | "
             "sed -n 's/.* [TDBR] //p'; nm test/kit/faults.o | sed -n 's/.* T __wrap_//p'; } | "
             "sort -u | sed p; } | sort | uniq -u",
             objects);
    FILE *f = output_of(line);
    while (fgets(line, sizeof line, f) != NULL) {
        bool known = false;
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < COUNT(harmless) && !known; i++)
            known = strcmp(line, harmless[i]) == 0;
        known |= strncmp(line, "mem", 3) == 0 || (strncmp(line, "str", 3) == 0) ||
                 strncmp(line, "__asan_", 7) == 0 || strncmp(line, "__ubsan_", 8) == 0;
        if (!known)
            printf("%s is called, and test/kit/faults.c has no __wrap_%s\n", line, line);
        strangers += !known;
    }
    pclose(f);
    fflush(stdout);
    ck_assert_uint_eq(strangers, 0);
}
END_TEST

/* ---- runs ------------------------------------------------------------------------------------ */

/* One play of a scene, with a fault unless error is 0. */
static struct job {
    int scene;
    const struct site *site;
    enum faults_life life;
    int error;
    unsigned nth;
    const struct job *under; /* the fault that it takes to get there; NULL: none */
} jobs[JOBS_MAX];
static unsigned job_count;
static struct verdict *verdicts; /* of each */

/* Removes a run's directory with all that is in it. A process of that run may still be at its end
 * and make files there: tries again while that lasts. Returns false if the directory stays. */
static bool remove_dir(const char *dir)
{
    for (int64_t end = now_ms() + RUN_WAIT_MS;; pause_ms(10)) {
        DIR *d = opendir(dir);
        for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
            (void)unlinkat(dirfd(d), e->d_name, 0);
        if (d != NULL)
            closedir(d);
        if (rmdir(dir) == 0 || errno == ENOENT)
            return true;
        if (now_ms() > end)
            return false;
    }
}

static void job_dir(char dir[64], unsigned job)
{
    snprintf(dir, 64, "%s/%u", root, job);
}

static struct faults *faults_map(const char *dir)
{
    char path[128];
    snprintf(path, sizeof path, "%s/faults", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert(fd != -1 && ftruncate(fd, sizeof(struct faults)) == 0);
    void *p = mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert(p != MAP_FAILED);
    close(fd);
    return p;
}

/* How many clients a fault may cost: what is published while the store can't be synced is
 * acknowledged to nobody; a listener's pause costs nobody. */
static unsigned lost_max(const struct job *j)
{
    if (j == NULL || j->error == 0)
        return 0;
    return (strcmp(j->site->call, "fdatasync") == 0 ? 8 : 1) + lost_max(j->under);
}

static void arm(struct faults_armed *a, const struct job *j)
{
    *a = (struct faults_armed){
        .life = j->life, .error = j->error, .site = j->site->at, .nth = j->nth};
    snprintf(a->call, sizeof a->call, "%s", j->site->call);
}

/* In a process of its own: plays it. */
static _Noreturn void job_run(unsigned job, pid_t parent)
{
    const struct job *j = &jobs[job];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(2);
    (void)signal(SIGPIPE, SIG_IGN);
    run_.binary = binary;
    run_.given = -1;
    run_.verdict = &verdicts[job];
    run_.lost_max = lost_max(j);
    job_dir(run_.dir, job);
    if (!remove_dir(run_.dir) || mkdir(run_.dir, 0700) == -1) /* that of the run before */
        _exit(3);
    run_.faults = faults_map(run_.dir);
    struct faults_armed *a = run_.faults->armed;
    if (j->error != 0)
        arm(&a[0], j);
    if (j->under != NULL)
        arm(&a[1], j->under);
    if (j->scene >= 0 && scenes[j->scene].armed != NULL) {
        a[2].error = scenes[j->scene].error;
        snprintf(a[2].call, sizeof a[2].call, "%s", scenes[j->scene].armed);
    }
    if (j->scene < 0)
        scene_killed();
    else
        scenes[j->scene].play();
    run_end();
}

/* Returns true if the job has not run yet, or has not reached the call that was to fail. */
static bool job_idle(unsigned job)
{
    const struct verdict *v = &verdicts[job];
    return v->runs == 0 || (jobs[job].error != 0 && v->fired == 0 && !v->bad);
}

/* Runs those of jobs[from..job_count) that are idle, some at a time. */
static void jobs_run(unsigned from)
{
    unsigned running = 0;
    pid_t parent = getpid();
    for (unsigned i = from; i < job_count || running > 0;) {
        if (i < job_count && !job_idle(i)) {
            i++;
            continue;
        }
        if (i < job_count && running < JOBS_AT_ONCE) {
            verdicts[i] = (struct verdict){.runs = verdicts[i].runs + 1};
            pid_t pid = fork();
            ck_assert_int_ne(pid, -1);
            if (pid == 0)
                job_run(i, parent);
            i++;
            running++;
            continue;
        }
        int status;
        ck_assert_int_gt(wait(&status), 0);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a run ended with %#x",
                      status);
        running--;
    }
}

static const char *error_name(int error)
{
    return error == SHORT ? "less than asked" : error == 0 ? "no fault" : strerror(error);
}

static void job_show(const struct job *j)
{
    static const char *const lives[] = {"", " in the keeper", " on trial", " after the upgrade"};
    printf("%s: call %u of %s in %s()%s: %s", j->site->place, j->nth, j->site->call,
           j->site->function, lives[j->life], error_name(j->error));
    if (j->under != NULL) {
        printf("; under ");
        job_show(j->under);
    }
}

/* Shows what was wrong; returns how many. */
static unsigned jobs_bad(unsigned from)
{
    unsigned bad = 0;
    for (unsigned i = from; i < job_count; i++) {
        const struct job *j = &jobs[i];
        bool idle = job_idle(i);
        if (!verdicts[i].bad && !idle)
            continue;
        bad++;
        printf("---- scene %s, ", j->scene < 0 ? "killed" : scenes[j->scene].name);
        if (j->site != NULL)
            job_show(j);
        printf("\n%s%s\n", idle ? "the call was not made\n" : "", verdicts[i].text);
    }
    fflush(stdout);
    return bad;
}

static void jobs_remove(unsigned from)
{
    for (unsigned i = from; i < job_count; i++) {
        char dir[64];
        job_dir(dir, i);
        ck_assert_msg(remove_dir(dir), "%s cannot be removed: %s", dir, strerror(errno));
    }
}

/* ---- the test -------------------------------------------------------------------------------- */

/* Notes the sites that a job has reached, if none before has. */
static void job_note(unsigned job)
{
    char dir[64];
    job_dir(dir, job);
    struct faults *f = faults_map(dir);
    for (unsigned k = 0; k < FAULTS_SITES && f->site[k].site != 0; k++) {
        struct site *s = site_of(f->site[k].site);
        for (int life = 0; life < FAULTS_LIVES; life++) {
            unsigned count = f->site[k].count[life];
            if (count > 0 && s->first[life] == NULL && jobs[job].nth <= 1)
                s->first[life] = &jobs[job];
            if (jobs[job].error == 0 && count >= MANY) {
                s->many[life] = &jobs[job];
                s->count[life] = count;
            }
        }
    }
    munmap(f, sizeof *f);
}

/* Runs the jobs that were added, and notes what they reach. Where time decides whether a call is
 * made they are run again. */
static void jobs_play(unsigned from)
{
    for (int times = 0; times < 10; times++)
        jobs_run(from);
    for (unsigned i = from; i < job_count; i++)
        job_note(i);
    jobs_remove(from);
}

/* Plays each scene without a fault. */
static void record(void)
{
    jobs[job_count++] = (struct job){.scene = -1};
    jobs_run(0); /* what it reaches is not noted: it is no scene to be played again */
    jobs_remove(0);
    ck_assert_uint_eq(jobs_bad(0), 0);
    for (unsigned i = 0; i < SCENES; i++)
        jobs[job_count++] = (struct job){.scene = (int)i};
    jobs_play(1);
    ck_assert_uint_eq(jobs_bad(1), 0);
}

/* Clang links the sanitizers' own code, which is C++, into the program. */
static bool of_sanitizer(const struct site *s)
{
    return strncmp(s->function, "_Z", 2) == 0;
}

/* What only root can do is not reached by others. */
static bool of_root(const struct site *s)
{
    static const char file[] = "lib/host/guard.c:";
    return strncmp(s->place, file, sizeof file - 1) == 0 ||
           strcmp(s->function, "files_give") == 0 || strcmp(s->function, "socket_give") == 0 ||
           strcmp(s->function, "user_become") == 0;
}

/* What else the binary does is done by a program of its own, which ends when a call fails. */
static bool of_command(const struct site *s)
{
    static const char *const files[] = {"lib/cli/", "lib/host/machine.c:"};
    bool is = strcmp(s->function, "keys_private") == 0;
    for (size_t i = 0; i < COUNT(files); i++)
        is |= strncmp(s->place, files[i], strlen(files[i])) == 0;
    return is;
}

/* What only several processes do: test/e2e/workers.c kills them, and finds them replaced. */
static bool of_workers(const struct site *s)
{
    static const char *const files[] = {"lib/host/workers.c:", "lib/control.c:"};
    static const char *const functions[] = {"ring_join", "ring_leave", "acceptor_close_own",
                                            "listener_watch"};
    bool is = false;
    for (size_t i = 0; i < COUNT(files); i++)
        is |= strncmp(s->place, files[i], strlen(files[i])) == 0;
    for (size_t i = 0; i < COUNT(functions); i++)
        is |= strcmp(s->function, functions[i]) == 0;
    return is;
}

static bool is_reached(const struct site *s)
{
    bool reached = false;
    for (int life = 0; life < FAULTS_LIVES; life++)
        reached |= s->first[life] != NULL;
    return reached;
}

/* The sites that no scene reaches are those of the table. A place may have several, copies of a
 * function that was inlined: one of them is enough. */
static unsigned unreached_wrong(void)
{
    unsigned wrong = 0;
    static bool seen[COUNT(unreached)];
    for (unsigned i = 0; i < site_count; i++) {
        const struct site *s = &sites[i];
        bool reached = false, listed = false;
        for (unsigned k = 0; k < site_count; k++)
            reached |= strcmp(sites[k].place, s->place) == 0 &&
                       strcmp(sites[k].call, s->call) == 0 && is_reached(&sites[k]);
        bool excused = of_root(s) && geteuid() != 0;
        if (reached || of_sanitizer(s) || of_command(s) || of_workers(s))
            continue;
        for (size_t k = 0; k < COUNT(unreached); k++)
            if (strcmp(unreached[k].function, s->function) == 0 &&
                strcmp(unreached[k].call, s->call) == 0)
                listed = seen[k] = true;
        if (!listed && !excused)
            printf("no scene reaches %s: %s in %s()\n", s->place, s->call, s->function);
        wrong += !listed && !excused;
    }
    for (size_t k = 0; k < COUNT(unreached); k++) {
        if (!seen[k])
            printf("a scene does reach %s in %s()\n", unreached[k].call, unreached[k].function);
        wrong += !seen[k];
    }
    fflush(stdout);
    return wrong;
}

static void add_job(const struct job *in, const struct site *s, enum faults_life life, int error,
                    unsigned nth)
{
    ck_assert_uint_lt(job_count, JOBS_MAX);
    jobs[job_count++] = (struct job){in->scene, s, life, error, nth, in->error != 0 ? in : NULL};
}

static bool row_is_of(size_t row, const struct site *s)
{
    char place[sizeof s->call + sizeof s->function + 4];
    snprintf(place, sizeof place, "%s in %s", s->call, s->function);
    return strcmp(calls[row].name, s->call) == 0 || strcmp(calls[row].name, place) == 0;
}

/* Every errno at the first call of a site, and at two later ones where there are many; just one
 * errno in the processes but the first. */
static void site_jobs(const struct site *s, enum faults_life life)
{
    size_t call = 0;
    while (call < COUNT(calls) && !row_is_of(call, s))
        call++;
    ck_assert_msg(call < COUNT(calls), "what may %s fail with?", s->call);
    const int *error = calls[call].error;
    unsigned errors = 0;
    while (errors < COUNT(calls[0].error) && error[errors] != 0)
        errors++;
    for (unsigned e = 0; e < (life <= FAULTS_CHILD ? errors : 1); e++) {
        add_job(s->first[life], s, life, error[e], 1);
        if (s->many[life] != NULL) {
            add_job(s->many[life], s, life, error[e], s->count[life] / 4);
            add_job(s->many[life], s, life, error[e], s->count[life] / 2);
        }
    }
}

/* Jobs for the sites that `from` and those behind it were the first to reach. */
static void jobs_make(unsigned from)
{
    for (unsigned i = 0; i < site_count; i++)
        for (int life = 0; life < FAULTS_LIVES; life++)
            if (!of_sanitizer(&sites[i]) && sites[i].first[life] != NULL &&
                sites[i].first[life] >= &jobs[from])
                site_jobs(&sites[i], (enum faults_life)life);
}

/* A first wave of faults, and a second of those that strike what a first one has led to. */
START_TEST(each_fails_once)
{
    unsigned reached = 0, refused = 0, taken = 0, lost = 0;
    sites_find();
    record();
    unsigned first = job_count;
    jobs_make(0);
    unsigned second = job_count;
    jobs_play(first);
    jobs_make(first);
    jobs_play(second);
    unsigned wrong = unreached_wrong();
    for (unsigned i = 0; i < site_count; i++)
        reached += is_reached(&sites[i]);
    for (unsigned i = first; i < job_count; i++) {
        refused += verdicts[i].refused;
        taken += verdicts[i].died_taken;
        lost += verdicts[i].lost > 0;
    }
    printf("%u sites, %u reached; %u and %u runs: %u refused to start (%u of them after an "
           "upgrade), %u lost a client\n",
           site_count, reached, second - first, job_count - second, refused, taken, lost);
    unsigned bad = jobs_bad(first);
    ck_assert_msg(bad == 0 && wrong == 0, "%u runs went wrong, %u sites", bad, wrong);
}
END_TEST

static void set_up(void)
{
    const char *bin = getenv("SSE_BIN");
    snprintf(objects, sizeof objects, "%s", bin != NULL ? bin : "build/gcc-asan/sse");
    char *slash = strrchr(objects, '/');
    ck_assert_ptr_nonnull(slash);
    *slash = '\0';
    snprintf(binary, sizeof binary, "%s/sse-faults", objects);
    snprintf(root, sizeof root, "/tmp/sse-faults-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(chmod(root, 0711), 0); /* one scene is another user's */
    snprintf(template, sizeof template, "%s/template", root);
    verdicts = mmap(NULL, JOBS_MAX * sizeof *verdicts, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(verdicts != MAP_FAILED);
}

static void tear_down(void)
{
    for (unsigned i = 0; i < JOBS_MAX; i++) { /* also what is left of a test that was cut short */
        char dir[64];
        job_dir(dir, i);
        (void)remove_dir(dir);
    }
    unlink(template);
    rmdir(root);
}

int main(void)
{
    Suite *s = suite_create("faults");
    TCase *t = tcase_create("faults");
    tcase_set_timeout(t, 170);
    tcase_add_unchecked_fixture(t, set_up, tear_down);
    tcase_add_test(t, all_are_wrapped);
    tcase_add_test(t, each_fails_once);
    suite_add_tcase(s, t);
    return run(s);
}
