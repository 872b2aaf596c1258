/* SPDX-License-Identifier: Apache-2.0 */
/* Two buffers: threads fill one while the loop reads the other. */
#include "gateway/io/inbox.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define ALIGNMENT alignof(max_align_t)

struct message_head {
    alignas(max_align_t) uint32_t kind;
    uint32_t size;
};

struct inbox {
    pthread_mutex_t mutex;
    pthread_cond_t room;
    uint8_t *filling, *reading;
    size_t filled;
    unsigned later; /* messages that can wait */
    bool rung;      /* since the last drain */
    bool shut;
    void (*ring)(void *context);
    void *context;
};

enum err inbox_open(void (*ring)(void *context), void *context, struct inbox **ret_inbox) {
    struct inbox *inbox = calloc(1, sizeof(*inbox));
    if (!inbox)
        return ERR_NOMEM;
    inbox->filling = malloc(INBOX_SIZE + INBOX_RESERVED);
    inbox->reading = malloc(INBOX_SIZE + INBOX_RESERVED);
    inbox->ring = ring;
    inbox->context = context;
    pthread_mutex_init(&inbox->mutex, NULL);
    pthread_cond_init(&inbox->room, NULL);
    if (!inbox->filling || !inbox->reading) {
        inbox_close(inbox);
        return ERR_NOMEM;
    }
    *ret_inbox = inbox;
    return ERR_OK;
}

void inbox_close(struct inbox *inbox) {
    if (!inbox)
        return;
    pthread_cond_destroy(&inbox->room);
    pthread_mutex_destroy(&inbox->mutex);
    free(inbox->filling);
    free(inbox->reading);
    free(inbox);
}

enum manner { WAITING, TRYING, NOW, LATER };

static bool post(struct inbox *inbox, enum manner manner, uint32_t kind, const void *head, size_t head_size, const void *tail, size_t tail_size) {
    size_t size = head_size + tail_size;
    size_t whole = (sizeof(struct message_head) + size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    CHECK(whole <= INBOX_SIZE);
    pthread_mutex_lock(&inbox->mutex);
    while (manner == WAITING && INBOX_SIZE < inbox->filled + whole && !inbox->shut)
        pthread_cond_wait(&inbox->room, &inbox->mutex);
    bool fits = inbox->filled + whole <= INBOX_SIZE + (manner == TRYING ? 0 : INBOX_RESERVED);
    CHECK(inbox->shut || fits || manner == TRYING);
    bool taken = !inbox->shut && fits, ring = false;
    if (taken) {
        struct message_head message = {.kind = kind, .size = (uint32_t)size};
        uint8_t *at = inbox->filling + inbox->filled;
        memcpy(at, &message, sizeof(message));
        memcpy(at + sizeof(message), head, head_size);
        if (tail_size)
            memcpy(at + sizeof(message) + head_size, tail, tail_size);
        inbox->filled += whole;
        inbox->later += manner == LATER;
        ring = !inbox->rung && (manner != LATER || inbox->later >= INBOX_LATER_MAX);
        inbox->rung = inbox->rung || ring;
    }
    pthread_mutex_unlock(&inbox->mutex);
    if (ring)
        inbox->ring(inbox->context);
    return taken;
}

void inbox_post(struct inbox *inbox, uint32_t kind, const void *head, size_t head_size, const void *tail, size_t tail_size) {
    (void)post(inbox, WAITING, kind, head, head_size, tail, tail_size); /* not taken: the loop has ended */
}

bool inbox_try(struct inbox *inbox, uint32_t kind, const void *head, size_t head_size, const void *tail, size_t tail_size) {
    return post(inbox, TRYING, kind, head, head_size, tail, tail_size);
}

void inbox_post_now(struct inbox *inbox, uint32_t kind, const void *message, size_t size) {
    (void)post(inbox, NOW, kind, message, size, NULL, 0);
}

void inbox_post_later(struct inbox *inbox, uint32_t kind, const void *message, size_t size) {
    (void)post(inbox, LATER, kind, message, size, NULL, 0);
}

void inbox_shut(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->mutex);
    inbox->shut = true;
    pthread_cond_broadcast(&inbox->room);
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_drain(struct inbox *inbox, void (*take)(void *context, uint32_t kind, const void *message, size_t size), void *context) {
    pthread_mutex_lock(&inbox->mutex);
    uint8_t *bytes = inbox->filling;
    size_t filled = inbox->filled;
    inbox->filling = inbox->reading;
    inbox->reading = bytes;
    inbox->filled = inbox->later = 0;
    inbox->rung = false;
    pthread_cond_broadcast(&inbox->room);
    pthread_mutex_unlock(&inbox->mutex);
    for (size_t at = 0; at < filled;) {
        struct message_head message;
        memcpy(&message, bytes + at, sizeof(message));
        take(context, message.kind, bytes + at + sizeof(message), message.size);
        at += (sizeof(message) + message.size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}
