/* SPDX-License-Identifier: Apache-2.0 */
/* Derived points over random signals with gaps, restarts and maintenances, against an oracle that keeps every sample and works each
 * answer out from all of them, in the plainest way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/prng.h"
#include "gateway/core/derive.h"

#define WALL_MS INT64_C(1790000000000)
#define SIGNAL_LENGTH 150
#define SIGNALS 500 /* of each kind */
#define INPUTS 3

enum step_kind { STEP_POLL, STEP_MAINTENANCE, STEP_RESTART };

struct step {
    enum step_kind kind;
    struct now now;
    const struct reading *inputs[INPUTS]; /* into readings, or NULL */
    struct reading readings[INPUTS];
};

struct history {
    struct config_derived rule;
    struct step steps[SIGNAL_LENGTH];
};

struct answer {
    enum quality quality;
    double number;
};

static double number_of(const struct step *step, unsigned input) {
    return step->readings[input].value.number;
}

static enum quality worst_of(const struct history *history, const struct step *step) {
    enum quality worst = QUALITY_GOOD;
    for (unsigned i = 0; i < history->rule.inputs_count; i++) {
        enum quality quality = step->inputs[i] ? (enum quality)step->inputs[i]->quality : QUALITY_BAD;
        if (quality > worst)
            worst = quality;
    }
    return worst;
}

static bool is_good(const struct history *history, int i) {
    return history->steps[i].kind == STEP_POLL && worst_of(history, &history->steps[i]) == QUALITY_GOOD;
}

/* Where the memory that a restart takes away begins. */
static int started(const struct history *history, int last) {
    for (; last > 0; last--)
        if (history->steps[last].kind == STEP_RESTART)
            break;
    return last;
}

static struct answer worse(struct answer answer, enum quality quality) {
    if (answer.quality < quality)
        answer.quality = quality;
    return answer;
}

static struct answer oracle_on_off(const struct history *history, int last) {
    for (int i = last, from = started(history, last); i >= from; i--) {
        if (history->steps[i].kind != STEP_POLL || (i != last && !is_good(history, i)))
            continue;
        if (number_of(&history->steps[i], 0) > history->rule.on_above)
            return (struct answer){QUALITY_GOOD, 1};
        if (number_of(&history->steps[i], 0) < history->rule.off_below)
            return (struct answer){QUALITY_GOOD, 0};
    }
    return (struct answer){QUALITY_GOOD, 0};
}

static struct answer oracle_mean(const struct history *history, int last) {
    int64_t parts = DERIVED_SLOTS;
    while (history->rule.every_ms && parts > 1 && parts * 2 * history->rule.every_ms > history->rule.over_ms)
        parts--;
    int64_t width_us = history->rule.over_ms * INT64_C(1000) / parts, count = 0, filled = 0;
    int64_t newest = history->steps[last].now.mono_us / width_us;
    double sum = 0;
    for (int64_t part = newest - parts + 1; part <= newest; part++) {
        bool seen = false;
        for (int i = started(history, last); i <= last; i++)
            if (is_good(history, i) && history->steps[i].now.mono_us / width_us == part) {
                sum += number_of(&history->steps[i], 0);
                count++;
                seen = true;
            }
        filled += seen;
    }
    if (count == 0)
        return (struct answer){QUALITY_BAD, 0};
    return (struct answer){4 * filled >= 3 * parts ? QUALITY_GOOD : QUALITY_UNCERTAIN, sum / (double)count};
}

