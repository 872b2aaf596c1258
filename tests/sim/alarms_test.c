/* SPDX-License-Identifier: Apache-2.0 */
/* Stories about alarms: what a sensor says, what the gateway makes of it, what the subscriber hears. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/world.h"

/* Smoke: the relay is written in the same step, before anything is sent or stored, and the subscriber has it 5 ms later. */
static void s001_smoke_to_subscriber(void **state) {
    (void)state;
    struct world *world = world_open("shed", 1);
    world_start(world);
    world_run_until(world, 12000);
    world_expect(world, "city <- status|start|device",
                 "[     0.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=1\n"
                 "[     0.021] device smoke-1 online\n"
                 "[     0.025] city <- status online\n"
                 "[     0.025] city <- event system started replayed\n"
                 "[     0.492] device relay-1 online\n"
                 "[     0.645] device meter-1 online\n");
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 20000);
    world_expect(world, "smoke-1|cut-branch|relay-1/channel-1|fire",
                 "[    12.000] world: smoke-1/smoke = alarm\n"
                 "[    12.021] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    12.021] problem smoke-1/smoke open\n"
                 "[    12.021] action cut-branch writes relay-1/channel-1 attempt=1\n"
                 "[    12.026] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    12.026] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    12.026] city <- event problem smoke-1/smoke open\n"
                 "[    12.026] city <- reading/smoke-1 n=1\n"
                 "[    12.029] store: fire durable to 9\n"
                 "[    12.038] plant: relay-1/channel-1 is written off\n"
                 "[    12.069] action cut-branch held attempt=1\n"
                 "[    12.074] city <- event action cut-branch ok=true attempt=1\n"
                 "[    12.074] city <- alarm/relay-1/action-cut-branch normal\n"
                 "[    12.077] store: fire durable to 12\n");
    world_expect_value(world, "relay-1/channel-1", "off");
    world_settle(world);
    world_close(world);
}

/* A sensor that goes away holds its alarm; within three periods and 30 s its silence is an alarm of its own. */
static void s002_sensor_unplugged(void **state) {
    (void)state;
    struct world *world = world_open("shed", 2);
    world_start(world);
    world_run_until(world, 10000);
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 20000);
    world_expect(world, "overcurrent",
                 "[     0.650] city <- alarm/meter-1/overcurrent normal\n"
                 "[    15.645] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[    15.645] problem meter-1/overcurrent open\n"
                 "[    15.650] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    15.650] city <- event problem meter-1/overcurrent open\n"
                 "[    15.650] city <- alarm/meter-1/overcurrent unacknowledged\n");
    world_fault(world, "meter-1", SICK_SILENT);
    world_set(world, "meter-1/current", "2"); /* nobody can see that it fell */
    world_run_until(world, 120000);
    world_expect(world, "meter-1",
                 "[    20.000] world: meter-1 is silent\n"
                 "[    20.000] world: meter-1/current = 2\n"
                 "[    21.131] city <- reading/meter-1 n=2\n"
                 "[    23.126] device meter-1 dead misses=3\n"
                 "[    23.126] alarm meter-1/communication unacknowledged by=condition value=null\n"
                 "[    23.131] city <- event alarm meter-1/communication unacknowledged\n"
                 "[    23.131] city <- alarm/meter-1/communication unacknowledged\n");
    world_fault(world, "meter-1", SICK_NONE);
    world_run_until(world, 140000);
    world_expect(world, "meter-1",
                 "[   120.000] world: meter-1 is well\n"
                 "[   127.051] device meter-1 back after=107.4s\n"
                 "[   127.051] alarm meter-1/communication returned by=return value=null\n"
                 "[   127.056] city <- event alarm meter-1/communication returned\n"
                 "[   127.056] city <- alarm/meter-1/communication returned\n"
                 "[   127.056] city <- reading/meter-1 n=2\n"
                 "[   129.051] alarm meter-1/overcurrent returned by=return value=2\n"
                 "[   129.056] city <- event alarm meter-1/overcurrent returned\n"
                 "[   129.056] city <- alarm/meter-1/overcurrent returned\n"
                 "[   136.650] city <- reading/meter-1 n=2\n");
    world_settle(world);
    world_close(world);
}

