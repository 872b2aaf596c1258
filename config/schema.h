/* SPDX-License-Identifier: Apache-2.0 */
/* One table of keys (schema_table.c): everything a person may write, with its type, unit, range, default and one sentence
 * in two languages. The check of a file, the defaults, `yanhuo explain` and the JSON Schema all come from it, so that none of
 * them can say something else than the others. */
#ifndef YANHUO_SCHEMA_H
#define YANHUO_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "config/yaml.h"

enum schema_type {
    SCHEMA_TEXT,      /* any text that is not empty; `max` bytes at most when given */
    SCHEMA_NAME,      /* text_is_name */
    SCHEMA_REFERENCE, /* a name, or two joined by '/' */
    SCHEMA_BOOL,      /* exactly true or false */
    SCHEMA_INTEGER,   /* `words`: only these */
    SCHEMA_REAL,
    SCHEMA_DURATION, /* min and max in milliseconds */
    SCHEMA_SIZE,     /* min and max in bytes */
    SCHEMA_TIME,     /* RFC 3339 with an offset */
    SCHEMA_HOURS,    /* "10:00-22:00" */
    SCHEMA_QUANTITY, /* a number with the unit of the point it is about, checked by the loader; `words`: above 0, with this unit */
    SCHEMA_ENUM,     /* `words`: "a|b|c"; its value is the index */
    SCHEMA_HOST,     /* host or host:port */
    SCHEMA_URL,      /* `words`: the schemes */
    SCHEMA_VALUE,    /* a label, on, off or a number */
    SCHEMA_MAP,      /* fixed keys: `of` */
    SCHEMA_MAP_OF,   /* names a person chooses; each holds `of` */
    SCHEMA_NAMES,    /* names (or, with number_keys, numbers) a person chooses; each holds `item` */
    SCHEMA_LIST,     /* of `item`; min and max count its members */
    SCHEMA_ANY,      /* checked elsewhere */
};

struct schema_shape;

struct schema_key {
    const char *name;
    enum schema_type type;
    bool required;
    double min, max;      /* both 0: no range */
    const char *fallback; /* the default, as a person would write it; NULL: none */
    const char *words;
    const struct schema_shape *of;
    const struct schema_key *item;
    bool number_keys; /* of SCHEMA_NAMES */
    bool path_keys;   /* of SCHEMA_MAP_OF: a key may also be device/name */
    bool or_false;    /* `false` may stand instead of a map */
    bool or_list;     /* a list of at most `max` of it may stand instead of one */
    bool or_secret;   /* {credential: NAME} may stand instead of a text */
    const char *en, *zh;
};

/* The keys that may stand in one map. */
struct schema_shape {
    const char *name; /* of the JSON Schema's definition */
    size_t count;
    const struct schema_key *keys;
    bool recursive; /* a member may hold the same keys again */
};

extern const struct schema_shape schema_site, schema_gateway, schema_place, schema_bus, schema_device, schema_point, schema_alarm, schema_action,
    schema_uplink, schema_keep, schema_readings, schema_store, schema_profile, schema_hours, schema_commands, schema_derived, schema_condition, schema_words,
    schema_shelf, schema_rules, schema_rule, schema_rule_for, schema_card;

const struct schema_key *schema_find(const struct schema_shape *shape, const char *name);

/* Reports everything in the file that the table does not allow. */
void schema_check(const struct source *source, const struct schema_shape *shape, const struct node *map);

/* The member `name` of `map`, or the table's default; what is malformed was reported by schema_check and counts as not
 * written. Asking for a key that is not in the table is our own mistake. */
uint64_t schema_u64(const struct schema_shape *shape, const struct node *map, const char *name); /* integer, duration, size, enum, bool */
double schema_real(const struct schema_shape *shape, const struct node *map, const char *name);
const char *schema_text(const struct schema_shape *shape, const struct node *map, const char *name); /* "" when there is none */
/* The member when it is written and has the right form. */
const struct node *schema_member(const struct schema_shape *shape, const struct node *map, const char *name);

/* One scalar against its key; NULL when it is right, else what was expected, in `expected`. */
#define EXPECTED_SIZE 320
bool schema_scalar_ok(const struct schema_key *key, const struct node *node, char *expected, size_t expected_size);

/* Of some names the one nearest to a mistyped one. */
struct nearest {
    const char *wanted;
    const char *best;
    unsigned distance;
};
void nearest_init(struct nearest *nearest, const char *wanted);
void nearest_try(struct nearest *nearest, const char *name);
/* " (did you mean 'x'?)" or "". */
#define NEAREST_SIZE 96
const char *nearest_text(const struct nearest *nearest, char buffer[NEAREST_SIZE]);

/* Printing, in schema_print.c. */
bool schema_explain(const char *path, FILE *to, FILE *complaints); /* false: there is no such key, said in `complaints` */
void schema_explain_list(FILE *to);
void schema_print_json(FILE *to);

#endif
