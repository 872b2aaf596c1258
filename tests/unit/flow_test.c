/* SPDX-License-Identifier: Apache-2.0 */
/* A flow between a real journal and a store and a link that are lists here. The model knows of each entry whether it was
 * acknowledged, and where it still exists; nothing may count as delivered that was not, unless it exists nowhere any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "gateway/uplinks/flow.h"

#define ENTRIES_MAX 4000
#define LANE LANE_EVENT
#define OURS 1

struct known {
    uint64_t seq;
    bool ours, stored, under_way, acked, sent; /* sent: on this connection */
};

struct in_flight {
    enum flow_kind kind;
    uint32_t place;
    struct known *entry;
};

struct world {
    struct arena arena;
    struct journal journal;
    struct flow flow;
    struct cursor saved; /* what the store knows of the cursor */
    bool up, run_under_way, run_committed;
    uint64_t run_last;
    struct known entries[ENTRIES_MAX];
    unsigned count;
    struct in_flight flight[WINDOW_MAX];
    unsigned flight_count, window;
    uint64_t last_sent[FLOW_KINDS_COUNT];
    unsigned queries, repeats, crashes, live, backlog;
};

static uint8_t filler[ENTRY_SIZE];

static void world_begin(struct world *world) {
    memset(world, 0, sizeof(*world));
    arena_init(&world->arena);
    journal_init(&world->journal, &world->arena);
    journal_start(&world->journal, 1, 1);
    world->flow.lane = LANE;
    world->window = 20;
}

static struct known *world_seal(struct world *world, bool ours, uint32_t size) {
    struct entry entry = {.lane = LANE, .kind = ENTRY_ALARM, .uplinks = ours ? OURS | 2 : 2, .body = filler, .body_size = size};
    struct known *known = &world->entries[world->count++];
    *known = (struct known){.seq = journal_seal(&world->journal, &entry), .ours = ours};
    return known;
}

static struct known *world_find(struct world *world, uint64_t seq) {
    for (unsigned i = 0; i < world->count; i++)
        if (world->entries[i].seq == seq)
            return &world->entries[i];
    fail_msg("an entry nobody sealed: %llu", (unsigned long long)seq);
    return NULL;
}

static bool gone(const struct world *world, const struct known *entry) {
    return !entry->stored && !entry->under_way && entry->seq < journal_memory_from(&world->journal, LANE);
}

/* The promise: what the cursor covers was acknowledged, or is gone everywhere. */
static void world_check(const struct world *world) {
    flow_check(&world->flow);
    for (unsigned i = 0; i < world->count; i++) {
        const struct known *entry = &world->entries[i];
        bool covered = cursor_next(&world->flow.cursor, entry->seq) != entry->seq;
        if (covered && entry->ours && !entry->acked && !gone(world, entry))
            fail_msg("entry %llu counts as delivered and was not", (unsigned long long)entry->seq);
    }
}

static void link_up(struct world *world) {
    world->up = true;
    for (unsigned i = 0; i < world->count; i++)
        world->entries[i].sent = false;
    world->last_sent[FLOW_LIVE] = world->last_sent[FLOW_BACKLOG] = 0;
    flow_begin(&world->flow, world->journal.next_seq);
}

static void link_down(struct world *world) {
    world->up = false;
    world->flight_count = 0;
}

static void send(struct world *world, enum flow_kind kind, uint64_t seq) {
    struct known *entry = world_find(world, seq);
    assert_true(entry->ours);
    assert_true(seq > world->last_sent[kind]); /* order within the stream */
    assert_false(entry->sent);                 /* not both ways on one connection */
    world->last_sent[kind] = seq;
    world->repeats += entry->acked;
    world->live += kind == FLOW_LIVE;
    world->backlog += kind == FLOW_BACKLOG;
    entry->sent = true;
    world->flight[world->flight_count++] = (struct in_flight){.kind = kind, .place = flow_sent(&world->flow, kind, seq), .entry = entry};
}

static void acknowledge(struct world *world, unsigned index) {
    struct in_flight flight = world->flight[index];
    world->flight[index] = world->flight[--world->flight_count];
    flight.entry->acked = true;
    (void)flow_acked(&world->flow, flight.kind, flight.place);
}

static void send_live(struct world *world) {
    struct entry entry;
    if (world->up && world->flight_count < world->window && flow_live(&world->flow, &world->journal, OURS, &entry))
        send(world, FLOW_LIVE, entry.seq);
}

/* The store's answer, sent as far as the window has room; what was not looked at is asked for again. */
static bool send_rows(struct world *world, uint64_t after, uint64_t through) {
    world->queries++;
    for (unsigned i = 0; i < world->count; i++) {
        const struct known *entry = &world->entries[i];
        if (!entry->stored || !entry->ours || entry->seq <= after || entry->seq > through)
            continue;
        if (cursor_next(&world->flow.cursor, entry->seq) != entry->seq)
            continue;
        if (world->flight_count == world->window)
            return true;
        send(world, FLOW_BACKLOG, entry->seq);
    }
    (void)flow_looked(&world->flow, through);
    return true;
}

