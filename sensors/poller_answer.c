/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer means, in this order: for the bus (there or not), for the device (alive or not), for the read or write that
 * was under way (POLLED or WRITTEN), for what is asked next (split, probe, setup).
 *
 *   answer                       device   readings                 written
 *   good                         alive    decoded                  ok
 *   exception                    alive    bad, exception           refused
 *   exception 10 or 11           missed   bad, no answer           refused   a gateway on the way says it is not there
 *   corrupt or not an answer     missed   bad, corrupt             not ok
 *   timeout                      missed   bad, no answer           not ok
 *   cut for a write              -        - (asked again)          not ok    but late answers are expected; see poller_write.c
 *   disconnected                 missed   bad, disconnected        not ok */
#include <string.h>

#include "base/check.h"
#include "sensors/decode.h"
#include "sensors/poller_state.h"

#define REQUEST_SIZE 8                /* of a read on a line */
#define DISCONNECTED_PROBE_US 2000000 /* nothing is disturbed by asking a bus that is not there */
#define TURNAROUND_FALL 8             /* the learned turnaround falls by an eighth of the difference */

enum { EXCEPTION_ADDRESS = 2, EXCEPTION_VALUE = 3, EXCEPTION_GATEWAY_PATH = 10, EXCEPTION_GATEWAY_TARGET = 11 };

struct outcome {
    enum bus_status status;
    bool good, alive;
    uint8_t exception;
    enum quality_reason reason;
    const uint8_t *data;
    size_t data_size;
    int64_t at_us;    /* when the answer was read */
    bool doubtful;    /* it may be the answer to an earlier request */
    int64_t older_us; /* then: its values may be older by this */
};

static struct outcome judge(struct poller *poller, struct poller_device *device, const struct bus_answer *answer) {
    struct outcome outcome = {.status = answer->status, .reason = REASON_NO_ANSWER, .at_us = answer->now.mono_us};
    if (answer->status == BUS_ANSWERED) {
        CHECK(answer->pdu.size <= PDU_SIZE);
        enum frame_verdict verdict =
            frame_match(&poller->request, answer->pdu.bytes, answer->pdu.size, &outcome.exception, &outcome.data, &outcome.data_size);
        outcome.good = verdict == FRAME_GOOD;
        outcome.alive = outcome.good;
        if (verdict == FRAME_MISMATCH)
            outcome.status = BUS_CORRUPT;
    }
    if (outcome.good) {
        outcome.reason = REASON_NONE;
        poller->counters.answers++;
    } else if (outcome.exception != 0) {
        outcome.alive = outcome.exception != EXCEPTION_GATEWAY_PATH && outcome.exception != EXCEPTION_GATEWAY_TARGET;
        outcome.reason = outcome.alive ? REASON_EXCEPTION : REASON_NO_ANSWER;
        poller->counters.answers++;
        poller->counters.exceptions++;
        device->state.exceptions++;
    } else if (outcome.status == BUS_CORRUPT) {
        outcome.reason = REASON_CORRUPT;
        poller->counters.corrupt++;
        device->state.corrupt++;
    } else if (outcome.status == BUS_DISCONNECTED) {
        outcome.reason = REASON_DISCONNECTED;
    } else {
        poller->counters.timeouts++;
        device->state.timeouts++;
    }
    return outcome;
}

/* What may still come of this request, and what of the answer may have come of an earlier one. The window is counted from when
 * the request would have been given up: an answer that came before may not have been its own. */
static void judge_lateness(struct poller *poller, struct poller_device *device, int64_t now_us, bool was_disconnected, struct outcome *outcome) {
    if (!poller_has_late(poller) || (outcome->status == BUS_DISCONNECTED && was_disconnected)) /* nothing was sent */
        return;
    struct late *late = &device->late;
    int64_t window_us = late_window_us((int64_t)device->spec->timeout_ms * 1000);
    int64_t given_up_us = poller->sent_us + poller->timeout_us > now_us ? poller->sent_us + poller->timeout_us : now_us;
    bool answered = outcome->good || outcome->exception != 0;
    outcome->doubtful = answered && late_doubts(late, &poller->request, outcome->exception != 0, outcome->at_us);
    if (outcome->doubtful) {
        outcome->older_us = late_age_us(late, &poller->request, outcome->at_us);
        if (outcome->older_us > window_us + poller->timeout_us) /* nothing is later than that */
            outcome->older_us = window_us + poller->timeout_us;
    }
    if (outcome->good && late_hides_write(late, &poller->request, outcome->at_us)) {
        outcome->good = false; /* alive, but what was written is not known */
        outcome->status = BUS_CORRUPT;
        outcome->reason = REASON_CORRUPT;
    }
    if (!answered || outcome->doubtful)
        late_open(late, &poller->request, poller->sent_us, given_up_us + window_us, now_us);
}

