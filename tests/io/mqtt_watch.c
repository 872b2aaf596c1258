/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/mqtt_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/now.h"

static void on_link_up(void *context, const struct mqtt_link_up *up) {
    struct watch *watch = context;
    pthread_mutex_lock(&watch->lock);
    struct watch_uplink *uplink = &watch->uplinks[up->uplink];
    uplink->broken += uplink->up;
    for (unsigned slot = 0; slot < WINDOW_MAX; slot++)
        uplink->broken += uplink->in_flight[slot];
    uplink->up = true;
    uplink->ups++;
    uplink->last_up = *up;
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
}

static void on_link_down(void *context, const struct mqtt_link_down *down) {
    struct watch *watch = context;
    pthread_mutex_lock(&watch->lock);
    struct watch_uplink *uplink = &watch->uplinks[down->uplink];
    uplink->up = false;
    uplink->downs++;
    uplink->last_down = *down;
    uplink->down_at_us = now_mono_us();
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
}

static void on_acked(void *context, const struct mqtt_acked *acked) {
    struct watch *watch = context;
    pthread_mutex_lock(&watch->lock);
    struct watch_uplink *uplink = &watch->uplinks[acked->uplink];
    uplink->broken += !uplink->in_flight[acked->slot];
    uplink->broken += !uplink->up && acked->result != ACK_LOST;
    uplink->in_flight[acked->slot] = false;
    uplink->acked[acked->result]++;
    uplink->last_code = acked->code;
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
}

static bool on_received(void *context, uint16_t index, bool retained, const char *topic, const uint8_t *payload, size_t size) {
    struct watch *watch = context;
    pthread_mutex_lock(&watch->lock);
    struct watch_uplink *uplink = &watch->uplinks[index];
    uplink->received++;
    uplink->retained += retained;
    uplink->broken += !uplink->up;
    snprintf(uplink->topic, sizeof uplink->topic, "%s", topic);
    snprintf(uplink->payload, sizeof uplink->payload, "%.*s", (int)size, (const char *)payload);
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    return true;
}

void watch_init(struct watch *watch, uint16_t port) {
    memset(watch, 0, sizeof *watch);
    memset(watch->payload, 'x', sizeof watch->payload);
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    watch->config.uplinks = watch->configs;
    watch->config.uplinks_count = 1;
    for (unsigned i = 0; i < WATCH_UPLINKS; i++) {
        static const char *const ids[WATCH_UPLINKS] = {"test-0", "test-1", "test-2", "test-3", "test-4",
                                                       "test-5", "test-6", "test-7", "test-8", "test-9"};
        watch->configs[i] = (struct config_uplink){
            .name = ids[i],
            .kind = UPLINK_MQTT,
            .commands = true,
            .mqtt = {.brokers = {{.host = "127.0.0.1", .port = port}},
                     .brokers_count = 1,
                     .client_id = ids[i],
                     .username = "",
                     .keepalive_s = 5,
                     .window = 100,
                     .topic_prefix = "yanhuo/v1/test"},
        };
    }
}

void watch_open(struct watch *watch, const char *credentials_dir) {
    struct mqtt_sink sink = {.context = watch, .link_up = on_link_up, .link_down = on_link_down, .acked = on_acked, .received = on_received};
    assert_int_equal(mqtt_open(&watch->config, credentials_dir, "offline", &sink, &watch->mqtt), ERR_OK);
}

void watch_done(struct watch *watch) {
    int64_t before_us = now_mono_us();
    mqtt_close(watch->mqtt);
    watch->mqtt = NULL;
    assert_true(now_mono_us() - before_us < 3000000);
    for (unsigned i = 0; i < WATCH_UPLINKS; i++) {
        struct watch_uplink uplink = watch_read(watch, (uint16_t)i);
        assert_int_equal(uplink.broken, 0);
        assert_int_equal(uplink.acked[ACK_OK] + uplink.acked[ACK_REFUSED] + uplink.acked[ACK_LOST], uplink.sent);
    }
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
}

struct watch_uplink watch_read(struct watch *watch, uint16_t uplink) {
    pthread_mutex_lock(&watch->lock);
    struct watch_uplink copy = watch->uplinks[uplink];
    pthread_mutex_unlock(&watch->lock);
    return copy;
}

