/* SPDX-License-Identifier: Apache-2.0 */
/* Writes: in which order, for how long something else may keep them waiting, and that what was written is read back.
 *
 *   WAITS -- nothing is under way --> UNDER WAY -- good echo --> WRITTEN ok, and a reading back is due
 *                                        |  '---- any other end ----> WRITTEN not ok
 *   READING BACK DUE -- no write waits, nothing holds --> UNDER WAY -- ended --> POLLED, as of any read
 *
 * Reading back goes before all that is polled. On a line it is the read that takes the fewest characters: the planned one that
 * covers the point, or one of that point alone; a device that refuses the latter is asked for the former from then on. It ignores that
 * its device let a timeout pass in this fire period: the device has answered since. Where it cannot go at once (its device died
 * meanwhile, needs its setup first, or a late answer could be taken for it) the planned read is released instead and takes its turn.
 *
 * The cut. A write that comes while a request is under way must be on the wire ACTION_WRITE_MAX_US after the reply that caused it; the
 * road from there to here is given ACTION_ROAD_US of that. So the request under way is given up at
 *
 *   a probe of a dead device, a guest    at once: nothing is lost but the question
 *   any other read, or setup             when it has waited for longer than any of its last answers (response.h)
 *   a fire point's read                  only at the last moment at which its answer may begin and still be received whole before the
 *   one that has never answered          write must go: until then it may be answered in time
 *   a write to a live device             the same, but never before its device has had the time that its writes usually take: an echo
 *                                        that meets the next write on the wire would destroy it
 *   a write to a dead device             when it has had that time
 *
 * When the answer cannot be waited for within the bound (the device answers of late more slowly than `check` assumes, and the write came
 * just after the request) the request is given up at once, a fire point's too, rather than at a moment when its answer would meet the write.
 * What that costs: that answer is lost and the request made again behind the write, so the point is seen later by the wait, the
 * write and one transaction of its own, and no period; and the answer may still disturb the write, whose echo then is not good
 * and which is repeated by whoever wants it. Never before the request's own last character, and never while an answer is coming
 * in: the shell sees to the latter (bus_rtu.c, bus_tcp.c).
 * A request that was cut is no miss and makes no device dead, but late answers are expected of it (late.h). It is made again
 * after the write, unless it was an extra or a probe; the read then ends in the POLLED of its repetition. So that a silent
 * device is not hidden by writes that come ever again, POLLER_CUTS_MAX cuts in a row without an answer count as one miss. */
#include "base/check.h"
#include "sensors/decode.h"
#include "sensors/poller_state.h"

int64_t poller_write_timeout_us(const struct device_spec *spec) {
    return (int64_t)spec->timeout_ms * 1000;
}

static uint16_t device_of(const struct poller *poller, uint16_t device) {
    uint16_t local = 0;
    while (local < poller->devices_count && poller->devices[local].spec->device != device)
        local++;
    CHECK(local < poller->devices_count);
    return local;
}

/* The request that writes `number` to a point; false when there is none. A coil, and a register that names them, takes its
 * own raw words for on and off. A field of a register cannot be written alone. */
static bool build_write(const struct point *point, double number, struct pdu *ret_pdu) {
    struct value value = {.kind = VALUE_NUMBER, .number = number};
    uint16_t registers[VALUE_TEXT_SIZE / 2];
    if (!point->writable || point->bit_field)
        return false;
    bool on_off = (number == 0 || number == 1) && point->write_on != point->write_off && point->scale == 1 && point->offset == 0;
    int64_t raw = number == 0 ? point->write_off : point->write_on;
    if (point->read == READ_COIL) {
        if (point->write_on == point->write_off)
            raw = number == 0 ? 0 : 0xFF00;
        if (raw < 0 || raw > UINT16_MAX)
            return false;
        frame_write_coil(ret_pdu, point->address, (uint16_t)raw);
        return true;
    }
    if (point->read != READ_HOLDING || point->type == TYPE_STRING)
        return false;
    if (on_off)
        value = (struct value){.kind = VALUE_INTEGER, .integer = raw};
    if (decode_encode(point, &value, registers) != ERR_OK)
        return false;
    if (point->registers == 1)
        frame_write_register(ret_pdu, point->address, registers[0]);
    else
        frame_write_registers(ret_pdu, point->address, registers, point->registers);
    return true;
}

bool poller_can_write(const struct point *point, double number) {
    struct pdu pdu;
    bool on_off = number == 0 || number == 1;
    return (point->read != READ_COIL || on_off) && build_write(point, number, &pdu);
}

