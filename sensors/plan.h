/* SPDX-License-Identifier: Apache-2.0 */
/* Merges the points of one device into the fewest requests. Pure, at start only; memory from the arena.
 *
 * Two points share a request when they have the same function, period and urgency and when reading the registers between
 * them costs less line time than a second request:   gap < 6.5 + (T + t35 + h) / (2c)   registers,
 * with c one character, T the device's turnaround, t35 the silence, h the host's overhead (for bits: 8 to a character).
 * On a line with an action's target no answer is longer than device_spec.reply_bytes_max, but for a point that alone is wider.
 * On TCP there is no line time and any gap within the limits pays. Never past 125 registers, 2000 bits, the device's own
 * limit or POLLED_POINTS_MAX points; never across a gap when the device does not allow it. */
#ifndef YANHUO_PLAN_H
#define YANHUO_PLAN_H

#include "base/arena.h"
#include "sensors/device.h"
#include "sensors/frame.h"

struct plan_request {
    enum frame_function function;
    uint16_t address, count;
    uint32_t every_ms;
    bool fire;         /* carries a point of class fire: polled before everything else */
    bool feeds_action; /* its reply holds the line until the verdict */
    uint16_t points_count;
    const uint16_t *points; /* indices within the device, ascending by address */
};

struct plan {
    uint16_t count;
    const struct plan_request *requests;
};

#define PLAN_TURNAROUND_US 5000 /* assumed until a device's own is learned */
#define PLAN_HOST_US 200        /* measured: 150 to 250 us a transaction */

/* `line` is NULL for TCP. Write-only and derived points are left out. ERR_RANGE when the device needs more than REQUESTS_PER_DEVICE_MAX
 * requests, or when one point alone is wider than the device takes in one read. */
NODISCARD enum err plan_build(const struct device_spec *device, const struct line_timing *line, struct arena *arena, struct plan *ret_plan);

/* The same points without anything merged, for a device that refuses the merged read: one request a point, points that
 * overlap (bit fields of one register) together. One request when there is nothing to split. */
void plan_split(const struct device_spec *device, const struct plan_request *request, struct arena *arena, struct plan *ret_plan);

/* How long a local action's write of `frame_bytes` waits at worst until its last bit, from the last byte of the reply that causes it, when
 * a read of `reply_bytes` of data has just been begun on its line: the road there, both silences, the read with the latest of its usual
 * answers (a later one is cut, poller_write.c), the write's own frame. */
int64_t plan_prompt_us(const struct line_timing *line, unsigned reply_bytes, size_t frame_bytes);
/* The most data for which that keeps ACTION_WRITE_MAX_US; 0: none does. */
uint16_t plan_prompt_bytes(const struct line_timing *line, size_t frame_bytes);
/* The frame that writes to a point. */
size_t plan_write_bytes(const struct point *point);
#define PLAN_ECHO_BYTES 8 /* the answer to any write */

/* Line time of one good transaction, silence included; 0 for TCP. */
int64_t plan_cost_us(const struct plan_request *request, const struct line_timing *line, int64_t turnaround_us);

#endif
