/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "gateway/core/journal.h"

static uint8_t filler[ENTRY_SIZE];

static uint64_t put(struct journal *journal, enum lane lane, uint16_t uplinks, uint32_t size) {
    struct entry entry = {.lane = lane, .kind = ENTRY_READINGS, .uplinks = uplinks, .at_ms = 5, .body = filler, .body_size = size};
    uint64_t seq = journal_seal(journal, &entry);
    assert_true(entry.seq == seq && entry.start == journal->start);
    return seq;
}

static void begin(struct journal *journal, struct arena *arena) {
    arena_init(arena);
    journal_init(journal, arena);
    journal_start(journal, 0xABCD, 100);
    journal_check(journal);
}

static void test_lanes_share_numbers(void **state) {
    (void)state;
    struct arena arena;
    struct journal journal;
    struct entry entry;
    begin(&journal, &arena);
    assert_true(journal_durable(&journal));
    assert_int_equal(journal_memory_from(&journal, LANE_FIRE), 100);
    assert_int_equal(put(&journal, LANE_READING, 1, 10), 100);
    assert_int_equal(put(&journal, LANE_FIRE, 3, 20), 101);
    assert_int_equal(put(&journal, LANE_READING, 2, 30), 102);
    assert_true(journal_find(&journal, LANE_READING, 0, 2, &entry));
    assert_int_equal(entry.seq, 102);
    assert_true(journal_find(&journal, LANE_READING, 0, 1, &entry));
    assert_int_equal(entry.seq, 100);
    assert_int_equal(entry.body_size, 10);
    assert_false(journal_find(&journal, LANE_READING, 101, 1, &entry));
    assert_false(journal_find(&journal, LANE_EVENT, 0, 0xFFFF, &entry));
    assert_true(journal_find(&journal, LANE_FIRE, 101, 1, &entry));
    arena_done(&arena);
}

static void test_store(void **state) {
    (void)state;
    struct arena arena;
    struct journal journal;
    struct journal_run run;
    begin(&journal, &arena);
    assert_false(journal_take(&journal, LANE_EVENT, &run));
    put(&journal, LANE_EVENT, 1, 10);
    put(&journal, LANE_EVENT, 1, 20);
    assert_true(journal_take(&journal, LANE_EVENT, &run));
    assert_true(run.first_seq == 100 && run.last_seq == 101 && run.size == 2 * ENTRY_HEADER_SIZE + 30);
    put(&journal, LANE_EVENT, 1, 30);
    assert_false(journal_take(&journal, LANE_EVENT, &run)); /* one at a time */
    journal_stored(&journal, LANE_EVENT, 101, false);
    journal_check(&journal);
    assert_true(journal_take(&journal, LANE_EVENT, &run)); /* all of it, once more */
    assert_true(run.first_seq == 100 && run.last_seq == 102);
    journal_stored(&journal, LANE_EVENT, 102, true);
    assert_true(journal_durable(&journal));
    assert_false(journal_take(&journal, LANE_EVENT, &run));
    assert_int_equal(journal.lanes[LANE_EVENT].lost, 0);
    arena_done(&arena);
}

static void test_largest_entry(void **state) {
    (void)state;
    struct arena arena;
    struct journal journal;
    struct journal_run run;
    begin(&journal, &arena);
    for (unsigned i = 0; i < 1000; i++) { /* the event lane wraps many times */
        put(&journal, LANE_EVENT, 1, ENTRY_SIZE);
        journal_check(&journal);
    }
    uint64_t from = journal_memory_from(&journal, LANE_EVENT);
    assert_true(from > 1000);
    assert_int_equal(journal.lanes[LANE_EVENT].lost, from - 100);
    assert_int_equal(journal.lanes[LANE_EVENT].untold.from, 100);
    assert_int_equal(journal.lanes[LANE_EVENT].untold.to, from - 1);
    assert_true(journal_take(&journal, LANE_EVENT, &run)); /* a run holds whole entries and no more than it may */
    assert_true(run.first_seq == from && run.size <= JOURNAL_RUN_SIZE && run.size % (ENTRY_HEADER_SIZE + ENTRY_SIZE) == 0);
    arena_done(&arena);
}

/* Three uplinks: one has got everything, one the first three, of one nothing is known. */
static void test_who_missed_what(void **state) {
    (void)state;
    struct arena arena;
    struct journal journal;
    struct journal_run run;
    const struct cursor all = {.low = UINT64_MAX - 1}, some = {.low = 101, .ranges_count = 1, .ranges = {{105, 105}}};
    begin(&journal, &arena);
    journal_watch(&journal, 0, LANE_EVENT, &all);
    journal_watch(&journal, 1, LANE_EVENT, &some);
    for (unsigned i = 0; i < 10; i++)
        put(&journal, LANE_EVENT, 7, 100);
    assert_true(journal_take(&journal, LANE_EVENT, &run)); /* 100 .. 109 are under way */
    while (journal_memory_from(&journal, LANE_EVENT) <= 112)
        put(&journal, LANE_EVENT, journal.next_seq < 112 ? 7 : 1, ENTRY_SIZE);
    const struct missed *missed = journal.lanes[LANE_EVENT].missed;
    assert_true(missed[0].count == 0);
    assert_true(missed[1].from == 110 && missed[1].to == 111 && missed[1].count == 2); /* what came later is not for it */
    journal_stored(&journal, LANE_EVENT, 109, false);
    assert_true(missed[0].count == 0);
    assert_true(missed[1].from == 102 && missed[1].to == 111 && missed[1].count == 2 + 7);
    assert_true(missed[2].from == 100 && missed[2].to == 111 && missed[2].count == 2 + 10);
    assert_true(journal_take(&journal, LANE_EVENT, &run));
    journal_stored(&journal, LANE_EVENT, run.last_seq, true); /* nothing of it went meanwhile */
    assert_true(missed[2].count == 2 + 10);
    arena_done(&arena);
}

