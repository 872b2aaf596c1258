/* SPDX-License-Identifier: Apache-2.0 */
/* The packing of one series within an hour of history, appended reading by reading, and its reading back. Pure.
 *
 * A chunk's body is one segment; those of older files may be more, each complete in itself:
 *   segment: count varint, bytes varint, that many bytes of items
 *   item:    token varint = zigzag(change of the time step in ms) * 2 + told, then
 *     told 0: same form, quality and reason as before; a whole number follows as the zigzag difference to the one before;
 *             text, or no value at all, is the same as before and nothing follows
 *     told 1: one byte form (low 4 bits) and quality (high 4 bits), a reason byte unless good, then by form:
 *             decimals byte and zigzag (SCALED, SINGLE), 8 bytes (RAW), zigzag (INTEGER), varint (UNSIGNED), text
 * A number is kept as a whole number and a count of decimals when exactly that double (or, for what came as a 32-bit float,
 * that float) comes back, which sensors' numbers nearly always do; otherwise as its 8 bytes. About 2 bytes a reading. */
#ifndef YANHUO_STORE_CHUNK_H
#define YANHUO_STORE_CHUNK_H

#include "gateway/core/entry.h"

#define HOUR_MS 3600000
#define WINDOW_MS 600000 /* of the shortest rollup; of each chunk is known in which sixths of its hour it has readings */
#define HOUR_END (INT64_C(1) << 24) /* beyond every hour that is kept: ids and times of these have room in 64 bits */

/* A row's id: (hour << 20 | series) << 16 | part. */
#define CHUNK_SERIES_BITS 20
#define CHUNK_PART_BITS 16
#define CHUNK_PARTS (INT64_C(1) << CHUNK_PART_BITS)
#define CHUNK_SERIES_MASK ((INT64_C(1) << CHUNK_SERIES_BITS) - 1)

#define CHUNK_ITEM_SIZE 64 /* the longest item: token, form, reason, and a text of VALUE_TEXT_SIZE */
#define CHUNK_ITEMS_SIZE 464 /* of a chunk: with its head and its row's, four share a page of 2048 */
#define CHUNK_BODY_SIZE (CHUNK_ITEMS_SIZE + 4) /* with a head of two varints below 2^14 */

enum chunk_form { FORM_NONE, FORM_RAW, FORM_INTEGER, FORM_UNSIGNED, FORM_TEXT, FORM_SCALED, FORM_SINGLE }; /* stored: never renumbered */

/* What the next item is told against. Zeroed is the state at the start of a segment. */
struct chunk_state {
    bool begun;
    uint8_t form, quality, reason, decimals;
    int64_t at_ms, step_ms; /* of the item before; the begin of the hour and 0 at first */
    uint64_t whole;         /* the whole number before, as its 64 bits */
    char text[VALUE_TEXT_SIZE];
};

/* Negative times have no hour. */
static inline int64_t chunk_hour(int64_t at_ms) {
    return at_ms / HOUR_MS;
}

/* A bit for the sixth of its hour. */
static inline unsigned chunk_window(int64_t at_ms) {
    return 1u << (at_ms % HOUR_MS / WINDOW_MS);
}

/* Of the first part; all parts are below that of the next series, which after the last one is the next hour. */
static inline int64_t chunk_id(int64_t hour, int64_t series) {
    return ((hour << CHUNK_SERIES_BITS) + series) << CHUNK_PART_BITS;
}

/* Appends one item; the reading's time must lie in the hour. */
void chunk_put(struct bytes_writer *writer, struct chunk_state *state, int64_t hour, const struct packed_reading *reading);
void chunk_put_head(struct bytes_writer *writer, uint32_t count, uint32_t size);

struct chunk_reader {
    struct bytes_reader bytes;
    struct chunk_state state;
    int64_t begin_ms, span_ms;
    uint32_t series;
    uint64_t left;      /* items of this segment */
    size_t segment_end; /* where its bytes must end */
};
/* With the begin and span that it was written with: those of its hour, but for older files. */
void chunk_reader_init(struct chunk_reader *reader, uint32_t series, int64_t begin_ms, int64_t span_ms, const uint8_t *bytes, size_t size);
/* The next reading; false at the end or when damaged (then reader->bytes.failed). */
bool chunk_get(struct chunk_reader *reader, struct packed_reading *ret_reading);

#endif
