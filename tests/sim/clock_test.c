/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of wrong clocks. A machine without a clock of its own starts somewhere in the past; clocks are set forward, back, by a day.
 * Monotonic time drives, wall time labels: no delay, shelf, batch or period may notice, and nothing that was told is told anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world_state.h"

#define DAY_MS 86400000
#define HOUR_MS 3600000

/* The machine starts in its past; an overcurrent is in its on-delay when the clock becomes right. What was told before keeps its time and
 * says that it is not to be trusted; what was read before goes to the history afterwards, under the time it had. */
static void s701_start_without_a_clock(void **state) {
    (void)state;
    struct world *world = world_open("shed", 701);
    world_clock_begin(world, false);
    world_start(world);
    world_run_until(world, 57000);
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 60000);
    assert_int_equal(world->history_taken, 0);
    unsigned before = world_received(world, "city", "reading", NULL);
    assert_true(before > 10);
    assert_int_equal(world_received(world, "city", "event", "\"clock_trusted\":true"), 0);
    world_clock(world, 20 * (int64_t)DAY_MS, true);
    world_run_until(world, 90000);
    world_expect(world, "clock moved|event clock|history takes|overcurrent unack",
                 "[    60.000] clock moved by=1728000001ms trusted=yes\n"
                 "[    60.000] history takes 210 readings that waited for the time; 0 were too many to wait\n"
                 "[    60.005] city <- event clock clock by=1728000001\n"
                 "[    62.645] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[    62.650] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    62.650] city <- alarm/meter-1/overcurrent unacknowledged\n");
    assert_int_equal(world->history_waited, 210);
    assert_true(world->history_taken > 210);
    assert_true(world_received(world, "city", "event", "\"clock_trusted\":false") > 0); /* of before: never restamped */
    world_settle(world);
    world_close(world);
}

/* It ends before the clock was ever right: what waited is lost, and said. */
static void s702_never_a_clock(void **state) {
    (void)state;
    struct world *world = world_open("shed", 702);
    world_clock_begin(world, false);
    world_start(world);
    world_run_until(world, 5000);
    world_clock(world, HOUR_MS, false); /* set by hand: moved, and still nobody vouches for it */
    world_run_until(world, 10000);
    world_stop(world);
    assert_int_equal(world->history_taken, 0);
    world_expect(world, "clock moved|history",
                 "[     5.000] clock moved by=3600001ms trusted=no\n"
                 "[    10.000] history loses 35 readings: nobody knows at what time they were taken\n");
    world_close(world);
}

static void leap(struct world *world, int64_t jump_ms) {
    int64_t at_ms = world_ms(world);
    world_set(world, "meter-1/current", "12"); /* 5 s of on-delay */
    world_run_until(world, at_ms + 3000);
    world_clock(world, jump_ms, true);
    world_run_until(world, at_ms + 10000);
    world_set(world, "meter-1/current", "1"); /* 2 s of off-delay */
    world_run_until(world, at_ms + 11500);
    world_clock(world, -jump_ms, true);
    world_run_until(world, at_ms + 20000);
}

/* A leap of a day, there and back, in the middle of both delays: the oracle of the world holds every transition to its microsecond. The
 * same with the leap back first. Every batch and every order is checked all along. */
static void s703_a_day_there_and_back(void **state) {
    (void)state;
    struct world *world = world_open("shed", 703);
    world_start(world);
    world_run_until(world, 10000);
    leap(world, DAY_MS);
    leap(world, -DAY_MS);
    world_expect(world, "clock moved|alarm meter-1/overcurrent",
                 "[    13.000] clock moved by=86400001ms trusted=yes\n"
                 "[    15.645] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[    15.650] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    21.500] clock moved by=-86399999ms trusted=yes\n"
                 "[    22.645] alarm meter-1/overcurrent returned by=return value=1\n"
                 "[    22.650] city <- event alarm meter-1/overcurrent returned\n"
                 "[    33.000] clock moved by=-86399999ms trusted=yes\n"
                 "[    35.645] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[    35.650] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    41.500] clock moved by=86400001ms trusted=yes\n"
                 "[    42.645] alarm meter-1/overcurrent returned by=return value=1\n"
                 "[    42.650] city <- event alarm meter-1/overcurrent returned\n");
    world_settle(world);
    world_close(world);
}

