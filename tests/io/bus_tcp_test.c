/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP endpoint against a server that misbehaves in every way: a wrong answer never becomes a value, and whatever happened,
 * polling goes on by itself when the server is good again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "bus_fixture.h"
#include "fake_slave.h"
#include "sensors/bus_tcp.h"

#define PATIENCE_MS 8000 /* longest wait for something that must happen; nothing waits this long when all is well */
#define LOOK_MS 5

/* Scripts --------------------------------------------------------------------------------------------------------------- */

static void send_changed(struct fake_slave *slave, const uint8_t *good, size_t good_size, size_t at, uint8_t change) {
    uint8_t frame[512];
    memcpy(frame, good, good_size);
    frame[at] ^= change;
    frame[good_size - 1] ^= 0x55; /* so that its value, if it were taken, would be seen to be wrong */
    fake_send(slave, frame, good_size);
}

static bool wrong_transaction(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)request;
    (void)request_size;
    send_changed(slave, good, good_size, 1, 1);
    return true;
}

static bool wrong_transaction_then_right(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good,
                                         size_t good_size) {
    wrong_transaction(slave, request, request_size, good, good_size);
    fake_pause_ms(5);
    return fake_good(slave, request, request_size, good, good_size);
}

static bool wrong_unit(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)request;
    (void)request_size;
    send_changed(slave, good, good_size, 6, 1);
    return true;
}

static bool wrong_function(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)request;
    (void)request_size;
    send_changed(slave, good, good_size, 7, 7);
    return true;
}

static bool single_bytes(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)request;
    (void)request_size;
    for (size_t i = 0; i < good_size; i++) {
        fake_send(slave, good + i, 1);
        fake_pause_ms(1);
    }
    return true;
}

static bool late(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    fake_pause_ms(FIXTURE_TIMEOUT_MS + 5);
    return fake_good(slave, request, request_size, good, good_size);
}

static bool no_frame(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    static const char page[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)request;
    (void)request_size;
    (void)good;
    (void)good_size;
    fake_send(slave, page, sizeof(page) - 1);
    return true;
}

static bool closes(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)slave;
    (void)request;
    (void)request_size;
    (void)good;
    (void)good_size;
    return false;
}

static bool answers_and_closes(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    fake_good(slave, request, request_size, good, good_size);
    return false;
}

static bool echo_and_noise(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    static const uint8_t noise[] = {0, 5, 3, 0xFF};
    fake_send(slave, request, request_size);
    fake_send(slave, noise, sizeof(noise));
    return fake_good(slave, request, request_size, good, good_size);
}

static bool crc_error(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    (void)request;
    (void)request_size;
    send_changed(slave, good, good_size, 3, 1);
    return true;
}

/* The bus on a loop ----------------------------------------------------------------------------------------------------- */

struct world {
    uv_loop_t loop;
    uv_timer_t look; /* so that the loop returns now and then */
    struct bus_fixture fixture;
    struct bus_tcp *bus;
    uint32_t baud;   /* of the line behind a converter; 0: not known */
    unsigned posted; /* writes from the sink */
    bool closed;
};

static void on_look(uv_timer_t *timer) {
    (void)timer;
}

static void world_start(struct world *world, enum bus_kind kind, const char *host, uint16_t port) {
    world->fixture.spec = (struct bus_spec){.name = "kit", .kind = kind, .host = host, .port = port, .connect_timeout_ms = 1000};
    world->fixture.spec.baud = world->baud;
    world->fixture.spec.stop_bits = 1;
    bus_fixture_init(&world->fixture);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    assert_int_equal(uv_timer_init(&world->loop, &world->look), 0);
    assert_int_equal(uv_timer_start(&world->look, on_look, LOOK_MS, LOOK_MS), 0);
    assert_int_equal(
        bus_tcp_open(&world->loop, &world->fixture.spec, world->fixture.poller, &world->fixture.trace, &world->fixture.sink, &world->bus), ERR_OK);
}

static void world_open(struct world *world, enum bus_kind kind, const char *host, uint16_t port) {
    memset(world, 0, sizeof(*world));
    world_start(world, kind, host, port);
}

static void world_open_line(struct world *world, const char *host, uint16_t port, uint32_t baud) {
    memset(world, 0, sizeof(*world));
    world->baud = baud;
    world_start(world, BUS_RTU_OVER_TCP, host, port);
}

static void on_closed(void *context) {
    struct world *world = context;
    world->closed = true;
}

