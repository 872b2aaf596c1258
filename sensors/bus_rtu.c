/* SPDX-License-Identifier: Apache-2.0 */
/* The shell of a serial line. libmodbus is used to open and configure the port (modbus_new_rtu, modbus_connect,
 * modbus_get_socket, modbus_close) and for nothing else: its receive side cannot resynchronise, leaves no silence between
 * frames and reads with select(). Frames come from frame.c, the transaction from rtu_line.c.
 *
 * The thread, until `stopping`:
 *   mailbox   writes, then RELEASE, as the loop posted them             -> poller_step
 *   request   if one is under way: transaction (or DISCONNECTED)         -> poller_step(ANSWERED)
 *   due       if poller_next_wake has passed                             -> poller_step(TICK)
 *   wait      on the mailbox and the port's hang-up, until the next wake, the next try to open, or one second
 *
 * The port:   CLOSED --(retry_us reached, opened, locked, its speed read back)--> OPEN --(hang-up, EIO)--> CLOSED
 *   The pause before the next try grows from 0.5 s to 10 s and starts anew when a device has answered. Requests meanwhile
 *   are answered BUS_DISCONNECTED at once, so a missing port costs no more than its polls. Each reason is traced once.
 *
 * Shared with the loop's thread under `mutex`: the mailbox, `writes_open`, `progress_us`, `stopping`. All else is the thread's. */
#include "sensors/bus_rtu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <modbus.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"
#include "sensors/rtu_line.h"

#define REOPEN_MIN_US 500000
#define REOPEN_MAX_US 10000000
#define WAIT_MAX_US 1000000 /* so that an idle line still shows progress to the watchdog */

struct bus_rtu {
    const struct bus_spec *spec;
    struct poller *poller;
    struct trace *trace;
    struct bus_sink sink;
    pthread_t thread;
    int wake_fd; /* eventfd: something is in the mailbox */

    pthread_mutex_t mutex;
    struct write_command writes[WRITES_PENDING_MAX];
    unsigned writes_count; /* in the mailbox */
    unsigned writes_open;  /* posted and not yet reported as written; at most WRITES_PENDING_MAX */
    bool released, stopping;
    int64_t progress_us;

    modbus_t *modbus; /* NULL: the port is closed */
    int lock_fd;
    int64_t retry_us, pause_us;
    int told_error; /* the reason traced last */
    struct rtu_line line;
    bool has_request;
    struct bus_request request;
    struct bus_answer answer;
    struct poller_effects effects;
};

struct speed {
    uint32_t baud;
    speed_t code;
};

/* What termios can set. libmodbus takes any other number silently for 9600. */
static bool speed_find(uint32_t baud, speed_t *ret_code) {
    static const struct speed speeds[] = {{300, B300},       {600, B600},       {1200, B1200},     {2400, B2400},
                                          {4800, B4800},     {9600, B9600},     {19200, B19200},   {38400, B38400},
                                          {57600, B57600},   {115200, B115200}, {230400, B230400}, {460800, B460800},
                                          {500000, B500000}, {576000, B576000}, {921600, B921600}, {1000000, B1000000}};
    for (size_t i = 0; i < ARRAY_COUNT(speeds); i++)
        if (speeds[i].baud == baud) {
            *ret_code = speeds[i].code;
            return true;
        }
    return false;
}

static const char *advice(int os_error) {
    switch (os_error) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
        return "is the adapter plugged in? /dev/serial/by-id lists what is";
    case EACCES:
    case EPERM:
        return "the gateway's user must be in the group dialout";
    case EBUSY:
        return "another program or another bus has the port open; fuser names it";
    case EINVAL:
        return "the port did not take the configured speed; choose a common one such as 9600 or 19200";
    case EIO:
        return "the port hung up; was the adapter unplugged?";
    case ENOTTY:
        return "this is not a serial port";
    default:
        return "see the kernel's log";
    }
}

