/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/uplinks/mqtt_json.h"

#include "gateway/core/describe.h"
#include "sensors/response.h"

#define JSON_EXACT_MAX (INT64_C(1) << 53) /* a JSON reader's double holds whole numbers exactly up to here */

/* ---- pieces ---- */

static void key(struct text *text, const char *name) {
    text_add(text, text->length && text->bytes[text->length - 1] == '{' ? "\"" : ",\"");
    text_add(text, name);
    text_add(text, "\":");
}

static void key_text(struct text *text, const char *name, const char *value) {
    key(text, name);
    text_add_json(text, value);
}

static void key_bool(struct text *text, const char *name, bool value) {
    key(text, name);
    text_add(text, value ? "true" : "false");
}

static void key_u64(struct text *text, const char *name, uint64_t value) {
    key(text, name);
    text_add_u64(text, value);
}

/* 0 stands for "never" and becomes null. */
static void key_time(const struct mqtt_json *json, struct text *text, const char *name, int64_t wall_ms) {
    key(text, name);
    if (!wall_ms) {
        text_add(text, "null");
        return;
    }
    text_add_char(text, '"');
    text_add_time(text, wall_ms, json->config->utc_offset_minutes);
    text_add_char(text, '"');
}

static void key_value(struct text *text, const char *name, const struct value *value) {
    key(text, name);
    bool exact = value->kind != VALUE_INTEGER || (value->integer <= JSON_EXACT_MAX && value->integer >= -JSON_EXACT_MAX);
    if (!exact)
        text_add_char(text, '"');
    describe_value(text, value);
    if (!exact)
        text_add_char(text, '"');
}

/* gateway-start-seq, without quotes */
static void add_id(const struct mqtt_json *json, struct text *text, uint64_t start, uint64_t seq) {
    text_add(text, json->config->gateway_id);
    text_add_char(text, '-');
    text_add_hex64(text, start);
    text_add_char(text, '-');
    text_add_u64(text, seq);
}

static void key_id(const struct mqtt_json *json, struct text *text, const char *name, uint64_t start, uint64_t seq) {
    key(text, name);
    if (!seq) {
        text_add(text, "null");
        return;
    }
    text_add_char(text, '"');
    add_id(json, text, start, seq);
    text_add_char(text, '"');
}

static void topic_of(const struct mqtt_json *json, struct text *topic, const char *kind, const char *first, const char *second) {
    text_add(topic, json->topic_prefix);
    text_add_char(topic, '/');
    text_add(topic, kind);
    if (first) {
        text_add_char(topic, '/');
        text_add(topic, first);
    }
    if (second) {
        text_add_char(topic, '/');
        text_add(topic, second);
    }
}

static bool fits(const struct text *topic, const struct text *payload) {
    return !topic->full && !payload->full;
}

/* ---- readings ---- */

static void add_reading(const struct mqtt_json *json, struct text *text, const struct packed_reading *reading) {
    text_add_char(text, '{');
    key_time(json, text, "t", reading->at_ms);
    key_text(text, "point", json->series->items[reading->series].point);
    key_value(text, "v", &reading->value);
    key_text(text, "q", quality_name((enum quality)reading->quality));
    if (reading->quality != QUALITY_GOOD)
        key_text(text, "why", quality_reason_name((enum quality_reason)reading->reason));
    text_add_char(text, '}');
}

static void readings_json(const struct mqtt_json *json, const struct entry *entry, bool replayed, struct text *topic, struct text *text) {
    struct bytes_reader body;
    bytes_reader_init(&body, entry->body, entry->body_size);
    struct packed_reading reading;
    const char *device = NULL;
    text_add_char(text, '{');
    key_id(json, text, "id", entry->start, entry->seq);
    key_bool(text, "replayed", replayed);
    key(text, "readings");
    text_add_char(text, '[');
    while (entry_get_reading(&body, entry->at_ms, &reading)) {
        if (reading.series >= json->series->count) /* of a newer program's store: nothing is known of it */
            continue;
        if (device)
            text_add_char(text, ',');
        device = json->series->items[reading.series].device;
        add_reading(json, text, &reading);
    }
    text_add(text, "]}");
    topic_of(json, topic, "reading", device ? device : "unknown", NULL);
}

/* ---- alarms and other events ---- */

