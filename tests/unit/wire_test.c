/* SPDX-License-Identifier: Apache-2.0 */
/* The wire of a simulated line under a clock of the test's own: 9600 8N1, a character takes 1041.7 us, a request of eight
 * 8334 us, the answer with one register, seven bytes, 7292 us. Each byte is taken when it is due, as the shell does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/now.h"
#include "gateway/simulator/wire.h"

#define START 1000000
#define REQUEST 8334
#define TURNAROUND 5000
#define ANSWER 7

static const struct point points[] = {
    {.name = "level", .unit = "", .read = READ_HOLDING, .type = TYPE_U16, .address = 0, .registers = 1, .scale = 1},
};
static const struct config_device devices[] = {
    {.spec = {.name = "one", .device = 0, .unit_id = 7, .timeout_ms = 200, .points_count = 1, .points = points}, .place = CONFIG_NONE},
    {.spec = {.name = "two", .device = 1, .unit_id = 9, .timeout_ms = 200, .points_count = 1, .points = points},
     .first_point = 1,
     .place = CONFIG_NONE},
};
static const struct bus_spec bus = {.name = "line", .kind = BUS_SERIAL, .baud = 9600, .stop_bits = 1};
static const struct config config = {.buses_count = 1, .devices_count = 2, .points_count = 2, .buses = &bus, .devices = devices};

struct fixture {
    struct arena arena;
    struct plant plant;
    struct wire wire;
    struct wire_exchange exchange;
    uint8_t heard[512]; /* by the master */
    size_t heard_size;
    int64_t first_us, last_us; /* of the bytes heard since begin_listening */
};

static int begin(void **state) {
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    arena_init(&fixture.arena);
    plant_build(&fixture.plant, &config, &fixture.arena);
    wire_init(&fixture.wire, &bus, &fixture.plant, 1);
    assert_int_equal(plant_set(&fixture.plant, "one/level", "4660", NULL), ERR_OK);
    *state = &fixture;
    return 0;
}

static int finish(void **state) {
    struct fixture *fixture = *state;
    arena_done(&fixture->arena);
    return 0;
}

static bool ask(struct fixture *fixture, uint8_t unit_id, int64_t at_us) {
    struct pdu pdu;
    uint8_t frame[FRAME_SIZE];
    frame_read(&pdu, FC_READ_HOLDING, 0, 1);
    return wire_hear(&fixture->wire, at_us, frame, frame_rtu(unit_id, &pdu, frame), &fixture->exchange);
}

/* Takes what is due until `until_us`, each byte at its time. */
static void listen(struct fixture *fixture, int64_t until_us) {
    bool last;
    int64_t at_us, last_us;
    fixture->heard_size = 0;
    fixture->first_us = fixture->last_us = 0;
    while ((at_us = wire_next_us(&fixture->wire, &last)) <= until_us) {
        size_t room = sizeof(fixture->heard) - fixture->heard_size;
        size_t taken = wire_take(&fixture->wire, at_us, fixture->heard + fixture->heard_size, room, &last_us);
        assert_true(taken > 0);
        assert_true(!last || last_us == at_us);
        if (fixture->heard_size == 0)
            fixture->first_us = at_us;
        fixture->heard_size += taken;
        fixture->last_us = at_us;
    }
}

static bool heard_answer(const struct fixture *fixture, size_t at, uint8_t unit_id) {
    const uint8_t *bytes = fixture->heard + at;
    return fixture->heard_size >= at + ANSWER && bytes[0] == unit_id && bytes[1] == 3 && bytes[2] == 2 &&
           frame_crc(bytes, ANSWER - 2) == (bytes[ANSWER - 2] | bytes[ANSWER - 1] << 8);
}

static void play(struct fixture *fixture, enum fault_kind kind, uint8_t percent, uint32_t ms) {
    fixture->plant.devices[0].fault = (struct fault){kind, percent, ms};
}

static void bytes_take_the_time_of_a_wire(void **state) {
    struct fixture *fixture = *state;
    bool last;
    assert_int_equal(wire_next_us(&fixture->wire, &last), NOW_NEVER);
    assert_true(ask(fixture, 7, START));
    assert_int_equal(fixture->exchange.end_us, START + REQUEST);
    assert_int_equal(fixture->exchange.reply_us, START + REQUEST + TURNAROUND);
    listen(fixture, START + 1000000);
    assert_int_equal(fixture->heard_size, ANSWER);
    assert_true(heard_answer(fixture, 0, 7));
    assert_int_equal(fixture->heard[3] << 8 | fixture->heard[4], 4660);
    assert_int_equal(fixture->first_us, START + REQUEST + TURNAROUND + 1042);
    assert_int_equal(fixture->last_us, START + REQUEST + TURNAROUND + 7292);
    assert_int_equal(fixture->exchange.replied_us, fixture->last_us);
    assert_int_equal(wire_next_us(&fixture->wire, &last), NOW_NEVER);
}

