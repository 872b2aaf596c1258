/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "gateway/core/cursor.h"

static void test_joins(void **state) {
    (void)state;
    struct cursor cursor = {.low = 10};
    assert_false(cursor_add(&cursor, 5, 10));
    assert_false(cursor_add(&cursor, 12, 11)); /* nothing */
    assert_true(cursor_add(&cursor, 20, 29));
    assert_true(cursor_add(&cursor, 40, 49));
    assert_int_equal(cursor.ranges_count, 2);
    assert_false(cursor_add(&cursor, 21, 29));
    assert_true(cursor_add(&cursor, 30, 39)); /* touches both */
    assert_int_equal(cursor.ranges_count, 1);
    assert_int_equal(cursor_next(&cursor, 0), 11);
    assert_int_equal(cursor_next(&cursor, 20), 50);
    assert_int_equal(cursor_next(&cursor, 35), 50);
    assert_int_equal(cursor_next(&cursor, 50), 50);
    assert_true(cursor_add(&cursor, 8, 19)); /* begins below the mark and reaches the range */
    assert_int_equal(cursor.low, 49);
    assert_int_equal(cursor.ranges_count, 0);
    cursor_check(&cursor);
}

static void test_spans_many(void **state) {
    (void)state;
    struct cursor cursor = {.low = 0};
    for (uint64_t i = 1; i <= 5; i++)
        assert_true(cursor_add(&cursor, 10 * i, 10 * i + 3));
    assert_true(cursor_add(&cursor, 15, 45)); /* over three and into a fourth, from a gap */
    assert_int_equal(cursor.ranges_count, 3);
    assert_int_equal(cursor.ranges[1].from, 15);
    assert_int_equal(cursor.ranges[1].to, 45);
    assert_true(cursor_add(&cursor, 1, 100));
    assert_int_equal(cursor.low, 100);
    cursor_check(&cursor);
}

static void test_no_room_forgets_the_highest(void **state) {
    (void)state;
    struct cursor cursor = {.low = 0};
    for (uint64_t i = 0; i < RANGES_MAX; i++)
        assert_true(cursor_add(&cursor, 100 + 10 * i, 101 + 10 * i));
    uint64_t highest = cursor.ranges[RANGES_MAX - 1].from;
    assert_false(cursor_add(&cursor, highest + 100, highest + 101)); /* it would itself be the highest */
    assert_int_equal(cursor_next(&cursor, highest + 100), highest + 100);
    assert_true(cursor_add(&cursor, 50, 51));
    cursor_check(&cursor);
    assert_int_equal(cursor.ranges_count, RANGES_MAX);
    assert_int_equal(cursor.ranges[0].from, 50);
    assert_int_equal(cursor_next(&cursor, highest), highest); /* will be delivered again */
}

/* Against a set of integers. What is forgotten for want of room is asked back from the cursor itself: only that it was one
 * whole range at the top. */
#define UNIVERSE 2000

static void test_random(void **state) {
    (void)state;
    unsigned forgotten = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        static bool set[UNIVERSE + 2];
        struct cursor cursor = {.low = prng_below(&prng, 20)};
        for (unsigned i = 0; i < UNIVERSE + 2; i++)
            set[i] = i <= cursor.low;
        uint64_t longest = 1 + prng_below(&prng, 12);
        bool tight = seed % 2; /* many ranges far apart */
        for (unsigned step = 0; step < 600; step++) {
            uint64_t from = 1 + prng_below(&prng, UNIVERSE - longest);
            if (tight)
                from = 1 + (from & ~UINT64_C(7));
            uint64_t to = from + prng_below(&prng, longest);
            bool changes = false;
            for (uint64_t i = from; i <= to; i++)
                changes = changes || !set[i];
            bool full = cursor.ranges_count == RANGES_MAX;
            bool changed = cursor_add(&cursor, from, to);
            cursor_check(&cursor);
            for (uint64_t i = from; i <= to; i++)
                set[i] = true;
            if (full && changes) { /* what lies above the highest range may be gone */
                uint64_t top = cursor_reach(&cursor);
                for (uint64_t i = top + 1; i <= UNIVERSE; i++) {
                    forgotten += set[i];
                    set[i] = false;
                }
            } else {
                assert_true(changed == changes);
            }
            for (uint64_t i = 0, next = UNIVERSE + 1; i <= UNIVERSE; i++) { /* cursor_next from everywhere */
                uint64_t seq = UNIVERSE - i;
                next = set[seq] ? next : seq;
                if (step % 20 == 0 || i == 0)
                    assert_int_equal(cursor_next(&cursor, seq), next);
            }
            for (uint64_t i = 0; i <= cursor.low; i++)
                assert_true(set[i]);
            assert_false(set[cursor.low + 1]);
        }
    }
    assert_true(forgotten > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_spans_many),
        cmocka_unit_test(test_no_room_forgets_the_highest),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
