/* SPDX-License-Identifier: Apache-2.0 */
/* A ready rule written down as if the site had written it: a copy of its nodes in which
 *
 *   point: fan              names the point found for it, DEVICE/POINT; so do the inputs of a derived point
 *   open: true              names the device's place
 *   suppressed_by: RULE     names that rule's alarm on this device, and is left out when there is none
 *   zh, en                  say the watched point's own name for {point}
 *   rated, by_stoves        have become above and deadband
 *   rule_set                is added
 *
 * The copy keeps the places (line and column) of the rule file, so that whatever is wrong with it is told there. What a profile
 * brings already is not doubled: a rule's alarm that bears the name of one of the profile's takes its place. With `instead_of` it
 * does so as it is; with `enriches` it is written down with the profile's point, limit, delays, class and text, and only remedy,
 * basis, confidence and repetition are the rule's. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/place_rules.h"
#include "config/scalar.h"

#define TEXT_SIZE 1024 /* of one text of a rule with the point's name in it; the table of keys allows 500 bytes */
#define REFERENCE_SIZE (2 * NAME_SIZE)

static struct node *node_new(const struct rule_use *use, const struct node *at, const char *text) {
    struct node *node = arena_take(&use->loader->scratch, 1, sizeof(*node));
    *node = (struct node){.kind = NODE_SCALAR, .line = at->line, .column = at->column, .text = loader_keep(&use->loader->scratch, text)};
    return node;
}

static struct node *map_new(const struct rule_use *use, const struct node *at, const char *key) {
    struct node *map = node_new(use, at, "");
    map->kind = NODE_MAP;
    map->key = node_new(use, at, key);
    return map;
}

static void add(struct node *collection, struct node *member) {
    if (collection->last)
        ((struct node *)collection->last)->next = member;
    else
        collection->first = member;
    collection->last = member;
    collection->count++;
}

static void add_scalar(const struct rule_use *use, struct node *map, const struct node *at, const char *key, const char *text) {
    struct node *member = node_new(use, at, text);
    member->key = node_new(use, at, key);
    add(map, member);
}

static const struct rule_need *find_need(const struct rule_use *use, const char *name) {
    for (unsigned i = 0; i < use->needs_count; i++)
        if (strcmp(use->needs[i].name, name) == 0)
            return &use->needs[i];
    return NULL;
}

static const struct point *measured_point(const struct rule_use *use, const struct rule_need *need) {
    const struct device_spec *spec = &use->loader->devices[need->device].spec;
    uint16_t point = points_find(spec->points, spec->points_count, need->point);
    return point == CONFIG_NONE ? NULL : &spec->points[point];
}

static const char *reference(const struct rule_use *use, const char *name) {
    char text[REFERENCE_SIZE];
    const struct rule_need *need = find_need(use, name);
    CHECK(need); /* place_rules_file.c has seen to it */
    snprintf(text, sizeof(text), "%s/%s", use->loader->devices[need->device].spec.name, need->point);
    return loader_keep(&use->loader->scratch, text);
}

/* What people call the point that the rule is about first. */
static const char *point_words(const struct rule_use *use, bool chinese) {
    const struct rule_need *need = &use->needs[0];
    const struct point *point = measured_point(use, need);
    const char *words = point ? (chinese ? point->zh : point->en) : NULL;
    if (!point) {
        const struct node *written = node_get(node_get(node_get(use->set->derived, need->name), "point"), chinese ? "zh" : "en");
        words = written ? written->text : NULL;
    }
    return words && *words ? words : need->point;
}

static const char *with_point(const struct rule_use *use, const char *text, bool chinese) {
    static const char mark[] = "{point}";
    char bytes[TEXT_SIZE];
    struct text out;
    text_init(&out, bytes, sizeof(bytes));
    for (const char *found; (found = strstr(text, mark)); text = found + strlen(mark)) {
        text_add_bytes(&out, text, (size_t)(found - text));
        text_add(&out, point_words(use, chinese));
    }
    text_add(&out, text);
    return loader_keep(&use->loader->scratch, bytes);
}