/* The same while batches of ten minutes fill, one uplink has been away for hours and the store stalls: what waits is delivered in its order,
 * each entry with its own time, and the history gets every reading under the right one. */
static void s704_batches_and_a_backlog(void **state) {
    (void)state;
    struct world *world = world_open("batches", 704);
    world_start(world);
    world_run_until(world, 60000);
    world_broker_down(world, "five", LINK_UNREACHABLE);
    world_run_until(world, 300000);
    world_clock(world, -DAY_MS, true);
    world_run_until(world, 420000);
    world_store_stall(world, 5000);
    world_clock(world, DAY_MS + HOUR_MS, false);
    world_run_until(world, 450000);
    world_clock(world, -HOUR_MS, true);
    world_run_until(world, 700000);
    world_broker_up(world, "five");
    world_run_until(world, 900000);
    world_settle(world);
    assert_true(world_received(world, "five", "reading", "\"replayed\":true") > 100);
    assert_true(world_received(world, "slow", "reading", NULL) >= 2);
    assert_int_equal(world->history_waited, 60); /* of half a minute without a trusted clock */
    world_close(world);
}

static void ask(struct world *world, enum command_verb verb, const char *alarm, int64_t for_ms) {
    struct command command = {.verb = verb, .channel = CHANNEL_SOCKET, .socket_id = 1, .peer = "test", .authorised = true, .by = "w"};
    int64_t now_ms = world_now(world).wall_ms;
    snprintf(command.id, sizeof(command.id), "c-%llu", (unsigned long long)world->events);
    snprintf(command.device, sizeof(command.device), "meter-1");
    snprintf(command.alarm, sizeof(command.alarm), "%s", alarm);
    snprintf(command.reason, sizeof(command.reason), "new cable");
    command.fields = FIELD_DEVICE | FIELD_ALARM | FIELD_REASON | FIELD_UNTIL;
    command.issued_ms = now_ms;
    command.expires_ms = now_ms + 60000;
    command.until_ms = now_ms + for_ms;
    world_event(world, &(struct event){.kind = EVENT_COMMAND, .command = &command});
}

/* A clock that runs wild: an hour forward every minute. A shelf of half an hour lasts half an hour, an alarm's delays are its delays. */
static void s705_an_hour_every_minute(void **state) {
    (void)state;
    struct world *world = world_open("shed", 705);
    world_start(world);
    world_run_until(world, 5000);
    ask(world, COMMAND_SHELVE, "undervoltage", 1800000);
    for (unsigned minute = 1; minute <= 40; minute++) {
        world_run_until(world, 60000 * minute);
        world_clock(world, HOUR_MS, true);
        if (minute == 10)
            world_set(world, "meter-1/current", "12");
        if (minute == 20)
            world_set(world, "meter-1/current", "1");
    }
    world_run_until(world, 2460000);
    world_expect(world, "alarm meter-1",
                 "[     5.000] alarm meter-1/undervoltage shelved by=shelve value=225\n"
                 "[     5.005] city <- event alarm meter-1/undervoltage shelved\n"
                 "[   605.645] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[   605.650] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[  1202.645] alarm meter-1/overcurrent returned by=return value=1\n"
                 "[  1202.650] city <- event alarm meter-1/overcurrent returned\n"
                 "[  1805.000] alarm meter-1/undervoltage normal by=expired value=225\n"
                 "[  1805.005] city <- event alarm meter-1/undervoltage normal\n");
    world_settle(world);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s701_start_without_a_clock), cmocka_unit_test(s702_never_a_clock),       cmocka_unit_test(s703_a_day_there_and_back),
        cmocka_unit_test(s704_batches_and_a_backlog), cmocka_unit_test(s705_an_hour_every_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
