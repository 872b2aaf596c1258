/* SPDX-License-Identifier: Apache-2.0 */
/* One step: the event changes state, then state becomes effects, in the order of urgency:
 *   local writes -> what uplinks send (fire first) -> the store and the history
 * so that a publish never waits for the disk and a relay never for a publish. */
#include "gateway/engine.h"

#include <string.h>

#include "base/check.h"
#include "gateway/uplinks/uplink.h"

struct engine {
    const struct config *config;
    struct trace *trace;
    struct core core;
    struct uplink *uplinks;
    struct engine_counters counters;
    struct now now; /* of the last event */
    bool started, stopping, stopped, ready_due, more;
    bool local_due; /* the answer to a local client waits for room; its next request comes after it */
    uint32_t local_id;
    struct command_reply local_reply;
};

struct engine *engine_create(const struct config *config, const struct series_directory *series, struct arena *arena, struct trace *trace) {
    struct engine *engine = arena_take(arena, 1, sizeof(*engine));
    engine->config = config;
    engine->trace = trace;
    core_init(&engine->core, config, series, arena, trace, &engine->counters);
    engine->uplinks = arena_take(arena, config->uplinks_count, sizeof(*engine->uplinks));
    for (uint16_t i = 0; i < config->uplinks_count; i++)
        uplink_init(&engine->uplinks[i], config, i, &engine->core, series, arena, trace, &engine->counters);
    return engine;
}

static void on_start(struct engine *engine, const struct event *event) {
    CHECK(!engine->started);
    engine->started = engine->ready_due = true;
    core_on_start(&engine->core, &event->now, event->start.start, event->start.image);
    if (event->start.last_words)
        core_on_last_words(&engine->core, &event->now, event->start.last_words, event->start.restarted_for);
    for (unsigned i = 0; i < engine->config->uplinks_count; i++) {
        struct uplink *uplink = &engine->uplinks[i];
        uplink_on_start(uplink, &event->now, event->start.start, event->start.seed, event->start.image);
        for (unsigned lane = 0; lane < LANES_COUNT; lane++)
            journal_watch(&engine->core.journal, event->start.image->uplink_numbers[i], (enum lane)lane, &uplink->flows[lane].cursor);
    }
}

static void on_stop(struct engine *engine, const struct event *event) {
    if (engine->stopping)
        return;
    engine->stopping = true;
    core_on_stop(&engine->core, &event->now);
    for (unsigned i = 0; i < engine->config->uplinks_count; i++)
        uplink_on_stop(&engine->uplinks[i], &event->now);
}

static void on_command(struct engine *engine, const struct event *event) {
    const struct command *command = event->command;
    struct command_reply reply = {.verb = command->verb, .at_ms = event->now.wall_ms};
    memcpy(reply.id, command->id, sizeof(reply.id));
    core_on_command(&engine->core, &event->now, command, &reply.outcome);
    engine->counters.commands.accepted += reply.outcome.ok;
    engine->counters.commands.refused += !reply.outcome.ok;
    if (command->channel == CHANNEL_MQTT) {
        uplink_on_command(&engine->uplinks[command->uplink], &reply);
        return;
    }
    engine->local_due = true;
    engine->local_id = command->socket_id;
    engine->local_reply = reply;
}

static void pump_local(struct engine *engine, struct effects *effects) {
    struct mqtt_json json = {.config = engine->config};
    struct text payload;
    if (!engine->local_due || effects->count == EFFECTS_MAX || !effects_text(effects, &payload, COMMAND_SIZE))
        return;
    mqtt_json_reply_payload(&json, &engine->local_reply, &payload);
    CHECK(!payload.full);
    effects->bytes_used += (uint32_t)payload.length + 1;
    struct effect *effect = effects_add(effects, EFFECT_REPLY);
    effect->reply.socket_id = engine->local_id;
    effect->reply.payload = payload.bytes;
    engine->local_due = false;
}

static void on_acked(struct engine *engine, const struct event *event) {
    struct uplink *uplink = &engine->uplinks[event->acked.uplink];
    uplink->delivered_seq = 0;
    uplink_on_acked(uplink, event);
    if (uplink->delivered_seq)
        core_on_delivered(&engine->core, &event->now, uplink->delivered_seq);
}

