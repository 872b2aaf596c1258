/* SPDX-License-Identifier: Apache-2.0 */
/* The truth of a composite condition, in Kleene's logic with three values:
 *
 *   all   false when one member is, else unknown when one is, else true
 *   any   true when one member is, else unknown when one is, else false
 *   not   true for false, false for true, unknown for unknown
 *
 *   leaf     true                                        false       unknown
 *   above    > limit; inside, > limit - deadband         else        its newest reading is not good, or there was none
 *   below    < limit; inside, < limit + deadband         else        the same
 *   equal    = limit                                     else        the same
 *   missing  its newest reading is not good              it is good  there was none
 *   open     within the place's hours, or it has none    outside     it has hours, and the clock is not trusted
 *
 * The life of one term's delay, by its raw truth (of the leaf, or what the members make of a group):
 *
 *              true                    delay over
 *     IDLE -----------> WAITING ------------------------> SERVED
 *      ^                 |   ^                              |
 *      |         unknown |   | true: goes on with           | unknown: stays
 *      |                 v   | what was left                |
 *      |               FROZEN                               |
 *      '------- false ---'-------------- false -------------'
 *
 *   The term counts as true when it is SERVED and raw is true; as false while it waits, or raw is false; as unknown while raw is.
 *
 * Guarantees: only a seen "false" takes a delay back, so that data that come and go can neither reset one nor serve it in the
 * dark: what counts is the sum of the time for which the term was true. A delay that ran out while there were data is served,
 * however late it is judged. Terms stand in prefix order, so that judging them from the last to the first sees members before
 * their group. Time in delays is monotonic; only `open` looks at the wall clock. */
#include "gateway/core/condition.h"

#include "base/check.h"
#include "sensors/decode.h"

#define MINUTES_PER_DAY 1440
#define MS_PER_MINUTE 60000

const char *truth_name(enum truth truth) {
    switch (truth) {
    case TRUTH_FALSE:
        return "false";
    case TRUTH_TRUE:
        return "true";
    case TRUTH_UNKNOWN:
        return "unknown";
    }
    return "?";
}

static bool term_is_group(const struct config_term *term) {
    return term->kind == TERM_ALL || term->kind == TERM_ANY || term->kind == TERM_NOT;
}

void condition_init(struct condition *condition, const struct config *config, const struct config_term *terms, uint16_t count,
                    struct condition_term *states) {
    CHECK(count > 0 && count <= TERMS_PER_ALARM_MAX && terms[0].span == count);
    *condition = (struct condition){.config = config, .terms = terms, .count = count, .states = states};
    for (uint16_t i = 0; i < count; i++) {
        unsigned end = (unsigned)i + terms[i].span, member = i + 1u;
        CHECK(terms[i].span >= 1 && end <= count);
        CHECK(term_is_group(&terms[i]) == (terms[i].span > 1));
        CHECK(terms[i].kind != TERM_OPEN || terms[i].place < config->places_count);
        while (member < end)
            member += terms[member].span;
        CHECK(member == end); /* no member reaches out of its group */
        CHECK(terms[i].kind != TERM_NOT || 1u + terms[i + 1].span == terms[i].span);
        states[i] = (struct condition_term){.raw = TRUTH_UNKNOWN, .truth = TRUTH_UNKNOWN, .deadline_us = NOW_NEVER};
    }
}

/* A comparison with its deadband; the side is kept while there is no value, as an alarm keeps it. */
static enum truth leaf_compare(const struct config_term *term, struct condition_term *state, const struct reading *reading) {
    double number, margin = state->over ? term->deadband : 0;
    if (reading->quality != QUALITY_GOOD || !value_number(&reading->value, &number))
        return TRUTH_UNKNOWN;
    if (term->kind == TERM_ABOVE)
        state->over = number > term->limit - margin;
    else if (term->kind == TERM_BELOW)
        state->over = number < term->limit + margin;
    else
        state->over = number == term->limit;
    return state->over ? TRUTH_TRUE : TRUTH_FALSE;
}

