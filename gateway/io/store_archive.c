/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/store_archive.h"

#include <stdio.h>

#include "gateway/io/store_spool.h"

#define STEP_ENTRIES 500 /* a call: some 10 ms on a slow card, while no alarm can be committed */
#define ROOM_PAGES 512   /* what a step can need */
#define DROPS_MAX 8      /* times DROP_ROWS a call */
#define DROP_ROWS 100
#define DAY_MS INT64_C(86400000)

static const char *const names[ARCHIVE_TABLES] = {"event", "record"};
const char *const archive_tables[] = {"event", "record", NULL};

enum err archive_create(struct database *database, struct database_failure *ret_failure) {
    int64_t version;
    enum err err = database_version(database, ARCHIVE_VERSION, &version, ret_failure);
    if (err != ERR_OK || version == ARCHIVE_VERSION)
        return err;
    database_begin(database);
    for (unsigned i = 0; i < ARCHIVE_TABLES; i++) {
        char sql[320];
        snprintf(sql, sizeof(sql),
                 "CREATE TABLE %s(id INTEGER PRIMARY KEY, filed_ms INTEGER NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
                 " body BLOB NOT NULL); CREATE INDEX %s_filed ON %s(filed_ms); CREATE INDEX %s_seq ON %s(seq)",
                 names[i], names[i], names[i], names[i], names[i]);
        database_run(database, sql);
    }
    database_run(database, "PRAGMA user_version = 1");
    return database_end(database, ret_failure);
}

static struct statement *prepare(struct database *database, const char *format, const char *table) {
    char sql[256];
    snprintf(sql, sizeof(sql), format, table);
    return database_prepare(database, sql);
}

enum err archive_open(struct database *database, struct database *spool, const struct config *config, struct archive *ret_archive,
                      struct database **ret_failed, struct database_failure *ret_failure) {
    struct archive *archive = ret_archive;
    *archive = (struct archive){.database = database, .spool = spool};
    archive->pages_max = (int64_t)config->store.events_bytes_max / database_page_size(database);
    archive->keep_ms[ARCHIVE_EVENT] = config->store.event_days * DAY_MS;
    archive->keep_ms[ARCHIVE_RECORD] = config->store.record_days * DAY_MS;
    for (unsigned i = 0; i < ARCHIVE_TABLES; i++) {
        archive->find[i] = prepare(database, "SELECT 1 FROM %s WHERE seq = ? AND at_ms = ?", names[i]);
        archive->put[i] = prepare(database, "INSERT INTO %s(filed_ms, seq, at_ms, body) VALUES(?, ?, ?, ?)", names[i]);
        archive->oldest[i] = prepare(database, "SELECT id, filed_ms FROM %s ORDER BY filed_ms LIMIT 1", names[i]);
        archive->drop[i] = prepare(database, "DELETE FROM %s WHERE id BETWEEN ?1 AND ?1 + ?2 - 1", names[i]);
        archive->expire[i] = prepare(database, "DELETE FROM %s WHERE filed_ms < ?", names[i]);
        archive->date[i] = prepare(database, "UPDATE %s SET filed_ms = ? WHERE filed_ms = 0", names[i]);
    }
    archive->newest_ms = database_number(database, "SELECT max(coalesce((SELECT filed_ms FROM event ORDER BY id DESC LIMIT 1), 0),"
                                                   " coalesce((SELECT filed_ms FROM record ORDER BY id DESC LIMIT 1), 0))");
    *ret_failed = database;
    enum err err = database_clear(database, ret_failure);
    if (err != ERR_OK)
        return err;
    for (unsigned lane = 0; lane < LANE_READING; lane++)
        archive->runs[lane] = prepare(spool, "SELECT last_seq, body FROM %s WHERE first_seq > ? ORDER BY first_seq LIMIT 1", spool_lane_tables[lane]);
    *ret_failed = spool;
    return database_clear(spool, ret_failure);
}

/* ---- filing ---- */

static enum archive_table table_of(enum entry_kind kind) {
    return kind == ENTRY_PROBLEM || kind == ENTRY_MAINTENANCE || kind == ENTRY_WALK_TEST ? ARCHIVE_RECORD : ARCHIVE_EVENT;
}

/* The first time that can be trusted is also that of what came before it. */
static void date_take(struct archive *archive, int64_t at_ms) {
    for (unsigned i = 0; archive->newest_ms == 0 && i < ARCHIVE_TABLES; i++) {
        statement_bind_int(archive->date[i], 1, at_ms);
        statement_step(archive->date[i]);
    }
    archive->newest_ms = at_ms;
}

static void entry_file(struct archive *archive, const struct entry *entry, const uint8_t *sealed, size_t size) {
    enum archive_table table = table_of(entry->kind);
    struct statement *find = archive->find[table], *put = archive->put[table];
    statement_bind_int(find, 1, (int64_t)entry->seq);
    statement_bind_int(find, 2, entry->at_ms);
    bool filed = statement_step(find);
    statement_reset(find);
    if (filed)
        return;
    if (entry->trusted && entry->at_ms > 0)
        date_take(archive, entry->at_ms);
    statement_bind_int(put, 1, archive->newest_ms);
    statement_bind_int(put, 2, (int64_t)entry->seq);
    statement_bind_int(put, 3, entry->at_ms);
    statement_bind_bytes(put, 4, sealed, size);
    statement_step(put);
}

