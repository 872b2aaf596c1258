/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <string.h>

#define DEPTH_MAX 16

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *cursor, char c) {
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

static bool is_digit(const struct cursor *cursor) {
    return cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9';
}

static bool take_digits(struct cursor *cursor) {
    bool some = is_digit(cursor);
    while (is_digit(cursor))
        cursor->at++;
    return some;
}

static bool take_number(struct cursor *cursor) {
    (void)take(cursor, '-');
    if (!take(cursor, '0') && !take_digits(cursor))
        return false;
    if (take(cursor, '.') && !take_digits(cursor))
        return false;
    if (take(cursor, 'e') || take(cursor, 'E')) {
        if (!take(cursor, '+'))
            (void)take(cursor, '-');
        return take_digits(cursor);
    }
    return true;
}

static bool take_escape(struct cursor *cursor) {
    if (cursor->at == cursor->end)
        return false;
    char c = *cursor->at++;
    if (c != 'u')
        return c && strchr("\"\\/bfnrt", c);
    for (unsigned i = 0; i < 4; i++)
        if (cursor->at == cursor->end || !*cursor->at || !strchr("0123456789abcdefABCDEF", *cursor->at++))
            return false;
    return true;
}

static bool take_string(struct cursor *cursor) {
    if (!take(cursor, '"'))
        return false;
    while (cursor->at < cursor->end) {
        char c = *cursor->at++;
        if (c == '"')
            return true;
        if ((unsigned char)c < 0x20 || (c == '\\' && !take_escape(cursor)))
            return false;
    }
    return false;
}

static bool take_word(struct cursor *cursor, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

static bool take_value(struct cursor *cursor, unsigned depth) {
    bool map = take(cursor, '{');
    if (!map && !take(cursor, '[')) {
        if (cursor->at < cursor->end && *cursor->at == '"')
            return take_string(cursor);
        return take_word(cursor, "null") || take_word(cursor, "true") || take_word(cursor, "false") || take_number(cursor);
    }
    char closing = map ? '}' : ']';
    if (depth == DEPTH_MAX)
        return false;
    if (take(cursor, closing))
        return true;
    do {
        if (map && !(take_string(cursor) && take(cursor, ':')))
            return false;
        if (!take_value(cursor, depth + 1))
            return false;
    } while (take(cursor, ','));
    return take(cursor, closing);
}

bool json_is_utf8(const char *bytes, size_t size) {
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < size;) {
        unsigned char lead = (unsigned char)bytes[i];
        unsigned length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
        if (length == 0 || length > size - i)
            return false;
        unsigned code = length == 1 ? lead : lead & (0x7Fu >> length);
        for (unsigned k = 1; k < length; k++) {
            unsigned char more = (unsigned char)bytes[i + k];
            if (more >> 6 != 2)
                return false;
            code = code << 6 | (more & 0x3F);
        }
        if (code < least[length] || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF)
            return false;
        i += length;
    }
    return true;
}

bool json_is_valid(const char *bytes, size_t size) {
    struct cursor cursor = {bytes, bytes + size};
    return json_is_utf8(bytes, size) && take_value(&cursor, 0) && cursor.at == cursor.end;
}
