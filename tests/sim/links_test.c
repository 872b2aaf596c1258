/* SPDX-License-Identifier: Apache-2.0 */
/* Stories about the way to the subscriber: brokers that are away, break off, refuse, and clocks that jump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/world.h"

/* Nobody listens at start: one line says so, attempts back off, and what was told meanwhile comes when the broker does. */
static void s101_broker_down_at_start(void **state) {
    (void)state;
    struct world *world = world_open("shed", 101);
    world_broker_down(world, "city", LINK_REFUSED_TCP);
    world_start(world);
    world_run_until(world, 5000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 60000);
    world_expect(world, "uplink|fire|cut-branch",
                 "[     0.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=1\n"
                 "[     0.020] uplink city down refused: nobody listens at that address and port (next try in 0.9 s)\n"
                 "[     5.021] action cut-branch writes relay-1/channel-1 attempt=1\n"
                 "[     5.029] store: fire durable to 6\n"
                 "[     5.069] action cut-branch held attempt=1\n"
                 "[     5.077] store: fire durable to 9\n");
    world_broker_up(world, "city");
    world_run_until(world, 130000);
    world_expect(world, "uplink|status|event|alarm/smoke-1",
                 "[    60.798] uplink city up mqtt=5 window=100\n"
                 "[    60.803] city <- status online\n"
                 "[    60.803] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    60.803] city <- alarm/smoke-1/communication normal\n"
                 "[    60.803] city <- event alarm smoke-1/smoke unacknowledged replayed\n"
                 "[    60.803] city <- event action cut-branch ok=true attempt=1 replayed\n"
                 "[    60.803] city <- event system started replayed\n"
                 "[    60.803] city <- event system configuration replayed\n"
                 "[    60.803] city <- event problem smoke-1/smoke open replayed\n");
    world_settle(world);
    world_close(world);
}

/* A cut in the middle: on return first the status and the alarms' present states, live events at once, then the backlog, which
 * says that it is one. What was received but not acknowledged comes twice, with the same id. */
static void s102_cut_and_back(void **state) {
    (void)state;
    struct world *world = world_open("two-uplinks", 102);
    world_start(world);
    world_run_until(world, 10000);
    world_broker_down(world, "city", LINK_UNREACHABLE);
    world_run_until(world, 20000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 30000);
    world_expect(world, "uplink city|world: |alarm smoke-1|fire|owner <- event",
                 "[     0.020] uplink city up mqtt=5 window=100\n"
                 "[     0.025] owner <- event system started replayed\n"
                 "[     0.025] owner <- event system configuration replayed\n"
                 "[    10.000] world: link to city is cut\n"
                 "[    10.000] world: broker of city is down: unreachable\n"
                 "[    10.002] uplink city down lost: the connection was lost (next try in 1.0 s)\n"
                 "[    11.049] uplink city down unreachable: the address does not answer; check name, network and firewall (next try in 1.5 s)\n"
                 "[    20.000] world: smoke-1/smoke = alarm\n"
                 "[    20.001] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    20.006] owner <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    20.006] owner <- event problem smoke-1/smoke open\n"
                 "[    20.009] store: fire durable to 123\n");
    world_broker_up(world, "city");
    while (!world_received(world, "city", "status", NULL) || world_received(world, "city", "status", NULL) < 2)
        assert_true(world_step_before(world, 100000));
    world_set(world, "smoke-1/smoke", "normal"); /* live, while the backlog is on its way */
    world_run_until(world, world_ms(world) + 1500);
    world_expect(world, "city <- status|city <- event|city <- alarm/smoke-1/smoke|smoke-1/smoke returned|uplink city",
                 "[    37.716] uplink city up mqtt=5 window=100\n"
                 "[    37.721] city <- status online\n"
                 "[    37.721] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    37.721] city <- event alarm smoke-1/smoke unacknowledged replayed\n"
                 "[    37.721] city <- event problem smoke-1/smoke open replayed\n"
                 "[    38.001] alarm smoke-1/smoke returned by=return value=0\n"
                 "[    38.006] city <- event alarm smoke-1/smoke returned\n"
                 "[    38.006] city <- alarm/smoke-1/smoke returned\n"
                 "[    38.006] owner <- event alarm smoke-1/smoke returned\n"
                 "[    38.006] owner <- alarm/smoke-1/smoke returned\n");
    world_settle(world);
    assert_int_equal(world_received(world, "city", "reading/smoke-1", "\"replayed\":true") > 20, 1);
    world_close(world);
}

