/*
 * store.c - the ring's file: opens, creates, checks, locks and syncs it, and finds its complete
 * messages.
 */
#include "lib/host/store.h"

#include "lib/auth/revoke.h"
#include "lib/hash.h"
#include "lib/host/path.h"
#include "lib/name.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STORE_VERSION 2u          /* 1: without ends of topics */
#define STORE_ORDER   0x01020304u /* as this machine writes it */
#define STORE_STACK   (64u << 10)
#define STORE_SET_MS  1000     /* a wall clock that differs by more was set */
#define LOCK_TIMES    100u     /* the lock is tried so often, */
#define LOCK_EACH_NS  10000000 /* and the time between two */

enum store_mark {
    STORE_IN_USE = 1,
    STORE_CLEAN = 2,
    STORE_FAILED = 3, /* its content may not be on the disk */
};

/* The state, kept in two copies. A copy that was being written fails its checksum; then the other
 * counts. */
struct store_state {
    uint64_t turn;    /* the copy with the larger turn is newer */
    uint64_t n;       /* of the newest message, at least */
    uint64_t inode;   /* of the file; a copy of the file has another */
    char boot_id[40]; /* of the machine, as it was in use; may be empty */
    uint32_t mark;    /* enum store_mark */
    uint32_t mode;    /* enum opt_fsync */
    uint64_t check;   /* of what is above */
    struct store_time time;
    uint64_t time_check; /* of that; earlier programs wrote neither */
    char unused[400];
};

/* The first page. */
struct store_head {
    char magic[8];
    uint32_t order, version;
    uint64_t size;  /* of the arena */
    uint64_t epoch; /* of ids */
    uint64_t key;   /* of check sums: a secret, never 0 */
    uint64_t check; /* of what is above */
    char unused[464];
    struct store_state state[2]; /* each in a sector of its own */
};

_Static_assert(sizeof(struct store_state) == 512, "a sector");
_Static_assert(offsetof(struct store_head, state) == 512, "a sector of its own");
_Static_assert(sizeof(struct store_head) <= STORE_HEAD, "it fits");
_Static_assert(STORE_HEAD + REVOKE_BYTES <= RING_PAGE, "revocations fit");
_Static_assert(sizeof(atomic_int) == sizeof(int), "lock-free");

static const char store_magic[8] = {'s', 's', 'e', '-', 'r', 'i', 'n', 'g'};

/* The working state of store_open(). */
struct opening {
    struct store *st;
    struct ring *r;
    const struct store_ask *ask;
    struct store_report *rep;
    struct text *why;
    struct store_head head; /* as read from the file */
    int fd;
    uint64_t file_size;
    bool fresh; /* the file was not there */
};

/* ---- errors ---------------------------------------------------------------------------------- */

/* Sets the reason: the path, then the strings up to a NULL. Returns false. */
static TEXT_LIST bool wrong(struct opening *o, ...)
{
    va_list ap;
    text_str(o->why, o->ask->path);
    va_start(ap, o);
    text_list(o->why, ap);
    va_end(ap);
    return false;
}

static bool wrong_errno(struct opening *o, const char *doing, int err)
{
    return wrong(o, ": ", doing, ": ", strerror(err), NULL);
}

/* ---- the first page -------------------------------------------------------------------------- */

static uint64_t head_check(const struct store_head *h)
{
    return hash_table(1, 1, (struct span){(const char *)h, offsetof(struct store_head, check)});
}

/* Returns the state's checksum, which needs the key: what another store left there is invalid. */
static uint64_t state_check(const struct store_head *h, const struct store_state *s)
{
    return hash_table(h->key, 2,
                      (struct span){(const char *)s, offsetof(struct store_state, check)});
}

/* Returns the copy of the state that counts; -1 if both are wrong. */
static int state_newest(const struct store_head *h)
{
    int newest = -1;
    for (int i = 0; i < 2; i++)
        if (h->state[i].check == state_check(h, &h->state[i]) && h->state[i].n <= RING_N_MAX &&
            (newest < 0 || h->state[i].turn > h->state[newest].turn))
            newest = i;
    return newest;
}

static uint64_t time_check(const struct store_head *h, const struct store_state *s)
{
    return hash_table(h->key, 3, (struct span){(const char *)&s->time, sizeof s->time});
}

static void boot_id(char out[40])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    memset(out, 0, 40);
    if (fd == -1)
        return;
    if (read(fd, out, 36) != 36)
        memset(out, 0, 40);
    close(fd);
}

