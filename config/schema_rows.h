/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the table of keys share. */
#ifndef YANHUO_SCHEMA_ROWS_H
#define YANHUO_SCHEMA_ROWS_H

#include "base/check.h"
#include "base/limits.h"
#include "config/schema.h"

/* schema_bus is called "bus". */
#define SHAPE(shape_name, rows) const struct schema_shape shape_name = {.name = &#shape_name[7], .count = ARRAY_COUNT(rows), .keys = (rows)}
#define BAUDS "1200|2400|4800|9600|14400|19200|38400|57600|115200"
#define PLACE_KINDS "charging|kitchen|cold_store|other"
#define DEVICE_KINDS "meter|residual_current|temperature|environment|smoke|gas|fume|relay|breaker|input|cold_store"
#define DEVICE_ROLES "distribution|branch|socket|fan|purifier"
#define PARITIES "none|even|odd"
#define DAY_MS 86400000.0
/* A thousand gateways that return together are then 100,000 messages a second at most, what a broker with a few cores takes (one of
 * mosquitto's took 36,000). A gateway makes 1 to 20 a second: a day's outage is made up for in a quarter of an hour to five hours. */
#define BACKLOG_RATE "100"

#endif
