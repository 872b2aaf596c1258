/* SPDX-License-Identifier: Apache-2.0 */
/* The real program, driven as a gateway and a person would: raw frames over TCP and over a pseudo terminal, commands on its
 * standard input. Every wait has a deadline; nothing is assumed about ports, and every file is in a folder of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/now.h"
#include "sensors/frame.h"

#define DEADLINE_US 10000000 /* of anything that must happen */
#define COMMANDS "set, get, unplug, plug, unplug-bus, plug-bus, delay, fault, clear, fault-bus, clear-bus, report, recount, quit"
#define SILENCE_MS 150 /* of what must not: many times longer than an answer takes */

struct program {
    pid_t pid;
    int to, from; /* its stdin and stdout */
    char folder[64], config[96], link[96];
    uint16_t port;
    char buffered[4096];
    size_t buffered_size;
};

/* A port that was free a moment ago. */
static uint16_t free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(close(fd), 0);
    return ntohs(address.sin_port);
}

static void write_config(const struct program *program) {
    FILE *file = fopen(program->config, "w");
    assert_non_null(file);
    fprintf(file,
            "gateway: {id: t}\n"
            "buses:\n"
            "  line: {serial: %s, baud: 9600}\n"
            "  net: {tcp: \"127.0.0.1:%u\"}\n"
            "devices:\n"
            "  meter: {bus: line, unit_id: 7, points: {current: {read: input, address: 0, type: u16, scale: 0.1, unit: A, every: 1s}}}\n"
            "  relay: {bus: line, unit_id: 8, points: {out: {read: coil, address: 0, type: bit, write: coil, labels: {0: off, 1: on}, every: 1s}}}\n"
            "  fume: {bus: net, unit_id: 1, points: {\n"
            "    level: {read: holding, address: 0, type: u16, every: 1s},\n"
            "    limit: {read: holding, address: 1, type: u16, write: holding, every: 1s}}}\n"
            "uplinks:\n"
            "  city: {mqtt: \"mqtt://127.0.0.1:1\"}\n",
            program->link, program->port);
    assert_int_equal(fclose(file), 0);
}

