/* SPDX-License-Identifier: Apache-2.0 */
/* One local action through its drawing in action.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "gateway/core/action.h"

static const struct config_action off = {.name = "cut-branch", .value = 0};

static struct now at(int64_t ms) {
    return (struct now){.mono_us = ms * 1000};
}

/* As the core does: handed when due. */
static void hand(struct action *action, uint32_t id) {
    assert_int_equal(action->state, ACTION_DUE);
    assert_int_equal(action_next_wake(action), 0); /* it waits for nothing but room */
    action_on_handed(action, id);
    assert_int_equal(action->state, ACTION_WRITING);
    assert_int_equal(action->write_id, id);
}

static enum action_news written(struct action *action, int64_t ms, bool ok) {
    struct now now = at(ms);
    return action_on_written(action, &now, ok, true);
}

static enum action_news reads(struct action *action, int64_t ms, double number) {
    struct now now = at(ms);
    return action_on_reading(action, &now, number);
}

static enum action_news tick(struct action *action, int64_t ms) {
    struct now now = at(ms);
    return action_on_time(action, &now);
}

static void test_happy_road(void **state) {
    (void)state;
    struct action action;
    action_init(&action, &off);
    assert_int_equal(action.state, ACTION_IDLE);
    assert_int_equal(action_next_wake(&action), NOW_NEVER);
    assert_false(action_wanted(&action) || action_failing(&action));
    assert_true(action_want(&action));
    assert_false(action_want(&action)); /* due once */
    assert_true(action_wanted(&action));
    hand(&action, 7);
    assert_false(action_want(&action));
    assert_int_equal(action_next_wake(&action), NOW_NEVER);
    assert_int_equal(written(&action, 10, true), ACTION_SAME); /* an echo is not yet a relay */
    assert_int_equal(action.state, ACTION_VERIFYING);
    assert_int_equal(action_next_wake(&action), (10 + ACTION_VERIFY_MS) * 1000);
    assert_false(action_want(&action));
    assert_int_equal(reads(&action, 20, 0), ACTION_DONE);
    assert_int_equal(action.state, ACTION_HELD);
    assert_int_equal(action_next_wake(&action), NOW_NEVER);
    assert_int_equal(reads(&action, 30, 0), ACTION_SAME);
    assert_true(action_release(&action));
    assert_int_equal(action.state, ACTION_IDLE);
    assert_false(action_release(&action));
    assert_int_equal(reads(&action, 40, 1), ACTION_SAME); /* nobody's any more */
    assert_int_equal(action.state, ACTION_IDLE);
}

static void test_retries_back_off(void **state) {
    (void)state;
    static const int64_t pauses_ms[] = {500, 1000, 2000, 4000, 8000, 10000, 10000, 10000};
    struct action action;
    int64_t ms = 0;
    action_init(&action, &off);
    action_want(&action);
    for (unsigned i = 0; i < ARRAY_COUNT(pauses_ms); i++) {
        hand(&action, i);
        assert_int_equal(written(&action, ms, false), ACTION_SAME);
        assert_int_equal(action.state, ACTION_RETRYING);
        assert_int_equal(action_next_wake(&action), (ms + pauses_ms[i]) * 1000);
        assert_int_equal(reads(&action, ms, 0), ACTION_SAME); /* what stood there before is no success */
        assert_false(action_want(&action));
        assert_int_equal(tick(&action, ms + pauses_ms[i] - 1), ACTION_SAME);
        assert_int_equal(action.state, ACTION_RETRYING);
        ms += pauses_ms[i];
        assert_int_equal(tick(&action, ms), ACTION_SAME);
        assert_int_equal(action.state, ACTION_DUE);
    }
    action.attempts = UINT32_MAX - 1; /* years later */
    hand(&action, 99);
    written(&action, ms, false);
    assert_int_equal(action_next_wake(&action), (ms + ACTION_RETRY_MAX_MS) * 1000);
    struct now now = at(ms + 1);
    action_on_device_back(&action, &now); /* no reason to wait longer */
    assert_int_equal(tick(&action, ms + 1), ACTION_SAME);
    assert_int_equal(action.state, ACTION_DUE);
}

static void verifying(struct action *action, int64_t ms) {
    action_init(action, &off);
    action_want(action);
    hand(action, 1);
    written(action, ms, true);
    assert_int_equal(action->state, ACTION_VERIFYING);
}

static void test_reads_back_another_value(void **state) {
    (void)state;
    struct action action;
    verifying(&action, 0);
    assert_int_equal(reads(&action, 100, 1), ACTION_UNDONE);
    assert_int_equal(action.state, ACTION_RETRYING);
    assert_int_equal(action_next_wake(&action), (100 + ACTION_RETRY_MS) * 1000);
    assert_int_equal(tick(&action, 600), ACTION_SAME);
    hand(&action, 2);
    assert_int_equal(action.attempts, 2);
    written(&action, 610, true);
    assert_int_equal(reads(&action, 700, 0), ACTION_DONE);
}

