/*
 * serve.c - lib/serve without sockets: routes, refusals and what they say, whose pages may read it,
 * what is too late. Publishing: test/unit/serve_submit.c; subscribing: test/unit/serve_start.c.
 */
#include "lib/serve/publish.h"
#include "lib/serve/quote.h"
#include "lib/serve/route.h"
#include "test/kit/serve_unit.h"

/* ---- refusals -------------------------------------------------------------------------------- */

#define NOTHING_AT(path)                                                 \
    "there is nothing at " path ": a topic is a path as /news, and the " \
    "server's own are /, /-/sse.js, /-/healthy, /-/ready, /-/metrics, /-/topics and /-/revoke"
#define NO_HTTP        "the request is not well-formed HTTP/1.1 (RFC 9112): "
#define NO_MQTT        "has + or # as a segment: the wildcards are *, one segment, and **, all below"
#define NOT_HERE(name) "there is no topic " name ": this server has only those that --topic names"
#define OTHER          " HTTP/1.1\r\nHost: evil.example:8080\r\n"
#define FOREIGN                                                                             \
    "the Host of this request, evil.example, is none of this server's: --host evil.example" \
    " makes it one"
#define FOREIGN_PUBLISH                                         \
    "publishing is for clients on this host; " FOREIGN ", and " \
    "--anonymous publish opens it to all"
#define NOT_PAGES(o)   "pages of " o " may not publish here; --cors " o " lets them"
#define NO_HOST        "publishing is for clients on this host; --anonymous publish opens it to all"
#define TOO_LARGE      "a message has at most 400 bytes here (--max-message)"
#define NO_MORE_TOPICS "there are as many topics as may be, 1 (--max-topics)"
#define NO_ROOM                                                                      \
    "no room for the request: 2097152 bytes of requests and answers are in transit " \
    "(--max-buffers)"
#define NO_FORM                                                \
    "a topic is read as text/event-stream, application/json, " \
    "application/x-ndjson or text/plain"
