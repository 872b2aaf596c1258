/* SPDX-License-Identifier: Apache-2.0 */
/* Names to indices, found without walking a list, so that two thousand devices are looked up as fast as two. */
#ifndef YANHUO_NAMES_H
#define YANHUO_NAMES_H

#include <stdint.h>

#include "base/arena.h"

#define NAMES_NONE UINT32_MAX

struct names {
    const char **slots_name;
    uint32_t *slots_index;
    uint32_t slots, count; /* slots: a power of two, at least twice `count` */
};

/* Room for `most` names. The names themselves must outlive the table. */
void names_init(struct names *names, uint32_t most, struct arena *arena);
void names_add(struct names *names, const char *name, uint32_t index);
uint32_t names_find(const struct names *names, const char *name); /* NAMES_NONE when it is not there */

#endif