void watch_send(struct watch *watch, uint16_t uplink, uint16_t slot, const char *topic, uint32_t size, uint8_t qos, bool retain) {
    pthread_mutex_lock(&watch->lock);
    bool was_in_flight = watch->uplinks[uplink].in_flight[slot];
    watch->uplinks[uplink].in_flight[slot] = true;
    watch->uplinks[uplink].sent++;
    pthread_mutex_unlock(&watch->lock);
    assert_false(was_in_flight);
    mqtt_send(watch->mqtt, uplink, slot, topic, watch->payload, size, qos, retain);
}

static unsigned count_ups(const struct watch_uplink *uplink) {
    return uplink->ups;
}

static unsigned count_downs(const struct watch_uplink *uplink) {
    return uplink->downs;
}

static unsigned count_answers(const struct watch_uplink *uplink) {
    return uplink->acked[ACK_OK] + uplink->acked[ACK_REFUSED] + uplink->acked[ACK_LOST];
}

static unsigned count_received(const struct watch_uplink *uplink) {
    return uplink->received;
}

static void watch_wait(struct watch *watch, uint16_t index, unsigned (*count)(const struct watch_uplink *), unsigned wanted, int timeout_ms,
                       const char *what) {
    int64_t deadline_us = now_mono_us() + (int64_t)timeout_ms * 1000;
    struct timespec until = {.tv_sec = (time_t)(deadline_us / 1000000), .tv_nsec = (long)(deadline_us % 1000000) * 1000};
    const struct watch_uplink *uplink = &watch->uplinks[index];
    bool in_time = true;
    pthread_mutex_lock(&watch->lock);
    while (in_time && count(uplink) < wanted)
        in_time = pthread_cond_timedwait(&watch->changed, &watch->lock, &until) == 0;
    unsigned reached = count(uplink);
    struct mqtt_link_down down = uplink->last_down;
    pthread_mutex_unlock(&watch->lock);
    if (reached < wanted)
        fail_msg("%u of %u %s after %d ms (last link_down: %d, %s)", reached, wanted, what, timeout_ms, (int)down.reason, down.text);
}

void watch_wait_ups(struct watch *watch, uint16_t uplink, unsigned count, int timeout_ms) {
    watch_wait(watch, uplink, count_ups, count, timeout_ms, "link_up");
}

void watch_wait_downs(struct watch *watch, uint16_t uplink, unsigned count, int timeout_ms) {
    watch_wait(watch, uplink, count_downs, count, timeout_ms, "link_down");
}

void watch_wait_answers(struct watch *watch, uint16_t uplink, unsigned count, int timeout_ms) {
    watch_wait(watch, uplink, count_answers, count, timeout_ms, "answers");
}

void watch_wait_received(struct watch *watch, uint16_t uplink, unsigned count, int timeout_ms) {
    watch_wait(watch, uplink, count_received, count, timeout_ms, "received");
}

void watch_pump(struct watch *watch, uint16_t index, unsigned window, unsigned count, uint32_t size) {
    struct watch_uplink *uplink = &watch->uplinks[index];
    unsigned sent = 0, start = count_answers(uplink);
    while (sent < count) {
        pthread_mutex_lock(&watch->lock);
        unsigned slot = 0;
        while (uplink->up && slot == 0) {
            for (slot = 1; slot <= window && uplink->in_flight[slot]; slot++) {
            }
            if (slot > window) {
                slot = 0;
                pthread_cond_wait(&watch->changed, &watch->lock);
            }
        }
        bool up = uplink->up;
        pthread_mutex_unlock(&watch->lock);
        if (!up)
            return;
        watch_send(watch, index, (uint16_t)slot, "yanhuo/v1/test/reading/d", size, 1, false);
        sent++;
    }
    watch_wait_answers(watch, index, start + count, 20000);
}

void watch_sleep_ms(long ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

void watch_expect_refusal(struct watch *watch, enum link_reason reason, const char *text, int timeout_ms) {
    unsigned downs = watch_read(watch, 0).downs;
    mqtt_connect(watch->mqtt, 0, 0);
    watch_wait_downs(watch, 0, downs + 1, timeout_ms);
    struct watch_uplink uplink = watch_read(watch, 0);
    if (uplink.last_down.reason != reason || !strstr(uplink.last_down.text, text))
        fail_msg("reason %d, code %d, text \"%s\"; expected %d, \"%s\"", (int)uplink.last_down.reason, uplink.last_down.code, uplink.last_down.text,
                 (int)reason, text);
    assert_int_equal(uplink.downs, downs + 1);
    assert_int_equal(uplink.ups, 0);
}
