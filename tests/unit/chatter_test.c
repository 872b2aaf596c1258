/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "gateway/core/chatter.h"

#define WALL_MS INT64_C(1790000000000) /* wall time at 0 s */
#define SECOND INT64_C(1000000)

static struct now at_us(int64_t us) {
    return (struct now){.mono_us = us, .wall_ms = WALL_MS + us / 1000, .wall_trusted = true};
}

/* As the core does it: the time first, then the activation. */
static bool chatter_comes(struct chatter *chatter, int64_t seconds) {
    struct now now = at_us(seconds * SECOND);
    assert_false(chatter_on_time(chatter, &now));
    return chatter_on_activation(chatter, &now);
}

static void test_one_alarm(void **state) {
    (void)state;
    struct chatter chatter;
    chatter_init(&chatter, false);
    assert_int_equal(chatter_next_wake(&chatter), NOW_NEVER);
    assert_false(chatter_comes(&chatter, 100));
    assert_false(chatter_comes(&chatter, 130));
    assert_false(chatter_hides(&chatter)); /* two are told as they are */
    assert_int_equal(chatter_next_wake(&chatter), NOW_NEVER);
    assert_true(chatter_comes(&chatter, 159));
    assert_true(chatter_hides(&chatter)); /* the event of the beginning stands for the third */
    assert_int_equal(chatter.first_ms, WALL_MS + 100000);
    assert_int_equal(chatter.last_ms, WALL_MS + 159000);
    assert_int_equal(chatter.count, 3);
    assert_int_equal(chatter_next_wake(&chatter), 219 * SECOND);
    for (int i = 1; i <= 100; i++)
        assert_false(chatter_comes(&chatter, 159 + 59 * i)); /* begun is begun, as long as one comes within every minute */
    struct now before = at_us((159 + 5900 + 60) * SECOND - 1), end = at_us((159 + 5900 + 60) * SECOND);
    assert_int_equal(chatter_next_wake(&chatter), end.mono_us);
    assert_false(chatter_on_time(&chatter, &before));
    assert_true(chatter_hides(&chatter));
    assert_true(chatter_on_time(&chatter, &end));
    assert_false(chatter_on_time(&chatter, &end)); /* ends once */
    assert_false(chatter_hides(&chatter));
    assert_int_equal(chatter_next_wake(&chatter), NOW_NEVER);
    assert_int_equal(chatter.first_ms, WALL_MS + 100000); /* still there for the event of the end */
    assert_int_equal(chatter.last_ms, WALL_MS + 6059000);
    assert_int_equal(chatter.count, 103);
    assert_false(chatter_on_activation(&chatter, &end)); /* and what comes now is the first of a new count */
    assert_false(chatter_comes(&chatter, 6120));
    assert_true(chatter_comes(&chatter, 6121));
    assert_int_equal(chatter.count, 3);
}

static void test_every_half_minute(void **state) {
    (void)state;
    struct chatter chatter;
    chatter_init(&chatter, false);
    for (int i = 0; i < 50; i++)
        assert_false(chatter_comes(&chatter, 30 * i)); /* the third comes when the first has left the 60 s */
    struct now now = at_us(49 * 30 * SECOND + 30 * SECOND - 1);
    assert_true(chatter_on_activation(&chatter, &now)); /* a microsecond earlier it has not */
}

static void test_fire_is_named_only(void **state) {
    (void)state;
    struct chatter chatter;
    chatter_init(&chatter, true);
    assert_false(chatter_comes(&chatter, 1));
    assert_false(chatter_comes(&chatter, 2));
    assert_true(chatter_comes(&chatter, 3));
    assert_true(chatter.chattering);
    assert_false(chatter_hides(&chatter));
    struct now now = at_us(63 * SECOND);
    assert_true(chatter_on_time(&chatter, &now));
}

