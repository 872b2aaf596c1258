/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/store_history.h"

#include "gateway/io/store_history_old.h"
#include "gateway/io/store_open.h"
#include "gateway/io/store_rollup.h"
#include "gateway/io/store_spool.h"
#include "gateway/io/store_tail.h"

#define DAY_HOURS 24
#define ROOM_SERIES 512 /* bytes of a series' rollups of an hour, and of some hours that are caught up with */
#define ROOM_PAGES 64   /* and all else */
#define EVICTIONS_MAX 8 /* hours dropped for one batch: after a quota was lowered the rest follows with later ones */

struct place { /* in a batch: where the next reading begins, and what it is told against */
    struct bytes_reader bytes;
    struct reading_order order;
};

struct rest { /* of the last batch: what is still to be taken of it */
    struct place begin; /* of the batch */
    int64_t at_ms;
    bool counted;
    int64_t hour;       /* the lowest that is not all taken */
    struct place place; /* in the batch: what is before it is taken, of this hour */
    bool full;          /* memory is; up to the place it holds what the tail has, and is to be written first */
};

struct history {
    struct database *database;
    uint32_t days, rollup_days;
    struct rollup *rollup;
    struct open_hour open;
    struct tail tail;
    int64_t batch_ms; /* of the last batch: everything before it has come; INT64_MIN before the first */
    struct rest rest;
    int64_t old_due;  /* while an older file is packed anew: the time that was made due last */
    uint64_t refused, readings;
    int64_t pages_max, pages_quota; /* what the file may use now, and as configured; 0: as much as it likes */
    int64_t page_size;
    struct statement *last_chunk, *put_chunk, *oldest_chunk, *drop_chunks, *oldest_old, *drop_old;
};

enum err history_create(struct database *database, struct database_failure *ret_failure) {
    int64_t version;
    enum err err = database_version(database, HISTORY_VERSION, &version, ret_failure);
    if (err != ERR_OK || version == HISTORY_VERSION)
        return err;
    database_begin(database);
    database_run(database, "CREATE TABLE IF NOT EXISTS hour_chunk(id INTEGER PRIMARY KEY, windows INTEGER NOT NULL, body BLOB NOT NULL); PRAGMA user_version = 5");
    database_run(database, tail_sql);
    database_run(database, series_sql);
    database_run(database, rollup_sql);
    database_run(database, old_sql);
    return database_end(database, ret_failure);
}

/* ---- chunks ---- */

/* Behind those that the series has of the open hour. There are more ids than a clock that stands still for a month can use up; what comes then
 * is refused. */
static void chunk_write(void *context, uint32_t series, unsigned windows, const struct bytes_writer *body) {
    struct history *history = context;
    int64_t id = chunk_id(history->open.hour, series), end = id + CHUNK_PARTS;
    statement_bind_int(history->last_chunk, 1, id);
    statement_bind_int(history->last_chunk, 2, end);
    if (statement_step(history->last_chunk))
        id = statement_int(history->last_chunk, 0) + 1;
    statement_reset(history->last_chunk);
    if (id == end) {
        struct bytes_reader head;
        bytes_reader_init(&head, body->bytes, body->length);
        history->refused += bytes_get_varint(&head);
        return;
    }
    statement_bind_int(history->put_chunk, 1, id);
    statement_bind_int(history->put_chunk, 2, windows);
    statement_bind_bytes(history->put_chunk, 3, body->bytes, body->length);
    statement_step(history->put_chunk);
}

static enum err hour_close(struct history *history, struct database_failure *ret_failure) {
    if (history->open.hour == HOUR_NONE)
        return ERR_OK;
    database_begin(history->database);
    open_each(&history->open, chunk_write, history);
    tail_clear(&history->tail);
    enum err err = database_end(history->database, ret_failure);
    if (err != ERR_OK)
        return err;
    tail_cleared(&history->tail);
    open_clear(&history->open);
    return ERR_OK;
}

/* ---- batches ---- */

