/*
 * access.c - who may do what, end to end: each way of connecting, with a token in each place where
 * one may be, of each kind there is; the codes, fields and details of the answers.
 */
#include "test/kit/socket.h"
#include "test/kit/tokens.h"

static struct e2e_server s;
static struct e2e_response r;

/* ---- ways, places, kinds --------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *line, *query, *fields; /* of the request; the query is more of it */
    const char *body;
    int success;
    bool publishes, socket, head;
} ways[] = {
    {"short poll", "GET /acc/one", "", "", "", 200, false, false, false},
    {"head", "HEAD /acc/one", "", "", "", 200, false, false, true},
    {"text poll", "GET /acc/one", "", "Accept: text/plain\r\n", "", 200, false, false, false},
    {"long poll", "GET /acc/one", "&since=earliest", "Prefer: wait=5\r\n", "", 200, false, false,
     false},
    {"stream of events", "GET /acc/one", "", "Accept: text/event-stream\r\n", "", 200, false, false,
     false},
    {"stream of lines", "GET /acc/one", "&wait=5", "Accept: application/x-ndjson\r\n", "", 200,
     false, false, false},
    {"websocket", "GET /acc/one", "",
     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" SOCKET_KEY, "",
     101, false, true, false},
    {"websocket, json", "GET /acc/one", "",
     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" SOCKET_JSON
         SOCKET_KEY,
     "", 101, false, true, false},
    {"post", "POST /acc/one", "", "Content-Length: 2\r\n", "hi", 201, true, false, false},
    {"put", "PUT /acc/one", "&event=e", "Content-Length: 2\r\n", "hi", 201, true, false, false},
    {"chunked", "POST /acc/one", "", "Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n", 201,
     true, false, false},
    {"batch", "POST /acc/one", "", "Content-Type: application/x-ndjson\r\nContent-Length: 6\r\n",
     "\"one\"\n", 201, true, false, false},
};

enum place {
    IN_HEADER,
    IN_QUERY,
    IN_COOKIE,
    PLACES,
};

enum kind {
    NO_TOKEN,
    VALID,
    VALID_NAMED,
    VALID_WILD,
    EXPIRED,
    NOT_YET,
    WRONG_KEY,
    WRONG_ALG,
    ALG_NONE,
    WRONG_TOPIC,
    OTHER_WAY,
    NO_SCOPE,
    MALFORMED,
    OVERSIZED,
    TWO,
    KINDS,
};

/* What a kind is answered with. */
static const struct {
    const char *name;
    int status; /* 0: success */
    const char *error, *detail;
} answers[KINDS] = {
    [NO_TOKEN] = {"none", 401, NULL, "takes a token"},
    [VALID] = {"valid", 0, NULL, NULL},
    [VALID_NAMED] = {"valid, of a key with a name", 0, NULL, NULL},
    [VALID_WILD] = {"valid, a wildcard", 0, NULL, NULL},
    [EXPIRED] = {"expired", 401, "invalid_token", "expired"},
    [NOT_YET] = {"not yet", 401, "invalid_token", "not valid"},
    [WRONG_KEY] = {"wrong key", 401, "invalid_token", "key"},
    [WRONG_ALG] = {"wrong alg", 401, "invalid_token", "HS256"},
    [ALG_NONE] = {"alg: none", 401, "invalid_token", "HS256"},
    [WRONG_TOPIC] = {"wrong topic", 403, "insufficient_scope", "does not allow"},
    [OTHER_WAY] = {"right topic, other way round", 403, "insufficient_scope", "does not allow"},
    [NO_SCOPE] = {"no scope", 403, "insufficient_scope", "does not allow"},
    [MALFORMED] = {"malformed", 401, "invalid_token", "token"},
    [OVERSIZED] = {"oversized", 401, "invalid_token", "8192"},
    [TWO] = {"two", 400, "invalid_request", "more than one token"},
};

