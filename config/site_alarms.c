/* SPDX-License-Identifier: Apache-2.0 */
/* The list of alarms: device after device those of its profile, of the ready rules of its place, of the actions that write to it
 * and its communication alarm, then the site's own. A rule of the name of a profile's alarm takes its place: it knows the place.
 * A site's key with a '/' names one that exists already and changes or removes it. Removed alarms are taken out when all references
 * are known, in load_settle_alarms; before that an index is a place in the whole list. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/loader.h"
#include "sensors/plan.h"

#define COMMUNICATION "communication"

static const struct node *member(const struct node *map, const char *name) {
    return schema_member(&schema_alarm, map, name);
}

static struct config_alarm *alarm_new(struct loader *loader, uint16_t device, const char *name) {
    if (loader->alarms_count == loader->alarms_room)
        return NULL;
    struct config_alarm *alarm = &loader->alarms[loader->alarms_count++];
    alarm_defaults(alarm);
    alarm->name = name;
    alarm->device = device;
    return alarm;
}

static void note_suppression(struct loader *loader, const struct source *source, const struct node *map, uint32_t place) {
    if (!member(map, "suppressed_by"))
        return;
    loader->alarms_more[place].suppressed_source = source;
    loader->alarms_more[place].suppressed_by = member(map, "suppressed_by");
}

/* ---- one alarm that is not there yet ---- */

/* `fresh` has a name; its device is CONFIG_NONE, or given for one of a rule set. */
static bool read_single(struct loader *loader, const struct source *source, const struct node *map, struct config_alarm *fresh) {
    uint16_t device, index;
    const struct node *point = member(map, "point"), *rate = limit_rate(map), *owner = node_get(map, "device");
    if (owner)
        source_error(source, owner->key, "'device' is for an alarm of several conditions: the point says it already");
    if (!point && !node_get(map, "point"))
        source_error(source, map->key, "'point' is missing: what the alarm '%s' watches, as DEVICE/POINT", QUOTE(map->key->text));
    if (!point || !loader_find_point(loader, source, point, &device, &index))
        return false;
    if (fresh->device != CONFIG_NONE && fresh->device != device) {
        source_error(source, point, "the alarm '%s' belongs to the device '%s', but watches a point of another", fresh->name,
                     loader->devices[fresh->device].spec.name);
        return false;
    }
    if (rate && (index = derived_rate(loader, source, rate->key, device, index)) == CONFIG_NONE)
        return false;
    fresh->device = device;
    fresh->point = index;
    struct point limits = loader_limits(loader, device, index);
    return alarm_read(source, map, &limits, true, loader->arena, fresh);
}

static bool read_composite(struct loader *loader, const struct source *source, const struct node *map, struct config_alarm *fresh) {
    const struct node *owner = member(map, "device");
    if (owner && fresh->device == CONFIG_NONE) {
        uint32_t device = loader_find(loader, source, LOADER_DEVICE, owner, owner->text);
        if (device == NAMES_NONE)
            return false;
        fresh->device = (uint16_t)device;
    }
    bool ok = conditions_read(loader, source, map, fresh);
    fresh->condition = CONDITION_COMPOSITE; /* so that its other keys are not taken for those of a point */
    return alarm_read(source, map, NULL, true, loader->arena, fresh) && ok;
}

static bool read_fresh(struct loader *loader, const struct source *source, const struct node *map, struct config_alarm *fresh) {
    const struct node *set = node_get(map, "rule_set");
    if (set && source == &loader->site)
        source_error(source, set->key, "'rule_set' is written by the gateway for its own ready rules: leave it out");
    fresh->rule_set = loader_keep(loader->arena, schema_text(&schema_alarm, map, "rule_set"));
    return conditions_group(map) ? read_composite(loader, source, map, fresh) : read_single(loader, source, map, fresh);
}

/* ---- those of a device ---- */

static const struct node *find_rule(const struct loader_device *more, const char *name) {
    for (const struct node *node = more->rule_alarms; node; node = node->next)
        if (strcmp(node->key->text, name) == 0)
            return node;
    return NULL;
}

