/* SPDX-License-Identifier: Apache-2.0 */
/* Stories about rules that are taken out of the configuration while their alarms are open. YANHUO_EVENT=n tries one event of s403. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

/* A fire that is latched and cuts a branch; an overcurrent whose problem is assigned; a shelf. Stopped at 20 s, on 30 s it starts without
 * the three rules and the action. */
static struct world *begin(uint64_t seed) {
    struct world *world = world_open("people", seed);
    world_start(world);
    world_run_until(world, 2000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 4000);
    world_set(world, "smoke-1/smoke", "normal");
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 8000);
    CHECK(world_command(world, "assign", "meter-1/overcurrent", "to=Wang by=A"));
    CHECK(world_command(world, "shelve", "meter-1/undervoltage", "until=1800 reason=works by=A"));
    world_run_until(world, 20000);
    world_stop(world);
    world_run_until(world, 30000);
    world_expect(world, "world: configured", "");
    world_configure(world, "people-less");
    return world;
}

static void end(struct world *world) {
    world_settle(world);
    world_close(world);
}

static void expect_cleared(const struct world *world) {
    static const char *const topics[] = {"alarm/smoke-1/smoke-1-fire", "alarm/meter-1/overcurrent", "alarm/meter-1/undervoltage"};
    for (size_t i = 0; i < ARRAY_COUNT(topics); i++)
        if (world_retained(world, "city", topics[i])[0])
            world_fail(world, "%s is retained still: %s", topics[i], world_retained(world, "city", topics[i]));
}

static unsigned removed_events(const struct world *world) {
    return world_received(world, "city", "event", "\"kind\":\"removed\"");
}

/* Each is told once with the state it was left in and has its topic cleared, the fire in the lane of fires. The problem stays, says why,
 * and is closed by two persons; the relay is nobody's. The next start has nothing more to say. */
static void s613_rules_are_removed(void **state) {
    (void)state;
    struct world *world = begin(613);
    world_start(world);
    world_run_until(world, 32000);
    world_expect(world, "removed|cleared|problem|held",
                 "[    30.000] alarm smoke-1/smoke-1-fire removed state=latched: it is no longer configured\n"
                 "[    30.000] problem smoke-1/smoke-1-fire open\n"
                 "[    30.000] action cut-branch was held and is no longer configured: its output stays as it is until somebody writes it\n"
                 "[    30.000] alarm meter-1/overcurrent removed state=unacknowledged: it is no longer configured\n"
                 "[    30.000] problem meter-1/overcurrent assigned\n"
                 "[    30.000] alarm meter-1/undervoltage removed state=shelved: it is no longer configured\n"
                 "[    30.025] city <- event problem smoke-1/smoke-1-fire open replayed\n"
                 "[    30.025] city <- event system action-removed replayed\n"
                 "[    30.025] city <- alarm/meter-1/overcurrent cleared\n"
                 "[    30.025] city <- event removed meter-1/overcurrent unacknowledged replayed\n"
                 "[    30.025] city <- event problem meter-1/overcurrent assigned replayed\n"
                 "[    30.025] city <- alarm/meter-1/undervoltage cleared\n"
                 "[    30.025] city <- event removed meter-1/undervoltage shelved replayed\n"
                 "[    30.027] city <- alarm/smoke-1/smoke-1-fire cleared\n"
                 "[    30.027] city <- event removed smoke-1/smoke-1-fire latched replayed\n");
    expect_cleared(world);
    if (!world_received(world, "city", "event", "\"class\":\"electrical\",\"priority\":\"medium\",\"state\":\"shelved\",\"condition\":\"\"") ||
        !world_received(world, "city", "event", "\"address\":\"西门\"") ||
        !world_received(world, "city", "event", "\"by\":\"A\",\"reason\":\"works\""))
        world_fail(world, "what the record knows is not told");
    world_expect_value(world, "relay-1/channel-1", "off");
    assert_true(world_command(world, "write", "point:relay-1/channel-1", "value=on"));
    assert_true(world_command(world, "rectify", "meter-1/overcurrent", "what=charger-removed by=Wang"));
    assert_false(world_command(world, "close", "meter-1/overcurrent", "by=Wang")); /* a second person, as ever */
    assert_true(world_command(world, "close", "meter-1/overcurrent", "by=A"));     /* though the current is what it was: nobody judges it */
    world_run_until(world, 34000);
    world_expect_value(world, "relay-1/channel-1", "on");
    assert_int_equal(removed_events(world), 3);
    world_crash(world, false);
    world_start(world);
    world_run_until(world, 40000);
    assert_int_equal(removed_events(world), 3);
    world_expect(world, " removed |cleared|restored|held", "");
    world_expect_value(world, "relay-1/channel-1", "on");
    end(world);
}

/* The broker is away for two starts: the event and the end of the topic wait for it, like everything that was told. */
static void s614_removed_while_the_broker_is_away(void **state) {
    (void)state;
    struct world *world = begin(614);
    world_broker_down(world, "city", LINK_UNREACHABLE);
    world_start(world);
    world_run_until(world, 40000);
    world_crash(world, false);
    world_run_until(world, 50000);
    world_start(world);
    world_run_until(world, 60000);
    if (!strstr(world_retained(world, "city", "alarm/meter-1/overcurrent"), "unacknowledged"))
        world_fail(world, "something came through to a broker that is away");
    world_broker_up(world, "city");
    world_run_until(world, 140000);
    expect_cleared(world);
    assert_int_equal(removed_events(world), 3);
    end(world);
}

