/* SPDX-License-Identifier: Apache-2.0 */
/* The road of a value:  reply -> bytes, most significant first -> raw pattern -> error values -> bit field -> number or
 * text -> scale and offset -> plausible range -> reading.  Each step either passes its result on or rejects the reading with
 * its reason; nothing is clamped or guessed. decode_encode walks the same road backwards.
 *
 * Order of bytes on the wire (point.h): CDAB and DCBA mean that the registers stand in reverse, BADC and DCBA that the two
 * bytes within each register do. A 16-bit value has one register, so that only the second matters to it. */
#include "sensors/decode.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"

#define RAW_REGISTERS_MAX 4           /* wider values are text only */
#define EXACT_MAX 9007199254740992.0  /* 2^53: every whole number up to here is exact in a double */
#define FLOAT_OVERFLOW 0x1.ffffffp127 /* below it a double rounds to a finite float; the largest float reads as 3.4028235e38 */

uint8_t decode_registers(enum point_type type) {
    switch (type) {
    case TYPE_BIT:
    case TYPE_U16:
    case TYPE_S16:
        return 1;
    case TYPE_U32:
    case TYPE_S32:
    case TYPE_F32:
        return 2;
    case TYPE_U64:
    case TYPE_S64:
    case TYPE_F64:
        return 4;
    case TYPE_STRING:
    case TYPE_BCD:
        break;
    }
    return 0; /* what the point says */
}

static bool reads_bits(const struct point *point) {
    return point->read == READ_COIL || point->read == READ_DISCRETE;
}

/* Where byte `i`, counted from the most significant, stands among the bytes of the wire. Its own inverse. */
static size_t byte_place(const struct point *point, size_t i) {
    size_t place_register = i / 2, place_byte = i % 2;
    if (point->order == ORDER_CDAB || point->order == ORDER_DCBA)
        place_register = (size_t)point->registers - 1 - place_register;
    if (point->order == ORDER_BADC || point->order == ORDER_DCBA)
        place_byte = 1 - place_byte;
    return place_register * 2 + place_byte;
}

static uint64_t load_raw(const struct point *point, const uint8_t *wire) {
    CHECK(point->registers <= RAW_REGISTERS_MAX);
    CHECK(point->type == TYPE_BCD || point->registers == decode_registers(point->type));
    uint64_t raw = 0;
    for (size_t i = 0; i < 2 * (size_t)point->registers; i++)
        raw = raw << 8 | wire[byte_place(point, i)];
    return raw;
}

static uint64_t field_mask(const struct point *point) {
    return point->bit_count >= 64 ? UINT64_MAX : ((uint64_t)1 << point->bit_count) - 1;
}

static void reject(struct reading *reading, enum quality_reason reason) {
    reading->quality = QUALITY_BAD;
    reading->reason = (uint8_t)reason;
    reading->value.kind = VALUE_NONE;
    reading->value.whole = 0;
}

static void accept_number(const struct point *point, double number, struct reading *reading) {
    if (!isfinite(number)) {
        reject(reading, REASON_ERROR_VALUE);
        return;
    }
    reading->value.kind = VALUE_NUMBER;
    reading->value.number = number == 0 ? 0 : number; /* no minus zero for a person */
    if (point->has_range && (number < point->range_min || number > point->range_max))
        reject(reading, REASON_OUT_OF_RANGE);
}

static void accept_integer(const struct point *point, bool negative, uint64_t magnitude, struct reading *reading) {
    if (point->scale != 1 || point->offset != 0) {
        double raw = negative ? -(double)magnitude : (double)magnitude;
        double steps = 1 / point->scale, shift = point->offset * steps;
        /* A scale of 0.1 is not exact in binary, but ten steps to the unit are: dividing gives the double nearest to the
         * decimal number that the device means, 230.2 and not 230.20000000000002. */
        if (steps == rint(steps) && shift == rint(shift) && fabs(raw) + fabs(shift) < EXACT_MAX)
            accept_number(point, (raw + shift) / steps, reading);
        else
            accept_number(point, raw * point->scale + point->offset, reading);
        return;
    }
    double number = negative ? -(double)magnitude : (double)magnitude;
    if (!negative && magnitude > INT64_MAX) {
        reading->value.kind = VALUE_UNSIGNED;
        reading->value.whole = magnitude;
    } else {
        reading->value.kind = VALUE_INTEGER;
        reading->value.integer = negative ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    }
    if (point->has_range && (number < point->range_min || number > point->range_max))
        reject(reading, REASON_OUT_OF_RANGE);
}

static void accept_signed(const struct point *point, uint64_t raw, unsigned bits, struct reading *reading) {
    uint64_t sign = (uint64_t)1 << (bits - 1);
    if (raw & sign)
        accept_integer(point, true, sign - (raw & (sign - 1)), reading);
    else
        accept_integer(point, false, raw, reading);
}

