/* SPDX-License-Identifier: Apache-2.0 */
/* Stories about people and alarms: acknowledged, reset, shelved, tested, struck off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/sim/world.h"

#define FIRE "smoke-1/smoke-1-fire"

static struct world *begin(uint64_t seed) {
    struct world *world = world_open("people", seed);
    world_start(world);
    world_run_until(world, 5000);
    world_expect(world, " failed ", ""); /* what came before is told by other stories */
    return world;
}

static void end(struct world *world) {
    world_settle(world);
    world_close(world);
}

/* The whole life: smoke cuts the branch, a person takes the alarm, the smoke goes, a signed reset ends it and gives the relay back to
 * people; the branch stays cut until one of them switches it on. */
static void s601_life_of_a_fire_alarm(void **state) {
    (void)state;
    struct world *world = begin(601);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 10000);
    assert_true(world_command(world, "acknowledge", FIRE, ""));
    assert_false(world_command(world, "reset", FIRE, "")); /* it burns */
    world_run_until(world, 15000);
    world_set(world, "smoke-1/smoke", "normal");
    world_run_until(world, 20000);
    assert_false(world_command(world, "reset", FIRE, "unsigned"));
    assert_true(world_command(world, "reset", FIRE, "by=B"));
    world_run_until(world, 22000);
    world_set(world, "relay-1/channel-1", "on"); /* by hand; nobody undoes it */
    world_run_until(world, 40000);
    world_expect(world, "smoke-1-fire|cut-branch|command|world:|written",
                 "[     5.000] world: smoke-1/smoke = alarm\n"
                 "[     5.021] alarm smoke-1/smoke-1-fire unacknowledged by=condition value=1\n"
                 "[     5.021] problem smoke-1/smoke-1-fire open\n"
                 "[     5.021] action cut-branch writes relay-1/channel-1 attempt=1\n"
                 "[     5.026] city <- event alarm smoke-1/smoke-1-fire unacknowledged\n"
                 "[     5.026] city <- alarm/smoke-1/smoke-1-fire unacknowledged\n"
                 "[     5.026] city <- event problem smoke-1/smoke-1-fire open\n"
                 "[     5.038] plant: relay-1/channel-1 is written off\n"
                 "[     5.069] action cut-branch held attempt=1\n"
                 "[     5.074] city <- event action cut-branch ok=true attempt=1\n"
                 "[     5.074] city <- alarm/relay-1/action-cut-branch normal\n"
                 "[    10.000] world: acknowledge smoke-1/smoke-1-fire\n"
                 "[    10.000] alarm smoke-1/smoke-1-fire acknowledged by=acknowledge value=1\n"
                 "[    10.000] command c-1 acknowledge done for W (socket)\n"
                 "[    10.000] world: reset smoke-1/smoke-1-fire\n"
                 "[    10.000] command c-2 reset refused (socket): its condition is still there\n"
                 "[    10.005] city <- event alarm smoke-1/smoke-1-fire acknowledged\n"
                 "[    10.005] city <- alarm/smoke-1/smoke-1-fire acknowledged\n"
                 "[    10.005] city <- event command acknowledge by=W\n"
                 "[    15.000] world: smoke-1/smoke = normal\n"
                 "[    15.021] alarm smoke-1/smoke-1-fire latched by=return value=0\n"
                 "[    15.026] city <- event alarm smoke-1/smoke-1-fire latched\n"
                 "[    15.026] city <- alarm/smoke-1/smoke-1-fire latched\n"
                 "[    20.000] world: reset smoke-1/smoke-1-fire unsigned\n"
                 "[    20.000] command c-3 reset refused (socket): it needs a signature with this gateway's key, or to come from its own machine\n"
                 "[    20.000] world: reset smoke-1/smoke-1-fire by=B\n"
                 "[    20.000] action cut-branch released\n"
                 "[    20.000] alarm smoke-1/smoke-1-fire normal by=reset value=0\n"
                 "[    20.000] command c-4 reset done for B (socket)\n"
                 "[    20.005] city <- event action cut-branch ok=true attempt=1\n"
                 "[    20.005] city <- event alarm smoke-1/smoke-1-fire normal\n"
                 "[    20.005] city <- alarm/smoke-1/smoke-1-fire normal\n"
                 "[    20.005] city <- event command reset by=B\n"
                 "[    22.000] world: relay-1/channel-1 = on\n");
    world_expect_value(world, "relay-1/channel-1", "on");
    assert_non_null(strstr(world_retained(world, "city", "alarm/" FIRE), "\"state\":\"normal\""));
    end(world);
}

