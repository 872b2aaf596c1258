/* SPDX-License-Identifier: Apache-2.0 */
/* Each lane is a ring of bytes and a ring of slots that say where each entry lies. Entries are written one after the other;
 * when the next does not fit before the end, it goes to the beginning, over the oldest.
 * The lane of readings goes round all day: it is used once at the start, so that the program's resident memory stands still from
 * then on. The lanes of events fill only when very much happens. */
#include "gateway/core/journal.h"

#include <string.h>

#include "base/check.h"

static void lane_init(struct journal_lane *lane, uint32_t size, struct arena *arena) {
    *lane = (struct journal_lane){.size = size, .slots_size = size / JOURNAL_ENTRY_SMALLEST};
    lane->bytes = arena_take(arena, size, 1);
    lane->slots = arena_take(arena, lane->slots_size, sizeof(*lane->slots));
}

void journal_init(struct journal *journal, struct arena *arena) {
    *journal = (struct journal){.next_seq = 1};
    for (unsigned i = 0; i < LANES_COUNT; i++)
        lane_init(&journal->lanes[i], i == LANE_READING ? JOURNAL_READING_SIZE : JOURNAL_EVENT_SIZE, arena);
    struct journal_lane *readings = &journal->lanes[LANE_READING];
    memset(readings->bytes, 0, readings->size);
    memset(readings->slots, 0, readings->slots_size * sizeof(*readings->slots));
}

void journal_start(struct journal *journal, uint64_t start, uint64_t next_seq) {
    CHECK(next_seq > 0);
    journal->start = start;
    journal->next_seq = next_seq;
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        struct journal_lane *lane = &journal->lanes[i];
        lane->newest_seq = lane->durable_seq = lane->storing_seq = lane->dropped_seq = next_seq - 1;
    }
}

void journal_watch(struct journal *journal, unsigned number, enum lane lane, const struct cursor *cursor) {
    CHECK(number < UPLINKS_MAX);
    journal->cursors[number][lane] = cursor;
}

static struct journal_slot *slot_at(const struct journal_lane *lane, uint32_t index) {
    return &lane->slots[(lane->first + index) % lane->slots_size];
}

static void lose(struct journal_lane *lane, const struct missed *lost) {
    missed_add(&lane->untold, lost);
    lane->lost += lost->count;
}

/* For whom it is and who has not got it. */
static void missed_by(const struct journal *journal, enum lane lane, const struct journal_slot *slot, const struct missed *one,
                      struct missed missed[UPLINKS_MAX]) {
    for (unsigned i = 0; i < UPLINKS_MAX; i++) {
        const struct cursor *cursor = journal->cursors[i][lane];
        if ((slot->uplinks >> i & 1) && (!cursor || cursor_next(cursor, slot->seq) == slot->seq))
            missed_add(&missed[i], one);
    }
}

/* An entry that is on its way to the store is lost only if the store then fails. */
static void drop_oldest(struct journal *journal, enum lane index) {
    struct journal_lane *lane = &journal->lanes[index];
    const struct journal_slot *slot = slot_at(lane, 0);
    const struct missed one = {slot->seq, slot->seq, 1};
    if (slot->seq > lane->storing_seq) {
        lane->unstored_bytes -= slot->size;
        lose(lane, &one);
        missed_by(journal, index, slot, &one, lane->missed);
    } else if (slot->seq > lane->durable_seq) {
        missed_add(&lane->under_way_dropped, &one);
        missed_by(journal, index, slot, &one, lane->under_way_missed);
    }
    lane->dropped_seq = slot->seq;
    lane->first = (lane->first + 1) % lane->slots_size;
    lane->count--;
}

/* Makes room for `size` bytes in one piece and returns their offset. What lies in the way is always the oldest. */
static uint32_t make_room(struct journal *journal, enum lane index, uint32_t size) {
    struct journal_lane *lane = &journal->lanes[index];
    CHECK(size <= lane->size);
    if (lane->count == lane->slots_size)
        drop_oldest(journal, index);
    uint32_t at = lane->write_at;
    if (lane->size - at < size) {
        while (lane->count && slot_at(lane, 0)->offset >= at) /* the rest of the ring's end */
            drop_oldest(journal, index);
        at = 0;
    }
    while (lane->count) {
        const struct journal_slot *oldest = slot_at(lane, 0);
        bool in_the_way = oldest->offset < at + size && at < oldest->offset + oldest->size;
        if (!in_the_way)
            break;
        drop_oldest(journal, index);
    }
    return at;
}

