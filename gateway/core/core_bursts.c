/* SPDX-License-Identifier: Apache-2.0 */
/* Bursts on the road: an alarm that chatters, and floods of many, are told by one event at their begin and one at their end (chatter.h says
 * when). The retained state and the record follow every transition all the same. */
#include "base/text.h"
#include "gateway/core/core_parts.h"

/* An alarm that chatters, or a flood of many (index CONFIG_NONE): begun, ended. */
uint64_t core_burst_tell(struct core *core, const struct now *now, uint16_t index, bool ended) {
    struct burst_event event = {.ended = ended};
    uint8_t bytes[sizeof(event) + 64];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    if (index == CONFIG_NONE) {
        event.number = core->flood.number;
        event.count = core->flood.count;
        event.first_ms = core->flood.first_ms;
        event.last_ms = core->flood.last_ms;
    } else {
        const struct core_alarm *slot = &core->alarms[index];
        (void)text_copy(event.device, sizeof(event.device), core_device_name(core, slot->alarm.rule->device));
        (void)text_copy(event.alarm, sizeof(event.alarm), slot->alarm.rule->name);
        event.state = (uint8_t)slot->alarm.state;
        event.count = slot->chatter.count;
        event.first_ms = slot->chatter.first_ms;
        event.last_ms = slot->chatter.last_ms;
    }
    entry_put_burst(&body, &event);
    trace_add(core->trace, now->mono_us, TRACE_WARNING, "%s %s%s%s%s count=%llu", index == CONFIG_NONE ? "flood of alarms" : "alarm", event.device,
              index == CONFIG_NONE ? "" : "/", event.alarm, index == CONFIG_NONE ? (ended ? "ended" : "begun") : ended ? " chatters no more" : " chatters",
              (unsigned long long)event.count);
    enum lane lane = index == CONFIG_NONE ? LANE_EVENT : core_alarm_lane(core, index);
    return core_seal_event(core, now, lane, index == CONFIG_NONE ? ENTRY_FLOOD : ENTRY_CHATTER, &body);
}

/* Counts an activation. True: the transition is not told by itself, because the event about the chattering stands for it. */
bool core_burst_hides(struct core *core, const struct now *now, uint16_t index, enum alarm_cause cause) {
    struct core_alarm *slot = &core->alarms[index];
    bool activated = cause == CAUSE_CONDITION;
    if (activated && chatter_on_activation(&slot->chatter, now)) {
        slot->event_seq = core_burst_tell(core, now, index, false);
        core->counters->chatters++;
    }
    bool hides = chatter_hides(&slot->chatter) && (activated || cause == CAUSE_RETURN);
    if (activated && !hides && flood_on_activation(&core->flood, now))
        core_burst_tell(core, now, CONFIG_NONE, false);
    if (!hides)
        return false;
    if (activated && !slot->alarm.occurrence_seq) {
        slot->alarm.occurrence_start = core->journal.start;
        slot->alarm.occurrence_seq = slot->event_seq;
    }
    if (slot->alarm.state == ALARM_NORMAL)
        slot->alarm.occurrence_start = slot->alarm.occurrence_seq = 0;
    return true;
}
