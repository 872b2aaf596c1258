/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/core/aside.h"

static uint32_t series_at(int64_t mono_ms) {
    return (uint32_t)(mono_ms / 10 % 7);
}

static void put(struct aside *aside, int64_t mono_ms) {
    struct packed_reading reading = {.series = series_at(mono_ms), .at_ms = -77, .value = {.kind = VALUE_INTEGER, .integer = mono_ms}};
    aside_put(aside, 1000 * mono_ms, &reading);
}

/* Everything that waits, in order; each reading's value is its monotonic time, from which its series follows. */
static uint64_t take_all(struct aside *aside, const struct now *now, int64_t *ret_first, int64_t *ret_last) {
    struct bytes_writer body;
    struct bytes_reader reader;
    struct reading_order order;
    struct packed_reading reading;
    int64_t at_ms, before = INT64_MIN;
    uint64_t total = 0;
    uint16_t count;
    while (aside_take(aside, now, &at_ms, &body, &count)) {
        assert_true(body.length <= ASIDE_TAKE_SIZE && count > 0);
        bytes_reader_init(&reader, body.bytes, body.length);
        reading_order_begin(&order, at_ms);
        for (unsigned i = 0; i < count; i++) {
            assert_true(entry_get_reading(&reader, &order, &reading));
            assert_true(reading.at_ms == reading.value.integer + now->wall_ms - now->mono_us / 1000);
            assert_true(reading.value.integer > before && reading.series == series_at(reading.value.integer));
            before = reading.value.integer;
            if (!total++)
                *ret_first = before;
        }
        assert_true(reader.position == body.length);
    }
    *ret_last = before;
    return total;
}

static void what_waits_gets_the_time_it_had(void **state) {
    (void)state;
    struct arena arena;
    struct aside aside;
    struct now now = {.mono_us = 190000000, .wall_ms = 1767225600000, .wall_trusted = true};
    struct bytes_writer body;
    int64_t first, last, at_ms;
    uint16_t taken;
    arena_init(&arena);
    aside_init(&aside, &arena);
    assert_int_equal(aside_count(&aside), 0);
    assert_int_equal(take_all(&aside, &now, &first, &last), 0);
    for (int64_t ms = 1000; ms < 121000; ms += 10)
        put(&aside, ms);
    assert_int_equal(aside_count(&aside), 12000);
    assert_true(aside_take(&aside, &now, &at_ms, &body, &taken) && taken < 12000);
    for (int64_t ms = 121000; ms < 131000; ms += 10) /* while it is taken */
        put(&aside, ms);
    assert_int_equal(take_all(&aside, &now, &first, &last), 13000 - taken);
    assert_true(first == 1000 + 10 * taken && last == 130990 && aside_count(&aside) == 0);
    put(&aside, 195000); /* the clock was lost once more */
    now.mono_us = 200000000;
    now.wall_ms -= 86400000;
    assert_int_equal(take_all(&aside, &now, &first, &last), 1);
    assert_int_equal(aside.lost, 0);
    arena_done(&arena);
}

/* More than fits: the newest stay, in order, and what went is counted; also when a part was taken already. */
static void the_oldest_goes_and_is_counted(void **state) {
    (void)state;
    struct arena arena;
    struct aside aside;
    struct now now = {.mono_us = 900000000000, .wall_ms = 1767225600000, .wall_trusted = true};
    struct bytes_writer body;
    int64_t first, last, at_ms;
    uint16_t taken;
    arena_init(&arena);
    aside_init(&aside, &arena);
    for (int64_t i = 0; i < 200000; i++)
        put(&aside, 10 * i);
    uint64_t waits = aside_count(&aside);
    assert_true(waits > 10000 && waits + aside.lost == 200000);
    assert_true(aside_take(&aside, &now, &at_ms, &body, &taken));
    for (int64_t i = 200000; i < 230000; i++)
        put(&aside, 10 * i);
    waits = aside_count(&aside);
    assert_true(waits + aside.lost + taken == 230000);
    assert_int_equal(take_all(&aside, &now, &first, &last), waits);
    assert_true(last == 2299990 && first == 2299990 - 10 * (int64_t)(waits - 1));
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_gets_the_time_it_had),
        cmocka_unit_test(the_oldest_goes_and_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
