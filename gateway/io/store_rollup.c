/* SPDX-License-Identifier: Apache-2.0 */
/* A row's id is unit << 20 | series, so that rows are appended and one series in a time is a probe a unit.
 *
 *   level      unit                 made from
 *   10 min     a sixth of an hour   its hour's chunks, and what is open of it in memory
 *   hour       6 windows of 10 min  their rows
 *   day        144 of them          their rows, shifted by the civil time's offset
 *
 *   reading comes ---> its 10 minutes are due
 *   10 minutes due, and over ---> summed, row written; their hour and day are due
 *   hour or day due, and over, and nothing shorter is due and over ---> summed, row written
 *
 * Invariant: what is not in `due` stands as the readings do, or did when there were more of them. So nothing looks for what there is to sum,
 * and it does not matter in which order times come: a clock that ran ahead, or readings that waited for it, only make more due. */
#include "gateway/io/store_rollup.h"

#include <stdio.h>

#include "gateway/io/store_chunk.h"
#include "gateway/io/store_history_old.h"

#define HOUR_WINDOWS (HOUR_MS / WINDOW_MS)
#define STEP_UNITS 144       /* a day of ten minutes a call */
#define STEP_WORK 400000     /* or when so many readings and rows were looked at: alarms are committed by the same thread */
#define LEVEL_SHIFT 40       /* of an id in `due`, above every unit: shorter ones come first */

struct level {
    const char *table;
    int64_t windows; /* of 10 minutes in one */
};

static const struct level levels[ROLLUP_LEVELS] = {{"rollup_10min", 1}, {"rollup_hour", 6}, {"rollup_day", 144}};

#define ROLLUP_COLUMNS "(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, valid INTEGER NOT NULL, least REAL, mean REAL, most REAL);"
const char rollup_sql[] = "CREATE TABLE IF NOT EXISTS rollup_10min" ROLLUP_COLUMNS "CREATE TABLE IF NOT EXISTS rollup_hour" ROLLUP_COLUMNS
                          "CREATE TABLE IF NOT EXISTS rollup_day" ROLLUP_COLUMNS "CREATE TABLE IF NOT EXISTS due(id INTEGER PRIMARY KEY)";

/* A row gives way to one of as many readings or more: of fewer there are only when some are not kept any more, or cannot be read. */
static const char put_sql[] = "INSERT INTO %s VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET n = excluded.n, valid = excluded.valid, "
                              "least = excluded.least, mean = excluded.mean, most = excluded.most WHERE excluded.n >= n";

struct sum {
    uint64_t count, valid;
    double least, sum, most;
};

struct rollup {
    struct database *database;
    const struct open_hour *open;
    uint32_t series_count;
    int64_t day_shift; /* windows by which a civil day begins before that of UTC */
    struct sum *sums;  /* by series; zero between uses */
    uint64_t work;     /* readings and rows looked at, in this call */
    struct statement *chunks, *old, *next_due, *put_due, *remove_due;
    struct statement *put[ROLLUP_LEVELS], *rows, *expire[ROLLUP_LEVELS];
};

static int64_t shift_of(enum rollup_level level, int offset_minutes) {
    return level == ROLLUP_DAY ? offset_minutes / 10 : 0;
}

