/* SPDX-License-Identifier: Apache-2.0 */
/* core_on_polled is the road: what a device said, or that it said nothing, goes from top to bottom through
 *   device state -> alarms -> actions -> entries.
 * Guarantees: a reading reaches every alarm on its point before anything is published; an alarm's event is sealed in the step
 * that changed it; a point of a device that died is told bad once, whatever request would have read it. */
#include "gateway/core/core.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "gateway/core/describe.h"

/* ---- memory ---- */

/* Point -> alarms as one array of runs, so that a reading finds its alarms without a search. */
static void index_alarms(struct core *core, struct arena *arena) {
    const struct config *config = core->config;
    core->point_alarms_first = arena_take(arena, config->points_count + 1, sizeof(*core->point_alarms_first));
    core->point_alarms = arena_take(arena, config->alarms_count, sizeof(*core->point_alarms));
    for (unsigned i = 0; i < config->alarms_count; i++)
        if (config->alarms[i].point != CONFIG_NONE)
            core->point_alarms_first[config->devices[config->alarms[i].device].first_point + config->alarms[i].point + 1]++;
    for (uint32_t p = 0; p < config->points_count; p++)
        core->point_alarms_first[p + 1] += core->point_alarms_first[p];
    uint32_t *filled = arena_take(arena, config->points_count, sizeof(*filled));
    for (uint16_t i = 0; i < config->alarms_count; i++) {
        const struct config_alarm *rule = &config->alarms[i];
        if (rule->condition == CONDITION_COMMUNICATION)
            core->devices[rule->device].communication = i;
        if (rule->point == CONFIG_NONE)
            continue;
        uint32_t point = config->devices[rule->device].first_point + rule->point;
        core->point_alarms[core->point_alarms_first[point] + filled[point]++] = i;
    }
}

static int compare_names(const void *a, const void *b, void *context) {
    const struct config *config = context;
    const struct config_alarm *first = &config->alarms[*(const uint16_t *)a], *second = &config->alarms[*(const uint16_t *)b];
    int order = strcmp(config->devices[first->device].spec.name, config->devices[second->device].spec.name);
    return order ? order : strcmp(first->name, second->name);
}

static void sort_alarms(struct core *core, struct arena *arena) {
    core->alarms_by_name = arena_take(arena, core->config->alarms_count, sizeof(*core->alarms_by_name));
    for (uint16_t i = 0; i < core->config->alarms_count; i++)
        core->alarms_by_name[i] = i;
    qsort_r(core->alarms_by_name, core->config->alarms_count, sizeof(*core->alarms_by_name), compare_names, (void *)core->config);
}

void core_init(struct core *core, const struct config *config, const struct series_directory *series, struct arena *arena, struct trace *trace,
               struct engine_counters *counters) {
    *core = (struct core){
        .config = config, .trace = trace, .counters = counters, .release_bus = CONFIG_NONE, .readings_due_us = NOW_NEVER, .write_id_next = 1};
    counters->buses = arena_take(arena, config->buses_count ? config->buses_count : 1, sizeof(*counters->buses));
    counters->device_timeouts_us = arena_take(arena, config->devices_count, sizeof(*counters->device_timeouts_us));
    journal_init(&core->journal, arena);
    publisher_init(&core->publisher, config, series, &core->journal, arena);
    core->alarms = arena_take(arena, config->alarms_count, sizeof(*core->alarms));
    core->changed = arena_take(arena, config->alarms_count, sizeof(*core->changed));
    core->saves = arena_take(arena, config->alarms_count, sizeof(*core->saves));
    core->actions = arena_take(arena, config->actions_count, sizeof(*core->actions));
    core->devices = arena_take(arena, config->devices_count, sizeof(*core->devices));
    core->point_quality = arena_take(arena, config->points_count, sizeof(*core->point_quality));
    core->point_blind = arena_take(arena, config->points_count, sizeof(*core->point_blind));
    heap_init(&core->alarm_deadlines, config->alarms_count, arena);
    for (unsigned i = 0; i < config->alarms_count; i++) {
        alarm_init(&core->alarms[i].alarm, &config->alarms[i]);
        core->fire_alarms_count += config->alarms[i].class == CLASS_FIRE;
    }
    for (unsigned i = 0; i < config->actions_count; i++)
        action_init(&core->actions[i], &config->actions[i]);
    for (unsigned i = 0; i < config->devices_count; i++)
        core->devices[i] = (struct core_device){.state = DEVICE_UNKNOWN, .communication = CONFIG_NONE};
    index_alarms(core, arena);
    sort_alarms(core, arena);
}

