/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/store_tail.h"

#include <string.h>

#include "base/check.h"
#include "gateway/core/entry.h"

#define BLOCK_HEAD_SIZE 16
#define BLOCK_SIZE_MOST 4050 /* in pages of 4096 */
#define RECORD_HEAD_SIZE 12 /* at most: two bytes of size, ten of time */

const char tail_sql[] = "CREATE TABLE IF NOT EXISTS tail_block(id INTEGER PRIMARY KEY, body BLOB NOT NULL)";

/* ---- reading ---- */

struct walk {
    bool (*sink)(void *context, int64_t slot, int64_t at_ms, const uint8_t *bytes, size_t size);
    void *context;
    int64_t first_slot, last_slot;
    bool more;
};

/* Gives every record to the sink; how many bytes of the block are used. */
static size_t block_walk(struct walk *walk, int64_t slot, struct bytes_reader *block) {
    while (block->position < block->size) {
        size_t begin = block->position;
        uint64_t size = bytes_get_varint(block);
        int64_t at_ms = size ? bytes_get_zigzag(block) : 0;
        if (!size || block->failed || size > block->size - block->position)
            return begin;
        if (walk && walk->more && slot >= walk->first_slot && slot <= walk->last_slot)
            walk->more = walk->sink(walk->context, slot, at_ms, block->bytes + block->position, (size_t)size);
        block->position += (size_t)size;
    }
    return block->position;
}

/* This block is the last one so far: it is what the next record is added to. */
static void tail_take(struct tail *tail, struct database *database, int64_t number, uint64_t generation, const uint8_t *bytes, size_t size,
                      size_t used) {
    *tail = (struct tail){.database = database, .number = number, .generation = generation, .used = used};
    if (size != TAIL_BLOCK_SIZE) {
        tail->number++;
        tail->used = 0;
        return;
    }
    memcpy(tail->block, bytes, used);
}

/* All blocks that count. With `tail` the last one is taken into it. */
static void blocks_walk(struct database *database, struct walk *walk, struct tail *tail) {
    struct statement *select = database_prepare(database, "SELECT id, body FROM tail_block ORDER BY id");
    uint64_t generation = 0;
    for (int64_t number = 0; statement_step(select); number++) {
        struct bytes_reader block;
        size_t size;
        const uint8_t *bytes = statement_bytes(select, 1, &size);
        bytes_reader_init(&block, bytes, size);
        uint64_t of = bytes_get_u64(&block);
        int64_t slot = (int64_t)bytes_get_u64(&block);
        generation = number ? generation : of;
        if (block.failed || of != generation || statement_int(select, 0) != number || size > BLOCK_SIZE_MOST)
            break;
        size_t used = block_walk(walk, slot, &block);
        if (tail)
            tail_take(tail, database, number, generation, bytes, size, used);
    }
    statement_done(select);
}

static void rows_walk(struct database *database, struct walk *walk) {
    struct statement *select = database_prepare(database, "SELECT slot, at_ms, body FROM tail WHERE slot BETWEEN ? AND ? ORDER BY id");
    statement_bind_int(select, 1, walk->first_slot);
    statement_bind_int(select, 2, walk->last_slot);
    while (walk->more && statement_step(select)) {
        size_t size;
        const uint8_t *bytes = statement_bytes(select, 2, &size);
        walk->more = walk->sink(walk->context, statement_int(select, 0), statement_int(select, 1), bytes, size);
    }
    statement_done(select);
}

void tail_read(struct database *database, int64_t first_slot, int64_t last_slot,
               bool (*sink)(void *context, int64_t slot, int64_t at_ms, const uint8_t *bytes, size_t size), void *context) {
    struct walk walk = {.sink = sink, .context = context, .first_slot = first_slot, .last_slot = last_slot, .more = true};
    rows_walk(database, &walk);
    blocks_walk(database, &walk, NULL);
}

/* ---- writing ---- */

void tail_open(struct tail *tail, struct database *database) {
    *tail = (struct tail){.database = database};
    blocks_walk(database, NULL, tail);
    tail->old = database_number(database, "SELECT count(*) FROM tail") > 0;
    tail->put_block = database_prepare(database, "INSERT OR REPLACE INTO tail_block VALUES(?, ?)");
}

static void block_begin(uint8_t block[TAIL_BLOCK_SIZE], uint64_t generation, int64_t slot) {
    struct bytes_writer writer;
    memset(block, 0, TAIL_BLOCK_SIZE);
    bytes_writer_init(&writer, block, TAIL_BLOCK_SIZE);
    bytes_put_u64(&writer, generation);
    bytes_put_u64(&writer, (uint64_t)slot);
}

static void block_put(struct tail *tail, int64_t number, const uint8_t block[TAIL_BLOCK_SIZE]) {
    statement_bind_int(tail->put_block, 1, number);
    statement_bind_bytes(tail->put_block, 2, block, TAIL_BLOCK_SIZE);
    statement_step(tail->put_block);
}

/* As many whole readings as fit into `room`; 0 also when what follows is damaged. */
static size_t readings_fit(const uint8_t *bytes, size_t size, size_t room) {
    struct bytes_reader reader;
    struct packed_reading reading;
    size_t fit = 0;
    bytes_reader_init(&reader, bytes, size);
    while (entry_get_reading(&reader, 0, &reading) && reader.position <= room)
        fit = reader.position;
    return fit;
}

enum err tail_add(struct tail *tail, int64_t slot, int64_t at_ms, const uint8_t *bytes, size_t size, struct database_failure *ret_failure) {
    struct tail before = *tail;
    database_begin(tail->database);
    for (size_t at = 0; at < size;) {
        if (tail->used <= BLOCK_HEAD_SIZE) { /* begun, or cleared: the slot is that of the first record */
            block_begin(tail->block, tail->generation, slot);
            tail->used = BLOCK_HEAD_SIZE;
        }
        size_t room = TAIL_BLOCK_SIZE - tail->used;
        size_t fit = room > RECORD_HEAD_SIZE ? readings_fit(bytes + at, size - at, room - RECORD_HEAD_SIZE) : 0;
        if (!fit && tail->used == BLOCK_HEAD_SIZE)
            break; /* damaged from here on: nobody could read it */
        if (!fit) {
            block_put(tail, tail->number++, tail->block);
            tail->used = 0;
            continue;
        }
        struct bytes_writer writer;
        bytes_writer_init(&writer, tail->block + tail->used, room);
        bytes_put_varint(&writer, fit);
        bytes_put_zigzag(&writer, at_ms);
        bytes_put_raw(&writer, bytes + at, fit);
        CHECK(!writer.full);
        tail->used += writer.length;
        at += fit;
    }
    if (tail->used > BLOCK_HEAD_SIZE)
        block_put(tail, tail->number, tail->block);
    enum err err = database_end(tail->database, ret_failure);
    if (err != ERR_OK)
        *tail = before;
    return err;
}

void tail_clear(struct tail *tail) {
    uint8_t empty[TAIL_BLOCK_SIZE];
    block_begin(empty, tail->generation + 1, 0);
    block_put(tail, 0, empty);
    if (tail->old)
        database_run(tail->database, "DELETE FROM tail");
}

void tail_cleared(struct tail *tail) {
    tail->generation++;
    tail->number = 0;
    tail->used = 0;
    tail->old = false;
}