/* Meant otherwise: the rules are put back while the broker is still away, and there is smoke again. What is delivered late must not clear
 * the topic that is in use; of the rules that were not put back it does. */
static void s615_put_back_before_it_was_told(void **state) {
    (void)state;
    struct world *world = begin(615);
    world_broker_down(world, "city", LINK_UNREACHABLE);
    world_start(world);
    world_run_until(world, 40000);
    world_stop(world);
    world_configure(world, "people");
    world_start(world);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 50000);
    world_broker_up(world, "city");
    world_run_until(world, 140000);
    assert_int_equal(removed_events(world), 3);
    if (!strstr(world_retained(world, "city", "alarm/smoke-1/smoke-1-fire"), "unacknowledged") ||
        !strstr(world_retained(world, "city", "alarm/meter-1/undervoltage"), "normal") ||
        world_received(world, "city", "alarm/smoke-1/smoke-1-fire", "") != world_received(world, "city", "alarm/smoke-1/smoke-1-fire", "{"))
        world_fail(world, "a topic that is in use was cleared");
    end(world);
}

/* Undone before the restart: nothing has happened. */
static void s616_undone_before_the_restart(void **state) {
    (void)state;
    struct world *world = begin(616);
    world_configure(world, "people");
    world_start(world);
    world_run_until(world, 32000);
    world_expect(world, "removed|cleared|restored",
                 "[    30.000] alarm smoke-1/smoke-1-fire restored latched\n"
                 "[    30.000] alarm meter-1/overcurrent restored unacknowledged\n"
                 "[    30.000] alarm meter-1/undervoltage restored shelved\n");
    assert_int_equal(removed_events(world), 0);
    assert_false(world_command(world, "write", "point:relay-1/channel-1", "value=on")); /* it is held */
    end(world);
}

/* ---- power is cut after every event of the start that finds them ---- */

/* Of what is durable each is there once; what was sent before a cut and was not, comes once more at most. */
static void expect_once(const struct world *world) {
    static const char *const names[] = {"\"alarm\":\"smoke-1-fire\"", "\"alarm\":\"overcurrent\"", "\"alarm\":\"undervoltage\""};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const struct message *told[8];
        unsigned told_count = 0, durable = 0;
        for (uint32_t m = 0; m < world->messages_count; m++) {
            const struct message *message = &world->messages[m];
            bool known =
                message->received_us == NOW_NEVER || !strstr(message->payload, "\"kind\":\"removed\"") || !strstr(message->payload, names[i]);
            for (unsigned k = 0; k < told_count && !known; k++)
                known = told[k]->start == message->start && told[k]->seq == message->seq;
            if (known)
                continue;
            CHECK(told_count < ARRAY_COUNT(told));
            told[told_count++] = message;
            durable += world->ledger[message->seq].start == message->start && world->ledger[message->seq].durable;
        }
        if (durable != 1 || told_count > 2)
            world_fail(world, "%s was told %u times, %u of them durable", names[i], told_count, durable);
    }
}

static void play(struct world *world, uint64_t event) {
    bool cut = false;
    while ((!event || world->events < event) && world_step_before(world, 34000)) {
        if (!cut && world_ms(world) >= 31000)
            world_broker_cut(world, "city");
        cut = world_ms(world) >= 31000;
    }
}

static uint64_t crash_at(uint64_t event, bool keep_runs, int64_t commit_ms) {
    struct world *world = begin(403);
    uint64_t before = world->events;
    world_store_delay(world, commit_ms); /* longer than it takes to connect: what is sent may not be durable yet */
    world_start(world);
    play(world, event ? before + event : 0);
    uint64_t events = world->events - before;
    if (event) {
        world_crash(world, keep_runs);
        world_start(world);
    }
    world_run_until(world, 45000);
    expect_cleared(world);
    expect_once(world);
    if (!world_command(world, "rectify", "smoke-1/smoke-1-fire", "what=done by=Wang") ||
        !world_command(world, "rectify", "meter-1/overcurrent", "what=done by=Wang"))
        world_fail(world, "a problem was closed");
    end(world);
    return events;
}

static void s403_crash_after_every_event_of_a_removal(void **state) {
    (void)state;
    uint64_t only = world_environment("YANHUO_EVENT");
    for (int64_t commit_ms = 8; commit_ms <= 80; commit_ms += 72) {
        uint64_t events = crash_at(0, false, commit_ms);
        assert_true(events > 50);
        for (uint64_t event = only ? only : 1; event <= (only ? only : events); event++) {
            (void)crash_at(event, false, commit_ms);
            (void)crash_at(event, true, commit_ms);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s613_rules_are_removed),
        cmocka_unit_test(s614_removed_while_the_broker_is_away),
        cmocka_unit_test(s615_put_back_before_it_was_told),
        cmocka_unit_test(s616_undone_before_the_restart),
        cmocka_unit_test(s403_crash_after_every_event_of_a_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
