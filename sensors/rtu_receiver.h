/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the one answer to a request in whatever a serial line delivers: noise in front, an adapter's echo of the request, late
 * answers of others, truncated and damaged frames. Pure; no clock: silence is told by the shell. Used by serial lines and
 * by RTU over TCP.
 *
 * RTU marks no frame's beginning but by silence, which neither USB adapters nor kernels preserve. So the beginning is searched:
 * a place where the unit id, the function (or its exception form) and the byte count stand as this request's answer
 * must have them, and whose CRC is right. The size of a good answer is known from the request, an exception is 5 bytes.
 *
 *   place in the buffer     means
 *   dead                    cannot be the answer's first byte: skipped for ever
 *   open                    could be, but not all bytes are here: RTU_MORE
 *   damaged                 has the head of the answer and all its bytes, but not the CRC: remembered, skipped
 *   good                    RTU_FOUND
 *
 * The earliest place that is open or good wins, so that nothing inside a long answer is taken for a short one; when silence
 * falls on an open place it is given up and the bytes behind it are searched.
 *
 * Echo: a copy of the request is skipped once. The answer to a write of one coil or register looks exactly like its request, so
 * there the copy is skipped only when the line is known to echo (`echo_seen` of an earlier read), and then required:
 * on an echoing line a dead device's write is not reported as done. The answer to a read that equals its request byte by byte
 * is taken for the echo, never for a value; an answer that equals the echo's beginning is open until silence.
 *
 * Guarantees: at most FRAME_SIZE bytes are kept between calls; a found PDU has passed frame_match. */
#ifndef YANHUO_RTU_RECEIVER_H
#define YANHUO_RTU_RECEIVER_H

#include "sensors/frame.h"

struct rtu_receiver {
    struct pdu request;
    uint8_t frame[FRAME_SIZE]; /* the request as sent, to know its echo */
    size_t frame_size;
    size_t answer_size; /* of a good answer, unit id and CRC included */
    uint8_t buffer[FRAME_SIZE];
    size_t length;
    bool echo_due;  /* a copy of the request may still come */
    bool echo_seen; /* it came */
    bool heard;     /* anything else came */
    bool head_seen; /* unit id, function and length of the answer were recognised in something that was then damaged or cut */
};

enum rtu_verdict {
    RTU_NOTHING, /* no place is open */
    RTU_MORE,    /* a place is open: at least *ret_needed more bytes are missing */
    RTU_FOUND,   /* *ret_pdu is the answer */
};

#define RTU_ANSWER_MIN 5 /* an exception: unit id, function, code, CRC */

/* `line_echoes`: the adapter was seen to echo. */
void rtu_receiver_begin(struct rtu_receiver *receiver, uint8_t unit_id, const struct pdu *request, bool line_echoes);

/* Takes what the line delivered. After RTU_FOUND the receiver is finished and must be begun anew. */
enum rtu_verdict rtu_receiver_feed(struct rtu_receiver *receiver, const uint8_t *bytes, size_t size, size_t *ret_needed, struct pdu *ret_pdu);

/* The line has been silent for the byte timeout: an open place will not be completed. RTU_FOUND or RTU_NOTHING. */
enum rtu_verdict rtu_receiver_silence(struct rtu_receiver *receiver, struct pdu *ret_pdu);

/* Something was heard that had the answer's head but will not become a good one: waiting longer is of no use. */
bool rtu_receiver_damaged(const struct rtu_receiver *receiver);

#endif