#define SOCKET(version, key)                                                         \
    H "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: " version \
      "\r\nSec-WebSocket-Key: " key "\r\n\r\n"
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static const struct {
    int line;
    unsigned setup;
    const char *request;
    int status;
    bool close;
    const char *fields; /* of the answer; "": none to look for */
    const char *detail;
} refusals[] = {
    /* routes */
    {__LINE__, PLAIN, "POST /" SIZED(1) "x", 405, true, "Allow: GET, HEAD, OPTIONS\r\n",
     "this is read with GET; a message is published to a topic, a path as /news, or here in a line "
     "of "
     "NDJSON that names its topic"},
    {__LINE__, PLAIN, "PUT /-/sse.js" SIZED(1) "x", 405, true, "Allow: GET, HEAD, OPTIONS\r\n",
     "this is read with GET"},
    {__LINE__, PLAIN, "GET /-" END, 404, false, "", NOTHING_AT("/-")},
    {__LINE__, PLAIN, "GET /-/" STREAM, 404, false, "", NOTHING_AT("/-/")},
    {__LINE__, PLAIN, "GET /-x" STREAM, 404, false, "", NOTHING_AT("/-x")},
    {__LINE__, PLAIN, "GET /%2d/a%01%ff%c3%a9" END, 404, false, "",
     NOTHING_AT("/%2d/a%01%ff%c3%a9")},
    /* what only decodes to one of the server's own is none */
    {__LINE__, PLAIN, "GET /-%2Fmetrics" END, 404, false, "", NOTHING_AT("/-%2Fmetrics")},
    {__LINE__, PLAIN, "GET /%2D/metrics" END, 404, false, "", NOTHING_AT("/%2D/metrics")},
    {__LINE__, PLAIN, "GET /%2d%2fready" END, 404, false, "", NOTHING_AT("/%2d%2fready")},
    {__LINE__, PLAIN, "GET /-/%6Detrics" END, 404, false, "", NOTHING_AT("/-/%6Detrics")},
    {__LINE__, PLAIN, "GET /%2Dready" STREAM, 404, false, "", NOTHING_AT("/%2Dready")},
    {__LINE__, PLAIN, "POST /%2D/topics" SIZED(0), 404, false, "", NOTHING_AT("/%2D/topics")},
    {__LINE__, PLAIN, "GET http://h/-%2Ftopics" END, 404, false, "", NOTHING_AT("/-%2Ftopics")},
    {__LINE__, PLAIN, "GET http://h/%2D/topics" END, 404, false, "", NOTHING_AT("/%2D/topics")},
    {__LINE__, PLAIN, "GET //-/metrics" END, 400, false, "", "/-/metrics has an empty segment"},
    {__LINE__, PLAIN, "GET /./-/metrics" END, 400, true, "",
     NO_HTTP "the path has . or .. as a segment"},
    {__LINE__, PLAIN, "GET /a,-/metrics" END, 400, false, "", "a,-/metrics begins with \"-\""},
    /* of this host, but meant for another: a name that was pointed here (DNS rebinding) */
    {__LINE__, PLAIN, "POST /n" OTHER "Origin: http://evil.example:80\r\n\r\n", 403, false, "",
     FOREIGN_PUBLISH},
    {__LINE__, PLAIN, "PUT http://evil.example/n" H "\r\n", 403, false, "", FOREIGN_PUBLISH},
    {__LINE__, PLAIN, "GET /-/metrics" OTHER "\r\n", 403, false, "", FOREIGN},
    {__LINE__, PLAIN, "GET /-/topics" OTHER "\r\n", 403, false, "", FOREIGN},
    {__LINE__, REMOTE, "GET /-/topics" OTHER "\r\n", 403, false, "", FOREIGN},
    {__LINE__, ANYONE, "GET /-/topics" OTHER "\r\n", 403, false, "", FOREIGN},
    {__LINE__, PLAIN, "POST /-/healthy" SIZED(1) "x", 405, true, "Allow: GET, HEAD, OPTIONS\r\n",
     "this is read with GET"},
    {__LINE__, PLAIN, "PUT /-/metrics" END, 405, false, "Allow: GET, HEAD, OPTIONS\r\n",
     "this is read with GET"},
    {__LINE__, PLAIN, "PATCH /news" END, 405, false, ALLOWED, "PATCH is not for topics"},
    {__LINE__, PLAIN, "PATCH /news" SIZED(2) "xx", 405, true, ALLOWED, "PATCH is not for topics"},
    {__LINE__, PLAIN, "GET /news" H "Accept: text/html\r\n\r\n", 406, false, "", NO_FORM},
    {__LINE__, PLAIN, "GET /news" H "Accept: */*;q=0\r\n\r\n", 406, false, "", NO_FORM},
    {__LINE__, PLAIN, "GET /news" H "Accept: text/event-stream;q=0\r\n\r\n", 406, false, "",
     NO_FORM},
    {__LINE__, PLAIN, "GET /news" H "Accept: image/*\r\nContent-Length: 3\r\n\r\nxxx", 406, true,
     "", NO_FORM},
    {__LINE__, PLAIN, "GET /news?wait=5" H "Accept: text/html\r\n\r\n", 406, false, "", NO_FORM},
    /* polls */
    {__LINE__, PLAIN, "GET /news" H "Last-Event-ID: news\r\n\r\n", 400, false, "",
     "the cursor news is no id of a message (MS-N)"},
    {__LINE__, PLAIN, "GET /news?last-event-id=%zz" END, 400, false, "",
     "the cursor ? is no id of a message (MS-N)"},
    {__LINE__, PLAIN, "GET /news?wait=5" H "If-None-Match: \"x\"\r\n\r\n", 400, false, "",
     "the cursor \"x\" is no id of a message (MS-N)"},
    {__LINE__, PLAIN, "GET /news?since=tomorrow" END, 400, false, "",
     "since=tomorrow: must be an id, earliest, now, a duration as 10m, a unix time, or -N"},
    {__LINE__, PLAIN, "GET /a//b" END, 400, false, "", "a//b has an empty segment"},
    {__LINE__, ONLY, "GET /weather?wait=1" END, 404, false, "", NOT_HERE("weather")},
    {__LINE__, FULL, "GET /news" END, 503, false, "Retry-After: 10\r\n", NO_MORE_TOPICS},
    /* WebSocket */
    {__LINE__, PLAIN, "GET /news" SOCKET("12", KEY), 426, false, "Sec-WebSocket-Version: 13\r\n",
     "only version 13 of WebSocket is spoken here (Sec-WebSocket-Version)"},
    {__LINE__, PLAIN, "GET /news" SOCKET("13", "AAAA"), 400, false, "",
     "Sec-WebSocket-Key must be 16 bytes in base64"},
    {__LINE__, PLAIN, "GET /a//b" SOCKET("13", KEY), 400, false, "", "a//b has an empty segment"},
    {__LINE__, ONLY, "GET /weather" SOCKET("13", KEY), 404, false, "", NOT_HERE("weather")},
    {__LINE__, FULL, "GET /news" SOCKET("13", KEY), 503, false, "Retry-After: 10\r\n",
     NO_MORE_TOPICS},
    {__LINE__, PLAIN,
     "GET /news" H "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
     "Sec-WebSocket-Key: " KEY "\r\nOrigin: http://evil\r\n\r\n",
     403, false, "", "pages of http://evil may not connect here; --cors http://evil lets them"},
    /* HTTP */
    {__LINE__, PLAIN, "GET news" END, 400, true, "",
     NO_HTTP "the target is neither a path, which begins with /, nor an http:// URL"},
    {__LINE__, PLAIN, "GET /n HTTP/1.1\r\n\r\n", 400, true, "", NO_HTTP "there is no Host field"},
    {__LINE__, PLAIN, "GET /a\"b" END, 400, true, "",
     NO_HTTP "byte 0x22 at 6 cannot stand in the path"},
    {__LINE__, PLAIN, "GET /a?b\x7f" END, 400, true, "",
     NO_HTTP "byte 0x7f at 8 cannot stand in the query"},
    {__LINE__, PLAIN, "GET /a%4" END, 400, true, "",
     NO_HTTP "the path has a % without two hex digits"},
    {__LINE__, PLAIN, "GET /a%00" END, 400, true, "", NO_HTTP "the path holds %00"},
    {__LINE__, PLAIN, "GET /a/../b" END, 400, true, "",
     NO_HTTP "the path has . or .. as a segment"},
    {__LINE__, PLAIN, "GET *" END, 400, true, "", NO_HTTP "the target * is for OPTIONS alone"},
    {__LINE__, PLAIN, "GET /a HTTP/1.1\nHost: h\n\n", 400, true, "",
     NO_HTTP "byte 0x0a at 15 cannot stand where HTTP/1.1 and a line end (CRLF) should be"},
    {__LINE__, PLAIN, "GET /a HTTP/1.1\r\nHost : h\r\n\r\n", 400, true, "",
     NO_HTTP "byte 0x20 at 21 cannot stand in a field's name"},
    {__LINE__, PLAIN, "GET /a HTTP/1.1\r\n folded\r\n\r\n", 400, true, "",
     NO_HTTP "byte 0x20 at 17 cannot stand where a field's name should be"},
    {__LINE__, PLAIN, "GET /a HTTP/1.1\r\nHost: h\x01\r\n\r\n", 400, true, "",
     NO_HTTP "byte 0x01 at 24 cannot stand in a field's value"},
    {__LINE__, PLAIN, "GET /a" H "Host: h\r\n\r\n", 400, true, "",
     NO_HTTP "there are two Host fields"},
    {__LINE__, PLAIN, "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", 400, true, "",
     NO_HTTP "Host is not a host and a port"},
    {__LINE__, PLAIN, "POST /a" H "Content-Length: x\r\n\r\n", 400, true, "",
     NO_HTTP "Content-Length is not a number below 2^63"},
    {__LINE__, PLAIN, "POST /a" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, true, "",
     NO_HTTP "there are two Content-Length fields"},
    {__LINE__, PLAIN, "POST /a" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
     true, "", NO_HTTP "there are both Content-Length and Transfer-Encoding"},
    {__LINE__, PLAIN, "POST /a" H "Transfer-Encoding: chunked, gzip\r\n\r\n", 400, true, "",
     NO_HTTP "Transfer-Encoding is not a list of codings with chunked last"},
    {__LINE__, PLAIN, "\x16\x03\x01\x02", 400, true, "",
     NO_HTTP "this is TLS, and plain HTTP is spoken here; a proxy in front has TLS"},
    {__LINE__, PLAIN, "GET /news" H "Sec-WebSocket-Key: " KEY "\r\n\r\n", 426, false,
     "Upgrade: websocket\r\n",
     "Sec-WebSocket-Key came without Upgrade: websocket and Connection: Upgrade: a proxy on the "
     "way "
     "dropped them, and must forward them"},
    {__LINE__, PLAIN, "GET /news?wait=abc" END, 400, false, "",
     "wait=abc: must be seconds, or a duration as 30s or 1m"},
    {__LINE__, PLAIN, "GET /news?heartbeat=on" END, 400, false, "", "heartbeat=on: must be event"},
    {__LINE__, PLAIN, "GET /news/%23" END, 400, false, "", "news/# " NO_MQTT},
    {__LINE__, PLAIN, "GET /a,+/b" STREAM, 400, false, "", "a,+/b " NO_MQTT},
    {__LINE__, PLAIN, "POST /a/+" SIZED(1) "x", 400, false, "", "topic a/+ " NO_MQTT},
    {__LINE__, PLAIN, "GET /news?LAST_event-ID=x" END, 400, false, "",
     "the cursor x is no id of a message (MS-N)"},
    {__LINE__, PLAIN, "GET /news?lastEventID=y" END, 400, false, "",
     "the cursor y is no id of a message (MS-N)"},
    {__LINE__, PLAIN, "GET /" X1000 " ", 414, true, "",
     "a request line has at most 1000 bytes here (--max-line)"},
    {__LINE__, PLAIN, "GET /n" H "A: " X1000 X1000 "\r\nB: " X1000 "\r\n", 431, true, "",
     "a request head has at most 3000 bytes here (--max-head), and 64 fields of use"},
    {__LINE__, PLAIN, "POST /n" H "Expect: wonders\r\n\r\n", 417, true, "",
     "the only expectation understood is 100-continue"},
    {__LINE__, PLAIN, "BREW /n" END, 501, true, "",
     "the method or the Transfer-Encoding is not one this server knows"},
    {__LINE__, PLAIN, "POST /n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, true, "",
     "the method or the Transfer-Encoding is not one this server knows"},
    {__LINE__, PLAIN, "GET /n HTTP/2.0\r\n\r\n", 505, true, "",
     "only HTTP/1.0 and HTTP/1.1 are spoken here"},
    /* who may publish, where */
    {__LINE__, REMOTE, "POST /news" SIZED(1) "x", 403, true, "", NO_HOST},
    {__LINE__, REMOTE | ONLY, "POST /a//b" SIZED(0), 403, false, "", NO_HOST},
    {__LINE__, PLAIN, "POST /news" H "Origin: http://evil\r\nContent-Length: 1\r\n\r\nx", 403, true,
     "", NOT_PAGES("http://evil")},
    {__LINE__, REMOTE | ANYONE, "POST /n" H "Origin: null\r\n\r\n", 403, false, "",
     "pages of origin null may not publish here, as any page can be of it"},
    {__LINE__, CORS, "POST /n" H "Origin: https://b.example\r\n\r\n", 403, false,
     "Vary: Origin\r\n", NOT_PAGES("https://b.example")},
    {__LINE__, CORS, "POST /n" H "Origin: https://a.example\r\nContent-Length: 5000\r\n\r\n", 413,
     true, "Access-Control-Allow-Origin: https://a.example\r\n", TOO_LARGE},
    {__LINE__, PLAIN, "POST /a//b" SIZED(1) "x", 400, true, "", "topic a//b has an empty segment"},
    {__LINE__, PLAIN, "POST /a/" END, 400, false, "", "topic a/ has an empty segment"},
    {__LINE__, PLAIN, "POST /a,b" END, 400, false, "", "topic a,b has a comma"},
    {__LINE__, PLAIN, "POST /a/*" END, 400, false, "", "topic a/* has a \"*\""},
    {__LINE__, PLAIN, "POST /a%01b%0D%0Ac" END, 400, false, "", "topic a?b??c has a control byte"},
    {__LINE__, PLAIN, "POST /a%ffb" END, 400, false, "", "topic a?b is not UTF-8"},
    {__LINE__, PLAIN, "POST /" X127 X127 "xx" END, 400, false, "",
     "topic " X127 " is longer than 255 bytes"},
    {__LINE__, ONLY, "POST /weather" SIZED(1) "x", 404, true, "", NOT_HERE("weather")},
    {__LINE__, ONLY, "POST /orders" END, 404, false, "", NOT_HERE("orders")},
    {__LINE__, ONLY, "POST /orders/1/2" END, 404, false, "", NOT_HERE("orders/1/2")},
    /* what is published */
    {__LINE__, PLAIN, "POST /n" H "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 415, true,
     "Accept-Encoding: identity\r\n", "no Content-Encoding is understood"},
    {__LINE__, PLAIN, "POST /n?event=%zz" END, 400, false, "", "event= has bad percent-encoding"},
    {__LINE__, PLAIN, "POST /n?event=a%0Ab" END, 400, false, "",
     "event name a?b holds a CR, LF or NUL"},
    {__LINE__, PLAIN, "POST /n?event=a%00b" END, 400, false, "",
     "event name a?b holds a CR, LF or NUL"},
    {__LINE__, PLAIN, "POST /n?event=%c3%28" END, 400, false, "", "event name ?( is not UTF-8"},
    {__LINE__, PLAIN, "POST /n?event=gap" SIZED(1) "x", 400, true, "",
     "event name gap is one of the server's own"},
    {__LINE__, PLAIN, "POST /n?event=" X127 X127 "xx" END, 400, false, "",
     "event name " X127 " is longer than 255 bytes"},
    {__LINE__, PLAIN, "POST /n" SIZED(401), 413, true, "", TOO_LARGE},
    {__LINE__, PLAIN, "POST /n" SIZED(9223372036854775807), 413, true, "", TOO_LARGE},
    {__LINE__, PLAIN, "POST /n" CHUNKED "\r\n191\r\n" X400 "x", 413, true, "", TOO_LARGE},
    {__LINE__, PLAIN,
     "POST /n" SIZED(4) "ab\xFF"
                        "c",
     415, false, "",
     "byte 2 of the data is not UTF-8; binary data is sent as application/octet-stream"},
    {__LINE__, PLAIN, "POST /n" CHUNKED "\r\n2\r\na\xC3\r\n0\r\n\r\n", 415, false, "",
     "byte 1 of the data is not UTF-8; binary data is sent as application/octet-stream"},
    {__LINE__, PLAIN, "POST /n" CHUNKED "\r\nx", 400, true, "",
     NO_CHUNKS "byte 0x78 is out of place"},
    {__LINE__, PLAIN, "POST /n" CHUNKED "\r\n1\r\nab", 400, true, "",
     NO_CHUNKS "byte 0x62 is out of place"},
    {__LINE__, FULL, "POST /n" SIZED(1) "x", 503, false, "Retry-After: 10\r\n", NO_MORE_TOPICS},
    {__LINE__, FULL, "POST /n" CHUNKED NDJSON "\r\n2\r\n1\n", 503, true, "Retry-After: 10\r\n",
     "line 1 (0 messages before it are published): " NO_MORE_TOPICS},
    {__LINE__, POOR, "POST /n" SIZED(2) "x", 503, true, "Retry-After: 1\r\n", NO_ROOM},
    {__LINE__, POOR, "POST /n" H NDJSON "Content-Length: 2\r\n\r\n1\n", 503, true,
     "Retry-After: 1\r\n", NO_ROOM},
    /* what is subscribed to */
    {__LINE__, PLAIN, "GET /a//b" STREAM, 400, false, "", "a//b has an empty segment"},
    {__LINE__, PLAIN, "GET /a,,b" STREAM, 400, false, "", "a,,b is empty"},
    {__LINE__, PLAIN, "GET /a*" STREAM, 400, false, "",
     "a* has a \"*\" that is not a whole segment"},
    {__LINE__, PLAIN, "GET /**/a" STREAM, 400, false, "",
     "**/a has \"**\" before its last segment"},
    {__LINE__, PLAIN, "GET /a,-b" STREAM, 400, false, "", "a,-b begins with \"-\""},
    {__LINE__, PLAIN, "GET /%ff" STREAM, 400, false, "", "? is not UTF-8"},
    {__LINE__, PLAIN, "GET /a,b,c,d,e" STREAM, 400, false, "",
     "a path selects at most 4 names and wildcards here (--max-subscriptions)"},
    {__LINE__, ONLY, "GET /weather,a,b,c,d" STREAM, 400, false, "",
     "a path selects at most 4 names and wildcards here (--max-subscriptions)"},
    {__LINE__, ONLY, "GET /weather" STREAM, 404, false, "", NOT_HERE("weather")},
    {__LINE__, ONLY, "GET /news,weather" STREAM, 404, false, "", NOT_HERE("weather")},
    {__LINE__, ONLY, "GET /news/*" STREAM, 404, false, "", NOT_HERE("news/*")},
    {__LINE__, PLAIN, "GET /a?since=tomorrow" STREAM, 400, false, "",
     "since=tomorrow: must be an id, earliest, now, a duration as 10m, a unix time, or -N"},
    {__LINE__, PLAIN, "GET /a?conflate=yes" STREAM, 400, false, "",
     "conflate=yes: must be 1 or 0, or nothing"},
    {__LINE__, PLAIN, "GET /a?conflate=%zz" END, 400, false, "",
     "conflate=?: must be 1 or 0, or nothing"},
    {__LINE__, PLAIN, "GET /a?since=%zz" STREAM, 400, false, "",
     "since=?: must be an id, earliest, now, a duration as 10m, a unix time, or -N"},
    /* over the limit */
    {__LINE__, SHED, "GET /-/topics" END, 503, true, "Retry-After: 5\r\n",
     "there are as many connections as may be, 10 (--max-connections)"},
    {__LINE__, SHED, "POST /n" H "Accept: text/event-stream\r\nContent-Length: 1\r\n\r\nx", 503,
     true, "Retry-After: 5\r\n", "there are as many connections as may be, 10 (--max-connections)"},
    {__LINE__, SHED | CROWD, "GET /-/sse.js" END, 503, true, "Retry-After: 5\r\n",
     "there are as many connections from one address as may be, 3 (--max-per-address)"},
};

