/* SPDX-License-Identifier: Apache-2.0 */
/* The poller of one bus with devices, points and setup writes out of the input, and then any events in any order: ticks early and late,
 * writes, releases that nobody waits for, and to each request any answer, also such as a bus would never let through.
 * After each step poller_check, and:
 *  1. one request at a time, for a unit id of this bus, that fits a frame; while it is under way nothing is waited for, otherwise the
 *     next wake lies ahead: no busy loop;
 *  2. every read ends in one POLLED, every write in one WRITTEN; an answer that ends in neither was a setup's good echo or its reading back,
 *     a read cut for a write, or an exception to the reading back of one point;
 *  3. readings are good only when the answer is one by a second opinion (fuzz_answers), and then keep what decoding promises;
 *  4. a write is ok only when its echo is equal;
 *  5. on a line, a read that timed out keeps every other read of its shape (function, length) from its unit until its window ends,
 *     so that a late answer cannot become another register's value;
 *  6. floor <= response timeout <= ceiling, the device's own;
 *  7. a guest, of any unit id, ends in one GUEST, in time, and has no other's POLLED.
 *
 * Input: kind of the bus, devices (1..3: flags, timeout, setups, points 1..6), then steps: what happens, how much time has passed. */
#include <string.h>

#include "base/arena.h"
#include "fuzz.h"
#include "sensors/late.h"
#include "sensors/poller.h"

#define DEVICES 3
#define POINTS 6
#define STEPS_MAX 400
#define LATE_MAX 64 /* reads that timed out and are remembered, the newest */

struct scene {
    struct bus_spec bus;
    struct device_spec specs[DEVICES];
    const struct device_spec *devices[DEVICES];
    struct point points[DEVICES][POINTS];
    struct setup_write setups[DEVICES][3];
    uint16_t count;
    struct trace trace;
    struct poller *poller;
    struct now now;
    bool under_way;
    struct bus_request request;
    struct bus_answer answer;
    uint64_t writes, written;
    bool wrote; /* a write was done some time */
    bool guest_here;
    struct guest_request guest;
    int64_t guest_since_us;
    struct {
        struct bus_request request;
        int64_t until_us;
    } late[LATE_MAX];
    unsigned late_count;
};

static void make_device(struct scene *scene, struct fuzz_input *input, uint16_t d) {
    static const uint32_t periods_ms[] = {1000, 100, 500, 2000, 5000, 60000, 86400000};
    uint8_t flags = fuzz_u8(input), sizes = fuzz_u8(input);
    struct device_spec *spec = &scene->specs[d];
    *spec = (struct device_spec){.name = "d",
                                 .device = (uint16_t)(10 + d),
                                 .unit_id = (uint8_t)(1 + d * 100),
                                 .timeout_ms = 20u + fuzz_u16(input) % 10000,
                                 .registers_max = flags & 1 ? 16 : REGISTERS_READ_MAX,
                                 .gaps_allowed = flags & 2,
                                 .setup_count = (sizes >> 4) % 4,
                                 .setup = scene->setups[d],
                                 .points_count = 1 + sizes % POINTS,
                                 .points = scene->points[d]};
    for (uint16_t i = 0; i < spec->setup_count; i++)
        scene->setups[d][i] = (struct setup_write){.address = fuzz_u16(input), .value = fuzz_u16(input), .coil = flags & 4};
    for (uint16_t i = 0; i < spec->points_count; i++) {
        struct point *point = &scene->points[d][i];
        fuzz_point(input, point);
        uint8_t more = fuzz_u8(input);
        if (more & 0x80 && point->address >= 64) /* near the others, so that there is something to merge */
            point->address %= 64;
        point->every_ms = periods_ms[more % 7];
        point->class = more & 8 ? CLASS_FIRE : CLASS_MAINTENANCE;
        point->feeds_action = more & 16;
        point->writable = more & 32 && !point->bit_field && (point->read == READ_COIL || (point->read == READ_HOLDING && point->type != TYPE_STRING));
        point->write_on = point->read == READ_COIL ? 0xFF00 : 1;
        point->verify = point->writable && !(more & 64);
    }
    scene->devices[d] = spec;
}

static const struct device_spec *spec_of(const struct scene *scene, uint16_t device) {
    PROPERTY(device >= 10 && device < 10 + scene->count);
    return &scene->specs[device - 10];
}

