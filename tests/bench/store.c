/* SPDX-License-Identifier: Apache-2.0 */
/* A day of 100 points through the spool and the history, as in a long outage: nothing is delivered; or, with DELIVERED 1, as on an ordinary
 * day: everything is acknowledged before its commit. Each point is read once in EVERY_S seconds (1), in turn. By hand:
 *
 *   bench_store DIR [HOURS [COMMIT_S [EVERY_S [DELIVERED]]]]
 *
 * DIR should be on a file system of its own, because the device's count is of all programs. Every 30 s of the day the file system is
 * synced, as the kernel would write back what is older. Prints bytes a reading: on the device, as the kernel counts them for
 * this process, as packed for a commit, and in the history's file, whole pages by what they are used for; and how long one point's 24
 * hours take to be read, the first time and again. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/check.h"
#include "base/prng.h"
#include "base/text.h"
#include "gateway/io/store_files.h"
#include "gateway/io/store_history.h"
#include "gateway/io/store_spool.h"

#define POINTS 100
#define T0 INT64_C(1795046400000)

static struct point points[POINTS];
static struct config_device device = {.spec = {.name = "meter", .points_count = POINTS, .points = points}};
static struct config_uplink uplink = {.name = "city"};
static struct config config = {.devices_count = 1,
                               .devices = &device,
                               .points_count = POINTS,
                               .uplinks_count = 1,
                               .uplinks = &uplink,
                               .store = {.spool_bytes_max = 512000000, .history_days = 396, .rollup_days = 1095, .history_bytes_max = 16000000000},
                               .hash = "0123456789abcdef"};
static struct spool spool;
static struct store_image image;
static char names[POINTS][8];
static uint64_t packed_size; /* all batches */

static int64_t device_bytes(const char *dir) {
    struct stat status;
    char path[64], text[256] = "";
    unsigned long long sectors = 0;
    if (stat(dir, &status) != 0)
        return -1;
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(status.st_dev), minor(status.st_dev));
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    bool read = fgets(text, sizeof(text), file) && sscanf(text, "%*u %*u %*u %*u %*u %*u %llu", &sectors) == 1;
    fclose(file);
    return read ? (int64_t)sectors * 512 : -1;
}

static void must(enum err err, const struct database_failure *failure) {
    if (err == ERR_OK)
        return;
    fprintf(stderr, "%s: %s\n", err_sentence(err), failure->text);
    exit(1);
}

static void points_make(uint32_t every_s) {
    for (unsigned i = 0; i < POINTS; i++) {
        snprintf(names[i], sizeof(names[i]), "p%u", i);
        points[i] = (struct point){.name = names[i], .unit = "A", .scale = 0.1, .every_ms = 1000 * every_s};
    }
}

/* Sensors that wander by their last digit. */
static size_t batch_make(struct prng *prng, int64_t at_ms, unsigned seconds, unsigned every_s, uint8_t *bytes, size_t size, uint64_t *readings) {
    static double values[POINTS];
    struct bytes_writer writer;
    struct reading_order order;
    bytes_writer_init(&writer, bytes, size);
    reading_order_begin(&order, at_ms);
    for (unsigned s = 0; s < seconds; s++)
        for (uint32_t i = (uint32_t)((at_ms / 1000 + s) % every_s); i < POINTS; i += every_s) {
            values[i] += ((double)prng_below(prng, 3) - 1) / 10;
            struct packed_reading reading = {.series = i, .at_ms = at_ms + s * 1000 + i, .value = {.kind = VALUE_NUMBER}};
            reading.value.number = round(values[i] * 10) / 10;
            entry_put_reading(&writer, &order, &reading);
            ++*readings;
        }
    CHECK(!writer.full);
    packed_size += writer.length;
    return writer.length;
}

static bool count(void *context, const struct packed_reading *reading) {
    (void)reading;
    ++*(unsigned *)context;
    return true;
}

/* Bytes a reading of the pages that these tables have, by the library's own table of pages. */
static double share(struct database *database, const char *tables, uint64_t readings) {
    char sql[160];
    snprintf(sql, sizeof(sql), "SELECT sum(pgsize) FROM dbstat WHERE name IN (%s)", tables);
    return (double)database_number(database, sql) / (double)readings;
}

static void shares_print(const char *path, struct database *database, uint64_t readings) {
    struct database_failure failure;
    struct stat status;
    CHECK(stat(path, &status) == 0);
    printf("%.2f bytes a reading as packed for a commit\n", (double)packed_size / (double)readings);
    printf("%.2f bytes a reading in the history's file\n", (double)status.st_size / (double)readings);
    double of_readings = share(database, "'chunk', 'hour', 'tail_page'", readings);
    double of_rollups = share(database, "'rollup_10min', 'rollup_hour', 'rollup_day'", readings);
    double unused = (double)(database_number(database, "PRAGMA freelist_count") * database_page_size(database)) / (double)readings;
    if (database_clear(database, &failure) == ERR_OK)
        printf("of these: %.2f bytes a reading for the readings, %.2f for rollups, %.2f to be used again\n", of_readings, of_rollups, unused);
    else
        printf("what the file is used for is not known: %s\n", failure.text);
}

