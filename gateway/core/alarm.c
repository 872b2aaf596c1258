/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one alarm (ISA-18.2 / IEC 62682, by name):
 *
 *              condition                         acknowledge
 *    NORMAL ---------------> UNACKNOWLEDGED -------------------> ACKNOWLEDGED
 *      ^                       |         ^                         |      |
 *      |                return |         | condition        return |      | return
 *      |   acknowledge         v         |                         |      | (latching)
 *      |<------------------ RETURNED ----'                         |      |
 *      |<----------------------------------------------------------'      |
 *      |   reset                                                          |
 *      '<----------- LATCHED (from both active states when latching) <----'
 *
 *   state           condition        return                      acknowledge            reset
 *   NORMAL          UNACKNOWLEDGED   -                           refused                refused
 *   UNACKNOWLEDGED  -                RETURNED, latching LATCHED  ACKNOWLEDGED           refused (still active)
 *   ACKNOWLEDGED    -                NORMAL, latching LATCHED    refused (already)      refused (still active)
 *   RETURNED        UNACKNOWLEDGED   -                           NORMAL                 refused (nothing latched)
 *   LATCHED         UNACKNOWLEDGED   -                           LATCHED, acknowledged  NORMAL, once acknowledged
 *
 * "condition": at least n of the last m good readings were over the limit, for the whole on-delay. "return": no longer so,
 * counted with the deadband, for the whole off-delay. A reading inside the deadband continues what was before it.
 * What a person does changes no condition and disturbs no delay.
 * Guarantees: without a good value nothing changes: the state holds, a running delay is frozen and goes on with what was left
 * of it, so that flapping communication can neither clear an alarm nor keep it from coming. An occurrence lasts from leaving
 * NORMAL until NORMAL. A delay that runs has its deadline set, or is frozen with time left; never both. */
#include "gateway/core/alarm.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "sensors/decode.h"

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
    }
    return "unknown";
}

const char *alarm_cause_name(enum alarm_cause cause) {
    switch (cause) {
    case CAUSE_CONDITION:
        return "condition";
    case CAUSE_RETURN:
        return "return";
    case CAUSE_ACKNOWLEDGE:
        return "acknowledge";
    case CAUSE_RESET:
        return "reset";
    case CAUSE_RESTORED:
        return "restored";
    }
    return "unknown";
}

bool alarm_state_active(enum alarm_state state) {
    return state == ALARM_UNACKNOWLEDGED || state == ALARM_ACKNOWLEDGED;
}

void alarm_init(struct alarm *alarm, const struct config_alarm *rule) {
    *alarm = (struct alarm){.rule = rule, .state = ALARM_NORMAL, .deadline_us = NOW_NEVER};
}

static void delay_stop(struct alarm *alarm) {
    alarm->waiting = false;
    alarm->deadline_us = NOW_NEVER;
    alarm->frozen_us = 0;
}

/* The only writer of the state. */
static void enter(struct alarm *alarm, const struct now *now, enum alarm_state state) {
    delay_stop(alarm);
    alarm->at_ms = now->wall_ms;
    if (state == ALARM_UNACKNOWLEDGED)
        alarm->activations++;
    if (state == ALARM_LATCHED)
        alarm->acknowledged = alarm->state == ALARM_ACKNOWLEDGED;
    alarm->state = state;
}

static enum alarm_cause activate_or_return(struct alarm *alarm, const struct now *now) {
    if (!alarm_state_active(alarm->state)) {
        alarm->since_ms = alarm->waiting_ms;
        enter(alarm, now, ALARM_UNACKNOWLEDGED);
        return CAUSE_CONDITION;
    }
    if (alarm->rule->latch)
        enter(alarm, now, ALARM_LATCHED);
    else
        enter(alarm, now, alarm->state == ALARM_ACKNOWLEDGED ? ALARM_NORMAL : ALARM_RETURNED);
    return CAUSE_RETURN;
}

