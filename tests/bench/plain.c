/* SPDX-License-Identifier: Apache-2.0 */
/* The floor that the gateway is measured against: the shortest C program that does the same work with the same libraries.
 * Once a period it asks one device after the other with blocking libmodbus and publishes each answer with Paho, QoS 1, with
 * as many messages in flight as the gateway has. It stores nothing, judges nothing and knows no priority.
 *
 *   plain BROKER_PORT PERIOD_MS WINDOW TIMEOUT_MS GATEWAY PORT...     one device a port, named d0, d1, ... */
#include <MQTTAsync.h>
#include <errno.h>
#include <modbus.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REGISTERS 10
#define DEVICES_MAX 1024

static struct {
    modbus_t *modbus;
    bool connected;
} devices[DEVICES_MAX];
static sem_t window, up;
static volatile sig_atomic_t stopping;

static void on_signal(int number) {
    (void)number;
    stopping = 1;
}

static void on_up(void *context, MQTTAsync_successData5 *data) {
    (void)context, (void)data;
    sem_post(&up);
}

static void on_failed(void *context, MQTTAsync_failureData5 *data) {
    (void)context, (void)data;
    fprintf(stderr, "plain: the broker cannot be reached\n");
    exit(1);
}

static void on_sent(void *context, MQTTAsync_successData5 *data) {
    (void)context, (void)data;
    sem_post(&window);
}

static void on_unsent(void *context, MQTTAsync_failureData5 *data) {
    (void)context, (void)data;
    sem_post(&window);
}

static MQTTAsync broker_connect(const char *port, int in_flight) {
    char uri[64];
    MQTTAsync client;
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer5;
    snprintf(uri, sizeof(uri), "tcp://127.0.0.1:%s", port);
    create.maxBufferedMessages = in_flight + 10;
    if (MQTTAsync_createWithOptions(&client, uri, "plain", MQTTCLIENT_PERSISTENCE_NONE, NULL, &create) != MQTTASYNC_SUCCESS)
        exit(1);
    options.cleanstart = 1;
    options.keepAliveInterval = 15;
    options.maxInflight = in_flight + 10;
    options.onSuccess5 = on_up;
    options.onFailure5 = on_failed;
    if (MQTTAsync_connect(client, &options) != MQTTASYNC_SUCCESS)
        exit(1);
    sem_wait(&up);
    return client;
}

static int reading_json(char *json, size_t size, const char *gateway, unsigned long long message, const uint16_t *registers) {
    struct timespec now;
    struct tm civil;
    char time[40];
    clock_gettime(CLOCK_REALTIME, &now);
    time_t local = now.tv_sec + 8 * 3600;
    gmtime_r(&local, &civil);
    size_t length = strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", &civil);
    snprintf(time + length, sizeof(time) - length, ".%03d+08:00", (int)(now.tv_nsec / 1000000));
    int at = snprintf(json, size, "{\"id\":\"%s-0123456789abcdef-%llu\",\"replayed\":false,\"readings\":[", gateway, message);
    for (int i = 0; i < REGISTERS; i++)
        at +=
            snprintf(json + at, size - (size_t)at, "%s{\"t\":\"%s\",\"point\":\"r%d\",\"v\":%d,\"q\":\"good\"}", i ? "," : "", time, i, registers[i]);
    return at + snprintf(json + at, size - (size_t)at, "]}");
}

static void poll_device(MQTTAsync client, const char *gateway, int index) {
    static unsigned long long messages;
    uint16_t registers[REGISTERS];
    char topic[128], json[2048];
    if (!devices[index].connected && modbus_connect(devices[index].modbus) < 0)
        return;
    devices[index].connected = modbus_read_registers(devices[index].modbus, 0, REGISTERS, registers) == REGISTERS;
    if (!devices[index].connected) { /* a late answer would be taken for the next one: connect anew */
        modbus_close(devices[index].modbus);
        return;
    }
    int length = reading_json(json, sizeof(json), gateway, ++messages, registers);
    snprintf(topic, sizeof(topic), "yanhuo/v1/%s/reading/d%d", gateway, index);
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess5 = on_sent;
    response.onFailure5 = on_unsent;
    while (sem_wait(&window) < 0 && errno == EINTR && !stopping) {
    }
    if (MQTTAsync_send(client, topic, length, json, 1, 0, &response) != MQTTASYNC_SUCCESS)
        sem_post(&window);
}

int main(int argc, char **argv) {
    int count = argc - 6;
    if (count < 1 || count > DEVICES_MAX) {
        fprintf(stderr, "usage: plain BROKER_PORT PERIOD_MS WINDOW TIMEOUT_MS GATEWAY PORT...\n");
        return 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    int64_t period_ns = atoll(argv[2]) * 1000000;
    int timeout_ms = atoi(argv[4]);
    sem_init(&window, 0, (unsigned)atoi(argv[3]));
    sem_init(&up, 0, 0);
    for (int i = 0; i < count; i++) {
        devices[i].modbus = modbus_new_tcp("127.0.0.1", atoi(argv[6 + i]));
        modbus_set_slave(devices[i].modbus, 1);
        modbus_set_response_timeout(devices[i].modbus, (uint32_t)timeout_ms / 1000, (uint32_t)timeout_ms % 1000 * 1000);
    }
    MQTTAsync client = broker_connect(argv[1], atoi(argv[3]));
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (!stopping) {
        for (int i = 0; i < count && !stopping; i++)
            poll_device(client, argv[5], i);
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t next_ns = (int64_t)next.tv_sec * 1000000000 + next.tv_nsec + period_ns, now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
        if (next_ns < now_ns) /* the round took longer than the period */
            next_ns = now_ns;
        next.tv_sec = next_ns / 1000000000;
        next.tv_nsec = next_ns % 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return 0;
}
