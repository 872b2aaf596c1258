/* SPDX-License-Identifier: Apache-2.0 */
/* One scalar against its row of the table: is it right, and if not, what was expected in words a person can act on. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/scalar.h"
#include "config/schema.h"

#define BEGINNING_MIN 3 /* letters in common that make a suggestion */

static bool has_range(const struct schema_key *key) {
    return key->min != 0 || key->max != 0;
}

static bool inside(const struct schema_key *key, double value) {
    return !has_range(key) || (value >= key->min && value <= key->max);
}

/* A bound as its type is written. */
static void add_bound(struct text *text, enum schema_type type, double bound) {
    char buffer[DURATION_SIZE];
    if (type == SCHEMA_DURATION) {
        text_add(text, scalar_duration_text(buffer, (uint64_t)bound));
    } else if (type == SCHEMA_SIZE) {
        text_add_u64(text, (uint64_t)(bound / 1e6));
        text_add(text, " MB");
    } else {
        text_add_double(text, bound);
    }
}

static void add_range(struct text *text, const struct schema_key *key) {
    if (!has_range(key))
        return;
    text_add(text, " from ");
    add_bound(text, key->type, key->min);
    text_add(text, " to ");
    add_bound(text, key->type, key->max);
}

static void add_words(struct text *text, const char *words) {
    for (; *words; words++) {
        if (*words == '|')
            text_add(text, ", ");
        else
            text_add_char(text, *words);
    }
}

static void add_nearest(struct text *text, const char *wanted, const char *words) {
    char copy[256], buffer[NEAREST_SIZE], *save = NULL;
    struct nearest nearest;
    nearest_init(&nearest, wanted);
    if (!text_copy(copy, sizeof(copy), words))
        return;
    for (char *word = strtok_r(copy, "|", &save); word; word = strtok_r(NULL, "|", &save))
        nearest_try(&nearest, word);
    text_add(text, nearest_text(&nearest, buffer));
}

static bool is_reference(const char *text) {
    char first[NAME_SIZE];
    const char *slash = strchr(text, '/');
    if (!slash)
        return text_is_name(text);
    size_t length = (size_t)(slash - text);
    if (length >= sizeof(first))
        return false;
    memcpy(first, text, length);
    first[length] = '\0';
    return text_is_name(first) && text_is_name(slash + 1);
}

static bool number_ok(const struct schema_key *key, const struct node *node) {
    uint64_t whole;
    int64_t with_sign;
    double number;
    const char *unit;
    unsigned index;
    if (key->type == SCHEMA_DURATION)
        return scalar_duration(node->text, &whole) && inside(key, (double)whole);
    if (key->type == SCHEMA_SIZE)
        return scalar_size(node->text, &whole) && inside(key, (double)whole);
    if (node->quoted)
        return false;
    if (key->type == SCHEMA_REAL)
        return scalar_quantity(node->text, &number, &unit) && !*unit && text_read_double(node->text, &number) && inside(key, number);
    if (scalar_unsigned(node->text, &whole))
        return key->words ? scalar_word(node->text, strlen(node->text), key->words, &index) : inside(key, (double)whole);
    return !key->words && !has_range(key) && scalar_signed(node->text, &with_sign);
}

static bool address_ok(const struct schema_key *key, const char *text) {
    char host[HOST_SIZE];
    uint16_t port;
    unsigned scheme;
    if (key->type == SCHEMA_URL && !scalar_scheme(text, key->words, &scheme, &text))
        return false;
    return scalar_host(text, 1, host, sizeof(host), &port);
}

static bool scalar_right(const struct schema_key *key, const struct node *node) {
    const char *text = node->text, *unit;
    unsigned index;
    double number;
    int64_t wall_ms;
    uint16_t opens_min, closes_min;
    switch (key->type) {
    case SCHEMA_TEXT:
        return text[0] && (key->max == 0 || strlen(text) <= key->max);
    case SCHEMA_NAME:
        return text_is_name(text);
    case SCHEMA_REFERENCE:
        return is_reference(text);
    case SCHEMA_BOOL:
        return !node->quoted && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0);
    case SCHEMA_INTEGER:
    case SCHEMA_REAL:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
        return number_ok(key, node);
    case SCHEMA_TIME:
        return scalar_time(text, &wall_ms);
    case SCHEMA_HOURS:
        return scalar_hours(text, &opens_min, &closes_min);
    case SCHEMA_QUANTITY:
        return scalar_quantity(text, &number, &unit) && (!key->words || (strcmp(unit, key->words) == 0 && number > 0));
    case SCHEMA_ENUM:
        return scalar_word(text, strlen(text), key->words, &index);
    case SCHEMA_HOST:
    case SCHEMA_URL:
        return address_ok(key, text);
    case SCHEMA_VALUE:
        return text[0] && strlen(text) < VALUE_TEXT_SIZE;
    default:
        return false;
    }
}

