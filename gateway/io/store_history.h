/* SPDX-License-Identifier: Apache-2.0 */
/* history.db: every reading, as one chunk per series and slot of 300 s, chunk id = slot << 20 | series; and when an hour is over and rolled
 * up, as one row per series and hour instead (store_fold.h).
 * The readings of the slot under way are packed in memory and stand beside it in the tail (store_tail.h), from which they are
 * read again after a restart; when the slot is over its chunks are written in one transaction and the tail is cleared.
 * Invariant: all of the tail is of one slot, and holds exactly what is open in memory.
 * Memory is taken, and used once, when the history is opened: room for one slot of what the site reads, POOL_BYTES_MAX at most.
 * When the open chunks fill it they are written early, and the rest of the slot is appended; so it stands still for ever. Beside it are
 * only a buffer for one chunk and one for one series' hour, each as large as the largest so far. */
#ifndef YANHUO_STORE_HISTORY_H
#define YANHUO_STORE_HISTORY_H

#include "gateway/io/store_chunk.h"
#include "gateway/io/store_database.h"

#define HISTORY_VERSION 4 /* 1 had no rollups, 2 no blocks of the tail, 3 no hours; all get them, and hours are folded as time permits */
#define POOL_BLOCK_SIZE 120       /* 30 to 40 readings; one series at one a minute wastes little */
#define POOL_READING_SIZE 4       /* bytes set aside for one: sensors' numbers take about 3 */
#define POOL_BYTES_MAX (3u << 17) /* a slot of 450 readings a second; 1,000 are written every 150 s, and folded into one piece later */

struct history;

/* Creates the tables when the file is new; ERR_CORRUPT when it is not ours or from a newer program. */
NODISCARD enum err history_create(struct database *database, struct database_failure *ret_failure);
/* Reads the tail. Takes its tables and blocks from the arena, sized by what the site reads; quotas and civil time from `config`. */
NODISCARD enum err history_open(struct database *database, uint32_t series_count, const struct config *config, struct arena *arena,
                                struct history **ret_history, struct database_failure *ret_failure);
void history_close(struct history *history); /* not the database; NULL is allowed */

/* A batch of packed readings. On failure the batch is not taken, and what was open stays open. */
NODISCARD enum err history_add(struct history *history, int64_t at_ms, const uint8_t *bytes, size_t size, struct database_failure *ret_failure);
/* Deletes what is older than the days to keep, at most one day a call, so that a clock that is wrong for an hour does not
 * cost everything. */
NODISCARD enum err history_expire(struct history *history, int64_t wall_ms, struct database_failure *ret_failure);
/* Writes the rollups of what is over at this time, at most a day of them a call; true when there is more to do. */
NODISCARD enum err history_roll(struct history *history, int64_t wall_ms, bool *ret_more, struct database_failure *ret_failure);
/* Folds some series of the oldest hour that is over at this time and rolled up; true when there may be more to do. */
NODISCARD enum err history_fold(struct history *history, int64_t wall_ms, bool *ret_more, struct database_failure *ret_failure);
/* Puts what was committed where a power cut cannot reach it. */
NODISCARD enum err history_checkpoint(struct history *history, struct database_failure *ret_failure);
/* The disk is full: before more is written the oldest goes, chunks and hours alike, an hour at a time, so that the file does not grow. */
void history_tighten(struct history *history, bool tight);
uint64_t history_readings(const struct history *history); /* taken since history_open */
uint64_t history_refused(const struct history *history); /* readings with a series or time that cannot be */

/* All readings of one series in [from_ms, to_ms], in the order of their times within each batch that was written, and hour after hour but
 * for the slot under way; false from the sink ends the reading. Any connection of its own, any thread. Damaged chunks and hours end
 * early. store_history_read.c. */
NODISCARD enum err history_read(struct database *database, uint32_t series, int64_t from_ms, int64_t to_ms,
                                bool (*sink)(void *context, const struct packed_reading *reading), void *context,
                                struct database_failure *ret_failure);

#endif
