/* SPDX-License-Identifier: Apache-2.0 */
/* The packing of readings: what is stored today is read tomorrow, and what was stored before is read today. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "gateway/core/decimal.h"
#include "gateway/core/entry.h"

#define AT_MS INT64_C(1795406400123)

static uint8_t bytes[8192];
static struct bytes_writer body;
static struct reading_order put_order;

static void body_begin(int64_t at_ms) {
    bytes_writer_init(&body, bytes, sizeof(bytes));
    reading_order_begin(&put_order, at_ms);
}

static void put(const struct packed_reading *reading) {
    size_t before = body.length;
    entry_put_reading(&body, &put_order, reading);
    assert_false(body.full);
    assert_true(body.length - before <= READING_SIZE_MAX);
}

/* By bits: a NaN is itself, and -0 is not 0. */
static void assert_same(const struct packed_reading *reading, const struct packed_reading *expected) {
    assert_true(reading->series == expected->series && reading->at_ms == expected->at_ms);
    assert_true(reading->quality == expected->quality && reading->reason == expected->reason && reading->value.kind == expected->value.kind);
    if (expected->value.kind == VALUE_TEXT)
        assert_string_equal(reading->value.text, expected->value.text);
    else if (expected->value.kind != VALUE_NONE)
        assert_true(reading->value.whole == expected->value.whole);
}

/* From a block of exactly `size` bytes, so that the sanitizer sees one byte too many. How many there are; false when they end in damage. */
static bool read_exactly(enum entry_kind kind, int64_t at_ms, const uint8_t *from, size_t size, const struct packed_reading *expected,
                         unsigned *ret_count) {
    uint8_t *block = malloc(size ? size : 1);
    assert_non_null(block);
    memcpy(block, from, size);
    struct entry entry = {.kind = kind, .at_ms = at_ms, .body = block, .body_size = (uint32_t)size};
    struct reading_order order = entry_order(&entry);
    struct bytes_reader reader;
    struct packed_reading reading;
    bytes_reader_init(&reader, block, size);
    for (*ret_count = 0; entry_get_reading(&reader, &order, &reading); ++*ret_count)
        if (expected)
            assert_same(&reading, &expected[*ret_count]);
    bool whole = !reader.failed;
    assert_false(entry_get_reading(&reader, &order, &reading)); /* nor ever again */
    free(block);
    return whole;
}

static void assert_reads(enum entry_kind kind, int64_t at_ms, const uint8_t *from, size_t size, const struct packed_reading *expected, unsigned count) {
    unsigned found;
    assert_true(read_exactly(kind, at_ms, from, size, expected, &found));
    assert_int_equal(found, count);
}

