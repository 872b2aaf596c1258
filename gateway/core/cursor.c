/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/cursor.h"

#include <string.h>

#include "base/check.h"

static void remove_ranges(struct cursor *cursor, unsigned at, unsigned count) {
    memmove(&cursor->ranges[at], &cursor->ranges[at + count], (cursor->ranges_count - at - count) * sizeof(cursor->ranges[0]));
    cursor->ranges_count -= count;
}

/* The low-water mark swallows what it now touches. */
static void raise_low(struct cursor *cursor, uint64_t low) {
    cursor->low = low;
    while (cursor->ranges_count && cursor->ranges[0].from <= cursor->low + 1) {
        if (cursor->ranges[0].to > cursor->low)
            cursor->low = cursor->ranges[0].to;
        remove_ranges(cursor, 0, 1);
    }
}

bool cursor_add(struct cursor *cursor, uint64_t from, uint64_t to) {
    if (to <= cursor->low || from > to)
        return false;
    if (from <= cursor->low + 1) {
        raise_low(cursor, to);
        return true;
    }
    unsigned at = 0; /* the first range that touches or lies above */
    while (at < cursor->ranges_count && cursor->ranges[at].to + 1 < from)
        at++;
    unsigned end = at; /* past the last one that touches */
    while (end < cursor->ranges_count && cursor->ranges[end].from <= to + 1)
        end++;
    if (end > at) {
        struct acked_range *first = &cursor->ranges[at];
        if (end == at + 1 && first->from <= from && first->to >= to)
            return false;
        first->from = first->from < from ? first->from : from;
        first->to = cursor->ranges[end - 1].to > to ? cursor->ranges[end - 1].to : to;
        remove_ranges(cursor, at + 1, end - at - 1);
        return true;
    }
    if (cursor->ranges_count == RANGES_MAX) {
        if (at == RANGES_MAX)
            return false;
        cursor->ranges_count--;
    }
    memmove(&cursor->ranges[at + 1], &cursor->ranges[at], (cursor->ranges_count - at) * sizeof(cursor->ranges[0]));
    cursor->ranges[at] = (struct acked_range){.from = from, .to = to};
    cursor->ranges_count++;
    return true;
}

uint64_t cursor_reach(const struct cursor *cursor) {
    return cursor->ranges_count ? cursor->ranges[cursor->ranges_count - 1].to : cursor->low;
}

uint64_t cursor_next(const struct cursor *cursor, uint64_t seq) {
    if (seq <= cursor->low)
        seq = cursor->low + 1;
    for (unsigned i = 0; i < cursor->ranges_count && cursor->ranges[i].from <= seq; i++)
        if (seq <= cursor->ranges[i].to)
            seq = cursor->ranges[i].to + 1;
    return seq;
}

void cursor_check(const struct cursor *cursor) {
    uint64_t before = cursor->low;
    CHECK(cursor->ranges_count <= RANGES_MAX);
    for (unsigned i = 0; i < cursor->ranges_count; i++) {
        CHECK(cursor->ranges[i].from > before + 1 && cursor->ranges[i].to >= cursor->ranges[i].from);
        before = cursor->ranges[i].to;
    }
}
