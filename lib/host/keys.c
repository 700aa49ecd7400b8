/*
 * keys.c - reads the key file.
 */
#include "lib/host/keys.h"
#include "lib/serve/quote.h"

#include "lib/hash.h"
#include "lib/host/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* Checks the type, size and mode of the file. Returns 0, or an exit code with *why. */
static int kind_wrong(int fd, struct text *why)
{
    struct stat st;
    if (fstat(fd, &st) == -1) {
        text_str(why, strerror(errno));
        return EX_IOERR;
    }
    if (!S_ISREG(st.st_mode)) {
        text_str(why, "it is no regular file");
        return EX_NOINPUT;
    }
    if ((st.st_mode & 007) != 0) {
        text_str(why, "others may use it, its mode being ");
        for (unsigned shift = 12; shift > 0; shift -= 3)
            text_u64(why, st.st_mode >> (shift - 3) & 7);
        text_str(why, ": it holds secrets, so take that away (chmod o=)");
        return EX_CONFIG;
    }
    return 0;
}

/* Reads the whole file into buf[0..cap). Returns its size, or -1. */
static ssize_t read_all(int fd, char *buf, size_t cap)
{
    size_t n = 0;
    while (n < cap) {
        ssize_t got = read(fd, buf + n, cap - n);
        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static int read_keys(int fd, struct auth_keys *k, struct text *why)
{
    char buf[AUTH_FILE_MAX + 1];
    ssize_t n = read_all(fd, buf, sizeof(buf));
    int code = 0;
    if (n == -1) {
        text_str(why, strerror(errno));
        code = EX_IOERR;
    } else if ((size_t)n == sizeof(buf)) {
        text_str(why, "it is larger than 64 KiB");
        code = EX_CONFIG;
    } else if (!auth_keys_read(k, (struct span){buf, (size_t)n}, why)) {
        code = EX_CONFIG;
    }
    hash_wipe(buf, sizeof(buf));
    return code;
}

/* Opens the file, non-blocking, as it may be a pipe without a writer. Returns its descriptor, or -1
 * with errno set. */
static int keys_open(const char *path, int keeper)
{
    return keeper != KEEPER_NONE ? keeper_ask(keeper)
                                 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static int keys_read_by(const char *path, int keeper, struct auth_keys *k, struct text *why)
{
    const struct text before = *why;
    auth_keys_wipe(k);
    text_str(why, "the key file ");
    text_str(why, path);
    text_str(why, ": ");
    int fd = keys_open(path, keeper);
    if (fd == -1) {
        int err = errno;
        text_str(why, keeper != KEEPER_NONE && err == EPIPE ? "the process that opens it is gone"
                                                            : strerror(err));
        return err == EACCES || err == EPERM ? EX_NOPERM : EX_NOINPUT;
    }
    int code = kind_wrong(fd, why);
    if (code == 0)
        code = read_keys(fd, k, why);
    close(fd);
    if (code == 0)
        *why = before;
    return code;
}

int keys_read(const char *path, struct auth_keys *k, struct text *why)
{
    return keys_read_by(path, KEEPER_NONE, k, why);
}

int keys_load(struct server *s, int keeper, struct text *why)
{
    struct auth_keys next;
    if (s->config.opt.key_file == NULL)
        return 0;
    int code = keys_read_by(s->config.opt.key_file, keeper, &next, why);
    if (code == 0) {
        auth_keys_wipe(&s->config.keys);
        s->config.keys = next;
        s->stat.key_loads++;
    }
    auth_keys_wipe(&next);
    return code;
}

void keys_reload(struct server *s, int keeper)
{
    char bytes[512];
    struct text why = text_for_string(bytes, sizeof bytes);
    if (s->config.opt.key_file == NULL)
        return;
    if (keys_load(s, keeper, &why) == 0) {
        s->log.say(OPT_LOG_INFO, "keys read", "keys", QUOTE_NUM(s->config.keys.n), NULL);
        return;
    }
    s->stat.key_errors++;
    s->log.say(OPT_LOG_ERROR, "keys not read, those there are stay", "reason", text_string(&why),
               NULL);
}
