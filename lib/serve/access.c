/*
 * access.c - a request's rights: by place, token or signed URL.
 */
#include "lib/serve/access.h"
#include "lib/serve/answer.h"
#include "lib/serve/identity.h"
#include "lib/serve/pass.h"
#include "lib/serve/quote.h"

#include "lib/addr.h"
#include "lib/authority.h"
#include "lib/serve/query.h"

#define ALL SPAN("**")

/* ---- refusing -------------------------------------------------------------------------------- */

const char *access_challenge(const struct config *config, struct challenge *ch, int status,
                             const char *error, struct span detail)
{
    struct text t = text_for_string(ch->line, sizeof ch->line);
    if (status != 400 && status != 401 && (status != 403 || config->keys.n == 0))
        return NULL;
    text_str(&t, "WWW-Authenticate: Bearer realm=\"sse\"");
    if (error != NULL) {
        text_str(&t, ", error=\"");
        text_str(&t, error);
        text_str(&t, "\"");
    }
    if (detail.n > 0) {
        text_str(&t, ", error_description=\"");
        text_add(&t, detail);
        text_str(&t, "\"");
    }
    text_str(&t, "\r\n");
    return text_string(&t);
}

/* Refuses a bad token: 401, or 429 if its address has failed too often. */
static bool refuse_token(struct server *s, struct conn *c, const char *what, struct span why)
{
    struct challenge ch;
    char fields[48], detail[512];
    struct text t = text_for_string(fields, sizeof fields);
    uint32_t wait = 0;
    struct text reason = text_for_string(detail, sizeof detail);
    text_add_cut(&reason, why);
    text_string(&reason);
    s->stat.tokens_refused++;
    if (s->config.opt.max_failures > 0)
        wait =
            throttle_fail(s->team.whole != NULL ? &s->team.whole->failures : &s->clients.failures,
                          s->ex.ask.from, s->clock.now, s->config.opt.max_failures);
    if (wait == 0) {
        serve_refuse(s, c, 401, access_challenge(&s->config, &ch, 401, "invalid_token", why), what,
                     detail, NULL);
        return false;
    }
    s->stat.limit_failures++;
    s->ex.ask.keep_alive = false;
    text_str(&t, "Retry-After: ");
    text_u64(&t, wait);
    text_str(&t, "\r\n");
    serve_refuse(s, c, 429, text_string(&t), what, detail, "; an address may fail ",
                 QUOTE_NUM(s->config.opt.max_failures), " times a minute (--max-failures)", NULL);
    return false;
}

static bool refuse_twice(struct server *s, struct conn *c, const char *where)
{
    struct challenge ch;
    serve_refuse(s, c, 400,
                 access_challenge(&s->config, &ch, 400, "invalid_request", (struct span){NULL, 0}),
                 "there is more than one token in ", where, NULL);
    return false;
}

/* ---- where a token may be -------------------------------------------------------------------- */

/* Sets *token to that of Authorization, or to an empty span. Returns false if it has refused the
 * request. */
static bool token_of_header(struct server *s, struct conn *c, struct span *token)
{
    unsigned fields = 0;
    *token = (struct span){NULL, 0};
    for (unsigned i = 0; i < s->ex.req.nfields; i++)
        fields += s->ex.req.field[i].id == HTTP_AUTHORIZATION;
    if (fields > 1)
        return refuse_twice(s, c, "Authorization");
    if (fields == 0)
        return true;
    struct span value = http_field(&s->ex.req, HTTP_AUTHORIZATION);
    if (!span_same(span_cut(&value, ' '), SPAN("Bearer")))
        return refuse_token(s, c, "Authorization: ", SPAN("only Bearer is understood (RFC 6750)"));
    *token = span_trim(value);
    if (token->n == 0)
        return refuse_token(s, c, "Authorization: ", SPAN("Bearer comes with no token"));
    return true;
}

/* Sets *token to that of ?access_token=, decoded into out. Returns as token_of_header() does. */
static bool token_of_query(struct server *s, struct conn *c, struct span *token,
                           char out[SERVE_ROOM])
{
    *token = query_value(&s->ex.query, QUERY_ACCESS_TOKEN, out, SERVE_ROOM);
    if (query_has_two(&s->ex.query, QUERY_ACCESS_TOKEN))
        return refuse_twice(s, c, "the query (access_token)");
    return true;
}

/* Returns true if the request's cookies count: its origin is this server's own, or one that --cors
 * names, though not by "*" (Fetch, CORS and credentials), and not "null", which any page can have.
 * A request without Origin is not from another page that could read the answer. */
