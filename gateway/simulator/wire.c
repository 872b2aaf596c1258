/* SPDX-License-Identifier: Apache-2.0 */
/* The model is in wire.h. Everything about an exchange is decided when its request is whole: what is said, when, and what
 * falls on what; after that only time passes.
 *
 * Invariants: a talk's bytes are handed over in order, each at talk_due_us and never before; a byte on which something else
 * falls is replaced before it is handed over. */
#include "gateway/simulator/wire.h"

#include <string.h>

#include "base/check.h"
#include "base/now.h"

#define STALE_US 50000
#define GROUP_US 250
#define RTU_LEAST 4 /* unit, function, checksum */

void wire_init(struct wire *wire, const struct bus_spec *spec, struct plant *plant, uint64_t seed) {
    *wire = (struct wire){.spec = spec, .plant = plant, .timing = bus_line_timing(spec)};
    prng_init(&wire->prng, seed);
    if (spec->kind == BUS_SERIAL)
        line_judge_init(&wire->judge, &wire->timing);
}

void wire_clear(struct wire *wire) {
    wire->request_size = 0;
    memset(wire->talks, 0, sizeof(wire->talks));
}

void wire_recount(struct wire *wire) {
    line_judge_recount(&wire->judge);
    wire->faults = 0;
}

/* ---- talks ---- */

/* When byte `i` begins; it is handed over a character later. */
static int64_t talk_begin_us(const struct wire *wire, const struct wire_talk *talk, size_t i) {
    return talk->begin_us + line_bytes_us(&wire->timing, i) + (talk->pause_us > 0 && i >= talk->pause_at ? talk->pause_us : 0);
}

static int64_t talk_due_us(const struct wire *wire, const struct wire_talk *talk, size_t i) {
    int64_t pause_us = talk->pause_us > 0 && i >= talk->pause_at ? talk->pause_us : 0;
    return talk->begin_us + line_bytes_us(&wire->timing, i + 1) + pause_us;
}

/* Something else is on the line from `begin_us` to `end_us`. True: it fell on bytes of the talk. */
static bool talk_garble(struct wire *wire, struct wire_talk *talk, int64_t begin_us, int64_t end_us) {
    bool fell = false;
    for (size_t i = talk->sent; i < talk->size; i++)
        if (talk_begin_us(wire, talk, i) < end_us && begin_us < talk_due_us(wire, talk, i)) {
            talk->bytes[i] = (uint8_t)(prng_next(&wire->prng) >> 32);
            fell = true;
        }
    return fell;
}

static bool garble_all(struct wire *wire, const struct wire_talk *but, int64_t begin_us, int64_t end_us) {
    bool fell = false;
    for (size_t i = 0; i < WIRE_TALKS; i++) {
        struct wire_talk *talk = &wire->talks[i];
        if (talk->size > 0 && talk != but && !talk->echo)
            fell = talk_garble(wire, talk, begin_us, end_us) || fell;
    }
    return fell;
}

static struct wire_talk *talk_begin(struct wire *wire, int64_t begin_us) {
    for (size_t i = 0; i < WIRE_TALKS; i++)
        if (wire->talks[i].size == 0) {
            wire->talks[i] = (struct wire_talk){.begin_us = begin_us, .device = CONFIG_NONE};
            return &wire->talks[i];
        }
    return NULL;
}

static void talk_add(struct wire_talk *talk, const uint8_t *bytes, size_t size) {
    CHECK(talk->size + size <= sizeof(talk->bytes));
    memcpy(talk->bytes + talk->size, bytes, size);
    talk->size += size;
}

/* Nothing more is added to it: what falls on what, and what the judge is told. The part after a pause is a span of its own. */
static void talk_close(struct wire *wire, struct wire_talk *talk) {
    for (size_t i = 0; i < talk->size; i++) {
        int64_t begin_us = talk_begin_us(wire, talk, i), end_us = talk_due_us(wire, talk, i);
        if (garble_all(wire, talk, begin_us, end_us))
            talk->bytes[i] = (uint8_t)(prng_next(&wire->prng) >> 32);
    }
    size_t first = talk->pause_us > 0 && talk->pause_at < talk->size ? talk->pause_at : talk->size;
    line_judge_spoken(&wire->judge, talk->begin_us, first);
    if (first < talk->size)
        line_judge_spoken(&wire->judge, talk_begin_us(wire, talk, first), talk->size - first);
}

/* ---- exchanges ---- */

