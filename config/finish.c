/* SPDX-License-Identifier: Apache-2.0 */
/* How urgent each point is, and from that how often it is read:
 *
 *   class          the most urgent of the alarms on it, of the conditions it stands in, of what is computed from it
 *   feeds_action   an alarm on any of these writes something
 *   period         as it is written, else 1 s for fire, 5 s for electrical, 10 s for the rest
 *   read back      a point that an action writes: 5 s at most, because its state is compared with what was commanded
 *   heard          a device with a fire or electrical point: 9 s at most for its fastest one. Three misses make a device dead, so
 *                  its silence is known within 30 s, timeouts included
 *   windows        what a ready rule, 'rising' or 'falling' watches is read twice in its window at least; a window that the site wrote
 *                  itself and that is too short for its input is an error instead
 *   derived        the shortest of its inputs
 *
 * Classes go from results down to inputs, periods from inputs up to results: the list of derived points is walked in both
 * directions. */
#include "base/check.h"
#include "config/loader.h"
#include "config/scalar.h"
#include "sensors/plan.h"

#define EVERY_FIRE_MS 1000
#define EVERY_ELECTRICAL_MS 5000
#define EVERY_DEFAULT_MS 10000
#define EVERY_WRITTEN_MS 5000
#define EVERY_HEARD_MS 9000
#define WINDOW_READINGS_MIN 2 /* a mean or a rate of fewer says nothing */

static struct point *point_at(const struct loader *loader, uint16_t device, uint16_t point) {
    return &loader->devices_more[device].points[point];
}

static void raise(struct point *point, enum alarm_class class, bool feeds_action) {
    if (class < point->class)
        point->class = class;
    point->feeds_action = point->feeds_action || feeds_action;
}

static void raise_of_alarm(const struct loader *loader, const struct config_alarm *alarm, bool feeds_action) {
    if (alarm->point != CONFIG_NONE)
        raise(point_at(loader, alarm->device, alarm->point), alarm->class, feeds_action);
    for (uint16_t i = 0; i < alarm->terms_count; i++) {
        const struct config_term *term = &loader->config->terms[alarm->first_term + i];
        if (term->point != CONFIG_NONE)
            raise(point_at(loader, term->device, term->point), alarm->class, feeds_action);
    }
}

static void find_classes(struct loader *loader) {
    const struct config *config = loader->config;
    for (uint16_t i = 0; i < config->alarms_count; i++)
        raise_of_alarm(loader, &loader->alarms[i], false);
    for (uint16_t i = 0; i < config->actions_count; i++)
        raise_of_alarm(loader, &loader->alarms[loader->actions[i].alarm], true);
    for (uint16_t i = config->derived_count; i > 0; i--) {
        const struct config_derived *derived = &config->derived[i - 1];
        const struct point *result = point_at(loader, derived->device, derived->point);
        for (unsigned k = 0; k < derived->inputs_count; k++)
            raise(point_at(loader, derived->inputs[k].device, derived->inputs[k].point), result->class, result->feeds_action);
    }
}

static uint32_t every_of(enum alarm_class class) {
    return class == CLASS_FIRE ? EVERY_FIRE_MS : class == CLASS_ELECTRICAL ? EVERY_ELECTRICAL_MS : EVERY_DEFAULT_MS;
}

/* Of the urgent points the one read most often is read often enough that the device's silence is known in time. */
static void keep_heard(const struct loader *loader, uint16_t device) {
    const struct device_spec *spec = &loader->devices[device].spec;
    struct point *urgent = NULL;
    for (uint16_t i = 0; i < spec->points_count; i++) {
        struct point *point = point_at(loader, device, i);
        if (point->derived)
            continue;
        if (point->every_ms <= EVERY_HEARD_MS)
            return;
        if (point->class <= CLASS_ELECTRICAL && (!urgent || point->every_ms < urgent->every_ms))
            urgent = point;
    }
    if (!urgent)
        return;
    char asked[DURATION_SIZE];
    source_warning(&loader->site, node_place(loader->devices_more[device].node),
                   "the %s point '%s/%s' is read every 9s instead of %s, so that a silent device is known within 30 s",
                   alarm_class_name(urgent->class), spec->name, urgent->name, scalar_duration_text(asked, urgent->every_ms));
    urgent->every_ms = EVERY_HEARD_MS;
}

