/* SPDX-License-Identifier: Apache-2.0 */
/* Writes, setup writes, every kind of bad answer, and 200 random lives of a bus with poller_check after each step. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "base/check.h"
#include "base/prng.h"
#include "poller_rig.h"

#include <cmocka.h>

#define START (100 * SECOND)

static struct rig rig;

static struct point *writable(uint16_t device, enum point_read read, uint16_t address) {
    struct point *point = rig_point(&rig, device, read, address);
    point->writable = true;
    return point;
}

static void writes_go_before_all_reads(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 4);
    for (uint16_t d = 0; d < 4; d++) {
        rig.points[d][0].every_ms = 10; /* everything is always due */
        rig.points[d][0].class = CLASS_FIRE;
    }
    writable(2, READ_COIL, 6);
    rig_begin(&rig, 4);
    rig_run(&rig, START + SECOND);
    while (rig.answer_at_us == NOW_NEVER)
        rig_advance(&rig, START + 2 * SECOND);
    rig_write(&rig, 2, 1, 1, 41); /* while a read is under way */
    rig_write(&rig, 2, 1, 0, 42);
    assert_false(rig.effects.has_request);
    rig_advance(&rig, START + 2 * SECOND);
    assert_true(rig.effects.has_polled && rig.effects.has_request);
    assert_int_equal(rig.request.unit_id, 3);
    assert_memory_equal(rig.request.pdu.bytes, "\x05\x00\x06\xFF\x00", 5);
    rig_advance(&rig, START + 2 * SECOND);
    assert_true(rig.effects.has_written && rig.effects.written.ok);
    assert_int_equal(rig.effects.written.id, 41);
    assert_int_equal(rig.effects.written.device, 2);
    assert_int_equal(rig.effects.written.point, 1);
    assert_memory_equal(rig.request.pdu.bytes, "\x05\x00\x06\x00\x00", 5); /* in the order they came */
    rig_advance(&rig, START + 2 * SECOND);
    assert_int_equal(rig.effects.written.id, 42);
    assert_int_equal(poller_counters(rig.poller)->writes, 2);
    rig_done(&rig);
}

static void what_is_written(void **state) {
    (void)state;
    rig_init(&rig, BUS_TCP, 1);
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
    rig_begin(&rig, 1);
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
        while (rig.answer_at_us != NOW_NEVER)
            rig_advance(&rig, NOW_NEVER - 1);
        rig_write(&rig, 0, cases[i].point, cases[i].value, (uint32_t)i);
        assert_true(rig.effects.has_request);
        assert_int_equal(rig.request.pdu.size, cases[i].size);
        assert_memory_equal(rig.request.pdu.bytes, cases[i].bytes, cases[i].size);
        rig_advance(&rig, NOW_NEVER - 1);
        assert_true(rig.effects.has_written && rig.effects.written.ok);
    }
    rig_done(&rig);
}

static void writes_that_cannot_be_made(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    writable(0, READ_HOLDING, 1);                   /* point 1: 0 .. 65535 */
    writable(0, READ_HOLDING, 2)->bit_field = true; /* would clear its neighbours */
    rig.points[0][2].bit_count = 1;
    writable(0, READ_INPUT, 3); /* nothing to write to */
    rig_begin(&rig, 1);
    static const struct {
        uint16_t point;
        double value;
    } cases[] = {{0, 1}, {1, 65536}, {1, -1}, {2, 1}, {3, 1}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        rig_write(&rig, 0, cases[i].point, cases[i].value, (uint32_t)(50 + i));
        assert_true(rig.effects.has_written);
        assert_false(rig.effects.written.ok);
        assert_int_equal(rig.effects.written.id, 50 + i);
        assert_int_equal(rig.effects.written.status, BUS_ANSWERED);
        assert_int_equal(rig.effects.written.exception, 0);
    }
    for (unsigned i = 0; i < WRITES_PENDING_MAX; i++) { /* a read is under way: they wait */
        rig_write(&rig, 0, 1, i, i);
        assert_false(rig.effects.has_written);
    }
    rig_write(&rig, 0, 1, 5, 99); /* no room */
    assert_true(rig.effects.has_written && !rig.effects.written.ok && rig.effects.written.id == 99);
    rig.written = 0;
    rig_run(&rig, START + 2 * SECOND);
    assert_int_equal(rig.written, WRITES_PENDING_MAX);
    assert_int_equal(rig.slaves[0].last_write_value, WRITES_PENDING_MAX - 1);
    rig_done(&rig);
}