/* Puts a state into the copy that does not count. */
static void state_put(struct store *st, int newest, struct store_state *s)
{
    s->turn = newest < 0 ? 1 : st->h->state[newest].turn + 1;
    s->time = st->noted = st->time;
    s->check = state_check(st->h, s);
    s->time_check = time_check(st->h, s);
    st->h->state[newest == 0] = *s;
}

/* Writes the state. If the store is in use, it keeps the boot id of the last state, as the process
 * may not read it any more (sandbox.h). */
static void state_write(struct store *st, uint64_t n, enum store_mark mark)
{
    struct stat about = {.st_ino = 0};
    int newest = state_newest(st->h);
    struct store_state s = {.n = n, .mark = mark, .mode = st->mode};
    (void)fstat(st->fd, &about);
    s.inode = about.st_ino;
    if (mark != STORE_IN_USE && newest >= 0)
        memcpy(s.boot_id, st->h->state[newest].boot_id, sizeof(s.boot_id));
    else
        boot_id(s.boot_id);
    state_put(st, newest, &s);
}

/* Writes only the newest id and the time: cheap. */
static void state_hint(struct store *st, uint64_t n)
{
    int newest = state_newest(st->h);
    if (newest < 0)
        return;
    struct store_state s = st->h->state[newest];
    s.n = n > s.n ? n : s.n;
    state_put(st, newest, &s);
}

static int head_map(struct store *st, int fd)
{
    void *p = mmap(NULL, RING_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    st->h = p;
    st->fd = fd;
    return 0;
}

static bool size_right(uint64_t size)
{
    return size >= RING_MIN && size <= RING_MAX && (size & (size - 1)) == 0;
}

/* Returns true if the header is that of a store that this program can read. */
static bool head_right(struct opening *o)
{
    const struct store_head *h = &o->head;
    char number[24];
    struct text t = text_for_string(number, sizeof(number));
    if (memcmp(h->magic, store_magic, sizeof(h->magic)) != 0)
        return wrong(o, " is not a store: it begins with something else", NULL);
    if (h->order == __builtin_bswap32(STORE_ORDER))
        return wrong(o, " was made on a machine of the other byte order", NULL);
    text_u64(&t, h->version);
    if (h->order == STORE_ORDER && (h->version < 1 || h->version > STORE_VERSION))
        return wrong(o, " was made by another version of this program: its format is ",
                     text_string(&t), ", this one reads formats 1 and 2", NULL);
    if (h->check != head_check(h) || !size_right(h->size) || h->key == 0)
        return wrong(o, " is a store whose header is damaged", NULL);
    return true;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Returns true if the whole file is zero, as one whose creation was not finished. */
static bool file_blank(const struct opening *o)
{
    char page[STORE_HEAD];
    if (o->file_size <= RING_PAGE || !size_right(o->file_size - RING_PAGE))
        return o->file_size == 0;
    for (uint64_t at = 0; at < o->file_size; at += sizeof(page))
        if (pread(o->fd, page, sizeof(page), (off_t)at) != (ssize_t)sizeof(page) || page[0] != 0 ||
            memcmp(page, page + 1, sizeof(page) - 1) != 0)
            return false;
    return true;
}

/* Locks the file; waits for a while, as the lock of a killed server lives on for a moment in its
 * child that tries an upgrade. Returns false with errno set on failure. */
static bool file_lock(int fd)
{
    const struct timespec moment = {0, LOCK_EACH_NS};
    for (unsigned times = LOCK_TIMES; flock(fd, LOCK_EX | LOCK_NB) == -1; times--) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || times == 0)
            return false;
        (void)nanosleep(&moment, NULL);
    }
    return true;
}

/* Opens the file, or creates it, for this process alone. Returns false with the reason set. */
static bool file_open(struct opening *o)
{
    struct stat now, named;
    int flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    o->fd = open(o->ask->path, flags);
    if (o->fd == -1 && errno == ENOENT) {
        o->fd = open(o->ask->path, flags | O_CREAT | O_EXCL, 0600);
        o->fresh = o->fd != -1;
    }
    if (o->fd == -1)
        return wrong_errno(o, "cannot be opened", errno);
    if (fstat(o->fd, &now) == -1)
        return wrong_errno(o, "cannot be asked for its size", errno);
    if (!S_ISREG(now.st_mode))
        return wrong(o, " is not a regular file", NULL);
    if (!file_lock(o->fd))
        return errno == EWOULDBLOCK ? wrong(o, " is in use by another process", NULL)
                                    : wrong_errno(o, "cannot be locked", errno);
    if (stat(o->ask->path, &named) == -1 || named.st_ino != now.st_ino ||
        named.st_dev != now.st_dev)
        return wrong(o, " is in use by another process, which has just replaced it", NULL);
    if (fstat(o->fd, &now) == -1)
        return wrong_errno(o, "cannot be asked for its size", errno);
    o->file_size = (uint64_t)now.st_size;
    return true;
}

