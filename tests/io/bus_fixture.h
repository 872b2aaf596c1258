/* SPDX-License-Identifier: Apache-2.0 */
/* A real poller with one device of one register, on any bus, and what came out of it. */
#ifndef YANHUO_BUS_FIXTURE_H
#define YANHUO_BUS_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "sensors/poller.h"

#define FIXTURE_VALUE 0x1007 /* of the fake slave's holding register 7 */
#define FIXTURE_PERIOD_MS 20
#define FIXTURE_TIMEOUT_MS 60

struct bus_fixture {
    struct bus_spec spec;                                     /* set by the caller, as the next five */
    uint32_t every_ms;                                        /* 0: FIXTURE_PERIOD_MS */
    uint32_t timeout_ms;                                      /* 0: FIXTURE_TIMEOUT_MS */
    bool feeds_action;                                        /* each good reply holds the line until released */
    void (*hook)(void *context, const struct polled *polled); /* called by the sink; may be NULL */
    void *hook_context;

    struct arena arena;
    struct trace trace;
    struct poller *poller;
    struct point points[2]; /* holding register 7; coil 3 for writing */
    struct device_spec device;
    struct bus_sink sink;

    pthread_mutex_t mutex; /* the rest */
    unsigned polls, by_status[BUS_DISCONNECTED + 1], good, wrong_values, written_ok, written_failed;
    struct polled last;
    char traces[8192]; /* one line each */
    size_t traces_length;
};

/* The caller has set the first fields; the rest is zero. */
void bus_fixture_init(struct bus_fixture *fixture);
void bus_fixture_done(struct bus_fixture *fixture);

/* How many polls ended so, since init. Any thread. */
unsigned bus_fixture_count(struct bus_fixture *fixture, enum bus_status status);
unsigned bus_fixture_good(struct bus_fixture *fixture);
unsigned bus_fixture_wrong(struct bus_fixture *fixture);
unsigned bus_fixture_written(struct bus_fixture *fixture, bool ok);
bool bus_fixture_traced(struct bus_fixture *fixture, const char *text);
/* A copy of the latest. */
void bus_fixture_last(struct bus_fixture *fixture, struct polled *ret_polled);

#endif
