/* SPDX-License-Identifier: Apache-2.0 */
/* Not pure: terminals, links, bytes. What is answered is decided by the plant.
 *
 *              a whole frame, checksum good, unit plugged in
 *   LISTENING ----------------------------------------------> ANSWERING
 *       ^                                                         |
 *       '------------ the reply's last byte is written -----------'
 *
 * Times of one exchange, counted from when the request was read (a pseudo terminal hands it over at once, a wire does not):
 *   request's bytes on the wire | the device's turnaround | the reply's bytes, each handed over when it would have come through
 * Bytes that come while answering would have collided on a real line, and are dropped. A beginning of a frame that is not
 * continued within STALE_US, and bytes whose checksum is wrong, are dropped too, as every device does.
 * Bytes of a fast line are handed over in groups, at most once in GROUP_US; the last one is never early and never held back. */
#include "gateway/simulator/line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/simulator/watch.h"

#define STALE_US 50000
#define GROUP_US 1000
#define TERMINALS "/dev/pts/"
#define RTU_LEAST 4 /* unit, function, checksum */

void line_init(struct line *line, const struct bus_spec *spec, struct plant *plant, const struct plant_listener *listener, int epoll_fd) {
    *line =
        (struct line){.spec = spec, .plant = plant, .listener = listener, .epoll_fd = epoll_fd, .near_fd = -1, .far_fd = -1, .wake_us = NOW_NEVER};
}

static void add_error(struct text *error, const struct line *line, const char *what, const char *object, const char *advice) {
    text_add(error, "bus ");
    text_add(error, line->spec->name);
    text_add(error, ": ");
    text_add(error, what);
    text_add(error, object);
    text_add(error, advice);
}

/* ---- the terminal and its link ---- */

static bool links_to_terminal(const char *path) {
    char target[LINE_PORT_SIZE];
    ssize_t length = readlink(path, target, sizeof(target));
    return length > (ssize_t)strlen(TERMINALS) && memcmp(target, TERMINALS, strlen(TERMINALS)) == 0;
}

static enum err make_link(const struct line *line, struct text *error) {
    const char *path = line->spec->serial;
    if (links_to_terminal(path) && unlink(path) != 0) {
        add_error(error, line, "cannot replace the link ", path, "; remove it, or name another path");
        return ERR_IO;
    }
    if (symlink(line->port, path) == 0)
        return ERR_OK;
    if (errno == EEXIST)
        add_error(error, line, path, " exists and is no link to a pseudo terminal", "; the simulator needs a path of its own, such as /tmp/shed");
    else
        add_error(error, line, "cannot make the link ", path,
                  errno == ENOENT ? ": its folder does not exist; make it first" : ": no permission there");
    return ERR_IO;
}

static void close_both(struct line *line) {
    if (line->near_fd >= 0)
        (void)close(line->near_fd);
    if (line->far_fd >= 0)
        (void)close(line->far_fd);
    line->near_fd = line->far_fd = -1;
}

