/* SPDX-License-Identifier: Apache-2.0 */
/* Stories about the disk and about power: nothing waits for the one, nothing is lost silently with the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world_state.h"

/* The disk stalls for 5 s: the alarm is sent and the relay written at once all the same. */
static void s201_store_stalls(void **state) {
    (void)state;
    struct world *world = world_open("shed", 201);
    world_start(world);
    world_run_until(world, 10000);
    world_store_stall(world, 5000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 20000);
    world_expect(world, "smoke-1/smoke|fire|cut-branch|stalls",
                 "[     0.026] city <- alarm/smoke-1/smoke normal\n"
                 "[    10.000] world: store stalls for 5000 ms\n"
                 "[    10.000] world: smoke-1/smoke = alarm\n"
                 "[    10.021] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    10.021] problem smoke-1/smoke open\n"
                 "[    10.021] action cut-branch writes relay-1/channel-1 attempt=1\n"
                 "[    10.026] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    10.026] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    10.026] city <- event problem smoke-1/smoke open\n"
                 "[    10.069] action cut-branch held attempt=1\n"
                 "[    10.074] city <- event action cut-branch ok=true attempt=1\n"
                 "[    10.074] city <- alarm/relay-1/action-cut-branch normal\n"
                 "[    15.008] store: fire durable to 6\n"
                 "[    15.032] store: fire durable to 9\n");
    world_settle(world);
    world_close(world);
}

/* The disk fails: said once; alarms and readings go out of memory; when it works again everything is made durable. */
static void s202_store_fails(void **state) {
    (void)state;
    struct world *world = world_open("shed", 202);
    world_start(world);
    world_run_until(world, 10000);
    world_store_failing(world, true);
    world_run_until(world, 15000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 30000);
    world_store_failing(world, false);
    world_run_until(world, 40000);
    world_expect(world, "smoke-1/smoke|store|cut-branch",
                 "[     0.008] store: event durable to 2\n"
                 "[     0.026] city <- alarm/smoke-1/smoke normal\n"
                 "[    10.000] world: store fails\n"
                 "[    15.000] world: smoke-1/smoke = alarm\n"
                 "[    15.021] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    15.021] problem smoke-1/smoke open\n"
                 "[    15.021] action cut-branch writes relay-1/channel-1 attempt=1\n"
                 "[    15.026] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    15.026] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    15.026] city <- event problem smoke-1/smoke open\n"
                 "[    15.029] store fails: the operating system reported an error; entries stay in memory\n"
                 "[    15.069] action cut-branch held attempt=1\n"
                 "[    15.074] city <- event action cut-branch ok=true attempt=1\n"
                 "[    15.074] city <- alarm/relay-1/action-cut-branch normal\n"
                 "[    30.000] world: store is well\n"
                 "[    30.109] store: reading durable to 16\n"
                 "[    30.109] store works again\n"
                 "[    30.149] store: fire durable to 12\n"
                 "[    30.157] store: event durable to 10\n");
    world_settle(world);
    world_close(world);
}

