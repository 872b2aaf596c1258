/* SPDX-License-Identifier: Apache-2.0 */
/* An alarm's record as a damaged store gives it back, and the life of the alarm after that.
 *  1. A record is refused and the alarm left as it was, or taken and the alarm is one that alarm_check accepts. Without its rule the same
 *     records say what they were, and no others.
 *  2. What is put down is taken again, but for readings that made nothing active; and what was taken puts down the same bytes ever after.
 *  3. A restart with and without a trusted clock, readings, silence, time and persons after that keep alarm_check; an alarm says "active"
 *     only in its two active states; a refusal has a reason and changes nothing; every shelf has an end that is not too far.
 *
 * Input: rule, size of the record, the record, then what happens. */
#include <string.h>

#include "fuzz.h"
#include "gateway/core/alarm.h"

static void make_rule(struct fuzz_input *input, struct config_alarm *ret_rule) {
    uint8_t flags = fuzz_u8(input), of = fuzz_u8(input);
    *ret_rule = (struct config_alarm){.name = "a", .zh = "", .en = "", .class = (enum alarm_class)(flags >> 4 & 3)};
    static const enum condition_kind conditions[] = {CONDITION_ABOVE, CONDITION_BELOW, CONDITION_EQUAL, CONDITION_COMMUNICATION};
    ret_rule->condition = conditions[flags & 3];
    ret_rule->realarm_ms = flags & 64 ? 3000 : 0;
    ret_rule->escalate_ms = flags & 128 ? 5000 : 0;
    ret_rule->auto_acknowledge = of & 1;
    ret_rule->latch = flags & 4;
    ret_rule->of_m = 1 + of % 32;
    ret_rule->of_n = (uint8_t)(1 + (of >> 5) % ret_rule->of_m);
    ret_rule->limit = fuzz_number(input);
    ret_rule->deadband = flags & 8 ? 0.5 : 0;
    ret_rule->on_delay_ms = flags & 64 ? 1000 : 0;
    ret_rule->off_delay_ms = flags & 128 ? 2000 : 0;
}

static void check_way_back(const struct alarm *alarm) {
    uint8_t bytes[ALARM_RECORD_SIZE], again[ALARM_RECORD_SIZE];
    struct alarm back, twice;
    alarm_init(&back, alarm->rule);
    alarm_init(&twice, alarm->rule);
    size_t size = alarm_record_put(alarm, bytes);
    PROPERTY(size <= ALARM_RECORD_SIZE && alarm_record_get(&back, bytes, size));
    PROPERTY(back.state == alarm->state && back.occurrence_seq == alarm->occurrence_seq);
    PROPERTY(back.history == (alarm->abnormal ? alarm->history | 1 : 0));
    size = alarm_record_put(&back, bytes);
    PROPERTY(alarm_record_get(&twice, bytes, size) && alarm_record_put(&twice, again) == size && memcmp(bytes, again, size) == 0);
}

/* What the core does with an entry's id. */
static void name_occurrence(struct alarm *alarm) {
    alarm->occurrence_start = alarm->state == ALARM_NORMAL ? 0 : 1;
    alarm->occurrence_seq = alarm->state == ALARM_NORMAL ? 0 : 9;
}

static bool person(struct alarm *alarm, uint8_t what, struct fuzz_input *input, const struct now *now) {
    const char *why = NULL;
    struct alarm before;
    memcpy(&before, alarm, sizeof(before)); /* with what lies between its members */
    struct alarm_aside aside = {.by = "W", .reason = "r", .until_ms = now->wall_ms + (int64_t)fuzz_u8(input) * fuzz_u8(input) * 60000};
    bool (*const simple[])(struct alarm *, const struct now *, const char **) = {alarm_acknowledge, alarm_reset, alarm_unshelve, alarm_put_back};
    bool done = what < 4    ? simple[what](alarm, now, &why)
                : what == 4 ? alarm_shelve(alarm, now, &aside, &why)
                            : alarm_take_out(alarm, now, &aside, &why);
    PROPERTY(done || (why && memcmp(&before, alarm, sizeof(before)) == 0));
    PROPERTY(!done || what < 4 || alarm_next_wake(alarm) <= now->mono_us + 1000 * ALARM_OUT_MAX_MS);
    return done;
}

