/* SPDX-License-Identifier: Apache-2.0 */
/* Not pure: terminals, links, bytes. What is answered is decided by the plant.
 *
 * The model of the wire is in wire.h; here its bytes go through a pseudo terminal, each when it is due. */
#include "gateway/simulator/line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/simulator/watch.h"

#define TERMINALS "/dev/pts/"
#define EARLY_US 40 /* what waking up takes: for a talk's last byte it is begun that much earlier, and the clock is watched */

void line_init(struct line *line, const struct bus_spec *spec, struct plant *plant, const struct plant_listener *listener, int epoll_fd,
               uint64_t seed, FILE *log) {
    *line = (struct line){.spec = spec, .listener = listener, .log = log, .epoll_fd = epoll_fd, .near_fd = -1, .far_fd = -1, .byte_us = NOW_NEVER};
    wire_init(&line->wire, spec, plant, seed);
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
    wire_clear(&line->wire);
    line->byte_us = NOW_NEVER;
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
    line->byte_us = NOW_NEVER;
}

/* ---- bytes ---- */

static void log_exchange(const struct line *line, const struct wire_exchange *exchange) {
    (void)fprintf(line->log, "%s,%u,%u,%u,%u,%lld,%lld,%lld,%lld,%s,%s\n", line->spec->name, exchange->unit_id, exchange->function, exchange->address,
                  exchange->count, (long long)exchange->begin_us, (long long)exchange->end_us, (long long)exchange->reply_us,
                  (long long)exchange->replied_us, fault_name(exchange->fault), line_violation_name(exchange->violation));
}

void line_on_readable(struct line *line, int64_t now_us) {
    uint8_t bytes[FRAME_SIZE];
    struct wire_exchange exchange;
    if (line->near_fd < 0)
        return;
    ssize_t got = read(line->near_fd, bytes, sizeof(bytes));
    if (got <= 0)
        return; /* nothing, or interrupted: epoll tells again */
    if (wire_hear(&line->wire, now_us, bytes, (size_t)got, &exchange)) {
        if (exchange.write.done)
            line->listener->wrote(line->listener->context, exchange.device, &exchange.write);
        if (line->log)
            log_exchange(line, &exchange);
    }
    line->byte_us = wire_next_us(&line->wire, &line->byte_last);
}

int64_t line_wake_us(const struct line *line) {
    return line->byte_us != NOW_NEVER && line->byte_last ? line->byte_us - EARLY_US : line->byte_us;
}

void line_on_time(struct line *line, int64_t now_us) {
    uint8_t bytes[WIRE_TALK_SIZE];
    int64_t last_us;
    if (line->near_fd < 0 || now_us < line_wake_us(line))
        return;
    while (now_us < line->byte_us)
        now_us = now_mono_us();
    size_t due = wire_take(&line->wire, now_us, bytes, sizeof(bytes), &last_us);
    /* What the terminal does not take is lost, as on a wire on which nobody listens. */
    ssize_t written = write(line->near_fd, bytes, due);
    (void)written;
    if (last_us != NOW_NEVER) {
        int64_t late_us = now_mono_us() - last_us;
        line->delay.sum_us += late_us;
        line->delay.count++;
        if (late_us > line->delay.worst_us)
            line->delay.worst_us = late_us;
    }
    line->byte_us = wire_next_us(&line->wire, &line->byte_last);
}

/* ---- what was observed ---- */

static void add_count(struct text *text, const char *before, uint64_t count, const char *after) {
    text_add(text, before);
    text_add_u64(text, count);
    text_add(text, after);
}

static void add_hundredths(struct text *text, const char *before, unsigned hundredths) {
    add_count(text, before, hundredths / 100, hundredths % 100 < 10 ? ".0" : ".");
    add_count(text, "", hundredths % 100, " %");
}

void line_report(const struct line *line, struct text *text) {
    const struct line_judge *judge = &line->wire.judge;
    const struct line_delay *delay = &line->delay;
    text_add(text, "report ");
    text_add(text, line->spec->name);
    add_count(text, ": ", judge->requests, " requests, ");
    add_count(text, "", judge->answered, " replies, ");
    add_count(text, "", line->wire.faults, " faults, ");
    add_count(text, "", judge->early, " EARLY, ");
    add_count(text, "", judge->talkover, " TALKOVER");
    add_hundredths(text, ", efficiency ", line_share_hundredths(&judge->all));
    add_hundredths(text, ", undisturbed ", line_share_hundredths(&judge->undisturbed));
    add_count(text, ", own delay ", delay->count ? (uint64_t)(delay->sum_us / (int64_t)delay->count) : 0, " us");
    add_count(text, " (worst ", (uint64_t)delay->worst_us, " us)");
}

void line_recount(struct line *line) {
    wire_recount(&line->wire);
    line->delay = (struct line_delay){0};
}
