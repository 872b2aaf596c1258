/* SPDX-License-Identifier: Apache-2.0 */
/* Writes, setup writes, every kind of bad answer, and 200 random lives of a bus with poller_check after each step. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "base/check.h"
#include "base/prng.h"
#include "poller_plant.h"

#include <cmocka.h>

#define START (100 * SECOND)

static struct plant plant;

static struct point *writable(uint16_t device, enum point_read read, uint16_t address) {
    struct point *point = plant_point(&plant, device, read, address);
    point->writable = true;
    return point;
}

static void writes_go_before_all_reads(void **state) {
    (void)state;
    plant_init(&plant, BUS_SERIAL, 4);
    for (uint16_t d = 0; d < 4; d++) {
        plant.points[d][0].every_ms = 10; /* everything is always due */
        plant.points[d][0].class = CLASS_FIRE;
    }
    writable(2, READ_COIL, 6);
    plant_begin(&plant, 4);
    plant_run(&plant, START + SECOND);
    while (plant.answer_at_us == NOW_NEVER)
        plant_advance(&plant, START + 2 * SECOND);
    plant_write(&plant, 2, 1, 1, 41); /* while a read is under way */
    plant_write(&plant, 2, 1, 0, 42);
    assert_false(plant.effects.has_request);
    plant_advance(&plant, START + 2 * SECOND);
    assert_true(plant.effects.has_polled && plant.effects.has_request);
    assert_int_equal(plant.request.unit_id, 3);
    assert_memory_equal(plant.request.pdu.bytes, "\x05\x00\x06\xFF\x00", 5);
    plant_advance(&plant, START + 2 * SECOND);
    assert_true(plant.effects.has_written && plant.effects.written.ok);
    assert_int_equal(plant.effects.written.id, 41);
    assert_int_equal(plant.effects.written.device, 2);
    assert_int_equal(plant.effects.written.point, 1);
    assert_memory_equal(plant.request.pdu.bytes, "\x05\x00\x06\x00\x00", 5); /* in the order they came */
    plant_advance(&plant, START + 2 * SECOND);
    assert_int_equal(plant.effects.written.id, 42);
    assert_int_equal(poller_counters(plant.poller)->writes, 2);
    plant_done(&plant);
}

