/* SPDX-License-Identifier: Apache-2.0 */
/* The link:
 *
 *            retry time             LINK_UP                stop: status said, or time over
 *    DOWN ------------> CONNECTING ---------> UP ---------------------------------> CLOSING
 *      ^                    |                  |                                       | LINK_DOWN
 *      |<-------------------'<-----------------'                                       v
 *      |      LINK_DOWN           LINK_DOWN                                          CLOSED
 *      '--- pause, and which broker of the list: uplink_broker.c
 *
 * What is sent next, as long as the window has room (uplink_send.c):
 *    1 status   2 live fire events   3 present states of fire alarms   4 live other events   5 present states of other alarms
 *    6 replies to commands     7 meta, health                      8 fire and 9 other events of the backlog
 *   10 live readings          11 readings of the backlog
 * The present state "normal" of an alarm that nothing was heard of since start is not sent: what the broker retains of it stays.
 * Readings leave WINDOW_RESERVED slots free (a quarter of a small window), so an alarm finds one. Readings and backlog in flight
 * have caps: halved when an acknowledgement takes 250 ms longer than the link needs (twice its fastest), grown by one for each
 * cap's worth of prompt ones; so an alarm does not stand behind a window of readings at a slow broker either. Large ones of them wait for
 * each other: no more than UPLINK_BYTES_MAX is under way, and one message.
 *
 * Guarantees: every SEND gets its slot back by exactly one ACKED; an entry's cursor moves only by an acknowledgement, or by a
 * refusal of the far end, which is counted and said; at LINK_DOWN all slots are free, and what was in them is backlog of the
 * next connection; a retained state that did not arrive is queued again; an all-clear rests on evidence since start. */
#include "gateway/uplinks/uplink.h"

#include <string.h>

#include "base/check.h"
#include "gateway/uplinks/uplink_broker.h"
#include "gateway/uplinks/uplink_send.h"

static const char *name_of(const struct uplink *uplink) {
    return uplink->rule->name;
}

static void queue_init(struct uplink_queue *queue, uint32_t size, bool *queued, struct arena *arena) {
    *queue = (struct uplink_queue){.items = arena_take(arena, size, sizeof(*queue->items)), .queued = queued, .size = size};
}

static void queue_put(struct uplink_queue *queue, uint16_t item) {
    if (queue->queued[item])
        return;
    queue->queued[item] = true;
    queue->items[(queue->first + queue->count++) % queue->size] = item;
}

static void queue_clear(struct uplink_queue *queue) {
    for (; queue->count; queue->count--) {
        queue->queued[queue->items[queue->first]] = false;
        queue->first = (queue->first + 1) % queue->size;
    }
}

void uplink_init(struct uplink *uplink, const struct config *config, uint16_t index, const struct core *core, const struct series_directory *series,
                 struct arena *arena, struct trace *trace, struct engine_counters *counters) {
    *uplink = (struct uplink){
        .rule = &config->uplinks[index],
        .index = index,
        .core = core,
        .json = {.config = config, .series = series, .topic_prefix = config->uplinks[index].mqtt.topic_prefix, .version = YANHUO_VERSION},
        .trace = trace,
        .counters = counters,
        .retry_at_us = NOW_NEVER,
        .pace_wake_us = NOW_NEVER,
        .close_at_us = NOW_NEVER,
        .health_due_us = NOW_NEVER};
    pace_init(&uplink->pace, uplink->rule->mqtt.backlog_rate);
    bool *alarm_queued = arena_take(arena, core->alarms_count, sizeof(bool));
    queue_init(&uplink->fire_alarms, core->alarms_count, alarm_queued, arena);
    queue_init(&uplink->other_alarms, core->alarms_count, alarm_queued, arena);
    queue_init(&uplink->metas, config->devices_count, arena_take(arena, config->devices_count, sizeof(bool)), arena);
}

/* ---- the link ---- */

