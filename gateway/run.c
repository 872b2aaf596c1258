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

#define STOP_US 5000000        /* what could not be saved by then is not saved */

struct run {
    const struct config *config;
    struct arena arena;
    struct bridge bridge;
    struct store_image image;
    struct last_words_before before;
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

static void on_signal(void *context) {
    struct run *run = context;
    if (run->bridge.stopping) {
        loop_stop(run->bridge.loop); /* asked twice */
        return;
    }
    run->stop_at_us = now_mono_us() + STOP_US;
    notify_stopping();
    bridge_buses_close(&run->bridge);
    bridge_drain(&run->bridge);
    run->bridge.stopping = true;
    bridge_step(&run->bridge, &(struct event){.kind = EVENT_STOP});
    bridge_drain(&run->bridge); /* what could wait no longer can */
}

/* The loop is alive, or this would not run; how the rest is, bridge_watch.c looks. */
static void on_beat(void *context) {
    struct run *run = context;
    if (run->bridge.stopping && now_mono_us() >= run->stop_at_us) {
        log_text(TRACE_WARNING, "stopping took longer than %d s: leaving what is not saved", STOP_US / 1000000);
        loop_stop(run->bridge.loop);
        return;
    }
    bridge_drain(&run->bridge); /* what could wait */
    bridge_command_beat(&run->bridge);
    bridge_watch_beat(&run->bridge);
    if (run->bridge.watch.restart && !run->bridge.stopping)
        on_signal(run);
}

/* ---- start-up ---- */

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

/* How the gateway before this one ended, when not in order: the log gets all of it, the event the first two lines. */
static void read_last_words(struct run *run, const char *state_dir) {
    struct last_words_before *before = &run->before;
    last_words_open(state_dir, before);
    size_t length = strlen(before->how), first = strcspn(before->text, "\n");
    for (char *rest = before->text, *line; before->any && (line = strsep(&rest, "\n"));)
        log_text(TRACE_WARNING, "last words: %s", line);
    if (first)
        (void)snprintf(before->how + length, sizeof(before->how) - length, "; %.*s", (int)first, before->text);
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
    bridge->arena = &run->arena;
    bridge->buses = arena_take(&run->arena, run->config->buses_count, sizeof(*bridge->buses));
    enum err err = failed("the event loop cannot be had", loop_open(&callbacks, bridge->watch.pace.beat_ms, &bridge->loop));
    if (err == ERR_OK)
        err = failed("the inbox cannot be had", inbox_open(loop_ring, bridge->loop, &bridge->inbox));
    if (err == ERR_OK)
        err = open_record(run, options);
    if (err == ERR_OK)
        err = open_store(run, state_dir);
    if (err == ERR_OK)
        read_last_words(run, state_dir); /* not before the folder is locked */
    if (err == ERR_OK)
        err = failed("the uplinks cannot be had", open_mqtt(run));
    if (err != ERR_OK)
        return err;
    bridge->engine = engine_create(run->config, &run->image.series, &run->arena, &bridge->trace);
    for (uint16_t i = 0; i < run->config->buses_count && err == ERR_OK; i++)
        err = failed(run->config->buses[i].name, bridge_bus_open(bridge, i));
    if (err != ERR_OK)
        return err;
    struct event start = {.kind = EVENT_START, .start = {.start = run->start, .seed = run->seed, .image = &run->image}};
    start.start.last_words = run->before.any ? run->before.how : NULL;
    start.start.restarted_for = run->before.part[0] ? run->before.part : NULL;
    bridge_step(bridge, &start); /* what local actions hold over the restart is written again before anything is polled */
    for (uint16_t i = 0; i < run->config->buses_count && err == ERR_OK; i++)
        if (bridge->buses[i].rtu)
            err = failed(run->config->buses[i].name, bus_rtu_start(bridge->buses[i].rtu));
    if (err == ERR_OK)
        open_socket(run, state_dir);
    return err;
}

static void close_all(struct run *run) {
    struct bridge *bridge = &run->bridge;
    if (bridge->buses)
        bridge_buses_close(bridge);
    if (bridge->inbox)
        inbox_shut(bridge->inbox);
    socket_close(bridge->socket);
    mqtt_close(bridge->mqtt);
    store_close(bridge->store);
    record_close(bridge->record); /* it may still have something to say, and the inbox rings the loop */
    bridge->record = NULL;
    loop_close(bridge->loop);
    if (!bus_rtu_abandoned())
        inbox_close(bridge->inbox);
}

static uint64_t random_bits(void) {
    uint64_t bits;
    ssize_t got = getrandom(&bits, sizeof(bits), 0);
    CHECK(got == sizeof(bits)); /* up to 256 bytes it never falls short */
    return bits ? bits : 1;
}

static int run_as(const struct config *config, const char *state_dir, const struct bridge_pace *pace, const struct record_options *options) {
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
    run->bridge.watch.pace = *pace;
    enum err err = open_all(run, state_dir, options);
    if (err == ERR_OK) {
        bridge_watch_beat(&run->bridge);
        loop_run(run->bridge.loop);
    }
    int status = err != ERR_OK ? 1 : run->bridge.watch.restart ? RUN_RESTART : 0;
    close_all(run);
    last_words_close(status != 0);
    if (bus_rtu_abandoned())
        return status; /* such a thread may come back at any moment: nothing is freed under it */
    arena_done(&run->arena);
    free(run);
    return status;
}

int run_gateway_at(const struct config *config, const char *state_dir, const struct bridge_pace *pace) {
    return run_as(config, state_dir, pace, &(struct record_options){.path = NULL});
}

int run_gateway_recorded(const struct config *config, const char *state_dir, const struct record_options *options) {
    return run_as(config, state_dir, &bridge_pace_usual, options);
}

int run_gateway(const struct config *config, const char *state_dir) {
    return run_gateway_at(config, state_dir, &bridge_pace_usual);
}
