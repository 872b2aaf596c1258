/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "gateway/core/derive.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define WALL_MS INT64_C(1790000000000) /* wall time at 0 s */
#define DAY_MS INT64_C(86400000)

struct rig {
    struct config_derived rule;
    struct derived derived;
    struct derived_slot slots[DERIVED_SLOTS];
    struct reading reading; /* what came out last */
};

static void begin(struct rig *rig, enum derive_kind kind, unsigned inputs, struct config_derived rule) {
    rig->rule = rule;
    rig->rule.kind = kind;
    rig->rule.inputs_count = (uint8_t)inputs;
    rig->rule.point = 7;
    derived_init(&rig->derived, &rig->rule, derived_windowed(kind) ? rig->slots : NULL);
}

static struct now at(int64_t us) {
    return (struct now){.mono_us = us, .wall_ms = WALL_MS + us / 1000, .wall_trusted = true};
}

static struct reading good(double number) {
    return (struct reading){.value = {.kind = VALUE_NUMBER, .number = number}};
}

static struct reading bad(enum quality_reason reason) {
    return (struct reading){.quality = QUALITY_BAD, .reason = (uint8_t)reason, .value = {.kind = VALUE_NONE}};
}

static struct reading uncertain(double number) {
    return (struct reading){.quality = QUALITY_UNCERTAIN, .reason = REASON_UNSEEN, .value = {.kind = VALUE_NUMBER, .number = number}};
}

static void feed_at(struct rig *rig, struct now now, const struct reading *a, const struct reading *b) {
    const struct reading *inputs[DERIVED_INPUTS_MAX] = {a, b};
    memset(&rig->reading, 0xEE, sizeof(rig->reading));
    derived_on_inputs(&rig->derived, &now, inputs, &rig->reading);
    assert_int_equal(rig->reading.point, 7);
    assert_int_equal(rig->reading.quality == QUALITY_BAD, rig->reading.value.kind == VALUE_NONE);
    assert_int_equal(rig->reading.quality == QUALITY_GOOD, rig->reading.reason == REASON_NONE);
}

static void feed(struct rig *rig, int64_t us, double number) {
    struct reading input = good(number);
    feed_at(rig, at(us), &input, NULL);
}

static void feed_reading(struct rig *rig, int64_t us, struct reading input) {
    feed_at(rig, at(us), &input, NULL);
}

static void feed_two(struct rig *rig, struct reading a, struct reading b) {
    feed_at(rig, at(0), &a, &b);
}

static void assert_is(const struct rig *rig, enum quality quality, double number) {
    assert_int_equal(rig->reading.quality, quality);
    assert_int_equal(rig->reading.value.kind, VALUE_NUMBER);
    assert_true(fabs(rig->reading.value.number - number) < 1e-9);
}

static void assert_bad(const struct rig *rig, enum quality_reason reason) {
    assert_int_equal(rig->reading.quality, QUALITY_BAD);
    assert_int_equal(rig->reading.reason, reason);
}

static void assert_side(const struct rig *rig, int side) {
    assert_int_equal(rig->reading.quality, QUALITY_GOOD);
    assert_int_equal(rig->reading.value.kind, VALUE_INTEGER);
    assert_int_equal(rig->reading.value.integer, side);
}

static void test_on_off(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, DERIVE_ON_OFF, 1, (struct config_derived){.on_above = 0.5, .off_below = 0.3});
    static const struct {
        double current;
        int side;
    } steps[] = {{0.4, 0}, {0.5, 0}, {0.51, 1}, {0.4, 1}, {0.3, 1}, {0.29, 0}, {0.3, 0}, {0.5, 0}, {9, 1}};
    for (unsigned i = 0; i < ARRAY_COUNT(steps); i++) {
        feed(&rig, i * SECOND, steps[i].current);
        assert_side(&rig, steps[i].side);
    }
    feed_reading(&rig, 20 * SECOND, bad(REASON_NO_ANSWER)); /* the clamp is silent: nothing is known, and the side is kept */
    assert_bad(&rig, REASON_NO_ANSWER);
    feed(&rig, 21 * SECOND, 0.4);
    assert_side(&rig, 1);
    feed_reading(&rig, 22 * SECOND, uncertain(0.1)); /* answered as off, and marked; but only a good value moves the side */
    assert_int_equal(rig.reading.quality, QUALITY_UNCERTAIN);
    assert_int_equal(rig.reading.value.integer, 0);
    feed(&rig, 23 * SECOND, 0.4);
    assert_side(&rig, 1);
}

