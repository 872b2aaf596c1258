/* SPDX-License-Identifier: Apache-2.0 */
/* The shell of a Modbus TCP endpoint, and of a serial line behind a TCP port (RTU over TCP). The connection and its timer are
 * tcp_link.c, the only one of the two that knows libuv; here the poller is stepped and requests meet their answers.
 *
 *   request   -- link open ----> SENT --- the answer, or the deadline, or the link fails ---> answered
 *             -- link near ----> WAITING --- opened --> SENT;  failed --> BUS_DISCONNECTED
 *             -- in a pause ---> BUS_DISCONNECTED at once
 *             -- a write waits, and poller_cut_us has passed --> answered, as cut: requests do not overtake each other on the wire
 *
 * To a line behind a converter whose speed is known, the next request waits for the line's silence after the last answer.
 * Callbacks only note what happened; settle() is the one place that steps the poller, so nothing recurses, also when a sink
 * calls bus_tcp_write. A connection is made anew after UNANSWERED_MAX requests in a row to which nothing at all came,
 * from whichever unit behind it, and when the boundary of frames is lost. */
#include "sensors/bus_tcp.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sensors/rtu_receiver.h"
#include "sensors/tcp_link.h"
#include "sensors/tcp_receiver.h"

#define UNANSWERED_MAX 3

enum phase { IDLE, WAITING, SENT, ANSWERED };

struct bus_tcp {
    const struct bus_spec *spec;
    struct poller *poller;
    struct trace *trace;
    struct bus_sink sink;
    struct tcp_link *link;

    enum phase phase;
    struct bus_request request;
    struct bus_answer answer;
    int64_t sent_us, answer_by_us;
    int64_t quiet_until_us; /* a line's silence after the last transaction; nothing is sent before */
    uint16_t transaction;
    unsigned unanswered; /* requests in a row */
    int failed_error;    /* why there is no connection */
    struct tcp_receiver receiver;
    struct rtu_receiver rtu;
    bool rtu_echoes;

    struct write_command writes[WRITES_PENDING_MAX];
    unsigned writes_count, writes_open; /* waiting here; posted and not yet reported as written */
    bool started, released, settling, closing;
    bool guest_posted, guest_open; /* waiting here; posted and not yet answered */
    struct guest_request guest;
    struct guest_sink guest_sink;
    void (*closed)(void *context);
    void *closed_context;
};

static bool is_rtu(const struct bus_tcp *bus) {
    return bus->spec->kind == BUS_RTU_OVER_TCP;
}

/* The request under way ends; settle() hands it to the poller. */
static void answer_give(struct bus_tcp *bus, enum bus_status status, int os_error) {
    CHECK(bus->phase == WAITING || bus->phase == SENT);
    now_read(&bus->answer.now);
    bus->answer.status = status;
    bus->answer.os_error = os_error;
    bus->answer.cut = false;
    bus->answer.turnaround_us = status == BUS_ANSWERED ? bus->answer.now.mono_us - bus->sent_us : 0;
    if (status != BUS_ANSWERED)
        bus->answer.pdu.size = 0;
    struct line_timing timing = bus_line_timing(bus->spec);
    if (timing.baud != 0)
        bus->quiet_until_us = bus->answer.now.mono_us + line_silence_us(&timing);
    tcp_receiver_end(&bus->receiver);
    bus->phase = ANSWERED;
}

static void request_send(struct bus_tcp *bus) {
    uint8_t frame[FRAME_SIZE];
    size_t size;
    int64_t wire_us = 0;
    if (is_rtu(bus)) {
        struct line_timing timing = bus_line_timing(bus->spec);
        rtu_receiver_begin(&bus->rtu, bus->request.unit_id, &bus->request.pdu, bus->rtu_echoes);
        size = bus->rtu.frame_size;
        memcpy(frame, bus->rtu.frame, size);
        wire_us = line_bytes_us(&timing, size + bus->rtu.answer_size);
    } else {
        bus->transaction++;
        tcp_receiver_begin(&bus->receiver, bus->transaction, bus->request.unit_id, &bus->request.pdu);
        size = frame_tcp(bus->transaction, bus->request.unit_id, &bus->request.pdu, frame);
    }
    bus->phase = SENT;
    bus->sent_us = now_mono_us();
    bus->answer_by_us = bus->sent_us + wire_us + bus->request.timeout_us;
    int os_error = tcp_link_send(bus->link, frame, size);
    bus->failed_error = os_error;
    if (os_error)
        answer_give(bus, BUS_DISCONNECTED, os_error);
}

static bool may_send(const struct bus_tcp *bus) {
    return tcp_link_is_open(bus->link) && now_mono_us() >= bus->quiet_until_us;
}

static void request_take(struct bus_tcp *bus, const struct bus_request *request) {
    CHECK(bus->phase == IDLE);
    bus->request = *request;
    bus->phase = WAITING;
    if (may_send(bus))
        request_send(bus);
    else if (!tcp_link_is_open(bus->link) && !tcp_link_is_near(bus->link))
        answer_give(bus, BUS_DISCONNECTED, bus->failed_error);
}

