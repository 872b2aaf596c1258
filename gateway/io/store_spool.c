/* SPDX-License-Identifier: Apache-2.0 */
/* A run is deletable when every configured uplink that it has an entry for has acknowledged past its end, and, if it is of events, the
 * archive has it. Deletion goes from the oldest and stops at the first that must stay, so that it costs nothing when nothing moved. A
 * run of readings that everybody already has when its turn comes is not written at all, which spares the card while the network is up.
 *
 * Room: the file may use spool_bytes_max. Before a run is written the oldest readings go until it fits, then (for an event)
 * the oldest events, and only for a fire entry the oldest fire entries: nothing displaces what matters more than itself.
 * A reading run that still has no room is dropped itself and told as evicted. Beside that each uplink has limits of its own (keep): what is
 * older or more is given up for it alone, by taking its bit from the run's mask, so that an uplink that is dead for months fills no room
 * of the others.
 * Undelivered entries dropped are counted for each uplink in the same commit (table gap), told by the next `stored`, also after a
 * restart, and taken out with the commit after that. */
#include "gateway/io/store_spool.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define ROOM_BYTES 131072 /* beside the run: tree pages, cursors, records */
#define EVICTIONS_MAX 256 /* runs dropped in one commit: after the quota was lowered the rest follows with later commits */
#define DELETIONS_MAX 256 /* likewise for delivered runs */
#define GIVE_UP_MAX 256   /* likewise for those that wait too long, an uplink and lane */

static bool delivered(const struct spool *spool, enum lane lane, uint64_t last_seq, int64_t mask) {
    for (unsigned i = 0; i < spool->uplinks_count; i++)
        if ((mask >> spool->numbers[i] & 1) && spool->cursors[i][lane].low < last_seq)
            return false;
    return true;
}

/* What of a run the uplink has not got. */
static struct missed undelivered(const struct spool *spool, unsigned uplink, const uint8_t *bytes, size_t size) {
    struct missed evicted = {.count = 0};
    struct entry entry;
    size_t step;
    for (size_t at = 0; at < size && entry_open(bytes + at, size - at, &entry, &step); at += step)
        if ((entry.uplinks >> spool->numbers[uplink] & 1) && cursor_next(&spool->cursors[uplink][entry.lane], entry.seq) == entry.seq)
            missed_add(&evicted, &(struct missed){entry.seq, entry.seq, 1});
    return evicted;
}

/* For every uplink of the run's mask. */
static void evicted_count(const struct spool *spool, enum lane lane, int64_t mask, const uint8_t *bytes, size_t size,
                          struct missed evicted[UPLINKS_MAX][LANES_COUNT]) {
    for (unsigned i = 0; i < spool->uplinks_count; i++)
        if (mask >> spool->numbers[i] & 1) {
            struct missed more = undelivered(spool, i, bytes, size);
            missed_add(&evicted[i][lane], &more);
        }
}

static void cursors_write(struct spool *spool) {
    for (unsigned i = 0; i < spool->uplinks_count; i++)
        for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
            if (!spool->dirty[i][lane])
                continue;
            const struct cursor *cursor = &spool->cursors[i][lane];
            uint8_t ranges[RANGES_MAX * 20]; /* two varints each */
            struct bytes_writer writer;
            bytes_writer_init(&writer, ranges, sizeof(ranges));
            for (unsigned r = 0; r < cursor->ranges_count; r++) {
                bytes_put_varint(&writer, cursor->ranges[r].from - cursor->low);
                bytes_put_varint(&writer, cursor->ranges[r].to - cursor->ranges[r].from);
            }
            CHECK(!writer.full);
            statement_bind_int(spool->put_cursor, 1, spool->numbers[i]);
            statement_bind_int(spool->put_cursor, 2, lane);
            statement_bind_int(spool->put_cursor, 3, (int64_t)cursor->low);
            statement_bind_bytes(spool->put_cursor, 4, ranges, writer.length);
            statement_step(spool->put_cursor);
        }
}

