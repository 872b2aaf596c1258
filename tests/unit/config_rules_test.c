/* SPDX-License-Identifier: Apache-2.0 */
/* Derived points, conditions of several parts and what an alarm says beside its limit: tests/vectors/config/good/rules.yaml is read
 * back, with the periods and classes that follow from it; and a gateway's devices know nothing of what is computed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/estimate.h"
#include "config/load.h"
#include "gateway/simulator/plant.h"

#define GOOD TESTS_DIR "/vectors/config/good/rules.yaml"

static struct arena arena;
static struct diagnostics diagnostics;
static const struct config *config;

static int load(void **state) {
    (void)state;
    arena_init(&arena);
    diagnostics_init(&diagnostics);
    enum err err = config_load(GOOD, NULL, &arena, &diagnostics, &config);
    diagnostics_print(&diagnostics, stderr);
    return err == ERR_OK && diagnostics.warnings == 0 ? 0 : -1;
}

static int done(void **state) {
    (void)state;
    diagnostics_done(&diagnostics);
    arena_done(&arena);
    return 0;
}

static void assert_double(double value, double expected) {
    if (fabs(value - expected) > 1e-12)
        fail_msg("%g instead of %g", value, expected);
}

static uint16_t device_of(const char *name) {
    for (uint16_t i = 0; i < config->devices_count; i++)
        if (strcmp(config->devices[i].spec.name, name) == 0)
            return i;
    fail_msg("there is no device %s", name);
    return CONFIG_NONE;
}

static const struct point *point_of(const char *device, const char *name, uint16_t *ret_index) {
    const struct device_spec *spec = &config->devices[device_of(device)].spec;
    for (uint16_t i = 0; i < spec->points_count; i++)
        if (strcmp(spec->points[i].name, name) == 0) {
            if (ret_index)
                *ret_index = i;
            return &spec->points[i];
        }
    fail_msg("there is no point %s/%s", device, name);
    return NULL;
}

static uint16_t derived_index(const char *device, const char *name) {
    uint16_t point;
    point_of(device, name, &point);
    for (uint16_t i = 0; i < config->derived_count; i++)
        if (config->derived[i].device == device_of(device) && config->derived[i].point == point)
            return i;
    fail_msg("%s/%s is not derived", device, name);
    return CONFIG_NONE;
}

static const struct config_derived *derived_of_name(const char *device, const char *name) {
    return &config->derived[derived_index(device, name)];
}

static const struct config_alarm *alarm_of(const char *device, const char *name) {
    for (uint16_t i = 0; i < config->alarms_count; i++)
        if (config->alarms[i].device == device_of(device) && strcmp(config->alarms[i].name, name) == 0)
            return &config->alarms[i];
    fail_msg("there is no alarm %s/%s", device, name);
    return NULL;
}

static void assert_input(const struct config_derived *derived, unsigned index, const char *device, const char *point) {
    uint16_t expected;
    point_of(device, point, &expected);
    assert_true(index < derived->inputs_count);
    assert_int_equal(derived->inputs[index].device, device_of(device));
    assert_int_equal(derived->inputs[index].point, expected);
}

static void kinds_and_parameters(void **state) {
    (void)state;
    assert_int_equal(config->derived_count, 13 + 1 + 1); /* that of a profile; the rate of one point serves rising and falling; the other was there */
    const struct config_derived *on = derived_of_name("m", "on"), *base = derived_of_name("f", "base"), *mean = derived_of_name("f", "base-mean");
    assert_int_equal(on->kind, DERIVE_ON_OFF);
    assert_double(on->on_above, 0.5);
    assert_double(on->off_below, 0.3);
    assert_input(on, 0, "m", "current");
    assert_int_equal(base->kind, DERIVE_BASE_FUME);
    assert_double(base->stoves, 3); /* of the place */
    assert_double(derived_of_name("f", "base-two")->stoves, 1.5);
    assert_int_equal(base->inputs_count, 2);
    assert_input(base, 1, "f", "flow");
    assert_int_equal(mean->kind, DERIVE_MEAN);
    assert_int_equal(mean->over_ms, 600000);
    assert_input(mean, 0, "f", "base");
    assert_int_equal(derived_of_name("f", "removed")->kind, DERIVE_EFFICIENCY);
    assert_int_equal(derived_of_name("f", "constant")->kind, DERIVE_UNCHANGED);
    assert_int_equal(derived_of_name("m", "hours")->kind, DERIVE_RUN_HOURS);
    assert_int_equal(derived_of_name("m", "days")->kind, DERIVE_DAYS_SINCE);
    assert_int_equal(derived_of_name("m", "both")->kind, DERIVE_SUM);
    assert_int_equal(derived_of_name("m", "twice")->kind, DERIVE_DIFFERENCE);
    assert_int_equal(derived_of_name("m", "current-rate")->over_ms, 120000); /* the site's own is used */
    assert_int_equal(derived_of_name("t", "temperature-rate")->over_ms, 60000);
}

