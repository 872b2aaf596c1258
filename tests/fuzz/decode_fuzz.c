/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding, with the point and the reply both out of the input.
 *  1. A good reading has a value: a finite number inside the point's range, or clean UTF-8 text. Any other reading has none, and a reason.
 *  2. A raw pattern that the point names as an error value is never good.
 *  3. A good value that is not scaled can be encoded, and reads back as the same value; a scaled one that can be encoded reads back
 *     within half a step.
 *
 * Input: point (fuzz_point), registers in front of it, registers behind it, the reply's data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "sensors/decode.h"

/* The raw pattern of the point's registers, most significant byte first: the orders written out one by one. */
static uint64_t raw_of(const struct point *point, const uint8_t *wire) {
    uint64_t raw = 0;
    for (unsigned i = 0; i < point->registers; i++) {
        bool last_first = point->order == ORDER_CDAB || point->order == ORDER_DCBA;
        const uint8_t *place = wire + 2u * (last_first ? point->registers - 1u - i : i);
        bool swapped = point->order == ORDER_BADC || point->order == ORDER_DCBA;
        raw = raw << 16 | (swapped ? place[1] * 256u + place[0] : place[0] * 256u + place[1]);
    }
    return raw;
}

static void check_errors(const struct point *point, const uint8_t *wire, const struct reading *reading) {
    for (unsigned i = 0; i < point->error_values_count; i++)
        if (raw_of(point, wire) == point->error_values[i])
            PROPERTY(reading->quality == QUALITY_BAD && reading->reason == REASON_ERROR_VALUE);
}

static void check_way_back(const struct point *point, const struct reading *reading) {
    uint16_t registers[16];
    uint8_t wire[32];
    struct reading again = {.point = 0};
    struct point open = *point; /* bits outside a field are 0 on the way back, and 0 may be an error value */
    double before, after;
    bool scaled = point->scale != 1 || point->offset != 0;
    enum err err = decode_encode(point, &reading->value, registers);
    if (err != ERR_OK) {
        PROPERTY(err == ERR_RANGE && scaled);
        return;
    }
    open.error_values_count = 0;
    open.has_range = false;
    for (unsigned i = 0; i < point->registers; i++) {
        wire[2 * i] = (uint8_t)(registers[i] >> 8);
        wire[2 * i + 1] = (uint8_t)(registers[i] & 0xFF);
    }
    decode_point(&open, wire, 2u * point->registers, point->address, point->registers, &again);
    if (scaled && again.quality != QUALITY_GOOD)
        return; /* the last float before infinity */
    PROPERTY(again.quality == QUALITY_GOOD);
    if (!scaled) {
        PROPERTY(value_equal(&reading->value, &again.value));
        return;
    }
    PROPERTY(value_number(&reading->value, &before) && value_number(&again.value, &after));
    PROPERTY(fabs(before - after) <= fabs(point->scale) * 0.5000001 + 1e-6 * (fabs(before) + fabs(point->offset)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct fuzz_input input = {bytes, size};
    struct point point;
    struct reading reading = {.point = 0};
    fuzz_point(&input, &point);
    bool bits = point.read <= READ_DISCRETE;
    uint32_t before = fuzz_u8(&input) % 64, behind = fuzz_u8(&input) % 40, count;
    before = before < point.address ? before : point.address;
    count = before + point.registers + behind;
    count = count < 0x10000 - point.address + before ? count : 0x10000 - point.address + before;
    size_t data_size = bits ? (count + 7) / 8 : 2 * count, given;
    uint8_t *data = calloc(1, data_size);
    const uint8_t *rest = fuzz_take(&input, data_size, &given);
    if (given > 0)
        memcpy(data, rest, given);
    decode_point(&point, data, data_size, (uint16_t)(point.address - before), (uint16_t)count, &reading);
    fuzz_check_reading(&point, &reading);
    if (bits) {
        PROPERTY(reading.quality == QUALITY_GOOD && reading.value.kind == VALUE_INTEGER);
        PROPERTY(reading.value.integer == (data[before / 8] >> before % 8 & 1));
    } else if (point.type != TYPE_STRING) {
        check_errors(&point, data + 2 * before, &reading);
    }
    if (!bits && reading.quality == QUALITY_GOOD)
        check_way_back(&point, &reading);
    free(data);
    return 0;
}
