/* SPDX-License-Identifier: Apache-2.0 */
/* The core's wishes: what stands in the state becomes effects, as far as this step has room. */
#include "base/check.h"
#include "base/text.h"
#include "gateway/core/core_parts.h"

/* ---- writes and releases ---- */

void core_pump_writes(struct core *core, const struct now *now, struct effects *effects) {
    core_pump_actions(core, now, effects);
    if (core->release_bus == CONFIG_NONE)
        return;
    struct effect *effect = effects_add(effects, EFFECT_RELEASE);
    if (!effect)
        return;
    effect->release.bus = core->release_bus;
    core->release_bus = CONFIG_NONE;
}

/* ---- the store ---- */

/* To the uplink that missed something, and to no other. */
static void tell_missed(struct core *core, const struct now *now, unsigned uplink, enum lane lane, struct missed *missed, const char *why) {
    if (!missed->count)
        return;
    struct gap_event event = {.lane = (uint8_t)lane, .from_seq = missed->from, .to_seq = missed->to, .count = missed->count};
    (void)text_copy(event.why, sizeof(event.why), why);
    missed->count = 0;
    uint8_t bytes[sizeof(event) + 32];
    struct bytes_writer body;
    bytes_writer_init(&body, bytes, sizeof(bytes));
    entry_put_gap(&body, &event);
    core_seal_event_for(core, now, (uint16_t)(1u << core->uplink_numbers[uplink]), LANE_EVENT, ENTRY_GAP, &body);
    trace_add(core->trace, now->mono_us, TRACE_ERROR, "gap uplink=%s lane=%s count=%llu why=%s", core->config->uplinks[uplink].name, lane_name(lane),
              (unsigned long long)event.count, why);
}

static bool gap_pending(const struct core *core) {
    bool pending = core->evicted_any;
    for (unsigned i = 0; i < LANES_COUNT; i++)
        pending = pending || core->journal.lanes[i].untold.count;
    return pending;
}

static void tell_gaps(struct core *core, const struct now *now) {
    if (now->mono_us < core->gap_due_us || !gap_pending(core))
        return;
    bool goes_on = core->gap_pause_us && now->mono_us - core->gap_due_us < core->gap_pause_us;
    core->gap_pause_us = goes_on ? 2 * core->gap_pause_us : CORE_GAP_EVERY_US;
    if (core->gap_pause_us > CORE_GAP_EVERY_MAX_US)
        core->gap_pause_us = CORE_GAP_EVERY_MAX_US;
    core->gap_due_us = now->mono_us + core->gap_pause_us;
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        struct journal_lane *lane = &core->journal.lanes[i];
        core->counters->lost[i] += lane->untold.count;
        lane->untold.count = 0;
        for (unsigned u = 0; u < core->config->uplinks_count; u++)
            tell_missed(core, now, u, (enum lane)i, &lane->missed[core->uplink_numbers[u]], "the store does not take entries and memory is full");
    }
    for (unsigned u = 0; u < core->config->uplinks_count; u++)
        for (unsigned i = 0; i < LANES_COUNT; i++)
            tell_missed(core, now, u, (enum lane)i, &core->evicted[u][i], "the room or the time for undelivered entries is used up");
    core->evicted_any = false;
}

void core_on_stored(struct core *core, const struct event *event) {
    enum lane lane = event->stored.lane;
    bool ok = event->stored.err == ERR_OK;
    journal_stored(&core->journal, lane, event->stored.last_seq, ok);
    core->store_retry_us[lane] = ok ? 0 : event->now.mono_us + CORE_STORE_RETRY_US;
    core->counters->store_failures += !ok;
    records_stored(&core->records, lane, ok);
    if (event->stored.evicted.count) {
        enum lane evicted_lane = event->stored.evicted_lane;
        uint16_t uplink = event->stored.evicted_uplink;
        missed_add(&core->evicted[uplink][evicted_lane], &event->stored.evicted);
        core->evicted_any = true;
        core->counters->evicted[evicted_lane] += event->stored.evicted.count;
        core->counters->uplinks[uplink].evicted += event->stored.evicted.count;
    }
    if (ok == core->store_failing) { /* said once, when it begins and when it ends */
        core->store_failing = !ok;
        if (ok) { /* what was lost until now is told at once */
            core->gap_due_us = event->now.mono_us;
            core->gap_pause_us = 0;
        }
        trace_add(core->trace, event->now.mono_us, ok ? TRACE_INFO : TRACE_ERROR,
                  ok ? "store works again" : "store fails: %s; entries stay in memory", err_sentence(event->stored.err));
    }
}

