/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of an alarm or of one condition. What it means depends on its point: the unit it must carry, the range it must lie
 * in, the labels it may name. `rising` and `falling` are limits of the point's rate, which the caller gives as the point. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/loader.h"
#include "config/scalar.h"

struct condition_word {
    const char *key;
    enum condition_kind kind;
};

static const struct condition_word conditions[] = {
    {"above", CONDITION_ABOVE}, {"below", CONDITION_BELOW}, {"is", CONDITION_EQUAL}, {"rising", CONDITION_ABOVE}, {"falling", CONDITION_BELOW}};

static const struct node *member(const struct node *map, const char *name) {
    return schema_member(&schema_alarm, map, name);
}

bool quantity_read(const struct source *source, const struct node *node, const struct point *point, double *ret_value) {
    const char *unit;
    double number;
    if (!scalar_quantity(node->text, &number, &unit))
        return false;
    if (strcmp(unit, point->unit) == 0) {
        *ret_value = number;
        return true;
    }
    const char *key = node->key->text;
    int digits = (int)(strlen(node->text) - strlen(unit));
    while (digits > 0 && node->text[digits - 1] == ' ')
        digits--;
    if (!*unit)
        source_error(source, node, "'%s' is '%s' without a unit; the point '%s' is in %s: write '%.*s %s'", key, QUOTE(node->text), point->name,
                     point->unit, digits < 32 ? digits : 32, node->text, point->unit);
    else if (!*point->unit)
        source_error(source, node, "'%s' is '%s', but the point '%s' has no unit: write '%.*s'", key, QUOTE(node->text), point->name,
                     digits < 32 ? digits : 32, node->text);
    else
        source_error(source, node, "'%s' is '%s', but the point '%s' is in %s: write the limit in %s", key, QUOTE(node->text), point->name,
                     point->unit, point->unit);
    return false;
}

static const struct enumeration_label *label_find(const struct point *point, const char *name) {
    for (unsigned i = 0; i < point->labels_count; i++)
        if (strcmp(point->labels[i].name, name) == 0)
            return &point->labels[i];
    return NULL;
}

static void tell_value(const struct source *source, const struct node *node, const struct point *point) {
    char bytes[LINE_SIZE / 2], near[NEAREST_SIZE];
    struct text text;
    struct nearest nearest;
    text_init(&text, bytes, sizeof(bytes));
    nearest_init(&nearest, node->text);
    for (unsigned i = 0; i < point->labels_count; i++) {
        text_add(&text, i ? ", " : "");
        text_add(&text, point->labels[i].name);
        nearest_try(&nearest, point->labels[i].name);
    }
    if (!point->labels_count)
        text_add(&text, point->type == TYPE_BIT ? "on, off" : "a number");
    source_error(source, node, "'%s' is '%s', but the point '%s' takes %s%s", node->key->text, QUOTE(node->text), point->name, bytes,
                 nearest_text(&nearest, near));
}

bool value_read(const struct source *source, const struct node *node, const struct point *point, double *ret_value, const char **ret_label,
                struct arena *arena) {
    const struct enumeration_label *label = label_find(point, node->text);
    bool on = strcmp(node->text, "on") == 0, off = strcmp(node->text, "off") == 0, single = point->type == TYPE_BIT || point->writable;
    *ret_label = NULL;
    if (label) {
        *ret_value = (double)label->value;
        *ret_label = loader_keep(arena, label->name);
    } else if ((on || off) && single && !point->labels_count) {
        *ret_value = on;
        *ret_label = on ? "on" : "off";
    } else if (point->type == TYPE_STRING || !text_read_double(node->text, ret_value) ||
               (point->type == TYPE_BIT && *ret_value != 0 && *ret_value != 1)) {
        tell_value(source, node, point);
        return false;
    } else {
        for (unsigned i = 0; i < point->labels_count; i++)
            if ((double)point->labels[i].value == *ret_value)
                *ret_label = loader_keep(arena, point->labels[i].name);
    }
    return true;
}

static const struct node *written_rate(const struct node *map, const char *key) {
    const struct node *node = node_get(map, key);
    return node && node->kind != NODE_REFUSED ? node : NULL;
}

const struct node *limit_rate(const struct node *map) {
    const struct node *rising = written_rate(map, "rising");
    return rising ? rising : written_rate(map, "falling");
}

bool limit_written(const struct node *map) {
    for (size_t i = 0; i < ARRAY_COUNT(conditions); i++)
        if (node_get(map, conditions[i].key))
            return true;
    return false;
}

/* "from 0 to 100", or what is known of it. */
#define REACH_SIZE 64
static const char *reach_text(const struct point *point, char buffer[REACH_SIZE]) {
    if (isinf(point->range_max))
        snprintf(buffer, REACH_SIZE, "is never below %g", point->range_min);
    else if (isinf(point->range_min))
        snprintf(buffer, REACH_SIZE, "is never above %g", point->range_max);
    else
        snprintf(buffer, REACH_SIZE, "only reaches from %g to %g", point->range_min, point->range_max);
    return buffer;
}

