/* SPDX-License-Identifier: Apache-2.0 */
/* The plant of a configuration: every device as a slave, plugged in, at rest: no alarm of the configuration is true.
 * Pure: no clock, no I/O; memory from the caller's arena at init only. One owner, any thread.
 * How resting values are chosen stands at the top of plant_rest.c. */
#ifndef YANHUO_PLANT_H
#define YANHUO_PLANT_H

#include "base/text.h"
#include "config/config.h"
#include "gateway/simulator/fault.h"
#include "gateway/simulator/slave.h"

struct plant_point {
    double rest; /* where the wave swings around */
    bool waves;  /* an analog quantity that nobody has set by hand */
};

struct plant_device {
    struct slave slave;
    bool plugged;
    uint32_t turnaround_us; /* from a request's last byte to the reply's first */
    struct fault fault;     /* on a serial line */
};

struct plant {
    const struct config *config;
    struct plant_device *devices; /* by device index */
    struct plant_point *points;   /* by global point index */
    uint16_t **by_unit;           /* by bus index, then unit id: device index or CONFIG_NONE; NULL for a bus without devices */
};

/* Told by the transports when a device carried out a write. */
struct plant_listener {
    void *context;
    void (*wrote)(void *context, uint16_t device, const struct slave_write *write);
};

#define PLANT_LINE_TURNAROUND_US 5000 /* of a device on a serial line; over TCP it is 0 */

/* `config` must outlive the plant. */
void plant_build(struct plant *plant, const struct config *config, struct arena *arena);

/* CONFIG_NONE when the bus has no such unit. */
uint16_t plant_device_at(const struct plant *plant, uint16_t bus, uint8_t unit_id);

/* The answer to a request PDU on a bus. False: nobody answers (no such unit, unplugged, or the broadcast unit 0, which every
 * plugged device carries out silently). *ret_device is who answered, or CONFIG_NONE. */
bool plant_answer(struct plant *plant, uint16_t bus, uint8_t unit_id, const uint8_t *request, size_t size, uint16_t *ret_device,
                  struct pdu *ret_reply, struct slave_write *ret_write);

/* By name, as a person types it. On failure a sentence that names what was expected is added to `error` (may be NULL). */
NODISCARD enum err plant_find_device(const struct plant *plant, const char *name, uint16_t *ret_device, struct text *error);
NODISCARD enum err plant_find_bus(const struct plant *plant, const char *name, uint16_t *ret_bus, struct text *error);
/* "smoke-1/smoke" */
NODISCARD enum err plant_find_point(const struct plant *plant, const char *path, uint16_t *ret_device, uint16_t *ret_point, struct text *error);

/* `value` is a number ("12.5") or one of the point's labels ("on"), or text for a text point. It stops the point's wave. */
NODISCARD enum err plant_set(struct plant *plant, const char *path, const char *value, struct text *error);
/* Adds the value as a reader of the bus sees it ("12.5 A", "on", "bad, out of range"). */
NODISCARD enum err plant_get(const struct plant *plant, const char *path, struct text *value, struct text *error);
void plant_add_value(const struct plant *plant, uint16_t device, uint16_t point, struct text *value);

/* unplug and plug; a device that is plugged in again holds what it held. */
NODISCARD enum err plant_plug(struct plant *plant, const char *device, bool plugged, struct text *error);
NODISCARD enum err plant_delay(struct plant *plant, const char *device, uint32_t turnaround_us, struct text *error);

/* Moves every analog point that nobody has set to its place on a slow wave of 2 % around its resting value. */
void plant_wave(struct plant *plant, int64_t now_us);

void plant_check(const struct plant *plant);

#endif
