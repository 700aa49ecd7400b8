/*
 * revoke.c - reads a revocation.
 */
#include "lib/serve/revoke.h"

#include "lib/json.h"
#include "lib/serve/answer.h"
#include "lib/serve/quote.h"

enum member { JTI, SUB, BEFORE, EXP, MEMBERS };

static const struct span names[MEMBERS] = {SPAN_INIT("jti"), SPAN_INIT("sub"), SPAN_INIT("before"),
                                           SPAN_INIT("exp")};

static bool refuse(struct server *s, struct conn *c, const char *what, const char *why)
{
    serve_refuse(s, c, 400, NULL, "the revocation: ", what, why, NULL);
    return false;
}

/* Reads the members of the body, which are text or whole numbers. False: it has been refused. */
static bool members(struct server *s, struct conn *c, struct span body,
                    struct json_value v[MEMBERS])
{
    struct json_value all, one;
    struct span name;
    size_t at, pos = 0;
    if (!json_read(body, &all, &at))
        return refuse(s, c, "it is not JSON, from this byte on: ", QUOTE_NUM(at));
    if (all.kind != JSON_OBJECT)
        return refuse(s, c, "it is no JSON object", "");
    while (json_next(&all, &pos, &name, &one)) {
        unsigned m = 0;
        while (m < MEMBERS && !span_eq(name, names[m]))
            m++;
        if (m == MEMBERS || v[m].raw.p != NULL)
            return refuse(s, c, m < MEMBERS ? "a member is there twice: " : "no member is named ",
                          QUOTE(name));
        if (one.kind != JSON_NUMBER && (one.kind != JSON_STRING || m >= BEFORE))
            return refuse(s, c, names[m].p, m >= BEFORE ? " is no number" : " is no string");
        v[m] = one;
    }
    return true;
}

/* A whole number; `none` where it is not there. False: it has been refused. */
static bool time_of(struct server *s, struct conn *c, const struct json_value v[MEMBERS],
                    enum member m, uint64_t none, uint64_t *out)
{
    *out = none;
    return v[m].raw.p == NULL || span_u64(v[m].raw, out) ||
           refuse(s, c, names[m].p, " is no unix time in whole seconds");
}

/* Makes sense of them. False: it has been refused. */
static bool read(struct server *s, struct conn *c, struct span body, struct revocation *x)
{
    struct json_value v[MEMBERS] = {{.kind = JSON_NULL}};
    uint64_t now = s->clock.wall / 1000;
    if (!members(s, c, body, v))
        return false;
    if ((v[JTI].raw.n > 0) == (v[SUB].raw.n > 0))
        return refuse(s, c, "jti or sub is needed, one of them and not empty", "");
    if (v[BEFORE].raw.p != NULL && v[JTI].raw.p != NULL)
        return refuse(s, c, "before goes with sub", "");
    enum member which = v[JTI].raw.n > 0 ? JTI : SUB;
    struct span raw = v[which].raw;
    if (raw.n > AUTH_TOKEN_MAX)
        return refuse(s, c, names[which].p, " is longer than a token can be");
    if (v[which].kind == JSON_STRING)
        raw = (struct span){s->ex.page, json_unescape(raw, s->ex.page)};
    *(which == JTI ? &x->jti : &x->sub) = raw;
    if (!time_of(s, c, v, BEFORE, now + 1, &x->before) ||
        !time_of(s, c, v, EXP, REVOKE_EVER, &x->until))
        return false;
    if (x->until < REVOKE_EVER)
        x->until += AUTH_LEEWAY_S;
    return true;
}

static void answer(struct server *s, struct conn *c, const struct revocation *x)
{
    char bytes[96];
    struct text t = text_in(bytes, sizeof bytes);
    text_str(&t, "{\"until\":");
    if (x->until < REVOKE_EVER)
        text_u64(&t, x->until);
    else
        text_str(&t, "null");
    text_str(&t, ",\"revocations\":");
    text_u64(&t, revoke_count(&s->clients.revoked, s->clock.wall / 1000));
    text_str(&t, "}\n");
    serve_answer(s, c, 200, (struct span){NULL, 0}, "application/json", text_span(&t));
}

void serve_revoke(struct server *s, struct conn *c, struct span body)
{
    struct revocation x = {.until = 0};
    if (!read(s, c, body, &x))
        return;
    team_lock(s);
    bool added =
        revoke_add(&s->clients.revoked, &x, s->clock.wall / 1000, s->config.opt.max_revoked);
    team_unlock(s);
    if (!added) {
        s->stat.limit_revoked++;
        serve_refuse(s, c, 503, NULL, "there are as many revocations as may be, ",
                     QUOTE_NUM(s->config.opt.max_revoked),
                     " (--max-revoked): those with an exp go by themselves", NULL);
        return;
    }
    s->stat.revocations++;
    s->hold.more = true;
    if (s->hold.on)
        s->hold.put = s->hold.group;
    s->log.say(OPT_LOG_INFO, "tokens revoked", "by", x.jti.n > 0 ? "jti" : "sub", NULL);
    answer(s, c, &x);
}
