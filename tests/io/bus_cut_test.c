/* SPDX-License-Identifier: Apache-2.0 */
/* A write to an endpoint that says nothing goes out over the same connection when it must, and neither the silence nor a late answer is
 * taken for anything. (On a serial line: bus_rtu_test.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <uv.h>

#include "bus_fixture.h"
#include "fake_slave.h"
#include "sensors/bus_tcp.h"

#define PATIENCE_US 8000000
#define LOOK_MS 2 /* so that the loop returns now and then */

struct world {
    uv_loop_t loop;
    uv_timer_t look;
    struct bus_fixture fixture;
    struct bus_tcp *bus;
};

static void on_look(uv_timer_t *timer) {
    (void)timer;
}

static void world_open(struct world *world, enum bus_kind kind, uint16_t port) {
    memset(world, 0, sizeof(*world));
    world->fixture.timeout_ms = 600;
    world->fixture.spec =
        (struct bus_spec){.name = "kit", .kind = kind, .host = "127.0.0.1", .port = port, .connect_timeout_ms = 1000, .stop_bits = 1};
    world->fixture.spec.baud = kind == BUS_RTU_OVER_TCP ? 9600 : 0;
    bus_fixture_init(&world->fixture);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    assert_int_equal(uv_timer_init(&world->loop, &world->look), 0);
    assert_int_equal(uv_timer_start(&world->look, on_look, LOOK_MS, LOOK_MS), 0);
    assert_int_equal(
        bus_tcp_open(&world->loop, &world->fixture.spec, world->fixture.poller, &world->fixture.trace, &world->fixture.sink, &world->bus), ERR_OK);
}

static void world_close(struct world *world) {
    bus_tcp_close(world->bus, NULL, NULL);
    uv_close((uv_handle_t *)&world->look, NULL);
    assert_int_equal(uv_run(&world->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    assert_int_equal(bus_fixture_wrong(&world->fixture), 0);
    bus_fixture_done(&world->fixture);
}

static void run_until(struct world *world, int64_t until_us) {
    while (now_mono_us() < until_us)
        uv_run(&world->loop, UV_RUN_ONCE);
}

static void run_until_good(struct world *world, unsigned good) {
    int64_t until_us = now_mono_us() + PATIENCE_US;
    while (bus_fixture_good(&world->fixture) < good && now_mono_us() < until_us)
        uv_run(&world->loop, UV_RUN_ONCE);
    assert_true(bus_fixture_good(&world->fixture) >= good);
}

/* One that answers reads after 300 ms: long after the write went out. */
static bool late_reads(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    uint8_t function = slave->tcp && !slave->rtu_frames ? request[7] : request[1];
    if (function < 5)
        fake_pause_ms(300);
    return fake_good(slave, request, request_size, good, good_size);
}

static void writes_do_not_wait(enum bus_kind kind) {
    struct fake_slave slave;
    struct world world;
    fake_slave_tcp(&slave, 0, kind == BUS_RTU_OVER_TCP, fake_good);
    world_open(&world, kind, slave.port);
    run_until_good(&world, 5);
    for (uint32_t round = 0; round < 3; round++) {
        struct write_command write = {.id = round, .device = 0, .point = 1, .value = 1};
        atomic_store(&slave.script, fake_only_writes);
        run_until(&world, now_mono_us() + 100000);
        unsigned timeouts = bus_fixture_count(&world.fixture, BUS_TIMEOUT);
        int64_t posted_us = now_mono_us();
        assert_int_equal(bus_tcp_write(world.bus, &write), ERR_OK);
        while (bus_fixture_written(&world.fixture, true) == round && now_mono_us() < posted_us + 400000)
            uv_run(&world.loop, UV_RUN_ONCE);
        assert_int_equal(bus_fixture_written(&world.fixture, true), round + 1);
        assert_int_equal(bus_fixture_count(&world.fixture, BUS_TIMEOUT), timeouts); /* no miss: the read is made again */
        assert_true(now_mono_us() - posted_us > 40000); /* a network's usual time is not known: the read has what there is */
        atomic_store(&slave.script, fake_good);
        run_until_good(&world, bus_fixture_good(&world.fixture) + 3);
    }
    assert_int_equal(atomic_load(&slave.connections), 1);
    assert_int_equal(poller_counters(world.fixture.poller)->cuts, 3);
    world_close(&world);
    fake_slave_stop(&slave);
}

static void on_modbus_tcp(void **state) {
    (void)state;
    writes_do_not_wait(BUS_TCP);
}

static void on_a_line_behind_a_converter(void **state) {
    (void)state;
    writes_do_not_wait(BUS_RTU_OVER_TCP);
}

/* The answer to the read that was cut comes while the write is under way: it is nobody's, and the write's own is found behind it. */
static void an_answer_after_the_cut_is_nobodys(void **state) {
    (void)state;
    struct fake_slave slave;
    struct world world;
    fake_slave_tcp(&slave, 0, false, fake_good);
    world_open(&world, BUS_TCP, slave.port);
    run_until_good(&world, 5);
    struct write_command write = {.id = 1, .device = 0, .point = 1, .value = 1};
    atomic_store(&slave.script, late_reads);
    run_until(&world, now_mono_us() + 50000);
    assert_int_equal(bus_tcp_write(world.bus, &write), ERR_OK);
    run_until(&world, now_mono_us() + 600000);
    assert_int_equal(bus_fixture_written(&world.fixture, true), 1);
    assert_int_equal(bus_fixture_count(&world.fixture, BUS_CORRUPT), 0);
    atomic_store(&slave.script, fake_good);
    run_until_good(&world, bus_fixture_good(&world.fixture) + 3);
    assert_int_equal(atomic_load(&slave.connections), 1);
    world_close(&world);
    fake_slave_stop(&slave);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_modbus_tcp),
        cmocka_unit_test(on_a_line_behind_a_converter),
        cmocka_unit_test(an_answer_after_the_cut_is_nobodys),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
