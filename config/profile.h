/* SPDX-License-Identifier: Apache-2.0 */
/* A device model, read from its YAML file once and shared by all devices of that model (format: docs/profile-format.md).
 * Immutable after loading; lives in the arena of the configuration. */
#ifndef YANHUO_PROFILE_H
#define YANHUO_PROFILE_H

#include "config/load.h"

/* Where a device keeps one of its own serial settings. */
struct profile_register {
    bool known, coil;
    uint16_t address;
};

#define PROFILE_BAUDS_MAX 16 /* speeds a device may have a code for */
struct profile_baud {
    uint32_t baud;
    uint16_t code; /* what is written for it */
};

/* In the order of the words that a profile writes. */
enum device_kind {
    DEVICE_METER,
    DEVICE_RESIDUAL_CURRENT,
    DEVICE_TEMPERATURE,
    DEVICE_ENVIRONMENT,
    DEVICE_SMOKE,
    DEVICE_GAS,
    DEVICE_FUME,
    DEVICE_RELAY,
    DEVICE_BREAKER,
    DEVICE_INPUT,
    DEVICE_COLD_STORE,
};

struct profile {
    const char *name, *path;
    const char *manufacturer, *model, *source; /* "" when not given */
    enum profile_confidence confidence;
    enum device_kind kind;
    uint32_t factory_baud; /* 0: not known */
    enum bus_parity factory_parity;
    uint8_t factory_stop_bits;
    uint8_t factory_unit_id; /* 1 when not given */
    struct profile_register address_register, baud_register;
    uint8_t bauds_count; /* 0: the register takes the speed itself or is not known */
    struct profile_baud bauds[PROFILE_BAUDS_MAX];
    uint32_t timeout_ms;
    uint16_t registers_max;
    bool gaps;
    uint16_t setup_count, points_count, alarms_count;
    const struct setup_write *setup;
    struct point *points;        /* a device copies them and puts its own periods in */
    struct config_alarm *alarms; /* `device` is not set; zh and en may be NULL still */
    bool *alarms_rate;           /* of each: `point` is the one whose rate is watched */
    uint64_t hash;               /* of the file's bytes */
};

/* What its baud register takes for a speed; false: it has no code for it. */
bool profile_baud_code(const struct profile *profile, uint32_t baud, uint16_t *ret_code);

/* Reads and checks one profile file. The name inside must be the file's. ERR_INVALID when there was an error among the
 * diagnostics; *ret_profile is then what could be understood, or NULL. */
NODISCARD enum err profile_load(const char *path, const char *name, struct arena *arena, struct diagnostics *diagnostics,
                                struct profile **ret_profile);

#endif
