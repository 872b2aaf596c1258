/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"

static void on_stored(void *context, const struct store_stored *stored) {
    struct store_fixture *fixture = context;
    pthread_mutex_lock(&fixture->mutex);
    fixture->stored = *stored;
    fixture->stored_count++;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->mutex);
}

static void on_rows(void *context, const struct store_rows *rows) {
    struct store_fixture *fixture = context;
    pthread_mutex_lock(&fixture->mutex);
    fixture->rows = *rows;
    fixture->rows_count++;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->mutex);
}

static void on_traced(void *context, const struct trace_line *line) {
    struct store_fixture *fixture = context;
    pthread_mutex_lock(&fixture->mutex);
    size_t length = strlen(fixture->lines);
    snprintf(fixture->lines + length, sizeof(fixture->lines) - length, "%s\n", line->text);
    pthread_mutex_unlock(&fixture->mutex);
}

static void on_status(void *context, const struct disk_status *status) {
    struct store_fixture *fixture = context;
    pthread_mutex_lock(&fixture->mutex);
    fixture->status = *status;
    fixture->statuses_count++;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->mutex);
}

void fixture_init(struct store_fixture *fixture) {
    static const char *const names[FIXTURE_DEVICES] = {"meter-1", "smoke-1"};
    static const char *const points[FIXTURE_POINTS] = {"current", "voltage", "energy", "model"};
    memset(fixture, 0, sizeof(*fixture));
    snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/yanhuo-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    pthread_mutex_init(&fixture->mutex, NULL);
    pthread_cond_init(&fixture->changed, NULL);
    for (unsigned d = 0; d < FIXTURE_DEVICES; d++) {
        for (unsigned p = 0; p < FIXTURE_POINTS; p++)
            fixture->points[d][p] = (struct point){.name = points[p], .unit = "A", .scale = 0.1};
        fixture->devices[d] = (struct config_device){
            .spec = {.name = names[d], .device = (uint16_t)d, .points_count = FIXTURE_POINTS, .points = fixture->points[d]},
            .first_point = d * FIXTURE_POINTS,
        };
    }
    fixture->uplinks[0].name = "city";
    fixture->config = (struct config){
        .devices_count = FIXTURE_DEVICES,
        .devices = fixture->devices,
        .points_count = FIXTURE_DEVICES * FIXTURE_POINTS,
        .uplinks_count = 1,
        .uplinks = fixture->uplinks,
        .store = {.spool_bytes_max = 64 << 20, .history_days = 30, .event_days = 365, .record_days = 1095},
        .hash = "0123456789abcdef",
    };
}

void fixture_path(const struct store_fixture *fixture, const char *name, char ret_path[128]) {
    snprintf(ret_path, 128, "%s/%s", fixture->dir, name);
}

void fixture_done(struct store_fixture *fixture) {
    fixture_close(fixture);
    DIR *dir = opendir(fixture->dir);
    for (const struct dirent *item = dir ? readdir(dir) : NULL; item; item = readdir(dir)) {
        char path[400];
        snprintf(path, sizeof(path), "%s/%s", fixture->dir, item->d_name);
        if (item->d_name[0] != '.')
            unlink(path);
    }
    if (dir)
        closedir(dir);
    rmdir(fixture->dir);
    pthread_mutex_destroy(&fixture->mutex);
    pthread_cond_destroy(&fixture->changed);
}

enum err fixture_try_open(struct store_fixture *fixture) {
    const struct store_sink sink = {.context = fixture, .stored = on_stored, .rows = on_rows, .traced = on_traced, .status = on_status};
    fixture->statuses_count = 0;
    arena_init(&fixture->arena);
    enum err err = store_open(fixture->dir, &fixture->config, &fixture->arena, &sink, &fixture->image, &fixture->store);
    if (err != ERR_OK)
        arena_done(&fixture->arena);
    return err;
}

void fixture_open(struct store_fixture *fixture) {
    enum err err = fixture_try_open(fixture);
    if (err != ERR_OK)
        fail_msg("open: %s\n%s", err_name(err), fixture->lines);
}

void fixture_close(struct store_fixture *fixture) {
    if (!fixture->store)
        return;
    store_close(fixture->store);
    arena_done(&fixture->arena);
    fixture->store = NULL;
}

