/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of a scan against a line of devices made of numbers: who is found, what it costs, and what late and damaged answers
 * do to it. Time is counted, not waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "gateway/commission/sweep.h"

#define WIRE_US 12000 /* request and silence at 9600 baud */

struct device {
    uint32_t baud;
    uint8_t unit_id;
    enum frame_function function; /* the only one it knows; 0: any */
    int64_t turnaround_us;
    unsigned corrupt; /* so many answers are damaged first */
};

struct outcome {
    unsigned asks, found, several;
    uint8_t found_units[SWEEP_UNITS], several_units[SWEEP_UNITS];
    int64_t time_us, first_found_us;
};

static const struct sweep_setting two[] = {{9600, PARITY_NONE, 1}, {4800, PARITY_NONE, 1}};

/* One answer at most is on its way; it is heard as strays when nobody waits for it any more. */
static void run(struct sweep *sweep, struct device *devices, unsigned count, struct outcome *outcome) {
    struct sweep_ask ask;
    int64_t late_us = NOW_NEVER; /* when an answer that was given up arrives */
    memset(outcome, 0, sizeof(*outcome));
    while (sweep_next(sweep, &ask)) {
        enum bus_status status = BUS_TIMEOUT;
        int64_t turnaround_us = 0, spent_us = WIRE_US + ask.timeout_us;
        assert_true(++outcome->asks < 10000);
        assert_true(ask.timeout_us >= 5000 && ask.timeout_us <= 500000);
        for (unsigned i = 0; i < count; i++) {
            struct device *device = &devices[i];
            if (device->baud != sweep->settings[ask.setting].baud || device->unit_id != ask.unit_id ||
                (device->function && device->function != ask.function))
                continue;
            if (device->turnaround_us > ask.timeout_us) {
                late_us = outcome->time_us + WIRE_US + device->turnaround_us;
                continue;
            }
            status = device->corrupt ? BUS_CORRUPT : BUS_ANSWERED;
            device->corrupt -= device->corrupt > 0;
            turnaround_us = device->turnaround_us;
            spent_us = WIRE_US + turnaround_us;
        }
        outcome->time_us += spent_us;
        bool strays = late_us <= outcome->time_us;
        if (strays)
            late_us = NOW_NEVER;
        enum sweep_result result = sweep_note(sweep, status, turnaround_us, strays);
        if (result == SWEEP_FOUND && outcome->first_found_us == 0)
            outcome->first_found_us = outcome->time_us;
        if (result == SWEEP_FOUND)
            outcome->found_units[outcome->found++] = ask.unit_id;
        if (result == SWEEP_SEVERAL)
            outcome->several_units[outcome->several++] = ask.unit_id;
        assert_true(sweep->done <= sweep->total);
    }
    assert_int_equal(sweep->done, sweep->total);
    assert_int_equal(sweep->found, outcome->found);
}

static struct sweep sweep;
static struct outcome outcome;

static void every_device_is_found_once(void **state) {
    (void)state;
    struct device devices[] = {{9600, 1, 0, 8000, 0}, {9600, 17, 0, 6000, 0}, {4800, 1, 0, 20000, 0}, {9600, 247, 0, 5000, 0}};
    sweep_init(&sweep, two, 2, 1, 247, 0);
    run(&sweep, devices, ARRAY_COUNT(devices), &outcome);
    assert_int_equal(outcome.found, 4);
    assert_int_equal(outcome.several, 0);
    static const uint8_t wanted[] = {1, 1, 17, 247};
    assert_memory_equal(outcome.found_units, wanted, sizeof(wanted));
}

static void a_dead_unit_id_costs_little(void **state) {
    (void)state;
    struct device devices[] = {{9600, 1, 0, 6000, 0}};
    sweep_init(&sweep, two, 1, 1, 247, 0);
    run(&sweep, devices, 1, &outcome);
    assert_int_equal(outcome.found, 1);
    assert_int_equal(outcome.asks, 247 + 15);                        /* the low ones twice, for those that know input registers only */
    assert_true(outcome.time_us < outcome.asks * (WIRE_US + 31000)); /* 43 ms each, not 500 */
    assert_true(outcome.time_us < 12000000);
}

