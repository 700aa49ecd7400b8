/*
 * filter.c - builds a seccomp filter.
 */
#include "lib/host/filter.h"

#include "lib/hash.h"

/* The few instructions it takes: load a word, jump by it, end. */
#define LOAD     0x20u /* BPF_LD | BPF_W | BPF_ABS */
#define IF_EQUAL 0x15u /* BPF_JMP | BPF_JEQ | BPF_K */
#define IF_BITS  0x45u /* BPF_JMP | BPF_JSET | BPF_K */
#define END      0x06u /* BPF_RET | BPF_K */

_Static_assert(sizeof(struct filter_insn) == 8, "the kernel's");
_Static_assert(sizeof(struct filter_data) == 64, "the kernel's");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "an argument's low half comes first");

struct builder {
    struct filter_insn *out;
    uint32_t n, cap;
    uint32_t otherwise;
};

static void put(struct builder *b, uint32_t code, uint32_t k, uint32_t yes, uint32_t no)
{
    if (b->n < b->cap)
        b->out[b->n] = (struct filter_insn){(uint16_t)code, (uint8_t)yes, (uint8_t)no, k};
    b->n++;
}

static uint32_t arg_at(unsigned arg)
{
    return (uint32_t)(offsetof(struct filter_data, arg) + arg * sizeof(uint64_t));
}

/* Appends the rules of one call, rules[0..n). Returns false if an argument's number is wrong. */
static bool put_call(struct builder *b, const struct filter_rule *rules, size_t n)
{
    uint32_t from = b->n;
    put(b, IF_EQUAL, rules[0].call, 0, 0);
    for (size_t i = 0; i < n; i++) {
        const struct filter_rule *r = &rules[i];
        if (r->when == FILTER_ABSENT) {
            put(b, END, FILTER_ERRNO | FILTER_ENOSYS, 0, 0);
        } else if (r->when == FILTER_ALWAYS) {
            put(b, END, FILTER_ALLOW, 0, 0);
        } else {
            if (r->arg > 5)
                return false;
            put(b, LOAD, arg_at(r->arg), 0, 0);
            if (r->when == FILTER_IS)
                put(b, IF_EQUAL, r->value, 0, 1);
            else
                put(b, IF_BITS, r->value, 1, 0);
            put(b, END, FILTER_ALLOW, 0, 0);
        }
    }
    if (rules[n - 1].when == FILTER_IS || rules[n - 1].when == FILTER_LACKS)
        put(b, END, b->otherwise, 0, 0);
    uint32_t over = b->n - from - 1;
    if (over > UINT8_MAX)
        return false;
    if (from < b->cap)
        b->out[from].no = (uint8_t)over;
    return true;
}

uint32_t filter_build(struct filter_insn *out, uint32_t cap, uint32_t machine,
                      const struct filter_rule *rules, size_t n, uint32_t otherwise)
{
    struct builder b = {out, 0, cap, otherwise};
    put(&b, LOAD, offsetof(struct filter_data, machine), 0, 0);
    put(&b, IF_EQUAL, machine, 1, 0);
    put(&b, END, otherwise, 0, 0);
    put(&b, LOAD, offsetof(struct filter_data, call), 0, 0);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && rules[end].call == rules[i].call; end++) {
        }
        if (!put_call(&b, rules + i, end - i))
            return 0;
    }
    put(&b, END, otherwise, 0, 0);
    return b.n <= cap ? b.n : 0;
}

uint64_t filter_sum(const struct filter_insn *insns, uint32_t n)
{
    return hash_table(1, 1, (struct span){(const char *)insns, n * sizeof *insns}) | 1;
}