static struct answer oracle_rate(const struct history *history, int last) {
    int64_t width_us = history->rule.over_ms * INT64_C(1000) / DERIVED_SLOTS, oldest_part = 0;
    int64_t now_part = history->steps[last].now.mono_us / width_us;
    int oldest = -1, newest = -1;
    for (int i = started(history, last); i <= last; i++) {
        int64_t part = history->steps[i].now.mono_us / width_us;
        if (!is_good(history, i) || part <= now_part - DERIVED_SLOTS)
            continue;
        if (oldest < 0 || part == oldest_part) { /* the newest sample of the oldest part */
            oldest = i;
            oldest_part = part;
        }
        newest = i;
    }
    if (oldest == newest)
        return (struct answer){QUALITY_BAD, 0};
    double between_us = (double)(history->steps[newest].now.mono_us - history->steps[oldest].now.mono_us);
    double change = number_of(&history->steps[newest], 0) - number_of(&history->steps[oldest], 0);
    return (struct answer){between_us >= history->rule.over_ms * 500.0 ? QUALITY_GOOD : QUALITY_UNCERTAIN, change / (between_us / 60e6)};
}

static struct answer oracle_run_hours(const struct history *history, int last) {
    int64_t ran_us = 0, maintained_us = 0;
    int before = -1, maintenance = -1;
    for (int i = 0; i <= last; i++)
        if (history->steps[i].kind == STEP_MAINTENANCE) {
            maintenance = i;
            maintained_us = history->steps[i].now.mono_us;
        }
    for (int i = 0; i <= last; i++) {
        if (history->steps[i].kind == STEP_RESTART)
            before = -1;
        if (!is_good(history, i))
            continue;
        if (before >= 0 && i > maintenance && number_of(&history->steps[before], 0) != 0) {
            int64_t from_us = history->steps[before].now.mono_us, until_us = history->steps[i].now.mono_us;
            if (until_us - from_us <= RUN_GAP_MAX_MS * INT64_C(1000))
                ran_us += until_us - (from_us > maintained_us ? from_us : maintained_us);
        }
        before = i;
    }
    return (struct answer){QUALITY_GOOD, (double)ran_us / 3600e6};
}

static struct answer oracle_days_since(const struct history *history, int last) {
    int64_t since_ms = -1;
    for (int i = 0; i <= last; i++) {
        const struct now *now = &history->steps[i].now;
        bool known = now->wall_trusted && (history->steps[i].kind == STEP_MAINTENANCE || (since_ms < 0 && history->steps[i].kind == STEP_POLL &&
                                                                                          worst_of(history, &history->steps[i]) != QUALITY_BAD));
        if (known)
            since_ms = now->wall_ms;
        else if (history->steps[i].kind == STEP_MAINTENANCE)
            since_ms = -1;
    }
    const struct now *now = &history->steps[last].now;
    if (!now->wall_trusted || since_ms < 0 || now->wall_ms < since_ms)
        return (struct answer){QUALITY_BAD, 0};
    return (struct answer){QUALITY_GOOD, (double)(now->wall_ms - since_ms) / 86400e3};
}

static struct answer oracle_unchanged(const struct history *history, int last) {
    int64_t same_us = 0;
    int after = -1; /* the good sample behind the one that is looked at */
    bool gap = false;
    for (int i = last, from = started(history, last); i >= from; i--) {
        if (history->steps[i].kind == STEP_POLL && !is_good(history, i))
            gap = true;
        if (!is_good(history, i))
            continue;
        if (after >= 0 && number_of(&history->steps[i], 0) != number_of(&history->steps[after], 0))
            break;
        if (after >= 0 && !gap)
            same_us += history->steps[after].now.mono_us - history->steps[i].now.mono_us;
        after = i;
        gap = false;
    }
    return (struct answer){after < 0 ? QUALITY_BAD : QUALITY_GOOD, (double)same_us / 60e6};
}

static struct answer oracle_formula(const struct history *history, int last) {
    const struct step *step = &history->steps[last];
    double a = number_of(step, 0), b = number_of(step, 1), sum = 0;
    switch (history->rule.kind) {
    case DERIVE_BASE_FUME:
        return (struct answer){QUALITY_GOOD, a * b / 2000 / (history->rule.stoves > 1 ? history->rule.stoves : 1)};
    case DERIVE_EFFICIENCY:
        return a > 0 ? (struct answer){QUALITY_GOOD, 100 - 100 * b / a} : (struct answer){QUALITY_BAD, 0};
    case DERIVE_DIFFERENCE:
        return (struct answer){QUALITY_GOOD, a - b};
    default:
        for (unsigned i = 0; i < history->rule.inputs_count; i++)
            sum += number_of(step, i);
        return (struct answer){QUALITY_GOOD, sum};
    }
}

