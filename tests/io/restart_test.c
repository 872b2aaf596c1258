/* SPDX-License-Identifier: Apache-2.0 */
/* The real gateway while its broker is restarted again and again, at random, with readings and alarms flowing: in the end a subscriber
 * with a durable session has every entry that the gateway gave out (their numbers have no hole), each with one content. A hundred
 * restarts with YANHUO_SOAK, twelve otherwise. And the whole gateway with a list of brokers, and with a rule that was removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/now.h"
#include "base/prng.h"
#include "broker.h"
#include "field_program.h"
#include "subscriber.h"

#define ENTRIES_MAX 200000
#define DELIVERY_US 60000000

static struct {
    struct field_program *program;
    struct broker broker;
    struct prng prng;
    struct subscriber subscriber;
    pid_t gateway;
    char state[96];
    unsigned char *seen; /* by number */
    unsigned long long start, last_alarm;
    unsigned received, twice, alarms, changes;
    bool high, health_names_broker;
    bool told_high, told_removed, cleared; /* of the alarm "high" */
} world;

/* "TOPIC {"id":"t-START-SEQ",...": only entries have such an id at their beginning. */
static void take_line(const char *line) {
    const char *id = strstr(line, " {\"id\":\"t-");
    unsigned long long start, seq;
    char broker[64];
    snprintf(broker, sizeof(broker), "\"connects\":1,\"broker\":\"127.0.0.1:%u\"", world.broker.port);
    world.health_names_broker |= strstr(line, "/health ") && strstr(line, broker);
    world.told_high |= strstr(line, "/alarm/smoke/high {") != NULL;
    world.cleared |= world.told_high && strcmp(line, "yanhuo/v1/t/alarm/smoke/high ") == 0;
    world.told_removed |= strstr(line, "/event ") && strstr(line, "\"kind\":\"removed\"") && strstr(line, "\"class\":\"fire\",\"priority\":\"high\"");
    if (!id || (!strstr(line, "/event ") && !strstr(line, "/reading/")))
        return;
    assert_int_equal(sscanf(id, " {\"id\":\"t-%16llx-%llu\"", &start, &seq), 2);
    assert_true(world.start == 0 || world.start == start);
    assert_true(seq > 0 && seq < ENTRIES_MAX);
    world.start = start;
    world.twice += world.seen[seq];
    world.received += !world.seen[seq];
    if (!world.seen[seq] && strstr(line, "/event ") && strstr(line, "\"kind\":\"alarm\"") && strstr(line, "\"alarm\":\"high\"")) {
        world.alarms++;
        if (strstr(line, "\"value\":77"))
            world.last_alarm = seq;
    }
    world.seen[seq] = 1;
}

#define RULES "alarms: {high: {point: smoke/level, above: 5, class: fire, priority: high}}\n"

/* `first` comes before the broker in the list; 0: there is no list. */
static void write_site(uint16_t first, const char *rules) {
    char list[96] = "";
    if (first)
        snprintf(list, sizeof(list), "\"mqtt://127.0.0.1:%u\", ", first);
    FILE *file = fopen(world.program->config, "w");
    assert_non_null(file);
    fprintf(file,
            "gateway: {id: t}\nbuses: {net: {tcp: \"127.0.0.1:%u\"}}\ndevices:\n"
            "  smoke: {bus: net, unit_id: 1, points: {level: {read: holding, address: 0, type: u16, every: 50ms}}}\n"
            "  meter: {bus: net, unit_id: 2, points: {current: {read: holding, address: 0, type: u16, every: 50ms}}}\n"
            "%suplinks: {city: {mqtt: [%s\"mqtt://127.0.0.1:%u\"], readings: {batch: 100ms, on_change: false}}}\n",
            world.program->port, rules, list, world.broker.port);
    assert_int_equal(fclose(file), 0);
}

static void gateway_start(void) {
    world.gateway = fork();
    assert_true(world.gateway >= 0);
    if (world.gateway == 0) {
        int log = open("/dev/null", O_WRONLY);
        dup2(log, STDERR_FILENO);
        execl(PROGRAM, PROGRAM, "run", "-c", world.program->config, "-s", world.state, (char *)NULL);
        _exit(127);
    }
}

/* Alarms come and go and readings flow, for so long. */
static void flow(int64_t for_us) {
    for (int64_t end_us = now_mono_us() + for_us; now_mono_us() < end_us;) {
        world.high = !world.high;
        world.changes++;
        field_command(world.program, world.high ? "set smoke/level 9" : "set smoke/level 0", "ok");
        for (int64_t step_us = now_mono_us() + 150000; now_mono_us() < step_us;)
            subscriber_read(&world.subscriber, 5);
    }
}

static int begin(void **state) {
    void *program;
    memset(&world, 0, sizeof(world));
    if (field_begin(&program) != 0)
        return -1;
    world.program = program;
    world.seen = calloc(ENTRIES_MAX, 1);
    assert_non_null(world.seen);
    prng_init(&world.prng, 9);
    snprintf(world.state, sizeof(world.state), "%s/state", world.program->folder);
    assert_int_equal(mkdir(world.state, 0700), 0);
    broker_init(&world.broker);
    char lines[256];
    snprintf(lines, sizeof(lines),
             "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\npersistence true\npersistence_location %s/\n",
             world.broker.folder);
    broker_start(&world.broker, lines);
    write_site(0, RULES);
    field_launch_ready(world.program);
    subscriber_start(&world.subscriber, world.broker.port, "subscriber", take_line);
    *state = &world;
    return 0;
}