static int64_t *came_us(struct poller *poller, unsigned place) {
    return &poller->writes_came_us[(poller->writes_first + place) % WRITES_PENDING_MAX];
}

void poller_write_come(struct poller *poller, const struct poller_event *event, struct poller_effects *ret_effects) {
    const struct write_command *write = &event->write;
    const struct device_spec *spec = poller->devices[device_of(poller, write->device)].spec;
    struct pdu pdu;
    CHECK(write->point < spec->points_count);
    if (poller->writes_count < WRITES_PENDING_MAX && build_write(&spec->points[write->point], write->value, &pdu)) {
        *came_us(poller, poller->writes_count) = event->now.mono_us;
        poller->writes[(poller->writes_first + poller->writes_count++) % WRITES_PENDING_MAX] = *write;
        return;
    }
    ret_effects->has_written = true;
    ret_effects->written = (struct written){
        .id = write->id, .bus = poller->bus->bus, .device = write->device, .point = write->point, .status = BUS_ANSWERED, .now = event->now};
}

/* The write that waits longest as a request; its place in poller->devices. */
static uint16_t first_write(const struct poller *poller, struct pdu *ret_pdu) {
    const struct write_command *write = &poller->writes[poller->writes_first];
    uint16_t d = device_of(poller, write->device);
    CHECK(build_write(&poller->devices[d].spec->points[write->point], write->value, ret_pdu));
    return d;
}

void poller_write_send(struct poller *poller, int64_t now_us, struct poller_effects *ret_effects) {
    poller->write_device = first_write(poller, &poller->request);
    poller->write = poller->writes[poller->writes_first];
    poller->writes_first = (poller->writes_first + 1) % WRITES_PENDING_MAX;
    poller->writes_count--;
    poller->counters.writes++;
    const struct device_spec *spec = poller->devices[poller->write_device].spec;
    poller_send(poller, now_us, UNDER_WAY_WRITE, spec->unit_id, poller_write_timeout_us(spec), ret_effects);
}

/* ---- the cut ---- */

static int64_t max_us(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t wire_us(const struct poller *poller, size_t pdu_size) {
    return poller->line.baud != 0 ? line_bytes_us(&poller->line, pdu_size + 3) : 0;
}

/* How long an answer to the request under way takes at most to begin, as far as it is known; 0: it is not. */
static int64_t usual_us(const struct poller *poller) {
    if (poller->under_way == UNDER_WAY_READ)
        return response_usual_us(&poller->jobs[poller->reading_back ? poller->covering : poller->job].response);
    bool write = poller->under_way == UNDER_WAY_WRITE;
    const struct poller_device *device = &poller->devices[write ? poller->write_device : poller->jobs[poller->job].device];
    if (device->write_usual_us != 0)
        return device->write_usual_us + RESPONSE_USUAL_EXTRA_US;
    return write ? POLLER_WRITE_USUAL_US : 0;
}

void poller_write_cut(struct poller *poller) {
    struct pdu write;
    poller->cut_us = NOW_NEVER;
    if (poller->under_way == UNDER_WAY_NONE || poller->writes_count == 0)
        return;
    (void)first_write(poller, &write);
    int64_t silence_us = poller->line.baud != 0 ? line_silence_us(&poller->line) : 0;
    int64_t sent_us = poller->sent_us + silence_us + wire_us(poller, poller->request.size); /* its last character */
    int64_t begin_by_us = *came_us(poller, 0) + ACTION_WRITE_MAX_US - ACTION_ROAD_US - silence_us - wire_us(poller, write.size) -
                          wire_us(poller, frame_reply_size(&poller->request));
    bool writes = poller->under_way == UNDER_WAY_WRITE;
    if (poller->under_way == UNDER_WAY_GUEST || (!writes && poller->probe)) {
        poller->cut_us = sent_us;
        return;
    }
    int64_t usual = usual_us(poller), usual_by_us = sent_us + usual;
    bool fire = !writes && poller->jobs[poller->job].request->fire;
    if (writes && poller->devices[poller->write_device].state.state == DEVICE_DEAD)
        poller->cut_us = usual_by_us;
    else if (writes)
        poller->cut_us = max_us(usual_by_us, begin_by_us);
    else if (usual != 0 && begin_by_us < sent_us + poller->devices[poller->jobs[poller->job].device].turnaround_us + RESPONSE_USUAL_EXTRA_US)
        poller->cut_us = sent_us;
    else
        poller->cut_us = max_us(sent_us, fire || usual == 0 || begin_by_us < usual_by_us ? begin_by_us : usual_by_us);
}

/* ---- reading back ---- */

static bool reads_point(const struct plan_request *request, uint16_t point) {
    for (uint16_t i = 0; i < request->points_count; i++)
        if (request->points[i] == point)
            return true;
    return false;
}

/* The planned read of a point, and the shortest one there is. False: it cannot be read. */
static bool find_jobs(const struct poller *poller, const struct poller_device *device, uint16_t point, uint32_t *ret_covering, uint32_t *ret_shortest) {
    *ret_covering = *ret_shortest = UINT32_MAX;
    for (uint32_t i = device->jobs_first; i < device->jobs_first + device->jobs_count; i++)
        if (poller->jobs[i].active && reads_point(poller->jobs[i].request, point))
            *ret_covering = *ret_shortest = i;
    if (*ret_covering == UINT32_MAX)
        return false;
    for (uint32_t i = device->jobs_first; i < device->jobs_first + device->jobs_count && poller->line.baud != 0 && !device->alone_refused; i++)
        if (poller->jobs[i].split_count == 0 && reads_point(poller->jobs[i].request, point) &&
            poller_reply_bytes(poller->jobs[i].request) < poller_reply_bytes(poller->jobs[*ret_shortest].request))
            *ret_shortest = i;
    return true;
}

void poller_readback_due(struct poller *poller, uint16_t d, uint16_t point) {
    uint32_t covering, shortest;
    if (!find_jobs(poller, &poller->devices[d], point, &covering, &shortest))
        return;
    for (unsigned i = 0; i < poller->readbacks_count; i++) {
        const struct poller_readback *other = &poller->readbacks[(poller->readbacks_first + i) % WRITES_PENDING_MAX];
        if (other->device == d && other->point == point)
            return;
    }
    if (poller->readbacks_count == WRITES_PENDING_MAX) { /* writes came faster than they could be read back: the planned read does it */
        poller_release_now(poller, covering);
        return;
    }
    poller->readbacks[(poller->readbacks_first + poller->readbacks_count++) % WRITES_PENDING_MAX] = (struct poller_readback){d, point};
}

/* One read answers for all its points that are due. */
static void drop_read(struct poller *poller, uint16_t d, const struct plan_request *request) {
    unsigned count = poller->readbacks_count;
    poller->readbacks_count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct poller_readback readback = poller->readbacks[(poller->readbacks_first + i) % WRITES_PENDING_MAX];
        if (readback.device != d || !reads_point(request, readback.point))
            poller->readbacks[(poller->readbacks_first + poller->readbacks_count++) % WRITES_PENDING_MAX] = readback;
    }
}

