/* SPDX-License-Identifier: Apache-2.0 */
/* Power is cut after every single event of one story, with and without the commits that were under way, and the gateway is
 * started again. Whatever the event: what was durable is delivered, nothing else is claimed to be, the alarms end as the
 * sensors say, and the relay is off.
 *
 * YANHUO_SOAK=1 cuts the power a second time, soon after the start. YANHUO_EVENT=n tries one event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

#define STORY_MS 60000
#define AGAIN_MAX 60 /* events between the two cuts, at most */
#define AGAIN_STEP 7

static void smoke(struct world *world) {
    world_set(world, "smoke-1/smoke", "alarm");
}

static void current_high(struct world *world) {
    world_set(world, "meter-1/current", "12");
}

static void current_low(struct world *world) {
    world_set(world, "meter-1/current", "2");
}

static void broker_down(struct world *world) {
    world_broker_down(world, "city", LINK_REFUSED_TCP);
}

static void broker_up(struct world *world) {
    world_broker_up(world, "city");
}

static const struct {
    int64_t at_ms;
    void (*change)(struct world *world);
} story[] = {{8000, current_high}, {20000, smoke}, {22000, broker_down}, {30000, current_low}, {34000, broker_up}, {40000, current_high}};

/* Plays until the story is over or, when it is not 0, the event has happened. */
static void play(struct world *world, uint64_t event) {
    for (size_t i = 0; i <= ARRAY_COUNT(story); i++) {
        int64_t until_ms = i < ARRAY_COUNT(story) ? story[i].at_ms : STORY_MS;
        if (until_ms < world_ms(world))
            continue;
        while ((!event || world->events < event) && world_step_before(world, until_ms))
            continue;
        if (event && world->events >= event)
            return;
        if (i < ARRAY_COUNT(story))
            story[i].change(world);
    }
}

static void crash_at(uint64_t event, bool keep_runs, uint64_t again) {
    struct world *world = world_open("shed", event);
    world->check_every = 8; /* until the crash: this part has been checked by the run without one */
    world_start(world);
    play(world, event);
    bool seen = strstr(world_retained(world, "city", "alarm/smoke-1/smoke"), "unacknowledged") != NULL;
    world_crash(world, keep_runs);
    world->check_every = 1;
    world_start(world);
    if (again) {
        play(world, event + again);
        world_crash(world, !keep_runs);
        world_start(world);
    }
    play(world, 0);
    world_run_until(world, STORY_MS + 20000);
    world_settle(world);
    if (!strstr(world_retained(world, "city", "alarm/smoke-1/smoke"), "\"state\":\"unacknowledged\""))
        world_fail(world, "the smoke alarm has ended as %s, seen before: %d", world_retained(world, "city", "alarm/smoke-1/smoke"), seen);
    if (!strstr(world_retained(world, "city", "alarm/meter-1/overcurrent"), "\"state\":\"unacknowledged\""))
        world_fail(world, "the overcurrent alarm has ended as %s", world_retained(world, "city", "alarm/meter-1/overcurrent"));
    if (!world_received(world, "city", "event", "\"alarm\":\"smoke\",\"class\":\"fire\",\"priority\":\"high\",\"state\":\"unacknowledged\""))
        world_fail(world, "no event told of the smoke");
    world_expect_value(world, "relay-1/channel-1", "off");
    world_close(world);
}

static void s401_crash_after_every_event(void **state) {
    (void)state;
    struct world *world = world_open("shed", 0);
    world_start(world);
    play(world, 0);
    uint64_t events = world->events;
    world_settle(world);
    world_close(world);
    assert_true(events > 200);
    uint64_t only = world_environment("YANHUO_EVENT"), most = world_environment("YANHUO_SOAK") ? AGAIN_MAX : 0;
    for (uint64_t event = only ? only : 1; event <= (only ? only : events); event++)
        for (uint64_t again = 0; again <= most; again += AGAIN_STEP) {
            crash_at(event, false, again);
            crash_at(event, true, again);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(s401_crash_after_every_event)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