void uplink_on_start(struct uplink *uplink, const struct now *now, uint64_t start, uint64_t seed, const struct store_image *image) {
    uplink->bit = (uint16_t)(1u << image->uplink_numbers[uplink->index]);
    uplink->json.start = start;
    uplink->since_ms = now->wall_ms;
    prng_init(&uplink->prng, seed + uplink->index);
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        uplink->flows[i].lane = (enum lane)i;
        const struct cursor *cursor = &image->cursors[uplink->index][i];
        bool ahead = cursor->low >= image->next_seq || (cursor->ranges_count && cursor->ranges[cursor->ranges_count - 1].to >= image->next_seq);
        /* A cursor past what was ever sealed belongs to another store's life: it must not pass over what comes now. */
        uplink->flows[i].cursor = ahead ? (struct cursor){.low = image->next_seq - 1} : *cursor;
        uplink->cursor_due_us[i] = NOW_NEVER;
    }
    uplink->retry_at_us = now->mono_us; /* at once */
}

void uplink_on_link_up(struct uplink *uplink, const struct now *now, uint16_t receive_max, uint8_t version) {
    if (uplink->state != UPLINK_CONNECTING)
        return;
    uint16_t window = uplink->rule->mqtt.window < receive_max ? uplink->rule->mqtt.window : receive_max;
    uplink->state = UPLINK_UP;
    uplink->up_since_us = now->mono_us;
    uplink->window = window > WINDOW_MAX ? WINDOW_MAX : window;
    uplink->readings = (struct uplink_share){.cap = uplink->window};
    uplink->backlog = (struct uplink_share){.cap = window > 4 ? window / 4 : 1};
    uplink->fastest_us = NOW_NEVER / 4;
    uplink->refusal_told = false;
    memset(uplink->told, 0, sizeof(uplink->told));
    for (uint16_t i = 0; i < uplink->window; i++)
        uplink->free_slots[i] = i;
    uplink->status_due = true;
    uplink->health_due_us = now->mono_us;
    for (uint16_t i = 0; i < uplink->core->alarms_count; i++)
        uplink_on_alarm(uplink, i);
    for (uint16_t i = 0; i < uplink->json.config->devices_count; i++)
        queue_put(&uplink->metas, i);
    for (unsigned i = 0; i < LANES_COUNT; i++)
        flow_begin(&uplink->flows[i], uplink->core->journal.next_seq);
    uplink->counters->uplinks[uplink->index].up = true;
    uplink->counters->uplinks[uplink->index].connects++;
    uplink->counters->uplinks[uplink->index].window = uplink->window;
    uplink_tell_up(uplink, now, version);
    if (uplink->stopping)
        uplink_on_stop(uplink, now);
}

/* Whatever was under way is not known to have arrived. */
static void forget_connection(struct uplink *uplink) {
    for (unsigned i = 0; i < WINDOW_MAX; i++)
        uplink->slots[i].kind = SLOT_FREE;
    uplink->in_flight = uplink->readings_in_flight = uplink->backlog_in_flight = uplink->window = 0;
    uplink->bytes_in_flight = 0;
    uplink->rows.loaded = false;
    uplink->rows.stale = uplink->rows.asked;
    uplink->pace_wake_us = NOW_NEVER;
    uplink->status_due = uplink->want_disconnect = false;
    uplink->health_due_us = NOW_NEVER;
    queue_clear(&uplink->fire_alarms);
    queue_clear(&uplink->other_alarms);
    queue_clear(&uplink->metas);
    replies_all_lost(&uplink->replies);
}

void uplink_on_link_down(struct uplink *uplink, const struct now *now, enum link_reason reason, const char *text) {
    if (uplink->state == UPLINK_DOWN || uplink->state == UPLINK_CLOSED)
        return;
    bool was_up = uplink->state == UPLINK_UP || uplink->state == UPLINK_CLOSING;
    uint8_t broker = uplink->broker;
    forget_connection(uplink);
    uplink->counters->uplinks[uplink->index].up = false;
    uplink->counters->uplinks[uplink->index].reason = reason;
    (void)text_copy(uplink->counters->uplinks[uplink->index].text, sizeof(uplink->counters->uplinks[0].text), text);
    if (uplink->stopping) {
        uplink->state = UPLINK_CLOSED;
        trace_add(uplink->trace, now->mono_us, TRACE_INFO, "uplink %s closed", name_of(uplink));
        return;
    }
    int64_t pause_us = uplink_next_broker(uplink, now, was_up);
    uplink->state = UPLINK_DOWN;
    uplink->retry_at_us = now->mono_us + pause_us;
    uplink_tell_down(uplink, now, &(struct uplink_down){reason, text, broker, was_up, pause_us});
}

