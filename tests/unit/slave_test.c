/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated device against frames written down by hand: good answers, every exception, and what a write changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "gateway/simulator/slave.h"

enum { COIL_1, COIL_2, CONTACT, FLOAT_ABCD, FLOAT_CDAB, TENTHS, LOW_BITS, HIGH_BITS, INPUT_U16, NAME, SWITCH };

static const struct point points[] = {
    [COIL_1] = {.name = "coil-1",
                .unit = "",
                .read = READ_COIL,
                .type = TYPE_BIT,
                .address = 0,
                .registers = 1,
                .scale = 1,
                .writable = true,
                .write_on = 0xFF00},
    [COIL_2] = {.name = "coil-2",
                .unit = "",
                .read = READ_COIL,
                .type = TYPE_BIT,
                .address = 9,
                .registers = 1,
                .scale = 1,
                .writable = true,
                .write_on = 0xAA00,
                .write_off = 0x5500},
    [CONTACT] = {.name = "contact", .unit = "", .read = READ_DISCRETE, .type = TYPE_BIT, .address = 3, .registers = 1, .scale = 1},
    [FLOAT_ABCD] =
        {.name = "float-abcd", .unit = "V", .read = READ_HOLDING, .type = TYPE_F32, .address = 10, .registers = 2, .scale = 1, .writable = true},
    [FLOAT_CDAB] =
        {.name = "float-cdab", .unit = "V", .read = READ_HOLDING, .type = TYPE_F32, .order = ORDER_CDAB, .address = 12, .registers = 2, .scale = 1},
    [TENTHS] = {.name = "tenths", .unit = "°C", .read = READ_HOLDING, .type = TYPE_S16, .address = 20, .registers = 1, .scale = 0.1},
    [LOW_BITS] = {.name = "low",
                  .unit = "",
                  .read = READ_HOLDING,
                  .type = TYPE_U16,
                  .address = 21,
                  .registers = 1,
                  .scale = 1,
                  .bit_field = true,
                  .bit_first = 0,
                  .bit_count = 4},
    [HIGH_BITS] = {.name = "high",
                   .unit = "",
                   .read = READ_HOLDING,
                   .type = TYPE_U16,
                   .address = 21,
                   .registers = 1,
                   .scale = 1,
                   .bit_field = true,
                   .bit_first = 4,
                   .bit_count = 2},
    [INPUT_U16] = {.name = "input", .unit = "", .read = READ_INPUT, .type = TYPE_U16, .address = 0xFFFF, .registers = 1, .scale = 1},
    [NAME] = {.name = "name", .unit = "", .read = READ_HOLDING, .type = TYPE_STRING, .address = 30, .registers = 3, .scale = 1},
    [SWITCH] = {.name = "switch", .unit = "", .read = READ_HOLDING, .type = TYPE_U16, .address = 40, .registers = 1, .scale = 1, .writable = true},
};

static const struct setup_write setup[] = {{.address = 0x100, .value = 1}};

static const struct device_spec with_gaps = {.name = "d",
                                             .unit_id = 1,
                                             .registers_max = 60,
                                             .gaps_allowed = true,
                                             .setup_count = 1,
                                             .setup = setup,
                                             .points_count = ARRAY_COUNT(points),
                                             .points = points};

struct fixture {
    struct arena arena;
    struct slave slave;
};

static int begin(void **state) {
    static struct fixture fixture;
    arena_init(&fixture.arena);
    slave_init(&fixture.slave, &with_gaps, &fixture.arena);
    *state = &fixture;
    return 0;
}

static int finish(void **state) {
    struct fixture *fixture = *state;
    arena_done(&fixture->arena);
    return 0;
}

static void set_number(struct slave *slave, uint16_t point, double number) {
    struct value value = {.kind = VALUE_NUMBER, .number = number};
    assert_int_equal(slave_set(slave, point, &value), ERR_OK);
}

struct exchange {
    const char *what;
    uint8_t request[12], request_size;
    uint8_t reply[16], reply_size;
    bool writes;
};

static void play(struct slave *slave, const struct exchange *exchanges, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct pdu reply;
        struct slave_write write;
        slave_answer(slave, exchanges[i].request, exchanges[i].request_size, &reply, &write);
        if (reply.size != exchanges[i].reply_size || memcmp(reply.bytes, exchanges[i].reply, reply.size) != 0 || write.done != exchanges[i].writes)
            fail_msg("%s: wrong answer, %u bytes, %02X %02X", exchanges[i].what, reply.size, reply.bytes[0], reply.bytes[1]);
        slave_check(slave);
    }
}