static struct place place_begin(const struct reading_order *order, const uint8_t *bytes, size_t size) {
    struct place place = {.order = *order};
    bytes_reader_init(&place.bytes, bytes, size);
    return place;
}

static bool place_get(struct place *place, struct packed_reading *ret_reading) {
    return entry_get_reading(&place->bytes, &place->order, ret_reading);
}

static bool reading_possible(const struct history *history, const struct packed_reading *reading) {
    return reading->series < history->open.series_count && reading->at_ms >= 0 && chunk_hour(reading->at_ms) < HOUR_END;
}

static bool reading_of_hour(const struct history *history, const struct packed_reading *reading, int64_t hour) {
    return reading_possible(history, reading) && chunk_hour(reading->at_ms) == hour;
}

/* The time is due to be summed; *due, the ten minutes that were made so last, spares a look for each of their readings. */
static void window_due(struct history *history, int64_t at_ms, int64_t *due) {
    if (at_ms / WINDOW_MS != *due)
        rollup_due(history->rollup, at_ms);
    *due = at_ms / WINDOW_MS;
}

/* What the batch has is counted, and due to be summed. */
static void batch_look(struct history *history) {
    struct place batch = history->rest.begin;
    struct packed_reading reading;
    int64_t due = -1;
    while (place_get(&batch, &reading)) {
        bool possible = reading_possible(history, &reading);
        history->refused += !possible && !history->rest.counted;
        history->readings += possible && !history->rest.counted;
        if (possible)
            window_due(history, reading.at_ms, &due);
    }
    history->rest.counted = true;
}

/* The lowest hour above `after` that the batch has readings of; HOUR_NONE when none. */
static int64_t hour_next(const struct history *history, int64_t after) {
    struct place batch = history->rest.begin;
    struct packed_reading reading;
    int64_t next = HOUR_NONE;
    while (place_get(&batch, &reading)) {
        int64_t hour = reading_possible(history, &reading) ? chunk_hour(reading.at_ms) : HOUR_NONE;
        if (hour > after && (next == HOUR_NONE || hour < next))
            next = hour;
    }
    return next;
}

/* Puts the readings of the open hour into memory, from the place on; false when that ran out at the reading where it stands then. */
static bool open_take(struct history *history, struct place *place) {
    struct packed_reading reading;
    for (struct place next = *place; place_get(&next, &reading); *place = next)
        if (reading_of_hour(history, &reading, history->open.hour) && !open_put(&history->open, &reading))
            return false;
    return true;
}

/* Another hour than the open one closes it first. The tail comes before memory, so that a failure leaves both as they were. When memory is
 * full the hour is written early, together with the tail, and goes on empty; the rest of the batch then needs a tail of its own. */
static enum err hour_take(struct history *history, struct rest *rest, struct database_failure *ret_failure) {
    for (;;) {
        enum err err = rest->full || history->open.hour != rest->hour ? hour_close(history, ret_failure) : ERR_OK;
        if (err != ERR_OK)
            return err;
        const struct bytes_reader *bytes = &rest->place.bytes;
        bool fresh = history->open.hour == HOUR_NONE;
        size_t before = bytes->position;
        rest->full = false;
        err = tail_add(&history->tail, rest->hour, &rest->place.order, bytes->bytes + before, bytes->size - before, ret_failure);
        if (err != ERR_OK)
            return err;
        history->open.hour = rest->hour;
        rest->full = !open_take(history, &rest->place);
        if (!rest->full)
            return ERR_OK;
        if (fresh && bytes->position == before) { /* not even one block: nothing will change by trying on */
            *ret_failure = (struct database_failure){.err = ERR_NOMEM};
            return ERR_NOMEM;
        }
    }
}

/* The hour from which on there are chunks; HOUR_NONE when there are none, or none that have an hour. */
static int64_t oldest_hour(struct history *history) {
    int64_t chunk = INT64_MAX, old = INT64_MAX;
    if (statement_step(history->oldest_chunk))
        chunk = statement_int(history->oldest_chunk, 0) >> (CHUNK_SERIES_BITS + CHUNK_PART_BITS);
    if (statement_step(history->oldest_old))
        old = statement_int(history->oldest_old, 0) >> (CHUNK_SERIES_BITS + OLD_PART_BITS);
    statement_reset(history->oldest_chunk);
    statement_reset(history->oldest_old);
    int64_t oldest = old < chunk ? old : chunk;
    return oldest >= HOUR_END ? HOUR_NONE : oldest;
}