static void add_profile_alarms(struct loader *loader, uint16_t index) {
    const struct loader_device *more = &loader->devices_more[index];
    const struct profile *profile = more->profile;
    for (uint16_t i = 0; profile && more->points && i < profile->alarms_count; i++) {
        const struct config_alarm *own = &profile->alarms[i];
        uint16_t point = own->point;
        if (find_rule(more, own->name))
            continue;
        if (profile->alarms_rate[i])
            point = derived_rate(loader, &loader->site, node_place(more->node), index, point);
        struct config_alarm *alarm = point == CONFIG_NONE ? NULL : alarm_new(loader, index, NULL);
        if (!alarm)
            continue;
        *alarm = *own;
        alarm->device = index;
        alarm->point = point;
    }
}

static void add_rule_alarms(struct loader *loader, uint16_t index) {
    const struct loader_device *more = &loader->devices_more[index];
    for (const struct node *node = more->rule_alarms; node; node = node->next) {
        struct config_alarm fresh = {.name = loader_keep(loader->arena, node->key->text), .device = index};
        if (more->broken || node->kind != NODE_MAP)
            continue;
        if (strcmp(fresh.name, COMMUNICATION) == 0) {
            source_error(more->rule_source, node->key, "the alarm name '" COMMUNICATION "' is taken: every device has one");
            continue;
        }
        alarm_defaults(&fresh);
        if (!read_fresh(loader, more->rule_source, node, &fresh))
            continue;
        struct config_alarm *alarm = alarm_new(loader, index, NULL);
        if (!alarm)
            return;
        *alarm = fresh;
        note_suppression(loader, more->rule_source, node, (uint32_t)(alarm - loader->alarms));
    }
}

/* Whether an action can be carried out is known only when it is tried; then a person must hear of a failure. */
static void add_action_alarms(struct loader *loader, uint16_t index) {
    const struct loader_device *more = &loader->devices_more[index];
    uint16_t count;
    const struct node *node = loader_section(loader, "actions", ACTIONS_MAX, &count);
    for (uint16_t i = 0; i < count; i++, node = node->next) {
        const struct node *write = schema_member(&schema_action, node, "write");
        char device[NAME_SIZE], name[NAME_SIZE + 8];
        const char *unused;
        if (!write || !loader_split(write->text, device, &unused) || strcmp(device, loader->devices[index].spec.name) != 0)
            continue;
        snprintf(name, sizeof(name), "action-%s", node->key->text);
        if (!text_is_name(name)) {
            source_error(&loader->site, node->key, "the name '%s' is too long: the action has an alarm 'action-NAME', which must fit 63 letters",
                         QUOTE(node->key->text));
            continue;
        }
        for (uint32_t k = more->first_alarm; k < loader->alarms_count; k++)
            if (strcmp(loader->alarms[k].name, name) == 0)
                source_error(&loader->site, node->key,
                             "the action needs the alarm name '%s' on the device '%s', which has one already: rename the action", name, device);
        struct config_alarm *alarm = alarm_new(loader, index, loader_keep(loader->arena, name));
        if (!alarm)
            return;
        alarm->point = CONFIG_NONE;
        alarm->condition = CONDITION_ACTION;
        alarm->action = i; /* all actions before it are right, or there will be no configuration */
        alarm->class = CLASS_FAULT;
        alarm->priority = PRIORITY_HIGH;
    }
}

static void add_device_alarms(struct loader *loader, uint16_t index) {
    struct loader_device *more = &loader->devices_more[index];
    more->first_alarm = loader->alarms_count;
    add_profile_alarms(loader, index);
    add_rule_alarms(loader, index);
    add_action_alarms(loader, index);
    struct config_alarm *alarm = alarm_new(loader, index, COMMUNICATION);
    if (!alarm)
        return;
    alarm->point = CONFIG_NONE;
    alarm->condition = CONDITION_COMMUNICATION;
    alarm->class = CLASS_FAULT;
    alarm->priority = PRIORITY_HIGH;
    more->alarms_count = loader->alarms_count - more->first_alarm;
}