static void check_polled(const struct scene *scene, const struct polled *polled) {
    const struct device_spec *spec = spec_of(scene, polled->device);
    const struct pdu *pdu = &scene->answer.pdu;
    bool answered = scene->answer.status == BUS_ANSWERED && fuzz_answers(&scene->request.pdu, pdu->bytes, pdu->size);
    PROPERTY(polled->count >= 1 && polled->count <= POLLED_POINTS_MAX);
    PROPERTY(!polled->exception || (answered && pdu->bytes[0] & 0x80));
    for (uint16_t i = 0; i < polled->count; i++) {
        PROPERTY(polled->readings[i].point < spec->points_count);
        fuzz_check_reading(&spec->points[polled->readings[i].point], &polled->readings[i]);
        if (polled->readings[i].quality == QUALITY_GOOD)
            PROPERTY(answered && polled->status == BUS_ANSWERED && !polled->exception && scene->request.pdu.bytes[0] <= FC_READ_INPUT);
    }
}

static bool echoed(const struct scene *scene) {
    const struct pdu *pdu = &scene->answer.pdu;
    return scene->request.pdu.bytes[0] >= FC_WRITE_COIL && scene->answer.status == BUS_ANSWERED && pdu->size == 5 &&
           memcmp(pdu->bytes, scene->request.pdu.bytes, 5) == 0;
}

/* What a setup write wrote was read back, or cannot be. */
static bool verified(const struct scene *scene) {
    const uint8_t *request = scene->request.pdu.bytes;
    for (uint16_t d = 0; d < scene->count; d++)
        for (uint16_t i = 0; i < scene->specs[d].setup_count; i++)
            if (scene->setups[d][i].address == (request[1] << 8 | request[2]) && request[3] == 0 && request[4] == 1)
                return request[0] <= FC_READ_INPUT && scene->answer.status == BUS_ANSWERED;
    return false;
}

/* The read of one point alone, after it was written: the planned read takes its place. */
static bool refused(const struct scene *scene) {
    return scene->wrote && scene->answer.status == BUS_ANSWERED && scene->answer.pdu.size == 2 && scene->answer.pdu.bytes[0] & 0x80;
}

/* The request under way ended; does an answer to it still come some day? */
static void remember_late(struct scene *scene) {
    const struct bus_request *request = &scene->request;
    if (scene->answer.status == BUS_DISCONNECTED)
        scene->late_count = 0;
    if (scene->answer.status != BUS_TIMEOUT || scene->bus.kind == BUS_TCP || request->pdu.bytes[0] > FC_READ_INPUT)
        return;
    for (uint16_t d = 0; d < scene->count; d++)
        if (scene->specs[d].unit_id == request->unit_id) {
            unsigned place = scene->late_count++ % LATE_MAX;
            scene->late[place].request = *request;
            scene->late[place].until_us = scene->answer.now.mono_us + late_window_us(scene->specs[d].timeout_ms * INT64_C(1000));
        }
}

static void check_late(const struct scene *scene) {
    const struct pdu *pdu = &scene->request.pdu;
    for (unsigned i = 0; i < LATE_MAX && i < scene->late_count; i++) {
        const struct pdu *late = &scene->late[i].request.pdu;
        if (pdu->bytes[0] > FC_READ_INPUT || scene->late[i].request.unit_id != scene->request.unit_id ||
            scene->now.mono_us >= scene->late[i].until_us)
            continue;
        bool same_shape = late->bytes[0] == pdu->bytes[0] && frame_reply_size(late) == frame_reply_size(pdu);
        PROPERTY(!same_shape || memcmp(late->bytes, pdu->bytes, pdu->size) == 0);
    }
}

static void check_timeouts(const struct scene *scene) {
    for (uint16_t d = 0; d < scene->count; d++) {
        struct poller_timeouts timeouts;
        poller_timeouts(scene->poller, d, &timeouts);
        PROPERTY(timeouts.ceiling_us == scene->specs[d].timeout_ms * INT64_C(1000));
        if (timeouts.floor_us == 0) { /* nothing of it is read */
            for (uint16_t i = 0; i < scene->specs[d].points_count; i++)
                PROPERTY(scene->points[d][i].writable && !scene->points[d][i].verify);
            continue;
        }
        PROPERTY(timeouts.floor_us <= timeouts.current_us && timeouts.current_us <= timeouts.ceiling_us);
    }
}

