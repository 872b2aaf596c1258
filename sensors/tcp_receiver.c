/* SPDX-License-Identifier: Apache-2.0 */
/* The header: transaction (2 bytes), protocol (2, always 0), length of what follows (2), unit id (1). */
#include "sensors/tcp_receiver.h"

#include <string.h>

#include "base/check.h"

#define HEADER_SIZE 7
#define LENGTH_AT 6 /* bytes before those that the length counts */

void tcp_receiver_init(struct tcp_receiver *receiver) {
    receiver->length = 0;
    receiver->waiting = false;
}

void tcp_receiver_begin(struct tcp_receiver *receiver, uint16_t transaction, uint8_t unit_id, const struct pdu *request) {
    CHECK(!receiver->waiting);
    receiver->waiting = true;
    receiver->mismatched = false;
    receiver->transaction = transaction;
    receiver->unit_id = unit_id;
    receiver->request = *request;
}

void tcp_receiver_end(struct tcp_receiver *receiver) {
    receiver->waiting = false;
}

uint8_t *tcp_receiver_room(struct tcp_receiver *receiver, size_t *ret_size) {
    *ret_size = TCP_RECEIVER_SIZE - receiver->length;
    CHECK(*ret_size > 0);
    return receiver->buffer + receiver->length;
}

static bool answers(struct tcp_receiver *receiver, const uint8_t *frame, size_t size) {
    uint8_t exception;
    const uint8_t *data;
    size_t data_size;
    if (!receiver->waiting || (frame[0] << 8 | frame[1]) != receiver->transaction)
        return false;
    if (frame[6] == receiver->unit_id &&
        frame_match(&receiver->request, frame + HEADER_SIZE, size - HEADER_SIZE, &exception, &data, &data_size) != FRAME_MISMATCH)
        return true;
    receiver->mismatched = true;
    return false;
}

enum tcp_verdict tcp_receiver_feed(struct tcp_receiver *receiver, size_t size, struct pdu *ret_pdu) {
    size_t at = 0;
    enum tcp_verdict verdict = TCP_MORE;
    receiver->length += size;
    CHECK(receiver->length <= TCP_RECEIVER_SIZE);
    while (receiver->length - at >= HEADER_SIZE) {
        const uint8_t *frame = receiver->buffer + at;
        size_t length = (size_t)frame[4] << 8 | frame[5];
        if (frame[2] || frame[3] || length < 2 || length > PDU_SIZE + 1)
            return TCP_LOST;
        if (receiver->length - at < LENGTH_AT + length)
            break;
        size_t frame_size = LENGTH_AT + length;
        receiver->frames++;
        if (answers(receiver, frame, frame_size)) {
            ret_pdu->size = (uint8_t)(frame_size - HEADER_SIZE);
            memcpy(ret_pdu->bytes, frame + HEADER_SIZE, ret_pdu->size);
            receiver->waiting = false;
            verdict = TCP_FOUND;
        } else {
            receiver->dropped++;
        }
        at += frame_size;
    }
    receiver->length -= at;
    memmove(receiver->buffer, receiver->buffer + at, receiver->length);
    return verdict;
}
