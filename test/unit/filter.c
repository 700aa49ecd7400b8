/*
 * filter.c - tests of lib/filter, with a machine for its programs, against what the rules say;
 * and of the table of calls that the server makes, as it is without sanitizers.
 */
#define CALLS_SANITIZED 0
#include "lib/host/calls.c"
#include "test/kit/kit.h"

#define MACHINE   FILTER_X86_64
#define OTHERWISE FILTER_TRAP

/* ---- the machine ----------------------------------------------------------------------------- */

/* Runs it as the kernel does. Returns what it ends with, and to *steps how many instructions that
 * took. */
static uint32_t machine(const struct filter_insn *insns, uint32_t n, const struct filter_data *d,
                        unsigned *steps)
{
    uint32_t a = 0;
    *steps = 0;
    for (uint32_t at = 0;; ++*steps) {
        if (at >= n)
            ck_abort_msg("it runs past its end");
        const struct filter_insn *i = &insns[at];
        switch (i->code) {
        case 0x20:
            if (i->k > sizeof *d - 4 || i->k % 4 != 0)
                ck_abort_msg("it reads at %u", i->k);
            memcpy(&a, (const char *)d + i->k, 4);
            at++;
            break;
        case 0x15:
            at += 1u + (a == i->k ? i->yes : i->no);
            break;
        case 0x45:
            at += 1u + ((a & i->k) != 0 ? i->yes : i->no);
            break;
        case 0x06:
            return i->k;
        default:
            ck_abort_msg("no instruction: %#x", i->code);
        }
    }
}

/* What the rules say. */
static uint32_t model(const struct filter_rule *rules, size_t n, const struct filter_data *d)
{
    bool known = false;
    if (d->machine != MACHINE)
        return OTHERWISE;
    for (size_t i = 0; i < n; i++) {
        uint32_t arg = (uint32_t)d->arg[rules[i].arg];
        if (rules[i].call != d->call) {
            if (known)
                return OTHERWISE;
            continue;
        }
        known = true;
        if (rules[i].when == FILTER_ALWAYS ||
            (rules[i].when == FILTER_IS && arg == rules[i].value) ||
            (rules[i].when == FILTER_LACKS && (arg & rules[i].value) == 0))
            return FILTER_ALLOW;
        if (rules[i].when == FILTER_ABSENT)
            return FILTER_ERRNO | FILTER_ENOSYS;
    }
    return OTHERWISE;
}

/* ---- filters --------------------------------------------------------------------------------- */

START_TEST(follows_the_rules)
{
    uint64_t state = seed();
    for (int times = 0; times < 2000; times++) {
        struct filter_rule rules[40];
        struct filter_insn insns[400];
        size_t n = random_next(&state) % COUNT(rules);
        uint32_t call = 0;
        for (size_t i = 0; i < n; i++) {
            call += random_next(&state) % 2 != 0;
            rules[i] = (struct filter_rule){call, (uint8_t)(random_next(&state) % 4),
                                            (uint8_t)(random_next(&state) % 6),
                                            (uint32_t)(random_next(&state) % 4)};
        }
        uint32_t size = filter_build(insns, COUNT(insns), MACHINE, rules, n, OTHERWISE);
        ck_assert_uint_gt(size, 0);
        for (int k = 0; k < 60; k++) {
            struct filter_data d = {.call = (uint32_t)(random_next(&state) % (call + 3)),
                                    .machine = k == 0 ? FILTER_AARCH64 : MACHINE,
                                    .at = random_next(&state)};
            unsigned steps;
            for (int i = 0; i < 6;
                 i++) /* the upper half is none of the int that the kernel takes */
                d.arg[i] = random_next(&state) << 32 | random_next(&state) % 4;
            if (k % 10 == 9)
                d.call |= 0x40000000; /* of x32 */
            uint32_t got = machine(insns, size, &d, &steps), want = model(rules, n, &d);
            if (got != want)
                ck_abort_msg("%#x, not %#x, for call %u", got, want, d.call);
        }
    }
}
END_TEST

