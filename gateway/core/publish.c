/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/publish.h"

#include <string.h>

#include "base/check.h"
#include "base/fnv.h"

static bool same_policy(const struct config_readings *a, const struct config_readings *b) {
    return a->batch_ms == b->batch_ms && a->on_change == b->on_change && a->at_least_every_ms == b->at_least_every_ms;
}

/* Bytes for what one device is polled for during one batch, twelve a reading, within reason: a fuller batch is sealed early. */
static size_t batch_size(const struct config_device *device, uint32_t batch_ms) {
    uint64_t readings = 0;
    for (unsigned i = 0; i < device->spec.points_count; i++)
        readings += 1 + batch_ms / (device->spec.points[i].every_ms ? device->spec.points[i].every_ms : 1);
    uint64_t size = readings * 12 + READING_SIZE_MAX;
    return size > ENTRY_SIZE / 2 ? ENTRY_SIZE / 2 : (size_t)size;
}

static void stream_init(struct publisher *publisher, struct publish_stream *stream, struct arena *arena) {
    const struct config *config = publisher->config;
    stream->batches = arena_take(arena, config->devices_count, sizeof(*stream->batches));
    if (stream->policy.on_change)
        stream->points = arena_take(arena, config->points_count, sizeof(*stream->points));
    for (unsigned i = 0; i < config->devices_count; i++) {
        size_t size = stream->policy.batch_ms ? batch_size(&config->devices[i], stream->policy.batch_ms) : ENTRY_SIZE;
        uint8_t *bytes = stream->policy.batch_ms ? arena_take(arena, size, 1) : publisher->scratch;
        bytes_writer_init(&stream->batches[i].body, bytes, size);
    }
}

void publisher_init(struct publisher *publisher, const struct config *config, const struct series_directory *series, struct journal *journal,
                    struct arena *arena) {
    *publisher = (struct publisher){.config = config, .series = series, .journal = journal, .history_due_us = NOW_NEVER, .aside_due_us = NOW_NEVER};
    aside_init(&publisher->aside, arena);
    publisher->scratch = arena_take(arena, ENTRY_SIZE, 1);
    bytes_writer_init(&publisher->history.body, arena_take(arena, PUBLISH_HISTORY_SIZE, 1), PUBLISH_HISTORY_SIZE);
    for (unsigned i = 0; i < config->uplinks_count; i++) {
        const struct config_readings *policy = &config->uplinks[i].readings;
        unsigned s = 0;
        while (s < publisher->streams_count && !same_policy(&publisher->streams[s].policy, policy))
            s++;
        if (!policy->wanted || s < publisher->streams_count)
            continue;
        publisher->streams[publisher->streams_count].policy = *policy;
        stream_init(publisher, &publisher->streams[publisher->streams_count++], arena);
    }
    heap_init(&publisher->deadlines, (uint32_t)publisher->streams_count * config->devices_count, arena);
}

void publisher_start(struct publisher *publisher, const uint8_t *uplink_numbers) {
    for (unsigned i = 0; i < publisher->config->uplinks_count; i++)
        for (unsigned s = 0; s < publisher->streams_count; s++)
            if (publisher->config->uplinks[i].readings.wanted && same_policy(&publisher->streams[s].policy, &publisher->config->uplinks[i].readings))
                publisher->streams[s].uplinks |= (uint16_t)(1u << uplink_numbers[i]);
}

/* One number that is equal when value and quality are. */
static uint64_t reading_key(const struct reading *reading) {
    uint64_t key = FNV_START; /* over the text, so that no two texts of 31 bytes are told apart by luck alone */
    const struct value *value = &reading->value;
    switch (value->kind) {
    case VALUE_NONE:
        key = 0;
        break;
    case VALUE_NUMBER:
        memcpy(&key, &value->number, sizeof(key));
        break;
    case VALUE_INTEGER:
        key = (uint64_t)value->integer;
        break;
    case VALUE_UNSIGNED:
        key = value->whole;
        break;
    case VALUE_TEXT:
        key = fnv_add(key, value->text, strlen(value->text));
        break;
    }
    return key ^ ((uint64_t)reading->quality << 61 | (uint64_t)value->kind << 58);
}

/* Report by exception: a changed value, and an unchanged one when with the next poll, `every_ms` from now, more than
 * at_least_every would have gone by. */
static bool wanted(struct publish_stream *stream, uint32_t point, const struct reading *reading, const struct now *now, uint32_t every_ms) {
    if (!stream->points)
        return true;
    struct published *last = &stream->points[point];
    uint64_t key = reading_key(reading);
    int64_t most_us = 1000 * (int64_t)stream->policy.at_least_every_ms, next_us = now->mono_us + 1000 * (int64_t)every_ms;
    if (last->known && last->key == key && (!most_us || next_us - last->at_us <= most_us))
        return false;
    *last = (struct published){.key = key, .at_us = now->mono_us, .known = true};
    return true;
}

static void batch_add(struct publish_batch *batch, const struct now *now, uint32_t series, const struct reading *reading) {
    if (!batch->count) {
        batch->at_ms = now->wall_ms;
        reading_order_begin(&batch->order, batch->at_ms);
        batch->trusted = now->wall_trusted;
    }
    struct packed_reading packed = {
        .series = series, .at_ms = now->wall_ms, .quality = reading->quality, .reason = reading->reason, .value = reading->value};
    entry_put_reading(&batch->body, &batch->order, &packed);
    CHECK(!batch->body.full);
    batch->count++;
}

static bool batch_full(const struct publish_batch *batch) {
    return batch->count >= ENTRY_READINGS_MAX || batch->body.size - batch->body.length < READING_SIZE_MAX;
}

