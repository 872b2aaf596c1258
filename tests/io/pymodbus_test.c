/* SPDX-License-Identifier: Apache-2.0 */
/* Proof by a Modbus server that is not ours: every data type in every order, coils, discrete inputs, input registers, scale,
 * bit field, error value and exception are read from Debian's python3-pymodbus by the real poller, over TCP and over a pair
 * of ptys. The layout is written down a second time in pymodbus_server.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <uv.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/text.h"
#include "sensors/bus_rtu.h"
#include "sensors/bus_tcp.h"
#include "sensors/decode.h"

#define PATIENCE_MS 20000 /* Python starts slowly on a busy machine; nothing waits this long when all is well */
#define FIRST 100
#define STRIDE 4
#define TYPES 10
#define POINTS (TYPES * 4 + 8)

struct expected {
    enum point_type type;
    uint8_t registers;
    struct value value;
};

static const struct expected expected_types[TYPES] = {
    {TYPE_U16, 1, {.kind = VALUE_INTEGER, .integer = 54321}},
    {TYPE_S16, 1, {.kind = VALUE_INTEGER, .integer = -12345}},
    {TYPE_U32, 2, {.kind = VALUE_INTEGER, .integer = 3000000000}},
    {TYPE_S32, 2, {.kind = VALUE_INTEGER, .integer = -2000000000}},
    {TYPE_U64, 4, {.kind = VALUE_UNSIGNED, .whole = 0xFEDCBA9876543210}},
    {TYPE_S64, 4, {.kind = VALUE_INTEGER, .integer = -81985529216486895}},
    {TYPE_F32, 2, {.kind = VALUE_NUMBER, .number = 1234.5}},
    {TYPE_F64, 4, {.kind = VALUE_NUMBER, .number = -0.1}},
    {TYPE_STRING, 4, {.kind = VALUE_TEXT, .text = "Yanhuo-7"}},
    {TYPE_BCD, 2, {.kind = VALUE_INTEGER, .integer = 12345678}},
};

/* The device: what is read and what must come of it. */
struct device_under_test {
    struct point points[POINTS];
    struct reading readings[POINTS]; /* expected */
    struct device_spec spec;
};

static void add(struct device_under_test *device, const char *name, enum point_read read, uint16_t address, enum point_type type, uint8_t registers,
                struct value value) {
    uint16_t index = device->spec.points_count++;
    assert_true(index < POINTS);
    device->points[index] = (struct point){.name = name,
                                           .unit = "",
                                           .read = read,
                                           .address = address,
                                           .type = type,
                                           .registers = registers,
                                           .scale = 1,
                                           .every_ms = 200,
                                           .class = CLASS_MAINTENANCE};
    device->readings[index] = (struct reading){.point = index, .quality = QUALITY_GOOD, .value = value};
}

static struct value whole(int64_t integer) {
    return (struct value){.kind = VALUE_INTEGER, .integer = integer};
}

static void device_build(struct device_under_test *device) {
    memset(device, 0, sizeof(*device));
    device->spec = (struct device_spec){
        .name = "pymodbus", .unit_id = 1, .timeout_ms = 1000, .registers_max = REGISTERS_READ_MAX, .gaps_allowed = true, .points = device->points};
    for (uint16_t type = 0; type < TYPES; type++)
        for (uint16_t order = 0; order < 4; order++) {
            const struct expected *expected = &expected_types[type];
            add(device, "typed", READ_HOLDING, (uint16_t)(FIRST + (type * 4 + order) * STRIDE), expected->type, expected->registers, expected->value);
            device->points[device->spec.points_count - 1].order = (enum point_order)order;
        }
    add(device, "coil on", READ_COIL, 10, TYPE_BIT, 1, whole(1));
    add(device, "coil off", READ_COIL, 11, TYPE_BIT, 1, whole(0));
    add(device, "discrete", READ_DISCRETE, 20, TYPE_BIT, 1, whole(1));
    add(device, "input", READ_INPUT, 30, TYPE_U16, 1, whole(777));
    add(device, "field", READ_HOLDING, 50, TYPE_U16, 1, whole(13));
    struct point *field = &device->points[device->spec.points_count - 1];
    field->bit_field = true;
    field->bit_first = 10;
    field->bit_count = 4;
    add(device, "tenths", READ_HOLDING, 60, TYPE_S16, 1, (struct value){.kind = VALUE_NUMBER, .number = -12.3});
    device->points[device->spec.points_count - 1].scale = 0.1;
    add(device, "error value", READ_HOLDING, 61, TYPE_U16, 1, (struct value){.kind = VALUE_NONE});
    struct point *failing = &device->points[device->spec.points_count - 1];
    failing->error_values_count = 1;
    failing->error_values[0] = 0x7FFF;
    device->readings[device->spec.points_count - 1].quality = QUALITY_BAD;
    device->readings[device->spec.points_count - 1].reason = REASON_ERROR_VALUE;
    add(device, "no such register", READ_HOLDING, 9999, TYPE_U16, 1, (struct value){.kind = VALUE_NONE});
    device->readings[device->spec.points_count - 1].quality = QUALITY_BAD;
    device->readings[device->spec.points_count - 1].reason = REASON_EXCEPTION;
    assert_int_equal(device->spec.points_count, POINTS);
}