/* May it be sent now? Leaves it in poller->request. */
static bool may_read(struct poller *poller, const struct poller_device *device, uint32_t job, int64_t now_us) {
    const struct plan_request *request = poller->jobs[job].request;
    frame_read(&poller->request, request->function, request->address, request->count);
    return !poller_has_late(poller) || late_allows_us(&device->late, &poller->request, request->fire, now_us) <= now_us;
}

bool poller_readback_send(struct poller *poller, int64_t now_us, struct poller_effects *ret_effects) {
    while (poller->readbacks_count > 0) {
        struct poller_readback readback = poller->readbacks[poller->readbacks_first];
        const struct poller_device *device = &poller->devices[readback.device];
        uint32_t covering, job;
        poller->readbacks_first = (poller->readbacks_first + 1) % WRITES_PENDING_MAX;
        poller->readbacks_count--;
        if (device->state.state == DEVICE_DEAD || !find_jobs(poller, device, readback.point, &covering, &job))
            continue;
        bool ready = device->setup_done == device->spec->setup_count;
        if (ready && !may_read(poller, device, job, now_us))
            job = covering;
        if (!ready || !may_read(poller, device, job, now_us)) {
            poller_release_now(poller, covering);
            continue;
        }
        drop_read(poller, readback.device, poller->jobs[job].request);
        poller->probe = poller->extra = false;
        poller->job = job;
        poller->covering = covering;
        poller->release_us = now_us;
        poller_send(poller, now_us, UNDER_WAY_READ, device->spec->unit_id,
                    response_timeout_us(&poller->jobs[covering].response, device->state.misses), ret_effects);
        poller->reading_back = true;
        poller->readback_point = readback.point;
        return true;
    }
    return false;
}

bool poller_readback_refused(struct poller *poller, struct poller_device *device, bool exception) {
    if (!poller->reading_back || poller->job == poller->covering || !exception)
        return false;
    device->alone_refused = true;
    poller_readback_due(poller, (uint16_t)(device - poller->devices), poller->readback_point);
    return true;
}
