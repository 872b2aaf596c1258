/* SPDX-License-Identifier: Apache-2.0 */
/* What a person does with an alarm, what time does to it, and what is left of it after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alarm_rig.h"
#include "base/check.h"
#include "base/prng.h"

enum row { ROW_NORMAL, ROW_UNACKNOWLEDGED, ROW_ACKNOWLEDGED, ROW_RETURNED, ROW_LATCHED, ROW_LATCHED_ACKNOWLEDGED, ROWS };

static void bring(struct alarm *alarm, const struct config_alarm *rule, enum row row) {
    static const enum alarm_state states[ROWS] = {ALARM_NORMAL,   ALARM_UNACKNOWLEDGED, ALARM_ACKNOWLEDGED,
                                                  ALARM_RETURNED, ALARM_LATCHED,        ALARM_LATCHED};
    alarm_init(alarm, rule);
    alarm_check(alarm);
    if (row != ROW_NORMAL)
        assert_int_equal(rig_feed(alarm, 1, 11), CAUSE_CONDITION);
    if (row == ROW_ACKNOWLEDGED || row == ROW_LATCHED_ACKNOWLEDGED)
        assert_true(rig_acknowledge(alarm, 2));
    if (row == ROW_RETURNED || row == ROW_LATCHED || row == ROW_LATCHED_ACKNOWLEDGED)
        assert_int_equal(rig_feed(alarm, 3, 9), CAUSE_RETURN);
    assert_int_equal(alarm->state, states[row]);
    if (states[row] == ALARM_LATCHED)
        assert_true(alarm->acknowledged == (row == ROW_LATCHED_ACKNOWLEDGED));
}

static void test_latched_remembers_who_took_it(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.latch = true;
    struct alarm alarm;
    bring(&alarm, &rule, ROW_LATCHED);
    assert_false(rig_reset(&alarm, 10)); /* not acknowledged yet */
    assert_true(rig_acknowledge(&alarm, 11));
    assert_false(rig_acknowledge(&alarm, 12));
    assert_true(rig_reset(&alarm, 13));
    assert_int_equal(alarm.state, ALARM_NORMAL);
    bring(&alarm, &rule, ROW_LATCHED_ACKNOWLEDGED);
    assert_int_equal(rig_feed(&alarm, 20, 12), CAUSE_CONDITION);
    assert_int_equal(rig_feed(&alarm, 21, 9), CAUSE_RETURN);
    assert_false(alarm.acknowledged); /* the new one has not been taken */
    assert_int_equal(alarm.activations, 2);
}

/* ---- put aside ---- */

static const char *refused(bool (*put)(struct alarm *, const struct now *, const struct alarm_aside *, const char **), struct alarm *alarm,
                           struct now now, const char *by, const char *reason, int64_t until_ms) {
    struct alarm_aside aside = {.until_ms = until_ms};
    struct alarm before = *alarm;
    const char *why = NULL;
    strncpy(aside.by, by, sizeof(aside.by) - 1);
    strncpy(aside.reason, reason, sizeof(aside.reason) - 1);
    if (put(alarm, &now, &aside, &why)) {
        alarm_check(alarm);
        return "";
    }
    assert_memory_equal(alarm, &before, sizeof(before));
    return why;
}