static struct answer (*const oracles[])(const struct history *history, int last) = {
    [DERIVE_ON_OFF] = oracle_on_off,
    [DERIVE_MEAN] = oracle_mean,
    [DERIVE_RATE] = oracle_rate,
    [DERIVE_RUN_HOURS] = oracle_run_hours,
    [DERIVE_DAYS_SINCE] = oracle_days_since,
    [DERIVE_UNCHANGED] = oracle_unchanged,
    [DERIVE_BASE_FUME] = oracle_formula,
    [DERIVE_EFFICIENCY] = oracle_formula,
    [DERIVE_SUM] = oracle_formula,
    [DERIVE_DIFFERENCE] = oracle_formula,
};

static void random_rule(struct prng *prng, enum derive_kind kind, struct config_derived *ret_rule) {
    static const uint32_t windows_ms[] = {60000, 600000, 7001, 1800000};
    *ret_rule = (struct config_derived){.kind = kind, .inputs_count = 1, .on_above = 2, .off_below = 1};
    ret_rule->over_ms = windows_ms[prng_below(prng, 4)];
    ret_rule->every_ms = prng_below(prng, 2) ? (uint32_t)(ret_rule->over_ms / (1 + prng_below(prng, 100))) : 0;
    ret_rule->stoves = (double)prng_below(prng, 13) / 2;
    if (kind == DERIVE_SUM)
        ret_rule->inputs_count = (uint8_t)(1 + prng_below(prng, INPUTS));
    else if (kind == DERIVE_BASE_FUME || kind == DERIVE_EFFICIENCY || kind == DERIVE_DIFFERENCE)
        ret_rule->inputs_count = 2;
}

static void random_reading(struct prng *prng, const struct step *before, unsigned input, struct step *step) {
    static const enum quality qualities[] = {QUALITY_UNCERTAIN, QUALITY_STALE, QUALITY_BAD, QUALITY_BAD};
    struct reading *reading = &step->readings[input];
    bool repeat = before && prng_below(prng, 3);
    /* Quarters, whose sums are exact in any order. */
    *reading = (struct reading){.value = {.kind = VALUE_NUMBER}};
    reading->value.number = repeat ? number_of(before, input) : (double)prng_below(prng, 17) / 4 - 0.5;
    step->inputs[input] = reading;
    uint64_t draw = prng_below(prng, 24);
    if (draw < 4) {
        reading->quality = (uint8_t)qualities[draw];
        reading->reason = REASON_CORRUPT;
    } else if (draw == 4) {
        step->inputs[input] = NULL;
    }
}

static void random_steps(struct prng *prng, struct history *history) {
    int64_t part_us = history->rule.over_ms * INT64_C(1000) / DERIVED_SLOTS;
    int64_t pace_us = part_us / 4 + (int64_t)prng_below(prng, (uint64_t)(3 * part_us));
    struct now now = {.mono_us = (int64_t)prng_below(prng, 1000000000), .wall_ms = WALL_MS, .wall_trusted = prng_below(prng, 2)};
    bool polled = false;
    for (int i = 0; i < SIGNAL_LENGTH; i++) {
        struct step *step = &history->steps[i];
        uint64_t draw = prng_below(prng, 60);
        int64_t pause_us = (int64_t)prng_below(prng, (uint64_t)pace_us) + 1;
        if (draw == 0)
            pause_us *= (int64_t)(1 + prng_below(prng, 200)); /* a gap, at times of many windows */
        if (draw == 1)
            pause_us = RUN_GAP_MAX_MS * INT64_C(1000) + (int64_t)prng_below(prng, 2);
        now.mono_us += pause_us;
        now.wall_ms += pause_us / 1000;
        if (draw == 2)
            now.wall_ms += (int64_t)prng_below(prng, 200000000) - 100000000;
        if (draw == 3)
            now.wall_trusted = !now.wall_trusted;
        *step = (struct step){.kind = draw == 4 ? STEP_MAINTENANCE : draw == 5 ? STEP_RESTART : STEP_POLL, .now = now};
        for (unsigned input = 0; input < history->rule.inputs_count; input++)
            random_reading(prng, polled ? &history->steps[i - 1] : NULL, input, step);
        polled = true;
    }
}

