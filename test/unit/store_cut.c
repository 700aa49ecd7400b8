/*
 * store_cut.c - the ring's file under power cuts, over a model of the disk: what was written since
 * the last sync is lost or not, in any combination, at the grain of a page.
 *
 * The file is a real one, which stands for the kernel's page cache; `disk` is what a power cut
 * leaves of it. A sync copies the file there; the kernel copies any page whenever it likes; a sync
 * that fails copies some, and the kernel takes the others for written. After a cut the file gets a
 * random mix of the two, the machine another boot id, and the store is opened again. Lives end in
 * all ways, at random: cuts while the store is opened, used, synced and closed, kills, clean ends,
 * failed syncs.
 *
 * What must hold: an id that a client has heard, in a message, an answer or as a mere place, means
 * one message for ever; with --fsync always no message that was told is lost, but to the ring's
 * size; and a client that comes back with an id it has heard gets all that was told behind it, or a
 * gap.
 *
 * SSE_CUTS is how many lives there are (300).
 */
#include "lib/host/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "test/kit/kit.h"

enum {
    PAGE = 4096,
    SIZES = 3, /* of rings: 64K, 128K, 256K */
    PAGES = (RING_PAGE + (RING_MIN << (SIZES - 1))) / PAGE,
    CHAINS = 8,
    TOPICS = 4,
    CLIENTS = 6,
    TOLD_MAX = 1 << 13, /* messages of one store */
    STORE_LIVES = 12,   /* of one store */
};

#define EPOCH UINT64_C(1790000000000)

/* ---- the disk -------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t below(uint64_t n)
{
    return random_next(&random_state) % n;
}

static struct {
    char dir[64], path[96], boot[96];
    char disk[PAGES * PAGE]; /* what a cut leaves */
    char lost[PAGES];        /* pages that the kernel takes for written, and that are not */
    char seen[PAGES * PAGE]; /* their content then: a page that is written to again is another */
    unsigned fail;           /* the sync that fails, from now; 0: none */
    unsigned cut;            /* the sync before or behind which there is a cut; 0: none */
    jmp_buf end;             /* where that goes to */
    bool failed;
} M;

