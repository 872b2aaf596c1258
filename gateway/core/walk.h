/* SPDX-License-Identifier: Apache-2.0 */
/* A walk test: a person goes from detector to detector and presses each test button; each one's alarm goes down the whole road, marked
 * as a test, and is ticked off. Pure; owned by the core.
 *
 *   IDLE -- begin(place or device, minutes) --> WALKING -- stop, time over, or all seen and returned --> IDLE, told with its result
 *
 * Which detectors: the alarms of class fire and electrical on a point of a device in scope. Everything outside stays real. A detector
 * in scope that is still in alarm when the test ends is real from then on, so a fire during a test is at most as late as its end;
 * WALK_MINUTES_MAX bounds that. A restart ends a test: what is in alarm then is raised as real. */
#ifndef YANHUO_WALK_H
#define YANHUO_WALK_H

#include "base/arena.h"
#include "base/now.h"
#include "config/config.h"

#define WALK_MINUTES_DEFAULT 30
#define WALK_MINUTES_MAX 120

struct walk_detector { /* by alarm */
    bool scope;
    int64_t at_ms;       /* when it was seen first; 0: not yet */
    int64_t sealed_us;   /* of that event, */
    uint64_t event_seq;  /* until it was acknowledged; 0 afterwards */
    int32_t latency_ms;  /* from there to the first acknowledgement of a far end; -1: none yet */
};

struct walk {
    const struct config *config;
    struct walk_detector *detectors;
    bool on, inhibit;
    uint16_t place, device; /* one of them; the other CONFIG_NONE */
    uint16_t detectors_count, seen_count;
    char by[NAME_SIZE], id[NAME_SIZE];
    int64_t began_ms, ends_us;
};

void walk_init(struct walk *walk, const struct config *config, struct arena *arena);
/* False: there is no detector in it, or a test is going on; *ret_why says so. */
bool walk_begin(struct walk *walk, const struct now *now, uint16_t place, uint16_t device, uint32_t minutes, bool inhibit, const char *by,
                const char *id, const char **ret_why);
/* Does an activation of this alarm now belong to the test? */
bool walk_covers(const struct walk *walk, uint16_t alarm);
void walk_on_alarm(struct walk *walk, const struct now *now, uint16_t alarm, uint64_t event_seq);
void walk_on_delivered(struct walk *walk, const struct now *now, uint64_t event_seq);
bool walk_over(const struct walk *walk, const struct now *now); /* its time is over */
void walk_end(struct walk *walk);
int64_t walk_next_wake(const struct walk *walk);

#endif
