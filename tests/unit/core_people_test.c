/* SPDX-License-Identifier: Apache-2.0 */
/* Shelves, suppression, escalation and bursts through the core: what is told, what is retained, what is saved. */
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

/* ---- on a shelf ---- */

/* What came and went on a shelf is an occurrence when it is back, with an id of its own; what it opened on the shelf opens no problem. */
static void test_owed_has_an_occurrence(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    assert_true(core_rig_do(rig, 1000, COMMAND_SHELVE, "device-0/alarm-0"));
    assert_int_equal(core_rig_newest_alarm(rig).occurrence_seq, 0);
    core_rig_poll(rig, 2000, 0, 0, 11);
    assert_int_equal(rig->writes_count, 0);
    core_rig_poll(rig, 3000, 0, 0, 5);
    core_rig_step(rig, 1000 + 600000);
    struct alarm_event event = core_rig_newest_alarm(rig);
    assert_true(event.state == ALARM_LATCHED && event.cause == CAUSE_EXPIRED && event.occurrence_seq);
    assert_true(event.since_ms == site_now(2000).wall_ms);
    core_rig_end(rig);
}

/* The same over a power cut: what a person still has to see was saved, though nothing was told. */
static void test_owed_survives_a_power_cut(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    assert_true(core_rig_do(rig, 1000, COMMAND_SHELVE, "device-0/alarm-0"));
    core_rig_poll(rig, 2000, 0, 0, 11);
    core_rig_poll(rig, 3000, 0, 0, 5);
    core_rig_step(rig, 9000); /* the batch of readings takes it along */
    core_rig_cut(rig, 10000, true);
    assert_int_equal(core_rig_state(rig, 0), ALARM_SHELVED);
    assert_true(core_rig_do(rig, 11000, COMMAND_UNSHELVE, "device-0/alarm-0"));
    assert_int_equal(core_rig_state(rig, 0), ALARM_LATCHED);
    core_rig_end(rig);
}

static const struct config_shelf configured = {.by = "site", .reason = "building works", .until_ms = 1795000000000 + 3600000};

static void with_shelf(struct site *site) {
    plant(site);
    site->alarms[1].shelf = &configured;
}

/* A shelf of the configuration holds from the start, once the clock is right; whoever unshelves it is not overruled. */
static void test_configured_shelf(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(with_shelf);
    assert_int_equal(core_rig_state(rig, 1), ALARM_SHELVED);
    assert_string_equal(core_rig_newest_alarm(rig).reason, "building works");
    assert_true(core_rig_do(rig, 1000, COMMAND_UNSHELVE, "device-1/alarm-1"));
    struct now now = site_now(2000);
    now.wall_ms += 5000;
    core_on_clock(&rig->core, &now);
    assert_int_equal(core_rig_state(rig, 1), ALARM_NORMAL);
    core_rig_cut(rig, 3000, false);
    assert_int_equal(core_rig_state(rig, 1), ALARM_NORMAL); /* nobody knows how late it is */
    now = site_now(4000);
    core_on_clock(&rig->core, &now);
    assert_int_equal(core_rig_state(rig, 1), ALARM_SHELVED);
    core_rig_step(rig, 3600000);
    assert_int_equal(core_rig_state(rig, 1), ALARM_NORMAL);
    core_rig_end(rig);
}

static void test_restart_without_a_clock_ends_shelves(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    assert_true(core_rig_do(rig, 1000, COMMAND_SHELVE, "device-1/alarm-1"));
    assert_true(core_rig_do(rig, 1000, COMMAND_OUT_OF_SERVICE, "device-2"));
    core_rig_poll(rig, 2000, 1, 0, 11);
    core_rig_poll(rig, 2500, 1, 0, 11);
    core_rig_cut(rig, 3000, true);
    assert_true(core_rig_state(rig, 1) == ALARM_SHELVED && core_rig_state(rig, 2) == ALARM_OUT_OF_SERVICE);
    assert_int_equal(core_rig_count(rig, ENTRY_ROSTER, 1, NULL), 2);
    core_rig_step(rig, 3000);
    core_rig_cut(rig, 4000, false);
    assert_true(core_rig_state(rig, 1) != ALARM_SHELVED && core_rig_state(rig, 2) == ALARM_NORMAL);
    assert_int_equal(core_rig_newest_alarm(rig).cause, CAUSE_EXPIRED);
    core_rig_end(rig);
}

/* ---- suppression ---- */

