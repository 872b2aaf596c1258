/* SPDX-License-Identifier: Apache-2.0 */
/* Derived points and composite conditions on the road: from a poll to an alarm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core_rig.h"
#include "gateway/core/describe.h"
#include "sensors/decode.h"

static void derive(struct site *site, uint16_t device, uint16_t point, enum derive_kind kind, unsigned inputs, struct config_input a,
                   struct config_input b) {
    struct config_derived *derived = &site->derived[site->config.derived_count++];
    *derived = (struct config_derived){.device = device, .point = point, .kind = kind, .inputs_count = (uint8_t)inputs, .inputs = {a, b}};
    derived->on_above = 2;
    derived->off_below = 1;
    derived->over_ms = 600000;
    site->points[device][point].derived = true;
}

static const struct config_input none = {0, 0};

static double newest(const struct core_rig *rig, uint16_t device, uint16_t point) {
    struct entry entry;
    struct packed_reading reading, found = {.value = {.kind = VALUE_NONE}};
    for (uint64_t seq = 1; journal_find(&rig->core.journal, LANE_READING, seq, UINT16_MAX, &entry); seq = entry.seq + 1) {
        struct bytes_reader body;
        struct reading_order order = entry_order(&entry);
        bytes_reader_init(&body, entry.body, entry.body_size);
        while (entry_get_reading(&body, &order, &reading))
            if (reading.series == (uint32_t)(device * SITE_POINTS + point))
                found = reading;
    }
    double number;
    return value_number(&found.value, &number) ? number : -999;
}

/* ---- derived points ---- */

/* A fan's current becomes on and off with its hysteresis, and that an alarm, with the delay of its own. */
static void on_off(struct site *site) {
    derive(site, 0, 2, DERIVE_ON_OFF, 1, (struct config_input){0, 1}, none);
    site->alarms[1] = site->alarms[0];
    site->alarms[1].name = "fan-runs";
    site->alarms[1].point = 2;
    site->alarms[1].condition = CONDITION_EQUAL;
    site->alarms[1].limit = 1;
    site->alarms[1].class = CLASS_COMPLIANCE;
    site->alarms[1].on_delay_ms = 3000;
}

static void test_on_off_feeds_an_alarm(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(on_off);
    core_rig_poll(rig, 1000, 0, 1, 1.5); /* between: off at the beginning */
    assert_true(newest(rig, 0, 2) == 0);
    assert_true(rig->core.alarms[1].judged);
    core_rig_poll(rig, 2000, 0, 1, 2.5);
    assert_true(newest(rig, 0, 2) == 1);
    core_rig_poll(rig, 3000, 0, 1, 1.5); /* between: as before */
    assert_true(newest(rig, 0, 2) == 1);
    assert_int_equal(core_rig_state(rig, 1), ALARM_NORMAL);
    core_rig_step(rig, 5000);
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED);
    core_rig_poll_bad(rig, 6000, 0, 1); /* what nobody sees holds */
    assert_true(newest(rig, 0, 2) == -999);
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED);
    core_rig_poll(rig, 7000, 0, 1, 0.5);
    assert_int_equal(core_rig_state(rig, 1), ALARM_RETURNED);
    core_rig_end(rig);
}

static void mean(struct site *site) {
    derive(site, 0, 2, DERIVE_MEAN, 1, (struct config_input){0, 1}, none);
    site->alarms[1] = site->alarms[0];
    site->alarms[1].name = "fume";
    site->alarms[1].point = 2;
    site->alarms[1].class = CLASS_COMPLIANCE;
}

/* A mean of ten minutes: uncertain, and so no reason for an alarm, until three quarters of the window are filled. */
static void test_mean_feeds_an_alarm(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(mean);
    int64_t ms = 0;
    while (core_rig_state(rig, 1) == ALARM_NORMAL) {
        ms += 5000;
        assert_true(ms < 600000);
        core_rig_poll(rig, ms, 0, 1, 12);
    }
    assert_true(ms >= 430000 && ms <= 460000);
    assert_true(newest(rig, 0, 2) == 12);
    for (int64_t end_ms = ms + 900000; ms < end_ms && core_rig_state(rig, 1) == ALARM_UNACKNOWLEDGED; ms += 5000)
        core_rig_poll(rig, ms, 0, 1, 6);
    assert_int_equal(core_rig_state(rig, 1), ALARM_RETURNED); /* when the mean is back under 10, not when one reading is */
    assert_true(ms > 600000);
    core_rig_end(rig);
}

/* sum and difference of the same two, and the sum of both: a diamond over two devices. */
static void diamond(struct site *site) {
    derive(site, 0, 2, DERIVE_SUM, 2, (struct config_input){0, 0}, (struct config_input){0, 1});
    derive(site, 0, 3, DERIVE_DIFFERENCE, 2, (struct config_input){0, 0}, (struct config_input){0, 1});
    derive(site, 1, 1, DERIVE_SUM, 2, (struct config_input){0, 2}, (struct config_input){0, 3});
    derive(site, 2, 1, DERIVE_SUM, 1, (struct config_input){1, 1}, none); /* and a chain behind it */
}