static bool cookies_count(const struct config *config, const struct exchange *ex)
{
    struct span origin = http_field(&ex->req, HTTP_ORIGIN);
    if (origin.n == 0 || cors_same(origin, ex->req.host, ex->ask.scheme))
        return true;
    return ex->ask.cors > 0 && cors_is_one(config->opt.cors.item[ex->ask.cors - 1]);
}

/* Returns the token of the first cookie access_token (RFC 6265 section 4.2.1). */
static struct span token_of_cookie(const struct exchange *ex)
{
    for (unsigned i = 0; i < ex->req.nfields; i++) {
        struct span rest = ex->req.field[i].value;
        while (ex->req.field[i].id == HTTP_COOKIE && rest.n > 0) {
            struct span pair = span_trim(span_cut(&rest, ';'));
            if (!span_eq(span_trim(span_cut(&pair, '=')), SPAN("access_token")))
                continue;
            pair = span_trim(pair);
            if (pair.n >= 2 && pair.p[0] == '"' && pair.p[pair.n - 1] == '"')
                pair = (struct span){pair.p + 1, pair.n - 2};
            return pair;
        }
    }
    return (struct span){NULL, 0};
}

/* ---- what is asked with it ------------------------------------------------------------------- */

/* Sets the rights of a request without a token: by place, or with keys by --anonymous alone. */
static void access_without(const struct config *config, struct exchange *ex, enum auth_class class)
{
    struct access *a = &ex->access;
    bool open = class == AUTH_SUBSCRIBE && config->opt.anonymous & OPT_ANONYMOUS_SUBSCRIBE;
    bool here = config->keys.n == 0 && !open && serve_is_local(config, ex);
    if (here || config->opt.anonymous & OPT_ANONYMOUS_SUBSCRIBE)
        a->subscribe = ALL;
    if (here || config->opt.anonymous & OPT_ANONYMOUS_PUBLISH)
        a->publish = ALL;
    if (here)
        a->purge = ALL;
    a->kind = config->keys.n > 0 ? ACCESS_NONE : ACCESS_PLACE;
}

/* Checks a token, and returns what it may be revoked by in *bearer. One that is remembered costs no
 * more than its hash, or at least no signature. */
static enum auth_result check_token(struct server *s, struct span token, struct auth_claims *claims,
                                    struct bearer *bearer, struct text *why)
{
    const struct opt *o = &s->config.opt;
    const struct auth_rules rules = {.audience = o->audience.item,
                                     .audiences = o->audience.n,
                                     .issuer = o->issuer.item,
                                     .issuers = o->issuer.n,
                                     .claims = o->claims};
    uint64_t now = s->clock.wall / 1000;
    const struct remember_entry *e = remember_find(&s->remember, token);
    if (e != NULL && !o->log_subject && remember_claims(e, now, s->ex.token, claims)) {
        *bearer = e->bearer;
        return AUTH_GOOD;
    }
    enum auth_result r =
        e != NULL ? auth_check_again(&rules, token, now, s->ex.token, claims, why)
                  : auth_check(&s->config.keys, &rules, token, now, s->ex.token, claims, why);
    if (r != AUTH_GOOD)
        return r;
    *bearer = revoke_bearer(&s->clients.revoked, claims->jti, claims->sub, claims->iat_s);
    if (e == NULL && claims->algorithm != KEY_HS256)
        remember_add(&s->remember, token, claims, bearer);
    return r;
}

static bool access_by_token(struct server *s, struct conn *c, struct span token, const char *what)
{
    char bytes[512];
    struct text why = text_in(bytes, sizeof bytes);
    struct auth_claims claims;
    struct bearer bearer;
    if (check_token(s, token, &claims, &bearer, &why) != AUTH_GOOD)
        return refuse_token(s, c, what, text_span(&why));
    if (revoke_has(&s->clients.revoked, &bearer, s->clock.wall / 1000))
        return refuse_token(s, c, what, SPAN("the token has been revoked"));
    if (s->config.opt.log_subject)
        s->ex.ask.sub = claims.sub;
    s->ex.access = (struct access){.kind = ACCESS_TOKEN,
                                   .publish = claims.publish,
                                   .purge = claims.purge,
                                   .subscribe = claims.subscribe,
                                   .expires_s = claims.expires_s,
                                   .admin = claims.admin,
                                   .bearer = bearer};
    return true;
}

/* Sets the rights of a signed URL, which allows only what it is signed for. Returns false if it has
 * refused the request. */