static void results_are_points(void **state) {
    (void)state;
    const struct point *on = point_of("m", "on", NULL), *base = point_of("f", "base-two", NULL);
    assert_true(on->derived && base->derived && !point_of("m", "current", NULL)->derived);
    assert_int_equal(on->labels_count, 2);
    assert_string_equal(on->labels[0].name, "off");
    assert_int_equal(on->labels[1].value, 1);
    assert_string_equal(on->zh, "充电");
    assert_string_equal(base->unit, "mg/m³");
    assert_true(base->has_range);
    assert_double(base->range_max, 50);
    assert_string_equal(point_of("m", "hours", NULL)->unit, "h");
    assert_string_equal(point_of("m", "days", NULL)->unit, "d");
    assert_string_equal(point_of("f", "constant", NULL)->unit, "min");
    assert_string_equal(point_of("f", "removed", NULL)->unit, "%");
    assert_string_equal(point_of("f", "steps", NULL)->unit, "steps");
    assert_string_equal(point_of("m", "current-rate", NULL)->unit, "A/min");
    assert_string_equal(point_of("t", "temperature-rate", NULL)->unit, "°C/min");
    assert_string_equal(point_of("t", "temperature-rate", NULL)->zh, "温度变化率");
    uint32_t points = 0;
    for (uint16_t i = 0; i < config->devices_count; i++) {
        assert_int_equal(config->devices[i].first_point, points);
        points += config->devices[i].spec.points_count;
    }
    assert_int_equal(config->points_count, points);
    assert_int_equal(points, 5 + 3 + 4 + 2 + 1 + config->derived_count);
}

static void inputs_come_first(void **state) {
    (void)state;
    assert_true(derived_index("f", "base") < derived_index("f", "base-mean"));
    assert_true(derived_index("m", "on") < derived_index("m", "hours"));
    assert_true(derived_index("m", "current-mean") < derived_index("m", "twice"));
    assert_true(derived_index("m", "twice") < derived_index("m", "both"));
}

static void classes_go_down_and_periods_up(void **state) {
    (void)state;
    const struct point *temperature = point_of("t", "temperature", NULL);
    assert_int_equal(temperature->class, CLASS_FIRE); /* its rate has a fire alarm */
    assert_int_equal(temperature->every_ms, 1000);
    assert_true(temperature->feeds_action);
    assert_int_equal(point_of("t", "temperature-rate", NULL)->every_ms, 1000);
    assert_int_equal(point_of("t", "other", NULL)->class, CLASS_MAINTENANCE);
    assert_int_equal(point_of("t", "other", NULL)->every_ms, 10000);
    const struct point *current = point_of("m", "current", NULL); /* below 'on', which stands in an electrical composite */
    assert_int_equal(current->class, CLASS_ELECTRICAL);
    assert_int_equal(current->every_ms, 5000);
    assert_true(current->feeds_action);
    const struct point *flow = point_of("f", "flow", NULL); /* two steps below 'base-mean' */
    assert_int_equal(flow->class, CLASS_ELECTRICAL);
    assert_true(flow->feeds_action);
    assert_int_equal(point_of("f", "base-mean", NULL)->every_ms, 2000);
    assert_int_equal(point_of("f", "step", NULL)->class, CLASS_MAINTENANCE);
    assert_false(point_of("f", "step", NULL)->feeds_action);
    assert_int_equal(point_of("r", "channel-1", NULL)->every_ms, 5000); /* read back */
    assert_int_equal(point_of("r", "channel-2", NULL)->every_ms, 5000);
    assert_int_equal(point_of("r", "mode", NULL)->every_ms, 10000);
}

