/* SPDX-License-Identifier: Apache-2.0 */
/* One local action: an alarm makes one point be written, with no network, broker or disk needed. Pure; owned by the core.
 *
 *            alarm active             handed to the bus            echo equal
 *    IDLE ------------------> DUE ------------------> WRITING ------------------> HELD
 *      ^                       ^                         |                          |
 *      |                       | retry time came         | no good echo             |
 *      |                       '---------- RETRYING <----'                          |
 *      '----------------------------------------------------------------------------'
 *                              alarm normal again (after its reset, when it latches)
 *
 * Guarantees: once due it is tried until the echo is equal, also when the alarm has meanwhile returned: what was asked for by a
 * fire is done. While HELD it becomes DUE again when the alarm comes again (somebody may have undone it), and only then: a person
 * who acknowledges writes nothing. The gateway never takes the write back by itself: supply returns by a person's hand. */
#ifndef YANHUO_ACTION_H
#define YANHUO_ACTION_H

#include "base/now.h"
#include "config/config.h"

#define ACTION_RETRY_MS 500 /* first pause after a failed write; doubles to ACTION_RETRY_MAX_MS */
#define ACTION_RETRY_MAX_MS 10000

enum action_state { ACTION_IDLE, ACTION_DUE, ACTION_WRITING, ACTION_RETRYING, ACTION_HELD };

struct action {
    const struct config_action *rule;
    enum action_state state;
    uint32_t attempts;
    bool alarm_normal; /* became so while the write was not done yet: nothing to hold afterwards */
    uint32_t write_id; /* of the write under way */
    int64_t retry_at_us;
};

const char *action_state_name(enum action_state state);
void action_init(struct action *action, const struct config_action *rule);
/* The alarm's state changed. Returns true when the action became due. */
bool action_on_alarm(struct action *action, bool active, bool normal);
void action_on_handed(struct action *action, uint32_t write_id);
/* The write under way ended. */
void action_on_written(struct action *action, const struct now *now, bool ok);
/* The device it writes to answers again after it was dead: no reason to wait longer. */
void action_on_device_back(struct action *action, const struct now *now);
/* Its retry time came: due again. */
bool action_on_time(struct action *action, const struct now *now);
int64_t action_next_wake(const struct action *action);

#endif
