/* SPDX-License-Identifier: Apache-2.0 */
/* A small site for the tests of core and uplinks: devices with equal points, alarms and uplinks that a test changes before it
 * starts, everything in one structure, no file behind it. */
#ifndef YANHUO_TESTS_CORE_SITE_H
#define YANHUO_TESTS_CORE_SITE_H

#include "gateway/core/event.h"

#define SITE_DEVICES 4
#define SITE_POINTS 4 /* of each device */
#define SITE_ALARMS 32
#define SITE_UPLINKS 3

struct site {
    struct config config;
    struct config_place places[1];
    struct bus_spec buses[1];
    struct config_device devices[SITE_DEVICES];
    struct point points[SITE_DEVICES][SITE_POINTS];
    struct config_alarm alarms[SITE_ALARMS];
    struct config_uplink uplinks[SITE_UPLINKS];
    struct config_action actions[2];
    struct config_derived derived[6];
    struct config_term terms[16];
    struct series series[SITE_DEVICES * SITE_POINTS];
    uint32_t of_point[SITE_DEVICES * SITE_POINTS];
    struct series_directory directory;
    char names[SITE_DEVICES + SITE_ALARMS + SITE_UPLINKS][16];
    struct store_image image;
};

/* 4 devices "device-0" .. of 4 points "p0" .. polled each second; 4 alarms "alarm-0" .. above 10 on point 0 of each device, the
 * first of class fire; one uplink "uplink-0" that gets every poll at once. No actions, derived points and terms: their counts are 0. */
void site_init(struct site *site);

struct now site_now(int64_t ms);

#endif
