/*
 * proxy.c - PROXY headers from anyone: what comes of one does not depend on how its bytes were cut,
 * nor on the bytes after it, and an address is one of those that can be.
 */
#include "lib/proxy.h"

#include "lib/addr.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the first n bytes, in memory of just that size. */
static int read_front(const uint8_t *data, size_t n, struct proxy *p)
{
    char *copy = malloc(n > 0 ? n : 1);
    assert(copy != NULL);
    if (n > 0)
        memcpy(copy, data, n);
    memset(p, 0xA5, sizeof *p);
    int got = proxy_read(copy, n, p);
    free(copy);
    return got;
}

static void same(const struct proxy *a, const struct proxy *b)
{
    assert(a->says == b->says && a->len == b->len);
    assert(memcmp(&a->from, &b->from, sizeof a->from) == 0);
}

static void sound(const struct proxy *p)
{
    if (p->says != PROXY_CLIENT) {
        assert(p->len == 0);
        return;
    }
    assert(p->from.ss_family == AF_INET    ? p->len == sizeof(struct sockaddr_in)
           : p->from.ss_family == AF_INET6 ? p->len == sizeof(struct sockaddr_in6)
                                           : p->len == sizeof p->from.ss_family);
    assert((addr_key(&p->from, p->len) == 0) == (p->from.ss_family == AF_UNIX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy whole, part;
    int n = read_front(data, size, &whole);
    size_t step = size / 200 + 1;
    bool over = false;
    assert(n >= -1 && n <= (int)size);
    if (n > 0) {
        sound(&whole);
        assert(n <= (data[0] == 'P' ? (int)PROXY_LINE_MAX : (int)PROXY_MAX));
        assert(read_front(data, (size_t)n, &part) == n);
        same(&whole, &part);
        assert(read_front(data, (size_t)n - 1, &part) == 0);
    }
    for (size_t len = 0; len < size; len += step) {
        int got = read_front(data, len, &part);
        over = over || got != 0;
        assert(got == (over ? n : 0));
        if (got > 0)
            same(&whole, &part);
    }
    return 0;
}
