/* SPDX-License-Identifier: Apache-2.0 */
/* Stories about readings: how they are collected, and what a sick device or bus does to them and to its neighbours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/world.h"

/* One meter with two points, four subscribers: each poll; batches of 5 s; changes and a sign of life each 30 s; ten minutes. */
static void s301_batches_and_exceptions(void **state) {
    (void)state;
    struct world *world = world_open("batches", 301);
    world_start(world);
    world_run_until(world, 10000);
    world_expect(world, "reading/",
                 "[     0.032] each <- reading/meter-1 n=2\n"
                 "[     0.032] changes <- reading/meter-1 n=2\n"
                 "[     1.032] each <- reading/meter-1 n=2\n"
                 "[     2.032] each <- reading/meter-1 n=2\n"
                 "[     3.032] each <- reading/meter-1 n=2\n"
                 "[     4.032] each <- reading/meter-1 n=2\n"
                 "[     5.032] five <- reading/meter-1 n=10\n"
                 "[     5.032] each <- reading/meter-1 n=2\n"
                 "[     6.032] each <- reading/meter-1 n=2\n"
                 "[     7.032] each <- reading/meter-1 n=2\n"
                 "[     8.032] each <- reading/meter-1 n=2\n"
                 "[     9.032] each <- reading/meter-1 n=2\n");
    world_set(world, "meter-1/current", "3.5");
    world_run_until(world, 40000);
    world_expect(world, "changes <- reading",
                 "[    10.032] changes <- reading/meter-1 n=1\n"
                 "[    30.032] changes <- reading/meter-1 n=1\n");
    world_run_until(world, 1300000);
    world_expect(world, "slow <- reading",
                 "[   128.032] slow <- reading/meter-1 n=256\n"
                 "[   256.032] slow <- reading/meter-1 n=256\n"
                 "[   384.032] slow <- reading/meter-1 n=256\n"
                 "[   512.032] slow <- reading/meter-1 n=256\n"
                 "[   600.032] slow <- reading/meter-1 n=176\n"
                 "[   728.032] slow <- reading/meter-1 n=256\n"
                 "[   856.032] slow <- reading/meter-1 n=256\n"
                 "[   984.032] slow <- reading/meter-1 n=256\n"
                 "[  1112.032] slow <- reading/meter-1 n=256\n"
                 "[  1200.032] slow <- reading/meter-1 n=176\n");
    assert_int_equal(world_received(world, "each", "reading", NULL), 1300);
    assert_int_equal(world_received(world, "five", "reading", NULL), 259);
    world_settle(world);
    world_close(world);
}

/* The adapter is pulled out of its socket: every point turns bad once, each device raises its alarm, and all is well again
 * soon after it is back. What was read before an alarm becomes durable with it (12.0, 61.1), at most each 5 s (66.1), not only every 20 s. */
