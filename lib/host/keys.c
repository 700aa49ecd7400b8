/*
 * keys.c - reads the key files, once and again.
 */
#include "lib/host/keys.h"
#include "lib/serve/quote.h"

#include "lib/hash.h"
#include "lib/host/guard.h"
#include "lib/host/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static struct keys_seen seen_of(const struct stat *st)
{
    return (struct keys_seen){st->st_ino, (uint64_t)st->st_size,
                              (uint64_t)st->st_mtim.tv_sec * 1000000000 +
                                  (uint64_t)st->st_mtim.tv_nsec};
}

static int mode_wrong(mode_t mode, const char *what, struct text *why)
{
    text_str(why, "mode ");
    for (unsigned shift = 12; shift > 0; shift -= 3)
        text_u64(why, mode >> (shift - 3) & 7);
    text_str(why, what);
    return EX_CONFIG;
}

/* Returns an exit code if the file is of a wrong kind; *open_to_all is its mode if others may use
 * it, which is fine for public keys alone. */
static int kind_wrong(int fd, mode_t *open_to_all, struct keys_seen *seen, struct text *why)
{
    struct stat st;
    if (fstat(fd, &st) == -1) {
        text_str(why, strerror(errno));
        return EX_IOERR;
    }
    *seen = seen_of(&st);
    if (!S_ISREG(st.st_mode)) {
        text_str(why, "it is no regular file");
        return EX_NOINPUT;
    }
    if ((st.st_mode & 002) != 0)
        return mode_wrong(st.st_mode, " lets others write it; run chmod o-w", why);
    *open_to_all = (st.st_mode & 007) != 0 ? st.st_mode : 0;
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

static int read_keys(int fd, mode_t open_to_all, struct auth_keys *k, struct text *why)
{
    char buf[AUTH_FILE_MAX + 1];
    ssize_t n = read_all(fd, buf, sizeof(buf));
    unsigned before = k->n;
    int code = 0;
    if (n == -1) {
        text_str(why, strerror(errno));
        code = EX_IOERR;
    } else if ((size_t)n == sizeof(buf)) {
        text_str(why, "it is larger than 64 KiB");
        code = EX_CONFIG;
    } else if (!auth_keys_add(k, (struct span){buf, (size_t)n}, why)) {
        code = EX_CONFIG;
    } else if (open_to_all != 0 && auth_keys_secret(k, before)) {
        auth_keys_wipe(k);
        code = mode_wrong(open_to_all,
                          " lets others read it, and it holds a secret; run chmod o=", why);
    }
    hash_wipe(buf, sizeof(buf));
    return code;
}

/* Opens file i. Without waiting: it may be a pipe that nobody writes to. */
static int keys_open(const struct opt_list *files, uint32_t i, int keeper)
{
    char path[OPT_PATH_MAX];
    return keeper != KEEPER_NONE
               ? keeper_ask(keeper, i)
               : open(opt_path(files, i, path), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Adds the keys of file i. */
static int add_file(const struct opt_list *files, uint32_t i, int keeper, struct auth_keys *k,
                    struct keys_seen *seen, struct text *why)
{
    const struct text before = *why;
    text_str(why, "the key file ");
    text_add(why, files->item[i]);
    text_str(why, ": ");
    int fd = keys_open(files, i, keeper);
    if (fd == -1) {
        int err = errno;
        text_str(why, keeper != KEEPER_NONE && err == EPIPE ? "the process that opens it is gone"
                                                            : strerror(err));
        return err == EACCES || err == EPERM ? EX_NOPERM : EX_NOINPUT;
    }
    mode_t open_to_all = 0;
    int code = kind_wrong(fd, &open_to_all, seen, why);
    if (code == 0)
        code = read_keys(fd, open_to_all, k, why);
    close(fd);
    if (code == 0)
        *why = before;
    return code;
}

int keys_read(const struct opt_list *files, int keeper, const struct user *user,
              struct auth_keys *k, struct keys_seen seen[OPT_LIST_MAX], struct text *why)
{
    int code = 0;
    auth_keys_wipe(k);
    for (uint32_t i = 0; i < files->n && code == 0; i++) {
        char path[OPT_PATH_MAX];
        struct guard g;
        if (user != NULL && !guard_take(&g, user, opt_path(files, i, path), why))
            return EX_OSERR;
        code = add_file(files, i, keeper, k, &seen[i], why);
        if (user != NULL)
            guard_end(&g);
    }
    if (code != 0)
        auth_keys_wipe(k);
    return code;
}

int keys_private(const char *path, struct auth_key *key, struct text *why)
{
    char buf[4096];
    struct keys_seen seen;
    mode_t open_to_all = 0;
    const char *wrong = NULL;
    ssize_t n = 0;
    text_str(why, "the private key ");
    text_str(why, path);
    text_str(why, ": ");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1) {
        text_str(why, strerror(errno));
        return EX_NOINPUT;
    }
    int code = kind_wrong(fd, &open_to_all, &seen, why);
    if (code == 0 && open_to_all != 0)
        code = mode_wrong(open_to_all, " lets others read it; run chmod o=", why);
    if (code == 0 && (n = read_all(fd, buf, sizeof buf)) == -1)
        wrong = strerror(errno);
    else if (code == 0)
        wrong = auth_private_read(key, (struct span){buf, (size_t)n});
    close(fd);
    hash_wipe(buf, sizeof buf);
    if (wrong == NULL)
        return code;
    text_str(why, wrong);
    return EX_CONFIG;
}

int keys_load(struct server *s, int keeper, const struct user *user, struct text *why)
{
    struct auth_keys next;
    if (s->config.opt.key_files.n == 0)
        return 0;
    int code = keys_read(&s->config.opt.key_files, keeper, user, &next, s->keys_seen, why);
    if (code == 0) {
        auth_keys_wipe(&s->config.keys);
        s->config.keys = next;
        remember_clear(&s->remember);
        s->stat.key_loads++;
    }
    auth_keys_wipe(&next);
    return code;
}

void keys_skipped(struct server *s)
{
    if (s->config.keys.skipped > 0)
        s->log.say(OPT_LOG_WARN, "keys of the set skipped", "keys",
                   QUOTE_NUM(s->config.keys.skipped), "reason", s->config.keys.skip, NULL);
}

void keys_reload(struct server *s, int keeper)
{
    char bytes[512];
    struct text why = text_for_string(bytes, sizeof bytes);
    if (s->config.opt.key_files.n == 0)
        return;
    if (keys_load(s, keeper, NULL, &why) == 0) {
        s->log.say(OPT_LOG_INFO, "keys read", "keys", QUOTE_NUM(s->config.keys.n), NULL);
        keys_skipped(s);
        return;
    }
    s->stat.key_errors++;
    s->log.say(OPT_LOG_ERROR, "keys not read, those there are stay", "reason", text_string(&why),
               NULL);
}

/* Returns true if file i is not what it was when it was read last; a file that cannot be opened has
 * not changed: it may be on its way. */
static bool has_changed(const struct server *s, int keeper, uint32_t i)
{
    struct stat st;
    int fd = keys_open(&s->config.opt.key_files, i, keeper);
    bool there = fd != -1 && fstat(fd, &st) == 0;
    if (fd != -1)
        close(fd);
    if (!there)
        return false;
    struct keys_seen now = seen_of(&st), was = s->keys_seen[i];
    return now.inode != was.inode || now.size != was.size || now.time_ns != was.time_ns;
}

void keys_tick(struct server *s, int keeper)
{
    bool changed = false;
    if (s->clock.now < s->keys_next)
        return;
    if (s->keys_next != 0) /* else they have just been read */
        for (uint32_t i = 0; i < s->config.opt.key_files.n && !changed; i++)
            changed = has_changed(s, keeper, i);
    if (changed)
        keys_reload(s, keeper);
    s->keys_next = s->clock.now + s->config.opt.key_refresh_ms;
}
