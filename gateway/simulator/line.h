/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line of the simulator: a pseudo terminal whose gateway side is linked at the path the configuration names,
 * answering at the pace of a wire. Not pure: it belongs to the shell; the caller owns the epoll and the clock. */
#ifndef YANHUO_LINE_H
#define YANHUO_LINE_H

#include <stdio.h>

#include "base/text.h"
#include "gateway/simulator/wire.h"

#define LINE_PORT_SIZE 64 /* "/dev/pts/1234" */

/* The simulator's own part in every delay: how much later than due the last byte of a talk was handed over. */
struct line_delay {
    int64_t sum_us, worst_us;
    uint64_t count;
};

struct line {
    const struct bus_spec *spec;
    const struct plant_listener *listener;
    FILE *log;                     /* a line for each request; may be NULL */
    int epoll_fd, near_fd, far_fd; /* far: the gateway's side, held open; both -1 while unplugged */
    char port[LINE_PORT_SIZE];
    struct wire wire;
    struct line_delay delay;
    int64_t byte_us; /* when the next byte is due; NOW_NEVER while nobody speaks */
    bool byte_last;  /* of a talk: the master's next move is counted from it */
};

/* The line is unplugged at first. `spec`, `plant`, `listener` and `log` must outlive it. */
void line_init(struct line *line, const struct bus_spec *spec, struct plant *plant, const struct plant_listener *listener, int epoll_fd,
               uint64_t seed, FILE *log);

/* Opens the terminal and makes the link, or takes both away. What went wrong is added to `error`. A link is only ever put
 * where nothing is, or over one to a pseudo terminal: a real adapter's name is never touched. */
NODISCARD enum err line_plug(struct line *line, struct text *error);
void line_unplug(struct line *line);

void line_on_readable(struct line *line, int64_t now_us);
/* When line_on_time must be called; NOW_NEVER while nobody speaks. */
int64_t line_wake_us(const struct line *line);
void line_on_time(struct line *line, int64_t now_us);

/* What was observed, in one line for a person; and the heading of the log. */
void line_report(const struct line *line, struct text *text);
void line_recount(struct line *line);
#define LINE_LOG_HEADING "bus,unit_id,function,address,count,begin_us,end_us,reply_us,replied_us,fault,violation"

#endif
