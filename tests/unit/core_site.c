/* SPDX-License-Identifier: Apache-2.0 */
#include "core_site.h"

#include <stdio.h>
#include <string.h>

static const char *name_of(char name[16], const char *word, unsigned number) {
    snprintf(name, 16, "%s-%u", word, number);
    return name;
}

static void devices_init(struct site *site) {
    static const char *const point_names[SITE_POINTS] = {"p0", "p1", "p2", "p3"};
    for (unsigned d = 0; d < SITE_DEVICES; d++) {
        struct config_device *device = &site->devices[d];
        *device = (struct config_device){
            .place = d == 0 ? 0 : CONFIG_NONE, .first_point = d * SITE_POINTS, .location = "", .profile = "", .manufacturer = "", .model = ""};
        device->spec = (struct device_spec){.name = name_of(site->names[d], "device", d),
                                            .device = (uint16_t)d,
                                            .unit_id = (uint8_t)(d + 1),
                                            .points_count = SITE_POINTS,
                                            .points = site->points[d]};
        for (unsigned p = 0; p < SITE_POINTS; p++) {
            site->points[d][p] = (struct point){
                .name = point_names[p], .unit = "A", .read = READ_HOLDING, .type = TYPE_U16, .registers = 1, .scale = 1, .every_ms = 1000};
            site->series[d * SITE_POINTS + p] = (struct series){.device = device->spec.name, .point = point_names[p]};
            site->of_point[d * SITE_POINTS + p] = d * SITE_POINTS + p;
        }
    }
}

static void alarms_init(struct site *site) {
    for (unsigned i = 0; i < SITE_ALARMS; i++)
        site->alarms[i] = (struct config_alarm){.name = name_of(site->names[SITE_DEVICES + i], "alarm", i),
                                                .device = (uint16_t)(i % SITE_DEVICES),
                                                .point = 0,
                                                .condition = CONDITION_ABOVE,
                                                .limit = 10,
                                                .of_n = 1,
                                                .of_m = 1,
                                                .suppressed_by = CONFIG_NONE,
                                                .class = i == 0 ? CLASS_FIRE : CLASS_ELECTRICAL,
                                                .priority = PRIORITY_HIGH,
                                                .zh = "",
                                                .en = ""};
}

void site_init(struct site *site) {
    memset(site, 0, sizeof(*site));
    site->places[0] = (struct config_place){.key = "shed-1", .name = "Shed", .address = "", .responsible = "", .phone = ""};
    site->buses[0] = (struct bus_spec){.name = "line"};
    devices_init(site);
    alarms_init(site);
    for (unsigned i = 0; i < SITE_UPLINKS; i++) {
        site->uplinks[i] =
            (struct config_uplink){.name = name_of(site->names[SITE_DEVICES + SITE_ALARMS + i], "uplink", i), .readings = {.wanted = true}};
        site->uplinks[i].mqtt.window = 20;
        site->uplinks[i].mqtt.brokers[0] = (struct config_broker){.host = "broker.example", .port = 1883};
        site->uplinks[i].mqtt.brokers_count = 1;
        site->uplinks[i].mqtt.topic_prefix = "yanhuo/v1/gw";
        site->image.uplink_numbers[i] = (uint8_t)(i + 1); /* not the index: they are durable */
    }
    site->actions[0] = (struct config_action){.name = "cut-branch", .alarm = 0, .device = 1, .point = 3, .value = 0};
    site->directory = (struct series_directory){.count = SITE_DEVICES * SITE_POINTS, .items = site->series, .of_point = site->of_point};
    site->image.next_seq = 1;
    site->image.series = site->directory;
    site->config = (struct config){.path = "",
                                   .gateway_id = "gw",
                                   .timezone = "Asia/Shanghai",
                                   .utc_offset_minutes = 480,
                                   .places_count = 1,
                                   .buses_count = 1,
                                   .devices_count = SITE_DEVICES,
                                   .alarms_count = 4,
                                   .uplinks_count = 1,
                                   .points_count = SITE_DEVICES * SITE_POINTS,
                                   .places = site->places,
                                   .buses = site->buses,
                                   .devices = site->devices,
                                   .alarms = site->alarms,
                                   .actions = site->actions,
                                   .derived = site->derived,
                                   .terms = site->terms,
                                   .uplinks = site->uplinks,
                                   .store = {.readings_commit_ms = 5000},
                                   .hash = "0123456789abcdef",
                                   .profiles_hash = "fedcba9876543210"};
}

struct now site_now(int64_t ms) {
    return (struct now){.mono_us = ms * 1000, .wall_ms = 1795000000000 + ms, .wall_trusted = true};
}
