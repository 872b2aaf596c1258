/* SPDX-License-Identifier: Apache-2.0 */
/*            disk_start, disk_reopen            damage, a disk that is gone
 *   CLOSED --------------------------> OPEN ------------------------------> CLOSED
 *
 * At start the engine is told what the files know, and goes by these numbers until the process ends. When there are no files
 * then, it is told what records.copy knows, and a next seq far above every one that any of its stores can have given out
 * (ids stay unique whatever the seqs, because `start` is random; seqs must only be above those of before, because the order of
 * a lane and its cursors are made of them). Files that appear later are taken if they agree:
 *  1. every uplink and series of the configuration has the number that the engine was told, or none yet and gets that one;
 *  2. they know no seq at or above the engine's first that is not the engine's own.
 * Then nothing needs to be translated: what the files hold of before is backlog below the engine's first seq, which it asks
 * for as after any start. Cursors are joined: what either side knows as acknowledged is.
 *
 * A new spool is filled, in one transaction before it counts its first start, with the records that this process committed, from the
 * damaged one that it replaces as far as that can be read, and else from records.copy. */
#include "gateway/io/store_disk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/io/store_copy.h"

#define QUARANTINES_MAX 16
#define OPEN_TRIES 4 /* each puts one damaged file aside; there are two */
#define SEQ_MS_BITS 10 /* a clock that is right stays ahead of a million entries a second, and below what JSON can count until 2248 */
#define SEQ_LEAP (UINT64_C(1) << 40) /* above the copy, which is a day old: for a clock that is not right */

void store_tell(const struct store_sink *sink, enum trace_level level, const char *format, ...) {
    struct trace_line line = {.mono_us = now_mono_us(), .level = level};
    va_list args;
    va_start(args, format);
    vsnprintf(line.text, sizeof(line.text), format, args);
    va_end(args);
    sink->traced(sink->context, &line);
}

/* ---- opening ---- */

/* What the start depends on; the large tables are looked through only in a small file. */
static const char *const spool_tables[] = {"run_fire", "run_event", "cursor", "record", "uplink", "gap", "meta", "series", NULL};
static const char *const history_tables[] = {"series", "tail_page", "due", NULL};

/* Names and records for a spool that has never been used: it has not counted a start. */
static enum err spool_fill(struct store_disk *disk, struct database_failure *ret_failure) {
    struct salvage salvage = {.records = false};
    int64_t at_ms = 0;
    if (database_number(disk->spool_database, "SELECT count(*) FROM meta WHERE key = 'starts'") > 0)
        return database_clear(disk->spool_database, ret_failure);
    if (database_clear(disk->spool_database, ret_failure) != ERR_OK)
        return ret_failure->err;
    database_begin(disk->spool_database);
    if (disk->mirror)
        records_copy(disk->mirror, disk->spool_database); /* first: what is there already is not overwritten */
    if (disk->salvage_path[0])
        spool_salvage(disk->salvage_path, disk->spool_database, &salvage);
    salvage.records |= disk->mirror != NULL;
    enum err copied = salvage.records ? ERR_OK : copy_restore(disk->dir, disk->spool_database, &at_ms);
    int64_t records = database_number(disk->spool_database, "SELECT count(*) FROM record");
    enum err err = database_end(disk->spool_database, ret_failure);
    if (err != ERR_OK)
        return err;
    if (disk->salvage_path[0] && !salvage.names)
        store_tell(disk->sink, TRACE_ERROR, "store: nothing in it can be read: what it held undelivered is lost, and nobody knows how much");
    else if (disk->salvage_path[0])
        store_tell(disk->sink, TRACE_WARNING,
                   "store: %llu runs of it were saved; undelivered entries lost: %llu fire, %llu events, %llu readings",
                   (unsigned long long)salvage.runs, (unsigned long long)salvage.lost[LANE_FIRE], (unsigned long long)salvage.lost[LANE_EVENT],
                   (unsigned long long)salvage.lost[LANE_READING]);
    if (copied == ERR_CORRUPT)
        store_tell(disk->sink, TRACE_ERROR, "store: %s/" COPY_NAME " is damaged too: open alarms are judged anew", disk->dir);
    else if (copied == ERR_OK && records && !salvage.records)
        store_tell(disk->sink, TRACE_WARNING, "store: %lld records, open alarms among them, come from " COPY_NAME ", written %lld s since 1970",
                   (long long)records, (long long)(at_ms / 1000));
    disk->salvage_path[0] = '\0';
    return ERR_OK;
}

