/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line of the simulator: a pseudo terminal whose gateway side is linked at the path the configuration names,
 * answering at the pace of a wire. Not pure: it belongs to the shell; the caller owns the epoll and the clock. */
#ifndef YANHUO_LINE_H
#define YANHUO_LINE_H

#include "base/text.h"
#include "gateway/simulator/plant.h"

#define LINE_PORT_SIZE 64 /* "/dev/pts/1234" */

struct line {
    const struct bus_spec *spec;
    struct plant *plant;
    const struct plant_listener *listener;
    int epoll_fd, near_fd, far_fd; /* far: the gateway's side, held open; both -1 while unplugged */
    char port[LINE_PORT_SIZE];
    uint8_t request[FRAME_SIZE];
    size_t request_size;
    int64_t heard_us; /* when the last byte of the request came */
    uint8_t reply[FRAME_SIZE];
    size_t reply_size, reply_sent; /* reply_size 0: listening */
    int64_t reply_first_us;        /* when its first byte has come through */
    int64_t wake_us;               /* NOW_NEVER while listening */
};

/* The line is unplugged at first. `spec`, `plant` and `listener` must outlive it. */
void line_init(struct line *line, const struct bus_spec *spec, struct plant *plant, const struct plant_listener *listener, int epoll_fd);

/* Opens the terminal and makes the link, or takes both away. What went wrong is added to `error`. A link is only ever put
 * where nothing is, or over one to a pseudo terminal: a real adapter's name is never touched. */
NODISCARD enum err line_plug(struct line *line, struct text *error);
void line_unplug(struct line *line);

void line_on_readable(struct line *line, int64_t now_us);
void line_on_time(struct line *line, int64_t now_us);

#endif
