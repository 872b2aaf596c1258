/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of derived points:
 *
 *   kind        inputs           value                                      source
 *   on_off      x                1 above on_above, 0 below off_below,       a current clamp on the supply of fan and purifier, as fume
 *                                as before between; 0 at the beginning      monitors tell their state
 *   mean        x                mean of the good samples of the window     GB 18483-2001 compares samples of 10 minutes; HJ 212-2017
 *                                                                           D.2.2: valid when 75 % of its parts are
 *   rate        x                (newest - oldest) / minutes between them   rate-of-rise heat detection, 8.3 degC/min
 *   run_hours   x                hours for which x was not 0                cleaning by hours run; in steps of 0.01
 *   days_since  any, or none     days since the last maintenance            cleaning by days; in steps of 0.01
 *   unchanged   x                minutes for which x was exactly equal      a sensor that is stuck; in steps of 0.1
 *   base_fume   C, Q             C * Q / (n * 2000 m3/h), n at least 1      GB 18483-2001: concentration at the base air volume of n stoves
 *   efficiency  Cin, Cout        (1 - Cout / Cin) * 100 %                   GB 18483-2001, removal efficiency
 *   sum         x, ...           x + ...
 *   difference  a, b             a - b
 *
 * Quality. A derived value has the worst quality of its inputs, with its reason; bad has no value. An input that was never polled is
 * bad, no answer. What remembers (a window, hours, a side, a clock) learns from good inputs only; an uncertain one gets the answer
 * that the memory gives, marked uncertain. A result that is not finite is bad and never clamped.
 * Windows are DERIVED_SLOTS parts of monotonic time, found by their number, so that what is old is forgotten however long nothing
 * came. A mean is uncertain until 75 % of the parts have a sample; a rate is uncertain until its two samples are half a window
 * apart, and bad while there is only one.
 * Run hours add the time between two good inputs when the first was not 0 and they are at most RUN_GAP_MAX_MS apart: what nobody saw
 * did not run. A stuck clock (unchanged) stands still from the last good input before a bad one to the next good one.
 * Only days_since knows the wall clock. While that is not trusted, or stands before the last maintenance, it is bad; before the first
 * maintenance it counts from the first trusted time it saw. Every other kind ignores how the wall clock jumps. */
#include "gateway/core/derive.h"

#include <math.h>

#include "base/bytes.h"
#include "base/check.h"
#include "sensors/decode.h"

#define BASE_FLOW 2000.0 /* m3/h of one base stove, GB 18483-2001 */
#define MEAN_PARTS_PERCENT 75
#define MS_PER_DAY 86400000.0
#define US_PER_MINUTE 60e6
#define US_PER_HOUR 3600e6
#define RUN_HOURS_MAX 1e7           /* a thousand years: a record that says more is damaged */
#define WALL_MAX_MS 253402300799999 /* the end of the year 9999, the last that a published time can say */

struct sample { /* the inputs of one call */
    double numbers[DERIVED_INPUTS_MAX];
    const struct value *value; /* of the first */
    bool good;
};

struct result {
    double number;
    enum quality quality;
    enum quality_reason reason;
};

struct kind {
    const char *name;
    uint8_t inputs_min, inputs_max;
    bool windowed, durable;
    void (*compute)(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result);
};

/* Makes the result worse, never better. */
static void worsen(struct result *result, enum quality quality, enum quality_reason reason) {
    if (result->quality >= quality)
        return;
    result->quality = quality;
    result->reason = reason;
}

static void compute_on_off(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result) {
    (void)now;
    double x = sample->numbers[0];
    result->number = x > derived->rule->on_above ? 1 : x < derived->rule->off_below ? 0 : derived->state;
    if (sample->good)
        derived->state = result->number;
}

/* Parts of the window. A mean of an input that is polled slowly has fewer and wider ones, each of two polls: with the width of one
 * poll a part could stay empty only because the poll before it was a little early. */
static int64_t window_parts(const struct config_derived *rule) {
    if (rule->kind != DERIVE_MEAN || rule->every_ms == 0)
        return DERIVED_SLOTS;
    int64_t parts = rule->over_ms / (2 * (int64_t)rule->every_ms);
    return parts < 1 ? 1 : parts > DERIVED_SLOTS ? DERIVED_SLOTS : parts;
}

