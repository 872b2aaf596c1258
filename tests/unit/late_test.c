/* SPDX-License-Identifier: Apache-2.0 */
/* What may be asked while a late answer may come, and what may be believed. Times are plain numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "sensors/late.h"

static struct pdu read_of(enum frame_function function, uint16_t address, uint16_t count) {
    struct pdu pdu;
    frame_read(&pdu, function, address, count);
    return pdu;
}

static struct late late;

static int set_up(void **state) {
    (void)state;
    memset(&late, 0, sizeof(late));
    return 0;
}

static void a_window_is_a_second_or_twice_the_timeout(void **state) {
    (void)state;
    assert_true(late_window_us(200000) == 1000000);
    assert_true(late_window_us(800000) == 1600000);
}

static void only_the_same_shape_waits(void **state) {
    (void)state;
    struct pdu given_up = read_of(FC_READ_HOLDING, 0, 4), other = read_of(FC_READ_HOLDING, 50, 4);
    struct pdu longer = read_of(FC_READ_HOLDING, 50, 5), input = read_of(FC_READ_INPUT, 50, 4);
    assert_true(late_allows_us(&late, &other, false, 100) == 100);
    late_open(&late, &given_up, 90, 1000, 100);
    late_check(&late);
    assert_true(late_is_open(&late, 999));
    assert_true(late_allows_us(&late, &given_up, false, 200) == 200);
    assert_true(late_allows_us(&late, &longer, false, 200) == 200);
    assert_true(late_allows_us(&late, &input, false, 200) == 200);
    assert_true(late_allows_us(&late, &other, false, 200) == 1000);
    assert_true(late_allows_us(&late, &other, true, 200) == 1000);
    assert_true(late_allows_us(&late, &other, false, 1000) == 1000);
    assert_false(late_is_open(&late, 1000));
}

/* Of bits it is the bytes that count: 3 coils and 8 coils make one byte. */
static void bits_are_of_a_shape_by_their_bytes(void **state) {
    (void)state;
    struct pdu three = read_of(FC_READ_COILS, 0, 3), eight = read_of(FC_READ_COILS, 0, 8), nine = read_of(FC_READ_COILS, 0, 9);
    late_open(&late, &three, 90, 1000, 100);
    assert_true(late_allows_us(&late, &eight, false, 200) == 1000);
    assert_true(late_allows_us(&late, &nine, false, 200) == 200);
}

static void what_is_in_doubt(void **state) {
    (void)state;
    struct pdu given_up = read_of(FC_READ_HOLDING, 0, 4), longer = read_of(FC_READ_HOLDING, 50, 5), input = read_of(FC_READ_INPUT, 0, 4);
    late_open(&late, &given_up, 90, 1000, 100);
    assert_true(late_doubts(&late, &given_up, false, 500));
    assert_true(late_age_us(&late, &given_up, 500) == 410);
    assert_false(late_doubts(&late, &longer, false, 500));
    assert_true(late_age_us(&late, &longer, 500) == 0);
    assert_true(late_doubts(&late, &longer, true, 500)); /* an exception has no length */
    assert_false(late_doubts(&late, &input, true, 500)); /* but its function */
    assert_false(late_doubts(&late, &given_up, false, 1000));
    assert_true(late_age_us(&late, &given_up, 1000) == 0);
    late_open(&late, &given_up, 480, 1500, 500); /* answered in doubt: its own answer may still come */
    late_check(&late);
    assert_true(late_doubts(&late, &given_up, false, 1200));
    assert_true(late_age_us(&late, &given_up, 1200) == 1110); /* of the oldest since the window opened */
}

/* The identical request is asked so often that its window would never end: who waits has it end. */
static void who_waits_gets_its_turn(void **state) {
    (void)state;
    struct pdu given_up = read_of(FC_READ_HOLDING, 0, 4), other = read_of(FC_READ_HOLDING, 50, 4);
    late_open(&late, &given_up, 90, 1000, 100);
    late_waits(&late, &given_up, true, 150, 150); /* not itself */
    assert_true(late_allows_us(&late, &given_up, false, 200) == 200);
    late_waits(&late, &other, false, 180, 200);
    assert_true(late_allows_us(&late, &given_up, false, 200) == 1001); /* after the one that waits */
    assert_true(late_allows_us(&late, &given_up, true, 200) == 200);   /* fire goes on ... */
    late_open(&late, &given_up, 200, LATE_WAIT_MAX_US + 1000, 220);
    assert_true(late_allows_us(&late, &given_up, true, LATE_WAIT_MAX_US + 179) == LATE_WAIT_MAX_US + 179);
    assert_true(late_allows_us(&late, &given_up, true, LATE_WAIT_MAX_US + 180) == LATE_WAIT_MAX_US + 1001); /* ... not for ever */
    set_up(state);
    late_open(&late, &given_up, 90, 1000, 100);
    late_waits(&late, &other, true, 180, 200);
    assert_true(late_allows_us(&late, &given_up, true, 200) == 1001);
    assert_true(late_allows_us(&late, &other, true, 1000) == 1000);
    late_open(&late, &other, 1000, 2000, 1100); /* a new window has no memory of who waited for the old one */
    assert_true(late_allows_us(&late, &other, false, 1200) == 1200);
}

