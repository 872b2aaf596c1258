/* SPDX-License-Identifier: Apache-2.0 */
/* What an uplink reads back from the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "uplink_rig.h"

static size_t rows_put(uint8_t *bytes, size_t size, uint64_t first_seq, uint64_t last_seq) {
    struct bytes_writer writer, body;
    struct reading_order order;
    uint8_t packed[64];
    bytes_writer_init(&writer, bytes, size);
    for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
        bytes_writer_init(&body, packed, sizeof(packed));
        reading_order_begin(&order, 0);
        entry_put_reading(&body, &order, &(struct packed_reading){.series = 4, .at_ms = 5, .value = {.kind = VALUE_INTEGER, .integer = (int64_t)seq}});
        struct entry entry = {
            .lane = LANE_READING, .kind = ENTRY_READINGS, .uplinks = 2, .seq = seq, .body = packed, .body_size = (uint32_t)body.length};
        assert_true(entry_seal(&entry, &writer));
    }
    return writer.length;
}

static void give_rows(struct world *world, const uint8_t *bytes, size_t size, uint64_t after, uint64_t through, enum err err) {
    link_step(world, &(struct event){
                         .kind = EVENT_ROWS,
                         .rows = {.lane = world->query_lane, .err = err, .bytes = bytes, .size = size, .after_seq = after, .through_seq = through}});
    link_settle(world);
}

/* Answers every query: fire and event lanes have nothing. */
static void skip_to_readings(struct world *world) {
    while (world->query_lane != LANE_READING) {
        unsigned queries = world->queries;
        give_rows(world, NULL, 0, world->query_after, world->query_through, ERR_OK);
        assert_true(world->queries > queries);
    }
}

static unsigned readings_sent(const struct world *world, unsigned from) {
    unsigned count = 0;
    for (unsigned i = from; i < world->sends_count; i++)
        count += strncmp(world->sends[i].topic, "reading/", 8) == 0;
    return count;
}

static void old_store(struct world *world) {
    world->site.image.next_seq = 101;
    link_begin(world);
    link_up(world);
    link_acknowledge_all(world);
    skip_to_readings(world);
    link_acknowledge_all(world); /* what this start says about itself */
    assert_int_equal(world->query_after, 0);
    assert_true(world->query_through >= 100);
}

static void test_backlog_from_the_store(void **state) {
    (void)state;
    struct world *world = link_world_new();
    uint8_t bytes[8192];
    old_store(world);
    unsigned from = world->sends_count;
    size_t size = rows_put(bytes, sizeof(bytes), 1, 40);
    give_rows(world, bytes, size, 0, 60, ERR_OK);
    assert_int_equal(readings_sent(world, from), 5); /* a quarter of the window of 20 */
    for (unsigned i = 0; i < 50; i++)
        link_acknowledge_all(world);
    assert_int_equal(readings_sent(world, from), 40);
    assert_int_equal(world->query_after, 60); /* 41 to 60 are not there */
    give_rows(world, NULL, 0, 60, world->query_through, ERR_OK);
    unsigned queries = world->queries;
    link_advance(world, 10000);
    assert_int_equal(world->queries, queries); /* all is looked at */
    link_world_end(world);
}

static void test_backlog_slows_down_for_a_slow_link(void **state) {
    (void)state;
    struct world *world = link_world_new();
    uint8_t bytes[8192];
    old_store(world);
    unsigned from = world->sends_count;
    give_rows(world, bytes, rows_put(bytes, sizeof(bytes), 1, 40), 0, 60, ERR_OK);
    assert_int_equal(readings_sent(world, from), 5);
    world->ms += 251;
    for (unsigned i = from; i < from + 5; i++)
        link_answer(world, i, ACK_OK);
    assert_int_equal(readings_sent(world, from), 6); /* 5, 2, 1: one at a time */
    for (unsigned i = from + 5; i < from + 45 && i < world->sends_count; i++)
        link_answer(world, i, ACK_OK);
    assert_int_equal(readings_sent(world, from), 40); /* prompt again, and it gets there */
    link_world_end(world);
}

