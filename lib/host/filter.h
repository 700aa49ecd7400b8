/*
 * filter.h - builds a seccomp filter, a BPF program that decides which system calls a process may
 * make.
 *
 *   the machine's? --no--> otherwise        (that of another, with other numbers, is refused)
 *        |
 *   call == 1st rule's? --yes--> ALWAYS                         --> allowed
 *        | no                    IS, LACKS: by an argument      --> allowed, or the next rule;
 *   call == 2nd rule's? ...                                         after the last: otherwise
 *        | no                    ABSENT                         --> errno ENOSYS
 *     otherwise
 *
 * Rules of one call stand together, and one that matches is enough. Frequent calls come first. An
 * x32 call matches no rule, as its number has a bit of its own.
 *
 * LIMITS: arguments are compared as 32 bits, as the kernel takes an int; little-endian.
 */
#ifndef SSE_LIB_HOST_FILTER_H
#define SSE_LIB_HOST_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As the kernel has it: struct sock_filter, struct seccomp_data. */
struct filter_insn {
    uint16_t code;
    uint8_t yes, no; /* instructions to skip */
    uint32_t k;
};

struct filter_data {
    uint32_t call, machine;
    uint64_t at; /* the instruction that made the call */
    uint64_t arg[6];
};

enum filter_when {
    FILTER_ALWAYS = 0,
    FILTER_IS = 1,     /* the argument is this value */
    FILTER_LACKS = 2,  /* the argument has none of these bits */
    FILTER_ABSENT = 3, /* never: it fails with ENOSYS */
};

struct filter_rule {
    uint32_t call;
    uint8_t when; /* enum filter_when */
    uint8_t arg;  /* its number, 0 to 5 */
    uint32_t value;
};

/* The kernel's actions (SECCOMP_RET_*). */
#define FILTER_ALLOW  0x7fff0000u
#define FILTER_ERRNO  0x00050000u /* with the errno in it */
#define FILTER_TRAP   0x00030000u /* a SIGSYS that can be caught */
#define FILTER_ENOSYS 38u

/* The machines (AUDIT_ARCH_*). */
#define FILTER_X86_64  0xc000003eu
#define FILTER_AARCH64 0xc00000b7u

/* Builds the filter in out[0..cap). Returns how many instructions it has; 0 if it does not fit, or
 * an argument's number is wrong. */
uint32_t filter_build(struct filter_insn *out, uint32_t cap, uint32_t machine,
                      const struct filter_rule *rules, size_t n, uint32_t otherwise);

/* Returns a checksum of the filter, never 0. */
uint64_t filter_sum(const struct filter_insn *insns, uint32_t n);

#endif
