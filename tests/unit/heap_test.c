/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines in order, ties in the order set, and a soak against the plainest model there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/heap.h"
#include "base/now.h"
#include "base/prng.h"

static void order_and_ties(void **state) {
    (void)state;
    struct arena arena;
    struct heap heap;
    uint32_t item = 99;
    arena_init(&arena);
    heap_init(&heap, 6, &arena);
    assert_true(heap_first_us(&heap) == NOW_NEVER);
    assert_false(heap_take_due(&heap, INT64_MAX, &item));
    heap_set(&heap, 4, 10);
    heap_set(&heap, 1, 10);
    heap_set(&heap, 0, 5);
    heap_set(&heap, 5, 10);
    heap_set(&heap, 4, 10); /* set again: last of the ties */
    heap_set(&heap, 2, 20);
    heap_set(&heap, 2, NOW_NEVER);
    heap_set(&heap, 3, NOW_NEVER); /* was not there */
    assert_true(heap_at_us(&heap, 1) == 10);
    assert_true(heap_at_us(&heap, 2) == NOW_NEVER);
    assert_true(heap_first_us(&heap) == 5);
    assert_false(heap_take_due(&heap, 4, &item));
    static const uint32_t expected[] = {0, 1, 5, 4};
    for (unsigned i = 0; i < 4; i++) {
        assert_true(heap_take_due(&heap, 10, &item));
        assert_int_equal(item, expected[i]);
        heap_check(&heap);
    }
    assert_true(heap_first_us(&heap) == NOW_NEVER);
    arena_done(&arena);
}

#define ITEMS 37

struct model {
    int64_t at_us[ITEMS];
    uint64_t order[ITEMS], next;
};

static uint32_t model_first(const struct model *model) {
    uint32_t first = ITEMS;
    for (uint32_t i = 0; i < ITEMS; i++) {
        if (model->at_us[i] == NOW_NEVER)
            continue;
        if (first == ITEMS || model->at_us[i] < model->at_us[first] ||
            (model->at_us[i] == model->at_us[first] && model->order[i] < model->order[first]))
            first = i;
    }
    return first;
}

static void soak_against_a_model(void **state) {
    (void)state;
    struct arena arena;
    struct heap heap;
    struct model model = {.next = 0};
    struct prng prng;
    arena_init(&arena);
    heap_init(&heap, ITEMS, &arena);
    prng_init(&prng, 7);
    for (unsigned i = 0; i < ITEMS; i++)
        model.at_us[i] = NOW_NEVER;
    for (unsigned round = 0; round < 100000; round++) {
        uint32_t item = (uint32_t)prng_below(&prng, ITEMS), first = model_first(&model);
        int64_t at_us = (int64_t)prng_below(&prng, 12) - 4;
        switch (prng_below(&prng, 5)) {
        case 0: {
            uint32_t taken = ITEMS;
            bool due = first < ITEMS && model.at_us[first] <= at_us;
            assert_int_equal(heap_take_due(&heap, at_us, &taken), due);
            if (due) {
                assert_int_equal(taken, first);
                model.at_us[first] = NOW_NEVER;
            }
            break;
        }
        case 1:
            heap_set(&heap, item, NOW_NEVER);
            model.at_us[item] = NOW_NEVER;
            break;
        default:
            heap_set(&heap, item, at_us);
            model.at_us[item] = at_us;
            model.order[item] = model.next++;
        }
        heap_check(&heap);
        first = model_first(&model);
        assert_true(heap_first_us(&heap) == (first < ITEMS ? model.at_us[first] : NOW_NEVER));
        assert_true(heap_at_us(&heap, item) == model.at_us[item]);
    }
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(order_and_ties), cmocka_unit_test(soak_against_a_model)};
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
