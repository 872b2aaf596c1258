/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of history: it stands still hour after hour, and is enough for what an earlier start left open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/io/store_history.h"
#include "tests/io/memory.h"
#include "tests/io/store_fixture.h"

#define T0 INT64_C(1795392000000) /* start of an hour */
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

static void file_open(struct file *file, uint64_t hour_readings) {
    struct database_failure failure;
    arena_init(&file->arena);
    assert_int_equal(database_open(file->path, DATABASE_NORMAL, &file->database, &failure), ERR_OK);
    assert_int_equal(history_create(file->database, &failure), ERR_OK);
    file->point.every_ms = (uint32_t)(HOUR_MS / hour_readings);
    file->device.spec.points = &file->point;
    file->device.spec.points_count = 1;
    file->fixture.config.devices = &file->device;
    file->fixture.config.devices_count = 1;
    assert_int_equal(history_open(file->database, SERIES, &file->fixture.config, &file->arena, &file->history, &failure), ERR_OK);
}

static void file_close(struct file *file) {
    database_close(file->database);
    arena_done(&file->arena);
}

static void file_init(struct file *file, uint64_t hour_readings) {
    fixture_init(&file->fixture);
    fixture_path(&file->fixture, "history.db", file->path);
    file_open(file, hour_readings);
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

/* Hour after hour is written and rolled up, each with 48,000 readings: when one byte of a reading stayed, this would fail. */
static void memory_stands_still(void **state) {
    (void)state;
    struct file file;
    struct database_failure failure;
    size_t before = 0;
    file_init(&file, 48000);
    for (unsigned hour = 0; hour < 6; hour++) {
        for (unsigned batch = 0; batch < 60; batch++) {
            int64_t at_ms = T0 + hour * HOUR_MS + batch * 60000;
            bool more = true;
            add_alike(&file, at_ms, 50);
            while (more)
                assert_int_equal(history_roll(file.history, at_ms, &more, &failure), ERR_OK);
        }
        if (hour == 2) /* by now SQLite's page caches are full */
            before = memory_in_use();
    }
    size_t after = memory_in_use();
    print_message("in use: %zu kB, three hours later %zu kB\n", before / 1024, after / 1024);
    assert_int_equal(database_number(file.database, "SELECT count(DISTINCT id >> 36) FROM hour_chunk"), 5);
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
    assert_int_equal(database_number(file.database, "SELECT count(*) FROM hour_chunk"), 0); /* all of it is open */
    file_close(&file);
    file_open(&file, 1);
    add_alike(&file, T0 + HOUR_MS, 1);
    assert_int_equal(database_number(file.database, "SELECT count(DISTINCT id >> 36) FROM hour_chunk"), 1);
    for (uint32_t series = 0; series < SERIES; series++)
        assert_int_equal(history_read(file.database, series, 0, T0 + 2 * HOUR_MS, count_one, &got, &failure), ERR_OK);
    assert_int_equal(got, 20 * 100 * SERIES + SERIES);
    file_close(&file);
    fixture_done(&file.fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_stands_still),
        cmocka_unit_test(less_memory_after_a_restart_loses_nothing),
    };
    return cmocka_run_group_tests_name("history memory", tests, NULL, NULL);
}
