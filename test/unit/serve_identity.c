/*
 * serve_identity.c - lib/serve without sockets: which client a proxied request comes from, and what
 * that client may do.
 */
#include "lib/serve/identity.h"
#include "test/kit/serve_unit.h"

#include "lib/addr.h"

/* ---- setting up ------------------------------------------------------------------------------ */

static struct unit u;
static struct pass passes[UNIT_CONNS];

static uint64_t key(const char *address)
{
    struct sockaddr_storage a;
    socklen_t len;
    ck_assert(addr_read(span_of(address), 0, &a, &len));
    return addr_key(&a, len);
}

/* A server that trusts the proxies 127.0.0.1 and 10.0.0.0/8, and unix sockets. */
static void set_up(void)
{
    struct opt o = unit_opt();
    unit_list(&o.trust_proxy, "127.0.0.1");
    unit_list(&o.trust_proxy, "10.0.0.0/8");
    unit_list(&o.trust_proxy, "unix");
    u = unit_make(&o);
    serve_read_proxies(&u.s->config);
    u.s->clients.pass = passes;
    memset(passes, 0, sizeof passes);
}

static void tear_down(void)
{
    unit_free(&u);
}

/* A connection from there, as the acceptor lets it in. */
static struct conn *from(const char *peer)
{
    struct sockaddr_storage a;
    socklen_t len;
    struct conn *c = unit_open(&u, 3);
    ck_assert(addr_read(span_of(peer), 0, &a, &len));
    c->flags = (uint16_t)(CONN_WRITABLE | (addr_local(&a, len) ? CONN_LOCAL : 0));
    c->marks = nets_have(&u.s->config.proxies, &a, len) ? CONN_PROXIED : 0;
    passes[3] = (struct pass){.from = addr_key(&a, len)};
    return c;
}

/* ---- requests -------------------------------------------------------------------------------- */

#define SAYS(what) \
    "publishing is for clients on this host; " what "--anonymous publish opens it to all"
#define THROUGH(who) "this request came through the proxy " who " (--trust-proxy)"
#define SILENT       ", which named no client (Forwarded, X-Forwarded-For); "
#define UNTOLD       ", for somebody whose address it does not tell; "
#define TWO          ", whose Forwarded and X-Forwarded-For name two clients; "
#define NOBODY       SAYS("")
#define SILENT_LOCAL SAYS(THROUGH("127.0.0.1") SILENT)
#define FOR(who)     SAYS(THROUGH("127.0.0.1") ", for " who "; ")
#define TWO_LOCAL    SAYS(THROUGH("127.0.0.1") TWO)

