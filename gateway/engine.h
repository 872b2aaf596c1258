/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's brain: composes core and uplinks. Everything that happens comes in as an event with its time, everything it
 * wants done goes out as effects. Pure: no clock, no I/O, no thread, no allocation after engine_create. One owner, the loop
 * thread (or the simulation). Payload bytes in effects are valid until the next engine_step. */
#ifndef YANHUO_ENGINE_H
#define YANHUO_ENGINE_H

#include "base/trace.h"
#include "gateway/core/event.h"

/* ---- the machine ---- */

struct engine;

/* `config` and `series` must outlive it. Takes its memory from the arena. */
struct engine *engine_create(const struct config *config, const struct series_directory *series, struct arena *arena, struct trace *trace);

/* *ret_effects is overwritten, not added to. */
void engine_step(struct engine *engine, const struct event *event, struct effects *ret_effects);

/* The one deadline: call with TICK at or after it. Equal to the last event's time when work is left over. */
int64_t engine_next_wake(const struct engine *engine);
void engine_check(const struct engine *engine);

const struct engine_counters *engine_counters(const struct engine *engine);

#endif
