/* SPDX-License-Identifier: Apache-2.0 */
#include "cut_disk.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/io/store_database.h"

#define SECTOR 512
#define FILES_MAX 256 /* of all stores of one test program */

struct sector { /* written since the last sync */
    uint8_t before[SECTOR];
    unsigned before_size; /* bytes the file had of it */
    unsigned from, to;    /* what was written of it */
};

struct shadow {
    char path[256];
    struct sector **sectors;
    size_t sectors_count;
    int64_t synced_size; /* -1: not touched since the last sync */
};

struct cut_file {
    sqlite3_file base;
    sqlite3_file *real;
    struct shadow *shadow;
};

static sqlite3_vfs *real_vfs, cut_vfs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shadow shadows[FILES_MAX];
static enum cut_mode mode;
static unsigned stall_ms, left;
static bool armed, dead;
static uint64_t syncs;

static struct shadow *shadow_of(const char *path) {
    for (unsigned i = 0; i < FILES_MAX; i++) {
        if (strcmp(shadows[i].path, path) == 0)
            return &shadows[i];
        if (!shadows[i].path[0]) {
            CHECK(strlen(path) < sizeof(shadows[i].path));
            strcpy(shadows[i].path, path);
            shadows[i].synced_size = -1;
            return &shadows[i];
        }
    }
    CHECK(false);
    return NULL;
}

static void shadow_clear(struct shadow *shadow) {
    for (size_t i = 0; i < shadow->sectors_count; i++)
        free(shadow->sectors[i]);
    free(shadow->sectors);
    shadow->sectors = NULL;
    shadow->sectors_count = 0;
    shadow->synced_size = -1;
}

/* One more operation; false when the power is gone or the disk does not take it, *ret_code says how. */
static bool takes(bool is_write, int *ret_code) {
    if (armed && !dead && left-- == 0)
        dead = true;
    if (dead || mode == CUT_BROKEN || (mode == CUT_READ_ONLY && is_write)) {
        *ret_code = SQLITE_IOERR_WRITE;
        return false;
    }
    if (mode == CUT_FULL && is_write) {
        *ret_code = SQLITE_FULL;
        return false;
    }
    return true;
}

/* Keeps what the sectors from..to hold now, unless it is kept already. */
static void keep(struct cut_file *file, int64_t from, int64_t to, bool written) {
    struct shadow *shadow = file->shadow;
    sqlite3_int64 size = 0;
    file->real->pMethods->xFileSize(file->real, &size);
    if (shadow->synced_size < 0)
        shadow->synced_size = size;
    for (int64_t at = from / SECTOR; at * SECTOR < to; at++) {
        if ((size_t)at >= shadow->sectors_count) {
            size_t count = (size_t)at + 1024;
            shadow->sectors = realloc(shadow->sectors, count * sizeof(struct sector *));
            CHECK(shadow->sectors);
            memset(shadow->sectors + shadow->sectors_count, 0, (count - shadow->sectors_count) * sizeof(struct sector *));
            shadow->sectors_count = count;
        }
        struct sector *sector = shadow->sectors[at];
        if (!sector) {
            shadow->sectors[at] = sector = calloc(1, sizeof(*sector));
            CHECK(sector);
            int64_t there = size - at * SECTOR;
            sector->before_size = there <= 0 ? 0 : there < SECTOR ? (unsigned)there : SECTOR;
            if (sector->before_size)
                file->real->pMethods->xRead(file->real, sector->before, (int)sector->before_size, at * SECTOR);
            sector->from = SECTOR;
        }
        unsigned first = from > at * SECTOR ? (unsigned)(from - at * SECTOR) : 0;
        unsigned end = to < (at + 1) * SECTOR ? (unsigned)(to - at * SECTOR) : SECTOR;
        if (written && first < sector->from)
            sector->from = first;
        if (written && end > sector->to)
            sector->to = end;
    }
}

/* ---- the file's methods ---- */

static sqlite3_file *real_of(sqlite3_file *file) {
    return ((struct cut_file *)file)->real;
}

static int on_close(sqlite3_file *file) {
    return real_of(file)->pMethods ? real_of(file)->pMethods->xClose(real_of(file)) : SQLITE_OK;
}

static int on_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 at) {
    pthread_mutex_lock(&lock);
    bool broken = mode == CUT_BROKEN;
    pthread_mutex_unlock(&lock);
    return broken ? SQLITE_IOERR_READ : real_of(file)->pMethods->xRead(real_of(file), bytes, size, at);
}