/* What can't be built is not built in part. */
START_TEST(has_bounds)
{
    static struct filter_rule rules[200];
    struct filter_insn insns[1000], before = {1, 2, 3, 4};
    for (unsigned i = 0; i < COUNT(rules); i++)
        rules[i] = (struct filter_rule){i, FILTER_ALWAYS, 0, 0};
    uint32_t n = filter_build(insns, COUNT(insns), MACHINE, rules, COUNT(rules), OTHERWISE);
    ck_assert_uint_eq(n, 2 * COUNT(rules) + 5);
    for (uint32_t cap = 0; cap < n; cap++) {
        insns[cap] = before;
        ck_assert_uint_eq(filter_build(insns, cap, MACHINE, rules, COUNT(rules), OTHERWISE), 0);
        ck_assert_mem_eq(&insns[cap], &before, sizeof before);
    }
    rules[3] = (struct filter_rule){3, FILTER_IS, 6, 0};
    ck_assert_uint_eq(filter_build(insns, COUNT(insns), MACHINE, rules, 10, OTHERWISE), 0);
    for (unsigned i = 0; i < 100; i++) /* one call with more than can be jumped over */
        rules[i] = (struct filter_rule){3, FILTER_IS, 0, i};
    ck_assert_uint_eq(filter_build(insns, COUNT(insns), MACHINE, rules, 100, OTHERWISE), 0);
    ck_assert_uint_gt(filter_build(insns, COUNT(insns), MACHINE, rules, 80, OTHERWISE), 0);
}
END_TEST

START_TEST(sums_differ)
{
    struct filter_insn insns[3] = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}};
    uint64_t all = filter_sum(insns, 3), two = filter_sum(insns, 2);
    ck_assert(all != two && all != 0 && two != 0 && filter_sum(insns, 0) != 0);
    ck_assert_uint_eq(filter_sum(insns, 3), all);
    insns[2].k++;
    ck_assert_uint_ne(filter_sum(insns, 3), all);
    ck_assert_uint_eq(filter_sum(insns, 2), two);
}
END_TEST

/* ---- the table of calls ---------------------------------------------------------------------- */

static struct filter_insn server[CALLS_FILTER];
static uint32_t server_size;

static uint32_t asked(long call, unsigned arg, uint64_t value, unsigned *steps)
{
#ifdef __x86_64__
    struct filter_data d = {.call = (uint32_t)call, .machine = FILTER_X86_64};
#else
    struct filter_data d = {.call = (uint32_t)call, .machine = FILTER_AARCH64};
#endif
    d.arg[arg] = value;
    return machine(server, server_size, &d, steps);
}

static void load_program(void)
{
    server_size = calls_filter(server);
    ck_assert_uint_gt(server_size, 50);
}

