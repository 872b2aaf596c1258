/* SPDX-License-Identifier: Apache-2.0 */
/* Random signals with gaps through the core, a thousand alarms at a time, against a judge that sees the whole signal and counts it unit
 * by unit: random rules (above, below, equal, deadband, delays, N of M, latching, fire, returns that need no person), and persons who
 * acknowledge, reset, shelve and unshelve at random. Every state and every refusal must be the same in every unit of time.
 *
 * In a unit first all devices are polled, then what is due by time happens, then persons act. YANHUO_SEED=n tries one round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "gateway/core/core.h"
#include "tests/sim/world.h"

#define DEVICES 64
#define POINTS 16
#define SIGNALS (DEVICES * POINTS)
#define ROUNDS 10 /* more than 10,000 signals */
#define UNITS 240
#define UNIT_MS 100
#define WALL_MS INT64_C(1790000000000)

enum sample { SAMPLE_NOTHING, SAMPLE_VALUE, SAMPLE_EXTRA, SAMPLE_BLIND };
enum person { PERSON_NOBODY, PERSON_ACKNOWLEDGE, PERSON_RESET, PERSON_SHELVE, PERSON_UNSHELVE };

struct signal {
    enum sample kinds[UNITS];
    double values[UNITS];
    enum person persons[UNITS];
    unsigned shelf_units[UNITS];
};

/* ---- the judge ---- */

struct judge {
    bool active;        /* the condition holds, delays included */
    bool open, taken;   /* an occurrence is open; a person has taken it */
    bool shelved, owed; /* a person has to see it when it is back */
    unsigned back_unit;
    bool sighted, other; /* the newest sample was a value; it speaks for the other side */
    unsigned held;       /* units for which the other side was seen */
};

static bool counts(const struct config_alarm *rule, enum sample sample) {
    return sample == SAMPLE_VALUE || (sample == SAMPLE_EXTRA && rule->of_m == 1);
}

/* Whether the reading at `unit` counts as over the limit: looks back to the last reading outside the deadband. */
static bool judge_bit(const struct config_alarm *rule, const struct signal *signal, int unit) {
    for (; unit >= 0; unit--) {
        if (!counts(rule, signal->kinds[unit]))
            continue;
        double distance = rule->condition == CONDITION_ABOVE ? signal->values[unit] - rule->limit : rule->limit - signal->values[unit];
        if (rule->condition == CONDITION_EQUAL)
            return signal->values[unit] == rule->limit;
        if (distance > 0)
            return true;
        if (distance <= -rule->deadband)
            return false;
    }
    return false;
}

static bool judge_condition(const struct config_alarm *rule, const struct signal *signal, int unit) {
    unsigned seen = 0, over = 0;
    for (; unit >= 0 && seen < rule->of_m; unit--)
        if (counts(rule, signal->kinds[unit])) {
            seen++;
            over += judge_bit(rule, signal, unit);
        }
    return over >= rule->of_n;
}

static enum alarm_state judge_state(const struct judge *judge, const struct config_alarm *rule) {
    if (judge->shelved)
        return ALARM_SHELVED;
    if (!judge->open)
        return ALARM_NORMAL;
    if (judge->active)
        return judge->taken ? ALARM_ACKNOWLEDGED : ALARM_UNACKNOWLEDGED;
    return rule->latch ? ALARM_LATCHED : ALARM_RETURNED;
}

static void judge_turn(struct judge *judge, const struct config_alarm *rule) {
    judge->active = !judge->active;
    judge->other = false;
    judge->held = 0;
    if (judge->shelved) {
        judge->owed = judge->owed || (judge->active && (rule->latch || rule->class == CLASS_FIRE));
        return;
    }
    bool needs_nobody = judge->taken || (rule->auto_acknowledge && rule->class != CLASS_FIRE);
    if (judge->active) {
        judge->open = true;
        judge->taken = false;
    } else if (needs_nobody && !rule->latch) {
        judge->open = judge->taken = false;
    }
}

static void judge_back(struct judge *judge) {
    judge->shelved = judge->taken = false;
    judge->open = judge->active || judge->owed;
}

