/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up and the way down, as mirror images:
 *   loop, inbox, recorder, store, mqtt, engine, pollers and buses, socket   ->   buses, stop, socket, mqtt, store, recorder, loop, inbox
 * Open alarms are in the engine before the first poll is made. On a signal the buses end first, so that nothing new comes, then
 * the engine seals and sends what it has, at most for STOP_US. */
#include "gateway/run.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/check.h"
#include "gateway/bridge.h"
#include "gateway/io/log.h"
#include "gateway/io/notify.h"
#include "gateway/uplinks/mqtt_json.h"

#define BEAT_MS 1000
#define LINE_STUCK_US 30000000 /* a line's thread that finished nothing for this long is stuck: no transaction takes so long */
#define STOP_US 5000000        /* what could not be saved by then is not saved */

struct run {
    const struct config *config;
    struct arena arena;
    struct bridge bridge;
    struct store_image image;
    uint64_t start, seed;
    int64_t stop_at_us;
};

/* ---- while it runs ---- */

static void on_wake(void *context) {
    struct run *run = context;
    bridge_step(&run->bridge, &(struct event){.kind = EVENT_TICK});
}

static void on_rung(void *context) {
    struct run *run = context;
    bridge_drain(&run->bridge);
}

static bool lines_alive(const struct run *run) {
    for (unsigned i = 0; i < run->config->buses_count; i++)
        if (run->bridge.buses[i].rtu && bus_rtu_idle_us(run->bridge.buses[i].rtu) > LINE_STUCK_US)
            return false;
    return true;
}

/* The loop is alive, or this would not run. A stuck disk or network is no reason to restart: alarms go on without them. */
static void on_beat(void *context) {
    struct run *run = context;
    if (run->bridge.stopping && now_mono_us() >= run->stop_at_us) {
        log_text(TRACE_WARNING, "stopping took longer than %d s: leaving what is not saved", STOP_US / 1000000);
        loop_stop(run->bridge.loop);
        return;
    }
    bridge_drain(&run->bridge); /* what could wait */
    bridge_command_beat(&run->bridge);
    if (lines_alive(run))
        notify_watchdog();
}

static void close_buses(struct run *run) {
    for (unsigned i = 0; i < run->config->buses_count; i++) {
        bus_rtu_close(run->bridge.buses[i].rtu);
        bus_tcp_close(run->bridge.buses[i].tcp, NULL, NULL);
        run->bridge.buses[i].rtu = NULL;
        run->bridge.buses[i].tcp = NULL;
    }
}

static void on_signal(void *context) {
    struct run *run = context;
    if (run->bridge.stopping) {
        loop_stop(run->bridge.loop); /* asked twice */
        return;
    }
    run->stop_at_us = now_mono_us() + STOP_US;
    notify_stopping();
    close_buses(run);
    bridge_drain(&run->bridge);
    run->bridge.stopping = true;
    bridge_step(&run->bridge, &(struct event){.kind = EVENT_STOP});
    bridge_drain(&run->bridge); /* what could wait no longer can */
}

/* ---- start-up ---- */

static enum err open_bus(struct run *run, uint16_t index) {
    const struct config *config = run->config;
    struct bridge_bus *bus = &run->bridge.buses[index];
    const struct device_spec **devices = arena_take(&run->arena, config->devices_count, sizeof(*devices));
    uint16_t count = 0;
    for (unsigned i = 0; i < config->devices_count; i++)
        if (config->devices[i].bus == index)
            devices[count++] = &config->devices[i].spec;
    if (!count)
        return ERR_OK;
    struct poller *poller;
    bus->bridge = &run->bridge;
    bool serial = config->buses[index].kind == BUS_SERIAL;
    struct trace *trace = serial ? arena_take(&run->arena, 1, sizeof(*trace)) : &run->bridge.tcp_trace;
    if (serial)
        trace_init(trace);
    enum err err = poller_create(&config->buses[index], devices, count, &run->arena, trace, &poller);
    if (err != ERR_OK)
        return err;
    struct bus_sink sink = bridge_bus_sink(bus);
    if (serial)
        return bus_rtu_open(&config->buses[index], poller, trace, &sink, &bus->rtu);
    return bus_tcp_open(loop_uv(run->bridge.loop), &config->buses[index], poller, trace, &sink, &bus->tcp);
}

static enum err open_mqtt(struct run *run) {
    char will[PAYLOAD_SIZE / 64], unused[TOPIC_SIZE];
    struct text payload, topic;
    text_init(&payload, will, sizeof(will));
    text_init(&topic, unused, sizeof(unused));
    struct mqtt_json json = {.config = run->config, .topic_prefix = "", .version = YANHUO_VERSION, .start = run->start};
    struct now now;
    now_read(&now);
    if (!mqtt_json_status(&json, false, &now, now.wall_ms, &topic, &payload))
        return ERR_RANGE;
    struct mqtt_sink sink = bridge_mqtt_sink(&run->bridge);
    bridge_command_key(&run->bridge, getenv("CREDENTIALS_DIRECTORY"));
    return mqtt_open(run->config, getenv("CREDENTIALS_DIRECTORY"), will, &sink, &run->bridge.mqtt);
}

