/* SPDX-License-Identifier: Apache-2.0 */
/* The table at the top of alarm.c: every state under every event, for latching and not, fire and not, and with returns that need no
 * person. A state that was put aside stands three times: nothing happened meanwhile (calm), the condition is there now (active), the
 * condition came and went (passed). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alarm_rig.h"
#include "base/check.h"

#define SHELF_MS 1800000 /* allowed for fire, too */
#define REALARM_MS 60000
#define AT_MS 1000 /* of the event */

enum column {
    NORMAL,
    UNACKNOWLEDGED,
    ACKNOWLEDGED,
    RETURNED,
    LATCHED,
    LATCHED_TAKEN,
    SHELVED_CALM,
    SHELVED_ACTIVE,
    SHELVED_PASSED,
    SUPPRESSED_CALM,
    SUPPRESSED_ACTIVE,
    SUPPRESSED_PASSED,
    OUT_CALM,
    OUT_ACTIVE,
    OUT_PASSED,
    COLUMNS
};

static const enum alarm_state states[COLUMNS] = {ALARM_NORMAL,         ALARM_UNACKNOWLEDGED, ALARM_ACKNOWLEDGED,   ALARM_RETURNED,
                                                 ALARM_LATCHED,        ALARM_LATCHED,        ALARM_SHELVED,        ALARM_SHELVED,
                                                 ALARM_SHELVED,        ALARM_SUPPRESSED,     ALARM_SUPPRESSED,     ALARM_SUPPRESSED,
                                                 ALARM_OUT_OF_SERVICE, ALARM_OUT_OF_SERVICE, ALARM_OUT_OF_SERVICE};

/* What an event makes of a state. */
enum cell {
    same, /* nothing to tell, nothing changed */
    no,   /* refused with a reason */
    noted, /* nothing to tell, the condition is remembered */
    again, /* told again in the same state */
    norm,
    unack,
    ackn,
    taken, /* latched, acknowledged */
    shelf,
    out,
    supp,  /* SUPPRESSED; never for fire: same */
    gone,  /* what a return makes of an alarm that nobody took: RETURNED, LATCHED, or NORMAL when no person is needed */
    gonet, /* what it makes of one that was taken: NORMAL, or LATCHED and acknowledged */
    owed,  /* back from aside after a condition that passed: LATCHED, for fire RETURNED, otherwise NORMAL */
};

enum happening {
    CONDITION,
    RETURN,
    ACKNOWLEDGE,
    RESET,
    SHELVE,
    UNSHELVE,
    SUPPRESS,
    RELEASE,
    TAKE_OUT,
    PUT_BACK,
    SHELF_END,
    REALARM,
    ESCALATE,
    BLIND,
    TEST_RETURNED,
    TEST_ENDED,
    HAPPENINGS
};

static const struct {
    const char *name;
    enum alarm_cause cause;     /* of what is told, 0 for what a person does */
    enum cell cells[COLUMNS];   /* normal unackn. ackn. returned latched l.taken | shelved: calm active passed | suppressed | out of service */
} table[HAPPENINGS] = {
    [CONDITION] = {"condition",
                   CAUSE_CONDITION,
                   {unack, same, same, unack, unack, unack, noted, noted, noted, noted, noted, noted, noted, noted, noted}},
    [RETURN] = {"return", CAUSE_RETURN, {same, gone, gonet, same, same, same, noted, noted, noted, noted, noted, noted, noted, noted, noted}},
    [ACKNOWLEDGE] = {"acknowledge", 0, {no, ackn, no, norm, taken, no, no, no, no, no, no, no, no, no, no}},
    [RESET] = {"reset", 0, {no, no, no, no, no, norm, no, no, no, no, no, no, no, no, no}},
    [SHELVE] = {"shelve", 0, {shelf, shelf, shelf, shelf, shelf, shelf, shelf, shelf, shelf, shelf, shelf, shelf, no, no, no}},
    [UNSHELVE] = {"unshelve", 0, {no, no, no, no, no, no, norm, unack, owed, no, no, no, no, no, no}},
    [SUPPRESS] = {"suppress", CAUSE_SUPPRESS, {supp, same, same, same, same, same, same, same, same, same, same, same, same, same, same}},
    [RELEASE] = {"release", CAUSE_RELEASE, {same, same, same, same, same, same, same, same, same, norm, unack, owed, same, same, same}},
    [TAKE_OUT] = {"take out", 0, {out, out, out, out, out, out, out, out, out, out, out, out, out, out, out}},
    [PUT_BACK] = {"put back", 0, {no, no, no, no, no, no, no, no, no, no, no, no, norm, unack, owed}},
    [SHELF_END] = {"its end", CAUSE_EXPIRED, {same, same, same, same, same, same, norm, unack, owed, same, same, same, norm, unack, owed}},
    [REALARM] = {"re-alarm", CAUSE_REALARM, {same, again, same, again, again, same, same, same, same, same, same, same, same, same, same}},
    [ESCALATE] = {"escalate", CAUSE_ESCALATE, {same, again, same, again, again, same, same, same, same, same, same, same, same, same, same}},
    [BLIND] = {"blind", 0, {same, same, same, same, same, same, same, same, same, same, same, same, same, same, same}},
    [TEST_RETURNED] = {"test returned", 0, {same, same, same, norm, norm, norm, same, same, same, same, same, same, same, same, same}},
    [TEST_ENDED] = {"test ended", 0, {same, unack, unack, norm, norm, norm, same, same, same, same, same, same, same, same, same}},
};