static void accept_bcd(const struct point *point, uint64_t raw, struct reading *reading) {
    uint64_t whole = 0;
    for (int shift = 60; shift >= 0; shift -= 4) {
        uint64_t digit = raw >> shift & 0xF;
        if (digit > 9) {
            reject(reading, REASON_MALFORMED);
            return;
        }
        whole = whole * 10 + digit;
    }
    accept_integer(point, false, whole, reading);
}

static void accept_raw(const struct point *point, uint64_t raw, struct reading *reading) {
    for (unsigned i = 0; i < point->error_values_count; i++)
        if (raw == point->error_values[i]) {
            reject(reading, REASON_ERROR_VALUE);
            return;
        }
    if (point->bit_field)
        raw = raw >> point->bit_first & field_mask(point);
    else if (point->type == TYPE_BIT)
        raw &= 1;
    uint32_t single;
    float narrow;
    double wide;
    if (point->type == TYPE_BCD) {
        accept_bcd(point, raw, reading);
    } else if (point->bit_field) {
        accept_integer(point, false, raw, reading);
    } else if (point->type == TYPE_F32) {
        single = (uint32_t)raw;
        memcpy(&narrow, &single, sizeof(narrow));
        accept_number(point, text_widen_float(narrow) * point->scale + point->offset, reading);
    } else if (point->type == TYPE_F64) {
        memcpy(&wide, &raw, sizeof(wide));
        accept_number(point, wide * point->scale + point->offset, reading);
    } else if (point->type == TYPE_S16 || point->type == TYPE_S32 || point->type == TYPE_S64) {
        accept_signed(point, raw, 16u * decode_registers(point->type), reading);
    } else {
        accept_integer(point, false, raw, reading);
    }
}

/* Ends at the first zero byte; blanks at the end are padding. Bytes that are no text (0xFF of erased memory) are malformed. */
static void accept_text(const struct point *point, const uint8_t *wire, struct reading *reading) {
    char *text = reading->value.text;
    size_t size = 2 * (size_t)point->registers, length = 0;
    CHECK(size < VALUE_TEXT_SIZE);
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)wire[byte_place(point, i)];
        if (text[i] == '\0')
            break;
        length = i + 1;
    }
    while (length > 0 && text[length - 1] == ' ')
        length--;
    memset(text + length, 0, VALUE_TEXT_SIZE - length);
    reading->value.kind = VALUE_TEXT;
    bool clean = text_is_utf8(text, length);
    for (size_t i = 0; i < length; i++)
        clean = clean && (unsigned char)text[i] >= 0x20 && text[i] != 0x7F;
    if (!clean)
        reject(reading, REASON_MALFORMED);
}

void decode_point(const struct point *point, const uint8_t *data, size_t data_size, uint16_t first, uint16_t count, struct reading *ret_reading) {
    uint32_t width = reads_bits(point) ? 1 : point->registers;
    CHECK(width >= 1);
    CHECK(point->address >= first && point->address + width <= (uint32_t)first + count);
    size_t at = (size_t)(point->address - first);
    ret_reading->quality = QUALITY_GOOD;
    ret_reading->reason = REASON_NONE;
    if (reads_bits(point)) {
        CHECK(data_size >= ((size_t)count + 7) / 8);
        accept_raw(point, data[at / 8] >> (at % 8) & 1, ret_reading);
        return;
    }
    CHECK(data_size >= (size_t)count * 2);
    if (point->type == TYPE_STRING)
        accept_text(point, data + 2 * at, ret_reading);
    else
        accept_raw(point, load_raw(point, data + 2 * at), ret_reading);
}

static void store_bytes(const struct point *point, const uint8_t *bytes, uint16_t *ret_registers) {
    for (size_t i = 0; i < point->registers; i++)
        ret_registers[i] = 0;
    for (size_t i = 0; i < 2 * (size_t)point->registers; i++) {
        size_t place = byte_place(point, i);
        ret_registers[place / 2] |= (uint16_t)(place % 2 == 0 ? bytes[i] << 8 : bytes[i]);
    }
}

static enum err store_raw(const struct point *point, uint64_t raw, uint16_t *ret_registers) {
    uint8_t bytes[2 * RAW_REGISTERS_MAX];
    size_t size = 2 * (size_t)point->registers;
    CHECK(size <= sizeof(bytes));
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(raw >> (8 * (size - 1 - i)));
    store_bytes(point, bytes, ret_registers);
    return ERR_OK;
}

static enum err encode_text(const struct point *point, const struct value *value, uint16_t *ret_registers) {
    uint8_t bytes[VALUE_TEXT_SIZE] = {0};
    size_t size = 2 * (size_t)point->registers;
    CHECK(size < VALUE_TEXT_SIZE);
    if (value->kind != VALUE_TEXT || strnlen(value->text, VALUE_TEXT_SIZE) > size)
        return ERR_RANGE;
    memcpy(bytes, value->text, strnlen(value->text, VALUE_TEXT_SIZE));
    store_bytes(point, bytes, ret_registers);
    return ERR_OK;
}

