/* SPDX-License-Identifier: Apache-2.0 */
/* The MQTT transport against a real mosquitto: the ordinary life of a connection, and what a person gets wrong. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/now.h"
#include "tests/io/broker.h"
#include "tests/io/memory.h"
#include "tests/io/mqtt_watch.h"

/* MQTTAsync_destroy up to 1.3.13 leaks the publishes its send thread has not yet taken; a broker killed with messages in flight
 * may meet that here, on a busy machine. Whatever is taken outside the library is still looked for, but for what its callbacks take:
 * that is compared by the test of reconnecting. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libpaho-mqtt3as\n";
}

struct fixture {
    struct broker broker;
    struct watch watch;
};

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    broker_init(&fixture->broker);
    watch_init(&fixture->watch, fixture->broker.port);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    if (fixture->watch.mqtt) {
        mqtt_close(fixture->watch.mqtt);
        fixture->watch.mqtt = NULL;
    }
    broker_done(&fixture->broker);
    free(fixture);
    return 0;
}

static void open_and_connect(struct fixture *fixture) {
    watch_open(&fixture->watch, NULL);
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_ups(&fixture->watch, 0, 1, 5000);
}

static void test_window(struct fixture *fixture, unsigned window, uint16_t receive_max, const char *lines) {
    broker_start(&fixture->broker, lines);
    open_and_connect(fixture);
    int64_t before_us = now_mono_us();
    watch_pump(&fixture->watch, 0, window, 2000, 200);
    double seconds = (double)(now_mono_us() - before_us) / 1e6;
    struct watch_uplink uplink = watch_read(&fixture->watch, 0);
    print_message("window %u: %.0f messages/s\n", window, 2000 / seconds);
    assert_int_equal(uplink.acked[ACK_OK], 2000);
    assert_int_equal(uplink.last_up.version, 5);
    assert_int_equal(uplink.last_up.receive_max, receive_max);
    assert_true(seconds < 5); /* the library's flow control, if it ever held us, would take 15 s and more */
    watch_done(&fixture->watch);
}

static void test_window_1(void **state) {
    test_window(*state, 1, 20, NULL);
}

static void test_window_20_is_the_receive_maximum(void **state) {
    test_window(*state, 20, 20, NULL); /* mosquitto's own default */
}

static void test_window_100(void **state) {
    test_window(*state, 100, 100, "allow_anonymous true\nmax_inflight_messages 100\n");
}

/* 8,000 messages after the first 2,000: when one byte of a message stayed, in the library or before it, this would fail. */
static void test_memory_stands_still(void **state) {
    struct fixture *fixture = *state;
    broker_start(&fixture->broker, "allow_anonymous true\nmax_inflight_messages 100\n");
    open_and_connect(fixture);
    watch_pump(&fixture->watch, 0, 100, 2000, 200);
    watch_sleep_ms(200); /* the library frees a message after its answer */
    size_t before = memory_in_use(), after = SIZE_MAX;
    watch_pump(&fixture->watch, 0, 100, 8000, 200);
    for (unsigned i = 0; i < 100 && after > before + 4096; i++) {
        watch_sleep_ms(20);
        after = memory_in_use();
    }
    print_message("in use: %zu kB, 8,000 messages later %zu kB\n", before / 1024, after / 1024);
    assert_true(after <= before + 4096);
    watch_done(&fixture->watch);
}

static void test_sparse_latency(void **state) {
    struct fixture *fixture = *state;
    broker_start(&fixture->broker, NULL);
    open_and_connect(fixture);
    int64_t total_us = 0, worst_us = 0;
    for (unsigned i = 0; i < 50; i++) {
        watch_sleep_ms(20);
        int64_t before_us = now_mono_us();
        watch_send(&fixture->watch, 0, 0, "yanhuo/v1/test/event", 200, 1, false);
        watch_wait_answers(&fixture->watch, 0, i + 1, 5000);
        int64_t took_us = now_mono_us() - before_us;
        total_us += took_us;
        worst_us = took_us > worst_us ? took_us : worst_us;
    }
    print_message("sparse publish to acknowledgement: average %.2f ms, worst %.2f ms\n", (double)total_us / 50e3, (double)worst_us / 1e3);
    assert_true(total_us / 50 < 50000);
    assert_int_equal(mqtt_busy_us(fixture->watch.mqtt), 0);
    watch_done(&fixture->watch);
}