static void judge_time(struct judge *judge, const struct config_alarm *rule, const struct signal *signal, unsigned unit) {
    if (unit > 0 && judge->sighted && judge->other)
        judge->held++;
    if (counts(rule, signal->kinds[unit])) {
        judge->sighted = true;
        judge->other = judge_condition(rule, signal, (int)unit) != judge->active;
        judge->held = judge->other ? judge->held : 0;
    } else if (signal->kinds[unit] == SAMPLE_BLIND) {
        judge->sighted = false;
    }
    unsigned needed = (judge->active ? rule->off_delay_ms : rule->on_delay_ms) / UNIT_MS;
    if (judge->other && judge->held >= needed)
        judge_turn(judge, rule);
    if (judge->shelved && judge->back_unit == unit)
        judge_back(judge);
}

/* True when it is accepted. */
static bool judge_person(struct judge *judge, const struct config_alarm *rule, const struct signal *signal, unsigned unit) {
    bool passed = judge->open && !judge->active;
    switch (signal->persons[unit]) {
    case PERSON_ACKNOWLEDGE:
        if (judge->shelved || !judge->open || judge->taken)
            return false;
        judge->taken = true;
        if (passed && !rule->latch)
            judge->open = judge->taken = false;
        return true;
    case PERSON_RESET:
        if (judge->shelved || !passed || !rule->latch || !judge->taken)
            return false;
        judge->open = judge->taken = false;
        return true;
    case PERSON_SHELVE:
        if (!judge->shelved)
            judge->owed = judge->open && (rule->latch || (rule->class == CLASS_FIRE && !judge->taken));
        judge->shelved = true;
        judge->back_unit = unit + signal->shelf_units[unit];
        return true;
    case PERSON_UNSHELVE:
        if (!judge->shelved)
            return false;
        judge_back(judge);
        return true;
    case PERSON_NOBODY:
        break;
    }
    return false;
}

/* ---- the plant ---- */

struct round {
    struct config config;
    struct bus_spec bus;
    struct config_device devices[DEVICES];
    struct point points[DEVICES][POINTS];
    struct config_alarm alarms[SIGNALS];
    struct series series[SIGNALS];
    uint32_t of_point[SIGNALS];
    char names[SIGNALS][8];
    struct series_directory directory;
    struct store_image image;
    struct signal signals[SIGNALS];
    struct judge judges[SIGNALS];
    bool extra[DEVICES][UNITS]; /* this poll is beside the period */
    struct arena arena;
    struct trace trace;
    struct engine_counters counters;
    struct core core;
    struct effects effects;
    uint64_t commands;
    unsigned transitions, shelves;
};

static void random_rule(struct prng *prng, struct config_alarm *rule) {
    static const enum alarm_class classes[] = {CLASS_FIRE, CLASS_ELECTRICAL, CLASS_MAINTENANCE};
    rule->condition = (enum condition_kind)prng_below(prng, 3);
    rule->limit = 10;
    rule->deadband = rule->condition == CONDITION_EQUAL ? 0 : (double)prng_below(prng, 4) * 0.5;
    rule->on_delay_ms = (uint32_t)prng_below(prng, 8) * UNIT_MS;
    rule->off_delay_ms = (uint32_t)prng_below(prng, 8) * UNIT_MS;
    rule->of_m = (uint8_t)(1 + (prng_below(prng, 2) ? prng_below(prng, 5) : 0));
    rule->of_n = (uint8_t)(1 + prng_below(prng, rule->of_m));
    rule->latch = prng_below(prng, 2);
    rule->class = classes[prng_below(prng, 3)];
    rule->auto_acknowledge = prng_below(prng, 4) == 0;
    rule->suppressed_by = CONFIG_NONE;
    rule->zh = rule->en = "";
}

static void random_signal(struct prng *prng, const bool *extra, struct signal *signal) {
    unsigned density = 1 + (unsigned)prng_below(prng, 6);
    for (unsigned i = 0; i < UNITS; i++) {
        unsigned draw = (unsigned)prng_below(prng, 9 * density);
        signal->kinds[i] = draw < 7 ? (extra[i] ? SAMPLE_EXTRA : SAMPLE_VALUE) : draw == 7 && !extra[i] ? SAMPLE_BLIND : SAMPLE_NOTHING;
        bool repeat = i && prng_below(prng, 3); /* values that stay, so that delays run out */
        signal->values[i] = repeat ? signal->values[i - 1] : 7 + (double)prng_below(prng, 13) * 0.5;
        signal->persons[i] = prng_below(prng, 16) ? PERSON_NOBODY : (enum person)(1 + prng_below(prng, 4));
        signal->shelf_units[i] = 1 + (unsigned)prng_below(prng, 40);
    }
}