static const struct {
    int line;
    const char *peer, *fields;
    const char *refusal; /* NULL: it may publish */
    const char *client;  /* NULL: unknown */
} rows[] = {
    /* nobody that is trusted: the fields are what anybody writes */
    {__LINE__, "127.0.0.2", "", NULL, "127.0.0.2"},
    {__LINE__, "::1", "X-Forwarded-For: 203.0.113.7\r\n", NULL, "::1"},
    {__LINE__, "192.0.2.1", "", NOBODY, "192.0.2.1"},
    {__LINE__, "192.0.2.1", "X-Forwarded-For: 127.0.0.1\r\n", NOBODY, "192.0.2.1"},
    {__LINE__, "192.0.2.1", "Forwarded: for=127.0.0.1\r\n", NOBODY, "192.0.2.1"},
    /* a proxy that says nothing */
    {__LINE__, "127.0.0.1", "", SILENT_LOCAL, NULL},
    {__LINE__, "127.0.0.1", "X-Forwarded-For:\r\n", SILENT_LOCAL, NULL},
    {__LINE__, "127.0.0.1", "X-Forwarded-For: ,\r\nForwarded: ,\r\n", SILENT_LOCAL, NULL},
    {__LINE__, "unix:/a", "", SAYS(THROUGH("at a unix socket") SILENT), NULL},
    {__LINE__, "10.0.0.9", "", SAYS(THROUGH("10.0.0.9") SILENT), NULL},
    {__LINE__, "127.0.0.1", "X-Real-IP: 127.0.0.1\r\n", SILENT_LOCAL, NULL},
    /* one that says for whom */
    {__LINE__, "127.0.0.1", "X-Forwarded-For: 203.0.113.7\r\n", FOR("203.0.113.7"), "203.0.113.7"},
    {__LINE__, "127.0.0.1", "x-forwarded-for: 127.0.0.1, 203.0.113.7\r\n", FOR("203.0.113.7"),
     "203.0.113.7"},
    {__LINE__, "127.0.0.1", "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.7\r\n",
     FOR("203.0.113.7"), "203.0.113.7"},
    {__LINE__, "127.0.0.1", "Forwarded: for=127.0.0.1\r\nForwarded: for=203.0.113.7\r\n",
     FOR("203.0.113.7"), "203.0.113.7"},
    {__LINE__, "127.0.0.1", "Forwarded: for=\"[2001:db8::7]:4711\";proto=https\r\n",
     FOR("2001:db8::/64"), "2001:db8::1"},
    {__LINE__, "127.0.0.1", "X-Forwarded-For: 203.0.113.7, 10.0.0.9\r\n", FOR("203.0.113.7"),
     "203.0.113.7"},
    {__LINE__, "unix:/a", "X-Forwarded-For: 203.0.113.7\r\n",
     SAYS(THROUGH("at a unix socket") ", for 203.0.113.7; "), "203.0.113.7"},
    /* for one on this host */
    {__LINE__, "127.0.0.1", "X-Forwarded-For: 127.0.0.1\r\n", NULL, "127.0.0.1"},
    {__LINE__, "127.0.0.1", "X-Forwarded-For: ::1\r\n", NULL, "::1"},
    {__LINE__, "127.0.0.1", "Forwarded: for=127.0.0.2\r\n", NULL, "127.0.0.2"},
    {__LINE__, "unix:/a", "Forwarded: for=127.0.0.1\r\n", NULL, "127.0.0.1"},
    {__LINE__, "127.0.0.1", "X-Forwarded-For: 127.0.0.5, 127.0.0.1\r\n", NULL, "127.0.0.5"},
    /* for one on the proxy's host, which is another */
    {__LINE__, "10.0.0.9", "X-Forwarded-For: 127.0.0.1\r\n",
     SAYS(THROUGH("10.0.0.9") ", for 127.0.0.1; "), "127.0.0.1"},
    {__LINE__, "127.0.0.1", "X-Forwarded-For: 127.0.0.1, 10.0.0.9\r\n", FOR("127.0.0.1"),
     "127.0.0.1"},
    /* for who knows whom */
    {__LINE__, "127.0.0.1", "X-Forwarded-For: unknown\r\n", SAYS(THROUGH("127.0.0.1") UNTOLD),
     NULL},
    {__LINE__, "127.0.0.1", "Forwarded: for=_hidden\r\n", SAYS(THROUGH("127.0.0.1") UNTOLD), NULL},
    {__LINE__, "127.0.0.1", "Forwarded: for=127.0.0.1, for=_x\r\n",
     SAYS(THROUGH("127.0.0.1") UNTOLD), NULL},
    {__LINE__, "127.0.0.1", "Forwarded: proto=https\r\n", SAYS(THROUGH("127.0.0.1") UNTOLD), NULL},
    /* both: one of them may be what the client wrote */
    {__LINE__, "127.0.0.1", "Forwarded: for=127.0.0.1\r\nX-Forwarded-For: 203.0.113.7\r\n",
     TWO_LOCAL, NULL},
    {__LINE__, "127.0.0.1", "Forwarded: for=203.0.113.7\r\nX-Forwarded-For: 127.0.0.1\r\n",
     TWO_LOCAL, NULL},
    {__LINE__, "127.0.0.1", "Forwarded: for=_x\r\nX-Forwarded-For: 127.0.0.1\r\n", TWO_LOCAL, NULL},
    {__LINE__, "127.0.0.1",
     "Forwarded: for=127.0.0.1, for=10.0.0.9\r\nX-Forwarded-For: 127.0.0.1\r\n", TWO_LOCAL, NULL},
    {__LINE__, "127.0.0.1",
     "Forwarded: for=203.0.113.7\r\nX-Forwarded-For: 1.1.1.1, 203.0.113.7\r\n", FOR("203.0.113.7"),
     "203.0.113.7"},
    {__LINE__, "127.0.0.1", "Forwarded: for=127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\n", NULL,
     "127.0.0.1"},
};

/* Fails unless the only answer is what the row wants. */
static void check_answer(int line, const char *refusal)
{
    struct answer a = answer_only(&u, false);
    if (refusal == NULL)
        ck_assert_msg(a.status == 201, "line %d: %.*s", line, (int)u.got.n, u.got.p);
    else
        ck_assert_msg(a.status == 403 && is_problem(&a, refusal), "line %d: %.*s", line,
                      (int)a.body.n, a.body.p);
}

START_TEST(knows_the_client)
{
    uint64_t client = rows[_i].client != NULL ? key(rows[_i].client) : 0;
    struct conn *c = from(rows[_i].peer);
    char text[1024];
    snprintf(text, sizeof text, "POST /n HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n%s\r\nx",
             rows[_i].fields);
    feed_str(&u, c, text);
    check_answer(rows[_i].line, rows[_i].refusal);
    ck_assert_msg(u.s->ex.ask.from == client, "line %d", rows[_i].line);
    ck_assert_uint_eq(u.s->ex.ask.local, rows[_i].refusal == NULL);
}
END_TEST