/* What came out ---------------------------------------------------------------------------------------------------------- */

struct collected {
    pthread_mutex_t mutex;
    unsigned answered, seen_count;
    bool seen[POINTS];
    struct reading readings[POINTS];
};

static void on_polled(void *context, const struct polled *polled) {
    struct collected *collected = context;
    if (polled->status != BUS_ANSWERED) /* it may not have opened its port yet */
        return;
    pthread_mutex_lock(&collected->mutex);
    collected->answered++;
    for (uint16_t i = 0; i < polled->count; i++) {
        uint16_t point = polled->readings[i].point;
        collected->seen_count += !collected->seen[point];
        collected->seen[point] = true;
        collected->readings[point] = polled->readings[i];
    }
    pthread_mutex_unlock(&collected->mutex);
}

static void on_written(void *context, const struct written *written) {
    (void)context;
    (void)written;
}

static void on_traced(void *context, const struct trace_line *line) {
    (void)context;
    (void)line;
}

/* Everything seen, and once more: the second round comes over a connection in use. */
static bool complete(struct collected *collected, unsigned requests) {
    pthread_mutex_lock(&collected->mutex);
    bool done = collected->seen_count == POINTS && collected->answered >= 2 * requests;
    pthread_mutex_unlock(&collected->mutex);
    return done;
}

static void compare(const struct device_under_test *device, const struct collected *collected) {
    for (uint16_t i = 0; i < POINTS; i++) {
        const struct reading *got = &collected->readings[i], *expected = &device->readings[i];
        const struct point *point = &device->points[i];
        double number, wanted;
        bool same = got->quality == expected->quality && got->reason == expected->reason && got->value.kind == expected->value.kind;
        if (same && expected->value.kind == VALUE_NUMBER && value_number(&got->value, &number) && value_number(&expected->value, &wanted))
            same = number - wanted < 1e-9 && wanted - number < 1e-9;
        else if (same && expected->value.kind == VALUE_TEXT)
            same = !strcmp(got->value.text, expected->value.text);
        else if (same && expected->value.kind != VALUE_NONE)
            same = got->value.whole == expected->value.whole;
        if (!collected->seen[i] || !same)
            print_error("point %u (%s) type %d order %d: seen %d quality %d reason %d kind %d\n", i, point->name, (int)point->type, (int)point->order,
                        collected->seen[i], got->quality, got->reason, (int)got->value.kind);
        assert_true(collected->seen[i] && same);
    }
}

/* The server ------------------------------------------------------------------------------------------------------------- */

struct server {
    pid_t pid;
    char where[64]; /* the port it serves */
};

/* Reads the line "ready ..."; false when the server ended without it. */
static bool read_ready(int fd, char *line, size_t size) {
    size_t length = 0;
    while (length + 1 < size) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, PATIENCE_MS) <= 0 || read(fd, line + length, 1) != 1)
            break;
        if (line[length] == '\n')
            break;
        length++;
    }
    line[length] = '\0';
    return !strncmp(line, "ready ", 6);
}

/* False: not installed, the test is to be skipped. The system's own Python: it has the packages. */
static bool server_start(struct server *server, const char *kind, const char *port) {
    int out[2];
    char line[256];
    assert_int_equal(pipe(out), 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failing test leaves no server behind */
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl("/usr/bin/python3", "python3", "-B", TESTS_DIR "/io/pymodbus_server.py", kind, port, (char *)NULL);
        _exit(77);
    }
    close(out[1]);
    bool ready = read_ready(out[0], line, sizeof(line));
    close(out[0]);
    if (ready) {
        assert_true(text_copy(server->where, sizeof(server->where), line + 6));
        return true;
    }
    int status = 0;
    kill(server->pid, SIGTERM);
    waitpid(server->pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("skipped: install python3-pymodbus, python3-serial and python3-serial-asyncio (%s)\n", line);
        return false;
    }
    fail_msg("pymodbus_server.py %s did not start: %s", kind, line);
    return false;
}

