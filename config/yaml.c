/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's events become nodes. The parser below keeps the open maps and lists on a stack of at most CONFIG_DEPTH_MAX:
 *
 *   event          top is a map without a key    top is a map with a key     top is a list or the document
 *   scalar         becomes the key               becomes the key's value     becomes a member
 *   map, list      refused as a key, skipped     becomes the value, pushed   becomes a member, pushed
 *
 * What is refused leaves a NODE_REFUSED, which no later check complains about again. A syntax error, too deep nesting and
 * too many nodes end the reading; what was read until there is still looked at. The only file that includes libyaml. */
#include "config/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/check.h"
#include "base/text.h"

struct level {
    struct node *node;      /* the open map or list */
    const struct node *key; /* of a map: waiting for its value */
};

struct reader {
    struct source *source;
    struct level levels[CONFIG_DEPTH_MAX];
    unsigned depth, nodes;
    struct node *root;
    unsigned skip_depth; /* open collections inside a refused key */
    bool stop;
};

const struct node *node_get(const struct node *map, const char *key) {
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (const struct node *member = map->first; member; member = member->next)
        if (strcmp(member->key->text, key) == 0)
            return member;
    return NULL;
}

const struct node *node_place(const struct node *node) {
    return node->key ? node->key : node;
}

static void add(const struct source *source, enum diagnostic_level level, const struct node *at, const char *format, va_list args) {
    char text[LINE_SIZE];
    vsnprintf(text, sizeof(text), format, args);
    diagnostics_add(source->diagnostics, level, source->path, at ? at->line : 0, at ? at->column : 0, "%s", text);
}

void source_error(const struct source *source, const struct node *at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add(source, DIAGNOSTIC_ERROR, at, format, args);
    va_end(args);
}

void source_warning(const struct source *source, const struct node *at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add(source, DIAGNOSTIC_WARNING, at, format, args);
    va_end(args);
}

bool source_has_room(const struct source *source) {
    return source->diagnostics->count < DIAGNOSTICS_MAX;
}

const char *quote_into(char buffer[QUOTE_SIZE], const char *text) {
    if (!text_copy(buffer, QUOTE_SIZE - 4, text))
        memcpy(buffer + strlen(buffer), "...", 4);
    return buffer;
}

static struct node *node_new(struct reader *reader, enum node_kind kind, yaml_mark_t mark) {
    struct node *node = arena_take(reader->source->arena, 1, sizeof(*node));
    node->kind = kind;
    node->line = (unsigned)mark.line + 1;
    node->column = (unsigned)mark.column + 1;
    node->text = "";
    if (++reader->nodes == YAML_NODES_MAX) {
        source_error(reader->source, node, "the file has more than %d entries; the reading stops here", YAML_NODES_MAX);
        reader->stop = true;
    }
    return node;
}

/* Puts a finished scalar or a just opened collection where the stack says it belongs. */
static void place(struct reader *reader, struct node *node) {
    if (reader->depth == 0) {
        reader->root = node;
        return;
    }
    struct level *top = &reader->levels[reader->depth - 1];
    if (top->node->kind == NODE_MAP) {
        if (!top->key) {
            top->key = node;
            return;
        }
        node->key = top->key;
        top->key = NULL;
        if (strcmp(node->key->text, "<<") == 0 && !node->key->quoted) {
            source_error(reader->source, node->key, "a merge key (<<) is not allowed: write the keys out");
            return;
        }
        if (node->key->kind == NODE_REFUSED)
            return;
    }
    if (top->node->last)
        top->node->last->next = node;
    else
        top->node->first = node;
    top->node->last = node;
    top->node->count++;
}

static bool wants_key(const struct reader *reader) {
    if (reader->depth == 0)
        return false;
    const struct level *top = &reader->levels[reader->depth - 1];
    return top->node->kind == NODE_MAP && !top->key;
}

static void refuse_decoration(struct reader *reader, const struct node *node, const yaml_char_t *anchor, const yaml_char_t *tag) {
    if (anchor)
        source_error(reader->source, node, "an anchor (&%s) is not allowed: write the value where it is used", QUOTE((const char *)anchor));
    if (tag)
        source_error(reader->source, node, "a tag (%s) is not allowed: write the plain value", QUOTE((const char *)tag));
}

