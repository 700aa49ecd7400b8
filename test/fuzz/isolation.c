/*
 * isolation.c - tenants who get nothing of each other's (isolation.h), over a scripted kernel: the
 * first byte chooses limits, each of the others is one choice of theirs.
 */
#include "lib/serve/submit.h"
#include "test/kit/isolation_loop.h"

#define STEPS_MAX 150

static struct span script;

static unsigned iso_pick(unsigned bound)
{
    if (script.n == 0)
        return 0;
    unsigned byte = (unsigned char)script.p[0];
    script = span_from(script, 1);
    return byte % bound;
}

static void iso_leak(unsigned client, const char *why)
{
    fprintf(stderr, "client %u, tenant %u, asked for \"%s\": %s\n", client, iso[client].tenant,
            iso[client].what, why);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script = (struct span){(const char *)data, size};
    iso_start(iso_pick(16));
    for (unsigned i = 0; i < STEPS_MAX && script.n > 0; i++)
        iso_step();
    iso_end();
    return 0;
}
