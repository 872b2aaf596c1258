/* SPDX-License-Identifier: Apache-2.0 */
/*           put            queue_wait           queue_..._done
 *   EMPTY --------> WAITING ----------> WORKING ---------------> EMPTY
 * A slot is put only when EMPTY, which the contract of store.h (one at a time) guarantees. WORKING is the thread's own. */
#include "gateway/io/store_queue.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/text.h"

bool buffer_set(struct buffer *buffer, const uint8_t *bytes, size_t size) {
    if (size > buffer->capacity) {
        uint8_t *larger = realloc(buffer->bytes, size);
        if (!larger)
            return false;
        buffer->bytes = larger;
        buffer->capacity = size;
    }
    if (size)
        memcpy(buffer->bytes, bytes, size);
    buffer->size = size;
    return true;
}

enum err queue_init(struct store_queue *queue) {
    pthread_condattr_t attributes;
    *queue = (struct store_queue){.working_since_us = NOW_NEVER, .reading_since_us = NOW_NEVER, .cursors_due_us = NOW_NEVER};
    if (pthread_mutex_init(&queue->mutex, NULL) != 0)
        return ERR_NOMEM;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* a jump of the wall clock must not stop the writer */
    int failed = pthread_cond_init(&queue->writer, &attributes) | pthread_cond_init(&queue->reader, &attributes);
    pthread_condattr_destroy(&attributes);
    return failed ? ERR_NOMEM : ERR_OK;
}

void queue_done(struct store_queue *queue) {
    for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
        free(queue->runs[lane].body.bytes);
        free(queue->runs[lane].records);
    }
    for (unsigned i = 0; i < HISTORY_BATCHES_MAX; i++)
        free(queue->batches[i].body.bytes);
    pthread_cond_destroy(&queue->writer);
    pthread_cond_destroy(&queue->reader);
    pthread_mutex_destroy(&queue->mutex);
}

static bool run_set_records(struct run *run, const struct record_save *records, uint16_t records_count) {
    if (records_count > run->records_capacity) {
        struct record_row *larger = realloc(run->records, records_count * sizeof(*larger));
        if (!larger)
            return false;
        run->records = larger;
        run->records_capacity = records_count;
    }
    run->records_count = records_count;
    for (unsigned i = 0; i < records_count; i++) {
        struct record_row *row = &run->records[i];
        CHECK(records[i].size <= sizeof(row->bytes));
        CHECK(text_copy(row->owner, sizeof(row->owner), records[i].owner) && text_copy(row->name, sizeof(row->name), records[i].name));
        memcpy(row->bytes, records[i].bytes, records[i].size);
        row->size = records[i].size;
    }
    return true;
}

void queue_put_run(struct store_queue *queue, enum lane lane, uint64_t first_seq, uint64_t last_seq, const uint8_t *bytes, uint32_t size,
                   const struct record_save *records, uint16_t records_count) {
    struct run *run = &queue->runs[lane];
    CHECK(size == 0 || (first_seq > 0 && first_seq <= last_seq));
    pthread_mutex_lock(&queue->mutex);
    CHECK(queue->runs_state[lane] == SLOT_EMPTY);
    run->lane = lane;
    run->first_seq = first_seq;
    run->last_seq = last_seq;
    run->no_memory = !buffer_set(&run->body, bytes, size) || !run_set_records(run, records, records_count);
    queue->runs_state[lane] = SLOT_WAITING;
    pthread_cond_signal(&queue->writer);
    pthread_mutex_unlock(&queue->mutex);
}

void queue_put_history(struct store_queue *queue, int64_t at_ms, const uint8_t *bytes, uint32_t size) {
    pthread_mutex_lock(&queue->mutex);
    if (queue->batches_count == HISTORY_BATCHES_MAX) {
        const struct buffer *oldest = &queue->batches[queue->batches_first].body;
        queue->readings_dropped += entry_count_readings(oldest->bytes, oldest->size);
        queue->batches_first = (queue->batches_first + 1) % HISTORY_BATCHES_MAX;
        queue->batches_count--;
        queue->batches_dropped++;
    }
    struct history_batch *batch = &queue->batches[(queue->batches_first + queue->batches_count) % HISTORY_BATCHES_MAX];
    batch->at_ms = at_ms;
    if (buffer_set(&batch->body, bytes, size))
        queue->batches_count++;
    else {
        queue->batches_dropped++;
        queue->readings_dropped += entry_count_readings(bytes, size);
    }
    pthread_cond_signal(&queue->writer);
    pthread_mutex_unlock(&queue->mutex);
}

