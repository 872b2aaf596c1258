/* SPDX-License-Identifier: Apache-2.0 */
/* A condition of several: a tree of groups and leaves becomes a run of terms in prefix order, a group before its members, with a
 * span that counts both. The group that stands at the alarm itself is the first term; its delays are the alarm's.
 *
 *   {point: D/P, above|below|is: X}     a leaf, read like the limit of an alarm of that point
 *   {point: D/P, missing: true}         there is no good reading
 *   {open: PLACE}                       within the hours of the place
 *   {all: [...]}, {any: [...]}, {not: {...}}
 *
 * Guarantees: every group has a member, `not` exactly one; there are at most TERMS_PER_ALARM_MAX terms; no two members of one
 * `all` exclude each other. After an error nothing is added to the loader's terms. */
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/loader.h"

#define ROOM_FIRST 64

static const char *const group_words[] = {"all", "any", "not"}; /* in the order of TERM_ALL, TERM_ANY, TERM_NOT */

struct builder {
    struct loader *loader;
    const struct source *source;
    uint16_t count, device; /* device: of the first point, CONFIG_NONE before it */
    bool full;
    struct config_term terms[TERMS_PER_ALARM_MAX];
    const struct node *nodes[TERMS_PER_ALARM_MAX];
};

static bool read_term(struct builder *builder, const struct node *map);

const struct node *conditions_group(const struct node *map) {
    for (size_t i = 0; i < ARRAY_COUNT(group_words); i++)
        if (node_get(map, group_words[i]))
            return node_get(map, group_words[i]);
    return NULL;
}

static struct config_term *add_term(struct builder *builder, const struct node *at, enum term_kind kind) {
    if (builder->count == TERMS_PER_ALARM_MAX) {
        if (!builder->full)
            source_error(builder->source, node_place(at),
                         "the condition has more than %d parts, groups included: nobody who is called understands it", TERMS_PER_ALARM_MAX);
        builder->full = true;
        return NULL;
    }
    struct config_term *term = &builder->terms[builder->count];
    builder->nodes[builder->count++] = at;
    *term = (struct config_term){.kind = kind, .span = 1, .device = CONFIG_NONE, .point = CONFIG_NONE, .place = CONFIG_NONE};
    return term;
}

/* Keys beside the one that says what the condition is; `allowed` ends with NULL. */
static bool refuse_beside(const struct builder *builder, const struct node *map, const char *what, const char *const *allowed) {
    bool ok = true;
    for (const struct node *node = map->first; node; node = node->next) {
        bool known = strcmp(node->key->text, what) == 0;
        for (size_t i = 0; allowed[i] && !known; i++)
            known = strcmp(node->key->text, allowed[i]) == 0;
        if (known || !schema_find(&schema_condition, node->key->text))
            continue; /* what the table does not know was told by it */
        source_error(builder->source, node->key, "'%s' cannot stand beside '%s': give it a condition of its own", node->key->text, what);
        ok = false;
    }
    return ok;
}

/* ---- leaves ---- */

/* Its limit is read like that of an alarm, so that units, labels and ranges mean the same. */
static bool read_limit(struct builder *builder, const struct node *map, struct config_term *term) {
    struct point point = loader_limits(builder->loader, term->device, term->point);
    struct config_alarm limit = {.deadband = term->deadband};
    if (!limit_read(builder->source, map, &point, true, &builder->loader->scratch, &limit))
        return false;
    term->kind = limit.condition == CONDITION_ABOVE ? TERM_ABOVE : limit.condition == CONDITION_BELOW ? TERM_BELOW : TERM_EQUAL;
    term->limit = limit.limit;
    term->deadband = limit.deadband;
    return true;
}

static bool read_missing(struct builder *builder, const struct node *map, struct config_term *term) {
    static const char *const beside[] = {"point", "on_delay", NULL};
    if (!refuse_beside(builder, map, "missing", beside))
        return false;
    const struct node *missing = schema_member(&schema_condition, map, "missing");
    if (missing && strcmp(missing->text, "true") != 0) {
        source_error(builder->source, missing, "'missing' is false, which asks for nothing: write 'not: {point: ..., missing: true}'");
        return false;
    }
    term->kind = TERM_MISSING;
    return missing != NULL;
}

static bool read_point(struct builder *builder, const struct node *map, struct config_term *term) {
    static const char *const beside[] = {"above", "below", "is", "deadband", "missing", "on_delay", NULL};
    const struct node *point = schema_member(&schema_condition, map, "point");
    if (!refuse_beside(builder, map, "point", beside) || !point ||
        !loader_find_point(builder->loader, builder->source, point, &term->device, &term->point))
        return false;
    if (builder->device == CONFIG_NONE)
        builder->device = term->device;
    if (node_get(map, "missing"))
        return read_missing(builder, map, term);
    if (!limit_written(map)) {
        source_error(builder->source, node_place(map), "the condition on '%s' needs one of above, below, is, missing", QUOTE(point->text));
        return false;
    }
    return read_limit(builder, map, term);
}