/* Each is refused in so many words, counted and logged once, and leaves nothing behind. */
START_TEST(refuses)
{
    struct unit u = make(refusals[_i].setup);
    struct conn *c = client(&u, refusals[_i].setup);
    int line = refusals[_i].line;
    feed_str(&u, c, refusals[_i].request);
    ck_assert_msg(u.got.n > 0, "line %d: no answer", line);
    struct answer a = answer_only(&u, false);
    ck_assert_msg(a.status == refusals[_i].status, "line %d: %d", line, a.status);
    ck_assert_msg(is_problem(&a, refusals[_i].detail), "line %d: %.*s", line, (int)a.body.n,
                  a.body.p);
    ck_assert_msg(holds(a.head, refusals[_i].fields), "line %d: %.*s", line, (int)a.head.n,
                  a.head.p);
    ck_assert_msg(holds(a.head, "\r\nConnection: close\r\n") == refusals[_i].close, "line %d",
                  line);
    ck_assert_msg((c->state == CONN_LINGER) == refusals[_i].close, "line %d", line);
    ck_assert_msg(refusals[_i].close || c->state == CONN_HEAD, "line %d", line);
    ck_assert_uint_eq(u.s->stat.refused, 1);
    ck_assert_uint_eq(u.s->stat.published, 0);
    ck_assert_uint_eq(topic_count(&u.s->topics), (refusals[_i].setup & FULL) != 0);
    ck_assert_uint_eq(topic_set_count(&u.s->topics), 0);
    ck_assert_uint_eq(c->in, 0);
    ck_assert_uint_eq(times(span_of(unit_log), "\n"), 2);
    ck_assert_ptr_nonnull(strstr(unit_log, "2 refused "));
    ck_assert_ptr_nonnull(strstr(unit_log, "4 request "));

    /* and the connection serves on, if it says so */
    if (!refusals[_i].close && (refusals[_i].setup & SHED) == 0) {
        unit_clear(&u);
        feed_str(&u, c, "GET /-/healthy" END);
        ck_assert_int_eq(answer_only(&u, false).status, 200);
    }
    unit_free(&u);
}
END_TEST

