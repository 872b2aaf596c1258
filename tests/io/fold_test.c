/* SPDX-License-Identifier: Apache-2.0 */
/* Folding: what can be read stays the same, and so do the rollups, which are compared with plain sums over the list of fold_world.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/prng.h"
#include "fold_world.h"
#include "gateway/io/store_rollup.h"

/* ---- rollups ---- */

static const int64_t widths_ms[ROLLUP_LEVELS] = {600000, 3600000, 86400000};

struct rows {
    const struct fold_world *world;
    enum rollup_level level;
    uint32_t series;
    uint64_t found;
};

static bool row_compare(void *context, const struct rollup_row *row) {
    struct rows *rows = context;
    const struct fold_world *world = rows->world;
    struct rollup_row sum = {.from_ms = row->from_ms};
    for (unsigned i = 0; i < world->count; i++) {
        const struct fold_item *item = &world->items[i];
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

/* Up to the end of an hour all 10 minutes and hours stand as the list does. */
static void rollups_compare(struct fold_world *world, int64_t end_ms) {
    struct database_failure failure;
    for (unsigned level = 0; level <= ROLLUP_HOUR; level++) {
        struct rows rows = {.world = world, .level = (enum rollup_level)level};
        unsigned expected = 0;
        for (unsigned i = 0; i < world->count; i++)
            expected += world->items[i].at_ms < end_ms;
        for (rows.series = 0; rows.series < SERIES; rows.series++)
            assert_int_equal(rollup_read(world->database, rows.level, 0, rows.series, 0, end_ms - 1, row_compare, &rows, &failure), ERR_OK);
        assert_int_equal(rows.found, expected);
    }
}

/* ---- tests ---- */

static const unsigned mixed[SERIES] = {1, 20, 100, 60, 5, 1800};

static void an_hour_of_mixed_rates(void **state) {
    (void)state;
    struct fold_world *world = world_begin(0);
    world_stretch(world, T0, T0 + HOUR_MS, mixed);
    assert_int_equal(world_fold(world, FAR_MS), 0); /* its last slot is open */
    world_stretch(world, T0 + HOUR_MS, T0 + HOUR_MS + 400000, mixed);
    assert_int_equal(world_fold(world, FAR_MS), 0); /* not rolled up */
    world_roll(world, FAR_MS);
    assert_int_equal(world_fold(world, T0 + HOUR_MS - 1), 0); /* not over */
    world_compare(world, 0, FAR_MS);
    assert_int_equal(world_fold(world, FAR_MS), 1);
    world_compare(world, 0, FAR_MS);
    world_compare(world, T0 + 1234567, T0 + HOUR_MS + 123456);
    assert_int_equal(world_number(world, "SELECT count(*) FROM chunk WHERE id < 1795395600000 / 300000 << 20"), 0);
    assert_int_equal(world_number(world, "SELECT sum(n) FROM hour"), 3600 + 180 + 36 + 60 + 720 + 2);
    assert_int_equal(world_number(world, "SELECT count(*) FROM hour WHERE id & 7 = 0"), SERIES);
    assert_int_equal(world_number(world, "SELECT count(*) FROM hour WHERE length(body) BETWEEN 500 AND 2000"), 0);
    rollups_compare(world, T0 + HOUR_MS);
    world_close(world);
    world_open(world);
    world_compare(world, 0, FAR_MS);
    world_end(world);
}

/* The clock is set back, again and again: to hours that are folded, half folded, or were never there. */
static void late_readings_are_folded_again(void **state) {
    (void)state;
    struct fold_world *world = world_begin(0);
    struct prng prng;
    prng_init(&prng, 3);
    world_stretch(world, T0, T0 + 3 * HOUR_MS, mixed);
    world_roll(world, FAR_MS);
    world_fold(world, FAR_MS);
    int64_t hours = world_number(world, "SELECT count(*) FROM hour");
    for (unsigned round = 0; round < 40; round++) {
        int64_t from_ms = T0 - 2 * HOUR_MS + (int64_t)prng_below(&prng, 5 * 12) * SLOT_MS;
        static const unsigned rates[][SERIES] = {{10, 7, 0, 0, 9, 0}, {0, 0, 50, 50, 0, 299}};
        world_stretch(world, from_ms, from_ms + 200000, rates[round % 2]);
        if (round % 4 == 2) { /* while they are in the tail */
            world_close(world);
            world_open(world);
        }
        world_stretch(world, T0 + 3 * HOUR_MS + round * SLOT_MS, T0 + 3 * HOUR_MS + round * SLOT_MS + 3000, mixed);
        assert_int_equal(world_fold(world, from_ms + HOUR_MS), 0); /* not before its rollups */
        world_compare(world, 0, FAR_MS);
        if (round % 3)
            continue;
        world_roll(world, FAR_MS);
        rollups_compare(world, T0 + 3 * HOUR_MS);
        assert_true(world_fold(world, FAR_MS) > 0);
        world_compare(world, 0, FAR_MS);
        rollups_compare(world, T0 + 3 * HOUR_MS);
    }
    assert_int_equal(world_number(world, "SELECT count(*) FROM chunk WHERE id < 1795402800000 / 300000 << 20"), 0);
    assert_true(world_number(world, "SELECT count(*) FROM hour") > hours);
    world_end(world);
}

/* In one of the hours each of two series is more than a step by itself. */
static void days_of_version_3(void **state) {
    (void)state;
    struct fold_world *world = world_begin(0);
    static const unsigned rates[SERIES] = {2, 20, 100, 60, 5, 1800};
    unsigned steps = 0;
    for (unsigned i = 0; i < 110000; i++) {
        world_put(world, 0, T0 - 5 * SLOT_MS + i * 10);
        world_put(world, 1, T0 - 5 * SLOT_MS + i * 10);
        if (i % 2000 == 1999)
            assert_int_equal(world_flush(world), ERR_OK);
    }
    world_stretch(world, T0, T0 + 36 * HOUR_MS, rates);
    world_stretch(world, T0 + 40 * HOUR_MS, T0 + 40 * HOUR_MS + 2000, rates);
    database_run(world->database, "DROP TABLE hour; PRAGMA user_version = 3");
    world_close(world);
    world_open(world);
    assert_int_equal(world_number(world, "PRAGMA user_version"), HISTORY_VERSION);
    world_roll(world, FAR_MS);
    int64_t before = world_number(world, "SELECT count(*) FROM chunk");
    for (bool more = true; more; steps++) {
        struct database_failure failure;
        assert_int_equal(history_fold(world->history, FAR_MS, &more, &failure), ERR_OK);
        int64_t left = world_number(world, "SELECT count(*) FROM chunk");
        assert_true(more == (left < before));
        before = left;
        if (steps % 10 == 0)
            world_compare(world, 0, FAR_MS);
    }
    assert_true(steps == 38 + 1 && before == 0);
    world_compare(world, 0, FAR_MS);
    world_end(world);
}

static void damage_ends_early_and_does_not_stay(void **state) {
    (void)state;
    struct fold_world *world = world_begin(0);
    world_stretch(world, T0, T0 + 2 * HOUR_MS + 400000, mixed);
    world_roll(world, FAR_MS);
    database_run(world->database, "UPDATE chunk SET body = substr(body, 1, length(body) / 2) WHERE id % 5 = 0;"
                                  "UPDATE chunk SET body = zeroblob(9) WHERE id % 7 = 0; UPDATE chunk SET body = x'' WHERE id % 11 = 0;"
                                  "UPDATE chunk SET body = zeroblob(2000) WHERE (id & 0xFFFFF) = 2;"
                                  "INSERT INTO chunk VALUES(-5, 1, x'00'), (1 << 20 | 900000, 1, x'FF'), (7, 1, zeroblob(20)), (12 << 20 | 0xFFFFF, 1, x'00')");
    unsigned readable = world_read(world, 0, FAR_MS);
    assert_true(readable > world->count / 2 && readable < world->count);
    assert_true(world_fold(world, FAR_MS) > 0);
    assert_int_equal(world_read(world, 0, FAR_MS), readable);
    assert_int_equal(world_number(world, "SELECT count(*) FROM chunk WHERE id >= 0 AND id < 1795399200000 / 300000 << 20"), 0);
    database_run(world->database, "UPDATE hour SET body = substr(body, 1, length(body) / 2) WHERE (id >> 3 & 0xFFFFF) = 4;"
                                  "UPDATE hour SET body = x'' WHERE (id >> 3 & 0xFFFFF) = 1");
    world_stretch(world, T0 + 600000, T0 + 700000, mixed);
    world_stretch(world, T0 + 2 * HOUR_MS + 400000, T0 + 2 * HOUR_MS + 404000, mixed);
    world_roll(world, FAR_MS);
    readable = world_read(world, 0, FAR_MS);
    assert_true(world_fold(world, FAR_MS) > 0);
    assert_int_equal(world_read(world, 0, FAR_MS), readable);
    world_end(world);
}

static int64_t oldest_ms(struct fold_world *world) {
    int64_t hour = world_number(world, "SELECT (id >> 23) * 3600000 FROM hour ORDER BY id LIMIT 1");
    int64_t chunk = world_number(world, "SELECT (id >> 20) * 300000 FROM chunk ORDER BY id LIMIT 1");
    return hour && (!chunk || hour < chunk) ? hour : chunk;
}

static void old_days_go_from_both_tables(void **state) {
    (void)state;
    struct fold_world *world = world_begin(0);
    struct database_failure failure;
    static const unsigned rates[SERIES] = {0, 100, 0, 600, 0, 1800};
    int64_t day_ms = 24 * HOUR_MS;
    world->fixture.config.store.history_days = 5;
    world_close(world);
    world_open(world);
    world_stretch(world, T0, T0 + 3 * day_ms, rates);
    world_roll(world, FAR_MS);
    world_fold(world, T0 + day_ms); /* a day of hours, two of chunks */
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

static void the_quota_takes_the_oldest_of_both(void **state) {
    (void)state;
    struct fold_world *world = world_begin(QUOTA_BYTES);
    struct stat status;
    int64_t at_ms = T0;
    for (unsigned minute = 0; world->count + 1500 < LIST_MAX; minute++, at_ms += 180000) { /* noise does not pack: twice what fits */
        for (unsigned i = 0; i < 1500; i++)
            world_put(world, 4, at_ms + i * 100);
        assert_int_equal(world_flush(world), ERR_OK);
        if (minute % 4)
            continue;
        world_roll(world, at_ms);
        world_fold(world, at_ms);
    }
    assert_int_equal(stat(world->path, &status), 0);
    assert_true(status.st_size > QUOTA_BYTES / 4 && status.st_size <= QUOTA_BYTES);
    assert_true(oldest_ms(world) > T0 + HOUR_MS && world_number(world, "SELECT count(*) FROM hour") > 0);
    world_compare(world, oldest_ms(world), FAR_MS);
    world_end(world);
}

static void a_step_that_fails_changes_nothing(void **state) {
    (void)state;
    struct fold_world *world = world_begin(0);
    struct database_failure failure;
    bool more;
    world_stretch(world, T0, T0 + 3 * HOUR_MS, mixed);
    world_roll(world, FAR_MS);
    int64_t chunks = world_number(world, "SELECT count(*) FROM chunk");
    (void)world_number(world, "PRAGMA max_page_count = 1"); /* no page more than there are */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(history_fold(world->history, FAR_MS, &more, &failure), ERR_FULL);
        assert_false(more);
        assert_int_equal(world_number(world, "SELECT count(*) FROM chunk"), chunks);
        world_compare(world, 0, FAR_MS);
    }
    (void)world_number(world, "PRAGMA max_page_count = 1000000");
    assert_int_equal(world_fold(world, FAR_MS), 2); /* the third hour's last slot is open */
    world_compare(world, 0, FAR_MS);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_of_mixed_rates),
        cmocka_unit_test(late_readings_are_folded_again),
        cmocka_unit_test(days_of_version_3),
        cmocka_unit_test(damage_ends_early_and_does_not_stay),
        cmocka_unit_test(old_days_go_from_both_tables),
        cmocka_unit_test(the_quota_takes_the_oldest_of_both),
        cmocka_unit_test(a_step_that_fails_changes_nothing),
    };
    return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}
