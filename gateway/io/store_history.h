/* SPDX-License-Identifier: Apache-2.0 */
/* history.db: every reading, in chunks of one series and hour (store_chunk.h), and rollups of them (store_rollup.h).
 * The readings of the hour under way are packed in memory (store_open.h) and stand beside it in the tail (store_tail.h), from which they
 * are read again after a restart; when the hour is over its chunks are written in one transaction and the tail is cleared. So a reading is
 * written twice: as it comes, and packed with all of its hour.
 * Invariants: all of the tail is of one hour, and holds exactly what is open in memory. A reading is in the tail or in a chunk, never in both.
 * What is over and not summed yet is due.
 * When what is open fills its memory it is written early, and the hour goes on empty. So it does when an hour is come back to, because the
 * clock was set, or readings waited for it: what comes then are chunks behind those that it has. */
#ifndef YANHUO_STORE_HISTORY_H
#define YANHUO_STORE_HISTORY_H

#include "config/config.h"
#include "gateway/io/store_chunk.h"
#include "gateway/io/store_database.h"

#define HISTORY_VERSION 5 /* of the file. What older ones had is read, see store_history_old.h */

struct history;

/* Creates the tables when the file is new; ERR_CORRUPT when it is not ours or from a newer program. */
NODISCARD enum err history_create(struct database *database, struct database_failure *ret_failure);
/* Reads the tail. Takes its memory from the arena, sized by what the site reads; quotas and civil time from `config`. */
NODISCARD enum err history_open(struct database *database, uint32_t series_count, const struct config *config, struct arena *arena,
                                struct history **ret_history, struct database_failure *ret_failure);

/* A batch of packed readings, the first of them taken at at_ms. On failure those of the hours before the one that it met are taken, of that
 * hour as many as were written early, and what was open stays open. */
NODISCARD enum err history_add(struct history *history, int64_t at_ms, const uint8_t *bytes, size_t size, struct database_failure *ret_failure);
/* Once more, after it failed: what it took is not taken again. Its bytes still stand. */
NODISCARD enum err history_go_on(struct history *history, struct database_failure *ret_failure);
/* Deletes what is older than the days to keep, at most one day a call, so that a clock that is wrong for an hour does not
 * cost everything. */
NODISCARD enum err history_expire(struct history *history, int64_t wall_ms, struct database_failure *ret_failure);
/* Writes the rollups of what is over, by this clock and by the readings that came, some of it a call; true when there is more to do. */
NODISCARD enum err history_roll(struct history *history, int64_t wall_ms, bool *ret_more, struct database_failure *ret_failure);
/* Puts what was committed where a power cut cannot reach it. */
NODISCARD enum err history_sync(struct history *history, struct database_failure *ret_failure);
/* The disk is full: before more is written the oldest goes, an hour at a time, so that the file does not grow. */
void history_tighten(struct history *history, bool tight);
uint64_t history_readings(const struct history *history); /* taken since history_open */
uint64_t history_refused(const struct history *history); /* readings with a series or time that cannot be */

/* All readings of one series in [from_ms, to_ms], hour after hour but for the one under way, and in the order of their times as far as
 * they came in it; false from the sink ends the reading. Any connection of its own, any thread. Damaged chunks end early.
 * store_history_read.c. */
NODISCARD enum err history_read(struct database *database, uint32_t series, int64_t from_ms, int64_t to_ms,
                                bool (*sink)(void *context, const struct packed_reading *reading), void *context,
                                struct database_failure *ret_failure);

#endif
