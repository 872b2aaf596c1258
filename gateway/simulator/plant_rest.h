/* SPDX-License-Identifier: Apache-2.0 */
/* The resting value of a point: usual for its kind, and no alarm of the configuration is true. Pure; used by plant.c. */
#ifndef YANHUO_PLANT_REST_H
#define YANHUO_PLANT_REST_H

#include "config/config.h"

double plant_rest(const struct config *config, uint16_t device, uint16_t point);

bool plant_is_bit(const struct point *point);
/* The label of this name, or NULL. */
const struct enumeration_label *plant_label(const struct point *point, const char *name);

#endif
