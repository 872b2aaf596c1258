/* SPDX-License-Identifier: Apache-2.0 */
/* START as bytes (what the store knew: records, cursors, the numbers of series and uplinks), and what a step wanted as a number.
 * A start is read against the configuration it was written with: numbers per uplink and per point are as many as there are. */
#include <string.h>

#include "base/check.h"
#include "base/fnv.h"
#include "gateway/core/event_codec.h"

#define CURSOR_BYTES ((2 * RANGES_MAX + 2) * 10) /* varints at their longest */

void cursor_put(struct bytes_writer *writer, const struct cursor *cursor) {
    bytes_put_varint(writer, cursor->low);
    bytes_put_varint(writer, cursor->ranges_count);
    for (unsigned i = 0; i < cursor->ranges_count; i++) {
        bytes_put_varint(writer, cursor->ranges[i].from);
        bytes_put_varint(writer, cursor->ranges[i].to);
    }
}

bool cursor_get(struct bytes_reader *reader, struct cursor *ret_cursor) {
    *ret_cursor = (struct cursor){.low = bytes_get_varint(reader)};
    uint64_t count = bytes_get_varint(reader), before = ret_cursor->low;
    if (count > RANGES_MAX)
        reader->failed = true;
    for (unsigned i = 0; !reader->failed && i < count; i++) {
        struct acked_range range = {.from = bytes_get_varint(reader)};
        range.to = bytes_get_varint(reader);
        if (before >= UINT64_MAX - 2 || range.from <= before + 1 || range.to < range.from)
            reader->failed = true;
        ret_cursor->ranges[ret_cursor->ranges_count++] = range;
        before = range.to;
    }
    return !reader->failed;
}

size_t start_size(const struct config *config, const struct store_image *image) {
    size_t size = 128 + 2 * (2 * LINE_SIZE + 10) + config->uplinks_count * (size_t)(LANES_COUNT * CURSOR_BYTES + 1) + config->points_count * 5u;
    for (uint32_t i = 0; i < image->records_count; i++)
        size += 3 * 10 + strlen(image->records[i].owner) + strlen(image->records[i].name) + image->records[i].size;
    for (uint32_t i = 0; i < image->series.count; i++)
        size += 2 * 10 + strlen(image->series.items[i].device) + strlen(image->series.items[i].point);
    return size;
}

void start_put(struct bytes_writer *writer, const struct config *config, const struct event *event) {
    const struct store_image *image = event->start.image;
    bytes_put_zigzag(writer, event->now.mono_us);
    bytes_put_zigzag(writer, event->now.wall_ms);
    bytes_put_u8(writer, event->now.wall_trusted);
    bytes_put_u64(writer, event->start.start);
    bytes_put_u64(writer, event->start.seed);
    bytes_put_varint(writer, image->next_seq);
    bytes_put_u8(writer, (uint8_t)(image->configuration_changed | image->quarantined << 1 | image->absent << 2 |
                                   (event->start.last_words != NULL) << 3 | (event->start.restarted_for != NULL) << 4));
    bytes_put_text(writer, event->start.last_words);
    bytes_put_text(writer, event->start.restarted_for);
    bytes_put_varint(writer, config->uplinks_count);
    for (unsigned i = 0; i < config->uplinks_count; i++) {
        bytes_put_u8(writer, image->uplink_numbers[i]);
        for (unsigned lane = 0; lane < LANES_COUNT; lane++)
            cursor_put(writer, &image->cursors[i][lane]);
    }
    bytes_put_varint(writer, image->series.count);
    for (uint32_t i = 0; i < image->series.count; i++) {
        bytes_put_text(writer, image->series.items[i].device);
        bytes_put_text(writer, image->series.items[i].point);
    }
    bytes_put_varint(writer, config->points_count);
    for (uint32_t i = 0; i < config->points_count; i++)
        bytes_put_varint(writer, image->series.of_point[i]);
    bytes_put_varint(writer, image->records_count);
    for (uint32_t i = 0; i < image->records_count; i++) {
        bytes_put_text(writer, image->records[i].owner);
        bytes_put_text(writer, image->records[i].name);
        bytes_put_varint(writer, image->records[i].size);
        bytes_put_raw(writer, image->records[i].bytes, image->records[i].size);
    }
}

static const char *get_name(struct bytes_reader *reader, struct arena *arena) {
    char name[RECORD_NAME_SIZE + NAME_SIZE]; /* a longer one was never written */
    bytes_get_text(reader, name, sizeof(name));
    return arena_text(arena, name, strlen(name));
}