static void test_shelf_rules(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    struct alarm alarm;
    struct now now = rig_at(0);
    alarm_init(&alarm, &rule);
    rule.class = CLASS_ELECTRICAL;
    for (int out = 0; out < 2; out++)
        for (int fire = 0; fire < 2; fire++) {
            bool (*put)(struct alarm *, const struct now *, const struct alarm_aside *, const char **) = out ? alarm_take_out : alarm_shelve;
            int64_t most_ms = out ? (fire ? ALARM_OUT_FIRE_MAX_MS : ALARM_OUT_MAX_MS) : (fire ? ALARM_SHELF_FIRE_MAX_MS : ALARM_SHELF_MAX_MS);
            rule.class = fire ? CLASS_FIRE : CLASS_ELECTRICAL;
            alarm_init(&alarm, &rule);
            assert_non_null(strstr(refused(put, &alarm, now, "", "why", now.wall_ms + 1000), "a person and a reason"));
            assert_non_null(strstr(refused(put, &alarm, now, "W", "", now.wall_ms + 1000), "a person and a reason"));
            assert_non_null(strstr(refused(put, &alarm, now, "W", "why", now.wall_ms), "not in the future"));
            assert_non_null(strstr(refused(put, &alarm, now, "W", "why", 0), "not in the future"));
            assert_non_null(strstr(refused(put, &alarm, now, "W", "why", INT64_MIN), "not in the future"));
            assert_non_null(strstr(refused(put, &alarm, now, "W", "why", now.wall_ms + most_ms + 1), "too long"));
            assert_non_null(strstr(refused(put, &alarm, now, "W", "why", INT64_MAX), "too long"));
            struct now guessed = now;
            guessed.wall_trusted = false;
            assert_non_null(strstr(refused(put, &alarm, guessed, "W", "why", now.wall_ms + 1000), "clock is not set"));
            assert_string_equal(refused(put, &alarm, now, "W", "why", now.wall_ms + most_ms), "");
            assert_int_equal(alarm_next_wake(&alarm), 1000 * most_ms);
            assert_string_equal(alarm.aside.by, "W");
            assert_string_equal(alarm.aside.reason, "why");
            assert_string_equal(refused(put, &alarm, now, "V", "else", now.wall_ms + 5000), ""); /* a new end, person and reason */
            assert_int_equal(alarm_next_wake(&alarm), 5000000);
            assert_string_equal(alarm.aside.by, "V");
            assert_int_equal(rig_tick(&alarm, 4999), 0);
            assert_int_equal(rig_tick(&alarm, 5000), CAUSE_EXPIRED);
            assert_int_equal(alarm.state, ALARM_NORMAL);
            assert_true(!alarm.aside.by[0] && !alarm.aside.reason[0] && !alarm.aside.until_ms);
            assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
        }
}

/* A delay that began goes on behind the shelf, and one that ends with the shelf is not lost. */
static void test_delays_behind_a_shelf(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    struct alarm alarm;
    rule.on_delay_ms = 5000;
    alarm_init(&alarm, &rule);
    rig_feed(&alarm, 0, 11);
    assert_true(rig_shelve(&alarm, 1000, 4000));
    assert_int_equal(rig_tick(&alarm, 5000), CAUSE_EXPIRED); /* both at once: the condition first */
    assert_int_equal(alarm.state, ALARM_UNACKNOWLEDGED);
    assert_int_equal(alarm.since_ms, RIG_WALL_MS);
    alarm_init(&alarm, &rule);
    rig_feed(&alarm, 0, 11);
    assert_true(rig_shelve(&alarm, 1000, 60000));
    assert_true(rig_unshelve(&alarm, 3000));
    assert_int_equal(alarm.state, ALARM_NORMAL);
    assert_int_equal(rig_tick(&alarm, 5000), CAUSE_CONDITION);
    alarm_init(&alarm, &rule); /* blind on the shelf: frozen there as anywhere */
    rig_feed(&alarm, 0, 11);
    assert_true(rig_shelve(&alarm, 1000, 60000));
    rig_blind(&alarm, 2000);
    assert_int_equal(rig_tick(&alarm, 50000), 0);
    rig_feed(&alarm, 50000, 11);
    assert_int_equal(rig_tick(&alarm, 52999), 0);
    assert_false(alarm.abnormal);
    assert_int_equal(rig_tick(&alarm, 53000), 0);
    assert_true(alarm.abnormal);
}

/* ---- told again ---- */

