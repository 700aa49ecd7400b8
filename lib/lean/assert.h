/*
 * assert.h - assert() for a small binary: -Ilib/lean, which `make image` sets, finds it before the
 * C library's.
 *
 * Assertions stay in force. A failed one reports only its file and line: the texts of all
 * conditions, and the printf() with which the C library would report them, are a tenth of the
 * binary.
 */
#ifndef SSE_LIB_LEAN_ASSERT_H
#define SSE_LIB_LEAN_ASSERT_H

#define assert(right) ((right) ? (void)0 : assert_failed(__FILE__, __LINE__))

/* Reports on stderr where an assertion failed, and ends the process by abort(). */
_Noreturn void assert_failed(const char *file, unsigned line);

#endif
