/* SPDX-License-Identifier: Apache-2.0 */
/* The power goes at a random write, truncation or sync of a store at work, or of one that is just being opened. After each cut:
 * both files pass integrity_check, nothing was put aside, every run answered ERR_OK above the uplink's mark is there in order, and
 * each record is that of the newest run of its lane: a run and its records are one commit. A disk that lies about its syncs
 * must be found out, or this would prove nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "cut_disk.h"
#include "store_fixture.h"

#define SEQS_MAX 200000
#define ROUNDS_PER_FOLDER 20

struct model {
    struct store_fixture fixture;
    struct prng prng;
    uint64_t next_seq, low[LANES_COUNT];
    uint8_t committed[SEQS_MAX]; /* lane + 1 of what was answered ERR_OK */
    unsigned committed_runs, losses;
};

static bool whole(const struct store_fixture *f, const char *name) {
    char path[128];
    fixture_path(f, name, path);
    return access(path, F_OK) != 0 || strcmp(cut_integrity(path), "ok") == 0;
}

/* The newest seq of the lane that is there; counts what is missing, or there and should not be. */
static uint64_t lane_compare(struct model *model, enum lane lane) {
    struct store_fixture *f = &model->fixture;
    uint64_t expected = model->low[lane] + 1, newest = 0, end = f->image.next_seq - 1;
    for (uint64_t after = expected - 1; after < end; after = f->rows.through_seq) {
        struct entry entry;
        size_t step;
        if (fixture_ask(f, 0, lane, after, end) != ERR_OK) {
            model->losses++;
            return newest;
        }
        for (size_t at = 0; at < f->rows.size; at += step) {
            assert_true(entry_open(f->rows.bytes + at, f->rows.size - at, &entry, &step));
            for (; expected < entry.seq; expected++)
                model->losses += model->committed[expected] == lane + 1;
            assert_true(entry.seq == expected && entry.lane == lane); /* in order, each once */
            newest = expected++;
        }
    }
    for (; expected < model->next_seq; expected++)
        model->losses += model->committed[expected] == lane + 1;
    return newest;
}

static void records_compare(struct model *model, const uint64_t newest[LANES_COUNT]) {
    const struct store_image *image = &model->fixture.image;
    for (uint32_t i = 0; i < image->records_count; i++) {
        uint64_t seq;
        enum lane lane = strcmp(image->records[i].name, "fire") == 0 ? LANE_FIRE : LANE_EVENT;
        assert_int_equal(image->records[i].size, sizeof(seq));
        memcpy(&seq, image->records[i].bytes, sizeof(seq));
        if (newest[lane])
            model->losses += seq != newest[lane];
        else
            model->losses += seq > model->low[lane] && model->committed[seq] == 0; /* its run was delivered and is gone */
    }
}

static void compare(struct model *model) {
    struct store_fixture *f = &model->fixture;
    uint64_t newest[LANES_COUNT];
    if (f->image.quarantined)
        model->losses++;
    for (unsigned lane = 0; lane < LANES_COUNT; lane++)
        newest[lane] = lane_compare(model, (enum lane)lane);
    records_compare(model, newest);
    if (f->image.next_seq > model->next_seq)
        model->next_seq = f->image.next_seq; /* a run that was committed and not answered */
}

static void acknowledge(struct model *model, enum lane lane) {
    struct cursor cursor = {.low = model->low[lane] + prng_below(&model->prng, model->next_seq - model->low[lane])};
    model->low[lane] = cursor.low;
    store_cursor(model->fixture.store, 0, lane, &cursor);
}

static void read_history(struct model *model) {
    uint8_t bytes[2048];
    struct bytes_writer writer;
    struct reading_order order;
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    reading_order_begin(&order, 1795000000000);
    for (uint32_t i = 0; i < 40; i++) {
        struct packed_reading reading = {.series = i % 8, .at_ms = 1795000000000 + (int64_t)model->next_seq * 1000 + i};
        reading.value = (struct value){.kind = VALUE_INTEGER, .integer = (int64_t)i * 7};
        entry_put_reading(&writer, &order, &reading);
    }
    CHECK(!writer.full);
    store_history(model->fixture.store, 1795000000000, bytes, (uint32_t)writer.length);
}

