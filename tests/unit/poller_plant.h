/* SPDX-License-Identifier: Apache-2.0 */
/* A poller with a small scripted bus under a virtual clock. Every step is followed by poller_check, every answer by a check
 * that it ended in what the contract says. */
#ifndef YANHUO_TESTS_POLLER_PLANT_H
#define YANHUO_TESTS_POLLER_PLANT_H

#include <stddef.h>

#include "base/arena.h"
#include "sensors/poller.h"

#define PLANT_DEVICES_MAX 8
#define PLANT_POINTS_MAX 16
#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

struct plant_slave {
    bool silent, corrupt, wrong_echo;
    uint8_t exception;      /* answers everything with this */
    uint16_t registers_max; /* reads of more are answered by exception 2; 0 = no limit */
    uint8_t write_exception;
    int64_t turnaround_us;
    unsigned asked, writes; /* requests it was sent */
    uint16_t last_write_address, last_write_value;
};

struct plant {
    struct arena arena;
    struct trace trace;
    struct bus_spec bus;
    struct device_spec specs[PLANT_DEVICES_MAX];
    struct point points[PLANT_DEVICES_MAX][PLANT_POINTS_MAX];
    struct plant_slave slaves[PLANT_DEVICES_MAX];
    struct poller *poller;
    bool disconnected;
    int64_t now_us;
    int64_t answer_at_us; /* NOW_NEVER when nothing is under way */
    bool hold_releases;   /* answer a hold with RELEASE at once */
    struct bus_request request;
    struct bus_answer answer;
    struct poller_effects effects;
    char story[8192]; /* every trace line */
    unsigned requests, polls, written, steps;
    unsigned reads_under_way, writes_under_way;
    /* Called after each step that has effects; may be NULL. */
    void (*watch)(struct plant *plant, const struct poller_effects *effects);
    void *context;
};

/* Devices d0 .. with unit ids 1 .. and one holding register at 0 read each second; change them before plant_begin. */
void plant_init(struct plant *plant, enum bus_kind kind, uint16_t devices_count);
struct point *plant_point(struct plant *plant, uint16_t device, enum point_read read, uint16_t address);
void plant_begin(struct plant *plant, uint16_t devices_count);
void plant_done(struct plant *plant);

void plant_step(struct plant *plant, enum poller_event_kind kind);
void plant_write(struct plant *plant, uint16_t device, uint16_t point, double value, uint32_t id);
/* To the next answer or wake; false when nothing will happen before until_us. */
bool plant_advance(struct plant *plant, int64_t until_us);
void plant_run(struct plant *plant, int64_t until_us);

#endif