static void test_independent_subscriber(void **state) {
    struct fixture *fixture = *state;
    char command[256], line[128] = "";
    broker_start(&fixture->broker, NULL);
    snprintf(command, sizeof command, "exec mosquitto_sub -h 127.0.0.1 -p %u -q 1 -C 2 -W 10 -F '%%t %%q %%r %%l %%p' -t 'yanhuo/#'",
             (unsigned)fixture->broker.port);
    memcpy(fixture->watch.payload, "{\"v\":1.5}", 9);
    open_and_connect(fixture);
    watch_send(&fixture->watch, 0, 3, "yanhuo/v1/test/alarm/smoke-1/smoke", 9, 1, true);
    watch_wait_answers(&fixture->watch, 0, 1, 5000);
    FILE *subscriber = popen(command, "re");
    assert_non_null(subscriber);
    assert_non_null(fgets(line, sizeof line, subscriber));
    assert_string_equal(line, "yanhuo/v1/test/alarm/smoke-1/smoke 1 1 9 {\"v\":1.5}\n"); /* retained: it came before the subscriber */
    watch_send(&fixture->watch, 0, 3, "yanhuo/v1/test/event", 9, 0, false);
    assert_non_null(fgets(line, sizeof line, subscriber));
    assert_string_equal(line, "yanhuo/v1/test/event 0 0 9 {\"v\":1.5}\n");
    assert_int_equal(pclose(subscriber), 0);
    watch_wait_answers(&fixture->watch, 0, 2, 5000); /* QoS 0: answered when it was written */
    watch_done(&fixture->watch);
}

static void test_broker_down_then_up(void **state) {
    struct fixture *fixture = *state;
    watch_open(&fixture->watch, NULL);
    watch_expect_refusal(&fixture->watch, LINK_REFUSED_TCP, "refuses connections", 5000);
    watch_expect_refusal(&fixture->watch, LINK_REFUSED_TCP, "refuses connections", 5000);
    watch_send(&fixture->watch, 0, 7, "yanhuo/v1/test/event", 10, 1, false); /* nobody is there: lost at once */
    watch_wait_answers(&fixture->watch, 0, 1, 1000);
    assert_int_equal(watch_read(&fixture->watch, 0).acked[ACK_LOST], 1);
    broker_start(&fixture->broker, NULL);
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_ups(&fixture->watch, 0, 1, 5000);
    watch_pump(&fixture->watch, 0, 20, 100, 200);
    broker_stop(&fixture->broker);
    watch_wait_downs(&fixture->watch, 0, 3, 5000);
    assert_int_equal(watch_read(&fixture->watch, 0).last_down.reason, LINK_LOST);
    broker_restart(&fixture->broker);
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_ups(&fixture->watch, 0, 2, 5000);
    watch_pump(&fixture->watch, 0, 20, 100, 200);
    assert_int_equal(watch_read(&fixture->watch, 0).acked[ACK_OK], 200);
    watch_done(&fixture->watch);
}

static void test_no_such_host(void **state) {
    struct fixture *fixture = *state;
    fixture->watch.configs[0].mqtt.brokers[0].host = "no-such-host.invalid";
    watch_open(&fixture->watch, NULL);
    watch_expect_refusal(&fixture->watch, LINK_UNREACHABLE, "no-such-host.invalid has no address", 20000);
    watch_done(&fixture->watch);
}

static void test_password(void **state) {
    struct fixture *fixture = *state;
    broker_password(&fixture->broker, "nanhu", "right");
    char lines[256];
    snprintf(lines, sizeof lines, "allow_anonymous false\npassword_file %s\n", broker_path(&fixture->broker, "passwords"));
    broker_start(&fixture->broker, lines);
    fixture->watch.configs[0].mqtt.username = "nanhu";
    fixture->watch.configs[0].mqtt.password_credential = "mqtt-password";
    watch_open(&fixture->watch, fixture->broker.folder);
    watch_expect_refusal(&fixture->watch, LINK_CREDENTIALS, "credential mqtt-password cannot be read: No such file", 5000);
    broker_write(&fixture->broker, "mqtt-password", "wrong\n");
    watch_expect_refusal(&fixture->watch, LINK_CREDENTIALS, "127.0.0.1 does not accept user name, password or client", 5000);
    assert_int_equal(watch_read(&fixture->watch, 0).last_down.code, 0x87);
    broker_write(&fixture->broker, "mqtt-password", "right\n"); /* read anew, and without its newline */
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_ups(&fixture->watch, 0, 1, 5000);
    watch_done(&fixture->watch);
}