/* Nobody wrote this window, so the period follows it; the site is told when it wrote the alarm. */
static void keep_window(const struct loader *loader, const struct loader_derived *derived) {
    const struct config_derived *rule = &derived->rule;
    bool own = derived->source == &loader->site;
    if (derived->broken || !rule->over_ms || (own && derived->node))
        return;
    struct point *input = point_at(loader, rule->inputs[0].device, rule->inputs[0].point);
    uint32_t every_ms = rule->over_ms / WINDOW_READINGS_MIN;
    if (input->derived || input->every_ms <= every_ms)
        return;
    char asked[DURATION_SIZE], taken[DURATION_SIZE];
    if (own)
        source_warning(derived->source, derived->inputs[0],
                       "the point '%s/%s' is read every %s instead of %s, so that its rate over a minute is known",
                       loader->devices[rule->inputs[0].device].spec.name, input->name, scalar_duration_text(taken, every_ms),
                       scalar_duration_text(asked, input->every_ms));
    input->every_ms = every_ms;
}

static void find_periods(struct loader *loader) {
    const struct config *config = loader->config;
    for (uint16_t i = 0; i < config->devices_count; i++)
        for (uint16_t k = 0; k < loader->devices[i].spec.points_count; k++) {
            struct point *point = point_at(loader, i, k);
            if (!point->derived && !point->every_ms)
                point->every_ms = every_of(point->class);
        }
    for (uint16_t i = 0; i < config->actions_count; i++) {
        struct point *point = point_at(loader, loader->actions[i].device, loader->actions[i].point);
        if (point->every_ms > EVERY_WRITTEN_MS)
            point->every_ms = EVERY_WRITTEN_MS;
    }
    for (uint32_t i = 0; i < loader->derived_count; i++)
        keep_window(loader, &loader->derived[i]);
    for (uint16_t i = 0; i < config->devices_count; i++)
        keep_heard(loader, i);
}

/* As often as its quickest input; returns that. */
static uint32_t find_derived_period(struct loader *loader, const struct loader_derived *derived) {
    const struct config_derived *rule = &derived->rule;
    struct point *result = point_at(loader, rule->device, rule->point);
    result->every_ms = 0;
    for (unsigned i = 0; i < rule->inputs_count; i++) {
        const struct point *input = point_at(loader, rule->inputs[i].device, rule->inputs[i].point);
        if (!result->every_ms || input->every_ms < result->every_ms)
            result->every_ms = input->every_ms;
    }
    if (!result->every_ms) /* its inputs are not known, which was told */
        result->every_ms = EVERY_DEFAULT_MS;
    char window[DURATION_SIZE], every[DURATION_SIZE];
    if (!derived->broken && derived->source == &loader->site && rule->over_ms && rule->over_ms < WINDOW_READINGS_MIN * (uint64_t)result->every_ms)
        source_error(derived->source, derived->node ? derived->node->key : derived->inputs[0],
                     "the window of '%s' is %s, but its input is read every %s: at least %d readings must fall into it", result->name,
                     scalar_duration_text(window, rule->over_ms), scalar_duration_text(every, result->every_ms), WINDOW_READINGS_MIN);
    return result->every_ms;
}

/* Where an action writes to, no read may keep the write waiting for longer than ACTION_WRITE_MAX_US allows. A line whose points only cause
 * actions needs no cap: nothing on it stands between its reply and a write on another bus. */
static void cap_line(struct loader *loader, const struct config_action *action) {
    uint16_t bus = loader->devices[action->device].bus;
    struct line_timing line = {0};
    if (bus != CONFIG_NONE)
        line = bus_line_timing(&loader->buses[bus]);
    if (line.baud == 0)
        return;
    uint16_t most = plan_prompt_bytes(&line, plan_write_bytes(point_at(loader, action->device, action->point)));
    for (uint16_t i = 0; i < loader->config->devices_count; i++) {
        struct device_spec *spec = &loader->devices[i].spec;
        if (loader->devices[i].bus == bus && (spec->reply_bytes_max == 0 || most < spec->reply_bytes_max))
            spec->reply_bytes_max = most > 1 ? most : 2; /* less than a register can be read by nobody: check refuses it */
    }
}

void load_finish_points(struct loader *loader) {
    for (uint16_t i = 0; i < loader->config->actions_count; i++)
        cap_line(loader, &loader->actions[i]);
    find_classes(loader);
    find_periods(loader);
    for (uint32_t i = 0; i < loader->derived_count; i++)
        loader->derived_rules[i].every_ms = find_derived_period(loader, &loader->derived[i]);
}
