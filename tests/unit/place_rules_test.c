/* SPDX-License-Identifier: Apache-2.0 */
/* Ready rules: every file in the tree keeps its promises, a site's devices get exactly the rules that are for them, what is
 * lacking is told, and a wrong file is told with its places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/prng.h"
#include "config/loader.h"
#include "config/place_rules.h"

#define SITE TESTS_DIR "/vectors/rules/sites/all.yaml"
#define PROFILES SOURCE_DIR "/sensors/profiles"
#define PLACES 4
#define RULES_LEAST 60 /* of all files */
#define MUTATIONS 300
#define MUTANT_SIZE 65536

/* The loader as far as the rules, so that their nodes can be looked at. */
struct stage {
    struct arena arena;
    struct diagnostics diagnostics;
    struct loader loader;
};

static struct stage *stage_open(const char *path, const char *own_profiles, const char *profiles) {
    struct stage *stage = calloc(1, sizeof(*stage));
    struct loader *loader = &stage->loader;
    arena_init(&stage->arena);
    diagnostics_init(&stage->diagnostics);
    arena_init(&loader->scratch);
    loader->arena = &stage->arena;
    loader->site = (struct source){.path = path, .diagnostics = &stage->diagnostics, .arena = &loader->scratch};
    loader->profiles_dirs[0] = own_profiles;
    loader->profiles_dirs[1] = profiles;
    loader->config = arena_take(&stage->arena, 1, sizeof(*loader->config));
    yaml_read(&loader->site);
    load_gateway(loader);
    load_places(loader);
    load_buses(loader);
    load_devices(loader);
    load_place_rules(loader);
    return stage;
}

static void stage_close(struct stage *stage) {
    arena_done(&stage->loader.scratch);
    arena_done(&stage->arena);
    diagnostics_done(&stage->diagnostics);
    free(stage);
}

static int open_site(void **state) {
    struct stage *stage = stage_open(SITE, TESTS_DIR "/vectors/rules/profiles", PROFILES);
    if (stage->diagnostics.errors)
        diagnostics_print(&stage->diagnostics, stderr);
    assert_int_equal(stage->diagnostics.errors, 0);
    *state = stage;
    return 0;
}

static int close_site(void **state) {
    stage_close(*state);
    return 0;
}

static const struct loader_device *device_of(void **state, const char *name) {
    struct loader *loader = &((struct stage *)*state)->loader;
    uint32_t index = names_find(&loader->devices_names, name);
    assert_true(index != NAMES_NONE);
    return &loader->devices_more[index];
}

/* A node on one line, without the texts that only people read. */
static void put(FILE *to, const struct node *node) {
    static const char *const people[] = {"remedy", "basis", "confidence", "realarm", "escalate"};
    bool first = true;
    if (node->kind == NODE_SCALAR) {
        fputs(node->text, to);
        return;
    }
    fputc(node->kind == NODE_MAP ? '{' : '[', to);
    for (const struct node *member = node->first; member; member = member->next) {
        bool hidden = false;
        for (size_t i = 0; member->key && i < ARRAY_COUNT(people); i++)
            hidden = hidden || strcmp(member->key->text, people[i]) == 0;
        if (hidden)
            continue;
        fputs(first ? "" : ", ", to);
        first = false;
        if (member->key)
            fprintf(to, "%s: ", member->key->text);
        put(to, member);
    }
    fputc(node->kind == NODE_MAP ? '}' : ']', to);
}

static const struct node *listed(const struct node *list, const char *name) {
    while (list && strcmp(list->key->text, name) != 0)
        list = list->next;
    return list;
}

static void assert_written(const struct node *list, const char *name, const char *expected) {
    const struct node *node = listed(list, name);
    char *text = NULL;
    size_t size;
    if (!node)
        fail_msg("there is no '%s'", name);
    FILE *memory = open_memstream(&text, &size);
    put(memory, node);
    fclose(memory);
    assert_string_equal(text, expected);
    free(text);
}

