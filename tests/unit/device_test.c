/* SPDX-License-Identifier: Apache-2.0 */
/* A device dies after the third miss in a row, is probed at a growing interval and comes back with any answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/now.h"
#include "base/prng.h"
#include "sensors/device.h"

static void starts_unknown_and_comes_online(void **state) {
    (void)state;
    struct device device;
    device_init(&device);
    device_check(&device);
    assert_int_equal(device.state, DEVICE_UNKNOWN);
    assert_true(device.last_answer_us == NOW_NEVER);
    assert_true(device_on_answer(&device, 5));
    assert_int_equal(device.state, DEVICE_ONLINE);
    assert_true(device.last_answer_us == 5);
    assert_false(device_on_answer(&device, 6));
    device_check(&device);
}

static void dies_only_after_misses_in_a_row(void **state) {
    (void)state;
    struct device device;
    device_init(&device);
    device_on_answer(&device, 1);
    assert_false(device_on_miss(&device, 2));
    assert_false(device_on_miss(&device, 3));
    assert_false(device_on_answer(&device, 4)); /* not in a row any more */
    assert_false(device_on_miss(&device, 5));
    assert_false(device_on_miss(&device, 6));
    device_check(&device);
    assert_true(device_on_miss(&device, 7));
    assert_int_equal(device.state, DEVICE_DEAD);
    assert_true(device.last_answer_us == 4);
    device_check(&device);
}

static void probes_grow_to_ten_seconds(void **state) {
    (void)state;
    struct device device;
    device_init(&device);
    for (int i = 0; i < 2; i++)
        assert_false(device_on_miss(&device, i));
    assert_true(device_on_miss(&device, 3)); /* dead from the start: never answered */
    for (unsigned i = 1; i <= 40; i++) {
        assert_int_equal(device.probe_interval_ms, i < 20 ? i * 500 : 10000);
        assert_false(device_on_miss(&device, 3 + i));
        device_check(&device);
    }
    assert_true(device_on_answer(&device, 100));
    assert_int_equal(device.probe_interval_ms, 0);
    assert_int_equal(device.misses, 0);
    device_check(&device);
}

static void holds_its_guarantees_for_any_history(void **state) {
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    struct device device;
    device_init(&device);
    for (int64_t i = 0; i < 10000; i++) {
        enum device_state before = device.state;
        bool changed = prng_below(&prng, 3) == 0 ? device_on_answer(&device, i) : device_on_miss(&device, i);
        assert_int_equal(changed, before != device.state);
        device_check(&device);
    }
}

static void state_names(void **state) {
    (void)state;
    assert_string_equal(device_state_name(DEVICE_UNKNOWN), "unknown");
    assert_string_equal(device_state_name(DEVICE_ONLINE), "online");
    assert_string_equal(device_state_name(DEVICE_DEAD), "dead");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_unknown_and_comes_online),
        cmocka_unit_test(dies_only_after_misses_in_a_row),
        cmocka_unit_test(probes_grow_to_ten_seconds),
        cmocka_unit_test(holds_its_guarantees_for_any_history),
        cmocka_unit_test(state_names),
    };
    return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
