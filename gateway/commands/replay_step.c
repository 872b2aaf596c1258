/* SPDX-License-Identifier: Apache-2.0 */
/* The replayed engine. It is a new one, under the recorded configuration, from the recorded start; it is given the recorded events under
 * their recorded times, and its effects go nowhere but into the comparison.
 *
 *   EXACT -- a step whose effects are not the recorded ones, or lost steps --> FREE          (from an anchor: FREE at once)
 *
 * EXACT proves determinism: every effect, byte for byte. FREE gives the engine the same world (replay_fit.c) and the ticks it asks for,
 * and compares what it decides: writes and the transitions of alarms, actions and problems, each as often as recorded, whenever.
 * After an anchor the first SETTLE_US are not compared: delays that were under way then begin anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "gateway/commands/replay.h"

#define SETTLE_US 60000000
#define TICKS_MOST 10000 /* of one gap between two recorded events: an engine that asks for more asks for ever */

/* ---- words ---- */

static void time_text(char bytes[40], int64_t wall_ms) {
    struct text text;
    text_init(&text, bytes, 40);
    text_add_time(&text, wall_ms, 0);
}

static bool shown(const struct replay *replay) {
    return replay->now.wall_ms >= replay->options.from_ms;
}

static void print_trace(struct replay *replay) {
    static const char *const levels[] = {"", "warning: ", "error: "};
    const struct trace_line *line;
    char time[40];
    time_text(time, replay->now.wall_ms);
    while (trace_take(&replay->trace, &line))
        if (shown(replay))
            printf("%.12s %s%s\n", time + 11, levels[line->level], line->text);
}

static void print_event(const struct replay *replay, const struct event *event, const char *why) {
    char time[40];
    if (!replay->options.events || !shown(replay))
        return;
    time_text(time, replay->now.wall_ms);
    printf("%.12s   event %llu %s%s", time + 11, (unsigned long long)replay->steps, event_kind_name(event->kind), why);
    if (event->kind == EVENT_POLLED)
        printf(" %s %s %u readings", replay->config.devices[event->polled->device].spec.name, bus_status_name(event->polled->status),
               (unsigned)event->polled->count);
    printf("\n");
}

static void print_effects(const struct replay *replay) {
    static const char *const names[] = {"write", "release", "store", "history", "cursor", "query", "connect", "disconnect", "send", "reply", "notify",
                                        "stopped", "replace", "restart"};
    _Static_assert(ARRAY_COUNT(names) == EFFECT_RESTART + 1, "a name for each kind");
    for (unsigned i = 0; replay->options.events && shown(replay) && i < replay->effects.count; i++) {
        const struct effect *effect = &replay->effects.items[i];
        printf("               effect %s %s\n", names[effect->kind], effect->kind == EFFECT_SEND ? effect->send.topic : "");
    }
}

/* ---- decisions ---- */

static struct replay_decision *decision_at(struct replay *replay, uint32_t decision) {
    for (size_t i = 0; i < replay->decisions_count; i++)
        if (replay->decisions[i].decision == decision)
            return &replay->decisions[i];
    if (replay->decisions_count == replay->decisions_room) {
        size_t room = 2 * replay->decisions_room + 64;
        struct replay_decision *larger = realloc(replay->decisions, room * sizeof(*larger));
        CHECK(larger);
        replay->decisions = larger;
        replay->decisions_room = room;
    }
    replay->decisions[replay->decisions_count] = (struct replay_decision){.decision = decision, .first_ms = replay->now.wall_ms};
    return &replay->decisions[replay->decisions_count++];
}

static void count_replayed(struct replay *replay, uint32_t decision) {
    if (decision && replay->now.mono_us >= replay->settled_us)
        decision_at(replay, decision)->replayed++;
}

static void count_effects(struct replay *replay) {
    for (unsigned i = 0; i < replay->effects.count; i++) {
        const struct effect *effect = &replay->effects.items[i];
        replay->sends += effect->kind == EFFECT_SEND;
        replay->writes += effect->kind == EFFECT_WRITE;
        count_replayed(replay, effect_decision(effect));
    }
    for (unsigned i = 0; i < replay->trace.count; i++) {
        const struct trace_line *line = &replay->trace.lines[(replay->trace.first + i) % TRACE_LINES_MAX];
        replay->alarms += strncmp(line->text, "alarm ", 6) == 0;
        count_replayed(replay, trace_decision(line));
    }
}

/* Past the hash and the decisions of a frame. */
static uint64_t take_recorded(struct replay *replay, struct bytes_reader *body, int64_t mono_us) {
    uint64_t hash = bytes_get_u64(body);
    for (uint64_t count = bytes_get_varint(body); count && !body->failed; count--) {
        uint32_t decision = bytes_get_u32(body);
        if (!body->failed && mono_us >= replay->settled_us)
            decision_at(replay, decision)->recorded++;
    }
    return hash;
}

uint64_t replay_undecided(const struct replay *replay, int64_t *ret_first_ms) {
    uint64_t count = 0;
    for (size_t i = 0; i < replay->decisions_count; i++)
        if (replay->decisions[i].recorded != replay->decisions[i].replayed && !count++)
            *ret_first_ms = replay->decisions[i].first_ms;
    return count;
}

/* ---- steps ---- */

