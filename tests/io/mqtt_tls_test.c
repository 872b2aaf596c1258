/* SPDX-License-Identifier: Apache-2.0 */
/* TLS: the chain and the host name are verified, and each thing that does not hold is told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/io/broker.h"
#include "tests/io/mqtt_watch.h"

struct fixture {
    struct broker broker;
    struct watch watch;
    char ca[128], other_ca[128], certificate[128], key[128];
};

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    broker_init(&fixture->broker);
    broker_certificates(&fixture->broker);
    watch_init(&fixture->watch, fixture->broker.port);
    snprintf(fixture->ca, sizeof fixture->ca, "%s", broker_path(&fixture->broker, "ca.pem"));
    snprintf(fixture->other_ca, sizeof fixture->other_ca, "%s", broker_path(&fixture->broker, "other-ca.pem"));
    snprintf(fixture->certificate, sizeof fixture->certificate, "%s", broker_path(&fixture->broker, "client.pem"));
    snprintf(fixture->key, sizeof fixture->key, "%s", broker_path(&fixture->broker, "client.key"));
    fixture->watch.configs[0].mqtt.brokers[0].tls = true;
    fixture->watch.configs[0].mqtt.ca_file = fixture->ca;
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

/* With server.pem or wrong.pem as the broker's certificate. */
static void start(struct fixture *fixture, const char *name, const char *more) {
    char lines[1024];
    const char *folder = fixture->broker.folder;
    snprintf(lines, sizeof lines, "allow_anonymous true\ncafile %s/ca.pem\ncertfile %s/%s.pem\nkeyfile %s/%s.key\n%s", folder, folder, name, folder,
             name, more);
    broker_start(&fixture->broker, lines);
}

static void expect_up(struct fixture *fixture) {
    unsigned ups = watch_read(&fixture->watch, 0).ups;
    mqtt_connect(fixture->watch.mqtt, 0, 0);
    watch_wait_ups(&fixture->watch, 0, ups + 1, 5000);
    watch_pump(&fixture->watch, 0, 20, 200, 200);
}

static void test_right_certificate(void **state) {
    struct fixture *fixture = *state;
    start(fixture, "server", "");
    watch_open(&fixture->watch, NULL);
    expect_up(fixture); /* by address */
    watch_done(&fixture->watch);
    watch_init(&fixture->watch, fixture->broker.port);
    fixture->watch.configs[0].mqtt.brokers[0].tls = true;
    fixture->watch.configs[0].mqtt.ca_file = fixture->ca;
    fixture->watch.configs[0].mqtt.brokers[0].host = "localhost";
    watch_open(&fixture->watch, NULL);
    expect_up(fixture); /* by name */
    watch_done(&fixture->watch);
}

static void test_wrong_ca(void **state) {
    struct fixture *fixture = *state;
    fixture->watch.configs[0].mqtt.ca_file = fixture->other_ca;
    start(fixture, "server", "");
    watch_open(&fixture->watch, NULL);
    watch_expect_refusal(&fixture->watch, LINK_CERTIFICATE, "certificate of 127.0.0.1 does not hold: certificate verify failed", 5000);
    watch_done(&fixture->watch);
}

static void test_system_ca(void **state) {
    struct fixture *fixture = *state;
    fixture->watch.configs[0].mqtt.ca_file = NULL;
    start(fixture, "server", "");
    watch_open(&fixture->watch, NULL);
    watch_expect_refusal(&fixture->watch, LINK_CERTIFICATE, "certificate verify failed", 5000);
    watch_done(&fixture->watch);
}

static void test_wrong_host_name(void **state) {
    struct fixture *fixture = *state;
    fixture->watch.configs[0].mqtt.brokers[0].host = "localhost";
    start(fixture, "wrong", "");
    watch_open(&fixture->watch, NULL);
    watch_expect_refusal(&fixture->watch, LINK_CERTIFICATE, "certificate of localhost does not hold: it names another host", 5000);
    watch_done(&fixture->watch);
    watch_init(&fixture->watch, fixture->broker.port);
    fixture->watch.configs[0].mqtt.brokers[0].tls = true;
    fixture->watch.configs[0].mqtt.ca_file = fixture->ca;
    watch_open(&fixture->watch, NULL);
    watch_expect_refusal(&fixture->watch, LINK_CERTIFICATE, "certificate of 127.0.0.1 does not hold: it names another host", 5000);
    broker_stop(&fixture->broker); /* and a refused connection is not taken for one */
    watch_expect_refusal(&fixture->watch, LINK_REFUSED_TCP, "refuses connections", 5000);
    watch_done(&fixture->watch);
}

static void test_client_certificate(void **state) {
    struct fixture *fixture = *state;
    start(fixture, "server", "require_certificate true\n");
    watch_open(&fixture->watch, NULL);
    watch_expect_refusal(&fixture->watch, LINK_PROTOCOL, "does it want a certificate?", 5000);
    watch_done(&fixture->watch);
    watch_init(&fixture->watch, fixture->broker.port);
    fixture->watch.configs[0].mqtt.brokers[0].tls = true;
    fixture->watch.configs[0].mqtt.ca_file = fixture->ca;
    fixture->watch.configs[0].mqtt.certificate_file = fixture->certificate;
    fixture->watch.configs[0].mqtt.key_file = fixture->key;
    watch_open(&fixture->watch, NULL);
    expect_up(fixture);
    watch_done(&fixture->watch);
}

static void test_files_that_are_not_there(void **state) {
    struct fixture *fixture = *state;
    fixture->watch.configs[0].mqtt.ca_file = "no-such-ca.pem";
    start(fixture, "server", "");
    watch_open(&fixture->watch, NULL);
    watch_expect_refusal(&fixture->watch, LINK_CERTIFICATE, "no-such-ca.pem cannot be read: No such file or directory", 5000);
    watch_done(&fixture->watch);
}

static void test_no_tls_there(void **state) {
    struct fixture *fixture = *state;
    broker_start(&fixture->broker, NULL);
    watch_open(&fixture->watch, NULL);
    watch_expect_refusal(&fixture->watch, LINK_PROTOCOL, "127.0.0.1", 20000);
    print_message("TLS to a port without: %s\n", watch_read(&fixture->watch, 0).last_down.text);
    watch_done(&fixture->watch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_right_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_ca, setup, teardown),
        cmocka_unit_test_setup_teardown(test_system_ca, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_host_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_that_are_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_tls_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
