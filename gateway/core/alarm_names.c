/* SPDX-License-Identifier: Apache-2.0 */
/* The words of an alarm, as they stand in logs, events and topics. */
#include "base/check.h"
#include "gateway/core/alarm.h"

const char *alarm_state_name(enum alarm_state state) {
    switch (state) {
    case ALARM_NORMAL:
        return "normal";
    case ALARM_UNACKNOWLEDGED:
        return "unacknowledged";
    case ALARM_ACKNOWLEDGED:
        return "acknowledged";
    case ALARM_RETURNED:
        return "returned";
    case ALARM_LATCHED:
        return "latched";
    case ALARM_SHELVED:
        return "shelved";
    case ALARM_SUPPRESSED:
        return "suppressed";
    case ALARM_OUT_OF_SERVICE:
        return "out_of_service";
    }
    return "unknown";
}

const char *alarm_cause_name(enum alarm_cause cause) {
    static const char *const names[] = {"unknown", "condition", "return",     "acknowledge", "reset",          "restored",   "shelve",   "unshelve",
                                        "expired", "suppress",  "release",    "out_of_service", "in_service", "realarm", "escalate", "walk_ended",
                                        "removed"};
    return (unsigned)cause < ARRAY_COUNT(names) ? names[cause] : names[0];
}

bool alarm_state_active(enum alarm_state state) {
    return state == ALARM_UNACKNOWLEDGED || state == ALARM_ACKNOWLEDGED;
}

bool alarm_state_aside(enum alarm_state state) {
    return state == ALARM_SHELVED || state == ALARM_SUPPRESSED || state == ALARM_OUT_OF_SERVICE;
}
