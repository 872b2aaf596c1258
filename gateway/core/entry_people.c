/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of entries about what people do and of bursts of alarms: fields in the order of the structs, added only at the end. */
#include <string.h>

#include "gateway/core/command.h"
#include "gateway/core/problem.h"

#define GET_TEXT(reader, field) bytes_get_text(reader, field, sizeof(field))

void entry_put_command(struct bytes_writer *body, const struct command *command) {
    bytes_put_u8(body, (uint8_t)command->verb);
    bytes_put_text(body, command->id);
    bytes_put_text(body, command->by);
    bytes_put_text(body, command->peer);
    bytes_put_u8(body, command->authorised);
    bytes_put_zigzag(body, command->issued_ms);
    bytes_put_varint(body, command->fields);
    for (unsigned i = 0; i < command_texts_count; i++)
        if (command->fields & command_texts[i].field)
            bytes_put_text(body, (const char *)command + command_texts[i].offset);
    bytes_put_text(body, command->value_text);
    bytes_put_double(body, command->value);
    bytes_put_zigzag(body, command->until_ms);
    bytes_put_zigzag(body, command->next_due_ms);
    bytes_put_varint(body, command->minutes);
    bytes_put_u8(body, command->on);
    bytes_put_u8(body, command->inhibit);
    bytes_put_u8(body, command->stop);
}

bool entry_get_command(const struct entry *entry, struct command *ret_command) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, entry->body, entry->body_size);
    memset(ret_command, 0, sizeof(*ret_command));
    ret_command->verb = (enum command_verb)bytes_get_u8(&reader);
    GET_TEXT(&reader, ret_command->id);
    GET_TEXT(&reader, ret_command->by);
    GET_TEXT(&reader, ret_command->peer);
    ret_command->authorised = bytes_get_u8(&reader);
    ret_command->issued_ms = bytes_get_zigzag(&reader);
    ret_command->fields = (uint32_t)bytes_get_varint(&reader);
    for (unsigned i = 0; i < command_texts_count; i++)
        if (ret_command->fields & command_texts[i].field)
            bytes_get_text(&reader, (char *)ret_command + command_texts[i].offset, command_texts[i].size);
    GET_TEXT(&reader, ret_command->value_text);
    ret_command->value = bytes_get_double(&reader);
    ret_command->until_ms = bytes_get_zigzag(&reader);
    ret_command->next_due_ms = bytes_get_zigzag(&reader);
    ret_command->minutes = (uint32_t)bytes_get_varint(&reader);
    ret_command->on = bytes_get_u8(&reader);
    ret_command->inhibit = bytes_get_u8(&reader);
    ret_command->stop = bytes_get_u8(&reader);
    return !reader.failed && command_rule(ret_command->verb);
}

void entry_put_problem(struct bytes_writer *body, const struct problem_event *event) {
    bytes_put_u64(body, event->start);
    bytes_put_varint(body, event->seq);
    bytes_put_u8(body, event->state);
    bytes_put_zigzag(body, event->opened_ms);
    bytes_put_varint(body, event->occurrences);
    bytes_put_text(body, event->device);
    bytes_put_text(body, event->alarm);
    bytes_put_text(body, event->to);
    bytes_put_text(body, event->by);
    bytes_put_text(body, event->what);
}

bool entry_get_problem(const struct entry *entry, struct problem_event *ret_event) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, entry->body, entry->body_size);
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->start = bytes_get_u64(&reader);
    ret_event->seq = bytes_get_varint(&reader);
    ret_event->state = bytes_get_u8(&reader);
    ret_event->opened_ms = bytes_get_zigzag(&reader);
    ret_event->occurrences = (uint32_t)bytes_get_varint(&reader);
    GET_TEXT(&reader, ret_event->device);
    GET_TEXT(&reader, ret_event->alarm);
    GET_TEXT(&reader, ret_event->to);
    GET_TEXT(&reader, ret_event->by);
    GET_TEXT(&reader, ret_event->what);
    return !reader.failed;
}

void entry_put_walk(struct bytes_writer *body, const struct walk_event *event) {
    bytes_put_u8(body, event->ended);
    bytes_put_u8(body, event->inhibit);
    bytes_put_varint(body, event->part);
    bytes_put_varint(body, event->detectors);
    bytes_put_varint(body, event->seen);
    bytes_put_zigzag(body, event->began_ms);
    bytes_put_text(body, event->by);
    bytes_put_text(body, event->id);
    bytes_put_text(body, event->place);
    bytes_put_text(body, event->device);
    bytes_put_varint(body, event->items_count);
    for (unsigned i = 0; i < event->items_count; i++) {
        bytes_put_text(body, event->items[i].device);
        bytes_put_text(body, event->items[i].alarm);
        bytes_put_zigzag(body, event->items[i].at_ms);
        bytes_put_zigzag(body, event->items[i].latency_ms);
    }
}

bool entry_get_walk(const struct entry *entry, struct walk_event *ret_event) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, entry->body, entry->body_size);
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->ended = bytes_get_u8(&reader);
    ret_event->inhibit = bytes_get_u8(&reader);
    ret_event->part = (uint16_t)bytes_get_varint(&reader);
    ret_event->detectors = (uint16_t)bytes_get_varint(&reader);
    ret_event->seen = (uint16_t)bytes_get_varint(&reader);
    ret_event->began_ms = bytes_get_zigzag(&reader);
    GET_TEXT(&reader, ret_event->by);
    GET_TEXT(&reader, ret_event->id);
    GET_TEXT(&reader, ret_event->place);
    GET_TEXT(&reader, ret_event->device);
    uint64_t count = bytes_get_varint(&reader);
    if (reader.failed || count > WALK_PART_MAX)
        return false;
    ret_event->items_count = (uint16_t)count;
    for (unsigned i = 0; i < count; i++) {
        GET_TEXT(&reader, ret_event->items[i].device);
        GET_TEXT(&reader, ret_event->items[i].alarm);
        ret_event->items[i].at_ms = bytes_get_zigzag(&reader);
        ret_event->items[i].latency_ms = (int32_t)bytes_get_zigzag(&reader);
    }
    return !reader.failed;
}

void entry_put_burst(struct bytes_writer *body, const struct burst_event *event) {
    bytes_put_u8(body, event->ended);
    bytes_put_text(body, event->device);
    bytes_put_text(body, event->alarm);
    bytes_put_u8(body, event->state);
    bytes_put_varint(body, event->number);
    bytes_put_varint(body, event->count);
    bytes_put_zigzag(body, event->first_ms);
    bytes_put_zigzag(body, event->last_ms);
}

bool entry_get_burst(const struct entry *entry, struct burst_event *ret_event) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, entry->body, entry->body_size);
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->ended = bytes_get_u8(&reader);
    GET_TEXT(&reader, ret_event->device);
    GET_TEXT(&reader, ret_event->alarm);
    ret_event->state = bytes_get_u8(&reader);
    ret_event->number = bytes_get_varint(&reader);
    ret_event->count = bytes_get_varint(&reader);
    ret_event->first_ms = bytes_get_zigzag(&reader);
    ret_event->last_ms = bytes_get_zigzag(&reader);
    return !reader.failed;
}
