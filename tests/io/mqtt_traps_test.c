/* SPDX-License-Identifier: Apache-2.0 */
/* What the library does badly when nobody looks: each known trap is a test. Brokers that are killed, stalled, old (dead
 * and silent ones: mqtt_links_test.c);
 * a name service that hangs; many connections. */
#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/now.h"
#include "gateway/io/mqtt_link.h"
#include "tests/io/broker.h"
#include "tests/io/fake_broker.h"
#include "tests/io/mqtt_watch.h"

static atomic_int hang_ms; /* how long the name service takes for "hung.example", which then is 127.0.0.1 */

/* Stands before the C library's for the whole program, so also for the MQTT library. */
int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict ret_addresses) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (node && strcmp(node, "hung.example") == 0) {
        watch_sleep_ms(hang_ms);
        node = "127.0.0.1";
    }
    return real(node, service, hints, ret_addresses);
}

/* MQTTAsync_destroy up to 1.3.13 leaks the publishes its send thread has not yet taken, which the tests here provoke. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libpaho-mqtt3as\n";
}

struct fixture {
    struct broker broker;
    struct fake_broker fake;
    struct watch watch;
};

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    broker_init(&fixture->broker);
    fake_broker_start(&fixture->fake);
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
    fake_broker_stop(&fixture->fake);
    broker_done(&fixture->broker);
    free(fixture);
    return 0;
}

static void open_and_connect(struct fixture *fixture) {
    watch_open(&fixture->watch, NULL);
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_ups(&fixture->watch, 0, 1, 5000);
}

static void open_to_fake(struct fixture *fixture) {
    fixture->watch.configs[0].mqtt.brokers[0].port = fixture->fake.port;
    watch_open(&fixture->watch, NULL);
}

/* Every slot is answered once, what was queued in the library is not sent later, and the next connection starts clean. */
static void test_killed_with_messages_in_flight(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    broker_start(&fixture->broker, "allow_anonymous true\nmax_inflight_messages 100\n");
    open_and_connect(fixture);
    for (unsigned round = 1; round <= 5; round++) {
        broker_pause(&fixture->broker);
        for (uint16_t slot = 0; slot < 100; slot++) /* 6 MB: more than a socket takes, so that most stay in the library */
            watch_send(watch, 0, slot, "yanhuo/v1/test/event", round == 1 ? 200 : 60000, 1, false);
        watch_sleep_ms(100);
        broker_kill(&fixture->broker);
        watch_wait_downs(watch, 0, round, 5000);
        watch_wait_answers(watch, 0, 100 * round, 5000);
        struct watch_uplink uplink = watch_read(watch, 0);
        assert_int_equal(uplink.last_down.reason, LINK_LOST);
        assert_int_equal(uplink.acked[ACK_LOST], 100 * round);
        broker_restart(&fixture->broker);
        mqtt_connect(watch->mqtt, 0, 0);
        watch_wait_ups(watch, 0, round + 1, 5000);
    }
    watch_sleep_ms(300);
    char command[160];
    snprintf(command, sizeof command, "! grep -q 'Received PUBLISH' '%s/mosquitto.log'", fixture->broker.folder);
    broker_run(&fixture->broker, command);
    watch_pump(watch, 0, 100, 300, 200);
    assert_int_equal(watch_read(watch, 0).acked[ACK_OK], 300);
    watch_done(watch);
}

static void test_killed_under_way(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    broker_start(&fixture->broker, NULL);
    open_and_connect(fixture);
    for (unsigned round = 1; round <= 10; round++) {
        watch_pump(watch, 0, 20, 100, 2000);
        for (uint16_t slot = 1; slot <= 20; slot++)
            watch_send(watch, 0, slot, "yanhuo/v1/test/event", 2000, 1, false);
        broker_kill(&fixture->broker);
        watch_wait_downs(watch, 0, round, 5000);
        watch_wait_answers(watch, 0, 120 * round, 5000);
        broker_restart(&fixture->broker);
        mqtt_connect(watch->mqtt, 0, 0);
        watch_wait_ups(watch, 0, round + 1, 5000);
    }
    watch_done(watch);
}

