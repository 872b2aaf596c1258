/* SPDX-License-Identifier: Apache-2.0 */
/* The image of an anchor is made of what was seen on its way to the store: each record's newest bytes, cursors, the newest seq. It
 * is what a restart at this moment would have read, so a replay from it does what a restarted gateway would have done: alarms are open
 * as they were, delays that were under way begin anew, windows of derived points fill again. Owned by the recorder's thread. */
#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"
#include "gateway/io/record_state.h"

static struct record_item *find(struct record_image *image, const char *owner, const char *name) {
    uint64_t hash = fnv_add(fnv_add(FNV_START, owner, strlen(owner) + 1), name, strlen(name));
    size_t i = (size_t)hash & (image->items_size - 1);
    while (image->items[i].owner && (strcmp(image->items[i].owner, owner) != 0 || strcmp(image->items[i].name, name) != 0))
        i = (i + 1) & (image->items_size - 1);
    return &image->items[i];
}

static bool save(struct record_image *image, const char *owner, const char *name, const uint8_t *bytes, size_t size) {
    struct record_item *item = find(image, owner, name);
    if (!item->owner) {
        if (image->items_count >= image->items_size / 2)
            return false; /* more keys than the configuration has */
        item->owner = strdup(owner);
        item->name = strdup(name);
        item->bytes = malloc(RECORD_SIZE);
        if (!item->owner || !item->name || !item->bytes) {
            free(item->owner);
            free(item->name);
            free(item->bytes);
            *item = (struct record_item){.owner = NULL};
            return false;
        }
        image->items_count++;
    }
    if (size)
        memcpy(item->bytes, bytes, size);
    item->size = size;
    return true;
}

/* The directory of series lives as long as the engine, like the configuration; the rest is copied. */
bool record_image_open(struct record_image *image, const struct config *config, const struct event *start) {
    const struct store_image *before = start->start.image;
    *image = (struct record_image){.config = config, .image = *before, .start = start->start.start, .seed = start->start.seed, .now = start->now};
    size_t keys = (size_t)before->records_count + config->alarms_count + config->actions_count + config->derived_count + COMMANDS_KEPT + PROBLEMS_MAX;
    for (image->items_size = 64; image->items_size < 2 * (keys + 1);)
        image->items_size *= 2;
    image->items = calloc(image->items_size, sizeof(*image->items));
    if (!image->items)
        return false;
    for (uint32_t i = 0; i < before->records_count; i++)
        if (!save(image, before->records[i].owner, before->records[i].name, before->records[i].bytes, before->records[i].size))
            return false;
    image->image.records = NULL;
    image->image.records_count = 0;
    image->image.configuration_changed = false;
    return true;
}

void record_image_close(struct record_image *image) {
    for (size_t i = 0; image->items && i < image->items_size; i++) {
        free(image->items[i].owner);
        free(image->items[i].name);
        free(image->items[i].bytes);
    }
    free(image->items);
    image->items = NULL;
}

static void on_step(struct record_image *image, struct bytes_reader *body) {
    struct event event;
    (void)bytes_get_u64(body);
    for (uint64_t count = bytes_get_varint(body); count && !body->failed; count--)
        (void)bytes_get_raw(body, 4);
    struct bytes_reader rest;
    bytes_reader_init(&rest, body->bytes + body->position, body->size - body->position);
    if (body->failed || !event_get(&rest, &image->room, &event))
        return;
    image->now = event.now;
    if (event.kind == EVENT_LINK_UP) {
        image->up[event.link_up.uplink] = true;
        image->links[event.link_up.uplink] = event;
    } else if (event.kind == EVENT_LINK_DOWN) {
        image->up[event.link_down.uplink] = false;
    }
}

static void on_record(struct record_image *image, struct bytes_reader *body) {
    char owner[RECORD_NAME_SIZE], name[RECORD_NAME_SIZE];
    bytes_get_text(body, owner, sizeof(owner));
    bytes_get_text(body, name, sizeof(name));
    size_t size = body->size - body->position;
    if (body->failed || size > RECORD_SIZE || !save(image, owner, name, body->bytes + body->position, size))
        image->incomplete = true;
}

void record_image_frame(struct record_image *image, enum frame_kind kind, const uint8_t *bytes, size_t size) {
    struct bytes_reader body;
    bytes_reader_init(&body, bytes, size);
    if (kind == FRAME_STEP) {
        on_step(image, &body);
    } else if (kind == FRAME_RECORD) {
        on_record(image, &body);
    } else if (kind == FRAME_CURSOR) {
        uint8_t uplink = bytes_get_u8(&body), lane = bytes_get_u8(&body);
        struct cursor cursor;
        if (uplink < UPLINKS_MAX && lane < LANES_COUNT && cursor_get(&body, &cursor))
            image->image.cursors[uplink][lane] = cursor;
    } else if (kind == FRAME_SEQ) {
        uint64_t seq = bytes_get_u64(&body);
        if (seq >= image->image.next_seq)
            image->image.next_seq = seq + 1;
    } else if (kind == FRAME_LOST) {
        image->incomplete = true;
    }
}

bool record_image_start(const struct record_image *image, uint8_t **ret_bytes, size_t *ret_size) {
    struct store_image now = image->image;
    struct store_record *records = calloc(image->items_count + 1, sizeof(*records));
    if (!records)
        return false;
    for (size_t i = 0; i < image->items_size; i++)
        if (image->items[i].owner && image->items[i].size)
            records[now.records_count++] = (struct store_record){
                .owner = image->items[i].owner, .name = image->items[i].name, .bytes = image->items[i].bytes, .size = image->items[i].size};
    now.records = records;
    struct event start = {.kind = EVENT_START, .now = image->now, .start = {.start = image->start, .seed = image->seed, .image = &now}};
    size_t room = start_size(image->config, &now);
    struct bytes_writer writer = {.full = true};
    *ret_bytes = malloc(room);
    if (*ret_bytes) {
        bytes_writer_init(&writer, *ret_bytes, room);
        start_put(&writer, image->config, &start);
        *ret_size = writer.length;
    }
    free(records);
    return !writer.full;
}