/* Without the socket only people at the site miss something. */
static void open_socket(struct run *run, const char *state_dir) {
    struct socket_sink sink = bridge_socket_sink(&run->bridge);
    char reason[128];
    int os_error = socket_open(state_dir, &sink, &run->bridge.socket);
    if (os_error)
        log_text(TRACE_WARNING, "%s/" SOCKET_NAME " cannot be had (%s): scan, probe and command cannot ask this gateway", state_dir,
                 strerror_r(os_error, reason, sizeof(reason)));
}

static enum err failed(const char *what, enum err err) {
    if (err != ERR_OK)
        log_text(TRACE_ERROR, "%s: %s", what, err_sentence(err));
    return err;
}

/* A folder that is not there is a mistake of whoever started this. One that cannot be used, because the disk is full, read-only
 * or failing, is no reason to be blind: alarms go on without it, and the store tries on by itself. */
static enum err open_store(struct run *run, const char *state_dir) {
    struct bridge *bridge = &run->bridge;
    struct store_sink sink = bridge_store_sink(bridge);
    enum err err = store_open(state_dir, run->config, &run->arena, &sink, &run->image, &bridge->store);
    if (err != ERR_OK)
        bridge_drain(bridge); /* what the store has to say about it; nothing else has begun */
    return failed("the gateway cannot start", err);
}

/* Who asked for a recording and cannot have it would miss it when it is needed: that is no start. */
static enum err open_record(struct run *run, const struct record_options *options) {
    char why[200];
    struct record_sink sink = bridge_record_sink(&run->bridge);
    if (record_open(options, run->config, YANHUO_VERSION, &sink, &run->bridge.record, why))
        return ERR_OK;
    log_text(TRACE_ERROR, "nothing can be recorded in %s: %s", options->path, why);
    return ERR_INVALID;
}

static enum err open_all(struct run *run, const char *state_dir, const struct record_options *options) {
    struct bridge *bridge = &run->bridge;
    struct loop_callbacks callbacks = {.context = run, .wake = on_wake, .rung = on_rung, .beat = on_beat, .signal = on_signal};
    trace_init(&bridge->trace);
    trace_init(&bridge->tcp_trace);
    bridge->config = run->config;
    bridge->buses = arena_take(&run->arena, run->config->buses_count, sizeof(*bridge->buses));
    enum err err = failed("the event loop cannot be had", loop_open(&callbacks, BEAT_MS, &bridge->loop));
    if (err == ERR_OK)
        err = failed("the inbox cannot be had", inbox_open(loop_ring, bridge->loop, &bridge->inbox));
    if (err == ERR_OK)
        err = open_record(run, options);
    if (err == ERR_OK)
        err = open_store(run, state_dir);
    if (err == ERR_OK)
        err = failed("the uplinks cannot be had", open_mqtt(run));
    if (err != ERR_OK)
        return err;
    bridge->engine = engine_create(run->config, &run->image.series, &run->arena, &bridge->trace);
    struct event start = {.kind = EVENT_START, .start = {.start = run->start, .seed = run->seed, .image = &run->image}};
    bridge_step(bridge, &start);
    for (uint16_t i = 0; i < run->config->buses_count && err == ERR_OK; i++)
        err = failed(run->config->buses[i].name, open_bus(run, i));
    if (err == ERR_OK)
        open_socket(run, state_dir);
    return err;
}

static void close_all(struct run *run) {
    struct bridge *bridge = &run->bridge;
    close_buses(run);
    if (bridge->inbox)
        inbox_shut(bridge->inbox);
    socket_close(bridge->socket);
    mqtt_close(bridge->mqtt);
    store_close(bridge->store);
    record_close(bridge->record); /* it may still have something to say, and the inbox rings the loop */
    bridge->record = NULL;
    loop_close(bridge->loop);
    inbox_close(bridge->inbox);
}

static uint64_t random_bits(void) {
    uint64_t bits;
    ssize_t got = getrandom(&bits, sizeof(bits), 0);
    CHECK(got == sizeof(bits)); /* up to 256 bytes it never falls short */
    return bits ? bits : 1;
}

int run_gateway(const struct config *config, const char *state_dir) {
    return run_gateway_recorded(config, state_dir, &(struct record_options){.path = NULL});
}

int run_gateway_recorded(const struct config *config, const char *state_dir, const struct record_options *options) {
    struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return 1;
    if (config->clock_by_host)
        now_trust_wall();
    mallopt(M_ARENA_MAX, 2); /* threads here allocate little; an arena for each would only keep memory */
    umask(0027); /* what a gateway keeps is not for everybody on the machine */
    signal(SIGPIPE, SIG_IGN); /* a peer that closed is an error of that write, not the end of the gateway */
    run->config = config;
    run->start = random_bits();
    run->seed = random_bits();
    arena_init(&run->arena);
    enum err err = open_all(run, state_dir, options);
    if (err == ERR_OK)
        loop_run(run->bridge.loop);
    close_all(run);
    arena_done(&run->arena);
    free(run);
    return err == ERR_OK ? 0 : 1;
}
