/* SPDX-License-Identifier: Apache-2.0 */
/* The store's mailbox, driven from one thread: what comes first, what gives way, and what stopping still finishes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/io/store_queue.h"

struct box {
    struct store_queue queue;
    struct run *run;
    struct history_batch batch;
    uint64_t dropped;
};

static struct box *box_new(void) {
    struct box *box = calloc(1, sizeof(*box));
    assert_int_equal(queue_init(&box->queue), ERR_OK);
    return box;
}

static void box_free(struct box *box) {
    queue_done(&box->queue);
    free(box->batch.body.bytes);
    free(box);
}

static enum work next(struct box *box) { /* never waits: the time is always up */
    return queue_wait(&box->queue, 0, &box->run, &box->batch, &box->dropped);
}

static void urgent_first(void **state) {
    (void)state;
    struct box *box = box_new();
    struct record_save save = {.owner = "smoke-1", .name = "smoke", .bytes = "abc", .size = 3};
    queue_put_history(&box->queue, 5, (const uint8_t *)"h", 1);
    queue_put_run(&box->queue, LANE_READING, 1, 2, (const uint8_t *)"reading", 7, NULL, 0);
    queue_put_run(&box->queue, LANE_EVENT, 3, 3, (const uint8_t *)"event", 5, NULL, 0);
    queue_put_run(&box->queue, LANE_FIRE, 4, 4, (const uint8_t *)"fire", 4, &save, 1);
    memset(&save, 0, sizeof(save)); /* was copied */
    static const char *const bodies[LANES_COUNT] = {"fire", "event", "reading"};
    for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
        assert_int_equal(next(box), WORK_RUN);
        assert_int_equal(box->run->lane, lane);
        assert_int_equal(box->run->body.size, strlen(bodies[lane]));
        assert_memory_equal(box->run->body.bytes, bodies[lane], strlen(bodies[lane]));
        if (lane == LANE_FIRE) {
            assert_int_equal(box->run->records_count, 1);
            assert_string_equal(box->run->records[0].owner, "smoke-1");
            assert_memory_equal(box->run->records[0].bytes, "abc", 3);
        }
        queue_run_done(&box->queue, (enum lane)lane);
    }
    queue_put_run(&box->queue, LANE_FIRE, 5, 5, (const uint8_t *)"again", 5, NULL, 0); /* overtakes the batch that waits */
    assert_int_equal(next(box), WORK_RUN);
    assert_int_equal(box->run->records_count, 0);
    assert_int_equal(next(box), WORK_HISTORY);
    assert_true(box->batch.at_ms == 5 && box->batch.body.size == 1);
    assert_int_equal(next(box), WORK_TIME);
    box_free(box);
}

static void oldest_batch_gives_way(void **state) {
    (void)state;
    struct box *box = box_new();
    for (unsigned i = 0; i < HISTORY_BATCHES_MAX + 3; i++)
        queue_put_history(&box->queue, i, (const uint8_t *)"0123456789abcdef", i + 1);
    assert_int_equal(queue_dropped(&box->queue), 3);
    assert_int_equal(queue_readings_dropped(&box->queue), 0); /* these are none */
    for (unsigned i = 3; i < HISTORY_BATCHES_MAX + 3; i++) {
        assert_int_equal(next(box), WORK_HISTORY);
        assert_true(box->batch.at_ms == i && box->batch.body.size == i + 1 && box->dropped == 3);
    }
    assert_int_equal(next(box), WORK_TIME);
    box_free(box);
}

static void dropped_readings_are_counted(void **state) {
    (void)state;
    struct box *box = box_new();
    uint8_t bytes[256];
    for (unsigned i = 0; i < HISTORY_BATCHES_MAX + 3; i++) {
        struct bytes_writer writer;
        struct reading_order order;
        bytes_writer_init(&writer, bytes, sizeof(bytes));
        reading_order_begin(&order, 0);
        for (unsigned r = 0; r <= i; r++)
            entry_put_reading(&writer, &order, &(struct packed_reading){.series = r, .value = {.kind = VALUE_INTEGER, .integer = r}});
        queue_put_history(&box->queue, i, bytes, (uint32_t)writer.length);
    }
    assert_true(queue_dropped(&box->queue) == 3 && queue_readings_dropped(&box->queue) == 1 + 2 + 3);
    box_free(box);
}

