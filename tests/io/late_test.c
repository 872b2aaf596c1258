/* SPDX-License-Identifier: Apache-2.0 */
/* Late answers on a real line and through a converter: two registers of one unit in turn, one answer in twenty so late that
 * something else is asked when it comes. The slave answers in order, so that one late answer makes the next ones late too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <uv.h>

#include "base/arena.h"
#include "base/prng.h"
#include "fake_slave.h"
#include "sensors/bus_rtu.h"
#include "sensors/bus_tcp.h"

#define TIMEOUT_MS 60
#define READS 75 /* several late answers, and what they make late; five times as many, as it was measured, with YANHUO_SOAK=1 */
#define READS_CONVERTER 40
#define PATIENCE_US INT64_C(55000000)

static unsigned reads_of(unsigned reads) {
    return getenv("YANHUO_SOAK") ? 5 * reads : reads;
}

static struct prng prng; /* of the slave's thread, from its start on */

static bool sometimes_late(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    if (prng_below(&prng, 20) == 0)
        fake_pause_ms(TIMEOUT_MS + 1 + (unsigned)prng_below(&prng, 150));
    return fake_good(slave, request, request_size, good, good_size);
}

struct world {
    struct arena arena;
    struct trace trace;
    struct point points[2]; /* registers 7 and 60, too far apart to be read together */
    struct device_spec device;
    struct poller *poller;
    atomic_uint good, wrong, timeouts;
};

static void take(void *context, const struct polled *polled) {
    struct world *world = context;
    atomic_fetch_add(&world->timeouts, polled->status == BUS_TIMEOUT);
    for (uint16_t i = 0; i < polled->count; i++) {
        const struct reading *reading = &polled->readings[i];
        if (reading->quality != QUALITY_GOOD)
            continue;
        atomic_fetch_add(&world->good, 1);
        atomic_fetch_add(&world->wrong, reading->value.integer != 0x1000 + world->points[reading->point].address);
    }
}

static void ignore_written(void *context, const struct written *written) {
    (void)context;
    (void)written;
}

static void ignore_trace(void *context, const struct trace_line *line) {
    (void)context;
    (void)line;
}

static void world_init(struct world *world, const struct bus_spec *bus) {
    const struct device_spec *devices[1] = {&world->device};
    arena_init(&world->arena);
    trace_init(&world->trace);
    for (uint16_t i = 0; i < 2; i++)
        world->points[i] = (struct point){.name = "p",
                                          .read = READ_HOLDING,
                                          .address = i ? 60 : 7,
                                          .type = TYPE_U16,
                                          .registers = 1,
                                          .scale = 1,
                                          .every_ms = 20,
                                          .class = CLASS_MAINTENANCE,
                                          .verify = true};
    world->device =
        (struct device_spec){.name = "d", .unit_id = 5, .timeout_ms = TIMEOUT_MS, .registers_max = 20, .points_count = 2, .points = world->points};
    assert_int_equal(poller_create(bus, devices, 1, &world->arena, &world->trace, &world->poller), ERR_OK);
}

static void judge(struct world *world, unsigned reads) {
    if (atomic_load(&world->wrong) > 0 || atomic_load(&world->good) < reads)
        print_error("%u good, %u wrong, %u timeouts\n", atomic_load(&world->good), atomic_load(&world->wrong), atomic_load(&world->timeouts));
    assert_true(atomic_load(&world->good) >= reads);
    assert_int_equal(atomic_load(&world->wrong), 0);
    assert_true(atomic_load(&world->timeouts) >= reads / 40);
    arena_done(&world->arena);
}

static void on_a_line(void **state) {
    (void)state;
    static struct world world;
    struct fake_slave slave;
    struct bus_rtu *bus;
    prng_init(&prng, 11);
    fake_slave_pty(&slave, sometimes_late);
    struct bus_spec spec = {.name = "line", .kind = BUS_SERIAL, .serial = slave.path, .baud = 115200, .parity = PARITY_NONE, .stop_bits = 1};
    world_init(&world, &spec);
    const struct bus_sink sink = {&world, take, ignore_written, ignore_trace};
    assert_int_equal(bus_rtu_open(&spec, world.poller, &world.trace, &sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    int64_t until_us = now_mono_us() + PATIENCE_US;
    while (atomic_load(&world.good) < reads_of(READS) && now_mono_us() < until_us)
        fake_pause_ms(20);
    bus_rtu_close(bus);
    fake_slave_stop(&slave);
    judge(&world, reads_of(READS));
}

static void through_a_converter(void **state) {
    (void)state;
    static struct world world;
    struct fake_slave slave;
    struct bus_tcp *bus;
    uv_loop_t loop;
    prng_init(&prng, 11);
    fake_slave_tcp(&slave, 0, true, sometimes_late);
    struct bus_spec spec = {.name = "conv", .kind = BUS_RTU_OVER_TCP, .host = "127.0.0.1", .port = slave.port, .connect_timeout_ms = 1000};
    world_init(&world, &spec);
    const struct bus_sink sink = {&world, take, ignore_written, ignore_trace};
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(bus_tcp_open(&loop, &spec, world.poller, &world.trace, &sink, &bus), ERR_OK);
    int64_t until_us = now_mono_us() + PATIENCE_US;
    while (atomic_load(&world.good) < reads_of(READS_CONVERTER) && now_mono_us() < until_us)
        uv_run(&loop, UV_RUN_ONCE);
    bus_tcp_close(bus, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    fake_slave_stop(&slave);
    judge(&world, reads_of(READS_CONVERTER));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_line),
        cmocka_unit_test(through_a_converter),
    };
    return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