static enum err spool_open(struct store_disk *disk, struct database_failure *ret_failure) {
    enum err err = database_open(disk->spool_path, DATABASE_FULL, &disk->spool_database, ret_failure);
    if (err == ERR_OK)
        err = spool_create(disk->spool_database, ret_failure);
    if (err == ERR_OK)
        err = database_check(disk->spool_database, spool_tables, ret_failure);
    return err == ERR_OK ? spool_fill(disk, ret_failure) : err;
}

static enum err history_file_open(struct store_disk *disk, struct database_failure *ret_failure) {
    enum err err = database_open(disk->history_path, DATABASE_NORMAL, &disk->history_database, ret_failure);
    if (err == ERR_OK)
        err = history_create(disk->history_database, ret_failure);
    if (err == ERR_OK)
        err = database_check(disk->history_database, history_tables, ret_failure);
    return err;
}

static enum err archive_file_open(struct store_disk *disk, struct database **ret_failed, struct database_failure *ret_failure) {
    enum err err = database_open(disk->archive_path, DATABASE_SHARED, &disk->archive_database, ret_failure);
    *ret_failed = disk->archive_database;
    if (err == ERR_OK)
        err = archive_create(disk->archive_database, ret_failure);
    if (err == ERR_OK)
        err = database_check(disk->archive_database, archive_tables, ret_failure);
    if (err == ERR_OK)
        err = archive_open(disk->archive_database, disk->spool_database, disk->config, &disk->archive, ret_failed, ret_failure);
    return err;
}

/* One attempt at everything; on failure *ret_path is the file to blame. */
static enum err files_open(struct store_disk *disk, const struct store_image *told, struct arena *arena, struct store_image *ret_image,
                           const char **ret_path, struct database_failure *ret_failure) {
    struct database *failed = NULL;
    *ret_path = disk->spool_path;
    enum err err = spool_open(disk, ret_failure);
    if (err != ERR_OK)
        return err;
    *ret_path = disk->history_path;
    err = history_file_open(disk, ret_failure);
    if (err != ERR_OK)
        return err;
    err = spool_load(disk->spool_database, disk->history_database, disk->config, told, arena, ret_image, &disk->spool, &failed, ret_failure);
    if (err != ERR_OK) {
        *ret_path = failed == disk->history_database ? disk->history_path : disk->spool_path;
        return err;
    }
    err = history_open(disk->history_database, ret_image->series.count, disk->config, &disk->arena, &disk->history, ret_failure);
    if (err != ERR_OK) {
        disk->history = NULL;
        return err;
    }
    err = archive_file_open(disk, &failed, ret_failure);
    *ret_path = failed == disk->spool_database ? disk->spool_path : disk->archive_path;
    if (err != ERR_OK)
        return err;
    *ret_path = disk->spool_path;
    return rows_open(disk->spool_path, &disk->reader, ret_failure);
}

void disk_close(struct store_disk *disk) {
    database_close(disk->reader.database);
    database_close(disk->archive_database);
    database_close(disk->history_database);
    database_close(disk->spool_database);
    disk->history = NULL;
    disk->reader.database = disk->archive_database = disk->history_database = disk->spool_database = NULL;
    arena_done(&disk->arena);
    arena_init(&disk->arena);
    disk->open = false;
}

static void folder_release(struct store_disk *disk) {
    if (disk->lock_fd >= 0)
        close(disk->lock_fd);
    disk->lock_fd = -1;
}

void disk_done(struct store_disk *disk) {
    disk_close(disk);
    database_close(disk->mirror);
    disk->mirror = NULL;
    folder_release(disk);
}

void disk_mirror(struct store_disk *disk, const struct run *run) {
    records_write(disk->mirror_put, disk->mirror_remove, run);
    database_clear(disk->mirror, NULL); /* without memory it misses a record, and only counts after damage */
}

enum err disk_put_aside(struct store_disk *disk, const char *path, const struct database_failure *found) {
    char aside[STORE_PATH_SIZE];
    struct now now;
    now_read(&now);
    disk_close(disk);
    if (disk->quarantined == QUARANTINES_MAX)
        return ERR_IO; /* the disk damages whatever is written: its last room is not for our wrecks */
    if (files_quarantine(path, now.wall_ms, aside) != ERR_OK)
        return ERR_IO;
    files_sync_folder(disk->dir);
    disk->quarantined++;
    if (path == disk->spool_path)
        memcpy(disk->salvage_path, aside, sizeof(aside));
    store_tell(disk->sink, TRACE_ERROR, "store: %s is damaged (%s); it was put aside as %s and a new one begun", path, found->text, aside);
    return ERR_OK;
}