static bool read_open(struct builder *builder, const struct node *map, struct config_term *term) {
    static const char *const beside[] = {"on_delay", NULL};
    const struct node *open = schema_member(&schema_condition, map, "open");
    if (!refuse_beside(builder, map, "open", beside) || !open)
        return false;
    uint32_t place = loader_find(builder->loader, builder->source, LOADER_PLACE, open, open->text);
    if (place == NAMES_NONE)
        return false;
    term->kind = TERM_OPEN;
    term->place = (uint16_t)place;
    return true;
}

/* ---- groups ---- */

static bool read_group(struct builder *builder, const struct node *group, enum term_kind kind, uint64_t on_delay_ms) {
    uint16_t own = builder->count;
    struct config_term *term = add_term(builder, group, kind);
    if (!term)
        return false;
    term->on_delay_ms = (uint32_t)on_delay_ms;
    if (group->kind == NODE_REFUSED || group->kind != (kind == TERM_NOT ? NODE_MAP : NODE_LIST))
        return false; /* told by the table */
    if (group->count == 0) {
        source_error(builder->source, node_place(group), "'%s' is empty: it needs at least one condition", group->key->text);
        return false;
    }
    bool ok = true;
    if (kind == TERM_NOT)
        ok = read_term(builder, group);
    for (const struct node *node = kind == TERM_NOT ? NULL : group->first; node && !builder->full; node = node->next)
        ok = read_term(builder, node) && ok;
    builder->terms[own].span = (uint16_t)(builder->count - own);
    return ok && !builder->full;
}

static const struct node *one_group(const struct builder *builder, const struct node *map, enum term_kind *ret_kind) {
    const struct node *found = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(group_words); i++) {
        const struct node *node = node_get(map, group_words[i]);
        if (node && found) {
            source_error(builder->source, node_place(node), "'%s' and '%s' cannot stand together: put one into the other", found->key->text,
                         node->key->text);
            return NULL;
        }
        if (node) {
            found = node;
            *ret_kind = (enum term_kind)(TERM_ALL + i);
        }
    }
    return found;
}

static bool read_term(struct builder *builder, const struct node *map) {
    static const char *const beside[] = {"on_delay", NULL};
    if (map->kind != NODE_MAP)
        return false; /* told by the table */
    uint64_t on_delay_ms = schema_u64(&schema_condition, map, "on_delay");
    if (conditions_group(map)) {
        enum term_kind kind;
        const struct node *group = one_group(builder, map, &kind);
        return group && refuse_beside(builder, map, group->key->text, beside) && read_group(builder, group, kind, on_delay_ms);
    }
    struct config_term *term = add_term(builder, map, TERM_OPEN);
    if (!term)
        return false;
    term->on_delay_ms = (uint32_t)on_delay_ms;
    if (node_get(map, "point"))
        return read_point(builder, map, term);
    if (node_get(map, "open"))
        return read_open(builder, map, term);
    source_error(builder->source, node_place(map), "the condition says nothing: it needs 'point', 'open', or one of all, any, not");
    return false;
}

/* ---- the whole ---- */

/* A place without hours is always open: "not open" is then never true, and "open" says nothing. Ready rules are for any place. */
static bool hours_known(const struct builder *builder, uint16_t index) {
    const struct config_place *place = &builder->loader->places[builder->terms[index].place];
    const struct node *at = node_place(builder->nodes[index]);
    if (place->has_hours || builder->source != &builder->loader->site)
        return true;
    if (index > 0 && builder->terms[index - 1].kind == TERM_NOT) {
        source_error(builder->source, at, "the place '%s' has no 'hours', so it is never closed: this can never be true", place->key);
        return false;
    }
    source_warning(builder->source, at, "the place '%s' has no 'hours', so it counts as always open", place->key);
    return true;
}

static bool can_be_true(const struct builder *builder) {
    uint16_t at, other;
    for (uint16_t i = 0; i < builder->count; i++)
        if (builder->terms[i].kind == TERM_OPEN && !hours_known(builder, i))
            return false;
    switch (contradiction_find(builder->terms, builder->count, &at, &other)) {
    case CONTRADICTION_NONE:
        return true;
    case CONTRADICTION_USELESS: /* the rest of the alarm works */
        source_warning(builder->source, node_place(builder->nodes[at]),
                       "this condition can never count: the one on line %u must hold at the same time, and they exclude each other",
                       node_place(builder->nodes[other])->line);
        return true;
    case CONTRADICTION_NEVER:
        source_error(builder->source, node_place(builder->nodes[at]),
                     "this condition and the one on line %u exclude each other: as parts of one 'all' they can never be true together",
                     node_place(builder->nodes[other])->line);
        return false;
    case CONTRADICTION_ALWAYS:
        source_error(builder->source, node_place(builder->nodes[at]),
                     "this condition or the one on line %u always holds: as parts of one 'any' they would never clear",
                     node_place(builder->nodes[other])->line);
        return false;
    }
    return true;
}

