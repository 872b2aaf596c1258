/* SPDX-License-Identifier: Apache-2.0 */
/* What an uplink reads back from the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "uplink_rig.h"

static size_t rows_put(uint8_t *bytes, size_t size, uint64_t first_seq, uint64_t last_seq) {
    struct bytes_writer writer, body;
    uint8_t packed[64];
    bytes_writer_init(&writer, bytes, size);
    for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
        bytes_writer_init(&body, packed, sizeof(packed));
        entry_put_reading(&body, 0, &(struct packed_reading){.series = 4, .at_ms = 5, .value = {.kind = VALUE_INTEGER, .integer = (int64_t)seq}});
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backlog_from_the_store),
        cmocka_unit_test(test_backlog_slows_down_for_a_slow_link),
        cmocka_unit_test(test_rows_of_a_connection_that_is_gone),
        cmocka_unit_test(test_store_that_cannot_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
