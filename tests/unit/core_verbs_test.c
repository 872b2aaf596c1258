/* SPDX-License-Identifier: Apache-2.0 */
/* Every verb of a command, accepted and refused for what it asks. An accepted one is an event in the journal with the channel it came by;
 * a refused one has changed nothing: no entry, no record, no state. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "command_rig.h"

static void test_acknowledge_and_reset(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(command_plant);
    struct entry entry;
    struct alarm_event event;
    struct command command = core_rig_command(rig, 500, COMMAND_ACKNOWLEDGE, "device-0/alarm-0");
    command_refused(rig, 500, &command, "no alarm to acknowledge");
    command_raise(rig, 1000, 0);
    command_accepted(rig, 2000, &command, ENTRY_COMMAND); /* a refusal does not use its id up */
    assert_int_equal(core_rig_state(rig, 0), ALARM_ACKNOWLEDGED);
    assert_true(core_rig_count(rig, ENTRY_ALARM, 1, &entry) && entry_get_alarm(&entry, &event));
    assert_int_equal(event.cause, CAUSE_ACKNOWLEDGE);
    assert_string_equal(event.by, "W");
    command = core_rig_command(rig, 2000, COMMAND_RESET, "device-0/alarm-0");
    command_refused(rig, 2000, &command, "still there");
    core_rig_poll(rig, 3000, 0, 0, 9);
    command_accepted(rig, 4000, &command, ENTRY_COMMAND);
    assert_int_equal(core_rig_state(rig, 0), ALARM_NORMAL);
    command = core_rig_command(rig, 5000, COMMAND_RESET, "device-0/alarm-0");
    command_refused(rig, 5000, &command, "nothing is latched");
    command_raise(rig, 6000, 0);
    core_rig_poll(rig, 7000, 0, 0, 9);
    command_refused(rig, 7000, &command, "acknowledged first");
    core_rig_end(rig);
}

static void test_shelve_and_unshelve(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(command_plant);
    struct command command = core_rig_command(rig, 1000, COMMAND_SHELVE, "device-1/alarm-1");
    command_refused(rig, 1000, &command, "fields");
    command.fields |= FIELD_UNTIL;
    command.until_ms = site_now(1000).wall_ms + 600000;
    command_refused(rig, 1000, &command, "fields");
    command.fields |= FIELD_REASON;
    command_refused(rig, 1000, &command, "a person and a reason");
    command_put(command.reason, "welding");
    command.until_ms = site_now(1000).wall_ms + ALARM_SHELF_MAX_MS + 1;
    command_refused(rig, 1000, &command, "a week at most");
    command.until_ms = site_now(1000).wall_ms - 1;
    command_refused(rig, 1000, &command, "not in the future");
    command.until_ms = site_now(1000).wall_ms + 600000;
    command_accepted(rig, 1000, &command, ENTRY_COMMAND);
    assert_int_equal(core_rig_state(rig, 1), ALARM_SHELVED);
    core_rig_poll(rig, 2000, 1, 0, 11);
    command = core_rig_command(rig, 3000, COMMAND_UNSHELVE, "device-1/alarm-1");
    command_accepted(rig, 3000, &command, ENTRY_COMMAND);
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED);
    command = core_rig_command(rig, 4000, COMMAND_UNSHELVE, "device-1/alarm-1");
    command_refused(rig, 4000, &command, "not shelved");
    command = core_rig_command(rig, 4000, COMMAND_SHELVE, "device-0/alarm-0"); /* fire: an hour at most */
    command.fields |= FIELD_UNTIL | FIELD_REASON;
    command_put(command.reason, "welding");
    command.until_ms = site_now(4000).wall_ms + ALARM_SHELF_FIRE_MAX_MS + 1;
    command_refused(rig, 4000, &command, "too long for a fire alarm: its shelf lasts an hour");
    command.until_ms--;
    command_accepted(rig, 4000, &command, ENTRY_COMMAND);
    core_rig_end(rig);
}

