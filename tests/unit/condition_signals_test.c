/* SPDX-License-Identifier: Apache-2.0 */
/* Random trees of terms over random signals with gaps, against an oracle that looks at every minute of the whole signal: it goes back
 * over what was seen and adds up the minutes for which a term was true since it was last false. The condition itself is judged only
 * after readings, when the clock is set, and when it asked to be; in between nothing may change, and when it asked, something must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "gateway/core/condition.h"

#define MINUTE_US INT64_C(60000000)
#define MINUTE_MS INT64_C(60000)
#define SIGNAL_MINUTES 300
#define SIGNALS 2500
#define POINTS 3
#define DAY_MINUTES 1440

enum seen { SEEN_NOTHING, SEEN_VALUE, SEEN_BAD };

struct minute {
    struct now now;
    enum seen seen[POINTS];
    double values[POINTS];
    bool clock_set;
};

struct scene {
    struct config_place place;
    struct config site;
    struct config_term terms[TERMS_PER_ALARM_MAX];
    unsigned count;
    struct minute minutes[SIGNAL_MINUTES];
    enum truth raw[SIGNAL_MINUTES][TERMS_PER_ALARM_MAX], truth[SIGNAL_MINUTES][TERMS_PER_ALARM_MAX]; /* the oracle's */
};

/* ---- the oracle ---- */

static enum truth oracle_value(const struct scene *scene, const struct config_term *term, int m) {
    while (m >= 0 && scene->minutes[m].seen[term->point] == SEEN_NOTHING)
        m--;
    if (m < 0)
        return TRUTH_UNKNOWN;
    bool missing = scene->minutes[m].seen[term->point] == SEEN_BAD;
    if (term->kind == TERM_MISSING)
        return missing ? TRUTH_TRUE : TRUTH_FALSE;
    if (missing)
        return TRUTH_UNKNOWN;
    for (; m >= 0; m--) { /* the newest value outside the deadband decides */
        if (scene->minutes[m].seen[term->point] != SEEN_VALUE)
            continue;
        double value = scene->minutes[m].values[term->point];
        if (term->kind == TERM_EQUAL)
            return value == term->limit ? TRUTH_TRUE : TRUTH_FALSE;
        double over = term->kind == TERM_ABOVE ? value - term->limit : term->limit - value;
        if (over > 0)
            return TRUTH_TRUE;
        if (over <= -term->deadband)
            return TRUTH_FALSE;
    }
    return TRUTH_FALSE;
}

static enum truth oracle_open(const struct scene *scene, int m) {
    const struct now *now = &scene->minutes[m].now;
    if (!scene->place.has_hours)
        return TRUTH_TRUE;
    if (!now->wall_trusted)
        return TRUTH_UNKNOWN;
    int64_t minutes = now->wall_ms / MINUTE_MS + scene->site.utc_offset_minutes, today = minutes / DAY_MINUTES, of_day = minutes % DAY_MINUTES;
    int64_t opens = scene->place.opens_min, closes = scene->place.closes_min;
    bool today_opens = !(scene->place.closed_days >> (today + 3) % 7 & 1), yesterday_opened = !(scene->place.closed_days >> (today + 2) % 7 & 1);
    if (opens < closes)
        return today_opens && of_day >= opens && of_day < closes ? TRUTH_TRUE : TRUTH_FALSE;
    return (today_opens && of_day >= opens) || (yesterday_opened && of_day < closes) ? TRUTH_TRUE : TRUTH_FALSE;
}

static enum truth oracle_group(const struct scene *scene, unsigned group, int m) {
    unsigned counts[3] = {0, 0, 0};
    for (unsigned i = group + 1; i < group + scene->terms[group].span; i += scene->terms[i].span)
        counts[scene->truth[m][i]]++;
    if (scene->terms[group].kind == TERM_NOT)
        return counts[TRUTH_UNKNOWN] ? TRUTH_UNKNOWN : counts[TRUTH_TRUE] ? TRUTH_FALSE : TRUTH_TRUE;
    if (scene->terms[group].kind == TERM_ALL)
        return counts[TRUTH_FALSE] ? TRUTH_FALSE : counts[TRUTH_UNKNOWN] ? TRUTH_UNKNOWN : TRUTH_TRUE;
    return counts[TRUTH_TRUE] ? TRUTH_TRUE : counts[TRUTH_UNKNOWN] ? TRUTH_UNKNOWN : TRUTH_FALSE;
}

