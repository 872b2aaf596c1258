/* SPDX-License-Identifier: Apache-2.0 */
/* The power goes at a random write of a history that is filled, written hour by hour and rolled up (cut_disk.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cut_disk.h"
#include "history_world.h"

static unsigned hours_written(struct history_world *world) {
    return (unsigned)world_number(world, "SELECT count(DISTINCT id >> 36) FROM hour_chunk");
}

/* What was there at the last sync is there once, and nothing twice, wherever the power goes. */
static void the_power_goes(void **state) {
    (void)state;
    struct prng prng;
    unsigned rounds = getenv("YANHUO_SOAK") ? 1000 : 60, hours = 0;
    struct history_world *world = world_begin(0);
    struct database_failure failure;
    int64_t at_ms = T0;
    bool more;
    prng_init(&prng, 11);
    for (unsigned round = 0; round < rounds; round++) {
        if (world->count + 20000 > LIST_MAX) { /* a new file */
            hours += hours_written(world);
            world_end(world);
            world = world_begin(0);
            at_ms = T0;
        }
        cut_writing((unsigned)prng_below(&prng, 400));
        for (; !cut_happened(); at_ms += 100000) {
            for (unsigned i = 0; i < 60; i++)
                world_put(world, i % SERIES, (prng_below(&prng, 100) ? at_ms : at_ms - 2 * HOUR_MS) + i * 1000);
            if (world_flush(world) != ERR_OK || history_roll(world->history, at_ms, &more, &failure) != ERR_OK)
                continue;
            if (prng_below(&prng, 4) == 0 && history_sync(world->history, &failure) == ERR_OK && !cut_happened())
                world->safe = world->count;
        }
        world_close(world);
        cut_apply(&prng);
        assert_string_equal(cut_integrity(world->path), "ok");
        world_open(world);
        world_read(world, 0, FAR_MS);
        for (unsigned i = 0; i < world->safe; i++)
            assert_true(world->seen[i] || world->items[i].series == UINT32_MAX);
        for (unsigned i = 0; i < world->count; i++) /* gone for good */
            if (!world->seen[i])
                world->items[i].series = UINT32_MAX;
    }
    hours += hours_written(world);
    print_message("%u cuts, %u hours written\n", rounds, hours);
    assert_true(hours > rounds / 4);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_power_goes)};
    cut_install();
    return cmocka_run_group_tests_name("history cut", tests, NULL, NULL);
}
