/* SPDX-License-Identifier: Apache-2.0 */
/* Rollups against a plain sum over all readings: three days of three series, with restarts, bad values, text and a gap of hours, in a
 * civil time that is eight hours before UTC; and the history's quota in bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/prng.h"
#include "gateway/io/store_history.h"
#include "gateway/io/store_rollup.h"
#include "store_fixture.h"

#define T0 INT64_C(1795017600000) /* midnight in Shanghai, 16:00 UTC */
#define OFFSET_MINUTES 480
#define SERIES 3
#define MINUTES (3 * 1440 + 7)

static const int64_t widths_ms[ROLLUP_LEVELS] = {600000, 3600000, 86400000};

struct world {
    struct store_fixture fixture;
    char path[128];
    struct arena arena;
    struct database *database;
    struct history *history;
    struct rollup_row expected[ROLLUP_LEVELS][SERIES][MINUTES / 10 + 2];
    unsigned found;
};

static void file_open(struct world *world) {
    struct database_failure failure;
    arena_init(&world->arena);
    assert_int_equal(database_open(world->path, DATABASE_NORMAL, &world->database, &failure), ERR_OK);
    assert_int_equal(history_create(world->database, &failure), ERR_OK);
    assert_int_equal(history_open(world->database, SERIES, &world->fixture.config, &world->arena, &world->history, &failure), ERR_OK);
}

static void file_close(struct world *world) {
    database_close(world->database);
    arena_done(&world->arena);
}

static struct world *world_begin(void) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    fixture_init(&world->fixture);
    world->fixture.config.utc_offset_minutes = OFFSET_MINUTES;
    fixture_path(&world->fixture, "history.db", world->path);
    return world;
}

static void world_end(struct world *world) {
    file_close(world);
    fixture_done(&world->fixture);
    free(world);
}

static void expect(struct world *world, const struct packed_reading *reading, double value, bool valid) {
    for (unsigned level = 0; level < ROLLUP_LEVELS; level++) {
        struct rollup_row *row = &world->expected[level][reading->series][(reading->at_ms - T0) / widths_ms[level]];
        row->count++;
        if (!valid)
            continue;
        row->least = !row->valid || value < row->least ? value : row->least;
        row->most = !row->valid || value > row->most ? value : row->most;
        row->mean += value; /* the sum, until it is compared */
        row->valid++;
    }
}

static void minute_put(struct world *world, struct prng *prng, unsigned minute) {
    uint8_t bytes[1024];
    struct bytes_writer writer;
    struct reading_order order;
    struct database_failure failure;
    int64_t at_ms = T0 + minute * INT64_C(60000);
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    reading_order_begin(&order, at_ms);
    for (uint32_t series = 0; series < SERIES; series++) {
        struct packed_reading reading = {.series = series, .at_ms = at_ms + (int64_t)prng_below(prng, 60000)};
        double value = (double)prng_below(prng, 1000) / 10 - 50;
        bool good = prng_below(prng, 10) != 0;
        reading.quality = good ? QUALITY_GOOD : QUALITY_BAD;
        if (series == 0) {
            reading.value = (struct value){.kind = VALUE_NUMBER, .number = value};
        } else if (series == 1) {
            value = (double)(int64_t)value;
            reading.value = (struct value){.kind = VALUE_INTEGER, .integer = (int64_t)value};
        } else {
            reading.value = (struct value){.kind = VALUE_TEXT, .text = "open"};
        }
        if (!good)
            reading.value = (struct value){.kind = VALUE_NONE};
        expect(world, &reading, value, good && series < 2);
        entry_put_reading(&writer, &order, &reading);
    }
    assert_int_equal(history_add(world->history, at_ms, bytes, writer.length, &failure), ERR_OK);
}

static void roll(struct world *world, int64_t wall_ms) {
    struct database_failure failure;
    bool more = true;
    for (unsigned calls = 0; more; calls++) {
        assert_true(calls < 10);
        assert_int_equal(history_roll(world->history, wall_ms, &more, &failure), ERR_OK);
    }
}

struct reading_of {
    struct world *world;
    enum rollup_level level;
    uint32_t series;
    int64_t last_ms;
};

