/* SPDX-License-Identifier: Apache-2.0 */
/* The walk, in stages, each over all settings before the next, so that a new device at its factory address is found in the first
 * seconds whatever its speed:
 *
 *   1  the low unit ids (up to LOW_UNIT_LAST)   reading a holding register
 *   2  the same, those that said nothing        reading an input register: some devices ignore what they do not have
 *   3  the other unit ids                       reading a holding register
 *   4  the other unit ids, if nothing was found at all, reading an input register
 *
 * The timeout: a dead unit id costs its request and the timeout, so the timeout is what a sweep consists of.
 *
 *   nothing known     start
 *   an answer         twice the slowest turnaround seen and 10 ms, within floor and ceiling
 *   heard too late    doubled, at least, up to the ceiling, and it never falls below that again
 *
 * Heard too late: bytes came that nobody had asked for, or a request got something that is not its answer. Then a device is slower
 * than the timeout, and the unit ids asked within the last LATE_US, silent as they seemed, are asked again, once each, with the
 * ceiling. A unit id whose answer is damaged DOUBTS_MAX times is reported: two devices answer there, or the line is bad.
 * Nothing is asked more than once for a stray and DOUBTS_MAX times for damage, so that a noisy line is slow but comes to an end. */
#include "gateway/commission/sweep.h"

#include <string.h>

#include "base/check.h"

#define LOW_UNIT_LAST 16
#define START_LINE_US 60000
#define START_NETWORK_US 300000
#define FLOOR_LINE_US 30000
#define FLOOR_NETWORK_US 100000
#define CEILING_LINE_US 500000
#define CEILING_NETWORK_US 2000000
#define EXTRA_US 10000
#define LATE_US 500000
#define DOUBTS_MAX 3

struct stage {
    bool low, only_if_nothing;
    enum frame_function function;
};

static const struct stage stages[] = {
    {true, false, FC_READ_HOLDING},
    {true, false, FC_READ_INPUT},
    {false, false, FC_READ_HOLDING},
    {false, true, FC_READ_INPUT},
};

static unsigned stage_first(const struct sweep *sweep, unsigned stage) {
    unsigned from = stages[stage].low ? 0 : LOW_UNIT_LAST + 1;
    return from > sweep->unit_first ? from : sweep->unit_first;
}

static unsigned stage_last(const struct sweep *sweep, unsigned stage) {
    unsigned to = stages[stage].low ? LOW_UNIT_LAST : SWEEP_UNITS - 1;
    return to < sweep->unit_last ? to : sweep->unit_last;
}

static unsigned stage_size(const struct sweep *sweep, unsigned stage) {
    unsigned first = stage_first(sweep, stage), last = stage_last(sweep, stage);
    return first <= last ? last - first + 1 : 0;
}

static bool is_known(const struct sweep *sweep, unsigned unit) {
    return sweep->known[sweep->setting][unit / 8] >> (unit % 8) & 1;
}

static void setting_begin(struct sweep *sweep) {
    memset(sweep->doubts, 0, sizeof(sweep->doubts));
    memset(sweep->again, 0, sizeof(sweep->again));
    memset(sweep->asked_again, 0, sizeof(sweep->asked_again));
    sweep->unit = stage_first(sweep, sweep->stage < ARRAY_COUNT(stages) ? sweep->stage : 0);
}

void sweep_init(struct sweep *sweep, const struct sweep_setting *settings, uint8_t count, uint8_t unit_first, uint8_t unit_last, int64_t start_us) {
    CHECK(count >= 1 && count <= SWEEP_SETTINGS_MAX && unit_first <= unit_last);
    memset(sweep, 0, sizeof(*sweep));
    memcpy(sweep->settings, settings, count * sizeof(settings[0]));
    bool network = settings[0].baud == 0;
    sweep->settings_count = count;
    sweep->unit_first = unit_first;
    sweep->unit_last = unit_last;
    sweep->timeout.floor_us = network ? FLOOR_NETWORK_US : FLOOR_LINE_US;
    sweep->timeout.ceiling_us = network ? CEILING_NETWORK_US : CEILING_LINE_US;
    sweep->timeout.now_us = start_us ? start_us : network ? START_NETWORK_US : START_LINE_US;
    if (sweep->timeout.ceiling_us < sweep->timeout.now_us)
        sweep->timeout.ceiling_us = sweep->timeout.now_us;
    if (start_us) /* a person knows the devices */
        sweep->timeout.floor_us = start_us;
    for (unsigned i = 0; i + 1 < ARRAY_COUNT(stages); i++)
        sweep->total += stage_size(sweep, i) * count;
    setting_begin(sweep);
}

