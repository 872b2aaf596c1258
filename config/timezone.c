/* SPDX-License-Identifier: Apache-2.0 */
/* The offset of a time zone at the moment of loading. The C library knows zones only through the environment, so it is set
 * and put back; loading happens at start, on one thread. China's zone is known without the package tzdata. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stdio.h>

#include "base/now.h"
#include "config/loader.h"

#define ZONES "/usr/share/zoneinfo/"

static bool is_zone_name(const char *name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
    return name[0] && name[0] != '/' && strlen(name) < NAME_SIZE && strspn(name, allowed) == strlen(name);
}

static int offset_now(const char *zone_file) {
    const char *before = getenv("TZ");
    char *saved = before ? strdup(before) : NULL, zone[NAME_SIZE + 40];
    struct now now;
    struct tm civil = {0};
    snprintf(zone, sizeof(zone), ":%s", zone_file);
    now_read(&now);
    time_t seconds = (time_t)(now.wall_ms / 1000);
    setenv("TZ", zone, 1);
    tzset();
    localtime_r(&seconds, &civil);
    if (saved)
        setenv("TZ", saved, 1);
    else
        unsetenv("TZ");
    tzset();
    free(saved);
    return (int)(civil.tm_gmtoff / 60);
}

bool timezone_offset(const char *name, int *ret_minutes) {
    char path[sizeof(ZONES) + NAME_SIZE];
    *ret_minutes = 0;
    if (strcmp(name, "UTC") == 0)
        return true;
    if (strcmp(name, "Asia/Shanghai") == 0) {
        *ret_minutes = 480;
        return true;
    }
    if (!is_zone_name(name))
        return false;
    snprintf(path, sizeof(path), ZONES "%s", name);
    if (access(path, R_OK) != 0)
        return false;
    *ret_minutes = offset_now(path);
    return true;
}
