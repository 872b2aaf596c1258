/* SPDX-License-Identifier: Apache-2.0 */
/* One message at a time: pick, render straight into the effects' bytes, hand over. What could not be rendered whole was sealed
 * by another version or breaks our own bounds: it is said, and counts as delivered so that it blocks nothing. */
#include "gateway/uplinks/uplink_send.h"

#include "base/check.h"

struct message {
    struct text topic, payload;
    struct uplink_slot slot;
    uint8_t qos;
    bool retain, rendered;
    bool obsolete; /* an entry that must not be sent any more */
};

/* Room for one more message: a slot, an effect and bytes for the largest. */
static bool message_begin(const struct uplink *uplink, struct effects *effects, struct message *message) {
    *message = (struct message){.qos = 1};
    if (uplink->in_flight >= uplink->window)
        return false;
    if (effects->count == EFFECTS_MAX || EFFECT_BYTES_SIZE - effects->bytes_used < TOPIC_SIZE + PAYLOAD_SIZE) {
        effects->full = true;
        return false;
    }
    bool begun = effects_text(effects, &message->topic, TOPIC_SIZE);
    CHECK(begun);
    text_init(&message->payload, message->topic.bytes + TOPIC_SIZE, PAYLOAD_SIZE);
    return true;
}

static void message_send(struct uplink *uplink, const struct now *now, struct effects *effects, const struct message *message) {
    uint16_t index = uplink->free_slots[uplink->window - uplink->in_flight - 1];
    struct uplink_slot *slot = &uplink->slots[index];
    CHECK(slot->kind == SLOT_FREE);
    *slot = message->slot;
    slot->sent_us = now->mono_us;
    slot->size = (uint32_t)message->payload.length;
    uplink->in_flight++;
    uplink->bytes_in_flight += slot->size;
    bool entry = slot->kind == SLOT_LIVE || slot->kind == SLOT_BACKLOG;
    uplink->readings_in_flight += entry && slot->lane == LANE_READING;
    uplink->backlog_in_flight += slot->kind == SLOT_BACKLOG;
    if (slot->kind == SLOT_BACKLOG)
        pace_take(&uplink->pace);
    struct effect *effect = effects_add(effects, EFFECT_SEND);
    effect->send.uplink = uplink->index;
    effect->send.slot = index;
    effect->send.topic = message->topic.bytes;
    effect->send.payload = message->payload.bytes;
    effect->send.size = (uint32_t)message->payload.length;
    effect->send.qos = message->qos;
    effect->send.retain = message->retain;
    effects->bytes_used += TOPIC_SIZE + (uint32_t)message->payload.length + 1;
    uplink->counters->uplinks[uplink->index].sent++;
}

/* ---- what can be picked; each returns true when *message holds one ---- */

static bool pick_status(struct uplink *uplink, const struct now *now, struct message *message) {
    if (!uplink->status_due)
        return false;
    uplink->status_due = false;
    message->slot.kind = SLOT_STATUS;
    message->retain = true;
    message->rendered = mqtt_json_status(&uplink->json, !uplink->stopping, now, uplink->since_ms, &message->topic, &message->payload);
    return true;
}

static bool queue_take(struct uplink_queue *queue, uint16_t *ret_item) {
    if (!queue->count)
        return false;
    *ret_item = queue->items[queue->first];
    queue->first = (queue->first + 1) % queue->size;
    queue->count--;
    queue->queued[*ret_item] = false;
    return true;
}

static bool pick_alarm(struct uplink *uplink, struct uplink_queue *queue, struct message *message) {
    uint16_t index;
    do
        if (!queue_take(queue, &index))
            return false;
    while (uplink->core->alarms[index].test); /* of a walk test: its retained state stays, and is sent again when the test is over */
    const struct core_alarm *slot = &uplink->core->alarms[index];
    struct alarm_event event;
    core_describe_alarm(uplink->core, index, CAUSE_CONDITION, &event);
    message->slot = (struct uplink_slot){.kind = SLOT_ALARM, .item = index};
    message->retain = true;
    message->rendered = mqtt_json_alarm(&uplink->json, &event, slot->event_seq, slot->alarm.at_ms, &message->topic, &message->payload);
    return true;
}

