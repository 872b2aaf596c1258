/* SPDX-License-Identifier: Apache-2.0 */
/* The store's threads and its life. The writer (store_writer.c) owns both files and does one job at a time, the most urgent first;
 * the query thread reads backlogs on a connection of its own. Opening happens on the caller's thread, before there are others.
 *
 * A file's state is told when it changes, not at every failure:
 *   writable --failure--> failing (one line; runs are answered with the error, history batches are dropped and counted)
 *   failing  --success--> writable (one line) */
#include "gateway/io/store.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/thread.h"
#include "gateway/io/store_state.h"

/* ---- the query thread ---- */

static void query_do(struct store *store, const struct query *query, struct store_rows *rows) {
    struct database_failure failure;
    struct store_disk *disk = &store->disk;
    pthread_mutex_lock(&store->files_mutex);
    bool open = disk->open;
    if (open)
        rows->err = rows_read(&disk->reader, query, (uint16_t)(1u << disk->spool.numbers[query->uplink]), &disk->floors[query->uplink][query->lane],
                              store->rows[query->uplink], &rows->size, &rows->through_seq, &failure);
    pthread_mutex_unlock(&store->files_mutex);
    if (open)
        store_state_tell(store, &store->query_err, rows->err, &failure, store->disk.spool_path, "the backlog cannot be read and waits");
    if (open && rows->err == ERR_CORRUPT) {
        atomic_store(&store->damage_met, true);
        queue_wake(&store->queue);
    }
}

static void *query_main(void *context) {
    struct store *store = context;
    struct query query;
    while (queue_wait_query(&store->queue, &query)) {
        struct store_rows rows = {
            .uplink = query.uplink, .lane = query.lane, .err = ERR_IO, .bytes = store->rows[query.uplink], .after_seq = query.after_seq};
        query_do(store, &query, &rows);
        if (rows.err != ERR_OK) { /* nothing was looked at */
            rows.size = 0;
            rows.through_seq = query.after_seq;
        }
        queue_query_done(&store->queue, query.uplink);
        store->sink.rows(store->sink.context, &rows);
    }
    return NULL;
}

/* ---- life ---- */

static enum err threads_start(struct store *store) {
    store->writer_started = thread_start(&store->writer, store_writer_main, store, "store writer");
    store->query_started = thread_start(&store->query, query_main, store, "store query");
    return store->writer_started && store->query_started ? ERR_OK : ERR_NOMEM;
}

enum err store_open(const char *dir, const struct config *config, struct arena *arena, const struct store_sink *sink, struct store_image *ret_image,
                    struct store **ret_store) {
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return ERR_NOMEM;
    store->sink = *sink;
    store->disk.config = config;
    store->disk.sink = &store->sink;
    enum err err = disk_start(&store->disk, dir, arena, ret_image);
    for (unsigned i = 0; err == ERR_OK && i < config->uplinks_count; i++)
        err = (store->rows[i] = malloc(QUERY_ROWS_SIZE)) ? ERR_OK : ERR_NOMEM;
    if (err == ERR_OK) {
        store->mutex_ready = pthread_mutex_init(&store->files_mutex, NULL) == 0;
        err = store->mutex_ready ? queue_init(&store->queue) : ERR_NOMEM;
        store->queue_ready = err == ERR_OK;
    }
    if (err == ERR_OK)
        err = threads_start(store);
    if (err != ERR_OK) {
        store_close(store);
        return err;
    }
    *ret_store = store;
    return ERR_OK;
}

void store_close(struct store *store) {
    if (!store)
        return;
    if (store->queue_ready)
        queue_stop(&store->queue);
    if (store->writer_started)
        pthread_join(store->writer, NULL);
    if (store->query_started)
        pthread_join(store->query, NULL);
    disk_done(&store->disk);
    if (store->queue_ready)
        queue_done(&store->queue);
    if (store->mutex_ready)
        pthread_mutex_destroy(&store->files_mutex);
    for (unsigned i = 0; i < UPLINKS_MAX; i++)
        free(store->rows[i]);
    free(store);
}

void store_submit(struct store *store, enum lane lane, uint64_t first_seq, uint64_t last_seq, const uint8_t *bytes, uint32_t size,
                  const struct record_save *records, uint16_t records_count) {
    queue_put_run(&store->queue, lane, first_seq, last_seq, bytes, size, records, records_count);
}

void store_history(struct store *store, int64_t at_ms, const uint8_t *bytes, uint32_t size) {
    queue_put_history(&store->queue, at_ms, bytes, size);
}

void store_cursor(struct store *store, uint16_t uplink, enum lane lane, const struct cursor *cursor) {
    queue_put_cursor(&store->queue, uplink, lane, cursor);
}

void store_query(struct store *store, uint16_t uplink, enum lane lane, uint64_t after_seq, uint64_t through_seq) {
    const struct query query = {.uplink = uplink, .lane = lane, .after_seq = after_seq, .through_seq = through_seq};
    queue_put_query(&store->queue, &query);
}

int64_t store_idle_us(const struct store *store) {
    return queue_busy_us((struct store_queue *)&store->queue);
}

int64_t store_query_busy_us(struct store *store) {
    return queue_query_busy_us(&store->queue);
}