static void step(struct replay *replay, const struct event *event, const char *why) {
    replay->now = event->now;
    print_event(replay, event, why);
    engine_step(replay->engine, event, &replay->effects);
    replay_fit_wants(&replay->fit, &replay->effects);
    count_effects(replay);
    print_trace(replay);
    print_effects(replay);
}

/* FREE: links that the world owes. They may lead to others, at most one each. */
static void pay(struct replay *replay) {
    struct event owed;
    for (unsigned i = 0; !replay->exact && i < 2 * UPLINKS_MAX && replay_fit_owed(&replay->fit, &owed); i++) {
        owed.now = replay->now;
        step(replay, &owed, " (owed)");
    }
}

/* FREE: the engine is woken when it asks for it, up to the next recorded event. */
static void tick_until(struct replay *replay, int64_t mono_us) {
    for (unsigned i = 0; !replay->exact && i < TICKS_MOST; i++) {
        int64_t wake_us = engine_next_wake(replay->engine);
        if (wake_us >= mono_us)
            return;
        struct event tick = {.kind = EVENT_TICK, .now = replay->now};
        tick.now.mono_us = wake_us > replay->now.mono_us ? wake_us : replay->now.mono_us;
        tick.now.wall_ms += (tick.now.mono_us - replay->now.mono_us) / 1000;
        step(replay, &tick, " (asked for)");
        pay(replay);
    }
}

static void differ(struct replay *replay, enum event_kind kind) {
    replay->exact = false;
    if (replay->differs)
        return;
    replay->differs = true;
    replay->differs_at = replay->steps;
    replay->differs_ms = replay->now.wall_ms;
    replay->differs_kind = kind;
}

static void add_link(void *context, const struct event *up) {
    struct replay *replay = context;
    replay->fit.uplinks[up->link_up.uplink].world_up = true;
    replay->fit.uplinks[up->link_up.uplink].up = *up;
}

bool replay_begin(struct replay *replay, const struct replay_file *file) {
    struct event start;
    if (!replay_file_config(file, &replay->arena, &replay->config) || !replay_file_start(file, &replay->config, &replay->arena, &start))
        return false;
    trace_init(&replay->trace);
    replay->fit.config = &replay->config;
    replay->exact = !file->head.anchor;
    replay->settled_us = file->head.anchor ? start.now.mono_us + SETTLE_US : 0;
    replay->first_ms = replay->last_ms = start.now.wall_ms;
    replay_file_links(file, &replay->config, add_link, replay);
    replay->engine = engine_create(&replay->config, &start.start.image->series, &replay->arena, &replay->trace);
    step(replay, &start, "");
    replay->running = true;
    pay(replay);
    return true;
}

/* The real START was stepped already: its effects are compared. */
static void on_began(struct replay *replay, struct bytes_reader *body) {
    uint64_t hash = take_recorded(replay, body, replay->now.mono_us);
    if (hash != effects_hash(&replay->effects))
        differ(replay, EVENT_START);
}

static void on_step(struct replay *replay, struct bytes_reader *body) {
    struct bytes_reader rest = *body;
    struct event event;
    uint64_t count;
    (void)bytes_get_u64(&rest);
    for (count = bytes_get_varint(&rest); count && !rest.failed; count--)
        (void)bytes_get_raw(&rest, 4);
    struct bytes_reader fields;
    bytes_reader_init(&fields, body->bytes + rest.position, body->size - rest.position);
    if (rest.failed || !event_get(&fields, &replay->room, &event) || event.now.mono_us < replay->now.mono_us) {
        replay->damaged = true;
        return;
    }
    if (event.now.wall_ms > replay->options.until_ms) {
        replay->running = false;
        return;
    }
    tick_until(replay, event.now.mono_us);
    replay->steps++;
    replay->last_ms = event.now.wall_ms;
    replay->now = event.now;
    uint64_t hash = take_recorded(replay, body, event.now.mono_us);
    uint64_t changed = replay->fit.changed, skipped = replay->fit.skipped;
    if (!replay_fit_event(&replay->fit, &event, &replay->room, replay->exact)) {
        event = (struct event){.kind = EVENT_TICK, .now = event.now};
        step(replay, &event, " (no place)");
    } else {
        step(replay, &event, "");
    }
    bool same = hash == effects_hash(&replay->effects) && replay->fit.changed == changed && replay->fit.skipped == skipped;
    if (replay->exact && !same)
        differ(replay, event.kind);
    pay(replay);
}

static void on_lost(struct replay *replay, struct bytes_reader *body) {
    replay->lost += bytes_get_varint(body);
    replay->exact = false;
}

void replay_run(struct replay *replay, const struct replay_file *file) {
    struct bytes_reader reader = file->steps, body;
    enum frame_kind kind;
    bool damaged = false;
    while (replay->running && !replay->damaged && frame_get(&reader, &kind, &body, &damaged)) {
        if (kind == FRAME_BEGAN)
            on_began(replay, &body);
        else if (kind == FRAME_STEP)
            on_step(replay, &body);
        else if (kind == FRAME_LOST)
            on_lost(replay, &body);
    }
    replay->damaged = replay->damaged || damaged;
}

void replay_end(struct replay *replay) {
    free(replay->decisions);
    arena_done(&replay->arena);
}
