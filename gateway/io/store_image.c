/* SPDX-License-Identifier: Apache-2.0 */
/* What the store knows at start. Numbers of series are given once and never again: the table only grows, and history.db
 * keeps a copy, so that stored readings keep their names also when one of the two files had to be put aside. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "gateway/io/store_spool.h"

const char *const spool_lane_tables[LANES_COUNT] = {"run_fire", "run_event", "run_reading"};

const char record_put_sql[] = "INSERT OR REPLACE INTO record VALUES(?, ?, ?)";
const char record_remove_sql[] = "DELETE FROM record WHERE owner = ? AND name = ?";

const char series_sql[] = "CREATE TABLE IF NOT EXISTS series(number INTEGER PRIMARY KEY, device TEXT NOT NULL, point TEXT NOT NULL,"
                          " unit TEXT NOT NULL, scale REAL NOT NULL, shift REAL NOT NULL, UNIQUE(device, point, unit, scale, shift))";

/* By uplink and lane. */
static const char gap_sql[] = "CREATE TABLE gap(uplink INTEGER, lane INTEGER, first INTEGER NOT NULL, last INTEGER NOT NULL, n INTEGER NOT NULL,"
                              " PRIMARY KEY(uplink, lane)) WITHOUT ROWID";

/* upto: bytes of the lane's runs up to the end of this one. What was there before is not measured. A gap was everybody's. */
static void spool_upgrade(struct database *database) {
    for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
        char sql[128];
        snprintf(sql, sizeof(sql), "ALTER TABLE %s ADD COLUMN upto INTEGER NOT NULL DEFAULT 0", spool_lane_tables[lane]);
        database_run(database, sql);
    }
    database_run(database, "ALTER TABLE gap RENAME TO gap_1");
    database_run(database, gap_sql);
    database_run(database, "INSERT INTO gap SELECT number, lane, first, last, n FROM gap_1, uplink; DROP TABLE gap_1; PRAGMA user_version = 2");
}

enum err spool_create(struct database *database, struct database_failure *ret_failure) {
    int64_t version;
    enum err err = database_version(database, SPOOL_VERSION, &version, ret_failure);
    if (err != ERR_OK || version == SPOOL_VERSION)
        return err;
    database_begin(database);
    if (version == 1) {
        spool_upgrade(database);
        return database_end(database, ret_failure);
    }
    for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
        char sql[256];
        snprintf(sql, sizeof(sql),
                 "CREATE TABLE %s(first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, n INTEGER NOT NULL,"
                 " uplinks INTEGER NOT NULL, body BLOB NOT NULL, upto INTEGER NOT NULL DEFAULT 0)",
                 spool_lane_tables[lane]);
        database_run(database, sql);
    }
    database_run(database, "CREATE TABLE cursor(uplink INTEGER, lane INTEGER, low INTEGER NOT NULL, ranges BLOB NOT NULL,"
                           " PRIMARY KEY(uplink, lane)) WITHOUT ROWID;"
                           "CREATE TABLE record(owner TEXT, name TEXT, body BLOB NOT NULL, PRIMARY KEY(owner, name)) WITHOUT ROWID;"
                           "CREATE TABLE uplink(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
                           "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
                           "PRAGMA user_version = 2");
    database_run(database, gap_sql);
    database_run(database, series_sql);
    return database_end(database, ret_failure);
}

/* Both ways at start, new numbers only. */
static void series_copy(struct database *from, struct database *to) {
    struct statement *read = database_prepare(from, "SELECT number, device, point, unit, scale, shift FROM series WHERE number >= ? ORDER BY number");
    struct statement *write = database_prepare(to, "INSERT OR IGNORE INTO series VALUES(?, ?, ?, ?, ?, ?)");
    statement_bind_int(read, 1, database_number(to, "SELECT coalesce(max(number) + 1, 0) FROM series"));
    while (statement_step(read)) {
        statement_bind_int(write, 1, statement_int(read, 0));
        for (int column = 1; column <= 3; column++)
            statement_bind_text(write, column + 1, statement_text(read, column));
        statement_bind_double(write, 5, statement_double(read, 4));
        statement_bind_double(write, 6, statement_double(read, 5));
        statement_step(write);
    }
    statement_done(read);
    statement_done(write);
}