static void test_realarm_and_escalation(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.realarm_ms = 10000;
    rule.escalate_ms = 25000;
    rule.priority = PRIORITY_LOW;
    rule.latch = true;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    rig_feed(&alarm, 0, 11);
    assert_int_equal(alarm_next_wake(&alarm), 10000000);
    assert_int_equal(rig_tick(&alarm, 9999), 0);
    assert_int_equal(rig_tick(&alarm, 10000), CAUSE_REALARM);
    assert_int_equal(rig_tick(&alarm, 10000), 0);
    assert_int_equal(rig_feed(&alarm, 12000, 9), CAUSE_RETURN); /* gone, and still nobody took it: the clocks go on */
    assert_int_equal(rig_tick(&alarm, 20000), CAUSE_REALARM);
    assert_int_equal(rig_tick(&alarm, 25000), CAUSE_ESCALATE);
    assert_int_equal(alarm_priority(&alarm), PRIORITY_MEDIUM);
    assert_int_equal(alarm.state, ALARM_LATCHED);
    assert_int_equal(rig_tick(&alarm, 30000), CAUSE_REALARM);
    assert_int_equal(rig_tick(&alarm, 39999), 0); /* it escalates once */
    assert_int_equal(rig_feed(&alarm, 39999, 11), CAUSE_CONDITION); /* a new activation: the clocks begin anew */
    assert_int_equal(alarm_next_wake(&alarm), 49999000);
    assert_true(rig_acknowledge(&alarm, 45000));
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    assert_int_equal(rig_feed(&alarm, 50000, 9), CAUSE_RETURN); /* taken: nothing to tell again */
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    assert_int_equal(alarm_priority(&alarm), PRIORITY_MEDIUM);
    assert_true(rig_reset(&alarm, 51000));
    assert_int_equal(alarm_priority(&alarm), PRIORITY_LOW); /* of the next occurrence */
    rule.priority = PRIORITY_HIGH;
    rig_feed(&alarm, 60000, 11);
    assert_int_equal(rig_tick(&alarm, 85000), CAUSE_ESCALATE); /* both are due: one after the other */
    assert_int_equal(rig_tick(&alarm, 85000), CAUSE_REALARM);
    assert_int_equal(alarm_priority(&alarm), PRIORITY_HIGH); /* there is none above it */
    assert_true(rig_shelve(&alarm, 86000, 1000));            /* on a shelf nobody is reminded */
    assert_int_equal(rig_tick(&alarm, 86999), 0);
    assert_int_equal(rig_tick(&alarm, 87000), CAUSE_EXPIRED);
    assert_int_equal(rig_tick(&alarm, 97000), CAUSE_REALARM);
}

/* ---- restart ---- */

static struct alarm restored(const struct alarm *alarm, const struct config_alarm *rule) {
    uint8_t bytes[ALARM_RECORD_SIZE];
    struct alarm back;
    size_t size = alarm_record_put(alarm, bytes);
    alarm_init(&back, rule);
    assert_true(alarm_record_get(&back, bytes, size));
    alarm_check(&back);
    return back;
}

static void test_restart_of_a_shelf(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    for (int fire = 0; fire < 2; fire++)
        for (int out = 0; out < 2; out++)
            for (int active = 0; active < 2; active++) {
                rule.class = fire ? CLASS_FIRE : CLASS_ELECTRICAL;
                struct alarm alarm, back;
                alarm_init(&alarm, &rule);
                assert_true(out ? rig_take_out(&alarm, 0, 600000) : rig_shelve(&alarm, 0, 600000));
                if (active)
                    rig_feed(&alarm, 10, 11);
                struct now now = {.mono_us = 5000000, .wall_ms = RIG_WALL_MS + 200000, .wall_trusted = true};
                back = restored(&alarm, &rule);
                assert_false(alarm_on_restart(&back, &now)); /* goes on, with its own end */
                alarm_check(&back);
                assert_int_equal(back.state, alarm.state);
                assert_int_equal(alarm_next_wake(&back), 5000000 + 400000000);
                assert_string_equal(back.aside.by, "W");
                assert_true(back.abnormal == active);
                enum alarm_state ended = active ? ALARM_UNACKNOWLEDGED : ALARM_NORMAL;
                now.wall_trusted = false; /* nobody knows how late it is */
                back = restored(&alarm, &rule);
                assert_true(alarm_on_restart(&back, &now));
                alarm_check(&back);
                assert_int_equal(back.state, ended);
                now.wall_trusted = true;
                now.wall_ms = RIG_WALL_MS + 600000; /* over while the gateway was off */
                back = restored(&alarm, &rule);
                assert_true(alarm_on_restart(&back, &now));
                assert_int_equal(back.state, ended);
                now.wall_ms = RIG_WALL_MS - 365 * 86400000ll; /* the clock was set back: never longer than it may be */
                back = restored(&alarm, &rule);
                assert_false(alarm_on_restart(&back, &now));
                int64_t most_ms = out ? (fire ? ALARM_OUT_FIRE_MAX_MS : ALARM_OUT_MAX_MS) : (fire ? ALARM_SHELF_FIRE_MAX_MS : ALARM_SHELF_MAX_MS);
                assert_int_equal(alarm_next_wake(&back), 5000000 + 1000 * most_ms);
            }
}

