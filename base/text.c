/* SPDX-License-Identifier: Apache-2.0 */
/* Every add is whole or not at all. Numbers are printed and read by the C library in whatever locale the process has, and
 * only the decimal point is exchanged, so that the result never depends on it. */
#include "base/text.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"

#define NUMBER_SIZE 256 /* text of one number; longer ones are refused */

void text_init(struct text *text, char *bytes, size_t size) {
    CHECK(size > 0);
    *text = (struct text){.bytes = bytes, .size = size};
    bytes[0] = '\0';
}

void text_add_bytes(struct text *text, const char *bytes, size_t length) {
    if (text->full || length >= text->size - text->length) {
        text->full = true;
        return;
    }
    if (length)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void text_add(struct text *text, const char *string) {
    text_add_bytes(text, string, strlen(string));
}

void text_add_char(struct text *text, char c) {
    text_add_bytes(text, &c, 1);
}

void text_add_u64(struct text *text, uint64_t value) {
    char digits[20]; /* of the largest */
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    text_add_bytes(text, digits + at, sizeof(digits) - at);
}

void text_add_s64(struct text *text, int64_t value) {
    char digits[24];
    struct text number; /* whole or not at all */
    text_init(&number, digits, sizeof(digits));
    if (value < 0)
        text_add_char(&number, '-');
    text_add_u64(&number, value < 0 ? UINT64_C(0) - (uint64_t)value : (uint64_t)value);
    text_add_bytes(text, digits, number.length);
}

void text_add_hex64(struct text *text, uint64_t value) {
    char digits[24];
    snprintf(digits, sizeof(digits), "%016" PRIx64, value);
    text_add(text, digits);
}

double text_widen_float(float value) {
    if (!isfinite(value))
        return (double)value;
    char digits[40];
    double wide = (double)value;
    for (int precision = 6; precision <= 9; precision++) { /* nine digits tell any two floats apart */
        snprintf(digits, sizeof(digits), "%.*g", precision, (double)value);
        wide = strtod(digits, NULL);
        if ((float)wide == value)
            break;
    }
    return wide;
}

/* Nearly every measured value is a decimal of few digits: n/1, n/10, n/100 or n/1000 with n below 1e15. n and the divisor are
 * exact, so the quotient is the double nearest to that decimal, and what the search below would find. */
static bool decimal_add(struct text *text, double value) {
    static const int64_t scales[] = {1, 10, 100, 1000};
    if (fabs(value) >= 1e11 || (value == 0 && signbit(value)))
        return false;
    for (unsigned places = 0; places < sizeof(scales) / sizeof(scales[0]); places++) {
        int64_t n = (int64_t)(value * (double)scales[places] + (value < 0 ? -0.5 : 0.5));
        if ((double)n / (double)scales[places] != value)
            continue;
        char digits[40];
        struct text number;
        text_init(&number, digits, sizeof(digits));
        if (n < 0)
            text_add_char(&number, '-');
        uint64_t size = n < 0 ? UINT64_C(0) - (uint64_t)n : (uint64_t)n, scale = (uint64_t)scales[places];
        text_add_u64(&number, size / scale);
        if (places)
            text_add_char(&number, '.');
        for (uint64_t rest = size % scale; scale > 1; rest %= scale) {
            scale /= 10;
            text_add_char(&number, (char)('0' + rest / scale));
        }
        text_add_bytes(text, digits, number.length);
        return true;
    }
    return false;
}

/* Normal doubles: every decimal of up to 15 digits has its own double, so %.15g finds it if there is one; 17 always do.
 * (At an exact power of two a 16-digit form that %.16g does not find may exist; one digit more is then written.)
 * Subnormal ones carry fewer digits, so for them the search starts at 1. */
void text_add_double(struct text *text, double value) {
    if (!isfinite(value)) {
        text_add(text, "null");
        return;
    }
    if (decimal_add(text, value))
        return;
    char digits[40];
    int precision = value != 0 && fabs(value) < DBL_MIN ? 1 : 15;
    for (; precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    char normal[40];
    struct text out;
    text_init(&out, normal, sizeof(normal));
    for (const char *c = digits; *c; c++) {
        if (*c == 'e') { /* e-07 is e-7 */
            text_add_bytes(&out, c, 2);
            for (c += 2; *c == '0' && c[1]; c++)
                ;
            text_add(&out, c);
            break;
        }
        if (strchr("+-0123456789", *c))
            text_add_char(&out, *c);
        else if (out.length == 0 || normal[out.length - 1] != '.') /* the locale's point, one or more bytes */
            text_add_char(&out, '.');
    }
    text_add(text, normal);
}

/* Length of the valid UTF-8 character at `bytes`, 0 when there is none. */
static size_t utf8_length(const unsigned char *bytes, size_t size) {
    unsigned first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xC2 && first <= 0xDF ? 2 : first >= 0xE0 && first <= 0xEF ? 3 : first >= 0xF0 && first <= 0xF4 ? 4 : 0;
    if (!length || length > size)
        return 0;
    unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;  /* no overlong forms */
    unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF; /* no surrogates, nothing above U+10FFFF */
    if (bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

bool text_is_utf8(const char *bytes, size_t length) {
    for (size_t i = 0; i < length;) {
        size_t step = utf8_length((const unsigned char *)bytes + i, length - i);
        if (!step)
            return false;
        i += step;
    }
    return true;
}

static void json_character(struct text *text, unsigned char c) {
    static const char shorts[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
    const char *found = memchr(shorts, c, sizeof(shorts) - 1);
    char escape[8];
    if (found)
        snprintf(escape, sizeof(escape), "\\%c", letters[found - shorts]);
    else
        snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)c);
    text_add(text, escape);
}

void text_add_json(struct text *text, const char *string) {
    if (!string) {
        text_add(text, "null");
        return;
    }
    size_t start = text->length, size = strlen(string);
    text_add_char(text, '"');
    for (size_t i = 0; i < size;) {
        size_t plain = i; /* the stretch that needs no escape goes out in one piece */
        unsigned char c = 0;
        size_t step = 0;
        while (plain < size) {
            c = (unsigned char)string[plain];
            step = utf8_length((const unsigned char *)string + plain, size - plain);
            if (!step || c < 0x20 || c == '"' || c == '\\' || c == 0x7F)
                break;
            plain += step;
        }
        text_add_bytes(text, string + i, plain - i);
        i = plain;
        if (i == size)
            break;
        if (!step)
            text_add(text, "\xEF\xBF\xBD");
        else
            json_character(text, c);
        i++;
    }
    text_add_char(text, '"');
    if (text->full) { /* never half a string */
        text->length = start;
        text->bytes[start] = '\0';
    }
}

/* Days since 1970-01-01 to the civil date: years are counted from 1 March, so that the leap day is a year's last, in
 * eras of 400 years (146097 days) starting at 0000-03-01. */
static void civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day) {
    days += 719468; /* from 0000-03-01 to 1970-01-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 = March */
    *ret_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (int)(month < 10 ? month + 3 : month - 9);
    *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

/* Exactly `count` digits, with leading zeros. */
static void digits_put(char *at, unsigned count, int value) {
    for (; count; count--, value /= 10)
        at[count - 1] = (char)('0' + value % 10);
}

void text_add_time(struct text *text, int64_t wall_ms, int offset_minutes) {
    static const int64_t first_ms = -62167219200000, last_ms = 253402300799999; /* four digits of year: 0000 .. 9999 */
    CHECK(offset_minutes > -24 * 60 && offset_minutes < 24 * 60);
    int64_t offset_ms = (int64_t)offset_minutes * 60000;
    int64_t local_ms = wall_ms < first_ms - offset_ms ? first_ms : wall_ms > last_ms - offset_ms ? last_ms : wall_ms + offset_ms;
    int64_t days = local_ms / 86400000, rest = local_ms % 86400000;
    if (rest < 0) {
        rest += 86400000;
        days--;
    }
    int year, month, day, minutes = abs(offset_minutes);
    civil_from_days(days, &year, &month, &day);
    char time[] = "0000-00-00T00:00:00.000+00:00"; /* every reading has one: printf would be a third of its rendering */
    digits_put(time, 4, year);
    digits_put(time + 5, 2, month);
    digits_put(time + 8, 2, day);
    digits_put(time + 11, 2, (int)(rest / 3600000));
    digits_put(time + 14, 2, (int)(rest / 60000 % 60));
    digits_put(time + 17, 2, (int)(rest / 1000 % 60));
    digits_put(time + 20, 3, (int)(rest % 1000));
    time[23] = offset_minutes < 0 ? '-' : '+';
    digits_put(time + 24, 2, minutes / 60);
    digits_put(time + 27, 2, minutes % 60);
    text_add_bytes(text, time, sizeof(time) - 1);
}

static int digit_value(char c, unsigned base) {
    int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
    return value < (int)base ? value : -1;
}

static bool digits_read(const char *string, unsigned base, uint64_t *ret_value) {
    uint64_t value = 0;
    if (!*string)
        return false;
    for (; *string; string++) {
        int digit = digit_value(*string, base);
        if (digit < 0 || __builtin_mul_overflow(value, (uint64_t)base, &value) || __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *ret_value = value;
    return true;
}

bool text_read_u64(const char *string, uint64_t *ret_value) {
    bool hexadecimal = string[0] == '0' && (string[1] == 'x' || string[1] == 'X');
    return digits_read(hexadecimal ? string + 2 : string, hexadecimal ? 16 : 10, ret_value);
}

bool text_read_s64(const char *string, int64_t *ret_value) {
    bool negative = string[0] == '-';
    uint64_t value;
    if (!digits_read(string + negative, 10, &value) || value > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_value = !negative ? (int64_t)value : value ? -(int64_t)(value - 1) - 1 : 0;
    return true;
}

/* The other way round: years from 1 March, eras of 400 years. */
static int64_t days_from_civil(int year, int month, int day) {
    int64_t march_year = month <= 2 ? year - 1 : year, era = (march_year >= 0 ? march_year : march_year - 399) / 400;
    int64_t year_of_era = march_year - era * 400, day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* Exactly `count` digits and, unless it is 0, the mark behind them; *at moves on. -1 when they do not stand there or exceed `most`. */
static int digits_expect(const char **at, unsigned count, char mark, int most) {
    int value = 0;
    for (; count; count--, (*at)++) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    if (value > most || (mark && **at != mark))
        return -1;
    *at += mark != 0;
    return value;
}

bool text_read_time(const char *string, int64_t *ret_wall_ms) {
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}, fraction_ms[] = {100, 10, 1};
    const char *at = string;
    int year = digits_expect(&at, 4, '-', 9999), month = year < 0 ? -1 : digits_expect(&at, 2, '-', 12);
    int day = month < 1 ? -1 : digits_expect(&at, 2, 'T', 31), hour = day < 1 ? -1 : digits_expect(&at, 2, ':', 23);
    int minute = hour < 0 ? -1 : digits_expect(&at, 2, ':', 59), second = minute < 0 ? -1 : digits_expect(&at, 2, 0, 59);
    if (second < 0)
        return false;
    if (day > month_days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)))
        return false;
    int ms = 0, offset_minutes = 0;
    if (*at == '.') {
        unsigned digits = 0;
        for (at++; *at >= '0' && *at <= '9'; at++, digits++)
            ms += digits < ARRAY_COUNT(fraction_ms) ? (*at - '0') * fraction_ms[digits] : 0;
        if (digits == 0 || digits > 9)
            return false;
    }
    if (*at == '+' || *at == '-') {
        int sign = *at++ == '-' ? -1 : 1, hours = digits_expect(&at, 2, ':', 23), minutes = hours < 0 ? -1 : digits_expect(&at, 2, 0, 59);
        if (minutes < 0)
            return false;
        offset_minutes = sign * (hours * 60 + minutes);
    } else if (*at++ != 'Z') {
        return false;
    }
    if (*at != '\0')
        return false;
    int64_t minutes = (days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    *ret_wall_ms = minutes * 60000 + second * 1000 + ms;
    return true;
}

static const char *digits_skip(const char *c) {
    while (*c >= '0' && *c <= '9')
        c++;
    return c;
}

/* -? digits (. digits)? ([eE] [+-]? digits)? */
static bool double_is_plain(const char *string, const char **ret_point) {
    const char *c = string + (*string == '-'), *end = digits_skip(c);
    *ret_point = NULL;
    if (end == c)
        return false;
    if (*end == '.') {
        *ret_point = end;
        c = end + 1;
        end = digits_skip(c);
        if (end == c)
            return false;
    }
    if (*end == 'e' || *end == 'E') {
        c = end + 1;
        c += *c == '+' || *c == '-';
        end = digits_skip(c);
        if (end == c)
            return false;
    }
    return *end == '\0';
}

bool text_read_double(const char *string, double *ret_value) {
    const char *point;
    if (!double_is_plain(string, &point))
        return false;
    char local[NUMBER_SIZE], half[16];
    struct text text;
    text_init(&text, local, sizeof(local));
    text_add_bytes(&text, string, point ? (size_t)(point - string) : strlen(string));
    if (point) {
        snprintf(half, sizeof(half), "%.1f", 0.5); /* "0", the locale's point, "5" */
        text_add_bytes(&text, half + 1, strlen(half) - 2);
        text_add(&text, point + 1);
    }
    if (text.full)
        return false;
    char *end;
    double value = strtod(local, &end);
    if (*end || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

bool text_copy(char *target, size_t size, const char *source) {
    CHECK(size > 0);
    size_t length = strlen(source);
    bool whole = length < size;
    if (!whole) {
        length = size - 1;
        while (length && ((unsigned char)source[length] & 0xC0) == 0x80)
            length--;
    }
    memcpy(target, source, length);
    target[length] = '\0';
    return whole;
}

unsigned text_distance(const char *a, const char *b, unsigned limit) {
    size_t a_length = strlen(a), b_length = strlen(b);
    size_t longer = a_length > b_length ? a_length : b_length, shorter = a_length + b_length - longer;
    if (longer - shorter > limit || longer >= NAME_SIZE)
        return limit + 1;
    unsigned row[NAME_SIZE]; /* row[j]: edits from the first i characters of a to the first j of b */
    for (size_t j = 0; j <= b_length; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);
            unsigned edited = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < edited ? replaced : edited;
        }
    }
    return row[b_length] <= limit ? row[b_length] : limit + 1;
}

bool text_is_name(const char *string) {
    size_t length = 0;
    for (const char *c = string; *c; c++, length++) {
        bool alphanumeric = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (length + 1 >= NAME_SIZE || (!alphanumeric && (length == 0 || !strchr("-_.", *c))))
            return false;
    }
    return length > 0;
}
