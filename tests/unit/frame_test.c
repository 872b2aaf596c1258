/* SPDX-License-Identifier: Apache-2.0 */
/* Requests against published frames, replies that must and must not be taken for an answer, and line time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "sensors/frame.h"

struct rtu_vector {
    uint8_t unit_id;
    uint8_t function;
    uint16_t address, argument;
    uint8_t frame[8];
};

/* From the manuals and code bases of real devices. */
static const struct rtu_vector rtu_vectors[] = {
    {0x01, FC_READ_INPUT, 0, 2, {0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB}},
    {0x01, FC_READ_INPUT, 0, 10, {0x01, 0x04, 0x00, 0x00, 0x00, 0x0A, 0x70, 0x0D}},
    {0xF8, FC_READ_INPUT, 0, 10, {0xF8, 0x04, 0x00, 0x00, 0x00, 0x0A, 0x64, 0x64}},
    {0x01, FC_READ_HOLDING, 0x2000, 2, {0x01, 0x03, 0x20, 0x00, 0x00, 0x02, 0xCF, 0xCB}},
    {0x01, FC_READ_HOLDING, 0x004A, 12, {0x01, 0x03, 0x00, 0x4A, 0x00, 0x0C, 0x64, 0x19}},
    {0x01, FC_READ_HOLDING, 0, 8, {0x01, 0x03, 0x00, 0x00, 0x00, 0x08, 0x44, 0x0C}},
    {0x01, FC_READ_COILS, 0, 8, {0x01, 0x01, 0x00, 0x00, 0x00, 0x08, 0x3D, 0xCC}},
    {0x01, FC_WRITE_COIL, 0, 0xFF00, {0x01, 0x05, 0x00, 0x00, 0xFF, 0x00, 0x8C, 0x3A}},
    {0x01, FC_WRITE_COIL, 1, 0, {0x01, 0x05, 0x00, 0x01, 0x00, 0x00, 0x9C, 0x0A}},
    {0xFF, FC_WRITE_COIL, 0, 0xFF00, {0xFF, 0x05, 0x00, 0x00, 0xFF, 0x00, 0x99, 0xE4}},
};

static void build(struct pdu *pdu, const struct rtu_vector *vector) {
    if (vector->function == FC_WRITE_COIL)
        frame_write_coil(pdu, vector->address, vector->argument);
    else
        frame_read(pdu, vector->function, vector->address, vector->argument);
}

static void rtu_frames_are_those_of_the_manuals(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rtu_vectors); i++) {
        struct pdu pdu;
        uint8_t frame[FRAME_SIZE];
        build(&pdu, &rtu_vectors[i]);
        assert_int_equal(frame_rtu(rtu_vectors[i].unit_id, &pdu, frame), 8);
        assert_memory_equal(frame, rtu_vectors[i].frame, 8);
    }
}

static void crc_over_a_whole_frame_is_zero(void **state) {
    (void)state;
    struct prng prng;
    prng_init(&prng, 7);
    for (int round = 0; round < 200; round++) {
        struct pdu pdu = {.size = (uint8_t)(1 + prng_below(&prng, PDU_SIZE))};
        uint8_t frame[FRAME_SIZE];
        for (size_t i = 0; i < pdu.size; i++)
            pdu.bytes[i] = (uint8_t)prng_next(&prng);
        size_t size = frame_rtu((uint8_t)round, &pdu, frame);
        assert_int_equal(frame_crc(frame, size), 0);
        frame[prng_below(&prng, size)] ^= (uint8_t)(1u << prng_below(&prng, 8));
        assert_int_not_equal(frame_crc(frame, size), 0);
    }
}

static void register_writes(void **state) {
    (void)state;
    struct pdu pdu;
    frame_write_register(&pdu, 0x0010, 0xABCD);
    assert_int_equal(pdu.size, 5);
    assert_memory_equal(pdu.bytes, "\x06\x00\x10\xAB\xCD", 5);
    uint16_t values[123] = {0x000A, 0x0102};
    frame_write_registers(&pdu, 1, values, 2); /* the example of the protocol's section 6.12 */
    assert_int_equal(pdu.size, 10);
    assert_memory_equal(pdu.bytes, "\x10\x00\x01\x00\x02\x04\x00\x0A\x01\x02", 10);
    frame_write_registers(&pdu, 1, values, 123);
    assert_int_equal(pdu.size, 252);
}

static void tcp_frame(void **state) {
    (void)state;
    struct pdu pdu;
    uint8_t frame[FRAME_SIZE];
    frame_read(&pdu, FC_READ_HOLDING, 0x006B, 3);
    assert_int_equal(frame_tcp(0x1501, 0xFF, &pdu, frame), 12);
    assert_memory_equal(frame, "\x15\x01\x00\x00\x00\x06\xFF\x03\x00\x6B\x00\x03", 12);
}

static void reply_sizes(void **state) {
    (void)state;
    static const struct {
        uint8_t function;
        uint16_t count;
        size_t size;
    } cases[] = {
        {FC_READ_COILS, 1, 3},         {FC_READ_COILS, 8, 3},   {FC_READ_DISCRETE, 9, 4},
        {FC_READ_DISCRETE, 2000, 252}, {FC_READ_HOLDING, 1, 4}, {FC_READ_INPUT, 125, 252},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pdu pdu;
        frame_read(&pdu, cases[i].function, 0, cases[i].count);
        assert_int_equal(frame_reply_size(&pdu), cases[i].size);
    }
}

static enum frame_verdict match(const struct pdu *request, const char *reply, size_t size, uint8_t *ret_exception) {
    const uint8_t *data;
    size_t data_size;
    enum frame_verdict verdict = frame_match(request, (const uint8_t *)reply, size, ret_exception, &data, &data_size);
    assert_true((data != NULL) == (verdict == FRAME_GOOD && request->bytes[0] <= FC_READ_INPUT));
    if (data != NULL) {
        assert_ptr_equal(data, reply + 2);
        assert_int_equal(data_size, size - 2);
    }
    return verdict;
}

