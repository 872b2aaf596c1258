/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core_site.h"
#include "gateway/core/walk.h"

struct rig {
    struct site site;
    struct arena arena;
    struct walk walk;
    const char *why;
};

/* alarm 0: fire, on device 0 of the place; 1: electrical, device 1; 2: communication, 3: of an action, both fire, device 0; 4: compliance,
 * device 0; 5: fire, device 0 */
static void begin(struct rig *rig) {
    memset(rig, 0, sizeof(*rig));
    site_init(&rig->site);
    rig->site.config.alarms_count = 6;
    for (unsigned i = 2; i < 6; i++) {
        rig->site.alarms[i].device = 0;
        rig->site.alarms[i].class = CLASS_FIRE;
    }
    rig->site.alarms[2].condition = CONDITION_COMMUNICATION;
    rig->site.alarms[3].condition = CONDITION_ACTION;
    rig->site.alarms[4].class = CLASS_COMPLIANCE;
    arena_init(&rig->arena);
    walk_init(&rig->walk, &rig->site.config, &rig->arena);
}

static bool walk(struct rig *rig, uint16_t place, uint16_t device) {
    struct now now = site_now(1000);
    rig->why = NULL;
    return walk_begin(&rig->walk, &now, place, device, 30, false, "W", "c-1", &rig->why);
}

static void test_scope(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig);
    for (uint16_t i = 0; i < 6; i++)
        assert_false(walk_covers(&rig.walk, i)); /* none goes on */
    assert_int_equal(walk_next_wake(&rig.walk), NOW_NEVER);
    assert_true(walk(&rig, 0, CONFIG_NONE));
    for (uint16_t i = 0; i < 6; i++) /* detectors of the place: what watches a point and is fire or electrical */
        assert_true(walk_covers(&rig.walk, i) == (i == 0 || i == 5));
    assert_int_equal(rig.walk.detectors_count, 2);
    assert_string_equal(rig.walk.by, "W");
    assert_string_equal(rig.walk.id, "c-1");
    assert_false(walk(&rig, 0, CONFIG_NONE)); /* one at a time; the one that goes on is not disturbed */
    assert_non_null(strstr(rig.why, "going on already"));
    assert_true(walk_covers(&rig.walk, 0));
    walk_end(&rig.walk);
    assert_false(walk_covers(&rig.walk, 0));
    assert_true(walk(&rig, CONFIG_NONE, 1)); /* a device, wherever it stands */
    assert_true(walk_covers(&rig.walk, 1) && !walk_covers(&rig.walk, 0));
    walk_end(&rig.walk);
    arena_done(&rig.arena);
}

static void test_nothing_to_test(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig);
    rig.site.alarms[0].class = CLASS_MAINTENANCE;
    rig.site.alarms[5].class = CLASS_FAULT;
    assert_false(walk(&rig, 0, CONFIG_NONE));
    assert_non_null(strstr(rig.why, "no detector"));
    assert_false(rig.walk.on);
    assert_false(walk(&rig, CONFIG_NONE, 3)); /* a device without alarms */
    assert_false(rig.walk.on);
    arena_done(&rig.arena);
}

static void test_ticked_off_with_latency(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig);
    assert_true(walk(&rig, 0, CONFIG_NONE));
    struct now now = site_now(5000);
    walk_on_alarm(&rig.walk, &now, 1, 40); /* out of scope */
    assert_int_equal(rig.walk.seen_count, 0);
    walk_on_alarm(&rig.walk, &now, 0, 41);
    assert_int_equal(rig.walk.seen_count, 1);
    assert_int_equal(rig.walk.detectors[0].latency_ms, -1);
    now = site_now(5010);
    walk_on_alarm(&rig.walk, &now, 0, 42); /* pressed twice: the first counts */
    assert_int_equal(rig.walk.seen_count, 1);
    now = site_now(5030);
    walk_on_delivered(&rig.walk, &now, 40);
    walk_on_delivered(&rig.walk, &now, 42);
    assert_int_equal(rig.walk.detectors[0].latency_ms, -1);
    walk_on_delivered(&rig.walk, &now, 41);
    assert_int_equal(rig.walk.detectors[0].latency_ms, 30);
    now = site_now(9000);
    walk_on_delivered(&rig.walk, &now, 41); /* a second uplink's: the first acknowledgement counts */
    assert_int_equal(rig.walk.detectors[0].latency_ms, 30);
    assert_int_equal(rig.walk.detectors[0].at_ms, site_now(5000).wall_ms);
    assert_int_equal(rig.walk.detectors[5].at_ms, 0);
    walk_end(&rig.walk);
    assert_true(walk(&rig, 0, CONFIG_NONE)); /* the next test begins with nothing seen */
    assert_int_equal(rig.walk.seen_count, 0);
    assert_int_equal(rig.walk.detectors[0].at_ms, 0);
    assert_int_equal(rig.walk.detectors[0].latency_ms, -1);
    arena_done(&rig.arena);
}

static void test_time_over(void **state) {
    (void)state;
    struct rig rig;
    begin(&rig);
    assert_true(walk(&rig, 0, CONFIG_NONE));
    int64_t end_ms = 1000 + 30 * 60000;
    struct now before = site_now(end_ms - 1), end = site_now(end_ms);
    assert_int_equal(walk_next_wake(&rig.walk), end_ms * 1000);
    assert_false(walk_over(&rig.walk, &before));
    assert_true(walk_over(&rig.walk, &end));
    walk_end(&rig.walk);
    assert_false(walk_over(&rig.walk, &end));
    arena_done(&rig.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scope),
        cmocka_unit_test(test_nothing_to_test),
        cmocka_unit_test(test_ticked_off_with_latency),
        cmocka_unit_test(test_time_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