/* An end that nobody took in time: the chattering goes on, its first and count with it. */
static void test_asked_late(void **state) {
    (void)state;
    struct chatter chatter;
    chatter_init(&chatter, false);
    for (int s = 1; s <= 3; s++)
        chatter_comes(&chatter, s);
    struct now late = at_us(200 * SECOND);
    assert_false(chatter_on_activation(&chatter, &late));
    assert_true(chatter_hides(&chatter));
    assert_int_equal(chatter.count, 4);
    assert_int_equal(chatter.first_ms, WALL_MS + 1000);
    assert_int_equal(chatter_next_wake(&chatter), 260 * SECOND);
}

static bool flood_comes(struct flood *flood, int64_t seconds) {
    struct now now = at_us(seconds * SECOND);
    assert_false(flood_on_time(flood, &now));
    return flood_on_activation(flood, &now);
}

static void test_flood(void **state) {
    (void)state;
    struct flood flood;
    flood_init(&flood);
    for (int i = 0; i < 10; i++)
        assert_false(flood_comes(&flood, 60 * i)); /* ten within ten minutes are none */
    assert_int_equal(flood_next_wake(&flood), NOW_NEVER);
    assert_true(flood_comes(&flood, 599));
    assert_int_equal(flood.number, 1);
    assert_int_equal(flood.first_ms, WALL_MS);
    assert_int_equal(flood.last_ms, WALL_MS + 599000);
    assert_int_equal(flood.count, 11);
    assert_int_equal(flood_next_wake(&flood), (360 + 600) * SECOND); /* the fifth newest leaves */
    assert_false(flood_comes(&flood, 700));
    assert_int_equal(flood_next_wake(&flood), (420 + 600) * SECOND);
    struct now before = at_us(1020 * SECOND - 1), end = at_us(1020 * SECOND);
    assert_false(flood_on_time(&flood, &before));
    assert_true(flood_on_time(&flood, &end));
    assert_false(flood_on_time(&flood, &end));
    assert_int_equal(flood.count, 12);
    assert_int_equal(flood.last_ms, WALL_MS + 700000);
    assert_int_equal(flood_next_wake(&flood), NOW_NEVER);
    for (int i = 0; i < 10; i++)
        assert_false(flood_comes(&flood, 5000 + i));
    assert_true(flood_comes(&flood, 5010));
    assert_int_equal(flood.number, 2);
    assert_int_equal(flood.count, 11);
}

/* ---- against the definition, second by second ---- */

#define SECONDS 4000

struct times { /* activations of each second */
    uint8_t of_second[SECONDS];
};

static unsigned within(const struct times *times, int now, int window, int upto_now) {
    unsigned count = 0;
    for (int s = now - window + 1; s <= now; s++)
        if (s >= 0)
            count += times->of_second[s];
    return count - (unsigned)(times->of_second[now] - upto_now); /* of the last second only the first ones */
}

struct oracle {
    int window;
    unsigned begins, ends; /* at least so many begin it; fewer than so many end it */
    bool on;
    int first, last;
    unsigned count, number;
};

static bool oracle_time(struct oracle *oracle, const struct times *times, int s) {
    if (!oracle->on || within(times, s, oracle->window, 0) >= oracle->ends)
        return false;
    oracle->on = false;
    return true;
}

static bool oracle_activation(struct oracle *oracle, const struct times *times, int s, int nth) {
    oracle->last = s;
    oracle->count++;
    unsigned count = within(times, s, oracle->window, nth);
    if (oracle->on || count < oracle->begins)
        return false;
    oracle->on = true;
    oracle->number++;
    oracle->count = count;
    for (oracle->first = s - oracle->window + 1; oracle->first < 0 || !times->of_second[oracle->first];)
        oracle->first++;
    return true;
}

static void random_times(struct prng *prng, unsigned mean_gap, struct times *times) {
    *times = (struct times){{0}};
    for (int64_t s = 0; s < SECONDS;) {
        uint64_t pace = prng_below(prng, 6) ? mean_gap : 12 * (uint64_t)mean_gap;
        s += (int64_t)prng_below(prng, 2 * pace + 1);
        if (s < SECONDS)
            times->of_second[s]++;
    }
}