static void cursors_wait_and_merge(void **state) {
    (void)state;
    static struct cursor cursors[UPLINKS_MAX][LANES_COUNT];
    bool dirty[UPLINKS_MAX][LANES_COUNT] = {{false}};
    struct box *box = box_new();
    struct cursor cursor = {.low = 7};
    queue_put_cursor(&box->queue, 2, LANE_EVENT, &cursor);
    cursor.low = 9;
    queue_put_cursor(&box->queue, 2, LANE_EVENT, &cursor);
    int64_t wait_us = box->queue.cursors_due_us - now_mono_us();
    assert_true(wait_us > 0 && wait_us <= CURSOR_DELAY_US);
    assert_int_equal(next(box), WORK_TIME); /* not yet */
    box->queue.cursors_due_us = now_mono_us();
    assert_int_equal(next(box), WORK_CURSORS);
    queue_take_cursors(&box->queue, cursors, dirty);
    assert_true(cursors[2][LANE_EVENT].low == 9 && dirty[2][LANE_EVENT] && !dirty[2][LANE_FIRE] && !dirty[0][LANE_EVENT]);
    assert_int_equal(next(box), WORK_TIME);
    memset(dirty, 0, sizeof(dirty));
    queue_take_cursors(&box->queue, cursors, dirty);
    assert_false(dirty[2][LANE_EVENT]); /* once */
    queue_cursors_again(&box->queue);   /* the commit failed: not at once */
    assert_int_equal(next(box), WORK_TIME);
    assert_true(box->queue.cursors_due_us > now_mono_us());
    box_free(box);
}

static void stopping_finishes_everything(void **state) {
    (void)state;
    static struct cursor cursors[UPLINKS_MAX][LANES_COUNT];
    bool dirty[UPLINKS_MAX][LANES_COUNT] = {{false}};
    struct box *box = box_new();
    struct cursor cursor = {.low = 7};
    struct query query = {.uplink = 1, .lane = LANE_EVENT};
    queue_put_cursor(&box->queue, 0, LANE_FIRE, &cursor);
    queue_put_history(&box->queue, 1, (const uint8_t *)"h", 1);
    queue_put_run(&box->queue, LANE_READING, 1, 2, (const uint8_t *)"reading", 7, NULL, 0);
    queue_put_query(&box->queue, &query);
    queue_stop(&box->queue);
    assert_false(queue_wait_query(&box->queue, &query));
    assert_int_equal(next(box), WORK_RUN);
    queue_run_done(&box->queue, LANE_READING);
    assert_int_equal(next(box), WORK_HISTORY);
    assert_int_equal(next(box), WORK_CURSORS); /* without waiting for its time */
    queue_take_cursors(&box->queue, cursors, dirty);
    queue_cursors_again(&box->queue); /* a disk that fails does not keep the process */
    assert_int_equal(next(box), WORK_STOP);
    box_free(box);
}

static void queries_take_turns(void **state) {
    (void)state;
    struct box *box = box_new();
    struct query query;
    static const uint16_t expected[] = {2, 0, 1, 3}; /* fire first, then in turn */
    for (uint16_t i = 0; i < 4; i++) {
        query = (struct query){.uplink = i, .lane = i == 2 ? LANE_FIRE : LANE_READING, .after_seq = i};
        queue_put_query(&box->queue, &query);
    }
    box->queue.queries_next = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (i == 1)
            box->queue.queries_next = 0;
        assert_true(queue_wait_query(&box->queue, &query));
        assert_int_equal(query.uplink, expected[i]);
        assert_true(query.after_seq == expected[i]);
        queue_query_done(&box->queue, query.uplink);
        if (i == 1) { /* who was just served waits for the others */
            query = (struct query){.uplink = 0, .lane = LANE_READING, .after_seq = 0};
            queue_put_query(&box->queue, &query);
        }
    }
    assert_true(queue_wait_query(&box->queue, &query));
    assert_int_equal(query.uplink, 0);
    box_free(box);
}

static void busy_time_is_the_writers(void **state) {
    (void)state;
    struct box *box = box_new();
    assert_true(queue_busy_us(&box->queue) == 0); /* idle */
    queue_put_history(&box->queue, 1, (const uint8_t *)"h", 1);
    assert_int_equal(next(box), WORK_HISTORY);
    box->queue.working_since_us -= 5000000; /* as if it had taken this long */
    assert_true(queue_busy_us(&box->queue) >= 5000000);
    assert_int_equal(next(box), WORK_TIME);
    assert_true(queue_busy_us(&box->queue) < 5000000);
    box_free(box);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urgent_first),           cmocka_unit_test(oldest_batch_gives_way), cmocka_unit_test(dropped_readings_are_counted),
        cmocka_unit_test(cursors_wait_and_merge), cmocka_unit_test(stopping_finishes_everything),
        cmocka_unit_test(queries_take_turns),     cmocka_unit_test(busy_time_is_the_writers),
    };
    return cmocka_run_group_tests_name("store_queue", tests, NULL, NULL);
}