/* One alarm or all of a device, and all or none: device-0 has one of class fire, first, and one that is not. */
static void test_out_of_service(void **state) {
    (void)state;
    for (int swapped = 0; swapped < 2; swapped++) {
        struct core_rig *rig = core_rig_begin(command_plant);
        if (swapped) { /* whichever stands first */
            rig->site.alarms[0].class = CLASS_ELECTRICAL;
            rig->site.alarms[4].class = CLASS_FIRE;
        }
        struct command command = command_out(rig, 1000, "device-0", 3 * 86400000ll);
        command_refused(rig, 1000, &command, "too long for a fire alarm");
        command = command_out(rig, 1000, "device-0", 3600000);
        command.fields &= ~(uint32_t)FIELD_UNTIL;
        command_refused(rig, 1000, &command, "a reason and an end");
        command.fields |= FIELD_UNTIL;
        command_accepted(rig, 1000, &command, ENTRY_COMMAND);
        assert_true(core_rig_state(rig, 0) == ALARM_OUT_OF_SERVICE && core_rig_state(rig, 4) == ALARM_OUT_OF_SERVICE);
        assert_int_equal(core_rig_state(rig, 1), ALARM_NORMAL); /* another device's */
        core_rig_end(rig);
    }
    struct core_rig *rig = core_rig_begin(command_plant);
    struct command command = command_out(rig, 1000, "device-0/alarm-4", 3 * 86400000ll);
    command_accepted(rig, 1000, &command, ENTRY_COMMAND);
    assert_true(core_rig_state(rig, 0) == ALARM_NORMAL && core_rig_state(rig, 4) == ALARM_OUT_OF_SERVICE);
    command = core_rig_command(rig, 2000, COMMAND_SHELVE, "device-0/alarm-4");
    command.fields |= FIELD_UNTIL | FIELD_REASON;
    command_put(command.reason, "r");
    command.until_ms = site_now(3000).wall_ms;
    command_refused(rig, 2000, &command, "out of service");
    command = core_rig_command(rig, 2000, COMMAND_OUT_OF_SERVICE, "device-0"); /* back: what was out */
    command.fields |= FIELD_ON;
    command_accepted(rig, 2000, &command, ENTRY_COMMAND);
    assert_int_equal(core_rig_state(rig, 4), ALARM_NORMAL);
    command = core_rig_command(rig, 3000, COMMAND_OUT_OF_SERVICE, "device-0");
    command.fields |= FIELD_ON;
    command_refused(rig, 3000, &command, "not out of service");
    core_rig_end(rig);
}

static struct command about(struct core_rig *rig, int64_t ms, enum command_verb verb, const char *id) {
    struct command command = core_rig_command(rig, ms, verb, "");
    command.fields |= FIELD_PROBLEM;
    command_put(command.problem, id);
    return command;
}

static void test_problem(void **state) {
    (void)state;
    static const char *const wrong[] = {"",   "gw", "gw-00000000000000ab", "gw-00000000000000ab-", "gw-00000000000000ab-99", "gx-00000000000000ab-2",
                                        "gw-00000000000000zz-2", "gw-00000000000000ab-2x", "gw-00000000000000ab-2-2"};
    struct core_rig *rig = core_rig_begin(command_plant);
    char id[64];
    struct entry entry;
    struct problem_event event;
    command_raise(rig, 1000, 0);
    assert_int_equal(core_rig_count(rig, ENTRY_PROBLEM, 1, &entry), 1);
    assert_true(entry_get_problem(&entry, &event) && event.state == PROBLEM_OPEN);
    snprintf(id, sizeof(id), "gw-%016llx-%llu", (unsigned long long)event.start, (unsigned long long)event.seq);
    assert_int_equal(event.seq, rig->core.alarms[0].alarm.occurrence_seq);
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct command command = about(rig, 1500, COMMAND_CLOSE, wrong[i]);
        command_refused(rig, 1500, &command, "no open problem with this id");
    }
    struct command command = about(rig, 2000, COMMAND_ASSIGN, id);
    command_refused(rig, 2000, &command, "fields");
    command.fields |= FIELD_TO;
    command_put(command.to, "Wang");
    command_accepted(rig, 2000, &command, ENTRY_COMMAND);
    core_rig_count(rig, ENTRY_PROBLEM, 1, &entry);
    assert_true(entry_get_problem(&entry, &event) && event.state == PROBLEM_ASSIGNED);
    assert_string_equal(event.to, "Wang");
    assert_string_equal(event.by, "W");
    command = about(rig, 3000, COMMAND_CLOSE, id);
    command_refused(rig, 3000, &command, "not rectified");
    command = about(rig, 3000, COMMAND_RECTIFY, id);
    command.fields |= FIELD_WHAT;
    command_put(command.what, "head replaced");
    command_accepted(rig, 3000, &command, ENTRY_COMMAND);
    command = about(rig, 4000, COMMAND_RECTIFY, id);
    command.fields |= FIELD_WHAT;
    command_refused(rig, 4000, &command, "rectified already");
    command = about(rig, 4000, COMMAND_ASSIGN, id);
    command.fields |= FIELD_TO;
    command_refused(rig, 4000, &command, "rectified already");
    command = about(rig, 4000, COMMAND_CLOSE, id);
    command_refused(rig, 4000, &command, "second person"); /* W rectified it */
    command_put(command.by, "B");
    command_refused(rig, 4000, &command, "not normal");
    assert_true(core_rig_do(rig, 5000, COMMAND_ACKNOWLEDGE, "device-0/alarm-0"));
    core_rig_poll(rig, 6000, 0, 0, 9);
    command_refused(rig, 6000, &command, "not normal"); /* latched */
    assert_true(core_rig_do(rig, 7000, COMMAND_RESET, "device-0/alarm-0"));
    assert_non_null(core_rig_record(rig, ".problem", "0"));
    command = about(rig, 8000, COMMAND_CLOSE, id);
    command_put(command.by, "B");
    assert_true(core_rig_ask(rig, 8000, &command));
    core_rig_count(rig, ENTRY_PROBLEM, 1, &entry);
    assert_true(entry_get_problem(&entry, &event) && event.state == PROBLEM_CLOSED);
    assert_string_equal(event.by, "B");
    assert_null(core_rig_record(rig, ".problem", "0"));
    command = about(rig, 9000, COMMAND_CLOSE, id);
    command_refused(rig, 9000, &command, "no open problem");
    core_rig_end(rig);
}

