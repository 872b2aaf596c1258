/* SPDX-License-Identifier: Apache-2.0 */
/* The store's mailbox between the loop thread and the store's two threads. Bounded by construction: one run per lane,
 * cursors overwritten in place, one query per uplink, and a short ring of history batches whose oldest gives way.
 * Every function may be called from any thread; none waits for anything but the mutex, which is held only for copies, except
 * the two that wait for work. */
#ifndef YANHUO_STORE_QUEUE_H
#define YANHUO_STORE_QUEUE_H

#include <pthread.h>

#include "gateway/engine.h"

#define HISTORY_BATCHES_MAX 8   /* batches of a few seconds each: what a busy card may hold up */
#define CURSOR_DELAY_US 45000000 /* a cursor is written at most this long after it moved; each run brings it along, so this is for when there is none */

struct buffer {
    uint8_t *bytes;
    size_t size, capacity;
};
/* Makes room and copies; false when there is no memory. */
bool buffer_set(struct buffer *buffer, const uint8_t *bytes, size_t size);

struct record_row { /* one record, or with size 0 its removal */
    char owner[RECORD_NAME_SIZE], name[RECORD_NAME_SIZE];
    uint8_t bytes[RECORD_SIZE];
    uint16_t size;
};

struct run { /* read by the writer without the lock while its slot is WORKING */
    enum lane lane;
    uint64_t first_seq, last_seq;
    struct buffer body;
    bool no_memory;
    uint16_t records_count;
    struct record_row *records;
    uint16_t records_capacity;
};

struct history_batch {
    int64_t at_ms;
    struct buffer body;
};

struct query {
    uint16_t uplink;
    enum lane lane;
    uint64_t after_seq, through_seq;
};

enum slot_state { SLOT_EMPTY, SLOT_WAITING, SLOT_WORKING };

struct store_queue {
    pthread_mutex_t mutex;
    pthread_cond_t writer, reader;
    bool stopping, woken;
    int64_t working_since_us; /* NOW_NEVER while the writer waits */
    int64_t reading_since_us; /* the same of the query thread */
    enum slot_state runs_state[LANES_COUNT], queries_state[UPLINKS_MAX];
    struct run runs[LANES_COUNT];
    struct query queries[UPLINKS_MAX];
    unsigned queries_next; /* whose turn it is among equals */
    struct history_batch batches[HISTORY_BATCHES_MAX];
    unsigned batches_first, batches_count;
    uint64_t batches_dropped, readings_dropped; /* of the history, since the start */
    struct cursor cursors[UPLINKS_MAX][LANES_COUNT];
    bool cursors_dirty[UPLINKS_MAX][LANES_COUNT];
    int64_t cursors_due_us; /* NOW_NEVER when none moved */
};

NODISCARD enum err queue_init(struct store_queue *queue);
void queue_done(struct store_queue *queue);

/* The loop thread's side. */
void queue_put_run(struct store_queue *queue, enum lane lane, uint64_t first_seq, uint64_t last_seq, const uint8_t *bytes, uint32_t size,
                   const struct record_save *records, uint16_t records_count);
void queue_put_history(struct store_queue *queue, int64_t at_ms, const uint8_t *bytes, uint32_t size);
void queue_put_cursor(struct store_queue *queue, uint16_t uplink, enum lane lane, const struct cursor *cursor);
void queue_put_query(struct store_queue *queue, const struct query *query);
void queue_stop(struct store_queue *queue);
int64_t queue_busy_us(struct store_queue *queue);
int64_t queue_query_busy_us(struct store_queue *queue);
/* Makes the writer look at once, as if its time had come. */
void queue_wake(struct store_queue *queue);

/* The writer's side. Waits until there is work or `until_us`: fire first, then events, readings, history, cursors that are
 * due; TIME when nothing came; STOP only when everything submitted is done. */
enum work { WORK_RUN, WORK_HISTORY, WORK_CURSORS, WORK_TIME, WORK_STOP };
enum work queue_wait(struct store_queue *queue, int64_t until_us, struct run **ret_run, struct history_batch *batch, uint64_t *ret_dropped);
void queue_run_done(struct store_queue *queue, enum lane lane);
/* Copies the cursors that moved since the last call, and marks them in `dirty`. */
void queue_take_cursors(struct store_queue *queue, struct cursor cursors[UPLINKS_MAX][LANES_COUNT], bool dirty[UPLINKS_MAX][LANES_COUNT]);
uint64_t queue_dropped(struct store_queue *queue); /* history batches, since the start */
uint64_t queue_readings_dropped(struct store_queue *queue); /* the readings in them */
/* For a commit that failed: due again after CURSOR_DELAY_US. */
void queue_cursors_again(struct store_queue *queue);

/* The query thread's side. False when stopping. */
bool queue_wait_query(struct store_queue *queue, struct query *ret_query);
void queue_query_done(struct store_queue *queue, uint16_t uplink);

#endif