static void series_bind(struct statement *statement, const char *device, const struct point *point) {
    statement_bind_text(statement, 1, device);
    statement_bind_text(statement, 2, point->name);
    statement_bind_text(statement, 3, point->unit);
    statement_bind_double(statement, 4, point->scale);
    statement_bind_double(statement, 5, point->offset);
}

/* Every point of the configuration gets the number of its series, a new one if it has none. False when there are too many. A
 * told number that belongs to another series already is not taken, and the caller sees that the numbers differ. */
static bool series_assign(struct database *database, const struct config *config, const uint32_t *told, uint32_t *of_point) {
    struct statement *find =
        database_prepare(database, "SELECT number FROM series WHERE device = ? AND point = ? AND unit = ? AND scale = ? AND shift = ?");
    struct statement *add = database_prepare(database, "INSERT INTO series(device, point, unit, scale, shift, number) VALUES(?, ?, ?, ?, ?, ?)");
    struct statement *taken = database_prepare(database, "SELECT 1 FROM series WHERE number = ?");
    int64_t next = database_number(database, "SELECT coalesce(max(number) + 1, 0) FROM series");
    for (unsigned d = 0; d < config->devices_count; d++) {
        const struct device_spec *device = &config->devices[d].spec;
        for (unsigned p = 0; p < device->points_count; p++) {
            uint32_t *number = &of_point[config->devices[d].first_point + p];
            series_bind(find, device->name, &device->points[p]);
            if (statement_step(find)) {
                *number = (uint32_t)statement_int(find, 0);
                statement_reset(find);
                continue;
            }
            *number = (uint32_t)next;
            if (told) {
                uint32_t wanted = told[number - of_point];
                statement_bind_int(taken, 1, wanted);
                if (!statement_step(taken))
                    *number = wanted;
                statement_reset(taken);
            }
            next = *number >= next ? (int64_t)*number + 1 : next;
            series_bind(add, device->name, &device->points[p]);
            statement_bind_int(add, 6, *number);
            statement_step(add);
        }
    }
    statement_done(find);
    statement_done(add);
    statement_done(taken);
    return next <= SERIES_MAX;
}

static void series_read(struct database *database, struct arena *arena, struct series_directory *ret_series) {
    uint32_t count = (uint32_t)database_number(database, "SELECT coalesce(max(number) + 1, 0) FROM series");
    struct series *items = arena_take(arena, count ? count : 1, sizeof(*items));
    for (uint32_t i = 0; i < count; i++)
        items[i] = (struct series){"", ""};
    struct statement *read = database_prepare(database, "SELECT number, device, point FROM series");
    while (statement_step(read)) {
        struct series *series = &items[statement_int(read, 0)];
        for (int column = 1; column <= 2; column++) {
            const char *text = statement_text(read, column);
            const char *copy = arena_text(arena, text, strlen(text));
            *(column == 1 ? &series->device : &series->point) = copy;
        }
    }
    statement_done(read);
    ret_series->count = count;
    ret_series->items = items;
}

static uint64_t next_seq_read(struct database *database) {
    int64_t next_seq = database_number(database, "SELECT value FROM meta WHERE key = 'next_seq'");
    for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
        char sql[128]; /* the largest key's row: no scan */
        snprintf(sql, sizeof(sql), "SELECT last_seq + 1 FROM %s ORDER BY first_seq DESC LIMIT 1", spool_lane_tables[lane]);
        int64_t after = database_number(database, sql);
        next_seq = after > next_seq ? after : next_seq;
    }
    return next_seq > 1 ? (uint64_t)next_seq : 1;
}

