/* SPDX-License-Identifier: Apache-2.0 */
/* A row's id is window << 20 | series, so that rows are appended and one series in a time is a probe a window.
 *
 *   level      window of            made from
 *   10 min     2 slots              chunks, and what of its time is in folded hours
 *   hour       6 windows of 10 min  their rows
 *   day        144 of them          their rows, shifted by the civil time's offset
 *
 * Invariant: `rolled` holds for each level the first window that is not written yet; everything before it stands as the readings do.
 * A clock that ran ahead for a while leaves a mark in the future. The first chunk after it was set back reopens from there on, or
 * nothing would be summed until that future has come.
 * What there is to write is found by chunks alone: a window without any is either empty, or its hour was folded (store_fold.h) after it had
 * been written. When a chunk comes late to a folded hour, its window is summed from both. */
#include "gateway/io/store_rollup.h"

#include <stdio.h>

#include "gateway/io/store_chunk.h"

#define WINDOW_SLOTS 2
#define WINDOW_MS ((int64_t)SLOT_MS * WINDOW_SLOTS)
#define STEP_WINDOWS 144     /* a day a call */
#define STEP_READINGS 400000 /* or when so many were summed: alarms are committed by the same thread */
#define HOUR_WINDOWS (HOUR_SLOTS / WINDOW_SLOTS)

struct level {
    const char *table;
    int64_t windows; /* of 10 minutes in one */
};

static const struct level levels[ROLLUP_LEVELS] = {{"rollup_10min", 1}, {"rollup_hour", 6}, {"rollup_day", 144}};

#define ROLLUP_COLUMNS "(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, valid INTEGER NOT NULL, least REAL, mean REAL, most REAL);"
const char rollup_sql[] = "CREATE TABLE IF NOT EXISTS rollup_10min" ROLLUP_COLUMNS "CREATE TABLE IF NOT EXISTS rollup_hour" ROLLUP_COLUMNS
                          "CREATE TABLE IF NOT EXISTS rollup_day" ROLLUP_COLUMNS
                          "CREATE TABLE IF NOT EXISTS rolled(level INTEGER PRIMARY KEY, next INTEGER NOT NULL)";

struct sum {
    uint64_t count, valid;
    double least, sum, most;
};

struct rollup {
    struct database *database;
    uint32_t series_count;
    int64_t day_shift; /* windows by which a civil day begins before that of UTC */
    struct sum *sums;  /* by series; zero between uses */
    uint64_t read;     /* readings, in this call */
    struct statement *chunks, *hour, *next_chunk, *get_mark, *put_mark;
    struct statement *put[ROLLUP_LEVELS], *rows, *next_row, *expire[ROLLUP_LEVELS];
};

static int64_t shift_of(enum rollup_level level, int offset_minutes) {
    return level == ROLLUP_DAY ? offset_minutes / 10 : 0;
}

struct rollup *rollup_open(struct database *database, uint32_t series_count, int offset_minutes, struct arena *arena) {
    struct rollup *rollup = arena_take(arena, 1, sizeof(*rollup));
    *rollup = (struct rollup){.database = database, .series_count = series_count, .day_shift = shift_of(ROLLUP_DAY, offset_minutes)};
    rollup->sums = arena_take(arena, series_count ? series_count : 1, sizeof(*rollup->sums));
    for (uint32_t i = 0; i < series_count; i++)
        rollup->sums[i] = (struct sum){0};
    rollup->chunks = database_prepare(database, "SELECT id, body FROM chunk WHERE id >= ? AND id < ? ORDER BY id");
    rollup->hour = database_prepare(database, "SELECT body FROM hour WHERE id >= ? AND id < ?");
    rollup->next_chunk = database_prepare(database, "SELECT id FROM chunk WHERE id >= ? ORDER BY id LIMIT 1");
    rollup->rows = database_prepare(database, "SELECT id, n, valid, least, mean, most FROM rollup_10min WHERE id >= ? AND id < ? ORDER BY id");
    rollup->next_row = database_prepare(database, "SELECT id FROM rollup_10min WHERE id >= ? ORDER BY id LIMIT 1");
    rollup->get_mark = database_prepare(database, "SELECT next FROM rolled WHERE level = ?");
    rollup->put_mark = database_prepare(database, "INSERT OR REPLACE INTO rolled VALUES(?, ?)");
    for (unsigned i = 0; i < ROLLUP_LEVELS; i++) {
        char sql[128];
        snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO %s VALUES(?, ?, ?, ?, ?, ?)", levels[i].table);
        rollup->put[i] = database_prepare(database, sql);
        snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE id < ?", levels[i].table);
        rollup->expire[i] = database_prepare(database, sql);
    }
    return rollup;
}

