/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a poller, shared by poller.c (what to send), poller_answer.c (what an answer means), poller_write.c,
 * poller_guest.c and nobody else. */
#ifndef YANHUO_POLLER_STATE_H
#define YANHUO_POLLER_STATE_H

#include "sensors/late.h"
#include "sensors/poller.h"
#include "sensors/response.h"
#include "sensors/schedule.h"

/* A read that repeats. The jobs of a device stand together: first those of its plan, then, for each merged read, those that
 * take its place when the device refuses it. */
struct poller_job {
    const struct plan_request *request;
    uint16_t device;      /* index in poller->devices */
    bool active;          /* released while its device is not dead */
    uint16_t split_count; /* jobs that replace this one; 0 when there is nothing to split */
    uint32_t split_first;
    struct response response;
    int64_t waits_since_us; /* its release while it waits for the end of a late window; 0: it does not */
};

struct poller_device {
    const struct device_spec *spec;
    struct device state;
    uint32_t jobs_first, jobs_count;
    uint16_t setup_done;   /* setup writes made and verified since it last was not there */
    bool setup_written;    /* the next of them too; it is still to be read back */
    bool setup_refused;    /* told once */
    int64_t turnaround_us; /* learned: rises at once, falls slowly; for the fit check */
    struct late late;
    int64_t rest_until_us; /* it cost the line its timeout: in this fire period it is not asked again */
    int64_t write_usual_us; /* how long a good echo takes to begin, of late; 0: none yet, and on networks */
    uint8_t cuts;           /* requests in a row that were given up for writes */
    bool alone_refused;     /* does not answer the read of one point of a merged request */
};

enum under_way { UNDER_WAY_NONE, UNDER_WAY_READ, UNDER_WAY_SETUP, UNDER_WAY_VERIFY, UNDER_WAY_WRITE, UNDER_WAY_GUEST };

/* What may still come from a unit id that no device has. */
struct poller_stranger {
    uint8_t unit_id;
    struct late late;
};
#define POLLER_CUTS_MAX 3 /* as many cuts in a row count as a miss */

/* A point that was written and is to be read back. */
struct poller_readback {
    uint16_t device; /* index in poller->devices */
    uint16_t point;
};

#define POLLER_STRANGERS_MAX 16 /* a scan's shortest timeouts fill the shortest window with as many */

struct poller {
    const struct bus_spec *bus;
    struct trace *trace;
    struct line_timing line; /* 0 baud for a network */
    int64_t fire_period_us;  /* the shortest; 0: nothing on this bus is fire */
    uint16_t devices_count;
    uint32_t jobs_count;
    struct poller_device *devices;
    struct poller_job *jobs;
    struct schedule schedule;
    struct poller_counters counters;
    bool started;
    bool disconnected;     /* the last answer said that the bus is not there */
    int64_t hold_until_us; /* no read before this; 0 when nothing holds */
    int64_t wake_us;
    /* Writes that wait, a ring. */
    struct write_command writes[WRITES_PENDING_MAX];
    int64_t writes_came_us[WRITES_PENDING_MAX];
    unsigned writes_first, writes_count;
    struct poller_readback readbacks[WRITES_PENDING_MAX]; /* a ring */
    unsigned readbacks_first, readbacks_count;
    int64_t cut_us; /* of the request under way */
    /* The request under way. For a setup write and its reading back, `job` is the read that they make possible. */
    enum under_way under_way;
    bool probe, extra;
    uint32_t job;
    struct write_command write;
    uint16_t write_device; /* index in poller->devices */
    int64_t sent_us, release_us, timeout_us;
    bool reading_back; /* the read under way is one; `covering` is the planned job for it, perhaps `job` itself */
    uint32_t covering;
    uint16_t readback_point;
    struct pdu request;
    /* The guest: here from `guest_here` until its answer, also while it is under way. */
    bool guest_here;
    struct guest_request guest;
    int64_t guest_since_us;
    int64_t guest_timeout_max_us;      /* of the slowest device */
    struct poller_stranger *strangers; /* POLLER_STRANGERS_MAX; NULL where late answers are told otherwise */
};

/* poller_answer.c: the request under way ended. Fills *ret_effects with its POLLED or WRITTEN. */
void poller_finish(struct poller *poller, int64_t now_us, const struct bus_answer *answer, struct poller_effects *ret_effects);

void poller_send(struct poller *poller, int64_t now_us, enum under_way under_way, uint8_t unit_id, int64_t timeout_us,
                 struct poller_effects *ret_effects);

/* The job is due from the last request on, that is now, if it was not before. */
void poller_release_now(struct poller *poller, uint32_t job);

/* poller_write.c. Takes a write in, or answers at once that it cannot be made. */
void poller_write_come(struct poller *poller, const struct poller_event *event, struct poller_effects *ret_effects);
/* The one that waits longest. */
void poller_write_send(struct poller *poller, int64_t now_us, struct poller_effects *ret_effects);
/* Sets how long the request under way may keep the writes waiting. */
void poller_write_cut(struct poller *poller);
/* Writes are rare, and some devices take their time to keep what is written: they are waited for as configured. */
int64_t poller_write_timeout_us(const struct device_spec *spec);
/* `point` of poller->devices[d] was written; nothing comes of it when it cannot be read. */
void poller_readback_due(struct poller *poller, uint16_t d, uint16_t point);
bool poller_readback_send(struct poller *poller, int64_t now_us, struct poller_effects *ret_effects);
/* The read that ended was the reading back of one point, which its device refuses to read alone: it is due again. */
bool poller_readback_refused(struct poller *poller, struct poller_device *device, bool exception);

/* poller_guest.c */
void poller_guest_init(struct poller *poller, struct arena *arena);
void poller_guest_come(struct poller *poller, const struct poller_event *event, struct poller_effects *ret_effects);
/* The schedule chose it: sends it, or puts it back. */
bool poller_guest_send(struct poller *poller, int64_t now_us, struct poller_effects *ret_effects);
void poller_guest_finish(struct poller *poller, int64_t now_us, const struct bus_answer *answer, bool was_disconnected,
                         struct poller_effects *ret_effects);
/* It was cut for a write: it waits again. */
void poller_guest_cut(struct poller *poller, int64_t now_us, const struct bus_answer *answer);
/* It waited too long. */
void poller_guest_expire(struct poller *poller, int64_t now_us, struct poller_effects *ret_effects);
void poller_guest_check(const struct poller *poller);

/* Modbus TCP numbers its transactions; elsewhere late answers must be told by what may still come. */
static inline bool poller_has_late(const struct poller *poller) {
    return poller->bus->kind != BUS_TCP;
}

/* Data in the answer to a planned read. */
static inline unsigned poller_reply_bytes(const struct plan_request *request) {
    bool bits = request->function == FC_READ_COILS || request->function == FC_READ_DISCRETE;
    return bits ? (request->count + 7u) / 8 : request->count * 2u;
}

/* NULL for a network, as plan.h wants it. */
static inline const struct line_timing *poller_line(const struct poller *poller) {
    return poller->line.baud != 0 ? &poller->line : NULL;
}

#endif
