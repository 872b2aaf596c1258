/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "gateway/core/alarm.h"

#define WALL_MS INT64_C(1790000000000)

static struct now at(int64_t ms) {
    return (struct now){.mono_us = ms * 1000, .wall_ms = WALL_MS + ms, .wall_trusted = true};
}

static struct value number(double n) {
    return (struct value){.kind = VALUE_NUMBER, .number = n};
}

/* Feeds a value as the core does: the value, then the time. Returns the cause of the change, 0 for none. */
static int feed(struct alarm *alarm, int64_t ms, double n) {
    struct now now = at(ms);
    struct value value = number(n);
    enum alarm_cause cause = 0;
    bool changed = alarm_on_value(alarm, &now, &value, &cause) || (alarm_next_wake(alarm) <= now.mono_us && alarm_on_time(alarm, &now, &cause));
    alarm_check(alarm);
    return changed ? (int)cause : 0;
}

static int blind(struct alarm *alarm, int64_t ms) {
    struct now now = at(ms);
    enum alarm_cause cause = 0;
    alarm_on_blind(alarm, &now);
    bool changed = alarm_next_wake(alarm) <= now.mono_us && alarm_on_time(alarm, &now, &cause);
    alarm_check(alarm);
    return changed ? (int)cause : 0;
}

static int tick(struct alarm *alarm, int64_t ms) {
    struct now now = at(ms);
    enum alarm_cause cause = 0;
    bool changed = alarm_on_time(alarm, &now, &cause);
    alarm_check(alarm);
    return changed ? (int)cause : 0;
}

static bool acknowledge(struct alarm *alarm, int64_t ms) {
    struct now now = at(ms);
    const char *why = NULL;
    bool changed = alarm_acknowledge(alarm, &now, &why);
    assert_true(changed == (why == NULL));
    alarm_check(alarm);
    return changed;
}

static bool reset(struct alarm *alarm, int64_t ms) {
    struct now now = at(ms);
    const char *why = NULL;
    bool changed = alarm_reset(alarm, &now, &why);
    assert_true(changed == (why == NULL));
    alarm_check(alarm);
    return changed;
}

static struct config_alarm rule_above(void) {
    return (struct config_alarm){.name = "high", .condition = CONDITION_ABOVE, .limit = 10, .of_n = 1, .of_m = 1, .zh = "", .en = ""};
}

/* ---- the table at the top of alarm.c, row by row ---- */

enum row { ROW_NORMAL, ROW_UNACKNOWLEDGED, ROW_ACKNOWLEDGED, ROW_RETURNED, ROW_LATCHED, ROW_LATCHED_ACKNOWLEDGED, ROWS };

static void bring(struct alarm *alarm, const struct config_alarm *rule, enum row row) {
    static const enum alarm_state states[ROWS] = {ALARM_NORMAL,   ALARM_UNACKNOWLEDGED, ALARM_ACKNOWLEDGED,
                                                  ALARM_RETURNED, ALARM_LATCHED,        ALARM_LATCHED};
    alarm_init(alarm, rule);
    alarm_check(alarm);
    if (row != ROW_NORMAL)
        assert_int_equal(feed(alarm, 1, 11), CAUSE_CONDITION);
    if (row == ROW_ACKNOWLEDGED || row == ROW_LATCHED_ACKNOWLEDGED)
        assert_true(acknowledge(alarm, 2));
    if (row == ROW_RETURNED || row == ROW_LATCHED || row == ROW_LATCHED_ACKNOWLEDGED)
        assert_int_equal(feed(alarm, 3, 9), CAUSE_RETURN);
    assert_int_equal(alarm->state, states[row]);
    if (states[row] == ALARM_LATCHED)
        assert_true(alarm->acknowledged == (row == ROW_LATCHED_ACKNOWLEDGED));
}

struct expected {
    int cause; /* of a change by condition or return; 1 or 0 by a person */
    enum alarm_state state;
};

struct table_row {
    enum row row;
    bool latch;
    struct expected condition, back, acknowledge, reset;
};

