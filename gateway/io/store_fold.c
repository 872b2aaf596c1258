/* SPDX-License-Identifier: Apache-2.0 */
/* chunks of slots 0 .. 11, series 0 .. n   --one step-->   hours of series 0 .. k, and the chunks of series k + 1 .. n
 *
 * A step reads the twelve slots side by side, each from its lowest series on, and what it has folded it deletes in the same transaction:
 * so a step needs to know nothing of the one before, and ends with fewer chunks whatever they hold.
 * Chunks of an hour that was folded already (the clock was set back) are folded together with it: it is made anew, of its own readings
 * and then theirs. Of damaged bodies what can be read is kept, as when they are read.
 * Invariant: a reading is in a chunk or in an hour, never in both; and never in an hour before the rollups of its time are written, or
 * were marked to be written again, because those are found by chunks. */
#include "gateway/io/store_fold.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "gateway/io/store_chunk.h"

#define STEP_READINGS 100000 /* packed again: some milliseconds; one series is always done as a whole */
#define STEP_BYTES 600000   /* unpacked from: of what does not pack well */
#define SCRATCH_SIZE_FIRST 16384
#define PARTS_MAX (1 << HOUR_PART_BITS)
#define PAGE_KEEPS 35    /* bytes of a page that a row which is kept in one cannot have */
#define PAGE_ROW_COST 32 /* of a row, beside its body: four in a page, with some to spare */

const char fold_sql[] = "CREATE TABLE IF NOT EXISTS hour(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body BLOB NOT NULL)";

struct fold {
    struct database *database;
    struct rollup *rollup;
    uint8_t *scratch; /* an hour's body; grown when one was larger than any before */
    size_t scratch_size, page_size;
    struct statement *lowest, *slots[HOUR_SLOTS], *size, *find, *put, *drop_hour, *drop_chunks;
};

struct packing {          /* of one series; the parts stand one after the other in the scratch, each with room before its items for their head */
    int64_t id, begin_ms; /* of the first part; of the hour */
    struct bytes_writer writer;
    struct chunk_state state;
    size_t part_size; /* a part of so many bytes is whole */
    unsigned last;    /* the part that is being filled */
    size_t begins[PARTS_MAX];
    uint32_t counts[PARTS_MAX];
};

struct step {
    int64_t hour;
    int64_t series[HOUR_SLOTS]; /* that each slot's statement stands on; INT64_MAX: no more */
    int64_t last;               /* series up to this one are folded */
    size_t readings, bytes;
};

struct fold *fold_open(struct database *database, struct rollup *rollup, struct arena *arena) {
    struct fold *fold = arena_take(arena, 1, sizeof(*fold));
    *fold = (struct fold){.database = database, .rollup = rollup, .page_size = (size_t)database_page_size(database)};
    fold->lowest = database_prepare(database, "SELECT id FROM chunk WHERE id >= 0 ORDER BY id LIMIT 1");
    for (unsigned i = 0; i < HOUR_SLOTS; i++)
        fold->slots[i] = database_prepare(database, "SELECT id, body FROM chunk WHERE id BETWEEN ? AND ? ORDER BY id");
    fold->size = database_prepare(database, "SELECT count(*), sum(length(body)) FROM hour WHERE id >= ? AND id < ?");
    fold->find = database_prepare(database, "SELECT body FROM hour WHERE id >= ? AND id < ? ORDER BY id");
    fold->put = database_prepare(database, "INSERT INTO hour VALUES(?, ?, ?)");
    fold->drop_hour = database_prepare(database, "DELETE FROM hour WHERE id >= ? AND id < ?");
    fold->drop_chunks = database_prepare(database, "DELETE FROM chunk WHERE id BETWEEN ? AND ?");
    return fold;
}

void fold_close(struct fold *fold) {
    if (!fold)
        return;
    free(fold->scratch); /* all else is the arena's */
    fold->scratch = NULL;
    fold->scratch_size = 0;
}

/* ---- one series ---- */

