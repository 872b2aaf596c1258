/* SPDX-License-Identifier: Apache-2.0 */
/* The three files as one thing that is had or not: opened at start, put aside when damaged, opened again when a disk comes back.
 * The writer thread's, but for the reader, which the query thread uses under the store's lock. */
#ifndef YANHUO_STORE_DISK_H
#define YANHUO_STORE_DISK_H

#include "gateway/io/store.h"
#include "gateway/io/store_archive.h"
#include "gateway/io/store_files.h"
#include "gateway/io/store_history.h"
#include "gateway/io/store_spool.h"

struct store_disk {
    const struct config *config;
    const struct store_sink *sink;
    char dir[STORE_PATH_SIZE], spool_path[STORE_PATH_SIZE], history_path[STORE_PATH_SIZE], archive_path[STORE_PATH_SIZE];
    char salvage_path[STORE_PATH_SIZE]; /* a spool put aside from which the new one is not filled yet; "" for none */
    int lock_fd;
    bool open;
    struct database *spool_database, *history_database, *archive_database;
    struct spool spool;
    struct history *history;
    struct archive archive;
    struct rows_reader reader;
    struct arena arena; /* the history's tables */
    struct store_image told; /* what the engine was told at start and goes by */
    uint64_t newest_seq;     /* submitted since */
    struct cursor cursors[UPLINKS_MAX][LANES_COUNT]; /* the engine's */
    struct cursor floors[UPLINKS_MAX][LANES_COUNT];  /* of files that were opened again: what they knew then */
    struct database *mirror; /* in memory: every record that was committed, for a file that cannot give them back */
    struct statement *mirror_put, *mirror_remove;
    uint32_t quarantined; /* files put aside since the start */
    uint64_t copy_sum;
};

__attribute__((format(printf, 3, 4))) void store_tell(const struct store_sink *sink, enum trace_level level, const char *format, ...);

/* Takes the folder and opens what is in it; what is known goes into *ret_image. When that cannot be had but might come back,
 * the result is still ERR_OK: disk->open is false and the image says absent. Everything has a line on the sink. */
NODISCARD enum err disk_start(struct store_disk *disk, const char *dir, struct arena *arena, struct store_image *ret_image);
/* Once more, for an engine that was told its image already. *ret_failure says why not; ERR_REFUSED when the files are whole but belong to
 * another numbering than the engine's. */
NODISCARD enum err disk_reopen(struct store_disk *disk, struct database_failure *ret_failure);
/* Damage was met in the file at `path`, one of the three above: it is put aside, and everything closed. ERR_IO when it cannot be renamed. */
NODISCARD enum err disk_put_aside(struct store_disk *disk, const char *path, const struct database_failure *found);
/* A new mark of the engine's, to be written with the next commit. */
void disk_take_cursor(struct store_disk *disk, uint16_t uplink, enum lane lane);
/* This run was committed. */
void disk_mirror(struct store_disk *disk, const struct run *run);
void disk_close(struct store_disk *disk); /* keeps the folder */
void disk_done(struct store_disk *disk); /* closes, and gives the folder back */

#endif
