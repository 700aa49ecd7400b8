/*
 * peer.c - peer.h: what counts as one address, and a model that counts along.
 */
#include "lib/auth/peer.h"

#include "lib/addr.h"
#include "test/kit/kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* ---- tables and addresses -------------------------------------------------------------------- */

static const uint64_t key[2] = {0x0123456789abcdef, 0xfedcba9876543210};
static struct peers peers;

/* Memory that the sanitizer guards, of just the size that is asked for. */
static void *set_up(uint32_t max)
{
    void *memory = calloc(1, peers_size(max));
    ck_assert_ptr_nonnull(memory);
    peers_init(&peers, max, memory, key);
    ck_assert_uint_eq(peers_count(&peers), 0);
    return memory;
}

static uint32_t enter_count;

/* Enters a connection from an address as text. */
static uint32_t enter(const char *address, uint16_t port)
{
    struct sockaddr_storage a;
    socklen_t len;
    ck_assert_msg(addr_read(span_of(address), port, &a, &len), "%s", address);
    enter_count = 77;
    return peer_enter(&peers, &a, len, &enter_count);
}

/* ---- what is one address --------------------------------------------------------------------- */

static const struct {
    int line;
    const char *a, *b;
    bool same;
} pairs[] = {
    {__LINE__, "192.0.2.1", "192.0.2.1", true},
    {__LINE__, "192.0.2.1", "192.0.2.2", false},
    {__LINE__, "192.0.2.1", "193.0.2.1", false},
    {__LINE__, "192.0.2.1", "1.2.0.192", false},
    {__LINE__, "192.0.2.1", "::ffff:192.0.2.1", true},
    {__LINE__, "::ffff:192.0.2.1", "::ffff:192.0.2.1", true},
    {__LINE__, "::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
    {__LINE__, "2001:db8::1", "2001:db8::1", true},
    {__LINE__, "2001:db8::1", "2001:db8::2", true},
    {__LINE__, "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
    {__LINE__, "2001:db8::1", "2001:db8:0:1::1", false},
    {__LINE__, "2001:db8::1", "2001:db9::1", false},
    {__LINE__, "2001:db8:0:1::", "2001:db8:0:2::", false},
    {__LINE__, "::1", "::2", true},
    {__LINE__, "::1", "::ffff:0.0.0.1", false},
    {__LINE__, "::1", "0.0.0.0", false},
    {__LINE__, "::c000:201", "192.0.2.1", false},
    {__LINE__, "c000:201::", "192.0.2.1", false},
    {__LINE__, "0.0.0.0", "::ffff:0.0.0.0", true},
    {__LINE__, "127.0.0.1", "::1", false},
};

START_TEST(knows_one_address)
{
    void *memory = set_up(2);
    uint32_t a = enter(pairs[_i].a, 1), count = enter_count;
    uint32_t b = enter(pairs[_i].b, 2);
    ck_assert(a != 0 && b != 0);
    ck_assert_uint_eq(count, 1);
    ck_assert_msg((a == b) == pairs[_i].same, "line %d", pairs[_i].line);
    ck_assert_uint_eq(enter_count, pairs[_i].same ? 2 : 1);
    ck_assert_uint_eq(peers_count(&peers), pairs[_i].same ? 1 : 2);
    peer_leave(&peers, a);
    ck_assert_uint_eq(peers_count(&peers), 1);
    peer_leave(&peers, b);
    ck_assert_uint_eq(peers_count(&peers), 0);
    free(memory);
}
END_TEST

/* Unix sockets, named or not, and what is too short to be an address. */
START_TEST(knows_what_has_none)
{
    void *memory = set_up(1);
    ck_assert_uint_eq(enter("unix:/run/sse.sock", 0), 0);
    ck_assert_uint_eq(enter_count, 0);
    struct sockaddr_storage a;
    memset(&a, 0xff, sizeof a);
    for (int family = AF_UNIX; family <= AF_INET6; family++) {
        size_t whole = family == AF_INET    ? sizeof(struct sockaddr_in)
                       : family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                            : sizeof a + 1;
        a.ss_family = (sa_family_t)family;
        for (socklen_t len = 0; len <= sizeof a; len++) {
            uint32_t count = 77, entry = peer_enter(&peers, &a, len, &count);
            bool good = (family == AF_INET || family == AF_INET6) && len >= whole;
            ck_assert_msg((entry != 0) == good && count == good, "family %d, %u bytes", family,
                          (unsigned)len);
            peer_leave(&peers, entry);
        }
    }
    ck_assert_uint_eq(peers_count(&peers), 0);
    free(memory);
}
END_TEST

/* ---- room ------------------------------------------------------------------------------------ */

/* An IPv4 address for each number. */
static uint32_t enter_number(uint32_t i, uint32_t *count)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(i)};
    struct sockaddr_storage a = {0};
    memcpy(&a, &v4, sizeof v4);
    return peer_enter(&peers, &a, sizeof v4, count);
}

