/* SPDX-License-Identifier: Apache-2.0 */
/* One look at a broker's address from a thread of its own: resolve the name, and if asked, open a TCP connection and close it.
 * The MQTT library resolves under a lock that every uplink needs, and gives no reason when TCP fails. So each name is
 * resolved here first, where a hung name service costs one small thread, and a failure without a reason is looked at here.
 *
 * The answer is one MQTT_PROBED command with the given epoch, unless the probe was released before. */
#ifndef YANHUO_MQTT_PROBE_H
#define YANHUO_MQTT_PROBE_H

#include "base/err.h"
#include "gateway/io/mqtt_queue.h"

struct mqtt_probe;

struct mqtt_probe_request {
    const char *host; /* copied */
    uint16_t port, uplink;
    uint32_t epoch;
    bool connect;
    struct mqtt_queue *queue; /* must live until the probe is released */
};

/* ERR_IO when no thread could be started. */
NODISCARD enum err mqtt_probe_start(const struct mqtt_probe_request *request, struct mqtt_probe **ret_probe);

/* Never waits: a probe still under way goes on alone and reports to nobody. NULL is allowed. */
void mqtt_probe_release(struct mqtt_probe *probe);

#endif
