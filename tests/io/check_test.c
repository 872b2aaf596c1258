/* SPDX-License-Identifier: Apache-2.0 */
/* The commands about the configuration as a person calls them: what they print and with which status they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define GOOD TESTS_DIR "/vectors/config/good/site.yaml"
#define WRONG TESTS_DIR "/vectors/config/alarm-unit.yaml --profiles " TESTS_DIR "/vectors/config/profiles"
#define PRINTED_SIZE 262144

static char printed[PRINTED_SIZE];

/* Runs the program and returns its exit status; what it printed, errors included, is in `printed`. */
static int run(const char *arguments) {
    char line[4096];
    snprintf(line, sizeof(line), "%s %s 2>&1", PROGRAM, arguments);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t length = fread(printed, 1, sizeof(printed) - 1, pipe);
    printed[length] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_printed(const char *part) {
    if (!strstr(printed, part))
        fail_msg("'%s' is not in: %s", part, printed);
}

static void check_tells_what_a_site_costs(void **state) {
    (void)state;
    assert_int_equal(run("check -c " GOOD), 0);
    assert_printed("site-01: 2 places, 3 buses, 4 devices, 20 points, 14 alarms, 3 actions, 2 uplinks\n");
    assert_printed("  bus line ");
    assert_printed("at worst, with so many devices newly silent:           0           1           3\n");
    assert_printed("    seen    meter-1/leakage ");
    assert_printed("    written cut ");
    assert_printed("  uplink city ");
    assert_printed(" MB a month");
    assert_printed("  store ");
    assert_printed("; the card lasts about ");
    assert_printed("needs up to ");
    assert_printed("0 errors, 1 warning\n");
}

static void check_fails_on_errors(void **state) {
    (void)state;
    assert_int_equal(run("check --config " WRONG), 2);
    assert_printed("alarm-unit.yaml:9:32: error: 'above' is '9' without a unit; the point 'current' is in A: write '9 A'\n");
    assert_printed("4 errors, 0 warnings\n");
    assert_null(strstr(printed, "MB a month"));
    assert_int_equal(run("check -c /no/such/file"), 2);
    assert_printed("/no/such/file: error: cannot be read: No such file or directory\n");
}

/* The first site asks for a terabyte, and /dev/shm has less; the second one fits everywhere. */
static void check_refuses_a_disk_that_is_too_small(void **state) {
    (void)state;
    assert_int_equal(run("check -s /dev/shm -c " TESTS_DIR "/vectors/config/good/large-store.yaml"), 2);
    assert_printed("/dev/shm: error: its disk has room for ");
    assert_printed("are needed; use a larger one");
    assert_printed("1 error, ");
    assert_int_equal(run("check -s /no/such/folder -c " GOOD), 2);
    assert_int_equal(run("check -s /tmp -c " GOOD), 0);
}

static void a_wrong_call_tells_the_right_one(void **state) {
    (void)state;
    static const char *const calls[] = {"check", "check -c", "check -c a b", "check --nonsense", "explain a b", "explain --nonsense", "schema x"};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        assert_int_equal(run(calls[i]), 2);
        assert_printed("usage: yanhuo ");
    }
}

static void checklist_tells_one_place(void **state) {
    (void)state;
    assert_int_equal(run("checklist -c " GOOD " --lang en"), 0);
    assert_printed("must-check list: ");
    assert_printed("NOT watched, because something is missing\n");
    assert_printed("NOT watched, because this site removed it\n  ! leak  [meter-2/leak]\n");
    assert_null(strstr(printed, "必查清单"));
    assert_int_equal(run("checklist -c " GOOD " --place kitchen"), 0);
    assert_printed("必查清单  must-check list: ");
    assert_printed("本网关是消防报警系统的补充");
    assert_null(strstr(printed, "charging"));
    assert_int_equal(run("checklist -c " GOOD " --place kitchn"), 2);
    assert_printed("there is no place 'kitchn' (did you mean 'kitchen'?); what exists stands under 'places:'\n");
    assert_int_equal(run("checklist -c " WRONG), 2);
    assert_printed("error: 'above' is '9' without a unit");
    assert_int_equal(run("checklist -c " GOOD " --lang de"), 2);
    assert_printed("usage: yanhuo checklist ");
}

/* The list of commands promises it: help that was asked for goes to stdout and is no error. */
static void each_command_has_its_help(void **state) {
    (void)state;
    static const char *const commands[] = {"run", "check", "checklist", "explain", "schema", "simulate", "scan", "probe", "assign", "sniff"};
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char arguments[64], usage[64];
        snprintf(arguments, sizeof(arguments), "%s --help 2>/dev/null", commands[i]);
        snprintf(usage, sizeof(usage), "usage: yanhuo %s ", commands[i]);
        assert_int_equal(run(arguments), 0);
        assert_printed(usage);
    }
}

static void explain_and_schema_print_the_table(void **state) {
    (void)state;
    assert_int_equal(run("explain 'uplinks.*.readings.batch'"), 0);
    assert_printed("default 5s");
    assert_int_equal(run("explain"), 0);
    assert_printed("devices.*.unit_id ");
    assert_int_equal(run("explain devices.x.unit_i"), 2);
    assert_printed("did you mean 'unit_id'?");
    assert_int_equal(run("schema"), 0);
    assert_printed("https://json-schema.org/draft/2020-12/schema");
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
