/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing and opening entries, and the packing of readings.
 *
 * A reading is packed against the one before it in the same body. Before the first stand series -1 and the entry's time.
 *
 *   head     form (bits 0 to 3), quality (bits 4 and 5), 0x40: the series before plus one, 0x80: the time before
 *   series   zigzag varint, after the one before; not when the head tells it
 *   time     zigzag varint, ms after the one before; not when the head tells it
 *   reason   a byte, only when the quality is not good
 *   value    by its form
 *
 * The forms:
 *
 *   0 to 4    enum value_kind: nothing, 8 bytes, zigzag varint, varint, text
 *   5 to 14   a number of 0 to 9 decimals, exactly: zigzag varint
 *   15        one that came as a 32-bit float: decimals byte, zigzag varint
 *
 * Packing 1, of ENTRY_READINGS_1 and of the values in events, tells each reading for itself: series (varint), ms after the entry's time
 * (zigzag varint), one byte of form (low 4 bits) and quality (high 4 bits), reason and value as above. Its oldest bodies are from before
 * there were forms above 4, and have all numbers in form 1. */
#include "gateway/core/entry.h"

#include <string.h>

#include "base/check.h"
#include "gateway/core/decimal.h"

#define FORM_DECIMALS 5
#define FORM_SINGLE 15
#define HEAD_FORM 0x0F
#define HEAD_QUALITY_SHIFT 4
#define HEAD_QUALITY 0x03
#define HEAD_SERIES_NEXT 0x40
#define HEAD_TIME_SAME 0x80
#define SINGLE_MOST (INT64_C(1) << 34) /* five bytes beside the decimals' byte: else the number itself is no longer */

const char *lane_name(enum lane lane) {
    switch (lane) {
    case LANE_FIRE:
        return "fire";
    case LANE_EVENT:
        return "event";
    case LANE_READING:
        return "reading";
    case LANES_COUNT:
        break;
    }
    return "unknown";
}

static void put_u16(struct bytes_writer *writer, uint16_t value) {
    bytes_put_u8(writer, value & 0xFF);
    bytes_put_u8(writer, value >> 8);
}

static uint16_t get_u16(struct bytes_reader *reader) {
    uint8_t low = bytes_get_u8(reader);
    return (uint16_t)(low | bytes_get_u8(reader) << 8);
}

bool entry_seal(const struct entry *entry, struct bytes_writer *writer) {
    size_t size = ENTRY_HEADER_SIZE + (size_t)entry->body_size;
    if (writer->full || writer->size - writer->length < size)
        return false;
    bytes_put_u32(writer, (uint32_t)size);
    bytes_put_u8(writer, (uint8_t)entry->lane);
    bytes_put_u8(writer, (uint8_t)entry->kind);
    put_u16(writer, entry->uplinks);
    bytes_put_u8(writer, entry->trusted ? 1 : 0);
    bytes_put_u64(writer, entry->seq);
    bytes_put_u64(writer, entry->start);
    bytes_put_u64(writer, (uint64_t)entry->at_ms);
    bytes_put_raw(writer, entry->body, entry->body_size);
    CHECK(!writer->full);
    return true;
}

bool entry_open(const uint8_t *bytes, size_t size, struct entry *ret_entry, size_t *ret_size) {
    struct bytes_reader reader;
    bytes_reader_init(&reader, bytes, size);
    uint32_t whole = bytes_get_u32(&reader);
    struct entry entry;
    entry.lane = (enum lane)bytes_get_u8(&reader);
    entry.kind = (enum entry_kind)bytes_get_u8(&reader);
    entry.uplinks = get_u16(&reader);
    entry.trusted = bytes_get_u8(&reader) & 1;
    entry.seq = bytes_get_u64(&reader);
    entry.start = bytes_get_u64(&reader);
    entry.at_ms = (int64_t)bytes_get_u64(&reader);
    if (reader.failed || whole < ENTRY_HEADER_SIZE || whole > size || entry.lane >= LANES_COUNT)
        return false;
    entry.body = bytes + ENTRY_HEADER_SIZE;
    entry.body_size = whole - ENTRY_HEADER_SIZE;
    *ret_entry = entry;
    *ret_size = whole;
    return true;
}

