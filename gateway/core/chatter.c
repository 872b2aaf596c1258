/* SPDX-License-Identifier: Apache-2.0 */
/* Chattering of one alarm (ISA-18.2 and its technical report 5, EEMUA 191) and the flood of a whole gateway (ISA-18.2):
 *
 *               3 activations within 60 s                           more than 10 activations within 10 min
 *     QUIET <-----------------------------> CHATTERING    CALM <--------------------------------------------> FLOOD
 *               none for 60 s                                       fewer than 5 within 10 min
 *
 * An activation is within a window until exactly the window's length has passed. So an alarm that comes every 60 s does not
 * chatter, and an end comes in the moment that ..._next_wake names, neither before nor after.
 * Memory: a ring of the last 3 activations, and one of the last 11, decide exactly what the whole history would. Three within 60 s
 * are the last three; more than 10 within 10 minutes are the last 11; fewer than 5 are left from the moment on in which the fifth
 * newest leaves the window, and a flood has at least 11.
 * Guarantees: while an alarm chatters its transitions are not told by themselves; one event at the beginning and one at the end,
 * sealed with the present state, stand for them, so that the final state is never lost. Class fire is named, never hidden.
 * A count is that of the activations from the first of the window that made it begin; after a flood that was followed at once by
 * another one, activations may count for both.
 * When ..._on_time is called too late, after an activation that came past the end, the chattering or flood goes on instead.
 * Monotonic time decides, wall time is only told. Nothing of it survives a restart: what is open then is told as it is. */
#include "gateway/core/chatter.h"

#include "base/check.h"

/* ---- the ring that both have ---- */

static void ring_put(struct activation *ring, uint8_t size, uint8_t *filled, uint8_t *next, const struct now *now) {
    ring[*next] = (struct activation){.mono_us = now->mono_us, .wall_ms = now->wall_ms};
    *next = (uint8_t)((*next + 1) % size);
    if (*filled < size)
        (*filled)++;
}

/* The one that is `back` before the newest; 0 is the newest itself. */
static const struct activation *ring_back(const struct activation *ring, uint8_t size, uint8_t filled, uint8_t next, uint8_t back) {
    CHECK(back < filled);
    return &ring[(next + size - 1 - back) % size];
}

/* When an activation leaves a window. */
static int64_t leaves_us(const struct activation *activation, int64_t window_ms) {
    return activation->mono_us + 1000 * window_ms;
}

/* ---- one alarm ---- */

static const struct activation *chatter_back(const struct chatter *chatter, uint8_t back) {
    return ring_back(chatter->ring, CHATTER_ACTIVATIONS, chatter->filled, chatter->next, back);
}

void chatter_init(struct chatter *chatter, bool fire) {
    *chatter = (struct chatter){.fire = fire};
}

bool chatter_on_activation(struct chatter *chatter, const struct now *now) {
    ring_put(chatter->ring, CHATTER_ACTIVATIONS, &chatter->filled, &chatter->next, now);
    if (chatter->chattering) {
        chatter->last_ms = now->wall_ms;
        if (chatter->count < UINT32_MAX)
            chatter->count++;
        return false;
    }
    if (chatter->filled < CHATTER_ACTIVATIONS)
        return false;
    const struct activation *first = chatter_back(chatter, CHATTER_ACTIVATIONS - 1);
    if (leaves_us(first, CHATTER_WINDOW_MS) <= now->mono_us)
        return false;
    chatter->chattering = true;
    chatter->first_ms = first->wall_ms;
    chatter->last_ms = now->wall_ms;
    chatter->count = CHATTER_ACTIVATIONS;
    return true;
}

bool chatter_on_time(struct chatter *chatter, const struct now *now) {
    if (chatter_next_wake(chatter) > now->mono_us)
        return false;
    chatter->chattering = false;
    return true;
}

bool chatter_hides(const struct chatter *chatter) {
    return chatter->chattering && !chatter->fire;
}

int64_t chatter_next_wake(const struct chatter *chatter) {
    return chatter->chattering ? leaves_us(chatter_back(chatter, 0), CHATTER_WINDOW_MS) : NOW_NEVER;
}

/* ---- the whole gateway ---- */

static const struct activation *flood_back(const struct flood *flood, uint8_t back) {
    return ring_back(flood->ring, FLOOD_BEGINS, flood->filled, flood->next, back);
}

void flood_init(struct flood *flood) {
    *flood = (struct flood){.flooding = false};
}

bool flood_on_activation(struct flood *flood, const struct now *now) {
    ring_put(flood->ring, FLOOD_BEGINS, &flood->filled, &flood->next, now);
    if (flood->flooding) {
        flood->last_ms = now->wall_ms;
        if (flood->count < UINT32_MAX)
            flood->count++;
        return false;
    }
    if (flood->filled < FLOOD_BEGINS)
        return false;
    const struct activation *first = flood_back(flood, FLOOD_BEGINS - 1);
    if (leaves_us(first, FLOOD_WINDOW_MS) <= now->mono_us)
        return false;
    flood->flooding = true;
    flood->number++;
    flood->first_ms = first->wall_ms;
    flood->last_ms = now->wall_ms;
    flood->count = FLOOD_BEGINS;
    return true;
}

bool flood_on_time(struct flood *flood, const struct now *now) {
    if (flood_next_wake(flood) > now->mono_us)
        return false;
    flood->flooding = false;
    return true;
}

int64_t flood_next_wake(const struct flood *flood) {
    return flood->flooding ? leaves_us(flood_back(flood, FLOOD_ENDS - 1), FLOOD_WINDOW_MS) : NOW_NEVER;
}
