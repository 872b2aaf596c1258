/* SPDX-License-Identifier: Apache-2.0 */
/* The store when something is wrong: damaged files, folders and disks that cannot be written, and a process that is killed. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "store_fixture.h"

static int64_t table_count(const struct store_fixture *f, const char *sql) {
    char command[512], line[64] = "";
    snprintf(command, sizeof(command), "sqlite3 %s/spool.db \"%s\"", f->dir, sql);
    FILE *pipe = popen(command, "r");
    bool read = pipe && fgets(line, sizeof(line), pipe);
    if (!pipe || pclose(pipe) != 0 || !read)
        return -1;
    return strtoll(line, NULL, 10);
}

static void file_write(const char *path, const char *bytes, size_t size, off_t at) {
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_true(pwrite(fd, bytes, size, at) == (ssize_t)size);
    close(fd);
}

static unsigned files_like(const struct store_fixture *f, const char *part) {
    char command[256], line[64] = "";
    snprintf(command, sizeof(command), "ls %s | grep -c '%s'", f->dir, part);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof(line), pipe));
    pclose(pipe);
    return (unsigned)strtoul(line, NULL, 10);
}

static void damage(const struct store_fixture *f, const char *name, unsigned how) {
    char path[128], garbage[3000];
    struct stat status;
    fixture_path(f, name, path);
    memset(garbage, 0xA5, sizeof(garbage));
    assert_int_equal(stat(path, &status), 0);
    switch (how) {
    case 0: /* not a database at all */
        file_write(path, "this is a letter, not a database.......", 40, 0);
        break;
    case 1: /* cut in the middle */
        assert_int_equal(truncate(path, status.st_size / 2), 0);
        break;
    case 2: /* a torn page */
        file_write(path, garbage, sizeof(garbage), status.st_size / 4096 / 2 * 4096);
        break;
    case 3: /* by a newer program: user_version is at 60, big-endian */
        file_write(path, "\0\0\0\x63", 4, 60);
        break;
    }
}

static void damaged_files_are_put_aside(void **state) {
    (void)state;
    static const char *const names[] = {"spool.db", "history.db"};
    for (unsigned file = 0; file < 2; file++)
        for (unsigned how = 0; how < 4; how++) {
            struct store_fixture f;
            fixture_init(&f);
            fixture_open(&f);
            fixture_submit(&f, LANE_READING, 1, 50, 1, 1000);
            fixture_close(&f);
            damage(&f, names[file], how);
            fixture_open(&f);
            assert_true(f.image.quarantined);
            assert_non_null(strstr(f.lines, "was put aside as"));
            assert_non_null(strstr(f.lines, names[file]));
            char pattern[64];
            snprintf(pattern, sizeof(pattern), "^%s.corrupt-[0-9]*$", names[file]);
            assert_int_equal(files_like(&f, pattern), 1);
            assert_int_equal(fixture_submit(&f, LANE_READING, 51, 60, 1, 1000)->err, ERR_OK);
            assert_int_equal(f.stored.evicted.count, file == 0 && how == 2 ? 50 : 0); /* the one run is damaged, what it held is counted */
            assert_int_equal(strlen(fixture_query(&f, 0, LANE_READING, 50, 60)) > 0, 1);
            assert_int_equal(strncmp(fixture_query(&f, 0, LANE_READING, 0, 60), file ? "1 2 3" : "51 52", 5), 0);
            f.lines[0] = '\0';
            fixture_close(&f);
            fixture_open(&f); /* the new one is good */
            assert_false(f.image.quarantined);
            assert_string_equal(f.lines, "");
            fixture_done(&f);
        }
}

/* A large file is not looked through at every start. What is then met while reading is put aside at once, and what can be read from
 * either end of it is saved; the rest is told as a gap. */
