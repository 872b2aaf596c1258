/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "gateway/core/condition.h"

#define MONDAY_MS INT64_C(1789948800000) /* 2026-09-21 00:00 UTC, a Monday */
#define MINUTE_MS INT64_C(60000)
#define DAY_MINUTES 1440
#define FAN 0
#define PURIFIER 1
#define FUME 2

static struct config_place places[] = {
    {.has_hours = true, .opens_min = 600, .closes_min = 1320, .closed_days = 1}, /* 10:00-22:00, Monday closed */
    {.has_hours = false},
};
static const struct config site = {.places_count = 2, .places = places, .utc_offset_minutes = 480};

struct rig {
    struct condition condition;
    struct condition_term states[TERMS_PER_ALARM_MAX];
};

static void begin(struct rig *rig, const struct config_term *terms, unsigned count) {
    condition_init(&rig->condition, &site, terms, (uint16_t)count, rig->states);
}

/* 0 s is Monday, 00:00 at the place. */
static struct now at_ms(int64_t ms) {
    return (struct now){.mono_us = 1000 * ms, .wall_ms = MONDAY_MS - 480 * MINUTE_MS + ms, .wall_trusted = true};
}

static enum truth judge_at(struct rig *rig, struct now now) {
    enum truth truth = condition_judge(&rig->condition, &now);
    condition_check(&rig->condition);
    return truth;
}

static enum truth judge(struct rig *rig, int64_t ms) {
    return judge_at(rig, at_ms(ms));
}

static int64_t wake_ms(const struct rig *rig, int64_t ms) {
    struct now now = at_ms(ms);
    int64_t wake_us = condition_next_wake(&rig->condition, &now);
    return wake_us == NOW_NEVER ? -1 : wake_us / 1000;
}

static enum truth feed(struct rig *rig, int64_t ms, uint16_t point, double number) {
    struct reading reading = {.point = point, .value = {.kind = VALUE_NUMBER, .number = number}};
    condition_on_reading(&rig->condition, 4, &reading);
    return judge(rig, ms);
}

static enum truth blind(struct rig *rig, int64_t ms, uint16_t point) {
    struct reading reading = {.point = point, .quality = QUALITY_BAD, .reason = REASON_NO_ANSWER, .value = {.kind = VALUE_NONE}};
    condition_on_reading(&rig->condition, 4, &reading);
    return judge(rig, ms);
}

#define LEAF(what, where, at)                                                                                                                        \
    { .kind = (what), .span = 1, .device = 4, .point = (where), .limit = (at) }

/* R1: the fan runs and the purifier does not, for three minutes. */
static void test_purifier_unused(void **state) {
    (void)state;
    static const struct config_term terms[] = {
        {.kind = TERM_ALL, .span = 3, .on_delay_ms = 180000}, LEAF(TERM_EQUAL, FAN, 1), LEAF(TERM_EQUAL, PURIFIER, 0)};
    struct rig rig;
    begin(&rig, terms, 3);
    assert_int_equal(judge(&rig, 0), TRUTH_UNKNOWN);
    assert_int_equal(feed(&rig, 1000, PURIFIER, 1), TRUTH_FALSE); /* a purifier that runs decides it alone */
    assert_int_equal(feed(&rig, 2000, PURIFIER, 0), TRUTH_UNKNOWN);
    assert_int_equal(feed(&rig, 3000, FAN, 1), TRUTH_FALSE); /* its delay begins */
    assert_int_equal(wake_ms(&rig, 3000), 183000);
    assert_int_equal(judge(&rig, 182999), TRUTH_FALSE);
    assert_int_equal(judge(&rig, 183000), TRUTH_TRUE);
    assert_int_equal(wake_ms(&rig, 183000), -1);
    assert_int_equal(blind(&rig, 184000, FAN), TRUTH_UNKNOWN);
    assert_int_equal(feed(&rig, 999000, FAN, 1), TRUTH_TRUE); /* served is served */
    assert_int_equal(feed(&rig, 999500, PURIFIER, 1), TRUTH_FALSE);
    assert_int_equal(feed(&rig, 999600, PURIFIER, 0), TRUTH_FALSE); /* and begins anew after a seen false */
    assert_int_equal(wake_ms(&rig, 999600), 1179600);
}