static void plan_noise_between(struct wire *wire, int64_t replied_us) {
    uint8_t noise[FAULT_NOISE_MAX];
    int64_t wait_us = (int64_t)prng_below(&wire->prng, (uint64_t)line_bytes_us(&wire->timing, 3));
    struct wire_talk *talk = talk_begin(wire, replied_us + wait_us);
    if (!talk)
        return;
    talk->stray = true;
    talk_add(talk, noise, fault_noise(&wire->prng, noise));
    talk_close(wire, talk);
}

/* When a device takes up what it was asked: at once, or after what it still has to say. */
static int64_t free_us(const struct wire *wire, uint16_t device, int64_t asked_us) {
    for (size_t i = 0; i < WIRE_TALKS; i++) {
        const struct wire_talk *talk = &wire->talks[i];
        if (talk->size > 0 && talk->device == device && talk_due_us(wire, talk, talk->size - 1) > asked_us)
            asked_us = talk_due_us(wire, talk, talk->size - 1);
    }
    return asked_us;
}

/* A frame is whole and its checksum good. */
static void on_frame(struct wire *wire, size_t size, struct wire_exchange *exchange) {
    struct pdu reply;
    uint8_t frame[FRAME_SIZE];
    uint16_t device = plant_device_at(wire->plant, wire->spec->bus, exchange->unit_id);
    const struct fault none = {.kind = FAULT_NONE}, *fault = device == CONFIG_NONE ? &none : &wire->plant->devices[device].fault;
    if (device != CONFIG_NONE && wire->plant->devices[device].plugged)
        exchange->fault = fault_roll(fault, &wire->prng);
    if (exchange->fault != FAULT_NONE) {
        wire->faults++;
        line_judge_disturbed(&wire->judge);
    }
    if (exchange->fault == FAULT_DEAD ||
        !plant_answer(wire->plant, wire->spec->bus, exchange->unit_id, wire->request + 1, size - 3, &exchange->device, &reply, &exchange->write))
        return;
    int64_t turnaround_us = wire->plant->devices[device].turnaround_us;
    size_t reply_size = frame_rtu(exchange->unit_id, &reply, frame);
    line_judge_answered(&wire->judge, size, turnaround_us, reply_size);
    if (exchange->fault == FAULT_SLOW)
        turnaround_us += (int64_t)fault->ms * 1000;
    if (exchange->fault == FAULT_LATE)
        turnaround_us = ((int64_t)wire->plant->config->devices[device].spec.timeout_ms + fault->ms) * 1000;
    struct wire_talk *talk = talk_begin(wire, free_us(wire, device, exchange->end_us) + turnaround_us);
    if (!talk)
        return;
    talk->device = device;
    uint8_t noise[FAULT_NOISE_MAX];
    if (exchange->fault == FAULT_NOISE_BEFORE)
        talk_add(talk, noise, fault_noise(&wire->prng, noise));
    if (exchange->fault == FAULT_PAUSE) {
        talk->pause_at = 1 + (size_t)prng_below(&wire->prng, reply_size - 1);
        talk->pause_us = (int64_t)fault->ms * 1000;
    }
    talk->stray = exchange->fault == FAULT_LATE || exchange->fault == FAULT_SLOW;
    talk_add(talk, frame, fault_damage(exchange->fault, &wire->prng, frame, reply_size));
    talk_close(wire, talk);
    exchange->reply_us = talk->begin_us;
    exchange->replied_us = talk_due_us(wire, talk, talk->size - 1);
    if (exchange->fault == FAULT_NOISE_BETWEEN)
        plan_noise_between(wire, exchange->replied_us);
}

static bool checksum_good(const uint8_t *frame, size_t size) {
    return frame_crc(frame, size - 2) == (frame[size - 2] | frame[size - 1] << 8);
}

static void add_bytes(struct wire *wire, int64_t now_us, const uint8_t *bytes, size_t size) {
    if (wire->request_size > 0 && now_us - wire->heard_us > STALE_US)
        wire->request_size = 0;
    if (wire->request_size == 0) {
        wire->request_violation = line_judge_request(&wire->judge, now_us);
        wire->request_begin_us = wire->request_end_us = now_us;
        wire->request_collided = false;
    }
    int64_t begin_us = wire->request_end_us > now_us ? wire->request_end_us : now_us;
    wire->heard_us = now_us;
    wire->request_end_us = begin_us + line_bytes_us(&wire->timing, size);
    line_judge_sent(&wire->judge, wire->request_end_us);
    if (garble_all(wire, NULL, begin_us, wire->request_end_us)) {
        wire->request_collided = true;
        line_judge_disturbed(&wire->judge);
    }
    memcpy(wire->request + wire->request_size, bytes, size);
    wire->request_size += size;
    struct wire_talk *echo = wire->echoes ? talk_begin(wire, begin_us) : NULL;
    if (echo) {
        echo->echo = true;
        talk_add(echo, bytes, size);
    }
}

