/* SPDX-License-Identifier: Apache-2.0 */
/* How threads hand things to the loop: bounded messages, copied in under a lock, drained in order by the loop thread.
 * `ring` is called once until the inbox is drained, so a burst costs one wake-up; what can wait rings only when much of it does. A thread that has
 * more to tell than the loop has taken waits until there is room: nothing that happened is dropped, and the loop itself never waits for anybody.
 * Threads that hold a lock which the loop takes must not wait for it: they have room of their own, more than they can fill. */
#ifndef YANHUO_INBOX_H
#define YANHUO_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define INBOX_SIZE (1u << 20) /* half a second of sixteen busy lines, or every slot of every window */

/* For those who must not wait: an acknowledgement (48 bytes) of each slot of every window, which is used again only after the loop has
 * taken it, and 8 kB an uplink for its connections coming and going (200 bytes), each of which the loop asks for. */
#define INBOX_RESERVED (512u << 10)

#define INBOX_LATER_MAX 16

struct inbox;

NODISCARD enum err inbox_open(void (*ring)(void *context), void *context, struct inbox **ret_inbox);
void inbox_close(struct inbox *inbox);

/* Any thread. `head` and `tail` become one message; tail may be NULL. */
void inbox_post(struct inbox *inbox, uint32_t kind, const void *head, size_t head_size, const void *tail, size_t tail_size);

/* The same for what may be dropped: false, and nothing is kept, when there is no room. Never waits. */
bool inbox_try(struct inbox *inbox, uint32_t kind, const void *head, size_t head_size, const void *tail, size_t tail_size);

/* The same without ever waiting for room. */
void inbox_post_now(struct inbox *inbox, uint32_t kind, const void *message, size_t size);

/* As inbox_post_now, for what can wait until the loop drains anyway: rings only when INBOX_LATER_MAX such messages lie here. */
void inbox_post_later(struct inbox *inbox, uint32_t kind, const void *message, size_t size);

/* From now on posts are dropped and nobody waits: before threads are joined. */
void inbox_shut(struct inbox *inbox);

/* Loop thread: hands every message posted so far to `take`, oldest first. Messages lie aligned for any type. */
void inbox_drain(struct inbox *inbox, void (*take)(void *context, uint32_t kind, const void *message, size_t size), void *context);

#endif
