/* SPDX-License-Identifier: Apache-2.0 */
/* The list of alarms: device after device those of its profile and its communication alarm, then the site's own. A site's key
 * with a '/' names one that exists already and changes or removes it. Then actions, which refer to alarms. Removed alarms are
 * taken out when all references are known, at the end of load_actions; before that an index is a place in the whole list. */
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
    alarm->name = name;
    alarm->device = device;
    return alarm;
}

static void add_device_alarms(struct loader *loader, uint16_t index) {
    struct loader_device *more = &loader->devices_more[index];
    const struct profile *profile = more->profile;
    more->first_alarm = loader->alarms_count;
    for (uint16_t i = 0; profile && more->points && i < profile->alarms_count; i++) {
        struct config_alarm *alarm = alarm_new(loader, index, NULL);
        if (!alarm)
            return;
        *alarm = profile->alarms[i];
        alarm->device = index;
    }
    struct config_alarm *alarm = alarm_new(loader, index, COMMUNICATION);
    if (!alarm)
        return;
    alarm_defaults(alarm);
    alarm->point = CONFIG_NONE;
    alarm->condition = CONDITION_COMMUNICATION;
    alarm->class = CLASS_FAULT;
    alarm->priority = PRIORITY_HIGH;
    more->alarms_count = loader->alarms_count - more->first_alarm;
}

static uint32_t find_device_alarm(const struct loader *loader, uint16_t device, const char *name) {
    const struct loader_device *more = &loader->devices_more[device];
    for (uint32_t i = 0; i < more->alarms_count; i++)
        if (strcmp(loader->alarms[more->first_alarm + i].name, name) == 0)
            return more->first_alarm + i;
    return NAMES_NONE;
}

static void tell_no_alarm(const struct loader *loader, const struct node *at, uint16_t device, const char *name) {
    const struct loader_device *more = &loader->devices_more[device];
    char text[NEAREST_SIZE];
    struct nearest nearest;
    if (more->broken)
        return;
    nearest_init(&nearest, name);
    for (uint32_t i = 0; i < more->alarms_count; i++)
        nearest_try(&nearest, loader->alarms[more->first_alarm + i].name);
    source_error(&loader->site, at, "the device '%s' has no alarm '%s'%s", loader->devices[device].spec.name, QUOTE(name),
                 nearest_text(&nearest, text));
}

static void remove_alarm(struct loader *loader, const struct node *map, uint32_t index) {
    if (loader->alarms[index].condition == CONDITION_COMMUNICATION) {
        source_error(&loader->site, map->key, "a communication alarm cannot be removed: a silent device must be known; its priority can be lowered");
        return;
    }
    if (map->count > 1)
        source_error(&loader->site, map->key, "'%s' is removed, so the other keys here say nothing: leave them out", QUOTE(map->key->text));
    loader->alarms_more[index].removed = true;
}

static void read_override(struct loader *loader, const struct node *map) {
    char device_name[NAME_SIZE];
    const char *name;
    CHECK(loader_split(map->key->text, device_name, &name));
    uint32_t device = loader_find(loader, LOADER_DEVICE, map->key, device_name);
    if (device == NAMES_NONE)
        return;
    uint32_t index = find_device_alarm(loader, (uint16_t)device, name);
    if (index == NAMES_NONE) {
        tell_no_alarm(loader, map->key, (uint16_t)device, name);
        return;
    }
    struct config_alarm *alarm = &loader->alarms[index];
    loader->alarms_more[index].node = map;
    if (node_get(map, "point"))
        source_error(&loader->site, node_get(map, "point")->key,
                     "the point of an alarm from a profile cannot be changed: write an alarm of your own");
    if (schema_u64(&schema_alarm, map, "remove")) {
        remove_alarm(loader, map, index);
        return;
    }
    const struct point *point = alarm->point == CONFIG_NONE ? NULL : &loader->devices_more[device].points[alarm->point];
    struct config_alarm changed = *alarm;
    if (node_get(map, "above") || node_get(map, "below") || node_get(map, "is"))
        changed.zh = changed.en = NULL; /* the profile's text may name the old limit */
    alarm_read(&loader->site, map, point, false, loader->arena, &changed);
    if (!changed.zh && !changed.en && changed.condition == alarm->condition) {
        changed.zh = alarm->zh;
        changed.en = alarm->en;
    }
    *alarm = changed;
}