static const char *get_words(struct bytes_reader *reader, struct arena *arena) {
    char words[2 * LINE_SIZE]; /* longer ones are cut, as the event that tells them cuts them */
    bytes_get_text(reader, words, sizeof(words));
    return arena_text(arena, words, strlen(words));
}

/* A count whose every item takes at least `least` bytes: more than fit in what is left is damage, and takes no memory. */
static uint32_t get_count(struct bytes_reader *reader, size_t least) {
    uint64_t count = bytes_get_varint(reader);
    if (reader->failed || count > (reader->size - reader->position) / least)
        reader->failed = true;
    return reader->failed ? 0 : (uint32_t)count;
}

static void get_series(struct bytes_reader *reader, const struct config *config, struct arena *arena, struct series_directory *series) {
    uint32_t count = get_count(reader, 2);
    struct series *items = arena_take(arena, count + 1u, sizeof(*items));
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        items[i].device = get_name(reader, arena);
        items[i].point = get_name(reader, arena);
    }
    uint32_t points = get_count(reader, 1), *of_point = arena_take(arena, config->points_count + 1u, sizeof(*of_point));
    if (points != config->points_count)
        reader->failed = true;
    for (uint32_t i = 0; i < points && !reader->failed; i++) {
        uint64_t number = bytes_get_varint(reader);
        if (number >= count)
            reader->failed = true;
        of_point[i] = (uint32_t)number;
    }
    *series = (struct series_directory){.count = count, .items = items, .of_point = of_point};
}

static void get_records(struct bytes_reader *reader, struct arena *arena, struct store_image *image) {
    uint32_t count = get_count(reader, 3);
    struct store_record *records = arena_take(arena, count + 1u, sizeof(*records));
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        records[i].owner = get_name(reader, arena);
        records[i].name = get_name(reader, arena);
        records[i].size = (size_t)bytes_get_varint(reader);
        if (records[i].size > RECORD_SIZE)
            reader->failed = true;
        else
            records[i].bytes = bytes_get_raw(reader, records[i].size);
    }
    image->records = records;
    image->records_count = count;
}

bool start_get(struct bytes_reader *reader, const struct config *config, struct arena *arena, struct event *ret_event) {
    struct store_image *image = arena_take(arena, 1, sizeof(*image));
    *ret_event = (struct event){.kind = EVENT_START, .start = {.image = image}};
    ret_event->now.mono_us = bytes_get_zigzag(reader);
    ret_event->now.wall_ms = bytes_get_zigzag(reader);
    ret_event->now.wall_trusted = bytes_get_u8(reader) != 0;
    ret_event->start.start = bytes_get_u64(reader);
    ret_event->start.seed = bytes_get_u64(reader);
    image->next_seq = bytes_get_varint(reader);
    const struct now *now = &ret_event->now;
    uint8_t flags = bytes_get_u8(reader), used = 0;
    image->configuration_changed = flags & 1;
    image->quarantined = flags & 2;
    image->absent = flags & 4;
    const char *last_words = get_words(reader, arena), *restarted_for = get_words(reader, arena);
    ret_event->start.last_words = flags & 8 ? last_words : NULL;
    ret_event->start.restarted_for = flags & 16 ? restarted_for : NULL;
    bool possible = now->mono_us >= 0 && now->mono_us <= EVENT_TIME_MOST && now->wall_ms <= EVENT_TIME_MOST && now->wall_ms >= -EVENT_TIME_MOST;
    possible = possible && image->next_seq > 0 && image->next_seq < UINT64_MAX / 2 && ret_event->start.start;
    if (!possible || bytes_get_varint(reader) != config->uplinks_count)
        reader->failed = true;
    uint16_t numbers = 0;
    for (unsigned i = 0; !reader->failed && i < config->uplinks_count; i++) {
        used = bytes_get_u8(reader);
        image->uplink_numbers[i] = used;
        if (used >= UPLINKS_MAX || numbers >> used & 1)
            reader->failed = true;
        numbers = (uint16_t)(numbers | 1u << (used % UPLINKS_MAX));
        for (unsigned lane = 0; !reader->failed && lane < LANES_COUNT; lane++)
            (void)cursor_get(reader, &image->cursors[i][lane]);
    }
    if (!reader->failed)
        get_series(reader, config, arena, &image->series);
    if (!reader->failed)
        get_records(reader, arena, image);
    return !reader->failed && reader->position == reader->size;
}

