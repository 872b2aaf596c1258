/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder under an engine of this test: hours of polls in a second, so that the ring goes round, with a store and a broker that answer at
 * once. What was overwritten is gone, both files stay below the size, and a replay begins at an anchor with the alarms that were open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/load.h"
#include "gateway/engine.h"
#include "gateway/io/record.h"

#define CONFIG SOURCE_DIR "/config/demo.yaml"
#define SIZE 1000000
#define WAITING 512

struct rig {
    char folder[64], path[96], older[96], printed[200000];
    struct arena arena;
    const struct config *config;
    struct series_directory series;
    struct trace trace;
    struct engine *engine;
    struct effects effects;
    struct record *record;
    struct now now;
    struct event waiting[WAITING]; /* answers to be given, in order */
    unsigned first, count;
    bool paced;
    uint64_t size;
    unsigned steps;
};

static struct rig *rig;

static void make_series(void) {
    struct series *items = arena_take(&rig->arena, rig->config->points_count, sizeof(*items));
    uint32_t *of_point = arena_take(&rig->arena, rig->config->points_count, sizeof(*of_point));
    for (uint16_t d = 0; d < rig->config->devices_count; d++)
        for (uint16_t p = 0; p < rig->config->devices[d].spec.points_count; p++) {
            uint32_t number = rig->config->devices[d].first_point + p;
            items[number] = (struct series){rig->config->devices[d].spec.name, rig->config->devices[d].spec.points[p].name};
            of_point[number] = number;
        }
    rig->series = (struct series_directory){.count = rig->config->points_count, .items = items, .of_point = of_point};
}