static void on_scalar(struct reader *reader, const yaml_event_t *event) {
    struct node *node = node_new(reader, NODE_SCALAR, event->start_mark);
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    refuse_decoration(reader, node, event->data.scalar.anchor, event->data.scalar.tag);
    if (strnlen(text, length) < length || length > YAML_SCALAR_MAX) {
        if (length > YAML_SCALAR_MAX)
            source_error(reader->source, node, "a text of %zu bytes stands here; at most %d are allowed", length, YAML_SCALAR_MAX);
        else
            source_error(reader->source, node, "a zero character (\\0) is not allowed in a text");
        node->kind = NODE_REFUSED;
    } else {
        node->text = arena_text(reader->source->arena, text, length);
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    place(reader, node);
}

static void on_alias(struct reader *reader, const yaml_event_t *event) {
    struct node *node = node_new(reader, NODE_REFUSED, event->start_mark);
    source_error(reader->source, node, "an alias (*%s) is not allowed: write the value out", QUOTE((const char *)event->data.alias.anchor));
    place(reader, node);
}

static void on_open(struct reader *reader, const yaml_event_t *event) {
    bool map = event->type == YAML_MAPPING_START_EVENT;
    if (reader->skip_depth) {
        reader->skip_depth++;
        reader->stop = reader->skip_depth > CONFIG_DEPTH_MAX;
        return;
    }
    struct node *node = node_new(reader, map ? NODE_MAP : NODE_LIST, event->start_mark);
    if (wants_key(reader)) {
        source_error(reader->source, node, "a key must be a plain text, not a %s", map ? "map" : "list");
        node->kind = NODE_REFUSED;
        place(reader, node);
        reader->skip_depth = 1;
        return;
    }
    if (map)
        refuse_decoration(reader, node, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    else
        refuse_decoration(reader, node, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    if (reader->depth == CONFIG_DEPTH_MAX) {
        source_error(reader->source, node, "maps and lists are nested more than %d deep; the reading stops here", CONFIG_DEPTH_MAX);
        reader->stop = true;
        return;
    }
    place(reader, node);
    reader->levels[reader->depth++] = (struct level){.node = node};
}

static int by_key(const void *a, const void *b) {
    const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
    int order = strcmp(x->key->text, y->key->text);
    if (order)
        return order;
    if (x->key->line != y->key->line)
        return x->key->line < y->key->line ? -1 : 1;
    return x->key->column < y->key->column ? -1 : x->key->column > y->key->column;
}

/* Sorted, so that a map of a hundred thousand keys takes no longer to check than to read. */
static void refuse_duplicates(struct reader *reader, const struct node *map) {
    if (map->count < 2)
        return;
    const struct node **members = calloc(map->count, sizeof(*members));
    CHECK(members);
    unsigned count = 0;
    for (const struct node *member = map->first; member; member = member->next)
        members[count++] = member;
    qsort(members, count, sizeof(*members), by_key);
    for (unsigned i = 1; i < count; i++)
        if (strcmp(members[i - 1]->key->text, members[i]->key->text) == 0)
            source_error(reader->source, members[i]->key, "the key '%s' stands here a second time (first on line %u); keep one",
                         QUOTE(members[i]->key->text), members[i - 1]->key->line);
    free(members);
}

static void on_close(struct reader *reader) {
    if (reader->skip_depth) {
        reader->skip_depth--;
        return;
    }
    const struct node *node = reader->levels[--reader->depth].node;
    if (node->kind == NODE_MAP)
        refuse_duplicates(reader, node);
}

static void on_event(struct reader *reader, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (reader->root) {
            struct node at = {.line = (unsigned)event->start_mark.line + 1, .column = (unsigned)event->start_mark.column + 1};
            source_error(reader->source, &at, "a second document (---) begins here: a configuration is one document");
            reader->stop = true;
        }
        break;
    case YAML_SCALAR_EVENT:
        if (!reader->skip_depth)
            on_scalar(reader, event);
        break;
    case YAML_ALIAS_EVENT:
        if (!reader->skip_depth)
            on_alias(reader, event);
        break;
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        on_open(reader, event);
        break;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        on_close(reader);
        break;
    default:
        break;
    }
}

/* What libyaml says, with what usually causes it. */
static const char *syntax_hint(const char *problem) {
    static const struct {
        const char *problem, *hint;
    } hints[] = {
        {"mapping values are not allowed", " (check the indentation; a text with ': ' in it needs quotes)"},
        {"could not find expected ':'", " (a key is followed by ':' and a blank)"},
        {"did not find expected key", " (check the indentation of this line and the one before)"},
        {"did not find expected ',' or '}'", " (a ',' or the closing '}' is missing)"},
        {"did not find expected ',' or ']'", " (a ',' or the closing ']' is missing)"},
        {"found unexpected end of stream", " (a closing quote is missing)"},
        {"cannot start any token", " (a text that begins with this character needs quotes)"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(hints); i++)
        if (strstr(problem, hints[i].problem))
            return hints[i].hint;
    return "";
}

static void tell_syntax(struct reader *reader, const yaml_parser_t *parser) {
    const char *problem = parser->problem ? parser->problem : "it cannot be read";
    struct node at = {.line = (unsigned)parser->problem_mark.line + 1, .column = (unsigned)parser->problem_mark.column + 1};
    source_error(reader->source, &at, "this is not YAML: %s%s; what stands below was not read", problem, syntax_hint(problem));
}

void yaml_read(struct source *source) {
    size_t size;
    struct reader reader = {.source = source};
    const char *bytes = text_file_read(source, &size);
    if (!bytes)
        return;
    yaml_parser_t parser;
    CHECK(yaml_parser_initialize(&parser));
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, size);
    for (bool end = false; !end && !reader.stop;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            tell_syntax(&reader, &parser);
            reader.stop = true;
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        on_event(&reader, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    while (reader.stop && reader.depth) {
        reader.skip_depth = 0;
        on_close(&reader);
    }
    source->root = reader.root;
    source->complete = !reader.stop;
    if (!source->root && source->complete)
        source_error(source, NULL, "the file holds comments only; the least it needs is 'gateway: {id: NAME}'");
}
