/* SPDX-License-Identifier: Apache-2.0 */
/* The answer is found in everything a serial line can deliver around it, and nothing else is taken for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "sensors/rtu_receiver.h"

#define UNIT 17

/* What the line delivers, put together piece by piece. */
struct line {
    uint8_t bytes[1200];
    size_t size;
};

static void line_add(struct line *line, const void *bytes, size_t size) {
    assert_true(line->size + size <= sizeof(line->bytes));
    memcpy(line->bytes + line->size, bytes, size);
    line->size += size;
}

static void line_add_frame(struct line *line, uint8_t unit_id, const uint8_t *pdu_bytes, size_t pdu_size) {
    struct pdu pdu = {.size = (uint8_t)pdu_size};
    uint8_t frame[FRAME_SIZE];
    memcpy(pdu.bytes, pdu_bytes, pdu_size);
    line_add(line, frame, frame_rtu(unit_id, &pdu, frame));
}

static const uint8_t two_registers[] = {3, 4, 0x12, 0x34, 0x56, 0x78};
static const uint8_t exception_two[] = {0x83, 2};

static void begin_read(struct rtu_receiver *receiver) {
    struct pdu request;
    frame_read(&request, FC_READ_HOLDING, 100, 2);
    rtu_receiver_begin(receiver, UNIT, &request, false);
}

static enum rtu_verdict feed(struct rtu_receiver *receiver, const struct line *line, struct pdu *ret_pdu) {
    size_t needed;
    return rtu_receiver_feed(receiver, line->bytes, line->size, &needed, ret_pdu);
}

static void assert_answer(const struct pdu *pdu, const uint8_t *expected, size_t size) {
    assert_int_equal(pdu->size, size);
    assert_memory_equal(pdu->bytes, expected, size);
}

static void finds_an_answer_byte_by_byte_and_says_what_is_missing(void **state) {
    (void)state;
    struct rtu_receiver receiver;
    struct line line = {.size = 0};
    struct pdu pdu;
    size_t needed;
    line_add_frame(&line, UNIT, two_registers, sizeof(two_registers));
    assert_int_equal(line.size, 9);
    begin_read(&receiver);
    for (size_t i = 0; i + 1 < line.size; i++) {
        assert_int_equal(rtu_receiver_feed(&receiver, &line.bytes[i], 1, &needed, &pdu), RTU_MORE);
        assert_true(needed >= 1 && needed <= line.size - i - 1); /* never more than is to come, or a reader would wait for ever */
    }
    assert_int_equal(needed, 1);
    assert_int_equal(rtu_receiver_feed(&receiver, &line.bytes[line.size - 1], 1, &needed, &pdu), RTU_FOUND);
    assert_answer(&pdu, two_registers, sizeof(two_registers));
    assert_false(receiver.heard);
}

static void finds_an_exception(void **state) {
    (void)state;
    struct rtu_receiver receiver;
    struct line line = {.size = 0};
    struct pdu pdu;
    line_add_frame(&line, UNIT, exception_two, sizeof(exception_two));
    begin_read(&receiver);
    assert_int_equal(feed(&receiver, &line, &pdu), RTU_FOUND);
    assert_answer(&pdu, exception_two, sizeof(exception_two));
}

/* Noise that looks like the beginning of the answer in all the ways it can. */
static void skips_noise_before_the_answer(void **state) {
    (void)state;
    static const struct {
        uint8_t size, bytes[4];
    } noises[] = {
        {1, {0}}, {1, {0xFF}}, {1, {UNIT}}, {2, {UNIT, UNIT}}, {2, {UNIT, 4}}, {3, {UNIT, 3, 6}}, {4, {UNIT, 3, 5, UNIT}}, {3, {UNIT, 0x84, 1}}};
    for (size_t i = 0; i < ARRAY_COUNT(noises); i++) {
        struct rtu_receiver receiver;
        struct line line = {.size = 0};
        struct pdu pdu;
        line_add(&line, noises[i].bytes, noises[i].size);
        line_add_frame(&line, UNIT, two_registers, sizeof(two_registers));
        begin_read(&receiver);
        assert_int_equal(feed(&receiver, &line, &pdu), RTU_FOUND);
        assert_answer(&pdu, two_registers, sizeof(two_registers));
        assert_true(receiver.heard);
    }
}

