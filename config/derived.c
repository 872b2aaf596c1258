/* SPDX-License-Identifier: Apache-2.0 */
/* The derived points of the site and of the ready rules: each becomes a point behind those that its device is asked for, so that
 * alarms and further derived points refer to it like to any other.
 *
 * Three passes, because one may be computed from another that stands further down: all points are made, then all inputs are looked
 * up, then every one is completed after its inputs, which is also the order in which the gateway computes them. An input that is
 * met again while it is still open closes a circle. Guarantees: wired points keep their index; no derived point stands before
 * a wired one of its device; an entry of loader->derived has its inputs before it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/loader.h"

#define RATE_OVER_MS 60000
#define ROOM_FIRST 8
#define CYCLE_TOLD_MAX 8 /* names of a circle that are told */

static uint16_t add_point(struct loader *loader, uint16_t device, const struct point *point) {
    struct device_spec *spec = &loader->devices[device].spec;
    struct loader_device *more = &loader->devices_more[device];
    if (spec->points_count >= more->points_room) {
        more->points_room = (uint16_t)(spec->points_count * 2u + ROOM_FIRST);
        struct point *points = arena_take(loader->arena, more->points_room, sizeof(*points));
        if (spec->points_count)
            memcpy(points, more->points, spec->points_count * sizeof(*points));
        spec->points = more->points = points;
    }
    more->points[spec->points_count] = *point;
    loader->config->points_count++;
    return spec->points_count++;
}

static bool has_room(const struct loader *loader, const struct source *source, const struct node *at, uint16_t device) {
    if (loader->derived_count >= DERIVED_MAX)
        source_error(source, at, "more than %d derived points, those of ready rules and of 'rising' and 'falling' included", DERIVED_MAX);
    else if (loader->devices[device].spec.points_count >= POINTS_PER_DEVICE_MAX)
        source_error(source, at, "the device '%s' would have more than %d points, derived ones included", loader->devices[device].spec.name,
                     POINTS_PER_DEVICE_MAX);
    else if (loader->config->points_count >= POINTS_MAX)
        source_error(source, at, "the devices would have more than %d points together, derived ones included", POINTS_MAX);
    else
        return true;
    return false;
}

static struct loader_derived *add_derived(struct loader *loader, uint16_t device, const struct point *point) {
    struct loader_device *more = &loader->devices_more[device];
    if (loader->derived_count == loader->derived_room) {
        loader->derived_room = loader->derived_room * 2 + ROOM_FIRST;
        struct loader_derived *grown = arena_take(&loader->scratch, loader->derived_room, sizeof(*grown));
        if (loader->derived_count)
            memcpy(grown, loader->derived, loader->derived_count * sizeof(*grown));
        loader->derived = grown;
    }
    struct loader_derived *derived = &loader->derived[loader->derived_count];
    *derived = (struct loader_derived){.rule = {.device = device}, .next = more->derived, .from = NAMES_NONE};
    derived->rule.point = add_point(loader, device, point);
    more->derived = loader->derived_count++;
    return derived;
}

static uint32_t index_of(const struct loader *loader, uint16_t device, uint16_t point) {
    uint32_t index = loader->devices_more[device].derived;
    while (index != NAMES_NONE && loader->derived[index].rule.point != point)
        index = loader->derived[index].next;
    return index;
}

struct loader_derived *derived_of(const struct loader *loader, uint16_t device, uint16_t point) {
    uint32_t index = index_of(loader, device, point);
    return index == NAMES_NONE ? NULL : &loader->derived[index];
}

/* Without a range a whole number still lies within what its registers can say. */
static void limit_by_type(struct point *seen) {
    bool is_signed = seen->type == TYPE_S16 || seen->type == TYPE_S32;
    bool whole = is_signed || seen->type == TYPE_U16 || seen->type == TYPE_U32;
    if (!whole || seen->has_range || seen->scale == 0)
        return;
    unsigned bits = seen->bit_field ? seen->bit_count : seen->type == TYPE_U16 || seen->type == TYPE_S16 ? 16 : 32;
    is_signed = is_signed && !seen->bit_field;
    double least = is_signed ? -ldexp(1, (int)bits - 1) : 0, most = ldexp(1, (int)bits - is_signed) - 1;
    double a = least * seen->scale + seen->offset, b = most * seen->scale + seen->offset;
    seen->has_range = true;
    seen->range_min = fmin(a, b);
    seen->range_max = fmax(a, b);
}

