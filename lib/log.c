/*
 * log.c - log lines in logfmt.
 */
#include "lib/log.h"

#include "lib/clean.h"

#define VALUE_MAX 1000u

static void value(struct text *t, const char *s)
{
    char safe[2 * VALUE_MAX + 2];
    size_t n = 0;
    bool quoted = s[0] == '\0' || s[strcspn(s, " =\"\\")] != '\0';
    if (quoted)
        safe[n++] = '"';
    for (size_t i = 0; i < VALUE_MAX && s[i] != '\0'; i++) {
        if (s[i] == '"' || s[i] == '\\')
            safe[n++] = '\\';
        safe[n++] = clean_ascii(s[i]);
    }
    if (quoted)
        safe[n++] = '"';
    text_add(t, (struct span){safe, n});
}

/* Returns the priority of a level: LOG_ERR, LOG_WARNING, LOG_INFO or LOG_DEBUG of syslog(3). */
static const char *priority(const char *level)
{
    switch (level[0]) {
    case 'e':
        return "<3>";
    case 'w':
        return "<4>";
    case 'd':
        return "<7>";
    default:
        return "<6>";
    }
}

void log_write(struct text *t, uint64_t wall_ms, const char *level, const char *msg, va_list ap)
{
    if (t->n == t->cap) {
        t->full = true;
        return;
    }
    t->cap--; /* for the end of the line */
    if (wall_ms == 0) {
        text_str(t, priority(level));
    } else {
        text_str(t, "time=");
        text_rfc3339(t, wall_ms);
        text_str(t, " ");
    }
    text_str(t, "level=");
    text_str(t, level);
    text_str(t, " msg=");
    value(t, msg);
    for (const char *key; (key = va_arg(ap, const char *)) != NULL;) {
        text_str(t, " ");
        text_str(t, key);
        text_str(t, "=");
        value(t, va_arg(ap, const char *));
    }
    t->cap++;
    text_str(t, "\n");
}
