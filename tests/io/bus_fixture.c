/* SPDX-License-Identifier: Apache-2.0 */
#include "bus_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void on_polled(void *context, const struct polled *polled) {
    struct bus_fixture *fixture = context;
    pthread_mutex_lock(&fixture->mutex);
    fixture->polls++;
    fixture->by_status[polled->status]++;
    fixture->last = *polled;
    for (uint16_t i = 0; i < polled->count; i++) {
        const struct reading *reading = &polled->readings[i];
        if (reading->quality != QUALITY_GOOD || reading->point != 0)
            continue;
        if (reading->value.kind == VALUE_INTEGER && reading->value.integer == FIXTURE_VALUE)
            fixture->good++;
        else
            fixture->wrong_values++;
    }
    pthread_mutex_unlock(&fixture->mutex);
    if (fixture->hook)
        fixture->hook(fixture->hook_context, polled);
}

static void on_written(void *context, const struct written *written) {
    struct bus_fixture *fixture = context;
    pthread_mutex_lock(&fixture->mutex);
    if (written->ok)
        fixture->written_ok++;
    else
        fixture->written_failed++;
    pthread_mutex_unlock(&fixture->mutex);
}

static void on_traced(void *context, const struct trace_line *line) {
    struct bus_fixture *fixture = context;
    pthread_mutex_lock(&fixture->mutex);
    size_t length = strlen(line->text);
    if (fixture->traces_length + length + 2 < sizeof(fixture->traces)) {
        memcpy(fixture->traces + fixture->traces_length, line->text, length);
        fixture->traces_length += length;
        fixture->traces[fixture->traces_length++] = '\n';
    }
    pthread_mutex_unlock(&fixture->mutex);
    if (getenv("BUS_TRACE"))
        fprintf(stderr, "%s\n", line->text);
}

void bus_fixture_init(struct bus_fixture *fixture) {
    const struct device_spec *devices[1] = {&fixture->device};
    arena_init(&fixture->arena);
    trace_init(&fixture->trace);
    pthread_mutex_init(&fixture->mutex, NULL);
    fixture->points[0] = (struct point){.name = "level",
                                        .unit = "",
                                        .read = READ_HOLDING,
                                        .address = 7,
                                        .type = TYPE_U16,
                                        .registers = 1,
                                        .scale = 1,
                                        .every_ms = fixture->every_ms ? fixture->every_ms : FIXTURE_PERIOD_MS,
                                        .feeds_action = fixture->feeds_action,
                                        .class = CLASS_MAINTENANCE};
    fixture->points[1] = (struct point){.name = "relay",
                                        .unit = "",
                                        .read = READ_COIL,
                                        .address = 3,
                                        .type = TYPE_BIT,
                                        .registers = 1,
                                        .scale = 1,
                                        .every_ms = 3600000,
                                        .class = CLASS_MAINTENANCE,
                                        .writable = true,
                                        .write_on = 0xFF00};
    fixture->device = (struct device_spec){.name = "d0",
                                           .unit_id = 5,
                                           .timeout_ms = fixture->timeout_ms ? fixture->timeout_ms : FIXTURE_TIMEOUT_MS,
                                           .registers_max = REGISTERS_READ_MAX,
                                           .points_count = 2,
                                           .points = fixture->points};
    fixture->sink = (struct bus_sink){fixture, on_polled, on_written, on_traced};
    enum err err = poller_create(&fixture->spec, devices, 1, &fixture->arena, &fixture->trace, &fixture->poller);
    CHECK(err == ERR_OK);
}

void bus_fixture_done(struct bus_fixture *fixture) {
    pthread_mutex_destroy(&fixture->mutex);
    arena_done(&fixture->arena);
}

static unsigned locked(struct bus_fixture *fixture, const unsigned *count) {
    pthread_mutex_lock(&fixture->mutex);
    unsigned value = *count;
    pthread_mutex_unlock(&fixture->mutex);
    return value;
}

unsigned bus_fixture_count(struct bus_fixture *fixture, enum bus_status status) {
    return locked(fixture, &fixture->by_status[status]);
}

unsigned bus_fixture_good(struct bus_fixture *fixture) {
    return locked(fixture, &fixture->good);
}

unsigned bus_fixture_wrong(struct bus_fixture *fixture) {
    return locked(fixture, &fixture->wrong_values);
}

unsigned bus_fixture_written(struct bus_fixture *fixture, bool ok) {
    return locked(fixture, ok ? &fixture->written_ok : &fixture->written_failed);
}

bool bus_fixture_traced(struct bus_fixture *fixture, const char *text) {
    pthread_mutex_lock(&fixture->mutex);
    bool found = memmem(fixture->traces, fixture->traces_length, text, strlen(text)) != NULL;
    pthread_mutex_unlock(&fixture->mutex);
    return found;
}

void bus_fixture_last(struct bus_fixture *fixture, struct polled *ret_polled) {
    pthread_mutex_lock(&fixture->mutex);
    *ret_polled = fixture->last;
    pthread_mutex_unlock(&fixture->mutex);
}
