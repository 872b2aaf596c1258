/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_SIZE 65536 /* one allocation serves many small tables */

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena) {
    *arena = (struct arena){0};
}

void arena_done(struct arena *arena) {
    for (struct arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct arena){0};
}

static struct arena_block *block_new(size_t size) {
    struct arena_block *block = size < SIZE_MAX / 2 ? calloc(1, sizeof(*block) + size) : NULL;
    if (!block) {
        fprintf(stderr, "yanhuo: not enough memory to start (%zu bytes were asked for)\n", size);
        abort();
    }
    block->size = size;
    return block;
}

void *arena_take(struct arena *arena, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX / 2;
    bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < bytes) {
        struct arena_block *fresh = block_new(bytes > ARENA_BLOCK_SIZE ? bytes : ARENA_BLOCK_SIZE);
        if (block && bytes > ARENA_BLOCK_SIZE) { /* a large piece does not waste the rest of the current block */
            fresh->next = block->next;
            block->next = fresh;
        } else {
            fresh->next = block;
            arena->blocks = fresh;
        }
        block = fresh;
    }
    void *piece = block->bytes + block->used;
    block->used += bytes;
    arena->used_total += bytes;
    return piece;
}

char *arena_text(struct arena *arena, const char *bytes, size_t length) {
    char *copy = arena_take(arena, length + 1, 1);
    memcpy(copy, bytes, length);
    return copy;
}