static void test_exact_bytes(void **state) {
    (void)state;
    static const struct {
        struct packed_reading reading;
        size_t size;
        uint8_t bytes[16];
    } items[] = {
        {{.series = 0, .at_ms = AT_MS, .value = {.kind = VALUE_NUMBER, .number = 22.5}}, 3, {0xC6, 0xC2, 0x03}},
        {{.series = 1, .at_ms = AT_MS, .value = {.kind = VALUE_NUMBER, .number = 230.1}}, 3, {0xC6, 0xFA, 0x23}},
        {{.series = 2, .at_ms = AT_MS, .value = {.kind = VALUE_INTEGER, .integer = 1}}, 2, {0xC2, 0x02}},
        {{.series = 3, .at_ms = AT_MS, .quality = QUALITY_BAD, .reason = REASON_NO_ANSWER}, 2, {0xF0, 0x06}},
        {{.series = 0, .at_ms = AT_MS + 1000, .value = {.kind = VALUE_NUMBER, .number = 22.4}}, 6, {0x06, 0x05, 0xD0, 0x0F, 0xC0, 0x03}},
        {{.series = 1, .at_ms = AT_MS + 999, .value = {.kind = VALUE_NUMBER, .number = 7}}, 3, {0x45, 0x01, 0x0E}},
        {{.series = 9, .at_ms = AT_MS + 999, .value = {.kind = VALUE_TEXT, .text = "open"}}, 7, {0x84, 0x10, 0x04, 'o', 'p', 'e', 'n'}},
        {{.series = 9, .at_ms = AT_MS + 999, .value = {.kind = VALUE_NUMBER, .number = 22.1f}}, 5, {0x8F, 0x00, 0x01, 0xBA, 0x03}},
        {{.series = 10, .at_ms = AT_MS + 999, .value = {.kind = VALUE_NUMBER, .number = 1.0 / 3}},
         9,
         {0xC1, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xD5, 0x3F}},
        {{.series = 11, .at_ms = AT_MS + 999, .quality = QUALITY_UNCERTAIN, .reason = REASON_OUT_OF_RANGE, .value = {.kind = VALUE_UNSIGNED, .whole = 200}},
         4,
         {0xD3, 0x02, 0xC8, 0x01}},
        {{.series = UINT32_MAX, .at_ms = AT_MS + 999, .quality = QUALITY_STALE, .reason = REASON_DISCONNECTED},
         7,
         {0xA0, 0xE8, 0xFF, 0xFF, 0xFF, 0x1F, 0x07}},
    };
    struct packed_reading readings[ARRAY_COUNT(items)];
    body_begin(AT_MS);
    for (unsigned i = 0; i < ARRAY_COUNT(items); i++) {
        size_t before = body.length;
        readings[i] = items[i].reading;
        put(&readings[i]);
        assert_int_equal(body.length - before, items[i].size);
        assert_memory_equal(bytes + before, items[i].bytes, items[i].size);
    }
    assert_reads(ENTRY_READINGS, AT_MS, bytes, body.length, readings, ARRAY_COUNT(items));
    assert_int_equal(entry_count_readings(bytes, body.length), ARRAY_COUNT(items));
}

/* As they come out of a file of a program before there was an order, the first from when every number took its 8 bytes. */
static void test_packing_1(void **state) {
    (void)state;
    static const struct {
        struct packed_reading reading;
        size_t size;
        uint8_t bytes[12];
    } items[] = {
        {{.series = 7, .at_ms = AT_MS + 2, .value = {.kind = VALUE_NUMBER, .number = 22.5}}, 11, {7, 4, 0x01, 0, 0, 0, 0, 0, 0x80, 0x36, 0x40}},
        {{.series = 0, .at_ms = AT_MS, .value = {.kind = VALUE_NUMBER, .number = 22.5}}, 5, {0, 0, 0x06, 0xC2, 0x03}},
        {{.series = UINT32_MAX, .at_ms = AT_MS - 1, .value = {.kind = VALUE_INTEGER, .integer = -5}}, 8, {0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1, 0x02, 9}},
        {{.series = 1, .at_ms = AT_MS, .quality = QUALITY_BAD, .reason = REASON_NO_ANSWER}, 4, {1, 0, 0x30, 6}},
        {{.series = 1, .at_ms = AT_MS + 1000, .quality = QUALITY_UNCERTAIN, .reason = REASON_CORRUPT, .value = {.kind = VALUE_TEXT, .text = "on"}},
         8,
         {1, 0xD0, 0x0F, 0x14, 5, 2, 'o', 'n'}},
        {{.series = 2, .at_ms = AT_MS, .value = {.kind = VALUE_NUMBER, .number = 22.1f}}, 6, {2, 0, 0x0F, 1, 0xBA, 0x03}},
        {{.series = 2, .at_ms = AT_MS, .value = {.kind = VALUE_UNSIGNED, .whole = 200}}, 5, {2, 0, 0x03, 0xC8, 0x01}},
    };
    struct packed_reading readings[ARRAY_COUNT(items)], reading;
    struct bytes_reader reader;
    body_begin(AT_MS);
    for (unsigned i = 0; i < ARRAY_COUNT(items); i++) {
        readings[i] = items[i].reading;
        bytes_put_raw(&body, items[i].bytes, items[i].size);
    }
    assert_reads(ENTRY_READINGS_1, AT_MS, bytes, body.length, readings, ARRAY_COUNT(items));
    bytes_reader_init(&reader, bytes, body.length);
    for (unsigned i = 0; i < ARRAY_COUNT(items); i++) { /* the same without an entry */
        assert_true(entry_get_reading_1(&reader, AT_MS, &reading));
        assert_same(&reading, &readings[i]);
    }
    assert_false(entry_get_reading_1(&reader, AT_MS, &reading) || reader.failed);
}