static void check_request(struct scene *scene, const struct poller_effects *effects) {
    bool known = false;
    PROPERTY(!scene->under_way);
    scene->under_way = true;
    scene->request = effects->request;
    for (uint16_t d = 0; d < scene->count; d++)
        known |= scene->request.unit_id == scene->specs[d].unit_id;
    bool guest =
        scene->guest_here && scene->request.unit_id == scene->guest.unit_id && memcmp(scene->request.pdu.bytes, scene->guest.pdu.bytes, 5) == 0;
    PROPERTY((known || guest) && scene->request.timeout_us > 0);
    PROPERTY(scene->request.pdu.size >= 5 && scene->request.pdu.size <= PDU_SIZE);
    PROPERTY(frame_reply_size(&scene->request.pdu) <= PDU_SIZE);
    check_late(scene);
}

static void step(struct scene *scene, struct poller_event *event) {
    static struct poller_effects effects;
    const struct trace_line *line;
    event->now = scene->now;
    poller_step(scene->poller, event, &effects);
    poller_check(scene->poller);
    check_timeouts(scene);
    while (trace_take(&scene->trace, &line))
        PROPERTY(line->text[0]);
    PROPERTY(scene->trace.dropped == 0);
    PROPERTY(!(effects.has_polled && effects.has_written));
    PROPERTY(!effects.has_polled || event->kind == POLLER_ANSWERED);
    if (event->kind == POLLER_ANSWERED) {
        scene->under_way = false;
        remember_late(scene);
        if (!effects.has_polled && !effects.has_written && !effects.has_guest)
            PROPERTY(echoed(scene) || verified(scene) || scene->answer.cut || refused(scene)); /* the read behind it may wait its turn */
    }
    if (effects.has_polled)
        check_polled(scene, &effects.polled);
    if (effects.has_written) {
        scene->written++;
        scene->wrote |= effects.written.ok;
        PROPERTY(!effects.written.ok || (event->kind == POLLER_ANSWERED && echoed(scene)));
    }
    if (effects.has_guest) {
        PROPERTY(scene->guest_here && effects.guest.id == scene->guest.id &&
                 !(event->kind == POLLER_ANSWERED && effects.has_polled && effects.guest.result == GUEST_ASKED));
        PROPERTY(effects.guest.result != GUEST_ASKED || event->kind == POLLER_ANSWERED);
        PROPERTY(effects.guest.result != GUEST_NO_TIME || scene->now.mono_us - scene->guest_since_us >= POLLER_GUEST_WAIT_US);
        scene->guest_here = false;
    }
    PROPERTY(scene->under_way || effects.has_request || !scene->guest_here || scene->now.mono_us - scene->guest_since_us < POLLER_GUEST_WAIT_US);
    if (effects.has_request)
        check_request(scene, &effects);
    int64_t wake_us = poller_next_wake(scene->poller);
    PROPERTY(scene->under_way || poller_cut_us(scene->poller) == NOW_NEVER);
    PROPERTY(scene->under_way ? wake_us == NOW_NEVER : wake_us > scene->now.mono_us || event->kind == POLLER_START);
}

static void make_answer(struct scene *scene, struct fuzz_input *input, uint8_t how) {
    struct bus_answer *answer = &scene->answer;
    size_t size = 0, most = PDU_SIZE;
    *answer = (struct bus_answer){.status = (enum bus_status)(how & 3), .now = scene->now, .turnaround_us = fuzz_u16(input)};
    answer->os_error = answer->status == BUS_DISCONNECTED ? fuzz_u8(input) : 0;
    answer->cut = answer->status == BUS_TIMEOUT && how & 0x10 && poller_cut_us(scene->poller) <= scene->now.mono_us;
    if (how & 4 && answer->status == BUS_ANSWERED) { /* nearly or quite right */
        answer->pdu.size = (uint8_t)frame_reply_size(&scene->request.pdu);
        memcpy(answer->pdu.bytes, scene->request.pdu.bytes, 5);
        if (answer->pdu.bytes[0] <= FC_READ_INPUT) {
            answer->pdu.bytes[1] = (uint8_t)(answer->pdu.size - 2);
            most = answer->pdu.size - 2u;
            const uint8_t *data = fuzz_take(input, how & 8 ? most : 2, &size);
            for (size_t i = 0; i < most; i++)
                answer->pdu.bytes[2 + i] = size > 0 ? data[i % size] : 0;
        }
    } else if (how & 8) {
        answer->pdu.bytes[0] = scene->request.pdu.bytes[0] | 0x80;
        answer->pdu.bytes[1] = fuzz_u8(input);
        answer->pdu.size = 2;
    } else {
        const uint8_t *bytes = fuzz_take(input, how >> 4, &size);
        answer->pdu.size = (uint8_t)size;
        if (size > 0)
            memcpy(answer->pdu.bytes, bytes, size);
    }
}

