/* SPDX-License-Identifier: Apache-2.0 */
/* Local actions on the road: an alarm makes a point be written, readings of the point are compared with what is wanted, and what
 * cannot be carried out is an alarm of its own. Writes by command go the same way, once. */
#include "base/text.h"
#include "gateway/core/core_parts.h"
#include "gateway/core/describe.h"
#include "sensors/decode.h"

#define TELL_ALL_UP_TO 3 /* what goes on failing is told each time at first, */
#define TELL_EVERY 10    /* then now and then */

static bool worth_telling(uint32_t count) {
    return count <= TELL_ALL_UP_TO || count % TELL_EVERY == 0;
}

static uint64_t tell(struct core *core, const struct now *now, uint16_t index, bool ok, const char *why) {
    struct action *action = &core->actions[index];
    struct action_event event;
    uint8_t bytes[sizeof(event) + 64];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    describe_action(core->config, action->rule, ok, why, action->attempts, &event);
    event.test = core->alarms[action->rule->alarm].test;
    entry_put_action(&body, &event);
    return core_seal_event(core, now, core_alarm_lane(core, action->rule->alarm), ENTRY_ACTION, &body);
}

/* Whether its alarm for failing holds; a first failure, and a write that was not read back yet, say neither. */
static void judge_failing(struct core *core, const struct now *now, uint16_t index) {
    const struct action *action = &core->actions[index];
    bool failing = action_failing(action);
    if (failing || !action_wanted(action) || action->state == ACTION_HELD)
        core_judge_truth(core, now, core->action_alarms[index], failing);
}

/* What is wanted now, as its record says it. The record goes with an event of `alarm`. */
static void after_change(struct core *core, const struct now *now, uint16_t index, uint16_t alarm, uint64_t event_seq) {
    core_record_action(core, index, alarm, event_seq);
    judge_failing(core, now, index);
}

void core_actions_init(struct core *core, struct arena *arena) {
    const struct config *config = core->config;
    core->actions = arena_take(arena, config->actions_count, sizeof(*core->actions));
    core->action_alarms = arena_take(arena, config->actions_count, sizeof(*core->action_alarms));
    core->point_written = arena_take(arena, config->points_count, sizeof(*core->point_written));
    for (unsigned i = 0; i < config->actions_count; i++) {
        action_init(&core->actions[i], &config->actions[i]);
        core->action_alarms[i] = CONFIG_NONE;
        core->point_written[config->devices[config->actions[i].device].first_point + config->actions[i].point] = true;
    }
}

/* ---- wanted and released ---- */

static bool contradicts(const struct config_action *a, const struct config_action *b) {
    return a->device == b->device && a->point == b->point && a->value != b->value;
}

static bool of_fire(const struct core *core, uint16_t action) {
    return core->config->alarms[core->config->actions[action].alarm].class == CLASS_FIRE;
}

/* The action that a fire wants and that stands against this one, which no fire wants; CONFIG_NONE. */
static uint16_t fire_against(const struct core *core, uint16_t index) {
    for (uint16_t i = 0; !of_fire(core, index) && i < core->config->actions_count; i++)
        if (of_fire(core, i) && action_wanted(&core->actions[i]) && contradicts(core->actions[i].rule, core->actions[index].rule))
            return i;
    return CONFIG_NONE;
}

/* Of two actions that want one point differently the one of class fire holds, else the newest wish. What gives way is forgotten in the
 * commit that remembers the winner: after a power cut there are never two. */
static void supersede_others(struct core *core, const struct now *now, uint16_t index) {
    const struct config_action *wanted = core->actions[index].rule;
    for (uint16_t i = 0; i < core->config->actions_count; i++) {
        const struct config_action *other = core->actions[i].rule;
        if (i == index || !contradicts(other, wanted) || !action_release(&core->actions[i]))
            continue;
        trace_add(core->trace, now->mono_us, TRACE_WARNING, "action %s gives way to %s", other->name, wanted->name);
        after_change(core, now, i, wanted->alarm, core->alarms[wanted->alarm].event_seq);
    }
}

/* Whether another action that is wanted already stands against it. */
static bool given_way(const struct core *core, uint16_t index) {
    for (uint16_t i = 0; i < core->config->actions_count; i++)
        if (i != index && action_wanted(&core->actions[i]) && contradicts(core->actions[i].rule, core->actions[index].rule))
            return true;
    return false;
}