static void answers_to_writes(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig.points[0][0].every_ms = 3600000;
    writable(0, READ_COIL, 1)->every_ms = 3600000;
    rig_begin(&rig, 1);
    rig_run(&rig, START + SECOND);
    struct rig_slave *slave = &rig.slaves[0];
    const struct written *written = &rig.effects.written;
    slave->wrong_echo = true; /* what came back is not what was asked: it did not happen */
    rig_write(&rig, 0, 1, 1, 1);
    rig_advance(&rig, NOW_NEVER - 1);
    assert_false(written->ok);
    assert_int_equal(written->status, BUS_CORRUPT);
    slave->wrong_echo = false;
    slave->write_exception = 4;
    rig_write(&rig, 0, 1, 1, 2);
    rig_advance(&rig, NOW_NEVER - 1);
    assert_false(written->ok);
    assert_int_equal(written->status, BUS_ANSWERED);
    assert_int_equal(written->exception, 4);
    slave->silent = true;
    for (uint32_t i = 0; i < 3; i++) {
        rig_write(&rig, 0, 1, 1, 3 + i);
        rig_advance(&rig, NOW_NEVER - 1);
        assert_false(written->ok);
        assert_int_equal(written->status, BUS_TIMEOUT);
    }
    assert_non_null(strstr(rig.story, "device d0 dead misses=3\n")); /* writes tell it too */
    slave->silent = false;
    slave->write_exception = 0;
    rig_write(&rig, 0, 1, 1, 9); /* a dead relay is tried all the same */
    rig_advance(&rig, NOW_NEVER - 1);
    assert_true(written->ok && written->id == 9);
    assert_non_null(strstr(rig.story, "device d0 back after="));
    rig_done(&rig);
}

static const struct setup_write setups[] = {{.address = 0x10, .value = 1}, {.address = 3, .value = 0xFF00, .coil = true}};

static void setup_comes_before_the_first_read_and_after_each_return(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 2);
    rig.specs[0].setup = setups;
    rig.specs[0].setup_count = 2;
    rig_begin(&rig, 2);
    for (int round = 0; round < 2; round++) {
        while (rig.request.unit_id != 1)
            assert_true(rig_advance(&rig, START + 200 * SECOND));
        assert_memory_equal(rig.request.pdu.bytes, "\x06\x00\x10\x00\x01", 5);
        static const char *const then[] = {"\x03\x00\x10\x00\x01", "\x05\x00\x03\xFF\x00", "\x01\x00\x03\x00\x01", "\x03\x00\x00\x00\x01"};
        for (size_t i = 0; i < ARRAY_COUNT(then); i++) {
            rig_advance(&rig, NOW_NEVER - 1);
            assert_false(rig.effects.has_polled); /* the read is still to come */
            while (rig.request.unit_id != 1 || !rig.effects.has_request)
                assert_true(rig_advance(&rig, START + 200 * SECOND));
            assert_memory_equal(rig.request.pdu.bytes, then[i], 5);
        }
        rig_run(&rig, rig.now_us + 5 * SECOND);
        assert_int_equal(rig.slaves[0].writes, 2 * (round + 1));
        rig.slaves[0].silent = true;
        rig_run(&rig, rig.now_us + 30 * SECOND);
        assert_int_equal(poller_counters(rig.poller)->devices_dead, 1);
        rig.slaves[0].silent = false;
        rig.request.unit_id = 0;
    }
    rig_done(&rig);
}