static bool lane_due(const struct core *core, const struct now *now, enum lane lane) {
    if (now->mono_us < core->store_retry_us[lane])
        return false;
    return lane != LANE_READING || now->mono_us >= core->readings_due_us || core->journal.lanes[lane].unstored_bytes >= JOURNAL_RUN_SIZE / 2;
}

/* What led up to an event is evidence: it goes to the disk with it, and not only when its own time has come. A shed that burns has no
 * mains for long. But an alarm that comes and goes must not make a commit of each few readings. */
static void evidence_hurry(struct core *core, const struct now *now) {
    int64_t due_us = core->evidence_us > now->mono_us ? core->evidence_us : now->mono_us;
    if (core->readings_due_us != NOW_NEVER && due_us < core->readings_due_us)
        core->readings_due_us = due_us;
    publisher_hurry_history(&core->publisher, due_us);
    if (due_us == now->mono_us)
        core->evidence_us = due_us + CORE_EVIDENCE_US;
}

/* Readings for the uplinks and for the history are written at one time, whichever is due first: a file system with a journal notes there
 * that a file was written, and so does it once for both. */
static void readings_due(struct core *core, const struct now *now) {
    if (!core->journal.lanes[LANE_READING].unstored_bytes)
        return;
    if (core->readings_due_us == NOW_NEVER)
        core->readings_due_us = now->mono_us + (core->stopping ? 0 : 1000 * (int64_t)core->config->store.readings_commit_ms);
    if (core->publisher.history_due_us <= now->mono_us && now->mono_us < core->readings_due_us)
        core->readings_due_us = now->mono_us;
}

void core_pump_store(struct core *core, const struct now *now, struct effects *effects) {
    tell_gaps(core, now);
    readings_due(core, now);
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        enum lane lane = (enum lane)i;
        struct journal_run run;
        if (!lane_due(core, now, lane) || effects->count == EFFECTS_MAX || !journal_take(&core->journal, lane, &run))
            continue;
        struct effect *effect = effects_add(effects, EFFECT_STORE);
        effect->store.lane = lane;
        effect->store.first_seq = run.first_seq;
        effect->store.last_seq = run.last_seq;
        effect->store.bytes = run.bytes;
        effect->store.size = run.size;
        effect->store.records = core->records.saves[lane];
        effect->store.records_count = records_take(&core->records, lane, run.last_seq, core_record_put, core);
        if (lane != LANE_READING) {
            evidence_hurry(core, now);
            continue;
        }
        publisher_hurry_history(&core->publisher, now->mono_us);
        if (!core->journal.lanes[lane].unstored_bytes)
            core->readings_due_us = NOW_NEVER;
    }
    struct publish_batch history;
    if (effects->count < EFFECTS_MAX && publisher_take_history(&core->publisher, now, core->stopping, &history)) {
        struct effect *effect = effects_add(effects, EFFECT_HISTORY);
        effect->history.at_ms = history.at_ms;
        effect->history.bytes = history.body.bytes;
        effect->history.size = (uint32_t)history.body.length;
    }
}

int64_t core_next_wake(const struct core *core) {
    int64_t wake = heap_first_us(&core->alarm_deadlines);
    int64_t others_us[] = {core_actions_next_wake(core), walk_next_wake(&core->walk), core->derived.save_at_us, flood_next_wake(&core->flood),
                           core_disk_next_wake(core)};
    for (unsigned i = 0; i < ARRAY_COUNT(others_us); i++)
        wake = others_us[i] < wake ? others_us[i] : wake;
    int64_t publish_us = publisher_next_wake(&core->publisher);
    wake = publish_us < wake ? publish_us : wake;
    if (gap_pending(core) && core->gap_due_us < wake)
        wake = core->gap_due_us;
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        const struct journal_lane *lane = &core->journal.lanes[i];
        if (lane->storing_seq != lane->durable_seq || lane->newest_seq == lane->durable_seq)
            continue; /* STORED will come, or nothing is to be stored */
        int64_t lane_us = i == LANE_READING ? core->readings_due_us : 0;
        lane_us = core->store_retry_us[i] > lane_us ? core->store_retry_us[i] : lane_us;
        wake = lane_us < wake ? lane_us : wake;
    }
    return core->release_bus != CONFIG_NONE || core_removed_due(core) ? 0 : wake;
}

bool core_settled(const struct core *core) {
    return journal_durable(&core->journal) || core->store_failing;
}

void core_check(const struct core *core) {
    journal_check(&core->journal);
    heap_check(&core->alarm_deadlines);
    records_check(&core->records);
    for (uint16_t i = 0; i < core->alarms_count; i++) {
        const struct core_alarm *slot = &core->alarms[i];
        alarm_check(&slot->alarm);
        CHECK(heap_at_us(&core->alarm_deadlines, i) <= alarm_next_wake(&slot->alarm));
    }
}
