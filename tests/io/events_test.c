/* SPDX-License-Identifier: Apache-2.0 */
/* `yanhuo events` as a person calls it, on an archive that a store has open meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "gateway/io/store_archive.h"
#include "printed.h"
#include "store_fixture.h"

#define GOOD TESTS_DIR "/vectors/config/good/site.yaml"
#define T0 INT64_C(1795046400000) /* 2026-11-19 00:00 UTC, the zone of the site */

static int run(const char *dir, const char *arguments) {
    return printed_run("events -c %s -s %s %s", GOOD, dir, arguments);
}

/* Straight into the file, which is what is asked here; how it comes there is archive_test.c's. */
static void file_event(struct database *database, uint64_t seq, int64_t at_ms, const char *what) {
    static uint8_t body[1000], sealed[1000];
    struct bytes_writer writer, seal;
    struct system_event event = {.offset_ms = 0};
    snprintf(event.what, sizeof(event.what), "%s", what);
    bytes_writer_init(&writer, body, sizeof(body));
    entry_put_system(&writer, &event);
    bytes_writer_init(&seal, sealed, sizeof(sealed));
    const struct entry entry = {.lane = LANE_EVENT, .kind = ENTRY_SYSTEM, .trusted = true, .seq = seq, .start = 0xABCD, .at_ms = at_ms, .body = body,
                                .body_size = (uint32_t)writer.length};
    assert_true(entry_seal(&entry, &seal));
    struct statement *put = database_prepare(database, "INSERT INTO event(filed_ms, seq, at_ms, body) VALUES(?1, ?2, ?1, ?3)");
    statement_bind_int(put, 1, at_ms);
    statement_bind_int(put, 2, (int64_t)seq);
    statement_bind_bytes(put, 3, sealed, seal.length);
    statement_step(put);
    statement_done(put);
}

static void what_is_kept_is_printed(void **state) {
    (void)state;
    struct store_fixture f;
    struct database *database;
    struct database_failure failure;
    char path[128];
    fixture_init(&f);
    fixture_open(&f);
    assert_int_equal(run(f.dir, ""), 0);
    assert_string_equal(printed, "");
    fixture_path(&f, ARCHIVE_NAME, path);
    assert_int_equal(database_open(path, DATABASE_SHARED, &database, &failure), ERR_OK);
    file_event(database, 7, T0, "started");
    file_event(database, 8, (int64_t)time(NULL) * 1000 - 3600000, "stopped");
    assert_int_equal(database_clear(database, &failure), ERR_OK);
    assert_int_equal(run(f.dir, ""), 0);
    printed_has("\"id\":\"site-01-000000000000abcd-7\"");
    printed_has("2026-11-19T00:00:00.000+00:00");
    printed_has("\"started\"");
    assert_true(strstr(printed, "stopped") > strstr(printed, "started")); /* oldest first */
    assert_int_equal(run(f.dir, "--days 1"), 0);
    printed_has_not("started");
    printed_has("stopped");
    database_close(database);
    fixture_done(&f);
}

static void what_cannot_be_read_is_said(void **state) {
    (void)state;
    struct store_fixture f;
    char path[128];
    fixture_init(&f);
    assert_int_equal(run("/no/such/folder", ""), 1);
    printed_has("/no/such/folder/events.db: No such file or directory; STATE_DIR is the folder that `yanhuo run` was given with -s\n");
    fixture_path(&f, ARCHIVE_NAME, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (unsigned i = 0; i < 500; i++)
        fputs("not a database", file);
    fclose(file);
    assert_int_equal(run(f.dir, ""), 1);
    printed_has("events.db cannot be read: ");
    static const char *const wrong[] = {"--days 0", "--days x", "--days 99999999", "--nonsense", "more"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(run(f.dir, wrong[i]), 2);
        printed_has("usage: yanhuo events");
    }
    fixture_open(&f);
    fixture_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_kept_is_printed), cmocka_unit_test(what_cannot_be_read_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