/* A whole head in front of the real answer is only given up when the line falls silent; then the answer is found behind it. */
static void finds_the_answer_behind_a_false_head_after_silence(void **state) {
    (void)state;
    static const uint8_t head[] = {UNIT, 3, 4};
    struct rtu_receiver receiver;
    struct line line = {.size = 0};
    struct pdu pdu;
    line_add_frame(&line, UNIT, exception_two, sizeof(exception_two));
    struct line whole = {.size = 0};
    line_add(&whole, head, sizeof(head));
    line_add(&whole, line.bytes, line.size); /* 8 bytes: the false head waits for 9 */
    begin_read(&receiver);
    assert_int_equal(feed(&receiver, &whole, &pdu), RTU_MORE);
    assert_int_equal(rtu_receiver_silence(&receiver, &pdu), RTU_FOUND);
    assert_answer(&pdu, exception_two, sizeof(exception_two));
}

static void noise_inside_is_damage_and_never_a_value(void **state) {
    (void)state;
    struct line good = {.size = 0};
    line_add_frame(&good, UNIT, two_registers, sizeof(two_registers));
    for (size_t at = 1; at < good.size; at++)
        for (unsigned noise = 0; noise < 256; noise++) {
            struct rtu_receiver receiver;
            struct line line = {.size = 0};
            struct pdu pdu;
            uint8_t byte = (uint8_t)noise;
            line_add(&line, good.bytes, at);
            line_add(&line, &byte, 1);
            line_add(&line, good.bytes + at, good.size - at);
            begin_read(&receiver);
            if (feed(&receiver, &line, &pdu) == RTU_FOUND || rtu_receiver_silence(&receiver, &pdu) == RTU_FOUND)
                assert_answer(&pdu, two_registers, sizeof(two_registers)); /* the noise was a copy of its neighbour */
            else
                assert_true(receiver.heard);
        }
}

static void every_single_bit_error_is_rejected(void **state) {
    (void)state;
    struct line good = {.size = 0};
    line_add_frame(&good, UNIT, two_registers, sizeof(two_registers));
    for (size_t bit = 0; bit < good.size * 8; bit++) {
        struct rtu_receiver receiver;
        struct line line = good;
        struct pdu pdu;
        line.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        begin_read(&receiver);
        assert_int_not_equal(feed(&receiver, &line, &pdu), RTU_FOUND);
        assert_int_equal(rtu_receiver_silence(&receiver, &pdu), RTU_NOTHING);
        if (bit >= 24)
            assert_true(rtu_receiver_damaged(&receiver)); /* the head was whole: no reason to wait any longer */
    }
}

static void skips_answers_of_others(void **state) {
    (void)state;
    static const uint8_t other_count[] = {3, 2, 0xAB, 0xCD}, other_function[] = {4, 4, 1, 2, 3, 4};
    struct rtu_receiver receiver;
    struct line line = {.size = 0};
    struct pdu pdu;
    line_add_frame(&line, UNIT + 1, two_registers, sizeof(two_registers));
    line_add_frame(&line, UNIT, other_count, sizeof(other_count));
    line_add_frame(&line, UNIT, other_function, sizeof(other_function));
    begin_read(&receiver);
    assert_int_equal(feed(&receiver, &line, &pdu), RTU_NOTHING);
    assert_false(rtu_receiver_damaged(&receiver)); /* the real answer may still come */
    struct line answer = {.size = 0};
    line_add_frame(&answer, UNIT, two_registers, sizeof(two_registers));
    assert_int_equal(feed(&receiver, &answer, &pdu), RTU_FOUND);
    assert_answer(&pdu, two_registers, sizeof(two_registers));
}

static void a_truncated_answer_ends_with_silence(void **state) {
    (void)state;
    struct line good = {.size = 0};
    line_add_frame(&good, UNIT, two_registers, sizeof(two_registers));
    for (size_t size = 1; size < good.size; size++) {
        struct rtu_receiver receiver;
        struct line line = {.size = 0};
        struct pdu pdu;
        line_add(&line, good.bytes, size);
        begin_read(&receiver);
        assert_int_equal(feed(&receiver, &line, &pdu), RTU_MORE);
        assert_false(rtu_receiver_damaged(&receiver));
        assert_int_equal(rtu_receiver_silence(&receiver, &pdu), RTU_NOTHING);
        assert_int_equal(rtu_receiver_damaged(&receiver), size >= 3); /* less could be noise: the answer may still come */
    }
}