static bool send_backlog(struct world *world) {
    struct entry entry;
    uint64_t after, through;
    if (!world->up || world->flight_count == world->window)
        return false;
    switch (flow_backlog(&world->flow, &world->journal, OURS, &entry, &after, &through)) {
    case FLOW_NOTHING:
        return false;
    case FLOW_ENTRY:
        send(world, FLOW_BACKLOG, entry.seq);
        return true;
    case FLOW_QUERY:
        assert_true(after < through);
        return send_rows(world, after, through);
    }
    return false;
}

static void store_take(struct world *world) {
    struct journal_run run;
    if (!journal_take(&world->journal, LANE, &run))
        return;
    world->run_under_way = true;
    world->run_committed = false;
    world->run_last = run.last_seq;
    for (unsigned i = 0; i < world->count; i++)
        if (world->entries[i].seq >= run.first_seq && world->entries[i].seq <= run.last_seq)
            world->entries[i].under_way = true;
}

/* In the file, and readable by a query, before the gateway hears of it. */
static void store_commit(struct world *world) {
    for (unsigned i = 0; world->run_under_way && i < world->count; i++) {
        world->entries[i].stored = world->entries[i].stored || world->entries[i].under_way;
        world->entries[i].under_way = false;
    }
    world->run_committed = world->run_under_way;
}

static void store_answer(struct world *world, bool ok) {
    if (!world->run_under_way)
        return;
    ok = ok || world->run_committed;
    if (ok)
        store_commit(world);
    for (unsigned i = 0; i < world->count; i++)
        world->entries[i].under_way = false;
    world->run_under_way = false;
    journal_stored(&world->journal, LANE, world->run_last, ok);
}

/* A crash: memory is gone, and the cursor is an older one. What was never stored is gone too. */
static void crash(struct world *world) {
    world->crashes++;
    link_down(world);
    world->run_under_way = false;
    uint64_t next_seq = world->journal.next_seq;
    unsigned kept = 0;
    for (unsigned i = 0; i < world->count; i++)
        if (world->entries[i].stored)
            world->entries[kept++] = world->entries[i];
    world->count = kept;
    arena_done(&world->arena);
    arena_init(&world->arena);
    journal_init(&world->journal, &world->arena);
    journal_start(&world->journal, 2, next_seq);
    memset(&world->flow, 0, sizeof(world->flow));
    world->flow.lane = LANE;
    world->flow.cursor = world->saved;
}

static void drain(struct world *world) {
    store_answer(world, true);
    for (;;) {
        store_take(world);
        if (!world->run_under_way)
            break;
        store_answer(world, true);
    }
    if (!world->up)
        link_up(world);
    for (unsigned round = 0; round < 10 * ENTRIES_MAX; round++) {
        send_live(world);
        (void)send_backlog(world);
        while (world->flight_count)
            acknowledge(world, 0);
    }
    world_check(world);
    for (unsigned i = 0; i < world->count; i++)
        if (world->entries[i].ours && !world->entries[i].acked && !gone(world, &world->entries[i]))
            fail_msg("entry %llu was never delivered", (unsigned long long)world->entries[i].seq);
}

static void world_step(struct world *world, struct prng *prng, unsigned speed) {
    switch (prng_below(prng, 12)) {
    case 0:
    case 1:
    case 2:
        for (unsigned i = 0; i < speed; i++)
            world_seal(world, prng_below(prng, 4) != 0, 4000 + (uint32_t)prng_below(prng, ENTRY_SIZE - 4000));
        return;
    case 3:
        send_live(world);
        return;
    case 4:
    case 5:
        (void)send_backlog(world);
        return;
    case 6:
    case 7:
        if (world->flight_count)
            acknowledge(world, (unsigned)prng_below(prng, world->flight_count));
        return;
    case 8:
        store_take(world);
        return;
    case 9:
        if (prng_below(prng, 2))
            store_commit(world);
        else
            store_answer(world, prng_below(prng, 5) != 0);
        return;
    case 10:
        world->saved = world->flow.cursor;
        return;
    default:
        if (prng_below(prng, 8))
            return;
        if (!world->up)
            link_up(world);
        else if (prng_below(prng, 2))
            link_down(world);
        else if (!prng_below(prng, 4))
            crash(world);
        return;
    }
}

static void test_random(void **state) {
    (void)state;
    struct world *world = malloc(sizeof(*world));
    assert_non_null(world);
    unsigned queries = 0, crashes = 0, live = 0, backlog = 0;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        world_begin(world);
        unsigned speed = 1 + (unsigned)prng_below(&prng, 3);
        world->window = 1 + (unsigned)prng_below(&prng, 30);
        for (unsigned step = 0; step < 1500 && world->count + 8 < ENTRIES_MAX; step++) {
            world_step(world, &prng, speed);
            world_check(world);
        }
        drain(world);
        queries += world->queries;
        crashes += world->crashes;
        live += world->live;
        backlog += world->backlog;
        arena_done(&world->arena);
    }
    assert_true(queries > 500 && crashes > 50 && live > 1000 && backlog > 5000);
    free(world);
}