static void test_diamond_is_computed_once_a_poll(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(diamond);
    for (int i = 1; i < 5; i++) {
        uint64_t before = rig->counters.readings;
        core_rig_poll_many(rig, 1000 * i, 0, (const double[]){5 + i, 2}, 2);
        assert_int_equal(rig->counters.readings - before, 2 + 4);
        assert_true(newest(rig, 0, 2) == 7 + i && newest(rig, 0, 3) == 3 + i && newest(rig, 1, 1) == 10 + 2 * i && newest(rig, 2, 1) == 10 + 2 * i);
    }
    uint64_t before = rig->counters.readings;
    core_rig_poll(rig, 9000, 3, 0, 1); /* nothing is derived from it */
    assert_int_equal(rig->counters.readings - before, 1);
    core_rig_end(rig);
}

/* The worst quality of what went in, with its reason, all the way down; an input nobody ever asked for is bad. */
static void test_worst_quality(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(diamond);
    core_rig_poll(rig, 1000, 0, 0, 5);
    assert_int_equal(rig->core.point_quality[2], QUALITY_BAD);
    assert_int_equal(rig->core.point_quality[2 * SITE_POINTS + 1], QUALITY_BAD);
    struct polled polled = {.status = BUS_ANSWERED, .device_state = DEVICE_ONLINE, .now = site_now(2000), .count = 2};
    polled.readings[0] = (struct reading){.point = 0, .value = {.kind = VALUE_NUMBER, .number = 5}};
    polled.readings[1] = (struct reading){
        .point = 1, .quality = QUALITY_UNCERTAIN, .reason = REASON_UNSEEN, .value = {.kind = VALUE_NUMBER, .number = 2}};
    core_on_polled(&rig->core, &polled);
    assert_int_equal(rig->core.point_quality[2], QUALITY_UNCERTAIN);
    assert_int_equal(rig->core.point_quality[2 * SITE_POINTS + 1], QUALITY_UNCERTAIN);
    core_rig_poll_bad(rig, 3000, 0, 1);
    assert_int_equal(rig->core.point_quality[1 * SITE_POINTS + 1], QUALITY_BAD);
    core_rig_poll_many(rig, 4000, 0, (const double[]){5, 2}, 2);
    assert_int_equal(rig->core.point_quality[2 * SITE_POINTS + 1], QUALITY_GOOD);
    core_rig_device(rig, 5000, 0, DEVICE_DEAD);
    for (unsigned p = 0; p < 4; p++)
        assert_int_equal(rig->core.point_quality[p], QUALITY_BAD);
    assert_int_equal(rig->core.point_quality[2 * SITE_POINTS + 1], QUALITY_BAD);
    core_rig_end(rig);
}

/* ---- composites ---- */

/* device-0/p0 above 10 and device-1/p0 below 5, for two seconds. */
static void composite(struct site *site) {
    site->terms[0] = (struct config_term){.kind = TERM_ALL, .span = 3};
    site->terms[1] = (struct config_term){.kind = TERM_ABOVE, .span = 1, .device = 0, .point = 0, .limit = 10};
    site->terms[2] = (struct config_term){.kind = TERM_BELOW, .span = 1, .device = 1, .point = 0, .limit = 5};
    site->alarms[1].condition = CONDITION_COMPOSITE;
    site->alarms[1].device = 0;
    site->alarms[1].point = CONFIG_NONE;
    site->alarms[1].terms_count = 3;
    site->alarms[1].on_delay_ms = 2000;
    site->alarms[0].limit = 1000;
}

static void test_composite_over_two_devices(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(composite);
    core_rig_poll(rig, 1000, 0, 0, 11);
    assert_false(rig->core.alarms[1].judged); /* the other half is not known */
    core_rig_step(rig, 10000);
    assert_int_equal(core_rig_state(rig, 1), ALARM_NORMAL);
    core_rig_poll(rig, 11000, 1, 0, 4);
    core_rig_poll(rig, 12000, 0, 0, 12);
    core_rig_step(rig, 12999);
    assert_int_equal(core_rig_state(rig, 1), ALARM_NORMAL);
    core_rig_poll_bad(rig, 12999, 1, 0); /* blind with a millisecond left: frozen */
    core_rig_step(rig, 60000);
    assert_int_equal(core_rig_state(rig, 1), ALARM_NORMAL);
    core_rig_poll(rig, 60000, 1, 0, 4);
    assert_int_equal(core_next_wake(&rig->core) <= 60001000, 1);
    core_rig_step(rig, 60001);
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED);
    struct alarm_event shown; /* value and limit are those of its first limit */
    describe_alarm(&rig->site.config, &rig->core.alarms[1].alarm, CAUSE_CONDITION, &shown);
    assert_true(shown.has_limit && shown.limit == 10 && shown.value.kind == VALUE_NUMBER && shown.value.number == 12);
    core_rig_device(rig, 61000, 0, DEVICE_DEAD); /* the device is gone: the alarm stays */
    core_rig_poll(rig, 62000, 1, 0, 4);
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED);
    core_rig_poll(rig, 63000, 1, 0, 6); /* but what is seen to be false is false, whatever the other may say */
    assert_int_equal(core_rig_state(rig, 1), ALARM_RETURNED);
    core_rig_end(rig);
}

