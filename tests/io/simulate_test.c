/* SPDX-License-Identifier: Apache-2.0 */
/* The real program, driven as a gateway and a person would: raw frames over TCP and over a pseudo terminal, commands on its
 * standard input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/now.h"
#include "field_program.h"

#define COMMANDS "set, get, unplug, plug, unplug-bus, plug-bus, delay, fault, clear, fault-bus, clear-bus, report, recount, quit"

static const uint8_t read_current[] = {4, 0, 0, 0, 1}, switch_off[] = {5, 0, 0, 0, 0};

static void tcp_answers_are_exact(void **state) {
    struct field_program *program = *state;
    int fd = field_dial(program);
    static const uint8_t ask[] = {0x12, 0x34, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2}, told[] = {0x12, 0x34, 0, 0, 0, 7, 1, 3, 4, 0, 42, 0, 0};
    static const uint8_t wrong[] = {0, 1, 0, 0, 0, 6, 1, 3, 0, 1, 0, 2}, exception[] = {0, 1, 0, 0, 0, 3, 1, 0x83, 2};
    static const uint8_t nobody[] = {0, 2, 0, 0, 0, 6, 9, 3, 0, 0, 0, 1};
    static const uint8_t set[] = {0, 3, 0, 0, 0, 6, 1, 6, 0, 1, 1, 1}, no_modbus[] = {0, 4, 0, 1, 0, 6, 1, 3, 0, 0, 0, 1};
    field_command(program, "set fume/level 42", "ok");
    field_say(fd, ask, sizeof(ask));
    field_expect_reply(fd, told, sizeof(told));
    field_say(fd, wrong, sizeof(wrong));
    field_expect_reply(fd, exception, sizeof(exception));
    field_say(fd, nobody, sizeof(nobody));
    field_expect_silence(fd);
    field_say(fd, set, sizeof(set));
    field_expect_reply(fd, set, sizeof(set));
    field_expect_line(program, "written fume/limit 257");
    field_command(program, "set fume/limit 0", "ok");
    for (size_t i = 0; i < sizeof(ask); i++) /* a byte at a time */
        field_say(fd, &ask[i], 1);
    field_expect_reply(fd, told, sizeof(told));
    uint8_t two[2 * sizeof(ask)]; /* two at once, answered in order */
    memcpy(two, ask, sizeof(ask));
    memcpy(two + sizeof(ask), wrong, sizeof(wrong));
    field_say(fd, two, sizeof(two));
    field_expect_reply(fd, told, sizeof(told));
    field_expect_reply(fd, exception, sizeof(exception));
    field_say(fd, no_modbus, sizeof(no_modbus));
    uint8_t byte;
    assert_int_equal(field_receive(fd, &byte, 1, FIELD_DEADLINE_US / 1000), 0); /* closed */
    close(fd);
}

static void a_write_is_told_and_shows(void **state) {
    struct field_program *program = *state;
    uint8_t frame[FRAME_SIZE];
    int fd = field_open_line(program);
    field_command(program, "get relay/out", "ok on");
    size_t size = field_rtu(8, switch_off, sizeof(switch_off), frame);
    field_say(fd, frame, size);
    field_expect_reply(fd, frame, size);
    field_expect_line(program, "written relay/out off");
    field_command(program, "get relay/out", "ok off");
    close(fd);
}

static void devices_and_buses_are_unplugged_and_plugged(void **state) {
    struct field_program *program = *state;
    uint8_t frame[FRAME_SIZE], reply[FRAME_SIZE];
    struct stat about;
    size_t size = field_rtu(7, read_current, sizeof(read_current), frame);
    int fd = field_open_line(program);
    field_command(program, "unplug meter", "ok");
    field_say(fd, frame, size);
    field_expect_silence(fd);
    field_command(program, "plug meter", "ok");
    field_say(fd, frame, size);
    assert_int_equal(field_receive(fd, reply, 7, FIELD_DEADLINE_US / 1000), 7);
    field_command(program, "unplug-bus line", "ok");
    assert_int_not_equal(lstat(program->link, &about), 0);
    assert_int_equal(field_receive(fd, reply, 1, FIELD_DEADLINE_US / 1000), 0); /* hung up */
    close(fd);
    field_command(program, "plug-bus line", "ok");
    fd = field_open_line(program);
    field_say(fd, frame, size);
    assert_int_equal(field_receive(fd, reply, 7, FIELD_DEADLINE_US / 1000), 7);
    close(fd);

    fd = field_dial(program);
    assert_true(fd >= 0);
    field_command(program, "unplug-bus net", "ok");
    assert_int_equal(field_receive(fd, reply, 1, FIELD_DEADLINE_US / 1000), 0); /* closed */
    assert_int_equal(field_dial(program), -1);
    close(fd);
    field_command(program, "plug-bus net", "ok");
    fd = field_dial(program);
    assert_true(fd >= 0);
    close(fd);
}