/* Damaged files are put aside, at most one an attempt. */
static enum err files_ready(struct store_disk *disk, const struct store_image *told, struct arena *arena, struct store_image *ret_image,
                            const char **ret_path, struct database_failure *ret_failure) {
    uint32_t before = disk->quarantined;
    for (unsigned i = 0;; i++) {
        enum err err = files_open(disk, told, arena, ret_image, ret_path, ret_failure);
        if (err == ERR_OK) {
            ret_image->quarantined = disk->quarantined != before;
            files_sync_folder(disk->dir);
            return ERR_OK;
        }
        if (i + 1 < OPEN_TRIES && (err == ERR_CORRUPT || err == ERR_INVALID) && disk_put_aside(disk, *ret_path, ret_failure) == ERR_OK)
            continue;
        disk_close(disk);
        return err;
    }
}

static void cannot_be_used(const struct store_disk *disk, const char *path, const struct database_failure *failure) {
    store_tell(disk->sink, TRACE_ERROR,
               "store: %s cannot be used: %s (%s, error %d%s%s); the state folder must be on a disk with room that this user may write", path,
               err_sentence(failure->err), failure->text, failure->code, failure->os_error ? ", " : "",
               failure->os_error ? strerror(failure->os_error) : "");
}

/* ---- the start ---- */

static enum err mirror_open(struct store_disk *disk) {
    struct database_failure failure;
    enum err err = database_open(":memory:", DATABASE_NORMAL, &disk->mirror, &failure);
    if (err == ERR_OK)
        err = spool_create(disk->mirror, &failure);
    if (err != ERR_OK)
        return err;
    disk->mirror_put = database_prepare(disk->mirror, record_put_sql);
    disk->mirror_remove = database_prepare(disk->mirror, record_remove_sql);
    if (disk->open)
        records_copy(disk->spool_database, disk->mirror);
    return database_clear(disk->mirror, &failure);
}

/* What the engine can know without the files: numbers and records of the copy, or those of a store that has never been used. */
static enum err image_without(struct store_disk *disk, struct arena *arena, struct store_image *ret_image) {
    struct database *spool = disk->mirror, *history = NULL, *failed;
    struct database_failure failure;
    struct now now;
    int64_t at_ms;
    enum err err = database_open(":memory:", DATABASE_NORMAL, &history, &failure), copied = ERR_NOT_FOUND;
    if (err == ERR_OK)
        err = history_create(history, &failure);
    if (err == ERR_OK) {
        database_begin(spool);
        copied = copy_restore(disk->dir, spool, &at_ms);
        err = database_end(spool, &failure);
    }
    if (err == ERR_OK)
        err = spool_load(spool, history, disk->config, NULL, arena, ret_image, &disk->spool, &failed, &failure);
    database_close(history);
    if (err != ERR_OK)
        return ERR_NOMEM; /* nothing else can go wrong in memory */
    now_read(&now);
    uint64_t by_clock = now.wall_ms > 0 ? (uint64_t)now.wall_ms << SEQ_MS_BITS : 0, by_copy = ret_image->next_seq + SEQ_LEAP;
    ret_image->next_seq = by_clock > by_copy ? by_clock : by_copy;
    ret_image->absent = true;
    store_tell(disk->sink, TRACE_ERROR, "store: without %s the gateway runs from memory: alarms and readings are sent, but nothing survives a restart; %s%s",
               disk->dir, copied == ERR_OK ? "open alarms are known from " COPY_NAME "; " : "", "the folder is tried again until it can be had");
    return ERR_OK;
}

static enum err folder_take(struct store_disk *disk, long *ret_owner, int *ret_os_error) {
    folder_release(disk); /* of a folder that another file system lies over by now */
    return files_lock(disk->dir, &disk->lock_fd, ret_owner, ret_os_error);
}