/* Data that come and go: 10 s of truth are needed, and the dark neither counts nor resets. */
static void test_frozen_delay(void **state) {
    (void)state;
    static const struct config_term terms[] = {{.kind = TERM_ABOVE, .span = 1, .device = 4, .point = FUME, .limit = 2, .on_delay_ms = 10000}};
    struct rig rig;
    begin(&rig, terms, 1);
    int64_t seen_ms = 0, ms = 0;
    assert_int_equal(feed(&rig, ms, FUME, 3), TRUTH_FALSE);
    while (seen_ms < 9000) {
        ms += 1000;
        seen_ms += 1000;
        assert_int_equal(blind(&rig, ms, FUME), TRUTH_UNKNOWN);
        assert_int_equal(wake_ms(&rig, ms), -1); /* frozen: no time brings it */
        ms += 50000;
        assert_int_equal(feed(&rig, ms, FUME, 3), TRUTH_FALSE);
        assert_int_equal(wake_ms(&rig, ms), ms + 10000 - seen_ms);
    }
    assert_int_equal(blind(&rig, ms + 1000, FUME), TRUTH_UNKNOWN); /* it ran out while there were data, though nobody had asked */
    assert_int_equal(feed(&rig, ms + 1001, FUME, 3), TRUTH_TRUE);
    assert_int_equal(feed(&rig, ms + 1002, FUME, 2), TRUTH_FALSE);
    feed(&rig, ms + 2000, FUME, 3);
    assert_int_equal(blind(&rig, ms + 3000, FUME), TRUTH_UNKNOWN);
    assert_int_equal(feed(&rig, ms + 4000, FUME, 1), TRUTH_FALSE); /* a frozen delay ends with a false too */
    assert_int_equal(feed(&rig, ms + 5000, FUME, 3), TRUTH_FALSE);
    assert_int_equal(wake_ms(&rig, ms + 5000), ms + 15000);
    assert_int_equal(wake_ms(&rig, ms + 60000), ms + 60000); /* overdue: now, not in the past */
}

static void test_deadband(void **state) {
    (void)state;
    static const struct config_term above[] = {{.kind = TERM_ABOVE, .span = 1, .device = 4, .point = FUME, .limit = 2, .deadband = 0.5}};
    static const struct config_term below[] = {{.kind = TERM_BELOW, .span = 1, .device = 4, .point = FUME, .limit = 2, .deadband = 0.5}};
    static const double numbers[] = {2, 2.1, 1.6, 1.5, 1.9, 1.4, 2.4, 2.5};
    static const enum truth over[] = {0, 1, 1, 0, 0, 0, 1, 1}, under[] = {0, 0, 1, 1, 1, 1, 1, 0};
    struct rig rig;
    begin(&rig, above, 1);
    for (unsigned i = 0; i < ARRAY_COUNT(numbers); i++)
        assert_int_equal(feed(&rig, i, FUME, numbers[i]), over[i]);
    assert_int_equal(blind(&rig, 20, FUME), TRUTH_UNKNOWN);
    assert_int_equal(feed(&rig, 21, FUME, 1.6), TRUTH_TRUE); /* the side outlives the dark */
    begin(&rig, below, 1);
    for (unsigned i = 0; i < ARRAY_COUNT(numbers); i++)
        assert_int_equal(feed(&rig, i, FUME, numbers[i]), under[i]);
}

static void test_whose_reading(void **state) {
    (void)state;
    static const struct config_term terms[] = {LEAF(TERM_ABOVE, FUME, 2)};
    struct rig rig;
    begin(&rig, terms, 1);
    struct reading reading = {.point = FUME, .value = {.kind = VALUE_NUMBER, .number = 3}};
    condition_on_reading(&rig.condition, 5, &reading);      /* another device */
    assert_int_equal(feed(&rig, 0, FAN, 3), TRUTH_UNKNOWN); /* another point */
    reading.quality = QUALITY_UNCERTAIN;                    /* not good: not known */
    condition_on_reading(&rig.condition, 4, &reading);
    assert_int_equal(judge(&rig, 1), TRUTH_UNKNOWN);
    reading = (struct reading){.point = FUME, .value = {.kind = VALUE_TEXT, .text = "3"}};
    condition_on_reading(&rig.condition, 4, &reading);
    assert_int_equal(judge(&rig, 2), TRUTH_UNKNOWN);
    assert_int_equal(feed(&rig, 3, FUME, 3), TRUTH_TRUE);
}

