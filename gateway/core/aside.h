/* SPDX-License-Identifier: Apache-2.0 */
/* Readings whose wall time nobody knows yet. A machine that starts without a clock has only its monotonic time; until the wall clock
 * is trusted, what is for the history waits here with that, and gets the time it really had once the clock is right: then the way from
 * monotonic to wall time is known, and how the clock was set meanwhile does not matter. Pure; owned by the publisher.
 *
 * Guarantees: nothing goes to the history under a time that was not trusted; what waits takes ASIDE_SIZE bytes at most, and of what is
 * more the oldest goes and is counted. A power cut, or an end while the clock is still not trusted, loses what waits here. */
#ifndef YANHUO_ASIDE_H
#define YANHUO_ASIDE_H

#include "base/arena.h"
#include "base/now.h"
#include "gateway/core/entry.h"

#define ASIDE_SIZE (256 * 1024) /* two halves: 20,000 to 80,000 readings, an hour at ten a second; a clock is set within minutes */
#define ASIDE_TAKE_SIZE 32768   /* given to the store at a time */

struct aside_half {
    struct bytes_writer body;       /* with monotonic times */
    struct reading_order put, take; /* what the next one put in, and the next one taken, is told against */
    uint32_t count, taken;
    size_t position; /* of the next to be taken */
};

struct aside {
    struct aside_half halves[2];
    unsigned young; /* the half that grows; the other is older */
    struct bytes_writer out;
    uint64_t lost;
};

void aside_init(struct aside *aside, struct arena *arena);
/* `reading->at_ms` is ignored: its time is mono_us. */
void aside_put(struct aside *aside, int64_t mono_us, const struct packed_reading *reading);
uint64_t aside_count(const struct aside *aside);
/* The oldest that wait, as many as fit, under the wall time they had by the clock as it is now; false when none waits. The bytes are good
 * until the next call. */
bool aside_take(struct aside *aside, const struct now *now, int64_t *ret_at_ms, struct bytes_writer *ret_body, uint16_t *ret_count);

#endif
