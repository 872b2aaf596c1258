/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts what a Modbus TCP connection delivers into frames and finds the one that answers the request under way. Pure.
 * A frame whose transaction, unit id or function does not match (most often an answer that came after its timeout) is dropped
 * and listening goes on: it never becomes a value, and it never shifts the answers after it by one. Bytes that are no frame
 * (protocol not 0, length outside 2..254) mean that the boundary is lost: the connection must be closed. */
#ifndef YANHUO_TCP_RECEIVER_H
#define YANHUO_TCP_RECEIVER_H

#include "sensors/frame.h"

#define TCP_RECEIVER_SIZE (2 * FRAME_SIZE) /* after a feed less than one frame is left, so there is always room for one more */

struct tcp_receiver {
    uint8_t buffer[TCP_RECEIVER_SIZE];
    size_t length;
    bool waiting;    /* a request is under way */
    bool mismatched; /* its transaction was answered, but by another unit, or with another function or length */
    uint16_t transaction;
    uint8_t unit_id;
    struct pdu request;
    uint64_t frames, dropped; /* whole frames ever, and those that were no answer to what was asked */
};

enum tcp_verdict { TCP_MORE, TCP_FOUND, TCP_LOST };

/* A new connection. */
void tcp_receiver_init(struct tcp_receiver *receiver);
void tcp_receiver_begin(struct tcp_receiver *receiver, uint16_t transaction, uint8_t unit_id, const struct pdu *request);

/* No answer is waited for any longer; one that comes late is dropped. */
void tcp_receiver_end(struct tcp_receiver *receiver);

/* Where the connection may write, and how much; never 0. */
uint8_t *tcp_receiver_room(struct tcp_receiver *receiver, size_t *ret_size);

/* `size` bytes were written there. Without a request under way every frame is dropped. */
enum tcp_verdict tcp_receiver_feed(struct tcp_receiver *receiver, size_t size, struct pdu *ret_pdu);

#endif
