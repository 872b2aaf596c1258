/* SPDX-License-Identifier: Apache-2.0 */
/* How long a request on a serial line is waited for: learned from the turnarounds seen, because a silent device costs the line
 * its whole timeout (measured: 500 ms instead of 60 ms is what a fire point then waits longer). Pure; one for each request
 * that repeats, because one device may answer its coils at once and its counters slowly.
 *
 *   learned  = 2 x the slowest of the last RESPONSE_WINDOW .. 2 x RESPONSE_WINDOW answers (about their p99.9) + RESPONSE_EXTRA_US,
 *              within floor .. ceiling; the ceiling until RESPONSE_ANSWERS_MIN answers were seen
 *   current  = learned; after one miss in a row twice that, after two the ceiling
 *
 * Guaranteed: floor <= current <= ceiling; no device is called dead that would have answered within the ceiling at the third
 * request, and one that became slow is believed as soon as one of its answers is waited for. The time is counted from the end
 * of the request's own wire time, by the line's shell. Networks do not learn: their delay is not the device's. */
#ifndef YANHUO_RESPONSE_H
#define YANHUO_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#define RESPONSE_FLOOR_US 50000 /* a loaded machine sees an answer that much late */
#define RESPONSE_EXTRA_US 20000 /* an adapter's 16 ms of latency, once more than in the turnarounds that were seen */
#define RESPONSE_ANSWERS_MIN 32
#define RESPONSE_WINDOW 1000
#define RESPONSE_USUAL_EXTRA_US 5000 /* a thread that is woken late on a busy machine */

struct response {
    int64_t floor_us, ceiling_us;
    int64_t learned_us;    /* the timeout of a device that misses nothing */
    int64_t slowest_us[2]; /* of this window and of the one before */
    uint16_t answers;      /* in this window */
    bool learns, full;     /* full: there was a window before */
    uint8_t misses;        /* in a row, at most 2 */
};

void response_init(struct response *response, int64_t ceiling_us, bool learns);
void response_answered(struct response *response, int64_t turnaround_us);
void response_missed(struct response *response);
/* `device_misses`: of any request to the device, in a row. */
int64_t response_timeout_us(const struct response *response, unsigned device_misses);
/* By when every answer of the last windows had begun; 0: not known, because nothing has answered yet or it does not learn. */
int64_t response_usual_us(const struct response *response);
void response_check(const struct response *response);

#endif