static void test_restart_of_what_waits_for_a_person(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.realarm_ms = 10000;
    rule.escalate_ms = 30000;
    for (enum row row = 0; row < ROWS; row++) {
        rule.latch = row >= ROW_LATCHED;
        struct alarm alarm, back;
        bring(&alarm, &rule, row);
        alarm.occurrence_seq = row != ROW_NORMAL;
        struct now now = {.mono_us = 7000000, .wall_ms = RIG_WALL_MS + 100000, .wall_trusted = false};
        back = restored(&alarm, &rule);
        assert_false(alarm_on_restart(&back, &now));
        alarm_check(&back);
        bool waits = row == ROW_UNACKNOWLEDGED || row == ROW_RETURNED || row == ROW_LATCHED;
        assert_int_equal(alarm_next_wake(&back), waits ? 17000000 : NOW_NEVER);
    }
    struct alarm alarm;
    bring(&alarm, &rule, ROW_LATCHED);
    assert_int_equal(rig_tick(&alarm, 31000), CAUSE_ESCALATE);
    alarm.occurrence_seq = 1;
    alarm = restored(&alarm, &rule);
    struct now now = rig_at(0);
    alarm_on_restart(&alarm, &now);
    assert_true(alarm.raised && alarm.escalate_us == NOW_NEVER); /* it escalates once, over a restart too */
}

/* ---- records ---- */

static void test_record_round_trip(void **state) {
    (void)state;
    for (enum row row = 0; row < ROWS; row++) {
        struct config_alarm rule = rig_rule_above();
        rule.latch = row >= ROW_LATCHED;
        struct alarm alarm, back;
        bring(&alarm, &rule, row);
        if (alarm.state != ALARM_NORMAL) {
            alarm.occurrence_start = UINT64_MAX;
            alarm.occurrence_seq = UINT64_MAX;
        }
        alarm.since_ms = INT64_MIN;
        alarm.at_ms = INT64_MAX;
        alarm.history = UINT32_MAX;
        uint8_t bytes[ALARM_RECORD_SIZE];
        size_t size = alarm_record_put(&alarm, bytes);
        alarm_init(&back, &rule);
        assert_true(alarm_record_get(&back, bytes, size));
        alarm_check(&back);
        back.activations = alarm.activations;
        assert_int_equal(back.state, alarm.state);
        assert_true(back.acknowledged == alarm.acknowledged && back.history == (alarm.abnormal ? alarm.history : 0) && back.since_ms == alarm.since_ms);
        assert_true(back.at_ms == alarm.at_ms && back.occurrence_start == alarm.occurrence_start && back.occurrence_seq == alarm.occurrence_seq);
        assert_int_equal(back.value.kind, alarm.value.kind);
        if (back.value.kind == VALUE_NUMBER)
            assert_true(back.value.number == alarm.value.number);
        size_t older = size - 2;  /* where the records of earlier versions end: before class and priority, */
        size_t oldest = older - 6; /* and before three flags, an end and two empty texts */
        for (size_t cut = 0; cut < size; cut++) { /* a cut record is refused and leaves the alarm as it was */
            bool whole = cut == older || cut == oldest;
            struct alarm_remains remains;
            alarm_init(&back, &rule);
            assert_true(alarm_record_get(&back, bytes, cut) == whole);
            assert_int_equal(back.state, whole ? alarm.state : ALARM_NORMAL);
            alarm_check(&back);
            alarm_record_look(&remains, bytes, cut);
            assert_true(remains.state == (whole ? alarm.state : ALARM_UNKNOWN) && remains.class == ALARM_UNKNOWN && remains.priority == ALARM_UNKNOWN);
        }
    }
}

