/* SPDX-License-Identifier: Apache-2.0 */
/* The shell of a serial line: the port comes from rtu_port.c, frames from frame.c, the transaction from rtu_line.c.
 *
 * The thread, until `stopping` (the start asks for nothing: what was posted before it goes first):
 *   mailbox   writes, RELEASE, a guest, as the loop posted them             -> poller_step
 *   request   if one is under way: transaction (or DISCONNECTED)         -> poller_step(ANSWERED)
 *             a write posted meanwhile wakes it: poller_step(WRITE), and poller_cut_us says how long the answer may still take to begin
 *   due       if poller_next_wake has passed                             -> poller_step(TICK)
 *   wait      on the mailbox and the port's hang-up, until the next wake, the next try to open, or one second
 *
 * The port:   CLOSED --(retry_us reached, opened, locked, its speed read back)--> OPEN --(hang-up, EIO)--> CLOSED
 *   The pause before the next try grows from 0.5 s to 10 s and starts anew when a device has answered. Requests meanwhile
 *   are answered BUS_DISCONNECTED at once, so a missing port costs no more than its polls. Each reason is traced once.
 *
 * A thread that hangs in a driver is abandoned (bus_rtu_abandon): from then on it owns everything here alone. When it comes back it finds
 * `abandoned`, touches neither poller nor sink, and frees itself. Until then it may have spoilt one transaction of its successor, whose
 * frames show that.
 * Shared with the loop's thread under `mutex`: the mailbox, the open writes, `guest_open`, `progress_us`, `stopping`, `ended`. All else is
 * the thread's. */
#include "sensors/bus_rtu.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/thread.h"
#include "sensors/rtu_line.h"
#include "sensors/rtu_port.h"

#define REOPEN_MIN_US 500000
#define REOPEN_MAX_US 10000000
#define WAIT_MAX_US 1000000 /* so that an idle line still shows progress to the watchdog */

struct bus_rtu {
    const struct bus_spec *spec;
    struct poller *poller;
    struct trace *trace;
    struct bus_sink sink;
    pthread_t thread;
    bool started; /* the loop's thread alone looks at it */
    int wake_fd; /* eventfd: something is in the mailbox */

    pthread_mutex_t mutex;
    pthread_cond_t end;
    struct write_command writes[WRITES_PENDING_MAX];
    unsigned writes_count; /* in the mailbox */
    struct write_command open[WRITES_PENDING_MAX]; /* posted and not yet reported as written */
    unsigned open_count;
    bool ended; /* the thread touches nothing any more */
    atomic_bool abandoned;
    struct arena arena; /* bus_rtu_give */
    bool released, stopping;
    bool guest_posted; /* in the mailbox */
    bool guest_open;   /* posted and not yet answered */
    struct guest_request guest;
    struct guest_sink guest_sink;
    int64_t progress_us;

    struct rtu_port port;
    bool port_open;
    int64_t retry_us, pause_us;
    int told_error; /* the reason traced last */
    uint16_t adapter_ms; /* how long the adapter may keep bytes back; 0: not known */
    struct rtu_line line;
    struct rtu_line_caller caller; /* writes that come during a transaction */
    bool has_request;
    struct bus_request request;
    struct bus_answer answer;
    struct poller_effects effects;
};

static atomic_uint abandoned_threads;

static void port_close(struct bus_rtu *bus) {
    rtu_port_close(&bus->port);
    bus->port_open = false;
}

static void port_lost(struct bus_rtu *bus, int os_error) {
    char text[128];
    int64_t now_us = now_mono_us();
    port_close(bus);
    bus->retry_us = now_us + bus->pause_us;
    if (bus->told_error != os_error)
        trace_add(bus->trace, now_us, TRACE_ERROR, "bus %s: cannot use %s: %s (%s); trying again", bus->spec->name, bus->spec->serial,
                  strerror_r(os_error, text, sizeof(text)), rtu_port_advice(os_error));
    bus->told_error = os_error;
    bus->pause_us = bus->pause_us * 2 < REOPEN_MAX_US ? bus->pause_us * 2 : REOPEN_MAX_US;
}