static void nobody_else_answers(void **state) {
    struct fixture *fixture = *state;
    assert_true(ask(fixture, 8, START));
    assert_int_equal(fixture->exchange.device, CONFIG_NONE);
    fixture->plant.devices[0].plugged = false;
    assert_true(ask(fixture, 7, START + 100000));
    play(fixture, FAULT_DEAD, 100, 0);
    fixture->plant.devices[0].plugged = true;
    assert_true(ask(fixture, 7, START + 200000));
    assert_int_equal(fixture->exchange.fault, FAULT_DEAD);
    listen(fixture, START + 1000000);
    assert_int_equal(fixture->heard_size, 0);
    assert_int_equal(fixture->wire.judge.answered, 0);
}

static void answers_are_late_and_slow(void **state) {
    struct fixture *fixture = *state;
    play(fixture, FAULT_LATE, 100, 15);
    assert_true(ask(fixture, 7, START));
    assert_int_equal(fixture->exchange.reply_us, START + REQUEST + 215000);
    listen(fixture, START + 400000);
    assert_true(heard_answer(fixture, 0, 7));
    play(fixture, FAULT_SLOW, 100, 30);
    assert_true(ask(fixture, 7, START + 500000));
    assert_int_equal(fixture->exchange.reply_us, START + 500000 + REQUEST + TURNAROUND + 30000);
}

/* Asked again while it owes an answer: it gives that one, then the other. */
static void a_device_does_one_thing_at_a_time(void **state) {
    struct fixture *fixture = *state;
    play(fixture, FAULT_SLOW, 100, 60000);
    assert_true(ask(fixture, 7, START));
    int64_t owed_us = fixture->exchange.replied_us;
    play(fixture, FAULT_NONE, 0, 0);
    assert_true(ask(fixture, 7, START + 50000));
    assert_int_equal(fixture->exchange.reply_us, owed_us + TURNAROUND);
    listen(fixture, START + 100000000);
    assert_int_equal(fixture->heard_size, 2 * ANSWER);
    assert_true(heard_answer(fixture, 0, 7) && heard_answer(fixture, ANSWER, 7));
}

static void a_pause_stands_inside(void **state) {
    struct fixture *fixture = *state;
    play(fixture, FAULT_PAUSE, 100, 450);
    assert_true(ask(fixture, 7, START));
    listen(fixture, START + 100000);
    assert_in_range(fixture->heard_size, 1, ANSWER - 1);
    listen(fixture, START + 1000000);
    assert_in_range(fixture->heard_size, 1, ANSWER - 1);
    assert_int_equal(fixture->last_us, START + REQUEST + TURNAROUND + 7292 + 450000);
    /* Who asks in the pause does not talk over anything. */
    assert_true(ask(fixture, 7, START + 2000000));
    listen(fixture, START + 2100000);
    assert_true(ask(fixture, 9, START + 2100000));
    assert_int_equal(fixture->exchange.violation, LINE_CLEAN);
}

static void noise_stands_before_or_behind(void **state) {
    struct fixture *fixture = *state;
    for (int round = 0; round < 50; round++) {
        play(fixture, FAULT_NOISE_BEFORE, 100, 0);
        assert_true(ask(fixture, 7, START + round * 200000));
        listen(fixture, START + round * 200000 + 100000);
        assert_in_range(fixture->heard_size, ANSWER + 1, ANSWER + 3);
        assert_true(heard_answer(fixture, fixture->heard_size - ANSWER, 7));
        play(fixture, FAULT_NOISE_BETWEEN, 100, 0);
        assert_true(ask(fixture, 7, START + round * 200000 + 100000));
        listen(fixture, START + round * 200000 + 200000);
        assert_in_range(fixture->heard_size, ANSWER + 1, ANSWER + 3);
        assert_true(heard_answer(fixture, 0, 7));
    }
    assert_int_equal(fixture->wire.faults, 100);
}