size_t fixture_seal(enum lane lane, uint64_t first_seq, uint64_t last_seq, uint16_t mask, uint32_t body_size, uint8_t *bytes, size_t size) {
    struct bytes_writer writer;
    uint8_t *body = calloc(1, body_size + 1);
    bytes_writer_init(&writer, bytes, size);
    for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
        memset(body, (int)(seq & 0xFF), body_size);
        struct entry entry = {.lane = lane, .kind = ENTRY_SYSTEM, .uplinks = mask, .seq = seq, .start = 42, .body = body, .body_size = body_size};
        CHECK(entry_seal(&entry, &writer));
    }
    free(body);
    return writer.length;
}

void fixture_wait(struct store_fixture *fixture, const unsigned *count, unsigned wanted) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    pthread_mutex_lock(&fixture->mutex);
    while (*count < wanted)
        if (pthread_cond_timedwait(&fixture->changed, &fixture->mutex, &until) != 0)
            fail_msg("no answer from the store in 30 s");
    pthread_mutex_unlock(&fixture->mutex);
}

struct disk_status fixture_status(struct store_fixture *fixture) {
    fixture_wait(fixture, &fixture->statuses_count, 1);
    pthread_mutex_lock(&fixture->mutex);
    struct disk_status status = fixture->status;
    pthread_mutex_unlock(&fixture->mutex);
    return status;
}

bool fixture_told(struct store_fixture *fixture, const char *part) {
    pthread_mutex_lock(&fixture->mutex);
    bool told = strstr(fixture->lines, part) != NULL;
    pthread_mutex_unlock(&fixture->mutex);
    return told;
}

const struct store_stored *fixture_submit_bytes(struct store_fixture *fixture, enum lane lane, uint64_t first_seq, uint64_t last_seq,
                                                const uint8_t *bytes, size_t size) {
    unsigned before = fixture->stored_count;
    store_submit(fixture->store, lane, first_seq, last_seq, bytes, (uint32_t)size, NULL, 0);
    fixture_wait(fixture, &fixture->stored_count, before + 1);
    assert_int_equal(fixture->stored.lane, lane);
    assert_true(fixture->stored.last_seq == last_seq);
    return &fixture->stored;
}

const struct store_stored *fixture_submit(struct store_fixture *fixture, enum lane lane, uint64_t first_seq, uint64_t last_seq, uint16_t mask,
                                          uint32_t body_size) {
    size_t room = (size_t)(last_seq - first_seq + 1) * (ENTRY_HEADER_SIZE + body_size);
    uint8_t *bytes = malloc(room);
    size_t size = fixture_seal(lane, first_seq, last_seq, mask, body_size, bytes, room);
    const struct store_stored *stored = fixture_submit_bytes(fixture, lane, first_seq, last_seq, bytes, size);
    free(bytes);
    return stored;
}

enum err fixture_ask(struct store_fixture *fixture, uint16_t uplink, enum lane lane, uint64_t after_seq, uint64_t through_seq) {
    unsigned before = fixture->rows_count;
    store_query(fixture->store, uplink, lane, after_seq, through_seq);
    fixture_wait(fixture, &fixture->rows_count, before + 1);
    return fixture->rows.err;
}

const char *fixture_query(struct store_fixture *fixture, uint16_t uplink, enum lane lane, uint64_t after_seq, uint64_t through_seq) {
    static char text[4096];
    assert_int_equal(fixture_ask(fixture, uplink, lane, after_seq, through_seq), ERR_OK);
    assert_true(fixture->rows.after_seq == after_seq && fixture->rows.uplink == uplink && fixture->rows.lane == lane);
    struct entry entry;
    size_t step, length = 0;
    text[0] = '\0';
    for (size_t at = 0; at < fixture->rows.size; at += step) {
        assert_true(entry_open(fixture->rows.bytes + at, fixture->rows.size - at, &entry, &step));
        assert_int_equal(entry.lane, lane);
        for (uint32_t i = 0; i < entry.body_size; i++)
            assert_int_equal(entry.body[i], entry.seq & 0xFF);
        if (length + 24 < sizeof(text))
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%llu", length ? " " : "", (unsigned long long)entry.seq);
    }
    return text;
}
