/* SPDX-License-Identifier: Apache-2.0 */
/* spool.db: runs of sealed entries lane by lane until every uplink they are for has them, the uplinks' cursors, records,
 * and the numbers behind names. store_image.c opens it and reads it at start, store_spool.c writes it (the writer thread's),
 * store_rows.c reads backlogs from it on a connection of its own (the query thread's). */
#ifndef YANHUO_STORE_SPOOL_H
#define YANHUO_STORE_SPOOL_H

#include "gateway/io/store_database.h"
#include "gateway/io/store_queue.h"

#define SPOOL_VERSION 2        /* 1 had gaps by lane alone, and no sizes of runs; both are given them. A file with a higher one is put aside */
#define SPOOL_BYTES_MIN (1 << 20)   /* below that not even the tables and one run have room */
#define SPOOL_BYTES_SPARE (4 << 20) /* what SQLite itself allows beyond the quota, so that a cursor or record always has room */
#define STORE_RECORDS_OTHERS 1024 /* actions, commands, problems and memories of derived points, beside alarms */
#define SERIES_MAX (1 << 20)   /* what a chunk's id has room for */

struct spool_limits { /* of what waits for one uplink in one lane; 0: none */
    uint64_t ms, bytes;
};

struct spool {
    struct database *database;
    uint16_t uplinks_count;
    uint8_t numbers[UPLINKS_MAX]; /* configuration index -> bit */
    struct cursor cursors[UPLINKS_MAX][LANES_COUNT];
    bool dirty[UPLINKS_MAX][LANES_COUNT]; /* not written yet */
    int64_t page_size, bytes_max, bytes_quota; /* what it may use now; as configured */
    struct missed evicted[UPLINKS_MAX][LANES_COUNT]; /* by committed transactions, not told yet; kept in the file until then */
    bool evicted_dirty[UPLINKS_MAX][LANES_COUNT];
    uint64_t archived_seq[LANES_COUNT]; /* up to here the archive has what it keeps: events only go after that */
    bool archived_moved;
    unsigned evicted_told; /* uplink * LANES_COUNT + lane told last */
    struct spool_limits limits[UPLINKS_MAX][LANES_COUNT];
    uint64_t given_up_seq[UPLINKS_MAX][LANES_COUNT]; /* the search for what is too old begins behind it */
    struct statement *put_cursor, *put_record, *remove_record, *put_next_seq, *put_gap, *remove_gap;
    struct statement *put_run[LANES_COUNT], *oldest[LANES_COUNT], *remove_run[LANES_COUNT];
    struct statement *owed[LANES_COUNT], *newest[LANES_COUNT], *unmask[LANES_COUNT];
};

extern const char *const spool_lane_tables[LANES_COUNT];
extern const char series_sql[]; /* the table of series, the same in both files */

/* Creates the tables when the file is new; ERR_CORRUPT when it is not ours or from a newer program. */
NODISCARD enum err spool_create(struct database *database, struct database_failure *ret_failure);
/* Assigns numbers, reads everything known at start, and prepares *ret_spool. `history` gets the names of all series too, and
 * gives them back when the spool is new. With `told` (or NULL) what has no number yet gets the one that the engine was told,
 * where it is free. On failure *ret_failed is the file to blame. */
NODISCARD enum err spool_load(struct database *database, struct database *history, const struct config *config, const struct store_image *told,
                              struct arena *arena, struct store_image *ret_image, struct spool *ret_spool, struct database **ret_failed,
                              struct database_failure *ret_failure);

/* One commit: cursors that moved, the run with its records (NULL: cursors only), and what became superfluous deleted. */
NODISCARD enum err spool_commit(struct spool *spool, const struct run *run, struct database_failure *ret_failure);
/* The run's records by these two statements of any spool. */
void records_write(struct statement *put, struct statement *remove, const struct run *run);
extern const char record_put_sql[], record_remove_sql[];
/* The archive has everything of the lane up to this seq. */
void spool_archived(struct spool *spool, enum lane lane, uint64_t through_seq);
/* One commit: what waits for an uplink longer, or is more, than its limits is given up for it alone, oldest first, some runs a call. With
 * wall_ms 0 nobody knows how long. */
NODISCARD enum err spool_give_up(struct spool *spool, int64_t wall_ms, struct database_failure *ret_failure);
/* What was evicted and not told yet, one uplink and lane a call; false when nothing. It is then forgotten with the next commit. */
bool spool_take_evicted(struct spool *spool, uint16_t *ret_uplink, enum lane *ret_lane, struct missed *ret_evicted);

/* Entries of the lane with the uplink's bit in (after_seq, through_seq], without those that `acked` has, into `bytes` of
 * QUERY_ROWS_SIZE. */
struct rows_reader {
    struct database *database;
    struct statement *select[LANES_COUNT];
};
NODISCARD enum err rows_open(const char *path, struct rows_reader *ret_reader, struct database_failure *ret_failure);
NODISCARD enum err rows_read(struct rows_reader *reader, const struct query *query, uint16_t bit, const struct cursor *acked, uint8_t *bytes,
                             size_t *ret_size, uint64_t *ret_through_seq, struct database_failure *ret_failure);

#endif
