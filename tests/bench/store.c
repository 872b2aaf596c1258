/* SPDX-License-Identifier: Apache-2.0 */
/* A day of 100 points through the spool and the history, as in a long outage: nothing is delivered; or, with DELIVERED 1, as on an ordinary
 * day: everything is acknowledged before its commit. Each point is read once in EVERY_S seconds (1), in turn. By hand:
 *
 *   bench_store DIR [HOURS [COMMIT_S [EVERY_S [DELIVERED]]]]
 *
 * DIR should be on an ext4 of its own, because the device's count is of all programs. The day takes seconds, so what the kernel does by the clock
 * is done here: five seconds after files were written it notes their times in the file system's journal, so after each commit a file beside them
 * is touched and synced, which notes all; and what of the history's log is dirty for 30 s is written back. Prints bytes a reading: on the device, as the kernel counts them for
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
    double of_readings = share(database, "'hour_chunk', 'tail_page'", readings);
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

static int64_t roll_us, roll_longest_us, add_longest_us;

static int64_t longer(int64_t longest_us, int64_t took_us) {
    return took_us > longest_us ? took_us : longest_us;
}

/* As the writer does, but without its pauses. */
static void roll_all(struct history *history, int64_t at_ms) {
    struct database_failure failure;
    for (bool more = true; more;) {
        int64_t begin_us = now_mono_us();
        must(history_roll(history, at_ms, &more, &failure), &failure);
        roll_us += now_mono_us() - begin_us;
        roll_longest_us = longer(roll_longest_us, now_mono_us() - begin_us);
    }
}

static void acknowledge(uint64_t seq) {
    spool.cursors[0][LANE_READING] = (struct cursor){.low = seq};
    spool.dirty[0][LANE_READING] = true;
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

struct files {
    struct arena arena;
    char history_path[STORE_PATH_SIZE];
    struct database *spool, *history_file;
    struct history *history;
    int folder, beside, history_log;
};

static void files_open(struct files *files, const char *dir) {
    char spool_path[STORE_PATH_SIZE];
    struct database *failed;
    struct database_failure failure;
    arena_init(&files->arena);
    CHECK(files_path(dir, "spool.db", spool_path) == ERR_OK && files_path(dir, "history.db", files->history_path) == ERR_OK);
    must(database_open(spool_path, DATABASE_FULL, &files->spool, &failure), &failure);
    must(spool_create(files->spool, &failure), &failure);
    must(database_open(files->history_path, DATABASE_NORMAL, &files->history_file, &failure), &failure);
    must(history_create(files->history_file, &failure), &failure);
    must(spool_load(files->spool, files->history_file, &config, NULL, &files->arena, &image, &spool, &failed, &failure), &failure);
    must(history_open(files->history_file, POINTS, &config, &files->arena, &files->history, &failure), &failure);
    files->folder = open(dir, O_RDONLY | O_DIRECTORY);
    files->beside = openat(files->folder, "beside", O_WRONLY | O_CREAT, 0600);
    files->history_log = openat(files->folder, "history.db-wal", O_RDWR);
    CHECK(files->folder >= 0 && files->beside >= 0 && files->history_log >= 0 && syncfs(files->folder) == 0);
}

static void files_close(struct files *files) {
    database_close(files->history_file);
    database_close(files->spool);
    close(files->history_log);
    close(files->beside);
    close(files->folder);
    arena_done(&files->arena);
}

/* One commit to each file, as the writer does it. */
static void commit(struct files *files, uint64_t seq, int64_t at_ms, const uint8_t *bytes, size_t size, bool delivered) {
    static uint8_t sealed[1 << 20];
    struct database_failure failure;
    struct bytes_writer writer;
    bytes_writer_init(&writer, sealed, sizeof(sealed));
    struct entry entry = {
        .lane = LANE_READING, .kind = ENTRY_READINGS, .uplinks = 1, .seq = seq, .start = 1, .at_ms = at_ms, .body = bytes, .body_size = (uint32_t)size};
    CHECK(entry_seal(&entry, &writer));
    struct run run = {.lane = LANE_READING, .first_seq = seq, .last_seq = seq, .body = {sealed, writer.length, sizeof(sealed)}};
    if (delivered)
        acknowledge(seq);
    must(spool_commit(&spool, &run, &failure), &failure);
    int64_t begin_us = now_mono_us();
    must(history_add(files->history, at_ms, bytes, size, &failure), &failure);
    add_longest_us = longer(add_longest_us, now_mono_us() - begin_us);
    CHECK(futimens(files->beside, NULL) == 0 && fsync(files->beside) == 0);
}

/* Returns how many readings there were. */
static uint64_t day_play(struct files *files, uint64_t hours, uint64_t commit_s, uint64_t every_s, bool delivered) {
    static uint8_t bytes[1 << 20];
    struct database_failure failure;
    struct prng prng;
    uint64_t seq = image.next_seq, readings = 0, synced_s = 0;
    int64_t at_ms = T0;
    prng_init(&prng, 1);
    for (uint64_t s = 0; s < hours * 3600; s += commit_s, at_ms += (int64_t)commit_s * 1000) {
        size_t size = batch_make(&prng, at_ms, (unsigned)commit_s, (unsigned)every_s, bytes, sizeof(bytes), &readings);
        if (size)
            commit(files, seq++, at_ms, bytes, size, delivered);
        if (s - synced_s >= 30) {
            synced_s = s;
            CHECK(sync_file_range(files->history_log, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0);
        }
        if (s % 300 < commit_s) {
            must(history_sync(files->history, &failure), &failure);
            roll_all(files->history, at_ms);
        }
    }
    must(history_sync(files->history, &failure), &failure);
    CHECK(syncfs(files->folder) == 0);
    return readings;
}

int main(int argc, char **argv) {
    uint64_t hours = 24, commit_s = 10, every_s = 1, delivered = 0;
    static struct files files;
    if (!arguments_read(argc, argv, &hours, &commit_s, &every_s, &delivered)) {
        fprintf(stderr, "usage: bench_store DIR [HOURS [COMMIT_S [EVERY_S [DELIVERED]]]]\n");
        return 2;
    }
    points_make((uint32_t)every_s);
    files_open(&files, argv[1]);
    int64_t device_before = device_bytes(argv[1]), process_before = files_device_bytes();
    uint64_t readings = day_play(&files, hours, commit_s, every_s, delivered);
    int64_t written = device_bytes(argv[1]) - device_before, process = files_device_bytes() - process_before;
    printf("%llu readings in commits of %llu s: %.1f bytes a reading on the device, %.1f as counted for the process\n",
           (unsigned long long)readings, (unsigned long long)commit_s, (double)written / (double)readings, (double)process / (double)readings);
    printf("at this rate %.0f MB a day on the device\n", (double)written / (double)hours * 24 / 1e6);
    printf("rollups: %.1f ms at most and %.1f ms together; a batch into the history: %.1f ms at most\n", (double)roll_longest_us / 1000,
           (double)roll_us / 1000, (double)add_longest_us / 1000);
    shares_print(files.history_path, files.history_file, readings);
    files_close(&files);
    read_back(files.history_path, T0 + (int64_t)hours * HOUR_MS);
    return 0;
}
