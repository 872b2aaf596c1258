/* SPDX-License-Identifier: Apache-2.0 */
/* How long one simulated day takes: 50 devices of 10 points at 1 Hz through 50 pollers and the engine, every reading judged,
 * kept for the history, reported by exception in batches and acknowledged; no disk, no network. Prints the seconds taken.
 *    bench_day [HOURS]
 * One quantity of each device changes with each poll; the others stand still, as most of a plant does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/heap.h"
#include "config/load.h"
#include "gateway/engine.h"
#include "sensors/poller.h"

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)
#define TURNAROUND_US (2 * MS)
#define COMMIT_US (8 * MS)
#define ACK_US (10 * MS)
#define WALL_MS INT64_C(1767225600000)
#define POINTS 10

struct endpoint {
    struct poller *poller;
    struct trace trace;
    struct bus_request request;
    uint32_t polls;
};

struct ack {
    int64_t at_us;
    uint16_t slot;
};

struct day {
    struct arena arena;
    const struct config *config;
    struct endpoint *endpoints;
    struct engine *engine;
    struct trace trace;
    struct heap heap; /* endpoint wakes, endpoint answers, commits by lane, connecting */
    int64_t now_us;
    uint64_t last_seq[LANES_COUNT];
    struct ack acks[WINDOW_MAX];
    unsigned acks_first, acks_count;
    uint64_t steps, polls, readings, sent, sent_bytes, stored_bytes, history_bytes;
    struct effects effects;
    struct poller_effects poller_effects;
};

static uint32_t item_answer(const struct day *day, uint32_t bus) {
    return day->config->buses_count + bus;
}

static uint32_t item_commit(const struct day *day, enum lane lane) {
    return 2u * day->config->buses_count + lane;
}

static uint32_t item_connect(const struct day *day) {
    return 2u * day->config->buses_count + LANES_COUNT;
}

static struct now now_of(const struct day *day) {
    return (struct now){.mono_us = day->now_us, .wall_ms = WALL_MS + day->now_us / 1000, .wall_trusted = true};
}

static void drain(struct trace *trace) {
    const struct trace_line *line;
    while (trace_take(trace, &line))
        if (line->level != TRACE_INFO)
            printf("%10.3f %s\n", (double)line->mono_us / 1e6, line->text);
}

static void engine_event(struct day *day, struct event *event) {
    event->now = now_of(day);
    engine_step(day->engine, event, &day->effects);
    day->steps++;
    drain(&day->trace);
    for (unsigned i = 0; i < day->effects.count; i++) {
        const struct effect *effect = &day->effects.items[i];
        switch (effect->kind) {
        case EFFECT_STORE:
            day->stored_bytes += effect->store.size;
            day->last_seq[effect->store.lane] = effect->store.last_seq;
            heap_set(&day->heap, item_commit(day, effect->store.lane), day->now_us + COMMIT_US);
            break;
        case EFFECT_HISTORY:
            day->history_bytes += effect->history.size;
            break;
        case EFFECT_CONNECT:
            heap_set(&day->heap, item_connect(day), day->now_us + ACK_US);
            break;
        case EFFECT_SEND:
            day->sent++;
            day->sent_bytes += effect->send.size;
            CHECK(day->acks_count < WINDOW_MAX);
            day->acks[(day->acks_first + day->acks_count++) % WINDOW_MAX] = (struct ack){day->now_us + ACK_US, effect->send.slot};
            break;
        default:
            break;
        }
    }
}

static void poller_event(struct day *day, uint32_t bus, struct poller_event *event) {
    struct endpoint *endpoint = &day->endpoints[bus];
    struct poller_effects *effects = &day->poller_effects;
    event->now = now_of(day);
    poller_step(endpoint->poller, event, effects);
    day->steps++;
    drain(&endpoint->trace);
    heap_set(&day->heap, bus, poller_next_wake(endpoint->poller));
    if (effects->has_request) {
        endpoint->request = effects->request;
        heap_set(&day->heap, item_answer(day, bus), day->now_us + TURNAROUND_US);
    }
    if (effects->has_polled) {
        day->polls++;
        day->readings += effects->polled.count;
        engine_event(day, &(struct event){.kind = EVENT_POLLED, .polled = &effects->polled});
    }
}

static void answer(struct day *day, uint32_t bus) {
    struct endpoint *endpoint = &day->endpoints[bus];
    struct bus_answer answer = {.status = BUS_ANSWERED, .now = now_of(day), .turnaround_us = TURNAROUND_US};
    uint32_t poll = endpoint->polls++;
    answer.pdu.bytes[0] = FC_READ_INPUT;
    answer.pdu.bytes[1] = 2 * POINTS;
    answer.pdu.size = 2 + 2 * POINTS;
    for (uint32_t i = 0; i < POINTS; i++) {
        uint32_t value = 1000 + 10 * i + (poll + POINTS - i) / POINTS % 50; /* each changes with every tenth poll */
        answer.pdu.bytes[2 + 2 * i] = (uint8_t)(value >> 8);
        answer.pdu.bytes[3 + 2 * i] = (uint8_t)value;
    }
    poller_event(day, bus, &(struct poller_event){.kind = POLLER_ANSWERED, .answer = &answer});
}