static uint32_t device_alarm(const struct loader *loader, uint16_t device, const char *name) {
    const struct loader_device *more = &loader->devices_more[device];
    for (uint32_t i = 0; i < more->alarms_count; i++)
        if (strcmp(loader->alarms[more->first_alarm + i].name, name) == 0)
            return more->first_alarm + i;
    return NAMES_NONE;
}

static void tell_no_alarm(const struct loader *loader, const struct source *source, const struct node *at, uint16_t device, const char *name,
                          const char *hint) {
    const struct loader_device *more = &loader->devices_more[device];
    char text[NEAREST_SIZE];
    struct nearest nearest;
    if (more->broken)
        return;
    nearest_init(&nearest, name);
    for (uint32_t i = 0; i < more->alarms_count; i++)
        nearest_try(&nearest, loader->alarms[more->first_alarm + i].name);
    const char *near = nearest_text(&nearest, text);
    source_error(source, at, "the device '%s' has no alarm '%s'%s", loader->devices[device].spec.name, QUOTE(name), *near ? near : hint);
}

/* ---- the site's own, and what it changes ---- */

static void remove_alarm(struct loader *loader, const struct node *map, uint32_t index) {
    if (loader->alarms[index].condition == CONDITION_COMMUNICATION) {
        source_error(&loader->site, map->key, "a communication alarm cannot be removed: a silent device must be known; its priority can be lowered");
        return;
    }
    if (loader->alarms[index].condition == CONDITION_ACTION) {
        source_error(&loader->site, map->key, "the alarm of an action cannot be removed: a relay that does not switch must be known");
        return;
    }
    if (map->count > 1)
        source_error(&loader->site, map->key, "'%s' is removed, so the other keys here say nothing: leave them out", QUOTE(map->key->text));
    loader->alarms_more[index].removed = true;
}

/* Its condition changed, so a text that may name the old limit goes. */
static bool condition_written(const struct node *map) {
    return limit_written(map) || conditions_group(map);
}

static bool override_condition(struct loader *loader, const struct node *map, struct config_alarm *changed) {
    const struct node *group = conditions_group(map), *rate = limit_rate(map);
    if (changed->condition == CONDITION_COMPOSITE)
        return group ? conditions_read(loader, &loader->site, map, changed) : conditions_override(loader, &loader->site, map, changed);
    if (changed->point == CONFIG_NONE)
        return true; /* refused with its own sentence by alarm_read */
    if (group) {
        source_error(&loader->site, node_place(group), "the alarm '%s' watches one point: remove it and write one of several conditions yourself",
                     changed->name);
        return false;
    }
    const struct loader_derived *derived = derived_of(loader, changed->device, changed->point);
    if (!rate || (derived && derived->rule.kind == DERIVE_RATE))
        return true;
    source_error(&loader->site, rate->key, "the alarm '%s' watches a value, not its rate: write an alarm of your own", changed->name);
    return false;
}

static void refuse_override(const struct loader *loader, const struct node *map) {
    static const char *const keys[] = {"point", "device"};
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        if (node_get(map, keys[i]))
            source_error(&loader->site, node_get(map, keys[i])->key,
                         "the %s of an alarm that is there already cannot be changed: write an alarm of your own", keys[i]);
    if (node_get(map, "rule_set"))
        source_error(&loader->site, node_get(map, "rule_set")->key, "'rule_set' is written by the gateway for its own ready rules: leave it out");
}

static void read_override(struct loader *loader, const struct node *map) {
    char device_name[NAME_SIZE];
    const char *name;
    CHECK(loader_split(map->key->text, device_name, &name));
    uint32_t device = loader_find(loader, &loader->site, LOADER_DEVICE, map->key, device_name);
    if (device == NAMES_NONE)
        return;
    uint32_t index = device_alarm(loader, (uint16_t)device, name);
    if (index == NAMES_NONE) {
        tell_no_alarm(loader, &loader->site, map->key, (uint16_t)device, name,
                      " to change; a new one is named without the device, which its point tells");
        return;
    }
    struct config_alarm *alarm = &loader->alarms[index];
    refuse_override(loader, map);
    if (schema_u64(&schema_alarm, map, "remove")) {
        remove_alarm(loader, map, index);
        return;
    }
    struct config_alarm changed = *alarm;
    if (condition_written(map))
        changed.zh = changed.en = NULL; /* the text may tell of another condition; it comes back when only the limit moved */
    if (!override_condition(loader, map, &changed))
        return;
    struct point limits;
    if (alarm->point != CONFIG_NONE)
        limits = loader_limits(loader, (uint16_t)device, alarm->point);
    alarm_read(&loader->site, map, alarm->point == CONFIG_NONE ? NULL : &limits, false, loader->arena, &changed);
    note_suppression(loader, &loader->site, map, index);
    if (!changed.zh && !changed.en && changed.condition == alarm->condition && !conditions_group(map)) {
        changed.zh = alarm->zh;
        changed.en = alarm->en;
    }
    *alarm = changed;
}