uint64_t journal_seal(struct journal *journal, struct entry *entry) {
    struct journal_lane *lane = &journal->lanes[entry->lane];
    uint32_t size = ENTRY_HEADER_SIZE + entry->body_size;
    CHECK(entry->body_size <= ENTRY_SIZE);
    uint32_t at = make_room(journal, entry->lane, size);
    entry->seq = journal->next_seq++;
    entry->start = journal->start;
    struct bytes_writer writer;
    bytes_writer_init(&writer, lane->bytes + at, size);
    bool sealed = entry_seal(entry, &writer);
    CHECK(sealed && writer.length == size);
    *slot_at(lane, lane->count++) = (struct journal_slot){.seq = entry->seq, .offset = at, .size = size, .uplinks = entry->uplinks};
    lane->write_at = at + size;
    lane->newest_seq = entry->seq;
    lane->unstored_bytes += size;
    return entry->seq;
}

/* Index of the first slot with seq >= from_seq; count when there is none. */
static uint32_t lower_bound(const struct journal_lane *lane, uint64_t from_seq) {
    uint32_t low = 0, high = lane->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slot_at(lane, middle)->seq < from_seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool journal_find(const struct journal *journal, enum lane lane_index, uint64_t from_seq, uint16_t uplink_bit, struct entry *ret_entry) {
    const struct journal_lane *lane = &journal->lanes[lane_index];
    if (from_seq > lane->newest_seq)
        return false;
    for (uint32_t i = lower_bound(lane, from_seq); i < lane->count; i++) {
        const struct journal_slot *slot = slot_at(lane, i);
        if (!(slot->uplinks & uplink_bit))
            continue;
        size_t size;
        bool opened = entry_open(lane->bytes + slot->offset, slot->size, ret_entry, &size);
        CHECK(opened);
        return true;
    }
    return false;
}

uint64_t journal_memory_from(const struct journal *journal, enum lane lane) {
    return journal->lanes[lane].dropped_seq + 1;
}

bool journal_take(struct journal *journal, enum lane lane_index, struct journal_run *ret_run) {
    struct journal_lane *lane = &journal->lanes[lane_index];
    if (lane->storing_seq != lane->durable_seq || lane->newest_seq == lane->durable_seq)
        return false;
    uint32_t i = lower_bound(lane, lane->durable_seq + 1);
    CHECK(i < lane->count);
    const struct journal_slot *slot = slot_at(lane, i);
    struct journal_run run = {.bytes = lane->bytes + slot->offset, .first_seq = slot->seq};
    for (; i < lane->count; i++) { /* as far as the entries lie one after the other */
        slot = slot_at(lane, i);
        if (lane->bytes + slot->offset != run.bytes + run.size || run.size + slot->size > JOURNAL_RUN_SIZE)
            break;
        run.size += slot->size;
        run.last_seq = slot->seq;
    }
    lane->storing_seq = run.last_seq;
    lane->unstored_bytes -= run.size;
    *ret_run = run;
    return true;
}

void journal_stored(struct journal *journal, enum lane lane_index, uint64_t last_seq, bool ok) {
    struct journal_lane *lane = &journal->lanes[lane_index];
    CHECK(lane->storing_seq != lane->durable_seq && last_seq == lane->storing_seq);
    if (ok) {
        lane->durable_seq = last_seq;
    } else {
        for (uint32_t i = lower_bound(lane, lane->durable_seq + 1); i < lane->count && slot_at(lane, i)->seq <= last_seq; i++)
            lane->unstored_bytes += slot_at(lane, i)->size;
        lose(lane, &lane->under_way_dropped);
        for (unsigned i = 0; i < UPLINKS_MAX; i++)
            missed_add(&lane->missed[i], &lane->under_way_missed[i]);
        lane->storing_seq = lane->durable_seq;
    }
    lane->under_way_dropped.count = 0;
    memset(lane->under_way_missed, 0, sizeof(lane->under_way_missed));
}

bool journal_durable(const struct journal *journal) {
    for (unsigned i = 0; i < LANES_COUNT; i++)
        if (journal->lanes[i].durable_seq != journal->lanes[i].newest_seq)
            return false;
    return true;
}

void journal_check(const struct journal *journal) {
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        const struct journal_lane *lane = &journal->lanes[i];
        CHECK(lane->durable_seq <= lane->storing_seq && lane->storing_seq <= lane->newest_seq);
        CHECK(lane->dropped_seq <= lane->newest_seq && lane->newest_seq < journal->next_seq && lane->count <= lane->slots_size);
        uint64_t before = lane->dropped_seq;
        uint32_t unstored = 0;
        for (uint32_t k = 0; k < lane->count; k++) {
            const struct journal_slot *slot = slot_at(lane, k);
            CHECK(slot->seq > before && slot->offset + slot->size <= lane->size);
            before = slot->seq;
            unstored += slot->seq > lane->storing_seq ? slot->size : 0;
        }
        CHECK(!lane->count || before == lane->newest_seq);
        CHECK(unstored == lane->unstored_bytes);
    }
}
