/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alarm_rig.h"
#include "base/check.h"

static void test_names(void **state) {
    (void)state;
    static const char *const states[] = {"normal",  "unacknowledged", "acknowledged",   "returned", "latched",
                                         "shelved", "suppressed",     "out_of_service", "unknown"}; /* past the last: of a damaged entry */
    static const char *const causes[] = {"unknown", "condition", "return",   "acknowledge", "reset",          "restored",
                                         "shelve",  "unshelve",  "expired",  "suppress",    "release",        "out_of_service",
                                         "in_service", "realarm", "escalate", "walk_ended", "removed",        "unknown"};
    for (unsigned i = 0; i < ARRAY_COUNT(states); i++)
        assert_string_equal(alarm_state_name((enum alarm_state)i), states[i]);
    for (unsigned i = 0; i < ARRAY_COUNT(causes); i++)
        assert_string_equal(alarm_cause_name((enum alarm_cause)i), causes[i]);
    for (unsigned i = 0; i < ALARM_STATES_COUNT; i++) {
        assert_true(alarm_state_active((enum alarm_state)i) == (i == ALARM_UNACKNOWLEDGED || i == ALARM_ACKNOWLEDGED));
        assert_true(alarm_state_aside((enum alarm_state)i) == (i >= ALARM_SHELVED));
    }
}

/* ---- delays ---- */

static void test_on_delay(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.on_delay_ms = 5000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    assert_int_equal(rig_feed(&alarm, 1000, 11), 0);
    assert_int_equal(alarm_next_wake(&alarm), 6000000);
    assert_int_equal(rig_feed(&alarm, 5000, 12), 0); /* goes on, does not begin anew */
    assert_int_equal(alarm_next_wake(&alarm), 6000000);
    assert_int_equal(rig_tick(&alarm, 5999), 0);
    assert_int_equal(rig_tick(&alarm, 6000), CAUSE_CONDITION);
    assert_int_equal(alarm.since_ms, RIG_WALL_MS + 1000);
    assert_int_equal(alarm.at_ms, RIG_WALL_MS + 6000);
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    alarm_init(&alarm, &rule);
    assert_int_equal(rig_feed(&alarm, 1000, 11), 0);
    assert_int_equal(rig_feed(&alarm, 5999, 10), 0); /* at the limit is not above it */
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    assert_int_equal(rig_feed(&alarm, 7000, 11), 0);
    assert_int_equal(rig_feed(&alarm, 12000, 11), CAUSE_CONDITION); /* a reading at the deadline */
}

static void test_off_delay(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.off_delay_ms = 3000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    assert_int_equal(rig_feed(&alarm, 0, 11), CAUSE_CONDITION);
    assert_int_equal(rig_feed(&alarm, 1000, 9), 0);
    assert_true(rig_acknowledge(&alarm, 2000)); /* does not disturb the delay */
    assert_int_equal(alarm_next_wake(&alarm), 4000000);
    assert_int_equal(rig_feed(&alarm, 3000, 11), 0); /* over again: the delay ends */
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    assert_int_equal(rig_feed(&alarm, 5000, 9), 0);
    assert_int_equal(rig_tick(&alarm, 8000), CAUSE_RETURN);
    assert_int_equal(alarm.state, ALARM_NORMAL);
}