static const struct table_row table[] = {
    {ROW_NORMAL, false, {CAUSE_CONDITION, ALARM_UNACKNOWLEDGED}, {0, ALARM_NORMAL}, {0, ALARM_NORMAL}, {0, ALARM_NORMAL}},
    {ROW_NORMAL, true, {CAUSE_CONDITION, ALARM_UNACKNOWLEDGED}, {0, ALARM_NORMAL}, {0, ALARM_NORMAL}, {0, ALARM_NORMAL}},
    {ROW_UNACKNOWLEDGED, false, {0, ALARM_UNACKNOWLEDGED}, {CAUSE_RETURN, ALARM_RETURNED}, {1, ALARM_ACKNOWLEDGED}, {0, ALARM_UNACKNOWLEDGED}},
    {ROW_UNACKNOWLEDGED, true, {0, ALARM_UNACKNOWLEDGED}, {CAUSE_RETURN, ALARM_LATCHED}, {1, ALARM_ACKNOWLEDGED}, {0, ALARM_UNACKNOWLEDGED}},
    {ROW_ACKNOWLEDGED, false, {0, ALARM_ACKNOWLEDGED}, {CAUSE_RETURN, ALARM_NORMAL}, {0, ALARM_ACKNOWLEDGED}, {0, ALARM_ACKNOWLEDGED}},
    {ROW_ACKNOWLEDGED, true, {0, ALARM_ACKNOWLEDGED}, {CAUSE_RETURN, ALARM_LATCHED}, {0, ALARM_ACKNOWLEDGED}, {0, ALARM_ACKNOWLEDGED}},
    {ROW_RETURNED, false, {CAUSE_CONDITION, ALARM_UNACKNOWLEDGED}, {0, ALARM_RETURNED}, {1, ALARM_NORMAL}, {0, ALARM_RETURNED}},
    {ROW_LATCHED, true, {CAUSE_CONDITION, ALARM_UNACKNOWLEDGED}, {0, ALARM_LATCHED}, {1, ALARM_LATCHED}, {0, ALARM_LATCHED}},
    {ROW_LATCHED_ACKNOWLEDGED, true, {CAUSE_CONDITION, ALARM_UNACKNOWLEDGED}, {0, ALARM_LATCHED}, {0, ALARM_LATCHED}, {1, ALARM_NORMAL}},
};

static void test_table(void **state) {
    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
        const struct table_row *row = &table[i];
        struct config_alarm rule = rule_above();
        rule.latch = row->latch;
        struct alarm alarm;
        bring(&alarm, &rule, row->row);
        assert_int_equal(feed(&alarm, 10, 11), row->condition.cause);
        assert_int_equal(alarm.state, row->condition.state);
        bring(&alarm, &rule, row->row);
        assert_int_equal(feed(&alarm, 10, 9), row->back.cause);
        assert_int_equal(alarm.state, row->back.state);
        bring(&alarm, &rule, row->row);
        assert_int_equal(acknowledge(&alarm, 10), row->acknowledge.cause);
        assert_int_equal(alarm.state, row->acknowledge.state);
        bring(&alarm, &rule, row->row);
        assert_int_equal(reset(&alarm, 10), row->reset.cause);
        assert_int_equal(alarm.state, row->reset.state);
        bring(&alarm, &rule, row->row);
        struct alarm before = alarm;
        assert_int_equal(blind(&alarm, 10), 0);
        assert_memory_equal(&alarm, &before, sizeof(alarm));
    }
}