static enum truth oracle_delayed(const struct scene *scene, unsigned i, int m) {
    if (scene->raw[m][i] != TRUTH_TRUE)
        return scene->raw[m][i];
    int64_t held_ms = 0;
    for (int before = m - 1; before >= 0 && scene->raw[before][i] != TRUTH_FALSE; before--)
        held_ms += scene->raw[before][i] == TRUTH_TRUE ? MINUTE_MS : 0;
    return held_ms >= scene->terms[i].on_delay_ms ? TRUTH_TRUE : TRUTH_FALSE;
}

static void oracle_minute(struct scene *scene, int m) {
    for (unsigned left = scene->count; left > 0; left--) {
        unsigned i = left - 1;
        const struct config_term *term = &scene->terms[i];
        scene->raw[m][i] = term->span > 1            ? oracle_group(scene, i, m)
                           : term->kind == TERM_OPEN ? oracle_open(scene, m)
                                                     : oracle_value(scene, term, m);
        scene->truth[m][i] = oracle_delayed(scene, i, m);
    }
}

/* ---- random scenes ---- */

static void random_term(struct prng *prng, struct scene *scene, unsigned room, unsigned depth) {
    struct config_term *term = &scene->terms[scene->count++];
    unsigned first = scene->count - 1, used = 1;
    *term = (struct config_term){.span = 1, .device = 4, .point = (uint16_t)prng_below(prng, POINTS)};
    if (prng_below(prng, 2))
        term->on_delay_ms = (uint32_t)(prng_below(prng, 9) * MINUTE_MS);
    if (room < 2 || depth == 0 || prng_below(prng, 4) == 0) {
        term->kind = (enum term_kind)(TERM_ABOVE + prng_below(prng, 5));
        term->limit = (double)prng_below(prng, 5) / 2;
        term->deadband = (double)prng_below(prng, 3) / 2;
        return;
    }
    term->kind = (enum term_kind)(TERM_ALL + prng_below(prng, 3));
    unsigned members = term->kind == TERM_NOT ? 1 : 1 + (unsigned)prng_below(prng, 4);
    for (unsigned i = 0; i < members && used < room; i++) {
        unsigned before = scene->count;
        random_term(prng, scene, room - used, depth - 1);
        used += scene->count - before;
    }
    term->span = (uint16_t)(scene->count - first);
}

static void random_scene(struct prng *prng, struct scene *scene) {
    scene->place = (struct config_place){.has_hours = prng_below(prng, 8), .closed_days = (uint8_t)(prng_below(prng, 128) & prng_below(prng, 128))};
    scene->place.opens_min = (uint16_t)prng_below(prng, DAY_MINUTES);
    scene->place.closes_min = (uint16_t)prng_below(prng, DAY_MINUTES + 1);
    scene->site = (struct config){.places_count = 1, .places = &scene->place, .utc_offset_minutes = 480};
    scene->count = 0;
    random_term(prng, scene, TERMS_PER_ALARM_MAX, 3);
    struct now now = {.mono_us = 0, .wall_ms = (29800000 + (int64_t)prng_below(prng, 10080)) * MINUTE_MS, .wall_trusted = prng_below(prng, 4)};
    uint64_t density = 1 + prng_below(prng, 10);
    for (int m = 0; m < SIGNAL_MINUTES; m++) {
        struct minute *minute = &scene->minutes[m];
        *minute = (struct minute){.clock_set = prng_below(prng, 60) == 0};
        if (minute->clock_set) {
            now.wall_trusted = prng_below(prng, 3);
            now.wall_ms += ((int64_t)prng_below(prng, 1000) - 500) * MINUTE_MS;
        }
        minute->now = now;
        for (unsigned p = 0; p < POINTS; p++) {
            uint64_t draw = prng_below(prng, 8 * density);
            minute->seen[p] = draw < 5 ? SEEN_VALUE : draw < 7 ? SEEN_BAD : SEEN_NOTHING;
            bool repeat = m > 0 && prng_below(prng, 4); /* values that stay, so that delays run out */
            minute->values[p] = repeat ? scene->minutes[m - 1].values[p] : (double)prng_below(prng, 7) / 2 - 0.5;
        }
        now.mono_us += MINUTE_US;
        now.wall_ms += MINUTE_MS;
    }
}

