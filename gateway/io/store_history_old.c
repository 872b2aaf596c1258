/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of version 4 and before, beside `hour`:
 *
 *   chunk(id = slot << 20 | series, n, body)   readings of 5 minutes (a slot), up to two hours of them, or all of a file of version 3
 *   tail(id, slot, at_ms, body)                up to version 2: a batch a row
 *   tail_block(id, body)                       from version 3: generation u64, slot u64, records (bytes varint, at_ms zigzag, readings);
 *                                              blocks 0, 1 ... count as long as their generation is that of block 0
 *   rolled(level, next)                        the first unit of each rollup level that is not written */
#include "gateway/io/store_history_old.h"

#define SLOT_MS INT64_C(300000)
#define HOUR_SLOTS (HOUR_MS / SLOT_MS)
#define BLOCK_SIZE_MOST 4050

const char old_sql[] = "CREATE TABLE IF NOT EXISTS hour(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body BLOB NOT NULL)";

/* Which hours and days were begun is not asked of the marks: those of the last two days of rows are summed once more. */
#define LAST_ROWS " FROM rollup_10min WHERE id >= (SELECT max(id) FROM rollup_10min) - (288 << 20)"
static const char begun_due_sql[] = "INSERT OR IGNORE INTO due SELECT DISTINCT 1 << 40 | (id >> 20) / 6" LAST_ROWS
                                    ";INSERT OR IGNORE INTO due SELECT DISTINCT 2 << 40 | (id >> 20) / 144" LAST_ROWS
                                    ";INSERT OR IGNORE INTO due SELECT DISTINCT 2 << 40 | (id >> 20) / 144 + 1" LAST_ROWS; /* days of civil time */

struct taking {
    void (*sink)(void *context, const struct packed_reading *reading);
    void *context;
};

static bool table_there(struct database *database, const char *name) {
    struct statement *find = database_prepare(database, "SELECT 1 FROM sqlite_schema WHERE name = ?");
    statement_bind_text(find, 1, name);
    bool there = statement_step(find);
    statement_done(find);
    return there;
}

bool old_any(struct database *database) {
    return table_there(database, "chunk");
}

static void chunk_take(const struct taking *taking, int64_t id, const uint8_t *body, size_t size) {
    struct chunk_reader reader;
    struct packed_reading reading;
    chunk_reader_init(&reader, (uint32_t)(id & CHUNK_SERIES_MASK), (id >> CHUNK_SERIES_BITS) * SLOT_MS, SLOT_MS, body, size);
    while (chunk_get(&reader, &reading))
        taking->sink(taking->context, &reading);
}

/* The chunks of the lowest hour; false when there are none. */
static bool hour_take(struct database *database, const struct taking *taking) {
    int64_t lowest = database_number(database, "SELECT ifnull(min(id), -1) FROM chunk WHERE id >= 0");
    if (lowest < 0 || lowest >> CHUNK_SERIES_BITS >= HOUR_END * HOUR_SLOTS)
        return false; /* none, or none that could have a place */
    int64_t end = ((lowest >> CHUNK_SERIES_BITS) / HOUR_SLOTS + 1) * HOUR_SLOTS << CHUNK_SERIES_BITS;
    struct statement *chunks = database_prepare(database, "SELECT id, body FROM chunk WHERE id >= ? AND id < ? ORDER BY id");
    struct statement *drop = database_prepare(database, "DELETE FROM chunk WHERE id >= ? AND id < ?");
    statement_bind_int(chunks, 1, lowest);
    statement_bind_int(chunks, 2, end);
    while (statement_step(chunks)) {
        size_t size;
        const uint8_t *body = statement_bytes(chunks, 1, &size);
        chunk_take(taking, statement_int(chunks, 0), body, size);
    }
    statement_bind_int(drop, 1, lowest);
    statement_bind_int(drop, 2, end);
    statement_step(drop);
    statement_done(chunks);
    statement_done(drop);
    return true;
}

static void readings_take(const struct taking *taking, int64_t slot, int64_t at_ms, const uint8_t *bytes, size_t size) {
    struct bytes_reader reader;
    struct packed_reading reading;
    bytes_reader_init(&reader, bytes, size);
    while (entry_get_reading_1(&reader, at_ms, &reading))
        if (reading.at_ms >= 0 && reading.at_ms / SLOT_MS == slot)
            taking->sink(taking->context, &reading);
}

static void rows_take(struct database *database, const struct taking *taking) {
    struct statement *rows = database_prepare(database, "SELECT slot, at_ms, body FROM tail ORDER BY id");
    while (statement_step(rows)) {
        size_t size;
        const uint8_t *bytes = statement_bytes(rows, 2, &size);
        readings_take(taking, statement_int(rows, 0), statement_int(rows, 1), bytes, size);
    }
    statement_done(rows);
}

static void block_take(const struct taking *taking, struct bytes_reader *block, int64_t slot) {
    while (block->position < block->size) {
        uint64_t size = bytes_get_varint(block);
        int64_t at_ms = size ? bytes_get_zigzag(block) : 0;
        if (!size || block->failed || size > block->size - block->position)
            return;
        readings_take(taking, slot, at_ms, block->bytes + block->position, (size_t)size);
        block->position += (size_t)size;
    }
}

static void blocks_take(struct database *database, const struct taking *taking) {
    struct statement *blocks = database_prepare(database, "SELECT id, body FROM tail_block ORDER BY id");
    uint64_t generation = 0;
    for (int64_t number = 0; statement_step(blocks); number++) {
        struct bytes_reader block;
        size_t size;
        const uint8_t *bytes = statement_bytes(blocks, 1, &size);
        bytes_reader_init(&block, bytes, size);
        uint64_t of = bytes_get_u64(&block);
        int64_t slot = (int64_t)bytes_get_u64(&block);
        generation = number ? generation : of;
        if (block.failed || of != generation || statement_int(blocks, 0) != number || size > BLOCK_SIZE_MOST)
            break;
        block_take(taking, &block, slot);
    }
    statement_done(blocks);
}

bool old_take(struct database *database, void (*sink)(void *context, const struct packed_reading *reading), void *context) {
    struct taking taking = {sink, context};
    if (hour_take(database, &taking))
        return true;
    rows_take(database, &taking);
    if (table_there(database, "tail_block"))
        blocks_take(database, &taking);
    database_run(database, begun_due_sql);
    database_run(database, "DROP TABLE chunk; DROP TABLE tail; DROP TABLE IF EXISTS tail_block; DROP TABLE IF EXISTS rolled");
    return false;
}