static void skips_the_echo_of_a_read(void **state) {
    (void)state;
    struct rtu_receiver receiver;
    struct line line = {.size = 0};
    struct pdu pdu;
    size_t needed;
    begin_read(&receiver);
    line_add(&line, receiver.frame, receiver.frame_size);
    assert_int_equal(feed(&receiver, &line, &pdu), RTU_NOTHING);
    assert_true(receiver.echo_seen);
    assert_false(receiver.heard); /* a device that is silent behind an echo is silent, not corrupt */
    line.size = 0;
    line_add_frame(&line, UNIT, two_registers, sizeof(two_registers));
    assert_int_equal(rtu_receiver_feed(&receiver, line.bytes, line.size, &needed, &pdu), RTU_FOUND);
    assert_answer(&pdu, two_registers, sizeof(two_registers));
}

/* 24 coils from 0x03xx: the echo has the very shape of the answer, and its CRC is right. It must not become a value. */
static void an_echo_that_looks_like_an_answer_is_no_value(void **state) {
    (void)state;
    struct rtu_receiver receiver;
    struct line line = {.size = 0};
    struct pdu request, pdu;
    frame_read(&request, FC_READ_COILS, 0x0312, 24);
    rtu_receiver_begin(&receiver, UNIT, &request, false);
    assert_int_equal(receiver.frame_size, receiver.answer_size);
    line_add(&line, receiver.frame, receiver.frame_size);
    assert_int_equal(feed(&receiver, &line, &pdu), RTU_NOTHING);
}

/* The first seven bytes of this request are by chance a good answer to it. Adapters deliver an echo in pieces, so that it is only
 * known after silence whether they were. */
static void the_beginning_of_an_echo_is_no_value(void **state) {
    (void)state;
    static const uint8_t echo[] = {0x04, 0x01, 0x02, 0x8D, 0x00, 0x10, 0xAC, 0x00};
    struct rtu_receiver receiver;
    struct pdu request, pdu;
    size_t needed;
    frame_read(&request, FC_READ_COILS, 0x028D, 16);
    for (size_t piece = 1; piece < sizeof(echo); piece++) {
        rtu_receiver_begin(&receiver, 4, &request, false);
        assert_int_equal(rtu_receiver_feed(&receiver, echo, piece, &needed, &pdu), RTU_MORE);
        assert_int_equal(rtu_receiver_feed(&receiver, echo + piece, sizeof(echo) - piece, &needed, &pdu), RTU_NOTHING);
        assert_true(receiver.echo_seen);
    }
    rtu_receiver_begin(&receiver, 4, &request, false);
    assert_int_equal(rtu_receiver_feed(&receiver, echo, 7, &needed, &pdu), RTU_MORE);
    assert_int_equal(needed, 1);
    assert_int_equal(rtu_receiver_silence(&receiver, &pdu), RTU_FOUND);
    assert_answer(&pdu, echo + 1, 4);
}

static void a_write_on_an_echoing_line_needs_both_copies(void **state) {
    (void)state;
    for (int echoes = 0; echoes < 2; echoes++) {
        struct rtu_receiver receiver;
        struct pdu request, pdu;
        struct line line = {.size = 0};
        frame_write_coil(&request, 3, 0xFF00);
        rtu_receiver_begin(&receiver, UNIT, &request, echoes);
        line_add(&line, receiver.frame, receiver.frame_size);
        assert_int_equal(feed(&receiver, &line, &pdu), echoes ? RTU_NOTHING : RTU_FOUND);
        if (echoes) {
            assert_int_equal(feed(&receiver, &line, &pdu), RTU_FOUND);
            assert_answer(&pdu, request.bytes, request.size);
        }
    }
}

static void a_write_of_many_registers_and_its_echo(void **state) {
    (void)state;
    static const uint16_t values[] = {1, 2, 3};
    struct rtu_receiver receiver;
    struct pdu request, pdu;
    struct line line = {.size = 0};
    frame_write_registers(&request, 7, values, 3);
    rtu_receiver_begin(&receiver, UNIT, &request, false);
    line_add(&line, receiver.frame, receiver.frame_size);
    line_add_frame(&line, UNIT, request.bytes, 5);
    assert_int_equal(feed(&receiver, &line, &pdu), RTU_FOUND);
    assert_answer(&pdu, request.bytes, 5);
}

