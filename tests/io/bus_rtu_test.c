/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line's thread on a pty: how it takes a port that is missing, in use, unplugged and back, without ever spinning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <unistd.h>

#include "bus_fixture.h"
#include "fake_slave.h"
#include "sensors/bus_rtu.h"

#define BAUD 19200
#define PATIENCE_MS 8000 /* longest wait for something that must happen; nothing waits this long when all is well */

struct port {
    char folder[32], path[64];
};

/* The configured name is a link, as under /dev/serial/by-id, so that the port can go and come. */
static void port_name(struct port *port) {
    strcpy(port->folder, "/tmp/bus-rtu-XXXXXX");
    assert_non_null(mkdtemp(port->folder));
    assert_true(snprintf(port->path, sizeof(port->path), "%s/port", port->folder) > 0);
}

static void port_gone(struct port *port) {
    unlink(port->path);
    rmdir(port->folder);
}

static void fixture_init(struct bus_fixture *fixture, const char *path) {
    memset(fixture, 0, sizeof(*fixture));
    fixture->spec = (struct bus_spec){.name = "shed", .kind = BUS_SERIAL, .serial = path, .baud = BAUD, .parity = PARITY_EVEN, .stop_bits = 1};
    bus_fixture_init(fixture);
}

/* Waits until more than `above` polls ended with `status`, or good values came when it is BUS_ANSWERED. */
static bool wait_for(struct bus_fixture *fixture, enum bus_status status, unsigned above) {
    for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 5) {
        if ((status == BUS_ANSWERED ? bus_fixture_good(fixture) : bus_fixture_count(fixture, status)) > above)
            return true;
        fake_pause_ms(5);
    }
    return false;
}

static bool wait_for_trace(struct bus_fixture *fixture, const char *text) {
    for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 5) {
        if (bus_fixture_traced(fixture, text))
            return true;
        fake_pause_ms(5);
    }
    return false;
}

