/* SPDX-License-Identifier: Apache-2.0 */
/* History: the packing of a series against random readings and random damage, and the file over hours, restarts, late
 * readings, rollups and full memory, compared with a plain list of what was put in. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "gateway/io/store_history.h"
#include "gateway/io/store_tail.h"
#include "gateway/io/store_spool.h"
#include "store_fixture.h"

#define T0 INT64_C(1795392000000) /* start of an hour */

static struct packed_reading reading_random(struct prng *prng, int64_t at_ms) {
    struct packed_reading reading = {.series = 7, .at_ms = at_ms, .quality = QUALITY_GOOD};
    uint64_t bits = prng_next(prng);
    switch (prng_below(prng, 12)) {
    case 0:
        reading.quality = QUALITY_BAD;
        reading.reason = (uint8_t)prng_below(prng, 8);
        break;
    case 1:
        reading.value.kind = VALUE_INTEGER;
        reading.value.integer = (int64_t)(bits >> prng_below(prng, 64)) * (bits & 1 ? 1 : -1);
        break;
    case 2:
        reading.value.kind = VALUE_UNSIGNED;
        reading.value.whole = bits;
        break;
    case 3:
        reading.value.kind = VALUE_TEXT;
        memcpy(reading.value.text, "SDM630-MCT-V2-0123456789abcdefgh", prng_below(prng, VALUE_TEXT_SIZE));
        break;
    case 4:
        reading.value.kind = VALUE_NUMBER;
        memcpy(&reading.value.number, &bits, 8);
        break;
    case 5:
        reading.value.kind = VALUE_NUMBER;
        reading.value.number = (double)((float)prng_below(prng, 1000000) / 997);
        reading.quality = QUALITY_UNCERTAIN;
        reading.reason = REASON_OUT_OF_RANGE;
        break;
    case 6:
        reading.value.kind = VALUE_NUMBER;
        reading.value.number = -0.0;
        break;
    default:
        reading.value.kind = VALUE_NUMBER;
        reading.value.number = (double)prng_below(prng, 30000) / 100;
    }
    return reading;
}

static void assert_reading(const struct packed_reading *a, const struct packed_reading *b) {
    assert_true(a->series == b->series && a->at_ms == b->at_ms);
    assert_int_equal(a->quality, b->quality);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->value.kind, b->value.kind);
    switch (a->value.kind) {
    case VALUE_NONE:
        break;
    case VALUE_TEXT:
        assert_string_equal(a->value.text, b->value.text);
        break;
    default:
        assert_memory_equal(&a->value.integer, &b->value.integer, 8); /* to the bit: -0 and NaN too */
    }
}

#define CHUNK_READINGS 300

/* Segments of random length into one body, as older files have them. */
static size_t chunk_build(struct prng *prng, const struct packed_reading *readings, unsigned count, uint8_t *body, size_t size) {
    struct bytes_writer whole;
    bytes_writer_init(&whole, body, size);
    for (unsigned at = 0; at < count;) {
        static uint8_t items[CHUNK_READINGS * CHUNK_ITEM_SIZE];
        struct bytes_writer writer;
        struct chunk_state state = {.begun = false};
        unsigned n = 1 + (unsigned)prng_below(prng, count - at);
        bytes_writer_init(&writer, items, sizeof(items));
        for (unsigned i = 0; i < n; i++)
            chunk_put(&writer, &state, chunk_hour(T0), &readings[at + i]);
        assert_false(writer.full);
        chunk_put_head(&whole, n, (uint32_t)writer.length);
        bytes_put_raw(&whole, items, writer.length);
        at += n;
    }
    assert_false(whole.full);
    return whole.length;
}

static void chunks_round_trip(void **state) {
    (void)state;
    static uint8_t body[CHUNK_READINGS * (CHUNK_ITEM_SIZE + 20)];
    struct prng prng;
    prng_init(&prng, 5);
    for (unsigned round = 0; round < 500; round++) {
        struct packed_reading readings[CHUNK_READINGS], back;
        unsigned count = 1 + (unsigned)prng_below(&prng, CHUNK_READINGS);
        for (unsigned i = 0; i < count; i++) /* times jump about: late readings are not sorted */
            readings[i] = reading_random(&prng, T0 + (int64_t)(round % 2 ? prng_below(&prng, HOUR_MS) : i * 997));
        struct chunk_reader reader;
        chunk_reader_init(&reader, 7, T0, HOUR_MS, body, chunk_build(&prng, readings, count, body, sizeof(body)));
        for (unsigned i = 0; i < count; i++) {
            assert_true(chunk_get(&reader, &back));
            assert_reading(&readings[i], &back);
        }
        assert_false(chunk_get(&reader, &back));
        assert_false(reader.bytes.failed);
    }
}

