/* SPDX-License-Identifier: Apache-2.0 */
/* Promise 6: the alarms are what a naive reader makes of the whole signal. The signal of each alarm, every reading since the
 * start, is kept; at the end it is walked from the beginning, run by run: a run of readings on the other side of the limit
 * counts its time, blind time apart, until the delay is over or the run ends. The changes found this way must be, one by one
 * and to the microsecond, those the engine traced. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

static void add_sample(struct world *world, uint16_t alarm, const struct polled *polled, bool blind, double number) {
    struct signal *signal = &world->signals[alarm];
    signal->samples = world_grow(signal->samples, signal->samples_count, &signal->samples_room, sizeof(*signal->samples));
    signal->samples[signal->samples_count++] =
        (struct signal_sample){.polled_us = polled->now.mono_us, .delivered_us = world->now_us, .blind = blind, .number = number};
}

/* Is a fire point of the device without a good value for the third poll or more? Extra rounds count for nothing. */
static bool blind_fire_point(struct world *world, const struct polled *polled) {
    const struct config_device *device = &world->config->devices[polled->device];
    bool dead = polled->device_state == DEVICE_DEAD, blind = false;
    for (uint16_t p = 0; p < device->spec.points_count; p++) {
        uint8_t *polls = &world->blind_polls[device->first_point + p];
        if (device->spec.points[p].class != CLASS_FIRE)
            continue;
        if (dead && *polls == 0)
            *polls = 1;
        for (unsigned i = 0; !dead && !polled->extra && i < polled->count; i++)
            if (polled->readings[i].point == p)
                *polls = polled->readings[i].quality == QUALITY_GOOD ? 0 : *polls < 3 ? *polls + 1 : 3;
        blind = blind || *polls == 3;
    }
    return blind;
}

void oracle_sample(struct world *world, const struct polled *polled) {
    bool blind = blind_fire_point(world, polled);
    for (uint16_t a = 0; a < world->config->alarms_count; a++) {
        const struct config_alarm *rule = &world->config->alarms[a];
        if (rule->device != polled->device)
            continue;
        if (rule->condition == CONDITION_COMMUNICATION) {
            if (polled->device_state != DEVICE_UNKNOWN)
                add_sample(world, a, polled, false, polled->device_state == DEVICE_DEAD || blind);
            continue;
        }
        if (polled->device_state == DEVICE_DEAD)
            add_sample(world, a, polled, true, 0); /* all its points are blind */
        for (unsigned i = 0; polled->device_state != DEVICE_DEAD && i < polled->count; i++) {
            double number = 0;
            if (polled->readings[i].point != rule->point)
                continue;
            bool good = polled->readings[i].quality == QUALITY_GOOD && value_number(&polled->readings[i].value, &number);
            add_sample(world, a, polled, !good, number);
        }
    }
}

static int alarm_named(const struct world *world, const char *text, const char **ret_rest) {
    for (uint16_t a = 0; a < world->config->alarms_count; a++) {
        const struct config_alarm *rule = &world->config->alarms[a];
        char name[2 * NAME_SIZE + 16];
        int length = snprintf(name, sizeof(name), "alarm %s/%s ", world->config->devices[rule->device].spec.name, rule->name);
        if (strncmp(text, name, (size_t)length) == 0) {
            *ret_rest = text + length;
            return a;
        }
    }
    return -1;
}

bool oracle_heard(struct world *world, const char *device, const char *alarm) {
    for (uint16_t a = 0; a < world->config->alarms_count; a++) {
        const struct config_alarm *rule = &world->config->alarms[a];
        if (strcmp(rule->name, alarm) != 0 || strcmp(world->config->devices[rule->device].spec.name, device) != 0)
            continue;
        if (rule->condition == CONDITION_ACTION) /* what becomes of a write is the gateway's own doing, no sensor's */
            return true;
        for (uint32_t i = 0; i < world->signals[a].samples_count; i++)
            if (!world->signals[a].samples[i].blind)
                return true;
        return false;
    }
    world_fail(world, "the state of %s/%s, which is no alarm", device, alarm);
}

static bool names_active(const char *state) {
    return strncmp(state, "unacknowledged", 14) == 0 || strncmp(state, "acknowledged", 12) == 0;
}

