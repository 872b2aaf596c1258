/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/uplinks/mqtt_json_parts.h"

#include "gateway/core/describe.h"
#include "sensors/response.h"

/* ---- readings ---- */

static void add_reading(const struct mqtt_json *json, struct text *text, const struct packed_reading *reading) {
    text_add_char(text, '{');
    json_key_time(json, text, "t", reading->at_ms);
    json_key_text(text, "point", json->series->items[reading->series].point);
    json_key_value(text, "v", &reading->value);
    json_key_text(text, "q", quality_name((enum quality)reading->quality));
    if (reading->quality != QUALITY_GOOD)
        json_key_text(text, "why", quality_reason_name((enum quality_reason)reading->reason));
    text_add_char(text, '}');
}

static void readings_json(const struct mqtt_json *json, const struct entry *entry, bool replayed, struct text *topic, struct text *text) {
    struct bytes_reader body;
    struct reading_order order = entry_order(entry);
    bytes_reader_init(&body, entry->body, entry->body_size);
    struct packed_reading reading;
    const char *device = NULL;
    text_add_char(text, '{');
    json_key_id(json, text, "id", entry->start, entry->seq);
    json_key_bool(text, "replayed", replayed);
    json_key(text, "readings");
    text_add_char(text, '[');
    while (entry_get_reading(&body, &order, &reading)) {
        if (reading.series >= json->series->count) /* of a newer program's store: nothing is known of it */
            continue;
        if (device)
            text_add_char(text, ',');
        device = json->series->items[reading.series].device;
        add_reading(json, text, &reading);
    }
    text_add(text, "]}");
    json_topic(json, topic, "reading", device ? device : "unknown", NULL);
}

/* ---- alarms and other events ---- */

/* What `alarm/...` and `event` have in common. */
static void alarm_members(const struct mqtt_json *json, struct text *text, const struct alarm_event *event, int64_t at_ms) {
    json_key_id(json, text, "occurrence", event->occurrence_start, event->occurrence_seq);
    json_key_text(text, "device", event->device);
    json_key_text(text, "alarm", event->alarm);
    json_key_text(text, "class", event->class == ALARM_UNKNOWN ? NULL : alarm_class_name((enum alarm_class)event->class));
    json_key_text(text, "priority", event->priority == ALARM_UNKNOWN ? NULL : priority_name((enum priority)event->priority));
    json_key_text(text, "state", alarm_state_name((enum alarm_state)event->state));
    json_key_text(text, "condition", event->condition);
    json_key_value(text, "value", &event->value);
    json_key_text(text, "unit", event->unit);
    json_key(text, "limit");
    if (event->has_limit)
        text_add_double(text, event->limit);
    else
        text_add(text, "null");
    json_key_time(json, text, "since", event->since_ms);
    json_key_time(json, text, "at", at_ms);
    json_key(text, "place");
    if (event->place[0]) {
        text_add_char(text, '{');
        json_key_text(text, "key", event->place);
        json_key_text(text, "name", event->place_name);
        json_key_text(text, "address", event->address);
        json_key_text(text, "phone", event->phone);
        text_add_char(text, '}');
    } else {
        text_add(text, "null");
    }
    json_key_text(text, "location", event->location);
    json_key(text, "text");
    text_add_char(text, '{');
    json_key_text(text, "zh", event->zh);
    json_key_text(text, "en", event->en);
    text_add_char(text, '}');
    json_key_bool(text, "test", event->test);
    json_key_text(text, "by", event->by[0] ? event->by : NULL);
    json_key_text(text, "reason", event->reason[0] ? event->reason : NULL);
    json_key_time(json, text, "until", event->until_ms);
    json_key(text, "remedy");
    text_add_char(text, '{');
    json_key_text(text, "zh", event->remedy_zh);
    json_key_text(text, "en", event->remedy_en);
    text_add_char(text, '}');
}

static bool alarm_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct alarm_event event;
    if (!entry_get_alarm(entry, &event))
        return false;
    json_key_text(text, "kind", entry->kind == ENTRY_ALARM ? "alarm" : entry->kind == ENTRY_ROSTER ? "roster" : "removed");
    json_key_text(text, "cause", alarm_cause_name((enum alarm_cause)event.cause));
    alarm_members(json, text, &event, entry->at_ms);
    return true;
}