static void pass(struct scene *scene, uint8_t how) {
    static const uint16_t steps_ms[] = {0, 1, 5, 20, 100, 500, 1000, 60000};
    int64_t wake_us = poller_next_wake(scene->poller), by_us = steps_ms[how & 7] * INT64_C(1000);
    if (how & 8 && wake_us != NOW_NEVER)
        by_us = wake_us - scene->now.mono_us;
    scene->now.mono_us += by_us;
    scene->now.wall_ms += by_us / 1000;
}

static void make_guest(struct scene *scene, struct fuzz_input *input) {
    uint8_t unit_id = fuzz_u8(input), sizes = fuzz_u8(input);
    scene->guest.id++;
    scene->guest.unit_id = unit_id ? unit_id : 1;
    scene->guest.timeout_us = 1000 + fuzz_u16(input) * INT64_C(100);
    frame_read(&scene->guest.pdu, (enum frame_function)(1 + (sizes & 3)), sizes >> 6, 1 + (sizes >> 2 & 15));
    scene->guest_here = true;
    scene->guest_since_us = scene->now.mono_us;
}

static void next(struct scene *scene, struct fuzz_input *input) {
    uint8_t what = fuzz_u8(input), how = fuzz_u8(input);
    struct poller_event event = {.kind = POLLER_TICK, .answer = &scene->answer};
    pass(scene, what >> 4);
    if (scene->under_way && what & 1) {
        event.kind = POLLER_ANSWERED;
        make_answer(scene, input, how);
    } else if ((what & 6) == 2) {
        uint16_t d = how % scene->count;
        event.kind = POLLER_WRITE;
        event.write = (struct write_command){
            .id = (uint32_t)scene->writes++, .device = (uint16_t)(10 + d), .point = (uint16_t)(how >> 4) % scene->specs[d].points_count};
        event.write.value = fuzz_number(input);
    } else if ((what & 6) == 4 && how & 0x80 && !scene->guest_here) {
        make_guest(scene, input);
        event.kind = POLLER_GUEST;
        event.guest = &scene->guest;
    } else if ((what & 6) == 4) {
        event.kind = POLLER_RELEASE;
    }
    step(scene, &event);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct fuzz_input input = {bytes, size};
    static struct scene scene;
    struct arena arena;
    memset(&scene, 0, sizeof(scene));
    uint8_t flags = fuzz_u8(&input);
    scene.bus = (struct bus_spec){.name = "b", .bus = 3, .kind = (enum bus_kind)(flags % 3), .baud = flags & 32 ? 115200 : 9600, .stop_bits = 1};
    scene.count = 1 + (flags >> 2) % DEVICES;
    for (uint16_t d = 0; d < scene.count; d++)
        make_device(&scene, &input, d);
    arena_init(&arena);
    trace_init(&scene.trace);
    scene.now = (struct now){.mono_us = 1000000, .wall_ms = 1700000000000};
    if (poller_create(&scene.bus, scene.devices, scene.count, &arena, &scene.trace, &scene.poller) == ERR_OK) {
        struct poller_event event = {.kind = POLLER_START};
        step(&scene, &event);
        for (unsigned i = 0; i < STEPS_MAX && input.size > 0; i++)
            next(&scene, &input);
        for (unsigned i = 0; i < WRITES_PENDING_MAX + 1u; i++) { /* nobody answers any longer: what was wanted ends all the same */
            event.kind = scene.under_way ? POLLER_ANSWERED : POLLER_TICK;
            event.answer = &scene.answer;
            scene.answer = (struct bus_answer){.status = BUS_TIMEOUT, .now = scene.now};
            step(&scene, &event);
        }
        PROPERTY(scene.written == scene.writes);
    }
    arena_done(&arena);
    return 0;
}