/* Writes zeros up to the file's new end, where the file system lacks fallocate(). Returns 0 or an
 * errno. */
static int file_fill(int fd, uint64_t from, uint64_t to)
{
    const char zeros[STORE_HEAD] = {0};
    while (from < to) {
        size_t part = to - from < sizeof(zeros) ? to - from : sizeof(zeros);
        ssize_t w = pwrite(fd, zeros, part, (off_t)from);
        if (w == -1 && errno != EINTR)
            return -errno;
        from += w > 0 ? (uint64_t)w : 0;
    }
    return 0;
}

/* Makes the file `size` bytes long, with blocks on the disk for all of it, so that no write through
 * the mapping can fail for want of space. */
static bool file_room(struct opening *o, int fd, uint64_t had, uint64_t size)
{
    char number[24];
    struct text t = text_for_string(number, sizeof(number));
    int err = 0;
    while (fallocate(fd, 0, 0, (off_t)size) == -1 && (err = errno) == EINTR)
        err = 0;
    if (err == EOPNOTSUPP)
        err = -file_fill(fd, had, size);
    if (err == 0 && had > size && ftruncate(fd, (off_t)size) == -1)
        err = errno;
    if (err == 0)
        return true;
    text_u64(&t, size);
    const char *and = ftruncate(fd, (off_t)had) == -1 ? ", and what was made of it stays" : NULL;
    return wrong(o, ": there is no room for ", text_string(&t), " bytes: ", strerror(err), and,
                 NULL);
}

/* Syncs the directory entry. Returns 0 or minus an errno. */
static int directory_sync(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (n >= sizeof(dir))
        return -ENAMETOOLONG;
    memcpy(dir, n > 0 ? path : ".", n > 0 ? n : 1);
    dir[n > 0 ? n : 1] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return errno == EACCES ? 0 : -errno; /* a directory that may be searched but not read */
    int err = fsync(fd) == -1 && errno != EINVAL ? -errno : 0;
    close(fd);
    return err;
}

/* Syncs the file. Returns 0 or minus an errno. */
static int file_sync(int fd)
{
    int result;
    while ((result = fdatasync(fd)) == -1 && errno == EINTR) {
    }
    return result == -1 ? -errno : 0;
}

/* ---- the thread that syncs ------------------------------------------------------------------- */

/* Signals an eventfd; retries, as its reader would wait for ever. */
static void event_add(int fd)
{
    const uint64_t one = 1;
    for (unsigned tries = 10; tries > 0 && write(fd, &one, sizeof(one)) == -1; tries--) {
    }
}

static void *thread_run(void *arg)
{
    struct store_thread *thread = arg;
    uint64_t times;
    for (unsigned asked; !atomic_load(&thread->stop) ||
                         atomic_load(&thread->asked) != atomic_load(&thread->done);) {
        if (read(thread->wake, &times, sizeof(times)) == -1 && errno != EINTR)
            (void)poll(NULL, 0, 10); /* and then checks again for work */
        if ((asked = atomic_load(&thread->asked)) == atomic_load(&thread->done))
            continue;
        int err = file_sync(thread->fd), none = 0;
        if (err < 0)
            atomic_compare_exchange_strong(&thread->error, &none, -err);
        atomic_store(&thread->done, asked);
        if (thread->told != -1)
            event_add(thread->told);
    }
    return NULL;
}

