/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/action.h"

#include "base/check.h"

const char *action_state_name(enum action_state state) {
    static const char *const names[] = {"idle", "due", "writing", "retrying", "held", "verifying"};
    return (unsigned)state < ARRAY_COUNT(names) ? names[state] : "unknown";
}

static void enter(struct action *action, enum action_state state) {
    action->state = state;
    action->retry_at_us = action->verify_until_us = NOW_NEVER;
}

void action_init(struct action *action, const struct config_action *rule) {
    *action = (struct action){.rule = rule};
    enter(action, ACTION_IDLE);
}

bool action_want(struct action *action) {
    if (action->released) { /* the write under way may be overtaken by what it gave way to: it is written once more after that */
        action->released = false;
        action->anew = true;
        return true;
    }
    if (action->state != ACTION_IDLE && action->state != ACTION_HELD)
        return false; /* it is on its way */
    action->attempts = action->undone = 0;
    enter(action, ACTION_DUE);
    return true;
}

bool action_release(struct action *action) {
    bool wanted = action_wanted(action);
    if (action->state == ACTION_WRITING)
        action->released = true;
    else
        enter(action, ACTION_IDLE);
    action->anew = false;
    return wanted;
}

void action_on_handed(struct action *action, uint32_t write_id) {
    CHECK(action->state == ACTION_DUE);
    enter(action, ACTION_WRITING);
    action->write_id = write_id;
    action->attempts++;
}

static void retry(struct action *action, const struct now *now) {
    int64_t pause_ms = ACTION_RETRY_MS;
    for (uint32_t i = 1; i < action->attempts && pause_ms < ACTION_RETRY_MAX_MS; i++)
        pause_ms *= 2;
    enter(action, ACTION_RETRYING);
    action->retry_at_us = now->mono_us + 1000 * (pause_ms < ACTION_RETRY_MAX_MS ? pause_ms : ACTION_RETRY_MAX_MS);
}

static enum action_news done(struct action *action) {
    enter(action, ACTION_HELD);
    return ACTION_DONE;
}

enum action_news action_on_written(struct action *action, const struct now *now, bool ok, bool readable) {
    CHECK(action->state == ACTION_WRITING);
    if (action->released) {
        enter(action, ACTION_IDLE);
        action->released = false;
        return ACTION_SAME;
    }
    if (action->anew) {
        action->anew = false;
        action->attempts = action->undone = 0;
        enter(action, ACTION_DUE);
        return ACTION_SAME;
    }
    if (!ok) {
        retry(action, now);
        return ACTION_SAME;
    }
    if (!readable)
        return done(action);
    enter(action, ACTION_VERIFYING);
    action->verify_until_us = now->mono_us + 1000 * ACTION_VERIFY_MS;
    return ACTION_SAME;
}

enum action_news action_on_reading(struct action *action, const struct now *now, double number) {
    bool equal = number == action->rule->value;
    if (action->state == ACTION_VERIFYING && equal)
        return done(action);
    if (action->state == ACTION_VERIFYING) {
        retry(action, now);
        return ACTION_UNDONE;
    }
    if (action->state != ACTION_HELD || equal)
        return ACTION_SAME;
    action->undone++;
    action->attempts = 0;
    enter(action, ACTION_DUE);
    return ACTION_UNDONE;
}

void action_on_device_back(struct action *action, const struct now *now) {
    if (action->state == ACTION_RETRYING)
        action->retry_at_us = now->mono_us;
}

enum action_news action_on_time(struct action *action, const struct now *now) {
    if (action->state == ACTION_RETRYING && action->retry_at_us <= now->mono_us)
        enter(action, ACTION_DUE);
    if (action->state != ACTION_VERIFYING || action->verify_until_us > now->mono_us)
        return ACTION_SAME;
    retry(action, now);
    return ACTION_NOT_READ;
}

int64_t action_next_wake(const struct action *action) {
    if (action->state == ACTION_DUE)
        return 0;
    return action->retry_at_us < action->verify_until_us ? action->retry_at_us : action->verify_until_us;
}

bool action_wanted(const struct action *action) {
    return action->state != ACTION_IDLE && !action->released;
}

bool action_failing(const struct action *action) {
    uint32_t open = action->state == ACTION_WRITING || action->state == ACTION_VERIFYING; /* an attempt that may still succeed */
    return action->attempts >= ACTION_FAILING + open && action->state != ACTION_IDLE && action->state != ACTION_HELD;
}