int bus_rtu_latency_ms(const char *serial) {
    return rtu_port_latency_ms("/sys", serial);
}

/* Opens the port if it is closed and its time has come. */
static void port_try(struct bus_rtu *bus) {
    if (bus->port_open || now_mono_us() < bus->retry_us)
        return;
    int os_error = rtu_port_open(&bus->port, bus->spec);
    if (os_error) {
        port_lost(bus, os_error);
        return;
    }
    struct line_timing timing = bus_line_timing(bus->spec);
    rtu_line_init(&bus->line, bus->port.fd, &timing);
    bus->line.caller = &bus->caller;
    bus->port_open = true;
    bus->told_error = 0;
    trace_add(bus->trace, now_mono_us(), TRACE_INFO, "bus %s: opened %s at %u baud, %u bits a character", bus->spec->name, bus->spec->serial,
              (unsigned)bus->line.timing.baud, (unsigned)bus->line.timing.bits_per_character);
    int latency_ms = bus_rtu_latency_ms(bus->spec->serial);
    bus->adapter_ms = latency_ms > 0 ? (uint16_t)latency_ms : 0;
    if (latency_ms > 1)
        trace_add(bus->trace, now_mono_us(), TRACE_WARNING,
                  "bus %s: the adapter keeps bytes back for up to %d ms and would not be told to be quick; set its latency_timer to 1 (udev rule "
                  "70-yanhuo does it)",
                  bus->spec->name, latency_ms);
}

static void traces_pass_on(struct bus_rtu *bus) {
    const struct trace_line *line;
    while (!bus->abandoned && trace_take(bus->trace, &line))
        bus->sink.traced(bus->sink.context, line);
}

/* `written`: the id of a write that was reported, or NULL. */
static void progress_note(struct bus_rtu *bus, const uint32_t *written) {
    pthread_mutex_lock(&bus->mutex);
    bus->progress_us = now_mono_us();
    unsigned i = 0;
    while (written && i < bus->open_count && bus->open[i].id != *written)
        i++;
    CHECK(!written || i < bus->open_count || bus->abandoned);
    if (written && i < bus->open_count)
        bus->open[i] = bus->open[--bus->open_count];
    pthread_mutex_unlock(&bus->mutex);
}

/* The place is free before the answer is told, so that whoever hears it may post the next. */
static void guest_answer(struct bus_rtu *bus, const struct guest_answer *answer) {
    pthread_mutex_lock(&bus->mutex);
    struct guest_sink sink = bus->guest_sink;
    bus->guest_open = false;
    pthread_mutex_unlock(&bus->mutex);
    sink.answered(sink.context, answer);
}

/* `event` needs no time: it is read here. An answer brings its own, the time of its last byte. */
static void step(struct bus_rtu *bus, struct poller_event *event) {
    if (bus->abandoned)
        return;
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
    if (effects->has_polled) {
        bus->effects.polled.adapter_ms = bus->adapter_ms;
        bus->sink.polled(bus->sink.context, &effects->polled);
    }
    if (effects->has_written)
        bus->sink.written(bus->sink.context, &effects->written);
    if (effects->has_guest)
        guest_answer(bus, &effects->guest);
    traces_pass_on(bus);
    progress_note(bus, effects->has_written ? &effects->written.id : NULL);
}

/* Writes alone may be told to the poller while a request is under way, so that it can say how long they wait for it at most. */
static void writes_hand_over(struct bus_rtu *bus) {
    struct write_command writes[WRITES_PENDING_MAX];
    pthread_mutex_lock(&bus->mutex);
    unsigned count = bus->stopping ? 0 : bus->writes_count;
    memcpy(writes, bus->writes, count * sizeof(writes[0]));
    bus->writes_count -= count;
    pthread_mutex_unlock(&bus->mutex);
    for (unsigned i = 0; i < count; i++) {
        struct poller_event event = {.kind = POLLER_WRITE, .write = writes[i]};
        step(bus, &event);
    }
}

