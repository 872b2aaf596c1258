/* SPDX-License-Identifier: Apache-2.0 */
/* The whole program on the demo's site, recorded: an alarm, a relay, a command; then the recording is replayed and must say the same and
 * want the same, byte for byte. And what becomes of recordings that were cut, damaged, or whose beginning was overwritten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/now.h"
#include "gateway/io/record_file.h"
#include "tests/io/broker.h"

#define DEADLINE_US 20000000
#define FILE_SIZE 4000000
#define SECRET "geheim-4711-geheim"

struct site {
    struct broker broker;
    pid_t simulator, gateway;
    int to_simulator;
    uint16_t port;
};

static struct site site;
static char text[FILE_SIZE], log_text[FILE_SIZE], scene[FILE_SIZE];

static const char *path(const char *name) {
    return broker_path(&site.broker, name);
}

static size_t slurp(const char *name, char *bytes) {
    FILE *file = fopen(path(name), "re");
    size_t size = file ? fread(bytes, 1, FILE_SIZE - 1, file) : 0;
    if (file)
        fclose(file);
    bytes[size] = '\0';
    return size;
}

static void spill(const char *name, const char *bytes, size_t size) {
    FILE *file = fopen(path(name), "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void wait_for(const char *name, const char *part) {
    for (int64_t end_us = now_mono_us() + DEADLINE_US; now_mono_us() < end_us; (void)poll(NULL, 0, 10))
        if (slurp(name, text) && strstr(text, part))
            return;
    fail_msg("no '%s' in %s: %.6000s", part, name, text);
}

static void replace(char *bytes, const char *what, const char *with) {
    static char rest[FILE_SIZE];
    char *at = strstr(bytes, what);
    assert_non_null(at);
    snprintf(rest, sizeof(rest), "%s", at + strlen(what));
    snprintf(at, FILE_SIZE - (size_t)(at - bytes), "%s%s", with, rest);
}

/* The demo's site, on this test's line, port and broker; its broker asks for a password, which stands in the file. */
static void write_config(void) {
    char number[160];
    FILE *file = fopen(SOURCE_DIR "/config/demo.yaml", "re");
    assert_non_null(file);
    scene[fread(scene, 1, sizeof(scene) - 1, file)] = '\0';
    fclose(file);
    replace(scene, "serial: /tmp/yanhuo-shed", "serial: LINE");
    replace(scene, "LINE", path("line"));
    snprintf(number, sizeof(number), "127.0.0.1:%u\"}                               # [demo]", (unsigned)site.port);
    replace(scene, "127.0.0.1:15020\"}                               # [demo]", number);
    snprintf(number, sizeof(number), "\"mqtt://127.0.0.1:%u\", username: u, password: \"" SECRET "\",", (unsigned)site.broker.port);
    replace(scene, "\"mqtt://127.0.0.1:18830\",", number);
    broker_write(&site.broker, "site.yaml", scene);
}

static pid_t start(int from_fd, const char *output, const char *const arguments[]) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int to = open(output, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (from_fd >= 0)
        dup2(from_fd, STDIN_FILENO);
    dup2(to, STDOUT_FILENO);
    dup2(to, STDERR_FILENO);
    execv(PROGRAM, (char *const *)arguments);
    _exit(127);
}

