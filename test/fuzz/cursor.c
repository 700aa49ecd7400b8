/*
 * cursor.c - ids, tags and `since` values from anyone: what is read is written and read back
 * the same, an id is an id in every place it may stand in, and times don't lie ahead.
 */
#include <assert.h>

#include "lib/cursor.h"

#define NOW UINT64_C(1790000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(struct span s, struct cursor c)
{
    struct cursor tag, id;
    char buf[2 * CURSOR_MAX];
    struct text t = text_in(buf, sizeof(buf));
    text_str(&t, "W/\"");
    cursor_write(&t, c);
    assert(!t.full && t.n <= 3 + CURSOR_MAX);
    struct span written = span_from(text_span(&t), 3);
    assert(written.n <= s.n); /* at least without the leading zeros */
    assert(cursor_read(written, &id) && id.ms == c.ms && id.n == c.n);
    struct since since = since_read(written, NOW);
    assert(since.kind == SINCE_ID && since.id.ms == c.ms && since.id.n == c.n);
    text_str(&t, "-gzip\"");
    assert(cursor_read_tag(text_span(&t), &tag) && tag.ms == c.ms && tag.n == c.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span s = {(const char *)data, size};
    struct cursor id = {1, 2}, tag = {3, 4};
    bool is_id = cursor_read(s, &id), is_tag = cursor_read_tag(s, &tag);
    struct since since = since_read(s, NOW);
    if (is_id) {
        same(s, id);
        assert(is_tag && tag.ms == id.ms && tag.n == id.n);
    }
    if (is_tag)
        same(s, tag);
    assert(is_tag || (tag.ms == 3 && tag.n == 4));
    assert(is_id == (since.kind == SINCE_ID));
    if (since.kind == SINCE_TIME && s.p[s.n - 1] > '9')
        assert(since.value <= NOW);
    if (since.kind == SINCE_LAST)
        assert(s.p[0] == '-');
    return 0;
}
