/* SPDX-License-Identifier: Apache-2.0 */
/* A part of the gateway that is stuck, as subscribers and people see it: an alarm like any other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core_rig.h"
#include "gateway/uplinks/mqtt_json.h"
#include "uplink_rig.h"

#define S INT64_C(1000000)

enum { BUS, STORE, BACKLOG, CONTROL, PUMP, LINK, PARTS }; /* of the small site */

static int64_t busy[PARTS];
static const struct event vitals = {.kind = EVENT_VITALS, .vitals = {.busy_us = busy, .bounds = vitals_bounds_usual, .may_restart = true}};

static void reset(void) {
    memset(busy, 0, sizeof(busy));
}

static void link_vitals(struct world *world) {
    struct event event = vitals;
    link_step(world, &event);
}

/* The newest message of a topic, or NULL. */
static const struct sent *newest(const struct world *world, const char *topic) {
    for (unsigned i = world->sends_count; i > 0; i--)
        if (strcmp(world->sends[i - 1].topic, topic) == 0)
            return &world->sends[i - 1];
    return NULL;
}

static const struct effect *find(const struct world *world, enum effect_kind kind) {
    for (unsigned i = 0; i < world->effects.count; i++)
        if (world->effects.items[i].kind == kind)
            return &world->effects.items[i];
    return NULL;
}

static void an_alarm_like_any_other(void **state) {
    (void)state;
    struct world *world = link_world_new();
    reset();
    link_quiet(world);
    assert_int_equal(link_counters(world)->vitals.count, PARTS);
    busy[BUS] = 30 * S;
    unsigned before = world->sends_count;
    link_vitals(world);
    assert_non_null(find(world, EFFECT_REPLACE));
    assert_int_equal(find(world, EFFECT_REPLACE)->replace.bus, 0);
    assert_null(find(world, EFFECT_RESTART));
    static const char *const topics[] = {"event", "alarm/gateway/bus-line"};
    link_assert_topics(world, before, topics, 2);
    const struct sent *sent = newest(world, "alarm/gateway/bus-line");
    assert_true(sent->retain && sent->qos == 1);
    assert_non_null(strstr(sent->payload, "\"class\":\"fault\""));
    assert_non_null(strstr(sent->payload, "\"priority\":\"high\""));
    assert_non_null(strstr(sent->payload, "\"state\":\"unacknowledged\""));
    assert_int_equal(link_counters(world)->alarms_active, 1);
    assert_true(link_counters(world)->vitals.attention);
    assert_non_null(strstr(world->said, "part bus-line stuck since=30000ms"));
    assert_non_null(strstr(world->said, "part bus-line replaced times=1"));
    busy[BUS] = 0;
    link_vitals(world);
    assert_null(find(world, EFFECT_REPLACE));
    world->ms += 21000;
    link_vitals(world);
    assert_non_null(strstr(newest(world, "alarm/gateway/bus-line")->payload, "\"state\":\"returned\""));
    assert_int_equal(link_counters(world)->alarms_active, 0);
    assert_non_null(strstr(world->said, "part bus-line fine again"));
    link_world_end(world);
}

/* That a part is well is told once it was so for a minute; before that what the broker keeps of it stays. */
static void well_is_told_after_a_minute(void **state) {
    (void)state;
    struct world *world = link_world_new();
    reset();
    link_quiet(world);
    world->ms += 30000;
    link_vitals(world);
    assert_null(newest(world, "alarm/gateway/bus-line"));
    assert_true(link_counters(world)->vitals.attention);
    link_advance(world, 31000);
    link_vitals(world);
    static const char *const topics[] = {"alarm/gateway/bus-line", "alarm/gateway/store", "alarm/gateway/backlog", "alarm/gateway/control",
                                         "alarm/gateway/mqtt", "alarm/gateway/uplink-uplink-0"};
    for (unsigned i = 0; i < PARTS; i++)
        assert_non_null(strstr(newest(world, topics[i])->payload, "\"state\":\"normal\""));
    assert_false(link_counters(world)->vitals.attention);
    link_world_end(world);
}

static void a_restart_is_asked_for_once(void **state) {
    (void)state;
    struct world *world = link_world_new();
    reset();
    link_quiet(world);
    busy[PUMP] = 300 * S;
    link_vitals(world);
    assert_non_null(find(world, EFFECT_RESTART));
    assert_string_equal(find(world, EFFECT_RESTART)->restart.part, "mqtt");
    link_vitals(world);
    assert_null(find(world, EFFECT_RESTART));
    link_world_end(world);
}

static void health_names_what_is_not_well(void **state) {
    (void)state;
    struct world *world = link_world_new();
    reset();
    link_quiet(world);
    busy[CONTROL] = 11 * S;
    struct event event = vitals;
    event.vitals.loop_late_us = 2500000;
    link_step(world, &event);
    assert_non_null(strstr(world->said, "the loop was late by=2500ms"));
    assert_true(link_counters(world)->vitals.loop_late == 1 && link_counters(world)->vitals.loop_late_max_us == 2500000);
    static char bytes[PAYLOAD_SIZE], name[TOPIC_SIZE];
    struct text topic, payload;
    text_init(&topic, name, sizeof(name));
    text_init(&payload, bytes, sizeof(bytes));
    struct mqtt_json json = {.config = &world->site.config, .topic_prefix = ""};
    struct now now = site_now(world->ms);
    assert_true(mqtt_json_health(&json, link_counters(world), &now, &topic, &payload));
    assert_non_null(strstr(bytes, "\"loop_late\":1,\"loop_late_max_us\":2500000"));
    assert_non_null(strstr(bytes, "\"control\":{\"state\":\"late\",\"late\":1,\"stuck\":0,\"replaced\":0}"));
    assert_null(strstr(bytes, "\"backlog\":{"));
    link_world_end(world);
}