static void read_back(const char *path, int64_t end_ms) {
    struct database *database;
    struct database_failure failure;
    for (unsigned round = 0; round < 2; round++) {
        int fd = open(path, O_RDONLY);
        if (fd >= 0 && !round)
            (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* what the kernel has of it */
        if (fd >= 0)
            close(fd);
        unsigned found = 0;
        int64_t begin_us = now_mono_us();
        must(database_open(path, DATABASE_READER, &database, &failure), &failure);
        must(history_read(database, 42, end_ms - 86400000, end_ms, count, &found, &failure), &failure);
        printf("24 h of one point of %d, %s: %u readings in %.1f ms\n", POINTS, round ? "again" : "cold ", found,
               (double)(now_mono_us() - begin_us) / 1000);
        database_close(database);
    }
}

static uint64_t folds;
static int64_t fold_us, fold_longest_us;

/* As the writer does, but without its pauses. */
static void fold_all(struct history *history, int64_t at_ms) {
    struct database_failure failure;
    for (bool more = true; more; folds += more) {
        int64_t begin_us = now_mono_us();
        must(history_fold(history, at_ms, &more, &failure), &failure);
        int64_t took_us = now_mono_us() - begin_us;
        fold_us += took_us;
        fold_longest_us = took_us > fold_longest_us ? took_us : fold_longest_us;
    }
}

static void acknowledge(uint64_t seq) {
    spool.cursors[0][LANE_READING] = (struct cursor){.low = seq};
    spool.dirty[0][LANE_READING] = true;
}

static void folds_print(void) {
    printf("%llu steps of folding, %.1f ms at most and %.1f ms together\n", (unsigned long long)folds, (double)fold_longest_us / 1000,
           (double)fold_us / 1000);
}

static bool arguments_read(int argc, char **argv, uint64_t *hours, uint64_t *commit_s, uint64_t *every_s, uint64_t *delivered) {
    uint64_t *const numbers[] = {hours, commit_s, every_s, delivered};
    if (argc < 2 || argc > 6)
        return false;
    for (int i = 2; i < argc; i++)
        if (!text_read_u64(argv[i], numbers[i - 2]))
            return false;
    return *commit_s && *commit_s <= 60 && *every_s && *every_s <= 100;
}

int main(int argc, char **argv) {
    uint64_t hours = 24, commit_s = 10, every_s = 1, delivered = 0;
    if (!arguments_read(argc, argv, &hours, &commit_s, &every_s, &delivered)) {
        fprintf(stderr, "usage: bench_store DIR [HOURS [COMMIT_S [EVERY_S [DELIVERED]]]]\n");
        return 2;
    }
    static uint8_t bytes[1 << 20], sealed[1 << 20];
    char spool_path[STORE_PATH_SIZE], history_path[STORE_PATH_SIZE];
    struct database *spool_database, *history_database, *failed;
    struct database_failure failure;
    struct history *history;
    struct arena arena;
    struct prng prng;
    arena_init(&arena);
    prng_init(&prng, 1);
    points_make((uint32_t)every_s);
    CHECK(files_path(argv[1], "spool.db", spool_path) == ERR_OK && files_path(argv[1], "history.db", history_path) == ERR_OK);
    must(database_open(spool_path, DATABASE_FULL, &spool_database, &failure), &failure);
    must(spool_create(spool_database, &failure), &failure);
    must(database_open(history_path, DATABASE_NORMAL, &history_database, &failure), &failure);
    must(history_create(history_database, &failure), &failure);
    must(spool_load(spool_database, history_database, &config, NULL, &arena, &image, &spool, &failed, &failure), &failure);
    must(history_open(history_database, POINTS, &config, &arena, &history, &failure), &failure);
    int folder = open(argv[1], O_RDONLY | O_DIRECTORY);
    CHECK(folder >= 0 && syncfs(folder) == 0);
    int64_t device_before = device_bytes(argv[1]), process_before = files_device_bytes(), at_ms = T0;
    uint64_t seq = image.next_seq, readings = 0, synced_s = 0;
    for (uint64_t s = 0; s < hours * 3600; s += commit_s, at_ms += (int64_t)commit_s * 1000) {
        bool more;
        size_t size = batch_make(&prng, at_ms, (unsigned)commit_s, (unsigned)every_s, bytes, sizeof(bytes), &readings);
        if (!size)
            continue;
        struct bytes_writer writer;
        bytes_writer_init(&writer, sealed, sizeof(sealed));
        struct entry entry = {
            .lane = LANE_READING, .kind = ENTRY_READINGS, .uplinks = 1, .seq = seq, .start = 1, .at_ms = at_ms, .body = bytes, .body_size = (uint32_t)size};
        CHECK(entry_seal(&entry, &writer));
        struct run run = {.lane = LANE_READING, .first_seq = seq, .last_seq = seq, .body = {sealed, writer.length, sizeof(sealed)}};
        if (delivered)
            acknowledge(seq);
        must(spool_commit(&spool, &run, &failure), &failure);
        must(history_add(history, at_ms, bytes, size, &failure), &failure);
        seq++;
        if (s - synced_s >= 30) {
            synced_s = s;
            CHECK(syncfs(folder) == 0);
        }
        if (s % 300 < commit_s) {
            must(history_checkpoint(history, &failure), &failure);
            must(history_roll(history, at_ms, &more, &failure), &failure);
            if (!more)
                fold_all(history, at_ms);
        }
    }
    must(history_checkpoint(history, &failure), &failure);
    CHECK(syncfs(folder) == 0);
    int64_t written = device_bytes(argv[1]) - device_before, process = files_device_bytes() - process_before;
    printf("%llu readings in commits of %llu s: %.1f bytes a reading on the device, %.1f as counted for the process\n",
           (unsigned long long)readings, (unsigned long long)commit_s, (double)written / (double)readings, (double)process / (double)readings);
    printf("at this rate %.0f MB a day on the device\n", (double)written / (double)hours * 24 / 1e6);
    folds_print();
    shares_print(history_path, history_database, readings);
    history_close(history);
    database_close(history_database);
    database_close(spool_database);
    read_back(history_path, at_ms);
    arena_done(&arena);
    close(folder);
    return 0;
}