static bool pick_reply(struct uplink *uplink, struct message *message) {
    const struct reply *reply = replies_take(&uplink->replies);
    if (!reply)
        return false;
    message->slot = (struct uplink_slot){.kind = SLOT_REPLY, .item = reply->number};
    message->rendered = mqtt_json_reply(&uplink->json, &reply->text, &message->topic, &message->payload);
    return true;
}

static bool pick_meta(struct uplink *uplink, struct message *message) {
    uint16_t index;
    if (!queue_take(&uplink->metas, &index))
        return false;
    message->slot = (struct uplink_slot){.kind = SLOT_META, .item = index};
    message->retain = true;
    message->rendered = mqtt_json_meta(&uplink->json, index, &message->topic, &message->payload);
    return true;
}

static bool pick_health(struct uplink *uplink, const struct now *now, struct message *message) {
    if (now->mono_us < uplink->health_due_us)
        return false;
    uplink->health_due_us = now->mono_us + UPLINK_HEALTH_US;
    message->slot.kind = SLOT_HEALTH;
    message->qos = 0;
    message->retain = true;
    message->rendered = mqtt_json_health(&uplink->json, uplink->counters, now, &message->topic, &message->payload);
    return true;
}

static void render_entry(struct uplink *uplink, const struct entry *entry, enum flow_kind kind, struct message *message) {
    message->slot = (struct uplink_slot){
        .kind = kind == FLOW_LIVE ? SLOT_LIVE : SLOT_BACKLOG, .lane = entry->lane, .item = flow_sent(&uplink->flows[entry->lane], kind, entry->seq)};
    message->rendered = mqtt_json_entry(&uplink->json, entry, kind == FLOW_BACKLOG, &message->topic, &message->payload);
    message->retain = entry->kind == ENTRY_CLEARED && !message->payload.length;
    message->obsolete = core_topic_in_use(uplink->core, entry);
}

static bool room_for(const struct uplink *uplink, enum lane lane) {
    uint16_t reserved = uplink->window > 2 * WINDOW_RESERVED ? WINDOW_RESERVED : uplink->window / 4;
    return lane != LANE_READING || (uplink->bytes_in_flight < UPLINK_BYTES_MAX && uplink->in_flight < uplink->window - reserved && uplink->readings_in_flight < uplink->readings.cap);
}

static bool pick_live(struct uplink *uplink, enum lane lane, struct message *message) {
    struct entry entry;
    if (!room_for(uplink, lane) || !flow_live(&uplink->flows[lane], &uplink->core->journal, uplink->bit, &entry))
        return false;
    render_entry(uplink, &entry, FLOW_LIVE, message);
    return true;
}

/* The next entry of this lane among the rows the store gave; rows that are used up move the flow on. */
static bool next_row(struct uplink *uplink, enum lane lane, struct entry *ret_entry) {
    struct uplink_rows *rows = &uplink->rows;
    if (!rows->loaded || rows->lane != lane)
        return false;
    struct flow *flow = &uplink->flows[lane];
    size_t size;
    while (rows->position < rows->size && entry_open(rows->bytes + rows->position, rows->size - rows->position, ret_entry, &size)) {
        if (ret_entry->seq > flow->through)
            break;
        rows->position += size;
        uint64_t next = flow->parts[FLOW_BACKLOG].next;
        if (ret_entry->seq >= next && cursor_next(&flow->cursor, ret_entry->seq) == ret_entry->seq && ret_entry->uplinks & uplink->bit)
            return true;
    }
    rows->loaded = false;
    if (flow_looked(flow, rows->through_seq < flow->through ? rows->through_seq : flow->through) && uplink->cursor_due_us[lane] == NOW_NEVER)
        uplink->cursor_due_us[lane] = 0;
    return false;
}

static void ask(struct uplink *uplink, enum lane lane, uint64_t after_seq, uint64_t through_seq, struct effects *effects) {
    struct uplink_rows *rows = &uplink->rows;
    if (rows->asked || rows->retry_at_us)
        return;
    struct effect *effect = effects_add(effects, EFFECT_QUERY);
    if (!effect)
        return;
    effect->query.uplink = uplink->index;
    effect->query.lane = lane;
    effect->query.after_seq = after_seq;
    effect->query.through_seq = through_seq;
    *rows = (struct uplink_rows){.lane = lane, .asked = true};
}

