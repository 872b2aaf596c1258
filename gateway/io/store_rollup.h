/* SPDX-License-Identifier: Apache-2.0 */
/* What remains of readings when they are long gone: how many, how many valid, least, mean and most of each series in 10 minutes, an
 * hour, and a day of the gateway's civil time. Written when the time is over, from the packed readings; once, unless readings of that
 * time come later (rollup_reopen). Without values (text, or nothing valid) the row has counts only. The writer's thread. */
#ifndef YANHUO_STORE_ROLLUP_H
#define YANHUO_STORE_ROLLUP_H

#include "base/arena.h"
#include "gateway/io/store_database.h"

enum rollup_level { ROLLUP_10MIN, ROLLUP_HOUR, ROLLUP_DAY, ROLLUP_LEVELS };

struct rollup_row {
    int64_t from_ms;
    uint64_t count, valid;
    double least, mean, most; /* 0 when nothing was valid */
};

struct rollup;

extern const char rollup_sql[]; /* the tables, where they are missing */

/* Days begin `offset_minutes` before those of UTC. Failures are the database's. */
struct rollup *rollup_open(struct database *database, uint32_t series_count, int offset_minutes, struct arena *arena);
/* Writes what is over before the slot `until_slot`; a transaction of its own. At most a day each call, and less of it when there is much to
 * sum, so that a long outage is caught up with in steps; *ret_more when there is more. */
NODISCARD enum err rollup_advance(struct rollup *rollup, int64_t until_slot, bool *ret_more, struct database_failure *ret_failure);
/* A chunk of this slot is written, in the caller's transaction: what is written from its time already is written again. The clock was set
 * back, or readings waited for it to be right. */
void rollup_reopen(struct rollup *rollup, int64_t slot);
/* The first slot with chunks that are not in the rollups yet; beyond every slot when there are none. */
int64_t rollup_reach(struct rollup *rollup);
/* Deletes what ended before this time; in the caller's transaction or without. */
void rollup_expire(struct rollup *rollup, int64_t before_ms);

/* Rows of one series that begin in [from_ms, to_ms], in order; any connection of its own. */
NODISCARD enum err rollup_read(struct database *database, enum rollup_level level, int offset_minutes, uint32_t series, int64_t from_ms,
                               int64_t to_ms, bool (*sink)(void *context, const struct rollup_row *row), void *context,
                               struct database_failure *ret_failure);

#endif
