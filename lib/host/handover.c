/*
 * handover.c - tries the next program, and becomes it.
 */
#include "lib/host/handover.h"
#include "lib/serve/conn.h"

#include "lib/host/child.h"
#include "lib/host/keeper.h"
#include "lib/serve/intake.h"
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the environment ------------------------------------------------------------------------- */

/* The environment of the next program: this one's, and the variable. It is an array of our own, as
 * setenv() would link malloc(). */
struct env {
    char **had; /* what `environ` was */
    size_t size;
    char variable[sizeof(HANDOVER_ENV) + 32];
};

/* Removes the variable from the environment. */
static void env_clean(void)
{
    char **to = environ;
    for (char **from = environ; *from != NULL; from++)
        if (!span_begins(span_of(*from), SPAN(HANDOVER_ENV "=")))
            *to++ = *from;
    *to = NULL;
}

/* Sets the variable, until env_restore(). Returns false with errno set if there is no memory. */
static bool env_set(struct env *e, const char *mode, int fd)
{
    struct text t = text_for_string(e->variable, sizeof(e->variable));
    size_t n = 1;
    text_str(&t, HANDOVER_ENV "=");
    text_str(&t, mode);
    text_u64(&t, (uint64_t)fd);
    for (char **v = environ; *v != NULL; v++)
        n++;
    e->size = (n + 1) * sizeof(*environ);
    void *p = mmap(NULL, e->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return false;
    e->had = environ;
    environ = p;
    environ[0] = text_string(&t);
    memcpy(environ + 1, e->had, n * sizeof(*environ));
    return true;
}

static void env_restore(const struct env *e)
{
    munmap(environ, e->size);
    environ = e->had;
}

/* ---- what is handed over --------------------------------------------------------------------- */

void handover_layout(char layout[HANDOVER_LAYOUT])
{
    struct text t = text_in(layout, HANDOVER_LAYOUT - 1);
    const struct {
        const char *name;
        uint64_t size;
    } part[] = {{"layout ", HANDOVER_VERSION},           {" hand-over ", sizeof(struct handover)},
                {" connection ", sizeof(struct conn)},   {" body ", sizeof(struct intake)},
                {" topic ", sizeof(struct topic)},       {" edge ", sizeof(struct topic_edge)},
                {" ring ", sizeof(struct ring_head)},    {" chain ", sizeof(struct chain)},
                {" record ", sizeof(struct ring_record)}};
    memset(layout, 0, HANDOVER_LAYOUT);
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
        text_str(&t, part[i].name);
        text_u64(&t, part[i].size);
    }
    assert(!t.full);
}

enum handover_mode handover_mode(int *fd)
{
    struct span text = span_of(getenv(HANDOVER_ENV)), mode = span_cut(&text, ' ');
    uint64_t n = 0;
    env_clean();
    if (!span_u64(text, &n) || n > INT32_MAX)
        return HANDOVER_NONE;
    *fd = (int)n;
    return span_eq(mode, SPAN("try"))    ? HANDOVER_TRY
           : span_eq(mode, SPAN("take")) ? HANDOVER_TAKE
                                         : HANDOVER_NONE;
}

bool handover_read(int fd, struct handover *h, struct text *why)
{
    char mine[HANDOVER_LAYOUT];
    ssize_t n = pread(fd, h, sizeof *h, 0);
    handover_layout(mine);
    h->layout[HANDOVER_LAYOUT - 1] = '\0';
    if (n >= HANDOVER_LAYOUT && strcmp(h->layout, mine) == 0 && n == (ssize_t)sizeof *h)
        return true;
    text_str(why, "incompatible: the server that runs has ");
    text_str(why, n >= HANDOVER_LAYOUT ? h->layout : "nothing to hand over");
    text_str(why, ", this program has ");
    text_str(why, mine);
    return false;
}

/* Makes a file in memory that holds *h. Returns its descriptor, or -1 with errno set. */
static int handover_file(const struct handover *h)
{
    int fd = memfd_create("handover", MFD_CLOEXEC);
    if (fd != -1 && pwrite(fd, h, sizeof *h, 0) != (ssize_t)sizeof *h) {
        close(fd);
        errno = ENOSPC;
        return -1;
    }
    return fd;
}

enum { TRIAL_READS = 16 }; /* at once */