/* For one more item, and the head of the next part. */
static bool scratch_reserve(struct fold *fold, struct bytes_writer *writer) {
    if (writer->length + CHUNK_ITEM_SIZE + CHUNK_SEGMENT_SIZE <= fold->scratch_size)
        return true;
    size_t size = fold->scratch_size ? 2 * fold->scratch_size : SCRATCH_SIZE_FIRST;
    uint8_t *larger = realloc(fold->scratch, size);
    if (!larger)
        return false;
    fold->scratch = writer->bytes = larger;
    fold->scratch_size = writer->size = size;
    return true;
}

static void part_begin(struct packing *packing, unsigned part) {
    packing->writer.length += CHUNK_SEGMENT_SIZE;
    packing->begins[part] = packing->writer.length;
    packing->state = (struct chunk_state){.begun = false};
    packing->last = part;
}

/* `size`: bytes of the bodies that it is packed from, and about what it will have. */
static bool packing_begin(struct fold *fold, struct packing *packing, int64_t hour, int64_t series, size_t size) {
    size_t shared = fold->page_size / 4 - PAGE_ROW_COST;
    size_t parts = size <= fold->page_size - PAGE_KEEPS ? size / shared + 1 : 1;
    *packing = (struct packing){.id = hour_id(hour, series), .begin_ms = hour * HOUR_MS, .part_size = parts > 1 ? size / parts : SIZE_MAX};
    bytes_writer_init(&packing->writer, fold->scratch, fold->scratch_size);
    if (!scratch_reserve(fold, &packing->writer))
        return false;
    part_begin(packing, 0);
    return true;
}

static bool packing_add(struct fold *fold, struct packing *packing, int64_t begin_ms, int64_t span_ms, const uint8_t *body, size_t size) {
    struct chunk_reader reader;
    struct packed_reading reading;
    chunk_reader_init(&reader, 0, begin_ms, span_ms, body, size);
    while (chunk_get(&reader, &reading)) {
        if (!scratch_reserve(fold, &packing->writer))
            return false;
        if (packing->writer.length - packing->begins[packing->last] >= packing->part_size && packing->last + 1 < PARTS_MAX)
            part_begin(packing, packing->last + 1);
        chunk_put(&packing->writer, &packing->state, packing->begin_ms, HOUR_MS, &reading);
        packing->counts[packing->last]++;
    }
    return true;
}

static void packing_write(struct fold *fold, struct packing *packing) {
    CHECK(!packing->writer.full);
    for (unsigned i = 0; i <= packing->last && packing->counts[i]; i++) { /* none when nothing could be read */
        uint8_t head[CHUNK_SEGMENT_SIZE];
        struct bytes_writer writer;
        size_t end = i < packing->last ? packing->begins[i + 1] - CHUNK_SEGMENT_SIZE : packing->writer.length;
        bytes_writer_init(&writer, head, sizeof(head));
        chunk_put_head(&writer, packing->counts[i], (uint32_t)(end - packing->begins[i]));
        uint8_t *body = fold->scratch + packing->begins[i] - writer.length;
        memcpy(body, head, writer.length);
        statement_bind_int(fold->put, 1, packing->id | i);
        statement_bind_int(fold->put, 2, packing->counts[i]);
        statement_bind_bytes(fold->put, 3, body, writer.length + end - packing->begins[i]);
        statement_step(fold->put);
    }
}

static void bind_hour(struct statement *statement, int64_t hour, int64_t series) {
    statement_bind_int(statement, 1, hour_id(hour, series));
    statement_bind_int(statement, 2, hour_id(hour, series + 1));
}

/* What the hour holds already goes before what came late. */
static bool hour_take(struct fold *fold, struct packing *packing, int64_t hour, int64_t series) {
    bool room = true;
    bind_hour(fold->find, hour, series);
    while (room && statement_step(fold->find)) {
        size_t size;
        const uint8_t *body = statement_bytes(fold->find, 0, &size);
        room = packing_add(fold, packing, hour * HOUR_MS, HOUR_MS, body, size);
    }
    statement_reset(fold->find);
    bind_hour(fold->drop_hour, hour, series);
    statement_step(fold->drop_hour);
    return room;
}