static void test_latched_remembers_who_took_it(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.latch = true;
    struct alarm alarm;
    bring(&alarm, &rule, ROW_LATCHED);
    assert_false(reset(&alarm, 10)); /* not acknowledged yet */
    assert_true(acknowledge(&alarm, 11));
    assert_false(acknowledge(&alarm, 12));
    assert_true(reset(&alarm, 13));
    assert_int_equal(alarm.state, ALARM_NORMAL);
    bring(&alarm, &rule, ROW_LATCHED_ACKNOWLEDGED);
    assert_int_equal(feed(&alarm, 20, 12), CAUSE_CONDITION);
    assert_int_equal(feed(&alarm, 21, 9), CAUSE_RETURN);
    assert_false(alarm.acknowledged); /* the new one has not been taken */
    assert_int_equal(alarm.activations, 2);
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(alarm_state_name(ALARM_NORMAL), "normal");
    assert_string_equal(alarm_state_name(ALARM_UNACKNOWLEDGED), "unacknowledged");
    assert_string_equal(alarm_state_name(ALARM_ACKNOWLEDGED), "acknowledged");
    assert_string_equal(alarm_state_name(ALARM_RETURNED), "returned");
    assert_string_equal(alarm_state_name(ALARM_LATCHED), "latched");
    assert_string_equal(alarm_state_name((enum alarm_state)99), "unknown"); /* as a damaged entry may say */
    assert_string_equal(alarm_cause_name(CAUSE_CONDITION), "condition");
    assert_string_equal(alarm_cause_name(CAUSE_RETURN), "return");
    assert_string_equal(alarm_cause_name(CAUSE_ACKNOWLEDGE), "acknowledge");
    assert_string_equal(alarm_cause_name(CAUSE_RESET), "reset");
    assert_string_equal(alarm_cause_name(CAUSE_RESTORED), "restored");
    assert_string_equal(alarm_cause_name((enum alarm_cause)0), "unknown");
}

/* ---- delays ---- */

static void test_on_delay(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.on_delay_ms = 5000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    assert_int_equal(feed(&alarm, 1000, 11), 0);
    assert_int_equal(alarm_next_wake(&alarm), 6000000);
    assert_int_equal(feed(&alarm, 5000, 12), 0); /* goes on, does not begin anew */
    assert_int_equal(alarm_next_wake(&alarm), 6000000);
    assert_int_equal(tick(&alarm, 5999), 0);
    assert_int_equal(tick(&alarm, 6000), CAUSE_CONDITION);
    assert_int_equal(alarm.since_ms, WALL_MS + 1000);
    assert_int_equal(alarm.at_ms, WALL_MS + 6000);
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    alarm_init(&alarm, &rule);
    assert_int_equal(feed(&alarm, 1000, 11), 0);
    assert_int_equal(feed(&alarm, 5999, 10), 0); /* at the limit is not above it */
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    assert_int_equal(feed(&alarm, 7000, 11), 0);
    assert_int_equal(feed(&alarm, 12000, 11), CAUSE_CONDITION); /* a reading at the deadline */
}

static void test_off_delay(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.off_delay_ms = 3000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    assert_int_equal(feed(&alarm, 0, 11), CAUSE_CONDITION);
    assert_int_equal(feed(&alarm, 1000, 9), 0);
    assert_true(acknowledge(&alarm, 2000)); /* does not disturb the delay */
    assert_int_equal(alarm_next_wake(&alarm), 4000000);
    assert_int_equal(feed(&alarm, 3000, 11), 0); /* over again: the delay ends */
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    assert_int_equal(feed(&alarm, 5000, 9), 0);
    assert_int_equal(tick(&alarm, 8000), CAUSE_RETURN);
    assert_int_equal(alarm.state, ALARM_NORMAL);
}

/* A person who takes the last occurrence does not push the next one away. */
static void test_a_person_does_not_stop_an_on_delay(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.on_delay_ms = 5000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    feed(&alarm, 0, 11);
    assert_int_equal(tick(&alarm, 5000), CAUSE_CONDITION);
    assert_int_equal(feed(&alarm, 6000, 9), CAUSE_RETURN);
    assert_int_equal(feed(&alarm, 10000, 11), 0);
    assert_true(acknowledge(&alarm, 14000));
    assert_int_equal(alarm.state, ALARM_NORMAL);
    assert_int_equal(tick(&alarm, 15000), CAUSE_CONDITION);
    assert_int_equal(alarm.since_ms, WALL_MS + 10000);

    rule.latch = true; /* and the same with a reset, while the data is gone */
    alarm_init(&alarm, &rule);
    feed(&alarm, 0, 11);
    assert_int_equal(tick(&alarm, 5000), CAUSE_CONDITION);
    assert_int_equal(feed(&alarm, 6000, 9), CAUSE_RETURN);
    assert_int_equal(feed(&alarm, 10000, 11), 0);
    assert_int_equal(blind(&alarm, 13000), 0);
    assert_true(acknowledge(&alarm, 14000));
    assert_true(reset(&alarm, 14000));
    assert_int_equal(feed(&alarm, 20000, 11), 0);
    assert_int_equal(tick(&alarm, 22000), CAUSE_CONDITION);
}

