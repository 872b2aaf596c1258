/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "core_site.h"
#include "gateway/core/publish.h"

struct world {
    struct site site;
    struct arena arena;
    struct journal journal;
    struct publisher publisher;
    uint64_t read_seq; /* entries up to here were looked at */
};

static struct world *world_new(void) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    site_init(&world->site);
    return world;
}

static void begin(struct world *world) {
    arena_init(&world->arena);
    journal_init(&world->journal, &world->arena);
    publisher_init(&world->publisher, &world->site.config, &world->site.directory, &world->journal, &world->arena);
    journal_start(&world->journal, 1, 1);
    publisher_start(&world->publisher, world->site.image.uplink_numbers);
}

static void world_end(struct world *world) {
    arena_done(&world->arena);
    free(world);
}

static void policy(struct world *world, unsigned uplink, uint32_t batch_ms, bool on_change, uint32_t at_least_every_ms) {
    world->site.uplinks[uplink].readings =
        (struct config_readings){.wanted = true, .batch_ms = batch_ms, .on_change = on_change, .at_least_every_ms = at_least_every_ms};
}

/* One poll of a device: the core judges time after the event, as here. */
static void poll(struct world *world, int64_t ms, uint16_t device, unsigned points, double value) {
    struct now now = site_now(ms);
    struct reading readings[SITE_POINTS];
    for (unsigned i = 0; i < points; i++)
        readings[i] = (struct reading){.point = (uint16_t)i, .value = {.kind = VALUE_NUMBER, .number = value}};
    publisher_on_readings(&world->publisher, &now, device, readings, points);
    publisher_on_time(&world->publisher, &now);
}

static void poll_value(struct world *world, int64_t ms, struct reading reading) {
    struct now now = site_now(ms);
    publisher_on_readings(&world->publisher, &now, 0, &reading, 1);
}

static void pass(struct world *world, int64_t ms) {
    struct now now = site_now(ms);
    publisher_on_time(&world->publisher, &now);
}

/* The next entry for an uplink, and how many readings it holds; 0 when there is none. */
static unsigned next(struct world *world, unsigned uplink, struct entry *ret_entry) {
    uint16_t bit = (uint16_t)(1u << world->site.image.uplink_numbers[uplink]);
    if (!journal_find(&world->journal, LANE_READING, world->read_seq + 1, bit, ret_entry))
        return 0;
    world->read_seq = ret_entry->seq;
    struct bytes_reader body;
    struct reading_order order = entry_order(ret_entry);
    struct packed_reading reading;
    unsigned count = 0;
    bytes_reader_init(&body, ret_entry->body, ret_entry->body_size);
    while (entry_get_reading(&body, &order, &reading))
        count++;
    assert_false(body.failed);
    return count;
}

static unsigned entries(struct world *world, unsigned uplink) {
    struct entry entry;
    unsigned count = 0;
    while (next(world, uplink, &entry))
        count++;
    world->read_seq = 0;
    return count;
}

static void test_each_poll_at_once(void **state) {
    (void)state;
    struct world *world = world_new();
    struct entry entry;
    begin(world);
    poll(world, 0, 0, 4, 1);
    poll(world, 1000, 2, 2, 1);
    poll(world, 2000, 0, 4, 1); /* unchanged */
    assert_int_equal(next(world, 0, &entry), 4);
    assert_int_equal(entry.at_ms, site_now(0).wall_ms);
    assert_true(entry.trusted && entry.kind == ENTRY_READINGS && entry.uplinks == 2);
    assert_int_equal(next(world, 0, &entry), 2);
    assert_int_equal(next(world, 0, &entry), 4);
    assert_int_equal(next(world, 0, &entry), 0);
    world_end(world);
}

