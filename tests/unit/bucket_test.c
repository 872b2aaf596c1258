/* SPDX-License-Identifier: Apache-2.0 */
/* The gate before commands: a burst, the rate, and nothing saved up beyond a burst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "gateway/io/mqtt_bucket.h"

#define SECOND_US INT64_C(1000000)

static unsigned taken(struct mqtt_bucket *bucket, int64_t from_us, int64_t to_us, int64_t each_us) {
    unsigned count = 0;
    for (int64_t at_us = from_us; at_us < to_us; at_us += each_us)
        count += mqtt_bucket_take(bucket, at_us);
    return count;
}

static void a_burst_then_the_rate(void **state) {
    (void)state;
    struct mqtt_bucket bucket = {0};
    assert_int_equal(taken(&bucket, 5 * SECOND_US, 5 * SECOND_US + 1000, 1), COMMANDS_BURST); /* a thousand in a millisecond */
    assert_false(mqtt_bucket_take(&bucket, 5 * SECOND_US + 1000));
    /* Ten thousand a second for ten of them: what the second of pause earned, and one each 100 ms behind the first instant. */
    assert_int_equal(taken(&bucket, 6 * SECOND_US, 16 * SECOND_US, 100), 11 * COMMANDS_PER_S - 1);
}

static void a_pause_fills_it_once(void **state) {
    (void)state;
    struct mqtt_bucket bucket = {0};
    (void)taken(&bucket, SECOND_US, 2 * SECOND_US, 1000);
    assert_int_equal(taken(&bucket, 3600 * SECOND_US, 3600 * SECOND_US + 1000, 10), COMMANDS_BURST);
}

static void who_keeps_the_rate_is_never_refused(void **state) {
    (void)state;
    struct mqtt_bucket bucket = {0};
    assert_int_equal(taken(&bucket, SECOND_US, 1001 * SECOND_US, SECOND_US / COMMANDS_PER_S), 1000 * COMMANDS_PER_S);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_then_the_rate),
        cmocka_unit_test(a_pause_fills_it_once),
        cmocka_unit_test(who_keeps_the_rate_is_never_refused),
    };
    return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
