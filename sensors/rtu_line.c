/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction, in order:
 *
 *   listen    3.5 characters of silence, counted from the last byte on the line; bytes heard meanwhile are dropped and the
 *             count begins anew (talking over a late answer would cost two transactions instead of one)
 *   send      the whole frame; from here `sent_us` is when its last bit leaves the wire, whatever the driver buffers
 *   receive   until the answer is found, or the caller needs the line and nothing of an answer is there (`cut`), or sent_us + timeout passes with nothing open, or an answer begun is cut by a pause
 *
 * While an answer is coming in (rtu_receiver: RTU_MORE), the end moves on with each byte by the byte timeout, but never past
 * sent_us + timeout + the wire time of the whole answer + one byte timeout: a dribbling device holds the line no longer.
 * Where a driver hands over byte by byte, a thread that is woken for each byte spends more on waking than on all else: while more
 * than a few bytes are missing it naps for the time that these need on the wire, and is awake again for the last two. A
 * driver that hands over many at once wakes seldom, and is not trusted to have handed over all it has: there is no nap.
 * An answer that is recognised and damaged ends at once. Anything else that is heard is skipped, and listening goes on. */
#include "sensors/rtu_line.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#define BYTE_TIMEOUT_CHARACTERS 20
#define BYTE_TIMEOUT_EXTRA_US 20000
#define READ_SIZE 512
#define NAP_CHARACTERS_MAX 16 /* a cut answer is noticed that much later */
#define NAP_AWAKE_CHARACTERS 2
#define NAP_BAUD_MAX 38400 /* on fast lines there is little to save, and waking up late costs (measured at 115200: half a percent) */

int64_t rtu_line_byte_timeout_us(const struct line_timing *timing) {
    return line_bytes_us(timing, BYTE_TIMEOUT_CHARACTERS) + BYTE_TIMEOUT_EXTRA_US;
}

void rtu_line_init(struct rtu_line *line, int fd, const struct line_timing *timing) {
    memset(line, 0, sizeof(*line));
    line->fd = fd;
    line->timing = *timing;
    line->busy_until_us = now_mono_us(); /* who knows what was on the line before */
}

/* Waits for `events` until the deadline, and for a call if there is a caller. 1: they are there, 0: the deadline passed, -1: the port is gone
 * (errno), 2: somebody calls. */
static int wait_or_call(const struct rtu_line *line, short events, int64_t deadline_us, const struct rtu_line_caller *caller) {
    for (;;) {
        int64_t left_us = deadline_us - now_mono_us();
        if (left_us < 0)
            left_us = 0;
        struct timespec left = {.tv_sec = (time_t)(left_us / 1000000), .tv_nsec = (long)(left_us % 1000000) * 1000};
        struct pollfd poll_fds[2] = {{.fd = line->fd, .events = events}, {.fd = caller ? caller->fd : -1, .events = POLLIN}};
        int ready = ppoll(poll_fds, 2, &left, NULL);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            return -1;
        if (ready == 0)
            return 0;
        if (poll_fds[0].revents & events)
            return 1; /* what was received before a hang-up is still read */
        if (poll_fds[0].revents == 0)
            return 2;
        errno = EIO;
        return -1;
    }
}

static int wait_until(const struct rtu_line *line, short events, int64_t deadline_us) {
    return wait_or_call(line, events, deadline_us, NULL);
}

/* Reads what is there. Bytes read, 0 for none, -1: the port is gone (errno). */
static ssize_t read_some(const struct rtu_line *line, uint8_t *bytes, size_t size) {
    ssize_t length = read(line->fd, bytes, size);
    if (length > 0)
        return length;
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (length == 0)
        errno = EIO; /* readable, but at its end: hung up */
    return -1;
}

/* Listen before talk. False: gone or never silent, *ret_answer says which. */
static bool listen_for_silence(struct rtu_line *line, struct bus_answer *ret_answer) {
    uint8_t bytes[READ_SIZE];
    int64_t silence_us = line_silence_us(&line->timing);
    int64_t give_up_us = now_mono_us() + RTU_LINE_BABBLE_US;
    for (;;) {
        int ready = wait_until(line, POLLIN, line->busy_until_us + silence_us);
        if (ready == 0)
            return true;
        ssize_t length = ready < 0 ? -1 : read_some(line, bytes, sizeof(bytes));
        if (length < 0) {
            ret_answer->status = BUS_DISCONNECTED;
            ret_answer->os_error = errno;
            return false;
        }
        int64_t now_us = now_mono_us();
        line->bytes_dropped += (uint64_t)length;
        if (length > 0)
            line->busy_until_us = now_us;
        if (now_us > give_up_us) {
            ret_answer->status = BUS_CORRUPT;
            return false;
        }
    }
}

/* Sends the frame. The driver takes it faster than the wire; a port that does not is gone. */
static bool send_frame(struct rtu_line *line, const uint8_t *frame, size_t size, struct bus_answer *ret_answer) {
    int64_t begun_us = now_mono_us();
    int64_t wire_us = line_bytes_us(&line->timing, size);
    size_t sent = 0;
    while (sent < size) {
        ssize_t length = write(line->fd, frame + sent, size - sent);
        if (length > 0) {
            sent += (size_t)length;
            continue;
        }
        if (length < 0 && errno == EINTR)
            continue;
        int ready = length < 0 && errno != EAGAIN ? -1 : wait_until(line, POLLOUT, begun_us + wire_us + RTU_LINE_BABBLE_US);
        if (ready <= 0) {
            ret_answer->status = BUS_DISCONNECTED;
            ret_answer->os_error = ready < 0 ? errno : ETIMEDOUT;
            return false;
        }
    }
    line->busy_until_us = begun_us + wire_us;
    return true;
}