START_TEST(fills_up)
{
    static const uint32_t sizes[] = {1, 2, 3, 4, 7, 64, 1000};
    uint32_t max = sizes[_i], entries[1000], count;
    void *memory = set_up(max);
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < max; i++) {
            entries[i] = enter_number(i, &count);
            ck_assert(entries[i] > 0 && entries[i] <= max && count == 1);
        }
        ck_assert_uint_eq(enter_number(max, &count), 0);
        ck_assert_uint_eq(count, 0);
        ck_assert_uint_eq(enter_number(0, &count), entries[0]); /* one more of a known one */
        ck_assert_uint_eq(count, 2);
        peer_leave(&peers, entries[0]);
        peer_leave(&peers, 0);
        ck_assert_uint_eq(peers_count(&peers), max);
        for (uint32_t i = 0; i < max; i++)
            peer_leave(&peers, entries[round == 1 ? max - 1 - i : i]);
        ck_assert_uint_eq(peers_count(&peers), 0);
    }
    free(memory);
}
END_TEST

/* Few addresses at a time touch little of a large table, however many come and go. */
START_TEST(touches_little)
{
    uint32_t max = 1u << 20, count, entries[100] = {0};
    size_t size = peers_size(max), touched = 0;
    char *memory = set_up(max);
    for (uint32_t i = 0; i < 200000; i++) {
        peer_leave(&peers, entries[i % COUNT(entries)]);
        entries[i % COUNT(entries)] = enter_number(i, &count);
        ck_assert_uint_eq(count, 1);
    }
    for (size_t page = 0; page < size; page += 4096)
        for (size_t i = page; i < page + 4096 && i < size; i++)
            if (memory[i] != 0) {
                touched++;
                break;
            }
    ck_assert_uint_le(touched, 4);
    ck_assert_uint_le(size / max, 40);
    free(memory);
}
END_TEST

/* However many addresses there are, one is found at once: otherwise this takes minutes. */
START_TEST(stays_fast)
{
    uint32_t max = 300000, count, *entries = calloc(max, sizeof *entries);
    void *memory = set_up(max);
    ck_assert_ptr_nonnull(entries);
    for (uint32_t i = 0; i < max; i++) {
        entries[i] = enter_number(i << 8, &count);
        ck_assert_uint_eq(count, 1);
    }
    for (uint32_t i = 0; i < max; i++)
        peer_leave(&peers, entries[i]);
    ck_assert_uint_eq(peers_count(&peers), 0);
    free(memory);
    free(entries);
}
END_TEST

/* What is handed over is a copy of the bytes, at another place. */
START_TEST(moves_elsewhere)
{
    uint32_t entries[300], count;
    char *memory = set_up(400), *copy = malloc(peers_size(400));
    ck_assert_ptr_nonnull(copy);
    for (uint32_t i = 0; i < COUNT(entries); i++)
        entries[i] = enter_number(i, &count);
    memcpy(copy, memory, peers_size(400));
    memset(memory, 0xA5, peers_size(400));
    free(memory);
    peers_attach(&peers, 400, copy);
    ck_assert_uint_eq(peers_count(&peers), COUNT(entries));
    for (uint32_t i = 0; i < COUNT(entries); i++) {
        ck_assert_uint_eq(enter_number(i, &count), entries[i]);
        ck_assert_uint_eq(count, 2);
        peer_leave(&peers, entries[i]);
        peer_leave(&peers, entries[i]);
    }
    ck_assert_uint_eq(peers_count(&peers), 0);
    free(copy);
}
END_TEST

/* ---- the model ------------------------------------------------------------------------------- */

#define ADDRESSES   600u
#define CONNECTIONS 2000u
#define ROOM        500u

static struct {
    uint32_t count[ADDRESSES], entry[ADDRESSES], addresses; /* by address */
    uint32_t of[CONNECTIONS];                               /* address and 1; 0: not connected */
} model;