/* The form of a value, and for a packed number its parts. */
static unsigned form_of(const struct value *value, unsigned *ret_decimals, int64_t *ret_whole) {
    if (value->kind != VALUE_NUMBER)
        return value->kind;
    if (decimal_fewest(value->number, false, ret_decimals, ret_whole))
        return FORM_DECIMALS + *ret_decimals;
    if (decimal_fewest(value->number, true, ret_decimals, ret_whole) && *ret_whole < SINGLE_MOST && *ret_whole > -SINGLE_MOST)
        return FORM_SINGLE;
    return VALUE_NUMBER;
}

static void put_value(struct bytes_writer *writer, unsigned form, const struct value *value, unsigned decimals, int64_t whole) {
    switch (form) {
    case VALUE_NONE:
        return;
    case VALUE_NUMBER:
        bytes_put_double(writer, value->number);
        return;
    case VALUE_INTEGER:
        bytes_put_zigzag(writer, value->integer);
        return;
    case VALUE_UNSIGNED:
        bytes_put_varint(writer, value->whole);
        return;
    case VALUE_TEXT:
        bytes_put_text(writer, value->text);
        return;
    case FORM_SINGLE:
        bytes_put_u8(writer, (uint8_t)decimals);
        break;
    default:
        break;
    }
    bytes_put_zigzag(writer, whole);
}

static void get_value(struct bytes_reader *reader, unsigned form, struct value *ret_value) {
    memset(ret_value, 0, sizeof(*ret_value));
    ret_value->kind = form < FORM_DECIMALS ? (enum value_kind)form : VALUE_NUMBER;
    switch (form) {
    case VALUE_NONE:
        return;
    case VALUE_NUMBER:
        ret_value->number = bytes_get_double(reader);
        return;
    case VALUE_INTEGER:
        ret_value->integer = bytes_get_zigzag(reader);
        return;
    case VALUE_UNSIGNED:
        ret_value->whole = bytes_get_varint(reader);
        return;
    case VALUE_TEXT:
        bytes_get_text(reader, ret_value->text, sizeof(ret_value->text));
        return;
    default:
        break;
    }
    unsigned decimals = form == FORM_SINGLE ? bytes_get_u8(reader) : form - FORM_DECIMALS;
    int64_t whole = bytes_get_zigzag(reader);
    if (decimals > DECIMALS_MAX)
        reader->failed = true;
    else
        ret_value->number = decimal_number(whole, form == FORM_SINGLE, decimals);
}

/* Reason and value. */
static void get_rest(struct bytes_reader *body, uint8_t quality, unsigned form, struct packed_reading *ret_reading) {
    ret_reading->quality = quality;
    ret_reading->reason = quality != QUALITY_GOOD ? bytes_get_u8(body) : REASON_NONE;
    get_value(body, form, &ret_reading->value);
    if (quality > QUALITY_BAD || ret_reading->reason > REASON_NO_RESULT)
        body->failed = true; /* not written by us: there are no words for it */
}

/* Times come from a clock that may be set to anything, and from a disk: differences wrap around instead of overflowing, and
 * what is taken apart comes together again. */
static int64_t difference(int64_t from, int64_t to) {
    return (int64_t)((uint64_t)to - (uint64_t)from);
}

static int64_t after(int64_t from, int64_t by) {
    return (int64_t)((uint64_t)from + (uint64_t)by);
}

void reading_order_begin(struct reading_order *order, int64_t at_ms) {
    *order = (struct reading_order){.series = -1, .at_ms = at_ms};
}

