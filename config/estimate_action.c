/* SPDX-License-Identifier: Apache-2.0 */
/* How promptly a local action writes, from the rules of sensors/poller_write.c and nothing else:
 *
 *   at once   the reply is of the same bus, and its alarm has no delay: the line is held for the verdict, at most ACTION_ROAD_US, and the write
 *             follows after the silence
 *   else      whatever has just been begun on the bus comes first: the longest read, answered as late as it ever is (plan_prompt_us).
 *             Devices that are known dead cost less than that, however many: their probes are cut. One that is newly silent is
 *             waited for until the last moment that keeps ACTION_WRITE_MAX_US, when it is asked for a fire point or was never heard
 *   network   what is under way is cut when the write must go; a network's own delay is not counted
 *   behind    writes of the same alarm on the same bus that stand before it in the file: each its whole transaction; one whose
 *             device is silent has POLLER_WRITE_USUAL_US instead of its answer */
#include "config/estimate.h"

#include "sensors/poller.h"

static int64_t max_us(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static unsigned reply_bytes(const struct plan_request *request) {
    bool bits = request->function == FC_READ_COILS || request->function == FC_READ_DISCRETE;
    return bits ? (request->count + 7u) / 8 : request->count * 2u;
}

/* The longest answer of the line. */
static enum err find_longest(const struct config *config, uint16_t bus, const struct line_timing *line, struct arena *scratch,
                             struct estimate_prompt *prompt) {
    for (uint16_t i = 0; i < config->devices_count; i++) {
        struct plan plan;
        if (config->devices[i].bus != bus)
            continue;
        enum err err = plan_build(&config->devices[i].spec, line, scratch, &plan);
        if (err)
            return err;
        for (uint16_t k = 0; k < plan.count; k++)
            if (prompt->device == CONFIG_NONE || reply_bytes(&plan.requests[k]) > prompt->reply_bytes) {
                prompt->device = i;
                prompt->reply_bytes = reply_bytes(&plan.requests[k]);
            }
    }
    return ERR_OK;
}

static void add_writes_before(const struct config *config, uint16_t action, const struct line_timing *line, struct estimate_prompt *prompt) {
    const struct config_action *own = &config->actions[action];
    int64_t answered_us = 0;
    for (uint16_t i = 0; i < action; i++) {
        const struct config_action *other = &config->actions[i];
        if (other->alarm != own->alarm || config->devices[other->device].bus != config->devices[own->device].bus)
            continue;
        prompt->before++;
        if (line)
            answered_us += line_bytes_us(line, plan_write_bytes(config_point(config, other->device, other->point)) + PLAN_ECHO_BYTES) +
                           PLAN_TURNAROUND_US + line_silence_us(line) + PLAN_HOST_US;
    }
    for (unsigned i = 0; i < ESTIMATE_CASES; i++) {
        unsigned silent = estimate_silent[i] < prompt->before ? estimate_silent[i] : prompt->before;
        prompt->begins_us[i] += answered_us + silent * (int64_t)POLLER_WRITE_USUAL_US;
    }
}

static enum err estimate_as(const struct config *config, uint16_t action, const struct bus_spec *spec, struct arena *scratch,
                            struct estimate_prompt *ret_prompt) {
    const struct config_action *own = &config->actions[action];
    const struct config_alarm *alarm = &config->alarms[own->alarm];
    uint16_t to = config->devices[own->device].bus;
    bool direct = alarm->point != CONFIG_NONE && !config_point(config, alarm->device, alarm->point)->derived; /* else inputs may be of any bus */
    bool at_once = direct && alarm->on_delay_ms == 0 && config->devices[alarm->device].bus == to;
    struct line_timing timing = bus_line_timing(spec);
    const struct line_timing *line = timing.baud != 0 ? &timing : NULL;
    size_t frame_bytes = plan_write_bytes(config_point(config, own->device, own->point));
    int64_t least_us = ACTION_ROAD_US;
    *ret_prompt = (struct estimate_prompt){.device = CONFIG_NONE};
    if (line) {
        ret_prompt->frame_us = line_bytes_us(line, frame_bytes);
        least_us += line_silence_us(line) + PLAN_HOST_US;
    }
    int64_t first_us = least_us, silent_us = least_us;
    if (!at_once) {
        enum err err = find_longest(config, to, line, scratch, ret_prompt);
        if (err)
            return err;
        if (ret_prompt->device != CONFIG_NONE) {
            first_us = line ? plan_prompt_us(line, ret_prompt->reply_bytes, frame_bytes) - ret_prompt->frame_us : ACTION_WRITE_MAX_US;
            silent_us = max_us(first_us, ACTION_WRITE_MAX_US - ret_prompt->frame_us);
        }
    }
    for (unsigned i = 0; i < ESTIMATE_CASES; i++)
        ret_prompt->begins_us[i] = estimate_silent[i] == 0 ? first_us : silent_us;
    ret_prompt->alone_us = first_us + ret_prompt->frame_us;
    add_writes_before(config, action, line, ret_prompt);
    return ERR_OK;
}

enum err estimate_prompt(const struct config *config, uint16_t action, struct arena *scratch, struct estimate_prompt *ret_prompt) {
    return estimate_as(config, action, &config->buses[config->devices[config->actions[action].device].bus], scratch, ret_prompt);
}

void estimate_prompt_advise(const struct config *config, uint16_t action, struct arena *scratch, struct estimate_prompt_advice *ret_advice) {
    const struct config_action *own = &config->actions[action];
    struct bus_spec spec = config->buses[config->devices[own->device].bus];
    struct line_timing line = bus_line_timing(&spec);
    struct estimate_prompt prompt;
    *ret_advice = (struct estimate_prompt_advice){0, 0};
    if (line.baud != 0 && estimate_prompt(config, action, scratch, &prompt) == ERR_OK && prompt.device != CONFIG_NONE)
        ret_advice->registers = plan_prompt_bytes(&line, plan_write_bytes(config_point(config, own->device, own->point))) / 2;
    for (size_t i = 0; i < ESTIMATE_BAUDS && !ret_advice->baud; i++) {
        if (estimate_bauds[i] <= line.baud)
            continue;
        spec.baud = estimate_bauds[i];
        if (estimate_as(config, action, &spec, scratch, &prompt) == ERR_OK && prompt.alone_us <= ACTION_WRITE_MAX_US)
            ret_advice->baud = estimate_bauds[i];
    }
}
