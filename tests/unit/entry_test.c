/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "gateway/core/alarm.h"
#include "gateway/core/entry.h"

/* Opens from a block of exactly `size` bytes, so that the sanitizer sees one byte too many. */
static uint8_t *exact(const uint8_t *bytes, size_t size) {
    uint8_t *block = malloc(size ? size : 1);
    assert_non_null(block);
    if (size)
        memcpy(block, bytes, size);
    return block;
}

static size_t seal(const struct entry *entry, uint8_t *bytes, size_t size) {
    struct bytes_writer writer;
    bytes_writer_init(&writer, bytes, size);
    assert_true(entry_seal(entry, &writer));
    return writer.length;
}

static void test_header(void **state) {
    (void)state;
    uint8_t bytes[64], body[] = {1, 2, 3};
    struct entry entry = {.lane = LANE_READING,
                          .kind = ENTRY_GAP,
                          .uplinks = 0x8001,
                          .trusted = true,
                          .seq = UINT64_MAX - 1,
                          .start = 0x0123456789ABCDEF,
                          .at_ms = INT64_MIN,
                          .body = body,
                          .body_size = sizeof(body)};
    size_t size = seal(&entry, bytes, sizeof(bytes)), opened_size = 0;
    static const uint8_t expected[] = {36,   0,    0,    0,    2,    5,    0x01, 0x80, 1, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xEF,
                                       0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01, 0,    0, 0,    0,    0,    0,    0,    0x80, 1,    2,    3};
    assert_int_equal(size, sizeof(expected)); /* as entry.h draws it: what is stored today is read tomorrow */
    assert_memory_equal(bytes, expected, sizeof(expected));
    struct entry back;
    assert_true(entry_open(bytes, sizeof(bytes), &back, &opened_size));
    assert_int_equal(opened_size, size);
    assert_true(back.lane == entry.lane && back.kind == entry.kind && back.uplinks == entry.uplinks && back.trusted && back.seq == entry.seq);
    assert_true(back.start == entry.start && back.at_ms == entry.at_ms && back.body_size == 3 && back.body == bytes + ENTRY_HEADER_SIZE);
    for (size_t room = 0; room < size; room++) { /* whole or not at all */
        struct bytes_writer writer;
        bytes_writer_init(&writer, bytes, room);
        assert_false(entry_seal(&entry, &writer));
        assert_int_equal(writer.length, 0);
    }
}

static void test_header_damaged(void **state) {
    (void)state;
    uint8_t bytes[64], body[] = {1, 2, 3};
    struct entry entry = {.lane = LANE_FIRE, .kind = ENTRY_ALARM, .seq = 5, .body = body, .body_size = sizeof(body)}, back = {.seq = 99};
    size_t size = seal(&entry, bytes, sizeof(bytes)), opened_size = 99;
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *block = exact(bytes, cut);
        assert_false(entry_open(block, cut, &back, &opened_size));
        free(block);
    }
    bytes[4] = LANES_COUNT;
    assert_false(entry_open(bytes, size, &back, &opened_size));
    bytes[4] = LANE_FIRE;
    bytes[0] = ENTRY_HEADER_SIZE - 1; /* a size that does not even hold the header would never let a reader get on */
    assert_false(entry_open(bytes, size, &back, &opened_size));
    memset(bytes, 0xFF, 4);
    assert_false(entry_open(bytes, size, &back, &opened_size));
    assert_true(back.seq == 99 && opened_size == 99); /* nothing is given out of a damaged one */
}

static void fill(char *field, size_t size, char c) {
    memset(field, c, size - 1);
    field[size - 1] = '\0';
}

static struct alarm_event full_alarm(void) {
    struct alarm_event event;
    memset(&event, 0, sizeof(event)); /* compared as memory below */
    event.occurrence_start = UINT64_MAX;
    event.occurrence_seq = UINT64_MAX;
    event.class = CLASS_MAINTENANCE;
    event.priority = PRIORITY_HIGH;
    event.state = ALARM_LATCHED;
    event.cause = CAUSE_RESTORED;
    event.value.kind = VALUE_UNSIGNED;
    event.value.whole = UINT64_MAX;
    event.has_limit = true;
    event.limit = -1.5;
    event.since_ms = INT64_MIN;
    event.test = true;
    fill(event.device, sizeof(event.device), 'd');
    fill(event.alarm, sizeof(event.alarm), 'a');
    fill(event.condition, sizeof(event.condition), 'c');
    fill(event.unit, sizeof(event.unit), 'u');
    fill(event.place, sizeof(event.place), 'p');
    fill(event.place_name, sizeof(event.place_name), 'n');
    fill(event.address, sizeof(event.address), 'r');
    fill(event.phone, sizeof(event.phone), '0');
    fill(event.location, sizeof(event.location), 'l');
    fill(event.zh, sizeof(event.zh), 'z');
    fill(event.en, sizeof(event.en), 'e');
    return event;
}