static void round_init(struct round *round, uint64_t seed) {
    struct prng prng;
    prng_init(&prng, seed);
    memset(round, 0, sizeof(*round));
    round->bus.name = "line";
    for (unsigned d = 0; d < DEVICES; d++) {
        for (unsigned u = 0; u < UNITS; u++)
            round->extra[d][u] = prng_below(&prng, 8) == 0;
        round->devices[d] = (struct config_device){
            .place = CONFIG_NONE, .first_point = d * POINTS, .location = "", .profile = "", .manufacturer = "", .model = ""};
        round->devices[d].spec = (struct device_spec){
            .name = round->names[d * POINTS], .device = (uint16_t)d, .unit_id = 1, .points_count = POINTS, .points = round->points[d]};
        for (unsigned p = 0; p < POINTS; p++) {
            unsigned i = d * POINTS + p;
            snprintf(round->names[i], sizeof(round->names[i]), "n%u", i);
            round->points[d][p] = (struct point){
                .name = round->names[i], .unit = "A", .read = READ_HOLDING, .type = TYPE_U16, .registers = 1, .scale = 1, .every_ms = 1000};
            round->series[i] = (struct series){.device = round->names[d * POINTS], .point = round->names[i]};
            round->of_point[i] = i;
            round->alarms[i] = (struct config_alarm){.name = round->names[i], .device = (uint16_t)d, .point = (uint16_t)p};
            random_rule(&prng, &round->alarms[i]);
            random_signal(&prng, round->extra[d], &round->signals[i]);
        }
    }
    round->directory = (struct series_directory){.count = SIGNALS, .items = round->series, .of_point = round->of_point};
    round->image = (struct store_image){.next_seq = 1, .series = round->directory};
    round->config = (struct config){.path = "",
                                    .gateway_id = "gw",
                                    .timezone = "",
                                    .buses_count = 1,
                                    .devices_count = DEVICES,
                                    .alarms_count = SIGNALS,
                                    .points_count = SIGNALS,
                                    .buses = &round->bus,
                                    .devices = round->devices,
                                    .alarms = round->alarms,
                                    .store = {.readings_commit_ms = 5000},
                                    .hash = "",
                                    .profiles_hash = ""};
    arena_init(&round->arena);
    trace_init(&round->trace);
    core_init(&round->core, &round->config, &round->directory, &round->arena, &round->trace, &round->counters);
}

/* ---- one unit of time ---- */

static struct now unit_now(unsigned unit) {
    return (struct now){.mono_us = (int64_t)unit * UNIT_MS * 1000, .wall_ms = WALL_MS + (int64_t)unit * UNIT_MS, .wall_trusted = true};
}

static void poll_all(struct round *round, const struct now *now, unsigned unit) {
    for (unsigned d = 0; d < DEVICES; d++) {
        struct polled polled = {
            .device = (uint16_t)d, .status = BUS_ANSWERED, .device_state = DEVICE_ONLINE, .now = *now, .extra = round->extra[d][unit]};
        for (unsigned p = 0; p < POINTS; p++) {
            const struct signal *signal = &round->signals[d * POINTS + p];
            if (signal->kinds[unit] == SAMPLE_NOTHING)
                continue;
            bool blind = signal->kinds[unit] == SAMPLE_BLIND;
            polled.readings[polled.count++] =
                (struct reading){.point = (uint16_t)p,
                                 .quality = blind ? QUALITY_BAD : QUALITY_GOOD,
                                 .reason = blind ? REASON_EXCEPTION : REASON_NONE,
                                 .value = {.kind = blind ? VALUE_NONE : VALUE_NUMBER, .number = signal->values[unit]}};
        }
        if (polled.count)
            core_on_polled(&round->core, &polled);
    }
}