static void take_event(struct engine *engine, const struct event *event) {
    const struct now *now = &event->now;
    switch (event->kind) {
    case EVENT_START:
        on_start(engine, event);
        return;
    case EVENT_TICK:
    case EVENT_CLOCK: /* every event shows a moved clock; this one has nothing else to say */
        return;
    case EVENT_POLLED:
        core_on_polled(&engine->core, event->polled);
        return;
    case EVENT_WRITTEN:
        core_on_written(&engine->core, event->written);
        return;
    case EVENT_STORED:
        core_on_stored(&engine->core, event);
        return;
    case EVENT_ROWS:
        uplink_on_rows(&engine->uplinks[event->rows.uplink], event);
        return;
    case EVENT_LINK_UP:
        uplink_on_link_up(&engine->uplinks[event->link_up.uplink], now, event->link_up.receive_max, event->link_up.version);
        return;
    case EVENT_LINK_DOWN:
        uplink_on_link_down(&engine->uplinks[event->link_down.uplink], now, event->link_down.reason, event->link_down.text);
        return;
    case EVENT_ACKED:
        on_acked(engine, event);
        return;
    case EVENT_COMMAND:
        on_command(engine, event);
        return;
    case EVENT_FLOOD:
        uplink_on_flood(&engine->uplinks[event->flood.uplink], now, event->flood.dropped);
        return;
    case EVENT_STOP:
        on_stop(engine, event);
        return;
    case EVENT_DISK:
        core_on_disk(&engine->core, now, event->disk);
        return;
    case EVENT_VITALS:
        core_on_vitals(&engine->core, event);
        return;
    }
}

static void pump(struct engine *engine, const struct now *now, struct effects *effects) {
    if (engine->ready_due) {
        struct effect *effect = effects_add(effects, EFFECT_NOTIFY);
        effect->notify.kind = NOTIFY_READY;
        engine->ready_due = false;
    }
    core_pump_writes(&engine->core, now, effects);
    core_pump_vitals(&engine->core, effects);
    for (unsigned i = 0; i < engine->core.changed_count; i++)
        for (unsigned u = 0; u < engine->config->uplinks_count; u++)
            uplink_on_alarm(&engine->uplinks[u], engine->core.changed[i]);
    core_changed_clear(&engine->core);
    bool closed = true;
    for (unsigned i = 0; i < engine->config->uplinks_count; i++) {
        uplink_pump(&engine->uplinks[i], now, effects);
        closed = closed && engine->uplinks[i].state == UPLINK_CLOSED;
    }
    pump_local(engine, effects);
    core_pump_store(&engine->core, now, effects);
    if (engine->stopping && !engine->stopped && closed && !effects->full && core_settled(&engine->core)) {
        engine->stopped = true;
        effects_add(effects, EFFECT_STOPPED);
    }
}

void engine_step(struct engine *engine, const struct event *event, struct effects *ret_effects) {
    CHECK(event->kind == EVENT_START || engine->started);
    CHECK(event->now.mono_us >= engine->now.mono_us);
    ret_effects->count = 0;
    ret_effects->full = false;
    ret_effects->bytes_used = 0;
    engine->now = event->now;
    if (core_on_clock(&engine->core, &event->now))
        for (unsigned i = 0; i < engine->config->uplinks_count; i++)
            uplink_on_clock(&engine->uplinks[i]);
    take_event(engine, event);
    core_on_time(&engine->core, &event->now);
    pump(engine, &event->now, ret_effects);
    engine->more = ret_effects->full || ret_effects->count == EFFECTS_MAX;
}

int64_t engine_next_wake(const struct engine *engine) {
    if (engine->stopped)
        return NOW_NEVER;
    int64_t wake = engine->more ? engine->now.mono_us : core_next_wake(&engine->core);
    for (unsigned i = 0; i < engine->config->uplinks_count; i++) {
        int64_t uplink_us = uplink_next_wake(&engine->uplinks[i]);
        wake = uplink_us < wake ? uplink_us : wake;
    }
    return wake > engine->now.mono_us ? wake : engine->now.mono_us;
}

void engine_check(const struct engine *engine) {
    core_check(&engine->core);
    for (unsigned i = 0; i < engine->config->uplinks_count; i++)
        uplink_check(&engine->uplinks[i]);
}

const struct engine_counters *engine_counters(const struct engine *engine) {
    return &engine->counters;
}
