/* SPDX-License-Identifier: Apache-2.0 */
/* A history of version 4, written by the program of that time: 62 readings of three series, 90 s apart. An hour of them stands in `hour`, then come
 * chunks of 5 minutes, and the last two stand in the tail. What was there can be read, is packed anew, and is summed with what comes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cut_disk.h"
#include "gateway/io/store_history.h"
#include "gateway/io/store_rollup.h"
#include "store_fixture.h"

#define T0 INT64_C(1795392000000)
#define EVERY_MS 90000
#define OLD_COUNT 62
#define SERIES 3

static const char schema_sql[] =
    "CREATE TABLE chunk(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE TABLE tail(id INTEGER PRIMARY KEY, slot INTEGER NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE TABLE tail_block(id INTEGER PRIMARY KEY, body BLOB NOT NULL);"
    "CREATE TABLE rollup_10min(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, valid INTEGER NOT NULL, least REAL, mean REAL, most REAL);"
    "CREATE TABLE rollup_hour(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, valid INTEGER NOT NULL, least REAL, mean REAL, most REAL);"
    "CREATE TABLE rolled(level INTEGER PRIMARY KEY, next INTEGER NOT NULL);"
    "CREATE TABLE hour(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body BLOB NOT NULL); PRAGMA user_version = 4";

static const char rows_sql[] =
    "INSERT INTO chunk VALUES(6275362455552,4,x'040F01050030C1FC150501E20300020002'),"
    "(6275362455553,4,x'040F1D300AA5FC1502A21A00A60100AA01'),(6275362455554,4,x'040E39040673746570203588FC150000'),"
    "(6275363504128,3,x'030D81D30E0501E803C0A907020002'),(6275363504129,3,x'030E9DD30E02A01EA4A907B20100B601'),"
    "(6275363504130,3,x'030FB9D30E040673746570203588A90700'),(6275364552704,3,x'030DC1A9070501EE0380D30E020002'),"
    "(6275364552705,3,x'030EDDA90702C222E4D20EBE0101300A'),(6275364552706,3,x'0317F9A9070406737465702035C9D20E040673746570203600'),"
    "(6275365601280,4,x'040F01050032C1FC150501F60300020002'),(6275365601281,4,x'040F1D028827A4FC15CA0100CE0100D201'),"
    "(6275365601282,4,x'040E39040673746570203688FC150000'),(6275366649856,3,x'030D81D30E0501FC03C0A907020002'),"
    "(6275366649857,3,x'030E9DD30E02C82DA4A907DA0100DE01'),(6275366649858,3,x'0317B9D30E040673746570203688A907010406737465702037'),"
    "(6275367698432,3,x'030DC1A9070501820480D30E020002'),(6275367698433,3,x'030FDDA90702E232E5D20E300A0102B236'),"
    "(6275367698434,3,x'030FF9A9070406737465702037C8D20E00');"
    "INSERT INTO hour VALUES(4183566581760,40,x'285701050028C1FC1505019203000200020002000200020002000200020002000200020002000200020"
    "00"
    "200020002000200020002000200020002000200020002000200020002000200020002000200020002000200020002'),(4183566581768,40,x'28651D0200"
    "A4"
    "FC15020006000A01300A0102320016001A001E00220026002A002E01300A01028803003A003E00420046004A004E005201300A0102A208005E00620066006A"
    "006E0072007601300A01028010008201008601008A01008E01009201009601009A01'),"
    "(4183566581776,40,x'285239040673746570203088FC15000000000000010406737465702031000000000000000104067374657020320000000000000001"
    "04067374657020330000000000000001040673746570203400000000000000');"
    "INSERT INTO tail_block VALUES(0,x'120000000000000092515B00000000001380D7B1E0C06800000534010E02A038021C040673746570203714A0D5BC"
    "E0"
    "C0680000068A04010E02923A021C040673746570203700');"
    "INSERT INTO rolled VALUES(0,2992329),(1,498721),(2,20780);"
    "INSERT INTO rollup_10min VALUES(3137674936320,7,7,20.0,20.3,20.6),(3137674936321,7,6,0.0,12.5,36.0),"
    "(3137674936322,7,0,NULL,NULL,NULL),(3137675984896,7,7,20.7,21.0,21.3),(3137675984897,7,6,49.0,93.16666666666667,144.0),"
    "(3137675984898,7,0,NULL,NULL,NULL),(3137677033472,6,6,21.4,21.650000000000002,21.9),"
    "(3137677033473,6,6,196.0,275.1666666666667,361.0),(3137677033474,6,0,NULL,NULL,NULL),(3137678082048,7,7,22.0,22.3,22.6),"
    "(3137678082049,7,6,400.0,541.1666666666666,676.0),(3137678082050,7,0,NULL,NULL,NULL),(3137679130624,7,7,22.7,23.0,23.3),"
    "(3137679130625,7,6,729.0,894.5,1089.0),(3137679130626,7,0,NULL,NULL,NULL),(3137680179200,6,6,23.4,23.650000000000002,23.9),"
    "(3137680179201,6,6,1156.0,1335.1666666666667,1521.0),(3137680179202,6,0,NULL,NULL,NULL),(3137681227776,7,7,24.0,24.3,24.6),"
    "(3137681227777,7,6,1681.0,1895.1666666666667,2116.0),(3137681227778,7,0,NULL,NULL,NULL),(3137682276352,7,7,24.7,25.0,25.3),"
    "(3137682276353,7,6,2209.0,2521.1666666666665,2809.0),(3137682276354,7,0,NULL,NULL,NULL),"
    "(3137683324928,6,6,25.4,25.650000000000002,25.9),(3137683324929,6,5,2916.0,3161.4,3481.0),(3137683324930,6,0,NULL,NULL,NULL);"
    "INSERT INTO rollup_hour VALUES(522945822720,40,40,20.0,21.95,23.9),(522945822721,40,36,0.0,525.2777777777778,1521.0),"
    "(522945822722,40,0,NULL,NULL,NULL);";

struct world {
    struct store_fixture fixture;
    char path[128];
    struct arena arena;
    struct database *database;
    struct history *history;
    unsigned count; /* readings of each series */
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