/* A token of this kind; NULL: none. */
static const char *token_kind(enum kind kind, bool publishes)
{
    static char big[9001];
    const char *one = "[\"other\",\"acc/one\"]";
    char payload[256];
    long now = (long)time(NULL);
    switch (kind) {
    case VALID:
    case TWO:
        return token_good(publishes ? one : NULL, publishes ? NULL : one, 3600);
    case VALID_NAMED:
        return token_of("{\"kid\":\"named\",\"alg\":\"HS256\"}",
                        "{\"publish\":[\"**\"],\"subscribe\":[\"**\"]}", KEY_NAMED);
    case VALID_WILD:
        return token_good("[\"acc/*\"]", "[\"acc/**\"]", 0);
    case EXPIRED:
        return token_good(one, one, ENDS_IN(-1));
    case NOT_YET:
        snprintf(payload, sizeof payload, "{\"nbf\":%ld,\"publish\":%s,\"subscribe\":%s}",
                 now + 120, one, one);
        return token_of(HS256, payload, KEY_PLAIN);
    case WRONG_KEY:
        return token_of(HS256, "{\"publish\":[\"**\"],\"subscribe\":[\"**\"]}", KEY_OTHER);
    case WRONG_ALG:
        return token_of("{\"alg\":\"HS384\"}", "{\"publish\":[\"**\"],\"subscribe\":[\"**\"]}",
                        KEY_PLAIN);
    case ALG_NONE:
        return token_of("{\"alg\":\"none\"}", "{\"publish\":[\"**\"],\"subscribe\":[\"**\"]}",
                        KEY_PLAIN);
    case WRONG_TOPIC:
        return token_good("[\"acc/two\",\"*\"]", "[\"acc/one/**\"]", 3600);
    case OTHER_WAY:
        return token_good(publishes ? NULL : "[\"**\"]", publishes ? "[\"**\"]" : NULL, 3600);
    case NO_SCOPE:
        return token_good(NULL, NULL, 3600);
    case MALFORMED:
        return "this.is-no.token";
    case OVERSIZED:
        memset(big, 'x', sizeof big - 1);
        big[3000] = big[6000] = '.';
        return big;
    case NO_TOKEN:
    case KINDS:
        break;
    }
    return NULL;
}

/* ---- the matrix ------------------------------------------------------------------------------ */

static const struct {
    const char *query, *field, *more;
} places[PLACES] = {
    [IN_HEADER] = {"", "Authorization: Bearer ", "\r\nAuthorization: Bearer "},
    [IN_QUERY] = {"&access_token=", "", "&access_token="},
    [IN_COOKIE] = {"", "Cookie: theme=dark; access_token=", "; access_token="},
};

/* Sends a request of this way with the token(s), NULL for none, in this place. */
static void ask(struct e2e_conn *c, size_t way, enum place place, const char *token,
                const char *second)
{
    bool query = place == IN_QUERY && token != NULL;
    e2e_printf(c, "%s?x=1%s%s%s%s%s HTTP/1.1\r\nHost: test\r\n%s", ways[way].line, ways[way].query,
               query ? places[place].query : "", query ? token : "",
               query && second != NULL ? places[place].more : "",
               query && second != NULL ? second : "", ways[way].fields);
    if (token != NULL && !query)
        e2e_printf(c, "%s%s%s%s\r\n", places[place].field, token,
                   second != NULL ? places[place].more : "", second != NULL ? second : "");
    e2e_printf(c, "\r\n%s", ways[way].body);
}

/* Reads the answer to it; a handshake that succeeded is no answer as others are. */
static void answer(struct e2e_conn *c, size_t way)
{
    e2e_until(c, "\r\n\r\n");
    if (strncmp(c->buf, "HTTP/1.1 101 ", 13) == 0)
        r.status = 101;
    else if (ways[way].head)
        e2e_response_head(c, &r);
    else
        e2e_response(c, &r);
}

static void check_refused(size_t way, enum place place, enum kind kind)
{
    const char *challenge = e2e_field(&r, "WWW-Authenticate"), *error = answers[kind].error;
    char want[64];
    snprintf(want, sizeof want, "error=\"%s\"", error != NULL ? error : "");
    ck_assert_msg(r.status == answers[kind].status, "%s, place %d, %s: %d\n%s%s", ways[way].name,
                  (int)place, answers[kind].name, r.status, r.head, r.body);
    ck_assert_msg(challenge != NULL && strncmp(challenge, "Bearer realm=\"sse\"", 18) == 0 &&
                      (strstr(challenge, want) != NULL) == (error != NULL) &&
                      (strstr(challenge, "error") != NULL) == (error != NULL),
                  "%s, place %d, %s: %s", ways[way].name, (int)place, answers[kind].name, r.head);
    ck_assert_msg(ways[way].head || strstr(r.body, answers[kind].detail) != NULL,
                  "%s, place %d, %s: %s", ways[way].name, (int)place, answers[kind].name, r.body);
    ck_assert_str_eq(e2e_field(&r, "Content-Type"), "application/problem+json");
}

