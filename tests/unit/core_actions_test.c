/* SPDX-License-Identifier: Apache-2.0 */
/* Local actions on the road: written, verified, held until a reset, over power cuts too; what fails is an alarm; writes by command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core_rig.h"

#define RELAY 1  /* device */
#define CHANNEL 3 /* its point */
#define ACTION_ALARM 4

/* Fire on device 0 cuts the channel; alarm-1 (device 1, electrical) wants it on; alarm-4 is for when the cut fails. */
static void plant(struct site *site) {
    site->alarms[0].latch = true;
    site->points[RELAY][CHANNEL].writable = site->points[RELAY][CHANNEL].verify = true;
    site->actions[0] = (struct config_action){.name = "cut", .alarm = 0, .device = RELAY, .point = CHANNEL, .value = 0};
    site->actions[1] = (struct config_action){.name = "supply", .alarm = 1, .device = RELAY, .point = CHANNEL, .value = 1};
    site->config.actions_count = 2;
    site->alarms[ACTION_ALARM] = (struct config_alarm){.name = "action-cut",
                                                       .device = RELAY,
                                                       .point = CONFIG_NONE,
                                                       .condition = CONDITION_ACTION,
                                                       .action = 0,
                                                       .of_n = 1,
                                                       .of_m = 1,
                                                       .suppressed_by = CONFIG_NONE,
                                                       .class = CLASS_FAULT,
                                                       .priority = PRIORITY_HIGH,
                                                       .zh = "",
                                                       .en = ""};
    site->config.alarms_count = 5;
}

/* Both of class fire: the newest wish decides. */
static void plant_equal(struct site *site) {
    plant(site);
    site->alarms[1].class = CLASS_FIRE;
}

static void plant_unreadable(struct site *site) {
    plant_equal(site);
    site->points[RELAY][CHANNEL].verify = false;
}

static enum action_state state_of(const struct core_rig *rig, unsigned action) {
    return rig->core.actions[action].state;
}

/* From the alarm to held; the channel reads `value`. */
static void hold(struct core_rig *rig, int64_t ms, uint16_t alarm, double value) {
    core_rig_poll(rig, ms, alarm, 0, 11);
    assert_int_equal(rig->writes_count, 1);
    assert_true(rig->writes[0].value == value && rig->writes[0].device == RELAY && rig->writes[0].point == CHANNEL);
    core_rig_write_ends(rig, ms + 10, true);
    assert_int_equal(state_of(rig, alarm), ACTION_VERIFYING);
    core_rig_poll(rig, ms + 20, RELAY, CHANNEL, value);
    assert_int_equal(state_of(rig, alarm), ACTION_HELD);
}

/* Taking the alarm cuts nothing anew and gives nothing back; nor does its return: only a reset does. */
static void test_held_until_reset(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    struct entry entry;
    struct action_event event;
    hold(rig, 1000, 0, 0);
    assert_int_equal(core_rig_count(rig, ENTRY_ACTION, 1, &entry), 1);
    assert_true(entry_get_action(&entry, &event) && event.ok && event.attempt == 1 && !event.test);
    assert_string_equal(event.action, "cut");
    assert_int_equal(entry.lane, LANE_FIRE); /* as its alarm */
    assert_non_null(core_rig_record(rig, ".action", "cut"));
    assert_true(core_rig_do(rig, 2000, COMMAND_ACKNOWLEDGE, "device-0/alarm-0"));
    core_rig_poll(rig, 3000, 0, 0, 9);
    assert_int_equal(core_rig_state(rig, 0), ALARM_LATCHED);
    assert_int_equal(rig->writes_count, 0);
    assert_int_equal(state_of(rig, 0), ACTION_HELD);
    core_rig_cut(rig, 4000, true);
    core_rig_step(rig, 4000);
    assert_int_equal(rig->writes_count, 1); /* the board may have lost it meanwhile */
    core_rig_write_ends(rig, 4010, true);
    core_rig_poll(rig, 4020, RELAY, CHANNEL, 0);
    assert_true(core_rig_do(rig, 5000, COMMAND_RESET, "device-0/alarm-0"));
    assert_int_equal(core_rig_state(rig, 0), ALARM_NORMAL);
    assert_int_equal(state_of(rig, 0), ACTION_IDLE);
    assert_null(core_rig_record(rig, ".action", "cut"));
    core_rig_count(rig, ENTRY_ACTION, 1, &entry);
    assert_true(entry_get_action(&entry, &event) && event.ok);
    assert_string_equal(event.why, "released");
    assert_int_equal(rig->writes_count, 0); /* supply returns by a person's hand */
    core_rig_poll(rig, 6000, RELAY, CHANNEL, 1);
    assert_int_equal(rig->writes_count, 0);
    core_rig_cut(rig, 7000, true);
    core_rig_step(rig, 7000);
    assert_int_equal(rig->writes_count, 0);
    hold(rig, 8000, 0, 0); /* the next alarm does */
    core_rig_end(rig);
}