static void damage_met_in_use(void **state) {
    (void)state;
    struct store_fixture f;
    char path[128], garbage[4096];
    struct stat status;
    fixture_init(&f);
    fixture_open(&f);
    for (uint64_t seq = 1; seq < 2000; seq += 100)
        fixture_submit(&f, LANE_READING, seq, seq + 99, 1, 10000);
    fixture_close(&f);
    fixture_path(&f, "spool.db", path);
    assert_int_equal(stat(path, &status), 0);
    memset(garbage, 0xA5, sizeof(garbage));
    for (off_t page = 1000; page < 1300; page++) /* a run's overflow pages, and with them the next page's number */
        file_write(path, garbage, sizeof(garbage), page * 4096);
    fixture_open(&f);
    assert_false(f.image.quarantined);
    enum err err = ERR_OK;
    for (uint64_t after = 0; err == ERR_OK && after < 2000; after = f.rows.through_seq)
        err = fixture_ask(&f, 0, LANE_READING, after, 2000);
    assert_int_equal(err, ERR_CORRUPT);
    assert_true(f.rows.size == 0 && f.rows.through_seq == f.rows.after_seq); /* nothing was looked at */
    uint64_t seq = f.image.next_seq, lost = 0, left = 0;
    for (unsigned i = 0; i < 100 && !lost; i++, seq++) { /* the next answer after it was put aside */
        const struct store_stored *stored = fixture_submit(&f, LANE_EVENT, seq, seq, 1, 20);
        assert_int_equal(stored->err, ERR_OK);
        lost = stored->evicted.count;
    }
    assert_int_equal(f.stored.evicted_lane, LANE_READING);
    assert_non_null(strstr(f.lines, "was put aside as"));
    for (uint64_t after = 0; after < 2000; after = f.rows.through_seq)
        for (const char *c = fixture_query(&f, 0, LANE_READING, after, 2000); *c; c++)
            left += c[1] == ' ' || c[1] == '\0';
    assert_true(lost >= 100 && lost <= 1200 && lost + left == 2000);
    fixture_close(&f);
    f.lines[0] = '\0';
    fixture_open(&f);
    assert_false(f.image.quarantined);
    assert_true(f.image.next_seq == seq);
    assert_string_equal(f.lines, "");
    fixture_done(&f);
}

static void one_process_a_folder(void **state) {
    (void)state;
    struct store_fixture f, other;
    fixture_init(&f);
    fixture_open(&f);
    fixture_init(&other);
    rmdir(other.dir);
    memcpy(other.dir, f.dir, sizeof(f.dir));
    assert_int_equal(fixture_try_open(&other), ERR_BUSY);
    char owner[64];
    snprintf(owner, sizeof(owner), "(process %d)", (int)getpid());
    assert_non_null(strstr(other.lines, "is used by another yanhuo"));
    assert_non_null(strstr(other.lines, owner));
    fixture_close(&f);
    fixture_open(&other); /* free again */
    fixture_done(&other);
    fixture_done(&f);
}

/* In a child: root may write everywhere, so the child becomes somebody else. */
static int read_only_child(void) {
    struct store_fixture f;
    fixture_init(&f);
    if (chmod(f.dir, 0500) != 0)
        return 2;
    enum err err = fixture_try_open(&f);
    bool told = strstr(f.lines, "cannot write in") != NULL && f.image.absent;
    (void)chmod(f.dir, 0700);
    fixture_done(&f);
    return err == ERR_OK && told ? 0 : 1;
}

static int read_only_file_child(void) {
    struct store_fixture f;
    char path[128];
    fixture_init(&f);
    fixture_open(&f);
    fixture_close(&f);
    fixture_path(&f, "spool.db", path);
    (void)chmod(path, 0400);
    enum err err = fixture_try_open(&f);
    bool told = strstr(f.lines, "cannot be used") != NULL && f.image.absent;
    fixture_done(&f);
    return err == ERR_OK && told ? 0 : 1;
}

