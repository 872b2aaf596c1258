/* SPDX-License-Identifier: Apache-2.0 */
/* Local actions: each names the alarm that causes it and the point that it writes. */
#include "base/check.h"
#include "config/loader.h"
#include "sensors/poller.h"

static bool read_action(struct loader *loader, const struct node *map, struct config_action *action, uint32_t *ret_alarm) {
    const struct node *when = schema_member(&schema_action, map, "when"), *write = schema_member(&schema_action, map, "write"),
                      *value = schema_member(&schema_action, map, "value");
    const char *label;
    action->name = loader_keep(loader->arena, map->key->text);
    *ret_alarm = when ? loader_find_alarm(loader, &loader->site, when) : NAMES_NONE;
    if (*ret_alarm != NAMES_NONE && loader->alarms_more[*ret_alarm].removed) {
        source_error(&loader->site, when, "the alarm '%s' is removed in this file, so the action would never happen", QUOTE(when->text));
        return false;
    }
    if (!write || !loader_find_point(loader, &loader->site, write, &action->device, &action->point))
        return false;
    const struct point *point = &loader->devices_more[action->device].points[action->point];
    if (!point->writable) {
        source_error(&loader->site, write, "the point '%s' cannot be written: %s", QUOTE(write->text),
                     point->derived                             ? "it is computed"
                     : *loader->devices[action->device].profile ? "its profile says so"
                                                                : "give it 'write: coil' or 'write: holding'");
        return false;
    }
    if (!value || !value_read(&loader->site, value, point, &action->value, &label, loader->arena))
        return false;
    if (point->has_range && (action->value < point->range_min || action->value > point->range_max))
        source_error(&loader->site, value, "'value' is %s, but the point '%s' takes %g to %g", QUOTE(value->text), point->name, point->range_min,
                     point->range_max);
    else if (!poller_can_write(point, action->value))
        source_error(&loader->site, value, "'value' is %s, which the point '%s' cannot hold: the action could never be carried out",
                     QUOTE(value->text), point->name);
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
        loader->config->actions_count++;
    }
    loader->config->actions = loader->actions;
}
