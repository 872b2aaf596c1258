/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a device answers. The state machine is drawn in device.h. A dead device is probed 500 ms after it died, then at an
 * interval that grows by 500 ms with each probe that fails, up to 10 s: soon after a short fault, cheap after a long one. */
#include "sensors/device.h"

#include "base/check.h"
#include "base/now.h"

#define PROBE_STEP_MS 500
#define PROBE_MAX_MS 10000

const char *device_state_name(enum device_state state) {
    static const char *const names[] = {
        [DEVICE_UNKNOWN] = "unknown",
        [DEVICE_ONLINE] = "online",
        [DEVICE_DEAD] = "dead",
    };
    CHECK((unsigned)state < ARRAY_COUNT(names));
    return names[state];
}

void device_init(struct device *device) {
    *device = (struct device){.state = DEVICE_UNKNOWN, .last_answer_us = NOW_NEVER};
}

bool device_on_answer(struct device *device, int64_t now_us) {
    bool changed = device->state != DEVICE_ONLINE;
    device->state = DEVICE_ONLINE;
    device->misses = 0;
    device->probe_interval_ms = 0;
    device->last_answer_us = now_us;
    device->answers++;
    return changed;
}

bool device_on_miss(struct device *device, int64_t now_us) {
    (void)now_us;
    if (device->misses < DEVICE_MISSES_MAX)
        device->misses++;
    if (device->state == DEVICE_DEAD) {
        if (device->probe_interval_ms < PROBE_MAX_MS)
            device->probe_interval_ms += PROBE_STEP_MS;
        return false;
    }
    if (device->misses < DEVICE_MISSES_MAX)
        return false;
    device->state = DEVICE_DEAD;
    device->probe_interval_ms = PROBE_STEP_MS;
    return true;
}

void device_check(const struct device *device) {
    CHECK(device->misses <= DEVICE_MISSES_MAX);
    CHECK((device->misses == DEVICE_MISSES_MAX) == (device->state == DEVICE_DEAD));
    CHECK((device->probe_interval_ms != 0) == (device->state == DEVICE_DEAD));
    CHECK(device->probe_interval_ms <= PROBE_MAX_MS && device->probe_interval_ms % PROBE_STEP_MS == 0);
    CHECK(device->state != DEVICE_UNKNOWN || device->last_answer_us == NOW_NEVER);
    CHECK(device->state != DEVICE_ONLINE || device->last_answer_us != NOW_NEVER);
}