static void s302_bus_unplugged(void **state) {
    (void)state;
    struct world *world = world_open("shed", 302);
    world_start(world);
    world_run_until(world, 10000);
    world_bus(world, "shed", false);
    world_run_until(world, 60000);
    world_bus(world, "shed", true);
    world_run_until(world, 80000);
    world_expect(world, "bus|device|communication|reading",
                 "[     0.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=1\n"
                 "[     0.021] device smoke-1 online\n"
                 "[     0.026] city <- alarm/smoke-1/communication normal\n"
                 "[     0.026] city <- reading/smoke-1 n=1\n"
                 "[     0.492] device relay-1 online\n"
                 "[     0.497] city <- alarm/relay-1/communication normal\n"
                 "[     0.497] city <- reading/relay-1 n=1\n"
                 "[     0.645] device meter-1 online\n"
                 "[     0.650] city <- alarm/meter-1/communication normal\n"
                 "[     0.650] city <- reading/meter-1 n=2\n"
                 "[    10.000] world: bus shed is unplugged\n"
                 "[    10.001] bus shed disconnected\n"
                 "[    10.006] city <- reading/smoke-1 n=1\n"
                 "[    10.478] city <- reading/relay-1 n=1\n"
                 "[    10.624] city <- reading/meter-1 n=2\n"
                 "[    12.001] device smoke-1 dead misses=3\n"
                 "[    12.001] alarm smoke-1/communication unacknowledged by=condition value=null\n"
                 "[    12.006] city <- event alarm smoke-1/communication unacknowledged\n"
                 "[    12.006] city <- alarm/smoke-1/communication unacknowledged\n"
                 "[    12.017] store: reading durable to 8\n"
                 "[    12.619] device meter-1 dead misses=3\n"
                 "[    12.619] alarm meter-1/communication unacknowledged by=condition value=null\n"
                 "[    12.624] city <- event alarm meter-1/communication unacknowledged\n"
                 "[    12.624] city <- alarm/meter-1/communication unacknowledged\n"
                 "[    14.473] device relay-1 dead misses=3\n"
                 "[    14.473] alarm relay-1/communication unacknowledged by=condition value=null\n"
                 "[    14.478] city <- event alarm relay-1/communication unacknowledged\n"
                 "[    14.478] city <- alarm/relay-1/communication unacknowledged\n"
                 "[    60.000] world: bus shed is plugged in\n"
                 "[    61.047] bus shed connected\n"
                 "[    61.047] device smoke-1 back after=52.0s\n"
                 "[    61.047] alarm smoke-1/communication returned by=return value=null\n"
                 "[    61.052] city <- event alarm smoke-1/communication returned\n"
                 "[    61.052] city <- alarm/smoke-1/communication returned\n"
                 "[    61.052] city <- reading/smoke-1 n=1\n"
                 "[    61.063] store: reading durable to 12\n"
                 "[    61.077] device meter-1 back after=51.4s\n"
                 "[    61.077] alarm meter-1/communication returned by=return value=null\n"
                 "[    61.082] city <- event alarm meter-1/communication returned\n"
                 "[    61.082] city <- alarm/meter-1/communication returned\n"
                 "[    61.082] city <- reading/meter-1 n=2\n"
                 "[    61.100] device relay-1 back after=52.6s\n"
                 "[    61.100] alarm relay-1/communication returned by=return value=null\n"
                 "[    61.105] city <- event alarm relay-1/communication returned\n"
                 "[    61.105] city <- alarm/relay-1/communication returned\n"
                 "[    61.105] city <- reading/relay-1 n=1\n"
                 "[    66.055] store: reading durable to 16\n"
                 "[    70.497] city <- reading/relay-1 n=1\n"
                 "[    70.650] city <- reading/meter-1 n=2\n"
                 "[    71.026] city <- reading/smoke-1 n=1\n");
    world_settle(world);
    world_close(world);
}

/* Neighbours of a silent, a corrupt and a slow device keep their period. */
static void s303_sick_neighbours(void **state) {
    (void)state;
    struct world *world = world_open("shed", 303);
    world_start(world);
    world_run_until(world, 10000);
    world_fault(world, "relay-1", SICK_SILENT);
    world_run_until(world, 70000);
    world_fault(world, "relay-1", SICK_CORRUPT);
    world_run_until(world, 130000);
    world_fault(world, "relay-1", SICK_SLOW);
    world_run_until(world, 190000);
    world_fault(world, "relay-1", SICK_NONE);
    world_run_until(world, 250000);
    world_expect(world, "world:|device|communication",
                 "[     0.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=1\n"
                 "[     0.021] device smoke-1 online\n"
                 "[     0.026] city <- alarm/smoke-1/communication normal\n"
                 "[     0.492] device relay-1 online\n"
                 "[     0.497] city <- alarm/relay-1/communication normal\n"
                 "[     0.645] device meter-1 online\n"
                 "[     0.650] city <- alarm/meter-1/communication normal\n"
                 "[    10.000] world: relay-1 is silent\n"
                 "[    14.980] device relay-1 dead misses=3\n"
                 "[    14.980] alarm relay-1/communication unacknowledged by=condition value=null\n"
                 "[    14.986] city <- event alarm relay-1/communication unacknowledged\n"
                 "[    14.986] city <- alarm/relay-1/communication unacknowledged\n"
                 "[    70.000] world: relay-1 is corrupt\n"
                 "[   130.000] world: relay-1 is slow\n"
                 "[   139.339] device relay-1 back after=130.8s\n"
                 "[   139.339] alarm relay-1/communication returned by=return value=null\n"
                 "[   139.344] city <- event alarm relay-1/communication returned\n"
                 "[   139.344] city <- alarm/relay-1/communication returned\n"
                 "[   190.000] world: relay-1 is well\n");
    world_settle(world);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s301_batches_and_exceptions),
        cmocka_unit_test(s302_bus_unplugged),
        cmocka_unit_test(s303_sick_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
