/* SPDX-License-Identifier: Apache-2.0 */
/* How late at worst, from the rules of sensors/schedule.h and sensors/poller.h and nothing else:
 *
 *   seen(k)    = period + own + shifted + blocked + the k largest of (timeout + silence) among the other devices of the bus
 *   own        the fire request's transaction: 13 characters and its data, the turnaround, the silence
 *   shifted    fire requests of another period: they stand before this one at some releases and not at others. Those of the same
 *              period stand before it always, and the distance from one reply to the next stays a period.
 *   blocked    the longest other request, or probe of a dead device, that does not fit between two fire rounds: such a one goes
 *              by age whatever is due. 0 when all fit, because then each starts only if it ends before the fire release.
 *   written(k) = seen(k) of the alarm's point + on-delay + further readings that must agree + begins(k) of estimate_action.c + the write
 *              and its echo
 *
 * A device that falls silent costs its timeout once a period, however many requests it has (poller.h). Timeouts are the
 * configured ones; learned ones are shorter. Not counted: the time of the gateway itself (measured below 1 ms), a network's. A
 * point that is not fire is asked when it fits: for it, one whole round is added. An alarm on communication comes with the
 * third miss; one on what is computed, or on several conditions, with the last of its inputs, their windows and delays added. */
#include "config/estimate.h"

#include "sensors/poller.h"

#define REQUEST_CHARACTERS 8 /* a read that is not answered */

const unsigned estimate_silent[ESTIMATE_CASES] = {0, 1, 3};

struct work {
    uint16_t device;
    const struct plan_request *request;
    int64_t cost_us;
};

struct line {
    struct line_timing timing;
    bool timed;
    struct work *works;
    uint16_t works_count;
    int64_t fire_round_us, round_us;
    uint32_t fire_period_ms;
};