void records_write(struct statement *put, struct statement *remove, const struct run *run) {
    for (unsigned i = 0; i < run->records_count; i++) {
        const struct record_row *row = &run->records[i];
        struct statement *statement = row->size ? put : remove;
        statement_bind_text(statement, 1, row->owner);
        statement_bind_text(statement, 2, row->name);
        if (row->size)
            statement_bind_bytes(statement, 3, row->bytes, row->size);
        statement_step(statement);
    }
}

static void run_remove(struct spool *spool, enum lane lane, int64_t first_seq) {
    statement_bind_int(spool->remove_run[lane], 1, first_seq);
    statement_step(spool->remove_run[lane]);
}

void spool_archived(struct spool *spool, enum lane lane, uint64_t through_seq) {
    spool->archived_moved |= spool->archived_seq[lane] != through_seq;
    spool->archived_seq[lane] = through_seq;
}

static void superfluous_remove(struct spool *spool, enum lane lane) {
    for (unsigned i = 0; i < DELETIONS_MAX && statement_step(spool->oldest[lane]); i++) {
        int64_t first_seq = statement_int(spool->oldest[lane], 0);
        uint64_t last_seq = (uint64_t)statement_int(spool->oldest[lane], 1);
        bool archived = lane == LANE_READING || last_seq <= spool->archived_seq[lane];
        bool superfluous = archived && delivered(spool, lane, last_seq, statement_int(spool->oldest[lane], 2));
        statement_reset(spool->oldest[lane]);
        if (!superfluous)
            return;
        run_remove(spool, lane, first_seq);
    }
    statement_reset(spool->oldest[lane]);
}

/* The last seq given out must be known even when neither a run nor a cursor tells it any more. */
static void next_seq_write(struct spool *spool, uint64_t next_seq) {
    statement_bind_int(spool->put_next_seq, 1, (int64_t)next_seq);
    statement_step(spool->put_next_seq);
}

static bool room_for(struct spool *spool, size_t size) {
    int64_t used = database_number(spool->database, "PRAGMA page_count") - database_number(spool->database, "PRAGMA freelist_count");
    return used * spool->page_size + (int64_t)size + ROOM_BYTES <= spool->bytes_max;
}

/* Drops the oldest run of the least important lane that may give way to `lane`; false when there is none. */
static bool evict_one(struct spool *spool, enum lane lane, struct missed evicted[UPLINKS_MAX][LANES_COUNT]) {
    for (int victim = LANES_COUNT - 1; victim >= (int)lane; victim--) {
        struct statement *oldest = spool->oldest[victim];
        if (!statement_step(oldest))
            continue;
        size_t size;
        int64_t first_seq = statement_int(oldest, 0);
        const uint8_t *body = statement_bytes(oldest, 3, &size);
        evicted_count(spool, (enum lane)victim, statement_int(oldest, 2), body, size, evicted);
        statement_reset(oldest);
        run_remove(spool, (enum lane)victim, first_seq);
        return true;
    }
    return false;
}