static bool ask(struct round *round, const struct now *now, unsigned i, unsigned unit) {
    static const enum command_verb verbs[] = {0, COMMAND_ACKNOWLEDGE, COMMAND_RESET, COMMAND_SHELVE, COMMAND_UNSHELVE};
    const struct signal *signal = &round->signals[i];
    struct command command = {.verb = verbs[signal->persons[unit]],
                              .channel = CHANNEL_SOCKET,
                              .authorised = true,
                              .by = "W",
                              .issued_ms = now->wall_ms,
                              .expires_ms = now->wall_ms + 1,
                              .fields = FIELD_DEVICE | FIELD_ALARM};
    struct command_outcome outcome;
    snprintf(command.id, sizeof(command.id), "c%llu", (unsigned long long)round->commands++);
    snprintf(command.device, sizeof(command.device), "%s", round->names[i - i % POINTS]);
    snprintf(command.alarm, sizeof(command.alarm), "%s", round->names[i]);
    if (command.verb == COMMAND_SHELVE) {
        command.fields |= FIELD_REASON | FIELD_UNTIL;
        snprintf(command.reason, sizeof(command.reason), "r");
        command.until_ms = now->wall_ms + (int64_t)signal->shelf_units[unit] * UNIT_MS;
        round->shelves++;
    }
    core_on_command(&round->core, now, &command, &outcome);
    return outcome.ok;
}

static void store(struct round *round, const struct now *now) {
    const struct trace_line *line;
    round->effects.count = 0;
    round->effects.bytes_used = 0;
    round->effects.full = false;
    core_pump_store(&round->core, now, &round->effects);
    for (unsigned i = 0; i < round->effects.count; i++) {
        const struct effect *effect = &round->effects.items[i];
        struct event event = {.kind = EVENT_STORED, .now = *now};
        if (effect->kind != EFFECT_STORE)
            continue;
        event.stored.lane = effect->store.lane;
        event.stored.last_seq = effect->store.last_seq;
        core_on_stored(&round->core, &event);
    }
    while (trace_take(&round->trace, &line))
        continue;
}

static void compare(const struct round *round, uint64_t seed, unsigned i, unsigned unit) {
    const struct alarm *alarm = &round->core.alarms[i].alarm;
    const struct config_alarm *rule = &round->alarms[i];
    enum alarm_state wanted = judge_state(&round->judges[i], rule);
    if (alarm->state != wanted || alarm->abnormal != round->judges[i].active)
        fail_msg("round %llu signal %u unit %u: the alarm is %s, the judge says %s", (unsigned long long)seed, i, unit,
                 alarm_state_name(alarm->state), alarm_state_name(wanted));
    if (wanted == ALARM_LATCHED && alarm->acknowledged != round->judges[i].taken)
        fail_msg("round %llu signal %u unit %u: acknowledged is not the same", (unsigned long long)seed, i, unit);
    alarm_check(alarm);
}

static void play(struct round *round, uint64_t seed) {
    struct now now = unit_now(0);
    core_on_start(&round->core, &now, 0xAB, &round->image);
    for (unsigned unit = 0; unit < UNITS; unit++) {
        now = unit_now(unit);
        poll_all(round, &now, unit);
        core_on_time(&round->core, &now);
        for (unsigned i = 0; i < SIGNALS; i++) {
            enum alarm_state before = judge_state(&round->judges[i], &round->alarms[i]);
            judge_time(&round->judges[i], &round->alarms[i], &round->signals[i], unit);
            compare(round, seed, i, unit);
            if (round->signals[i].persons[unit] != PERSON_NOBODY) {
                bool wanted = judge_person(&round->judges[i], &round->alarms[i], &round->signals[i], unit);
                if (ask(round, &now, i, unit) != wanted)
                    fail_msg("round %llu signal %u unit %u: a person is %s", (unsigned long long)seed, i, unit, wanted ? "refused" : "heard");
                compare(round, seed, i, unit);
            }
            round->transitions += before != judge_state(&round->judges[i], &round->alarms[i]);
        }
        store(round, &now);
        core_check(&round->core);
    }
    arena_done(&round->arena);
}

static void s501_random_signals(void **state) {
    (void)state;
    uint64_t only = world_environment("YANHUO_SEED"), rounds = world_environment("YANHUO_SOAK") ? 50 * ROUNDS : ROUNDS;
    struct round *round = malloc(sizeof(*round));
    assert_non_null(round);
    for (uint64_t seed = only ? only : 1; seed <= (only ? only : rounds); seed++) {
        round_init(round, seed);
        play(round, seed);
        assert_true(round->transitions > 10 * SIGNALS && round->shelves > SIGNALS); /* the signals say something */
    }
    free(round);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(s501_random_signals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