static void test_live_and_backlog(void **state) {
    (void)state;
    struct world *world = malloc(sizeof(*world));
    assert_non_null(world);
    world_begin(world);
    for (unsigned i = 0; i < 3; i++)
        world_seal(world, true, 10); /* 1 2 3, before there is a link */
    link_up(world);
    world_seal(world, false, 10); /* 4 is not for this uplink */
    world_seal(world, true, 10);
    send_live(world);
    assert_int_equal(world->last_sent[FLOW_LIVE], 5);
    acknowledge(world, 0);
    assert_int_equal(world->flow.cursor.low, 0); /* acknowledged ahead of the backlog: a range */
    assert_int_equal(world->flow.cursor.ranges[0].from, 4);
    for (unsigned i = 0; i < 3; i++)
        assert_true(send_backlog(world));
    assert_false(send_backlog(world));
    acknowledge(world, 2); /* 3 before 1 and 2 */
    assert_int_equal(world->flow.cursor.low, 0);
    acknowledge(world, 0); /* 1: moves the mark to it */
    assert_int_equal(world->flow.cursor.low, 1);
    link_down(world); /* 2 is not known to have arrived; nor is 3, whose place stood behind it */
    link_up(world);
    assert_true(send_backlog(world));
    assert_int_equal(world->last_sent[FLOW_BACKLOG], 2);
    assert_true(send_backlog(world));
    assert_int_equal(world->last_sent[FLOW_BACKLOG], 3);
    acknowledge(world, 0);
    acknowledge(world, 0);
    assert_int_equal(world->flow.cursor.low, 5);
    world_check(world);
    arena_done(&world->arena);
    free(world);
}

/* An entry that has left memory on its way to the store can be had from nowhere until the store has it. */
static void test_under_way_to_the_store(void **state) {
    (void)state;
    struct world *world = malloc(sizeof(*world));
    assert_non_null(world);
    world_begin(world);
    world_seal(world, true, 100);
    store_take(world);
    while (journal_memory_from(&world->journal, LANE) <= 1)
        world_seal(world, true, ENTRY_SIZE);
    link_up(world);
    assert_false(send_backlog(world)); /* waits: asked now, the store would say that there is no such entry */
    assert_int_equal(world->queries, 0);
    world_check(world);
    store_answer(world, true);
    assert_true(send_backlog(world));
    assert_int_equal(world->last_sent[FLOW_BACKLOG], 1);
    drain(world);
    arena_done(&world->arena);
    free(world);
}

/* What is not for this uplink is looked at once, and the store is never asked for it. */
static void test_others_entries_cost_nothing(void **state) {
    (void)state;
    struct world *world = malloc(sizeof(*world));
    assert_non_null(world);
    world_begin(world);
    link_up(world);
    for (unsigned i = 0; i < 200; i++) { /* several times what memory holds */
        world_seal(world, false, ENTRY_SIZE);
        store_take(world);
        store_answer(world, true);
        send_live(world);
        (void)send_backlog(world);
        assert_int_equal(world->flow.parts[FLOW_LIVE].next, world->journal.next_seq);
    }
    assert_int_equal(world->queries, 0);
    world_seal(world, true, 10);
    send_live(world);
    assert_int_equal(world->flight_count, 1);
    acknowledge(world, 0);
    assert_int_equal(world->flow.cursor.low, 201);
    arena_done(&world->arena);
    free(world);
}

/* The link is slower than memory is large: the live flow hands over to the backlog what memory has given up. */
static void test_live_overrun(void **state) {
    (void)state;
    struct world *world = malloc(sizeof(*world));
    assert_non_null(world);
    world_begin(world);
    link_up(world);
    world_seal(world, true, 10);
    send_live(world);
    for (unsigned i = 0; i < 100; i++) {
        world_seal(world, true, ENTRY_SIZE);
        store_take(world);
        store_answer(world, true);
    }
    send_live(world);
    assert_int_equal(world->flight_count, 1); /* waits for what is in flight */
    acknowledge(world, 0);
    send_live(world);
    assert_int_equal(world->last_sent[FLOW_LIVE], journal_memory_from(&world->journal, LANE));
    assert_true(send_backlog(world));
    assert_int_equal(world->queries, 1);
    drain(world);
    assert_int_equal(world->repeats, 0);
    assert_int_equal(world->flow.cursor.low, 101);
    arena_done(&world->arena);
    free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_and_backlog),
        cmocka_unit_test(test_under_way_to_the_store),
        cmocka_unit_test(test_others_entries_cost_nothing),
        cmocka_unit_test(test_live_overrun),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
