/* SPDX-License-Identifier: Apache-2.0 */
/* The spool on a real disk: what comes back after a restart, what goes, and what gives way when there is no more room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "gateway/io/store_spool.h"
#include "store_fixture.h"

#define ALL 0xFFFF

static void runs_come_back(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    fixture_open(&f);
    assert_true(f.image.next_seq == 1);
    assert_false(f.image.configuration_changed || f.image.quarantined);
    assert_int_equal(fixture_submit(&f, LANE_READING, 1, 3, ALL, 20)->err, ERR_OK);
    assert_int_equal(fixture_submit(&f, LANE_FIRE, 4, 4, ALL, 20)->err, ERR_OK);
    assert_int_equal(fixture_submit(&f, LANE_READING, 5, 7, ALL, 20)->err, ERR_OK);
    assert_string_equal(fixture_query(&f, 0, LANE_READING, 0, 7), "1 2 3 5 6 7");
    fixture_close(&f);
    memcpy(f.config.hash, "fedcba9876543210", 16);
    fixture_open(&f);
    assert_true(f.image.next_seq == 8);
    assert_true(f.image.configuration_changed);
    assert_string_equal(fixture_query(&f, 0, LANE_READING, 1, 5), "2 3 5");
    assert_true(f.rows.through_seq == 5);
    assert_string_equal(fixture_query(&f, 0, LANE_FIRE, 0, 7), "4");
    assert_string_equal(fixture_query(&f, 0, LANE_EVENT, 0, 7), "");
    assert_true(f.rows.through_seq == 7);
    assert_string_equal(f.lines, "");
    fixture_done(&f);
}

static void rows_are_cut_at_entries(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    f.uplinks[1].name = "second";
    f.config.uplinks_count = 2;
    fixture_open(&f);
    fixture_submit(&f, LANE_READING, 1, 20, 1, 10000); /* 200 kB: more than one buffer */
    fixture_submit(&f, LANE_READING, 21, 22, 2, 10);
    fixture_submit(&f, LANE_READING, 23, 24, 3, 10);
    assert_string_equal(fixture_query(&f, 0, LANE_READING, 0, 24), "1 2 3 4 5 6 7 8 9 10 11 12 13");
    assert_true(f.rows.through_seq == 13);
    assert_string_equal(fixture_query(&f, 0, LANE_READING, 13, 24), "14 15 16 17 18 19 20 23 24");
    assert_true(f.rows.through_seq == 24);
    assert_string_equal(fixture_query(&f, 1, LANE_READING, 0, 24), "21 22 23 24");
    assert_string_equal(fixture_query(&f, 1, LANE_READING, 0, 20), "");
    assert_true(f.rows.through_seq == 20);
    fixture_done(&f);
}

/* One run for several: each gets only its own. */
static void mixed_runs_are_sorted_out(void **state) {
    (void)state;
    struct store_fixture f;
    uint8_t bytes[1024];
    fixture_init(&f);
    f.uplinks[1].name = "second";
    f.config.uplinks_count = 2;
    fixture_open(&f);
    size_t size = fixture_seal(LANE_EVENT, 1, 2, 1, 20, bytes, sizeof(bytes));
    size += fixture_seal(LANE_EVENT, 4, 5, 2, 20, bytes + size, sizeof(bytes) - size);
    size += fixture_seal(LANE_EVENT, 6, 6, 3, 20, bytes + size, sizeof(bytes) - size);
    fixture_submit_bytes(&f, LANE_EVENT, 1, 6, bytes, size);
    fixture_submit(&f, LANE_FIRE, 7, 7, 3, 20);
    fixture_close(&f);
    fixture_open(&f);
    assert_string_equal(fixture_query(&f, 0, LANE_EVENT, 0, 7), "1 2 6");
    assert_string_equal(fixture_query(&f, 1, LANE_EVENT, 0, 7), "4 5 6");
    fixture_done(&f);
}