/* ---- summing ---- */

static void sum_add(struct sum *sum, uint64_t count, uint64_t valid, double least, double total, double most) {
    sum->count += count;
    if (!valid)
        return;
    sum->least = !sum->valid || least < sum->least ? least : sum->least;
    sum->most = !sum->valid || most > sum->most ? most : sum->most;
    sum->sum += total;
    sum->valid += valid;
}

static void reading_add(struct sum *sum, const struct packed_reading *reading) {
    const struct value *value = &reading->value;
    bool valid = (reading->quality == QUALITY_GOOD || reading->quality == QUALITY_UNCERTAIN) && value->kind != VALUE_NONE && value->kind != VALUE_TEXT;
    double number = !valid                         ? 0
                    : value->kind == VALUE_NUMBER  ? value->number
                    : value->kind == VALUE_INTEGER ? (double)value->integer
                                                   : (double)value->whole;
    sum_add(sum, 1, valid, number, number, number);
}

static void chunks_sum(struct rollup *rollup, int64_t window) {
    statement_bind_int(rollup->chunks, 1, window * WINDOW_SLOTS << CHUNK_SERIES_BITS);
    statement_bind_int(rollup->chunks, 2, (window + 1) * WINDOW_SLOTS << CHUNK_SERIES_BITS);
    while (statement_step(rollup->chunks)) {
        int64_t id = statement_int(rollup->chunks, 0);
        uint32_t series = (uint32_t)(id & CHUNK_SERIES_MASK);
        struct chunk_reader reader;
        struct packed_reading reading;
        size_t size;
        const uint8_t *body = statement_bytes(rollup->chunks, 1, &size);
        chunk_reader_init(&reader, series, (id >> CHUNK_SERIES_BITS) * SLOT_MS, SLOT_MS, body, size);
        for (; series < rollup->series_count && chunk_get(&reader, &reading); rollup->read++)
            reading_add(&rollup->sums[series], &reading);
    }
}

/* What the folded hour holds of the window, for the series that have chunks in it: the others' rows stand as they are. */
static void hour_sum(struct rollup *rollup, int64_t window) {
    int64_t hour = window / HOUR_WINDOWS, from_ms = window * WINDOW_MS;
    for (uint32_t series = 0; series < rollup->series_count; series++) {
        if (!rollup->sums[series].count)
            continue;
        statement_bind_int(rollup->hour, 1, hour_id(hour, series));
        statement_bind_int(rollup->hour, 2, hour_id(hour, series + 1));
        while (statement_step(rollup->hour)) {
            struct chunk_reader reader;
            struct packed_reading reading;
            size_t size;
            const uint8_t *body = statement_bytes(rollup->hour, 0, &size);
            chunk_reader_init(&reader, series, hour * HOUR_MS, HOUR_MS, body, size);
            for (; chunk_get(&reader, &reading); rollup->read++)
                if (reading.at_ms >= from_ms && reading.at_ms - from_ms < WINDOW_MS)
                    reading_add(&rollup->sums[series], &reading);
        }
    }
}

static void rows_sum(struct rollup *rollup, int64_t from_window, int64_t to_window) {
    statement_bind_int(rollup->rows, 1, from_window << CHUNK_SERIES_BITS);
    statement_bind_int(rollup->rows, 2, to_window << CHUNK_SERIES_BITS);
    while (statement_step(rollup->rows)) {
        uint32_t series = (uint32_t)(statement_int(rollup->rows, 0) & CHUNK_SERIES_MASK);
        uint64_t valid = (uint64_t)statement_int(rollup->rows, 2);
        if (series < rollup->series_count)
            sum_add(&rollup->sums[series], (uint64_t)statement_int(rollup->rows, 1), valid, statement_double(rollup->rows, 3),
                    statement_double(rollup->rows, 4) * (double)valid, statement_double(rollup->rows, 5));
    }
}

