/* SPDX-License-Identifier: Apache-2.0 */
/* From readings and truths to transitions, and what a transition sets going: its event, its record, its retained state, local
 * actions, the alarms it suppresses, its problem.
 * Guarantees: an alarm's event is sealed in the step that changed it; during a walk test what is in scope is told as a test, and neither
 * its retained state nor its record is touched. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "gateway/core/core_parts.h"
#include "gateway/core/describe.h"

/* ---- memory ---- */

/* Each point that an alarm looks at, once. */
static unsigned watched_points(const struct core *core, uint16_t index, uint32_t points[TERMS_PER_ALARM_MAX]) {
    const struct config_alarm *rule = &core->config->alarms[index];
    unsigned count = 0;
    if (rule->point != CONFIG_NONE)
        points[count++] = core->config->devices[rule->device].first_point + rule->point;
    for (unsigned t = 0; rule->condition == CONDITION_COMPOSITE && t < rule->terms_count; t++) {
        const struct config_term *term = &core->config->terms[rule->first_term + t];
        if (term->kind > TERM_MISSING)
            continue;
        uint32_t point = core->config->devices[term->device].first_point + term->point;
        unsigned known = 0;
        while (known < count && points[known] != point)
            known++;
        if (known == count)
            points[count++] = point;
    }
    return count;
}

/* Point -> alarms as one array of runs, so that a reading finds its alarms without a search. */
static void index_alarms(struct core *core, struct arena *arena) {
    const struct config *config = core->config;
    uint32_t points[TERMS_PER_ALARM_MAX], total = 0;
    core->point_alarms_first = arena_take(arena, config->points_count + 1, sizeof(*core->point_alarms_first));
    for (uint16_t i = 0; i < config->alarms_count; i++)
        for (unsigned k = watched_points(core, i, points); k > 0; k--, total++)
            core->point_alarms_first[points[k - 1] + 1]++;
    for (uint32_t p = 0; p < config->points_count; p++)
        core->point_alarms_first[p + 1] += core->point_alarms_first[p];
    core->point_alarms = arena_take(arena, total, sizeof(*core->point_alarms));
    uint32_t *filled = arena_take(arena, config->points_count, sizeof(*filled));
    for (uint16_t i = 0; i < config->alarms_count; i++)
        for (unsigned k = 0, count = watched_points(core, i, points); k < count; k++)
            core->point_alarms[core->point_alarms_first[points[k]] + filled[points[k]]++] = i;
}

static int compare_names(const void *a, const void *b, void *context) {
    const struct core *core = context;
    const struct config_alarm *first = core->alarms[*(const uint16_t *)a].alarm.rule, *second = core->alarms[*(const uint16_t *)b].alarm.rule;
    int order = strcmp(core_device_name(core, first->device), core_device_name(core, second->device));
    return order ? order : strcmp(first->name, second->name);
}

void core_alarms_init(struct core *core, struct arena *arena) {
    const struct config *config = core->config;
    uint16_t count = core->alarms_count = (uint16_t)(config->alarms_count + core_vitals_init(core, arena));
    core->alarms = arena_take(arena, count, sizeof(*core->alarms));
    core->changed = arena_take(arena, count, sizeof(*core->changed));
    core->composites_due = arena_take(arena, config->alarms_count, sizeof(*core->composites_due));
    core->alarms_by_name = arena_take(arena, count, sizeof(*core->alarms_by_name));
    heap_init(&core->alarm_deadlines, count, arena);
    for (uint16_t i = 0; i < count; i++) {
        bool own = i >= config->alarms_count;
        const struct config_alarm *rule = own ? &core->vitals.rules[i - config->alarms_count] : &config->alarms[i];
        struct core_alarm *slot = &core->alarms[i];
        alarm_init(&slot->alarm, rule);
        chatter_init(&slot->chatter, rule->class == CLASS_FIRE);
        core->alarms_by_name[i] = i;
        core->suppressions = core->suppressions || rule->suppressed_by != CONFIG_NONE;
        if (rule->condition == CONDITION_COMPOSITE)
            condition_init(&slot->condition, config, &config->terms[rule->first_term], rule->terms_count,
                           arena_take(arena, rule->terms_count, sizeof(struct condition_term)));
        if (rule->condition == CONDITION_COMMUNICATION && !own)
            core->devices[rule->device].communication = i;
        if (rule->condition == CONDITION_ACTION)
            core->action_alarms[rule->action] = i;
    }
    flood_init(&core->flood);
    qsort_r(core->alarms_by_name, count, sizeof(*core->alarms_by_name), compare_names, core);
    index_alarms(core, arena);
}