static const struct config_alarm *profile_alarm(const struct rule_use *use, const struct node *names, char ret_name[NAME_SIZE]) {
    const struct profile *profile = use->loader->devices_more[use->device].profile;
    for (const struct node *name = names ? names->first : NULL; name; name = name->next) {
        int length = snprintf(ret_name, NAME_SIZE, "%s%s", name->text, use->channel);
        for (uint16_t i = 0; length < NAME_SIZE && i < profile->alarms_count; i++)
            if (strcmp(profile->alarms[i].name, ret_name) == 0)
                return &profile->alarms[i];
    }
    return NULL;
}

/* The name that a rule's alarm has on this device: that of the profile's where it takes its place. */
static void alarm_name(const struct rule_use *use, const struct node *rule, char ret_name[NAME_SIZE]) {
    if (!profile_alarm(use, schema_member(&schema_rule, rule, "enriches"), ret_name) &&
        !profile_alarm(use, schema_member(&schema_rule, rule, "instead_of"), ret_name))
        snprintf(ret_name, NAME_SIZE, "%.*s%s", (int)(NAME_SIZE - 1 - strlen(use->channel)), rule->key->text, use->channel);
}

static const struct node *find_written(const struct node *list, const char *name) {
    while (list && strcmp(list->key->text, name) != 0)
        list = list->next;
    return list;
}

/* NULL: the member is left out. */
static const char *scalar_text(const struct rule_use *use, const struct node *from, const char *key) {
    char name[NAME_SIZE], text[REFERENCE_SIZE];
    if (strcmp(key, "point") == 0)
        return reference(use, from->text);
    if (strcmp(key, "open") == 0)
        return use->loader->places[use->loader->devices[use->device].place].key;
    if (strcmp(key, "zh") == 0 || strcmp(key, "en") == 0)
        return with_point(use, from->text, key[0] == 'z');
    if (strcmp(key, "suppressed_by") != 0)
        return from->text;
    const struct node *rule = node_get(use->set->rules, from->text);
    if (rule)
        alarm_name(use, rule, name);
    if (!rule || !find_written(use->loader->devices_more[use->device].rule_alarms, name))
        return NULL;
    snprintf(text, sizeof(text), "%s/%s", use->loader->devices[use->device].spec.name, name);
    return loader_keep(&use->loader->scratch, text);
}

static struct node *copy(const struct rule_use *use, const struct node *from) {
    struct node *to = arena_take(&use->loader->scratch, 1, sizeof(*to));
    *to = *from;
    to->next = NULL;
    if (from->kind == NODE_SCALAR) {
        to->text = from->key ? scalar_text(use, from, from->key->text) : from->text;
        return to->text ? to : NULL;
    }
    to->first = to->last = NULL;
    to->count = 0;
    for (const struct node *member = from->first; member; member = member->next) {
        struct node *copied = copy(use, member);
        if (copied)
            add(to, copied);
    }
    return to;
}

static void append(struct node **list, struct node *node) {
    while (*list)
        list = (struct node **)&(*list)->next;
    *list = node;
}

void rule_write_derived(const struct rule_use *use) {
    struct loader_device *more = &use->loader->devices_more[use->device];
    const struct node *point = node_get(use->rule, "point");
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "%.*s%s", (int)(NAME_SIZE - 1 - strlen(use->channel)), use->rule->key->text, use->channel);
    if (find_written(more->rule_derived, name))
        return;
    struct node *map = map_new(use, use->rule->key, name), *kind = copy(use, point->first);
    if (kind->kind == NODE_SCALAR)
        kind->text = reference(use, kind->text);
    for (struct node *input = kind->first; input; input = (struct node *)input->next)
        input->text = reference(use, input->text);
    add(map, kind);
    for (const struct node *member = point->first->next; member; member = member->next)
        add(map, copy(use, member));
    append(&more->rule_derived, map);
}

/* ---- limits ---- */

