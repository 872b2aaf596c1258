/* SPDX-License-Identifier: Apache-2.0 */
/* The manual of one key, or the list of all of them, from the table. A path names keys joined by dots, with any name (or *)
 * where a person chooses the name: uplinks.*.readings.batch. The keys of profile files begin with "profile.". */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/scalar.h"
#include "config/schema.h"

#define PATH_PART_SIZE 128

static const struct schema_key profile_root = {
    .name = "profile", .type = SCHEMA_MAP, .of = &schema_profile, .en = "A file that describes one device model.", .zh = "设备型号模板文件。"};

static void print_words(FILE *to, const char *words) {
    for (; *words; words++)
        fputs((char[3]){*words == '|' ? ',' : *words, *words == '|' ? ' ' : '\0', '\0'}, to);
}

static void print_bound(FILE *to, enum schema_type type, double bound) {
    char buffer[DURATION_SIZE];
    if (type == SCHEMA_DURATION)
        fputs(scalar_duration_text(buffer, (uint64_t)bound), to);
    else if (type == SCHEMA_SIZE)
        fprintf(to, "%.0f MB", bound / 1e6);
    else
        fprintf(to, "%.0f", bound);
}

static const char *type_words(enum schema_type type) {
    switch (type) {
    case SCHEMA_TEXT:
        return "text";
    case SCHEMA_NAME:
        return "name";
    case SCHEMA_REFERENCE:
        return "reference";
    case SCHEMA_BOOL:
        return "true or false";
    case SCHEMA_INTEGER:
        return "whole number";
    case SCHEMA_REAL:
        return "number";
    case SCHEMA_DURATION:
        return "duration (500ms, 5s, 3min, 2h, 10d)";
    case SCHEMA_SIZE:
        return "size (512 MB)";
    case SCHEMA_TIME:
        return "time with its offset (2026-12-01T08:00:00+08:00)";
    case SCHEMA_HOURS:
        return "hours (\"10:00-22:00\")";
    case SCHEMA_QUANTITY:
        return "number with the point's unit (9 A)";
    case SCHEMA_ENUM:
        return "one of";
    case SCHEMA_HOST:
        return "host:port";
    case SCHEMA_URL:
        return "address with one of";
    case SCHEMA_VALUE:
        return "label, on, off or number";
    case SCHEMA_MAP:
        return "keys";
    case SCHEMA_MAP_OF:
    case SCHEMA_NAMES:
        return "names, each with its own";
    case SCHEMA_LIST:
        return "list";
    case SCHEMA_ANY:
        return "see docs/profile-format.md";
    }
    return "";
}

static void print_type(FILE *to, const struct schema_key *key) {
    bool fixed_unit = key->type == SCHEMA_QUANTITY && key->words;
    fputs(fixed_unit ? "number with the unit" : type_words(key->type), to);
    if (key->words) {
        fputs(key->type == SCHEMA_INTEGER ? ", one of " : " ", to);
        print_words(to, key->words);
    }
    bool counted = key->type == SCHEMA_LIST || key->type == SCHEMA_MAP_OF || key->type == SCHEMA_NAMES;
    if (counted && key->min != 0 && key->min == key->max)
        fprintf(to, " of %.0f", key->max);
    else if (counted && key->min != 0)
        fprintf(to, " of %.0f to %.0f", key->min, key->max);
    else if (counted && key->max != 0)
        fprintf(to, ", at most %.0f", key->max);
    else if (key->type == SCHEMA_TEXT && key->max != 0)
        fprintf(to, ", at most %.0f bytes", key->max);
    else if ((key->min != 0 || key->max != 0) && !key->or_list) {
        fputs(", ", to);
        print_bound(to, key->type, key->min);
        fputs(" to ", to);
        print_bound(to, key->type, key->max);
    }
    if (key->or_list)
        fprintf(to, ", or a list of at most %.0f", key->max);
    if (key->or_false)
        fputs(", or false", to);
    if (key->or_secret)
        fputs(", or {credential: NAME}", to);
    if (key->fallback)
        fprintf(to, "; default %s", key->fallback);
    else if (key->required)
        fputs("; required", to);
}

/* The keys below one: its own, or those of its members. */
static const struct schema_shape *shape_below(const struct schema_key *key) {
    return key->of ? key->of : key->item ? key->item->of : NULL;
}

static void print_keys(FILE *to, const struct schema_shape *shape) {
    for (size_t i = 0; i < shape->count; i++)
        fprintf(to, "    %-18s %s\n", shape->keys[i].name, shape->keys[i].en);
}

/* The next part of a path; what a person calls something may stand for '*'. */
static const char *next_part(const char *path, char part[PATH_PART_SIZE]) {
    const char *dot = strchr(path, '.');
    size_t length = dot ? (size_t)(dot - path) : strlen(path);
    if (length >= PATH_PART_SIZE)
        length = PATH_PART_SIZE - 1;
    memcpy(part, path, length);
    part[length] = '\0';
    return dot ? dot + 1 : NULL;
}

static void tell_unknown(const char *part, const struct schema_shape *shape, FILE *to) {
    char text[NEAREST_SIZE];
    struct nearest nearest;
    nearest_init(&nearest, part);
    for (size_t i = 0; i < shape->count; i++)
        nearest_try(&nearest, shape->keys[i].name);
    fprintf(to, "there is no key '%s' here%s; the keys are:\n", QUOTE(part), nearest_text(&nearest, text));
    print_keys(to, shape);
}

bool schema_explain(const char *path, FILE *to, FILE *complaints) {
    char part[PATH_PART_SIZE];
    const struct schema_shape *shape = &schema_site;
    const struct schema_key *key = NULL;
    bool named = false; /* the next part is a name a person chose */
    const char *rest = path;
    do {
        rest = next_part(rest, part);
        if (named) {
            named = false;
            continue;
        }
        bool profile = !key && strcmp(part, "profile") == 0;
        const struct schema_key *found = profile ? &profile_root : shape ? schema_find(shape, part) : NULL;
        if (!found) {
            if (shape)
                tell_unknown(part, shape, complaints);
            else
                fprintf(complaints, "'%s' has no keys of its own\n", key->name);
            return false;
        }
        key = found;
        shape = shape_below(key);
        named = key->type == SCHEMA_MAP_OF || key->type == SCHEMA_NAMES;
    } while (rest);
    fprintf(to, "%s: ", path);
    print_type(to, key);
    fprintf(to, "\n  %s\n  %s\n", key->en, key->zh ? key->zh : "");
    if (shape) {
        fputs(key->type == SCHEMA_MAP ? "  keys:\n" : "  each has these keys:\n", to);
        print_keys(to, shape);
    }
    return true;
}

static void list_shape(const struct schema_shape *shape, const char *prefix, FILE *to) {
    for (size_t i = 0; i < shape->count; i++) {
        const struct schema_key *key = &shape->keys[i];
        char path[PATH_PART_SIZE];
        snprintf(path, sizeof(path), "%s%s", prefix, key->name);
        fprintf(to, "%-36s %s\n", path, key->en);
        bool named = key->type == SCHEMA_MAP_OF;
        snprintf(path, sizeof(path), "%s%s.%s", prefix, key->name, named ? "*." : "");
        const struct schema_shape *below = shape_below(key);
        bool listed = below && below->recursive && (below == shape || (i > 0 && shape_below(key - 1) == below));
        if (below && !listed)
            list_shape(below, path, to);
    }
}

void schema_explain_list(FILE *to) {
    list_shape(&schema_site, "", to);
    list_shape(&schema_profile, "profile.", to);
}