/* The store fails after the ring has gone over the run it was given and over what came after it. */
static void test_gap_names_all_that_was_lost(void **state) {
    (void)state;
    struct arena arena;
    struct journal journal;
    struct journal_run run;
    begin(&journal, &arena);
    for (unsigned i = 0; i < 10; i++)
        put(&journal, LANE_EVENT, 1, 100);
    assert_true(journal_take(&journal, LANE_EVENT, &run));
    assert_true(run.first_seq == 100 && run.last_seq == 109);
    while (journal_memory_from(&journal, LANE_EVENT) <= 115)
        put(&journal, LANE_EVENT, 1, ENTRY_SIZE);
    const struct journal_lane *lane = &journal.lanes[LANE_EVENT];
    uint64_t gone = journal_memory_from(&journal, LANE_EVENT) - 1; /* 100 .. 109 may still arrive in the store */
    assert_int_equal(lane->untold.count, gone - 109);
    assert_int_equal(lane->untold.from, 110);
    journal_stored(&journal, LANE_EVENT, 109, false);
    journal_check(&journal);
    assert_int_equal(lane->untold.count, gone - 99);
    assert_int_equal(lane->lost, gone - 99);
    assert_int_equal(lane->untold.from, 100);
    assert_int_equal(lane->untold.to, gone);
    arena_done(&arena);
}

/* ---- random against lists ---- */

#define MODEL_MAX 20000

struct model_entry {
    uint64_t seq;
    uint32_t size;
    uint16_t uplinks;
    enum { MODEL_NEW, MODEL_UNDER_WAY, MODEL_DURABLE } store;
    bool in_memory, lost;
    uint8_t mark; /* first byte of the body */
};

struct model {
    struct model_entry entries[LANES_COUNT][MODEL_MAX];
    unsigned counts[LANES_COUNT];
    bool under_way[LANES_COUNT];
    uint64_t under_way_last[LANES_COUNT];
};

/* What the journal says is gone from memory must be the oldest; its fate is decided here, by the rules and not by the journal. */
static void model_follow_memory(struct model *model, const struct journal *journal, enum lane lane) {
    uint64_t from = journal_memory_from(journal, lane);
    uint64_t lost = 0;
    for (unsigned i = 0; i < model->counts[lane]; i++) {
        struct model_entry *entry = &model->entries[lane][i];
        if (entry->in_memory && entry->seq < from) {
            entry->in_memory = false;
            entry->lost = entry->store == MODEL_NEW;
        }
        lost += entry->lost;
    }
    assert_int_equal(journal->lanes[lane].lost, lost);
}

static void model_find(const struct model *model, const struct journal *journal, enum lane lane, uint64_t from_seq, uint16_t bit) {
    const struct model_entry *expected = NULL;
    for (unsigned i = 0; i < model->counts[lane] && !expected; i++) {
        const struct model_entry *entry = &model->entries[lane][i];
        if (entry->in_memory && entry->seq >= from_seq && entry->uplinks & bit)
            expected = entry;
    }
    struct entry entry;
    bool found = journal_find(journal, lane, from_seq, bit, &entry);
    assert_true(found == (expected != NULL));
    if (found) {
        assert_true(entry.seq == expected->seq && entry.uplinks == expected->uplinks && entry.body_size == expected->size);
        assert_true(!entry.body_size || entry.body[0] == expected->mark);
    }
}

static void model_take(struct model *model, struct journal *journal, enum lane lane) {
    struct journal_run run;
    bool expected = false;
    for (unsigned i = 0; i < model->counts[lane]; i++)
        expected = expected || (model->entries[lane][i].in_memory && model->entries[lane][i].store == MODEL_NEW);
    bool taken = journal_take(journal, lane, &run);
    assert_true(taken == (expected && !model->under_way[lane]));
    if (!taken)
        return;
    model->under_way[lane] = true;
    model->under_way_last[lane] = run.last_seq;
    uint32_t at = 0;
    for (unsigned i = 0; i < model->counts[lane]; i++) { /* every new entry from the oldest to the last, none left out, whole */
        struct model_entry *entry = &model->entries[lane][i];
        if (!entry->in_memory || entry->store != MODEL_NEW || entry->seq > run.last_seq)
            continue;
        struct entry sealed;
        size_t size;
        assert_true(entry_open(run.bytes + at, run.size - at, &sealed, &size));
        assert_int_equal(sealed.seq, entry->seq);
        assert_true(at || run.first_seq == entry->seq);
        at += (uint32_t)size;
        entry->store = MODEL_UNDER_WAY;
    }
    assert_int_equal(at, run.size);
    assert_true(run.size <= JOURNAL_RUN_SIZE);
}

