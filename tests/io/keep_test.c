/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for an uplink that does not take it has limits of its own, in time and bytes, and costs another uplink nothing. What goes is
 * counted for that uplink, to the entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spool_world.h"

#define T0 INT64_C(1795046400000)
#define HOUR_MS INT64_C(3600000)

enum { CITY, OWNER };

static struct spool_world *world_begin(void) {
    struct spool_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    spool_world_init(world);
    world->fixture.uplinks[OWNER].name = "owner";
    world->fixture.config.uplinks_count = 2;
    return world;
}

static void world_end(struct spool_world *world) {
    spool_world_close(world);
    spool_world_done(world);
    free(world);
}

/* Ten readings, an hour apart, for both; returns the run's size. */
static size_t put_hours(struct spool_world *world, enum lane lane) {
    for (int64_t i = 0; i < 10; i++)
        spool_world_put(world, lane, lane == LANE_READING ? ENTRY_READINGS : ENTRY_ALARM, 3, T0 + i * HOUR_MS, true, 500);
    return ENTRY_HEADER_SIZE + 500;
}

static void give_up(struct spool_world *world, int64_t wall_ms) {
    struct database_failure failure;
    assert_int_equal(spool_give_up(&world->spool, wall_ms, &failure), ERR_OK);
}

/* "uplink lane from-to count", of everything that is not told yet. */
static const char *told(struct spool_world *world) {
    static char text[256];
    struct missed evicted;
    struct database_failure failure;
    uint16_t uplink;
    enum lane lane;
    text[0] = '\0';
    while (spool_take_evicted(&world->spool, &uplink, &lane, &evicted)) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof(text) - length, "%s%s %s %llu-%llu %llu", length ? ", " : "", world->fixture.uplinks[uplink].name, lane_name(lane),
                 (unsigned long long)evicted.from, (unsigned long long)evicted.to, (unsigned long long)evicted.count);
    }
    assert_int_equal(spool_commit(&world->spool, NULL, &failure), ERR_OK); /* forgotten */
    return text;
}

/* How many entries a backlog query of the uplink finds. */
static unsigned found(struct spool_world *world, uint16_t uplink, enum lane lane) {
    static uint8_t bytes[QUERY_ROWS_SIZE];
    const struct query query = {.uplink = uplink, .lane = lane, .after_seq = 0, .through_seq = 1000};
    const struct cursor nothing = {.low = 0};
    struct database_failure failure;
    struct rows_reader reader;
    struct entry entry;
    uint64_t through_seq;
    size_t size, step;
    unsigned count = 0;
    assert_int_equal(rows_open(world->spool_path, &reader, &failure), ERR_OK);
    assert_int_equal(rows_read(&reader, &query, (uint16_t)(1u << world->spool.numbers[uplink]), &nothing, bytes, &size, &through_seq, &failure), ERR_OK);
    for (size_t at = 0; at < size && entry_open(bytes + at, size - at, &entry, &step); at += step)
        count++;
    database_close(reader.database);
    return count;
}

static void too_old_for_one(void **state) {
    (void)state;
    struct spool_world *world = world_begin();
    world->fixture.uplinks[CITY].keep.readings_ms = 3 * HOUR_MS;
    spool_world_open(world);
    put_hours(world, LANE_READING);
    give_up(world, T0 + 3 * HOUR_MS);
    assert_string_equal(told(world), "");
    give_up(world, 0); /* nobody knows what time it is */
    assert_string_equal(told(world), "");
    give_up(world, T0 + 9 * HOUR_MS);
    assert_true(found(world, CITY, LANE_READING) == 4 && found(world, OWNER, LANE_READING) == 10);
    assert_string_equal(told(world), "city reading 1-6 6");
    give_up(world, T0 + 9 * HOUR_MS);
    assert_string_equal(told(world), ""); /* once */
    spool_world_deliver(world, OWNER, LANE_READING, 8);
    assert_int_equal(spool_world_rows(world, "run_reading"), 4); /* city's, of which owner lacks two */
    give_up(world, T0 + 100 * HOUR_MS);
    assert_string_equal(told(world), "city reading 7-10 4");
    assert_true(found(world, CITY, LANE_READING) == 0 && found(world, OWNER, LANE_READING) == 2);
    assert_int_equal(spool_world_rows(world, "run_reading"), 2);
    world_end(world);
}

static void too_much_for_one(void **state) {
    (void)state;
    struct spool_world *world = world_begin();
    world->fixture.uplinks[CITY].keep.events_bytes = 1600; /* three of 533 */
    spool_world_open(world);
    assert_int_equal(put_hours(world, LANE_EVENT), 533);
    put_hours(world, LANE_READING); /* another lane: as much as it likes */
    give_up(world, T0);
    assert_true(found(world, CITY, LANE_EVENT) == 4 && found(world, OWNER, LANE_EVENT) == 10); /* three, and the one that reaches over */
    assert_true(found(world, CITY, LANE_READING) == 10);
    assert_string_equal(told(world), "city event 1-6 6");
    assert_int_equal(spool_world_rows(world, "run_event"), 10); /* nobody has filed them yet */
    spool_world_deliver(world, OWNER, LANE_EVENT, 10);
    spool_archived(&world->spool, LANE_EVENT, 10);
    assert_string_equal(told(world), "");
    assert_int_equal(spool_world_rows(world, "run_event"), 4);
    world_end(world);
}

