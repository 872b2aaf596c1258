/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as hexadecimal digits, two a byte. */
#ifndef YANHUO_HEX_H
#define YANHUO_HEX_H

#include "base/text.h"

static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The first `size` bytes of `string`, whatever follows. False: there are not so many, and ret_bytes holds those before the first wrong one. */
static inline bool hex_read(const char *string, uint8_t *ret_bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(string[2 * i]), low = high < 0 ? -1 : hex_digit(string[2 * i + 1]);
        if (low < 0)
            return false;
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* In lower case. */
static inline void hex_add(struct text *text, const uint8_t *bytes, size_t size) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        text_add_char(text, digits[bytes[i] >> 4]);
        text_add_char(text, digits[bytes[i] & 15]);
    }
}

#endif
