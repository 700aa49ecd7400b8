/*
 * isolation.h - no tenant gets another's message: what clients of several tenants do at random, and
 * a look at every byte they get.
 *
 * Each tenant has a token for its own topics, t0/..., t1/..., and publishes messages that name it:
 * "~1b~" is of topic t1/b or of one below it. Clients ask for topics, sets and wildcards of their
 * own and of others, in every way, wait, leave, come back with cursors; several tenants use one
 * connection after another, and the keys change. Whatever a client gets must be of the tenant whose
 * token it has shown, of a topic that it asked for, and only after a token that was good.
 *
 * Topics and sets come and go, so that their numbers are given again as often as can be, and the
 * ring is small. A WIDE set has so many wildcards that a poll looks through the ring piece by
 * piece: then it waits at a place in the past, where another's answer may be remembered.
 *
 * The file that includes it provides the other end: iso_pick() chooses, iso_dial(), iso_send(),
 * iso_hang_up() are a client's calls, iso_settle() waits until the server has done all it can, and
 * calls iso_got() with what came; iso_reload() has the server read the keys. iso_leak() ends the
 * test.
 */
#ifndef SSE_TEST_KIT_ISOLATION_H
#define SSE_TEST_KIT_ISOLATION_H

#include "lib/auth/auth.h"
#include "lib/json.h"
#include "lib/name.h"
#include "test/kit/auth_kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ISO_TENANTS = 4,
    ISO_CLIENTS = 14,
    ISO_LETTERS = 3,
    ISO_WIDE = 340,              /* wildcards: too many to merge, so that a poll walks the ring */
    ISO_REQUEST = 24 << 10,      /* bytes of one */
    ISO_KEEP = 64 << 10,         /* bytes of what a client got that are kept to be looked at */
    ISO_LOOKS_MAX = 250,         /* records that a poll begins behind the newest, at most */
    ISO_ALL = ISO_TENANTS,       /* the one whose token holds everything */
    ISO_NOBODY = ISO_TENANTS + 1 /* without a token */
};

/* Which flags the server must have: see iso_flags. */
#define ISO_MAX_SUBSCRIPTIONS 1000
#define ISO_MAX_LINE          (16 << 10)
#define ISO_MAX_HEAD          (24 << 10)

static struct iso_client {
    bool open;
    unsigned tenant; /* whose token it showed last */
    bool good;       /* which was good, so that something may come */
    bool any;        /* its subscriptions have changed: any topic of the tenant may come */
    bool keeps;      /* has a stream or a socket, and gets no more answers */
    bool asked;      /* an answer is due, ... */
    bool waits;      /* ... which may take its time */
    bool socket;     /* speaks WebSocket, json */
    char what[256];  /* what it asked for, "" for a wide set */
    char got[ISO_KEEP];
    size_t n, looked; /* bytes of it; of them that were looked at */
} iso[ISO_CLIENTS];

static struct {
    unsigned keys;  /* bits: which of the two keys the server has */
    uint64_t ms, n; /* the newest id */
    unsigned looks; /* records of the ring that are looked at in one piece for a wide set */
    uint64_t messages, refused, requests;
} iso_all;

static unsigned iso_pick(unsigned bound); /* below 256 */
static void iso_dial(unsigned client);
static void iso_send(unsigned client, const char *bytes, size_t n);
static void iso_hang_up(unsigned client);
static void iso_settle(void);
static void iso_reload(const char *file);
static void iso_leak(unsigned client, const char *why);

/* ---- tokens ---------------------------------------------------------------------------------- */

static const char *const iso_key[2] = {KIT_KEY, KIT_OTHER};

/* The key file's text for a set of keys. */
static const char *iso_key_file(unsigned keys)
{
    static char text[256];
    snprintf(text, sizeof text, "%s\n%s\n", keys & 1 ? iso_key[0] : "#",
             keys & 2 ? iso_key[1] : "#");
    return text;
}

/* The token of a tenant, signed with one of the keys. */
static const char *iso_token(unsigned tenant, unsigned key)
{
    static struct kit_token t;
    char claims[128];
    if (tenant == ISO_ALL)
        snprintf(claims, sizeof claims, "{\"publish\":[\"**\"],\"subscribe\":[\"**\"]}");
    else
        snprintf(claims, sizeof claims, "{\"publish\":[\"t%u/**\"],\"subscribe\":[\"t%u/**\"]}",
                 tenant, tenant);
    kit_make(&t, SPAN("{\"alg\":\"HS256\"}"), span_of(claims), span_of(iso_key[key]));
    t.p[t.n] = '\0';
    return t.p;
}

/* ---- what came ------------------------------------------------------------------------------- */

