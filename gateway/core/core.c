/* SPDX-License-Identifier: Apache-2.0 */
/* core_on_polled is the road: what a device said, or that it said nothing, goes from top to bottom through
 *   device state -> alarms -> actions -> entries.
 * Guarantees: a reading reaches every alarm on its point before anything is published; an alarm's event is sealed in the step
 * that changed it; a point of a device that died is told bad once, whatever request would have read it. */
#include "gateway/core/core_parts.h"

#include "base/check.h"
#include "base/text.h"
#include "gateway/core/describe.h"

/* ---- memory ---- */

void core_init(struct core *core, const struct config *config, const struct series_directory *series, struct arena *arena, struct trace *trace,
               struct engine_counters *counters) {
    *core = (struct core){
        .config = config, .trace = trace, .counters = counters, .release_bus = CONFIG_NONE, .readings_due_us = NOW_NEVER, .write_id_next = 1};
    counters->buses = arena_take(arena, config->buses_count ? config->buses_count : 1, sizeof(*counters->buses));
    counters->device_timeouts_us = arena_take(arena, config->devices_count, sizeof(*counters->device_timeouts_us));
    journal_init(&core->journal, arena);
    publisher_init(&core->publisher, config, series, &core->journal, arena);
    core->devices = arena_take(arena, config->devices_count, sizeof(*core->devices));
    core->point_quality = arena_take(arena, config->points_count, sizeof(*core->point_quality));
    core->point_blind = arena_take(arena, config->points_count, sizeof(*core->point_blind));
    for (unsigned i = 0; i < config->devices_count; i++)
        core->devices[i] = (struct core_device){.state = DEVICE_UNKNOWN, .communication = CONFIG_NONE};
    core_actions_init(core, arena);
    core_alarms_init(core, arena);
    core_derive_init(core, arena);
    core_records_init(core, arena);
    core_removed_init(core, arena);
    walk_init(&core->walk, config, arena);
}

void core_describe_alarm(const struct core *core, uint16_t alarm, enum alarm_cause cause, struct alarm_event *ret_event) {
    describe_alarm(core->config, &core->alarms[alarm].alarm, cause, ret_event);
    ret_event->test = core->alarms[alarm].test;
    if (core->by && !ret_event->by[0])
        (void)text_copy(ret_event->by, sizeof(ret_event->by), core->by);
}

const char *core_device_name(const struct core *core, uint16_t device) {
    return device == CONFIG_NONE ? CORE_GATEWAY : core->config->devices[device].spec.name;
}

/* ---- entries ---- */

uint64_t core_seal_event(struct core *core, const struct now *now, enum lane lane, enum entry_kind kind, const struct bytes_writer *body) {
    return core_seal_event_for(core, now, core->uplinks_mask, lane, kind, body);
}

