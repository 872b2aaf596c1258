/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is read back at once, and nothing that waits for a silent device keeps a write waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "poller_rig.h"

#include <cmocka.h>

#define START (100 * SECOND)
#define FAR (rig.now_us + 10 * SECOND)

static struct rig rig;

/* d0 with registers 0 .. 5, the last to be written, read as one; d1 with one fire register; the others with one register each. */
static void begin(enum bus_kind kind, uint16_t devices, enum point_read read) {
    rig_init(&rig, kind, devices);
    for (uint16_t a = 1; a < 6; a++) {
        struct point *point = rig_point(&rig, 0, READ_HOLDING, a);
        point->writable = a >= 4;
    }
    for (uint16_t a = 0; a < 4 && read == READ_COIL; a++)
        rig_point(&rig, 0, READ_COIL, a)->writable = true;
    if (devices > 1)
        rig.points[1][0].class = CLASS_FIRE;
    rig_begin(&rig, devices);
    rig_run(&rig, START + 60 * SECOND);
    while (rig.answer_at_us != NOW_NEVER)
        rig_advance(&rig, FAR);
}

static const struct polled *polled_next(void) {
    do
        assert_true(rig_advance(&rig, FAR));
    while (!rig.effects.has_polled);
    return &rig.effects.polled;
}

static void write_and_echo(uint16_t device, uint16_t point, uint32_t id) {
    rig_write(&rig, device, point, 7, id);
    assert_true(rig.effects.has_request);
    assert_true(rig_advance(&rig, FAR));
    assert_true(rig.effects.has_written && rig.effects.written.ok && rig.effects.written.id == id);
}

static void a_line_reads_the_point_alone(void **state) {
    (void)state;
    begin(BUS_SERIAL, 2, READ_HOLDING);
    write_and_echo(0, 5, 1);
    assert_memory_equal(rig.request.pdu.bytes, "\x03\x00\x05\x00\x01", 5);
    const struct polled *polled = polled_next();
    assert_int_equal(polled->device, 0);
    assert_int_equal(polled->count, 1);
    assert_int_equal(polled->readings[0].point, 5);
    assert_true(polled->readings[0].value.integer == 7);
    assert_true(!polled->extra && polled->late_us == 0 && polled->took_us < 30 * MS);
    rig_done(&rig);
}

static void a_network_reads_what_is_planned(void **state) {
    (void)state;
    begin(BUS_TCP, 2, READ_HOLDING);
    write_and_echo(0, 5, 1);
    assert_memory_equal(rig.request.pdu.bytes, "\x03\x00\x00\x00\x06", 5);
    assert_int_equal(polled_next()->count, 6);
    rig_done(&rig);
}

/* Writes first; then one read of all bits, which is as short as that of one. */
static void writes_first_then_one_read(void **state) {
    (void)state;
    begin(BUS_SERIAL, 2, READ_COIL);
    rig_write(&rig, 0, 6, 1, 1);
    rig_write(&rig, 0, 9, 1, 2);
    rig_write(&rig, 0, 5, 3, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(rig.request.pdu.bytes[0], i < 2 ? FC_WRITE_COIL : FC_WRITE_REGISTER);
        assert_true(rig_advance(&rig, FAR) && rig.effects.written.ok);
    }
    assert_memory_equal(rig.request.pdu.bytes, "\x01\x00\x00\x00\x04", 5);
    assert_int_equal(polled_next()->count, 4);
    assert_memory_equal(rig.request.pdu.bytes, "\x03\x00\x05\x00\x01", 5);
    (void)polled_next();
    assert_false(rig.effects.has_request && rig.request.pdu.bytes[0] == FC_READ_COILS); /* not twice */
    rig_done(&rig);
}

