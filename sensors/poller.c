/* SPDX-License-Identifier: Apache-2.0 */
/* What to send. One step: take in the event; then, when nothing is under way, choose the next request:
 *
 *   IDLE -- a write waits, or a job or probe is due and nothing holds --> UNDER WAY -- ANSWERED --> IDLE
 *   a good reply that feeds an action: IDLE, but held: only writes are sent until RELEASE or POLLER_HOLD_US passed
 *
 * What is written, and what waits for it, is poller_write.c. The order among reads and probes is the schedule's (schedule.h). A device whose setup writes are not done gets the next of
 * them in place of the read that was chosen, and what it wrote is read back; the read is released again when both are right, and
 * fails with the setup when not. A read whose answer could not be told from an earlier one's is put back until that can no longer come
 * (late.h), and the schedule is asked for another. What an answer means is in poller_answer.c. */
#include "sensors/poller.h"

#include "base/check.h"
#include "sensors/decode.h"
#include "sensors/poller_state.h"

#define SPREAD_MAX_US 10000000 /* the first releases are spread over a period, but a value is not awaited longer than this */
#define INSTANTS 20            /* of a period, at which endpoints are asked: a few together cost the processor one waking, not many */

static int64_t phase_us(const struct poller *poller, const struct poller_job *job) {
    /* On a line the fire points are asked in one batch, which leaves the longest pause for the rest (fit check); a line does
     * one thing at a time, so that no burst comes of it. Elsewhere the golden ratio spreads any number of devices evenly. */
    if (job->request->fire && poller->line.baud != 0)
        return 0;
    uint64_t span_us = (uint64_t)job->request->every_ms * 1000;
    uint32_t turn = poller->devices[job->device].spec->device * UINT32_C(0x9E3779B9);
    return (int64_t)((span_us < SPREAD_MAX_US ? span_us : SPREAD_MAX_US) * turn >> 32);
}

/* Endpoints have pollers of their own, started at different times: they meet at whole multiples on the clock they share. */
static int64_t base_us(const struct poller *poller, const struct poller_job *job, int64_t now_us) {
    int64_t at_us = now_us + phase_us(poller, job), step_us = job->request->every_ms / INSTANTS * INT64_C(1000);
    if (poller->line.baud != 0 || step_us == 0)
        return at_us;
    return (at_us + step_us - 1) / step_us * step_us;
}

static void add_jobs(struct poller *poller, uint16_t device, const struct plan *plan, bool active) {
    for (uint16_t i = 0; i < plan->count; i++) {
        const struct plan_request *request = &plan->requests[i];
        uint32_t job = poller->jobs_count++;
        poller->jobs[job] = (struct poller_job){.request = request, .device = device, .active = active};
        int64_t period_us = (int64_t)request->every_ms * 1000;
        if (request->fire && (poller->fire_period_us == 0 || period_us < poller->fire_period_us))
            poller->fire_period_us = period_us;
        poller->devices[device].jobs_count++;
        schedule_set_job(&poller->schedule, job, request->fire, (int64_t)request->every_ms * 1000,
                         plan_cost_us(request, poller_line(poller), PLAN_TURNAROUND_US));
        response_init(&poller->jobs[job].response, (int64_t)poller->devices[device].spec->timeout_ms * 1000, poller->bus->kind == BUS_SERIAL);
    }
}

struct plans {
    struct plan whole;
    struct plan *split; /* of each request of the whole */
};

static enum err make_plans(struct poller *poller, struct arena *arena, struct plans *plans, uint32_t *ret_jobs_count) {
    *ret_jobs_count = 0;
    for (uint16_t d = 0; d < poller->devices_count; d++) {
        const struct device_spec *spec = poller->devices[d].spec;
        enum err err = plan_build(spec, poller_line(poller), arena, &plans[d].whole);
        if (err != ERR_OK)
            return err;
        plans[d].split = arena_take(arena, plans[d].whole.count ? plans[d].whole.count : 1, sizeof(struct plan));
        *ret_jobs_count += plans[d].whole.count;
        for (uint16_t i = 0; i < plans[d].whole.count; i++) {
            plan_split(spec, &plans[d].whole.requests[i], arena, &plans[d].split[i]);
            if (plans[d].split[i].count == 1)
                plans[d].split[i].count = 0;
            *ret_jobs_count += plans[d].split[i].count;
        }
    }
    return ERR_OK;
}

