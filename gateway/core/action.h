/* SPDX-License-Identifier: Apache-2.0 */
/* One local action: an alarm makes one point be written, with no network, broker or disk needed. Pure; owned by the core.
 *
 *            alarm active             handed to the bus             echo equal                read back equal
 *    IDLE ------------------> DUE ------------------> WRITING ------------------> VERIFYING ------------------> HELD
 *      ^                       ^                         |                            |                           |
 *      |                       | retry time came         | no good echo               | reads another value,      | reads another value:
 *      |                       '---------- RETRYING <----'----------------------------' or nothing for 5 s        | somebody undid it,
 *      |                       ^                                                                                  | or the board lost it
 *      |                       '----------------------------------------------------------------------------------'
 *      '---- any: released by an authorised reset, or by another action that wants the same point otherwise (class fire holds, else the newest wish)
 *
 * Guarantees: once due it is tried until the point reads back what was asked for, also when the alarm has meanwhile returned: what
 * was asked for by a fire is done. It is held until an authorised reset, over restarts too (its record), and each reading of the
 * point is compared with it. The gateway never takes the write back by itself: supply returns by a person's hand.
 * A point that cannot be read is held as soon as its echo was equal. */
#ifndef YANHUO_ACTION_H
#define YANHUO_ACTION_H

#include "base/now.h"
#include "config/config.h"

#define ACTION_RETRY_MS 500 /* first pause after a failed write; doubles to ACTION_RETRY_MAX_MS */
#define ACTION_RETRY_MAX_MS 10000
#define ACTION_VERIFY_MS 6000 /* the point is read at once after the write, and every 5 s at least */
#define ACTION_FAILING 2      /* attempts without success: one may be noise on the line, two are an alarm */

enum action_state { /* stored: never renumbered */
    ACTION_IDLE = 0,
    ACTION_DUE = 1,
    ACTION_WRITING = 2,
    ACTION_RETRYING = 3,
    ACTION_HELD = 4,
    ACTION_VERIFYING = 5,
};

struct action {
    const struct config_action *rule;
    enum action_state state;
    uint32_t attempts; /* since it became due */
    uint32_t undone;   /* how often it was held and then read otherwise, since it became due: for how often that is told */
    bool released;     /* while its write is under way: idle when that ends */
    bool anew;         /* wanted again after that, while the same write is under way: due when that ends */
    uint32_t write_id; /* of the write under way */
    int64_t retry_at_us, verify_until_us;
};

enum action_news { ACTION_SAME, ACTION_DONE, ACTION_UNDONE, ACTION_NOT_READ };

const char *action_state_name(enum action_state state);
void action_init(struct action *action, const struct config_action *rule);
/* Its alarm became active, or it was so before a restart. Returns true when the action became due. */
bool action_want(struct action *action);
/* A person may have the point back. Returns true when something was held. */
bool action_release(struct action *action);
void action_on_handed(struct action *action, uint32_t write_id);
/* The write under way ended; `readable`: what it reads back decides. */
enum action_news action_on_written(struct action *action, const struct now *now, bool ok, bool readable);
/* The point was read. */
enum action_news action_on_reading(struct action *action, const struct now *now, double number);
/* The device it writes to answers again after it was dead: no reason to wait longer. */
void action_on_device_back(struct action *action, const struct now *now);
/* A retry is due, or what should have been read back was not. */
enum action_news action_on_time(struct action *action, const struct now *now);
int64_t action_next_wake(const struct action *action);
bool action_wanted(const struct action *action);  /* what its record says: not idle */
bool action_failing(const struct action *action); /* what its alarm says */

#endif
