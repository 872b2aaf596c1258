/* SPDX-License-Identifier: Apache-2.0 */
/* What the loader makes of ready rules. They reach it as nodes of a device; here they come from a small text, so that the loader is
 * tested without any set of rules. A site adds to them, changes them and takes them away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/loader.h"

#define PROFILES TESTS_DIR "/vectors/config/profiles"

#define RULES                                                                                                                                        \
    "derived:\n"                                                                                                                                     \
    "  charging: {on_off: m/current, on_above: 0.5 A, off_below: 0.3 A}\n"                                                                           \
    "  hours: {run_hours: m/charging}\n"                                                                                                             \
    "alarms:\n"                                                                                                                                      \
    "  too-long: {point: m/charging, is: on, on_delay: 10h, class: electrical, zh: 充电过久, en: charging too long, rule_set: charging,\n"       \
    "             remedy: {zh: 拔下, en: unplug}, basis: {en: rule 3}, confidence: likely, suppressed_by: m/leak}\n"                               \
    "  leak: {point: m/leakage, above: 100 mA, class: fire, rule_set: charging}\n"                                                                   \
    "  strange: {all: [{point: m/current, above: 9 A, deadband: 1 A}, {point: m/charging, is: off}], on_delay: 1min, rule_set: charging,\n"          \
    "            zh: 异常电流, en: strange current}\n"                                                                                           \
    "  double: {any: [{point: m/current, above: 9 A}, {point: m/current, above: 8 A}], rule_set: charging}\n"                                        \
    "  falling: {point: m/voltage, falling: 20 V/min, class: fire, rule_set: charging}\n"                                                            \
    "  fast: {point: m/current, rising: 20 A/min, rule_set: charging}\n"

#define SITE                                                                                                                                         \
    "gateway: {id: g}\n"                                                                                                                             \
    "buses: {line: {serial: /dev/ttyS0}}\n"                                                                                                          \
    "uplinks: {up: {mqtt: \"mqtt://h\"}}\n"                                                                                                          \
    "devices: {m: {profile: meter, bus: line, unit_id: 1, location: x}}\n"

struct loading {
    struct loader loader;
    struct config *config;
    struct diagnostics diagnostics;
    struct arena arena;
    struct source rules;
    char site_path[64], rules_path[64], *messages;
    size_t messages_size;
};

static int memory_file(const char *text, char ret_path[64]) {
    int fd = memfd_create("rules", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    snprintf(ret_path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* The road of load.c, with the rules put in where a set of rules would. */
static struct loading *load(const char *site, const char *rules) {
    struct loading *it = calloc(1, sizeof(*it));
    struct loader *loader = &it->loader;
    assert_non_null(it);
    int site_fd = memory_file(site, it->site_path), rules_fd = memory_file(rules, it->rules_path);
    arena_init(&it->arena);
    arena_init(&loader->scratch);
    diagnostics_init(&it->diagnostics);
    it->config = arena_take(&it->arena, 1, sizeof(*it->config));
    loader->arena = &it->arena;
    loader->config = it->config;
    loader->profiles_dirs[1] = PROFILES;
    loader->site = (struct source){.path = it->site_path, .diagnostics = &it->diagnostics, .arena = &loader->scratch};
    it->rules = (struct source){.path = it->rules_path, .diagnostics = &it->diagnostics, .arena = &loader->scratch};
    yaml_read(&loader->site);
    schema_check(&loader->site, &schema_site, loader->site.root);
    yaml_read(&it->rules);
    load_gateway(loader);
    load_places(loader);
    load_buses(loader);
    load_devices(loader);
    const struct node *derived = node_get(it->rules.root, "derived"), *alarms = node_get(it->rules.root, "alarms");
    loader->devices_more[0].rule_derived = derived ? derived->first : NULL;
    loader->devices_more[0].rule_alarms = alarms ? alarms->first : NULL;
    loader->devices_more[0].rule_source = &it->rules;
    load_derived(loader);
    load_alarms(loader);
    load_actions(loader);
    load_suppression(loader);
    load_settle_alarms(loader);
    load_settle_derived(loader);
    load_finish_points(loader);
    load_alarm_texts(loader);
    FILE *memory = open_memstream(&it->messages, &it->messages_size);
    diagnostics_print(&it->diagnostics, memory);
    fclose(memory);
    close(site_fd);
    close(rules_fd);
    return it;
}