/* A product that a person would write: without the noise of the last binary digit. */
static void add_amperes(const struct rule_use *use, struct node *map, const struct node *factor, double rated) {
    char bytes[VALUE_TEXT_SIZE];
    struct text text;
    double number;
    if (!text_read_double(factor->text, &number))
        return; /* told by the table of keys */
    text_init(&text, bytes, sizeof(bytes));
    text_add_double(&text, (double)(int64_t)(number * rated * 1e6 + 0.5) / 1e6);
    text_add(&text, " A");
    add_scalar(use, map, factor, factor->key->text, bytes);
}

static void add_limits(const struct rule_use *use, struct node *map) {
    double amperes = use->loader->devices[use->device].rated_current;
    const struct node *rated = schema_member(&schema_rule, use->rule, "rated"), *stoves = schema_member(&schema_rule, use->rule, "by_stoves");
    for (const struct node *factor = rated && amperes > 0 ? rated->first : NULL; factor; factor = factor->next)
        add_amperes(use, map, factor, amperes);
    const struct node *limit = NULL;
    uint64_t from, best = 0;
    for (const struct node *node = stoves ? stoves->first : NULL; node; node = node->next)
        if (scalar_unsigned(node->key->text, &from) && from <= use->loader->places[use->loader->devices[use->device].place].stoves &&
            (!limit || from >= best)) {
            limit = node;
            best = from;
        }
    if (limit)
        add_scalar(use, map, limit, "above", limit->text);
}

/* "°C" of a limit on °C; "°C/min" of a limit on how fast it changes. */
static bool unit_fits(const char *key, const char *unit, const char *point_unit) {
    size_t length = strlen(point_unit);
    if (strcmp(key, "rising") == 0 || strcmp(key, "falling") == 0)
        return strncmp(unit, point_unit, length) == 0 && strcmp(unit + length, "/min") == 0;
    return strcmp(unit, point_unit) == 0;
}

static bool units_agree_in(const struct rule_use *use, const struct node *map, const char **ret_point) {
    static const char *const limits[] = {"above", "below", "rising", "falling", "deadband"};
    const struct node *name = node_get(map, "point");
    const struct rule_need *need = name ? find_need(use, name->text) : NULL;
    const struct point *point = need ? measured_point(use, need) : NULL;
    bool agree = !point || !schema_member(&schema_rule, use->rule, "rated") || strcmp(point->unit, "A") == 0;
    for (size_t i = 0; point && i < ARRAY_COUNT(limits); i++) {
        const struct node *limit = node_get(map, limits[i]);
        double number;
        const char *unit;
        if (limit && scalar_quantity(limit->text, &number, &unit))
            agree = agree && unit_fits(limits[i], unit, point->unit);
    }
    if (!agree)
        *ret_point = point->name;
    for (const struct node *member = map->first; agree && member; member = member->next)
        agree = member->kind == NODE_SCALAR || units_agree_in(use, member, ret_point);
    return agree;
}

bool rule_units_agree(const struct rule_use *use, const char **ret_point) {
    const struct node *alarm = node_get(use->rule, "alarm");
    return !alarm || units_agree_in(use, alarm, ret_point);
}

/* ---- an alarm ---- */

static void add_number(const struct rule_use *use, struct node *map, const char *key, double number, const char *unit) {
    char bytes[VALUE_TEXT_SIZE + NAME_SIZE];
    struct text text;
    text_init(&text, bytes, sizeof(bytes));
    text_add_double(&text, number);
    text_add(&text, *unit ? " " : "");
    text_add(&text, unit);
    add_scalar(use, map, use->rule->key, key, bytes);
}

static void add_delay(const struct rule_use *use, struct node *map, const char *key, uint32_t ms) {
    char bytes[DURATION_SIZE];
    if (ms)
        add_scalar(use, map, use->rule->key, key, scalar_duration_text(bytes, ms));
}

