/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails in every way and comes back, with nobody who restarts anything: full, read-only, broken, slow, not there at
 * the start, damaged while in use. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cut_disk.h"
#include "store_fixture.h"

#define PATIENCE_US 30000000
#define STALL_MS 2500

static struct record_save alarm_record(const char *name, char value) {
    return (struct record_save){.owner = "smoke-1", .name = name, .bytes = {(uint8_t)value}, .size = 1};
}

static enum err submit_alarm(struct store_fixture *f, uint64_t seq, const char *name, char value) {
    uint8_t bytes[256];
    struct record_save save = alarm_record(name, value);
    size_t size = fixture_seal(LANE_FIRE, seq, seq, 1, 20, bytes, sizeof(bytes));
    unsigned before = f->stored_count;
    store_submit(f->store, LANE_FIRE, seq, seq, bytes, (uint32_t)size, &save, 1);
    fixture_wait(f, &f->stored_count, before + 1);
    return f->stored.err;
}

static int record_value(const struct store_fixture *f, const char *name) {
    for (uint32_t i = 0; i < f->image.records_count; i++)
        if (strcmp(f->image.records[i].name, name) == 0)
            return f->image.records[i].bytes[0];
    return -1;
}

/* As the engine does it: the same run, again and again, until it is in. */
static void submit_until_ok(struct store_fixture *f, enum lane lane, uint64_t first, uint64_t last) {
    int64_t until_us = now_mono_us() + PATIENCE_US;
    while (fixture_submit(f, lane, first, last, 1, 100)->err != ERR_OK) {
        assert_true(now_mono_us() < until_us);
        usleep(100000);
    }
}

static bool there(const struct store_fixture *f, const char *name) {
    char path[128];
    fixture_path(f, name, path);
    return access(path, F_OK) == 0;
}

static void broken_and_back(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    fixture_open(&f);
    assert_int_equal(submit_alarm(&f, 1, "smoke", 'a'), ERR_OK);
    for (enum cut_mode mode = CUT_FULL; mode <= CUT_BROKEN; mode++) {
        uint64_t seq = 1 + (uint64_t)mode;
        cut_mode(mode);
        assert_int_equal(fixture_submit(&f, LANE_EVENT, seq, seq, 1, 100)->err, mode == CUT_FULL ? ERR_FULL : ERR_IO);
        assert_true(fixture_status(&f).is_volatile);
        cut_mode(CUT_WELL);
        submit_until_ok(&f, LANE_EVENT, seq, seq);
        assert_false(fixture_status(&f).is_volatile);
    }
    /* So long that the files are given up: they are opened again. */
    f.lines[0] = '\0';
    cut_mode(CUT_BROKEN);
    int64_t until_us = now_mono_us() + PATIENCE_US;
    while (!fixture_told(&f, "nothing survives a restart")) {
        assert_int_equal(fixture_submit(&f, LANE_EVENT, 10, 11, 1, 100)->err, ERR_IO);
        assert_true(now_mono_us() < until_us);
        usleep(100000);
    }
    assert_int_equal(fixture_ask(&f, 0, LANE_EVENT, 0, 9), ERR_IO);
    assert_true(fixture_status(&f).is_volatile);
    uint8_t bytes[64];
    struct bytes_writer writer;
    struct reading_order order;
    bytes_writer_init(&writer, bytes, sizeof(bytes));
    reading_order_begin(&order, 0);
    for (int64_t i = 0; i < 3; i++)
        entry_put_reading(&writer, &order, &(struct packed_reading){.series = 1, .value = {.kind = VALUE_INTEGER, .integer = i}});
    store_history(f.store, 0, bytes, (uint32_t)writer.length); /* nowhere to go, and counted */
    cut_mode(CUT_WELL);
    submit_until_ok(&f, LANE_EVENT, 10, 11);
    assert_true(fixture_status(&f).history_lost == 3);
    assert_true(fixture_told(&f, "in use again"));
    assert_false(fixture_status(&f).is_volatile);
    assert_string_equal(fixture_query(&f, 0, LANE_EVENT, 0, 11), "2 3 4 10 11");
    fixture_close(&f);
    fixture_open(&f);
    assert_false(f.image.quarantined);
    assert_true(f.image.next_seq == 12);
    assert_int_equal(record_value(&f, "smoke"), 'a');
    fixture_done(&f);
}

