/* SPDX-License-Identifier: Apache-2.0 */
/* What a poller asks and what it makes of the answers, over hundreds of simulated seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "poller_rig.h"

#include <cmocka.h>

#define START (100 * SECOND) /* of the rig's clock */

static struct rig rig;

static void first_values_and_names(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig_point(&rig, 0, READ_HOLDING, 5);
    rig_begin(&rig, 1);
    assert_true(rig.effects.has_request); /* the first device at once */
    assert_int_equal(rig.request.unit_id, 1);
    assert_memory_equal(rig.request.pdu.bytes, "\x03\x00\x00\x00\x06", 5);
    assert_true(rig_advance(&rig, START + SECOND));
    const struct polled *polled = &rig.effects.polled;
    assert_true(rig.effects.has_polled);
    assert_int_equal(polled->bus, 3);
    assert_int_equal(polled->device, 0);
    assert_int_equal(polled->status, BUS_ANSWERED);
    assert_int_equal(polled->device_state, DEVICE_ONLINE);
    assert_int_equal(polled->exception, 0);
    assert_false(polled->holds);
    assert_int_equal(polled->count, 2);
    assert_int_equal(polled->readings[1].point, 1);
    assert_int_equal(polled->readings[1].quality, QUALITY_GOOD);
    assert_true(polled->readings[1].value.integer == 5);
    assert_true(polled->now.mono_us == rig.now_us && polled->now.wall_trusted);
    assert_true(polled->took_us == rig.now_us - START);
    assert_true(polled->late_us == 0);
    assert_string_equal(rig.story, "device d0 online\n");
    rig_done(&rig);
}

static int64_t releases_us[RIG_DEVICES_MAX], worst_late_us[RIG_DEVICES_MAX];
static unsigned polls_of[RIG_DEVICES_MAX], extras_of[RIG_DEVICES_MAX];

static void watch_lateness(struct rig *it, const struct poller_effects *effects) {
    (void)it;
    if (!effects->has_polled)
        return;
    const struct polled *polled = &effects->polled;
    uint16_t d = polled->device;
    if (polled->extra) {
        assert_int_equal(polled->late_us, 0);
        extras_of[d]++;
        return;
    }
    releases_us[d] = polled->now.mono_us - polled->took_us - polled->late_us;
    polls_of[d]++;
    if (polled->late_us > worst_late_us[d])
        worst_late_us[d] = polled->late_us;
}

static void watch_from_here(void) {
    memset(worst_late_us, 0, sizeof(worst_late_us));
    memset(polls_of, 0, sizeof(polls_of));
    memset(extras_of, 0, sizeof(extras_of));
    rig.watch = watch_lateness;
}

static void release_times_do_not_drift(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 4);
    rig_begin(&rig, 4);
    watch_from_here();
    rig_run(&rig, START + 2 * SECOND);
    int64_t first_us[4];
    memcpy(first_us, releases_us, sizeof(first_us));
    rig_run(&rig, START + 500 * SECOND);
    for (uint16_t d = 0; d < 4; d++) {
        assert_true(releases_us[d] % SECOND == first_us[d] % SECOND); /* to the microsecond */
        assert_in_range(polls_of[d], 499, 500);
    }
    assert_int_equal(poller_counters(rig.poller)->skipped_releases, 0);
    rig_done(&rig);
}

static void a_start_is_no_burst(void **state) {
    (void)state;
    rig_init(&rig, BUS_TCP, 8);
    rig_begin(&rig, 8);
    watch_from_here();
    rig_run(&rig, START + 10 * SECOND);
    for (uint16_t a = 0; a < 8; a++) {
        assert_in_range(polls_of[a], 9, 10);
        for (uint16_t b = 0; b < a; b++) {
            int64_t apart_us = llabs(releases_us[a] % SECOND - releases_us[b] % SECOND);
            assert_true(apart_us >= 50 * MS && apart_us <= 950 * MS); /* 125 ms would be perfect */
        }
    }
    rig_done(&rig);
}