static void world_close(struct world *world) {
    bus_tcp_close(world->bus, on_closed, world);
    uv_close((uv_handle_t *)&world->look, NULL);
    assert_int_equal(uv_run(&world->loop, UV_RUN_DEFAULT), 0); /* returns only when every handle is gone */
    assert_true(world->closed);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    assert_int_equal(bus_fixture_wrong(&world->fixture), 0);
    bus_fixture_done(&world->fixture);
}

static void run_for_ms(struct world *world, int64_t ms) {
    int64_t until_us = now_mono_us() + ms * 1000;
    while (now_mono_us() < until_us)
        uv_run(&world->loop, UV_RUN_ONCE);
}

static unsigned count(struct world *world, enum bus_status status) {
    return status == BUS_ANSWERED ? bus_fixture_good(&world->fixture) : bus_fixture_count(&world->fixture, status);
}

/* Runs the loop until `more` more polls ended so. */
static bool run_until(struct world *world, enum bus_status status, unsigned more) {
    unsigned wanted = count(world, status) + more;
    int64_t until_us = now_mono_us() + PATIENCE_MS * INT64_C(1000);
    while (count(world, status) < wanted && now_mono_us() < until_us)
        uv_run(&world->loop, UV_RUN_ONCE);
    return count(world, status) >= wanted;
}

/* Tests ----------------------------------------------------------------------------------------------------------------- */

struct fault {
    const char *name;
    fake_script *script;
    enum bus_status status;
    enum bus_kind kind;
};

static const struct fault faults[] = {
    {"good", fake_good, BUS_ANSWERED, BUS_TCP},
    {"wrong transaction", wrong_transaction, BUS_TIMEOUT, BUS_TCP},
    {"wrong transaction, then right", wrong_transaction_then_right, BUS_ANSWERED, BUS_TCP},
    {"wrong unit", wrong_unit, BUS_CORRUPT, BUS_TCP},
    {"wrong function", wrong_function, BUS_CORRUPT, BUS_TCP},
    {"single bytes", single_bytes, BUS_ANSWERED, BUS_TCP},
    {"late", late, BUS_TIMEOUT, BUS_TCP},
    {"silent", fake_silent, BUS_TIMEOUT, BUS_TCP},
    {"no frame", no_frame, BUS_CORRUPT, BUS_TCP},
    {"closes", closes, BUS_DISCONNECTED, BUS_TCP},
    {"answers and closes", answers_and_closes, BUS_ANSWERED, BUS_TCP},
    {"RTU good", fake_good, BUS_ANSWERED, BUS_RTU_OVER_TCP},
    {"RTU silent", fake_silent, BUS_TIMEOUT, BUS_RTU_OVER_TCP},
    {"RTU echo and noise", echo_and_noise, BUS_ANSWERED, BUS_RTU_OVER_TCP},
    {"RTU CRC error", crc_error, BUS_CORRUPT, BUS_RTU_OVER_TCP},
    {"RTU single bytes", single_bytes, BUS_ANSWERED, BUS_RTU_OVER_TCP},
};

static void each_fault_has_its_status_and_passes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        struct fake_slave slave;
        struct world world;
        fake_slave_tcp(&slave, 0, faults[i].kind == BUS_RTU_OVER_TCP, faults[i].script);
        world_open(&world, faults[i].kind, "127.0.0.1", slave.port);
        bool seen = run_until(&world, faults[i].status, 2);
        atomic_store(&slave.script, fake_good);
        bool recovered = run_until(&world, BUS_ANSWERED, 3);
        if (!seen || !recovered)
            print_error("%s: %s\n", faults[i].name, seen ? "no recovery" : "status not seen");
        assert_true(seen && recovered);
        world_close(&world);
        fake_slave_stop(&slave);
    }
}

static void a_good_connection_is_kept(void **state) {
    (void)state;
    struct fake_slave slave;
    struct world world;
    fake_slave_tcp(&slave, 0, false, fake_good);
    world_open(&world, BUS_TCP, "127.0.0.1", slave.port);
    assert_true(run_until(&world, BUS_ANSWERED, 20));
    assert_int_equal(atomic_load(&slave.connections), 1);
    struct polled last;
    bus_fixture_last(&world.fixture, &last);
    assert_true(last.late_us < 50000 && last.took_us < 50000);
    world_close(&world);
    fake_slave_stop(&slave);
}