static void check_one(size_t way, enum place place, enum kind kind)
{
    const char *token = token_kind(kind, ways[way].publishes);
    bool first_counts = kind == TWO && place == IN_COOKIE; /* RFC 6265: the more specific */
    struct e2e_conn *c = e2e_open(&s);
    ask(c, way, place, token, kind == TWO ? "a.b.c" : NULL);
    answer(c, way);
    if (answers[kind].status == 0 || first_counts)
        ck_assert_msg(r.status == ways[way].success, "%s, place %d, %s: %d\n%s%s", ways[way].name,
                      (int)place, answers[kind].name, r.status, r.head, r.body);
    else
        check_refused(way, place, kind);
    e2e_close(c);
}

static void start_keyed(const char *flag, const char *value)
{
    program_make();
    const char *const flags[] = {"--key-file",
                                 keys_write(TOKENS_KEYS, 0600),
                                 "--admin",
                                 "127.0.0.1:0",
                                 "--max-failures",
                                 "0",
                                 "--max-line",
                                 "12K",
                                 "--max-head",
                                 "32K",
                                 flag,
                                 value,
                                 NULL};
    e2e_start_with(&s, flags, 0);
    e2e_ask(&s, &r,
            "POST /acc/one HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer %s\r\n"
            "Content-Length: 5\r\n\r\nfirst",
            token_good("[\"**\"]", NULL, 0));
    ck_assert_int_eq(r.status, 201);
}

static void stop(void)
{
    e2e_stop(&s);
    program_remove();
    setenv("SSE_BIN", program.built, 1); /* for the next in this test */
}

START_TEST(every_way_place_and_kind)
{
    start_keyed(NULL, NULL);
    for (enum place place = 0; place < PLACES; place++)
        for (enum kind kind = 0; kind < KINDS; kind++)
            check_one((size_t)_i, place, kind);
    stop();
}
END_TEST

/* ---- which of several tokens counts ---------------------------------------------------------- */

#define GOOD "[\"**\"]"

/* A token, good or bad (or none), with what stands around it. */
static void part(char *to, size_t size, const char *kind, const char *before, const char *after)
{
    const char *token = *kind == 'g' ? token_good(NULL, GOOD, 0) : "x.y.z";
    snprintf(to, size, "%s%s%s", *kind != '\0' ? before : "", *kind != '\0' ? token : "",
             *kind != '\0' ? after : "");
}

START_TEST(header_before_query_before_cookie)
{
    static const struct {
        int line;
        const char *header, *query, *cookie; /* g: good, b: bad */
        int status;
    } rows[] = {
        {__LINE__, "g", "b", "b", 200}, {__LINE__, "b", "g", "g", 401},
        {__LINE__, "", "g", "b", 200},  {__LINE__, "", "b", "g", 401},
        {__LINE__, "", "", "g", 200},   {__LINE__, "", "", "b", 401},
        {__LINE__, "g", "", "", 200},
    };
    start_keyed(NULL, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char query[9100], header[9100], cookie[9100];
        part(query, sizeof query, rows[i].query, "?access_token=", "");
        part(header, sizeof header, rows[i].header, "Authorization: bearer ", "\r\n");
        part(cookie, sizeof cookie, rows[i].cookie, "Cookie: access_token=", "\r\n");
        e2e_ask(&s, &r, "GET /acc/one%s HTTP/1.1\r\nHost: test\r\n%s%s\r\n", query, header, cookie);
        ck_assert_msg(r.status == rows[i].status, "line %d: %s", rows[i].line, r.head);
    }
    stop();
}
END_TEST

