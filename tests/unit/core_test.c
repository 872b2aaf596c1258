/* SPDX-License-Identifier: Apache-2.0 */
/* The road through the engine where one step meets another: what is told of losses, who writes a relay, restored alarms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core_site.h"
#include "gateway/core/core.h"

struct world {
    struct site site;
    struct arena arena;
    struct trace trace;
    struct core core;
    struct engine_counters counters;
    struct effects effects;
};

static struct world *begin(struct site *(*change)(struct site *)) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    site_init(&world->site);
    if (change)
        change(&world->site);
    arena_init(&world->arena);
    trace_init(&world->trace);
    core_init(&world->core, &world->site.config, &world->site.directory, &world->arena, &world->trace, &world->counters);
    struct now now = site_now(0);
    core_on_clock(&world->core, &now);
    core_on_start(&world->core, &now, 0xAB, &world->site.image);
    return world;
}

static void world_end(struct world *world) {
    core_check(&world->core);
    arena_done(&world->arena);
    free(world);
}

static unsigned pump(struct world *world, int64_t ms, enum effect_kind kind) {
    struct now now = site_now(ms);
    unsigned count = 0;
    world->effects.count = 0;
    world->effects.bytes_used = 0;
    world->effects.full = false;
    core_on_time(&world->core, &now);
    core_pump_writes(&world->core, &now, &world->effects);
    core_pump_store(&world->core, &now, &world->effects);
    for (unsigned i = 0; i < world->effects.count; i++)
        count += world->effects.items[i].kind == kind;
    return count;
}

static void poll(struct world *world, int64_t ms, uint16_t device, double value) {
    struct polled polled = {.device = device, .status = BUS_ANSWERED, .device_state = DEVICE_ONLINE, .now = site_now(ms), .count = 1};
    polled.readings[0] = (struct reading){.point = 0, .value = {.kind = VALUE_NUMBER, .number = value}};
    core_on_polled(&world->core, &polled);
}

static void stored(struct world *world, int64_t ms, enum lane lane, enum lane evicted_lane, uint64_t from, uint64_t to, uint64_t count) {
    for (unsigned i = 0; i < world->effects.count; i++)
        if (world->effects.items[i].kind == EFFECT_STORE && world->effects.items[i].store.lane == lane) {
            struct event event = {.kind = EVENT_STORED, .now = site_now(ms)};
            event.stored.lane = lane;
            event.stored.last_seq = world->effects.items[i].store.last_seq;
            event.stored.evicted_lane = evicted_lane;
            event.stored.evicted.from = from;
            event.stored.evicted.to = to;
            event.stored.evicted.count = count;
            core_on_stored(&world->core, &event);
            return;
        }
    fail_msg("nothing was under way");
}

/* What the store dropped from two lanes is told lane by lane. */
static void test_evictions_are_told_lane_by_lane(void **state) {
    (void)state;
    struct world *world = begin(NULL);
    struct entry entry;
    struct gap_event gap;
    assert_int_equal(pump(world, 0, EFFECT_STORE), 1);
    world->core.gap_due_us = 20000000; /* one gap was told a moment ago: these two wait */
    stored(world, 10, LANE_EVENT, LANE_READING, 100, 200, 50);
    poll(world, 1000, 0, 11);
    poll(world, 1000, 1, 11);
    pump(world, 1000, EFFECT_STORE);
    stored(world, 1010, LANE_EVENT, LANE_EVENT, 30, 40, 5);
    stored(world, 1020, LANE_FIRE, LANE_READING, 201, 300, 20);
    uint64_t seq = world->core.journal.next_seq;
    pump(world, 20000, EFFECT_STORE);
    assert_true(journal_find(&world->core.journal, LANE_EVENT, seq, 2, &entry));
    assert_true(entry.kind == ENTRY_GAP && entry_get_gap(&entry, &gap));
    assert_true(gap.lane == LANE_EVENT && gap.from_seq == 30 && gap.to_seq == 40 && gap.count == 5);
    assert_true(journal_find(&world->core.journal, LANE_EVENT, entry.seq + 1, 2, &entry));
    assert_true(entry.kind == ENTRY_GAP && entry_get_gap(&entry, &gap));
    assert_true(gap.lane == LANE_READING && gap.from_seq == 100 && gap.to_seq == 300 && gap.count == 70);
    assert_false(journal_find(&world->core.journal, LANE_EVENT, entry.seq + 1, 2, &entry));
    assert_true(world->counters.evicted[LANE_READING] == 70 && world->counters.evicted[LANE_EVENT] == 5);
    world_end(world);
}

/* The clock may be set between the start and the very next event. */
static void test_clock_set_right_after_the_start(void **state) {
    (void)state;
    struct world *world = begin(NULL);
    struct now now = site_now(1);
    struct entry entry;
    uint64_t seq = world->core.journal.next_seq;
    now.wall_ms += 3600000;
    core_on_clock(&world->core, &now);
    assert_true(journal_find(&world->core.journal, LANE_EVENT, seq, 2, &entry));
    assert_int_equal(entry.kind, ENTRY_CLOCK);
    world_end(world);
}

