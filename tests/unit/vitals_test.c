/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a part as a table: how long it has made no progress each second, what its state is then and what is done about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core_site.h"
#include "gateway/core/vitals.h"

#define S INT64_C(1000000)

struct row {
    int64_t at_s, busy_s;
    enum vitals_state state;
    enum vitals_act act;
};

static void play(struct vitals_part *part, const struct vitals_around *around, const struct row *rows, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        struct now now = site_now(rows[i].at_s * 1000);
        enum vitals_act act = vitals_look(part, &vitals_bounds_usual[part->kind], &now, rows[i].busy_s * S, around);
        if (act != rows[i].act || part->state != rows[i].state)
            fail_msg("row %u at %lld s: %s, act %d", i, (long long)rows[i].at_s, vitals_state_name(part->state), (int)act);
        assert_true(vitals_alarm(part) == (rows[i].state == VITALS_STUCK || rows[i].state == VITALS_TRIAL));
    }
}
#define PLAY(part, around, ...) \
    do { \
        static const struct row rows[] = {__VA_ARGS__}; \
        play(part, around, rows, sizeof(rows) / sizeof(rows[0])); \
    } while (0)

static const struct vitals_around supervised = {.may_restart = true}, alone = {.may_restart = false};

static void late_is_no_alarm(void **state) {
    (void)state;
    struct vitals_part part = {.kind = VITALS_LINE, .fire = true};
    PLAY(&part, &supervised, {100, 0, VITALS_FINE, VITALS_NOTHING}, {101, 19, VITALS_FINE, VITALS_NOTHING}, {102, 20, VITALS_LATE, VITALS_NOTHING},
         {103, 29, VITALS_LATE, VITALS_NOTHING}, {104, 0, VITALS_FINE, VITALS_NOTHING}, {105, 20, VITALS_LATE, VITALS_NOTHING});
    assert_int_equal(part.late_count, 2);
    assert_int_equal(part.stuck_count, 0);
    assert_true(part.since_us == site_now(85000).mono_us);
}

static void a_line_is_replaced_and_proves_itself(void **state) {
    (void)state;
    struct vitals_part part = {.kind = VITALS_LINE, .fire = true};
    PLAY(&part, &supervised, {100, 30, VITALS_TRIAL, VITALS_REPLACE}, {101, 0, VITALS_TRIAL, VITALS_NOTHING}, {120, 0, VITALS_TRIAL, VITALS_NOTHING},
         {121, 0, VITALS_FINE, VITALS_NOTHING});
    assert_int_equal(part.replaced_count, 1);
    assert_int_equal(part.stuck_count, 1);
}

/* The second thread hangs like the first: silence for 20 s is no proof of health. */
static void a_fire_line_restarts_when_replacing_fails(void **state) {
    (void)state;
    struct vitals_part part = {.kind = VITALS_LINE, .fire = true};
    PLAY(&part, &supervised, {100, 30, VITALS_TRIAL, VITALS_REPLACE}, {120, 20, VITALS_TRIAL, VITALS_NOTHING}, {121, 21, VITALS_TRIAL, VITALS_NOTHING},
         {130, 30, VITALS_TRIAL, VITALS_REPLACE}, {160, 30, VITALS_STUCK, VITALS_RESTART}, {161, 31, VITALS_STUCK, VITALS_NOTHING});
    assert_int_equal(part.replaced_count, 2);
}

static void other_lines_never_restart(void **state) {
    (void)state;
    struct vitals_part part = {.kind = VITALS_LINE};
    PLAY(&part, &supervised, {100, 30, VITALS_TRIAL, VITALS_REPLACE}, {130, 30, VITALS_TRIAL, VITALS_REPLACE}, {160, 30, VITALS_STUCK, VITALS_NOTHING},
         {3729, 3600, VITALS_STUCK, VITALS_NOTHING}, {3730, 3601, VITALS_TRIAL, VITALS_REPLACE}, {3760, 30, VITALS_STUCK, VITALS_NOTHING});
}

static void nobody_would_start_it_again(void **state) {
    (void)state;
    struct vitals_part part = {.kind = VITALS_LINE, .fire = true};
    PLAY(&part, &alone, {100, 30, VITALS_TRIAL, VITALS_REPLACE}, {130, 30, VITALS_TRIAL, VITALS_REPLACE}, {160, 30, VITALS_STUCK, VITALS_NOTHING},
         {3730, 3601, VITALS_TRIAL, VITALS_REPLACE});
}

static void no_second_restart_within_an_hour(void **state) {
    (void)state;
    struct vitals_part part = {.kind = VITALS_LINE, .fire = true};
    struct now now = site_now(0);
    vitals_restarted(&part, &now); /* the process before this one */
    PLAY(&part, &supervised, {100, 30, VITALS_TRIAL, VITALS_REPLACE}, {130, 30, VITALS_TRIAL, VITALS_REPLACE}, {160, 30, VITALS_STUCK, VITALS_NOTHING},
         {3599, 3469, VITALS_STUCK, VITALS_NOTHING}, {3600, 3470, VITALS_STUCK, VITALS_RESTART});
}