static void world_begin(struct world *world, const char *more_sql) {
    struct database_failure failure;
    *world = (struct world){.count = OLD_COUNT};
    fixture_init(&world->fixture);
    fixture_path(&world->fixture, "history.db", world->path);
    assert_int_equal(database_open(world->path, DATABASE_NORMAL, &world->database, &failure), ERR_OK);
    database_run(world->database, schema_sql);
    database_run(world->database, rows_sql);
    database_run(world->database, more_sql);
    assert_int_equal(database_clear(world->database, &failure), ERR_OK);
    database_close(world->database);
}

static void world_end(struct world *world) {
    file_close(world);
    fixture_done(&world->fixture);
}

/* As the program of that time was given it. */
static struct packed_reading reading_of(uint32_t series, int64_t i) {
    struct packed_reading reading = {.series = series, .at_ms = T0 + i * EVERY_MS + series * 7};
    if (series == 0)
        reading.value = (struct value){.kind = VALUE_NUMBER, .number = 20 + (double)i / 10};
    if (series == 1)
        reading.value = (struct value){.kind = VALUE_INTEGER, .integer = i * i};
    if (series == 2) {
        reading.value = (struct value){.kind = VALUE_TEXT};
        snprintf(reading.value.text, sizeof(reading.value.text), "step %d", (int)i / 8);
    }
    if (series == 1 && i % 9 == 4) {
        reading.quality = QUALITY_BAD;
        reading.reason = REASON_NO_RESULT;
        reading.value = (struct value){.kind = VALUE_NONE};
    }
    return reading;
}

struct looking {
    uint32_t series;
    int64_t next;
};

static bool in_order(void *context, const struct packed_reading *reading) {
    struct looking *looking = context;
    struct packed_reading expected = reading_of(looking->series, looking->next++);
    assert_true(reading->at_ms == expected.at_ms && reading->quality == expected.quality && reading->reason == expected.reason);
    assert_int_equal(reading->value.kind, expected.value.kind);
    if (expected.value.kind == VALUE_TEXT)
        assert_string_equal(reading->value.text, expected.value.text);
    else if (expected.value.kind != VALUE_NONE)
        assert_memory_equal(&reading->value.integer, &expected.value.integer, 8);
    return true;
}

static void all_can_be_read(struct world *world) {
    struct database_failure failure;
    for (uint32_t series = 0; series < SERIES; series++) {
        struct looking looking = {.series = series};
        assert_int_equal(history_read(world->database, series, 0, T0 * 2, in_order, &looking, &failure), ERR_OK);
        assert_int_equal(looking.next, world->count);
    }
}

static bool sum_compare(void *context, const struct rollup_row *row) {
    struct looking *looking = context;
    int64_t width_ms = looking->next;
    struct rollup_row sum = {.count = 0};
    for (int64_t i = 0; i < 3 * OLD_COUNT; i++) {
        struct packed_reading reading = reading_of(looking->series, i);
        if (reading.at_ms < row->from_ms || reading.at_ms >= row->from_ms + width_ms)
            continue;
        sum.count++;
        if (reading.value.kind != VALUE_NUMBER && reading.value.kind != VALUE_INTEGER)
            continue;
        sum.valid++;
        sum.mean += looking->series ? (double)reading.value.integer : reading.value.number;
    }
    assert_true(row->count == sum.count && row->valid == sum.valid);
    assert_true(fabs(row->mean - (sum.valid ? sum.mean / (double)sum.valid : 0)) < 1e-6);
    return true;
}

