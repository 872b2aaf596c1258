/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one series back: two walks over the chunks and those of older files, which give their rows in the order of their hours; then the
 * tail. A walk goes on from whatever row is next in its table, so that a long stretch without rows costs nothing, and one without rows of
 * this series a probe for each hour of it. */
#include "gateway/io/store_history.h"
#include "gateway/io/store_history_old.h"
#include "gateway/io/store_tail.h"

struct looking {
    uint32_t series;
    int64_t from_ms, to_ms;
    bool (*sink)(void *context, const struct packed_reading *reading);
    void *context;
};

struct walk {
    struct statement *find;
    const struct looking *looking;
    unsigned part_bits; /* of an id, below the series */
    int64_t last;
    int64_t hour; /* of the row that it stands on; INT64_MAX when there is none */
};

/* To the first row at or after this hour. */
static void walk_seek(struct walk *walk, int64_t hour) {
    uint32_t series = walk->looking->series;
    walk->hour = INT64_MAX;
    statement_reset(walk->find);
    while (hour <= walk->last) {
        statement_bind_int(walk->find, 1, (hour << CHUNK_SERIES_BITS | series) << walk->part_bits);
        statement_bind_int(walk->find, 2, ((walk->last << CHUNK_SERIES_BITS | series) + 1) << walk->part_bits);
        if (!statement_step(walk->find))
            return;
        int64_t id = statement_int(walk->find, 0) >> walk->part_bits, found = id & CHUNK_SERIES_MASK;
        hour = id >> CHUNK_SERIES_BITS;
        if (found == series) {
            walk->hour = hour;
            return;
        }
        hour += found > series; /* another series': ours may come after it in its hour, unless that is past us */
        statement_reset(walk->find);
    }
}

static void walk_begin(struct walk *walk, struct database *database, const char *sql, const struct looking *looking, unsigned part_bits) {
    *walk = (struct walk){.find = database_prepare(database, sql), .looking = looking, .part_bits = part_bits};
    int64_t first = looking->from_ms > 0 ? chunk_hour(looking->from_ms) : 0;
    walk->last = looking->to_ms < 0 ? -1 : chunk_hour(looking->to_ms) < HOUR_END ? chunk_hour(looking->to_ms) : HOUR_END;
    walk_seek(walk, first);
}

/* Gives what the hour holds, and goes to the next one; false when the sink has enough. */
static bool walk_give(struct walk *walk) {
    const struct looking *looking = walk->looking;
    int64_t id = walk->hour << CHUNK_SERIES_BITS | looking->series;
    do {
        struct chunk_reader reader;
        struct packed_reading reading;
        size_t size;
        const uint8_t *body = statement_bytes(walk->find, 1, &size);
        chunk_reader_init(&reader, looking->series, walk->hour * HOUR_MS, HOUR_MS, body, size);
        while (chunk_get(&reader, &reading))
            if (reading.at_ms >= looking->from_ms && reading.at_ms <= looking->to_ms && !looking->sink(looking->context, &reading))
                return false;
    } while (statement_step(walk->find) && statement_int(walk->find, 0) >> walk->part_bits == id);
    walk_seek(walk, walk->hour + 1);
    return true;
}

static bool tail_look(void *context, int64_t hour, const struct reading_order *order, const uint8_t *bytes, size_t size) {
    const struct looking *looking = context;
    struct bytes_reader reader;
    struct reading_order next = *order;
    struct packed_reading reading;
    bytes_reader_init(&reader, bytes, size);
    while (entry_get_reading(&reader, &next, &reading)) {
        bool wanted = reading.series == looking->series && reading.at_ms >= looking->from_ms && reading.at_ms <= looking->to_ms;
        if (wanted && chunk_hour(reading.at_ms) == hour && !looking->sink(looking->context, &reading))
            return false;
    }
    return true;
}

enum err history_read(struct database *database, uint32_t series, int64_t from_ms, int64_t to_ms,
                      bool (*sink)(void *context, const struct packed_reading *reading), void *context, struct database_failure *ret_failure) {
    struct looking looking = {.series = series, .from_ms = from_ms, .to_ms = to_ms, .sink = sink, .context = context};
    struct walk old, chunks;
    bool more = true;
    database_run(database, "BEGIN"); /* all tables as of one moment */
    walk_begin(&old, database, "SELECT id, body FROM hour WHERE id >= ? AND id < ? ORDER BY id", &looking, OLD_PART_BITS);
    walk_begin(&chunks, database, "SELECT id, body FROM hour_chunk WHERE id >= ? AND id < ? ORDER BY id", &looking, CHUNK_PART_BITS);
    while (more && (old.hour != INT64_MAX || chunks.hour != INT64_MAX))
        more = walk_give(old.hour <= chunks.hour ? &old : &chunks);
    statement_done(old.find);
    statement_done(chunks.find);
    if (more)
        tail_read(database, from_ms > 0 ? chunk_hour(from_ms) : 0, to_ms < 0 ? -1 : chunk_hour(to_ms), tail_look, &looking);
    return database_end(database, ret_failure);
}
