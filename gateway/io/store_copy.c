/* SPDX-License-Identifier: Apache-2.0 */
/* The copy: "YHCOPY1\n", wall time u64, rows, sum u64 over all before it. A row is a table's number + 1 and its columns as the
 * table's types say (i zigzag, d double, t text, b length and bytes); 0 ends the rows. The rename comes after the sync of the
 * file and before that of the folder, so that after a power cut there is the old copy or the new one.
 *
 * Invariant: rows are added by INSERT OR IGNORE only: what the spool has already is newer than the copy. */
#include "gateway/io/store_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fnv.h"
#include "gateway/io/store_files.h"
#include "gateway/io/store_spool.h"

struct small_table {
    const char *name, *select, *insert, *types;
};

static const struct small_table small_tables[] = {
    {"record", "SELECT owner, name, body FROM record ORDER BY owner, name", "INSERT OR IGNORE INTO record VALUES(?, ?, ?)", "ttb"},
    {"uplink", "SELECT number, name FROM uplink ORDER BY number", "INSERT OR IGNORE INTO uplink VALUES(?, ?)", "it"},
    {"series", "SELECT number, device, point, unit, scale, shift FROM series ORDER BY number",
     "INSERT OR IGNORE INTO series VALUES(?, ?, ?, ?, ?, ?)", "itttdd"},
    {"cursor", "SELECT uplink, lane, low, ranges FROM cursor ORDER BY uplink, lane", "INSERT OR IGNORE INTO cursor VALUES(?, ?, ?, ?)", "iiib"},
    {"meta", "SELECT 'next_seq', max(value) FROM (SELECT value FROM meta WHERE key = 'next_seq' UNION ALL SELECT max(last_seq) + 1 FROM run_fire"
             " UNION ALL SELECT max(last_seq) + 1 FROM run_event UNION ALL SELECT max(last_seq) + 1 FROM run_reading)",
     "INSERT OR IGNORE INTO meta VALUES(?, ?)", "ti"},
};
#define SMALL_TABLES (sizeof(small_tables) / sizeof(small_tables[0]))
#define TABLE_RECORD 0
#define TABLE_UPLINK 1

static const char magic[] = "YHCOPY1\n";
#define MAGIC_SIZE 8
#define HEAD_SIZE (MAGIC_SIZE + 8)
/* Its sum finds torn and cut files; nobody is kept from writing a good one. */

/* ---- writing ---- */

static void put_row(struct bytes_writer *writer, unsigned table, struct statement *row) {
    bytes_put_u8(writer, (uint8_t)(table + 1));
    for (int column = 0; small_tables[table].types[column]; column++) {
        size_t size;
        const uint8_t *bytes;
        switch (small_tables[table].types[column]) {
        case 'i':
            bytes_put_zigzag(writer, statement_int(row, column));
            break;
        case 'd':
            bytes_put_double(writer, statement_double(row, column));
            break;
        case 't':
            bytes_put_text(writer, statement_text(row, column));
            break;
        default:
            bytes = statement_bytes(row, column, &size);
            bytes_put_varint(writer, size);
            bytes_put_raw(writer, size ? bytes : (const uint8_t *)"", size);
            break;
        }
    }
}

/* All rows into the writer; false when they do not fit. */
static bool put_rows(struct bytes_writer *writer, struct database *spool) {
    for (unsigned i = 0; i < SMALL_TABLES; i++) {
        struct statement *rows = database_prepare(spool, small_tables[i].select);
        while (statement_step(rows))
            put_row(writer, i, rows);
        statement_done(rows);
    }
    bytes_put_u8(writer, 0);
    return !writer->full;
}

