/* SPDX-License-Identifier: Apache-2.0 */
/* Each form is "a number, then a word from a small table"; the number is cut off first and read strictly. */
#include "config/scalar.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"

struct factor {
    const char *word;
    double factor;
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Length of the number a text begins with: sign, digits, fraction, and an exponent only when digits follow it. */
static size_t number_length(const char *text) {
    size_t at = text[0] == '-' || text[0] == '+' ? 1 : 0;
    while (is_digit(text[at]))
        at++;
    if (text[at] == '.' && is_digit(text[at + 1]))
        for (at++; is_digit(text[at]);)
            at++;
    if (text[at] == 'e' || text[at] == 'E') {
        size_t exponent = at + 1;
        if (text[exponent] == '-' || text[exponent] == '+')
            exponent++;
        if (is_digit(text[exponent]))
            for (at = exponent; is_digit(text[at]);)
                at++;
    }
    return at;
}

static bool leading_zero(const char *text) {
    if (*text == '-' || *text == '+')
        text++;
    return text[0] == '0' && is_digit(text[1]);
}

bool scalar_quantity(const char *text, double *ret_number, const char **ret_unit) {
    char number[40];
    double value;
    size_t length = number_length(text);
    if (length == 0 || length >= sizeof(number) || leading_zero(text))
        return false;
    memcpy(number, text, length);
    number[length] = '\0';
    if (!text_read_double(number, &value))
        return false;
    while (text[length] == ' ')
        length++;
    *ret_number = value;
    *ret_unit = text + length;
    return true;
}

static bool with_factor(const char *text, const struct factor *factors, size_t count, bool blank_allowed, uint64_t *ret_value) {
    double number;
    const char *word;
    if (!is_digit(text[0]) || !scalar_quantity(text, &number, &word) || (!blank_allowed && strchr(text, ' ')))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, factors[i].word) != 0)
            continue;
        double value = number * factors[i].factor;
        double whole = nearbyint(value);
        if (fabs(value - whole) > 1e-6 || whole > 9e15)
            return false;
        *ret_value = (uint64_t)whole;
        return true;
    }
    return false;
}

bool scalar_duration(const char *text, uint64_t *ret_ms) {
    static const struct factor factors[] = {{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    return with_factor(text, factors, ARRAY_COUNT(factors), false, ret_ms);
}

bool scalar_size(const char *text, uint64_t *ret_bytes) {
    static const struct factor factors[] = {{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}};
    return with_factor(text, factors, ARRAY_COUNT(factors), true, ret_bytes);
}

bool scalar_unsigned(const char *text, uint64_t *ret_value) {
    return is_digit(text[0]) && !leading_zero(text) && text_read_u64(text, ret_value);
}

bool scalar_signed(const char *text, int64_t *ret_value) {
    uint64_t whole;
    if (scalar_unsigned(text, &whole) && whole <= INT64_MAX) {
        *ret_value = (int64_t)whole;
        return true;
    }
    return text[0] == '-' && !leading_zero(text) && text_read_s64(text, ret_value);
}

static bool is_host_character(char c, bool bracketed) {
    if (is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.')
        return true;
    return bracketed ? c == ':' || c == '%' : c == '-' || c == '_';
}

bool scalar_host(const char *text, uint16_t default_port, char *ret_host, size_t host_size, uint16_t *ret_port) {
    bool bracketed = text[0] == '[';
    const char *host = text + (bracketed ? 1 : 0), *end = host;
    while (is_host_character(*end, bracketed))
        end++;
    size_t length = (size_t)(end - host);
    if (length == 0 || length >= host_size || (bracketed && *end++ != ']'))
        return false;
    uint64_t port = default_port;
    if (*end == ':' && !scalar_unsigned(end + 1, &port))
        return false;
    if ((*end != ':' && *end != '\0') || port < 1 || port > 65535)
        return false;
    memcpy(ret_host, host, length);
    ret_host[length] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

bool scalar_word(const char *word, size_t length, const char *words, unsigned *ret_index) {
    for (unsigned index = 0;; index++) {
        const char *end = strchr(words, '|');
        size_t size = end ? (size_t)(end - words) : strlen(words);
        if (size == length && memcmp(words, word, size) == 0) {
            *ret_index = index;
            return true;
        }
        if (!end)
            return false;
        words = end + 1;
    }
}

bool scalar_scheme(const char *text, const char *schemes, unsigned *ret_scheme, const char **ret_rest) {
    const char *end = strstr(text, "://");
    if (!end || !scalar_word(text, (size_t)(end - text), schemes, ret_scheme))
        return false;
    *ret_rest = end + 3;
    return true;
}

const char *scalar_duration_text(char buffer[DURATION_SIZE], uint64_t ms) {
    static const struct {
        const char *word;
        uint64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}};
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (ms && ms % units[i].ms == 0) {
            snprintf(buffer, DURATION_SIZE, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].word);
            return buffer;
        }
    }
    snprintf(buffer, DURATION_SIZE, ms ? "%llums" : "%llus", (unsigned long long)ms);
    return buffer;
}