void uplink_on_clock(struct uplink *uplink) {
    uplink->status_due = uplink->status_due || uplink->state == UPLINK_UP;
}

void uplink_on_alarm(struct uplink *uplink, uint16_t alarm) {
    const struct core_alarm *slot = &uplink->core->alarms[alarm];
    bool assumed = slot->alarm.state == ALARM_NORMAL && !slot->judged; /* an all-clear must not come from a dead sensor */
    if (uplink->state == UPLINK_UP && !assumed)
        queue_put(slot->alarm.rule->class == CLASS_FIRE ? &uplink->fire_alarms : &uplink->other_alarms, alarm);
}

void uplink_on_command(struct uplink *uplink, const struct command_reply *reply) {
    if (reply->id[0])
        uplink->counters->commands.replies_dropped += replies_put(&uplink->replies, reply);
}

void uplink_on_flood(struct uplink *uplink, const struct now *now, uint64_t dropped) {
    if (dropped && !uplink->flood_dropped)
        trace_add(uplink->trace, now->mono_us, TRACE_WARNING, "uplink %s: too many commands; beyond %d a second they are dropped unseen", name_of(uplink),
                  COMMANDS_PER_S);
    if (!dropped && uplink->flood_dropped)
        trace_add(uplink->trace, now->mono_us, TRACE_WARNING, "uplink %s: the flood of commands is over; %llu were dropped", name_of(uplink),
                  (unsigned long long)uplink->flood_dropped);
    uplink->flood_dropped = dropped ? uplink->flood_dropped + dropped : 0;
    uplink->counters->commands.dropped += dropped;
}

void uplink_on_stop(struct uplink *uplink, const struct now *now) {
    uplink->stopping = true;
    uplink->close_at_us = now->mono_us + UPLINK_CLOSE_US;
    uplink->status_due = uplink->state == UPLINK_UP; /* says offline: a clean end publishes no will */
    if (uplink->state == UPLINK_UP)
        uplink->since_ms = now->wall_ms;
    if (uplink->state == UPLINK_DOWN)
        uplink->state = UPLINK_CLOSED;
}

/* ---- acknowledgements and rows ---- */

/* What can wait must not lengthen the way of what cannot. */
static void adapt(struct uplink *uplink, struct uplink_share *share, int64_t delay_us, uint16_t least, uint16_t most) {
    if (delay_us > UPLINK_DELAY_MAX_US + 2 * uplink->fastest_us) {
        share->cap = share->cap / 2 > least ? share->cap / 2 : least;
        share->acks = 0;
    } else if (++share->acks >= share->cap) {
        share->acks = 0;
        share->cap += share->cap < most;
    }
}

static void cursor_moved(struct uplink *uplink, const struct now *now, enum lane lane) {
    if (uplink->cursor_due_us[lane] == NOW_NEVER)
        uplink->cursor_due_us[lane] = now->mono_us + (uplink->stopping ? 0 : UPLINK_CURSOR_US);
}

static void take_back(struct uplink *uplink, const struct uplink_slot *slot) {
    switch (slot->kind) {
    case SLOT_ALARM:
        uplink_on_alarm(uplink, (uint16_t)slot->item);
        return;
    case SLOT_META:
        queue_put(&uplink->metas, (uint16_t)slot->item);
        return;
    case SLOT_REPLY:
        replies_lost(&uplink->replies, slot->item);
        return;
    case SLOT_STATUS:
        uplink->status_due = true;
        return;
    case SLOT_LIVE: /* an entry lost while the link stands: the connection is not what it seems; start anew */
    case SLOT_BACKLOG:
        uplink->want_disconnect = true;
        return;
    case SLOT_HEALTH:
    case SLOT_FREE:
        return;
    }
}