/* One table after the other is enough: what a failure leaves is the oldest of the next call. */
static void drop_before(struct history *history, int64_t hour) {
    statement_bind_int(history->drop_old, 1, old_id(hour, 0));
    statement_step(history->drop_old);
    statement_bind_int(history->drop_chunks, 1, chunk_id(hour, 0));
    statement_step(history->drop_chunks);
}

/* What is open at most, in chunks and in the tail, and rollups. */
static int64_t room_pages(const struct history *history) {
    uint64_t bytes = 2 * history->open.blocks_count * OPEN_BLOCK_SIZE + (uint64_t)history->open.series_count * ROOM_SERIES;
    return (int64_t)bytes / history->page_size + ROOM_PAGES;
}

/* Room for what a batch can need, by the oldest hours. */
static void room_make(struct history *history) {
    int64_t room = room_pages(history);
    for (unsigned i = 0; history->pages_max && i < EVICTIONS_MAX; i++) {
        int64_t used =
            database_number(history->database, "PRAGMA page_count") - database_number(history->database, "PRAGMA freelist_count");
        int64_t oldest = used + room > history->pages_max ? oldest_hour(history) : HOUR_NONE;
        if (oldest == HOUR_NONE)
            return;
        drop_before(history, oldest + 1);
    }
}

enum err history_add(struct history *history, int64_t at_ms, const uint8_t *bytes, size_t size, struct database_failure *ret_failure) {
    struct reading_order order;
    reading_order_begin(&order, at_ms);
    struct place begin = place_begin(&order, bytes, size);
    history->rest = (struct rest){.begin = begin, .at_ms = at_ms, .place = begin};
    history->rest.hour = hour_next(history, HOUR_NONE);
    return history_go_on(history, ret_failure);
}

enum err history_go_on(struct history *history, struct database_failure *ret_failure) {
    struct rest *rest = &history->rest;
    room_make(history);
    batch_look(history);
    enum err err = database_clear(history->database, ret_failure);
    while (err == ERR_OK && rest->hour != HOUR_NONE) {
        err = hour_take(history, rest, ret_failure);
        if (err != ERR_OK)
            return err;
        rest->hour = hour_next(history, rest->hour);
        rest->place = rest->begin;
    }
    if (err == ERR_OK)
        history->batch_ms = rest->at_ms;
    return err;
}

/* ---- life ---- */

/* As configured, in an hour: derived values and alarms come with the readings that they are made of, and what is more is written early. */
static uint64_t hour_readings(const struct config *config) {
    uint64_t sum = 0;
    for (unsigned d = 0; d < config->devices_count; d++)
        for (unsigned p = 0; p < config->devices[d].spec.points_count; p++) {
            uint32_t every_ms = config->devices[d].spec.points[p].every_ms;
            sum += every_ms ? HOUR_MS / every_ms + 1 : 1;
        }
    return sum;
}

struct opening {
    struct history *history;
    struct arena *arena;
};

static bool tail_take(void *context, int64_t hour, const struct reading_order *order, const uint8_t *bytes, size_t size) {
    struct opening *opening = context;
    struct place place = place_begin(order, bytes, size);
    opening->history->open.hour = hour;
    while (!open_take(opening->history, &place)) /* the site read more before the restart, and less was set aside now */
        open_grow(&opening->history->open, opening->arena);
    return true;
}

static void old_put(void *context, const struct packed_reading *reading) {
    struct history *history = context;
    int64_t hour = chunk_hour(reading->at_ms);
    if (!reading_possible(history, reading))
        return;
    while (history->open.hour != hour || !open_put(&history->open, reading)) {
        open_each(&history->open, chunk_write, history);
        open_clear(&history->open);
        history->open.hour = hour;
    }
    window_due(history, reading->at_ms, &history->old_due);
}

