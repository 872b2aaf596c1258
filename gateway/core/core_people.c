/* SPDX-License-Identifier: Apache-2.0 */
/* Walk tests and problems on the road: what people do about alarms, told as records. */
#include "base/text.h"
#include "gateway/core/core_parts.h"

/* ---- problems ---- */

void core_problem_tell(struct core *core, const struct now *now, unsigned problem, const char *by, const char *what) {
    struct problem *item = &core->problems.items[problem];
    struct problem_event event = {.start = item->start, .seq = item->seq, .state = (uint8_t)item->state, .opened_ms = item->opened_ms,
                                  .occurrences = item->occurrences};
    uint8_t bytes[sizeof(event) + 64];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    (void)text_copy(event.device, sizeof(event.device), item->device);
    (void)text_copy(event.alarm, sizeof(event.alarm), item->alarm);
    (void)text_copy(event.to, sizeof(event.to), item->to);
    (void)text_copy(event.by, sizeof(event.by), by);
    (void)text_copy(event.what, sizeof(event.what), what);
    entry_put_problem(&body, &event);
    uint64_t seq = core_seal_event(core, now, LANE_EVENT, ENTRY_PROBLEM, &body);
    trace_add(core->trace, now->mono_us, TRACE_INFO, "problem %s/%s %s", item->device, item->alarm, problem_state_name(item->state));
    if (item->state == PROBLEM_CLOSED)
        *item = (struct problem){.state = PROBLEM_NONE};
    core_record_problem(core, problem, seq);
}

void core_problem_on_alarm(struct core *core, const struct now *now, uint16_t alarm) {
    const struct config_alarm *rule = core->alarms[alarm].alarm.rule;
    const struct alarm *state = &core->alarms[alarm].alarm;
    bool opened;
    if (!problem_wanted(rule))
        return;
    unsigned problem = problems_on_alarm(&core->problems, now, core_device_name(core, rule->device), rule->name, state->occurrence_start,
                                         state->occurrence_seq, &opened);
    if (problem == PROBLEMS_MAX)
        trace_add(core->trace, now->mono_us, TRACE_ERROR, "problem of %s/%s is not opened: %u are open already; close some",
                  core_device_name(core, rule->device), rule->name, PROBLEMS_MAX);
    else if (opened)
        core_problem_tell(core, now, problem, "", "");
    else
        core_record_problem(core, problem, RECORDS_NO_EVENT); /* one more occurrence: its event may be of the fire lane */
}

void core_problem_on_restored(struct core *core, const struct now *now, uint16_t alarm) {
    const struct config_alarm *rule = core->alarms[alarm].alarm.rule;
    if (problems_find(&core->problems, core_device_name(core, rule->device), rule->name) == PROBLEMS_MAX)
        core_problem_on_alarm(core, now, alarm);
}

/* ---- the walk test ---- */

/* Begun, or its result: which detectors were seen, when, how fast; in parts of WALK_PART_MAX. */
void core_walk_tell(struct core *core, const struct now *now, bool ended) {
    const struct walk *walk = &core->walk;
    struct walk_event event = {.ended = ended, .inhibit = walk->inhibit, .detectors = walk->detectors_count, .seen = walk->seen_count,
                               .began_ms = walk->began_ms};
    uint16_t next = 0;
    (void)text_copy(event.by, sizeof(event.by), walk->by);
    (void)text_copy(event.id, sizeof(event.id), walk->id);
    if (walk->device != CONFIG_NONE)
        (void)text_copy(event.device, sizeof(event.device), core_device_name(core, walk->device));
    else
        (void)text_copy(event.place, sizeof(event.place), core->config->places[walk->place].key);
    do {
        uint8_t bytes[WALK_EVENT_SIZE];
        struct bytes_writer body;
        bytes_writer_init(&body, bytes, sizeof(bytes));
        event.items_count = 0;
        for (; ended && next < core->config->alarms_count && event.items_count < WALK_PART_MAX; next++) {
            const struct walk_detector *detector = &walk->detectors[next];
            if (!detector->scope)
                continue;
            struct walk_item *item = &event.items[event.items_count++];
            (void)text_copy(item->device, sizeof(item->device), core_device_name(core, core->config->alarms[next].device));
            (void)text_copy(item->alarm, sizeof(item->alarm), core->config->alarms[next].name);
            item->at_ms = detector->at_ms;
            item->latency_ms = detector->latency_ms;
        }
        entry_put_walk(&body, &event);
        core_seal_event(core, now, LANE_EVENT, ENTRY_WALK_TEST, &body);
        event.part++;
    } while (ended && next < core->config->alarms_count);
}

void core_walk_end(struct core *core, const struct now *now) {
    trace_add(core->trace, now->mono_us, TRACE_INFO, "walk test ended seen=%u of=%u", core->walk.seen_count, core->walk.detectors_count);
    core_walk_tell(core, now, true);
    walk_end(&core->walk);
    for (uint16_t i = 0; i < core->config->alarms_count; i++) {
        struct core_alarm *slot = &core->alarms[i];
        if (slot->test && alarm_test_ended(&slot->alarm, now))
            core_alarm_becomes_real(core, now, i);
        else if (slot->test)
            core_alarm_changed(core, now, i, CAUSE_WALK_ENDED);
        if (core->walk.detectors[i].scope)
            core_alarm_tell_state(core, i); /* who connected during the test was not told it */
        core_alarm_rearm(core, now, i);
    }
}

static bool walk_complete(const struct core *core) {
    bool complete = core->walk.on && core->walk.seen_count == core->walk.detectors_count;
    for (uint16_t i = 0; complete && i < core->config->alarms_count; i++)
        complete = !core->alarms[i].test;
    return complete;
}

void core_walk_on_time(struct core *core, const struct now *now) {
    if (walk_over(&core->walk, now) || walk_complete(core))
        core_walk_end(core, now);
}

void core_on_delivered(struct core *core, const struct now *now, uint64_t seq) {
    walk_on_delivered(&core->walk, now, seq);
}