static void test_batch(void **state) {
    (void)state;
    struct world *world = world_new();
    struct entry entry;
    policy(world, 0, 5000, false, 0);
    begin(world);
    for (int64_t ms = 0; ms < 5000; ms += 1000)
        poll(world, ms, 0, 4, (double)ms);
    poll(world, 4500, 1, 1, 1); /* a batch of its own */
    assert_int_equal(entries(world, 0), 0);
    assert_true(publisher_next_wake(&world->publisher) <= 5000000);
    pass(world, 4999);
    assert_int_equal(entries(world, 0), 0);
    pass(world, 5000);
    assert_int_equal(next(world, 0, &entry), 20);
    assert_int_equal(entry.at_ms, site_now(0).wall_ms);
    struct bytes_reader body;
    struct reading_order order = entry_order(&entry);
    struct packed_reading reading;
    bytes_reader_init(&body, entry.body, entry.body_size);
    for (unsigned i = 0; i < 20; i++) { /* each its own time and place */
        assert_true(entry_get_reading(&body, &order, &reading));
        assert_int_equal(reading.at_ms, site_now(1000 * (i / 4)).wall_ms);
        assert_int_equal(reading.series, i % 4);
        assert_true(reading.value.number == 1000.0 * (i / 4));
    }
    assert_int_equal(next(world, 0, &entry), 0);
    pass(world, 9500);
    assert_int_equal(next(world, 0, &entry), 1);
    poll(world, 20000, 0, 1, 1); /* the next batch counts from its own first reading */
    pass(world, 24999);
    assert_int_equal(next(world, 0, &entry), 0);
    pass(world, 25000);
    assert_int_equal(next(world, 0, &entry), 1);
    world_end(world);
}

static void test_ten_minutes_and_full_batches(void **state) {
    (void)state;
    struct world *world = world_new();
    struct entry entry;
    unsigned readings = 0, count, sealed = 0;
    policy(world, 0, 600000, false, 0);
    begin(world);
    for (int64_t ms = 0; ms < 600000; ms += 1000)
        poll(world, ms, 0, 4, (double)ms);
    assert_int_equal(entries(world, 0), 2400 / ENTRY_READINGS_MAX); /* full ones go before their time */
    pass(world, 600000);
    while ((count = next(world, 0, &entry)) > 0) {
        assert_true(count <= ENTRY_READINGS_MAX && entry.body_size <= ENTRY_SIZE);
        readings += count;
        sealed++;
    }
    assert_int_equal(readings, 2400);
    assert_int_equal(sealed, 10);
    world_end(world);
}

static void test_texts_fill_a_batch_by_bytes(void **state) {
    (void)state;
    struct world *world = world_new();
    struct entry entry;
    policy(world, 0, 5000, false, 0);
    begin(world);
    struct reading reading = {.value = {.kind = VALUE_TEXT, .text = "1234567890123456789012345678901"}};
    unsigned readings = 0, count;
    for (unsigned i = 0; i < 1000; i++)
        poll_value(world, i, reading);
    publisher_flush(&world->publisher);
    while ((count = next(world, 0, &entry)) > 0)
        readings += count;
    assert_int_equal(readings, 1000);
    assert_int_equal(heap_first_us(&world->publisher.deadlines), NOW_NEVER);
    world_end(world);
}

static void test_flush(void **state) {
    (void)state;
    struct world *world = world_new();
    struct entry entry;
    policy(world, 0, 600000, false, 0);
    begin(world);
    poll(world, 0, 0, 3, 1);
    poll(world, 0, 3, 2, 1);
    publisher_flush(&world->publisher);
    assert_int_equal(next(world, 0, &entry), 3);
    assert_int_equal(next(world, 0, &entry), 2);
    publisher_flush(&world->publisher);
    assert_int_equal(next(world, 0, &entry), 0);
    world_end(world);
}

/* ---- report by exception ---- */

static void test_on_change(void **state) {
    (void)state;
    struct world *world = world_new();
    struct entry entry;
    policy(world, 0, 0, true, 0);
    begin(world);
    static const struct reading readings[] = {
        {.value = {.kind = VALUE_NUMBER, .number = 1}},                                 /* the first */
        {.value = {.kind = VALUE_NUMBER, .number = 1}},                                 /* - */
        {.value = {.kind = VALUE_INTEGER, .integer = 1}},                               /* another kind */
        {.value = {.kind = VALUE_INTEGER, .integer = 2}},                               /* changed */
        {.quality = QUALITY_UNCERTAIN, .value = {.kind = VALUE_INTEGER, .integer = 2}}, /* another quality */
        {.quality = QUALITY_BAD, .reason = REASON_NO_ANSWER, .value = {.kind = VALUE_NONE}},
        {.quality = QUALITY_BAD, .reason = REASON_NO_ANSWER, .value = {.kind = VALUE_NONE}}, /* - */
        {.value = {.kind = VALUE_TEXT, .text = "a"}},
        {.value = {.kind = VALUE_TEXT, .text = "a"}}, /* - */
        {.value = {.kind = VALUE_TEXT, .text = "b"}},
        {.value = {.kind = VALUE_TEXT, .text = ""}},
        {.value = {.kind = VALUE_UNSIGNED, .whole = UINT64_MAX}},
        {.value = {.kind = VALUE_UNSIGNED, .whole = UINT64_MAX}}, /* - */
        {.value = {.kind = VALUE_UNSIGNED, .whole = UINT64_MAX - 1}},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(readings); i++)
        poll_value(world, i * 1000, readings[i]);
    assert_int_equal(entries(world, 0), ARRAY_COUNT(readings) - 4);
    poll(world, 90000, 0, 4, 5); /* a poll of which one has not changed is told without it */
    poll(world, 91000, 0, 4, 5);
    world->read_seq = world->journal.next_seq - 2;
    assert_int_equal(next(world, 0, &entry), 4);
    assert_int_equal(next(world, 0, &entry), 0);
    world_end(world);
}

