/*
 * passwd.c - reads /etc/passwd and /etc/group.
 */
#include "lib/passwd.h"

/* Reads an id. */
static bool read_id(struct span s, uint32_t *id)
{
    uint64_t n;
    if (!span_u64(s, &n) || n >= PASSWD_NOBODY)
        return false;
    *id = (uint32_t)n;
    return true;
}

/* Finds the entry of a name in `file`, and reads the `ids` numbers after its password. Returns
 * false if there is none. */
static bool find_name(struct span file, struct span name, uint32_t id[], unsigned ids)
{
    while (file.n > 0) {
        struct span line = span_cut(&file, '\n');
        if (!span_eq(span_cut(&line, ':'), name))
            continue;
        (void)span_cut(&line, ':');
        unsigned n = 0;
        while (n < ids && read_id(span_cut(&line, ':'), &id[n]))
            n++;
        if (n == ids)
            return true;
    }
    return false;
}

/* Finds the group of the user with this id. Returns false if there is none. */
static bool find_uid(struct span users, uint32_t uid, uint32_t *gid)
{
    while (users.n > 0) {
        struct span line = span_cut(&users, '\n');
        uint32_t has;
        (void)span_cut(&line, ':');
        (void)span_cut(&line, ':');
        if (read_id(span_cut(&line, ':'), &has) && has == uid && read_id(span_cut(&line, ':'), gid))
            return true;
    }
    return false;
}

const char *passwd_find(struct span who, struct span users, struct span groups, uint32_t *uid,
                        uint32_t *gid)
{
    uint32_t id[2];
    struct span user = span_cut(&who, ':'), group = who;
    bool grouped = group.p != NULL, entry;
    if (user.n == 0 || (grouped && group.n == 0))
        return "must be NAME or UID, perhaps with :GROUP";
    entry = find_name(users, user, id, 2);
    if (!entry) {
        if (!read_id(user, &id[0]))
            return "there is no such user in /etc/passwd";
        entry = find_uid(users, id[0], &id[1]);
    }
    if (!grouped && !entry)
        return "has no entry in /etc/passwd, so that its group has to be told: UID:GROUP";
    if (grouped && !find_name(groups, group, &id[1], 1) && !read_id(group, &id[1]))
        return "there is no such group in /etc/group";
    *uid = id[0];
    *gid = id[1];
    return NULL;
}