static void who_speaks_at_once_is_not_understood(void **state) {
    struct fixture *fixture = *state;
    assert_true(ask(fixture, 7, START));
    int64_t answer_us = fixture->exchange.reply_us;
    listen(fixture, answer_us + 3500);
    assert_int_equal(fixture->heard_size, 3);
    assert_true(ask(fixture, 9, answer_us + 3500));
    assert_int_equal(fixture->exchange.violation, LINE_TALKOVER);
    assert_int_equal(fixture->exchange.reply_us, 0); /* unit 9 did not understand it */
    listen(fixture, START + 1000000);
    assert_int_equal(fixture->heard_size, ANSWER - 3);
    assert_false(heard_answer(fixture, 0, 7));
    /* A late answer falls on the next one: neither is good. */
    play(fixture, FAULT_LATE, 100, 0);
    assert_true(ask(fixture, 7, START + 2000000));
    answer_us = fixture->exchange.reply_us;
    assert_true(ask(fixture, 9, answer_us - REQUEST - TURNAROUND - 1000));
    assert_int_equal(fixture->exchange.violation, LINE_CLEAN);
    listen(fixture, START + 3000000);
    assert_in_range(fixture->heard_size, 2 * ANSWER, 2 * ANSWER);
    for (size_t at = 0; at < ANSWER; at++)
        assert_false(heard_answer(fixture, at, 9) || heard_answer(fixture, at, 7));
}

static void an_adapter_gives_back_what_is_sent(void **state) {
    struct fixture *fixture = *state;
    fixture->wire.echoes = true;
    assert_true(ask(fixture, 7, START));
    listen(fixture, START + 1000000);
    assert_int_equal(fixture->heard_size, 8 + ANSWER);
    assert_int_equal(fixture->first_us, START + 1042);
    assert_int_equal(fixture->heard[0], 7);
    assert_true(heard_answer(fixture, 8, 7));
    assert_true(ask(fixture, 8, START + 2000000));
    listen(fixture, START + 3000000);
    assert_int_equal(fixture->heard_size, 8);
}

static void chance_follows_the_seed(void **state) {
    struct fixture *fixture = *state;
    static struct wire twin;
    struct wire_exchange exchange;
    unsigned played = 0;
    play(fixture, FAULT_BAD_CRC, 5, 0);
    wire_init(&twin, &bus, &fixture->plant, 1);
    for (int round = 0; round < 2000; round++) {
        assert_true(ask(fixture, 7, START + round * 100000));
        listen(fixture, START + round * 100000 + 90000);
        assert_int_equal(heard_answer(fixture, 0, 7), fixture->exchange.fault == FAULT_NONE);
        played += fixture->exchange.fault == FAULT_BAD_CRC;
        struct pdu pdu;
        uint8_t frame[FRAME_SIZE], bytes[WIRE_TALK_SIZE];
        int64_t last_us;
        frame_read(&pdu, FC_READ_HOLDING, 0, 1);
        assert_true(wire_hear(&twin, START + round * 100000, frame, frame_rtu(7, &pdu, frame), &exchange));
        assert_int_equal(wire_take(&twin, START + round * 100000 + 90000, bytes, sizeof(bytes), &last_us), fixture->heard_size);
        assert_memory_equal(bytes, fixture->heard, fixture->heard_size);
    }
    assert_in_range(played, 60, 140);
}

static void damage_is_of_its_kind(void **state) {
    struct fixture *fixture = *state;
    static const enum fault_kind kinds[] = {FAULT_WRONG_UNIT, FAULT_BAD_CRC, FAULT_TRUNCATED, FAULT_EXCEPTION};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        for (int round = 0; round < 50; round++) {
            int64_t at_us = START + (int64_t)(i * 50 + (size_t)round) * 100000;
            play(fixture, kinds[i], 100, 0);
            assert_true(ask(fixture, 7, at_us));
            listen(fixture, at_us + 90000);
            assert_false(heard_answer(fixture, 0, 7));
            if (kinds[i] == FAULT_WRONG_UNIT)
                assert_true(heard_answer(fixture, 0, 8));
            if (kinds[i] == FAULT_BAD_CRC)
                assert_int_equal(fixture->heard_size, ANSWER);
            if (kinds[i] == FAULT_TRUNCATED)
                assert_in_range(fixture->heard_size, 1, ANSWER - 1);
            if (kinds[i] == FAULT_EXCEPTION)
                assert_int_equal(fixture->heard[1], 0x83);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_take_the_time_of_a_wire, begin, finish),
        cmocka_unit_test_setup_teardown(nobody_else_answers, begin, finish),
        cmocka_unit_test_setup_teardown(answers_are_late_and_slow, begin, finish),
        cmocka_unit_test_setup_teardown(a_device_does_one_thing_at_a_time, begin, finish),
        cmocka_unit_test_setup_teardown(a_pause_stands_inside, begin, finish),
        cmocka_unit_test_setup_teardown(noise_stands_before_or_behind, begin, finish),
        cmocka_unit_test_setup_teardown(who_speaks_at_once_is_not_understood, begin, finish),
        cmocka_unit_test_setup_teardown(an_adapter_gives_back_what_is_sent, begin, finish),
        cmocka_unit_test_setup_teardown(chance_follows_the_seed, begin, finish),
        cmocka_unit_test_setup_teardown(damage_is_of_its_kind, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
