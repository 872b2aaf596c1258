/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one alarm (ISA-18.2 / IEC 62682, states by name):
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
 *    any of these -- shelve --> SHELVED          NORMAL -- suppress --> SUPPRESSED
 *    any of these, SHELVED, SUPPRESSED -- take out --> OUT_OF_SERVICE
 *    SHELVED, SUPPRESSED, OUT_OF_SERVICE -- end --> back: UNACKNOWLEDGED when the condition holds; LATCHED (latching) or RETURNED
 *                                                   (class fire) when a person still has to see it; otherwise NORMAL
 *
 *   state           condition       return                      acknowledge            reset                     shelve    take out
 *   NORMAL          UNACKNOWLEDGED  -                           refused                refused                   SHELVED   OUT_OF_SERVICE
 *   UNACKNOWLEDGED  -               RETURNED, latching LATCHED  ACKNOWLEDGED           refused (still active)    SHELVED   OUT_OF_SERVICE
 *                                   auto_acknowledge NORMAL
 *   ACKNOWLEDGED    -               NORMAL, latching LATCHED    refused (already)      refused (still active)    SHELVED   OUT_OF_SERVICE
 *   RETURNED        UNACKNOWLEDGED  -                           NORMAL                 refused (nothing latched) SHELVED   OUT_OF_SERVICE
 *   LATCHED         UNACKNOWLEDGED  -                           LATCHED, acknowledged  NORMAL, once acknowledged SHELVED   OUT_OF_SERVICE
 *   SHELVED         noted           noted                       refused                refused                   new end   OUT_OF_SERVICE
 *   SUPPRESSED      noted           noted                       refused                refused                   SHELVED   OUT_OF_SERVICE
 *   OUT_OF_SERVICE  noted           noted                       refused                refused                   refused   new end
 *
 *   suppress: NORMAL -> SUPPRESSED, all others -; never class fire.   unshelve: SHELVED -> back, others refused.
 *   put back: OUT_OF_SERVICE -> back, others refused.                 time: SHELVED and OUT_OF_SERVICE -> back at their end.
 *   re-alarm, escalation: UNACKNOWLEDGED, RETURNED and LATCHED that nobody has acknowledged are told again; the state stays.
 *
 * "condition": at least n of the last m good readings were over the limit, for the whole on-delay. "return": no longer so,
 * counted with the deadband, for the whole off-delay. A reading inside the deadband continues what was before it.
 * What a person does changes no condition and disturbs no delay; putting an alarm aside stops what is told, not what is watched.
 * Guarantees: without a good value nothing changes: the state holds, a running delay is frozen and goes on with what was left
 * of it, so that flapping communication can neither clear an alarm nor keep it from coming. An occurrence lasts from leaving
 * NORMAL until NORMAL. A delay that runs has its deadline set, or is frozen with time left; never both. Every shelf and every out of
 * service ends by itself. What latches, and what is fire, is never settled by being put aside (the standard's G -> A is narrowed). */
#include "gateway/core/alarm.h"

#include "base/check.h"
#include "sensors/decode.h"

enum priority alarm_priority(const struct alarm *alarm) {
    return alarm->raised && alarm->rule->priority < PRIORITY_HIGH ? alarm->rule->priority + 1 : alarm->rule->priority;
}

void alarm_init(struct alarm *alarm, const struct config_alarm *rule) {
    *alarm = (struct alarm){.rule = rule,
                            .state = ALARM_NORMAL,
                            .deadline_us = NOW_NEVER,
                            .realarm_us = NOW_NEVER,
                            .escalate_us = NOW_NEVER,
                            .aside_us = NOW_NEVER};
}

static void delay_stop(struct alarm *alarm) {
    alarm->waiting = false;
    alarm->deadline_us = NOW_NEVER;
    alarm->frozen_us = 0;
}

static bool nobody_took_it(const struct alarm *alarm) {
    return alarm->state == ALARM_UNACKNOWLEDGED || alarm->state == ALARM_RETURNED || (alarm->state == ALARM_LATCHED && !alarm->acknowledged);
}

static int64_t after(const struct now *now, int64_t ms) {
    return ms ? now->mono_us + 1000 * ms : NOW_NEVER;
}

/* The clocks of an alarm that waits for a person begin when it does, and anew with each activation. */
static void mind_person(struct alarm *alarm, const struct now *now, bool anew) {
    if (!nobody_took_it(alarm)) {
        alarm->realarm_us = alarm->escalate_us = NOW_NEVER;
        alarm->raised = alarm->raised && alarm->state != ALARM_NORMAL;
        return;
    }
    if (anew || alarm->realarm_us == NOW_NEVER)
        alarm->realarm_us = after(now, alarm->rule->realarm_ms);
    if (!alarm->raised && (anew || alarm->escalate_us == NOW_NEVER))
        alarm->escalate_us = after(now, alarm->rule->escalate_ms);
}

/* The only writer of the state. Delays belong to the condition and are not touched. */
static void enter(struct alarm *alarm, const struct now *now, enum alarm_state state) {
    bool activated = state == ALARM_UNACKNOWLEDGED;
    if (state == ALARM_LATCHED)
        alarm->acknowledged = alarm->state == ALARM_ACKNOWLEDGED;
    if (!alarm_state_aside(state)) {
        alarm->aside_us = NOW_NEVER;
        alarm->owed = false;
    }
    alarm->at_ms = now->wall_ms;
    alarm->activations += activated;
    alarm->state = state;
    mind_person(alarm, now, activated);
}

static bool must_be_seen(const struct alarm *alarm) {
    return alarm->rule->latch || alarm->rule->class == CLASS_FIRE;
}

/* Puts it aside. What waits for a person goes on waiting: it is owed when it comes back. */
static void enter_aside(struct alarm *alarm, const struct now *now, enum alarm_state state) {
    bool taken = alarm->state == ALARM_NORMAL || (alarm->state == ALARM_ACKNOWLEDGED && !alarm->rule->latch);
    if (!alarm_state_aside(alarm->state))
        alarm->owed = must_be_seen(alarm) && !taken;
    enter(alarm, now, state);
}

static void come_back(struct alarm *alarm, const struct now *now) {
    bool owed = alarm->owed;
    if (alarm->abnormal)
        enter(alarm, now, ALARM_UNACKNOWLEDGED);
    else if (owed)
        enter(alarm, now, alarm->rule->latch ? ALARM_LATCHED : ALARM_RETURNED);
    else
        enter(alarm, now, ALARM_NORMAL);
    alarm->aside = (struct alarm_aside){.until_ms = 0};
}

/* Fire is never acknowledged by itself, whatever the rule says. */
static bool needs_nobody(const struct alarm *alarm) {
    return alarm->state == ALARM_ACKNOWLEDGED || (alarm->rule->auto_acknowledge && alarm->rule->class != CLASS_FIRE);
}

/* The delay is over: the condition has turned round. True when that is told. */
static bool turn_round(struct alarm *alarm, const struct now *now, enum alarm_cause *ret_cause) {
    delay_stop(alarm);
    alarm->abnormal = !alarm->abnormal;
    if (alarm->abnormal)
        alarm->since_ms = alarm->waiting_ms;
    if (alarm_state_aside(alarm->state)) { /* watched, not told */
        alarm->owed = alarm->owed || (alarm->abnormal && must_be_seen(alarm));
        alarm->noted = true;
        return false;
    }
    *ret_cause = alarm->abnormal ? CAUSE_CONDITION : CAUSE_RETURN;
    if (alarm->abnormal)
        enter(alarm, now, ALARM_UNACKNOWLEDGED);
    else if (alarm->rule->latch)
        enter(alarm, now, ALARM_LATCHED);
    else
        enter(alarm, now, needs_nobody(alarm) ? ALARM_NORMAL : ALARM_RETURNED);
    return true;
}

static bool delay_over(struct alarm *alarm, const struct now *now, enum alarm_cause *ret_cause) {
    return alarm->waiting && alarm->deadline_us <= now->mono_us && turn_round(alarm, now, ret_cause);
}

/* The condition as it is now: starts, continues or ends the delay that leads to the other side. */
static bool judge(struct alarm *alarm, const struct now *now, bool condition, enum alarm_cause *ret_cause) {
    if (condition == alarm->abnormal) {
        delay_stop(alarm);
        return false;
    }
    if (!alarm->waiting) {
        int64_t delay_us = 1000 * (int64_t)(alarm->abnormal ? alarm->rule->off_delay_ms : alarm->rule->on_delay_ms);
        alarm->waiting = true;
        alarm->deadline_us = now->mono_us + delay_us;
        if (!alarm->abnormal)
            alarm->waiting_ms = now->wall_ms;
    } else if (alarm->deadline_us == NOW_NEVER) { /* frozen: the data is back and still says the same */
        alarm->deadline_us = now->mono_us + alarm->frozen_us;
        alarm->frozen_us = 0;
    }
    return delay_over(alarm, now, ret_cause);
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

bool alarm_on_truth(struct alarm *alarm, const struct now *now, bool condition, enum alarm_cause *ret_cause) {
    return judge(alarm, now, condition, ret_cause);
}

bool alarm_on_time(struct alarm *alarm, const struct now *now, enum alarm_cause *ret_cause) {
    if (delay_over(alarm, now, ret_cause))
        return true;
    if (alarm->aside_us <= now->mono_us) {
        come_back(alarm, now);
        *ret_cause = CAUSE_EXPIRED;
        return true;
    }
    if (alarm->escalate_us <= now->mono_us) {
        alarm->escalate_us = NOW_NEVER;
        alarm->raised = true;
        *ret_cause = CAUSE_ESCALATE;
        return true;
    }
    if (alarm->realarm_us <= now->mono_us) {
        alarm->realarm_us = after(now, alarm->rule->realarm_ms);
        *ret_cause = CAUSE_REALARM;
        return true;
    }
    return false;
}

bool alarm_suppress(struct alarm *alarm, const struct now *now, bool suppress, enum alarm_cause *ret_cause) {
    if (suppress && alarm->state == ALARM_NORMAL && alarm->rule->class != CLASS_FIRE) {
        enter_aside(alarm, now, ALARM_SUPPRESSED);
        *ret_cause = CAUSE_SUPPRESS;
        return true;
    }
    if (suppress || alarm->state != ALARM_SUPPRESSED)
        return false;
    come_back(alarm, now);
    *ret_cause = CAUSE_RELEASE;
    return true;
}

/* ---- by a person ---- */

static const char *why_aside(const struct alarm *alarm) {
    switch (alarm->state) {
    case ALARM_SHELVED:
        return "it is shelved; unshelve it first";
    case ALARM_SUPPRESSED:
        return "it is suppressed while another alarm is active";
    default:
        return "it is out of service; put it back in service first";
    }
}

bool alarm_acknowledge(struct alarm *alarm, const struct now *now, const char **ret_why) {
    switch (alarm->state) {
    case ALARM_UNACKNOWLEDGED:
        enter(alarm, now, ALARM_ACKNOWLEDGED);
        return true;
    case ALARM_RETURNED:
        enter(alarm, now, ALARM_NORMAL);
        return true;
    case ALARM_LATCHED:
        if (!alarm->acknowledged) {
            alarm->acknowledged = true;
            alarm->at_ms = now->wall_ms;
            mind_person(alarm, now, false);
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
    case ALARM_SHELVED:
    case ALARM_SUPPRESSED:
    case ALARM_OUT_OF_SERVICE:
        *ret_why = why_aside(alarm);
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
        enter(alarm, now, ALARM_NORMAL);
        return true;
    case ALARM_UNACKNOWLEDGED:
    case ALARM_ACKNOWLEDGED:
        *ret_why = "its condition is still there";
        return false;
    case ALARM_RETURNED:
    case ALARM_NORMAL:
        *ret_why = "nothing is latched";
        return false;
    case ALARM_SHELVED:
    case ALARM_SUPPRESSED:
    case ALARM_OUT_OF_SERVICE:
        *ret_why = why_aside(alarm);
        return false;
    }
    return false;
}

/* How long an alarm may be put aside, and what is said to whoever asks for longer. */
struct aside_bound {
    int64_t most_ms;
    const char *too_long;
};

static const struct aside_bound *aside_bound(const struct alarm *alarm, enum alarm_state state) {
    static const struct aside_bound shelf[2] = {{ALARM_SHELF_MAX_MS, "that is too long: a shelf lasts a week at most"},
                                                {ALARM_SHELF_FIRE_MAX_MS, "that is too long for a fire alarm: its shelf lasts an hour at most"}};
    static const struct aside_bound out[2] = {{ALARM_OUT_MAX_MS, "that is too long: out of service lasts 90 days at most"},
                                              {ALARM_OUT_FIRE_MAX_MS, "that is too long for a fire alarm: it is out of service for a day at most"}};
    return (state == ALARM_SHELVED ? shelf : out) + (alarm->rule->class == CLASS_FIRE);
}

/* A shelf without a person, a reason or an end is none. */
static bool aside_ok(const struct alarm *alarm, const struct now *now, const struct alarm_aside *aside, enum alarm_state state, const char **ret_why) {
    const struct aside_bound *bound = aside_bound(alarm, state);
    bool ahead = aside->until_ms > now->wall_ms;
    *ret_why = NULL;
    if (!now->wall_trusted)
        *ret_why = "the gateway's clock is not set, so it could not know the end";
    else if (!aside->by[0] || !aside->reason[0])
        *ret_why = "it needs a person and a reason";
    else if (!ahead)
        *ret_why = "its end is not in the future";
    else if (aside->until_ms - now->wall_ms > bound->most_ms)
        *ret_why = bound->too_long;
    return !*ret_why;
}

static void put_aside(struct alarm *alarm, const struct now *now, const struct alarm_aside *aside, enum alarm_state state) {
    enter_aside(alarm, now, state);
    alarm->aside = *aside;
    alarm->aside_us = now->mono_us + 1000 * (aside->until_ms - now->wall_ms);
}

bool alarm_shelve(struct alarm *alarm, const struct now *now, const struct alarm_aside *aside, const char **ret_why) {
    if (alarm->state == ALARM_OUT_OF_SERVICE) {
        *ret_why = why_aside(alarm);
        return false;
    }
    if (!aside_ok(alarm, now, aside, ALARM_SHELVED, ret_why))
        return false;
    put_aside(alarm, now, aside, ALARM_SHELVED);
    return true;
}

bool alarm_unshelve(struct alarm *alarm, const struct now *now, const char **ret_why) {
    if (alarm->state != ALARM_SHELVED) {
        *ret_why = "it is not shelved";
        return false;
    }
    come_back(alarm, now);
    return true;
}

bool alarm_take_out(struct alarm *alarm, const struct now *now, const struct alarm_aside *aside, const char **ret_why) {
    if (!aside_ok(alarm, now, aside, ALARM_OUT_OF_SERVICE, ret_why))
        return false;
    put_aside(alarm, now, aside, ALARM_OUT_OF_SERVICE);
    return true;
}

bool alarm_put_back(struct alarm *alarm, const struct now *now, const char **ret_why) {
    if (alarm->state != ALARM_OUT_OF_SERVICE) {
        *ret_why = "it is not out of service";
        return false;
    }
    come_back(alarm, now);
    return true;
}

void alarm_test_returned(struct alarm *alarm, const struct now *now) {
    if (!alarm->abnormal && !alarm_state_aside(alarm->state))
        enter(alarm, now, ALARM_NORMAL);
}

bool alarm_test_ended(struct alarm *alarm, const struct now *now) {
    alarm->raised = false; /* how long nobody took the test raises nothing */
    if (alarm_state_active(alarm->state)) /* who acknowledged it took a test */
        enter(alarm, now, ALARM_UNACKNOWLEDGED);
    else
        alarm_test_returned(alarm, now);
    return alarm->state != ALARM_NORMAL;
}

/* ---- time, checks ---- */

bool alarm_on_restart(struct alarm *alarm, const struct now *now) {
    mind_person(alarm, now, true);
    if (alarm->state != ALARM_SHELVED && alarm->state != ALARM_OUT_OF_SERVICE)
        return false;
    if (now->wall_trusted && alarm->aside.until_ms > now->wall_ms) { /* never longer than it could have been asked for now */
        int64_t most_ms = aside_bound(alarm, alarm->state)->most_ms;
        int64_t left_ms = alarm->aside.until_ms - now->wall_ms;
        left_ms = left_ms < most_ms ? left_ms : most_ms;
        alarm->aside_us = now->mono_us + 1000 * left_ms;
        return false;
    }
    come_back(alarm, now);
    return true;
}

int64_t alarm_next_wake(const struct alarm *alarm) {
    int64_t wake = alarm->waiting ? alarm->deadline_us : NOW_NEVER;
    wake = alarm->aside_us < wake ? alarm->aside_us : wake;
    wake = alarm->escalate_us < wake ? alarm->escalate_us : wake;
    return alarm->realarm_us < wake ? alarm->realarm_us : wake;
}

void alarm_check(const struct alarm *alarm) {
    CHECK(alarm->rule);
    CHECK(alarm->waiting || alarm->deadline_us == NOW_NEVER);
    CHECK(alarm->deadline_us == NOW_NEVER || alarm->frozen_us == 0);
    CHECK(alarm->waiting || alarm->frozen_us == 0);
    CHECK(alarm->state != ALARM_LATCHED || alarm->rule->latch);
    CHECK(alarm->state != ALARM_NORMAL || !alarm->occurrence_seq);
    CHECK(alarm_state_aside(alarm->state) || alarm->abnormal == alarm_state_active(alarm->state));
    CHECK((alarm->state == ALARM_SHELVED || alarm->state == ALARM_OUT_OF_SERVICE) == (alarm->aside_us != NOW_NEVER));
    CHECK(nobody_took_it(alarm) || (alarm->realarm_us == NOW_NEVER && alarm->escalate_us == NOW_NEVER));
    CHECK(alarm->state != ALARM_SUPPRESSED || alarm->rule->class != CLASS_FIRE);
    CHECK(alarm->rule->of_n >= 1 && alarm->rule->of_n <= alarm->rule->of_m && alarm->rule->of_m <= 32);
}