/* Two failed attempts are an alarm of its own, until it is held; each of the first failures is told. */
static void test_failing_is_an_alarm(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    core_rig_poll(rig, 1000, 0, 0, 11);
    core_rig_write_ends(rig, 1500, false);
    assert_int_equal(core_rig_state(rig, ACTION_ALARM), ALARM_NORMAL);
    core_rig_step(rig, 2000);
    assert_int_equal(rig->writes_count, 1);
    assert_int_equal(core_rig_state(rig, ACTION_ALARM), ALARM_NORMAL);
    core_rig_write_ends(rig, 2500, false);
    assert_int_equal(core_rig_state(rig, ACTION_ALARM), ALARM_UNACKNOWLEDGED);
    int64_t ms = 2500;
    for (unsigned i = 0; i < 30; i++) {
        ms += ACTION_RETRY_MAX_MS + 10;
        core_rig_step(rig, ms);
        core_rig_write_ends(rig, ms + 10, false);
    }
    assert_int_equal(core_rig_count(rig, ENTRY_ACTION, 1, NULL), 3 + 3); /* 1, 2, 3, 10, 20, 30 */
    core_rig_step(rig, ms + 20000);
    core_rig_write_ends(rig, ms + 20010, true);
    assert_int_equal(core_rig_state(rig, ACTION_ALARM), ALARM_UNACKNOWLEDGED); /* an echo is not yet a relay */
    core_rig_poll(rig, ms + 20020, RELAY, CHANNEL, 0);
    assert_int_equal(core_rig_state(rig, ACTION_ALARM), ALARM_RETURNED);
    core_rig_end(rig);
}

/* One failure and then success on the second attempt: noise on the line, no alarm. */
static void test_one_failure_is_noise(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    core_rig_poll(rig, 1000, 0, 0, 11);
    core_rig_write_ends(rig, 1500, false);
    core_rig_step(rig, 2000);
    core_rig_write_ends(rig, 2010, true);
    core_rig_poll(rig, 2020, RELAY, CHANNEL, 0);
    assert_int_equal(state_of(rig, 0), ACTION_HELD);
    assert_int_equal(rig->core.alarms[ACTION_ALARM].alarm.activations, 0);
    core_rig_end(rig);
}

/* A board that browned out is commanded again within the step that read it; a bad reading says nothing. */
static void test_undone(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    hold(rig, 1000, 0, 0);
    core_rig_poll_bad(rig, 2000, RELAY, CHANNEL);
    assert_int_equal(state_of(rig, 0), ACTION_HELD);
    uint64_t seq = rig->core.journal.next_seq;
    struct entry entry;
    struct action_event event;
    core_rig_poll(rig, 3000, RELAY, CHANNEL, 1);
    assert_int_equal(rig->writes_count, 1);
    assert_int_equal(core_rig_count(rig, ENTRY_ACTION, seq, &entry), 1);
    assert_true(entry_get_action(&entry, &event) && !event.ok && strstr(event.why, "reads back otherwise"));
    core_rig_write_ends(rig, 3010, true);
    core_rig_step(rig, 3010 + ACTION_VERIFY_MS); /* nobody could read it back */
    assert_int_equal(state_of(rig, 0), ACTION_RETRYING);
    assert_true(core_rig_said(rig, "could not be read back"));
    core_rig_step(rig, 3010 + ACTION_VERIFY_MS + ACTION_RETRY_MS);
    core_rig_write_ends(rig, 10000, true);
    core_rig_poll(rig, 10010, RELAY, CHANNEL, 0);
    assert_int_equal(state_of(rig, 0), ACTION_HELD);
    core_rig_end(rig);
}