START_TEST(counts_limits)
{
    static const struct {
        unsigned setup;
        const char *request;
        size_t counter;
    } rows[] = {
        {PLAIN, "GET /" X1000 " ", offsetof(struct stat_counters, limit_line)},
        {PLAIN, "GET /n" H "A: " X1000 X1000 X1000, offsetof(struct stat_counters, limit_head)},
        {PLAIN, "POST /n" SIZED(401), offsetof(struct stat_counters, limit_message)},
        {FULL, "POST /n" END, offsetof(struct stat_counters, limit_topics)},
        {FULL, "GET /n" STREAM, offsetof(struct stat_counters, limit_topics)},
        {PLAIN, "GET /a,b,c,d,e" STREAM, offsetof(struct stat_counters, limit_subscriptions)},
        {POOR, "POST /n" SIZED(1), offsetof(struct stat_counters, limit_buffers)},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct unit u = make(rows[i].setup);
        uint64_t count;
        feed_str(&u, client(&u, rows[i].setup), rows[i].request);
        memcpy(&count, (char *)&u.s->stat + rows[i].counter, sizeof(count));
        ck_assert_msg(count == 1, "row %zu", i);
        unit_free(&u);
    }
}
END_TEST

START_TEST(too_many_fields)
{
    struct unit u = make(PLAIN);
    feed_str(&u, client(&u, PLAIN), "GET /n" H);
    for (int i = 0; i <= HTTP_FIELDS_MAX; i++)
        feed_str(&u, &u.s->clients.conns.conn[3], "Accept: a/b\r\n");
    ck_assert_int_eq(answer_only(&u, false).status, 431);
    unit_free(&u);
}
END_TEST