static bool access_by_url(struct server *s, struct conn *c, enum auth_class class,
                          struct span topics, struct span signature)
{
    char bytes[512], text_bytes[QUERY_MAX];
    struct text why = text_in(bytes, sizeof bytes);
    uint64_t expires = 0;
    struct span text = query_value(&s->ex.query, QUERY_EXPIRES, text_bytes, sizeof text_bytes);
    if (auth_url_check(&s->config.keys, class, topics, text, signature, s->clock.wall / 1000,
                       &why) != AUTH_GOOD)
        return refuse_token(s, c, "the signed URL: ", text_span(&why));
    (void)span_u64(text, &expires); /* it was parsed before */
    s->ex.access = (struct access){.kind = ACCESS_URL, .expires_s = expires};
    *(class == AUTH_PUBLISH ? &s->ex.access.publish : &s->ex.access.subscribe) = topics;
    return true;
}

bool access_find(struct server *s, struct conn *c, enum auth_class class, struct span topics)
{
    char text[SERVE_ROOM];
    struct span token;
    s->ex.access = (struct access){.kind = ACCESS_PLACE};
    if (s->config.keys.n == 0) {
        access_without(&s->config, &s->ex, class);
        return true;
    }
    if (!token_of_header(s, c, &token))
        return false;
    if (token.n > 0)
        return access_by_token(s, c, token, "the token in Authorization: ");
    if (!token_of_query(s, c, &token, text))
        return false;
    if (token.p != NULL)
        return access_by_token(s, c, token, "the token in access_token: ");
    struct span signature = query_value(&s->ex.query, QUERY_SIGNATURE, text, sizeof text);
    if (signature.p != NULL)
        return access_by_url(s, c, class, topics, signature);
    token = token_of_cookie(&s->ex);
    if (token.p != NULL && cookies_count(&s->config, &s->ex))
        return access_by_token(s, c, token, "the token in the cookie access_token: ");
    access_without(&s->config, &s->ex, class);
    s->ex.access.cookie = token.p != NULL;
    return true;
}

/* The token that access_find() would check; one of the query is decoded into `text`. */
static struct span token_there(const struct exchange *ex, char text[SERVE_ROOM])
{
    struct span token = http_field(&ex->req, HTTP_AUTHORIZATION);
    if (token.n > 0) {
        span_cut(&token, ' ');
        return span_trim(token);
    }
    token = query_value(&ex->query, QUERY_ACCESS_TOKEN, text, SERVE_ROOM);
    return token.p != NULL ? token : token_of_cookie(ex);
}

bool access_takes_long(struct server *s)
{
    if (!auth_keys_public(&s->config.keys))
        return false;
    char text[SERVE_ROOM];
    struct span token = token_there(&s->ex, text);
    return token.n > 0 && remember_find(&s->remember, token) == NULL &&
           auth_takes_long(token, s->ex.token);
}

/* ---- subscribing ----------------------------------------------------------------------------- */

/* Appends what a client without a token lacks. */
static void tokenless(const struct exchange *ex, struct text *why, const char *what)
{
    const char *origin = QUOTE(http_field(&ex->req, HTTP_ORIGIN));
    text_str(why, what);
    text_str(why, " takes a token");
    if (!ex->access.cookie) {
        text_str(why,
                 ": in Authorization: Bearer, in ?access_token= or in the cookie access_token");
        return;
    }
    text_str(why, ", and the cookie access_token does not count for pages of ");
    text_str(why, origin);
    if (!cors_is_one(http_field(&ex->req, HTTP_ORIGIN))) {
        text_str(why, ", which any page can be of");
        return;
    }
    text_str(why, ": --cors ");
    text_str(why, origin);
    text_str(why, " lets it");
}

/* Appends an addr_key() as an address. */
static void address(struct text *why, uint64_t key)
{
    if (key == 0)
        text_str(why, "at a unix socket");
    else
        addr_key_write(why, key);
}

/* Appends that a request from this host names another server. Its Host is valid only in HEAD: in
 * another turn ex->req is another client's. */
static void foreign(struct stat_counters *stat, const struct exchange *ex, struct text *why)
{
    struct span host = authority_host(ex->req.host);
    const struct conn *c = ex->ask.conn;
    bool now = c != NULL && c->state == CONN_HEAD;
    bool socket = c == NULL || c->state == CONN_SOCKET;
    const char *name = now ? QUOTE(host) : "NAME";
    stat->host_refused++;
    text_str(why, socket ? "the Host of this WebSocket's handshake" : "the Host of this request");
    text_str(why, now ? ", " : "");
    text_str(why, now ? name : "");
    text_str(why, now ? ", is none" : " was none");
    text_str(why, " of this server's: --host ");
    text_str(why, name);
    text_str(why, " makes it one");
}

