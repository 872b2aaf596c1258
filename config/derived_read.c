/* SPDX-License-Identifier: Apache-2.0 */
/* One derived point. The table below says for each kind how many inputs it takes and which further keys; derived_read takes what
 * is written, derived_complete decides what the result is once every input is known: its unit, its labels, what it can reach.
 *
 *   kind         inputs   unit          reaches
 *   on_off       1        none          off, on
 *   mean         1        the input's   what the input does
 *   rate         1        UNIT/min      everything
 *   run_hours    1        h             0 and above, like days_since (d), unchanged (min) and base_fume (the fume's)
 *   base_fume    2        the fume's
 *   efficiency   2        %             100 and below
 *   sum          2..12    the inputs'   the sums of the inputs' ends
 *   difference   2        the inputs'   the first's ends less the second's */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/loader.h"
#include "config/scalar.h"

#define UNIT_SIZE 32  /* one that is written has 16 bytes; two rates on top of it fit */
#define WORDS_SIZE 97 /* of a name, as long as one that is written */
#define KINDS_TEXT "on_off, mean, rate, run_hours, days_since, unchanged, base_fume, efficiency, sum, difference"

struct form {
    const char *key;
    bool amounts;     /* inputs with states have nothing to compute with */
    bool one_unit;    /* all inputs carry the same */
    bool over;        /* needs a window */
    const char *unit; /* fixed; NULL: that of the inputs */
};

/* In the order of enum derive_kind. */
static const struct form forms[] = {
    {.key = "on_off", .amounts = true, .unit = ""},
    {.key = "mean", .amounts = true, .over = true},
    {.key = "rate", .amounts = true, .over = true},
    {.key = "run_hours", .unit = "h"},
    {.key = "days_since", .unit = "d"},
    {.key = "unchanged", .unit = "min"},
    {.key = "base_fume", .amounts = true},
    {.key = "efficiency", .amounts = true, .one_unit = true, .unit = "%"},
    {.key = "sum", .amounts = true, .one_unit = true},
    {.key = "difference", .amounts = true, .one_unit = true},
};

static const struct enumeration_label on_off_labels[] = {{0, "off"}, {1, "on"}};

static const struct node *member(const struct node *map, const char *name) {
    return schema_member(&schema_derived, map, name);
}

/* ---- what is written ---- */

static const struct node *read_kind(struct loader_derived *derived) {
    const struct node *map = derived->node, *written = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        const struct node *node = node_get(map, forms[i].key);
        if (node && written) {
            source_error(derived->source, node_place(node), "'%s' and '%s' cannot stand together: a derived point is computed in one way",
                         written->key->text, forms[i].key);
            return NULL;
        }
        if (!node)
            continue;
        written = node;
        derived->rule.kind = (enum derive_kind)i;
    }
    if (!written) {
        source_error(derived->source, map->key, "the derived point '%s' does not say how it is computed: it needs one of " KINDS_TEXT,
                     QUOTE(map->key->text));
        return NULL;
    }
    return member(map, written->key->text); /* a wrong form was told by the table */
}

static bool read_input(const struct loader *loader, struct loader_derived *derived, const struct node *node) {
    struct config_derived *rule = &derived->rule;
    struct config_input input;
    if (!loader_find_point(loader, derived->source, node, &input.device, &input.point))
        return false;
    for (unsigned i = 0; i < rule->inputs_count; i++)
        if (rule->inputs[i].device == input.device && rule->inputs[i].point == input.point) {
            source_error(derived->source, node, "'%s' stands here twice; each input counts once", QUOTE(node->text));
            return false;
        }
    derived->inputs[rule->inputs_count] = node;
    rule->inputs[rule->inputs_count++] = input;
    return true;
}

/* A key that belongs to another kind would be silently without effect. */
static bool refuse_key(const struct loader_derived *derived, const char *key, bool allowed, const char *kinds) {
    const struct node *node = node_get(derived->node, key);
    if (!node || allowed)
        return true;
    source_error(derived->source, node_place(node), "'%s' has no meaning for '%s': it is for %s", key, forms[derived->rule.kind].key, kinds);
    return false;
}

static bool need_key(const struct loader_derived *derived, const char *key, bool needed, const char *example) {
    if (!needed || node_get(derived->node, key))
        return true;
    source_error(derived->source, node_place(derived->node), "'%s' is missing: '%s' needs it, such as '%s: %s'", key, forms[derived->rule.kind].key,
                 key, example);
    return false;
}

static bool read_stoves(const struct loader *loader, struct loader_derived *derived) {
    struct config_derived *rule = &derived->rule;
    const struct config_device *device = &loader->devices[rule->device];
    const struct config_place *place = device->place == CONFIG_NONE ? NULL : &loader->places[device->place];
    if (rule->kind != DERIVE_BASE_FUME)
        return true;
    rule->stoves = place ? place->stoves : 0;
    if (node_get(derived->node, "stoves"))
        rule->stoves = schema_real(&schema_derived, derived->node, "stoves");
    else if (rule->stoves < 1)
        source_error(derived->source, node_place(derived->node),
                     "'base_fume' needs the number of stoves: write 'stoves' here, or at the place of '%s'", device->spec.name);
    return rule->stoves >= 1;
}