static void assert_leaf(const struct config_term *term, enum term_kind kind, const char *device, const char *point, double limit) {
    uint16_t expected;
    point_of(device, point, &expected);
    assert_int_equal(term->kind, kind);
    assert_int_equal(term->span, 1);
    assert_int_equal(term->device, device_of(device));
    assert_int_equal(term->point, expected);
    assert_double(term->limit, limit);
}

static void conditions_become_terms(void **state) {
    (void)state;
    const struct config_alarm *unused = alarm_of("f", "unused"), *odd = alarm_of("r", "odd");
    const struct config_term *terms = &config->terms[unused->first_term];
    assert_int_equal(unused->condition, CONDITION_COMPOSITE);
    assert_int_equal(unused->point, CONFIG_NONE);
    assert_int_equal(unused->terms_count, 3);
    assert_int_equal(unused->on_delay_ms, 180000);
    assert_int_equal(unused->off_delay_ms, 5000);
    assert_true(unused->latch);
    assert_int_equal(terms[0].kind, TERM_ALL);
    assert_int_equal(terms[0].span, 3);
    assert_int_equal(terms[0].on_delay_ms, 0);
    assert_leaf(&terms[1], TERM_ABOVE, "f", "fume", 1);
    assert_double(terms[1].deadband, 0.2);
    assert_leaf(&terms[2], TERM_EQUAL, "r", "channel-1", 0);
    assert_int_equal(terms[2].on_delay_ms, 10000);
    assert_string_equal(unused->zh, "油烟高于 1 mg/m³且r 一路为 off");
    assert_string_equal(unused->en, "fume above 1 mg/m³ and r channel 1 is off");

    terms = &config->terms[odd->first_term];
    assert_int_equal(odd->terms_count, 9);
    static const struct {
        enum term_kind kind;
        uint16_t span;
    } expected[] = {{TERM_ANY, 9},     {TERM_ALL, 4}, {TERM_EQUAL, 1}, {TERM_NOT, 2},  {TERM_OPEN, 1},
                    {TERM_MISSING, 1}, {TERM_NOT, 3}, {TERM_ANY, 2},   {TERM_BELOW, 1}};
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(terms[i].kind, expected[i].kind);
        assert_int_equal(terms[i].span, expected[i].span);
    }
    assert_int_equal(terms[1].on_delay_ms, 60000);
    assert_string_equal(config->places[terms[4].place].key, "kitchen");
    assert_leaf(&terms[5], TERM_MISSING, "t", "temperature", 0);
    assert_leaf(&terms[8], TERM_BELOW, "f", "base-mean", 1);
}

static void rising_and_falling_watch_the_rate(void **state) {
    (void)state;
    const struct config_alarm *hot = alarm_of("t", "hot"), *cold = alarm_of("t", "cold"), *surge = alarm_of("m", "surge");
    uint16_t rate;
    point_of("t", "temperature-rate", &rate);
    assert_int_equal(hot->point, rate);
    assert_int_equal(hot->condition, CONDITION_ABOVE);
    assert_double(hot->limit, 8);
    assert_int_equal(hot->of_n, 2);
    assert_string_equal(hot->zh, "温度上升快于 8 °C/min");
    assert_string_equal(hot->en, "temperature rising faster than 8 °C/min");
    assert_int_equal(cold->point, rate);
    assert_int_equal(cold->condition, CONDITION_BELOW);
    assert_double(cold->limit, -2.5);
    assert_string_equal(cold->en, "temperature falling faster than 2.5 °C/min");
    assert_double(surge->deadband, 2);
    const struct config_alarm *rise = alarm_of("h", "heat-rise"); /* of a profile, its limit the site's */
    point_of("h", "temperature-rate", &rate);
    assert_int_equal(rise->point, rate);
    assert_double(rise->limit, 10);
    assert_int_equal(rise->realarm_ms, 600000);
    assert_string_equal(rise->remedy_en, "look there");
    assert_string_equal(rise->basis_zh, "");
    assert_string_equal(rise->zh, "温度上升快于 10 °C/min");
    assert_int_equal(point_of("h", "temperature", NULL)->class, CLASS_FIRE);
    assert_string_equal(surge->en, "current-rate above 20 A/min"); /* the site's own point, by its own name */
    assert_string_equal(alarm_of("m", "due")->en, "hours above 500 h");
}