/* The gateway's side is held open, so that the terminal outlives a gateway that starts again. */
static enum err open_terminal(struct line *line) {
    line->near_fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (line->near_fd < 0 || grantpt(line->near_fd) != 0 || unlockpt(line->near_fd) != 0 ||
        ptsname_r(line->near_fd, line->port, sizeof(line->port)) != 0)
        return ERR_IO;
    line->far_fd = open(line->port, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios mode;
    if (line->far_fd < 0 || tcgetattr(line->far_fd, &mode) != 0)
        return ERR_IO;
    cfmakeraw(&mode);
    return tcsetattr(line->far_fd, TCSANOW, &mode) == 0 ? ERR_OK : ERR_IO;
}

enum err line_plug(struct line *line, struct text *error) {
    if (line->near_fd >= 0)
        return ERR_OK;
    enum err err = open_terminal(line);
    if (err == ERR_OK)
        err = watch_add(line->epoll_fd, line->near_fd, WATCH_LINE, line->spec->bus);
    if (err != ERR_OK)
        add_error(error, line, "cannot open a pseudo terminal: ", strerror(errno), "; is /dev/pts mounted?");
    else
        err = make_link(line, error);
    if (err != ERR_OK)
        close_both(line);
    line->request_size = line->reply_size = 0;
    line->wake_us = NOW_NEVER;
    return err;
}

void line_unplug(struct line *line) {
    if (line->near_fd < 0)
        return;
    char target[LINE_PORT_SIZE] = "";
    ssize_t length = readlink(line->spec->serial, target, sizeof(target) - 1);
    if (length > 0 && strcmp(target, line->port) == 0) /* still ours */
        (void)unlink(line->spec->serial);
    close_both(line);
    line->wake_us = NOW_NEVER;
}

/* ---- exchanges ---- */

/* When byte `i` of the reply has come through. */
static int64_t byte_us(const struct line *line, size_t i) {
    struct line_timing timing = bus_line_timing(line->spec);
    return line->reply_first_us + line_bytes_us(&timing, i);
}

static void plan_wake(struct line *line, int64_t now_us) {
    int64_t next_us = byte_us(line, line->reply_sent), last_us = byte_us(line, line->reply_size - 1);
    int64_t group_us = line->reply_sent > 0 ? now_us + GROUP_US : next_us;
    line->wake_us = group_us > next_us ? group_us : next_us;
    if (line->wake_us > last_us)
        line->wake_us = last_us;
}

static void on_frame(struct line *line, size_t size, int64_t now_us) {
    struct line_timing timing = bus_line_timing(line->spec);
    struct slave_write write;
    struct pdu reply;
    uint16_t device;
    bool answered = plant_answer(line->plant, line->spec->bus, line->request[0], line->request + 1, size - 3, &device, &reply, &write);
    if (!answered)
        return;
    line->reply_size = frame_rtu(line->request[0], &reply, line->reply);
    line->reply_sent = 0;
    line->reply_first_us = now_us + line_bytes_us(&timing, size) + line->plant->devices[device].turnaround_us + line_bytes_us(&timing, 1);
    plan_wake(line, now_us);
    if (write.done)
        line->listener->wrote(line->listener->context, device, &write);
}

static bool checksum_good(const uint8_t *frame, size_t size) {
    return frame_crc(frame, size - 2) == (frame[size - 2] | frame[size - 1] << 8);
}

static void on_bytes(struct line *line, int64_t now_us) {
    size_t expected = slave_rtu_request_size(line->request, line->request_size);
    if (expected == SIZE_MAX) /* a function unknown here: the frame is what came, if the checksum says so */
        expected = line->request_size >= RTU_LEAST && checksum_good(line->request, line->request_size) ? line->request_size : 0;
    if (expected > sizeof(line->request))
        line->request_size = 0;
    else if (expected != 0 && line->request_size >= expected) {
        if (checksum_good(line->request, expected))
            on_frame(line, expected, now_us);
        line->request_size = 0;
    } else if (line->request_size == sizeof(line->request))
        line->request_size = 0;
}

void line_on_readable(struct line *line, int64_t now_us) {
    if (line->near_fd < 0)
        return;
    if (line->request_size > 0 && now_us - line->heard_us > STALE_US)
        line->request_size = 0;
    ssize_t got = read(line->near_fd, line->request + line->request_size, sizeof(line->request) - line->request_size);
    if (got <= 0)
        return; /* nothing, or interrupted: epoll tells again */
    if (line->reply_size > 0)
        return; /* collided with the reply */
    line->request_size += (size_t)got;
    line->heard_us = now_us;
    on_bytes(line, now_us);
}

void line_on_time(struct line *line, int64_t now_us) {
    if (line->near_fd < 0 || now_us < line->wake_us)
        return;
    size_t due = line->reply_sent;
    while (due < line->reply_size && byte_us(line, due) <= now_us)
        due++;
    /* What the terminal does not take is lost, as on a wire on which nobody listens. */
    ssize_t written = write(line->near_fd, line->reply + line->reply_sent, due - line->reply_sent);
    (void)written;
    line->reply_sent = due;
    if (due == line->reply_size) {
        line->reply_size = 0;
        line->wake_us = NOW_NEVER;
    } else {
        plan_wake(line, now_us);
    }
}
