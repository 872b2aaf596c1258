/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants (heap_check):
 *  1. No node comes before its parent in (at_us, order).
 *  2. places[item] is 0, or the index + 1 of the one node of that item.
 *  3. No node has the deadline NOW_NEVER. */
#include "base/heap.h"

#include "base/check.h"
#include "base/now.h"

void heap_init(struct heap *heap, uint32_t items_count, struct arena *arena) {
    *heap = (struct heap){.items_count = items_count};
    if (items_count) {
        heap->nodes = arena_take(arena, items_count, sizeof(*heap->nodes));
        heap->places = arena_take(arena, items_count, sizeof(*heap->places));
    }
}

static bool node_before(const struct heap_node *a, const struct heap_node *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void node_put(struct heap *heap, uint32_t index, struct heap_node node) {
    heap->nodes[index] = node;
    heap->places[node.item] = index + 1;
}

/* Places `node` at the hole `index` or wherever it belongs above or below it. */
static void node_settle(struct heap *heap, uint32_t index, struct heap_node node) {
    while (index && node_before(&node, &heap->nodes[(index - 1) / 2])) {
        node_put(heap, index, heap->nodes[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && node_before(&heap->nodes[child + 1], &heap->nodes[child]))
            child++;
        if (!node_before(&heap->nodes[child], &node))
            break;
        node_put(heap, index, heap->nodes[child]);
        index = child;
    }
    node_put(heap, index, node);
}

static void node_remove(struct heap *heap, uint32_t index) {
    heap->places[heap->nodes[index].item] = 0;
    struct heap_node last = heap->nodes[--heap->count];
    if (index < heap->count)
        node_settle(heap, index, last);
}

void heap_set(struct heap *heap, uint32_t item, int64_t at_us) {
    CHECK(item < heap->items_count);
    uint32_t place = heap->places[item];
    if (at_us == NOW_NEVER) {
        if (place)
            node_remove(heap, place - 1);
        return;
    }
    uint32_t index = place ? place - 1 : heap->count++;
    node_settle(heap, index, (struct heap_node){.at_us = at_us, .order = heap->order_next++, .item = item});
}

int64_t heap_at_us(const struct heap *heap, uint32_t item) {
    CHECK(item < heap->items_count);
    uint32_t place = heap->places[item];
    return place ? heap->nodes[place - 1].at_us : NOW_NEVER;
}

int64_t heap_first_us(const struct heap *heap) {
    return heap->count ? heap->nodes[0].at_us : NOW_NEVER;
}

bool heap_take_due(struct heap *heap, int64_t now_us, uint32_t *ret_item) {
    if (!heap->count || heap->nodes[0].at_us > now_us)
        return false;
    *ret_item = heap->nodes[0].item;
    node_remove(heap, 0);
    return true;
}

void heap_check(const struct heap *heap) {
    CHECK(heap->count <= heap->items_count);
    for (uint32_t i = 0; i < heap->count; i++) {
        const struct heap_node *node = &heap->nodes[i];
        CHECK(node->at_us != NOW_NEVER && node->order < heap->order_next);
        CHECK(node->item < heap->items_count && heap->places[node->item] == i + 1);
        CHECK(i == 0 || node_before(&heap->nodes[(i - 1) / 2], node));
    }
    uint32_t placed = 0;
    for (uint32_t item = 0; item < heap->items_count; item++)
        placed += heap->places[item] != 0;
    CHECK(placed == heap->count);
}
