/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/uplinks/flow.h"

#include "base/check.h"

void flow_begin(struct flow *flow, uint64_t next_seq) {
    flow->parts[FLOW_LIVE] = (struct flow_part){.from = next_seq, .next = next_seq};
    flow->parts[FLOW_BACKLOG] = (struct flow_part){.from = flow->cursor.low + 1, .next = flow->cursor.low + 1};
    flow->through = next_seq - 1;
}

uint32_t flow_sent(struct flow *flow, enum flow_kind kind, uint64_t seq) {
    struct flow_part *part = &flow->parts[kind];
    CHECK(part->count < WINDOW_MAX && seq >= part->next);
    uint32_t place = (part->first + part->count++) % WINDOW_MAX;
    part->items[place] = (struct flow_item){.seq = seq};
    part->next = seq + 1;
    return place;
}

/* Everything of this part below the returned seq is acknowledged. */
static bool settle(struct flow *flow, enum flow_kind kind) {
    struct flow_part *part = &flow->parts[kind];
    while (part->count && part->items[part->first].done) {
        part->first = (part->first + 1) % WINDOW_MAX;
        part->count--;
    }
    uint64_t open = part->count ? part->items[part->first].seq : part->next;
    return cursor_add(&flow->cursor, part->from, open - 1);
}

uint64_t flow_seq(const struct flow *flow, enum flow_kind kind, uint32_t place) {
    return flow->parts[kind].items[place].seq;
}

bool flow_acked(struct flow *flow, enum flow_kind kind, uint32_t place) {
    flow->parts[kind].items[place].done = true;
    return settle(flow, kind);
}

bool flow_live(struct flow *flow, const struct journal *journal, uint16_t uplink_bit, struct entry *ret_entry) {
    struct flow_part *live = &flow->parts[FLOW_LIVE];
    uint64_t memory_from = journal_memory_from(journal, flow->lane);
    if (live->next < memory_from) { /* the link was slower than memory is large */
        if (live->count)
            return false; /* first what is in flight, so that nothing is sent both ways */
        live->from = live->next = memory_from;
        flow->through = memory_from - 1;
    }
    if (journal_find(journal, flow->lane, live->next, uplink_bit, ret_entry))
        return true;
    uint64_t newest = journal->lanes[flow->lane].newest_seq;
    if (live->next <= newest)
        live->next = newest + 1; /* entries of other uplinks are passed over once, and not asked from the store when memory drops them */
    return false;
}

/* The last seq that the store can be asked for: an entry that left memory on its way to the store is there once the run is
 * answered, and a query that came before would pass it over. */
static uint64_t askable(const struct flow *flow, const struct journal *journal) {
    const struct journal_lane *lane = &journal->lanes[flow->lane];
    return lane->storing_seq == lane->durable_seq ? UINT64_MAX : lane->durable_seq;
}

enum flow_need flow_backlog(struct flow *flow, const struct journal *journal, uint16_t uplink_bit, struct entry *ret_entry, uint64_t *ret_after,
                            uint64_t *ret_through) {
    struct flow_part *backlog = &flow->parts[FLOW_BACKLOG];
    backlog->next = cursor_next(&flow->cursor, backlog->next);
    if (backlog->next > flow->through)
        return FLOW_NOTHING;
    uint64_t memory_from = journal_memory_from(journal, flow->lane);
    if (backlog->next < memory_from) {
        uint64_t through = memory_from - 1 < flow->through ? memory_from - 1 : flow->through;
        uint64_t last = askable(flow, journal);
        *ret_after = backlog->next - 1;
        *ret_through = through < last ? through : last;
        return *ret_through > *ret_after ? FLOW_QUERY : FLOW_NOTHING; /* else the answer to the run goes on with it */
    }
    for (;;) {
        if (!journal_find(journal, flow->lane, backlog->next, uplink_bit, ret_entry) || ret_entry->seq > flow->through) {
            (void)flow_looked(flow, flow->through);
            return FLOW_NOTHING;
        }
        backlog->next = cursor_next(&flow->cursor, ret_entry->seq);
        if (backlog->next == ret_entry->seq)
            return FLOW_ENTRY;
    }
}

bool flow_looked(struct flow *flow, uint64_t through_seq) {
    struct flow_part *backlog = &flow->parts[FLOW_BACKLOG];
    if (through_seq >= backlog->next)
        backlog->next = through_seq + 1;
    return settle(flow, FLOW_BACKLOG);
}

void flow_check(const struct flow *flow) {
    cursor_check(&flow->cursor);
    for (unsigned k = 0; k < FLOW_KINDS_COUNT; k++) {
        const struct flow_part *part = &flow->parts[k];
        CHECK(part->count <= WINDOW_MAX);
        uint64_t before = 0;
        for (uint32_t i = 0; i < part->count; i++) {
            const struct flow_item *item = &part->items[(part->first + i) % WINDOW_MAX];
            CHECK(item->seq > before && item->seq < part->next);
            before = item->seq;
        }
    }
    CHECK(!flow->through || flow->through < flow->parts[FLOW_LIVE].from);
}