static int on_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at) {
    int code = SQLITE_OK;
    pthread_mutex_lock(&lock);
    if (takes(true, &code)) {
        keep((struct cut_file *)file, at, at + size, true);
        code = real_of(file)->pMethods->xWrite(real_of(file), bytes, size, at);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int code = SQLITE_OK;
    pthread_mutex_lock(&lock);
    if (takes(false, &code)) {
        sqlite3_int64 before = 0;
        real_of(file)->pMethods->xFileSize(real_of(file), &before);
        keep((struct cut_file *)file, size, before, false);
        code = real_of(file)->pMethods->xTruncate(real_of(file), size);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static int on_sync(sqlite3_file *file, int flags) {
    int code = SQLITE_OK;
    (void)flags; /* the file system below is not what is tried here */
    pthread_mutex_lock(&lock);
    unsigned wait_ms = stall_ms;
    pthread_mutex_unlock(&lock);
    if (wait_ms)
        nanosleep(&(struct timespec){.tv_sec = wait_ms / 1000, .tv_nsec = (long)(wait_ms % 1000) * 1000000}, NULL);
    pthread_mutex_lock(&lock);
    if (takes(false, &code) && mode != CUT_LYING)
        shadow_clear(((struct cut_file *)file)->shadow);
    syncs++;
    pthread_mutex_unlock(&lock);
    return code;
}

static int on_file_size(sqlite3_file *file, sqlite3_int64 *size) {
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int on_lock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int on_unlock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int on_check_reserved(sqlite3_file *file, int *out) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int on_file_control(sqlite3_file *file, int op, void *argument) {
    return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}

static int on_sector_size(sqlite3_file *file) {
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int on_characteristics(sqlite3_file *file) {
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int on_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int on_shm_lock(sqlite3_file *file, int offset, int n, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void on_shm_barrier(sqlite3_file *file) {
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int on_shm_unmap(sqlite3_file *file, int remove) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* no mapped reading, so that every byte comes through here */
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_file_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_reserved,
    .xFileControl = on_file_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

/* ---- the VFS ---- */

static int on_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags, int *ret_flags) {
    (void)vfs;
    struct cut_file *file = (struct cut_file *)base;
    base->pMethods = NULL;
    pthread_mutex_lock(&lock);
    bool broken = mode == CUT_BROKEN || dead;
    pthread_mutex_unlock(&lock);
    if (broken)
        return SQLITE_CANTOPEN;
    file->real = (sqlite3_file *)(file + 1);
    int code = real_vfs->xOpen(real_vfs, name, file->real, flags, ret_flags);
    if (code != SQLITE_OK)
        return code;
    pthread_mutex_lock(&lock);
    file->shadow = shadow_of(name ? name : "temporary");
    pthread_mutex_unlock(&lock);
    base->pMethods = &methods;
    return SQLITE_OK;
}

static int on_delete(sqlite3_vfs *vfs, const char *name, int sync_folder) {
    (void)vfs;
    int code = SQLITE_OK;
    pthread_mutex_lock(&lock);
    if (takes(true, &code)) {
        shadow_clear(shadow_of(name));
        code = real_vfs->xDelete(real_vfs, name, sync_folder);
    }
    pthread_mutex_unlock(&lock);
    return code == SQLITE_IOERR_WRITE ? SQLITE_IOERR_DELETE : code;
}

void cut_install(void) {
    real_vfs = sqlite3_vfs_find(DATABASE_VFS);
    CHECK(real_vfs);
    cut_vfs = *real_vfs; /* and its name, by which it is then found first */
    cut_vfs.szOsFile = (int)sizeof(struct cut_file) + real_vfs->szOsFile;
    cut_vfs.pNext = NULL;
    cut_vfs.xOpen = on_open;
    cut_vfs.xDelete = on_delete;
    CHECK(sqlite3_vfs_register(&cut_vfs, 1) == SQLITE_OK);
}

void cut_mode(enum cut_mode new_mode) {
    pthread_mutex_lock(&lock);
    mode = new_mode;
    pthread_mutex_unlock(&lock);
}

void cut_stall(unsigned each_sync_ms) {
    pthread_mutex_lock(&lock);
    stall_ms = each_sync_ms;
    pthread_mutex_unlock(&lock);
}

void cut_writing(unsigned file_writes) {
    pthread_mutex_lock(&lock);
    armed = true;
    left = file_writes;
    pthread_mutex_unlock(&lock);
}

bool cut_happened(void) {
    pthread_mutex_lock(&lock);
    bool happened = dead;
    pthread_mutex_unlock(&lock);
    return happened;
}

uint64_t cut_syncs(void) {
    pthread_mutex_lock(&lock);
    uint64_t count = syncs;
    pthread_mutex_unlock(&lock);
    return count;
}

static void shadow_apply(struct shadow *shadow, struct prng *prng) {
    int fd = open(shadow->path, O_RDWR);
    if (fd < 0)
        return;
    bool size_lost = shadow->synced_size >= 0 && prng_below(prng, 2);
    for (size_t i = 0; i < shadow->sectors_count; i++) {
        struct sector *sector = shadow->sectors[i];
        uint64_t fate = sector ? prng_below(prng, 8) : 0;
        if (fate < 4)
            continue; /* it reached the disk */
        uint8_t bytes[SECTOR];
        memcpy(bytes, sector->before, SECTOR); /* zeros where the file ended */
        for (unsigned at = sector->from; fate == 7 && at < sector->to; at++)
            bytes[at] = (uint8_t)prng_below(prng, 256);
        unsigned size = sector->before_size > sector->to ? sector->before_size : sector->to;
        CHECK(pwrite(fd, bytes, size, (off_t)i * SECTOR) == (ssize_t)size);
    }
    if (size_lost)
        CHECK(ftruncate(fd, shadow->synced_size) == 0);
    close(fd);
}

void cut_apply(struct prng *prng) {
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < FILES_MAX && shadows[i].path[0]; i++) {
        char memory[sizeof(shadows[i].path) + 8];
        shadow_apply(&shadows[i], prng);
        shadow_clear(&shadows[i]);
        snprintf(memory, sizeof(memory), "%.*s-shm", (int)sizeof(shadows[i].path) - 1, shadows[i].path);
        unlink(memory);
        shadows[i].path[0] = '\0';
    }
    armed = dead = false;
    pthread_mutex_unlock(&lock);
}

const char *cut_integrity(const char *path) {
    static char found[256];
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    snprintf(found, sizeof(found), "%s", code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : sqlite3_errmsg(database));
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return found;
}