/* The longest name a gateway may have: its problems can be closed, too. */
static void test_problem_of_a_gateway_with_a_long_name(void **state) {
    (void)state;
    static char name[NAME_SIZE];
    struct core_rig *rig = core_rig_begin(command_plant);
    memset(name, 'g', sizeof(name) - 1);
    rig->site.config.gateway_id = name;
    command_raise(rig, 1000, 0);
    rig->core.problems.items[0].start = rig->core.problems.items[0].seq = UINT64_MAX;
    struct command command = core_rig_command(rig, 2000, COMMAND_RECTIFY, "");
    command.fields |= FIELD_PROBLEM | FIELD_WHAT;
    int length = snprintf(command.problem, sizeof(command.problem), "%s-%016llx-%llu", name, ULLONG_MAX, ULLONG_MAX);
    assert_true(length < (int)sizeof(command.problem));
    command_accepted(rig, 2000, &command, ENTRY_COMMAND);
    core_rig_end(rig);
}

static void test_maintenance(void **state) {
    (void)state;
    static const char *const types[] = {"cleaning", "filter", "repair", "calibration", "inspection"};
    struct core_rig *rig = core_rig_begin(command_plant);
    struct command command;
    for (unsigned i = 0; i < 5; i++) {
        command = core_rig_command(rig, 1000, COMMAND_MAINTENANCE, "device-2");
        command.fields |= FIELD_TYPE | FIELD_WHAT | FIELD_COMPANY | FIELD_NEXT_DUE;
        command_put(command.type, types[i]);
        command_put(command.what, "hood");
        command.next_due_ms = site_now(1000).wall_ms + 86400000;
        command_accepted(rig, 1000, &command, ENTRY_MAINTENANCE);
    }
    command = core_rig_command(rig, 2000, COMMAND_MAINTENANCE, "device-2");
    command.fields |= FIELD_TYPE | FIELD_WHAT;
    command_put(command.type, "painting");
    command_refused(rig, 2000, &command, "one of cleaning");
    command = core_rig_command(rig, 2000, COMMAND_MAINTENANCE, "device-2");
    command.fields |= FIELD_WHAT;
    command_refused(rig, 2000, &command, "fields");
    core_rig_end(rig);
}