static int64_t window_number(const struct config_derived *rule, const struct now *now) {
    return now->mono_us / (1000 * (int64_t)rule->over_ms / window_parts(rule));
}

static struct derived_slot *window_take(struct derived *derived, const struct now *now) {
    int64_t number = window_number(derived->rule, now);
    struct derived_slot *slot = &derived->slots[number % DERIVED_SLOTS];
    if (slot->count == 0 || slot->number != number)
        *slot = (struct derived_slot){.number = number};
    slot->at_us = now->mono_us;
    slot->count++;
    return slot;
}

/* A slot of the window that ends now, or NULL when it is empty or its number belongs to an older window. */
static const struct derived_slot *window_slot(const struct derived *derived, const struct now *now, unsigned index) {
    const struct derived_slot *slot = &derived->slots[index];
    int64_t age = window_number(derived->rule, now) - slot->number;
    return slot->count > 0 && age >= 0 && age < window_parts(derived->rule) ? slot : NULL;
}

static void compute_mean(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result) {
    if (sample->good)
        window_take(derived, now)->value += sample->numbers[0];
    double sum = 0, count = 0;
    int64_t filled = 0;
    for (unsigned i = 0; i < DERIVED_SLOTS; i++) {
        const struct derived_slot *slot = window_slot(derived, now, i);
        if (!slot)
            continue;
        sum += slot->value;
        count += slot->count;
        filled++;
    }
    if (filled == 0) {
        worsen(result, QUALITY_BAD, REASON_UNSEEN);
        return;
    }
    result->number = sum / count;
    if (100 * filled < MEAN_PARTS_PERCENT * window_parts(derived->rule))
        worsen(result, QUALITY_UNCERTAIN, REASON_UNSEEN);
}

static void compute_rate(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result) {
    if (sample->good)
        window_take(derived, now)->value = sample->numbers[0];
    const struct derived_slot *oldest = NULL, *newest = NULL;
    for (unsigned i = 0; i < DERIVED_SLOTS; i++) {
        const struct derived_slot *slot = window_slot(derived, now, i);
        if (!slot)
            continue;
        if (!oldest || slot->at_us < oldest->at_us)
            oldest = slot;
        if (!newest || slot->at_us > newest->at_us)
            newest = slot;
    }
    if (!oldest || oldest == newest) { /* nothing can be said of one sample */
        worsen(result, QUALITY_BAD, REASON_UNSEEN);
        return;
    }
    int64_t between_us = newest->at_us - oldest->at_us;
    result->number = (newest->value - oldest->value) / ((double)between_us / US_PER_MINUTE);
    if (2 * between_us < 1000 * (int64_t)derived->rule->over_ms)
        worsen(result, QUALITY_UNCERTAIN, REASON_UNSEEN);
}

/* What grows all the time is told in steps that mean something to a person, so that not every poll brings a changed value. */
static double in_steps(double number, double steps_of_one) {
    return floor(number * steps_of_one + 1e-6) / steps_of_one; /* a sum of many parts may miss the step by a hair */
}

static void compute_run_hours(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result) {
    if (sample->good) {
        bool near = derived->at_us != NOW_NEVER && now->mono_us - derived->at_us <= 1000 * (int64_t)RUN_GAP_MAX_MS;
        if (near && derived->running) {
            int64_t from_us = derived->at_us > derived->from_us ? derived->at_us : derived->from_us;
            derived->state += (double)(now->mono_us - from_us) / US_PER_HOUR;
        }
        derived->running = sample->numbers[0] != 0;
    }
    result->number = in_steps(derived->state, 100); /* 36 s */
}

static void compute_days_since(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result) {
    (void)sample;
    if (now->wall_trusted && derived->since_ms == 0 && now->wall_ms > 0)
        derived->since_ms = now->wall_ms;
    if (!now->wall_trusted || derived->since_ms == 0 || now->wall_ms < derived->since_ms) {
        worsen(result, QUALITY_BAD, REASON_CLOCK);
        return;
    }
    result->number = in_steps((double)(now->wall_ms - derived->since_ms) / MS_PER_DAY, 100); /* a quarter of an hour */
}

