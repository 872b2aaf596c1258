/* SPDX-License-Identifier: Apache-2.0 */
/* Which broker of an uplink's list is next, when, and what the log says of it; a part of uplink.c. */
#ifndef YANHUO_UPLINK_BROKER_H
#define YANHUO_UPLINK_BROKER_H

#include "gateway/uplinks/uplink.h"

struct uplink_down {
    enum link_reason reason;
    const char *text;
    uint8_t broker; /* it was about */
    bool was_up;
    int64_t pause_us; /* to the next attempt */
};

/* After a failure: chooses uplink->broker and returns the pause before it is tried. */
int64_t uplink_next_broker(struct uplink *uplink, const struct now *now, bool was_up);

void uplink_tell_up(struct uplink *uplink, const struct now *now, uint8_t version);
void uplink_tell_down(struct uplink *uplink, const struct now *now, const struct uplink_down *down);
/* To be called when a connection has held for UPLINK_STEADY_US; earlier it does nothing. */
void uplink_tell_steady(struct uplink *uplink, const struct now *now);

#endif
