/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people write them. Every field has a fixed number of digits, so a text is walked once from left to right. */
#include "base/check.h"
#include "config/scalar.h"

#define MINUTES_DAY 1440
#define OFFSET_MAX_MIN 1439 /* 23:59 */

/* `count` digits as a number; false when one of them is none. Moves on behind them. */
static bool take_digits(const char **at, unsigned count, unsigned *ret_value) {
    unsigned value = 0;
    for (unsigned i = 0; i < count; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (unsigned)(c - '0');
    }
    *at += count;
    *ret_value = value;
    return true;
}

static bool take(const char **at, char c) {
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static unsigned days_of_month(unsigned year, unsigned month) {
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Days from 1970-01-01. */
static int64_t days_since_epoch(unsigned year, unsigned month, unsigned day) {
    int64_t before = (int64_t)year - 1; /* whole years before this one */
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 - 719162;
    for (unsigned m = 1; m < month; m++)
        days += days_of_month(year, m);
    return days + day - 1;
}

/* ".5" to ".500"; nothing is 0. */
static bool take_fraction(const char **at, unsigned *ret_ms) {
    unsigned digit, digits = 0;
    *ret_ms = 0;
    if (!take(at, '.'))
        return true;
    while (digits < 3 && take_digits(at, 1, &digit)) {
        *ret_ms = *ret_ms * 10 + digit;
        digits++;
    }
    for (unsigned i = digits; i < 3; i++)
        *ret_ms *= 10;
    return digits > 0;
}

static bool take_offset(const char **at, int64_t *ret_minutes) {
    unsigned hours, minutes;
    *ret_minutes = 0;
    if (take(at, 'Z'))
        return true;
    bool west = **at == '-';
    if ((!take(at, '+') && !take(at, '-')) || !take_digits(at, 2, &hours) || !take(at, ':') || !take_digits(at, 2, &minutes) || minutes > 59 ||
        hours * 60 + minutes > OFFSET_MAX_MIN)
        return false;
    *ret_minutes = west ? -(int64_t)(hours * 60 + minutes) : (int64_t)(hours * 60 + minutes);
    return true;
}

bool scalar_time(const char *text, int64_t *ret_wall_ms) {
    unsigned year, month, day, hour, minute, second, ms;
    int64_t offset;
    if (!take_digits(&text, 4, &year) || !take(&text, '-') || !take_digits(&text, 2, &month) || !take(&text, '-') || !take_digits(&text, 2, &day) ||
        !take(&text, 'T') || !take_digits(&text, 2, &hour) || !take(&text, ':') || !take_digits(&text, 2, &minute) || !take(&text, ':') ||
        !take_digits(&text, 2, &second) || !take_fraction(&text, &ms) || !take_offset(&text, &offset) || *text)
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) || hour > 23 || minute > 59 || second > 59)
        return false;
    int64_t minutes = days_since_epoch(year, month, day) * MINUTES_DAY + hour * 60 + minute - offset;
    *ret_wall_ms = (minutes * 60 + second) * 1000 + ms;
    return true;
}

static bool take_clock(const char **at, uint16_t *ret_minutes) {
    unsigned hour, minute;
    if (!take_digits(at, 2, &hour) || !take(at, ':') || !take_digits(at, 2, &minute) || minute > 59 || hour * 60 + minute > MINUTES_DAY)
        return false;
    *ret_minutes = (uint16_t)(hour * 60 + minute);
    return true;
}

bool scalar_hours(const char *text, uint16_t *ret_opens_min, uint16_t *ret_closes_min) {
    uint16_t opens, closes;
    if (!take_clock(&text, &opens) || !take(&text, '-') || !take_clock(&text, &closes) || *text || opens == MINUTES_DAY || opens == closes)
        return false;
    *ret_opens_min = opens;
    *ret_closes_min = closes;
    return true;
}
