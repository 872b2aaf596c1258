/* SPDX-License-Identifier: Apache-2.0 */
/* The table as a JSON Schema (draft 2020-12), so that editors complete keys and underline mistakes while one types. It says
 * what the form of a value is; what values mean together only `yanhuo check` knows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/schema.h"

#define SCHEMA_JSON_SIZE 131072 /* the whole text is about 30 kB */
#define NAME_PATTERN "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"

static void add_keys(struct text *text, const struct schema_shape *shape);
static void add_shape(struct text *text, const struct schema_shape *shape);
static void add_value(struct text *text, const struct schema_key *key);

static void add_pattern(struct text *text, const char *pattern) {
    text_add(text, "\"type\":\"string\",\"pattern\":");
    text_add_json(text, pattern);
}

static void add_bounds(struct text *text, const struct schema_key *key, const char *least, const char *most) {
    if (key->min == 0 && key->max == 0)
        return;
    text_add(text, ",\"");
    text_add(text, least);
    text_add(text, "\":");
    text_add_double(text, key->min);
    text_add(text, ",\"");
    text_add(text, most);
    text_add(text, "\":");
    text_add_double(text, key->max);
}

static void add_words(struct text *text, const char *words, bool numbers) {
    char copy[512], *save = NULL;
    CHECK(text_copy(copy, sizeof(copy), words));
    const char *comma = "";
    text_add(text, "\"enum\":[");
    for (char *word = strtok_r(copy, "|", &save); word; word = strtok_r(NULL, "|", &save)) {
        text_add(text, comma);
        comma = ",";
        if (numbers)
            text_add(text, word);
        else
            text_add_json(text, word);
        if (strcmp(word, "no") == 0) /* editors of YAML 1.1 take it for false */
            text_add(text, ",false");
    }
    text_add_char(text, ']');
}

static void add_scalar(struct text *text, const struct schema_key *key) {
    switch (key->type) {
    case SCHEMA_NAME:
        text_add(text, "\"type\":[\"string\",\"number\"],\"pattern\":\"^" NAME_PATTERN "$\"");
        break;
    case SCHEMA_REFERENCE:
        add_pattern(text, "^" NAME_PATTERN "(/" NAME_PATTERN ")?$");
        break;
    case SCHEMA_BOOL:
        text_add(text, "\"type\":\"boolean\"");
        break;
    case SCHEMA_INTEGER:
        if (key->words) {
            add_words(text, key->words, true);
            break;
        }
        text_add(text, "\"type\":\"integer\"");
        add_bounds(text, key, "minimum", "maximum");
        break;
    case SCHEMA_REAL:
        text_add(text, "\"type\":\"number\"");
        add_bounds(text, key, "minimum", "maximum");
        break;
    case SCHEMA_DURATION:
        add_pattern(text, "^[0-9]+(\\.[0-9]+)?(ms|s|min|h|d)$");
        break;
    case SCHEMA_SIZE:
        add_pattern(text, "^[0-9]+(\\.[0-9]+)? *(kB|MB|GB)$");
        break;
    case SCHEMA_TIME:
        add_pattern(text, "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,3})?(Z|[+-][0-9]{2}:[0-9]{2})$");
        break;
    case SCHEMA_HOURS:
        add_pattern(text, "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$");
        break;
    case SCHEMA_ENUM:
        add_words(text, key->words, false);
        break;
    case SCHEMA_HOST:
        add_pattern(text, "^(\\[[0-9A-Fa-f:.%]+\\]|[A-Za-z0-9._-]+)(:[0-9]+)?$");
        break;
    case SCHEMA_URL:
        text_add(text, "\"type\":\"string\",\"pattern\":\"^(");
        text_add(text, key->words);
        text_add(text, ")://\"");
        break;
    default: /* texts and values: what looks like a number or a truth is a text all the same */
        text_add(text, "\"type\":[\"string\",\"number\",\"boolean\"]");
        break;
    }
}

static void add_default(struct text *text, const struct schema_key *key) {
    if (!key->fallback)
        return;
    bool plain = key->type == SCHEMA_INTEGER || key->type == SCHEMA_REAL || key->type == SCHEMA_BOOL;
    text_add(text, ",\"default\":");
    if (plain)
        text_add(text, key->fallback);
    else
        text_add_json(text, key->fallback);
}