static bool pick_backlog(struct uplink *uplink, enum lane lane, struct effects *effects, struct message *message) {
    bool urgent = lane != LANE_READING;
    if (!room_for(uplink, lane) || uplink->backlog_in_flight >= uplink->backlog.cap || uplink->bytes_in_flight >= UPLINK_BYTES_MAX)
        return false;
    if (!pace_allows(&uplink->pace, urgent)) {
        int64_t wake_us = pace_wake_us(&uplink->pace, urgent);
        uplink->pace_wake_us = wake_us < uplink->pace_wake_us ? wake_us : uplink->pace_wake_us;
        return false;
    }
    struct entry entry;
    if (next_row(uplink, lane, &entry)) {
        render_entry(uplink, &entry, FLOW_BACKLOG, message);
        return true;
    }
    uint64_t after_seq, through_seq;
    switch (flow_backlog(&uplink->flows[lane], &uplink->core->journal, uplink->bit, &entry, &after_seq, &through_seq)) {
    case FLOW_NOTHING:
        return false;
    case FLOW_ENTRY:
        render_entry(uplink, &entry, FLOW_BACKLOG, message);
        return true;
    case FLOW_QUERY: /* fire first: rows of a lower lane that are not sent yet are given up and read again later */
        if (!uplink->rows.loaded || uplink->rows.lane > lane)
            ask(uplink, lane, after_seq, through_seq, effects);
        return false;
    }
    return false;
}

static bool pick(struct uplink *uplink, const struct now *now, struct effects *effects, struct message *message) {
    if (uplink->stopping)
        return pick_live(uplink, LANE_FIRE, message) || pick_alarm(uplink, &uplink->fire_alarms, message) || pick_live(uplink, LANE_EVENT, message) ||
               pick_alarm(uplink, &uplink->other_alarms, message) || pick_reply(uplink, message) || pick_live(uplink, LANE_READING, message) ||
               pick_status(uplink, now, message);
    return pick_status(uplink, now, message) || pick_live(uplink, LANE_FIRE, message) || pick_alarm(uplink, &uplink->fire_alarms, message) ||
           pick_live(uplink, LANE_EVENT, message) || pick_alarm(uplink, &uplink->other_alarms, message) || pick_reply(uplink, message) ||
           pick_meta(uplink, message) || pick_health(uplink, now, message) || pick_backlog(uplink, LANE_FIRE, effects, message) ||
           pick_backlog(uplink, LANE_EVENT, effects, message) || pick_live(uplink, LANE_READING, message) ||
           pick_backlog(uplink, LANE_READING, effects, message);
}

/* Counts as delivered, so that it blocks nothing. */
static void skip(struct uplink *uplink, const struct now *now, const struct message *message) {
    enum lane lane = message->slot.lane;
    enum flow_kind kind = message->slot.kind == SLOT_LIVE ? FLOW_LIVE : FLOW_BACKLOG;
    bool entry = message->slot.kind == SLOT_LIVE || message->slot.kind == SLOT_BACKLOG;
    if (!message->obsolete)
        trace_add(uplink->trace, now->mono_us, TRACE_ERROR, "uplink %s: a message on %s is larger than %u bytes and is not sent", uplink->rule->name,
                  message->topic.bytes, PAYLOAD_SIZE);
    if (entry && flow_acked(&uplink->flows[lane], kind, message->slot.item) && uplink->cursor_due_us[lane] == NOW_NEVER)
        uplink->cursor_due_us[lane] = now->mono_us + UPLINK_CURSOR_US;
    if (message->slot.kind == SLOT_REPLY)
        replies_done(&uplink->replies, message->slot.item);
}

void uplink_send(struct uplink *uplink, const struct now *now, struct effects *effects) {
    struct message message;
    uplink->pace_wake_us = NOW_NEVER;
    pace_tick(&uplink->pace, now->mono_us);
    while (message_begin(uplink, effects, &message) && pick(uplink, now, effects, &message)) {
        if (message.rendered && !message.obsolete)
            message_send(uplink, now, effects, &message);
        else
            skip(uplink, now, &message);
    }
}
