/* SPDX-License-Identifier: Apache-2.0 */
/* The plant of a world as its configuration says it, and what of the world is as large as that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

static void load_file(struct world *world, const char *plant) {
    char path[512];
    snprintf(path, sizeof(path), "%s/vectors/plants/%s.yaml", TESTS_DIR, plant);
    struct diagnostics *diagnostics = calloc(1, sizeof(*diagnostics));
    CHECK(diagnostics);
    diagnostics_init(diagnostics);
    if (config_load(path, SOURCE_DIR "/sensors/profiles", &world->arena, diagnostics, &world->config) != ERR_OK) {
        diagnostics_print(diagnostics, stderr);
        fail_msg("%s cannot be loaded", path);
    }
    diagnostics_done(diagnostics);
    free(diagnostics);
}

static void make_series(struct world *world) {
    const struct config *config = world->config;
    struct series *items = arena_take(&world->arena, config->points_count + 1, sizeof(*items));
    uint32_t *of_point = arena_take(&world->arena, config->points_count + 1, sizeof(*of_point));
    for (uint16_t d = 0; d < config->devices_count; d++) {
        const struct config_device *device = &config->devices[d];
        for (uint16_t p = 0; p < device->spec.points_count; p++) {
            uint32_t number = config->points_count - 1 - (device->first_point + p); /* not the index, so that a mix-up shows */
            items[number] = (struct series){device->spec.name, device->spec.points[p].name};
            of_point[device->first_point + p] = number;
        }
    }
    world->series = (struct series_directory){.count = config->points_count, .items = items, .of_point = of_point};
}

void plant_load(struct world *world, const char *plant) {
    load_file(world, plant);
    make_series(world);
    world->signals = arena_take(&world->arena, world->config->alarms_count + 1u, sizeof(*world->signals));
}

void plant_free_signals(struct world *world) {
    for (unsigned i = 0; i < world->config->alarms_count; i++) {
        free(world->signals[i].samples);
        free(world->signals[i].changes);
    }
}

void world_configure(struct world *world, const char *plant) {
    const struct config *before = world->config;
    CHECK(!world->running);
    plant_free_signals(world);
    plant_load(world, plant);
    CHECK(world->config->points_count == before->points_count && world->config->devices_count == before->devices_count &&
          world->config->buses_count == before->buses_count && world->config->uplinks_count == before->uplinks_count);
    log_line(world, world->now_us, "world: configured as %s", plant);
}
