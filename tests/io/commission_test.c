/* SPDX-License-Identifier: Apache-2.0 */
/* scan, probe, assign and sniff as a person calls them, against devices of the test's own on a pty, and against the simulator
 * over TCP: what they print, what they write, and with which status they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "fake_field.h"
#include "fake_slave.h"
#include "printed.h"


static struct fake_field field;

/* A temperature and humidity transmitter: 65.8 %, -10.1 °C, 4800 baud, unit id 1. */
static struct fake_field_device *add_transmitter(void) {
    struct fake_field_device *device = &field.devices[field.devices_count++];
    *device = (struct fake_field_device){.unit_id = 1,
                                         .speed = B4800,
                                         .turnaround_ms = 2,
                                         .registers = {0x0292, 0xFF9B, [0x7D0] = 1, [0x7D1] = 1},
                                         .count = 2,
                                         .address_register = 0x7D0,
                                         .baud_register = 0x7D1,
                                         .speeds = {B2400, B4800, B9600, B9600, B9600, B9600, B9600, B9600}};
    return device;
}

static int begin(void **state) {
    (void)state;
    memset(&field, 0, sizeof(field));
    return 0;
}

static int finish(void **state) {
    (void)state;
    fake_field_stop(&field);
    return 0;
}

static void scan_finds_a_device_at_another_speed(void **state) {
    (void)state;
    add_transmitter()->identifies = true;
    fake_field_start(&field);
    assert_int_equal(printed_run("scan %s --baud 9600,4800 --units 1-3", field.path), 0);
    printed_has("4800 8N1     unit   1   answers within");
    printed_has_not("9600 8N1     unit");
    printed_has("renke-rs-ws-n01");
    printed_has("65.8 %, temperature -10.1 °C");
    printed_has("says of itself: Acme X-1");
    printed_has("1 device found");
    printed_has("buses:\n  line: {serial: ");
    printed_has(", baud: 4800, parity: none}\ndevices:\n");
    printed_has(", bus: line, unit_id: 1}\n");
    assert_null(strchr(printed, '\r')); /* no bar where nobody looks */
}

static void scan_tells_speeds_apart(void **state) {
    (void)state;
    (void)add_transmitter();
    add_transmitter()->speed = B9600;
    fake_field_start(&field);
    assert_int_equal(printed_run("scan %s --baud 9600,4800 --units 1", field.path), 0);
    printed_has("2 devices found");
    printed_has("line-9600: {");
    printed_has("line-4800: {");
    printed_has("A line has one speed, but these devices have 2.");
}

static void scan_finds_a_slow_device(void **state) {
    (void)state;
    struct fake_field_device *device = add_transmitter();
    device->turnaround_ms = 150;
    device->registers[0x7D0] = 4;
    device->unit_id = 4;
    fake_field_start(&field);
    assert_int_equal(printed_run("scan %s --baud 4800 --units 1-8", field.path), 0);
    printed_has("unit   4   answers within");
    printed_has("1 device found");
}

static void scan_tells_of_two_devices_at_one_unit_id(void **state) {
    (void)state;
    (void)add_transmitter();
    add_transmitter()->registers[0] = 0x0131;
    fake_field_start(&field);
    assert_int_equal(printed_run("scan %s --baud 4800 --units 1-2", field.path), 0);
    printed_has("unit   1   several devices answer, or the line is bad\n      connect them one at a time");
    printed_has("0 devices found");
}

static void scan_of_an_empty_line_says_what_to_look_at(void **state) {
    (void)state;
    fake_field_start(&field);
    assert_int_equal(printed_run("scan %s --baud 19200 --units 1-3 --timeout 10", field.path), 1);
    printed_has("0 devices found");
    printed_has("A and B not swapped");
}

/* Starts it, waits for a line that has `part`, interrupts it. */
static int run_interrupted(const char *part, char *const arguments[]) {
    int out[2], status;
    size_t size = 0;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        execv(PROGRAM, arguments);
        _exit(127);
    }
    close(out[1]);
    bool sent = false;
    for (ssize_t got; (got = read(out[0], printed + size, sizeof(printed) - 1 - size)) > 0;) {
        size += (size_t)got;
        printed[size] = '\0';
        if (!sent && strstr(printed, part)) {
            kill(pid, SIGINT);
            sent = true;
        }
    }
    close(out[0]);
    assert_true(sent);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void scan_interrupted_shows_what_was_found(void **state) {
    (void)state;
    char *arguments[] = {PROGRAM, "scan", field.path, "--baud", "4800", "--timeout", "300", NULL};
    (void)add_transmitter();
    fake_field_start(&field);
    assert_int_equal(run_interrupted("answers within", arguments), 0);
    printed_has("Ended early. 1 device found");
    printed_has("devices:\n");
}

