/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a command may be done at all, whatever it asks: read, not retained, in time, not done before, authorised, with room to remember
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "command_rig.h"

static void test_refusals(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(command_plant);
    command_raise(rig, 1000, 0);
    int64_t wall_ms = site_now(2000).wall_ms;
    const struct command good = core_rig_command(rig, 2000, COMMAND_ACKNOWLEDGE, "device-0/alarm-0");
    struct command command = good;
    command_put(command.refusal, "its payload is no JSON");
    command_refused(rig, 2000, &command, "its payload is no JSON");
    command = good;
    command.verb = 0;
    command_refused(rig, 2000, &command, "no such command");
    command.verb = (enum command_verb)99;
    command_refused(rig, 2000, &command, "no such command");
    command = good;
    command.retained = true;
    command_refused(rig, 2000, &command, "retain");
    command = good;
    command.fields |= FIELD_MINUTES;
    command_refused(rig, 2000, &command, "fields");
    command = good;
    command.fields = FIELD_DEVICE;
    command_refused(rig, 2000, &command, "fields");
    command = good;
    command.expires_ms = wall_ms;
    command_refused(rig, 2000, &command, "expired");
    command = good;
    command.issued_ms = wall_ms + COMMAND_AHEAD_MAX_MS + 1;
    command.expires_ms = command.issued_ms + 1000;
    command_refused(rig, 2000, &command, "in the future");
    command.issued_ms--; /* two clocks are never equal */
    assert_true(command.issued_ms == wall_ms + COMMAND_AHEAD_MAX_MS);
    command = good;
    command.issued_ms = wall_ms - 1000;
    command.expires_ms = command.issued_ms + COMMAND_LIFE_MAX_MS + 1;
    command_refused(rig, 2000, &command, "within an hour");
    command = good;
    command.issued_ms = command.expires_ms;
    command_refused(rig, 2000, &command, "within an hour");
    command = good;
    command_put(command.device, "device-9");
    command_refused(rig, 2000, &command, "no such device");
    command = good;
    command_put(command.alarm, "alarm-1");
    command_refused(rig, 2000, &command, "no such alarm");
    command = core_rig_command(rig, 2000, COMMAND_RESET, "device-0/alarm-0");
    command.authorised = false;
    command_refused(rig, 2000, &command, "signature");
    command = good; /* and what needs none is taken without one, at the edges of its time */
    command.authorised = false;
    command.issued_ms = wall_ms + COMMAND_AHEAD_MAX_MS;
    command.expires_ms = command.issued_ms + COMMAND_LIFE_MAX_MS;
    command_accepted(rig, 2000, &command, ENTRY_COMMAND);
    core_rig_end(rig);
}

/* Without a trusted clock nothing from a broker, and from the gateway's own machine nothing that has an end. */
static void test_clock_not_trusted(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(command_plant);
    command_raise(rig, 1000, 0);
    command_raise(rig, 1000, 1);
    struct now now = site_now(2000);
    now.wall_trusted = false;
    now.wall_ms = 5000; /* 1970 */
    core_on_clock(&rig->core, &now);
    struct command_outcome outcome;
    struct command command = core_rig_command(rig, 2000, COMMAND_ACKNOWLEDGE, "device-0/alarm-0");
    command.channel = CHANNEL_MQTT;
    core_on_command(&rig->core, &now, &command, &outcome);
    assert_true(!outcome.ok && strstr(outcome.why, "clock is not set"));
    command.channel = CHANNEL_SOCKET;
    core_on_command(&rig->core, &now, &command, &outcome);
    assert_true(outcome.ok);
    command = core_rig_command(rig, 2000, COMMAND_SHELVE, "device-1/alarm-1");
    command.fields |= FIELD_REASON | FIELD_UNTIL;
    command_put(command.reason, "r");
    command.until_ms = now.wall_ms + 1000;
    core_on_command(&rig->core, &now, &command, &outcome);
    assert_true(!outcome.ok && strstr(outcome.why, "clock is not set"));
    command = command_out(rig, 2000, "device-1", 1000);
    core_on_command(&rig->core, &now, &command, &outcome);
    assert_true(!outcome.ok && strstr(outcome.why, "clock is not set"));
    command = core_rig_command(rig, 2000, COMMAND_WALK_TEST, "device-1");
    command.fields |= FIELD_MINUTES;
    command.minutes = 5;
    core_on_command(&rig->core, &now, &command, &outcome);
    assert_true(!outcome.ok && strstr(outcome.why, "clock is not set"));
    assert_int_equal(core_rig_state(rig, 1), ALARM_UNACKNOWLEDGED);
    core_rig_end(rig);
}

/* ---- once ---- */

/* An id is not done again as long as a copy of the command could still be in time, over restarts, too. */
static void test_repeated(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(command_plant);
    command_raise(rig, 1000, 0);
    struct command command = core_rig_command(rig, 2000, COMMAND_ACKNOWLEDGE, "device-0/alarm-0");
    command.expires_ms = command.issued_ms + COMMAND_LIFE_MAX_MS;
    command_accepted(rig, 2000, &command, ENTRY_COMMAND);
    for (int cut = 0; cut < 3; cut++) {
        core_rig_cut(rig, 10000 * (cut + 1), cut < 2);
        command_refused(rig, 10000 * (cut + 1), &command, "carried out already");
    }
    int64_t late_ms = 2000 + COMMAND_LIFE_MAX_MS - 1;
    struct now now = site_now(late_ms);
    core_on_clock(&rig->core, &now);
    command_refused(rig, late_ms, &command, "carried out already"); /* until the last moment */
    command_refused(rig, late_ms + 1, &command, "expired");
    core_rig_end(rig);
}

/* The memory for ids is bounded: more than it holds within an hour are refused, and those that are remembered stay so. */
static void test_three_hundred_in_an_hour(void **state) {
    (void)state;
    struct core_rig *rig = core_rig_begin(command_plant);
    struct command first = {.verb = 0}, command;
    for (unsigned i = 0; i < 300; i++) {
        int64_t ms = 1000 + 10000 * i;
        command = core_rig_command(rig, ms, COMMAND_MAINTENANCE, "device-2");
        command.fields |= FIELD_TYPE | FIELD_WHAT;
        command_put(command.type, "repair");
        command.expires_ms = command.issued_ms + COMMAND_LIFE_MAX_MS;
        if (i == 0)
            first = command;
        assert_true(core_rig_ask(rig, ms, &command) == (i < COMMANDS_KEPT));
        if (i >= COMMANDS_KEPT)
            assert_non_null(strstr(rig->outcome.why, "too many commands in the last hour"));
    }
    command_refused(rig, 3000000, &first, "carried out already");
    int64_t later_ms = 1000 + COMMAND_LIFE_MAX_MS + 1; /* the first has expired */
    assert_true(core_rig_ask(rig, later_ms, &command));
    command = core_rig_command(rig, later_ms, COMMAND_MAINTENANCE, "device-2");
    command.fields |= FIELD_TYPE | FIELD_WHAT;
    command_put(command.type, "repair");
    command_refused(rig, later_ms, &command, "too many commands");
    core_rig_end(rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_clock_not_trusted),
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_three_hundred_in_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