static bool file_put(const char *dir, const uint8_t *bytes, size_t size, int *ret_os_error) {
    char path[STORE_PATH_SIZE], fresh[STORE_PATH_SIZE];
    *ret_os_error = ENAMETOOLONG;
    if (files_path(dir, COPY_NAME, path) != ERR_OK || files_path(dir, COPY_NAME ".new", fresh) != ERR_OK)
        return false;
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool done = fd >= 0;
    for (size_t at = 0; done && at < size;) {
        ssize_t written = write(fd, bytes + at, size - at);
        done = written > 0 || (written < 0 && errno == EINTR);
        at += written > 0 ? (size_t)written : 0;
    }
    done = done && fsync(fd) == 0;
    *ret_os_error = errno;
    if (fd >= 0 && close(fd) != 0)
        done = false;
    if (done && rename(fresh, path) != 0) {
        *ret_os_error = errno;
        done = false;
    }
    if (done)
        files_sync_folder(dir);
    else
        unlink(fresh); /* a half one would only take room */
    return done;
}

enum err copy_write(const char *dir, struct database *spool, uint64_t *io_sum, struct database_failure *ret_failure) {
    struct bytes_writer writer;
    struct now now;
    uint8_t *bytes = NULL;
    bool fits = false;
    enum err err = ERR_OK;
    *ret_failure = (struct database_failure){.err = ERR_OK};
    for (size_t size = 64 << 10; err == ERR_OK && !fits && size <= COPY_SIZE_MAX; size *= 4) {
        free(bytes);
        if (!(bytes = malloc(size)))
            return ret_failure->err = ERR_NOMEM;
        now_read(&now);
        bytes_writer_init(&writer, bytes, size - 8);
        bytes_put_raw(&writer, magic, MAGIC_SIZE);
        bytes_put_u64(&writer, (uint64_t)now.wall_ms);
        fits = put_rows(&writer, spool);
        err = database_clear(spool, ret_failure);
    }
    if (err == ERR_OK && !fits)
        err = ret_failure->err = ERR_RANGE;
    if (err == ERR_OK) {
        uint64_t content = fnv_add(FNV_START, bytes + HEAD_SIZE, writer.length - HEAD_SIZE);
        if (content != *io_sum) {
            writer.size += 8;
            bytes_put_u64(&writer, fnv_add(FNV_START, bytes, writer.length));
            if (file_put(dir, bytes, writer.length, &ret_failure->os_error))
                *io_sum = content;
            else
                err = ret_failure->err = ERR_IO;
        }
    }
    free(bytes);
    return err;
}

/* ---- reading ---- */

static uint8_t *file_get(const char *dir, size_t *ret_size) {
    char path[STORE_PATH_SIZE];
    struct stat status;
    if (files_path(dir, COPY_NAME, path) != ERR_OK)
        return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (fd >= 0 && fstat(fd, &status) == 0 && status.st_size > 0 && status.st_size <= (off_t)COPY_SIZE_MAX)
        bytes = malloc((size_t)status.st_size);
    while (bytes && size < (size_t)status.st_size) {
        ssize_t got = read(fd, bytes + size, (size_t)status.st_size - size);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            break; /* cut: the sum will not hold */
        size += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0)
        close(fd);
    *ret_size = size;
    return bytes;
}

static void add_row(struct bytes_reader *reader, unsigned table, struct statement *insert) {
    char texts[4][EVENT_TEXT_SIZE];
    unsigned texts_count = 0;
    for (int column = 0; small_tables[table].types[column]; column++) {
        size_t size;
        switch (small_tables[table].types[column]) {
        case 'i':
            statement_bind_int(insert, column + 1, bytes_get_zigzag(reader));
            break;
        case 'd':
            statement_bind_double(insert, column + 1, bytes_get_double(reader));
            break;
        case 't':
            bytes_get_text(reader, texts[texts_count], sizeof(texts[0]));
            statement_bind_text(insert, column + 1, texts[texts_count++]);
            break;
        default:
            size = (size_t)bytes_get_varint(reader);
            statement_bind_bytes(insert, column + 1, bytes_get_raw(reader, size), reader->failed ? 0 : size);
            break;
        }
    }
    if (!reader->failed)
        statement_step(insert);
    statement_reset(insert);
}