/* Shelved while somebody welds: watched and not told; at its end it is told, because the current is still too high. */
static void s602_shelf_that_expires(void **state) {
    (void)state;
    struct world *world = begin(602);
    assert_true(world_command(world, "shelve", "meter-1/overcurrent", "until=60 reason=welding"));
    assert_false(world_command(world, "shelve", FIRE, "until=3601 reason=welding")); /* fire: an hour at most */
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 64000);
    assert_non_null(strstr(world_retained(world, "city", "alarm/meter-1/overcurrent"), "\"by\":\"W\",\"reason\":\"welding\""));
    world_run_until(world, 70000);
    world_expect(world, "overcurrent|command|world:",
                 "[     5.000] world: shelve meter-1/overcurrent until=60 reason=welding\n"
                 "[     5.000] alarm meter-1/overcurrent shelved by=shelve value=2.4\n"
                 "[     5.000] command c-1 shelve done for W (socket)\n"
                 "[     5.000] world: shelve smoke-1/smoke-1-fire until=3601 reason=welding\n"
                 "[     5.000] command c-2 shelve refused (socket): that is too long for a fire alarm: its shelf lasts an hour at most\n"
                 "[     5.000] world: meter-1/current = 12\n"
                 "[     5.005] city <- event alarm meter-1/overcurrent shelved\n"
                 "[     5.005] city <- event command shelve by=W\n"
                 "[     5.005] city <- alarm/meter-1/overcurrent shelved\n"
                 "[    65.000] alarm meter-1/overcurrent unacknowledged by=expired value=12\n"
                 "[    65.000] problem meter-1/overcurrent open\n"
                 "[    65.005] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    65.005] city <- event problem meter-1/overcurrent open\n"
                 "[    65.005] city <- alarm/meter-1/overcurrent unacknowledged\n");
    end(world);
}

/* A detector's head is replaced: the whole device is out of service, its silence too, and nothing of it is told until it is back. */
static void s603_device_out_of_service(void **state) {
    (void)state;
    struct world *world = begin(603);
    assert_true(world_command(world, "out_of_service", "smoke-2", "on=1 until=1800 reason=new-head"));
    world_fault(world, "smoke-2", SICK_SILENT);
    world_set(world, "smoke-2/smoke", "alarm");
    world_run_until(world, 60000);
    world_fault(world, "smoke-2", SICK_NONE);
    world_set(world, "smoke-2/smoke", "normal");
    world_run_until(world, 100000);
    assert_true(world_command(world, "out_of_service", "smoke-2", "on=0"));
    world_run_until(world, 110000);
    world_set(world, "smoke-2/smoke", "alarm");
    world_run_until(world, 115000);
    world_expect(world, "smoke-2|command",
                 "[     5.000] world: out_of_service smoke-2 on=1 until=1800 reason=new-head\n"
                 "[     5.000] alarm smoke-2/communication out_of_service by=out_of_service value=null\n"
                 "[     5.000] alarm smoke-2/smoke-2-fire out_of_service by=out_of_service value=0\n"
                 "[     5.000] command c-1 out_of_service done for W (socket)\n"
                 "[     5.000] world: smoke-2 is silent\n"
                 "[     5.000] world: smoke-2/smoke = alarm\n"
                 "[     5.005] city <- event alarm smoke-2/smoke-2-fire out_of_service\n"
                 "[     5.005] city <- alarm/smoke-2/smoke-2-fire out_of_service\n"
                 "[     5.005] city <- event alarm smoke-2/communication out_of_service\n"
                 "[     5.005] city <- event command out_of_service by=W\n"
                 "[     5.005] city <- alarm/smoke-2/communication out_of_service\n"
                 "[     5.538] city <- reading/smoke-2 n=1\n"
                 "[     7.533] device smoke-2 dead misses=3\n"
                 "[    60.000] world: smoke-2 is well\n"
                 "[    60.000] world: smoke-2/smoke = normal\n"
                 "[    60.069] device smoke-2 back after=55.8s\n"
                 "[    60.074] city <- reading/smoke-2 n=1\n"
                 "[   100.000] world: out_of_service smoke-2 on=0\n"
                 "[   100.000] alarm smoke-2/communication normal by=in_service value=null\n"
                 "[   100.000] alarm smoke-2/smoke-2-fire normal by=in_service value=0\n"
                 "[   100.000] command c-2 out_of_service done for W (socket)\n"
                 "[   100.005] city <- event alarm smoke-2/smoke-2-fire normal\n"
                 "[   100.005] city <- alarm/smoke-2/smoke-2-fire normal\n"
                 "[   100.005] city <- event alarm smoke-2/communication normal\n"
                 "[   100.005] city <- event command out_of_service by=W\n"
                 "[   100.005] city <- alarm/smoke-2/communication normal\n"
                 "[   110.000] world: smoke-2/smoke = alarm\n"
                 "[   110.069] alarm smoke-2/smoke-2-fire unacknowledged by=condition value=1\n"
                 "[   110.069] problem smoke-2/smoke-2-fire open\n"
                 "[   110.074] city <- event alarm smoke-2/smoke-2-fire unacknowledged\n"
                 "[   110.074] city <- alarm/smoke-2/smoke-2-fire unacknowledged\n"
                 "[   110.074] city <- event problem smoke-2/smoke-2-fire open\n"
                 "[   110.074] city <- reading/smoke-2 n=1\n");
    end(world);
}

