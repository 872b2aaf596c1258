/* SPDX-License-Identifier: Apache-2.0 */
/* Events as a damaged or invented recording gives them to `yanhuo replay`.
 *  1. An event that reads is possible: enumerations exist, texts end, counts fit; put again it reads the same and is put the same.
 *  2. One that fits the configuration speaks only of devices, points and uplinks that exist.
 *  3. A start that reads has numbers of series that exist, cursors that cursor_check takes, records that are not too long.
 *
 * Input: a byte that says event or start, then its bytes. */
#include <string.h>

#include "fuzz.h"
#include "gateway/core/event_codec.h"

static struct point points[4];
static struct config_device devices[2] = {{.bus = 0, .first_point = 0, .spec = {.name = "a", .points = points, .points_count = 4}},
                                          {.bus = 1, .first_point = 4, .spec = {.name = "b", .points = points, .points_count = 3}}};
static const struct config config = {.devices_count = 2, .devices = devices, .points_count = 7, .uplinks_count = 2};

static bool ends(const char *text, size_t size) {
    return memchr(text, 0, size) != NULL;
}

static void check_polled(const struct polled *polled) {
    PROPERTY(polled->count <= POLLED_POINTS_MAX && polled->status <= BUS_DISCONNECTED && polled->device_state <= DEVICE_DEAD);
    for (unsigned i = 0; i < polled->count; i++) {
        const struct reading *reading = &polled->readings[i];
        PROPERTY(reading->quality <= QUALITY_BAD && reading->reason <= REASON_NO_RESULT && reading->value.kind <= VALUE_TEXT);
        PROPERTY(reading->value.kind != VALUE_TEXT || ends(reading->value.text, sizeof(reading->value.text)));
    }
}

static void check_command(const struct command *command) {
    PROPERTY(command->verb ? command_rule(command->verb) != NULL : command->refusal[0] != 0);
    PROPERTY(ends(command->id, sizeof(command->id)) && ends(command->by, sizeof(command->by)) && ends(command->peer, sizeof(command->peer)));
    for (unsigned i = 0; i < command_texts_count; i++)
        PROPERTY(ends((const char *)command + command_texts[i].offset, command_texts[i].size));
}

static void check_fits(const struct event *event) {
    if (!event_fits(&config, event))
        return;
    if (event->kind == EVENT_POLLED) {
        PROPERTY(event->polled->device < 2 && event->polled->bus == event->polled->device);
        for (unsigned i = 0; i < event->polled->count; i++)
            PROPERTY(event->polled->readings[i].point < devices[event->polled->device].spec.points_count);
    }
    PROPERTY(event->kind != EVENT_WRITTEN || (event->written->device < 2 && event->written->point < 4));
    PROPERTY(event->kind != EVENT_ACKED || (event->acked.uplink < 2 && event->acked.slot < WINDOW_MAX));
    PROPERTY(event->kind != EVENT_ROWS || event->rows.uplink < 2);
    PROPERTY(event->kind != EVENT_LINK_UP || (event->link_up.uplink < 2 && event->link_up.receive_max));
    PROPERTY(event->kind != EVENT_FLOOD || event->flood.uplink < 2);
}

static void try_event(const uint8_t *bytes, size_t size) {
    static uint8_t first[EVENT_CODEC_SIZE], second[EVENT_CODEC_SIZE];
    static struct event_room room, other;
    struct event event, back;
    struct bytes_reader reader;
    struct bytes_writer writer, again;
    bytes_reader_init(&reader, bytes, size);
    if (!event_get(&reader, &room, &event))
        return;
    PROPERTY(event.kind != EVENT_START && event.kind <= EVENT_DISK && event.now.mono_us >= 0);
    if (event.kind == EVENT_POLLED)
        check_polled(event.polled);
    if (event.kind == EVENT_COMMAND)
        check_command(event.command);
    PROPERTY(event.kind != EVENT_ROWS || !event.rows.size || (event.rows.bytes >= bytes && event.rows.bytes + event.rows.size <= bytes + size));
    check_fits(&event);
    bytes_writer_init(&writer, first, sizeof(first));
    event_put(&writer, &event);
    PROPERTY(!writer.full);
    bytes_reader_init(&reader, first, writer.length);
    PROPERTY(event_get(&reader, &other, &back));
    bytes_writer_init(&again, second, sizeof(second));
    event_put(&again, &back);
    PROPERTY(again.length == writer.length && memcmp(first, second, writer.length) == 0);
}

static void try_start(const uint8_t *bytes, size_t size) {
    struct arena arena;
    struct event event;
    struct bytes_reader reader;
    arena_init(&arena);
    bytes_reader_init(&reader, bytes, size);
    if (start_get(&reader, &config, &arena, &event)) {
        const struct store_image *image = event.start.image;
        PROPERTY(image->next_seq > 0 && event.start.start);
        for (unsigned i = 0; i < config.points_count; i++)
            PROPERTY(image->series.of_point[i] < image->series.count);
        for (unsigned u = 0; u < config.uplinks_count; u++)
            for (unsigned lane = 0; lane < LANES_COUNT; lane++)
                cursor_check(&image->cursors[u][lane]);
        PROPERTY(image->uplink_numbers[0] != image->uplink_numbers[1] && image->uplink_numbers[0] < UPLINKS_MAX && image->uplink_numbers[1] < UPLINKS_MAX);
        for (uint32_t i = 0; i < image->records_count; i++)
            PROPERTY(image->records[i].size <= RECORD_SIZE && strlen(image->records[i].owner) < RECORD_NAME_SIZE + NAME_SIZE);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (!size)
        return 0;
    if (bytes[0] & 1)
        try_start(bytes + 1, size - 1);
    else
        try_event(bytes + 1, size - 1);
    return 0;
}