static int finish(void **state) {
    char command[160];
    if (world.gateway > 0) {
        kill(world.gateway, SIGKILL);
        waitpid(world.gateway, NULL, 0);
    }
    subscriber_stop(&world.subscriber);
    broker_done(&world.broker);
    snprintf(command, sizeof(command), "rm -rf '%s'", world.state);
    assert_int_equal(system(command), 0);
    free(world.seen);
    *state = world.program;
    return field_finish(state);
}

/* Every number up to that of the last alarm. */
static bool complete(void) {
    unsigned long long seq = 1;
    while (seq <= world.last_alarm && world.seen[seq])
        seq++;
    return world.last_alarm && seq > world.last_alarm;
}

static void print_missing(void) {
    unsigned told = 0;
    printf("last alarm %llu; missing:", world.last_alarm);
    for (unsigned long long seq = 1; seq <= world.last_alarm && told < 20; seq++)
        if (!world.seen[seq]) {
            printf(" %llu", seq);
            told++;
        }
    printf("\n");
}

static void restarted_at_random(void **state) {
    (void)state;
    bool soak = getenv("YANHUO_SOAK") != NULL;
    unsigned restarts = soak ? 100 : 12;
    gateway_start();
    flow(1000000);
    for (unsigned i = 0; i < restarts; i++) {
        flow((int64_t)prng_below(&world.prng, soak ? 12000000 : 700000));
        broker_stop(&world.broker); /* it keeps what it has acknowledged; one that does not may lose it without us */
        if (prng_below(&world.prng, 2))
            flow((int64_t)prng_below(&world.prng, soak ? 4000000 : 300000));
        broker_restart(&world.broker);
    }
    flow(500000);
    field_command(world.program, "set smoke/level 0", "ok");
    for (int64_t until_us = now_mono_us() + 500000; now_mono_us() < until_us;)
        subscriber_read(&world.subscriber, 20);
    field_command(world.program, "set smoke/level 77", "ok"); /* the last alarm, known by its value */
    for (int64_t end_us = now_mono_us() + DELIVERY_US; !complete() && now_mono_us() < end_us;)
        subscriber_read(&world.subscriber, 20);
    printf("%u restarts: %u entries received, %u twice or more, %u of %u changes of the alarm\n", restarts, world.received, world.twice, world.alarms,
           world.changes);
    if (!complete())
        print_missing();
    assert_true(complete());
    assert_true(world.alarms > world.changes / 2 && world.received > 10 * restarts);
}

/* Nobody is at the first: the whole gateway goes on to the second, delivers there, and its health says so. */
static void second_of_the_list(void **state) {
    (void)state;
    write_site(broker_free_port(), RULES);
    gateway_start();
    field_command(world.program, "set smoke/level 77", "ok");
    for (int64_t end_us = now_mono_us() + FIELD_DEADLINE_US; !(complete() && world.health_names_broker) && now_mono_us() < end_us;)
        subscriber_read(&world.subscriber, 20);
    assert_true(complete());
    assert_true(world.health_names_broker);
}

/* What a new subscriber finds of the alarm: `wanted` is the shell's condition for the text. */
static void expect_retained(const char *wanted) {
    char command[256];
    snprintf(command, sizeof(command), "test %s \"$(mosquitto_sub -p %u -q 1 -t yanhuo/v1/t/alarm/smoke/high --retained-only -C 1 -W 2)\"", wanted,
             world.broker.port);
    broker_run(&world.broker, command);
}

/* The rule of an open alarm is taken out and the gateway started again: it is told, and nothing of it is retained any more. */
static void removed_rule(void **state) {
    (void)state;
    gateway_start();
    field_command(world.program, "set smoke/level 77", "ok");
    for (int64_t end_us = now_mono_us() + FIELD_DEADLINE_US; !(complete() && world.told_high) && now_mono_us() < end_us;)
        subscriber_read(&world.subscriber, 20);
    assert_true(complete() && world.told_high);
    expect_retained("-n");
    assert_int_equal(kill(world.gateway, SIGTERM), 0);
    assert_int_equal(waitpid(world.gateway, NULL, 0), world.gateway);
    subscriber_read(&world.subscriber, 100);
    world.start = 0; /* another follows */
    write_site(0, "");
    gateway_start();
    for (int64_t end_us = now_mono_us() + FIELD_DEADLINE_US; !(world.cleared && world.told_removed) && now_mono_us() < end_us;)
        subscriber_read(&world.subscriber, 20);
    assert_true(world.cleared && world.told_removed);
    expect_retained("-z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(second_of_the_list, begin, finish),
        cmocka_unit_test_setup_teardown(removed_rule, begin, finish),
        cmocka_unit_test_setup_teardown(restarted_at_random, begin, finish),
    };
    return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
