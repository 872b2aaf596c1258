/* SPDX-License-Identifier: Apache-2.0 */
/* How much of what can wait is under way: as the broker bears it, and not too many bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/uplinks/uplink.h"
#include "uplink_rig.h"

/* At a broker that takes a second for what it once took none, readings stand back, so that a fire event has few before it; when
 * it is quick again they take their share again. */
static void test_slow_broker_gets_fewer_readings(void **state) {
    (void)state;
    struct world *world = link_world_new();
    link_quiet(world);
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < 12; i++)
            link_poll(world, 1, i);
        world->ms += 1000;
        link_acknowledge_all(world);
    }
    unsigned from = world->sends_count;
    for (unsigned i = 0; i < 50; i++)
        link_poll(world, 1, i % 10);
    unsigned share = world->sends_count - from;
    assert_in_range(share, UPLINK_READINGS_MIN, 8); /* the last of each round, answered at once, let it grow a little */
    link_poll(world, 0, 11);                        /* fire has its slots all the same */
    assert_int_equal(world->sends_count - from, share + 3); /* event, state, problem */
    for (unsigned i = 0; i < 200; i++) {
        link_acknowledge_all(world);
        link_poll(world, 1, i % 10);
    }
    link_acknowledge_all(world);
    from = world->sends_count;
    for (unsigned i = 0; i < 50; i++)
        link_poll(world, 1, i % 10);
    assert_int_equal(world->sends_count - from, 20 - WINDOW_RESERVED);
    link_world_end(world);
}

/* Batches of 17 kB: eight of them fill what may be under way. What matters more is not counted. */
static void test_large_messages_wait_for_each_other(void **state) {
    (void)state;
    struct world *world = link_world_new();
    world->site.uplinks[0].readings.batch_ms = 3600000;
    link_quiet(world);
    unsigned from = world->sends_count;
    for (unsigned i = 0; i <= 20 * ENTRY_READINGS_MAX; i++) /* full ones go */
        link_poll(world, 1, i % 10);
    assert_in_range(world->sends_count - from, 7, 9);
    unsigned large = world->sends_count - from;
    link_poll(world, 0, 11); /* fire */
    assert_int_equal(world->sends_count - from, large + 3);
    for (unsigned i = 0; i < 4; i++) {
        unsigned before = world->sends_count;
        link_acknowledge_all(world);
        assert_true(world->sends_count - before <= 20);
    }
    assert_int_equal(world->sends_count - from, 20 + 3);
    link_world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_slow_broker_gets_fewer_readings), cmocka_unit_test(test_large_messages_wait_for_each_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