/* Nothing can be opened at the start; what the files hold is delivered when they can. */
static void late(bool with_copy) {
    struct store_fixture f;
    char path[128];
    fixture_init(&f);
    fixture_open(&f);
    assert_int_equal(submit_alarm(&f, 1, "smoke", 'a'), ERR_OK);
    assert_int_equal(fixture_submit(&f, LANE_EVENT, 2, 30, 1, 20)->err, ERR_OK);
    struct cursor cursor = {.low = 10, .ranges_count = 1, .ranges = {{13, 27}}};
    store_cursor(f.store, 0, LANE_EVENT, &cursor);
    fixture_close(&f);
    fixture_path(&f, "records.copy", path);
    assert_true(with_copy || unlink(path) == 0);

    cut_mode(CUT_BROKEN);
    fixture_open(&f);
    uint64_t base = f.image.next_seq;
    assert_true(f.image.absent && base > 30 && base < UINT64_C(1) << 53); /* JSON counts no further */
    assert_int_equal(record_value(&f, "smoke"), with_copy ? 'a' : -1);
    assert_int_equal(submit_alarm(&f, base, "smoke", 'b'), ERR_IO);
    assert_int_equal(fixture_ask(&f, 0, LANE_EVENT, f.image.cursors[0][LANE_EVENT].low, base - 1), ERR_IO);
    assert_true(fixture_status(&f).is_volatile);
    cursor = (struct cursor){.low = f.image.cursors[0][LANE_EVENT].low, .ranges_count = 1, .ranges = {{base, base + 3}}};
    store_cursor(f.store, 0, LANE_EVENT, &cursor); /* live delivery goes on meanwhile */
    cut_mode(CUT_WELL);
    submit_until_ok(&f, LANE_EVENT, base + 1, base + 6);
    assert_int_equal(submit_alarm(&f, base + 7, "smoke", 'c'), ERR_OK);
    assert_true(fixture_told(&f, "in use again"));
    assert_string_equal(fixture_query(&f, 0, LANE_EVENT, f.image.cursors[0][LANE_EVENT].low, base - 1), "11 12 28 29 30");
    fixture_close(&f);

    fixture_open(&f);
    assert_false(f.image.absent || f.image.quarantined);
    assert_true(f.image.next_seq == base + 8);
    assert_int_equal(record_value(&f, "smoke"), 'c');
    const struct cursor *back = &f.image.cursors[0][LANE_EVENT];
    assert_true(back->low == 10 && back->ranges_count == 2 && back->ranges[0].from == 13 && back->ranges[1].to == base + 3);
    fixture_done(&f);
}

static void late_with_a_copy(void **state) {
    (void)state;
    late(true);
}

static void late_without_a_copy(void **state) {
    (void)state;
    late(false);
}

/* An empty disk that comes late gets the engine's numbers. */
static void late_and_empty(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    cut_mode(CUT_BROKEN);
    fixture_open(&f);
    uint64_t base = f.image.next_seq;
    assert_true(f.image.absent);
    assert_int_equal(submit_alarm(&f, base, "smoke", 'b'), ERR_IO);
    cut_mode(CUT_WELL);
    int64_t until_us = now_mono_us() + PATIENCE_US;
    while (submit_alarm(&f, base, "smoke", 'b') != ERR_OK) {
        assert_true(now_mono_us() < until_us);
        usleep(100000);
    }
    fixture_close(&f);
    fixture_open(&f);
    assert_true(f.image.next_seq == base + 1);
    assert_int_equal(record_value(&f, "smoke"), 'b');
    assert_true(strtoull(fixture_query(&f, 0, LANE_FIRE, base - 1, base), NULL, 10) == base);
    fixture_done(&f);
}

/* The engine counts its series as a new store would; the one that comes late counts otherwise. It must not be taken. */
static void late_and_of_other_numbers(void **state) {
    (void)state;
    struct store_fixture f;
    char path[128];
    fixture_init(&f);
    f.points[0][1].unit = "V";
    fixture_open(&f);
    fixture_close(&f);
    f.points[0][1].unit = "A"; /* number 8 */
    fixture_open(&f);
    assert_int_equal(f.image.series.of_point[1], 8);
    fixture_submit(&f, LANE_EVENT, 1, 3, 1, 20);
    fixture_close(&f);
    fixture_path(&f, "records.copy", path);
    assert_int_equal(unlink(path), 0);
    cut_mode(CUT_BROKEN);
    fixture_open(&f);
    cut_mode(CUT_WELL);
    int64_t until_us = now_mono_us() + PATIENCE_US;
    while (!fixture_told(&f, "restart the gateway to use it")) {
        assert_true(now_mono_us() < until_us);
        usleep(100000);
    }
    assert_int_equal(fixture_submit(&f, LANE_EVENT, f.image.next_seq, f.image.next_seq, 1, 20)->err, ERR_IO);
    fixture_close(&f);
    fixture_open(&f);
    assert_string_equal(fixture_query(&f, 0, LANE_EVENT, 0, 3), "1 2 3"); /* untouched */
    fixture_done(&f);
}