static void overload_skips_and_counts(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 8);
    for (uint16_t d = 0; d < 8; d++) {
        rig.points[d][0].every_ms = 100; /* 8 x 23 ms do not go into 100 ms */
        rig.points[d][0].class = d == 7 ? CLASS_FIRE : CLASS_MAINTENANCE;
    }
    rig_begin(&rig, 8);
    watch_from_here();
    rig_run(&rig, START + 100 * SECOND);
    assert_in_range(poller_counters(rig.poller)->skipped_releases, 2000, 7000);
    assert_true(worst_late_us[7] <= 25 * MS);
    assert_in_range(polls_of[7], 999, 1001); /* fire misses none */
    for (uint16_t d = 0; d < 7; d++)
        assert_in_range(polls_of[d], 400, 800); /* the rest share what is left evenly */
    rig_done(&rig);
}

/* A device dies: three timeouts, then one at each probe, at most 10 s apart; the fire device beside it never waits again. */
static void a_dead_neighbour(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 4);
    rig.points[0][0].class = CLASS_FIRE;
    rig_point(&rig, 3, READ_INPUT, 0); /* the dead one has two requests */
    rig_begin(&rig, 4);
    rig_run(&rig, START + 50 * SECOND);
    rig.slaves[3].silent = true;
    rig_run(&rig, START + 55 * SECOND);
    assert_non_null(strstr(rig.story, "device d3 dead misses=3\n"));
    assert_int_equal(poller_counters(rig.poller)->devices_dead, 1);
    assert_int_equal(poller_counters(rig.poller)->devices_online, 3);
    unsigned asked = rig.slaves[3].asked;
    uint64_t timeouts = poller_counters(rig.poller)->timeouts;
    watch_from_here();
    rig_run(&rig, START + 455 * SECOND);
    unsigned probes = rig.slaves[3].asked - asked;
    assert_in_range(probes, 39, 60); /* 10 s apart once the interval has grown */
    assert_int_equal(poller_counters(rig.poller)->timeouts - timeouts, probes);
    assert_true(worst_late_us[0] == 0);                                        /* the fit check */
    assert_true(worst_late_us[1] <= 240 * MS && worst_late_us[2] <= 240 * MS); /* one timeout */
    for (uint16_t d = 0; d < 3; d++)
        assert_in_range(polls_of[d], 399, 401);
    rig.slaves[3].silent = false;
    int64_t before_us = rig.now_us;
    while (poller_counters(rig.poller)->devices_dead > 0)
        assert_true(rig_advance(&rig, before_us + 11 * SECOND));
    const struct polled *polled = &rig.effects.polled;
    assert_int_equal(polled->device_state, DEVICE_ONLINE); /* the probe's own reply counts */
    assert_int_equal(polled->readings[0].quality, QUALITY_GOOD);
    watch_from_here();
    rig_run(&rig, rig.now_us + SECOND);
    assert_in_range(polls_of[3], 2, 3); /* the other request at once */
    assert_non_null(strstr(rig.story, "device d3 back after=4"));
    rig_done(&rig);
}

/* A device of four requests falls silent: one timeout in a fire period, not four. */
static void a_silent_device_costs_one_timeout_a_period(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 3);
    for (uint16_t d = 0; d < 3; d++)
        rig.points[d][0].class = CLASS_FIRE;
    rig_point(&rig, 0, READ_INPUT, 0)->class = CLASS_FIRE;
    rig_point(&rig, 0, READ_COIL, 0)->class = CLASS_FIRE;
    rig_point(&rig, 0, READ_DISCRETE, 0);
    rig_point(&rig, 2, READ_INPUT, 0)->every_ms = 20; /* no line time to spare: nothing is found out before it is due */
    rig_begin(&rig, 3);
    for (int i = 0; i < 60; i++) {
        rig_run(&rig, rig.now_us + 20 * SECOND + i * 53 * MS);
        watch_from_here();
        rig.slaves[0].silent = true;
        rig_run(&rig, rig.now_us + 6 * SECOND);
        assert_int_equal(poller_counters(rig.poller)->devices_dead, 1);
        /* those that stand in front take 21 ms each, one of them its request of 9 ms and the timeout of 200 ms */
        assert_true(worst_late_us[1] <= (3 * 21 + 209) * MS && worst_late_us[2] <= (4 * 21 + 209) * MS);
        rig.slaves[0].silent = false;
    }
    rig_done(&rig);
}

