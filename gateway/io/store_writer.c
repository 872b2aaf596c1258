/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: one job at a time, the most urgent first. What it does about a disk that fails:
 *
 *   met                        done at once                                     then
 *   full (ENOSPC)              ballast given up, logs emptied, spool and         when there is room four times:  
 *                              history go on inside what they have               ballast made again, quotas as configured
 *   damaged (CORRUPT)          the file is put aside, a new one filled           the same run is committed there
 *   any other failure          the run is answered with it                       after REOPEN_AFTER_US: files closed
 *   closed                     runs and queries are answered ERR_IO              opened again, after 1 s, 2 s ... at most every minute
 *
 * Guarantee: nothing here ends the process or waits for a person, and what is answered ERR_OK is in a file that is open. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/io/store_copy.h"
#include "gateway/io/store_state.h"

#define SECOND_US INT64_C(1000000)
#define SYNC_US (300 * SECOND_US) /* a power cut costs at most this much of the history */
#define EXPIRE_US (3600 * SECOND_US)
#define ARCHIVE_US (300 * SECOND_US) /* seldom: the spool has it meanwhile */
#define CARE_US (60 * SECOND_US)
#define ROOM_US (5 * SECOND_US) /* while the disk is full */
#define ROLL_MORE_US 200000 /* while there is more to be caught up with: alarms come between */
#define COPY_US (86400 * SECOND_US)
#define COPY_FIRST_US (600 * SECOND_US)
#define SLOW_US (2 * SECOND_US) /* a commit that took this long is told */
#define NOT_SLOW_US 500000      /* and told to be over below this */
#define REOPEN_AFTER_US (5 * SECOND_US) /* a card that resets itself is back sooner */
#define RETRY_FIRST_US (1 * SECOND_US)
#define RETRY_LAST_US (60 * SECOND_US)

static const char history_consequence[] = "readings are not kept in the history until it works again";

/* ---- what is told ---- */

void store_state_tell(const struct store *store, enum err *state, enum err err, const struct database_failure *failure, const char *path,
                      const char *consequence) {
    if (err == *state)
        return;
    *state = err;
    if (err == ERR_OK)
        store_tell(&store->sink, TRACE_INFO, "store: %s works again", path);
    else
        store_tell(&store->sink, TRACE_ERROR, "store: %s fails: %s (%s, error %d%s%s); %s", path, err_sentence(err), failure->text, failure->code,
                   failure->os_error ? ", " : "", failure->os_error ? strerror(failure->os_error) : "", consequence);
}

static void slow_tell(struct store *store, int64_t took_us) {
    if (!store->slow && took_us > SLOW_US) {
        store->slow = true;
        store_tell(&store->sink, TRACE_WARNING, "store: a commit took %lld ms; the disk is slow or worn", (long long)(took_us / 1000));
    } else if (store->slow && took_us < NOT_SLOW_US) {
        store->slow = false;
        store_tell(&store->sink, TRACE_INFO, "store: commits take %lld ms again", (long long)(took_us / 1000));
    }
}

static void status_tell(struct store *store) {
    struct disk_status status = {.is_volatile = !store->disk.open || store->spool_err != ERR_OK,
                                 .full = store->full,
                                 .quarantined = store->disk.quarantined,
                                 .history_lost = store->unkept_readings + queue_readings_dropped(&store->queue)};
    if (store->samples_count > 1) {
        const struct store_sample *newest = &store->samples[(store->samples_next + SAMPLES_COUNT - 1) % SAMPLES_COUNT];
        const struct store_sample *oldest = &store->samples[(store->samples_next + SAMPLES_COUNT - store->samples_count) % SAMPLES_COUNT];
        double bytes = (double)(newest->bytes - oldest->bytes), seconds = (double)(newest->mono_us - oldest->mono_us) / 1e6;
        uint64_t readings = newest->readings - oldest->readings;
        status.device_bytes_hour = seconds > 0 && bytes > 0 ? (uint64_t)(bytes * 3600 / seconds) : 0;
        status.device_bytes_reading = readings && bytes > 0 ? (uint64_t)(bytes / (double)readings) : 0;
    }
    store->sink.status(store->sink.context, &status);
}