static void test_no_credentials_folder(void **state) {
    struct fixture *fixture = *state;
    fixture->watch.configs[0].mqtt.password_credential = "mqtt-password";
    watch_open(&fixture->watch, NULL);
    watch_expect_refusal(&fixture->watch, LINK_CREDENTIALS, "no credentials folder given", 5000);
    watch_done(&fixture->watch);
}

static void test_refused_topic(void **state) {
    struct fixture *fixture = *state;
    char lines[256];
    broker_write(&fixture->broker, "acl", "topic write yanhuo/v1/test/event\n"); /* not even our commands may be subscribed to */
    snprintf(lines, sizeof lines, "allow_anonymous true\nacl_file %s\n", broker_path(&fixture->broker, "acl"));
    broker_start(&fixture->broker, lines);
    open_and_connect(fixture);
    watch_send(&fixture->watch, 0, 1, "yanhuo/v1/test/health", 10, 1, false);
    watch_wait_answers(&fixture->watch, 0, 1, 5000);
    struct watch_uplink uplink = watch_read(&fixture->watch, 0);
    assert_int_equal(uplink.acked[ACK_REFUSED], 1);
    assert_int_equal(uplink.last_code, 0x87);
    watch_send(&fixture->watch, 0, 1, "yanhuo/v1/test/event", 10, 1, false);
    watch_wait_answers(&fixture->watch, 0, 2, 5000);
    assert_int_equal(watch_read(&fixture->watch, 0).acked[ACK_OK], 1);
    assert_true(watch_read(&fixture->watch, 0).up);
    watch_done(&fixture->watch);
}

static void publish(struct fixture *fixture, const char *options) {
    char command[256];
    snprintf(command, sizeof command, "mosquitto_pub -h 127.0.0.1 -p %u -q 1 %s", (unsigned)fixture->broker.port, options);
    broker_run(&fixture->broker, command);
}

/* A command that the broker has kept from before is not even sent to us; one that it keeps from now on is marked. */
static void test_commands(void **state) {
    struct fixture *fixture = *state;
    broker_start(&fixture->broker, NULL);
    publish(fixture, "-r -t yanhuo/v1/test/cmd/reset -m old");
    open_and_connect(fixture);
    watch_sleep_ms(200); /* the broker answers the subscription */
    publish(fixture, "-t yanhuo/v1/test/cmd/acknowledge -m new");
    watch_wait_received(&fixture->watch, 0, 1, 5000);
    struct watch_uplink uplink = watch_read(&fixture->watch, 0);
    assert_int_equal(uplink.received, 1);
    assert_int_equal(uplink.retained, 0);
    assert_string_equal(uplink.topic, "yanhuo/v1/test/cmd/acknowledge");
    assert_string_equal(uplink.payload, "new");
    publish(fixture, "-r -t yanhuo/v1/test/cmd/reset -m kept");
    watch_wait_received(&fixture->watch, 0, 2, 5000);
    uplink = watch_read(&fixture->watch, 0);
    assert_int_equal(uplink.retained, 1);
    assert_string_equal(uplink.payload, "kept");
    publish(fixture, "-t yanhuo/v1/test/cmd/reset/more -m deeper");
    publish(fixture, "-t yanhuo/v1/test/cmd/shelve -m last");
    watch_wait_received(&fixture->watch, 0, 3, 5000);
    assert_string_equal(watch_read(&fixture->watch, 0).payload, "last");
    watch_done(&fixture->watch);
}

static void test_no_commands_unless_configured(void **state) {
    struct fixture *fixture = *state;
    broker_start(&fixture->broker, NULL);
    fixture->watch.configs[0].commands = false;
    open_and_connect(fixture);
    watch_send(&fixture->watch, 0, 0, "yanhuo/v1/test/event", 10, 1, false);
    watch_wait_answers(&fixture->watch, 0, 1, 5000); /* whatever was subscribed to would be by now */
    publish(fixture, "-t yanhuo/v1/test/cmd/acknowledge -m new");
    watch_sleep_ms(200);
    assert_int_equal(watch_read(&fixture->watch, 0).received, 0);
    watch_done(&fixture->watch);
}

