/* SPDX-License-Identifier: Apache-2.0 */
/* The batches of the slot under way, in history.db until the slot's chunks are written: in blocks that are each one page and are
 * written over where they stand, so that a batch costs the pages that its bytes touch and nothing else: no row is made or freed for it.
 *
 *   block   generation u64, slot u64, then records; the rest is zeros
 *   record  bytes varint (0: the end), at_ms zigzag, that many bytes of whole packed readings
 *
 * Blocks of another size are of a file with other pages, made before; they are read and no longer added to.
 *
 * Block 0 tells the generation that counts; blocks 1, 2 ... follow it as long as theirs is the same, all of one slot. Clearing is a new
 * generation in block 0. Up to version 2 of the file there was a row a batch, in the table `tail`: those are read, and go with the first
 * clearing. */
#ifndef YANHUO_STORE_TAIL_H
#define YANHUO_STORE_TAIL_H

#include "gateway/io/store_database.h"

#define TAIL_BLOCK_SIZE 2002 /* with its row's head it fits a page of DATABASE_PAGE_SIZE without a second one */

struct tail {
    struct database *database;
    struct statement *put_block;
    int64_t number; /* of the block that is being filled */
    uint64_t generation;
    size_t used; /* bytes of it; 0: no block yet in this generation */
    bool old;    /* rows of version 2 are there */
    uint8_t block[TAIL_BLOCK_SIZE];
};

extern const char tail_sql[]; /* its table */

/* Every record of the slots [first, last], until the sink answers false; by any connection. `bytes` hold only while the sink runs. A
 * failure is the database's. */
void tail_read(struct database *database, int64_t first_slot, int64_t last_slot,
               bool (*sink)(void *context, int64_t slot, int64_t at_ms, const uint8_t *bytes, size_t size), void *context);
/* Finds the end of what is there. */
void tail_open(struct tail *tail, struct database *database);
/* One transaction. On failure nothing is changed. All since the last clearing must be of one slot. */
NODISCARD enum err tail_add(struct tail *tail, int64_t slot, int64_t at_ms, const uint8_t *bytes, size_t size, struct database_failure *ret_failure);
/* Within the caller's transaction; tail_cleared when that was committed. */
void tail_clear(struct tail *tail);
void tail_cleared(struct tail *tail);

#endif