static void sample_take(struct store *store) {
    int64_t bytes = files_device_bytes();
    if (bytes < 0)
        return;
    store->samples[store->samples_next] = (struct store_sample){.mono_us = now_mono_us(), .bytes = bytes, .readings = store->readings};
    store->samples_next = (store->samples_next + 1) % SAMPLES_COUNT;
    store->samples_count += store->samples_count < SAMPLES_COUNT;
}

/* ---- a full disk ---- */

/* True when something was done that makes another attempt worth while. */
static bool room_make(struct store *store) {
    bool given = files_give_ballast(store->disk.dir), first = !store->full;
    struct database *spool = store->disk.spool_database;
    store->full = true;
    store->ballast = false;
    store->room_us = now_mono_us() + ROOM_US;
    int64_t bytes = database_number(spool, "PRAGMA page_count") * store->disk.spool.page_size;
    if (database_clear(spool, NULL) == ERR_OK && bytes >= SPOOL_BYTES_MIN && bytes < store->disk.spool.bytes_max)
        store->disk.spool.bytes_max = bytes; /* what is written from now on takes the place of the oldest readings */
    history_tighten(store->disk.history, true);
    database_run(store->disk.history_database, "PRAGMA wal_checkpoint(TRUNCATE)");
    database_clear(store->disk.history_database, NULL);
    database_run(spool, "PRAGMA wal_checkpoint(TRUNCATE)");
    database_clear(spool, NULL);
    if (first) {
        status_tell(store);
        store_tell(&store->sink, TRACE_ERROR, "store: the disk of %s is full%s; new entries take the place of the oldest readings; make room",
                   store->disk.dir, given ? ": the ballast is given up" : "");
    }
    return given || first;
}

static void room_look(struct store *store) {
    store->room_us = now_mono_us() + (store->full ? ROOM_US : CARE_US);
    if (!store->ballast)
        store->ballast = files_make_ballast(store->disk.dir);
    if (!store->full || !store->ballast)
        return;
    store->full = false;
    store->disk.spool.bytes_max = store->disk.spool.bytes_quota;
    history_tighten(store->disk.history, false);
    store_tell(&store->sink, TRACE_INFO, "store: the disk of %s has room again", store->disk.dir);
    status_tell(store);
}

/* ---- closed, and open again ---- */

static void files_lose(struct store *store) {
    pthread_mutex_lock(&store->files_mutex);
    disk_close(&store->disk);
    pthread_mutex_unlock(&store->files_mutex);
    store->retry_pause_us = RETRY_FIRST_US;
    store->retry_us = now_mono_us();
}

static void files_try(struct store *store) {
    struct database_failure failure;
    pthread_mutex_lock(&store->files_mutex);
    enum err err = disk_reopen(&store->disk, &failure);
    pthread_mutex_unlock(&store->files_mutex);
    if (err == ERR_OK) {
        store->spool_err = store->history_err = store->archive_err = ERR_OK;
        store->failing_since_us = store->retry_us = NOW_NEVER;
        store->retry_pause_us = RETRY_FIRST_US;
        store->why_closed[0] = '\0';
        store->full = store->ballast = false;
        store_tell(&store->sink, TRACE_INFO, "store: %s is in use again; what was kept in memory is written now", store->disk.dir);
        if (store->unkept)
            store_tell(&store->sink, TRACE_WARNING, "store: %llu batches of history were not kept meanwhile", (unsigned long long)store->unkept);
        store->unkept = 0;
        status_tell(store);
        return;
    }
    char why[sizeof(store->why_closed)];
    snprintf(why, sizeof(why), "%s%s%s%s%s", err_sentence(err), failure.text[0] ? ", " : "", failure.text, failure.os_error ? ", " : "",
             failure.os_error ? strerror(failure.os_error) : "");
    if (strcmp(why, store->why_closed) != 0) {
        memcpy(store->why_closed, why, sizeof(why));
        store_tell(&store->sink, TRACE_ERROR, "store: %s cannot be used (%s): nothing survives a restart; %s", store->disk.dir, why,
                   err == ERR_REFUSED ? "restart the gateway to use it" : "it is tried again until it can");
        status_tell(store);
    }
    store->retry_us = now_mono_us() + store->retry_pause_us;
    store->retry_pause_us = 2 * store->retry_pause_us < RETRY_LAST_US ? 2 * store->retry_pause_us : RETRY_LAST_US;
}

