/* SPDX-License-Identifier: Apache-2.0 */
/* Hours that are over, opened again, and damaged: what can be read, and rollups, which are compared with plain sums over the list of
 * history_world.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/prng.h"
#include "history_world.h"
#include "gateway/io/store_rollup.h"

/* ---- rollups ---- */

static const int64_t widths_ms[ROLLUP_LEVELS] = {600000, 3600000, 86400000};

struct rows {
    const struct history_world *world;
    enum rollup_level level;
    uint32_t series;
    uint64_t found;
};

static bool row_compare(void *context, const struct rollup_row *row) {
    struct rows *rows = context;
    const struct history_world *world = rows->world;
    struct rollup_row sum = {.from_ms = row->from_ms};
    for (unsigned i = 0; i < world->count; i++) {
        const struct history_item *item = &world->items[i];
        if (item->series != rows->series || item->at_ms < row->from_ms || item->at_ms >= row->from_ms + widths_ms[rows->level])
            continue;
        struct value value = world_value(i, item->series);
        double here = value.kind == VALUE_NUMBER ? value.number : (double)value.integer;
        sum.count++;
        if (value.kind == VALUE_TEXT)
            continue;
        sum.least = !sum.valid || here < sum.least ? here : sum.least;
        sum.most = !sum.valid || here > sum.most ? here : sum.most;
        sum.mean += here;
        sum.valid++;
    }
    assert_true(row->count == sum.count && row->valid == sum.valid && row->least == sum.least && row->most == sum.most);
    assert_true(fabs(row->mean - (sum.valid ? sum.mean / (double)sum.valid : 0)) < 1e-6);
    rows->found += row->count;
    return true;
}

/* Up to this time, which ends a unit, all stands as the list does. */
static void rollups_compare(struct history_world *world, enum rollup_level level, int64_t end_ms) {
    struct database_failure failure;
    struct rows rows = {.world = world, .level = level};
    unsigned expected = 0;
    for (unsigned i = 0; i < world->count; i++)
        expected += world->items[i].at_ms < end_ms;
    for (rows.series = 0; rows.series < SERIES; rows.series++)
        assert_int_equal(rollup_read(world->database, level, 0, rows.series, 0, end_ms - 1, row_compare, &rows, &failure), ERR_OK);
    assert_int_equal(rows.found, expected);
}

/* ---- tests ---- */

static const unsigned mixed[SERIES] = {1, 20, 100, 60, 5, 1800};

static void an_hour_of_mixed_rates(void **state) {
    (void)state;
    struct history_world *world = world_begin(0);
    world_stretch(world, T0, T0 + HOUR_MS, mixed);
    assert_int_equal(world_number(world, "SELECT count(*) FROM hour_chunk"), 0); /* open */
    world_roll(world, FAR_MS);
    rollups_compare(world, ROLLUP_10MIN, T0 + 3000000); /* the last minutes may go on */
    world_compare(world, 0, FAR_MS);
    world_stretch(world, T0 + HOUR_MS, T0 + HOUR_MS + 400000, mixed);
    world_compare(world, 0, FAR_MS);
    world_compare(world, T0 + 1234567, T0 + HOUR_MS + 123456);
    assert_int_equal(world_number(world, "SELECT count(DISTINCT id >> 36) FROM hour_chunk"), 1);
    assert_int_equal(world_number(world, "SELECT count(*) FROM hour_chunk WHERE id & 0xFFFF = 0"), SERIES);
    assert_int_equal(world_number(world, "SELECT count(*) FROM hour_chunk WHERE id & 0xFFFF = 0 AND id >> 16 & 0xFFFFF < 1"), 1);
    assert_true(world_number(world, "SELECT max(length(body)) FROM hour_chunk") <= CHUNK_BODY_SIZE);
    assert_true(world_number(world, "SELECT count(*) FROM hour_chunk WHERE length(body) > 400") > 14); /* 3600 of about two bytes */
    world_roll(world, FAR_MS);
    rollups_compare(world, ROLLUP_10MIN, T0 + HOUR_MS);
    rollups_compare(world, ROLLUP_HOUR, T0 + HOUR_MS);
    world_close(world);
    world_open(world);
    world_compare(world, 0, FAR_MS);
    world_end(world);
}

