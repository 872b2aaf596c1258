/* SPDX-License-Identifier: Apache-2.0 */
/* Events beyond their delivery: filed out of the spool, which may forget them only then; kept by kind and by days, by a clock that is
 * not always right; bounded in room; a damaged file is begun anew from what the spool still has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/io/store_archive.h"
#include "spool_world.h"

#define T0 INT64_C(1795046400000)
#define DAY_MS INT64_C(86400000)

struct world {
    struct spool_world base;
    char path[128];
    struct database *database;
    struct archive archive;
    char read[4096]; /* seqs, as archive_read gave them */
};

static void world_open(struct world *world) {
    struct database_failure failure;
    struct database *failed;
    spool_world_open(&world->base);
    assert_int_equal(database_open(world->path, DATABASE_SHARED, &world->database, &failure), ERR_OK);
    assert_int_equal(archive_create(world->database, &failure), ERR_OK);
    assert_int_equal(archive_open(world->database, world->base.spool_database, &world->base.fixture.config, &world->archive, &failed, &failure), ERR_OK);
}

static void world_close(struct world *world) {
    database_close(world->database);
    spool_world_close(&world->base);
}

static struct world *world_begin(void) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    spool_world_init(&world->base);
    fixture_path(&world->base.fixture, ARCHIVE_NAME, world->path);
    world_open(world);
    return world;
}

static void world_end(struct world *world) {
    world_close(world);
    spool_world_done(&world->base);
    free(world);
}

static void put(struct world *world, enum lane lane, enum entry_kind kind, int64_t at_ms, bool trusted, size_t size) {
    spool_world_put(&world->base, lane, kind, 1, at_ms, trusted, size);
}

static void deliver(struct world *world, enum lane lane, uint64_t low) {
    spool_world_deliver(&world->base, 0, lane, low);
}

/* Everything there is to file; in how many calls. */
static unsigned advance(struct world *world) {
    struct database_failure failure;
    struct database *failed;
    unsigned calls = 0;
    for (bool more = true; more; calls++)
        assert_int_equal(archive_advance(&world->archive, &more, &failed, &failure), ERR_OK);
    for (unsigned lane = 0; lane < LANE_READING; lane++)
        spool_archived(&world->base.spool, (enum lane)lane, world->archive.through_seq[lane]);
    assert_int_equal(spool_commit(&world->base.spool, NULL, &failure), ERR_OK);
    return calls;
}

static bool note(void *context, const struct entry *entry) {
    struct world *world = context;
    size_t length = strlen(world->read);
    if (length + 20 < sizeof(world->read))
        snprintf(world->read + length, sizeof(world->read) - length, "%s%llu", length ? " " : "", (unsigned long long)entry->seq);
    return true;
}

static const char *filed(struct world *world, int64_t from_ms, int64_t to_ms) {
    struct database_failure failure;
    struct database *visitor; /* as another program would */
    world->read[0] = '\0';
    assert_int_equal(database_open(world->path, DATABASE_VISITOR, &visitor, &failure), ERR_OK);
    assert_int_equal(archive_read(visitor, from_ms, to_ms, note, world, &failure), ERR_OK);
    database_close(visitor);
    return world->read;
}

static int64_t rows(struct world *world, const char *table) {
    return spool_world_rows(&world->base, table);
}

static void filed_and_then_forgotten(void **state) {
    (void)state;
    struct world *world = world_begin();
    put(world, LANE_EVENT, ENTRY_ALARM, T0 + 1, true, 200);
    put(world, LANE_FIRE, ENTRY_ALARM, T0 + 2, true, 200);
    put(world, LANE_EVENT, ENTRY_MAINTENANCE, T0 + 3, true, 200);
    put(world, LANE_READING, ENTRY_READINGS, T0 + 4, true, 200);
    put(world, LANE_EVENT, ENTRY_PROBLEM, T0 + 5, true, 200);
    deliver(world, LANE_FIRE, 4);
    deliver(world, LANE_EVENT, 4);
    deliver(world, LANE_READING, 4);
    assert_true(rows(world, "run_fire") == 1 && rows(world, "run_event") == 3); /* delivered, and still here */
    assert_int_equal(rows(world, "run_reading"), 0);
    assert_int_equal(advance(world), 1);
    assert_true(rows(world, "run_fire") == 0 && rows(world, "run_event") == 1); /* filed, and not delivered */
    assert_string_equal(filed(world, T0, T0 + 10), "1 2 3 5");
    assert_string_equal(filed(world, T0 + 2, T0 + 3), "2 3");
    assert_int_equal(database_number(world->database, "SELECT count(*) FROM record"), 2);
    world_close(world);
    world_open(world); /* what is in the spool is looked at once more */
    advance(world);
    put(world, LANE_FIRE, ENTRY_ALARM, T0 + 6, true, 200);
    put(world, LANE_FIRE, ENTRY_CLEARED, T0 + 7, true, 20); /* no evidence */
    advance(world);
    assert_string_equal(filed(world, T0, T0 + 10), "1 2 3 5 6");
    deliver(world, LANE_EVENT, 5);
    assert_true(rows(world, "run_fire") == 2 && rows(world, "run_event") == 0);
    world_end(world);
}

static void a_step_that_fails_is_done_later(void **state) {
    (void)state;
    struct world *world = world_begin();
    struct database_failure failure;
    struct database *failed;
    bool more;
    for (unsigned i = 0; i < 40; i++)
        put(world, LANE_EVENT, ENTRY_ALARM, T0 + i, true, 1500);
    deliver(world, LANE_EVENT, 40);
    database_run(world->database, "PRAGMA max_page_count = 1"); /* as many as there are */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(archive_advance(&world->archive, &more, &failed, &failure), ERR_FULL);
        assert_true(failed == world->database && world->archive.through_seq[LANE_EVENT] == 0);
    }
    assert_int_equal(spool_commit(&world->base.spool, NULL, &failure), ERR_OK);
    assert_int_equal(rows(world, "run_event"), 40);
    database_run(world->database, "PRAGMA max_page_count = 100000");
    advance(world);
    assert_int_equal(rows(world, "run_event"), 0);
    assert_int_equal(database_number(world->database, "SELECT count(*) FROM event"), 40);
    world_end(world);
}