static void test_events(void **state) {
    (void)state;
    uint8_t bytes[2048];
    struct bytes_writer body;
    struct entry entry = {.body = bytes};
    struct alarm_event alarm = full_alarm(), alarm_back;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_alarm(&body, &alarm);
    assert_false(body.full);
    entry.body_size = (uint32_t)body.length;
    assert_true(entry_get_alarm(&entry, &alarm_back));
    assert_memory_equal(&alarm_back, &alarm, sizeof(alarm));

    struct action_event action, action_back;
    memset(&action, 0, sizeof(action));
    fill(action.action, sizeof(action.action), 'a');
    fill(action.why, sizeof(action.why), 'w');
    action.value = 1;
    action.attempt = 255;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_action(&body, &action);
    entry.body_size = (uint32_t)body.length;
    assert_true(entry_get_action(&entry, &action_back));
    assert_memory_equal(&action_back, &action, sizeof(action));

    struct gap_event gap, gap_back;
    memset(&gap, 0, sizeof(gap));
    gap = (struct gap_event){.lane = LANE_READING, .from_seq = 1, .to_seq = UINT64_MAX, .count = UINT64_MAX};
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_gap(&body, &gap);
    entry.body_size = (uint32_t)body.length;
    assert_true(entry_get_gap(&entry, &gap_back));
    assert_true(gap_back.lane == gap.lane && gap_back.from_seq == 1 && gap_back.to_seq == UINT64_MAX && gap_back.count == UINT64_MAX);

    struct system_event system = {.what = "clock", .detail = "trusted", .offset_ms = INT64_MIN}, system_back;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_system(&body, &system);
    entry.body_size = (uint32_t)body.length;
    assert_true(entry_get_system(&entry, &system_back));
    assert_string_equal(system_back.what, "clock");
    assert_string_equal(system_back.detail, "trusted");
    assert_true(system_back.offset_ms == INT64_MIN);
}

static void test_event_words_are_ours(void **state) {
    (void)state;
    uint8_t bytes[2048];
    struct bytes_writer body;
    struct entry entry = {.body = bytes};
    struct alarm_event event = full_alarm(), back;
    event.class = CLASS_MAINTENANCE + 1;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_alarm(&body, &event);
    entry.body_size = (uint32_t)body.length;
    assert_false(entry_get_alarm(&entry, &back));
}

/* ---- damage ---- */

static void read_readings(const struct entry *entry) {
    struct reading_order order = entry_order(entry);
    struct bytes_reader reader;
    struct packed_reading reading;
    bytes_reader_init(&reader, entry->body, entry->body_size);
    while (entry_get_reading(&reader, &order, &reading)) {
        (void)quality_name((enum quality)reading.quality); /* ends the process on a word that is none */
        (void)quality_reason_name((enum quality_reason)reading.reason);
        assert_true(reading.value.kind != VALUE_TEXT || memchr(reading.value.text, 0, VALUE_TEXT_SIZE));
    }
}

static void read_everything(const uint8_t *bytes, size_t size) {
    struct entry entry;
    size_t step;
    for (size_t at = 0; entry_open(bytes + at, size - at, &entry, &step); at += step) {
        assert_true(step >= ENTRY_HEADER_SIZE && step <= size - at);
        assert_true(entry.body == bytes + at + ENTRY_HEADER_SIZE && entry.body_size == step - ENTRY_HEADER_SIZE);
        struct entry other = entry;
        other.kind = entry.kind == ENTRY_READINGS ? ENTRY_READINGS_1 : ENTRY_READINGS;
        read_readings(&entry);
        read_readings(&other);
        struct alarm_event alarm;
        struct action_event action;
        struct gap_event gap;
        struct system_event system;
        if (entry_get_alarm(&entry, &alarm))
            (void)alarm_class_name((enum alarm_class)alarm.class);
        (void)entry_get_action(&entry, &action);
        (void)entry_get_gap(&entry, &gap);
        (void)entry_get_system(&entry, &system);
        assert_true(memchr(alarm.en, 0, sizeof(alarm.en)) && memchr(action.why, 0, sizeof(action.why)));
        assert_true(memchr(gap.why, 0, sizeof(gap.why)) && memchr(system.detail, 0, sizeof(system.detail)));
    }
}

static size_t some_entries(uint8_t *bytes, size_t size) {
    uint8_t body_bytes[2048];
    struct bytes_writer writer, body;
    bytes_writer_init(&writer, bytes, size);
    struct reading_order order;
    bytes_writer_init(&body, body_bytes, sizeof(body_bytes));
    reading_order_begin(&order, 1000);
    for (unsigned i = 0; i < 5; i++) {
        struct packed_reading reading = {.series = i, .at_ms = 1000 + i, .quality = i % 4, .reason = i % 4 ? REASON_CORRUPT : 0};
        reading.value.kind = (enum value_kind)i;
        if (i == VALUE_TEXT)
            memcpy(reading.value.text, "text", 5);
        entry_put_reading(&body, &order, &reading);
    }
    struct entry entry = {.lane = LANE_READING, .kind = ENTRY_READINGS, .at_ms = 1000, .body = body_bytes, .body_size = (uint32_t)body.length};
    assert_true(entry_seal(&entry, &writer));
    struct alarm_event event = {.device = "smoke-1", .alarm = "smoke", .zh = "\xE7\x83\x9F", .en = "smoke", .class = CLASS_FIRE};
    bytes_writer_init(&body, body_bytes, sizeof(body_bytes));
    entry_put_alarm(&body, &event);
    entry = (struct entry){.lane = LANE_FIRE, .kind = ENTRY_ALARM, .body = body_bytes, .body_size = (uint32_t)body.length};
    assert_true(entry_seal(&entry, &writer));
    return writer.length;
}

static void test_damage_never_reads_outside(void **state) {
    (void)state;
    uint8_t whole[512];
    size_t size = some_entries(whole, sizeof(whole));
    struct prng prng;
    prng_init(&prng, 11);
    for (unsigned i = 0; i < 100000; i++) {
        size_t cut = prng_below(&prng, 4) ? size : (size_t)prng_below(&prng, size + 1);
        uint8_t *block = exact(whole, cut);
        for (uint64_t k = prng_below(&prng, 6); k && cut; k--) {
            size_t at = (size_t)prng_below(&prng, cut);
            block[at] = prng_below(&prng, 3) ? (uint8_t)prng_next(&prng) : 0xFF;
        }
        read_everything(block, cut);
        free(block);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_damaged),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_event_words_are_ours),
        cmocka_unit_test(test_damage_never_reads_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