static void add_description(struct text *text, const struct schema_key *key) {
    char bytes[LINE_SIZE];
    if (!key->en)
        return;
    snprintf(bytes, sizeof(bytes), "%s %s", key->en, key->zh ? key->zh : "");
    text_add(text, ",\"description\":");
    text_add_json(text, bytes);
}

static void add_named(struct text *text, const struct schema_key *key) {
    text_add(text, "\"type\":[\"object\",\"null\"],\"propertyNames\":{\"pattern\":\"");
    text_add(text, key->number_keys ? "^(-?[0-9]+|0x[0-9A-Fa-f]+)$"
                   : key->path_keys ? "^" NAME_PATTERN "(/" NAME_PATTERN ")?$"
                                    : "^" NAME_PATTERN "$");
    text_add(text, "\"},\"maxProperties\":");
    text_add_double(text, key->max != 0 ? key->max : YAML_NODES_MAX);
    text_add(text, ",\"additionalProperties\":");
    if (key->type == SCHEMA_MAP_OF)
        add_shape(text, key->of);
    else
        add_value(text, key->item);
}

static void add_value(struct text *text, const struct schema_key *key) {
    text_add_char(text, '{');
    if (key->type == SCHEMA_MAP) {
        text_add(text, key->or_false ? "\"anyOf\":[{\"const\":false}," : "\"allOf\":[");
        add_shape(text, key->of);
        text_add_char(text, ']');
    } else if (key->type == SCHEMA_MAP_OF || key->type == SCHEMA_NAMES) {
        add_named(text, key);
    } else if (key->type == SCHEMA_LIST) {
        text_add(text, "\"type\":\"array\",\"items\":");
        add_value(text, key->item);
        add_bounds(text, key, "minItems", "maxItems");
    } else if (key->or_secret) {
        text_add(text,
                 "\"type\":[\"string\",\"number\",\"object\"],\"properties\":{\"credential\":{\"type\":\"string\"}},\"additionalProperties\":false");
    } else if (key->type == SCHEMA_ANY) {
        text_add(text, "\"type\":\"object\"");
    } else if (key->or_list) {
        text_add(text, "\"anyOf\":[{");
        add_scalar(text, key);
        text_add(text, "},{\"type\":\"array\",\"minItems\":1,\"maxItems\":");
        text_add_double(text, key->max);
        text_add(text, ",\"items\":{");
        add_scalar(text, key);
        text_add(text, "}}]");
    } else {
        add_scalar(text, key);
    }
    add_default(text, key);
    add_description(text, key);
    text_add_char(text, '}');
}

/* A shape that may hold itself is a definition, and is referred to. */
static void add_shape(struct text *text, const struct schema_shape *shape) {
    if (shape->recursive) {
        text_add(text, "{\"$ref\":\"#/$defs/");
        text_add(text, shape->name);
        text_add(text, "\"}");
    } else {
        add_keys(text, shape);
    }
}

static void add_keys(struct text *text, const struct schema_shape *shape) {
    const char *comma = "";
    text_add(text, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    for (size_t i = 0; i < shape->count; i++) {
        text_add(text, i ? "," : "");
        text_add_json(text, shape->keys[i].name);
        text_add_char(text, ':');
        add_value(text, &shape->keys[i]);
    }
    text_add(text, "},\"required\":[");
    for (size_t i = 0; i < shape->count; i++) {
        if (!shape->keys[i].required)
            continue;
        text_add(text, comma);
        text_add_json(text, shape->keys[i].name);
        comma = ",";
    }
    text_add(text, "]}");
}

void schema_print_json(FILE *to) {
    char *bytes = malloc(SCHEMA_JSON_SIZE);
    struct text text;
    CHECK(bytes);
    text_init(&text, bytes, SCHEMA_JSON_SIZE);
    text_add(&text, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"Yanhuo Gateway configuration\",\"allOf\":[");
    add_shape(&text, &schema_site);
    text_add(&text, "],\"$defs\":{\"condition\":");
    add_keys(&text, &schema_condition);
    text_add(&text, "}}\n");
    CHECK(!text.full);
    fputs(bytes, to);
    free(bytes);
}