/* At least `needed` bytes are still missing, and they need their time on the wire. Ends early only when the port hangs up. */
static void nap(const struct rtu_line *line, size_t needed) {
    int64_t wire_us = line_bytes_us(&line->timing, needed < NAP_CHARACTERS_MAX ? needed : NAP_CHARACTERS_MAX);
    int64_t nap_us = wire_us - line_bytes_us(&line->timing, NAP_AWAKE_CHARACTERS);
    if (line->timing.baud <= NAP_BAUD_MAX && nap_us > 0)
        (void)wait_until(line, 0, now_mono_us() + nap_us);
}

/* Listens for the answer of line->receiver's request. */
static void receive_answer(struct rtu_line *line, int64_t sent_us, int64_t timeout_us, const struct rtu_line_caller *caller,
                           struct bus_answer *ret_answer) {
    struct rtu_receiver *receiver = &line->receiver;
    int64_t byte_timeout_us = rtu_line_byte_timeout_us(&line->timing);
    int64_t answer_by_us = sent_us + timeout_us;
    int64_t end_by_us = answer_by_us + line_bytes_us(&line->timing, receiver->answer_size) + byte_timeout_us;
    int64_t first_us = NOW_NEVER; /* first byte of the place that is open */
    enum rtu_verdict verdict = RTU_NOTHING;
    bool byte_by_byte = false;
    int64_t cut_us = caller ? caller->called(caller->context) : NOW_NEVER;
    for (;;) {
        uint8_t bytes[READ_SIZE];
        size_t needed;
        int64_t pause_us = line->busy_until_us + byte_timeout_us;
        int64_t deadline_us = answer_by_us < cut_us ? answer_by_us : cut_us;
        if (verdict == RTU_MORE)
            deadline_us = pause_us < end_by_us ? pause_us : end_by_us;
        int ready = wait_or_call(line, POLLIN, deadline_us, caller);
        if (ready == 2) {
            cut_us = caller->called(caller->context);
            continue; /* what has come in meanwhile is read before the cut counts */
        }
        ssize_t length = ready > 0 ? read_some(line, bytes, sizeof(bytes)) : ready;
        if (length < 0) {
            ret_answer->status = BUS_DISCONNECTED;
            ret_answer->os_error = errno;
            return;
        }
        if (ready == 0)
            verdict = rtu_receiver_silence(receiver, &ret_answer->pdu);
        if (length > 0) {
            int64_t now_us = now_mono_us();
            if (verdict == RTU_NOTHING) {
                first_us = now_us;
                byte_by_byte = length == 1;
            }
            verdict = rtu_receiver_feed(receiver, bytes, (size_t)length, &needed, &ret_answer->pdu);
            if (now_us > line->busy_until_us)
                line->busy_until_us = now_us;
            if (verdict == RTU_MORE && byte_by_byte)
                nap(line, needed);
        }
        if (verdict == RTU_FOUND) {
            ret_answer->status = BUS_ANSWERED;
            ret_answer->turnaround_us = first_us > sent_us ? first_us - sent_us : 0;
            return;
        }
        int64_t now_us = now_mono_us();
        bool cut = verdict != RTU_MORE && now_us >= cut_us && now_us < answer_by_us;
        bool late = now_us >= (verdict == RTU_MORE ? end_by_us : answer_by_us);
        if (cut || late || rtu_receiver_damaged(receiver)) {
            ret_answer->cut = cut;
            ret_answer->status = receiver->heard || receiver->length > 0 ? BUS_CORRUPT : BUS_TIMEOUT;
            return;
        }
    }
}

/* Whatever became of a read, an echo of it says that the adapter echoes, and that nothing at all was heard says that it does not. */
static void learn_echo(struct rtu_line *line, const struct bus_answer *answer) {
    const struct rtu_receiver *receiver = &line->receiver;
    if (receiver->echo_seen || answer->status == BUS_ANSWERED || (answer->status == BUS_TIMEOUT && !answer->cut && !receiver->heard)) {
        line->echo_known = true;
        line->echoes = receiver->echo_seen;
    }
}

static void do_transact(struct rtu_line *line, uint8_t unit_id, const struct pdu *pdu, int64_t timeout_us, const struct rtu_line_caller *caller,
                        struct bus_answer *ret_answer) {
    ret_answer->pdu.size = 0;
    ret_answer->turnaround_us = 0;
    ret_answer->os_error = 0;
    ret_answer->cut = false;
    rtu_receiver_begin(&line->receiver, unit_id, pdu, line->echoes);
    if (listen_for_silence(line, ret_answer) && send_frame(line, line->receiver.frame, line->receiver.frame_size, ret_answer))
        receive_answer(line, line->busy_until_us, timeout_us, caller, ret_answer);
    if (pdu->bytes[0] <= FC_READ_INPUT && ret_answer->status != BUS_DISCONNECTED)
        learn_echo(line, ret_answer);
}

void rtu_line_transact(struct rtu_line *line, const struct bus_request *request, struct bus_answer *ret_answer) {
    uint8_t function = request->pdu.bytes[0];
    ret_answer->status = BUS_TIMEOUT;
    if (!line->echo_known && (function == FC_WRITE_COIL || function == FC_WRITE_REGISTER)) {
        struct pdu read;
        frame_read(&read, FC_READ_HOLDING, 0, 1);
        do_transact(line, RTU_LINE_NOBODY, &read, rtu_line_byte_timeout_us(&line->timing), NULL, ret_answer);
    }
    if (ret_answer->status != BUS_DISCONNECTED)
        do_transact(line, request->unit_id, &request->pdu, request->timeout_us, line->caller, ret_answer);
    now_read(&ret_answer->now);
}