static void test_device_back(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    core_rig_poll(rig, 1000, 0, 0, 11);
    for (unsigned i = 0; i < 5; i++) {
        core_rig_write_ends(rig, 1000 + 20000 * i, false);
        core_rig_step(rig, 1000 + 20000 * i + 10000);
    }
    core_rig_write_ends(rig, 101000, false);
    core_rig_device(rig, 101500, RELAY, DEVICE_DEAD);
    assert_int_equal(rig->writes_count, 0);
    core_rig_device(rig, 102000, RELAY, DEVICE_ONLINE); /* long before the pause is over */
    assert_int_equal(rig->writes_count, 1);
    core_rig_end(rig);
}

/* ---- two that contradict each other ---- */

static void check_one_wanted(const struct core_rig *rig, unsigned winner) {
    assert_true(action_wanted(&rig->core.actions[winner]) && !action_wanted(&rig->core.actions[1 - winner]));
    assert_non_null(core_rig_record(rig, ".action", winner ? "supply" : "cut"));
    assert_null(core_rig_record(rig, ".action", winner ? "cut" : "supply"));
}

/* The newest wish holds, whichever stands first in the configuration, also after power cuts. */
static void test_newest_wish(void **state) {
    (void)state;
    for (uint16_t winner = 0; winner < 2; winner++) {
        struct core_rig *rig = core_rig_begin(plant_equal);
        hold(rig, 1000, 1 - winner, 1 - winner);
        core_rig_poll(rig, 2000, winner, 0, 11);
        assert_true(core_rig_said(rig, winner ? "action cut gives way to supply" : "action supply gives way to cut"));
        check_one_wanted(rig, winner);
        assert_int_equal(core_rig_record_lane(rig, ".action", "cut"), core_rig_record_lane(rig, ".action", "supply")); /* in one commit */
        for (int cut = 0; cut < 2; cut++) {
            core_rig_cut(rig, 3000 + cut, true);
            core_rig_step(rig, 3000 + cut);
            check_one_wanted(rig, winner);
            assert_int_equal(rig->writes_count, 1);
            assert_true(rig->writes[0].value == winner);
        }
        core_rig_write_ends(rig, 4010, true);
        core_rig_poll(rig, 4020, RELAY, CHANNEL, winner);
        assert_int_equal(state_of(rig, winner), ACTION_HELD);
        core_rig_end(rig);
    }
}

/* What a fire holds, nothing else takes: not while it burns, not after a restart; after the reset it may. The other way round it gives way. */
static void test_fire_holds_its_point(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    hold(rig, 1000, 0, 0);
    core_rig_poll(rig, 2000, 1, 0, 11);
    assert_true(core_rig_said(rig, "action supply is not made: cut holds the point for a fire"));
    check_one_wanted(rig, 0);
    core_rig_cut(rig, 3000, true);
    core_rig_step(rig, 3000);
    check_one_wanted(rig, 0);
    assert_int_equal(rig->writes_count, 1);
    assert_true(rig->writes[0].value == 0);
    core_rig_end(rig);
    rig = core_rig_begin(plant);
    hold(rig, 1000, 1, 1);
    core_rig_poll(rig, 2000, 0, 0, 11);
    assert_true(core_rig_said(rig, "action supply gives way to cut"));
    check_one_wanted(rig, 0);
    core_rig_end(rig);
}