static void probe_shows_every_reading(void **state) {
    (void)state;
    (void)add_transmitter();
    fake_field_start(&field);
    assert_int_equal(printed_run("probe %s 1 1 --baud 4800", field.path), 0);
    printed_has("holding register 1 (0x0001), answered after");
    printed_has(" address  0 (0x0000)             1 (0x0001) <-          2 (0x0002)\n");
    printed_has(" u16      658 *                  65435\n");
    printed_has(" s16                             -101 *\n");
    printed_has("not there");
    for (const char *line = printed; *line; line += strcspn(line, "\n") + (line[strcspn(line, "\n")] != '\0'))
        assert_true(strcspn(line, "\n") <= 120);
    assert_int_equal(printed_run("probe %s 1 40001 --baud 4800 --read holding", field.path), 1);
    printed_has("exception 2: illegal data address");
    printed_has("ask for address 0");
    assert_int_equal(printed_run("probe %s 9 0 --baud 4800 --timeout 50", field.path), 1);
    printed_has("no answer");
    printed_has("yanhuo scan");
}

static void assign_changes_unit_id_and_speed(void **state) {
    (void)state;
    (void)add_transmitter();
    fake_field_start(&field);
    assert_int_equal(printed_run("assign %s --profile renke-rs-ws-n01 --to 11 --baud 9600 --yes", field.path), 0);
    printed_has("Found: unit 1 at 4800 8N1\n");
    printed_has("Done: unit 11 at 9600 8N1: humidity 65.8 %, temperature -10.1 °C");
    printed_has("renke-rs-ws-n01-11: {profile: renke-rs-ws-n01, bus: line, unit_id: 11}\n");
    assert_int_equal(field.devices[0].unit_id, 11);
    assert_int_equal(field.devices[0].speed, B9600);
    assert_int_equal(printed_run("assign %s --profile renke-rs-ws-n01 --to 12 --from 11 --at-baud 9600 --yes", field.path), 0);
    assert_int_equal(field.devices[0].unit_id, 12);
    assert_int_equal(field.devices[0].speed, B9600); /* not asked for */
}

static void assign_searches_a_device_that_is_not_at_factory_settings(void **state) {
    (void)state;
    struct fake_field_device *device = add_transmitter();
    device->unit_id = 5;
    device->registers[0x7D0] = 5;
    device->speed = B9600;
    fake_field_start(&field);
    assert_int_equal(printed_run("assign %s --profile renke-rs-ws-n01 --to 11 --yes", field.path), 0);
    printed_has("Found: unit 5 at 9600 8N1\n");
    assert_int_equal(device->unit_id, 11);
}

static void assign_refuses_what_would_do_harm(void **state) {
    (void)state;
    struct fake_field_device *other = (add_transmitter(), add_transmitter());
    other->registers[0] = 0x0131;
    fake_field_start(&field);
    assert_int_equal(printed_run("assign %s --profile renke-rs-ws-n01 --to 11 --yes", field.path), 1);
    printed_has("two or more devices answer as unit 1 at 4800 8N1");
    other->unit_id = 11;
    assert_int_equal(printed_run("assign %s --profile renke-rs-ws-n01 --to 11 --yes", field.path), 1);
    printed_has("unit 11 at 4800 8N1 is taken");
    assert_int_equal(printed_run("assign %s --profile eletechsup-r4dcb08 --to 12 --from 1 --at-baud 4800 --yes", field.path), 1);
    printed_has("is no eletechsup-r4dcb08");
    assert_int_equal(printed_run("assign %s --profile eastron-sdm230 --to 12 --yes", field.path), 1);
    printed_has("names no register for the unit id");
    printed_has("DIP");
    assert_int_equal(printed_run("assign %s --profile renke-rs-ws-n01 --to 12 --baud 115200 --yes", field.path), 1);
    printed_has("cannot be set to 115200 baud: it knows 2400, 4800, 9600\n");
    assert_int_equal(printed_run("assign %s --profile renke-rs-ws-n01 --to 12", field.path), 2);
    printed_has("a script says --yes");
    assert_int_equal(atomic_load(&field.writes), 0);
}

