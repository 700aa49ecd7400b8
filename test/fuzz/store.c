/*
 * store.c - a store's file with bytes changed, opened.
 *
 * A small store is made, always the same; the input changes it: 5 bytes each, a place in the file
 * (3), what is done there, an operand. Then the file is opened: all that is there is to be a
 * message that was put, in order, and the ring goes on, twice. A last byte that is left over
 * chooses the size it is opened at.
 */
#undef NDEBUG
#include <assert.h>

#include "lib/host/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE (2 * RING_MIN)
#define CHAINS    8
#define MESSAGES  400

static char path[64], image[FILE_SIZE];

/* A store as a process has it. */
static struct {
    struct store st;
    struct ring r;
    struct topics t;
    struct broker b;
    struct store_report rep;
    void *memory[6];
} P;

static bool start(uint64_t ring)
{
    static const uint64_t key[2] = {1, 2};
    char bytes[512];
    struct text why = text_in(bytes, sizeof(bytes));
    struct topics_memory m = topics_size(CHAINS);
    size_t sizes[4] = {m.table, m.edges, m.pool, m.pool_meta};
    struct store_ask ask = {.path = path,
                            .ring = ring != 0 ? ring : RING_MIN,
                            .ring_given = ring != 0,
                            .mode = OPT_FSYNC_NEVER,
                            .wall_ms = 1};
    P.st = (struct store){.h = NULL};
    for (int i = 0; i < 4; i++)
        assert((P.memory[i] = calloc(1, sizes[i])) != NULL);
    topics_init(&P.t, CHAINS, P.memory[0], P.memory[1], P.memory[2], P.memory[3], key);
    bool right = store_open(&P.st, &P.r, &ask, &P.rep, &why);
    assert(right == (why.n == 0));
    P.memory[4] = P.memory[5] = NULL;
    if (right) {
        assert((P.memory[4] = calloc(1, broker_size(P.r.size, CHAINS))) != NULL);
        assert((P.memory[5] = calloc(1, broker_heap_size(CHAINS))) != NULL);
        broker_init(&P.b, &P.r, &P.t, P.memory[4], P.memory[5]);
        store_follow(&P.b, &P.rep);
    }
    return right;
}

static void stop(bool opened)
{
    if (opened) {
        assert(store_close(&P.st, &P.r) == 0);
        ring_close(&P.r);
    }
    for (int i = 0; i < 6; i++)
        free(P.memory[i]);
}

/* The payload of message n tells n. */
static size_t data_of(uint64_t n, char *out)
{
    size_t size = n % 17 == 0 ? 3000 : n % 200;
    memset(out, (int)('a' + n % 26), size);
    if (n % 5 == 0 && size > 0)
        out[size / 2] = '\n';
    return size;
}

static void put(void)
{
    static const char *const names[] = {"a", "b/c", "-own", "d", "a/long/name"};
    char data[3000];
    bool made = false;
    uint64_t n = ring_newest(&P.r).n + 1;
    struct span topic = span_of(names[n % 5]);
    uint32_t id = broker_open(&P.b, topic, &made);
    struct ring_message m = {.topic = topic,
                             .data = {data, data_of(n, data)},
                             .binary = n % 7 == 0};
    broker_put(&P.b, id, &m, 1000 + n);
}

static void verify(void)
{
    char data[3000] = "";
    uint64_t count = 0, n = 0, chained = 0;
    for (uint64_t at = ring_tail(&P.r); at < ring_head(&P.r); count++) {
        const struct ring_record *rec = ring_at(&P.r, at);
        assert(span_eq(ring_data(rec), (struct span){data, data_of(rec->n, data)}));
        uint32_t of = broker_topic(&P.b, at);
        assert(span_eq(topic_name(&P.t, of), ring_topic(rec)));
        assert(rec->n > n && rec->time_ms == 1000 + rec->n);
        assert(n == 0 || rec->n == n + 1 || P.r.h->hole_n >= rec->n - 1);
        assert(ring_find(&P.r, rec->n - 1) == at && chain_next(&P.b.chains, of, at) == at);
        n = rec->n;
        at = ring_behind(rec, at);
    }
    assert(count == ring_count(&P.r) && n <= ring_newest(&P.r).n);
    for (uint32_t topic = 1; topic <= CHAINS; topic++)
        chained += P.b.chains.chain[topic].count;
    assert(chained == count);
}

static void write_file(const char *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert(fd != -1 && write(fd, bytes, n) == (ssize_t)n);
    assert(close(fd) == 0);
}

static void clean_up(void)
{
    char new[80];
    unlink(path);
    (void)snprintf(new, sizeof(new), "%s.new", path);
    unlink(new);
}

static void make_image(void)
{
    (void)snprintf(path, sizeof(path), "/dev/shm/fuzz_store.%d", (int)getpid());
    unlink(path);
    atexit(clean_up);
    assert(start(0));
    for (int i = 0; i < MESSAGES; i++)
        put();
    verify();
    stop(true);
    int fd = open(path, O_RDONLY);
    assert(fd != -1 && read(fd, image, sizeof(image)) == (ssize_t)sizeof(image));
    assert(close(fd) == 0);
}

/* One change; returns the file's size then. */
static size_t change(char *bytes, size_t size, const uint8_t *in)
{
    size_t at = (in[0] | (size_t)in[1] << 8 | (size_t)in[2] << 16) % FILE_SIZE, n = in[4];
    size_t room = FILE_SIZE - at, from = n * 512 % FILE_SIZE;
    switch (in[3] % 8) {
    case 0:
        bytes[at] = (char)in[4];
        break;
    case 1:
        bytes[at] = (char)(bytes[at] ^ (1 << n % 8));
        break;
    case 2: /* a hole */
        memset(bytes + at, 0, n * 16 < room ? n * 16 : room);
        break;
    case 3: /* a sector of another place */
        memmove(bytes + at / 512 * 512, bytes + from, 512);
        break;
    case 4: /* within the first page */
        bytes[at % 1600] = (char)in[4];
        break;
    case 5: /* cut */
        return size < at ? size : at;
    case 6: /* a piece of it moved, aligned */
        at = at / 16 * 16;
        memmove(bytes + at, bytes + from,
                n * 16 < FILE_SIZE - at && n * 16 < FILE_SIZE - from ? n * 16 : 0);
        break;
    default:
        memset(bytes + at, (int)n, room < 20 ? room : 20);
        break;
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
    static char bytes[FILE_SIZE];
    static const uint64_t sizes[] = {0, RING_MIN, 2 * RING_MIN, 4 * RING_MIN};
    size_t size = FILE_SIZE;
    if (image[0] == '\0')
        make_image();
    memcpy(bytes, image, sizeof(bytes));
    for (; n >= 5; n -= 5, in += 5)
        size = change(bytes, size, in);
    write_file(bytes, size);
    bool opened = start(n > 0 ? sizes[in[0] % 4] : 0);
    if (opened) {
        verify();
        for (int i = 0; i < 20; i++)
            put();
        verify();
        uint64_t newest = ring_newest(&P.r).n, there = ring_count(&P.r);
        stop(true);
        assert((opened = start(0)));
        verify();
        assert(ring_newest(&P.r).n == newest && ring_count(&P.r) >= there);
        for (int i = 0; i < 400; i++)
            put();
        verify();
    }
    stop(opened);
    return 0;
}
