/* SPDX-License-Identifier: Apache-2.0 */
#include "history_world.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

void world_open(struct history_world *world) {
    struct database_failure failure;
    arena_init(&world->arena);
    assert_int_equal(database_open(world->path, DATABASE_NORMAL, &world->database, &failure), ERR_OK);
    assert_int_equal(history_create(world->database, &failure), ERR_OK);
    assert_int_equal(history_open(world->database, SERIES, &world->fixture.config, &world->arena, &world->history, &failure), ERR_OK);
}

void world_close(struct history_world *world) {
    database_close(world->database);
    arena_done(&world->arena);
}

struct history_world *world_begin(uint64_t bytes_max) {
    struct history_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    fixture_init(&world->fixture);
    world->fixture.config.store.history_bytes_max = bytes_max;
    for (unsigned d = 0; d < FIXTURE_DEVICES; d++) /* much memory */
        for (unsigned p = 0; p < FIXTURE_POINTS; p++)
            world->fixture.points[d][p].every_ms = 100;
    fixture_path(&world->fixture, "history.db", world->path);
    bytes_writer_init(&world->batch, world->bytes, sizeof(world->bytes));
    world_open(world);
    return world;
}

void world_end(struct history_world *world) {
    world_close(world);
    fixture_done(&world->fixture);
    free(world);
}

/* Of every form; the index can be told from it. */
struct value world_value(unsigned index, uint32_t series) {
    struct value value = {.kind = VALUE_INTEGER, .integer = index};
    if (series == 1 || series == 4)
        value = (struct value){.kind = VALUE_NUMBER, .number = index + (series == 1 ? 0.5 : sqrt(index % 1000) / 32)};
    if (series == 3) {
        value = (struct value){.kind = VALUE_TEXT};
        snprintf(value.text, sizeof(value.text), "%u", index);
    }
    return value;
}

static uint64_t index_of(const struct value *value) {
    uint64_t index = 0;
    if (value->kind == VALUE_TEXT)
        assert_true(text_read_u64(value->text, &index));
    return value->kind == VALUE_NUMBER ? (uint64_t)value->number : value->kind == VALUE_INTEGER ? (uint64_t)value->integer : index;
}

void world_put(struct history_world *world, uint32_t series, int64_t at_ms) {
    assert_true(world->count < LIST_MAX);
    struct packed_reading reading = {.series = series, .at_ms = at_ms, .value = world_value(world->count, series)};
    world->items[world->count++] = (struct history_item){series, at_ms};
    if (!world->batch.length)
        reading_order_begin(&world->order, world->batch_ms = at_ms);
    entry_put_reading(&world->batch, &world->order, &reading);
    assert_false(world->batch.full);
}

enum err world_flush(struct history_world *world) {
    struct database_failure failure;
    enum err err = history_add(world->history, world->batch_ms, world->bytes, world->batch.length, &failure);
    world->batch.length = 0;
    return err;
}

void world_stretch(struct history_world *world, int64_t from_ms, int64_t to_ms, const unsigned every_s[SERIES]) {
    for (int64_t at_ms = from_ms; at_ms < to_ms; at_ms += 1000) {
        for (uint32_t series = 0; series < SERIES; series++)
            if (every_s[series] && at_ms / 1000 % every_s[series] == 0)
                world_put(world, series, at_ms + (int64_t)series * 7);
        if (at_ms % 20000 == 19000 || at_ms + 1000 >= to_ms)
            assert_int_equal(world_flush(world), ERR_OK);
    }
}

void world_roll(struct history_world *world, int64_t wall_ms) {
    struct database_failure failure;
    for (bool more = true; more;)
        assert_int_equal(history_roll(world->history, wall_ms, &more, &failure), ERR_OK);
}

static bool match(void *context, const struct packed_reading *reading) {
    struct history_world *world = context;
    uint64_t index = index_of(&reading->value);
    assert_true(index < world->count && !world->seen[index]);
    assert_true(world->items[index].series == reading->series && world->items[index].at_ms == reading->at_ms);
    struct value value = world_value((unsigned)index, reading->series);
    assert_int_equal(reading->value.kind, value.kind);
    if (value.kind == VALUE_TEXT)
        assert_string_equal(reading->value.text, value.text);
    else
        assert_memory_equal(&reading->value.integer, &value.integer, 8);
    world->seen[index] = true;
    world->found++;
    assert_true(reading->at_ms / HOUR_MS >= world->hour);
    world->hour = reading->at_ms / HOUR_MS;
    return true;
}

unsigned world_read(struct history_world *world, int64_t from_ms, int64_t to_ms) {
    struct database_failure failure;
    memset(world->seen, 0, world->count);
    world->found = 0;
    for (uint32_t series = 0; series < SERIES; series++) {
        world->hour = 0;
        assert_int_equal(history_read(world->database, series, from_ms, to_ms, match, world, &failure), ERR_OK);
    }
    return world->found;
}

void world_compare(struct history_world *world, int64_t from_ms, int64_t to_ms) {
    unsigned expected = 0;
    for (unsigned i = 0; i < world->count; i++)
        expected += world->items[i].at_ms >= from_ms && world->items[i].at_ms <= to_ms;
    assert_int_equal(world_read(world, from_ms, to_ms), expected);
}

int64_t world_number(struct history_world *world, const char *sql) {
    struct database_failure failure;
    int64_t value = database_number(world->database, sql);
    assert_int_equal(database_clear(world->database, &failure), ERR_OK);
    return value;
}