static unsigned reported(uint32_t every_ms, uint32_t at_least_every_ms, int64_t jitter_ms, int64_t for_ms) {
    struct world *world = world_new();
    policy(world, 0, 0, true, at_least_every_ms);
    for (unsigned p = 0; p < SITE_POINTS; p++)
        world->site.points[0][p].every_ms = every_ms;
    begin(world);
    struct entry entry;
    int64_t last_ms = -1, k = 0;
    unsigned count = 0;
    for (int64_t ms = 0; ms <= for_ms; ms += every_ms) {
        poll(world, ms + (k++ % 2 ? 0 : jitter_ms), 0, 1, 1);
        while (next(world, 0, &entry)) {
            if (last_ms >= 0)
                assert_true(entry.at_ms - last_ms <= (at_least_every_ms > every_ms ? at_least_every_ms : every_ms) + jitter_ms);
            last_ms = entry.at_ms;
            count++;
        }
    }
    world_end(world);
    return count;
}

/* "At least every" is a promise to the reader, kept by reporting the last poll that is not too late. */
static void test_at_least_every(void **state) {
    (void)state;
    assert_int_equal(reported(1000, 60000, 0, 600000), 11);
    assert_true(reported(1000, 60000, 20, 600000) <= 12);
    assert_int_equal(reported(60000, 60000, 0, 600000), 11);
    assert_int_equal(reported(60000, 60000, 20, 600000), 11); /* a poll a little early is not a reason to skip one */
    assert_int_equal(reported(45000, 60000, 0, 450000), 11);
    assert_int_equal(reported(1000, 0, 0, 600000), 1); /* never without a change */
}

/* ---- several uplinks ---- */

static void test_shared_stream(void **state) {
    (void)state;
    struct world *world = world_new();
    struct entry entry;
    world->site.config.uplinks_count = 2;
    policy(world, 0, 5000, true, 60000);
    policy(world, 1, 5000, true, 60000);
    begin(world);
    assert_int_equal(world->publisher.streams_count, 1);
    poll(world, 0, 0, 4, 1);
    pass(world, 5000);
    assert_int_equal(next(world, 0, &entry), 4);
    assert_int_equal(entry.uplinks, 2 | 4); /* sealed once for both */
    world->read_seq = 0;
    assert_int_equal(entries(world, 1), 1);
    world_end(world);
}

static void test_different_streams(void **state) {
    (void)state;
    struct world *world = world_new();
    struct entry entry;
    world->site.config.uplinks_count = 3;
    policy(world, 0, 0, true, 0);
    policy(world, 1, 5000, false, 0);
    world->site.uplinks[2].readings.wanted = false;
    begin(world);
    assert_int_equal(world->publisher.streams_count, 2);
    for (int64_t ms = 0; ms < 5000; ms += 1000)
        poll(world, ms, 0, 2, 1);
    pass(world, 5000);
    assert_int_equal(entries(world, 0), 1);
    assert_int_equal(entries(world, 1), 1);
    assert_int_equal(entries(world, 2), 0);
    assert_int_equal(next(world, 1, &entry), 10);
    assert_int_equal(entry.uplinks, 4);
    world_end(world);
}

/* ---- history ---- */

