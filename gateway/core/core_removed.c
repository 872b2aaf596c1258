/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the store and no longer in the configuration: the end of an alarm whose rule, device or point was removed or renamed, and
 * of an action that was held. It is found at the start, when the records are read, and nothing of it is changed before it is told:
 *
 *   record without a rule -- start --> NOTED -- room in the lanes --> sealed: CLEARED, REMOVED -- commit --> the record is gone
 *                                        |                                 |
 *                                        '------ power cut: noted again ---'
 *
 * CLEARED is an entry like any other, but what it says is an empty retained message on alarm/{device}/{alarm}: so the end of a retained
 * topic is owed to each uplink as long as an event is, by its cursor, over a link that is down for days and over restarts, and needs no
 * memory of its own. REMOVED is the event, in the lane of the alarm's class, with the state it was left in. CLEARED is sealed first and
 * the record goes in the commit of REMOVED: whatever a power cut tears apart, a topic is cleared twice at most, what is durable is told
 * once, and what is not is found again. (An event that was sent and not yet durable is told again with the next start's id, as any is;
 * its occurrence says that it is the same.)
 * An alarm that came back into the configuration before its CLEARED was delivered has its topic in use: that entry is passed over.
 *
 * A problem that the alarm opened stays open and goes on wanting two persons; it is told anew, once, that there is no alarm behind it.
 * A held action is nobody's any more: its output stays as it is, and it is said that a person has to write it. Its record must go, or it
 * would cut a branch on the day on which the action is configured again. The memory of a derived point (run hours) is left: it says
 * nothing to anybody, and whoever configures the point again wants it back.
 *
 * Bounds: REMOVED_MAX a start, the others with the next; REMOVED_AT_ONCE a step, and only while the lanes of events are nearly empty, so
 * that a place that was removed crowds no alarm out of memory. */
#include <string.h>

#include "base/text.h"
#include "gateway/core/core_parts.h"
#include "gateway/core/describe.h"

#define REMOVED_AT_ONCE 16                    /* two lines of the trace each at most, and a step has room for TRACE_LINES_MAX */
#define LANE_ROOM_SIZE (JOURNAL_RUN_SIZE / 4) /* unstored bytes of a lane beyond which removed ones wait */

void core_removed_init(struct core *core, struct arena *arena) {
    core->removed.items = arena_take(arena, REMOVED_MAX, sizeof(*core->removed.items));
}

void core_removed_note(struct core *core, const struct store_record *record) {
    struct core_removed *removed = &core->removed;
    if (removed->count == REMOVED_MAX || record->size > RECORD_SIZE) {
        removed->left++;
        return;
    }
    struct core_removed_item *item = &removed->items[removed->count++];
    (void)text_copy(item->owner, sizeof(item->owner), record->owner);
    (void)text_copy(item->name, sizeof(item->name), record->name);
    memcpy(item->bytes, record->bytes, record->size);
    item->size = (uint16_t)record->size;
}

/* ---- telling ---- */

static void seal_cleared(struct core *core, const struct now *now, enum lane lane, const struct core_removed_item *item) {
    struct cleared_event event;
    uint8_t bytes[sizeof(event) + 16];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    (void)text_copy(event.device, sizeof(event.device), item->owner);
    (void)text_copy(event.alarm, sizeof(event.alarm), item->name);
    entry_put_cleared(&body, &event);
    core_seal_event(core, now, lane, ENTRY_CLEARED, &body);
}

static uint64_t tell_alarm(struct core *core, const struct now *now, const struct core_removed_item *item, enum lane *ret_lane) {
    struct alarm_remains remains;
    struct alarm_event event;
    uint8_t bytes[sizeof(event) + 64];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    alarm_record_look(&remains, item->bytes, item->size);
    describe_removed(core->config, item->owner, item->name, &remains, &event);
    *ret_lane = remains.class == CLASS_FIRE ? LANE_FIRE : LANE_EVENT;
    trace_add(core->trace, now->mono_us, TRACE_WARNING, "alarm %s/%s removed state=%s: it is no longer configured", item->owner, item->name,
              alarm_state_name((enum alarm_state)remains.state));
    seal_cleared(core, now, *ret_lane, item);
    entry_put_alarm(&body, &event);
    uint64_t seq = core_seal_event(core, now, *ret_lane, ENTRY_REMOVED, &body);
    unsigned problem = problems_find(&core->problems, item->owner, item->name);
    if (problem < PROBLEMS_MAX)
        core_problem_tell(core, now, problem, "", "报警已从配置中移除，问题仍待整改销号 its alarm is no longer configured; it stays open");
    return seq;
}

static uint64_t tell_action(struct core *core, const struct now *now, const struct core_removed_item *item) {
    char detail[EVENT_TEXT_SIZE];
    struct text text;
    text_init(&text, detail, sizeof(detail));
    text_add(&text, item->name);
    text_add(&text, " was held and is no longer configured: its output stays as it is until somebody writes it");
    trace_add(core->trace, now->mono_us, TRACE_WARNING, "action %s", detail);
    return core_seal_system(core, now, ENTRY_SYSTEM, "action-removed", detail, 0);
}

bool core_removed_due(const struct core *core) {
    bool room = core->journal.lanes[LANE_FIRE].unstored_bytes < LANE_ROOM_SIZE && core->journal.lanes[LANE_EVENT].unstored_bytes < LANE_ROOM_SIZE;
    return core->removed.told < core->removed.count && room && !core->stopping;
}

void core_removed_on_time(struct core *core, const struct now *now) {
    for (unsigned i = 0; i < REMOVED_AT_ONCE && core_removed_due(core); i++) {
        uint16_t index = core->removed.told++;
        const struct core_removed_item *item = &core->removed.items[index];
        enum lane lane = LANE_EVENT;
        uint64_t seq = item->owner[0] == '.' ? tell_action(core, now, item) : tell_alarm(core, now, item, &lane);
        core_record_removed(core, index, lane, seq);
    }
}

bool core_topic_in_use(const struct core *core, const struct entry *entry) {
    struct cleared_event event;
    return entry->kind == ENTRY_CLEARED && entry_get_cleared(entry, &event) && core_find_alarm(core, event.device, event.alarm) != CONFIG_NONE;
}
