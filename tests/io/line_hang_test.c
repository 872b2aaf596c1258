/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line's thread that hangs in its driver: rtu_line_transact, wrapped by the linker, does not return until it is allowed to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

#include "bus_fixture.h"
#include "fake_slave.h"
#include "sensors/bus_rtu.h"
#include "sensors/rtu_line.h"

#define PATIENCE_MS 20000 /* longest wait for something that must happen */
#define MS INT64_C(1000)

static struct {
    atomic_int line, line_hung; /* how many transactions hang, have hung */
    atomic_bool line_freed;
} hooks_here, *hooks = &hooks_here;

void __real_rtu_line_transact(struct rtu_line *line, const struct bus_request *request, struct bus_answer *ret_answer);
void __wrap_rtu_line_transact(struct rtu_line *line, const struct bus_request *request, struct bus_answer *ret_answer);
void __wrap_rtu_line_transact(struct rtu_line *line, const struct bus_request *request, struct bus_answer *ret_answer) {
    if (atomic_load(&hooks->line) > 0) {
        atomic_fetch_sub(&hooks->line, 1);
        atomic_fetch_add(&hooks->line_hung, 1);
        while (!atomic_load(&hooks->line_freed))
            fake_pause_ms(1);
    }
    __real_rtu_line_transact(line, request, ret_answer);
}

static bool wait_count(struct bus_fixture *fixture, enum bus_status status, unsigned above) {
    for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 5, fake_pause_ms(5))
        if ((status == BUS_ANSWERED ? bus_fixture_good(fixture) : bus_fixture_count(fixture, status)) > above)
            return true;
    return false;
}

static void wait_hung(int count) {
    for (unsigned waited_ms = 0; atomic_load(&hooks->line_hung) < count; waited_ms += 5, fake_pause_ms(5))
        assert_true(waited_ms < PATIENCE_MS);
}

static void wait_abandoned(unsigned count) {
    for (unsigned waited_ms = 0; bus_rtu_abandoned() != count; waited_ms += 5, fake_pause_ms(5))
        assert_true(waited_ms < PATIENCE_MS);
}

/* No parity: a pty takes none, and setting it a second time without anything else would fail. */
static void line_init(struct bus_fixture *fixture, const char *path) {
    memset(fixture, 0, sizeof(*fixture));
    fixture->spec = (struct bus_spec){.name = "shed", .kind = BUS_SERIAL, .serial = path, .baud = 19200, .parity = PARITY_NONE, .stop_bits = 1};
    bus_fixture_init(fixture);
}

static void guest_answered(void *context, const struct guest_answer *answer) {
    *(struct guest_answer *)context = *answer;
}

static void a_hanging_thread_is_left_to_itself(void **state) {
    (void)state;
    struct fake_slave slave;
    static struct bus_fixture first, second;
    struct bus_rtu *bus;
    struct guest_answer guest = {.id = 0};
    const struct guest_sink guest_sink = {&guest, guest_answered};
    const struct guest_request request = {.id = 9, .unit_id = 1, .pdu = {.size = 5, .bytes = {3, 0, 0, 0, 1}}, .timeout_us = 10000};
    const struct write_command write = {.id = 5, .device = 0, .point = 1, .value = 1};
    fake_slave_pty(&slave, fake_good);
    line_init(&first, slave.path);
    line_init(&second, slave.path);
    assert_int_equal(bus_rtu_open(&first.spec, first.poller, &first.trace, &first.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    assert_true(wait_count(&first, BUS_ANSWERED, 3));
    atomic_store(&hooks->line, 1);
    wait_hung(1);
    assert_int_equal(bus_rtu_write(bus, &write), ERR_OK);
    assert_int_equal(bus_rtu_guest(bus, &request, &guest_sink), ERR_OK);
    fake_pause_ms(50);
    assert_true(bus_rtu_idle_us(bus) >= 50 * MS);
    assert_int_equal(bus_fixture_written(&first, false), 0);
    bus_rtu_abandon(bus);
    assert_int_equal(bus_rtu_abandoned(), 1);
    assert_int_equal(bus_fixture_written(&first, false), 1); /* whoever waits for it hears */
    assert_true(guest.id == 9 && guest.status == BUS_DISCONNECTED);
    unsigned polls = first.polls;
    assert_int_equal(bus_rtu_open(&second.spec, second.poller, &second.trace, &second.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    assert_true(wait_count(&second, BUS_ANSWERED, 3)); /* its port was not locked */
    assert_int_equal(bus_fixture_count(&second, BUS_DISCONNECTED), 0);
    atomic_store(&hooks->line_freed, true);
    wait_abandoned(0);
    assert_int_equal(first.polls, polls);
    assert_int_equal(bus_fixture_written(&first, true) + bus_fixture_written(&first, false), 1);
    unsigned good = bus_fixture_good(&second);
    assert_true(wait_count(&second, BUS_ANSWERED, good + 3));
    assert_int_equal(bus_fixture_wrong(&second), 0);
    bus_rtu_close(bus);
    fake_slave_stop(&slave);
    bus_fixture_done(&first);
    bus_fixture_done(&second);
}

static void a_stop_does_not_wait_for_it(void **state) {
    (void)state;
    struct fake_slave slave;
    static struct bus_fixture fixture;
    struct bus_rtu *bus;
    atomic_store(&hooks->line_freed, false);
    atomic_store(&hooks->line_hung, 0);
    fake_slave_pty(&slave, fake_good);
    line_init(&fixture, slave.path);
    atomic_store(&hooks->line, 1);
    assert_int_equal(bus_rtu_open(&fixture.spec, fixture.poller, &fixture.trace, &fixture.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    wait_hung(1);
    int64_t begun_us = now_mono_us();
    bus_rtu_close(bus);
    assert_true(now_mono_us() - begun_us <= BUS_RTU_CLOSE_US + 2000 * MS);
    assert_int_equal(bus_rtu_abandoned(), 1);
    atomic_store(&hooks->line_freed, true);
    wait_abandoned(0);
    fake_slave_stop(&slave);
    bus_fixture_done(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hanging_thread_is_left_to_itself),
        cmocka_unit_test(a_stop_does_not_wait_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
