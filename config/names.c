/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear steps; nothing is ever taken out. */
#include "base/fnv.h"
#include "config/names.h"

#include <string.h>

#include "base/check.h"
#include "config/yaml.h"

void names_init(struct names *names, uint32_t most, struct arena *arena) {
    uint32_t slots = 8;
    while (slots < most * 2)
        slots *= 2;
    *names = (struct names){.slots = slots};
    names->slots_name = arena_take(arena, slots, sizeof(*names->slots_name));
    names->slots_index = arena_take(arena, slots, sizeof(*names->slots_index));
}

static uint32_t slot_of(const struct names *names, const char *name) {
    uint64_t hash = fnv_add(FNV_START, name, strlen(name));
    uint32_t slot = (uint32_t)(hash ^ (hash >> 32)) & (names->slots - 1);
    while (names->slots_name[slot] && strcmp(names->slots_name[slot], name) != 0)
        slot = (slot + 1) & (names->slots - 1);
    return slot;
}

void names_add(struct names *names, const char *name, uint32_t index) {
    uint32_t slot = slot_of(names, name);
    if (names->slots_name[slot])
        return; /* the first of two equal names stays; the second was reported */
    CHECK(names->count < names->slots / 2);
    names->slots_name[slot] = name;
    names->slots_index[slot] = index;
    names->count++;
}

uint32_t names_find(const struct names *names, const char *name) {
    if (!names->slots)
        return NAMES_NONE;
    uint32_t slot = slot_of(names, name);
    return names->slots_name[slot] ? names->slots_index[slot] : NAMES_NONE;
}