/* A sync takes longer than what is told as slow: whoever submits does not wait, and it is told once each way. */
static void slow_and_well_again(void **state) {
    (void)state;
    struct store_fixture f;
    uint8_t bytes[256];
    fixture_init(&f);
    fixture_open(&f);
    cut_stall(STALL_MS);
    int64_t begin_us = now_mono_us();
    size_t size = fixture_seal(LANE_FIRE, 1, 1, 1, 20, bytes, sizeof(bytes));
    unsigned before = f.stored_count;
    store_submit(f.store, LANE_FIRE, 1, 1, bytes, (uint32_t)size, NULL, 0);
    usleep(50000); /* the writer is in it */
    size = fixture_seal(LANE_EVENT, 2, 2, 1, 20, bytes, sizeof(bytes));
    store_submit(f.store, LANE_EVENT, 2, 2, bytes, (uint32_t)size, NULL, 0);
    store_history(f.store, 1000, bytes, 0);
    store_cursor(f.store, 0, LANE_EVENT, &(struct cursor){.low = 0});
    assert_true(now_mono_us() - begin_us < 1000000);
    assert_true(store_idle_us(f.store) > 0);
    cut_stall(0);
    fixture_wait(&f, &f.stored_count, before + 2);
    assert_true(now_mono_us() - begin_us > 900 * STALL_MS);
    for (uint64_t seq = 3; seq < 6; seq++)
        assert_int_equal(fixture_submit(&f, LANE_EVENT, seq, seq, 1, 20)->err, ERR_OK);
    assert_true(fixture_told(&f, "the disk is slow or worn"));
    assert_true(fixture_told(&f, "ms again"));
    fixture_done(&f);
}

static void overwrite(const struct store_fixture *f, const char *name) {
    char path[128], garbage[4096];
    struct stat status;
    fixture_path(f, name, path);
    memset(garbage, 0xA5, sizeof(garbage));
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    for (off_t at = 0; at < status.st_size; at += (off_t)sizeof(garbage))
        assert_int_equal(pwrite(fd, garbage, sizeof(garbage), at), sizeof(garbage));
    close(fd);
}

/* Every page of the file turns to garbage under the writer. Open alarms are known from its own memory then. */
static void damaged_under_the_writer(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    fixture_open(&f);
    uint64_t seq = 1;
    for (; seq < 400; seq += 10) /* more than its page cache holds */
        fixture_submit(&f, LANE_READING, seq, seq + 9, 1, 8000);
    assert_int_equal(submit_alarm(&f, ++seq, "smoke", 'a'), ERR_OK);
    fixture_close(&f);
    fixture_open(&f); /* the log is in the file now */
    assert_int_equal(submit_alarm(&f, ++seq, "smoke", 'b'), ERR_OK);
    assert_int_equal(submit_alarm(&f, ++seq, "gas", 'g'), ERR_OK);
    overwrite(&f, "spool.db");
    for (unsigned i = 0; i < 200 && !fixture_told(&f, "put aside"); i++, seq++) {
        store_cursor(f.store, 0, LANE_READING, &(struct cursor){.low = 10 + i}); /* the oldest are looked at */
        assert_int_equal(fixture_submit(&f, LANE_READING, seq + 1, seq + 1, 1, 8000)->err, ERR_OK);
    }
    assert_true(fixture_told(&f, "put aside"));
    assert_int_equal(submit_alarm(&f, ++seq, "water", 'w'), ERR_OK);
    fixture_close(&f);
    fixture_open(&f);
    assert_false(f.image.quarantined);
    assert_true(f.image.next_seq == seq + 1);
    assert_true(record_value(&f, "smoke") == 'b' && record_value(&f, "gas") == 'g' && record_value(&f, "water") == 'w');
    fixture_done(&f);
}

