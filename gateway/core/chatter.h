/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms that come and go too often to be told one by one: one alarm that chatters, and a flood of many. Pure; owned by the core.
 * The drawings, their numbers and the guarantees stand at the top of chatter.c.
 *
 * How the core uses both: at each step first `…_on_time`, then `…_on_activation` for each alarm that became active; when one of them
 * returns true, an event is made from first_ms, last_ms and count. Both say when they have to be asked again. */
#ifndef YANHUO_CHATTER_H
#define YANHUO_CHATTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/now.h"

#define CHATTER_ACTIVATIONS 3   /* within CHATTER_WINDOW_MS make it chatter: ISA-TR18.2.5, EEMUA 191 */
#define CHATTER_WINDOW_MS 60000 /* without one for so long it is over */
#define FLOOD_BEGINS 11         /* activations within FLOOD_WINDOW_MS: "more than 10 in 10 minutes", ISA-18.2 */
#define FLOOD_ENDS 5            /* "fewer than 5 in 10 minutes" ends it */
#define FLOOD_WINDOW_MS 600000

struct activation {
    int64_t mono_us, wall_ms;
};

/* ---- one alarm ---- */

struct chatter {
    bool fire;       /* named only: every transition is told */
    bool chattering;
    uint8_t filled;  /* of the ring */
    uint8_t next;    /* where the next activation goes; the oldest one when the ring is full */
    struct activation ring[CHATTER_ACTIVATIONS];
    int64_t first_ms, last_ms; /* wall time of the first and the newest activation of this chattering, or of the last one */
    uint32_t count;            /* its activations */
};

/* `fire`: an alarm of class fire, which is only named. */
void chatter_init(struct chatter *chatter, bool fire);
/* The alarm became active. Returns true when it begins to chatter with this activation. */
bool chatter_on_activation(struct chatter *chatter, const struct now *now);
/* Returns true when it ended. The event about that is sealed with the alarm's present state: from here on it is told as before. */
bool chatter_on_time(struct chatter *chatter, const struct now *now);
/* Is a transition of this alarm kept from being told by itself? Also the one with which it began: the event about that stands for it.
 * What a person did (acknowledge, reset, shelve) is always told. */
bool chatter_hides(const struct chatter *chatter);
int64_t chatter_next_wake(const struct chatter *chatter);

/* ---- the whole gateway ---- */

struct flood {
    bool flooding;
    uint8_t filled, next; /* as above */
    struct activation ring[FLOOD_BEGINS];
    uint32_t number;      /* of this flood, or of the last one; 0 before the first since the start */
    int64_t first_ms, last_ms;
    uint32_t count;
};

void flood_init(struct flood *flood);
/* An alarm became active. Activations that chatter_hides need not be given: nobody is disturbed by them. True: a flood begins. */
bool flood_on_activation(struct flood *flood, const struct now *now);
/* True: the flood is over. */
bool flood_on_time(struct flood *flood, const struct now *now);
int64_t flood_next_wake(const struct flood *flood);

#endif