static enum err encode_float(const struct point *point, double number, uint16_t *ret_registers) {
    double wide = (number - point->offset) / point->scale;
    uint64_t raw;
    if (!isfinite(wide))
        return ERR_RANGE;
    if (point->type == TYPE_F32) {
        if (fabs(wide) >= FLOAT_OVERFLOW)
            return ERR_RANGE;
        float narrow = (float)wide;
        uint32_t single;
        memcpy(&single, &narrow, sizeof(single));
        raw = single;
    } else {
        memcpy(&raw, &wide, sizeof(raw));
    }
    return store_raw(point, raw, ret_registers);
}

/* The raw whole number of a value, to the nearest step; exact as long as nothing is scaled. */
static enum err unscale(const struct point *point, const struct value *value, double number, bool *ret_negative, uint64_t *ret_magnitude) {
    if (point->scale == 1 && point->offset == 0 && value->kind == VALUE_INTEGER) {
        *ret_negative = value->integer < 0;
        *ret_magnitude = value->integer < 0 ? (uint64_t) - (value->integer + 1) + 1 : (uint64_t)value->integer;
        return ERR_OK;
    }
    if (point->scale == 1 && point->offset == 0 && value->kind == VALUE_UNSIGNED) {
        *ret_negative = false;
        *ret_magnitude = value->whole;
        return ERR_OK;
    }
    double raw = rint((number - point->offset) / point->scale);
    if (!(fabs(raw) < 18446744073709551616.0)) /* 2^64; also NaN */
        return ERR_RANGE;
    *ret_negative = raw < 0;
    *ret_magnitude = (uint64_t)fabs(raw);
    return ERR_OK;
}

static enum err encode_bcd(const struct point *point, uint64_t magnitude, uint16_t *ret_registers) {
    unsigned digits = point->bit_field ? point->bit_count / 4 : 4u * point->registers;
    uint64_t raw = 0;
    for (unsigned i = 0; i < digits && i < 16; i++) {
        raw |= magnitude % 10 << (4 * i);
        magnitude /= 10;
    }
    return magnitude != 0 ? ERR_RANGE : store_raw(point, point->bit_field ? raw << point->bit_first : raw, ret_registers);
}

static enum err encode_whole(const struct point *point, bool negative, uint64_t magnitude, uint16_t *ret_registers) {
    unsigned bits = 16u * point->registers;
    if (point->type == TYPE_BIT || reads_bits(point))
        bits = 1;
    if (point->bit_field)
        bits = point->bit_count;
    uint64_t top = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    bool is_signed = !point->bit_field && (point->type == TYPE_S16 || point->type == TYPE_S32 || point->type == TYPE_S64);
    if (is_signed)
        top >>= 1;
    if (negative ? !is_signed || magnitude > top + 1 : magnitude > top)
        return ERR_RANGE;
    uint64_t raw = negative ? 0 - magnitude : magnitude;
    return store_raw(point, point->bit_field ? raw << point->bit_first : raw, ret_registers);
}

enum err decode_encode(const struct point *point, const struct value *value, uint16_t *ret_registers) {
    double number;
    bool negative;
    uint64_t magnitude;
    if (point->type == TYPE_STRING)
        return encode_text(point, value, ret_registers);
    if (!value_number(value, &number))
        return ERR_RANGE;
    if (!point->bit_field && (point->type == TYPE_F32 || point->type == TYPE_F64))
        return encode_float(point, number, ret_registers);
    enum err err = unscale(point, value, number, &negative, &magnitude);
    if (err != ERR_OK)
        return err;
    if (point->type == TYPE_BCD)
        return negative ? ERR_RANGE : encode_bcd(point, magnitude, ret_registers);
    return encode_whole(point, negative, magnitude, ret_registers);
}

bool value_number(const struct value *value, double *ret_number) {
    switch (value->kind) {
    case VALUE_NUMBER:
        *ret_number = value->number;
        return true;
    case VALUE_INTEGER:
        *ret_number = (double)value->integer;
        return true;
    case VALUE_UNSIGNED:
        *ret_number = (double)value->whole;
        return true;
    case VALUE_NONE:
    case VALUE_TEXT:
        break;
    }
    return false;
}

bool value_equal(const struct value *a, const struct value *b) {
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case VALUE_NUMBER:
        return a->number == b->number;
    case VALUE_INTEGER:
        return a->integer == b->integer;
    case VALUE_UNSIGNED:
        return a->whole == b->whole;
    case VALUE_TEXT:
        return strncmp(a->text, b->text, VALUE_TEXT_SIZE) == 0;
    case VALUE_NONE:
        break;
    }
    return true;
}
