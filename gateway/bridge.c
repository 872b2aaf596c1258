/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP bus answers on the loop itself and is stepped at once, unless a step is under way; everything else comes through the
 * inbox, so that steps never nest. */
#include "gateway/bridge.h"

#include <stddef.h>
#include <string.h>

#include "gateway/io/log.h"
#include "gateway/io/notify.h"

enum message {
    MESSAGE_POLLED,
    MESSAGE_WRITTEN,
    MESSAGE_TRACED,
    MESSAGE_STORED,
    MESSAGE_ROWS,
    MESSAGE_DISK,
    MESSAGE_LINK_UP,
    MESSAGE_LINK_DOWN,
    MESSAGE_ACKED,
    MESSAGE_RECEIVED,
    MESSAGE_ASKED,
    MESSAGE_GUEST_ANSWERED
};

/* ---- effects ---- */

static void carry_out_write(struct bridge *bridge, const struct effect *effect) {
    struct bridge_bus *bus = &bridge->buses[effect->write.bus];
    enum err err = ERR_DISCONNECTED;
    if (bus->rtu)
        err = bus_rtu_write(bus->rtu, &effect->write.command);
    else if (bus->tcp)
        err = bus_tcp_write(bus->tcp, &effect->write.command);
    if (err == ERR_OK)
        return;
    struct written failed = {.id = effect->write.command.id,
                             .bus = effect->write.bus,
                             .device = effect->write.command.device,
                             .point = effect->write.command.point,
                             .status = BUS_DISCONNECTED};
    now_read(&failed.now);
    inbox_post(bridge->inbox, MESSAGE_WRITTEN, &failed, sizeof(failed), NULL, 0);
}

static void carry_out_release(struct bridge *bridge, uint16_t index) {
    if (bridge->buses[index].rtu)
        bus_rtu_release(bridge->buses[index].rtu);
    else if (bridge->buses[index].tcp)
        bus_tcp_release(bridge->buses[index].tcp);
}

static void carry_out_notify(const struct effect *effect) {
    switch (effect->notify.kind) {
    case NOTIFY_READY:
        notify_ready();
        return;
    case NOTIFY_STATUS:
        notify_status(effect->notify.status);
        return;
    case NOTIFY_STOPPING:
        notify_stopping();
        return;
    }
}

static void carry_out_store(struct bridge *bridge, const struct effect *effect) {
    if (effect->kind == EFFECT_STORE)
        store_submit(bridge->store, effect->store.lane, effect->store.first_seq, effect->store.last_seq, effect->store.bytes, effect->store.size,
                     effect->store.records, effect->store.records_count);
    else if (effect->kind == EFFECT_HISTORY)
        store_history(bridge->store, effect->history.at_ms, effect->history.bytes, effect->history.size);
    else if (effect->kind == EFFECT_CURSOR)
        store_cursor(bridge->store, effect->cursor.uplink, effect->cursor.lane, effect->cursor.cursor);
    else
        store_query(bridge->store, effect->query.uplink, effect->query.lane, effect->query.after_seq, effect->query.through_seq);
}

static void carry_out(struct bridge *bridge, const struct effect *effect) {
    switch (effect->kind) {
    case EFFECT_WRITE:
        carry_out_write(bridge, effect);
        return;
    case EFFECT_RELEASE:
        carry_out_release(bridge, effect->release.bus);
        return;
    case EFFECT_STORE:
    case EFFECT_HISTORY:
    case EFFECT_CURSOR:
    case EFFECT_QUERY:
        carry_out_store(bridge, effect);
        return;
    case EFFECT_CONNECT:
        bridge->watch.asked_us[effect->link.uplink] = now_mono_us();
        mqtt_connect(bridge->mqtt, effect->link.uplink, effect->link.broker);
        return;
    case EFFECT_DISCONNECT:
        bridge->watch.asked_us[effect->link.uplink] = now_mono_us();
        mqtt_disconnect(bridge->mqtt, effect->link.uplink);
        return;
    case EFFECT_SEND:
        mqtt_send(bridge->mqtt, effect->send.uplink, effect->send.slot, effect->send.topic, effect->send.payload, effect->send.size, effect->send.qos,
                  effect->send.retain);
        return;
    case EFFECT_REPLY:
        socket_answer(bridge->socket, effect->reply.socket_id, effect->reply.payload);
        return;
    case EFFECT_NOTIFY:
        carry_out_notify(effect);
        return;
    case EFFECT_REPLACE:
        bridge_bus_replace(bridge, effect->replace.bus);
        return;
    case EFFECT_RESTART:
        bridge_watch_restart(bridge, effect->restart.part);
        return;
    case EFFECT_STOPPED:
        loop_stop(bridge->loop);
        return;
    }
}

static void drain_trace(struct trace *trace) {
    const struct trace_line *line;
    while (trace_take(trace, &line))
        log_line(line);
}

