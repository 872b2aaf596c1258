/* SPDX-License-Identifier: Apache-2.0 */
/* The pump's only ear: what the loop thread asks for and what the library's threads report, in the order in which it was put.
 * Bounded by its users: the loop puts at most one SEND per slot, the library's threads at most a few notices per connection.
 * A put copies, takes one short lock and never waits for anything else. */
#ifndef YANHUO_MQTT_QUEUE_H
#define YANHUO_MQTT_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mqtt_command_kind {
    /* from the loop */
    MQTT_CONNECT,
    MQTT_DISCONNECT,
    MQTT_SEND,
    MQTT_CLOSE,
    /* from the library's threads and the probe */
    MQTT_PROBED,       /* code: of getaddrinfo; detail: errno of connect, 0 when it succeeded or was not asked for */
    MQTT_CONNECTED,    /* receive_max */
    MQTT_FAILED,       /* code: the library's; detail: MQTT 5 reason or 0; text: the library's */
    MQTT_LOST,         /* detail: reason of the broker's DISCONNECT, or 0 */
    MQTT_DISCONNECTED, /* the answer to our DISCONNECT */
    MQTT_DRAINED,      /* the last message in flight was answered */
};

struct mqtt_command {
    struct mqtt_command *next;
    enum mqtt_command_kind kind;
    uint32_t epoch; /* of the connection a notice belongs to */
    uint16_t uplink, slot, receive_max;
    uint8_t qos, broker;
    bool retain, host_mismatch;
    int code, detail;
    char text[64];
    uint32_t size;
    const char *topic, *payload; /* SEND: inside bytes */
    char bytes[];
};

struct mqtt_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct mqtt_command *first, *last;
};

void mqtt_queue_init(struct mqtt_queue *queue);
/* Frees what was never taken. */
void mqtt_queue_done(struct mqtt_queue *queue);

/* A zeroed command; the caller fills it in and puts it, after which it belongs to the queue. */
struct mqtt_command *mqtt_command_new(enum mqtt_command_kind kind, uint16_t uplink);
/* A copy of a SEND with its topic and payload. */
struct mqtt_command *mqtt_command_new_send(const struct mqtt_command *send);
void mqtt_queue_put(struct mqtt_queue *queue, struct mqtt_command *command);

/* Everything put so far, oldest first, waiting for it until deadline_us (NOW_NEVER: for ever); NULL when that passed. The
 * caller frees each with free(). */
struct mqtt_command *mqtt_queue_take(struct mqtt_queue *queue, int64_t deadline_us);

/* A condition variable that counts in monotonic time, and the wait that goes with it; false when the deadline passed. */
void mqtt_condition_init(pthread_cond_t *condition);
bool mqtt_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_us);

#endif
