/* SPDX-License-Identifier: Apache-2.0 */
/* An event: kind u8, monotonic time, wall time, trust, then the fields of its kind in the order of event.h. Numbers are varints,
 * signed ones zigzag; a value is its kind and its 8 bytes or its text; texts have their length. Nothing stands behind the last field.
 * A kind's number is its place in enum event_kind and is never changed: recordings are read by later programs. */
#include "gateway/core/event_codec.h"

#include <stddef.h>
#include <string.h>

/* ---- parts ---- */

static void put_now(struct bytes_writer *writer, const struct now *now) {
    bytes_put_zigzag(writer, now->mono_us);
    bytes_put_zigzag(writer, now->wall_ms);
    bytes_put_u8(writer, now->wall_trusted);
}

/* A number of at most `most`; more is damage. */
static uint64_t get_most(struct bytes_reader *reader, uint64_t most) {
    uint64_t number = bytes_get_varint(reader);
    if (number > most)
        reader->failed = true;
    return reader->failed ? 0 : number;
}

static bool get_bool(struct bytes_reader *reader) {
    return get_most(reader, 1) != 0;
}

static int64_t get_time(struct bytes_reader *reader) {
    int64_t time = bytes_get_zigzag(reader);
    if (time > EVENT_TIME_MOST || time < -EVENT_TIME_MOST)
        reader->failed = true;
    return reader->failed ? 0 : time;
}

static struct now get_now(struct bytes_reader *reader) {
    struct now now = {.mono_us = get_time(reader)};
    now.wall_ms = get_time(reader);
    now.wall_trusted = get_bool(reader);
    if (now.mono_us < 0)
        reader->failed = true;
    return now;
}

static void put_value(struct bytes_writer *writer, const struct value *value) {
    bytes_put_u8(writer, (uint8_t)value->kind);
    if (value->kind == VALUE_NUMBER)
        bytes_put_double(writer, value->number);
    else if (value->kind == VALUE_INTEGER)
        bytes_put_zigzag(writer, value->integer);
    else if (value->kind == VALUE_UNSIGNED)
        bytes_put_varint(writer, value->whole);
    else if (value->kind == VALUE_TEXT)
        bytes_put_text(writer, value->text);
}

static void get_value(struct bytes_reader *reader, struct value *ret_value) {
    *ret_value = (struct value){.kind = (enum value_kind)get_most(reader, VALUE_TEXT)};
    if (ret_value->kind == VALUE_NUMBER)
        ret_value->number = bytes_get_double(reader);
    else if (ret_value->kind == VALUE_INTEGER)
        ret_value->integer = bytes_get_zigzag(reader);
    else if (ret_value->kind == VALUE_UNSIGNED)
        ret_value->whole = bytes_get_varint(reader);
    else if (ret_value->kind == VALUE_TEXT)
        bytes_get_text(reader, ret_value->text, sizeof(ret_value->text));
}

/* ---- the field ---- */

static void put_polled(struct bytes_writer *writer, const struct polled *polled) {
    bytes_put_varint(writer, polled->bus);
    bytes_put_varint(writer, polled->device);
    bytes_put_u8(writer, (uint8_t)polled->status);
    bytes_put_u8(writer, polled->exception);
    bytes_put_u8(writer, (uint8_t)polled->device_state);
    bytes_put_u8(writer, (uint8_t)(polled->holds | polled->extra << 1));
    put_now(writer, &polled->now);
    bytes_put_zigzag(writer, polled->took_us);
    bytes_put_zigzag(writer, polled->timeout_us);
    bytes_put_zigzag(writer, polled->late_us);
    bytes_put_zigzag(writer, polled->older_us);
    bytes_put_varint(writer, polled->adapter_ms);
    bytes_put_varint(writer, polled->count);
    for (unsigned i = 0; i < polled->count; i++) {
        const struct reading *reading = &polled->readings[i];
        bytes_put_varint(writer, reading->point);
        bytes_put_u8(writer, reading->quality);
        bytes_put_u8(writer, reading->reason);
        put_value(writer, &reading->value);
    }
}