/* The link's callbacks -------------------------------------------------------------------------------------------------- */

static void on_opened(void *context) {
    struct bus_tcp *bus = context;
    tcp_receiver_init(&bus->receiver);
    bus->unanswered = 0;
    if (bus->phase == WAITING && may_send(bus))
        request_send(bus);
}

static void on_failed(void *context, int os_error) {
    struct bus_tcp *bus = context;
    bus->failed_error = os_error;
    if (bus->phase == WAITING || bus->phase == SENT)
        answer_give(bus, BUS_DISCONNECTED, os_error);
}

/* For RTU the receiver's buffer only carries the bytes over: it stays empty. */
static uint8_t *on_room(void *context, size_t *ret_size) {
    struct bus_tcp *bus = context;
    return tcp_receiver_room(&bus->receiver, ret_size);
}

static void answer_found(struct bus_tcp *bus) {
    if (is_rtu(bus) && bus->request.pdu.bytes[0] <= FC_READ_INPUT)
        bus->rtu_echoes = bus->rtu.echo_seen;
    bus->unanswered = 0;
    tcp_link_good(bus->link);
    answer_give(bus, BUS_ANSWERED, 0);
}

/* What comes while nothing is asked is dropped. */
static void rtu_received(struct bus_tcp *bus, const uint8_t *bytes, size_t size) {
    size_t needed;
    if (bus->phase != SENT)
        return;
    if (rtu_receiver_feed(&bus->rtu, bytes, size, &needed, &bus->answer.pdu) == RTU_FOUND)
        answer_found(bus);
    else if (rtu_receiver_damaged(&bus->rtu))
        answer_give(bus, BUS_CORRUPT, 0);
}

static void on_received(void *context, size_t size) {
    struct bus_tcp *bus = context;
    if (is_rtu(bus)) {
        rtu_received(bus, bus->receiver.buffer, size);
        return;
    }
    uint64_t frames = bus->receiver.frames;
    enum tcp_verdict verdict = tcp_receiver_feed(&bus->receiver, size, &bus->answer.pdu);
    if (bus->receiver.frames != frames)
        bus->unanswered = 0;
    if (verdict == TCP_FOUND)
        answer_found(bus);
    if (verdict == TCP_LOST) {
        tcp_link_anew(bus->link, "bytes that are no Modbus TCP frame");
        if (bus->phase == SENT)
            answer_give(bus, BUS_CORRUPT, 0);
    }
}

static void answer_timed_out(struct bus_tcp *bus) {
    bool corrupt = bus->receiver.mismatched;
    if (is_rtu(bus)) {
        if (rtu_receiver_silence(&bus->rtu, &bus->answer.pdu) == RTU_FOUND) {
            answer_found(bus);
            return;
        }
        corrupt = bus->rtu.heard;
        if (bus->request.pdu.bytes[0] <= FC_READ_INPUT && (bus->rtu.echo_seen || !corrupt))
            bus->rtu_echoes = bus->rtu.echo_seen; /* an echo does not need a device */
    }
    answer_give(bus, corrupt ? BUS_CORRUPT : BUS_TIMEOUT, 0);
    bus->unanswered = corrupt ? 0 : bus->unanswered + 1;
    if (bus->unanswered >= UNANSWERED_MAX)
        tcp_link_anew(bus->link, "several requests in a row without an answer");
}

static bool comes_in(const struct bus_tcp *bus) {
    return is_rtu(bus) && bus->phase == SENT && bus->rtu.length > 0;
}

/* A write waits and the request under way has had its time. On a line behind a converter an answer that comes in is finished first. The
 * connection stays: Modbus TCP tells the late answer by its number, RTU over TCP by what late.h allows. Not counted as unanswered. */
static void cut_if_due(struct bus_tcp *bus) {
    bool waits = bus->phase == WAITING && tcp_link_is_open(bus->link);
    if (now_mono_us() < poller_cut_us(bus->poller) || !(waits || (bus->phase == SENT && !comes_in(bus))))
        return;
    answer_give(bus, BUS_TIMEOUT, 0);
    bus->answer.cut = true;
}

/* Stepping -------------------------------------------------------------------------------------------------------------- */

/* What the poller must hear next; false when there is nothing. */
static bool event_next(struct bus_tcp *bus, struct poller_event *ret_event) {
    if (!bus->started) {
        bus->started = true;
        ret_event->kind = POLLER_START;
    } else if (bus->phase == ANSWERED) {
        bus->phase = IDLE;
        ret_event->kind = POLLER_ANSWERED;
        ret_event->answer = &bus->answer;
        ret_event->now = bus->answer.now;
        return true;
    } else if (bus->writes_count > 0) {
        ret_event->kind = POLLER_WRITE;
        ret_event->write = bus->writes[0];
        bus->writes_count--;
        memmove(bus->writes, bus->writes + 1, bus->writes_count * sizeof(bus->writes[0]));
    } else if (bus->released) {
        bus->released = false;
        ret_event->kind = POLLER_RELEASE;
    } else if (bus->guest_posted) {
        bus->guest_posted = false;
        ret_event->kind = POLLER_GUEST;
        ret_event->guest = &bus->guest;
    } else if (bus->phase == IDLE && poller_next_wake(bus->poller) <= now_mono_us()) {
        ret_event->kind = POLLER_TICK;
    } else {
        return false;
    }
    ret_event->answer = NULL;
    now_read(&ret_event->now);
    return true;
}