struct point loader_limits(const struct loader *loader, uint16_t device, uint16_t point) {
    struct point seen = loader->devices_more[device].points[point];
    const struct loader_derived *derived = derived_of(loader, device, point);
    if (!seen.derived)
        limit_by_type(&seen);
    if (!derived || seen.has_range || derived->broken || (isinf(derived->least) && isinf(derived->most)))
        return seen;
    seen.has_range = true;
    seen.range_min = derived->least;
    seen.range_max = derived->most;
    return seen;
}

/* ---- first pass: the points ---- */

static const char *keep_name(const struct loader *loader, const struct node *map, const char *key) {
    const char *name = schema_text(&schema_derived, map, key);
    return *name ? loader_keep(loader->arena, name) : NULL;
}

static void make(struct loader *loader, const struct source *source, const struct node *map, uint16_t device, const char *name) {
    const struct device_spec *spec = &loader->devices[device].spec;
    if (map->kind != NODE_MAP || loader->devices_more[device].broken)
        return;
    if (points_find(spec->points, spec->points_count, name) != CONFIG_NONE) {
        source_error(source, map->key, "the device '%s' has a point '%s' already; give the derived one another name", spec->name, QUOTE(name));
        return;
    }
    if (!has_room(loader, source, map->key, device))
        return;
    struct point point = derived_point(loader_keep(loader->arena, name), keep_name(loader, map, "zh"), keep_name(loader, map, "en"), "");
    struct loader_derived *derived = add_derived(loader, device, &point);
    derived->source = source;
    derived->node = map;
}

static void make_from_rules(struct loader *loader, uint16_t device, const struct node *site) {
    const struct loader_device *more = &loader->devices_more[device];
    for (const struct node *node = more->rule_derived; node; node = node->next) {
        char path[NAME_SIZE * 2];
        snprintf(path, sizeof(path), "%s/%s", loader->devices[device].spec.name, node->key->text);
        if (!node_get(site, path)) /* the site's own word wins */
            make(loader, more->rule_source, node, device, node->key->text);
    }
}

static void make_from_site(struct loader *loader, const struct node *map) {
    char device_name[NAME_SIZE];
    const char *name;
    if (!loader_split(map->key->text, device_name, &name)) {
        source_error(&loader->site, map->key, "the key '%s' must be DEVICE/POINT: the device that the result belongs to, and its name",
                     QUOTE(map->key->text));
        return;
    }
    uint32_t device = loader_find(loader, &loader->site, LOADER_DEVICE, map->key, device_name);
    if (device != NAMES_NONE)
        make(loader, &loader->site, map, (uint16_t)device, name);
}

/* ---- third pass: the order ---- */

static void add_path(struct text *text, const struct loader *loader, const struct loader_derived *derived) {
    text_add(text, loader->devices[derived->rule.device].spec.name);
    text_add_char(text, '/');
    text_add(text, loader->devices_more[derived->rule.device].points[derived->rule.point].name);
}

/* `last` is computed from `first`, which is open: `from` leads back to it. */
static void tell_circle(struct loader *loader, uint32_t first, uint32_t last, const struct node *at) {
    char bytes[LINE_SIZE / 2];
    struct text text;
    uint32_t told[CYCLE_TOLD_MAX];
    unsigned count = 0;
    for (uint32_t i = last;; i = loader->derived[i].from) {
        loader->derived[i].broken = true;
        told[count < CYCLE_TOLD_MAX ? count++ : CYCLE_TOLD_MAX - 1] = i;
        if (i == first)
            break;
    }
    text_init(&text, bytes, sizeof(bytes));
    while (count) {
        add_path(&text, loader, &loader->derived[told[--count]]);
        text_add(&text, " -> ");
    }
    add_path(&text, loader, &loader->derived[first]);
    source_error(loader->derived[last].source, at, "derived points go in a circle: %s; each must be computed from others that come before it", bytes);
}

/* Completes one after its inputs. As deep as derived points are chained, DERIVED_MAX at most. */
static void visit(struct loader *loader, uint32_t index, uint32_t *order, uint32_t *count) {
    struct loader_derived *derived = &loader->derived[index];
    derived->mark = MARK_OPEN;
    for (unsigned i = 0; i < derived->rule.inputs_count; i++) {
        uint32_t input = index_of(loader, derived->rule.inputs[i].device, derived->rule.inputs[i].point);
        if (input == NAMES_NONE)
            continue;
        if (loader->derived[input].mark == MARK_OPEN) {
            tell_circle(loader, input, index, derived->inputs[i]);
        } else if (loader->derived[input].mark == MARK_NEW) {
            loader->derived[input].from = index;
            visit(loader, input, order, count);
        }
        derived->broken = derived->broken || loader->derived[input].broken;
    }
    if (!derived->broken)
        derived->broken = !derived_complete(loader, derived);
    derived->mark = MARK_DONE;
    order[(*count)++] = index;
}