/* While windows are half empty and no backlog is measured by them, acknowledgements only free slots and move cursors: they
 * come in with the next post, sixteen at a time or with the beat, instead of one waking for each. */
static bool acks_can_wait(const struct bridge *bridge) {
    const struct engine_counters *counters = engine_counters(bridge->engine);
    bool wait = !bridge->stopping;
    for (unsigned i = 0; i < UPLINKS_MAX; i++)
        wait = wait && !counters->uplinks[i].backlog_in_flight && 2 * counters->uplinks[i].in_flight <= counters->uplinks[i].window;
    return wait;
}

void bridge_step(struct bridge *bridge, struct event *event) {
    now_read(&event->now);
    bridge->stepping = true;
    engine_step(bridge->engine, event, &bridge->effects);
    record_step(bridge->record, event, &bridge->effects, &bridge->trace); /* before the effects: a query gives the event's rows away */
    for (unsigned i = 0; i < bridge->effects.count; i++)
        carry_out(bridge, &bridge->effects.items[i]);
    bridge->stepping = false;
    atomic_store_explicit(&bridge->acks_wait, acks_can_wait(bridge), memory_order_relaxed);
    drain_trace(&bridge->trace);
    loop_set_deadline(bridge->loop, engine_next_wake(bridge->engine));
}

/* ---- from the inbox to events ---- */

static void take_link_message(struct bridge *bridge, uint32_t kind, const void *message, struct event *event) {
    if (kind == MESSAGE_LINK_UP) {
        const struct mqtt_link_up *up = message;
        event->kind = EVENT_LINK_UP;
        bridge->watch.asked_us[up->uplink] = 0;
        event->link_up.uplink = up->uplink;
        event->link_up.receive_max = up->receive_max;
        event->link_up.version = up->version;
    } else if (kind == MESSAGE_LINK_DOWN) {
        const struct mqtt_link_down *down = message;
        event->kind = EVENT_LINK_DOWN;
        bridge->watch.asked_us[down->uplink] = 0;
        event->link_down.uplink = down->uplink;
        event->link_down.reason = down->reason;
        event->link_down.code = down->code;
        event->link_down.text = down->text;
    } else if (kind == MESSAGE_ACKED) {
        const struct mqtt_acked *acked = message;
        event->kind = EVENT_ACKED;
        event->acked.uplink = acked->uplink;
        event->acked.slot = acked->slot;
        event->acked.result = acked->result;
        event->acked.code = acked->code;
        event->acked.at_us = acked->at_us;
    }
    bridge_step(bridge, event);
}

static void take_store_message(struct bridge *bridge, uint32_t kind, const void *message, struct event *event) {
    if (kind == MESSAGE_STORED) {
        const struct store_stored *stored = message;
        event->kind = EVENT_STORED;
        event->stored.lane = stored->lane;
        event->stored.err = stored->err;
        event->stored.last_seq = stored->last_seq;
        event->stored.evicted_uplink = stored->evicted_uplink;
        event->stored.evicted_lane = stored->evicted_lane;
        event->stored.evicted = stored->evicted;
    } else {
        const struct store_rows *rows = message;
        event->kind = EVENT_ROWS;
        event->rows.uplink = rows->uplink;
        event->rows.lane = rows->lane;
        event->rows.err = rows->err;
        event->rows.bytes = rows->bytes;
        event->rows.size = rows->size;
        event->rows.after_seq = rows->after_seq;
        event->rows.through_seq = rows->through_seq;
    }
    bridge_step(bridge, event);
}

static void sink_guest_answered(void *context, const struct guest_answer *answer) {
    inbox_post(((struct bridge *)context)->inbox, MESSAGE_GUEST_ANSWERED, answer, sizeof(*answer), NULL, 0);
}

static void sink_asked(void *context, const struct socket_request *request) {
    inbox_post(((struct bridge *)context)->inbox, MESSAGE_ASKED, request, sizeof(*request), NULL, 0);
}

static void take_request(struct bridge *bridge, const struct socket_request *request) {
    if (request->asks == SOCKET_ASKS_COMMAND)
        bridge_command_asked(bridge, request);
    else
        bridge_guest_asked(bridge, request, &(struct guest_sink){bridge, sink_guest_answered});
}

