/* SPDX-License-Identifier: Apache-2.0 */
/* A store under random runs, acknowledgements, backlog reads and restarts, compared with a plain list after each: nothing
 * that an uplink has not acknowledged is missing, unless it was told as evicted; nothing foreign or twice; cursors and
 * numbers come back as they were. Once with room for everything, once with a quota that is always used up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "store_fixture.h"

#define STEPS 800
#define SEQS_MAX (STEPS * 10)
#define UPLINKS 3

struct model {
    struct store_fixture fixture;
    struct prng prng;
    uint64_t next_seq;
    uint8_t lane[SEQS_MAX], mask[SEQS_MAX];
    struct cursor cursors[UPLINKS][LANES_COUNT];
    uint64_t evicted_to[LANES_COUNT], evicted[LANES_COUNT]; /* as told */
    uint64_t missing_to[LANES_COUNT];                       /* as found when reading */
    bool evicting;
};

static void open_and_compare(struct model *model) {
    struct store_fixture *f = &model->fixture;
    fixture_open(f);
    assert_false(f->image.quarantined);
    assert_true(f->image.next_seq == model->next_seq);
    for (unsigned i = 0; i < UPLINKS; i++) {
        assert_int_equal(f->image.uplink_numbers[i], i);
        for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
            const struct cursor *a = &f->image.cursors[i][lane], *b = &model->cursors[i][lane];
            assert_true(a->low == b->low && a->ranges_count == b->ranges_count);
            assert_memory_equal(a->ranges, b->ranges, a->ranges_count * sizeof(a->ranges[0]));
        }
    }
}

static void submit(struct model *model) {
    static uint8_t bytes[5 * (ENTRY_HEADER_SIZE + 6000)];
    struct store_fixture *f = &model->fixture;
    enum lane lane = (enum lane)(prng_below(&model->prng, 20) ? 1 + prng_below(&model->prng, 2) : 0); /* fire is rare */
    uint64_t first_seq = model->next_seq;
    size_t size = 0;
    for (uint64_t count = 1 + prng_below(&model->prng, 5); count; count--) {
        uint64_t seq = model->next_seq++;
        model->lane[seq] = (uint8_t)lane;
        model->mask[seq] = (uint8_t)prng_below(&model->prng, 1 << UPLINKS);
        size += fixture_seal(lane, seq, seq, model->mask[seq], (uint32_t)prng_below(&model->prng, 6000), bytes + size, sizeof(bytes) - size);
    }
    const struct store_stored *stored = fixture_submit_bytes(f, lane, first_seq, model->next_seq - 1, bytes, size);
    assert_int_equal(stored->err, ERR_OK);
    if (!stored->evicted.count)
        return;
    assert_true(model->evicting && stored->evicted.from <= stored->evicted.to && stored->evicted.to < model->next_seq);
    assert_true(stored->evicted.count <= stored->evicted.to - stored->evicted.from + 1);
    if (stored->evicted.to > model->evicted_to[stored->evicted_lane])
        model->evicted_to[stored->evicted_lane] = stored->evicted.to;
    model->evicted[stored->evicted_lane] += stored->evicted.count;
}

static void acknowledge(struct model *model) {
    unsigned uplink = (unsigned)prng_below(&model->prng, UPLINKS), lane = (unsigned)prng_below(&model->prng, LANES_COUNT);
    struct cursor *cursor = &model->cursors[uplink][lane];
    uint64_t newest = model->next_seq - 1;
    if (newest == 0 || (model->evicting && uplink == 0)) /* one uplink is dead, so that the store fills */
        return;
    uint64_t low = cursor->low + prng_below(&model->prng, newest - cursor->low + 1);
    *cursor = (struct cursor){.low = low};
    if (low + 4 < newest && !model->evicting) { /* ranges come and go here, and what was in one is no gap when it is evicted */
        cursor->ranges_count = 1;
        cursor->ranges[0].from = low + 2 + prng_below(&model->prng, newest - low - 3);
        cursor->ranges[0].to = cursor->ranges[0].from + prng_below(&model->prng, newest - cursor->ranges[0].from + 1);
    }
    store_cursor(model->fixture.store, (uint16_t)uplink, (enum lane)lane, cursor);
}

/* What is missing up to `end` must be older than all that is there. */
static void missing(struct model *model, unsigned uplink, enum lane lane, uint64_t *expected, uint64_t end, bool any) {
    for (; *expected < end; ++*expected)
        if (model->lane[*expected] == lane && (model->mask[*expected] >> uplink & 1)) {
            assert_true(model->evicting && !any);
            if (*expected > model->missing_to[lane])
                model->missing_to[lane] = *expected;
        }
}

/* Everything above the low-water mark, in order, is there or was evicted. */
static void read_and_compare(struct model *model, unsigned uplink, enum lane lane) {
    struct store_fixture *f = &model->fixture;
    uint64_t newest = model->next_seq - 1, expected = model->cursors[uplink][lane].low + 1;
    bool any = false;
    for (uint64_t after = expected - 1; after < newest; after = f->rows.through_seq) {
        struct entry entry;
        size_t step;
        assert_int_equal(fixture_ask(f, (uint16_t)uplink, lane, after, newest), ERR_OK);
        assert_true(f->rows.through_seq > after && f->rows.through_seq <= newest);
        for (size_t at = 0; at < f->rows.size; at += step, any = true) {
            assert_true(entry_open(f->rows.bytes + at, f->rows.size - at, &entry, &step));
            assert_int_equal(entry.lane, lane);
            assert_true(entry.seq >= expected && entry.uplinks == model->mask[entry.seq] && model->lane[entry.seq] == lane);
            missing(model, uplink, lane, &expected, entry.seq, any);
            expected++;
        }
    }
    missing(model, uplink, lane, &expected, newest + 1, any);
}

static void soak(uint64_t seed, bool evicting) {
    struct model *model = calloc(1, sizeof(*model));
    struct store_fixture *f = &model->fixture;
    fixture_init(f);
    f->uplinks[1].name = "second";
    f->uplinks[2].name = "third";
    f->config.uplinks_count = UPLINKS;
    f->config.store.spool_bytes_max = evicting ? 1 << 20 : 256 << 20;
    model->evicting = evicting;
    model->next_seq = 1;
    prng_init(&model->prng, seed);
    open_and_compare(model);
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t choice = prng_below(&model->prng, 100);
        if (choice < 65) {
            submit(model);
        } else if (choice < 85) {
            acknowledge(model);
        } else if (choice < 98) {
            read_and_compare(model, (unsigned)prng_below(&model->prng, UPLINKS), (enum lane)prng_below(&model->prng, LANES_COUNT));
            for (unsigned i = 0; evicting && i < LANES_COUNT; i++) /* each answer tells one lane's gap */
                submit(model);
            for (unsigned lane = 0; lane < LANES_COUNT; lane++)
                assert_true(model->missing_to[lane] <= model->evicted_to[lane]);
        } else {
            fixture_close(f);
            open_and_compare(model);
        }
        if (model->next_seq + 25 > SEQS_MAX)
            break;
    }
    assert_int_equal(model->evicted[LANE_READING] > 100, evicting);
    assert_int_equal(model->evicted[LANE_FIRE], 0);
    assert_string_equal(f->lines, "");
    fixture_done(f);
    free(model);
}

static void with_room(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++)
        soak(seed, false);
}

static void without_room(void **state) {
    (void)state;
    for (uint64_t seed = 11; seed <= 12; seed++)
        soak(seed, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(with_room), cmocka_unit_test(without_room)};
    return cmocka_run_group_tests_name("store_soak", tests, NULL, NULL);
}
