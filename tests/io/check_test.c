/* SPDX-License-Identifier: Apache-2.0 */
/* The commands about the configuration as a person calls them: what they print and with which status they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "printed.h"

#define GOOD TESTS_DIR "/vectors/config/good/site.yaml"
#define WRONG TESTS_DIR "/vectors/config/alarm-unit.yaml --profiles " TESTS_DIR "/vectors/config/profiles"


static void check_tells_what_a_site_costs(void **state) {
    (void)state;
    assert_int_equal(printed_run("check -c " GOOD), 0);
    printed_has("site-01: 2 places, 3 buses, 4 devices, 20 points, 14 alarms, 3 actions, 2 uplinks\n");
    printed_has("  bus line ");
    printed_has("at worst, with so many devices newly silent:           0           1           3\n");
    printed_has("    seen    meter-1/leakage ");
    printed_has("    written cut ");
    printed_has("  uplink city ");
    printed_has(" MB a month");
    printed_has("  store ");
    printed_has("; the card lasts about ");
    printed_has("needs up to ");
    printed_has("0 errors, 1 warning\n");
}

static void check_fails_on_errors(void **state) {
    (void)state;
    assert_int_equal(printed_run("check --config " WRONG), 2);
    printed_has("alarm-unit.yaml:9:32: error: 'above' is '9' without a unit; the point 'current' is in A: write '9 A'\n");
    printed_has("4 errors, 0 warnings\n");
    assert_null(strstr(printed, "MB a month"));
    assert_int_equal(printed_run("check -c /no/such/file"), 2);
    printed_has("/no/such/file: error: cannot be read: No such file or directory\n");
}

/* The first site asks for a terabyte, and /dev/shm has less; the second one fits everywhere. */
static void check_refuses_a_disk_that_is_too_small(void **state) {
    (void)state;
    assert_int_equal(printed_run("check -s /dev/shm -c " TESTS_DIR "/vectors/config/good/large-store.yaml"), 2);
    printed_has("/dev/shm: error: its disk has room for ");
    printed_has("are needed; use a larger one");
    printed_has("1 error, ");
    assert_int_equal(printed_run("check -s /no/such/folder -c " GOOD), 2);
    assert_int_equal(printed_run("check -s /tmp -c " GOOD), 0);
}

static void a_wrong_call_tells_the_right_one(void **state) {
    (void)state;
    static const char *const calls[] = {"check", "check -c", "check -c a b", "check --nonsense", "explain a b", "explain --nonsense", "schema x"};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        assert_int_equal(printed_run("%s", calls[i]), 2);
        printed_has("usage: yanhuo ");
    }
}

static void checklist_tells_one_place(void **state) {
    (void)state;
    assert_int_equal(printed_run("checklist -c " GOOD " --lang en"), 0);
    printed_has("must-check list: ");
    printed_has("NOT watched, because something is missing\n");
    printed_has("NOT watched, because this site removed it\n  ! leak  [meter-2/leak]\n");
    assert_null(strstr(printed, "必查清单"));
    assert_int_equal(printed_run("checklist -c " GOOD " --place kitchen"), 0);
    printed_has("必查清单  must-check list: ");
    printed_has("本网关是消防报警系统的补充");
    assert_null(strstr(printed, "charging"));
    assert_int_equal(printed_run("checklist -c " GOOD " --place kitchn"), 2);
    printed_has("there is no place 'kitchn' (did you mean 'kitchen'?); what exists stands under 'places:'\n");
    assert_int_equal(printed_run("checklist -c " WRONG), 2);
    printed_has("error: 'above' is '9' without a unit");
    assert_int_equal(printed_run("checklist -c " GOOD " --lang de"), 2);
    printed_has("usage: yanhuo checklist ");
}

/* The list of commands promises it: help that was asked for goes to stdout and is no error. */
static void each_command_has_its_help(void **state) {
    (void)state;
    static const char *const commands[] = {"run", "check", "checklist", "explain", "schema", "simulate", "scan", "probe", "assign", "sniff"};
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char arguments[64], usage[64];
        snprintf(arguments, sizeof(arguments), "%s --help 2>/dev/null", commands[i]);
        snprintf(usage, sizeof(usage), "usage: yanhuo %s ", commands[i]);
        assert_int_equal(printed_run("%s", arguments), 0);
        printed_has(usage);
    }
}

static void explain_and_schema_print_the_table(void **state) {
    (void)state;
    assert_int_equal(printed_run("explain 'uplinks.*.readings.batch'"), 0);
    printed_has("default 5s");
    assert_int_equal(printed_run("explain"), 0);
    printed_has("devices.*.unit_id ");
    assert_int_equal(printed_run("explain devices.x.unit_i"), 2);
    printed_has("did you mean 'unit_id'?");
    assert_int_equal(printed_run("schema"), 0);
    printed_has("https://json-schema.org/draft/2020-12/schema");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_tells_what_a_site_costs),      cmocka_unit_test(check_fails_on_errors),
        cmocka_unit_test(checklist_tells_one_place),
        cmocka_unit_test(check_refuses_a_disk_that_is_too_small),
        cmocka_unit_test(a_wrong_call_tells_the_right_one),   cmocka_unit_test(each_command_has_its_help),
        cmocka_unit_test(explain_and_schema_print_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