static void damaged_chunks_end(void **state) {
    (void)state;
    static uint8_t body[CHUNK_READINGS * (CHUNK_ITEM_SIZE + 20)];
    struct prng prng;
    prng_init(&prng, 6);
    for (unsigned round = 0; round < 5000; round++) {
        struct packed_reading readings[40], back;
        for (unsigned i = 0; i < 40; i++)
            readings[i] = reading_random(&prng, T0 + i * 1000);
        size_t size = chunk_build(&prng, readings, 40, body, sizeof(body));
        if (round % 3 == 0)
            size = prng_below(&prng, size);
        else
            for (unsigned i = 0; i <= round % 5; i++)
                body[prng_below(&prng, size)] = (uint8_t)prng_next(&prng);
        uint8_t *exact = malloc(size ? size : 1); /* a byte too far is found */
        memcpy(exact, body, size);
        struct chunk_reader reader;
        unsigned count = 0;
        chunk_reader_init(&reader, 7, T0, HOUR_MS, exact, size);
        for (; chunk_get(&reader, &back); count++) {
            assert_true(chunk_hour(back.at_ms) == chunk_hour(T0));
            assert_true(count < size);
        }
        free(exact);
    }
}

static size_t packed_size(double first, double step, unsigned digits, bool single) {
    static uint8_t items[CHUNK_READINGS * CHUNK_ITEM_SIZE];
    struct bytes_writer writer;
    struct chunk_state state = {.begun = false};
    bytes_writer_init(&writer, items, sizeof(items));
    for (unsigned i = 0; i < CHUNK_READINGS; i++) {
        char text[32];
        snprintf(text, sizeof(text), "%.*f", (int)digits, first + step * (i % 7));
        struct packed_reading reading = {.at_ms = T0 + i * 1000 + i % 3, .value = {.kind = VALUE_NUMBER, .number = strtod(text, NULL)}};
        if (single)
            reading.value.number = (double)(float)reading.value.number;
        chunk_put(&writer, &state, chunk_hour(T0), &reading);
    }
    return writer.length;
}

static void sensors_numbers_pack_small(void **state) {
    (void)state;
    assert_true(packed_size(230.4, 0.1, 1, false) <= CHUNK_READINGS * 2 + 8);
    assert_true(packed_size(230.4, 0.1, 1, true) <= CHUNK_READINGS * 2 + 8); /* a float register says 230.39999 */
    assert_true(packed_size(0.0312, 0.013, 4, true) <= CHUNK_READINGS * 3 + 8);
    assert_true(packed_size(12345.678, 1.001, 3, false) <= CHUNK_READINGS * 3 + 8);
}

/* ---- the file ---- */

#define LIST_MAX 200000

struct list {
    struct packed_reading *items;
    unsigned count, next, found;
    int64_t from_ms, to_ms;
    uint32_t series;
    bool *seen;
};

static bool list_match(void *context, const struct packed_reading *reading) {
    struct list *list = context;
    for (unsigned i = 0; i < list->count; i++) { /* from where the last was found: the order is nearly the same */
        unsigned at = (list->next + i) % list->count;
        const struct packed_reading *item = &list->items[at];
        if (list->seen[at] || item->series != reading->series || item->at_ms != reading->at_ms || item->value.kind != reading->value.kind)
            continue;
        assert_reading(item, reading);
        list->seen[at] = true;
        list->next = at + 1;
        list->found++;
        return true;
    }
    fail_msg("a reading that was never put in");
    return false;
}

static void list_compare(struct list *list, struct database *database, uint32_t series, int64_t from_ms, int64_t to_ms) {
    struct database_failure failure;
    unsigned expected = 0;
    for (unsigned i = 0; i < list->count; i++)
        expected += list->items[i].series == series && list->items[i].at_ms >= from_ms && list->items[i].at_ms <= to_ms;
    list->found = list->next = 0;
    memset(list->seen, 0, list->count);
    assert_int_equal(history_read(database, series, from_ms, to_ms, list_match, list, &failure), ERR_OK);
    assert_int_equal(list->found, expected);
}

struct file {
    struct store_fixture fixture; /* for its folder */
    char path[128];
    struct arena arena;
    struct database *database;
    struct history *history;
    struct config_device device; /* read so often that as much memory is set aside as ever */
    struct point point;
};