/* Looks at a message "~1b~", and fails if this client may not have it. */
static void iso_look(unsigned client, const char *mark)
{
    struct iso_client *c = &iso[client];
    unsigned tenant = (unsigned)(mark[1] - '0');
    char name[8];
    iso_all.messages++;
    if (!c->good)
        iso_leak(client, "got a message without a good token");
    if (c->tenant != ISO_ALL && c->tenant != tenant)
        iso_leak(client, "got a message of another tenant");
    if (c->any)
        return;
    bool asked = false;
    struct span names = span_of(c->what);
    snprintf(name, sizeof name, "t%u/%c", tenant, mark[2]);
    while (names.n > 0 && !asked)
        asked = topic_match(span_cut(&names, ','), span_of(name));
    if (!asked)
        iso_leak(client, "got a message of a topic that it did not ask for");
}

/* Returns true if the answer to a request is complete; drops its bytes then. */
static void iso_answered(struct iso_client *c)
{
    while (c->n > 0 && !c->keeps) {
        const char *end = memmem(c->got, c->n, "\r\n\r\n", 4);
        if (end == NULL)
            return;
        size_t head = (size_t)(end - c->got) + 4, size = head;
        const char *length = memmem(c->got, head, "\r\nContent-Length: ", 18);
        int status = atoi(c->got + 9);
        if (status == 101 || (status == 200 && length == NULL)) {
            c->keeps = true;
            c->asked = false;
            return;
        }
        size += length != NULL ? strtoul(length + 18, NULL, 10) : 0;
        if (c->n < size)
            return;
        const char *id = memmem(c->got, size, "{\"id\":\"", 7);
        if (status == 201 && id != NULL)
            sscanf(id + 7, "%" SCNu64 "-%" SCNu64, &iso_all.ms, &iso_all.n);
        iso_all.refused += status == 401 || status == 403;
        c->asked = c->waits = false;
        c->n -= size;
        memmove(c->got, c->got + size, c->n);
        c->looked = 0;
    }
}

/* Takes bytes that a client got. */
static void iso_got(unsigned client, const char *bytes, size_t n)
{
    struct iso_client *c = &iso[client];
    while (n > 0) {
        size_t part = sizeof c->got - c->n < n ? sizeof c->got - c->n : n;
        memcpy(c->got + c->n, bytes, part);
        c->n += part;
        bytes += part;
        n -= part;
        for (; c->looked + 4 <= c->n; c->looked++) {
            const char *p = c->got + c->looked;
            if (p[0] == '~' && p[3] == '~' && p[1] >= '0' && p[1] < '0' + ISO_TENANTS)
                iso_look(client, p);
        }
        iso_answered(c);
        if (c->keeps || n > 0) { /* what was looked at of a stream is not needed any more */
            memmove(c->got, c->got + c->looked, c->n - c->looked);
            c->n -= c->looked;
            c->looked = 0;
        }
    }
}

/* ---- what clients ask ------------------------------------------------------------------------ */

/* A wide set: many wildcards, none of which ever matches. */
static size_t iso_wide(unsigned tenant, char *out, size_t cap)
{
    size_t n = 0;
    for (unsigned i = 0; i < ISO_WIDE; i++)
        n += (size_t)snprintf(out + n, cap - n, "%st%u/*/*/*/*/*/*/*/%u", i > 0 ? "," : "", tenant,
                              i);
    return n;
}

/* What a client asks for at least. */
struct iso_wish {
    bool waits; /* for the next message, as most others do, with a good token */
    bool wide;
};

/* Writes what a client asks for. */
static void iso_what(struct iso_client *c, struct iso_wish wish, char *out, size_t cap)
{
    unsigned own = c->tenant < ISO_TENANTS ? c->tenant : iso_pick(ISO_TENANTS);
    unsigned other = iso_pick(ISO_TENANTS);
    char a = (char)('a' + iso_pick(ISO_LETTERS)), b = (char)('a' + iso_pick(ISO_LETTERS));
    c->any = false;
    switch (wish.wide ? 9 : iso_pick(wish.waits ? 6 : 10)) {
    case 0:
        snprintf(c->what, sizeof c->what, "t%u/%c", own, a);
        break;
    case 1:
    case 2:
        snprintf(c->what, sizeof c->what, "t%u/*", own);
        break;
    case 3:
        snprintf(c->what, sizeof c->what, "t%u/%c,t%u/%c", own, a, own, b);
        break;
    case 4:
        snprintf(c->what, sizeof c->what, "**");
        break;
    case 5:
        snprintf(c->what, sizeof c->what, "*/%c", a);
        break;
    case 6:
        snprintf(c->what, sizeof c->what, "t%u/%c", other, a);
        break;
    case 7:
        snprintf(c->what, sizeof c->what, "t%u/%c,t%u/*", own, a, other);
        break;
    case 8:
        snprintf(c->what, sizeof c->what, "t%u/*/%c,t%u/%c", own, a, own, b);
        break;
    default:
        iso_wide(own, out, cap);
        c->what[0] = '\0';
        return;
    }
    snprintf(out, cap, "%s", c->what);
}

