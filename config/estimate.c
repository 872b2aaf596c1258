/* SPDX-License-Identifier: Apache-2.0 */
/* Line time comes from the same plan and the same formula that the poller uses, with the turnaround it assumes until it has
 * learned a device's own. Bytes are counted from the form of the messages, with these assumptions. */
#include "config/estimate.h"

#include <string.h>

#include "sensors/plan.h"

#define MONTH_S (30.0 * 86400.0)
#define CHANGED_SHARE 0.2         /* one poll in five brings a new measured value */
#define CHANGED_SHARE_STATE 0.001 /* one in a thousand a new state of a bit or an enumeration */
#define READING_BYTES 76.0        /* {"t":...,"point":"","v":12.34,"q":"good"}, without the point's name */
#define MESSAGE_BYTES 72.0        /* {"id":...,"replayed":false,"readings":[]} without the gateway's name */
#define TOPIC_BYTES 20.0          /* yanhuo/v1/ /reading/ without names */
#define MQTT_BYTES 12.0           /* headers of PUBLISH, and PUBACK */
#define PACKET_BYTES 52.0         /* IP and TCP with time stamps */
#define PACKET_PAYLOAD 1400.0
#define TLS_RECORD_BYTES 29.0
#define HEALTH_BYTES 2500.0
#define HEALTH_PERIOD_S 60.0

static void add_request(struct estimate_bus *estimate, const struct plan_request *request, int64_t cost_us) {
    double share = (double)cost_us / (1000.0 * request->every_ms);
    estimate->requests++;
    estimate->load += share;
    estimate->round_us += cost_us;
    if (!request->fire) {
        estimate->longest_us = cost_us > estimate->longest_us ? cost_us : estimate->longest_us;
        return;
    }
    estimate->fire_load += share;
    estimate->fire_round_us += cost_us;
    if (!estimate->fire_period_ms || request->every_ms < estimate->fire_period_ms)
        estimate->fire_period_ms = request->every_ms;
}

/* As if the bus were of this kind. */
static enum err estimate_as(const struct config *config, uint16_t bus, const struct bus_spec *spec, struct arena *scratch,
                            struct estimate_bus *ret_estimate) {
    struct line_timing timing = bus_line_timing(spec);
    *ret_estimate = (struct estimate_bus){.line = timing.baud != 0, .failed_device = CONFIG_NONE};
    for (uint16_t i = 0; i < config->devices_count; i++) {
        const struct config_device *device = &config->devices[i];
        struct plan plan;
        if (device->bus != bus)
            continue;
        ret_estimate->devices++;
        for (uint16_t k = 0; k < device->spec.points_count; k++)
            ret_estimate->points += !device->spec.points[k].derived;
        enum err err = plan_build(&device->spec, ret_estimate->line ? &timing : NULL, scratch, &plan);
        if (err) {
            ret_estimate->failed_device = i;
            return err;
        }
        for (uint16_t k = 0; k < plan.count; k++)
            add_request(ret_estimate, &plan.requests[k], plan_cost_us(&plan.requests[k], ret_estimate->line ? &timing : NULL, PLAN_TURNAROUND_US));
    }
    return ERR_OK;
}

enum err estimate_bus(const struct config *config, uint16_t bus, struct arena *scratch, struct estimate_bus *ret_estimate) {
    return estimate_as(config, bus, &config->buses[bus], scratch, ret_estimate);
}

/* All fire requests and one other that has just begun must end within the shortest fire period. */
static int64_t fire_needs_us(const struct estimate_bus *estimate) {
    return estimate->fire_round_us + estimate->longest_us;
}

bool estimate_keeps_fire(const struct estimate_bus *estimate) {
    return !estimate->fire_period_ms || fire_needs_us(estimate) <= estimate->fire_period_ms * (int64_t)1000;
}

const uint32_t estimate_bauds[ESTIMATE_BAUDS] = {2400, 4800, 9600, 19200, 38400, 57600, 115200};

void estimate_advise(const struct config *config, uint16_t bus, struct arena *scratch, struct estimate_advice *ret_advice) {
    struct bus_spec spec = config->buses[bus];
    struct estimate_bus estimate;
    *ret_advice = (struct estimate_advice){0, 0, 0};
    for (size_t i = 0; i < ESTIMATE_BAUDS && !ret_advice->baud; i++) {
        if (estimate_bauds[i] <= config->buses[bus].baud)
            continue;
        spec.baud = estimate_bauds[i];
        if (estimate_as(config, bus, &spec, scratch, &estimate) == ERR_OK && estimate_keeps_fire(&estimate))
            ret_advice->baud = estimate_bauds[i];
    }
    if (estimate_bus(config, bus, scratch, &estimate) != ERR_OK)
        return;
    ret_advice->period_ms = (uint32_t)((fire_needs_us(&estimate) + 99999) / 100000 * 100);
    int64_t room_us = estimate.fire_period_ms * (int64_t)1000 - estimate.longest_us;
    int64_t lines = room_us > 0 ? (estimate.fire_round_us + room_us - 1) / room_us : 0;
    if (lines > 1 && lines <= estimate.devices)
        ret_advice->lines = (unsigned)lines;
}

