/*
 * forward.c - Forwarded and X-Forwarded-For from anyone. The first byte says which, and whether the
 * proxy is on this host. A client can be made local only by a proxy that says so at the end, and
 * what a trusted proxy adds behind is what counts.
 */
#include "lib/forward.h"

#include "lib/addr.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nets proxies;

static struct forward walk(struct span value, bool forwarded, bool local)
{
    struct forward f;
    char *copy = malloc(value.n > 0 ? value.n : 1);
    assert(copy != NULL);
    if (value.n > 0)
        memcpy(copy, value.p, value.n);
    forward_begin(&f, local);
    forward_walk(&f, (struct span){copy, value.n}, forwarded, &proxies);
    free(copy);
    return f;
}

static void same(const struct forward *a, const struct forward *b)
{
    assert(a->says == b->says && a->done == b->done && a->local == b->local && a->from == b->from);
}

/* With what a proxy adds behind it, which is `from`. */
static void behind(struct span value, const char *added, bool forwarded, uint64_t from)
{
    size_t n = strlen(added);
    char *all = malloc(value.n + n);
    assert(all != NULL);
    if (value.n > 0)
        memcpy(all, value.p, value.n);
    memcpy(all + value.n, added, n);
    struct forward f = walk((struct span){all, value.n + n}, forwarded, true);
    assert(f.says == FORWARD_CLIENT && f.done && !f.local && f.from == from);
    free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (proxies.n == 0) {
        static const char *const trusted[] = {"127.0.0.1", "10.0.0.0/8", "fd00::/8"};
        for (; proxies.n < 3; proxies.n++) {
            const char *wrong = net_read(span_of(trusted[proxies.n]), &proxies.net[proxies.n]);
            assert(wrong == NULL);
        }
    }
    if (size == 0)
        return 0;
    bool forwarded = (data[0] & 1) != 0, local = (data[0] & 2) != 0;
    struct span value = {(const char *)data + 1, size - 1};
    struct forward f = walk(value, forwarded, local), elsewhere = walk(value, forwarded, false);
    assert((f.says == FORWARD_CLIENT) == (f.from != 0));
    assert(f.says != FORWARD_UNKNOWN || (f.done && !f.local));
    assert(f.says == FORWARD_CLIENT || f.says == FORWARD_UNKNOWN || !f.done);
    assert(!elsewhere.local);
    elsewhere.local = f.local;
    same(&f, &elsewhere);
    /* in two lines, cut at any comma that is none of a quoted string's, it is the same */
    for (size_t i = 0; i < value.n && !forwarded; i++)
        if (value.p[i] == ',') {
            struct forward two = walk(span_from(value, i + 1), forwarded, local);
            if (!two.done)
                forward_walk(&two, (struct span){value.p, i}, forwarded, &proxies);
            same(&f, &two);
        }
    struct sockaddr_storage a;
    socklen_t len;
    bool read = addr_read(SPAN("203.0.113.7"), 0, &a, &len);
    assert(read);
    behind(value, forwarded ? ", for=203.0.113.7" : ", 203.0.113.7", forwarded, addr_key(&a, len));
    behind(value, forwarded ? ",for=\"203.0.113.7:80\";x=\"\\\"\"" : ",203.0.113.7:80, 10.0.0.9",
           forwarded, addr_key(&a, len));
    return 0;
}