static bool action_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct action_event event;
    if (!entry_get_action(entry, &event))
        return false;
    json_key_text(text, "kind", "action");
    json_key_time(json, text, "at", entry->at_ms);
    json_key_text(text, "action", event.action);
    json_key_text(text, "device", event.device);
    json_key_text(text, "point", event.point);
    json_key(text, "value");
    text_add_double(text, event.value);
    json_key_bool(text, "ok", event.ok);
    json_key_u64(text, "attempt", event.attempt);
    json_key_text(text, "why", event.why);
    json_key_text(text, "alarm_device", event.alarm_device);
    json_key_text(text, "alarm", event.alarm);
    json_key_bool(text, "test", event.test);
    json_key_text(text, "by", event.by[0] ? event.by : NULL);
    return true;
}

static bool gap_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct gap_event event;
    if (!entry_get_gap(entry, &event))
        return false;
    json_key_text(text, "kind", "gap");
    json_key_time(json, text, "at", entry->at_ms);
    json_key_text(text, "lane", lane_name((enum lane)event.lane));
    json_key_u64(text, "from", event.from_seq);
    json_key_u64(text, "to", event.to_seq);
    json_key_u64(text, "count", event.count);
    json_key_text(text, "why", event.why);
    return true;
}

static bool system_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct system_event event;
    if (!entry_get_system(entry, &event))
        return false;
    json_key_text(text, "kind", entry->kind == ENTRY_CLOCK ? "clock" : "system");
    json_key_time(json, text, "at", entry->at_ms);
    json_key_text(text, "what", event.what);
    json_key_text(text, "detail", event.detail);
    if (entry->kind == ENTRY_CLOCK) {
        json_key(text, "offset_ms");
        text_add_s64(text, event.offset_ms);
    }
    return true;
}

static bool event_members(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    switch (entry->kind) {
    case ENTRY_ALARM:
    case ENTRY_ROSTER:
    case ENTRY_REMOVED:
        return alarm_json(json, text, entry);
    case ENTRY_ACTION:
        return action_json(json, text, entry);
    case ENTRY_GAP:
        return gap_json(json, text, entry);
    case ENTRY_CLOCK:
    case ENTRY_SYSTEM:
        return system_json(json, text, entry);
    case ENTRY_COMMAND:
    case ENTRY_MAINTENANCE:
    case ENTRY_PROBLEM:
    case ENTRY_WALK_TEST:
    case ENTRY_CHATTER:
    case ENTRY_FLOOD:
        return mqtt_json_people(json, text, entry);
    case ENTRY_READINGS:
    case ENTRY_READINGS_1:
    case ENTRY_CLEARED: /* damaged */
        break;
    }
    return false;
}

bool mqtt_json_entry(const struct mqtt_json *json, const struct entry *entry, bool replayed, struct text *topic, struct text *payload) {
    if (entry->kind == ENTRY_READINGS || entry->kind == ENTRY_READINGS_1) {
        readings_json(json, entry, replayed, topic, payload);
        return json_fits(topic, payload);
    }
    struct cleared_event cleared;
    if (entry->kind == ENTRY_CLEARED && entry_get_cleared(entry, &cleared)) {
        json_topic(json, topic, "alarm", cleared.device, cleared.alarm);
        return json_fits(topic, payload);
    }
    json_topic(json, topic, "event", NULL, NULL);
    text_add_char(payload, '{');
    json_key_id(json, payload, "id", entry->start, entry->seq);
    json_key_bool(payload, "replayed", replayed);
    if (!event_members(json, payload, entry))
        json_key_text(payload, "kind", "unreadable"); /* stored by another version: its id is told all the same */
    json_key_bool(payload, "clock_trusted", entry->trusted);
    text_add_char(payload, '}');
    return json_fits(topic, payload);
}

bool mqtt_json_alarm(const struct mqtt_json *json, const struct alarm_event *event, uint64_t seq, int64_t at_ms, struct text *topic,
                     struct text *payload) {
    json_topic(json, topic, "alarm", event->device, event->alarm);
    text_add_char(payload, '{');
    json_key_id(json, payload, "id", json->start, seq);
    alarm_members(json, payload, event, at_ms);
    text_add_char(payload, '}');
    return json_fits(topic, payload);
}

/* ---- the gateway itself ---- */