static double message_bytes(const struct config *config, const struct config_mqtt *mqtt, const char *device, double payload) {
    double names = (double)(strlen(config->gateway_id) + strlen(device));
    double bytes = TOPIC_BYTES + names + MQTT_BYTES + payload;
    double packets = 1.0 + (double)(int64_t)(bytes / PACKET_PAYLOAD);
    double records = mqtt->brokers[0].tls ? 2.0 * TLS_RECORD_BYTES : 0.0;
    return bytes + (packets + 1.0) * PACKET_BYTES + records; /* one packet more brings the acknowledgement */
}

/* Readings of one point that are sent, a second. */
static double reading_rate(const struct config_readings *readings, const struct point *point) {
    double polls = 1000.0 / point->every_ms;
    if (!readings->on_change)
        return polls;
    double share = point->type == TYPE_BIT || point->labels_count ? CHANGED_SHARE_STATE : CHANGED_SHARE;
    double rate = polls * share + (readings->at_least_every_ms ? 1000.0 / readings->at_least_every_ms : 0.0);
    return rate < polls ? rate : polls;
}

struct traffic {
    double messages, bytes; /* a second */
};

static void add_messages(const struct config *config, const struct config_uplink *uplink, const struct config_device *device, double readings,
                         double reading_bytes, double messages_most, struct traffic *traffic) {
    double messages = readings < messages_most ? readings : messages_most;
    if (messages <= 0)
        return;
    double payload = MESSAGE_BYTES + (double)strlen(config->gateway_id) + reading_bytes / messages;
    traffic->messages += messages;
    traffic->bytes += messages * message_bytes(config, &uplink->mqtt, device->spec.name, payload);
}

static enum err add_device(const struct config *config, const struct config_uplink *uplink, const struct config_device *device, struct arena *scratch,
                           struct traffic *traffic) {
    const struct config_readings *readings = &uplink->readings;
    double rate_all = 0, bytes_all = 0;
    struct plan plan;
    enum err err = plan_build(&device->spec, NULL, scratch, &plan);
    if (err)
        return err;
    for (uint16_t k = 0; k < plan.count; k++) {
        const struct plan_request *request = &plan.requests[k];
        double rate = 0, bytes = 0;
        for (uint16_t i = 0; i < request->points_count; i++) {
            const struct point *point = &device->spec.points[request->points[i]];
            double one = reading_rate(readings, point);
            rate += one;
            bytes += one * (READING_BYTES + (double)strlen(point->name));
        }
        if (!readings->batch_ms)
            add_messages(config, uplink, device, rate, bytes, 1000.0 / request->every_ms, traffic);
        rate_all += rate;
        bytes_all += bytes;
    }
    for (uint16_t i = 0; i < device->spec.points_count; i++) {
        const struct point *point = &device->spec.points[i];
        if (!point->derived)
            continue;
        double rate = reading_rate(readings, point), bytes = rate * (READING_BYTES + (double)strlen(point->name));
        if (!readings->batch_ms)
            add_messages(config, uplink, device, rate, bytes, 1000.0 / point->every_ms, traffic);
        rate_all += rate;
        bytes_all += bytes;
    }
    if (readings->batch_ms)
        add_messages(config, uplink, device, rate_all, bytes_all, 1000.0 / readings->batch_ms, traffic);
    return ERR_OK;
}

enum err estimate_uplink(const struct config *config, uint16_t uplink, struct arena *scratch, struct estimate_uplink *ret_estimate) {
    const struct config_uplink *spec = &config->uplinks[uplink];
    struct traffic traffic = {0};
    *ret_estimate = (struct estimate_uplink){0};
    for (uint16_t i = 0; spec->readings.wanted && i < config->devices_count; i++) {
        enum err err = add_device(config, spec, &config->devices[i], scratch, &traffic);
        if (err)
            return err;
    }
    double other = message_bytes(config, &spec->mqtt, "", HEALTH_BYTES) / HEALTH_PERIOD_S;
    double pings = 1.0 / config_ping_s(&spec->mqtt);
    if (traffic.messages < pings) /* a busy connection needs none */
        other += (pings - traffic.messages) * (2.0 * PACKET_BYTES + 4.0);
    ret_estimate->messages_per_hour = traffic.messages * 3600.0;
    if (spec->mqtt.backlog_rate)
        ret_estimate->day_backlog_h = traffic.messages * 24.0 / spec->mqtt.backlog_rate;
    ret_estimate->readings_mb = traffic.bytes * MONTH_S / 1e6;
    ret_estimate->other_mb = other * MONTH_S / 1e6;
    return ERR_OK;
}