/* Line time of a probe that is not answered; the same for every read. */
static int64_t probe_cost_us(const struct poller *poller, const struct poller_device *device) {
    if (poller->line.baud == 0)
        return 0;
    return line_bytes_us(&poller->line, REQUEST_SIZE) + (int64_t)device->spec->timeout_ms * 1000 + line_silence_us(&poller->line);
}

static bool has_jobs(const struct poller_device *device) {
    return device->jobs_count > 0;
}

static void setup_forget(struct poller_device *device) {
    device->setup_done = 0;
    device->setup_written = false;
}

static void note_bus(struct poller *poller, int64_t now_us, const struct bus_answer *answer) {
    bool disconnected = answer->status == BUS_DISCONNECTED;
    if (disconnected == poller->disconnected)
        return;
    poller->disconnected = disconnected;
    if (disconnected) {
        const char *reason = answer->os_error != 0 ? strerrordesc_np(answer->os_error) : NULL;
        trace_add(poller->trace, now_us, TRACE_ERROR, "bus %s disconnected%s%s", poller->bus->name, reason ? ": " : "", reason ? reason : "");
    } else {
        trace_add(poller->trace, now_us, TRACE_INFO, "bus %s connected", poller->bus->name);
    }
    for (uint16_t d = 0; d < poller->devices_count; d++) {
        struct poller_device *device = &poller->devices[d];
        if (disconnected) /* who knows what the devices went through */
            setup_forget(device);
        else if (heap_at_us(&poller->schedule.probes, d) != NOW_NEVER)
            schedule_probe(&poller->schedule, d, now_us, probe_cost_us(poller, device));
    }
}

static void count_states(struct poller *poller, enum device_state before, enum device_state after) {
    poller->counters.devices_online += (after == DEVICE_ONLINE) - (before == DEVICE_ONLINE);
    poller->counters.devices_dead += (after == DEVICE_DEAD) - (before == DEVICE_DEAD);
    poller->schedule.budgeted = poller->counters.devices_dead < poller->devices_count;
}

static void device_died(struct poller *poller, struct poller_device *device, int64_t now_us) {
    trace_add(poller->trace, now_us, TRACE_WARNING, "device %s dead misses=%u", device->spec->name, device->state.misses);
    setup_forget(device);
    device->setup_refused = false;
    for (uint32_t i = device->jobs_first; i < device->jobs_first + device->jobs_count; i++)
        schedule_remove(&poller->schedule, i);
}

static void device_came(struct poller *poller, uint16_t d, int64_t now_us, enum device_state before, int64_t last_us) {
    const struct poller_device *device = &poller->devices[d];
    if (last_us == NOW_NEVER) {
        trace_add(poller->trace, now_us, TRACE_INFO, "device %s online", device->spec->name);
    } else {
        int64_t tenths = (now_us - last_us + 50000) / 100000;
        trace_add(poller->trace, now_us, TRACE_INFO, "device %s back after=%lld.%llds", device->spec->name, (long long)(tenths / 10),
                  (long long)(tenths % 10));
    }
    if (before != DEVICE_DEAD)
        return;
    schedule_probe(&poller->schedule, d, NOW_NEVER, 0);
    for (uint32_t i = device->jobs_first; i < device->jobs_first + device->jobs_count; i++)
        if (poller->jobs[i].active)
            schedule_release(&poller->schedule, i, now_us); /* everything it has is wanted now */
}

static void note_device(struct poller *poller, uint16_t d, int64_t now_us, const struct outcome *outcome) {
    struct poller_device *device = &poller->devices[d];
    enum device_state before = device->state.state;
    int64_t last_us = device->state.last_answer_us;
    bool changed = outcome->alive ? device_on_answer(&device->state, outcome->at_us) : device_on_miss(&device->state, outcome->at_us);
    if (!changed)
        return;
    count_states(poller, before, device->state.state);
    if (outcome->alive) {
        device_came(poller, d, now_us, before, last_us);
        return;
    }
    device_died(poller, device, now_us);
    if (has_jobs(device))
        schedule_probe(&poller->schedule, d, now_us + (int64_t)device->state.probe_interval_ms * 1000, probe_cost_us(poller, device));
}