static void assert_names(const struct node *list, const char *expected) {
    char text[4096] = "";
    for (; list; list = list->next) {
        strncat(text, list->key->text, sizeof(text) - strlen(text) - 1);
        strncat(text, list->next ? " " : "", sizeof(text) - strlen(text) - 1);
    }
    assert_string_equal(text, expected);
}

static void a_socket_gets_the_rules_of_a_socket(void **state) {
    const struct loader_device *socket = device_of(state, "socket-1");
    assert_names(socket->rule_derived, "charging");
    assert_written(socket->rule_derived, "charging", "{on_off: socket-1/current, on_above: 0.25 A, off_below: 0.15 A, zh: 正在充电, en: charging}");
    assert_names(socket->rule_alarms, "socket-overcurrent-strong socket-overcurrent socket-current-raised ebike-power-high ebike-power-raised "
                                      "charging-too-long charging-long charged-full");
    assert_written(
        socket->rule_alarms, "socket-overcurrent",
        "{point: socket-1/current, on_delay: 30s, class: electrical, priority: high, zh: 充电口过流, en: overcurrent of the charging socket, "
        "above: 11 A, deadband: 0.5 A, rule_set: charging}");
    assert_written(
        socket->rule_alarms, "socket-current-raised",
        "{point: socket-1/current, on_delay: 30s, class: electrical, priority: medium, suppressed_by: socket-1/socket-overcurrent, "
        "auto_acknowledge: true, zh: 充电口电流接近额定值, en: current of the charging socket close to rated, above: 9 A, deadband: 0.5 A, "
        "rule_set: charging}");
    assert_written(
        socket->rule_alarms, "charging-too-long",
        "{point: socket-1/charging, is: on, on_delay: 10h, class: electrical, priority: high, zh: 充电超过 10 小时, en: charging for more than "
        "10 hours, rule_set: charging}");
    assert_written(
        socket->rule_alarms, "charged-full",
        "{all: [{point: socket-1/power, above: 2 W, deadband: 1 W}, {point: socket-1/power, below: 20 W, deadband: 5 W}], on_delay: 30min, "
        "class: maintenance, priority: low, auto_acknowledge: true, zh: 已充满仍未断电, en: full but still connected, rule_set: charging}");
    assert_non_null(strstr(socket->rule_source->path, "config/rules/charging.yaml"));
    assert_true(socket->rule_alarms->line > 1); /* complaints point into the rule file */
}

static void a_branch_gets_an_alarm_for_each_phase(void **state) {
    const struct loader_device *branch = device_of(state, "branch-3");
    assert_names(branch->rule_derived, "");
    assert_names(
        branch->rule_alarms,
        "branch-overload-l1 branch-overload-l2 branch-overload-l3 branch-load-high-l1 branch-load-high-l2"); /* the site has its own for l3 */
    assert_written(
        branch->rule_alarms, "branch-load-high-l2",
        "{point: branch-3/current-l2, on_delay: 60s, class: electrical, priority: low, suppressed_by: branch-3/branch-overload-l2, "
        "auto_acknowledge: true, zh: B相电流接近额定值, en: L2 current close to rated, above: 25.6 A, deadband: 1.6 A, rule_set: charging}");
}