void core_actions_on_start(struct core *core, const struct now *now) {
    for (uint16_t i = 0; i < core->config->actions_count; i++)
        if (action_wanted(&core->actions[i]) && given_way(core, i) && fire_against(core, i) == CONFIG_NONE)
            supersede_others(core, now, i); /* the configuration was changed to a contradiction meanwhile */
}

void core_actions_on_restored(struct core *core, const struct now *now, uint16_t alarm) {
    for (uint16_t i = 0; i < core->config->actions_count; i++)
        if (core->config->actions[i].alarm == alarm && !given_way(core, i) && action_want(&core->actions[i]))
            after_change(core, now, i, alarm, core->alarms[alarm].event_seq);
}

void core_actions_on_alarm(struct core *core, const struct now *now, uint16_t alarm) {
    for (uint16_t i = 0; i < core->config->actions_count; i++) {
        if (core->config->actions[i].alarm != alarm)
            continue;
        uint16_t fire = fire_against(core, i);
        if (fire != CONFIG_NONE) {
            trace_add(core->trace, now->mono_us, TRACE_WARNING, "action %s is not made: %s holds the point for a fire", core->actions[i].rule->name,
                      core->actions[fire].rule->name);
            tell(core, now, i, false, "not made: an action of a fire holds this point");
            continue;
        }
        if (!action_want(&core->actions[i]))
            continue;
        core_record_action(core, i, alarm, core->alarms[alarm].event_seq);
        supersede_others(core, now, i);
    }
}

bool core_actions_release(struct core *core, const struct now *now, uint16_t alarm) {
    bool released = false;
    for (uint16_t i = 0; i < core->config->actions_count; i++) {
        if (core->config->actions[i].alarm != alarm || !action_release(&core->actions[i]))
            continue;
        released = true;
        trace_add(core->trace, now->mono_us, TRACE_WARNING, "action %s released", core->actions[i].rule->name);
        after_change(core, now, i, alarm, tell(core, now, i, true, "released"));
    }
    return released;
}

/* ---- what came of it ---- */

static void on_news(struct core *core, const struct now *now, uint16_t index, enum action_news news) {
    struct action *action = &core->actions[index];
    const char *why = news == ACTION_UNDONE ? "it reads back otherwise; it is written again" : "it could not be read back; it is written again";
    if (news == ACTION_SAME)
        return;
    bool done = news == ACTION_DONE;
    trace_add(core->trace, now->mono_us, done ? TRACE_INFO : TRACE_ERROR, "action %s %s attempt=%u%s%s", action->rule->name,
              done ? "held" : "undone", action->attempts, done ? "" : " why=", done ? "" : why);
    uint64_t event_seq = RECORDS_NO_EVENT;
    if (done || worth_telling(action->undone + action->attempts))
        event_seq = tell(core, now, index, done, done ? "" : why);
    after_change(core, now, index, action->rule->alarm, event_seq);
}

static bool manual_written(struct core *core, const struct written *written) {
    for (unsigned i = 0; i < MANUAL_WRITES_MAX; i++) {
        struct core_manual *manual = &core->manual[i];
        if (!manual->used || !manual->handed || manual->write_id != written->id)
            continue;
        struct config_action rule = {.name = "", .alarm = CONFIG_NONE, .device = manual->device, .point = manual->point, .value = manual->value};
        struct action_event event;
        char why[EVENT_TEXT_SIZE];
        uint8_t bytes[sizeof(event) + 64];
        struct bytes_writer body;
        bytes_writer_init(&body, bytes, sizeof(bytes));
        describe_written(core->config, written, why);
        describe_action(core->config, &rule, written->ok, why, 1, &event);
        (void)text_copy(event.by, sizeof(event.by), manual->by);
        entry_put_action(&body, &event);
        core_seal_event(core, &written->now, LANE_EVENT, ENTRY_ACTION, &body);
        trace_add(core->trace, written->now.mono_us, written->ok ? TRACE_INFO : TRACE_ERROR, "write %s/%s %s by=%s", event.device, event.point,
                  written->ok ? "done" : "failed", manual->by);
        manual->used = false;
        return true;
    }
    return false;
}

