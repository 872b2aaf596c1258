/* SPDX-License-Identifier: Apache-2.0 */
/* The other implementation of the loop: what comes next, whose step it is, and what becomes of the effects. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

#define SETTLE_MS 600000
#define STOP_MS 60000

static const struct world *current; /* for the last words of a CHECK */

void *world_grow(void *items, uint32_t count, uint32_t *room, size_t size) {
    if (count < *room)
        return items;
    *room = *room ? 2 * *room : 64;
    void *grown = realloc(items, *room * size);
    CHECK(grown);
    return grown;
}

uint64_t world_environment(const char *name) {
    uint64_t value = 0;
    const char *text = getenv(name);
    return text && text_read_u64(text, &value) ? value : 0;
}

/* ---- failing ---- */

static void last_words(const struct world *world) {
    const char *from = world->log + world->log_length;
    unsigned most = world_environment("YANHUO_SEED") ? UINT32_MAX : 40; /* one seed: the whole story */
    for (unsigned lines = 0; from > world->log && lines < most; from--)
        lines += from[-1] == '\n';
    fprintf(stderr, "---- the last lines ----\n%s---- seed %llu, time %lld ms, event %llu ----\n", world->log_length ? from : "\n",
            (unsigned long long)world->seed, (long long)world_ms(world), (unsigned long long)world->events);
}

static void on_abort(int signal_number) {
    (void)signal_number; /* the process ends anyway: not async-safe is good enough for last words */
    if (current)
        last_words(current);
}

void world_fail(const struct world *world, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    last_words(world);
    fprintf(stderr, "%s\nonce more: YANHUO_SEED=%llu (or YANHUO_EVENT, in a crash test) before this program\n", text,
            (unsigned long long)world->seed);
    fail_msg("%s (seed %llu, %lld ms)", text, (unsigned long long)world->seed, (long long)world_ms(world));
    abort();
}

/* ---- what is to come: a binary heap by time, then order ---- */

static bool before(const struct coming *a, const struct coming *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

struct coming *world_arrange(struct world *world, int64_t in_us, enum coming_kind kind, unsigned index, void *data) {
    world->comings = world_grow(world->comings, world->comings_count, &world->comings_room, sizeof(*world->comings));
    struct coming coming = {.at_us = world->now_us + in_us,
                            .order = world->order_next++,
                            .kind = kind,
                            .process = world->process,
                            .index = (uint16_t)index,
                            .data = data};
    uint32_t i = world->comings_count++;
    for (; i > 0 && before(&coming, &world->comings[(i - 1) / 2]); i = (i - 1) / 2)
        world->comings[i] = world->comings[(i - 1) / 2];
    world->comings[i] = coming;
    return &world->comings[i];
}

static struct coming take_coming(struct world *world) {
    struct coming first = world->comings[0], last = world->comings[--world->comings_count];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child + 1 < world->comings_count && before(&world->comings[child + 1], &world->comings[child]))
            child++;
        if (child >= world->comings_count || before(&last, &world->comings[child]))
            break;
        world->comings[i] = world->comings[child];
        i = child;
    }
    world->comings[i] = last;
    return first;
}

/* ---- life ---- */

struct world *world_open(const char *plant, uint64_t seed) {
    struct world *world = calloc(1, sizeof(*world));
    CHECK(world);
    world->seed = seed;
    prng_init(&world->prng, seed * 0x9E3779B97F4A7C15u + 1);
    arena_init(&world->arena);
    plant_load(world, plant);
    const struct config *config = world->config;
    plant_build(&world->plant, config, &world->arena);
    world->now_us = WORLD_BEGIN_US;
    world->wall_trusted = true;
    world->check_every = 1;
    world->buses = arena_take(&world->arena, config->buses_count + 1u, sizeof(*world->buses));
    world->devices = arena_take(&world->arena, config->devices_count + 1u, sizeof(*world->devices));
    world->points = arena_take(&world->arena, config->points_count + 1, sizeof(*world->points));
    world->blind_polls = arena_take(&world->arena, config->points_count + 1u, sizeof(*world->blind_polls));
    world->store.commit_us = 8 * MS;
    for (unsigned i = 0; i < config->buses_count; i++)
        world->buses[i].plugged = true;
    for (unsigned i = 0; i < config->uplinks_count; i++)
        world->brokers[i] =
            (struct model_broker){.reachable = true, .connect_us = 20 * MS, .receive_us = 5 * MS, .ack_us = 5 * MS, .receive_max = 65535};
    signal(SIGABRT, on_abort);
    current = world;
    return world;
}

static const struct device_spec **devices_of(struct world *world, uint16_t bus, uint16_t *ret_count) {
    const struct device_spec **specs = arena_take(&world->process_arena, DEVICES_PER_BUS_MAX, sizeof(*specs));
    *ret_count = 0;
    for (uint16_t d = 0; d < world->config->devices_count; d++)
        if (world->config->devices[d].bus == bus)
            specs[(*ret_count)++] = &world->config->devices[d].spec;
    return specs;
}

