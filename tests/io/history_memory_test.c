/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of history: it stands still slot after slot, and is enough for what an earlier start left open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/io/store_history.h"
#include "tests/io/memory.h"
#include "tests/io/store_fixture.h"

#define T0 1795392000000 /* start of a slot */
#define SERIES 16

struct file {
    struct store_fixture fixture; /* for its folder */
    char path[128];
    struct arena arena;
    struct database *database;
    struct history *history;
    struct config_device device; /* its one point is read as often as a test says */
    struct point point;
};

static void file_open(struct file *file, uint64_t slot_readings) {
    struct database_failure failure;
    arena_init(&file->arena);
    assert_int_equal(database_open(file->path, DATABASE_NORMAL, &file->database, &failure), ERR_OK);
    assert_int_equal(history_create(file->database, &failure), ERR_OK);
    file->point.every_ms = (uint32_t)(SLOT_MS / slot_readings);
    file->device.spec.points = &file->point;
    file->device.spec.points_count = 1;
    file->fixture.config.devices = &file->device;
    file->fixture.config.devices_count = 1;
    assert_int_equal(history_open(file->database, SERIES, &file->fixture.config, &file->arena, &file->history, &failure), ERR_OK);
}

static void file_close(struct file *file) {
    history_close(file->history);
    database_close(file->database);
    arena_done(&file->arena);
}

static void file_init(struct file *file, uint64_t slot_readings) {
    fixture_init(&file->fixture);
    fixture_path(&file->fixture, "history.db", file->path);
    file_open(file, slot_readings);
}

/* The same readings, `count` of each series, one a millisecond, whatever the time. */
static void add_alike(struct file *file, int64_t at_ms, unsigned count) {
    static uint8_t bytes[65536];
    struct bytes_writer writer;
    struct reading_order order;
    struct database_failure failure;
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    reading_order_begin(&order, at_ms);
    for (unsigned i = 0; i < SERIES * count; i++) {
        struct packed_reading reading = {.series = i % SERIES, .at_ms = at_ms + i / SERIES, .value = {.kind = VALUE_INTEGER, .integer = i}};
        entry_put_reading(&writer, &order, &reading);
    }
    assert_false(writer.full);
    assert_int_equal(history_add(file->history, at_ms, bytes, writer.length, &failure), ERR_OK);
}

/* Slot after slot, each with 48,000 readings: when one byte of a reading stayed, this would fail. */
static void memory_stands_still(void **state) {
    (void)state;
    struct file file;
    size_t before = 0;
    file_init(&file, 48000);
    for (unsigned slot = 0; slot < 6; slot++) {
        for (unsigned batch = 0; batch < 60; batch++)
            add_alike(&file, T0 + slot * SLOT_MS + batch * 5000, 50);
        if (slot == 2) /* by now SQLite's page caches are full */
            before = memory_in_use();
    }
    size_t after = memory_in_use();
    print_message("in use: %zu kB, three slots later %zu kB\n", before / 1024, after / 1024);
    assert_true(before > 0 && after <= before + 8192);
    file_close(&file);
    fixture_done(&file.fixture);
}

/* Hour after hour is rolled up and folded. */
static void folding_stands_still(void **state) {
    (void)state;
    struct file file;
    struct database_failure failure;
    size_t before = 0;
    file_init(&file, 4000);
    for (unsigned slot = 0; slot < 5 * HOUR_SLOTS + 1; slot++) {
        for (unsigned batch = 0; batch < 5; batch++)
            add_alike(&file, T0 + slot * SLOT_MS + batch * 5000, 50);
        bool more = true;
        assert_int_equal(history_roll(file.history, T0 + slot * SLOT_MS, &more, &failure), ERR_OK);
        for (more = true; more;)
            assert_int_equal(history_fold(file.history, T0 + slot * SLOT_MS, &more, &failure), ERR_OK);
        if (slot == 2 * HOUR_SLOTS)
            before = memory_in_use();
    }
    size_t after = memory_in_use();
    print_message("in use: %zu kB, three hours later %zu kB\n", before / 1024, after / 1024);
    assert_int_equal(database_number(file.database, "SELECT count(DISTINCT id >> 23) FROM hour"), 5);
    assert_true(before > 0 && after <= before + 8192);
    file_close(&file);
    fixture_done(&file.fixture);
}

static bool count_one(void *context, const struct packed_reading *reading) {
    (void)reading;
    (*(unsigned *)context)++;
    return true;
}

/* Whoever configures fewer points must not lose what was open before the restart. */
static void less_memory_after_a_restart_loses_nothing(void **state) {
    (void)state;
    struct file file;
    struct database_failure failure;
    unsigned got = 0;
    file_init(&file, 48000);
    for (unsigned batch = 0; batch < 20; batch++)
        add_alike(&file, T0 + batch * 1000, 100);
    file_close(&file);
    file_open(&file, 1);
    add_alike(&file, T0 + SLOT_MS, 1);
    assert_int_equal(database_number(file.database, "SELECT sum(n) FROM chunk"), 20 * 100 * SERIES);
    for (uint32_t series = 0; series < SERIES; series++)
        assert_int_equal(history_read(file.database, series, 0, T0 + 2 * SLOT_MS, count_one, &got, &failure), ERR_OK);
    assert_int_equal(got, 20 * 100 * SERIES + SERIES);
    file_close(&file);
    fixture_done(&file.fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_stands_still),
        cmocka_unit_test(folding_stands_still),
        cmocka_unit_test(less_memory_after_a_restart_loses_nothing),
    };
    return cmocka_run_group_tests_name("history memory", tests, NULL, NULL);
}