static void suppressing(struct site *site) {
    plant(site);
    site->alarms[2].suppressed_by = 1; /* device-2 is quiet about itself while device-1 is in alarm */
    site->alarms[0].suppressed_by = 1; /* fire never is */
}

static void test_suppression(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(suppressing);
    core_rig_poll(rig, 1000, 1, 0, 11);
    assert_int_equal(core_rig_state(rig, 2), ALARM_SUPPRESSED);
    assert_int_equal(core_rig_state(rig, 0), ALARM_NORMAL);
    core_rig_poll(rig, 2000, 2, 0, 11);
    core_rig_poll(rig, 2000, 0, 0, 11);
    assert_int_equal(core_rig_state(rig, 2), ALARM_SUPPRESSED);
    assert_int_equal(core_rig_state(rig, 0), ALARM_UNACKNOWLEDGED);
    core_rig_step(rig, 8000);
    core_rig_cut(rig, 9000, true);
    assert_int_equal(core_rig_state(rig, 2), ALARM_SUPPRESSED);
    core_rig_poll(rig, 14000, 1, 0, 5);
    assert_int_equal(core_rig_state(rig, 2), ALARM_UNACKNOWLEDGED); /* it is there still, now it is told */
    assert_int_equal(core_rig_newest_alarm(rig).cause, CAUSE_RELEASE);
    core_rig_poll(rig, 15000, 1, 0, 11); /* never touches what is active */
    assert_int_equal(core_rig_state(rig, 2), ALARM_UNACKNOWLEDGED);
    core_rig_poll(rig, 16000, 2, 0, 5);
    assert_true(core_rig_do(rig, 17000, COMMAND_ACKNOWLEDGE, "device-2/alarm-2"));
    core_rig_poll(rig, 18000, 1, 0, 5);
    assert_true(core_rig_do(rig, 19000, COMMAND_ACKNOWLEDGE, "device-1/alarm-1"));
    assert_true(core_rig_state(rig, 1) == ALARM_NORMAL && core_rig_state(rig, 2) == ALARM_NORMAL);
    core_rig_end(rig);
}

static void two_stages(struct site *site) {
    plant(site);
    site->alarms[2].device = 1; /* the same point as alarm-1, which is the higher stage and stands above it */
    site->alarms[1].limit = 15;
    site->alarms[2].suppressed_by = 1;
}

/* One reading that ends both stages raises none of them; one that ends only the higher tells the lower with what was read now. */
static void test_both_stages_end_together(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(two_stages);
    core_rig_poll(rig, 1000, 1, 0, 20);
    assert_int_equal(core_rig_state(rig, 2), ALARM_SUPPRESSED);
    core_rig_poll(rig, 2000, 1, 0, 5);
    assert_int_equal(core_rig_state(rig, 1), ALARM_RETURNED);
    assert_int_equal(core_rig_state(rig, 2), ALARM_NORMAL);
    assert_false(core_rig_said(rig, "alarm-2 unacknowledged"));
    core_rig_poll(rig, 3000, 1, 0, 20);
    core_rig_poll(rig, 4000, 1, 0, 13);
    assert_int_equal(core_rig_state(rig, 2), ALARM_UNACKNOWLEDGED);
    struct alarm_event event = core_rig_newest_alarm(rig);
    assert_true(event.cause == CAUSE_RELEASE && event.value.number == 13);
    core_rig_end(rig);
}

/* ---- escalation ---- */

static void escalating(struct site *site) {
    plant(site);
    site->alarms[1].priority = PRIORITY_LOW;
    site->alarms[1].realarm_ms = 60000;
    site->alarms[1].escalate_ms = 90000;
}

static void test_escalation(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(escalating);
    core_rig_poll(rig, 1000, 1, 0, 11);
    assert_int_equal(core_rig_newest_alarm(rig).priority, PRIORITY_LOW);
    core_rig_step(rig, 61000);
    assert_int_equal(core_rig_newest_alarm(rig).cause, CAUSE_REALARM);
    core_rig_step(rig, 91000);
    struct alarm_event event = core_rig_newest_alarm(rig);
    assert_true(event.cause == CAUSE_ESCALATE && event.priority == PRIORITY_MEDIUM && event.state == ALARM_UNACKNOWLEDGED);
    assert_true(event.occurrence_seq == rig->core.alarms[1].alarm.occurrence_seq && core_rig_retained(rig, 1));
    core_rig_cut(rig, 92000, true);
    struct entry entry;
    core_rig_count(rig, ENTRY_ROSTER, 1, &entry);
    assert_true(entry_get_alarm(&entry, &event) && event.priority == PRIORITY_MEDIUM);
    core_rig_end(rig);
}

