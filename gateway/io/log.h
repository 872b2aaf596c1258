/* SPDX-License-Identifier: Apache-2.0 */
/* The log an operator reads: one line per trace line on stderr, with its level for the journal when a service manager reads it
 * and with the time of day for a person otherwise. Loop thread. */
#ifndef YANHUO_LOG_H
#define YANHUO_LOG_H

#include "base/text.h"
#include "base/trace.h"

void log_line(const struct trace_line *line);
/* The last lines, oldest first, each with a line feed. */
#define LOG_RECENT_LINES 12
#define LOG_RECENT_SIZE 200 /* of one line; longer ones are cut */
void log_recent(struct text *text);
__attribute__((format(printf, 2, 3))) void log_text(enum trace_level level, const char *format, ...);

#endif
