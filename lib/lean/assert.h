/*
 * assert.h - assert() for a binary that is to be small: found before the C library's where
 * -Ilib/lean says so, as `make image` does.
 *
 * It is as much part of the program as that one. What fails is told by its place alone: the texts
 * of all the conditions, and printf(), which the C library would say them with, are a tenth of the
 * binary.
 */
#ifndef SSE_LIB_LEAN_ASSERT_H
#define SSE_LIB_LEAN_ASSERT_H

#define assert(right) ((right) ? (void)0 : assert_failed(__FILE__, __LINE__))

/* Says on stderr where an assertion has failed, and ends the process by abort(). */
_Noreturn void assert_failed(const char *file, unsigned line);

#endif