static int64_t max_us(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t silent_us(const struct line *line, const struct config_device *device) {
    return device->spec.timeout_ms * (int64_t)1000 + (line->timed ? line_silence_us(&line->timing) : 0);
}

/* A transaction that is not answered. */
static int64_t unanswered_us(const struct line *line, const struct config_device *device) {
    return silent_us(line, device) + (line->timed ? line_bytes_us(&line->timing, REQUEST_CHARACTERS) : 0);
}

static enum err gather(const struct config *config, uint16_t bus, struct arena *scratch, struct line *ret_line) {
    *ret_line = (struct line){.timing = bus_line_timing(&config->buses[bus])};
    ret_line->timed = ret_line->timing.baud != 0;
    const struct line_timing *timing = ret_line->timed ? &ret_line->timing : NULL;
    uint32_t devices_count = 0;
    for (uint16_t i = 0; i < config->devices_count; i++)
        devices_count += config->devices[i].bus == bus;
    ret_line->works = arena_take(scratch, devices_count * REQUESTS_PER_DEVICE_MAX + 1, sizeof(*ret_line->works));
    for (uint16_t i = 0; i < config->devices_count; i++) {
        struct plan plan;
        if (config->devices[i].bus != bus)
            continue;
        enum err err = plan_build(&config->devices[i].spec, timing, scratch, &plan);
        if (err)
            return err;
        for (uint16_t k = 0; k < plan.count; k++) {
            struct work work = {i, &plan.requests[k], plan_cost_us(&plan.requests[k], timing, PLAN_TURNAROUND_US)};
            ret_line->works[ret_line->works_count++] = work;
            ret_line->round_us += work.cost_us;
            if (!work.request->fire)
                continue;
            ret_line->fire_round_us += work.cost_us;
            if (!ret_line->fire_period_ms || work.request->every_ms < ret_line->fire_period_ms)
                ret_line->fire_period_ms = work.request->every_ms;
        }
    }
    return ERR_OK;
}

static int64_t blocked_us(const struct config *config, uint16_t bus, const struct line *line) {
    int64_t pause_us = line->fire_period_ms * (int64_t)1000 - line->fire_round_us, blocked = 0;
    if (!line->timed)
        return 0;
    for (uint16_t i = 0; i < line->works_count; i++)
        if (!line->works[i].request->fire && line->works[i].cost_us > pause_us)
            blocked = max_us(blocked, line->works[i].cost_us);
    for (uint16_t i = 0; i < config->devices_count; i++)
        if (config->devices[i].bus == bus && unanswered_us(line, &config->devices[i]) > pause_us)
            blocked = max_us(blocked, unanswered_us(line, &config->devices[i]));
    return blocked;
}

static int64_t shifted_us(const struct line *line, const struct work *work) {
    int64_t shifted = 0;
    for (uint16_t i = 0; i < line->works_count; i++)
        if (line->works[i].request->fire && line->works[i].request->every_ms != work->request->every_ms)
            shifted += line->works[i].cost_us;
    return shifted;
}

/* The `count` devices whose silence costs most, without `own`; fewer when there are not so many. */
static int64_t silence_of(const struct config *config, uint16_t bus, const struct line *line, uint16_t own, unsigned count) {
    int64_t sum = 0, bound = INT64_MAX;
    while (count > 0) {
        int64_t largest = -1;
        unsigned equal = 0;
        for (uint16_t i = 0; i < config->devices_count; i++) {
            int64_t one = config->devices[i].bus == bus && i != own ? silent_us(line, &config->devices[i]) : -1;
            if (one < bound && one > largest) {
                largest = one;
                equal = 0;
            }
            equal += one == largest && one >= 0;
        }
        if (largest < 0)
            break;
        unsigned taken = equal < count ? equal : count;
        sum += largest * taken;
        count -= taken;
        bound = largest;
    }
    return sum;
}

static void fill_seen(const struct config *config, uint16_t bus, const struct line *line, const struct work *work,
                      int64_t ret_seen_us[ESTIMATE_CASES]) {
    int64_t base_us = work->request->every_ms * (int64_t)1000 + work->cost_us;
    if (work->request->fire)
        base_us += shifted_us(line, work) + blocked_us(config, bus, line);
    else
        base_us += line->round_us - work->cost_us;
    for (unsigned i = 0; i < ESTIMATE_CASES; i++)
        ret_seen_us[i] = base_us + silence_of(config, bus, line, work->device, estimate_silent[i]);
}

enum err estimate_fires(const struct config *config, uint16_t bus, struct arena *scratch, struct estimate_fire **ret_fires, uint16_t *ret_count) {
    struct line line;
    enum err err = gather(config, bus, scratch, &line);
    if (err)
        return err;
    *ret_fires = arena_take(scratch, line.works_count + 1u, sizeof(**ret_fires));
    *ret_count = 0;
    for (uint16_t i = 0; i < line.works_count; i++) {
        const struct work *work = &line.works[i];
        if (!work->request->fire)
            continue;
        struct estimate_fire *fire = &(*ret_fires)[(*ret_count)++];
        *fire = (struct estimate_fire){.device = work->device, .request = work->request};
        fill_seen(config, bus, &line, work, fire->seen_us);
    }
    return ERR_OK;
}

static bool reads_point(const struct plan_request *request, uint16_t point) {
    for (uint16_t i = 0; i < request->points_count; i++)
        if (request->points[i] == point)
            return true;
    return false;
}

/* Of the requests of a device that read the point, or of all of them for CONFIG_NONE, the one made most often. */
static const struct work *best_of(const struct line *line, uint16_t device, uint16_t point) {
    const struct work *best = NULL;
    for (uint16_t i = 0; i < line->works_count; i++) {
        const struct work *work = &line->works[i];
        bool wanted = work->device == device && (point == CONFIG_NONE || reads_point(work->request, point));
        if (wanted && (best == NULL || work->request->every_ms < best->request->every_ms))
            best = work;
    }
    return best;
}

/* What an alarm waits for: of each derived point how much later than its inputs it tells, -1 when the alarm does not look at it. */
struct waits {
    const struct config *config;
    struct arena *scratch;
    int64_t *derived_us;
    int64_t *known_us; /* the result, by ESTIMATE_CASES */
    uint32_t every_ms; /* the longest period of an input */
};

/* A point that is known `wait_us` before the alarm is: a derived one is noted, a wired one is seen on its line. */
static enum err wait_for(struct waits *waits, uint16_t device, uint16_t point, int64_t wait_us) {
    const struct config *config = waits->config;
    struct line line;
    int64_t seen_us[ESTIMATE_CASES];
    for (uint16_t i = 0; config_point(config, device, point)->derived && i < config->derived_count; i++)
        if (config->derived[i].device == device && config->derived[i].point == point) {
            waits->derived_us[i] = max_us(waits->derived_us[i], wait_us + config->derived[i].over_ms * (int64_t)1000);
            return ERR_OK;
        }
    enum err err = gather(config, config->devices[device].bus, waits->scratch, &line);
    const struct work *best = err ? NULL : best_of(&line, device, point);
    if (best == NULL) /* nothing is read of it */
        return err;
    fill_seen(config, config->devices[device].bus, &line, best, seen_us);
    for (unsigned i = 0; i < ESTIMATE_CASES; i++)
        waits->known_us[i] = max_us(waits->known_us[i], seen_us[i] + wait_us);
    if (best->request->every_ms > waits->every_ms)
        waits->every_ms = best->request->every_ms;
    return ERR_OK;
}

/* Results stand behind their inputs, so one walk from the end reaches every input with the longest way to it. */
static enum err wait_for_inputs(struct waits *waits) {
    enum err err = ERR_OK;
    for (uint16_t i = waits->config->derived_count; i > 0; i--) {
        const struct config_derived *derived = &waits->config->derived[i - 1];
        for (unsigned k = 0; waits->derived_us[i - 1] >= 0 && k < derived->inputs_count && err == ERR_OK; k++)
            err = wait_for(waits, derived->inputs[k].device, derived->inputs[k].point, waits->derived_us[i - 1]);
    }
    return err;
}

/* Its point is seen, or all points of a composite are and its own delays are over. */
static enum err fill_known_by_value(const struct config *config, const struct config_alarm *alarm, struct arena *scratch,
                                    int64_t ret_known_us[ESTIMATE_CASES]) {
    int64_t *derived_us = arena_take(scratch, config->derived_count + 1u, sizeof(*derived_us)), delay_us = 0;
    struct waits waits = {.config = config, .scratch = scratch, .derived_us = derived_us, .known_us = ret_known_us};
    enum err err = ERR_OK;
    for (uint16_t i = 0; i < config->derived_count; i++)
        derived_us[i] = -1;
    for (uint16_t i = 0; i < alarm->terms_count; i++)
        delay_us += config->terms[alarm->first_term + i].on_delay_ms * (int64_t)1000;
    for (uint16_t i = 0; i < alarm->terms_count && err == ERR_OK; i++) {
        const struct config_term *term = &config->terms[alarm->first_term + i];
        if (term->point != CONFIG_NONE)
            err = wait_for(&waits, term->device, term->point, delay_us);
    }
    if (alarm->point != CONFIG_NONE && err == ERR_OK)
        err = wait_for(&waits, alarm->device, alarm->point, 0);
    if (err == ERR_OK)
        err = wait_for_inputs(&waits);
    for (unsigned i = 0; i < ESTIMATE_CASES && alarm->of_n > 1; i++)
        ret_known_us[i] += (alarm->of_n - 1) * waits.every_ms * (int64_t)1000;
    return err;
}

/* The device has missed three requests. */
static enum err fill_known_by_silence(const struct config *config, const struct config_alarm *alarm, struct arena *scratch,
                                      int64_t ret_known_us[ESTIMATE_CASES]) {
    uint16_t bus = config->devices[alarm->device].bus;
    struct line line;
    enum err err = gather(config, bus, scratch, &line);
    const struct work *best = err ? NULL : best_of(&line, alarm->device, CONFIG_NONE);
    if (best == NULL)
        return err;
    fill_seen(config, bus, &line, best, ret_known_us);
    for (unsigned i = 0; i < ESTIMATE_CASES; i++)
        ret_known_us[i] += (DEVICE_MISSES_MAX - 1) * best->request->every_ms * (int64_t)1000 + unanswered_us(&line, &config->devices[alarm->device]);
    return ERR_OK;
}

/* When the alarm's condition is known. */
static enum err fill_known(const struct config *config, const struct config_alarm *alarm, struct arena *scratch,
                           int64_t ret_known_us[ESTIMATE_CASES]) {
    for (unsigned i = 0; i < ESTIMATE_CASES; i++)
        ret_known_us[i] = 0;
    return alarm->condition == CONDITION_COMMUNICATION ? fill_known_by_silence(config, alarm, scratch, ret_known_us)
                                                       : fill_known_by_value(config, alarm, scratch, ret_known_us);
}

enum err estimate_action(const struct config *config, uint16_t action, struct arena *scratch, int64_t ret_written_us[ESTIMATE_CASES]) {
    const struct config_action *rule = &config->actions[action];
    const struct config_alarm *alarm = &config->alarms[rule->alarm];
    const struct point *point = config_point(config, rule->device, rule->point);
    uint16_t to = config->devices[rule->device].bus;
    struct line write_line;
    struct estimate_prompt prompt;
    enum err err = gather(config, to, scratch, &write_line);
    if (err == ERR_OK)
        err = estimate_prompt(config, action, scratch, &prompt);
    if (err == ERR_OK)
        err = fill_known(config, alarm, scratch, ret_written_us);
    if (err)
        return err;
    int64_t write_us = 0;
    if (write_line.timed)
        write_us = line_bytes_us(&write_line.timing, plan_write_bytes(point) + PLAN_ECHO_BYTES) + PLAN_TURNAROUND_US;
    for (unsigned i = 0; i < ESTIMATE_CASES; i++)
        ret_written_us[i] += alarm->on_delay_ms * (int64_t)1000 + prompt.begins_us[i] + write_us;
    return ERR_OK;
}