static void port_close(struct bus_rtu *bus) {
    if (bus->modbus) {
        if (modbus_get_socket(bus->modbus) >= 0)
            (void)ioctl(modbus_get_socket(bus->modbus), TIOCNXCL); /* others may hold it open, as both ends of a pty are in a test */
        modbus_close(bus->modbus);
        modbus_free(bus->modbus);
        bus->modbus = NULL;
    }
    if (bus->lock_fd >= 0)
        close(bus->lock_fd);
    bus->lock_fd = -1;
}

static void low_latency_ask(int fd) {
    struct serial_struct serial;
    if (ioctl(fd, TIOCGSERIAL, &serial) == 0 && !(serial.flags & ASYNC_LOW_LATENCY)) {
        serial.flags |= ASYNC_LOW_LATENCY;
        (void)ioctl(fd, TIOCSSERIAL, &serial); /* only some drivers have it; without it the line is slower, not wrong */
    }
}

/* Locks the port before anything is changed on it, opens it with libmodbus and reads its speed back. 0 or an errno. */
static int port_open(struct bus_rtu *bus) {
    const struct bus_spec *spec = bus->spec;
    static const char parities[] = {[PARITY_NONE] = 'N', [PARITY_EVEN] = 'E', [PARITY_ODD] = 'O'};
    struct termios settings;
    speed_t speed;
    if (!speed_find(spec->baud, &speed))
        return EINVAL;
    bus->lock_fd = open(spec->serial, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (bus->lock_fd < 0)
        return errno;
    if (!isatty(bus->lock_fd))
        return ENOTTY;
    if (flock(bus->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? EBUSY : errno;
    bus->modbus = modbus_new_rtu(spec->serial, (int)spec->baud, parities[spec->parity], 8, spec->stop_bits);
    if (!bus->modbus)
        return errno;
    if (modbus_connect(bus->modbus) != 0)
        return errno ? errno : EIO;
    int fd = modbus_get_socket(bus->modbus);
    if (tcgetattr(fd, &settings) != 0)
        return errno;
    if (cfgetospeed(&settings) != speed || cfgetispeed(&settings) != speed)
        return EINVAL;
    if (ioctl(fd, TIOCEXCL) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return errno;
    low_latency_ask(fd);
    struct line_timing timing = bus_line_timing(spec);
    rtu_line_init(&bus->line, fd, &timing);
    return 0;
}

static void port_lost(struct bus_rtu *bus, int os_error) {
    char text[128];
    int64_t now_us = now_mono_us();
    port_close(bus);
    bus->retry_us = now_us + bus->pause_us;
    if (bus->told_error != os_error)
        trace_add(bus->trace, now_us, TRACE_ERROR, "bus %s: cannot use %s: %s (%s); trying again", bus->spec->name, bus->spec->serial,
                  strerror_r(os_error, text, sizeof(text)), advice(os_error));
    bus->told_error = os_error;
    bus->pause_us = bus->pause_us * 2 < REOPEN_MAX_US ? bus->pause_us * 2 : REOPEN_MAX_US;
}

/* Opens the port if it is closed and its time has come. */
static void port_try(struct bus_rtu *bus) {
    if (bus->modbus || now_mono_us() < bus->retry_us)
        return;
    int os_error = port_open(bus);
    if (os_error) {
        port_lost(bus, os_error);
        return;
    }
    bus->told_error = 0;
    trace_add(bus->trace, now_mono_us(), TRACE_INFO, "bus %s: opened %s at %u baud, %u bits a character", bus->spec->name, bus->spec->serial,
              (unsigned)bus->line.timing.baud, (unsigned)bus->line.timing.bits_per_character);
}

static void traces_pass_on(struct bus_rtu *bus) {
    const struct trace_line *line;
    while (trace_take(bus->trace, &line))
        bus->sink.traced(bus->sink.context, line);
}

static void progress_note(struct bus_rtu *bus, unsigned writes_done) {
    pthread_mutex_lock(&bus->mutex);
    bus->progress_us = now_mono_us();
    CHECK(bus->writes_open >= writes_done);
    bus->writes_open -= writes_done;
    pthread_mutex_unlock(&bus->mutex);
}

/* `event` needs no time: it is read here. An answer brings its own, the time of its last byte. */
static void step(struct bus_rtu *bus, struct poller_event *event) {
    if (event->kind == POLLER_ANSWERED)
        event->now = event->answer->now;
    else
        now_read(&event->now);
    poller_step(bus->poller, event, &bus->effects);
    const struct poller_effects *effects = &bus->effects;
    if (effects->has_request) {
        CHECK(!bus->has_request);
        bus->has_request = true;
        bus->request = effects->request;
    }
    if (effects->has_polled)
        bus->sink.polled(bus->sink.context, &effects->polled);
    if (effects->has_written)
        bus->sink.written(bus->sink.context, &effects->written);
    traces_pass_on(bus);
    progress_note(bus, effects->has_written ? 1 : 0);
}

/* Hands the mailbox to the poller, writes before the release. False: it is time to stop. */
static bool mailbox_empty(struct bus_rtu *bus) {
    struct write_command writes[WRITES_PENDING_MAX];
    pthread_mutex_lock(&bus->mutex);
    unsigned count = bus->writes_count;
    bool released = bus->released, stopping = bus->stopping;
    memcpy(writes, bus->writes, count * sizeof(writes[0]));
    bus->writes_count = 0;
    bus->released = false;
    pthread_mutex_unlock(&bus->mutex);
    for (unsigned i = 0; i < count && !stopping; i++) {
        struct poller_event event = {.kind = POLLER_WRITE, .write = writes[i]};
        step(bus, &event);
    }
    if (released && !stopping) {
        struct poller_event event = {.kind = POLLER_RELEASE};
        step(bus, &event);
    }
    return !stopping;
}

static void request_do(struct bus_rtu *bus) {
    port_try(bus);
    if (bus->modbus) {
        rtu_line_transact(&bus->line, &bus->request, &bus->answer);
        if (bus->answer.status == BUS_DISCONNECTED)
            port_lost(bus, bus->answer.os_error);
        else if (bus->answer.status == BUS_ANSWERED)
            bus->pause_us = REOPEN_MIN_US;
    } else {
        bus->answer.status = BUS_DISCONNECTED;
        bus->answer.pdu.size = 0;
        bus->answer.turnaround_us = 0;
        bus->answer.os_error = bus->told_error;
        now_read(&bus->answer.now);
    }
    bus->has_request = false;
    struct poller_event event = {.kind = POLLER_ANSWERED, .answer = &bus->answer};
    step(bus, &event);
}

/* Waits for the mailbox, the port's hang-up, the next wake or the next try. Bytes are not waited for: they are dropped before
 * the next request, and a noisy idle line must not wake anyone. */
static void wait_for_work(struct bus_rtu *bus, int64_t wake_us) {
    int64_t now_us = now_mono_us(), until_us = now_us + WAIT_MAX_US;
    if (wake_us < until_us)
        until_us = wake_us;
    if (!bus->modbus && bus->retry_us < until_us)
        until_us = bus->retry_us;
    int64_t left_us = until_us > now_us ? until_us - now_us : 0;
    struct timespec left = {.tv_sec = (time_t)(left_us / 1000000), .tv_nsec = (long)(left_us % 1000000) * 1000};
    struct pollfd fds[2] = {{.fd = bus->wake_fd, .events = POLLIN}, {.fd = bus->modbus ? bus->line.fd : -1, .events = 0}};
    if (ppoll(fds, 2, &left, NULL) <= 0)
        return;
    if (fds[0].revents) {
        eventfd_t count;
        (void)eventfd_read(bus->wake_fd, &count);
    }
    if (fds[1].revents) {
        port_lost(bus, EIO);
        traces_pass_on(bus);
    }
}

static void *run(void *context) {
    struct bus_rtu *bus = context;
    struct poller_event start = {.kind = POLLER_START}, tick = {.kind = POLLER_TICK};
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* the kernel's usual 50 us would be added to every silence */
    port_try(bus);
    step(bus, &start);
    while (mailbox_empty(bus)) {
        if (bus->has_request) {
            request_do(bus);
            continue;
        }
        int64_t wake_us = poller_next_wake(bus->poller);
        if (wake_us <= now_mono_us()) {
            step(bus, &tick);
            continue;
        }
        progress_note(bus, 0);
        wait_for_work(bus, wake_us);
        port_try(bus);
        traces_pass_on(bus);
    }
    port_close(bus);
    return NULL;
}

/* Signals belong to the loop: the line's thread has all of them blocked. */
static bool thread_start(struct bus_rtu *bus) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&bus->thread, NULL, run, bus) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) {
        char name[16]; /* as much as the kernel keeps: what top and a debugger show */
        (void)text_copy(name, sizeof(name), bus->spec->name);
        (void)pthread_setname_np(bus->thread, name);
    }
    return started;
}

enum err bus_rtu_open(const struct bus_spec *spec, struct poller *poller, struct trace *trace, const struct bus_sink *sink,
                      struct bus_rtu **ret_bus) {
    CHECK(spec->kind == BUS_SERIAL && spec->serial);
    struct bus_rtu *bus = calloc(1, sizeof(*bus));
    if (!bus)
        return ERR_NOMEM;
    bus->spec = spec;
    bus->poller = poller;
    bus->trace = trace;
    bus->sink = *sink;
    bus->lock_fd = -1;
    bus->pause_us = REOPEN_MIN_US;
    bus->progress_us = now_mono_us();
    pthread_mutex_init(&bus->mutex, NULL);
    bus->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bus->wake_fd < 0 || !thread_start(bus)) {
        if (bus->wake_fd >= 0)
            close(bus->wake_fd);
        pthread_mutex_destroy(&bus->mutex);
        free(bus);
        return ERR_NOMEM;
    }
    *ret_bus = bus;
    return ERR_OK;
}