/* ---- no data ---- */

static void test_blindness_freezes(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.on_delay_ms = 5000;
    rule.off_delay_ms = 5000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    int64_t ms = 0;
    for (; alarm.state == ALARM_NORMAL; ms += 2000) { /* a second seen, a second blind: five seconds seen are enough */
        assert_true(ms < 20000);
        feed(&alarm, ms, 11);
        blind(&alarm, ms + 1000);
        assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    }
    assert_int_equal(ms, 10000);
    for (int k = 0; k < 1000; k++) /* never clears */
        assert_int_equal(blind(&alarm, ms += 1000), 0);
    assert_int_equal(feed(&alarm, ms, 9), 0);
    assert_int_equal(blind(&alarm, ms + 4999), 0);
    assert_int_equal(tick(&alarm, ms + 100000), 0);
    assert_int_equal(alarm.state, ALARM_UNACKNOWLEDGED);
    assert_int_equal(feed(&alarm, ms + 200000, 9), 0);
    assert_int_equal(tick(&alarm, ms + 200001), CAUSE_RETURN);
}

/* What had run out before the data stopped is not undone by it, however late the timer is served. */
static void test_blind_after_the_deadline(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.on_delay_ms = 5000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    feed(&alarm, 0, 11);
    feed(&alarm, 4000, 11);
    assert_int_equal(blind(&alarm, 5003), CAUSE_CONDITION);
}

static void test_values_that_are_no_numbers(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.on_delay_ms = 5000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    feed(&alarm, 0, 11);
    struct now now = at(2000);
    enum alarm_cause cause;
    struct value none = {.kind = VALUE_NONE}, text = {.kind = VALUE_TEXT, .text = "11"};
    assert_false(alarm_on_value(&alarm, &now, &none, &cause));
    assert_int_equal(alarm.frozen_us, 3000000);
    assert_false(alarm_on_value(&alarm, &now, &text, &cause));
    assert_int_equal(alarm.value.kind, VALUE_NUMBER); /* the newest good one */
    struct value whole = {.kind = VALUE_UNSIGNED, .whole = UINT64_MAX}, integer = {.kind = VALUE_INTEGER, .integer = -3};
    now = at(9000);
    assert_false(alarm_on_value(&alarm, &now, &whole, &cause));
    assert_int_equal(alarm_next_wake(&alarm), 12000000);
    assert_false(alarm_on_value(&alarm, &now, &integer, &cause));
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
}

/* ---- deadband, equal, N of M, communication ---- */

static void test_deadband_above(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.deadband = 2;
    rule.on_delay_ms = rule.off_delay_ms = 3000;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    assert_int_equal(feed(&alarm, 0, 9), 0); /* inside, coming from below: as before */
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    assert_int_equal(feed(&alarm, 1000, 10.5), 0);
    assert_int_equal(feed(&alarm, 2000, 8.5), 0); /* inside, coming from above: the condition that began goes on */
    assert_int_equal(alarm_next_wake(&alarm), 4000000);
    assert_int_equal(tick(&alarm, 4000), CAUSE_CONDITION);
    assert_int_equal(feed(&alarm, 5000, 8.1), 0);
    assert_int_equal(alarm_next_wake(&alarm), NOW_NEVER);
    assert_int_equal(feed(&alarm, 6000, 8), 0);   /* the far side: on its way back */
    assert_int_equal(feed(&alarm, 7000, 9.9), 0); /* inside again: still on its way back */
    assert_int_equal(alarm_next_wake(&alarm), 9000000);
    assert_int_equal(tick(&alarm, 9000), CAUSE_RETURN);
}