void condition_on_reading(struct condition *condition, uint16_t device, const struct reading *reading) {
    for (uint16_t i = 0; i < condition->count; i++) {
        const struct config_term *term = &condition->terms[i];
        if (term_is_group(term) || term->kind == TERM_OPEN || term->device != device || term->point != reading->point)
            continue;
        if (term->kind == TERM_MISSING)
            condition->states[i].raw = reading->quality != QUALITY_GOOD ? TRUTH_TRUE : TRUTH_FALSE;
        else
            condition->states[i].raw = leaf_compare(term, &condition->states[i], reading);
    }
}

static enum truth judge_group(const struct condition *condition, uint16_t group) {
    const struct config_term *terms = condition->terms;
    enum truth first = condition->states[group + 1].truth;
    if (terms[group].kind == TERM_NOT)
        return first == TRUTH_UNKNOWN ? TRUTH_UNKNOWN : first == TRUTH_TRUE ? TRUTH_FALSE : TRUTH_TRUE;
    enum truth deciding = terms[group].kind == TERM_ANY ? TRUTH_TRUE : TRUTH_FALSE;
    enum truth otherwise = deciding == TRUTH_TRUE ? TRUTH_FALSE : TRUTH_TRUE;
    for (unsigned member = group + 1u; member < (unsigned)group + terms[group].span; member += terms[member].span) {
        if (condition->states[member].truth == deciding)
            return deciding;
        if (condition->states[member].truth == TRUTH_UNKNOWN)
            otherwise = TRUTH_UNKNOWN;
    }
    return otherwise;
}

static enum truth judge_open(const struct condition *condition, const struct config_term *term, const struct now *now) {
    const struct config_place *place = &condition->config->places[term->place];
    if (place->has_hours && !now->wall_trusted)
        return TRUTH_UNKNOWN;
    return place_open(place, condition->config->utc_offset_minutes, now->wall_ms) ? TRUTH_TRUE : TRUTH_FALSE;
}

static void delay_serve_if_over(struct condition_term *state, const struct now *now) {
    if (!state->waiting || state->deadline_us == NOW_NEVER || state->deadline_us > now->mono_us)
        return;
    state->waiting = false;
    state->served = true;
    state->deadline_us = NOW_NEVER;
}

static enum truth judge_delay(struct condition_term *state, uint32_t on_delay_ms, const struct now *now) {
    switch (state->raw) {
    case TRUTH_FALSE:
        state->waiting = state->served = false;
        state->deadline_us = NOW_NEVER;
        state->frozen_us = 0;
        return TRUTH_FALSE;
    case TRUTH_UNKNOWN:
        delay_serve_if_over(state, now);
        if (state->deadline_us != NOW_NEVER) {
            state->frozen_us = state->deadline_us - now->mono_us;
            state->deadline_us = NOW_NEVER;
        }
        return TRUTH_UNKNOWN;
    case TRUTH_TRUE:
        break;
    }
    if (!state->waiting && !state->served) {
        state->waiting = true;
        state->deadline_us = now->mono_us + 1000 * (int64_t)on_delay_ms;
    } else if (state->waiting && state->deadline_us == NOW_NEVER) {
        state->deadline_us = now->mono_us + state->frozen_us;
        state->frozen_us = 0;
    }
    delay_serve_if_over(state, now);
    return state->served ? TRUTH_TRUE : TRUTH_FALSE;
}

enum truth condition_judge(struct condition *condition, const struct now *now) {
    for (unsigned left = condition->count; left > 0; left--) {
        uint16_t i = (uint16_t)(left - 1);
        const struct config_term *term = &condition->terms[i];
        struct condition_term *state = &condition->states[i];
        if (term_is_group(term))
            state->raw = judge_group(condition, i);
        else if (term->kind == TERM_OPEN)
            state->raw = judge_open(condition, term, now);
        state->truth = judge_delay(state, term->on_delay_ms, now);
    }
    return condition->states[0].truth;
}