/* The clock is set back, again and again: to hours that are written, half written, or were never there. */
static void the_clock_is_set_back(void **state) {
    (void)state;
    struct history_world *world = world_begin(0);
    struct prng prng;
    prng_init(&prng, 3);
    world_stretch(world, T0, T0 + 3 * HOUR_MS, mixed);
    world_roll(world, FAR_MS);
    for (unsigned round = 0; round < 40; round++) {
        int64_t from_ms = T0 - 2 * HOUR_MS + (int64_t)prng_below(&prng, 5 * 12) * 300000;
        int64_t now_ms = T0 + 3 * HOUR_MS + round * 300000;
        static const unsigned rates[][SERIES] = {{10, 7, 0, 0, 9, 0}, {0, 0, 50, 50, 0, 299}};
        world_stretch(world, from_ms, from_ms + 200000, rates[round % 2]);
        if (round % 4 == 2) { /* while they are in the tail */
            world_close(world);
            world_open(world);
        }
        world_stretch(world, now_ms, now_ms + 3000, mixed);
        world_compare(world, 0, FAR_MS);
        if (round % 3)
            continue;
        world_roll(world, FAR_MS);
        for (unsigned level = 0; level <= ROLLUP_HOUR; level++)
            rollups_compare(world, (enum rollup_level)level, T0 + 3 * HOUR_MS);
    }
    world_end(world);
}

/* A late reading costs the sums of its time, whatever else is there. */
static void what_is_not_due_is_left_alone(void **state) {
    (void)state;
    struct history_world *world = world_begin(0);
    static const unsigned slow[SERIES] = {30, 60, 100, 60, 300, 1800};
    world_stretch(world, T0, T0 + 30 * HOUR_MS, slow);
    world_roll(world, FAR_MS);
    assert_int_equal(world_number(world, "SELECT count(*) FROM due"), 3); /* ten minutes, hour and day that go on */
    database_run(world->database, "UPDATE rollup_10min SET n = -1000000; UPDATE rollup_hour SET n = -100000000");
    world_put(world, 2, T0 + 5 * HOUR_MS + 1234000);
    assert_int_equal(world_flush(world), ERR_OK);
    world_stretch(world, T0 + 30 * HOUR_MS, T0 + 30 * HOUR_MS + 1000, mixed);
    world_roll(world, FAR_MS);
    assert_int_equal(world_number(world, "SELECT count(DISTINCT id >> 20) FROM rollup_10min WHERE n != -1000000"), 1 + 1); /* and what was open */
    assert_int_equal(world_number(world, "SELECT count(DISTINCT id >> 20) FROM rollup_hour WHERE n != -100000000"), 1 + 1);
    world_end(world);
}

/* Readings of a time whose own are too old or had to make room: what is known of these is not forgotten. */
static void sums_outlive_their_readings(void **state) {
    (void)state;
    struct history_world *world = world_begin(0);
    static const unsigned slow[SERIES] = {30, 60, 100, 60, 300, 1800};
    world_stretch(world, T0, T0 + 30 * HOUR_MS, slow);
    world_roll(world, FAR_MS);
    int64_t ten = world_number(world, "SELECT sum(n) FROM rollup_10min"), hours = world_number(world, "SELECT sum(n) FROM rollup_hour");
    int64_t days = world_number(world, "SELECT sum(n) FROM rollup_day");
    database_run(world->database, "DELETE FROM hour_chunk WHERE id < (498720 + 20) << 36");
    world_stretch(world, T0 + 5 * HOUR_MS, T0 + 5 * HOUR_MS + 60000, slow);
    world_stretch(world, T0 + 22 * HOUR_MS + 1000, T0 + 22 * HOUR_MS + 30000, mixed);
    world_stretch(world, T0 + 30 * HOUR_MS, T0 + 30 * HOUR_MS + 1000, slow);
    world_roll(world, FAR_MS);
    assert_true(world_number(world, "SELECT sum(n) FROM rollup_10min") > ten);
    assert_true(world_number(world, "SELECT sum(n) FROM rollup_hour") > hours && world_number(world, "SELECT sum(n) FROM rollup_day") > days);
    assert_int_equal(world_number(world, "SELECT sum(n) FROM rollup_10min WHERE id >> 20 = (498720 + 5) * 6 AND id & 0xFFFFF = 0"), 20);
    world_end(world);
}