void core_describe_alarm(const struct core *core, uint16_t alarm, enum alarm_cause cause, struct alarm_event *ret_event) {
    describe_alarm(core->config, &core->alarms[alarm].alarm, cause, ret_event);
}

/* ---- alarms ---- */

static enum lane alarm_lane(const struct core *core, uint16_t alarm) {
    return core->config->alarms[alarm].class == CLASS_FIRE ? LANE_FIRE : LANE_EVENT;
}

static void alarm_rearm(struct core *core, uint16_t alarm) {
    heap_set(&core->alarm_deadlines, alarm, alarm_next_wake(&core->alarms[alarm].alarm));
}

uint64_t core_seal_event(struct core *core, const struct now *now, enum lane lane, enum entry_kind kind, const struct bytes_writer *body) {
    CHECK(!body->full);
    struct entry entry = {.lane = lane,
                          .kind = kind,
                          .uplinks = core->uplinks_mask,
                          .trusted = now->wall_trusted,
                          .at_ms = now->wall_ms,
                          .body = body->bytes,
                          .body_size = (uint32_t)body->length};
    return journal_seal(&core->journal, &entry);
}

static void seal_alarm(struct core *core, const struct now *now, uint16_t index, enum alarm_cause cause, enum entry_kind kind) {
    uint8_t bytes[sizeof(struct alarm_event) + 64];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    struct core_alarm *slot = &core->alarms[index];
    if (slot->alarm.state != ALARM_NORMAL && !slot->alarm.occurrence_seq) { /* this entry raises it: its id names the occurrence */
        slot->alarm.occurrence_start = core->journal.start;
        slot->alarm.occurrence_seq = core->journal.next_seq;
    }
    struct alarm_event event;
    core_describe_alarm(core, index, cause, &event);
    entry_put_alarm(&body, &event);
    slot->event_seq = core_seal_event(core, now, alarm_lane(core, index), kind, &body);
    if (slot->alarm.state == ALARM_NORMAL)
        slot->alarm.occurrence_start = slot->alarm.occurrence_seq = 0;
}

static void mark_changed(struct core *core, uint16_t index) {
    struct core_alarm *slot = &core->alarms[index];
    if (!slot->changed) {
        slot->changed = true;
        core->changed[core->changed_count++] = index;
    }
}

static void count_active(struct core *core, struct core_alarm *slot) {
    bool active = alarm_state_active(slot->alarm.state);
    core->counters->alarms_active += (uint64_t)active - (uint64_t)slot->active;
    slot->active = active;
}

static void alarm_changed(struct core *core, const struct now *now, uint16_t index, enum alarm_cause cause) {
    struct core_alarm *slot = &core->alarms[index];
    const struct config_alarm *rule = slot->alarm.rule;
    char value[64];
    struct text text;
    text_init(&text, value, sizeof(value));
    describe_value(&text, &slot->alarm.value);
    trace_add(core->trace, now->mono_us, rule->class == CLASS_FIRE ? TRACE_WARNING : TRACE_INFO, "alarm %s/%s %s by=%s value=%s",
              core->config->devices[rule->device].spec.name, rule->name, alarm_state_name(slot->alarm.state), alarm_cause_name(cause), value);
    core->counters->alarm_transitions++;
    count_active(core, slot);
    seal_alarm(core, now, index, cause, ENTRY_ALARM);
    if (slot->record != RECORD_CHANGED)
        core->unsaved[alarm_lane(core, index)]++;
    slot->record = RECORD_CHANGED;
    slot->judged = true; /* by a person, too: what its event says, its retained state says */
    mark_changed(core, index);
    for (unsigned i = 0; i < core->config->actions_count; i++)
        if (core->config->actions[i].alarm == index)
            action_on_alarm(&core->actions[i], cause == CAUSE_CONDITION, slot->alarm.state == ALARM_NORMAL); /* taking it writes nothing */
}

/* Evidence since start makes "normal" more than an assumption, and only then is it told. A reading that speaks for the alarm,
 * while a delay runs or more of them are wanted, is no such evidence. */
static void mark_judged(struct core *core, uint16_t index) {
    struct core_alarm *slot = &core->alarms[index];
    bool normal = slot->alarm.state == ALARM_NORMAL;
    if (slot->judged || (normal && (slot->alarm.waiting || (slot->alarm.history & 1))))
        return;
    slot->judged = true;
    if (normal) /* any other state was told already */
        mark_changed(core, index);
}

