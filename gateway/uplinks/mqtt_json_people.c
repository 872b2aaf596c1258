/* SPDX-License-Identifier: Apache-2.0 */
/* Events about what people do: commands, maintenance, problems, walk tests; and bursts of alarms that stand for many. */
#include "gateway/core/alarm.h"
#include "gateway/core/command.h"
#include "gateway/core/problem.h"
#include "gateway/uplinks/mqtt_json_parts.h"

static void command_field(const struct mqtt_json *json, struct text *text, const struct command *command, enum command_field field) {
    const char *name = command_field_name(field);
    switch (field) {
    case FIELD_VALUE:
        json_key(text, name);
        if (command->value_text[0])
            text_add_json(text, command->value_text);
        else
            text_add_double(text, command->value);
        return;
    case FIELD_UNTIL:
        json_key_time(json, text, name, command->until_ms);
        return;
    case FIELD_NEXT_DUE:
        json_key_time(json, text, name, command->next_due_ms);
        return;
    case FIELD_MINUTES:
        json_key_u64(text, name, command->minutes);
        return;
    case FIELD_ON:
        json_key_bool(text, name, command->on);
        return;
    case FIELD_INHIBIT:
        json_key_bool(text, name, command->inhibit);
        return;
    case FIELD_STOP:
        json_key_bool(text, name, command->stop);
        return;
    default:
        for (unsigned i = 0; i < command_texts_count; i++)
            if (command_texts[i].field == field)
                json_key_text(text, name, (const char *)command + command_texts[i].offset);
        return;
    }
}

static bool command_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct command command;
    if (!entry_get_command(entry, &command))
        return false;
    json_key_text(text, "kind", entry->kind == ENTRY_MAINTENANCE ? "maintenance" : "command");
    json_key_time(json, text, "at", entry->at_ms);
    json_key_text(text, "verb", command_rule(command.verb)->name);
    json_key_text(text, "command", command.id);
    json_key_text(text, "by", command.by);
    json_key_text(text, "channel", command.peer);
    json_key_bool(text, "authorised", command.authorised);
    for (unsigned bit = 0; bit <= 16; bit++)
        if (command.fields & 1u << bit)
            command_field(json, text, &command, (enum command_field)(1u << bit));
    return true;
}

static bool problem_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct problem_event event;
    if (!entry_get_problem(entry, &event))
        return false;
    json_key_text(text, "kind", "problem");
    json_key_time(json, text, "at", entry->at_ms);
    json_key_id(json, text, "problem", event.start, event.seq);
    json_key_text(text, "state", problem_state_name((enum problem_state)event.state));
    json_key_text(text, "device", event.device);
    json_key_text(text, "alarm", event.alarm);
    json_key_time(json, text, "opened", event.opened_ms);
    json_key_u64(text, "occurrences", event.occurrences);
    json_key_text(text, "to", event.to[0] ? event.to : NULL);
    json_key_text(text, "by", event.by[0] ? event.by : NULL);
    json_key_text(text, "what", event.what[0] ? event.what : NULL);
    return true;
}

static bool walk_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct walk_event event;
    if (!entry_get_walk(entry, &event))
        return false;
    json_key_text(text, "kind", "walk_test");
    json_key_time(json, text, "at", entry->at_ms);
    json_key_text(text, "state", event.ended ? "ended" : "begun");
    json_key_text(text, "command", event.id);
    json_key_text(text, "by", event.by);
    json_key_text(text, "place", event.place[0] ? event.place : NULL);
    json_key_text(text, "device", event.device[0] ? event.device : NULL);
    json_key_time(json, text, "began", event.began_ms);
    json_key_bool(text, "inhibit", event.inhibit);
    json_key_u64(text, "detectors", event.detectors);
    json_key_u64(text, "seen", event.seen);
    if (!event.ended)
        return true;
    json_key_u64(text, "part", event.part);
    json_key(text, "results");
    text_add_char(text, '[');
    for (unsigned i = 0; i < event.items_count; i++) {
        const struct walk_item *item = &event.items[i];
        if (i)
            text_add_char(text, ',');
        text_add_char(text, '{');
        json_key_text(text, "device", item->device);
        json_key_text(text, "alarm", item->alarm);
        json_key_bool(text, "seen", item->at_ms != 0);
        json_key_time(json, text, "at", item->at_ms);
        json_key(text, "latency_ms");
        if (item->latency_ms >= 0)
            text_add_s64(text, item->latency_ms);
        else
            text_add(text, "null");
        text_add_char(text, '}');
    }
    text_add_char(text, ']');
    return true;
}

static bool burst_json(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    struct burst_event event;
    if (!entry_get_burst(entry, &event))
        return false;
    bool flood = entry->kind == ENTRY_FLOOD;
    json_key_text(text, "kind", flood ? "flood" : "chatter");
    json_key_time(json, text, "at", entry->at_ms);
    json_key_text(text, "burst", event.ended ? "ended" : "begun");
    if (flood) {
        json_key_u64(text, "number", event.number);
    } else {
        json_key_text(text, "device", event.device);
        json_key_text(text, "alarm", event.alarm);
        json_key_text(text, "state", alarm_state_name((enum alarm_state)event.state));
    }
    json_key_time(json, text, "first", event.first_ms);
    json_key_time(json, text, "last", event.last_ms);
    json_key_u64(text, "count", event.count);
    return true;
}

bool mqtt_json_people(const struct mqtt_json *json, struct text *text, const struct entry *entry) {
    switch (entry->kind) {
    case ENTRY_COMMAND:
    case ENTRY_MAINTENANCE:
        return command_json(json, text, entry);
    case ENTRY_PROBLEM:
        return problem_json(json, text, entry);
    case ENTRY_WALK_TEST:
        return walk_json(json, text, entry);
    default:
        return burst_json(json, text, entry);
    }
}