static void assign_tells_of_a_device_that_wants_its_power_switched(void **state) {
    (void)state;
    add_transmitter()->at_next_start = true;
    fake_field_start(&field);
    assert_int_equal(printed_run("assign %s --profile renke-rs-ws-n01 --to 11 --yes", field.path), 1);
    printed_has("but keeps the new unit id: it takes it at its next start");
    printed_has("Switch the device's power off and on");
}

static void assign_ends_when_the_device_refuses(void **state) {
    (void)state;
    add_transmitter()->address_register = 0; /* there is none to write */
    fake_field_start(&field);
    assert_int_equal(printed_run("assign %s --profile renke-rs-ws-n01 --to 11 --baud 9600 --yes", field.path), 1);
    printed_has("the device refused to write register 0x07D0: exception 2, illegal data address");
    printed_has_not("power");
    assert_int_equal(atomic_load(&field.writes), 0);
}

static void sniff_tells_the_traffic_and_never_sends(void **state) {
    (void)state;
    static const uint8_t request[] = {1, 3, 0, 0, 0, 2, 0xC4, 0x0B}, reply[] = {1, 3, 4, 2, 0x92, 0xFF, 0x9B, 0x5A, 0x3D};
    char line[1024];
    fake_field_start(&field);
    snprintf(line, sizeof(line), "%s sniff %s --for 2 2>&1", PROGRAM, field.path);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(printed, sizeof(printed), pipe)); /* the head of the table: it listens */
    fake_pause_ms(100);
    assert_int_equal(write(field.fd, request, sizeof(request)), sizeof(request));
    fake_pause_ms(20);
    assert_int_equal(write(field.fd, reply, sizeof(reply)), sizeof(reply));
    fake_pause_ms(100);
    assert_int_equal(write(field.fd, request, sizeof(request)), sizeof(request));
    size_t length = fread(printed, 1, sizeof(printed) - 1, pipe);
    printed[length] = '\0';
    assert_int_equal(WEXITSTATUS(pclose(pipe)), 0);
    printed_has("   1  read holding 0x0000 x2 ");
    printed_has("  0292 FF9B\n");
    printed_has("2 requests: 1 answered");
    assert_int_equal(atomic_load(&field.bytes_heard), 0);
    assert_int_equal(printed_run("sniff tcp:127.0.0.1:502"), 2);
}

static void a_port_in_use_names_who_has_it(void **state) {
    (void)state;
    char own[64];
    fake_field_start(&field);
    int fd = open(field.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    snprintf(own, sizeof(own), "(process %ld)", (long)getpid());
    assert_int_equal(printed_run("scan %s", field.path), 1);
    printed_has("it is locked\n  It is in use by ");
    printed_has(own);
    close(fd);
    assert_int_equal(printed_run("probe /dev/no-such-port 1 0"), 1);
    printed_has("No such file or directory\n  is the adapter plugged in?");
    assert_int_equal(printed_run("probe /dev/null 1 0"), 1);
    printed_has("this is not a serial port");
}

static void a_wrong_call_tells_the_right_one(void **state) {
    (void)state;
    static const char *const usage[] = {"scan", "scan a b", "probe a 1", "assign a --to 1", "sniff", "scan a --nonsense", "assign a --profile x"};
    static const char *const wrong[][2] = {
        {"scan a --units 9-3", "--units is '9-3'; expected a range"},  {"scan a --baud fast", "--baud is 'fast'; expected a whole number from 300"},
        {"scan a --parity mark", "--parity is 'mark'; expected none"}, {"probe a 300 1", "UNIT_ID is '300'; expected a whole number from 0 to 255"},
        {"probe a 1 1 --read x", "--read is 'x'; expected holding"},   {"assign a --profile no-such --to 3 --yes", "there is no profile 'no-such'"},
        {"assign a --profile x --to 0", "--to is '0'; expected"},      {"scan tcp:", "is no endpoint"},
    };
    fake_field_start(&field);
    for (size_t i = 0; i < ARRAY_COUNT(usage); i++) {
        assert_int_equal(printed_run("%s", usage[i]), 2);
        printed_has("usage: yanhuo ");
    }
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_int_equal(printed_run("%s", wrong[i][0]), 2);
        printed_has(wrong[i][1]);
    }
    assert_int_equal(printed_run("scan --help"), 0);
}

