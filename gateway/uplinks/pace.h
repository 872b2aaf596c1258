/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a backlog may leave: a bucket of credit that fills by `rate` messages a second. Pure; owned by the uplink.
 *
 *     -PACE_EVENTS            0                 a tenth of a second's worth
 *          |------------------|-----------------|
 *          '- fire and events go while they are right of here
 *                             '- readings go while a whole message lies right of here
 *
 * Guarantees: in any time t at most rate x t messages, a tenth of a second's more, and PACE_EVENTS more when they are events; a new
 * connection begins with the credit that the last one left, so that connections that break at once bring no burst each. */
#ifndef YANHUO_PACE_H
#define YANHUO_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_EVENTS 200 /* a bad day's fire and other events of one gateway; of a thousand gateways together what a broker takes in seconds */

struct pace {
    uint32_t rate;  /* 0: no limit */
    int64_t credit; /* millionths of a message */
    int64_t at_us;  /* when it was counted */
};

void pace_init(struct pace *pace, uint32_t rate);
/* Time goes on; a clock that stands still or is behind adds nothing. */
void pace_tick(struct pace *pace, int64_t now_us);
bool pace_allows(const struct pace *pace, bool urgent);
void pace_take(struct pace *pace);
/* When something that was not allowed is worth asking for again: so late that it is less than 40 times a second. */
int64_t pace_wake_us(const struct pace *pace, bool urgent);

#endif