/* Closing does not wait for a broker that does not answer, with the window full and the library's queue blocked. */
static void test_close_with_stopped_broker(void **state) {
    struct fixture *fixture = *state;
    broker_start(&fixture->broker, NULL);
    open_and_connect(fixture);
    broker_pause(&fixture->broker);
    for (uint16_t slot = 0; slot < 100; slot++)
        watch_send(&fixture->watch, 0, slot, "yanhuo/v1/test/event", 60000, 1, false);
    watch_done(&fixture->watch); /* within 3 s, each slot answered */
}

/* Pings are answered, messages are not: only the stall guard sees it. */
static void test_stall_guard(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    watch->configs[0].mqtt.keepalive_s = 1;
    fixture->fake.mute = true;
    open_to_fake(fixture);
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_ups(watch, 0, 1, 5000);
    watch_sleep_ms(3500); /* idle is no stall; and the message that follows, taking the short way, wakes no pump */
    assert_true(watch_read(watch, 0).up);
    watch_send(watch, 0, 5, "yanhuo/v1/test/event", 200, 1, false);
    int64_t before_us = now_mono_us();
    watch_wait_downs(watch, 0, 1, 5000);
    watch_wait_answers(watch, 0, 1, 1000);
    struct watch_uplink uplink = watch_read(watch, 0);
    assert_true(uplink.down_at_us - before_us > 2500000);
    assert_int_equal(uplink.last_down.reason, LINK_LOST);
    assert_string_equal(uplink.last_down.text, "no acknowledgement for 3 s");
    fixture->fake.mute = false;
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_ups(watch, 0, 2, 5000);
    watch_pump(watch, 0, 20, 100, 200);
    assert_int_equal(watch_read(watch, 0).acked[ACK_OK], 100);
    watch_done(watch);
}

static void expect_version_4(struct fixture *fixture, unsigned connects5, unsigned connects4) {
    struct watch *watch = &fixture->watch;
    unsigned ups = watch_read(watch, 0).ups;
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_ups(watch, 0, ups + 1, 5000);
    struct watch_uplink uplink = watch_read(watch, 0);
    assert_int_equal(uplink.last_up.version, 4);
    assert_int_equal(uplink.last_up.receive_max, 65535);
    assert_int_equal(fixture->fake.connects5, connects5);
    assert_int_equal(fixture->fake.connects4, connects4);
    watch_pump(watch, 0, 20, 50, 200);
    assert_true(watch_read(watch, 0).up); /* the refused subscription did not matter */
    assert_true(fixture->fake.subscribes > 0);
    mqtt_disconnect(watch->mqtt, 0);
    watch_wait_downs(watch, 0, uplink.downs + 1, 3000);
}

static void test_old_broker_says_so(void **state) {
    struct fixture *fixture = *state;
    fixture->fake.answer5 = FAKE_REFUSE;
    fixture->fake.code5 = 1;
    open_to_fake(fixture);
    expect_version_4(fixture, 1, 1);
    expect_version_4(fixture, 1, 2); /* remembered */
    fixture->fake.answer4 = FAKE_REFUSE;
    fixture->fake.code4 = 4;
    unsigned downs = watch_read(&fixture->watch, 0).downs;
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_downs(&fixture->watch, 0, downs + 1, 5000);
    struct watch_uplink uplink = watch_read(&fixture->watch, 0);
    assert_int_equal(uplink.last_down.reason, LINK_CREDENTIALS);
    assert_int_equal(uplink.last_down.code, 4);
    assert_string_equal(uplink.last_down.text, "127.0.0.1 does not accept the user name or password (code 4)");
    watch_done(&fixture->watch);
}

static void test_new_style_version_refusal(void **state) {
    struct fixture *fixture = *state;
    fixture->fake.answer5 = FAKE_REFUSE;
    fixture->fake.code5 = 0x84;
    open_to_fake(fixture);
    expect_version_4(fixture, 1, 1);
    watch_done(&fixture->watch);
}

static void test_old_broker_hangs_up(void **state) {
    struct fixture *fixture = *state;
    fixture->fake.answer5 = FAKE_HANG_UP;
    open_to_fake(fixture);
    expect_version_4(fixture, 1, 1);
    expect_version_4(fixture, 2, 2); /* asked for 5 again: it may only have been restarting */
    watch_done(&fixture->watch);
}

