/* SPDX-License-Identifier: Apache-2.0 */
#include "poller_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[RIG_DEVICES_MAX] = {"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"};

struct point *rig_point(struct rig *rig, uint16_t device, enum point_read read, uint16_t address) {
    struct point *point = &rig->points[device][rig->specs[device].points_count++];
    *point = (struct point){.name = "p",
                            .read = read,
                            .address = address,
                            .type = read <= READ_DISCRETE ? TYPE_BIT : TYPE_U16,
                            .registers = 1,
                            .scale = 1,
                            .every_ms = 1000,
                            .class = CLASS_MAINTENANCE,
                            .verify = true};
    return point;
}

void rig_init(struct rig *rig, enum bus_kind kind, uint16_t devices_count) {
    memset(rig, 0, sizeof(*rig));
    arena_init(&rig->arena);
    trace_init(&rig->trace);
    prng_init(&rig->prng, 7);
    rig->bus = (struct bus_spec){.name = "shed", .bus = 3, .kind = kind, .baud = 9600, .parity = PARITY_NONE, .stop_bits = 1};
    rig->answer_at_us = NOW_NEVER;
    rig->now_us = 100 * SECOND;
    for (uint16_t d = 0; d < devices_count; d++) {
        rig->slaves[d].turnaround_us = 5 * MS;
        rig->specs[d] = (struct device_spec){.name = names[d],
                                             .device = d,
                                             .unit_id = (uint8_t)(d + 1),
                                             .timeout_ms = 200,
                                             .registers_max = REGISTERS_READ_MAX,
                                             .gaps_allowed = true,
                                             .points = rig->points[d]};
        rig_point(rig, d, READ_HOLDING, 0);
    }
}

void rig_start(struct rig *rig, uint16_t devices_count) {
    const struct device_spec *specs[RIG_DEVICES_MAX];
    for (uint16_t d = 0; d < devices_count; d++)
        specs[d] = &rig->specs[d];
    assert_int_equal(poller_create(&rig->bus, specs, devices_count, &rig->arena, &rig->trace, &rig->poller), ERR_OK);
    poller_check(rig->poller);
    rig_step(rig, POLLER_START);
}

void rig_begin(struct rig *rig, uint16_t devices_count) {
    rig_start(rig, devices_count);
    rig_step(rig, POLLER_TICK);
}

void rig_done(struct rig *rig) {
    arena_done(&rig->arena);
}

static uint16_t get_u16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static bool find_kept(const struct rig_slave *slave, bool coil, uint16_t address, uint16_t *ret_value) {
    for (unsigned i = 0; i < 4; i++) {
        unsigned at = (slave->writes + 3 - i) % 4;
        if (slave->kept[at].set && slave->kept[at].address == address && slave->kept[at].coil == coil) {
            *ret_value = slave->kept[at].value;
            return true;
        }
    }
    return false;
}

/* Registers read as their own address, bits as the lowest bit of theirs, unless they were written. */
static void reply(struct rig_slave *slave, const struct pdu *request, struct bus_answer *answer) {
    uint8_t function = request->bytes[0];
    uint16_t address = get_u16(&request->bytes[1]), count = get_u16(&request->bytes[3]);
    bool write = function >= FC_WRITE_COIL;
    uint8_t exception = slave->exception;
    answer->status = BUS_ANSWERED;
    answer->pdu.size = (uint8_t)frame_reply_size(request);
    memset(answer->pdu.bytes, 0, answer->pdu.size);
    answer->pdu.bytes[0] = function;
    answer->pdu.bytes[1] = (uint8_t)(answer->pdu.size - 2);
    if (write) {
        if (!slave->forgets && !exception && !slave->write_exception) {
            slave->kept[slave->writes % 4].set = true;
            slave->kept[slave->writes % 4].address = address;
            slave->kept[slave->writes % 4].value = count;
            slave->kept[slave->writes % 4].coil = function == FC_WRITE_COIL;
        }
        slave->writes++;
        slave->last_write_address = address;
        slave->last_write_value = count;
        memcpy(answer->pdu.bytes, request->bytes, 5);
        answer->pdu.bytes[4] ^= slave->wrong_echo;
        exception = exception ? exception : slave->write_exception;
    } else if ((slave->registers_max && count > slave->registers_max) ||
               (slave->missing && address <= slave->missing && slave->missing < address + count)) {
        exception = 2;
    }
    uint16_t kept;
    if (!write && count == 1 && find_kept(slave, function <= FC_READ_DISCRETE, address, &kept)) {
        exception = exception ? exception : slave->read_exception;
        answer->pdu.bytes[2] = function <= FC_READ_DISCRETE ? kept != 0 : (uint8_t)(kept >> 8);
        if (function > FC_READ_DISCRETE)
            answer->pdu.bytes[3] = (uint8_t)kept;
        count = 0;
    }
    for (uint16_t i = 0; !write && i < count; i++) {
        if (function <= FC_READ_DISCRETE) {
            answer->pdu.bytes[2 + i / 8] |= (uint8_t)(((address + i) & 1) << i % 8);
        } else {
            answer->pdu.bytes[2 + 2 * i] = (uint8_t)((address + i) >> 8);
            answer->pdu.bytes[3 + 2 * i] = (uint8_t)(address + i);
        }
    }
    if (exception) {
        answer->pdu.bytes[0] = function | 0x80;
        answer->pdu.bytes[1] = exception;
        answer->pdu.size = 2;
    }
}

