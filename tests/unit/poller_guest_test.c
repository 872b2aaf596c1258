/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's requests: answered in spare time, and felt by nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "poller_rig.h"
#include "sensors/late.h"

static struct rig rig;

static int finish(void **state) {
    (void)state;
    rig_done(&rig);
    return 0;
}

/* Until the guest that is here has its answer. */
static const struct guest_answer *guest_answer(void) {
    unsigned before = rig.guests;
    int64_t end_us = rig.now_us + POLLER_GUEST_WAIT_US + SECOND;
    while (rig.guests == before && rig_advance(&rig, end_us)) {
    }
    assert_int_equal(rig.guests, before + 1);
    assert_int_equal(rig.guest.id, rig.guest_id);
    return &rig.guest;
}

static void make_fire(uint16_t devices, uint32_t every_ms) {
    for (uint16_t d = 0; d < devices; d++) {
        rig.points[d][0].class = CLASS_FIRE;
        rig.points[d][0].every_ms = every_ms;
    }
}

static void a_guest_is_answered(void **state) {
    (void)state;
    static const uint8_t told[] = {FC_READ_HOLDING, 4, 0x12, 0x34, 0x12, 0x35};
    rig_init(&rig, BUS_SERIAL, 2);
    rig_begin(&rig, 2);
    rig_run(&rig, rig.now_us + 3 * SECOND);
    rig_guest(&rig, 2, FC_READ_HOLDING, 0x1234, 2);
    const struct guest_answer *answer = guest_answer();
    assert_int_equal(answer->result, GUEST_ASKED);
    assert_int_equal(answer->status, BUS_ANSWERED);
    assert_int_equal(answer->pdu.size, sizeof(told));
    assert_memory_equal(answer->pdu.bytes, told, sizeof(told));
    assert_int_equal(answer->turnaround_us, 5 * MS);
    rig.slaves[1].missing = 9;
    rig_guest(&rig, 2, FC_READ_INPUT, 9, 1);
    answer = guest_answer();
    assert_int_equal(answer->status, BUS_ANSWERED);
    assert_int_equal(answer->pdu.bytes[0], FC_READ_INPUT | 0x80);
    assert_int_equal(answer->pdu.bytes[1], 2);
}

static unsigned late_fires;

static void watch_fires(struct rig *world, const struct poller_effects *effects) {
    (void)world;
    if (effects->has_polled && !effects->polled.extra && effects->polled.late_us > 8 * 30 * MS) /* all of one round */
        late_fires++;
}

/* A stranger at every unit id, as a scan asks them, on a busy line: no fire release is late and no device is blamed. */
static void a_scan_is_not_felt(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 7);
    make_fire(7, 1000);
    rig.slaves[7].silent = true;
    rig_begin(&rig, 7);
    rig_run(&rig, rig.now_us + 3 * SECOND);
    int64_t begun_us = rig.now_us;
    unsigned polls = rig.polls;
    late_fires = 0;
    rig.watch = watch_fires;
    for (unsigned i = 0; i < 50; i++) {
        rig_guest(&rig, 8, i % 2 ? FC_READ_INPUT : FC_READ_HOLDING, 0, 1);
        assert_int_equal(guest_answer()->status, BUS_TIMEOUT);
    }
    assert_int_equal(late_fires, 0);
    assert_true(rig.polls - polls >= (unsigned)((rig.now_us - begun_us) / SECOND) * 7);
    assert_int_equal(poller_counters(rig.poller)->skipped_releases, 0);
    assert_int_equal(poller_counters(rig.poller)->devices_online, 7);
    assert_null(strstr(rig.story, "dead"));
}

static void a_guest_that_is_not_answered_does_not_make_a_device_dead(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig_begin(&rig, 1);
    rig_run(&rig, rig.now_us + 3 * SECOND);
    for (int i = 0; i < 5; i++) {
        rig.slaves[0].silent = true;
        rig_guest(&rig, 1, FC_READ_INPUT, 7, 3);
        while (rig.answer_at_us == NOW_NEVER) /* it waits for its own late window */
            assert_true(rig_advance(&rig, NOW_NEVER));
        (void)guest_answer();
        rig.slaves[0].silent = false;
        rig_run(&rig, rig.now_us + 2 * SECOND);
    }
    assert_int_equal(poller_counters(rig.poller)->devices_online, 1);
}