static void restart(struct derived *derived, const struct config_derived *rule, struct derived_slot *slots) {
    uint8_t bytes[DERIVED_RECORD_SIZE];
    size_t size = derived_durable(derived) ? derived_record_put(derived, bytes) : 0;
    derived_init(derived, rule, slots);
    assert_int_equal(derived_record_get(derived, bytes, size), size > 0);
}

/* What grows all the time is told in steps, rounded down. */
static double step_of(enum derive_kind kind) {
    return kind == DERIVE_RUN_HOURS || kind == DERIVE_DAYS_SINCE ? 0.01 : kind == DERIVE_UNCHANGED ? 0.1 : 0;
}

static void check_answer(const struct history *history, int i, const struct reading *reading, uint64_t seed, unsigned *counts) {
    enum quality inputs = worst_of(history, &history->steps[i]);
    struct answer expected = {QUALITY_BAD, 0};
    if (inputs != QUALITY_BAD)
        expected = worse(oracles[history->rule.kind](history, i), inputs);
    double error = reading->quality == QUALITY_BAD        ? 0
                   : reading->value.kind == VALUE_INTEGER ? (double)reading->value.integer - expected.number
                                                          : reading->value.number - expected.number;
    double step = step_of(history->rule.kind), slack = 1e-9 * (1 + fabs(expected.number));
    bool near = step == 0 ? fabs(error) <= slack : error <= 1e-6 && error > -step - slack;
    bool whole = step == 0 || reading->quality == QUALITY_BAD || fabs(reading->value.number / step - round(reading->value.number / step)) < 1e-6;
    if (reading->quality != expected.quality || !near || !whole)
        fail_msg("seed %llu, %s, step %d: quality %u and not %u, wrong by %g", (unsigned long long)seed, derive_kind_name(history->rule.kind), i,
                 reading->quality, expected.quality, error);
    counts[expected.quality]++;
}

static void run(enum derive_kind kind, uint64_t seed, unsigned *counts) {
    static struct history history;
    struct derived_slot room[DERIVED_SLOTS], *slots = derived_windowed(kind) ? room : NULL;
    struct derived derived;
    struct prng prng;
    prng_init(&prng, seed);
    random_rule(&prng, kind, &history.rule);
    random_steps(&prng, &history);
    derived_init(&derived, &history.rule, slots);
    for (int i = 0; i < SIGNAL_LENGTH; i++) {
        struct step *step = &history.steps[i];
        struct reading reading;
        if (step->kind == STEP_MAINTENANCE)
            derived_on_maintenance(&derived, &step->now);
        else if (step->kind == STEP_RESTART)
            restart(&derived, &history.rule, slots);
        else {
            derived_on_inputs(&derived, &step->now, step->inputs, &reading);
            check_answer(&history, i, &reading, seed, counts);
        }
    }
}

static void test_random_signals(void **state) {
    (void)state;
    for (int kind = DERIVE_ON_OFF; kind <= DERIVE_DIFFERENCE; kind++) {
        unsigned counts[QUALITY_BAD + 1] = {0};
        for (uint64_t seed = 1; seed <= SIGNALS; seed++)
            run((enum derive_kind)kind, seed * 16 + (uint64_t)kind, counts);
        assert_true(counts[QUALITY_GOOD] > SIGNALS); /* the signals are no walk in the dark */
        assert_true(counts[QUALITY_BAD] > SIGNALS);
        assert_true(counts[QUALITY_UNCERTAIN] > SIGNALS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_signals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