static struct rig_coming *coming_add(struct rig *rig) {
    for (int i = 0; i < RIG_COMING_MAX; i++)
        if (rig->coming[i].unit_id == 0 || rig->coming[i].begins_us <= rig->now_us) /* nobody listened */
            return &rig->coming[i];
    fail_msg("more than %d answers on their way", RIG_COMING_MAX);
    return NULL;
}

static bool looks_right(const struct pdu *request, const struct pdu *answer) {
    if (answer->bytes[0] == (request->bytes[0] | 0x80))
        return true;
    return answer->bytes[0] == request->bytes[0] && answer->size == frame_reply_size(request);
}

/* The slave's answer sets out; the first that looks right and begins in time is what the bus hears. */
static int64_t hear(struct rig *rig, struct rig_slave *slave, int64_t asked_us) {
    struct line_timing line = bus_line_timing(&rig->bus);
    struct rig_coming *first = NULL, *own = coming_add(rig);
    int64_t deadline_us = asked_us + rig->request.timeout_us;
    reply(slave, &rig->request.pdu, &rig->answer);
    *own = (struct rig_coming){.unit_id = rig->request.unit_id, .begins_us = asked_us + slave->turnaround_us, .pdu = rig->answer.pdu};
    bool may_be_late = !slave->late_first_only || get_u16(&rig->request.pdu.bytes[1]) == 0;
    if (may_be_late && prng_below(&rig->prng, 100) < slave->late_percent) {
        own->begins_us = deadline_us + 1 + (int64_t)prng_below(&rig->prng, (uint64_t)slave->late_max_us);
        slave->lates++;
    }
    for (int i = 0; i < RIG_COMING_MAX; i++) {
        struct rig_coming *coming = &rig->coming[i];
        if (coming->unit_id != rig->request.unit_id || coming->begins_us < asked_us || coming->begins_us > deadline_us)
            continue;
        if ((first == NULL || coming->begins_us < first->begins_us) && looks_right(&rig->request.pdu, &coming->pdu))
            first = coming;
    }
    rig->answer.status = BUS_TIMEOUT;
    if (first == NULL)
        return deadline_us;
    rig->answer.status = slave->corrupt ? BUS_CORRUPT : BUS_ANSWERED;
    rig->answer.pdu = first->pdu;
    rig->answer.turnaround_us = first->begins_us - asked_us;
    rig->begins_us = first->begins_us;
    rig->heard = first;
    first->unit_id = 0;
    return first->begins_us + line_bytes_us(&line, first->pdu.size + 3u);
}

static void answer_request(struct rig *rig) {
    struct rig_slave *slave = &rig->slaves[rig->request.unit_id - 1];
    struct line_timing line = bus_line_timing(&rig->bus);
    int64_t asked_us = rig->now_us + line_bytes_us(&line, rig->request.pdu.size + 3u);
    rig->answer = (struct bus_answer){.status = BUS_TIMEOUT};
    rig->begins_us = NOW_NEVER;
    slave->asked++;
    assert_true(rig->request.timeout_us >= 50 * MS && rig->request.timeout_us <= 200 * MS);
    if (rig->disconnected) {
        rig->answer.status = BUS_DISCONNECTED;
        rig->answer.os_error = 2;
        rig->answer_at_us = rig->now_us + 100;
    } else if (slave->silent) {
        rig->answer_at_us = asked_us + rig->request.timeout_us;
    } else {
        rig->answer_at_us = hear(rig, slave, asked_us);
    }
}

/* Gives the request under way up when a write waits and no answer has begun; that answer is still on its way then. */
static void cut(struct rig *rig) {
    int64_t cut_us = poller_cut_us(rig->poller), at_us = cut_us > rig->now_us ? cut_us : rig->now_us;
    if (rig->answer_at_us == NOW_NEVER || rig->ignores_cut || rig->begins_us <= at_us || rig->answer_at_us <= at_us || cut_us == NOW_NEVER)
        return;
    if (rig->begins_us != NOW_NEVER)
        rig->heard->unit_id = rig->request.unit_id;
    rig->answer_at_us = at_us;
    rig->answer = (struct bus_answer){.status = BUS_TIMEOUT, .cut = true};
    rig->begins_us = NOW_NEVER;
    rig->cuts++;
}