static void test_refusals(void **state) {
    struct fixture *fixture = *state;
    open_to_fake(fixture);
    fixture->fake.answer5 = FAKE_REFUSE;
    fixture->fake.code5 = 0x86;
    watch_expect_refusal(&fixture->watch, LINK_CREDENTIALS, "(0x86)", 5000);
    fixture->fake.code5 = 0x89;
    watch_expect_refusal(&fixture->watch, LINK_PROTOCOL, "127.0.0.1 refused: Server busy (0x89)", 5000);
    fixture->fake.answer5 = fixture->fake.answer4 = FAKE_HANG_UP;
    watch_expect_refusal(&fixture->watch, LINK_PROTOCOL, "hung up before MQTT began", 5000);
    watch_done(&fixture->watch);
}

static void test_told_to_leave(void **state) {
    struct fixture *fixture = *state;
    fixture->fake.leave_code = 0x8E;
    open_to_fake(fixture);
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_ups(&fixture->watch, 0, 1, 5000);
    watch_send(&fixture->watch, 0, 1, "yanhuo/v1/test/event", 10, 1, false);
    watch_wait_downs(&fixture->watch, 0, 1, 5000);
    struct watch_uplink uplink = watch_read(&fixture->watch, 0);
    assert_string_equal(uplink.last_down.text, "127.0.0.1: another client came with the client_id 'test-0'");
    watch_done(&fixture->watch);
}

/* One broker's name service hangs: the callers, and the other uplink, do not notice, and the next of the list is no prisoner of it. */
static void test_hung_name_service(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    hang_ms = 17000;
    watch->configs[1].mqtt.brokers[0].host = "hung.example";
    watch->configs[1].mqtt.brokers[1] = watch->configs[0].mqtt.brokers[0];
    watch->configs[1].mqtt.brokers_count = 2;
    watch->config.uplinks_count = 2;
    broker_start(&fixture->broker, NULL);
    open_and_connect(fixture);
    mqtt_connect(watch->mqtt, 1, 0);
    int64_t until_us = now_mono_us() + 2000000;
    unsigned answers = 0;
    while (now_mono_us() < until_us) {
        int64_t before_us = now_mono_us();
        watch_send(watch, 0, 0, "yanhuo/v1/test/event", 200, 1, false);
        assert_true(now_mono_us() - before_us < 100000);
        watch_wait_answers(watch, 0, ++answers, 500);
        watch_sleep_ms(50);
    }
    watch_wait_downs(watch, 1, 1, 16000);
    struct watch_uplink uplink = watch_read(watch, 1);
    assert_int_equal(uplink.last_down.reason, LINK_UNREACHABLE);
    assert_string_equal(uplink.last_down.text, "the name service does not answer for hung.example");
    mqtt_connect(watch->mqtt, 1, 1); /* the next of the list has nothing to do with it */
    watch_wait_ups(watch, 1, 1, 1500);
    watch_send(watch, 1, 0, "yanhuo/v1/test/event", 200, 1, false);
    watch_wait_answers(watch, 1, 1, 500);
    mqtt_disconnect(watch->mqtt, 1);
    watch_wait_downs(watch, 1, 2, 3000);
    hang_ms = 0;
    mqtt_connect(watch->mqtt, 1, 0); /* takes up the look-up that is still under way */
    watch_wait_ups(watch, 1, 2, 8000);
    mqtt_disconnect(watch->mqtt, 1);
    watch_wait_downs(watch, 1, 3, 3000);
    hang_ms = 1000;
    mqtt_connect(watch->mqtt, 1, 0);
    watch_sleep_ms(100);
    mqtt_disconnect(watch->mqtt, 1);
    watch_wait_downs(watch, 1, 5, 3000); /* one for the connect, one for the disconnect */
    mqtt_connect(watch->mqtt, 1, 1);
    watch_wait_ups(watch, 1, 3, 5000);
    watch_sleep_ms(1000); /* the look-up of the first ends meanwhile, and is nobody's */
    assert_true(watch_read(watch, 1).up);
    mqtt_disconnect(watch->mqtt, 1);
    watch_wait_downs(watch, 1, 6, 3000);
    hang_ms = 10000;
    mqtt_connect(watch->mqtt, 1, 0);
    watch_sleep_ms(100);
    watch_done(watch); /* within 3 s although the name service hangs */
}

