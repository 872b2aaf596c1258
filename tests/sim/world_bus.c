/* SPDX-License-Identifier: Apache-2.0 */
/* The model of a bus: the line takes its time for each character and its silence, a device takes its turnaround, and what it
 * holds at the moment it has the whole request is what it answers. Poller effects become events of the engine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

#define SLOW_SHARE 60        /* per cent of its timeout that a slow device takes */
#define DISCONNECTED_US 1000 /* to find that the port is not there */
#define NETWORK_US 300       /* one way through a LAN */

uint16_t world_device(struct world *world, const char *name) {
    uint16_t device;
    if (plant_find_device(&world->plant, name, &device, NULL) != ERR_OK)
        world_fail(world, "the plant has no device %s", name);
    return device;
}

/* ---- changes ---- */

bool world_try_set(struct world *world, const char *path, const char *value) {
    uint16_t d, p;
    struct reading before;
    if (plant_find_point(&world->plant, path, &d, &p, NULL) != ERR_OK)
        world_fail(world, "the plant has no point %s", path);
    slave_get(&world->plant.devices[d].slave, p, &before);
    if (plant_set(&world->plant, path, value, NULL) != ERR_OK)
        return false;
    if (before.quality != QUALITY_GOOD) /* its age counts from here */
        world->points[world->config->devices[d].first_point + p].good_us = world->now_us;
    log_line(world, world->now_us, "world: %s = %s", path, value);
    return true;
}

void world_set(struct world *world, const char *point, const char *value) {
    if (!world_try_set(world, point, value))
        world_fail(world, "%s cannot be %s", point, value);
}

void world_fault(struct world *world, const char *name, enum world_fault fault) {
    static const char *const names[] = {"well", "silent", "slow", "exception", "corrupt"};
    struct model_device *device = &world->devices[world_device(world, name)];
    if (device->fault == fault)
        return;
    device->fault = fault;
    device->changed_us = world->now_us;
    log_line(world, world->now_us, "world: %s is %s", name, names[fault]);
}

static void arrange_answer(struct world *world, uint16_t b, int64_t in_us, enum bus_status status) {
    world->buses[b].status = status;
    world_arrange(world, in_us, COMING_ANSWER, b, NULL);
}

void world_bus(struct world *world, const char *name, bool plugged) {
    uint16_t b;
    if (plant_find_bus(&world->plant, name, &b, NULL) != ERR_OK)
        world_fail(world, "the plant has no bus %s", name);
    world->buses[b].plugged = plugged;
    world->buses[b].changed_us = world->now_us;
    log_line(world, world->now_us, "world: bus %s is %s", name, plugged ? "plugged in" : "unplugged");
}

void world_expect_value(struct world *world, const char *point, const char *expected) {
    char bytes[64];
    struct text value;
    text_init(&value, bytes, sizeof(bytes));
    if (plant_get(&world->plant, point, &value, NULL) != ERR_OK || strcmp(bytes, expected) != 0)
        world_fail(world, "%s holds %s, not %s", point, bytes, expected);
}

/* ---- one transaction ---- */

static void submit(struct world *world, uint16_t b, const struct bus_request *request) {
    struct model_bus *bus = &world->buses[b];
    struct line_timing line = bus_line_timing(&world->config->buses[b]);
    if (bus->under_way)
        world_fail(world, "bus %s has two requests under way", world->config->buses[b].name);
    bus->under_way = true;
    bus->request = *request;
    bus->sent_us = world->now_us;
    uint16_t d = plant_device_at(&world->plant, b, request->unit_id);
    CHECK(d != CONFIG_NONE);
    struct model_device *device = &world->devices[d];
    bool write = request->pdu.bytes[0] > FC_READ_INPUT;
    if (device->dead && !write && world->now_us - device->dead_asked_us < 450 * MS && bus->changed_us < device->dead_asked_us)
        world_fail(world, "isolation: %s is dead and asked again after %lld us", world->config->devices[d].spec.name,
                   (long long)(world->now_us - device->dead_asked_us));
    if (device->dead && !write)
        device->dead_asked_us = world->now_us;
    if (!bus->plugged) {
        arrange_answer(world, b, DISCONNECTED_US, BUS_DISCONNECTED);
        return;
    }
    int64_t wait_us = bus->free_us > world->now_us ? bus->free_us - world->now_us : 0;
    int64_t wire_us = wait_us + (line.baud ? line_bytes_us(&line, request->pdu.size + 3u) : NETWORK_US);
    bus->turnaround_us = world->plant.devices[d].turnaround_us;
    if (device->fault == SICK_SLOW)
        bus->turnaround_us = request->timeout_us * SLOW_SHARE / 100;
    if (device->fault == SICK_SILENT || device->fault == SICK_CORRUPT || bus->turnaround_us > request->timeout_us)
        arrange_answer(world, b, wire_us + request->timeout_us, device->fault == SICK_CORRUPT ? BUS_CORRUPT : BUS_TIMEOUT);
    else
        world_arrange(world, wire_us + bus->turnaround_us, COMING_ASKED, b, NULL);
}

