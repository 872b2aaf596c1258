/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/uplinks/mqtt_json_parts.h"

#include "gateway/core/describe.h"

#define JSON_EXACT_MAX (INT64_C(1) << 53) /* a JSON reader's double holds whole numbers exactly up to here */

void json_key(struct text *text, const char *name) {
    text_add(text, text->length && text->bytes[text->length - 1] == '{' ? "\"" : ",\"");
    text_add(text, name);
    text_add(text, "\":");
}

void json_key_text(struct text *text, const char *name, const char *value) {
    json_key(text, name);
    text_add_json(text, value);
}

void json_key_bool(struct text *text, const char *name, bool value) {
    json_key(text, name);
    text_add(text, value ? "true" : "false");
}

void json_key_u64(struct text *text, const char *name, uint64_t value) {
    json_key(text, name);
    text_add_u64(text, value);
}

/* 0 stands for "never" and becomes null. */
void json_key_time(const struct mqtt_json *json, struct text *text, const char *name, int64_t wall_ms) {
    json_key(text, name);
    if (!wall_ms) {
        text_add(text, "null");
        return;
    }
    text_add_char(text, '"');
    text_add_time(text, wall_ms, json->config->utc_offset_minutes);
    text_add_char(text, '"');
}

void json_key_value(struct text *text, const char *name, const struct value *value) {
    json_key(text, name);
    bool exact = value->kind != VALUE_INTEGER || (value->integer <= JSON_EXACT_MAX && value->integer >= -JSON_EXACT_MAX);
    if (!exact)
        text_add_char(text, '"');
    describe_value(text, value);
    if (!exact)
        text_add_char(text, '"');
}

/* gateway-start-seq, without quotes */
static void json_add_id(const struct mqtt_json *json, struct text *text, uint64_t start, uint64_t seq) {
    text_add(text, json->config->gateway_id);
    text_add_char(text, '-');
    text_add_hex64(text, start);
    text_add_char(text, '-');
    text_add_u64(text, seq);
}

void json_key_id(const struct mqtt_json *json, struct text *text, const char *name, uint64_t start, uint64_t seq) {
    json_key(text, name);
    if (!seq) {
        text_add(text, "null");
        return;
    }
    text_add_char(text, '"');
    json_add_id(json, text, start, seq);
    text_add_char(text, '"');
}

void json_topic(const struct mqtt_json *json, struct text *topic, const char *kind, const char *first, const char *second) {
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

bool json_fits(const struct text *topic, const struct text *payload) {
    return !topic->full && !payload->full;
}

void json_vitals(struct text *text, const struct engine_counters *counters) {
    json_key(text, "watch");
    text_add_char(text, '{');
    json_key_u64(text, "loop_late", counters->vitals.loop_late);
    json_key_u64(text, "loop_late_max_us", (uint64_t)counters->vitals.loop_late_max_us);
    for (unsigned i = 0; i < counters->vitals.count; i++) {
        const struct vitals_part *part = &counters->vitals.parts[i];
        if (part->state == VITALS_FINE && !part->late_count && !part->stuck_count)
            continue;
        json_key(text, part->name);
        text_add_char(text, '{');
        json_key_text(text, "state", vitals_state_name(part->state));
        json_key_u64(text, "late", part->late_count);
        json_key_u64(text, "stuck", part->stuck_count);
        json_key_u64(text, "replaced", part->replaced_count);
        text_add_char(text, '}');
    }
    text_add_char(text, '}');
}