static size_t file_read(char *out)
{
    int fd = open(M.path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd != -1 ? pread(fd, out, PAGES * PAGE, 0) : 0;
    ck_assert_int_ge(n, 0);
    if (fd != -1)
        close(fd);
    memset(out + n, 0, PAGES * PAGE - (size_t)n);
    return (size_t)n;
}

/* Writes a page down, if the kernel knows that it has to. */
static void page_sync(const char *file, size_t page)
{
    if (M.lost[page] && memcmp(file + page * PAGE, M.seen + page * PAGE, PAGE) == 0)
        return;
    M.lost[page] = 0;
    memcpy(M.disk + page * PAGE, file + page * PAGE, PAGE);
}

static void disk_sync(size_t from, size_t to, bool some, bool fails)
{
    static char file[PAGES * PAGE];
    (void)file_read(file);
    for (size_t page = from; page < to; page++) {
        bool dirty = memcmp(M.disk + page * PAGE, file + page * PAGE, PAGE) != 0;
        if (!some || below(2) == 0) {
            page_sync(file, page);
        } else if (fails && dirty) {
            M.lost[page] = 1;
            memcpy(M.seen + page * PAGE, file + page * PAGE, PAGE);
        }
    }
}

static int model_sync(int fd, size_t from, size_t to)
{
    struct stat about;
    if (fd != -1 && (fstat(fd, &about) == -1 || !S_ISREG(about.st_mode)))
        return 0; /* a directory */
    if (M.cut > 0 && --M.cut == 0) {
        disk_sync(from, to, below(2) == 0, false);
        longjmp(M.end, 1);
    }
    if (M.fail > 0 && --M.fail == 0) {
        M.failed = true;
        disk_sync(from, to, true, true);
        errno = EIO;
        return -1;
    }
    disk_sync(from, to, false, false);
    return 0;
}

static int model_msync(const void *p, size_t n)
{
    (void)p; /* the first page's */
    return model_sync(-1, 0, (n + PAGE - 1) / PAGE);
}

static int model_open(const char *path, int flags, ...)
{
    bool boot = strstr(path, "boot_id") != NULL;
    return open(boot ? M.boot : path, flags, 0600);
}

#define fdatasync(fd)    model_sync(fd, 0, PAGES)
#define fsync(fd)        model_sync(fd, 0, PAGES)
#define msync(p, n, how) model_msync(p, n)
#define open(...)        model_open(__VA_ARGS__)
#include "lib/host/store.c" /* NOLINT(bugprone-suspicious-include) */
#undef fdatasync
#undef fsync
#undef msync
#undef open

static void boot(void)
{
    char id[40];
    snprintf(id, sizeof id, "%016" PRIx64 "-%016" PRIx64 "xxx", random_next(&random_state),
             random_next(&random_state));
    int fd = open(M.boot, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert(fd != -1 && write(fd, id, 36) == 36);
    close(fd);
}

/* The power is gone: of each page that was not synced the newer content is there, or is not. */
static void power_cut(void)
{
    static char file[PAGES * PAGE];
    size_t n = file_read(file);
    for (size_t page = 0; page < PAGES; page++)
        if (!M.lost[page] && below(2) == 0)
            page_sync(file, page);
    int fd = open(M.path, O_WRONLY | O_CLOEXEC);
    ck_assert(fd != -1 || errno == ENOENT); /* a store that could not be made */
    if (fd != -1) {
        ck_assert(pwrite(fd, M.disk, n, 0) == (ssize_t)n);
        close(fd);
    }
    memset(M.lost, 0, sizeof M.lost);
    boot();
}

/* ---- what clients know ----------------------------------------------------------------------- */

/* The messages that were put, by their tags: what they carry. */
static struct told {
    uint64_t n;
    uint32_t topic;
    bool heard; /* else nobody was told */
    bool there; /* when somebody last looked; a start that has not found it was right */
} told[TOLD_MAX];
static uint64_t tolds;
static struct {
    uint64_t n, tag;
} meaning[2 * TOLD_MAX]; /* of the ids that were heard, by a hash of these; n is 0: none */
static uint64_t heard_max;
static uint64_t cursor[CLIENTS]; /* of client i, which reads topic i % TOPICS; NONE: it has none */
#define NONE UINT64_MAX

static const char *const names[TOPICS] = {"a", "b", "c/d", "e"};

static void heard(uint64_t n)
{
    heard_max = n > heard_max ? n : heard_max;
}

static uint64_t tag_of(const struct ring_record *rec)
{
    uint64_t tag = 0;
    struct span data = ring_data(rec), word = span_cut(&data, ' ');
    ck_assert(span_u64(word, &tag));
    return tag;
}

/* The message of this record has been told. */
static void tell(const struct ring_record *rec)
{
    uint64_t tag = tag_of(rec), at = rec->n * UINT64_C(0x9E3779B97F4A7C15) >> 40;
    ck_assert(tag < tolds && told[tag].n == rec->n);
    for (;; at++) {
        at %= 2 * TOLD_MAX;
        if (meaning[at].n == 0 || meaning[at].n == rec->n)
            break;
    }
    ck_assert_msg(meaning[at].n == 0 || meaning[at].tag == tag,
                  SEED_FMT ": id %" PRIu64 " means two messages", seed(), rec->n);
    meaning[at].n = rec->n;
    meaning[at].tag = tag;
    told[tag].heard = told[tag].there = true;
    heard(rec->n);
}

/* ---- a life ---------------------------------------------------------------------------------- */

static struct life {
    struct store st;
    struct ring r;
    struct topics t;
    struct broker b;
    void *memory[6];
    enum opt_fsync mode;
    uint64_t shown; /* up to there all records have been told */
} L;

static unsigned lives, cuts, kills, cleans, fails, refused_starts;

static void forget(void)
{
    if (L.st.h != NULL)
        munmap(L.st.h, RING_PAGE);
    if (L.r.h != NULL)
        ring_close(&L.r);
    L.st.h = NULL;
    L.r.h = NULL;
    for (size_t i = 0; i < COUNT(L.memory); i++)
        free(L.memory[i]);
    memset(L.memory, 0, sizeof L.memory);
}

static uint32_t topic(unsigned i)
{
    bool made = false;
    uint32_t id =
        broker_open(&L.b, span_of(names[i]), &made); /* it stays as long as it has messages */
    ck_assert_uint_ne(id, 0);
    return id;
}

static void tell_all(void)
{
    if (L.shown < ring_tail(&L.r))
        L.shown = ring_tail(&L.r);
    for (; L.shown < ring_head(&L.r); L.shown = ring_behind(ring_at(&L.r, L.shown), L.shown))
        tell(ring_at(&L.r, L.shown));
}

/* Returns true if message `tag` is in the ring. */
static bool there(uint64_t tag)
{
    uint64_t n = told[tag].n, at = ring_find(&L.r, n - 1);
    return at < ring_head(&L.r) && ring_at(&L.r, at)->n == n && tag_of(ring_at(&L.r, at)) == tag;
}

/* Each client comes back with what it has heard. */
static void come_back(void)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (cursor[i] == NONE)
            continue;
        ck_assert_msg(cursor[i] <= ring_newest(&L.r).n,
                      SEED_FMT ": an id that was heard is unknown", seed());
        if (broker_lost_after(&L.b, topic(i % TOPICS), cursor[i]))
            continue; /* it is told of a gap */
        for (uint64_t m = 0; m < tolds; m++)
            ck_assert_msg(!told[m].heard || told[m].topic != i % TOPICS || told[m].n <= cursor[i] ||
                              told[m].there,
                          SEED_FMT ": a silent gap behind %" PRIu64 ": %" PRIu64, seed(), cursor[i],
                          told[m].n);
    }
}