enum err poller_create(const struct bus_spec *bus, const struct device_spec *const *devices, uint16_t devices_count, struct arena *arena,
                       struct trace *trace, struct poller **ret_poller) {
    CHECK(devices_count <= DEVICES_PER_BUS_MAX);
    struct poller *poller = arena_take(arena, 1, sizeof(*poller));
    *poller = (struct poller){.bus = bus, .trace = trace, .line = bus_line_timing(bus), .devices_count = devices_count, .wake_us = NOW_NEVER, .cut_us = NOW_NEVER};
    poller->devices = arena_take(arena, devices_count ? devices_count : 1, sizeof(*poller->devices));
    for (uint16_t d = 0; d < devices_count; d++) {
        poller->devices[d].spec = devices[d];
        poller->devices[d].turnaround_us = PLAN_TURNAROUND_US;
        device_init(&poller->devices[d].state);
    }
    struct plans *plans = arena_take(arena, devices_count ? devices_count : 1, sizeof(*plans));
    uint32_t jobs_count;
    enum err err = make_plans(poller, arena, plans, &jobs_count);
    if (err != ERR_OK)
        return err;
    poller->jobs = arena_take(arena, jobs_count ? jobs_count : 1, sizeof(*poller->jobs));
    schedule_init(&poller->schedule, jobs_count, devices_count, poller->line.baud != 0, arena);
    for (uint16_t d = 0; d < devices_count; d++) {
        uint32_t first = poller->devices[d].jobs_first = poller->jobs_count;
        add_jobs(poller, d, &plans[d].whole, true);
        for (uint16_t i = 0; i < plans[d].whole.count; i++) {
            poller->jobs[first + i].split_first = poller->jobs_count;
            poller->jobs[first + i].split_count = plans[d].split[i].count;
            add_jobs(poller, d, &plans[d].split[i], false);
        }
    }
    CHECK(poller->jobs_count == jobs_count);
    poller_guest_init(poller, arena);
    *ret_poller = poller;
    return ERR_OK;
}

static void start(struct poller *poller, int64_t now_us) {
    CHECK(!poller->started);
    poller->started = true;
    for (uint32_t i = 0; i < poller->jobs_count; i++) {
        schedule_begin(&poller->schedule, i, base_us(poller, &poller->jobs[i], now_us));
        if (!poller->jobs[i].active)
            schedule_remove(&poller->schedule, i);
    }
}

void poller_send(struct poller *poller, int64_t now_us, enum under_way under_way, uint8_t unit_id, int64_t timeout_us,
                 struct poller_effects *ret_effects) {
    poller->under_way = under_way;
    poller->sent_us = now_us;
    poller->wake_us = NOW_NEVER;
    poller->reading_back = false;
    poller->counters.requests++;
    ret_effects->has_request = true;
    ret_effects->request.unit_id = unit_id;
    ret_effects->request.pdu = poller->request;
    ret_effects->request.timeout_us = poller->timeout_us = timeout_us;
}

void poller_release_now(struct poller *poller, uint32_t job) {
    if (poller->schedule.jobs[job].release_us > poller->sent_us)
        schedule_release(&poller->schedule, job, poller->sent_us);
}

/* What a dead device is probed with. */
static uint32_t cheapest_job(const struct poller *poller, const struct poller_device *device) {
    uint32_t best = UINT32_MAX;
    for (uint32_t i = device->jobs_first; i < device->jobs_first + device->jobs_count; i++)
        if (poller->jobs[i].active && (best == UINT32_MAX || poller_reply_bytes(poller->jobs[i].request) < poller_reply_bytes(poller->jobs[best].request)))
            best = i;
    CHECK(best != UINT32_MAX);
    return best;
}

/* Puts what was chosen back until `at_us`. An extra is dropped: there will be others. */
static void put_back(struct poller *poller, const struct schedule_choice *choice, int64_t at_us) {
    struct poller_job *job = &poller->jobs[poller->job];
    if (choice->probe) {
        schedule_probe(&poller->schedule, choice->item, at_us, poller->schedule.probe_costs_us[choice->item]);
    } else if (!choice->extra) {
        if (job->waits_since_us == 0)
            job->waits_since_us = choice->release_us;
        schedule_release(&poller->schedule, poller->job, at_us);
    }
}