static void compute_unchanged(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result) {
    int64_t until_us = derived->at_us;
    if (sample->good) {
        if (derived->at_us == NOW_NEVER || !value_equal(&derived->last, sample->value))
            derived->from_us = now->mono_us;
        else if (derived->gap)
            derived->from_us += now->mono_us - derived->at_us; /* the time that nobody saw is left out */
        derived->last = *sample->value;
        until_us = now->mono_us;
    }
    if (until_us == NOW_NEVER) {
        worsen(result, QUALITY_BAD, REASON_UNSEEN);
        return;
    }
    result->number = in_steps((double)(until_us - derived->from_us) / US_PER_MINUTE, 10); /* 6 s */
}

static void compute_base_fume(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result) {
    (void)now;
    double stoves = derived->rule->stoves >= 1 ? derived->rule->stoves : 1; /* the standard counts no kitchen as less than one */
    result->number = sample->numbers[0] * sample->numbers[1] / (stoves * BASE_FLOW);
}

static void compute_efficiency(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result) {
    (void)derived, (void)now;
    if (sample->numbers[0] <= 0) { /* nothing comes in: there is nothing that could be removed */
        worsen(result, QUALITY_BAD, REASON_NO_RESULT);
        return;
    }
    result->number = (1 - sample->numbers[1] / sample->numbers[0]) * 100;
}

static void compute_sum(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result) {
    (void)now;
    for (unsigned i = 0; i < derived->rule->inputs_count; i++)
        result->number += sample->numbers[i];
}

static void compute_difference(struct derived *derived, const struct now *now, const struct sample *sample, struct result *result) {
    (void)derived, (void)now;
    result->number = sample->numbers[0] - sample->numbers[1];
}

static const struct kind kinds[] = {
    [DERIVE_ON_OFF] = {"on_off", 1, 1, .compute = compute_on_off},
    [DERIVE_MEAN] = {"mean", 1, 1, .windowed = true, .compute = compute_mean},
    [DERIVE_RATE] = {"rate", 1, 1, .windowed = true, .compute = compute_rate},
    [DERIVE_RUN_HOURS] = {"run_hours", 1, 1, .durable = true, .compute = compute_run_hours},
    [DERIVE_DAYS_SINCE] = {"days_since", 0, DERIVED_INPUTS_MAX, .durable = true, .compute = compute_days_since},
    [DERIVE_UNCHANGED] = {"unchanged", 1, 1, .compute = compute_unchanged},
    [DERIVE_BASE_FUME] = {"base_fume", 2, 2, .compute = compute_base_fume},
    [DERIVE_EFFICIENCY] = {"efficiency", 2, 2, .compute = compute_efficiency},
    [DERIVE_SUM] = {"sum", 1, DERIVED_INPUTS_MAX, .compute = compute_sum},
    [DERIVE_DIFFERENCE] = {"difference", 2, 2, .compute = compute_difference},
};

static const struct kind *kind_of(enum derive_kind kind) {
    CHECK((unsigned)kind < ARRAY_COUNT(kinds));
    return &kinds[kind];
}

const char *derive_kind_name(enum derive_kind kind) {
    return kind_of(kind)->name;
}

bool derived_windowed(enum derive_kind kind) {
    return kind_of(kind)->windowed;
}

void derived_init(struct derived *derived, const struct config_derived *rule, struct derived_slot *slots) {
    const struct kind *kind = kind_of(rule->kind);
    CHECK(rule->inputs_count >= kind->inputs_min && rule->inputs_count <= kind->inputs_max);
    CHECK(kind->windowed == (slots != NULL));
    CHECK(!kind->windowed || rule->over_ms > 0);
    *derived = (struct derived){.rule = rule, .at_us = NOW_NEVER, .slots = slots};
    for (unsigned i = 0; slots && i < DERIVED_SLOTS; i++)
        slots[i] = (struct derived_slot){.count = 0};
}

