/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in memory, lane by lane: from sealing until they are durable, and as long after as there is room, so that a live
 * uplink never has to ask the disk. Pure; owned by the core.
 *
 * Invariants (journal_check), per lane:
 *  1. Seqs ascend along the ring; every entry in memory lies in one piece.
 *  2. durable_seq <= storing_seq <= newest_seq; storing_seq == durable_seq while nothing is under way to the store.
 *  3. Sealing never fails. When the ring is full the oldest entry goes; if it was not durable it is counted as lost, and for each uplink
 *     that has not acknowledged it as missed. */
#ifndef YANHUO_JOURNAL_H
#define YANHUO_JOURNAL_H

#include "base/arena.h"
#include "gateway/core/cursor.h"
#include "gateway/core/entry.h"
#include "gateway/core/missed.h"

#define JOURNAL_READING_SIZE (12u << 16) /* 12 s of 10,000 readings a second, ten a message: a disk may stall that long and nothing is lost */
#define JOURNAL_EVENT_SIZE (512u << 10) /* about 1,000 events in each of the two event lanes */
#define JOURNAL_ENTRY_SMALLEST 64       /* for sizing the index: a sealed entry of one or two readings */
#define JOURNAL_RUN_SIZE (256u << 10)   /* most bytes of one run to the store; a fuller lane does not wait for its period */

struct journal_slot {
    uint64_t seq;
    uint32_t offset, size;
    uint16_t uplinks;
};

struct journal_lane {
    uint8_t *bytes; /* ring; an entry never wraps */
    uint32_t size, write_at;
    struct journal_slot *slots; /* ring of what lies in bytes, oldest first */
    uint32_t slots_size, first, count;
    uint64_t newest_seq, durable_seq, storing_seq;
    uint64_t dropped_seq;                                                     /* newest that has left memory: everything above it is here */
    uint32_t unstored_bytes;                                                  /* sealed and not yet on their way to the store */
    struct missed under_way_dropped; /* of the run on its way to the store: gone from memory */
    uint64_t lost;                   /* dropped before they were durable */
    struct missed untold;            /* of those: not yet told as a gap */
    struct missed missed[UPLINKS_MAX], under_way_missed[UPLINKS_MAX]; /* by durable number: of `untold`, and of what is under way */
};

struct journal {
    struct journal_lane lanes[LANES_COUNT];
    uint64_t next_seq, start;
    const struct cursor *cursors[UPLINKS_MAX][LANES_COUNT]; /* by durable number; NULL: nothing is known of it */
};

/* A run of sealed entries for the store. */
struct journal_run {
    const uint8_t *bytes;
    uint32_t size;
    uint64_t first_seq, last_seq;
};

void journal_init(struct journal *journal, struct arena *arena);
/* Everything below next_seq belongs to earlier starts and is the store's. */
void journal_start(struct journal *journal, uint64_t start, uint64_t next_seq);

/* What the uplink of this number has acknowledged stands here from now on; the cursor stays its owner's. */
void journal_watch(struct journal *journal, unsigned number, enum lane lane, const struct cursor *cursor);

/* Seals an entry: gives it seq and start. Returns its seq. The body must fit ENTRY_SIZE. */
uint64_t journal_seal(struct journal *journal, struct entry *entry);

/* The first entry in memory of this lane with seq >= from_seq and this uplink's bit; false when there is none. */
bool journal_find(const struct journal *journal, enum lane lane, uint64_t from_seq, uint16_t uplink_bit, struct entry *ret_entry);
/* Every entry of this lane from this seq on is in memory; of those below it, none. */
uint64_t journal_memory_from(const struct journal *journal, enum lane lane);

/* The next run for the store; false while one is under way or nothing is new. The bytes are valid until the next seal. */
bool journal_take(struct journal *journal, enum lane lane, struct journal_run *ret_run);
/* The run under way is durable, or (ok false) will be taken again. */
void journal_stored(struct journal *journal, enum lane lane, uint64_t last_seq, bool ok);
/* Nothing waits for the store. */
bool journal_durable(const struct journal *journal);

void journal_check(const struct journal *journal);

#endif
