/* SPDX-License-Identifier: Apache-2.0 */
/* The buses: opened at the start, closed first on the way down, and a line whose thread hangs replaced while everything else goes on.
 * What a line needs lies in memory of its own, which goes with its thread: a thread that comes back after years finds its poller. The
 * one allocation after READY, then, is a new poller, at most one an hour and line (vitals.h) and never beside more than
 * BUS_RTU_ABANDONED_MAX threads that have not come back. */
#include "gateway/bridge.h"
#include "gateway/io/log.h"

static enum err open_line(struct bridge *bridge, const struct bus_spec *spec, const struct device_spec **devices, uint16_t count,
                          struct arena *arena) {
    struct bridge_bus *bus = &bridge->buses[spec->bus];
    struct trace *trace = arena_take(arena, 1, sizeof(*trace));
    struct poller *poller;
    trace_init(trace);
    struct bus_sink sink = bridge_bus_sink(bus);
    enum err err = poller_create(spec, devices, count, arena, trace, &poller);
    if (err == ERR_OK)
        err = bus_rtu_open(spec, poller, trace, &sink, &bus->rtu);
    if (err == ERR_OK)
        bus_rtu_give(bus->rtu, arena);
    return err;
}

enum err bridge_bus_open(struct bridge *bridge, uint16_t index) {
    const struct config *config = bridge->config;
    const struct bus_spec *spec = &config->buses[index];
    struct bridge_bus *bus = &bridge->buses[index];
    struct arena own, *arena = spec->kind == BUS_SERIAL ? &own : bridge->arena;
    arena_init(&own);
    const struct device_spec **devices = arena_take(arena, config->devices_count, sizeof(*devices));
    uint16_t count = 0;
    for (unsigned i = 0; i < config->devices_count; i++)
        if (config->devices[i].bus == index)
            devices[count++] = &config->devices[i].spec;
    bus->bridge = bridge;
    enum err err = ERR_OK;
    if (count && spec->kind == BUS_SERIAL) {
        err = open_line(bridge, spec, devices, count, &own);
    } else if (count) {
        struct poller *poller;
        struct bus_sink sink = bridge_bus_sink(bus);
        err = poller_create(spec, devices, count, arena, &bridge->tcp_trace, &poller);
        if (err == ERR_OK)
            err = bus_tcp_open(loop_uv(bridge->loop), spec, poller, &bridge->tcp_trace, &sink, &bus->tcp);
    }
    arena_done(&own); /* what a line has taken is no longer in it */
    return err;
}

void bridge_bus_replace(struct bridge *bridge, uint16_t index) {
    struct bridge_bus *bus = &bridge->buses[index];
    const char *name = bridge->config->buses[index].name;
    if (bridge->stopping || (bus->rtu && bus_rtu_abandoned() >= BUS_RTU_ABANDONED_MAX)) {
        log_text(TRACE_ERROR, "bus %s is not replaced: %u threads hang already", name, bus_rtu_abandoned());
        return;
    }
    if (bus->rtu)
        bus_rtu_abandon(bus->rtu);
    bus->rtu = NULL;
    enum err err = bridge_bus_open(bridge, index);
    if (err == ERR_OK && bus->rtu)
        err = bus_rtu_start(bus->rtu);
    if (err == ERR_OK)
        log_text(TRACE_WARNING, "bus %s has a new thread; the old one hangs in the driver of %s", name, bridge->config->buses[index].serial);
    else
        log_text(TRACE_ERROR, "bus %s cannot be replaced: %s", name, err_sentence(err));
}

void bridge_buses_close(struct bridge *bridge) {
    for (unsigned i = 0; i < bridge->config->buses_count; i++) {
        bus_rtu_close(bridge->buses[i].rtu);
        bus_tcp_close(bridge->buses[i].tcp, NULL, NULL);
        bridge->buses[i].rtu = NULL;
        bridge->buses[i].tcp = NULL;
    }
}