/* Writes the cursor that it brings. */
static void iso_cursor(struct iso_wish wish, char *out, size_t cap)
{
    unsigned how = iso_pick(8), pieces = 4 + iso_pick(4) / 3;
    how = wish.wide ? 3 + how % 3 : how; /* some pieces end there */
    uint64_t back = how < 3   ? how
                    : how < 6 ? pieces * iso_all.looks + how - 4
                              : iso_pick(ISO_LOOKS_MAX);
    out[0] = '\0';
    if (wish.waits && !wish.wide)
        return;
    if (how == 7)
        snprintf(out, cap, "since=earliest&");
    else if (iso_all.n > back && (wish.wide || iso_pick(4) > 0))
        snprintf(out, cap, "last-event-id=%" PRIu64 "-%" PRIu64 "&", iso_all.ms, iso_all.n - back);
}

/* Shows a token, that of `tenant` unless it is ISO_NOBODY, or of any, or none; writes the field. */
static void iso_show(struct iso_client *c, unsigned tenant, char *out, size_t cap)
{
    unsigned key = iso_pick(2);
    c->tenant = iso_pick(16);
    c->tenant = c->tenant >= ISO_ALL ? c->tenant % ISO_TENANTS : c->tenant;
    if (iso_pick(24) == 0)
        c->tenant = iso_pick(2) == 0 ? ISO_ALL : ISO_NOBODY;
    if (tenant != ISO_NOBODY) {
        c->tenant = tenant;
        key = iso_all.keys & 1 ? 0 : 1;
    }
    c->good = c->tenant != ISO_NOBODY && (iso_all.keys >> key & 1) != 0;
    out[0] = '\0';
    if (c->tenant != ISO_NOBODY)
        snprintf(out, cap, "Authorization: Bearer %.512s\r\n", iso_token(c->tenant, key));
}

/* Asks for messages, in any way. */
static void iso_ask(unsigned client, struct iso_wish wish)
{
    static char what[ISO_REQUEST], text[ISO_REQUEST + 2048];
    static const char *const ways[] = {
        "",
        "Prefer: wait=2\r\n",
        "Prefer: wait=2\r\n",
        "Prefer: wait=2\r\nAccept: text/plain\r\n",
        "Prefer: wait=2\r\nAccept: application/x-ndjson\r\n",
        "Accept: text/event-stream\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: json\r\n",
    };
    struct iso_client *c = &iso[client];
    char token[1024], cursor[80];
    unsigned way = iso_pick(16);
    way = way < sizeof ways / sizeof ways[0] && !wish.waits ? way : 1;
    iso_show(c, wish.waits ? iso_pick(ISO_TENANTS) : ISO_NOBODY, token, sizeof token);
    iso_what(c, wish, what, sizeof what);
    iso_cursor(wish, cursor, sizeof cursor);
    c->asked = true;
    c->waits = way > 0 && way < 4;
    c->socket = way == 7;
    iso_all.requests++;
    int n = snprintf(text, sizeof text, "GET /%s?%s%s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n",
                     what, cursor, iso_pick(16) == 0 ? "conflate" : "", token, ways[way]);
    iso_send(client, text, (size_t)n);
}

/* Writes n messages of a tenant, a line each. */
static size_t iso_lines(char *out, size_t cap, unsigned tenant, char letter, unsigned n)
{
    size_t at = 0;
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, cap - at, "{\"data\":\"~%u%c~\"}\n", tenant, letter);
    return at;
}

/* Publishes, to a topic of tenant `whose`, if it is one: one message, or a batch. What a tenant
 * says is of itself, whichever topic it tries. */
static void iso_publish(unsigned client, unsigned whose)
{
    struct iso_client *c = &iso[client];
    char token[1024], text[8192], body[4096], letter;
    size_t size;
    iso_show(c, whose < ISO_TENANTS ? ISO_ALL : ISO_NOBODY, token, sizeof token);
    c->any = c->asked = true;
    c->waits = false;
    unsigned tenant = c->tenant < ISO_TENANTS ? c->tenant : iso_pick(ISO_TENANTS);
    unsigned topic = iso_pick(8) == 0 ? iso_pick(ISO_TENANTS) : tenant;
    if (whose < ISO_TENANTS)
        topic = whose;
    bool batch = iso_pick(4) == 0;
    if (c->tenant >= ISO_TENANTS)
        tenant = topic; /* who may publish everywhere says the truth */
    letter = (char)('a' + iso_pick(ISO_LETTERS));
    if (batch)
        size = iso_lines(body, sizeof body, tenant, letter, 1 + iso_pick(40));
    else
        size = (size_t)snprintf(body, sizeof body, "~%u%c~%.*s", tenant, letter,
                                (int)iso_pick(8) * 4, "................................");
    iso_all.requests++;
    int n = snprintf(text, sizeof text,
                     "POST /t%u/%c HTTP/1.1\r\nHost: localhost\r\n%s%sContent-Length: %zu\r\n\r\n"
                     "%.*s",
                     topic, letter, batch ? "Content-Type: application/x-ndjson\r\n" : "", token,
                     size, (int)size, body);
    iso_send(client, text, (size_t)n);
}