/* What the device held when it gave the reply on the line is the truth about every reading of this answer. */
static void note_truth(struct world *world, uint16_t b, uint16_t d) {
    const struct config_device *device = &world->config->devices[d];
    int64_t in_us = world->buses[b].answer_at_us - world->now_us;
    int64_t wall_ms = world_now(world).wall_ms + (world->now_us + in_us) / 1000 - world->now_us / 1000;
    for (uint16_t p = 0; p < device->spec.points_count; p++) {
        const struct reading *told = &world->buses[b].told[p];
        if (device->spec.points[p].derived || told->quality != QUALITY_GOOD) /* the device knows nothing of what is derived */
            continue;
        truth_add(world, device->first_point + p, wall_ms, &told->value);
        /* What the history may take: with its wall time, or with the one it will turn out to have had. */
        truth_add(world, device->first_point + p, world->wall_trusted ? TIMED_MS + wall_ms : UNTIMED_MS + (world->now_us + in_us) / 1000,
                  &told->value);
    }
}

static void log_write(struct world *world, uint16_t d, const struct slave_write *write) {
    const struct device_spec *spec = &world->config->devices[d].spec;
    for (uint16_t p = 0; write->done && p < spec->points_count; p++) {
        char bytes[64];
        struct text value;
        text_init(&value, bytes, sizeof(bytes));
        if (!slave_write_touches(write, &spec->points[p]))
            continue;
        plant_add_value(&world->plant, d, p, &value);
        log_line(world, world->now_us, "plant: %s/%s is written %s", spec->name, spec->points[p].name, bytes);
    }
}

static void on_asked(struct world *world, uint16_t b) {
    struct model_bus *bus = &world->buses[b];
    struct line_timing line = bus_line_timing(&world->config->buses[b]);
    uint16_t d = plant_device_at(&world->plant, b, bus->request.unit_id);
    struct model_device *device = &world->devices[d];
    if (!bus->plugged) {
        arrange_answer(world, b, DISCONNECTED_US, BUS_DISCONNECTED);
        return;
    }
    if (device->fault == SICK_SILENT || device->fault == SICK_CORRUPT) {
        arrange_answer(world, b, bus->request.timeout_us, device->fault == SICK_CORRUPT ? BUS_CORRUPT : BUS_TIMEOUT);
        return;
    }
    struct slave_write write = {.done = false};
    if (device->fault == SICK_EXCEPTION) {
        bus->reply = (struct pdu){.bytes = {bus->request.pdu.bytes[0] | 0x80, 4}, .size = 2};
    } else {
        slave_answer(&world->plant.devices[d].slave, bus->request.pdu.bytes, bus->request.pdu.size, &bus->reply, &write);
        log_write(world, d, &write);
    }
    int64_t wire_us = line.baud ? line_bytes_us(&line, bus->reply.size + 3u) : NETWORK_US;
    bus->answer_at_us = world->now_us + wire_us;
    const struct device_spec *spec = &world->config->devices[d].spec;
    for (uint16_t p = 0; p < spec->points_count; p++)
        if (!spec->points[p].derived)
            slave_get(&world->plant.devices[d].slave, p, &bus->told[p]);
    if (device->fault != SICK_EXCEPTION)
        note_truth(world, b, d);
    arrange_answer(world, b, wire_us, BUS_ANSWERED);
}

/* The wall clock was set: replies that are on a line will carry the new time. */
void bus_clock(struct world *world) {
    for (uint16_t b = 0; b < world->config->buses_count; b++)
        if (world->buses[b].under_way && world->buses[b].answer_at_us >= world->now_us)
            note_truth(world, b, plant_device_at(&world->plant, b, world->buses[b].request.unit_id));
}

static void on_answer(struct world *world, uint16_t b) {
    struct model_bus *bus = &world->buses[b];
    struct line_timing line = bus_line_timing(&world->config->buses[b]);
    struct bus_answer answer = {.status = bus->plugged ? bus->status : BUS_DISCONNECTED, .now = world_now(world)};
    if (answer.status == BUS_ANSWERED) {
        answer.pdu = bus->reply;
        answer.turnaround_us = bus->turnaround_us;
        world->devices[plant_device_at(&world->plant, b, bus->request.unit_id)].dead = false;
    }
    bus->under_way = false;
    bus->free_us = world->now_us + (line.baud ? line_silence_us(&line) : 0);
    bus_step(world, b, &(struct poller_event){.kind = POLLER_ANSWERED, .answer = &answer});
}

void bus_coming(struct world *world, struct coming *coming) {
    if (coming->kind == COMING_ASKED)
        on_asked(world, coming->index);
    else if (coming->kind == COMING_ANSWER)
        on_answer(world, coming->index);
    else
        bus_step(world, coming->index, coming->data);
}

/* ---- stepping ---- */

static void *copy_of(const void *bytes, size_t size) {
    void *copy = malloc(size);
    CHECK(copy);
    memcpy(copy, bytes, size);
    return copy;
}

void bus_step(struct world *world, uint16_t b, const struct poller_event *event) {
    struct model_bus *bus = &world->buses[b];
    struct poller_event stepped = *event;
    struct poller_effects *effects = &world->poller_effects;
    int64_t hop_us = world->config->buses[b].kind == BUS_SERIAL ? HOP_US : 0;
    stepped.now = world_now(world);
    poller_step(bus->poller, &stepped, effects);
    poller_check(bus->poller);
    log_trace(world, &bus->trace);
    if (effects->has_polled) {
        check_poll(world, &effects->polled);
        world_arrange(world, hop_us, COMING_POLLED, b, copy_of(&effects->polled, sizeof(effects->polled)));
    }
    if (effects->has_written)
        world_arrange(world, hop_us, COMING_WRITTEN, b, copy_of(&effects->written, sizeof(effects->written)));
    if (effects->has_request)
        submit(world, b, &effects->request);
}
