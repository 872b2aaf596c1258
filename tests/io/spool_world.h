/* SPDX-License-Identifier: Apache-2.0 */
/* A spool without a writer's thread: runs are committed, delivered and looked at as a test says. */
#ifndef TESTS_SPOOL_WORLD_H
#define TESTS_SPOOL_WORLD_H

#include "gateway/io/store_spool.h"
#include "store_fixture.h"

struct spool_world {
    struct store_fixture fixture; /* its configuration is what the spool is opened with */
    char spool_path[128], history_path[128];
    struct arena arena;
    struct database *spool_database, *history_database;
    struct spool spool;
    struct store_image image;
    uint64_t seq; /* of the newest entry */
};

void spool_world_init(struct spool_world *world); /* a folder and a configuration, not opened */
void spool_world_open(struct spool_world *world);
void spool_world_close(struct spool_world *world);
void spool_world_done(struct spool_world *world); /* removes the folder */

/* Commits a run of one entry, for the uplinks of `mask`. */
void spool_world_put(struct spool_world *world, enum lane lane, enum entry_kind kind, uint16_t mask, int64_t at_ms, bool trusted, size_t size);
/* The uplink has everything of the lane up to here. */
void spool_world_deliver(struct spool_world *world, unsigned uplink, enum lane lane, uint64_t low);
int64_t spool_world_rows(struct spool_world *world, const char *table);

#endif
