/* SPDX-License-Identifier: Apache-2.0 */
#include "poller_plant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[PLANT_DEVICES_MAX] = {"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"};

struct point *plant_point(struct plant *plant, uint16_t device, enum point_read read, uint16_t address) {
    struct point *point = &plant->points[device][plant->specs[device].points_count++];
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

void plant_init(struct plant *plant, enum bus_kind kind, uint16_t devices_count) {
    memset(plant, 0, sizeof(*plant));
    arena_init(&plant->arena);
    trace_init(&plant->trace);
    plant->bus = (struct bus_spec){.name = "shed", .bus = 3, .kind = kind, .baud = 9600, .parity = PARITY_NONE, .stop_bits = 1};
    plant->answer_at_us = NOW_NEVER;
    plant->now_us = 100 * SECOND;
    for (uint16_t d = 0; d < devices_count; d++) {
        plant->slaves[d].turnaround_us = 5 * MS;
        plant->specs[d] = (struct device_spec){.name = names[d],
                                               .device = d,
                                               .unit_id = (uint8_t)(d + 1),
                                               .timeout_ms = 200,
                                               .registers_max = REGISTERS_READ_MAX,
                                               .gaps_allowed = true,
                                               .points = plant->points[d]};
        plant_point(plant, d, READ_HOLDING, 0);
    }
}

void plant_begin(struct plant *plant, uint16_t devices_count) {
    const struct device_spec *specs[PLANT_DEVICES_MAX];
    for (uint16_t d = 0; d < devices_count; d++)
        specs[d] = &plant->specs[d];
    assert_int_equal(poller_create(&plant->bus, specs, devices_count, &plant->arena, &plant->trace, &plant->poller), ERR_OK);
    poller_check(plant->poller);
    plant_step(plant, POLLER_START);
}

void plant_done(struct plant *plant) {
    arena_done(&plant->arena);
}

static uint16_t get_u16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Registers read as their own address, bits as the lowest bit of theirs. */
static void reply(struct plant_slave *slave, const struct pdu *request, struct bus_answer *answer) {
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
        slave->writes++;
        slave->last_write_address = address;
        slave->last_write_value = count;
        memcpy(answer->pdu.bytes, request->bytes, 5);
        answer->pdu.bytes[4] ^= slave->wrong_echo;
        exception = exception ? exception : slave->write_exception;
    } else if (slave->registers_max && count > slave->registers_max) {
        exception = 2;
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

static void answer_request(struct plant *plant) {
    struct plant_slave *slave = &plant->slaves[plant->request.unit_id - 1];
    struct line_timing line = bus_line_timing(&plant->bus);
    int64_t took_us = line_bytes_us(&line, plant->request.pdu.size + 3u);
    plant->answer = (struct bus_answer){.status = BUS_TIMEOUT};
    slave->asked++;
    assert_int_equal(plant->request.timeout_us, 200 * MS);
    if (plant->disconnected) {
        plant->answer.status = BUS_DISCONNECTED;
        plant->answer.os_error = 2;
        took_us = 100;
    } else if (slave->silent) {
        took_us += plant->request.timeout_us;
    } else {
        reply(slave, &plant->request.pdu, &plant->answer);
        took_us += slave->turnaround_us + line_bytes_us(&line, plant->answer.pdu.size + 3u);
        plant->answer.turnaround_us = slave->turnaround_us;
        if (slave->corrupt)
            plant->answer.status = BUS_CORRUPT;
    }
    plant->answer_at_us = plant->now_us + took_us;
}

static void tell(struct plant *plant) {
    const struct trace_line *line;
    while (trace_take(&plant->trace, &line)) {
        size_t length = strlen(plant->story);
        snprintf(plant->story + length, sizeof(plant->story) - length, "%s\n", line->text);
    }
    assert_int_equal(plant->trace.dropped, 0);
}

static void do_step(struct plant *plant, const struct poller_event *event) {
    struct poller_effects *effects = &plant->effects;
    bool write = plant->request.pdu.bytes[0] >= FC_WRITE_COIL;
    poller_step(plant->poller, event, effects);
    poller_check(plant->poller);
    tell(plant);
    plant->steps++;
    if (event->kind == POLLER_ANSWERED) {
        if (!write)
            assert_true(effects->has_polled);
        assert_false(effects->has_polled && effects->has_written);
        assert_true(effects->has_polled || write);
    } else {
        assert_false(effects->has_polled);
    }
    plant->polls += effects->has_polled;
    plant->written += effects->has_written;
    if (effects->has_request) {
        assert_true(plant->answer_at_us == NOW_NEVER); /* one at a time */
        plant->request = effects->request;
        plant->requests++;
        answer_request(plant);
    }
    assert_true((plant->answer_at_us == NOW_NEVER) || poller_next_wake(plant->poller) == NOW_NEVER);
    if (plant->watch != NULL && (effects->has_polled || effects->has_written || effects->has_request))
        plant->watch(plant, effects);
    if (plant->hold_releases && effects->has_polled && effects->polled.holds) {
        effects->polled.holds = false;
        plant_step(plant, POLLER_RELEASE);
    }
}

static struct now now_of(const struct plant *plant) {
    return (struct now){.mono_us = plant->now_us, .wall_ms = 1700000000000 + plant->now_us / 1000, .wall_trusted = true};
}

void plant_step(struct plant *plant, enum poller_event_kind kind) {
    struct poller_event event = {.kind = kind, .now = now_of(plant)};
    do_step(plant, &event);
}

void plant_write(struct plant *plant, uint16_t device, uint16_t point, double value, uint32_t id) {
    struct poller_event event = {.kind = POLLER_WRITE, .now = now_of(plant), .write = {.id = id, .device = device, .point = point, .value = value}};
    do_step(plant, &event);
}

bool plant_advance(struct plant *plant, int64_t until_us) {
    int64_t wake_us = poller_next_wake(plant->poller);
    int64_t next_us = plant->answer_at_us < wake_us ? plant->answer_at_us : wake_us;
    if (next_us > until_us) {
        plant->now_us = until_us > plant->now_us ? until_us : plant->now_us;
        return false;
    }
    plant->now_us = next_us > plant->now_us ? next_us : plant->now_us;
    struct poller_event event = {.kind = POLLER_TICK, .now = now_of(plant), .answer = &plant->answer};
    if (plant->answer_at_us != NOW_NEVER) {
        event.kind = POLLER_ANSWERED;
        plant->answer.now = event.now;
        plant->answer_at_us = NOW_NEVER;
    }
    do_step(plant, &event);
    return true;
}

void plant_run(struct plant *plant, int64_t until_us) {
    while (plant_advance(plant, until_us)) {
    }
}