uint16_t core_find_alarm(const struct core *core, const char *device, const char *alarm) {
    uint32_t low = 0, high = core->alarms_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct config_alarm *rule = core->alarms[core->alarms_by_name[middle]].alarm.rule;
        int order = strcmp(core_device_name(core, rule->device), device);
        if (!order)
            order = strcmp(rule->name, alarm);
        if (!order)
            return core->alarms_by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return CONFIG_NONE;
}

enum lane core_alarm_lane(const struct core *core, uint16_t alarm) {
    return core->alarms[alarm].alarm.rule->class == CLASS_FIRE ? LANE_FIRE : LANE_EVENT;
}

/* ---- a transition ---- */

static void seal_alarm(struct core *core, const struct now *now, uint16_t index, enum alarm_cause cause, enum entry_kind kind) {
    uint8_t bytes[sizeof(struct alarm_event) + 64];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    struct core_alarm *slot = &core->alarms[index];
    bool open = slot->alarm.state != ALARM_NORMAL && !alarm_state_aside(slot->alarm.state); /* it may have come and gone on a shelf */
    if (open && !slot->alarm.occurrence_seq) { /* this entry raises it: its id names the occurrence */
        slot->alarm.occurrence_start = core->journal.start;
        slot->alarm.occurrence_seq = core->journal.next_seq;
    }
    struct alarm_event event;
    core_describe_alarm(core, index, cause, &event);
    entry_put_alarm(&body, &event);
    slot->event_seq = core_seal_event(core, now, core_alarm_lane(core, index), kind, &body);
    if (slot->alarm.state == ALARM_NORMAL)
        slot->alarm.occurrence_start = slot->alarm.occurrence_seq = 0;
}

static void mark_changed(struct core *core, uint16_t index) {
    struct core_alarm *slot = &core->alarms[index];
    if (!slot->changed) {
        slot->changed = true;
        core->changed[core->changed_count++] = index;
    }
}

static void count_active(struct core *core, struct core_alarm *slot) {
    bool active = alarm_state_active(slot->alarm.state);
    core->counters->alarms_active += (uint64_t)active - (uint64_t)slot->active;
    slot->active = active;
}

static void trace_alarm(struct core *core, const struct now *now, uint16_t index, enum alarm_cause cause) {
    const struct core_alarm *slot = &core->alarms[index];
    const struct config_alarm *rule = slot->alarm.rule;
    char value[64];
    struct text text;
    text_init(&text, value, sizeof(value));
    describe_value(&text, &slot->alarm.value);
    trace_add(core->trace, now->mono_us, rule->class == CLASS_FIRE ? TRACE_WARNING : TRACE_INFO, "alarm %s/%s %s by=%s value=%s%s",
              core_device_name(core, rule->device), rule->name, alarm_state_name(slot->alarm.state), alarm_cause_name(cause), value,
              slot->test ? " test" : "");
}

static void suppress(struct core *core, const struct now *now, uint16_t index, bool active) {
    enum alarm_cause cause;
    if (!alarm_suppress(&core->alarms[index].alarm, now, active, &cause))
        return;
    core_alarm_changed(core, now, index, cause);
    core_alarm_rearm(core, now, index);
}