static void reads_are_answered_byte_for_byte(void **state) {
    struct slave *slave = &((struct fixture *)*state)->slave;
    set_number(slave, COIL_1, 1);
    set_number(slave, COIL_2, 1);
    set_number(slave, CONTACT, 1);
    set_number(slave, FLOAT_ABCD, 1.0);
    set_number(slave, FLOAT_CDAB, 1.0);
    set_number(slave, TENTHS, -10.1);
    set_number(slave, INPUT_U16, 513);
    static const struct exchange exchanges[] = {
        {"ten coils", {1, 0, 0, 0, 10}, 5, {1, 2, 0x01, 0x02}, 4, false},
        {"one coil", {1, 0, 9, 0, 1}, 5, {1, 1, 1}, 3, false},
        {"contact", {2, 0, 3, 0, 1}, 5, {2, 1, 1}, 3, false},
        {"both floats", {3, 0, 10, 0, 4}, 5, {3, 8, 0x3F, 0x80, 0, 0, 0, 0, 0x3F, 0x80}, 10, false},
        {"float, a gap of two", {3, 0, 12, 0, 4}, 5, {3, 8, 0, 0, 0x3F, 0x80, 0, 0, 0, 0}, 10, false},
        {"tenths", {3, 0, 20, 0, 1}, 5, {3, 2, 0xFF, 0x9B}, 4, false},
        {"the last address", {4, 0xFF, 0xFF, 0, 1}, 5, {4, 2, 2, 1}, 4, false},
    };
    play(slave, exchanges, ARRAY_COUNT(exchanges));
}

static void what_is_wrong_gets_its_exception(void **state) {
    struct slave *slave = &((struct fixture *)*state)->slave;
    static const struct exchange exchanges[] = {
        {"unknown function", {7}, 1, {0x87, 1}, 2, false},
        {"diagnostics", {8, 0, 0, 0, 0}, 5, {0x88, 1}, 2, false},
        {"mask write", {22, 0, 10, 0, 0, 0, 0}, 7, {0x96, 1}, 2, false},
        {"below the first register", {3, 0, 9, 0, 1}, 5, {0x83, 2}, 2, false},
        {"above the last register", {3, 1, 1, 0, 1}, 5, {0x83, 2}, 2, false},
        {"over the last coil", {1, 0, 9, 0, 2}, 5, {0x81, 2}, 2, false},
        {"past 65535", {4, 0xFF, 0xFF, 0, 2}, 5, {0x84, 2}, 2, false},
        {"count 0", {3, 0, 10, 0, 0}, 5, {0x83, 3}, 2, false},
        {"more than the device takes", {3, 0, 10, 0, 61}, 5, {0x83, 3}, 2, false},
        {"2001 bits", {1, 0, 0, 0x07, 0xD1}, 5, {0x81, 3}, 2, false},
        {"short", {3, 0, 10, 0}, 4, {0x83, 3}, 2, false},
        {"long", {3, 0, 10, 0, 1, 0}, 6, {0x83, 3}, 2, false},
        {"write what is only read", {6, 0, 20, 0, 1}, 5, {0x86, 2}, 2, false},
        {"write a gap", {6, 0, 15, 0, 1}, 5, {0x86, 2}, 2, false},
        {"write a coil that is not there", {5, 0, 5, 0xFF, 0}, 5, {0x85, 2}, 2, false},
        {"a coil's value is FF00 or 0", {5, 0, 0, 0, 1}, 5, {0x85, 3}, 2, false},
        {"byte count does not fit", {16, 0, 10, 0, 2, 3, 0, 0, 0}, 9, {0x90, 3}, 2, false},
        {"bytes missing", {16, 0, 10, 0, 2, 4, 0, 0, 0}, 9, {0x90, 3}, 2, false},
        {"several, the last not writable", {16, 0, 11, 0, 2, 4, 9, 9, 9, 9}, 10, {0x90, 2}, 2, false},
        {"and nothing of it was written", {3, 0, 11, 0, 1}, 5, {3, 2, 0, 0}, 4, false},
        {"no coils", {15, 0, 0, 0, 0, 0}, 6, {0x8F, 3}, 2, false},
    };
    play(slave, exchanges, ARRAY_COUNT(exchanges));
}