/* A json socket subscribes to more, or to less, or publishes. */
static void iso_frame(unsigned client)
{
    struct iso_client *c = &iso[client];
    char text[128], frame[160];
    unsigned tenant = iso_pick(4) == 0 ? iso_pick(ISO_TENANTS) : c->tenant % ISO_TENANTS;
    unsigned letter = 'a' + iso_pick(ISO_LETTERS);
    c->any = true;
    switch (iso_pick(4)) {
    case 0:
        snprintf(text, sizeof text, "{\"unsubscribe\":[\"t%u/%c\",\"t%u/*\"]}", tenant, letter,
                 tenant);
        break;
    case 1:
        snprintf(text, sizeof text, "{\"subscribe\":[\"t%u/*\"]}", tenant);
        break;
    case 2:
        snprintf(text, sizeof text, "{\"subscribe\":[\"*/%c\"]}", letter);
        break;
    default:
        snprintf(text, sizeof text, "{\"topic\":\"t%u/%c\",\"data\":\"~%u%c~\"}", tenant, letter,
                 c->tenant < ISO_TENANTS ? c->tenant : tenant, letter);
        break;
    }
    size_t n = strlen(text);
    assert(n < 126);
    frame[0] = (char)0x81;
    frame[1] = (char)(0x80 | n);
    memcpy(frame + 2, "mask", 4);
    for (size_t i = 0; i < n; i++)
        frame[6 + i] = (char)(text[i] ^ "mask"[i % 4]);
    iso_send(client, frame, n + 6);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void iso_begin(void)
{
    memset(iso, 0, sizeof iso);
    memset(&iso_all, 0, sizeof iso_all);
    iso_all.keys = 3;
}

/* One connection is for publishing alone, so that there is always one that can. */
#define ISO_PUBLISHER 0

/* A client that is free to ask; it has come anew where it is not. */
static unsigned iso_free(void)
{
    unsigned client = 1 + iso_pick(ISO_CLIENTS - 1);
    struct iso_client *c = &iso[client];
    if (c->open && (c->keeps || c->asked)) {
        iso_hang_up(client);
        c->open = false;
    }
    if (!c->open) {
        *c = (struct iso_client){.open = true};
        iso_dial(client);
    }
    return client;
}

/* One waits, gets a message and leaves; then another comes, to the same places. */
static void iso_swap(void)
{
    unsigned first = iso_free();
    iso_ask(first, (struct iso_wish){.waits = true});
    iso_settle();
    if (!iso[ISO_PUBLISHER].open) {
        iso[ISO_PUBLISHER] = (struct iso_client){.open = true};
        iso_dial(ISO_PUBLISHER);
    }
    iso_publish(ISO_PUBLISHER, iso[first].tenant % ISO_TENANTS);
    iso_settle();
    iso_ask(iso_free(), (struct iso_wish){.waits = true, .wide = true});
    iso_settle();
}

static void iso_step(void)
{
    unsigned client = 1 + iso_pick(ISO_CLIENTS - 1), what = iso_pick(64);
    if (what == 0) {
        iso_all.keys = 1 + iso_pick(3);
        iso_reload(iso_key_file(iso_all.keys));
        return;
    }
    if (what < 20) {
        iso_swap();
        return;
    }
    if (what < 40)
        client = ISO_PUBLISHER;
    struct iso_client *c = &iso[client];
    if (!c->open) {
        *c = (struct iso_client){.open = true};
        iso_dial(client);
    }
    if (client == ISO_PUBLISHER)
        iso_publish(client, ISO_TENANTS);
    else if (c->socket && c->keeps && what % 2 == 0)
        iso_frame(client);
    else if (c->keeps || c->asked) { /* one that asks again has another token then */
        if (what % 2 == 0) {
            iso_hang_up(client);
            c->open = false;
        }
    } else {
        iso_ask(client, (struct iso_wish){.wide = iso_pick(8) == 0});
    }
    iso_settle();
}

#endif
