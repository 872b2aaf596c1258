/* SPDX-License-Identifier: Apache-2.0 */
/* The tail of the history against a plain list of what was put in: batches of every size, restarts, clearings, a file that may not grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "gateway/io/store_history.h"
#include "gateway/io/store_tail.h"
#include "store_fixture.h"

#define T0 (INT64_C(1795000200000) / HOUR_MS * HOUR_MS)
#define BATCH_READINGS 3000
#define LIST_MAX 60000

struct world {
    struct store_fixture fixture;
    char path[128];
    struct database *database;
    struct tail tail;
    int64_t hour;
    unsigned count, found; /* readings; values ascend from 0 */
    uint32_t series[LIST_MAX];
    int64_t at_ms[LIST_MAX];
};

static void file_open(struct world *world) {
    struct database_failure failure;
    assert_int_equal(database_open(world->path, DATABASE_NORMAL, &world->database, &failure), ERR_OK);
    assert_int_equal(history_create(world->database, &failure), ERR_OK);
    tail_open(&world->tail, world->database);
}

static struct world *world_begin(void) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    fixture_init(&world->fixture);
    fixture_path(&world->fixture, "history.db", world->path);
    world->hour = T0 / HOUR_MS;
    file_open(world);
    return world;
}

static void world_end(struct world *world) {
    database_close(world->database);
    fixture_done(&world->fixture);
    free(world);
}

static bool match(void *context, int64_t hour, const struct reading_order *order, const uint8_t *bytes, size_t size) {
    struct world *world = context;
    struct bytes_reader reader;
    struct reading_order next = *order;
    struct packed_reading reading;
    assert_true(hour == world->hour);
    bytes_reader_init(&reader, bytes, size);
    for (; entry_get_reading(&reader, &next, &reading); world->found++) {
        assert_true(world->found < world->count && reading.value.integer == (int64_t)world->found);
        assert_true(reading.series == world->series[world->found] && reading.at_ms == world->at_ms[world->found]);
    }
    assert_false(reader.failed); /* whole readings */
    return true;
}

static void compare(struct world *world) {
    world->found = 0;
    tail_read(world->database, world->hour, world->hour, match, world);
    assert_int_equal(world->found, world->count);
    tail_read(world->database, world->hour + 1, INT64_MAX, match, world); /* another hour: nothing */
    assert_int_equal(world->found, world->count);
    struct database_failure failure;
    assert_int_equal(database_clear(world->database, &failure), ERR_OK);
}

static enum err put(struct world *world, struct prng *prng, unsigned readings) {
    static uint8_t bytes[BATCH_READINGS * 24];
    struct bytes_writer writer;
    struct reading_order first, order;
    struct database_failure failure;
    int64_t at_ms = world->hour * HOUR_MS + (int64_t)prng_below(prng, HOUR_MS);
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    reading_order_begin(&first, at_ms);
    order = first;
    for (unsigned i = 0; i < readings; i++) {
        struct packed_reading reading = {.series = (uint32_t)(prng_next(prng) >> (32 + prng_below(prng, 32))), .value.kind = VALUE_INTEGER};
        world->series[world->count + i] = reading.series;
        reading.at_ms = world->at_ms[world->count + i] = at_ms + (int64_t)prng_below(prng, 20000);
        reading.value.integer = (int64_t)(world->count + i);
        entry_put_reading(&writer, &order, &reading);
    }
    assert_false(writer.full);
    enum err err = tail_add(&world->tail, world->hour, &first, bytes, writer.length, &failure);
    if (err == ERR_OK)
        world->count += readings;
    return err;
}

static void clear(struct world *world) {
    struct database_failure failure;
    database_begin(world->database);
    tail_clear(&world->tail);
    assert_int_equal(database_end(world->database, &failure), ERR_OK);
    tail_cleared(&world->tail);
    world->count = 0;
}