static void damage_ends_early(void **state) {
    (void)state;
    struct history_world *world = world_begin(0);
    struct database_failure failure;
    world_stretch(world, T0, T0 + 2 * HOUR_MS + 400000, mixed);
    database_run(world->database, "UPDATE hour_chunk SET body = substr(body, 1, length(body) / 2) WHERE id % 5 = 0;"
                                  "UPDATE hour_chunk SET body = zeroblob(9) WHERE id % 7 = 0; UPDATE hour_chunk SET body = x'' WHERE id % 11 = 0;"
                                  "UPDATE hour_chunk SET body = zeroblob(2000) WHERE (id >> 16 & 0xFFFFF) = 2;"
                                  "INSERT INTO hour_chunk VALUES(-5, 63, x'00'), (1 << 36 | 900000 << 16, 63, x'FF'), (7, 63, zeroblob(20)), (12 << 36 | 0xFFFFF, 63, x'00')");
    unsigned readable = world_read(world, 0, FAR_MS);
    assert_true(readable > world->count / 4 && readable < world->count);
    world_roll(world, FAR_MS);
    world_stretch(world, T0 + 600000, T0 + 700000, mixed);
    world_stretch(world, T0 + 2 * HOUR_MS + 400000, T0 + 2 * HOUR_MS + 404000, mixed);
    world_roll(world, FAR_MS);
    assert_true(world_read(world, 0, FAR_MS) > readable);
    database_run(world->database, "INSERT INTO hour VALUES(-(1 << 50), 1, x'00'), (9223372036854775807, 1, x'00'); INSERT INTO hour_chunk VALUES(1 << 62, 63, x'00')");
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(history_expire(world->history, FAR_MS, &failure), ERR_OK);
    assert_int_equal(world_number(world, "SELECT count(*) FROM hour_chunk"), 1); /* which is of no hour */
    world_end(world);
}

static int64_t oldest_ms(struct history_world *world) {
    int64_t chunk = world_number(world, "SELECT (id >> 36) * 3600000 FROM hour_chunk ORDER BY id LIMIT 1");
    int64_t old = world_number(world, "SELECT (id >> 23) * 3600000 FROM hour ORDER BY id LIMIT 1");
    return old && (!chunk || old < chunk) ? old : chunk;
}

static void old_days_go_from_both_tables(void **state) {
    (void)state;
    struct history_world *world = world_begin(0);
    struct database_failure failure;
    static const unsigned rates[SERIES] = {0, 100, 0, 600, 0, 1800};
    int64_t day_ms = 24 * HOUR_MS;
    world->fixture.config.store.history_days = 5;
    world_close(world);
    world_open(world);
    world_stretch(world, T0, T0 + 3 * day_ms + 1000, rates);
    database_run(world->database, "INSERT INTO hour SELECT ((id >> 16) << 3) | (id & 7), 1, body FROM hour_chunk WHERE id >> 36 < 498720 + 24 + 7;"
                                  "DELETE FROM hour_chunk WHERE id >> 36 < 498720 + 24 + 7"); /* a day and more as older files have it */
    world_compare(world, 0, FAR_MS);
    assert_int_equal(history_expire(world->history, T0 + 5 * day_ms + HOUR_MS + 1000000, &failure), ERR_OK);
    assert_int_equal(oldest_ms(world), T0 + HOUR_MS);
    world_compare(world, T0 + HOUR_MS, FAR_MS);
    for (int64_t day = 1; day < 4; day++) { /* at most a day a call */
        assert_int_equal(history_expire(world->history, FAR_MS, &failure), ERR_OK);
        assert_int_equal(oldest_ms(world), day < 3 ? T0 + HOUR_MS + day * day_ms : 0);
    }
    assert_int_equal(world_number(world, "SELECT count(*) FROM hour"), 0);
    world_end(world);
}

#define QUOTA_BYTES 6000000

static void the_quota_takes_the_oldest(void **state) {
    (void)state;
    struct history_world *world = world_begin(QUOTA_BYTES);
    struct stat status;
    int64_t at_ms = T0;
    for (unsigned minute = 0; world->count + 1500 < LIST_MAX; minute++, at_ms += 180000) { /* noise does not pack: about what fits */
        for (unsigned i = 0; i < 1500; i++)
            world_put(world, 4, at_ms + i * 100);
        assert_int_equal(world_flush(world), ERR_OK);
        if (minute % 4 == 0)
            world_roll(world, at_ms);
    }
    assert_int_equal(stat(world->path, &status), 0);
    assert_true(status.st_size > QUOTA_BYTES / 4 && status.st_size <= QUOTA_BYTES);
    assert_true(oldest_ms(world) > T0 + HOUR_MS && world_number(world, "SELECT count(*) FROM hour_chunk") > 0);
    world_compare(world, oldest_ms(world), FAR_MS);
    world_end(world);
}