/* Kept for years in events: packing 1 of a good reading of series 0. */
static void test_values_of_events(void **state) {
    (void)state;
    static const struct {
        struct value value;
        size_t size;
        uint8_t bytes[12];
    } items[] = {
        {{.kind = VALUE_NONE}, 3, {0, 0, 0x00}},
        {{.kind = VALUE_NUMBER, .number = 1.0 / 3}, 11, {0, 0, 0x01, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xD5, 0x3F}},
        {{.kind = VALUE_INTEGER, .integer = -5}, 4, {0, 0, 0x02, 0x09}},
        {{.kind = VALUE_UNSIGNED, .whole = 200}, 5, {0, 0, 0x03, 0xC8, 0x01}},
        {{.kind = VALUE_TEXT, .text = "open"}, 8, {0, 0, 0x04, 4, 'o', 'p', 'e', 'n'}},
        {{.kind = VALUE_NUMBER, .number = 1.23}, 5, {0, 0, 0x07, 0xF6, 0x01}},
        {{.kind = VALUE_NUMBER, .number = 22.1f}, 6, {0, 0, 0x0F, 0x01, 0xBA, 0x03}},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(items); i++) {
        struct packed_reading expected = {.value = items[i].value}, back = {.series = 0};
        struct bytes_reader reader;
        body_begin(0);
        entry_put_value(&body, &items[i].value);
        assert_int_equal(body.length, items[i].size);
        assert_memory_equal(bytes, items[i].bytes, items[i].size);
        bytes_reader_init(&reader, bytes, body.length);
        entry_get_value(&reader, &back.value);
        assert_true(!reader.failed && reader.position == body.length);
        assert_same(&back, &expected);
        entry_get_value(&reader, &back.value); /* missing is damage */
        assert_true(reader.failed);
    }
}

/* ---- any reading ---- */

static int64_t any_number(struct prng *prng) {
    static const int64_t extremes[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, AT_MS, INT64_MAX - 1, INT64_MAX};
    if (prng_below(prng, 3) == 0)
        return extremes[prng_below(prng, ARRAY_COUNT(extremes))];
    return (int64_t)(prng_next(prng) >> prng_below(prng, 64));
}

static struct value any_value(struct prng *prng) {
    struct value value = {.kind = (enum value_kind)prng_below(prng, VALUE_TEXT + 1)};
    uint64_t bits = prng_next(prng);
    if (value.kind == VALUE_NUMBER && prng_below(prng, 8) == 0)
        memcpy(&value.number, &bits, sizeof(bits));
    else if (value.kind == VALUE_NUMBER)
        value.number = (double)any_number(prng) / pow(10, (double)prng_below(prng, 12));
    else if (value.kind == VALUE_TEXT)
        memset(value.text, 'a', prng_below(prng, VALUE_TEXT_SIZE));
    else if (value.kind != VALUE_NONE)
        value.integer = any_number(prng);
    if (value.kind == VALUE_NUMBER && isfinite(value.number) && fabs(value.number) < 1e30 && prng_below(prng, 4) == 0)
        value.number = (float)value.number;
    return value;
}

/* Often as in a poll, and else from anywhere. */
static struct packed_reading any_reading(struct prng *prng, const struct packed_reading *before) {
    struct packed_reading reading = {.series = before->series + 1, .at_ms = before->at_ms, .value = any_value(prng)};
    if (prng_below(prng, 3) == 0)
        reading.series = (uint32_t)any_number(prng);
    if (prng_below(prng, 3) == 0)
        reading.at_ms = prng_below(prng, 2) ? any_number(prng) : reading.at_ms ^ (int64_t)prng_below(prng, 1024);
    if (prng_below(prng, 4) == 0) {
        reading.quality = (uint8_t)prng_below(prng, QUALITY_BAD + 1);
        reading.reason = reading.quality != QUALITY_GOOD ? (uint8_t)prng_below(prng, REASON_NO_RESULT + 1) : REASON_NONE;
    }
    return reading;
}