/* The request for what was chosen, or for the setup that must come first. */
static enum under_way build_read(struct poller *poller, const struct poller_device *device, const struct plan_request *request) {
    if (device->setup_done == device->spec->setup_count) {
        frame_read(&poller->request, request->function, request->address, request->count);
        return UNDER_WAY_READ;
    }
    const struct setup_write *setup = &device->spec->setup[device->setup_done];
    if (device->setup_written) {
        frame_read(&poller->request, setup->coil ? FC_READ_COILS : FC_READ_HOLDING, setup->address, 1);
        return UNDER_WAY_VERIFY;
    }
    if (setup->coil)
        frame_write_coil(&poller->request, setup->address, setup->value);
    else
        frame_write_register(&poller->request, setup->address, setup->value);
    return UNDER_WAY_SETUP;
}

/* Sends what was chosen, or the setup write that it needs. False: it was put back. */
static bool send_chosen(struct poller *poller, int64_t now_us, const struct schedule_choice *choice, struct poller_effects *ret_effects) {
    poller->probe = choice->probe;
    poller->extra = false;
    poller->job = choice->probe ? cheapest_job(poller, &poller->devices[choice->item]) : choice->item;
    struct poller_job *job = &poller->jobs[poller->job];
    const struct plan_request *request = job->request;
    struct poller_device *device = &poller->devices[job->device];
    if (!choice->probe && device->rest_until_us > now_us) {
        put_back(poller, choice, device->rest_until_us);
        return false;
    }
    enum under_way under_way = build_read(poller, device, request);
    if (under_way == UNDER_WAY_SETUP) {
        poller->release_us = choice->release_us;
        poller_send(poller, now_us, under_way, device->spec->unit_id, poller_write_timeout_us(device->spec), ret_effects);
        return true;
    }
    if (poller_has_late(poller)) {
        int64_t at_us = late_allows_us(&device->late, &poller->request, request->fire, now_us);
        if (at_us > now_us) {
            put_back(poller, choice, at_us);
            if (job->waits_since_us != 0)
                late_waits(&device->late, &poller->request, request->fire, job->waits_since_us, now_us);
            return false;
        }
    }
    poller->release_us = job->waits_since_us != 0 && !choice->probe ? job->waits_since_us : choice->release_us;
    job->waits_since_us = 0;
    poller->extra = choice->extra && under_way == UNDER_WAY_READ;
    poller->counters.extras += poller->extra;
    poller_send(poller, now_us, under_way, device->spec->unit_id, response_timeout_us(&job->response, device->state.misses), ret_effects);
    return true;
}

static void choose(struct poller *poller, int64_t now_us, struct poller_effects *ret_effects) {
    struct schedule_choice choice;
    poller_guest_expire(poller, now_us, ret_effects);
    if (now_us >= poller->hold_until_us)
        poller->hold_until_us = 0;
    if (poller->writes_count > 0) {
        poller_write_send(poller, now_us, ret_effects);
        return;
    }
    if (poller->hold_until_us != 0) {
        poller->wake_us = poller->hold_until_us;
        return;
    }
    if (poller_readback_send(poller, now_us, ret_effects))
        return;
    while (schedule_take(&poller->schedule, now_us, &choice)) /* each that is put back is due later: this ends */
        if (choice.guest ? poller_guest_send(poller, now_us, ret_effects) : send_chosen(poller, now_us, &choice, ret_effects))
            return;
    poller->wake_us = poller->schedule.wake_us;
    if (poller->guest_here && poller->guest_since_us + POLLER_GUEST_WAIT_US < poller->wake_us)
        poller->wake_us = poller->guest_since_us + POLLER_GUEST_WAIT_US;
}

