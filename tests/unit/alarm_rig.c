/* SPDX-License-Identifier: Apache-2.0 */
#include "alarm_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct now rig_at(int64_t ms) {
    return (struct now){.mono_us = ms * 1000, .wall_ms = RIG_WALL_MS + ms, .wall_trusted = true};
}

int rig_feed(struct alarm *alarm, int64_t ms, double n) {
    struct now now = rig_at(ms);
    struct value value = {.kind = VALUE_NUMBER, .number = n};
    enum alarm_cause cause = 0;
    bool changed = alarm_on_value(alarm, &now, &value, &cause) || (alarm_next_wake(alarm) <= now.mono_us && alarm_on_time(alarm, &now, &cause));
    alarm_check(alarm);
    return changed ? (int)cause : 0;
}

int rig_blind(struct alarm *alarm, int64_t ms) {
    struct now now = rig_at(ms);
    enum alarm_cause cause = 0;
    alarm_on_blind(alarm, &now);
    bool changed = alarm_next_wake(alarm) <= now.mono_us && alarm_on_time(alarm, &now, &cause);
    alarm_check(alarm);
    return changed ? (int)cause : 0;
}

int rig_tick(struct alarm *alarm, int64_t ms) {
    struct now now = rig_at(ms);
    enum alarm_cause cause = 0;
    bool changed = alarm_on_time(alarm, &now, &cause);
    alarm_check(alarm);
    return changed ? (int)cause : 0;
}

static bool answered(const struct alarm *alarm, const struct alarm *before, bool changed, const char *why) {
    assert_true(changed == (why == NULL));
    if (!changed) {
        assert_true(why[0] != '\0');
        assert_memory_equal(alarm, before, sizeof(*alarm));
    }
    alarm_check(alarm);
    return changed;
}

bool rig_acknowledge(struct alarm *alarm, int64_t ms) {
    struct now now = rig_at(ms);
    struct alarm before = *alarm;
    const char *why = NULL;
    bool changed = alarm_acknowledge(alarm, &now, &why);
    return answered(alarm, &before, changed, why);
}

bool rig_reset(struct alarm *alarm, int64_t ms) {
    struct now now = rig_at(ms);
    struct alarm before = *alarm;
    const char *why = NULL;
    bool changed = alarm_reset(alarm, &now, &why);
    return answered(alarm, &before, changed, why);
}

bool rig_shelve(struct alarm *alarm, int64_t ms, int64_t for_ms) {
    struct now now = rig_at(ms);
    struct alarm before = *alarm;
    struct alarm_aside aside = {.by = "W", .reason = "welding", .until_ms = now.wall_ms + for_ms};
    const char *why = NULL;
    bool changed = alarm_shelve(alarm, &now, &aside, &why);
    return answered(alarm, &before, changed, why);
}

bool rig_unshelve(struct alarm *alarm, int64_t ms) {
    struct now now = rig_at(ms);
    struct alarm before = *alarm;
    const char *why = NULL;
    bool changed = alarm_unshelve(alarm, &now, &why);
    return answered(alarm, &before, changed, why);
}

bool rig_take_out(struct alarm *alarm, int64_t ms, int64_t for_ms) {
    struct now now = rig_at(ms);
    struct alarm before = *alarm;
    struct alarm_aside aside = {.by = "W", .reason = "new head", .until_ms = now.wall_ms + for_ms};
    const char *why = NULL;
    bool changed = alarm_take_out(alarm, &now, &aside, &why);
    return answered(alarm, &before, changed, why);
}

bool rig_put_back(struct alarm *alarm, int64_t ms) {
    struct now now = rig_at(ms);
    struct alarm before = *alarm;
    const char *why = NULL;
    bool changed = alarm_put_back(alarm, &now, &why);
    return answered(alarm, &before, changed, why);
}

int rig_suppress(struct alarm *alarm, int64_t ms, bool suppress) {
    struct now now = rig_at(ms);
    struct alarm before = *alarm;
    enum alarm_cause cause = 0;
    bool changed = alarm_suppress(alarm, &now, suppress, &cause);
    alarm_check(alarm);
    assert_true(changed == (cause != 0));
    if (!changed)
        assert_memory_equal(alarm, &before, sizeof(*alarm));
    return (int)cause;
}

struct config_alarm rig_rule_above(void) {
    return (struct config_alarm){.name = "high", .condition = CONDITION_ABOVE, .limit = 10, .of_n = 1, .of_m = 1, .zh = "", .en = ""};
}