static void test_any_reading_there_and_back(void **state) {
    (void)state;
    struct prng prng;
    prng_init(&prng, 21);
    for (unsigned round = 0; round < 20000; round++) {
        struct packed_reading readings[12], before = {.series = UINT32_MAX, .at_ms = any_number(&prng)};
        int64_t at_ms = before.at_ms;
        unsigned count = (unsigned)prng_below(&prng, ARRAY_COUNT(readings) + 1);
        body_begin(at_ms);
        for (unsigned i = 0; i < count; i++) {
            before = readings[i] = any_reading(&prng, &before);
            put(&readings[i]);
        }
        assert_reads(ENTRY_READINGS, at_ms, bytes, body.length, readings, count);
        assert_int_equal(entry_count_readings(bytes, body.length), count);
    }
}

/* What is whole before the cut is read; a cut within a reading is damage, one between two is the end. */
static void test_every_cut(void **state) {
    (void)state;
    struct packed_reading readings[60], before = {.series = UINT32_MAX, .at_ms = AT_MS};
    size_t ends[ARRAY_COUNT(readings)];
    struct prng prng;
    unsigned whole = 0, found;
    prng_init(&prng, 22);
    body_begin(AT_MS);
    for (unsigned i = 0; i < ARRAY_COUNT(readings); i++) {
        before = readings[i] = any_reading(&prng, &before);
        put(&readings[i]);
        ends[i] = body.length;
    }
    for (size_t cut = 0; cut <= body.length; cut++) {
        while (whole < ARRAY_COUNT(readings) && ends[whole] <= cut)
            whole++;
        bool between = cut == (whole ? ends[whole - 1] : 0);
        assert_true(read_exactly(ENTRY_READINGS, AT_MS, bytes, cut, readings, &found) == between);
        assert_int_equal(found, whole);
    }
    assert_int_equal(whole, ARRAY_COUNT(readings));
}

static size_t number_size(double number) {
    struct packed_reading reading = {.value = {.kind = VALUE_NUMBER, .number = number}};
    body_begin(0);
    put(&reading);
    assert_reads(ENTRY_READINGS, 0, bytes, body.length, &reading, 1); /* the same bits: -0, and a NaN's */
    return body.length - 1;
}

static void test_numbers_are_packed_exactly(void **state) {
    (void)state;
    static const struct {
        double number;
        size_t size;
    } numbers[] = {
        {0, 1}, {-0.0, 8}, {63, 1}, {-64, 1}, {64, 2}, {22.5, 2}, {-40.25, 2}, {230.1, 2}, {0.000000001, 1}, {0.1 + 0.2, 8}, {1e15, 8}, {1e300, 8},
        {INFINITY, 8}, {-INFINITY, 8}, {NAN, 8}, {22.1f, 3}, {-230.17342f, 5}, {3.4e38f, 8}, {9007199254740992.0, 8}, {9007199254740994.0, 8}, {5e-324, 8},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(numbers); i++)
        assert_int_equal(number_size(numbers[i].number), numbers[i].size);
    struct prng prng;
    prng_init(&prng, 6);
    for (unsigned i = 0; i < 20000; i++) {
        double number = (double)(int64_t)(prng_next(&prng) >> (11 + i % 50)) / pow(10, i % 11);
        uint64_t bits = prng_next(&prng);
        double any;
        memcpy(&any, &bits, sizeof(any));
        assert_true(number_size(number) <= 8 && number_size((double)(float)number) <= 8 && number_size(-number) <= 8 && number_size(any) <= 8);
    }
}