static void get_polled(struct bytes_reader *reader, struct polled *ret_polled) {
    memset(ret_polled, 0, offsetof(struct polled, readings));
    ret_polled->bus = (uint16_t)get_most(reader, BUSES_MAX - 1);
    ret_polled->device = (uint16_t)get_most(reader, DEVICES_MAX - 1);
    ret_polled->status = (enum bus_status)get_most(reader, BUS_DISCONNECTED);
    ret_polled->exception = bytes_get_u8(reader);
    ret_polled->device_state = (enum device_state)get_most(reader, DEVICE_DEAD);
    uint64_t flags = get_most(reader, 3);
    ret_polled->holds = flags & 1;
    ret_polled->extra = flags & 2;
    ret_polled->now = get_now(reader);
    ret_polled->took_us = get_time(reader);
    ret_polled->timeout_us = get_time(reader);
    ret_polled->late_us = get_time(reader);
    ret_polled->older_us = get_time(reader);
    ret_polled->adapter_ms = (uint16_t)get_most(reader, UINT16_MAX);
    ret_polled->count = (uint16_t)get_most(reader, POLLED_POINTS_MAX);
    for (unsigned i = 0; i < ret_polled->count; i++) {
        struct reading *reading = &ret_polled->readings[i];
        reading->point = (uint16_t)get_most(reader, POINTS_PER_DEVICE_MAX - 1);
        reading->quality = (uint8_t)get_most(reader, QUALITY_BAD);
        reading->reason = (uint8_t)get_most(reader, REASON_NO_RESULT);
        get_value(reader, &reading->value);
    }
}

static void put_written(struct bytes_writer *writer, const struct written *written) {
    bytes_put_varint(writer, written->id);
    bytes_put_varint(writer, written->bus);
    bytes_put_varint(writer, written->device);
    bytes_put_varint(writer, written->point);
    bytes_put_u8(writer, written->ok);
    bytes_put_u8(writer, (uint8_t)written->status);
    bytes_put_u8(writer, written->exception);
    put_now(writer, &written->now);
}

static void get_written(struct bytes_reader *reader, struct written *ret_written) {
    *ret_written = (struct written){.id = (uint32_t)get_most(reader, UINT32_MAX)};
    ret_written->bus = (uint16_t)get_most(reader, BUSES_MAX - 1);
    ret_written->device = (uint16_t)get_most(reader, DEVICES_MAX - 1);
    ret_written->point = (uint16_t)get_most(reader, POINTS_PER_DEVICE_MAX - 1);
    ret_written->ok = get_bool(reader);
    ret_written->status = (enum bus_status)get_most(reader, BUS_DISCONNECTED);
    ret_written->exception = bytes_get_u8(reader);
    ret_written->now = get_now(reader);
}

/* ---- store, links ---- */

static void put_stored(struct bytes_writer *writer, const struct event *event) {
    bytes_put_u8(writer, (uint8_t)event->stored.lane);
    bytes_put_u8(writer, (uint8_t)event->stored.err);
    bytes_put_varint(writer, event->stored.last_seq);
    bytes_put_varint(writer, event->stored.evicted.count);
    if (!event->stored.evicted.count)
        return;
    bytes_put_varint(writer, event->stored.evicted_uplink);
    bytes_put_u8(writer, (uint8_t)event->stored.evicted_lane);
    bytes_put_varint(writer, event->stored.evicted.from);
    bytes_put_varint(writer, event->stored.evicted.to);
}

static void get_stored(struct bytes_reader *reader, struct event *event) {
    event->stored.lane = (enum lane)get_most(reader, LANES_COUNT - 1);
    event->stored.err = (enum err)get_most(reader, ERR_NOMEM);
    event->stored.last_seq = bytes_get_varint(reader);
    event->stored.evicted.count = bytes_get_varint(reader);
    if (!event->stored.evicted.count)
        return;
    event->stored.evicted_uplink = (uint16_t)get_most(reader, UPLINKS_MAX - 1);
    event->stored.evicted_lane = (enum lane)get_most(reader, LANES_COUNT - 1);
    event->stored.evicted.from = bytes_get_varint(reader);
    event->stored.evicted.to = bytes_get_varint(reader);
}