void world_start(struct world *world) {
    CHECK(!world->running);
    world->running = true;
    world->stopped = world->stopping = false;
    world->process++;
    do
        world->start = prng_next(&world->prng);
    while (!world->start);
    arena_init(&world->process_arena);
    struct store_image image;
    store_image(world, &world->process_arena, &image);
    ledger_restart(world, image.next_seq);
    oracle_begin(world);
    for (uint32_t i = 0; i < world->config->points_count; i++)
        world->points[i].good_us = world->now_us;
    trace_init(&world->trace);
    world->transitions_before = 0;
    world->engine = engine_create(world->config, &world->series, &world->process_arena, &world->trace);
    world_event(world, &(struct event){.kind = EVENT_START, .start = {.start = world->start, .seed = prng_next(&world->prng), .image = &image}});
    for (uint16_t d = 0; d < world->config->devices_count; d++)
        world->devices[d].dead = false;
    for (uint16_t b = 0; b < world->config->buses_count; b++) {
        struct model_bus *bus = &world->buses[b];
        uint16_t count;
        const struct device_spec **specs = devices_of(world, b, &count);
        trace_init(&bus->trace);
        bus->under_way = false;
        if (poller_create(&world->config->buses[b], specs, count, &world->process_arena, &bus->trace, &bus->poller) != ERR_OK)
            world_fail(world, "poller_create of bus %s failed", world->config->buses[b].name);
        bus_step(world, b, &(struct poller_event){.kind = POLLER_START});
    }
}

static void end_process(struct world *world) {
    for (uint32_t i = 0; i < world->comings_count; i++)
        free(world->comings[i].data);
    world->comings_count = 0; /* whatever was on its way belonged to the process */
    world->running = false;
    world->engine = NULL;
    arena_done(&world->process_arena);
}

void world_stop(struct world *world) {
    world->stopping = true; /* the buses end first: nothing of theirs comes any more */
    world_event(world, &(struct event){.kind = EVENT_STOP});
    int64_t until_ms = world_ms(world) + STOP_MS;
    while (!world->stopped && world_step_before(world, until_ms))
        continue;
    if (!world->stopped)
        world_fail(world, "the engine has not stopped within %d ms", STOP_MS);
    log_line(world, world->now_us, "stopped");
    oracle_check(world);
    broker_crash(world);
    store_crash(world, true); /* the real one finishes what was submitted */
    end_process(world);
}

void world_crash(struct world *world, bool keep_runs) {
    oracle_check(world);
    log_line(world, world->now_us, "crash%s", keep_runs ? " after the commit" : "");
    broker_crash(world);
    store_crash(world, keep_runs);
    end_process(world);
}

void world_close(struct world *world) {
    if (world->running) {
        oracle_check(world);
        end_process(world);
    }
    store_free(world);
    for (uint32_t i = 0; i < world->messages_count; i++) {
        free(world->messages[i].topic);
        free(world->messages[i].payload);
    }
    plant_free_signals(world);
    free(world->clears);
    free(world->messages);
    free(world->comings);
    free(world->ledger);
    free(world->orders);
    free(world->truths);
    free(world->log);
    arena_done(&world->arena);
    free(world);
    current = NULL;
}

/* ---- time ---- */

int64_t world_ms(const struct world *world) {
    return (world->now_us - WORLD_BEGIN_US) / 1000;
}

struct now world_now(const struct world *world) {
    return (struct now){.mono_us = world->now_us,
                        .wall_ms = WORLD_WALL_MS + (world->now_us - WORLD_BEGIN_US) / 1000 + world->wall_offset_ms,
                        .wall_trusted = world->wall_trusted};
}

static void carry_out(struct world *world) {
    for (unsigned i = 0; i < world->effects.count; i++) {
        const struct effect *effect = &world->effects.items[i];
        int64_t hop_us = 0;
        struct poller_event *command;
        switch (effect->kind) {
        case EFFECT_WRITE:
        case EFFECT_RELEASE:
            command = calloc(1, sizeof(*command));
            CHECK(command);
            command->kind = effect->kind == EFFECT_WRITE ? POLLER_WRITE : POLLER_RELEASE;
            command->write = effect->write.command;
            uint16_t bus = effect->kind == EFFECT_WRITE ? effect->write.bus : effect->release.bus;
            hop_us = world->config->buses[bus].kind == BUS_SERIAL ? HOP_US : 0;
            world_arrange(world, hop_us, COMING_COMMAND, bus, command);
            break;
        case EFFECT_STORE:
        case EFFECT_HISTORY:
        case EFFECT_CURSOR:
        case EFFECT_QUERY:
            store_effect(world, effect);
            break;
        case EFFECT_CONNECT:
        case EFFECT_DISCONNECT:
        case EFFECT_SEND:
            broker_effect(world, effect);
            break;
        case EFFECT_REPLY:
            log_line(world, world->now_us, "reply %s", effect->reply.payload);
            break;
        case EFFECT_NOTIFY:
            log_line(world, world->now_us, "notify %s", effect->notify.kind == NOTIFY_READY ? "ready" : "other");
            break;
        case EFFECT_REPLACE:
            log_line(world, world->now_us, "replace %s", world->config->buses[effect->replace.bus].name);
            break;
        case EFFECT_RESTART:
            log_line(world, world->now_us, "restart for %s", effect->restart.part);
            break;
        case EFFECT_STOPPED:
            world->stopped = true;
            break;
        }
    }
}