/* Without its rule: what it was, and of which class and priority. */
static void test_record_of_what_was_removed(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    struct alarm alarm;
    struct alarm_remains remains;
    uint8_t bytes[ALARM_RECORD_SIZE];
    rule.class = CLASS_FIRE;
    rule.priority = PRIORITY_MEDIUM;
    bring(&alarm, &rule, ROW_UNACKNOWLEDGED);
    alarm.occurrence_start = 7;
    alarm.occurrence_seq = 8;
    alarm.raised = true; /* told one priority higher */
    size_t size = alarm_record_put(&alarm, bytes);
    alarm_record_look(&remains, bytes, size);
    assert_true(remains.state == ALARM_UNACKNOWLEDGED && remains.class == CLASS_FIRE && remains.priority == PRIORITY_HIGH);
    assert_true(remains.occurrence_start == 7 && remains.occurrence_seq == 8 && remains.since_ms == alarm.since_ms);
    bytes[size - 2] = CLASS_MAINTENANCE + 1; /* of a newer version */
    alarm_record_look(&remains, bytes, size);
    assert_true(remains.state == ALARM_UNACKNOWLEDGED && remains.class == ALARM_UNKNOWN && remains.priority == ALARM_UNKNOWN);
}

/* What came later: who put it aside and what is owed for it. */
static void test_record_of_what_is_aside(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 8; bits++) {
        struct config_alarm rule = rig_rule_above();
        rule.latch = bits & 1;
        rule.class = CLASS_ELECTRICAL;
        struct alarm alarm;
        alarm_init(&alarm, &rule);
        if (bits & 2) {
            rig_feed(&alarm, 1, 11);
            alarm.occurrence_start = alarm.occurrence_seq = 3;
        }
        assert_true(bits & 4 ? rig_take_out(&alarm, 2, 3600000) : rig_shelve(&alarm, 2, 3600000));
        memset(alarm.aside.by, 'b', NAME_SIZE - 1); /* at their longest */
        memset(alarm.aside.reason, 'r', ALARM_REASON_SIZE - 1);
        alarm.raised = bits & 2;
        struct alarm back = restored(&alarm, &rule);
        assert_int_equal(back.state, alarm.state);
        assert_true(back.abnormal == alarm.abnormal && back.owed == alarm.owed && back.raised == alarm.raised);
        assert_true(back.owed == ((bits & 3) == 3));
        assert_string_equal(back.aside.by, alarm.aside.by);
        assert_string_equal(back.aside.reason, alarm.aside.reason);
        assert_int_equal(back.aside.until_ms, alarm.aside.until_ms);
        assert_int_equal(back.occurrence_seq, alarm.occurrence_seq);
    }
    struct config_alarm rule = rig_rule_above();
    struct alarm alarm;
    rule.class = CLASS_FAULT;
    alarm_init(&alarm, &rule);
    rig_suppress(&alarm, 0, true);
    rig_feed(&alarm, 1, 11);
    struct alarm back = restored(&alarm, &rule);
    assert_true(back.state == ALARM_SUPPRESSED && back.abnormal);
    rule.class = CLASS_FIRE; /* it became fire while the gateway was off: fire is never suppressed */
    back = restored(&alarm, &rule);
    assert_true(back.state == ALARM_NORMAL && !back.abnormal);
}

