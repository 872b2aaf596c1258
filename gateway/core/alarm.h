/* SPDX-License-Identifier: Apache-2.0 */
/* One alarm: ISA-18.2 / IEC 62682 states over a condition with delays, deadband and N of M. Pure; owned by the core.
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
};

enum alarm_cause { /* stored: never renumbered */
    CAUSE_CONDITION = 1,  /* true for the on-delay */
    CAUSE_RETURN = 2,     /* false for the off-delay */
    CAUSE_ACKNOWLEDGE = 3,
    CAUSE_RESET = 4,
    CAUSE_RESTORED = 5,   /* read back at start */
};

const char *alarm_state_name(enum alarm_state state);
const char *alarm_cause_name(enum alarm_cause cause);
bool alarm_state_active(enum alarm_state state);

struct alarm {
    const struct config_alarm *rule;
    enum alarm_state state;
    bool acknowledged;   /* LATCHED only: taken before it returned, or since */
    bool waiting;        /* a delay runs: on-delay when not active, off-delay when active */
    int64_t deadline_us; /* of the running delay; NOW_NEVER when none runs or it is frozen */
    int64_t frozen_us;   /* what was left of a delay when the data stopped; 0 when not frozen */
    uint32_t history;    /* one bit a good reading, the newest in bit 0: N of M */
    int64_t since_ms;    /* wall time at which the condition of the newest activation began */
    int64_t waiting_ms;  /* the same of the on-delay that runs */
    int64_t at_ms;       /* wall time at which the present state was entered; 0 before the first */
    uint64_t occurrence_start, occurrence_seq;
    struct value value;  /* newest good value */
    uint64_t activations;
};

void alarm_init(struct alarm *alarm, const struct config_alarm *rule);

/* Feeds one reading (good value) and returns true when the state changed; *ret_cause says why. */
bool alarm_on_value(struct alarm *alarm, const struct now *now, const struct value *value, enum alarm_cause *ret_cause);
/* No usable value: holds the state, freezes a running delay. Never changes the state. */
void alarm_on_blind(struct alarm *alarm, const struct now *now);
/* Communication rules are fed with whether the device is dead. */
bool alarm_on_communication(struct alarm *alarm, const struct now *now, bool dead, enum alarm_cause *ret_cause);
/* A running delay ended. */
bool alarm_on_time(struct alarm *alarm, const struct now *now, enum alarm_cause *ret_cause);
/* By a person. false: it changes nothing in this state, *ret_why (static text) says why. */
bool alarm_acknowledge(struct alarm *alarm, const struct now *now, const char **ret_why);
bool alarm_reset(struct alarm *alarm, const struct now *now, const char **ret_why);

int64_t alarm_next_wake(const struct alarm *alarm);
void alarm_check(const struct alarm *alarm);

/* What survives a restart: written with each transition, read before anything is judged. */
#define ALARM_RECORD_SIZE 96
size_t alarm_record_put(const struct alarm *alarm, uint8_t ret_bytes[ALARM_RECORD_SIZE]);
bool alarm_record_get(struct alarm *alarm, const uint8_t *bytes, size_t size);

#endif
