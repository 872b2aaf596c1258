/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "gateway/core/records.h"

#define SLOTS 12

struct rig {
    struct arena arena;
    struct records records;
    unsigned puts[SLOTS]; /* how often each was written */
};

static void begin(struct rig *rig, uint32_t slots) {
    *rig = (struct rig){.records.count = 0};
    arena_init(&rig->arena);
    records_init(&rig->records, slots, &rig->arena);
}

static void put(void *context, uint32_t slot, struct record_save *ret_save) {
    struct rig *rig = context;
    rig->puts[slot % SLOTS]++;
    ret_save->bytes[0] = (uint8_t)slot;
    ret_save->size = 1;
}

/* A bit for each slot that went with the run. */
static unsigned take(struct rig *rig, enum lane lane, uint64_t last_seq) {
    unsigned slots = 0;
    uint16_t count = records_take(&rig->records, lane, last_seq, put, rig);
    for (unsigned i = 0; i < count; i++)
        slots |= 1u << rig->records.saves[lane][i].bytes[0];
    records_check(&rig->records);
    return slots;
}

static void stored(struct rig *rig, enum lane lane, bool ok) {
    records_stored(&rig->records, lane, ok);
    records_check(&rig->records);
}

/* A record goes with the run that holds its event: neither with an earlier one nor with another lane's. */
static void test_goes_with_its_event(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, SLOTS);
    assert_int_equal(take(&rig, LANE_FIRE, UINT64_MAX), 0);
    records_mark(&rig.records, 3, LANE_FIRE, 10);
    records_mark(&rig.records, 4, LANE_EVENT, 11);
    assert_int_equal(take(&rig, LANE_FIRE, 9), 0);
    assert_int_equal(take(&rig, LANE_READING, 100), 0);
    assert_int_equal(take(&rig, LANE_FIRE, 10), 1u << 3);
    stored(&rig, LANE_FIRE, true);
    assert_int_equal(take(&rig, LANE_FIRE, 20), 0); /* once */
    assert_int_equal(take(&rig, LANE_EVENT, 100), 1u << 4);
    stored(&rig, LANE_FIRE, true);
    stored(&rig, LANE_EVENT, true);
    assert_int_equal(rig.records.waiting_count, 0);
    arena_done(&rig.arena);
}

static void test_without_an_event_goes_with_any_run(void **state) {
    (void)state;
    for (enum lane lane = LANE_FIRE; lane < LANES_COUNT; lane++) {
        struct rig rig;
        begin(&rig, SLOTS);
        records_mark(&rig.records, 0, LANE_EVENT, RECORDS_NO_EVENT);
        assert_int_equal(take(&rig, lane, 1), 1);
        stored(&rig, lane, true);
        arena_done(&rig.arena);
    }
}

/* A run that failed leaves its records as they were: they go with the next. */
static void test_failed_run(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, SLOTS);
    records_mark(&rig.records, 1, LANE_EVENT, 5);
    assert_int_equal(take(&rig, LANE_EVENT, 5), 1u << 1);
    stored(&rig, LANE_FIRE, true); /* of another lane: nothing of ours */
    assert_int_equal(rig.records.slots[1].state, RECORD_SAVING);
    stored(&rig, LANE_EVENT, false);
    assert_int_equal(take(&rig, LANE_EVENT, 5), 1u << 1);
    stored(&rig, LANE_EVENT, true);
    assert_int_equal(rig.records.slots[1].state, RECORD_SAVED);
    arena_done(&rig.arena);
}

/* Changed again while it is being saved: the old run's success says nothing about the new state. */
static void test_changed_while_saving(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig, SLOTS);
    records_mark(&rig.records, 2, LANE_EVENT, 5);
    take(&rig, LANE_EVENT, 5);
    records_mark(&rig.records, 2, LANE_EVENT, 6);
    stored(&rig, LANE_EVENT, true);
    assert_int_equal(rig.records.slots[2].state, RECORD_CHANGED);
    records_mark(&rig.records, 2, LANE_FIRE, 7); /* and again, with an event of another lane: counted once */
    assert_int_equal(rig.records.waiting_count, 1);
    assert_int_equal(take(&rig, LANE_EVENT, 6), 0);
    assert_int_equal(take(&rig, LANE_FIRE, 7), 1u << 2);
    records_mark(&rig.records, 2, LANE_EVENT, 8); /* two runs that have it, one after the other */
    assert_int_equal(take(&rig, LANE_EVENT, 8), 1u << 2);
    stored(&rig, LANE_FIRE, false);
    assert_int_equal(rig.records.slots[2].state, RECORD_SAVING); /* the newer one has all of it */
    stored(&rig, LANE_EVENT, true);
    assert_int_equal(rig.records.slots[2].state, RECORD_SAVED);
    arena_done(&rig.arena);
}

/* More than one run can carry: the rest goes with the next. */
static void test_more_than_fits(void **state) {
    (void)state;
    struct rig rig;
    unsigned slots = 5000, taken = 0, runs = 0;
    begin(&rig, slots);
    for (unsigned i = 0; i < slots; i++)
        records_mark(&rig.records, i, LANE_EVENT, i + 1);
    while (rig.records.waiting_count) {
        assert_true(++runs <= 2);
        taken += records_take(&rig.records, LANE_EVENT, UINT64_MAX, put, &rig);
        stored(&rig, LANE_EVENT, true);
    }
    assert_int_equal(taken, slots);
    arena_done(&rig.arena);
}

/* Whatever happens: what is marked is written after that, and saved when its newest run was. */
static void test_random(void **state) {
    (void)state;
    struct prng prng;
    struct rig rig;
    uint64_t seq = 0;
    unsigned marked[SLOTS] = {0};
    prng_init(&prng, 1);
    begin(&rig, SLOTS);
    for (unsigned i = 0; i < 200000; i++) {
        enum lane lane = (enum lane)prng_below(&prng, LANES_COUNT);
        unsigned slot = (unsigned)prng_below(&prng, SLOTS);
        switch (prng_below(&prng, 4)) {
        case 0:
            records_mark(&rig.records, slot, lane, prng_below(&prng, 3) ? ++seq : RECORDS_NO_EVENT);
            marked[slot] = rig.puts[slot];
            break;
        case 1:
            stored(&rig, lane, true); /* before the next run of a lane the last one has ended */
            take(&rig, lane, seq - (seq ? prng_below(&prng, 2) : 0));
            break;
        default:
            stored(&rig, lane, prng_below(&prng, 4));
            break;
        }
    }
    for (unsigned i = 0; i < 2; i++)
        for (enum lane lane = LANE_FIRE; lane < LANES_COUNT; lane++) {
            stored(&rig, lane, true);
            take(&rig, lane, seq);
        }
    for (unsigned i = 0; i < SLOTS; i++)
        assert_true(rig.puts[i] > marked[i]);
    assert_int_equal(rig.records.waiting_count, 0);
    arena_done(&rig.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_with_its_event), cmocka_unit_test(test_without_an_event_goes_with_any_run),
        cmocka_unit_test(test_failed_run),          cmocka_unit_test(test_changed_while_saving),
        cmocka_unit_test(test_more_than_fits),      cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
