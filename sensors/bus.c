/* SPDX-License-Identifier: Apache-2.0 */
/* What both kinds of bus say alike: the names of an answer's status and the time a line takes for its characters. */
#include "sensors/bus.h"

#include "base/check.h"

const char *bus_status_name(enum bus_status status) {
    static const char *const names[] = {
        [BUS_ANSWERED] = "answered",
        [BUS_TIMEOUT] = "timeout",
        [BUS_CORRUPT] = "corrupt",
        [BUS_DISCONNECTED] = "disconnected",
    };
    CHECK((unsigned)status < ARRAY_COUNT(names));
    return names[status];
}

struct line_timing bus_line_timing(const struct bus_spec *bus) {
    struct line_timing line = {0, 0};
    if (bus->kind == BUS_TCP || bus->baud == 0) /* characters take no time we could plan with */
        return line;
    line.baud = bus->baud;
    line.bits_per_character = (uint8_t)(1 + 8 + (bus->parity == PARITY_NONE ? 0 : 1) + bus->stop_bits);
    return line;
}
