/* SPDX-License-Identifier: Apache-2.0 */
/* The same registers read in every type and word order, so that a person recognises the value that the device's display shows.
 * Pure. Values come from decode.c: what is shown here is what the gateway would read. */
#ifndef YANHUO_VIEWS_H
#define YANHUO_VIEWS_H

#include "base/text.h"
#include "sensors/point.h"

#define VIEWS_COLUMNS 3   /* addresses side by side; 80 columns wide */
#define VIEWS_REGISTERS 4 /* the widest type */

/* The registers around an address: contents of first .. first + count - 1; `present` tells those that the device has. */
struct views {
    uint32_t first, count;
    const uint16_t *registers;
    const bool *present;
};

/* The table of `columns` (1 .. VIEWS_COLUMNS) addresses from `address`; `marked` is the one a person asked for. Lines end with \n.
 * A value that a sensor would plausibly have is marked with a star. */
void views_add(const struct views *views, uint32_t address, unsigned columns, uint32_t marked, struct text *text);

/* Would a sensor say this? Not 0, not a sentinel, not absurdly large or small. */
bool views_plausible(enum point_type type, const struct value *value);

#endif