/* Blindness freezes an on-delay: it goes on with what was left of it, and is neither lost nor over too early. */
static void s003_on_delay_frozen_by_blindness(void **state) {
    (void)state;
    struct world *world = world_open("shed", 3);
    world_start(world);
    world_run_until(world, 10000);
    world_set(world, "meter-1/current", "12");     /* seen at 10.645 */
    world_run_until(world, 13000);                 /* and at 11.645 and 12.645: 2 s of 5 s are over */
    world_fault(world, "meter-1", SICK_EXCEPTION); /* blind at 13.6 */
    world_run_until(world, 30000);
    world_fault(world, "meter-1", SICK_NONE); /* sees at 30.645, with 2 s left */
    world_run_until(world, 40000);
    world_expect(world, "overcurrent|world:",
                 "[     0.650] city <- alarm/meter-1/overcurrent normal\n"
                 "[    10.000] world: meter-1/current = 12\n"
                 "[    13.000] world: meter-1 is exception\n"
                 "[    30.000] world: meter-1 is well\n"
                 "[    32.653] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[    32.653] problem meter-1/overcurrent open\n"
                 "[    32.658] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    32.658] city <- event problem meter-1/overcurrent open\n"
                 "[    32.658] city <- alarm/meter-1/overcurrent unacknowledged\n");
    world_settle(world);
    world_close(world);
}

/* Inside the deadband an alarm stays what it was; below it the off-delay runs, and one high reading begins it anew. */
static void s004_deadband_and_off_delay(void **state) {
    (void)state;
    struct world *world = world_open("shed", 4);
    world_start(world);
    world_run_until(world, 5000);
    world_set(world, "meter-1/current", "9.2");
    world_run_until(world, 12000);
    world_set(world, "meter-1/current", "8.7"); /* within the deadband: 8.5 to 9 */
    world_run_until(world, 60000);
    world_set(world, "meter-1/current", "8.4");
    world_run_until(world, 61500); /* below at 60.645 and not at 61.645 */
    world_set(world, "meter-1/current", "9.1");
    world_run_until(world, 64000);
    world_set(world, "meter-1/current", "8");
    world_run_until(world, 80000);
    world_expect(world, "overcurrent|world:",
                 "[     0.650] city <- alarm/meter-1/overcurrent normal\n"
                 "[     5.000] world: meter-1/current = 9.2\n"
                 "[    10.645] alarm meter-1/overcurrent unacknowledged by=condition value=9.2\n"
                 "[    10.645] problem meter-1/overcurrent open\n"
                 "[    10.650] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    10.650] city <- event problem meter-1/overcurrent open\n"
                 "[    10.650] city <- alarm/meter-1/overcurrent unacknowledged\n"
                 "[    12.000] world: meter-1/current = 8.7\n"
                 "[    60.000] world: meter-1/current = 8.4\n"
                 "[    61.500] world: meter-1/current = 9.1\n"
                 "[    64.000] world: meter-1/current = 8\n"
                 "[    66.645] alarm meter-1/overcurrent returned by=return value=8\n"
                 "[    66.650] city <- event alarm meter-1/overcurrent returned\n"
                 "[    66.650] city <- alarm/meter-1/overcurrent returned\n");
    world_settle(world);
    world_close(world);
}

/* Two of three: one low reading is none, two with a good one between them are. */
static void s005_two_of_three(void **state) {
    (void)state;
    struct world *world = world_open("shed", 5);
    world_start(world);
    world_run_until(world, 5000);
    world_set(world, "meter-1/voltage", "180");
    world_run_until(world, 6000);
    world_set(world, "meter-1/voltage", "225");
    world_run_until(world, 10000);
    world_expect(world, "undervoltage unack", "");
    world_set(world, "meter-1/voltage", "180");
    world_run_until(world, 11000);
    world_set(world, "meter-1/voltage", "225");
    world_run_until(world, 12000);
    world_set(world, "meter-1/voltage", "180");
    world_run_until(world, 13000);
    world_set(world, "meter-1/voltage", "225");
    world_run_until(world, 20000);
    world_expect(world, "undervoltage|world:",
                 "[    10.000] world: meter-1/voltage = 180\n"
                 "[    11.000] world: meter-1/voltage = 225\n"
                 "[    12.000] world: meter-1/voltage = 180\n"
                 "[    12.645] alarm meter-1/undervoltage unacknowledged by=condition value=180\n"
                 "[    12.645] problem meter-1/undervoltage open\n"
                 "[    12.650] city <- event alarm meter-1/undervoltage unacknowledged\n"
                 "[    12.650] city <- event problem meter-1/undervoltage open\n"
                 "[    12.650] city <- alarm/meter-1/undervoltage unacknowledged\n"
                 "[    13.000] world: meter-1/voltage = 225\n"
                 "[    13.645] alarm meter-1/undervoltage returned by=return value=225\n"
                 "[    13.650] city <- event alarm meter-1/undervoltage returned\n"
                 "[    13.650] city <- alarm/meter-1/undervoltage returned\n");
    world_settle(world);
    world_close(world);
}

