/* SPDX-License-Identifier: Apache-2.0 */
/* The world of the stories: the pollers and the engine of one gateway, stepped exactly as the daemon steps them, between
 * models of the buses, the store and the brokers, under one virtual clock. No sleep, no clock, no thread.
 *
 * The step rule. A step is the earliest of
 *    what a model has coming (ties: in the order in which it was arranged),
 *    a poller's wake (ties: by bus), the engine's wake,
 * with ties between the three in this order. Time moves to it, the machine is stepped, its effects are carried out on the
 * models, and the promises are checked (world_check.c). The same plant, calls and seed give the same log, byte for byte.
 *
 * Times in calls and in the log are virtual: since world_open, milliseconds in calls. A failed promise prints the seed, the
 * time and the last lines of the log, and fails the test. */
#ifndef YANHUO_TESTS_WORLD_H
#define YANHUO_TESTS_WORLD_H

#include "gateway/core/event.h"

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

struct world;

/* What a device does instead of answering well. */
enum world_fault {
    SICK_NONE,
    SICK_SILENT,    /* unplugged, or without power */
    SICK_SLOW,      /* answers, but takes most of its timeout */
    SICK_EXCEPTION, /* answers everything with "device failure" */
    SICK_CORRUPT,   /* answers rubbish */
};

/* ---- life ---- */

/* A world around tests/vectors/plants/PLANT.yaml, the gateway not started yet. */
struct world *world_open(const char *plant, uint64_t seed);
void world_start(struct world *world);
/* Orderly: asks the engine to stop and runs until it says STOPPED. */
void world_stop(struct world *world);
/* Power cut: pollers and engine are gone, and of the store what was not committed. With keep_runs the commits that were under
 * way became durable, but nobody was told. */
void world_crash(struct world *world, bool keep_runs);
/* Checks the alarms against the oracle a last time, then frees everything. */
void world_close(struct world *world);

/* ---- time ---- */

int64_t world_ms(const struct world *world);
void world_run_until(struct world *world, int64_t at_ms);
/* One step, if one comes before at_ms; false when not (the time is at_ms then). */
bool world_step_before(struct world *world, int64_t at_ms);
/* Runs until every entry has been delivered or told as lost, at most 10 virtual minutes, and fails if that is not enough. */
void world_settle(struct world *world);

/* ---- changes ---- */

void world_set(struct world *world, const char *point, const char *value);     /* "smoke-1/smoke", "alarm" */
bool world_try_set(struct world *world, const char *point, const char *value); /* false: the point cannot say this */
void world_fault(struct world *world, const char *device, enum world_fault fault);
void world_bus(struct world *world, const char *bus, bool plugged);

void world_store_delay(struct world *world, int64_t commit_ms);
void world_store_stall(struct world *world, int64_t for_ms); /* the writer does nothing, and answers nothing, for this long */
void world_store_failing(struct world *world, bool failing);
void world_store_quota(struct world *world, uint64_t bytes); /* 0: none */

/* Refuses connections with this reason from now on; an existing one is cut. */
void world_broker_down(struct world *world, const char *uplink, enum link_reason reason);
void world_broker_up(struct world *world, const char *uplink);
/* The connection breaks: what was on its way is lost, what was received is not acknowledged any more. */
void world_broker_cut(struct world *world, const char *uplink);
void world_broker_delay(struct world *world, const char *uplink, int64_t receive_ms, int64_t ack_ms);
/* Publishing on topics that contain this is refused; NULL: nothing is. */
void world_broker_refuse(struct world *world, const char *uplink, const char *topic);

/* A person's command over the local socket, authorised, by "W", issued now, for a minute. `target` names an alarm ("smoke-1/smoke"), a
 * device, a place ("place:shed-1"), a point to write ("point:relay-1/channel-1"), or with assign, rectify and close the alarm whose
 * problem is meant. `more`: words like "by=B until=600 reason=welding on=1 minutes=5 inhibit=1 stop=1 to=T what=X value=1 type=cleaning
 * unsigned mqtt again id=k-1" (`until` in seconds from now; again: with the id of the last one; with an id of the story's own it holds an
 * hour). True: it was accepted. */
bool world_command(struct world *world, const char *verb, const char *target, const char *more);
/* The rule of an alarm, to be changed before the start: what the YAML of a plant cannot say yet. */
struct config_alarm *world_rule(struct world *world, const char *alarm);
uint16_t world_rule_index(struct world *world, const char *alarm);
/* Between two starts: the configuration of another plant, with the same devices, points and uplinks and other rules. */
void world_configure(struct world *world, const char *plant);

/* Before the start: whether the wall clock may be trusted. */
void world_clock_begin(struct world *world, bool trusted);
/* The wall clock jumps by this much and is, or is not, to be trusted. */
void world_clock(struct world *world, int64_t jump_ms, bool trusted);

/* engine_check looks at everything in memory: for stories that fill it, only each so many events. */
void world_check_every(struct world *world, unsigned events);

/* ---- looking ---- */

/* Compares the lines of the log that contain one of the words of `filter` (separated by '|') and come after the last
 * world_expect's, with `expected` (lines end with \n). */
void world_expect(struct world *world, const char *filter, const char *expected);
/* Messages that the broker has received on topics that contain this, of which `payload` (may be NULL) is a part. */
unsigned world_received(const struct world *world, const char *uplink, const char *topic, const char *payload);
/* The retained message of a topic below the prefix, or "". */
const char *world_retained(const struct world *world, const char *uplink, const char *topic);
const struct engine_counters *world_counters(const struct world *world);
/* The value a slave holds, as text. */
void world_expect_value(struct world *world, const char *point, const char *expected);
const char *world_log(const struct world *world);
__attribute__((format(printf, 2, 3), noreturn)) void world_fail(const struct world *world, const char *format, ...);

/* A number from the environment, 0 without one: YANHUO_SOAK, YANHUO_SEED, YANHUO_EVENT. */
uint64_t world_environment(const char *name);

#endif
