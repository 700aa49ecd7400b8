/*
 * faults.h - what a server that faults.c is linked into shares with the test that makes its system
 * calls fail: a file, mapped by both, which the variable FAULTS names.
 *
 * A SITE is the place a call is made from: its return address, less where the program was loaded,
 * so that it is the same in each run and in the listing of `objdump -d`.
 */
#ifndef SSE_TEST_KIT_FAULTS_H
#define SSE_TEST_KIT_FAULTS_H

#include <stdatomic.h>
#include <stdint.h>

#define FAULTS_ENV   "FAULTS"
#define FAULTS_SITES 1024u

/* Instead of an errno: the call does less than was asked, as read() and write() may. */
#define FAULTS_SHORT (-1)

/* Which process it is. Calls are counted for each, as nobody knows which of two comes first. */
enum faults_life {
    FAULTS_FIRST, /* that which was started */
    FAULTS_TRIAL, /* the child that is asked whether it could take over */
    FAULTS_TAKEN, /* what the first has become */
    FAULTS_CHILD, /* made by fork(), from whichever: the keeper of the key file */
    FAULTS_LIVES,
};

struct faults {
    atomic_ullong calls; /* of all kinds, in all processes */
    struct faults_armed {
        uint32_t life;
        int error;     /* 0: none is armed */
        uint64_t site; /* 0: wherever `call` is made from, and each time */
        uint32_t nth;  /* which call fails, from 1 */
        char call[40];
        atomic_uint fired;
    } armed[3]; /* what is tested, what it happens under, what fails each time */
    struct faults_site {
        _Atomic uint64_t site; /* 0: this entry and those behind it are free */
        atomic_uint count[FAULTS_LIVES];
    } site[FAULTS_SITES]; /* in the order of their first calls */
};

#endif