/* A person who takes the last occurrence does not push the next one away. */
static void test_a_person_does_not_stop_an_on_delay(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.on_delay_ms = 5000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    rig_feed(&alarm, 0, 11);
    assert_int_equal(rig_tick(&alarm, 5000), CAUSE_CONDITION);
    assert_int_equal(rig_feed(&alarm, 6000, 9), CAUSE_RETURN);
    assert_int_equal(rig_feed(&alarm, 10000, 11), 0);
    assert_true(rig_acknowledge(&alarm, 14000));
    assert_int_equal(alarm.state, ALARM_NORMAL);
    assert_int_equal(rig_tick(&alarm, 15000), CAUSE_CONDITION);
    assert_int_equal(alarm.since_ms, RIG_WALL_MS + 10000);

    rule.latch = true; /* and the same with a reset, while the data is gone */
    alarm_init(&alarm, &rule);
    rig_feed(&alarm, 0, 11);
    assert_int_equal(rig_tick(&alarm, 5000), CAUSE_CONDITION);
    assert_int_equal(rig_feed(&alarm, 6000, 9), CAUSE_RETURN);
    assert_int_equal(rig_feed(&alarm, 10000, 11), 0);
    assert_int_equal(rig_blind(&alarm, 13000), 0);
    assert_true(rig_acknowledge(&alarm, 14000));
    assert_true(rig_reset(&alarm, 14000));
    assert_int_equal(rig_feed(&alarm, 20000, 11), 0);
    assert_int_equal(rig_tick(&alarm, 22000), CAUSE_CONDITION);
}

/* ---- no data ---- */

static void test_blindness_freezes(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.on_delay_ms = 5000;
    rule.off_delay_ms = 5000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    int64_t ms = 0;
    for (; alarm.state == ALARM_NORMAL; ms += 2000) { /* a second seen, a second blind: five seconds seen are enough */
        assert_true(ms < 20000);
        rig_feed(&alarm, ms, 11);
        rig_blind(&alarm, ms + 1000);
        assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    }
    assert_int_equal(ms, 10000);
    for (int k = 0; k < 1000; k++) /* never clears */
        assert_int_equal(rig_blind(&alarm, ms += 1000), 0);
    assert_int_equal(rig_feed(&alarm, ms, 9), 0);
    assert_int_equal(rig_blind(&alarm, ms + 4999), 0);
    assert_int_equal(rig_tick(&alarm, ms + 100000), 0);
    assert_int_equal(alarm.state, ALARM_UNACKNOWLEDGED);
    assert_int_equal(rig_feed(&alarm, ms + 200000, 9), 0);
    assert_int_equal(rig_tick(&alarm, ms + 200001), CAUSE_RETURN);
}

/* What had run out before the data stopped is not undone by it, however late the timer is served. */
static void test_blind_after_the_deadline(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.on_delay_ms = 5000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    rig_feed(&alarm, 0, 11);
    rig_feed(&alarm, 4000, 11);
    assert_int_equal(rig_blind(&alarm, 5003), CAUSE_CONDITION);
}

static void test_values_that_are_no_numbers(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.on_delay_ms = 5000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    rig_feed(&alarm, 0, 11);
    struct now now = rig_at(2000);
    enum alarm_cause cause;
    struct value none = {.kind = VALUE_NONE}, text = {.kind = VALUE_TEXT, .text = "11"};
    assert_false(alarm_on_value(&alarm, &now, &none, &cause));
    assert_int_equal(alarm.frozen_us, 3000000);
    assert_false(alarm_on_value(&alarm, &now, &text, &cause));
    assert_int_equal(alarm.value.kind, VALUE_NUMBER); /* the newest good one */
    struct value whole = {.kind = VALUE_UNSIGNED, .whole = UINT64_MAX}, integer = {.kind = VALUE_INTEGER, .integer = -3};
    now = rig_at(9000);
    assert_false(alarm_on_value(&alarm, &now, &whole, &cause));
    assert_int_equal(alarm_next_wake(&alarm), 12000000);
    assert_false(alarm_on_value(&alarm, &now, &integer, &cause));
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
}

/* ---- deadband, equal, N of M, communication ---- */

static void test_deadband_above(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.deadband = 2;
    rule.on_delay_ms = rule.off_delay_ms = 3000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    assert_int_equal(rig_feed(&alarm, 0, 9), 0); /* inside, coming from below: as before */
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    assert_int_equal(rig_feed(&alarm, 1000, 10.5), 0);
    assert_int_equal(rig_feed(&alarm, 2000, 8.5), 0); /* inside, coming from above: the condition that began goes on */
    assert_int_equal(alarm_next_wake(&alarm), 4000000);
    assert_int_equal(rig_tick(&alarm, 4000), CAUSE_CONDITION);
    assert_int_equal(rig_feed(&alarm, 5000, 8.1), 0);
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    assert_int_equal(rig_feed(&alarm, 6000, 8), 0);   /* the far side: on its way back */
    assert_int_equal(rig_feed(&alarm, 7000, 9.9), 0); /* inside again: still on its way back */
    assert_int_equal(alarm_next_wake(&alarm), 9000000);
    assert_int_equal(rig_tick(&alarm, 9000), CAUSE_RETURN);
}