/* Found damaged at the start: the copy gives the records back; without a whole copy it is said. */
static void the_copy_survives_the_file(void **state) {
    (void)state;
    struct store_fixture f;
    fixture_init(&f);
    fixture_open(&f);
    assert_int_equal(submit_alarm(&f, 5, "smoke", 'a'), ERR_OK);
    fixture_close(&f);
    overwrite(&f, "spool.db");
    fixture_open(&f);
    assert_true(f.image.quarantined && f.image.next_seq == 6);
    assert_int_equal(record_value(&f, "smoke"), 'a');
    assert_true(fixture_told(&f, "come from records.copy"));
    fixture_close(&f);
    overwrite(&f, "spool.db");
    overwrite(&f, "records.copy");
    f.lines[0] = '\0';
    fixture_open(&f);
    assert_true(f.image.quarantined);
    assert_int_equal(record_value(&f, "smoke"), -1);
    assert_true(fixture_told(&f, "is damaged too"));
    fixture_done(&f);
}

/* ---- a disk that is really full ---- */

#define CANNOT_MOUNT 77

static void fill(const struct store_fixture *f, bool full) {
    static char block[1 << 16];
    char path[128];
    fixture_path(f, "filler", path);
    if (!full) {
        unlink(path);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    while (write(fd, block, sizeof(block)) > 0) {
    }
    while (write(fd, block, 512) > 0) {
    }
    close(fd);
}

static int full_child(void) {
    struct store_fixture f;
    fixture_init(&f);
    f.config.store.spool_bytes_max = 16 << 20;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("none", f.dir, "tmpfs", 0, "size=40m") != 0) {
        fixture_done(&f);
        return CANNOT_MOUNT;
    }
    fixture_open(&f);
    uint64_t seq = 1;
    for (; seq < 800; seq += 10)
        fixture_submit(&f, LANE_READING, seq, seq + 9, 1, 8000);
    bool ballast = there(&f, "ballast");
    fill(&f, true);
    unsigned refused = 0;
    uint64_t evicted = 0;
    for (unsigned i = 0; i < 300; i++, seq++) { /* alarms go on being written, in the place of readings */
        refused += fixture_submit(&f, LANE_EVENT, seq, seq, 1, 8000)->err != ERR_OK;
        evicted += f.stored.evicted_lane == LANE_READING ? f.stored.evicted.count : 0;
    }
    bool given = !there(&f, "ballast") && fixture_status(&f).full && fixture_told(&f, "the ballast is given up");
    fill(&f, false);
    bool back = false; /* told a moment after the ballast is there */
    for (unsigned i = 0; i < 100 && !back; i++) {
        usleep(100000);
        back = there(&f, "ballast") && !fixture_status(&f).full;
    }
    fixture_close(&f);
    fixture_open(&f);
    bool whole = f.image.next_seq == seq && !f.image.quarantined;
    printf("full: %u refused, %llu evicted, ballast %d given %d back %d whole %d\n%s", refused, (unsigned long long)evicted, ballast, given, back,
           whole, f.lines);
    fflush(stdout);
    fixture_close(&f);
    umount(f.dir);
    fixture_done(&f);
    return !ballast ? 1 : refused ? 2 : !evicted ? 3 : !given ? 4 : !back ? 5 : !whole ? 6 : 0;
}

static void full_and_room_again(void **state) {
    (void)state;
    int code = full_child();
    if (code == CANNOT_MOUNT)
        skip();
    assert_int_equal(code, 0);
}

static int well(void **state) {
    (void)state;
    cut_mode(CUT_WELL);
    cut_stall(0);
    return 0;
}

static int broken_group(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(broken_and_back, well)};
    return cmocka_run_group_tests_name("store_back, broken", tests, NULL, NULL);
}

static int full_group(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(full_and_room_again, well)};
    return cmocka_run_group_tests_name("store_back, full", tests, NULL, NULL);
}

/* Nearly all of this is waiting for the store's patience to end: the longest waits go on side by side, each in a process of its own, which
 * the disks that fail and the mount need anyway. */
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(late_with_a_copy, well),         cmocka_unit_test_setup(late_without_a_copy, well),
        cmocka_unit_test_setup(late_and_empty, well),           cmocka_unit_test_setup(late_and_of_other_numbers, well),
        cmocka_unit_test_setup(slow_and_well_again, well),      cmocka_unit_test_setup(damaged_under_the_writer, well),
        cmocka_unit_test_setup(the_copy_survives_the_file, well),
    };
    int (*const groups[])(void) = {broken_group, full_group};
    pid_t pids[2];
    cut_install();
    fflush(NULL);
    for (unsigned i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            exit(groups[i]());
    }
    int failed = cmocka_run_group_tests_name("store_back", tests, NULL, NULL);
    for (unsigned i = 0; i < 2; i++) {
        int status = -1;
        failed += pids[i] < 0 || waitpid(pids[i], &status, 0) != pids[i] || status != 0;
    }
    return failed;
}