/* The inputs as numbers, and their worst quality. Text has a number for nobody but `unchanged`, which compares the value itself. */
static void take_inputs(const struct derived *derived, const struct reading *const *inputs, struct sample *ret_sample, struct result *result) {
    *ret_sample = (struct sample){.value = NULL};
    bool compared = derived->rule->kind == DERIVE_UNCHANGED, counted = derived->rule->kind != DERIVE_DAYS_SINCE;
    for (unsigned i = 0; i < derived->rule->inputs_count; i++) {
        const struct reading *input = inputs[i];
        if (!input) {
            worsen(result, QUALITY_BAD, REASON_NO_ANSWER);
            continue;
        }
        worsen(result, (enum quality)input->quality, (enum quality_reason)input->reason);
        if (i == 0)
            ret_sample->value = &input->value;
        if (input->quality == QUALITY_BAD || !counted || (compared && input->value.kind == VALUE_TEXT))
            continue;
        if (!value_number(&input->value, &ret_sample->numbers[i]))
            worsen(result, QUALITY_BAD, REASON_MALFORMED);
        else if (!isfinite(ret_sample->numbers[i]))
            worsen(result, QUALITY_BAD, REASON_NO_RESULT);
    }
    ret_sample->good = result->quality == QUALITY_GOOD;
}

void derived_on_inputs(struct derived *derived, const struct now *now, const struct reading *const *inputs, struct reading *ret_reading) {
    struct sample sample;
    struct result result = {.quality = QUALITY_GOOD, .reason = REASON_NONE};
    take_inputs(derived, inputs, &sample, &result);
    if (result.quality != QUALITY_BAD)
        kind_of(derived->rule->kind)->compute(derived, now, &sample, &result);
    if (!isfinite(result.number))
        worsen(&result, QUALITY_BAD, REASON_NO_RESULT);
    derived->gap = !sample.good;
    if (sample.good)
        derived->at_us = now->mono_us;
    *ret_reading = (struct reading){.point = derived->rule->point, .quality = (uint8_t)result.quality, .reason = (uint8_t)result.reason};
    if (result.quality == QUALITY_BAD)
        ret_reading->value = (struct value){.kind = VALUE_NONE};
    else if (derived->rule->kind == DERIVE_ON_OFF)
        ret_reading->value = (struct value){.kind = VALUE_INTEGER, .integer = result.number != 0};
    else
        ret_reading->value = (struct value){.kind = VALUE_NUMBER, .number = result.number};
}

void derived_on_maintenance(struct derived *derived, const struct now *now) {
    if (derived->rule->kind == DERIVE_RUN_HOURS) {
        derived->state = 0;
        derived->from_us = now->mono_us;
    }
    if (derived->rule->kind == DERIVE_DAYS_SINCE) /* 0: the day is not known yet, and the first trusted time will do */
        derived->since_ms = now->wall_trusted && now->wall_ms > 0 ? now->wall_ms : 0;
}

bool derived_durable(const struct derived *derived) {
    return kind_of(derived->rule->kind)->durable;
}

/* Record: the kind as a mark that is never renumbered, then the hours or the wall time. Nothing stands behind that. */
enum record_mark { MARK_RUN_HOURS = 1, MARK_DAYS_SINCE = 2 };

size_t derived_record_put(const struct derived *derived, uint8_t ret_bytes[DERIVED_RECORD_SIZE]) {
    CHECK(derived_durable(derived));
    struct bytes_writer writer;
    bytes_writer_init(&writer, ret_bytes, DERIVED_RECORD_SIZE);
    if (derived->rule->kind == DERIVE_RUN_HOURS) {
        bytes_put_u8(&writer, MARK_RUN_HOURS);
        bytes_put_double(&writer, derived->state);
    } else {
        bytes_put_u8(&writer, MARK_DAYS_SINCE);
        bytes_put_zigzag(&writer, derived->since_ms);
    }
    CHECK(!writer.full);
    return writer.length;
}

bool derived_record_get(struct derived *derived, const uint8_t *bytes, size_t size) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, bytes, size);
    uint8_t mark = bytes_get_u8(&reader);
    if (mark == MARK_RUN_HOURS && derived->rule->kind == DERIVE_RUN_HOURS) {
        double hours = bytes_get_double(&reader);
        if (reader.failed || reader.position != size || !(hours >= 0 && hours <= RUN_HOURS_MAX))
            return false;
        derived->state = hours;
        return true;
    }
    if (mark == MARK_DAYS_SINCE && derived->rule->kind == DERIVE_DAYS_SINCE) {
        int64_t since_ms = bytes_get_zigzag(&reader);
        if (reader.failed || reader.position != size || since_ms < 0 || since_ms > WALL_MAX_MS)
            return false;
        derived->since_ms = since_ms;
        return true;
    }
    return false;
}
