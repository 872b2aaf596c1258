/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of nodes against the table, top down: every map is compared with its shape, every value with its row. Nothing here
 * knows what a key is for; what keys mean together is the loader's. */
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/scalar.h"

static void check_value(const struct source *source, const struct schema_key *key, const struct node *node);

const struct schema_key *schema_find(const struct schema_shape *shape, const char *name) {
    for (size_t i = 0; i < shape->count; i++)
        if (strcmp(shape->keys[i].name, name) == 0)
            return &shape->keys[i];
    return NULL;
}

/* A value that is not written at all: "places:" with everything below commented out. */
static bool is_blank(const struct node *node) {
    return node->kind == NODE_SCALAR && !node->quoted && !node->text[0];
}

static const char *kind_name(const struct node *node) {
    return node->kind == NODE_MAP ? "a map" : node->kind == NODE_LIST ? "a list" : "a text";
}

/* A member of a list has no key of its own: the list's row names it. */
static const char *label(const struct schema_key *key, const struct node *node) {
    return node->key ? node->key->text : key->name;
}

static void check_scalar(const struct source *source, const struct schema_key *key, const struct node *node) {
    char expected[EXPECTED_SIZE];
    if (schema_scalar_ok(key, node, expected, sizeof(expected)))
        return;
    if (is_blank(node))
        source_error(source, node_place(node), "'%s' has no value; it must be %s", QUOTE(label(key, node)), expected);
    else if (node->kind != NODE_SCALAR)
        source_error(source, node, "'%s' is %s, but must be %s", QUOTE(label(key, node)), kind_name(node), expected);
    else
        source_error(source, node, "'%s' is '%s', but must be %s", QUOTE(label(key, node)), QUOTE(node->text), expected);
}

static void unknown_key(const struct source *source, const struct schema_shape *shape, const struct node *key) {
    char bytes[LINE_SIZE / 2], near[NEAREST_SIZE];
    struct nearest nearest;
    struct text text;
    if (!source_has_room(source)) {
        source_error(source, key, "unknown key");
        return;
    }
    nearest_init(&nearest, key->text);
    text_init(&text, bytes, sizeof(bytes));
    for (size_t i = 0; i < shape->count; i++) {
        nearest_try(&nearest, shape->keys[i].name);
        text_add(&text, i ? ", " : "");
        text_add(&text, shape->keys[i].name);
    }
    if (nearest.best)
        source_error(source, key, "unknown key '%s'%s", QUOTE(key->text), nearest_text(&nearest, near));
    else
        source_error(source, key, "unknown key '%s'; known here: %s", QUOTE(key->text), bytes);
}

static void check_map(const struct source *source, const struct schema_shape *shape, const struct node *map) {
    for (const struct node *member = map->first; member; member = member->next) {
        const struct schema_key *key = schema_find(shape, member->key->text);
        if (key)
            check_value(source, key, member);
        else
            unknown_key(source, shape, member->key);
    }
    for (size_t i = 0; i < shape->count && source->complete; i++)
        if (shape->keys[i].required && !node_get(map, shape->keys[i].name))
            source_error(source, node_place(map), "'%s' is missing. %s", shape->keys[i].name, shape->keys[i].en);
}

/* True when a map or list is there to be looked into; everything else is reported, but a blank one is as good as an empty one. */
static bool is_collection(const struct source *source, const struct schema_key *key, const struct node *node, enum node_kind kind) {
    if (node->kind == kind)
        return true;
    if (!is_blank(node))
        source_error(source, node, "'%s' is %s, but must be a %s", QUOTE(label(key, node)), kind_name(node),
                     kind == NODE_MAP ? "map of keys" : "list [...]");
    return false;
}

static void check_count(const struct source *source, const struct schema_key *key, const struct node *node) {
    if (node->count >= key->min && (key->max == 0 || node->count <= key->max))
        return;
    if (key->min == key->max)
        source_error(source, node, "'%s' has %u members, but must have %.0f", QUOTE(label(key, node)), node->count, key->max);
    else if (key->min > 0)
        source_error(source, node, "'%s' has %u members, but must have %.0f to %.0f", QUOTE(label(key, node)), node->count, key->min, key->max);
    else
        source_error(source, node, "'%s' has %u entries; at most %.0f are allowed", QUOTE(label(key, node)), node->count, key->max);
}

static void check_name(const struct source *source, const struct schema_key *key, const struct node *name) {
    static const struct schema_key name_key = {.name = "name", .type = SCHEMA_NAME}, path_key = {.name = "name", .type = SCHEMA_REFERENCE},
                                   number_key = {.name = "number", .type = SCHEMA_INTEGER};
    const struct schema_key *form = key->number_keys ? &number_key : key->path_keys ? &path_key : &name_key;
    char expected[EXPECTED_SIZE];
    if (!schema_scalar_ok(form, name, expected, sizeof(expected)))
        source_error(source, name, "the key '%s' must be %s", QUOTE(name->text), expected);
}

static void check_named(const struct source *source, const struct schema_key *key, const struct node *map) {
    check_count(source, key, map);
    for (const struct node *member = map->first; member; member = member->next) {
        check_name(source, key, member->key);
        if (key->type == SCHEMA_NAMES)
            check_value(source, key->item, member);
        else if (member->kind == NODE_MAP)
            check_map(source, key->of, member);
        else if (member->kind != NODE_REFUSED)
            source_error(source, is_blank(member) ? member->key : member, "'%s' is %s, but must be a map of keys", QUOTE(member->key->text),
                         is_blank(member) ? "empty" : kind_name(member));
    }
}