static void happen(struct alarm *alarm, struct fuzz_input *input, struct now *now) {
    uint8_t what = fuzz_u8(input);
    enum alarm_cause cause = CAUSE_CONDITION;
    bool communication = alarm->rule->condition == CONDITION_COMMUNICATION, told = false;
    enum alarm_state before = alarm->state;
    int64_t wake_us = alarm_next_wake(alarm);
    now->mono_us += (what >> 3) * INT64_C(100000);
    now->wall_ms += (what >> 3) * 100;
    if (what & 4 && wake_us != NOW_NEVER && wake_us > now->mono_us) {
        now->wall_ms += (wake_us - now->mono_us) / 1000;
        now->mono_us = wake_us;
    }
    switch (what % 7) {
    case 0:
    case 1: {
        struct value value = {.kind = VALUE_NUMBER, .number = fuzz_number(input)};
        told = communication ? alarm_on_truth(alarm, now, what & 8, &cause) : alarm_on_value(alarm, now, &value, &cause);
        break;
    }
    case 2:
        alarm_on_blind(alarm, now);
        break;
    case 3:
        told = alarm_on_time(alarm, now, &cause);
        PROPERTY(!told || cause == CAUSE_CONDITION || cause == CAUSE_RETURN || cause == CAUSE_EXPIRED || alarm->state == before);
        break;
    case 4:
        told = alarm_suppress(alarm, now, what & 8, &cause);
        break;
    case 5:
        told = person(alarm, (what >> 3) % 6, input, now);
        break;
    default: /* of a walk test */
        if (what & 8)
            alarm_test_returned(alarm, now);
        else
            PROPERTY(alarm_test_ended(alarm, now) == (alarm->state != ALARM_NORMAL));
        told = true;
        break;
    }
    PROPERTY(told || alarm->state == before);
    name_occurrence(alarm);
    alarm_check(alarm);
    PROPERTY(alarm_state_active(alarm->state) == (alarm->state == ALARM_UNACKNOWLEDGED || alarm->state == ALARM_ACKNOWLEDGED));
    PROPERTY(alarm_priority(alarm) <= PRIORITY_HIGH && cause >= CAUSE_CONDITION && cause <= CAUSE_WALK_ENDED);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct fuzz_input input = {bytes, size};
    struct config_alarm rule;
    struct alarm alarm, before;
    struct now now = {.mono_us = 5000000, .wall_ms = 1700000000000};
    make_rule(&input, &rule);
    memset(&alarm, 0, sizeof(alarm));
    alarm_init(&alarm, &rule);
    memcpy(&before, &alarm, sizeof(before));
    uint8_t wanted = fuzz_u8(&input);
    const uint8_t *record = fuzz_take(&input, wanted, &size);
    struct alarm_remains remains;
    alarm_record_look(&remains, record, size);
    bool read = alarm_record_get(&alarm, record, size);
    PROPERTY(read || memcmp(&before, &alarm, sizeof(before)) == 0);
    PROPERTY(read == (remains.state < ALARM_STATES_COUNT) && (read || (remains.state == ALARM_UNKNOWN && remains.class == ALARM_UNKNOWN)));
    PROPERTY((remains.class <= CLASS_MAINTENANCE && remains.priority <= PRIORITY_HIGH) ||
             (remains.class == ALARM_UNKNOWN && remains.priority == ALARM_UNKNOWN));
    alarm_check(&alarm);
    check_way_back(&alarm);
    now.wall_trusted = wanted & 1;
    bool ended = alarm_on_restart(&alarm, &now);
    PROPERTY(!ended || !alarm_state_aside(alarm.state));
    name_occurrence(&alarm);
    alarm_check(&alarm);
    while (input.size > 0)
        happen(&alarm, &input, &now);
    check_way_back(&alarm);
    return 0;
}