/* A probe ended: the next one, unless the device came back. */
static void end_probe(struct poller *poller, uint16_t d, int64_t now_us, int64_t took_us, const struct outcome *outcome) {
    const struct poller_device *device = &poller->devices[d];
    schedule_probe_spent(&poller->schedule, now_us, took_us);
    if (device->state.state != DEVICE_DEAD)
        return;
    int64_t interval_us = (int64_t)device->state.probe_interval_ms * 1000;
    if (outcome->status == BUS_DISCONNECTED && interval_us > DISCONNECTED_PROBE_US)
        interval_us = DISCONNECTED_PROBE_US;
    schedule_probe(&poller->schedule, d, now_us + interval_us, probe_cost_us(poller, device));
}

static void learn_turnaround(struct poller *poller, struct poller_device *device, int64_t turnaround_us) {
    response_answered(&poller->jobs[poller->job].response, turnaround_us);
    if (poller->line.baud == 0 || turnaround_us <= 0)
        return;
    if (turnaround_us > device->turnaround_us)
        device->turnaround_us = turnaround_us;
    else
        device->turnaround_us -= (device->turnaround_us - turnaround_us) / TURNAROUND_FALL;
    poller->schedule.jobs[poller->job].cost_us = plan_cost_us(poller->jobs[poller->job].request, &poller->line, device->turnaround_us);
}

/* Rises at once, falls slowly, as the turnaround of reads. */
static void learn_write(const struct poller *poller, struct poller_device *device, const struct bus_answer *answer, const struct outcome *outcome) {
    if (poller->bus->kind != BUS_SERIAL || !outcome->good)
        return;
    if (answer->turnaround_us > device->write_usual_us)
        device->write_usual_us = answer->turnaround_us;
    else
        device->write_usual_us -= (device->write_usual_us - answer->turnaround_us) / TURNAROUND_FALL;
}

static void split(struct poller *poller, const struct poller_device *device, int64_t now_us) {
    static const char *const names[] = {
        [FC_READ_COILS] = "coil", [FC_READ_DISCRETE] = "discrete", [FC_READ_HOLDING] = "holding", [FC_READ_INPUT] = "input"};
    struct poller_job *job = &poller->jobs[poller->job];
    trace_add(poller->trace, now_us, TRACE_WARNING, "device %s refuses merged read %s/0x%04X+%u: split", device->spec->name,
              names[job->request->function], job->request->address, job->request->count);
    job->active = false;
    schedule_remove(&poller->schedule, poller->job);
    for (uint32_t i = job->split_first; i < job->split_first + job->split_count; i++) {
        poller->jobs[i].active = true;
        schedule_release(&poller->schedule, i, now_us);
    }
}

static void fill_polled(struct poller *poller, const struct poller_device *device, const struct bus_answer *answer, const struct outcome *outcome,
                        int64_t took_us, struct poller_effects *ret_effects) {
    const struct plan_request *request = poller->jobs[poller->job].request;
    struct polled *polled = &ret_effects->polled;
    ret_effects->has_polled = true;
    polled->bus = poller->bus->bus;
    polled->device = device->spec->device;
    polled->status = outcome->status;
    polled->exception = outcome->exception;
    polled->device_state = device->state.state;
    polled->holds = false;
    polled->extra = poller->extra;
    polled->now = answer->now;
    polled->took_us = took_us;
    polled->timeout_us = poller->timeout_us;
    polled->late_us = poller->sent_us - poller->release_us;
    polled->older_us = outcome->good ? outcome->older_us : 0;
    polled->adapter_ms = 0;
    polled->count = request->points_count;
    for (uint16_t i = 0; i < request->points_count; i++) {
        struct reading *reading = &polled->readings[i];
        reading->point = request->points[i];
        if (outcome->data != NULL)
            decode_point(&device->spec->points[reading->point], outcome->data, outcome->data_size, request->address, request->count, reading);
        else
            *reading = (struct reading){.point = reading->point, .quality = QUALITY_BAD, .reason = (uint8_t)outcome->reason};
    }
}

/* The answer says what a setup coil's bit is only for the two values that the protocol knows. */
static bool setup_readable(const struct setup_write *setup) {
    return !setup->coil || setup->value == 0 || setup->value == 0xFF00;
}