static void test_record_of_another_rule(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    rule.latch = true;
    struct alarm alarm;
    uint8_t bytes[ALARM_RECORD_SIZE];
    for (int acknowledged = 0; acknowledged < 2; acknowledged++) {
        rule.latch = true;
        bring(&alarm, &rule, acknowledged ? ROW_LATCHED_ACKNOWLEDGED : ROW_LATCHED);
        alarm.occurrence_seq = 7;
        size_t size = alarm_record_put(&alarm, bytes);
        rule.latch = false; /* the site took latching away while the gateway was off */
        alarm_init(&alarm, &rule);
        assert_true(alarm_record_get(&alarm, bytes, size));
        assert_int_equal(alarm.state, acknowledged ? ALARM_NORMAL : ALARM_RETURNED);
        assert_int_equal(alarm.occurrence_seq, acknowledged ? 0 : 7);
        alarm_check(&alarm);
    }
}

static void test_record_damaged(void **state) {
    (void)state;
    struct prng prng;
    prng_init(&prng, 5);
    struct config_alarm rule = rig_rule_above();
    rule.of_n = 2;
    rule.of_m = 3;
    for (unsigned i = 0; i < 20000; i++) {
        struct alarm alarm;
        uint8_t bytes[ALARM_RECORD_SIZE];
        rule.latch = i & 1;
        rule.of_n = rule.of_m = 1;
        bring(&alarm, &rule, rule.latch ? ROW_LATCHED : ROW_RETURNED);
        if (i & 2)
            rig_shelve(&alarm, 10, 60000);
        size_t size = alarm_record_put(&alarm, bytes);
        for (unsigned k = 0; k < 3; k++)
            bytes[prng_below(&prng, size)] = (uint8_t)prng_next(&prng);
        alarm_init(&alarm, &rule);
        (void)alarm_record_get(&alarm, bytes, prng_below(&prng, size + 1));
        alarm_check(&alarm);
        struct now now = rig_at(100);
        now.wall_trusted = i & 4;
        alarm.occurrence_seq = 0; /* the core's matter */
        alarm_on_restart(&alarm, &now);
        for (unsigned k = 0; k < 8; k++)
            rig_feed(&alarm, 100 + k, (double)prng_below(&prng, 20));
    }
}

/* What escalated in a walk test begins at its own priority when it becomes real, and escalates anew. */
static void test_escalation_begins_with_the_real_one(void **state) {
    (void)state;
    struct config_alarm rule = rig_rule_above();
    struct alarm alarm;
    struct now now = rig_at(40000);
    rule.escalate_ms = 25000;
    rule.priority = PRIORITY_LOW;
    alarm_init(&alarm, &rule);
    rig_feed(&alarm, 0, 11);
    assert_int_equal(rig_tick(&alarm, 25000), CAUSE_ESCALATE);
    assert_int_equal(alarm_priority(&alarm), PRIORITY_MEDIUM);
    assert_true(alarm_test_ended(&alarm, &now));
    alarm_check(&alarm);
    assert_int_equal(alarm_priority(&alarm), PRIORITY_LOW);
    assert_int_equal(rig_tick(&alarm, 64999), 0);
    assert_int_equal(rig_tick(&alarm, 65000), CAUSE_ESCALATE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shelf_rules),
        cmocka_unit_test(test_delays_behind_a_shelf),
        cmocka_unit_test(test_realarm_and_escalation),
        cmocka_unit_test(test_escalation_begins_with_the_real_one),
        cmocka_unit_test(test_restart_of_a_shelf),
        cmocka_unit_test(test_restart_of_what_waits_for_a_person),
        cmocka_unit_test(test_record_round_trip),
        cmocka_unit_test(test_record_of_what_was_removed),
        cmocka_unit_test(test_record_of_what_is_aside),
        cmocka_unit_test(test_record_of_another_rule),
        cmocka_unit_test(test_record_damaged),
        cmocka_unit_test(test_latched_remembers_who_took_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
