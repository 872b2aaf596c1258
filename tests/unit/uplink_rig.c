/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void take_effects(struct world *world) {
    for (unsigned i = 0; i < world->effects.count; i++) {
        const struct effect *effect = &world->effects.items[i];
        switch (effect->kind) {
        case EFFECT_CONNECT:
            world->connects++;
            world->broker = effect->link.broker;
            break;
        case EFFECT_DISCONNECT:
            world->disconnects++;
            break;
        case EFFECT_QUERY:
            world->queries++;
            world->query_lane = effect->query.lane;
            world->query_after = effect->query.after_seq;
            world->query_through = effect->query.through_seq;
            break;
        case EFFECT_CURSOR:
            world->cursors++;
            break;
        case EFFECT_STOPPED:
            world->stopped++;
            break;
        case EFFECT_STORE:
            world->store[effect->store.lane].due = true;
            world->store[effect->store.lane].last_seq = effect->store.last_seq;
            break;
        case EFFECT_SEND: {
            assert_true(world->sends_count < SENDS_MAX);
            struct sent *sent = &world->sends[world->sends_count++];
            *sent = (struct sent){.slot = effect->send.slot, .qos = effect->send.qos, .retain = effect->send.retain};
            assert_int_equal(strlen(effect->send.payload), effect->send.size);
            snprintf(sent->topic, sizeof(sent->topic), "%s", effect->send.topic + strlen("yanhuo/v1/gw/"));
            snprintf(sent->payload, sizeof(sent->payload), "%.511s", effect->send.payload);
            break;
        }
        default:
            break;
        }
    }
}

void link_step(struct world *world, struct event *event) {
    event->now = site_now(world->ms);
    engine_step(world->engine, event, &world->effects);
    engine_check(world->engine);
    const struct trace_line *line;
    while (trace_take(&world->trace, &line))
        if (strlen(world->said) + strlen(line->text) + 2 < sizeof(world->said)) {
            strcat(world->said, line->text);
            strcat(world->said, "\n");
        }
    take_effects(world);
}

void link_tick(struct world *world) {
    link_step(world, &(struct event){.kind = EVENT_TICK});
}

void link_settle(struct world *world) {
    for (unsigned i = 0; engine_next_wake(world->engine) <= world->ms * 1000; i++) {
        assert_true(i < 1000);
        link_tick(world);
    }
}

void link_answer_store(struct world *world) {
    for (unsigned lane = 0; lane < LANES_COUNT; lane++)
        while (world->store[lane].due) {
            world->store[lane].due = false;
            link_step(world, &(struct event){.kind = EVENT_STORED, .stored = {.lane = (enum lane)lane, .last_seq = world->store[lane].last_seq}});
        }
}

void link_advance(struct world *world, int64_t ms) {
    int64_t end = world->ms + ms;
    for (unsigned i = 0; i < 100000; i++) {
        link_settle(world);
        int64_t wake = engine_next_wake(world->engine);
        if (wake == NOW_NEVER || wake > end * 1000)
            break;
        world->ms = (wake + 999) / 1000;
        link_tick(world);
        link_answer_store(world);
    }
    world->ms = end;
}

static void poll(struct world *world, uint16_t device, double value, bool extra) {
    struct polled polled = {
        .device = device, .status = BUS_ANSWERED, .device_state = DEVICE_ONLINE, .extra = extra, .now = site_now(world->ms), .count = 1};
    polled.readings[0] = (struct reading){.point = 0, .value = {.kind = VALUE_NUMBER, .number = value}};
    link_step(world, &(struct event){.kind = EVENT_POLLED, .polled = &polled});
}

void link_begin(struct world *world) {
    arena_init(&world->arena);
    trace_init(&world->trace);
    world->engine = engine_create(&world->site.config, &world->site.directory, &world->arena, &world->trace);
    link_step(world, &(struct event){.kind = EVENT_START, .start = {.start = 0xAB, .seed = 7, .image = &world->site.image}});
    for (uint16_t i = 0; !world->silent && i < world->site.config.devices_count; i++)
        poll(world, i, 0, true);
    link_settle(world);
    link_answer_store(world);
}

void link_up(struct world *world) {
    link_step(world, &(struct event){.kind = EVENT_LINK_UP, .link_up = {.receive_max = 65535, .version = 5}});
    link_settle(world);
}

void link_down(struct world *world, enum link_reason reason) {
    for (unsigned i = 0; i < world->sends_count; i++)
        world->sends[i].answered = true;
    link_step(world, &(struct event){.kind = EVENT_LINK_DOWN, .link_down = {.reason = reason, .text = ""}});
}

void link_answer(struct world *world, unsigned index, enum ack_result result) {
    assert_false(world->sends[index].answered);
    world->sends[index].answered = true;
    link_step(world, &(struct event){.kind = EVENT_ACKED, .acked = {.slot = world->sends[index].slot, .result = result, .code = 0x87}});
    link_settle(world);
}

void link_acknowledge_all(struct world *world) {
    for (unsigned i = 0; i < world->sends_count; i++)
        if (!world->sends[i].answered)
            link_answer(world, i, ACK_OK);
}

void link_poll(struct world *world, uint16_t device, double value) {
    poll(world, device, value, false);
    link_settle(world);
}

struct world *link_world_new(void) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    site_init(&world->site);
    world->ms = 1000;
    return world;
}

void link_world_end(struct world *world) {
    arena_done(&world->arena);
    free(world);
}

const struct engine_counters *link_counters(const struct world *world) {
    return engine_counters(world->engine);
}

void link_quiet(struct world *world) { /* connected, and everything said */
    link_begin(world);
    link_up(world);
    link_acknowledge_all(world);
    link_acknowledge_all(world);
    assert_int_equal(link_counters(world)->uplinks[0].in_flight, 0);
}

void link_assert_topics(const struct world *world, unsigned from, const char *const *topics, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        assert_true(from + i < world->sends_count);
        assert_string_equal(world->sends[from + i].topic, topics[i]);
    }
}
