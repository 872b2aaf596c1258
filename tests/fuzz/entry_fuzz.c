/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed entries as a damaged store gives them back: a run of bytes, opened entry by entry, each read as what it says it is and as
 * everything else.
 *  1. An entry that opens lies inside the bytes, has a lane that exists, and its size leads to the next; sealed again it is the same.
 *  2. A body that reads has texts with an end, a class that exists, qualities and reasons that have words; put again it reads the same.
 *     Readings are read in both packings, and put in today's.
 *  3. Reading comes to an end: each reading takes at least one byte.
 *
 * Input: the run of sealed entries. */
#include <string.h>

#include "fuzz.h"
#include "gateway/core/alarm.h"
#include "gateway/core/command.h"

static uint8_t room[65536];

static void body_of(struct entry *entry, const struct bytes_writer *writer) {
    PROPERTY(!writer->full);
    entry->body = writer->bytes;
    entry->body_size = (uint32_t)writer->length;
}

static bool same_value(const struct value *a, const struct value *b) {
    if (a->kind == VALUE_TEXT)
        return b->kind == VALUE_TEXT && strcmp(a->text, b->text) == 0;
    return a->kind == b->kind && a->whole == b->whole; /* by bits: a NaN is itself */
}

static void check_readings(const struct entry *entry) {
    struct bytes_reader body, again;
    struct bytes_writer writer;
    struct reading_order order = entry_order(entry), put_order, again_order;
    struct packed_reading reading, back;
    bytes_reader_init(&body, entry->body, entry->body_size);
    reading_order_begin(&put_order, entry->at_ms);
    again_order = put_order;
    size_t position = 0;
    while (entry_get_reading(&body, &order, &reading)) {
        size_t size = body.position - position;
        PROPERTY(body.position > position && body.position <= body.size);
        position = body.position;
        PROPERTY(reading.quality <= QUALITY_BAD && reading.reason <= REASON_NO_RESULT && reading.value.kind <= VALUE_TEXT);
        PROPERTY(reading.value.kind != VALUE_TEXT || strnlen(reading.value.text, VALUE_TEXT_SIZE) < VALUE_TEXT_SIZE);
        bytes_writer_init(&writer, room, sizeof(room));
        entry_put_reading(&writer, &put_order, &reading);
        PROPERTY(writer.length <= READING_SIZE_MAX && (order.packing_1 || writer.length <= size || reading.value.kind == VALUE_NUMBER));
        bytes_reader_init(&again, room, writer.length);
        PROPERTY(entry_get_reading(&again, &again_order, &back) && again.position == writer.length);
        PROPERTY(back.series == reading.series && back.at_ms == reading.at_ms && back.quality == reading.quality && back.reason == reading.reason);
        PROPERTY(same_value(&reading.value, &back.value));
    }
    PROPERTY(body.failed || body.position == body.size);
}

/* Reads a body, puts it, reads it again and puts it again: both puts must be alike. */
#define CHECK_EVENT(entry, type, get, put)                                                                                                           \
    do {                                                                                                                                             \
        static uint8_t first_bytes[WALK_EVENT_SIZE], second_bytes[WALK_EVENT_SIZE];                                                                  \
        static struct type event, back;                                                                                                              \
        struct entry first = *(entry);                                                                                                               \
        struct bytes_writer writer, second;                                                                                                          \
        if (!get(entry, &event))                                                                                                                     \
            break;                                                                                                                                   \
        bytes_writer_init(&writer, first_bytes, sizeof(first_bytes));                                                                                \
        put(&writer, &event);                                                                                                                        \
        body_of(&first, &writer);                                                                                                                    \
        PROPERTY(get(&first, &back));                                                                                                                \
        bytes_writer_init(&second, second_bytes, sizeof(second_bytes));                                                                              \
        put(&second, &back);                                                                                                                         \
        PROPERTY(!second.full && second.length == writer.length && memcmp(first_bytes, second_bytes, writer.length) == 0);                           \
    } while (0)

static void check_events(const struct entry *entry) {
    struct alarm_event alarm;
    if (entry_get_alarm(entry, &alarm)) {
        PROPERTY(alarm.class <= CLASS_MAINTENANCE || (entry->kind == ENTRY_REMOVED && alarm.class == ALARM_UNKNOWN));
        PROPERTY(memchr(alarm.device, 0, sizeof(alarm.device)) && memchr(alarm.zh, 0, sizeof(alarm.zh)));
        PROPERTY(memchr(alarm.condition, 0, sizeof(alarm.condition)) && memchr(alarm.unit, 0, sizeof(alarm.unit)));
    }
    CHECK_EVENT(entry, alarm_event, entry_get_alarm, entry_put_alarm);
    CHECK_EVENT(entry, cleared_event, entry_get_cleared, entry_put_cleared);
    CHECK_EVENT(entry, action_event, entry_get_action, entry_put_action);
    CHECK_EVENT(entry, gap_event, entry_get_gap, entry_put_gap);
    CHECK_EVENT(entry, system_event, entry_get_system, entry_put_system);
    CHECK_EVENT(entry, command, entry_get_command, entry_put_command);
    CHECK_EVENT(entry, problem_event, entry_get_problem, entry_put_problem);
    CHECK_EVENT(entry, walk_event, entry_get_walk, entry_put_walk);
    CHECK_EVENT(entry, burst_event, entry_get_burst, entry_put_burst);
    static struct walk_event walk;
    PROPERTY(!entry_get_walk(entry, &walk) || walk.items_count <= WALK_PART_MAX);
    static struct command command;
    PROPERTY(!entry_get_command(entry, &command) || (command_rule(command.verb) && memchr(command.problem, 0, sizeof(command.problem))));
}

static void check_seal(const struct entry *entry, const uint8_t *bytes, size_t size) {
    struct bytes_writer writer;
    bytes_writer_init(&writer, room, sizeof(room));
    PROPERTY(size > sizeof(room) || entry_seal(entry, &writer));
    if (size > sizeof(room))
        return;
    PROPERTY(writer.length == size && memcmp(room, bytes, 8) == 0 && memcmp(room + 9, bytes + 9, size - 9) == 0);
    PROPERTY(room[8] == (bytes[8] & 1)); /* the flags of today */
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct entry entry;
    size_t entry_size;
    while (entry_open(bytes, size, &entry, &entry_size)) {
        PROPERTY(entry_size >= ENTRY_HEADER_SIZE && entry_size <= size && entry.lane < LANES_COUNT);
        PROPERTY(entry.body == bytes + ENTRY_HEADER_SIZE && entry.body_size == entry_size - ENTRY_HEADER_SIZE);
        check_seal(&entry, bytes, entry_size);
        check_readings(&entry);
        struct entry other = entry;
        other.kind = entry.kind == ENTRY_READINGS ? ENTRY_READINGS_1 : ENTRY_READINGS;
        check_readings(&other);
        check_events(&entry);
        bytes += entry_size;
        size -= entry_size;
    }
    return 0;
}