/* False when the stored ranges make no sense: what is above the mark is then delivered again. */
static bool ranges_read(const uint8_t *bytes, size_t size, struct cursor *cursor) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, bytes, size);
    uint64_t above = cursor->low;
    while (reader.position < reader.size && !reader.failed && cursor->ranges_count < RANGES_MAX) {
        struct acked_range range;
        range.from = cursor->low + bytes_get_varint(&reader);
        range.to = range.from + bytes_get_varint(&reader);
        if (reader.failed || range.from <= above + 1 || range.to < range.from || range.to >= (uint64_t)INT64_MAX)
            return false;
        cursor->ranges[cursor->ranges_count++] = range;
        above = range.to;
    }
    return !reader.failed;
}

static int uplink_index(const struct config *config, const char *name) {
    for (int i = 0; i < config->uplinks_count; i++)
        if (strcmp(config->uplinks[i].name, name) == 0)
            return i;
    return -1;
}

/* Uplinks that left the configuration go with their cursors; new ones take the lowest free numbers. Entries of before carry
 * a reused bit perhaps, but lie below the new uplink's cursors, which start at the present end. */
static void uplinks_assign(struct database *database, const struct config *config, const uint8_t *told, uint64_t *next_seq, struct spool *spool) {
    bool known[UPLINKS_MAX] = {false}, used[UPLINKS_MAX] = {false}, gone[UPLINKS_MAX] = {false};
    struct statement *read = database_prepare(database, "SELECT number, name FROM uplink WHERE number BETWEEN 0 AND 15");
    while (statement_step(read)) {
        int64_t number = statement_int(read, 0);
        int index = uplink_index(config, statement_text(read, 1));
        gone[number] = index < 0;
        if (index >= 0) {
            spool->numbers[index] = (uint8_t)number;
            known[index] = used[number] = true;
        }
    }
    statement_done(read);
    read = database_prepare(database, "SELECT uplink, lane, low, ranges FROM cursor WHERE uplink BETWEEN 0 AND 15 AND lane BETWEEN 0 AND 2");
    while (statement_step(read)) {
        struct cursor cursor = {.low = (uint64_t)statement_int(read, 2)};
        size_t size;
        const uint8_t *ranges = statement_bytes(read, 3, &size);
        if (!ranges_read(ranges, size, &cursor))
            cursor.ranges_count = 0;
        if (cursor_reach(&cursor) >= *next_seq)
            *next_seq = cursor_reach(&cursor) + 1;
        for (unsigned i = 0; i < config->uplinks_count; i++)
            if (known[i] && spool->numbers[i] == statement_int(read, 0))
                spool->cursors[i][statement_int(read, 1)] = cursor;
    }
    statement_done(read);
    for (unsigned number = 0; number < UPLINKS_MAX; number++)
        if (gone[number]) {
            char sql[128];
            snprintf(sql, sizeof(sql), "DELETE FROM uplink WHERE number = %u; DELETE FROM cursor WHERE uplink = %u; DELETE FROM gap WHERE uplink = %u", number,
                     number, number);
            database_run(database, sql);
        }
    struct statement *add = database_prepare(database, "INSERT INTO uplink(number, name) VALUES(?, ?)");
    for (unsigned i = 0; i < config->uplinks_count; i++) {
        if (known[i])
            continue;
        unsigned number = told && !used[told[i]] ? told[i] : 0;
        while (used[number])
            number++;
        CHECK(number < UPLINKS_MAX);
        used[number] = true;
        spool->numbers[i] = (uint8_t)number;
        statement_bind_int(add, 1, number);
        statement_bind_text(add, 2, config->uplinks[i].name);
        statement_step(add);
        for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
            spool->cursors[i][lane] = (struct cursor){.low = *next_seq - 1};
            spool->dirty[i][lane] = true;
        }
    }
    statement_done(add);
}

static void meta_write(struct database *database, const struct config *config, uint64_t next_seq, struct store_image *image) {
    struct statement *read = database_prepare(database, "SELECT value FROM meta WHERE key = 'configuration'");
    if (statement_step(read))
        image->configuration_changed = strcmp(statement_text(read, 0), config->hash) != 0;
    statement_done(read);
    struct statement *put = database_prepare(database, "INSERT OR REPLACE INTO meta VALUES('configuration', ?)");
    statement_bind_text(put, 1, config->hash);
    statement_step(put);
    statement_done(put);
    put = database_prepare(database, "INSERT OR REPLACE INTO meta VALUES('next_seq', ?)");
    statement_bind_int(put, 1, (int64_t)next_seq);
    statement_step(put);
    statement_done(put);
    database_run(database, "INSERT INTO meta VALUES('starts', 1) ON CONFLICT(key) DO UPDATE SET value = value + 1");
}

