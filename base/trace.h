/* SPDX-License-Identifier: Apache-2.0 */
/* One line per state transition, with stable wording: what a test compares is what an operator reads in the log.
 * A machine writes into its own ring; its driver drains the ring after each step (the daemon to the log, the simulation
 * into the story). Owner: the machine's driver. Not thread-safe. Lines that are not drained in time are counted. */
#ifndef YANHUO_TRACE_H
#define YANHUO_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

#define TRACE_LINES_MAX 64 /* transitions of one step; a step is drained before the next */

enum trace_level { TRACE_INFO, TRACE_WARNING, TRACE_ERROR };

struct trace_line {
    int64_t mono_us;
    enum trace_level level;
    char text[LINE_SIZE];
};

struct trace {
    struct trace_line lines[TRACE_LINES_MAX];
    unsigned first, count;
    uint64_t dropped;
};

void trace_init(struct trace *trace);

__attribute__((format(printf, 4, 5))) void trace_add(struct trace *trace, int64_t mono_us, enum trace_level level, const char *format, ...);

/* Takes the oldest line; false when there is none. The line stays valid until the next trace_add. */
bool trace_take(struct trace *trace, const struct trace_line **ret_line);

#endif
