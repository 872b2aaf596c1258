/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the bytes, in or outside of a string. It looks for what cJSON takes although it is no JSON (raw control characters,
 * numbers like 007 and 1e999, comments before the text) or what it would not show us (\u0000, which ends a C string; depth, which it
 * allows to a thousand), and for the first member "id" of the outermost object. The id is found also in a text that is wrong or cut
 * off further on, as long as its strings are whole up to there. It judges nothing else: that is the reader's work. */
#include "gateway/io/command_look.h"

#include <string.h>

#include "base/text.h"
#include "gateway/io/command_json.h"

#define NUMBER_SIZE 40 /* longer than any double's digits that mean something */

static void note(struct command_look *look, const char *wrong) {
    if (!look->wrong)
        look->wrong = wrong;
}

static size_t run_of(const char *text, const char *end, const char *set) {
    size_t length = 0;
    while (text + length < end && text[length] && strchr(set, text[length]))
        length++;
    return length;
}

static bool is_number(const char *text, size_t length) {
    char digits[NUMBER_SIZE];
    double value;
    if (length >= sizeof(digits))
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    const char *first = digits + (digits[0] == '-');
    bool leading_zero = first[0] == '0' && first[1] >= '0' && first[1] <= '9';
    return !leading_zero && text_read_double(digits, &value);
}

/* Behind the string that begins at `text`, after its quote; the end when it has no other. */
static const char *skip_string(const char *text, const char *end, struct command_look *look) {
    for (; text < end && *text != '"'; text++) {
        if ((unsigned char)*text < 0x20)
            note(look, "holds a control character; expected plain JSON text");
        if (*text == '\\' && end - text >= 6 && memcmp(text + 1, "u0000", 5) == 0)
            note(look, "holds the character \\u0000");
        text += *text == '\\' && text + 1 < end;
    }
    return text;
}

/* A member "id" with a name for its value begins at this quote. */
static void look_for_id(const char *text, const char *end, struct command_look *look) {
    if (look->id[0] || end - text < 4 || memcmp(text, "\"id\"", 4) != 0)
        return;
    text += 4;
    text += run_of(text, end, " \t\r\n");
    if (text == end || *text++ != ':')
        return;
    text += run_of(text, end, " \t\r\n");
    if (text == end || *text++ != '"')
        return;
    const char *close = memchr(text, '"', (size_t)(end - text));
    if (!close || (size_t)(close - text) >= sizeof(look->id))
        return;
    memcpy(look->id, text, (size_t)(close - text));
    look->id[close - text] = '\0';
    if (!text_is_name(look->id))
        look->id[0] = '\0';
}

void command_look(const char *text, size_t length, struct command_look *ret_look) {
    const char *end = text + length;
    unsigned depth = 0;
    *ret_look = (struct command_look){.wrong = NULL};
    while (text < end) {
        size_t number = run_of(text, end, "0123456789+-.eE");
        size_t word = run_of(text, end, "truefalsn");
        if (*text == '"') {
            if (depth == 1)
                look_for_id(text, end, ret_look);
            text = skip_string(text + 1, end, ret_look);
            text += text < end;
        } else if (number && (*text != 'e' && *text != 'E')) {
            if (!is_number(text, number))
                note(ret_look, "holds a number that is none");
            text += number;
        } else if (word) {
            text += word;
        } else if (run_of(text, end, " \t\r\n{}[],:")) {
            depth += *text == '{' || *text == '[';
            depth -= depth && (*text == '}' || *text == ']');
            if (depth > COMMAND_DEPTH_MAX)
                note(ret_look, "is nested too deeply; expected a flat JSON object");
            text++;
        } else {
            note(ret_look, "is no JSON; expected an object like {\"id\": ...}");
            text++;
        }
    }
}
