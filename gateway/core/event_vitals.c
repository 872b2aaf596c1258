/* SPDX-License-Identifier: Apache-2.0 */
/* The event of the watch as bytes: how long each part has made no progress, and by which bounds that was judged. */
#include "base/check.h"
#include "gateway/core/event_codec.h"

void event_put_vitals(struct bytes_writer *writer, const struct event *event) {
    CHECK(event->vitals.parts_count <= VITALS_PARTS_MAX);
    bytes_put_zigzag(writer, event->vitals.loop_late_us);
    bytes_put_u8(writer, event->vitals.may_restart);
    bytes_put_varint(writer, event->vitals.parts_count);
    for (unsigned i = 0; i < event->vitals.parts_count; i++)
        bytes_put_zigzag(writer, event->vitals.busy_us[i]);
    for (unsigned i = 0; i < VITALS_KINDS_COUNT; i++) {
        bytes_put_zigzag(writer, event->vitals.bounds[i].late_us);
        bytes_put_zigzag(writer, event->vitals.bounds[i].stuck_us);
        bytes_put_zigzag(writer, event->vitals.bounds[i].proof_us);
        bytes_put_zigzag(writer, event->vitals.bounds[i].restart_us);
    }
}

/* A time that no clock of ours can have shown is damage. */
static int64_t get_time(struct bytes_reader *reader) {
    int64_t time_us = bytes_get_zigzag(reader);
    if (time_us < 0 || time_us > EVENT_TIME_MOST)
        reader->failed = true;
    return time_us;
}

void event_get_vitals(struct bytes_reader *reader, struct event_room *room, struct event *event) {
    event->vitals.loop_late_us = get_time(reader);
    event->vitals.may_restart = bytes_get_u8(reader) != 0;
    uint64_t count = bytes_get_varint(reader);
    if (count > VITALS_PARTS_MAX)
        reader->failed = true;
    for (unsigned i = 0; !reader->failed && i < count; i++)
        room->busy_us[i] = get_time(reader);
    for (unsigned i = 0; !reader->failed && i < VITALS_KINDS_COUNT; i++) {
        room->bounds[i].late_us = get_time(reader);
        room->bounds[i].stuck_us = get_time(reader);
        room->bounds[i].proof_us = get_time(reader);
        room->bounds[i].restart_us = get_time(reader);
    }
    event->vitals.parts_count = (uint16_t)count;
    event->vitals.busy_us = room->busy_us;
    event->vitals.bounds = room->bounds;
}

bool event_fits_vitals(const struct config *config, const struct event *event) {
    struct vitals_part parts[VITALS_PARTS_MAX];
    return event->vitals.parts_count == vitals_parts(config, parts);
}