static bool compare_row(void *context, const struct rollup_row *row) {
    struct reading_of *of = context;
    int64_t at = (row->from_ms - T0) / widths_ms[of->level];
    assert_true(row->from_ms > of->last_ms && (row->from_ms - T0) % widths_ms[of->level] == 0);
    of->last_ms = row->from_ms;
    struct rollup_row *expected = &of->world->expected[of->level][of->series][at];
    assert_true(row->count == expected->count && row->valid == expected->valid);
    assert_true(row->least == expected->least && row->most == expected->most);
    assert_true(fabs(row->mean - (row->valid ? expected->mean / (double)row->valid : 0)) < 1e-9);
    of->world->found++;
    return true;
}

static void rows_compare(struct world *world, int64_t over_ms) {
    struct database_failure failure;
    for (unsigned level = 0; level < ROLLUP_LEVELS; level++)
        for (uint32_t series = 0; series < SERIES; series++) {
            struct reading_of of = {world, (enum rollup_level)level, series, 0};
            unsigned wanted = 0;
            for (int64_t at = 0; at < MINUTES / 10 + 2; at++)
                wanted += world->expected[level][series][at].count && T0 + (at + 1) * widths_ms[level] <= over_ms;
            world->found = 0;
            assert_int_equal(
                rollup_read(world->database, (enum rollup_level)level, OFFSET_MINUTES, series, T0, over_ms, compare_row, &of, &failure), ERR_OK);
            assert_int_equal(world->found, wanted);
        }
}

static void as_a_plain_sum(void **state) {
    (void)state;
    struct world *world = world_begin();
    struct prng prng;
    prng_init(&prng, 3);
    file_open(world);
    for (unsigned minute = 0; minute < MINUTES; minute++) {
        if (minute >= 700 && minute < 1000)
            continue; /* nothing was read for five hours */
        if (minute % 997 == 500) {
            file_close(world);
            file_open(world);
        }
        minute_put(world, &prng, minute);
        if (minute % 3 == 0 && minute < 2000) /* as time goes by, and later a long stretch at once */
            roll(world, T0 + minute * INT64_C(60000));
    }
    int64_t over_ms = T0 + (MINUTES / 10) * INT64_C(600000);
    roll(world, T0 + 30 * INT64_C(86400000)); /* no further than what is packed */
    rows_compare(world, over_ms);
    int64_t rows = database_number(world->database, "SELECT count(*) FROM rollup_10min");
    roll(world, T0 + 31 * INT64_C(86400000)); /* written once */
    assert_int_equal(database_number(world->database, "SELECT count(*) FROM rollup_10min"), rows);
    assert_int_equal(database_number(world->database, "SELECT count(*) FROM rollup_day"), 3 * SERIES);
    struct database_failure failure;
    world->fixture.config.store.rollup_days = 1;
    file_close(world);
    file_open(world);
    assert_int_equal(history_expire(world->history, T0 + 3 * INT64_C(86400000), &failure), ERR_OK);
    assert_true(database_number(world->database, "SELECT count(*) FROM rollup_10min") < rows / 2);
    world_end(world);
}

/* A clock that runs a day ahead for forty minutes, is summed there, and is set back: the day between is summed all the same, and the forty
 * minutes once more when their time has really come. Half an hour that waited for the clock comes late, and then the gateway restarts. */
static void a_clock_that_ran_ahead(void **state) {
    (void)state;
    struct world *world = world_begin();
    struct prng prng;
    prng_init(&prng, 5);
    file_open(world);
    for (unsigned minute = 0; minute < MINUTES; minute++) {
        for (unsigned ahead = 1540; minute == 100 && ahead < 1580; ahead++) {
            minute_put(world, &prng, ahead);
            roll(world, T0 + (ahead + 5) * INT64_C(60000));
        }
        if (minute < 2000 || minute >= 2030)
            minute_put(world, &prng, minute);
        for (unsigned late = 2000; minute == 2055 && late < 2030; late++)
            minute_put(world, &prng, late);
        if (minute == 2055) {
            file_close(world);
            file_open(world);
        }
        if (minute % 7 == 0)
            roll(world, T0 + minute * INT64_C(60000));
    }
    roll(world, T0 + 30 * INT64_C(86400000));
    rows_compare(world, T0 + (MINUTES / 10) * INT64_C(600000));
    world_end(world);
}

