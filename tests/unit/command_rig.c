/* SPDX-License-Identifier: Apache-2.0 */
#include "command_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* alarm-0 fire latching on device-0 in place shed-1; alarm-1 .. alarm-3 electrical on the others; alarm-4 electrical on device-0 too. */
void command_plant(struct site *site) {
    static const struct enumeration_label labels[] = {{0, "off"}, {1, "on"}, {7, "test"}};
    site->alarms[0].latch = true;
    site->alarms[4].device = 0;
    site->alarms[4].point = 1;
    site->config.alarms_count = 5;
    site->points[1][3].writable = true;
    site->points[1][2].writable = true;
    site->points[1][2].labels = labels;
    site->points[1][2].labels_count = 3;
    site->points[1][1].writable = site->points[1][1].has_range = true;
    site->points[1][1].type = TYPE_S16;
    site->points[1][1].range_min = -5;
    site->points[1][1].range_max = 5;
}

/* Refused with these words, and nothing has changed by it. */
void command_refused(struct core_rig *rig, int64_t ms, const struct command *command, const char *words) {
    static struct core_alarm alarms[5];
    static struct problems problems;
    static struct core_commands commands;
    static struct walk walk;
    uint64_t seq = rig->core.journal.next_seq;
    memcpy(alarms, rig->core.alarms, sizeof(alarms));
    memcpy(&problems, &rig->core.problems, sizeof(problems));
    memcpy(&commands, &rig->core.commands, sizeof(commands));
    memcpy(&walk, &rig->core.walk, sizeof(walk));
    core_rig_hush(rig);
    if (core_rig_ask(rig, ms, command))
        fail_msg("accepted, and should have been refused: %s", words);
    if (!strstr(rig->outcome.why, words))
        fail_msg("refused because '%s' instead of '%s'", rig->outcome.why, words);
    assert_memory_equal(alarms, rig->core.alarms, sizeof(alarms));
    assert_memory_equal(&problems, &rig->core.problems, sizeof(problems));
    assert_memory_equal(&commands, &rig->core.commands, sizeof(commands));
    assert_memory_equal(&walk, &rig->core.walk, sizeof(walk));
    assert_int_equal(rig->core.journal.next_seq, seq);
    assert_int_equal(rig->writes_count, 0);
    assert_true(core_rig_said(rig, " refused ("));
}

/* Accepted: told as an event of this kind with what was asked, and its id is recorded. */
void command_accepted(struct core_rig *rig, int64_t ms, const struct command *command, enum entry_kind kind) {
    struct entry entry;
    struct command told;
    uint64_t seq = rig->core.journal.next_seq;
    core_rig_hush(rig);
    if (!core_rig_ask(rig, ms, command))
        fail_msg("refused: %s", rig->outcome.why);
    assert_int_equal(core_rig_count(rig, kind, seq, &entry), 1);
    assert_true(entry.seq == rig->outcome.event_seq && entry.start == rig->outcome.event_start && entry.lane == LANE_EVENT);
    assert_true(entry_get_command(&entry, &told));
    assert_int_equal(told.verb, command->verb);
    assert_string_equal(told.id, command->id);
    assert_string_equal(told.by, "W");
    assert_string_equal(told.peer, command->peer);
    assert_int_equal(told.fields, command->fields);
    assert_true(told.authorised == command->authorised);
    assert_string_equal(told.device, command->device);
    assert_true(core_rig_said(rig, "done for W (socket uid 0)"));
    command_refused(rig, ms, command, "carried out already");
}

void command_raise(struct core_rig *rig, int64_t ms, uint16_t alarm) {
    core_rig_poll(rig, ms, alarm, 0, 11);
    assert_int_equal(core_rig_state(rig, alarm), ALARM_UNACKNOWLEDGED);
}

void command_put(char *field, const char *text) {
    strcpy(field, text);
}

struct command command_out(struct core_rig *rig, int64_t ms, const char *target, int64_t for_ms) {
    struct command command = core_rig_command(rig, ms, COMMAND_OUT_OF_SERVICE, target);
    command.fields |= FIELD_ON | FIELD_REASON | FIELD_UNTIL;
    command.on = true;
    command_put(command.reason, "new head");
    command.until_ms = site_now(ms).wall_ms + for_ms;
    return command;
}