/* What an intruder would like is not there, nor anything that makes files, sockets or code. */
START_TEST(refuses)
{
    static const struct {
        const char *name;
        long call;
        unsigned arg;
        uint64_t value;
    } rows[] = {
        {"connect", SYS_connect, 0, 0},
        {"bind", SYS_bind, 0, 0},
        {"listen", SYS_listen, 0, 0},
        {"socket", SYS_socket, 0, AF_INET},
        {"socket", SYS_socket, 0, AF_NETLINK},
        {"socket", SYS_socket, 0, AF_PACKET},
        {"setuid", SYS_setuid, 0, 0},
        {"setresuid", SYS_setresuid, 0, 0},
        {"capset", SYS_capset, 0, 0},
        {"mount", SYS_mount, 0, 0},
        {"chroot", SYS_chroot, 0, 0},
        {"unshare", SYS_unshare, 0, 0},
        {"setns", SYS_setns, 0, 0},
        {"bpf", SYS_bpf, 0, 0},
        {"perf_event_open", SYS_perf_event_open, 0, 0},
        {"init_module", SYS_init_module, 0, 0},
        {"process_vm_writev", SYS_process_vm_writev, 0, 0},
        {"io_uring_setup", SYS_io_uring_setup, 0, 0},
        {"renameat2", SYS_renameat2, 0, 0},
        {"fchmodat", SYS_fchmodat, 0, 0},
        {"execveat", SYS_execveat, 0, 0},
        {"userfaultfd", SYS_userfaultfd, 0, 0},
        {"keyctl", SYS_keyctl, 0, 0},
        {"setrlimit", SYS_setrlimit, 0, 0},
        {"none", 100000, 0, 0},
        {"mmap", SYS_mmap, 2, PROT_READ | PROT_EXEC},
        {"mprotect", SYS_mprotect, 2, PROT_EXEC},
        {"clone", SYS_clone, 0, SIGCHLD},
        {"clone", SYS_clone, 0, 0x10000000 | SIGCHLD}, /* CLONE_NEWUSER */
        {"kill", SYS_kill, 1, SIGTERM},
        {"prctl", SYS_prctl, 0, PR_SET_DUMPABLE},
        {"prlimit64", SYS_prlimit64, 0, 1},
        {"rt_sigprocmask", SYS_rt_sigprocmask, 0, SIG_BLOCK}, /* sandbox.c does it instead */
        {"ptrace", SYS_ptrace, 0, 0},
        {"ioctl", SYS_ioctl, 0, 0},
        {"openat", SYS_openat, 2, 0100}, /* O_CREAT */
    };
    unsigned steps;
    load_program();
    for (size_t i = 0; i < COUNT(rows); i++)
        ck_assert_msg(asked(rows[i].call, rows[i].arg, rows[i].value, &steps) == FILTER_TRAP,
                      "%s %u %#llx is allowed", rows[i].name, rows[i].arg,
                      (unsigned long long)rows[i].value);
    static const long absent[] = {SYS_clone3, SYS_mremap, SYS_sched_getaffinity};
    for (size_t i = 0; i < COUNT(absent); i++)
        ck_assert_uint_eq(asked(absent[i], 0, 0, &steps), FILTER_ERRNO | FILTER_ENOSYS);
}
END_TEST

/* What the loop calls is decided within a few steps, where the kernel has no shorter way. */
START_TEST(hot_first)
{
    static const long hot[] = {SYS_epoll_pwait, SYS_read, SYS_writev, SYS_accept4, SYS_close};
    unsigned steps;
    load_program();
    for (size_t i = 0; i < COUNT(hot); i++) {
        ck_assert_uint_eq(asked(hot[i], 0, 0, &steps), FILTER_ALLOW);
        ck_assert_uint_le(steps, 12);
    }
}
END_TEST

/* Each call of the table is allowed in some way, and no other is. */
START_TEST(tells_its_calls)
{
    struct calls all = calls_all(), less = all;
    unsigned steps, n = 0;
    load_program();
    for (unsigned call = 0; call < CALLS_WORDS * 64; call++) {
        bool has = (all.bits[call / 64] >> call % 64 & 1) != 0;
        n += has;
        if (!has)
            ck_assert_uint_ne(asked((long)call, 0, 0, &steps), FILTER_ALLOW);
    }
    ck_assert_uint_gt(n, 50);
    ck_assert_int_eq(calls_missing(&all), -1);
    less.bits[SYS_writev / 64] &= ~((uint64_t)1 << SYS_writev % 64);
    ck_assert_int_eq(calls_missing(&less), SYS_writev);
    less.bits[SYS_read / 64] &= ~((uint64_t)1 << SYS_read % 64);
    ck_assert_int_eq(calls_missing(&less), SYS_read < SYS_writev ? SYS_read : SYS_writev);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filter");
    TCase *tc = tcase_create("filter");
    tcase_add_test(tc, follows_the_rules);
    tcase_add_test(tc, has_bounds);
    tcase_add_test(tc, sums_differ);
    suite_add_tcase(suite, tc);
    tc = tcase_create("calls");
    tcase_add_test(tc, refuses);
    tcase_add_test(tc, hot_first);
    tcase_add_test(tc, tells_its_calls);
    suite_add_tcase(suite, tc);
    return run(suite);
}