/* Undervoltage says nothing new while there is an overcurrent: suppressed by it, and told when that has gone and it has not. */
static void s604_suppressed_by_its_cause(void **state) {
    (void)state;
    struct world *world = world_open("people", 604);
    world_rule(world, "meter-1/undervoltage")->suppressed_by = world_rule_index(world, "meter-1/overcurrent");
    world_start(world);
    world_run_until(world, 5000);
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 8000);
    world_set(world, "meter-1/voltage", "180");
    world_run_until(world, 20000);
    world_set(world, "meter-1/current", "2");
    world_run_until(world, 30000);
    world_expect(world, "overcurrent|undervoltage|world:",
                 "[     0.886] city <- alarm/meter-1/overcurrent normal\n"
                 "[     0.886] city <- alarm/meter-1/undervoltage normal\n"
                 "[     5.000] world: meter-1/current = 12\n"
                 "[     5.881] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[     5.881] problem meter-1/overcurrent open\n"
                 "[     5.881] alarm meter-1/undervoltage suppressed by=suppress value=225\n"
                 "[     5.886] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[     5.886] city <- event problem meter-1/overcurrent open\n"
                 "[     5.886] city <- event alarm meter-1/undervoltage suppressed\n"
                 "[     5.886] city <- alarm/meter-1/overcurrent unacknowledged\n"
                 "[     5.886] city <- alarm/meter-1/undervoltage suppressed\n"
                 "[     8.000] world: meter-1/voltage = 180\n"
                 "[    20.000] world: meter-1/current = 2\n"
                 "[    20.881] alarm meter-1/overcurrent returned by=return value=2\n"
                 "[    20.881] alarm meter-1/undervoltage unacknowledged by=release value=180\n"
                 "[    20.881] problem meter-1/undervoltage open\n"
                 "[    20.886] city <- event alarm meter-1/overcurrent returned\n"
                 "[    20.886] city <- event alarm meter-1/undervoltage unacknowledged\n"
                 "[    20.886] city <- event problem meter-1/undervoltage open\n"
                 "[    20.886] city <- alarm/meter-1/overcurrent returned\n"
                 "[    20.886] city <- alarm/meter-1/undervoltage unacknowledged\n");
    end(world);
}

/* A walk test of shed-1: smoke-1 is tested and ticked off; smoke-2 stays in alarm and is real when the test is over; smoke-3, elsewhere,
 * is real at once. The relay is not written by the test, and what is retained says nothing of it. */