/* Ten minutes polled every ten seconds: good as soon as 45 of the 60 parts have been seen. */
static void test_mean_fills(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, DERIVE_MEAN, 1, (struct config_derived){.over_ms = 600000});
    for (int i = 0; i < 60; i++) {
        feed(&rig, i * 10 * SECOND, i);
        assert_is(&rig, i < 44 ? QUALITY_UNCERTAIN : QUALITY_GOOD, i / 2.0);
        if (i < 44)
            assert_int_equal(rig.reading.reason, REASON_UNSEEN);
    }
    feed(&rig, 600 * SECOND, 60); /* the first part is out of the window: 1 .. 60 */
    assert_is(&rig, QUALITY_GOOD, 30.5);
    feed_reading(&rig, 601 * SECOND, bad(REASON_OUT_OF_RANGE));
    assert_bad(&rig, REASON_OUT_OF_RANGE);
    feed(&rig, 602 * SECOND, 60); /* two samples of one part count twice */
    assert_is(&rig, QUALITY_GOOD, (30.5 * 60 + 60) / 61);
    feed_reading(&rig, 603 * SECOND, uncertain(1e6)); /* not taken; the window's mean is told, marked */
    assert_is(&rig, QUALITY_UNCERTAIN, (30.5 * 60 + 60) / 61);
}

static void test_mean_forgets(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, DERIVE_MEAN, 1, (struct config_derived){.over_ms = 600000});
    for (int i = 0; i < 60; i++)
        feed(&rig, i * 10 * SECOND, 100);
    feed(&rig, 590 * SECOND + 5 * MINUTE, 0); /* half an old window and one new sample are too little */
    assert_int_equal(rig.reading.quality, QUALITY_UNCERTAIN);
    feed(&rig, 590 * SECOND + 1000 * 600 * SECOND, 4); /* a week later, in the same place of the ring */
    assert_is(&rig, QUALITY_UNCERTAIN, 4);
    feed_reading(&rig, 590 * SECOND + 2000 * 600 * SECOND, uncertain(9)); /* nothing good in the window at all */
    assert_bad(&rig, REASON_UNSEEN);
}

/* A minute polled every five seconds cannot fill 60 parts; the window has as many as the polls can fill. */
static void test_mean_slow_input(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, DERIVE_MEAN, 1, (struct config_derived){.over_ms = 60000, .every_ms = 5000});
    for (int i = 0; i < 40; i++) {
        feed(&rig, i * 5 * SECOND, i % 2);
        assert_int_equal(rig.reading.quality, i < 8 ? QUALITY_UNCERTAIN : QUALITY_GOOD); /* 5 of 6 parts */
    }
    begin(&rig, DERIVE_MEAN, 1, (struct config_derived){.over_ms = 1000, .every_ms = 5000});
    feed(&rig, 0, 3); /* a window shorter than its polls is the newest sample */
    assert_is(&rig, QUALITY_GOOD, 3);
}

static void test_rate(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, DERIVE_RATE, 1, (struct config_derived){.over_ms = 60000});
    feed(&rig, 0, 20);
    assert_bad(&rig, REASON_UNSEEN); /* nothing can be said of one sample */
    for (int i = 1; i <= 100; i++) { /* a fire: 8.3 degC a minute, polled every two seconds */
        feed(&rig, i * 2 * SECOND, 20 + 8.3 * i / 30);
        assert_is(&rig, i < 15 ? QUALITY_UNCERTAIN : QUALITY_GOOD, 8.3);
    }
    for (int i = 101; i <= 131; i++) /* it stays as hot: a minute later it does not rise any more */
        feed(&rig, i * 2 * SECOND, 20 + 8.3 * 100 / 30);
    assert_is(&rig, QUALITY_GOOD, 0);
    feed(&rig, 262 * SECOND + HOUR, 5); /* what was an hour ago says nothing about this minute */
    assert_bad(&rig, REASON_UNSEEN);
    feed(&rig, 263 * SECOND + HOUR, 4.5);
    assert_is(&rig, QUALITY_UNCERTAIN, -30);
    feed_reading(&rig, 264 * SECOND + HOUR, bad(REASON_CORRUPT));
    assert_bad(&rig, REASON_CORRUPT);
    feed(&rig, 294 * SECOND + HOUR, 5);
    assert_is(&rig, QUALITY_GOOD, 0); /* a gap between two samples half a window apart is no harm */
}

