/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/uplinks/replies.h"

#include <string.h>

static void remove_at(struct replies *replies, uint32_t index) {
    replies->count--;
    memmove(&replies->items[index], &replies->items[index + 1], (replies->count - index) * sizeof(replies->items[0]));
}

static uint32_t find(const struct replies *replies, uint32_t number) {
    uint32_t index = 0;
    while (index < replies->count && replies->items[index].number != number)
        index++;
    return index;
}

bool replies_put(struct replies *replies, const struct command_reply *reply) {
    bool full = replies->count == REPLIES_MAX;
    if (full) {
        uint32_t index = 0;
        while (index < replies->count && replies->items[index].text.outcome.ok)
            index++;
        remove_at(replies, index < replies->count ? index : 0);
    }
    replies->items[replies->count++] = (struct reply){.number = replies->number_next++, .text = *reply};
    return full;
}

const struct reply *replies_take(struct replies *replies) {
    for (uint32_t i = 0; i < replies->count; i++)
        if (!replies->items[i].under_way) {
            replies->items[i].under_way = true;
            return &replies->items[i];
        }
    return NULL;
}

void replies_done(struct replies *replies, uint32_t number) {
    uint32_t index = find(replies, number);
    if (index < replies->count)
        remove_at(replies, index);
}

void replies_lost(struct replies *replies, uint32_t number) {
    uint32_t index = find(replies, number);
    if (index < replies->count)
        replies->items[index].under_way = false;
}

void replies_all_lost(struct replies *replies) {
    for (uint32_t i = 0; i < replies->count; i++)
        replies->items[i].under_way = false;
}