/* Ahead of fire points that are due, but not while a reply is held. */
static void ahead_of_all_polling(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 4);
    for (uint16_t d = 0; d < 4; d++) {
        rig.points[d][0].every_ms = 10;
        rig.points[d][0].class = CLASS_FIRE;
        rig.points[d][0].feeds_action = true;
    }
    rig_point(&rig, 3, READ_COIL, 9)->writable = true;
    rig_begin(&rig, 4);
    rig_run(&rig, START + SECOND);
    while (!rig.effects.has_polled)
        rig_advance(&rig, FAR);
    assert_true(rig.effects.polled.holds);
    rig_write(&rig, 3, 1, 1, 5);
    assert_int_equal(rig.request.pdu.bytes[0], FC_WRITE_COIL);
    rig_step(&rig, POLLER_RELEASE);
    assert_true(rig_advance(&rig, FAR) && rig.effects.written.ok);
    assert_memory_equal(rig.request.pdu.bytes, "\x01\x00\x09\x00\x01", 5);
    assert_int_equal(polled_next()->device, 3);
    rig_done(&rig);
}

static void who_refuses_the_point_alone(void **state) {
    (void)state;
    begin(BUS_SERIAL, 2, READ_HOLDING);
    rig.slaves[0].read_exception = 2;
    write_and_echo(0, 5, 1);
    assert_memory_equal(rig.request.pdu.bytes, "\x03\x00\x05\x00\x01", 5);
    assert_true(rig_advance(&rig, FAR));
    assert_false(rig.effects.has_polled); /* the read that takes its place says it */
    assert_memory_equal(rig.request.pdu.bytes, "\x03\x00\x00\x00\x06", 5);
    const struct polled *polled = polled_next();
    assert_true(polled->count == 6 && polled->exception == 0 && polled->status == BUS_ANSWERED);
    write_and_echo(0, 4, 2);
    assert_memory_equal(rig.request.pdu.bytes, "\x03\x00\x00\x00\x06", 5); /* remembered */
    rig_done(&rig);
}

static void silence_is_a_miss_as_any(void **state) {
    (void)state;
    begin(BUS_SERIAL, 2, READ_HOLDING);
    write_and_echo(0, 5, 1);
    rig.slaves[0].silent = true; /* the rig has the answer on its way already: the next one is not answered */
    (void)polled_next();
    rig_run(&rig, rig.now_us + 200 * MS);
    rig.slaves[0].silent = false;
    while (rig.answer_at_us != NOW_NEVER)
        rig_advance(&rig, FAR);
    rig_write(&rig, 0, 5, 8, 2);
    rig.slaves[0].silent = true;
    assert_true(rig_advance(&rig, FAR) && rig.effects.written.ok);
    const struct polled *polled = polled_next();
    assert_int_equal(polled->status, BUS_TIMEOUT);
    assert_int_equal(polled->readings[0].point, 5);
    assert_int_equal(polled->readings[0].reason, REASON_NO_ANSWER);
    assert_int_equal(polled->device_state, DEVICE_ONLINE);
    rig_done(&rig);
}

/* What cannot be read is not; what is refused is not read back either. */
static void only_what_was_done_and_can_be_read(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    struct point *reset = rig_point(&rig, 0, READ_COIL, 3);
    reset->writable = true;
    reset->verify = false;
    rig_point(&rig, 0, READ_COIL, 4)->writable = true;
    rig_begin(&rig, 1);
    rig_run(&rig, START + 10 * SECOND + 300 * MS);
    write_and_echo(0, 1, 1);
    assert_false(rig.effects.has_request && rig.request.pdu.bytes[0] == FC_READ_COILS);
    while (rig.answer_at_us != NOW_NEVER)
        rig_advance(&rig, FAR);
    rig.slaves[0].write_exception = 4;
    rig_write(&rig, 0, 2, 1, 2);
    assert_true(rig_advance(&rig, FAR) && rig.effects.has_written && !rig.effects.written.ok);
    assert_false(rig.effects.has_request && rig.request.pdu.bytes[0] == FC_READ_COILS);
    rig_done(&rig);
}