/* Latched: smoke that has gone stays told until somebody resets it, also over a restart; smoke again is the same occurrence. */
static void s006_latch(void **state) {
    (void)state;
    struct world *world = world_open("shed", 6);
    world_start(world);
    world_run_until(world, 5000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 8000);
    world_set(world, "smoke-1/smoke", "normal");
    world_run_until(world, 20000);
    world_expect(world, "smoke-1/smoke",
                 "[     0.026] city <- alarm/smoke-1/smoke normal\n"
                 "[     5.000] world: smoke-1/smoke = alarm\n"
                 "[     5.021] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[     5.021] problem smoke-1/smoke open\n"
                 "[     5.026] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[     5.026] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[     5.026] city <- event problem smoke-1/smoke open\n"
                 "[     8.000] world: smoke-1/smoke = normal\n"
                 "[     8.021] alarm smoke-1/smoke latched by=return value=0\n"
                 "[     8.026] city <- event alarm smoke-1/smoke latched\n"
                 "[     8.026] city <- alarm/smoke-1/smoke latched\n");
    world_crash(world, false);
    world_start(world);
    world_run_until(world, 30000);
    world_expect(world, "smoke-1/smoke",
                 "[    20.000] alarm smoke-1/smoke restored latched\n"
                 "[    20.025] city <- alarm/smoke-1/smoke latched\n"
                 "[    20.027] city <- event roster smoke-1/smoke latched replayed\n");
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 40000);
    world_expect(world, "smoke-1/smoke",
                 "[    30.000] world: smoke-1/smoke = alarm\n"
                 "[    30.021] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    30.026] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    30.026] city <- alarm/smoke-1/smoke unacknowledged\n");
    world_settle(world);
    assert_int_equal(world_received(world, "city", "event", "\"kind\":\"alarm\""), 3);
    world_close(world);
}

/* The relay does not answer: the write is tried again until the echo is right, at once when the relay is back, and each of the
 * first failures is told. */
static void s007_relay_away(void **state) {
    (void)state;
    struct world *world = world_open("shed", 7);
    world_start(world);
    world_run_until(world, 5000);
    world_fault(world, "relay-1", SICK_SILENT);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 15000);
    world_set(world, "smoke-1/smoke", "normal"); /* what was asked for by a fire is done */
    world_fault(world, "relay-1", SICK_NONE);
    world_run_until(world, 60000);
    world_expect(world, "cut-branch|relay-1|world:",
                 "[     0.025] city <- meta/relay-1\n"
                 "[     0.492] device relay-1 online\n"
                 "[     0.497] city <- alarm/relay-1/communication normal\n"
                 "[     0.497] city <- reading/relay-1 n=1\n"
                 "[     5.000] world: relay-1 is silent\n"
                 "[     5.000] world: smoke-1/smoke = alarm\n"
                 "[     5.021] action cut-branch writes relay-1/channel-1 attempt=1\n"
                 "[     5.533] action cut-branch failed attempt=1 why=relay-1: timeout\n"
                 "[     5.538] city <- event action cut-branch ok=false attempt=1\n"
                 "[     6.033] action cut-branch writes relay-1/channel-1 attempt=2\n"
                 "[     6.541] action cut-branch failed attempt=2 why=relay-1: timeout\n"
                 "[     6.541] alarm relay-1/action-cut-branch unacknowledged by=condition value=null\n"
                 "[     6.546] city <- event action cut-branch ok=false attempt=2\n"
                 "[     6.546] city <- event alarm relay-1/action-cut-branch unacknowledged\n"
                 "[     6.546] city <- alarm/relay-1/action-cut-branch unacknowledged\n"
                 "[     7.053] device relay-1 dead misses=3\n"
                 "[     7.053] alarm relay-1/communication unacknowledged by=condition value=null\n"
                 "[     7.058] city <- event alarm relay-1/communication unacknowledged\n"
                 "[     7.058] city <- alarm/relay-1/communication unacknowledged\n"
                 "[     7.058] city <- reading/relay-1 n=1\n"
                 "[     7.541] action cut-branch writes relay-1/channel-1 attempt=3\n"
                 "[     8.049] action cut-branch failed attempt=3 why=relay-1: timeout\n"
                 "[     8.055] city <- event action cut-branch ok=false attempt=3\n"
                 "[    10.049] action cut-branch writes relay-1/channel-1 attempt=4\n"
                 "[    10.558] action cut-branch failed attempt=4 why=relay-1: timeout\n"
                 "[    14.558] action cut-branch writes relay-1/channel-1 attempt=5\n"
                 "[    15.000] world: smoke-1/smoke = normal\n"
                 "[    15.000] world: relay-1 is well\n"
                 "[    15.066] action cut-branch failed attempt=5 why=relay-1: timeout\n"
                 "[    19.243] device relay-1 back after=14.8s\n"
                 "[    19.243] alarm relay-1/communication returned by=return value=null\n"
                 "[    19.243] action cut-branch writes relay-1/channel-1 attempt=6\n"
                 "[    19.248] city <- event alarm relay-1/communication returned\n"
                 "[    19.248] city <- alarm/relay-1/communication returned\n"
                 "[    19.248] city <- reading/relay-1 n=1\n"
                 "[    19.260] plant: relay-1/channel-1 is written off\n"
                 "[    19.292] action cut-branch held attempt=6\n"
                 "[    19.292] alarm relay-1/action-cut-branch returned by=return value=null\n"
                 "[    19.297] city <- event action cut-branch ok=true attempt=6\n"
                 "[    19.297] city <- event alarm relay-1/action-cut-branch returned\n"
                 "[    19.297] city <- alarm/relay-1/action-cut-branch returned\n"
                 "[    19.297] city <- reading/relay-1 n=1\n"
                 "[    28.497] city <- reading/relay-1 n=1\n"
                 "[    38.497] city <- reading/relay-1 n=1\n"
                 "[    48.497] city <- reading/relay-1 n=1\n"
                 "[    58.497] city <- reading/relay-1 n=1\n");
    world_expect_value(world, "relay-1/channel-1", "off");
    world_settle(world);
    world_close(world);
}