/* Other schemes, other fields, and what is nearly a token. */
START_TEST(what_is_no_bearer_token)
{
    static const struct {
        int line;
        const char *fields, *detail;
        int status;
    } rows[] = {
        {__LINE__, "Authorization: Basic dTpw\r\n", "only Bearer", 401},
        {__LINE__, "Authorization: Bearer\r\n", "no token", 401},
        {__LINE__, "Authorization: Bearer \r\n", "no token", 401},
        {__LINE__, "Authorization: Bearer a b\r\n", "token", 401},
        {__LINE__, "Authorization:\r\n", "only Bearer", 401},
        {__LINE__, "Cookie: access_token=\r\n", "token", 401},
        {__LINE__, "Cookie: access_token=\"\"\r\n", "token", 401},
        {__LINE__, "Cookie: xaccess_token=a.b.c; access_tokenx=a.b.c\r\n", "takes a token", 401},
        {__LINE__, "Cookie: access_token\r\n", "token", 401},
        {__LINE__, "Cookie: a=b; =;;  ;\r\n", "takes a token", 401},
    };
    start_keyed(NULL, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        e2e_ask(&s, &r, "GET /acc/one HTTP/1.1\r\nHost: test\r\n%s\r\n", rows[i].fields);
        ck_assert_msg(r.status == rows[i].status && strstr(r.body, rows[i].detail) != NULL,
                      "line %d: %s%s", rows[i].line, r.head, r.body);
    }
    e2e_ask(&s, &r,
            "GET /acc/one HTTP/1.1\r\nHost: t\r\nCookie: a=1;access_token=\"%s\";b=2\r\n\r\n",
            token_good(NULL, GOOD, 0));
    ck_assert_int_eq(r.status, 200);
    e2e_ask(&s, &r, "GET /acc/one?access_token= HTTP/1.1\r\nHost: t\r\n\r\n");
    e2e_expect_status(&r, 401, "token");
    e2e_ask(&s, &r, "GET /acc/one?access_token=%%zz HTTP/1.1\r\nHost: t\r\n\r\n");
    ck_assert_int_eq(r.status, 401);
    stop();
}
END_TEST

/* A cookie is sent along by a browser whatever page asks: only pages that may have it act with
 * it. */
START_TEST(cookies_count_for_some_pages)
{
    static const struct {
        int line;
        const char *cors, *origin;
        int status;
    } rows[] = {
        {__LINE__, NULL, NULL, 200},
        {__LINE__, NULL, "http://test", 200},
        {__LINE__, NULL, "https://evil.example", 401},
        {__LINE__, NULL, "null", 401},
        {__LINE__, "https://a.example", "https://a.example", 200},
        {__LINE__, "https://a.example", "https://b.example", 401},
        {__LINE__, "*", "https://a.example", 401},
        {__LINE__, "*", "http://test", 200},
    };
    const char *good = token_good(NULL, GOOD, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        start_keyed(rows[i].cors != NULL ? "--cors" : NULL, rows[i].cors);
        const char *origin = rows[i].origin;
        e2e_ask(&s, &r,
                "GET /acc/one HTTP/1.1\r\nHost: test\r\nCookie: access_token=%s\r\n%s%s\r\n\r\n",
                good, origin != NULL ? "Origin: " : "X: ", origin != NULL ? origin : "");
        ck_assert_msg(r.status == rows[i].status, "line %d: %s", rows[i].line, r.head);
        if (r.status == 401)
            ck_assert_ptr_nonnull(strstr(r.body, "the cookie access_token does not count"));
        /* in a header it counts from any page that CORS lets read the answer, and curl */
        e2e_ask(&s, &r,
                "GET /acc/one HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer %s\r\n%s%s\r\n\r\n",
                good, origin != NULL ? "Origin: " : "X: ", origin != NULL ? origin : "");
        ck_assert_int_eq(r.status, 200);
        stop();
    }
}
END_TEST

/* Refusals can be read by the pages that may, and preflights take no token. */
START_TEST(cors_on_refusals)
{
    start_keyed("--cors", "https://a.example");
    e2e_ask(&s, &r, "GET /acc/one HTTP/1.1\r\nHost: test\r\nOrigin: https://a.example\r\n\r\n");
    ck_assert_int_eq(r.status, 401);
    ck_assert_str_eq(e2e_field(&r, "Access-Control-Allow-Origin"), "https://a.example");
    ck_assert_str_eq(e2e_field(&r, "Access-Control-Allow-Credentials"), "true");
    ck_assert(e2e_field_has(&r, "Vary", "Origin"));
    ck_assert(e2e_field_has(&r, "Access-Control-Expose-Headers", "WWW-Authenticate"));
    e2e_ask(&s, &r,
            "OPTIONS /acc/one HTTP/1.1\r\nHost: test\r\nOrigin: https://a.example\r\n"
            "Access-Control-Request-Method: POST\r\n"
            "Access-Control-Request-Headers: authorization\r\n\r\n");
    ck_assert_int_eq(r.status, 204);
    ck_assert(e2e_field_has(&r, "Access-Control-Allow-Headers", "authorization"));
    stop();
}
END_TEST