/* fan on and purifier off, of one device, with no delay: both change between two polls, and at no time was one on and the other off. */
static void both_of_one(struct site *site) {
    composite(site);
    site->terms[2].device = 0;
    site->terms[2].point = 1;
    site->alarms[1].on_delay_ms = 0;
}

static void test_one_poll_is_one_moment(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(both_of_one);
    core_rig_poll_many(rig, 1000, 0, (const double[]){0, 0}, 2);
    for (int i = 0; i < 4; i++)
        core_rig_poll_many(rig, 2000 + 1000 * i, 0, i & 1 ? (const double[]){0, 0} : (const double[]){11, 11}, 2);
    assert_int_equal(rig->core.alarms[1].alarm.activations, 0);
    core_rig_poll_many(rig, 9000, 0, (const double[]){11, 0}, 2);
    assert_int_equal(rig->core.alarms[1].alarm.activations, 1);
    core_rig_end(rig);
}

/* A dead device makes what is derived from it bad, and the composite over that holds. */
static void over_derived(struct site *site) {
    composite(site);
    derive(site, 0, 2, DERIVE_ON_OFF, 1, (struct config_input){0, 1}, none);
    site->terms[1] = (struct config_term){.kind = TERM_EQUAL, .span = 1, .device = 0, .point = 2, .limit = 1};
    site->alarms[1].on_delay_ms = 0;
}

static void test_dead_device_derived_composite(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(over_derived);
    core_rig_poll(rig, 1000, 1, 0, 4);
    core_rig_poll(rig, 2000, 0, 1, 2.5);
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED); /* raw, derived, composite: in one step */
    core_rig_device(rig, 3000, 0, DEVICE_DEAD);
    assert_int_equal(rig->core.point_quality[2], QUALITY_BAD);
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED);
    core_rig_poll(rig, 4000, 1, 0, 4);
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED);
    core_rig_poll(rig, 5000, 0, 1, 0.5);
    assert_int_equal(core_rig_state(rig, 1), ALARM_RETURNED);
    core_rig_end(rig);
}

/* ---- what survives ---- */

static void run_hours(struct site *site) {
    derive(site, 2, 1, DERIVE_RUN_HOURS, 1, (struct config_input){2, 0}, none);
}

/* Run hours go on after a power cut, and begin anew with a cleaning. */
static void test_run_hours(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(run_hours);
    int64_t ms = 0;
    for (; ms <= 7200000; ms += 60000)
        core_rig_poll(rig, ms, 2, 0, 1);
    assert_true(newest(rig, 2, 1) > 1.99 && newest(rig, 2, 1) < 2.01);
    assert_non_null(core_rig_record(rig, "device-2", ".p1"));
    core_rig_cut(rig, ms, true);
    core_rig_poll(rig, ms, 2, 0, 1);
    double after = newest(rig, 2, 1);
    assert_true(after > 2 - 11.1 / 60 - 0.01 && after < 2.01); /* ten minutes and a poll are lost at most */
    struct command command = core_rig_command(rig, ms, COMMAND_MAINTENANCE, "device-2");
    command.fields |= FIELD_TYPE | FIELD_WHAT;
    strcpy(command.type, "cleaning");
    strcpy(command.what, "hood");
    assert_true(core_rig_ask(rig, ms, &command));
    core_rig_poll(rig, ms + 1000, 2, 0, 1);
    assert_true(newest(rig, 2, 1) < 0.01);
    core_rig_cut(rig, ms + 2000, true); /* in the commit of the command, not ten minutes later */
    core_rig_poll(rig, ms + 3000, 2, 0, 1);
    assert_true(newest(rig, 2, 1) < 0.01);
    core_rig_end(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_off_feeds_an_alarm),
        cmocka_unit_test(test_mean_feeds_an_alarm),
        cmocka_unit_test(test_diamond_is_computed_once_a_poll),
        cmocka_unit_test(test_worst_quality),
        cmocka_unit_test(test_composite_over_two_devices),
        cmocka_unit_test(test_one_poll_is_one_moment),
        cmocka_unit_test(test_dead_device_derived_composite),
        cmocka_unit_test(test_run_hours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