/* A detector that answers, but only with exceptions, is as blind as a silent one: its own fault comes with the third poll and
 * goes with the first good value; the smoke alarm neither comes nor goes by it. */
static void s008_detector_without_a_value(void **state) {
    (void)state;
    struct world *world = world_open("shed", 8);
    world_start(world);
    world_run_until(world, 10000);
    world_fault(world, "smoke-1", SICK_EXCEPTION);
    world_run_until(world, 20000);
    world_fault(world, "smoke-1", SICK_NONE);
    world_run_until(world, 30000);
    world_expect(world, "alarm smoke-1|world:|device smoke-1",
                 "[     0.021] device smoke-1 online\n"
                 "[    10.000] world: smoke-1 is exception\n"
                 "[    12.019] alarm smoke-1/communication unacknowledged by=condition value=null\n"
                 "[    12.024] city <- event alarm smoke-1/communication unacknowledged\n"
                 "[    20.000] world: smoke-1 is well\n"
                 "[    20.021] alarm smoke-1/communication returned by=return value=null\n"
                 "[    20.026] city <- event alarm smoke-1/communication returned\n");
    world_settle(world);
    world_close(world);
}

/* A record is written when the store can, and may so tell of a current that was just too high and never long enough to be told. A restart
 * much later must not take one within the deadband for what goes on of that: nothing was active, so nothing goes on. */
static void s009_restart_within_the_deadband(void **state) {
    (void)state;
    struct world *world = world_open("shed", 9);
    world_start(world);
    world_run_until(world, 10000);
    world_store_failing(world, true);
    world_set(world, "meter-1/current", "9.5");
    world_run_until(world, 20000);
    world_set(world, "meter-1/current", "2");
    world_run_until(world, 30000);
    world_set(world, "meter-1/current", "9.5");
    world_run_until(world, 32000);
    world_store_failing(world, false);
    world_run_until(world, 34000);
    world_set(world, "meter-1/current", "2");
    world_run_until(world, 60000);
    world_set(world, "meter-1/current", "8.8");
    world_run_until(world, 65000);
    world_crash(world, false);
    world_start(world);
    world_run_until(world, 120000);
    world_expect(world, "alarm meter-1/overcurrent|world:|crash|start",
                 "[     0.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=1\n"
                 "[     0.025] city <- event system started replayed\n"
                 "[    10.000] world: store fails\n"
                 "[    10.000] world: meter-1/current = 9.5\n"
                 "[    15.645] alarm meter-1/overcurrent unacknowledged by=condition value=9.5\n"
                 "[    15.650] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    20.000] world: meter-1/current = 2\n"
                 "[    22.645] alarm meter-1/overcurrent returned by=return value=2\n"
                 "[    22.650] city <- event alarm meter-1/overcurrent returned\n"
                 "[    30.000] world: meter-1/current = 9.5\n"
                 "[    32.000] world: store is well\n"
                 "[    34.000] world: meter-1/current = 2\n"
                 "[    60.000] world: meter-1/current = 8.8\n"
                 "[    65.000] crash\n"
                 "[    65.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=30\n"
                 "[    65.000] alarm meter-1/overcurrent restored returned\n"
                 "[    65.029] city <- event system started replayed\n");
    world_settle(world);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s001_smoke_to_subscriber),
        cmocka_unit_test(s002_sensor_unplugged),
        cmocka_unit_test(s003_on_delay_frozen_by_blindness),
        cmocka_unit_test(s004_deadband_and_off_delay),
        cmocka_unit_test(s005_two_of_three),
        cmocka_unit_test(s006_latch),
        cmocka_unit_test(s007_relay_away),
        cmocka_unit_test(s008_detector_without_a_value),
        cmocka_unit_test(s009_restart_within_the_deadband),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