/* The write to a dead device is its probe: an echo brings it back, and its point is read. */
static void a_write_wakes_the_dead(void **state) {
    (void)state;
    begin(BUS_SERIAL, 2, READ_HOLDING);
    rig.slaves[0].silent = true;
    rig_run(&rig, rig.now_us + 60 * SECOND);
    assert_non_null(strstr(rig.story, "device d0 dead"));
    while (rig.answer_at_us != NOW_NEVER)
        rig_advance(&rig, FAR);
    rig.slaves[0].silent = false;
    write_and_echo(0, 5, 1);
    assert_non_null(strstr(rig.story, "device d0 back"));
    assert_memory_equal(rig.request.pdu.bytes, "\x03\x00\x05\x00\x01", 5);
    assert_true(polled_next()->device_state == DEVICE_ONLINE);
    rig_done(&rig);
}

/* What an action held over a restart is wanted before the line has asked for anything, and goes before it. */
static void what_is_wanted_at_the_start_goes_first(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig_point(&rig, 0, READ_COIL, 4)->writable = true;
    rig_start(&rig, 1);
    assert_false(rig.effects.has_request);
    assert_true(poller_next_wake(rig.poller) <= rig.now_us);
    rig_write(&rig, 0, 1, 1, 1);
    assert_true(rig.effects.has_request && rig.request.pdu.bytes[0] == FC_WRITE_COIL);
    rig_done(&rig);
}

/* ---- the cut ---- */

/* Runs until a request to this unit has been sent. */
static void until_asked(uint8_t unit_id) {
    for (unsigned i = 0; i < 10000; i++) {
        assert_true(rig_advance(&rig, FAR));
        if (rig.effects.has_request && rig.request.unit_id == unit_id)
            return;
    }
    fail_msg("unit %u is not asked", unit_id);
}

/* `after_us` the request was handed over a write to d0 comes; how long it waits. */
static int64_t waits_us(int64_t after_us) {
    rig_run(&rig, rig.now_us + after_us);
    assert_true(rig.answer_at_us != NOW_NEVER);
    int64_t came_us = rig.now_us;
    rig_write(&rig, 0, 5, 7, 9);
    while (rig.request.pdu.bytes[0] != FC_WRITE_REGISTER)
        assert_true(rig_advance(&rig, FAR));
    return rig.now_us - came_us;
}

static void ends_well(unsigned cuts) {
    assert_int_equal(rig.cuts, cuts);
    assert_int_equal(poller_counters(rig.poller)->cuts, cuts);
    rig_run(&rig, rig.now_us + 30 * SECOND);
    assert_true(rig.written == 1 && rig.slaves[0].last_write_value == 7);
    rig_done(&rig);
}

/* Silence 3.646 and a request of 8 characters: it has left after 11.980 ms. */
#define LEFT_US 11980

static void a_probe_is_cut_at_once(void **state) {
    (void)state;
    begin(BUS_SERIAL, 3, READ_HOLDING);
    rig.slaves[2].silent = true;
    rig_run(&rig, rig.now_us + 20 * SECOND);
    until_asked(3);
    assert_in_range(waits_us(50 * MS), 0, 0);
    ends_well(1);
    begin(BUS_SERIAL, 3, READ_HOLDING);
    rig.slaves[2].silent = true;
    rig_run(&rig, rig.now_us + 20 * SECOND);
    until_asked(3);
    assert_in_range(waits_us(0), LEFT_US - 3, LEFT_US + 3); /* but not inside its own frame */
    ends_well(1);
}

static void a_live_one_has_its_usual_time(void **state) {
    (void)state;
    begin(BUS_SERIAL, 3, READ_HOLDING);
    rig.slaves[2].silent = true; /* as if for the first time: it is not dead yet */
    until_asked(3);
    rig.polls = 0;
    assert_in_range(waits_us(0), LEFT_US + 10 * MS - 3, LEFT_US + 10 * MS + 3); /* 5 ms of turnaround and 5 more */
    assert_int_equal(rig.polls, 0); /* a cut is no answer, and no miss */
    rig.slaves[2].silent = false;
    while (!rig.effects.has_polled || rig.effects.polled.device != 2)
        rig_advance(&rig, FAR);
    assert_int_equal(rig.effects.polled.status, BUS_ANSWERED); /* asked again, as the same read */
    assert_true(rig.effects.polled.late_us > LEFT_US);
    assert_null(strstr(rig.story, "dead"));
    ends_well(1);
}

