/* SPDX-License-Identifier: Apache-2.0 */
/* Frames are cut from a stream in any pieces; only the answer to what was asked is taken, and a lost boundary is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "sensors/tcp_receiver.h"

#define UNIT 5

static const uint8_t one_register[] = {3, 2, 0x12, 0x34};
static const uint8_t late_register[] = {3, 2, 0xDE, 0xAD};

static size_t frame_of(uint16_t transaction, uint8_t unit_id, const uint8_t *bytes, size_t size, uint8_t ret_frame[FRAME_SIZE]) {
    struct pdu pdu = {.size = (uint8_t)size};
    memcpy(pdu.bytes, bytes, size);
    return frame_tcp(transaction, unit_id, &pdu, ret_frame);
}

static enum tcp_verdict feed(struct tcp_receiver *receiver, const uint8_t *bytes, size_t size, struct pdu *ret_pdu) {
    size_t room;
    uint8_t *place = tcp_receiver_room(receiver, &room);
    assert_true(room >= size);
    memcpy(place, bytes, size);
    return tcp_receiver_feed(receiver, size, ret_pdu);
}

static void begin(struct tcp_receiver *receiver, uint16_t transaction) {
    struct pdu request;
    memset(receiver, 0, sizeof(*receiver));
    frame_read(&request, FC_READ_HOLDING, 0, 1);
    tcp_receiver_init(receiver);
    tcp_receiver_begin(receiver, transaction, UNIT, &request);
}

static void an_answer_in_single_bytes(void **state) {
    (void)state;
    struct tcp_receiver receiver;
    struct pdu pdu;
    uint8_t frame[FRAME_SIZE];
    size_t size = frame_of(7, UNIT, one_register, sizeof(one_register), frame);
    begin(&receiver, 7);
    for (size_t i = 0; i + 1 < size; i++)
        assert_int_equal(feed(&receiver, frame + i, 1, &pdu), TCP_MORE);
    assert_int_equal(feed(&receiver, frame + size - 1, 1, &pdu), TCP_FOUND);
    assert_int_equal(pdu.size, sizeof(one_register));
    assert_memory_equal(pdu.bytes, one_register, sizeof(one_register));
    assert_int_equal(receiver.dropped, 0);
}

static void a_late_answer_never_becomes_a_value(void **state) {
    (void)state;
    struct tcp_receiver receiver;
    struct pdu pdu;
    uint8_t frames[2 * FRAME_SIZE];
    size_t size = frame_of(6, UNIT, late_register, sizeof(late_register), frames);
    size += frame_of(7, UNIT, one_register, sizeof(one_register), frames + size);
    begin(&receiver, 7);
    assert_int_equal(feed(&receiver, frames, size, &pdu), TCP_FOUND);
    assert_memory_equal(pdu.bytes, one_register, sizeof(one_register));
    assert_int_equal(receiver.dropped, 1);
    assert_int_equal(feed(&receiver, frames, size, &pdu), TCP_MORE); /* nothing is asked: both are dropped */
    assert_int_equal(receiver.dropped, 3);
}

static void a_given_up_request_is_not_answered(void **state) {
    (void)state;
    struct tcp_receiver receiver;
    struct pdu pdu;
    uint8_t frame[FRAME_SIZE];
    size_t size = frame_of(7, UNIT, one_register, sizeof(one_register), frame);
    begin(&receiver, 7);
    tcp_receiver_end(&receiver);
    assert_int_equal(feed(&receiver, frame, size, &pdu), TCP_MORE);
}

static void another_unit_function_or_length_is_a_mismatch(void **state) {
    (void)state;
    static const uint8_t other_function[] = {4, 2, 1, 2}, other_length[] = {3, 4, 1, 2, 3, 4}, other_count[] = {3, 3, 1, 2};
    const struct {
        uint8_t unit_id;
        const uint8_t *bytes;
        size_t size;
    } wrongs[] = {{UNIT + 1, one_register, 4}, {UNIT, other_function, 4}, {UNIT, other_length, 6}, {UNIT, other_count, 4}};
    for (size_t i = 0; i < ARRAY_COUNT(wrongs); i++) {
        struct tcp_receiver receiver;
        struct pdu pdu;
        uint8_t frame[FRAME_SIZE];
        size_t size = frame_of(7, wrongs[i].unit_id, wrongs[i].bytes, wrongs[i].size, frame);
        begin(&receiver, 7);
        assert_int_equal(feed(&receiver, frame, size, &pdu), TCP_MORE);
        assert_true(receiver.mismatched);
        size = frame_of(7, UNIT, one_register, sizeof(one_register), frame);
        assert_int_equal(feed(&receiver, frame, size, &pdu), TCP_FOUND);
    }
}

static void bytes_that_are_no_frame_lose_the_boundary(void **state) {
    (void)state;
    static const uint8_t wrongs[][8] = {
        {0, 7, 1, 0, 0, 5, UNIT, 3}, {0, 7, 0, 1, 0, 5, UNIT, 3},   {0, 7, 0, 0, 0, 0, UNIT, 3},
        {0, 7, 0, 0, 0, 1, UNIT, 3}, {0, 7, 0, 0, 0, 255, UNIT, 3}, {'H', 'T', 'T', 'P', '/', '1', '.', '1'},
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrongs); i++) {
        struct tcp_receiver receiver;
        struct pdu pdu;
        begin(&receiver, 7);
        assert_int_equal(feed(&receiver, wrongs[i], sizeof(wrongs[i]), &pdu), TCP_LOST);
    }
}

/* Long frames, most of them foreign, cut anywhere: there is always room, and each answer is found exactly once. */
static void any_cutting_finds_every_answer(void **state) {
    (void)state;
    struct prng prng;
    struct tcp_receiver receiver;
    struct pdu request, pdu;
    uint8_t answer[2 + 250] = {3, 250}, stream[8 * FRAME_SIZE];
    prng_init(&prng, 3);
    memset(&receiver, 0, sizeof(receiver));
    frame_read(&request, FC_READ_HOLDING, 0, 125);
    for (uint16_t transaction = 0; transaction < 2000; transaction++) {
        size_t size = 0, foreign = prng_below(&prng, 6), found = 0;
        for (size_t i = 0; i < foreign; i++)
            size += frame_of((uint16_t)(transaction - 1 - i), UNIT, answer, sizeof(answer), stream + size);
        answer[2] = (uint8_t)transaction;
        size += frame_of(transaction, UNIT, answer, sizeof(answer), stream + size);
        tcp_receiver_begin(&receiver, transaction, UNIT, &request);
        for (size_t at = 0, piece; at < size; at += piece) {
            size_t room;
            (void)tcp_receiver_room(&receiver, &room);
            assert_true(room >= FRAME_SIZE);
            piece = 1 + prng_below(&prng, room);
            piece = piece < size - at ? piece : size - at;
            found += feed(&receiver, stream + at, piece, &pdu) == TCP_FOUND;
        }
        assert_int_equal(found, 1);
        assert_int_equal(pdu.bytes[2], (uint8_t)transaction);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_in_single_bytes),
        cmocka_unit_test(a_late_answer_never_becomes_a_value),
        cmocka_unit_test(a_given_up_request_is_not_answered),
        cmocka_unit_test(another_unit_function_or_length_is_a_mismatch),
        cmocka_unit_test(bytes_that_are_no_frame_lose_the_boundary),
        cmocka_unit_test(any_cutting_finds_every_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