/* Moves the entries into the order of computing; the chains of the devices are made anew. */
static void put_in_order(struct loader *loader, const uint32_t *order) {
    struct loader_derived *sorted = arena_take(&loader->scratch, loader->derived_room + 1u, sizeof(*sorted));
    for (uint16_t i = 0; i < loader->config->devices_count; i++)
        loader->devices_more[i].derived = NAMES_NONE;
    for (uint32_t i = 0; i < loader->derived_count; i++) {
        sorted[i] = loader->derived[order[i]];
        struct loader_device *more = &loader->devices_more[sorted[i].rule.device];
        sorted[i].next = more->derived;
        more->derived = i;
    }
    loader->derived = sorted;
}

void load_derived(struct loader *loader) {
    uint16_t count;
    const struct node *node = loader_section(loader, "derived", DERIVED_MAX, &count);
    const struct node *section = schema_member(&schema_site, loader->site.root, "derived");
    for (uint16_t i = 0; i < count; i++, node = node->next)
        make_from_site(loader, node);
    for (uint16_t i = 0; i < loader->config->devices_count; i++)
        make_from_rules(loader, i, section);
    for (uint32_t i = 0; i < loader->derived_count; i++)
        loader->derived[i].broken = !derived_read(loader, &loader->derived[i]);
    uint32_t *order = arena_take(&loader->scratch, loader->derived_count + 1u, sizeof(*order)), done = 0;
    for (uint32_t i = 0; i < loader->derived_count; i++)
        if (loader->derived[i].mark == MARK_NEW)
            visit(loader, i, order, &done);
    CHECK(done == loader->derived_count);
    put_in_order(loader, order);
}

/* ---- the rate behind `rising` and `falling` ---- */

uint16_t derived_rate(struct loader *loader, const struct source *source, const struct node *at, uint16_t device, uint16_t index) {
    struct loader_device *more = &loader->devices_more[device];
    const struct device_spec *spec = &loader->devices[device].spec;
    struct point base = more->points[index], rate = derived_rate_point(&base, loader->arena);
    uint16_t found = points_find(spec->points, spec->points_count, rate.name);
    if (found != CONFIG_NONE) {
        const struct loader_derived *derived = derived_of(loader, device, found);
        bool same =
            derived && derived->rule.kind == DERIVE_RATE && derived->rule.inputs[0].device == device && derived->rule.inputs[0].point == index;
        if (!same && !(derived && derived->broken))
            source_error(source, at, "the rate of '%s' needs the name '%s', but the device '%s' has another point of that name", base.name, rate.name,
                         spec->name);
        return same && !derived->broken ? found : CONFIG_NONE;
    }
    if (base.type == TYPE_STRING || base.type == TYPE_BIT || base.labels_count) {
        source_error(source, at, "the point '%s' has %s, not an amount: it has no rate", base.name, base.type == TYPE_STRING ? "a text" : "states");
        return CONFIG_NONE;
    }
    if (!text_is_name(rate.name)) {
        source_error(source, at, "the point '%s' has too long a name: its rate would be called '%s', and 63 letters are the most", QUOTE(base.name),
                     QUOTE(rate.name));
        return CONFIG_NONE;
    }
    const struct loader_derived *input = derived_of(loader, device, index);
    if ((input && input->broken) || !has_room(loader, source, at, device))
        return CONFIG_NONE;
    struct loader_derived *derived = add_derived(loader, device, &rate);
    derived->source = source;
    derived->mark = MARK_DONE;
    derived->rule.kind = DERIVE_RATE;
    derived->rule.over_ms = RATE_OVER_MS;
    derived->rule.inputs_count = 1;
    derived->rule.inputs[0] = (struct config_input){device, index};
    derived->inputs[0] = at;
    CHECK(derived_complete(loader, derived));
    return derived->rule.point;
}

/* ---- the end ---- */

void load_settle_derived(struct loader *loader) {
    struct config_derived *kept = arena_take(loader->arena, loader->derived_count + 1u, sizeof(*kept));
    for (uint32_t i = 0; i < loader->derived_count; i++)
        kept[i] = loader->derived[i].rule;
    loader->derived_rules = kept;
    loader->config->derived = kept;
    loader->config->derived_count = (uint16_t)loader->derived_count;
    uint32_t first = 0;
    for (uint16_t i = 0; i < loader->config->devices_count; i++) {
        loader->devices[i].first_point = first;
        first += loader->devices[i].spec.points_count;
    }
}