/* A restart with an open alarm: it is restored and told as a roster, not raised anew, and its relay is written once more. */
static void s203_restart_with_an_open_alarm(void **state) {
    (void)state;
    struct world *world = world_open("shed", 203);
    world_start(world);
    world_run_until(world, 10000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 30000);
    world_stop(world);
    world_run_until(world, 40000);
    world_set(world, "meter-1/current", "2"); /* over while nobody looked: returns after its off-delay */
    world_start(world);
    world_run_until(world, 60000);
    world_expect(world, "smoke-1/smoke|overcurrent|cut-branch|stop|start",
                 "[     0.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=1\n"
                 "[     0.025] city <- event system started replayed\n"
                 "[     0.026] city <- alarm/smoke-1/smoke normal\n"
                 "[     0.650] city <- alarm/meter-1/overcurrent normal\n"
                 "[    10.000] world: smoke-1/smoke = alarm\n"
                 "[    10.021] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    10.021] problem smoke-1/smoke open\n"
                 "[    10.021] action cut-branch writes relay-1/channel-1 attempt=1\n"
                 "[    10.026] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    10.026] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    10.026] city <- event problem smoke-1/smoke open\n"
                 "[    10.069] action cut-branch held attempt=1\n"
                 "[    10.074] city <- event action cut-branch ok=true attempt=1\n"
                 "[    10.074] city <- alarm/relay-1/action-cut-branch normal\n"
                 "[    15.645] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[    15.645] problem meter-1/overcurrent open\n"
                 "[    15.650] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    15.650] city <- event problem meter-1/overcurrent open\n"
                 "[    15.650] city <- alarm/meter-1/overcurrent unacknowledged\n"
                 "[    30.000] stopping\n"
                 "[    30.005] city <- event system stopped\n"
                 "[    30.016] stopped\n"
                 "[    40.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=19\n"
                 "[    40.000] alarm smoke-1/smoke restored unacknowledged\n"
                 "[    40.000] alarm meter-1/overcurrent restored unacknowledged\n"
                 "[    40.000] action cut-branch writes relay-1/channel-1 attempt=1\n"
                 "[    40.025] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    40.025] city <- alarm/meter-1/overcurrent unacknowledged\n"
                 "[    40.025] city <- event system started replayed\n"
                 "[    40.025] city <- event roster meter-1/overcurrent unacknowledged replayed\n"
                 "[    40.027] city <- event roster smoke-1/smoke unacknowledged replayed\n"
                 "[    40.069] action cut-branch held attempt=1\n"
                 "[    40.074] city <- event action cut-branch ok=true attempt=1\n"
                 "[    40.074] city <- alarm/relay-1/action-cut-branch normal\n"
                 "[    42.645] alarm meter-1/overcurrent returned by=return value=2\n"
                 "[    42.650] city <- event alarm meter-1/overcurrent returned\n"
                 "[    42.650] city <- alarm/meter-1/overcurrent returned\n");
    world_settle(world);
    world_close(world);
}

/* Power is cut in the very millisecond between the alarm and its commit: the alarm was sent before, and the next start, which
 * has never heard of it, raises it again from what the sensor says. */
static void s204_power_cut_before_the_commit(void **state) {
    (void)state;
    struct world *world = world_open("shed", 204);
    world_store_delay(world, 50);
    world_start(world);
    world_run_until(world, 10000);
    world_set(world, "smoke-1/smoke", "alarm");
    while (world_counters(world)->alarm_transitions == 0)
        assert_true(world_step_before(world, 12000));
    world_run_until(world, world_ms(world) + 20); /* received, not durable */
    world_crash(world, false);
    world_start(world);
    world_run_until(world, 20000);
    world_expect(world, "smoke-1/smoke|crash|start",
                 "[     0.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=1\n"
                 "[     0.025] city <- event system started replayed\n"
                 "[     0.026] city <- alarm/smoke-1/smoke normal\n"
                 "[    10.000] world: smoke-1/smoke = alarm\n"
                 "[    10.021] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    10.021] problem smoke-1/smoke open\n"
                 "[    10.026] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    10.026] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    10.026] city <- event problem smoke-1/smoke open\n"
                 "[    10.040] crash\n"
                 "[    10.040] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=6\n"
                 "[    10.061] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    10.061] problem smoke-1/smoke open\n"
                 "[    10.066] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    10.066] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    10.066] city <- event problem smoke-1/smoke open\n"
                 "[    10.069] city <- event system started replayed\n");
    world_settle(world);
    world_close(world);
}