static void read_new(struct loader *loader, const struct node *map) {
    uint16_t device, index;
    const struct node *point = member(map, "point"), *removed = node_get(map, "remove");
    if (removed)
        source_error(&loader->site, removed->key, "'remove' is for an alarm of a profile, written 'device/alarm: {remove: true}'");
    bool later = node_get(map, "all") || node_get(map, "any") || node_get(map, "not");
    if (!point && !node_get(map, "point") && !later)
        source_error(&loader->site, map->key, "'point' is missing: what the alarm '%s' watches, as DEVICE/POINT", QUOTE(map->key->text));
    if (!point || !loader_find_point(loader, point, &device, &index))
        return;
    if (find_device_alarm(loader, device, map->key->text) != NAMES_NONE) {
        source_error(&loader->site, map->key, "the device '%s' has an alarm '%s' already; to change it write '%s/%s:'",
                     loader->devices[device].spec.name, map->key->text, loader->devices[device].spec.name, map->key->text);
        return;
    }
    struct config_alarm fresh = {.name = loader_keep(loader->arena, map->key->text), .device = device, .point = index};
    alarm_defaults(&fresh);
    if (!alarm_read(&loader->site, map, &loader->devices_more[device].points[index], true, loader->arena, &fresh))
        return;
    struct config_alarm *alarm = alarm_new(loader, device, fresh.name);
    if (!alarm)
        return;
    *alarm = fresh;
    uint32_t place = (uint32_t)(alarm - loader->alarms);
    loader->alarms_more[place].node = map;
    names_add(&loader->site_alarms_names, fresh.name, place);
}

static void take_out_removed(struct loader *loader) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < loader->alarms_count; i++) {
        loader->alarms_more[i].index = kept;
        if (!loader->alarms_more[i].removed)
            loader->alarms[kept++] = loader->alarms[i];
    }
    for (uint16_t i = 0; i < loader->config->actions_count; i++)
        loader->actions[i].alarm = (uint16_t)loader->alarms_more[loader->actions[i].alarm].index;
    loader->config->alarms = loader->alarms;
    loader->config->alarms_count = (uint16_t)kept;
}