static void take_message(void *context, uint32_t kind, const void *message, size_t size) {
    (void)size;
    struct bridge *bridge = context;
    struct event event = {.kind = EVENT_TICK};
    switch ((enum message)kind) {
    case MESSAGE_POLLED:
        event.kind = EVENT_POLLED;
        event.polled = message;
        bridge_step(bridge, &event);
        return;
    case MESSAGE_WRITTEN:
        event.kind = EVENT_WRITTEN;
        event.written = message;
        bridge_step(bridge, &event);
        return;
    case MESSAGE_TRACED:
        log_line(message);
        return;
    case MESSAGE_STORED:
    case MESSAGE_ROWS:
        take_store_message(bridge, kind, message, &event);
        return;
    case MESSAGE_DISK:
        event.kind = EVENT_DISK;
        event.disk = message;
        bridge_step(bridge, &event);
        return;
    case MESSAGE_LINK_UP:
    case MESSAGE_LINK_DOWN:
    case MESSAGE_ACKED:
        take_link_message(bridge, kind, message, &event);
        return;
    case MESSAGE_RECEIVED:
        bridge_command_received(bridge, message);
        return;
    case MESSAGE_ASKED:
        take_request(bridge, message);
        return;
    case MESSAGE_GUEST_ANSWERED:
        bridge_guest_answered(bridge, message);
        return;
    }
}

/* ---- sinks: whatever thread, post and return ---- */

static void sink_polled(void *context, const struct polled *polled) {
    struct bridge_bus *bus = context;
    struct bridge *bridge = bus->bridge;
    if (bus->tcp && !bridge->stepping) { /* on the loop already: no hop */
        struct event event = {.kind = EVENT_POLLED, .polled = polled};
        if (!bridge->stopping)
            bridge_step(bridge, &event);
        return;
    }
    inbox_post(bridge->inbox, MESSAGE_POLLED, polled, offsetof(struct polled, readings), polled->readings,
               polled->count * sizeof(polled->readings[0]));
}

static void sink_written(void *context, const struct written *written) {
    inbox_post(((struct bridge_bus *)context)->bridge->inbox, MESSAGE_WRITTEN, written, sizeof(*written), NULL, 0);
}

static void sink_bus_traced(void *context, const struct trace_line *line) {
    inbox_post(((struct bridge_bus *)context)->bridge->inbox, MESSAGE_TRACED, line, sizeof(*line), NULL, 0);
}

static void sink_traced(void *context, const struct trace_line *line) {
    inbox_post(((struct bridge *)context)->inbox, MESSAGE_TRACED, line, sizeof(*line), NULL, 0);
}

static void sink_stored(void *context, const struct store_stored *stored) {
    inbox_post(((struct bridge *)context)->inbox, MESSAGE_STORED, stored, sizeof(*stored), NULL, 0);
}

static void sink_rows(void *context, const struct store_rows *rows) {
    inbox_post(((struct bridge *)context)->inbox, MESSAGE_ROWS, rows, sizeof(*rows), NULL, 0);
}

static void sink_disk(void *context, const struct disk_status *status) {
    inbox_post(((struct bridge *)context)->inbox, MESSAGE_DISK, status, sizeof(*status), NULL, 0);
}

static void sink_link_up(void *context, const struct mqtt_link_up *up) {
    inbox_post_now(((struct bridge *)context)->inbox, MESSAGE_LINK_UP, up, sizeof(*up));
}

static void sink_link_down(void *context, const struct mqtt_link_down *down) {
    inbox_post_now(((struct bridge *)context)->inbox, MESSAGE_LINK_DOWN, down, sizeof(*down));
}

static void sink_acked(void *context, const struct mqtt_acked *acked) {
    struct bridge *bridge = context;
    if (acked->result == ACK_OK && atomic_load_explicit(&bridge->acks_wait, memory_order_relaxed))
        inbox_post_later(bridge->inbox, MESSAGE_ACKED, acked, sizeof(*acked));
    else
        inbox_post_now(bridge->inbox, MESSAGE_ACKED, acked, sizeof(*acked));
}

static bool sink_received(void *context, uint16_t uplink, bool retained, const char *topic, const uint8_t *payload, size_t size) {
    struct bridge *bridge = context;
    struct bridge_received head;
    size_t kept = bridge_command_head(bridge, uplink, retained, topic, size, &head);
    return inbox_try(bridge->inbox, MESSAGE_RECEIVED, &head, sizeof(head), payload, kept);
}

void bridge_drain(struct bridge *bridge) {
    inbox_drain(bridge->inbox, take_message, bridge);
}

struct bus_sink bridge_bus_sink(struct bridge_bus *bus) {
    return (struct bus_sink){.context = bus, .polled = sink_polled, .written = sink_written, .traced = sink_bus_traced};
}

struct store_sink bridge_store_sink(struct bridge *bridge) {
    return (struct store_sink){.context = bridge, .stored = sink_stored, .rows = sink_rows, .traced = sink_traced, .status = sink_disk};
}

struct mqtt_sink bridge_mqtt_sink(struct bridge *bridge) {
    return (struct mqtt_sink){
        .context = bridge, .link_up = sink_link_up, .link_down = sink_link_down, .acked = sink_acked, .received = sink_received};
}

struct record_sink bridge_record_sink(struct bridge *bridge) {
    return (struct record_sink){.context = bridge, .traced = sink_traced};
}

struct socket_sink bridge_socket_sink(struct bridge *bridge) {
    return (struct socket_sink){.context = bridge, .asked = sink_asked};
}
