/* SPDX-License-Identifier: Apache-2.0 */
/* The store's threads and its life. The writer owns both files and does one job at a time, the most urgent first; the query
 * thread reads backlogs on a connection of its own. Opening happens on the caller's thread, before there are others.
 *
 * A file's state is told when it changes, not at every failure:
 *   writable --failure--> failing (one line; runs are answered with the error, history batches are dropped and counted)
 *   failing  --success--> writable (one line) */
#include "gateway/io/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/io/store_files.h"
#include "gateway/io/store_history.h"
#include "gateway/io/store_spool.h"

#define CHECKPOINT_US (300 * INT64_C(1000000)) /* a power cut costs at most this much of the history */
#define EXPIRE_US (3600 * INT64_C(1000000))
#define SLOW_US 2000000    /* a commit that took this long is told */
#define NOT_SLOW_US 500000 /* and told to be over below this */
#define OPEN_TRIES 4       /* each puts one damaged file aside; there are two */

struct store {
    char dir[STORE_PATH_SIZE], spool_path[STORE_PATH_SIZE], history_path[STORE_PATH_SIZE];
    struct store_sink sink;
    int lock_fd;
    struct database *spool_database, *history_database;
    struct spool spool;
    struct history *history;
    struct rows_reader reader;
    uint8_t *rows[UPLINKS_MAX];
    struct store_queue queue;
    bool queue_ready, writer_started, query_started;
    pthread_t writer, query;
    /* The writer's. */
    enum err spool_err, history_err;
    bool slow, behind;
    uint64_t dropped_told, refused_told;
    int64_t checkpoint_us, expire_us;
    enum err query_err; /* the query thread's */
};

__attribute__((format(printf, 3, 4))) static void tell(const struct store *store, enum trace_level level, const char *format, ...) {
    struct trace_line line = {.mono_us = now_mono_us(), .level = level};
    va_list args;
    va_start(args, format);
    vsnprintf(line.text, sizeof(line.text), format, args);
    va_end(args);
    store->sink.traced(store->sink.context, &line);
}

/* ---- the writer ---- */

static void state_tell(struct store *store, enum err *state, enum err err, const struct database_failure *failure, const char *path,
                       const char *consequence) {
    if (err == *state)
        return;
    *state = err;
    if (err == ERR_OK)
        tell(store, TRACE_INFO, "store: %s works again", path);
    else
        tell(store, TRACE_ERROR, "store: %s fails: %s (%s, error %d%s%s); %s", path, err_sentence(err), failure->text, failure->code,
             failure->os_error ? ", " : "", failure->os_error ? strerror(failure->os_error) : "",
             err == ERR_CORRUPT ? "restart the gateway: it looks through the file then, puts it aside and begins a new one" : consequence);
    if (err == ERR_CORRUPT)
        files_note_damage(path);
}

static void slow_tell(struct store *store, int64_t took_us) {
    if (!store->slow && took_us > SLOW_US) {
        store->slow = true;
        tell(store, TRACE_WARNING, "store: a commit took %lld ms; the disk is slow or worn", (long long)(took_us / 1000));
    } else if (store->slow && took_us < NOT_SLOW_US) {
        store->slow = false;
        tell(store, TRACE_INFO, "store: commits take %lld ms again", (long long)(took_us / 1000));
    }
}

static enum err spool_write(struct store *store, const struct run *run, struct database_failure *ret_failure, int64_t *ret_took_us) {
    static const char consequence[] = "entries stay in memory and are tried again; make room or replace the disk";
    queue_take_cursors(&store->queue, store->spool.cursors, store->spool.dirty);
    *ret_failure = (struct database_failure){.err = ERR_NOMEM, .text = "a run was too large to be copied"};
    int64_t begin_us = now_mono_us();
    enum err err = run && run->no_memory ? ERR_NOMEM : spool_commit(&store->spool, run, ret_failure);
    *ret_took_us = now_mono_us() - begin_us;
    state_tell(store, &store->spool_err, err, ret_failure, store->spool_path, consequence);
    slow_tell(store, *ret_took_us);
    if (err != ERR_OK)
        queue_cursors_again(&store->queue);
    return err;
}

static void run_do(struct store *store, const struct run *run) {
    struct database_failure failure;
    struct store_stored stored = {.lane = run->lane, .last_seq = run->last_seq};
    stored.err = spool_write(store, run, &failure, &stored.took_us);
    stored.os_error = stored.err != ERR_OK ? failure.os_error : 0;
    struct spool_evicted evicted;
    if (stored.err == ERR_OK && spool_take_evicted(&store->spool, &stored.evicted_lane, &evicted)) {
        stored.evicted_from = evicted.from;
        stored.evicted_to = evicted.to;
        stored.evicted_count = evicted.count;
    }
    queue_run_done(&store->queue, run->lane); /* first, so that the next may be submitted from within the call */
    store->sink.stored(store->sink.context, &stored);
}