static void unload(struct loading *it) {
    free(it->messages);
    diagnostics_done(&it->diagnostics);
    arena_done(&it->loader.scratch);
    arena_done(&it->arena);
    free(it);
}

static const struct config_alarm *alarm_of(const struct loading *it, const char *name) {
    const struct config_alarm *found = NULL;
    for (uint16_t i = 0; i < it->config->alarms_count; i++)
        if (strcmp(it->config->alarms[i].name, name) == 0) {
            assert_null(found); /* a durable name stands for one alarm */
            found = &it->config->alarms[i];
        }
    return found;
}

static void assert_clean(const struct loading *it) {
    if (it->diagnostics.errors)
        fail_msg("%s", it->messages);
}

static void rules_become_alarms(void **state) {
    (void)state;
    struct loading *it = load(SITE, RULES);
    assert_clean(it);
    const struct config_alarm *too_long = alarm_of(it, "too-long"), *leak = alarm_of(it, "leak"), *strange = alarm_of(it, "strange");
    assert_int_equal(it->config->derived_count, 4);
    assert_int_equal(it->config->alarms_count, 1 + 6 + 1); /* the profile's other one, the rules, communication */
    assert_string_equal(too_long->rule_set, "charging");
    assert_string_equal(too_long->remedy_en, "unplug");
    assert_string_equal(too_long->basis_en, "rule 3");
    assert_int_equal(too_long->confidence, CONFIDENCE_LIKELY);
    assert_int_equal(too_long->on_delay_ms, 36000000);
    assert_ptr_equal(&it->config->alarms[too_long->suppressed_by], leak);
    assert_true(leak->limit == 100); /* the rule stands instead of the profile's of that name */
    assert_int_equal(leak->of_m, 1);
    assert_int_equal(strange->condition, CONDITION_COMPOSITE);
    assert_string_equal(alarm_of(it, "voltage-high")->rule_set, "");
    assert_string_equal(alarm_of(it, "double")->en, "current above 9 A or current above 8 A");
    assert_string_equal(alarm_of(it, "fast")->en, "current rising faster than 20 A/min");
    unload(it);
}

/* A rule must not keep a site from loading because its sensor is read seldom: it is read more often then. */
static void a_rule_gets_the_readings_it_needs(void **state) {
    (void)state;
    struct loading *it = load("gateway: {id: g}\n"
                              "buses: {line: {serial: /dev/ttyS0}}\n"
                              "devices: {m: {profile: meter, bus: line, unit_id: 1, location: x, every: {voltage: 10min, current: 2s}}}\n",
                              RULES "  mean: {point: m/current, above: 3 A}\n");
    assert_clean(it);
    assert_int_equal(config_point(it->config, 0, 0)->every_ms, 30000);
    assert_int_equal(config_point(it->config, 0, 1)->every_ms, 2000);
    assert_int_equal(it->diagnostics.warnings, 0);
    unload(it);
}

static void a_site_changes_rules(void **state) {
    (void)state;
    struct loading *it = load(SITE "derived:\n"
                                   "  m/charging: {on_off: m/current, on_above: 2 A, off_below: 1 A}\n"
                                   "alarms:\n"
                                   "  m/too-long: {on_delay: 8h}\n"
                                   "  m/leak: {remove: true}\n"
                                   "  m/strange: {above: 5 A, priority: high, off_delay: 3s, latch: true}\n"
                                   "  m/double: {all: [{point: m/current, above: 9 A}, {point: m/voltage, below: 200 V}], class: electrical}\n"
                                   "  m/communication: {realarm: 1h}\n"
                                   "  m/fast: {rising: 30 A/min}\n",
                              RULES);
    assert_clean(it);
    const struct config_alarm *too_long = alarm_of(it, "too-long"), *strange = alarm_of(it, "strange"), *twice = alarm_of(it, "double");
    assert_int_equal(it->config->derived_count, 4); /* the site's own entry instead of the rule's */
    for (uint16_t i = 0; i < it->config->derived_count; i++)
        assert_true(it->config->derived[i].kind != DERIVE_ON_OFF || it->config->derived[i].on_above == 2);
    assert_int_equal(too_long->on_delay_ms, 28800000);
    assert_string_equal(too_long->zh, "充电过久");
    assert_string_equal(too_long->rule_set, "charging");
    assert_int_equal(too_long->suppressed_by, CONFIG_NONE); /* what it named is gone */
    assert_null(alarm_of(it, "leak"));
    const struct config_unwatched *gone = &it->config->unwatched[it->config->unwatched_count - 1]; /* and the checklist will say so */
    assert_string_equal(gone->removed, "leak");
    assert_true(gone->device == 0 && gone->place == it->config->devices[0].place && gone->what_en[0] && !gone->missing_en);
    const struct config_term *terms = &it->config->terms[strange->first_term];
    assert_int_equal(strange->terms_count, 3);
    assert_true(terms[1].limit == 5 && terms[1].deadband == 1);
    assert_int_equal(strange->priority, PRIORITY_HIGH);
    assert_int_equal(strange->on_delay_ms, 60000);
    assert_int_equal(strange->off_delay_ms, 3000);
    assert_true(strange->latch);
    assert_string_equal(strange->en, "strange current"); /* the same condition, at another limit */
    terms = &it->config->terms[twice->first_term];
    assert_int_equal(twice->terms_count, 3);
    assert_int_equal(terms[0].kind, TERM_ALL);
    assert_int_equal(terms[2].kind, TERM_BELOW);
    assert_string_equal(twice->rule_set, "charging");
    assert_true(alarm_of(it, "fast")->limit == 30);
    unload(it);
}

