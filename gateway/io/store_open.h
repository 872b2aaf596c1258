/* SPDX-License-Identifier: Apache-2.0 */
/* The hour under way: what was read in it, packed in memory until it is over and its chunks are written at once. The store's writer.
 * Memory is a pool of small blocks, taken and used once at the start. Blocks of one series make chunks of at most CHUNK_BLOCKS blocks each;
 * items never span two blocks, and each chunk is told against nothing before it, so that it can be written as it lies there. */
#ifndef YANHUO_STORE_OPEN_H
#define YANHUO_STORE_OPEN_H

#include "base/arena.h"
#include "gateway/io/store_chunk.h"

#define HOUR_NONE INT64_MIN

#define CHUNK_BLOCKS 4
#define OPEN_BLOCK_SIZE (CHUNK_ITEMS_SIZE / CHUNK_BLOCKS)
#define OPEN_READING_SIZE 3 /* bytes set aside for one: sensors' numbers take about 2, and a block is rarely full to the last byte */
#define OPEN_BLOCKS_MAX 7168 /* 0.9 MB: an hour of 100 readings a second; of 1,000 what is open is written ten times an hour */
#define OPEN_SERIES_BLOCKS 2 /* but never fewer for a series, or a site of very many would be written all the time */

struct open_block {
    struct open_block *next; /* of the series, or of what is free */
    uint8_t used, readings, windows, place; /* bytes; chunk_window of all of them; place in its chunk */
    uint8_t bytes[OPEN_BLOCK_SIZE];
};

struct open_series {
    struct open_block *first, *last;
    struct chunk_state state;
};

struct open_hour {
    int64_t hour; /* HOUR_NONE when nothing is open */
    uint32_t series_count;
    struct open_series *series;
    struct open_block *free;
    uint64_t blocks_count; /* of the pool */
};

/* Room for so many readings, between the bounds above. */
void open_init(struct open_hour *open, uint32_t series_count, uint64_t readings, struct arena *arena);
/* Some more blocks. */
void open_grow(struct open_hour *open, struct arena *arena);
/* False when there is no room for it. Its series exists, and its time is of the hour. */
NODISCARD bool open_put(struct open_hour *open, const struct packed_reading *reading);
/* Nothing is open then. */
void open_clear(struct open_hour *open);

/* Every chunk, series after series, each series' in their order, with chunk_window of all its readings; the body holds only while the sink runs. */
void open_each(const struct open_hour *open, void (*sink)(void *context, uint32_t series, unsigned windows, const struct bytes_writer *body),
               void *context);

#endif