static void test_deadband_below(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.condition = CONDITION_BELOW;
    rule.deadband = 2;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    assert_int_equal(feed(&alarm, 0, 10), 0);
    assert_int_equal(feed(&alarm, 1, 9.999), CAUSE_CONDITION);
    assert_int_equal(feed(&alarm, 2, 11.999), 0);
    assert_int_equal(feed(&alarm, 3, 12), CAUSE_RETURN);
    assert_int_equal(feed(&alarm, 4, 10.5), 0);
    assert_int_equal(feed(&alarm, 5, -1e300), CAUSE_CONDITION);
}

static void test_equal(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.condition = CONDITION_EQUAL;
    rule.limit = 1;
    rule.label = "on";
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    assert_int_equal(feed(&alarm, 0, 0), 0);
    assert_int_equal(feed(&alarm, 1, 1), CAUSE_CONDITION);
    assert_int_equal(feed(&alarm, 2, 2), CAUSE_RETURN);
}

static void test_n_of_m(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
    rule.of_n = 3;
    rule.of_m = 5;
    struct alarm alarm;
    alarm_init(&alarm, &rule);
    const double values[] = {11, 9, 11, 9, 9, 11, 11};
    for (unsigned i = 0; i + 1 < ARRAY_COUNT(values); i++)
        assert_int_equal(feed(&alarm, i, values[i]), 0);
    assert_int_equal(blind(&alarm, 6), 0);                         /* is no reading: neither counts nor pushes one out */
    assert_int_equal(feed(&alarm, 7, values[6]), CAUSE_CONDITION); /* 11 9 9 11 11 */
    rule.of_n = rule.of_m = 32;
    alarm_init(&alarm, &rule);
    for (unsigned i = 0; i < 31; i++)
        assert_int_equal(feed(&alarm, i, 11), 0);
    assert_int_equal(feed(&alarm, 31, 11), CAUSE_CONDITION);
    assert_int_equal(feed(&alarm, 32, 9), CAUSE_RETURN);
}

static void test_communication(void **state) {
    (void)state;
    struct config_alarm rule = {
        .name = "communication", .condition = CONDITION_COMMUNICATION, .point = CONFIG_NONE, .of_n = 1, .of_m = 1, .on_delay_ms = 2000};
    struct alarm alarm;
    enum alarm_cause cause;
    alarm_init(&alarm, &rule);
    struct now now = at(0);
    assert_false(alarm_on_communication(&alarm, &now, true, &cause));
    now = at(1500);
    assert_false(alarm_on_communication(&alarm, &now, true, &cause));
    assert_int_equal(tick(&alarm, 2000), CAUSE_CONDITION);
    now = at(2500);
    assert_true(alarm_on_communication(&alarm, &now, false, &cause));
    assert_int_equal(cause, CAUSE_RETURN);
    assert_int_equal(alarm.state, ALARM_RETURNED);
    alarm_check(&alarm);
}

/* ---- records ---- */

static void test_record_round_trip(void **state) {
    (void)state;
    for (enum row row = 0; row < ROWS; row++) {
        struct config_alarm rule = rule_above();
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
        assert_true(back.acknowledged == alarm.acknowledged && back.history == alarm.history && back.since_ms == alarm.since_ms);
        assert_true(back.at_ms == alarm.at_ms && back.occurrence_start == alarm.occurrence_start && back.occurrence_seq == alarm.occurrence_seq);
        assert_int_equal(back.value.kind, alarm.value.kind);
        if (back.value.kind == VALUE_NUMBER)
            assert_true(back.value.number == alarm.value.number);
        for (size_t cut = 0; cut < size; cut++) { /* a cut record is refused and leaves the alarm as it was */
            alarm_init(&back, &rule);
            assert_false(alarm_record_get(&back, bytes, cut));
            assert_int_equal(back.state, ALARM_NORMAL);
            alarm_check(&back);
        }
    }
}