/* Address i: a third of them IPv4, a third IPv4 in IPv6, the rest IPv6; `random` is in what doesn't
 * count. */
static socklen_t address(uint32_t i, uint64_t random, struct sockaddr_storage *a)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = (uint16_t)random};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = (uint16_t)random};
    uint32_t n = htonl(i);
    memset(a, 0, sizeof *a);
    if (i % 3 < 2 && random >> 63) {
        memcpy(&v4.sin_addr, &n, 4);
        memcpy(a, &v4, sizeof v4);
        return sizeof v4;
    }
    if (i % 3 < 2) {
        memset(v6.sin6_addr.s6_addr + 10, 0xff, 2);
        memcpy(v6.sin6_addr.s6_addr + 12, &n, 4);
    } else {
        memcpy(v6.sin6_addr.s6_addr + 4, &n, 4);
        memcpy(v6.sin6_addr.s6_addr + 8, &random, 8);
        v6.sin6_addr.s6_addr[0] = 0x20;
    }
    memcpy(a, &v6, sizeof v6);
    return sizeof v6;
}

static void model_enter(uint32_t conn, uint32_t i, uint64_t random, uint64_t begun)
{
    struct sockaddr_storage a;
    socklen_t len = address(i, random, &a);
    uint32_t count, entry = peer_enter(&peers, &a, len, &count);
    if (model.count[i] == 0 && model.addresses == ROOM) {
        ck_assert_msg(entry == 0 && count == 0, SEED_FMT, begun);
        return;
    }
    ck_assert_msg(entry > 0 && entry <= ROOM, SEED_FMT, begun);
    ck_assert_msg(model.count[i] == 0 || entry == model.entry[i], SEED_FMT, begun);
    ck_assert_msg(count == model.count[i] + 1, SEED_FMT, begun);
    model.addresses += model.count[i]++ == 0;
    model.entry[i] = entry;
    model.of[conn] = i + 1;
}

static void model_leave(uint32_t conn)
{
    uint32_t i = model.of[conn] - 1;
    peer_leave(&peers, model.entry[i]);
    model.of[conn] = 0;
    model.addresses -= --model.count[i] == 0;
}

/* No two addresses that are there have one entry. */
static void model_check(uint64_t begun)
{
    bool seen[ROOM + 1] = {false};
    ck_assert_msg(peers_count(&peers) == model.addresses, SEED_FMT, begun);
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        if (model.count[i] == 0)
            continue;
        ck_assert_msg(!seen[model.entry[i]], SEED_FMT, begun);
        seen[model.entry[i]] = true;
    }
}

START_TEST(is_as_the_model)
{
    uint64_t begun = seed(), state = begun;
    void *memory = set_up(ROOM);
    uint64_t keys[2] = {random_next(&state), random_next(&state)};
    memset(memory, 0, peers_size(ROOM));
    peers_init(&peers, ROOM, memory, keys);
    uint32_t spread = ADDRESSES, full = 50;
    for (uint32_t step = 0; step < 300000; step++) {
        uint64_t r = random_next(&state);
        if (step % 5000 == 0) { /* times of few and of many addresses, of coming and of going */
            spread = 1 + (uint32_t)(random_next(&state) % ADDRESSES);
            full = 10 + (uint32_t)(random_next(&state) % 81);
            model_check(begun);
        }
        uint32_t conn = (uint32_t)(r % CONNECTIONS);
        if (r >> 32 & 1 && model.of[conn] != 0)
            model_leave(conn);
        else if (model.of[conn] == 0 && (r >> 33) % 100 < full)
            model_enter(conn, (uint32_t)((r >> 40) % spread), random_next(&state), begun);
    }
    for (uint32_t conn = 0; conn < CONNECTIONS; conn++)
        if (model.of[conn] != 0)
            model_leave(conn);
    model_check(begun);
    ck_assert_uint_eq(peers_count(&peers), 0);
    free(memory);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("peer");
    TCase *tc = tcase_create("peer");
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, knows_one_address, 0, (int)COUNT(pairs));
    tcase_add_test(tc, knows_what_has_none);
    tcase_add_loop_test(tc, fills_up, 0, 7);
    tcase_add_test(tc, touches_little);
    tcase_add_test(tc, stays_fast);
    tcase_add_test(tc, moves_elsewhere);
    tcase_add_test(tc, is_as_the_model);
    suite_add_tcase(s, tc);
    return run(s);
}
