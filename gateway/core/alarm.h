/* SPDX-License-Identifier: Apache-2.0 */
/* One alarm: the life of ISA-18.2 / IEC 62682 over a condition with delays, deadband and N of M. Pure; owned by the core.
 * The drawing, the table and the guarantees stand at the top of alarm.c. */
#ifndef YANHUO_ALARM_H
#define YANHUO_ALARM_H

#include "base/now.h"
#include "config/config.h"

enum alarm_state { /* stored: never renumbered */
    ALARM_NORMAL = 0,
    ALARM_UNACKNOWLEDGED = 1, /* active, nobody has taken it */
    ALARM_ACKNOWLEDGED = 2,   /* active, somebody has */
    ALARM_RETURNED = 3,       /* no longer active, nobody has taken it */
    ALARM_LATCHED = 4,        /* no longer active, waits for a reset; acknowledged or not in `acknowledged` */
    ALARM_SHELVED = 5,        /* put aside by a person for a while */
    ALARM_SUPPRESSED = 6,     /* put aside by design: another alarm says more */
    ALARM_OUT_OF_SERVICE = 7, /* put aside by a person because its device is worked on */
};
#define ALARM_STATES_COUNT 8

enum alarm_cause { /* stored: never renumbered */
    CAUSE_CONDITION = 1,      /* true for the on-delay */
    CAUSE_RETURN = 2,         /* false for the off-delay */
    CAUSE_ACKNOWLEDGE = 3,
    CAUSE_RESET = 4,
    CAUSE_RESTORED = 5,       /* read back at start */
    CAUSE_SHELVE = 6,
    CAUSE_UNSHELVE = 7,
    CAUSE_EXPIRED = 8,        /* a shelf or an out of service came to its end, or a restart ended it for want of a trusted clock */
    CAUSE_SUPPRESS = 9,
    CAUSE_RELEASE = 10,       /* of a suppression */
    CAUSE_OUT_OF_SERVICE = 11,
    CAUSE_IN_SERVICE = 12,
    CAUSE_REALARM = 13,       /* unacknowledged for long: told again */
    CAUSE_ESCALATE = 14,      /* unacknowledged for long: told again with a higher priority */
    CAUSE_WALK_ENDED = 15,    /* came as a test, is still active when the test is over: now it is real */
    CAUSE_REMOVED = 16,       /* is no longer configured */
};

const char *alarm_state_name(enum alarm_state state);
const char *alarm_cause_name(enum alarm_cause cause);
bool alarm_state_active(enum alarm_state state);
bool alarm_state_aside(enum alarm_state state); /* shelved, suppressed, out of service */

#define ALARM_REASON_SIZE 96

struct alarm_aside { /* who put it aside, why, until when */
    char by[NAME_SIZE], reason[ALARM_REASON_SIZE];
    int64_t until_ms; /* wall */
};

struct alarm {
    const struct config_alarm *rule;
    enum alarm_state state;
    bool abnormal;       /* the condition holds, delays included; what the state would say if nobody had put it aside */
    bool acknowledged;   /* LATCHED only: taken before it returned, or since */
    bool owed;           /* put aside: a person still has to see it when it comes back (latching and fire) */
    bool noted;          /* the condition turned round while it was put aside: not told, but to be saved; cleared by who saves it */
    bool raised;         /* escalated: its priority is one higher */
    bool waiting;        /* a delay runs: on-delay when not abnormal, off-delay when abnormal */
    int64_t deadline_us; /* of the running delay; NOW_NEVER when none runs or it is frozen */
    int64_t frozen_us;   /* what was left of a delay when the data stopped; 0 when not frozen */
    int64_t realarm_us, escalate_us; /* NOW_NEVER when none is due */
    int64_t aside_us;    /* end of a shelf or out of service; NOW_NEVER */
    struct alarm_aside aside;
    uint32_t history;    /* one bit a good reading, the newest in bit 0: N of M */
    int64_t since_ms;    /* wall time at which the condition of the newest activation began */
    int64_t waiting_ms;  /* the same of the on-delay that runs */
    int64_t at_ms;       /* wall time at which the present state was entered; 0 before the first */
    uint64_t occurrence_start, occurrence_seq;
    struct value value;  /* newest good value */
    uint64_t activations;
};

