/* SPDX-License-Identifier: Apache-2.0 */
/* The promises, checked around every step. By number:
 *  1 conservation and 2 order       world_ledger.c
 *  3 at most one request a bus, one run a lane, one query an uplink, a window of messages      where they are begun
 *  4 freshness       a good reading that is published or goes to the history is what its device held when it was asked, with
 *                    the time its poll ended; a healthy device is never older than two periods and the time its sick
 *                    neighbours may cost
 *  5 isolation       a dead device is not asked more often than its probe interval (world_bus.c)
 *  6 alarms          world_oracle.c
 *  7 no busy loop    count_step in world.c
 *  8 poller_check and engine_check after each step
 *  9 no waiting      the event of an alarm that a poll changed is sent in that very step, before any reading
 * 10 no false all-clear   the retained state of an alarm becomes "normal" only when its signal was heard since the start */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

#define SICK_US (30 * SECOND) /* how long a device that was sick is granted to be found again */
#define MISSES 3              /* unanswered requests until a device counts as dead */
#define SLACK_US (400 * MS)   /* other transactions that were under way or due before */

/* ---- 4: content ---- */

static int64_t digits(const char *text, unsigned count) {
    int64_t number = 0;
    while (count--)
        number = 10 * number + (*text++ - '0');
    return number;
}

/* RFC 3339 as the gateway writes it. */
static int64_t read_time(struct world *world, const char *text) {
    static const int before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    if (strlen(text) < 29 || text[10] != 'T' || text[19] != '.' || (text[23] != '+' && text[23] != '-'))
        world_fail(world, "'%s' is no time", text);
    int64_t year = digits(text, 4), month = digits(text + 5, 2), day = digits(text + 8, 2);
    int64_t days = 365 * (year - 1970) + (year - 1969) / 4 + before_month[month - 1] + (month > 2 && year % 4 == 0) + day - 1;
    int64_t minutes = 60 * digits(text + 11, 2) + digits(text + 14, 2);
    int64_t offset = 60 * digits(text + 24, 2) + digits(text + 27, 2);
    minutes -= text[23] == '+' ? offset : -offset;
    return ((days * 1440 + minutes) * 60 + digits(text + 17, 2)) * 1000 + digits(text + 20, 3);
}

static uint16_t point_of(struct world *world, uint16_t device, const char *name) {
    const struct device_spec *spec = &world->config->devices[device].spec;
    for (uint16_t p = 0; p < spec->points_count; p++)
        if (strcmp(spec->points[p].name, name) == 0)
            return p;
    world_fail(world, "a reading of %s/%s, which does not exist", spec->name, name);
}

static void check_reading(struct world *world, uint16_t device, const char *object) {
    char time[64], point[NAME_SIZE], number[64], quality[16];
    struct value value = {.kind = VALUE_NUMBER};
    json_text(object, "t", time, sizeof(time));
    json_text(object, "point", point, sizeof(point));
    json_text(object, "v", number, sizeof(number));
    json_text(object, "q", quality, sizeof(quality));
    uint16_t p = point_of(world, device, point);
    int64_t wall_ms = read_time(world, time);
    if (strcmp(quality, "bad") == 0) {
        if (strcmp(number, "null") != 0)
            world_fail(world, "a bad reading of %s carries the value %s", point, number);
        return;
    }
    if (!text_read_double(number, &value.number)) {
        value.kind = VALUE_TEXT;
        (void)text_copy(value.text, sizeof(value.text), number);
    }
    if (!truth_known(world, world->config->devices[device].first_point + p, wall_ms, &value))
        world_fail(world, "freshness: %s/%s = %s (%s) at %s is published, which the device did not say then",
                   world->config->devices[device].spec.name, point, number, quality, time);
}

static void check_readings(struct world *world, const struct effect *effect) {
    const char *name = strstr(effect->send.topic, "/reading/");
    uint16_t device = world_device(world, name + strlen("/reading/"));
    for (const char *object = strstr(effect->send.payload, "{\"t\":"); object; object = strstr(object + 1, "{\"t\":"))
        check_reading(world, device, object);
}

/* ---- 9: nothing waits in front of an alarm ---- */

static void check_sent(struct world *world, uint16_t uplink, uint64_t transitions) {
    const struct model_broker *broker = &world->brokers[uplink];
    uint64_t alarms = 0;
    bool reading = false;
    for (unsigned i = 0; i < world->effects.count; i++) {
        const struct effect *effect = &world->effects.items[i];
        if (effect->kind != EFFECT_SEND || effect->send.uplink != uplink)
            continue;
        reading = reading || strstr(effect->send.topic, "/reading/");
        if (!strstr(effect->send.topic, "/event") || !strstr(effect->send.payload, "\"replayed\":false,\"kind\":\"alarm\""))
            continue;
        alarms++;
        if (reading)
            world_fail(world, "a reading goes before an alarm to %s", world->config->uplinks[uplink].name);
    }
    uint64_t room = (uint64_t)(broker->window - broker->in_flight);
    bool hidden = engine_counters(world->engine)->chatters > 0; /* an alarm that chatters is told by two events */
    /* Before the last of them may go, of each fire alarm, its retained state and the problem that it opens. */
    if (broker->noticed && !world->stopping && !hidden && room > 3 * transitions && alarms < transitions)
        world_fail(world, "waiting: %llu alarms changed and %llu are sent to %s in the same step, with room for %llu",
                   (unsigned long long)transitions, (unsigned long long)alarms, world->config->uplinks[uplink].name, (unsigned long long)room);
}