/* ---- the core alone ---- */

static void rig_vitals(struct core_rig *rig, int64_t ms) {
    struct event event = vitals;
    event.now = site_now(ms);
    core_on_vitals(&rig->core, &event);
    core_rig_step(rig, ms);
}

static void it_outlives_a_power_cut_and_takes_commands(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(NULL);
    reset();
    busy[BUS] = 30 * S;
    rig_vitals(rig, 1000);
    assert_non_null(core_rig_record(rig, "gateway", "bus-line"));
    core_rig_cut(rig, 5000, true);
    uint16_t alarm = (uint16_t)(rig->site.config.alarms_count + BUS);
    assert_int_equal(core_rig_state(rig, alarm), ALARM_UNACKNOWLEDGED);
    assert_true(core_rig_do(rig, 6000, COMMAND_ACKNOWLEDGE, "gateway/bus-line"));
    assert_int_equal(core_rig_state(rig, alarm), ALARM_ACKNOWLEDGED);
    assert_false(core_rig_do(rig, 7000, COMMAND_ACKNOWLEDGE, "gateway/nothing"));
    assert_false(core_rig_do(rig, 8000, COMMAND_WALK_TEST, "gateway/bus-line"));
    busy[BUS] = 0;
    rig_vitals(rig, 9000); /* early: but this alarm is known, and so is that it is over */
    assert_int_equal(core_rig_state(rig, alarm), ALARM_NORMAL);
    core_rig_end(rig);
}

/* Behind the configured alarms the loader leaves what it removed. Nothing of the gateway's own alarms is read there. */
static void with_leftovers(struct site *site) {
    for (unsigned i = site->config.alarms_count; i < SITE_ALARMS; i++)
        site->alarms[i] = (struct config_alarm){.device = SITE_DEVICES + 1, .suppressed_by = 1};
}

static void its_rules_are_its_own(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(with_leftovers);
    reset();
    core_rig_poll(rig, 1000, 2, 0, 11); /* opens a problem, which is looked through by name */
    core_rig_poll(rig, 1000, 1, 0, 11);
    busy[BUS] = 30 * S;
    rig_vitals(rig, 2000);
    core_rig_cut(rig, 5000, true);
    uint16_t alarm = (uint16_t)(rig->site.config.alarms_count + BUS);
    assert_true(core_rig_do(rig, 6000, COMMAND_ACKNOWLEDGE, "gateway/bus-line"));
    busy[BUS] = 0;
    rig_vitals(rig, 9000);
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED);
    assert_int_equal(core_rig_state(rig, alarm), ALARM_NORMAL);
    core_rig_end(rig);
}

static void a_stuck_store_is_volatile(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(NULL);
    struct now now = site_now(1000);
    const struct disk_status well = {.device_bytes_hour = 7};
    reset();
    core_on_disk(&rig->core, &now, &well);
    assert_false(rig->counters.disk.is_volatile);
    uint64_t from = rig->core.journal.next_seq;
    busy[STORE] = 60 * S;
    rig_vitals(rig, 2000);
    assert_true(rig->counters.disk.is_volatile && rig->counters.disk.device_bytes_hour == 7);
    assert_int_equal(core_rig_state(rig, (uint16_t)(rig->site.config.alarms_count + STORE)), ALARM_UNACKNOWLEDGED);
    struct entry entry;
    static struct system_event event;
    assert_int_equal(core_rig_count(rig, ENTRY_SYSTEM, from, &entry), 1);
    assert_true(entry_get_system(&entry, &event));
    assert_non_null(strstr(event.detail, "volatile"));
    busy[STORE] = 0;
    rig_vitals(rig, 3000);
    assert_true(rig->counters.disk.is_volatile); /* on trial */
    rig_vitals(rig, 13000);
    assert_false(rig->counters.disk.is_volatile);
    assert_int_equal(core_rig_count(rig, ENTRY_SYSTEM, from, &entry), 2);
    core_rig_end(rig);
}

static void last_words_are_an_event(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(NULL);
    struct now now = site_now(1000);
    struct entry entry;
    static struct system_event event;
    uint64_t from = rig->core.journal.next_seq;
    core_on_last_words(&rig->core, &now, "killed by SIGABRT; not well: store stuck 61 s", "bus-line");
    assert_int_equal(core_rig_count(rig, ENTRY_SYSTEM, from, &entry), 1);
    assert_true(entry_get_system(&entry, &event));
    assert_string_equal(event.what, "last-words");
    assert_string_equal(event.detail, "killed by SIGABRT; not well: store stuck 61 s");
    assert_true(rig->core.vitals.parts[BUS].restart_from_us == now.mono_us + VITALS_RESTART_PAUSE_US);
    assert_true(rig->core.vitals.parts[PUMP].restart_from_us == 0);
    core_rig_end(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alarm_like_any_other),
        cmocka_unit_test(well_is_told_after_a_minute),
        cmocka_unit_test(a_restart_is_asked_for_once),
        cmocka_unit_test(health_names_what_is_not_well),
        cmocka_unit_test(it_outlives_a_power_cut_and_takes_commands),
        cmocka_unit_test(its_rules_are_its_own),
        cmocka_unit_test(a_stuck_store_is_volatile),
        cmocka_unit_test(last_words_are_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