static void one_that_comes_in_is_finished(void **state) {
    (void)state;
    begin(BUS_SERIAL, 3, READ_HOLDING);
    until_asked(3);
    assert_true(waits_us(14 * MS) < 10 * MS); /* 8.333 + 5 ms: it has begun */
    ends_well(0);
}

/* 100 - 10 for the road - 3.646 - 8.333 for the write - 7.292 for the answer of 7 characters: it may begin until 70.729 ms have passed. */
static void fire_is_waited_for_as_long_as_may_be(void **state) {
    (void)state;
    begin(BUS_SERIAL, 3, READ_HOLDING);
    rig.slaves[1].turnaround_us = 40 * MS;
    rig_run(&rig, rig.now_us + 20 * SECOND); /* so that its own timeout is longer than that */
    rig.slaves[1].silent = true;
    until_asked(2);
    assert_in_range(waits_us(0), 70729 - 5, 70729 + 5);
    rig.slaves[1].silent = false;
    ends_well(1);
    begin(BUS_SERIAL, 3, READ_HOLDING);
    rig.slaves[1].turnaround_us = 45 * MS; /* late, but in time: not lost */
    until_asked(2);
    until_asked(2);
    (void)waits_us(0);
    assert_int_equal(rig.cuts, 0);
    ends_well(0);
}

/* Its usual answer, of 60 ms, could not be waited for: given up at once, so that it does not meet the write. */
static void a_slow_one_is_not_waited_for_in_vain(void **state) {
    (void)state;
    rig.slaves[1].turnaround_us = 0;
    begin(BUS_SERIAL, 3, READ_HOLDING);
    rig.slaves[1].turnaround_us = 40 * MS;
    rig_run(&rig, rig.now_us + 20 * SECOND);
    rig.slaves[1].turnaround_us = 68 * MS;
    rig_run(&rig, rig.now_us + 20 * SECOND);
    until_asked(2);
    assert_in_range(waits_us(0), LEFT_US - 3, LEFT_US + 3);
    ends_well(1);
}

/* One answer that was slow long ago is no reason to give up a quick device whose answer would then meet the write. */
static void one_slow_answer_is_no_habit(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 3);
    rig.points[2][0].type = TYPE_STRING; /* 24 registers: as much as the cap allows */
    rig.points[2][0].registers = 15;
    *rig_point(&rig, 2, READ_HOLDING, 15) = (struct point){
        .name = "q", .read = READ_HOLDING, .address = 15, .type = TYPE_STRING, .registers = 9, .every_ms = 1000, .class = CLASS_MAINTENANCE, .verify = true};
    for (uint16_t a = 1; a < 6; a++)
        rig_point(&rig, 0, READ_HOLDING, a)->writable = a == 5;
    rig_begin(&rig, 3);
    rig_run(&rig, START + 60 * SECOND);
    rig.slaves[2].turnaround_us = 45 * MS; /* within its learned timeout */
    rig_run(&rig, rig.now_us + 2 * SECOND);
    rig.slaves[2].turnaround_us = 5 * MS;
    rig_run(&rig, rig.now_us + 30 * SECOND);
    until_asked(3);
    assert_in_range(waits_us(0), 65 * MS, 72 * MS); /* 8.333 + 5 + 55.208: it was received */
    ends_well(0);
}