static bool read_range(const struct loader *loader, struct loader_derived *derived) {
    const struct node *range = member(derived->node, "range");
    struct point *point = &loader->devices_more[derived->rule.device].points[derived->rule.point];
    if (!range)
        return true;
    if (!text_read_double(range->first->text, &point->range_min) || !text_read_double(range->last->text, &point->range_max))
        return false;
    point->has_range = point->range_min < point->range_max;
    if (!point->has_range)
        source_error(derived->source, range, "'range' is [%s, %s], but the first must be below the second", QUOTE(range->first->text),
                     QUOTE(range->last->text));
    return point->has_range;
}

bool derived_read(struct loader *loader, struct loader_derived *derived) {
    const struct node *inputs = read_kind(derived), *map = derived->node;
    struct config_derived *rule = &derived->rule;
    if (!inputs)
        return false;
    bool ok = inputs->kind != NODE_SCALAR || read_input(loader, derived, inputs);
    for (const struct node *node = inputs->kind == NODE_LIST ? inputs->first : NULL; node; node = node->next)
        ok = read_input(loader, derived, node) && ok;
    bool on_off = rule->kind == DERIVE_ON_OFF, over = forms[rule->kind].over;
    ok = refuse_key(derived, "on_above", on_off, "on_off") && ok;
    ok = refuse_key(derived, "off_below", on_off, "on_off") && ok;
    ok = refuse_key(derived, "over", over, "mean and rate") && ok;
    ok = refuse_key(derived, "stoves", rule->kind == DERIVE_BASE_FUME, "base_fume") && ok;
    ok = refuse_key(derived, "range", !on_off, "amounts") && ok;
    ok = need_key(derived, "on_above", on_off, "0.5 A") && ok;
    ok = need_key(derived, "off_below", on_off, "0.3 A") && ok;
    ok = need_key(derived, "over", over, rule->kind == DERIVE_MEAN ? "10min" : "1min") && ok;
    rule->over_ms = over ? (uint32_t)schema_u64(&schema_derived, map, "over") : 0;
    ok = read_stoves(loader, derived) && ok;
    return read_range(loader, derived) && ok;
}

/* ---- what the result is ---- */

static bool is_state(const struct point *point) {
    return point->type == TYPE_BIT || point->labels_count > 0;
}

static bool is_fume(const char *unit) {
    return strcmp(unit, "mg/m³") == 0 || strcmp(unit, "mg/m3") == 0;
}

static bool is_flow(const char *unit) {
    return strcmp(unit, "m³/h") == 0 || strcmp(unit, "m3/h") == 0;
}

static bool input_fits(const struct loader_derived *derived, unsigned index, const struct point *input, const struct point *first) {
    const struct form *form = &forms[derived->rule.kind];
    const struct node *at = derived->inputs[index];
    if (input->type == TYPE_STRING)
        source_error(derived->source, at, "the point '%s' is a string; '%s' computes with numbers only", input->name, form->key);
    else if (form->amounts && is_state(input))
        source_error(derived->source, at, "the point '%s' has states, not an amount: '%s' cannot compute with it", input->name, form->key);
    else if (form->one_unit && strcmp(input->unit, first->unit) != 0)
        source_error(derived->source, at, "the point '%s' is in '%s', but '%s' is in '%s': '%s' needs one unit", input->name, input->unit,
                     first->name, first->unit, form->key);
    else if (derived->rule.kind == DERIVE_BASE_FUME && index == 0 && !is_fume(input->unit))
        source_error(derived->source, at, "the point '%s' is in '%s', but 'base_fume' needs the fume in mg/m³ first", input->name, input->unit);
    else if (derived->rule.kind == DERIVE_BASE_FUME && index == 1 && !is_flow(input->unit))
        source_error(derived->source, at, "the point '%s' is in '%s', but 'base_fume' needs the flow in m³/h second", input->name, input->unit);
    else
        return true;
    return false;
}

static void widen(struct loader_derived *derived, const struct point *input, unsigned index) {
    double least = input->has_range ? input->range_min : -INFINITY, most = input->has_range ? input->range_max : INFINITY;
    bool less = derived->rule.kind == DERIVE_DIFFERENCE && index == 1;
    derived->least += less ? -most : least;
    derived->most += less ? -least : most;
}

/* What the result can be when its inputs keep to their own ranges. */
static void find_reach(const struct loader *loader, struct loader_derived *derived) {
    const struct config_derived *rule = &derived->rule;
    derived->least = derived->most = 0;
    switch (rule->kind) {
    case DERIVE_MEAN:
    case DERIVE_SUM:
    case DERIVE_DIFFERENCE:
        for (unsigned i = 0; i < rule->inputs_count; i++) {
            struct point input = loader_limits(loader, rule->inputs[i].device, rule->inputs[i].point);
            widen(derived, &input, i);
        }
        break;
    case DERIVE_RUN_HOURS:
    case DERIVE_DAYS_SINCE:
    case DERIVE_UNCHANGED:
    case DERIVE_BASE_FUME:
        derived->most = INFINITY;
        break;
    case DERIVE_EFFICIENCY:
        derived->least = -INFINITY;
        derived->most = 100;
        break;
    case DERIVE_ON_OFF:
        derived->most = 1;
        break;
    case DERIVE_RATE:
        derived->least = -INFINITY;
        derived->most = INFINITY;
        break;
    }
}

