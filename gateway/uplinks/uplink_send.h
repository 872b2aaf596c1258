/* SPDX-License-Identifier: Apache-2.0 */
/* Which message an uplink sends next; a part of uplink.c. */
#ifndef YANHUO_UPLINK_SEND_H
#define YANHUO_UPLINK_SEND_H

#include "gateway/uplinks/uplink.h"

/* Fills the window in the order that stands at the top of uplink.c, as far as the step has room; asks the store when the
 * backlog needs it. */
void uplink_send(struct uplink *uplink, const struct now *now, struct effects *effects);

#endif