static void replies_to_reads(void **state) {
    (void)state;
    struct pdu request;
    uint8_t exception;
    frame_read(&request, FC_READ_HOLDING, 0, 2);
    assert_int_equal(match(&request, "\x03\x04\x01\x02\x03\x04", 6, &exception), FRAME_GOOD);
    assert_int_equal(exception, 0);
    assert_int_equal(match(&request, "\x83\x02", 2, &exception), FRAME_EXCEPTION);
    assert_int_equal(exception, 2);
    assert_int_equal(match(&request, "\x83\x00", 2, &exception), FRAME_MISMATCH);                 /* no such exception */
    assert_int_equal(match(&request, "\x83\x02\x00", 3, &exception), FRAME_MISMATCH);             /* too long */
    assert_int_equal(match(&request, "\x84\x02", 2, &exception), FRAME_MISMATCH);                 /* exception to another function */
    assert_int_equal(match(&request, "\x04\x04\x01\x02\x03\x04", 6, &exception), FRAME_MISMATCH); /* another function */
    assert_int_equal(match(&request, "\x03\x02\x01\x02\x03\x04", 6, &exception), FRAME_MISMATCH); /* byte count */
    assert_int_equal(match(&request, "\x03\x02\x01\x02", 4, &exception), FRAME_MISMATCH);         /* another count: a late reply */
    assert_int_equal(match(&request, "\x03\x04\x01\x02\x03", 5, &exception), FRAME_MISMATCH);     /* cut */
    assert_int_equal(match(&request, "", 0, &exception), FRAME_MISMATCH);
}

static void echoes_of_writes(void **state) {
    (void)state;
    struct pdu request;
    uint8_t exception;
    frame_write_coil(&request, 1, 0xFF00);
    assert_int_equal(match(&request, "\x05\x00\x01\xFF\x00", 5, &exception), FRAME_GOOD);
    assert_int_equal(match(&request, "\x05\x00\x01\x00\x00", 5, &exception), FRAME_MISMATCH); /* not what was asked for */
    assert_int_equal(match(&request, "\x05\x00\x02\xFF\x00", 5, &exception), FRAME_MISMATCH);
    assert_int_equal(match(&request, "\x85\x04", 2, &exception), FRAME_EXCEPTION);
    assert_int_equal(exception, 4);
    uint16_t values[2] = {0x000A, 0x0102};
    frame_write_registers(&request, 1, values, 2);
    assert_int_equal(match(&request, "\x10\x00\x01\x00\x02", 5, &exception), FRAME_GOOD);
    assert_int_equal(match(&request, "\x10\x00\x01\x00\x01", 5, &exception), FRAME_MISMATCH);
}

/* Whatever comes in, an answer is only ever taken when its size, function and count fit; no read past its end (ASan). */
static void random_replies_never_pass_for_an_answer(void **state) {
    (void)state;
    struct prng prng;
    prng_init(&prng, 11);
    struct pdu request;
    frame_read(&request, FC_READ_INPUT, 0, 3);
    for (int round = 0; round < 20000; round++) {
        uint8_t reply[16], exception;
        const uint8_t *data;
        size_t data_size, size = prng_below(&prng, sizeof(reply) + 1);
        for (size_t i = 0; i < size; i++)
            reply[i] = (uint8_t)prng_below(&prng, 8);
        enum frame_verdict verdict = frame_match(&request, reply, size, &exception, &data, &data_size);
        bool good = size == 8 && reply[0] == 4 && reply[1] == 6;
        assert_int_equal(verdict, good ? FRAME_GOOD : FRAME_MISMATCH);
    }
}

static void line_times(void **state) {
    (void)state;
    static const struct {
        struct line_timing line;
        int64_t character_ns, silence_us, bytes_8_us;
    } cases[] = {
        {{9600, 10}, 1041667, 3646, 8334},
        {{9600, 11}, 1145834, 4011, 9167},
        {{19200, 11}, 572917, 2006, 4584},
        {{38400, 10}, 260417, 1750, 2084},
        {{115200, 11}, 95487, 1750, 764},
        {{1200, 11}, 9166667, 32084, 73334},
        {{0, 0}, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (cases[i].line.baud == 0) {
            assert_int_equal(line_bytes_us(&cases[i].line, 8), 0);
            continue;
        }
        assert_int_equal(line_character_ns(&cases[i].line), cases[i].character_ns);
        assert_int_equal(line_silence_us(&cases[i].line), cases[i].silence_us);
        assert_int_equal(line_bytes_us(&cases[i].line, 8), cases[i].bytes_8_us);
    }
}

static void exception_names(void **state) {
    (void)state;
    assert_string_equal(frame_exception_name(2), "illegal data address");
    assert_string_equal(frame_exception_name(11), "gateway target device failed to respond");
    assert_string_equal(frame_exception_name(9), "unknown exception");
    assert_string_equal(frame_exception_name(0), "unknown exception");
    assert_string_equal(frame_exception_name(255), "unknown exception");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rtu_frames_are_those_of_the_manuals),
        cmocka_unit_test(crc_over_a_whole_frame_is_zero),
        cmocka_unit_test(register_writes),
        cmocka_unit_test(tcp_frame),
        cmocka_unit_test(reply_sizes),
        cmocka_unit_test(replies_to_reads),
        cmocka_unit_test(echoes_of_writes),
        cmocka_unit_test(random_replies_never_pass_for_an_answer),
        cmocka_unit_test(line_times),
        cmocka_unit_test(exception_names),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
