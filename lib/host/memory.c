/*
 * memory.c - maps the memory of the tables.
 */
#include "lib/host/memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int piece_make(uint64_t size)
{
    int fd = memfd_create("sse", MFD_CLOEXEC);
    if (fd != -1 && ftruncate(fd, (off_t)size) == -1) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

void *memory_map(struct memory *m, uint64_t size)
{
    assert(m->n < MEMORY_PIECES);
    struct memory_piece *piece = &m->piece[m->n];
    if (m->given > 0) {
        if (m->n >= m->given || piece->size != size) {
            errno = EINVAL;
            return NULL;
        }
    } else {
        *piece = (struct memory_piece){piece_make(size), size};
        if (piece->fd == -1)
            return NULL;
    }
    m->n++; /* closed with the others, even if mapping fails */
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, piece->fd, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, size, MADV_NOHUGEPAGE);
    return p;
}

void *memory_scratch(uint64_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, size, MADV_NOHUGEPAGE);
    return p;
}

void memory_give_back(void *p, size_t n)
{
    madvise(p, n, MADV_REMOVE);
}

void memory_drop(void *p, size_t n)
{
    if (madvise(p, n, MADV_DONTNEED) == -1)
        memset(p, 0, n);
}

void memory_close(struct memory *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        close(m->piece[i].fd);
    m->n = m->given = 0;
}