static int in_child(int (*body)(void), bool as_nobody) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (as_nobody && getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(3);
        _exit(body());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void folders_that_cannot_be_written(void **state) {
    (void)state;
    assert_int_equal(in_child(read_only_child, true), 0);
    assert_int_equal(in_child(read_only_file_child, true), 0);
    struct store_fixture f;
    fixture_init(&f);
    rmdir(f.dir);
    assert_int_equal(fixture_try_open(&f), ERR_IO);
    assert_non_null(strstr(f.lines, "No such file or directory"));
    fixture_done(&f);
}

static unsigned lines_with(const struct store_fixture *f, const char *part) {
    unsigned count = 0;
    for (const char *c = f->lines; (c = strstr(c, part)); c++)
        count++;
    return count;
}

/* Files may not grow: every write fails until they may again. Nothing is lost: the same run is submitted until it is in. */
static int limited_child(void) {
    struct store_fixture f;
    struct rlimit limit = {.rlim_cur = 200000, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    fixture_init(&f);
    fixture_open(&f);
    fixture_submit(&f, LANE_EVENT, 1, 1, 1, 20);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;
    uint64_t seq = 2;
    for (; f.stored.err == ERR_OK && seq < 100; seq += 2)
        fixture_submit(&f, LANE_EVENT, seq, seq + 1, 1, 8000);
    seq -= 2;
    for (unsigned i = 0; i < 3; i++)
        if (fixture_submit(&f, LANE_EVENT, seq, seq + 1, 1, 8000)->err == ERR_OK)
            return 3;
    if (lines_with(&f, "fails") != 1 || lines_with(&f, "works again") != 0)
        return 4;
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    if (fixture_submit(&f, LANE_EVENT, seq, seq + 1, 1, 8000)->err != ERR_OK || lines_with(&f, "works again") != 1)
        return 5;
    fixture_close(&f);
    fixture_open(&f);
    if (f.image.quarantined || f.image.next_seq != seq + 2)
        return 6;
    uint64_t wanted = 1;
    for (uint64_t after = 0; after < seq + 1; after = f.rows.through_seq) {
        const char *c = fixture_query(&f, 0, LANE_EVENT, after, seq + 1);
        for (char *end; *c; c = end)
            if (strtoull(c, &end, 10) != wanted++)
                return 7;
    }
    fixture_done(&f);
    return wanted == seq + 2 ? 0 : 8;
}

static void failing_writes_are_answered(void **state) {
    (void)state;
    assert_int_equal(in_child(limited_child, false), 0);
}

/* A file system of 1 MB in a mount namespace of the child's own, where the tests may make one. */
#define CANNOT_MOUNT 77

static int disk_full_child(void) {
    struct store_fixture f;
    fixture_init(&f);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("none", f.dir, "tmpfs", 0, "size=1m") != 0) {
        fixture_done(&f);
        return CANNOT_MOUNT;
    }
    fixture_open(&f);
    uint64_t seq = 1;
    for (; f.stored.err == ERR_OK && seq < 400; seq += 2)
        fixture_submit(&f, LANE_EVENT, seq, seq + 1, 1, 8000);
    bool full = f.stored.err == ERR_FULL;
    for (unsigned i = 0; i < 3; i++)
        full &= fixture_submit(&f, LANE_EVENT, seq - 2, seq - 1, 1, 8000)->err == ERR_FULL;
    full &= lines_with(&f, "fails: no room left") == 1;
    bool remounted = mount("none", f.dir, "tmpfs", MS_REMOUNT, "size=8m") == 0;
    bool again = fixture_submit(&f, LANE_EVENT, seq - 2, seq - 1, 1, 8000)->err == ERR_OK;
    fixture_close(&f);
    fixture_open(&f);
    bool whole = f.image.next_seq == seq && !f.image.quarantined;
    fixture_close(&f);
    umount(f.dir);
    fixture_done(&f);
    return !full ? 1 : !remounted ? 2 : !again ? 3 : !whole ? 4 : 0;
}

static void disk_full(void **state) {
    (void)state;
    int status = in_child(disk_full_child, false);
    if (status == CANNOT_MOUNT)
        skip();
    assert_int_equal(status, 0);
}

/* The child writes and says what was acknowledged; it is killed at any moment. Everything acknowledged must be there. */
static void child_write(const char *dir, int pipe_fd, uint64_t seed) {
    struct store_fixture f;
    struct prng prng;
    fixture_init(&f);
    rmdir(f.dir);
    memcpy(f.dir, dir, sizeof(f.dir));
    fixture_open(&f);
    prng_init(&prng, seed);
    for (uint64_t seq = f.image.next_seq;;) {
        enum lane lane = (enum lane)prng_below(&prng, LANES_COUNT);
        uint64_t last_seq = seq + prng_below(&prng, 6);
        const struct store_stored *stored = fixture_submit(&f, lane, seq, last_seq, 1, (uint32_t)prng_below(&prng, 4000));
        uint64_t told[3] = {lane, seq, last_seq};
        if (stored->err != ERR_OK || write(pipe_fd, told, sizeof(told)) != sizeof(told))
            _exit(1);
        seq = last_seq + 1;
    }
}

static void killed_at_any_moment(void **state) {
    (void)state;
    struct store_fixture f;
    static uint8_t acknowledged[1 << 20]; /* lane + 1 by seq */
    uint64_t newest = 0, total = 0;
    fixture_init(&f);
    for (unsigned round = 0; round < 20; round++) {
        int fds[2];
        uint64_t told[3];
        assert_int_equal(pipe(fds), 0);
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            child_write(f.dir, fds[1], round + 1);
        close(fds[1]);
        unsigned runs = 3 + round * 5; /* by progress, not by time */
        for (unsigned i = 0; i < runs; i++) {
            assert_int_equal(read(fds[0], told, sizeof(told)), sizeof(told));
            for (uint64_t seq = told[1]; seq <= told[2]; seq++)
                acknowledged[seq] = (uint8_t)(told[0] + 1);
            newest = told[2];
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(fds[0], told, sizeof(told)) == sizeof(told)) {
            for (uint64_t seq = told[1]; seq <= told[2]; seq++)
                acknowledged[seq] = (uint8_t)(told[0] + 1);
            newest = told[2];
        }
        close(fds[0]);
        fixture_open(&f);
        assert_false(f.image.quarantined);
        assert_true(f.image.next_seq > newest);
        total = 0;
        for (unsigned lane = 0; lane < LANES_COUNT; lane++) {
            uint64_t expected = 1;
            for (uint64_t after = 0; after < f.image.next_seq - 1; after = f.rows.through_seq) {
                fixture_query(&f, 0, (enum lane)lane, after, f.image.next_seq - 1);
                struct entry entry;
                size_t step;
                for (size_t at = 0; at < f.rows.size; at += step, total++) {
                    assert_true(entry_open(f.rows.bytes + at, f.rows.size - at, &entry, &step));
                    for (; expected < entry.seq; expected++)
                        assert_int_not_equal(acknowledged[expected], lane + 1);
                    assert_true(entry.seq == expected++);
                }
            }
            for (; expected <= newest; expected++)
                assert_int_not_equal(acknowledged[expected], lane + 1);
        }
        fixture_close(&f);
    }
    assert_true(total > 500);
    if (table_count(&f, "SELECT 1") == 1)
        assert_int_equal(table_count(&f, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_are_put_aside),    cmocka_unit_test(damage_met_in_use),           cmocka_unit_test(one_process_a_folder),
        cmocka_unit_test(folders_that_cannot_be_written), cmocka_unit_test(failing_writes_are_answered), cmocka_unit_test(disk_full),
        cmocka_unit_test(killed_at_any_moment),
    };
    return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