static bool is_direct(struct watch *watch, uint16_t uplink) {
    pthread_mutex_lock(&watch->mqtt->gate);
    bool direct = watch->mqtt->links[uplink].direct;
    pthread_mutex_unlock(&watch->mqtt->gate);
    return direct;
}

static void wait_direct(struct watch *watch, uint16_t uplink, bool direct) {
    for (unsigned i = 0; i < 500 && is_direct(watch, uplink) != direct; i++)
        watch_sleep_ms(10);
    assert_int_equal(is_direct(watch, uplink), direct);
}

/* The library hangs for one uplink, with its lock held. The other's messages take the short way before and after, not meanwhile:
 * no call waits, order is kept, and all are answered in the end. */
static void test_short_way_is_shut_while_another_connects(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    watch->configs[1].mqtt.brokers[0].host = "hung.example";
    watch->config.uplinks_count = 2;
    broker_start(&fixture->broker, NULL);
    open_and_connect(fixture);
    wait_direct(watch, 0, true);
    watch_send(watch, 0, 0, "yanhuo/v1/test/event", 200, 1, false);
    watch_wait_answers(watch, 0, 1, 5000);
    hang_ms = 300; /* the probe's share; the library asks after it */
    mqtt_connect(watch->mqtt, 1, 0);
    watch_sleep_ms(150);
    hang_ms = 2500;
    wait_direct(watch, 0, false);
    watch_sleep_ms(300); /* now the library is in the name service */
    for (uint16_t slot = 1; slot < 10; slot++) {
        int64_t before_us = now_mono_us();
        watch_send(watch, 0, slot, "yanhuo/v1/test/event", 200, 1, false);
        assert_true(now_mono_us() - before_us < 500000);
        assert_false(is_direct(watch, 0));
    }
    watch_wait_ups(watch, 1, 1, 8000);
    watch_wait_answers(watch, 0, 10, 5000);
    wait_direct(watch, 0, true);
    wait_direct(watch, 1, true);
    hang_ms = 0;
    mqtt_disconnect(watch->mqtt, 1);
    watch_wait_downs(watch, 1, 1, 3000);
    assert_false(is_direct(watch, 1));
    wait_direct(watch, 0, true);
    watch_send(watch, 0, 0, "yanhuo/v1/test/event", 200, 1, false);
    watch_wait_answers(watch, 0, 11, 5000);
    watch_done(watch);
}

/* The library itself hangs in the name service, with its lock held: closing gives up on the pump. */
static void test_close_while_library_hangs(void **state) {
    struct fixture *fixture = *state;
    struct watch *watch = &fixture->watch;
    hang_ms = 0;
    watch->configs[0].mqtt.brokers[0].host = "hung.example";
    watch_open(watch, NULL);
    broker_start(&fixture->broker, NULL);
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_ups(watch, 0, 1, 5000);
    broker_stop(&fixture->broker);
    watch_wait_downs(watch, 0, 1, 5000);
    hang_ms = 300; /* the probe's share; the library asks after it */
    mqtt_connect(watch->mqtt, 0, 0);
    watch_sleep_ms(150);
    hang_ms = 5000;
    watch_sleep_ms(1000);
    int64_t before_us = now_mono_us();
    mqtt_send(watch->mqtt, 0, 0, "yanhuo/v1/test/event", "x", 1, 1, false);
    assert_true(now_mono_us() - before_us < 100000);
    mqtt_close(watch->mqtt);
    watch->mqtt = NULL;
    assert_true(now_mono_us() - before_us < 3100000);
    unsigned downs = watch_read(watch, 0).downs;
    watch_sleep_ms(4000); /* what comes back late reports nothing any more */
    assert_int_equal(watch_read(watch, 0).downs, downs);
    hang_ms = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_with_messages_in_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_with_stopped_broker, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stall_guard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_broker_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_style_version_refusal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_broker_hangs_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_told_to_leave, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hung_name_service, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_way_is_shut_while_another_connects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_while_library_hangs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
