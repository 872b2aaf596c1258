/* SPDX-License-Identifier: Apache-2.0 */
/* What can only be seen when the whole site is known: who shares an address, a port, a speed; what is missing altogether. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/estimate.h"
#include "config/loader.h"

#define UNIT_IDS 248
#define FIRE_PERIOD_MAX_MS 10000 /* GB 26875.1: a fire alarm is at the centre within 10 s */

static void check_unit_ids(struct loader *loader) {
    const struct config *config = loader->config;
    uint16_t(*owners)[UNIT_IDS] = arena_take(&loader->scratch, config->buses_count + 1u, sizeof(*owners));
    for (uint16_t i = 0; i < config->devices_count; i++) {
        const struct config_device *device = &config->devices[i];
        const struct node *unit_id = schema_member(&schema_device, loader->devices_more[i].node, "unit_id");
        if (device->bus == CONFIG_NONE || !unit_id)
            continue;
        uint16_t *owner = &owners[device->bus][device->spec.unit_id];
        if (*owner)
            source_error(&loader->site, unit_id, "the unit id %u is taken on the bus '%s' by '%s'; two devices would answer at once",
                         device->spec.unit_id, config->buses[device->bus].name, config->devices[*owner - 1].spec.name);
        else
            *owner = (uint16_t)(i + 1);
    }
}

/* Two buses on one port would talk at the same time; two on one TCP endpoint are two connections, which few devices bear. */
static void check_ports(const struct loader *loader) {
    uint16_t count, serial_count = 0;
    const struct node *node = loader_section(loader, "buses", BUSES_MAX, &count);
    for (uint16_t i = 0; i < count; i++, node = node->next) {
        const struct bus_spec *bus = &loader->buses[i];
        serial_count += bus->kind == BUS_SERIAL && *bus->serial;
        if (bus->kind == BUS_SERIAL && serial_count == SERIAL_BUSES_MAX + 1)
            source_error(&loader->site, node_place(node), "more than %d serial buses; each takes a port and a thread", SERIAL_BUSES_MAX);
        for (uint16_t k = 0; k < i; k++) {
            const struct bus_spec *other = &loader->buses[k];
            if (bus->kind == BUS_SERIAL && other->kind == BUS_SERIAL && *bus->serial && strcmp(bus->serial, other->serial) == 0)
                source_error(&loader->site, node_get(node, "serial"), "the bus '%s' uses this port already; put the devices of both on one bus",
                             other->name);
            else if (bus->kind != BUS_SERIAL && other->kind != BUS_SERIAL && bus->port == other->port && *bus->host &&
                     strcmp(bus->host, other->host) == 0)
                source_error(&loader->site, node_get(node, bus->kind == BUS_TCP ? "tcp" : "rtu_over_tcp"),
                             "the bus '%s' uses this endpoint already; put the devices of both on one bus", other->name);
        }
    }
}

/* Once for a model on a line: the hint is the same for all of them. */
static bool told_before(const struct loader *loader, uint16_t index) {
    for (uint16_t i = 0; i < index; i++)
        if (loader->devices_more[i].profile == loader->devices_more[index].profile && loader->devices[i].bus == loader->devices[index].bus)
            return true;
    return false;
}

static void check_speeds(const struct loader *loader) {
    for (uint16_t i = 0; i < loader->config->devices_count; i++) {
        const struct config_device *device = &loader->devices[i];
        const struct loader_device *more = &loader->devices_more[i];
        if (device->bus == CONFIG_NONE || !more->profile || !more->profile->factory_baud)
            continue;
        const struct bus_spec *bus = &loader->buses[device->bus];
        if (bus_line_timing(bus).baud != 0 && bus->baud != more->profile->factory_baud && !told_before(loader, i))
            source_warning(&loader->site, node_place(schema_member(&schema_device, more->node, "profile")),
                           "a '%s' leaves the factory with %u baud, but the bus '%s' runs at %u: set the device to %u first", more->profile->name,
                           (unsigned)more->profile->factory_baud, bus->name, (unsigned)bus->baud, (unsigned)bus->baud);
    }
}

static void check_locations(const struct loader *loader) {
    for (uint16_t i = 0; i < loader->config->devices_count; i++) {
        const struct config_device *device = &loader->devices[i];
        bool fire = false;
        for (uint16_t k = 0; k < device->spec.points_count; k++)
            fire = fire || device->spec.points[k].class == CLASS_FIRE;
        if (fire && !*device->location)
            source_warning(&loader->site, node_place(loader->devices_more[i].node),
                           "the device '%s' has a fire alarm but no 'location': who hears it will not know where to go", device->spec.name);
    }
}