static void s608_walk_test(void **state) {
    (void)state;
    struct world *world = begin(608);
    assert_true(world_command(world, "walk_test", "place:shed-1", "minutes=1 inhibit=1"));
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 10000);
    assert_non_null(strstr(world_retained(world, "city", "alarm/" FIRE), "\"state\":\"normal\""));
    world_broker_cut(world, "city"); /* a broker that comes back during the test is not told either */
    world_run_until(world, 20000);
    assert_non_null(strstr(world_retained(world, "city", "alarm/" FIRE), "\"state\":\"normal\""));
    world_set(world, "smoke-1/smoke", "normal");
    world_run_until(world, 25000);
    world_set(world, "smoke-3/smoke", "alarm");
    world_run_until(world, 30000);
    world_set(world, "smoke-2/smoke", "alarm");
    world_run_until(world, 70000);
    world_expect(world, "-fire|walk|written|cut-branch",
                 "[     5.000] world: walk_test place:shed-1 minutes=1 inhibit=1\n"
                 "[     5.000] walk test begun detectors=2 minutes=1\n"
                 "[     5.000] command c-1 walk_test done for W (socket)\n"
                 "[     5.000] reply {\"id\":\"c-1\",\"verb\":\"walk_test\",\"ok\":true,\"event\":\"sim-01-c5dea3b65cdb0ea7-9\",\"at\":\"2026-01-01T08:00:05.000+08:00\"}\n"
                 "[     5.005] city <- event walk_test begun seen=0 of=2\n"
                 "[     5.005] city <- event command walk_test by=W\n"
                 "[     5.021] alarm smoke-1/smoke-1-fire unacknowledged by=condition value=1 test\n"
                 "[     5.026] city <- event alarm smoke-1/smoke-1-fire unacknowledged\n"
                 "[    10.870] city <- alarm/smoke-2/smoke-2-fire normal\n"
                 "[    10.870] city <- alarm/smoke-3/smoke-3-fire normal\n"
                 "[    20.021] alarm smoke-1/smoke-1-fire normal by=return value=0 test\n"
                 "[    20.026] city <- event alarm smoke-1/smoke-1-fire normal\n"
                 "[    25.069] alarm smoke-3/smoke-3-fire unacknowledged by=condition value=1\n"
                 "[    25.069] problem smoke-3/smoke-3-fire open\n"
                 "[    25.074] city <- event alarm smoke-3/smoke-3-fire unacknowledged\n"
                 "[    25.074] city <- alarm/smoke-3/smoke-3-fire unacknowledged\n"
                 "[    25.074] city <- event problem smoke-3/smoke-3-fire open\n"
                 "[    30.045] alarm smoke-2/smoke-2-fire unacknowledged by=condition value=1 test\n"
                 "[    30.050] city <- event alarm smoke-2/smoke-2-fire unacknowledged\n"
                 "[    65.000] walk test ended seen=2 of=2\n"
                 "[    65.000] alarm smoke-2/smoke-2-fire unacknowledged by=walk_ended value=1\n"
                 "[    65.000] problem smoke-2/smoke-2-fire open\n"
                 "[    65.005] city <- event alarm smoke-2/smoke-2-fire unacknowledged\n"
                 "[    65.005] city <- alarm/smoke-1/smoke-1-fire normal\n"
                 "[    65.005] city <- alarm/smoke-2/smoke-2-fire unacknowledged\n"
                 "[    65.005] city <- event walk_test ended seen=2 of=2\n"
                 "[    65.005] city <- event problem smoke-2/smoke-2-fire open\n");
    assert_int_equal(world_received(world, "city", "event", "\"test\":true"), 3);
    assert_int_equal(world_received(world, "city", "event", "\"detectors\":2,\"seen\":2"), 1);
    world_set(world, "smoke-1/smoke", "alarm"); /* after the test it is real */
    world_run_until(world, 75000);
    world_expect(world, "smoke-1-fire|written",
                 "[    70.021] alarm smoke-1/smoke-1-fire unacknowledged by=condition value=1\n"
                 "[    70.021] problem smoke-1/smoke-1-fire open\n"
                 "[    70.026] city <- event alarm smoke-1/smoke-1-fire unacknowledged\n"
                 "[    70.026] city <- alarm/smoke-1/smoke-1-fire unacknowledged\n"
                 "[    70.026] city <- event problem smoke-1/smoke-1-fire open\n"
                 "[    70.038] plant: relay-1/channel-1 is written off\n");
    end(world);
}