/* Damage: put aside and go on. Whether it could is whether the disk is open then. */
static void files_renew(struct store *store, const char *path, const struct database_failure *found) {
    pthread_mutex_lock(&store->files_mutex);
    enum err err = disk_put_aside(&store->disk, path, found);
    pthread_mutex_unlock(&store->files_mutex);
    store->retry_pause_us = err == ERR_OK ? RETRY_FIRST_US : RETRY_LAST_US;
    files_try(store);
}

/* ---- jobs ---- */

static void cursors_take(struct store *store) {
    bool moved[UPLINKS_MAX][LANES_COUNT] = {{false}};
    queue_take_cursors(&store->queue, store->disk.cursors, moved);
    for (uint16_t i = 0; i < UPLINKS_MAX; i++)
        for (unsigned lane = 0; lane < LANES_COUNT; lane++)
            if (moved[i][lane])
                disk_take_cursor(&store->disk, i, (enum lane)lane);
}

static enum err commit(struct store *store, const struct run *run, struct database_failure *ret_failure) {
    *ret_failure = (struct database_failure){.err = ERR_NOMEM, .text = "a run was too large to be copied"};
    if (run && run->no_memory)
        return ERR_NOMEM;
    *ret_failure = (struct database_failure){.err = ERR_IO, .text = "the files are closed"};
    if (!store->disk.open)
        return ERR_IO;
    enum err err = spool_commit(&store->disk.spool, run, ret_failure);
    if (err == ERR_FULL && room_make(store))
        err = spool_commit(&store->disk.spool, run, ret_failure);
    if (err == ERR_CORRUPT) {
        files_renew(store, store->disk.spool_path, ret_failure);
        err = store->disk.open ? spool_commit(&store->disk.spool, run, ret_failure) : ERR_IO;
    }
    if (err == ERR_OK && run)
        disk_mirror(&store->disk, run);
    return err;
}

static enum err spool_write(struct store *store, const struct run *run, struct database_failure *ret_failure, int64_t *ret_took_us) {
    static const char consequence[] = "entries stay in memory and are tried again; make room or replace the disk";
    cursors_take(store);
    if (run && run->last_seq > store->disk.newest_seq)
        store->disk.newest_seq = run->last_seq;
    int64_t begin_us = now_mono_us();
    enum err err = commit(store, run, ret_failure), before = store->spool_err;
    *ret_took_us = now_mono_us() - begin_us;
    if (err != ERR_OK)
        queue_cursors_again(&store->queue);
    if (!store->disk.open)
        return err; /* told already */
    store_state_tell(store, &store->spool_err, err, ret_failure, store->disk.spool_path, consequence);
    slow_tell(store, *ret_took_us);
    if ((before == ERR_OK) != (err == ERR_OK))
        status_tell(store);
    bool reopening_helps = err == ERR_IO || err == ERR_BUSY || err == ERR_INVALID;
    if (!reopening_helps)
        store->failing_since_us = NOW_NEVER;
    else if (store->failing_since_us == NOW_NEVER)
        store->failing_since_us = now_mono_us();
    else if (now_mono_us() - store->failing_since_us > REOPEN_AFTER_US)
        files_lose(store);
    return err;
}

static void run_do(struct store *store, const struct run *run) {
    struct database_failure failure;
    struct store_stored stored = {.lane = run->lane, .last_seq = run->last_seq};
    stored.err = spool_write(store, run, &failure, &stored.took_us);
    stored.os_error = stored.err != ERR_OK ? failure.os_error : 0;
    if (stored.err == ERR_OK) /* else it is told with the next */
        (void)spool_take_evicted(&store->disk.spool, &stored.evicted_uplink, &stored.evicted_lane, &stored.evicted);
    queue_run_done(&store->queue, run->lane); /* first, so that the next may be submitted from within the call */
    store->sink.stored(store->sink.context, &stored);
}