/* ---- the trial ------------------------------------------------------------------------------- */

/* Starts the child, which gets the descriptors of *h and of its file `fd`. Returns 0, or an
 * errno. */
static int trial_start(pid_t *child, const struct handover *h, char *const argv[], int out, int fd)
{
    int keep[4 + MEMORY_PIECES] = {fd, h->table_fd, h->arena_fd};
    size_t n = 3;
    if (h->keeper != KEEPER_NONE)
        keep[n++] = h->keeper;
    for (uint32_t i = 0; i < h->memory.n; i++)
        keep[n++] = h->memory.piece[i].fd;
    struct env env;
    if (!env_set(&env, "try ", fd))
        return errno;
    int err = child_spawn(child, argv, out, keep, n);
    env_restore(&env);
    return err;
}

bool trial_begin(struct trial *t, const struct handover *h, char *const argv[], uint64_t now)
{
    int ends[2], fd = handover_file(h);
    pid_t child = 0;
    if (fd == -1)
        return false;
    int err = pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1 ? errno : 0;
    if (err == 0) {
        err = trial_start(&child, h, argv, ends[1], fd);
        close(ends[1]);
        if (err != 0)
            close(ends[0]);
    }
    close(fd);
    errno = err;
    if (err == 0)
        *t = (struct trial){.child = child, .out = ends[0], .until = now + TRIAL_MS};
    return err == 0;
}

bool trial_read(struct trial *t)
{
    for (unsigned times = 0; times < TRIAL_READS; times++) {
        char rest[256];
        size_t room = sizeof t->said - 1 - t->n;
        ssize_t n = room > 0 ? read(t->out, t->said + t->n, room) : read(t->out, rest, sizeof rest);
        if (n <= 0)
            return n == 0 || (errno != EAGAIN && errno != EINTR);
        t->n += room > 0 ? (size_t)n : 0;
    }
    return false; /* it never ends */
}

const char *trial_end(struct trial *t)
{
    int status;
    close(t->out);
    kill(t->child, SIGKILL); /* it has ended, or has had its time */
    while (waitpid(t->child, &status, 0) == -1 && errno == EINTR) {
    }
    t->child = 0;
    if (span_eq((struct span){t->said, t->n}, SPAN(HANDOVER_READY)))
        return NULL;
    for (; t->n > 0 && t->said[t->n - 1] == '\n'; t->n--) {
    }
    t->said[t->n] = '\0';
    if (t->n == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return "the program made a system call that the sandbox of this one refuses";
    return t->n > 0  ? t->said
           : t->over ? "the program ended and did not say that it can take over"
                     : "the program did not say that it can take over in time";
}

/* ---- the change ------------------------------------------------------------------------------ */

/* Lets a descriptor pass an exec, or not. */
static bool let_pass(int fd, bool yes)
{
    return fcntl(fd, F_SETFD, yes ? 0 : FD_CLOEXEC) == 0;
}

static bool let_all_pass(const struct handover *h, const struct conns *conns, bool yes)
{
    bool good = let_pass(h->epoll, yes);
    if (h->keeper != KEEPER_NONE)
        good &= let_pass(h->keeper, yes);
    good &= let_pass(h->table_fd, yes);
    good &= let_pass(h->arena_fd, yes);
    for (uint32_t i = 0; i < h->memory.n; i++)
        good &= let_pass(h->memory.piece[i].fd, yes);
    for (uint32_t i = 1; i <= conns->top; i++) {
        const struct conn *c = &conns->conn[i];
        if (c->state >= CONN_HEAD || conn_is_own(c, DESCRIPTOR_LISTENER))
            good &= let_pass((int)i, yes);
    }
    return good;
}

void handover_exec(const struct handover *h, char *const argv[], const struct conns *conns)
{
    int fd = handover_file(h);
    if (fd == -1)
        return;
    struct env env;
    if (let_all_pass(h, conns, true) && let_pass(fd, true) && env_set(&env, "take ", fd)) {
        execvp(argv[0], argv);
        int why = errno;
        env_restore(&env);
        errno = why;
    }
    int err = errno;
    let_all_pass(h, conns, false);
    close(fd);
    errno = err;
}

void handover_keep(const struct handover *h, const struct conns *conns)
{
    let_all_pass(h, conns, false);
}