/* A converter with a line of 1200 baud behind it: a silence of 29.2 ms stands between two requests, though they are due each 20 ms. */
static void a_line_behind_a_converter_has_its_silence(void **state) {
    (void)state;
    struct fake_slave slave;
    struct world world;
    fake_slave_tcp(&slave, 0, true, fake_good);
    world_open_line(&world, "127.0.0.1", slave.port, 1200);
    assert_true(run_until(&world, BUS_ANSWERED, 1));
    unsigned requests = atomic_load(&slave.requests);
    int64_t begun_us = now_mono_us();
    assert_true(run_until(&world, BUS_ANSWERED, 20));
    int64_t took_us = now_mono_us() - begun_us;
    assert_int_equal(atomic_load(&slave.connections), 1);
    assert_true(took_us >= (int64_t)(atomic_load(&slave.requests) - requests) * 29000);
    world_close(&world);
    fake_slave_stop(&slave);
}

static void silence_makes_a_new_connection_after_three_requests(void **state) {
    (void)state;
    struct fake_slave slave;
    struct world world;
    fake_slave_tcp(&slave, 0, false, fake_silent);
    world_open(&world, BUS_TCP, "127.0.0.1", slave.port);
    assert_true(run_until(&world, BUS_TIMEOUT, 3));
    assert_int_equal(atomic_load(&slave.connections), 1);
    assert_true(run_until(&world, BUS_TIMEOUT, 1));
    assert_int_equal(atomic_load(&slave.connections), 2);
    assert_true(bus_fixture_traced(&world.fixture, "several requests in a row without an answer"));
    world_close(&world);
    fake_slave_stop(&slave);
}

static void refused_then_up(void **state) {
    (void)state;
    struct fake_slave slave;
    struct world world;
    fake_slave_tcp(&slave, 0, false, fake_good);
    uint16_t port = slave.port; /* free again in a moment, and not likely to be given to anyone else so soon */
    fake_slave_stop(&slave);
    int64_t opened_us = now_mono_us();
    world_open(&world, BUS_TCP, "127.0.0.1", port);
    assert_true(run_until(&world, BUS_DISCONNECTED, 1));
    assert_true(bus_fixture_traced(&world.fixture, "connection refused"));
    fake_slave_tcp(&slave, port, false, fake_good);
    run_for_ms(&world, 100);
    if (now_mono_us() - opened_us < 450000) /* the first pause is 500 ms: no endpoint is hammered */
        assert_int_equal(atomic_load(&slave.connections), 0);
    assert_true(run_until(&world, BUS_ANSWERED, 3));
    fake_slave_stop(&slave); /* and down again */
    assert_true(run_until(&world, BUS_DISCONNECTED, 1));
    fake_slave_tcp(&slave, port, false, fake_good);
    assert_true(run_until(&world, BUS_ANSWERED, 3));
    world_close(&world);
    fake_slave_stop(&slave);
}

/* Localhost is two addresses on most machines; the server has one of them. */
static void a_name_is_resolved_and_its_addresses_tried(void **state) {
    (void)state;
    struct fake_slave slave;
    struct world world;
    fake_slave_tcp(&slave, 0, false, fake_good);
    world_open(&world, BUS_TCP, "localhost", slave.port);
    assert_true(run_until(&world, BUS_ANSWERED, 3));
    world_close(&world);
    fake_slave_stop(&slave);
}

static void a_name_that_does_not_exist_is_told(void **state) {
    (void)state;
    struct world world;
    world_open(&world, BUS_TCP, "no-such-host.invalid", 502);
    assert_true(run_until(&world, BUS_DISCONNECTED, 1));
    world_close(&world);
}

static void closing_is_clean_in_every_state(void **state) {
    (void)state;
    struct fake_slave slave;
    struct world world;
    fake_slave_tcp(&slave, 0, false, fake_silent);
    world_open(&world, BUS_TCP, "localhost", slave.port); /* before anything */
    world_close(&world);
    world_open(&world, BUS_TCP, "localhost", slave.port); /* while resolving */
    uv_run(&world.loop, UV_RUN_ONCE);
    world_close(&world);
    world_open(&world, BUS_TCP, "127.0.0.1", slave.port); /* while connecting */
    uv_run(&world.loop, UV_RUN_ONCE);
    world_close(&world);
    world_open(&world, BUS_TCP, "127.0.0.1", slave.port); /* with a request under way */
    for (unsigned before = atomic_load(&slave.requests); atomic_load(&slave.requests) == before;)
        uv_run(&world.loop, UV_RUN_ONCE);
    world_close(&world);
    fake_slave_stop(&slave);
    world.closed = false;
    bus_tcp_close(NULL, on_closed, &world);
    assert_true(world.closed);
}