static void test_deadband_below(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.condition = CONDITION_BELOW;
    rule.deadband = 2;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    assert_int_equal(rig_feed(&alarm, 0, 10), 0);
    assert_int_equal(rig_feed(&alarm, 1, 9.999), CAUSE_CONDITION);
    assert_int_equal(rig_feed(&alarm, 2, 11.999), 0);
    assert_int_equal(rig_feed(&alarm, 3, 12), CAUSE_RETURN);
    assert_int_equal(rig_feed(&alarm, 4, 10.5), 0);
    assert_int_equal(rig_feed(&alarm, 5, -1e300), CAUSE_CONDITION);
}

static void test_equal(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.condition = CONDITION_EQUAL;
    rule.limit = 1;
    rule.label = "on";
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    assert_int_equal(rig_feed(&alarm, 0, 0), 0);
    assert_int_equal(rig_feed(&alarm, 1, 1), CAUSE_CONDITION);
    assert_int_equal(rig_feed(&alarm, 2, 2), CAUSE_RETURN);
}

static void test_n_of_m(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.of_n = 3;
    rule.of_m = 5;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    const double values[] = {11, 9, 11, 9, 9, 11, 11};
    for (unsigned i = 0; i + 1 < ARRAY_COUNT(values); i++)
        assert_int_equal(rig_feed(&alarm, i, values[i]), 0);
    assert_int_equal(rig_blind(&alarm, 6), 0);                         /* is no reading: neither counts nor pushes one out */
    assert_int_equal(rig_feed(&alarm, 7, values[6]), CAUSE_CONDITION); /* 11 9 9 11 11 */
    rule.of_n = rule.of_m = 32;
    alarm_init(&alarm, &rule);
    for (unsigned i = 0; i < 31; i++)
        assert_int_equal(rig_feed(&alarm, i, 11), 0);
    assert_int_equal(rig_feed(&alarm, 31, 11), CAUSE_CONDITION);
    assert_int_equal(rig_feed(&alarm, 32, 9), CAUSE_RETURN);
}

static void test_communication(void **state) {
    (void)state;
    struct config_alarm rule = {
        .name = "communication", .condition = CONDITION_COMMUNICATION, .point = CONFIG_NONE, .of_n = 1, .of_m = 1, .on_delay_ms = 2000};
    struct alarm alarm;
    enum alarm_cause cause;
    alarm_init(&alarm, &rule);
    struct now now = rig_at(0);
    assert_false(alarm_on_truth(&alarm, &now, true, &cause));
    now = rig_at(1500);
    assert_false(alarm_on_truth(&alarm, &now, true, &cause));
    assert_int_equal(rig_tick(&alarm, 2000), CAUSE_CONDITION);
    now = rig_at(2500);
    assert_true(alarm_on_truth(&alarm, &now, false, &cause));
    assert_int_equal(cause, CAUSE_RETURN);
    assert_int_equal(alarm.state, ALARM_RETURNED);
    alarm_check(&alarm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_on_delay),
        cmocka_unit_test(test_off_delay),
        cmocka_unit_test(test_a_person_does_not_stop_an_on_delay),
        cmocka_unit_test(test_blindness_freezes),
        cmocka_unit_test(test_blind_after_the_deadline),
        cmocka_unit_test(test_values_that_are_no_numbers),
        cmocka_unit_test(test_deadband_above),
        cmocka_unit_test(test_deadband_below),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_n_of_m),
        cmocka_unit_test(test_communication),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
