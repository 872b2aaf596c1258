/* SPDX-License-Identifier: Apache-2.0 */
/* The log an operator reads: one line per trace line on stderr, with its level for the journal when a service manager reads it
 * and with the time of day for a person otherwise. Loop thread. */
#ifndef YANHUO_LOG_H
#define YANHUO_LOG_H

#include "base/trace.h"

void log_line(const struct trace_line *line);
__attribute__((format(printf, 2, 3))) void log_text(enum trace_level level, const char *format, ...);

#endif