/* Work until the power is gone. */
static void work(struct model *model) {
    static uint8_t bytes[6 * (ENTRY_HEADER_SIZE + 2500)];
    struct store_fixture *f = &model->fixture;
    while (!cut_happened()) {
        enum lane lane = (enum lane)prng_below(&model->prng, LANES_COUNT);
        uint64_t first = model->next_seq, last = first + prng_below(&model->prng, 6);
        size_t size = fixture_seal(lane, first, last, 1, (uint32_t)prng_below(&model->prng, 2500), bytes, sizeof(bytes));
        struct record_save save = {.owner = "smoke-1", .name = lane == LANE_FIRE ? "fire" : "event", .size = sizeof(last)};
        memcpy(save.bytes, &last, sizeof(last));
        unsigned before = f->stored_count;
        store_submit(f->store, lane, first, last, bytes, (uint32_t)size, &save, lane != LANE_READING);
        fixture_wait(f, &f->stored_count, before + 1);
        model->next_seq = last + 1;
        if (f->stored.err == ERR_OK) {
            memset(model->committed + first, lane + 1, last - first + 1);
            model->committed_runs++;
        }
        if (prng_below(&model->prng, 8) == 0)
            acknowledge(model, lane);
        if (prng_below(&model->prng, 4) == 0)
            read_history(model);
    }
}

static void round_play(struct model *model, bool lying) {
    struct store_fixture *f = &model->fixture;
    if (!whole(f, "spool.db") || !whole(f, "history.db"))
        model->losses++;
    f->lines[0] = '\0';
    bool while_opening = prng_below(&model->prng, 4) == 0;
    if (while_opening)
        cut_writing((unsigned)prng_below(&model->prng, 60));
    fixture_open(f);
    if (!f->image.absent && !cut_happened())
        compare(model);
    if (lying)
        cut_mode(CUT_LYING);
    if (!cut_happened())
        cut_writing((unsigned)prng_below(&model->prng, 300));
    work(model);
    fixture_close(f);
    cut_mode(CUT_WELL);
    cut_apply(&model->prng);
}

static struct model *cuts(unsigned rounds, uint64_t seed, bool lying) {
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    prng_init(&model->prng, seed);
    for (unsigned round = 0; round < rounds; round++) {
        if (round % ROUNDS_PER_FOLDER == 0) {
            fixture_init(&model->fixture);
            memset(model->committed, 0, sizeof(model->committed));
            memset(model->low, 0, sizeof(model->low));
            model->next_seq = 1;
        }
        round_play(model, lying);
        if (round % ROUNDS_PER_FOLDER == ROUNDS_PER_FOLDER - 1 || round + 1 == rounds) {
            fixture_open(&model->fixture);
            if (!model->fixture.image.absent)
                compare(model);
            fixture_done(&model->fixture);
            cut_apply(&model->prng);
        }
        if (model->losses && !lying)
            fail_msg("round %u of seed %llu: %u losses\n%s", round, (unsigned long long)seed, model->losses, model->fixture.lines);
    }
    return model;
}

static void nothing_committed_is_lost(void **state) {
    (void)state;
    unsigned rounds = getenv("YANHUO_SOAK") ? 1000 : 60;
    struct model *model = cuts(rounds, 1, false);
    printf("%u cuts, %u runs committed\n", rounds, model->committed_runs);
    assert_true(model->committed_runs > rounds);
    free(model);
}

static void a_lying_disk_is_found_out(void **state) {
    (void)state;
    struct model *model = cuts(20, 2, true);
    assert_true(model->losses > 0);
    free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_committed_is_lost), cmocka_unit_test(a_lying_disk_is_found_out)};
    cut_install();
    return cmocka_run_group_tests_name("store_cut", tests, NULL, NULL);
}