struct variant {
    bool latch, fire, auto_acknowledge;
};

static struct config_alarm rule_of(const struct variant *variant, enum happening happening) {
    struct config_alarm rule = rig_rule_above();
    rule.latch = variant->latch;
    rule.class = variant->fire ? CLASS_FIRE : CLASS_ELECTRICAL;
    rule.auto_acknowledge = variant->auto_acknowledge;
    rule.priority = PRIORITY_MEDIUM;
    rule.realarm_ms = happening == REALARM ? REALARM_MS : 0;
    rule.escalate_ms = happening == ESCALATE ? REALARM_MS : 0;
    return rule;
}

/* Is there such a state for such an alarm? */
static bool exists(const struct variant *variant, enum column column) {
    if (column == LATCHED || column == LATCHED_TAKEN)
        return variant->latch;
    if (column == RETURNED)
        return !variant->latch && (variant->fire || !variant->auto_acknowledge);
    return !(variant->fire && states[column] == ALARM_SUPPRESSED);
}

static void bring(struct alarm *alarm, const struct config_alarm *rule, enum column column) {
    alarm_init(alarm, rule);
    if (states[column] == ALARM_SHELVED)
        assert_true(rig_shelve(alarm, 0, SHELF_MS));
    if (states[column] == ALARM_OUT_OF_SERVICE)
        assert_true(rig_take_out(alarm, 0, SHELF_MS));
    if (states[column] == ALARM_SUPPRESSED)
        assert_int_equal(rig_suppress(alarm, 0, true), CAUSE_SUPPRESS);
    bool calm = column == NORMAL || column == SHELVED_CALM || column == SUPPRESSED_CALM || column == OUT_CALM;
    bool over = column == RETURNED || column == LATCHED || column == LATCHED_TAKEN || column == SHELVED_PASSED || column == SUPPRESSED_PASSED ||
                column == OUT_PASSED;
    bool aside = alarm_state_aside(states[column]);
    if (!calm)
        assert_int_equal(rig_feed(alarm, 1, 11), aside ? 0 : CAUSE_CONDITION);
    if (column == ACKNOWLEDGED || column == LATCHED_TAKEN)
        assert_true(rig_acknowledge(alarm, 2));
    if (over)
        assert_int_equal(rig_feed(alarm, 3, 9), aside ? 0 : CAUSE_RETURN);
    assert_int_equal(alarm->state, states[column]);
    assert_true(alarm->abnormal == (!calm && !over));
}

/* Whether it was told or done. */
static bool happen(struct alarm *alarm, enum happening happening, int *ret_cause) {
    struct now now = rig_at(AT_MS);
    *ret_cause = 0;
    switch (happening) {
    case CONDITION:
        *ret_cause = rig_feed(alarm, AT_MS, 11);
        break;
    case RETURN:
        *ret_cause = rig_feed(alarm, AT_MS, 9);
        break;
    case ACKNOWLEDGE:
        return rig_acknowledge(alarm, AT_MS);
    case RESET:
        return rig_reset(alarm, AT_MS);
    case SHELVE:
        return rig_shelve(alarm, AT_MS, SHELF_MS);
    case UNSHELVE:
        return rig_unshelve(alarm, AT_MS);
    case SUPPRESS:
    case RELEASE:
        *ret_cause = rig_suppress(alarm, AT_MS, happening == SUPPRESS);
        break;
    case TAKE_OUT:
        return rig_take_out(alarm, AT_MS, SHELF_MS);
    case PUT_BACK:
        return rig_put_back(alarm, AT_MS);
    case SHELF_END:
        assert_int_equal(rig_tick(alarm, SHELF_MS - 1), 0);
        *ret_cause = rig_tick(alarm, SHELF_MS);
        break;
    case REALARM:
    case ESCALATE:
        *ret_cause = rig_tick(alarm, 3 + REALARM_MS);
        break;
    case BLIND:
        *ret_cause = rig_blind(alarm, AT_MS);
        break;
    case TEST_RETURNED:
        alarm_test_returned(alarm, &now);
        alarm_check(alarm);
        break;
    case TEST_ENDED:
        assert_true(alarm_test_ended(alarm, &now) == (alarm->state != ALARM_NORMAL));
        alarm_check(alarm);
        break;
    case HAPPENINGS:
        break;
    }
    return *ret_cause != 0;
}

