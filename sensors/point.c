/* SPDX-License-Identifier: Apache-2.0 */
/* The words of point.h as people and messages spell them. The spellings of quality and class are part of the MQTT contract. */
#include "sensors/point.h"

#include "base/check.h"

const char *quality_name(enum quality quality) {
    static const char *const names[] = {
        [QUALITY_GOOD] = "good",
        [QUALITY_UNCERTAIN] = "uncertain",
        [QUALITY_STALE] = "stale",
        [QUALITY_BAD] = "bad",
    };
    CHECK((unsigned)quality < ARRAY_COUNT(names));
    return names[quality];
}

const char *quality_reason_name(enum quality_reason reason) {
    static const char *const names[] = {
        [REASON_NONE] = "none",
        [REASON_ERROR_VALUE] = "error value",
        [REASON_OUT_OF_RANGE] = "out of range",
        [REASON_MALFORMED] = "malformed",
        [REASON_EXCEPTION] = "exception",
        [REASON_CORRUPT] = "corrupt",
        [REASON_NO_ANSWER] = "no answer",
        [REASON_DISCONNECTED] = "disconnected",
        [REASON_UNSEEN] = "not seen long enough",
        [REASON_CLOCK] = "clock not trusted",
        [REASON_NO_RESULT] = "no result",
    };
    CHECK((unsigned)reason < ARRAY_COUNT(names));
    return names[reason];
}

const char *alarm_class_name(enum alarm_class class) {
    static const char *const names[] = {
        [CLASS_FIRE] = "fire",   [CLASS_ELECTRICAL] = "electrical",   [CLASS_COMPLIANCE] = "compliance",
        [CLASS_FAULT] = "fault", [CLASS_MAINTENANCE] = "maintenance",
    };
    CHECK((unsigned)class < ARRAY_COUNT(names));
    return names[class];
}