enum err disk_start(struct store_disk *disk, const char *dir, struct arena *arena, struct store_image *ret_image) {
    struct database_failure failure;
    struct stat status;
    const char *path;
    long owner;
    int os_error;
    int length = snprintf(disk->dir, sizeof(disk->dir), "%s", dir);
    disk->lock_fd = -1;
    arena_init(&disk->arena);
    bool named = length > 0 && length < STORE_PATH_SIZE && files_path(dir, "spool.db", disk->spool_path) == ERR_OK &&
                 files_path(dir, "history.db", disk->history_path) == ERR_OK && files_path(dir, ARCHIVE_NAME, disk->archive_path) == ERR_OK;
    enum err err = named ? folder_take(disk, &owner, &os_error) : ERR_RANGE;
    if (err == ERR_BUSY)
        store_tell(disk->sink, TRACE_ERROR,
                   "store: %s is used by another yanhuo (process %ld); stop that one, or give this one its own folder with -s", dir, owner);
    else if (err != ERR_OK)
        store_tell(disk->sink, TRACE_ERROR, "store: cannot write in %s: %s; the state folder must exist and belong to the user this runs as", dir,
                   strerror(named ? os_error : ENAMETOOLONG));
    if (err == ERR_BUSY)
        return err;
    if (!named || stat(dir, &status) != 0 || !S_ISDIR(status.st_mode))
        return ERR_IO; /* a mistake of whoever started this */
    if (err == ERR_OK) {
        err = files_ready(disk, NULL, arena, ret_image, &path, &failure);
        if (err != ERR_OK)
            cannot_be_used(disk, path, &failure);
    }
    if (err == ERR_NOMEM)
        return err;
    disk->open = err == ERR_OK;
    if (mirror_open(disk) != ERR_OK)
        return ERR_NOMEM;
    if (!disk->open && image_without(disk, arena, ret_image) != ERR_OK)
        return ERR_NOMEM;
    disk->told = *ret_image;
    memcpy(disk->cursors, ret_image->cursors, sizeof(disk->cursors));
    return ERR_OK;
}

/* ---- again ---- */

static uint64_t seq_limit(const struct store_disk *disk) {
    uint64_t limit = disk->told.next_seq > disk->newest_seq ? disk->told.next_seq : disk->newest_seq + 1;
    for (unsigned i = 0; i < disk->config->uplinks_count; i++)
        for (unsigned lane = 0; lane < LANES_COUNT; lane++) { /* readings are acknowledged before their run comes */
            uint64_t reach = cursor_reach(&disk->cursors[i][lane]);
            limit = reach >= limit ? reach + 1 : limit;
        }
    return limit;
}

static const char *disagreement(const struct store_disk *disk, const struct store_image *image) {
    if (memcmp(image->uplink_numbers, disk->told.uplink_numbers, disk->config->uplinks_count) != 0)
        return "its uplinks have other numbers";
    if (memcmp(image->series.of_point, disk->told.series.of_point, disk->config->points_count * sizeof(*image->series.of_point)) != 0)
        return "its series have other numbers";
    if (image->next_seq > seq_limit(disk))
        return "it counts further than this start does; was the clock wrong then?";
    return NULL;
}

void disk_take_cursor(struct store_disk *disk, uint16_t uplink, enum lane lane) {
    const struct cursor *engine = &disk->cursors[uplink][lane];
    struct cursor joined = disk->floors[uplink][lane];
    if (engine->low > 0)
        (void)cursor_add(&joined, 1, engine->low);
    for (unsigned i = 0; i < engine->ranges_count; i++)
        (void)cursor_add(&joined, engine->ranges[i].from, engine->ranges[i].to);
    disk->spool.cursors[uplink][lane] = joined;
    disk->spool.dirty[uplink][lane] = true;
}

enum err disk_reopen(struct store_disk *disk, struct database_failure *ret_failure) {
    struct store_image image;
    struct arena scratch;
    const char *path, *why = NULL;
    long owner;
    int os_error;
    *ret_failure = (struct database_failure){.err = folder_take(disk, &owner, &os_error)};
    if (ret_failure->err != ERR_OK) {
        ret_failure->os_error = os_error;
        return ret_failure->err;
    }
    arena_init(&scratch);
    enum err err = files_ready(disk, &disk->told, &scratch, &image, &path, ret_failure);
    if (err == ERR_OK && (why = disagreement(disk, &image))) {
        disk_close(disk);
        snprintf(ret_failure->text, sizeof(ret_failure->text), "%s", why);
        err = ret_failure->err = ERR_REFUSED;
    }
    if (err == ERR_OK) {
        memcpy(disk->floors, image.cursors, sizeof(disk->floors));
        for (uint16_t i = 0; i < disk->config->uplinks_count; i++)
            for (unsigned lane = 0; lane < LANES_COUNT; lane++)
                disk_take_cursor(disk, i, (enum lane)lane);
        disk->copy_sum = 0; /* another disk perhaps */
        disk->open = true;
    }
    arena_done(&scratch);
    return err;
}