/* Appends why a client that is not on this host is refused; behind a proxy the reason may be the
 * proxy's configuration. */
static void elsewhere(struct stat_counters *stat, const struct exchange *ex, struct text *why,
                      const char *what, const char *word)
{
    static const char *const says[] = {
        [VIA_NOBODY] = "",
        [VIA_SILENT] = ", which named no client (Forwarded, X-Forwarded-For); ",
        [VIA_UNKNOWN] = ", for somebody whose address it does not tell; ",
        [VIA_TWO] = ", whose Forwarded and X-Forwarded-For name two clients; ",
        [VIA_CLIENT] = ", for ",
    };
    text_str(why, what);
    text_str(why, " is for clients on this host; ");
    if (ex->ask.foreign) {
        foreign(stat, ex, why);
        text_str(why, ", and ");
    }
    if (ex->ask.via != VIA_NOBODY) {
        text_str(why, "this request came through the proxy ");
        address(why, ex->ask.proxy);
        text_str(why, " (--trust-proxy)");
        text_str(why, says[ex->ask.via]);
    }
    if (ex->ask.via == VIA_CLIENT) {
        address(why, ex->ask.from);
        text_str(why, "; ");
    }
    text_str(why, "--anonymous ");
    text_str(why, word);
    text_str(why, " opens it to all");
}

/* Refuses a subscription with the reason in *why. */
static bool refuse(struct server *s, struct conn *c, int status, const char *error,
                   struct text *why)
{
    struct challenge ch;
    s->stat.access_denied++;
    serve_refuse(s, c, status,
                 access_challenge(&s->config, &ch, status, error, (struct span){NULL, 0}),
                 text_string(why), NULL);
    return false;
}

bool access_subscribe(struct server *s, struct conn *c, struct span *names)
{
    const struct access *a = &s->ex.access;
    char bytes[768];
    struct text t = text_in(s->ex.names, sizeof s->ex.names),
                why = text_for_string(bytes, sizeof bytes);
    struct span refused;
    if (span_eq(a->subscribe, ALL))
        return true;
    if (a->kind == ACCESS_NONE) {
        tokenless(&s->ex, &why, "subscribing");
        return refuse(s, c, 401, NULL, &why);
    }
    if (a->kind == ACCESS_PLACE) {
        elsewhere(&s->stat, &s->ex, &why, "subscribing", "subscribe");
        return refuse(s, c, 403, NULL, &why);
    }
    if (auth_narrow(&t, a->subscribe, *names, &refused)) {
        *names = text_span(&t);
        return true;
    }
    if (refused.n == 0) {
        s->stat.limit_subscriptions++;
        serve_refuse(s, c, 400, NULL,
                     "to find what of so many names and wildcards the token allows ",
                     "is too much: ask for fewer (--max-subscriptions)", NULL);
        return false;
    }
    text_str(&why, a->kind == ACCESS_URL ? "the URL is not signed for subscribing to "
                                         : "the token does not allow subscribing to ");
    text_str(&why, QUOTE(refused));
    return refuse(s, c, 403, "insufficient_scope", &why);
}

/* ---- publishing ------------------------------------------------------------------------------ */

int access_publish(struct stat_counters *stat, const struct exchange *ex, const struct access *a,
                   struct span topic, struct text *why)
{
    if (span_eq(a->publish, ALL) || (a->publish.n > 0 && auth_covers(a->publish, topic)))
        return 0;
    stat->access_denied++;
    switch (a->kind) {
    case ACCESS_PLACE:
        elsewhere(stat, ex, why, "publishing", "publish");
        return 403;
    case ACCESS_NONE:
        tokenless(ex, why, "publishing");
        return 401;
    case ACCESS_URL:
        text_str(why, "the URL is not signed for publishing to ");
        break;
    case ACCESS_TOKEN:
        text_str(why, "the token does not allow publishing to ");
        break;
    }
    text_str(why, topic.n > 0 ? QUOTE(topic) : "any topic");
    return 403;
}

int access_purge(struct stat_counters *stat, const struct access *a, struct span topic,
                 struct text *why)
{
    if (span_eq(a->purge, ALL) || (a->purge.n > 0 && auth_covers(a->purge, topic)))
        return 0;
    stat->access_denied++;
    text_str(why, a->kind == ACCESS_PLACE  ? "only clients on this host may purge "
                  : a->kind == ACCESS_NONE ? "purging takes a token whose claim purge has "
                  : a->kind == ACCESS_URL  ? "a signed URL is not for purging "
                                           : "the token does not allow purging (its claim purge) ");
    text_str(why, QUOTE(topic));
    return a->kind == ACCESS_NONE ? 401 : 403;
}