/* What `alarm/...` and `event` have in common. */
static void alarm_members(const struct mqtt_json *json, struct text *text, const struct alarm_event *event, int64_t at_ms) {
    key_id(json, text, "occurrence", event->occurrence_start, event->occurrence_seq);
    key_text(text, "device", event->device);
    key_text(text, "alarm", event->alarm);
    key_text(text, "class", alarm_class_name((enum alarm_class)event->class));
    key_text(text, "priority", priority_name((enum priority)event->priority));
    key_text(text, "state", alarm_state_name((enum alarm_state)event->state));
    key_text(text, "condition", event->condition);
    key_value(text, "value", &event->value);
    key_text(text, "unit", event->unit);
    key(text, "limit");
    if (event->has_limit)
        text_add_double(text, event->limit);
    else
        text_add(text, "null");
    key_time(json, text, "since", event->since_ms);
    key_time(json, text, "at", at_ms);
    key(text, "place");
    if (event->place[0]) {
        text_add_char(text, '{');
        key_text(text, "key", event->place);
        key_text(text, "name", event->place_name);
        key_text(text, "address", event->address);
        key_text(text, "phone", event->phone);
        text_add_char(text, '}');
    } else {
        text_add(text, "null");
    }
    key_text(text, "location", event->location);
    key(text, "text");
    text_add_char(text, '{');
    key_text(text, "zh", event->zh);
    key_text(text, "en", event->en);
    text_add_char(text, '}');
    key_bool(text, "test", event->test);
}

static bool alarm_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct alarm_event event;
    if (!entry_get_alarm(entry, &event))
        return false;
    key_text(text, "kind", entry->kind == ENTRY_ALARM ? "alarm" : "roster");
    key_text(text, "cause", alarm_cause_name((enum alarm_cause)event.cause));
    alarm_members(json, text, &event, entry->at_ms);
    return true;
}

static bool action_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct action_event event;
    if (!entry_get_action(entry, &event))
        return false;
    key_text(text, "kind", "action");
    key_time(json, text, "at", entry->at_ms);
    key_text(text, "action", event.action);
    key_text(text, "device", event.device);
    key_text(text, "point", event.point);
    key(text, "value");
    text_add_double(text, event.value);
    key_bool(text, "ok", event.ok);
    key_u64(text, "attempt", event.attempt);
    key_text(text, "why", event.why);
    key_text(text, "alarm_device", event.alarm_device);
    key_text(text, "alarm", event.alarm);
    return true;
}

static bool gap_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct gap_event event;
    if (!entry_get_gap(entry, &event))
        return false;
    key_text(text, "kind", "gap");
    key_time(json, text, "at", entry->at_ms);
    key_text(text, "lane", lane_name((enum lane)event.lane));
    key_u64(text, "from", event.from_seq);
    key_u64(text, "to", event.to_seq);
    key_u64(text, "count", event.count);
    key_text(text, "why", event.why);
    return true;
}

static bool system_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct system_event event;
    if (!entry_get_system(entry, &event))
        return false;
    key_text(text, "kind", entry->kind == ENTRY_CLOCK ? "clock" : "system");
    key_time(json, text, "at", entry->at_ms);
    key_text(text, "what", event.what);
    key_text(text, "detail", event.detail);
    if (entry->kind == ENTRY_CLOCK) {
        key(text, "offset_ms");
        text_add_s64(text, event.offset_ms);
    }
    return true;
}

static bool event_members(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    switch (entry->kind) {
    case ENTRY_ALARM:
    case ENTRY_ROSTER:
        return alarm_json(json, text, entry);
    case ENTRY_ACTION:
        return action_json(json, text, entry);
    case ENTRY_GAP:
        return gap_json(json, text, entry);
    case ENTRY_CLOCK:
    case ENTRY_SYSTEM:
        return system_json(json, text, entry);
    case ENTRY_READINGS:
        break;
    }
    return false;
}

bool mqtt_json_entry(const struct mqtt_json *json, const struct entry *entry, bool replayed, struct text *topic, struct text *payload) {
    if (entry->kind == ENTRY_READINGS) {
        readings_json(json, entry, replayed, topic, payload);
        return fits(topic, payload);
    }
    topic_of(json, topic, "event", NULL, NULL);
    text_add_char(payload, '{');
    key_id(json, payload, "id", entry->start, entry->seq);
    key_bool(payload, "replayed", replayed);
    if (!event_members(json, payload, entry))
        key_text(payload, "kind", "unreadable"); /* stored by another version: its id is told all the same */
    key_bool(payload, "clock_trusted", entry->trusted);
    text_add_char(payload, '}');
    return fits(topic, payload);
}