static void writes_are_echoed_and_kept(void **state) {
    struct slave *slave = &((struct fixture *)*state)->slave;
    static const struct exchange exchanges[] = {
        {"coil on", {5, 0, 0, 0xFF, 0}, 5, {5, 0, 0, 0xFF, 0}, 5, true},
        {"is on", {1, 0, 0, 0, 1}, 5, {1, 1, 1}, 3, false},
        {"coil off", {5, 0, 0, 0, 0}, 5, {5, 0, 0, 0, 0}, 5, true},
        {"is off", {1, 0, 0, 0, 1}, 5, {1, 1, 0}, 3, false},
        {"a coil with values of its own", {5, 0, 9, 0xAA, 0}, 5, {5, 0, 9, 0xAA, 0}, 5, true},
        {"is on", {1, 0, 9, 0, 1}, 5, {1, 1, 1}, 3, false},
        {"and off", {5, 0, 9, 0x55, 0}, 5, {5, 0, 9, 0x55, 0}, 5, true},
        {"is off", {1, 0, 9, 0, 1}, 5, {1, 1, 0}, 3, false},
        {"coils", {15, 0, 0, 0, 1, 1, 1}, 7, {15, 0, 0, 0, 1}, 5, true},
        {"is on again", {1, 0, 0, 0, 1}, 5, {1, 1, 1}, 3, false},
        {"register", {6, 0, 40, 0x12, 0x34}, 5, {6, 0, 40, 0x12, 0x34}, 5, true},
        {"holds it", {3, 0, 40, 0, 1}, 5, {3, 2, 0x12, 0x34}, 4, false},
        {"a setup write's register", {6, 1, 0, 0, 1}, 5, {6, 1, 0, 0, 1}, 5, true},
        {"holds it", {3, 1, 0, 0, 1}, 5, {3, 2, 0, 1}, 4, false},
        {"registers", {16, 0, 10, 0, 2, 4, 0x40, 0x48, 0xF5, 0xC3}, 10, {16, 0, 10, 0, 2}, 5, true},
        {"hold them", {3, 0, 10, 0, 2}, 5, {3, 4, 0x40, 0x48, 0xF5, 0xC3}, 6, false},
    };
    play(slave, exchanges, ARRAY_COUNT(exchanges));
    struct reading reading;
    slave_get(slave, FLOAT_ABCD, &reading);
    assert_int_equal(reading.quality, QUALITY_GOOD);
    assert_float_equal(reading.value.number, 3.14, 1e-6);
}

static void a_device_without_gaps_refuses_them(void **state) {
    struct fixture *fixture = *state;
    struct device_spec spec = with_gaps;
    struct slave slave;
    spec.gaps_allowed = false;
    slave_init(&slave, &spec, &fixture->arena);
    static const struct exchange exchanges[] = {
        {"over a gap", {3, 0, 12, 0, 4}, 5, {0x83, 2}, 2, false},
        {"up to it", {3, 0, 10, 0, 4}, 5, {3, 8, 0, 0, 0, 0, 0, 0, 0, 0}, 10, false},
        {"coils over a gap", {1, 0, 0, 0, 10}, 5, {0x81, 2}, 2, false},
    };
    play(&slave, exchanges, ARRAY_COUNT(exchanges));
}

static void bits_of_one_register_do_not_disturb_each_other(void **state) {
    struct slave *slave = &((struct fixture *)*state)->slave;
    uint16_t raw;
    assert_int_equal(slave_set_raw(slave, READ_HOLDING, 21, 0xFF00), ERR_OK);
    set_number(slave, LOW_BITS, 9);
    set_number(slave, HIGH_BITS, 2);
    assert_int_equal(slave_raw(slave, READ_HOLDING, 21, &raw), ERR_OK);
    assert_int_equal(raw, 0xFF29);
    set_number(slave, LOW_BITS, 0);
    assert_int_equal(slave_raw(slave, READ_HOLDING, 21, &raw), ERR_OK);
    assert_int_equal(raw, 0xFF20);
    struct value four = {.kind = VALUE_INTEGER, .integer = 4};
    assert_int_equal(slave_set(slave, HIGH_BITS, &four), ERR_RANGE);
    assert_int_equal(slave_raw(slave, READ_HOLDING, 21, &raw), ERR_OK);
    assert_int_equal(raw, 0xFF20);
}