static void test_record_of_another_rule(void **state) {
    (void)state;
    struct config_alarm rule = rule_above();
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
    struct config_alarm rule = rule_above();
    rule.of_n = 2;
    rule.of_m = 3;
    for (unsigned i = 0; i < 20000; i++) {
        struct alarm alarm;
        uint8_t bytes[ALARM_RECORD_SIZE];
        rule.latch = i & 1;
        rule.of_n = rule.of_m = 1;
        bring(&alarm, &rule, rule.latch ? ROW_LATCHED : ROW_RETURNED);
        size_t size = alarm_record_put(&alarm, bytes);
        for (unsigned k = 0; k < 3; k++)
            bytes[prng_below(&prng, size)] = (uint8_t)prng_next(&prng);
        alarm_init(&alarm, &rule);
        (void)alarm_record_get(&alarm, bytes, prng_below(&prng, size + 1));
        alarm_check(&alarm);
        for (unsigned k = 0; k < 8; k++)
            feed(&alarm, 100 + k, (double)prng_below(&prng, 20));
    }
}

/* ---- random signals against a judge that counts what it sees, unit by unit ---- */

#define UNIT_MS 100
#define SIGNAL_UNITS 300

enum sample { SAMPLE_NOTHING, SAMPLE_VALUE, SAMPLE_BLIND, SAMPLE_ACKNOWLEDGE, SAMPLE_RESET };

struct signal {
    enum sample kinds[SIGNAL_UNITS];
    double values[SIGNAL_UNITS];
};

/* Whether the reading at `unit` counts as over the limit: looks back to the last reading outside the deadband. */
static bool oracle_bit(const struct config_alarm *rule, const struct signal *signal, int unit) {
    for (; unit >= 0; unit--) {
        if (signal->kinds[unit] != SAMPLE_VALUE)
            continue;
        double distance = rule->condition == CONDITION_ABOVE ? signal->values[unit] - rule->limit : rule->limit - signal->values[unit];
        if (rule->condition == CONDITION_EQUAL)
            return signal->values[unit] == rule->limit;
        if (distance > 0)
            return true;
        if (distance <= -rule->deadband)
            return false;
    }
    return false;
}

static bool oracle_condition(const struct config_alarm *rule, const struct signal *signal, int unit) {
    unsigned seen = 0, over = 0;
    for (; unit >= 0 && seen < rule->of_m; unit--)
        if (signal->kinds[unit] == SAMPLE_VALUE) {
            seen++;
            over += oracle_bit(rule, signal, unit);
        }
    return over >= rule->of_n;
}

struct oracle {
    bool active, open, taken; /* the condition came; an occurrence is open; a person has taken it */
    bool sighted;
    unsigned held; /* units for which the other side was seen */
    bool other;
};

static enum alarm_state oracle_state(const struct oracle *oracle, const struct config_alarm *rule) {
    if (!oracle->open)
        return ALARM_NORMAL;
    if (oracle->active)
        return oracle->taken ? ALARM_ACKNOWLEDGED : ALARM_UNACKNOWLEDGED;
    return rule->latch ? ALARM_LATCHED : ALARM_RETURNED;
}

static void oracle_unit(struct oracle *oracle, const struct config_alarm *rule, const struct signal *signal, int unit) {
    if (unit > 0 && oracle->sighted && oracle->other)
        oracle->held++;
    switch (signal->kinds[unit]) {
    case SAMPLE_VALUE:
        oracle->sighted = true;
        oracle->other = oracle_condition(rule, signal, unit) != oracle->active;
        if (!oracle->other)
            oracle->held = 0;
        break;
    case SAMPLE_BLIND:
        oracle->sighted = false;
        break;
    case SAMPLE_ACKNOWLEDGE:
        oracle->taken = oracle->open;
        if (oracle->open && !oracle->active && !rule->latch)
            oracle->open = oracle->taken = false;
        break;
    case SAMPLE_RESET:
        if (oracle->open && !oracle->active && rule->latch && oracle->taken)
            oracle->open = oracle->taken = false;
        break;
    case SAMPLE_NOTHING:
        break;
    }
    unsigned needed = (oracle->active ? rule->off_delay_ms : rule->on_delay_ms) / UNIT_MS;
    if (!oracle->other || oracle->held < needed)
        return;
    oracle->active = !oracle->active;
    oracle->other = false;
    oracle->held = 0;
    if (oracle->active) {
        oracle->open = true;
        oracle->taken = false;
    } else if (oracle->taken && !rule->latch) {
        oracle->open = oracle->taken = false;
    }
}

