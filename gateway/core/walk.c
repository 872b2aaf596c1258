/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core/walk.h"

#include "base/text.h"

void walk_init(struct walk *walk, const struct config *config, struct arena *arena) {
    *walk = (struct walk){
        .config = config, .place = CONFIG_NONE, .device = CONFIG_NONE, .detectors = arena_take(arena, config->alarms_count, sizeof(*walk->detectors))};
}

static bool is_detector(const struct walk *walk, const struct config_alarm *rule) {
    bool class = rule->class == CLASS_FIRE || rule->class == CLASS_ELECTRICAL;
    bool watches = rule->condition != CONDITION_COMMUNICATION && rule->condition != CONDITION_ACTION;
    bool here = walk->device != CONFIG_NONE ? rule->device == walk->device : walk->config->devices[rule->device].place == walk->place;
    return class && watches && here;
}

bool walk_begin(struct walk *walk, const struct now *now, uint16_t place, uint16_t device, uint32_t minutes, bool inhibit, const char *by,
                const char *id, const char **ret_why) {
    if (walk->on) {
        *ret_why = "a walk test is going on already; stop it first";
        return false;
    }
    walk->place = place;
    walk->device = device;
    walk->detectors_count = walk->seen_count = 0;
    for (unsigned i = 0; i < walk->config->alarms_count; i++) {
        bool scope = is_detector(walk, &walk->config->alarms[i]);
        walk->detectors[i] = (struct walk_detector){.scope = scope, .latency_ms = -1};
        walk->detectors_count += scope;
    }
    if (!walk->detectors_count) {
        *ret_why = "there is no detector to test: no alarm of class fire or electrical";
        return false;
    }
    walk->on = true;
    walk->inhibit = inhibit;
    walk->began_ms = now->wall_ms;
    walk->ends_us = now->mono_us + 60000000 * (int64_t)minutes;
    (void)text_copy(walk->by, sizeof(walk->by), by);
    (void)text_copy(walk->id, sizeof(walk->id), id);
    return true;
}

bool walk_covers(const struct walk *walk, uint16_t alarm) {
    return walk->on && alarm < walk->config->alarms_count && walk->detectors[alarm].scope;
}

void walk_on_alarm(struct walk *walk, const struct now *now, uint16_t alarm, uint64_t event_seq) {
    if (!walk_covers(walk, alarm) || walk->detectors[alarm].at_ms)
        return;
    struct walk_detector *detector = &walk->detectors[alarm];
    detector->at_ms = now->wall_ms;
    detector->sealed_us = now->mono_us;
    detector->event_seq = event_seq;
    walk->seen_count++;
}

void walk_on_delivered(struct walk *walk, const struct now *now, uint64_t event_seq) {
    for (unsigned i = 0; walk->on && i < walk->config->alarms_count; i++) {
        struct walk_detector *detector = &walk->detectors[i];
        if (!detector->event_seq || detector->event_seq != event_seq)
            continue;
        detector->latency_ms = (int32_t)((now->mono_us - detector->sealed_us) / 1000);
        detector->event_seq = 0;
        return;
    }
}

bool walk_over(const struct walk *walk, const struct now *now) {
    return walk->on && now->mono_us >= walk->ends_us;
}

void walk_end(struct walk *walk) {
    walk->on = false;
}

int64_t walk_next_wake(const struct walk *walk) {
    return walk->on ? walk->ends_us : NOW_NEVER;
}