bool mqtt_json_alarm(const struct mqtt_json *json, const struct alarm_event *event, uint64_t seq, int64_t at_ms, struct text *topic,
                     struct text *payload) {
    topic_of(json, topic, "alarm", event->device, event->alarm);
    text_add_char(payload, '{');
    key_id(json, payload, "id", json->start, seq);
    alarm_members(json, payload, event, at_ms);
    text_add_char(payload, '}');
    return fits(topic, payload);
}

/* ---- the gateway itself ---- */

static void meta_point(struct text *text, const struct point *point) {
    static const char *types[] = {"bit", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "string", "bcd"};
    text_add_char(text, '{');
    key_text(text, "point", point->name);
    key_text(text, "type", types[point->type]);
    key_text(text, "unit", point->unit);
    key(text, "names");
    text_add_char(text, '{');
    key_text(text, "zh", point->zh);
    key_text(text, "en", point->en);
    text_add_char(text, '}');
    key_u64(text, "every_ms", point->every_ms);
    key_text(text, "class", alarm_class_name(point->class));
    if (point->labels_count) {
        key(text, "labels");
        text_add_char(text, '{');
        for (unsigned i = 0; i < point->labels_count; i++) {
            char name[24];
            struct text value;
            text_init(&value, name, sizeof(name));
            text_add_s64(&value, point->labels[i].value);
            key_text(text, name, point->labels[i].name);
        }
        text_add_char(text, '}');
    }
    text_add_char(text, '}');
}

bool mqtt_json_meta(const struct mqtt_json *json, uint16_t index, struct text *topic, struct text *payload) {
    const struct config_device *device = &json->config->devices[index];
    topic_of(json, topic, "meta", device->spec.name, NULL);
    text_add_char(payload, '{');
    key_text(payload, "device", device->spec.name);
    key_text(payload, "profile", device->profile);
    key_text(payload, "manufacturer", device->manufacturer);
    key_text(payload, "model", device->model);
    key_text(payload, "place", device->place == CONFIG_NONE ? NULL : json->config->places[device->place].key);
    key_text(payload, "location", device->location);
    key_text(payload, "bus", json->config->buses[device->bus].name);
    key_u64(payload, "unit_id", device->spec.unit_id);
    key_text(payload, "configuration", json->config->hash);
    key(payload, "points");
    text_add_char(payload, '[');
    for (unsigned i = 0; i < device->spec.points_count; i++) {
        if (i)
            text_add_char(payload, ',');
        meta_point(payload, &device->spec.points[i]);
    }
    text_add(payload, "]}");
    return fits(topic, payload);
}

bool mqtt_json_status(const struct mqtt_json *json, bool online, const struct now *now, int64_t since_ms, struct text *topic, struct text *payload) {
    topic_of(json, topic, "status", NULL, NULL);
    text_add_char(payload, '{');
    key_text(payload, "status", online ? "online" : "offline");
    key_time(json, payload, "since", since_ms);
    key_time(json, payload, "at", now->wall_ms);
    key_text(payload, "version", json->version);
    key(payload, "start");
    text_add_char(payload, '"');
    text_add_hex64(payload, json->start);
    text_add_char(payload, '"');
    key_bool(payload, "clock_trusted", now->wall_trusted);
    key_text(payload, "configuration", json->config->hash);
    key_text(payload, "profiles", json->config->profiles_hash);
    text_add_char(payload, '}');
    return fits(topic, payload);
}

static void lanes_json(struct text *text, const char *name, const uint64_t counts[LANES_COUNT]) {
    key(text, name);
    text_add_char(text, '{');
    for (unsigned i = 0; i < LANES_COUNT; i++)
        key_u64(text, lane_name((enum lane)i), counts[i]);
    text_add_char(text, '}');
}

/* The numbers are 0 until a minute was counted, and where the kernel does not count. */
static void disk_json(struct text *payload, const struct disk_status *disk) {
    key(payload, "store");
    text_add_char(payload, '{');
    key_bool(payload, "volatile", disk->is_volatile);
    key_bool(payload, "full", disk->full);
    key_u64(payload, "quarantined", disk->quarantined);
    key_u64(payload, "device_bytes_hour", disk->device_bytes_hour);
    key_u64(payload, "device_bytes_reading", disk->device_bytes_reading);
    text_add_char(payload, '}');
}

