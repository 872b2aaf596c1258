/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a backlog: runs are disjoint and ascend, so the search starts at the last run that begins at or before the first
 * seq wanted. The read transaction ends with the query, so that checkpoints are not held up. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "gateway/io/store_spool.h"

enum err rows_open(const char *path, struct rows_reader *ret_reader, struct database_failure *ret_failure) {
    *ret_reader = (struct rows_reader){.database = NULL};
    enum err err = database_open(path, DATABASE_READER, &ret_reader->database, ret_failure);
    if (err != ERR_OK)
        return err;
    for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
        char sql[256];
        const char *table = spool_lane_tables[lane];
        snprintf(sql, sizeof(sql),
                 "SELECT body FROM %s WHERE first_seq >= coalesce((SELECT max(first_seq) FROM %s WHERE first_seq <= ?1), 0)"
                 " AND first_seq <= ?2 AND (uplinks & ?3) ORDER BY first_seq",
                 table, table);
        ret_reader->select[lane] = database_prepare(ret_reader->database, sql);
    }
    err = database_clear(ret_reader->database, ret_failure);
    if (err != ERR_OK) {
        database_close(ret_reader->database);
        ret_reader->database = NULL;
    }
    return err;
}

enum err rows_read(struct rows_reader *reader, const struct query *query, uint16_t bit, const struct cursor *acked, uint8_t *bytes, size_t *ret_size,
                   uint64_t *ret_through_seq, struct database_failure *ret_failure) {
    struct statement *select = reader->select[query->lane];
    uint64_t through_seq = query->through_seq;
    size_t used = 0;
    bool full = false;
    statement_bind_int(select, 1, (int64_t)cursor_next(acked, query->after_seq + 1));
    statement_bind_int(select, 2, (int64_t)query->through_seq);
    statement_bind_int(select, 3, bit);
    while (!full && statement_step(select)) {
        size_t size, step;
        const uint8_t *body = statement_bytes(select, 0, &size);
        struct entry entry;
        /* A damaged entry ends its run: what cannot be read is passed over like what is gone, and the uplink goes on. */
        for (size_t at = 0; at < size && entry_open(body + at, size - at, &entry, &step); at += step) {
            if (entry.seq <= query->after_seq || entry.seq > query->through_seq || !(entry.uplinks & bit) || cursor_next(acked, entry.seq) != entry.seq)
                continue;
            if (step > QUERY_ROWS_SIZE - used) {
                through_seq = entry.seq - 1;
                full = true;
                break;
            }
            memcpy(bytes + used, body + at, step);
            used += step;
        }
    }
    statement_reset(select);
    *ret_size = used;
    *ret_through_seq = through_seq;
    return database_clear(reader->database, ret_failure);
}
