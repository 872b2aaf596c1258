/* SPDX-License-Identifier: Apache-2.0 */
/* The batches of the hour under way, in history.db until the hour's chunks are written: in blocks that are each one page and are
 * written over where they stand, so that a batch costs the pages that its bytes touch and nothing else: no row is made or freed for it.
 *
 *   block   generation u64, hour u64, then records; the rest is zeros
 *   record  bytes varint (0: the end), series zigzag, at_ms zigzag, that many bytes of whole packed readings
 *
 * A batch is cut into records where a block is full. The series and at_ms of a record are those of the reading before its first one in the
 * batch, or what the batch began with: its first reading is told against them.
 *
 * Block 0 tells the generation that counts, and its hour; blocks 1, 2 ... follow it as long as theirs are the same. Clearing is a new
 * generation in block 0. When that cannot be read the generations begin anew, and what stands behind it may be of one that comes again. */
#ifndef YANHUO_STORE_TAIL_H
#define YANHUO_STORE_TAIL_H

#include "gateway/core/entry.h"
#include "gateway/io/store_database.h"

#define TAIL_BLOCK_SIZE 2002 /* with its row's head it fits a page of DATABASE_PAGE_SIZE without a second one */

struct tail {
    struct database *database;
    struct statement *put_block;
    int64_t number; /* of the block that is being filled */
    uint64_t generation;
    size_t used; /* bytes of it; 0: no block yet in this generation */
    uint8_t block[TAIL_BLOCK_SIZE];
};

extern const char tail_sql[]; /* its table */

/* Every record of the hours [first, last], with the order that holds at its `bytes`, until the sink answers false; by any connection.
 * `bytes` hold only while the sink runs. A failure is the database's. */
void tail_read(struct database *database, int64_t first_hour, int64_t last_hour,
               bool (*sink)(void *context, int64_t hour, const struct reading_order *order, const uint8_t *bytes, size_t size), void *context);
/* Finds the end of what is there. */
void tail_open(struct tail *tail, struct database *database);
/* Whole readings, with the order that holds at `bytes`. One transaction. On failure nothing is changed. All since the last clearing must be
 * of one hour. */
NODISCARD enum err tail_add(struct tail *tail, int64_t hour, const struct reading_order *order, const uint8_t *bytes, size_t size,
                            struct database_failure *ret_failure);
/* Within the caller's transaction; tail_cleared when that was committed. */
void tail_clear(struct tail *tail);
void tail_cleared(struct tail *tail);

#endif
