/* SPDX-License-Identifier: Apache-2.0 */
/* The ways in which a broker is there and does not answer, all of them at once, beside one uplink that works: nobody who calls waits, the one that works is as quick as
 * ever, and each of the others is told in its time and for its reason. Then the ways in which a broker that answers makes trouble. And
 * connections that are dead. A name service that hangs, and brokers that are killed: mqtt_traps_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/now.h"
#include "tests/io/broker.h"
#include "tests/io/fake_broker.h"
#include "tests/io/mqtt_watch.h"

#define FAKES 3

/* MQTTAsync_destroy up to 1.3.13 leaks the publishes its send thread has not yet taken, which the tests here provoke. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libpaho-mqtt3as\n";
}

struct fixture {
    struct broker broker;
    struct fake_broker fakes[FAKES];
    struct watch watch;
};

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    broker_init(&fixture->broker);
    for (unsigned i = 0; i < FAKES; i++)
        fake_broker_start(&fixture->fakes[i]);
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
    for (unsigned i = 0; i < FAKES; i++)
        fake_broker_stop(&fixture->fakes[i]);
    broker_done(&fixture->broker);
    free(fixture);
    return 0;
}

enum { WORKS, TLS_HANGS, SILENT, MUTE, LINKS };

/* How long the link took from `from_us` until it was told as down, in seconds. */
static double down_after_s(struct watch *watch, uint16_t uplink, int64_t from_us, enum link_reason reason, const char *text) {
    struct watch_uplink seen = watch_read(watch, uplink);
    double seconds = (double)(seen.down_at_us - from_us) / 1e6;
    print_message("  %4.1f s: %s\n", seconds, seen.last_down.text);
    assert_int_equal(seen.downs, 1);
    assert_int_equal(seen.last_down.reason, reason);
    assert_non_null(strstr(seen.last_down.text, text));
    return seconds;
}

static void no_answer_in_every_way(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    watch->config.uplinks_count = LINKS;
    for (unsigned i = 0; i < FAKES; i++)
        watch->configs[TLS_HANGS + i].mqtt.brokers[0].port = fixture->fakes[i].port;
    watch->configs[TLS_HANGS].mqtt.brokers[0].tls = true;
    fixture->fakes[0].deaf = true;
    fixture->fakes[1].answer5 = fixture->fakes[1].answer4 = FAKE_SILENT;
    fixture->fakes[2].mute = true;
    watch->configs[MUTE].mqtt.keepalive_s = 3;
    broker_start(&fixture->broker, NULL);
    watch_open(watch, NULL);
    mqtt_connect(watch->mqtt, WORKS, 0);
    mqtt_connect(watch->mqtt, MUTE, 0);
    watch_wait_ups(watch, WORKS, 1, 5000);
    watch_wait_ups(watch, MUTE, 1, 5000);
    int64_t from_us = now_mono_us(), worst_call_us = 0, worst_us = 0;
    for (uint16_t slot = 0; slot < 100; slot++) /* its window is full */
        watch_send(watch, MUTE, slot, "yanhuo/v1/test/event", 200, 1, false);
    mqtt_connect(watch->mqtt, TLS_HANGS, 0);
    mqtt_connect(watch->mqtt, SILENT, 0);
    unsigned answers = 0, downs = 0;
    while (downs < LINKS - 1) {
        int64_t before_us = now_mono_us();
        assert_true(before_us - from_us < 30000000);
        watch_send(watch, WORKS, 0, "yanhuo/v1/test/event", 200, 1, false);
        int64_t call_us = now_mono_us() - before_us;
        watch_wait_answers(watch, WORKS, ++answers, 5000);
        int64_t took_us = now_mono_us() - before_us;
        worst_call_us = call_us > worst_call_us ? call_us : worst_call_us;
        worst_us = took_us > worst_us ? took_us : worst_us;
        watch_sleep_ms(20);
        downs = 0;
        for (uint16_t i = TLS_HANGS; i < LINKS; i++)
            downs += watch_read(watch, i).downs;
    }
    print_message("worst call %.1f ms, worst acknowledgement of the uplink that works %.1f ms, of %u\n", (double)worst_call_us / 1e3,
                  (double)worst_us / 1e3, answers);
    assert_true(worst_call_us < 100000 && worst_us < 500000); /* on a busy machine; usually a few milliseconds */
    assert_true(watch_read(watch, WORKS).up);
    assert_true(down_after_s(watch, TLS_HANGS, from_us, LINK_UNREACHABLE, "takes connections but does not answer") < 25);
    assert_true(down_after_s(watch, SILENT, from_us, LINK_UNREACHABLE, "takes connections but does not answer") < 25);
    assert_true(down_after_s(watch, MUTE, from_us, LINK_LOST, "no acknowledgement for 9 s") < 11);
    watch_wait_answers(watch, MUTE, 100, 1000);
    assert_int_equal(watch_read(watch, MUTE).acked[ACK_LOST], 100);
    watch_done(watch);
}