static int64_t on_called(void *context) {
    struct bus_rtu *bus = context;
    eventfd_t count;
    (void)eventfd_read(bus->wake_fd, &count);
    writes_hand_over(bus);
    return poller_cut_us(bus->poller);
}

/* Hands the mailbox to the poller, writes before the release. False: it is time to stop. */
static bool mailbox_empty(struct bus_rtu *bus) {
    pthread_mutex_lock(&bus->mutex);
    bool released = bus->released, stopping = bus->stopping, guest_posted = bus->guest_posted;
    struct guest_request guest = bus->guest;
    bus->released = bus->guest_posted = false;
    pthread_mutex_unlock(&bus->mutex);
    writes_hand_over(bus); /* all that were posted before the release are among them */
    if (released && !stopping) {
        struct poller_event event = {.kind = POLLER_RELEASE};
        step(bus, &event);
    }
    if (guest_posted && !stopping) {
        struct poller_event event = {.kind = POLLER_GUEST, .guest = &guest};
        step(bus, &event);
    }
    return !stopping;
}

static void request_do(struct bus_rtu *bus) {
    port_try(bus);
    if (bus->port_open) {
        rtu_line_transact(&bus->line, &bus->request, &bus->answer);
        if (bus->answer.status == BUS_DISCONNECTED)
            port_lost(bus, bus->answer.os_error);
        else if (bus->answer.status == BUS_ANSWERED)
            bus->pause_us = REOPEN_MIN_US;
    } else {
        bus->answer = (struct bus_answer){.status = BUS_DISCONNECTED, .os_error = bus->told_error};
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
    if (!bus->port_open && bus->retry_us < until_us)
        until_us = bus->retry_us;
    int64_t left_us = until_us > now_us ? until_us - now_us : 0;
    struct timespec left = {.tv_sec = (time_t)(left_us / 1000000), .tv_nsec = (long)(left_us % 1000000) * 1000};
    struct pollfd fds[2] = {{.fd = bus->wake_fd, .events = POLLIN}, {.fd = bus->port_open ? bus->line.fd : -1, .events = 0}};
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

static void bus_free(struct bus_rtu *bus) {
    if (bus->wake_fd >= 0)
        close(bus->wake_fd);
    pthread_cond_destroy(&bus->end);
    pthread_mutex_destroy(&bus->mutex);
    arena_done(&bus->arena);
    free(bus);
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
        progress_note(bus, NULL);
        wait_for_work(bus, wake_us);
        port_try(bus);
        traces_pass_on(bus);
    }
    port_close(bus);
    pthread_mutex_lock(&bus->mutex);
    bool abandoned = bus->abandoned;
    bus->ended = true;
    pthread_cond_signal(&bus->end);
    pthread_mutex_unlock(&bus->mutex);
    if (abandoned) { /* nobody else knows it any more */
        bus_free(bus);
        atomic_fetch_sub(&abandoned_threads, 1);
    }
    return NULL;
}

enum err bus_rtu_start(struct bus_rtu *bus) {
    CHECK(!bus->started);
    bus->progress_us = now_mono_us();
    bus->started = thread_start(&bus->thread, run, bus, bus->spec->name);
    return bus->started ? ERR_OK : ERR_NOMEM;
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
    rtu_port_init(&bus->port);
    bus->pause_us = REOPEN_MIN_US;
    bus->progress_us = now_mono_us();
    arena_init(&bus->arena);
    pthread_mutex_init(&bus->mutex, NULL);
    pthread_cond_init(&bus->end, NULL);
    bus->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bus->caller = (struct rtu_line_caller){bus->wake_fd, on_called, bus};
    if (bus->wake_fd < 0) {
        bus_free(bus);
        return ERR_NOMEM;
    }
    *ret_bus = bus;
    return ERR_OK;
}

void bus_rtu_give(struct bus_rtu *bus, struct arena *arena) {
    bus->arena = *arena;
    arena_init(arena);
}

/* The thread is asked to end and waited for until then; a thread that has ended is joined and everything freed, another one is on its own. */
static void leave(struct bus_rtu *bus, int64_t until_us) {
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000) * 1000};
    pthread_t thread = bus->thread;
    if (!bus->started) {
        bus_free(bus);
        return;
    }
    pthread_mutex_lock(&bus->mutex);
    bus->stopping = true;
    (void)eventfd_write(bus->wake_fd, 1);
    while (!bus->ended && now_mono_us() < until_us)
        (void)pthread_cond_clockwait(&bus->end, &bus->mutex, CLOCK_MONOTONIC, &until);
    bool ended = bus->ended;
    if (!ended) {
        atomic_fetch_add(&abandoned_threads, 1);
        bus->abandoned = true;
        rtu_port_unlock(&bus->port);
    }
    pthread_mutex_unlock(&bus->mutex);
    if (ended) {
        pthread_join(thread, NULL);
        bus_free(bus);
    } else {
        pthread_detach(thread);
    }
}

