/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap of deadlines over items numbered 0 .. count - 1, each at most once, with equal deadlines served in the
 * order in which they were set, so that runs repeat exactly. Memory comes from an arena at start. */
#ifndef YANHUO_HEAP_H
#define YANHUO_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

struct heap_node {
    int64_t at_us;
    uint64_t order; /* set counter: ties are served first set, first out */
    uint32_t item;
};

struct heap {
    struct heap_node *nodes;
    uint32_t *places; /* item -> index in nodes + 1; 0 = not in the heap */
    uint32_t count, items_count;
    uint64_t order_next;
};

void heap_init(struct heap *heap, uint32_t items_count, struct arena *arena);

/* Sets or moves an item's deadline; NOW_NEVER removes it. */
void heap_set(struct heap *heap, uint32_t item, int64_t at_us);
int64_t heap_at_us(const struct heap *heap, uint32_t item);

/* The earliest deadline, or NOW_NEVER. */
int64_t heap_first_us(const struct heap *heap);

/* Takes the earliest item if its deadline is at or before now_us. */
bool heap_take_due(struct heap *heap, int64_t now_us, uint32_t *ret_item);

void heap_check(const struct heap *heap);

#endif