/* Ten thousand at once: a burst and what the time allows come through, the rest is counted, and publishing goes on. */
static void test_flood_of_commands(void **state) {
    struct fixture *fixture = *state;
    broker_start(&fixture->broker, "allow_anonymous true\nmax_queued_messages 0\n");
    open_and_connect(fixture);
    watch_sleep_ms(200);
    int64_t before_us = now_mono_us();
    broker_run(&fixture->broker, "yes x | head -n 10000 > flood");
    publish(fixture, "-l -t yanhuo/v1/test/cmd/acknowledge < flood");
    watch_pump(&fixture->watch, 0, 20, 200, 200);
    for (unsigned i = 0; i < 1000 && watch_read(&fixture->watch, 0).received + mqtt_dropped(fixture->watch.mqtt, 0) < 10000; i++)
        watch_sleep_ms(10);
    struct watch_uplink uplink = watch_read(&fixture->watch, 0);
    unsigned most = COMMANDS_BURST + (unsigned)((now_mono_us() - before_us) / 1000000 + 1) * COMMANDS_PER_S;
    assert_int_equal(uplink.received + mqtt_dropped(fixture->watch.mqtt, 0), 10000);
    assert_in_range(uplink.received, COMMANDS_BURST, most);
    assert_int_equal(uplink.acked[ACK_OK], 200);
    assert_true(uplink.up);
    watch_done(&fixture->watch);
}