static void setup_ended(struct poller *poller, struct poller_device *device, int64_t now_us, bool written) {
    device->setup_written = written;
    device->setup_done += !written;
    schedule_release(&poller->schedule, poller->job, now_us);
}

static void setup_failed(struct poller *poller, struct poller_device *device, int64_t now_us, const char *what, const char *why) {
    const struct setup_write *setup = &device->spec->setup[device->setup_done];
    device->setup_written = false;
    if (device->setup_refused)
        return;
    device->setup_refused = true;
    trace_add(poller->trace, now_us, TRACE_ERROR, "device %s %s setup %s/0x%04X: %s", device->spec->name, what, setup->coil ? "coil" : "holding",
              setup->address, why);
}

static void end_setup(struct poller *poller, struct poller_device *device, int64_t now_us, const struct outcome *outcome) {
    if (outcome->good)
        setup_ended(poller, device, now_us, setup_readable(&device->spec->setup[device->setup_done]));
    else if (outcome->alive)
        setup_failed(poller, device, now_us, "refuses", frame_exception_name(outcome->exception));
}

/* What was written is read back. A device that cannot read it (an exception) is believed its echo; one that reads something else
 * is not what its points were written for, so that its values are not taken. Sets *outcome to what the read is to end with. */
static void end_verify(struct poller *poller, struct poller_device *device, int64_t now_us, struct outcome *outcome) {
    const struct setup_write *setup = &device->spec->setup[device->setup_done];
    if (outcome->alive && !outcome->good) {
        outcome->good = true;
        setup_ended(poller, device, now_us, false);
        return;
    }
    if (!outcome->good) {
        device->setup_written = false; /* written anew, then read back anew */
        return;
    }
    unsigned value = setup->coil ? (outcome->data[0] & 1u) * 0xFF00u : (unsigned)outcome->data[0] << 8 | outcome->data[1];
    if (value == setup->value) { /* also when it is the late answer to an earlier reading back: it was set then */
        setup_ended(poller, device, now_us, false);
        return;
    }
    outcome->good = false;
    outcome->data = NULL;
    outcome->status = BUS_CORRUPT;
    outcome->reason = REASON_CORRUPT;
    if (outcome->doubtful)
        device->setup_written = false;
    else
        setup_failed(poller, device, now_us, "does not keep", "it reads another value");
}

/* A fire request that was answered may be asked again in spare line time: not while the unit's late answers are waited for, and
 * only where the line has time for the worst of it. */
static void offer_spare(struct poller *poller, const struct poller_device *device, int64_t now_us) {
    const struct poller_job *job = &poller->jobs[poller->job];
    if (late_is_open(&device->late, now_us))
        return;
    int64_t cost_us = plan_cost_us(job->request, &poller->line, response_timeout_us(&job->response, 0));
    schedule_spare(&poller->schedule, poller->job, now_us + SCHEDULE_SPARE_PAUSE_US, cost_us + (job->request->feeds_action ? POLLER_HOLD_US : 0));
}

static void end_read(struct poller *poller, struct poller_device *device, int64_t now_us, const struct bus_answer *answer,
                     const struct outcome *outcome, struct poller_effects *ret_effects) {
    const struct poller_job *job = &poller->jobs[poller->job];
    if (poller->probe && device->state.state != DEVICE_DEAD)
        schedule_resume(&poller->schedule, poller->job, now_us); /* it was read just now */
    if (outcome->alive)
        learn_turnaround(poller, device, answer->turnaround_us);
    else
        response_missed(&poller->jobs[poller->job].response);
    if (outcome->good && job->request->feeds_action) {
        ret_effects->polled.holds = true;
        poller->hold_until_us = now_us + POLLER_HOLD_US;
    }
    if ((outcome->exception == EXCEPTION_ADDRESS || outcome->exception == EXCEPTION_VALUE) && !outcome->doubtful && job->split_count > 0)
        split(poller, device, now_us);
    else if (outcome->good && job->request->fire && job->active && poller->line.baud != 0)
        offer_spare(poller, device, now_us);
}