/* With very many buses there is no room for each in a message that is sent each minute. */
static void buses_json(const struct mqtt_json *json, struct text *payload, const struct bus_counters *buses) {
    if (!buses || json->config->buses_count > HEALTH_BUSES_MAX)
        return;
    key(payload, "buses");
    text_add_char(payload, '{');
    for (unsigned i = 0; i < json->config->buses_count; i++) {
        key(payload, json->config->buses[i].name);
        text_add_char(payload, '{');
        key_u64(payload, "polls", buses[i].polls);
        key_u64(payload, "extra_polls", buses[i].extras);
        key_u64(payload, "timeouts", buses[i].timeouts);
        key_u64(payload, "corrupt", buses[i].corrupt);
        key_u64(payload, "exceptions", buses[i].exceptions);
        key_u64(payload, "disconnected", buses[i].disconnected);
        key_u64(payload, "devices_dead", buses[i].devices_dead);
        key_u64(payload, "timeout_max_us", (uint64_t)buses[i].timeout_max_us);
        key_u64(payload, "adapter_latency_ms", buses[i].adapter_ms);
        text_add_char(payload, '}');
    }
    text_add_char(payload, '}');
}

/* The learned response timeouts, between the floor all have and each one's ceiling. */
static void timeouts_json(const struct mqtt_json *json, struct text *payload, const int64_t *timeouts_us) {
    if (!timeouts_us || json->config->devices_count > HEALTH_DEVICES_MAX)
        return;
    key_u64(payload, "timeout_floor_us", RESPONSE_FLOOR_US);
    key(payload, "timeouts");
    text_add_char(payload, '{');
    for (unsigned i = 0; i < json->config->devices_count; i++) {
        key(payload, json->config->devices[i].spec.name);
        text_add_char(payload, '{');
        key_u64(payload, "now_us", (uint64_t)timeouts_us[i]);
        key_u64(payload, "ceiling_us", (uint64_t)json->config->devices[i].spec.timeout_ms * 1000);
        text_add_char(payload, '}');
    }
    text_add_char(payload, '}');
}

bool mqtt_json_health(const struct mqtt_json *json, const struct engine_counters *counters, const struct now *now, struct text *topic,
                      struct text *payload) {
    topic_of(json, topic, "health", NULL, NULL);
    text_add_char(payload, '{');
    key_time(json, payload, "at", now->wall_ms);
    key_bool(payload, "clock_trusted", now->wall_trusted);
    key_u64(payload, "polls", counters->polls);
    key_u64(payload, "polls_failed", counters->polls_failed);
    key_u64(payload, "poll_late_max_us", (uint64_t)counters->poll_late_max_us);
    key_u64(payload, "readings", counters->readings);
    key_u64(payload, "readings_bad", counters->readings_bad);
    key_u64(payload, "alarms_active", counters->alarms_active);
    key_u64(payload, "alarm_transitions", counters->alarm_transitions);
    lanes_json(payload, "lost", counters->lost);
    lanes_json(payload, "evicted", counters->evicted);
    key_u64(payload, "store_failures", counters->store_failures);
    disk_json(payload, &counters->disk);
    buses_json(json, payload, counters->buses);
    timeouts_json(json, payload, counters->device_timeouts_us);
    key(payload, "uplinks");
    text_add_char(payload, '{');
    for (unsigned i = 0; i < json->config->uplinks_count; i++) {
        key(payload, json->config->uplinks[i].name);
        text_add_char(payload, '{');
        key_bool(payload, "up", counters->uplinks[i].up);
        if (!counters->uplinks[i].up)
            key_text(payload, "why", counters->uplinks[i].text[0] ? counters->uplinks[i].text : link_reason_sentence(counters->uplinks[i].reason));
        key_u64(payload, "sent", counters->uplinks[i].sent);
        key_u64(payload, "acked", counters->uplinks[i].acked);
        key_u64(payload, "refused", counters->uplinks[i].refused);
        key_u64(payload, "resent", counters->uplinks[i].resent);
        key_u64(payload, "connects", counters->uplinks[i].connects);
        text_add_char(payload, '}');
    }
    text_add(payload, "}}");
    return fits(topic, payload);
}
