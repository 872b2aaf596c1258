/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a folder of its own, a small configuration, and a sink that waits for answers. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <pthread.h>

#include "gateway/io/store.h"

#define FIXTURE_POINTS 4
#define FIXTURE_DEVICES 2

struct store_fixture {
    char dir[64];
    struct arena arena;
    struct config config;
    struct config_uplink uplinks[4];
    struct config_device devices[FIXTURE_DEVICES];
    struct point points[FIXTURE_DEVICES][FIXTURE_POINTS];
    struct store_image image;
    struct store *store;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct store_stored stored;
    struct disk_status status;
    struct store_rows rows;
    unsigned stored_count, rows_count, statuses_count;
    char lines[4096]; /* what was told, one line each */
};

void fixture_init(struct store_fixture *fixture); /* one uplink "city", not opened */
void fixture_done(struct store_fixture *fixture); /* closes and removes the folder */
enum err fixture_try_open(struct store_fixture *fixture);
void fixture_open(struct store_fixture *fixture);
void fixture_close(struct store_fixture *fixture);
/* A copy of the newest, once there is one. */
struct disk_status fixture_status(struct store_fixture *fixture);
/* Was this told since `lines` was emptied? */
bool fixture_told(struct store_fixture *fixture, const char *part);
void fixture_path(const struct store_fixture *fixture, const char *name, char ret_path[128]);

/* Until one of the counts above has reached a number; fails the test after half a minute. */
void fixture_wait(struct store_fixture *fixture, const unsigned *count, unsigned wanted);
/* Seals entries first_seq .. last_seq of the lane for the uplinks of `mask`, with `body_size` bytes each. */
size_t fixture_seal(enum lane lane, uint64_t first_seq, uint64_t last_seq, uint16_t mask, uint32_t body_size, uint8_t *bytes, size_t size);
/* Submits such a run and waits for its answer. */
const struct store_stored *fixture_submit(struct store_fixture *fixture, enum lane lane, uint64_t first_seq, uint64_t last_seq, uint16_t mask,
                                          uint32_t body_size);
const struct store_stored *fixture_submit_bytes(struct store_fixture *fixture, enum lane lane, uint64_t first_seq, uint64_t last_seq,
                                                const uint8_t *bytes, size_t size);
/* A query and its answer in fixture->rows, whatever it is. */
enum err fixture_ask(struct store_fixture *fixture, uint16_t uplink, enum lane lane, uint64_t after_seq, uint64_t through_seq);
/* The seqs a query returns, as text "3 4 5"; checks that each is whole and of the lane. */
const char *fixture_query(struct store_fixture *fixture, uint16_t uplink, enum lane lane, uint64_t after_seq, uint64_t through_seq);

#endif