/* What could be taken for a fire point's value is not asked at all; the fire point's own request may be. */
static void a_guest_that_looks_like_fire_is_refused(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    make_fire(1, 1000);
    rig_begin(&rig, 1);
    rig_run(&rig, rig.now_us + 3 * SECOND);
    unsigned guests = rig.guests;
    rig_guest(&rig, 1, FC_READ_HOLDING, 7, 1);
    assert_int_equal(rig.guests, guests + 1);
    assert_int_equal(rig.guest.result, GUEST_LOOKS_FIRE);
    rig_guest(&rig, 1, FC_READ_HOLDING, 0, 1);
    assert_int_equal(guest_answer()->status, BUS_ANSWERED);
    rig_guest(&rig, 1, FC_READ_HOLDING, 7, 2);
    assert_int_equal(guest_answer()->status, BUS_ANSWERED);
}

/* One value for another never comes of lateness, whoever asks: guests of the same shape at two addresses, late answers. */
static void late_answers_are_not_taken_for_a_guests(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig.slaves[0].late_percent = 30;
    rig.slaves[0].late_max_us = 900 * MS;
    rig_begin(&rig, 1);
    rig_run(&rig, rig.now_us + 3 * SECOND);
    unsigned good = 0;
    for (uint16_t i = 0; i < 200; i++) {
        uint16_t address = i % 2 ? 0x1100 : 0x2200;
        rig_guest(&rig, 1, FC_READ_HOLDING, address, 2);
        const struct guest_answer *answer = guest_answer();
        if (answer->result != GUEST_ASKED || answer->status != BUS_ANSWERED)
            continue;
        good++;
        assert_int_equal(answer->pdu.bytes[2] << 8 | answer->pdu.bytes[3], address);
    }
    assert_true(good > 100);
    assert_true(rig.slaves[0].lates > 20);
}

/* No pause is long enough: the guest is told so, and no fire request was late for it. */
static void a_guest_without_room_is_told(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 4);
    make_fire(4, 200);
    rig_begin(&rig, 4);
    rig_run(&rig, rig.now_us + 3 * SECOND);
    int64_t begun_us = rig.now_us;
    rig_guest(&rig, 2, FC_READ_INPUT, 7, 3);
    assert_int_equal(guest_answer()->result, GUEST_NO_TIME);
    assert_true(rig.now_us - begun_us >= POLLER_GUEST_WAIT_US && rig.now_us - begun_us < POLLER_GUEST_WAIT_US + 100 * MS);
    assert_int_equal(poller_counters(rig.poller)->skipped_releases, 0);
}

static void a_held_line_is_left_alone(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig.points[0][0].feeds_action = true;
    rig_begin(&rig, 1);
    while (!(rig.polls > 0 && rig.effects.has_polled && rig.effects.polled.holds))
        assert_true(rig_advance(&rig, NOW_NEVER));
    unsigned requests = rig.requests;
    rig_guest(&rig, 1, FC_READ_INPUT, 7, 3);
    assert_int_equal(rig.requests, requests);
    rig_step(&rig, POLLER_RELEASE);
    assert_int_equal(rig.requests, requests + 1);
    assert_int_equal(guest_answer()->status, BUS_ANSWERED);
}

static void a_bus_that_is_not_there_is_told(void **state) {
    (void)state;
    rig_init(&rig, BUS_TCP, 1);
    rig_begin(&rig, 1);
    rig_run(&rig, rig.now_us + SECOND);
    rig.disconnected = true;
    rig_guest(&rig, 1, FC_READ_HOLDING, 7, 1);
    assert_int_equal(guest_answer()->status, BUS_DISCONNECTED);
    assert_non_null(strstr(rig.story, "bus shed disconnected"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_guest_is_answered, finish),
        cmocka_unit_test_teardown(a_scan_is_not_felt, finish),
        cmocka_unit_test_teardown(a_guest_that_is_not_answered_does_not_make_a_device_dead, finish),
        cmocka_unit_test_teardown(a_guest_that_looks_like_fire_is_refused, finish),
        cmocka_unit_test_teardown(late_answers_are_not_taken_for_a_guests, finish),
        cmocka_unit_test_teardown(a_guest_without_room_is_told, finish),
        cmocka_unit_test_teardown(a_held_line_is_left_alone, finish),
        cmocka_unit_test_teardown(a_bus_that_is_not_there_is_told, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
