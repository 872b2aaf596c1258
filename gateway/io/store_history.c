/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/store_history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "gateway/io/store_fold.h"
#include "gateway/io/store_rollup.h"
#include "gateway/io/store_spool.h"
#include "gateway/io/store_tail.h"

#define SLOT_NONE INT64_MIN
#define POOL_BLOCKS_MORE 64
#define ROOM_PAGES 2048   /* a slot's chunks at a thousand series, each in two pages of its own */
#define EVICTIONS_MAX 8   /* hours dropped for one batch: after a quota was lowered the rest follows with later ones */

struct block {
    struct block *next;
    uint8_t bytes[POOL_BLOCK_SIZE];
};

struct open_chunk { /* of one series in the slot under way */
    struct block *first, *last;
    uint32_t count, size; /* readings; bytes */
    uint16_t last_used;   /* bytes of the last block */
    struct chunk_state state;
};

struct history {
    struct database *database;
    uint32_t series_count, days, rollup_days;
    struct rollup *rollup;
    struct fold *fold;
    struct open_chunk *open; /* by series */
    int64_t slot;            /* SLOT_NONE when nothing is open */
    struct block *free;
    uint8_t *scratch; /* one chunk in one piece */
    size_t scratch_size;
    uint64_t refused, readings;
    int64_t pages_max, pages_quota; /* what the file may use now, and as configured; 0: as much as it likes */
    struct tail tail;
    struct statement *find_chunk, *put_chunk, *drop_chunks, *drop_hours, *oldest_chunk, *oldest_hour;
};

enum err history_create(struct database *database, struct database_failure *ret_failure) {
    int64_t version;
    enum err err = database_version(database, HISTORY_VERSION, &version, ret_failure);
    if (err != ERR_OK || version == HISTORY_VERSION)
        return err;
    database_begin(database);
    database_run(database, "CREATE TABLE IF NOT EXISTS chunk(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body BLOB NOT NULL);"
                           "CREATE TABLE IF NOT EXISTS tail(id INTEGER PRIMARY KEY, slot INTEGER NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL);"
                           "PRAGMA user_version = 4");
    database_run(database, tail_sql);
    database_run(database, series_sql);
    database_run(database, rollup_sql);
    database_run(database, fold_sql);
    return database_end(database, ret_failure);
}

/* ---- open chunks in memory ---- */

/* As configured: derived values and alarms come with the readings that they are made of, and what is more is written early. */
static uint64_t slot_readings(const struct config *config) {
    uint64_t sum = 0;
    for (unsigned d = 0; d < config->devices_count; d++)
        for (unsigned p = 0; p < config->devices[d].spec.points_count; p++) {
            uint32_t every_ms = config->devices[d].spec.points[p].every_ms;
            sum += every_ms ? SLOT_MS / every_ms + 1 : 1;
        }
    return sum;
}

/* Writing the links uses each page once. */
static void pool_add(struct history *history, uint64_t count, struct arena *arena) {
    struct block *blocks = arena_take(arena, count, sizeof(*blocks));
    for (uint64_t i = 0; i < count; i++)
        blocks[i].next = i + 1 < count ? &blocks[i + 1] : history->free;
    history->free = blocks;
}

/* Every series has a last block that is not full. */
static void pool_init(struct history *history, uint64_t readings, struct arena *arena) {
    uint64_t most = POOL_BYTES_MAX / sizeof(struct block);
    uint64_t count = readings < POOL_BYTES_MAX ? readings * POOL_READING_SIZE / POOL_BLOCK_SIZE + history->series_count + 1 : most;
    pool_add(history, count < most ? count : most, arena);
}

static struct block *block_take(struct history *history) {
    struct block *block = history->free;
    if (!block)
        return NULL;
    history->free = block->next;
    block->next = NULL;
    return block;
}

static bool open_append(struct history *history, struct open_chunk *chunk, const uint8_t *bytes, size_t size) {
    size_t room = chunk->last ? POOL_BLOCK_SIZE - chunk->last_used : 0, head = size < room ? size : room;
    struct block *more = NULL;
    if (head < size && !(more = block_take(history)))
        return false;
    if (head) {
        memcpy(chunk->last->bytes + chunk->last_used, bytes, head);
        chunk->last_used = (uint16_t)(chunk->last_used + head);
    }
    if (more) {
        memcpy(more->bytes, bytes + head, size - head);
        *(chunk->last ? &chunk->last->next : &chunk->first) = more;
        chunk->last = more;
        chunk->last_used = (uint16_t)(size - head);
    }
    chunk->size += (uint32_t)size;
    chunk->count++;
    return true;
}

