/*
 * serve_submit.c - lib/serve without sockets: publishing, by every way its bytes can come. What
 * is refused: test/unit/serve.c.
 */
#include "test/kit/serve_unit.h"

/* ---- by example ------------------------------------------------------------------------------ */

/* Requests, and what they put into the ring. */
static const struct {
    int line;
    unsigned setup;
    const char *request;
    int status; /* of the first answer */
    const char *ring, *body;
} posts[] = {
    {__LINE__, PLAIN, "POST /n" SIZED(5) "hello", 201, "1 n [|hello]\n",
     "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "PUT /n/m?event=a+b%c3%a9" SIZED(0), 201, "1 n/m [a b\xC3\xA9|]\n",
     "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n?event=" END, 201, "1 n [|]\n",
     "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /%66%c3%bc%2Fx%20y" SIZED(2) "a\n", 201, "1 f\xC3\xBC/x y [|a\n]\n",
     "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN,
     "POST /n" H "Content-Type: Application/Octet-Stream\r\nContent-Length: 2\r\n"
     "\r\n\xFF\xFE",
     201, "1 n <|\xFF\xFE>\n", "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n" H "Content-Encoding: Identity\r\nContent-Length: 1\r\n\r\nx", 201,
     "1 n [|x]\n", "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n?event=e" CHUNKED "\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: r\r\n\r\n",
     201, "1 n [e|abcde]\n", "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n" CHUNKED "\r\n0\r\n\r\n", 201, "1 n [|]\n",
     "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n" SIZED(400) X400, 201, "1 n [|" X400 "]\n",
     "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n" CHUNKED "\r\n190\r\n" X400 "\r\n0\r\n\r\n", 201,
     "1 n [|" X400 "]\n", "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, REMOTE | ANYONE, "POST /n" SIZED(1) "x", 201, "1 n [|x]\n",
     "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, ONLY, "POST /orders/1" SIZED(1) "x", 201, "1 orders/1 [|x]\n",
     "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, FULL, "POST /full" SIZED(1) "y", 201, "1 full [|x]\n2 full [|y]\n",
     "{\"id\":\"1000-2\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n" H "Origin: http://H\r\nContent-Length: 1\r\n\r\nx", 201,
     "1 n [|x]\n", "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, CORS, "POST /n" H "Origin: https://a.example\r\nContent-Length: 1\r\n\r\nx", 201,
     "1 n [|x]\n", "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    /* one after the other */
    {__LINE__, PLAIN,
     "POST /a" SIZED(1) "x\r\nGET /-/healthy" END "POST /b" CHUNKED "\r\n1\r\ny\r\n0\r\n\r\n"
                        "POST /c" SIZED(2) "zz",
     201, "1 a [|x]\n2 b [|y]\n3 c [|zz]\n", "{\"id\":\"1000-1\",\"subscribers\":0}\n"},
    {__LINE__, PLAIN,
     "POST /a" SIZED(2) "\xFF"
                        "xPOST /b" SIZED(1) "y",
     415, "1 b [|y]\n", NULL},
    {__LINE__, PLAIN, "POST /-/x" SIZED(1) "xPOST /b" SIZED(1) "y", 404, "", NULL},
    {__LINE__, PLAIN, "POST /n" CHUNKED "\r\n3\r\nabcx", 400, "", NULL},
    {__LINE__, PLAIN, "POST /n" SIZED(3) "ab", 0, "", NULL},
    /* batches */
    {__LINE__, PLAIN, "POST /n" H NDJSON "\r\n", 200, "",
     "{\"id\":null,\"count\":0,\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n" H NDJSON "Expect: 100-continue\r\n\r\nPOST /n" SIZED(1) "x", 200,
     "1 n [|x]\n", "{\"id\":null,\"count\":0,\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n" CHUNKED EVENTS "\r\n0\r\n\r\n", 200, "",
     "{\"id\":null,\"count\":0,\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n" H EVENTS "Content-Length: 9\r\n\r\n: nothing", 200, "",
     "{\"id\":null,\"count\":0,\"subscribers\":0}\n"},
    {__LINE__, PLAIN,
     "POST /n?event=e" H NDJSON "Content-Length: 55\r\n\r\n"
     "1\r\n\n{\"event\":\"f\",\"data\":\"\\u00e9\"}\n{\"base64\":\"/w==\"}\n\"x\"",
     201, "1 n [e|1]\n2 n [f|\xC3\xA9]\n3 n <e|\xFF>\n4 n [e|\"x\"]\n",
     "{\"id\":\"1000-4\",\"count\":4,\"subscribers\":0}\n"},
    {__LINE__, PLAIN,
     "POST /n" CHUNKED EVENTS "\r\n"
     "2b\r\nretry: 5\nid: 1-2\n\nevent: f\r\ndata: a\r\ndata:\r\r\n5\r\n\n:x\n\n\r\n6\r\ndata:b\r\n"
     "0\r\n\r\nPOST /m" SIZED(1) "x",
     201, "1 n [f|a\n]\n2 n [|b]\n3 m [|x]\n",
     "{\"id\":\"1000-2\",\"count\":2,\"subscribers\":0}\n"},
    /* batches that fail: what was before is published, and told */
    {__LINE__, PLAIN,
     "POST /n" H NDJSON "Content-Length: 8\r\n\r\n1\n2\nx\n3\nPOST /m" SIZED(1) "x", 400,
     "1 n [|1]\n2 n [|2]\n",
     "line 3 (2 messages before it are published): is not JSON, or nests too deep"},
    {__LINE__, PLAIN,
     "POST /n" CHUNKED NDJSON "\r\n4\r\n1\n2\n\r\n18\r\n{\"event\":\"gap\",\"data\":3}\r\n"
     "0\r\n\r\n",
     201, "1 n [|1]\n2 n [|2]\n3 n [|{\"event\":\"gap\",\"data\":3}]\n",
     "{\"id\":\"1000-3\",\"count\":3,\"subscribers\":0}\n"},
    {__LINE__, PLAIN,
     "POST /n" H NDJSON "Content-Length: 33\r\n\r\n1\n\n{\"event\":\"gap\",\"data\":\"3\"}\n2\n3",
     400, "1 n [|1]\n",
     "line 3 (1 message before it is published): event name gap is one of the server's own"},
    {__LINE__, PLAIN,
     "POST /n" H NDJSON "Content-Length: 34\r\n\r\n{\"event\":\"a\\nb\\u0000\",\"data\":\"3\"}\n",
     400, "", "line 1 (0 messages before it are published): event name a?b? holds a CR, LF or NUL"},
    {__LINE__, PLAIN, "POST /n" H EVENTS "Content-Length: 20\r\n\r\ndata: 1\n\ndata: \xFF\n\nda",
     415, "1 n [|1]\n",
     "line 4 (1 message before it is published): byte 0 of the data is not UTF-8; binary data is "
     "sent as application/octet-stream"},
    {__LINE__, PLAIN, "POST /n" CHUNKED NDJSON "\r\n2\r\n1\n\r\n192\r\n\"" X398 "x\"\n\r\n", 413,
     "1 n [|1]\n", NULL},
    {__LINE__, PLAIN, "POST /n" CHUNKED NDJSON "\r\n191\r\n\"" X398 "\"\n\r\n0\r\n\r\n", 201,
     "1 n [|\"" X398 "\"]\n", "{\"id\":\"1000-1\",\"count\":1,\"subscribers\":0}\n"},
    {__LINE__, PLAIN, "POST /n" CHUNKED NDJSON "\r\n4\r\n1\n2\n\r\nx", 400, "1 n [|1]\n2 n [|2]\n",
     "line 3 (2 messages before it are published): " NO_CHUNKS "byte 0x78 is out of place"},
    {__LINE__, PLAIN, "POST /n" CHUNKED NDJSON "\r\n4\r\n1\n2\n\r\n1\r\n3\r\n0\r\n:", 400,
     "1 n [|1]\n2 n [|2]\n", NULL},
    {__LINE__, PLAIN, "POST /n" H NDJSON "Connection: close\r\nContent-Length: 3\r\n\r\n1\n2", 201,
     "1 n [|1]\n2 n [|2]\n", "{\"id\":\"1000-2\",\"count\":2,\"subscribers\":0}\n"},
};

START_TEST(publishes)
{
    struct unit u = make(posts[_i].setup);
    struct conn *c = client(&u, posts[_i].setup);
    char bytes[16 << 10];
    struct text ring = text_in(bytes, sizeof(bytes));
    feed_str(&u, c, posts[_i].request);
    ring_dump(u.s, &ring);
    ck_assert_msg(span_eq(text_span(&ring), span_of(posts[_i].ring)), "line %d: %.*s",
                  posts[_i].line, (int)ring.n, ring.p);
    if (posts[_i].status == 0) {
        ck_assert_uint_eq(u.got.n, 0);
        unit_free(&u);
        return;
    }
    struct span got = text_span(&u.got);
    struct answer a = answer_cut(u.s, &got, false);
    ck_assert_msg(a.status == posts[_i].status, "line %d: %.*s", posts[_i].line, (int)u.got.n,
                  u.got.p);
    if (posts[_i].body != NULL)
        ck_assert_msg(a.status < 400 ? span_eq(a.body, span_of(posts[_i].body))
                                     : is_problem(&a, posts[_i].body),
                      "line %d: %.*s", posts[_i].line, (int)a.body.n, a.body.p);
    unit_free(&u);
}
END_TEST

/* ---- however it comes ------------------------------------------------------------------------ */

START_TEST(publishes_however_it_comes)
{
    check_splits(posts[_i].line, posts[_i].setup, span_of(posts[_i].request));
}
END_TEST

/* Random requests in a row, whole and in pieces. */
START_TEST(random_requests)
{
    static const char *const pieces[] = {
        "POST /a" SIZED(3) "abc",
        "POST /b?event=e" SIZED(0),
        "PUT /a" CHUNKED "\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        "POST /a" CHUNKED NDJSON "\r\n5\r\n1\n2\n3\r\n2\r\n4\n\r\n0\r\n\r\n",
        "POST /a" H EVENTS "Content-Length: 20\r\n\r\ndata: x\n\ndata: y\r\n\r\n",
        "GET /-/healthy" END,
        "HEAD /-/healthy" END,
        "OPTIONS /a" END,
        "GET /a" END,
        "POST /a//b" END,
        "POST /a" SIZED(1) "\xFF",
        "\r\n",
        "GET /-/healthy HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    };
    static struct outcome want, got;
    uint64_t start = seed(), state = start;
    for (int k = 0; k < 300; k++) {
        char bytes[4096];
        size_t sizes[200];
        struct text t = text_in(bytes, sizeof(bytes));
        for (uint64_t n = 1 + random_next(&state) % 8; n > 0; n--)
            text_str(&t, pieces[random_next(&state) % COUNT(pieces)]);
        run_split(&want, PLAIN, text_span(&t), &t.n, 1);
        for (size_t i = 0; i < COUNT(sizes); i++)
            sizes[i] = 1 + random_next(&state) % (random_next(&state) % 2 == 0 ? 5 : 150);
        run_split(&got, PLAIN, text_span(&t), sizes, COUNT(sizes));
        check_same(&want, &got, __LINE__, "SSE_SEED", start);
    }
}
END_TEST

/* ---- what else there is to it ---------------------------------------------------------------- */

START_TEST(continues)
{
    struct unit u = make(PLAIN);
    struct conn *c = client(&u, PLAIN);
    feed_str(&u, c, "POST /n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    struct span got = text_span(&u.got);
    ck_assert(span_eq(got, SPAN("HTTP/1.1 100 Continue\r\n\r\n")));
    ck_assert_uint_eq(c->state, CONN_BODY);
    unit_clear(&u);
    feed_str(&u, c, "hi");
    ck_assert_int_eq(answer_only(&u, false).status, 201);
    unit_clear(&u);
    /* the body is here: nobody waits */
    feed_str(&u, c, "POST /n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi");
    ck_assert_int_eq(answer_only(&u, false).status, 201);
    unit_clear(&u);
    /* refused: the final status, and no 100 */
    feed_str(&u, c, "POST /n" H "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n");
    ck_assert_int_eq(answer_only(&u, false).status, 413);
    unit_free(&u);
}
END_TEST

/* The subscribers of a topic are told, those of its sets as well. */
START_TEST(counts_subscribers)
{
    static const char *const paths[] = {"/n", "/n,m", "/*", "/m"};
    struct unit u = make(PLAIN);
    for (int i = 0; i < 4; i++) {
        char request[100];
        struct conn *s = unit_open(&u, 4 + i);
        snprintf(request, sizeof(request), "GET %s" STREAM, paths[i]);
        feed_str(&u, s, request);
        ck_assert_uint_eq(s->state, CONN_STREAM);
    }
    unit_clear(&u);
    struct conn *c = client(&u, PLAIN);
    feed_str(&u, c, "POST /n" SIZED(1) "x");
    ck_assert(
        span_eq(answer_only(&u, false).body, SPAN("{\"id\":\"1000-1\",\"subscribers\":3}\n")));
    unit_clear(&u);
    feed_str(&u, c, "POST /n" H NDJSON "Content-Length: 4\r\n\r\n1\n2\n");
    ck_assert(span_eq(answer_only(&u, false).body,
                      SPAN("{\"id\":\"1000-3\",\"count\":2,\"subscribers\":3}\n")));
    for (uint32_t fd = 4; fd < 8; fd++)
        topic_unsubscribe(&u.s->topics, fd);
    unit_free(&u);
}
END_TEST

/* A batch may hold far more than a buffer's messages. */
START_TEST(long_batches)
{
    struct unit u = make(PLAIN);
    struct conn *c = client(&u, PLAIN);
    feed_str(&u, c, "POST /n" H NDJSON "Content-Length: 1000000\r\n\r\n");
    char piece[5000];
    memset(piece, '\n', sizeof(piece));
    for (size_t i = 0; i < sizeof(piece); i += 10)
        memcpy(piece + i, "123456789", 9);
    for (int i = 0; i < 200; i++) {
        ck_assert_uint_eq(c->state, CONN_BODY);
        ck_assert_uint_le(pool_used(&u.s->clients.conns.buffers), 8 << 10);
        feed(&u, c, (struct span){piece, sizeof(piece)});
    }
    struct answer a = answer_only(&u, false);
    ck_assert(
        span_eq(a.body, SPAN("{\"id\":\"1000-100000\",\"count\":100000,\"subscribers\":0}\n")));
    ck_assert_uint_eq(u.s->stat.published, 100000);
    ck_assert_uint_eq(u.s->stat.published_bytes, 900000);
    ck_assert_uint_eq(u.s->stat.evicted, 100000 - ring_count(&u.s->ring));
    unit_free(&u);
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *s = suite_create("put");
    TCase *publishing = tcase_create("publishing"), *splits = tcase_create("splits");
    tcase_add_loop_test(publishing, publishes, 0, COUNT(posts));
    tcase_add_test(publishing, continues);
    tcase_add_test(publishing, counts_subscribers);
    tcase_add_test(publishing, long_batches);
    suite_add_tcase(s, publishing);
    tcase_set_timeout(splits, 60);
    tcase_add_loop_test(splits, publishes_however_it_comes, 0, COUNT(posts));
    tcase_add_test(splits, random_requests);
    suite_add_tcase(s, splits);
    return run(s);
}