static void as_a_plain_list(void **state) {
    (void)state;
    struct world *world = world_begin();
    struct prng prng;
    prng_init(&prng, 12);
    for (unsigned step = 0; step < 400; step++) {
        unsigned most = prng_below(&prng, 10) ? 300 : BATCH_READINGS;
        if (world->count + most > LIST_MAX || prng_below(&prng, 15) == 0) {
            clear(world);
            world->hour += (int64_t)prng_below(&prng, 2); /* the same hour again, after it was written early, or the next */
        }
        assert_int_equal(put(world, &prng, (unsigned)prng_below(&prng, most)), ERR_OK);
        if (prng_below(&prng, 5) == 0) {
            database_close(world->database);
            file_open(world);
        }
        compare(world);
    }
    world_end(world);
}

static void a_file_that_may_not_grow(void **state) {
    (void)state;
    struct world *world = world_begin();
    struct prng prng;
    prng_init(&prng, 13);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(put(world, &prng, 100), ERR_OK);
    database_run(world->database, "PRAGMA max_page_count = 1"); /* as many as there are */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(put(world, &prng, BATCH_READINGS), ERR_FULL);
        compare(world); /* as before */
    }
    database_run(world->database, "PRAGMA max_page_count = 100000");
    assert_int_equal(put(world, &prng, BATCH_READINGS), ERR_OK);
    compare(world);
    database_close(world->database);
    file_open(world);
    compare(world);
    world_end(world);
}

static bool read_to_damage(void *context, int64_t hour, const struct reading_order *order, const uint8_t *bytes, size_t size) {
    struct reading_order next = *order;
    struct bytes_reader reader;
    struct packed_reading reading;
    (void)context;
    (void)hour;
    bytes_reader_init(&reader, bytes, size);
    while (entry_get_reading(&reader, &next, &reading))
        continue;
    return true;
}

/* Whatever a block holds, nothing is read outside of it, and what comes is kept. */
static void damaged_blocks(void **state) {
    (void)state;
    struct world *world = world_begin();
    struct prng prng;
    struct database_failure failure;
    prng_init(&prng, 14);
    for (unsigned round = 0; round < 300; round++) {
        assert_int_equal(put(world, &prng, 100), ERR_OK);
        for (uint64_t i = 1 + prng_below(&prng, 8); i; i--)
            world->tail.block[16 + prng_below(&prng, 100)] = prng_below(&prng, 2) ? (uint8_t)prng_next(&prng) : 0xFF;
        statement_bind_int(world->tail.put_block, 1, world->tail.number);
        statement_bind_bytes(world->tail.put_block, 2, world->tail.block, TAIL_BLOCK_SIZE);
        statement_step(world->tail.put_block);
        tail_read(world->database, INT64_MIN, INT64_MAX, read_to_damage, NULL);
        assert_int_equal(database_clear(world->database, &failure), ERR_OK);
        database_close(world->database);
        file_open(world);
        assert_int_equal(put(world, &prng, 100), ERR_OK);
        clear(world);
        assert_int_equal(put(world, &prng, 100), ERR_OK);
        compare(world);
        clear(world);
    }
    world_end(world);
}

/* The first page lost, and its generation with it: what stood behind it is not of the hour that comes then. */
static void a_lost_first_page(void **state) {
    (void)state;
    struct world *world = world_begin();
    struct prng prng;
    prng_init(&prng, 15);
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(put(world, &prng, 100), ERR_OK);
    assert_true(world->tail.number > 3);
    database_run(world->database, "UPDATE tail_page SET body = x'00' WHERE id = 0");
    database_close(world->database);
    file_open(world);
    world->count = 0;
    compare(world);
    world->hour += 3;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(put(world, &prng, 60), ERR_OK);
        compare(world);
        database_close(world->database);
        file_open(world);
    }
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_plain_list),
        cmocka_unit_test(a_file_that_may_not_grow),
        cmocka_unit_test(damaged_blocks),
        cmocka_unit_test(a_lost_first_page),
    };
    return cmocka_run_group_tests_name("tail", tests, NULL, NULL);
}
