/* SPDX-License-Identifier: Apache-2.0 */
/* Which records wait to be saved. A record is what must be as it was after a power cut: an alarm's state, a held action, a derived
 * point's memory, an accepted command's id, an open problem. It is saved in the same commit as the event that changed it, so that
 * after a cut either both are there or neither. Pure; owned by the core.
 *
 *   SAVED -- records_mark --> CHANGED -- taken with the run that holds its event --> SAVING -- STORED --> SAVED
 *                               ^                                                       | not stored, or changed again
 *                               '-------------------------------------------------------'
 * A record without an event of its own (RECORDS_NO_EVENT) goes with the next run of any lane.
 *
 * Invariants (records_check): a slot stands in the list `waiting` while it is CHANGED, once, and in `saving` of its lane while it is
 * SAVING; one that changed again meanwhile stands in both, and its state tells. So a commit costs what it carries, however many records
 * there are. */
#ifndef YANHUO_RECORDS_H
#define YANHUO_RECORDS_H

#include "gateway/core/event.h"

#define RECORDS_NO_EVENT 0

enum record_state { RECORD_SAVED, RECORD_CHANGED, RECORD_SAVING };

struct record_slot {
    uint64_t event_seq;
    uint8_t state;  /* enum record_state */
    uint8_t lane;   /* of its event */
    uint8_t saving; /* SAVING: the lane of the run that has it */
};

struct records {
    struct record_slot *slots;
    uint32_t count;
    uint32_t *waiting; /* CHANGED, in the order in which they were marked */
    uint32_t waiting_count;
    struct record_save *saves[LANES_COUNT]; /* of the run of this lane that is under way, */
    uint32_t *saving[LANES_COUNT];          /* and their slots */
    uint16_t saving_count[LANES_COUNT];
};

void records_init(struct records *records, uint32_t count, struct arena *arena);
void records_mark(struct records *records, uint32_t slot, enum lane lane, uint64_t event_seq);
/* The records that belong to a run of this lane up to last_seq, written by `put`. */
uint16_t records_take(struct records *records, enum lane lane, uint64_t last_seq, void (*put)(void *context, uint32_t slot, struct record_save *ret_save),
                      void *context);
void records_stored(struct records *records, enum lane lane, bool ok);
void records_check(const struct records *records);

#endif
