/* SPDX-License-Identifier: Apache-2.0 */
/* A composite condition: terms over points and places, joined by all, any and not, each with its own delay. Pure; owned by the
 * core. Three-valued: what is not known makes a group unknown unless the others decide it; an unknown condition holds its alarm. */
#ifndef YANHUO_CONDITION_H
#define YANHUO_CONDITION_H

#include "base/now.h"
#include "config/config.h"

enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_UNKNOWN };

struct condition_term {
    enum truth raw;      /* of a leaf: as the newest reading says it; of a group: what its members make of it */
    enum truth truth;    /* after its delay */
    bool over;           /* a leaf's side of its deadband */
    bool waiting;        /* its delay runs, or is frozen */
    bool served;         /* its delay ran out, and it was not false since */
    int64_t deadline_us; /* of the running delay; NOW_NEVER when none runs or it is frozen */
    int64_t frozen_us;   /* what was left of a delay when the data stopped */
};

struct condition {
    const struct config *config;
    const struct config_term *terms; /* of the configuration */
    uint16_t count;
    struct condition_term *states; /* as terms */
};

const char *truth_name(enum truth truth); /* "unknown" */

/* `states`: room for `count`. */
void condition_init(struct condition *condition, const struct config *config, const struct config_term *terms, uint16_t count,
                    struct condition_term *states);
/* A reading of a point that may stand in the condition. It counts from the next condition_judge on. */
void condition_on_reading(struct condition *condition, uint16_t device, const struct reading *reading);
/* What it says now; starts, freezes and ends the delays of its terms. To be asked after readings, at condition_next_wake, and when
 * the wall clock was set. */
enum truth condition_judge(struct condition *condition, const struct now *now);
/* When it must be judged again though no reading comes: a delay's end, a place's opening or closing; NOW_NEVER: never. Holds
 * until the next condition_judge, unless the wall clock is set before. Never earlier than `now`. */
int64_t condition_next_wake(const struct condition *condition, const struct now *now);
void condition_check(const struct condition *condition);

/* Is the place open at this wall time? A place without hours always is. Whether the clock may be trusted is the caller's question. */
bool place_open(const struct config_place *place, int utc_offset_minutes, int64_t wall_ms);
/* The wall time of the next minute at which that changes, after `wall_ms`; NOW_NEVER when it never does. */
int64_t place_next_change(const struct config_place *place, int utc_offset_minutes, int64_t wall_ms);

#endif