/* A limit that the value cannot pass, or a state it cannot take, is an alarm that never comes. */
static bool limit_makes_sense(const struct source *source, const struct node *node, const struct point *point, const struct config_alarm *alarm) {
    double limit = alarm->limit, least = point->range_min, most = point->range_max;
    bool inside = limit >= least && limit <= most;
    if (alarm->condition == CONDITION_ABOVE)
        inside = inside && limit < most;
    else if (alarm->condition == CONDITION_BELOW)
        inside = inside && limit > least;
    if (inside || !point->has_range)
        return true;
    char reach[REACH_SIZE];
    source_error(source, node, "'%s' is %s, but the point '%s' %s%s%s: the alarm could never be right", node->key->text, QUOTE(node->text),
                 point->name, reach_text(point, reach), *point->unit ? " " : "", point->unit);
    return false;
}

/* With its deadband an alarm must still be able to clear. Told at the deadband when it is written here, else at the limit. */
static bool can_clear(const struct source *source, const struct node *map, const struct point *point, const struct config_alarm *alarm) {
    bool above = alarm->condition == CONDITION_ABOVE;
    double clears = above ? alarm->limit - alarm->deadband : alarm->limit + alarm->deadband;
    if (!point->has_range || alarm->condition == CONDITION_EQUAL || (clears >= point->range_min && clears <= point->range_max))
        return true;
    const struct node *at = member(map, "deadband");
    if (!at)
        at = node_place(map);
    char reach[REACH_SIZE];
    source_error(source, at, "the alarm would clear only %s %g, but the point '%s' %s: make the deadband smaller", above ? "below" : "above", clears,
                 point->name, reach_text(point, reach));
    return false;
}

static bool read_limit(const struct source *source, const struct node *node, const struct point *point, struct arena *arena,
                       struct config_alarm *alarm) {
    if (point->type == TYPE_STRING) {
        source_error(source, node_place(node), "the point '%s' is a string; an alarm compares numbers and labels only", point->name);
        return false;
    }
    if (alarm->condition == CONDITION_EQUAL)
        return value_read(source, node, point, &alarm->limit, &alarm->label, arena) && limit_makes_sense(source, node, point, alarm);
    alarm->label = NULL;
    if (point->type == TYPE_BIT || point->labels_count) {
        source_error(source, node_place(node), "the point '%s' has states, not an amount: use 'is' instead of '%s'", point->name, node->key->text);
        return false;
    }
    if (!quantity_read(source, node, point, &alarm->limit))
        return false;
    bool rising = strcmp(node->key->text, "rising") == 0, falling = strcmp(node->key->text, "falling") == 0;
    if ((rising || falling) && alarm->limit <= 0) {
        source_error(source, node, "'%s' is %s, but must be above 0: it is how fast the value moves in that direction", node->key->text,
                     QUOTE(node->text));
        return false;
    }
    if (falling)
        alarm->limit = -alarm->limit;
    return limit_makes_sense(source, node, point, alarm);
}

/* One of the words; a fresh alarm needs it, an override may change it. */
static bool read_condition(const struct source *source, const struct node *map, const struct point *point, bool fresh, struct arena *arena,
                           struct config_alarm *alarm) {
    const struct node *found = NULL, *written = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(conditions); i++) {
        const struct node *node = node_get(map, conditions[i].key);
        if (node && written) {
            source_error(source, node_place(node), "'%s' and '%s' cannot stand together: an alarm has one condition", written->key->text,
                         node->key->text);
            return false;
        }
        if (!node)
            continue;
        written = node;
        found = member(map, conditions[i].key);
        alarm->condition = conditions[i].kind;
    }
    if (!written && fresh)
        source_error(source, node_place(map), "the alarm has no condition: it needs one of above, below, is, rising, falling");
    if (!written)
        return !fresh;
    return found && read_limit(source, found, point, arena, alarm);
}

static bool read_deadband(const struct source *source, const struct node *map, const struct point *point, struct config_alarm *alarm) {
    const struct node *node = member(map, "deadband");
    if (!node)
        return !node_get(map, "deadband");
    if (alarm->condition == CONDITION_EQUAL) {
        source_error(source, node_place(node), "'deadband' has no meaning with 'is': use off_delay");
        return false;
    }
    if (!quantity_read(source, node, point, &alarm->deadband))
        return false;
    if (alarm->deadband < 0) {
        source_error(source, node, "'deadband' is %s, but it is a distance and cannot be negative", QUOTE(node->text));
        return false;
    }
    return true;
}

bool limit_read(const struct source *source, const struct node *map, const struct point *point, bool fresh, struct arena *arena,
                struct config_alarm *alarm) {
    bool ok = read_condition(source, map, point, fresh, arena, alarm);
    if (ok && alarm->condition == CONDITION_EQUAL)
        alarm->deadband = 0;
    return ok && read_deadband(source, map, point, alarm) && can_clear(source, map, point, alarm);
}
