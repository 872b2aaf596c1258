/* SPDX-License-Identifier: Apache-2.0 */
#include "spool_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/io/store_history.h"

void spool_world_init(struct spool_world *world) {
    fixture_init(&world->fixture);
    fixture_path(&world->fixture, "spool.db", world->spool_path);
    fixture_path(&world->fixture, "history.db", world->history_path);
}

void spool_world_open(struct spool_world *world) {
    struct database_failure failure;
    struct database *failed;
    arena_init(&world->arena);
    assert_int_equal(database_open(world->spool_path, DATABASE_FULL, &world->spool_database, &failure), ERR_OK);
    assert_int_equal(spool_create(world->spool_database, &failure), ERR_OK);
    assert_int_equal(database_open(world->history_path, DATABASE_NORMAL, &world->history_database, &failure), ERR_OK);
    assert_int_equal(history_create(world->history_database, &failure), ERR_OK);
    assert_int_equal(spool_load(world->spool_database, world->history_database, &world->fixture.config, NULL, &world->arena, &world->image, &world->spool,
                                &failed, &failure),
                     ERR_OK);
}

void spool_world_close(struct spool_world *world) {
    database_close(world->history_database);
    database_close(world->spool_database);
    arena_done(&world->arena);
}

void spool_world_done(struct spool_world *world) {
    fixture_done(&world->fixture);
}

void spool_world_put(struct spool_world *world, enum lane lane, enum entry_kind kind, uint16_t mask, int64_t at_ms, bool trusted, size_t size) {
    static uint8_t body[2000], sealed[4000];
    struct database_failure failure;
    struct bytes_writer writer;
    bytes_writer_init(&writer, sealed, sizeof(sealed));
    uint64_t seq = ++world->seq;
    const struct entry entry = {.lane = lane, .kind = kind, .uplinks = mask, .trusted = trusted, .seq = seq, .start = 1, .at_ms = at_ms, .body = body,
                                .body_size = (uint32_t)size};
    assert_true(entry_seal(&entry, &writer));
    const struct run run = {.lane = lane, .first_seq = seq, .last_seq = seq, .body = {sealed, writer.length, sizeof(sealed)}};
    assert_int_equal(spool_commit(&world->spool, &run, &failure), ERR_OK);
}

void spool_world_deliver(struct spool_world *world, unsigned uplink, enum lane lane, uint64_t low) {
    struct database_failure failure;
    world->spool.cursors[uplink][lane] = (struct cursor){.low = low};
    world->spool.dirty[uplink][lane] = true;
    assert_int_equal(spool_commit(&world->spool, NULL, &failure), ERR_OK);
}

int64_t spool_world_rows(struct spool_world *world, const char *table) {
    char sql[64];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    return database_number(world->spool_database, sql);
}