static int ends(pid_t *pid, int number) {
    int status = 0;
    if (*pid <= 0)
        return -1;
    if (number)
        kill(*pid, number);
    waitpid(*pid, &status, 0);
    *pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs to its end; what it printed is in `text`. */
static int run(const char *a, const char *b, const char *c, const char *d, const char *e) {
    (void)unlink(path("printed"));
    pid_t pid = start(-1, path("printed"), (const char *const[]){PROGRAM, a, b, c, d, e, NULL});
    int status = ends(&pid, 0);
    slurp("printed", text);
    return status;
}

static int ask(const char *verb, const char *alarm) {
    pid_t pid = start(-1, path("asked"), (const char *const[]){PROGRAM, "command", "-s", path("state"), verb, "device=smoke-1", alarm, NULL});
    return ends(&pid, 0);
}

static void gateway_start(const char *size) {
    site.gateway = start(-1, path("log"), (const char *const[]){PROGRAM, "run", "-c", path("site.yaml"), "-s", path("state"), "--record", path("ring"),
                                                                "--record-size", size, NULL});
}

static int begin(void **state) {
    int in[2];
    (void)state;
    memset(&site, 0, sizeof(site));
    broker_init(&site.broker);
    broker_password(&site.broker, "u", SECRET);
    char lines[256];
    snprintf(lines, sizeof(lines), "allow_anonymous false\npassword_file %s\n", path("passwords"));
    broker_start(&site.broker, lines);
    site.port = broker_free_port();
    assert_int_equal(mkdir(path("state"), 0700), 0);
    write_config();
    assert_int_equal(pipe(in), 0);
    assert_int_equal(fcntl(in[1], F_SETFD, FD_CLOEXEC), 0);
    site.to_simulator = in[1];
    site.simulator = start(in[0], path("field"), (const char *const[]){PROGRAM, "simulate", path("site.yaml"), "--still", "--until-eof", NULL});
    close(in[0]);
    wait_for("field", "ready");
    return 0;
}

static int finish(void **state) {
    (void)state;
    ends(&site.gateway, SIGKILL);
    close(site.to_simulator);
    ends(&site.simulator, SIGKILL);
    broker_done(&site.broker);
    return 0;
}

static void say(const char *words) {
    assert_int_equal(write(site.to_simulator, words, strlen(words)), (ssize_t)strlen(words));
}

/* Every line of the replay stands in the log, in the same order; the log holds the shells' lines between them. */
static void assert_in_log(void) {
    slurp("log", log_text);
    const char *at = log_text;
    unsigned count = 0;
    for (char *line = strtok(text, "\n"); line && strncmp(line, "-- ", 3) != 0; line = strtok(NULL, "\n"), count++) {
        char wanted[1024];
        snprintf(wanted, sizeof(wanted), "%s\n", line + 12); /* behind the time, which the log takes a moment later */
        const char *found = strstr(at, wanted);
        if (!found)
            fail_msg("'%s' is not in the log, or not behind the one before: %.6000s", line, log_text);
        at = found + strlen(wanted);
    }
    assert_true(count > 8);
}

static void a_recording_does_the_same_again(void **state) {
    (void)state;
    gateway_start("16MB");
    wait_for("log", "uplink city up");
    say("set smoke-1/smoke alarm\n");
    wait_for("log", "alarm smoke-1/smoke unacknowledged");
    wait_for("log", "action cut-branch held");
    assert_int_equal(ask("acknowledge", "alarm=no-such"), 1); /* what is refused is an event too */
    assert_int_equal(ask("acknowledge", "alarm=smoke"), 0);
    wait_for("log", "alarm smoke-1/smoke acknowledged");
    assert_int_equal(ends(&site.gateway, SIGTERM), 0);
    size_t size = slurp("ring", scene);
    assert_null(memmem(scene, size, SECRET, strlen(SECRET)));
    assert_non_null(memmem(scene, size, "xxxxxxxxxxxxxxxxxx", strlen(SECRET)));

    broker_run(&site.broker, "mv site.yaml away.yaml"); /* nothing of the machine is needed */
    int status = run("replay", path("ring"), NULL, NULL, NULL);
    if (status != 0)
        fail_msg("replay ends with %d: %.6000s", status, text);
    assert_non_null(strstr(text, "alarm smoke-1/smoke unacknowledged"));
    assert_non_null(strstr(text, "action cut-branch held"));
    assert_non_null(strstr(text, "alarm smoke-1/smoke acknowledged"));
    assert_non_null(strstr(text, "\nsame\n"));
    assert_null(strstr(text, "made to fit"));
    assert_in_log();
    assert_int_equal(run("replay", path("ring"), "--trace", NULL, NULL), 0);
    assert_non_null(strstr(text, "effect send yanhuo/v1/demo-01/event"));
    assert_int_equal(run("replay", path("ring"), "--until", "2001-01-01T00:00:00Z", NULL), 0);
    assert_null(strstr(text, "alarm smoke-1/smoke"));
    assert_int_equal(run("replay", path("ring"), "--from", "2101-01-01T00:00:00Z", NULL), 0);
    assert_null(strstr(text, "alarm smoke-1/smoke un"));
    broker_run(&site.broker, "mv away.yaml site.yaml");
}

/* The first frame of this kind whose body holds these bytes; the frame's place. */
static size_t find_frame(size_t size, enum frame_kind wanted, unsigned skip, struct bytes_reader *ret_body) {
    struct bytes_reader reader;
    enum frame_kind kind;
    bool damaged;
    bytes_reader_init(&reader, (const uint8_t *)scene, size);
    reader.position = RECORD_MAGIC_SIZE;
    for (size_t at = reader.position; frame_get(&reader, &kind, ret_body, &damaged); at = reader.position)
        if (kind == wanted && skip-- == 0)
            return at;
    fail_msg("there is no frame of kind %d", (int)wanted);
    return 0;
}

static void seal(size_t at, size_t size) {
    uint32_t sum = frame_check((const uint8_t *)scene + at, scene + at + FRAME_HEAD_SIZE, size);
    for (unsigned i = 0; i < 4; i++)
        scene[at + FRAME_HEAD_SIZE + size + i] = (char)(sum >> 8 * i);
}

/* After the test above. */
static void what_is_damaged_is_told(void **state) {
    (void)state;
    struct bytes_reader body;
    size_t size = slurp("ring", scene), at = find_frame(size, FRAME_STEP, 20, &body);
    assert_true(size > 10000);
    spill("cut", scene, at + 9);
    assert_int_equal(run("replay", path("cut"), NULL, NULL, NULL), 0); /* what is there was the same */
    assert_non_null(strstr(text, "damaged: the recording is cut or damaged after event 20\n"));

    scene[at + FRAME_HEAD_SIZE] ^= 1; /* the hash of what was wanted: as if the program did something else now */
    seal(at, body.size);
    spill("other", scene, size);
    assert_int_equal(run("replay", path("other"), NULL, NULL, NULL), 1);
    assert_non_null(strstr(text, "differs: first at event 21 ("));
    assert_non_null(strstr(text, "alarm smoke-1/smoke acknowledged"));
    assert_null(strstr(text, "decisions: ")); /* it decides the same all the same */

    slurp("ring", scene);
    at = find_frame(size, FRAME_START, 0, &body);
    scene[at + FRAME_HEAD_SIZE + 12] ^= 0x40;
    spill("start", scene, size);
    assert_int_equal(run("replay", path("start"), NULL, NULL, NULL), 2);
    spill("empty", scene, 0);
    assert_int_equal(run("replay", path("empty"), NULL, NULL, NULL), 2);
    assert_int_equal(run("replay", path("nowhere"), NULL, NULL, NULL), 2);
    assert_int_equal(run("replay", path("site.yaml"), NULL, NULL, NULL), 2);
    assert_non_null(strstr(text, "is no recording"));
    assert_int_equal(run("replay", path("ring"), "--from", "yesterday", NULL), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recording_does_the_same_again),
        cmocka_unit_test(what_is_damaged_is_told),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