static void run_write(struct spool *spool, const struct run *run, struct missed evicted[UPLINKS_MAX][LANES_COUNT]) {
    struct entry entry;
    size_t step;
    int64_t mask = 0, count = 0;
    const struct buffer *body = &run->body;
    for (size_t at = 0; at < body->size; at += step, count++) {
        CHECK(entry_open(body->bytes + at, body->size - at, &entry, &step));
        mask |= entry.uplinks;
    }
    if (!count)
        return;
    if (run->lane == LANE_READING && delivered(spool, run->lane, run->last_seq, mask)) {
        if (!mask || !spool->uplinks_count)
            next_seq_write(spool, run->last_seq + 1); /* no cursor will tell */
        return;
    }
    bool room = room_for(spool, body->size);
    for (unsigned i = 0; !room && i < EVICTIONS_MAX && evict_one(spool, run->lane, evicted); i++)
        room = room_for(spool, body->size);
    if (!room && run->lane == LANE_READING) {
        evicted_count(spool, LANE_READING, mask, body->bytes, body->size, evicted);
        next_seq_write(spool, run->last_seq + 1);
        return;
    }
    struct statement *put = spool->put_run[run->lane];
    statement_bind_int(put, 1, (int64_t)run->first_seq);
    statement_bind_int(put, 2, (int64_t)run->last_seq);
    statement_bind_int(put, 3, count);
    statement_bind_int(put, 4, mask);
    statement_bind_bytes(put, 5, body->bytes, body->size);
    statement_bind_int(put, 6, (int64_t)body->size);
    statement_step(put);
}

static void gaps_write(struct spool *spool, struct missed sums[UPLINKS_MAX][LANES_COUNT]) {
    for (unsigned i = 0; i < spool->uplinks_count; i++)
        for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
            const struct missed *sum = &sums[i][lane];
            if (sum->count == spool->evicted[i][lane].count && !spool->evicted_dirty[i][lane])
                continue;
            struct statement *statement = sum->count ? spool->put_gap : spool->remove_gap;
            statement_bind_int(statement, 1, spool->numbers[i]);
            statement_bind_int(statement, 2, lane);
            if (sum->count) {
                statement_bind_int(statement, 3, (int64_t)sum->from);
                statement_bind_int(statement, 4, (int64_t)sum->to);
                statement_bind_int(statement, 5, (int64_t)sum->count);
            }
            statement_step(statement);
        }
}

/* Ends the transaction, with what was evicted in it. */
static enum err evicted_commit(struct spool *spool, struct missed evicted[UPLINKS_MAX][LANES_COUNT], struct database_failure *ret_failure) {
    for (unsigned i = 0; i < spool->uplinks_count; i++)
        for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
            struct missed sum = spool->evicted[i][lane];
            missed_add(&sum, &evicted[i][lane]);
            evicted[i][lane] = sum;
        }
    gaps_write(spool, evicted);
    enum err err = database_end(spool->database, ret_failure);
    if (err != ERR_OK)
        return err;
    memset(spool->evicted_dirty, 0, sizeof(spool->evicted_dirty));
    memcpy(spool->evicted, evicted, sizeof(spool->evicted));
    return ERR_OK;
}

bool spool_take_evicted(struct spool *spool, uint16_t *ret_uplink, enum lane *ret_lane, struct missed *ret_evicted) {
    unsigned count = spool->uplinks_count * LANES_COUNT;
    for (unsigned i = 1; i <= count; i++) { /* in turn: one that loses something all the time does not silence another */
        unsigned place = (spool->evicted_told + count - i) % count, uplink = place / LANES_COUNT, lane = place % LANES_COUNT;
        if (!spool->evicted[uplink][lane].count)
            continue;
        *ret_uplink = (uint16_t)uplink;
        *ret_lane = (enum lane)lane;
        *ret_evicted = spool->evicted[uplink][lane];
        spool->evicted[uplink][lane] = (struct missed){0};
        spool->evicted_dirty[uplink][lane] = true;
        spool->evicted_told = place;
        return true;
    }
    return false;
}

enum err spool_commit(struct spool *spool, const struct run *run, struct database_failure *ret_failure) {
    struct missed evicted[UPLINKS_MAX][LANES_COUNT] = {{{0}}};
    database_begin(spool->database);
    cursors_write(spool);
    for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
        bool moved = !run || spool->archived_moved; /* without a run there is time to look at all */
        for (unsigned i = 0; i < spool->uplinks_count; i++)
            moved |= spool->dirty[i][lane];
        if (moved)
            superfluous_remove(spool, (enum lane)lane);
    }
    if (run) {
        records_write(spool->put_record, spool->remove_record, run);
        run_write(spool, run, evicted);
    }
    enum err err = evicted_commit(spool, evicted, ret_failure);
    if (err != ERR_OK)
        return err;
    memset(spool->dirty, 0, sizeof(spool->dirty));
    spool->archived_moved = false;
    return ERR_OK;
}

