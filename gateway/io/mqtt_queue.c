/* SPDX-License-Identifier: Apache-2.0 */
/* A list under a lock. The taker takes the whole list at once, so that a burst costs one lock and at most one wake-up. */
#include "gateway/io/mqtt_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/now.h"

void mqtt_condition_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(condition, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

bool mqtt_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_us) {
    if (deadline_us == NOW_NEVER)
        return pthread_cond_wait(condition, lock) == 0;
    struct timespec until = {.tv_sec = (time_t)(deadline_us / 1000000), .tv_nsec = (long)(deadline_us % 1000000) * 1000};
    return pthread_cond_timedwait(condition, lock, &until) == 0;
}

void mqtt_queue_init(struct mqtt_queue *queue) {
    CHECK(pthread_mutex_init(&queue->lock, NULL) == 0);
    mqtt_condition_init(&queue->filled);
    queue->first = queue->last = NULL;
}

void mqtt_queue_done(struct mqtt_queue *queue) {
    while (queue->first) {
        struct mqtt_command *command = queue->first;
        queue->first = command->next;
        free(command);
    }
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
}

struct mqtt_command *mqtt_command_new(enum mqtt_command_kind kind, uint16_t uplink) {
    struct mqtt_command *command = calloc(1, sizeof *command);
    CHECK(command); /* without memory for a notice nothing can be promised any more: start again */
    command->kind = kind;
    command->uplink = uplink;
    return command;
}

struct mqtt_command *mqtt_command_new_send(const struct mqtt_command *send) {
    size_t topic_size = strlen(send->topic) + 1;
    struct mqtt_command *command = malloc(sizeof *command + topic_size + send->size);
    CHECK(command);
    *command = *send;
    memcpy(command->bytes, send->topic, topic_size);
    if (send->size)
        memcpy(command->bytes + topic_size, send->payload, send->size);
    command->topic = command->bytes;
    command->payload = command->bytes + topic_size;
    return command;
}

void mqtt_queue_put(struct mqtt_queue *queue, struct mqtt_command *command) {
    command->next = NULL;
    pthread_mutex_lock(&queue->lock);
    bool was_empty = !queue->first;
    if (was_empty)
        queue->first = command;
    else
        queue->last->next = command;
    queue->last = command;
    pthread_mutex_unlock(&queue->lock);
    if (was_empty) /* else the taker is awake or was told; told outside the lock, so that it does not wake to wait for that */
        pthread_cond_signal(&queue->filled);
}

struct mqtt_command *mqtt_queue_take(struct mqtt_queue *queue, int64_t deadline_us) {
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && mqtt_condition_wait(&queue->filled, &queue->lock, deadline_us)) {
    }
    struct mqtt_command *commands = queue->first;
    queue->first = queue->last = NULL;
    pthread_mutex_unlock(&queue->lock);
    return commands;
}
