/* SPDX-License-Identifier: Apache-2.0 */
/* The design is in rtu_receiver.h. The buffer always begins at the earliest place that is not dead. */
#include "sensors/rtu_receiver.h"

#include <string.h>

#include "base/check.h"

enum place { PLACE_DEAD, PLACE_OPEN, PLACE_DAMAGED, PLACE_GOOD, PLACE_ECHO };

void rtu_receiver_begin(struct rtu_receiver *receiver, uint8_t unit_id, const struct pdu *request, bool line_echoes) {
    bool answer_is_copy = request->bytes[0] == FC_WRITE_COIL || request->bytes[0] == FC_WRITE_REGISTER;
    receiver->request = *request;
    receiver->frame_size = frame_rtu(unit_id, request, receiver->frame);
    receiver->answer_size = 1 + frame_reply_size(request) + 2;
    receiver->length = 0;
    receiver->echo_due = !answer_is_copy || line_echoes;
    receiver->echo_seen = receiver->heard = receiver->head_seen = false;
    CHECK(receiver->frame_size <= FRAME_SIZE && receiver->answer_size >= RTU_ANSWER_MIN && receiver->answer_size <= FRAME_SIZE);
}

static bool crc_is_right(const uint8_t *bytes, size_t size) {
    uint16_t crc = frame_crc(bytes, size - 2);
    return bytes[size - 2] == (crc & 0xFF) && bytes[size - 1] == crc >> 8;
}

/* Does the beginning look like the good answer's, as far as it is there? Reads have a byte count, writes repeat the request. */
static bool head_matches(const struct rtu_receiver *receiver, const uint8_t *bytes, size_t size) {
    if (receiver->request.bytes[0] <= FC_READ_INPUT)
        return size < 3 || bytes[2] == receiver->answer_size - 5;
    size_t repeated = size < 6 ? size : 6; /* unit id, function, address, and value or count */
    return !memcmp(bytes, receiver->frame, repeated);
}

/* Judges the place at `bytes` as the first byte of an answer of `answer_size` bytes. */
static enum place place_answer(struct rtu_receiver *receiver, const uint8_t *bytes, size_t size, size_t answer_size, size_t *ret_needed) {
    if (size < answer_size) {
        *ret_needed = answer_size - size;
        return PLACE_OPEN;
    }
    uint8_t exception;
    const uint8_t *data;
    size_t data_size;
    if (!crc_is_right(bytes, answer_size))
        return PLACE_DAMAGED;
    if (frame_match(&receiver->request, bytes + 1, answer_size - 3, &exception, &data, &data_size) == FRAME_MISMATCH)
        return PLACE_DEAD;
    return PLACE_GOOD;
}

/* Judges one place; *ret_size is how many bytes it takes when it is an echo or an answer, *ret_needed what an open one lacks.
 * The first bytes of an echo can be a good answer by chance (short reads of bits and single registers): as long as the echo may go
 * on the place stays open, and only when `silent` it is an answer. */
static enum place place_judge(struct rtu_receiver *receiver, const uint8_t *bytes, size_t size, bool silent, size_t *ret_size, size_t *ret_needed) {
    uint8_t function = receiver->request.bytes[0];
    size_t echo_needed = 0, answer_needed = 0;
    enum place place = PLACE_DEAD;
    if (bytes[0] != receiver->frame[0])
        return PLACE_DEAD;
    if (receiver->echo_due && !memcmp(bytes, receiver->frame, size < receiver->frame_size ? size : receiver->frame_size)) {
        *ret_size = receiver->frame_size;
        if (size >= receiver->frame_size)
            return PLACE_ECHO;
        echo_needed = silent ? 0 : receiver->frame_size - size;
    }
    if (size == 1) {
        place = PLACE_OPEN;
        answer_needed = RTU_ANSWER_MIN - 1;
    } else if (bytes[1] == (function | 0x80)) {
        *ret_size = RTU_ANSWER_MIN;
        place = place_answer(receiver, bytes, size, *ret_size, &answer_needed);
    } else if (bytes[1] == function && head_matches(receiver, bytes, size)) {
        *ret_size = receiver->answer_size;
        place = place_answer(receiver, bytes, size, *ret_size, &answer_needed);
    }
    if (place == PLACE_GOOD && !echo_needed)
        return PLACE_GOOD;
    *ret_needed = place == PLACE_OPEN ? answer_needed : echo_needed;
    if (place == PLACE_OPEN && echo_needed && echo_needed < answer_needed)
        *ret_needed = echo_needed;
    return echo_needed ? PLACE_OPEN : place;
}

/* Searches from the buffer's beginning and drops what is dead. `silent` gives up open places. */
static enum rtu_verdict search(struct rtu_receiver *receiver, bool silent, size_t *ret_needed, struct pdu *ret_pdu) {
    size_t at = 0;
    enum rtu_verdict verdict = RTU_NOTHING;
    while (at < receiver->length) {
        const uint8_t *bytes = receiver->buffer + at;
        size_t size = 0, left = receiver->length - at;
        enum place place = place_judge(receiver, bytes, left, silent, &size, ret_needed);
        if (place == PLACE_GOOD) {
            ret_pdu->size = (uint8_t)(size - 3);
            memcpy(ret_pdu->bytes, bytes + 1, ret_pdu->size);
            receiver->length = 0;
            return RTU_FOUND;
        }
        if (place == PLACE_ECHO) {
            receiver->echo_due = false;
            receiver->echo_seen = true;
            at += size;
            continue;
        }
        if (place == PLACE_OPEN && !silent) {
            verdict = RTU_MORE;
            break;
        }
        receiver->heard = true;
        if (place == PLACE_DAMAGED || (place == PLACE_OPEN && left >= 3))
            receiver->head_seen = true;
        at++;
    }
    receiver->length -= at;
    memmove(receiver->buffer, receiver->buffer + at, receiver->length);
    return verdict;
}

enum rtu_verdict rtu_receiver_feed(struct rtu_receiver *receiver, const uint8_t *bytes, size_t size, size_t *ret_needed, struct pdu *ret_pdu) {
    enum rtu_verdict verdict = RTU_NOTHING;
    *ret_needed = 0;
    do { /* an open place is shorter than FRAME_SIZE, so each turn takes at least one byte */
        size_t room = FRAME_SIZE - receiver->length;
        size_t taken = size < room ? size : room;
        memcpy(receiver->buffer + receiver->length, bytes, taken);
        receiver->length += taken;
        bytes += taken;
        size -= taken;
        verdict = search(receiver, false, ret_needed, ret_pdu);
    } while (size > 0 && verdict != RTU_FOUND);
    if (verdict != RTU_MORE)
        *ret_needed = 0;
    return verdict;
}

enum rtu_verdict rtu_receiver_silence(struct rtu_receiver *receiver, struct pdu *ret_pdu) {
    size_t needed;
    return search(receiver, true, &needed, ret_pdu);
}

bool rtu_receiver_damaged(const struct rtu_receiver *receiver) {
    return receiver->head_seen && receiver->length == 0;
}
