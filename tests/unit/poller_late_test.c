/* SPDX-License-Identifier: Apache-2.0 */
/* Late answers on a line: the rig delivers each to whatever is asked of that unit when it comes. Registers contain their own
 * address, so that a value of another register is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "poller_rig.h"
#include "sensors/late.h"

#include <cmocka.h>

#define START (100 * SECOND)

static struct rig rig;
static unsigned good, wrong, doubted, good_of[RIG_DEVICES_MAX];
static int64_t oldest_us, read_us[RIG_DEVICES_MAX][RIG_POINTS_MAX], longest_us;

static void watch_values(struct rig *it, const struct poller_effects *effects) {
    const struct polled *polled = &effects->polled;
    for (uint16_t i = 0; effects->has_polled && i < polled->count; i++) {
        const struct reading *reading = &polled->readings[i];
        if (reading->quality != QUALITY_GOOD)
            continue;
        int64_t *last_us = &read_us[polled->device][reading->point];
        if (*last_us && it->now_us - *last_us > longest_us)
            longest_us = it->now_us - *last_us;
        *last_us = it->now_us;
        good++;
        good_of[polled->device]++;
        wrong += reading->value.integer != it->points[polled->device][reading->point].address;
        doubted += polled->older_us > 0;
        oldest_us = polled->older_us > oldest_us ? polled->older_us : oldest_us;
    }
}

static void watch(void) {
    good = wrong = doubted = 0;
    oldest_us = longest_us = 0;
    memset(good_of, 0, sizeof(good_of));
    memset(read_us, 0, sizeof(read_us));
    rig.watch = watch_values;
}

/* The measurement that began this: two registers of one unit in turn, one answer in twenty late by up to the whole window. */
static void alternating(enum bus_kind kind, enum alarm_class class, uint32_t every_ms, int64_t late_max_us, unsigned percent) {
    rig_init(&rig, kind, 2);
    rig_point(&rig, 0, READ_HOLDING, 50)->class = class;
    rig.points[0][0].class = class;
    rig.points[0][0].every_ms = rig.points[0][1].every_ms = every_ms;
    rig.slaves[0].late_percent = percent;
    rig.slaves[0].late_max_us = late_max_us;
    rig_begin(&rig, 2);
    watch();
    while (rig.slaves[0].asked < 400)
        assert_true(rig_advance(&rig, START + 1000 * SECOND));
    assert_in_range(rig.slaves[0].lates, 4 * percent - 15, 4 * percent + 40);
    assert_true(good >= 400 - 8 * percent);
    assert_int_equal(wrong, 0);
    rig_done(&rig);
}

static void late_answers_are_nobody_elses_values(void **state) {
    (void)state;
    static const int64_t lates_us[] = {15 * MS, 50 * MS, 200 * MS, LATE_WINDOW_MIN_US};
    static const uint32_t periods_ms[] = {60, 150, 500, 1000};
    for (size_t l = 0; l < 4; l++)
        for (size_t p = 0; p < 4; p++) {
            alternating(BUS_SERIAL, CLASS_ELECTRICAL, periods_ms[p], lates_us[l], 5);
            alternating(BUS_SERIAL, CLASS_FIRE, periods_ms[p], lates_us[l], 5);
            alternating(BUS_RTU_OVER_TCP, CLASS_ELECTRICAL, periods_ms[p], lates_us[l], 5);
            alternating(BUS_SERIAL, CLASS_ELECTRICAL, periods_ms[p], lates_us[l], 30); /* often two in a row */
        }
}

static void others_go_on_and_nobody_starves(void **state) {
    (void)state;
    for (int fire = 0; fire < 2; fire++) {
        rig_init(&rig, BUS_SERIAL, 3);
        rig_point(&rig, 0, READ_HOLDING, 50);
        rig_point(&rig, 0, READ_INPUT, 7);
        rig.points[0][0].every_ms = 500; /* asked within its own window: that never ends by itself */
        rig.points[0][0].class = fire ? CLASS_FIRE : CLASS_ELECTRICAL;
        rig.slaves[0].late_max_us = LATE_WINDOW_MIN_US;
        rig_begin(&rig, 3);
        rig_run(&rig, START + 50 * SECOND);
        rig.slaves[0].late_percent = 100;
        rig.slaves[0].late_first_only = true;
        while (poller_counters(rig.poller)->timeouts == 0)
            assert_true(rig_advance(&rig, START + 60 * SECOND));
        rig.slaves[0].late_percent = 0;
        int64_t from_us = rig.now_us;
        watch();
        rig_run(&rig, from_us + 40 * SECOND);
        assert_int_equal(wrong, 0);
        assert_true(doubted > 0);
        assert_in_range(good_of[1], 39, 41);
        assert_in_range(good_of[2], 39, 41);
        assert_in_range(good_of[0], fire ? 130 : 150, fire ? 600 : 162); /* 80 + 40 + 40, but for the window; fire has spare rounds */
        assert_true(longest_us <= LATE_WINDOW_MIN_US + (fire ? LATE_WAIT_MAX_US : SECOND) + SECOND);
        assert_true(oldest_us <= LATE_WINDOW_MIN_US + 200 * MS); /* nothing comes later than that */
        rig_done(&rig);
    }
}