/* Suppressed is at once, released at the end of the step: when one reading ends both, the suppressed alarm must have seen it. */
static void suppress_others(struct core *core, const struct now *now, uint16_t index) {
    bool active = alarm_state_active(core->alarms[index].alarm.state);
    core->releases_due = core->suppressions && (core->releases_due || !active);
    for (uint16_t i = 0; core->suppressions && active && i < core->config->alarms_count; i++)
        if (core->config->alarms[i].suppressed_by == index)
            suppress(core, now, i, true);
}

void core_release_suppressed(struct core *core, const struct now *now) {
    for (uint16_t i = 0; core->releases_due && i < core->config->alarms_count; i++) {
        uint16_t other = core->config->alarms[i].suppressed_by;
        if (other != CONFIG_NONE && !alarm_state_active(core->alarms[other].alarm.state))
            suppress(core, now, i, false);
    }
    core->releases_due = false;
}

/* It became normal while the alarm that suppresses it is active: it is not to come again meanwhile. */
static void suppress_itself(struct core *core, const struct now *now, uint16_t index) {
    uint16_t other = core->alarms[index].alarm.rule->suppressed_by;
    enum alarm_cause cause;
    if (other != CONFIG_NONE && alarm_state_active(core->alarms[other].alarm.state) &&
        alarm_suppress(&core->alarms[index].alarm, now, true, &cause))
        core_alarm_changed(core, now, index, cause);
}

/* A detector in scope of a walk test: told as a test, its way counted; when its condition is over so is the alarm. */
static void changed_in_test(struct core *core, const struct now *now, uint16_t index, enum alarm_cause cause) {
    struct core_alarm *slot = &core->alarms[index];
    if (cause == CAUSE_RETURN)
        alarm_test_returned(&slot->alarm, now);
    trace_alarm(core, now, index, cause);
    seal_alarm(core, now, index, cause, ENTRY_ALARM);
    if (cause == CAUSE_CONDITION)
        walk_on_alarm(&core->walk, now, index, slot->event_seq);
    if (cause == CAUSE_CONDITION && !core->walk.inhibit)
        core_actions_on_alarm(core, now, index);
    slot->test = slot->alarm.state != ALARM_NORMAL;
}

void core_alarm_changed(struct core *core, const struct now *now, uint16_t index, enum alarm_cause cause) {
    struct core_alarm *slot = &core->alarms[index];
    bool fresh = cause == CAUSE_CONDITION && !slot->alarm.occurrence_seq; /* what was open before the test stays real */
    slot->test = slot->test || (fresh && walk_covers(&core->walk, index));
    core->counters->alarm_transitions++;
    count_active(core, slot);
    if (slot->test) {
        changed_in_test(core, now, index, cause);
        count_active(core, slot);
        return;
    }
    trace_alarm(core, now, index, cause);
    bool told = !core_burst_hides(core, now, index, cause);
    if (told)
        seal_alarm(core, now, index, cause, ENTRY_ALARM);
    core_record_alarm(core, index, told ? slot->event_seq : RECORDS_NO_EVENT);
    slot->judged = true; /* by a person, too: what its event says, its retained state says */
    mark_changed(core, index);
    if (slot->alarm.state == ALARM_UNACKNOWLEDGED && cause != CAUSE_REALARM && cause != CAUSE_ESCALATE) {
        core_actions_on_alarm(core, now, index);
        core_problem_on_alarm(core, now, index);
    }
    suppress_others(core, now, index);
    suppress_itself(core, now, index);
}

void core_alarm_tell_state(struct core *core, uint16_t index) {
    if (core->alarms[index].judged)
        mark_changed(core, index);
}

void core_alarm_becomes_real(struct core *core, const struct now *now, uint16_t index) {
    struct core_alarm *slot = &core->alarms[index];
    slot->test = false;
    slot->alarm.occurrence_start = slot->alarm.occurrence_seq = 0;
    core_alarm_changed(core, now, index, CAUSE_WALK_ENDED);
}

/* Evidence since start makes "normal" more than an assumption, and only then is it told. A reading that speaks for the alarm,
 * while a delay runs or more of them are wanted, is no such evidence. */