static void test_run_hours(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, DERIVE_RUN_HOURS, 1, (struct config_derived){.over_ms = 0});
    feed(&rig, 0, 1);
    assert_is(&rig, QUALITY_GOOD, 0);
    for (int i = 1; i <= 60; i++)
        feed(&rig, i * MINUTE, 1);
    assert_is(&rig, QUALITY_GOOD, 1);
    feed(&rig, HOUR + MINUTE, 0); /* it ran until it was seen off */
    feed(&rig, HOUR + 2 * MINUTE, 0);
    feed(&rig, HOUR + 3 * MINUTE, 1);
    assert_is(&rig, QUALITY_GOOD, 1.01); /* 61 minutes, told in steps of 0.01 h */
    feed_reading(&rig, HOUR + 4 * MINUTE, bad(REASON_NO_ANSWER));
    assert_bad(&rig, REASON_NO_ANSWER);
    feed(&rig, HOUR + 8 * MINUTE, 1); /* 5 minutes without a value are bridged */
    assert_is(&rig, QUALITY_GOOD, 66.0 / 60);
    feed(&rig, HOUR + 13 * MINUTE + 1, 1); /* a microsecond more is a gap: nobody saw it run */
    assert_is(&rig, QUALITY_GOOD, 66.0 / 60);
    struct now now = at(HOUR + 14 * MINUTE + 1);
    derived_on_maintenance(&rig.derived, &now);
    feed(&rig, HOUR + 16 * MINUTE + 1, 1); /* only what came after the maintenance */
    assert_is(&rig, QUALITY_GOOD, 0.03); /* 2 minutes */
}

static void test_days_since(void **state) {
    (void)state;
    struct rig rig;
    struct now now = {.mono_us = 5, .wall_ms = 1000}; /* 1970: the clock was not set yet */
    begin(&rig, DERIVE_DAYS_SINCE, 0, (struct config_derived){.over_ms = 0});
    feed_at(&rig, now, NULL, NULL);
    assert_bad(&rig, REASON_CLOCK);
    now = (struct now){.mono_us = 6, .wall_ms = WALL_MS, .wall_trusted = true};
    feed_at(&rig, now, NULL, NULL); /* never maintained: it counts from the first time it knows */
    assert_is(&rig, QUALITY_GOOD, 0);
    now.wall_ms = WALL_MS + 45 * DAY_MS / 2;
    feed_at(&rig, now, NULL, NULL);
    assert_is(&rig, QUALITY_GOOD, 22.5);
    now.wall_trusted = false;
    feed_at(&rig, now, NULL, NULL);
    assert_bad(&rig, REASON_CLOCK);
    now.wall_trusted = true;
    derived_on_maintenance(&rig.derived, &now);
    now.wall_ms -= 1; /* the clock was set back: not a negative age, and not a zero either */
    feed_at(&rig, now, NULL, NULL);
    assert_bad(&rig, REASON_CLOCK);
    now.wall_ms += DAY_MS + 1;
    feed_at(&rig, now, NULL, NULL);
    assert_is(&rig, QUALITY_GOOD, 1);
    now.wall_trusted = false;
    derived_on_maintenance(&rig.derived, &now); /* done on a day that is not known: the first trusted time will do */
    now = (struct now){.mono_us = 9, .wall_ms = WALL_MS + 40 * DAY_MS, .wall_trusted = true};
    feed_at(&rig, now, NULL, NULL);
    assert_is(&rig, QUALITY_GOOD, 0);
}

static void test_days_since_with_inputs(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, DERIVE_DAYS_SINCE, 2, (struct config_derived){.over_ms = 0});
    struct reading text = {.value = {.kind = VALUE_TEXT, .text = "v1"}}, silent = bad(REASON_NO_ANSWER);
    feed_at(&rig, at(0), &text, &text); /* its inputs only say when it is computed */
    assert_is(&rig, QUALITY_GOOD, 0);
    feed_at(&rig, at(SECOND), &text, &silent);
    assert_bad(&rig, REASON_NO_ANSWER);
}