static bool is_false(const struct schema_key *key, const struct node *node) {
    return key->or_false && node->kind == NODE_SCALAR && !node->quoted && strcmp(node->text, "false") == 0;
}

static void check_secret(const struct source *source, const struct node *node) {
    static const struct schema_key credential_keys[] = {
        {.name = "credential", .type = SCHEMA_NAME, .required = true, .en = "Name of the systemd credential."},
    };
    static const struct schema_shape credential_shape = {.name = "credential", .count = 1, .keys = credential_keys};
    check_map(source, &credential_shape, node);
}

static void check_some(const struct source *source, const struct schema_key *key, const struct node *list) {
    if (list->count == 0)
        source_error(source, list, "'%s' is an empty list; write at least one", QUOTE(label(key, list)));
    check_count(source, key, list);
    for (const struct node *member = list->first; member; member = member->next)
        if (member->kind != NODE_REFUSED)
            check_scalar(source, key, member);
}

static void check_value(const struct source *source, const struct schema_key *key, const struct node *node) {
    if (node->kind == NODE_REFUSED)
        return;
    switch (key->type) {
    case SCHEMA_MAP:
        if (!is_false(key, node) && is_collection(source, key, node, NODE_MAP))
            check_map(source, key->of, node);
        break;
    case SCHEMA_MAP_OF:
    case SCHEMA_NAMES:
        if (is_collection(source, key, node, NODE_MAP))
            check_named(source, key, node);
        break;
    case SCHEMA_LIST:
        if (!is_collection(source, key, node, NODE_LIST))
            break;
        check_count(source, key, node);
        for (const struct node *member = node->first; member; member = member->next)
            check_value(source, key->item, member);
        break;
    case SCHEMA_ANY:
        break;
    default:
        if (key->or_secret && node->kind == NODE_MAP)
            check_secret(source, node);
        else if (key->or_list && node->kind == NODE_LIST)
            check_some(source, key, node);
        else
            check_scalar(source, key, node);
        break;
    }
}

void schema_check(const struct source *source, const struct schema_shape *shape, const struct node *map) {
    if (!map || map->kind == NODE_REFUSED)
        return;
    if (map->kind == NODE_MAP)
        check_map(source, shape, map);
    else
        source_error(source, map, "the file is %s, but must be a map of keys: %s, ...", kind_name(map), shape->keys[0].name);
}

static bool has_form(const struct schema_key *key, const struct node *node) {
    switch (key->type) {
    case SCHEMA_MAP:
    case SCHEMA_MAP_OF:
    case SCHEMA_NAMES:
        return node->kind == NODE_MAP;
    case SCHEMA_LIST:
        if (node->kind != NODE_LIST || node->count < key->min || (key->max != 0 && node->count > key->max))
            return false;
        for (const struct node *member = node->first; member; member = member->next)
            if (!has_form(key->item, member))
                return false;
        return true;
    case SCHEMA_ANY:
        return node->kind != NODE_REFUSED;
    default:
        if (!key->or_list || node->kind != NODE_LIST)
            return schema_scalar_ok(key, node, NULL, 0);
        for (const struct node *member = node->first; member; member = member->next)
            if (!schema_scalar_ok(key, member, NULL, 0))
                return false;
        return node->count > 0 && node->count <= key->max;
    }
}

const struct node *schema_member(const struct schema_shape *shape, const struct node *map, const char *name) {
    const struct schema_key *key = schema_find(shape, name);
    CHECK(key);
    const struct node *node = node_get(map, name);
    return node && has_form(key, node) ? node : NULL;
}

/* What is written, or the default, as a scalar; NULL when there is neither. */
static const char *scalar_or_fallback(const struct schema_shape *shape, const struct node *map, const char *name, const struct schema_key **ret_key) {
    const struct node *node = schema_member(shape, map, name);
    *ret_key = schema_find(shape, name);
    return node ? node->text : (*ret_key)->fallback;
}

uint64_t schema_u64(const struct schema_shape *shape, const struct node *map, const char *name) {
    const struct schema_key *key;
    const char *text = scalar_or_fallback(shape, map, name, &key);
    uint64_t value = 0;
    unsigned index = 0;
    if (!text)
        return 0;
    if (key->type == SCHEMA_DURATION)
        CHECK(scalar_duration(text, &value));
    else if (key->type == SCHEMA_SIZE)
        CHECK(scalar_size(text, &value));
    else if (key->type == SCHEMA_BOOL)
        value = strcmp(text, "true") == 0;
    else if (key->type != SCHEMA_ENUM)
        CHECK(scalar_unsigned(text, &value));
    else if (scalar_word(text, strlen(text), key->words, &index))
        value = index;
    return value;
}

double schema_real(const struct schema_shape *shape, const struct node *map, const char *name) {
    const struct schema_key *key;
    const char *text = scalar_or_fallback(shape, map, name, &key);
    double value = 0;
    if (text)
        CHECK(text_read_double(text, &value));
    return value;
}

const char *schema_text(const struct schema_shape *shape, const struct node *map, const char *name) {
    const struct schema_key *key;
    const char *text = scalar_or_fallback(shape, map, name, &key);
    return text ? text : "";
}
