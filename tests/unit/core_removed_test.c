/* SPDX-License-Identifier: Apache-2.0 */
/* Records without a rule: what is told of them, in which lane, how many at once, and which are left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core_rig.h"
#include "gateway/core/core_parts.h"

/* The record of an alarm that nobody configures, as the store has it. */
static struct core_rig_record *stored(struct core_rig *rig, const char *owner, const char *name, const struct config_alarm *rule) {
    struct alarm alarm;
    alarm_init(&alarm, rule);
    alarm.state = ALARM_RETURNED;
    alarm.occurrence_start = 7;
    alarm.occurrence_seq = 8;
    alarm.since_ms = 1234;
    assert_true(rig->records_count < CORE_RIG_RECORDS_MAX);
    struct core_rig_record *record = &rig->records[rig->records_count++];
    (void)snprintf(record->owner, sizeof(record->owner), "%s", owner);
    (void)snprintf(record->name, sizeof(record->name), "%s", name);
    record->size = (uint16_t)alarm_record_put(&alarm, record->bytes);
    return record;
}

static struct alarm_event newest_removed(const struct core_rig *rig, enum lane *ret_lane) {
    struct entry entry;
    struct alarm_event event;
    assert_true(core_rig_count(rig, ENTRY_REMOVED, 1, &entry) > 0);
    assert_true(entry_get_alarm(&entry, &event));
    *ret_lane = entry.lane;
    return event;
}

static void what_the_record_knows_is_told(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(NULL);
    struct config_alarm rule = rig->site.alarms[0];
    enum lane lane;
    rule.class = CLASS_FIRE;
    rule.priority = PRIORITY_MEDIUM;
    stored(rig, "device-0", "heat", &rule); /* the device is still there */
    core_rig_cut(rig, 1000, true);
    core_rig_step(rig, 1000);
    struct alarm_event event = newest_removed(rig, &lane);
    assert_int_equal(lane, LANE_FIRE);
    assert_string_equal(event.device, "device-0");
    assert_string_equal(event.alarm, "heat");
    assert_string_equal(event.place, "shed-1");
    assert_true(event.class == CLASS_FIRE && event.priority == PRIORITY_MEDIUM && event.state == ALARM_RETURNED && event.cause == CAUSE_REMOVED);
    assert_true(event.occurrence_start == 7 && event.occurrence_seq == 8 && event.since_ms == 1234);
    assert_null(core_rig_record(rig, "device-0", "heat"));
    assert_int_equal(core_rig_record_lane(rig, "device-0", "heat"), LANE_FIRE);
    struct entry entry;
    struct cleared_event cleared;
    assert_int_equal(core_rig_count(rig, ENTRY_CLEARED, 1, &entry), 1);
    assert_true(entry_get_cleared(&entry, &cleared) && entry.lane == LANE_FIRE);
    assert_string_equal(cleared.device, "device-0");
    assert_string_equal(cleared.alarm, "heat");
    core_rig_end(rig);
}

/* Of an earlier version, without a class; damaged; of a part of the gateway itself whose line is gone. */
static void what_it_does_not_know_is_unknown(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(NULL);
    enum lane lane;
    stored(rig, "gone", "smoke", &rig->site.alarms[0])->size -= 2;
    core_rig_cut(rig, 1000, true);
    core_rig_step(rig, 1000);
    struct alarm_event event = newest_removed(rig, &lane);
    assert_true(lane == LANE_EVENT && event.class == ALARM_UNKNOWN && event.priority == ALARM_UNKNOWN && event.state == ALARM_RETURNED);
    assert_string_equal(event.place, "");
    stored(rig, "gone", "smoke", &rig->site.alarms[0])->bytes[0] = 99;
    core_rig_cut(rig, 2000, true);
    core_rig_step(rig, 2000);
    event = newest_removed(rig, &lane);
    assert_true(lane == LANE_EVENT && event.class == ALARM_UNKNOWN && event.state == ALARM_UNKNOWN && event.occurrence_seq == 0);
    stored(rig, "gateway", "bus-attic", &rig->site.alarms[1]);
    core_rig_cut(rig, 3000, true);
    core_rig_step(rig, 3000);
    assert_string_equal(newest_removed(rig, &lane).device, "gateway");
    core_rig_end(rig);
}

