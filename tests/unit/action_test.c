/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/core/action.h"

static struct now at(int64_t ms) {
    return (struct now){.mono_us = ms * 1000};
}

static void test_happy_road(void **state) {
    (void)state;
    struct config_action rule = {.name = "cut-branch"};
    struct action action;
    struct now now = at(0);
    action_init(&action, &rule);
    assert_int_equal(action.state, ACTION_IDLE);
    assert_int_equal(action_next_wake(&action), NOW_NEVER);
    assert_false(action_on_alarm(&action, false, true));
    assert_true(action_on_alarm(&action, true, false));
    assert_int_equal(action.state, ACTION_DUE);
    assert_false(action_on_alarm(&action, true, false)); /* due once */
    action_on_handed(&action, 7);
    assert_int_equal(action.state, ACTION_WRITING);
    assert_int_equal(action.write_id, 7);
    assert_false(action_on_alarm(&action, true, false));
    action_on_written(&action, &now, true);
    assert_int_equal(action.state, ACTION_HELD);
    assert_false(action_on_alarm(&action, false, false)); /* returned or latched: still held */
    assert_int_equal(action.state, ACTION_HELD);
    assert_false(action_on_alarm(&action, false, true));
    assert_int_equal(action.state, ACTION_IDLE);
}

static void test_retries_back_off(void **state) {
    (void)state;
    static const int64_t pauses_ms[] = {500, 1000, 2000, 4000, 8000, 10000, 10000, 10000};
    struct config_action rule = {.name = "cut-branch"};
    struct action action;
    int64_t ms = 0;
    action_init(&action, &rule);
    action_on_alarm(&action, true, false);
    for (unsigned i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
        struct now now = at(ms);
        action_on_handed(&action, i);
        action_on_written(&action, &now, false);
        assert_int_equal(action.state, ACTION_RETRYING);
        assert_int_equal(action_next_wake(&action), (ms + pauses_ms[i]) * 1000);
        assert_false(action_on_alarm(&action, false, true)); /* the alarm is over: what a fire asked for is done all the same */
        now = at(ms + pauses_ms[i] - 1);
        assert_false(action_on_time(&action, &now));
        ms += pauses_ms[i];
        now = at(ms);
        assert_true(action_on_time(&action, &now));
        assert_int_equal(action.state, ACTION_DUE);
        assert_int_equal(action_next_wake(&action), NOW_NEVER);
    }
    action.attempts = UINT32_MAX - 1; /* years later */
    struct now now = at(ms);
    action_on_handed(&action, 99);
    action_on_written(&action, &now, false);
    assert_int_equal(action_next_wake(&action), (ms + ACTION_RETRY_MAX_MS) * 1000);
}

static void test_held_again(void **state) {
    (void)state;
    struct config_action rule = {.name = "cut-branch"};
    struct action action;
    struct now now = at(0);
    action_init(&action, &rule);
    action_on_alarm(&action, true, false);
    action_on_handed(&action, 1);
    action_on_written(&action, &now, false);
    now = at(500);
    assert_true(action_on_time(&action, &now));
    action_on_handed(&action, 2);
    action_on_written(&action, &now, true);
    assert_false(action_on_alarm(&action, false, false));
    assert_true(action_on_alarm(&action, true, false)); /* active again while latched: somebody may have undone it */
    assert_int_equal(action.attempts, 0);
    assert_string_equal(action_state_name(action.state), "due");
}

/* The alarm went back to normal while the write was still tried: once it is done, nothing holds it any more. */
static void test_normal_before_it_was_written(void **state) {
    (void)state;
    struct config_action rule = {.name = "cut-branch"};
    struct action action;
    struct now now = at(0);
    action_init(&action, &rule);
    action_on_alarm(&action, true, false);
    action_on_handed(&action, 1);
    assert_false(action_on_alarm(&action, false, true));
    action_on_written(&action, &now, true);
    assert_true(action_on_alarm(&action, true, false)); /* the next alarm is carried out, whatever it is called until then */
    assert_int_equal(action.state, ACTION_DUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_happy_road),
        cmocka_unit_test(test_retries_back_off),
        cmocka_unit_test(test_held_again),
        cmocka_unit_test(test_normal_before_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
