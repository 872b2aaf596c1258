/* SPDX-License-Identifier: Apache-2.0 */
/* Credit is counted in millionths of a message, so that microseconds times messages a second need no division and lose nothing. */
#include "gateway/uplinks/pace.h"

#define MESSAGE INT64_C(1000000)
#define WAKES_PER_S 20 /* a step for each message would be most of the work at a high rate */

static int64_t most(const struct pace *pace) {
    int64_t tenth = (int64_t)pace->rate * MESSAGE / 10;
    return tenth > MESSAGE ? tenth : MESSAGE;
}

void pace_init(struct pace *pace, uint32_t rate) {
    *pace = (struct pace){.rate = rate};
    pace->credit = most(pace);
}

void pace_tick(struct pace *pace, int64_t now_us) {
    int64_t passed_us = now_us - pace->at_us;
    if (passed_us <= 0)
        return;
    pace->at_us = now_us;
    /* Longer than it takes to fill is not multiplied: it could not be held. */
    int64_t room = most(pace) - pace->credit;
    if (pace->rate == 0 || passed_us > room / pace->rate)
        pace->credit = most(pace);
    else
        pace->credit += passed_us * pace->rate;
}

bool pace_allows(const struct pace *pace, bool urgent) {
    return pace->rate == 0 || pace->credit >= (urgent ? MESSAGE - PACE_EVENTS * MESSAGE : MESSAGE);
}

void pace_take(struct pace *pace) {
    if (pace->rate)
        pace->credit -= MESSAGE;
}

int64_t pace_wake_us(const struct pace *pace, bool urgent) {
    int64_t some = (int64_t)pace->rate * MESSAGE / WAKES_PER_S;
    int64_t wanted = (some > MESSAGE ? some : MESSAGE) - (urgent ? PACE_EVENTS * MESSAGE : 0);
    int64_t missing = wanted - pace->credit;
    return missing <= 0 || pace->rate == 0 ? pace->at_us : pace->at_us + (missing + pace->rate - 1) / pace->rate;
}
