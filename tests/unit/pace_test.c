/* SPDX-License-Identifier: Apache-2.0 */
/* The bucket of a backlog: how much leaves in which time, what events may borrow, when to wake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "gateway/uplinks/pace.h"

#define SECOND INT64_C(1000000)

static unsigned take_all(struct pace *pace, bool urgent) {
    unsigned count = 0;
    for (; count < 1000000 && pace_allows(pace, urgent); count++)
        pace_take(pace);
    return count;
}

static void test_no_limit(void **state) {
    (void)state;
    struct pace pace;
    pace_init(&pace, 0);
    pace_tick(&pace, 5);
    assert_int_equal(take_all(&pace, false), 1000000);
    assert_int_equal(pace_wake_us(&pace, false), 5);
}

/* A hundred a second: ten at once, then a hundred in each second, however often it is asked. */
static void test_rate(void **state) {
    (void)state;
    for (unsigned steps = 1; steps <= 1000000; steps *= 10) {
        struct pace pace;
        pace_init(&pace, 100);
        pace_tick(&pace, 7 * SECOND);
        assert_int_equal(take_all(&pace, false), 10);
        unsigned count = 0;
        for (unsigned i = 1; i <= steps; i++) {
            pace_tick(&pace, 7 * SECOND + i * SECOND / steps);
            count += take_all(&pace, false);
        }
        assert_int_equal(count, steps == 1 ? 10 : 100);
    }
}

static void test_slowest_and_fastest(void **state) {
    (void)state;
    struct pace pace;
    pace_init(&pace, 1);
    pace_tick(&pace, SECOND);
    assert_int_equal(take_all(&pace, false), 1);
    assert_int_equal(pace_wake_us(&pace, false), 2 * SECOND);
    pace_tick(&pace, 2 * SECOND - 1);
    assert_int_equal(take_all(&pace, false), 0);
    pace_tick(&pace, 2 * SECOND);
    assert_int_equal(take_all(&pace, false), 1);
    pace_tick(&pace, INT64_MAX); /* longer than can be multiplied */
    assert_int_equal(take_all(&pace, false), 1);
    pace_init(&pace, 60000);
    pace_tick(&pace, INT64_MAX / 2);
    assert_int_equal(take_all(&pace, false), 6000);
}

/* Events go at once, as many as are set aside for them, then at the rate; readings wait until that is paid back. */
static void test_events_borrow(void **state) {
    (void)state;
    struct pace pace;
    pace_init(&pace, 100);
    pace_tick(&pace, SECOND);
    assert_int_equal(take_all(&pace, true), 10 + PACE_EVENTS);
    assert_false(pace_allows(&pace, false));
    assert_int_equal(pace_wake_us(&pace, true), SECOND + 50000);        /* five more events */
    assert_int_equal(pace_wake_us(&pace, false), 3 * SECOND + 50000);   /* two hundred paid back, and five readings */
    pace_tick(&pace, 2 * SECOND);
    assert_int_equal(take_all(&pace, true), 100);
    pace_tick(&pace, 4 * SECOND);
    assert_false(pace_allows(&pace, false));
    pace_tick(&pace, 4 * SECOND + 10000);
    assert_int_equal(take_all(&pace, false), 1);
}

static void test_time_that_stands_still(void **state) {
    (void)state;
    struct pace pace;
    pace_init(&pace, 100);
    pace_tick(&pace, 9 * SECOND);
    (void)take_all(&pace, false);
    pace_tick(&pace, 9 * SECOND);
    pace_tick(&pace, 8 * SECOND);
    assert_int_equal(take_all(&pace, false), 0);
    pace_tick(&pace, 9 * SECOND + 10000);
    assert_int_equal(take_all(&pace, false), 1); /* the second that was gone back is not counted twice */
}

/* Who wakes when it is told finds something, and no more leaves than the rate allows: with every rate and at odd times. */
static void test_wakes_suffice(void **state) {
    (void)state;
    struct prng prng;
    prng_init(&prng, 11);
    for (unsigned round = 0; round < 500; round++) {
        struct pace pace;
        uint32_t rate = 1 + (uint32_t)prng_below(&prng, round % 2 ? 50 : 60000);
        int64_t now_us = (int64_t)prng_below(&prng, 1000000000), begin_us = now_us, at_once = rate / 10 > 1 ? rate / 10 : 1;
        uint64_t taken = 0;
        unsigned wakes = 0;
        pace_init(&pace, rate);
        for (int64_t end_us = now_us + 3 * SECOND; now_us < end_us; wakes++) {
            pace_tick(&pace, now_us);
            unsigned count = take_all(&pace, false);
            assert_true(count > 0);
            taken += count;
            assert_true((int64_t)taken <= at_once + 1 + (now_us - begin_us) * rate / SECOND);
            int64_t wake_us = pace_wake_us(&pace, false);
            assert_true(wake_us > now_us);
            now_us = wake_us;
        }
        assert_true(wakes <= 3 * 40 + 2);
        assert_true(taken + rate / 10 + 1 >= UINT64_C(3) * rate);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_limit),      cmocka_unit_test(test_rate),
        cmocka_unit_test(test_slowest_and_fastest), cmocka_unit_test(test_events_borrow),
        cmocka_unit_test(test_time_that_stands_still), cmocka_unit_test(test_wakes_suffice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