static void the_answer_to_another_write_is_refused(void **state) {
    (void)state;
    struct rtu_receiver receiver;
    struct pdu request, other, pdu;
    struct line line = {.size = 0};
    frame_write_register(&request, 7, 1);
    frame_write_register(&other, 7, 0);
    rtu_receiver_begin(&receiver, UNIT, &request, false);
    line_add_frame(&line, UNIT, other.bytes, other.size);
    assert_int_equal(feed(&receiver, &line, &pdu), RTU_NOTHING);
}

static void any_noise_and_any_cutting_finds_the_longest_answer(void **state) {
    (void)state;
    struct prng prng;
    uint8_t answer[2 + 250] = {3, 250};
    prng_init(&prng, 1);
    for (int round = 0; round < 2000; round++) {
        struct rtu_receiver receiver;
        struct line line = {.size = 0};
        struct pdu request, pdu;
        frame_read(&request, FC_READ_HOLDING, 0, 125);
        rtu_receiver_begin(&receiver, UNIT, &request, false);
        for (uint64_t noise = prng_below(&prng, 600); noise > 0; noise--) {
            uint8_t byte = (uint8_t)(prng_below(&prng, 3) ? UNIT : prng_next(&prng));
            line_add(&line, &byte, 1);
        }
        for (size_t i = 2; i < sizeof(answer); i++)
            answer[i] = (uint8_t)prng_next(&prng);
        line_add_frame(&line, UNIT, answer, sizeof(answer));
        enum rtu_verdict verdict = RTU_NOTHING;
        for (size_t at = 0, piece; at < line.size; at += piece) {
            size_t needed;
            piece = 1 + prng_below(&prng, 700);
            piece = piece < line.size - at ? piece : line.size - at;
            verdict = rtu_receiver_feed(&receiver, line.bytes + at, piece, &needed, &pdu);
            assert_true(verdict == RTU_FOUND || receiver.length < FRAME_SIZE);
        }
        if (verdict == RTU_MORE) /* the noise happened to be a head */
            verdict = rtu_receiver_silence(&receiver, &pdu);
        assert_int_equal(verdict, RTU_FOUND);
        assert_answer(&pdu, answer, sizeof(answer));
    }
}

static void pure_noise_is_never_an_answer(void **state) {
    (void)state;
    struct prng prng;
    struct rtu_receiver receiver;
    struct pdu pdu;
    prng_init(&prng, 2);
    begin_read(&receiver);
    for (int round = 0; round < 1000; round++) { /* a right head is followed by a right CRC once in 65536 times: that is all a CRC can do */
        uint8_t bytes[64];
        size_t needed;
        for (size_t i = 0; i < sizeof(bytes); i++) {
            uint64_t dice = prng_below(&prng, 5);
            bytes[i] = dice == 0 ? UNIT : dice == 1 ? 3 : dice == 2 ? 4 : (uint8_t)prng_next(&prng);
        }
        size_t size = prng_below(&prng, sizeof(bytes) + 1);
        assert_int_not_equal(rtu_receiver_feed(&receiver, bytes, size, &needed, &pdu), RTU_FOUND);
        if (prng_below(&prng, 10) == 0)
            assert_int_not_equal(rtu_receiver_silence(&receiver, &pdu), RTU_FOUND);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_an_answer_byte_by_byte_and_says_what_is_missing),
        cmocka_unit_test(finds_an_exception),
        cmocka_unit_test(skips_noise_before_the_answer),
        cmocka_unit_test(finds_the_answer_behind_a_false_head_after_silence),
        cmocka_unit_test(noise_inside_is_damage_and_never_a_value),
        cmocka_unit_test(every_single_bit_error_is_rejected),
        cmocka_unit_test(skips_answers_of_others),
        cmocka_unit_test(a_truncated_answer_ends_with_silence),
        cmocka_unit_test(skips_the_echo_of_a_read),
        cmocka_unit_test(an_echo_that_looks_like_an_answer_is_no_value),
        cmocka_unit_test(the_beginning_of_an_echo_is_no_value),
        cmocka_unit_test(a_write_on_an_echoing_line_needs_both_copies),
        cmocka_unit_test(a_write_of_many_registers_and_its_echo),
        cmocka_unit_test(the_answer_to_another_write_is_refused),
        cmocka_unit_test(any_noise_and_any_cutting_finds_the_longest_answer),
        cmocka_unit_test(pure_noise_is_never_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