static int thread_make(struct store *st)
{
    pthread_attr_t attr;
    sigset_t all, before;
    size_t stack = STORE_STACK > PTHREAD_STACK_MIN ? STORE_STACK : (size_t)PTHREAD_STACK_MIN;
    int err = pthread_attr_init(&attr);
    if (err != 0)
        return -err;
    sigfillset(&all);
    sigdelset(&all, SIGSYS); /* a refused call is reported (sandbox.h), */
    sigdelset(&all, SIGBUS); /* so is a lost page */
    pthread_attr_setstacksize(&attr, stack);
    pthread_sigmask(SIG_SETMASK, &all,
                    &before); /* the thread inherits it: signals go to the loop */
    err = pthread_create(&st->id, &attr, thread_run, &st->thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -err;
}

static void thread_files_close(struct store *st)
{
    close(st->thread.wake);
    if (st->thread.told != -1)
        close(st->thread.told);
    st->thread.told = -1;
}

static int thread_begin(struct store *st)
{
    st->thread.told = -1;
    if (st->h == NULL || st->mode == OPT_FSYNC_NEVER)
        return 0;
    st->thread.fd = st->fd;
    st->thread.wake = eventfd(0, EFD_CLOEXEC);
    if (st->thread.wake == -1)
        return -errno;
    int err = 0;
    if (st->mode == OPT_FSYNC_ALWAYS &&
        (st->thread.told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
        err = -errno;
    err = err == 0 ? thread_make(st) : err;
    if (err < 0)
        thread_files_close(st);
    st->threaded = err == 0;
    return err;
}

static void thread_wake(struct store *st)
{
    atomic_fetch_add(&st->thread.asked, 1);
    event_add(st->thread.wake);
}

static void thread_end(struct store *st)
{
    if (!st->threaded)
        return;
    atomic_store(&st->thread.stop, true);
    event_add(st->thread.wake);
    pthread_join(st->id, NULL);
    thread_files_close(st);
    st->threaded = false;
}

/* ---- finding the messages -------------------------------------------------------------------- */

#define NOWHERE UINT64_MAX

/* The complete records of an arena, listed through `next` in the order of their places. */
struct found {
    uint64_t count, first, last; /* places */
    uint64_t newest;             /* the place of the largest id */
};

static struct ring_record *record_at(const struct ring *r, uint64_t place)
{
    return (struct ring_record *)(void *)(r->arena + place);
}

static void found_add(const struct ring *r, struct found *f, uint64_t place)
{
    struct ring_record *rec = record_at(r, place);
    rec->links.next = NOWHERE;
    if (f->count++ == 0)
        f->first = place;
    else
        record_at(r, f->last)->links.next = place;
    f->last = place;
}

/* Invalidates a record, for this opening and later ones. */
static void record_wipe(struct ring_record *rec)
{
    rec->topic_size = 0;
}

/* Drops overlaps: complete records never overlap by themselves, but the last one may run past the
 * arena's end; then those at the start are dropped. */
static void found_unlap(const struct ring *r, struct found *f)
{
    uint64_t end = f->last + ring_record_size(record_at(r, f->last));
    for (; f->count > 1 && f->first + r->size < end; f->count--)
        f->first = record_at(r, f->first)->links.next;
}

/* Searches the arena: from record to record, and where there is none, at every place. */
static struct found find_records(const struct ring *r)
{
    struct found f = {.first = NOWHERE, .last = NOWHERE, .newest = NOWHERE};
    for (uint64_t place = 0; place < r->size;) {
        const struct ring_record *rec = ring_whole(r, place);
        if (rec != NULL)
            found_add(r, &f, place);
        place += rec != NULL ? ring_record_size(rec) : RING_ALIGN;
    }
    if (f.count == 0)
        return f;
    found_unlap(r, &f);
    for (uint64_t p = f.first; p != NOWHERE; p = record_at(r, p)->links.next)
        if (f.newest == NOWHERE || record_at(r, p)->n > record_at(r, f.newest)->n)
            f.newest = p;
    return f;
}

/* Returns the record after `place` in the ring. */
static uint64_t found_next(const struct ring *r, const struct found *f, uint64_t place)
{
    uint64_t next = record_at(r, place)->links.next;
    return next != NOWHERE ? next : f->first;
}

/* ---- taking them over ------------------------------------------------------------------------ */

/* Returns true if the record may follow the newest one and its topic's name is valid; the server's
 * own topics, which no client can name, begin with a dash. */
static bool follows(const struct ring *r, const struct ring_record *rec)
{
    struct span name = ring_topic(rec);
    return rec->n > r->h->n && rec->time_max >= r->h->time_max &&
           (name.p[0] == '-' || topic_name_wrong(name) == NULL);
}

/* Notes that the next message has id n: ids between were those of missing messages, or were jumped
 * over; jumps are not reported. */
static void miss_until(struct opening *o, uint64_t n)
{
    uint64_t newest = o->r->h->n, last = n - 1;
    if (last == newest)
        return;
    if (last % STORE_JUMP != 0)
        o->rep->dropped += last - newest;
    ring_miss(o->r, last);
}

/* Keeps a record in its place, as offset `at`; `last` is the one before. Returns false if that is
 * impossible. */
static bool keep_record(struct opening *o, struct ring_record *rec, uint64_t at, uint64_t last)
{
    struct ring *r = o->r;
    if (!follows(r, rec))
        return false;
    if (last != 0 && at - last > UINT32_MAX) { /* too wide a hole: older records are dropped */
        o->rep->dropped += ring_count(r);
        ring_expire(r, UINT64_MAX, UINT_MAX);
    }
    if (last == 0)
        ring_begin(r, at, rec->n - 1);
    if (last != 0 && at > ring_head(r)) {
        o->rep->places++;
        o->rep->bytes += at - ring_head(r);
    }
    miss_until(o, rec->n);
    ring_keep(r, at, last);
    return true;
}

/* Keeps the records, the oldest first. Their places become offsets: the oldest has the smallest. */
static void keep_records(struct opening *o, const struct found *f)
{
    uint64_t size = o->r->size, start = found_next(o->r, f, f->newest), last = 0, next;
    for (uint64_t left = f->count, place = start; left > 0; left--, place = next) {
        uint64_t at = place + (place >= start ? size : 2 * size);
        struct ring_record *rec = record_at(o->r, place);
        next = found_next(o->r, f, place);
        if (keep_record(o, rec, at, last))
            last = at;
        else
            record_wipe(rec);
    }
}

/* Copies the messages of another ring into this empty one, as far as they fit. */
static void copy_records(struct opening *o, const struct ring *from, const struct found *f)
{
    struct ring *r = o->r;
    uint64_t place = found_next(from, f, f->newest), most = ring_message_max(r->size);
    ring_begin(r, r->size, record_at(from, place)->n - 1);
    for (uint64_t left = f->count; left > 0; left--, place = found_next(from, f, place)) {
        const struct ring_record *rec = record_at(from, place);
        if (!follows(r, rec) || rec->data_size > most || ring_record_size(rec) > r->size)
            continue;
        miss_until(o, rec->n);
        ring_copy(r, rec);
    }
}

/* Returns true if the header proves that the store is as the last process left it, or, where only a
 * sync could prove that, as it was when someone last heard of an id. */
static bool continues(const struct opening *o, const struct store_state *s, int fd,
                      const char boot[40])
{
    struct stat about = {.st_ino = 0};
    (void)fstat(fd, &about);
    if (s == NULL || s->inode != about.st_ino || s->mark == STORE_FAILED ||
        o->file_size < RING_PAGE + o->head.size)
        return false;
    return s->mark == STORE_CLEAN || s->mode == OPT_FSYNC_ALWAYS ||
           (boot[0] != '\0' && memcmp(s->boot_id, boot, sizeof(s->boot_id)) == 0);
}

/* Returns the ring's clock: its last time plus what has passed since on the machine's clock or,
 * after a reboot, on the wall clock. Never earlier than before. */
static uint64_t clock_on(const struct opening *o, const struct store_state *s, const char boot[40])
{
    uint64_t wall = o->ask->wall_ms, most = o->r->h->time_max;
    if (s == NULL || s->time_check != time_check(&o->head, s) || s->time.ring == 0)
        return wall > most ? wall : most;
    bool same = boot[0] != '\0' && memcmp(s->boot_id, boot, sizeof(s->boot_id)) == 0;
    uint64_t now = same ? o->ask->boot_ms : wall, then = same ? s->time.boot : s->time.wall;
    uint64_t clock = s->time.ring + (now > then ? now - then : 0);
    return clock > most ? clock : most;
}

/* Marks every page to be written again at the next sync: after a failed sync the kernel may take
 * unwritten pages for written. */
static void pages_touch(const struct ring *r)
{
    for (uint64_t at = 0; at < r->size; at += STORE_HEAD) {
        volatile char *page = r->arena + at;
        const char byte = *page;
        *page = byte;
    }
}

/* Sets the newest id and the time from the header, and whether ids must jump. */
static void settle_ids(struct opening *o, int fd)
{
    struct ring_head *h = o->r->h;
    char boot[40];
    int newest = state_newest(&o->head);
    const struct store_state *s = newest < 0 ? NULL : &o->head.state[newest];
    boot_id(boot);
    o->rep->unclean = s == NULL || s->mark != STORE_CLEAN;
    o->rep->failed = s != NULL && s->mark == STORE_FAILED;
    if (s != NULL && s->n > h->n) {
        if (s->n % STORE_JUMP != 0)
            o->rep->dropped += s->n - h->n;
        ring_miss(o->r, s->n);
    }
    if (!continues(o, s, fd, boot)) {
        o->rep->jumped = ((h->n + STORE_JUMP / 2) / STORE_JUMP + 1) * STORE_JUMP;
        ring_miss(o->r, o->rep->jumped);
        if (o->rep->failed)
            pages_touch(o->r);
    }
    o->rep->clock_ms = clock_on(o, s, boot);
    o->st->time = (struct store_time){o->rep->clock_ms, o->ask->wall_ms, o->ask->boot_ms};
    o->rep->messages = ring_count(o->r);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Sets up the ring, and what belongs to it, over a file that has room for it. */
static bool ring_set_up(struct opening *o, int fd, uint64_t size)
{
    struct store *st = o->st;
    int err = head_map(st, fd);
    if (err == 0 &&
        (err = ring_open_in(o->r, fd, RING_PAGE, size, o->head.epoch, o->head.key)) == 0)
        return true;
    if (st->h != NULL)
        munmap(st->h, RING_PAGE);
    st->h = NULL;
    return wrong_errno(o, "cannot be mapped", -err);
}

/* Marks the complete store as in use, and syncs that in every mode, as the clean mark is wrong once
 * a message is put. */
static bool set_in_use(struct opening *o)
{
    state_write(o->st, o->r->h->n, STORE_IN_USE);
    o->st->synced = ring_head(o->r);
    o->st->noted_n = o->r->h->n;
    if (file_sync(o->st->fd) < 0)
        return wrong_errno(o, "cannot be synced", errno);
    return true;
}

/* Fills in o->head for a new store. */
static bool head_make(struct opening *o)
{
    struct store_head *h = &o->head;
    *h = (struct store_head){.order = STORE_ORDER,
                             .version = STORE_VERSION,
                             .size = o->ask->ring,
                             .epoch = o->ask->wall_ms};
    memcpy(h->magic, store_magic, sizeof(h->magic));
    while (h->key == 0)
        if (getrandom(&h->key, sizeof(h->key), 0) == -1 && errno != EINTR)
            return wrong_errno(o, "no random numbers for its key", errno);
    h->check = head_check(h);
    return true;
}

/* Creates the store in the empty file. Its first page is written last. */
static bool make(struct opening *o)
{
    uint64_t size = o->ask->ring;
    o->rep->created = true;
    if (!head_make(o) || !file_room(o, o->fd, o->file_size, RING_PAGE + size) ||
        !ring_set_up(o, o->fd, size))
        return false;
    if (file_sync(o->fd) < 0)
        return wrong_errno(o, "cannot be synced", errno);
    *o->st->h = o->head;
    o->rep->clock_ms = o->ask->wall_ms;
    o->st->time = (struct store_time){o->ask->wall_ms, o->ask->wall_ms, o->ask->boot_ms};
    int err = directory_sync(o->ask->path);
    if (err < 0)
        return wrong_errno(o, "its directory cannot be synced", -err);
    return set_in_use(o);
}

/* Has the first page say that this program's format is in the file, before it is: an earlier one is
 * to refuse it. In one write, so that the page is right at any time. */
static bool head_renew(struct opening *o)
{
    const size_t size = offsetof(struct store_head, state);
    if (o->head.version == STORE_VERSION)
        return true;
    o->head.version = STORE_VERSION;
    o->head.check = head_check(&o->head);
    if (pwrite(o->fd, &o->head, size, 0) == (ssize_t)size)
        return true;
    return wrong_errno(o, "its first page cannot be written", errno);
}

/* Opens the store that is in the file, at its size. */
static bool recover(struct opening *o)
{
    uint64_t size = o->head.size, want = RING_PAGE + size;
    if (!file_room(o, o->fd, o->file_size, want) || !ring_set_up(o, o->fd, size))
        return false;
    o->rep->cut = o->file_size < want ? want - o->file_size : 0;
    struct found f = find_records(o->r);
    if (f.count > 0)
        keep_records(o, &f);
    settle_ids(o, o->fd);
    return head_renew(o) && set_in_use(o);
}

/* Copies the messages of the old ring into the new one, and renames that to the old one's path. */
static bool move_to(struct opening *o, const struct ring *old, const char *path, const char *new)
{
    struct found f = find_records(old);
    if (f.count > 0)
        copy_records(o, old, &f);
    settle_ids(o, o->fd);
    struct store_head head = o->head;
    head.size = o->r->size;
    head.version = STORE_VERSION;
    head.check = head_check(&head);
    *o->st->h = head;
    if (pread(o->fd, store_revoked(o->st), REVOKE_BYTES, STORE_HEAD) != (ssize_t)REVOKE_BYTES)
        return wrong_errno(o, "its revocations cannot be read", errno);
    state_write(o->st, o->r->h->n, STORE_IN_USE);
    o->st->synced = ring_head(o->r);
    o->st->noted_n = o->r->h->n;
    if (fsync(o->st->fd) == -1)
        return wrong_errno(o, "its successor cannot be synced", errno);
    if (rename(new, path) == -1)
        return wrong_errno(o, "cannot be replaced", errno);
    int err = directory_sync(path);
    return err == 0 || wrong_errno(o, "its directory cannot be synced", -err);
}

/* Gives a new file the owner and mode of another, as far as allowed. */
static void file_grant(int from, int to)
{
    struct stat about;
    if (fstat(from, &about) == 0 && fchown(to, about.st_uid, about.st_gid) == 0)
        (void)fchmod(to, about.st_mode & 0777);
}

/* Makes a store of another size beside the one in the file, and replaces it. */
static bool resize(struct opening *o)
{
    char new[PATH_MAX + 4];
    struct path p;
    struct text t;
    uint64_t had = RING_PAGE + o->head.size, size = RING_PAGE + o->ask->ring;
    struct ring old;
    bool right = false;
    if (!path_follow(&p, o->ask->path))
        return wrong_errno(o, "cannot be resolved", errno);
    t = text_in(new, sizeof(new));
    text_str(&t, p.real);
    text_add(&t, (struct span){".new", sizeof(".new")});
    if (unlink(new) == -1 && errno != ENOENT)
        return wrong_errno(
            o,
            "what stands in the way of its successor, with .new behind its name, cannot be removed",
            errno);
    int fd = open(new, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd == -1)
        return wrong_errno(o, "its successor, with .new behind its name, cannot be made", errno);
    file_grant(o->fd, fd);
    if (flock(fd, LOCK_EX | LOCK_NB) == -1)
        wrong_errno(o, "its successor cannot be locked", errno);
    else if (file_room(o, fd, 0, size) && file_room(o, o->fd, o->file_size, had)) {
        int err = ring_open_in(&old, o->fd, RING_PAGE, o->head.size, 0, o->head.key);
        if (err < 0)
            wrong_errno(o, "cannot be mapped", -err);
        right = err == 0 && ring_set_up(o, fd, o->ask->ring) && move_to(o, &old, p.real, new);
        if (err == 0) {
            ring_close(&old);
            o->fd = -1;
        }
    }
    if (!right) {
        (void)unlink(new);
        if (o->st->h == NULL)
            close(fd);
        return false;
    }
    o->rep->resized_from = o->head.size;
    o->rep->cut = o->file_size < had ? had - o->file_size : 0;
    return true;
}

static bool open_file(struct opening *o)
{
    if (!file_open(o))
        return false;
    if (file_blank(o)) {
        bool made = make(o);
        if (!made && o->fresh)
            (void)unlink(o->ask->path);
        return made;
    }
    ssize_t got = pread(o->fd, &o->head, sizeof(o->head), 0);
    if (got == -1)
        return wrong_errno(o, "cannot be read", errno);
    if (got >= (ssize_t)sizeof(o->head.magic) && (size_t)got < sizeof(o->head) &&
        memcmp(o->head.magic, store_magic, sizeof(store_magic)) == 0)
        return wrong(o, " is a store that was cut off within its header", NULL);
    if (!head_right(o))
        return false;
    if (o->file_size > RING_PAGE + o->head.size)
        return wrong(o, " is longer than its header says: what stands behind its end is no store's",
                     NULL);
    return o->ask->ring_given && o->ask->ring != o->head.size ? resize(o) : recover(o);
}

bool store_open(struct store *st, struct ring *r, const struct store_ask *ask,
                struct store_report *rep, struct text *why)
{
    struct opening o = {.st = st, .r = r, .ask = ask, .rep = rep, .why = why, .fd = -1};
    assert(st->h == NULL && size_right(ask->ring));
    *rep = (struct store_report){.created = false};
    st->mode = ask->mode;
    if (open_file(&o))
        return true;
    if (st->h != NULL) {
        thread_end(st);
        munmap(st->h, RING_PAGE);
        st->h = NULL;
        if (o.fd == st->fd)
            o.fd = -1;
        ring_close(r);
    }
    if (o.fd != -1)
        close(o.fd);
    return false;
}

void store_follow(struct broker *b, struct store_report *rep)
{
    struct ring *r = b->ring;
    rep->topics_full = broker_follow(b);
    rep->dropped += rep->topics_full;
    rep->messages -= rep->topics_full;
    for (uint64_t at = ring_tail(r); rep->topics_full > 0 && at < ring_head(r);
         at = ring_behind(ring_at(r, at), at))
        if (broker_topic(b, at) == 0 && (ring_at(r, at)->flags & (RING_WIPED | RING_PURGE)) == 0)
            ring_drop(r, at);
}

int store_attach(struct store *st, const struct ring *r, enum opt_fsync mode)
{
    /* shown messages are durable where they must be; held ones are not yet */
    *st = (struct store){.mode = mode, .synced = mode == OPT_FSYNC_ALWAYS ? ring_head(r) : 0};
    int err = head_map(st, r->arena_fd);
    if (err == 0 && (st->h->key != r->key || r->arena_from != RING_PAGE))
        err = -EINVAL;
    if (err < 0 && st->h != NULL) {
        munmap(st->h, RING_PAGE);
        st->h = NULL;
    }
    return err;
}

/* ---- while it is open ------------------------------------------------------------------------ */

/* Returns the result of a sync: minus the errno of it or of an earlier one. */
static int sync_result(struct store *st, int err)
{
    int none = 0;
    if (err < 0)
        atomic_compare_exchange_strong(&st->thread.error, &none, -err);
    return -atomic_load(&st->thread.error);
}

void store_sync_begin(struct store *st, const struct ring *r)
{
    assert(st->mode == OPT_FSYNC_ALWAYS && !st->syncing);
    /* Held records overwrite the newest shown one only if that is nearly half of the ring
     * (ring_hold()): then the state has its id. */
    bool much = r->h->held_size >= r->size / 8;
    state_hint(st, much ? ring_given(r) : r->h->n);
    st->synced = ring_end(r);
    st->syncing = true;
    if (st->threaded)
        thread_wake(st);
    else
        (void)sync_result(st, file_sync(st->fd));
}

int store_sync_result(struct store *st)
{
    if (store_busy(st))
        return 1;
    st->syncing = false;
    return sync_result(st, 0);
}

int store_sync_wait(struct store *st)
{
    struct pollfd told = {.fd = st->thread.told, .events = POLLIN};
    int result;
    while ((result = store_sync_result(st)) == 1)
        (void)poll(&told, 1, 100);
    return result;
}

/* Returns true if the wall clock was set since its time was recorded. */
static bool clock_set(const struct store *st)
{
    uint64_t then = st->noted.wall - st->noted.ring, now = st->time.wall - st->time.ring;
    return now - then + STORE_SET_MS > 2 * (uint64_t)STORE_SET_MS;
}

/* Writes the newest id into the state that the disk is sure to have, so that a jump from there
 * leads beyond all ids used. Returns 0, or minus the errno of the sync. */
static int note_newest(struct store *st, const struct ring *r)
{
    if (r->h->n - st->noted_n < STORE_JUMP / 4)
        return 0;
    state_hint(st, r->h->n);
    st->noted_n = r->h->n;
    return msync(st->h, STORE_HEAD, MS_SYNC) == -1 ? -errno : 0;
}

int store_tick(struct store *st, const struct ring *r)
{
    if (st->h == NULL || st->mode == OPT_FSYNC_ALWAYS)
        return 0;
    int err = note_newest(st, r);
    if (st->synced != ring_head(r) || clock_set(st)) {
        state_hint(st, r->h->n);
        st->synced = ring_head(r);
        if (st->threaded)
            thread_wake(st);
        else if (st->mode == OPT_FSYNC_INTERVAL && err == 0)
            err = file_sync(st->fd);
    }
    return sync_result(st, err);
}

int store_stop_thread(struct store *st)
{
    thread_end(st);
    return sync_result(st, 0);
}

void store_start_thread(struct store *st)
{
    atomic_store(&st->thread.stop, false);
    (void)thread_begin(st); /* without the thread the loop syncs */
}

int store_close(struct store *st, const struct ring *r)
{
    thread_end(st);
    int err = sync_result(st, 0);
    bool syncs = st->mode != OPT_FSYNC_NEVER;
    /* The mark is written after the messages, so that "clean" is true. */
    if (syncs && err == 0)
        err = sync_result(st, file_sync(st->fd));
    state_write(st, ring_given(r), err == 0 ? STORE_CLEAN : STORE_FAILED);
    if (syncs || err < 0)
        err = sync_result(st, file_sync(st->fd));
    munmap(st->h, RING_PAGE);
    st->h = NULL;
    (void)flock(st->fd, LOCK_UN); /* else done at the end of the process */
    return err;
}

/* ---- in words -------------------------------------------------------------------------------- */

static void count_of(struct text *out, const char *before, uint64_t n, const char *what)
{
    if (n == 0)
        return;
    text_str(out, before);
    text_u64(out, n);
    text_str(out, what);
}

void store_describe(const struct store_report *rep, struct text *out)
{
    text_u64(out, rep->messages);
    text_str(out, rep->messages == 1 ? " message" : " messages");
    if (rep->created)
        text_str(out, ", made");
    if (rep->unclean && !rep->created)
        text_str(out, rep->failed ? ", could not be synced" : ", was not closed");
    count_of(out, ", was of ", rep->resized_from, " bytes");
    count_of(out, ", was short by ", rep->cut, " bytes");
    count_of(out, ", ", rep->dropped, " missing");
    count_of(out, ", damaged in ", rep->places, " places");
    count_of(out, ", ", rep->bytes, " bytes of them");
    count_of(out, ", ", rep->topics_full, " left out for want of topics");
    count_of(out, ", ids jump to ", rep->jumped, "");
}