/* The condition as it is now: starts, continues or ends the delay that leads to the other side. */
static bool judge(struct alarm *alarm, const struct now *now, bool condition, enum alarm_cause *ret_cause) {
    bool active = alarm_state_active(alarm->state);
    if (condition == active) {
        delay_stop(alarm);
        return false;
    }
    if (!alarm->waiting) {
        int64_t delay_us = 1000 * (int64_t)(active ? alarm->rule->off_delay_ms : alarm->rule->on_delay_ms);
        alarm->waiting = true;
        alarm->deadline_us = now->mono_us + delay_us;
        if (!active)
            alarm->waiting_ms = now->wall_ms;
    } else if (alarm->deadline_us == NOW_NEVER) { /* frozen: the data is back and still says the same */
        alarm->deadline_us = now->mono_us + alarm->frozen_us;
        alarm->frozen_us = 0;
    }
    return alarm_on_time(alarm, now, ret_cause);
}

/* Over the limit, or within the deadband after a reading that was: what began ends only on the far side of the deadband, also
 * while a delay runs, so that noise around the limit neither keeps an alarm from coming nor from going. */
static bool over(const struct alarm *alarm, double number) {
    const struct config_alarm *rule = alarm->rule;
    double margin = alarm->history & 1 ? rule->deadband : 0;
    switch (rule->condition) {
    case CONDITION_ABOVE:
        return number > rule->limit - margin;
    case CONDITION_BELOW:
        return number < rule->limit + margin;
    case CONDITION_EQUAL:
        return number == rule->limit;
    case CONDITION_COMMUNICATION:
    case CONDITION_COMPOSITE:
    case CONDITION_ACTION:
        break;
    }
    CHECK(!"such a rule is not fed with values");
    return false;
}

bool alarm_on_value(struct alarm *alarm, const struct now *now, const struct value *value, enum alarm_cause *ret_cause) {
    double number;
    if (!value_number(value, &number)) {
        alarm_on_blind(alarm, now);
        return false;
    }
    alarm->value = *value;
    uint32_t window = alarm->rule->of_m >= 32 ? UINT32_MAX : (UINT32_C(1) << alarm->rule->of_m) - 1;
    alarm->history = (alarm->history << 1 | over(alarm, number)) & window;
    return judge(alarm, now, __builtin_popcount(alarm->history) >= alarm->rule->of_n, ret_cause);
}

void alarm_on_blind(struct alarm *alarm, const struct now *now) {
    if (!alarm->waiting || alarm->deadline_us == NOW_NEVER)
        return;
    if (alarm->deadline_us <= now->mono_us)
        return; /* it ran out while there was data; alarm_on_time says so, however late it is called */
    alarm->frozen_us = alarm->deadline_us - now->mono_us;
    alarm->deadline_us = NOW_NEVER;
}

bool alarm_on_communication(struct alarm *alarm, const struct now *now, bool dead, enum alarm_cause *ret_cause) {
    return judge(alarm, now, dead, ret_cause);
}

bool alarm_on_time(struct alarm *alarm, const struct now *now, enum alarm_cause *ret_cause) {
    if (!alarm->waiting || alarm->deadline_us > now->mono_us)
        return false;
    *ret_cause = activate_or_return(alarm, now);
    return true;
}

/* By a person: changes no condition, so a running delay goes on. */
static void enter_by_person(struct alarm *alarm, const struct now *now, enum alarm_state state) {
    bool waiting = alarm->waiting;
    int64_t deadline_us = alarm->deadline_us, frozen_us = alarm->frozen_us;
    enter(alarm, now, state);
    alarm->waiting = waiting;
    alarm->deadline_us = deadline_us;
    alarm->frozen_us = frozen_us;
}

bool alarm_acknowledge(struct alarm *alarm, const struct now *now, const char **ret_why) {
    switch (alarm->state) {
    case ALARM_UNACKNOWLEDGED:
        enter_by_person(alarm, now, ALARM_ACKNOWLEDGED);
        return true;
    case ALARM_RETURNED:
        enter_by_person(alarm, now, ALARM_NORMAL);
        return true;
    case ALARM_LATCHED:
        if (!alarm->acknowledged) {
            alarm->acknowledged = true;
            alarm->at_ms = now->wall_ms;
            return true;
        }
        *ret_why = "it is acknowledged already";
        return false;
    case ALARM_ACKNOWLEDGED:
        *ret_why = "it is acknowledged already";
        return false;
    case ALARM_NORMAL:
        *ret_why = "there is no alarm to acknowledge";
        return false;
    }
    return false;
}