static void say_duration(struct text *text, const struct schema_key *key, const char *given) {
    double number;
    const char *unit;
    bool bare = scalar_quantity(given, &number, &unit) && !*unit;
    text_add(text, bare ? "a number with its unit (ms, s, min, h, d), such as " : "a duration such as 500ms, 5s, 3min, 2h or 10d");
    if (bare) {
        text_add(text, given);
        text_add(text, "s");
    }
    if (has_range(key))
        text_add(text, ",");
    add_range(text, key);
}

static void say_number(struct text *text, const struct schema_key *key, const struct node *node) {
    if (key->words) {
        text_add(text, "one of ");
        add_words(text, key->words);
    } else {
        text_add(text, key->type == SCHEMA_REAL ? "a number" : "a whole number");
        add_range(text, key);
    }
    if (node->quoted)
        text_add(text, ", without quotes");
    else if (node->text[0] == '0' && node->text[1] >= '0' && node->text[1] <= '9')
        text_add(text, ", without a leading zero (0x begins a hexadecimal number)");
}

static void say_url(struct text *text, const struct schema_key *key, const char *given) {
    text_add(text, "SCHEME://HOST:PORT with one of ");
    add_words(text, key->words);
    if (strchr(given, '@'))
        text_add(text, "; user and password have their own keys");
}

static void say_expected(struct text *text, const struct schema_key *key, const struct node *node) {
    switch (key->type) {
    case SCHEMA_TEXT:
    case SCHEMA_VALUE:
        text_add(text, "a text of 1 to ");
        text_add_u64(text, key->max != 0 ? (uint64_t)key->max : VALUE_TEXT_SIZE - 1);
        text_add(text, " bytes");
        break;
    case SCHEMA_NAME:
        text_add(text, "a name: letters, digits, '-', '_' and '.', not more than 63, the first a letter or digit");
        break;
    case SCHEMA_REFERENCE:
        text_add(text, "a name, or two names joined by '/'");
        break;
    case SCHEMA_BOOL:
        text_add(text, node->quoted ? "true or false, without quotes" : "true or false");
        break;
    case SCHEMA_DURATION:
        say_duration(text, key, node->text);
        break;
    case SCHEMA_SIZE:
        text_add(text, "a size such as 512 MB,");
        add_range(text, key);
        break;
    case SCHEMA_TIME:
        text_add(text, "a time with its offset, such as 2026-12-01T08:00:00+08:00");
        break;
    case SCHEMA_HOURS:
        text_add(text, "HH:MM-HH:MM, such as \"10:00-22:00\", \"18:00-02:00\" past midnight or \"00:00-24:00\" for the whole day");
        break;
    case SCHEMA_QUANTITY:
        text_add(text, key->words ? "a number above 0 with the unit " : "a number with the unit of its point, such as 9 A");
        text_add(text, key->words ? key->words : "");
        break;
    case SCHEMA_ENUM:
        text_add(text, "one of ");
        add_words(text, key->words);
        add_nearest(text, node->text, key->words);
        break;
    case SCHEMA_HOST:
        text_add(text, "HOST or HOST:PORT, such as 192.168.10.20:502");
        break;
    case SCHEMA_URL:
        say_url(text, key, node->text);
        break;
    default:
        say_number(text, key, node);
        break;
    }
}

bool schema_scalar_ok(const struct schema_key *key, const struct node *node, char *expected, size_t expected_size) {
    if (node->kind == NODE_SCALAR && scalar_right(key, node))
        return true;
    if (expected) {
        struct text text;
        text_init(&text, expected, expected_size);
        say_expected(&text, key, node);
    }
    return false;
}

void nearest_init(struct nearest *nearest, const char *wanted) {
    size_t length = strlen(wanted);
    /* One more than the most edits that still count as the same word; at least one character must stay. */
    *nearest = (struct nearest){.wanted = wanted, .distance = length < 2 ? 0 : length < 4 ? 2 : length < 8 ? 3 : 4};
}

/* "baudrate" and "baud", "channel" and "channel-1": one begins with the other. */
static bool is_beginning(const char *a, const char *b) {
    size_t length_a = strlen(a), length_b = strlen(b), length = length_a < length_b ? length_a : length_b;
    return length >= BEGINNING_MIN && strncmp(a, b, length) == 0;
}

void nearest_try(struct nearest *nearest, const char *name) {
    if (nearest->distance == 0 || strlen(nearest->wanted) >= NAME_SIZE * 2)
        return;
    unsigned distance = text_distance(nearest->wanted, name, nearest->distance - 1);
    if (distance > 1 && is_beginning(nearest->wanted, name))
        distance = 1;
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = name;
    }
}

const char *nearest_text(const struct nearest *nearest, char buffer[NEAREST_SIZE]) {
    buffer[0] = '\0';
    if (nearest->best)
        snprintf(buffer, NEAREST_SIZE, " (did you mean '%s'?)", QUOTE(nearest->best));
    return buffer;
}