static void effects_pass_on(struct bus_tcp *bus, const struct poller_effects *effects) {
    if (effects->has_request)
        request_take(bus, &effects->request);
    if (effects->has_polled)
        bus->sink.polled(bus->sink.context, &effects->polled);
    if (effects->has_written) {
        CHECK(bus->writes_open > 0);
        bus->writes_open--;
        bus->sink.written(bus->sink.context, &effects->written);
    }
    if (effects->has_guest) {
        bus->guest_open = false;
        bus->guest_sink.answered(bus->guest_sink.context, &effects->guest);
    }
}

static int64_t next_wake(const struct bus_tcp *bus) {
    int64_t cut_us = comes_in(bus) ? NOW_NEVER : poller_cut_us(bus->poller);
    if (bus->phase == SENT)
        return cut_us < bus->answer_by_us ? cut_us : bus->answer_by_us;
    if (bus->phase == WAITING && tcp_link_is_open(bus->link))
        return bus->quiet_until_us;
    return bus->phase == IDLE ? poller_next_wake(bus->poller) : NOW_NEVER;
}

static void settle(void *context) {
    struct bus_tcp *bus = context;
    struct poller_event event;
    struct poller_effects effects;
    const struct trace_line *line;
    if (bus->settling || bus->closing)
        return;
    bus->settling = true;
    if (bus->phase == SENT && now_mono_us() >= bus->answer_by_us)
        answer_timed_out(bus);
    for (bool more = true; more;) {
        cut_if_due(bus);
        if (bus->phase == WAITING && may_send(bus))
            request_send(bus);
        if (bus->phase == WAITING && !tcp_link_is_open(bus->link))
            tcp_link_need(bus->link);
        more = event_next(bus, &event);
        if (more) {
            poller_step(bus->poller, &event, &effects);
            effects_pass_on(bus, &effects);
        }
        while (trace_take(bus->trace, &line))
            bus->sink.traced(bus->sink.context, line);
        more = more && !bus->closing;
    }
    bus->settling = false;
    if (bus->closing)
        return;
    tcp_link_wake_at(bus->link, next_wake(bus));
}

enum err bus_tcp_open(void *uv_loop, const struct bus_spec *spec, struct poller *poller, struct trace *trace, const struct bus_sink *sink,
                      struct bus_tcp **ret_bus) {
    CHECK(spec->kind != BUS_SERIAL && spec->host && spec->port);
    struct bus_tcp *bus = calloc(1, sizeof(*bus));
    if (!bus)
        return ERR_NOMEM;
    bus->spec = spec;
    bus->poller = poller;
    bus->trace = trace;
    bus->sink = *sink;
    const struct tcp_link_owner owner = {bus, on_opened, on_room, on_received, on_failed, settle};
    enum err err = tcp_link_open(uv_loop, spec, trace, &owner, &bus->link);
    if (err != ERR_OK) {
        free(bus);
        return err;
    }
    *ret_bus = bus; /* the poller starts from the loop, so that the caller holds the bus when the first effect comes */
    return ERR_OK;
}

static void on_link_closed(void *context) {
    struct bus_tcp *bus = context;
    void (*closed)(void *closed_context) = bus->closed;
    void *closed_context = bus->closed_context;
    free(bus);
    if (closed)
        closed(closed_context);
}

void bus_tcp_close(struct bus_tcp *bus, void (*closed)(void *context), void *context) {
    if (!bus) {
        if (closed)
            closed(context);
        return;
    }
    bus->closing = true;
    bus->closed = closed;
    bus->closed_context = context;
    tcp_link_close(bus->link, on_link_closed, bus);
}

enum err bus_tcp_write(struct bus_tcp *bus, const struct write_command *write) {
    if (bus->writes_open == WRITES_PENDING_MAX)
        return ERR_FULL;
    bus->writes[bus->writes_count++] = *write;
    bus->writes_open++;
    if (bus->started)
        settle(bus);
    return ERR_OK;
}

void bus_tcp_release(struct bus_tcp *bus) {
    bus->released = true;
    if (bus->started)
        settle(bus);
}

enum err bus_tcp_guest(struct bus_tcp *bus, const struct guest_request *guest, const struct guest_sink *sink) {
    if (bus->guest_open)
        return ERR_FULL;
    bus->guest = *guest;
    bus->guest_sink = *sink;
    bus->guest_posted = bus->guest_open = true;
    if (bus->started)
        settle(bus);
    return ERR_OK;
}