/* An answer to HEAD is that to GET without its body, and without the length of messages. */
START_TEST(answers_head)
{
    static const char *const paths[] = {"/",          "/-/sse.js",
                                        "/-/healthy", "/-/nothing",
                                        "/news",      "/a//b",
                                        "/-/metrics", "/news?last-event-id=1-1"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct unit u = make(PLAIN);
        publish(&u, "news", SPAN("one"));
        u.s->stat = (struct stat_counters){0};
        struct conn *c = client(&u, PLAIN);
        char request[100];
        snprintf(request, sizeof(request), "GET %s" END, paths[i]);
        feed_str(&u, c, request);
        struct answer get = answer_only(&u, false);
        char head[2000];
        ck_assert_uint_lt(get.head.n, sizeof head);
        snprintf(head, sizeof head, "%.*s", (int)get.head.n, get.head.p);
        ck_assert_uint_gt(get.body.n, 0);
        unit_clear(&u);
        u.s->stat = (struct stat_counters){0};
        snprintf(request, sizeof(request), "HEAD %s" END, paths[i]);
        feed_str(&u, c, request);
        struct answer a = answer_only(&u, true);
        char *length = strstr(head, "Content-Length: ");
        if (paths[i][1] == 'n') /* of messages: they are not rendered */
            memmove(length, strchr(length, '\n') + 1, strlen(strchr(length, '\n')));
        ck_assert(span_eq(a.head, span_of(head)));
        unit_free(&u);
    }
}
END_TEST

START_TEST(own_pages)
{
    struct unit u = make(PLAIN);
    struct conn *c = client(&u, PLAIN);
    publish(&u, "news", SPAN("hello"));
    feed_str(&u, c, "GET /-/healthy" END);
    struct answer a = answer_only(&u, false);
    ck_assert(a.status == 200 && span_eq(a.body, SPAN("ok\n")));
    unit_clear(&u);
    feed_str(&u, c, "GET /-/metrics?x=y" END);
    a = answer_only(&u, false);
    ck_assert_int_eq(a.status, 200);
    ck_assert(
        span_eq(field(a.head, "Content-Type"), SPAN("text/plain; version=0.0.4; charset=utf-8")));
    ck_assert(holds(a.body, "\nsse_messages_published_total 1\n"));
    ck_assert(holds(a.body, "\nsse_messages_published_bytes_total 5\n"));
    ck_assert(holds(a.body, "\nsse_messages 1\n") && holds(a.body, "\nsse_topics 1\n"));
    ck_assert(holds(a.body, "\nsse_connections{way=\"http\"} 1\n"));
    ck_assert_int_eq(a.body.p[a.body.n - 1], '\n');
    unit_free(&u);
}
END_TEST

START_TEST(refuses_however_it_comes)
{
    check_splits(refusals[_i].line, refusals[_i].setup, span_of(refusals[_i].request));
}
END_TEST

/* ---- keep-alive ------------------------------------------------------------------------------ */

static const struct {
    int line;
    const char *request;
    const char *connection; /* the field of the answer */
    bool close;
} ends[] = {
    {__LINE__, "GET /-/healthy" END, "", false},
    {__LINE__, "GET /-/healthy" H "Connection: keep-alive\r\n\r\n", "", false},
    {__LINE__, "GET /-/healthy" H "Connection: close\r\n\r\n", "close", true},
    {__LINE__, "GET /-/healthy HTTP/1.0\r\n\r\n", "close", true},
    {__LINE__, "GET /-/healthy HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive", false},
    {__LINE__, "GET /-/healthy" SIZED(3) "abc", "close", true}, /* that is not read */
    {__LINE__, "GET /-/healthy" SIZED(0), "", false},
    {__LINE__, "HEAD /-/healthy" CHUNKED "\r\n0\r\n\r\n", "close", true},
    {__LINE__, "OPTIONS /n" END, "", false},
    {__LINE__, "OPTIONS *" END, "", false},
    {__LINE__, "OPTIONS /n" SIZED(1) "x", "close", true},
    {__LINE__, "POST /n" SIZED(1) "x", "", false},
    {__LINE__, "POST /n" CHUNKED "\r\n1\r\nx\r\n0\r\n\r\n", "", false},
    {__LINE__, "POST /n" H "Connection: close\r\nContent-Length: 1\r\n\r\nx", "close", true},
    {__LINE__, "POST /n" CHUNKED "Connection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n", "close", true},
    {__LINE__, "PUT /n HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", "close", true},
    {__LINE__, "PUT /n HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
     "keep-alive", false},
    {__LINE__, "PUT /n HTTP/1.0\r\nConnection: keep-alive\r\n" NDJSON "Content-Length: 1\r\n\r\n1",
     "keep-alive", false},
    {__LINE__, "POST /n" H NDJSON "\r\n", "", false},
};

START_TEST(keeps_alive)
{
    struct unit u = make(PLAIN);
    struct conn *c = client(&u, PLAIN);
    feed_str(&u, c, ends[_i].request);
    struct answer a = answer_only(&u, strncmp(ends[_i].request, "HEAD", 4) == 0);
    struct span connection = field(a.head, "Connection");
    ck_assert_msg(a.status < 400, "line %d", ends[_i].line);
    ck_assert_msg(span_eq(connection, span_of(ends[_i].connection)), "line %d: %.*s", ends[_i].line,
                  (int)connection.n, connection.p);
    ck_assert_uint_eq(c->state, ends[_i].close ? CONN_LINGER : CONN_HEAD);
    ck_assert_uint_eq((c->flags & CONN_CLOSE) != 0, ends[_i].close);
    ck_assert_uint_eq(pool_used(&u.s->clients.conns.buffers), 0);
    unit_free(&u);
}
END_TEST

