/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alarm_rig.h"
#include "base/prng.h"

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
        struct config_alarm rule = rig_rule_above();
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
                rig_feed(&alarm, ms, signal.values[unit]);
            else if (signal.kinds[unit] == SAMPLE_BLIND)
                rig_blind(&alarm, ms);
            else if (signal.kinds[unit] == SAMPLE_ACKNOWLEDGE)
                rig_acknowledge(&alarm, ms);
            else if (signal.kinds[unit] == SAMPLE_RESET)
                rig_reset(&alarm, ms);
            if (alarm_next_wake(&alarm) <= ms * 1000)
                rig_tick(&alarm, ms);
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
        cmocka_unit_test(test_random_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