bool alarm_reset(struct alarm *alarm, const struct now *now, const char **ret_why) {
    switch (alarm->state) {
    case ALARM_LATCHED:
        if (!alarm->acknowledged) {
            *ret_why = "it has to be acknowledged first";
            return false;
        }
        enter_by_person(alarm, now, ALARM_NORMAL);
        return true;
    case ALARM_UNACKNOWLEDGED:
    case ALARM_ACKNOWLEDGED:
        *ret_why = "its condition is still there";
        return false;
    case ALARM_RETURNED:
    case ALARM_NORMAL:
        *ret_why = "nothing is latched";
        return false;
    }
    return false;
}

int64_t alarm_next_wake(const struct alarm *alarm) {
    return alarm->waiting ? alarm->deadline_us : NOW_NEVER;
}

void alarm_check(const struct alarm *alarm) {
    CHECK(alarm->rule);
    CHECK(alarm->waiting || alarm->deadline_us == NOW_NEVER);
    CHECK(alarm->deadline_us == NOW_NEVER || alarm->frozen_us == 0);
    CHECK(alarm->waiting || alarm->frozen_us == 0);
    CHECK(alarm->state != ALARM_LATCHED || alarm->rule->latch);
    CHECK(alarm->state != ALARM_NORMAL || !alarm->occurrence_seq);
    CHECK(alarm->rule->of_n >= 1 && alarm->rule->of_n <= alarm->rule->of_m && alarm->rule->of_m <= 32);
}

/* Record: state, acknowledged, history, since, at, occurrence, value. A delay is not kept: after a restart it begins anew, which
 * can only make an alarm later by its own delay, never lose it. */
size_t alarm_record_put(const struct alarm *alarm, uint8_t ret_bytes[ALARM_RECORD_SIZE]) {
    struct bytes_writer writer;
    bytes_writer_init(&writer, ret_bytes, ALARM_RECORD_SIZE);
    bytes_put_u8(&writer, (uint8_t)alarm->state);
    bytes_put_u8(&writer, alarm->acknowledged);
    bytes_put_varint(&writer, alarm->history);
    bytes_put_zigzag(&writer, alarm->since_ms);
    bytes_put_zigzag(&writer, alarm->at_ms);
    bytes_put_u64(&writer, alarm->occurrence_start);
    bytes_put_varint(&writer, alarm->occurrence_seq);
    double number = 0;
    bool has_number = value_number(&alarm->value, &number);
    bytes_put_u8(&writer, has_number);
    bytes_put_double(&writer, number);
    CHECK(!writer.full);
    return writer.length;
}

bool alarm_record_get(struct alarm *alarm, const uint8_t *bytes, size_t size) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, bytes, size);
    uint8_t state = bytes_get_u8(&reader);
    bool acknowledged = bytes_get_u8(&reader) != 0;
    uint32_t history = (uint32_t)bytes_get_varint(&reader);
    int64_t since_ms = bytes_get_zigzag(&reader), at_ms = bytes_get_zigzag(&reader);
    uint64_t occurrence_start = bytes_get_u64(&reader), occurrence_seq = bytes_get_varint(&reader);
    bool has_number = bytes_get_u8(&reader) != 0;
    double number = bytes_get_double(&reader);
    if (reader.failed || state > ALARM_LATCHED)
        return false;
    if (state == ALARM_LATCHED && !alarm->rule->latch) /* the rule was changed: what waited for a reset waits for a person */
        state = acknowledged ? ALARM_NORMAL : ALARM_RETURNED;
    alarm->state = (enum alarm_state)state;
    alarm->acknowledged = acknowledged;
    alarm->history = history;
    alarm->since_ms = since_ms;
    alarm->at_ms = at_ms;
    alarm->occurrence_start = state == ALARM_NORMAL ? 0 : occurrence_start;
    alarm->occurrence_seq = state == ALARM_NORMAL ? 0 : occurrence_seq;
    alarm->value = has_number ? (struct value){.kind = VALUE_NUMBER, .number = number} : (struct value){.kind = VALUE_NONE};
    return true;
}