/* ---- bursts ---- */

/* Three activations in a minute: from then on one event at the beginning and one at the end stand for all; what is retained and saved
 * is the present state all along. */
static void test_chatter(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    struct entry entry;
    struct burst_event event;
    int64_t ms = 1000;
    uint64_t told = 0;
    for (unsigned i = 0; i < 40; i++, ms += 2000) {
        core_rig_poll(rig, ms, 1, 0, 11);
        core_rig_poll(rig, ms + 1000, 1, 0, 5);
        if (i == 2)
            told = core_rig_count(rig, ENTRY_ALARM, 1, NULL);
        assert_true(core_rig_retained(rig, 1));
        assert_true(core_rig_state(rig, 1) == ALARM_RETURNED);
    }
    assert_int_equal(core_rig_count(rig, ENTRY_CHATTER, 1, &entry), 1);
    assert_true(entry_get_burst(&entry, &event) && !event.ended && event.count == 3);
    assert_int_equal(core_rig_count(rig, ENTRY_ALARM, 1, NULL), told);
    assert_int_equal(told, 4); /* two comings and goings, the third is in the event about the chattering */
    assert_true(core_rig_do(rig, ms, COMMAND_ACKNOWLEDGE, "device-1/alarm-1")); /* a person is always told */
    assert_int_equal(core_rig_count(rig, ENTRY_ALARM, 1, NULL), told + 1);
    core_rig_poll(rig, ms + 500, 1, 0, 11);
    core_rig_step(rig, ms + 500 + 60000);
    assert_int_equal(core_rig_count(rig, ENTRY_CHATTER, 1, &entry), 2);
    assert_true(entry_get_burst(&entry, &event) && event.ended && event.count == 41 && event.state == ALARM_UNACKNOWLEDGED);
    core_rig_cut(rig, ms + 70000, true); /* the hidden state was saved */
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED);
    core_rig_end(rig);
}

/* The last hidden transition is in the store with the next run, whatever that is; fire is named and every transition told. */
static void test_chatter_of_fire(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(plant);
    for (int64_t ms = 1000; ms < 21000; ms += 2000) {
        core_rig_poll(rig, ms, 0, 1, 11);
        core_rig_poll(rig, ms + 1000, 0, 1, 5);
    }
    assert_int_equal(core_rig_count(rig, ENTRY_CHATTER, 1, NULL), 1);
    assert_int_equal(core_rig_count(rig, ENTRY_ALARM, 1, NULL), 20);
    core_rig_end(rig);
}

static void many(struct site *site) {
    site->config.alarms_count = SITE_ALARMS;
    for (unsigned i = 0; i < SITE_ALARMS; i++)
        site->alarms[i].device = (uint16_t)(i & 3);
}

static void test_flood(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(many);
    struct entry entry;
    struct burst_event event;
    for (unsigned d = 0; d < SITE_DEVICES; d++) /* eight alarms a device */
        core_rig_poll(rig, 1000 + d, (uint16_t)d, 0, 11);
    assert_int_equal(core_rig_count(rig, ENTRY_FLOOD, 1, &entry), 1);
    assert_true(entry_get_burst(&entry, &event) && !event.ended && event.count == 11 && event.number == 1);
    assert_int_equal(core_rig_count(rig, ENTRY_ALARM, 1, NULL), SITE_ALARMS); /* named, nothing is kept back */
    core_rig_step(rig, 1003 + 600000);
    assert_int_equal(core_rig_count(rig, ENTRY_FLOOD, 1, &entry), 2);
    assert_true(entry_get_burst(&entry, &event) && event.ended && event.count == SITE_ALARMS);
    core_rig_end(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owed_has_an_occurrence),
        cmocka_unit_test(test_owed_survives_a_power_cut),
        cmocka_unit_test(test_configured_shelf),
        cmocka_unit_test(test_restart_without_a_clock_ends_shelves),
        cmocka_unit_test(test_suppression),
        cmocka_unit_test(test_both_stages_end_together),
        cmocka_unit_test(test_escalation),
        cmocka_unit_test(test_chatter),
        cmocka_unit_test(test_chatter_of_fire),
        cmocka_unit_test(test_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