static void fill_written(struct poller *poller, const struct bus_answer *answer, const struct outcome *outcome, struct poller_effects *ret_effects) {
    ret_effects->has_written = true;
    ret_effects->written = (struct written){.id = poller->write.id,
                                            .bus = poller->bus->bus,
                                            .device = poller->write.device,
                                            .point = poller->write.point,
                                            .ok = outcome->good,
                                            .status = outcome->status,
                                            .exception = outcome->exception,
                                            .now = answer->now};
}

/* Cut for a write: nothing is known of the device, but its answer may still come. What was asked is asked again after the write. False: it is
 * the last of POLLER_CUTS_MAX in a row, and ends as a timeout. */
static bool end_cut(struct poller *poller, uint16_t d, int64_t now_us, int64_t took_us, const struct bus_answer *answer, enum under_way under_way,
                    struct poller_effects *ret_effects) {
    struct poller_device *device = &poller->devices[d];
    struct outcome outcome = {.status = BUS_TIMEOUT, .reason = REASON_NO_ANSWER, .at_us = answer->now.mono_us};
    bool write = under_way == UNDER_WAY_WRITE;
    if (!write && !poller->probe && ++device->cuts == POLLER_CUTS_MAX) {
        device->cuts = 0;
        return false;
    }
    poller->counters.cuts++;
    judge_lateness(poller, device, now_us, poller->disconnected, &outcome);
    note_bus(poller, now_us, answer);
    if (write) {
        fill_written(poller, answer, &outcome, ret_effects);
    } else if (poller->probe) {
        schedule_probe_spent(&poller->schedule, now_us, took_us);
        schedule_probe(&poller->schedule, d, now_us + (int64_t)device->state.probe_interval_ms * 1000, probe_cost_us(poller, device));
    } else if (poller->reading_back) {
        poller_readback_due(poller, d, poller->readback_point);
    } else if (!poller->extra) {
        poller->jobs[poller->job].waits_since_us = poller->release_us;
        schedule_release(&poller->schedule, poller->job, now_us);
    }
    return true;
}

void poller_finish(struct poller *poller, int64_t now_us, const struct bus_answer *answer, struct poller_effects *ret_effects) {
    enum under_way under_way = poller->under_way;
    if (under_way == UNDER_WAY_GUEST) {
        bool was_disconnected = poller->disconnected;
        poller->under_way = UNDER_WAY_NONE;
        note_bus(poller, now_us, answer);
        poller->counters.cuts += answer->cut;
        if (answer->cut)
            poller_guest_cut(poller, now_us, answer);
        else
            poller_guest_finish(poller, now_us, answer, was_disconnected, ret_effects);
        return;
    }
    uint16_t d = under_way == UNDER_WAY_WRITE ? poller->write_device : poller->jobs[poller->job].device;
    struct poller_device *device = &poller->devices[d];
    int64_t took_us = answer->now.mono_us > poller->sent_us ? answer->now.mono_us - poller->sent_us : 0;
    poller->under_way = UNDER_WAY_NONE;
    poller->counters.busy_us += took_us;
    if (answer->cut && end_cut(poller, d, now_us, took_us, answer, under_way, ret_effects))
        return;
    struct outcome outcome = judge(poller, device, answer);
    if (outcome.alive)
        device->cuts = 0;
    judge_lateness(poller, device, now_us, poller->disconnected, &outcome);
    note_bus(poller, now_us, answer);
    if (poller->line.baud != 0 && outcome.status == BUS_TIMEOUT && under_way != UNDER_WAY_WRITE && !poller->extra)
        device->rest_until_us = poller->sent_us + poller->fire_period_us;
    note_device(poller, d, now_us, &outcome);
    if (under_way == UNDER_WAY_WRITE) {
        fill_written(poller, answer, &outcome, ret_effects);
        learn_write(poller, device, answer, &outcome);
        if (outcome.good)
            poller_readback_due(poller, d, poller->write.point);
        return;
    }
    if (poller_readback_refused(poller, device, outcome.exception != 0 && outcome.alive))
        return;
    if (poller->probe)
        end_probe(poller, d, now_us, took_us, &outcome);
    if (under_way == UNDER_WAY_SETUP)
        end_setup(poller, device, now_us, &outcome);
    if (under_way == UNDER_WAY_VERIFY)
        end_verify(poller, device, now_us, &outcome);
    if (under_way == UNDER_WAY_READ || !outcome.good)
        fill_polled(poller, device, answer, &outcome, took_us, ret_effects);
    if (under_way == UNDER_WAY_READ)
        end_read(poller, device, now_us, answer, &outcome, ret_effects);
}
