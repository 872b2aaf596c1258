/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as whole numbers and a count of decimals: what a sensor sends is nearly always a short decimal, which then takes two or three
 * bytes instead of eight. Only where exactly the same double comes back. Pure. */
#ifndef YANHUO_DECIMAL_H
#define YANHUO_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#define DECIMALS_MAX 9

/* The number of these decimals; `single`: by way of a 32-bit float, as many devices send it. */
double decimal_number(int64_t whole, bool single, unsigned decimals);
/* True when decimal_number(*ret_whole, single, decimals) is this number, bit by bit (-0 is not 0). */
bool decimal_exactly(double number, bool single, unsigned decimals, int64_t *ret_whole);
/* The fewest decimals that do; false when none do. */
bool decimal_fewest(double number, bool single, unsigned *ret_decimals, int64_t *ret_whole);

#endif
