/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/command.h"

#include <stddef.h>
#include <string.h>

#include "base/check.h"

#define TEXT(f, member, name_) {.field = f, .name = #member, .offset = offsetof(struct command, member), .size = sizeof(((struct command *)0)->member), .is_name = name_}

const struct command_text command_texts[] = {
    TEXT(FIELD_DEVICE, device, true),   TEXT(FIELD_ALARM, alarm, true),  TEXT(FIELD_POINT, point, true),     TEXT(FIELD_PLACE, place, true),
    TEXT(FIELD_PROBLEM, problem, false), TEXT(FIELD_TO, to, false),       TEXT(FIELD_COMPANY, company, false), TEXT(FIELD_TYPE, type, true),
    TEXT(FIELD_WHAT, what, false),      TEXT(FIELD_REASON, reason, false),
};
const unsigned command_texts_count = ARRAY_COUNT(command_texts);

#define ALARM (FIELD_DEVICE | FIELD_ALARM)

static const struct command_rule rules[] = {
    {COMMAND_ACKNOWLEDGE, "acknowledge", ALARM, ALARM | FIELD_WHAT, false},
    {COMMAND_SHELVE, "shelve", ALARM | FIELD_REASON | FIELD_UNTIL, ALARM | FIELD_REASON | FIELD_UNTIL, false},
    {COMMAND_UNSHELVE, "unshelve", ALARM, ALARM | FIELD_REASON, false},
    {COMMAND_OUT_OF_SERVICE, "out_of_service", FIELD_DEVICE | FIELD_ON, ALARM | FIELD_ON | FIELD_REASON | FIELD_UNTIL, false},
    {COMMAND_RESET, "reset", ALARM, ALARM | FIELD_WHAT, true},
    {COMMAND_ASSIGN, "assign", FIELD_PROBLEM | FIELD_TO, FIELD_PROBLEM | FIELD_TO | FIELD_WHAT, false},
    {COMMAND_RECTIFY, "rectify", FIELD_PROBLEM | FIELD_WHAT, FIELD_PROBLEM | FIELD_WHAT, false},
    {COMMAND_CLOSE, "close", FIELD_PROBLEM, FIELD_PROBLEM | FIELD_WHAT, false},
    {COMMAND_MAINTENANCE, "maintenance", FIELD_DEVICE | FIELD_TYPE | FIELD_WHAT,
     FIELD_DEVICE | FIELD_TYPE | FIELD_WHAT | FIELD_COMPANY | FIELD_NEXT_DUE, false},
    {COMMAND_WALK_TEST, "walk_test", 0, FIELD_DEVICE | FIELD_PLACE | FIELD_MINUTES | FIELD_INHIBIT | FIELD_STOP, false},
    {COMMAND_WRITE, "write", FIELD_DEVICE | FIELD_POINT | FIELD_VALUE, FIELD_DEVICE | FIELD_POINT | FIELD_VALUE | FIELD_REASON, true},
};

const struct command_rule *command_rule(enum command_verb verb) {
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++)
        if (rules[i].verb == verb)
            return &rules[i];
    return NULL;
}

const struct command_rule *command_rule_named(const char *name) {
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

const char *command_field_name(enum command_field field) {
    static const char *const names[] = {"device", "alarm",   "point", "place", "problem",  "to",      "what", "reason", "type",
                                        "company", "value", "until", "next_due", "minutes", "on", "inhibit", "stop"};
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
        if (field == 1u << i)
            return names[i];
    return "?";
}