struct reading_order entry_order(const struct entry *entry) {
    struct reading_order order;
    reading_order_begin(&order, entry->at_ms);
    order.packing_1 = entry->kind == ENTRY_READINGS_1;
    return order;
}

void entry_put_reading(struct bytes_writer *body, struct reading_order *order, const struct packed_reading *reading) {
    CHECK(!order->packing_1);
    int64_t series_by = difference(order->series, reading->series), time_by_ms = difference(order->at_ms, reading->at_ms);
    unsigned decimals = 0;
    int64_t whole = 0;
    unsigned form = form_of(&reading->value, &decimals, &whole);
    unsigned head = form | (unsigned)reading->quality << HEAD_QUALITY_SHIFT;
    bytes_put_u8(body, (uint8_t)(head | (series_by == 1 ? HEAD_SERIES_NEXT : 0) | (time_by_ms == 0 ? HEAD_TIME_SAME : 0)));
    if (series_by != 1)
        bytes_put_zigzag(body, series_by);
    if (time_by_ms != 0)
        bytes_put_zigzag(body, time_by_ms);
    if (reading->quality != QUALITY_GOOD)
        bytes_put_u8(body, reading->reason);
    put_value(body, form, &reading->value, decimals, whole);
    order->series = reading->series;
    order->at_ms = reading->at_ms;
}

bool entry_get_reading(struct bytes_reader *body, struct reading_order *order, struct packed_reading *ret_reading) {
    if (order->packing_1)
        return entry_get_reading_1(body, order->at_ms, ret_reading);
    if (body->failed || body->position >= body->size)
        return false;
    uint8_t head = bytes_get_u8(body);
    int64_t series = after(order->series, head & HEAD_SERIES_NEXT ? 1 : bytes_get_zigzag(body));
    ret_reading->series = (uint32_t)series;
    ret_reading->at_ms = after(order->at_ms, head & HEAD_TIME_SAME ? 0 : bytes_get_zigzag(body));
    get_rest(body, head >> HEAD_QUALITY_SHIFT & HEAD_QUALITY, head & HEAD_FORM, ret_reading);
    if (series < 0 || series > UINT32_MAX)
        body->failed = true;
    if (body->failed)
        return false;
    order->series = series;
    order->at_ms = ret_reading->at_ms;
    return true;
}

bool entry_get_reading_1(struct bytes_reader *body, int64_t entry_at_ms, struct packed_reading *ret_reading) {
    if (body->failed || body->position >= body->size)
        return false;
    uint64_t series = bytes_get_varint(body);
    ret_reading->series = (uint32_t)series;
    ret_reading->at_ms = after(entry_at_ms, bytes_get_zigzag(body));
    uint8_t head = bytes_get_u8(body);
    get_rest(body, head >> 4, head & 0x0F, ret_reading);
    if (series > UINT32_MAX)
        body->failed = true;
    return !body->failed;
}

uint64_t entry_count_readings(const uint8_t *bytes, size_t size) {
    struct bytes_reader reader;
    struct reading_order order;
    struct packed_reading reading;
    uint64_t count = 0;
    bytes_reader_init(&reader, bytes, size);
    reading_order_begin(&order, 0);
    while (entry_get_reading(&reader, &order, &reading))
        count++;
    return count;
}

/* A good reading of series 0 at the entry's time in packing 1: events are kept for years, and so is this. */
void entry_put_value(struct bytes_writer *body, const struct value *value) {
    unsigned decimals = 0;
    int64_t whole = 0;
    unsigned form = form_of(value, &decimals, &whole);
    bytes_put_u8(body, 0);
    bytes_put_u8(body, 0);
    bytes_put_u8(body, (uint8_t)form);
    put_value(body, form, value, decimals, whole);
}

void entry_get_value(struct bytes_reader *body, struct value *ret_value) {
    struct packed_reading reading;
    if (entry_get_reading_1(body, 0, &reading))
        *ret_value = reading.value;
    else
        body->failed = true;
}
