/* SPDX-License-Identifier: Apache-2.0 */
/* What of an alarm survives a restart: state, acknowledged, history, since, at, occurrence, value, then what came later: abnormal, owed,
 * raised, and who put it aside, why, until when; then its class and priority, for the day on which nobody knows its rule any more.
 * A field is only ever added at the end, and only read when the record goes on so far.
 * A delay is not kept, nor readings that did not make the alarm active yet: the record may have been written while they came and not when they
 * went. After a restart both begin anew, which can only make an alarm later by its own delay, never lose it. */
#include "base/bytes.h"
#include "base/check.h"
#include "gateway/core/alarm.h"
#include "sensors/decode.h"

size_t alarm_record_put(const struct alarm *alarm, uint8_t ret_bytes[ALARM_RECORD_SIZE]) {
    struct bytes_writer writer;
    bytes_writer_init(&writer, ret_bytes, ALARM_RECORD_SIZE);
    bytes_put_u8(&writer, (uint8_t)alarm->state);
    bytes_put_u8(&writer, alarm->acknowledged);
    bytes_put_varint(&writer, alarm->history);
    bytes_put_zigzag(&writer, alarm->since_ms);
    bytes_put_zigzag(&writer, alarm->at_ms);
    bytes_put_u64(&writer, alarm->occurrence_start);
    bytes_put_varint(&writer, alarm->occurrence_seq);
    double number = 0;
    bool has_number = value_number(&alarm->value, &number);
    bytes_put_u8(&writer, has_number);
    bytes_put_double(&writer, number);
    bytes_put_u8(&writer, alarm->abnormal);
    bytes_put_u8(&writer, alarm->owed);
    bytes_put_u8(&writer, alarm->raised);
    bytes_put_zigzag(&writer, alarm->aside.until_ms);
    bytes_put_text(&writer, alarm->aside.by);
    bytes_put_text(&writer, alarm->aside.reason);
    bytes_put_u8(&writer, (uint8_t)alarm->rule->class);
    bytes_put_u8(&writer, (uint8_t)alarm_priority(alarm));
    CHECK(!writer.full);
    return writer.length;
}

static bool state_known(uint8_t state) {
    return state < ALARM_STATES_COUNT;
}

/* The rule may have been changed since: what it no longer allows becomes what comes nearest and still wants a person. */
static enum alarm_state state_of_today(const struct config_alarm *rule, uint8_t state, bool acknowledged) {
    if (state == ALARM_LATCHED && !rule->latch)
        return acknowledged ? ALARM_NORMAL : ALARM_RETURNED;
    if (state == ALARM_SUPPRESSED && rule->class == CLASS_FIRE)
        return ALARM_NORMAL;
    return (enum alarm_state)state;
}

/* The fields as they were written, whatever the rule says today. */
static bool read_fields(struct bytes_reader *reader, struct alarm *read, struct alarm_remains *remains) {
    uint8_t state = bytes_get_u8(reader);
    read->acknowledged = bytes_get_u8(reader) != 0;
    read->history = (uint32_t)bytes_get_varint(reader);
    read->since_ms = bytes_get_zigzag(reader);
    read->at_ms = bytes_get_zigzag(reader);
    read->occurrence_start = bytes_get_u64(reader);
    read->occurrence_seq = bytes_get_varint(reader);
    bool has_number = bytes_get_u8(reader) != 0;
    double number = bytes_get_double(reader);
    if (has_number)
        read->value = (struct value){.kind = VALUE_NUMBER, .number = number};
    if (reader->failed || !state_known(state))
        return false;
    read->state = (enum alarm_state)state;
    if (reader->position < reader->size) {
        read->abnormal = bytes_get_u8(reader) != 0;
        read->owed = bytes_get_u8(reader) != 0;
        read->raised = bytes_get_u8(reader) != 0;
        read->aside.until_ms = bytes_get_zigzag(reader);
        bytes_get_text(reader, read->aside.by, sizeof(read->aside.by));
        bytes_get_text(reader, read->aside.reason, sizeof(read->aside.reason));
    }
    if (!reader->failed && reader->position < reader->size) {
        remains->class = bytes_get_u8(reader);
        remains->priority = bytes_get_u8(reader);
    }
    return !reader->failed;
}

bool alarm_record_get(struct alarm *alarm, const uint8_t *bytes, size_t size) {
    struct bytes_reader reader;
    struct alarm_remains remains;
    bytes_reader_init(&reader, bytes, size);
    struct alarm read;
    alarm_init(&read, alarm->rule);
    if (!read_fields(&reader, &read, &remains))
        return false;
    read.state = state_of_today(alarm->rule, (uint8_t)read.state, read.acknowledged);
    if (!alarm_state_aside(read.state))
        read.abnormal = alarm_state_active(read.state);
    read.history = read.abnormal ? read.history | 1 : 0; /* of what is active the deadband goes on; what was only on its way begins anew */
    if (read.state == ALARM_NORMAL) {
        read.occurrence_start = read.occurrence_seq = 0;
        read.raised = read.owed = false;
    }
    if (read.state == ALARM_SHELVED || read.state == ALARM_OUT_OF_SERVICE)
        read.aside_us = 0; /* until alarm_on_restart knows the time: over */
    *alarm = read;
    return true;
}

void alarm_record_look(struct alarm_remains *ret_remains, const uint8_t *bytes, size_t size) {
    struct bytes_reader reader;
    struct alarm read = {.rule = NULL};
    bytes_reader_init(&reader, bytes, size);
    *ret_remains = (struct alarm_remains){.state = ALARM_UNKNOWN, .class = ALARM_UNKNOWN, .priority = ALARM_UNKNOWN};
    if (!read_fields(&reader, &read, ret_remains)) {
        *ret_remains = (struct alarm_remains){.state = ALARM_UNKNOWN, .class = ALARM_UNKNOWN, .priority = ALARM_UNKNOWN};
        return;
    }
    ret_remains->state = (uint8_t)read.state;
    ret_remains->occurrence_start = read.occurrence_start;
    ret_remains->occurrence_seq = read.occurrence_seq;
    ret_remains->since_ms = read.since_ms;
    ret_remains->value = read.value;
    ret_remains->aside = read.aside;
    if (ret_remains->class > CLASS_MAINTENANCE || ret_remains->priority > PRIORITY_HIGH)
        ret_remains->class = ret_remains->priority = ALARM_UNKNOWN; /* of a newer version */
}