static void add_rows(struct bytes_reader *reader, struct database *spool) {
    struct statement *inserts[SMALL_TABLES];
    for (unsigned i = 0; i < SMALL_TABLES; i++)
        inserts[i] = database_prepare(spool, small_tables[i].insert);
    for (uint8_t table; (table = bytes_get_u8(reader)) != 0 && table <= SMALL_TABLES && !reader->failed;)
        add_row(reader, table - 1u, inserts[table - 1]);
    for (unsigned i = 0; i < SMALL_TABLES; i++)
        statement_done(inserts[i]);
}

enum err copy_restore(const char *dir, struct database *spool, int64_t *ret_at_ms) {
    size_t size;
    uint8_t *bytes = file_get(dir, &size);
    struct bytes_reader reader;
    if (!bytes)
        return ERR_NOT_FOUND;
    bool whole = size > HEAD_SIZE + 8 && memcmp(bytes, magic, MAGIC_SIZE) == 0;
    if (whole) {
        bytes_reader_init(&reader, bytes + size - 8, 8);
        whole = bytes_get_u64(&reader) == fnv_add(FNV_START, bytes, size - 8);
    }
    if (whole) {
        bytes_reader_init(&reader, bytes + MAGIC_SIZE, size - MAGIC_SIZE - 8);
        *ret_at_ms = (int64_t)bytes_get_u64(&reader);
        add_rows(&reader, spool);
    }
    free(bytes);
    return whole ? ERR_OK : ERR_CORRUPT;
}

/* ---- out of a damaged spool ---- */

static bool table_whole(struct database *from, const char *table) {
    struct database_failure failure;
    const char *const tables[] = {table, NULL};
    return database_check_tables(from, tables, &failure) == ERR_OK;
}

static void copy_columns(struct statement *read, struct statement *write, const char *types) {
    for (int column = 0; types[column]; column++) {
        size_t size;
        const uint8_t *bytes;
        if (types[column] == 'i') {
            statement_bind_int(write, column + 1, statement_int(read, column));
        } else if (types[column] == 'd') {
            statement_bind_double(write, column + 1, statement_double(read, column));
        } else if (types[column] == 't') {
            statement_bind_text(write, column + 1, statement_text(read, column));
        } else {
            bytes = statement_bytes(read, column, &size);
            statement_bind_bytes(write, column + 1, bytes, size);
        }
    }
    statement_step(write);
}

static bool table_copy(struct database *from, struct database *to, const struct small_table *table) {
    if (!table_whole(from, table->name))
        return false;
    struct statement *read = database_prepare(from, table->select), *write = database_prepare(to, table->insert);
    while (statement_step(read))
        copy_columns(read, write, table->types);
    statement_done(read);
    statement_done(write);
    return database_clear(from, NULL) == ERR_OK;
}

void records_copy(struct database *from, struct database *to) {
    (void)table_copy(from, to, &small_tables[TABLE_RECORD]);
}

/* A page of garbage may still look like a row: every entry of the run must be whole, of this lane, and of its seqs. */
static bool run_whole(struct statement *row, enum lane lane) {
    size_t size, step, at = 0;
    const uint8_t *body = statement_bytes(row, 4, &size);
    uint64_t first = (uint64_t)statement_int(row, 0), last = (uint64_t)statement_int(row, 1), seq = 0;
    struct entry entry;
    for (; at < size && entry_open(body + at, size - at, &entry, &step); at += step) {
        if (entry.lane != lane || entry.seq <= seq || entry.seq < first || entry.seq > last)
            return false;
        seq = entry.seq;
    }
    return size && at == size;
}

/* From one end until something cannot be read or the other pass has been; the runs saved, *io_edge the seq reached. Entries of runs that
 * everybody has (events that wait for the archive) are not counted: last_seq up to `low`. */