/* The relay board browns out and comes back with its outputs on: the next reading shows it, and it is commanded again at once. */
static void s609_brown_out(void **state) {
    (void)state;
    struct world *world = begin(609);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 10000);
    world_set(world, "relay-1/channel-1", "on");
    world_run_until(world, 20000);
    world_expect_value(world, "relay-1/channel-1", "off");
    world_expect(world, "cut-branch|world:|written",
                 "[     5.000] world: smoke-1/smoke = alarm\n"
                 "[     5.021] action cut-branch writes relay-1/channel-1 attempt=1\n"
                 "[     5.038] plant: relay-1/channel-1 is written off\n"
                 "[     5.069] action cut-branch held attempt=1\n"
                 "[     5.074] city <- event action cut-branch ok=true attempt=1\n"
                 "[     5.074] city <- alarm/relay-1/action-cut-branch normal\n"
                 "[    10.000] world: relay-1/channel-1 = on\n"
                 "[    10.964] action cut-branch undone attempt=0 why=it reads back otherwise; it is written again\n"
                 "[    10.964] action cut-branch writes relay-1/channel-1 attempt=1\n"
                 "[    10.969] city <- event action cut-branch ok=false attempt=0\n"
                 "[    10.981] plant: relay-1/channel-1 is written off\n"
                 "[    11.012] action cut-branch held attempt=1\n"
                 "[    11.017] city <- event action cut-branch ok=true attempt=1\n");
    end(world);
}

/* Refused with the reason, whatever the channel: no signature, no clock, twice. */
static void s610_refused(void **state) {
    (void)state;
    struct world *world = begin(610);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 8000);
    world_set(world, "smoke-1/smoke", "normal");
    world_run_until(world, 12000);
    assert_true(world_command(world, "acknowledge", FIRE, "mqtt unsigned"));
    assert_false(world_command(world, "acknowledge", FIRE, "again"));
    assert_false(world_command(world, "reset", FIRE, "mqtt unsigned"));
    assert_false(world_command(world, "write", "point:relay-1/channel-1", "value=on unsigned"));
    assert_false(world_command(world, "write", "point:relay-1/channel-1", "value=on")); /* held by a fire */
    world_clock(world, 0, false);
    assert_false(world_command(world, "reset", FIRE, "mqtt"));
    assert_true(world_command(world, "reset", FIRE, "")); /* from its own machine, also before the clock is right */
    assert_true(world_command(world, "write", "point:relay-1/channel-1", "value=on"));
    world_run_until(world, 15000);
    world_expect_value(world, "relay-1/channel-1", "on");
    world_expect(world, "command|written",
                 "[     5.038] plant: relay-1/channel-1 is written off\n"
                 "[    12.000] command c-1 acknowledge done for W (socket)\n"
                 "[    12.000] command c-1 acknowledge refused (socket): a command with this id was carried out already\n"
                 "[    12.000] reply {\"id\":\"c-1\",\"verb\":\"acknowledge\",\"ok\":false,\"why\":\"a command with this id was carried out already\",\"at\":\"2026-01-01T08:00:12.000+08:00\"}\n"
                 "[    12.000] command c-2 reset refused (socket): it needs a signature with this gateway's key, or to come from its own machine\n"
                 "[    12.000] command c-3 write refused (socket): it needs a signature with this gateway's key, or to come from its own machine\n"
                 "[    12.000] command c-4 write refused (socket): a local action holds this point: reset its alarm first\n"
                 "[    12.000] command c-5 reset refused (socket): the gateway's clock is not set yet, so it cannot know how old this is\n"
                 "[    12.000] command c-6 reset done for W (socket)\n"
                 "[    12.000] command c-7 write done for W (socket)\n"
                 "[    12.005] city <- event command acknowledge by=W\n"
                 "[    12.005] city <- event command reset by=W\n"
                 "[    12.005] city <- event command write by=W\n"
                 "[    12.038] plant: relay-1/channel-1 is written on\n");
    end(world);
}

/* A problem is opened by its alarm, assigned, rectified, and struck off by a second person once the alarm is normal; a restart between
 * changes nothing. */
