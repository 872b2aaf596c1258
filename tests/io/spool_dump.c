/* SPDX-License-Identifier: Apache-2.0 */
#include "spool_dump.h"

#include <sqlite3.h>

bool spool_dump(const char *path, void (*each)(void *context, const struct entry *entry), void *context) {
    static const char sql[] = "SELECT body FROM (SELECT 0 AS lane, first_seq, body FROM run_fire UNION ALL SELECT 1, first_seq, body FROM run_event"
                              " UNION ALL SELECT 2, first_seq, body FROM run_reading) ORDER BY lane, first_seq";
    sqlite3 *database = NULL;
    sqlite3_stmt *rows = NULL;
    int code = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(database, sql, -1, &rows, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        const uint8_t *body = sqlite3_column_blob(rows, 0);
        size_t size = (size_t)sqlite3_column_bytes(rows, 0), step;
        struct entry entry;
        for (size_t at = 0; at < size && entry_open(body + at, size - at, &entry, &step); at += step)
            each(context, &entry);
        code = SQLITE_OK;
    }
    sqlite3_finalize(rows);
    sqlite3_close(database);
    return code == SQLITE_DONE;
}