/* ---- without a token ------------------------------------------------------------------------- */

START_TEST(anonymous_with_keys)
{
    static const struct {
        const char *list;
        int get, post;
    } rows[] = {
        {"subscribe", 200, 401},
        {"publish", 401, 201},
        {"publish,subscribe", 200, 201},
        {"none", 401, 401},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        start_keyed("--anonymous", rows[i].list);
        e2e_ask(&s, &r, "GET /acc/one HTTP/1.1\r\nHost: test\r\n\r\n");
        ck_assert_int_eq(r.status, rows[i].get);
        e2e_ask(&s, &r, "POST /acc/one HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx");
        ck_assert_int_eq(r.status, rows[i].post);
        /* one that is there must be good all the same */
        e2e_ask(&s, &r, "GET /acc/one?access_token=a.b.c HTTP/1.1\r\nHost: test\r\n\r\n");
        ck_assert_int_eq(r.status, 401);
        stop();
    }
}
END_TEST

/* What is the server's own: health for all, figures at --admin. */
START_TEST(own_paths)
{
    start_keyed(NULL, NULL);
    e2e_ask(&s, &r, "GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n");
    ck_assert_int_eq(r.status, 200);
    e2e_ask(&s, &r, "GET /-/ready HTTP/1.1\r\nHost: test\r\n\r\n");
    ck_assert_int_eq(r.status, 200);
    ck_assert_int_ge(metric(&s, "key_loads_total"), 1);
    stop();
}
END_TEST

/* Without keys tokens mean nothing: they are neither needed nor looked at. */
START_TEST(tokens_without_keys)
{
    e2e_start(&s, NULL);
    e2e_ask(&s, &r, "GET /a?access_token=a.b.c HTTP/1.1\r\nHost: t\r\nAuthorization: x y\r\n\r\n");
    ck_assert_int_eq(r.status, 204);
    e2e_stop(&s);
}
END_TEST

/* A token that is longer than a request line may be is a request line that is too long. */
START_TEST(oversized_by_default)
{
    program_make();
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), NULL);
    e2e_ask(&s, &r, "GET /a?access_token=%s HTTP/1.1\r\nHost: t\r\n\r\n",
            token_kind(OVERSIZED, false));
    e2e_expect_status(&r, 414, "--max-line");
    stop();
}
END_TEST

/* ---- failures -------------------------------------------------------------------------------- */

START_TEST(failures_are_limited)
{
    program_make();
    e2e_start(&s, "--key-file", keys_write(TOKENS_KEYS, 0600), "--admin", "127.0.0.1:0",
              "--max-failures", "3", NULL);
    for (int i = 0; i < 3; i++) {
        e2e_ask(&s, &r, "GET /a HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer a.b.c\r\n\r\n");
        ck_assert_int_eq(r.status, 401);
    }
    e2e_ask(&s, &r, "GET /a HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer a.b.c\r\n\r\n");
    e2e_expect_status(&r, 429, "--max-failures");
    int after = atoi(e2e_field(&r, "Retry-After"));
    ck_assert_int_ge(after, 1);
    ck_assert_int_le(after, 21);
    ck_assert(e2e_field_has(&r, "Connection", "close"));
    /* who has a good one, or none, goes on */
    e2e_ask(&s, &r, "GET /a HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n\r\n",
            token_good(NULL, GOOD, 0));
    ck_assert_int_eq(r.status, 204);
    e2e_ask(&s, &r, "GET /a HTTP/1.1\r\nHost: t\r\n\r\n");
    ck_assert_int_eq(r.status, 401);
    ck_assert_int_eq(metric(&s, "tokens_refused_total"), 4);
    ck_assert_int_eq(metric(&s, "limit_max_failures_total"), 1);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("access");
    TCase *tc = tcase_create("access");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_way_place_and_kind, 0, (int)COUNT(ways));
    tcase_add_test(tc, header_before_query_before_cookie);
    tcase_add_test(tc, what_is_no_bearer_token);
    tcase_add_test(tc, cookies_count_for_some_pages);
    tcase_add_test(tc, cors_on_refusals);
    tcase_add_test(tc, anonymous_with_keys);
    tcase_add_test(tc, own_paths);
    tcase_add_test(tc, tokens_without_keys);
    tcase_add_test(tc, oversized_by_default);
    tcase_add_test(tc, failures_are_limited);
    suite_add_tcase(suite, tc);
    return run(suite);
}