static int64_t cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * (int64_t)1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void polls_writes_and_closes(void **state) {
    (void)state;
    struct fake_slave slave;
    struct bus_fixture fixture;
    struct bus_rtu *bus;
    fake_slave_pty(&slave, fake_good);
    fixture_init(&fixture, slave.path);
    assert_int_equal(bus_rtu_open(&fixture.spec, fixture.poller, &fixture.trace, &fixture.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    assert_true(wait_for(&fixture, BUS_ANSWERED, 20));
    unsigned accepted = 0, refused = 0;
    for (uint32_t id = 0; id < 3 * WRITES_PENDING_MAX; id++) {
        struct write_command write = {.id = id, .device = 0, .point = 1, .value = id % 2};
        enum err err = bus_rtu_write(bus, &write);
        accepted += err == ERR_OK;
        refused += err == ERR_FULL;
    }
    assert_int_equal(accepted + refused, 3 * WRITES_PENDING_MAX);
    assert_true(accepted >= WRITES_PENDING_MAX && refused > 0); /* posting is faster than any line */
    for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS && bus_fixture_written(&fixture, true) < accepted; waited_ms += 5)
        fake_pause_ms(5);
    assert_int_equal(bus_fixture_written(&fixture, true), accepted);
    bus_rtu_release(bus); /* nothing is held: harmless */
    assert_true(bus_rtu_idle_us(bus) < 2000000);
    assert_true(bus_fixture_traced(&fixture, "19200 baud, 11 bits"));
    bus_rtu_close(bus);
    assert_int_equal(bus_fixture_wrong(&fixture), 0);
    bus_fixture_done(&fixture);
    fake_slave_stop(&slave);
    bus_rtu_close(NULL);
}

static atomic_uint first_function;

static bool note_first(struct fake_slave *slave, const uint8_t *request, size_t request_size, const uint8_t *good, size_t good_size) {
    if (atomic_load(&first_function) == 0 && request[0] == 5) /* what the port asks when it opens is for nobody */
        atomic_store(&first_function, request[1]);
    return fake_good(slave, request, request_size, good, good_size);
}

/* What a local action holds over a restart is posted before the line is started, and is the first thing on the wire. */
static void what_was_posted_before_the_start_goes_first(void **state) {
    (void)state;
    struct fake_slave slave;
    struct bus_fixture fixture;
    struct bus_rtu *bus;
    struct write_command write = {.id = 1, .device = 0, .point = 1, .value = 1};
    fake_slave_pty(&slave, note_first);
    fixture_init(&fixture, slave.path);
    assert_int_equal(bus_rtu_open(&fixture.spec, fixture.poller, &fixture.trace, &fixture.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_write(bus, &write), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    assert_true(wait_for(&fixture, BUS_ANSWERED, 3));
    assert_int_equal(atomic_load(&first_function), FC_WRITE_COIL);
    bus_rtu_close(bus);
    assert_int_equal(bus_fixture_written(&fixture, true), 1);
    bus_fixture_done(&fixture);
    assert_int_equal(bus_rtu_open(&fixture.spec, NULL, &fixture.trace, &fixture.sink, &bus), ERR_OK);
    bus_rtu_close(bus); /* one that never was started ends too */
    fake_slave_stop(&slave);
}

/* A held line takes writes, goes on when released, and goes on by itself when nobody releases it. */
static void a_held_line_takes_writes_and_is_released(void **state) {
    (void)state;
    struct fake_slave slave;
    struct bus_fixture fixture;
    struct bus_rtu *bus;
    unsigned posted = 0;
    fake_slave_pty(&slave, fake_good);
    memset(&fixture, 0, sizeof(fixture));
    fixture.feeds_action = true;
    fixture.spec = (struct bus_spec){.name = "shed", .kind = BUS_SERIAL, .serial = slave.path, .baud = BAUD, .parity = PARITY_EVEN, .stop_bits = 1};
    bus_fixture_init(&fixture);
    assert_int_equal(bus_rtu_open(&fixture.spec, fixture.poller, &fixture.trace, &fixture.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    for (unsigned round = 0; round < 10; round++) {
        assert_true(wait_for(&fixture, BUS_ANSWERED, bus_fixture_good(&fixture)));
        struct write_command write = {.id = round, .device = 0, .point = 1, .value = 1};
        posted += bus_rtu_write(bus, &write) == ERR_OK;
        bus_rtu_release(bus);
    }
    assert_true(wait_for(&fixture, BUS_ANSWERED, bus_fixture_good(&fixture) + 3)); /* not released: the hold ends */
    bus_rtu_close(bus);
    assert_int_equal(bus_fixture_written(&fixture, true), posted);
    bus_fixture_done(&fixture);
    fake_slave_stop(&slave);
}

/* A read is under way to which nothing comes: the write wakes the line's thread and goes out at once, the read is
 * made again, and the line goes on. */
static void a_write_does_not_wait_for_silence(void **state) {
    (void)state;
    struct fake_slave slave;
    struct bus_fixture fixture;
    struct bus_rtu *bus;
    fake_slave_pty(&slave, fake_good);
    memset(&fixture, 0, sizeof(fixture));
    fixture.timeout_ms = 600;
    fixture.spec = (struct bus_spec){.name = "shed", .kind = BUS_SERIAL, .serial = slave.path, .baud = BAUD, .parity = PARITY_EVEN, .stop_bits = 1};
    bus_fixture_init(&fixture);
    assert_int_equal(bus_rtu_open(&fixture.spec, fixture.poller, &fixture.trace, &fixture.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    assert_true(wait_for(&fixture, BUS_ANSWERED, 10));
    for (uint32_t round = 0; round < 3; round++) {
        struct write_command write = {.id = round, .device = 0, .point = 1, .value = 1};
        atomic_store(&slave.script, fake_only_writes);
        fake_pause_ms(100);
        unsigned timeouts = bus_fixture_count(&fixture, BUS_TIMEOUT), good = bus_fixture_good(&fixture);
        int64_t posted_us = now_mono_us();
        assert_int_equal(bus_rtu_write(bus, &write), ERR_OK);
        while (bus_fixture_written(&fixture, true) == round && now_mono_us() < posted_us + 400000)
            fake_pause_ms(1);
        assert_int_equal(bus_fixture_written(&fixture, true), round + 1);
        assert_int_equal(bus_fixture_count(&fixture, BUS_TIMEOUT), timeouts); /* no miss: the read is made again */
        atomic_store(&slave.script, fake_good);
        assert_true(wait_for(&fixture, BUS_ANSWERED, good + 3));
    }
    bus_rtu_close(bus);
    assert_true(poller_counters(fixture.poller)->cuts >= 3);
    assert_int_equal(bus_fixture_wrong(&fixture), 0);
    bus_fixture_done(&fixture);
    fake_slave_stop(&slave);
}

/* Missing at start, plugged in, pulled out under load, plugged in again: each time polls go on, and nobody spins. */
static void a_port_may_go_and_come_back(void **state) {
    (void)state;
    struct port port;
    struct fake_slave slave;
    struct bus_fixture fixture;
    struct bus_rtu *bus;
    port_name(&port);
    fixture_init(&fixture, port.path);
    assert_int_equal(bus_rtu_open(&fixture.spec, fixture.poller, &fixture.trace, &fixture.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    assert_true(wait_for(&fixture, BUS_DISCONNECTED, 0));
    assert_true(bus_fixture_traced(&fixture, "is the adapter plugged in?"));
    for (int round = 0; round < 2; round++) {
        unsigned good = bus_fixture_good(&fixture);
        fake_slave_pty(&slave, fake_good);
        assert_int_equal(symlink(slave.path, port.path), 0);
        assert_true(wait_for(&fixture, BUS_ANSWERED, good + 5));
        unsigned disconnected = bus_fixture_count(&fixture, BUS_DISCONNECTED);
        unlink(port.path);
        fake_slave_stop(&slave);
        assert_true(wait_for(&fixture, BUS_DISCONNECTED, disconnected));
        int64_t before_us = cpu_us();
        fake_pause_ms(300);
        assert_true(cpu_us() - before_us < 150000); /* a hung-up port is always ready: the loop must not spin on it */
    }
    assert_int_equal(bus_fixture_wrong(&fixture), 0);
    bus_rtu_close(bus);
    bus_fixture_done(&fixture);
    port_gone(&port);
}

static void an_idle_line_notices_the_hang_up_and_does_not_spin(void **state) {
    (void)state;
    struct fake_slave slave;
    struct bus_fixture fixture;
    struct bus_rtu *bus;
    fake_slave_pty(&slave, fake_good);
    memset(&fixture, 0, sizeof(fixture));
    fixture.every_ms = 3600000;
    fixture.spec = (struct bus_spec){.name = "shed", .kind = BUS_SERIAL, .serial = slave.path, .baud = BAUD, .parity = PARITY_ODD, .stop_bits = 2};
    bus_fixture_init(&fixture);
    assert_int_equal(bus_rtu_open(&fixture.spec, fixture.poller, &fixture.trace, &fixture.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    assert_true(wait_for_trace(&fixture, "12 bits a character"));
    fake_pause_ms(50);
    int64_t before_us = cpu_us();
    fake_pause_ms(300);
    assert_true(cpu_us() - before_us < 150000);
    fake_slave_stop(&slave);
    assert_true(wait_for_trace(&fixture, "was the adapter unplugged?"));
    bus_rtu_close(bus);
    bus_fixture_done(&fixture);
}

static void a_port_in_use_is_left_alone(void **state) {
    (void)state;
    struct fake_slave slave;
    struct bus_fixture first, second;
    struct bus_rtu *owner, *other;
    fake_slave_pty(&slave, fake_good);
    fixture_init(&first, slave.path);
    fixture_init(&second, slave.path);
    assert_int_equal(bus_rtu_open(&first.spec, first.poller, &first.trace, &first.sink, &owner), ERR_OK);
    assert_int_equal(bus_rtu_start(owner), ERR_OK);
    assert_true(wait_for(&first, BUS_ANSWERED, 0));
    assert_int_equal(bus_rtu_open(&second.spec, second.poller, &second.trace, &second.sink, &other), ERR_OK);
    assert_int_equal(bus_rtu_start(other), ERR_OK);
    assert_true(wait_for(&second, BUS_DISCONNECTED, 0));
    assert_true(bus_fixture_traced(&second, "another program or another bus has the port open"));
    assert_true(wait_for(&first, BUS_ANSWERED, bus_fixture_good(&first) + 3)); /* undisturbed */
    assert_int_equal(bus_fixture_good(&second), 0);
    bus_rtu_close(owner);
    assert_true(wait_for(&second, BUS_ANSWERED, 0)); /* free again: taken by itself */
    bus_rtu_close(other);
    bus_fixture_done(&first);
    bus_fixture_done(&second);
    fake_slave_stop(&slave);
}

/* libmodbus would run 14400 baud as 9600 without a word. */
static void a_speed_the_port_does_not_take_is_refused(void **state) {
    (void)state;
    struct fake_slave slave;
    struct bus_fixture fixture;
    struct bus_rtu *bus;
    fake_slave_pty(&slave, fake_good);
    fixture_init(&fixture, slave.path);
    fixture.spec.baud = 14400;
    assert_int_equal(bus_rtu_open(&fixture.spec, fixture.poller, &fixture.trace, &fixture.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    assert_true(wait_for(&fixture, BUS_DISCONNECTED, 0));
    assert_true(bus_fixture_traced(&fixture, "did not take the configured speed"));
    assert_int_equal(atomic_load(&slave.requests), 0);
    bus_rtu_close(bus);
    bus_fixture_done(&fixture);
    fake_slave_stop(&slave);
}

static void what_is_no_serial_port_is_refused(void **state) {
    (void)state;
    struct bus_fixture fixture;
    struct bus_rtu *bus;
    fixture_init(&fixture, "/dev/null");
    assert_int_equal(bus_rtu_open(&fixture.spec, fixture.poller, &fixture.trace, &fixture.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    assert_true(wait_for(&fixture, BUS_DISCONNECTED, 0));
    assert_true(bus_fixture_traced(&fixture, "not a serial port"));
    bus_rtu_close(bus);
    bus_fixture_done(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polls_writes_and_closes),
        cmocka_unit_test(what_was_posted_before_the_start_goes_first),
        cmocka_unit_test(a_held_line_takes_writes_and_is_released),
        cmocka_unit_test(a_port_may_go_and_come_back),
        cmocka_unit_test(an_idle_line_notices_the_hang_up_and_does_not_spin),
        cmocka_unit_test(a_port_in_use_is_left_alone),
        cmocka_unit_test(a_speed_the_port_does_not_take_is_refused),
        cmocka_unit_test(what_is_no_serial_port_is_refused),
        cmocka_unit_test(a_write_does_not_wait_for_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