static void read_new(struct loader *loader, const struct node *map) {
    const struct node *removed = node_get(map, "remove");
    struct config_alarm fresh = {.name = loader_keep(loader->arena, map->key->text)};
    if (removed)
        source_error(&loader->site, removed->key, "'remove' is for an alarm that is there already, written 'device/alarm: {remove: true}'");
    alarm_defaults(&fresh);
    fresh.device = CONFIG_NONE;
    if (!read_fresh(loader, &loader->site, map, &fresh))
        return;
    if (device_alarm(loader, fresh.device, fresh.name) != NAMES_NONE) {
        source_error(&loader->site, map->key, "the device '%s' has an alarm '%s' already; to change it write '%s/%s:'",
                     loader->devices[fresh.device].spec.name, fresh.name, loader->devices[fresh.device].spec.name, fresh.name);
        return;
    }
    struct config_alarm *alarm = alarm_new(loader, fresh.device, fresh.name);
    if (!alarm)
        return;
    *alarm = fresh;
    uint32_t place = (uint32_t)(alarm - loader->alarms);
    note_suppression(loader, &loader->site, map, place);
    names_add(&loader->site_alarms_names, fresh.name, place);
}

static uint32_t count_wanted(const struct loader *loader, uint32_t site_count) {
    uint16_t actions;
    (void)loader_section(loader, "actions", ACTIONS_MAX, &actions);
    uint32_t wanted = site_count + loader->config->devices_count + actions;
    for (uint16_t i = 0; i < loader->config->devices_count; i++) {
        wanted += loader->devices_more[i].profile ? loader->devices_more[i].profile->alarms_count : 0u;
        for (const struct node *node = loader->devices_more[i].rule_alarms; node; node = node->next)
            wanted++;
    }
    return wanted;
}

void load_alarms(struct loader *loader) {
    uint16_t count, devices = loader->config->devices_count;
    const struct node *first = loader_section(loader, "alarms", ALARMS_MAX, &count), *section = node_get(loader->site.root, "alarms");
    uint32_t wanted = count_wanted(loader, count);
    if (wanted > ALARMS_MAX)
        source_error(&loader->site, section ? section->key : NULL,
                     "the site has %u alarms, those of profiles, rules, actions and of communication included; at most %d are allowed",
                     (unsigned)wanted, ALARMS_MAX);
    loader->alarms_room = wanted < ALARMS_MAX ? wanted : ALARMS_MAX;
    loader->alarms = arena_take(loader->arena, loader->alarms_room + 1u, sizeof(*loader->alarms));
    loader->alarms_more = arena_take(&loader->scratch, loader->alarms_room + 1u, sizeof(*loader->alarms_more));
    names_init(&loader->site_alarms_names, count, &loader->scratch);
    for (uint16_t i = 0; i < devices; i++)
        add_device_alarms(loader, i);
    const struct node *node = first;
    for (uint16_t i = 0; i < count; i++, node = node->next) {
        if (node->kind != NODE_MAP)
            continue;
        char unused[NAME_SIZE];
        const char *rest;
        if (loader_split(node->key->text, unused, &rest))
            read_override(loader, node);
        else
            read_new(loader, node);
    }
}

