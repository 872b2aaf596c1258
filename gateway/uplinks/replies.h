/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to commands that one uplink still has to bring: a list of REPLIES_MAX, oldest first. Pure; owned by the uplink.
 *
 *   put --> waiting -- sent --> under way -- acknowledged or refused by the far end --> gone
 *              ^                    '-- lost, or the link went down --> waiting again
 *
 * Guarantees: an answer is sent until it is acknowledged; when there are too many, an answer that says "refused" goes first, the
 * oldest of them, because what was carried out also stands in an event; who asked and hears nothing asks again. */
#ifndef YANHUO_REPLIES_H
#define YANHUO_REPLIES_H

#include "gateway/uplinks/mqtt_json.h"

struct reply {
    uint32_t number; /* its own, so that an acknowledgement that comes after it was dropped finds nothing */
    bool under_way;
    struct command_reply text;
};

struct replies {
    uint32_t count, number_next;
    struct reply items[REPLIES_MAX];
};

/* True: another one was dropped for it. */
bool replies_put(struct replies *replies, const struct command_reply *reply);
/* The oldest that waits, which is under way from now on; NULL: none waits. Valid until the next put or done. */
const struct reply *replies_take(struct replies *replies);
void replies_done(struct replies *replies, uint32_t number);
void replies_lost(struct replies *replies, uint32_t number);
void replies_all_lost(struct replies *replies);

#endif