/* Modbus TCP numbers its transactions: nothing waits there. */
static void a_network_needs_no_window(void **state) {
    (void)state;
    rig_init(&rig, BUS_TCP, 1);
    for (uint16_t i = 1; i < 8; i++)
        rig_point(&rig, 0, READ_HOLDING, (uint16_t)(200 * i));
    rig_begin(&rig, 1);
    rig_run(&rig, START + 10 * SECOND);
    rig.slaves[0].silent = true;
    uint64_t timeouts = poller_counters(rig.poller)->timeouts;
    while (poller_counters(rig.poller)->timeouts == timeouts)
        assert_true(rig_advance(&rig, START + 20 * SECOND));
    rig.slaves[0].silent = false;
    watch();
    rig_run(&rig, rig.now_us + SECOND);
    assert_in_range(good, 7, 16); /* all have the same phase: once or twice */
    assert_int_equal(doubted, 0);
    rig_done(&rig);
}

/* A late exception must not have a good read split for ever. */
static void a_late_exception_splits_nothing(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig_point(&rig, 0, READ_HOLDING, 1);  /* merged with register 0 */
    rig_point(&rig, 0, READ_HOLDING, 50); /* asked apart, refused, and late */
    rig.points[0][2].every_ms = 300;
    rig.slaves[0].missing = 50;
    rig_begin(&rig, 1);
    rig_run(&rig, START + 10 * SECOND);
    for (int i = 0; i < 200; i++) {
        rig.slaves[0].late_percent = 30;
        rig.slaves[0].late_max_us = 500 * MS;
        rig_run(&rig, rig.now_us + SECOND);
    }
    assert_true(rig.slaves[0].lates > 50);
    assert_null(strstr(rig.story, "split"));
    rig_done(&rig);
}

/* A write of several registers says in its answer where, not what: one that ends in the window of another is not believed. */
static void a_late_echo_confirms_no_other_write(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    struct point *wide = rig_point(&rig, 0, READ_HOLDING, 8);
    wide->type = TYPE_U32;
    wide->registers = 2;
    wide->writable = true;
    rig.points[0][0].every_ms = wide->every_ms = 3600000;
    rig_begin(&rig, 1);
    rig_run(&rig, START + SECOND);
    rig.slaves[0].silent = true;
    rig_write(&rig, 0, 1, 1000, 1);
    rig_advance(&rig, NOW_NEVER - 1);
    assert_true(rig.effects.has_written && !rig.effects.written.ok);
    rig.slaves[0].silent = false;
    rig_write(&rig, 0, 1, 2000, 2);
    rig_advance(&rig, NOW_NEVER - 1);
    assert_true(rig.effects.has_written && !rig.effects.written.ok);
    assert_int_equal(rig.effects.written.status, BUS_CORRUPT);
    rig_run(&rig, rig.now_us + 2 * SECOND);
    rig_write(&rig, 0, 1, 2000, 3);
    rig_advance(&rig, NOW_NEVER - 1);
    assert_true(rig.effects.has_written && rig.effects.written.ok);
    rig_done(&rig);
}

/* The timeout follows the device and is raised when it misses; a device that became slow is heard again. */
static void the_timeout_is_learned(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig_begin(&rig, 1);
    struct poller_timeouts timeouts;
    poller_timeouts(rig.poller, 0, &timeouts);
    assert_true(timeouts.floor_us == 50 * MS && timeouts.ceiling_us == 200 * MS && timeouts.current_us == 200 * MS);
    rig_run(&rig, START + 40 * SECOND);
    poller_timeouts(rig.poller, 0, &timeouts);
    assert_true(timeouts.current_us == 50 * MS); /* 5 ms is below the floor */
    rig_run(&rig, rig.now_us + SECOND);
    assert_true(rig.request.timeout_us == 50 * MS);
    rig.slaves[0].turnaround_us = 120 * MS;
    watch();
    rig_run(&rig, rig.now_us + 20 * SECOND);
    assert_true(good >= 17);
    assert_int_equal(poller_counters(rig.poller)->devices_dead, 0);
    poller_timeouts(rig.poller, 0, &timeouts);
    assert_true(timeouts.current_us == 200 * MS);
    rig.slaves[0].silent = true; /* a dead one is probed with the ceiling */
    rig_run(&rig, rig.now_us + 20 * SECOND);
    assert_int_equal(poller_counters(rig.poller)->devices_dead, 1);
    assert_true(rig.request.timeout_us == 200 * MS);
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_answers_are_nobody_elses_values),
        cmocka_unit_test(others_go_on_and_nobody_starves),
        cmocka_unit_test(a_network_needs_no_window),
        cmocka_unit_test(a_late_exception_splits_nothing),
        cmocka_unit_test(a_late_echo_confirms_no_other_write),
        cmocka_unit_test(the_timeout_is_learned),
    };
    return cmocka_run_group_tests_name("poller late", tests, NULL, NULL);
}