const char *event_kind_name(enum event_kind kind) {
    static const char *const names[] = {"start", "tick",  "polled", "written", "stored", "rows", "link up", "link down",
                                        "acked", "clock", "command", "flood",  "stop",   "disk",  "vitals"};
    return (unsigned)kind < ARRAY_COUNT(names) ? names[kind] : "unknown";
}

/* ---- what a step wanted ---- */

static uint64_t add_number(uint64_t hash, uint64_t number) {
    return fnv_add(hash, &number, sizeof(number));
}

static uint64_t add_text(uint64_t hash, const char *text) {
    return text ? fnv_add(hash, text, strlen(text) + 1) : hash;
}

static uint64_t add_double(uint64_t hash, double number) {
    return fnv_add(hash, &number, sizeof(number));
}

static uint64_t add_store(uint64_t hash, const struct effect *effect) {
    hash = add_number(add_number(hash, effect->store.first_seq), effect->store.last_seq);
    hash = fnv_add(add_number(hash, effect->store.lane), effect->store.bytes, effect->store.size);
    for (unsigned i = 0; i < effect->store.records_count; i++) {
        const struct record_save *save = &effect->store.records[i];
        hash = fnv_add(add_text(add_text(hash, save->owner), save->name), save->bytes, save->size);
    }
    return hash;
}

static uint64_t add_cursor(uint64_t hash, const struct effect *effect) {
    const struct cursor *cursor = effect->cursor.cursor;
    hash = add_number(add_number(add_number(hash, effect->cursor.uplink), effect->cursor.lane), cursor->low);
    for (unsigned i = 0; i < cursor->ranges_count; i++)
        hash = add_number(add_number(hash, cursor->ranges[i].from), cursor->ranges[i].to);
    return hash;
}

static uint64_t add_effect(uint64_t hash, const struct effect *effect) {
    hash = add_number(hash, effect->kind);
    switch (effect->kind) {
    case EFFECT_WRITE:
        hash = add_number(add_number(hash, effect->write.bus), effect->write.command.id);
        hash = add_number(add_number(hash, effect->write.command.device), effect->write.command.point);
        return add_double(hash, effect->write.command.value);
    case EFFECT_RELEASE:
        return add_number(hash, effect->release.bus);
    case EFFECT_STORE:
        return add_store(hash, effect);
    case EFFECT_HISTORY:
        return fnv_add(add_number(hash, (uint64_t)effect->history.at_ms), effect->history.bytes, effect->history.size);
    case EFFECT_CURSOR:
        return add_cursor(hash, effect);
    case EFFECT_QUERY:
        hash = add_number(add_number(hash, effect->query.uplink), effect->query.lane);
        return add_number(add_number(hash, effect->query.after_seq), effect->query.through_seq);
    case EFFECT_CONNECT:
        return add_number(add_number(hash, effect->link.uplink), effect->link.broker);
    case EFFECT_DISCONNECT:
        return add_number(hash, effect->link.uplink);
    case EFFECT_SEND:
        hash = add_number(add_number(hash, effect->send.uplink), effect->send.slot);
        hash = add_number(add_number(hash, effect->send.qos), effect->send.retain);
        return fnv_add(add_text(hash, effect->send.topic), effect->send.payload, effect->send.size);
    case EFFECT_REPLY:
        return add_text(add_number(hash, effect->reply.socket_id), effect->reply.payload);
    case EFFECT_NOTIFY:
        return add_text(add_number(hash, effect->notify.kind), effect->notify.status);
    case EFFECT_REPLACE:
        return add_number(hash, effect->replace.bus);
    case EFFECT_RESTART:
    case EFFECT_STOPPED:
        return hash;
    }
    return hash;
}

uint64_t effects_hash(const struct effects *effects) {
    uint64_t hash = add_number(FNV_START, effects->count);
    for (unsigned i = 0; i < effects->count; i++)
        hash = add_effect(hash, &effects->items[i]);
    return hash;
}

static uint32_t fold(uint64_t hash) {
    uint32_t folded = (uint32_t)(hash ^ hash >> 32);
    return folded ? folded : 1;
}

uint32_t effect_decision(const struct effect *effect) {
    if (effect->kind != EFFECT_WRITE)
        return 0;
    uint64_t hash = add_number(add_number(FNV_START, effect->write.command.device), effect->write.command.point);
    return fold(add_double(hash, effect->write.command.value));
}

uint32_t trace_decision(const struct trace_line *line) {
    static const char *const kinds[] = {"alarm ", "action ", "problem "};
    for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++)
        if (strncmp(line->text, kinds[i], strlen(kinds[i])) == 0)
            return fold(add_text(FNV_START, line->text));
    return 0;
}