static void cursors_come_back_and_free_runs(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    fixture_open(&f);
    for (uint64_t seq = 1; seq <= 9; seq += 3)
        fixture_submit(&f, LANE_READING, seq, seq + 2, 1, 20);
    struct cursor cursor = {.low = 4, .ranges_count = 2, .ranges = {{6, 6}, {8, 9}}};
    store_cursor(f.store, 0, LANE_READING, &cursor);
    fixture_close(&f); /* writes it */
    fixture_open(&f);
    assert_memory_equal(&f.image.cursors[0][LANE_READING], &cursor, sizeof(cursor));
    assert_true(f.image.cursors[0][LANE_FIRE].low == 0);
    assert_string_equal(fixture_query(&f, 0, LANE_READING, 0, 9), "4 5 6 7 8 9"); /* the first run is everybody's and gone */
    cursor = (struct cursor){.low = 12};
    store_cursor(f.store, 0, LANE_READING, &cursor);
    fixture_submit(&f, LANE_READING, 10, 12, 1, 20); /* delivered before its turn came: not written */
    assert_string_equal(fixture_query(&f, 0, LANE_READING, 0, 12), "");
    fixture_close(&f);
    fixture_open(&f);
    assert_true(f.image.next_seq == 13); /* known from the cursor */
    fixture_done(&f);
}

static void uplinks_come_and_go(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    f.uplinks[1].name = "fire-watch";
    f.config.uplinks_count = 2;
    fixture_open(&f);
    assert_int_equal(f.image.uplink_numbers[0], 0);
    assert_int_equal(f.image.uplink_numbers[1], 1);
    fixture_submit(&f, LANE_READING, 1, 2, 3, 20);
    struct cursor cursor = {.low = 2};
    store_cursor(f.store, 1, LANE_READING, &cursor);
    fixture_close(&f);

    f.uplinks[0].name = "fire-watch"; /* "city" leaves, and with it what only it still wanted */
    f.config.uplinks_count = 1;
    fixture_open(&f);
    assert_int_equal(f.image.uplink_numbers[0], 1);
    assert_true(f.image.cursors[0][LANE_READING].low == 2);
    assert_string_equal(fixture_query(&f, 0, LANE_READING, 0, 2), "");
    fixture_submit(&f, LANE_READING, 3, 5, 2, 20);
    fixture_close(&f);

    f.uplinks[1].name = "newcomer";
    f.config.uplinks_count = 2;
    fixture_open(&f);
    assert_int_equal(f.image.uplink_numbers[0], 1);
    assert_int_equal(f.image.uplink_numbers[1], 0);
    assert_true(f.image.next_seq == 6);
    for (unsigned lane = 0; lane < LANES_COUNT; lane++)
        assert_true(f.image.cursors[1][lane].low == 5);
    fixture_close(&f);
    fixture_open(&f); /* and stays there */
    assert_true(f.image.cursors[1][LANE_FIRE].low == 5);
    assert_string_equal(fixture_query(&f, 0, LANE_READING, 0, 5), "3 4 5");
    fixture_done(&f);
}

static void no_uplinks_nothing_kept(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    f.config.uplinks_count = 0;
    fixture_open(&f);
    assert_int_equal(fixture_submit(&f, LANE_READING, 1, 9, 0, 20)->err, ERR_OK);
    fixture_close(&f);
    fixture_open(&f);
    assert_true(f.image.next_seq == 10);
    fixture_done(&f);
}

static const struct store_record *alarm_find(const struct store_fixture *f, const char *alarm) {
    for (uint32_t i = 0; i < f->image.records_count; i++)
        if (strcmp(f->image.records[i].name, alarm) == 0)
            return &f->image.records[i];
    return NULL;
}

static void alarms_are_kept(void **state) {
    (void)state;
    struct store_fixture f;
    struct record_save saves[3] = {{.owner = "smoke-1", .name = "smoke", .bytes = "abc", .size = 3},
                                  {.owner = "smoke-1", .name = "fault", .bytes = "de", .size = 2},
                                  {.owner = "meter-1", .name = "over", .bytes = "f", .size = 1}};
    uint8_t bytes[256];
    fixture_init(&f);
    fixture_open(&f);
    assert_int_equal(f.image.records_count, 0);
    size_t size = fixture_seal(LANE_FIRE, 1, 1, 1, 20, bytes, sizeof(bytes));
    store_submit(f.store, LANE_FIRE, 1, 1, bytes, (uint32_t)size, saves, 3);
    fixture_close(&f);
    fixture_open(&f);
    assert_int_equal(f.image.records_count, 3);
    assert_memory_equal(alarm_find(&f, "smoke")->bytes, "abc", 3);
    assert_int_equal(alarm_find(&f, "over")->size, 1);
    saves[0] = (struct record_save){.owner = "smoke-1", .name = "smoke", .bytes = "xyzw", .size = 4};
    saves[1].size = 0; /* removed */
    size = fixture_seal(LANE_FIRE, 2, 2, 1, 20, bytes, sizeof(bytes));
    store_submit(f.store, LANE_FIRE, 2, 2, bytes, (uint32_t)size, saves, 2);
    fixture_close(&f);
    fixture_open(&f);
    assert_int_equal(f.image.records_count, 2);
    assert_int_equal(alarm_find(&f, "smoke")->size, 4);
    assert_null(alarm_find(&f, "fault"));
    fixture_done(&f);
}