static void keep_terms(struct loader *loader, const struct builder *builder, struct config_alarm *alarm) {
    if (loader->terms_count + builder->count > loader->terms_room) {
        loader->terms_room = loader->terms_room * 2 + ROOM_FIRST;
        struct config_term *grown = arena_take(&loader->scratch, loader->terms_room, sizeof(*grown));
        if (loader->terms_count)
            memcpy(grown, loader->terms, loader->terms_count * sizeof(*grown));
        loader->terms = grown;
    }
    memcpy(&loader->terms[loader->terms_count], builder->terms, builder->count * sizeof(builder->terms[0]));
    alarm->first_term = loader->terms_count;
    alarm->terms_count = builder->count;
    loader->terms_count += builder->count;
}

/* What belongs to one point has no meaning for several. */
static bool refuse_single(const struct source *source, const struct node *map, const char *group) {
    static const char *const inside[] = {"point", "above", "below", "is", "rising", "falling"};
    bool ok = true;
    for (size_t i = 0; i < ARRAY_COUNT(inside); i++) {
        const struct node *node = node_get(map, inside[i]);
        if (node)
            source_error(source, node_place(node), "'%s' cannot stand beside '%s': it belongs into one of its conditions", inside[i], group);
        ok = ok && !node;
    }
    const struct node *of = node_get(map, "of"), *deadband = node_get(map, "deadband");
    if (of)
        source_error(source, node_place(of), "'of' counts the readings of one point; beside '%s' use on_delay", group);
    if (deadband)
        source_error(source, node_place(deadband), "'deadband' belongs to one point: write it into the condition that has the limit");
    return ok && !of && !deadband;
}

bool conditions_read(struct loader *loader, const struct source *source, const struct node *map, struct config_alarm *alarm) {
    struct builder builder = {.loader = loader, .source = source, .device = CONFIG_NONE};
    enum term_kind kind;
    const struct node *group = one_group(&builder, map, &kind);
    if (!group || !refuse_single(source, map, group->key->text) || !read_group(&builder, group, kind, 0) || !can_be_true(&builder))
        return false;
    if (alarm->device == CONFIG_NONE)
        alarm->device = builder.device;
    if (alarm->device == CONFIG_NONE) {
        source_error(source, node_place(map), "the alarm has no point, so nobody knows which device it is about: write 'device: NAME'");
        return false;
    }
    alarm->point = CONFIG_NONE;
    alarm->condition = CONDITION_COMPOSITE;
    keep_terms(loader, &builder, alarm);
    return true;
}

bool conditions_override(struct loader *loader, const struct source *source, const struct node *map, struct config_alarm *alarm) {
    struct config_term *limit = NULL;
    unsigned limits = 0;
    const struct node *written = node_get(map, "above") ? node_get(map, "above") : node_get(map, "below");
    static const char *const never[] = {"is", "rising", "falling", "deadband", "of"};
    for (size_t i = 0; i < ARRAY_COUNT(never); i++)
        if (node_get(map, never[i])) {
            source_error(source, node_get(map, never[i])->key,
                         "'%s' cannot be laid over an alarm of several conditions: write its condition as a whole, with all, any or not", never[i]);
            return false;
        }
    if (!written)
        return true;
    for (uint16_t i = 0; i < alarm->terms_count; i++) {
        struct config_term *term = &loader->terms[alarm->first_term + i];
        if (term->kind != TERM_ABOVE && term->kind != TERM_BELOW)
            continue;
        limit = term;
        limits++;
    }
    if (limits != 1) {
        source_error(source, written->key, "the alarm has %s: write its condition as a whole, with all, any or not",
                     limits ? "several limits, and nobody can say which is meant" : "no limit that could be changed");
        return false;
    }
    struct builder builder = {.loader = loader, .source = source};
    struct config_term changed = *limit;
    if (strcmp(written->key->text, limit->kind == TERM_ABOVE ? "above" : "below") != 0) {
        source_error(source, written->key, "the alarm's limit is an '%s', not '%s': write its condition as a whole to turn it around",
                     limit->kind == TERM_ABOVE ? "above" : "below", written->key->text);
        return false;
    }
    if (!read_limit(&builder, map, &changed))
        return false;
    *limit = changed;
    return true;
}