/* `extra`: read beside the point's period. An alarm that wants several readings in agreement means those of the period. */
static void judge_reading(struct core *core, const struct now *now, uint16_t device, const struct reading *reading, bool extra) {
    uint32_t point = core->config->devices[device].first_point + reading->point;
    core->point_quality[point] = reading->quality;
    core->counters->readings++;
    core->counters->readings_bad += reading->quality == QUALITY_BAD;
    for (uint32_t i = core->point_alarms_first[point]; i < core->point_alarms_first[point + 1]; i++) {
        uint16_t index = core->point_alarms[i];
        enum alarm_cause cause;
        if (extra && core->alarms[index].alarm.rule->of_m > 1)
            continue;
        if (reading->quality != QUALITY_GOOD)
            alarm_on_blind(&core->alarms[index].alarm, now);
        else if (alarm_on_value(&core->alarms[index].alarm, now, &reading->value, &cause))
            alarm_changed(core, now, index, cause);
        if (reading->quality == QUALITY_GOOD)
            mark_judged(core, index);
        alarm_rearm(core, index);
    }
}

/* A detector that answers but says nothing usable is as blind as one that is silent. */
static void count_blind(struct core *core, uint16_t device, const struct reading *reading) {
    if (config_point(core->config, device, reading->point)->class != CLASS_FIRE)
        return;
    uint8_t *blind = &core->point_blind[core->config->devices[device].first_point + reading->point];
    if (reading->quality == QUALITY_GOOD) {
        core->devices[device].blind_points -= *blind == DEVICE_MISSES_MAX;
        *blind = 0;
    } else if (*blind < DEVICE_MISSES_MAX && ++*blind == DEVICE_MISSES_MAX) {
        core->devices[device].blind_points++;
    }
}

/* The communication alarm: the device is dead, or one of its fire points is blind. */
static void judge_device(struct core *core, const struct now *now, uint16_t device) {
    const struct core_device *slot = &core->devices[device];
    bool dead = slot->state == DEVICE_DEAD || slot->blind_points;
    uint16_t index = core->devices[device].communication;
    enum alarm_cause cause;
    if (index == CONFIG_NONE)
        return;
    if (alarm_on_communication(&core->alarms[index].alarm, now, dead, &cause))
        alarm_changed(core, now, index, cause);
    mark_judged(core, index);
    alarm_rearm(core, index);
}

/* ---- the road ---- */

/* Points that no longer answer and were not told so yet; the failed request's own among them. */
static unsigned blind_readings(const struct core *core, const struct polled *polled, unsigned from, struct reading *ret_readings,
                               unsigned *ret_next) {
    const struct config_device *device = &core->config->devices[polled->device];
    unsigned count = 0, i = from;
    for (; i < device->spec.points_count && count < POLLED_POINTS_MAX; i++)
        if (core->point_quality[device->first_point + i] != QUALITY_BAD)
            ret_readings[count++] = (struct reading){.point = (uint16_t)i,
                                                     .quality = QUALITY_BAD,
                                                     .reason = polled->status == BUS_DISCONNECTED ? REASON_DISCONNECTED : REASON_NO_ANSWER,
                                                     .value = {.kind = VALUE_NONE}};
    *ret_next = i;
    return count;
}

/* An extra round is looked at and not recorded, unless it brings news: an alarm's state or a value's quality changed. */
static void take_readings(struct core *core, const struct now *now, uint16_t device, const struct reading *readings, unsigned count, bool extra) {
    uint32_t first_point = core->config->devices[device].first_point;
    uint64_t transitions = core->counters->alarm_transitions;
    bool news = !extra;
    for (unsigned i = 0; i < count; i++) {
        news = news || core->point_quality[first_point + readings[i].point] != readings[i].quality;
        judge_reading(core, now, device, &readings[i], extra);
        if (!extra)
            count_blind(core, device, &readings[i]);
    }
    if (news || core->counters->alarm_transitions != transitions)
        publisher_on_readings(&core->publisher, now, device, readings, count);
}

static void count_poll(struct core *core, const struct polled *polled) {
    struct bus_counters *bus = &core->counters->buses[polled->bus];
    struct core_device *device = &core->devices[polled->device];
    bus->polls++;
    bus->extras += polled->extra;
    bus->adapter_ms = polled->adapter_ms;
    bus->timeouts += polled->status == BUS_TIMEOUT;
    bus->corrupt += polled->status == BUS_CORRUPT;
    bus->disconnected += polled->status == BUS_DISCONNECTED;
    bus->exceptions += polled->exception != 0;
    bus->devices_dead = (uint16_t)(bus->devices_dead + (polled->device_state == DEVICE_DEAD) - (device->state == DEVICE_DEAD));
    int64_t *timeouts_us = core->counters->device_timeouts_us;
    if (polled->timeout_us == timeouts_us[polled->device])
        return;
    timeouts_us[polled->device] = polled->timeout_us; /* seldom */
    bus->timeout_max_us = 0;
    for (uint16_t i = 0; i < core->config->devices_count; i++)
        if (core->config->devices[i].bus == polled->bus && timeouts_us[i] > bus->timeout_max_us)
            bus->timeout_max_us = timeouts_us[i];
}

