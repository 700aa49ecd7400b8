/*
 * text.c - writes text into a buffer of fixed size.
 *
 * Each call appends its text at once, so that a text that does not fit leaves no part of itself.
 * Dates are computed here, as libc's functions depend on the environment's time zone and locale.
 */
#include "lib/text.h"

#include <assert.h>

#define U64_DIGITS 20u

/* 9999-12-31T23:59:59.999Z: later years have five digits, which no date format holds. */
#define TIME_MAX_MS 253402300799999ull

#define DAY_MS 86400000u

/* ---- numbers ---- */

/* "00" to "99". */
static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

/* Writes v < 100 as two digits; returns the place after them. */
static inline char *two(char *to, unsigned v)
{
    memcpy(to, pairs + (size_t)v * 2, 2);
    return to + 2;
}

void text_u64(struct text *t, uint64_t v)
{
    if (v < 10 && t->n < t->cap) /* as most are */
        t->p[t->n++] = (char)('0' + v);
    else
        text_pad(t, v, 1);
}

void text_hex(struct text *t, uint64_t v, unsigned digits)
{
    char hex[16];
    assert(digits >= 1 && digits <= sizeof hex);
    for (unsigned i = digits; i-- > 0; v >>= 4)
        hex[i] = text_digit((unsigned)v);
    text_add(t, (struct span){hex, digits});
}

void text_list(struct text *t, va_list ap)
{
    for (const char *part; (part = va_arg(ap, const char *)) != NULL;)
        text_str(t, part);
}

void text_pad(struct text *t, uint64_t v, unsigned digits)
{
    char buf[U64_DIGITS];
    size_t at = sizeof(buf);
    assert(digits <= U64_DIGITS);
    for (; v >= 100; v /= 100) {
        at -= 2;
        two(buf + at, (unsigned)(v % 100));
    }
    if (v >= 10) {
        at -= 2;
        two(buf + at, (unsigned)v);
    } else {
        buf[--at] = (char)('0' + v);
    }
    while (sizeof(buf) - at < digits)
        buf[--at] = '0';
    text_add(t, (struct span){buf + at, sizeof(buf) - at});
}

/* ---- dates ---- */

struct date {
    unsigned year, month, day; /* from 1 */
    unsigned weekday;          /* 0: Sunday */
    unsigned hour, minute, second, ms;
};

/* Years are counted from March here, so that the leap day is a year's last and the months' lengths
 * follow one linear formula; 400 years have 146097 days, and 1970-01-01 is day 719468 from
 * 0000-03-01. */
static struct date date_of(uint64_t ms)
{
    assert(ms <= TIME_MAX_MS);
    unsigned days = (unsigned)(ms / DAY_MS), rest = (unsigned)(ms % DAY_MS);
    unsigned z = days + 719468, era = z / 146097;
    unsigned day_of_era = z % 146097;
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (5 * day_of_year + 2) / 153; /* 0: March */
    return (struct date){
        .year = era * 400 + year_of_era + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = day_of_year - (153 * month + 2) / 5 + 1,
        .weekday = (days + 4) % 7, /* 1970-01-01 was a Thursday */
        .hour = rest / 3600000,
        .minute = rest / 60000 % 60,
        .second = rest / 1000 % 60,
        .ms = rest % 1000,
    };
}

/* Writes "08:49:37"; returns the place after it. */
static char *time_of_day(char *to, const struct date *d)
{
    to = two(to, d->hour);
    *to++ = ':';
    to = two(to, d->minute);
    *to++ = ':';
    return two(to, d->second);
}

void text_http_date(struct text *t, uint64_t ms)
{
    static const char weekdays[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct date d = date_of(ms);
    char buf[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    memcpy(buf, weekdays + (size_t)d.weekday * 3, 3);
    two(buf + 5, d.day);
    memcpy(buf + 8, months + (size_t)(d.month - 1) * 3, 3);
    two(two(buf + 12, d.year / 100), d.year % 100);
    time_of_day(buf + 17, &d);
    text_add(t, (struct span){buf, sizeof(buf) - 1});
}

void text_rfc3339(struct text *t, uint64_t ms)
{
    struct date d = date_of(ms);
    char buf[] = "1994-11-06T08:49:37.000Z";
    two(two(buf, d.year / 100), d.year % 100);
    two(buf + 5, d.month);
    two(buf + 8, d.day);
    time_of_day(buf + 11, &d);
    buf[20] = (char)('0' + d.ms / 100);
    two(buf + 21, d.ms % 100);
    text_add(t, (struct span){buf, sizeof(buf) - 1});
}
