/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sensors/decode.h"

void property_failed(const char *file, int line, const char *condition) {
    fprintf(stderr, "%s:%d: the property does not hold: %s\n", file, line, condition);
    abort();
}

uint8_t fuzz_u8(struct fuzz_input *input) {
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->bytes++;
}

uint16_t fuzz_u16(struct fuzz_input *input) {
    uint8_t high = fuzz_u8(input);
    return (uint16_t)(high << 8 | fuzz_u8(input));
}

uint32_t fuzz_u32(struct fuzz_input *input) {
    uint32_t high = fuzz_u16(input);
    return high << 16 | fuzz_u16(input);
}

uint64_t fuzz_u64(struct fuzz_input *input) {
    uint64_t high = fuzz_u32(input);
    return high << 32 | fuzz_u32(input);
}

double fuzz_number(struct fuzz_input *input) {
    uint8_t form = fuzz_u8(input);
    if (form < 224) { /* a mantissa of two bytes and up to six decimals, as people write them */
        static const double steps[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
        return (int16_t)fuzz_u16(input) / steps[form % 7];
    }
    uint64_t bits = fuzz_u64(input);
    double number;
    memcpy(&number, &bits, sizeof(number));
    return isfinite(number) ? number : 1;
}

const uint8_t *fuzz_take(struct fuzz_input *input, size_t most, size_t *ret_size) {
    const uint8_t *bytes = input->bytes;
    *ret_size = input->size < most ? input->size : most;
    input->bytes += *ret_size;
    input->size -= *ret_size;
    return bytes;
}

void fuzz_request(struct fuzz_input *input, struct pdu *ret_pdu) {
    static const uint8_t functions[] = {FC_READ_HOLDING, FC_READ_INPUT,     FC_READ_COILS,     FC_READ_DISCRETE,
                                        FC_WRITE_COIL,   FC_WRITE_REGISTER, FC_WRITE_REGISTERS};
    uint8_t function = functions[fuzz_u8(input) % sizeof(functions)];
    uint16_t address = fuzz_u16(input), argument = fuzz_u16(input), values[123];
    uint32_t most = function <= FC_READ_DISCRETE ? BITS_READ_MAX : function <= FC_READ_INPUT ? REGISTERS_READ_MAX : 123;
    if (most > 0x10000u - address)
        most = 0x10000u - address;
    uint16_t count = (uint16_t)(1 + (argument + most - 1) % most); /* a count that is allowed stands for itself */
    switch (function) {
    case FC_WRITE_COIL:
        frame_write_coil(ret_pdu, address, argument);
        return;
    case FC_WRITE_REGISTER:
        frame_write_register(ret_pdu, address, argument);
        return;
    case FC_WRITE_REGISTERS:
        for (uint16_t i = 0; i < count; i++)
            values[i] = (uint16_t)(argument * i);
        frame_write_registers(ret_pdu, address, values, count);
        return;
    default:
        frame_read(ret_pdu, (enum frame_function)function, address, count);
    }
}

bool fuzz_answers(const struct pdu *request, const uint8_t *reply, size_t size) {
    uint8_t function = request->bytes[0];
    size_t count = (size_t)request->bytes[3] << 8 | request->bytes[4];
    if (size == 2 && reply[0] == function + 0x80)
        return reply[1] != 0;
    if (function >= FC_WRITE_COIL)
        return size == 5 && memcmp(reply, request->bytes, 5) == 0;
    size_t data = function <= FC_READ_DISCRETE ? (count + 7) / 8 : 2 * count;
    return size == 2 + data && reply[0] == function && reply[1] == data;
}

static void fuzz_range(struct fuzz_input *input, struct point *point) {
    double a = fuzz_number(input), b = fuzz_number(input);
    point->has_range = a != b;
    point->range_min = a < b ? a : b;
    point->range_max = a < b ? b : a;
}

void fuzz_point(struct fuzz_input *input, struct point *ret_point) {
    uint8_t flags = fuzz_u8(input), choice = fuzz_u8(input), size = fuzz_u8(input);
    *ret_point = (struct point){.name = "p", .unit = "", .registers = 1, .scale = 1, .every_ms = 1000, .class = CLASS_MAINTENANCE};
    ret_point->address = fuzz_u16(input);
    ret_point->read = (enum point_read)(READ_COIL + flags % 4);
    ret_point->order = (enum point_order)(flags >> 2 & 3);
    if (ret_point->read <= READ_DISCRETE)
        return;
    ret_point->type = (enum point_type)(choice % (TYPE_BCD + 1));
    if (ret_point->type == TYPE_STRING)
        ret_point->registers = (uint8_t)(1 + size % 15);
    else if (ret_point->type == TYPE_BCD)
        ret_point->registers = (uint8_t)(1 + size % 4);
    else
        ret_point->registers = decode_registers(ret_point->type);
    if (ret_point->address > 0x10000u - ret_point->registers)
        ret_point->address = (uint16_t)(0x10000u - ret_point->registers);
    bool whole = ret_point->type < TYPE_F32;
    if (ret_point->type == TYPE_BIT || (whole && flags & 16)) {
        unsigned width = 16u * ret_point->registers;
        ret_point->bit_field = true;
        ret_point->bit_first = (uint8_t)(fuzz_u8(input) % width);
        ret_point->bit_count = (uint8_t)(1 + fuzz_u8(input) % (width - ret_point->bit_first));
    }
    if (ret_point->type == TYPE_STRING)
        return;
    for (ret_point->error_values_count = 0; ret_point->error_values_count < (choice >> 4) % 3; ret_point->error_values_count++) {
        uint64_t value = fuzz_u64(input);
        if (ret_point->registers < 4)
            value &= (UINT64_C(1) << 16 * ret_point->registers) - 1;
        ret_point->error_values[ret_point->error_values_count] = value;
    }
    if (ret_point->type == TYPE_BIT)
        return;
    if (flags & 32) {
        ret_point->scale = fuzz_number(input);
        ret_point->offset = fuzz_number(input);
        if (ret_point->scale == 0)
            ret_point->scale = 0.1;
    }
    if (flags & 64)
        fuzz_range(input, ret_point);
}

void fuzz_check_reading(const struct point *point, const struct reading *reading) {
    double number;
    if (reading->quality != QUALITY_GOOD) {
        PROPERTY(reading->quality == QUALITY_BAD);
        PROPERTY(reading->reason != REASON_NONE && reading->reason <= REASON_DISCONNECTED);
        PROPERTY(reading->value.kind == VALUE_NONE);
        return;
    }
    PROPERTY(reading->reason == REASON_NONE);
    if (point->type == TYPE_STRING) {
        size_t length = strnlen(reading->value.text, VALUE_TEXT_SIZE);
        PROPERTY(reading->value.kind == VALUE_TEXT);
        PROPERTY(length <= 2u * point->registers && text_is_utf8(reading->value.text, length));
        for (size_t i = 0; i < length; i++)
            PROPERTY((unsigned char)reading->value.text[i] >= 0x20 && reading->value.text[i] != 0x7F);
        return;
    }
    PROPERTY(value_number(&reading->value, &number));
    PROPERTY(isfinite(number));
    PROPERTY(!point->has_range || (number >= point->range_min && number <= point->range_max));
}
