/* SPDX-License-Identifier: Apache-2.0 */
/* One device on a bus: what it is (from the configuration, never changes) and whether it answers.
 * Pure; owned by the poller of its bus. */
#ifndef YANHUO_DEVICE_H
#define YANHUO_DEVICE_H

#include "sensors/point.h"

#define DEVICE_MISSES_MAX 3 /* unanswered requests in a row until a device counts as dead: "within 3 missed periods" */

/* A write the device needs before it is used, and again when it comes back. */
struct setup_write {
    uint16_t address;
    uint16_t value;
    bool coil;
};

struct device_spec {
    const char *name;
    uint16_t device; /* index in the configuration */
    uint8_t unit_id;
    uint32_t timeout_ms;        /* ceiling of the response timeout, without wire time */
    uint16_t registers_max;     /* most registers it takes in one read; REGISTERS_READ_MAX unless the profile says less */
    uint16_t reply_bytes_max;   /* most data of one answer on a line that a local action writes to (plan_prompt_bytes); 0: no such limit */
    bool gaps_allowed;          /* may unused addresses between points be read along */
    uint16_t setup_count;
    const struct setup_write *setup;
    uint16_t points_count;
    const struct point *points;
};

enum device_state {
    DEVICE_UNKNOWN, /* has never answered since start */
    DEVICE_ONLINE,
    DEVICE_DEAD, /* probed at a growing interval until it answers */
};

const char *device_state_name(enum device_state state);

/*
 *              any answer (also an exception)
 *   UNKNOWN ------------------------------------> ONLINE
 *      |  DEVICE_MISSES_MAX misses in a row        |  ^
 *      '-------------------> DEAD <----------------'  |  any answer to a probe
 *                              '----------------------'
 * Guarantees: misses < DEVICE_MISSES_MAX unless DEAD; probe_interval_ms is 0 unless DEAD, then 500 .. 10,000.
 */
struct device {
    enum device_state state;
    uint8_t misses;
    uint32_t probe_interval_ms;
    int64_t last_answer_us; /* NOW_NEVER before the first */
    uint64_t answers, timeouts, exceptions, corrupt;
};

void device_init(struct device *device);
/* Both return true when the state changed. */
bool device_on_answer(struct device *device, int64_t now_us);
bool device_on_miss(struct device *device, int64_t now_us);
void device_check(const struct device *device);

#endif