void queue_put_cursor(struct store_queue *queue, uint16_t uplink, enum lane lane, const struct cursor *cursor) {
    CHECK(uplink < UPLINKS_MAX && lane < LANES_COUNT && cursor->ranges_count <= RANGES_MAX);
    pthread_mutex_lock(&queue->mutex);
    queue->cursors[uplink][lane] = *cursor;
    queue->cursors_dirty[uplink][lane] = true;
    if (queue->cursors_due_us == NOW_NEVER) {
        queue->cursors_due_us = now_mono_us() + CURSOR_DELAY_US;
        pthread_cond_signal(&queue->writer); /* it may be waiting for a later time */
    }
    pthread_mutex_unlock(&queue->mutex);
}

void queue_put_query(struct store_queue *queue, const struct query *query) {
    CHECK(query->uplink < UPLINKS_MAX && query->lane < LANES_COUNT);
    pthread_mutex_lock(&queue->mutex);
    CHECK(queue->queries_state[query->uplink] == SLOT_EMPTY);
    queue->queries[query->uplink] = *query;
    queue->queries_state[query->uplink] = SLOT_WAITING;
    pthread_cond_signal(&queue->reader);
    pthread_mutex_unlock(&queue->mutex);
}

void queue_stop(struct store_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    queue->stopping = true;
    pthread_cond_signal(&queue->writer);
    pthread_cond_signal(&queue->reader);
    pthread_mutex_unlock(&queue->mutex);
}

void queue_wake(struct store_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    queue->woken = true;
    pthread_cond_signal(&queue->writer);
    pthread_mutex_unlock(&queue->mutex);
}

int64_t queue_busy_us(struct store_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    int64_t since_us = queue->working_since_us;
    pthread_mutex_unlock(&queue->mutex);
    return since_us == NOW_NEVER ? 0 : now_mono_us() - since_us;
}

int64_t queue_query_busy_us(struct store_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    int64_t since_us = queue->reading_since_us;
    pthread_mutex_unlock(&queue->mutex);
    return since_us == NOW_NEVER ? 0 : now_mono_us() - since_us;
}

static void batch_take(struct store_queue *queue, struct history_batch *batch, uint64_t *ret_dropped) {
    struct history_batch *oldest = &queue->batches[queue->batches_first];
    struct history_batch taken = *oldest;
    *oldest = *batch; /* the writer's last buffer becomes the ring's, so that nothing is copied */
    *batch = taken;
    *ret_dropped = queue->batches_dropped;
    queue->batches_first = (queue->batches_first + 1) % HISTORY_BATCHES_MAX;
    queue->batches_count--;
}

static bool work_find(struct store_queue *queue, int64_t until_us, enum work *ret_work, struct run **ret_run, struct history_batch *batch,
                      uint64_t *ret_dropped) {
    for (unsigned lane = 0; lane < LANES_COUNT; lane++)
        if (queue->runs_state[lane] == SLOT_WAITING) {
            queue->runs_state[lane] = SLOT_WORKING;
            *ret_run = &queue->runs[lane];
            *ret_work = WORK_RUN;
            return true;
        }
    int64_t now_us = now_mono_us();
    if (queue->batches_count) {
        batch_take(queue, batch, ret_dropped);
        *ret_work = WORK_HISTORY;
    } else if (queue->cursors_due_us <= now_us || (queue->stopping && queue->cursors_due_us != NOW_NEVER)) {
        *ret_work = WORK_CURSORS;
    } else if (queue->stopping) {
        *ret_work = WORK_STOP;
    } else if (until_us <= now_us || queue->woken) {
        *ret_work = WORK_TIME;
        queue->woken = false;
    } else {
        return false;
    }
    return true;
}

