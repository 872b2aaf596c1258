/* SPDX-License-Identifier: Apache-2.0 */
/* A sink that writes down everything the MQTT transport reports, checks the order it promises, and lets a test wait for it;
 * and the configuration of uplinks to 127.0.0.1. */
#ifndef TESTS_MQTT_WATCH_H
#define TESTS_MQTT_WATCH_H

#include <pthread.h>

#include "gateway/io/mqtt.h"

#define WATCH_UPLINKS 10

struct watch_uplink {
    bool up;
    unsigned ups, downs;
    struct mqtt_link_up last_up;
    struct mqtt_link_down last_down;
    int64_t down_at_us;
    unsigned sent, acked[3]; /* by enum ack_result */
    int last_code;
    bool in_flight[WINDOW_MAX];
    unsigned received, retained;
    char topic[128], payload[128];
    unsigned broken; /* promises: an answer without a send, an OK while down, a link_up before all LOST */
};

struct watch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct config config;
    struct config_uplink configs[WATCH_UPLINKS];
    struct watch_uplink uplinks[WATCH_UPLINKS];
    struct mqtt *mqtt;
    char payload[65536];
};

/* One uplink named "city", prefix "yanhuo/v1/test", keepalive 5 s, window 100; change it before watch_open. */
void watch_init(struct watch *watch, uint16_t port);
void watch_open(struct watch *watch, const char *credentials_dir);
/* Closes what is open and fails the test when a promise was broken. */
void watch_done(struct watch *watch);

/* Sends `size` bytes in a slot that must be free. */
void watch_send(struct watch *watch, uint16_t uplink, uint16_t slot, const char *topic, uint32_t size, uint8_t qos, bool retain);

/* Wait until a count is reached; fail the test after timeout_ms. */
void watch_wait_ups(struct watch *watch, uint16_t uplink, unsigned count, int timeout_ms);
void watch_wait_downs(struct watch *watch, uint16_t uplink, unsigned count, int timeout_ms);
void watch_wait_answers(struct watch *watch, uint16_t uplink, unsigned count, int timeout_ms);
void watch_wait_received(struct watch *watch, uint16_t uplink, unsigned count, int timeout_ms);

/* Keeps `window` messages in flight until `count` were sent and answered, or the link is down. */
void watch_pump(struct watch *watch, uint16_t uplink, unsigned window, unsigned count, uint32_t size);

/* A copy of what is written down, taken under the lock. */
struct watch_uplink watch_read(struct watch *watch, uint16_t uplink);
void watch_sleep_ms(long ms);

/* mqtt_connect and the link_down it must end in. */
void watch_expect_refusal(struct watch *watch, enum link_reason reason, const char *text, int timeout_ms);

#endif