/* All that was told, was there and was not evicted must be there: those of an id above `from`. */
static void nothing_lost(uint64_t from)
{
    for (uint64_t m = 0; m < tolds; m++)
        ck_assert_msg(!told[m].heard || !told[m].there || told[m].n <= from || there(m),
                      SEED_FMT ": message %" PRIu64 " was acknowledged and is lost", seed(),
                      told[m].n);
}

/* Whoever opens the store sees what is there. */
static void look(void)
{
    tell_all();
    heard(ring_newest(&L.r).n);
    for (uint64_t m = 0; m < tolds; m++)
        told[m].there = there(m);
    come_back();
}

static bool life_begin(uint64_t size)
{
    static const uint64_t key[2] = {1, 2};
    static char why_bytes[512];
    struct topics_memory m = topics_size(CHAINS);
    size_t sizes[4] = {m.table, m.edges, m.pool, m.pool_meta};
    struct store_report rep;
    struct text why = text_in(why_bytes, sizeof why_bytes - 1);
    memset(&L, 0, sizeof L);
    for (int i = 0; i < 4; i++)
        ck_assert_ptr_nonnull(L.memory[i] = calloc(1, sizes[i]));
    topics_init(&L.t, CHAINS, L.memory[0], L.memory[1], L.memory[2], L.memory[3], key);
    L.mode = (enum opt_fsync)below(3);
    struct store_ask ask = {
        .path = M.path, .ring = size, .mode = L.mode, .wall_ms = EPOCH, .boot_ms = 1};
    bool opened = store_open(&L.st, &L.r, &ask, &rep, &why);
    if (!opened) {
        ck_assert_msg(M.failed, "%s", why_bytes);
        return false;
    }
    ck_assert_ptr_nonnull(L.memory[4] = calloc(1, broker_size(L.r.size, CHAINS)));
    ck_assert_ptr_nonnull(L.memory[5] = calloc(1, broker_heap_size(CHAINS)));
    broker_init(&L.b, &L.r, &L.t, L.memory[4], L.memory[5]);
    store_follow(&L.b, &rep);
    if (rep.failed)
        memset(M.lost, 0, sizeof M.lost); /* every page was written to */
    return true;
}

static void put(void)
{
    static char data[RING_MIN * 4 / 16];
    struct text t = text_in(data, sizeof data);
    unsigned i = (unsigned)below(TOPICS);
    uint64_t most = L.r.size / 16 - 24, size = below(20) == 0 ? below(most) : below(300);
    text_u64(&t, tolds);
    text_str(&t, " ");
    memset(data + t.n, below(30) == 0 ? '\n' : 'x', size);
    struct ring_message m = {.topic = span_of(names[i]), .data = {data, t.n + size}};
    uint32_t id = topic(i);
    ck_assert_uint_lt(tolds, TOLD_MAX);
    if (L.mode == OPT_FSYNC_ALWAYS) {
        if (broker_hold(&L.b, id, &m, EPOCH) == 0)
            return;
    } else {
        broker_put(&L.b, id, &m, EPOCH);
    }
    ck_assert_msg(ring_given(&L.r) > heard_max, SEED_FMT ": id %" PRIu64 " is given twice", seed(),
                  ring_given(&L.r));
    told[tolds++] = (struct told){.n = ring_given(&L.r), .topic = i};
}

static void sync_always(void)
{
    if (L.r.h->held == 0)
        return;
    store_sync_begin(&L.st, &L.r);
    for (uint64_t more = below(4); more > 0; more--)
        put(); /* while it runs: of the next */
    if (store_sync_result(&L.st) < 0)
        longjmp(M.end, 2);
    while (ring_head(&L.r) < L.st.synced)
        (void)broker_show(&L.b);
}