/* What an older file has is packed anew, an hour in a transaction. */
static enum err old_convert(struct history *history, struct database_failure *ret_failure) {
    enum err err = ERR_OK;
    for (bool more = old_any(history->database); err == ERR_OK && more;) {
        database_begin(history->database);
        more = old_take(history->database, old_put, history);
        open_each(&history->open, chunk_write, history);
        open_clear(&history->open);
        err = database_end(history->database, ret_failure);
    }
    return err;
}

enum err history_open(struct database *database, uint32_t series_count, const struct config *config, struct arena *arena,
                      struct history **ret_history, struct database_failure *ret_failure) {
    struct history *history = arena_take(arena, 1, sizeof(*history));
    *history = (struct history){.database = database, .batch_ms = INT64_MIN, .rest.hour = HOUR_NONE};
    history->days = config->store.history_days;
    history->rollup_days = config->store.rollup_days;
    history->page_size = database_page_size(database);
    history->pages_max = history->pages_quota = (int64_t)config->store.history_bytes_max / history->page_size;
    history->rollup = rollup_open(database, &history->open, series_count, config->utc_offset_minutes, arena);
    open_init(&history->open, series_count, hour_readings(config), arena);
    tail_open(&history->tail, database);
    history->last_chunk = database_prepare(database, "SELECT id FROM hour_chunk WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1");
    history->put_chunk = database_prepare(database, "INSERT INTO hour_chunk VALUES(?, ?, ?)");
    history->drop_chunks = database_prepare(database, "DELETE FROM hour_chunk WHERE id < ?");
    history->oldest_chunk = database_prepare(database, "SELECT id FROM hour_chunk WHERE id >= 0 ORDER BY id LIMIT 1");
    history->drop_old = database_prepare(database, "DELETE FROM hour WHERE id < ?");
    history->oldest_old = database_prepare(database, "SELECT id FROM hour WHERE id >= 0 ORDER BY id LIMIT 1");
    *ret_history = history;
    enum err err = database_clear(database, ret_failure);
    if (err == ERR_OK)
        err = old_convert(history, ret_failure);
    if (err != ERR_OK)
        return err;
    tail_read(database, INT64_MIN, INT64_MAX, tail_take, &(struct opening){history, arena});
    return database_clear(database, ret_failure);
}

enum err history_expire(struct history *history, int64_t wall_ms, struct database_failure *ret_failure) {
    int64_t keep = wall_ms > 0 ? chunk_hour(wall_ms) - (int64_t)history->days * DAY_HOURS : 0, oldest = oldest_hour(history);
    if (oldest != HOUR_NONE && keep > oldest)
        drop_before(history, keep < oldest + DAY_HOURS ? keep : oldest + DAY_HOURS);
    if (history->rollup_days) /* of a clock that is trusted, and small */
        rollup_expire(history->rollup, wall_ms - (int64_t)history->rollup_days * DAY_HOURS * HOUR_MS);
    return database_clear(history->database, ret_failure);
}

/* Not into a future that a wrong time made up, and not beyond readings that are still to come. */
enum err history_roll(struct history *history, int64_t wall_ms, bool *ret_more, struct database_failure *ret_failure) {
    int64_t until_ms = wall_ms < history->batch_ms ? wall_ms : history->batch_ms;
    return rollup_advance(history->rollup, until_ms, ret_more, ret_failure);
}

enum err history_sync(struct history *history, struct database_failure *ret_failure) {
    database_sync(history->database);
    return database_clear(history->database, ret_failure);
}

void history_tighten(struct history *history, bool tight) {
    history->pages_max = tight ? database_number(history->database, "PRAGMA page_count") : history->pages_quota;
    database_clear(history->database, NULL); /* the next write meets it again */
}

uint64_t history_readings(const struct history *history) {
    return history->readings;
}

uint64_t history_refused(const struct history *history) {
    return history->refused;
}
