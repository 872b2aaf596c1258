/* SPDX-License-Identifier: Apache-2.0 */
/* The disk: spool.db (entries, cursors, open alarms; synchronous FULL), history.db (packed chunks; synchronous NORMAL) and events.db
 * (events beyond their delivery; FULL), all SQLite in WAL. One writer thread, one query thread; the caller is the loop thread and never waits for the disk.
 * store_database.c is the only file that includes sqlite3.h; the store_*.h are the store's own.
 *
 * Guarantees: `stored` is called only after the fsync of the commit that holds the run; a run and its alarm records are one
 * commit; what every uplink has acknowledged (and of events the archive has) is deleted, the rest stays until the quota drops the oldest readings first
 * (then events, fire last), told by `evicted_*`; a damaged file, found at start or met in use, is renamed NAME.corrupt-TIME and a new
 * one begun with what can be read of it; a disk that fails or is not there is tried again until it is back, without a restart. */
#ifndef YANHUO_STORE_H
#define YANHUO_STORE_H

#include "gateway/engine.h"

struct store;

struct store_stored {
    enum lane lane;
    enum err err;
    int os_error;
    uint64_t last_seq;
    uint16_t evicted_uplink; /* that will not get these entries; one uplink and lane with each answer */
    enum lane evicted_lane;  /* may be another lane than the run's: readings give way first */
    struct missed evicted;
    int64_t took_us; /* begin to end of the commit */
};

struct store_rows {
    uint16_t uplink;
    enum lane lane;
    enum err err;
    const uint8_t *bytes; /* the uplink's own buffer: belongs to the receiver until it asks the next query of this uplink */
    size_t size;
    uint64_t after_seq, through_seq;
};

/* Called on the store's threads; must hand over and return at once. */
struct store_sink {
    void *context;
    void (*stored)(void *context, const struct store_stored *stored);
    void (*rows)(void *context, const struct store_rows *rows);
    void (*traced)(void *context, const struct trace_line *line); /* quarantined, disk full, disk back, slow commit */
    void (*status)(void *context, const struct disk_status *status); /* each minute, and when anything but the numbers changed */
};

/* Opens or creates the files in `dir`, assigns numbers to new series and uplinks, reads cursors and alarm records into
 * *ret_image (memory from `arena`), then starts the threads. Blocks: start-up only. A folder that is there but cannot be used is no
 * failure: the image is absent, every run and query is answered with ERR_IO, and from the moment at which the folder can be had
 * they are done. A failure has a line on the sink: ERR_IO when there is no such folder, ERR_BUSY when another process has it,
 * ERR_NOMEM. The lines of store_open itself come on the caller's thread. */
NODISCARD enum err store_open(const char *dir, const struct config *config, struct arena *arena, const struct store_sink *sink,
                              struct store_image *ret_image, struct store **ret_store);

/* Finishes what was submitted, checkpoints, closes. NULL is allowed. */
void store_close(struct store *store);

/* Each copies what it needs before it returns. At most one STORE per lane and one QUERY per uplink may be under way. */
void store_submit(struct store *store, enum lane lane, uint64_t first_seq, uint64_t last_seq, const uint8_t *bytes, uint32_t size,
                  const struct record_save *records, uint16_t records_count);
void store_history(struct store *store, int64_t at_ms, const uint8_t *bytes, uint32_t size);
void store_cursor(struct store *store, uint16_t uplink, enum lane lane, const struct cursor *cursor);
void store_query(struct store *store, uint16_t uplink, enum lane lane, uint64_t after_seq, uint64_t through_seq);

/* Microseconds since the writer last finished a job or was idle, for the watchdog and health. Any thread. */
int64_t store_idle_us(const struct store *store);
int64_t store_query_busy_us(struct store *store); /* the same of the query thread */

#endif
