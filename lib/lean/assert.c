/*
 * assert.c - what becomes of an assertion that has failed.
 */
#include "lib/lean/assert.h"

#include "lib/text.h"

#include <stdlib.h>
#include <unistd.h>

void assert_failed(const char *file, unsigned line)
{
    char bytes[128];
    struct text t = text_in(bytes, sizeof(bytes));
    text_str(&t, "Assertion failed: ");
    text_str(&t, file);
    text_str(&t, ":");
    text_u64(&t, line);
    text_str(&t, "\n");
    (void)!write(STDERR_FILENO, t.p, t.n);
    abort();
}
