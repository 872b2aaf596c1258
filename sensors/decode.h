/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of a reply to a value with quality. Pure; any thread. What is not plausible is rejected with its reason,
 * never clamped: a broken 65535 must not become a believable maximum. */
#ifndef YANHUO_DECODE_H
#define YANHUO_DECODE_H

#include <stddef.h>

#include "base/err.h"
#include "sensors/point.h"

/* `data` holds the payload of a read reply that began at PDU address `first` (registers: two bytes each, high first;
 * coils and discrete inputs: eight to a byte, lowest address in the lowest bit) and covered `count` of them.
 * Sets quality, reason and value of *ret_reading (not its point index). A point that does not lie inside the reply is our
 * own mistake (CHECK). */
void decode_point(const struct point *point, const uint8_t *data, size_t data_size, uint16_t first, uint16_t count, struct reading *ret_reading);

/* Registers a value of this type takes on the wire; 0 for string and BCD, where the point says it (string: at most 15,
 * BCD: at most 4). */
uint8_t decode_registers(enum point_type type);

/* The reverse, for writes and for the simulator: the raw register contents of an engineering value.
 * A number is rounded to the nearest step of the raw value; bits outside a bit field are 0.
 * ERR_RANGE when the value cannot be represented. `ret_registers` has room for point->registers. */
NODISCARD enum err decode_encode(const struct point *point, const struct value *value, uint16_t *ret_registers);

/* A value as a number for comparing; false for none and text. */
bool value_number(const struct value *value, double *ret_number);
bool value_equal(const struct value *a, const struct value *b);

#endif