/* ---- the comparison ---- */

static bool happens(const struct minute *minute) {
    bool any = minute->clock_set;
    for (unsigned p = 0; p < POINTS; p++)
        any |= minute->seen[p] != SEEN_NOTHING;
    return any;
}

static void give_readings(struct condition *condition, const struct minute *minute) {
    for (unsigned p = 0; p < POINTS; p++) {
        struct reading reading = {.point = (uint16_t)p, .value = {.kind = VALUE_NUMBER, .number = minute->values[p]}};
        if (minute->seen[p] == SEEN_BAD)
            reading = (struct reading){.point = (uint16_t)p, .quality = QUALITY_BAD, .reason = REASON_NO_ANSWER, .value = {.kind = VALUE_NONE}};
        if (minute->seen[p] != SEEN_NOTHING)
            condition_on_reading(condition, 4, &reading);
    }
}

static bool oracle_changed(const struct scene *scene, int m) {
    for (unsigned i = 0; i < scene->count; i++)
        if (scene->raw[m][i] != scene->raw[m - 1][i] || scene->truth[m][i] != scene->truth[m - 1][i])
            return true;
    return false;
}

static void run(uint64_t seed, unsigned *counts) {
    static struct scene scene;
    struct condition condition;
    struct condition_term states[TERMS_PER_ALARM_MAX];
    struct prng prng;
    prng_init(&prng, seed);
    random_scene(&prng, &scene);
    condition_init(&condition, &scene.site, scene.terms, (uint16_t)scene.count, states);
    int64_t wake_us = 0;
    for (int m = 0; m < SIGNAL_MINUTES; m++) {
        const struct minute *minute = &scene.minutes[m];
        bool told = happens(minute), woken = minute->now.mono_us == wake_us;
        oracle_minute(&scene, m);
        if (wake_us < minute->now.mono_us)
            fail_msg("seed %llu: asked at minute %d for a time between the minutes or in the past", (unsigned long long)seed, m);
        if (woken && !told && m > 0 && !oracle_changed(&scene, m))
            fail_msg("seed %llu: woken at minute %d for nothing", (unsigned long long)seed, m);
        if (told || woken) {
            give_readings(&condition, minute);
            enum truth truth = condition_judge(&condition, &minute->now);
            condition_check(&condition);
            assert_int_equal(truth, states[0].truth);
            wake_us = condition_next_wake(&condition, &minute->now);
            counts[3] += woken && !told;
        }
        for (unsigned i = 0; i < scene.count; i++)
            if (states[i].truth != scene.truth[m][i])
                fail_msg("seed %llu: term %u at minute %d is %s and not %s", (unsigned long long)seed, i, m, truth_name(states[i].truth),
                         truth_name(scene.truth[m][i]));
        counts[states[0].truth]++;
    }
}

static void test_random_conditions(void **state) {
    (void)state;
    unsigned counts[4] = {0}; /* of each truth, and of wakes */
    for (uint64_t seed = 1; seed <= SIGNALS; seed++)
        run(seed, counts);
    for (unsigned i = 0; i < 4; i++)
        assert_true(counts[i] > 10 * SIGNALS / (i == 3 ? 10 : 1)); /* the signals show every side */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_conditions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