static uint64_t runs_copy(struct database *from, struct database *to, enum lane lane, bool upwards, int64_t low, int64_t *io_edge,
                          uint64_t *io_entries) {
    char sql[192];
    const char *table = spool_lane_tables[lane];
    snprintf(sql, sizeof(sql), "SELECT first_seq, last_seq, n, uplinks, body FROM %s WHERE first_seq > ? ORDER BY first_seq %s", table,
             upwards ? "" : "DESC");
    struct statement *read = database_prepare(from, sql);
    snprintf(sql, sizeof(sql), "INSERT OR IGNORE INTO %s(first_seq, last_seq, n, uplinks, body) VALUES(?, ?, ?, ?, ?)", table);
    struct statement *write = database_prepare(to, sql);
    uint64_t runs = 0;
    statement_bind_int(read, 1, *io_edge);
    while (statement_step(read) && run_whole(read, lane)) {
        *io_edge = statement_int(read, upwards ? 1 : 0);
        *io_entries += statement_int(read, 1) > low ? (uint64_t)statement_int(read, 2) : 0;
        copy_columns(read, write, "iiiib");
        runs++;
    }
    statement_done(read);
    statement_done(write);
    database_clear(from, NULL);
    return runs;
}

static void lane_salvage(struct database *from, struct database *to, enum lane lane, struct salvage *salvage) {
    char sql[192];
    snprintf(sql, sizeof(sql), "SELECT coalesce(min(low), 0) FROM cursor WHERE lane = %d", (int)lane);
    int64_t low = database_number(to, sql), edge = 0, upper;
    uint64_t entries = 0;
    salvage->runs += runs_copy(from, to, lane, true, low, &edge, &entries);
    upper = edge;
    salvage->runs += runs_copy(from, to, lane, false, low, &upper, &entries);
    snprintf(sql, sizeof(sql), "SELECT coalesce(sum(n), 0) FROM %s WHERE last_seq > %lld", spool_lane_tables[lane], (long long)low);
    uint64_t all = (uint64_t)database_number(from, sql);
    if (database_clear(from, NULL) != ERR_OK) /* not even the numbers: at most this many are between the two ends */
        all = entries + (upper > edge ? (uint64_t)(upper - edge - 1) : 1);
    salvage->lost[lane] = all > entries ? all - entries : 0;
    if (!salvage->lost[lane])
        return;
    int64_t first = edge > low ? edge + 1 : low + 1, last = upper > first ? upper - 1 : first + (int64_t)salvage->lost[lane] - 1;
    struct statement *gap = database_prepare(to, "INSERT OR REPLACE INTO gap SELECT number, ?1, ?2, ?3, ?4 FROM uplink WHERE"
                                                 " coalesce((SELECT low FROM cursor WHERE uplink = number AND lane = ?1), 0) < ?3"); /* who has all lost nothing */
    statement_bind_int(gap, 1, lane);
    statement_bind_int(gap, 2, first);
    statement_bind_int(gap, 3, last);
    statement_bind_int(gap, 4, (int64_t)salvage->lost[lane]);
    statement_step(gap);
    statement_done(gap);
}

void spool_salvage(const char *path, struct database *spool, struct salvage *ret_salvage) {
    struct database *from;
    struct database_failure failure;
    *ret_salvage = (struct salvage){.records = false};
    if (database_open(path, DATABASE_READER, &from, &failure) != ERR_OK)
        return;
    int64_t version = database_number(from, "PRAGMA user_version");
    bool known = version == 1 || version == SPOOL_VERSION; /* what is taken out of them is the same */
    if (database_clear(from, NULL) == ERR_OK && known)
        for (unsigned i = 0; i < SMALL_TABLES; i++) {
            bool whole = table_copy(from, spool, &small_tables[i]);
            ret_salvage->records |= whole && i == TABLE_RECORD;
            ret_salvage->names |= whole && i == TABLE_UPLINK;
        }
    for (unsigned lane = 0; ret_salvage->names && lane < LANES_COUNT; lane++) /* else nobody knows whom entries are for */
        lane_salvage(from, spool, (enum lane)lane, ret_salvage);
    database_close(from);
}
