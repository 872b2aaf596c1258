/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/records.h"

#include "base/check.h"

#define SAVES_MAX 4096 /* records of one run; what is over it waits for the next, as if its event had come then */

void records_init(struct records *records, uint32_t count, struct arena *arena) {
    *records = (struct records){.slots = arena_take(arena, count, sizeof(*records->slots)), .count = count};
    uint32_t room = count < SAVES_MAX ? count : SAVES_MAX;
    for (unsigned i = 0; i < LANES_COUNT; i++)
        records->saves[i] = arena_take(arena, room, sizeof(**records->saves));
}

void records_mark(struct records *records, uint32_t slot, enum lane lane, uint64_t event_seq) {
    CHECK(slot < records->count);
    struct record_slot *record = &records->slots[slot];
    records->waiting += record->state != RECORD_CHANGED;
    *record = (struct record_slot){.event_seq = event_seq, .state = RECORD_CHANGED, .lane = (uint8_t)lane};
}

static bool belongs(const struct record_slot *record, enum lane lane, uint64_t last_seq) {
    return record->state == RECORD_CHANGED &&
           (record->event_seq == RECORDS_NO_EVENT || (record->lane == lane && record->event_seq <= last_seq));
}

uint16_t records_take(struct records *records, enum lane lane, uint64_t last_seq, void (*put)(void *context, uint32_t slot, struct record_save *ret_save),
                      void *context) {
    uint16_t count = 0;
    for (uint32_t i = 0; records->waiting && i < records->count && count < SAVES_MAX; i++) {
        struct record_slot *record = &records->slots[i];
        if (!belongs(record, lane, last_seq))
            continue;
        put(context, i, &records->saves[lane][count++]);
        record->state = RECORD_SAVING;
        record->saving = (uint8_t)lane;
        records->waiting--;
    }
    return count;
}

void records_stored(struct records *records, enum lane lane, bool ok) {
    for (uint32_t i = 0; i < records->count; i++) {
        struct record_slot *record = &records->slots[i];
        if (record->state != RECORD_SAVING || record->saving != lane)
            continue;
        record->state = ok ? RECORD_SAVED : RECORD_CHANGED;
        records->waiting += !ok;
    }
}

void records_check(const struct records *records) {
    uint32_t waiting = 0;
    for (uint32_t i = 0; i < records->count; i++)
        waiting += records->slots[i].state == RECORD_CHANGED;
    CHECK(waiting == records->waiting);
}
