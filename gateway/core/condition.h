/* SPDX-License-Identifier: Apache-2.0 */
/* A composite condition: terms over points and places, joined by all, any and not, each with its own delay. Pure; owned by the
 * core. Three-valued: what is not known makes a group unknown unless the others decide it; an unknown condition holds its alarm. */
#ifndef YANHUO_CONDITION_H
#define YANHUO_CONDITION_H

#include "base/now.h"
#include "config/config.h"

enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_UNKNOWN };

struct condition_term {
    enum truth raw;      /* of a leaf: as the newest reading says it */
    enum truth truth;    /* after its delay */
    bool over;           /* a leaf's side of its deadband */
    bool waiting;        /* its delay runs */
    int64_t deadline_us; /* of the running delay; NOW_NEVER when none runs or it is frozen */
    int64_t frozen_us;   /* what was left of a delay when the data stopped */
};

struct condition {
    const struct config *config;
    const struct config_term *terms; /* of the configuration */
    uint16_t count;
    struct condition_term *states; /* as terms */
};

/* `states`: room for `count`. */
void condition_init(struct condition *condition, const struct config *config, const struct config_term *terms, uint16_t count,
                    struct condition_term *states);
/* A reading of a point that may stand in the condition. */
void condition_on_reading(struct condition *condition, uint16_t device, const struct reading *reading);
/* What it says now; starts, freezes and ends the delays of its terms. */
enum truth condition_judge(struct condition *condition, const struct now *now);
/* When it must be judged again though no reading comes: a delay's end, a place's opening or closing. */
int64_t condition_next_wake(const struct condition *condition, const struct now *now);

/* Is the place open? False for what cannot be known: a clock that is not trusted. */
bool place_open(const struct config_place *place, int utc_offset_minutes, int64_t wall_ms);

#endif