static void put_rows(struct bytes_writer *writer, const struct event *event) {
    bytes_put_varint(writer, event->rows.uplink);
    bytes_put_u8(writer, (uint8_t)event->rows.lane);
    bytes_put_u8(writer, (uint8_t)event->rows.err);
    bytes_put_varint(writer, event->rows.after_seq);
    bytes_put_varint(writer, event->rows.through_seq);
    size_t size = event->rows.err == ERR_OK && event->rows.bytes ? event->rows.size : 0;
    bytes_put_varint(writer, size);
    bytes_put_raw(writer, event->rows.bytes, size);
}

static void get_rows(struct bytes_reader *reader, struct event *event) {
    event->rows.uplink = (uint16_t)get_most(reader, UPLINKS_MAX - 1);
    event->rows.lane = (enum lane)get_most(reader, LANES_COUNT - 1);
    event->rows.err = (enum err)get_most(reader, ERR_NOMEM);
    event->rows.after_seq = bytes_get_varint(reader);
    event->rows.through_seq = bytes_get_varint(reader);
    event->rows.size = (size_t)get_most(reader, QUERY_ROWS_SIZE);
    event->rows.bytes = bytes_get_raw(reader, event->rows.size);
}

static void put_acked(struct bytes_writer *writer, const struct event *event) {
    bytes_put_varint(writer, event->acked.uplink);
    bytes_put_varint(writer, event->acked.slot);
    bytes_put_u8(writer, (uint8_t)event->acked.result);
    bytes_put_zigzag(writer, event->acked.code);
    bytes_put_zigzag(writer, event->acked.at_us);
}

static void get_acked(struct bytes_reader *reader, struct event *event) {
    event->acked.uplink = (uint16_t)get_most(reader, UPLINKS_MAX - 1);
    event->acked.slot = (uint16_t)get_most(reader, WINDOW_MAX - 1);
    event->acked.result = (enum ack_result)get_most(reader, ACK_LOST);
    event->acked.code = (int)(int32_t)bytes_get_zigzag(reader);
    event->acked.at_us = get_time(reader);
}

static void put_link(struct bytes_writer *writer, const struct event *event) {
    if (event->kind == EVENT_LINK_UP) {
        bytes_put_varint(writer, event->link_up.uplink);
        bytes_put_varint(writer, event->link_up.receive_max);
        bytes_put_u8(writer, event->link_up.version);
        return;
    }
    bytes_put_varint(writer, event->link_down.uplink);
    bytes_put_u8(writer, (uint8_t)event->link_down.reason);
    bytes_put_zigzag(writer, event->link_down.code);
    bytes_put_text(writer, event->link_down.text);
}

static void get_link(struct bytes_reader *reader, struct event_room *room, struct event *event) {
    if (event->kind == EVENT_LINK_UP) {
        event->link_up.uplink = (uint16_t)get_most(reader, UPLINKS_MAX - 1);
        event->link_up.receive_max = (uint16_t)get_most(reader, UINT16_MAX);
        event->link_up.version = bytes_get_u8(reader);
        return;
    }
    event->link_down.uplink = (uint16_t)get_most(reader, UPLINKS_MAX - 1);
    event->link_down.reason = (enum link_reason)get_most(reader, LINK_CLOSED);
    event->link_down.code = (int)(int32_t)bytes_get_zigzag(reader);
    bytes_get_text(reader, room->text, sizeof(room->text));
    event->link_down.text = room->text;
}

static void put_disk(struct bytes_writer *writer, const struct disk_status *disk) {
    bytes_put_u8(writer, (uint8_t)(disk->is_volatile | disk->full << 1));
    bytes_put_varint(writer, disk->quarantined);
    bytes_put_varint(writer, disk->history_lost);
    bytes_put_varint(writer, disk->device_bytes_hour);
    bytes_put_varint(writer, disk->device_bytes_reading);
}