void uplink_on_acked(struct uplink *uplink, const struct event *event) {
    const struct now *now = &event->now;
    uint16_t index = event->acked.slot;
    enum ack_result result = event->acked.result;
    CHECK(index < WINDOW_MAX);
    struct uplink_slot slot = uplink->slots[index];
    if (slot.kind == SLOT_FREE)
        return; /* of a connection that is gone */
    uplink->slots[index].kind = SLOT_FREE;
    uplink->in_flight--;
    uplink->bytes_in_flight -= slot.size;
    uplink->free_slots[uplink->window - uplink->in_flight - 1] = index;
    bool entry = slot.kind == SLOT_LIVE || slot.kind == SLOT_BACKLOG;
    uplink->readings_in_flight -= entry && slot.lane == LANE_READING;
    uplink->backlog_in_flight -= slot.kind == SLOT_BACKLOG;
    if (result == ACK_LOST) {
        uplink->counters->uplinks[uplink->index].resent++;
        take_back(uplink, &slot);
        return;
    }
    if (slot.kind == SLOT_REPLY)
        replies_done(&uplink->replies, slot.item);
    uplink->counters->uplinks[uplink->index].refused += result == ACK_REFUSED;
    if (result == ACK_REFUSED && !uplink->refusal_told) { /* once a connection; the counter tells how many */
        uplink->refusal_told = true;
        trace_add(uplink->trace, now->mono_us, TRACE_ERROR, "uplink %s refuses a message: reason 0x%02x; check what this user may publish under %s/#",
                  name_of(uplink), (unsigned)event->acked.code, uplink->json.topic_prefix);
    }
    uplink->counters->uplinks[uplink->index].acked += result == ACK_OK;
    int64_t delay_us = (event->acked.at_us ? event->acked.at_us : now->mono_us) - slot.sent_us;
    if (slot.kind != SLOT_HEALTH && delay_us < uplink->fastest_us) /* health is sent at QoS 0: its answer says nothing */
        uplink->fastest_us = delay_us;
    if (slot.kind == SLOT_BACKLOG)
        adapt(uplink, &uplink->backlog, delay_us, 1, uplink->window / 2);
    if (entry && slot.lane == LANE_READING)
        adapt(uplink, &uplink->readings, delay_us, UPLINK_READINGS_MIN, uplink->window);
    if (slot.kind == SLOT_LIVE && slot.lane != LANE_READING && result == ACK_OK)
        uplink->delivered_seq = flow_seq(&uplink->flows[slot.lane], FLOW_LIVE, slot.item);
    if (entry && flow_acked(&uplink->flows[slot.lane], slot.kind == SLOT_LIVE ? FLOW_LIVE : FLOW_BACKLOG, slot.item))
        cursor_moved(uplink, now, slot.lane);
}

void uplink_on_rows(struct uplink *uplink, const struct event *event) {
    bool stale = uplink->rows.stale;
    uplink->rows.asked = uplink->rows.stale = false;
    if (stale || uplink->state != UPLINK_UP)
        return; /* asked by a connection that is gone: the present one begins further below */
    if (event->rows.err != ERR_OK) {
        uplink->rows.loaded = false; /* asked again with the next step that has time */
        uplink->rows.retry_at_us = event->now.mono_us + CORE_STORE_RETRY_US;
        return;
    }
    uplink->rows.bytes = event->rows.bytes;
    uplink->rows.size = event->rows.size;
    uplink->rows.position = 0;
    uplink->rows.through_seq = event->rows.through_seq;
    uplink->rows.loaded = true;
}

/* ---- effects ---- */

static void pump_link(struct uplink *uplink, const struct now *now, struct effects *effects) {
    bool disconnect = uplink->want_disconnect && uplink->state == UPLINK_UP;
    bool finished = !uplink->status_due && !uplink->in_flight;
    if (uplink->stopping && uplink->state == UPLINK_UP)
        disconnect = disconnect || finished || now->mono_us >= uplink->close_at_us;
    if (uplink->stopping && uplink->state == UPLINK_CONNECTING && now->mono_us >= uplink->close_at_us)
        disconnect = true;
    if (disconnect) {
        struct effect *effect = effects_add(effects, EFFECT_DISCONNECT);
        if (!effect)
            return;
        effect->link.uplink = uplink->index;
        uplink->want_disconnect = false;
        uplink->state = UPLINK_CLOSING;
    }
    if (uplink->state == UPLINK_DOWN && now->mono_us >= uplink->retry_at_us) {
        struct effect *effect = effects_add(effects, EFFECT_CONNECT);
        if (!effect)
            return;
        effect->link.uplink = uplink->index;
        effect->link.broker = uplink->counters->uplinks[uplink->index].broker = uplink->broker;
        uplink->state = UPLINK_CONNECTING;
        uplink->retry_at_us = NOW_NEVER;
    }
}