uint64_t core_seal_event_for(struct core *core, const struct now *now, uint16_t uplinks, enum lane lane, enum entry_kind kind,
                             const struct bytes_writer *body) {
    CHECK(!body->full);
    struct entry entry = {.lane = lane,
                          .kind = kind,
                          .uplinks = uplinks,
                          .trusted = now->wall_trusted,
                          .at_ms = now->wall_ms,
                          .body = body->bytes,
                          .body_size = (uint32_t)body->length};
    return journal_seal(&core->journal, &entry);
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

/* ---- the road ---- */

/* Points that no longer answer and were not told so yet; the failed request's own among them. */
static unsigned blind_readings(const struct core *core, const struct polled *polled, unsigned from, struct reading *ret_readings,
                               unsigned *ret_next) {
    const struct config_device *device = &core->config->devices[polled->device];
    unsigned count = 0, i = from;
    for (; i < device->spec.points_count && count < POLLED_POINTS_MAX; i++)
        if (core->point_quality[device->first_point + i] != QUALITY_BAD && !device->spec.points[i].derived)
            ret_readings[count++] = (struct reading){.point = (uint16_t)i,
                                                     .quality = QUALITY_BAD,
                                                     .reason = polled->status == BUS_DISCONNECTED ? REASON_DISCONNECTED : REASON_NO_ANSWER,
                                                     .value = {.kind = VALUE_NONE}};
    *ret_next = i;
    return count;
}

static void take_reading(struct core *core, const struct now *now, uint16_t device, const struct reading *reading, bool extra) {
    core->point_quality[core->config->devices[device].first_point + reading->point] = reading->quality;
    core->counters->readings++;
    core->counters->readings_bad += reading->quality == QUALITY_BAD;
    core_judge_reading(core, now, device, reading, extra);
    core_actions_on_reading(core, now, device, reading);
    core_derive_on_reading(core, device, reading);
}

/* An extra round is looked at and not recorded, unless it brings news: an alarm's state or a value's quality changed. */
static void take_readings(struct core *core, const struct now *now, uint16_t device, const struct reading *readings, unsigned count, bool extra) {
    uint32_t first_point = core->config->devices[device].first_point;
    uint64_t transitions = core->counters->alarm_transitions;
    bool news = !extra;
    for (unsigned i = 0; i < count; i++) {
        news = news || core->point_quality[first_point + readings[i].point] != readings[i].quality;
        take_reading(core, now, device, &readings[i], extra);
        if (!extra)
            count_blind(core, device, &readings[i]);
    }
    if (news || core->counters->alarm_transitions != transitions)
        publisher_on_readings(&core->publisher, now, device, readings, count);
}

/* What is computed from the readings just taken; one device's results go on together. */
static void take_derived(struct core *core, const struct now *now, bool extra) {
    struct reading readings[POLLED_POINTS_MAX];
    unsigned count = 0;
    uint16_t device = CONFIG_NONE, next_device;
    struct reading reading;
    while (core_derive_next(core, now, &next_device, &reading)) {
        if (count && (next_device != device || count == POLLED_POINTS_MAX)) {
            publisher_on_readings(&core->publisher, now, device, readings, count);
            count = 0;
        }
        device = next_device;
        bool news = !extra || core->point_quality[core->config->devices[device].first_point + reading.point] != reading.quality;
        take_reading(core, now, device, &reading, extra);
        if (news)
            readings[count++] = reading;
    }
    if (count)
        publisher_on_readings(&core->publisher, now, device, readings, count);
}

/* The communication alarm: the device is dead, or one of its fire points is blind. */
static void judge_device(struct core *core, const struct now *now, uint16_t device) {
    const struct core_device *slot = &core->devices[device];
    core_judge_truth(core, now, slot->communication, slot->state == DEVICE_DEAD || slot->blind_points);
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
    take_derived(core, now, polled->extra);
    core_judge_composites(core, now);
    if (was_dead && device->state == DEVICE_ONLINE)
        core_actions_on_device_back(core, now, polled->device);
    if (device->state != DEVICE_UNKNOWN)
        judge_device(core, now, polled->device);
    if (polled->holds)
        core->release_bus = polled->bus;
}

void core_on_time(struct core *core, const struct now *now) {
    core_alarms_on_time(core, now);
    core_actions_on_time(core, now);
    core_derive_on_time(core, now);
    core_walk_on_time(core, now);
    core_release_suppressed(core, now);
    core_removed_on_time(core, now);
    core_disk_on_time(core, now);
    publisher_on_time(&core->publisher, now);
}

/* ---- start, stop, clock ---- */

uint64_t core_seal_system(struct core *core, const struct now *now, enum entry_kind kind, const char *what, const char *detail, int64_t offset_ms) {
    struct system_event event = {.offset_ms = offset_ms};
    text_copy(event.what, sizeof(event.what), what);
    text_copy(event.detail, sizeof(event.detail), detail);
    uint8_t bytes[sizeof(event) + 32];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_system(&body, &event);
    return core_seal_event(core, now, LANE_EVENT, kind, &body);
}

void core_on_start(struct core *core, const struct now *now, uint64_t start, const struct store_image *image) {
    journal_start(&core->journal, start, image->next_seq);
    publisher_start(&core->publisher, image->uplink_numbers);
    core->clock_known = true;
    for (unsigned i = 0; i < core->config->uplinks_count; i++) {
        core->uplink_numbers[i] = image->uplink_numbers[i];
        core->uplinks_mask |= (uint16_t)(1u << image->uplink_numbers[i]);
    }
    trace_add(core->trace, now->mono_us, TRACE_INFO, "start gateway=%s devices=%u points=%u alarms=%u uplinks=%u next_seq=%llu",
              core->config->gateway_id, core->config->devices_count, core->config->points_count, core->config->alarms_count,
              core->config->uplinks_count, (unsigned long long)image->next_seq);
    core_records_on_start(core, now, image);
    core_actions_on_start(core, now);
    core_seal_system(core, now, ENTRY_SYSTEM, "started",
                image->absent        ? "the state folder cannot be used: nothing survives a restart"
                : image->quarantined ? "a damaged file was put aside"
                                     : "",
                0);
    if (image->configuration_changed)
        core_seal_system(core, now, ENTRY_SYSTEM, "configuration", core->config->hash, 0);
    core->vitals.settled_us = now->mono_us + CORE_SETTLED_US;
    core_alarms_on_start(core, now);
}

void core_on_stop(struct core *core, const struct now *now) {
    publisher_flush(&core->publisher);
    if (!now->wall_trusted && aside_count(&core->publisher.aside))
        trace_add(core->trace, now->mono_us, TRACE_WARNING, "history loses %llu readings: nobody knows at what time they were taken",
                  (unsigned long long)aside_count(&core->publisher.aside));
    if (core->derived.save_at_us != NOW_NEVER)
        core->derived.save_at_us = now->mono_us; /* memories go with the last run */
    core_seal_system(core, now, ENTRY_SYSTEM, "stopped", "", 0);
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
        core_seal_system(core, now, ENTRY_CLOCK, "clock", now->wall_trusted ? "trusted" : "not trusted", moved_ms);
    }
    bool right = moved && now->wall_trusted && !core->clock.wall_trusted;
    const struct aside *aside = &core->publisher.aside;
    if (right && (aside_count(aside) || aside->lost))
        trace_add(core->trace, now->mono_us, TRACE_INFO, "history takes %llu readings that waited for the time; %llu were too many to wait",
                  (unsigned long long)aside_count(aside), (unsigned long long)aside->lost);
    core->clock = *now;
    if (moved)
        core_alarms_on_clock(core, now);
    return moved;
}

void core_changed_clear(struct core *core) {
    for (unsigned i = 0; i < core->changed_count; i++)
        core->alarms[core->changed[i]].changed = false;
    core->changed_count = 0;
}