static void test_records_find_their_alarms(void **state) {
    (void)state;
    struct alarm alarm;
    static uint8_t bytes[SITE_ALARMS][ALARM_RECORD_SIZE];
    struct store_record stored[SITE_ALARMS + 1];
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    site_init(&world->site);
    world->site.config.alarms_count = SITE_ALARMS;
    for (unsigned i = 0; i < SITE_ALARMS; i++) { /* each with a time of its own, stored in another order */
        unsigned k = (i * 7 + 3) % SITE_ALARMS;
        const struct config_alarm *rule = &world->site.alarms[k];
        alarm_init(&alarm, rule);
        alarm.at_ms = 1000 + k;
        stored[i] = (struct store_record){.owner = world->site.devices[rule->device].spec.name, .name = rule->name, .bytes = bytes[i]};
        stored[i].size = alarm_record_put(&alarm, bytes[i]);
    }
    stored[SITE_ALARMS] = (struct store_record){.owner = "device-0", .name = "removed", .bytes = bytes[0], .size = 1};
    world->site.image.records = stored;
    world->site.image.records_count = SITE_ALARMS + 1;
    arena_init(&world->arena);
    trace_init(&world->trace);
    core_init(&world->core, &world->site.config, &world->site.directory, &world->arena, &world->trace, &world->counters);
    struct now now = site_now(0);
    core_on_start(&world->core, &now, 0xAB, &world->site.image);
    for (unsigned i = 0; i < SITE_ALARMS; i++)
        assert_int_equal(world->core.alarms[i].alarm.at_ms, 1000 + i);
    world_end(world);
}

static uint64_t poll_extra(struct world *world, int64_t ms, uint16_t device, double value, enum quality quality) {
    struct polled polled = {.device = device, .status = BUS_ANSWERED, .device_state = DEVICE_ONLINE, .extra = true, .now = site_now(ms), .count = 1};
    polled.readings[0] = (struct reading){.point = 0, .quality = (uint8_t)quality, .value = {.kind = VALUE_NUMBER, .number = value}};
    uint64_t seq = world->core.journal.next_seq;
    core_on_polled(&world->core, &polled);
    return world->core.journal.next_seq - seq;
}

static struct site *with_agreement(struct site *site) {
    site->alarms[1].of_n = 2;
    site->alarms[1].of_m = 3;
    return site;
}

/* What is read in spare line time is published only when it brings news, but raises alarms at once. */
static void test_extra_rounds_are_only_news(void **state) {
    (void)state;
    struct world *world = begin(with_agreement);
    poll(world, 1000, 0, 5);
    assert_int_equal(poll_extra(world, 1200, 0, 6, QUALITY_GOOD), 0);
    assert_int_equal(poll_extra(world, 1400, 0, 7, QUALITY_BAD), 1); /* the reading */
    assert_int_equal(poll_extra(world, 1600, 0, 7, QUALITY_BAD), 0);
    assert_int_equal(poll_extra(world, 1800, 0, 7, QUALITY_GOOD), 1);
    assert_int_equal(poll_extra(world, 1900, 0, 11, QUALITY_GOOD), 3); /* the alarm, its problem and the reading */
    assert_int_equal(world->core.alarms[0].alarm.state, ALARM_UNACKNOWLEDGED);
    poll(world, 2000, 1, 5);
    for (int i = 0; i < 5; i++) /* two of three readings of the period */
        assert_int_equal(poll_extra(world, 2100 + i, 1, 11, QUALITY_GOOD), 0);
    assert_int_equal(world->core.alarms[1].alarm.state, ALARM_NORMAL);
    poll(world, 3000, 1, 11);
    poll(world, 4000, 1, 11);
    assert_int_equal(world->core.alarms[1].alarm.state, ALARM_UNACKNOWLEDGED);
    world_end(world);
}

static void test_each_bus_is_counted(void **state) {
    (void)state;
    struct world *world = begin(NULL);
    struct polled polled = {.status = BUS_ANSWERED, .device_state = DEVICE_ONLINE, .now = site_now(1000), .timeout_us = 60000};
    const struct bus_counters *bus = &world->counters.buses[0];
    core_on_polled(&world->core, &polled);
    polled.extra = true;
    core_on_polled(&world->core, &polled);
    polled = (struct polled){.device = 1, .status = BUS_TIMEOUT, .device_state = DEVICE_DEAD, .now = site_now(1100), .timeout_us = 500000};
    core_on_polled(&world->core, &polled);
    assert_true(bus->polls == 3 && bus->extras == 1 && bus->timeouts == 1 && bus->devices_dead == 1 && bus->timeout_max_us == 500000);
    polled = (struct polled){
        .device = 1, .status = BUS_ANSWERED, .exception = 2, .device_state = DEVICE_ONLINE, .now = site_now(1200), .timeout_us = 50000};
    core_on_polled(&world->core, &polled);
    assert_true(bus->exceptions == 1 && bus->devices_dead == 0 && bus->timeout_max_us == 60000);
    world_end(world);
}

static struct site *with_delays(struct site *site) {
    site->alarms[0].on_delay_ms = 5000;
    site->alarms[1].of_n = 2;
    site->alarms[1].of_m = 3;
    site->alarms[2].condition = CONDITION_COMMUNICATION;
    return site;
}

