/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a derived point as a damaged store gives it back, and the life of the point after that.
 *  1. A record is refused and the point left as it was, or taken: its hours are finite and not negative, its day is one of a calendar.
 *  2. What is taken and put down again is taken again, and puts down the same bytes. Another kind refuses it.
 *  3. Whatever is polled after that, a result is bad and has no value, or is finite and no better than the worst of its inputs. Hours
 *     and days are never negative, and hours only fall by a maintenance.
 *
 * Input: kind, rule, size of the record, the record, then what happens. */
#include <math.h>
#include <string.h>

#include "fuzz.h"
#include "gateway/core/derive.h"

static void make_rule(struct fuzz_input *input, struct config_derived *ret_rule) {
    uint8_t kind = fuzz_u8(input), inputs = fuzz_u8(input);
    *ret_rule = (struct config_derived){.kind = (enum derive_kind)(kind % (DERIVE_DIFFERENCE + 1)), .point = 3};
    bool two = ret_rule->kind == DERIVE_BASE_FUME || ret_rule->kind == DERIVE_EFFICIENCY || ret_rule->kind == DERIVE_DIFFERENCE;
    ret_rule->inputs_count = two ? 2 : ret_rule->kind == DERIVE_SUM ? (uint8_t)(1 + inputs % DERIVED_INPUTS_MAX) : 1;
    if (ret_rule->kind == DERIVE_DAYS_SINCE)
        ret_rule->inputs_count = inputs % 3;
    ret_rule->on_above = 2;
    ret_rule->off_below = 1;
    ret_rule->over_ms = 1 + fuzz_u16(input) * 7;
    ret_rule->every_ms = inputs & 128 ? 1000 : 0;
    ret_rule->stoves = inputs & 64 ? fuzz_number(input) : 2;
}

static void make_reading(struct fuzz_input *input, struct reading *ret_reading) {
    uint8_t draw = fuzz_u8(input);
    *ret_reading = (struct reading){.value = {.kind = VALUE_NUMBER, .number = fuzz_number(input)}};
    if (draw < 32)
        ret_reading->value = (struct value){.kind = VALUE_INTEGER, .integer = draw % 3};
    else if (draw < 36)
        ret_reading->value = (struct value){.kind = VALUE_TEXT, .text = "on"};
    if (draw % 8 == 7) {
        ret_reading->quality = (uint8_t)(QUALITY_UNCERTAIN + draw / 8 % 3);
        ret_reading->reason = REASON_CORRUPT;
    }
    if (ret_reading->quality == QUALITY_BAD)
        ret_reading->value = (struct value){.kind = VALUE_NONE};
}

static void check_memory(const struct derived *derived) {
    PROPERTY(derived->rule->kind != DERIVE_RUN_HOURS || (isfinite(derived->state) && derived->state >= 0));
    PROPERTY(derived->since_ms >= 0);
}

static void check_way_back(const struct derived *derived, struct derived_slot *slots) {
    static const struct config_derived others[] = {
        {.kind = DERIVE_RUN_HOURS, .inputs_count = 1}, {.kind = DERIVE_DAYS_SINCE}, {.kind = DERIVE_SUM, .inputs_count = 1}};
    uint8_t bytes[DERIVED_RECORD_SIZE], again[DERIVED_RECORD_SIZE];
    struct derived back;
    if (!derived_durable(derived))
        return;
    derived_init(&back, derived->rule, slots);
    size_t size = derived_record_put(derived, bytes);
    PROPERTY(size <= DERIVED_RECORD_SIZE && derived_record_get(&back, bytes, size));
    PROPERTY(derived_record_put(&back, again) == size && memcmp(bytes, again, size) == 0);
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        derived_init(&back, &others[i], NULL);
        PROPERTY(derived_record_get(&back, bytes, size) == (others[i].kind == derived->rule->kind));
    }
}

static void poll(struct derived *derived, struct fuzz_input *input, const struct now *now, uint8_t what) {
    struct reading readings[DERIVED_INPUTS_MAX], result;
    const struct reading *inputs[DERIVED_INPUTS_MAX] = {NULL};
    uint8_t worst = QUALITY_GOOD;
    for (unsigned i = 0; i < derived->rule->inputs_count; i++) {
        make_reading(input, &readings[i]);
        inputs[i] = what & 4 && i == what % 4u ? NULL : &readings[i];
        uint8_t quality = inputs[i] ? inputs[i]->quality : QUALITY_BAD;
        worst = quality > worst ? quality : worst;
    }
    double before = derived->state;
    derived_on_inputs(derived, now, inputs, &result);
    check_memory(derived);
    PROPERTY(result.point == 3 && result.quality <= QUALITY_BAD && result.quality >= worst && result.reason <= REASON_NO_RESULT);
    PROPERTY((result.quality == QUALITY_BAD) == (result.value.kind == VALUE_NONE));
    PROPERTY((result.quality == QUALITY_GOOD) == (result.reason == REASON_NONE));
    PROPERTY(derived->rule->kind != DERIVE_RUN_HOURS || derived->state >= before);
    if (result.value.kind == VALUE_INTEGER)
        PROPERTY(derived->rule->kind == DERIVE_ON_OFF && (result.value.integer == 0 || result.value.integer == 1));
    if (result.value.kind != VALUE_NUMBER)
        return;
    bool counts = derived->rule->kind == DERIVE_RUN_HOURS || derived->rule->kind == DERIVE_DAYS_SINCE || derived->rule->kind == DERIVE_UNCHANGED;
    PROPERTY(isfinite(result.value.number) && (!counts || result.value.number >= 0));
}

static void happen(struct derived *derived, struct fuzz_input *input, struct now *now) {
    uint8_t what = fuzz_u8(input);
    int64_t pause_ms = (what >> 4) * INT64_C(40000) + 1; /* up to ten minutes: past the longest gap of run hours */
    now->mono_us += 1000 * pause_ms;
    now->wall_ms += pause_ms;
    switch (what & 15) {
    case 0:
        derived_on_maintenance(derived, now);
        break;
    case 1:
        now->wall_trusted = !now->wall_trusted;
        break;
    case 2:
        now->wall_ms += (int16_t)fuzz_u16(input) * INT64_C(86400000);
        break;
    default:
        poll(derived, input, now, what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct derived_slot room[DERIVED_SLOTS];
    struct fuzz_input input = {bytes, size};
    struct config_derived rule;
    struct derived derived, before;
    struct now now = {.mono_us = 5000000, .wall_ms = 1700000000000, .wall_trusted = true};
    make_rule(&input, &rule);
    struct derived_slot *slots = derived_windowed(rule.kind) ? room : NULL;
    memset(&derived, 0, sizeof(derived));
    derived_init(&derived, &rule, slots);
    memcpy(&before, &derived, sizeof(before));
    uint8_t wanted = fuzz_u8(&input);
    const uint8_t *record = fuzz_take(&input, wanted, &size);
    if (!derived_record_get(&derived, record, size))
        PROPERTY(memcmp(&before, &derived, sizeof(before)) == 0);
    check_memory(&derived);
    check_way_back(&derived, slots);
    while (input.size > 0)
        happen(&derived, &input, &now);
    return 0;
}