uint32_t loader_find_alarm(const struct loader *loader, const struct source *source, const struct node *when) {
    char device_name[NAME_SIZE], text[NEAREST_SIZE];
    const char *name;
    if (loader_split(when->text, device_name, &name)) {
        uint32_t device = loader_find(loader, source, LOADER_DEVICE, when, device_name);
        if (device == NAMES_NONE)
            return NAMES_NONE;
        uint32_t index = device_alarm(loader, (uint16_t)device, name);
        uint32_t own = names_find(&loader->site_alarms_names, name);
        if (index == NAMES_NONE && own != NAMES_NONE && loader->alarms[own].device == device)
            index = own;
        if (index == NAMES_NONE)
            tell_no_alarm(loader, source, when, (uint16_t)device, name, "");
        return index;
    }
    uint32_t index = names_find(&loader->site_alarms_names, when->text);
    const struct node *alarms = schema_member(&schema_site, loader->site.root, "alarms");
    if (index != NAMES_NONE || node_get(alarms, when->text))
        return index; /* written but wrong was told there */
    struct nearest nearest;
    nearest_init(&nearest, when->text);
    for (const struct node *node = alarms ? alarms->first : NULL; node && source_has_room(&loader->site); node = node->next)
        nearest_try(&nearest, node->key->text);
    source_error(source, when, "there is no alarm '%s'%s; write DEVICE/ALARM, or the name of one under 'alarms:'", QUOTE(when->text),
                 nearest_text(&nearest, text));
    return NAMES_NONE;
}

/* ---- references become indices ---- */

static void settle_terms(struct loader *loader, struct config_term *terms, uint32_t *count, struct config_alarm *alarm) {
    if (alarm->terms_count)
        memcpy(&terms[*count], &loader->terms[alarm->first_term], alarm->terms_count * sizeof(*terms));
    alarm->first_term = *count;
    *count += alarm->terms_count;
}

/* A rule, or a profile's alarm, that the site does not want: the checklist names it, so that nobody takes it for watched. */
static void tell_removed(struct loader *loader) {
    const struct config *config = loader->config;
    uint16_t count = config->unwatched_count;
    uint32_t removed = 0;
    for (uint32_t i = 0; i < loader->alarms_count; i++)
        removed += loader->alarms_more[i].removed;
    struct config_unwatched *items = arena_take(loader->arena, count + removed + 1u, sizeof(*items));
    if (count)
        memcpy(items, config->unwatched, count * sizeof(*items));
    for (uint32_t i = 0; i < loader->alarms_count && count < UNWATCHED_MAX; i++) {
        const struct config_alarm *alarm = &loader->alarms[i];
        if (loader->alarms_more[i].removed)
            items[count++] = (struct config_unwatched){.place = loader->devices[alarm->device].place,
                                                       .device = alarm->device,
                                                       .what_zh = alarm->zh ? alarm->zh : alarm->name,
                                                       .what_en = alarm->en ? alarm->en : alarm->name,
                                                       .removed = alarm->name};
    }
    loader->config->unwatched = items;
    loader->config->unwatched_count = count;
}

void load_settle_alarms(struct loader *loader) {
    tell_removed(loader);
    struct config_term *terms = arena_take(loader->arena, loader->terms_count + 1u, sizeof(*terms));
    uint32_t kept = 0, terms_count = 0;
    for (uint32_t i = 0; i < loader->alarms_count; i++) {
        loader->alarms_more[i].index = kept;
        kept += !loader->alarms_more[i].removed;
    }
    for (uint32_t i = 0; i < loader->alarms_count; i++) {
        const struct loader_alarm *more = &loader->alarms_more[i];
        if (more->removed)
            continue;
        struct config_alarm *alarm = &loader->alarms[more->index];
        *alarm = loader->alarms[i];
        settle_terms(loader, terms, &terms_count, alarm);
        alarm->suppressed_by = more->suppressor == NAMES_NONE ? CONFIG_NONE : (uint16_t)loader->alarms_more[more->suppressor].index;
    }
    for (uint16_t i = 0; i < loader->config->actions_count; i++)
        loader->actions[i].alarm = (uint16_t)loader->alarms_more[loader->actions[i].alarm].index;
    loader->config->alarms = loader->alarms;
    loader->config->alarms_count = (uint16_t)kept;
    loader->config->terms = terms;
    loader->config->terms_count = terms_count;
}