static bool ask_now(struct sweep *sweep, unsigned unit, bool again, struct sweep_ask *ret_ask) {
    sweep->asked_new = !again;
    sweep->ask = (struct sweep_ask){
        .setting = (uint8_t)sweep->setting,
        .unit_id = (uint8_t)unit,
        .function = stages[sweep->stage].function,
        .timeout_us = again ? sweep->timeout.ceiling_us : sweep->timeout.now_us,
        .again = again,
    };
    *ret_ask = sweep->ask;
    return true;
}

/* The next setting, or the next stage that has something to do. */
static void walk_on(struct sweep *sweep) {
    sweep->setting++;
    while (sweep->setting >= sweep->settings_count || stage_size(sweep, sweep->stage) == 0) {
        sweep->setting = 0;
        sweep->stage++;
        if (sweep->stage == ARRAY_COUNT(stages))
            return;
        if (stages[sweep->stage].only_if_nothing && sweep->found + sweep->several > 0)
            sweep->stage = ARRAY_COUNT(stages);
        if (sweep->stage == ARRAY_COUNT(stages))
            return;
        if (stages[sweep->stage].only_if_nothing)
            sweep->total += stage_size(sweep, sweep->stage) * sweep->settings_count;
    }
    setting_begin(sweep);
}

bool sweep_next(struct sweep *sweep, struct sweep_ask *ret_ask) {
    if (sweep->stage == 0 && stage_size(sweep, 0) == 0 && sweep->setting == 0) {
        sweep->setting = sweep->settings_count;
        walk_on(sweep);
    }
    while (sweep->stage < ARRAY_COUNT(stages)) {
        for (unsigned unit = 0; unit < SWEEP_UNITS; unit++)
            if (sweep->again[unit])
                return ask_now(sweep, unit, true, ret_ask);
        for (; sweep->unit <= stage_last(sweep, sweep->stage); sweep->done++)
            if (!is_known(sweep, sweep->unit++))
                return ask_now(sweep, sweep->unit - 1, false, ret_ask);
        walk_on(sweep);
    }
    return false;
}

/* Somebody was slower than the timeout: who it was is among those asked last. */
static void heard_late(struct sweep *sweep) {
    struct sweep_timeout *timeout = &sweep->timeout;
    unsigned back = (unsigned)(LATE_US / timeout->now_us) + 1;
    unsigned last = sweep->unit, first = last > back ? last - back : 0;
    if (first < stage_first(sweep, sweep->stage))
        first = stage_first(sweep, sweep->stage);
    for (unsigned unit = first; unit < last; unit++)
        if (!is_known(sweep, unit) && !sweep->asked_again[unit])
            sweep->again[unit] = sweep->asked_again[unit] = true;
    if (timeout->now_us * 2 < timeout->ceiling_us)
        timeout->now_us *= 2;
    else
        timeout->now_us = timeout->ceiling_us;
    timeout->floor_us = timeout->now_us;
}

static void learn(struct sweep_timeout *timeout, int64_t turnaround_us) {
    if (turnaround_us > timeout->slowest_us)
        timeout->slowest_us = turnaround_us;
    int64_t wanted_us = 2 * timeout->slowest_us + EXTRA_US;
    if (wanted_us < timeout->floor_us)
        wanted_us = timeout->floor_us;
    timeout->now_us = wanted_us > timeout->ceiling_us ? timeout->ceiling_us : wanted_us;
}

static enum sweep_result settle(struct sweep *sweep, enum sweep_result result) {
    sweep->known[sweep->setting][sweep->ask.unit_id / 8] |= (uint8_t)(1 << (sweep->ask.unit_id % 8));
    sweep->again[sweep->ask.unit_id] = false;
    sweep->found += result == SWEEP_FOUND;
    sweep->several += result == SWEEP_SEVERAL;
    return result;
}

enum sweep_result sweep_note(struct sweep *sweep, enum bus_status status, int64_t turnaround_us, bool strays) {
    unsigned unit = sweep->ask.unit_id;
    sweep->done += sweep->asked_new;
    sweep->again[unit] = false;
    if (status == BUS_ANSWERED) {
        learn(&sweep->timeout, turnaround_us);
        enum sweep_result result = settle(sweep, SWEEP_FOUND);
        if (strays)
            heard_late(sweep);
        return result;
    }
    if (status == BUS_CORRUPT && ++sweep->doubts[unit] >= DOUBTS_MAX)
        return settle(sweep, SWEEP_SEVERAL);
    if (status == BUS_CORRUPT || strays)
        heard_late(sweep);
    if (status == BUS_CORRUPT) {
        sweep->again[unit] = sweep->asked_again[unit] = true;
        return SWEEP_UNSURE;
    }
    return sweep->again[unit] ? SWEEP_UNSURE : SWEEP_SILENT;
}