static void launch(struct program *program) {
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    program->pid = fork();
    assert_true(program->pid >= 0);
    if (program->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execl(PROGRAM, PROGRAM, "simulate", program->config, "--still", "--until-eof", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    program->to = in[1];
    program->from = out[0];
    program->buffered_size = 0;
}

/* The next line the program prints, without its end; "" when it ended. */
static void next_line(struct program *program, char *line, size_t size) {
    int64_t deadline_us = now_mono_us() + DEADLINE_US;
    for (;;) {
        char *end = memchr(program->buffered, '\n', program->buffered_size);
        if (end) {
            size_t length = (size_t)(end - program->buffered);
            assert_true(length < size);
            memcpy(line, program->buffered, length);
            line[length] = '\0';
            program->buffered_size -= length + 1;
            memmove(program->buffered, end + 1, program->buffered_size);
            return;
        }
        struct pollfd readable = {.fd = program->from, .events = POLLIN};
        assert_true(now_mono_us() < deadline_us);
        if (poll(&readable, 1, 100) <= 0)
            continue;
        ssize_t got = read(program->from, program->buffered + program->buffered_size, sizeof(program->buffered) - program->buffered_size);
        if (got <= 0) {
            line[0] = '\0';
            return;
        }
        program->buffered_size += (size_t)got;
    }
}

static void expect_line(struct program *program, const char *wanted) {
    char line[512];
    next_line(program, line, sizeof(line));
    assert_string_equal(line, wanted);
}

static void command(struct program *program, const char *text, const char *wanted) {
    assert_int_equal(dprintf(program->to, "%s\n", text), (int)strlen(text) + 1);
    expect_line(program, wanted);
}

static int wait_for(struct program *program) {
    int status = 0;
    int64_t deadline_us = now_mono_us() + DEADLINE_US;
    while (waitpid(program->pid, &status, WNOHANG) == 0) {
        assert_true(now_mono_us() < deadline_us);
        (void)poll(NULL, 0, 5);
    }
    close(program->to);
    close(program->from);
    program->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int begin(void **state) {
    static struct program program;
    program = (struct program){.port = free_port()};
    snprintf(program.folder, sizeof(program.folder), "/tmp/yanhuo-simulate-XXXXXX");
    if (!mkdtemp(program.folder))
        return -1;
    snprintf(program.config, sizeof(program.config), "%s/site.yaml", program.folder);
    snprintf(program.link, sizeof(program.link), "%s/line", program.folder);
    write_config(&program);
    *state = &program;
    return 0;
}

static int begin_ready(void **state) {
    if (begin(state) != 0)
        return -1;
    struct program *program = *state;
    char line[512];
    launch(program);
    do
        next_line(program, line, sizeof(line));
    while (line[0] && strcmp(line, "ready") != 0);
    return line[0] ? 0 : -1;
}

static int finish(void **state) {
    struct program *program = *state;
    if (program->pid > 0) {
        kill(program->pid, SIGKILL);
        waitpid(program->pid, NULL, 0);
        close(program->to);
        close(program->from);
    }
    (void)unlink(program->config);
    (void)unlink(program->link);
    return rmdir(program->folder);
}

/* ---- as a gateway ---- */

static int dial(const struct program *program) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(program->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int open_line(const struct program *program) {
    int fd = open(program->link, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Reads until `size` bytes came, the other side closed, or `wait_ms` passed without any; the number that came. */
static size_t receive(int fd, uint8_t *bytes, size_t size, int wait_ms) {
    size_t got = 0;
    while (got < size) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (poll(&readable, 1, wait_ms) <= 0)
            break;
        ssize_t more = read(fd, bytes + got, size - got);
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    return got;
}

static void say(int fd, const uint8_t *bytes, size_t size) {
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
}

static void expect_reply(int fd, const uint8_t *wanted, size_t size) {
    uint8_t reply[FRAME_SIZE];
    assert_int_equal(receive(fd, reply, size, DEADLINE_US / 1000), size);
    assert_memory_equal(reply, wanted, size);
}

static void expect_silence(int fd) {
    uint8_t byte;
    assert_int_equal(receive(fd, &byte, 1, SILENCE_MS), 0);
}

static size_t rtu(uint8_t unit_id, const uint8_t *pdu, size_t size, uint8_t frame[FRAME_SIZE]) {
    struct pdu framed = {.size = (uint8_t)size};
    memcpy(framed.bytes, pdu, size);
    return frame_rtu(unit_id, &framed, frame);
}

static const uint8_t read_current[] = {4, 0, 0, 0, 1}, switch_off[] = {5, 0, 0, 0, 0};

static void tcp_answers_are_exact(void **state) {
    struct program *program = *state;
    int fd = dial(program);
    static const uint8_t ask[] = {0x12, 0x34, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2}, told[] = {0x12, 0x34, 0, 0, 0, 7, 1, 3, 4, 0, 42, 0, 0};
    static const uint8_t wrong[] = {0, 1, 0, 0, 0, 6, 1, 3, 0, 1, 0, 2}, exception[] = {0, 1, 0, 0, 0, 3, 1, 0x83, 2};
    static const uint8_t nobody[] = {0, 2, 0, 0, 0, 6, 9, 3, 0, 0, 0, 1};
    static const uint8_t set[] = {0, 3, 0, 0, 0, 6, 1, 6, 0, 1, 1, 1}, no_modbus[] = {0, 4, 0, 1, 0, 6, 1, 3, 0, 0, 0, 1};
    command(program, "set fume/level 42", "ok");
    say(fd, ask, sizeof(ask));
    expect_reply(fd, told, sizeof(told));
    say(fd, wrong, sizeof(wrong));
    expect_reply(fd, exception, sizeof(exception));
    say(fd, nobody, sizeof(nobody));
    expect_silence(fd);
    say(fd, set, sizeof(set));
    expect_reply(fd, set, sizeof(set));
    expect_line(program, "written fume/limit 257");
    command(program, "set fume/limit 0", "ok");
    for (size_t i = 0; i < sizeof(ask); i++) /* a byte at a time */
        say(fd, &ask[i], 1);
    expect_reply(fd, told, sizeof(told));
    uint8_t two[2 * sizeof(ask)]; /* two at once, answered in order */
    memcpy(two, ask, sizeof(ask));
    memcpy(two + sizeof(ask), wrong, sizeof(wrong));
    say(fd, two, sizeof(two));
    expect_reply(fd, told, sizeof(told));
    expect_reply(fd, exception, sizeof(exception));
    say(fd, no_modbus, sizeof(no_modbus));
    uint8_t byte;
    assert_int_equal(receive(fd, &byte, 1, DEADLINE_US / 1000), 0); /* closed */
    close(fd);
}

static void a_line_answers_at_the_pace_of_its_wire(void **state) {
    struct program *program = *state;
    uint8_t frame[FRAME_SIZE], wanted[FRAME_SIZE];
    static const uint8_t told[] = {4, 2, 0, 125};
    struct line_timing timing = {.baud = 9600, .bits_per_character = 10};
    int fd = open_line(program);
    command(program, "set meter/current 12.5", "ok");
    command(program, "delay meter 30ms", "ok");
    size_t size = rtu(7, read_current, sizeof(read_current), frame), wanted_size = rtu(7, told, sizeof(told), wanted);
    for (int round = 0; round < 5; round++) {
        int64_t start_us = now_mono_us();
        say(fd, frame, size);
        expect_reply(fd, wanted, wanted_size);
        assert_true(now_mono_us() - start_us >= line_bytes_us(&timing, size + wanted_size) + 30000);
    }
    expect_silence(fd);
    close(fd);
}

static void a_line_ignores_what_is_not_for_it(void **state) {
    struct program *program = *state;
    uint8_t frame[FRAME_SIZE], wanted[FRAME_SIZE];
    static const uint8_t told[] = {0x87, 1}, unknown[] = {7};
    int fd = open_line(program);
    size_t size = rtu(9, read_current, sizeof(read_current), frame);
    say(fd, frame, size); /* nobody has this unit id */
    expect_silence(fd);
    size = rtu(7, read_current, sizeof(read_current), frame);
    frame[size - 1] ^= 1;
    say(fd, frame, size); /* checksum wrong */
    expect_silence(fd);
    say(fd, frame, 3); /* the beginning of a frame, never continued */
    expect_silence(fd);
    size = rtu(7, unknown, sizeof(unknown), frame);
    size_t wanted_size = rtu(7, told, sizeof(told), wanted);
    say(fd, frame, size);
    expect_reply(fd, wanted, wanted_size);
    close(fd);
}

static void a_write_is_told_and_shows(void **state) {
    struct program *program = *state;
    uint8_t frame[FRAME_SIZE];
    int fd = open_line(program);
    command(program, "get relay/out", "ok on");
    size_t size = rtu(8, switch_off, sizeof(switch_off), frame);
    say(fd, frame, size);
    expect_reply(fd, frame, size);
    expect_line(program, "written relay/out off");
    command(program, "get relay/out", "ok off");
    close(fd);
}

/* The checksum of a frame that came is right. */
static bool whole(const uint8_t *frame, size_t size) {
    return size >= 4 && frame_crc(frame, size - 2) == (frame[size - 2] | frame[size - 1] << 8);
}

static void faults_are_played(void **state) {
    struct program *program = *state;
    uint8_t frame[FRAME_SIZE], wanted[FRAME_SIZE], reply[FRAME_SIZE];
    static const uint8_t told[] = {4, 2, 0, 125}, refused[] = {0x84, 4};
    size_t size = rtu(7, read_current, sizeof(read_current), frame), wanted_size = rtu(7, told, sizeof(told), wanted);
    int fd = open_line(program);
    command(program, "set meter/current 12.5", "ok");
    command(program, "fault meter dead", "ok");
    say(fd, frame, size);
    expect_silence(fd);
    command(program, "fault meter bad-crc", "ok");
    say(fd, frame, size);
    assert_int_equal(receive(fd, reply, wanted_size, DEADLINE_US / 1000), wanted_size);
    assert_false(whole(reply, wanted_size));
    command(program, "fault meter truncated", "ok");
    say(fd, frame, size);
    size_t got = receive(fd, reply, wanted_size, SILENCE_MS);
    assert_in_range(got, 1, wanted_size - 1);
    assert_memory_equal(reply, wanted, got);
    command(program, "fault meter wrong-unit", "ok");
    say(fd, frame, size);
    wanted_size = rtu(8, told, sizeof(told), wanted);
    expect_reply(fd, wanted, wanted_size);
    command(program, "fault meter exception", "ok");
    say(fd, frame, size);
    wanted_size = rtu(7, refused, sizeof(refused), wanted);
    expect_reply(fd, wanted, wanted_size);
    command(program, "clear meter", "ok");
    command(program, "fault-bus line echo", "ok");
    say(fd, frame, size);
    expect_reply(fd, frame, size);
    wanted_size = rtu(7, told, sizeof(told), wanted);
    expect_reply(fd, wanted, wanted_size);
    command(program, "clear-bus line", "ok");
    say(fd, frame, size);
    expect_reply(fd, wanted, wanted_size);
    close(fd);
}

/* A master that does not wait is told so, one that waits is not. */
static void the_master_is_observed(void **state) {
    struct program *program = *state;
    uint8_t frame[FRAME_SIZE], wanted[FRAME_SIZE];
    char line[512];
    static const uint8_t told[] = {4, 2, 0, 125};
    size_t size = rtu(7, read_current, sizeof(read_current), frame), wanted_size = rtu(7, told, sizeof(told), wanted);
    int fd = open_line(program);
    command(program, "set meter/current 12.5", "ok");
    for (int i = 0; i < 3; i++) {
        say(fd, frame, size);
        expect_reply(fd, wanted, wanted_size);
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(dprintf(program->to, "report\n"), 7);
    next_line(program, line, sizeof(line));
    assert_non_null(strstr(line, "report line: 3 requests, 3 replies, 0 faults, 0 EARLY, 0 TALKOVER, efficiency "));
    expect_line(program, "ok");
    command(program, "recount", "ok");
    say(fd, frame, size);
    assert_int_equal(receive(fd, wanted, 3, DEADLINE_US / 1000), 3);
    say(fd, frame, size); /* into its answer */
    (void)receive(fd, wanted, sizeof(wanted), SILENCE_MS);
    assert_int_equal(dprintf(program->to, "report\n"), 7);
    next_line(program, line, sizeof(line));
    assert_non_null(strstr(line, " 1 TALKOVER"));
    expect_line(program, "ok");
    close(fd);
}

static void devices_and_buses_are_unplugged_and_plugged(void **state) {
    struct program *program = *state;
    uint8_t frame[FRAME_SIZE], reply[FRAME_SIZE];
    struct stat about;
    size_t size = rtu(7, read_current, sizeof(read_current), frame);
    int fd = open_line(program);
    command(program, "unplug meter", "ok");
    say(fd, frame, size);
    expect_silence(fd);
    command(program, "plug meter", "ok");
    say(fd, frame, size);
    assert_int_equal(receive(fd, reply, 7, DEADLINE_US / 1000), 7);
    command(program, "unplug-bus line", "ok");
    assert_int_not_equal(lstat(program->link, &about), 0);
    assert_int_equal(receive(fd, reply, 1, DEADLINE_US / 1000), 0); /* hung up */
    close(fd);
    command(program, "plug-bus line", "ok");
    fd = open_line(program);
    say(fd, frame, size);
    assert_int_equal(receive(fd, reply, 7, DEADLINE_US / 1000), 7);
    close(fd);

    fd = dial(program);
    assert_true(fd >= 0);
    command(program, "unplug-bus net", "ok");
    assert_int_equal(receive(fd, reply, 1, DEADLINE_US / 1000), 0); /* closed */
    assert_int_equal(dial(program), -1);
    close(fd);
    command(program, "plug-bus net", "ok");
    fd = dial(program);
    assert_true(fd >= 0);
    close(fd);
}

static void a_turnaround_holds_a_tcp_answer(void **state) {
    struct program *program = *state;
    static const uint8_t ask[] = {0, 1, 0, 0, 0, 6, 1, 3, 0, 1, 0, 1}, told[] = {0, 1, 0, 0, 0, 5, 1, 3, 2, 0, 0};
    int fd = dial(program);
    command(program, "set fume/limit 0", "ok");
    command(program, "delay fume 40ms", "ok");
    int64_t start_us = now_mono_us();
    say(fd, ask, sizeof(ask));
    say(fd, ask, sizeof(ask));
    expect_reply(fd, told, sizeof(told));
    assert_true(now_mono_us() - start_us >= 40000);
    expect_reply(fd, told, sizeof(told));
    assert_true(now_mono_us() - start_us >= 80000); /* one at a time */
    close(fd);
}

static void mistakes_are_answered(void **state) {
    struct program *program = *state;
    char longest[2000];
    command(program, "dance", "error: unknown command 'dance'; expected one of " COMMANDS);
    command(program, "set fume/level", "error: wrong number of words after 'set'; expected set DEVICE/POINT VALUE");
    command(program, "unplug-bus x", "error: there is no bus 'x'; expected one of line, net");
    command(program, "fault meter gone",
            "error: 'gone' is no fault; expected one of dead, slow, late, wrong-unit, bad-crc, truncated, pause, noise-before, noise-between, "
            "exception");
    command(program, "fault meter late 101", "error: '101' is no percentage; expected 1 to 100");
    command(program, "fault meter late 5 x", "error: 'x' is no number of milliseconds; expected 0 to 60000");
    command(program, "fault fume dead", "error: 'fume' is not on a serial line; only those have faults");
    command(program, "fault-bus line dead", "error: 'dead' is no fault of a bus; expected echo");
    command(program, "clear meter now", "error: wrong number of words after 'clear'; expected clear DEVICE");
    command(program, "delay meter 20", "error: '20' is no delay; expected a time up to 60s with its unit, such as 20ms");
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    command(program, longest, "error: the line is too long; expected one of " COMMANDS);
    command(program, "get relay/out", "ok on"); /* and goes on */
}

static void it_ends_cleanly(void **state) {
    struct program *program = *state;
    struct stat about;
    assert_int_equal(lstat(program->link, &about), 0);
    kill(program->pid, SIGTERM);
    assert_int_equal(wait_for(program), 0);
    assert_int_not_equal(lstat(program->link, &about), 0);
    launch(program);
    close(program->to); /* the end of its input */
    program->to = -1;
    assert_int_equal(wait_for(program), 0);
    assert_int_not_equal(lstat(program->link, &about), 0);
    assert_int_equal(symlink("/dev/pts/99999", program->link), 0); /* what a killed one leaves is replaced */
    launch(program);
    assert_int_equal(dprintf(program->to, "quit\n"), 5);
    assert_int_equal(wait_for(program), 0);
    assert_int_not_equal(lstat(program->link, &about), 0);
}

static void a_real_port_is_never_replaced(void **state) {
    struct program *program = *state;
    char target[64] = "";
    assert_int_equal(symlink("../../ttyUSB0", program->link), 0);
    launch(program);
    assert_int_equal(wait_for(program), 1);
    assert_true(readlink(program->link, target, sizeof(target) - 1) > 0);
    assert_string_equal(target, "../../ttyUSB0");
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tcp_answers_are_exact, begin_ready, finish),
        cmocka_unit_test_setup_teardown(a_line_answers_at_the_pace_of_its_wire, begin_ready, finish),
        cmocka_unit_test_setup_teardown(a_line_ignores_what_is_not_for_it, begin_ready, finish),
        cmocka_unit_test_setup_teardown(a_write_is_told_and_shows, begin_ready, finish),
        cmocka_unit_test_setup_teardown(faults_are_played, begin_ready, finish),
        cmocka_unit_test_setup_teardown(the_master_is_observed, begin_ready, finish),
        cmocka_unit_test_setup_teardown(devices_and_buses_are_unplugged_and_plugged, begin_ready, finish),
        cmocka_unit_test_setup_teardown(a_turnaround_holds_a_tcp_answer, begin_ready, finish),
        cmocka_unit_test_setup_teardown(mistakes_are_answered, begin_ready, finish),
        cmocka_unit_test_setup_teardown(it_ends_cleanly, begin_ready, finish),
        cmocka_unit_test_setup_teardown(a_real_port_is_never_replaced, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