void bus_rtu_close(struct bus_rtu *bus) {
    if (bus)
        leave(bus, now_mono_us() + BUS_RTU_CLOSE_US - bus_rtu_idle_us(bus)); /* one that hangs already is not waited for */
}

void bus_rtu_abandon(struct bus_rtu *bus) {
    struct bus_sink sink = bus->sink;
    struct write_command open[WRITES_PENDING_MAX];
    pthread_mutex_lock(&bus->mutex);
    struct guest_sink guest_sink = bus->guest_sink;
    struct guest_answer answer = {.id = bus->guest.id, .result = GUEST_ASKED, .status = BUS_DISCONNECTED};
    struct written written = {.bus = bus->spec->bus, .status = BUS_DISCONNECTED};
    bool guest = bus->guest_open;
    unsigned count = bus->open_count;
    memcpy(open, bus->open, count * sizeof(open[0]));
    bus->guest_open = bus->guest_posted = false;
    bus->open_count = bus->writes_count = 0;
    bus->abandoned = true; /* from here on no answer of its own passes */
    pthread_mutex_unlock(&bus->mutex);
    leave(bus, 0);
    now_read(&written.now);
    for (unsigned i = 0; i < count; i++) {
        written.id = open[i].id, written.device = open[i].device, written.point = open[i].point;
        sink.written(sink.context, &written);
    }
    if (guest)
        guest_sink.answered(guest_sink.context, &answer);
}

unsigned bus_rtu_abandoned(void) {
    return atomic_load(&abandoned_threads);
}

enum err bus_rtu_write(struct bus_rtu *bus, const struct write_command *write) {
    enum err err = ERR_FULL;
    pthread_mutex_lock(&bus->mutex);
    if (bus->open_count < WRITES_PENDING_MAX) {
        bus->writes[bus->writes_count++] = *write;
        bus->open[bus->open_count++] = *write;
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

enum err bus_rtu_guest(struct bus_rtu *bus, const struct guest_request *guest, const struct guest_sink *sink) {
    pthread_mutex_lock(&bus->mutex);
    bool free_place = !bus->guest_open;
    if (free_place) {
        bus->guest = *guest;
        bus->guest_sink = *sink;
        bus->guest_open = bus->guest_posted = true;
    }
    pthread_mutex_unlock(&bus->mutex);
    if (!free_place)
        return ERR_FULL;
    (void)eventfd_write(bus->wake_fd, 1);
    return ERR_OK;
}

int64_t bus_rtu_idle_us(const struct bus_rtu *bus) {
    struct bus_rtu *shared = (struct bus_rtu *)(uintptr_t)bus; /* the lock is not part of the value */
    pthread_mutex_lock(&shared->mutex);
    int64_t progress_us = shared->progress_us;
    pthread_mutex_unlock(&shared->mutex);
    return now_mono_us() - progress_us;
}