static void more_shapes_than_windows(void **state) {
    (void)state;
    for (uint16_t i = 0; i < LATE_WINDOWS_MAX + 1; i++) {
        struct pdu pdu = read_of(FC_READ_HOLDING, 0, (uint16_t)(1 + i));
        late_open(&late, &pdu, 90 + i, 1000 + 100 * i, 100 + i);
        late_check(&late);
    }
    struct pdu forgotten = read_of(FC_READ_HOLDING, 50, 1), input = read_of(FC_READ_INPUT, 50, 1), last = read_of(FC_READ_HOLDING, 50, 5);
    assert_true(late_allows_us(&late, &forgotten, true, 200) == 1000);
    assert_true(late_allows_us(&late, &input, true, 200) == 1000);
    assert_true(late_allows_us(&late, &last, true, 200) == 1400);
    assert_true(late_allows_us(&late, &forgotten, true, 1000) == 1000);
}

static void writes(void **state) {
    (void)state;
    struct pdu one, several, coil;
    uint16_t values[2] = {1, 2};
    frame_write_register(&one, 7, 1);
    frame_write_coil(&coil, 7, 0xFF00);
    frame_write_registers(&several, 7, values, 2);
    assert_false(late_hides_write(&late, &several, 200));
    late_open(&late, &one, 90, 1000, 100);
    late_open(&late, &coil, 90, 1000, 100);
    late_open(&late, &several, 90, 1000, 100);
    late_check(&late);
    assert_false(late_hides_write(&late, &one, 200)); /* its echo has the value */
    assert_false(late_hides_write(&late, &coil, 200));
    assert_true(late_hides_write(&late, &several, 200));
    assert_false(late_hides_write(&late, &several, 1000));
}

/* A unit that answers everything at most a window too late, asked by the rules: what is taken is always of the register asked
 * for and never older than told. Requests are numbers on a line of time; the unit keeps what it still has to say. */
enum { ADDRESSES = 4, PENDING = 8, WINDOW = 1000, TIMEOUT = 50 };

struct coming {
    int64_t at_us, asked_us;
    uint16_t address;
};

static void never_another_registers_value(void **state) {
    (void)state;
    unsigned taken = 0, doubted = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct prng prng;
        struct coming coming[PENDING] = {{0, 0, 0}};
        int64_t now_us = 1, since_us[ADDRESSES] = {0};
        prng_init(&prng, seed);
        set_up(state);
        for (int turn = 0; turn < 2000; turn++) {
            uint16_t address = (uint16_t)prng_below(&prng, ADDRESSES);
            struct pdu pdu = read_of(FC_READ_HOLDING, address, 2);
            int64_t at_us = late_allows_us(&late, &pdu, false, now_us);
            now_us += (int64_t)prng_below(&prng, 300);
            if (at_us > now_us) {
                late_waits(&late, &pdu, false, since_us[address] ? since_us[address] : now_us, now_us);
                continue;
            }
            if (late_allows_us(&late, &pdu, false, now_us) > now_us)
                continue;
            int64_t sent_us = now_us, best_us = sent_us + TIMEOUT;
            int found = -1;
            for (int i = 0; i < PENDING; i++)
                if (coming[i].at_us <= sent_us) { /* nobody listened */
                    coming[i] = (struct coming){sent_us + 1 + (int64_t)prng_below(&prng, prng_below(&prng, 4) ? TIMEOUT : TIMEOUT + WINDOW), sent_us,
                                                address};
                    break;
                }
            for (int i = 0; i < PENDING; i++)
                if (coming[i].at_us > sent_us && coming[i].at_us < best_us) {
                    best_us = coming[i].at_us;
                    found = i;
                }
            now_us = best_us;
            bool doubtful = found < 0 || late_doubts(&late, &pdu, false, now_us);
            if (found >= 0) {
                assert_int_equal(coming[found].address, address);
                int64_t age_us = late_age_us(&late, &pdu, now_us);
                assert_true(coming[found].asked_us >= now_us - (age_us ? age_us : now_us - sent_us));
                coming[found].at_us = 0;
                taken++;
                doubted += doubtful;
            }
            if (doubtful)
                late_open(&late, &pdu, sent_us, sent_us + TIMEOUT + WINDOW + 1, now_us);
            late_check(&late);
        }
    }
    assert_true(taken > 5000);
    assert_true(doubted > 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_window_is_a_second_or_twice_the_timeout, set_up),
        cmocka_unit_test_setup(only_the_same_shape_waits, set_up),
        cmocka_unit_test_setup(bits_are_of_a_shape_by_their_bytes, set_up),
        cmocka_unit_test_setup(what_is_in_doubt, set_up),
        cmocka_unit_test_setup(who_waits_gets_its_turn, set_up),
        cmocka_unit_test_setup(more_shapes_than_windows, set_up),
        cmocka_unit_test_setup(writes, set_up),
        cmocka_unit_test_setup(never_another_registers_value, set_up),
    };
    return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