/* What it has is no loss; an uplink that takes everything is never told anything. */
static void only_what_it_has_not_got(void **state) {
    (void)state;
    struct spool_world *world = world_begin();
    world->fixture.uplinks[CITY].keep.readings_ms = world->fixture.uplinks[OWNER].keep.readings_ms = HOUR_MS;
    spool_world_open(world);
    put_hours(world, LANE_READING);
    world->spool.cursors[CITY][LANE_READING] = (struct cursor){.low = 2, .ranges_count = 1, .ranges = {{5, 6}}};
    world->spool.dirty[CITY][LANE_READING] = true;
    spool_world_deliver(world, OWNER, LANE_READING, 10);
    give_up(world, T0 + 100 * HOUR_MS);
    assert_string_equal(told(world), "city reading 3-10 6");
    assert_int_equal(spool_world_rows(world, "run_reading"), 0);
    world_end(world);
}

/* An entry whose time nobody trusted goes by its place: as long as an older one before it stays, so does it. */
static void without_a_clock(void **state) {
    (void)state;
    struct spool_world *world = world_begin();
    world->fixture.uplinks[CITY].keep.readings_ms = HOUR_MS;
    spool_world_open(world);
    spool_world_put(world, LANE_READING, ENTRY_READINGS, 1, 5000, false, 100);
    spool_world_put(world, LANE_READING, ENTRY_READINGS, 1, T0, true, 100);
    give_up(world, T0 + 100 * HOUR_MS);
    assert_string_equal(told(world), "");
    spool_world_deliver(world, CITY, LANE_READING, 1);
    give_up(world, T0 + 100 * HOUR_MS);
    assert_string_equal(told(world), "city reading 2-2 1");
    world_end(world);
}

static void known_after_a_restart(void **state) {
    (void)state;
    struct spool_world *world = world_begin();
    world->fixture.uplinks[CITY].keep.readings_ms = 3 * HOUR_MS;
    spool_world_open(world);
    put_hours(world, LANE_READING);
    give_up(world, T0 + 5 * HOUR_MS);
    spool_world_close(world);
    spool_world_open(world);
    give_up(world, T0 + 6 * HOUR_MS);
    assert_string_equal(told(world), "city reading 1-3 3"); /* two of before, and one more */
    spool_world_close(world);
    spool_world_open(world);
    assert_string_equal(told(world), "");
    assert_true(found(world, CITY, LANE_READING) == 7 && found(world, OWNER, LANE_READING) == 10);
    world_end(world);
}

/* The room of all is used up: each uplink is told what it missed. */
static void room_of_all(void **state) {
    (void)state;
    struct spool_world *world = world_begin();
    world->fixture.config.store.spool_bytes_max = 1 << 20;
    spool_world_open(world);
    for (unsigned i = 0; i < 900; i++)
        spool_world_put(world, LANE_READING, ENTRY_READINGS, 3, T0, true, 1900);
    spool_world_deliver(world, OWNER, LANE_READING, 890);
    (void)told(world);
    for (unsigned i = 0; i < 50; i++)
        spool_world_put(world, LANE_READING, ENTRY_READINGS, 3, T0, true, 1900);
    const char *text = told(world);
    assert_non_null(strstr(text, "city reading "));
    assert_null(strstr(text, "owner"));
    world_end(world);
}

/* A file of before: its runs have no sizes, and stay longer than they must; its gap was everybody's. */
static void a_file_of_version_1(void **state) {
    (void)state;
    struct spool_world *world = world_begin();
    struct database_failure failure;
    spool_world_open(world);
    put_hours(world, LANE_READING);
    database_run(world->spool_database,
                 "DROP TABLE gap; CREATE TABLE gap(lane INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, n INTEGER NOT NULL);"
                 "INSERT INTO gap VALUES(2, 1, 4, 3); ALTER TABLE run_fire DROP COLUMN upto; ALTER TABLE run_event DROP COLUMN upto;"
                 "ALTER TABLE run_reading DROP COLUMN upto; PRAGMA user_version = 1");
    assert_int_equal(database_clear(world->spool_database, &failure), ERR_OK);
    spool_world_close(world);
    world->fixture.uplinks[CITY].keep.readings_bytes = 1600;
    spool_world_open(world);
    assert_int_equal(database_number(world->spool_database, "PRAGMA user_version"), SPOOL_VERSION);
    assert_string_equal(told(world), "owner reading 1-4 3, city reading 1-4 3");
    for (unsigned i = 0; i < 3; i++)
        spool_world_put(world, LANE_READING, ENTRY_READINGS, 3, T0, true, 500);
    give_up(world, T0);
    assert_string_equal(told(world), "");
    spool_world_put(world, LANE_READING, ENTRY_READINGS, 3, T0, true, 500);
    give_up(world, T0);
    assert_string_equal(told(world), "city reading 1-10 10");
    assert_true(found(world, CITY, LANE_READING) == 4 && found(world, OWNER, LANE_READING) == 14);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_old_for_one), cmocka_unit_test(too_much_for_one),      cmocka_unit_test(only_what_it_has_not_got),
        cmocka_unit_test(without_a_clock), cmocka_unit_test(known_after_a_restart), cmocka_unit_test(room_of_all),
        cmocka_unit_test(a_file_of_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