/* Without memory false, and then the step must not be committed. */
static bool series_fold(struct fold *fold, struct step *step, int64_t series) {
    struct packing packing;
    const uint8_t *bodies[HOUR_SLOTS] = {NULL};
    size_t sizes[HOUR_SLOTS], size = 0;
    bind_hour(fold->size, step->hour, series);
    bool late = statement_step(fold->size) && statement_int(fold->size, 0) > 0;
    if (late)
        size = (size_t)statement_int(fold->size, 1);
    statement_reset(fold->size);
    for (unsigned i = 0; i < HOUR_SLOTS; i++)
        if (step->series[i] == series) {
            bodies[i] = statement_bytes(fold->slots[i], 1, &sizes[i]);
            size += sizes[i];
        }
    bool room = packing_begin(fold, &packing, step->hour, series, size) && (!late || hour_take(fold, &packing, step->hour, series));
    for (int64_t i = 0; room && i < HOUR_SLOTS; i++)
        if (bodies[i])
            room = packing_add(fold, &packing, (step->hour * HOUR_SLOTS + i) * SLOT_MS, SLOT_MS, bodies[i], sizes[i]);
    if (room)
        packing_write(fold, &packing);
    for (unsigned i = 0; room && i <= packing.last; i++)
        step->readings += packing.counts[i];
    step->bytes += size;
    return room;
}

/* ---- a step ---- */

static void slot_next(struct fold *fold, struct step *step, unsigned i) {
    step->series[i] = statement_step(fold->slots[i]) ? statement_int(fold->slots[i], 0) & CHUNK_SERIES_MASK : INT64_MAX;
}

/* Series from the lowest on, until there are none or it is enough. */
static bool step_fold(struct fold *fold, struct step *step) {
    bool room = true;
    for (unsigned i = 0; i < HOUR_SLOTS; i++) {
        int64_t first = (step->hour * HOUR_SLOTS + i) << CHUNK_SERIES_BITS;
        statement_bind_int(fold->slots[i], 1, first);
        statement_bind_int(fold->slots[i], 2, first | CHUNK_SERIES_MASK);
        slot_next(fold, step, i);
    }
    while (room && step->readings < STEP_READINGS && step->bytes < STEP_BYTES) {
        int64_t series = INT64_MAX;
        for (unsigned i = 0; i < HOUR_SLOTS; i++)
            series = step->series[i] < series ? step->series[i] : series;
        step->last = series != INT64_MAX ? series : CHUNK_SERIES_MASK;
        if (series == INT64_MAX)
            break;
        room = series_fold(fold, step, series);
        for (unsigned i = 0; i < HOUR_SLOTS; i++)
            if (step->series[i] == series)
                slot_next(fold, step, i);
    }
    for (unsigned i = 0; i < HOUR_SLOTS; i++)
        statement_reset(fold->slots[i]);
    return room;
}

static void step_drop(struct fold *fold, const struct step *step) {
    for (int64_t i = 0; i < HOUR_SLOTS; i++) {
        int64_t first = (step->hour * HOUR_SLOTS + i) << CHUNK_SERIES_BITS;
        statement_bind_int(fold->drop_chunks, 1, first);
        statement_bind_int(fold->drop_chunks, 2, first | step->last);
        statement_step(fold->drop_chunks);
    }
}

enum err fold_advance(struct fold *fold, int64_t until_slot, bool *ret_more, struct database_failure *ret_failure) {
    *ret_more = false;
    int64_t reach = rollup_reach(fold->rollup);
    bool any = statement_step(fold->lowest);
    struct step step = {.hour = any ? (statement_int(fold->lowest, 0) >> CHUNK_SERIES_BITS) / HOUR_SLOTS : 0};
    statement_reset(fold->lowest);
    int64_t end_slot = (step.hour + 1) * HOUR_SLOTS;
    enum err err = database_clear(fold->database, ret_failure);
    if (err != ERR_OK || !any || end_slot > until_slot || end_slot > reach)
        return err;
    database_begin(fold->database);
    bool room = step_fold(fold, &step);
    if (room)
        step_drop(fold, &step);
    else
        database_run(fold->database, "ROLLBACK; BEGIN");
    err = database_end(fold->database, ret_failure);
    if (err == ERR_OK && !room)
        err = ret_failure->err = ERR_NOMEM;
    *ret_more = err == ERR_OK;
    return err;
}