static void open_and_connect(struct fixture *fixture) {
    watch_open(&fixture->watch, NULL);
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_ups(&fixture->watch, 0, 1, 5000);
}

/* Half-open: the connection stands and nobody answers. With the shortest keepalive that a site may write. */
static void dead_with_traffic(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    watch->configs[0].mqtt.keepalive_s = 5;
    broker_start(&fixture->broker, NULL);
    open_and_connect(fixture);
    broker_pause(&fixture->broker);
    int64_t before_us = now_mono_us();
    for (uint16_t slot = 0; slot < 20; slot++)
        watch_send(watch, 0, slot, "yanhuo/v1/test/event", 200, 1, false);
    watch_wait_downs(watch, 0, 1, 10000);
    watch_wait_answers(watch, 0, 20, 1000);
    struct watch_uplink uplink = watch_read(watch, 0);
    print_message("stopped broker noticed after %.1f s with keepalive 5 s: %s\n", (double)(uplink.down_at_us - before_us) / 1e6,
                  uplink.last_down.text);
    assert_int_equal(uplink.last_down.reason, LINK_LOST);
    assert_true(uplink.down_at_us - before_us < 7500000);
    assert_int_equal(uplink.acked[ACK_LOST], 20);
    broker_resume(&fixture->broker);
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_ups(watch, 0, 2, 5000);
    watch_pump(watch, 0, 20, 100, 200);
    watch_done(watch);
}

static void dead_without_traffic(void **state) {
    struct fixture *fixture = *state;
    fixture->watch.configs[0].mqtt.keepalive_s = 5;
    broker_start(&fixture->broker, NULL);
    open_and_connect(fixture);
    broker_pause(&fixture->broker);
    int64_t before_us = now_mono_us();
    watch_wait_downs(&fixture->watch, 0, 1, 10000);
    assert_true(watch_read(&fixture->watch, 0).down_at_us - before_us < 7500000);
    watch_done(&fixture->watch);
}

/* The same while the socket is full, so that not even a ping gets out: the stall guard's three times the keepalive. */
static void dead_with_a_full_socket(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    watch->configs[0].mqtt.keepalive_s = 2;
    broker_start(&fixture->broker, "allow_anonymous true\nmax_inflight_messages 100\n");
    open_and_connect(fixture);
    broker_pause(&fixture->broker);
    int64_t before_us = now_mono_us();
    for (uint16_t slot = 0; slot < 100; slot++)
        watch_send(watch, 0, slot, "yanhuo/v1/test/event", 60000, 1, false);
    watch_wait_downs(watch, 0, 1, 8000);
    assert_true(watch_read(watch, 0).down_at_us - before_us < 7000000);
    watch_wait_answers(watch, 0, 100, 1000);
    watch_done(watch);
}

/* What the broker allows is passed on, and a window of it goes through at once. */
static void receive_maximum_below_the_window(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    watch->configs[0].mqtt.brokers[0].port = fixture->fakes[0].port;
    fixture->fakes[0].receive_max = 3;
    watch_open(watch, NULL);
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_ups(watch, 0, 1, 5000);
    assert_int_equal(watch_read(watch, 0).last_up.receive_max, 3);
    int64_t before_us = now_mono_us();
    watch_pump(watch, 0, 3, 300, 200);
    assert_true(now_mono_us() - before_us < 5000000);
    assert_int_equal(watch_read(watch, 0).acked[ACK_OK], 300);
    watch_done(watch);
}