static void s611_problem(void **state) {
    (void)state;
    struct world *world = begin(611);
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 8000);
    assert_true(world_command(world, "assign", "meter-1/overcurrent", "to=Wang by=A"));
    world_run_until(world, 10000);
    world_crash(world, false);
    world_start(world);
    world_run_until(world, 15000);
    assert_true(world_command(world, "rectify", "meter-1/overcurrent", "what=charger-removed by=Wang"));
    assert_false(world_command(world, "close", "meter-1/overcurrent", "by=A")); /* the current is still there */
    world_set(world, "meter-1/current", "2");
    world_run_until(world, 20000);
    assert_true(world_command(world, "acknowledge", "meter-1/overcurrent", ""));
    assert_false(world_command(world, "close", "meter-1/overcurrent", "by=Wang")); /* who rectified it */
    assert_true(world_command(world, "close", "meter-1/overcurrent", "by=A"));
    world_run_until(world, 25000);
    world_expect(world, "problem|command|crash",
                 "[     5.881] problem meter-1/overcurrent open\n"
                 "[     5.886] city <- event problem meter-1/overcurrent open\n"
                 "[     8.000] problem meter-1/overcurrent assigned\n"
                 "[     8.000] command c-1 assign done for A (socket)\n"
                 "[     8.005] city <- event problem meter-1/overcurrent assigned\n"
                 "[     8.005] city <- event command assign by=A\n"
                 "[    10.000] crash\n"
                 "[    10.029] city <- event problem meter-1/overcurrent assigned replayed\n"
                 "[    10.029] city <- event command assign by=A replayed\n"
                 "[    15.000] problem meter-1/overcurrent rectified\n"
                 "[    15.000] command c-2 rectify done for Wang (socket)\n"
                 "[    15.000] command c-3 close refused (socket): its alarm is not normal yet\n"
                 "[    15.005] city <- event problem meter-1/overcurrent rectified\n"
                 "[    15.005] city <- event command rectify by=Wang\n"
                 "[    20.000] command c-4 acknowledge done for W (socket)\n"
                 "[    20.000] command c-5 close refused (socket): who rectified it cannot close it: it needs a second person\n"
                 "[    20.000] problem meter-1/overcurrent closed\n"
                 "[    20.000] command c-6 close done for A (socket)\n"
                 "[    20.005] city <- event command acknowledge by=W\n"
                 "[    20.005] city <- event problem meter-1/overcurrent closed\n"
                 "[    20.005] city <- event command close by=A\n");
    assert_false(world_command(world, "close", "meter-1/overcurrent", "by=A"));
    end(world);
}

/* An alarm that was active before its suppressor is not touched; once it is settled it may not come again until the other has gone. */
static void s612_settled_while_its_cause_is_active(void **state) {
    (void)state;
    struct world *world = world_open("people", 612);
    world_rule(world, "meter-1/undervoltage")->suppressed_by = world_rule_index(world, "meter-1/overcurrent");
    world_start(world);
    world_run_until(world, 2000);
    world_set(world, "meter-1/voltage", "180");
    world_run_until(world, 6000);
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 14000);
    world_set(world, "meter-1/voltage", "225");
    world_run_until(world, 18000);
    assert_true(world_command(world, "acknowledge", "meter-1/undervoltage", ""));
    world_set(world, "meter-1/voltage", "180");
    world_run_until(world, 24000);
    world_expect(world, "alarm meter-1",
                 "[     2.881] alarm meter-1/undervoltage unacknowledged by=condition value=180\n"
                 "[     2.886] city <- event alarm meter-1/undervoltage unacknowledged\n"
                 "[     6.881] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[     6.886] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    14.881] alarm meter-1/undervoltage returned by=return value=225\n"
                 "[    14.886] city <- event alarm meter-1/undervoltage returned\n"
                 "[    18.000] alarm meter-1/undervoltage normal by=acknowledge value=225\n"
                 "[    18.000] alarm meter-1/undervoltage suppressed by=suppress value=225\n"
                 "[    18.005] city <- event alarm meter-1/undervoltage normal\n"
                 "[    18.005] city <- event alarm meter-1/undervoltage suppressed\n");
    world_settle(world);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s601_life_of_a_fire_alarm),
        cmocka_unit_test(s602_shelf_that_expires),
        cmocka_unit_test(s603_device_out_of_service),
        cmocka_unit_test(s604_suppressed_by_its_cause),
        cmocka_unit_test(s612_settled_while_its_cause_is_active),
        cmocka_unit_test(s608_walk_test),
        cmocka_unit_test(s609_brown_out),
        cmocka_unit_test(s610_refused),
        cmocka_unit_test(s611_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
