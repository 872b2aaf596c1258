/* SPDX-License-Identifier: Apache-2.0 */
/* The real gateway, killed again and again while readings and alarms flow through a real broker to a subscriber. After each kill:
 * the files are whole, and what they hold is noted as committed. At the end every committed entry has reached the subscriber;
 * what came twice came under the same id with the same content; and per stream readings came in the order of their times.
 * In between its state is replaced by an older copy, damaged, and made unusable, as by people and cards: no id may come twice
 * with different contents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <fcntl.h>
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

#include "base/fnv.h"
#include "base/now.h"
#include "base/prng.h"
#include "base/text.h"
#include "broker.h"
#include "cut_disk.h"
#include "field_program.h"
#include "spool_dump.h"
#include "subscriber.h"

#define SLOTS (1u << 21)
#define POINTS 100
#define COMMIT_ENTRIES 60 /* what can be acknowledged between two commits, which bring the cursor */
#define DELIVERY_US 60000000
#define MOMENT_US 600000  /* several alarms */
#define COMMIT_US 1100000 /* and a commit of readings */

struct known { /* one id */
    uint64_t start, seq, content;
    bool committed, received;
};

static struct {
    struct field_program *program;
    struct broker broker;
    struct prng prng;
    struct subscriber subscriber;
    pid_t gateway;
    char state[96];
    struct known *known;
    unsigned received, twice, committed, restarts;
    char last_time[2][2][40]; /* of the two devices: live, replayed */
    bool level_high;
} world;

/* ---- ids ---- */

static struct known *known_of(uint64_t start, uint64_t seq) {
    for (uint64_t i = (start ^ seq * UINT64_C(0x9E3779B97F4A7C15)) % SLOTS;; i = (i + 1) % SLOTS) {
        struct known *known = &world.known[i];
        if (known->seq == 0)
            *known = (struct known){.start = start, .seq = seq};
        if (known->start == start && known->seq == seq)
            return known;
    }
}

static uint64_t content_of(const char *text) {
    uint64_t sum = FNV_START;
    for (; *text; text++) {
        static const char mark[] = "\"replayed\":";
        if (strncmp(text, mark, sizeof(mark) - 1) == 0)
            text = strchr(text, ',');
        sum = fnv_add(sum, text, 1);
    }
    return sum;
}

/* "TOPIC {"id":"t-START-SEQ",...": only entries have such an id at their beginning. */
static void take_line(const char *line) {
    const char *payload = strchr(line, ' ');
    unsigned long long start, seq;
    if (!payload || (!strstr(line, "/event ") && !strstr(line, "/reading/")) || !strstr(payload, "\"id\":\"t-"))
        return;
    assert_int_equal(sscanf(strstr(payload, "\"id\":\"t-"), "\"id\":\"t-%16llx-%llu\"", &start, &seq), 2);
    struct known *known = known_of(start, seq);
    uint64_t content = content_of(payload);
    if (known->received) {
        world.twice++;
        if (known->content != content)
            fail_msg("one id, two contents: %s", line);
        return;
    }
    known->received = true;
    known->content = content;
    world.received++;
    const char *time = strstr(payload, "\"t\":\"");
    if (!strstr(line, "/reading/") || !time)
        return;
    char *last = world.last_time[strstr(line, "/reading/smoke") != NULL][strstr(payload, "\"replayed\":true") != NULL];
    char text[40] = "";
    memcpy(text, time + 5, strcspn(time + 5, "\"") % sizeof(text));
    if (strcmp(text, last) < 0)
        fail_msg("after %s came %s", last, line);
    memcpy(last, text, sizeof(text));
}

static void note_committed(void *context, const struct entry *entry) {
    (void)context;
    struct known *known = known_of(entry->start, entry->seq);
    world.committed += !known->committed;
    known->committed = true;
}

static unsigned missing(void) {
    unsigned count = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        count += world.known[i].committed && !world.known[i].received;
    return count;
}

/* What lies only in a state that is taken away cannot come. */
static void forget_missing(void) {
    for (unsigned i = 0; i < SLOTS; i++)
        if (!world.known[i].received)
            world.known[i].committed = false;
}

/* ---- processes ---- */

static void write_site(void) {
    FILE *file = fopen(world.program->config, "w");
    assert_non_null(file);
    fprintf(file,
            "gateway: {id: t}\nbuses: {net: {tcp: \"127.0.0.1:%u\"}}\nstore: {readings_commit: 1s}\ndevices:\n"
            "  smoke: {bus: net, unit_id: 1, points: {level: {read: holding, address: 0, type: u16, every: 100ms}}}\n"
            "  meter: {bus: net, unit_id: 2, points: {\n",
            world.program->port);
    for (unsigned i = 0; i < POINTS; i++)
        fprintf(file, "    p%u: {read: holding, address: %u, type: u16, every: 100ms}%s\n", i, i, i + 1 < POINTS ? "," : "}}");
    fprintf(file,
            "alarms:\n  high: {point: smoke/level, above: 5, class: electrical, priority: high}\n"
            "  fire: {point: smoke/level, above: 7, class: fire, priority: high}\n"
            "uplinks: {city: {mqtt: \"mqtt://127.0.0.1:%u\", readings: {batch: 200ms, on_change: false}}}\n",
            world.broker.port);
    assert_int_equal(fclose(file), 0);
}

static bool answers(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", world.state);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return connected;
}

static void gateway_start(void) {
    char control[128];
    snprintf(control, sizeof(control), "%s/control", world.state);
    unlink(control);
    world.gateway = fork();
    assert_true(world.gateway >= 0);
    if (world.gateway == 0) {
        int log = open("/dev/null", O_WRONLY);
        dup2(log, STDERR_FILENO);
        execl(PROGRAM, PROGRAM, "run", "-c", world.program->config, "-s", world.state, (char *)NULL);
        _exit(127);
    }
    for (int64_t end_us = now_mono_us() + FIELD_DEADLINE_US; !answers(); subscriber_read(&world.subscriber, 10))
        assert_true(now_mono_us() < end_us);
    world.restarts++;
}

