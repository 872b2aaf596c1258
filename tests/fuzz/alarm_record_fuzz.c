/* SPDX-License-Identifier: Apache-2.0 */
/* An alarm's record as a damaged store gives it back, and the life of the alarm after that.
 *  1. A record is refused and the alarm left as it was, or taken and the alarm is one that alarm_check accepts.
 *  2. What is taken and put down again is taken again, and puts down the same bytes.
 *  3. Readings, silence, time and persons after that keep alarm_check; an alarm says "active" only in its two active states.
 *
 * Input: rule, size of the record, the record, then what happens. */
#include <string.h>

#include "fuzz.h"
#include "gateway/core/alarm.h"

static void make_rule(struct fuzz_input *input, struct config_alarm *ret_rule) {
    uint8_t flags = fuzz_u8(input), of = fuzz_u8(input);
    *ret_rule = (struct config_alarm){.name = "a", .zh = "", .en = "", .class = (enum alarm_class)(flags >> 4 & 3)};
    ret_rule->condition = (enum condition_kind)(flags & 3);
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
    struct alarm back;
    alarm_init(&back, alarm->rule);
    size_t size = alarm_record_put(alarm, bytes);
    PROPERTY(size <= ALARM_RECORD_SIZE && alarm_record_get(&back, bytes, size));
    PROPERTY(back.state == alarm->state && back.occurrence_seq == alarm->occurrence_seq && back.history == alarm->history);
    PROPERTY(alarm_record_put(&back, again) == size && memcmp(bytes, again, size) == 0);
}

static void happen(struct alarm *alarm, struct fuzz_input *input, struct now *now) {
    uint8_t what = fuzz_u8(input);
    enum alarm_cause cause = CAUSE_CONDITION;
    const char *why = NULL;
    bool communication = alarm->rule->condition == CONDITION_COMMUNICATION, changed = false;
    enum alarm_state before = alarm->state;
    int64_t wake_us = alarm_next_wake(alarm);
    now->mono_us += (what >> 3) * INT64_C(100000);
    now->wall_ms += (what >> 3) * 100;
    if (what & 4 && wake_us != NOW_NEVER && wake_us > now->mono_us)
        now->mono_us = wake_us;
    switch (what % 6) {
    case 0:
    case 1: {
        struct value value = {.kind = VALUE_NUMBER, .number = fuzz_number(input)};
        changed = communication ? alarm_on_truth(alarm, now, what & 8, &cause) : alarm_on_value(alarm, now, &value, &cause);
        break;
    }
    case 2:
        if (!communication)
            alarm_on_blind(alarm, now);
        break;
    case 3:
        changed = alarm_on_time(alarm, now, &cause);
        break;
    case 4:
        PROPERTY(alarm_acknowledge(alarm, now, &why) || why);
        break;
    default:
        PROPERTY(alarm_reset(alarm, now, &why) || why);
        break;
    }
    if (changed || alarm->state != before) { /* as the core does with the entry's id */
        alarm->occurrence_start = alarm->state == ALARM_NORMAL ? 0 : 1;
        alarm->occurrence_seq = alarm->state == ALARM_NORMAL ? 0 : 9;
    }
    alarm_check(alarm);
    PROPERTY(what % 6 >= 4 || changed == (alarm->state != before));
    PROPERTY(alarm_state_active(alarm->state) == (alarm->state == ALARM_UNACKNOWLEDGED || alarm->state == ALARM_ACKNOWLEDGED));
    PROPERTY(cause >= CAUSE_CONDITION && cause <= CAUSE_RESTORED);
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
    if (!alarm_record_get(&alarm, record, size))
        PROPERTY(memcmp(&before, &alarm, sizeof(before)) == 0);
    alarm_check(&alarm);
    check_way_back(&alarm);
    while (input.size > 0)
        happen(&alarm, &input, &now);
    check_way_back(&alarm);
    return 0;
}