static bool open_put(struct history *history, const struct packed_reading *reading) {
    struct open_chunk *chunk = &history->open[reading->series];
    struct chunk_state state = chunk->state;
    uint8_t item[CHUNK_ITEM_SIZE];
    struct bytes_writer writer;
    bytes_writer_init(&writer, item, sizeof(item));
    chunk_put(&writer, &state, history->slot * SLOT_MS, SLOT_MS, reading);
    CHECK(!writer.full);
    if (!open_append(history, chunk, item, writer.length))
        return false;
    chunk->state = state;
    return true;
}

static void open_clear(struct history *history) {
    for (uint32_t series = 0; series < history->series_count; series++) {
        struct open_chunk *chunk = &history->open[series];
        if (chunk->last) {
            chunk->last->next = history->free;
            history->free = chunk->first;
        }
        *chunk = (struct open_chunk){.first = NULL};
    }
    history->slot = SLOT_NONE;
}

/* ---- chunks ---- */

static bool scratch_reserve(struct history *history, size_t size) {
    if (size <= history->scratch_size)
        return true;
    uint8_t *larger = realloc(history->scratch, size + size / 2);
    if (!larger)
        return false;
    history->scratch = larger;
    history->scratch_size = size + size / 2;
    return true;
}

/* What the slot's chunk holds already (after an early write or a late reading), then this segment. */
static enum err chunk_write(struct history *history, uint32_t series) {
    const struct open_chunk *chunk = &history->open[series];
    int64_t id = history->slot << CHUNK_SERIES_BITS | series, count = chunk->count;
    size_t before_size = 0;
    const uint8_t *before = NULL;
    statement_bind_int(history->find_chunk, 1, id);
    if (statement_step(history->find_chunk)) {
        count += statement_int(history->find_chunk, 0);
        before = statement_bytes(history->find_chunk, 1, &before_size);
    }
    if (!scratch_reserve(history, before_size + CHUNK_SEGMENT_SIZE + chunk->size)) {
        statement_reset(history->find_chunk);
        return ERR_NOMEM;
    }
    struct bytes_writer writer;
    bytes_writer_init(&writer, history->scratch, history->scratch_size);
    bytes_put_raw(&writer, before, before_size);
    statement_reset(history->find_chunk);
    chunk_put_head(&writer, chunk->count, chunk->size);
    for (const struct block *block = chunk->first; block; block = block->next)
        bytes_put_raw(&writer, block->bytes, block->next ? POOL_BLOCK_SIZE : chunk->last_used);
    CHECK(!writer.full);
    statement_bind_int(history->put_chunk, 1, id);
    statement_bind_int(history->put_chunk, 2, count);
    statement_bind_bytes(history->put_chunk, 3, writer.bytes, writer.length);
    statement_step(history->put_chunk);
    return ERR_OK;
}

static enum err slot_write(struct history *history, struct database_failure *ret_failure) {
    if (history->slot == SLOT_NONE)
        return ERR_OK;
    enum err memory = ERR_OK;
    database_begin(history->database);
    for (uint32_t series = 0; memory == ERR_OK && series < history->series_count; series++)
        if (history->open[series].count)
            memory = chunk_write(history, series);
    rollup_reopen(history->rollup, history->slot);
    if (memory == ERR_OK)
        tail_clear(&history->tail);
    else /* the slot stays open, with its tail; the chunks written so far must not stay beside it */
        database_run(history->database, "ROLLBACK; BEGIN");
    enum err err = database_end(history->database, ret_failure);
    if (err == ERR_OK && memory != ERR_OK)
        err = ret_failure->err = memory;
    if (err != ERR_OK)
        return err;
    tail_cleared(&history->tail);
    open_clear(history);
    return ERR_OK;
}

/* ---- batches ---- */

static bool reading_possible(const struct history *history, const struct packed_reading *reading) {
    return reading->series < history->series_count && reading->at_ms >= 0 && chunk_slot(reading->at_ms) < SLOT_END;
}