static void check_presence(struct loader *loader) {
    const struct config *config = loader->config;
    if (config->devices_count == 0)
        source_warning(&loader->site, NULL, "no devices: there is nothing to read");
    if (config->uplinks_count == 0)
        source_warning(&loader->site, NULL, "no uplinks: alarms and readings stay in the gateway");
    uint16_t count;
    const struct node *node = loader_section(loader, "buses", BUSES_MAX, &count);
    bool *used = arena_take(&loader->scratch, count + 1u, sizeof(*used));
    for (uint16_t i = 0; i < config->devices_count; i++)
        if (config->devices[i].bus != CONFIG_NONE)
            used[config->devices[i].bus] = true;
    for (uint16_t i = 0; i < count; i++, node = node->next)
        if (!used[i] && config->devices_count)
            source_warning(&loader->site, node_place(node), "the bus '%s' has no devices", loader->buses[i].name);
}

/* A device tells what its points are in one message, which has a largest size. The figures are the JSON around the texts. */
static void check_descriptions(const struct loader *loader) {
    for (uint16_t i = 0; i < loader->config->devices_count; i++) {
        const struct device_spec *spec = &loader->devices[i].spec;
        size_t size = 1024;
        for (uint16_t p = 0; p < spec->points_count; p++) {
            const struct point *point = &spec->points[p];
            size += 160 + strlen(point->name) + strlen(point->unit) + (point->zh ? strlen(point->zh) : 0) + (point->en ? strlen(point->en) : 0);
            for (unsigned k = 0; k < point->labels_count; k++)
                size += 28 + strlen(point->labels[k].name);
        }
        if (size > PAYLOAD_SIZE)
            source_error(&loader->site, node_place(loader->devices_more[i].node),
                         "the points of '%s' take about %zu bytes to describe, %d at most; shorten names and labels, or poll fewer points",
                         spec->name, size, PAYLOAD_SIZE);
    }
}

static void say_one(struct text *text, uint64_t number, const char *what) {
    if (number == 0)
        return;
    text_add(text, text->length == 0 ? "; what would do: " : ", or ");
    text_add_u64(text, number);
    text_add(text, what);
}

static void check_line(struct loader *loader, const struct node *node, uint16_t bus, const struct estimate_bus *line) {
    const char *name = node->key->text;
    if (!estimate_keeps_fire(line)) {
        char bytes[160];
        struct text words;
        struct estimate_advice advice;
        text_init(&words, bytes, sizeof(bytes));
        estimate_advise(loader->config, bus, &loader->scratch, &advice);
        say_one(&words, advice.baud, " baud");
        say_one(&words, advice.period_ms, " ms as their period");
        say_one(&words, advice.lines, " lines with the devices spread evenly");
        source_error(&loader->site, node->key,
                     "the line '%s' cannot poll its fire points every %u ms: they and the longest other request take %.0f ms%s", QUOTE(name),
                     (unsigned)line->fire_period_ms, (double)(line->fire_round_us + line->longest_us) / 1000.0, bytes);
    } else if (line->load >= 1) {
        source_warning(
            &loader->site, node->key,
            "the line '%s' would be busy %.0f %% of the time: its points are polled less often than asked; raise the baud, split the line or "
            "lengthen periods",
            QUOTE(name), line->load * 100);
    }
}

/* Only of a site without errors, because a plan is made of points that are right. */
static void check_lines(struct loader *loader) {
    uint16_t count;
    const struct node *node = loader_section(loader, "buses", BUSES_MAX, &count);
    for (uint16_t i = 0; i < count; i++, node = node->next) {
        struct estimate_bus estimate;
        if (estimate_bus(loader->config, i, &loader->scratch, &estimate))
            source_error(&loader->site, node_place(loader->devices_more[estimate.failed_device].node),
                         "the device '%s' needs more than %d requests to be read; poll fewer points, or more of them with the same period",
                         loader->devices[estimate.failed_device].spec.name, REQUESTS_PER_DEVICE_MAX);
        else if (estimate.line)
            check_line(loader, node, i, &estimate);
    }
}