/* ---- cross-origin ---------------------------------------------------------------------------- */

/* A request of every kind; % stands for field lines. */
static const char *const kinds[] = {
    "GET /-/healthy" H "%\r\n",
    "GET /" H "%\r\n",
    "DELETE /n" H "%\r\n",
    "GET /n" H "%\r\n",
    "GET /n" H "Accept: text/event-stream\r\n%\r\n",
    "HEAD /n" H "Accept: text/event-stream\r\n%\r\n",
    "GET /a//b" H "Accept: text/event-stream\r\n%\r\n",
    "OPTIONS /n" H "%\r\n",
    "POST /n" H "%Content-Length: 1\r\n\r\nx",
    "POST /n" H "%" NDJSON "\r\n",
    "POST /n" H "%" NDJSON "Content-Length: 2\r\n\r\n1\n",
    "POST /n" H "%" NDJSON "Content-Length: 2\r\n\r\nx\n",
    "POST /n" H "%Content-Length: 5000\r\n\r\n",
    "POST /n" CHUNKED "%\r\nx",
    "POST /a,b" H "%\r\n",
};

/* Every answer says who may read it. */
START_TEST(says_who_may_read)
{
    static const struct {
        const char *cors[2], *origin, *lines;
    } rows[] = {
        {{NULL, NULL}, "http://h", ""},
        {{"*", NULL}, "https://b.example", "Access-Control-Allow-Origin: *\r\n"},
        {{"*", NULL}, NULL, "Access-Control-Allow-Origin: *\r\n"},
        {{"https://a.example", NULL}, NULL, "Vary: Origin\r\n"},
        {{"https://a.example", NULL}, "http://h", "Vary: Origin\r\n"},
        {{"https://a.example", NULL},
         "https://a.example",
         "Access-Control-Allow-Origin: https://a.example\r\n"
         "Access-Control-Allow-Credentials: true\r\n"},
        {{"https://a.example", "*"}, "https://b.example", "Access-Control-Allow-Origin: *\r\n"},
        {{"https://A.example", "null"}, "null", "Access-Control-Allow-Origin: null\r\n"},
    };
    for (size_t i = 0; i < COUNT(kinds) * COUNT(rows); i++) {
        struct opt o = unit_opt();
        const char *kind = kinds[i / COUNT(rows)], *lines = rows[i % COUNT(rows)].lines;
        for (size_t k = 0; k < 2; k++)
            if (rows[i % COUNT(rows)].cors[k] != NULL)
                unit_list(&o.cors, rows[i % COUNT(rows)].cors[k]);
        struct unit u = unit_make(&o);
        struct conn *c = unit_open(&u, 3);
        const char *origin = rows[i % COUNT(rows)].origin;
        char request[400];
        struct text t = text_in(request, sizeof(request));
        text_add(&t, (struct span){kind, strcspn(kind, "%")});
        if (origin != NULL)
            http_add(&t, "Origin", span_of(origin));
        text_str(&t, kind + strcspn(kind, "%") + 1);
        feed(&u, c, text_span(&t));
        struct answer a = answer_only(&u, strncmp(kind, "HEAD", 4) == 0);
        struct span all = {u.got.p, a.head.n};
        ck_assert_msg(holds(all, lines), "%.*s -> %.*s", (int)t.n, t.p, (int)all.n, all.p);
        bool allowed = strncmp(lines, "Acc", 3) == 0;
        ck_assert_uint_eq(times(all, "Access-Control-Allow-Origin:"), allowed);
        ck_assert_uint_eq(times(all, "Access-Control-Expose-Headers:"), allowed);
        ck_assert_uint_eq(times(all, "Access-Control-Allow-Credentials:"),
                          holds(span_of(lines), "true"));
        ck_assert_uint_eq(times(all, "Vary: Origin\r\n"),
                          o.cors.n > 1 || (o.cors.n == 1 && !span_eq(o.cors.item[0], SPAN("*"))));
        unit_free(&u);
    }
}
END_TEST