/* The room for undelivered entries is used up: the oldest readings go, are counted, and the count is told as a gap. */
static void s205_quota_exceeded(void **state) {
    (void)state;
    struct world *world = world_open("two-uplinks", 205);
    world_store_quota(world, 20000);
    world_start(world);
    world_run_until(world, 10000);
    world_broker_down(world, "city", LINK_UNREACHABLE);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 12000);
    world_set(world, "smoke-1/smoke", "normal");
    world_run_until(world, 180000);
    world_expect(world, "gap|smoke-1/smoke",
                 "[     0.025] city <- alarm/smoke-1/smoke normal\n"
                 "[     0.025] owner <- alarm/smoke-1/smoke normal\n"
                 "[    10.000] world: smoke-1/smoke = alarm\n"
                 "[    10.001] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    10.001] problem smoke-1/smoke open\n"
                 "[    10.006] owner <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    10.006] owner <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    10.006] owner <- event problem smoke-1/smoke open\n"
                 "[    12.000] world: smoke-1/smoke = normal\n"
                 "[    12.001] alarm smoke-1/smoke returned by=return value=0\n"
                 "[    12.006] owner <- event alarm smoke-1/smoke returned\n"
                 "[    12.006] owner <- alarm/smoke-1/smoke returned\n"
                 "[   103.139] gap uplink=city lane=reading count=1 why=the room or the time for undelivered entries is used up\n"
                 "[   113.139] gap uplink=city lane=reading count=55 why=the room or the time for undelivered entries is used up\n"
                 "[   133.139] gap uplink=city lane=reading count=127 why=the room or the time for undelivered entries is used up\n"
                 "[   173.139] gap uplink=city lane=reading count=240 why=the room or the time for undelivered entries is used up\n");
    world_broker_up(world, "city");
    world_run_until(world, 260000);
    world_settle(world);
    world_expect(world, "city <- event",
                 "[   228.627] city <- event alarm smoke-1/smoke unacknowledged replayed\n"
                 "[   228.627] city <- event alarm smoke-1/smoke returned replayed\n"
                 "[   228.627] city <- event problem smoke-1/smoke open replayed\n"
                 "[   228.627] city <- event gap lane=reading count=1 why=the room or the time for undelivered entries is used up replayed\n"
                 "[   228.627] city <- event gap lane=reading count=55 why=the room or the time for undelivered entries is used up replayed\n"
                 "[   228.627] city <- event gap lane=reading count=127 why=the room or the time for undelivered entries is used up replayed\n"
                 "[   228.627] city <- event gap lane=reading count=240 why=the room or the time for undelivered entries is used up replayed\n"
                 "[   253.146] city <- event gap lane=reading count=347 why=the room or the time for undelivered entries is used up\n");
    for (unsigned u = 0; u < 2; u++) /* to the entry, and to each what it missed */
        assert_int_equal(world->gaps_told[u][LANE_READING], world->evicted[u][LANE_READING]);
    world_close(world);
}

/* Memory is not enough for a disk that fails and a broker that is away as long: what is lost is counted and told. */
static void s206_memory_used_up(void **state) {
    (void)state;
    struct world *world = world_open("wide", 206);
    world_start(world);
    world_run_until(world, 10000);
    world_broker_down(world, "city", LINK_UNREACHABLE);
    world_store_failing(world, true);
    world_check_every(world, 200);
    world_run_until(world, 900000);
    world_store_failing(world, false);
    world_broker_up(world, "city");
    world_run_until(world, 1010000);
    world_settle(world);
    world_expect(world, "gap|store works|store fails|uplink",
                 "[     0.000] start gateway=sim-04 devices=1 points=60 alarms=1 uplinks=1 next_seq=1\n"
                 "[     0.020] uplink city up mqtt=5 window=100\n"
                 "[    10.000] world: store fails\n"
                 "[    10.002] uplink city down lost: the connection was lost (next try in 0.8 s)\n"
                 "[    10.822] uplink city down unreachable: the address does not answer; check name, network and firewall (next try in 2.4 s)\n"
                 "[    36.009] store fails: the operating system reported an error; entries stay in memory\n"
                 "[   748.401] gap uplink=city lane=reading count=1 why=the store does not take entries and memory is full\n"
                 "[   768.401] gap uplink=city lane=reading count=100 why=the store does not take entries and memory is full\n"
                 "[   808.401] gap uplink=city lane=reading count=200 why=the store does not take entries and memory is full\n"
                 "[   888.401] gap uplink=city lane=reading count=400 why=the store does not take entries and memory is full\n"
                 "[   900.617] store works again\n"
                 "[   900.617] gap uplink=city lane=reading count=61 why=the store does not take entries and memory is full\n"
                 "[   955.564] uplink city up mqtt=5 window=100\n"
                 "[   955.569] city <- event gap lane=reading count=1 why=the store does not take entries and memory is full replayed\n"
                 "[   955.569] city <- event gap lane=reading count=100 why=the store does not take entries and memory is full replayed\n"
                 "[   955.569] city <- event gap lane=reading count=200 why=the store does not take entries and memory is full replayed\n"
                 "[   955.569] city <- event gap lane=reading count=400 why=the store does not take entries and memory is full replayed\n"
                 "[   955.569] city <- event gap lane=reading count=61 why=the store does not take entries and memory is full replayed\n");
    uint64_t missed = 0; /* the first fifty had arrived before the link broke: they are lost here, and no gap */
    for (uint64_t seq = 1; seq <= world->newest_seq; seq++)
        missed += (world->ledger[seq].told_lanes >> LANE_READING & 1) && !world->ledger[seq].received && !world->ledger[seq].durable;
    assert_int_equal(world->gaps_told[0][LANE_READING], missed);
    assert_int_equal(world_counters(world)->lost[LANE_READING], missed + 50);
    world_close(world);
}