/* Over one connection of a proxy come many clients. */
START_TEST(each_request_has_its_own)
{
    static const char ask[] = "POST /n HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n"
                              "X-Forwarded-For: %s\r\n\r\n";
    struct conn *c = from("127.0.0.1");
    char text[256];
    for (unsigned i = 0; i < 6; i++) {
        snprintf(text, sizeof text, ask, i % 2 == 0 ? "127.0.0.1" : "203.0.113.7");
        feed_str(&u, c, text);
        check_answer(__LINE__, i % 2 == 0 ? NULL : FOR("203.0.113.7"));
        ck_assert_uint_eq(u.s->ex.ask.from, key(i % 2 == 0 ? "127.0.0.1" : "203.0.113.7"));
        unit_clear(&u);
    }
    ck_assert_int_eq(c->state, CONN_HEAD);
    ck_assert(c->flags & CONN_LOCAL); /* the connection's own is as it was */
}
END_TEST

/* A body remembers who sends it. */
START_TEST(a_body_remembers)
{
    struct conn *c = from("127.0.0.1");
    feed_str(&u, c,
             "POST /n HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
             "X-Forwarded-For: 127.0.0.7\r\n\r\n");
    u.s->ex.ask = (struct context){.local = false};
    feed_str(&u, c, "x");
    ck_assert(u.s->ex.ask.local);
    ck_assert_uint_eq(u.s->ex.ask.from, key("127.0.0.7"));
    feed_str(&u, c, "y");
    check_answer(__LINE__, NULL);
}
END_TEST

/* ---- WebSockets ------------------------------------------------------------------------------ */

#define SHAKE                                                                     \
    "GET /n HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static const struct {
    int line;
    const char *peer, *fields, *client;
    bool local;
} sockets[] = {
    {__LINE__, "127.0.0.1", "X-Forwarded-For: 127.0.0.7\r\n", "127.0.0.7", true},
    {__LINE__, "127.0.0.1", "X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7", false},
    {__LINE__, "127.0.0.1", "", NULL, false},
    {__LINE__, "10.0.0.9", "X-Forwarded-For: 127.0.0.7\r\n", "127.0.0.7", false},
    {__LINE__, "127.0.0.2", "X-Forwarded-For: 203.0.113.7\r\n", "127.0.0.2", true},
    {__LINE__, "192.0.2.1", "X-Forwarded-For: 127.0.0.1\r\n", "192.0.2.1", false},
};

/* What it is at the handshake it stays. */
START_TEST(a_socket_remembers)
{
    uint64_t client = sockets[_i].client != NULL ? key(sockets[_i].client) : 0;
    struct conn *c = from(sockets[_i].peer);
    char text[512];
    snprintf(text, sizeof text, SHAKE "%s\r\n", sockets[_i].fields);
    feed_str(&u, c, text);
    ck_assert_int_eq(c->state, CONN_SOCKET);
    ck_assert_msg(passes[3].from == client, "line %d", sockets[_i].line);
    unit_clear(&u);
    for (unsigned i = 1; i < 3; i++) {
        feed(&u, c, (struct span){"\x81\x81\0\0\0\0x", 7});
        ck_assert_msg((ring_newest(&u.s->ring).n == i) == sockets[_i].local, "line %d",
                      sockets[_i].line);
        ck_assert_uint_eq(u.s->ex.ask.from, client);
        if (!sockets[_i].local)
            break;
    }
    bool refused = holds(text_span(&u.got), "publishing is for clients on this host");
    ck_assert_uint_eq(refused, !sockets[_i].local);
    ck_assert_uint_eq(c->state == CONN_SOCKET, sockets[_i].local);
}
END_TEST

/* ---- where nobody asks ----------------------------------------------------------------------- */

START_TEST(nothing_is_kept_without_a_flag)
{
    struct conn *c = from("127.0.0.2");
    u.s->clients.pass = NULL;
    feed_str(&u, c, "POST /n HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    check_answer(__LINE__, NULL);
    ck_assert_uint_eq(u.s->ex.ask.from, 0);
    unit_clear(&u);
    feed_str(&u, c, SHAKE "\r\n");
    ck_assert_int_eq(c->state, CONN_SOCKET);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("serve_identity");
    TCase *t = tcase_create("serve_identity");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, knows_the_client, 0, COUNT(rows));
    tcase_add_test(t, each_request_has_its_own);
    tcase_add_test(t, a_body_remembers);
    tcase_add_loop_test(t, a_socket_remembers, 0, COUNT(sockets));
    tcase_add_test(t, nothing_is_kept_without_a_flag);
    suite_add_tcase(s, t);
    return run(s);
}