/* What the engine does: it judges a reply inside the sink, writes, and releases the line. */
static void write_and_release(void *context, const struct polled *polled) {
    struct world *world = context;
    if (!polled->holds)
        return;
    struct write_command write = {.id = 1, .device = 0, .point = 1, .value = 1};
    world->posted += bus_tcp_write(world->bus, &write) == ERR_OK;
    bus_tcp_release(world->bus);
}

static void a_sink_may_write_and_release(void **state) {
    (void)state;
    struct fake_slave slave;
    struct world world;
    fake_slave_tcp(&slave, 0, false, fake_good);
    memset(&world, 0, sizeof(world));
    world.fixture.feeds_action = true;
    world.fixture.hook = write_and_release;
    world.fixture.hook_context = &world;
    world_start(&world, BUS_TCP, "127.0.0.1", slave.port);
    assert_true(run_until(&world, BUS_ANSWERED, 10));
    assert_true(world.posted >= 9);
    assert_true(bus_fixture_written(&world.fixture, true) + 1 >= world.posted);
    world_close(&world);
    fake_slave_stop(&slave);
}

static void writes_go_out_and_are_limited(void **state) {
    (void)state;
    struct fake_slave slave;
    struct world world;
    unsigned accepted = 0;
    fake_slave_tcp(&slave, 0, false, fake_good);
    world_open(&world, BUS_TCP, "127.0.0.1", slave.port);
    for (uint32_t id = 0; id < 2 * WRITES_PENDING_MAX; id++) { /* some before the poller was even started */
        struct write_command write = {.id = id, .device = 0, .point = 1, .value = id % 2};
        accepted += bus_tcp_write(world.bus, &write) == ERR_OK;
    }
    assert_int_equal(accepted, WRITES_PENDING_MAX);
    for (int64_t until_us = now_mono_us() + PATIENCE_MS * INT64_C(1000);
         bus_fixture_written(&world.fixture, true) < accepted && now_mono_us() < until_us;)
        uv_run(&world.loop, UV_RUN_ONCE);
    assert_int_equal(bus_fixture_written(&world.fixture, true), accepted);
    bus_tcp_release(world.bus); /* nothing is held: harmless */
    assert_true(run_until(&world, BUS_ANSWERED, 3));
    world_close(&world);
    fake_slave_stop(&slave);
}

/* An endpoint that refuses, closes or says nothing is tried at its pace, and costs next to nothing meanwhile. */
static void no_fault_makes_a_busy_loop(void **state) {
    (void)state;
    static fake_script *const scripts[] = {closes, fake_silent, no_frame, NULL}; /* NULL: nobody listens */
    for (size_t i = 0; i < ARRAY_COUNT(scripts); i++) {
        struct fake_slave slave;
        struct world world;
        struct rusage before, after;
        fake_slave_tcp(&slave, 0, false, scripts[i]);
        if (!scripts[i])
            fake_slave_stop(&slave);
        world_open(&world, BUS_TCP, "127.0.0.1", slave.port);
        run_for_ms(&world, 100);
        unsigned connections = atomic_load(&slave.connections);
        getrusage(RUSAGE_SELF, &before);
        run_for_ms(&world, 600);
        getrusage(RUSAGE_SELF, &after);
        int64_t cpu_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) * INT64_C(1000000) +
                         (after.ru_utime.tv_usec - before.ru_utime.tv_usec) + (after.ru_stime.tv_usec - before.ru_stime.tv_usec);
        assert_true(cpu_us < 300000);
        assert_true(atomic_load(&slave.connections) - connections <= 600 / FIXTURE_PERIOD_MS);
        world_close(&world);
        fake_slave_stop(&slave);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_has_its_status_and_passes),
        cmocka_unit_test(a_good_connection_is_kept),
        cmocka_unit_test(a_line_behind_a_converter_has_its_silence),
        cmocka_unit_test(silence_makes_a_new_connection_after_three_requests),
        cmocka_unit_test(refused_then_up),
        cmocka_unit_test(a_name_is_resolved_and_its_addresses_tried),
        cmocka_unit_test(a_name_that_does_not_exist_is_told),
        cmocka_unit_test(closing_is_clean_in_every_state),
        cmocka_unit_test(a_sink_may_write_and_release),
        cmocka_unit_test(writes_go_out_and_are_limited),
        cmocka_unit_test(no_fault_makes_a_busy_loop),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