static void history_do(struct store *store, const struct history_batch *batch, uint64_t dropped) {
    struct database_failure failure;
    enum err err = history_add(store->history, batch->at_ms, batch->body.bytes, batch->body.size, &failure);
    state_tell(store, &store->history_err, err, &failure, store->history_path, "readings are not kept in the history until it works again");
    if (dropped != store->dropped_told && !store->behind) {
        store->behind = true;
        tell(store, TRACE_WARNING, "store: the disk does not keep up; batches of history are dropped");
    }
}

/* Every few minutes: the history is made durable, what is too old goes, and a disk that keeps up again is told. */
static void time_do(struct store *store) {
    struct database_failure failure;
    struct now now;
    now_read(&now);
    enum err err = ERR_OK;
    if (now.mono_us >= store->expire_us) {
        err = now.wall_trusted ? history_expire(store->history, now.wall_ms, &failure) : ERR_OK;
        store->expire_us = now.mono_us + EXPIRE_US;
    }
    if (now.mono_us >= store->checkpoint_us) {
        if (err == ERR_OK)
            err = history_checkpoint(store->history, &failure);
        store->checkpoint_us = now.mono_us + CHECKPOINT_US;
        uint64_t dropped = queue_dropped(&store->queue);
        if (store->behind && dropped == store->dropped_told) {
            store->behind = false;
            tell(store, TRACE_INFO, "store: the disk keeps up again; %llu batches of history were dropped since the start",
                 (unsigned long long)dropped);
        }
        store->dropped_told = dropped;
        if (history_refused(store->history) != store->refused_told)
            tell(store, TRACE_WARNING, "store: %llu readings are not in the history, their time or series cannot be; is the clock right?",
                 (unsigned long long)(history_refused(store->history) - store->refused_told));
        store->refused_told = history_refused(store->history);
    }
    if (err != ERR_OK)
        state_tell(store, &store->history_err, err, &failure, store->history_path, "readings are not kept in the history until it works again");
}

static void *writer_main(void *context) {
    struct store *store = context;
    struct history_batch batch = {.at_ms = 0};
    struct database_failure failure;
    for (;;) {
        struct run *run = NULL;
        uint64_t dropped = 0;
        int64_t took_us, until_us = store->checkpoint_us < store->expire_us ? store->checkpoint_us : store->expire_us;
        switch (queue_wait(&store->queue, until_us, &run, &batch, &dropped)) {
        case WORK_RUN:
            run_do(store, run);
            break;
        case WORK_HISTORY:
            history_do(store, &batch, dropped);
            break;
        case WORK_CURSORS:
            if (spool_write(store, NULL, &failure, &took_us) != ERR_OK) { /* told, and tried again later */
            }
            break;
        case WORK_TIME:
            time_do(store);
            break;
        case WORK_STOP:
            free(batch.body.bytes);
            return NULL;
        }
    }
}

/* ---- the query thread ---- */

static void *query_main(void *context) {
    struct store *store = context;
    struct query query;
    while (queue_wait_query(&store->queue, &query)) {
        struct database_failure failure;
        struct store_rows rows = {.uplink = query.uplink, .lane = query.lane, .bytes = store->rows[query.uplink], .after_seq = query.after_seq};
        rows.err = rows_read(&store->reader, &query, (uint16_t)(1u << store->spool.numbers[query.uplink]), store->rows[query.uplink], &rows.size,
                             &rows.through_seq, &failure);
        if (rows.err != ERR_OK) { /* nothing was looked at */
            rows.size = 0;
            rows.through_seq = query.after_seq;
        }
        state_tell(store, &store->query_err, rows.err, &failure, store->spool_path, "the backlog cannot be read and waits");
        queue_query_done(&store->queue, query.uplink);
        store->sink.rows(store->sink.context, &rows);
    }
    return NULL;
}

/* ---- life ---- */

static void databases_close(struct store *store) {
    history_close(store->history);
    database_close(store->reader.database);
    database_close(store->history_database);
    database_close(store->spool_database);
    store->history = NULL;
    store->reader.database = store->history_database = store->spool_database = NULL;
}

/* What the start depends on; the large tables are looked through only in a small file or when damage was met before. */
static const char *const spool_tables[] = {"run_fire", "run_event", "cursor", "record", "uplink", "gap", "meta", "series", NULL};
static const char *const history_tables[] = {"series", "tail", NULL};

/* As configured: derived values and alarms come with the readings that they are made of, and what is more is written early. */
static uint64_t slot_readings(const struct config *config) {
    uint64_t sum = 0;
    for (unsigned d = 0; d < config->devices_count; d++)
        for (unsigned p = 0; p < config->devices[d].spec.points_count; p++) {
            uint32_t every_ms = config->devices[d].spec.points[p].every_ms;
            sum += every_ms ? SLOT_MS / every_ms + 1 : 1;
        }
    return sum;
}