static void what_a_profile_brings_is_not_doubled(void **state) {
    assert_names(device_of(state, "leak-1")->rule_alarms, "residual-current-alarm residual-current-warning");
    assert_written(device_of(state, "leak-1")->rule_alarms, "residual-current-alarm",
                   "{point: leak-1/residual-current, above: 300 mA, deadband: 30 mA, on_delay: 10s, class: electrical, priority: high, zh: "
                   "剩余电流过大, en: residual current too high, "
                   "rule_set: charging}");
    /* A user's role changes the limits of all loops. */
    assert_written(device_of(state, "leak-12")->rule_alarms, "residual-current-alarm-12",
                   "{point: leak-12/residual-current-12, above: 30 mA, deadband: 3 mA, on_delay: 1s, class: electrical, priority: high, zh: "
                   "第12路剩余电流过大, en: loop 12 residual current "
                   "too high, rule_set: charging}");
    assert_written(device_of(state, "leak-12")->rule_alarms, "residual-current-warning-3",
                   "{point: leak-12/residual-current-3, above: 20 mA, deadband: 2 mA, on_delay: 1s, class: electrical, priority: medium, "
                   "suppressed_by: leak-12/residual-current-alarm-3, "
                   "zh: 第3路剩余电流偏大, en: loop 3 residual current raised, rule_set: charging}");
    /* These keep what the profile says and only get remedy and basis. */
    assert_names(device_of(state, "smoke-1")->rule_alarms, "smoke-1 smoke-2 smoke-3 smoke-4 smoke-5 smoke-6 smoke-7 smoke-8");
    assert_written(
        device_of(state, "smoke-1")->rule_alarms, "smoke-8",
        "{point: smoke-1/smoke-8, is: alarm, of: [2, 2], latch: true, class: fire, priority: high, zh: 第8路烟感报警, en: smoke detector 8 "
        "alarm, rule_set: charging}");
    assert_non_null(node_get(listed(device_of(state, "smoke-1")->rule_alarms, "smoke-8"), "remedy"));
    assert_non_null(node_get(listed(device_of(state, "smoke-1")->rule_alarms, "smoke-8"), "confidence"));
    assert_names(device_of(state, "air-1")->rule_alarms, "heat-alarm heat-warning heat-rise");
    assert_written(
        device_of(state, "air-1")->rule_alarms, "heat-alarm",
        "{point: air-1/temperature, above: 57 °C, deadband: 2 °C, on_delay: 5s, latch: true, class: fire, priority: high, zh: 环境温度过高 "
        "可能起火, en: ambient temperature too high - possible fire, rule_set: charging}");
    assert_names(device_of(state, "cold-1")->rule_alarms, "too-warm thermometer-offline heat-alarm");
    assert_non_null(listed(device_of(state, "wire-1")->rule_alarms, "overheated-8"));
    assert_null(listed(device_of(state, "wire-1")->rule_alarms, "cable-hot-8"));
    assert_names(device_of(state, "gas-1")->rule_alarms, "gas-1 gas-2 gas-3 gas-4 gas-5 gas-6 gas-7 gas-8");
}