void core_on_polled(struct core *core, const struct polled *polled) {
    const struct now *now = &polled->now;
    struct core_device *device = &core->devices[polled->device];
    count_poll(core, polled);
    core->counters->polls++;
    core->counters->polls_failed += polled->status != BUS_ANSWERED;
    if (polled->late_us > core->counters->poll_late_max_us)
        core->counters->poll_late_max_us = polled->late_us;
    bool was_dead = device->state == DEVICE_DEAD;
    device->state = polled->device_state;
    if (device->state == DEVICE_DEAD && !was_dead) {
        struct reading readings[POLLED_POINTS_MAX];
        unsigned next = 0;
        while (next < core->config->devices[polled->device].spec.points_count) {
            unsigned count = blind_readings(core, polled, next, readings, &next);
            take_readings(core, now, polled->device, readings, count, false);
        }
    } else if (device->state != DEVICE_DEAD) {
        take_readings(core, now, polled->device, polled->readings, polled->count, polled->extra);
    }
    for (unsigned i = 0; was_dead && device->state == DEVICE_ONLINE && i < core->config->actions_count; i++)
        if (core->config->actions[i].device == polled->device)
            action_on_device_back(&core->actions[i], now); /* core_on_time makes it due within this step */
    if (device->state != DEVICE_UNKNOWN)
        judge_device(core, now, polled->device);
    if (polled->holds)
        core->release_bus = polled->bus;
}

void core_on_written(struct core *core, const struct written *written) {
    for (unsigned i = 0; i < core->config->actions_count; i++) {
        struct action *action = &core->actions[i];
        if (action->state != ACTION_WRITING || action->write_id != written->id)
            continue;
        action_on_written(action, &written->now, written->ok);
        struct action_event event;
        describe_action(core->config, action->rule, written, action->attempts, &event);
        trace_add(core->trace, written->now.mono_us, written->ok ? TRACE_INFO : TRACE_ERROR, "action %s %s attempt=%u%s%s", action->rule->name,
                  written->ok ? "held" : "failed", action->attempts, written->ok ? "" : " why=", event.why);
        if (!written->ok && action->attempts > 3 && action->attempts % 10 != 0)
            return; /* a relay that stays away is told at first and then now and then */
        uint8_t bytes[sizeof(event) + 32];
        struct bytes_writer body;
        bytes_writer_init(&body, bytes, sizeof(bytes));
        entry_put_action(&body, &event);
        core_seal_event(core, &written->now, alarm_lane(core, action->rule->alarm), ENTRY_ACTION, &body);
        return;
    }
}

void core_on_time(struct core *core, const struct now *now) {
    uint32_t item;
    while (heap_take_due(&core->alarm_deadlines, now->mono_us, &item)) {
        enum alarm_cause cause;
        if (alarm_on_time(&core->alarms[item].alarm, now, &cause))
            alarm_changed(core, now, (uint16_t)item, cause);
        alarm_rearm(core, (uint16_t)item);
    }
    for (unsigned i = 0; i < core->config->actions_count; i++)
        action_on_time(&core->actions[i], now);
    publisher_on_time(&core->publisher, now);
}

bool core_acknowledge(struct core *core, const struct now *now, uint16_t alarm, const char **ret_why) {
    if (!alarm_acknowledge(&core->alarms[alarm].alarm, now, ret_why))
        return false;
    alarm_changed(core, now, alarm, CAUSE_ACKNOWLEDGE);
    return true;
}

bool core_reset(struct core *core, const struct now *now, uint16_t alarm, const char **ret_why) {
    if (!alarm_reset(&core->alarms[alarm].alarm, now, ret_why))
        return false;
    alarm_changed(core, now, alarm, CAUSE_RESET);
    return true;
}

/* ---- start, stop, clock ---- */

static void seal_system(struct core *core, const struct now *now, enum entry_kind kind, const char *what, const char *detail, int64_t offset_ms) {
    struct system_event event = {.offset_ms = offset_ms};
    text_copy(event.what, sizeof(event.what), what);
    text_copy(event.detail, sizeof(event.detail), detail);
    uint8_t bytes[sizeof(event) + 32];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_system(&body, &event);
    core_seal_event(core, now, LANE_EVENT, kind, &body);
}

