/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a real gateway that hang: a line's thread in its driver, the store in its disk, the loop itself. The functions in which they
 * would hang are wrapped by the linker (tests/CMakeLists.txt), so that a test may hold them; the watch has short bounds here.
 * Two gateways with a story each run at once, because most of a story is waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/load.h"
#include "fake_slave.h"
#include "gateway/bridge.h"
#include "gateway/io/store.h"
#include "gateway/io/store_spool.h"
#include "gateway/run.h"
#include "sensors/rtu_line.h"

#define PATIENCE_MS 20000 /* longest wait for something that must happen */
#define LOOP_S 2
#define MS INT64_C(1000)

/* ---- what hangs ---- */

struct hooks { /* shared between the test and its gateway */
    atomic_int line; /* how many transactions hang */
    atomic_int line_hung;
    atomic_bool line_freed, store, loop;
};
static struct hooks own_hooks, *hooks = &own_hooks;

void __real_rtu_line_transact(struct rtu_line *line, const struct bus_request *request, struct bus_answer *ret_answer);
void __wrap_rtu_line_transact(struct rtu_line *line, const struct bus_request *request, struct bus_answer *ret_answer);
void __wrap_rtu_line_transact(struct rtu_line *line, const struct bus_request *request, struct bus_answer *ret_answer) {
    if (atomic_load(&hooks->line) > 0) {
        atomic_fetch_sub(&hooks->line, 1);
        atomic_fetch_add(&hooks->line_hung, 1);
        while (!atomic_load(&hooks->line_freed))
            fake_pause_ms(1);
    }
    __real_rtu_line_transact(line, request, ret_answer);
}

enum err __real_spool_commit(struct spool *spool, const struct run *run, struct database_failure *ret_failure);
enum err __wrap_spool_commit(struct spool *spool, const struct run *run, struct database_failure *ret_failure);
enum err __wrap_spool_commit(struct spool *spool, const struct run *run, struct database_failure *ret_failure) {
    while (atomic_load(&hooks->store))
        fake_pause_ms(1);
    return __real_spool_commit(spool, run, ret_failure);
}

int64_t __real_store_query_busy_us(struct store *store);
int64_t __wrap_store_query_busy_us(struct store *store);
int64_t __wrap_store_query_busy_us(struct store *store) { /* on the loop, each beat */
    while (atomic_load(&hooks->loop))
        fake_pause_ms(1);
    return __real_store_query_busy_us(store);
}

/* ---- whole gateways ---- */

struct gateway {
    struct hooks *hooks;
    pid_t pid;
    int master, slave; /* of its line, on which nobody answers */
    char dir[64], log[96], words[96], config[96];
    size_t seen; /* of the log: what was waited for lies before */
};

static struct vitals_bounds quick[VITALS_KINDS_COUNT];
static char text[65536];

