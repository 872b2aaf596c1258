/* SPDX-License-Identifier: Apache-2.0 */
/* From readings to entries: report by exception, then batches, then sealing; and beside it every reading for the history.
 * Uplinks that want the same share one stream, so that a reading is sealed once for all of them. Pure; owned by the core.
 *
 * Invariants: a batch is sealed when its time is over, when it is full, or at stop; a batch of 0 ms is sealed with its poll.
 * A reading is never given a time other than its own; an entry holds none from before and after the clock became right, or ceased to
 * be. What is read while the clock is not trusted goes to the history when it is (aside.h). Order per point is the order of the polls. */
#ifndef YANHUO_PUBLISH_H
#define YANHUO_PUBLISH_H

#include "base/heap.h"
#include "gateway/core/aside.h"
#include "gateway/core/journal.h"

#define PUBLISH_HISTORY_SIZE 65536 /* one history batch; sent early when it is full */
#define PUBLISH_ASIDE_US 1000000   /* between batches of what waited for the clock: the store has a queue of its own to keep */

struct publish_batch {
    struct bytes_writer body;
    struct reading_order order; /* what the next reading is told against */
    int64_t at_ms;              /* of the first reading */
    bool trusted;
    uint16_t count;
};

struct published { /* the last value a stream reported of a point */
    uint64_t key;
    int64_t at_us;
    bool known;
};

struct publish_stream {
    struct config_readings policy;
    uint16_t uplinks; /* mask of durable numbers */
    struct publish_batch *batches;    /* by device */
    struct published *points;         /* by global point; NULL when every poll is reported */
};

struct publisher {
    const struct config *config;
    const struct series_directory *series;
    struct journal *journal;
    uint16_t streams_count;
    struct publish_stream streams[UPLINKS_MAX];
    struct heap deadlines; /* item = stream * devices + device */
    uint8_t *scratch;      /* the batch of streams that seal with each poll */
    struct publish_batch history;
    int64_t history_due_us;
    uint64_t history_lost; /* readings that came while the batch was full */
    struct aside aside;
    int64_t aside_due_us; /* NOW_NEVER: nothing waits, or the clock is not trusted */
};

/* `uplink_numbers` maps configuration index to durable number. */
void publisher_init(struct publisher *publisher, const struct config *config, const struct series_directory *series, struct journal *journal,
                    struct arena *arena);
void publisher_start(struct publisher *publisher, const uint8_t *uplink_numbers);

/* The readings of one device, all taken at `now`. */
void publisher_on_readings(struct publisher *publisher, const struct now *now, uint16_t device, const struct reading *readings, unsigned count);
void publisher_on_time(struct publisher *publisher, const struct now *now);
/* Seals whatever is collected. */
void publisher_flush(struct publisher *publisher);
int64_t publisher_next_wake(const struct publisher *publisher);

/* What is collected for the history is due at this time, if not before. */
void publisher_hurry_history(struct publisher *publisher, int64_t due_us);
/* The history batch that is due; false when none is. Valid until the next reading. */
bool publisher_take_history(struct publisher *publisher, const struct now *now, bool all, struct publish_batch *ret_batch);

#endif