static void meta_point(struct text *text, const struct point *point) {
    static const char *types[] = {"bit", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "string", "bcd"};
    text_add_char(text, '{');
    json_key_text(text, "point", point->name);
    json_key_text(text, "type", point->derived ? "derived" : types[point->type]);
    json_key_text(text, "unit", point->unit);
    json_key(text, "names");
    text_add_char(text, '{');
    json_key_text(text, "zh", point->zh);
    json_key_text(text, "en", point->en);
    text_add_char(text, '}');
    json_key_u64(text, "every_ms", point->every_ms);
    json_key_text(text, "class", alarm_class_name(point->class));
    if (point->labels_count) {
        json_key(text, "labels");
        text_add_char(text, '{');
        for (unsigned i = 0; i < point->labels_count; i++) {
            char name[24];
            struct text value;
            text_init(&value, name, sizeof(name));
            text_add_s64(&value, point->labels[i].value);
            json_key_text(text, name, point->labels[i].name);
        }
        text_add_char(text, '}');
    }
    text_add_char(text, '}');
}

bool mqtt_json_meta(const struct mqtt_json *json, uint16_t index, struct text *topic, struct text *payload) {
    const struct config_device *device = &json->config->devices[index];
    json_topic(json, topic, "meta", device->spec.name, NULL);
    text_add_char(payload, '{');
    json_key_text(payload, "device", device->spec.name);
    json_key_text(payload, "profile", device->profile);
    json_key_text(payload, "manufacturer", device->manufacturer);
    json_key_text(payload, "model", device->model);
    json_key_text(payload, "place", device->place == CONFIG_NONE ? NULL : json->config->places[device->place].key);
    json_key_text(payload, "location", device->location);
    json_key_text(payload, "bus", json->config->buses[device->bus].name);
    json_key_u64(payload, "unit_id", device->spec.unit_id);
    json_key_text(payload, "configuration", json->config->hash);
    json_key(payload, "points");
    text_add_char(payload, '[');
    for (unsigned i = 0; i < device->spec.points_count; i++) {
        if (i)
            text_add_char(payload, ',');
        meta_point(payload, &device->spec.points[i]);
    }
    text_add(payload, "]}");
    return json_fits(topic, payload);
}

bool mqtt_json_status(const struct mqtt_json *json, bool online, const struct now *now, int64_t since_ms, struct text *topic, struct text *payload) {
    json_topic(json, topic, "status", NULL, NULL);
    text_add_char(payload, '{');
    json_key_text(payload, "status", online ? "online" : "offline");
    json_key_time(json, payload, "since", since_ms);
    json_key_time(json, payload, "at", now->wall_ms);
    json_key_text(payload, "version", json->version);
    json_key(payload, "start");
    text_add_char(payload, '"');
    text_add_hex64(payload, json->start);
    text_add_char(payload, '"');
    json_key_bool(payload, "clock_trusted", now->wall_trusted);
    json_key_text(payload, "configuration", json->config->hash);
    json_key_text(payload, "profiles", json->config->profiles_hash);
    text_add_char(payload, '}');
    return json_fits(topic, payload);
}

static void lanes_json(struct text *text, const char *name, const uint64_t counts[LANES_COUNT]) {
    json_key(text, name);
    text_add_char(text, '{');
    for (unsigned i = 0; i < LANES_COUNT; i++)
        json_key_u64(text, lane_name((enum lane)i), counts[i]);
    text_add_char(text, '}');
}

/* The numbers are 0 until a minute was counted, and where the kernel does not count. */
static void disk_json(struct text *payload, const struct disk_status *disk) {
    json_key(payload, "store");
    text_add_char(payload, '{');
    json_key_bool(payload, "volatile", disk->is_volatile);
    json_key_bool(payload, "full", disk->full);
    json_key_u64(payload, "quarantined", disk->quarantined);
    json_key_u64(payload, "history_lost", disk->history_lost);
    json_key_u64(payload, "device_bytes_hour", disk->device_bytes_hour);
    json_key_u64(payload, "device_bytes_reading", disk->device_bytes_reading);
    text_add_char(payload, '}');
}

/* With very many buses there is no room for each in a message that is sent each minute. */
static void buses_json(const struct mqtt_json *json, struct text *payload, const struct bus_counters *buses) {
    if (!buses || json->config->buses_count > HEALTH_BUSES_MAX)
        return;
    json_key(payload, "buses");
    text_add_char(payload, '{');
    for (unsigned i = 0; i < json->config->buses_count; i++) {
        json_key(payload, json->config->buses[i].name);
        text_add_char(payload, '{');
        json_key_u64(payload, "polls", buses[i].polls);
        json_key_u64(payload, "extra_polls", buses[i].extras);
        json_key_u64(payload, "timeouts", buses[i].timeouts);
        json_key_u64(payload, "corrupt", buses[i].corrupt);
        json_key_u64(payload, "exceptions", buses[i].exceptions);
        json_key_u64(payload, "disconnected", buses[i].disconnected);
        json_key_u64(payload, "devices_dead", buses[i].devices_dead);
        json_key_u64(payload, "timeout_max_us", (uint64_t)buses[i].timeout_max_us);
        json_key_u64(payload, "adapter_latency_ms", buses[i].adapter_ms);
        text_add_char(payload, '}');
    }
    text_add_char(payload, '}');
}

