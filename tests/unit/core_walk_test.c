/* SPDX-License-Identifier: Apache-2.0 */
/* Walk tests through the core: what is told, what is retained, what is saved, and what is real in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core_rig.h"

/* alarm-0 fire, latching, device-0, shed-1; alarm-4 fire on p1 of the same device; alarm-1 electrical on device-1, which is elsewhere.
 * alarm-0 cuts p3 of device-1. */
static void plant(struct site *site) {
    site->alarms[0].latch = true;
    site->alarms[4] = site->alarms[0];
    site->alarms[4].name = "alarm-4";
    site->alarms[4].point = 1;
    site->alarms[4].latch = false;
    site->config.alarms_count = 5;
    site->points[1][3].writable = true;
    site->config.actions_count = 1;
}

static bool walk(struct core_rig *rig, int64_t ms, bool inhibit, uint32_t minutes) {
    struct command command = core_rig_command(rig, ms, COMMAND_WALK_TEST, "");
    command.fields |= FIELD_PLACE | FIELD_INHIBIT | FIELD_MINUTES;
    strcpy(command.place, "shed-1");
    command.inhibit = inhibit;
    command.minutes = minutes;
    return core_rig_ask(rig, ms, &command);
}

static bool walk_stop(struct core_rig *rig, int64_t ms) {
    struct command command = core_rig_command(rig, ms, COMMAND_WALK_TEST, "");
    command.fields |= FIELD_STOP;
    command.stop = true;
    return core_rig_ask(rig, ms, &command);
}

/* Down the whole road marked as a test; neither record nor retained state nor problem; over when the condition is; then it ends. */
static void test_walk(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    core_rig_poll_many(rig, 500, 0, (const double[]){5, 5}, 2);
    (void)core_rig_retained(rig, 0);
    unsigned records = rig->records_count;
    assert_true(walk(rig, 1000, true, 30));
    core_rig_poll(rig, 2000, 0, 0, 11);
    struct alarm_event event = core_rig_newest_alarm(rig);
    assert_true(event.test && event.state == ALARM_UNACKNOWLEDGED && event.cause == CAUSE_CONDITION && event.occurrence_seq);
    assert_false(core_rig_retained(rig, 0));
    assert_int_equal(rig->writes_count, 0); /* inhibited */
    assert_int_equal(core_rig_count(rig, ENTRY_PROBLEM, 1, NULL), 0);
    uint64_t seq = rig->core.alarms[0].event_seq;
    struct now now = site_now(2040);
    core_on_delivered(&rig->core, &now, seq);
    core_rig_poll(rig, 3000, 0, 0, 5);
    event = core_rig_newest_alarm(rig);
    assert_true(event.test && event.state == ALARM_NORMAL); /* nothing latches in a test */
    assert_true(rig->core.walk.on); /* alarm-4 was not seen yet */
    core_rig_poll(rig, 4000, 0, 1, 11);
    assert_true(rig->core.walk.on); /* seen, and still in alarm */
    assert_int_equal(rig->records_count, records + 1); /* the command's */
    core_rig_poll(rig, 5000, 0, 1, 5);
    assert_false(rig->core.walk.on); /* all seen and returned */
    struct entry entry;
    static struct walk_event result;
    assert_int_equal(core_rig_count(rig, ENTRY_WALK_TEST, 1, &entry), 2);
    assert_true(entry_get_walk(&entry, &result) && result.ended && result.inhibit && result.detectors == 2 && result.seen == 2);
    assert_int_equal(result.items_count, 2);
    assert_true(result.items[0].latency_ms == 40 && result.items[0].at_ms == site_now(2000).wall_ms);
    assert_true(result.items[1].latency_ms == -1 && result.items[1].at_ms == site_now(4000).wall_ms);
    core_rig_poll(rig, 6000, 0, 0, 11); /* from now on it is real */
    event = core_rig_newest_alarm(rig);
    assert_false(event.test);
    assert_true(core_rig_retained(rig, 0));
    assert_int_equal(rig->writes_count, 1);
    core_rig_end(rig);
}

/* Not inhibited, the relay is cut by the test, and held as after a fire. */
static void test_walk_with_actions(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    assert_true(walk(rig, 1000, false, 30));
    core_rig_poll(rig, 2000, 0, 0, 11);
    assert_int_equal(rig->writes_count, 1);
    core_rig_write_ends(rig, 2010, true);
    struct entry entry;
    struct action_event event;
    assert_true(core_rig_count(rig, ENTRY_ACTION, 1, &entry) && entry_get_action(&entry, &event) && event.ok && event.test);
    core_rig_poll(rig, 3000, 0, 0, 5);
    assert_int_equal(rig->core.actions[0].state, ACTION_HELD);
    assert_true(core_rig_do(rig, 4000, COMMAND_RESET, "device-0/alarm-0"));
    assert_int_equal(rig->core.actions[0].state, ACTION_IDLE);
    core_rig_end(rig);
}

/* Outside the place an alarm is real; what was open before the test stays real in it. */
static void test_outside_is_real(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    core_rig_poll(rig, 500, 0, 0, 11);
    assert_true(walk(rig, 1000, true, 30));
    core_rig_poll(rig, 2000, 1, 0, 11);
    assert_false(core_rig_newest_alarm(rig).test);
    core_rig_poll(rig, 3000, 0, 0, 5);
    assert_true(!core_rig_newest_alarm(rig).test && core_rig_state(rig, 0) == ALARM_LATCHED);
    core_rig_poll(rig, 4000, 0, 0, 11);
    assert_false(core_rig_newest_alarm(rig).test);
    assert_true(core_rig_retained(rig, 0));
    assert_int_equal(rig->core.walk.seen_count, 0);
    core_rig_end(rig);
}

