/* SPDX-License-Identifier: Apache-2.0 */
/* Derived points on the road: a reading makes dirty what is computed from it; then the dirty ones are computed in the order of the
 * configuration, which has inputs before results, so that each is computed once however many of its inputs came. */
#include "base/check.h"
#include "gateway/core/core_parts.h"

#define SAVE_EVERY_US 600000000 /* memories that change all the time (run hours) are saved so often: a power cut costs at most that */

static void index_inputs(struct core *core, struct arena *arena) {
    const struct config *config = core->config;
    struct core_derived *derived = &core->derived;
    uint32_t inputs = 0;
    derived->point_first = arena_take(arena, config->points_count + 1, sizeof(*derived->point_first));
    for (unsigned i = 0; i < config->derived_count; i++)
        for (unsigned k = 0; k < config->derived[i].inputs_count; k++, inputs++)
            derived->point_first[config->devices[config->derived[i].inputs[k].device].first_point + config->derived[i].inputs[k].point + 1]++;
    for (uint32_t p = 0; p < config->points_count; p++)
        derived->point_first[p + 1] += derived->point_first[p];
    derived->point_items = arena_take(arena, inputs, sizeof(*derived->point_items));
    uint32_t *filled = arena_take(arena, config->points_count, sizeof(*filled));
    for (uint16_t i = 0; i < config->derived_count; i++)
        for (unsigned k = 0; k < config->derived[i].inputs_count; k++) {
            uint32_t point = config->devices[config->derived[i].inputs[k].device].first_point + config->derived[i].inputs[k].point;
            derived->point_items[derived->point_first[point] + filled[point]++] = i;
        }
}

void core_derive_init(struct core *core, struct arena *arena) {
    const struct config *config = core->config;
    struct core_derived *derived = &core->derived;
    derived->save_at_us = NOW_NEVER;
    if (!config->derived_count)
        return;
    derived->items = arena_take(arena, config->derived_count, sizeof(*derived->items));
    derived->record_names = arena_take(arena, config->derived_count, sizeof(*derived->record_names));
    derived->newest = arena_take(arena, config->points_count, sizeof(*derived->newest));
    derived->polled = arena_take(arena, config->points_count, sizeof(*derived->polled));
    for (unsigned i = 0; i < config->derived_count; i++) {
        const struct config_derived *rule = &config->derived[i];
        struct derived_slot *slots = derived_windowed(rule->kind) ? arena_take(arena, DERIVED_SLOTS, sizeof(*slots)) : NULL;
        derived_init(&derived->items[i], rule, slots);
        derived->record_names[i][0] = '.';
        bool fits = text_copy(&derived->record_names[i][1], NAME_SIZE, config_point(config, rule->device, rule->point)->name);
        CHECK(fits);
    }
    index_inputs(core, arena);
}

void core_derive_on_reading(struct core *core, uint16_t device, const struct reading *reading) {
    struct core_derived *derived = &core->derived;
    if (!derived->items)
        return;
    uint32_t point = core->config->devices[device].first_point + reading->point;
    if (derived->point_first[point] == derived->point_first[point + 1])
        return;
    derived->newest[point] = *reading;
    derived->polled[point] = true;
    for (uint32_t i = derived->point_first[point]; i < derived->point_first[point + 1]; i++)
        derived->dirty[derived->point_items[i] / 64] |= UINT64_C(1) << (derived->point_items[i] % 64);
}

static uint16_t take_dirty(struct core_derived *derived) {
    for (unsigned w = 0; w < ARRAY_COUNT(derived->dirty); w++) {
        if (!derived->dirty[w])
            continue;
        unsigned bit = (unsigned)__builtin_ctzll(derived->dirty[w]);
        derived->dirty[w] &= derived->dirty[w] - 1;
        return (uint16_t)(64 * w + bit);
    }
    return CONFIG_NONE;
}

bool core_derive_next(struct core *core, const struct now *now, uint16_t *ret_device, struct reading *ret_reading) {
    struct core_derived *derived = &core->derived;
    uint16_t index = derived->items ? take_dirty(derived) : CONFIG_NONE;
    if (index == CONFIG_NONE)
        return false;
    const struct config_derived *rule = &core->config->derived[index];
    const struct reading *inputs[DERIVED_INPUTS_MAX];
    for (unsigned k = 0; k < rule->inputs_count; k++) {
        uint32_t point = core->config->devices[rule->inputs[k].device].first_point + rule->inputs[k].point;
        inputs[k] = derived->polled[point] ? &derived->newest[point] : NULL;
    }
    derived_on_inputs(&derived->items[index], now, inputs, ret_reading);
    ret_reading->point = rule->point;
    *ret_device = rule->device;
    if (derived_durable(&derived->items[index]) && derived->save_at_us == NOW_NEVER)
        derived->save_at_us = now->mono_us + SAVE_EVERY_US;
    return true;
}

void core_derive_on_maintenance(struct core *core, const struct now *now, uint16_t device) {
    for (uint16_t i = 0; i < core->config->derived_count; i++) {
        if (core->config->derived[i].device != device || !derived_durable(&core->derived.items[i]))
            continue;
        derived_on_maintenance(&core->derived.items[i], now);
        core_record_derived(core, i);
    }
}

void core_derive_on_time(struct core *core, const struct now *now) {
    struct core_derived *derived = &core->derived;
    if (now->mono_us < derived->save_at_us)
        return;
    for (uint16_t i = 0; i < core->config->derived_count; i++)
        if (derived_durable(&derived->items[i]))
            core_record_derived(core, i);
    derived->save_at_us = NOW_NEVER;
}
