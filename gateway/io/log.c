/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/now.h"
#include "base/text.h"

static char recent[LOG_RECENT_LINES][LOG_RECENT_SIZE];
static unsigned recent_next;

void log_recent(struct text *text) {
    for (unsigned i = 0; i < LOG_RECENT_LINES; i++) {
        const char *line = recent[(recent_next + i) % LOG_RECENT_LINES];
        if (line[0] == '\0')
            continue;
        text_add(text, line);
        text_add_char(text, '\n');
    }
}

void log_line(const struct trace_line *line) {
    (void)text_copy(recent[recent_next], LOG_RECENT_SIZE, line->text);
    recent_next = (recent_next + 1) % LOG_RECENT_LINES;
    static const char *const journal_levels[] = {"<6>", "<4>", "<3>"}; /* sd-daemon(3): informational, warning, error */
    static const char *const names[] = {"", "warning: ", "error: "};
    if (getenv("JOURNAL_STREAM")) {
        fprintf(stderr, "%s%s\n", journal_levels[line->level], line->text);
        return;
    }
    struct now now;
    now_read(&now);
    char bytes[40];
    struct text time;
    text_init(&time, bytes, sizeof(bytes));
    text_add_time(&time, now.wall_ms, 0);
    fprintf(stderr, "%.12s %s%s\n", bytes + 11, names[line->level], line->text); /* 12:00:00.123, UTC */
}

void log_text(enum trace_level level, const char *format, ...) {
    struct trace_line line = {.mono_us = now_mono_us(), .level = level};
    va_list args;
    va_start(args, format);
    vsnprintf(line.text, sizeof(line.text), format, args);
    va_end(args);
    log_line(&line);
}