/* R6: no good value for ten minutes within the place's hours. */
static void test_offline_within_hours(void **state) {
    (void)state;
    static const struct config_term terms[] = {
        {.kind = TERM_ALL, .span = 3, .on_delay_ms = 600000}, LEAF(TERM_MISSING, FUME, 0), {.kind = TERM_OPEN, .span = 1, .place = 0}};
    const int64_t tuesday = DAY_MINUTES * MINUTE_MS, opens = tuesday + 600 * MINUTE_MS, closes = tuesday + 1320 * MINUTE_MS;
    struct rig rig;
    begin(&rig, terms, 3);
    assert_int_equal(judge(&rig, 0), TRUTH_FALSE); /* Monday: closed, that alone decides it */
    assert_int_equal(wake_ms(&rig, 0), opens);
    assert_int_equal(blind(&rig, 1000, FUME), TRUTH_FALSE);
    assert_int_equal(judge(&rig, opens - 1), TRUTH_FALSE);
    assert_int_equal(wake_ms(&rig, opens - 1), opens);
    assert_int_equal(judge(&rig, opens), TRUTH_FALSE);
    assert_int_equal(wake_ms(&rig, opens), opens + 600000);
    assert_int_equal(judge(&rig, opens + 600000), TRUTH_TRUE);
    assert_int_equal(wake_ms(&rig, opens + 600000), closes);
    struct now untrusted = at_ms(opens + 700000);
    untrusted.wall_trusted = false;
    assert_int_equal(judge_at(&rig, untrusted), TRUTH_UNKNOWN);
    assert_int_equal(condition_next_wake(&rig.condition, &untrusted), NOW_NEVER);
    assert_int_equal(judge(&rig, opens + 800000), TRUTH_TRUE);
    assert_int_equal(judge(&rig, closes), TRUTH_FALSE);
    assert_int_equal(feed(&rig, closes + tuesday - 1, FUME, 1), TRUTH_FALSE);
}

static void test_always_open(void **state) {
    (void)state;
    static const struct config_term terms[] = {{.kind = TERM_OPEN, .span = 1, .place = 1}};
    struct rig rig;
    begin(&rig, terms, 1);
    assert_int_equal(judge_at(&rig, (struct now){.mono_us = 5}), TRUTH_TRUE); /* needs no clock */
    assert_int_equal(wake_ms(&rig, 5), -1);
}

/* Every pair of truths through all, any and not. */
static void test_kleene(void **state) {
    (void)state;
    static const enum truth all[3][3] = {{0, 0, 0}, {0, 1, 2}, {0, 2, 2}}, any[3][3] = {{0, 1, 2}, {1, 1, 1}, {2, 1, 2}}, not [3] = {1, 0, 2};
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            for (int kind = TERM_ALL; kind <= TERM_ANY; kind++) {
                const struct config_term terms[] = {
                    {.kind = TERM_NOT, .span = 4}, {.kind = (enum term_kind)kind, .span = 3}, LEAF(TERM_EQUAL, 0, 1), LEAF(TERM_EQUAL, 1, 1)};
                struct rig rig;
                begin(&rig, terms, 4);
                if (a != TRUTH_UNKNOWN)
                    feed(&rig, 0, 0, a);
                if (b != TRUTH_UNKNOWN)
                    feed(&rig, 0, 1, b);
                enum truth group = kind == TERM_ALL ? all[a][b] : any[a][b];
                assert_int_equal(judge(&rig, 0), not [group]);
                assert_int_equal(rig.states[1].truth, group);
            }
    assert_string_equal(truth_name(TRUTH_FALSE), "false");
    assert_string_equal(truth_name(TRUTH_TRUE), "true");
    assert_string_equal(truth_name(TRUTH_UNKNOWN), "unknown");
}