/* The size of the frame that is whole; 0 while it is not, SIZE_MAX when it never will be. */
static size_t whole_size(const struct wire *wire) {
    size_t expected = slave_rtu_request_size(wire->request, wire->request_size);
    if (expected == SIZE_MAX) /* a function unknown here: the frame is what came, if the checksum says so */
        expected = wire->request_size >= RTU_LEAST && checksum_good(wire->request, wire->request_size) ? wire->request_size : 0;
    if (expected > sizeof(wire->request))
        return SIZE_MAX;
    if (expected != 0 && wire->request_size >= expected)
        return checksum_good(wire->request, expected) ? expected : SIZE_MAX;
    return wire->request_size == sizeof(wire->request) ? SIZE_MAX : 0;
}

bool wire_hear(struct wire *wire, int64_t now_us, const uint8_t *bytes, size_t size, struct wire_exchange *ret_exchange) {
    size_t room = sizeof(wire->request) - wire->request_size;
    if (size == 0)
        return false;
    add_bytes(wire, now_us, bytes, size < room ? size : room);
    size_t whole = whole_size(wire);
    if (whole == 0)
        return false;
    wire->request_size = 0;
    if (whole == SIZE_MAX)
        return false;
    const uint8_t *request = wire->request;
    *ret_exchange = (struct wire_exchange){.unit_id = request[0],
                                           .function = request[1],
                                           .begin_us = wire->request_begin_us,
                                           .end_us = wire->request_end_us,
                                           .violation = wire->request_violation,
                                           .device = CONFIG_NONE};
    if (whole >= 8) {
        ret_exchange->address = (uint16_t)(request[2] << 8 | request[3]);
        ret_exchange->count = (uint16_t)(request[4] << 8 | request[5]);
    }
    if (!wire->request_collided)
        on_frame(wire, whole, ret_exchange);
    return true;
}

/* ---- handing over ---- */

static int64_t talk_next_us(const struct wire *wire, const struct wire_talk *talk) {
    int64_t next_us = talk_due_us(wire, talk, talk->sent), last_us = talk_due_us(wire, talk, talk->size - 1);
    if (talk->sent > 0 && talk->handed_us + GROUP_US > next_us)
        next_us = talk->handed_us + GROUP_US;
    return next_us < last_us ? next_us : last_us;
}

int64_t wire_next_us(const struct wire *wire, bool *ret_last) {
    int64_t next_us = NOW_NEVER;
    *ret_last = false;
    for (size_t i = 0; i < WIRE_TALKS; i++) {
        const struct wire_talk *talk = &wire->talks[i];
        int64_t talk_us = talk->size > 0 ? talk_next_us(wire, talk) : NOW_NEVER;
        if (talk_us >= next_us)
            continue;
        next_us = talk_us;
        *ret_last = talk_us == talk_due_us(wire, talk, talk->size - 1);
    }
    return next_us;
}

static struct wire_talk *first_due(struct wire *wire, int64_t now_us) {
    struct wire_talk *first = NULL;
    for (size_t i = 0; i < WIRE_TALKS; i++) {
        struct wire_talk *talk = &wire->talks[i];
        if (talk->size > 0 && talk_due_us(wire, talk, talk->sent) <= now_us &&
            (!first || talk_due_us(wire, talk, talk->sent) < talk_due_us(wire, first, first->sent)))
            first = talk;
    }
    return first;
}

size_t wire_take(struct wire *wire, int64_t now_us, uint8_t *bytes, size_t size, int64_t *ret_last_us) {
    size_t taken = 0;
    struct wire_talk *talk;
    *ret_last_us = NOW_NEVER;
    while (taken < size && (talk = first_due(wire, now_us)) != NULL) {
        if (talk->stray)
            line_judge_disturbed(&wire->judge);
        bytes[taken++] = talk->bytes[talk->sent];
        talk->handed_us = now_us;
        talk->sent++;
        if (talk->sent == talk->size) {
            *ret_last_us = talk_due_us(wire, talk, talk->size - 1);
            talk->size = 0;
        }
    }
    return taken;
}
