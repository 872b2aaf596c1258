/* SPDX-License-Identifier: Apache-2.0 */
/* The pump: one thread that takes commands and notices from its queue, steps the links and keeps their deadlines.
 *
 * mqtt_close never waits for the pump longer than it promises: a pump stuck in the library (its destroy may wait 10 s, its
 * name look-up longer) is muted and left to itself, and frees everything when it comes back. Therefore everything it needs of
 * the configuration is copied at the start. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/now.h"
#include "base/thread.h"
#include "gateway/io/mqtt_link.h"

#define CLOSE_LIMIT_US 2900000

static void mqtt_free(struct mqtt *mqtt) {
    for (uint16_t i = 0; i < mqtt->links_count; i++)
        for (unsigned k = 0; k < BROKERS_MAX; k++)
            mqtt_probe_release(mqtt->links[i].brokers[k].probe);
    mqtt_queue_done(&mqtt->queue);
    mqtt_gate_done(mqtt);
    pthread_cond_destroy(&mqtt->ended);
    pthread_mutex_destroy(&mqtt->lock);
    arena_done(&mqtt->arena);
    free(mqtt);
}

static int64_t pump_deadline_us(struct mqtt *mqtt) {
    int64_t first_us = NOW_NEVER;
    for (uint16_t i = 0; i < mqtt->links_count; i++) {
        int64_t deadline_us = mqtt_link_deadline_us(&mqtt->links[i]);
        first_us = deadline_us < first_us ? deadline_us : first_us;
    }
    return first_us;
}

static bool pump_finished(const struct mqtt *mqtt) {
    for (uint16_t i = 0; i < mqtt->links_count; i++)
        if (mqtt->links[i].state != STATE_IDLE)
            return false;
    return mqtt->closing;
}

static void pump_turn(struct mqtt *mqtt, struct mqtt_command *commands) {
    while (commands) {
        struct mqtt_command *command = commands;
        commands = command->next;
        atomic_store(&mqtt->turn_us, now_mono_us());
        mqtt_link_command(mqtt, command);
        free(command);
    }
    for (uint16_t i = 0; i < mqtt->links_count; i++) {
        struct link *link = &mqtt->links[i];
        if (mqtt_link_deadline_us(link) <= now_mono_us()) {
            atomic_store(&mqtt->turn_us, now_mono_us());
            mqtt_link_overdue(link);
        }
    }
}

static void *pump_run(void *context) {
    struct mqtt *mqtt = context;
    while (!pump_finished(mqtt)) {
        struct mqtt_command *commands = mqtt_queue_take(&mqtt->queue, pump_deadline_us(mqtt));
        pump_turn(mqtt, commands);
        atomic_store(&mqtt->turn_us, 0);
    }
    for (uint16_t i = 0; i < mqtt->links_count; i++)
        mqtt_handle_drop(&mqtt->links[i]);

    pthread_mutex_lock(&mqtt->lock);
    mqtt->done = true;
    bool abandoned = mqtt->abandoned;
    pthread_cond_signal(&mqtt->ended);
    pthread_mutex_unlock(&mqtt->lock);
    if (abandoned)
        mqtt_free(mqtt);
    return NULL;
}

/* ---- the callers' side ---- */

static const char *copy_text(struct arena *arena, const char *text) {
    return text ? arena_text(arena, text, strlen(text)) : NULL;
}

static const char *join_text(struct arena *arena, const char *first, const char *second) {
    size_t size = strlen(first) + strlen(second) + 1;
    char *joined = arena_take(arena, size, 1);
    snprintf(joined, size, "%s%s", first, second);
    return joined;
}

static void broker_init(struct link_broker *broker, struct arena *arena, const struct config_broker *config) {
    unsigned char address[sizeof(struct in6_addr)];
    broker->host = copy_text(arena, config->host);
    broker->port = config->port;
    broker->tls = config->tls;
    broker->numeric = inet_pton(AF_INET, config->host, address) == 1 || inet_pton(AF_INET6, config->host, address) == 1;
    bool version_6 = strchr(config->host, ':') != NULL; /* an IPv6 address */
    size_t size = strlen(config->host) + sizeof "ssl://[]:65535";
    char *uri = arena_take(arena, size, 1);
    snprintf(uri, size, "%s%s%s%s:%u", config->tls ? "ssl://" : "tcp://", version_6 ? "[" : "", config->host, version_6 ? "]" : "",
             (unsigned)config->port);
    broker->uri = uri;
}