static void a_refused_setup_fails_the_reads(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig.specs[0].setup = setups;
    rig.specs[0].setup_count = 1;
    rig.slaves[0].write_exception = 3;
    rig_begin(&rig, 1);
    rig_run(&rig, START + 20 * SECOND + 500 * MS);
    assert_in_range(rig.polls, 20, 21);
    assert_int_equal(rig.effects.polled.readings[0].quality, QUALITY_BAD);
    assert_int_equal(rig.effects.polled.readings[0].reason, REASON_EXCEPTION);
    assert_string_equal(rig.story, "device d0 online\ndevice d0 refuses setup holding/0x0010: illegal data value\n");
    rig.slaves[0].write_exception = 0;
    rig_run(&rig, START + 22 * SECOND + 500 * MS);
    assert_int_equal(rig.effects.polled.readings[0].quality, QUALITY_GOOD);
    rig_done(&rig);
}

/* An echo is not yet a setting: a device that keeps another value has no good readings; one that cannot read it is believed. */
static void setup_is_read_back(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig.specs[0].setup = setups;
    rig.specs[0].setup_count = 1;
    rig.slaves[0].forgets = true; /* reads its address, 0x10, instead of 1 */
    rig_begin(&rig, 1);
    rig_run(&rig, START + 20 * SECOND + 500 * MS);
    assert_in_range(rig.polls, 20, 21);
    assert_int_equal(rig.effects.polled.readings[0].quality, QUALITY_BAD);
    assert_int_equal(rig.effects.polled.readings[0].reason, REASON_CORRUPT);
    assert_string_equal(rig.story, "device d0 online\ndevice d0 does not keep setup holding/0x0010: it reads another value\n");
    rig.slaves[0].forgets = false;
    rig_run(&rig, START + 22 * SECOND + 500 * MS);
    assert_int_equal(rig.effects.polled.readings[0].quality, QUALITY_GOOD);
    unsigned writes = rig.slaves[0].writes;
    rig.slaves[0].silent = true;
    rig_run(&rig, START + 30 * SECOND);
    rig.slaves[0].silent = false;
    rig.slaves[0].read_exception = 2;
    rig_run(&rig, START + 50 * SECOND);
    assert_int_equal(rig.effects.polled.readings[0].quality, QUALITY_GOOD);
    assert_int_equal(rig.slaves[0].writes, writes + 1);
    rig_done(&rig);
}

static void assert_polled(enum bus_status status, enum quality_reason reason, uint8_t exception) {
    rig.effects.polled.count = 0;
    rig_run(&rig, rig.now_us + 1100 * MS);
    const struct polled *polled = &rig.effects.polled;
    assert_int_equal(polled->count, 1);
    assert_int_equal(polled->status, status);
    assert_int_equal(polled->exception, exception);
    assert_int_equal(polled->readings[0].quality, QUALITY_BAD);
    assert_int_equal(polled->readings[0].reason, reason);
    assert_int_equal(polled->readings[0].value.kind, VALUE_NONE);
}

static void every_kind_of_bad_answer(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig_begin(&rig, 1);
    rig_run(&rig, START + 500 * MS);
    struct rig_slave *slave = &rig.slaves[0];
    slave->exception = 4;
    for (int i = 0; i < 5; i++)
        assert_polled(BUS_ANSWERED, REASON_EXCEPTION, 4);
    assert_int_equal(rig.effects.polled.device_state, DEVICE_ONLINE);
    slave->exception = 11; /* a gateway on the way: the device itself did not answer */
    assert_polled(BUS_ANSWERED, REASON_NO_ANSWER, 11);
    slave->exception = 0;
    slave->corrupt = true;
    assert_polled(BUS_CORRUPT, REASON_CORRUPT, 0);
    slave->silent = true;
    assert_polled(BUS_TIMEOUT, REASON_NO_ANSWER, 0);
    assert_int_equal(rig.effects.polled.device_state, DEVICE_DEAD);
    const struct poller_counters *counters = poller_counters(rig.poller);
    assert_in_range(counters->corrupt, 1, 2);
    assert_in_range(counters->timeouts, 1, 2);
    assert_in_range(counters->exceptions, 6, 8);
    rig_done(&rig);
}