/* What a subscriber finds under .../status after a gateway that connected was killed, or closed. */
static void status_after(struct fixture *fixture, bool killed, char *ret_text, size_t size) {
    int ready[2];
    char byte, command[256];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork(); /* before this process has any thread of the library, which a child would miss */
    assert_true(child >= 0);
    if (child == 0) {
        close(fixture->broker.guard_fd);
        watch_open(&fixture->watch, NULL);
        mqtt_connect(fixture->watch.mqtt, 0, 0);
        watch_wait_ups(&fixture->watch, 0, 1, 5000);
        watch_send(&fixture->watch, 0, 0, "yanhuo/v1/test/status", 6, 1, true);
        watch_wait_answers(&fixture->watch, 0, 1, 5000);
        if (killed) {
            (void)!write(ready[1], "k", 1);
            pause();
        }
        mqtt_close(fixture->watch.mqtt);
        (void)!write(ready[1], "c", 1);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    if (killed)
        kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    watch_sleep_ms(200);
    snprintf(command, sizeof command, "mosquitto_sub -h 127.0.0.1 -p %u -C 1 -W 5 -F '%%r %%p' -t yanhuo/v1/test/status",
             (unsigned)fixture->broker.port);
    FILE *subscriber = popen(command, "re");
    assert_non_null(subscriber);
    assert_non_null(fgets(ret_text, (int)size, subscriber));
    pclose(subscriber);
}

static void test_will(void **state) {
    struct fixture *fixture = *state;
    char text[64];
    memcpy(fixture->watch.payload, "online", 6);
    broker_start(&fixture->broker, NULL);
    status_after(fixture, false, text, sizeof text);
    assert_string_equal(text, "1 online\n");
    status_after(fixture, true, text, sizeof text);
    assert_string_equal(text, "1 offline\n");
}

static void test_disconnect(void **state) {
    struct fixture *fixture = *state;
    broker_start(&fixture->broker, NULL);
    watch_open(&fixture->watch, NULL);
    mqtt_disconnect(fixture->watch.mqtt, 0); /* of nothing: one link_down all the same */
    watch_wait_downs(&fixture->watch, 0, 1, 1000);
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_ups(&fixture->watch, 0, 1, 5000);
    for (uint16_t slot = 0; slot < 20; slot++)
        watch_send(&fixture->watch, 0, slot, "yanhuo/v1/test/event", 200, 1, false);
    mqtt_disconnect(fixture->watch.mqtt, 0); /* what is on its way is waited for */
    watch_wait_downs(&fixture->watch, 0, 2, 3000);
    struct watch_uplink uplink = watch_read(&fixture->watch, 0);
    assert_int_equal(uplink.last_down.reason, LINK_CLOSED);
    assert_int_equal(uplink.acked[ACK_OK], 20);
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    mqtt_disconnect(fixture->watch.mqtt, 0); /* in the middle: one for the connect, one for the disconnect */
    watch_wait_downs(&fixture->watch, 0, 4, 5000);
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_ups(&fixture->watch, 0, 2, 5000);
    assert_int_equal(watch_read(&fixture->watch, 0).downs, 4);
    watch_done(&fixture->watch);
}

struct use {
    size_t bytes;
    unsigned threads, descriptors;
};

static struct use use_now(void) {
    return (struct use){memory_in_use(), memory_threads(), memory_descriptors()};
}

/* 4 kB are forty bytes a reconnect in the short form and four in the long one. */
static bool use_is_more(const struct use *use, const struct use *before) {
    return use->bytes > before->bytes + 4096 + memory_cached_max() || use->threads > before->threads || use->descriptors > before->descriptors;
}

/* Ten uplinks at a time, because the library takes a second to connect a handle again; every second round all of them are lost with
 * their broker, the others are ended in order. What is in use after each pair of rounds must stand still: memory, threads, descriptors.
 * A thousand reconnects with YANHUO_SOAK, a hundred otherwise. */
static void test_reconnecting_leaks_nothing(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    bool soak = getenv("YANHUO_SOAK") != NULL;
    unsigned rounds = soak ? 100 : 10, warm = soak ? 20 : 4, reconnects = rounds * WATCH_UPLINKS;
    struct use before = {0}, after;
    broker_start(&fixture->broker, NULL);
    watch->config.uplinks_count = WATCH_UPLINKS;
    watch_open(watch, NULL);
    int64_t before_us = now_mono_us();
    for (unsigned round = 1; round <= rounds + warm; round++) {
        for (uint16_t i = 0; i < WATCH_UPLINKS; i++)
            mqtt_connect(watch->mqtt, i, 0);
        for (uint16_t i = 0; i < WATCH_UPLINKS; i++) {
            watch_wait_ups(watch, i, round, 10000);
            watch_send(watch, i, 0, "yanhuo/v1/test/event", 2000, 1, false);
            watch_wait_answers(watch, i, round, 5000);
        }
        if (round % 2) {
            broker_kill(&fixture->broker);
        } else {
            for (uint16_t i = 0; i < WATCH_UPLINKS; i++)
                mqtt_disconnect(watch->mqtt, i);
        }
        for (uint16_t i = 0; i < WATCH_UPLINKS; i++)
            watch_wait_downs(watch, i, round, 5000);
        if (round % 2)
            broker_restart(&fixture->broker);
        if (round == warm) {
            watch_sleep_ms(500); /* the library frees what it ended a little later */
            before = use_now();
        }
    }
    after = use_now();
    for (unsigned i = 0; i < 100 && use_is_more(&after, &before); i++) {
        watch_sleep_ms(20);
        after = use_now();
    }
    print_message("%u reconnects in %.1f s, in use before %zu, after %zu bytes, threads %u, %u, descriptors %u, %u\n", reconnects,
                  (double)(now_mono_us() - before_us) / 1e6, before.bytes, after.bytes, before.threads, after.threads, before.descriptors,
                  after.descriptors);
    assert_false(use_is_more(&after, &before));
    for (uint16_t i = 0; i < WATCH_UPLINKS; i++)
        assert_int_equal(watch_read(watch, i).acked[ACK_OK], rounds + warm);
    watch_done(watch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_will, setup, teardown), /* first: it forks */
        cmocka_unit_test_setup_teardown(test_window_1, setup, teardown),
        cmocka_unit_test_setup_teardown(test_window_20_is_the_receive_maximum, setup, teardown),
        cmocka_unit_test_setup_teardown(test_window_100, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_stands_still, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sparse_latency, setup, teardown),
        cmocka_unit_test_setup_teardown(test_independent_subscriber, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broker_down_then_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_such_host, setup, teardown),
        cmocka_unit_test_setup_teardown(test_password, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_credentials_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_topic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_commands_unless_configured, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flood_of_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disconnect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reconnecting_leaks_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
