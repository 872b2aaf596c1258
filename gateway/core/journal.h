/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in memory from sealing until they are durable, lane by lane, and what is under way to the store.
 * Pure; owned by the core. The store gets one run of bytes per lane at a time; what is sealed meanwhile goes with the next.
 *
 * Invariants (journal_check):
 *  1. Per lane: first_seq <= durable_seq + 1, and seqs ascend along the ring.
 *  2. durable_seq <= storing_seq <= newest_seq per lane; storing_seq == durable_seq when nothing is under way.
 *  3. An entry leaves memory only when it is durable, or when the ring is full: then the oldest goes and is counted as lost
 *     if it was not durable.
 */
#ifndef YANHUO_JOURNAL_H
#define YANHUO_JOURNAL_H

#include "base/arena.h"
#include "gateway/core/entry.h"

struct journal_lane {
    uint8_t *bytes; /* ring of sealed entries; an entry never wraps: `wrap` marks the end of the used part */
    uint32_t size, head, tail, wrap;
    uint32_t count;
    uint64_t newest_seq, durable_seq, storing_seq;
    uint64_t first_seq; /* of the oldest in memory; newest_seq + 1 when empty */
    uint64_t lost;      /* entries dropped from memory before they were durable or delivered */
    uint64_t lost_from, lost_to; /* the run of them that is not told yet; 0 when none */
    uint64_t lost_untold;
};

struct journal {
    struct journal_lane lanes[LANES_COUNT];
    uint64_t next_seq, start;
};

void journal_init(struct journal *journal, struct arena *arena);
void journal_start(struct journal *journal, uint64_t start, uint64_t next_seq);

/* Seals an entry: gives it seq and start. Never fails: the oldest gives way when memory is full. Returns its seq. */
uint64_t journal_seal(struct journal *journal, struct entry *entry);

/* Finds the first entry in memory of this lane with seq >= `seq` and the uplink's bit; false when there is none. */
bool journal_find(const struct journal *journal, enum lane lane, uint64_t seq, uint16_t uplink_bit, struct entry *ret_entry);

/* The next run for the store; false while one is under way or nothing is new. The bytes stay valid until journal_stored. */
bool journal_take(struct journal *journal, enum lane lane, const uint8_t **ret_bytes, uint32_t *ret_size, uint64_t *ret_first_seq, uint64_t *ret_last_seq);
/* The run under way ended: durable up to last_seq, or (ok false) to be tried again. */
void journal_stored(struct journal *journal, enum lane lane, uint64_t last_seq, bool ok);

void journal_check(const struct journal *journal);

#endif