static void step(void)
{
    unsigned what = (unsigned)below(100);
    if (what < 60)
        put();
    else if (what < 70)
        disk_sync(0, PAGES, true, false); /* the kernel writes what it likes */
    else if (what < 85 && L.mode == OPT_FSYNC_ALWAYS)
        sync_always();
    else if (what < 90 && store_tick(&L.st, &L.r) < 0)
        longjmp(M.end, 2);
    else if (what < 92)
        heard(ring_newest(&L.r).n); /* a hello, a poll with nothing new, a gap */
    else if (what < 93)
        (void)ring_expire(&L.r, EPOCH + 1, (unsigned)below(5));
    if (L.shown < ring_head(&L.r))
        tell_all();
    if (below(10) == 0)
        cursor[below(CLIENTS)] = heard_max; /* all that was told has been heard */
}

enum end {
    END_RAN = 0,
    END_CUT = 1,    /* the power went within a sync */
    END_FAILED = 2, /* a sync failed, which the server has noticed */
};

/* The server ends, as it does by itself. Returns true if the power goes within that. */
static bool life_close(bool *clean)
{
    *clean = false;
    if (setjmp(M.end) != 0)
        return true;
    *clean = store_close(&L.st, &L.r) == 0;
    ck_assert(*clean || M.failed);
    cleans += *clean;
    return false;
}

/* Ends a life as `end` says, with a power cut at random. Then, if the store should hold everything
 * since the oldest message, begins a new life and fails unless all of it is there. */
static void life_over(enum end end, uint64_t size)
{
    bool opened = L.r.h != NULL && L.st.h != NULL, clean = false,
         always = L.mode == OPT_FSYNC_ALWAYS;
    bool any = opened && L.shown > 0 && ring_count(&L.r) > 0;
    uint64_t from = any ? ring_at(&L.r, ring_tail(&L.r))->n - 1 : UINT64_MAX;
    bool synced = always, cut = end == END_CUT;
    fails += end == END_FAILED;
    if (opened && !cut && (end == END_FAILED || below(2) == 0)) {
        cut = life_close(&clean);
        ck_assert(end != END_FAILED || !clean);
        synced |= clean && L.mode != OPT_FSYNC_NEVER;
    }
    forget();
    M.cut = M.fail = 0;
    if (cut || below(2) == 0) {
        cuts++;
        power_cut();
    } else {
        kills += !clean;
        synced = true; /* the file is as it was */
    }
    if (!synced || !any)
        return;
    ck_assert(life_begin(size));
    nothing_lost(from);
    look();
    forget();
    kills++;
}

/* One life of the server on the store. */
static void live(uint64_t size)
{
    M.failed = false;
    M.cut = below(4) == 0 ? 1 + (unsigned)below(8) : 0;
    M.fail = below(5) == 0 ? 1 + (unsigned)below(8) : 0;
    lives++;
    enum end end = (enum end)setjmp(M.end);
    if (end == END_RAN) {
        if (life_begin(size)) {
            look();
            for (uint64_t steps = 20 + below(300); steps > 0; steps--)
                step();
        } else {
            refused_starts++;
        }
    }
    life_over(end, size);
    M.failed = false;
}

static void store_new(void)
{
    unlink(M.path);
    memset(M.disk, 0, sizeof M.disk);
    memset(M.lost, 0, sizeof M.lost);
    memset(meaning, 0, sizeof meaning);
    tolds = 0;
    heard_max = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        cursor[i] = NONE;
}

START_TEST(cut_again_and_again)
{
    const char *asked = getenv("SSE_CUTS");
    unsigned most = asked != NULL ? (unsigned)strtoul(asked, NULL, 10) : 300;
    uint64_t size = RING_MIN;
    random_state = seed();
    strcpy(M.dir, "/tmp/check_store_cut.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(M.dir));
    snprintf(M.path, sizeof M.path, "%s/store", M.dir);
    snprintf(M.boot, sizeof M.boot, "%s/boot", M.dir);
    boot();
    for (unsigned left = 0; lives < most; left--) {
        if (left == 0) {
            left = 1 + (unsigned)below(STORE_LIVES);
            size = (uint64_t)RING_MIN << below(SIZES);
            store_new();
        }
        live(size);
    }
    printf("%u lives: %u power cuts, %u kills, %u clean ends, %u failed syncs, %u refused starts\n",
           lives, cuts, kills, cleans, fails, refused_starts);
    ck_assert(cuts > lives / 8 && kills > lives / 8 && cleans > lives / 16 && fails > lives / 50);
    unlink(M.path);
    unlink(M.boot);
    ck_assert_int_eq(rmdir(M.dir), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store_cut");
    TCase *tc = tcase_create("model");
    tcase_set_timeout(tc, getenv("SSE_CUTS") != NULL ? 3600 : 170);
    tcase_add_test(tc, cut_again_and_again);
    suite_add_tcase(s, tc);
    return run(s);
}
