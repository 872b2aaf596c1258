/* SPDX-License-Identifier: Apache-2.0 */
/* What the store says of its disk becomes an event when it changes, and no flood when it changes all the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core_site.h"
#include "gateway/core/core_parts.h"

struct world {
    struct site site;
    struct arena arena;
    struct trace trace;
    struct core core;
    struct engine_counters counters;
};

/* The detail of the newest event; "" when there is none after `seq`. */
static const char *told(struct world *world, int64_t ms, const struct disk_status *disk) {
    static struct system_event event;
    struct now now = site_now(ms);
    uint64_t before = world->core.journal.next_seq;
    struct entry entry;
    core_on_disk(&world->core, &now, disk);
    assert_memory_equal(&world->counters.disk, disk, sizeof(*disk));
    if (world->core.journal.next_seq == before)
        return "";
    assert_true(world->core.journal.next_seq == before + 1);
    assert_true(journal_find(&world->core.journal, LANE_EVENT, before, UINT16_MAX, &entry));
    assert_true(entry.kind == ENTRY_SYSTEM && entry_get_system(&entry, &event));
    assert_string_equal(event.what, "store");
    return event.detail;
}

static void begin(struct world *world) {
    site_init(&world->site);
    arena_init(&world->arena);
    trace_init(&world->trace);
    core_init(&world->core, &world->site.config, &world->site.directory, &world->arena, &world->trace, &world->counters);
    struct now now = site_now(0);
    core_on_clock(&world->core, &now);
    core_on_start(&world->core, &now, 0xAB, &world->site.image);
}

static void end(struct world *world) {
    core_check(&world->core);
    arena_done(&world->arena);
    free(world);
}

static void changes_are_told(void **state) {
    (void)state;
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    begin(world);
    struct disk_status disk = {.device_bytes_hour = 1000};
    assert_string_equal(told(world, 1000, &disk), ""); /* well, as it was */
    disk.is_volatile = true;
    assert_non_null(strstr(told(world, 2000, &disk), "volatile"));
    disk.device_bytes_hour = 2000;
    assert_string_equal(told(world, 62000, &disk), "");
    disk.is_volatile = false;
    assert_non_null(strstr(told(world, 63000, &disk), "durable again"));
    disk.is_volatile = true;
    assert_string_equal(told(world, 64000, &disk), ""); /* it comes and goes */
    disk.is_volatile = false;
    assert_string_equal(told(world, 65000, &disk), "");
    disk.is_volatile = true;
    assert_string_equal(told(world, 66000, &disk), "");
    assert_non_null(strstr(told(world, 123000, &disk), "volatile")); /* the last word is told with the next status */
    disk.is_volatile = false;
    disk.quarantined = 1;
    assert_non_null(strstr(told(world, 140000, &disk), "put aside"));
    disk.full = true;
    assert_non_null(strstr(told(world, 160000, &disk), "full"));
    disk.full = false;
    assert_non_null(strstr(told(world, 180000, &disk), "room again"));
    world->core.publisher.history_lost = 2; /* what the core itself could not hand over counts as well */
    world->core.publisher.aside.lost = 3;
    disk.history_lost = 10;
    struct now now = site_now(240000);
    core_on_disk(&world->core, &now, &disk);
    core_on_disk(&world->core, &now, &disk);
    assert_true(world->counters.disk.history_lost == 15);
    end(world);
}

/* Full, and a second later broken: who is called hears of both, without waiting for another word of the store. */
static void what_changed_at_once_is_told_in_a_moment(void **state) {
    (void)state;
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    begin(world);
    struct disk_status disk = {.full = true};
    assert_non_null(strstr(told(world, 2000, &disk), "full"));
    disk.is_volatile = true;
    assert_string_equal(told(world, 3000, &disk), "");
    assert_true(core_disk_next_wake(&world->core) == site_now(12000).mono_us);
    struct entry entry;
    struct system_event event;
    uint64_t before = world->core.journal.next_seq;
    struct now now = site_now(12000);
    core_on_time(&world->core, &now);
    assert_true(journal_find(&world->core.journal, LANE_EVENT, before, UINT16_MAX, &entry) && entry_get_system(&entry, &event));
    assert_non_null(strstr(event.detail, "volatile"));
    before = world->core.journal.next_seq;
    now = site_now(30000);
    core_on_time(&world->core, &now);
    assert_true(world->core.journal.next_seq == before);
    end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(changes_are_told), cmocka_unit_test(what_changed_at_once_is_told_in_a_moment)};
    return cmocka_run_group_tests_name("core_disk", tests, NULL, NULL);
}
