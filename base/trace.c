/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void trace_init(struct trace *trace) {
    trace->first = trace->count = 0;
    trace->dropped = 0;
}

void trace_add(struct trace *trace, int64_t mono_us, enum trace_level level, const char *format, ...) {
    if (trace->count == TRACE_LINES_MAX) { /* the oldest goes, so that the newest state is always told */
        trace->first = (trace->first + 1) % TRACE_LINES_MAX;
        trace->count--;
        trace->dropped++;
    }
    struct trace_line *line = &trace->lines[(trace->first + trace->count++) % TRACE_LINES_MAX];
    line->mono_us = mono_us;
    line->level = level;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line->text, sizeof(line->text), format, args);
    va_end(args);
    if (length >= (int)sizeof(line->text))
        memcpy(line->text + sizeof(line->text) - 4, "...", 4);
}

bool trace_take(struct trace *trace, const struct trace_line **ret_line) {
    if (!trace->count)
        return false;
    *ret_line = &trace->lines[trace->first];
    trace->first = (trace->first + 1) % TRACE_LINES_MAX;
    trace->count--;
    return true;
}