static void a_kitchen_is_watched_with_what_it_has(void **state) {
    const struct loader_device *fume = device_of(state, "fume-1"), *flow = device_of(state, "flow-3");
    assert_names(fume->rule_derived, "fume-mean fume-unchanged cleaning-days cleaning-hours");
    assert_names(fume->rule_alarms, "purifier-off purifier-off-warning fume-high fume-suspicious fume-without-fan fume-offline "
                                    "cleaning-due cleaning-due-hours");
    assert_written(fume->rule_alarms, "fume-high", /* it takes the place of the profile's, which knows no fan */
                   "{all: [{point: fume-1/fume-mean, above: 2.0 mg/m³, deadband: 0.2 mg/m³}, {point: fume-1/fan, is: on}], class: compliance, "
                   "priority: medium, zh: 油烟疑似超标 10 分钟平均高于 2.0 mg/m³, en: suspected fume exceedance - 10-minute mean above 2.0 mg/m³, "
                   "rule_set: kitchen}");
    assert_written(fume->rule_alarms, "purifier-off",
                   "{all: [{point: fume-1/fan, is: on}, {point: fume-1/purifier, is: off}], on_delay: 3min, class: compliance, priority: medium, "
                   "zh: 疑似未使用油烟净化设施 风机开而净化器关, en: purifier suspected unused - fan on and purifier off, rule_set: kitchen}");
    assert_written(
        fume->rule_alarms, "fume-suspicious",
        "{all: [{point: fume-1/fume-unchanged, above: 60 min}, {point: fume-1/fan, is: on, on_delay: 60min}, {open: kitchen}], class: fault, "
        "priority: medium, zh: 油烟读数疑似异常 风机开启一小时读数不变, en: fume reading suspicious - unchanged for an hour while the fan runs, "
        "rule_set: kitchen}");
    assert_written(
        fume->rule_alarms, "cleaning-due",
        "{point: fume-1/cleaning-days, class: maintenance, priority: medium, zh: 油烟净化设施清洗到期, en: cleaning of the fume purifier is due, "
        "above: 30 d, rule_set: kitchen}");
    /* With the air volume the converted value is judged, and inlet and outlet give the efficiency. */
    assert_names(flow->rule_derived, "fume-base fume-base-mean fume-unchanged cleaning-days cleaning-hours removal-efficiency");
    assert_written(flow->rule_derived, "fume-base", "{base_fume: [flow-3/fume, flow-3/flow], zh: 折算油烟浓度, en: converted fume}");
    assert_written(flow->rule_derived, "removal-efficiency",
                   "{efficiency: [flow-3/fume-inlet, flow-3/fume], zh: 油烟去除效率, en: removal efficiency}");
    assert_non_null(listed(flow->rule_alarms, "fume-exceeded"));
    assert_null(listed(flow->rule_alarms, "fume-exceeded-measured"));
    assert_null(listed(flow->rule_alarms, "removal-efficiency"));
}

static void fan_and_purifier_may_be_other_devices_of_the_place(void **state) {
    assert_written(device_of(state, "fan-2")->rule_derived, "fan", "{on_off: fan-2/current, on_above: 0.5 A, off_below: 0.3 A, zh: 风机, en: fan}");
    const struct loader_device *purifier = device_of(state, "pure-2"), *fume = device_of(state, "fume-2");
    assert_names(purifier->rule_alarms, "purifier-off purifier-off-warning");
    assert_non_null(strstr(node_get(listed(purifier->rule_alarms, "purifier-off"), "all")->first->first->text, "fan-2/fan"));
    assert_names(fume->rule_alarms, "fume-exceeded-measured fume-suspicious fume-without-fan fume-offline cleaning-due");
    assert_string_equal(node_get(listed(fume->rule_alarms, "cleaning-due"), "above")->text, "90 d"); /* stoves not told: the smallest kitchen */
    assert_names(device_of(state, "fan-2")->rule_derived, "fan cleaning-hours");
}

static void nothing_is_done_where_it_is_not_wanted(void **state) {
    assert_null(device_of(state, "free-1")->rule_alarms); /* rules: false */
    assert_null(device_of(state, "own-1")->rule_alarms);  /* no profile, so no kind */
    assert_null(device_of(state, "kw-1")->rule_alarms);   /* another unit */
    assert_null(device_of(state, "free-1")->rule_source);
}

static bool is_unwatched(void **state, const char *device, const char *place, const char *what, const char *missing) {
    const struct loader *loader = &((struct stage *)*state)->loader;
    for (uint16_t i = 0; i < loader->config->unwatched_count; i++) {
        const struct config_unwatched *gap = &loader->config->unwatched[i];
        if (strcmp(loader->places[gap->place].key, place) == 0 && strstr(gap->what_en, what) && strstr(gap->missing_en, missing) &&
            (gap->device == CONFIG_NONE ? !device : device && strcmp(loader->devices[gap->device].spec.name, device) == 0))
            return *gap->what_zh && *gap->missing_zh;
    }
    return false;
}