static void link_init(struct link *link, struct mqtt *mqtt, uint16_t index, const struct config_uplink *uplink) {
    const struct config_mqtt *config = &uplink->mqtt;
    struct arena *arena = &mqtt->arena;
    link->mqtt = mqtt;
    link->index = index;
    link->commands = uplink->commands;
    link->state = STATE_IDLE;
    link->deadline_us = NOW_NEVER;
    link->config = *config;
    link->config.client_id = copy_text(arena, config->client_id);
    link->config.username = copy_text(arena, config->username);
    link->config.password_credential = copy_text(arena, config->password_credential);
    link->config.password_plain = copy_text(arena, config->password_plain);
    link->config.ca_file = copy_text(arena, config->ca_file);
    link->config.certificate_file = copy_text(arena, config->certificate_file);
    link->config.key_file = copy_text(arena, config->key_file);
    link->config.topic_prefix = copy_text(arena, config->topic_prefix);
    link->status_topic = join_text(arena, config->topic_prefix, "/status");
    link->command_filter = join_text(arena, config->topic_prefix, "/cmd/+");
    for (unsigned i = 0; i < config->brokers_count; i++) {
        broker_init(&link->brokers[i], arena, &config->brokers[i]);
        link->config.brokers[i].host = link->brokers[i].host;
    }
    link->broker = &link->brokers[0];
}

enum err mqtt_open(const struct config *config, const char *credentials_dir, const char *will_payload, const struct mqtt_sink *sink,
                   struct mqtt **ret_mqtt) {
    struct mqtt *mqtt = calloc(1, sizeof *mqtt + config->uplinks_count * sizeof mqtt->links[0]);
    if (!mqtt)
        return ERR_NOMEM;
    arena_init(&mqtt->arena);
    mqtt_queue_init(&mqtt->queue);
    mqtt_gate_init(mqtt);
    CHECK(pthread_mutex_init(&mqtt->lock, NULL) == 0);
    mqtt_condition_init(&mqtt->ended);
    mqtt->sink = *sink;
    mqtt_trace_host_check(TRACE_OFF);
    mqtt->credentials_dir = copy_text(&mqtt->arena, credentials_dir);
    mqtt->will_payload = copy_text(&mqtt->arena, will_payload);
    mqtt->links_count = config->uplinks_count;
    for (uint16_t i = 0; i < config->uplinks_count; i++) {
        CHECK(config->uplinks[i].kind == UPLINK_MQTT);
        link_init(&mqtt->links[i], mqtt, i, &config->uplinks[i]);
    }
    if (!thread_start(&mqtt->pump, pump_run, mqtt, "mqtt")) { /* Paho's own threads are started by it and have signals blocked, too */
        mqtt_free(mqtt);
        return ERR_IO;
    }
    *ret_mqtt = mqtt;
    return ERR_OK;
}

void mqtt_close(struct mqtt *mqtt) {
    if (!mqtt)
        return;
    int64_t deadline_us = now_mono_us() + CLOSE_LIMIT_US;
    mqtt_queue_put(&mqtt->queue, mqtt_command_new(MQTT_CLOSE, 0));
    pthread_t pump = mqtt->pump;
    pthread_mutex_lock(&mqtt->lock);
    while (!mqtt->done && mqtt_condition_wait(&mqtt->ended, &mqtt->lock, deadline_us)) {
    }
    bool done = mqtt->done;
    mqtt->muted = mqtt->abandoned = !done;
    pthread_mutex_unlock(&mqtt->lock);
    if (done) {
        pthread_join(pump, NULL);
        mqtt_free(mqtt);
    } else {
        pthread_detach(pump);
    }
}

void mqtt_connect(struct mqtt *mqtt, uint16_t uplink, uint8_t broker) {
    CHECK(uplink < mqtt->links_count && broker < mqtt->links[uplink].config.brokers_count);
    struct mqtt_command *command = mqtt_command_new(MQTT_CONNECT, uplink);
    command->broker = broker;
    mqtt_queue_put(&mqtt->queue, command);
}

void mqtt_disconnect(struct mqtt *mqtt, uint16_t uplink) {
    CHECK(uplink < mqtt->links_count);
    mqtt_queue_put(&mqtt->queue, mqtt_command_new(MQTT_DISCONNECT, uplink));
}

void mqtt_send(struct mqtt *mqtt, uint16_t uplink, uint16_t slot, const char *topic, const char *payload, uint32_t size, uint8_t qos, bool retain) {
    CHECK(uplink < mqtt->links_count && slot < WINDOW_MAX && qos <= 1);
    struct link *link = &mqtt->links[uplink];
    struct mqtt_command send = {.kind = MQTT_SEND, .uplink = uplink, .slot = slot, .qos = qos, .retain = retain, .size = size};
    send.topic = topic;
    send.payload = payload;
    if (mqtt_gate_send(link, &send))
        return;
    struct mqtt_command *command = mqtt_command_new_send(&send);
    atomic_fetch_add(&link->sends_queued, 1);
    mqtt_queue_put(&mqtt->queue, command);
}

uint64_t mqtt_dropped(const struct mqtt *mqtt, uint16_t uplink) {
    CHECK(uplink < mqtt->links_count);
    return atomic_load(&mqtt->links[uplink].dropped);
}

int64_t mqtt_busy_us(const struct mqtt *mqtt) {
    int64_t turn_us = atomic_load(&mqtt->turn_us);
    return turn_us ? now_mono_us() - turn_us : 0;
}