/* ---- what is remembered ---------------------------------------------------------------------- */

bool access_keep_expiry_and_scopes(struct server *s, struct conn *c)
{
    struct pass *p = pass_of(&s->clients, c);
    if (p == NULL || s->config.keys.n == 0)
        return true;
    pass_keep_token(&s->config, &s->clients, &s->ex, c);
    pass_drop_scopes(&s->clients, c);
    p->grant = grant_enter(&s->clients.grants, s->ex.access.publish, s->ex.access.subscribe);
    if (p->grant != 0)
        return true;
    s->stat.limit_scopes++;
    serve_refuse(s, c, 503, "Retry-After: 10\r\n", "there is no room for what the token allows, ",
                 QUOTE_NUM(s->config.opt.max_scopes), " bytes of all tokens (--max-scopes)", NULL);
    return false;
}

/* ---- the server's own ------------------------------------------------------------------------ */

/* Refuses a page that is only for requests that name this server. */
static bool refuse_foreign(struct server *s, struct conn *c)
{
    char bytes[768];
    struct text why = text_for_string(bytes, sizeof bytes);
    foreign(&s->stat, &s->ex, &why);
    return refuse(s, c, 403, NULL, &why);
}

bool access_admin(struct server *s, struct conn *c)
{
    char bytes[768];
    struct text why = text_for_string(bytes, sizeof bytes);
    if (c->marks & CONN_ADMIN)
        return serve_host_is_own(&s->config, &s->ex) || refuse_foreign(s, c);
    if (s->config.admin) {
        serve_refuse(s, c, 404, NULL, "this is read at the address of --admin alone", NULL);
        return false;
    }
    if (s->config.keys.n == 0 && !serve_host_is_own(&s->config, &s->ex))
        return refuse_foreign(s, c);
    if (s->config.keys.n == 0 &&
        (serve_is_local(&s->config, &s->ex) || s->config.opt.anonymous & OPT_ANONYMOUS_SUBSCRIBE))
        return true;
    if (s->config.keys.n == 0) {
        elsewhere(&s->stat, &s->ex, &why, "this", "subscribe");
        return refuse(s, c, 403, NULL, &why);
    }
    if (!access_find(s, c, AUTH_SUBSCRIBE, (struct span){NULL, 0}))
        return false;
    if (s->ex.access.kind != ACCESS_TOKEN) {
        tokenless(&s->ex, &why, "this");
        return refuse(s, c, 401, NULL, &why);
    }
    if (auth_covers(s->ex.access.subscribe, ALL))
        return true;
    text_str(&why, "this tells of all topics, and the token does not allow subscribing to **");
    return refuse(s, c, 403, "insufficient_scope", &why);
}

bool access_revoke(struct server *s, struct conn *c)
{
    char bytes[768];
    struct text why = text_for_string(bytes, sizeof bytes);
    bool here = (c->marks & CONN_ADMIN) != 0;
    if (here && !serve_host_is_own(&s->config, &s->ex))
        return refuse_foreign(s, c);
    if (s->clients.revoked.t == NULL) {
        serve_refuse(s, c, 403, NULL,
                     s->config.opt.key_files.n == 0
                         ? "there are no tokens to revoke, as there is no --key-file"
                         : "no tokens can be revoked here: --max-revoked 0",
                     NULL);
        return false;
    }
    if (!here && !access_find(s, c, AUTH_PUBLISH, (struct span){NULL, 0}))
        return false;
    if (!here && s->ex.access.kind != ACCESS_TOKEN) {
        tokenless(&s->ex, &why, "revoking");
        return refuse(s, c, 401, NULL, &why);
    }
    if (!here && !s->ex.access.admin) {
        text_str(&why, "the token does not allow revoking: its claim admin is not true");
        return refuse(s, c, 403, "insufficient_scope", &why);
    }
    return access_check_origin(s, c, " may not revoke here");
}

bool access_check_origin(struct server *s, struct conn *c, const char *may_not)
{
    struct span origin = http_field(&s->ex.req, HTTP_ORIGIN);
    if (origin.n == 0 || s->ex.ask.cors > 0 || cors_same(origin, s->ex.req.host, s->ex.ask.scheme))
        return true;
    if (cors_is_one(origin))
        serve_refuse(s, c, 403, NULL, "pages of ", QUOTE(origin), may_not, "; --cors ",
                     QUOTE(origin), " lets them", NULL);
    else
        serve_refuse(s, c, 403, NULL, "pages of origin ", QUOTE(origin), may_not,
                     ", as any page can be of it", NULL);
    return false;
}