static void assert_message(const struct loading *it, const char *message) {
    if (!strstr(it->messages, message))
        fail_msg("'%s' is not among: %s", message, it->messages);
}

static void wrong_overrides_are_told(void **state) {
    (void)state;
    struct loading *it = load(SITE "alarms:\n"
                                   "  m/strange: {below: 5 A}\n"
                                   "  m/double: {above: 5 A}\n"
                                   "  m/too-long: {all: [{point: m/current, above: 9 A}]}\n"
                                   "  too-long: {point: m/current, above: 9 A}\n"
                                   "  m/strang: {on_delay: 3s}\n",
                              RULES);
    assert_int_equal(it->diagnostics.errors, 5);
    assert_message(it, ":6:15: error: the alarm's limit is an 'above', not 'below': write its condition as a whole to turn it around\n");
    assert_message(
        it, ":7:14: error: the alarm has several limits, and nobody can say which is meant: write its condition as a whole, with all, any or not\n");
    assert_message(it, ":8:16: error: the alarm 'too-long' watches one point: remove it and write one of several conditions yourself\n");
    assert_message(it, ":9:3: error: the device 'm' has an alarm 'too-long' already; to change it write 'm/too-long:'\n");
    assert_message(it, ":10:3: error: the device 'm' has no alarm 'strang' (did you mean 'strange'?)\n");
    unload(it);
    it = load(SITE "alarms:\n"
                   "  m/strange: {is: on}\n"
                   "  m/double: {deadband: 1 A}\n"
                   "  m/strange2: {}\n",
              RULES);
    assert_message(it,
                   ":6:15: error: 'is' cannot be laid over an alarm of several conditions: write its condition as a whole, with all, any or not\n");
    assert_message(it, ":7:14: error: 'deadband' cannot be laid over an alarm of several conditions");
    unload(it);
}

/* A rule that does not fit its device is our own mistake, and complained about where it stands. */
static void wrong_rules_are_told_at_the_rules(void **state) {
    (void)state;
    struct loading *it = load(SITE, "derived:\n"
                                    "  a: {mean: m/curent, over: 10min}\n"
                                    "  voltage: {mean: m/current, over: 10min}\n"
                                    "alarms:\n"
                                    "  b: {point: m/current, above: 5 V}\n"
                                    "  c: {all: [{open: nowhere}]}\n"
                                    "  communication: {point: m/current, above: 3 A}\n");
    char at[128];
    static const char *const ends[] = {"2:13: error: the device 'm' has no point 'curent' (did you mean 'current'?)",
                                       "3:3: error: the device 'm' has a point 'voltage' already; give the derived one another name",
                                       "5:32: error: 'above' is '5 V', but the point 'current' is in A: write the limit in A",
                                       "6:20: error: there is no place 'nowhere'; what exists stands under 'places:'",
                                       "7:3: error: the alarm name 'communication' is taken: every device has one"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(at, sizeof(at), "%s:%s\n", it->rules_path, ends[i]);
        assert_message(it, at);
    }
    assert_int_equal(it->diagnostics.errors, 5);
    unload(it);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_become_alarms),      cmocka_unit_test(a_rule_gets_the_readings_it_needs), cmocka_unit_test(a_site_changes_rules),
        cmocka_unit_test(wrong_overrides_are_told), cmocka_unit_test(wrong_rules_are_told_at_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
