/* SPDX-License-Identifier: Apache-2.0 */
/* The rule is in response.h. The slowest of a sliding window is kept as the slowest of two windows that follow each other. */
#include "sensors/response.h"

#include "base/check.h"

#define MISSES_TO_CEILING 2

void response_init(struct response *response, int64_t ceiling_us, bool learns) {
    int64_t floor_us = ceiling_us < RESPONSE_FLOOR_US ? ceiling_us : RESPONSE_FLOOR_US;
    *response = (struct response){.floor_us = floor_us, .ceiling_us = ceiling_us, .learned_us = ceiling_us, .learns = learns};
}

static int64_t within(const struct response *response, int64_t timeout_us) {
    if (timeout_us < response->floor_us)
        return response->floor_us;
    return timeout_us < response->ceiling_us ? timeout_us : response->ceiling_us;
}

void response_answered(struct response *response, int64_t turnaround_us) {
    response->misses = 0;
    if (!response->learns)
        return;
    if (response->answers == RESPONSE_WINDOW) {
        response->slowest_us[1] = response->slowest_us[0];
        response->slowest_us[0] = 0;
        response->answers = 0;
        response->full = true;
    }
    response->answers++;
    if (turnaround_us > response->slowest_us[0])
        response->slowest_us[0] = turnaround_us;
    if (!response->full && response->answers < RESPONSE_ANSWERS_MIN)
        return;
    int64_t slowest_us = response->slowest_us[0] > response->slowest_us[1] ? response->slowest_us[0] : response->slowest_us[1];
    response->learned_us = within(response, 2 * slowest_us + RESPONSE_EXTRA_US);
}

void response_missed(struct response *response) {
    if (response->misses < MISSES_TO_CEILING)
        response->misses++;
}

int64_t response_timeout_us(const struct response *response, unsigned device_misses) {
    unsigned misses = response->misses > device_misses ? response->misses : device_misses;
    if (misses >= MISSES_TO_CEILING)
        return response->ceiling_us;
    return misses == 0 ? response->learned_us : within(response, 2 * response->learned_us);
}

int64_t response_usual_us(const struct response *response) {
    if (!response->learns || (response->answers == 0 && !response->full))
        return 0;
    int64_t slowest_us = response->slowest_us[0] > response->slowest_us[1] ? response->slowest_us[0] : response->slowest_us[1];
    return slowest_us + RESPONSE_USUAL_EXTRA_US;
}

void response_check(const struct response *response) {
    CHECK(response->floor_us <= response->learned_us && response->learned_us <= response->ceiling_us);
    CHECK(response->learns || response->learned_us == response->ceiling_us);
    CHECK(response->answers <= RESPONSE_WINDOW && response->misses <= MISSES_TO_CEILING);
}