static void history_do(struct store *store, const struct history_batch *batch, uint64_t dropped) {
    struct database_failure failure;
    if (!store->disk.open) {
        store->unkept++;
        store->unkept_readings += entry_count_readings(batch->body.bytes, batch->body.size);
        return;
    }
    uint64_t before = history_readings(store->disk.history);
    enum err err = history_add(store->disk.history, batch->at_ms, batch->body.bytes, batch->body.size, &failure);
    store->readings += history_readings(store->disk.history) - before;
    if (err == ERR_FULL && room_make(store))
        err = history_go_on(store->disk.history, &failure);
    if (err == ERR_CORRUPT) {
        files_renew(store, store->disk.history_path, &failure);
        if (store->disk.open)
            err = history_add(store->disk.history, batch->at_ms, batch->body.bytes, batch->body.size, &failure);
    }
    if (store->disk.open)
        store_state_tell(store, &store->history_err, err, &failure, store->disk.history_path, history_consequence);
    if (err != ERR_OK)
        store->unkept_readings += entry_count_readings(batch->body.bytes, batch->body.size);
    if (dropped != store->dropped_told && !store->behind) {
        store->behind = true;
        store_tell(&store->sink, TRACE_WARNING, "store: the disk does not keep up; batches of history are dropped");
    }
}

static void sync_tell(struct store *store) {
    uint64_t dropped = queue_dropped(&store->queue), refused = history_refused(store->disk.history);
    if (store->behind && dropped == store->dropped_told) {
        store->behind = false;
        store_tell(&store->sink, TRACE_INFO, "store: the disk keeps up again; %llu batches of history were dropped since the start",
                   (unsigned long long)dropped);
    }
    store->dropped_told = dropped;
    if (refused > store->refused_told)
        store_tell(&store->sink, TRACE_WARNING, "store: %llu readings are not in the history, their time or series cannot be; is the clock right?",
                   (unsigned long long)(refused - store->refused_told));
    store->refused_told = refused;
}

/* The history is made durable, what is over is rolled up, and what is too old goes. */
static void history_care(struct store *store, const struct now *now) {
    struct database_failure failure;
    enum err err = ERR_OK;
    if (now->mono_us >= store->expire_us) {
        err = now->wall_trusted ? history_expire(store->disk.history, now->wall_ms, &failure) : ERR_OK;
        store->expire_us = now->mono_us + EXPIRE_US;
    }
    if (now->mono_us >= store->sync_us) {
        if (err == ERR_OK)
            err = history_sync(store->disk.history, &failure);
        store->sync_us = now->mono_us + SYNC_US;
        sync_tell(store);
    }
    if (err == ERR_OK && now->mono_us >= store->roll_us) {
        bool more = false;
        if (now->wall_trusted)
            err = history_roll(store->disk.history, now->wall_ms, &more, &failure);
        store->roll_us = now->mono_us + (more ? ROLL_MORE_US : CARE_US);
    }
    if (err == ERR_FULL && room_make(store))
        return; /* told, and done the next time */
    if (err == ERR_CORRUPT)
        files_renew(store, store->disk.history_path, &failure);
    else if (err != ERR_OK)
        store_state_tell(store, &store->history_err, err, &failure, store->disk.history_path, history_consequence);
}

/* Events that the spool has are filed; what the archive cannot take stays in the spool. */
static void archive_care(struct store *store, const struct now *now) {
    static const char consequence[] = "events stay among the undelivered ones until it works again";
    struct store_disk *disk = &store->disk;
    struct database_failure failure;
    struct database *failed;
    bool more = false;
    enum err err = archive_advance(&disk->archive, &more, &failed, &failure);
    if (err == ERR_FULL && room_make(store))
        err = archive_advance(&disk->archive, &more, &failed, &failure);
    if (err == ERR_OK && now->wall_trusted && !more)
        err = archive_expire(&disk->archive, now->wall_ms, &failure);
    store->archive_us = now->mono_us + (more ? ROLL_MORE_US : ARCHIVE_US);
    if (err == ERR_CORRUPT) {
        files_renew(store, failed == disk->spool_database ? disk->spool_path : disk->archive_path, &failure);
        return;
    }
    store_state_tell(store, &store->archive_err, err, &failure, disk->archive_path, consequence);
    for (unsigned lane = 0; lane < LANE_READING; lane++)
        spool_archived(&disk->spool, (enum lane)lane, disk->archive.through_seq[lane]);
}