static void file_open(struct file *file) {
    struct database_failure failure;
    arena_init(&file->arena);
    assert_int_equal(database_open(file->path, DATABASE_NORMAL, &file->database, &failure), ERR_OK);
    assert_int_equal(history_create(file->database, &failure), ERR_OK);
    file->point.every_ms = 1;
    file->device.spec.points = &file->point;
    file->device.spec.points_count = 1;
    file->fixture.config.devices = &file->device;
    file->fixture.config.devices_count = 1;
    assert_int_equal(history_open(file->database, 16, &file->fixture.config, &file->arena, &file->history, &failure), ERR_OK);
}

static void file_close(struct file *file) {
    database_close(file->database);
    arena_done(&file->arena);
}

static void file_init(struct file *file) {
    fixture_init(&file->fixture);
    fixture_path(&file->fixture, "history.db", file->path);
    file_open(file);
}

static void file_done(struct file *file) {
    file_close(file);
    fixture_done(&file->fixture);
}

static bool of_one_hour(void *context, int64_t hour, const struct reading_order *order, const uint8_t *bytes, size_t size) {
    int64_t *first = context;
    assert_true(order && bytes && size && (*first == INT64_MIN || *first == hour));
    *first = hour;
    return true;
}

/* Now and then, and now and then with no room for it in the file: then it is done later. */
static void roll_some(struct file *file, struct prng *prng, int64_t wall_ms) {
    struct database_failure failure;
    bool more = true;
    if (prng_below(prng, 8) == 0)
        (void)database_number(file->database, "PRAGMA max_page_count = 1");
    enum err err = ERR_OK;
    while (err == ERR_OK && more)
        err = history_roll(file->history, wall_ms, &more, &failure);
    assert_true(err == ERR_OK || err == ERR_FULL);
    (void)database_number(file->database, "PRAGMA max_page_count = 1000000");
}

static void hours_restarts_and_late_readings(void **state) {
    (void)state;
    struct file file;
    struct prng prng;
    struct database_failure failure;
    struct list list = {.items = calloc(LIST_MAX, sizeof(*list.items)), .seen = calloc(LIST_MAX, 1)};
    file_init(&file);
    prng_init(&prng, 8);
    for (unsigned batch = 0; batch < 1200; batch++) {
        static uint8_t bytes[65536];
        struct bytes_writer writer;
        struct reading_order order;
        int64_t at_ms = T0 + batch * 15000;
        bytes_writer_init(&writer, bytes, sizeof(bytes));
        reading_order_begin(&order, at_ms);
        for (unsigned i = 0; i < 20; i++) {
            int64_t late_ms = prng_below(&prng, 200) ? (int64_t)prng_below(&prng, 15000) : (int64_t)prng_below(&prng, 9000000);
            struct packed_reading *reading = &list.items[list.count++];
            *reading = reading_random(&prng, at_ms - late_ms);
            reading->series = (uint32_t)prng_below(&prng, 16);
            entry_put_reading(&writer, &order, reading);
        }
        assert_int_equal(history_add(file.history, at_ms, bytes, writer.length, &failure), ERR_OK);
        if (prng_below(&prng, 40) == 0) {
            file_close(&file);
            file_open(&file);
        }
        if (prng_below(&prng, 40) == 0)
            roll_some(&file, &prng, at_ms);
        if (batch % 50 == 49)
            for (uint32_t series = 0; series < 16; series++)
                list_compare(&list, file.database, series, series % 2 ? at_ms - 7000000 : 0, series % 3 ? at_ms - 1000 : INT64_MAX >> 21);
    }
    assert_int_equal(history_refused(file.history), 0);
    int64_t hour = INT64_MIN;
    tail_read(file.database, INT64_MIN, INT64_MAX, of_one_hour, &hour);
    assert_true(hour != INT64_MIN);
    file_done(&file);
    free(list.items);
    free(list.seen);
}

static void impossible_readings_are_refused(void **state) {
    (void)state;
    struct file file;
    struct database_failure failure;
    uint8_t bytes[256];
    struct bytes_writer writer;
    struct reading_order order;
    file_init(&file);
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    reading_order_begin(&order, 0);
    static const int64_t times[] = {T0, -5, INT64_MAX, T0};
    for (unsigned i = 0; i < 4; i++) {
        struct packed_reading reading = {.series = i == 3 ? 16 : 0, .at_ms = times[i], .value = {.kind = VALUE_INTEGER, .integer = 1}};
        entry_put_reading(&writer, &order, &reading);
    }
    assert_int_equal(history_add(file.history, 0, bytes, writer.length, &failure), ERR_OK);
    assert_int_equal(history_refused(file.history), 3);
    file_done(&file);
}

