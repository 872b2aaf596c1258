/* SPDX-License-Identifier: Apache-2.0 */
/* The store between its files: store.c is its life and the query thread, store_writer.c the writer. */
#ifndef YANHUO_STORE_STATE_H
#define YANHUO_STORE_STATE_H

#include <stdatomic.h>

#include "gateway/io/store_disk.h"
#include "gateway/io/store_queue.h"

#define SAMPLES_COUNT 61 /* of the device's bytes, one a minute: an hour */

struct store_sample {
    int64_t mono_us, bytes;
    uint64_t readings;
};

struct store {
    struct store_sink sink;
    struct store_disk disk;
    uint8_t *rows[UPLINKS_MAX];
    struct store_queue queue;
    pthread_mutex_t files_mutex; /* held while a query reads, and while files are opened and closed */
    bool queue_ready, mutex_ready, writer_started, query_started;
    pthread_t writer, query;
    atomic_bool damage_met; /* by the query thread */
    enum err query_err;     /* the query thread's */
    /* The writer's. */
    enum err spool_err, history_err, archive_err;
    int64_t failing_since_us; /* NOW_NEVER while the spool works */
    bool slow, behind, full, ballast;
    uint64_t dropped_told, refused_told, unkept; /* history batches that found no file */
    uint64_t unkept_readings; /* of them, and of batches that could not be written; since the start */
    int64_t sync_us, expire_us, care_us, copy_us, room_us, roll_us, archive_us;
    int64_t retry_us, retry_pause_us; /* while the files are closed */
    char why_closed[320];             /* as told */
    struct store_sample samples[SAMPLES_COUNT]; /* a ring */
    unsigned samples_count, samples_next;
    uint64_t readings; /* taken into the history since the start */
};

void *store_writer_main(void *store);
void store_state_tell(const struct store *store, enum err *state, enum err err, const struct database_failure *failure, const char *path,
                      const char *consequence);

#endif