static int begin(void **state) {
    struct diagnostics diagnostics;
    (void)state;
    rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    snprintf(rig->folder, sizeof(rig->folder), "/tmp/yanhuo-record-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->path, sizeof(rig->path), "%s/ring", rig->folder);
    snprintf(rig->older, sizeof(rig->older), "%s/ring.1", rig->folder);
    arena_init(&rig->arena);
    diagnostics_init(&diagnostics);
    assert_int_equal(config_load(CONFIG, config_profiles_dir(), &rig->arena, &diagnostics, &rig->config), ERR_OK);
    diagnostics_done(&diagnostics);
    make_series();
    rig->now = (struct now){.mono_us = 5000000, .wall_ms = 1767225600000, .wall_trusted = true};
    rig->paced = true;
    rig->size = SIZE;
    return 0;
}

static int finish(void **state) {
    (void)state;
    record_close(rig->record);
    (void)unlink(rig->path);
    (void)unlink(rig->older);
    assert_int_equal(rmdir(rig->folder), 0);
    arena_done(&rig->arena);
    free(rig);
    return 0;
}

static void answer(const struct event *event) {
    assert_true(rig->count < WAITING);
    rig->waiting[(rig->first + rig->count++) % WAITING] = *event;
}

static void answer_all(void) {
    for (unsigned i = 0; i < rig->effects.count; i++) {
        const struct effect *effect = &rig->effects.items[i];
        if (effect->kind == EFFECT_STORE)
            answer(&(struct event){.kind = EVENT_STORED, .stored = {.lane = effect->store.lane, .last_seq = effect->store.last_seq}});
        else if (effect->kind == EFFECT_CONNECT)
            answer(&(struct event){.kind = EVENT_LINK_UP, .link_up = {.uplink = effect->link.uplink, .receive_max = 100, .version = 5}});
        else if (effect->kind == EFFECT_SEND)
            answer(&(struct event){.kind = EVENT_ACKED, .acked = {.uplink = effect->send.uplink, .slot = effect->send.slot}});
    }
}

static void step(struct event *event) {
    const struct trace_line *line;
    rig->now.mono_us += 1000;
    rig->now.wall_ms += 1;
    event->now = rig->now;
    engine_step(rig->engine, event, &rig->effects);
    record_step(rig->record, event, &rig->effects, &rig->trace);
    while (trace_take(&rig->trace, &line)) {
    }
    answer_all();
    if (rig->paced && ++rig->steps % 256 == 0)
        (void)poll(NULL, 0, 2); /* about as fast as a disk takes it */
}

static void settle(void) {
    while (rig->count) {
        struct event event = rig->waiting[rig->first];
        rig->first = (rig->first + 1) % WAITING;
        rig->count--;
        step(&event);
    }
}

static void heard(void *context, const struct trace_line *line) {
    (void)context;
    printf("%s\n", line->text);
}

static const struct record_sink sink = {.traced = heard};

static void start_gateway(uint64_t start) {
    struct store_image image = {.next_seq = 1, .series = rig->series};
    char why[200];
    struct record_options options = {.path = rig->path, .bytes_most = rig->size};
    trace_init(&rig->trace);
    rig->engine = engine_create(rig->config, &rig->series, &rig->arena, &rig->trace);
    assert_true(record_open(&options, rig->config, "1.2.3", &sink, &rig->record, why));
    step(&(struct event){.kind = EVENT_START, .start = {.start = start, .seed = 7, .image = &image}});
    settle();
}

static void end_gateway(void) {
    record_close(rig->record);
    rig->record = NULL;
    rig->count = 0;
}

static uint16_t device_named(const char *name) {
    for (uint16_t i = 0; i < rig->config->devices_count; i++)
        if (strcmp(rig->config->devices[i].spec.name, name) == 0)
            return i;
    fail_msg("no device %s", name);
    return 0;
}

static void poll_device(const char *name, int64_t value, int64_t pause_us) {
    struct polled polled = {.device = device_named(name), .status = BUS_ANSWERED, .device_state = DEVICE_ONLINE, .timeout_us = 100000};
    polled.bus = rig->config->devices[polled.device].bus;
    polled.count = 1;
    polled.readings[0] = (struct reading){.point = 0, .value = {.kind = VALUE_INTEGER, .integer = value}};
    rig->now.mono_us += pause_us;
    rig->now.wall_ms += pause_us / 1000;
    polled.now = rig->now;
    step(&(struct event){.kind = EVENT_POLLED, .polled = &polled});
    settle();
}

static int replay(const char *more) {
    char line[512];
    snprintf(line, sizeof(line), "%s replay %s %s 2>&1", PROGRAM, rig->path, more);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t length = fread(rig->printed, 1, sizeof(rig->printed) - 1, pipe);
    rig->printed[length] = '\0';
    while (fgetc(pipe) != EOF) {
    }
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int64_t size_of(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (int64_t)status.st_size : 0;
}

static void the_ring_goes_round_and_is_replayed_from_its_anchor(void **state) {
    (void)state;
    start_gateway(11);
    for (unsigned i = 0; i < 3; i++)
        poll_device("smoke-1", 1, 1000000);
    for (unsigned i = 0; i < 16000; i++) {
        poll_device(i % 2 ? "smoke-1" : "smoke-2", i % 2, 500000);
        assert_true(size_of(rig->path) + size_of(rig->older) <= SIZE);
    }
    for (unsigned i = 0; i < 4; i++)
        poll_device("smoke-2", 1, 1000000);
    end_gateway();
    assert_true(size_of(rig->path) > 10000 && size_of(rig->older) > SIZE / 4);
    int status = replay("");
    if (status != 0)
        fail_msg("%d: %.3000s", status, rig->printed + (strlen(rig->printed) > 3000 ? strlen(rig->printed) - 3000 : 0));
    assert_non_null(strstr(rig->printed, "\nanchor: "));
    assert_null(strstr(rig->printed, "alarm smoke-1/smoke unacknowledged by=condition")); /* it came before the anchor and stands */
    assert_non_null(strstr(rig->printed, "alarm smoke-2/smoke unacknowledged by=condition"));
    assert_non_null(strstr(rig->printed, "action cut-branch-2 writes relay-1/channel-2"));
    assert_null(strstr(rig->printed, "uplink city down"));
    assert_non_null(strstr(rig->printed, "\nsame\n"));
}

/* More at once than the recorder's buffer holds, as when a disk stalls: what did not fit is counted and marked, and the replay goes on. */
static void what_is_lost_is_marked(void **state) {
    (void)state;
    static uint8_t rows[QUERY_ROWS_SIZE];
    rig->size = 16000000;
    start_gateway(12);
    step(&(struct event){.kind = EVENT_LINK_DOWN, .link_down = {.uplink = 0, .reason = LINK_LOST, .text = ""}});
    rig->paced = false;
    for (unsigned i = 0; i < 60; i++) /* answers to a connection that is gone */
        step(&(struct event){.kind = EVENT_ROWS, .rows = {.lane = LANE_READING, .bytes = rows, .size = sizeof(rows)}});
    (void)poll(NULL, 0, 600);
    for (unsigned i = 0; i < 6; i++)
        poll_device("smoke-1", 1, 1000000);
    end_gateway();
    assert_int_equal(replay(""), 0);
    assert_non_null(strstr(rig->printed, "\nlost: "));
    assert_non_null(strstr(rig->printed, "alarm smoke-1/smoke unacknowledged"));
}

/* The recording of before a crash is still there after the restart, and one that cannot be is refused with a reason. */
static void what_was_before_the_start_is_kept(void **state) {
    (void)state;
    struct config other = *rig->config;
    struct config_file file = *other.files;
    char why[200];
    start_gateway(13);
    for (unsigned i = 0; i < 5; i++)
        poll_device("smoke-1", 1, 1000000);
    end_gateway();
    start_gateway(14);
    end_gateway();
    assert_int_equal(replay(""), 0);
    assert_null(strstr(rig->printed, "alarm smoke-1/smoke"));
    assert_int_equal(rename(rig->older, rig->path), 0);
    assert_int_equal(replay(""), 0);
    assert_non_null(strstr(rig->printed, "alarm smoke-1/smoke unacknowledged"));
    file.hash++;
    file.next = NULL;
    other.files = &file;
    assert_false(record_open(&(struct record_options){.path = rig->path, .bytes_most = SIZE}, &other, "1", &sink, &rig->record, why));
    assert_non_null(strstr(why, "was changed since it was read"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_ring_goes_round_and_is_replayed_from_its_anchor, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_lost_is_marked, begin, finish),
        cmocka_unit_test_setup_teardown(what_was_before_the_start_is_kept, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