static void alarms_say_what_is_behind_them(void **state) {
    (void)state;
    const struct config_alarm *odd = alarm_of("r", "odd"), *late = alarm_of("m", "late"), *hot = alarm_of("t", "hot");
    assert_int_equal(odd->realarm_ms, 1800000);
    assert_int_equal(odd->escalate_ms, 3600000);
    assert_string_equal(odd->remedy_zh, "断电");
    assert_string_equal(odd->remedy_en, "switch off");
    assert_string_equal(odd->basis_en, "some standard 4.2");
    assert_int_equal(odd->confidence, CONFIDENCE_LIKELY);
    assert_ptr_equal(&config->alarms[odd->suppressed_by], alarm_of("r", "communication"));
    assert_null(odd->shelf);
    assert_false(odd->auto_acknowledge);
    assert_true(late->auto_acknowledge);
    assert_ptr_equal(&config->alarms[late->suppressed_by], alarm_of("m", "due"));
    assert_string_equal(late->shelf->by, "王师傅");
    assert_string_equal(late->shelf->reason, "换表");
    assert_int_equal(late->shelf->until_ms, 1796083200000); /* 2026-12-01T00:00:00Z */
    assert_int_equal(hot->realarm_ms, 0);
    assert_int_equal(hot->suppressed_by, CONFIG_NONE);
    assert_int_equal(hot->confidence, CONFIDENCE_UNCONFIRMED);
    assert_string_equal(hot->remedy_zh, "");
    assert_string_equal(hot->rule_set, "");
}

static void every_action_has_its_alarm(void **state) {
    (void)state;
    const struct config_alarm *cut = alarm_of("r", "action-cut"), *siren = alarm_of("r", "action-siren");
    assert_int_equal(cut->condition, CONDITION_ACTION);
    assert_int_equal(cut->point, CONFIG_NONE);
    assert_int_equal(cut->class, CLASS_FAULT);
    assert_int_equal(cut->action, 0);
    assert_int_equal(cut->priority, PRIORITY_MEDIUM); /* overridden */
    assert_string_equal(cut->zh, "断电失败");
    assert_int_equal(siren->action, 1);
    assert_int_equal(siren->priority, PRIORITY_HIGH);
    assert_string_equal(siren->zh, "联动 siren 无法执行");
    assert_string_equal(siren->en, "the local action siren cannot be carried out");
    assert_ptr_equal(&config->alarms[config->actions[0].alarm], alarm_of("r", "odd"));
    assert_int_equal(alarm_of("r", "odd")->action, CONFIG_NONE);
}

static void hours_and_commands_are_read(void **state) {
    (void)state;
    assert_false(config->places[0].has_hours);
    assert_true(config->places[1].has_hours);
    assert_int_equal(config->places[1].opens_min, 18 * 60);
    assert_int_equal(config->places[1].closes_min, 2 * 60);
    assert_int_equal(config->places[1].closed_days, 0x41);
    assert_int_equal(config->places[2].closes_min, 1440);
    assert_true(config->places[3].has_hours);
    assert_int_equal(config->places[3].opens_min, 0);
    assert_int_equal(config->places[3].closes_min, 1440);
    assert_int_equal(config->places[3].closed_days, 0x02);
    assert_double(config->devices[0].rated_current, 10);
    assert_double(config->devices[1].rated_current, 0);
    assert_string_equal(config->commands.hmac_credential, "command-key");
    assert_null(config->commands.hmac_plain);
    assert_true(config->uplinks[0].commands);
    assert_false(config->uplinks[1].commands);
}

static void estimates_count_inputs(void **state) {
    (void)state;
    struct arena scratch;
    struct estimate_bus bus;
    int64_t siren_us[ESTIMATE_CASES], cut_us[ESTIMATE_CASES];
    arena_init(&scratch);
    assert_int_equal(estimate_bus(config, 0, &scratch, &bus), ERR_OK);
    assert_int_equal(bus.points, 15);
    assert_int_equal(estimate_action(config, 1, &scratch, siren_us), ERR_OK);
    /* a period of 1 s, the window of the rate, another reading in agreement, and 100 ms: inputs may be of any bus */
    assert_int_equal(siren_us[0], 1000000 + 60000000 + 1000000 + 100000);
    assert_int_equal(estimate_action(config, 0, &scratch, cut_us), ERR_OK);
    assert_true(cut_us[0] >= 600000000 + 60000000); /* the longest window and all delays of the condition */
    arena_done(&scratch);
}