/* Whether this alarm is told as changed since the last call; what is told is judged. */
static bool told_now(struct world *world, uint16_t alarm) {
    bool changed = false;
    for (unsigned i = 0; i < world->core.changed_count; i++)
        changed = changed || world->core.changed[i] == alarm;
    core_changed_clear(&world->core);
    assert_true(!changed || world->core.alarms[alarm].judged);
    return changed;
}

/* Until it is, "normal" is not told. */
static void test_judged_by_evidence(void **state) {
    (void)state;
    struct world *world = begin(with_delays);
    for (uint16_t i = 0; i < world->site.config.alarms_count; i++)
        assert_false(world->core.alarms[i].judged);
    (void)poll_extra(world, 100, 0, 5, QUALITY_BAD);
    assert_false(told_now(world, 0));
    poll(world, 1000, 0, 11); /* speaks for the alarm while its delay runs: "normal" would be wrong */
    assert_false(told_now(world, 0));
    assert_int_equal(world->core.alarms[0].alarm.state, ALARM_NORMAL);
    poll(world, 2000, 0, 5);
    assert_true(told_now(world, 0));
    poll(world, 3000, 0, 5);
    assert_false(told_now(world, 0)); /* told once */
    assert_true(world->core.alarms[0].judged);

    (void)poll_extra(world, 1000, 1, 5, QUALITY_GOOD); /* beside the period, an alarm that wants agreement hears nothing */
    assert_false(told_now(world, 1));
    poll(world, 2000, 1, 11); /* one of the two it wants */
    assert_false(told_now(world, 1));
    poll(world, 3000, 1, 11);
    assert_true(told_now(world, 1)); /* raised */
    assert_int_equal(world->core.alarms[1].alarm.state, ALARM_UNACKNOWLEDGED);

    struct polled polled = {.device = 2, .status = BUS_TIMEOUT, .device_state = DEVICE_UNKNOWN, .now = site_now(1000)};
    core_on_polled(&world->core, &polled);
    assert_false(told_now(world, 2)); /* one timeout decides nothing */
    polled.device_state = DEVICE_ONLINE;
    polled.status = BUS_ANSWERED;
    core_on_polled(&world->core, &polled);
    assert_true(told_now(world, 2));
    assert_false(world->core.alarms[3].judged); /* nobody asked */
    world_end(world);
}

/* What was restored is told as it is; its first reading tells nothing new, and what a person does is told without a reading. */
static void test_restored_is_judged_without_a_word(void **state) {
    (void)state;
    static uint8_t bytes[2][ALARM_RECORD_SIZE];
    struct store_record stored[2];
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    site_init(&world->site);
    static const enum alarm_state states[] = {ALARM_ACKNOWLEDGED, ALARM_RETURNED};
    for (unsigned i = 0; i < 2; i++) {
        struct alarm alarm;
        alarm_init(&alarm, &world->site.alarms[i]);
        alarm.state = states[i];
        alarm.occurrence_start = alarm.occurrence_seq = 1;
        stored[i] = (struct store_record){
            .owner = world->site.devices[world->site.alarms[i].device].spec.name, .name = world->site.alarms[i].name, .bytes = bytes[i]};
        stored[i].size = alarm_record_put(&alarm, bytes[i]);
    }
    world->site.image.records = stored;
    world->site.image.records_count = 2;
    arena_init(&world->arena);
    trace_init(&world->trace);
    core_init(&world->core, &world->site.config, &world->site.directory, &world->arena, &world->trace, &world->counters);
    struct now now = site_now(0);
    core_on_start(&world->core, &now, 0xAB, &world->site.image);
    poll(world, 1000, 0, 11);
    assert_false(told_now(world, 0));
    assert_true(world->core.alarms[0].judged);
    poll(world, 2000, 0, 5);
    assert_true(told_now(world, 0)); /* returned */
    assert_int_equal(world->core.alarms[0].alarm.state, ALARM_NORMAL);

    struct command command = {.verb = COMMAND_ACKNOWLEDGE,
                              .channel = CHANNEL_SOCKET,
                              .id = "c-1",
                              .by = "W",
                              .device = "device-1",
                              .alarm = "alarm-1",
                              .issued_ms = now.wall_ms,
                              .expires_ms = now.wall_ms + 1000,
                              .fields = FIELD_DEVICE | FIELD_ALARM};
    struct command_outcome outcome;
    core_on_command(&world->core, &now, &command, &outcome);
    assert_true(outcome.ok);
    assert_true(told_now(world, 1));
    assert_int_equal(world->core.alarms[1].alarm.state, ALARM_NORMAL);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evictions_are_told_lane_by_lane),
        cmocka_unit_test(test_clock_set_right_after_the_start),   cmocka_unit_test(test_records_find_their_alarms),
        cmocka_unit_test(test_extra_rounds_are_only_news),        cmocka_unit_test(test_judged_by_evidence),
        cmocka_unit_test(test_restored_is_judged_without_a_word), cmocka_unit_test(test_each_bus_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