static void records_read(struct database *database, struct arena *arena, struct store_image *image) {
    uint32_t count = (uint32_t)database_number(database, "SELECT count(*) FROM record");
    struct store_record *records = arena_take(arena, count ? count : 1, sizeof(*records));
    struct statement *read = database_prepare(database, "SELECT owner, name, body FROM record");
    for (uint32_t i = 0; i < count && statement_step(read); i++) {
        struct store_record *record = &records[i];
        const char *owner = statement_text(read, 0), *name = statement_text(read, 1);
        record->owner = arena_text(arena, owner, strlen(owner));
        record->name = arena_text(arena, name, strlen(name));
        const uint8_t *body = statement_bytes(read, 2, &record->size);
        record->bytes = (const uint8_t *)arena_text(arena, body ? (const char *)body : "", record->size);
        image->records_count = i + 1;
    }
    statement_done(read);
    image->records = records;
}

static void gaps_read(struct spool *spool) {
    struct statement *read = database_prepare(spool->database, "SELECT uplink, lane, first, last, n FROM gap WHERE lane BETWEEN 0 AND 2");
    while (statement_step(read))
        for (unsigned i = 0; i < spool->uplinks_count; i++)
            if (spool->numbers[i] == statement_int(read, 0))
                spool->evicted[i][statement_int(read, 1)] = (struct missed){
                    .from = (uint64_t)statement_int(read, 2), .to = (uint64_t)statement_int(read, 3), .count = (uint64_t)statement_int(read, 4)};
    statement_done(read);
}

static void spool_prepare(struct spool *spool) {
    struct database *database = spool->database;
    spool->put_cursor = database_prepare(database, "INSERT OR REPLACE INTO cursor VALUES(?, ?, ?, ?)");
    spool->put_record = database_prepare(database, record_put_sql);
    spool->remove_record = database_prepare(database, record_remove_sql);
    spool->put_next_seq = database_prepare(database, "INSERT INTO meta VALUES('next_seq', ?1)"
                                                     " ON CONFLICT(key) DO UPDATE SET value = max(value, ?1)");
    spool->put_gap = database_prepare(database, "INSERT OR REPLACE INTO gap VALUES(?, ?, ?, ?, ?)");
    spool->remove_gap = database_prepare(database, "DELETE FROM gap WHERE uplink = ? AND lane = ?");
    for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
        const char *table = spool_lane_tables[lane];
        char sql[256];
        snprintf(sql, sizeof(sql),
                 "INSERT OR REPLACE INTO %s VALUES(?1, ?2, ?3, ?4, ?5, ?6 + coalesce((SELECT upto FROM %s ORDER BY first_seq DESC LIMIT 1), 0))", table,
                 table);
        spool->put_run[lane] = database_prepare(database, sql);
        snprintf(sql, sizeof(sql), "SELECT first_seq, last_seq, uplinks, body FROM %s ORDER BY first_seq LIMIT 1", table);
        spool->oldest[lane] = database_prepare(database, sql);
        snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE first_seq = ?", table);
        spool->remove_run[lane] = database_prepare(database, sql);
        snprintf(sql, sizeof(sql),
                 "SELECT first_seq, last_seq, uplinks, body, upto FROM %s"
                 " WHERE first_seq >= coalesce((SELECT max(first_seq) FROM %s WHERE first_seq <= ?1), 0) AND last_seq >= ?1 AND uplinks & ?2"
                 " ORDER BY first_seq LIMIT 1",
                 table, table);
        spool->owed[lane] = database_prepare(database, sql);
        snprintf(sql, sizeof(sql), "SELECT upto FROM %s ORDER BY first_seq DESC LIMIT 1", table);
        spool->newest[lane] = database_prepare(database, sql);
        snprintf(sql, sizeof(sql), "UPDATE %s SET uplinks = ?2 WHERE first_seq = ?1", table);
        spool->unmask[lane] = database_prepare(database, sql);
    }
}