static void gateway_make(struct gateway *gateway) {
    struct termios raw;
    char port[64];
    memset(gateway, 0, sizeof(*gateway));
    gateway->hooks = mmap(NULL, sizeof(*gateway->hooks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(gateway->hooks != MAP_FAILED);
    assert_int_equal(openpty(&gateway->master, &gateway->slave, port, NULL, NULL), 0);
    assert_int_equal(tcgetattr(gateway->slave, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(gateway->slave, TCSANOW, &raw), 0);
    assert_int_equal(fcntl(gateway->master, F_SETFL, O_NONBLOCK), 0);
    strcpy(gateway->dir, "/tmp/watch-XXXXXX");
    assert_non_null(mkdtemp(gateway->dir));
    snprintf(gateway->log, sizeof(gateway->log), "%s/log", gateway->dir);
    snprintf(gateway->words, sizeof(gateway->words), "%s/" LAST_WORDS_NAME, gateway->dir);
    snprintf(gateway->config, sizeof(gateway->config), "%s/gateway.yaml", gateway->dir);
    FILE *file = fopen(gateway->config, "w");
    assert_non_null(file);
    fprintf(file,
            "gateway: {id: t}\n"
            "buses: {line: {serial: %s, baud: 19200}}\n"
            "devices: {smoke: {bus: line, unit_id: 7, timeout: 50ms, points: {level: {read: holding, address: 3, type: u16, every: 100ms}}}}\n"
            "alarms: {smoke: {point: smoke/level, above: 5, class: fire}}\n",
            port);
    assert_int_equal(fclose(file), 0);
}

static void gateway_unmake(struct gateway *gateway) {
    char command[96];
    close(gateway->master);
    close(gateway->slave);
    munmap(gateway->hooks, sizeof(*gateway->hooks));
    snprintf(command, sizeof(command), "rm -r %s", gateway->dir);
    assert_int_equal(system(command), 0);
}

/* In the child. */
static int gateway_run(const struct gateway *gateway) {
    struct arena arena;
    struct diagnostics diagnostics;
    const struct config *config;
    int log = open(gateway->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(log, STDERR_FILENO);
    setenv("NOTIFY_SOCKET", "@nobody-listens-here", 1); /* as under a service manager */
    hooks = gateway->hooks;
    arena_init(&arena);
    diagnostics_init(&diagnostics);
    enum err err = config_load(gateway->config, config_profiles_dir(), &arena, &diagnostics, &config);
    diagnostics_print(&diagnostics, stderr);
    return err == ERR_OK ? run_gateway_at(config, gateway->dir, &(struct bridge_pace){.bounds = quick, .beat_ms = 200, .loop_s = LOOP_S}) : 2;
}

static const char *slurp(const char *path) {
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        fclose(file);
    text[length] = '\0';
    return text;
}

/* In the log, after what was waited for before. */
static void wait_log(struct gateway *gateway, const char *part) {
    for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 10, fake_pause_ms(10)) {
        const char *found = strstr(slurp(gateway->log) + gateway->seen, part);
        if (!found)
            continue;
        gateway->seen = (size_t)(found - text) + strlen(part);
        return;
    }
    fail_msg("not in the log: %s\n%s", part, text);
}

static void gateway_start(struct gateway *gateway) {
    gateway->pid = fork();
    assert_true(gateway->pid >= 0);
    if (gateway->pid == 0)
        _exit(gateway_run(gateway));
}

static int gateway_wait(struct gateway *gateway) {
    int status = 0;
    for (unsigned waited_ms = 0; waitpid(gateway->pid, &status, WNOHANG) == 0; waited_ms += 10, fake_pause_ms(10))
        if (waited_ms >= PATIENCE_MS) {
            kill(gateway->pid, SIGKILL);
            fail_msg("it does not end\n%s", slurp(gateway->log));
        }
    return status;
}

/* Whether it asks its line now. */
static void wait_polls(struct gateway *gateway) {
    char bytes[256];
    struct pollfd asks = {.fd = gateway->master, .events = POLLIN};
    while (read(gateway->master, bytes, sizeof(bytes)) > 0) {
    }
    assert_int_equal(poll(&asks, 1, PATIENCE_MS), 1);
}

/* In `twin` the line's thread hangs and so does its disk; in `other` every thread of the line. */
static void stuck_parts_are_replaced(struct gateway *twin, struct gateway *other) {
    wait_polls(twin);
    wait_polls(other);
    atomic_store(&twin->hooks->store, true);
    atomic_store(&twin->hooks->line, 1);
    atomic_store(&other->hooks->line, 1000);
    wait_log(twin, "bus line has a new thread");
    wait_log(twin, "part bus-line stuck");
    wait_log(twin, "alarm gateway/bus-line unacknowledged by=condition");
    wait_polls(twin);
    twin->seen = 0;
    wait_log(twin, "alarm gateway/store unacknowledged by=condition");
    wait_log(twin, "store volatile");
    atomic_store(&twin->hooks->store, false);
    twin->seen = 0;
    wait_log(twin, "part bus-line fine again");
    twin->seen = 0;
    wait_log(twin, "part store fine again");
    assert_null(strstr(slurp(twin->log), "ends itself"));
}

static void words_of_whom_nothing_helped(struct gateway *other) {
    wait_log(other, "part bus-line replaced times=1");
    wait_log(other, "part bus-line replaced times=2");
    wait_log(other, "bus-line is stuck and nothing else has helped");
    int status = gateway_wait(other); /* though three threads hang */
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), RUN_RESTART);
    assert_int_equal(atomic_load(&other->hooks->line_hung), 3);
    assert_non_null(strstr(slurp(other->words), "because bus-line was stuck"));
    assert_non_null(strstr(text, "\nrestarted for: bus-line"));
    assert_non_null(strstr(text, "not well: bus-line stuck"));
}

static void words_of_the_killed(struct gateway *twin) {
    assert_int_equal(kill(twin->pid, SIGABRT), 0); /* as the service manager's watchdog does */
    int status = gateway_wait(twin);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(slurp(twin->words), "killed by SIGABRT"));
    assert_non_null(strstr(text, "ms after the loop's last beat"));
    assert_non_null(strstr(text, "part store fine again")); /* of the log's last lines */
    assert_int_equal(strlen(text), LAST_WORDS_SIZE);
}