static void an_hour_of_health_is_a_new_beginning(void **state) {
    (void)state;
    struct vitals_part part = {.kind = VITALS_LINE};
    PLAY(&part, &supervised, {100, 30, VITALS_TRIAL, VITALS_REPLACE}, {130, 30, VITALS_TRIAL, VITALS_REPLACE}, {152, 0, VITALS_FINE, VITALS_NOTHING},
         {200, 30, VITALS_STUCK, VITALS_NOTHING}, {201, 0, VITALS_TRIAL, VITALS_NOTHING}, {222, 0, VITALS_FINE, VITALS_NOTHING},
         {3822, 0, VITALS_FINE, VITALS_NOTHING}, {3900, 30, VITALS_TRIAL, VITALS_REPLACE});
}

static void memory_takes_the_place_of_the_store(void **state) {
    (void)state;
    struct vitals_part part = {.kind = VITALS_STORE};
    PLAY(&part, &supervised, {100, 9, VITALS_FINE, VITALS_NOTHING}, {101, 10, VITALS_LATE, VITALS_NOTHING}, {151, 60, VITALS_STUCK, VITALS_REPLACE},
         {152, 61, VITALS_STUCK, VITALS_NOTHING}, {9999, 9000, VITALS_STUCK, VITALS_NOTHING}, {10000, 0, VITALS_TRIAL, VITALS_NOTHING},
         {10009, 5, VITALS_TRIAL, VITALS_NOTHING}, {10010, 0, VITALS_FINE, VITALS_NOTHING});
    assert_int_equal(part.stuck_count, 1);
}

static void a_stuck_pump_ends_the_process_in_order(void **state) {
    (void)state;
    const struct vitals_around precious = {.may_restart = true, .is_volatile = true};
    struct vitals_part durable = {.kind = VITALS_PUMP}, memory = {.kind = VITALS_PUMP}, unwatched = {.kind = VITALS_PUMP};
    PLAY(&durable, &supervised, {100, 59, VITALS_LATE, VITALS_NOTHING}, {101, 60, VITALS_STUCK, VITALS_NOTHING},
         {340, 299, VITALS_STUCK, VITALS_NOTHING}, {341, 300, VITALS_STUCK, VITALS_RESTART}, {342, 301, VITALS_STUCK, VITALS_NOTHING});
    PLAY(&memory, &precious, {341, 300, VITALS_STUCK, VITALS_NOTHING}, {1840, 1799, VITALS_STUCK, VITALS_NOTHING},
         {1841, 1800, VITALS_STUCK, VITALS_RESTART});
    PLAY(&unwatched, &alone, {9999, 9000, VITALS_STUCK, VITALS_NOTHING});
}

static void the_others_have_their_alarm_alone(void **state) {
    (void)state;
    static const enum vitals_kind kinds[] = {VITALS_BACKLOG, VITALS_LINK, VITALS_CONTROL};
    for (unsigned i = 0; i < 3; i++) {
        struct vitals_part part = {.kind = kinds[i], .fire = true};
        PLAY(&part, &supervised, {1000, 180, VITALS_STUCK, VITALS_NOTHING}, {9999, 9000, VITALS_STUCK, VITALS_NOTHING},
             {10000, 0, VITALS_TRIAL, VITALS_NOTHING}, {10010, 0, VITALS_FINE, VITALS_NOTHING});
    }
}

/* A replacement that says nothing is late before it is believed, and what is late is not stuck yet. */
static void the_bounds_fit_together(void **state) {
    (void)state;
    for (unsigned i = 0; i < VITALS_KINDS_COUNT; i++) {
        const struct vitals_bounds *bounds = &vitals_bounds_usual[i];
        assert_true(bounds->late_us > 1 * S && bounds->late_us < bounds->stuck_us);
        assert_true(i != VITALS_LINE || bounds->proof_us > bounds->late_us);
        assert_true(i != VITALS_PUMP || bounds->restart_us > bounds->stuck_us);
    }
}

static void parts_of_a_site(void **state) {
    (void)state;
    static struct site site;
    struct vitals_part parts[VITALS_PARTS_MAX];
    static char long_name[NAME_SIZE];
    site_init(&site);
    memset(long_name, 'x', sizeof(long_name) - 1);
    site.buses[0].kind = BUS_SERIAL;
    site.buses[0].name = long_name;
    site.points[2][1].class = CLASS_FIRE;
    assert_int_equal(vitals_parts(&site.config, parts), 6);
    assert_string_equal(parts[0].name, "bus-0"); /* too long a name: its number */
    assert_true(parts[0].kind == VITALS_LINE && parts[0].fire);
    assert_string_equal(parts[1].name, "store");
    assert_string_equal(parts[4].name, "mqtt");
    assert_string_equal(parts[5].name, "uplink-uplink-0");
    site.buses[0].kind = BUS_TCP; /* lives on the loop */
    site.config.uplinks_count = 0;
    assert_int_equal(vitals_parts(&site.config, parts), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_is_no_alarm),
        cmocka_unit_test(a_line_is_replaced_and_proves_itself),
        cmocka_unit_test(a_fire_line_restarts_when_replacing_fails),
        cmocka_unit_test(other_lines_never_restart),
        cmocka_unit_test(nobody_would_start_it_again),
        cmocka_unit_test(no_second_restart_within_an_hour),
        cmocka_unit_test(an_hour_of_health_is_a_new_beginning),
        cmocka_unit_test(memory_takes_the_place_of_the_store),
        cmocka_unit_test(a_stuck_pump_ends_the_process_in_order),
        cmocka_unit_test(the_others_have_their_alarm_alone),
        cmocka_unit_test(the_bounds_fit_together),
        cmocka_unit_test(parts_of_a_site),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