/* Ten points of one device with values of two bytes, as an entry of one poll and as twenty polls of one batch. */
static void test_a_poll_is_small(void **state) {
    (void)state;
    size_t first = 0;
    body_begin(AT_MS);
    for (unsigned i = 0; i < 200; i++) {
        struct packed_reading reading = {.series = i % 10, .at_ms = AT_MS + i / 10 * 1000, .value = {.kind = VALUE_NUMBER, .number = 22.5 + i}};
        put(&reading);
        first = i == 9 ? body.length : first;
    }
    print_message("bytes a reading: %.2f in an entry of one poll, %.2f in a batch of twenty\n", (double)first / 10, (double)body.length / 200);
    assert_true(first <= 10 * 3 && 2 * body.length <= 200 * 7);
}

/* A reading that nobody here can have written is refused before its words are looked up. */
static void test_reading_damaged(void **state) {
    (void)state;
    static const struct {
        enum entry_kind kind;
        uint8_t bytes[12];
        size_t size;
    } wrong[] = {
        {ENTRY_READINGS, {0xF2, REASON_NO_RESULT + 1, 0}, 3},                      /* a reason past the last */
        {ENTRY_READINGS, {0xCF, DECIMALS_MAX + 1, 2}, 3},                          /* more decimals than there are */
        {ENTRY_READINGS, {0x82, 0, 0}, 3},                                         /* series -1 */
        {ENTRY_READINGS, {0x82, 1, 0}, 3},                                         /* -2 */
        {ENTRY_READINGS, {0x82, 0x82, 0x80, 0x80, 0x80, 0x20, 0}, 7},              /* 2^32, not 0 */
        {ENTRY_READINGS, {0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0}, 12}, /* one that wraps around */
        {ENTRY_READINGS, {0xC6}, 1},                                               /* cut before its packed number */
        {ENTRY_READINGS, {0xC1, 0, 0, 0, 0, 0, 0, 0}, 8},                          /* cut within its number */
        {ENTRY_READINGS, {0xC4, 5, 'a', 'b'}, 4},                                  /* cut within its text */
        {ENTRY_READINGS_1, {1, 0, 0x02 | 0x40, 0, 0}, 5},                          /* a quality of 4 */
        {ENTRY_READINGS_1, {1, 0, 0x02 | 0xF0, 0, 0}, 5},                          /* of 15 */
        {ENTRY_READINGS_1, {1, 0, 0x02 | 0x30, REASON_NO_RESULT + 1, 0}, 5},       /* a reason past the last */
        {ENTRY_READINGS_1, {1, 0, 0x06}, 3},                                       /* cut before its packed number */
        {ENTRY_READINGS_1, {1, 0, 0x0F, DECIMALS_MAX + 1, 2}, 5},                  /* more decimals than there are */
        {ENTRY_READINGS_1, {0x80, 0x80, 0x80, 0x80, 0x10, 0, 0x00}, 7},            /* series 2^32, not 0 */
        {ENTRY_READINGS_1, {1, 0}, 2},                                             /* cut before its head */
        {ENTRY_READINGS_1, {1, 0, 0x01, 0, 0, 0, 0, 0, 0, 0}, 10},                 /* cut within its number */
        {ENTRY_READINGS_1, {1, 0, 0x04, 5, 'a', 'b'}, 6},                          /* cut within its text */
    };
    unsigned found;
    for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_false(read_exactly(wrong[i].kind, 0, wrong[i].bytes, wrong[i].size, NULL, &found));
        assert_int_equal(found, 0);
    }
    struct packed_reading last = {.series = UINT32_MAX};
    body_begin(0);
    put(&last);
    bytes_put_u8(&body, 0xC0); /* the series after the last one there can be */
    assert_false(read_exactly(ENTRY_READINGS, 0, bytes, body.length, &last, &found));
    assert_int_equal(found, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_bytes),
        cmocka_unit_test(test_packing_1),
        cmocka_unit_test(test_values_of_events),
        cmocka_unit_test(test_any_reading_there_and_back),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_numbers_are_packed_exactly),
        cmocka_unit_test(test_a_poll_is_small),
        cmocka_unit_test(test_reading_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
