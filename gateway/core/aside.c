/* SPDX-License-Identifier: Apache-2.0 */
/* Two halves, one growing. When it is full the older one, if any of it still waits, is dropped and begins anew: so at least half of the
 * room always holds the newest readings. */
#include "gateway/core/aside.h"

#include "base/check.h"

void aside_init(struct aside *aside, struct arena *arena) {
    *aside = (struct aside){.young = 0};
    for (unsigned i = 0; i < 2; i++)
        bytes_writer_init(&aside->halves[i].body, arena_take(arena, ASIDE_SIZE / 2, 1), ASIDE_SIZE / 2);
    bytes_writer_init(&aside->out, arena_take(arena, ASIDE_TAKE_SIZE, 1), ASIDE_TAKE_SIZE);
}

static void half_clear(struct aside_half *half) {
    half->body.length = half->position = 0;
    half->count = half->taken = 0;
}

void aside_put(struct aside *aside, int64_t mono_us, const struct packed_reading *reading) {
    struct aside_half *half = &aside->halves[aside->young];
    struct packed_reading packed = *reading;
    if (half->body.size - half->body.length < READING_SIZE_MAX) {
        aside->young = 1 - aside->young;
        half = &aside->halves[aside->young];
        aside->lost += half->count - half->taken;
        half_clear(half);
    }
    packed.at_ms = mono_us / 1000;
    if (!half->count) {
        reading_order_begin(&half->put, packed.at_ms);
        half->take = half->put;
    }
    entry_put_reading(&half->body, &half->put, &packed);
    CHECK(!half->body.full);
    half->count++;
}

uint64_t aside_count(const struct aside *aside) {
    uint64_t count = 0;
    for (unsigned i = 0; i < 2; i++)
        count += aside->halves[i].count - aside->halves[i].taken;
    return count;
}

bool aside_take(struct aside *aside, const struct now *now, int64_t *ret_at_ms, struct bytes_writer *ret_body, uint16_t *ret_count) {
    struct aside_half *old = &aside->halves[1 - aside->young];
    struct aside_half *half = old->count > old->taken ? old : &aside->halves[aside->young];
    int64_t offset_ms = now->wall_ms - now->mono_us / 1000;
    struct packed_reading reading;
    struct bytes_reader reader;
    struct reading_order order;
    *ret_count = 0;
    aside->out.length = 0;
    bytes_reader_init(&reader, half->body.bytes, half->body.length);
    reader.position = half->position;
    while (half->taken < half->count && *ret_count < UINT16_MAX && aside->out.size - aside->out.length >= READING_SIZE_MAX &&
           entry_get_reading(&reader, &half->take, &reading)) {
        reading.at_ms += offset_ms;
        if (!*ret_count) {
            *ret_at_ms = reading.at_ms;
            reading_order_begin(&order, reading.at_ms);
        }
        entry_put_reading(&aside->out, &order, &reading);
        half->position = reader.position;
        half->taken++;
        ++*ret_count;
    }
    if (half->taken == half->count)
        half_clear(half);
    *ret_body = aside->out;
    return *ret_count > 0;
}