static void a_turnaround_holds_a_tcp_answer(void **state) {
    struct field_program *program = *state;
    static const uint8_t ask[] = {0, 1, 0, 0, 0, 6, 1, 3, 0, 1, 0, 1}, told[] = {0, 1, 0, 0, 0, 5, 1, 3, 2, 0, 0};
    int fd = field_dial(program);
    field_command(program, "set fume/limit 0", "ok");
    field_command(program, "delay fume 40ms", "ok");
    int64_t start_us = now_mono_us();
    field_say(fd, ask, sizeof(ask));
    field_say(fd, ask, sizeof(ask));
    field_expect_reply(fd, told, sizeof(told));
    assert_true(now_mono_us() - start_us >= 40000);
    field_expect_reply(fd, told, sizeof(told));
    assert_true(now_mono_us() - start_us >= 80000); /* one at a time */
    close(fd);
}

static void mistakes_are_answered(void **state) {
    struct field_program *program = *state;
    char longest[2000];
    field_command(program, "dance", "error: unknown command 'dance'; expected one of " COMMANDS);
    field_command(program, "set fume/level", "error: wrong number of words after 'set'; expected set DEVICE/POINT VALUE");
    field_command(program, "unplug-bus x", "error: there is no bus 'x'; expected one of line, net");
    field_command(program, "fault meter gone",
                  "error: 'gone' is no fault; expected one of dead, slow, late, wrong-unit, bad-crc, truncated, pause, noise-before, noise-between, "
                  "exception");
    field_command(program, "fault meter late 101", "error: '101' is no percentage; expected 1 to 100");
    field_command(program, "fault meter late 5 x", "error: 'x' is no number of milliseconds; expected 0 to 60000");
    field_command(program, "fault fume dead", "error: 'fume' is not on a serial line; only those have faults");
    field_command(program, "fault-bus line dead", "error: 'dead' is no fault of a bus; expected echo");
    field_command(program, "clear meter now", "error: wrong number of words after 'clear'; expected clear DEVICE");
    field_command(program, "delay meter 20", "error: '20' is no delay; expected a time up to 60s with its unit, such as 20ms");
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    field_command(program, longest, "error: the line is too long; expected one of " COMMANDS);
    field_command(program, "get relay/out", "ok on"); /* and goes on */
}

static void it_ends_cleanly(void **state) {
    struct field_program *program = *state;
    struct stat about;
    assert_int_equal(lstat(program->link, &about), 0);
    kill(program->pid, SIGTERM);
    assert_int_equal(field_wait_for(program), 0);
    assert_int_not_equal(lstat(program->link, &about), 0);
    field_launch(program);
    close(program->to); /* the end of its input */
    program->to = -1;
    assert_int_equal(field_wait_for(program), 0);
    assert_int_not_equal(lstat(program->link, &about), 0);
    assert_int_equal(symlink("/dev/pts/99999", program->link), 0); /* what a killed one leaves is replaced */
    field_launch(program);
    assert_int_equal(dprintf(program->to, "quit\n"), 5);
    assert_int_equal(field_wait_for(program), 0);
    assert_int_not_equal(lstat(program->link, &about), 0);
}

static void a_real_port_is_never_replaced(void **state) {
    struct field_program *program = *state;
    char target[64] = "";
    assert_int_equal(symlink("../../ttyUSB0", program->link), 0);
    field_launch(program);
    assert_int_equal(field_wait_for(program), 1);
    assert_true(readlink(program->link, target, sizeof(target) - 1) > 0);
    assert_string_equal(target, "../../ttyUSB0");
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tcp_answers_are_exact, field_begin_ready, field_finish),
        cmocka_unit_test_setup_teardown(a_write_is_told_and_shows, field_begin_ready, field_finish),
        cmocka_unit_test_setup_teardown(devices_and_buses_are_unplugged_and_plugged, field_begin_ready, field_finish),
        cmocka_unit_test_setup_teardown(a_turnaround_holds_a_tcp_answer, field_begin_ready, field_finish),
        cmocka_unit_test_setup_teardown(mistakes_are_answered, field_begin_ready, field_finish),
        cmocka_unit_test_setup_teardown(it_ends_cleanly, field_begin_ready, field_finish),
        cmocka_unit_test_setup_teardown(a_real_port_is_never_replaced, field_begin, field_finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