/* Each refused message is told with its reason; the connection stays. */
static void acknowledged_with_an_error(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    static const uint8_t reasons[] = {0x80, 0x83, 0x87, 0x90, 0x97, 0x99};
    watch->configs[0].mqtt.brokers[0].port = fixture->fakes[0].port;
    watch_open(watch, NULL);
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_ups(watch, 0, 1, 5000);
    for (unsigned i = 0; i < sizeof reasons; i++) {
        fixture->fakes[0].reason = reasons[i];
        watch_send(watch, 0, 0, "yanhuo/v1/test/event", 200, 1, false);
        watch_wait_answers(watch, 0, i + 1, 5000);
        assert_int_equal(watch_read(watch, 0).acked[ACK_REFUSED], i + 1);
        assert_int_equal(watch_read(watch, 0).last_code, reasons[i]);
    }
    fixture->fakes[0].reason = 0x10; /* nobody subscribes to it: that is no refusal */
    watch_send(watch, 0, 0, "yanhuo/v1/test/event", 200, 1, false);
    watch_wait_answers(watch, 0, sizeof reasons + 1, 5000);
    assert_int_equal(watch_read(watch, 0).acked[ACK_OK], 1);
    assert_true(watch_read(watch, 0).up);
    watch_done(watch);
}

/* Two clients of one name at a real broker. mosquitto 2.0.11 (Debian 12) just hangs up on the first, 2.0.21 (Debian 13) says why. What
 * becomes of it when they go on like that: same_client_id in tests/unit/uplink_broker_test.c. */
static void same_client_id(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    watch->config.uplinks_count = 2;
    watch->configs[1].mqtt.client_id = watch->configs[0].mqtt.client_id;
    broker_start(&fixture->broker, NULL);
    watch_open(watch, NULL);
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_ups(watch, 0, 1, 5000);
    mqtt_connect(watch->mqtt, 1, 0);
    watch_wait_ups(watch, 1, 1, 5000);
    watch_wait_downs(watch, 0, 1, 5000);
    struct watch_uplink first = watch_read(watch, 0);
    assert_int_equal(first.last_down.reason, LINK_LOST);
    assert_true(strstr(first.last_down.text, "127.0.0.1:") && (strstr(first.last_down.text, " broke") || strstr(first.last_down.text, "another client")));
    assert_true(watch_read(watch, 1).up);
    watch_done(watch);
}

/* The second of a list takes what the first does not, and the first again when it is back. */
static void list_of_brokers(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    watch->configs[0].mqtt.brokers[1] = (struct config_broker){.host = "127.0.0.1", .port = fixture->fakes[0].port};
    watch->configs[0].mqtt.brokers_count = 2;
    fixture->fakes[0].answer5 = FAKE_REFUSE; /* and speaks another version of MQTT, which must not stick to the first */
    fixture->fakes[0].code5 = 1;
    watch_open(watch, NULL);
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_downs(watch, 0, 1, 5000);
    assert_int_equal(watch_read(watch, 0).last_down.reason, LINK_REFUSED_TCP);
    mqtt_connect(watch->mqtt, 0, 1);
    watch_wait_ups(watch, 0, 1, 5000);
    assert_int_equal(watch_read(watch, 0).last_up.version, 4);
    watch_pump(watch, 0, 20, 50, 200);
    assert_true(fixture->fakes[0].publishes == 50);
    broker_start(&fixture->broker, NULL);
    mqtt_disconnect(watch->mqtt, 0);
    watch_wait_downs(watch, 0, 2, 5000);
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_ups(watch, 0, 2, 5000);
    assert_int_equal(watch_read(watch, 0).last_up.version, 5);
    watch_pump(watch, 0, 20, 50, 200);
    assert_int_equal(watch_read(watch, 0).acked[ACK_OK], 100);
    assert_true(fixture->fakes[0].publishes == 50);
    watch_done(watch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_answer_in_every_way, setup, teardown),
        cmocka_unit_test_setup_teardown(dead_with_traffic, setup, teardown),
        cmocka_unit_test_setup_teardown(dead_without_traffic, setup, teardown),
        cmocka_unit_test_setup_teardown(dead_with_a_full_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(receive_maximum_below_the_window, setup, teardown),
        cmocka_unit_test_setup_teardown(acknowledged_with_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(same_client_id, setup, teardown),
        cmocka_unit_test_setup_teardown(list_of_brokers, setup, teardown),
    };
    return cmocka_run_group_tests_name("links", tests, NULL, NULL);
}
