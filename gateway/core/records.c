/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/records.h"

#include "base/check.h"

#define SAVES_MAX 4096 /* records of one run; what is over it waits for the next, as if its event had come then */

void records_init(struct records *records, uint32_t count, struct arena *arena) {
    *records = (struct records){.slots = arena_take(arena, count, sizeof(*records->slots)), .count = count};
    uint32_t room = count < SAVES_MAX ? count : SAVES_MAX;
    records->waiting = arena_take(arena, count, sizeof(*records->waiting));
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        records->saves[i] = arena_take(arena, room, sizeof(**records->saves));
        records->saving[i] = arena_take(arena, room, sizeof(**records->saving));
    }
}

static void put_waiting(struct records *records, uint32_t slot) {
    if (records->slots[slot].state != RECORD_CHANGED)
        records->waiting[records->waiting_count++] = slot;
    records->slots[slot].state = RECORD_CHANGED;
}

void records_mark(struct records *records, uint32_t slot, enum lane lane, uint64_t event_seq) {
    CHECK(slot < records->count);
    put_waiting(records, slot);
    records->slots[slot].event_seq = event_seq;
    records->slots[slot].lane = (uint8_t)lane;
}

static bool belongs(const struct record_slot *record, enum lane lane, uint64_t last_seq) {
    return record->event_seq == RECORDS_NO_EVENT || (record->lane == lane && record->event_seq <= last_seq);
}

uint16_t records_take(struct records *records, enum lane lane, uint64_t last_seq, void (*put)(void *context, uint32_t slot, struct record_save *ret_save),
                      void *context) {
    CHECK(!records->saving_count[lane]); /* one run of a lane at a time */
    uint16_t count = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < records->waiting_count; i++) {
        uint32_t slot = records->waiting[i];
        if (count == SAVES_MAX || !belongs(&records->slots[slot], lane, last_seq)) {
            records->waiting[kept++] = slot;
            continue;
        }
        put(context, slot, &records->saves[lane][count]);
        records->saving[lane][count++] = slot;
        records->slots[slot].state = RECORD_SAVING;
        records->slots[slot].saving = (uint8_t)lane;
    }
    records->waiting_count = kept;
    records->saving_count[lane] = count;
    return count;
}

static bool is_saving(const struct records *records, uint32_t slot, unsigned lane) {
    return records->slots[slot].state == RECORD_SAVING && records->slots[slot].saving == lane;
}

void records_stored(struct records *records, enum lane lane, bool ok) {
    for (unsigned i = 0; i < records->saving_count[lane]; i++) {
        uint32_t slot = records->saving[lane][i];
        if (!is_saving(records, slot, lane))
            continue; /* changed again, and perhaps on its way with another lane's run */
        if (ok)
            records->slots[slot].state = RECORD_SAVED;
        else
            put_waiting(records, slot);
    }
    records->saving_count[lane] = 0;
}

void records_check(const struct records *records) {
    uint32_t waiting = 0, saving = 0;
    for (uint32_t i = 0; i < records->count; i++) {
        waiting += records->slots[i].state == RECORD_CHANGED;
        saving += records->slots[i].state == RECORD_SAVING;
    }
    CHECK(waiting == records->waiting_count);
    for (uint32_t i = 0; i < records->waiting_count; i++)
        CHECK(records->slots[records->waiting[i]].state == RECORD_CHANGED);
    for (unsigned lane = 0; lane < LANES_COUNT; lane++)
        for (unsigned i = 0; i < records->saving_count[lane]; i++)
            saving -= is_saving(records, records->saving[lane][i], lane);
    CHECK(saving == 0);
}