void core_on_written(struct core *core, const struct written *written) {
    const struct now *now = &written->now;
    if (manual_written(core, written))
        return;
    for (uint16_t i = 0; i < core->config->actions_count; i++) {
        struct action *action = &core->actions[i];
        if (action->state != ACTION_WRITING || action->write_id != written->id)
            continue;
        bool readable = config_point(core->config, action->rule->device, action->rule->point)->verify;
        on_news(core, now, i, action_on_written(action, now, written->ok, readable));
        if (action->state == ACTION_RETRYING) { /* not when it was released meanwhile: nobody waits for this write then */
            char why[EVENT_TEXT_SIZE];
            describe_written(core->config, written, why);
            trace_add(core->trace, now->mono_us, TRACE_ERROR, "action %s failed attempt=%u why=%s", action->rule->name, action->attempts, why);
            if (worth_telling(action->attempts))
                tell(core, now, i, false, why);
        }
        judge_failing(core, now, i);
        return;
    }
}

void core_actions_on_reading(struct core *core, const struct now *now, uint16_t device, const struct reading *reading) {
    double number;
    if (!core->point_written[core->config->devices[device].first_point + reading->point] || reading->quality != QUALITY_GOOD ||
        !value_number(&reading->value, &number))
        return;
    for (uint16_t i = 0; i < core->config->actions_count; i++)
        if (core->config->actions[i].device == device && core->config->actions[i].point == reading->point)
            on_news(core, now, i, action_on_reading(&core->actions[i], now, number));
}

void core_actions_on_device_back(struct core *core, const struct now *now, uint16_t device) {
    for (uint16_t i = 0; i < core->config->actions_count; i++)
        if (core->config->actions[i].device == device)
            action_on_device_back(&core->actions[i], now); /* core_actions_on_time makes it due within this step */
}

void core_actions_on_time(struct core *core, const struct now *now) {
    for (uint16_t i = 0; i < core->config->actions_count; i++)
        on_news(core, now, i, action_on_time(&core->actions[i], now));
}

/* ---- by command ---- */

bool core_manual_write(struct core *core, uint16_t device, uint16_t point, double value, const char *by, const char **ret_why) {
    for (uint16_t i = 0; i < core->config->actions_count; i++) {
        const struct action *action = &core->actions[i];
        if (action_wanted(action) && action->rule->device == device && action->rule->point == point && action->rule->value != value) {
            *ret_why = "a local action holds this point: reset its alarm first";
            return false;
        }
    }
    for (unsigned i = 0; i < MANUAL_WRITES_MAX; i++) {
        struct core_manual *manual = &core->manual[i];
        if (manual->used)
            continue;
        *manual = (struct core_manual){.used = true, .device = device, .point = point, .value = value};
        (void)text_copy(manual->by, sizeof(manual->by), by);
        return true;
    }
    *ret_why = "too many writes are under way; try again in a moment";
    return false;
}

/* ---- effects ---- */

static bool hand(struct core *core, struct effects *effects, uint16_t device, uint16_t point, double value, uint32_t *ret_id) {
    struct effect *effect = effects_add(effects, EFFECT_WRITE);
    if (!effect)
        return false;
    *ret_id = core->write_id_next++;
    effect->write.bus = core->config->devices[device].bus;
    effect->write.command = (struct write_command){.id = *ret_id, .device = device, .point = point, .value = value};
    return true;
}

void core_pump_actions(struct core *core, const struct now *now, struct effects *effects) {
    uint32_t id;
    for (uint16_t i = 0; i < core->config->actions_count; i++) {
        struct action *action = &core->actions[i];
        if (action->state != ACTION_DUE)
            continue;
        if (!hand(core, effects, action->rule->device, action->rule->point, action->rule->value, &id))
            return;
        action_on_handed(action, id);
        trace_add(core->trace, now->mono_us, TRACE_WARNING, "action %s writes %s/%s attempt=%u", action->rule->name,
                  core_device_name(core, action->rule->device), config_point(core->config, action->rule->device, action->rule->point)->name,
                  action->attempts);
    }
    for (unsigned i = 0; i < MANUAL_WRITES_MAX; i++) {
        struct core_manual *manual = &core->manual[i];
        if (manual->used && !manual->handed && hand(core, effects, manual->device, manual->point, manual->value, &manual->write_id))
            manual->handed = true;
    }
}

int64_t core_actions_next_wake(const struct core *core) {
    int64_t wake_us = NOW_NEVER;
    for (uint16_t i = 0; i < core->config->actions_count; i++) {
        int64_t action_us = action_next_wake(&core->actions[i]);
        wake_us = action_us < wake_us ? action_us : wake_us;
    }
    for (unsigned i = 0; i < MANUAL_WRITES_MAX; i++)
        if (core->manual[i].used && !core->manual[i].handed)
            return 0;
    return wake_us;
}