static void a_guest_steps_aside_and_comes_back(void **state) {
    (void)state;
    begin(BUS_SERIAL, 3, READ_HOLDING);
    rig.slaves[7].silent = true; /* nobody here */
    rig_guest(&rig, 8, FC_READ_INPUT, 0, 3);
    while (rig.request.unit_id != 8)
        assert_true(rig_advance(&rig, FAR));
    assert_int_equal(waits_us(30 * MS), 0);
    assert_int_equal(rig.guests, 0);
    for (unsigned i = 0; i < 1000 && rig.guests == 0; i++)
        rig_advance(&rig, FAR);
    assert_int_equal(rig.guest.result, GUEST_ASKED);
    ends_well(1);
}

/* A live relay's echo is waited for, a dead one's is not: the next write goes out after the usual time of one. */
static void writes_behind_writes(void **state) {
    (void)state;
    begin(BUS_SERIAL, 3, READ_HOLDING);
    rig.points[2][0].writable = true;
    write_and_echo(0, 5, 1);
    (void)polled_next();
    while (rig.answer_at_us != NOW_NEVER)
        rig_advance(&rig, FAR);
    rig.slaves[2].silent = true;
    int64_t came_us = rig.now_us;
    rig_write(&rig, 2, 0, 1, 2);
    rig_write(&rig, 0, 5, 7, 3);
    assert_true(rig_advance(&rig, FAR) && rig.effects.written.id == 2);
    assert_true(rig.effects.written.status == BUS_TIMEOUT && !rig.effects.written.ok);
    assert_in_range(rig.now_us - came_us, LEFT_US + 50 * MS - 5, 78 * MS);
    assert_int_equal(rig.request.unit_id, 1);
    assert_true(rig_advance(&rig, FAR) && rig.effects.written.ok);
    rig_done(&rig);
}

/* A device that falls silent is found out however often writes cut its requests short. */
static void cuts_do_not_hide_the_dead(void **state) {
    (void)state;
    begin(BUS_SERIAL, 3, READ_HOLDING);
    rig.slaves[2].silent = true;
    for (unsigned i = 0; i < 40 && !strstr(rig.story, "device d2 dead"); i++) {
        until_asked(3);
        rig_write(&rig, 0, 5, 7, i);
    }
    assert_non_null(strstr(rig.story, "device d2 dead misses=3"));
    assert_in_range(rig.cuts, 5, 30);
    assert_null(strstr(rig.story, "device d0 dead"));
    rig_done(&rig);
}

/* No line time: what is under way has until the write must go. */
static void on_a_network(void **state) {
    (void)state;
    begin(BUS_TCP, 3, READ_HOLDING);
    rig.slaves[2].silent = true;
    until_asked(3);
    assert_int_equal(waits_us(30 * MS), 90 * MS);
    rig_run(&rig, rig.now_us + 20 * SECOND);
    until_asked(3);
    assert_int_equal(waits_us(30 * MS), 0); /* a probe */
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_reads_the_point_alone),
        cmocka_unit_test(a_network_reads_what_is_planned),
        cmocka_unit_test(writes_first_then_one_read),
        cmocka_unit_test(ahead_of_all_polling),
        cmocka_unit_test(who_refuses_the_point_alone),
        cmocka_unit_test(silence_is_a_miss_as_any),
        cmocka_unit_test(only_what_was_done_and_can_be_read),
        cmocka_unit_test(a_write_wakes_the_dead),
        cmocka_unit_test(what_is_wanted_at_the_start_goes_first),
        cmocka_unit_test(a_probe_is_cut_at_once),
        cmocka_unit_test(a_live_one_has_its_usual_time),
        cmocka_unit_test(one_that_comes_in_is_finished),
        cmocka_unit_test(fire_is_waited_for_as_long_as_may_be),
        cmocka_unit_test(a_slow_one_is_not_waited_for_in_vain),
        cmocka_unit_test(one_slow_answer_is_no_habit),
        cmocka_unit_test(a_guest_steps_aside_and_comes_back),
        cmocka_unit_test(writes_behind_writes),
        cmocka_unit_test(cuts_do_not_hide_the_dead),
        cmocka_unit_test(on_a_network),
    };
    return cmocka_run_group_tests_name("poller_write", tests, NULL, NULL);
}