static void series_numbers_are_for_ever(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    fixture_open(&f);
    assert_int_equal(f.image.series.count, 8);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(f.image.series.of_point[i], i);
    fixture_close(&f);

    f.devices[0].spec.points_count = 2; /* points go, a unit changes, a device moves up */
    f.devices[1].first_point = 2;
    f.config.points_count = 6;
    f.points[0][1].unit = "V";
    fixture_open(&f);
    static const uint32_t expected[] = {0, 8, 4, 5, 6, 7};
    assert_memory_equal(f.image.series.of_point, expected, sizeof(expected));
    assert_int_equal(f.image.series.count, 9);
    assert_string_equal(f.image.series.items[2].device, "meter-1"); /* gone from the configuration, not from the history */
    assert_string_equal(f.image.series.items[2].point, "energy");
    assert_string_equal(f.image.series.items[8].point, "voltage");
    fixture_close(&f);

    f.points[0][1].unit = "A"; /* back again: its first number */
    f.points[0][0].scale = 0.01;
    fixture_open(&f);
    assert_int_equal(f.image.series.of_point[0], 9);
    assert_int_equal(f.image.series.of_point[1], 1);
    fixture_close(&f);

    char path[128];
    fixture_path(&f, "spool.db", path);
    assert_int_equal(unlink(path), 0); /* lost: the history knows the names */
    fixture_open(&f);
    assert_int_equal(f.image.series.count, 10);
    assert_int_equal(f.image.series.of_point[0], 9);
    assert_int_equal(f.image.series.of_point[1], 1);
    fixture_done(&f);
}

static void quota_evicts_readings_first(void **state) {
    (void)state;
    struct store_fixture f;
    char path[128];
    struct stat status;
    fixture_init(&f);
    f.config.store.spool_bytes_max = 1 << 20;
    fixture_open(&f);
    uint64_t seq = 1, evicted[LANES_COUNT] = {0}, first_left[LANES_COUNT] = {0};
    fixture_submit(&f, LANE_FIRE, seq, seq, 1, 8000);
    seq++;
    for (unsigned i = 0; i < 60; i++, seq += 5) { /* 60 kB each, of readings and events: 3.6 MB */
        const struct store_stored *stored = fixture_submit(&f, i % 2 ? LANE_EVENT : LANE_READING, seq, seq + 4, 1, 12000);
        assert_int_equal(stored->err, ERR_OK);
        if (stored->evicted.count) {
            assert_true(stored->evicted.from <= stored->evicted.to);
            assert_true(stored->evicted.from > first_left[stored->evicted_lane]); /* the oldest first, and each told once */
            first_left[stored->evicted_lane] = stored->evicted.to;
            evicted[stored->evicted_lane] += stored->evicted.count;
        }
        if (evicted[LANE_EVENT] && !(i % 2)) /* no reading is left when events go */
            assert_int_equal(evicted[LANE_READING], (uint64_t)(i / 2 + 1) * 5);
    }
    assert_int_equal(evicted[LANE_FIRE], 0);
    assert_true(evicted[LANE_READING] == 150 && evicted[LANE_EVENT] > 0 && evicted[LANE_EVENT] < 100);
    assert_string_equal(fixture_query(&f, 0, LANE_FIRE, 0, seq), "1");
    assert_string_equal(fixture_query(&f, 0, LANE_READING, 0, seq), "");
    unsigned left = 0;
    for (uint64_t after = 0; after < seq; after = f.rows.through_seq)
        for (const char *c = fixture_query(&f, 0, LANE_EVENT, after, seq); *c; c++)
            left += c[1] == ' ' || c[1] == '\0';
    assert_int_equal(left + evicted[LANE_EVENT], 150);
    fixture_close(&f);
    fixture_path(&f, "spool.db", path);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size <= (1 << 20) + 1024 * 512 + 32 * 4096); /* room for records comes on top */
    fixture_done(&f);
}