/* Rows are work too: hours of a site of very many series are caught up with in steps. */
static void many_rows_are_summed_in_steps(void **state) {
    (void)state;
    struct world *world = world_begin();
    struct prng prng;
    struct database_failure failure;
    bool more = true;
    unsigned steps = 0;
    prng_init(&prng, 6);
    file_open(world);
    minute_put(world, &prng, 1440);
    roll(world, T0 + 1441 * INT64_C(60000));
    database_run(world->database, "WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 719999)"
                                  "INSERT INTO rollup_10min SELECT (1795017600000 / 600000 + n / 10000) << 20 | n % 10000, 1, 1, 0, 0, 0 FROM i");
    database_run(world->database, "WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 11)"
                                  "INSERT INTO due SELECT 1 << 40 | (1795017600000 / 3600000 + n) FROM i");
    for (; more; steps++)
        assert_int_equal(history_roll(world->history, T0 + 1441 * INT64_C(60000), &more, &failure), ERR_OK);
    assert_int_equal(steps, 2);
    assert_int_equal(database_number(world->database, "SELECT count(*) FROM rollup_hour"), 12 * SERIES);
    world_end(world);
}

/* Noise that does not pack, until it would be three times the quota. The points say how often they are read, so that memory is set
 * aside for an hour: else it would be written in many small pieces. */
#define QUOTA_BYTES 12000000
#define QUOTA_BATCHES 500 /* minutes */
#define QUOTA_READINGS 3000
static void the_oldest_gives_way_to_the_quota(void **state) {
    (void)state;
    struct world *world = world_begin();
    struct prng prng;
    struct database_failure failure;
    struct stat status;
    static uint8_t bytes[65536];
    prng_init(&prng, 4);
    world->fixture.config.store.history_bytes_max = QUOTA_BYTES;
    for (unsigned d = 0; d < FIXTURE_DEVICES; d++)
        for (unsigned p = 0; p < FIXTURE_POINTS; p++)
            world->fixture.points[d][p].every_ms = FIXTURE_DEVICES * FIXTURE_POINTS * 60000 / QUOTA_READINGS;
    file_open(world);
    int64_t newest_ms = 0, first_hour = T0 / HOUR_MS;
    for (unsigned batch = 0; batch < QUOTA_BATCHES; batch++) {
        struct bytes_writer writer;
        struct reading_order order;
        bytes_writer_init(&writer, bytes, sizeof(bytes));
        reading_order_begin(&order, T0 + batch * INT64_C(60000));
        for (unsigned i = 0; i < QUOTA_READINGS; i++) {
            struct packed_reading reading = {.series = i % SERIES, .at_ms = T0 + batch * INT64_C(60000) + i, .value = {.kind = VALUE_NUMBER}};
            reading.value.number = sqrt((double)prng_below(&prng, 1 << 20));
            newest_ms = reading.at_ms;
            entry_put_reading(&writer, &order, &reading);
        }
        assert_int_equal(history_add(world->history, T0 + batch * INT64_C(60000), bytes, writer.length, &failure), ERR_OK);
    }
    assert_int_equal(stat(world->path, &status), 0);
    assert_true(status.st_size > 3000000 && status.st_size <= QUOTA_BYTES);
    int64_t oldest = database_number(world->database, "SELECT id >> 36 FROM hour_chunk ORDER BY id LIMIT 1");
    int64_t newest = database_number(world->database, "SELECT id >> 36 FROM hour_chunk ORDER BY id DESC LIMIT 1");
    assert_true(oldest > first_hour + QUOTA_BATCHES / 600 && newest >= newest_ms / HOUR_MS - 1);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_plain_sum),
        cmocka_unit_test(a_clock_that_ran_ahead),
        cmocka_unit_test(many_rows_are_summed_in_steps),
        cmocka_unit_test(the_oldest_gives_way_to_the_quota),
    };
    return cmocka_run_group_tests_name("rollup", tests, NULL, NULL);
}