static void step(struct day *day, uint32_t item) {
    uint32_t buses = day->config->buses_count;
    if (item < buses)
        poller_event(day, item, &(struct poller_event){.kind = POLLER_TICK});
    else if (item < 2 * buses)
        answer(day, item - buses);
    else if (item == item_connect(day))
        engine_event(day, &(struct event){.kind = EVENT_LINK_UP, .link_up = {.receive_max = 65535, .version = 5}});
    else
        engine_event(day, &(struct event){.kind = EVENT_STORED,
                                          .stored = {.lane = (enum lane)(item - 2 * buses), .last_seq = day->last_seq[item - 2 * buses]}});
}

static void run(struct day *day, int64_t until_us) {
    for (;;) {
        int64_t engine_us = engine_next_wake(day->engine);
        int64_t ack_us = day->acks_count ? day->acks[day->acks_first].at_us : NOW_NEVER;
        int64_t next_us = heap_first_us(&day->heap);
        next_us = ack_us < next_us ? ack_us : next_us;
        next_us = engine_us < next_us ? engine_us : next_us;
        if (next_us >= until_us)
            return;
        day->now_us = next_us > day->now_us ? next_us : day->now_us;
        uint32_t item;
        if (ack_us == next_us) {
            uint16_t slot = day->acks[day->acks_first].slot;
            day->acks_first = (day->acks_first + 1) % WINDOW_MAX;
            day->acks_count--;
            engine_event(day, &(struct event){.kind = EVENT_ACKED, .acked = {.slot = slot, .result = ACK_OK}});
        } else if (heap_take_due(&day->heap, next_us, &item)) {
            step(day, item);
        } else {
            engine_event(day, &(struct event){.kind = EVENT_TICK});
        }
    }
}

static void begin(struct day *day) {
    const struct config *config = day->config;
    struct store_image image = {.next_seq = 1};
    struct series *items = arena_take(&day->arena, config->points_count, sizeof(*items));
    uint32_t *of_point = arena_take(&day->arena, config->points_count, sizeof(*of_point));
    for (uint16_t d = 0; d < config->devices_count; d++)
        for (uint16_t p = 0; p < config->devices[d].spec.points_count; p++) {
            uint32_t number = of_point[config->devices[d].first_point + p] = config->devices[d].first_point + p;
            items[number] = (struct series){config->devices[d].spec.name, config->devices[d].spec.points[p].name};
        }
    image.series = (struct series_directory){.count = config->points_count, .items = items, .of_point = of_point};
    struct series_directory *series = arena_take(&day->arena, 1, sizeof(*series));
    *series = image.series;
    trace_init(&day->trace);
    day->now_us = SECOND;
    day->engine = engine_create(config, series, &day->arena, &day->trace);
    day->endpoints = arena_take(&day->arena, config->buses_count, sizeof(*day->endpoints));
    heap_init(&day->heap, item_connect(day) + 1, &day->arena);
    engine_event(day, &(struct event){.kind = EVENT_START, .start = {.start = 1, .seed = 1, .image = &image}});
    for (uint16_t b = 0; b < config->buses_count; b++) {
        const struct device_spec **specs = arena_take(&day->arena, 1, sizeof(*specs));
        *specs = &config->devices[b].spec;
        trace_init(&day->endpoints[b].trace);
        enum err err = poller_create(&config->buses[b], specs, 1, &day->arena, &day->endpoints[b].trace, &day->endpoints[b].poller);
        CHECK(err == ERR_OK);
        poller_event(day, b, &(struct poller_event){.kind = POLLER_START});
    }
}

static double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    double hours = 24;
    if (count > 1 && !text_read_double(arguments[1], &hours)) {
        fprintf(stderr, "bench_day: '%s' is not a number of hours\n", arguments[1]);
        return 2;
    }
    struct day *day = calloc(1, sizeof(*day));
    struct diagnostics *diagnostics = calloc(1, sizeof(*diagnostics));
    CHECK(day && diagnostics);
    arena_init(&day->arena);
    diagnostics_init(diagnostics);
    if (config_load(SOURCE_DIR "/tests/vectors/plants/day.yaml", SOURCE_DIR "/sensors/profiles", &day->arena, diagnostics, &day->config) != ERR_OK) {
        diagnostics_print(diagnostics, stderr);
        return 1;
    }
    begin(day);
    double from = seconds();
    run(day, SECOND + (int64_t)(hours * 3600 * (double)SECOND));
    double took = seconds() - from;
    printf("%.1f simulated hours of %u devices took %.2f s of processor time\n", hours, day->config->devices_count, took);
    printf("%llu polls, %llu readings, %llu steps, %llu messages (%.1f MB), %.1f MB to the spool, %.1f MB to the history\n",
           (unsigned long long)day->polls, (unsigned long long)day->readings, (unsigned long long)day->steps, (unsigned long long)day->sent,
           (double)day->sent_bytes / 1e6, (double)day->stored_bytes / 1e6, (double)day->history_bytes / 1e6);
    printf("%.2f us a poll; a day at this speed: %.2f s (to be reached: 5 s)\n", 1e6 * took / (double)day->polls, took * 24 / hours);
    diagnostics_done(diagnostics);
    arena_done(&day->arena);
    free(diagnostics);
    free(day);
    return 0;
}
