/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of one bus: what to ask next, who is dead, what an answer means. Pure: driven by poller_step with the time in
 * the event, by the line's own thread (serial) or by the loop (TCP). Allocates from the arena at init only.
 *
 * Invariants, asserted by poller_check:
 *  1. At most one request is under way; none is made while one is.
 *  2. Writes go before reads, then what was written is read back, fire before the rest, and within a rank the earliest release
 *     first. No request keeps a write waiting past poller_cut_us: the bus gives it up then (poller_write.c says when and why).
 *  3. A dead device gets only probes and writes; probes at its probe interval (at most 10 s), later only for the probe budget
 *     and the fire points, and never more than 12 s later but for one other job by age a second (schedule.h).
 *  4. A polling period is kept by release times (start + n * period), never by adding to a finish time; a release that was
 *     missed is skipped and counted, not made up for.
 *  5. Every read and every write that is under way ends in exactly one POLLED or WRITTEN; a read that was cut for a write, in that of its
 *     repetition (probes, extras and readings back that were cut end in none, or in a later one's). A setup write, and the reading back of
 *     what it wrote, stand before a read: when one fails, that read fails; when they succeed, the read follows.
 *  6. After a reply that feeds an action the line waits for RELEASE, at most POLLER_HOLD_US.
 *  7. Where frames have no transaction number (a serial line, RTU over TCP) no request goes to a unit whose answer could be
 *     the late one of an earlier request for something else (late.h); other units are asked meanwhile.
 *  8. Beside fire points a device that let its timeout pass is not asked again for the shortest fire period, whatever else is
 *     due of it, but for writes and reading back what they wrote: k devices that fall silent in one period cost the line k timeouts and no more.
 *  9. A guest (a read that a person asked for) is sent only in spare time (schedule.h, rule 7) and never while a reply is held. It
 *     changes no device's state and no schedule. It ends in exactly one GUEST, at most POLLER_GUEST_WAIT_US and its own
 *     transaction after it came, and keeps the line no longer than the slowest device's unanswered request. A guest whose late
 *     answer could be taken for a fire point's is refused: it would keep the fire point from being asked.
 * The phase of each request inside its first period (at most 10 s) is spread evenly over the devices, so that a start is no
 * burst; only the fire points of a serial line are released together, which leaves the longest pauses for the rest. Endpoints
 * meet at twenty instants of a period: asked one by one, each would wake every thread on its road for itself. */
#ifndef YANHUO_POLLER_H
#define YANHUO_POLLER_H

#include "base/trace.h"
#include "sensors/bus.h"
#include "sensors/device.h"
#include "sensors/plan.h"

#define POLLER_HOLD_US ACTION_ROAD_US
#define POLLER_WRITE_USUAL_US 50000 /* of a device that has not answered a write yet: some take their time to keep what is written */
#define POLLER_GUEST_WAIT_US 10000000 /* until it is told that there was no spare time */

enum poller_event_kind {
    POLLER_START,    /* once, first */
    POLLER_TICK,     /* its wake time came */
    POLLER_ANSWERED, /* the request under way ended */
    POLLER_WRITE,    /* write one point, ahead of all reads */
    POLLER_GUEST,    /* a person asks something in spare time; only when no other guest is here */
    POLLER_RELEASE,  /* the verdict on a held reply is in, its writes were delivered before */
};

struct write_command {
    uint32_t id;     /* given back in struct written */
    uint16_t device; /* index in the configuration */
    uint16_t point;
    double value; /* engineering value; 1 and 0 for on and off */
};

/* A read of any unit id, also one that no device has. */
struct guest_request {
    uint32_t id; /* given back in struct guest_answer */
    uint8_t unit_id;
    struct pdu pdu;     /* as frame_read builds it */
    int64_t timeout_us; /* shortened to what the slowest device of the bus may take */
};

enum guest_result {
    GUEST_ASKED,      /* `status` says what came of it */
    GUEST_NO_TIME,    /* not sent: the bus had no pause that was long enough */
    GUEST_LOOKS_FIRE, /* not sent: its late answer would look like that of a fire point */
};

struct guest_answer {
    uint32_t id;
    enum guest_result result;
    enum bus_status status;
    struct pdu pdu; /* BUS_ANSWERED: the answer or an exception */
    int64_t turnaround_us;
};

struct poller_event {
    enum poller_event_kind kind;
    struct now now;
    const struct bus_answer *answer;   /* POLLER_ANSWERED */
    struct write_command write;        /* POLLER_WRITE */
    const struct guest_request *guest; /* POLLER_GUEST */
};

/* What one finished read says about a device. On failure every point of the request is there with quality bad. */
struct polled {
    uint16_t bus, device; /* indices in the configuration */
    enum bus_status status;
    uint8_t exception;              /* non-zero: answered with this Modbus exception */
    enum device_state device_state; /* after this answer */
    bool holds;                     /* the line waits for RELEASE */
    bool extra;                     /* read in spare line time beside the period: for alarms and changes, not for the record */
    struct now now;                 /* when the reply's last byte was read: the time of every reading in here */
    int64_t took_us;                /* request handed to the bus -> now */
    int64_t timeout_us;             /* what it was waited for: the device\'s response timeout as learned so far */
    int64_t late_us;                /* how long after its release time the request was handed to the bus */
    int64_t older_us;               /* the values may be older than `now` by this: the answer may be the late one to an earlier
                                       identical request; 0 for an answer that can only be this one's */
    uint16_t adapter_ms;            /* how long the line's adapter may keep bytes back; 0: not known, or none (set by the line's shell) */
    uint16_t count;
    struct reading readings[POLLED_POINTS_MAX];
};

struct written {
    uint32_t id;
    uint16_t bus, device, point;
    bool ok;                /* the echo was equal */
    enum bus_status status; /* BUS_ANSWERED without ok and exception: not sent, the point cannot take the value or too many wait */
    uint8_t exception;
    struct now now;
};

struct poller_effects {
    bool has_request, has_polled, has_written, has_guest;
    struct bus_request request;
    struct polled polled;
    struct written written;
    struct guest_answer guest;
};

/* Where a guest's answer goes: from the thread that steps the poller; must copy and return at once. */
struct guest_sink {
    void *context;
    void (*answered)(void *context, const struct guest_answer *answer);
};

/* Where a driven poller's effects go. Called on the thread that steps the poller; must copy and return at once. */
struct bus_sink {
    void *context;
    void (*polled)(void *context, const struct polled *polled);
    void (*written)(void *context, const struct written *written);
    void (*traced)(void *context, const struct trace_line *line);
};

struct poller; /* defined in poller.c */

/* `devices` and `bus` must outlive the poller. ERR_RANGE when a device needs too many requests. */
NODISCARD enum err poller_create(const struct bus_spec *bus, const struct device_spec *const *devices, uint16_t devices_count, struct arena *arena,
                                 struct trace *trace, struct poller **ret_poller);
void poller_step(struct poller *poller, const struct poller_event *event, struct poller_effects *ret_effects);
int64_t poller_next_wake(const struct poller *poller); /* mono_us, NOW_NEVER while a request is under way */
/* Until when the request under way may be waited for, because a write waits: then, or later when its answer has begun to come in by then, it is
 * ended by an answer with `cut`. NOW_NEVER: as long as asked. May change with each step. */
int64_t poller_cut_us(const struct poller *poller);
void poller_check(const struct poller *poller);

/* Whether a write of this number to this point would be sent. A wish that could never be carried out is refused when it is made. Any thread. */
bool poller_can_write(const struct point *point, double number);

/* Counters for health; safe to read only from the poller's own thread. */
struct poller_counters {
    uint64_t requests, answers, timeouts, corrupt, exceptions, writes, extras, cuts, skipped_releases;
    int64_t busy_us;
    uint16_t devices_online, devices_dead;
};
const struct poller_counters *poller_counters(const struct poller *poller);

/* The response timeout of a device now: of its slowest request. `device` counts within this bus, as given to poller_create. */
struct poller_timeouts {
    int64_t floor_us, ceiling_us, current_us;
};
void poller_timeouts(const struct poller *poller, uint16_t device, struct poller_timeouts *ret_timeouts);

#endif