static void batch_seal(struct publisher *publisher, struct publish_stream *stream, struct publish_batch *batch) {
    if (!batch->count)
        return;
    struct entry entry = {.lane = LANE_READING,
                          .kind = ENTRY_READINGS,
                          .uplinks = stream->uplinks,
                          .trusted = batch->trusted,
                          .at_ms = batch->at_ms,
                          .body = batch->body.bytes,
                          .body_size = (uint32_t)batch->body.length};
    journal_seal(publisher->journal, &entry);
    batch->count = 0;
    batch->body.length = 0;
}

static void stream_on_readings(struct publisher *publisher, unsigned s, const struct now *now, uint16_t device, const struct reading *readings,
                               unsigned count) {
    struct publish_stream *stream = &publisher->streams[s];
    struct publish_batch *batch = &stream->batches[device];
    uint32_t first_point = publisher->config->devices[device].first_point;
    for (unsigned i = 0; i < count; i++) {
        uint32_t point = first_point + readings[i].point;
        if (!wanted(stream, point, &readings[i], now, config_point(publisher->config, device, readings[i].point)->every_ms))
            continue;
        if (batch_full(batch) || (batch->count && batch->trusted != now->wall_trusted))
            batch_seal(publisher, stream, batch);
        batch_add(batch, now, publisher->series->of_point[point], &readings[i]);
    }
    uint32_t item = s * publisher->config->devices_count + device;
    if (!stream->policy.batch_ms)
        batch_seal(publisher, stream, batch);
    else if (batch->count && heap_at_us(&publisher->deadlines, item) == NOW_NEVER)
        heap_set(&publisher->deadlines, item, now->mono_us + 1000 * (int64_t)stream->policy.batch_ms);
}

void publisher_on_readings(struct publisher *publisher, const struct now *now, uint16_t device, const struct reading *readings, unsigned count) {
    if (!count)
        return;
    for (unsigned s = 0; s < publisher->streams_count; s++)
        stream_on_readings(publisher, s, now, device, readings, count);
    uint32_t first_point = publisher->config->devices[device].first_point;
    struct publish_batch *history = &publisher->history;
    for (unsigned i = 0; i < count && !now->wall_trusted; i++) {
        struct packed_reading packed = {.series = publisher->series->of_point[first_point + readings[i].point],
                                        .quality = readings[i].quality,
                                        .reason = readings[i].reason,
                                        .value = readings[i].value};
        aside_put(&publisher->aside, now->mono_us, &packed);
    }
    if (!now->wall_trusted)
        return;
    if (!history->count)
        publisher->history_due_us = now->mono_us + 1000 * (int64_t)publisher->config->store.readings_commit_ms;
    for (unsigned i = 0; i < count; i++)
        if (history->body.size - history->body.length >= READING_SIZE_MAX)
            batch_add(history, now, publisher->series->of_point[first_point + readings[i].point], &readings[i]);
        else /* the effects had no room for the batch all the while */
            publisher->history_lost++;
    if (history->body.length > PUBLISH_HISTORY_SIZE / 2)
        publisher->history_due_us = now->mono_us;
}

void publisher_on_time(struct publisher *publisher, const struct now *now) {
    if (!now->wall_trusted || !aside_count(&publisher->aside))
        publisher->aside_due_us = NOW_NEVER;
    else if (publisher->aside_due_us == NOW_NEVER)
        publisher->aside_due_us = now->mono_us;
    uint32_t item;
    while (heap_take_due(&publisher->deadlines, now->mono_us, &item)) {
        struct publish_stream *stream = &publisher->streams[item / publisher->config->devices_count];
        batch_seal(publisher, stream, &stream->batches[item % publisher->config->devices_count]);
    }
}

void publisher_flush(struct publisher *publisher) {
    for (unsigned s = 0; s < publisher->streams_count; s++)
        for (unsigned i = 0; i < publisher->config->devices_count; i++) {
            heap_set(&publisher->deadlines, s * publisher->config->devices_count + i, NOW_NEVER);
            batch_seal(publisher, &publisher->streams[s], &publisher->streams[s].batches[i]);
        }
}

int64_t publisher_next_wake(const struct publisher *publisher) {
    int64_t batch_us = heap_first_us(&publisher->deadlines);
    batch_us = publisher->aside_due_us < batch_us ? publisher->aside_due_us : batch_us;
    return batch_us < publisher->history_due_us ? batch_us : publisher->history_due_us;
}

static bool take_aside(struct publisher *publisher, const struct now *now, bool all, struct publish_batch *ret_batch) {
    if (publisher->aside_due_us == NOW_NEVER || (!all && publisher->aside_due_us > now->mono_us))
        return false;
    *ret_batch = (struct publish_batch){.trusted = true};
    publisher->aside_due_us = now->mono_us + PUBLISH_ASIDE_US;
    return aside_take(&publisher->aside, now, &ret_batch->at_ms, &ret_batch->body, &ret_batch->count);
}

void publisher_hurry_history(struct publisher *publisher, int64_t due_us) {
    if (publisher->history.count && due_us < publisher->history_due_us)
        publisher->history_due_us = due_us;
}

bool publisher_take_history(struct publisher *publisher, const struct now *now, bool all, struct publish_batch *ret_batch) {
    if (!publisher->history.count || (!all && publisher->history_due_us > now->mono_us))
        return take_aside(publisher, now, all, ret_batch);
    *ret_batch = publisher->history;
    publisher->history.count = 0;
    publisher->history.body.length = 0;
    publisher->history_due_us = NOW_NEVER;
    return true;
}
