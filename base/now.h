/* SPDX-License-Identifier: Apache-2.0 */
/* Time as an argument. Monotonic time drives (deadlines, delays, ages), wall time labels (published times) and carries
 * whether it may be trusted. Pure code receives a struct now inside its event; only now.c reads a clock. */
#ifndef YANHUO_NOW_H
#define YANHUO_NOW_H

#include <stdbool.h>
#include <stdint.h>

#define NOW_NEVER INT64_MAX /* a deadline that is not set */

struct now {
    int64_t mono_us;   /* microseconds since an arbitrary instant of this process; never goes back */
    int64_t wall_ms;   /* milliseconds since 1970-01-01T00:00:00Z; may jump */
    bool wall_trusted; /* the clock has been set from outside since the machine started */
};

/* Shells only. now_read fills all three; now_mono_us is the cheap one for line timing. Any thread. */
void now_read(struct now *ret_now);
int64_t now_mono_us(void);
/* From now on the wall clock is trusted whatever the kernel says: somebody else keeps it (a container's host). */
void now_trust_wall(void);

#endif
