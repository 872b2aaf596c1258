/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of event entries: fields one after the other in the order of the struct in entry.h. A field is only ever added
 * at the end, and only read when the body goes on so far. A body that is cut before the fields of today is damaged. */
#include "gateway/core/entry.h"

#include <string.h>

#include "base/text.h"
#include "gateway/core/alarm.h"

#define GET_TEXT(reader, field) bytes_get_text(reader, field, sizeof(field))

void entry_put_alarm(struct bytes_writer *body, const struct alarm_event *event) {
    bytes_put_text(body, event->device);
    bytes_put_text(body, event->alarm);
    bytes_put_u64(body, event->occurrence_start);
    bytes_put_varint(body, event->occurrence_seq);
    bytes_put_u8(body, event->class);
    bytes_put_u8(body, event->priority);
    bytes_put_u8(body, event->state);
    bytes_put_u8(body, event->cause);
    bytes_put_text(body, event->condition);
    entry_put_value(body, &event->value);
    bytes_put_text(body, event->unit);
    bytes_put_u8(body, event->has_limit);
    bytes_put_double(body, event->limit);
    bytes_put_zigzag(body, event->since_ms);
    bytes_put_text(body, event->place);
    bytes_put_text(body, event->place_name);
    bytes_put_text(body, event->address);
    bytes_put_text(body, event->phone);
    bytes_put_text(body, event->location);
    bytes_put_text(body, event->zh);
    bytes_put_text(body, event->en);
    bytes_put_u8(body, event->test);
    bytes_put_text(body, event->by);
    bytes_put_text(body, event->reason);
    bytes_put_zigzag(body, event->until_ms);
    bytes_put_text(body, event->remedy_zh);
    bytes_put_text(body, event->remedy_en);
}

bool entry_get_alarm(const struct entry *entry, struct alarm_event *ret_event) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, entry->body, entry->body_size);
    memset(ret_event, 0, sizeof(*ret_event));
    GET_TEXT(&reader, ret_event->device);
    GET_TEXT(&reader, ret_event->alarm);
    ret_event->occurrence_start = bytes_get_u64(&reader);
    ret_event->occurrence_seq = bytes_get_varint(&reader);
    ret_event->class = bytes_get_u8(&reader);
    ret_event->priority = bytes_get_u8(&reader);
    ret_event->state = bytes_get_u8(&reader);
    ret_event->cause = bytes_get_u8(&reader);
    GET_TEXT(&reader, ret_event->condition);
    entry_get_value(&reader, &ret_event->value);
    GET_TEXT(&reader, ret_event->unit);
    ret_event->has_limit = bytes_get_u8(&reader);
    ret_event->limit = bytes_get_double(&reader);
    ret_event->since_ms = bytes_get_zigzag(&reader);
    GET_TEXT(&reader, ret_event->place);
    GET_TEXT(&reader, ret_event->place_name);
    GET_TEXT(&reader, ret_event->address);
    GET_TEXT(&reader, ret_event->phone);
    GET_TEXT(&reader, ret_event->location);
    GET_TEXT(&reader, ret_event->zh);
    GET_TEXT(&reader, ret_event->en);
    ret_event->test = bytes_get_u8(&reader);
    if (reader.position < entry->body_size) { /* an entry of an earlier version ends here */
        GET_TEXT(&reader, ret_event->by);
        GET_TEXT(&reader, ret_event->reason);
        ret_event->until_ms = bytes_get_zigzag(&reader);
        GET_TEXT(&reader, ret_event->remedy_zh);
        GET_TEXT(&reader, ret_event->remedy_en);
    }
    bool unknown = entry->kind == ENTRY_REMOVED && ret_event->class == ALARM_UNKNOWN;
    return !reader.failed && (ret_event->class <= CLASS_MAINTENANCE || unknown); /* a class past the last has no word */
}

void entry_put_cleared(struct bytes_writer *body, const struct cleared_event *event) {
    bytes_put_text(body, event->device);
    bytes_put_text(body, event->alarm);
}

bool entry_get_cleared(const struct entry *entry, struct cleared_event *ret_event) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, entry->body, entry->body_size);
    GET_TEXT(&reader, ret_event->device);
    GET_TEXT(&reader, ret_event->alarm);
    return !reader.failed && text_is_name(ret_event->device) && text_is_name(ret_event->alarm); /* they become a topic */
}

void entry_put_action(struct bytes_writer *body, const struct action_event *event) {
    bytes_put_text(body, event->action);
    bytes_put_text(body, event->device);
    bytes_put_text(body, event->point);
    bytes_put_text(body, event->alarm_device);
    bytes_put_text(body, event->alarm);
    bytes_put_double(body, event->value);
    bytes_put_u8(body, event->ok);
    bytes_put_u8(body, event->attempt);
    bytes_put_text(body, event->why);
    bytes_put_u8(body, event->test);
    bytes_put_text(body, event->by);
}

bool entry_get_action(const struct entry *entry, struct action_event *ret_event) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, entry->body, entry->body_size);
    memset(ret_event, 0, sizeof(*ret_event));
    GET_TEXT(&reader, ret_event->action);
    GET_TEXT(&reader, ret_event->device);
    GET_TEXT(&reader, ret_event->point);
    GET_TEXT(&reader, ret_event->alarm_device);
    GET_TEXT(&reader, ret_event->alarm);
    ret_event->value = bytes_get_double(&reader);
    ret_event->ok = bytes_get_u8(&reader);
    ret_event->attempt = bytes_get_u8(&reader);
    GET_TEXT(&reader, ret_event->why);
    if (reader.position < entry->body_size) {
        ret_event->test = bytes_get_u8(&reader);
        GET_TEXT(&reader, ret_event->by);
    }
    return !reader.failed;
}

void entry_put_gap(struct bytes_writer *body, const struct gap_event *event) {
    bytes_put_u8(body, event->lane);
    bytes_put_varint(body, event->from_seq);
    bytes_put_varint(body, event->to_seq);
    bytes_put_varint(body, event->count);
    bytes_put_text(body, event->why);
}

bool entry_get_gap(const struct entry *entry, struct gap_event *ret_event) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, entry->body, entry->body_size);
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->lane = bytes_get_u8(&reader);
    ret_event->from_seq = bytes_get_varint(&reader);
    ret_event->to_seq = bytes_get_varint(&reader);
    ret_event->count = bytes_get_varint(&reader);
    GET_TEXT(&reader, ret_event->why);
    return !reader.failed;
}

void entry_put_system(struct bytes_writer *body, const struct system_event *event) {
    bytes_put_text(body, event->what);
    bytes_put_text(body, event->detail);
    bytes_put_zigzag(body, event->offset_ms);
}

bool entry_get_system(const struct entry *entry, struct system_event *ret_event) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, entry->body, entry->body_size);
    memset(ret_event, 0, sizeof(*ret_event));
    GET_TEXT(&reader, ret_event->what);
    GET_TEXT(&reader, ret_event->detail);
    ret_event->offset_ms = bytes_get_zigzag(&reader);
    return !reader.failed;
}
