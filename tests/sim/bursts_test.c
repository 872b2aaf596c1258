/* SPDX-License-Identifier: Apache-2.0 */
/* Stories about alarms that nobody takes, and about alarms that come too often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world.h"

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

/* Nobody takes it: told again each minute, and after 90 s with a higher priority. */
static void s605_escalation(void **state) {
    (void)state;
    struct world *world = world_open("people", 605);
    struct config_alarm *rule = world_rule(world, "meter-1/overcurrent");
    rule->realarm_ms = 60000;
    rule->escalate_ms = 90000;
    world_start(world);
    world_run_until(world, 5000);
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 100000);
    assert_non_null(strstr(world_retained(world, "city", "alarm/meter-1/overcurrent"), "\"priority\":\"high\""));
    world_run_until(world, 130000);
    assert_true(world_command(world, "acknowledge", "meter-1/overcurrent", ""));
    world_run_until(world, 400000);
    world_expect(world, "overcurrent|command",
                 "[     0.886] city <- alarm/meter-1/overcurrent normal\n"
                 "[     5.881] alarm meter-1/overcurrent unacknowledged by=condition value=12\n"
                 "[     5.881] problem meter-1/overcurrent open\n"
                 "[     5.886] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[     5.886] city <- event problem meter-1/overcurrent open\n"
                 "[     5.886] city <- alarm/meter-1/overcurrent unacknowledged\n"
                 "[    65.881] alarm meter-1/overcurrent unacknowledged by=realarm value=12\n"
                 "[    65.886] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    65.886] city <- alarm/meter-1/overcurrent unacknowledged\n"
                 "[    95.881] alarm meter-1/overcurrent unacknowledged by=escalate value=12\n"
                 "[    95.886] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    95.886] city <- alarm/meter-1/overcurrent unacknowledged\n"
                 "[   125.881] alarm meter-1/overcurrent unacknowledged by=realarm value=12\n"
                 "[   125.886] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[   125.886] city <- alarm/meter-1/overcurrent unacknowledged\n"
                 "[   130.000] world: acknowledge meter-1/overcurrent\n"
                 "[   130.000] alarm meter-1/overcurrent acknowledged by=acknowledge value=12\n"
                 "[   130.000] command c-1 acknowledge done for W (socket)\n"
                 "[   130.005] city <- event alarm meter-1/overcurrent acknowledged\n"
                 "[   130.005] city <- event command acknowledge by=W\n"
                 "[   130.005] city <- alarm/meter-1/overcurrent acknowledged\n");
    end(world);
}

/* A current around its limit: after the third time two events stand for all, and what is retained is what is. */
static void s606_chatter(void **state) {
    (void)state;
    struct world *world = begin(606);
    for (int i = 0; i < 30; i++) {
        world_set(world, "meter-1/current", "12");
        world_run_until(world, 7000 + 4000 * i);
        world_set(world, "meter-1/current", "2");
        world_run_until(world, 9000 + 4000 * i);
    }
    world_set(world, "meter-1/current", "12");
    world_run_until(world, 130000);
    assert_non_null(strstr(world_retained(world, "city", "alarm/meter-1/overcurrent"), "\"state\":\"unacknowledged\""));
    world_run_until(world, 200000);
    world_expect(world, "city <- event|chatters",
                 "[     5.886] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[     5.886] city <- event problem meter-1/overcurrent open\n"
                 "[     7.886] city <- event alarm meter-1/overcurrent returned\n"
                 "[     9.886] city <- event alarm meter-1/overcurrent unacknowledged\n"
                 "[    11.886] city <- event alarm meter-1/overcurrent returned\n"
                 "[    13.881] alarm meter-1/overcurrent chatters count=3\n"
                 "[    13.886] city <- event chatter begun count=3\n"
                 "[   185.881] alarm meter-1/overcurrent chatters no more count=31\n"
                 "[   185.886] city <- event chatter ended count=31\n");
    assert_non_null(strstr(world_retained(world, "city", "alarm/meter-1/overcurrent"), "\"state\":\"unacknowledged\""));
    end(world);
}

/* Three detectors that come and go again and again: every one is told, because it is fire, and that there are too many as well. */
static void s607_flood(void **state) {
    (void)state;
    static const char *const points[] = {"smoke-1/smoke", "smoke-2/smoke", "smoke-3/smoke"};
    struct world *world = begin(607);
    for (int i = 0; i < 4; i++) {
        for (unsigned k = 0; k < 3; k++)
            world_set(world, points[k], "alarm");
        world_run_until(world, 10000 + 40000 * i);
        for (unsigned k = 0; k < 3; k++)
            world_set(world, points[k], "normal");
        world_run_until(world, 45000 + 40000 * i);
    }
    world_run_until(world, 900000);
    world_expect(world, "flood",
                 "[   125.093] flood of alarms begun count=11\n"
                 "[   125.099] city <- event flood begun count=11\n"
                 "[   685.093] flood of alarms ended count=12\n"
                 "[   685.098] city <- event flood ended count=12\n");
    assert_int_equal(world_received(world, "city", "event", "\"kind\":\"alarm\",\"cause\":\"condition\""), 12);
    end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s605_escalation),
        cmocka_unit_test(s606_chatter),
        cmocka_unit_test(s607_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