/* Spare line time goes to the fire points and delays nobody, not even when a fire device falls silent in the midst of it. */
static void spare_rounds(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 4);
    rig.points[0][0].class = rig.points[1][0].class = CLASS_FIRE;
    rig.points[1][0].feeds_action = true;
    rig.hold_releases = true;
    rig_begin(&rig, 4);
    watch_from_here();
    rig_run(&rig, START + 100 * SECOND);
    for (uint16_t d = 0; d < 4; d++) {
        assert_in_range(polls_of[d], 99, 101); /* the period is kept by those that are not extra */
        assert_in_range(extras_of[d], d < 2 ? 280 : 0, d < 2 ? 400 : 0);
        assert_true(worst_late_us[d] <= (d == 1 ? 25 * MS : 0));
    }
    assert_int_equal(poller_counters(rig.poller)->extras, extras_of[0] + extras_of[1]);
    for (int i = 0; i < 40; i++) {
        rig.slaves[0].silent = !rig.slaves[0].silent;
        rig_run(&rig, rig.now_us + 1234 * MS + i * 17 * MS);
        worst_late_us[0] = worst_late_us[1] = 0;
    }
    assert_true(worst_late_us[2] == 0 && worst_late_us[3] == 0);
    rig.slaves[0].silent = true;
    rig_run(&rig, rig.now_us + 5 * SECOND);
    watch_from_here();
    rig_run(&rig, rig.now_us + 100 * SECOND);
    assert_int_equal(extras_of[0], 0); /* a dead one gets probes only */
    assert_in_range(extras_of[1], 250, 450);
    rig_done(&rig);
}

static void a_probe_is_the_cheapest_request_and_only_one(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 2);
    rig.points[0][0].registers = 4;
    rig.points[0][0].type = TYPE_U64;
    rig_point(&rig, 0, READ_INPUT, 7);
    rig.slaves[0].silent = true;
    rig_begin(&rig, 2);
    rig_run(&rig, START + 3 * SECOND);
    assert_non_null(strstr(rig.story, "device d0 dead misses=3\n"));
    int64_t last_us = NOW_NEVER;
    while (rig_advance(&rig, START + 100 * SECOND)) {
        if (!rig.effects.has_request || rig.request.unit_id != 1)
            continue;
        assert_memory_equal(rig.request.pdu.bytes, "\x04\x00\x07\x00\x01", 5);
        if (last_us != NOW_NEVER)
            assert_true(rig.now_us - last_us >= 700 * MS && rig.now_us - last_us <= 10300 * MS);
        last_us = rig.now_us;
    }
    rig.slaves[0].silent = false;
    rig_run(&rig, START + 120 * SECOND);
    assert_non_null(strstr(rig.story, "device d0 online\n")); /* it had never answered */
    assert_null(strstr(rig.story, "back"));
    rig_done(&rig);
}

static void holding_the_line(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 2);
    rig.points[0][0].feeds_action = true;
    rig.points[1][0].every_ms = 10; /* always due */
    rig_point(&rig, 1, READ_COIL, 4)->writable = true;
    rig_begin(&rig, 2);
    while (!(rig.effects.has_polled && rig.effects.polled.holds))
        assert_true(rig_advance(&rig, START + 2 * SECOND));
    assert_false(rig.effects.has_request);
    assert_true(poller_next_wake(rig.poller) == rig.now_us + POLLER_HOLD_US);
    rig.now_us += 4 * MS;
    rig_step(&rig, POLLER_TICK); /* an early wake changes nothing */
    assert_false(rig.effects.has_request);
    rig_write(&rig, 1, 1, 0, 77); /* the verdict's write goes at once */
    assert_memory_equal(rig.request.pdu.bytes, "\x05\x00\x04\x00\x00", 5);
    rig_step(&rig, POLLER_RELEASE);
    rig_advance(&rig, START + 3 * SECOND);
    assert_true(rig.effects.has_written && rig.effects.written.ok);
    assert_int_equal(rig.effects.written.id, 77);
    assert_true(rig.effects.has_request); /* released meanwhile */
    rig.effects.polled.holds = false;
    while (!(rig.effects.has_polled && rig.effects.polled.holds))
        assert_true(rig_advance(&rig, START + 4 * SECOND));
    int64_t held_us = rig.now_us;
    rig_advance(&rig, START + 5 * SECOND); /* no RELEASE: the line goes on by itself */
    assert_true(rig.now_us == held_us + POLLER_HOLD_US && rig.effects.has_request);
    rig.slaves[0].silent = true; /* what did not come needs no verdict */
    for (int i = 0; i < 300; i++) {
        rig_advance(&rig, START + 60 * SECOND);
        assert_false(rig.effects.has_polled && rig.effects.polled.holds);
    }
    rig_done(&rig);
}