static void the_usual_address_comes_first_at_every_speed(void **state) {
    (void)state;
    struct device devices[] = {{4800, 1, 0, 6000, 0}};
    sweep_init(&sweep, two, 2, 1, 247, 0);
    run(&sweep, devices, 1, &outcome);
    assert_int_equal(outcome.found, 1);
    assert_true(outcome.first_found_us < 2000000);
}

static void a_device_that_knows_input_registers_only_is_found(void **state) {
    (void)state;
    struct device low[] = {{9600, 5, FC_READ_INPUT, 6000, 0}}, high[] = {{9600, 99, FC_READ_INPUT, 6000, 0}};
    sweep_init(&sweep, two, 1, 1, 247, 0);
    run(&sweep, low, 1, &outcome);
    assert_int_equal(outcome.found, 1);
    sweep_init(&sweep, two, 1, 1, 247, 0);
    run(&sweep, high, 1, &outcome); /* nothing else answers, so the others are asked again */
    assert_int_equal(outcome.found, 1);
    assert_int_equal(outcome.asks, 2 * 247);
}

static void a_device_slower_than_the_timeout_is_found(void **state) {
    (void)state;
    for (int64_t turnaround_us = 10000; turnaround_us <= 400000; turnaround_us += 13000) {
        struct device devices[] = {{9600, 1, 0, 5000, 0}, {9600, 40, 0, turnaround_us, 0}, {9600, 90, 0, turnaround_us, 0}};
        sweep_init(&sweep, two, 1, 1, 247, 0);
        run(&sweep, devices, 3, &outcome);
        assert_int_equal(outcome.found, 3);
        assert_int_equal(outcome.several, 0);
    }
}

static void damage_once_is_asked_again_damage_always_is_told(void **state) {
    (void)state;
    struct device once[] = {{9600, 7, 0, 5000, 2}}, always[] = {{9600, 7, 0, 5000, 1000}, {9600, 9, 0, 5000, 0}};
    sweep_init(&sweep, two, 1, 1, 247, 0);
    run(&sweep, once, 1, &outcome);
    assert_int_equal(outcome.found, 1);
    assert_int_equal(outcome.several, 0);
    sweep_init(&sweep, two, 1, 1, 247, 0);
    run(&sweep, always, 2, &outcome);
    assert_int_equal(outcome.found, 1);
    assert_int_equal(outcome.several, 1);
    assert_int_equal(outcome.several_units[0], 7);
}

static void a_line_that_is_all_noise_comes_to_an_end(void **state) {
    (void)state;
    struct sweep_ask ask;
    unsigned asks = 0;
    sweep_init(&sweep, two, 2, 0, 255, 0);
    while (sweep_next(&sweep, &ask)) {
        assert_true(++asks < 20000);
        (void)sweep_note(&sweep, asks % 2 ? BUS_CORRUPT : BUS_TIMEOUT, 0, true);
    }
    assert_int_equal(sweep.done, sweep.total);
}

static void any_range_is_walked(void **state) {
    (void)state;
    static const uint8_t ranges[][2] = {{1, 1}, {16, 17}, {17, 20}, {200, 255}, {0, 255}, {255, 255}, {0, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        struct device devices[] = {{4800, ranges[i][1], 0, 5000, 0}};
        sweep_init(&sweep, two, 2, ranges[i][0], ranges[i][1], 0);
        run(&sweep, devices, 1, &outcome);
        assert_int_equal(outcome.found, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_is_found_once),
        cmocka_unit_test(a_dead_unit_id_costs_little),
        cmocka_unit_test(the_usual_address_comes_first_at_every_speed),
        cmocka_unit_test(a_device_that_knows_input_registers_only_is_found),
        cmocka_unit_test(a_device_slower_than_the_timeout_is_found),
        cmocka_unit_test(damage_once_is_asked_again_damage_always_is_told),
        cmocka_unit_test(a_line_that_is_all_noise_comes_to_an_end),
        cmocka_unit_test(any_range_is_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