static void get_disk(struct bytes_reader *reader, struct disk_status *ret_disk) {
    uint64_t flags = get_most(reader, 3);
    *ret_disk = (struct disk_status){.is_volatile = flags & 1, .full = flags & 2};
    ret_disk->quarantined = (uint32_t)get_most(reader, UINT32_MAX);
    ret_disk->history_lost = bytes_get_varint(reader);
    ret_disk->device_bytes_hour = bytes_get_varint(reader);
    ret_disk->device_bytes_reading = bytes_get_varint(reader);
}

/* ---- people ---- */

static void put_command(struct bytes_writer *writer, const struct command *command) {
    bytes_put_u8(writer, (uint8_t)command->verb);
    bytes_put_u8(writer, (uint8_t)command->channel);
    bytes_put_varint(writer, command->uplink);
    bytes_put_varint(writer, command->socket_id);
    bytes_put_text(writer, command->peer);
    bytes_put_u8(writer, (uint8_t)(command->authorised | command->retained << 1 | command->on << 2 | command->inhibit << 3 | command->stop << 4));
    bytes_put_text(writer, command->refusal);
    bytes_put_text(writer, command->id);
    bytes_put_text(writer, command->by);
    bytes_put_zigzag(writer, command->issued_ms);
    bytes_put_zigzag(writer, command->expires_ms);
    bytes_put_varint(writer, command->fields);
    for (unsigned i = 0; i < command_texts_count; i++)
        bytes_put_text(writer, (const char *)command + command_texts[i].offset);
    bytes_put_text(writer, command->value_text);
    bytes_put_double(writer, command->value);
    bytes_put_zigzag(writer, command->until_ms);
    bytes_put_zigzag(writer, command->next_due_ms);
    bytes_put_varint(writer, command->minutes);
}

static void get_command(struct bytes_reader *reader, struct command *ret_command) {
    memset(ret_command, 0, sizeof(*ret_command));
    ret_command->verb = (enum command_verb)get_most(reader, COMMAND_WRITE);
    ret_command->channel = (enum command_channel)get_most(reader, CHANNEL_SOCKET);
    ret_command->uplink = (uint16_t)get_most(reader, UPLINKS_MAX - 1);
    ret_command->socket_id = (uint32_t)get_most(reader, UINT32_MAX);
    bytes_get_text(reader, ret_command->peer, sizeof(ret_command->peer));
    uint64_t flags = get_most(reader, 31);
    ret_command->authorised = flags & 1;
    ret_command->retained = flags & 2;
    ret_command->on = flags & 4;
    ret_command->inhibit = flags & 8;
    ret_command->stop = flags & 16;
    bytes_get_text(reader, ret_command->refusal, sizeof(ret_command->refusal));
    bytes_get_text(reader, ret_command->id, sizeof(ret_command->id));
    bytes_get_text(reader, ret_command->by, sizeof(ret_command->by));
    ret_command->issued_ms = get_time(reader);
    ret_command->expires_ms = get_time(reader);
    ret_command->fields = (uint32_t)get_most(reader, 2 * FIELD_STOP - 1);
    for (unsigned i = 0; i < command_texts_count; i++)
        bytes_get_text(reader, (char *)ret_command + command_texts[i].offset, command_texts[i].size);
    bytes_get_text(reader, ret_command->value_text, sizeof(ret_command->value_text));
    ret_command->value = bytes_get_double(reader);
    ret_command->until_ms = get_time(reader);
    ret_command->next_due_ms = get_time(reader);
    ret_command->minutes = (uint32_t)get_most(reader, UINT32_MAX);
    if (!ret_command->verb && !ret_command->refusal[0])
        reader->failed = true; /* neither a command nor a reason why not */
}

/* ---- the whole ---- */