/* Alarms five times a second and readings all the time, for so long. */
static void flow(int64_t for_us) {
    for (int64_t end_us = now_mono_us() + for_us; now_mono_us() < end_us;) {
        world.level_high = !world.level_high;
        field_command(world.program, world.level_high ? "set smoke/level 9" : "set smoke/level 0", "ok");
        int64_t step_us = now_mono_us() + 100000;
        while (now_mono_us() < step_us && now_mono_us() < end_us)
            subscriber_read(&world.subscriber, 5);
    }
}

static void gateway_kill(void) {
    char path[128];
    kill(world.gateway, SIGKILL);
    waitpid(world.gateway, NULL, 0);
    world.gateway = 0;
    snprintf(path, sizeof(path), "%s/history.db", world.state);
    if (access(path, F_OK) == 0)
        assert_string_equal(cut_integrity(path), "ok");
    snprintf(path, sizeof(path), "%s/spool.db", world.state);
    if (access(path, F_OK) != 0)
        return;
    assert_string_equal(cut_integrity(path), "ok");
    assert_true(spool_dump(path, note_committed, NULL));
}

static void shell(const char *command) {
    char line[512];
    snprintf(line, sizeof(line), "cd '%s' && %s", world.program->folder, command);
    assert_int_equal(system(line), 0);
}

static int begin(void **state) {
    void *program;
    memset(&world, 0, sizeof(world));
    if (field_begin(&program) != 0)
        return -1;
    world.program = program;
    world.known = calloc(SLOTS, sizeof(*world.known));
    assert_non_null(world.known);
    prng_init(&world.prng, 5);
    snprintf(world.state, sizeof(world.state), "%s/state", world.program->folder);
    assert_int_equal(mkdir(world.state, 0700), 0);
    broker_init(&world.broker);
    broker_start(&world.broker, "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n");
    write_site();
    field_launch_ready(world.program);
    subscriber_start(&world.subscriber, world.broker.port, NULL, take_line);
    *state = &world;
    return 0;
}

static int finish(void **state) {
    if (world.gateway > 0) {
        kill(world.gateway, SIGKILL);
        waitpid(world.gateway, NULL, 0);
    }
    subscriber_stop(&world.subscriber);
    broker_done(&world.broker);
    shell("rm -rf state older unusable");
    free(world.known);
    *state = world.program;
    return field_finish(state);
}

/* Everything that was committed comes. */
static void deliver(void) {
    gateway_start();
    for (int64_t end_us = now_mono_us() + DELIVERY_US; missing() && now_mono_us() < end_us;)
        for (int64_t until_us = now_mono_us() + 500000; now_mono_us() < until_us;)
            subscriber_read(&world.subscriber, 20);
    assert_int_equal(missing(), 0);
}

static void killed_at_random(void **state) {
    (void)state;
    unsigned kills = getenv("YANHUO_SOAK") ? 200 : 6;
    for (unsigned i = 0; i < kills; i++) {
        gateway_start();
        flow(50000 + (int64_t)prng_below(&world.prng, 1500000));
        gateway_kill();
    }
    deliver();
    printf("%u kills: %u committed entries met, %u received, %u of them twice or more\n", kills, world.committed, world.received, world.twice);
    assert_true(world.committed > 10 * kills && world.received >= world.committed);
    assert_true(world.twice <= (kills + 1) * (WINDOW_DEFAULT + COMMIT_ENTRIES));
    gateway_kill();
}

static void restored_cloned_damaged_unusable(void **state) {
    (void)state;
    gateway_start();
    flow(COMMIT_US);
    gateway_kill();
    shell("cp -r state older");
    for (unsigned i = 0; i < 2; i++) { /* the same copy twice: restored, and cloned */
        gateway_start();
        flow(COMMIT_US);
        gateway_kill();
        forget_missing();
        shell("rm -rf state && cp -r older state");
    }
    gateway_start();
    flow(MOMENT_US);
    gateway_kill();
    shell("dd if=/dev/urandom of=state/spool.db bs=4096 count=20 conv=notrunc 2>/dev/null"); /* put aside */
    forget_missing();
    gateway_start();
    flow(MOMENT_US);
    gateway_kill();
    shell("mv state older/state && mkdir -p state/lock"); /* a folder that cannot be used: from memory, until it can */
    gateway_start();
    flow(MOMENT_US);
    shell("rmdir state/lock");
    char path[128];
    snprintf(path, sizeof(path), "%s/spool.db", world.state);
    for (int64_t end_us = now_mono_us() + FIELD_DEADLINE_US; access(path, F_OK) != 0; flow(100000))
        assert_true(now_mono_us() < end_us); /* without a restart */
    flow(MOMENT_US);
    gateway_kill();
    assert_true(missing() > 0 || world.committed > 0);
    deliver();
    assert_true(world.restarts == 7 && world.received > 100);
}

/* Two gateways with a broker and a field each, side by side: most of it is waiting. */
int main(void) {
    const struct CMUnitTest random[] = {cmocka_unit_test_setup_teardown(killed_at_random, begin, finish)};
    const struct CMUnitTest replaced[] = {cmocka_unit_test_setup_teardown(restored_cloned_damaged_unusable, begin, finish)};
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        exit(cmocka_run_group_tests_name("kill, replaced", replaced, NULL, NULL));
    int failed = cmocka_run_group_tests_name("kill", random, NULL, NULL), status = -1;
    return failed + (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0);
}
