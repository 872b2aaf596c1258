/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML file as a tree of nodes that know where they stand. Only the plain part of YAML is accepted: maps, lists and text
 * in one document. Anchors, aliases, merge keys, tags, further documents, duplicate keys and tabs as indentation are errors
 * with a sentence each, because each of them lets a file mean something other than what a person reads in it.
 * Every scalar is text here; what it means is decided by the schema, so there are no octal or yes/no surprises. */
#ifndef YANHUO_YAML_H
#define YANHUO_YAML_H

#include "config/load.h"

#define YAML_NODES_MAX 600000 /* a node takes about 80 bytes; a file of CONFIG_FILE_SIZE written by a person has fewer */
#define YAML_SCALAR_MAX 65536 /* bytes of one text */

enum node_kind {
    NODE_SCALAR,
    NODE_MAP,
    NODE_LIST,
    NODE_REFUSED, /* already complained about; takes the place of anything */
};

struct node {
    enum node_kind kind;
    bool quoted; /* a scalar in quotes or in a block */
    unsigned line, column;
    const char *text;        /* of a scalar; "" otherwise */
    const struct node *key;  /* of a member of a map: its key, a scalar */
    const struct node *next; /* in the map or list it is in */
    struct node *first, *last;
    unsigned count;
};

/* A file while it is read: where messages go and what was read. */
struct source {
    const char *path;
    struct diagnostics *diagnostics;
    struct arena *arena;     /* of the nodes; the configuration's own texts are copied out of it */
    const struct node *root; /* NULL when there is nothing to look at */
    bool complete;           /* false: the reading stopped at an error, so a missing key says nothing */
    uint64_t hash;           /* FNV-1a 64 of the bytes */
};

/* Fills root, complete and hash; path, diagnostics and arena are the caller's. Every problem becomes a diagnostic. */
void yaml_read(struct source *source);

/* The lexical part of it, in text_file.c: the bytes of a regular, bounded, UTF-8 file without tabs as indentation, or NULL. */
char *text_file_read(struct source *source, size_t *ret_size);

/* The member of a map, or NULL. */
const struct node *node_get(const struct node *map, const char *key);
/* Where a person looks for it: its key when it has one. */
const struct node *node_place(const struct node *node);

void source_error(const struct source *source, const struct node *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void source_warning(const struct source *source, const struct node *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* More messages are still stored; when they are not, looking for the nearest name is wasted time. */
bool source_has_room(const struct source *source);

/* What a person wrote, short enough to be quoted in a message. */
#define QUOTE_SIZE 64
const char *quote_into(char buffer[QUOTE_SIZE], const char *text);
#define QUOTE(text) quote_into((char[QUOTE_SIZE]){0}, (text))

#endif
