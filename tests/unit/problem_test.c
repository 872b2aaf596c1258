/* SPDX-License-Identifier: Apache-2.0 */
/* The drawing at the top of problem.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "gateway/core/problem.h"

static struct problems problems;
static const struct now now = {.wall_ms = 1700000000000, .wall_trusted = true};

static int setup(void **state) {
    (void)state;
    memset(&problems, 0, sizeof(problems));
    return 0;
}

static struct problem *open_one(void) {
    bool opened;
    unsigned at = problems_on_alarm(&problems, &now, "smoke-1", "smoke", 7, 9, &opened);
    assert_true(opened && at < PROBLEMS_MAX);
    return &problems.items[at];
}

static void test_wanted(void **state) {
    (void)state;
    for (enum alarm_class class = CLASS_FIRE; class <= CLASS_MAINTENANCE; class++)
        for (enum priority priority = PRIORITY_LOW; priority <= PRIORITY_HIGH; priority++) {
            struct config_alarm rule = {.class = class, .priority = priority};
            bool grave = class == CLASS_FIRE || class == CLASS_ELECTRICAL || class == CLASS_COMPLIANCE;
            assert_true(problem_wanted(&rule) == (grave && priority != PRIORITY_LOW));
        }
}

static void test_life(void **state) {
    (void)state;
    const char *why;
    struct problem *problem = open_one();
    assert_int_equal(problem->state, PROBLEM_OPEN);
    assert_int_equal(problem->opened_ms, now.wall_ms);
    assert_false(problem_close(problem, "B", true, &why));
    assert_non_null(strstr(why, "not rectified"));
    assert_true(problem_assign(problem, "W", &why));
    assert_int_equal(problem->state, PROBLEM_ASSIGNED);
    assert_true(problem_assign(problem, "V", &why)); /* anew */
    assert_string_equal(problem->to, "V");
    assert_false(problem_close(problem, "B", true, &why));
    assert_true(problem_rectify(problem, "V", "head replaced", &why));
    assert_int_equal(problem->state, PROBLEM_RECTIFIED);
    assert_string_equal(problem->what, "head replaced");
    assert_false(problem_rectify(problem, "X", "again", &why));
    assert_false(problem_assign(problem, "X", &why));
    assert_string_equal(problem->rectified_by, "V");
    assert_false(problem_close(problem, "V", true, &why)); /* two persons for a closure */
    assert_non_null(strstr(why, "second person"));
    assert_false(problem_close(problem, "B", false, &why));
    assert_non_null(strstr(why, "not normal"));
    assert_int_equal(problem->state, PROBLEM_RECTIFIED);
    assert_true(problem_close(problem, "B", true, &why));
    assert_int_equal(problem->state, PROBLEM_CLOSED);
}

static void test_rectified_without_being_assigned(void **state) {
    (void)state;
    const char *why;
    assert_true(problem_rectify(open_one(), "V", "w", &why));
}

/* A name past what is kept is compared as far as it is kept: to be one person is the careful guess. */
static void test_long_names(void **state) {
    (void)state;
    const char *why;
    char first[64], second[64];
    memset(first, 'a', 63);
    memset(second, 'a', 63);
    first[63] = second[63] = '\0';
    second[60] = 'b';
    struct problem *problem = open_one();
    assert_true(problem_rectify(problem, first, "w", &why));
    assert_false(problem_close(problem, first, true, &why));
    assert_false(problem_close(problem, second, true, &why));
    second[0] = 'b';
    assert_true(problem_close(problem, second, true, &why));
}

static void test_comes_again(void **state) {
    (void)state;
    bool opened;
    const char *why;
    struct problem *problem = open_one();
    unsigned at = (unsigned)(problem - problems.items);
    assert_int_equal(problems_on_alarm(&problems, &now, "smoke-1", "smoke", 7, 20, &opened), at);
    assert_false(opened);
    assert_int_equal(problem->occurrences, 2);
    assert_int_equal(problem->seq, 9); /* its id is the first one's */
    assert_true(problem_assign(problem, "W", &why));
    problems_on_alarm(&problems, &now, "smoke-1", "smoke", 7, 30, &opened);
    assert_false(opened);
    assert_int_equal(problem->state, PROBLEM_ASSIGNED);
    assert_true(problem_rectify(problem, "W", "w", &why));
    problems_on_alarm(&problems, &now, "smoke-1", "smoke", 7, 40, &opened);
    assert_true(opened); /* it was not rectified, then */
    assert_int_equal(problem->state, PROBLEM_OPEN);
    assert_int_equal(problem->occurrences, 4);
    assert_int_equal(problems_on_alarm(&problems, &now, "smoke-2", "smoke", 7, 50, &opened), at + 1); /* another one's */
    assert_true(opened);
    assert_int_equal(problems_find_id(&problems, 7, 50), at + 1);
    assert_int_equal(problems_find_id(&problems, 8, 50), PROBLEMS_MAX);
    assert_int_equal(problems_find(&problems, "smoke-1", "other"), PROBLEMS_MAX);
}