static void sums_write(struct rollup *rollup, enum rollup_level level, int64_t window) {
    struct statement *put = rollup->put[level];
    for (uint32_t series = 0; series < rollup->series_count; series++) {
        struct sum *sum = &rollup->sums[series];
        if (!sum->count)
            continue;
        statement_bind_int(put, 1, window << CHUNK_SERIES_BITS | series);
        statement_bind_int(put, 2, (int64_t)sum->count);
        statement_bind_int(put, 3, (int64_t)sum->valid);
        if (sum->valid) { /* else the columns are NULL */
            statement_bind_double(put, 4, sum->least);
            statement_bind_double(put, 5, sum->sum / (double)sum->valid);
            statement_bind_double(put, 6, sum->most);
        }
        statement_step(put);
        *sum = (struct sum){0};
    }
}

/* ---- going on ---- */

/* The first id at or above, or INT64_MAX. */
static int64_t next_id(struct statement *next, int64_t id) {
    int64_t found = INT64_MAX;
    statement_bind_int(next, 1, id);
    if (statement_step(next))
        found = statement_int(next, 0);
    statement_reset(next);
    return found;
}

static int64_t mark_get(struct rollup *rollup, enum rollup_level level) {
    int64_t mark = 0;
    statement_bind_int(rollup->get_mark, 1, level);
    if (statement_step(rollup->get_mark))
        mark = statement_int(rollup->get_mark, 0);
    statement_reset(rollup->get_mark);
    return mark;
}

static void mark_put(struct rollup *rollup, enum rollup_level level, int64_t mark) {
    statement_bind_int(rollup->put_mark, 1, level);
    statement_bind_int(rollup->put_mark, 2, mark);
    statement_step(rollup->put_mark);
}

/* Windows of 10 minutes below `end`, over empty stretches at once; the mark reached. */
static int64_t windows_write(struct rollup *rollup, int64_t end, bool *ret_more) {
    int64_t window = mark_get(rollup, ROLLUP_10MIN);
    for (unsigned done = 0; window < end; done++) {
        int64_t id = next_id(rollup->next_chunk, window * WINDOW_SLOTS << CHUNK_SERIES_BITS);
        if (id == INT64_MAX)
            break;
        int64_t first = (id >> CHUNK_SERIES_BITS) / WINDOW_SLOTS;
        if (first >= end || done == STEP_WINDOWS || rollup->read >= STEP_READINGS) {
            *ret_more = first < end;
            window = first < end ? first : window;
            break;
        }
        chunks_sum(rollup, first);
        hour_sum(rollup, first);
        sums_write(rollup, ROLLUP_10MIN, first);
        window = first + 1;
    }
    mark_put(rollup, ROLLUP_10MIN, window);
    return *ret_more ? window : end;
}

/* Units of a higher level whose windows are all below `end`. */
static void units_write(struct rollup *rollup, enum rollup_level level, int64_t end) {
    int64_t count = levels[level].windows, shift = level == ROLLUP_DAY ? rollup->day_shift : 0, unit = mark_get(rollup, level);
    for (;;) {
        int64_t from = unit * count - shift, id = next_id(rollup->next_row, (from > 0 ? from : 0) << CHUNK_SERIES_BITS);
        if (id == INT64_MAX)
            break;
        int64_t next = ((id >> CHUNK_SERIES_BITS) + shift) / count;
        unit = next > unit ? next : unit;
        if ((unit + 1) * count - shift > end)
            break;
        from = unit * count - shift;
        rows_sum(rollup, from > 0 ? from : 0, from + count);
        sums_write(rollup, level, unit);
        unit++;
    }
    mark_put(rollup, level, unit);
}

