/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of one alarm, in a profile, new on a site, or laid over one from a profile. What a limit means depends on its
 * point: the unit it must carry, the range it must lie in, the labels it may name. */
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

static const struct condition_word conditions[] = {{"above", CONDITION_ABOVE}, {"below", CONDITION_BELOW}, {"is", CONDITION_EQUAL}};

static const struct node *member(const struct node *map, const char *name) {
    return schema_member(&schema_alarm, map, name);
}

void alarm_defaults(struct config_alarm *alarm) {
    alarm->of_n = alarm->of_m = 1;
    alarm->suppressed_by = CONFIG_NONE;
    alarm->class = (enum alarm_class)schema_u64(&schema_alarm, NULL, "class");
    alarm->priority = (enum priority)schema_u64(&schema_alarm, NULL, "priority");
}

static bool quantity_read(const struct source *source, const struct node *node, const struct point *point, double *ret_value) {
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
    source_error(source, node, "'%s' is %s, but the point '%s' only reaches from %g to %g%s%s: the alarm could never be right", node->key->text,
                 QUOTE(node->text), point->name, least, most, *point->unit ? " " : "", point->unit);
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
    source_error(source, at, "the alarm would clear only %s %g, but the point '%s' reaches from %g to %g: make the deadband smaller",
                 above ? "below" : "above", clears, point->name, point->range_min, point->range_max);
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
    return limit_makes_sense(source, node, point, alarm);
}

/* One of above, below, is; a fresh alarm needs it, an override may change it. */
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
    bool later = node_get(map, "all") || node_get(map, "any") || node_get(map, "not");
    if (!written && fresh && !later)
        source_error(source, node_place(map), "the alarm has no condition: it needs one of above, below, is");
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

static bool read_of(const struct source *source, const struct node *map, struct config_alarm *alarm) {
    const struct node *of = member(map, "of");
    uint64_t n = 0, m = 0;
    if (!of || !scalar_unsigned(of->first->text, &n) || !scalar_unsigned(of->last->text, &m))
        return !node_get(map, "of");
    if (n > m) {
        source_error(source, of, "'of' is [%u, %u]: %u of the last %u readings can never be; the first must not be above the second", (unsigned)n,
                     (unsigned)m, (unsigned)n, (unsigned)m);
        return false;
    }
    alarm->of_n = (uint8_t)n;
    alarm->of_m = (uint8_t)m;
    return true;
}

static void read_plain(const struct node *map, struct arena *arena, struct config_alarm *alarm) {
    if (member(map, "on_delay"))
        alarm->on_delay_ms = (uint32_t)schema_u64(&schema_alarm, map, "on_delay");
    if (member(map, "off_delay"))
        alarm->off_delay_ms = (uint32_t)schema_u64(&schema_alarm, map, "off_delay");
    if (member(map, "latch"))
        alarm->latch = schema_u64(&schema_alarm, map, "latch") != 0;
    if (member(map, "class"))
        alarm->class = (enum alarm_class)schema_u64(&schema_alarm, map, "class");
    if (member(map, "priority"))
        alarm->priority = (enum priority)schema_u64(&schema_alarm, map, "priority");
    if (member(map, "zh"))
        alarm->zh = loader_keep(arena, schema_text(&schema_alarm, map, "zh"));
    if (member(map, "en"))
        alarm->en = loader_keep(arena, schema_text(&schema_alarm, map, "en"));
}

/* A communication alarm has no point: only what does not depend on a value may be changed. */
static bool communication_read(const struct source *source, const struct node *map) {
    static const char *const words[] = {"above", "below", "is", "deadband", "of"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        const struct node *node = node_get(map, words[i]);
        if (!node)
            continue;
        source_error(source, node_place(node), "'%s' has no meaning for a communication alarm: it is about answers, not values", words[i]);
        return false;
    }
    return true;
}

bool alarm_read(const struct source *source, const struct node *map, const struct point *point, bool fresh, struct arena *arena,
                struct config_alarm *alarm) {
    bool ok;
    if (point) {
        ok = read_condition(source, map, point, fresh, arena, alarm);
        if (ok && alarm->condition == CONDITION_EQUAL)
            alarm->deadband = 0;
        ok = ok && read_deadband(source, map, point, alarm) && can_clear(source, map, point, alarm);
        ok = read_of(source, map, alarm) && ok;
    } else {
        ok = communication_read(source, map);
    }
    read_plain(map, arena, alarm);
    return ok;
}