void world_event(struct world *world, struct event *event) {
    event->now = world_now(world);
    world->events++;
    engine_step(world->engine, event, &world->effects);
    if (world->events % world->check_every == 0)
        engine_check(world->engine);
    log_trace(world, &world->trace);
    check_step(world, event);
    carry_out(world);
    if (world->events % 16 == 0 && !world->stopping)
        check_age(world);
}

static void run_coming(struct world *world, struct coming *coming) {
    bool of_a_bus = coming->kind <= COMING_COMMAND;
    if (coming->process != world->process || (world->stopping && of_a_bus))
        return;
    switch (coming->kind) {
    case COMING_ASKED:
    case COMING_ANSWER:
    case COMING_COMMAND:
        bus_coming(world, coming);
        return;
    case COMING_POLLED:
        world->steps_here = 0;
        oracle_sample(world, coming->data);
        world_event(world, &(struct event){.kind = EVENT_POLLED, .polled = coming->data});
        return;
    case COMING_WRITTEN:
        world_event(world, &(struct event){.kind = EVENT_WRITTEN, .written = coming->data});
        return;
    case COMING_COMMIT:
    case COMING_CURSORS:
    case COMING_ROWS:
        store_coming(world, coming);
        return;
    case COMING_LINK:
    case COMING_RECEIVED:
    case COMING_ACKED:
    case COMING_DOWN:
        broker_coming(world, coming);
        return;
    }
}

/* Promise 7: no busy loop. */
static void count_step(struct world *world, int64_t at_us, bool tick) {
    if (at_us > world->now_us)
        world->steps_here = world->ticks_here = 0;
    world->now_us = at_us > world->now_us ? at_us : world->now_us;
    world->ticks_here += tick;
    if (++world->steps_here > STEPS_AT_ONCE || world->ticks_here > TICKS_AT_ONCE)
        world_fail(world, "busy loop: %u steps and %u ticks at one instant", world->steps_here, world->ticks_here);
}

bool world_step_before(struct world *world, int64_t at_ms) {
    int64_t until_us = WORLD_BEGIN_US + 1000 * at_ms;
    int64_t coming_us = world->comings_count ? world->comings[0].at_us : NOW_NEVER;
    int64_t poller_us = NOW_NEVER;
    uint16_t bus = 0;
    for (uint16_t b = 0; world->running && !world->stopping && b < world->config->buses_count; b++) {
        int64_t wake_us = poller_next_wake(world->buses[b].poller);
        if (wake_us < poller_us) {
            poller_us = wake_us;
            bus = b;
        }
    }
    int64_t engine_us = world->running ? engine_next_wake(world->engine) : NOW_NEVER;
    int64_t next_us = coming_us < poller_us ? coming_us : poller_us;
    next_us = engine_us < next_us ? engine_us : next_us;
    if (next_us >= until_us) {
        world->now_us = until_us > world->now_us ? until_us : world->now_us;
        return false;
    }
    if (coming_us == next_us) {
        struct coming coming = take_coming(world);
        count_step(world, next_us, false);
        run_coming(world, &coming);
        free(coming.data);
    } else if (poller_us == next_us) {
        count_step(world, next_us, true);
        bus_step(world, bus, &(struct poller_event){.kind = POLLER_TICK});
    } else {
        count_step(world, next_us, true);
        world_event(world, &(struct event){.kind = EVENT_TICK});
    }
    return true;
}

void world_run_until(struct world *world, int64_t at_ms) {
    while (world_step_before(world, at_ms))
        continue;
}

void world_settle(struct world *world) {
    int64_t until_ms = world_ms(world) + SETTLE_MS;
    char why[256];
    uint64_t through_seq = world->newest_seq;
    while (!ledger_settled(world, through_seq, why, sizeof(why)))
        if (world_ms(world) >= until_ms)
            world_fail(world, "conservation: after 10 quiet minutes %s", why);
        else
            world_run_until(world, world_ms(world) + 500);
}

void world_clock(struct world *world, int64_t jump_ms, bool trusted) {
    world->wall_offset_ms += jump_ms;
    world->clock_jumped = world->clock_jumped || jump_ms != 0;
    world->wall_trusted = trusted;
    bus_clock(world);
    log_line(world, world->now_us, "world: clock jumps by %lld ms", (long long)jump_ms);
    world_event(world, &(struct event){.kind = EVENT_CLOCK});
}

const struct engine_counters *world_counters(const struct world *world) {
    return engine_counters(world->engine);
}

void world_clock_begin(struct world *world, bool trusted) {
    world->wall_trusted = trusted;
}

void world_check_every(struct world *world, unsigned events) {
    world->check_every = events;
}