static bool read_thresholds(const struct loader *loader, struct loader_derived *derived) {
    struct config_derived *rule = &derived->rule;
    const struct node *above = member(derived->node, "on_above"), *below = member(derived->node, "off_below");
    struct point input = loader_limits(loader, rule->inputs[0].device, rule->inputs[0].point);
    if (!above || !below || !quantity_read(derived->source, above, &input, &rule->on_above) ||
        !quantity_read(derived->source, below, &input, &rule->off_below))
        return false;
    if (rule->off_below > rule->on_above)
        source_error(derived->source, below, "'off_below' is %s, which is above 'on_above' (%s): between them it would be on and off at once",
                     QUOTE(below->text), QUOTE(above->text));
    else if (input.has_range && rule->on_above >= input.range_max)
        source_error(derived->source, above, "'on_above' is %s, but the point '%s' never comes above %g: it would never be on", QUOTE(above->text),
                     input.name, input.range_max);
    else if (input.has_range && rule->off_below <= input.range_min)
        source_error(derived->source, below, "'off_below' is %s, but the point '%s' never falls below %g: it would never be off", QUOTE(below->text),
                     input.name, input.range_min);
    else
        return true;
    return false;
}

/* A unit may be given where the inputs have none; elsewhere it can only be right or wrong. */
static bool take_unit(const struct loader *loader, const struct loader_derived *derived, const char *unit, struct point *point) {
    const struct node *written = member(derived->node, "unit");
    const struct form *form = &forms[derived->rule.kind];
    bool is_free = !*unit && !form->unit && derived->rule.kind != DERIVE_RATE;
    point->unit = loader_keep(loader->arena, written && is_free ? written->text : unit);
    if (!written || is_free || strcmp(written->text, unit) == 0)
        return true;
    source_error(derived->source, written, "'unit' is '%s', but the result of '%s' is in '%s': leave it out", QUOTE(written->text), form->key, unit);
    return false;
}

/* The rate of a rate of a rate is cut: nobody reads its unit. */
static void rate_unit(const char *unit, char ret_unit[UNIT_SIZE]) {
    char whole[UNIT_SIZE * 2];
    snprintf(whole, sizeof(whole), "%s/min", *unit ? unit : "1");
    text_copy(ret_unit, UNIT_SIZE, whole);
}

struct point derived_point(const char *name, const char *zh, const char *en, const char *unit) {
    return (struct point){.name = name,
                          .zh = zh,
                          .en = en,
                          .unit = unit,
                          .derived = true,
                          .read = READ_HOLDING,
                          .type = TYPE_F64,
                          .registers = 4,
                          .scale = 1,
                          .class = CLASS_MAINTENANCE};
}

struct point derived_rate_point(const struct point *base, struct arena *arena) {
    char name[NAME_SIZE + 8], unit[UNIT_SIZE], whole[WORDS_SIZE * 2], zh[WORDS_SIZE], en[WORDS_SIZE];
    snprintf(name, sizeof(name), "%s-rate", base->name);
    rate_unit(base->unit, unit);
    snprintf(whole, sizeof(whole), "%s变化率", base->zh ? base->zh : base->name);
    text_copy(zh, sizeof(zh), whole);
    snprintf(whole, sizeof(whole), "rate of %s", base->en ? base->en : base->name);
    text_copy(en, sizeof(en), whole);
    return derived_point(loader_keep(arena, name), loader_keep(arena, zh), loader_keep(arena, en), loader_keep(arena, unit));
}

bool derived_complete(struct loader *loader, struct loader_derived *derived) {
    struct config_derived *rule = &derived->rule;
    const struct form *form = &forms[rule->kind];
    const struct config_input *inputs = rule->inputs;
    const struct point *first = &loader->devices_more[inputs[0].device].points[inputs[0].point];
    struct point *point = &loader->devices_more[rule->device].points[rule->point];
    bool ok = true;
    for (unsigned i = 0; i < rule->inputs_count; i++)
        ok = input_fits(derived, i, &loader->devices_more[inputs[i].device].points[inputs[i].point], first) && ok;
    if (!ok)
        return false;
    char unit[UNIT_SIZE];
    text_copy(unit, sizeof(unit), form->unit ? form->unit : first->unit);
    if (rule->kind == DERIVE_RATE)
        rate_unit(first->unit, unit);
    find_reach(loader, derived);
    if (rule->kind == DERIVE_ON_OFF) {
        point->type = TYPE_U16;
        point->registers = 1;
        point->labels = on_off_labels;
        point->labels_count = ARRAY_COUNT(on_off_labels);
    }
    if (!derived->node) /* the rate behind an alarm: all of it is known */
        return true;
    return take_unit(loader, derived, unit, point) && (rule->kind != DERIVE_ON_OFF || read_thresholds(loader, derived));
}
