/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration will cost before it runs: how full each line is, how soon a fire point is seen, how many megabytes a
 * month each uplink carries. Pure. The figures are estimates with their assumptions named in estimate.c. */
#ifndef YANHUO_ESTIMATE_H
#define YANHUO_ESTIMATE_H

#include "config/config.h"

struct estimate_bus {
    bool line; /* a serial line; an endpoint has no line time, and only the counts below are meant */
    uint16_t devices, requests;
    uint32_t points;
    double load, fire_load;  /* share of the line's time: 1 is full; of all requests, of those with fire points */
    int64_t round_us;        /* every request once, one after the other */
    int64_t longest_us;      /* the longest single one */
    uint32_t fire_period_ms; /* shortest of a fire point; 0: there is none */
    int64_t fire_blocked_us; /* what can stand between a fire request's release and its end */
    int64_t fire_seen_us;    /* a fire point is seen within this while no device is silent; 0: there is none */
    int64_t silent_us;       /* one device newly silent adds this at most, its timeout and the silence after it */
    uint16_t failed_device;  /* ERR_RANGE: this one needs too many requests */
};

/* `scratch` holds the plans meanwhile. ERR_RANGE when a device needs more requests than there may be. */
NODISCARD enum err estimate_bus(const struct config *config, uint16_t bus, struct arena *scratch, struct estimate_bus *ret_estimate);

struct estimate_uplink {
    double messages_per_hour;
    double readings_mb, other_mb; /* a month of 30 days, headers and acknowledgements included; MB of 10^6 bytes */
};

NODISCARD enum err estimate_uplink(const struct config *config, uint16_t uplink, struct arena *scratch, struct estimate_uplink *ret_estimate);

#endif