static void words_are_told_by_the_next(struct gateway *twin, struct gateway *other) {
    atomic_store(&other->hooks->line, 0);
    gateway_start(twin);
    gateway_start(other);
    wait_log(twin, "last words: every part was well");
    wait_log(twin, "the gateway before this one did not end in order: killed by SIGABRT");
    wait_log(other, "last words: not well: bus-line stuck");
    wait_log(other, "did not end in order: it ended itself to be started anew, because bus-line was stuck");
    wait_polls(twin);
    wait_polls(other);
}

static void a_dead_loop_is_killed(struct gateway *other) {
    atomic_store(&other->hooks->loop, true);
    atomic_store(&other->hooks->line, 1); /* late, so that the watch looks; the loop hangs there */
    int status = gateway_wait(other);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
    assert_non_null(strstr(slurp(other->words), "killed by its own watchdog: the loop, or the way down, hung"));
    assert_null(strstr(text, "restarted for"));
}

static void no_words_are_words_too(struct gateway *twin) {
    for (unsigned waited_ms = 0; !strstr(slurp(twin->words), "ended without a word"); waited_ms += 10, fake_pause_ms(10))
        assert_true(waited_ms < PATIENCE_MS);
    assert_int_equal(kill(twin->pid, SIGKILL), 0);
    assert_true(WIFSIGNALED(gateway_wait(twin)));
    gateway_start(twin);
    wait_log(twin, "did not end in order: ended without a word: power cut");
    wait_polls(twin);
    assert_int_equal(kill(twin->pid, SIGTERM), 0);
    assert_int_equal(gateway_wait(twin), 0);
    assert_int_not_equal(access(twin->words, F_OK), 0); /* in order: there is nothing to tell */
}

static void gateways_whose_parts_hang(void **state) {
    (void)state;
    struct gateway twin, other;
    for (unsigned i = 0; i < VITALS_KINDS_COUNT; i++)
        quick[i] = vitals_bounds_usual[i];
    /* An idle line shows progress each second. */
    quick[VITALS_LINE] = (struct vitals_bounds){.late_us = 1300 * MS, .stuck_us = 1700 * MS, .proof_us = 1400 * MS};
    quick[VITALS_STORE] = (struct vitals_bounds){.late_us = 700 * MS, .stuck_us = 1200 * MS, .proof_us = 400 * MS};
    gateway_make(&twin);
    gateway_make(&other);
    gateway_start(&twin);
    gateway_start(&other);
    stuck_parts_are_replaced(&twin, &other);
    words_of_the_killed(&twin);
    words_of_whom_nothing_helped(&other);
    words_are_told_by_the_next(&twin, &other);
    no_words_are_words_too(&twin);
    a_dead_loop_is_killed(&other);
    gateway_unmake(&twin);
    gateway_unmake(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gateways_whose_parts_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