/* What waits for an uplink too long; the gap is told with the next run, and so is any failure but damage: it is done a minute later then. */
static void keep_care(struct store *store, const struct now *now) {
    struct database_failure failure;
    if (spool_give_up(&store->disk.spool, now->wall_trusted ? now->wall_ms : 0, &failure) == ERR_CORRUPT)
        files_renew(store, store->disk.spool_path, &failure);
}

static void copy_do(struct store *store) {
    struct database_failure failure;
    enum err err = copy_write(store->disk.dir, store->disk.spool_database, &store->disk.copy_sum, &failure);
    if (err != ERR_OK)
        store_tell(&store->sink, TRACE_WARNING, "store: %s/" COPY_NAME " cannot be written: %s (%s)", store->disk.dir, err_sentence(err),
                   failure.os_error ? strerror(failure.os_error) : failure.text);
}

static void time_do(struct store *store) {
    struct now now;
    now_read(&now);
    if (atomic_exchange(&store->damage_met, false) && store->disk.open)
        files_renew(store, store->disk.spool_path, &(struct database_failure){.err = ERR_CORRUPT, .text = "met while a backlog was read"});
    if (!store->disk.open && now.mono_us >= store->retry_us)
        files_try(store);
    if (store->disk.open)
        history_care(store, &now);
    if (store->disk.open && now.mono_us >= store->archive_us)
        archive_care(store, &now);
    if (store->disk.open && now.mono_us >= store->copy_us) {
        copy_do(store);
        store->copy_us = now.mono_us + COPY_US;
    }
    if (now.mono_us >= store->room_us && store->disk.open)
        room_look(store);
    if (now.mono_us >= store->care_us) {
        if (store->disk.open)
            keep_care(store, &now);
        sample_take(store);
        status_tell(store);
        store->care_us = now.mono_us + CARE_US;
    }
}

static int64_t next_time(const struct store *store) {
    int64_t until_us = store->care_us;
    if (!store->disk.open)
        return store->retry_us < until_us ? store->retry_us : until_us;
    until_us = store->sync_us < until_us ? store->sync_us : until_us;
    until_us = store->expire_us < until_us ? store->expire_us : until_us;
    until_us = store->archive_us < until_us ? store->archive_us : until_us;
    until_us = store->roll_us < until_us ? store->roll_us : until_us;
    until_us = store->room_us < until_us ? store->room_us : until_us;
    return store->copy_us < until_us ? store->copy_us : until_us;
}

void *store_writer_main(void *context) {
    struct store *store = context;
    struct history_batch batch = {.at_ms = 0};
    struct database_failure failure;
    int64_t begin_us = now_mono_us(), took_us;
    store->failing_since_us = NOW_NEVER;
    store->retry_pause_us = RETRY_FIRST_US;
    store->retry_us = begin_us + RETRY_FIRST_US;
    store->sync_us = begin_us + SYNC_US;
    store->expire_us = begin_us + 60 * SECOND_US; /* not while everything else starts */
    store->roll_us = begin_us + CARE_US;
    store->archive_us = begin_us + CARE_US;
    store->copy_us = begin_us + COPY_FIRST_US;
    store->care_us = store->room_us = begin_us;
    for (;;) {
        struct run *run = NULL;
        uint64_t dropped = 0;
        switch (queue_wait(&store->queue, next_time(store), &run, &batch, &dropped)) {
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
            if (store->disk.open && store->spool_err == ERR_OK)
                copy_do(store);
            free(batch.body.bytes);
            return NULL;
        }
    }
}