static void model_stored(struct model *model, struct journal *journal, enum lane lane, bool ok) {
    if (!model->under_way[lane])
        return;
    model->under_way[lane] = false;
    journal_stored(journal, lane, model->under_way_last[lane], ok);
    uint64_t lost = 0;
    for (unsigned i = 0; i < model->counts[lane]; i++) {
        struct model_entry *entry = &model->entries[lane][i];
        if (entry->store == MODEL_UNDER_WAY) {
            entry->store = ok ? MODEL_DURABLE : MODEL_NEW;
            entry->lost = !ok && !entry->in_memory;
        }
        lost += entry->lost;
    }
    assert_int_equal(journal->lanes[lane].lost, lost);
}

static void model_told(const struct model *model, struct journal *journal, enum lane lane, uint64_t *told_total) {
    struct journal_lane *told = &journal->lanes[lane];
    if (!told->untold.count)
        return;
    assert_true(told->untold.from <= told->untold.to);
    uint64_t inside = 0;
    for (unsigned i = 0; i < model->counts[lane]; i++) {
        const struct model_entry *entry = &model->entries[lane][i];
        inside += entry->lost && entry->seq >= told->untold.from && entry->seq <= told->untold.to;
    }
    assert_true(inside >= told->untold.count); /* the range told holds all that it counts */
    *told_total += told->untold.count;
    told->untold.count = 0;
    assert_int_equal(*told_total, told->lost);
}

static void test_random(void **state) {
    (void)state;
    struct model *model = malloc(sizeof(*model));
    assert_non_null(model);
    uint64_t lost = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct prng prng;
        struct arena arena;
        struct journal journal;
        uint64_t told[LANES_COUNT] = {0};
        prng_init(&prng, seed);
        begin(&journal, &arena);
        memset(model, 0, sizeof(*model));
        uint64_t failing = prng_below(&prng, 3), busy = 1 + prng_below(&prng, 40);
        for (unsigned step = 0; step < 3000; step++) {
            enum lane lane = prng_below(&prng, 8) ? LANE_EVENT : (enum lane)prng_below(&prng, LANES_COUNT);
            uint64_t draw = prng_below(&prng, busy + 5);
            if (draw < busy) {
                struct model_entry *entry = &model->entries[lane][model->counts[lane]++];
                entry->size = prng_below(&prng, 4) ? (uint32_t)prng_below(&prng, 600) : (uint32_t)prng_below(&prng, ENTRY_SIZE + 1);
                entry->uplinks = (uint16_t)prng_below(&prng, 8);
                entry->mark = filler[0] = (uint8_t)prng_next(&prng);
                entry->seq = put(&journal, lane, entry->uplinks, entry->size);
                entry->in_memory = true;
                model_follow_memory(model, &journal, lane);
                struct entry newest;
                assert_true(journal_find(&journal, lane, entry->seq, 0xFFFF, &newest) == (entry->uplinks != 0));
            } else if (draw == busy) {
                model_take(model, &journal, lane);
            } else if (draw == busy + 1) {
                model_stored(model, &journal, lane, prng_below(&prng, 3) >= failing);
            } else if (draw == busy + 2) {
                model_told(model, &journal, lane, &told[lane]);
            } else {
                uint64_t newest = journal.lanes[lane].newest_seq;
                model_find(model, &journal, lane, 90 + prng_below(&prng, newest - 80), (uint16_t)(1u << prng_below(&prng, 4)));
            }
            if (step % 7 == 0)
                journal_check(&journal);
        }
        lost += journal.lanes[LANE_EVENT].lost;
        arena_done(&arena);
    }
    assert_true(lost > 100);
    free(model);
}

/* Entries smaller than the index was sized for fill the slots before the bytes. */
static void test_slots_run_out_first(void **state) {
    (void)state;
    struct arena arena;
    struct journal journal;
    begin(&journal, &arena);
    uint32_t slots = journal.lanes[LANE_EVENT].slots_size;
    for (unsigned i = 0; i < 3 * slots; i++) {
        put(&journal, LANE_EVENT, 1, 0);
        if (i % 997 == 0)
            journal_check(&journal);
    }
    journal_check(&journal);
    assert_int_equal(journal.lanes[LANE_EVENT].count, slots);
    assert_int_equal(journal.lanes[LANE_EVENT].lost, 2 * slots);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanes_share_numbers), cmocka_unit_test(test_store),
        cmocka_unit_test(test_largest_entry),       cmocka_unit_test(test_who_missed_what),
        cmocka_unit_test(test_gap_names_all_that_was_lost),
        cmocka_unit_test(test_slots_run_out_first), cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