/* One attempt at everything; on failure *ret_path is the file to blame. */
static enum err databases_open(struct store *store, const struct config *config, struct arena *arena, struct store_image *ret_image,
                               const char **ret_path, struct database_failure *ret_failure) {
    struct database *failed = NULL;
    *ret_path = store->spool_path;
    enum err err = database_open(store->spool_path, DATABASE_FULL, &store->spool_database, ret_failure);
    if (err == ERR_OK)
        err = spool_create(store->spool_database, ret_failure);
    if (err == ERR_OK)
        err = database_check(store->spool_database, spool_tables, files_take_note(store->spool_path), ret_failure);
    if (err != ERR_OK)
        return err;
    *ret_path = store->history_path;
    err = database_open(store->history_path, DATABASE_NORMAL, &store->history_database, ret_failure);
    if (err == ERR_OK)
        err = history_create(store->history_database, ret_failure);
    if (err == ERR_OK)
        err = database_check(store->history_database, history_tables, files_take_note(store->history_path), ret_failure);
    if (err != ERR_OK)
        return err;
    err = spool_load(store->spool_database, store->history_database, config, arena, ret_image, &store->spool, &failed, ret_failure);
    if (err != ERR_OK) {
        *ret_path = failed == store->history_database ? store->history_path : store->spool_path;
        return err;
    }
    err = history_open(store->history_database, ret_image->series.count, slot_readings(config), config->store.history_days, arena, &store->history,
                       ret_failure);
    if (err != ERR_OK)
        return err;
    *ret_path = store->spool_path;
    return rows_open(store->spool_path, &store->reader, ret_failure);
}

/* Damaged files are put aside, at most one an attempt. */
static enum err databases_ready(struct store *store, const struct config *config, struct arena *arena, struct store_image *ret_image) {
    struct database_failure failure;
    const char *path = NULL;
    bool quarantined = false;
    for (unsigned i = 0; i < OPEN_TRIES; i++) {
        char aside[STORE_PATH_SIZE];
        enum err err = databases_open(store, config, arena, ret_image, &path, &failure);
        if (err == ERR_OK) {
            ret_image->quarantined = quarantined;
            files_sync_folder(store->dir);
            return ERR_OK;
        }
        databases_close(store);
        struct now now;
        now_read(&now);
        if ((err != ERR_CORRUPT && err != ERR_INVALID) || files_quarantine(path, now.wall_ms, aside) != ERR_OK)
            break;
        quarantined = true;
        tell(store, TRACE_ERROR, "store: %s is damaged (%s); it was put aside as %s and a new one begun", path, failure.text, aside);
    }
    tell(store, TRACE_ERROR, "store: %s cannot be used: %s (%s, error %d%s%s); the state folder must be on a disk with room that this user may write",
         path, err_sentence(failure.err), failure.text, failure.code, failure.os_error ? ", " : "",
         failure.os_error ? strerror(failure.os_error) : "");
    return failure.err == ERR_FULL || failure.err == ERR_NOMEM ? failure.err : ERR_IO;
}

static enum err folder_take(struct store *store, const char *dir) {
    long owner;
    int os_error;
    enum err err = files_lock(dir, &store->lock_fd, &owner, &os_error);
    if (err == ERR_BUSY)
        tell(store, TRACE_ERROR, "store: %s is used by another yanhuo (process %ld); stop that one, or give this one its own folder with -s", dir,
             owner);
    else if (err != ERR_OK)
        tell(store, TRACE_ERROR, "store: cannot write in %s: %s; the state folder must exist and belong to the user this runs as", dir,
             strerror(os_error));
    if (err == ERR_OK && (files_path(dir, "spool.db", store->spool_path) != ERR_OK || files_path(dir, "history.db", store->history_path) != ERR_OK))
        err = ERR_IO;
    if (err == ERR_OK)
        snprintf(store->dir, sizeof(store->dir), "%s", dir);
    return err;
}

static enum err threads_start(struct store *store) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    store->writer_started = pthread_create(&store->writer, NULL, writer_main, store) == 0;
    store->query_started = pthread_create(&store->query, NULL, query_main, store) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return store->writer_started && store->query_started ? ERR_OK : ERR_NOMEM;
}

enum err store_open(const char *dir, const struct config *config, struct arena *arena, const struct store_sink *sink, struct store_image *ret_image,
                    struct store **ret_store) {
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return ERR_NOMEM;
    store->sink = *sink;
    store->lock_fd = -1;
    store->checkpoint_us = now_mono_us() + CHECKPOINT_US;
    store->expire_us = now_mono_us() + 60 * INT64_C(1000000); /* not while everything else starts */
    enum err err = folder_take(store, dir);
    if (err == ERR_OK)
        err = databases_ready(store, config, arena, ret_image);
    for (unsigned i = 0; err == ERR_OK && i < config->uplinks_count; i++)
        err = (store->rows[i] = malloc(QUERY_ROWS_SIZE)) ? ERR_OK : ERR_NOMEM;
    if (err == ERR_OK) {
        err = queue_init(&store->queue);
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
    databases_close(store);
    if (store->queue_ready)
        queue_done(&store->queue);
    for (unsigned i = 0; i < UPLINKS_MAX; i++)
        free(store->rows[i]);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
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
