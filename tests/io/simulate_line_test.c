/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated serial line through its pseudo terminal: the pace of a wire, faults by command, and what is said of the master. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/now.h"
#include "field_program.h"

static const uint8_t read_current[] = {4, 0, 0, 0, 1};

static void a_line_answers_at_the_pace_of_its_wire(void **state) {
    struct field_program *program = *state;
    uint8_t frame[FRAME_SIZE], wanted[FRAME_SIZE];
    static const uint8_t told[] = {4, 2, 0, 125};
    struct line_timing timing = {.baud = 9600, .bits_per_character = 10};
    int fd = field_open_line(program);
    field_command(program, "set meter/current 12.5", "ok");
    field_command(program, "delay meter 30ms", "ok");
    size_t size = field_rtu(7, read_current, sizeof(read_current), frame), wanted_size = field_rtu(7, told, sizeof(told), wanted);
    for (int round = 0; round < 5; round++) {
        int64_t start_us = now_mono_us();
        field_say(fd, frame, size);
        field_expect_reply(fd, wanted, wanted_size);
        assert_true(now_mono_us() - start_us >= line_bytes_us(&timing, size + wanted_size) + 30000);
    }
    field_expect_silence(fd);
    close(fd);
}

static void a_line_ignores_what_is_not_for_it(void **state) {
    struct field_program *program = *state;
    uint8_t frame[FRAME_SIZE], wanted[FRAME_SIZE];
    static const uint8_t told[] = {0x87, 1}, unknown[] = {7};
    int fd = field_open_line(program);
    size_t size = field_rtu(9, read_current, sizeof(read_current), frame);
    field_say(fd, frame, size); /* nobody has this unit id */
    field_expect_silence(fd);
    size = field_rtu(7, read_current, sizeof(read_current), frame);
    frame[size - 1] ^= 1;
    field_say(fd, frame, size); /* checksum wrong */
    field_expect_silence(fd);
    field_say(fd, frame, 3); /* the beginning of a frame, never continued */
    field_expect_silence(fd);
    size = field_rtu(7, unknown, sizeof(unknown), frame);
    size_t wanted_size = field_rtu(7, told, sizeof(told), wanted);
    field_say(fd, frame, size);
    field_expect_reply(fd, wanted, wanted_size);
    close(fd);
}

/* The checksum of a frame that came is right. */
static bool whole(const uint8_t *frame, size_t size) {
    return size >= 4 && frame_crc(frame, size - 2) == (frame[size - 2] | frame[size - 1] << 8);
}

static void faults_are_played(void **state) {
    struct field_program *program = *state;
    uint8_t frame[FRAME_SIZE], wanted[FRAME_SIZE], reply[FRAME_SIZE];
    static const uint8_t told[] = {4, 2, 0, 125}, refused[] = {0x84, 4};
    size_t size = field_rtu(7, read_current, sizeof(read_current), frame), wanted_size = field_rtu(7, told, sizeof(told), wanted);
    int fd = field_open_line(program);
    field_command(program, "set meter/current 12.5", "ok");
    field_command(program, "fault meter dead", "ok");
    field_say(fd, frame, size);
    field_expect_silence(fd);
    field_command(program, "fault meter bad-crc", "ok");
    field_say(fd, frame, size);
    assert_int_equal(field_receive(fd, reply, wanted_size, FIELD_DEADLINE_US / 1000), wanted_size);
    assert_false(whole(reply, wanted_size));
    field_command(program, "fault meter truncated", "ok");
    field_say(fd, frame, size);
    size_t got = field_receive(fd, reply, wanted_size, FIELD_SILENCE_MS);
    assert_in_range(got, 1, wanted_size - 1);
    assert_memory_equal(reply, wanted, got);
    field_command(program, "fault meter wrong-unit", "ok");
    field_say(fd, frame, size);
    wanted_size = field_rtu(8, told, sizeof(told), wanted);
    field_expect_reply(fd, wanted, wanted_size);
    field_command(program, "fault meter exception", "ok");
    field_say(fd, frame, size);
    wanted_size = field_rtu(7, refused, sizeof(refused), wanted);
    field_expect_reply(fd, wanted, wanted_size);
    field_command(program, "clear meter", "ok");
    field_command(program, "fault-bus line echo", "ok");
    field_say(fd, frame, size);
    field_expect_reply(fd, frame, size);
    wanted_size = field_rtu(7, told, sizeof(told), wanted);
    field_expect_reply(fd, wanted, wanted_size);
    field_command(program, "clear-bus line", "ok");
    field_say(fd, frame, size);
    field_expect_reply(fd, wanted, wanted_size);
    close(fd);
}

/* A master that does not wait is told so, one that waits is not. */
static void the_master_is_observed(void **state) {
    struct field_program *program = *state;
    uint8_t frame[FRAME_SIZE], wanted[FRAME_SIZE];
    char line[512];
    static const uint8_t told[] = {4, 2, 0, 125};
    size_t size = field_rtu(7, read_current, sizeof(read_current), frame), wanted_size = field_rtu(7, told, sizeof(told), wanted);
    int fd = field_open_line(program);
    field_command(program, "set meter/current 12.5", "ok");
    for (int i = 0; i < 3; i++) {
        field_say(fd, frame, size);
        field_expect_reply(fd, wanted, wanted_size);
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(dprintf(program->to, "report\n"), 7);
    field_next_line(program, line, sizeof(line));
    assert_non_null(strstr(line, "report line: 3 requests, 3 replies, 0 faults, 0 EARLY, 0 TALKOVER, efficiency "));
    field_expect_line(program, "ok");
    field_command(program, "recount", "ok");
    field_say(fd, frame, size);
    assert_int_equal(field_receive(fd, wanted, 3, FIELD_DEADLINE_US / 1000), 3);
    field_say(fd, frame, size); /* into its answer */
    (void)field_receive(fd, wanted, sizeof(wanted), FIELD_SILENCE_MS);
    assert_int_equal(dprintf(program->to, "report\n"), 7);
    field_next_line(program, line, sizeof(line));
    assert_non_null(strstr(line, " 1 TALKOVER"));
    field_expect_line(program, "ok");
    close(fd);
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_answers_at_the_pace_of_its_wire, field_begin_ready, field_finish),
        cmocka_unit_test_setup_teardown(a_line_ignores_what_is_not_for_it, field_begin_ready, field_finish),
        cmocka_unit_test_setup_teardown(faults_are_played, field_begin_ready, field_finish),
        cmocka_unit_test_setup_teardown(the_master_is_observed, field_begin_ready, field_finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