/* 780,000 readings of noise in one hour do not fit into memory: written early, and all there. */
static bool count_one(void *context, const struct packed_reading *reading) {
    (void)reading;
    (*(unsigned *)context)++;
    return true;
}

static void full_memory_is_written_early(void **state) {
    (void)state;
    struct file file;
    struct prng prng;
    struct database_failure failure;
    static uint8_t bytes[65536];
    unsigned put = 0, got = 0;
    file_init(&file);
    prng_init(&prng, 9);
    for (unsigned batch = 0; batch < 260; batch++) {
        struct bytes_writer writer;
        struct reading_order order;
        bytes_writer_init(&writer, bytes, sizeof(bytes));
        reading_order_begin(&order, T0);
        for (unsigned i = 0; i < 3000; i++, put++) {
            struct packed_reading reading = {.series = i % 16, .at_ms = T0 + batch * 1000 + i / 16, .value = {.kind = VALUE_NUMBER}};
            reading.value.number = sqrt((double)prng_below(&prng, 1 << 20));
            entry_put_reading(&writer, &order, &reading);
        }
        assert_false(writer.full);
        assert_int_equal(history_add(file.history, T0, bytes, writer.length, &failure), ERR_OK);
    }
    assert_true(database_number(file.database, "SELECT sum(length(body)) FROM hour_chunk") > 5000000);
    for (uint32_t series = 0; series < 16; series++)
        assert_int_equal(history_read(file.database, series, 0, T0 + HOUR_MS, count_one, &got, &failure), ERR_OK);
    assert_int_equal(got, put);
    file_done(&file);
}

static void old_days_go_one_a_call(void **state) {
    (void)state;
    struct file file;
    struct database_failure failure;
    int64_t day_ms = 86400000;
    file_init(&file);
    for (unsigned day = 0; day < 5; day++) {
        uint8_t bytes[64];
        struct bytes_writer writer;
        struct reading_order order;
        struct packed_reading reading = {.series = 3, .at_ms = T0 + day * day_ms, .value = {.kind = VALUE_INTEGER, .integer = day}};
        bytes_writer_init(&writer, bytes, sizeof(bytes));
        reading_order_begin(&order, T0);
        entry_put_reading(&writer, &order, &reading);
        assert_int_equal(history_add(file.history, T0, bytes, writer.length, &failure), ERR_OK);
    }
    static const unsigned left[] = {3, 2, 1, 0}; /* four written, the fifth open */
    assert_int_equal(history_expire(file.history, T0 + 30 * day_ms, &failure), ERR_OK);
    assert_int_equal(database_number(file.database, "SELECT count(*) FROM hour_chunk"), 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(history_expire(file.history, T0 + 9999 * day_ms, &failure), ERR_OK);
        assert_int_equal(database_number(file.database, "SELECT count(*) FROM hour_chunk"), left[i]);
    }
    assert_int_equal(history_expire(file.history, -1, &failure), ERR_OK);
    file_done(&file);
}

static void through_the_store(void **state) {
    (void)state;
    struct store_fixture f;
    struct database *database;
    struct database_failure failure;
    char path[128];
    unsigned got = 0;
    fixture_init(&f);
    fixture_open(&f);
    for (unsigned batch = 0; batch < 5; batch++) {
        uint8_t bytes[256];
        struct bytes_writer writer;
        struct reading_order order;
        bytes_writer_init(&writer, bytes, sizeof(bytes));
        reading_order_begin(&order, T0);
        for (unsigned i = 0; i < 8; i++) {
            struct packed_reading reading = {.series = i, .at_ms = T0 + batch * 1000, .value = {.kind = VALUE_NUMBER, .number = 1.5}};
            entry_put_reading(&writer, &order, &reading);
        }
        store_history(f.store, T0, bytes, (uint32_t)writer.length);
    }
    fixture_close(&f);
    assert_string_equal(f.lines, "");
    fixture_path(&f, "history.db", path);
    assert_int_equal(database_open(path, DATABASE_READER, &database, &failure), ERR_OK);
    assert_int_equal(history_read(database, 5, T0, T0 + 2000, count_one, &got, &failure), ERR_OK);
    assert_int_equal(got, 3);
    assert_int_equal(database_number(database, "SELECT count(*) FROM series"), 8);
    database_close(database);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_round_trip),
        cmocka_unit_test(damaged_chunks_end),
        cmocka_unit_test(sensors_numbers_pack_small),
        cmocka_unit_test(hours_restarts_and_late_readings),
        cmocka_unit_test(impossible_readings_are_refused),
        cmocka_unit_test(full_memory_is_written_early),
        cmocka_unit_test(old_days_go_one_a_call),
        cmocka_unit_test(through_the_store),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