int64_t condition_next_wake(const struct condition *condition, const struct now *now) {
    int64_t wake_us = NOW_NEVER;
    for (uint16_t i = 0; i < condition->count; i++) {
        const struct config_term *term = &condition->terms[i];
        if (condition->states[i].deadline_us < wake_us)
            wake_us = condition->states[i].deadline_us;
        if (term->kind != TERM_OPEN || !now->wall_trusted)
            continue;
        int64_t change_ms = place_next_change(&condition->config->places[term->place], condition->config->utc_offset_minutes, now->wall_ms);
        if (change_ms == NOW_NEVER)
            continue;
        int64_t change_us = now->mono_us + 1000 * (change_ms - now->wall_ms);
        if (change_us < wake_us)
            wake_us = change_us;
    }
    return wake_us < now->mono_us ? now->mono_us : wake_us;
}

void condition_check(const struct condition *condition) {
    for (uint16_t i = 0; i < condition->count; i++) {
        const struct condition_term *state = &condition->states[i];
        CHECK(!state->waiting || !state->served);
        CHECK(state->waiting || (state->deadline_us == NOW_NEVER && state->frozen_us == 0));
        CHECK(state->deadline_us == NOW_NEVER || state->frozen_us == 0);
        CHECK(state->frozen_us >= 0);
        CHECK(state->truth != TRUTH_TRUE || state->served);
    }
}

/* ---- hours ---- */

static int64_t floor_divide(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

/* Minutes since 1970-01-01 00:00 on the place's clock. */
static int64_t local_minute(int utc_offset_minutes, int64_t wall_ms) {
    return floor_divide(wall_ms, MS_PER_MINUTE) + utc_offset_minutes;
}

/* The minute after which the place is closed, of an opening at minute 0 of its day: above MINUTES_PER_DAY for a closing on the
 * next day. A closing at the very minute of the opening is that of the next day too: it is open all the time between. */
static int64_t closing_minute(const struct config_place *place) {
    return place->closes_min + (place->closes_min <= place->opens_min ? MINUTES_PER_DAY : 0);
}

/* A closed day is one on which no opening begins; what began on the day before goes on past midnight. */
static bool day_opens(const struct config_place *place, int64_t day) {
    int64_t since_monday = day + 3; /* 1970-01-01 was a Thursday */
    unsigned weekday = (unsigned)(since_monday - 7 * floor_divide(since_monday, 7));
    return !(place->closed_days >> weekday & 1);
}

static bool open_at(const struct config_place *place, int64_t minute) {
    int64_t day = floor_divide(minute, MINUTES_PER_DAY);
    for (int64_t began = day - 1; began <= day; began++) {
        int64_t midnight = began * MINUTES_PER_DAY;
        if (day_opens(place, began) && minute >= midnight + place->opens_min && minute < midnight + closing_minute(place))
            return true;
    }
    return false;
}

bool place_open(const struct config_place *place, int utc_offset_minutes, int64_t wall_ms) {
    return !place->has_hours || open_at(place, local_minute(utc_offset_minutes, wall_ms));
}

/* It can only change where an opening begins or ends. What has not changed within nine days, a week and the openings at its two
 * ends, never does. */
int64_t place_next_change(const struct config_place *place, int utc_offset_minutes, int64_t wall_ms) {
    if (!place->has_hours)
        return NOW_NEVER;
    int64_t minute = local_minute(utc_offset_minutes, wall_ms), next = NOW_NEVER, today = floor_divide(minute, MINUTES_PER_DAY);
    bool open = open_at(place, minute);
    for (int64_t day = today - 1; day <= today + 8; day++) {
        int64_t borders[] = {day * MINUTES_PER_DAY + place->opens_min, day * MINUTES_PER_DAY + closing_minute(place)};
        for (unsigned i = 0; i < ARRAY_COUNT(borders); i++)
            if (borders[i] > minute && borders[i] < next && open_at(place, borders[i]) != open)
                next = borders[i];
    }
    return next == NOW_NEVER ? NOW_NEVER : (next - utc_offset_minutes) * MS_PER_MINUTE;
}