static void test_unchanged(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, DERIVE_UNCHANGED, 1, (struct config_derived){.over_ms = 0});
    feed_reading(&rig, 0, uncertain(1)); /* nothing good yet */
    assert_bad(&rig, REASON_UNSEEN);
    feed(&rig, MINUTE, 0.1);
    assert_is(&rig, QUALITY_GOOD, 0);
    feed(&rig, 31 * MINUTE, 0.1);
    assert_is(&rig, QUALITY_GOOD, 30);
    feed_reading(&rig, 32 * MINUTE, bad(REASON_CORRUPT));
    assert_bad(&rig, REASON_CORRUPT);
    feed_reading(&rig, 40 * MINUTE, uncertain(0.1)); /* the clock stands */
    assert_is(&rig, QUALITY_UNCERTAIN, 30);
    feed(&rig, 41 * MINUTE, 0.1); /* from 31 to 41 nobody saw it */
    assert_is(&rig, QUALITY_GOOD, 30);
    feed(&rig, 42 * MINUTE, 0.1);
    assert_is(&rig, QUALITY_GOOD, 31);
    feed(&rig, 43 * MINUTE, nextafter(0.1, 1)); /* the smallest change is one */
    assert_is(&rig, QUALITY_GOOD, 0);
    feed_reading(&rig, 44 * MINUTE, (struct reading){.value = {.kind = VALUE_TEXT, .text = "a"}});
    feed_reading(&rig, 46 * MINUTE, (struct reading){.value = {.kind = VALUE_TEXT, .text = "a"}});
    assert_is(&rig, QUALITY_GOOD, 2);
}

static void test_formulas(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, DERIVE_BASE_FUME, 2, (struct config_derived){.stoves = 3});
    feed_two(&rig, good(1), good(9000));
    assert_is(&rig, QUALITY_GOOD, 1.5);
    begin(&rig, DERIVE_BASE_FUME, 2, (struct config_derived){.stoves = 0});
    feed_two(&rig, good(1), good(9000)); /* never fewer than one stove */
    assert_is(&rig, QUALITY_GOOD, 4.5);
    begin(&rig, DERIVE_EFFICIENCY, 2, (struct config_derived){.over_ms = 0});
    feed_two(&rig, good(8), good(2));
    assert_is(&rig, QUALITY_GOOD, 75);
    feed_two(&rig, good(2), good(3)); /* dirtier than before: negative, not clamped */
    assert_is(&rig, QUALITY_GOOD, -50);
    feed_two(&rig, good(0), good(0));
    assert_bad(&rig, REASON_NO_RESULT);
    feed_two(&rig, good(-1), good(1));
    assert_bad(&rig, REASON_NO_RESULT);
    begin(&rig, DERIVE_DIFFERENCE, 2, (struct config_derived){.over_ms = 0});
    feed_two(&rig, good(8), (struct reading){.value = {.kind = VALUE_INTEGER, .integer = 10}});
    assert_is(&rig, QUALITY_GOOD, -2);
    begin(&rig, DERIVE_SUM, 2, (struct config_derived){.over_ms = 0});
    feed_two(&rig, good(1.5), (struct reading){.value = {.kind = VALUE_UNSIGNED, .whole = 1ull << 63}});
    assert_is(&rig, QUALITY_GOOD, 9223372036854775808.0);
    feed_two(&rig, good(1.7e308), good(1.7e308));
    assert_bad(&rig, REASON_NO_RESULT);
}

static void test_worst_quality(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, DERIVE_SUM, 2, (struct config_derived){.over_ms = 0});
    struct reading stale = {.quality = QUALITY_STALE, .reason = REASON_NO_ANSWER, .value = {.kind = VALUE_NUMBER, .number = 2}};
    feed_two(&rig, uncertain(1), stale);
    assert_is(&rig, QUALITY_STALE, 3);
    assert_int_equal(rig.reading.reason, REASON_NO_ANSWER);
    feed_two(&rig, bad(REASON_EXCEPTION), stale);
    assert_bad(&rig, REASON_EXCEPTION);
    feed_two(&rig, bad(REASON_EXCEPTION), bad(REASON_CORRUPT)); /* of two that are as bad the first speaks */
    assert_bad(&rig, REASON_EXCEPTION);
    struct reading one = good(1);
    feed_at(&rig, at(0), &one, NULL); /* never polled yet */
    assert_bad(&rig, REASON_NO_ANSWER);
    feed_two(&rig, one, (struct reading){.value = {.kind = VALUE_TEXT, .text = "1"}});
    assert_bad(&rig, REASON_MALFORMED);
    feed_two(&rig, one, good(NAN));
    assert_bad(&rig, REASON_NO_RESULT);
}

