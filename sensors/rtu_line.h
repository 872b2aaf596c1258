/* SPDX-License-Identifier: Apache-2.0 */
/* One Modbus RTU transaction on an open, configured, non-blocking port, with every wait an absolute monotonic deadline.
 * Knows neither how the port was opened (bus_rtu.c) nor what is asked (poller.c). Owner: the line's own thread, which blocks in
 * here for the length of a transaction. */
#ifndef YANHUO_RTU_LINE_H
#define YANHUO_RTU_LINE_H

#include "sensors/bus.h"
#include "sensors/rtu_receiver.h"

struct rtu_line {
    int fd;
    struct line_timing timing;
    int64_t busy_until_us;  /* last byte on the line, heard or our own; silence is counted from here */
    bool echoes;            /* the adapter gave the last answered read's request back */
    uint64_t bytes_dropped; /* heard while nothing was asked */
    struct rtu_receiver receiver;
};

void rtu_line_init(struct rtu_line *line, int fd, const struct line_timing *timing);

/* Waits for silence, sends, listens. BUS_DISCONNECTED when the port failed or hung up: it must be closed. Never takes
 * longer than RTU_LINE_BABBLE_US + the wire time of both frames + request->timeout_us + two byte timeouts. */
void rtu_line_transact(struct rtu_line *line, const struct bus_request *request, struct bus_answer *ret_answer);

#define RTU_LINE_BABBLE_US 1000000 /* a line that is not silent for this long is reported as corrupt */

/* A pause inside a frame longer than this ends it: 20 characters, and 20 ms for what adapters and kernels hold back. */
int64_t rtu_line_byte_timeout_us(const struct line_timing *timing);

#endif