static void mark_judged(struct core *core, uint16_t index) {
    struct core_alarm *slot = &core->alarms[index];
    bool normal = slot->alarm.state == ALARM_NORMAL;
    if (slot->judged || slot->test || (normal && (slot->alarm.waiting || (slot->alarm.history & 1))))
        return;
    slot->judged = true;
    if (normal) /* any other state was told already */
        mark_changed(core, index);
}

/* ---- judging ---- */

void core_alarm_rearm(struct core *core, const struct now *now, uint16_t index) {
    struct core_alarm *slot = &core->alarms[index];
    if (slot->alarm.noted && !slot->test)
        core_record_alarm(core, index, RECORDS_NO_EVENT);
    slot->alarm.noted = false;
    int64_t wake_us = alarm_next_wake(&slot->alarm);
    if (slot->alarm.rule->condition == CONDITION_COMPOSITE) {
        int64_t condition_us = condition_next_wake(&slot->condition, now);
        wake_us = condition_us < wake_us ? condition_us : wake_us;
    }
    int64_t chatter_us = chatter_next_wake(&slot->chatter);
    wake_us = chatter_us < wake_us ? chatter_us : wake_us;
    heap_set(&core->alarm_deadlines, index, wake_us);
}

static void judge_composite(struct core *core, const struct now *now, uint16_t index) {
    struct core_alarm *slot = &core->alarms[index];
    enum truth truth = condition_judge(&slot->condition, now);
    enum alarm_cause cause;
    if (truth == TRUTH_UNKNOWN)
        alarm_on_blind(&slot->alarm, now);
    else if (alarm_on_truth(&slot->alarm, now, truth == TRUTH_TRUE, &cause))
        core_alarm_changed(core, now, index, cause);
    if (truth != TRUTH_UNKNOWN)
        mark_judged(core, index);
}

void core_judge_reading(struct core *core, const struct now *now, uint16_t device, const struct reading *reading, bool extra) {
    uint32_t point = core->config->devices[device].first_point + reading->point;
    for (uint32_t i = core->point_alarms_first[point]; i < core->point_alarms_first[point + 1]; i++) {
        uint16_t index = core->point_alarms[i];
        struct core_alarm *slot = &core->alarms[index];
        enum alarm_cause cause;
        if (extra && slot->alarm.rule->of_m > 1)
            continue;
        if (slot->alarm.rule->condition == CONDITION_COMPOSITE) {
            const struct config_term *limit = config_limit_term(core->config, slot->alarm.rule);
            condition_on_reading(&slot->condition, device, reading);
            if (limit && limit->device == device && limit->point == reading->point && reading->quality == QUALITY_GOOD)
                slot->alarm.value = reading->value;
            if (!slot->composite_due) /* judged when all readings of this poll are in: core_judge_composites */
                core->composites_due[core->composites_due_count++] = index;
            slot->composite_due = true;
            continue;
        }
        if (reading->quality != QUALITY_GOOD) {
            alarm_on_blind(&slot->alarm, now);
        } else {
            if (alarm_on_value(&slot->alarm, now, &reading->value, &cause))
                core_alarm_changed(core, now, index, cause);
            mark_judged(core, index);
        }
        core_alarm_rearm(core, now, index);
    }
}

/* After all readings of a poll, derived ones too: two points that changed together are never looked at half old and half new. */
void core_judge_composites(struct core *core, const struct now *now) {
    for (unsigned i = 0; i < core->composites_due_count; i++) {
        uint16_t index = core->composites_due[i];
        core->alarms[index].composite_due = false;
        judge_composite(core, now, index);
        core_alarm_rearm(core, now, index);
    }
    core->composites_due_count = 0;
}

void core_judge_truth(struct core *core, const struct now *now, uint16_t index, bool condition) {
    enum alarm_cause cause;
    if (index == CONFIG_NONE)
        return;
    if (alarm_on_truth(&core->alarms[index].alarm, now, condition, &cause))
        core_alarm_changed(core, now, index, cause);
    mark_judged(core, index);
    core_alarm_rearm(core, now, index);
}