/* Comes again while the write it had given up is still under way: it wins again, and nothing fights on. */
static void test_wanted_again_while_giving_way(void **state) {
    (void)state;
    for (int readable = 0; readable < 2; readable++) {
        struct core_rig *rig = core_rig_begin(readable ? plant_equal : plant_unreadable);
        core_rig_poll(rig, 1000, 0, 0, 11); /* cut is being written */
        core_rig_poll(rig, 1001, 1, 0, 11); /* supply wants it otherwise, and is handed behind it */
        core_rig_poll(rig, 1002, 0, 0, 9);
        core_rig_poll(rig, 1003, 0, 0, 11); /* fire again */
        check_one_wanted(rig, 0);
        double line = 9; /* what stands in the relay after the writes that were handed, in their order */
        for (int64_t ms = 1010; rig->writes_count; ms += 10) {
            assert_true(ms < 1200);
            line = rig->writes[0].value;
            core_rig_write_ends(rig, ms, true);
        }
        assert_true(line == 0);
        core_rig_poll(rig, 2000, RELAY, CHANNEL, 0);
        assert_int_equal(state_of(rig, 0), ACTION_HELD);
        assert_int_equal(state_of(rig, 1), ACTION_IDLE);
        assert_int_equal(rig->writes_count, 0);
        core_rig_end(rig);
    }
}

static void other_point(struct site *site) {
    plant(site);
    site->points[RELAY][2].writable = site->points[RELAY][2].verify = true;
    site->actions[1].point = 2;
}

/* Two that were held side by side become a contradiction by a changed configuration: one gives way at the start. */
static void test_contradiction_by_configuration(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(other_point);
    hold(rig, 1000, 0, 0);
    core_rig_poll(rig, 2000, 1, 0, 11);
    assert_true(core_rig_record(rig, ".action", "cut") && core_rig_record(rig, ".action", "supply"));
    rig->site.actions[1].point = CHANNEL;
    core_rig_cut(rig, 3000, true);
    core_rig_step(rig, 3000);
    assert_true(action_wanted(&rig->core.actions[0]) != action_wanted(&rig->core.actions[1]));
    assert_int_equal(rig->writes_count, 1);
    core_rig_end(rig);
}

/* A store of an earlier version has the alarm's record and none of its action. */
static void test_open_alarm_without_a_record_of_its_action(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    core_rig_poll(rig, 1000, 0, 0, 11);
    for (unsigned i = 0; i < rig->records_count; i++)
        if (rig->records[i].owner[0] == '.')
            rig->records[i].size = 0;
    core_rig_cut(rig, 2000, true);
    core_rig_step(rig, 2000);
    assert_int_equal(rig->writes_count, 1);
    check_one_wanted(rig, 0);
    core_rig_end(rig);
}

/* ---- released ---- */

static void test_reset_while_it_is_being_written(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    core_rig_poll(rig, 1000, 0, 0, 11);
    assert_true(core_rig_do(rig, 1001, COMMAND_ACKNOWLEDGE, "device-0/alarm-0"));
    core_rig_poll(rig, 1002, 0, 0, 9);
    assert_true(core_rig_do(rig, 1003, COMMAND_RESET, "device-0/alarm-0"));
    assert_false(core_rig_do(rig, 1004, COMMAND_RESET, "device-0/alarm-0")); /* once */
    assert_null(core_rig_record(rig, ".action", "cut"));
    uint64_t seq = rig->core.journal.next_seq;
    core_rig_write_ends(rig, 1500, false);
    assert_int_equal(core_rig_count(rig, ENTRY_ACTION, seq, NULL), 0); /* nobody waits for it any more */
    assert_int_equal(state_of(rig, 0), ACTION_IDLE);
    core_rig_step(rig, 60000);
    assert_int_equal(rig->writes_count, 0);
    core_rig_end(rig);
}