static void what_is_written(void **state) {
    (void)state;
    plant_init(&plant, BUS_TCP, 1);
    struct point *own = writable(0, READ_COIL, 1); /* a dialect of its own */
    own->write_on = 0x0100;
    own->write_off = 0x0200;
    struct point *lc = writable(0, READ_HOLDING, 2); /* 1 open, 2 close */
    lc->write_on = 1;
    lc->write_off = 2;
    writable(0, READ_HOLDING, 3)->scale = 0.1;
    struct point *wide = writable(0, READ_HOLDING, 8);
    wide->type = TYPE_F32;
    wide->registers = 2;
    plant_begin(&plant, 1);
    static const struct {
        uint16_t point;
        double value;
        uint8_t size;
        const char *bytes;
    } cases[] = {
        {1, 1, 5, "\x05\x00\x01\x01\x00"},
        {1, 0, 5, "\x05\x00\x01\x02\x00"},
        {2, 1, 5, "\x06\x00\x02\x00\x01"},
        {2, 0, 5, "\x06\x00\x02\x00\x02"},
        {3, 23.4, 5, "\x06\x00\x03\x00\xEA"},
        {3, 1, 5, "\x06\x00\x03\x00\x0A"},
        {4, 0.5, 10, "\x10\x00\x08\x00\x02\x04\x3F\x00\x00\x00"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        while (plant.answer_at_us != NOW_NEVER)
            plant_advance(&plant, NOW_NEVER - 1);
        plant_write(&plant, 0, cases[i].point, cases[i].value, (uint32_t)i);
        assert_true(plant.effects.has_request);
        assert_int_equal(plant.request.pdu.size, cases[i].size);
        assert_memory_equal(plant.request.pdu.bytes, cases[i].bytes, cases[i].size);
        plant_advance(&plant, NOW_NEVER - 1);
        assert_true(plant.effects.has_written && plant.effects.written.ok);
    }
    plant_done(&plant);
}

static void writes_that_cannot_be_made(void **state) {
    (void)state;
    plant_init(&plant, BUS_SERIAL, 1);
    writable(0, READ_HOLDING, 1);                   /* point 1: 0 .. 65535 */
    writable(0, READ_HOLDING, 2)->bit_field = true; /* would clear its neighbours */
    plant.points[0][2].bit_count = 1;
    writable(0, READ_INPUT, 3); /* nothing to write to */
    plant_begin(&plant, 1);
    static const struct {
        uint16_t point;
        double value;
    } cases[] = {{0, 1}, {1, 65536}, {1, -1}, {2, 1}, {3, 1}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        plant_write(&plant, 0, cases[i].point, cases[i].value, (uint32_t)(50 + i));
        assert_true(plant.effects.has_written);
        assert_false(plant.effects.written.ok);
        assert_int_equal(plant.effects.written.id, 50 + i);
        assert_int_equal(plant.effects.written.status, BUS_ANSWERED);
        assert_int_equal(plant.effects.written.exception, 0);
    }
    for (unsigned i = 0; i < WRITES_PENDING_MAX; i++) { /* a read is under way: they wait */
        plant_write(&plant, 0, 1, i, i);
        assert_false(plant.effects.has_written);
    }
    plant_write(&plant, 0, 1, 5, 99); /* no room */
    assert_true(plant.effects.has_written && !plant.effects.written.ok && plant.effects.written.id == 99);
    plant.written = 0;
    plant_run(&plant, START + 2 * SECOND);
    assert_int_equal(plant.written, WRITES_PENDING_MAX);
    assert_int_equal(plant.slaves[0].last_write_value, WRITES_PENDING_MAX - 1);
    plant_done(&plant);
}

static void answers_to_writes(void **state) {
    (void)state;
    plant_init(&plant, BUS_SERIAL, 1);
    plant.points[0][0].every_ms = 3600000;
    writable(0, READ_COIL, 1)->every_ms = 3600000;
    plant_begin(&plant, 1);
    plant_run(&plant, START + SECOND);
    struct plant_slave *slave = &plant.slaves[0];
    const struct written *written = &plant.effects.written;
    slave->wrong_echo = true; /* what came back is not what was asked: it did not happen */
    plant_write(&plant, 0, 1, 1, 1);
    plant_advance(&plant, NOW_NEVER - 1);
    assert_false(written->ok);
    assert_int_equal(written->status, BUS_CORRUPT);
    slave->wrong_echo = false;
    slave->write_exception = 4;
    plant_write(&plant, 0, 1, 1, 2);
    plant_advance(&plant, NOW_NEVER - 1);
    assert_false(written->ok);
    assert_int_equal(written->status, BUS_ANSWERED);
    assert_int_equal(written->exception, 4);
    slave->silent = true;
    for (uint32_t i = 0; i < 3; i++) {
        plant_write(&plant, 0, 1, 1, 3 + i);
        plant_advance(&plant, NOW_NEVER - 1);
        assert_false(written->ok);
        assert_int_equal(written->status, BUS_TIMEOUT);
    }
    assert_non_null(strstr(plant.story, "device d0 dead misses=3\n")); /* writes tell it too */
    slave->silent = false;
    slave->write_exception = 0;
    plant_write(&plant, 0, 1, 1, 9); /* a dead relay is tried all the same */
    plant_advance(&plant, NOW_NEVER - 1);
    assert_true(written->ok && written->id == 9);
    assert_non_null(strstr(plant.story, "device d0 back after="));
    plant_done(&plant);
}

static const struct setup_write setups[] = {{.address = 0x10, .value = 1}, {.address = 3, .value = 0xFF00, .coil = true}};

static void setup_comes_before_the_first_read_and_after_each_return(void **state) {
    (void)state;
    plant_init(&plant, BUS_SERIAL, 2);
    plant.specs[0].setup = setups;
    plant.specs[0].setup_count = 2;
    plant_begin(&plant, 2);
    for (int round = 0; round < 2; round++) {
        while (plant.request.unit_id != 1)
            assert_true(plant_advance(&plant, START + 200 * SECOND));
        assert_memory_equal(plant.request.pdu.bytes, "\x06\x00\x10\x00\x01", 5);
        plant_advance(&plant, NOW_NEVER - 1);
        assert_false(plant.effects.has_polled); /* the read is still to come */
        while (plant.request.unit_id != 1 || !plant.effects.has_request)
            assert_true(plant_advance(&plant, START + 200 * SECOND));
        assert_memory_equal(plant.request.pdu.bytes, "\x05\x00\x03\xFF\x00", 5);
        plant_advance(&plant, NOW_NEVER - 1);
        while (plant.request.unit_id != 1 || !plant.effects.has_request)
            assert_true(plant_advance(&plant, START + 200 * SECOND));
        assert_memory_equal(plant.request.pdu.bytes, "\x03\x00\x00\x00\x01", 5);
        plant_run(&plant, plant.now_us + 5 * SECOND);
        assert_int_equal(plant.slaves[0].writes, 2 * (round + 1));
        plant.slaves[0].silent = true;
        plant_run(&plant, plant.now_us + 30 * SECOND);
        assert_int_equal(poller_counters(plant.poller)->devices_dead, 1);
        plant.slaves[0].silent = false;
        plant.request.unit_id = 0;
    }
    plant_done(&plant);
}

static void a_refused_setup_fails_the_reads(void **state) {
    (void)state;
    plant_init(&plant, BUS_SERIAL, 1);
    plant.specs[0].setup = setups;
    plant.specs[0].setup_count = 1;
    plant.slaves[0].write_exception = 3;
    plant_begin(&plant, 1);
    plant_run(&plant, START + 20 * SECOND + 500 * MS);
    assert_in_range(plant.polls, 20, 21);
    assert_int_equal(plant.effects.polled.readings[0].quality, QUALITY_BAD);
    assert_int_equal(plant.effects.polled.readings[0].reason, REASON_EXCEPTION);
    assert_string_equal(plant.story, "device d0 online\ndevice d0 refuses setup holding/0x0010: illegal data value\n");
    plant.slaves[0].write_exception = 0;
    plant_run(&plant, START + 22 * SECOND + 500 * MS);
    assert_int_equal(plant.effects.polled.readings[0].quality, QUALITY_GOOD);
    plant_done(&plant);
}

static void assert_polled(enum bus_status status, enum quality_reason reason, uint8_t exception) {
    plant.effects.polled.count = 0;
    plant_run(&plant, plant.now_us + 1100 * MS);
    const struct polled *polled = &plant.effects.polled;
    assert_int_equal(polled->count, 1);
    assert_int_equal(polled->status, status);
    assert_int_equal(polled->exception, exception);
    assert_int_equal(polled->readings[0].quality, QUALITY_BAD);
    assert_int_equal(polled->readings[0].reason, reason);
    assert_int_equal(polled->readings[0].value.kind, VALUE_NONE);
}

static void every_kind_of_bad_answer(void **state) {
    (void)state;
    plant_init(&plant, BUS_SERIAL, 1);
    plant_begin(&plant, 1);
    plant_run(&plant, START + 500 * MS);
    struct plant_slave *slave = &plant.slaves[0];
    slave->exception = 4;
    for (int i = 0; i < 5; i++)
        assert_polled(BUS_ANSWERED, REASON_EXCEPTION, 4);
    assert_int_equal(plant.effects.polled.device_state, DEVICE_ONLINE);
    slave->exception = 11; /* a gateway on the way: the device itself did not answer */
    assert_polled(BUS_ANSWERED, REASON_NO_ANSWER, 11);
    slave->exception = 0;
    slave->corrupt = true;
    assert_polled(BUS_CORRUPT, REASON_CORRUPT, 0);
    slave->silent = true;
    assert_polled(BUS_TIMEOUT, REASON_NO_ANSWER, 0);
    assert_int_equal(plant.effects.polled.device_state, DEVICE_DEAD);
    const struct poller_counters *counters = poller_counters(plant.poller);
    assert_in_range(counters->corrupt, 1, 2);
    assert_in_range(counters->timeouts, 1, 2);
    assert_in_range(counters->exceptions, 6, 8);
    plant_done(&plant);
}

/* An answer of another request (another address cannot be told, another count can) never becomes a value. */
static void an_answer_to_something_else_is_corrupt(void **state) {
    (void)state;
    plant_init(&plant, BUS_SERIAL, 1);
    plant_begin(&plant, 1);
    plant.answer.pdu.size = 6;
    memcpy(plant.answer.pdu.bytes, "\x03\x04\x00\x01\x00\x02", 6);
    plant_advance(&plant, START + SECOND);
    assert_int_equal(plant.effects.polled.status, BUS_CORRUPT);
    assert_int_equal(plant.effects.polled.readings[0].reason, REASON_CORRUPT);
    plant_done(&plant);
}

static void shake(struct prng *prng, uint16_t devices_count) {
    struct plant_slave *slave = &plant.slaves[prng_below(prng, devices_count)];
    switch (prng_below(prng, 10)) {
    case 0:
        slave->silent = !slave->silent;
        break;
    case 1:
        slave->corrupt = !slave->corrupt;
        break;
    case 2:
        slave->exception = (uint8_t)prng_below(prng, 12);
        break;
    case 3:
        slave->exception = 0;
        break;
    case 4:
        slave->registers_max = (uint16_t)prng_below(prng, 4);
        break;
    case 5:
        slave->turnaround_us = (int64_t)prng_below(prng, 100) * MS;
        break;
    case 6:
        plant.disconnected = prng_below(prng, 3) == 0;
        break;
    case 7:
        plant_step(&plant, POLLER_RELEASE);
        break;
    case 8:
        plant_step(&plant, POLLER_TICK);
        break;
    default:
        plant_write(&plant, (uint16_t)prng_below(prng, devices_count), (uint16_t)prng_below(prng, 2), (double)prng_below(prng, 3), 1);
        break;
    }
}

static void random_lives(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        uint16_t devices_count = (uint16_t)(1 + prng_below(&prng, PLANT_DEVICES_MAX));
        plant_init(&plant, prng_below(&prng, 3) ? BUS_SERIAL : BUS_TCP, devices_count);
        plant.hold_releases = prng_below(&prng, 2);
        for (uint16_t d = 0; d < devices_count; d++) {
            unsigned points = (unsigned)prng_below(&prng, 6);
            for (unsigned i = 0; i < points; i++)
                writable(d, (enum point_read)(1 + prng_below(&prng, 4)), (uint16_t)prng_below(&prng, 60));
            for (unsigned i = 0; i <= points; i++) {
                plant.points[d][i].every_ms = (uint32_t)(200 + 400 * prng_below(&prng, 10));
                plant.points[d][i].class = prng_below(&prng, 4) ? CLASS_ELECTRICAL : CLASS_FIRE;
                plant.points[d][i].feeds_action = prng_below(&prng, 6) == 0;
            }
            plant_point(&plant, d, READ_HOLDING, 1);
            plant.specs[d].setup = setups;
            plant.specs[d].setup_count = (uint16_t)prng_below(&prng, 3);
        }
        plant_begin(&plant, devices_count);
        for (int round = 0; round < 100; round++) {
            plant_run(&plant, plant.now_us + (int64_t)prng_below(&prng, 1500) * MS);
            shake(&prng, devices_count);
            plant.story[0] = '\0';
        }
        memset(plant.slaves, 0, sizeof(plant.slaves)); /* all is well again: everyone is back within 32 s */
        plant.disconnected = false;
        plant_run(&plant, plant.now_us + 32 * SECOND);
        assert_int_equal(poller_counters(plant.poller)->devices_online, devices_count);
        assert_true(plant.steps <= 3 * plant.requests + 200); /* no step without need */
        plant_done(&plant);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_go_before_all_reads),
        cmocka_unit_test(what_is_written),
        cmocka_unit_test(writes_that_cannot_be_made),
        cmocka_unit_test(answers_to_writes),
        cmocka_unit_test(setup_comes_before_the_first_read_and_after_each_return),
        cmocka_unit_test(a_refused_setup_fails_the_reads),
        cmocka_unit_test(every_kind_of_bad_answer),
        cmocka_unit_test(an_answer_to_something_else_is_corrupt),
        cmocka_unit_test(random_lives),
    };
    return cmocka_run_group_tests_name("poller answers", tests, NULL, NULL);
}