/* Where the origin can't be known, all may read what all may read. */
START_TEST(unreadable_requests_say_so_too)
{
    struct opt o = unit_opt();
    unit_list(&o.cors, "*");
    struct unit u = unit_make(&o);
    struct conn *c = unit_open(&u, 3);
    feed_str(&u, c, "nonsense\r\n");
    ck_assert(holds(answer_only(&u, false).head, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    unit_free(&u);
}
END_TEST

START_TEST(preflights)
{
    struct unit u = make(CORS);
    struct conn *c = client(&u, CORS);
    feed_str(&u, c,
             "OPTIONS /n" H "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n"
             "Access-Control-Request-Headers: content-type\r\n\r\n");
    struct answer a = answer_only(&u, false);
    ck_assert_int_eq(a.status, 204);
    ck_assert(span_eq(field(a.head, "Allow"), SPAN("GET, HEAD, POST, PUT, DELETE, OPTIONS")));
    ck_assert(span_eq(field(a.head, "Access-Control-Allow-Methods"),
                      SPAN("GET, HEAD, POST, PUT, DELETE, OPTIONS")));
    ck_assert(span_eq(field(a.head, "Access-Control-Allow-Headers"), SPAN("content-type")));
    ck_assert(span_eq(field(a.head, "Access-Control-Max-Age"), SPAN("86400")));
    unit_clear(&u);
    feed_str(&u, c,
             "OPTIONS /n" H
             "Origin: https://b.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n");
    a = answer_only(&u, false);
    ck_assert_int_eq(a.status, 204);
    ck_assert(!holds(a.head, "Access-Control") && holds(a.head, "\r\nVary: Origin\r\n"));
    unit_free(&u);
}
END_TEST

/* The fields asked for are given back, up to a bound. */
START_TEST(long_preflights)
{
    static const size_t sizes[] = {1, 1000, 3800, 4000, 7000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct opt o = unit_opt();
        unit_list(&o.cors, "*");
        o.max_head = 8000;
        struct unit u = unit_make(&o);
        struct conn *c = unit_open(&u, 3);
        char *fields = calloc(1, sizes[i] + 1);
        ck_assert_ptr_nonnull(fields);
        memset(fields, 'x', sizes[i]);
        feed_str(&u, c, "OPTIONS /n" H "Origin: null\r\nAccess-Control-Request-Headers: ");
        feed_str(&u, c, fields);
        feed_str(&u, c, "\r\n\r\n");
        struct answer a = answer_only(&u, false);
        if (sizes[i] < 3900)
            ck_assert(a.status == 204 &&
                      span_eq(field(a.head, "Access-Control-Allow-Headers"), span_of(fields)));
        else
            ck_assert(is_problem(&a, "Access-Control-Request-Headers is too long"));
        free(fields);
        unit_free(&u);
    }
}
END_TEST

/* ---- timeouts, strangers --------------------------------------------------------------------- */

static const struct {
    int line;
    const char *request, *detail, *log;
} lates[] = {
    {__LINE__, "GET /n HT", "the request was not complete in time (--request-timeout)",
     "\n4 request status=408"},
    {__LINE__, "POST /n" SIZED(5) "abc", "the body was not complete in time (--request-timeout)",
     "method=POST path=/n status=408"},
    {__LINE__, "PUT /a/b" CHUNKED NDJSON "\r\n10\r\n1\n2\n3",
     "line 3 (2 messages before it are published): "
     "the body was not complete in time (--request-timeout)",
     "method=PUT path=/a/b status=408"},
};

START_TEST(times_out)
{
    struct unit u = make(PLAIN);
    struct conn *c = client(&u, PLAIN);
    feed_str(&u, c, lates[_i].request);
    ck_assert_uint_eq(u.got.n, 0);
    unit_log[0] = '\0';
    serve_refuse_timeout(u.s, c);
    unit_take_out(&u);
    struct answer a = answer_only(&u, false);
    ck_assert_int_eq(a.status, 408);
    ck_assert_msg(is_problem(&a, lates[_i].detail), "line %d: %.*s", lates[_i].line, (int)a.body.n,
                  a.body.p);
    ck_assert(holds(a.head, "\r\nConnection: close\r\n"));
    ck_assert_msg(strstr(unit_log, lates[_i].log) != NULL, "%s", unit_log);
    ck_assert_uint_eq(c->state, CONN_LINGER);
    ck_assert_uint_eq(pool_used(&u.s->clients.conns.buffers), 0);
    unit_free(&u);
}
END_TEST

/* Bytes that come, and when; what body_message_late() says of it just before and after. */
static const struct {
    int line;
    const char *head;
    struct {
        unsigned ms;
        const char *bytes;
    } part[6];
    unsigned late; /* ms: the first moment, 0: never */
    const char *where;
} drips[] = {
    /* a second, and 100 bytes more for each second: 10 ms for each byte */
    {__LINE__, "POST /n" SIZED(300), {{0, "abc"}}, 1031, ""},
    {__LINE__, "POST /n" SIZED(300), {{0, "abc"}, {900, "de"}, {1000, "f"}}, 1061, ""},
    {__LINE__, "POST /n" SIZED(300), {{500, X100}, {1500, X100}}, 3001, ""},
    {__LINE__, "POST /n" CHUNKED "\r\n", {{900, "2;a=b\r\nab\r\n"}, {1001, "5\r\nc"}}, 1031, ""},
    {__LINE__, "POST /n" CHUNKED "\r\n", {{900, "1\r\na\r\n0\r\n"}, {1000, "A: b"}}, 1011, ""},
    /* a batch: each message counts from its own first byte */
    {__LINE__, "POST /n" CHUNKED NDJSON "\r\n", {{0, ""}}, 0, ""},
    {__LINE__, "POST /n" CHUNKED NDJSON "\r\n", {{0, "4\r\n1\n2\n\r\n"}, {5000, "1"}}, 0, ""},
    {__LINE__,
     "POST /n" CHUNKED NDJSON "\r\n",
     {{0, "2\r\n1\n\r\n"}, {7000, "6\r\n2\n345"}},
     8031,
     "line 3 (2 messages before it are published): "},
    {__LINE__,
     "POST /n" CHUNKED NDJSON "\r\n",
     {{7000, "1\r\n\"\r\n"}, {7500, "2\r\nab\r\n"}, {8030, "1\r\nc\r\n"}},
     8041,
     "line 1 (0 messages before it are published): "},
    {__LINE__,
     "POST /n" CHUNKED NDJSON "\r\n",
     {{500, "2\r\n12\r\n"}, {1400, "2\r\n\n3\r\n"}},
     2411,
     "line 2 (1 message before it is published): "},
    {__LINE__,
     "POST /n" CHUNKED EVENTS "\r\n",
     {{2000, "A\r\ndata: abc\n\r\n"}, {3000, "1\r\n\n\r\n"}},
     0,
     ""},
    {__LINE__,
     "POST /n" CHUNKED EVENTS "\r\n",
     {{2000, "A\r\ndata: abc\n\r\n"}, {3000, "5\r\ndata:\r\n"}},
     3151,
     "line 1 (0 messages before it are published): "},
};

static struct unit drip_server(uint32_t min_rate)
{
    struct opt o = unit_opt();
    o.request_timeout_ms = 1000;
    o.min_rate = min_rate;
    return unit_make(&o);
}

START_TEST(bodies_that_drip)
{
    for (unsigned with = 0; with < 2; with++) {
        struct unit u = drip_server(with ? 100 : 0);
        struct conn *c = client(&u, PLAIN);
        uint64_t start = u.s->clock.now;
        unsigned last = 0, late = with ? drips[_i].late : 0;
        feed_str(&u, c, drips[_i].head);
        for (size_t i = 0; i < COUNT(drips[_i].part) && drips[_i].part[i].bytes != NULL; i++) {
            u.s->clock.now = start + drips[_i].part[i].ms;
            c->tick = (uint32_t)u.s->clock.now;
            feed_str(&u, c, drips[_i].part[i].bytes);
            last = drips[_i].part[i].ms;
        }
        ck_assert_uint_eq(c->state, CONN_BODY);
        for (unsigned ms = last; ms < 20000; ms++) {
            u.s->clock.now = start + ms;
            ck_assert_msg(body_message_late(&u.s->config, &u.s->clients, &u.s->clock, c) ==
                              (late > 0 && ms >= late),
                          "line %d: %u ms", drips[_i].line, ms);
        }
        if (late > 0) {
            char detail[200];
            unit_clear(&u);
            u.s->clock.now = start + late;
            c->tick = (uint32_t)u.s->clock.now - 1000;
            serve_refuse_timeout(u.s, c);
            unit_take_out(&u);
            struct answer a = answer_only(&u, false);
            snprintf(detail, sizeof(detail),
                     "%sthe body comes at less than 100 bytes a second (--min-rate)",
                     drips[_i].where);
            ck_assert_int_eq(a.status, 408);
            ck_assert_msg(is_problem(&a, detail), "line %d: %.*s", drips[_i].line, (int)a.body.n,
                          a.body.p);
            ck_assert_uint_eq(u.s->stat.limit_rate, 1);
            ck_assert_uint_eq(c->state, CONN_LINGER);
        }
        unit_free(&u);
    }
}
END_TEST

/* One that says nothing at all has not come in time, however fast it was. */
START_TEST(bodies_that_stop)
{
    struct unit u = drip_server(100);
    struct conn *c = client(&u, PLAIN);
    feed_str(&u, c, "POST /n" SIZED(300) "abc");
    c->tick = (uint32_t)u.s->clock.now;
    u.s->clock.now += 1031;
    ck_assert(body_message_late(&u.s->config, &u.s->clients, &u.s->clock, c));
    serve_refuse_timeout(u.s, c);
    unit_take_out(&u);
    struct answer a = answer_only(&u, false);
    ck_assert(is_problem(&a, "the body was not complete in time (--request-timeout)"));
    ck_assert_uint_eq(u.s->stat.limit_rate, 0);
    unit_free(&u);
}
END_TEST

START_TEST(timeouts_can_be_read)
{
    struct unit u = make(CORS);
    struct conn *c = client(&u, CORS);
    feed_str(&u, c, "POST /n" H "Origin: https://a.example\r\nContent-Length: 5\r\n\r\nabc");
    serve_refuse_timeout(u.s, c);
    unit_take_out(&u);
    ck_assert(span_eq(field(answer_only(&u, false).head, "Access-Control-Allow-Origin"),
                      SPAN("https://a.example")));
    unit_free(&u);
}
END_TEST

START_TEST(strangers)
{
    static const char *const requests[] = {"", "GET /n HT", "nonsense\r\n",
                                           "POST /n" SIZED(3) "abc", "GET /n" END};
    for (size_t i = 0; i < COUNT(requests); i++) {
        struct unit u = make(PLAIN);
        serve_turn_away(u.s, requests[i], strlen(requests[i]), "no room (--max-connections)");
        unit_take_out(&u);
        struct answer a = answer_only(&u, false);
        ck_assert_int_eq(a.status, 503);
        ck_assert(is_problem(&a, "no room (--max-connections)"));
        ck_assert(holds(a.head, "\r\nConnection: close\r\n") && field(a.head, "Retry-After").n > 0);
        unit_free(&u);
    }
    struct unit u = make(PLAIN); /* one that would never come back after a 503 */
    const char *stream = "GET /n" STREAM;
    serve_turn_away(u.s, stream, strlen(stream), "no room");
    unit_take_out(&u);
    struct answer a = answer_only(&u, false);
    ck_assert(a.status == 200 && span_eq(a.body, SPAN("retry: 0\nid: 1000-0\n\n")));
    unit_free(&u);
}
END_TEST

/* ---- texts ----------------------------------------------------------------------------------- */

START_TEST(quotes)
{
    static const struct {
        int line;
        struct span text;
        const char *quoted;
    } rows[] = {
        {__LINE__, BYTES(""), ""},
        {__LINE__, BYTES("abc"), "abc"},
        {__LINE__, BYTES(X127), X127},
        {__LINE__, BYTES(X127 "y"), X127},
        {__LINE__, BYTES(X100 X10 X10 "xxxxxx\xC3\xA9"), X100 X10 X10 "xxxxxx"},
        {__LINE__, BYTES(X100 X10 X10 "xxxxx\xC3\xA9"), X100 X10 X10 "xxxxx\xC3\xA9"},
        {__LINE__, BYTES(X100 X10 X10 "xxxxxx\xF0\x9F\x98\x80"), X100 X10 X10 "xxxxxx"},
        {__LINE__, BYTES("a\0b\nc\x7F"), "a?b?c?"},
        {__LINE__, BYTES("\xFF\xC3\xA9\xC3"), "?\xC3\xA9?"},
        {__LINE__, BYTES("\xED\xA0\x80"), "???"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        ck_assert_msg(strcmp(QUOTE(rows[i].text), rows[i].quoted) == 0, "line %d", rows[i].line);
    char tail[300];
    memset(tail, 0x80, sizeof(tail)); /* nothing but the insides of characters */
    ck_assert_str_eq(QUOTE((struct span){tail, sizeof(tail)}), "");
    const char *first = QUOTE_NUM(UINT64_MAX);
    for (uint64_t i = 0; i < 20; i++)
        ck_assert_ptr_ne(QUOTE_NUM(i), first);
    ck_assert_str_eq(first, "18446744073709551615"); /* good until the block ends */
}
END_TEST

/* ---- main ---- */

int main(void)
{
    Suite *s = suite_create("serve");
    TCase *answers = tcase_create("answers"), *pages = tcase_create("cross-origin");
    TCase *splits = tcase_create("splits");
    tcase_add_loop_test(answers, refuses, 0, COUNT(refusals));
    tcase_add_test(answers, counts_limits);
    tcase_add_test(answers, too_many_fields);
    tcase_add_test(answers, answers_head);
    tcase_add_test(answers, own_pages);
    tcase_add_loop_test(answers, keeps_alive, 0, COUNT(ends));
    tcase_add_loop_test(answers, times_out, 0, COUNT(lates));
    tcase_add_loop_test(answers, bodies_that_drip, 0, COUNT(drips));
    tcase_add_test(answers, bodies_that_stop);
    tcase_add_test(answers, timeouts_can_be_read);
    tcase_add_test(answers, strangers);
    tcase_add_test(answers, quotes);
    suite_add_tcase(s, answers);
    tcase_add_test(pages, says_who_may_read);
    tcase_add_test(pages, unreadable_requests_say_so_too);
    tcase_add_test(pages, preflights);
    tcase_add_test(pages, long_preflights);
    suite_add_tcase(s, pages);
    tcase_set_timeout(splits, 60);
    tcase_add_loop_test(splits, refuses_however_it_comes, 0, COUNT(refusals));
    suite_add_tcase(s, splits);
    return run(s);
}