static void test_full(void **state) {
    (void)state;
    bool opened;
    char name[16];
    for (unsigned i = 0; i < PROBLEMS_MAX; i++) {
        snprintf(name, sizeof(name), "d-%u", i);
        assert_int_equal(problems_on_alarm(&problems, &now, name, "smoke", 7, i + 1, &opened), i);
    }
    assert_int_equal(problems_on_alarm(&problems, &now, "one-more", "smoke", 7, 9999, &opened), PROBLEMS_MAX);
    assert_true(!opened && problems.not_opened == 1);
    problems_on_alarm(&problems, &now, "d-3", "smoke", 7, 10000, &opened); /* those that are open go on */
    assert_int_equal(problems.items[3].occurrences, 2);
    problems.items[5].state = PROBLEM_NONE;
    assert_int_equal(problems_on_alarm(&problems, &now, "one-more", "smoke", 7, 9999, &opened), 5);
}

static void test_record(void **state) {
    (void)state;
    const char *why;
    uint8_t bytes[PROBLEM_RECORD_SIZE];
    char longest[EVENT_TEXT_SIZE];
    struct problem back, *problem = open_one();
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    memset(problem->device, 'd', NAME_SIZE - 1);
    memset(problem->alarm, 'a', NAME_SIZE - 1);
    problem->start = problem->seq = UINT64_MAX;
    problem->occurrences = UINT32_MAX;
    problem->opened_ms = INT64_MIN;
    for (enum problem_state wanted = PROBLEM_OPEN; wanted <= PROBLEM_RECTIFIED; wanted++) {
        if (wanted == PROBLEM_ASSIGNED)
            assert_true(problem_assign(problem, longest, &why));
        if (wanted == PROBLEM_RECTIFIED)
            assert_true(problem_rectify(problem, longest, longest, &why));
        size_t size = problem_record_put(problem, bytes);
        assert_true(size > 0 && size <= PROBLEM_RECORD_SIZE);
        memset(&back, 0, sizeof(back));
        assert_true(problem_record_get(&back, bytes, size));
        assert_true(back.state == wanted && back.start == problem->start && back.seq == problem->seq && back.opened_ms == problem->opened_ms);
        assert_int_equal(back.occurrences, problem->occurrences);
        assert_string_equal(back.device, problem->device);
        assert_string_equal(back.alarm, problem->alarm);
        assert_string_equal(back.to, problem->to);
        assert_string_equal(back.rectified_by, problem->rectified_by);
        assert_string_equal(back.what, problem->what);
        for (size_t cut = 0; cut < size; cut++) {
            struct problem untouched = {.seq = 77};
            assert_false(problem_record_get(&untouched, bytes, cut));
            assert_int_equal(untouched.seq, 77);
        }
    }
    problem->state = PROBLEM_NONE;
    assert_int_equal(problem_record_put(problem, bytes), 0); /* its record goes */
}

static void test_record_damaged(void **state) {
    (void)state;
    struct prng prng;
    uint8_t bytes[PROBLEM_RECORD_SIZE];
    prng_init(&prng, 3);
    struct problem *problem = open_one();
    static const uint8_t wrong[] = {PROBLEM_NONE, PROBLEM_CLOSED, 200};
    size_t size = problem_record_put(problem, bytes);
    for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++) { /* a closed problem has no record */
        bytes[0] = wrong[i];
        assert_false(problem_record_get(problem, bytes, size));
    }
    for (unsigned i = 0; i < 20000; i++) {
        struct problem back = {.state = PROBLEM_NONE};
        size = problem_record_put(problem, bytes);
        for (unsigned k = 0; k < 3; k++)
            bytes[prng_below(&prng, size)] = (uint8_t)prng_next(&prng);
        if (problem_record_get(&back, bytes, size))
            assert_true(back.state >= PROBLEM_OPEN && back.state <= PROBLEM_RECTIFIED && back.seq && memchr(back.what, 0, sizeof(back.what)));
    }
}

static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {"none", "open", "assigned", "rectified", "closed", "unknown"};
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
        assert_string_equal(problem_state_name((enum problem_state)i), names[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_wanted, setup),      cmocka_unit_test_setup(test_life, setup),
        cmocka_unit_test_setup(test_long_names, setup),  cmocka_unit_test_setup(test_rectified_without_being_assigned, setup),
        cmocka_unit_test_setup(test_full, setup),        cmocka_unit_test_setup(test_comes_again, setup),
        cmocka_unit_test_setup(test_record, setup),      cmocka_unit_test_setup(test_record_damaged, setup),
        cmocka_unit_test_setup(test_names, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