static void server_stop(struct server *server) {
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

/* Both roads ------------------------------------------------------------------------------------------------------------- */

struct rig {
    struct device_under_test device;
    struct collected collected;
    struct arena arena;
    struct trace trace;
    struct poller *poller;
    struct bus_sink sink;
    struct plan plan;
};

static void rig_build(struct rig *rig, const struct bus_spec *bus) {
    const struct device_spec *devices[1] = {&rig->device.spec};
    memset(rig, 0, sizeof(*rig));
    device_build(&rig->device);
    pthread_mutex_init(&rig->collected.mutex, NULL);
    arena_init(&rig->arena);
    trace_init(&rig->trace);
    rig->sink = (struct bus_sink){&rig->collected, on_polled, on_written, on_traced};
    assert_int_equal(poller_create(bus, devices, 1, &rig->arena, &rig->trace, &rig->poller), ERR_OK);
    struct line_timing line = bus_line_timing(bus);
    assert_int_equal(plan_build(&rig->device.spec, bus->kind == BUS_SERIAL ? &line : NULL, &rig->arena, &rig->plan), ERR_OK);
    assert_true(rig->plan.count >= 4 && rig->plan.count < POINTS); /* merged */
}

static void rig_finish(struct rig *rig) {
    compare(&rig->device, &rig->collected);
    arena_done(&rig->arena);
    pthread_mutex_destroy(&rig->collected.mutex);
}

static void on_look(uv_timer_t *timer) {
    (void)timer;
}

static void reads_every_type_over_tcp(void **state) {
    (void)state;
    struct server server;
    static struct rig rig;
    struct bus_tcp *bus;
    uv_loop_t loop;
    uv_timer_t look;
    uint64_t port;
    if (!server_start(&server, "tcp", NULL))
        skip();
    assert_true(text_read_u64(server.where, &port));
    struct bus_spec spec = {.name = "kit", .kind = BUS_TCP, .host = "127.0.0.1", .port = (uint16_t)port, .connect_timeout_ms = 2000};
    rig_build(&rig, &spec);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_timer_init(&loop, &look), 0);
    assert_int_equal(uv_timer_start(&look, on_look, 10, 10), 0);
    assert_int_equal(bus_tcp_open(&loop, &spec, rig.poller, &rig.trace, &rig.sink, &bus), ERR_OK);
    for (int64_t until_us = now_mono_us() + PATIENCE_MS * INT64_C(1000); !complete(&rig.collected, rig.plan.count) && now_mono_us() < until_us;)
        uv_run(&loop, UV_RUN_ONCE);
    bus_tcp_close(bus, NULL, NULL);
    uv_close((uv_handle_t *)&look, NULL);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    server_stop(&server);
    assert_true(complete(&rig.collected, rig.plan.count));
    rig_finish(&rig);
}

/* Two ptys whose masters are joined: what one end sends, the other receives. */
struct cable {
    int masters[2], ends[2];
    char paths[2][64];
    pthread_t thread;
    atomic_bool stopping;
};

static void *carry(void *context) {
    struct cable *cable = context;
    while (!atomic_load(&cable->stopping)) {
        struct pollfd fds[2] = {{.fd = cable->masters[0], .events = POLLIN}, {.fd = cable->masters[1], .events = POLLIN}};
        if (poll(fds, 2, 10) <= 0)
            continue;
        for (int i = 0; i < 2; i++) {
            char bytes[256];
            ssize_t size = fds[i].revents & POLLIN ? read(cable->masters[i], bytes, sizeof(bytes)) : 0;
            if (size > 0)
                CHECK(write(cable->masters[1 - i], bytes, (size_t)size) == size);
        }
    }
    return NULL;
}

static void cable_open(struct cable *cable) {
    struct termios raw;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(openpty(&cable->masters[i], &cable->ends[i], cable->paths[i], NULL, NULL), 0);
        assert_int_equal(tcgetattr(cable->ends[i], &raw), 0);
        cfmakeraw(&raw);
        assert_int_equal(tcsetattr(cable->ends[i], TCSANOW, &raw), 0);
    }
    atomic_init(&cable->stopping, false);
    assert_int_equal(pthread_create(&cable->thread, NULL, carry, cable), 0);
}

static void cable_close(struct cable *cable) {
    atomic_store(&cable->stopping, true);
    pthread_join(cable->thread, NULL);
    for (int i = 0; i < 2; i++) {
        close(cable->ends[i]);
        close(cable->masters[i]);
    }
}

static void reads_every_type_over_a_serial_line(void **state) {
    (void)state;
    struct server server;
    struct cable cable;
    static struct rig rig;
    struct bus_rtu *bus;
    cable_open(&cable);
    if (!server_start(&server, "rtu", cable.paths[1])) {
        cable_close(&cable);
        skip();
    }
    struct bus_spec spec = {.name = "shed", .kind = BUS_SERIAL, .serial = cable.paths[0], .baud = 19200, .parity = PARITY_NONE, .stop_bits = 1};
    rig_build(&rig, &spec);
    assert_int_equal(bus_rtu_open(&spec, rig.poller, &rig.trace, &rig.sink, &bus), ERR_OK);
    assert_int_equal(bus_rtu_start(bus), ERR_OK);
    for (int64_t until_us = now_mono_us() + PATIENCE_MS * INT64_C(1000); !complete(&rig.collected, rig.plan.count) && now_mono_us() < until_us;)
        poll(NULL, 0, 10);
    bus_rtu_close(bus);
    server_stop(&server);
    cable_close(&cable);
    assert_true(complete(&rig.collected, rig.plan.count));
    rig_finish(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type_over_tcp),
        cmocka_unit_test(reads_every_type_over_a_serial_line),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
