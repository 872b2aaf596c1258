/* SPDX-License-Identifier: Apache-2.0 */
/* What history files up to version 4 have and newer ones do not: readings in chunks of 5 minutes and in two kinds of tails, which are packed
 * anew when the file is opened for the first time; hours in a table `hour` with ids of their own, which are read where they stand until they
 * are too old; and marks up to where rollups were written. */
#ifndef YANHUO_STORE_HISTORY_OLD_H
#define YANHUO_STORE_HISTORY_OLD_H

#include "gateway/io/store_chunk.h"
#include "gateway/io/store_database.h"

#define OLD_PART_BITS 3

/* A row's id in `hour`: (hour << 20 | series) << 3 | part. */
static inline int64_t old_id(int64_t hour, int64_t series) {
    return ((hour << CHUNK_SERIES_BITS) + series) << OLD_PART_BITS;
}

extern const char old_sql[]; /* the table `hour` */

/* Whether there is anything to be packed anew. */
bool old_any(struct database *database);
/* Gives the readings of one hour to the sink and removes them, in the caller's transaction; the lowest hour each call, the tails' at last.
 * False when there are none left: then the tables are gone too, and what was not rolled up is due. */
bool old_take(struct database *database, void (*sink)(void *context, const struct packed_reading *reading), void *context);

#endif