void oracle_trace(struct world *world, const struct trace_line *line) {
    const char *rest;
    int alarm = strncmp(line->text, "alarm ", 6) == 0 ? alarm_named(world, line->text, &rest) : -1;
    if (alarm < 0)
        return;
    struct signal *signal = &world->signals[alarm];
    if (strncmp(rest, "restored ", 9) == 0) {
        signal->active_at_start = names_active(rest + 9);
        return;
    }
    if (strncmp(rest, "chatters ", 9) == 0)
        return; /* said of an alarm, and no change of it */
    signal->changes = world_grow(signal->changes, signal->changes_count, &signal->changes_room, sizeof(*signal->changes));
    signal->changes[signal->changes_count++] = (struct signal_change){.at_us = line->mono_us, .active = names_active(rest)};
}

void oracle_begin(struct world *world) {
    for (uint16_t a = 0; a < world->config->alarms_count; a++) {
        world->signals[a].samples_count = world->signals[a].changes_count = 0;
        world->signals[a].active_at_start = false;
    }
    memset(world->blind_polls, 0, world->config->points_count);
}

static bool over(const struct config_alarm *rule, double number, double margin) {
    switch (rule->condition) {
    case CONDITION_ABOVE:
        return number > rule->limit - margin;
    case CONDITION_BELOW:
        return number < rule->limit + margin;
    case CONDITION_EQUAL:
        return number == rule->limit;
    case CONDITION_COMMUNICATION:
        return number != 0;
    case CONDITION_COMPOSITE:
    case CONDITION_ACTION:
        break; /* no plant of the oracle has one */
    }
    return false;
}

/* Each good reading against the limit; after one that was over, the deadband belongs to over. */
static void compare(const struct config_alarm *rule, const struct signal *signal) {
    bool before = signal->active_at_start;
    for (uint32_t i = 0; i < signal->samples_count; i++) {
        struct signal_sample *sample = &signal->samples[i];
        if (!sample->blind)
            before = over(rule, sample->number, before ? rule->deadband : 0);
        sample->over = before;
    }
}

/* From the sample at *from on: when the state changes next; false when it does not. *from moves to the sample after. */
static bool next_change(const struct world *world, const struct config_alarm *rule, const struct signal *signal, bool active, uint32_t *from,
                        int64_t *ret_at_us) {
    int64_t delay_us = 1000 * (int64_t)(active ? rule->off_delay_ms : rule->on_delay_ms), left_us = delay_us;
    bool in_run = false;
    for (uint32_t i = *from; i < signal->samples_count; i++) {
        const struct signal_sample *sample = &signal->samples[i], *next = i + 1 < signal->samples_count ? sample + 1 : NULL;
        if (sample->blind)
            continue; /* its time does not count, in a run or not */
        if (sample->over == active) {
            in_run = false;
            continue;
        }
        if (!in_run)
            left_us = delay_us;
        in_run = true;
        int64_t at_us = sample->polled_us + left_us;
        bool in_time = next ? at_us < next->delivered_us || (next->blind && at_us <= next->polled_us) : at_us <= world->now_us;
        if (left_us == 0 || in_time) {
            *ret_at_us = at_us;
            *from = i + 1;
            return true;
        }
        if (next)
            left_us -= next->polled_us - sample->polled_us;
    }
    return false;
}

static void check_alarm(const struct world *world, uint16_t a) {
    const struct config_alarm *rule = &world->config->alarms[a];
    const struct signal *signal = &world->signals[a];
    const char *device = world->config->devices[rule->device].spec.name;
    bool active = signal->active_at_start;
    uint32_t from = 0, changes = 0;
    int64_t at_us;
    compare(rule, signal);
    while (next_change(world, rule, signal, active, &from, &at_us)) {
        active = !active;
        const struct signal_change *change = changes < signal->changes_count ? &signal->changes[changes] : NULL;
        if (!change || change->at_us != at_us || change->active != active)
            world_fail(world, "alarms: %s/%s should have become %s at %.6f s; the engine %s at %.6f s", device, rule->name,
                       active ? "active" : "inactive", (double)(at_us - WORLD_BEGIN_US) / 1e6,
                       !change          ? "did nothing"
                       : change->active ? "made it active"
                                        : "made it inactive",
                       change ? (double)(change->at_us - WORLD_BEGIN_US) / 1e6 : 0);
        changes++;
    }
    if (changes != signal->changes_count)
        world_fail(world, "alarms: %s/%s changed at %.6f s, and the signal gives no reason", device, rule->name,
                   (double)(signal->changes[changes].at_us - WORLD_BEGIN_US) / 1e6);
}

void oracle_check(struct world *world) {
    for (uint16_t a = 0; a < world->config->alarms_count; a++)
        /* N of M has tests of its own; an action alarm follows what becomes of writes, which is no signal */
        if (world->config->alarms[a].of_m == 1 && world->config->alarms[a].condition != CONDITION_ACTION)
            check_alarm(world, a);
}
