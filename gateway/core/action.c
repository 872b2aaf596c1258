/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/action.h"

#include "base/check.h"

const char *action_state_name(enum action_state state) {
    switch (state) {
    case ACTION_IDLE:
        return "idle";
    case ACTION_DUE:
        return "due";
    case ACTION_WRITING:
        return "writing";
    case ACTION_RETRYING:
        return "retrying";
    case ACTION_HELD:
        return "held";
    }
    return "unknown";
}

void action_init(struct action *action, const struct config_action *rule) {
    *action = (struct action){.rule = rule, .state = ACTION_IDLE, .retry_at_us = NOW_NEVER};
}

bool action_on_alarm(struct action *action, bool active, bool normal) {
    if (active && (action->state == ACTION_IDLE || action->state == ACTION_HELD)) { /* again while held: somebody may have undone it */
        action->state = ACTION_DUE;
        action->attempts = 0;
        action->alarm_normal = false;
        return true;
    }
    if (active || normal)
        action->alarm_normal = normal;
    if (normal && action->state == ACTION_HELD)
        action->state = ACTION_IDLE;
    return false;
}

void action_on_handed(struct action *action, uint32_t write_id) {
    CHECK(action->state == ACTION_DUE);
    action->state = ACTION_WRITING;
    action->write_id = write_id;
    action->attempts++;
}

void action_on_written(struct action *action, const struct now *now, bool ok) {
    CHECK(action->state == ACTION_WRITING);
    if (ok) {
        action->state = action->alarm_normal ? ACTION_IDLE : ACTION_HELD;
        return;
    }
    int64_t pause_ms = ACTION_RETRY_MS;
    for (uint32_t i = 1; i < action->attempts && pause_ms < ACTION_RETRY_MAX_MS; i++)
        pause_ms *= 2;
    action->state = ACTION_RETRYING;
    action->retry_at_us = now->mono_us + 1000 * (pause_ms < ACTION_RETRY_MAX_MS ? pause_ms : ACTION_RETRY_MAX_MS);
}

void action_on_device_back(struct action *action, const struct now *now) {
    if (action->state == ACTION_RETRYING)
        action->retry_at_us = now->mono_us;
}

bool action_on_time(struct action *action, const struct now *now) {
    if (action->state != ACTION_RETRYING || action->retry_at_us > now->mono_us)
        return false;
    action->state = ACTION_DUE;
    action->retry_at_us = NOW_NEVER;
    return true;
}

int64_t action_next_wake(const struct action *action) {
    return action->state == ACTION_RETRYING ? action->retry_at_us : NOW_NEVER;
}