static void test_cannot_be_read_back(void **state) {
    (void)state;
    struct action action;
    verifying(&action, 0);
    assert_int_equal(tick(&action, ACTION_VERIFY_MS - 1), ACTION_SAME);
    assert_int_equal(tick(&action, ACTION_VERIFY_MS), ACTION_NOT_READ);
    assert_int_equal(action.state, ACTION_RETRYING);
    assert_int_equal(tick(&action, ACTION_VERIFY_MS), ACTION_SAME); /* told once */
    action_init(&action, &off); /* a point that nobody can read: its echo is all there is */
    action_want(&action);
    hand(&action, 1);
    struct now now = at(0);
    assert_int_equal(action_on_written(&action, &now, true, false), ACTION_DONE);
    assert_int_equal(action.state, ACTION_HELD);
}

/* The board lost it, or somebody undid it: again, at once, however often. */
static void test_undone(void **state) {
    (void)state;
    struct action action;
    verifying(&action, 0);
    reads(&action, 10, 0);
    for (uint32_t i = 1; i <= 5; i++) {
        assert_int_equal(reads(&action, 1000 * i, 1), ACTION_UNDONE);
        assert_int_equal(action.undone, i);
        assert_int_equal(action.attempts, 0);
        hand(&action, i);
        written(&action, 1000 * i + 10, true);
        assert_int_equal(reads(&action, 1000 * i + 20, 0), ACTION_DONE);
    }
    assert_true(action_want(&action)); /* active again while held: somebody may have undone it */
    assert_int_equal(action.undone, 0);
    assert_string_equal(action_state_name(action.state), "due");
}

/* A release in each state. While a write is under way it ends first. */
static void test_released_everywhere(void **state) {
    (void)state;
    struct action action;
    struct now now = at(0);
    action_init(&action, &off);
    assert_false(action_release(&action));
    action_want(&action); /* DUE */
    assert_true(action_release(&action));
    assert_int_equal(action.state, ACTION_IDLE);
    action_want(&action); /* RETRYING */
    hand(&action, 1);
    written(&action, 0, false);
    assert_true(action_release(&action));
    assert_int_equal(action.state, ACTION_IDLE);
    assert_int_equal(action_next_wake(&action), NOW_NEVER);
    verifying(&action, 0);
    assert_true(action_release(&action));
    assert_int_equal(action_next_wake(&action), NOW_NEVER);
    for (int ok = 0; ok < 2; ok++) { /* WRITING */
        action_init(&action, &off);
        action_want(&action);
        hand(&action, 2);
        assert_true(action_release(&action));
        assert_false(action_release(&action)); /* once */
        assert_false(action_wanted(&action));  /* its record says so at once */
        assert_int_equal(action.state, ACTION_WRITING);
        assert_int_equal(action_on_written(&action, &now, ok, true), ACTION_SAME);
        assert_int_equal(action.state, ACTION_IDLE);
        assert_false(action_failing(&action));
    }
}

/* Released, and wanted again before the write has ended: what it gave way to may have been written after it, so it is written again. */
static void test_wanted_again_while_releasing(void **state) {
    (void)state;
    for (int ok = 0; ok < 2; ok++) {
        struct action action;
        action_init(&action, &off);
        action_want(&action);
        hand(&action, 1);
        action_release(&action);
        assert_true(action_want(&action)); /* news: it has to be recorded, and others have to give way */
        assert_true(action_wanted(&action));
        assert_false(action_want(&action));
        assert_int_equal(written(&action, 5, ok), ACTION_SAME);
        hand(&action, 2);
        assert_int_equal(action.attempts, 1);
        written(&action, 10, true);
        assert_int_equal(reads(&action, 20, 0), ACTION_DONE);
        action_want(&action); /* and a release after that is a release */
        hand(&action, 3);
        action_release(&action);
        action_want(&action);
        action_release(&action);
        written(&action, 30, ok);
        assert_int_equal(action.state, ACTION_IDLE);
    }
}

/* Its alarm: two attempts that failed, not two that were begun. */
static void test_failing(void **state) {
    (void)state;
    struct action action;
    action_init(&action, &off);
    action_want(&action);
    hand(&action, 1);
    assert_false(action_failing(&action));
    written(&action, 0, false);
    assert_false(action_failing(&action)); /* one may be noise on the line */
    tick(&action, 500);
    hand(&action, 2);
    assert_false(action_failing(&action));
    written(&action, 510, true);
    assert_false(action_failing(&action)); /* it may still read back */
    reads(&action, 520, 1);
    assert_true(action_failing(&action));
    tick(&action, 2000);
    assert_true(action_failing(&action));
    hand(&action, 3);
    assert_true(action_failing(&action)); /* until it is held, not until it is tried */
    written(&action, 2010, true);
    assert_true(action_failing(&action));
    reads(&action, 2020, 0);
    assert_false(action_failing(&action));
    reads(&action, 3000, 1); /* undone: a new count */
    assert_false(action_failing(&action));
    action_release(&action);
    assert_false(action_failing(&action));
}

static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {"idle", "due", "writing", "retrying", "held", "verifying", "unknown"};
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
        assert_string_equal(action_state_name((enum action_state)i), names[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_happy_road),
        cmocka_unit_test(test_retries_back_off),
        cmocka_unit_test(test_reads_back_another_value),
        cmocka_unit_test(test_cannot_be_read_back),
        cmocka_unit_test(test_undone),
        cmocka_unit_test(test_released_everywhere),
        cmocka_unit_test(test_wanted_again_while_releasing),
        cmocka_unit_test(test_failing),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
