/* SPDX-License-Identifier: Apache-2.0 */
/* A person looks at a line while the gateway polls it: the real gateway on a simulated line, its control socket, and the commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/now.h"
#include "field_program.h"

#define TOLD_SIZE 4600

struct site {
    struct field_program *program;
    pid_t gateway;
    char state[96], control[108];
    char printed[16384]; /* by the last command */
};

static struct site site;

static void write_config(void) {
    FILE *file = fopen(site.program->config, "w");
    assert_non_null(file);
    fprintf(file,
            "gateway: {id: t}\n"
            "buses:\n"
            "  line: {serial: %s, baud: 9600}\n"
            "  net: {tcp: \"127.0.0.1:%u\"}\n"
            "devices:\n"
            "  meter: {bus: line, unit_id: 7, points: {\n"
            "    current: {read: input, address: 0, type: u16, scale: 0.1, unit: A, every: 1s},\n"
            "    smoke: {read: holding, address: 3, type: u16, every: 1s},\n"
            "    a: {read: holding, address: 40, type: u16, every: 1min}, b: {read: holding, address: 41, type: u16, every: 1min}}}\n"
            "  relay: {bus: line, unit_id: 8, points: {out: {read: coil, address: 0, type: bit, every: 1s}}}\n"
            "  fume: {bus: net, unit_id: 1, points: {level: {read: holding, address: 0, type: u16, every: 1s}}}\n"
            "alarms:\n"
            "  smoke: {point: meter/smoke, above: 5, class: fire, priority: high}\n"
            "uplinks:\n"
            "  city: {mqtt: \"mqtt://127.0.0.1:1\"}\n",
            site.program->link, site.program->port);
    assert_int_equal(fclose(file), 0);
}

static int dial(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, site.control, sizeof(site.control));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void gateway_start(void) {
    site.gateway = fork();
    assert_true(site.gateway >= 0);
    if (site.gateway == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        execl(PROGRAM, PROGRAM, "run", "-c", site.program->config, "-s", site.state, (char *)NULL);
        _exit(127);
    }
    int fd = -1;
    for (int64_t end_us = now_mono_us() + FIELD_DEADLINE_US; (fd = dial()) < 0; (void)poll(NULL, 0, 10))
        assert_true(now_mono_us() < end_us);
    close(fd);
}

static int gateway_wait(void) {
    int status = 0;
    for (int64_t end_us = now_mono_us() + 2 * FIELD_DEADLINE_US; waitpid(site.gateway, &status, WNOHANG) == 0; (void)poll(NULL, 0, 10))
        assert_true(now_mono_us() < end_us);
    site.gateway = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int begin(void **state) {
    void *program;
    memset(&site, 0, sizeof(site));
    if (field_begin(&program) != 0)
        return -1;
    site.program = program;
    *state = &site;
    snprintf(site.state, sizeof(site.state), "%s/state", site.program->folder);
    snprintf(site.control, sizeof(site.control), "%s/control", site.state);
    assert_int_equal(mkdir(site.state, 0700), 0);
    write_config();
    field_launch_ready(site.program);
    field_command(site.program, "set meter/current 12.5", "ok");
    gateway_start();
    return 0;
}

static int finish(void **state) {
    char command[160];
    if (site.gateway > 0) {
        kill(site.gateway, SIGKILL);
        waitpid(site.gateway, NULL, 0);
    }
    snprintf(command, sizeof(command), "rm -rf %s", site.state);
    *state = site.program;
    return system(command) == 0 ? field_finish(state) : -1;
}

/* Runs a command of the program: its status. */
static int run(const char *format, ...) {
    char arguments[512], line[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof(arguments), format, list);
    va_end(list);
    snprintf(line, sizeof(line), "%s %s --state %s 2>&1 </dev/null", PROGRAM, arguments, site.state);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    site.printed[fread(site.printed, 1, sizeof(site.printed) - 1, pipe)] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_printed(const char *part) {
    if (!strstr(site.printed, part))
        fail_msg("'%s' is not in: %s", part, site.printed);
}

static void say(int fd, const char *text) {
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* The next line; "" when the gateway closed. */
static void hear(int fd, char line[TOLD_SIZE]) {
    size_t length = 0;
    for (;;) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&readable, 1, 2 * (int)(FIELD_DEADLINE_US / 1000)), 1);
        if (recv(fd, line + length, 1, 0) <= 0) {
            line[0] = '\0';
            return;
        }
        if (line[length] == '\n')
            break;
        assert_true(++length < TOLD_SIZE);
    }
    line[length] = '\0';
}