/* The next run of the lane; false when there is none. A damaged entry ends its run, as it does for who reads a backlog. */
static bool run_file(struct archive *archive, enum lane lane, uint64_t *io_through_seq, unsigned *io_left) {
    struct statement *runs = archive->runs[lane];
    struct entry entry;
    size_t size, step;
    statement_bind_int(runs, 1, (int64_t)*io_through_seq);
    if (!statement_step(runs))
        return false;
    *io_through_seq = (uint64_t)statement_int(runs, 0);
    const uint8_t *body = statement_bytes(runs, 1, &size);
    for (size_t at = 0; at < size && entry_open(body + at, size - at, &entry, &step); at += step, *io_left -= *io_left > 0)
        if (entry.kind != ENTRY_CLEARED) /* a topic's end, beside the event that tells it */
            entry_file(archive, &entry, body + at, step);
    statement_reset(runs);
    return true;
}

/* Room for a step by the oldest events, or, where there is none left, records. */
static void room_make(struct archive *archive) {
    for (unsigned i = 0; archive->pages_max && i < DROPS_MAX; i++) {
        int64_t used = database_number(archive->database, "PRAGMA page_count") - database_number(archive->database, "PRAGMA freelist_count");
        enum archive_table table = ARCHIVE_EVENT;
        if (used + ROOM_PAGES <= archive->pages_max)
            return;
        if (!statement_step(archive->oldest[table]) && !statement_step(archive->oldest[table = ARCHIVE_RECORD]))
            return;
        int64_t first = statement_int(archive->oldest[table], 0);
        statement_reset(archive->oldest[table]);
        statement_bind_int(archive->drop[table], 1, first);
        statement_bind_int(archive->drop[table], 2, DROP_ROWS);
        statement_step(archive->drop[table]);
    }
}

enum err archive_advance(struct archive *archive, bool *ret_more, struct database **ret_failed, struct database_failure *ret_failure) {
    int64_t newest_ms = archive->newest_ms;
    uint64_t through_seq[LANES_COUNT] = {archive->through_seq[LANE_FIRE], archive->through_seq[LANE_EVENT], 0};
    unsigned left = STEP_ENTRIES;
    *ret_more = false;
    *ret_failed = archive->database;
    database_begin(archive->database);
    room_make(archive);
    for (unsigned lane = 0; lane < LANE_READING; lane++)
        while (left && run_file(archive, (enum lane)lane, &through_seq[lane], &left)) {
        }
    *ret_more = left == 0;
    enum err err = database_end(archive->database, ret_failure);
    struct database_failure spool_failure;
    enum err spool_err = database_clear(archive->spool, &spool_failure);
    if (err == ERR_OK && spool_err != ERR_OK) {
        *ret_failed = archive->spool;
        *ret_failure = spool_failure;
        err = spool_err;
    }
    if (err != ERR_OK) {
        archive->newest_ms = newest_ms;
        *ret_more = false;
        return err;
    }
    for (unsigned lane = 0; lane < LANE_READING; lane++)
        archive->through_seq[lane] = through_seq[lane];
    return ERR_OK;
}

enum err archive_expire(struct archive *archive, int64_t wall_ms, struct database_failure *ret_failure) {
    for (unsigned i = 0; i < ARCHIVE_TABLES; i++) {
        if (!statement_step(archive->oldest[i]))
            continue;
        int64_t oldest_ms = statement_int(archive->oldest[i], 1), limit_ms = wall_ms - archive->keep_ms[i];
        statement_reset(archive->oldest[i]);
        if (limit_ms > oldest_ms + DAY_MS)
            limit_ms = oldest_ms + DAY_MS;
        if (limit_ms <= oldest_ms || oldest_ms == 0)
            continue;
        statement_bind_int(archive->expire[i], 1, limit_ms);
        statement_step(archive->expire[i]);
    }
    return database_clear(archive->database, ret_failure);
}

/* ---- reading ---- */

enum err archive_read(struct database *database, int64_t from_ms, int64_t to_ms, bool (*sink)(void *context, const struct entry *entry), void *context,
                      struct database_failure *ret_failure) {
    struct statement *read = database_prepare(database, "SELECT filed_ms, seq, body FROM event WHERE filed_ms BETWEEN ?1 AND ?2 UNION ALL"
                                                        " SELECT filed_ms, seq, body FROM record WHERE filed_ms BETWEEN ?1 AND ?2"
                                                        " ORDER BY filed_ms, seq");
    statement_bind_int(read, 1, from_ms);
    statement_bind_int(read, 2, to_ms);
    for (bool more = true; more && statement_step(read);) {
        struct entry entry;
        size_t size, step;
        const uint8_t *body = statement_bytes(read, 2, &size);
        if (entry_open(body, size, &entry, &step)) /* what is damaged is passed over */
            more = sink(context, &entry);
    }
    statement_done(read);
    return database_clear(database, ret_failure);
}