enum work queue_wait(struct store_queue *queue, int64_t until_us, struct run **ret_run, struct history_batch *batch, uint64_t *ret_dropped) {
    enum work work;
    pthread_mutex_lock(&queue->mutex);
    queue->working_since_us = NOW_NEVER;
    while (!work_find(queue, until_us, &work, ret_run, batch, ret_dropped)) {
        int64_t wake_us = until_us < queue->cursors_due_us ? until_us : queue->cursors_due_us;
        struct timespec wake = {.tv_sec = (time_t)(wake_us / 1000000), .tv_nsec = (long)(wake_us % 1000000 * 1000)};
        pthread_cond_timedwait(&queue->writer, &queue->mutex, &wake);
    }
    queue->working_since_us = now_mono_us();
    pthread_mutex_unlock(&queue->mutex);
    return work;
}

void queue_run_done(struct store_queue *queue, enum lane lane) {
    pthread_mutex_lock(&queue->mutex);
    CHECK(queue->runs_state[lane] == SLOT_WORKING);
    queue->runs_state[lane] = SLOT_EMPTY;
    pthread_mutex_unlock(&queue->mutex);
}

void queue_take_cursors(struct store_queue *queue, struct cursor cursors[UPLINKS_MAX][LANES_COUNT], bool dirty[UPLINKS_MAX][LANES_COUNT]) {
    pthread_mutex_lock(&queue->mutex);
    for (unsigned uplink = 0; uplink < UPLINKS_MAX; uplink++)
        for (unsigned lane = 0; lane < LANES_COUNT; lane++)
            if (queue->cursors_dirty[uplink][lane]) {
                cursors[uplink][lane] = queue->cursors[uplink][lane];
                dirty[uplink][lane] = true;
                queue->cursors_dirty[uplink][lane] = false;
            }
    queue->cursors_due_us = NOW_NEVER;
    pthread_mutex_unlock(&queue->mutex);
}

uint64_t queue_dropped(struct store_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    uint64_t dropped = queue->batches_dropped;
    pthread_mutex_unlock(&queue->mutex);
    return dropped;
}

uint64_t queue_readings_dropped(struct store_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    uint64_t dropped = queue->readings_dropped;
    pthread_mutex_unlock(&queue->mutex);
    return dropped;
}

void queue_cursors_again(struct store_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    if (queue->cursors_due_us == NOW_NEVER && !queue->stopping) /* at the end one try must do */
        queue->cursors_due_us = now_mono_us() + CURSOR_DELAY_US;
    pthread_mutex_unlock(&queue->mutex);
}

static bool query_find(struct store_queue *queue, struct query *ret_query) {
    bool found = false;
    for (unsigned i = 0; i < UPLINKS_MAX; i++) {
        unsigned uplink = (queue->queries_next + i) % UPLINKS_MAX;
        const struct query *query = &queue->queries[uplink];
        if (queue->queries_state[uplink] == SLOT_WAITING && (!found || query->lane < ret_query->lane)) {
            *ret_query = *query;
            found = true;
        }
    }
    return found;
}

bool queue_wait_query(struct store_queue *queue, struct query *ret_query) {
    pthread_mutex_lock(&queue->mutex);
    queue->reading_since_us = NOW_NEVER;
    while (!queue->stopping && !query_find(queue, ret_query))
        pthread_cond_wait(&queue->reader, &queue->mutex);
    bool stopping = queue->stopping;
    if (!stopping) {
        queue->reading_since_us = now_mono_us();
        queue->queries_state[ret_query->uplink] = SLOT_WORKING;
        queue->queries_next = ret_query->uplink + 1u;
    }
    pthread_mutex_unlock(&queue->mutex);
    return !stopping;
}

void queue_query_done(struct store_queue *queue, uint16_t uplink) {
    pthread_mutex_lock(&queue->mutex);
    CHECK(queue->queries_state[uplink] == SLOT_WORKING);
    queue->queries_state[uplink] = SLOT_EMPTY;
    pthread_mutex_unlock(&queue->mutex);
}