/* A file with the pages of the version before keeps them, its entries, and the quota in bytes. */
static void larger_pages_stay(void **state) {
    (void)state;
    struct store_fixture f;
    struct database *database;
    struct database_failure failure;
    struct stat status;
    char path[128];
    fixture_init(&f);
    f.config.store.spool_bytes_max = 2 << 20;
    fixture_path(&f, "spool.db", path);
    assert_int_equal(database_open(path, DATABASE_NORMAL, &database, &failure), ERR_OK); /* makes larger pages than FULL */
    assert_int_equal(spool_create(database, &failure), ERR_OK);
    database_close(database);
    uint64_t seq = 1;
    for (unsigned i = 0; i < 2; i++) {
        fixture_open(&f);
        assert_int_equal(fixture_submit(&f, LANE_EVENT, seq, seq, 1, 100)->err, ERR_OK);
        for (seq++; f.image.next_seq + 600 > seq; seq += 10)
            assert_int_equal(fixture_submit(&f, LANE_READING, seq, seq + 9, 1, 8000)->err, ERR_OK);
        assert_string_equal(fixture_query(&f, 0, LANE_EVENT, 0, 1), "1");
        fixture_close(&f);
    }
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size > 1500000 && status.st_size <= 3 << 20);
    assert_int_equal(database_open(path, DATABASE_READER, &database, &failure), ERR_OK);
    assert_int_equal(database_page_size(database), DATABASE_PAGE_SIZE);
    database_close(database);
    fixture_done(&f);
}

static void eviction_counts_only_what_is_undelivered(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    f.config.store.spool_bytes_max = 1 << 20;
    fixture_open(&f);
    fixture_submit(&f, LANE_READING, 1, 10, 1, 8000);
    struct cursor cursor = {.low = 3, .ranges_count = 1, .ranges = {{5, 6}}};
    store_cursor(f.store, 0, LANE_READING, &cursor);
    uint64_t seq = 11, count = 0;
    for (; !count; seq += 10) {
        const struct store_stored *stored = fixture_submit(&f, LANE_READING, seq, seq + 9, 1, 8000);
        count = stored->evicted.count;
    }
    assert_int_equal(count, 5); /* 4 7 8 9 10 */
    assert_true(f.stored.evicted.from == 4 && f.stored.evicted.to == 10 && f.stored.evicted_lane == LANE_READING);
    fixture_done(&f);
}

/* An event that needs the room of a reading run and of event runs: each `stored` tells one lane, the rest waits in the file. */
static void gaps_of_two_lanes_are_told_one_by_one(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    f.config.store.spool_bytes_max = 1 << 20;
    fixture_open(&f);
    fixture_submit(&f, LANE_EVENT, 1, 80, 1, 8000);
    fixture_submit(&f, LANE_READING, 81, 82, 1, 8000);
    const struct store_stored *stored = fixture_submit(&f, LANE_FIRE, 83, 182, 1, 8000);
    assert_int_equal(stored->err, ERR_OK);
    assert_int_equal(stored->evicted_lane, LANE_READING);
    assert_true(stored->evicted.from == 81 && stored->evicted.to == 82 && stored->evicted.count == 2);
    fixture_close(&f);
    fixture_open(&f);
    for (unsigned i = 0; i < 3; i++) { /* told at least once; the reading gap again, as its telling was not committed after */
        stored = fixture_submit(&f, LANE_FIRE, 183 + i, 183 + i, 1, 20);
        assert_int_equal(stored->evicted.count, i == 0 ? 2 : i == 1 ? 80 : 0);
    }
    fixture_close(&f);
    fixture_open(&f);
    assert_int_equal(fixture_submit(&f, LANE_FIRE, 190, 190, 1, 20)->evicted.count, 0);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_come_back),
        cmocka_unit_test(rows_are_cut_at_entries),
        cmocka_unit_test(mixed_runs_are_sorted_out),
        cmocka_unit_test(cursors_come_back_and_free_runs),
        cmocka_unit_test(uplinks_come_and_go),
        cmocka_unit_test(no_uplinks_nothing_kept),
        cmocka_unit_test(alarms_are_kept),
        cmocka_unit_test(series_numbers_are_for_ever),
        cmocka_unit_test(quota_evicts_readings_first),
        cmocka_unit_test(gaps_of_two_lanes_are_told_one_by_one),
        cmocka_unit_test(larger_pages_stay),
        cmocka_unit_test(eviction_counts_only_what_is_undelivered),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