static void test_records(void **state) {
    (void)state;
    struct rig rig;
    uint8_t bytes[DERIVED_RECORD_SIZE + 1];
    begin(&rig, DERIVE_RUN_HOURS, 1, (struct config_derived){.over_ms = 0});
    assert_true(derived_durable(&rig.derived));
    feed(&rig, 0, 1);
    feed(&rig, 3 * MINUTE, 1);
    size_t size = derived_record_put(&rig.derived, bytes);
    begin(&rig, DERIVE_RUN_HOURS, 1, (struct config_derived){.over_ms = 0});
    assert_true(derived_record_get(&rig.derived, bytes, size));
    feed(&rig, 10, 1); /* monotonic time began anew; the restart itself did not run */
    assert_is(&rig, QUALITY_GOOD, 0.05);
    for (size_t cut = 0; cut < size; cut++)
        assert_false(derived_record_get(&rig.derived, bytes, cut));
    bytes[size] = 0;
    assert_false(derived_record_get(&rig.derived, bytes, size + 1));
    static const double wrong[] = {-1e-9, NAN, INFINITY, 1.1e7};
    for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++) {
        memcpy(bytes + 1, &wrong[i], sizeof(wrong[i]));
        assert_false(derived_record_get(&rig.derived, bytes, size));
    }
    assert_true(fabs(rig.derived.state - 0.05) < 1e-9); /* a refused record changed nothing */

    begin(&rig, DERIVE_DAYS_SINCE, 1, (struct config_derived){.over_ms = 0});
    assert_false(derived_record_get(&rig.derived, bytes, size)); /* of another kind */
    feed(&rig, 0, 1);
    size = derived_record_put(&rig.derived, bytes);
    begin(&rig, DERIVE_DAYS_SINCE, 1, (struct config_derived){.over_ms = 0});
    assert_true(derived_record_get(&rig.derived, bytes, size));
    struct now now = {.mono_us = 1, .wall_ms = WALL_MS + 3 * DAY_MS, .wall_trusted = true};
    struct reading one = good(1);
    feed_at(&rig, now, &one, NULL);
    assert_is(&rig, QUALITY_GOOD, 3);
    bytes[1] = 0x01; /* zigzag: -1 */
    assert_false(derived_record_get(&rig.derived, bytes, 2));
    memset(bytes + 1, 0xFE, 9);
    bytes[10] = 0x01; /* past the year 9999 */
    assert_false(derived_record_get(&rig.derived, bytes, 11));
    assert_int_equal(rig.derived.since_ms, WALL_MS);
}

static void test_names(void **state) {
    (void)state;
    for (int kind = DERIVE_ON_OFF; kind <= DERIVE_DIFFERENCE; kind++) {
        struct config_derived rule = {.kind = (enum derive_kind)kind};
        struct derived derived = {.rule = &rule};
        assert_true(strlen(derive_kind_name((enum derive_kind)kind)) > 2);
        assert_int_equal(derived_windowed((enum derive_kind)kind), kind == DERIVE_MEAN || kind == DERIVE_RATE);
        assert_int_equal(derived_durable(&derived), kind == DERIVE_RUN_HOURS || kind == DERIVE_DAYS_SINCE);
    }
    assert_string_equal(derive_kind_name(DERIVE_RUN_HOURS), "run_hours");
    assert_string_equal(quality_reason_name(REASON_UNSEEN), "not seen long enough");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_off),        cmocka_unit_test(test_mean_fills),
        cmocka_unit_test(test_mean_forgets),  cmocka_unit_test(test_mean_slow_input),
        cmocka_unit_test(test_rate),          cmocka_unit_test(test_run_hours),
        cmocka_unit_test(test_days_since),    cmocka_unit_test(test_days_since_with_inputs),
        cmocka_unit_test(test_unchanged),     cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_worst_quality), cmocka_unit_test(test_records),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