static void assert_answer(const char *request, const char *begins) {
    char line[TOLD_SIZE];
    int fd = dial();
    say(fd, request);
    hear(fd, line);
    if (strncmp(line, begins, strlen(begins)) != 0)
        fail_msg("'%s' does not begin with '%s'", line, begins);
    close(fd);
}

/* Requests on the line since the last count, without a violation among them. */
static unsigned line_requests(void) {
    char line[512];
    unsigned requests = 0;
    assert_int_equal(dprintf(site.program->to, "report\n"), 7);
    field_next_line(site.program, line, sizeof(line));
    if (strcmp(line, "ok") == 0) /* nothing was asked yet */
        return 0;
    if (sscanf(line, "report line: %u request", &requests) != 1)
        fail_msg("'%s' is no report", line);
    assert_non_null(strstr(line, " 0 EARLY, 0 TALKOVER"));
    field_expect_line(site.program, "ok");
    field_command(site.program, "recount", "ok");
    return requests;
}

static void a_probe_goes_through_the_gateway(void **state) {
    (void)state;
    assert_int_equal(run("probe %s 7 0 --read input", site.program->link), 0);
    assert_printed("asks for us in its spare time, at the line's own 9600 8N1");
    assert_printed("Unit 7 on ");
    assert_printed("125");
    assert_int_equal(run("probe %s 9 0 --read input --timeout 100", site.program->link), 1);
    assert_printed("unit 9, input register 0: no answer");
    (void)line_requests();
}

static void a_scan_goes_through_the_gateway(void **state) {
    (void)state;
    assert_int_equal(run("scan %s --units 5-9 --baud 4800,9600", site.program->link), 0);
    assert_printed("at 1 setting, 9600 8N1 first");
    assert_printed("9600 8N1     unit   7   answers");
    assert_printed("9600 8N1     unit   8   answers");
    assert_printed("2 devices found");
    (void)line_requests();
}

/* A register beside the fire point, of the same size: the gateway asks for a wider one, or says why not. */
static void what_looks_like_fire_is_asked_otherwise(void **state) {
    (void)state;
    assert_answer("request line 7 0300040001 100\n", "refused fire");
    assert_answer("request line 7 0300030001 100\n", "answer 0302");
    assert_answer("request line 7 0300040002 100\n", "answer 0304");
    field_command(site.program, "set meter/a 4321", "ok");
    assert_answer("request line 7 0300280001 100\n", "refused fire");
    assert_int_equal(run("probe %s 7 40 --read holding", site.program->link), 0);
    assert_printed("4321");
}

static void a_line_without_sense_is_refused(void **state) {
    (void)state;
    static const char *const lines[] = {"\n",
                                        "help\n",
                                        "request line 7 0400000001\n",
                                        "request line 0 0400000001 100\n",
                                        "request line 256 0400000001 100\n",
                                        "request line 7 0600000001 100\n",
                                        "request line 7 0400000000 100\n",
                                        "request line 7 04ffff0002 100\n",
                                        "request line 7 040000000 100\n",
                                        "request line 7 04000000zz 100\n",
                                        "request line 7 0400000001 0\n",
                                        "request line 7 0400000001 10001\n",
                                        "request line 7 0400000001 -1\n",
                                        "request  7 0400000001 100\n",
                                        "request line 7 0400000001 100 more\n"};
    char answer[TOLD_SIZE], longest[TOLD_SIZE];
    int fd = dial();
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        say(fd, lines[i]);
        hear(fd, answer);
        if (strncmp(answer, "error expected ", 15) != 0)
            fail_msg("'%s' is answered '%s'", lines[i], answer);
    }
    say(fd, "bus line\n");
    hear(fd, answer);
    assert_string_equal(answer, "bus line 9600 none 1");
    assert_answer("bus nobody\n", "error no bus of this gateway");
    memset(longest, 'x', 4300);
    longest[4300] = '\0';
    say(fd, longest);
    hear(fd, answer);
    assert_string_equal(answer, "error expected a line of at most 4223 bytes");
    hear(fd, answer);
    assert_string_equal(answer, "");
    close(fd);
}