static void tell(struct rig *rig) {
    const struct trace_line *line;
    while (trace_take(&rig->trace, &line)) {
        size_t length = strlen(rig->story);
        snprintf(rig->story + length, sizeof(rig->story) - length, "%s\n", line->text);
    }
    assert_int_equal(rig->trace.dropped, 0);
}

/* Reads a register that a setup write wrote. */
static bool verifies(const struct rig *rig) {
    const struct device_spec *spec = &rig->specs[rig->request.unit_id - 1];
    for (uint16_t i = 0; i < spec->setup_count; i++)
        if (get_u16(&rig->request.pdu.bytes[1]) == spec->setup[i].address && get_u16(&rig->request.pdu.bytes[3]) == 1)
            return true;
    return false;
}

static void do_step(struct rig *rig, const struct poller_event *event) {
    struct poller_effects *effects = &rig->effects;
    bool write = rig->request.pdu.bytes[0] >= FC_WRITE_COIL;
    poller_step(rig->poller, event, effects);
    poller_check(rig->poller);
    tell(rig);
    rig->steps++;
    if (event->kind == POLLER_ANSWERED) {
        assert_false(effects->has_polled && effects->has_written);
        assert_true(effects->has_polled || effects->has_guest || write || verifies(rig) || event->answer->cut ||
                    rig->slaves[rig->request.unit_id - 1].read_exception != 0); /* read back by another read */
    } else {
        assert_false(effects->has_polled);
    }
    rig->polls += effects->has_polled;
    rig->written += effects->has_written;
    rig->guests += effects->has_guest;
    if (effects->has_guest)
        rig->guest = effects->guest;
    if (effects->has_request) {
        assert_true(rig->answer_at_us == NOW_NEVER); /* one at a time */
        rig->request = effects->request;
        rig->requests++;
        answer_request(rig);
    }
    cut(rig);
    assert_true((rig->answer_at_us == NOW_NEVER) || poller_next_wake(rig->poller) == NOW_NEVER);
    if (rig->watch != NULL && (effects->has_polled || effects->has_written || effects->has_guest || effects->has_request))
        rig->watch(rig, effects);
    if (rig->hold_releases && effects->has_polled && effects->polled.holds) {
        effects->polled.holds = false;
        rig_step(rig, POLLER_RELEASE);
    }
}

static struct now now_of(const struct rig *rig) {
    return (struct now){.mono_us = rig->now_us, .wall_ms = 1700000000000 + rig->now_us / 1000, .wall_trusted = true};
}

void rig_step(struct rig *rig, enum poller_event_kind kind) {
    struct poller_event event = {.kind = kind, .now = now_of(rig)};
    do_step(rig, &event);
}

void rig_write(struct rig *rig, uint16_t device, uint16_t point, double value, uint32_t id) {
    struct poller_event event = {.kind = POLLER_WRITE, .now = now_of(rig), .write = {.id = id, .device = device, .point = point, .value = value}};
    do_step(rig, &event);
}

void rig_guest(struct rig *rig, uint8_t unit_id, enum frame_function function, uint16_t address, uint16_t count) {
    struct guest_request guest = {.id = ++rig->guest_id, .unit_id = unit_id, .timeout_us = 100 * MS};
    struct poller_event event = {.kind = POLLER_GUEST, .now = now_of(rig), .guest = &guest};
    frame_read(&guest.pdu, function, address, count);
    do_step(rig, &event);
}

bool rig_advance(struct rig *rig, int64_t until_us) {
    int64_t wake_us = poller_next_wake(rig->poller);
    int64_t next_us = rig->answer_at_us < wake_us ? rig->answer_at_us : wake_us;
    if (next_us > until_us) {
        rig->now_us = until_us > rig->now_us ? until_us : rig->now_us;
        return false;
    }
    rig->now_us = next_us > rig->now_us ? next_us : rig->now_us;
    struct poller_event event = {.kind = POLLER_TICK, .now = now_of(rig), .answer = &rig->answer};
    if (rig->answer_at_us != NOW_NEVER) {
        event.kind = POLLER_ANSWERED;
        rig->answer.now = event.now;
        rig->answer_at_us = NOW_NEVER;
    }
    do_step(rig, &event);
    return true;
}

void rig_run(struct rig *rig, int64_t until_us) {
    while (rig_advance(rig, until_us)) {
    }
}