static void test_history(void **state) {
    (void)state;
    struct world *world = world_new();
    struct publish_batch batch;
    policy(world, 0, 600000, true, 0);
    begin(world);
    struct now now = site_now(0);
    assert_false(publisher_take_history(&world->publisher, &now, true, &batch));
    for (int64_t ms = 0; ms < 5000; ms += 1000)
        poll(world, ms, (uint16_t)(ms / 1000 % SITE_DEVICES), 4, 1);
    now = site_now(4999);
    assert_false(publisher_take_history(&world->publisher, &now, false, &batch));
    assert_int_equal(publisher_next_wake(&world->publisher), 5000000);
    now = site_now(5000);
    assert_true(publisher_take_history(&world->publisher, &now, false, &batch));
    assert_int_equal(batch.count, 20); /* every poll, also what was not reported */
    struct bytes_reader body;
    struct reading_order order;
    struct packed_reading reading;
    bytes_reader_init(&body, batch.body.bytes, batch.body.length);
    reading_order_begin(&order, batch.at_ms);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(entry_get_reading(&body, &order, &reading));
        assert_int_equal(reading.at_ms, site_now(1000 * (i / 4)).wall_ms);
        assert_int_equal(reading.series, i / 4 % SITE_DEVICES * SITE_POINTS + i % 4);
    }
    assert_false(publisher_take_history(&world->publisher, &now, true, &batch));
    world_end(world);
}

/* A batch under way is sealed when the clock becomes right or ceases to be, so that an entry's trust holds for every reading in it. */
static void test_an_entry_is_of_one_trust(void **state) {
    (void)state;
    struct world *world = world_new();
    struct publish_batch batch;
    struct reading reading = {.value = {.kind = VALUE_NUMBER, .number = 1}};
    struct entry entry;
    policy(world, 0, 600000, false, 0);
    begin(world);
    for (int64_t ms = 1000; ms <= 9000; ms += 1000) {
        struct now now = site_now(ms);
        now.wall_trusted = ms < 3500 || ms > 7500;
        publisher_on_readings(&world->publisher, &now, 0, &reading, 1);
    }
    struct now now = site_now(9000);
    assert_int_equal(next(world, 0, &entry), 3);
    assert_true(entry.trusted && entry.at_ms == site_now(1000).wall_ms);
    assert_int_equal(next(world, 0, &entry), 4);
    assert_true(!entry.trusted && entry.at_ms == site_now(4000).wall_ms);
    assert_int_equal(next(world, 0, &entry), 0); /* the last two still wait for their batch's time */
    publisher_on_time(&world->publisher, &now);
    assert_true(publisher_take_history(&world->publisher, &now, true, &batch));
    assert_int_equal(batch.count, 5);
    assert_true(publisher_take_history(&world->publisher, &now, true, &batch));
    assert_int_equal(batch.count, 4);
    assert_true(batch.at_ms == site_now(4000).wall_ms);
    assert_false(publisher_take_history(&world->publisher, &now, true, &batch));
    world_end(world);
}

static void test_history_goes_early_when_it_is_full(void **state) {
    (void)state;
    struct world *world = world_new();
    struct publish_batch batch;
    struct reading reading = {.value = {.kind = VALUE_TEXT, .text = "1234567890123456789012345678901"}};
    unsigned taken = 0;
    begin(world);
    for (unsigned i = 0; i < 5000; i++) {
        struct now now = site_now(0);
        poll_value(world, 0, reading);
        if (publisher_take_history(&world->publisher, &now, false, &batch)) {
            assert_true(batch.body.length <= PUBLISH_HISTORY_SIZE);
            taken += batch.count;
        }
    }
    struct now now = site_now(0);
    if (publisher_take_history(&world->publisher, &now, true, &batch))
        taken += batch.count;
    assert_int_equal(taken, 5000);
    world_end(world);
}

/* A device that dies has nothing left to say when all its points are bad already. */
static void test_no_readings_wake_nobody(void **state) {
    (void)state;
    struct world *world = world_new();
    begin(world);
    poll(world, 0, 0, 0, 0);
    assert_int_equal(publisher_next_wake(&world->publisher), NOW_NEVER);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_poll_at_once),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_ten_minutes_and_full_batches),
        cmocka_unit_test(test_texts_fill_a_batch_by_bytes),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_on_change),
        cmocka_unit_test(test_at_least_every),
        cmocka_unit_test(test_shared_stream),
        cmocka_unit_test(test_different_streams),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_an_entry_is_of_one_trust),
        cmocka_unit_test(test_history_goes_early_when_it_is_full),
        cmocka_unit_test(test_no_readings_wake_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