static void what_is_not_watched_is_told(void **state) {
    assert_true(is_unwatched(state, "bare-1", "shed", "overload of a branch", "rated_current"));
    assert_false(is_unwatched(state, "branch-3", "shed", "overload of a branch", ""));
    assert_true(is_unwatched(state, "kw-1", "shed", "power too high", "'power' has another unit"));
    assert_false(is_unwatched(state, NULL, "kitchen", "purifier off", "")); /* one of its monitors sees it */
    assert_true(is_unwatched(state, NULL, "cold", "smoke", "no smoke detector"));
    assert_true(is_unwatched(state, NULL, "plain", "converted", "stoves"));
    assert_true(is_unwatched(state, NULL, "plain", "combustible gas", "no gas detector"));
    assert_false(is_unwatched(state, NULL, "cold", "residual current", "")); /* optional in a cold store */
    assert_false(is_unwatched(state, NULL, "shed", "residual current of a branch", ""));
    assert_true(is_unwatched(state, NULL, "free", "ready rules", "rules: false"));
    assert_true(is_unwatched(state, "own-1", "shed", "ready rules", "no profile"));
    const struct stage *stage = *state;
    assert_true(stage->diagnostics.warnings >= 1); /* the unit is also a warning of check */
}

/* Every file of the tree: no error, every rule complete. */
static void every_rule_file_keeps_its_promises(void **state) {
    (void)state;
    unsigned rules = 0;
    struct stage *stage = stage_open(SITE, NULL, NULL);
    unsigned errors = stage->diagnostics.errors; /* of profiles that are not there */
    for (unsigned kind = 0; kind < PLACES; kind++) {
        struct rule_set set = {0};
        rule_set_read(&stage->loader, (enum place_kind)kind, &set);
        assert_non_null(set.rules);
        rules += set.rules->count;
        for (const struct node *rule = set.rules->first; rule; rule = rule->next)
            for (const struct node *other = rule->next; other; other = other->next)
                assert_string_not_equal(rule->key->text, other->key->text);
    }
    assert_int_equal(stage->diagnostics.errors, errors);
    assert_true(rules >= RULES_LEAST);
    stage_close(stage);
}

static void fume_is_only_ever_suspected(void **state) {
    (void)state;
    struct stage *stage = stage_open(SITE, NULL, NULL);
    struct rule_set set = {0};
    rule_set_read(&stage->loader, PLACE_KITCHEN, &set);
    unsigned told = 0;
    for (const struct node *rule = set.rules->first; rule; rule = rule->next) {
        const struct node *alarm = node_get(rule, "alarm"), *class = node_get(alarm, "class");
        if (!class || strcmp(class->text, "compliance") != 0)
            continue;
        told++;
        assert_non_null(strstr(node_get(alarm, "zh")->text, "疑似"));
        assert_non_null(strstr(node_get(alarm, "en")->text, "suspected"));
    }
    assert_int_equal(told, 4);
    stage_close(stage);
}

static void a_wrong_file_is_told_with_its_places(void **state) {
    (void)state;
    static const char *const expected[] = {
        "kitchen.yaml:1:8: error: the rules are for 'charging', but their file is kitchen.yaml",
        "kitchen.yaml:3:71: error: 'current' is not among the points that the rule needs",
        "kitchen.yaml:4:3: error: 'loop-a' is computed from itself",
        "kitchen.yaml:6:56: error: 'point' must be a map",
        "kitchen.yaml:7:41: error: 'fu*me' must be the name of a point",
        "kitchen.yaml:7:66: error: 'fume' is not among the points that the rule needs",
        "kitchen.yaml:12:5: error: the alarm of a ready rule needs 'remedy'",
        "kitchen.yaml:12:99: error: 'basis' must be {zh: ..., en: ...}",
        "kitchen.yaml:15:21: error: 'devices' is 'fumes', but must be",
        "kitchen.yaml:16:34: error: 'fan' is not among the points that the rule needs",
        "kitchen.yaml:16:66: error: there is no rule 'nobody' in this file",
        "kitchen.yaml:21:18: error: 'name' is 'fume high', but must be",
        "kitchen.yaml:22:5: error: unknown key 'sure'",
    };
    struct stage *stage = stage_open(SITE, TESTS_DIR "/vectors/rules/profiles", PROFILES);
    unsigned before = stage->diagnostics.errors;
    struct rule_set set = {0};
    stage->loader.profiles_dirs[0] = TESTS_DIR "/vectors/rules/wrong";
    rule_set_read(&stage->loader, PLACE_KITCHEN, &set);
    assert_null(set.rules); /* a wrong file brings nothing */
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    diagnostics_print(&stage->diagnostics, memory);
    fclose(memory);
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++)
        if (!strstr(text, expected[i]))
            fail_msg("'%s' is not in\n%s", expected[i], text);
    assert_true(stage->diagnostics.errors - before >= ARRAY_COUNT(expected));
    free(text);
    stage_close(stage);
}