void bus_rtu_close(struct bus_rtu *bus) {
    if (!bus)
        return;
    pthread_mutex_lock(&bus->mutex);
    bus->stopping = true;
    pthread_mutex_unlock(&bus->mutex);
    (void)eventfd_write(bus->wake_fd, 1);
    pthread_join(bus->thread, NULL);
    close(bus->wake_fd);
    pthread_mutex_destroy(&bus->mutex);
    free(bus);
}

enum err bus_rtu_write(struct bus_rtu *bus, const struct write_command *write) {
    enum err err = ERR_FULL;
    pthread_mutex_lock(&bus->mutex);
    if (bus->writes_open < WRITES_PENDING_MAX) {
        bus->writes[bus->writes_count++] = *write;
        bus->writes_open++;
        err = ERR_OK;
    }
    pthread_mutex_unlock(&bus->mutex);
    if (err == ERR_OK)
        (void)eventfd_write(bus->wake_fd, 1);
    return err;
}

void bus_rtu_release(struct bus_rtu *bus) {
    pthread_mutex_lock(&bus->mutex);
    bus->released = true;
    pthread_mutex_unlock(&bus->mutex);
    (void)eventfd_write(bus->wake_fd, 1);
}

int64_t bus_rtu_idle_us(const struct bus_rtu *bus) {
    struct bus_rtu *shared = (struct bus_rtu *)(uintptr_t)bus; /* the lock is not part of the value */
    pthread_mutex_lock(&shared->mutex);
    int64_t progress_us = shared->progress_us;
    pthread_mutex_unlock(&shared->mutex);
    return now_mono_us() - progress_us;
}
