/* SPDX-License-Identifier: Apache-2.0 */
/* Where the delivery of one lane to one uplink stands: a live flow (entries sealed since the link came up) and a backlog flow
 * (everything before that is not acknowledged). Pure; owned by the uplink.
 *
 *      cursor.low          backlog.next     backlog.through   live.next      newest
 *   ------|---- in flight ------|----- to come -----|-- in flight --|-- to come --|
 *          '---- backlog flow (replayed) ----------'  '------- live flow --------'
 *
 * Invariants (flow_check): in-flight seqs ascend within a flow; backlog.next <= backlog.through + 1; backlog.through < live.from.
 * The cursor holds only what was acknowledged without a hole below it in its own flow, so a crash repeats at most a window. */
#ifndef YANHUO_FLOW_H
#define YANHUO_FLOW_H

#include "gateway/core/cursor.h"
#include "gateway/core/journal.h"

struct flow_item {
    uint64_t seq;
    bool done;
};

struct flow_part {
    uint64_t from, next;  /* first seq of this part, first not looked at */
    struct flow_item items[WINDOW_MAX]; /* ring of what is in flight, in order of sending */
    uint32_t first, count;
};

enum flow_kind { FLOW_LIVE, FLOW_BACKLOG, FLOW_KINDS_COUNT };

struct flow {
    enum lane lane;
    struct cursor cursor;
    struct flow_part parts[FLOW_KINDS_COUNT];
    uint64_t through; /* last seq of the backlog part */
};

/* The link came up: what is sealed from next_seq on is live, what is not acknowledged below it is backlog. */
void flow_begin(struct flow *flow, uint64_t next_seq);

/* Notes that the entry was handed to the link; returns its place, which flow_acked wants back. */
uint32_t flow_sent(struct flow *flow, enum flow_kind kind, uint64_t seq);
/* What lies there. */
uint64_t flow_seq(const struct flow *flow, enum flow_kind kind, uint32_t place);
/* Returns true when the cursor moved. */
bool flow_acked(struct flow *flow, enum flow_kind kind, uint32_t place);

/* Next live entry in memory. What memory has already given up is handed to the backlog. */
bool flow_live(struct flow *flow, const struct journal *journal, uint16_t uplink_bit, struct entry *ret_entry);

/* What the backlog part needs next. */
enum flow_need { FLOW_NOTHING, FLOW_ENTRY, FLOW_QUERY };
/* FLOW_ENTRY: *ret_entry lies in memory. FLOW_QUERY: the store has to be asked for ret_after < seq <= ret_through. */
enum flow_need flow_backlog(struct flow *flow, const struct journal *journal, uint16_t uplink_bit, struct entry *ret_entry, uint64_t *ret_after,
                            uint64_t *ret_through);
/* The store was asked and has nothing more up to here. Returns true when the cursor moved. */
bool flow_looked(struct flow *flow, uint64_t through_seq);

void flow_check(const struct flow *flow);

#endif
