/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people write them, and a place's hours, of which every field has a fixed number of digits. */
#include <string.h>

#include "base/text.h"
#include "config/scalar.h"

#define MINUTES_DAY 1440

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

/* Stricter than text_read_time: from 1970 on, and no finer than milliseconds. */
bool scalar_time(const char *text, int64_t *ret_wall_ms) {
    const char *fraction = strchr(text, '.');
    return strncmp(text, "1970", 4) >= 0 && (!fraction || strspn(fraction + 1, "0123456789") <= 3) && text_read_time(text, ret_wall_ms);
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