/* The lowest slot above `after` that the batch has readings of; SLOT_NONE when none. */
static int64_t slot_next(struct history *history, int64_t after, int64_t at_ms, const uint8_t *bytes, size_t size) {
    struct bytes_reader reader;
    struct reading_order order;
    struct packed_reading reading;
    int64_t next = SLOT_NONE;
    bytes_reader_init(&reader, bytes, size);
    reading_order_begin(&order, at_ms);
    while (entry_get_reading(&reader, &order, &reading)) {
        if (!reading_possible(history, &reading)) {
            history->refused += after == SLOT_NONE; /* counted in the first pass */
            continue;
        }
        history->readings += after == SLOT_NONE;
        int64_t slot = chunk_slot(reading.at_ms);
        if (slot > after && (next == SLOT_NONE || slot < next))
            next = slot;
    }
    return next;
}

/* Where in a batch the next reading begins, and what it is told against. */
struct place {
    size_t position;
    struct reading_order order;
};

/* Opens the batch's readings of the slot from the place on; false when memory ran out before the reading at which it stands then. */
static bool slot_add(struct history *history, int64_t slot, const uint8_t *bytes, size_t size, struct place *place) {
    struct bytes_reader reader;
    struct reading_order order = place->order;
    struct packed_reading reading;
    bytes_reader_init(&reader, bytes, size);
    reader.position = place->position;
    history->slot = slot;
    while (entry_get_reading(&reader, &order, &reading)) {
        if (reading_possible(history, &reading) && chunk_slot(reading.at_ms) == slot && !open_put(history, &reading))
            return false;
        *place = (struct place){reader.position, order};
    }
    return true;
}

/* Readings that are not of the open slot close it first. The tail comes before memory, so that a failure leaves both as
 * they were. When memory is full the slot is written early, together with the tail, and goes on empty; the rest of the batch
 * then needs a tail of its own. */
static enum err slot_take(struct history *history, int64_t slot, int64_t at_ms, const uint8_t *bytes, size_t size,
                          struct database_failure *ret_failure) {
    struct place place = {.position = 0};
    reading_order_begin(&place.order, at_ms);
    for (;;) {
        enum err err = history->slot != slot ? slot_write(history, ret_failure) : ERR_OK;
        bool fresh = history->slot == SLOT_NONE;
        if (err == ERR_OK)
            err = tail_add(&history->tail, slot, &place.order, bytes + place.position, size - place.position, ret_failure);
        if (err != ERR_OK)
            return err;
        size_t before = place.position;
        if (slot_add(history, slot, bytes, size, &place))
            return ERR_OK;
        err = slot_write(history, ret_failure);
        if (err != ERR_OK)
            return err;
        if (fresh && place.position == before) { /* not even one block: nothing will change by trying on */
            *ret_failure = (struct database_failure){.err = ERR_NOMEM};
            return ERR_NOMEM;
        }
    }
}

/* The slot from which on there are chunks or folded hours; SLOT_NONE when there is nothing. */
static int64_t oldest_slot(struct history *history) {
    int64_t chunk = INT64_MAX, hour = INT64_MAX;
    if (statement_step(history->oldest_chunk))
        chunk = statement_int(history->oldest_chunk, 0) >> CHUNK_SERIES_BITS;
    if (statement_step(history->oldest_hour))
        hour = (statement_int(history->oldest_hour, 0) >> (CHUNK_SERIES_BITS + HOUR_PART_BITS)) * HOUR_SLOTS;
    statement_reset(history->oldest_chunk);
    statement_reset(history->oldest_hour);
    int64_t oldest = hour < chunk ? hour : chunk;
    return oldest == INT64_MAX ? SLOT_NONE : oldest;
}

/* Chunks and hours that end before this slot. One after the other is enough: what a failure leaves is the oldest of the next call. */
static void drop_before(struct history *history, int64_t slot) {
    statement_bind_int(history->drop_hours, 1, hour_id(slot / HOUR_SLOTS, 0));
    statement_step(history->drop_hours);
    statement_bind_int(history->drop_chunks, 1, slot << CHUNK_SERIES_BITS);
    statement_step(history->drop_chunks);
}

/* Room for what a batch can need, by the oldest hours; what is open in memory is never older. */
static void room_make(struct history *history) {
    for (unsigned i = 0; history->pages_max && i < EVICTIONS_MAX; i++) {
        int64_t used =
            database_number(history->database, "PRAGMA page_count") - database_number(history->database, "PRAGMA freelist_count");
        int64_t oldest = used + ROOM_PAGES > history->pages_max ? oldest_slot(history) : SLOT_NONE;
        if (oldest == SLOT_NONE)
            return;
        drop_before(history, (oldest / HOUR_SLOTS + 1) * HOUR_SLOTS);
    }
}