/* The state a cell means; *ret_taken: acknowledged, when latched. */
static enum alarm_state state_of(enum cell cell, const struct variant *variant, enum column from, bool *ret_taken) {
    *ret_taken = cell == taken || (cell == gonet && variant->latch) || (from == LATCHED_TAKEN && (cell == same || cell == no));
    switch (cell) {
    case norm:
        return ALARM_NORMAL;
    case unack:
        return ALARM_UNACKNOWLEDGED;
    case ackn:
        return ALARM_ACKNOWLEDGED;
    case taken:
        return ALARM_LATCHED;
    case shelf:
        return ALARM_SHELVED;
    case out:
        return ALARM_OUT_OF_SERVICE;
    case supp:
        return variant->fire ? states[from] : ALARM_SUPPRESSED;
    case gone:
        return variant->latch                                 ? ALARM_LATCHED
               : variant->auto_acknowledge && !variant->fire ? ALARM_NORMAL
                                                              : ALARM_RETURNED;
    case gonet:
        return variant->latch ? ALARM_LATCHED : ALARM_NORMAL;
    case owed:
        return variant->latch ? ALARM_LATCHED : variant->fire ? ALARM_RETURNED : ALARM_NORMAL;
    default:
        return states[from];
    }
}

static bool is_a_persons(enum happening happening) {
    return happening == ACKNOWLEDGE || happening == RESET || happening == SHELVE || happening == UNSHELVE || happening == TAKE_OUT ||
           happening == PUT_BACK;
}

static void check_pair(const struct variant *variant, enum column column, enum happening happening) {
    struct config_alarm rule = rule_of(variant, happening);
    enum cell cell = table[happening].cells[column];
    struct alarm alarm, before;
    bool wanted_taken;
    int cause;
    bring(&alarm, &rule, column);
    before = alarm;
    bool quiet = cell == same || cell == no || cell == noted || (cell == supp && variant->fire);
    bool done = happen(&alarm, happening, &cause);
    enum alarm_state wanted = state_of(cell, variant, column, &wanted_taken);
    if (alarm.state != wanted)
        fail_msg("%s from column %u (latch %d fire %d auto %d): %s instead of %s", table[happening].name, column, variant->latch, variant->fire,
                 variant->auto_acknowledge, alarm_state_name(alarm.state), alarm_state_name(wanted));
    if (alarm.state == ALARM_LATCHED)
        assert_true(alarm.acknowledged == wanted_taken);
    if (happening != TEST_RETURNED && happening != TEST_ENDED)
        assert_true(done == !quiet);
    if (done && !is_a_persons(happening))
        assert_int_equal(cause, table[happening].cause);
    if (cell == same && happening == BLIND)
        assert_memory_equal(&alarm, &before, sizeof(alarm));
    if (happening == CONDITION || happening == RETURN) /* what a person put aside is watched all the same */
        assert_true(alarm.abnormal == (happening == CONDITION));
    if (!quiet && cell != again && happening != TEST_RETURNED && happening != TEST_ENDED)
        assert_true(alarm.at_ms > before.at_ms); /* it was entered now */
    assert_int_equal(alarm_priority(&alarm), happening == ESCALATE && cell == again ? PRIORITY_HIGH : PRIORITY_MEDIUM);
}

static void test_every_pair(void **state) {
    (void)state;
    unsigned pairs = 0;
    for (unsigned v = 0; v < 8; v++) {
        struct variant variant = {.latch = v & 1, .fire = v & 2, .auto_acknowledge = v & 4};
        for (enum column column = 0; column < COLUMNS; column++)
            for (enum happening happening = 0; happening < HAPPENINGS; happening++)
                if (exists(&variant, column)) {
                    check_pair(&variant, column, happening);
                    pairs++;
                }
    }
    assert_int_equal(pairs, HAPPENINGS * (2 * (14 + 11) + 13 + 10 + 12 + 10)); /* latching twice, plain, fire, auto, fire with auto */
}

/* ---- what is owed to a person ---- */

/* Shelved or out of service is never an acknowledgement: an alarm that waits for a person does so when it is back, whatever its
 * state was; and what a person had taken, and does not latch, is not asked for again. */
static void test_owed_by_origin(void **state) {
    (void)state;
    static const enum column origins[] = {UNACKNOWLEDGED, ACKNOWLEDGED, RETURNED, LATCHED, LATCHED_TAKEN};
    for (unsigned v = 0; v < 4; v++)
        for (unsigned o = 0; o < ARRAY_COUNT(origins); o++) {
            struct variant variant = {.latch = v & 1, .fire = v & 2};
            struct config_alarm rule = rule_of(&variant, HAPPENINGS);
            struct alarm alarm;
            if (!exists(&variant, origins[o]))
                continue;
            bring(&alarm, &rule, origins[o]);
            assert_true(rig_shelve(&alarm, 10, SHELF_MS));
            assert_int_equal(rig_feed(&alarm, 20, 9), 0);
            assert_true(rig_take_out(&alarm, 30, SHELF_MS)); /* from one way aside to the other: still owed */
            assert_true(rig_put_back(&alarm, 40));
            enum alarm_state wanted = variant.latch                                      ? ALARM_LATCHED
                                      : variant.fire && origins[o] != ACKNOWLEDGED ? ALARM_RETURNED
                                                                                         : ALARM_NORMAL;
            assert_int_equal(alarm.state, wanted);
            assert_false(wanted == ALARM_LATCHED && alarm.acknowledged);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_owed_by_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