void core_alarms_on_time(struct core *core, const struct now *now) {
    uint32_t item;
    while (heap_take_due(&core->alarm_deadlines, now->mono_us, &item)) {
        struct core_alarm *slot = &core->alarms[item];
        enum alarm_cause cause;
        if (chatter_on_time(&slot->chatter, now))
            core_burst_tell(core, now, (uint16_t)item, true);
        if (slot->alarm.rule->condition == CONDITION_COMPOSITE)
            judge_composite(core, now, (uint16_t)item);
        while (alarm_on_time(&slot->alarm, now, &cause))
            core_alarm_changed(core, now, (uint16_t)item, cause);
        core_alarm_rearm(core, now, (uint16_t)item);
    }
    if (flood_on_time(&core->flood, now))
        core_burst_tell(core, now, CONFIG_NONE, true);
}

/* ---- start and clock ---- */

/* A shelf that stands in the configuration, as far as it still has time to run. */
static void shelve_as_configured(struct core *core, const struct now *now, uint16_t index) {
    struct core_alarm *slot = &core->alarms[index];
    const struct config_shelf *shelf = slot->alarm.rule->shelf;
    struct alarm_aside aside = {.until_ms = shelf ? shelf->until_ms : 0};
    const char *why;
    if (!shelf || slot->shelved_as_configured || !now->wall_trusted || shelf->until_ms <= now->wall_ms)
        return;
    slot->shelved_as_configured = true; /* once a start: whoever unshelves it is not overruled when the clock is set again */
    if (alarm_state_aside(slot->alarm.state))
        return;
    (void)text_copy(aside.by, sizeof(aside.by), shelf->by);
    (void)text_copy(aside.reason, sizeof(aside.reason), shelf->reason);
    if (alarm_shelve(&slot->alarm, now, &aside, &why))
        core_alarm_changed(core, now, index, CAUSE_SHELVE);
    else
        trace_add(core->trace, now->mono_us, TRACE_WARNING, "alarm %s/%s is not shelved as configured: %s",
                  core_device_name(core, slot->alarm.rule->device), slot->alarm.rule->name, why);
}

void core_alarms_on_clock(struct core *core, const struct now *now) {
    for (uint16_t i = 0; i < core->config->alarms_count; i++) {
        shelve_as_configured(core, now, i);
        if (core->config->alarms[i].condition == CONDITION_COMPOSITE)
            judge_composite(core, now, i); /* a place may be open now */
        core_alarm_rearm(core, now, i);
    }
}

/* What was open before is open now: told as a roster, not raised anew. */
static void tell_open(struct core *core, const struct now *now, uint16_t index) {
    struct core_alarm *slot = &core->alarms[index];
    bool expired = alarm_on_restart(&slot->alarm, now);
    if (slot->alarm.state == ALARM_NORMAL && !expired)
        return;
    trace_add(core->trace, now->mono_us, TRACE_INFO, "alarm %s/%s restored %s", core_device_name(core, slot->alarm.rule->device), slot->alarm.rule->name,
              alarm_state_name(slot->alarm.state));
    if (expired) {
        core_alarm_changed(core, now, index, CAUSE_EXPIRED);
        return;
    }
    seal_alarm(core, now, index, CAUSE_RESTORED, ENTRY_ROSTER);
    count_active(core, slot);
    if (alarm_state_aside(slot->alarm.state))
        return;
    core_actions_on_restored(core, now, index); /* a relay may have lost it meanwhile */
    core_problem_on_restored(core, now, index);
}

void core_alarms_on_start(struct core *core, const struct now *now) {
    for (uint16_t i = 0; i < core->alarms_count; i++)
        tell_open(core, now, i);
    for (uint16_t i = 0; i < core->alarms_count; i++) {
        uint16_t other = core->alarms[i].alarm.rule->suppressed_by;
        suppress(core, now, i, other != CONFIG_NONE && alarm_state_active(core->alarms[other].alarm.state));
        shelve_as_configured(core, now, i);
        core_alarm_rearm(core, now, i);
    }
}