/* ---- 10: an all-clear rests on evidence ---- */

static void check_alarm(struct world *world, const struct effect *effect) {
    char device[NAME_SIZE], state[32];
    const char *name = strstr(effect->send.topic, "/alarm/") + strlen("/alarm/"), *slash = strchr(name, '/');
    json_text(effect->send.payload, "state", state, sizeof(state));
    snprintf(device, sizeof(device), "%.*s", (int)(slash - name), name);
    if (strcmp(state, "normal") == 0 && !oracle_heard(world, device, slash + 1))
        world_fail(world, "a false all-clear: %s is told normal, and nothing was heard of it since the start", name);
}

void check_step(struct world *world, const struct event *event) {
    for (unsigned i = 0; i < world->effects.count; i++) {
        const struct effect *effect = &world->effects.items[i];
        if (effect->kind == EFFECT_STORE)
            ledger_stored(world, effect->store.bytes, effect->store.size);
        else if (effect->kind == EFFECT_SEND && strstr(effect->send.topic, "/reading/"))
            check_readings(world, effect);
        else if (effect->kind == EFFECT_SEND && strstr(effect->send.topic, "/alarm/"))
            check_alarm(world, effect);
    }
    uint64_t transitions = engine_counters(world->engine)->alarm_transitions;
    if (event->kind == EVENT_POLLED && transitions > world->transitions_before)
        for (uint16_t u = 0; u < world->config->uplinks_count; u++)
            check_sent(world, u, transitions - world->transitions_before);
    world->transitions_before = transitions;
}

/* ---- 4: age ---- */

void check_poll(struct world *world, const struct polled *polled) {
    struct model_device *device = &world->devices[polled->device];
    uint32_t first_point = world->config->devices[polled->device].first_point;
    bool dead = polled->device_state == DEVICE_DEAD;
    if (dead && !device->dead)
        device->dead_asked_us = world->now_us;
    device->dead = dead;
    if (polled->now.mono_us != world->now_us)
        world_fail(world, "freshness: a poll that ended now carries another time");
    for (unsigned i = 0; i < polled->count; i++)
        if (polled->readings[i].quality == QUALITY_GOOD)
            world->points[first_point + polled->readings[i].point].good_us = world->now_us;
}

static bool sick(const struct world *world, uint16_t d) {
    const struct model_device *device = &world->devices[d];
    return device->fault != SICK_NONE || (device->changed_us && world->now_us - device->changed_us < SICK_US);
}

/* What sick neighbours may cost at worst: each its misses until it is dead, for each of its requests that are due at once. */
static int64_t sick_cost_us(const struct world *world, uint16_t bus) {
    int64_t cost_us = 0;
    for (uint16_t d = 0; d < world->config->devices_count; d++)
        if (world->config->devices[d].bus == bus && sick(world, d))
            cost_us += MISSES * ((int64_t)world->config->devices[d].spec.timeout_ms * 1000 + 50 * MS);
    return cost_us;
}

void check_age(struct world *world) {
    for (uint16_t d = 0; d < world->config->devices_count; d++) {
        const struct config_device *device = &world->config->devices[d];
        const struct model_bus *bus = &world->buses[device->bus];
        bool bus_sick = !bus->plugged || (bus->changed_us && world->now_us - bus->changed_us < SICK_US);
        if (bus_sick || sick(world, d))
            continue;
        int64_t cost_us = SLACK_US + sick_cost_us(world, device->bus);
        for (uint16_t p = 0; p < device->spec.points_count; p++) {
            const struct point *point = &device->spec.points[p];
            struct reading reading;
            if (point->derived)
                continue;
            slave_get(&world->plant.devices[d].slave, p, &reading);
            int64_t since_us = world->points[device->first_point + p].good_us;
            since_us = world->devices[d].changed_us > since_us ? world->devices[d].changed_us : since_us;
            int64_t age_us = world->now_us - (bus->changed_us > since_us ? bus->changed_us : since_us);
            if (reading.quality == QUALITY_GOOD && age_us > 2 * 1000 * (int64_t)point->every_ms + cost_us)
                world_fail(world, "freshness: %s/%s is healthy and %lld ms old, with a period of %u ms", device->spec.name, point->name,
                           (long long)(age_us / 1000), point->every_ms);
        }
    }
}