static void test_hours(void **state) {
    (void)state;
    static const struct {
        struct config_place place;
        int day, minute; /* 0 is Monday */
        bool open;
    } cases[] = {
        {{.has_hours = true, .opens_min = 600, .closes_min = 1320}, 2, 599, false},
        {{.has_hours = true, .opens_min = 600, .closes_min = 1320}, 2, 600, true},
        {{.has_hours = true, .opens_min = 600, .closes_min = 1320}, 2, 1319, true},
        {{.has_hours = true, .opens_min = 600, .closes_min = 1320}, 2, 1320, false},
        {{.has_hours = true, .opens_min = 1080, .closes_min = 120, .closed_days = 1 << 5}, 5, 60, true}, /* began on Friday */
        {{.has_hours = true, .opens_min = 1080, .closes_min = 120, .closed_days = 1 << 5}, 5, 1100, false},
        {{.has_hours = true, .opens_min = 1080, .closes_min = 120, .closed_days = 1 << 5}, 6, 60, false}, /* Saturday's night */
        {{.has_hours = true, .opens_min = 1080, .closes_min = 120, .closed_days = 1 << 5}, 6, 1080, true},
        {{.has_hours = true, .opens_min = 0, .closes_min = 1440}, 3, 0, true}, /* 24 hours */
        {{.has_hours = true, .opens_min = 0, .closes_min = 1440}, 3, 1439, true},
        {{.has_hours = true, .opens_min = 0, .closes_min = 1440, .closed_days = 1 << 3}, 3, 0, false},
        {{.has_hours = true, .opens_min = 0, .closes_min = 1440, .closed_days = 1 << 3}, 2, 1439, true},
        {{.has_hours = true, .opens_min = 480, .closes_min = 480, .closed_days = 1 << 3}, 3, 479, true}, /* Wednesday's 24 hours */
        {{.has_hours = true, .opens_min = 480, .closes_min = 480, .closed_days = 1 << 3}, 3, 480, false},
        {{.has_hours = false, .closed_days = 0x7F}, 3, 0, true},
        {{.has_hours = true, .opens_min = 0, .closes_min = 1440, .closed_days = 0x7F}, 3, 0, false},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
        int64_t ms = MONDAY_MS + (cases[i].day * DAY_MINUTES + cases[i].minute - 480) * MINUTE_MS;
        if (place_open(&cases[i].place, 480, ms) != cases[i].open || place_open(&cases[i].place, 480, ms + 59999) != cases[i].open)
            fail_msg("case %u", i);
    }
}

/* Painted minute by minute, a week and what reaches into it from both sides. */
static void paint(const struct config_place *place, bool open[10 * DAY_MINUTES]) {
    for (int i = 0; i < 10 * DAY_MINUTES; i++)
        open[i] = !place->has_hours;
    for (int day = 0; day < 10; day++) /* day 1 is Monday */
        if (place->has_hours && !(place->closed_days & 1 << (day + 6) % 7)) {
            int length = place->closes_min - place->opens_min;
            for (int m = 0; m < (length > 0 ? length : length + DAY_MINUTES); m++)
                if (day * DAY_MINUTES + place->opens_min + m < 10 * DAY_MINUTES)
                    open[day * DAY_MINUTES + place->opens_min + m] = true;
        }
}

static void test_every_minute_of_a_week(void **state) {
    (void)state;
    static bool open[10 * DAY_MINUTES];
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        int offset = (int)prng_below(&prng, 27 * 4) * 15 - 12 * 60;
        struct config_place place = {.has_hours = seed % 20 != 0, .closed_days = (uint8_t)(prng_below(&prng, 128) & prng_below(&prng, 128))};
        place.opens_min = (uint16_t)prng_below(&prng, DAY_MINUTES);
        place.closes_min = seed % 7 == 0 ? place.opens_min : (uint16_t)prng_below(&prng, DAY_MINUTES + 1);
        if (seed % 5 == 0)
            place.opens_min = 0;
        /* Also weeks before 1970, whose minutes are negative. */
        int64_t monday_ms = (seed % 3 ? MONDAY_MS : MONDAY_MS - 6000 * 7 * DAY_MINUTES * MINUTE_MS) - offset * MINUTE_MS;
        paint(&place, open);
        int64_t change = -1; /* found from behind: the next minute that differs, within the two days behind the week */
        for (int m = 9 * DAY_MINUTES - 1; m >= DAY_MINUTES; m--) {
            int64_t ms = monday_ms + (m - DAY_MINUTES) * MINUTE_MS;
            if (open[m + 1] != open[m])
                change = m + 1;
            bool said = place_open(&place, offset, ms + (int64_t)prng_below(&prng, 60000));
            int64_t next_ms = place_next_change(&place, offset, ms + (int64_t)prng_below(&prng, 60000));
            bool wrong = said != open[m] || (change >= 0 && next_ms != monday_ms + (change - DAY_MINUTES) * MINUTE_MS) ||
                         (change < 0 && next_ms <= monday_ms + 8 * DAY_MINUTES * MINUTE_MS);
            if (wrong)
                fail_msg("seed %llu, minute %d of day %d: open %d and not %d, or its next change", (unsigned long long)seed, m % DAY_MINUTES,
                         m / DAY_MINUTES - 1, said, open[m]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_purifier_unused),
        cmocka_unit_test(test_frozen_delay),
        cmocka_unit_test(test_deadband),
        cmocka_unit_test(test_whose_reading),
        cmocka_unit_test(test_offline_within_hours),
        cmocka_unit_test(test_always_open),
        cmocka_unit_test(test_kleene),
        cmocka_unit_test(test_hours),
        cmocka_unit_test(test_every_minute_of_a_week),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
