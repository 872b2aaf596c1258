/* SPDX-License-Identifier: Apache-2.0 */
/* What one uplink has acknowledged in one lane: everything up to a low-water mark, and ranges above it, which come from live
 * delivery that ran ahead of a backlog. Sequence numbers that belong to other lanes or other uplinks count as acknowledged.
 * Pure; owned by the uplink.
 *
 * Invariants (cursor_check): ranges ascend, are disjoint and do not touch each other or the low-water mark. */
#ifndef YANHUO_CURSOR_H
#define YANHUO_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

struct acked_range {
    uint64_t from, to; /* both inclusive */
};

struct cursor {
    uint64_t low;
    uint16_t ranges_count;
    struct acked_range ranges[RANGES_MAX];
};

/* Adds from .. to. When there is no room for one more range the highest is forgotten: it will be delivered again, which its
 * id makes harmless. Returns true when the cursor changed. */
bool cursor_add(struct cursor *cursor, uint64_t from, uint64_t to);

/* The highest seq that is acknowledged. */
uint64_t cursor_reach(const struct cursor *cursor);

/* The first seq at or above `seq` that is not acknowledged. */
uint64_t cursor_next(const struct cursor *cursor, uint64_t seq);

void cursor_check(const struct cursor *cursor);

#endif