/* An alarm that does not latch goes by itself; what it cut stays cut until a reset, which then has nothing else to do. */
static void test_reset_of_what_is_normal(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    hold(rig, 1000, 1, 1);
    assert_false(core_rig_do(rig, 1500, COMMAND_RESET, "device-1/alarm-1")); /* still there */
    core_rig_poll(rig, 2000, 1, 0, 9);
    assert_false(core_rig_do(rig, 2500, COMMAND_RESET, "device-1/alarm-1")); /* first somebody takes it */
    assert_true(core_rig_do(rig, 3000, COMMAND_ACKNOWLEDGE, "device-1/alarm-1"));
    assert_int_equal(core_rig_state(rig, 1), ALARM_NORMAL);
    assert_int_equal(state_of(rig, 1), ACTION_HELD);
    assert_true(core_rig_do(rig, 4000, COMMAND_RESET, "device-1/alarm-1"));
    assert_int_equal(state_of(rig, 1), ACTION_IDLE);
    assert_false(core_rig_do(rig, 5000, COMMAND_RESET, "device-1/alarm-1"));
    core_rig_end(rig);
}

/* ---- by command ---- */

static struct command write_of(struct core_rig *rig, int64_t ms, double value) {
    struct command command = core_rig_command(rig, ms, COMMAND_WRITE, "device-1");
    command.fields |= FIELD_POINT | FIELD_VALUE;
    memcpy(command.point, "p3", 3);
    command.value = value;
    return command;
}

static void test_write_by_command(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    struct entry entry;
    struct action_event event;
    for (int ok = 0; ok < 2; ok++) {
        struct command command = write_of(rig, 1000, 5);
        assert_true(core_rig_ask(rig, 1000, &command));
        assert_int_equal(rig->writes_count, 1);
        assert_true(rig->writes[0].value == 5);
        uint64_t seq = rig->core.journal.next_seq;
        core_rig_write_ends(rig, 1010, ok);
        assert_int_equal(core_rig_count(rig, ENTRY_ACTION, seq, &entry), 1);
        assert_true(entry_get_action(&entry, &event) && event.ok == ok && event.value == 5);
        assert_string_equal(event.by, "W");
        assert_true(!event.action[0] && !event.alarm[0]);
        assert_true(ok ? !event.why[0] : strstr(event.why, "timeout") != NULL);
        core_rig_step(rig, 60000);
        assert_int_equal(rig->writes_count, 0); /* once; what a person does a person looks after */
    }
    core_rig_end(rig);
}

static void test_write_against_an_action(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    hold(rig, 1000, 0, 0);
    struct command command = write_of(rig, 2000, 1);
    assert_false(core_rig_ask(rig, 2000, &command));
    assert_non_null(strstr(rig->outcome.why, "reset its alarm first"));
    assert_int_equal(rig->writes_count, 0);
    command = write_of(rig, 2000, 0);
    assert_true(core_rig_ask(rig, 2000, &command)); /* what it holds anyway */
    core_rig_end(rig);
}

static void test_too_many_writes(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    for (unsigned i = 0; i <= MANUAL_WRITES_MAX; i++) {
        struct command command = write_of(rig, 1000, i);
        assert_true(core_rig_ask(rig, 1000, &command) == (i < MANUAL_WRITES_MAX));
    }
    assert_non_null(strstr(rig->outcome.why, "too many writes"));
    core_rig_write_ends(rig, 1010, true);
    struct command command = write_of(rig, 1020, 9);
    assert_true(core_rig_ask(rig, 1020, &command));
    while (rig->writes_count)
        core_rig_write_ends(rig, 1030, true);
    assert_int_equal(core_rig_count(rig, ENTRY_ACTION, 1, NULL), MANUAL_WRITES_MAX + 1);
    core_rig_end(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_until_reset),
        cmocka_unit_test(test_failing_is_an_alarm),
        cmocka_unit_test(test_one_failure_is_noise),
        cmocka_unit_test(test_undone),
        cmocka_unit_test(test_device_back),
        cmocka_unit_test(test_newest_wish),
        cmocka_unit_test(test_fire_holds_its_point),
        cmocka_unit_test(test_wanted_again_while_giving_way),
        cmocka_unit_test(test_contradiction_by_configuration),
        cmocka_unit_test(test_open_alarm_without_a_record_of_its_action),
        cmocka_unit_test(test_reset_while_it_is_being_written),
        cmocka_unit_test(test_reset_of_what_is_normal),
        cmocka_unit_test(test_write_by_command),
        cmocka_unit_test(test_write_against_an_action),
        cmocka_unit_test(test_too_many_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
