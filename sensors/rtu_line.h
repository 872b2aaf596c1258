/* SPDX-License-Identifier: Apache-2.0 */
/* One Modbus RTU transaction on an open, configured, non-blocking port, with every wait an absolute monotonic deadline.
 * Knows neither how the port was opened (bus_rtu.c) nor what is asked (poller.c). Owner: the line's own thread, which blocks in
 * here for the length of a transaction. */
#ifndef YANHUO_RTU_LINE_H
#define YANHUO_RTU_LINE_H

#include "sensors/bus.h"
#include "sensors/rtu_receiver.h"

/* Whoever may need the line while an answer is awaited. */
struct rtu_line_caller {
    int fd; /* readable: somebody calls */
    /* Hears them, so that `fd` is not readable any more. Until when an answer that has not begun is waited for (mono_us). */
    int64_t (*called)(void *context);
    void *context;
};

struct rtu_line {
    int fd;
    struct line_timing timing;
    int64_t busy_until_us;  /* last byte on the line, heard or our own; silence is counted from here */
    bool echo_known;        /* a read has told whether the adapter gives back what is sent ... */
    bool echoes;            /* ... and it does */
    uint64_t bytes_dropped; /* heard while nothing was asked */
    struct rtu_receiver receiver;
    const struct rtu_line_caller *caller; /* NULL: none. Set by the owner after rtu_line_init */
};

void rtu_line_init(struct rtu_line *line, int fd, const struct line_timing *timing);

/* Waits for silence, sends, listens. BUS_DISCONNECTED when the port failed or hung up: it must be closed. A write of one value
 * is answered by its own copy, which an adapter's echo is too: before the first such write on a line of which that is not known
 * yet, a read goes to RTU_LINE_NOBODY, whose only reply can be its echo. Otherwise never takes longer than RTU_LINE_BABBLE_US + the wire time of both
 * frames + request->timeout_us + two byte timeouts. */
void rtu_line_transact(struct rtu_line *line, const struct bus_request *request, struct bus_answer *ret_answer);

#define RTU_LINE_BABBLE_US 1000000 /* a line that is not silent for this long is reported as corrupt */

#define RTU_LINE_NOBODY 249 /* of the reserved unit ids; some devices answer at 248, 250, 254 or 255 whatever their own */

/* A pause inside a frame longer than this ends it: 20 characters, and 20 ms for what adapters and kernels hold back. */
int64_t rtu_line_byte_timeout_us(const struct line_timing *timing);

#endif