/* The alarm of these names, or CONFIG_NONE. */
static uint16_t find_alarm(const struct core *core, const char *device, const char *alarm) {
    uint32_t low = 0, high = core->config->alarms_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct config_alarm *rule = &core->config->alarms[core->alarms_by_name[middle]];
        int order = strcmp(core->config->devices[rule->device].spec.name, device);
        if (!order)
            order = strcmp(rule->name, alarm);
        if (!order)
            return core->alarms_by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return CONFIG_NONE;
}

static void restore_record(struct core *core, const struct store_record *stored) {
    uint16_t index = find_alarm(core, stored->owner, stored->name);
    if (index == CONFIG_NONE)
        trace_add(core->trace, core->clock.mono_us, TRACE_WARNING, "alarm %s/%s is no longer configured: its record is left alone", stored->owner,
                  stored->name);
    else if (!alarm_record_get(&core->alarms[index].alarm, stored->bytes, stored->size))
        trace_add(core->trace, core->clock.mono_us, TRACE_ERROR, "alarm %s/%s has a damaged record: it starts as normal and is judged anew",
                  stored->owner, stored->name);
}

void core_on_start(struct core *core, const struct now *now, uint64_t start, const struct store_image *image) {
    journal_start(&core->journal, start, image->next_seq);
    publisher_start(&core->publisher, image->uplink_numbers);
    core->clock_known = true;
    for (unsigned i = 0; i < core->config->uplinks_count; i++)
        core->uplinks_mask |= (uint16_t)(1u << image->uplink_numbers[i]);
    trace_add(core->trace, now->mono_us, TRACE_INFO, "start gateway=%s devices=%u points=%u alarms=%u uplinks=%u next_seq=%llu",
              core->config->gateway_id, core->config->devices_count, core->config->points_count, core->config->alarms_count,
              core->config->uplinks_count, (unsigned long long)image->next_seq);
    for (uint32_t i = 0; i < image->records_count; i++)
        restore_record(core, &image->records[i]);
    seal_system(core, now, ENTRY_SYSTEM, "started",
                image->absent        ? "the state folder cannot be used: nothing survives a restart"
                : image->quarantined ? "a damaged file was put aside"
                                     : "",
                0);
    if (image->configuration_changed)
        seal_system(core, now, ENTRY_SYSTEM, "configuration", core->config->hash, 0);
    for (uint16_t i = 0; i < core->config->alarms_count; i++) {
        const struct alarm *alarm = &core->alarms[i].alarm;
        if (alarm->state == ALARM_NORMAL)
            continue;
        trace_add(core->trace, now->mono_us, TRACE_INFO, "alarm %s/%s restored %s", core->config->devices[alarm->rule->device].spec.name,
                  alarm->rule->name, alarm_state_name(alarm->state));
        seal_alarm(core, now, i, CAUSE_RESTORED, ENTRY_ROSTER);
        count_active(core, &core->alarms[i]);
        for (unsigned k = 0; k < core->config->actions_count; k++) /* held until reset: a relay may have lost it meanwhile */
            if (core->config->actions[k].alarm == i)
                action_on_alarm(&core->actions[k], true, false);
    }
}

void core_on_stop(struct core *core, const struct now *now) {
    publisher_flush(&core->publisher);
    seal_system(core, now, ENTRY_SYSTEM, "stopped", "", 0);
    core->readings_due_us = core->gap_due_us = now->mono_us;
    core->stopping = true;
    trace_add(core->trace, now->mono_us, TRACE_INFO, "stopping");
}

bool core_on_clock(struct core *core, const struct now *now) {
    int64_t moved_ms = (now->wall_ms - core->clock.wall_ms) - (now->mono_us - core->clock.mono_us) / 1000;
    bool jumped = moved_ms > CORE_CLOCK_JUMP_MS || moved_ms < -CORE_CLOCK_JUMP_MS;
    bool moved = core->clock_known && (jumped || now->wall_trusted != core->clock.wall_trusted);
    if (moved) {
        trace_add(core->trace, now->mono_us, TRACE_WARNING, "clock moved by=%lldms trusted=%s", (long long)moved_ms,
                  now->wall_trusted ? "yes" : "no");
        seal_system(core, now, ENTRY_CLOCK, "clock", now->wall_trusted ? "trusted" : "not trusted", moved_ms);
    }
    core->clock = *now;
    return moved;
}

void core_changed_clear(struct core *core) {
    for (unsigned i = 0; i < core->changed_count; i++)
        core->alarms[core->changed[i]].changed = false;
    core->changed_count = 0;
}
