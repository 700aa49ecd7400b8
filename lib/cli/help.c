/*
 * help.c - the texts of --help.
 */
#include "lib/cli/help.h"

#include "lib/inflate.h"

#include <sysexits.h>
#include <unistd.h>

FILE_IN("help_file", "build/page/help.gz");

extern const char help_file[];
extern const uint64_t help_file_size;

struct span help_text(char room[HELP_MAX], const char *command)
{
    char head_bytes[32];
    struct text head = text_in(head_bytes, sizeof(head_bytes)), t = text_in(room, HELP_MAX);
    bool whole = inflate((struct span){help_file, help_file_size}, &t);
    text_str(&head, "Usage: sse ");
    text_str(&head, command);
    const char *from = span_find(text_span(&t), text_span(&head));
    assert(whole && from != NULL);
    struct span text = span_from(text_span(&t), (size_t)(from - room));
    const char *next = span_find(span_from(text, 1), SPAN("\nUsage: "));
    if (next != NULL)
        text.n = (size_t)(next + 1 - from);
    return text;
}

int help_print(const char *command)
{
    char room[HELP_MAX];
    struct span text = help_text(room, command);
    return write(STDOUT_FILENO, text.p, text.n) == -1 ? EX_IOERR : EX_OK;
}