static void check_action(struct loader *loader, const struct node *node, uint16_t index, const struct estimate_prompt *prompt) {
    const struct config *config = loader->config;
    const struct config_device *target = &config->devices[config->actions[index].device];
    const char *line = config->buses[target->bus].name;
    if (prompt->alone_us > ACTION_WRITE_MAX_US) {
        char bytes[160], wait[128] = "";
        struct text words;
        struct estimate_prompt_advice advice;
        text_init(&words, bytes, sizeof(bytes));
        estimate_prompt_advise(config, index, &loader->scratch, &advice);
        say_one(&words, advice.baud, " baud");
        say_one(&words, advice.registers, " registers at most in one point on that line");
        if (prompt->device != CONFIG_NONE)
            snprintf(wait, sizeof(wait), "it may have to wait until '%s' has sent %u bytes at once, and ", config->devices[prompt->device].spec.name,
                     prompt->reply_bytes);
        source_error(&loader->site, node_place(node),
                     "the action '%s' may be written %.0f ms after the reply that causes it, %d at most: on the line '%s' %sits own frame and the silences "
                     "count too%s%s another bus for '%s'",
                     config->actions[index].name, (double)prompt->alone_us / 1000, ACTION_WRITE_MAX_US / 1000, line, wait, bytes,
                     words.length == 0 ? "; what would do:" : ", or", target->spec.name);
    } else if (prompt->before != 0 && prompt->begins_us[0] + prompt->frame_us > ACTION_WRITE_MAX_US) {
        source_warning(&loader->site, node_place(node),
                       "the action '%s' stands behind %u others of its alarm on the bus '%s' and is written %.0f ms after the reply that causes it, %d are "
                       "wanted: put what matters most first, raise the baud, or spread the relays over several buses",
                       config->actions[index].name, prompt->before, line, (double)(prompt->begins_us[0] + prompt->frame_us) / 1000,
                       ACTION_WRITE_MAX_US / 1000);
    }
}

/* The bound counts from the reply; how soon that comes is told by the table of `check`. */
static void check_actions(struct loader *loader) {
    uint16_t count;
    const struct node *node = loader_section(loader, "actions", ACTIONS_MAX, &count);
    for (uint16_t i = 0; i < loader->config->actions_count; i++, node = node->next) {
        struct estimate_prompt prompt;
        if (estimate_prompt(loader->config, i, &loader->scratch, &prompt) == ERR_OK) /* otherwise check_lines tells it */
            check_action(loader, node, i, &prompt);
    }
}

/* What is allowed but hardly meant. */
static void check_intent(const struct loader *loader) {
    const struct config *config = loader->config;
    uint16_t count;
    const struct node *node = loader_section(loader, "actions", ACTIONS_MAX, &count);
    for (uint16_t i = 0; i < config->actions_count; i++, node = node->next)
        for (uint16_t k = 0; k < i; k++) {
            const struct config_action *action = &config->actions[i], *other = &config->actions[k];
            const char *device = loader->devices[action->device].spec.name, *point = config_point(config, action->device, action->point)->name;
            if (action->device != other->device || action->point != other->point || action->value == other->value)
                continue;
            if (action->alarm == other->alarm)
                source_error(&loader->site, node_place(node),
                             "the actions '%s' and '%s' write different values to '%s/%s' for the same alarm; keep one of them", other->name, action->name,
                             device, point);
            else
                source_warning(&loader->site, node_place(node),
                               "the actions '%s' and '%s' write different values to '%s/%s': the newer alarm wins, whatever its class; what was cut for "
                               "one is switched on again by the other",
                               other->name, action->name, device, point);
        }
    for (uint16_t i = 0; i < config->devices_count; i++) {
        const struct device_spec *spec = &loader->devices[i].spec;
        const struct node *place = node_place(loader->devices_more[i].node);
        if (!spec->points_count)
            source_warning(&loader->site, place, "the device '%s' has no points: nothing of it is read", spec->name);
        for (uint16_t p = 0; p < spec->points_count; p++)
            if (spec->points[p].class == CLASS_FIRE && spec->points[p].every_ms > FIRE_PERIOD_MAX_MS)
                source_warning(&loader->site, place, "the fire point '%s/%s' is read every %u s only; 10 s at most are usual, 1 s is the default", spec->name,
                               spec->points[p].name, spec->points[p].every_ms / 1000);
    }
}

void load_rules(struct loader *loader) {
    check_unit_ids(loader);
    check_ports(loader);
    check_speeds(loader);
    check_locations(loader);
    check_presence(loader);
    if (loader->site.diagnostics->errors != loader->errors_before)
        return;
    check_intent(loader);
    check_descriptions(loader);
    check_lines(loader);
    check_actions(loader);
}