/* The disk is full: of a small site's history as much goes as the site needs, not all of it. */
static void a_full_disk_costs_little(void **state) {
    (void)state;
    struct history_world *world = world_begin(0);
    static const unsigned slow[SERIES] = {30, 30, 60, 60, 60, 60};
    for (unsigned d = 0; d < FIXTURE_DEVICES; d++)
        for (unsigned p = 0; p < FIXTURE_POINTS; p++)
            world->fixture.points[d][p].every_ms = 60000;
    world_close(world);
    world_open(world);
    world_stretch(world, T0, T0 + 240 * HOUR_MS, slow);
    int64_t pages = world_number(world, "PRAGMA page_count");
    history_tighten(world->history, true);
    world_stretch(world, T0 + 240 * HOUR_MS, T0 + 264 * HOUR_MS, slow);
    assert_true(world_number(world, "PRAGMA page_count") <= pages);
    assert_true(oldest_ms(world) > T0 && oldest_ms(world) < T0 + 200 * HOUR_MS);
    world_compare(world, oldest_ms(world), FAR_MS);
    world_end(world);
}

/* An hour that cannot be written stays open, in memory and in the tail. */
static void a_disk_without_room_changes_nothing(void **state) {
    (void)state;
    struct history_world *world = world_begin(0);
    world_stretch(world, T0, T0 + HOUR_MS, mixed);
    unsigned before = world->count;
    (void)world_number(world, "PRAGMA max_page_count = 1"); /* no page more than there are */
    for (unsigned i = 0; i < 3; i++) {
        world_put(world, 0, T0 + HOUR_MS + i);
        assert_int_equal(world_flush(world), ERR_FULL);
        world->count = before;
        assert_int_equal(world_number(world, "SELECT count(*) FROM hour_chunk"), 0);
        world_compare(world, 0, FAR_MS);
    }
    (void)world_number(world, "PRAGMA max_page_count = 1000000");
    world_stretch(world, T0 + HOUR_MS, T0 + HOUR_MS + 20000, mixed);
    assert_true(world_number(world, "SELECT count(*) FROM hour_chunk") > SERIES);
    world_compare(world, 0, FAR_MS);
    world_end(world);
}

/* A batch over the turn of an hour, on a disk that is full when the hour is written: it is gone on with, and nothing is there twice. Memory
 * for two blocks of a series is full in the middle of a batch all the time. */
static void a_batch_that_failed_is_gone_on_with(void **state) {
    (void)state;
    struct history_world *world = world_begin(0);
    struct database_failure failure;
    for (unsigned d = 0; d < FIXTURE_DEVICES; d++)
        for (unsigned p = 0; p < FIXTURE_POINTS; p++)
            world->fixture.points[d][p].every_ms = HOUR_MS;
    for (unsigned round = 0; round < 24; round++) {
        int64_t at_ms = T0 + HOUR_MS + round * (HOUR_MS / 2);
        unsigned readings = round % 2 ? 6000 : 600, failures = 0;
        if (round == 8) { /* little memory from here on */
            world_close(world);
            world_open(world);
        }
        world_stretch(world, at_ms - 20000, at_ms - 10000, mixed);
        for (unsigned i = 0; i < readings; i++)
            world_put(world, i % 2 ? 4 : 0, at_ms + (int64_t)(round % 2 ? i : i * 10) - 3000);
        (void)world_number(world, "PRAGMA max_page_count = 1");
        for (enum err err = world_flush(world); err != ERR_OK; err = history_go_on(world->history, &failure)) {
            assert_int_equal(err, ERR_FULL);
            if (++failures == 3)
                (void)world_number(world, "PRAGMA max_page_count = 1000000");
        }
        (void)world_number(world, "PRAGMA max_page_count = 1000000");
        assert_true(failures || round % 2);
        world_compare(world, 0, FAR_MS);
        if (round % 3 == 0) { /* and so does the tail */
            world_close(world);
            world_open(world);
            world_compare(world, 0, FAR_MS);
        }
    }
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_of_mixed_rates),
        cmocka_unit_test(the_clock_is_set_back),
        cmocka_unit_test(what_is_not_due_is_left_alone),
        cmocka_unit_test(sums_outlive_their_readings),
        cmocka_unit_test(damage_ends_early),
        cmocka_unit_test(old_days_go_from_both_tables),
        cmocka_unit_test(the_quota_takes_the_oldest),
        cmocka_unit_test(a_full_disk_costs_little),
        cmocka_unit_test(a_disk_without_room_changes_nothing),
        cmocka_unit_test(a_batch_that_failed_is_gone_on_with),
    };
    return cmocka_run_group_tests_name("history hours", tests, NULL, NULL);
}
