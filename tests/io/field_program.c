/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is assumed about ports, and every file is in a folder of its own. */
#include "field_program.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/now.h"

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

static void write_config(const struct field_program *program) {
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

void field_launch(struct field_program *program) {
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
void field_next_line(struct field_program *program, char *line, size_t size) {
    int64_t deadline_us = now_mono_us() + FIELD_DEADLINE_US;
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

void field_expect_line(struct field_program *program, const char *wanted) {
    char line[512];
    field_next_line(program, line, sizeof(line));
    assert_string_equal(line, wanted);
}

void field_command(struct field_program *program, const char *text, const char *wanted) {
    assert_int_equal(dprintf(program->to, "%s\n", text), (int)strlen(text) + 1);
    field_expect_line(program, wanted);
}

int field_wait_for(struct field_program *program) {
    int status = 0;
    int64_t deadline_us = now_mono_us() + FIELD_DEADLINE_US;
    while (waitpid(program->pid, &status, WNOHANG) == 0) {
        assert_true(now_mono_us() < deadline_us);
        (void)poll(NULL, 0, 5);
    }
    close(program->to);
    close(program->from);
    program->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int field_begin(void **state) {
    static struct field_program program;
    program = (struct field_program){.port = free_port()};
    snprintf(program.folder, sizeof(program.folder), "/tmp/yanhuo-simulate-XXXXXX");
    if (!mkdtemp(program.folder))
        return -1;
    snprintf(program.config, sizeof(program.config), "%s/site.yaml", program.folder);
    snprintf(program.link, sizeof(program.link), "%s/line", program.folder);
    write_config(&program);
    *state = &program;
    return 0;
}

void field_launch_ready(struct field_program *program) {
    char line[512];
    field_launch(program);
    do
        field_next_line(program, line, sizeof(line));
    while (line[0] && strcmp(line, "ready") != 0);
    assert_string_equal(line, "ready");
}

int field_begin_ready(void **state) {
    if (field_begin(state) != 0)
        return -1;
    field_launch_ready(*state);
    return 0;
}

int field_finish(void **state) {
    struct field_program *program = *state;
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

int field_dial(const struct field_program *program) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(program->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

int field_open_line(const struct field_program *program) {
    int fd = open(program->link, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Reads until `size` bytes came, the other side closed, or `wait_ms` passed without any; the number that came. */
size_t field_receive(int fd, uint8_t *bytes, size_t size, int wait_ms) {
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

void field_say(int fd, const uint8_t *bytes, size_t size) {
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
}

void field_expect_reply(int fd, const uint8_t *wanted, size_t size) {
    uint8_t reply[FRAME_SIZE];
    assert_int_equal(field_receive(fd, reply, size, FIELD_DEADLINE_US / 1000), size);
    assert_memory_equal(reply, wanted, size);
}

void field_expect_silence(int fd) {
    uint8_t byte;
    assert_int_equal(field_receive(fd, &byte, 1, FIELD_SILENCE_MS), 0);
}

size_t field_rtu(uint8_t unit_id, const uint8_t *pdu, size_t size, uint8_t frame[FRAME_SIZE]) {
    struct pdu framed = {.size = (uint8_t)size};
    memcpy(framed.bytes, pdu, size);
    return frame_rtu(unit_id, &framed, frame);
}