/* A rule file of any bytes is an answer or messages, never an end: what is taken from it has been checked before. */
static void no_bytes_bring_it_down(void **state) {
    (void)state;
    static const char *const pieces[] = {"point", "needs",         "{",     "}",      "[",   "]",   ", ", ": ", "\n",
                                         "*",     "suppressed_by", "not: ", "remedy", "for", "fan", "''"};
    static char bytes[MUTANT_SIZE], mutant[2 * MUTANT_SIZE];
    char folder[] = "/tmp/yanhuo-rules-XXXXXX", below[64], path[96];
    struct prng prng;
    unsigned taken = 0;
    FILE *file = fopen(SOURCE_DIR "/config/rules/kitchen.yaml", "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_true(size > 1000 && size < sizeof(bytes));
    assert_non_null(mkdtemp(folder));
    snprintf(below, sizeof(below), "%s/rules", folder);
    snprintf(path, sizeof(path), "%s/kitchen.yaml", below);
    assert_int_equal(mkdir(below, 0700), 0);
    prng_init(&prng, 4);
    for (unsigned run = 0; run < MUTATIONS; run++) {
        size_t at = prng_below(&prng, size), cut = prng_below(&prng, 12);
        const char *piece = pieces[prng_below(&prng, ARRAY_COUNT(pieces))];
        cut = at + cut > size ? size - at : cut;
        memcpy(mutant, bytes, at);
        size_t length = at + strlen(piece);
        memcpy(mutant + at, piece, strlen(piece));
        memcpy(mutant + length, bytes + at + cut, size - at - cut);
        file = fopen(path, "wb");
        assert_int_equal(fwrite(mutant, 1, length + size - at - cut, file), length + size - at - cut);
        fclose(file);
        struct stage *stage = stage_open(SITE, folder, TESTS_DIR "/vectors/rules/profiles");
        for (uint16_t i = 0; i < stage->loader.config->devices_count; i++)
            taken += stage->loader.devices_more[i].rule_source != NULL;
        stage_close(stage);
    }
    assert_true(taken > 0);
    remove(path);
    rmdir(below);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_socket_gets_the_rules_of_a_socket, open_site, close_site),
        cmocka_unit_test_setup_teardown(a_branch_gets_an_alarm_for_each_phase, open_site, close_site),
        cmocka_unit_test_setup_teardown(what_a_profile_brings_is_not_doubled, open_site, close_site),
        cmocka_unit_test_setup_teardown(a_kitchen_is_watched_with_what_it_has, open_site, close_site),
        cmocka_unit_test_setup_teardown(fan_and_purifier_may_be_other_devices_of_the_place, open_site, close_site),
        cmocka_unit_test_setup_teardown(nothing_is_done_where_it_is_not_wanted, open_site, close_site),
        cmocka_unit_test_setup_teardown(what_is_not_watched_is_told, open_site, close_site),
        cmocka_unit_test(every_rule_file_keeps_its_promises),
        cmocka_unit_test(fume_is_only_ever_suspected),
        cmocka_unit_test(a_wrong_file_is_told_with_its_places),
        cmocka_unit_test(no_bytes_bring_it_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
