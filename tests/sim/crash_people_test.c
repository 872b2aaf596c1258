/* SPDX-License-Identifier: Apache-2.0 */
/* Power is cut after every single event of a story with people in it, with and without the commits that were under way. Open alarms,
 * shelves, held actions, problems and the ids of accepted commands are the same afterwards as without a cut.
 *
 * YANHUO_EVENT=n tries one event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

static void smoke(struct world *world) {
    world_set(world, "smoke-1/smoke", "alarm");
}

static void current_high(struct world *world) {
    world_set(world, "meter-1/current", "12");
}

static void smoke_gone(struct world *world) {
    world_set(world, "smoke-1/smoke", "normal");
}

static void voltage_low(struct world *world) {
    world_set(world, "meter-1/voltage", "180");
}

/* A fire that is taken and latched, with a branch cut; a shelf; a problem that is assigned. Commands have ids of their own, so that one
 * whose answer the power cut took along can be asked again. */
static const struct {
    int64_t at_ms;
    void (*change)(struct world *world);
    const char *verb, *target, *more;
} people[] = {
    {2000, smoke, NULL, NULL, NULL},
    {5000, NULL, "acknowledge", "smoke-1/smoke-1-fire", "id=k-1"},
    {6000, smoke_gone, NULL, NULL, NULL},
    {7000, NULL, "shelve", "meter-1/undervoltage", "id=k-2 until=1800 reason=works"},
    {8000, current_high, NULL, NULL, NULL},
    {10000, NULL, "assign", "meter-1/overcurrent", "id=k-3 to=Wang"},
    {12000, voltage_low, NULL, NULL, NULL},
};
#define PEOPLE_MS 20000

/* From this step of the story on, until it is over or the event has happened; the step that comes next then. */
static size_t play_people(struct world *world, size_t step, uint64_t event) {
    for (size_t i = step; i <= ARRAY_COUNT(people); i++) {
        int64_t until_ms = i < ARRAY_COUNT(people) ? people[i].at_ms : PEOPLE_MS;
        while ((!event || world->events < event) && world_step_before(world, until_ms))
            continue;
        if (event && world->events >= event)
            return i;
        if (i < ARRAY_COUNT(people) && people[i].change)
            people[i].change(world);
        else if (i < ARRAY_COUNT(people) && !world_command(world, people[i].verb, people[i].target, people[i].more))
            world_fail(world, "%s was refused", people[i].verb);
    }
    return ARRAY_COUNT(people);
}

/* Who had no answer asks again: done once, whether the power cut came before it was durable or after. */
static void ask_again(struct world *world, size_t steps, bool last) {
    for (size_t i = 0; i < steps; i++)
        if (people[i].verb && world_command(world, people[i].verb, people[i].target, people[i].more) && last)
            world_fail(world, "%s was carried out twice", people[i].verb);
}

static void expect_people(struct world *world) {
    static const char *const states[][2] = {{"alarm/smoke-1/smoke-1-fire", "\"state\":\"latched\""},
                                            {"alarm/meter-1/undervoltage", "\"state\":\"shelved\""},
                                            {"alarm/meter-1/overcurrent", "\"state\":\"unacknowledged\""}};
    ask_again(world, ARRAY_COUNT(people), true);
    for (size_t i = 0; i < ARRAY_COUNT(states); i++)
        if (!strstr(world_retained(world, "city", states[i][0]), states[i][1]))
            world_fail(world, "%s has ended as %s", states[i][0], world_retained(world, "city", states[i][0]));
    world_expect_value(world, "relay-1/channel-1", "off");
    if (world_command(world, "write", "point:relay-1/channel-1", "value=on"))
        world_fail(world, "the relay is held no more");
    if (!world_command(world, "reset", "smoke-1/smoke-1-fire", "")) /* it was acknowledged */
        world_fail(world, "the reset was refused");
    if (!world_command(world, "write", "point:relay-1/channel-1", "value=on"))
        world_fail(world, "the relay is held still");
    if (!world_received(world, "city", "event", "\"state\":\"assigned\",\"device\":\"meter-1\",\"alarm\":\"overcurrent\""))
        world_fail(world, "nobody was told that the problem is assigned");
    if (!world_command(world, "rectify", "meter-1/overcurrent", "what=done by=Wang") ||
        !world_command(world, "rectify", "smoke-1/smoke-1-fire", "what=done by=Wang"))
        world_fail(world, "a problem is not open");
    world_set(world, "meter-1/current", "2");
    world_run_until(world, world_ms(world) + 3000);
    if (!world_command(world, "acknowledge", "meter-1/overcurrent", "") || world_command(world, "close", "meter-1/overcurrent", "by=Wang") ||
        !world_command(world, "close", "meter-1/overcurrent", "by=A"))
        world_fail(world, "the problem was not closed as it should be");
    world_run_until(world, world_ms(world) + 1000);
    world_expect_value(world, "relay-1/channel-1", "on");
}

static void crash_people_at(uint64_t event, bool keep_runs) {
    struct world *world = world_open("people", event);
    world->check_every = 8;
    world_start(world);
    size_t step = play_people(world, 0, event);
    world_crash(world, keep_runs);
    world->check_every = 1;
    world_start(world);
    world_run_until(world, world_ms(world) + 1500); /* what is there is seen again */
    ask_again(world, step, false);
    play_people(world, step, 0);
    world_run_until(world, PEOPLE_MS + 5000);
    expect_people(world);
    world_settle(world);
    world_close(world);
}

static void s402_crash_after_every_event_with_people(void **state) {
    (void)state;
    struct world *world = world_open("people", 0);
    world_start(world);
    play_people(world, 0, 0);
    uint64_t events = world->events;
    expect_people(world);
    world_settle(world);
    world_close(world);
    assert_true(events > 200);
    uint64_t only = world_environment("YANHUO_EVENT");
    for (uint64_t event = only ? only : 1; event <= (only ? only : events); event++) {
        crash_people_at(event, false);
        crash_people_at(event, true);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(s402_crash_after_every_event_with_people)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
