/* SPDX-License-Identifier: Apache-2.0 */
/* What the spool knows beside entries (records, uplinks, series, cursors), twice: as DIR/records.copy, written whole, synced and
 * renamed, and checked by a sum over all of it; and out of a spool that was put aside as damaged, table by table. */
#ifndef YANHUO_STORE_COPY_H
#define YANHUO_STORE_COPY_H

#include "gateway/io/store_database.h"
#include "gateway/io/store_queue.h"

#define COPY_NAME "records.copy"
#define COPY_SIZE_MAX (32u << 20) /* every record and series that limits.h allows is half of it; a larger file is not ours */

/* Writes the copy, unless it would be the same as the last one written (*io_sum; 0 at first), which spares the card. */
NODISCARD enum err copy_write(const char *dir, struct database *spool, uint64_t *io_sum, struct database_failure *ret_failure);
/* Adds to the spool, inside the caller's transaction, what the copy has and the spool lacks. ERR_NOT_FOUND when there is none,
 * ERR_CORRUPT when it is not whole: then nothing was added. */
NODISCARD enum err copy_restore(const char *dir, struct database *spool, int64_t *ret_at_ms);

/* Adds to `to` the records of `from` that it lacks. */
void records_copy(struct database *from, struct database *to);

struct salvage {
    bool names;                 /* it could be opened and the uplinks' numbers read: without them nothing is saved */
    bool records;               /* the table of records was whole */
    uint64_t runs;              /* saved */
    uint64_t lost[LANES_COUNT]; /* undelivered entries that could not be read; in the new file as a gap to be told */
};
/* Out of the spool at `path`, inside the caller's transaction on `spool`, which is new: every small table that is whole, and the
 * runs that can be read from both ends. */
void spool_salvage(const char *path, struct database *spool, struct salvage *ret_salvage);

#endif