static void a_refused_merged_read_is_split_for_ever(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig.points[0][0].class = CLASS_FIRE;
    rig_point(&rig, 0, READ_HOLDING, 3)->class = CLASS_FIRE;
    rig_point(&rig, 0, READ_HOLDING, 9)->class = CLASS_FIRE;
    rig.slaves[0].registers_max = 2;
    rig_begin(&rig, 1);
    size_t used = rig.arena.used_total;
    rig_advance(&rig, START + SECOND);
    assert_int_equal(rig.effects.polled.exception, 2);
    assert_int_equal(rig.effects.polled.count, 3);
    assert_int_equal(rig.effects.polled.readings[2].reason, REASON_EXCEPTION);
    assert_int_equal(rig.effects.polled.device_state, DEVICE_ONLINE); /* an exception is an answer */
    assert_string_equal(rig.story, "device d0 online\ndevice d0 refuses merged read holding/0x0000+10: split\n");
    watch_from_here();
    rig_run(&rig, START + 100 * SECOND);
    assert_in_range(polls_of[0], 300, 303); /* all three, each second, from the start */
    assert_int_equal(poller_counters(rig.poller)->exceptions, 1);
    rig.slaves[0].silent = true; /* dead and back it is still split */
    rig_run(&rig, START + 110 * SECOND);
    rig.slaves[0].silent = false;
    rig_run(&rig, START + 150 * SECOND);
    assert_int_equal(poller_counters(rig.poller)->exceptions, 1);
    assert_int_equal(rig.arena.used_total, used);
    rig.slaves[0].exception = 2; /* a single point has nothing left to split */
    rig_run(&rig, START + 160 * SECOND);
    assert_null(strstr(strstr(rig.story, "split") + 5, "split"));
    rig_done(&rig);
}

static void the_bus_goes_and_comes_back(void **state) {
    (void)state;
    rig_init(&rig, BUS_TCP, 1);
    rig_begin(&rig, 1);
    rig_run(&rig, START + 10 * SECOND);
    rig.disconnected = true;
    rig_run(&rig, START + 11 * SECOND + 500 * MS);
    assert_int_equal(rig.effects.polled.status, BUS_DISCONNECTED);
    rig_run(&rig, START + 70 * SECOND);
    const struct polled *polled = &rig.effects.polled;
    assert_int_equal(polled->readings[0].quality, QUALITY_BAD);
    assert_int_equal(polled->readings[0].reason, REASON_DISCONNECTED);
    assert_string_equal(rig.story, "device d0 online\nbus shed disconnected: No such file or directory\ndevice d0 dead misses=3\n");
    rig.disconnected = false;
    unsigned polls = rig.polls;
    rig_run(&rig, START + 73 * SECOND); /* a bus that is not there is asked every 2 s */
    assert_true(rig.polls > polls);
    assert_int_equal(rig.effects.polled.device_state, DEVICE_ONLINE);
    assert_non_null(strstr(rig.story, "bus shed connected\ndevice d0 back after=6"));
    rig_done(&rig);
}

static void the_whole_line_comes_back_together(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 8);
    rig_begin(&rig, 8);
    rig_run(&rig, START + 5 * SECOND);
    rig.disconnected = true;
    rig_run(&rig, START + 100 * SECOND);
    assert_int_equal(poller_counters(rig.poller)->devices_dead, 8);
    rig.disconnected = false;
    rig_run(&rig, START + 103 * SECOND);
    assert_int_equal(poller_counters(rig.poller)->devices_online, 8);
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_values_and_names),
        cmocka_unit_test(release_times_do_not_drift),
        cmocka_unit_test(a_start_is_no_burst),
        cmocka_unit_test(overload_skips_and_counts),
        cmocka_unit_test(a_dead_neighbour),
        cmocka_unit_test(a_silent_device_costs_one_timeout_a_period),
        cmocka_unit_test(spare_rounds),
        cmocka_unit_test(a_probe_is_the_cheapest_request_and_only_one),
        cmocka_unit_test(holding_the_line),
        cmocka_unit_test(a_refused_merged_read_is_split_for_ever),
        cmocka_unit_test(the_bus_goes_and_comes_back),
        cmocka_unit_test(the_whole_line_comes_back_together),
    };
    return cmocka_run_group_tests_name("poller", tests, NULL, NULL);
}
