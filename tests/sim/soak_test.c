/* SPDX-License-Identifier: Apache-2.0 */
/* Chance against the promises: values, sick devices, unplugged buses, cut and slow links, stalled and failing disks, clock
 * jumps, power cuts and restarts, drawn from a seed; then everything is made well, and all must be delivered or told.
 *
 * YANHUO_SEED=n runs one seed and prints its whole log when it fails; YANHUO_SOAK=n runs 1,600 n seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world_state.h"

#define SEEDS 16
#define STORY_MS 180000

static const char *const plants[] = {"mixed", "shed", "two-uplinks", "mixed"};

static uint64_t draw(struct world *world, uint64_t below) {
    return prng_below(&world->prng, below);
}

/* A value near the limit of one of the alarms, or far from it. */
static void change_value(struct world *world) {
    const struct config_alarm *rule = &world->config->alarms[draw(world, world->config->alarms_count)];
    if (rule->point == CONFIG_NONE)
        return;
    const struct point *point = config_point(world->config, rule->device, rule->point);
    char path[2 * NAME_SIZE], value[32];
    double number = rule->limit;
    if (rule->condition == CONDITION_EQUAL)
        number = draw(world, 2) ? rule->limit : rule->limit == 0 ? 1 : 0;
    else
        number += ((double)draw(world, 7) - 3) * (rule->deadband > 0 ? rule->deadband * 0.6 : 1);
    snprintf(path, sizeof(path), "%s/%s", world->config->devices[rule->device].spec.name, point->name);
    snprintf(value, sizeof(value), "%g", number);
    (void)world_try_set(world, path, value);
}

static const char *some_uplink(struct world *world) {
    return world->config->uplinks[draw(world, world->config->uplinks_count)].name;
}

static void change_link(struct world *world) {
    const char *uplink = some_uplink(world);
    switch (draw(world, 6)) {
    case 0:
        world_broker_down(world, uplink, (enum link_reason)draw(world, LINK_CLOSED));
        return;
    case 1:
        world_broker_delay(world, uplink, (int64_t)draw(world, 200), (int64_t)draw(world, 800));
        return;
    case 2:
        world->brokers[world_uplink(world, uplink)].jitter_us = (int64_t)draw(world, 300) * MS;
        return;
    case 3:
        world_broker_cut(world, uplink);
        return;
    default:
        world_broker_up(world, uplink);
        return;
    }
}

static void change_store(struct world *world) {
    switch (draw(world, 5)) {
    case 0:
        world_store_stall(world, (int64_t)draw(world, 8000));
        return;
    case 1:
        world_store_failing(world, true);
        return;
    case 2:
        world_store_delay(world, (int64_t)draw(world, 400));
        return;
    default:
        world_store_failing(world, false);
        return;
    }
}

static void change_device(struct world *world) {
    const struct config_device *device = &world->config->devices[draw(world, world->config->devices_count)];
    world_fault(world, device->spec.name, draw(world, 2) ? SICK_NONE : (enum world_fault)draw(world, 5));
}

static void change_bus(struct world *world) {
    world_bus(world, world->config->buses[draw(world, world->config->buses_count)].name, draw(world, 3) > 0);
}

static void change(struct world *world) {
    uint64_t what = draw(world, 100);
    if (what < 50)
        change_value(world);
    else if (what < 65)
        change_device(world);
    else if (what < 70)
        change_bus(world);
    else if (what < 85)
        change_link(world);
    else if (what < 92)
        change_store(world);
    else if (what < 94)
        world_clock(world, (int64_t)draw(world, 20000000) - 10000000, draw(world, 4) > 0);
    else if (what < 97)
        world_crash(world, draw(world, 2));
    else if (what < 99)
        world_stop(world);
    if (!world->running)
        world_start(world);
}

static void make_well(struct world *world) {
    for (unsigned i = 0; i < world->config->devices_count; i++)
        world_fault(world, world->config->devices[i].spec.name, SICK_NONE);
    for (unsigned i = 0; i < world->config->buses_count; i++)
        world_bus(world, world->config->buses[i].name, true);
    for (unsigned i = 0; i < world->config->uplinks_count; i++) {
        world_broker_up(world, world->config->uplinks[i].name);
        world_broker_delay(world, world->config->uplinks[i].name, 5, 5);
    }
    world_store_failing(world, false);
    world_store_delay(world, 8);
}

static struct world *play(uint64_t seed) {
    struct world *world = world_open(plants[seed % 4], seed);
    world_start(world);
    while (world_ms(world) < STORY_MS) {
        world_run_until(world, world_ms(world) + 1 + (int64_t)draw(world, draw(world, 4) ? 6000 : 30));
        change(world);
    }
    make_well(world);
    world_run_until(world, world_ms(world) + 70000);
    world_settle(world);
    return world;
}

static void s501_chance(void **state) {
    (void)state;
    uint64_t only = world_environment("YANHUO_SEED"), soak = world_environment("YANHUO_SOAK");
    uint64_t first = only ? only : 1, last = only ? only : soak ? 100 * soak * SEEDS : SEEDS;
    for (uint64_t seed = first; seed <= last; seed++) {
        world_close(play(seed));
    }
}

/* The same seed gives the same log, byte for byte. */
static void s502_repeats_exactly(void **state) {
    (void)state;
    for (uint64_t seed = 1001; seed <= 1003; seed++) {
        struct world *world = play(seed);
        char *log = strdup(world_log(world));
        world_close(world);
        world = play(seed);
        assert_true(strcmp(log, world_log(world)) == 0);
        world_close(world);
        free(log);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(s501_chance), cmocka_unit_test(s502_repeats_exactly)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