static void what_cannot_be_represented_changes_nothing(void **state) {
    struct slave *slave = &((struct fixture *)*state)->slave;
    struct value high = {.kind = VALUE_NUMBER, .number = 4000}, half = {.kind = VALUE_NUMBER, .number = 0.5}, text = {.kind = VALUE_TEXT};
    strcpy(text.text, "ABCDEFG");
    uint16_t raw;
    set_number(slave, TENTHS, 25);
    assert_int_equal(slave_set(slave, TENTHS, &high), ERR_RANGE);
    assert_int_equal(slave_set(slave, COIL_1, &half), ERR_RANGE);
    assert_int_equal(slave_set(slave, NAME, &text), ERR_RANGE);
    assert_int_equal(slave_raw(slave, READ_HOLDING, 20, &raw), ERR_OK);
    assert_int_equal(raw, 250);
    assert_int_equal(slave_raw(slave, READ_HOLDING, 15, &raw), ERR_NOT_FOUND);
    assert_int_equal(slave_set_raw(slave, READ_COIL, 1, 1), ERR_NOT_FOUND);
}

static void a_write_touches_the_points_it_covers(void **state) {
    (void)state;
    struct slave_write write = {.done = true, .table = READ_HOLDING, .address = 11, .count = 2};
    assert_true(slave_write_touches(&write, &points[FLOAT_ABCD]));
    assert_true(slave_write_touches(&write, &points[FLOAT_CDAB]));
    assert_false(slave_write_touches(&write, &points[TENTHS]));
    assert_false(slave_write_touches(&write, &points[COIL_1]));
    write.done = false;
    assert_false(slave_write_touches(&write, &points[FLOAT_ABCD]));
}

static void request_frames_tell_their_size(void **state) {
    (void)state;
    static const uint8_t read[] = {1, 3, 0, 0}, coils[] = {1, 15, 0, 0, 0, 9, 2}, odd[] = {1, 43};
    assert_int_equal(slave_rtu_request_size(read, 1), 0);
    assert_int_equal(slave_rtu_request_size(read, 2), 8);
    assert_int_equal(slave_rtu_request_size(coils, 6), 0);
    assert_int_equal(slave_rtu_request_size(coils, 7), 11);
    assert_true(slave_rtu_request_size(odd, 2) == SIZE_MAX);
}

/* Whatever comes, the reply is one that a reader can take for an answer, and the contents stay in order. */
static void any_bytes_get_an_answer(void **state) {
    struct slave *slave = &((struct fixture *)*state)->slave;
    struct prng prng;
    prng_init(&prng, 11);
    unsigned written = 0;
    for (int round = 0; round < 50000; round++) {
        uint8_t request[PDU_SIZE];
        size_t size = round % 2 ? 5 : 1 + prng_below(&prng, PDU_SIZE);
        for (size_t i = 0; i < size; i++)
            request[i] = (uint8_t)prng_below(&prng, i < 6 && round % 3 ? 42 : 256);
        if (round % 2)
            request[1] = request[3] = 0; /* an address and a count that may well be right */
        struct pdu reply;
        struct slave_write write;
        slave_answer(slave, request, size, &reply, &write);
        assert_true(reply.size >= 2 && reply.size <= PDU_SIZE);
        assert_int_equal(reply.bytes[0] & 0x7F, request[0] & 0x7F);
        assert_true(reply.bytes[0] == request[0] || (reply.size == 2 && reply.bytes[1] >= 1 && reply.bytes[1] <= 3));
        written += write.done;
    }
    slave_check(slave);
    assert_true(written > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_are_answered_byte_for_byte, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_wrong_gets_its_exception, begin, finish),
        cmocka_unit_test_setup_teardown(writes_are_echoed_and_kept, begin, finish),
        cmocka_unit_test_setup_teardown(a_device_without_gaps_refuses_them, begin, finish),
        cmocka_unit_test_setup_teardown(bits_of_one_register_do_not_disturb_each_other, begin, finish),
        cmocka_unit_test_setup_teardown(what_cannot_be_represented_changes_nothing, begin, finish),
        cmocka_unit_test(a_write_touches_the_points_it_covers),
        cmocka_unit_test(request_frames_tell_their_size),
        cmocka_unit_test_setup_teardown(any_bytes_get_an_answer, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
