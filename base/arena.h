/* SPDX-License-Identifier: Apache-2.0 */
/* Memory taken once, before READY, and given back in one piece. Pure machines size their tables from the configuration
 * out of an arena and allocate nothing afterwards. Not thread-safe; the owner is whoever called arena_init. */
#ifndef YANHUO_ARENA_H
#define YANHUO_ARENA_H

#include <stddef.h>

#include "base/err.h"

struct arena {
    struct arena_block *blocks;
    size_t used_total; /* bytes handed out, for health */
};

void arena_init(struct arena *arena);
void arena_done(struct arena *arena);

/* Zeroed memory for `count` items of `size` bytes, aligned for any type. Ends the process with a sentence when the machine
 * has none left: that can only happen at start, and there is nothing else to do. Never returns NULL. */
void *arena_take(struct arena *arena, size_t count, size_t size);

/* A copy of `length` bytes with an end mark. */
char *arena_text(struct arena *arena, const char *bytes, size_t length);

#endif