void event_put(struct bytes_writer *writer, const struct event *event) {
    bytes_put_u8(writer, (uint8_t)event->kind);
    put_now(writer, &event->now);
    switch (event->kind) {
    case EVENT_START: /* start_put */
    case EVENT_TICK:
    case EVENT_CLOCK:
    case EVENT_STOP:
        return;
    case EVENT_POLLED:
        put_polled(writer, event->polled);
        return;
    case EVENT_WRITTEN:
        put_written(writer, event->written);
        return;
    case EVENT_STORED:
        put_stored(writer, event);
        return;
    case EVENT_ROWS:
        put_rows(writer, event);
        return;
    case EVENT_LINK_UP:
    case EVENT_LINK_DOWN:
        put_link(writer, event);
        return;
    case EVENT_ACKED:
        put_acked(writer, event);
        return;
    case EVENT_COMMAND:
        put_command(writer, event->command);
        return;
    case EVENT_FLOOD:
        bytes_put_varint(writer, event->flood.uplink);
        bytes_put_varint(writer, event->flood.dropped);
        return;
    case EVENT_DISK:
        put_disk(writer, event->disk);
        return;
    case EVENT_VITALS:
        event_put_vitals(writer, event);
        return;
    }
}

static void get_fields(struct bytes_reader *reader, struct event_room *room, struct event *event) {
    switch (event->kind) {
    case EVENT_START:
        reader->failed = true;
        return;
    case EVENT_TICK:
    case EVENT_CLOCK:
    case EVENT_STOP:
        return;
    case EVENT_POLLED:
        get_polled(reader, &room->polled);
        event->polled = &room->polled;
        return;
    case EVENT_WRITTEN:
        get_written(reader, &room->written);
        event->written = &room->written;
        return;
    case EVENT_STORED:
        get_stored(reader, event);
        return;
    case EVENT_ROWS:
        get_rows(reader, event);
        return;
    case EVENT_LINK_UP:
    case EVENT_LINK_DOWN:
        get_link(reader, room, event);
        return;
    case EVENT_ACKED:
        get_acked(reader, event);
        return;
    case EVENT_COMMAND:
        get_command(reader, &room->command);
        event->command = &room->command;
        return;
    case EVENT_FLOOD:
        event->flood.uplink = (uint16_t)get_most(reader, UPLINKS_MAX - 1);
        event->flood.dropped = bytes_get_varint(reader);
        return;
    case EVENT_DISK:
        get_disk(reader, &room->disk);
        event->disk = &room->disk;
        return;
    case EVENT_VITALS:
        event_get_vitals(reader, room, event);
        return;
    }
}

bool event_get(struct bytes_reader *reader, struct event_room *room, struct event *ret_event) {
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->kind = (enum event_kind)get_most(reader, EVENT_VITALS);
    ret_event->now = get_now(reader);
    get_fields(reader, room, ret_event);
    return !reader->failed && reader->position == reader->size;
}

static bool point_fits(const struct config *config, uint16_t bus, uint16_t device, uint16_t point) {
    return device < config->devices_count && config->devices[device].bus == bus && point < config->devices[device].spec.points_count;
}

static bool polled_fits(const struct config *config, const struct polled *polled) {
    bool fits = polled->device < config->devices_count && config->devices[polled->device].bus == polled->bus;
    for (unsigned i = 0; fits && i < polled->count; i++)
        fits = point_fits(config, polled->bus, polled->device, polled->readings[i].point);
    return fits;
}

bool event_fits(const struct config *config, const struct event *event) {
    switch (event->kind) {
    case EVENT_START:
    case EVENT_TICK:
    case EVENT_CLOCK:
    case EVENT_STOP:
    case EVENT_STORED:
    case EVENT_DISK:
        return true;
    case EVENT_POLLED:
        return polled_fits(config, event->polled);
    case EVENT_WRITTEN:
        return point_fits(config, event->written->bus, event->written->device, event->written->point);
    case EVENT_ROWS:
        return event->rows.uplink < config->uplinks_count;
    case EVENT_LINK_UP:
        return event->link_up.uplink < config->uplinks_count && event->link_up.receive_max > 0;
    case EVENT_LINK_DOWN:
        return event->link_down.uplink < config->uplinks_count;
    case EVENT_ACKED:
        return event->acked.uplink < config->uplinks_count;
    case EVENT_COMMAND:
        return event->command->channel == CHANNEL_SOCKET || event->command->uplink < config->uplinks_count;
    case EVENT_FLOOD:
        return event->flood.uplink < config->uplinks_count;
    case EVENT_VITALS:
        return event_fits_vitals(config, event);
    }
    return false;
}
