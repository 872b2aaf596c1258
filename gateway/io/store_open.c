/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/store_open.h"

#include <string.h>

#include "base/check.h"

#define GROW_BLOCKS 64

/* Writing the links uses each page once. */
static void blocks_add(struct open_hour *open, uint64_t count, struct arena *arena) {
    struct open_block *blocks = arena_take(arena, count, sizeof(*blocks));
    for (uint64_t i = 0; i < count; i++)
        blocks[i].next = i + 1 < count ? &blocks[i + 1] : open->free;
    open->free = blocks;
    open->blocks_count += count;
}

void open_init(struct open_hour *open, uint32_t series_count, uint64_t readings, struct arena *arena) {
    uint64_t least = (uint64_t)series_count * OPEN_SERIES_BLOCKS + 1, most = OPEN_BLOCKS_MAX;
    uint64_t count = readings < most * OPEN_BLOCK_SIZE ? readings * OPEN_READING_SIZE / OPEN_BLOCK_SIZE + series_count : most;
    count = count < most ? count : most;
    *open = (struct open_hour){.hour = HOUR_NONE, .series_count = series_count};
    open->series = arena_take(arena, series_count ? series_count : 1, sizeof(*open->series));
    for (uint32_t i = 0; i < series_count; i++)
        open->series[i] = (struct open_series){.first = NULL};
    blocks_add(open, count > least ? count : least, arena);
}

void open_grow(struct open_hour *open, struct arena *arena) {
    blocks_add(open, GROW_BLOCKS, arena);
}

/* A block behind the series' last one; NULL when none is left. */
static struct open_block *block_add(struct open_hour *open, struct open_series *series) {
    struct open_block *block = open->free, *last = series->last;
    if (!block)
        return NULL;
    open->free = block->next;
    block->next = NULL;
    block->used = block->readings = block->windows = 0;
    block->place = last ? (uint8_t)((last->place + 1) % CHUNK_BLOCKS) : 0;
    *(last ? &last->next : &series->first) = block;
    series->last = block;
    return block;
}

bool open_put(struct open_hour *open, const struct packed_reading *reading) {
    struct open_series *series = &open->series[reading->series];
    struct chunk_state state = series->state;
    struct open_block *block = series->last;
    uint8_t item[CHUNK_ITEM_SIZE];
    struct bytes_writer writer;
    bytes_writer_init(&writer, item, sizeof(item));
    chunk_put(&writer, &state, open->hour, reading);
    if (!block || (size_t)block->used + writer.length > OPEN_BLOCK_SIZE) {
        block = block_add(open, series);
        if (!block)
            return false;
        if (!block->place) { /* a chunk of its own */
            state = (struct chunk_state){.begun = false};
            writer.length = 0;
            chunk_put(&writer, &state, open->hour, reading);
        }
    }
    CHECK(!writer.full);
    memcpy(block->bytes + block->used, item, writer.length);
    block->used = (uint8_t)(block->used + writer.length);
    block->windows = (uint8_t)(block->windows | chunk_window(reading->at_ms));
    block->readings++;
    series->state = state;
    return true;
}

void open_clear(struct open_hour *open) {
    for (uint32_t i = 0; i < open->series_count; i++) {
        struct open_series *series = &open->series[i];
        if (!series->last)
            continue;
        series->last->next = open->free;
        open->free = series->first;
        *series = (struct open_series){.first = NULL};
    }
    open->hour = HOUR_NONE;
}

/* The chunk that begins with this block; the first block of the next one, or NULL. */
static const struct open_block *chunk_take(const struct open_block *block, struct bytes_writer *body, unsigned *ret_windows) {
    const struct open_block *end = block;
    uint32_t count = 0, size = 0;
    *ret_windows = 0;
    do {
        *ret_windows |= end->windows;
        count += end->readings;
        size += end->used;
        end = end->next;
    } while (end && end->place);
    chunk_put_head(body, count, size);
    for (; block != end; block = block->next)
        bytes_put_raw(body, block->bytes, block->used);
    CHECK(!body->full);
    return end;
}

void open_each(const struct open_hour *open, void (*sink)(void *context, uint32_t series, unsigned windows, const struct bytes_writer *body),
               void *context) {
    for (uint32_t series = 0; series < open->series_count; series++)
        for (const struct open_block *block = open->series[series].first; block;) {
            uint8_t bytes[CHUNK_BODY_SIZE];
            struct bytes_writer body;
            unsigned windows;
            bytes_writer_init(&body, bytes, sizeof(bytes));
            block = chunk_take(block, &body, &windows);
            sink(context, series, windows, &body);
        }
}