void load_alarms(struct loader *loader) {
    uint16_t count, devices = loader->config->devices_count;
    const struct node *first = loader_section(loader, "alarms", ALARMS_MAX, &count), *section = node_get(loader->site.root, "alarms");
    uint32_t wanted = count + devices;
    for (uint16_t i = 0; i < devices; i++)
        wanted += loader->devices_more[i].profile ? loader->devices_more[i].profile->alarms_count : 0u;
    if (wanted > ALARMS_MAX)
        source_error(&loader->site, section ? section->key : NULL,
                     "the site has %u alarms, those of profiles and of communication included; at most %d are allowed", (unsigned)wanted, ALARMS_MAX);
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

/* "device/alarm" or the name of one of the site's own. */
static uint32_t find_alarm(const struct loader *loader, const struct node *when) {
    char device_name[NAME_SIZE], text[NEAREST_SIZE];
    const char *name;
    if (loader_split(when->text, device_name, &name)) {
        uint32_t device = loader_find(loader, LOADER_DEVICE, when, device_name);
        if (device == NAMES_NONE)
            return NAMES_NONE;
        uint32_t index = find_device_alarm(loader, (uint16_t)device, name);
        uint32_t own = names_find(&loader->site_alarms_names, name);
        if (index == NAMES_NONE && own != NAMES_NONE && loader->alarms[own].device == device)
            index = own;
        if (index == NAMES_NONE)
            tell_no_alarm(loader, when, (uint16_t)device, name);
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
    source_error(&loader->site, when, "there is no alarm '%s'%s; write DEVICE/ALARM, or the name of one under 'alarms:'", QUOTE(when->text),
                 nearest_text(&nearest, text));
    return NAMES_NONE;
}

static bool read_action(struct loader *loader, const struct node *map, struct config_action *action, uint32_t *ret_alarm) {
    const struct node *when = schema_member(&schema_action, map, "when"), *write = schema_member(&schema_action, map, "write"),
                      *value = schema_member(&schema_action, map, "value");
    const char *label;
    action->name = loader_keep(loader->arena, map->key->text);
    *ret_alarm = when ? find_alarm(loader, when) : NAMES_NONE;
    if (*ret_alarm != NAMES_NONE && loader->alarms_more[*ret_alarm].removed) {
        source_error(&loader->site, when, "the alarm '%s' is removed in this file, so the action would never happen", QUOTE(when->text));
        return false;
    }
    if (!write || !loader_find_point(loader, write, &action->device, &action->point))
        return false;
    const struct point *point = &loader->devices_more[action->device].points[action->point];
    if (!point->writable) {
        source_error(&loader->site, write, "the point '%s' cannot be written: %s", QUOTE(write->text),
                     *loader->devices[action->device].profile ? "its profile says so" : "give it 'write: coil' or 'write: holding'");
        return false;
    }
    if (!value || !value_read(&loader->site, value, point, &action->value, &label, loader->arena))
        return false;
    if (point->has_range && (action->value < point->range_min || action->value > point->range_max))
        source_error(&loader->site, value, "'value' is %s, but the point '%s' takes %g to %g", QUOTE(value->text), point->name, point->range_min,
                     point->range_max);
    return *ret_alarm != NAMES_NONE;
}

void load_actions(struct loader *loader) {
    uint16_t count;
    const struct node *node = loader_section(loader, "actions", ACTIONS_MAX, &count);
    loader->actions = arena_take(loader->arena, count + 1u, sizeof(*loader->actions));
    for (uint16_t i = 0; i < count; i++, node = node->next) {
        struct config_action *action = &loader->actions[loader->config->actions_count];
        uint32_t alarm;
        if (node->kind != NODE_MAP || !read_action(loader, node, action, &alarm))
            continue;
        action->alarm = (uint16_t)alarm;
        uint16_t watched = loader->alarms[action->alarm].point, device = loader->alarms[action->alarm].device;
        if (watched != CONFIG_NONE)
            loader->devices_more[device].points[watched].feeds_action = true;
        loader->config->actions_count++;
    }
    loader->config->actions = loader->actions;
    take_out_removed(loader);
}

/* Where an action writes to, no read may keep the write waiting for longer than ACTION_WRITE_MAX_US allows. A line whose points only cause
 * actions needs no cap: nothing on it stands between its reply and a write on another bus. */
static void cap_line(struct loader *loader, const struct config_action *action) {
    uint16_t bus = loader->devices[action->device].bus;
    struct line_timing line = {0};
    if (bus != CONFIG_NONE)
        line = bus_line_timing(&loader->buses[bus]);
    if (line.baud == 0)
        return;
    uint16_t most = plan_prompt_bytes(&line, plan_write_bytes(&loader->devices_more[action->device].points[action->point]));
    for (uint16_t i = 0; i < loader->config->devices_count; i++) {
        struct device_spec *spec = &loader->devices[i].spec;
        if (loader->devices[i].bus == bus && (spec->reply_bytes_max == 0 || most < spec->reply_bytes_max))
            spec->reply_bytes_max = most > 1 ? most : 2; /* less than a register can be read by nobody: check refuses it */
    }
}

static bool has_fire_point(const struct loader *loader, uint16_t device) {
    for (uint16_t i = 0; i < loader->config->alarms_count; i++)
        if (loader->alarms[i].device == device && loader->alarms[i].class == CLASS_FIRE)
            return true;
    return false;
}

static void default_texts(const struct loader *loader, struct config_alarm *alarm) {
    static const char *const zh_words[] = {"高于", "低于", "为"}, *const en_words[] = {"above", "below", "is"};
    char amount[96], zh[256], en[256];
    struct text text;
    if (alarm->condition == CONDITION_COMMUNICATION) {
        bool fire = has_fire_point(loader, alarm->device); /* such a device is also blind when it answers without a value */
        if (!alarm->zh)
            alarm->zh = fire ? "设备通信中断或无有效读数" : "设备通信中断";
        if (!alarm->en)
            alarm->en = fire ? "device does not answer or gives no valid reading" : "device does not answer";
        return;
    }
    const struct point *point = &loader->devices_more[alarm->device].points[alarm->point];
    text_init(&text, amount, sizeof(amount));
    if (alarm->label)
        text_add(&text, alarm->label);
    else
        text_add_double(&text, alarm->limit);
    if (!alarm->label && *point->unit) {
        text_add_char(&text, ' ');
        text_add(&text, point->unit);
    }
    const char *zh_name = point->zh ? point->zh : point->name, *en_name = point->en ? point->en : point->name;
    snprintf(zh, sizeof(zh), "%s%s %s", zh_name, zh_words[alarm->condition], amount);
    snprintf(en, sizeof(en), "%s %s %s", en_name, en_words[alarm->condition], amount);
    if (!alarm->zh)
        alarm->zh = loader_keep(loader->arena, zh);
    if (!alarm->en)
        alarm->en = loader_keep(loader->arena, en);
}

#define EVERY_FIRE_MS 1000
#define EVERY_DEFAULT_MS 10000

void load_finish_points(struct loader *loader) {
    for (uint16_t i = 0; i < loader->config->actions_count; i++)
        cap_line(loader, &loader->actions[i]);
    for (uint16_t i = 0; i < loader->config->alarms_count; i++) {
        struct config_alarm *alarm = &loader->alarms[i];
        default_texts(loader, alarm);
        if (alarm->point == CONFIG_NONE)
            continue;
        struct point *point = &loader->devices_more[alarm->device].points[alarm->point];
        if (alarm->class < point->class)
            point->class = alarm->class;
    }
    for (uint16_t i = 0; i < loader->config->devices_count; i++)
        for (uint16_t k = 0; k < loader->devices[i].spec.points_count; k++) {
            struct point *point = &loader->devices_more[i].points[k];
            if (!point->every_ms)
                point->every_ms = point->class == CLASS_FIRE ? EVERY_FIRE_MS : EVERY_DEFAULT_MS;
        }
}