/* One of two subscribers is dead for ten minutes: the other notices nothing, and the dead one gets its events when it is back. */
static void s103_one_of_two_is_dead(void **state) {
    (void)state;
    struct world *world = world_open("two-uplinks", 103);
    world_broker_down(world, "owner", LINK_CREDENTIALS);
    world_start(world);
    world_run_until(world, 600000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 605000);
    world_expect(world, "uplink|smoke-1/smoke",
                 "[     0.000] start gateway=sim-02 devices=2 points=2 alarms=3 uplinks=2 next_seq=1\n"
                 "[     0.020] uplink city up mqtt=5 window=100\n"
                 "[     0.020] uplink owner down credentials: the broker refuses this user name and password (next try in 1.2 s)\n"
                 "[     0.025] city <- alarm/smoke-1/smoke normal\n"
                 "[   600.000] world: smoke-1/smoke = alarm\n"
                 "[   600.001] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[   600.001] problem smoke-1/smoke open\n"
                 "[   600.006] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[   600.006] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[   600.006] city <- event problem smoke-1/smoke open\n");
    world_broker_up(world, "owner");
    world_run_until(world, 700000);
    world_expect(world, "owner",
                 "[   605.000] world: broker of owner is up\n"
                 "[   658.544] uplink owner up mqtt=5 window=100\n"
                 "[   658.549] owner <- status online\n"
                 "[   658.549] owner <- alarm/smoke-1/smoke unacknowledged\n"
                 "[   658.549] owner <- alarm/smoke-1/communication normal\n"
                 "[   658.549] owner <- alarm/meter-1/communication normal\n"
                 "[   658.549] owner <- meta/smoke-1\n"
                 "[   658.549] owner <- meta/meter-1\n"
                 "[   658.549] owner <- health\n"
                 "[   658.549] owner <- event alarm smoke-1/smoke unacknowledged replayed\n"
                 "[   658.549] owner <- event system started replayed\n"
                 "[   658.549] owner <- event system configuration replayed\n"
                 "[   658.549] owner <- event problem smoke-1/smoke open replayed\n");
    world_settle(world);
    assert_int_equal(world_received(world, "owner", "reading", NULL), 0);
    world_close(world);
}

/* The broker refuses a topic: said once, counted, and nothing else waits for it. */
static void s104_refused_topic(void **state) {
    (void)state;
    struct world *world = world_open("shed", 104);
    world_broker_refuse(world, "city", "/reading/");
    world_start(world);
    world_run_until(world, 30000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 40000);
    world_expect(world, "refuses|smoke-1/smoke",
                 "[     0.026] city <- alarm/smoke-1/smoke normal\n"
                 "[     0.031] uplink city refuses a message: reason 0x87; check what this user may publish under yanhuo/v1/sim-01/#\n"
                 "[    30.000] world: smoke-1/smoke = alarm\n"
                 "[    30.021] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    30.021] problem smoke-1/smoke open\n"
                 "[    30.026] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    30.026] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    30.026] city <- event problem smoke-1/smoke open\n");
    assert_int_equal(world_counters(world)->uplinks[0].refused > 9, 1);
    world_broker_refuse(world, "city", NULL);
    world_run_until(world, 60000);
    world_expect(world, "refuses", "");
    assert_int_equal(world_received(world, "city", "reading", NULL) > 3, 1);
    world_settle(world);
    world_close(world);
}

/* A clock that jumps forward and back is told with its offset, and moves no delay, no period and no reading's own time. */
static void s105_clock_jumps(void **state) {
    (void)state;
    struct world *world = world_open("shed", 105);
    world_clock_begin(world, false);
    world_start(world);
    world_run_until(world, 9000);
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 12000);
    world_clock(world, 86400000, true);
    world_run_until(world, 20000);
    world_clock(world, -3600000, true);
    world_run_until(world, 30000);
    world_clock(world, 1500, true); /* within what a clock is corrected by: not worth a word */
    world_run_until(world, 40000);
    world_expect(world, "clock|overcurrent unack",
                 "[    12.000] world: clock jumps by 86400000 ms\n"
                 "[    12.000] clock moved by=86400001ms trusted=yes\n"
                 "[    12.005] city <- event clock clock by=86400001\n"
                 "[    14.645] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[    14.650] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    14.650] city <- alarm/meter-1/overcurrent unacknowledged\n"
                 "[    20.000] world: clock jumps by -3600000 ms\n"
                 "[    20.000] clock moved by=-3599999ms trusted=yes\n"
                 "[    20.005] city <- event clock clock by=-3599999\n"
                 "[    30.000] world: clock jumps by 1500 ms\n");
    world_settle(world);
    world_close(world);
}

/* A slow network: acknowledgements take seconds, the window fills with readings, and an alarm still finds its place at once. */
static void s106_alarm_through_a_full_window(void **state) {
    (void)state;
    struct world *world = world_open("two-uplinks", 106);
    world_start(world);
    world_run_until(world, 5000);
    world_broker_delay(world, "city", 5, 60000);
    world_run_until(world, 50000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 52000);
    world_expect(world, "smoke-1/smoke",
                 "[     0.025] city <- alarm/smoke-1/smoke normal\n"
                 "[     0.025] owner <- alarm/smoke-1/smoke normal\n"
                 "[    50.000] world: smoke-1/smoke = alarm\n"
                 "[    50.001] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    50.001] problem smoke-1/smoke open\n"
                 "[    50.006] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    50.006] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    50.006] city <- event problem smoke-1/smoke open\n"
                 "[    50.006] owner <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    50.006] owner <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    50.006] owner <- event problem smoke-1/smoke open\n");
    world_broker_delay(world, "city", 5, 5);
    world_run_until(world, 130000);
    world_settle(world);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s101_broker_down_at_start), cmocka_unit_test(s102_cut_and_back), cmocka_unit_test(s103_one_of_two_is_dead),
        cmocka_unit_test(s104_refused_topic),        cmocka_unit_test(s105_clock_jumps),  cmocka_unit_test(s106_alarm_through_a_full_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