/* The learned response timeouts, between the floor all have and each one's ceiling. */
static void timeouts_json(const struct mqtt_json *json, struct text *payload, const int64_t *timeouts_us) {
    if (!timeouts_us || json->config->devices_count > HEALTH_DEVICES_MAX)
        return;
    json_key_u64(payload, "timeout_floor_us", RESPONSE_FLOOR_US);
    json_key(payload, "timeouts");
    text_add_char(payload, '{');
    for (unsigned i = 0; i < json->config->devices_count; i++) {
        json_key(payload, json->config->devices[i].spec.name);
        text_add_char(payload, '{');
        json_key_u64(payload, "now_us", (uint64_t)timeouts_us[i]);
        json_key_u64(payload, "ceiling_us", (uint64_t)json->config->devices[i].spec.timeout_ms * 1000);
        text_add_char(payload, '}');
    }
    text_add_char(payload, '}');
}

static void broker_json(struct text *payload, const struct config_broker *broker) {
    char bytes[HOST_SIZE + sizeof(":65535")];
    struct text text;
    text_init(&text, bytes, sizeof(bytes));
    text_add(&text, broker->host);
    text_add_char(&text, ':');
    text_add_u64(&text, broker->port);
    json_key_text(payload, "broker", bytes);
}

bool mqtt_json_health(const struct mqtt_json *json, const struct engine_counters *counters, const struct now *now, struct text *topic,
                      struct text *payload) {
    json_topic(json, topic, "health", NULL, NULL);
    text_add_char(payload, '{');
    json_key_time(json, payload, "at", now->wall_ms);
    json_key_bool(payload, "clock_trusted", now->wall_trusted);
    json_key_u64(payload, "polls", counters->polls);
    json_key_u64(payload, "polls_failed", counters->polls_failed);
    json_key_u64(payload, "poll_late_max_us", (uint64_t)counters->poll_late_max_us);
    json_key_u64(payload, "readings", counters->readings);
    json_key_u64(payload, "readings_bad", counters->readings_bad);
    json_key_u64(payload, "alarms_active", counters->alarms_active);
    json_key_u64(payload, "alarm_transitions", counters->alarm_transitions);
    lanes_json(payload, "lost", counters->lost);
    lanes_json(payload, "evicted", counters->evicted);
    json_key_u64(payload, "store_failures", counters->store_failures);
    json_key(payload, "commands");
    text_add_char(payload, '{');
    json_key_u64(payload, "accepted", counters->commands.accepted);
    json_key_u64(payload, "refused", counters->commands.refused);
    json_key_u64(payload, "dropped", counters->commands.dropped);
    json_key_u64(payload, "replies_dropped", counters->commands.replies_dropped);
    text_add_char(payload, '}');
    disk_json(payload, &counters->disk);
    json_vitals(payload, counters);
    buses_json(json, payload, counters->buses);
    timeouts_json(json, payload, counters->device_timeouts_us);
    json_key(payload, "uplinks");
    text_add_char(payload, '{');
    for (unsigned i = 0; i < json->config->uplinks_count; i++) {
        json_key(payload, json->config->uplinks[i].name);
        text_add_char(payload, '{');
        json_key_bool(payload, "up", counters->uplinks[i].up);
        if (!counters->uplinks[i].up)
            json_key_text(payload, "why", counters->uplinks[i].text[0] ? counters->uplinks[i].text : link_reason_sentence(counters->uplinks[i].reason));
        json_key_u64(payload, "sent", counters->uplinks[i].sent);
        json_key_u64(payload, "acked", counters->uplinks[i].acked);
        json_key_u64(payload, "refused", counters->uplinks[i].refused);
        json_key_u64(payload, "resent", counters->uplinks[i].resent);
        json_key_u64(payload, "evicted", counters->uplinks[i].evicted);
        json_key_u64(payload, "connects", counters->uplinks[i].connects);
        broker_json(payload, &json->config->uplinks[i].mqtt.brokers[counters->uplinks[i].broker]);
        text_add_char(payload, '}');
    }
    text_add(payload, "}}");
    return json_fits(topic, payload);
}
