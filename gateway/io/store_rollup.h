/* SPDX-License-Identifier: Apache-2.0 */
/* What remains of readings when they are long gone: how many, how many valid, least, mean and most of each series in 10 minutes, an
 * hour, and a day of the gateway's civil time. Written when the time is over, from the packed readings; once, unless readings of that
 * time come later. Without values (text, or nothing valid) the row has counts only. The writer's thread. */
#ifndef YANHUO_STORE_ROLLUP_H
#define YANHUO_STORE_ROLLUP_H

#include "base/arena.h"
#include "gateway/io/store_database.h"
#include "gateway/io/store_open.h"

enum rollup_level { ROLLUP_10MIN, ROLLUP_HOUR, ROLLUP_DAY, ROLLUP_LEVELS };

struct rollup_row {
    int64_t from_ms;
    uint64_t count, valid;
    double least, mean, most; /* 0 when nothing was valid */
};

struct rollup;

extern const char rollup_sql[]; /* the tables, where they are missing */

/* Days begin `offset_minutes` before those of UTC. What is `open` is summed with the chunks. Failures are the database's. */
struct rollup *rollup_open(struct database *database, const struct open_hour *open, uint32_t series_count, int offset_minutes,
                           struct arena *arena);
/* A reading of this time is about to be taken: what it belongs to is summed when it is over, or once more. In the caller's transaction, or
 * without one before that of the reading. */
void rollup_due(struct rollup *rollup, int64_t at_ms);
/* Writes what is due and over at this time; a transaction of its own. At most a day's windows each call, and fewer when there is much to
 * look at, so that a long outage is caught up with in steps; *ret_more when there is more. */
NODISCARD enum err rollup_advance(struct rollup *rollup, int64_t until_ms, bool *ret_more, struct database_failure *ret_failure);
/* Deletes what ended before this time; in the caller's transaction or without. */
void rollup_expire(struct rollup *rollup, int64_t before_ms);

/* Rows of one series that begin in [from_ms, to_ms], in order; any connection of its own. */
NODISCARD enum err rollup_read(struct database *database, enum rollup_level level, int offset_minutes, uint32_t series, int64_t from_ms,
                               int64_t to_ms, bool (*sink)(void *context, const struct rollup_row *row), void *context,
                               struct database_failure *ret_failure);

#endif
