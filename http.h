/*
 * http.h - HTTP/1.1 as bytes: request head, body, answer head (RFC 9110, RFC 9112).
 *
 * Sans I/O and stateless: the caller passes bytes, and functions return a number: >0 bytes
 * consumed, 0 more needed, <0 minus the status to answer before closing. Nothing is allocated or
 * kept; a parsed request points into the caller's buffer.
 *
 *     buf  |GET /news?since=-5 HTTP/1.1\r\nHost: h\r\n ... \r\n\r\n|body ...|GET ...
 *           ^method ^path ^query                                  ^
 *           `----------- http_parse() returns this length ---------'
 *                                        http_body_decode() takes it from there
 *
 * It is strict, because requests are smuggled where two parsers read bytes differently: lines end
 * in CRLF and nothing else, a field name is a token with no space before its colon, there is no
 * folding, no control byte but a tab within a value, one Host in 1.1, a body is delimited by one
 * Content-Length or by a lone `Transfer-Encoding: chunked`, never both. One empty line before a
 * request line is dropped (RFC 9112 section 2.2).
 *
 * Statuses that parsing returns: 400, 414 (request line over its limit), 417 (an expectation that
 * is not 100-continue), 431 (head over its limit, or more than HTTP_FIELDS_MAX fields that matter),
 * 501 (a method or transfer coding not known), 505. An error is returned as soon as it is certain,
 * also for an incomplete head; which one does not depend on how the bytes were cut.
 *
 * A target may hold what RFC 3986 allows, and what browsers send raw: in its path [ ] ^ and |, in
 * its query any visible ASCII but "#".
 *
 * Limits: struct http_limits; HTTP_FIELDS_MAX; chunk extensions 256 bytes a chunk (else 400);
 * trailers, which are dropped, 4096 bytes in all (else 431); a length or chunk size below 2^63.
 */
#ifndef SSE_HTTP_H
#define SSE_HTTP_H

#include "lib/text.h"

#define HTTP_FIELDS_MAX 64

/* Known methods; any other is 501. The table defines the enum and the text. */
#define HTTP_METHODS(X) \
    X(GET)              \
    X(HEAD)             \
    X(POST)             \
    X(PUT)              \
    X(OPTIONS)          \
    X(DELETE)           \
    X(PATCH)            \
    X(CONNECT)          \
    X(TRACE)

enum http_method {
#define X(name) HTTP_##name,
    HTTP_METHODS(X)
#undef X
};

/* Fields that a request keeps; all others are checked and dropped. */
#define HTTP_FIELDS(X)                                                  \
    X(ACCEPT, "accept")                                                 \
    X(CONTENT_TYPE, "content-type")                                     \
    X(LAST_EVENT_ID, "last-event-id")                                   \
    X(IF_NONE_MATCH, "if-none-match")                                   \
    X(PREFER, "prefer")                                                 \
    X(ORIGIN, "origin")                                                 \
    X(UPGRADE, "upgrade")                                               \
    X(SEC_WEBSOCKET_KEY, "sec-websocket-key")                           \
    X(SEC_WEBSOCKET_VERSION, "sec-websocket-version")                   \
    X(SEC_WEBSOCKET_PROTOCOL, "sec-websocket-protocol")                 \
    X(AUTHORIZATION, "authorization")                                   \
    X(COOKIE, "cookie")                                                 \
    X(FORWARDED, "forwarded")                                           \
    X(X_FORWARDED_FOR, "x-forwarded-for")                               \
    X(X_FORWARDED_PROTO, "x-forwarded-proto")                           \
    X(ACCESS_CONTROL_REQUEST_METHOD, "access-control-request-method")   \
    X(ACCESS_CONTROL_REQUEST_HEADERS, "access-control-request-headers") \
    X(CONTENT_ENCODING, "content-encoding")                             \
    X(IDEMPOTENCY_KEY, "idempotency-key")

enum http_field_id {
#define X(id, name) HTTP_##id,
    HTTP_FIELDS(X)
#undef X
};

/* Statuses and their reason phrases. */
#define HTTP_STATUSES(X)                      \
    X(100, "Continue")                        \
    X(101, "Switching Protocols")             \
    X(200, "OK")                              \
    X(201, "Created")                         \
    X(202, "Accepted")                        \
    X(204, "No Content")                      \
    X(206, "Partial Content")                 \
    X(301, "Moved Permanently")               \
    X(302, "Found")                           \
    X(303, "See Other")                       \
    X(304, "Not Modified")                    \
    X(307, "Temporary Redirect")              \
    X(308, "Permanent Redirect")              \
    X(400, "Bad Request")                     \
    X(401, "Unauthorized")                    \
    X(403, "Forbidden")                       \
    X(404, "Not Found")                       \
    X(405, "Method Not Allowed")              \
    X(406, "Not Acceptable")                  \
    X(408, "Request Timeout")                 \
    X(409, "Conflict")                        \
    X(410, "Gone")                            \
    X(411, "Length Required")                 \
    X(412, "Precondition Failed")             \
    X(413, "Content Too Large")               \
    X(414, "URI Too Long")                    \
    X(415, "Unsupported Media Type")          \
    X(416, "Range Not Satisfiable")           \
    X(417, "Expectation Failed")              \
    X(422, "Unprocessable Content")           \
    X(426, "Upgrade Required")                \
    X(429, "Too Many Requests")               \
    X(431, "Request Header Fields Too Large") \
    X(500, "Internal Server Error")           \
    X(501, "Not Implemented")                 \
    X(502, "Bad Gateway")                     \
    X(503, "Service Unavailable")             \
    X(504, "Gateway Timeout")                 \
    X(505, "HTTP Version Not Supported")      \
    X(507, "Insufficient Storage")