void rollup_reopen(struct rollup *rollup, int64_t slot) {
    int64_t window = slot / WINDOW_SLOTS;
    for (unsigned i = 0; i < ROLLUP_LEVELS; i++) {
        int64_t unit = (window + (i == ROLLUP_DAY ? rollup->day_shift : 0)) / levels[i].windows;
        if (unit < mark_get(rollup, (enum rollup_level)i))
            mark_put(rollup, (enum rollup_level)i, unit);
    }
}

int64_t rollup_reach(struct rollup *rollup) {
    return next_id(rollup->next_chunk, mark_get(rollup, ROLLUP_10MIN) * WINDOW_SLOTS << CHUNK_SERIES_BITS) >> CHUNK_SERIES_BITS;
}

enum err rollup_advance(struct rollup *rollup, int64_t until_slot, bool *ret_more, struct database_failure *ret_failure) {
    *ret_more = false;
    int64_t end = until_slot / WINDOW_SLOTS;
    if (until_slot <= 0 || rollup_reach(rollup) >= end * WINDOW_SLOTS) {
        /* No chunk waits; but an hour or a day may have ended since its last window. */
        int64_t hour = mark_get(rollup, ROLLUP_HOUR), row = next_id(rollup->next_row, hour * levels[ROLLUP_HOUR].windows << CHUNK_SERIES_BITS);
        enum err err = database_clear(rollup->database, ret_failure);
        if (err != ERR_OK || row == INT64_MAX || (row >> CHUNK_SERIES_BITS) / levels[ROLLUP_HOUR].windows >= end / levels[ROLLUP_HOUR].windows)
            return err;
    }
    enum err err = database_clear(rollup->database, ret_failure);
    if (err != ERR_OK)
        return err;
    rollup->read = 0;
    database_begin(rollup->database);
    end = windows_write(rollup, end, ret_more);
    units_write(rollup, ROLLUP_HOUR, end);
    units_write(rollup, ROLLUP_DAY, end);
    err = database_end(rollup->database, ret_failure);
    for (uint32_t i = 0; err != ERR_OK && i < rollup->series_count; i++)
        rollup->sums[i] = (struct sum){0};
    return err;
}

void rollup_expire(struct rollup *rollup, int64_t before_ms) {
    for (unsigned i = 0; before_ms > 0 && i < ROLLUP_LEVELS; i++) {
        statement_bind_int(rollup->expire[i], 1, before_ms / WINDOW_MS / levels[i].windows << CHUNK_SERIES_BITS);
        statement_step(rollup->expire[i]);
    }
}

enum err rollup_read(struct database *database, enum rollup_level level, int offset_minutes, uint32_t series, int64_t from_ms, int64_t to_ms,
                     bool (*sink)(void *context, const struct rollup_row *row), void *context, struct database_failure *ret_failure) {
    char sql[128];
    snprintf(sql, sizeof(sql), "SELECT id, n, valid, least, mean, most FROM %s WHERE id >= ? ORDER BY id LIMIT 1", levels[level].table);
    struct statement *find = database_prepare(database, sql);
    int64_t width_ms = levels[level].windows * WINDOW_MS, shift_ms = shift_of(level, offset_minutes) * WINDOW_MS;
    int64_t unit = from_ms + shift_ms > 0 ? (from_ms + shift_ms + width_ms - 1) / width_ms : 0;
    for (bool more = true; more;) {
        statement_bind_int(find, 1, unit << CHUNK_SERIES_BITS | series);
        if (!statement_step(find))
            break;
        int64_t id = statement_int(find, 0), found = id >> CHUNK_SERIES_BITS;
        struct rollup_row row = {.from_ms = found * width_ms - shift_ms,
                                 .count = (uint64_t)statement_int(find, 1),
                                 .valid = (uint64_t)statement_int(find, 2),
                                 .least = statement_double(find, 3),
                                 .mean = statement_double(find, 4),
                                 .most = statement_double(find, 5)};
        statement_reset(find);
        if (row.from_ms > to_ms)
            break;
        bool own = (id & CHUNK_SERIES_MASK) == series;
        if (own)
            more = sink(context, &row);
        unit = own || (id & CHUNK_SERIES_MASK) > series ? found + 1 : found;
    }
    statement_done(find);
    return database_clear(database, ret_failure);
}