static void check_chatter(const struct chatter *chatter, const struct oracle *oracle, uint64_t seed, int s) {
    bool same = chatter->chattering == oracle->on && (!oracle->number || !oracle->on ||
                                                      (chatter->first_ms == WALL_MS + oracle->first * 1000 &&
                                                       chatter->last_ms == WALL_MS + oracle->last * 1000 && chatter->count == oracle->count));
    if (!same)
        fail_msg("seed %llu, second %d: chattering %d and not %d, or its first, last, count", (unsigned long long)seed, s, chatter->chattering,
                 oracle->on);
}

static void check_flood(const struct flood *flood, const struct oracle *oracle, uint64_t seed, int s) {
    bool same = flood->flooding == oracle->on && flood->number == oracle->number &&
                (!oracle->on || (flood->first_ms == WALL_MS + oracle->first * 1000 && flood->last_ms == WALL_MS + oracle->last * 1000 &&
                                 flood->count == oracle->count));
    if (!same)
        fail_msg("seed %llu, second %d: flood %d and not %d, or its number, first, last, count", (unsigned long long)seed, s, flood->flooding,
                 oracle->on);
}

static void test_random_chatter(void **state) {
    (void)state;
    unsigned begun = 0, quiet = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct prng prng;
        struct times times;
        struct chatter chatter;
        struct oracle oracle = {.window = 60, .begins = 3, .ends = 1};
        prng_init(&prng, seed);
        random_times(&prng, 5 + (unsigned)prng_below(&prng, 40), &times);
        chatter_init(&chatter, seed % 2);
        for (int s = 0; s < SECONDS; s++) {
            struct now now = at_us(s * SECOND);
            bool ends = oracle_time(&oracle, &times, s), woken = chatter_next_wake(&chatter) <= now.mono_us;
            assert_int_equal(woken, ends); /* it asks for exactly this second */
            if (woken)
                assert_true(chatter_on_time(&chatter, &now));
            quiet += ends;
            for (int nth = 1; nth <= times.of_second[s]; nth++) {
                bool begins = oracle_activation(&oracle, &times, s, nth);
                assert_int_equal(chatter_on_activation(&chatter, &now), begins);
                begun += begins;
                assert_int_equal(chatter_hides(&chatter), oracle.on && seed % 2 == 0);
                check_chatter(&chatter, &oracle, seed, s);
            }
            check_chatter(&chatter, &oracle, seed, s);
        }
    }
    assert_true(begun > 1000 && quiet > 1000);
}

static void test_random_floods(void **state) {
    (void)state;
    unsigned begun = 0, over = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng prng;
        struct times times;
        struct flood flood;
        struct oracle oracle = {.window = 600, .begins = 11, .ends = 5};
        prng_init(&prng, seed);
        random_times(&prng, 15 + (unsigned)prng_below(&prng, 60), &times);
        flood_init(&flood);
        for (int s = 0; s < SECONDS; s++) {
            struct now now = at_us(s * SECOND);
            bool ends = oracle_time(&oracle, &times, s), woken = flood_next_wake(&flood) <= now.mono_us;
            assert_int_equal(woken, ends);
            if (woken)
                assert_true(flood_on_time(&flood, &now));
            over += ends;
            for (int nth = 1; nth <= times.of_second[s]; nth++) {
                bool begins = oracle_activation(&oracle, &times, s, nth);
                assert_int_equal(flood_on_activation(&flood, &now), begins);
                begun += begins;
            }
            check_flood(&flood, &oracle, seed, s);
        }
    }
    assert_true(begun > 100 && over > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_alarm),
        cmocka_unit_test(test_every_half_minute),
        cmocka_unit_test(test_fire_is_named_only),
        cmocka_unit_test(test_asked_late),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_random_chatter),
        cmocka_unit_test(test_random_floods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