/* Run hours are left for the day on which the point is configured again; a held action is not. */
static void other_owners(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(NULL);
    struct entry entry;
    struct system_event event;
    stored(rig, "device-0", ".hours", &rig->site.alarms[0]);
    stored(rig, ".action", "cut", &rig->site.alarms[0])->size = 1;
    core_rig_cut(rig, 1000, true);
    core_rig_step(rig, 1000);
    assert_true(core_rig_said(rig, "device-0/.hours is no longer configured: its record is left alone"));
    assert_true(core_rig_said(rig, "action cut was held and is no longer configured: its output stays as it is"));
    assert_non_null(core_rig_record(rig, "device-0", ".hours"));
    assert_null(core_rig_record(rig, ".action", "cut"));
    assert_int_equal(core_rig_count(rig, ENTRY_REMOVED, 1, NULL), 0);
    core_rig_count(rig, ENTRY_SYSTEM, 1, &entry);
    assert_true(entry_get_system(&entry, &event));
    assert_string_equal(event.what, "action-removed");
    core_rig_end(rig);
}

/* ---- many ---- */

static unsigned left(const struct core_rig *rig) {
    unsigned count = 0;
    for (unsigned i = 0; i < rig->records_count; i++)
        count += rig->records[i].size != 0 && rig->records[i].owner[0] != '.' && strncmp(rig->records[i].name, "r-", 2) == 0;
    return count;
}

static void store_many(struct core_rig *rig, unsigned count) {
    char name[16];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(name, sizeof(name), "r-%u", i);
        stored(rig, "gone", name, &rig->site.alarms[i % 2]); /* half of them of class fire */
    }
}

static void run(struct core_rig *rig, int64_t ms) {
    for (unsigned i = 0; core_next_wake(&rig->core) == 0; i++) {
        assert_true(i < 1000);
        rig->said[0] = '\0';
        core_rig_step(rig, ms);
    }
}

/* A few a step; what one start cannot hold the next one tells. */
static void more_than_one_start_holds(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(NULL);
    store_many(rig, REMOVED_MAX + 100);
    core_rig_cut(rig, 1000, true);
    core_rig_hush(rig);
    core_rig_step(rig, 1000);
    assert_true(core_rig_said(rig, "100 more alarms are no longer configured: they are told after the next start"));
    assert_true(left(rig) > REMOVED_MAX / 2);
    run(rig, 1000);
    assert_int_equal(left(rig), 100);
    assert_true(rig->core.journal.lanes[LANE_FIRE].lost == 0 && rig->core.journal.lanes[LANE_EVENT].lost == 0);
    core_rig_cut(rig, 2000, true);
    run(rig, 2000);
    assert_int_equal(left(rig), 0);
    core_rig_cut(rig, 3000, true);
    core_rig_step(rig, 3000);
    assert_int_equal(core_rig_count(rig, ENTRY_REMOVED, rig->site.image.next_seq, NULL), 0);
    core_rig_end(rig);
}

/* A store that takes nothing: they wait with their records, and crowd nothing out of memory. */
static void they_wait_for_the_store(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(NULL);
    struct now now = site_now(1000);
    const struct trace_line *line;
    store_many(rig, 1500);
    core_rig_cut(rig, 1000, true);
    for (unsigned i = 0; i < 1000; i++) {
        core_on_time(&rig->core, &now);
        while (trace_take(&rig->trace, &line))
            continue;
    }
    assert_false(core_removed_due(&rig->core));
    assert_true(rig->core.removed.told > 16 && rig->core.removed.told < 500);
    assert_true(rig->core.journal.lanes[LANE_FIRE].lost == 0 && rig->core.journal.lanes[LANE_EVENT].lost == 0);
    assert_int_equal(left(rig), 1500);
    core_rig_step(rig, 1000); /* it works again */
    run(rig, 1000);
    assert_int_equal(left(rig), 0);
    core_rig_end(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_record_knows_is_told), cmocka_unit_test(what_it_does_not_know_is_unknown), cmocka_unit_test(other_owners),
        cmocka_unit_test(more_than_one_start_holds),     cmocka_unit_test(they_wait_for_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