static void test_walk_test(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(command_plant);
    struct command command = core_rig_command(rig, 1000, COMMAND_WALK_TEST, "");
    command_refused(rig, 1000, &command, "give one of them");
    command.fields |= FIELD_PLACE;
    command_put(command.place, "shed-9");
    command_refused(rig, 1000, &command, "no such place");
    command_put(command.place, "shed-1");
    command.fields |= FIELD_DEVICE;
    command_put(command.device, "device-0");
    command_refused(rig, 1000, &command, "give one of them");
    command.fields &= ~(uint32_t)FIELD_DEVICE;
    command.device[0] = '\0';
    command.fields |= FIELD_MINUTES;
    command.minutes = 0;
    command_refused(rig, 1000, &command, "minutes must be 1 to 120");
    command.minutes = WALK_MINUTES_MAX + 1;
    command_refused(rig, 1000, &command, "minutes must be 1 to 120");
    command.minutes = WALK_MINUTES_MAX;
    command_accepted(rig, 1000, &command, ENTRY_COMMAND);
    assert_true(rig->core.walk.on);
    assert_int_equal(core_rig_count(rig, ENTRY_WALK_TEST, 1, NULL), 1);
    command = core_rig_command(rig, 2000, COMMAND_WALK_TEST, "device-1");
    command_refused(rig, 2000, &command, "going on already");
    command = core_rig_command(rig, 3000, COMMAND_WALK_TEST, "");
    command.fields |= FIELD_STOP;
    command.stop = true;
    command_accepted(rig, 3000, &command, ENTRY_COMMAND);
    assert_false(rig->core.walk.on);
    assert_int_equal(core_rig_count(rig, ENTRY_WALK_TEST, 1, NULL), 2);
    command = core_rig_command(rig, 4000, COMMAND_WALK_TEST, "");
    command.fields |= FIELD_STOP;
    command.stop = true;
    command_refused(rig, 4000, &command, "no walk test");
    command = core_rig_command(rig, 4000, COMMAND_WALK_TEST, "device-1");
    command_accepted(rig, 4000, &command, ENTRY_COMMAND);
    assert_int_equal(rig->core.walk.ends_us, 4000000 + WALK_MINUTES_DEFAULT * INT64_C(60000000));
    core_rig_end(rig);
}

static struct command write_of(struct core_rig *rig, const char *point, const char *text, double value) {
    struct command command = core_rig_command(rig, 1000, COMMAND_WRITE, "device-1");
    command.fields |= FIELD_POINT | FIELD_VALUE;
    command_put(command.point, point);
    command_put(command.value_text, text);
    command.value = value;
    return command;
}

static void test_write(void **state) {
    (void)state;
    static const struct {
        const char *point, *text;
        double value, wanted;
    } good[] = {{"p3", "", 5, 5}, {"p3", "on", 0, 1}, {"p3", "off", 9, 0}, {"p2", "test", 0, 7}, {"p2", "off", 3, 0}, {"p1", "", -5, -5}};
    static const struct {
        const char *point, *text;
        double value;
        const char *why;
    } bad[] = {{"p0", "", 1, "cannot be written"},      {"p9", "", 1, "no such point"},         {"p3", "open", 0, "no such value"},
               {"p2", "On", 0, "no such value"},        {"p1", "", 5.5, "outside the point's"}, {"p1", "", -1e300, "outside the point's"},
               {"p3", "", 65536, "cannot hold"},        {"p3", "", -1, "cannot hold"}};
    struct core_rig *rig = core_rig_begin(command_plant);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct command command = write_of(rig, bad[i].point, bad[i].text, bad[i].value);
        command_refused(rig, 1000, &command, bad[i].why);
    }
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct command command = write_of(rig, good[i].point, good[i].text, good[i].value);
        assert_true(core_rig_ask(rig, 1000, &command));
        assert_int_equal(rig->writes_count, 1);
        assert_true(rig->writes[0].value == good[i].wanted);
        core_rig_write_ends(rig, 1000, true);
    }
    struct command command = write_of(rig, "p3", "", 1);
    core_rig_ask(rig, 1000, &command);
    core_rig_write_ends(rig, 1000, true);
    command = write_of(rig, "p3", "", 1);
    command.authorised = false;
    command_refused(rig, 1000, &command, "signature");
    core_rig_end(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acknowledge_and_reset),
        cmocka_unit_test(test_shelve_and_unshelve),
        cmocka_unit_test(test_out_of_service),
        cmocka_unit_test(test_problem),
        cmocka_unit_test(test_problem_of_a_gateway_with_a_long_name),
        cmocka_unit_test(test_maintenance),
        cmocka_unit_test(test_walk_test),
        cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
