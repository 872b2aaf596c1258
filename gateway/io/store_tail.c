/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/store_tail.h"

#include <string.h>

#include "base/check.h"

#define BLOCK_HEAD_SIZE 16
#define RECORD_HEAD_SIZE 17 /* at most: two bytes of size, five of series, ten of time */

const char tail_sql[] = "CREATE TABLE IF NOT EXISTS tail_page(id INTEGER PRIMARY KEY, body BLOB NOT NULL)";

/* ---- reading ---- */

struct walk {
    bool (*sink)(void *context, int64_t hour, const struct reading_order *order, const uint8_t *bytes, size_t size);
    void *context;
    int64_t first_hour, last_hour;
    bool more;
};

/* Gives every record to the sink; how many bytes of the block are used. */
static size_t block_walk(struct walk *walk, int64_t hour, struct bytes_reader *block) {
    while (block->position < block->size) {
        size_t begin = block->position;
        uint64_t size = bytes_get_varint(block);
        struct reading_order order = {.series = 0};
        if (size) {
            order.series = bytes_get_zigzag(block);
            order.at_ms = bytes_get_zigzag(block);
        }
        if (!size || block->failed || size > block->size - block->position)
            return begin;
        if (walk && walk->more && hour >= walk->first_hour && hour <= walk->last_hour)
            walk->more = walk->sink(walk->context, hour, &order, block->bytes + block->position, (size_t)size);
        block->position += (size_t)size;
    }
    return block->position;
}

/* All blocks that count. With `tail` the last one is taken into it, to be added to. */
static void blocks_walk(struct database *database, struct walk *walk, struct tail *tail) {
    struct statement *select = database_prepare(database, "SELECT id, body FROM tail_page ORDER BY id");
    uint64_t generation = 0;
    int64_t hour = 0;
    for (int64_t number = 0; statement_step(select); number++) {
        struct bytes_reader block;
        size_t size;
        const uint8_t *bytes = statement_bytes(select, 1, &size);
        bytes_reader_init(&block, bytes, size);
        uint64_t of = bytes_get_u64(&block);
        int64_t of_hour = (int64_t)bytes_get_u64(&block);
        generation = number ? generation : of;
        hour = number ? hour : of_hour;
        if (size != TAIL_BLOCK_SIZE || of != generation || of_hour != hour || statement_int(select, 0) != number)
            break;
        size_t used = block_walk(walk, hour, &block);
        if (tail) {
            *tail = (struct tail){.database = database, .number = number, .generation = generation, .used = used};
            memcpy(tail->block, bytes, used);
        }
    }
    statement_done(select);
}

void tail_read(struct database *database, int64_t first_hour, int64_t last_hour,
               bool (*sink)(void *context, int64_t hour, const struct reading_order *order, const uint8_t *bytes, size_t size), void *context) {
    struct walk walk = {.sink = sink, .context = context, .first_hour = first_hour, .last_hour = last_hour, .more = true};
    blocks_walk(database, &walk, NULL);
}

/* ---- writing ---- */

void tail_open(struct tail *tail, struct database *database) {
    *tail = (struct tail){.database = database};
    blocks_walk(database, NULL, tail);
    tail->put_block = database_prepare(database, "INSERT OR REPLACE INTO tail_page VALUES(?, ?)");
}

static void block_begin(uint8_t block[TAIL_BLOCK_SIZE], uint64_t generation, int64_t hour) {
    struct bytes_writer writer;
    memset(block, 0, TAIL_BLOCK_SIZE);
    bytes_writer_init(&writer, block, TAIL_BLOCK_SIZE);
    bytes_put_u64(&writer, generation);
    bytes_put_u64(&writer, (uint64_t)hour);
}

static void block_put(struct tail *tail, int64_t number, const uint8_t block[TAIL_BLOCK_SIZE]) {
    statement_bind_int(tail->put_block, 1, number);
    statement_bind_bytes(tail->put_block, 2, block, TAIL_BLOCK_SIZE);
    statement_step(tail->put_block);
}

/* As many whole readings as fit into `room`, and the order after them; 0 also when what follows is damaged. */
static size_t readings_fit(const uint8_t *bytes, size_t size, size_t room, const struct reading_order *order, struct reading_order *ret_after) {
    struct bytes_reader reader;
    struct reading_order next = *order;
    struct packed_reading reading;
    size_t fit = 0;
    bytes_reader_init(&reader, bytes, size);
    while (entry_get_reading(&reader, &next, &reading) && reader.position <= room) {
        fit = reader.position;
        *ret_after = next;
    }
    return fit;
}

/* There is room. */
static void record_put(struct tail *tail, const struct reading_order *order, const uint8_t *bytes, size_t size) {
    struct bytes_writer writer;
    bytes_writer_init(&writer, tail->block + tail->used, TAIL_BLOCK_SIZE - tail->used);
    bytes_put_varint(&writer, size);
    bytes_put_zigzag(&writer, order->series);
    bytes_put_zigzag(&writer, order->at_ms);
    bytes_put_raw(&writer, bytes, size);
    CHECK(!writer.full);
    tail->used += writer.length;
}

enum err tail_add(struct tail *tail, int64_t hour, const struct reading_order *order, const uint8_t *bytes, size_t size,
                  struct database_failure *ret_failure) {
    struct tail before = *tail;
    struct reading_order next = *order;
    database_begin(tail->database);
    for (size_t at = 0; at < size;) {
        if (tail->used <= BLOCK_HEAD_SIZE) { /* begun, or cleared: the hour is that of the first record */
            block_begin(tail->block, tail->generation, hour);
            tail->used = BLOCK_HEAD_SIZE;
        }
        size_t room = TAIL_BLOCK_SIZE - tail->used;
        struct reading_order after = next;
        size_t fit = room > RECORD_HEAD_SIZE ? readings_fit(bytes + at, size - at, room - RECORD_HEAD_SIZE, &next, &after) : 0;
        if (!fit && tail->used == BLOCK_HEAD_SIZE)
            break; /* damaged from here on: nobody could read it */
        if (!fit) {
            block_put(tail, tail->number++, tail->block);
            tail->used = 0;
            continue;
        }
        record_put(tail, &next, bytes + at, fit);
        next = after;
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
}

void tail_cleared(struct tail *tail) {
    tail->generation++;
    tail->number = 0;
    tail->used = 0;
}