static void many_in_steps(void **state) {
    (void)state;
    struct world *world = world_begin();
    for (unsigned i = 0; i < 1200; i++)
        put(world, i % 3 ? LANE_EVENT : LANE_FIRE, ENTRY_ALARM, T0 + i, true, 50);
    assert_int_equal(advance(world), 3);
    assert_int_equal(database_number(world->database, "SELECT count(DISTINCT seq) FROM event"), 1200);
    assert_int_equal(database_number(world->database, "SELECT count(*) FROM event"), 1200);
    world_end(world);
}

static void expire(struct world *world, int64_t wall_ms, unsigned calls) {
    struct database_failure failure;
    for (unsigned i = 0; i < calls; i++)
        assert_int_equal(archive_expire(&world->archive, wall_ms, &failure), ERR_OK);
}

static void kept_by_kind_and_day(void **state) {
    (void)state;
    struct world *world = world_begin();
    for (int day = 0; day < 4; day++) {
        put(world, LANE_EVENT, ENTRY_COMMAND, T0 + day * DAY_MS, true, 100);
        put(world, LANE_EVENT, day % 2 ? ENTRY_WALK_TEST : ENTRY_PROBLEM, T0 + day * DAY_MS, true, 100);
    }
    advance(world);
    expire(world, T0 + 365 * DAY_MS, 10);
    assert_string_equal(filed(world, 0, INT64_MAX), "1 2 3 4 5 6 7 8");
    expire(world, T0 + 3650 * DAY_MS, 1); /* a clock that is wrong: one day of each */
    assert_string_equal(filed(world, 0, INT64_MAX), "3 4 5 6 7 8");
    expire(world, T0 + 367 * DAY_MS + 1, 10);
    assert_string_equal(filed(world, 0, INT64_MAX), "4 6 7 8");
    expire(world, T0 + 1097 * DAY_MS + 1, 10);
    assert_string_equal(filed(world, 0, INT64_MAX), "8");
    world_end(world);
}

/* A Pi starts in 1970, or at the time of its last end; and is not to lose what happened then. */
static void without_a_clock(void **state) {
    (void)state;
    struct world *world = world_begin();
    put(world, LANE_EVENT, ENTRY_SYSTEM, 5000, false, 100);
    put(world, LANE_EVENT, ENTRY_MAINTENANCE, 6000, false, 100);
    advance(world);
    expire(world, T0, 3);
    put(world, LANE_EVENT, ENTRY_CLOCK, T0, true, 100);
    put(world, LANE_EVENT, ENTRY_ALARM, T0 - 400 * DAY_MS, false, 100); /* started again, in the past */
    advance(world);
    expire(world, T0 + DAY_MS, 3);
    assert_string_equal(filed(world, T0, T0), "1 2 3 4");
    world_close(world);
    world_open(world);
    put(world, LANE_EVENT, ENTRY_ALARM, 7000, false, 100); /* and known after a restart */
    advance(world);
    assert_string_equal(filed(world, T0, T0), "1 2 3 4 5");
    world_end(world);
}

static void room_by_the_oldest_events(void **state) {
    (void)state;
    struct world *world = world_begin();
    world->archive.pages_max = 1500; /* of 1024 bytes; a step is given 512 of them */
    put(world, LANE_EVENT, ENTRY_MAINTENANCE, T0, true, 700);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 200; i++)
            put(world, LANE_EVENT, ENTRY_ALARM, T0 + 1000 * round + i, true, 700);
        advance(world);
    }
    assert_true(database_number(world->database, "PRAGMA page_count") <= 1500);
    int64_t events = database_number(world->database, "SELECT count(*) FROM event");
    assert_true(events > 500 && events < 1500);
    assert_true(database_number(world->database, "SELECT max(seq) FROM event") == 2001);
    assert_true(database_number(world->database, "SELECT min(seq) FROM event") == 2002 - events); /* the newest, without a hole */
    assert_int_equal(database_number(world->database, "SELECT count(*) FROM record"), 1);
    world_end(world);
}

static void a_damaged_archive_is_begun_anew(void **state) {
    (void)state;
    struct store_fixture f;
    char path[128];
    fixture_init(&f);
    fixture_open(&f);
    fixture_submit(&f, LANE_EVENT, 1, 3, 1, 200);
    fixture_close(&f);
    fixture_path(&f, ARCHIVE_NAME, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (unsigned i = 0; i < 1000; i++)
        fputs("garbage ", file);
    fclose(file);
    f.lines[0] = '\0';
    fixture_open(&f);
    assert_true(f.image.quarantined);
    assert_true(fixture_told(&f, "events.db is damaged") && fixture_told(&f, "put aside"));
    assert_string_equal(fixture_query(&f, 0, LANE_EVENT, 0, 3), "1 2 3"); /* the spool is not touched by it */
    fixture_close(&f);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filed_and_then_forgotten), cmocka_unit_test(a_step_that_fails_is_done_later),
        cmocka_unit_test(many_in_steps),            cmocka_unit_test(kept_by_kind_and_day),
        cmocka_unit_test(without_a_clock),          cmocka_unit_test(room_by_the_oldest_events),
        cmocka_unit_test(a_damaged_archive_is_begun_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