/* Still in alarm when the test ends: real, and nobody has taken it, also when somebody acknowledged the test; its action is carried out. */
static void test_still_in_alarm_at_the_end(void **state) {
    (void)state;
    for (int acknowledged = 0; acknowledged < 2; acknowledged++) {
        struct core_rig *rig = core_rig_begin(plant);
        assert_true(walk(rig, 1000, true, 1));
        core_rig_poll(rig, 2000, 0, 0, 11);
        if (acknowledged)
            assert_true(core_rig_do(rig, 3000, COMMAND_ACKNOWLEDGE, "device-0/alarm-0"));
        assert_null(core_rig_record(rig, "device-0", "alarm-0"));
        core_rig_step(rig, 60999);
        assert_true(rig->core.walk.on && rig->writes_count == 0);
        uint64_t occurrence = rig->core.alarms[0].alarm.occurrence_seq;
        core_rig_step(rig, 61000); /* by itself */
        struct alarm_event event = core_rig_newest_alarm(rig);
        assert_true(!event.test && event.cause == CAUSE_WALK_ENDED && event.state == ALARM_UNACKNOWLEDGED);
        assert_true(event.occurrence_seq && event.occurrence_seq != occurrence);
        assert_int_equal(rig->writes_count, 1);
        assert_true(core_rig_retained(rig, 0));
        assert_non_null(core_rig_record(rig, "device-0", "alarm-0"));
        assert_int_equal(core_rig_count(rig, ENTRY_PROBLEM, 1, NULL), 1);
        assert_int_equal(rig->counters.alarms_active, 1);
        core_rig_end(rig);
    }
}

/* Put aside during the test: it stays so, is told as real, saved and retained; what would latch by coming back in a test does not. */
static void test_aside_during_the_test(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    assert_true(walk(rig, 1000, true, 30));
    core_rig_poll(rig, 2000, 0, 0, 11);
    assert_true(core_rig_do(rig, 3000, COMMAND_SHELVE, "device-0/alarm-0"));
    core_rig_poll(rig, 4000, 0, 0, 5);
    assert_true(walk_stop(rig, 5000));
    assert_int_equal(core_rig_state(rig, 0), ALARM_SHELVED);
    struct alarm_event event = core_rig_newest_alarm(rig);
    assert_true(!event.test && event.state == ALARM_SHELVED && event.cause == CAUSE_WALK_ENDED);
    assert_string_equal(event.reason, "welding");
    assert_true(core_rig_retained(rig, 0));
    assert_non_null(core_rig_record(rig, "device-0", "alarm-0"));
    core_rig_cut(rig, 6000, true);
    assert_int_equal(core_rig_state(rig, 0), ALARM_SHELVED);
    core_rig_end(rig);

    rig = core_rig_begin(plant);
    assert_true(walk(rig, 1000, true, 30));
    core_rig_poll(rig, 2000, 0, 0, 11);
    assert_true(core_rig_do(rig, 3000, COMMAND_SHELVE, "device-0/alarm-0"));
    core_rig_poll(rig, 4000, 0, 0, 5);
    assert_true(core_rig_do(rig, 5000, COMMAND_UNSHELVE, "device-0/alarm-0"));
    assert_true(walk_stop(rig, 6000));
    assert_int_equal(core_rig_state(rig, 0), ALARM_NORMAL);
    event = core_rig_newest_alarm(rig);
    assert_true(event.test && event.state == ALARM_NORMAL);
    assert_int_equal(rig->core.alarms[0].alarm.occurrence_seq, 0);
    core_rig_end(rig);
}

/* A restart ends a test: what is in alarm is raised as real. */
static void test_restart_ends_a_test(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    assert_true(walk(rig, 1000, true, 30));
    core_rig_poll(rig, 2000, 0, 0, 11);
    core_rig_cut(rig, 3000, true);
    assert_int_equal(core_rig_state(rig, 0), ALARM_NORMAL);
    core_rig_poll(rig, 4000, 0, 0, 11);
    assert_false(core_rig_newest_alarm(rig).test);
    assert_int_equal(rig->writes_count, 1);
    core_rig_end(rig);
}

/* More detectors than one event can list: told in parts, each once. */
static void many(struct site *site) {
    site->config.alarms_count = SITE_ALARMS;
    for (unsigned i = 0; i < SITE_ALARMS; i++)
        site->alarms[i].device = (uint16_t)(i & 3);
    for (unsigned d = 0; d < SITE_DEVICES; d++)
        site->devices[d].place = 0;
}

static void test_walk_lists_every_detector(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(many);
    static struct walk_event event;
    struct entry entry;
    assert_true(walk(rig, 1000, true, 1));
    core_rig_step(rig, 61000);
    assert_int_equal(core_rig_count(rig, ENTRY_WALK_TEST, 1, &entry), 2);
    assert_true(entry_get_walk(&entry, &event) && event.detectors == SITE_ALARMS && event.items_count == SITE_ALARMS && event.seen == 0);
    core_rig_end(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_walk_with_actions),
        cmocka_unit_test(test_outside_is_real),
        cmocka_unit_test(test_still_in_alarm_at_the_end),
        cmocka_unit_test(test_aside_during_the_test),
        cmocka_unit_test(test_restart_ends_a_test),
        cmocka_unit_test(test_walk_lists_every_detector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
