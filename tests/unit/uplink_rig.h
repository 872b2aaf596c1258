/* SPDX-License-Identifier: Apache-2.0 */
/* One engine, one uplink, a link and a store that are lists: what is sent, in which order, and what becomes of it. */
#ifndef YANHUO_TESTS_UPLINK_RIG_H
#define YANHUO_TESTS_UPLINK_RIG_H

#include "core_site.h"
#include "gateway/engine.h"

#define SENDS_MAX 4096

struct sent {
    uint16_t slot;
    uint8_t qos;
    bool retain, answered;
    char topic[96], payload[512];
};

struct world {
    struct site site;
    struct arena arena;
    struct trace trace;
    struct engine *engine;
    struct effects effects;
    int64_t ms;
    struct sent sends[SENDS_MAX];
    unsigned sends_count, connects, disconnects, queries, cursors, stopped;
    uint8_t broker; /* of the last CONNECT */
    uint64_t query_after, query_through;
    enum lane query_lane;
    struct {
        bool due;
        uint64_t last_seq;
    } store[LANES_COUNT];
    char said[8192]; /* the trace */
    bool silent;     /* set before link_begin: no device answered yet, so no alarm is judged */
};

/* The site may be changed before link_begin. */
struct world *link_world_new(void);
void link_world_end(struct world *world);

/* Started, and each device looked at once in an extra round: every alarm is judged normal and nothing is recorded of it. */
void link_begin(struct world *world);
void link_step(struct world *world, struct event *event);
void link_tick(struct world *world);
/* Steps until nothing is due at this time; a machine that always wants more is a busy loop. */
void link_settle(struct world *world);
/* Lets time pass, with a store that answers. */
void link_advance(struct world *world, int64_t ms);
void link_answer_store(struct world *world);

void link_up(struct world *world);
void link_down(struct world *world, enum link_reason reason);
void link_answer(struct world *world, unsigned index, enum ack_result result);
void link_acknowledge_all(struct world *world);
/* One good reading of a device's first point. */
void link_poll(struct world *world, uint16_t device, double value);
/* Connected, and everything said that a connection begins with. */
void link_quiet(struct world *world);

const struct engine_counters *link_counters(const struct world *world);
void link_assert_topics(const struct world *world, unsigned from, const char *const *topics, unsigned count);

#endif