static void random_signal(struct prng *prng, const struct config_alarm *rule, struct signal *ret_signal) {
    unsigned density = 1 + (unsigned)prng_below(prng, 6);
    for (unsigned i = 0; i < SIGNAL_UNITS; i++) {
        unsigned draw = (unsigned)prng_below(prng, 10 * density);
        ret_signal->kinds[i] = draw < 7   ? SAMPLE_VALUE
                               : draw < 8 ? SAMPLE_BLIND
                               : draw < 9 ? (prng_below(prng, 2) ? SAMPLE_ACKNOWLEDGE : SAMPLE_RESET)
                                          : SAMPLE_NOTHING;
        bool repeat = i && prng_below(prng, 3); /* values that stay, so that delays run out */
        double step = (double)prng_below(prng, 13) * 0.5;
        ret_signal->values[i] = repeat ? ret_signal->values[i - 1] : rule->limit - 3 + step;
    }
}

static void test_random_signals(void **state) {
    (void)state;
    unsigned transitions = 0;
    for (uint64_t seed = 1; seed <= 10000; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        struct config_alarm rule = rule_above();
        rule.condition = (enum condition_kind)prng_below(&prng, 3);
        rule.deadband = rule.condition == CONDITION_EQUAL ? 0 : (double)prng_below(&prng, 4) * 0.5;
        rule.on_delay_ms = (uint32_t)prng_below(&prng, 8) * UNIT_MS;
        rule.off_delay_ms = (uint32_t)prng_below(&prng, 8) * UNIT_MS;
        rule.of_m = (uint8_t)(1 + prng_below(&prng, 5));
        rule.of_n = (uint8_t)(1 + prng_below(&prng, rule.of_m));
        rule.latch = prng_below(&prng, 2);
        static struct signal signal;
        random_signal(&prng, &rule, &signal);
        struct alarm alarm;
        struct oracle oracle = {.active = false};
        alarm_init(&alarm, &rule);
        for (int unit = 0; unit < SIGNAL_UNITS; unit++) {
            int64_t ms = (int64_t)unit * UNIT_MS;
            enum alarm_state before = alarm.state;
            assert_true(alarm_next_wake(&alarm) >= ms * 1000);
            if (signal.kinds[unit] == SAMPLE_VALUE)
                feed(&alarm, ms, signal.values[unit]);
            else if (signal.kinds[unit] == SAMPLE_BLIND)
                blind(&alarm, ms);
            else if (signal.kinds[unit] == SAMPLE_ACKNOWLEDGE)
                acknowledge(&alarm, ms);
            else if (signal.kinds[unit] == SAMPLE_RESET)
                reset(&alarm, ms);
            if (alarm_next_wake(&alarm) <= ms * 1000)
                tick(&alarm, ms);
            oracle_unit(&oracle, &rule, &signal, unit);
            transitions += alarm.state != before;
            if (alarm.state != oracle_state(&oracle, &rule))
                fail_msg("seed %llu unit %d: the alarm is %s, expected %s", (unsigned long long)seed, unit, alarm_state_name(alarm.state),
                         alarm_state_name(oracle_state(&oracle, &rule)));
            if (alarm.state == ALARM_LATCHED)
                assert_true(alarm.acknowledged == oracle.taken);
        }
    }
    assert_true(transitions > 50000); /* the signals say something */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_latched_remembers_who_took_it),
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
        cmocka_unit_test(test_record_round_trip),
        cmocka_unit_test(test_record_of_another_rule),
        cmocka_unit_test(test_record_damaged),
        cmocka_unit_test(test_random_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