/* An orderly stop: the last readings leave their batches, everything is durable, the status says offline, nothing is left. */
static void s207_stop_is_orderly(void **state) {
    (void)state;
    struct world *world = world_open("shed", 207);
    world_start(world);
    world_run_until(world, 12345);
    world_stop(world);
    world_expect(world, "stop|status|uplink",
                 "[     0.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=1\n"
                 "[     0.020] uplink city up mqtt=5 window=100\n"
                 "[     0.025] city <- status online\n"
                 "[    12.345] stopping\n"
                 "[    12.350] city <- event system stopped\n"
                 "[    12.350] city <- status offline\n"
                 "[    12.356] uplink city closed\n"
                 "[    12.361] stopped\n");
    world_start(world);
    world_run_until(world, 30000);
    world_expect(world, "system|status",
                 "[    12.386] city <- status online\n"
                 "[    12.386] city <- event system started replayed\n");
    world_settle(world);
    world_close(world);
}

/* Power is cut between the alarm and its commit, as in s204, and the fire takes the detector: the next start knows nothing of
 * the alarm and hears nothing of its point. It must not tell "normal": what the broker retains stays, whatever the link does,
 * until the detector is replaced and says so itself. */
static void s208_power_cut_and_the_detector_is_gone(void **state) {
    (void)state;
    struct world *world = world_open("shed", 208);
    world_store_delay(world, 50);
    world_start(world);
    world_run_until(world, 10000);
    world_set(world, "smoke-1/smoke", "alarm");
    while (world_counters(world)->alarm_transitions == 0)
        assert_true(world_step_before(world, 12000));
    world_run_until(world, world_ms(world) + 20); /* received, not durable */
    world_crash(world, false);
    world_fault(world, "smoke-1", SICK_SILENT);
    unsigned normal = world_received(world, "city", "alarm/smoke-1/smoke", "\"state\":\"normal\"");
    world_start(world);
    world_run_until(world, 30000);
    world_broker_cut(world, "city"); /* every connection begins with the present states */
    world_run_until(world, 60000);
    world_stop(world);
    world_start(world); /* and so does a restart in good order */
    world_run_until(world, 90000);
    assert_int_equal(world_received(world, "city", "alarm/smoke-1/smoke", "\"state\":\"normal\""), normal);
    assert_non_null(strstr(world_retained(world, "city", "alarm/smoke-1/smoke"), "\"state\":\"unacknowledged\""));
    assert_non_null(strstr(world_retained(world, "city", "alarm/smoke-1/communication"), "\"state\":\"unacknowledged\""));
    world_set(world, "smoke-1/smoke", "normal");
    world_fault(world, "smoke-1", SICK_NONE);
    world_run_until(world, 120000);
    assert_non_null(strstr(world_retained(world, "city", "alarm/smoke-1/smoke"), "\"state\":\"normal\""));
    world_expect(world, "smoke-1/smoke|smoke-1/communication|crash|start|world:|city up",
                 "[     0.000] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=1\n"
                 "[     0.020] uplink city up mqtt=5 window=100\n"
                 "[     0.025] city <- event system started replayed\n"
                 "[     0.026] city <- alarm/smoke-1/smoke normal\n"
                 "[     0.026] city <- alarm/smoke-1/communication normal\n"
                 "[    10.000] world: smoke-1/smoke = alarm\n"
                 "[    10.021] alarm smoke-1/smoke unacknowledged by=condition value=1\n"
                 "[    10.021] problem smoke-1/smoke open\n"
                 "[    10.026] city <- event alarm smoke-1/smoke unacknowledged\n"
                 "[    10.026] city <- alarm/smoke-1/smoke unacknowledged\n"
                 "[    10.026] city <- event problem smoke-1/smoke open\n"
                 "[    10.040] crash\n"
                 "[    10.040] world: smoke-1 is silent\n"
                 "[    10.040] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=6\n"
                 "[    10.060] uplink city up mqtt=5 window=100\n"
                 "[    10.069] city <- event system started replayed\n"
                 "[    12.548] alarm smoke-1/communication unacknowledged by=condition value=null\n"
                 "[    12.553] city <- event alarm smoke-1/communication unacknowledged\n"
                 "[    12.553] city <- alarm/smoke-1/communication unacknowledged\n"
                 "[    30.000] world: link to city is cut\n"
                 "[    31.086] uplink city up mqtt=5 window=100\n"
                 "[    31.091] city <- alarm/smoke-1/communication unacknowledged\n"
                 "[    60.050] start gateway=sim-01 devices=3 points=4 alarms=7 uplinks=1 next_seq=20\n"
                 "[    60.050] alarm smoke-1/communication restored unacknowledged\n"
                 "[    60.070] uplink city up mqtt=5 window=100\n"
                 "[    60.075] city <- alarm/smoke-1/communication unacknowledged\n"
                 "[    60.075] city <- event system started replayed\n"
                 "[    60.075] city <- event roster smoke-1/communication unacknowledged replayed\n"
                 "[    90.000] world: smoke-1/smoke = normal\n"
                 "[    90.000] world: smoke-1 is well\n"
                 "[    94.421] alarm smoke-1/communication returned by=return value=null\n"
                 "[    94.426] city <- alarm/smoke-1/smoke normal\n"
                 "[    94.426] city <- event alarm smoke-1/communication returned\n"
                 "[    94.426] city <- alarm/smoke-1/communication returned\n");
    world_settle(world);
    world_close(world);
}

/* A card is woken once for what is written of readings, for the uplinks and for the history, whichever of them began first. */
static void s209_readings_and_history_go_together(void **state) {
    (void)state;
    struct world *world = world_open("shed", 209);
    world_start(world);
    world_run_until(world, 100000);
    world_broker_down(world, "city", LINK_UNREACHABLE);
    world_run_until(world, 400000);
    const struct model_store *store = &world->store;
    assert_true(store->batches >= 9 && store->batches <= 11);
    assert_true(store->readings_runs == store->batches && store->together == store->batches);
    world_broker_up(world, "city");
    world_settle(world);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s201_store_stalls),
        cmocka_unit_test(s202_store_fails),
        cmocka_unit_test(s203_restart_with_an_open_alarm),
        cmocka_unit_test(s204_power_cut_before_the_commit),
        cmocka_unit_test(s205_quota_exceeded),
        cmocka_unit_test(s206_memory_used_up),
        cmocka_unit_test(s207_stop_is_orderly),
        cmocka_unit_test(s208_power_cut_and_the_detector_is_gone),
        cmocka_unit_test(s209_readings_and_history_go_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