void poller_step(struct poller *poller, const struct poller_event *event, struct poller_effects *ret_effects) {
    int64_t now_us = event->now.mono_us;
    ret_effects->has_request = ret_effects->has_polled = ret_effects->has_written = ret_effects->has_guest = false;
    CHECK(poller->started || event->kind == POLLER_START);
    switch (event->kind) {
    case POLLER_START: /* nothing is asked yet: a write that is there already, of an action held over a restart, goes before all polling */
        start(poller, now_us);
        poller->wake_us = now_us;
        return;
    case POLLER_TICK:
        break;
    case POLLER_ANSWERED:
        CHECK(poller->under_way != UNDER_WAY_NONE);
        poller_finish(poller, now_us, event->answer, ret_effects);
        break;
    case POLLER_WRITE:
        poller_write_come(poller, event, ret_effects);
        break;
    case POLLER_GUEST:
        poller_guest_come(poller, event, ret_effects);
        break;
    case POLLER_RELEASE:
        poller->hold_until_us = 0;
        break;
    }
    if (poller->under_way == UNDER_WAY_NONE)
        choose(poller, now_us, ret_effects);
    poller_write_cut(poller);
    poller->counters.skipped_releases = poller->schedule.skipped_releases;
}

int64_t poller_next_wake(const struct poller *poller) {
    return poller->wake_us;
}

int64_t poller_cut_us(const struct poller *poller) {
    return poller->cut_us;
}

const struct poller_counters *poller_counters(const struct poller *poller) {
    return &poller->counters;
}

void poller_timeouts(const struct poller *poller, uint16_t device, struct poller_timeouts *ret_timeouts) {
    CHECK(device < poller->devices_count);
    const struct poller_device *it = &poller->devices[device];
    *ret_timeouts = (struct poller_timeouts){.ceiling_us = (int64_t)it->spec->timeout_ms * 1000};
    for (uint32_t i = it->jobs_first; i < it->jobs_first + it->jobs_count; i++) {
        const struct response *response = &poller->jobs[i].response;
        int64_t current_us = response_timeout_us(response, it->state.misses);
        ret_timeouts->floor_us = response->floor_us;
        if (poller->jobs[i].active && current_us > ret_timeouts->current_us)
            ret_timeouts->current_us = current_us;
    }
}

static void check_device(const struct poller *poller, uint16_t d) {
    const struct poller_device *device = &poller->devices[d];
    bool dead = device->state.state == DEVICE_DEAD;
    bool reads = poller->under_way != UNDER_WAY_NONE && poller->under_way != UNDER_WAY_WRITE && poller->under_way != UNDER_WAY_GUEST;
    bool asked = reads && poller->jobs[poller->job].device == d;
    bool active = false;
    device_check(&device->state);
    late_check(&device->late);
    CHECK(device->setup_done <= device->spec->setup_count);
    for (uint32_t i = device->jobs_first; i < device->jobs_first + device->jobs_count; i++) {
        const struct poller_job *job = &poller->jobs[i];
        active = active || job->active;
        response_check(&job->response);
        CHECK(job->device == d);
        CHECK((poller->schedule.jobs[i].release_us != NOW_NEVER) == (job->active && !dead));
        CHECK(job->split_count == 0 || poller->jobs[job->split_first].active == !job->active);
    }
    CHECK(!asked || poller->probe == dead);
    CHECK((heap_at_us(&poller->schedule.probes, d) != NOW_NEVER) == (dead && active && !asked));
}

void poller_check(const struct poller *poller) {
    uint16_t online = 0, dead = 0;
    schedule_check(&poller->schedule);
    poller_guest_check(poller);
    CHECK(poller->writes_count <= WRITES_PENDING_MAX);
    if (!poller->started)
        return;
    CHECK(poller->under_way == UNDER_WAY_NONE || poller->wake_us == NOW_NEVER);
    CHECK(poller->under_way != UNDER_WAY_NONE || poller->writes_count == 0);
    CHECK(poller->under_way != UNDER_WAY_NONE || poller->hold_until_us != 0 || poller->readbacks_count == 0);
    CHECK(poller->readbacks_count <= WRITES_PENDING_MAX && (!poller->reading_back || poller->under_way <= UNDER_WAY_READ));
    CHECK(poller->cut_us == NOW_NEVER || (poller->under_way != UNDER_WAY_NONE && poller->writes_count > 0));
    for (uint16_t d = 0; d < poller->devices_count; d++) {
        check_device(poller, d);
        online += poller->devices[d].state.state == DEVICE_ONLINE;
        dead += poller->devices[d].state.state == DEVICE_DEAD;
    }
    CHECK(online == poller->counters.devices_online && dead == poller->counters.devices_dead);
}
