/* SPDX-License-Identifier: Apache-2.0 */
/* Folding: the chunks of an hour that is over become a row a series, because at a reading a minute a row costs more than what is in it,
 * and because a day is then 24 places to read. The writer's thread.
 * A row's body is one segment, as of a chunk, that begins with the hour. Most hours are one row. A body that takes more than a quarter of a
 * page, and is still kept in one page, is split into equal parts of which four or more share a page: of pages with bodies of 1,100 bytes
 * nearly half would be empty. */
#ifndef YANHUO_STORE_FOLD_H
#define YANHUO_STORE_FOLD_H

#include "base/arena.h"
#include "gateway/io/store_database.h"
#include "gateway/io/store_rollup.h"

struct fold;

extern const char fold_sql[]; /* its table, where it is missing */

/* Failures are the database's. */
struct fold *fold_open(struct database *database, struct rollup *rollup, struct arena *arena);
void fold_close(struct fold *fold); /* not the database; NULL is allowed */

/* Folds some series of the lowest hour that has chunks, when it ends at or before the slot `until_slot` and all of it is rolled up: a
 * transaction of its own, so small that it holds up the thread for some milliseconds. *ret_more is true when something was folded: there
 * may be more. On failure nothing is changed. */
NODISCARD enum err fold_advance(struct fold *fold, int64_t until_slot, bool *ret_more, struct database_failure *ret_failure);

#endif