static void all_is_summed(struct world *world, int64_t windows, int64_t hours) {
    struct database_failure failure;
    assert_int_equal(database_number(world->database, "SELECT count(*) FROM rollup_10min"), SERIES * windows);
    assert_int_equal(database_number(world->database, "SELECT count(*) FROM rollup_hour"), SERIES * hours);
    for (uint32_t series = 0; series < SERIES; series++) {
        struct looking looking = {.series = series, .next = 600000};
        assert_int_equal(rollup_read(world->database, ROLLUP_10MIN, 0, series, T0, T0 * 2, sum_compare, &looking, &failure), ERR_OK);
        looking.next = HOUR_MS;
        assert_int_equal(rollup_read(world->database, ROLLUP_HOUR, 0, series, T0, T0 * 2, sum_compare, &looking, &failure), ERR_OK);
    }
}

static void goes_on(void **state) {
    (void)state;
    struct world world;
    struct database_failure failure;
    world_begin(&world, "");
    for (unsigned i = 0; i < 2; i++) { /* packed anew once */
        file_open(&world);
        all_can_be_read(&world);
        assert_int_equal(database_number(world.database, "SELECT count(*) FROM sqlite_schema WHERE name IN ('chunk', 'tail', 'tail_block', 'rolled')"), 0);
        assert_int_equal(database_number(world.database, "SELECT count(DISTINCT id >> 36) FROM hour_chunk"), 1);
        assert_int_equal(database_number(world.database, "SELECT count(*) FROM hour"), SERIES);
        assert_int_equal(database_number(world.database, "PRAGMA user_version"), HISTORY_VERSION);
        if (!i)
            file_close(&world);
    }
    for (bool more = true; world.count < 2 * OLD_COUNT; more = true) {
        uint8_t bytes[256];
        struct bytes_writer writer;
        int64_t at_ms = T0 + (int64_t)world.count * EVERY_MS;
        bytes_writer_init(&writer, bytes, sizeof(bytes));
        struct reading_order order;
        reading_order_begin(&order, at_ms);
        for (uint32_t series = 0; series < SERIES; series++) {
            struct packed_reading reading = reading_of(series, world.count);
            entry_put_reading(&writer, &order, &reading);
        }
        assert_int_equal(history_add(world.history, at_ms, bytes, writer.length, &failure), ERR_OK);
        world.count++;
        while (more)
            assert_int_equal(history_roll(world.history, at_ms, &more, &failure), ERR_OK);
    }
    all_can_be_read(&world);
    all_is_summed(&world, 18, 3);
    world_end(&world);
}

/* As it was up to version 2: the tail is a row a batch. */
static void rows_of_the_tail(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, "DROP TABLE tail_block; DROP TABLE rolled; PRAGMA user_version = 2;"
                        "INSERT INTO tail VALUES(1, 5984658, 1795397400000, x'00000534010E02A038021C0406737465702037'),"
                        "(2, 5984658, 1795397490000, x'0000068A04010E02923A021C0406737465702037')");
    file_open(&world);
    all_can_be_read(&world);
    world_end(&world);
}

/* Rows that nobody wrote do not hold up the start. */
static void ids_that_cannot_be(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, "INSERT INTO chunk VALUES(9223372036854775807, 1, x'0102'), (9223372036854775, 1, x'0102'), (-7, 1, x'0102')");
    file_open(&world);
    all_can_be_read(&world);
    world_end(&world);
}

/* Wherever the power goes while it is packed anew: each reading is there, once. */
static void the_power_goes(void **state) {
    (void)state;
    struct prng prng;
    unsigned cuts = 0;
    prng_init(&prng, 4);
    for (unsigned writes = 0; writes < 60; writes++) {
        struct world world;
        struct database_failure failure;
        world_begin(&world, "PRAGMA wal_checkpoint(TRUNCATE)");
        cut_writing(writes);
        arena_init(&world.arena);
        if (database_open(world.path, DATABASE_NORMAL, &world.database, &failure) == ERR_OK) {
            if (history_create(world.database, &failure) != ERR_OK ||
                history_open(world.database, SERIES, &world.fixture.config, &world.arena, &world.history, &failure) != ERR_OK)
                assert_true(cut_happened());
            database_close(world.database);
        }
        arena_done(&world.arena);
        cuts += cut_happened();
        cut_apply(&prng);
        assert_string_equal(cut_integrity(world.path), "ok");
        file_open(&world);
        all_can_be_read(&world);
        world_end(&world);
    }
    assert_true(cuts > 5 && cuts < 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on),
        cmocka_unit_test(rows_of_the_tail),
        cmocka_unit_test(ids_that_cannot_be),
        cmocka_unit_test(the_power_goes),
    };
    cut_install();
    return cmocka_run_group_tests_name("history old", tests, NULL, NULL);
}