static void pump_cursors(struct uplink *uplink, const struct now *now, struct effects *effects) {
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        if (now->mono_us < uplink->cursor_due_us[i] && !(uplink->stopping && uplink->cursor_due_us[i] != NOW_NEVER))
            continue;
        struct effect *effect = effects_add(effects, EFFECT_CURSOR);
        if (!effect)
            return;
        effect->cursor.uplink = uplink->index;
        effect->cursor.lane = (enum lane)i;
        effect->cursor.cursor = &uplink->flows[i].cursor;
        uplink->cursor_due_us[i] = NOW_NEVER;
    }
}

void uplink_pump(struct uplink *uplink, const struct now *now, struct effects *effects) {
    if (now->mono_us >= uplink->rows.retry_at_us)
        uplink->rows.retry_at_us = 0; /* asked now, or when the window has room again */
    if (uplink->state == UPLINK_UP)
        uplink_send(uplink, now, effects);
    uplink_tell_steady(uplink, now);
    pump_link(uplink, now, effects);
    pump_cursors(uplink, now, effects);
    uplink->counters->uplinks[uplink->index].in_flight = uplink->in_flight;
    uplink->counters->uplinks[uplink->index].backlog_in_flight = uplink->backlog_in_flight;
}

int64_t uplink_next_wake(const struct uplink *uplink) {
    int64_t wake = NOW_NEVER;
    if (uplink->state == UPLINK_DOWN)
        wake = uplink->retry_at_us;
    if (uplink->state == UPLINK_UP && !uplink->stopping && uplink->in_flight < uplink->window)
        wake = uplink->health_due_us; /* with a full window an acknowledgement comes first, and is a step of its own */
    if (uplink->stopping && (uplink->state == UPLINK_UP || uplink->state == UPLINK_CONNECTING) && uplink->close_at_us < wake)
        wake = uplink->close_at_us;
    if (uplink->state == UPLINK_UP && !uplink->stopping && uplink->rows.retry_at_us && uplink->rows.retry_at_us < wake)
        wake = uplink->rows.retry_at_us;
    if (uplink->state == UPLINK_UP && uplink->pace_wake_us < wake)
        wake = uplink->pace_wake_us;
    if (uplink->state == UPLINK_UP && uplink->flaps >= UPLINK_FLAPS_TOLD && uplink->up_since_us + UPLINK_STEADY_US < wake)
        wake = uplink->up_since_us + UPLINK_STEADY_US;
    for (unsigned i = 0; i < LANES_COUNT; i++)
        wake = uplink->cursor_due_us[i] < wake ? uplink->cursor_due_us[i] : wake;
    return uplink->want_disconnect && uplink->state == UPLINK_UP ? 0 : wake;
}

void uplink_check(const struct uplink *uplink) {
    unsigned busy = 0, readings = 0, backlog = 0;
    uint32_t bytes = 0;
    for (unsigned i = 0; i < WINDOW_MAX; i++) {
        const struct uplink_slot *slot = &uplink->slots[i];
        busy += slot->kind != SLOT_FREE;
        bytes += slot->kind != SLOT_FREE ? slot->size : 0;
        readings += (slot->kind == SLOT_LIVE || slot->kind == SLOT_BACKLOG) && slot->lane == LANE_READING;
        backlog += slot->kind == SLOT_BACKLOG;
    }
    CHECK(busy == uplink->in_flight && readings == uplink->readings_in_flight && backlog == uplink->backlog_in_flight);
    CHECK(bytes == uplink->bytes_in_flight);
    CHECK(uplink->in_flight <= uplink->window && (uplink->state == UPLINK_UP || uplink->state == UPLINK_CLOSING || !uplink->in_flight));
    for (unsigned i = 0; i < LANES_COUNT; i++)
        flow_check(&uplink->flows[i]);
}