/* ---- what waits too long ---- */

/* Newer than this run are so many bytes of the lane. Runs of a file from before have 0, and are kept longer than they must. */
static uint64_t bytes_behind(struct spool *spool, enum lane lane, int64_t upto) {
    int64_t newest = statement_step(spool->newest[lane]) ? statement_int(spool->newest[lane], 0) : 0;
    statement_reset(spool->newest[lane]);
    return newest > upto ? (uint64_t)(newest - upto) : 0;
}

static bool run_old(const uint8_t *body, size_t size, uint64_t limit_ms, int64_t wall_ms) {
    struct entry entry;
    size_t step;
    return limit_ms && wall_ms && entry_open(body, size, &entry, &step) && entry.trusted && wall_ms - entry.at_ms > (int64_t)limit_ms;
}

/* The oldest run that waits for the uplink, if that is too long or too much; false when there is none. */
static bool give_up_one(struct spool *spool, unsigned uplink, enum lane lane, int64_t wall_ms, struct missed *evicted) {
    const struct spool_limits *limits = &spool->limits[uplink][lane];
    struct statement *owed = spool->owed[lane];
    uint64_t *given_up_seq = &spool->given_up_seq[uplink][lane], low = spool->cursors[uplink][lane].low;
    statement_bind_int(owed, 1, (int64_t)(low > *given_up_seq ? low : *given_up_seq) + 1);
    statement_bind_int(owed, 2, INT64_C(1) << spool->numbers[uplink]);
    if (!statement_step(owed))
        return false;
    size_t size;
    int64_t first_seq = statement_int(owed, 0), last_seq = statement_int(owed, 1);
    int64_t mask = statement_int(owed, 2) & ~(INT64_C(1) << spool->numbers[uplink]);
    const uint8_t *body = statement_bytes(owed, 3, &size);
    bool over = run_old(body, size, limits->ms, wall_ms) || (limits->bytes && bytes_behind(spool, lane, statement_int(owed, 4)) > limits->bytes);
    if (over) {
        struct missed more = undelivered(spool, uplink, body, size);
        missed_add(evicted, &more);
    }
    statement_reset(owed);
    if (!over)
        return false;
    *given_up_seq = (uint64_t)last_seq;
    bool archived = lane == LANE_READING || (uint64_t)last_seq <= spool->archived_seq[lane];
    if (archived && delivered(spool, lane, (uint64_t)last_seq, mask)) {
        run_remove(spool, lane, first_seq);
        return true;
    }
    statement_bind_int(spool->unmask[lane], 1, first_seq);
    statement_bind_int(spool->unmask[lane], 2, mask);
    statement_step(spool->unmask[lane]);
    return true;
}

enum err spool_give_up(struct spool *spool, int64_t wall_ms, struct database_failure *ret_failure) {
    struct missed evicted[UPLINKS_MAX][LANES_COUNT] = {{{0}}};
    uint64_t before[UPLINKS_MAX][LANES_COUNT];
    memcpy(before, spool->given_up_seq, sizeof(before));
    database_begin(spool->database);
    for (unsigned i = 0; i < spool->uplinks_count; i++)
        for (unsigned lane = 0; lane < LANES_COUNT; lane++)
            for (unsigned left = GIVE_UP_MAX; left && give_up_one(spool, i, (enum lane)lane, wall_ms, &evicted[i][lane]);)
                left--;
    enum err err = evicted_commit(spool, evicted, ret_failure);
    if (err != ERR_OK)
        memcpy(spool->given_up_seq, before, sizeof(before));
    return err;
}