/* Each level adds the level below to itself twice removed: the ways through it double with each, the work must not. */
static void chains_of_derived_points_stay_cheap(void **state) {
    (void)state;
    char path[64], text[8192];
    int length = snprintf(
        text, sizeof(text),
        "gateway: {id: g}\nbuses: {b: {tcp: h}}\nuplinks: {u: {mqtt: \"mqtt://h\"}}\n"
        "devices: {d: {bus: b, unit_id: 1, location: x, points: {a0: {read: holding, address: 0, type: u16}, b0: {read: holding, address: 1, "
        "type: u16}, c: {read: coil, address: 0, write: coil}}}}\nderived:\n");
    for (int i = 1; i <= 40; i++)
        length += snprintf(text + length, sizeof(text) - (size_t)length, "  d/a%d: {sum: [d/a%d, d/b%d]}\n  d/b%d: {difference: [d/a%d, d/b%d]}\n", i,
                           i - 1, i - 1, i, i - 1, i - 1);
    length += snprintf(text + length, sizeof(text) - (size_t)length,
                       "alarms: {x: {point: d/a40, above: 3, class: fire}}\nactions: {y: {when: x, write: d/c, value: on}}\n");
    assert_true(length < (int)sizeof(text));
    int fd = memfd_create("chain", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, (size_t)length), length);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const struct config *chain;
    struct arena own;
    int64_t written_us[ESTIMATE_CASES];
    arena_init(&own);
    assert_int_equal(config_load(path, NULL, &own, &diagnostics, &chain), ERR_OK);
    assert_int_equal(chain->derived_count, 80);
    assert_int_equal(config_point(chain, 0, 0)->class, CLASS_FIRE);
    assert_true(config_point(chain, 0, 1)->feeds_action);
    assert_int_equal(estimate_action(chain, 0, &own, written_us), ERR_OK);
    assert_int_equal(written_us[0], 1000000 + 100000);
    arena_done(&own);
    close(fd);
}

/* A simulated device answers for what it has, and what is computed is neither read from it nor set in it. */
static void the_plant_has_no_derived_points(void **state) {
    (void)state;
    static struct plant plant;
    char bytes[256], value[64];
    struct text error, text;
    text_init(&error, bytes, sizeof(bytes));
    text_init(&text, value, sizeof(value));
    plant_build(&plant, config, &arena);
    plant_wave(&plant, 15000000);
    assert_int_equal(plant_set(&plant, "m/current", "3", &error), ERR_OK);
    assert_int_equal(plant_set(&plant, "m/on", "1", &error), ERR_NOT_FOUND);
    assert_string_equal(bytes, "'m/on' is computed by the gateway; set the points it is computed from");
    assert_int_equal(plant_get(&plant, "m/current", &text, &error), ERR_OK);
    assert_string_equal(value, "3 A");
    for (uint16_t d = 0; d < config->devices_count; d++) {
        struct plan plan;
        assert_int_equal(plan_build(&config->devices[d].spec, NULL, &arena, &plan), ERR_OK);
        for (uint16_t r = 0; r < plan.count; r++)
            for (uint16_t i = 0; i < plan.requests[r].points_count; i++)
                assert_false(config->devices[d].spec.points[plan.requests[r].points[i]].derived);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_and_parameters),
        cmocka_unit_test(results_are_points),
        cmocka_unit_test(inputs_come_first),
        cmocka_unit_test(classes_go_down_and_periods_up),
        cmocka_unit_test(conditions_become_terms),
        cmocka_unit_test(rising_and_falling_watch_the_rate),
        cmocka_unit_test(alarms_say_what_is_behind_them),
        cmocka_unit_test(every_action_has_its_alarm),
        cmocka_unit_test(hours_and_commands_are_read),
        cmocka_unit_test(estimates_count_inputs),
        cmocka_unit_test(chains_of_derived_points_stay_cheap),
        cmocka_unit_test(the_plant_has_no_derived_points),
    };
    return cmocka_run_group_tests(tests, load, done);
}