struct rollup *rollup_open(struct database *database, const struct open_hour *open, uint32_t series_count, int offset_minutes,
                           struct arena *arena) {
    struct rollup *rollup = arena_take(arena, 1, sizeof(*rollup));
    *rollup = (struct rollup){
        .database = database, .open = open, .series_count = series_count, .day_shift = shift_of(ROLLUP_DAY, offset_minutes)};
    rollup->sums = arena_take(arena, series_count ? series_count : 1, sizeof(*rollup->sums));
    for (uint32_t i = 0; i < series_count; i++)
        rollup->sums[i] = (struct sum){0};
    rollup->chunks = database_prepare(database, "SELECT id, windows, body FROM hour_chunk WHERE id >= ? AND id < ?");
    rollup->old = database_prepare(database, "SELECT id, 63, body FROM hour WHERE id >= ? AND id < ?");
    rollup->rows = database_prepare(database, "SELECT id, n, valid, least, mean, most FROM rollup_10min WHERE id >= ? AND id < ?");
    rollup->next_due = database_prepare(database, "SELECT id FROM due WHERE id >= ? ORDER BY id LIMIT 1");
    rollup->put_due = database_prepare(database, "INSERT OR IGNORE INTO due VALUES(?)");
    rollup->remove_due = database_prepare(database, "DELETE FROM due WHERE id = ?");
    for (unsigned i = 0; i < ROLLUP_LEVELS; i++) {
        char sql[256];
        snprintf(sql, sizeof(sql), put_sql, levels[i].table);
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

/* What a chunk's body has in these 10 minutes. */
static void body_sum(struct rollup *rollup, int64_t window, uint32_t series, const uint8_t *body, size_t size) {
    struct chunk_reader reader;
    struct packed_reading reading;
    chunk_reader_init(&reader, series, window / HOUR_WINDOWS * HOUR_MS, HOUR_MS, body, size);
    for (; series < rollup->series_count && chunk_get(&reader, &reading); rollup->work++)
        if (reading.at_ms / WINDOW_MS == window)
            reading_add(&rollup->sums[series], &reading);
}

static void chunks_sum(struct rollup *rollup, struct statement *chunks, int64_t from_id, int64_t to_id, unsigned part_bits, int64_t window) {
    statement_bind_int(chunks, 1, from_id);
    statement_bind_int(chunks, 2, to_id);
    while (statement_step(chunks)) {
        size_t size;
        const uint8_t *body = statement_bytes(chunks, 2, &size);
        if (statement_int(chunks, 1) & chunk_window(window * WINDOW_MS))
            body_sum(rollup, window, (uint32_t)(statement_int(chunks, 0) >> part_bits & CHUNK_SERIES_MASK), body, size);
    }
}

struct summing {
    struct rollup *rollup;
    int64_t window;
};

static void open_sum(void *context, uint32_t series, unsigned windows, const struct bytes_writer *body) {
    const struct summing *summing = context;
    if (windows & chunk_window(summing->window * WINDOW_MS))
        body_sum(summing->rollup, summing->window, series, body->bytes, body->length);
}

static void window_sum(struct rollup *rollup, int64_t window) {
    int64_t hour = window / HOUR_WINDOWS;
    chunks_sum(rollup, rollup->old, old_id(hour, 0), old_id(hour + 1, 0), OLD_PART_BITS, window);
    chunks_sum(rollup, rollup->chunks, chunk_id(hour, 0), chunk_id(hour + 1, 0), CHUNK_PART_BITS, window);
    if (rollup->open->hour == hour)
        open_each(rollup->open, open_sum, &(struct summing){rollup, window});
}

static void rows_sum(struct rollup *rollup, int64_t from_window, int64_t to_window) {
    statement_bind_int(rollup->rows, 1, from_window << CHUNK_SERIES_BITS);
    statement_bind_int(rollup->rows, 2, to_window << CHUNK_SERIES_BITS);
    for (; statement_step(rollup->rows); rollup->work++) {
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
        rollup->work++;
        *sum = (struct sum){0};
    }
}

/* ---- what is due ---- */

static void due_put(struct rollup *rollup, enum rollup_level level, int64_t unit) {
    statement_bind_int(rollup->put_due, 1, (int64_t)level << LEVEL_SHIFT | unit);
    statement_step(rollup->put_due);
}

void rollup_due(struct rollup *rollup, int64_t at_ms) {
    due_put(rollup, ROLLUP_10MIN, at_ms / WINDOW_MS);
}

/* The first unit of this level that is due; INT64_MAX when none is. */
static int64_t due_next(struct rollup *rollup, enum rollup_level level) {
    int64_t id = INT64_MAX;
    statement_bind_int(rollup->next_due, 1, (int64_t)level << LEVEL_SHIFT);
    if (statement_step(rollup->next_due))
        id = statement_int(rollup->next_due, 0);
    statement_reset(rollup->next_due);
    return id >> LEVEL_SHIFT == (int64_t)level ? id & ((INT64_C(1) << LEVEL_SHIFT) - 1) : INT64_MAX;
}

static void unit_write(struct rollup *rollup, enum rollup_level level, int64_t unit) {
    int64_t count = levels[level].windows, from = unit * count - (level == ROLLUP_DAY ? rollup->day_shift : 0);
    if (level == ROLLUP_10MIN) {
        window_sum(rollup, unit);
        due_put(rollup, ROLLUP_HOUR, unit / levels[ROLLUP_HOUR].windows);
        due_put(rollup, ROLLUP_DAY, (unit + rollup->day_shift) / levels[ROLLUP_DAY].windows);
    } else {
        rows_sum(rollup, from > 0 ? from : 0, from + count);
    }
    sums_write(rollup, level, unit);
    statement_bind_int(rollup->remove_due, 1, (int64_t)level << LEVEL_SHIFT | unit);
    statement_step(rollup->remove_due);
}

/* The first unit that is due and over at this time, of the shortest level that has one; false when there is none. */
static bool due_over(struct rollup *rollup, int64_t until_ms, enum rollup_level *ret_level, int64_t *ret_unit) {
    for (unsigned i = 0; i < ROLLUP_LEVELS; i++) {
        int64_t unit = due_next(rollup, (enum rollup_level)i), shift = i == ROLLUP_DAY ? rollup->day_shift : 0;
        if (unit == INT64_MAX || (unit + 1) * levels[i].windows - shift > until_ms / WINDOW_MS)
            continue;
        *ret_level = (enum rollup_level)i;
        *ret_unit = unit;
        return true;
    }
    return false;
}

enum err rollup_advance(struct rollup *rollup, int64_t until_ms, bool *ret_more, struct database_failure *ret_failure) {
    enum rollup_level level;
    int64_t unit;
    bool more = until_ms > 0 && due_over(rollup, until_ms, &level, &unit);
    *ret_more = false;
    enum err err = database_clear(rollup->database, ret_failure);
    if (err != ERR_OK || !more)
        return err;
    rollup->work = 0;
    database_begin(rollup->database);
    for (unsigned i = 0; more && i < STEP_UNITS && rollup->work < STEP_WORK; i++) {
        unit_write(rollup, level, unit);
        more = due_over(rollup, until_ms, &level, &unit);
    }
    err = database_end(rollup->database, ret_failure);
    *ret_more = more && err == ERR_OK;
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