enum err history_add(struct history *history, int64_t at_ms, const uint8_t *bytes, size_t size, struct database_failure *ret_failure) {
    room_make(history);
    enum err err = database_clear(history->database, ret_failure);
    int64_t slot = slot_next(history, SLOT_NONE, at_ms, bytes, size);
    for (; err == ERR_OK && slot != SLOT_NONE; slot = slot_next(history, slot, at_ms, bytes, size))
        err = slot_take(history, slot, at_ms, bytes, size, ret_failure);
    return err;
}

/* ---- life ---- */

struct opening {
    struct history *history;
    struct arena *arena;
};

static bool tail_take(void *context, int64_t slot, const struct reading_order *order, const uint8_t *bytes, size_t size) {
    struct opening *opening = context;
    struct place place = {.order = *order};
    while (!slot_add(opening->history, slot, bytes, size, &place))
        pool_add(opening->history, POOL_BLOCKS_MORE, opening->arena); /* the site read more before the restart, and less was set aside now */
    return true;
}

enum err history_open(struct database *database, uint32_t series_count, const struct config *config, struct arena *arena,
                      struct history **ret_history, struct database_failure *ret_failure) {
    struct history *history = arena_take(arena, 1, sizeof(*history));
    *history = (struct history){.database = database, .series_count = series_count, .slot = SLOT_NONE};
    history->days = config->store.history_days;
    history->rollup_days = config->store.rollup_days;
    history->pages_max = history->pages_quota = (int64_t)config->store.history_bytes_max / database_page_size(database);
    history->rollup = rollup_open(database, series_count, config->utc_offset_minutes, arena);
    history->fold = fold_open(database, history->rollup, arena);
    history->open = arena_take(arena, series_count ? series_count : 1, sizeof(*history->open));
    pool_init(history, slot_readings(config), arena);
    tail_open(&history->tail, database);
    history->find_chunk = database_prepare(database, "SELECT n, body FROM chunk WHERE id = ?");
    history->put_chunk = database_prepare(database, "INSERT OR REPLACE INTO chunk VALUES(?, ?, ?)");
    history->drop_chunks = database_prepare(database, "DELETE FROM chunk WHERE id < ?");
    history->drop_hours = database_prepare(database, "DELETE FROM hour WHERE id < ?");
    history->oldest_chunk = database_prepare(database, "SELECT id FROM chunk ORDER BY id LIMIT 1");
    history->oldest_hour = database_prepare(database, "SELECT id FROM hour ORDER BY id LIMIT 1");
    tail_read(database, INT64_MIN, INT64_MAX, tail_take, &(struct opening){history, arena});
    *ret_history = history;
    enum err err = database_clear(database, ret_failure);
    if (err != ERR_OK)
        history_close(history);
    return err;
}

void history_close(struct history *history) {
    if (!history)
        return;
    fold_close(history->fold);
    free(history->scratch); /* all else is the arena's */
    history->scratch = NULL;
}

enum err history_expire(struct history *history, int64_t wall_ms, struct database_failure *ret_failure) {
    int64_t day_slots = 86400000 / SLOT_MS;
    int64_t keep = wall_ms > 0 ? chunk_slot(wall_ms) - (int64_t)history->days * day_slots : 0, oldest = oldest_slot(history);
    if (oldest != SLOT_NONE && keep > oldest)
        drop_before(history, keep < oldest + day_slots ? keep : oldest + day_slots);
    if (history->rollup_days) /* of a clock that is trusted, and small */
        rollup_expire(history->rollup, wall_ms - (int64_t)history->rollup_days * 86400000);
    return database_clear(history->database, ret_failure);
}

/* Not into a future that a wrong time made up, and not beyond readings that are not packed yet. */
static int64_t over_until(const struct history *history, int64_t wall_ms) {
    int64_t until = wall_ms > 0 ? chunk_slot(wall_ms) : 0;
    return history->slot != SLOT_NONE && history->slot < until ? history->slot : until;
}

enum err history_roll(struct history *history, int64_t wall_ms, bool *ret_more, struct database_failure *ret_failure) {
    return rollup_advance(history->rollup, over_until(history, wall_ms), ret_more, ret_failure);
}

enum err history_fold(struct history *history, int64_t wall_ms, bool *ret_more, struct database_failure *ret_failure) {
    return fold_advance(history->fold, over_until(history, wall_ms), ret_more, ret_failure);
}

enum err history_checkpoint(struct history *history, struct database_failure *ret_failure) {
    database_run(history->database, "PRAGMA wal_checkpoint(PASSIVE)");
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
