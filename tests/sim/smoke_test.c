/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/world.h"
#include <stdio.h>

static void s001_smoke_to_subscriber(void **state) {
    (void)state;
    struct world *world = world_open("shed", 1);
    world_start(world);
    world_run_until(world, 12000);
    world_set(world, "smoke-1/smoke", "alarm");
    world_run_until(world, 20000);
    world_settle(world);
    fputs(world_log(world), stdout);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(s001_smoke_to_subscriber)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