struct http_field {
    enum http_field_id id;
    struct span value; /* without white space around it; may be empty */
};

struct http_limits {
    uint32_t line; /* bytes of the request line without its CRLF */
    uint32_t head; /* bytes of the whole head, request line and last CRLF included; <= INT_MAX */
};

struct http_request {
    enum http_method method;
    uint8_t minor;        /* 0: HTTP/1.0; 1: HTTP/1.1 or a later 1.x */
    bool asterisk;        /* the target is "*" (OPTIONS only) */
    bool keep_alive;      /* RFC 9112 section 9.3, from version and Connection */
    bool upgrade;         /* Connection names "upgrade", in 1.1 (RFC 9110 section 7.8) */
    bool expect_continue; /* Expect: 100-continue, in 1.1; any other expectation is 417 */
    bool chunked;         /* the body is chunked */
    uint64_t length;      /* Content-Length; 0 where there is none or the body is chunked */
    struct span host;     /* of Host, or of an absolute-form target, which wins (RFC 9112 3.2.2) */
    struct span path;     /* as sent, percent-encoded; begins with "/"; empty when asterisk */
    struct span query;    /* as sent, without the "?" */
    const char *wrong; /* with 400: what is wrong or, with wrong_at, the part that the byte is in */
    const char *wrong_at; /* the byte that is not allowed there, in the caller's buffer; or NULL */
    uint32_t has;         /* a bit for each http_field_id among these: */
    unsigned nfields;
    struct http_field field[HTTP_FIELDS_MAX];
};

/* Parses a request head at the front of buf[0..len). `seen` is how many of these bytes an earlier
 * call for the same head was passed (0 at first): it only searches bytes without a line end, so
 * that a head that comes a byte at a time is not parsed at each byte. The bytes that `seen` covers
 * may have moved, but must not have changed. Returns the head's length, with *r filled in, pointing
 * into buf; 0 if the head is not complete; minus a status: with -400, r->wrong says why. The path
 * is valid: well-formed percent-encoding, and no segment "." or ".." in any encoding. Fields of one
 * name stay separate, in order. */
int http_parse(const char *buf, size_t len, size_t seen, const struct http_limits *limits,
               struct http_request *r);

/* Returns the first value of a field; a span with a null pointer if the request has none. */
struct span http_field(const struct http_request *r, enum http_field_id id);

/* Walks the elements of a field that is a list ("a, b" and several lines are the same, RFC 9110
 * section 5.6.1; commas within quoted strings are kept). *pos begins at 0. Returns true with the
 * next element, trimmed, never empty. */
bool http_list(const struct http_request *r, enum http_field_id id, size_t *pos, struct span *item);

/* Returns the quality, 0 to 1000, that Accept gives to media type `type`/`subtype` (RFC 9110
 * section 12.5.1): that of the most specific range that matches. *exact says whether a range names
 * exactly this type. A range with parameters counts if none names the type without them. Malformed
 * elements are ignored. Without Accept, or if it is empty, returns 1000, not exact. */
unsigned http_accept(const struct http_request *r, struct span type, struct span subtype,
                     bool *exact);

/* Returns true if a Content-Type's media type is `type` ("text/event-stream"), whatever its
 * parameters. */
bool http_is_type(struct span content_type, struct span type);

/* Decodes percent-encoding (and "+" as a space where `plus`) into out[0..cap). Returns the number
 * of bytes; -1 if the encoding is malformed, -2 if it does not fit. */
ptrdiff_t http_decode(struct span s, bool plus, char *out, size_t cap);

/* Finds parameter `name` in a query (application/x-www-form-urlencoded) and decodes its value into
 * out[0..cap). The first one counts. Returns the number of bytes; -1 if the encoding is malformed,
 * -2 if it does not fit, -3 if there is none. The name is at most 64 bytes. */
ptrdiff_t http_query(struct span query, struct span name, char *out, size_t cap);

/* The state of a body that is being received. */
struct http_body {
    uint64_t left;     /* bytes of the body, or of the chunk, still to come */
    uint16_t overhead; /* bytes of this chunk's extensions, or of the trailers, so far */
    uint8_t state;     /* private */
    uint8_t digits;    /* private: of the chunk size */
};

/* Begins the body of `r`; a request without one has an empty body, which is complete. */
void http_body_init(struct http_body *b, const struct http_request *r);

/* Returns true if the body is complete. */
bool http_body_done(const struct http_body *b);

/* Decodes received bytes in place: reads buf[0..len) and moves the body's own bytes to the front.
 * *took is set to the raw bytes used (len, unless the body ends before), *got to the number of body
 * bytes, now in buf[0..*got). Returns 1 if the body is complete: the next request follows; 0 if
 * more is to come; minus a status on error. (RFC 9112 section 7.1; trailers are read, checked and
 * dropped.) */
int http_body_decode(struct http_body *b, char *buf, size_t len, size_t *took, size_t *got);

/* Returns the reason phrase of a status; "Unknown" for one that this server does not use. */
const char *http_reason(int status);

/* Appends "HTTP/1.1 STATUS REASON\r\n". HTTP/1.0 requests are answered as 1.1 too (RFC 9110 section
 * 2.5). */
void http_status(struct text *t, int status);

/* Appends a field line "name: value\r\n". The value must hold no CR, LF or NUL: asserted. */
void http_add(struct text *t, const char *name, struct span value);

#endif