static void limits_take(struct spool *spool, const struct config *config) {
    for (unsigned i = 0; i < spool->uplinks_count; i++) {
        const struct config_keep *keep = &config->uplinks[i].keep;
        for (unsigned lane = 0; lane < LANES_COUNT; lane++)
            spool->limits[i][lane] = lane == LANE_READING ? (struct spool_limits){.ms = keep->readings_ms, .bytes = keep->readings_bytes}
                                                          : (struct spool_limits){.ms = keep->events_ms, .bytes = keep->events_bytes};
    }
}

/* The quota is for entries; names and records, which are small and bounded by the configuration, come on top. */
static int64_t bytes_allowed(const struct config *config, const struct store_image *image) {
    int64_t entries = (int64_t)config->store.spool_bytes_max;
    int64_t records = (int64_t)image->records_count + config->alarms_count + STORE_RECORDS_OTHERS;
    int64_t others = (int64_t)image->series.count * 256 + records * 512;
    return (entries > SPOOL_BYTES_MIN ? entries : SPOOL_BYTES_MIN) + others;
}

enum err spool_load(struct database *database, struct database *history, const struct config *config, const struct store_image *told,
                    struct arena *arena, struct store_image *ret_image, struct spool *ret_spool, struct database **ret_failed,
                    struct database_failure *ret_failure) {
    *ret_failed = database;
    *ret_spool = (struct spool){.database = database, .uplinks_count = config->uplinks_count};
    *ret_image = (struct store_image){.next_seq = 1};
    uint32_t *of_point = arena_take(arena, config->points_count ? config->points_count : 1, sizeof(*of_point));
    database_begin(database);
    uint64_t next_seq = next_seq_read(database);
    uplinks_assign(database, config, told ? told->uplink_numbers : NULL, &next_seq, ret_spool);
    meta_write(database, config, next_seq, ret_image);
    series_copy(history, database);
    bool enough = series_assign(database, config, told ? told->series.of_point : NULL, of_point);
    enum err err = database_end(database, ret_failure);
    if (err == ERR_OK && !enough) {
        snprintf(ret_failure->text, sizeof(ret_failure->text), "more than %d series were ever recorded", SERIES_MAX);
        err = ret_failure->err = ERR_FULL;
    }
    struct database_failure history_failure;
    if (err != ERR_OK) {
        database_clear(history, &history_failure);
        return err;
    }
    *ret_failed = history;
    err = database_clear(history, ret_failure); /* its names could not be read */
    if (err != ERR_OK)
        return err;
    database_begin(history);
    series_copy(database, history);
    err = database_end(history, ret_failure);
    if (err != ERR_OK)
        return err;
    *ret_failed = database;
    series_read(database, arena, &ret_image->series);
    ret_image->series.of_point = of_point;
    records_read(database, arena, ret_image);
    gaps_read(ret_spool);
    spool_prepare(ret_spool);
    limits_take(ret_spool, config);
    ret_spool->bytes_max = ret_spool->bytes_quota = bytes_allowed(config, ret_image);
    ret_spool->page_size = database_page_size(database);
    char sql[64];
    snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %lld", (long long)((ret_spool->bytes_max + SPOOL_BYTES_SPARE) / ret_spool->page_size));
    database_run(database, sql);
    err = database_clear(database, ret_failure);
    if (err == ERR_OK)
        err = spool_commit(ret_spool, NULL, ret_failure); /* the cursors of new uplinks, and what left ones held up */
    ret_image->next_seq = next_seq;
    memcpy(ret_image->uplink_numbers, ret_spool->numbers, sizeof(ret_image->uplink_numbers));
    memcpy(ret_image->cursors, ret_spool->cursors, sizeof(ret_image->cursors));
    return err;
}
