/* SPDX-License-Identifier: Apache-2.0 */
/* The response timeout follows the slowest answers and never cuts a device off for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "sensors/response.h"

#define MS INT64_C(1000)

static struct response response;

static void answer(unsigned times, int64_t turnaround_us) {
    for (unsigned i = 0; i < times; i++) {
        response_answered(&response, turnaround_us);
        response_check(&response);
    }
}

static void the_ceiling_until_enough_is_seen(void **state) {
    (void)state;
    response_init(&response, 500 * MS, true);
    assert_true(response_timeout_us(&response, 0) == 500 * MS);
    answer(RESPONSE_ANSWERS_MIN - 1, 30 * MS);
    assert_true(response_timeout_us(&response, 0) == 500 * MS);
    answer(1, 5 * MS);
    assert_true(response_timeout_us(&response, 0) == 80 * MS); /* 2 x 30 + 20 */
}

static void between_floor_and_ceiling(void **state) {
    (void)state;
    response_init(&response, 500 * MS, true);
    answer(100, 1 * MS);
    assert_true(response_timeout_us(&response, 0) == 50 * MS);
    answer(1, 400 * MS);
    assert_true(response_timeout_us(&response, 0) == 500 * MS);
    response_init(&response, 30 * MS, true); /* a ceiling below the floor is the person's word */
    answer(100, 1 * MS);
    assert_true(response_timeout_us(&response, 0) == 30 * MS);
}

static void one_slow_answer_in_a_thousand_counts(void **state) {
    (void)state;
    response_init(&response, 500 * MS, true);
    for (int i = 0; i < 5; i++) {
        answer(1, 100 * MS);
        answer(999, 5 * MS);
        assert_true(response_timeout_us(&response, 0) == 220 * MS);
    }
    answer(1000, 5 * MS);
    assert_true(response_timeout_us(&response, 0) == 220 * MS); /* still in the window before */
    answer(1, 5 * MS);
    assert_true(response_timeout_us(&response, 0) == 50 * MS);
}

static void misses_raise_it(void **state) {
    (void)state;
    response_init(&response, 500 * MS, true);
    answer(100, 20 * MS);
    assert_true(response_timeout_us(&response, 0) == 60 * MS);
    response_missed(&response);
    assert_true(response_timeout_us(&response, 0) == 120 * MS);
    response_missed(&response);
    assert_true(response_timeout_us(&response, 0) == 500 * MS);
    response_missed(&response);
    response_check(&response);
    answer(1, 300 * MS); /* that slow it is now */
    assert_true(response_timeout_us(&response, 0) == 500 * MS);
    response_init(&response, 500 * MS, true);
    answer(100, 20 * MS);
    assert_true(response_timeout_us(&response, 1) == 120 * MS); /* another request of the device missed */
    assert_true(response_timeout_us(&response, 2) == 500 * MS);
}

static void networks_do_not_learn(void **state) {
    (void)state;
    response_init(&response, 500 * MS, false);
    answer(5000, 1 * MS);
    assert_true(response_timeout_us(&response, 0) == 500 * MS);
}

/* However its turnaround wanders within the ceiling, three requests in a row are never all cut off. */
static void never_cut_off_for_ever(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct prng prng;
        unsigned missed = 0, worst = 0, all = 0;
        int64_t turnaround_us = 5 * MS;
        prng_init(&prng, seed);
        response_init(&response, 500 * MS, true);
        for (int i = 0; i < 20000; i++) {
            if (prng_below(&prng, 500) == 0)
                turnaround_us = 1 + (int64_t)prng_below(&prng, 500 * MS);
            if (turnaround_us <= response_timeout_us(&response, missed)) {
                missed = 0;
                response_answered(&response, turnaround_us);
            } else {
                missed++;
                all++;
                response_missed(&response);
            }
            worst = missed > worst ? missed : worst;
            response_check(&response);
        }
        assert_in_range(worst, 1, 2);
        assert_in_range(all, 1, 100);
    }
}

static void usual(void **state) {
    (void)state;
    response_init(&response, 500000, true);
    assert_int_equal(response_usual_us(&response), 0); /* not known */
    response_answered(&response, 7000);
    response_missed(&response);
    assert_int_equal(response_usual_us(&response), 7000 + RESPONSE_USUAL_EXTRA_US);
    response_answered(&response, 30000);
    for (unsigned i = 0; i < RESPONSE_WINDOW; i++)
        response_answered(&response, 9000);
    assert_int_equal(response_usual_us(&response), 30000 + RESPONSE_USUAL_EXTRA_US); /* still in the window before */
    for (unsigned i = 0; i < RESPONSE_WINDOW; i++)
        response_answered(&response, 9000);
    assert_int_equal(response_usual_us(&response), 9000 + RESPONSE_USUAL_EXTRA_US);
    response_init(&response, 500000, false);
    response_answered(&response, 7000);
    assert_int_equal(response_usual_us(&response), 0); /* of a network nothing is learned */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual),
        cmocka_unit_test(the_ceiling_until_enough_is_seen),
        cmocka_unit_test(between_floor_and_ceiling),
        cmocka_unit_test(one_slow_answer_in_a_thousand_counts),
        cmocka_unit_test(misses_raise_it),
        cmocka_unit_test(networks_do_not_learn),
        cmocka_unit_test(never_cut_off_for_ever),
    };
    return cmocka_run_group_tests_name("response", tests, NULL, NULL);
}