void alarm_init(struct alarm *alarm, const struct config_alarm *rule);
enum priority alarm_priority(const struct alarm *alarm);

/* Feeds one reading (good value) and returns true when the state changed; *ret_cause says why. */
bool alarm_on_value(struct alarm *alarm, const struct now *now, const struct value *value, enum alarm_cause *ret_cause);
/* No usable value: holds the state, freezes a running delay. Never changes the state. */
void alarm_on_blind(struct alarm *alarm, const struct now *now);
/* Rules without a value of their own (communication, composite, action) are fed with whether their condition holds. */
bool alarm_on_truth(struct alarm *alarm, const struct now *now, bool condition, enum alarm_cause *ret_cause);
/* A deadline came: true when there is something to tell. To be called until it says false. */
bool alarm_on_time(struct alarm *alarm, const struct now *now, enum alarm_cause *ret_cause);
/* By design: another alarm is active (or no longer). Never touches an alarm that is not normal, nor class fire. */
bool alarm_suppress(struct alarm *alarm, const struct now *now, bool suppress, enum alarm_cause *ret_cause);

/* By a person. false: it changes nothing in this state, *ret_why (static text) says why. */
bool alarm_acknowledge(struct alarm *alarm, const struct now *now, const char **ret_why);
bool alarm_reset(struct alarm *alarm, const struct now *now, const char **ret_why);
bool alarm_shelve(struct alarm *alarm, const struct now *now, const struct alarm_aside *aside, const char **ret_why);
bool alarm_unshelve(struct alarm *alarm, const struct now *now, const char **ret_why);
bool alarm_take_out(struct alarm *alarm, const struct now *now, const struct alarm_aside *aside, const char **ret_why);
bool alarm_put_back(struct alarm *alarm, const struct now *now, const char **ret_why);
#define ALARM_SHELF_MAX_MS (7 * 86400000ll)
#define ALARM_SHELF_FIRE_MAX_MS 3600000ll
#define ALARM_OUT_MAX_MS (90 * 86400000ll)
#define ALARM_OUT_FIRE_MAX_MS 86400000ll /* a detector's head can be replaced within a day */

/* A walk test's alarm is over when its condition is: nothing latches, nobody has to take it. */
void alarm_test_returned(struct alarm *alarm, const struct now *now);
/* The test is over: what is still active is real and nobody has taken it; what was put aside meanwhile stays so. False: it is normal. */
bool alarm_test_ended(struct alarm *alarm, const struct now *now);

int64_t alarm_next_wake(const struct alarm *alarm);
void alarm_check(const struct alarm *alarm);

/* What survives a restart: written with each transition, read before anything is judged. */
#define ALARM_RECORD_SIZE 256
size_t alarm_record_put(const struct alarm *alarm, uint8_t ret_bytes[ALARM_RECORD_SIZE]);
bool alarm_record_get(struct alarm *alarm, const uint8_t *bytes, size_t size);
/* What a record tells of an alarm whose rule is gone. ALARM_UNKNOWN: it is of an earlier version, or damaged. */
#define ALARM_UNKNOWN 255
struct alarm_remains {
    uint8_t state, class, priority;
    uint64_t occurrence_start, occurrence_seq;
    int64_t since_ms;
    struct value value;
    struct alarm_aside aside;
};
void alarm_record_look(struct alarm_remains *ret_remains, const uint8_t *bytes, size_t size);
/* After alarm_record_get: sets the clocks going that a record cannot keep. True when a shelf ended by it. */
bool alarm_on_restart(struct alarm *alarm, const struct now *now);

#endif