/* An answer of another request (another address cannot be told, another count can) never becomes a value. */
static void an_answer_to_something_else_is_corrupt(void **state) {
    (void)state;
    rig_init(&rig, BUS_SERIAL, 1);
    rig_begin(&rig, 1);
    rig.answer.pdu.size = 6;
    memcpy(rig.answer.pdu.bytes, "\x03\x04\x00\x01\x00\x02", 6);
    rig_advance(&rig, START + SECOND);
    assert_int_equal(rig.effects.polled.status, BUS_CORRUPT);
    assert_int_equal(rig.effects.polled.readings[0].reason, REASON_CORRUPT);
    rig_done(&rig);
}

static void shake(struct prng *prng, uint16_t devices_count) {
    struct rig_slave *slave = &rig.slaves[prng_below(prng, devices_count)];
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
        rig.disconnected = prng_below(prng, 3) == 0;
        break;
    case 7:
        rig_step(&rig, POLLER_RELEASE);
        break;
    case 8:
        rig_step(&rig, POLLER_TICK);
        break;
    default:
        rig_write(&rig, (uint16_t)prng_below(prng, devices_count), (uint16_t)prng_below(prng, 2), (double)prng_below(prng, 3), 1);
        break;
    }
}

static void random_lives(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        uint16_t devices_count = (uint16_t)(1 + prng_below(&prng, RIG_DEVICES_MAX));
        rig_init(&rig, prng_below(&prng, 3) ? BUS_SERIAL : BUS_TCP, devices_count);
        rig.hold_releases = prng_below(&prng, 2);
        for (uint16_t d = 0; d < devices_count; d++) {
            unsigned points = (unsigned)prng_below(&prng, 6);
            for (unsigned i = 0; i < points; i++)
                writable(d, (enum point_read)(1 + prng_below(&prng, 4)), (uint16_t)prng_below(&prng, 60));
            for (unsigned i = 0; i <= points; i++) {
                rig.points[d][i].every_ms = (uint32_t)(200 + 400 * prng_below(&prng, 10));
                rig.points[d][i].class = prng_below(&prng, 4) ? CLASS_ELECTRICAL : CLASS_FIRE;
                rig.points[d][i].feeds_action = prng_below(&prng, 6) == 0;
            }
            rig_point(&rig, d, READ_HOLDING, 1);
            rig.specs[d].setup = setups;
            rig.specs[d].setup_count = (uint16_t)prng_below(&prng, 3);
        }
        rig_begin(&rig, devices_count);
        for (int round = 0; round < 100; round++) {
            rig_run(&rig, rig.now_us + (int64_t)prng_below(&prng, 1500) * MS);
            shake(&prng, devices_count);
            rig.story[0] = '\0';
        }
        memset(rig.slaves, 0, sizeof(rig.slaves)); /* all is well again: everyone is back within 32 s */
        rig.disconnected = false;
        rig_run(&rig, rig.now_us + 32 * SECOND);
        assert_int_equal(poller_counters(rig.poller)->devices_online, devices_count);
        assert_true(rig.steps <= 3 * rig.requests + 200); /* no step without need */
        rig_done(&rig);
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
        cmocka_unit_test(setup_is_read_back),
        cmocka_unit_test(every_kind_of_bad_answer),
        cmocka_unit_test(an_answer_to_something_else_is_corrupt),
        cmocka_unit_test(random_lives),
    };
    return cmocka_run_group_tests_name("poller answers", tests, NULL, NULL);
}