static void a_network_is_scanned_and_probed(void **state) {
    (void)state;
    struct fake_slave slave;
    fake_field_start(&field);
    fake_slave_tcp(&slave, 0, false, fake_good);
    assert_int_equal(printed_run("probe tcp:127.0.0.1:%u 1 7", slave.port), 0);
    printed_has(" hex      1006                   1007                   1008\n");
    assert_int_equal(printed_run("scan tcp:127.0.0.1:%u --units 1-40", slave.port), 0);
    printed_has("It answers at every unit id");
    printed_has("1 device found");
    printed_has("line: {tcp: \"127.0.0.1:");
    fake_slave_stop(&slave);
    fake_slave_tcp(&slave, 0, true, fake_good);
    assert_int_equal(printed_run("probe rtu_over_tcp:127.0.0.1:%u 1 7 --count 2", slave.port), 0);
    printed_has("1007");
    uint16_t port = slave.port;
    fake_slave_stop(&slave);
    assert_int_equal(printed_run("probe tcp:127.0.0.1:%u 1 7", port), 1);
    printed_has("Connection refused\n  the host is there, but nothing listens");
}

static void the_simulator_is_scanned(void **state) {
    (void)state;
    char folder[] = "/tmp/yanhuo-commission-XXXXXX", line[512];
    fake_field_start(&field);
    assert_non_null(mkdtemp(folder));
    snprintf(line, sizeof(line), "%s/site.yaml", folder);
    FILE *file = fopen(line, "w");
    assert_non_null(file);
    fprintf(file,
            "gateway: {id: t}\nbuses: {line: {serial: %s/line, baud: 9600}}\ndevices:\n  meter: {profile: eastron-sdm120, bus: line, unit_id: 12}\n"
            "uplinks: {city: {mqtt: \"mqtt://127.0.0.1:1\"}}\n",
            folder);
    fclose(file);
    snprintf(line, sizeof(line), "exec %s simulate %s/site.yaml --still >%s/log 2>&1", PROGRAM, folder, folder);
    FILE *simulator = popen(line, "w"); /* ends with its input's `quit` */
    assert_non_null(simulator);
    for (unsigned i = 0; i < 500; i++) {
        snprintf(line, sizeof(line), "%s/line", folder);
        if (access(line, F_OK) == 0)
            break;
        fake_pause_ms(10);
    }
    assert_int_equal(printed_run("scan %s/line --baud 9600 --units 10-14", folder), 0);
    printed_has("unit  12   answers within");
    printed_has("fits eastron-sdm120: voltage ");
    printed_has("eastron-sdm120-12: {profile: eastron-sdm120, bus: line, unit_id: 12}\n");
    fputs("quit\n", simulator);
    assert_int_equal(pclose(simulator), 0);
    snprintf(line, sizeof(line), "rm -r %s", folder);
    assert_int_equal(system(line), 0);
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scan_finds_a_device_at_another_speed, begin, finish),
        cmocka_unit_test_setup_teardown(scan_tells_speeds_apart, begin, finish),
        cmocka_unit_test_setup_teardown(scan_finds_a_slow_device, begin, finish),
        cmocka_unit_test_setup_teardown(scan_tells_of_two_devices_at_one_unit_id, begin, finish),
        cmocka_unit_test_setup_teardown(scan_of_an_empty_line_says_what_to_look_at, begin, finish),
        cmocka_unit_test_setup_teardown(scan_interrupted_shows_what_was_found, begin, finish),
        cmocka_unit_test_setup_teardown(probe_shows_every_reading, begin, finish),
        cmocka_unit_test_setup_teardown(assign_changes_unit_id_and_speed, begin, finish),
        cmocka_unit_test_setup_teardown(assign_searches_a_device_that_is_not_at_factory_settings, begin, finish),
        cmocka_unit_test_setup_teardown(assign_refuses_what_would_do_harm, begin, finish),
        cmocka_unit_test_setup_teardown(assign_tells_of_a_device_that_wants_its_power_switched, begin, finish),
        cmocka_unit_test_setup_teardown(assign_ends_when_the_device_refuses, begin, finish),
        cmocka_unit_test_setup_teardown(sniff_tells_the_traffic_and_never_sends, begin, finish),
        cmocka_unit_test_setup_teardown(a_port_in_use_names_who_has_it, begin, finish),
        cmocka_unit_test_setup_teardown(a_wrong_call_tells_the_right_one, begin, finish),
        cmocka_unit_test_setup_teardown(a_network_is_scanned_and_probed, begin, finish),
        cmocka_unit_test_setup_teardown(the_simulator_is_scanned, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