/* The link broke while the store was asked, and the answer comes to the next connection, which has to begin further below. */
static void test_rows_of_a_connection_that_is_gone(void **state) {
    (void)state;
    struct world *world = link_world_new();
    uint8_t bytes[8192];
    old_store(world);
    unsigned from = world->sends_count;
    give_rows(world, bytes, rows_put(bytes, sizeof(bytes), 1, 5), 0, 5, ERR_OK);
    assert_int_equal(readings_sent(world, from), 5); /* in flight */
    link_answer(world, from, ACK_OK);                /* room to ask on */
    assert_int_equal(world->query_after, 5);
    link_down(world, LINK_LOST);
    link_advance(world, 2000);
    link_up(world);
    from = world->sends_count;
    give_rows(world, bytes, rows_put(bytes, sizeof(bytes), 6, 10), 5, 10, ERR_OK); /* to the old question */
    link_acknowledge_all(world);
    for (unsigned i = 0; i < 20 && world->query_lane != LANE_READING; i++) {
        give_rows(world, NULL, 0, world->query_after, world->query_through, ERR_OK);
        link_acknowledge_all(world);
    }
    assert_int_equal(readings_sent(world, from), 0);
    assert_int_equal(world->query_lane, LANE_READING);
    assert_int_equal(world->query_after, 1); /* 2 to 5 are not lost */
    link_world_end(world);
}

static void test_store_that_cannot_answer(void **state) {
    (void)state;
    struct world *world = link_world_new();
    uint8_t bytes[8192];
    old_store(world);
    unsigned queries = world->queries;
    give_rows(world, NULL, 0, 0, 100, ERR_IO);
    assert_int_equal(world->queries, queries); /* not at once */
    link_advance(world, 1100);
    assert_int_equal(world->queries, queries + 1);
    give_rows(world, NULL, 0, 0, 100, ERR_IO);
    for (unsigned i = 0; i < 40; i++) /* readings fill their share of the window, so that the backlog cannot ask */
        link_poll(world, 1, 1);
    link_advance(world, 30000);
    unsigned from = world->sends_count;
    link_acknowledge_all(world);
    assert_true(world->queries > queries + 1);
    give_rows(world, bytes, rows_put(bytes, sizeof(bytes), 1, 3), 0, 100, ERR_OK);
    link_acknowledge_all(world);
    assert_true(world->sends_count >= from + 3);
    link_world_end(world);
}

/* What waited for an uplink across an upgrade: the same readings in the packing before and in today's, and as messages the same. */
static void test_rows_of_the_program_before(void **state) {
    (void)state;
    static const uint8_t before[] = {4, 10, 0x07, 0xF6, 1, 5, 0xD0, 0x0F, 2, 9, 6, 10, 0x30, REASON_NO_ANSWER, 7, 10, 0x04, 4, 'o', 'p', 'e', 'n'};
    static const struct packed_reading readings[] = {
        {.series = 4, .at_ms = 5, .value = {.kind = VALUE_NUMBER, .number = 1.23}},
        {.series = 5, .at_ms = 1000, .value = {.kind = VALUE_INTEGER, .integer = -5}},
        {.series = 6, .at_ms = 5, .quality = QUALITY_BAD, .reason = REASON_NO_ANSWER},
        {.series = 7, .at_ms = 5, .value = {.kind = VALUE_TEXT, .text = "open"}},
    };
    struct world *world = link_world_new();
    uint8_t bytes[512], packed[64];
    struct bytes_writer writer, body;
    struct reading_order order;
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    bytes_writer_init(&body, packed, sizeof(packed));
    reading_order_begin(&order, 0);
    for (unsigned i = 0; i < ARRAY_COUNT(readings); i++)
        entry_put_reading(&body, &order, &readings[i]);
    struct entry entry = {.lane = LANE_READING, .kind = ENTRY_READINGS_1, .uplinks = 2, .seq = 1, .body = before, .body_size = sizeof(before)};
    assert_true(entry_seal(&entry, &writer));
    entry = (struct entry){.lane = LANE_READING, .kind = ENTRY_READINGS, .uplinks = 2, .seq = 2, .body = packed, .body_size = (uint32_t)body.length};
    assert_true(entry_seal(&entry, &writer) && body.length < sizeof(before));
    old_store(world);
    unsigned from = world->sends_count;
    give_rows(world, bytes, writer.length, 0, 2, ERR_OK);
    assert_int_equal(readings_sent(world, from), 2);
    const struct sent *first = &world->sends[from], *second = first + 1;
    assert_string_equal(first->topic, "reading/device-1");
    assert_string_equal(second->topic, first->topic);
    assert_non_null(strstr(first->payload, "\"point\":\"p3\",\"v\":\"open\",\"q\":\"good\"}]}"));
    assert_string_equal(strstr(second->payload, "\"replayed\""), strstr(first->payload, "\"replayed\"")); /* but for their ids */
    link_world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backlog_from_the_store),
        cmocka_unit_test(test_backlog_slows_down_for_a_slow_link),
        cmocka_unit_test(test_rows_of_a_connection_that_is_gone),
        cmocka_unit_test(test_store_that_cannot_answer),
        cmocka_unit_test(test_rows_of_the_program_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