static void a_client_that_goes_is_forgotten(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        int fd = dial();
        say(fd, "request line 20 0400000001 300\n");
        close(fd);
    }
    assert_answer("request line 7 0400000001 300\n", "answer 0402007d ");
    assert_answer("request line 20 0400000001 300\n", "timeout");
}

static void clients_wait_in_turn(void **state) {
    (void)state;
    char line[TOLD_SIZE];
    int fds[5];
    for (int i = 0; i < 4; i++) {
        fds[i] = dial();
        say(fds[i], "request line 7 0400000001 300\nrequest line 21 0400000001 100\n");
    }
    fds[4] = dial();
    hear(fds[4], line);
    assert_string_equal(line, "error others are asking already; try again when they have finished");
    close(fds[4]);
    for (int i = 0; i < 4; i++) {
        hear(fds[i], line);
        assert_memory_equal(line, "answer 0402007d ", 16);
        hear(fds[i], line);
        assert_string_equal(line, "timeout");
        close(fds[i]);
    }
}

static void an_endpoint_is_asked_too(void **state) {
    (void)state;
    field_command(site.program, "set fume/level 77", "ok");
    assert_answer("bus net\n", "bus net 0 none 1");
    assert_answer("request net 1 0300000001 300\n", "answer 0302004d ");
    assert_answer("request net 1 0400000001 300\n", "exception 2 ");
}

/* Ten thousand lines at once, and half of a line that never ends: the line is polled as ever. */
static void a_flood_disturbs_nobody(void **state) {
    (void)state;
    char line[TOLD_SIZE];
    int flood = dial(), half = dial();
    say(half, "request li");
    (void)line_requests();
    int64_t begun_us = now_mono_us();
    unsigned sent = 0;
    while (now_mono_us() - begun_us < 3000000) {
        if (sent < 30000 && send(flood, "bus line\n", 9, MSG_DONTWAIT | MSG_NOSIGNAL) == 9)
            sent++;
        else
            (void)poll(NULL, 0, 1);
        while (recv(flood, line, sizeof(line), MSG_DONTWAIT) > 0) {
        }
    }
    assert_true(sent > 300);
    assert_in_range(line_requests(), 8, 40); /* three a second, and extras */
    close(flood);
    close(half);
    assert_answer("request line 7 0400000001 300\n", "answer 0402007d ");
}

static void a_gateway_that_ends_lets_go(void **state) {
    (void)state;
    char line[TOLD_SIZE];
    int fd = dial();
    say(fd, "request line 22 0400000001 10000\n");
    (void)poll(NULL, 0, 50);
    assert_int_equal(kill(site.gateway, SIGTERM), 0);
    hear(fd, line);
    assert_true(line[0] == '\0' || strcmp(line, "timeout") == 0);
    close(fd);
    assert_int_equal(gateway_wait(), 0);
    assert_int_equal(access(site.control, F_OK), -1);
    assert_int_equal(run("probe %s 7 0 --read input", site.program->link), 0); /* the port is free again */
    gateway_start();                                                           /* and a socket that a killed gateway left is replaced */
    assert_int_equal(kill(site.gateway, SIGKILL), 0);
    (void)gateway_wait();
    assert_int_equal(access(site.control, F_OK), 0);
    gateway_start();
    assert_answer("bus line\n", "bus line 9600 none 1");
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_probe_goes_through_the_gateway, begin, finish),
        cmocka_unit_test_setup_teardown(a_scan_goes_through_the_gateway, begin, finish),
        cmocka_unit_test_setup_teardown(what_looks_like_fire_is_asked_otherwise, begin, finish),
        cmocka_unit_test_setup_teardown(a_line_without_sense_is_refused, begin, finish),
        cmocka_unit_test_setup_teardown(a_client_that_goes_is_forgotten, begin, finish),
        cmocka_unit_test_setup_teardown(clients_wait_in_turn, begin, finish),
        cmocka_unit_test_setup_teardown(an_endpoint_is_asked_too, begin, finish),
        cmocka_unit_test_setup_teardown(a_flood_disturbs_nobody, begin, finish),
        cmocka_unit_test_setup_teardown(a_gateway_that_ends_lets_go, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
