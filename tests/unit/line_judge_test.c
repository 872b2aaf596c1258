/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of a line's master against times worked out by hand: 9600 baud, 11 bits, so a character takes 1145.8 us, eight
 * take 9167 us, 25 take 28646 us and silence is 4011 us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/now.h"
#include "gateway/simulator/line_judge.h"

#define START 1000000
#define REQUEST 9167
#define REPLY 28646
#define SILENCE 4011
#define TURNAROUND 5000
#define REPLY_BEGIN (START + REQUEST + TURNAROUND)
#define REPLY_END (REPLY_BEGIN + REPLY)

static const struct line_timing timing = {.baud = 9600, .bits_per_character = 11};

/* One answered exchange at START. */
static struct line_judge answered(void) {
    struct line_judge judge;
    line_judge_init(&judge, &timing);
    assert_int_equal(line_judge_request(&judge, START), LINE_CLEAN);
    line_judge_sent(&judge, START + REQUEST);
    line_judge_spoken(&judge, REPLY_BEGIN, 25);
    line_judge_answered(&judge, 8, TURNAROUND, 25);
    return judge;
}

static enum line_violation asked_at(int64_t at_us) {
    struct line_judge judge = answered();
    return line_judge_request(&judge, at_us);
}

static void silence_is_kept_to_the_microsecond(void **state) {
    (void)state;
    assert_int_equal(asked_at(REPLY_END + SILENCE), LINE_CLEAN);
    assert_int_equal(asked_at(REPLY_END + SILENCE - 1), LINE_EARLY);
    assert_int_equal(asked_at(REPLY_END + 600), LINE_EARLY);
    assert_int_equal(asked_at(REPLY_END), LINE_EARLY);
    assert_int_equal(asked_at(REPLY_END - 1), LINE_TALKOVER);
    assert_int_equal(asked_at(REPLY_BEGIN + 1146 + LINE_JUDGE_REACTION_US), LINE_TALKOVER);
}

static void nobody_heeds_what_he_could_not_have_read(void **state) {
    (void)state;
    /* Its first byte is still under way, or came a moment ago. */
    assert_int_equal(asked_at(REPLY_BEGIN + 1000), LINE_CLEAN);
    assert_int_equal(asked_at(REPLY_BEGIN + 1146 + LINE_JUDGE_REACTION_US - 2), LINE_CLEAN);
    struct line_judge judge = answered();
    line_judge_spoken(&judge, REPLY_END + 3000, 1); /* one byte of noise, whole at + 4146 */
    assert_int_equal(line_judge_request(&judge, REPLY_END + SILENCE + 100), LINE_CLEAN);
    judge = answered();
    line_judge_spoken(&judge, REPLY_END + 1000, 1); /* whole at + 2146, so silence ends at + 6157 */
    assert_int_equal(line_judge_request(&judge, REPLY_END + SILENCE + 100), LINE_EARLY);
    judge = answered();
    line_judge_spoken(&judge, REPLY_END + 1000, 1);
    assert_int_equal(line_judge_request(&judge, REPLY_END + 1000 + 1146 + SILENCE), LINE_CLEAN);
}

static void ones_own_request_is_followed_by_silence(void **state) {
    (void)state;
    struct line_judge judge;
    line_judge_init(&judge, &timing);
    (void)line_judge_request(&judge, START);
    line_judge_sent(&judge, START + REQUEST);
    assert_int_equal(line_judge_request(&judge, START + REQUEST + SILENCE - 1), LINE_EARLY);
    line_judge_sent(&judge, START + 2 * REQUEST + SILENCE);
    assert_int_equal(line_judge_request(&judge, START + 2 * REQUEST + 2 * SILENCE), LINE_CLEAN);
    assert_int_equal(judge.requests, 3);
    assert_int_equal(judge.early, 1);
    assert_int_equal(judge.talkover, 0);
}

static void silence_is_fixed_on_fast_lines(void **state) {
    (void)state;
    struct line_timing fast = {.baud = 115200, .bits_per_character = 11};
    struct line_judge judge;
    for (int64_t gap_us = 1749; gap_us <= 1750; gap_us++) {
        line_judge_init(&judge, &fast);
        (void)line_judge_request(&judge, START);
        line_judge_sent(&judge, START + 764);
        line_judge_spoken(&judge, START + 2764, 25); /* 2388 us */
        assert_int_equal(line_judge_request(&judge, START + 2764 + 2388 + gap_us), gap_us < 1750 ? LINE_EARLY : LINE_CLEAN);
    }
}

static void efficiency_is_the_shortest_time_by_the_time_taken(void **state) {
    (void)state;
    struct line_judge judge = answered();
    int64_t ideal_us = REQUEST + TURNAROUND + REPLY + SILENCE; /* 46824 */
    assert_int_equal(line_share_hundredths(&judge.all), 0);
    (void)line_judge_request(&judge, START + ideal_us); /* perfect */
    assert_int_equal(line_share_hundredths(&judge.all), 10000);
    (void)line_judge_request(&judge, START + 2 * ideal_us); /* nobody answered the second */
    assert_int_equal(line_share_hundredths(&judge.all), 5000);
    assert_int_equal(line_share_hundredths(&judge.undisturbed), 5000);
    assert_int_equal(judge.requests, 3);
    assert_int_equal(judge.answered, 1);
}

static void disturbed_exchanges_are_kept_apart(void **state) {
    (void)state;
    struct line_judge judge = answered();
    int64_t ideal_us = REQUEST + TURNAROUND + REPLY + SILENCE;
    line_judge_disturbed(&judge);
    (void)line_judge_request(&judge, START + 2 * ideal_us);
    line_judge_sent(&judge, START + 2 * ideal_us + REQUEST);
    line_judge_answered(&judge, 8, TURNAROUND, 25);
    (void)line_judge_request(&judge, START + 3 * ideal_us);
    assert_int_equal(line_share_hundredths(&judge.all), 6667);
    assert_int_equal(line_share_hundredths(&judge.undisturbed), 10000);
    line_judge_recount(&judge);
    assert_int_equal(judge.requests, 0);
    assert_int_equal(line_share_hundredths(&judge.all), 0);
    /* What is on the line is remembered: the silence after its own request is still asked for. */
    assert_int_equal(line_judge_request(&judge, START + 3 * ideal_us + 10), LINE_EARLY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_kept_to_the_microsecond),
        cmocka_unit_test(nobody_heeds_what_he_could_not_have_read),
        cmocka_unit_test(ones_own_request_is_followed_by_silence),
        cmocka_unit_test(silence_is_fixed_on_fast_lines),
        cmocka_unit_test(efficiency_is_the_shortest_time_by_the_time_taken),
        cmocka_unit_test(disturbed_exchanges_are_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