static void add_of(const struct rule_use *use, struct node *map, const struct config_alarm *own) {
    char bytes[VALUE_TEXT_SIZE];
    if (own->of_m <= 1)
        return;
    struct node *of = map_new(use, use->rule->key, "of");
    of->kind = NODE_LIST;
    snprintf(bytes, sizeof(bytes), "%u", own->of_n);
    add(of, node_new(use, use->rule->key, bytes));
    snprintf(bytes, sizeof(bytes), "%u", own->of_m);
    add(of, node_new(use, use->rule->key, bytes));
    add(map, of);
}

/* What the profile says of its alarm, in the words of a site. */
static void add_profile_alarm(const struct rule_use *use, struct node *map, const struct config_alarm *own) {
    static const char *const priorities[] = {"low", "medium", "high"};
    const struct node *at = use->rule->key;
    const struct device_spec *spec = &use->loader->devices[use->device].spec;
    const struct point *point = &spec->points[own->point];
    char path[REFERENCE_SIZE];
    snprintf(path, sizeof(path), "%s/%s", spec->name, point->name);
    add_scalar(use, map, at, "point", path);
    if (own->condition == CONDITION_EQUAL && own->label)
        add_scalar(use, map, at, "is", own->label);
    else if (own->condition == CONDITION_EQUAL)
        add_number(use, map, "is", own->limit, "");
    else
        add_number(use, map, own->condition == CONDITION_ABOVE ? "above" : "below", own->limit, point->unit);
    if (own->deadband > 0)
        add_number(use, map, "deadband", own->deadband, point->unit);
    add_delay(use, map, "on_delay", own->on_delay_ms);
    add_delay(use, map, "off_delay", own->off_delay_ms);
    add_of(use, map, own);
    if (own->latch)
        add_scalar(use, map, at, "latch", "true");
    add_scalar(use, map, at, "class", alarm_class_name(own->class));
    add_scalar(use, map, at, "priority", priorities[own->priority]);
    if (own->zh)
        add_scalar(use, map, at, "zh", own->zh);
    if (own->en)
        add_scalar(use, map, at, "en", own->en);
}

/* What a rule adds to an alarm of a profile. */
static bool enriches(const char *key) {
    static const char *const words[] = {"remedy", "basis", "confidence", "realarm", "escalate", "suppressed_by"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strcmp(key, words[i]) == 0)
            return true;
    return false;
}

/* The device of an alarm that the site wrote: the one it names, else that of its first point. NULL: none can be seen. */
static const char *site_device(const struct node *from) {
    const struct node *device = node_get(from, "device"), *point = node_get(from, "point");
    const char *found = device && device->kind == NODE_SCALAR ? device->text : point && point->kind == NODE_SCALAR ? point->text : NULL;
    for (const struct node *member = from->first; member && !found; member = member->next)
        found = site_device(member);
    return found;
}

/* The site's own word wins: an alarm of this name that it wrote for this device. */
static bool site_writes(const struct rule_use *use, const char *name) {
    const char *device = use->loader->devices[use->device].spec.name;
    const struct node *written = node_get(node_get(use->loader->site.root, "alarms"), name);
    const char *found = written ? site_device(written) : NULL;
    return found && strncmp(found, device, strlen(device)) == 0 && (found[strlen(device)] == '/' || !found[strlen(device)]);
}

void rule_write_alarm(const struct rule_use *use) {
    struct loader_device *more = &use->loader->devices_more[use->device];
    const struct node *alarm = node_get(use->rule, "alarm");
    char name[NAME_SIZE], unused[NAME_SIZE];
    const struct config_alarm *own = profile_alarm(use, schema_member(&schema_rule, use->rule, "enriches"), unused);
    alarm_name(use, use->rule, name);
    if (!alarm || find_written(more->rule_alarms, name) || site_writes(use, name))
        return;
    struct node *map = map_new(use, use->rule->key, name);
    if (own)
        add_profile_alarm(use, map, own);
    for (const struct node *member = alarm->first; member; member = member->next) {
        struct node *copied = !own || enriches(member->key->text) ? copy(use, member) : NULL;
        if (copied)
            add(map, copied);
    }
    if (!own)
        add_limits(use, map);
    add_scalar(use, map, use->rule->key, "rule_set", use->set->kind);
    append(&more->rule_alarms, map);
}
